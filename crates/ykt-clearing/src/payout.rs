//! Paying merchants: a transfer file per clearing day with one payment per merchant, and the bank's answer.
//!
//! A payment takes every bill of its merchant that is not paid, those whose payment failed before too. Nothing
//! is booked until the bank says it paid; what it did not pay is owed as before and goes into the next file.

use crate::bill::{self, BillError, BillState};
use crate::chain;
use crate::clearing::Clearing;
use crate::day::CloseError;
use crate::policy::Policy;
use crate::store::bills;
use ykt_base::{Date, DateTime, Fen, MerchantCode};
use ykt_files::{PayChannel, PayeeKind, Payment, PaymentOutcome, ReturnFile, TransferFile, XmlError};
use ykt_ledger::{Entry, PostError};
use ykt_office::Registers;
use ykt_office::merchants;
use ykt_store::{StoreError, Tx};

ykt_store::coded! {
    /// How far a payment is.
    PaymentState {
        /// The bank has not answered.
        Sent = 2, "sent to the bank";
        /// Paid.
        Paid = 3, "paid";
        /// Not paid.
        Failed = 5, "failed";
    }
}

/// A transfer file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRow {
    /// Number.
    pub id: i64,
    /// Clearing day it pays.
    pub day: Date,
    /// Day the bank is to pay.
    pub pay_day: Date,
    /// Name of the file, by which the bank's answer finds it: `PAY20261122.xml`.
    pub name: String,
    /// Account the money comes from.
    pub payer_account: String,
}

impl TransferRow {
    /// What the payees' statements show.
    #[must_use]
    pub fn remark(&self) -> String {
        format!("clearing {}", self.day)
    }
}

/// A payment with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// Merchant that is paid.
    pub merchant: MerchantCode,
    /// The payment.
    pub payment: Payment,
    /// How far it is.
    pub state: PaymentState,
    /// Serial number of the bank; empty until it paid.
    pub bank_serial: String,
    /// Why the bank did not pay; empty otherwise.
    pub reason: String,
    /// When the bank's answer came.
    pub settled_at: Option<DateTime>,
}

