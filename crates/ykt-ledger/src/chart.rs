//! The chart of accounts (科目表) of `clearing.md` 5 as data, and the codes of accounts below its subjects.
//!
//! A subject (科目) is a line of the chart, `2202.01`; an account is a subject alone or with a sub-account,
//! `2202.01/M00000000000001`. An [`AccountCode`] can only be made for a subject of the chart, so a posting to
//! an unknown one cannot even be written down.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// Longest sub-account, in characters.
pub const SUB_LEN_MAX: usize = 40;

/// The side on which a subject's balance normally stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Debit: what we have and what we spent.
    Debit,
    /// Credit: what we owe and what we earned.
    Credit,
    /// Either: positions between accounting entities.
    Both,
}

/// What kind of thing a subject counts: the first digit of its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// 1: what we have, and what others owe us.
    Asset,
    /// 2: what we owe.
    Liability,
    /// 3: between accounting entities.
    Common,
    /// 4: what belongs to the owners.
    Equity,
    /// 5: earned.
    Income,
    /// 6: spent.
    Expense,
}

/// A line of the chart of accounts.
#[derive(Debug, PartialEq, Eq)]
pub struct Subject {
    /// Code, unique: four digits, or four and two after a point.
    pub code: &'static str,
    /// Chinese name.
    pub name_zh: &'static str,
    /// English name.
    pub name_en: &'static str,
    /// Kind.
    pub class: Class,
    /// Normal side of its balance.
    pub side: Side,
}

macro_rules! subjects {
    ($($(#[$doc:meta])+ $name:ident = $code:literal $class:ident $side:ident $zh:literal $en:literal;)+) => {
        $(
            $(#[$doc])+
            pub static $name: Subject = Subject {
                code: $code, name_zh: $zh, name_en: $en, class: Class::$class, side: Side::$side,
            };
        )+
        /// The whole chart, by code.
        pub static SUBJECTS: &[&Subject] = &[$(&$name),+];
    };
}

subjects! {
    /// Cash in tills and cash boxes.
    TILL_CASH = "1001" Asset Debit "库存现金" "Cash in tills";
    /// Reserve bank account: the clients' money.
    RESERVE_BANK = "1002.01" Asset Debit "备付金存款" "Reserve bank account";
    /// Own bank account.
    OWN_BANK = "1002.02" Asset Debit "自有资金存款" "Own bank account";
    /// Owed by payment channels.
    CHANNEL_RECEIVABLE = "1221.01" Asset Debit "应收渠道款" "Receivable from channels";
    /// Owed by top-up agents.
    AGENT_RECEIVABLE = "1221.02" Asset Debit "应收代理款" "Receivable from agents";
    /// Owed by other cities.
    INTERCITY_RECEIVABLE = "1221.03" Asset Debit "应收异地款" "Receivable from other cities";
    /// Blank cards and PSAMs in stock.
    CARD_STOCK = "1405" Asset Debit "卡存货" "Stock of cards and PSAMs";
    /// Money missing, cause not yet known.
    SUSPENSE_SHORT = "1901" Asset Debit "短款挂账" "Suspense, short";
    /// Owed to card holders: balances of the purses.
    PURSE_FLOAT = "2001" Liability Credit "电子钱包备付金" "Purse float";
    /// Owed to card holders: balances of card accounts, and paid load orders not yet on a card.
    ACCOUNT_FLOAT = "2002" Liability Credit "卡账户备付金" "Card account float";
    /// Prepaid by groups: subsidies not yet given.
    GROUP_PREPAID = "2003" Liability Credit "团体预存款" "Prepaid by groups";
    /// Deposits for cards.
    CARD_DEPOSITS = "2011" Liability Credit "卡押金" "Card deposits";
    /// Owed to merchants.
    MERCHANT_PAYABLE = "2202.01" Liability Credit "应付商户款" "Payable to merchants";
    /// Owed to other cities.
    INTERCITY_PAYABLE = "2202.02" Liability Credit "应付异地款" "Payable to other cities";
    /// Paid in advance for what is not yet done: card fees, annual tickets.
    UNEARNED = "2203" Liability Credit "预收款" "Unearned income";
    /// Suspicious money set aside.
    SUSPENSE_SUSPICIOUS = "2241.01" Liability Credit "可疑挂账" "Suspense, suspicious";
    /// Money too much, cause not yet known.
    SUSPENSE_LONG = "2241.02" Liability Credit "长款挂账" "Suspense, long";
    /// Positions between accounting entities.
    INTER_ENTITY = "3001" Common Both "往来" "Between entities";
    /// The owners' money.
    EQUITY = "4001" Equity Credit "实收资本" "Equity";
    /// Commission from merchants.
    MERCHANT_COMMISSION = "5001" Income Credit "商户佣金收入" "Merchant commission";
    /// Fees for card services.
    CARD_FEES = "5002" Income Credit "卡服务费收入" "Card service fees";
    /// Share of purchases of our cards in other cities.
    INTERCITY_INCOME = "5003" Income Credit "异地分润收入" "Inter-city share earned";
    /// Fees of payment channels.
    CHANNEL_FEES = "6601" Expense Debit "渠道手续费" "Channel fees";
    /// Commission of top-up agents.
    AGENT_COMMISSION = "6602" Expense Debit "代理佣金" "Agent commission";
    /// Share paid for purchases of other cities' cards.
    INTERCITY_EXPENSE = "6603" Expense Debit "异地分润支出" "Inter-city share paid";
    /// Losses the operator bears.
    LOSSES = "6711" Expense Debit "营业损失" "Losses";
}

/// The subject of a code, or `None` when the chart has no such line.
#[must_use]
pub fn subject(code: &str) -> Option<&'static Subject> {
    SUBJECTS.binary_search_by(|subject| subject.code.cmp(code)).ok().and_then(|at| SUBJECTS.get(at)).copied()
}

/// An account: a subject of the chart, alone or with a sub-account after `/`.
#[derive(Clone)]
pub struct AccountCode {
    subject: &'static Subject,
    text: Arc<str>,
}

/// Why a text names no account.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AccountError {
    /// The chart has no such subject.
    #[error("account `{account}`: the chart of accounts has no subject `{subject}`")]
    UnknownSubject {
        /// The whole text.
        account: String,
        /// Its part before `/`.
        subject: String,
    },
    /// The sub-account is empty, too long, or has other characters.
    #[error(
        "account `{account}`: expected a sub-account of 1 to {SUB_LEN_MAX} characters of 0-9 A-Z a-z . _ -"
    )]
    Sub {
        /// The whole text.
        account: String,
    },
}

