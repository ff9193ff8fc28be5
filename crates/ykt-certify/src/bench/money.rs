//! The books of a purse, held against what the card says: balance, log, proof, counters. And the money it takes to
//! stand on: loaded when it is missing, paid when it is too much.

use super::books::{Done, PurseBooks};
use super::faults::{fen, no_earlier};
use super::{BALANCE, Bench, Finding, STATUS, Stop, agree, encoded, lacks_key, same};
use crate::action::{CounterName, KeyName, MacFault, PinChoice, ProofCounter, Transaction};
use crate::template::Masked;
use crate::words::Words;
use ykt_base::hex::Hex;
use ykt_base::{CardCounter, StatusWord};
use ykt_purse::command;
use ykt_purse::log::RECORD_LEN;
use ykt_purse::prove::ProveTransaction;
use ykt_purse::{Purse, PurseFen};

/// Most payments it takes to use up a counter.
const USE_UP_MAX: usize = 64;
/// Most records of a log that are compared.
const LOG_MAX: usize = 10;
/// Where a log record shows the overdraft limit.
const LIMIT: std::ops::Range<usize> = 2..5;

const LOG: (&str, &str) = ("log record", "交易明细");
const PROOF: (&str, &str) = ("proof (MAC and TAC)", "交易认证（MAC 与 TAC）");

