//! The bank (合作银行): it keeps its own book of accounts and statement lines, executes transfer files once,
//! and can refuse a payee. Its statement is the third of the three books of the proof.

use std::collections::{BTreeMap, BTreeSet};
use ykt_base::{Date, Fen};
use ykt_files::{PaymentOutcome, PaymentResult, ReturnFile, TransferFile};

/// One movement on an account, as the bank writes it on the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementLine {
    /// Booking day.
    pub day: Date,
    /// Money in (positive) or out (negative), seen by the account's owner.
    pub amount: Fen,
    /// The bank's reference, unique over all its movements.
    pub reference: String,
    /// What it was for.
    pub text: String,
}

/// An account's statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statement {
    /// All movements in the order they were booked.
    pub lines: Vec<StatementLine>,
    /// Balance after the last one.
    pub balance: Fen,
}

/// Why the bank refuses a movement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BankError {
    /// No such account.
    #[error("bank account {account} does not exist")]
    NoAccount {
        /// The account asked for.
        account: String,
    },
    /// The payer has not enough.
    #[error("bank account {account} holds {held}, {asked} is asked")]
    Insufficient {
        /// The paying account.
        account: String,
        /// What it holds.
        held: Fen,
        /// What was asked.
        asked: Fen,
    },
    /// A balance left the range of 2^63 fen.
    #[error("the balance of bank account {account} overflows")]
    Overflow {
        /// The account.
        account: String,
    },
}

/// The simulated bank.
#[derive(Debug, Default)]
pub struct Bank {
    accounts: BTreeMap<String, Statement>,
    closed: BTreeSet<String>,
    references: BTreeSet<String>,
    executed: BTreeMap<String, ReturnFile>,
}

impl Bank {
    /// A bank without accounts.
    #[must_use]
    pub fn new() -> Bank {
        Bank::default()
    }

    /// Opens an account; opening it again changes nothing.
    pub fn open(&mut self, account: &str) {
        self.accounts.entry(account.to_owned()).or_default();
    }

    /// From now on the account takes no payments: a transfer to it fails and is returned.
    pub fn close(&mut self, account: &str) {
        self.closed.insert(account.to_owned());
    }

    /// Takes payments again.
    pub fn reopen(&mut self, account: &str) {
        self.closed.remove(account);
    }

    /// The statement of an account, if there is one.
    #[must_use]
    pub fn statement(&self, account: &str) -> Option<&Statement> {
        self.accounts.get(account)
    }

    /// Brings money in from outside the simulated world (cash, equity, another bank).
    /// The same reference again changes nothing.
    ///
    /// # Errors
    /// [`BankError`] naming the account.
    pub fn deposit(
        &mut self,
        account: &str,
        amount: Fen,
        day: Date,
        reference: &str,
        text: &str,
    ) -> Result<(), BankError> {
        if self.references.contains(reference) {
            return Ok(());
        }
        self.check_in(account, amount)?;
        self.book(account, amount, day, reference, text);
        self.references.insert(reference.to_owned());
        Ok(())
    }

    /// Moves money between two accounts; the same reference again changes nothing.
    ///
    /// # Errors
    /// [`BankError`] naming the account; nothing is moved then.
    pub fn transfer(
        &mut self,
        from: &str,
        to: &str,
        amount: Fen,
        day: Date,
        reference: &str,
        text: &str,
    ) -> Result<(), BankError> {
        if self.references.contains(reference) {
            return Ok(());
        }
        if self.closed.contains(to) {
            return Err(BankError::NoAccount { account: to.to_owned() });
        }
        let held = self.balance(from)?;
        if held < amount {
            return Err(BankError::Insufficient { account: from.to_owned(), held, asked: amount });
        }
        let out = amount.checked_neg().ok_or_else(|| BankError::Overflow { account: from.to_owned() })?;
        self.check_in(to, amount)?;
        self.book(from, out, day, reference, text);
        self.book(to, amount, day, reference, text);
        self.references.insert(reference.to_owned());
        Ok(())
    }

    /// Executes a transfer file, every payment on its own, and answers with the return file. A payment that cannot
    /// be made is returned with the reason. A file that comes again moves nothing and gets the same answer.
    pub fn execute(&mut self, file: &TransferFile, file_name: &str, day: Date) -> ReturnFile {
        if let Some(answer) = self.executed.get(file_name) {
            return answer.clone();
        }
        let mut results = Vec::with_capacity(file.payments.len());
        for payment in &file.payments {
            let reference = format!("{file_name}#{}", payment.record_no);
            let (from, to) = (&file.payer_account, &payment.account);
            let outcome = match self.transfer(from, to, payment.amount, day, &reference, &payment.remark) {
                Ok(()) => PaymentOutcome::Paid { bank_serial: reference },
                Err(error) => PaymentOutcome::Failed { reason: error.to_string() },
            };
            results.push(PaymentResult { record_no: payment.record_no, outcome });
        }
        let answer = ReturnFile { results };
        self.executed.insert(file_name.to_owned(), answer.clone());
        answer
    }

    /// The balance of an account.
    ///
    /// # Errors
    /// [`BankError::NoAccount`] when there is none.
    pub fn balance(&self, account: &str) -> Result<Fen, BankError> {
        self.accounts
            .get(account)
            .map(|statement| statement.balance)
            .ok_or_else(|| BankError::NoAccount { account: account.to_owned() })
    }

    fn check_in(&self, account: &str, amount: Fen) -> Result<(), BankError> {
        let balance = self.balance(account)?;
        balance
            .checked_add(amount)
            .map(|_| ())
            .ok_or_else(|| BankError::Overflow { account: account.to_owned() })
    }

    /// Writes one line; the sum was checked before.
    fn book(&mut self, account: &str, amount: Fen, day: Date, reference: &str, text: &str) {
        if let Some(statement) = self.accounts.get_mut(account)
            && let Some(balance) = statement.balance.checked_add(amount)
        {
            statement.balance = balance;
            statement.lines.push(StatementLine {
                day,
                amount,
                reference: reference.to_owned(),
                text: text.to_owned(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_moves_money_once_and_refusals_move_none() {
        let day: Date = "20260302".parse().unwrap();
        let mut bank = Bank::new();
        bank.open("reserve");
        bank.open("shop");
        bank.deposit("reserve", Fen::new(500), day, "in-1", "cash").unwrap();
        bank.deposit("reserve", Fen::new(500), day, "in-1", "cash").unwrap();
        assert_eq!(bank.balance("reserve"), Ok(Fen::new(500)));
        for _ in 0..2 {
            bank.transfer("reserve", "shop", Fen::new(200), day, "t-1", "bill").unwrap();
        }
        assert_eq!(bank.balance("shop"), Ok(Fen::new(200)));
        bank.close("shop");
        assert!(bank.transfer("reserve", "shop", Fen::new(1), day, "t-2", "bill").is_err());
        bank.reopen("shop");
        assert!(bank.transfer("reserve", "shop", Fen::new(301), day, "t-3", "bill").is_err());
        assert_eq!(bank.balance("reserve"), Ok(Fen::new(300)));
        assert_eq!(bank.statement("shop").unwrap().lines.len(), 1);
    }
}
