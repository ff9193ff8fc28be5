//! A purse in memory, and what every transaction does with it: open, check the holder and the key, write the end
//! of it in one piece.
//!
//! Body: balance (4), online counter (2), offline counter (2), overdraft limit (3), lock state (1), then the last
//! proof: type (1, 00 = none), counter used (2), MAC2 (4), TAC (4). The rest is room for a grey lock.

use crate::answer::{Outcome, answer};
use crate::card::Card;
use crate::files::{File, FileId, FileKind, file, file_by_sfi};
use crate::memory::{Batch, Memory, Store};
use crate::security::{CountedKey, KeyName, KeySlot, key};
use ykt_base::{CardCounter, DateTime, KeyIndex, StatusWord, TerminalId};
use ykt_crypto::SessionKey;
use ykt_purse::create::Structure;
use ykt_purse::log::{self, LogRecord};
use ykt_purse::prove::Proof;
use ykt_purse::write_key::KeyUsage;
use ykt_purse::{OverdraftLimit, Purse, PurseFen, TransactionType};

const STATE_LEN: usize = 23;
/// Lock state of a purse that is free (4.11).
const FREE: u8 = 0x00;
const NO_PROOF: u8 = 0x00;
/// Id of the PIN that guards loads and the ED.
const PIN_ID: KeyIndex = KeyIndex(0);
/// Id of the TAC key that serves key indexes without one of their own.
const COMMON_TAC_KEY: KeyIndex = KeyIndex(0);

/// The proof kept for GET TRANSACTION PROVE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastProof {
    pub(super) transaction: TransactionType,
    /// The counter its MACs used.
    pub(super) used: CardCounter,
    pub(super) proof: Proof,
}

/// Everything a purse remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PurseState {
    pub(super) balance: PurseFen,
    pub(super) online: CardCounter,
    pub(super) offline: CardCounter,
    pub(super) overdraft: OverdraftLimit,
    pub(super) last: Option<LastProof>,
}

impl PurseState {
    /// `None` when the bytes are no state this card system writes.
    fn from_bytes(bytes: [u8; STATE_LEN]) -> Option<PurseState> {
        let (balance, rest) = bytes.split_first_chunk()?;
        let (online, rest) = rest.split_first_chunk()?;
        let (offline, rest) = rest.split_first_chunk()?;
        let (overdraft, rest) = rest.split_first_chunk()?;
        let ([FREE, transaction], rest) = rest.split_first_chunk()? else {
            return None;
        };
        let (used, proof) = rest.split_first_chunk()?;
        let last = match *transaction {
            NO_PROOF => None,
            code => Some(LastProof {
                transaction: TransactionType::from_code(code)?,
                used: CardCounter::from_bytes(*used),
                proof: Proof::from_bytes(proof)?,
            }),
        };
        Some(PurseState {
            balance: PurseFen::from_bytes(*balance)?,
            online: CardCounter::from_bytes(*online),
            offline: CardCounter::from_bytes(*offline),
            overdraft: OverdraftLimit(*overdraft),
            last,
        })
    }

    fn parts(&self) -> ([u8; 8], [u8; 5], [u8; 10]) {
        let [b0, b1, b2, b3] = self.balance.to_bytes();
        let ([on0, on1], [off0, off1]) = (self.online.to_bytes(), self.offline.to_bytes());
        let [limit0, limit1, limit2] = self.overdraft.0;
        let mut proof = [0; 10];
        let code = self.last.map_or(NO_PROOF, |last| {
            let (used, macs) = proof.split_at_mut(2);
            used.copy_from_slice(&last.used.to_bytes());
            macs.copy_from_slice(&last.proof.to_bytes());
            last.transaction.code()
        });
        ([b0, b1, b2, b3, on0, on1, off0, off1], [limit0, limit1, limit2, FREE, code], proof)
    }
}

/// Balance, online and offline counter that a purse file holds; `None` when its bytes are no state.
pub(crate) fn stored<M: Memory>(
    store: &Store<M>,
    file: &File,
) -> Option<(PurseFen, CardCounter, CardCounter)> {
    let state = PurseState::from_bytes(store.read(file.body))?;
    Some((state.balance, state.online, state.offline))
}

/// A purse of the current application with its log.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenPurse {
    file: File,
    log: File,
    pub(super) purse: Purse,
    pub(super) state: PurseState,
}

impl OpenPurse {
    pub(super) fn open<M: Memory>(card: &Card<M>, purse: Purse) -> Option<OpenPurse> {
        let directory = &card.session.directory;
        let file = file(&card.store, directory, FileId([0, purse.code()]))?;
        let FileKind::Purse { log } = file.kind else {
            return None;
        };
        let log = file_by_sfi(&card.store, directory, log)?;
        let FileKind::Data(Structure::CyclicRecords { len, .. }) = log.kind else {
            return None;
        };
        let state = PurseState::from_bytes(card.store.read(file.body))?;
        (usize::from(len) == log::RECORD_LEN).then_some(OpenPurse { file, log, purse, state })
    }