/// The bank's answer to a transfer file cannot be taken; nothing of it was booked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReturnError {
    /// It is no return file.
    #[error("return file: {0}")]
    Content(#[from] XmlError),
    /// No transfer file has that name.
    #[error("no transfer file is named \"{name}\"")]
    UnknownTransfer {
        /// The name.
        name: String,
    },
    /// It names a record that the transfer file does not have.
    #[error("return file of {name}: record {record_no} is not in the transfer file")]
    UnknownRecord {
        /// Name of the transfer file.
        name: String,
        /// The record.
        record_no: u32,
    },
    /// It says of a record something else than the bank said before.
    #[error("return file of {name}: record {record_no} was {before} before, now it is {now}; ask the bank")]
    Contradiction {
        /// Name of the transfer file.
        name: String,
        /// The record.
        record_no: u32,
        /// What the bank said before.
        before: PaymentState,
        /// What it says now.
        now: PaymentState,
    },
    /// An entry cannot be made.
    #[error(transparent)]
    Entry(#[from] BillError),
    /// The ledger refused an entry.
    #[error(transparent)]
    Post(#[from] PostError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a return file brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BankReturned {
    /// Payments that are paid now.
    pub paid: u32,
    /// Their sum.
    pub paid_amount: Fen,
    /// Payments that failed now.
    pub failed: u32,
    /// Their sum.
    pub failed_amount: Fen,
    /// Payments of which the bank had said the same before.
    pub repeated: u32,
}

/// Makes the transfer of a day from all bills that are to be paid; a merchant whose bills come to nothing, or
/// that has no account of ours to be paid into, is carried over.
pub fn make_transfer(
    tx: &Tx<'_>,
    day: Date,
    registers: &Registers,
    policy: &Policy,
) -> Result<(), CloseError> {
    let payable = bills::payable(tx, day)?;
    let pay_day = day.plus_days(1).ok_or(CloseError::Calendar { day })?;
    let row = TransferRow {
        id: bills::next_transfer_id(tx)?,
        day,
        pay_day,
        name: format!("PAY{}.xml", day.compact()),
        payer_account: policy.payer_account.clone(),
    };
    let mut record_no = 0u32;
    for of_merchant in payable.chunk_by(|a, b| a.merchant == b.merchant) {
        let Some(first) = of_merchant.first() else { continue };
        let overflow = || BillError::Overflow { merchant: first.merchant, day };
        let amount = Fen::checked_sum(of_merchant.iter().map(|bill| bill.net)).ok_or_else(overflow)?;
        let contract = chain::settling_contract(registers, &first.merchant, day);
        let Some(contract) = contract.filter(|_| Fen::ZERO < amount) else {
            continue;
        };
        record_no = record_no.saturating_add(1);
        if record_no == 1 {
            bills::insert_transfer(tx, &row)?;
        }
        let account = &contract.account;
        let payment = Payment {
            record_no,
            account: account.account_no.clone(),
            account_name: account.account_name.clone(),
            bank_name: account.bank.clone(),
            bank_id: account.bank_id.clone(),
            payee: match account.payee {
                merchants::PayeeKind::Company => PayeeKind::Company,
                merchants::PayeeKind::Private => PayeeKind::Private,
            },
            amount,
            channel: match account.bank == policy.payer_bank {
                true => PayChannel::SameBank,
                false => PayChannel::InterBank,
            },
            remark: row.remark(),
        };
        bills::insert_payment(tx, row.id, &first.merchant, &payment)?;
        for bill in of_merchant {
            bills::bill_sent(tx, bill, row.id, record_no)?;
        }
    }
    Ok(())
}

/// The transfer file of a transfer.
pub fn file_of(tx: &Tx<'_>, row: &TransferRow) -> Result<TransferFile, StoreError> {
    let payments = bills::payments(tx, row)?.into_iter().map(|paid| paid.payment).collect();
    Ok(TransferFile { payer_account: row.payer_account.clone(), payments })
}

impl Clearing {
    /// Takes the bank's answer to the transfer file `name`: what was paid is booked on ledger day `day`, what
    /// failed is owed as before. All of it or nothing; the same answer again changes nothing.
    ///
    /// # Errors
    /// [`ReturnError`].
    pub fn bank_return(
        &self,
        name: &str,
        bytes: &[u8],
        day: Date,
        at: DateTime,
    ) -> Result<BankReturned, ReturnError> {
        let file = ReturnFile::parse(bytes)?;
        self.store().write(|tx| {
            let unknown = || ReturnError::UnknownTransfer { name: name.to_owned() };
            let row = bills::transfer_named(tx, name)?.ok_or_else(unknown)?;
            let payments = bills::payments(tx, &row)?;
            let mut done = BankReturned::default();
            let mut entries = Vec::new();
            for result in &file.results {
                let record_no = result.record_no;
                let unknown = || ReturnError::UnknownRecord { name: name.to_owned(), record_no };
                let paid =
                    payments.iter().find(|paid| paid.payment.record_no == record_no).ok_or_else(unknown)?;
                let (now, serial, reason) = match &result.outcome {
                    PaymentOutcome::Paid { bank_serial } => (PaymentState::Paid, bank_serial.as_str(), ""),
                    PaymentOutcome::Failed { reason } => (PaymentState::Failed, "", reason.as_str()),
                };
                let before = paid.state;
                if before == now {
                    done.repeated = done.repeated.saturating_add(1);
                    continue;
                }
                if before != PaymentState::Sent {
                    return Err(ReturnError::Contradiction { name: name.to_owned(), record_no, before, now });
                }
                let amount = paid.payment.amount;
                bills::settle_payment(tx, row.id, record_no, now, serial, reason, at)?;
                if now == PaymentState::Paid {
                    bills::bills_settled(tx, row.id, record_no, BillState::Paid)?;
                    entries.push(payout(&row, &paid.merchant, amount, day, at)?);
                    done.paid = done.paid.saturating_add(1);
                    done.paid_amount = Fen::new(done.paid_amount.fen().saturating_add(amount.fen()));
                } else {
                    bills::bills_settled(tx, row.id, record_no, BillState::Failed)?;
                    done.failed = done.failed.saturating_add(1);
                    done.failed_amount = Fen::new(done.failed_amount.fen().saturating_add(amount.fen()));
                }
            }
            ykt_ledger::post(tx, &entries)?;
            Ok(done)
        })
    }
}

fn payout(
    row: &TransferRow,
    merchant: &MerchantCode,
    amount: Fen,
    day: Date,
    at: DateTime,
) -> Result<Entry, BillError> {
    let entry = Entry::new(bill::entry_id(row.day, merchant, "payout")?, day, at, "PAYOUT")
        .debit(bill::payable(merchant)?, amount)
        .credit(bill::account("1002.01")?, amount);
    Ok(entry.memo(format!("{} paid to {merchant}", row.name)))
}