impl Bench<'_> {
    pub(super) fn balance(&mut self, purse: Purse, sw: &Words) -> Result<StatusWord, Stop> {
        let response = self.demand("GET BALANCE", encoded(&command::balance(purse)), sw)?;
        if response.sw().is_ok() {
            let found = <[u8; 4]>::try_from(response.data()).ok().and_then(PurseFen::from_bytes);
            let found =
                found.ok_or_else(|| Finding::new(BALANCE, "4 bytes up to 7FFFFFFF", Hex(response.data())))?;
            agree(BALANCE, &mut self.books.of(purse).balance, found)?;
        }
        Ok(response.sw())
    }

    /// The transactions of this case, as the log must show them.
    pub(super) fn log(&mut self, purse: Purse) -> Result<StatusWord, Stop> {
        let sfi = match purse {
            Purse::Ed => self.desk.settings.log_ed,
            Purse::Ep => self.desk.settings.log_ep,
        };
        let done: Vec<Done> = self.books.of(purse).done.iter().rev().take(LOG_MAX).copied().collect();
        for (number, done) in (1..).zip(done) {
            let read = command::read_record(number, sfi, u16::try_from(RECORD_LEN).unwrap_or(0));
            let response = self.demand("READ RECORD of the log", encoded(&read), &Words::ok())?;
            let mut expected = done.record.to_bytes();
            if let (false, Some(found)) = (done.is_limit_known, response.data().get(LIMIT)) {
                expected[LIMIT].copy_from_slice(found);
            }
            same(LOG, Hex(&expected).to_string(), Hex(response.data()).to_string())?;
        }
        Ok(StatusWord::OK)
    }

    pub(super) fn proof(
        &mut self,
        purse: Purse,
        counter: ProofCounter,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        let done = self.books.of(purse).done.last().copied();
        let done = done.ok_or_else(|| no_earlier("transaction"))?;
        let counter = match counter {
            ProofCounter::After => done.used.next().unwrap_or(done.used),
            ProofCounter::Used => done.used,
            ProofCounter::Before => CardCounter(done.used.0.wrapping_sub(1)),
            ProofCounter::Other => CardCounter(done.used.0.wrapping_add(0x4000)),
        };
        let ask = ProveTransaction { transaction: done.transaction, counter };
        let response = self.demand("GET TRANSACTION PROVE", Masked::open(&ask.to_apdu()), sw)?;
        if response.sw().is_ok() {
            let expected = done.proof.to_bytes();
            // Some cards give the TAC of a load alone.
            let is_tac = done.transaction.counts_online() && response.data() == done.proof.tac.as_bytes();
            if response.data() != expected && !is_tac {
                return Err(Finding::new(PROOF, Hex(&expected), Hex(response.data())).into());
            }
        }
        Ok(response.sw())
    }

    /// Balance, log, proof and counters.
    pub(super) fn all_books(&mut self, purse: Purse) -> Result<StatusWord, Stop> {
        self.balance(purse, &Words::ok())?;
        self.log(purse)?;
        let PurseBooks { balance, online, offline, done, .. } = self.books.of(purse).clone();
        if !done.is_empty() {
            self.proof(purse, ProofCounter::After, &Words::ok())?;
        }
        let any = Words::any();
        if offline.is_some_and(|counter| counter.next().is_some())
            && balance.is_some_and(|fen| !fen.is_zero())
        {
            self.initialize(Transaction::Purchase, purse, 1, None, &any)?;
        }
        if online.is_some_and(|counter| counter.next().is_some()) {
            self.initialize(Transaction::Load, purse, 1, None, &any)?;
        }
        Ok(StatusWord::OK)
    }

    /// Loads what is missing; afterwards power was off and the application is selected.
    pub(super) fn fund(&mut self, purse: Purse, amount: u32) -> Result<StatusWord, Stop> {
        let (wanted, there) = (fen(amount)?, self.money(purse)?);
        if let Some(missing) = wanted.checked_sub(there).filter(|missing| !missing.is_zero()) {
            self.move_money(Transaction::Load, purse, missing)?;
        }
        self.start()?;
        Ok(StatusWord::OK)
    }

    /// Pays what is too much; afterwards power was off and the application is selected.
    pub(super) fn drain(&mut self, purse: Purse, amount: u32) -> Result<StatusWord, Stop> {
        let (wanted, there) = (fen(amount)?, self.money(purse)?);
        if let Some(excess) = there.checked_sub(wanted).filter(|excess| !excess.is_zero()) {
            self.move_money(Transaction::Purchase, purse, excess)?;
        }
        self.start()?;
        Ok(StatusWord::OK)
    }

    /// Loads or pays until the purse holds this much.
    ///
    /// # Errors
    /// [`Stop`] when keys are missing or the card refuses.
    pub fn bring_to(&mut self, purse: Purse, wanted: PurseFen) -> Result<(), Stop> {
        let wanted = u32::from_be_bytes(wanted.to_bytes());
        self.fund(purse, wanted)?;
        self.drain(purse, wanted).map(drop)
    }

    /// How many transactions the card has finished.
    #[must_use]
    pub fn finished(&mut self) -> usize {
        [Purse::Ed, Purse::Ep].into_iter().map(|purse| self.books.of(purse).done.len()).sum()
    }

    /// The balance, with the PIN shown when the card asks for it.
    ///
    /// # Errors
    /// [`Stop`] when it cannot be read.
    pub fn money(&mut self, purse: Purse) -> Result<PurseFen, Stop> {
        let command = encoded(&command::balance(purse));
        if self.transmit("GET BALANCE", command)?.sw() == StatusWord::SECURITY_STATUS {
            self.verify(PinChoice::Right, &Words::ok())?;
        }
        self.balance(purse, &Words::ok())?;
        let known = self.books.of(purse).balance;
        known.ok_or_else(|| Finding::new(BALANCE, "a balance", "none").into())
    }

    /// Loads or pays, with the PIN shown when the card asks for it.
    fn move_money(&mut self, transaction: Transaction, purse: Purse, amount: PurseFen) -> Result<(), Stop> {
        let amount = u32::from_be_bytes(amount.to_bytes());
        let needed: &[KeyName] = match transaction {
            Transaction::Load => &[KeyName::Dlk, KeyName::Dtk],
            _ => &[KeyName::Dpk, KeyName::Dtk],
        };
        let settings = self.desk.settings;
        for name in needed {
            self.key(*name, name.index(settings), settings.version).map_err(|_| lacks_key(*name))?;
        }
        let mut sw = self.initialize(transaction, purse, amount, None, &Words::any())?;
        if sw == StatusWord::SECURITY_STATUS {
            self.verify(PinChoice::Right, &Words::ok())?;
            sw = self.initialize(transaction, purse, amount, None, &Words::any())?;
        }
        if !sw.is_ok() {
            return Err(Finding::new(STATUS, Words::ok(), sw).into());
        }
        match transaction {
            Transaction::Load => self.credit(MacFault::None, &Words::ok()),
            _ => self.debit(MacFault::None, &Words::ok()),
        }
        .map(drop)
    }

    pub(super) fn use_up(&mut self, purse: Purse, counter: CounterName) -> Result<StatusWord, Stop> {
        let transaction = match counter {
            CounterName::Online => Transaction::Load,
            CounterName::Offline => Transaction::Purchase,
        };
        for _ in 0..USE_UP_MAX {
            let sw = self.initialize(transaction, purse, 1, None, &Words::any())?;
            match sw {
                StatusWord::COUNTER_AT_MAXIMUM => return Ok(sw),
                StatusWord::SECURITY_STATUS => self.verify(PinChoice::Right, &Words::ok())?,
                StatusWord::OK if transaction == Transaction::Load => {
                    self.credit(MacFault::None, &Words::ok())?
                }
                StatusWord::OK => self.debit(MacFault::None, &Words::ok())?,
                _ => return Err(Finding::new(STATUS, StatusWord::COUNTER_AT_MAXIMUM, sw).into()),
            };
        }
        Err(Finding::new(STATUS, StatusWord::COUNTER_AT_MAXIMUM, "no end of the counter").into())
    }
}
