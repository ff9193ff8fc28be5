//! What the log of a card that came back says of a debit whose answer was lost (防拔, `epurse.md` 4.9).

use crate::record::Debit;
use ykt_purse::log::{LogRecord, logged_counter};
use ykt_purse::{Purse, TransactionType};

/// What the log tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The debit happened and is the card's last transaction: its proof is still there.
    Latest,
    /// The debit happened, but other transactions followed: its proof is gone.
    Older,
    /// The debit did not happen.
    Absent,
    /// The log is too short to tell.
    Unknown,
}

/// Reads the log, newest first, of which `capacity` records would be all it can hold.
///
/// A purchase raises the offline counter by one and the log stores the value after: the record with the
/// debit's counter plus one is either this debit or proves that another one took its place.
pub(crate) fn evidence(purse: Purse, debit: &Debit, log: &[LogRecord], capacity: usize) -> Evidence {
    let Some(expected) = logged_counter(debit.counter) else { return Evidence::Unknown };
    for (age, record) in log.iter().enumerate() {
        if !counts_offline(purse, record.transaction) || record.counter > expected {
            continue;
        }
        let ours = record.counter == expected
            && record.transaction == purchase_type(purse)
            && record.terminal == debit.terminal
            && record.amount.fen() == debit.amount
            && record.at == debit.at;
        return match (ours, age) {
            (true, 0) => Evidence::Latest,
            (true, _) => Evidence::Older,
            (false, _) => Evidence::Absent,
        };
    }
    // A log that is not full has the purse's whole history; a deposit may keep its log in another file.
    if purse == Purse::Ep && log.len() < capacity { Evidence::Absent } else { Evidence::Unknown }
}

/// The type of a purchase from a purse.
pub(crate) const fn purchase_type(purse: Purse) -> TransactionType {
    match purse {
        Purse::Ed => TransactionType::EdPurchase,
        Purse::Ep => TransactionType::EpPurchase,
    }
}

/// Whether the offline counter of this purse numbers it.
fn counts_offline(purse: Purse, transaction: TransactionType) -> bool {
    match purse {
        Purse::Ed => matches!(
            transaction,
            TransactionType::EdPurchase | TransactionType::EdCashWithdraw | TransactionType::EdGreyLock
        ),
        Purse::Ep => matches!(
            transaction,
            TransactionType::EpPurchase | TransactionType::CompositePurchase | TransactionType::EpGreyLock
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::debit;
    use ykt_base::{CardCounter, TerminalId};
    use ykt_purse::{OverdraftLimit, PurseFen};

    /// The pending debit has counter 7 and 1.50 yuan.
    fn record(transaction: TransactionType, counter: u16, terminal: u8) -> LogRecord {
        let debit = debit(1, "20261122080000");
        let mut id = debit.terminal;
        id.0[5] = terminal;
        LogRecord {
            counter: CardCounter(counter),
            overdraft: OverdraftLimit::NONE,
            amount: PurseFen::try_from(debit.amount).unwrap(),
            transaction,
            terminal: TerminalId(id.0),
            at: debit.at,
        }
    }

    #[test]
    fn every_shape_of_log() {
        let paid = |counter, terminal| record(TransactionType::EpPurchase, counter, terminal);
        let load = record(TransactionType::EpLoad, 8, 9);
        let judge = |log: &[LogRecord]| evidence(Purse::Ep, &debit(1, "20261122080000"), log, 3);
        assert_eq!(judge(&[paid(8, 2), paid(7, 2)]), Evidence::Latest);
        assert_eq!(judge(&[load, paid(8, 2)]), Evidence::Older, "a load takes the place of the proof");
        assert_eq!(judge(&[paid(9, 5), paid(8, 2)]), Evidence::Older);
        assert_eq!(judge(&[paid(7, 2)]), Evidence::Absent, "the counter has not moved");
        assert_eq!(judge(&[paid(8, 5)]), Evidence::Absent, "another terminal took the counter");
        assert_eq!(judge(&[]), Evidence::Absent, "nothing ever happened");
        assert_eq!(judge(&[load]), Evidence::Absent, "whole history, no purchase");
        assert_eq!(judge(&[load, load, load]), Evidence::Unknown, "full of loads");
        assert_eq!(judge(&[paid(11, 5), paid(10, 5), paid(9, 5)]), Evidence::Unknown, "scrolled out");
        let mut other_amount = paid(8, 2);
        other_amount.amount = PurseFen::ZERO;
        assert_eq!(judge(&[other_amount]), Evidence::Absent);
        let deposit = |log: &[LogRecord]| evidence(Purse::Ed, &debit(1, "20261122080000"), log, 3);
        assert_eq!(deposit(&[record(TransactionType::EdPurchase, 8, 2)]), Evidence::Latest);
        assert_eq!(deposit(&[paid(8, 2)]), Evidence::Unknown, "the purse has a counter of its own");
    }
}
