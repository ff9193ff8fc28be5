//! Merchants and their contracts: who is paid, how much commission is kept, and into which account.
//!
//! A contract is valid over days and never overwritten: a late record is settled by the contract of its
//! clearing day, and an old bill can be explained.

mod store;

use ykt_base::{Date, MerchantCode};

pub(crate) use store::all;
pub use store::{agree, list, merchant, register};

ykt_store::coded! {
    /// Who owns a payee account (`payeeCifType` of the bank transfer file, `clearing.md` 6.2 C).
    PayeeKind {
        /// A company.
        Company = 1, "company";
        /// A private person.
        Private = 2, "private person";
    }
}

/// The bank account a merchant is paid into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayeeAccount {
    /// Name of the bank's branch (开户行).
    pub bank: String,
    /// The bank's clearing number (联行号).
    pub bank_id: String,
    /// Account number.
    pub account_no: String,
    /// Name the account is held in.
    pub account_name: String,
    /// Who holds it.
    pub payee: PayeeKind,
}

/// What was agreed with a merchant for some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// First clearing day.
    pub from: Date,
    /// Last clearing day; `None` while it lasts.
    pub until: Option<Date>,
    /// Commission in parts per million of a bill, rounded half up once per bill.
    pub commission_ppm: u32,
    /// Where the money goes.
    pub account: PayeeAccount,
}

impl Contract {
    /// Whether the contract is in force on `day`.
    #[must_use]
    pub fn covers(&self, day: Date) -> bool {
        self.from <= day && self.until.is_none_or(|until| day <= until)
    }
}

/// A merchant without its contracts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMerchant {
    /// Merchant code.
    pub code: MerchantCode,
    /// Name in Chinese.
    pub name_zh: String,
    /// Name in English.
    pub name_en: String,
    /// Industry (行业), 0 to 99, as in file names: 01 bus, ...
    pub industry: u8,
    /// Postal address, for bills.
    pub address: String,
}

/// A merchant of the register with its contracts, oldest first, no two over one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MerchantRow {
    /// Who it is.
    pub merchant: NewMerchant,
    /// Its contracts, oldest first.
    pub contracts: Vec<Contract>,
}

impl MerchantRow {
    /// The contract in force on `day`.
    #[must_use]
    pub fn contract_on(&self, day: Date) -> Option<&Contract> {
        self.contracts.iter().find(|contract| contract.covers(day))
    }
}

/// Which merchants a list shows; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MerchantFilter {
    /// Part of the code or of a name.
    pub text: Option<String>,
    /// Industry.
    pub industry: Option<u8>,
}

/// What a list of merchants can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MerchantSort {
    /// Merchant code.
    #[default]
    Code,
    /// Name in Chinese.
    NameZh,
    /// Name in English.
    NameEn,
    /// Industry.
    Industry,
}
