//! Grey lock: the bench plays pump and PSAM. The lock outlives the power, so its end may come in another session.

use super::books::Lock;
use super::faults::{Kind, Opened, Session, Terms, faulty_mac, fen, no_earlier, no_meaning};
use super::purse::{Begun, LENGTH, MAC1, MAC2, MAC3, TAC, other};
use super::{ANSWER, BALANCE, Bench, Finding, OFFLINE, ONLINE, Stop, agree, same};
use crate::action::{KeyName, LockProofForm, MacFault};
use crate::template::Masked;
use crate::words::Words;
use ykt_base::hex::Hex;
use ykt_base::{KeyIndex, Random4, StatusWord, TerminalSeq};
use ykt_purse::grey::{
    self, DebitForUnlock, GetLockProof, GreyLock, GreyUnlock, InitializeForGreyLock, InitializeForGreyUnlock,
    LockAnswer, LockPurse, LockStage, OnlineUnlock, PROOF_LEN, UnlockOffer,
};
use ykt_purse::prove::Proof;
use ykt_purse::purchase;
use ykt_purse::{Purse, PurseFen};

/// The random number of the bench's PSAM.
const TERMINAL_RANDOM: Random4 = Random4([0x3A, 0x3B, 0x3C, 0x3D]);

const GTAC: (&str, &str) = ("GTAC", "GTAC");
const LOCK_PROOF: (&str, &str) = ("lock proof: state, terminal, MAC", "灰锁证明：状态、终端号、MAC");