    fn put<M: Memory>(
        &self,
        store: &Store<M>,
        new: &PurseState,
        record: &LogRecord,
    ) -> Result<Batch, StatusWord> {
        let mut batch = Batch::new();
        let (money, limits, proof) = new.parts();
        batch.write(self.file.body, &[&money, &limits, &proof])?;
        crate::files::append(&mut batch, store, &self.log, &record.to_bytes())?;
        Ok(batch)
    }
}

/// A transaction that has happened, for log and proof.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finished {
    pub(super) transaction: TransactionType,
    /// The counter its MACs used.
    pub(super) used: CardCounter,
    pub(super) amount: PurseFen,
    pub(super) terminal: TerminalId,
    pub(super) at: DateTime,
    pub(super) proof: Proof,
}

/// Which transaction asks for the holder's consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transaction {
    Load,
    Purchase,
}

impl<M: Memory> Card<M> {
    /// GET BALANCE (读余额).
    ///
    /// # Errors
    /// 6985 without such a purse, 6982 without its right.
    pub(crate) fn balance(&self, purse: Purse) -> Outcome {
        let open = self.open_purse(purse)?;
        answer(&open.state.balance.to_bytes())
    }

    /// # Errors
    /// 6985 without such a purse in the current application, 6982 without its right.
    pub(super) fn open_purse(&self, purse: Purse) -> Result<OpenPurse, StatusWord> {
        let open = OpenPurse::open(self, purse).ok_or(StatusWord::CONDITIONS)?;
        self.session.require(open.file.read)?;
        Ok(open)
    }

    /// The holder's consent (4.2): an ED asks for the PIN always, an EP when it is loaded and the application
    /// says so.
    ///
    /// # Errors
    /// 6983 when the PIN is blocked, 6982 when it is not verified.
    pub(super) fn require_holder(&self, purse: Purse, transaction: Transaction) -> Result<(), StatusWord> {
        let directory = &self.session.directory;
        let needed = match (purse, transaction) {
            (Purse::Ed, _) => true,
            (Purse::Ep, Transaction::Load) => directory.switches.load_needs_pin,
            (Purse::Ep, Transaction::Purchase) => false,
        };
        if !needed || self.session.is_pin_verified() {
            return Ok(());
        }
        if let Some(pin) = key(&self.store, directory, KeyName::User(KeyUsage::Pin, PIN_ID)) {
            pin.attributes.tries.not_locked()?;
        }
        Err(StatusWord::SECURITY_STATUS)
    }

    /// The key TACs are made with: the TAC key of the transaction key's index, or the common one.
    ///
    /// # Errors
    /// 9403 without either.
    pub(super) fn tac_slot(&self, index: KeyIndex) -> Result<KeySlot, StatusWord> {
        [index, COMMON_TAC_KEY]
            .into_iter()
            .find_map(|id| {
                key(&self.store, &self.session.directory, KeyName::User(KeyUsage::InternalTac, id))
            })
            .ok_or(StatusWord::KEY_INDEX)
    }

    pub(super) fn tac_key(&self, slot: &KeySlot) -> SessionKey {
        CountedKey::of_slot(&self.store, slot).material.tac_key()
    }

    /// Ends a transaction: balance, counter, log record and proof in one commit. `new` is the purse's state, its
    /// proof aside.
    ///
    /// # Errors
    /// 9402 when the counter is used up, 6581 when the memory fails.
    pub(super) fn finish(
        &mut self,
        purse: &OpenPurse,
        new: PurseState,
        finished: &Finished,
    ) -> Result<(), StatusWord> {
        let Finished { transaction, used, amount, terminal, at, proof } = *finished;
        let record = LogRecord {
            counter: log::logged_counter(used).ok_or(StatusWord::COUNTER_AT_MAXIMUM)?,
            overdraft: new.overdraft,
            amount,
            transaction,
            terminal,
            at,
        };
        let new = PurseState { last: Some(LastProof { transaction, used, proof }), ..new };
        let batch = purse.put(&self.store, &new, &record)?;
        self.store.commit(&batch)?;
        if self.session.directory.switches.state_ends_with_transaction {
            self.session.drop_application_state();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ykt_base::Mac4;

    #[test]
    fn a_state_comes_back() {
        let state = PurseState {
            balance: PurseFen::from_bytes([0x7F, 0xFF, 0xFF, 0xFF]).unwrap(),
            online: CardCounter(0x0102),
            offline: CardCounter(0xFFFE),
            overdraft: OverdraftLimit([1, 2, 3]),
            last: Some(LastProof {
                transaction: TransactionType::EpPurchase,
                used: CardCounter(0xFFFD),
                proof: Proof { mac2: Mac4([1; 4]), tac: Mac4([2; 4]) },
            }),
        };
        for state in [state, PurseState { last: None, ..state }] {
            let (money, limits, proof) = state.parts();
            let bytes = [&money[..], &limits, &proof].concat();
            assert_eq!(PurseState::from_bytes(bytes.try_into().unwrap()), Some(state));
        }
        assert_eq!(PurseState::from_bytes([0; STATE_LEN]).unwrap().balance, PurseFen::ZERO);
        assert_eq!(PurseState::from_bytes([0xFF; STATE_LEN]), None);
    }
}
