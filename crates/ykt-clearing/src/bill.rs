//! Bills: one per merchant and clearing day, with its commission and its ledger entries (`clearing.md` 5, 6.1).

use crate::judge::{Case, Fate};
use crate::verdict::State;
use ykt_base::{Date, DateTime, Fen, MerchantCode};
use ykt_files::Sum;
use ykt_ledger::{AccountCode, AccountError, Entry, EntryId, EntryIdError};

ykt_store::coded! {
    /// How far the payment of a bill is (`clearing.md` 6.1).
    BillState {
        /// To be paid with the next transfer file.
        Payable = 0, "payable";
        /// In a transfer file; the bank has not answered.
        Sent = 2, "sent to the bank";
        /// Paid.
        Paid = 3, "paid";
        /// The bank did not pay; to be paid with the next transfer file.
        Failed = 5, "payment failed";
    }
}

/// What a merchant is owed for a clearing day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bill {
    /// Clearing day.
    pub day: Date,
    /// Merchant.
    pub merchant: MerchantCode,
    /// Its industry, 0 to 99.
    pub industry: u8,
    /// Records that came and were confirmed that day.
    pub confirmed: Sum,
    /// Records that came that day and were not confirmed, parked ones included.
    pub refused: Sum,
    /// Records of earlier days that were accepted that day.
    pub adjusted: Sum,
    /// Records of earlier days that were refused for good that day.
    pub adjustment_refused: Sum,
    /// Of the confirmed and adjusted: those the operator bears (V17).
    pub operator: Sum,
    /// Commission in parts per million of the contract in force.
    pub commission_ppm: u32,
    /// Commission: of the bill's total, rounded half up once.
    pub commission: Fen,
    /// What is paid: confirmed + adjusted − commission.
    pub net: Fen,
    /// How far its payment is.
    pub state: BillState,
    /// The payment it is part of: transfer and record number.
    pub payment: Option<(i64, u32)>,
}

impl Bill {
    /// Confirmed and adjusted together.
    #[must_use]
    pub fn gross(&self) -> Fen {
        plus(self.confirmed.amount, self.adjusted.amount)
    }
}

/// A bill cannot be made or booked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BillError {
    /// A sum does not fit.
    #[error("bill of {merchant} for {day}: the sum does not fit; look for amounts that cannot be")]
    Overflow {
        /// Merchant.
        merchant: MerchantCode,
        /// Clearing day.
        day: Date,
    },
    /// An account name is none.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// An entry id is none.
    #[error(transparent)]
    Id(#[from] EntryIdError),
}

/// What a merchant's records of a day came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Confirmed, those the operator bears included.
    pub confirmed: Sum,
    /// Not confirmed.
    pub refused: Sum,
    /// Adjusted, those the operator bears included.
    pub adjusted: Sum,
    /// Refused for good after they were parked.
    pub adjustment_refused: Sum,
    /// Of the confirmed: borne by the operator.
    pub operator: Sum,
    /// Of the adjusted: borne by the operator.
    pub operator_adjusted: Sum,
}

impl Tally {
    /// Counts a case; a record of an earlier day that stays parked counts nowhere. `None` when a sum does not fit.
    #[must_use]
    pub fn with(mut self, case: &Case, fate: Fate) -> Option<Tally> {
        let amount = case.purchase.amount;
        let is_operator = matches!(fate, Fate::Otherwise(State::OperatorBears, _));
        match (case.parked.is_some(), fate.is_paid()) {
            (false, true) => {
                self.confirmed = self.confirmed.plus(amount)?;
                if is_operator {
                    self.operator = self.operator.plus(amount)?;
                }
            }
            (false, false) => self.refused = self.refused.plus(amount)?,
            (true, true) => {
                self.adjusted = self.adjusted.plus(amount)?;
                if is_operator {
                    self.operator_adjusted = self.operator_adjusted.plus(amount)?;
                }
            }
            (true, false) if matches!(fate, Fate::Otherwise(State::Parked, _)) => {}
            (true, false) => self.adjustment_refused = self.adjustment_refused.plus(amount)?,
        }
        Some(self)
    }

    /// The bill.
    ///
    /// # Errors
    /// [`BillError::Overflow`].
    pub fn bill(
        &self,
        day: Date,
        merchant: MerchantCode,
        industry: u8,
        commission_ppm: u32,
    ) -> Result<Bill, BillError> {
        let overflow = || BillError::Overflow { merchant, day };
        let gross = self.confirmed.amount.checked_add(self.adjusted.amount).ok_or_else(overflow)?;
        let commission = gross.share_ppm(commission_ppm).ok_or_else(overflow)?;
        let net = gross.checked_sub(commission).ok_or_else(overflow)?;
        let operator = self.operator.and(self.operator_adjusted).ok_or_else(overflow)?;
        Ok(Bill {
            day,
            merchant,
            industry,
            confirmed: self.confirmed,
            refused: self.refused,
            adjusted: self.adjusted,
            adjustment_refused: self.adjustment_refused,
            operator,
            commission_ppm,
            commission,
            net,
            state: BillState::Payable,
            payment: None,
        })
    }

    /// The ledger entries of the bill; amounts of nothing make none.
    ///
    /// # Errors
    /// [`BillError`].
    pub fn entries(&self, bill: &Bill, at: DateTime) -> Result<Vec<Entry>, BillError> {
        let payable = payable(&bill.merchant)?;
        let overflow = || BillError::Overflow { merchant: bill.merchant, day: bill.day };
        let less = |all: Sum, part: Sum| all.amount.checked_sub(part.amount).ok_or_else(overflow);
        let wallet = account("2001")?;
        let parts = [
            ("purchase", "PURCHASE", wallet.clone(), payable.clone(), less(self.confirmed, self.operator)?),
            (
                "adjustment",
                "ADJUSTMENT",
                wallet,
                payable.clone(),
                less(self.adjusted, self.operator_adjusted)?,
            ),
            ("lost", "LOST-OPERATOR", account("6711")?, payable.clone(), bill.operator.amount),
            ("commission", "COMMISSION", payable, account("5001")?, bill.commission),
        ];
        let mut entries = Vec::with_capacity(parts.len());
        for (name, event, debit, credit, amount) in parts {
            if !amount.is_zero() {
                let id = entry_id(bill.day, &bill.merchant, name)?;
                let entry = Entry::new(id, bill.day, at, event).debit(debit, amount).credit(credit, amount);
                entries.push(entry.memo(format!("clearing {} of {}", bill.day, bill.merchant)));
            }
        }
        Ok(entries)
    }
}

/// Id of an entry of clearing: `clearing/<day>/<merchant>/<name>`.
pub fn entry_id(day: Date, merchant: &MerchantCode, name: &str) -> Result<EntryId, EntryIdError> {
    EntryId::new(format!("clearing/{}/{merchant}/{name}", day.compact()))
}

/// The account of what a merchant is owed.
pub fn payable(merchant: &MerchantCode) -> Result<AccountCode, AccountError> {
    format!("2202.01/{merchant}").parse()
}

/// A plain account.
pub fn account(code: &str) -> Result<AccountCode, AccountError> {
    code.parse()
}

fn plus(a: Fen, b: Fen) -> Fen {
    Fen::new(a.fen().saturating_add(b.fen()))
}