impl Bench<'_> {
    pub(super) fn initialize_lock(
        &mut self,
        key_index: KeyIndex,
        lock: GreyLock,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        let command = Masked::open(&InitializeForGreyLock { key_index, lock }.to_apdu());
        let Some(answer) = self.opened("INITIALIZE FOR GREY LOCK", command, lock.purse, sw)? else {
            return Ok(self.last_sw);
        };
        self.begun.push(Begun::Lock(lock, answer));
        Ok(StatusWord::OK)
    }

    /// GREY LOCK of the lock begun last; without one, of a lock that nobody began.
    pub(super) fn grey_lock(&mut self, fault: MacFault, sw: &Words) -> Result<StatusWord, Stop> {
        let (newest, old) = self.latest(|begun| match begun {
            Begun::Lock(lock, answer) => Some((*lock, *answer)),
            _ => None,
        });
        let settings = self.desk.settings;
        let nothing =
            || (GreyLock { purse: settings.purse, terminal: settings.terminal }, self.no_purchase_answer());
        let (lock, answer) = newest.unwrap_or_else(nothing);
        let (sequence, at) = (self.next_sequence(), self.desk.at);
        let opened = Opened {
            key: KeyName::Dpk,
            initialize: "INITIALIZE FOR GREY LOCK",
            now: answer.into(),
            old: old.map(|(_, answer)| answer.into()),
        };
        let session = |session| {
            self.terminal_session(&opened, sequence, session, |key, offer, sequence| {
                grey::session_key(key, offer.random, offer.counter, sequence, TERMINAL_RANDOM)
            })
        };
        let right = session(Session::Right)?;
        let terms = Terms { amount: PurseFen::ZERO, terminal: lock.terminal, at, kind: Kind::Right };
        let mac1 = faulty_mac(fault, terms, session, |session, terms| {
            let purse = if terms.kind == Kind::Right { lock.purse } else { other(lock.purse) };
            grey::mac1(session, &GreyLock { purse, terminal: terms.terminal }, terms.at)
        })?;
        let command = LockPurse { sequence, terminal_random: TERMINAL_RANDOM, at, mac1 };
        let response = self.demand("GREY LOCK", Masked::open(&command.to_apdu()), sw)?;
        if response.sw().is_ok() {
            let given = LockAnswer::from_bytes(response.data())
                .ok_or_else(|| Finding::new(ANSWER, "GTAC and MAC2, 8 bytes", Hex(response.data())))?;
            let mac2 = grey::mac2(&right, answer.balance, answer.counter);
            let tac_key = self.tac_key(answer.algorithm)?;
            let gtac = grey::gtac(&tac_key, &lock, answer.balance, answer.counter, sequence, at);
            same(MAC2, mac2, given.mac2)?;
            same(GTAC, gtac, given.gtac)?;
            let books = self.books.of(lock.purse);
            books.offline = answer.counter.next();
            let (stage, terminal_random) = (LockStage::Locked, TERMINAL_RANDOM);
            books.lock = Some(Lock { answer, sequence, terminal_random, stage, mac: gtac });
            let proof = Proof { mac2, tac: gtac };
            self.book(lock.purse, lock.transaction_type(), answer.counter, PurseFen::ZERO, proof);
        }
        Ok(response.sw())
    }

    /// DEBIT FOR UNLOCK of the lock of this case.
    pub(super) fn debit_for_unlock(
        &mut self,
        amount: u32,
        purse: Purse,
        fault: MacFault,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        let amount = fen(amount)?;
        let known = self.books.of(purse).lock;
        let none = Lock {
            answer: self.no_purchase_answer(),
            sequence: TerminalSeq(0),
            terminal_random: TERMINAL_RANDOM,
            stage: LockStage::Locked,
            mac: ykt_base::Mac4([0; 4]),
        };
        let lock = known.unwrap_or(none);
        let answer = lock.answer;
        let (terminal, at) = (self.desk.settings.terminal, self.desk.at);
        let session = |session| {
            let name = match session {
                Session::Right => KeyName::Dpk,
                Session::OtherKey => KeyName::Dtk,
                // A purchase's session is what a PSAM without its random number would take.
                Session::Old => {
                    let key = self.transaction_key(KeyName::Dpk, answer.key_version, answer.algorithm)?;
                    return Ok(purchase::session_key(&key, answer.random, answer.counter, lock.sequence));
                }
                Session::OtherSequence => return Err(no_meaning("DEBIT FOR UNLOCK")),
            };
            let key = self.transaction_key(name, answer.key_version, answer.algorithm)?;
            Ok(grey::session_key(&key, answer.random, answer.counter, lock.sequence, lock.terminal_random))
        };
        let terms = Terms { amount, terminal, at, kind: Kind::Right };
        let gmac = faulty_mac(fault, terms, session, |session, terms| grey::gmac(session, terms.amount))?;
        let counter = answer.counter.next().unwrap_or(answer.counter);
        let sequence = self.next_sequence();
        let debit = DebitForUnlock { purse, amount, counter, terminal, sequence, at, gmac };
        let response = self.demand("DEBIT FOR UNLOCK", Masked::open(&debit.to_apdu()), sw)?;
        if response.sw().is_ok() {
            let balance = answer.balance.checked_sub(amount);
            let balance = balance.ok_or_else(|| Finding::new(BALANCE, "not below zero", "below zero"))?;
            let tac = grey::tac(&self.tac_key(answer.algorithm)?, &debit);
            same(TAC, Hex(tac.as_bytes()).to_string(), Hex(response.data()).to_string())?;
            let books = self.books.of(purse);
            books.balance = Some(balance);
            books.lock = Some(Lock { stage: LockStage::Debited, mac: tac, ..lock });
            self.book(purse, grey::debit_type(purse), answer.counter, amount, Proof::of_tac(tac));
        }
        Ok(response.sw())
    }

    pub(super) fn initialize_unlock(
        &mut self,
        key_index: KeyIndex,
        purse: Purse,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        let unlock = OnlineUnlock { purse, terminal: self.desk.settings.terminal };
        let command = Masked::open(&InitializeForGreyUnlock { key_index, unlock }.to_apdu());
        let response = self.demand("INITIALIZE FOR GREY UNLOCK", command, sw)?;
        if !response.sw().is_ok() {
            return Ok(response.sw());
        }
        let answer = UnlockOffer::from_bytes(response.data());
        let answer = answer.ok_or_else(|| Finding::new(LENGTH, "18 bytes", Hex(response.data())))?;
        let books = self.books.of(purse);
        agree(BALANCE, &mut books.balance, answer.balance)?;
        agree(OFFLINE, &mut books.offline, answer.offline)?;
        agree(ONLINE, &mut books.online, answer.online)?;
        let dugk = self.transaction_key(KeyName::Dugk, answer.key_version, answer.algorithm)?;
        let session = grey::unlock_session_key(&dugk, answer.random, answer.online);
        same(MAC1, grey::unlock_mac1(&session, answer.balance, answer.offline, &unlock), answer.mac1)?;
        self.begun.push(Begun::Unlock(unlock, answer));
        Ok(response.sw())
    }

    /// GREY UNLOCK of the online unlock begun last.
    pub(super) fn grey_unlock(
        &mut self,
        amount: u32,
        fault: MacFault,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        let amount = fen(amount)?;
        let (newest, old) = self.latest(|begun| match begun {
            Begun::Unlock(unlock, answer) => Some((*unlock, *answer)),
            _ => None,
        });
        let (unlock, answer) = newest.ok_or_else(|| no_earlier("INITIALIZE FOR GREY UNLOCK"))?;
        let (purse, at) = (unlock.purse, self.desk.at);
        let opened = Opened {
            key: KeyName::Dugk,
            initialize: "INITIALIZE FOR GREY UNLOCK",
            now: answer.into(),
            old: old.map(|(_, answer)| answer.into()),
        };
        let session = |session| self.host_session(&opened, session);
        let right = session(Session::Right)?;
        let terms = Terms { amount, terminal: unlock.terminal, at, kind: Kind::Right };
        let mac2 = faulty_mac(fault, terms, session, |session, terms| {
            let purse = if terms.kind == Kind::Right { purse } else { other(purse) };
            let unlock = OnlineUnlock { purse, terminal: terms.terminal };
            grey::unlock_mac2(session, terms.amount, &unlock, terms.at)
        })?;
        let command = GreyUnlock { purse: Some(purse), amount, at, mac2 }.to_apdu();
        let response = self.demand("GREY UNLOCK", Masked::open(&command), sw)?;
        if response.sw().is_ok() {
            let balance = answer.balance.checked_sub(amount);
            let balance = balance.ok_or_else(|| Finding::new(BALANCE, "not below zero", "below zero"))?;
            let mac3 = grey::unlock_mac3(&right, balance, answer.online, amount, &unlock, at);
            same(MAC3, Hex(mac3.as_bytes()).to_string(), Hex(response.data()).to_string())?;
            let books = self.books.of(purse);
            (books.balance, books.online, books.lock) = (Some(balance), answer.online.next(), None);
            let proof = Proof::of_mac3(mac3);
            self.book(purse, unlock.transaction_type(), answer.online, amount, proof);
        }
        Ok(response.sw())
    }

    /// GET LOCK PROOF: zeros of a card that is free; else state, terminal and MAC. What stands between is the card
    /// system's own.
    pub(super) fn lock_proof(&mut self, purse: Purse, form: LockProofForm) -> Result<StatusWord, Stop> {
        let command = Masked::open(&GetLockProof(form.into()).to_apdu());
        let response = self.demand("GET LOCK PROOF", command, &Words::ok())?;
        let data = response.data();
        let lock = self.books.of(purse).lock;
        let mut expected = vec![0; PROOF_LEN];
        if let (Some(lock), PROOF_LEN) = (lock, data.len()) {
            expected.copy_from_slice(data);
            expected[0] = lock.stage.code();
            expected[9..15].copy_from_slice(self.desk.settings.terminal.as_bytes());
            expected[26..30].copy_from_slice(lock.mac.as_bytes());
        }
        same(LOCK_PROOF, Hex(&expected).to_string(), Hex(data).to_string())?;
        let is_read = form == LockProofForm::Acknowledge;
        let books = self.books.of(purse);
        books.lock = books.lock.filter(|lock| !(is_read && lock.stage == LockStage::Debited));
        Ok(response.sw())
    }
}