impl AccountCode {
    /// The account of a whole subject.
    #[must_use]
    pub fn of(subject: &'static Subject) -> AccountCode {
        AccountCode { subject, text: Arc::from(subject.code) }
    }

    /// The account `sub` below a subject.
    ///
    /// # Errors
    /// [`AccountError::Sub`] when `sub` is empty, too long, or has other characters than `0-9 A-Z a-z . _ -`.
    pub fn below(subject: &'static Subject, sub: &str) -> Result<AccountCode, AccountError> {
        let text = format!("{}/{sub}", subject.code);
        if sub.is_empty() || sub.len() > SUB_LEN_MAX || !sub.bytes().all(is_sub_character) {
            return Err(AccountError::Sub { account: text });
        }
        Ok(AccountCode { subject, text: text.into() })
    }

    /// Its subject.
    #[must_use]
    pub fn subject(&self) -> &'static Subject {
        self.subject
    }

    /// Its sub-account, or `None` for a whole subject.
    #[must_use]
    pub fn sub(&self) -> Option<&str> {
        self.text.split_once('/').map(|(_, sub)| sub)
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_sub_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

impl FromStr for AccountCode {
    type Err = AccountError;
    fn from_str(text: &str) -> Result<AccountCode, AccountError> {
        let (code, sub) = match text.split_once('/') {
            Some((code, sub)) => (code, Some(sub)),
            None => (text, None),
        };
        let subject = subject(code).ok_or_else(|| AccountError::UnknownSubject {
            account: text.to_owned(),
            subject: code.to_owned(),
        })?;
        match sub {
            Some(sub) => AccountCode::below(subject, sub),
            None => Ok(AccountCode::of(subject)),
        }
    }
}

impl PartialEq for AccountCode {
    fn eq(&self, other: &AccountCode) -> bool {
        self.text == other.text
    }
}

impl Eq for AccountCode {}

impl Hash for AccountCode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for AccountCode {
    fn partial_cmp(&self, other: &AccountCode) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AccountCode {
    fn cmp(&self, other: &AccountCode) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl fmt::Display for AccountCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for AccountCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_is_sorted_and_its_classes_follow_the_first_digit() {
        assert!(SUBJECTS.is_sorted_by(|a, b| a.code < b.code));
        for line in SUBJECTS {
            assert_eq!(subject(line.code), Some(*line));
            let (class, side) = match &line.code[..1] {
                "1" => (Class::Asset, Side::Debit),
                "2" => (Class::Liability, Side::Credit),
                "3" => (Class::Common, Side::Both),
                "4" => (Class::Equity, Side::Credit),
                "5" => (Class::Income, Side::Credit),
                _ => (Class::Expense, Side::Debit),
            };
            assert_eq!((line.class, line.side), (class, side), "{}", line.code);
        }
    }

    #[test]
    fn accounts_are_subjects_with_or_without_a_sub_account() {
        let whole: AccountCode = "2001".parse().unwrap();
        assert_eq!((whole.subject(), whole.sub()), (&PURSE_FLOAT, None));
        let merchant: AccountCode = "2202.01/M00000000000001".parse().unwrap();
        assert_eq!((merchant.subject(), merchant.sub()), (&MERCHANT_PAYABLE, Some("M00000000000001")));
        assert_eq!(merchant, AccountCode::below(&MERCHANT_PAYABLE, "M00000000000001").unwrap());
        assert_eq!(merchant.to_string(), "2202.01/M00000000000001");
    }

    #[test]
    fn other_texts_are_refused_by_name() {
        let error = "2202/M1".parse::<AccountCode>().unwrap_err();
        assert_eq!(error.to_string(), "account `2202/M1`: the chart of accounts has no subject `2202`");
        for bad in ["2001/", "2001/a b", "2001/a/b", "2001/商户", &format!("2001/{}", "x".repeat(41))] {
            let error = bad.parse::<AccountCode>().unwrap_err();
            assert!(matches!(error, AccountError::Sub { .. }), "{bad}: {error}");
        }
        assert!("".parse::<AccountCode>().is_err());
    }
}
