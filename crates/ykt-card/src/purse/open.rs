//! What every transaction does with a purse: open it, check holder, key and lock in the order of `epurse.md` 4.2,
//! and write its end in one piece.

use super::state::{LastProof, PurseState, has_room_for_lock};
use crate::answer::Outcome;
use crate::card::Card;
use crate::files::{File, FileId, FileKind, file, file_by_sfi};
use crate::memory::{Batch, BatchFull, Memory, ShortBatch, Store};
use crate::security::{Check, CountedKey, KeyAttributes, KeyName, KeySlot, key};
use ykt_base::{CardCounter, DateTime, KeyIndex, Mac4, Random4, Rng, StatusWord, TerminalId};
use ykt_crypto::{SessionKey, macs_equal};
use ykt_purse::create::Structure;
use ykt_purse::grey::LockStage;
use ykt_purse::load::LoadAnswer;
use ykt_purse::log::{self, LogRecord};
use ykt_purse::prove::Proof;
use ykt_purse::purchase::PurchaseAnswer;
use ykt_purse::write_key::KeyUsage;
use ykt_purse::{Purse, PurseFen, TransactionType};

/// Id of the PIN that guards loads and the ED.
const PIN_ID: KeyIndex = KeyIndex(0);
/// Id of the TAC key that serves key indexes without one of their own.
const COMMON_TAC_KEY: KeyIndex = KeyIndex(0);

/// A purse of the current application with its log.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenPurse {
    file: File,
    log: File,
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
        let state = PurseState::read(&card.store, &file)?;
        (usize::from(len) == log::RECORD_LEN).then_some(OpenPurse { file, log, state })
    }

    /// Puts another state of the purse into a batch.
    pub(super) fn put_state(&self, batch: &mut Batch, new: &PurseState) -> Result<(), BatchFull> {
        new.put(batch, &self.file)
    }

    fn put<M: Memory>(
        &self,
        batch: &mut Batch,
        store: &Store<M>,
        new: &PurseState,
        record: &LogRecord,
    ) -> Result<(), StatusWord> {
        self.put_state(batch, new)?;
        crate::files::append(batch, store, &self.log, &record.to_bytes())?;
        Ok(())
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

/// What is begun with a purse: which key it takes, whether the holder must consent, whether a lock forbids it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transaction {
    Load,
    /// Purchase, cash withdrawal, composite purchase.
    Purchase,
    Unload,
    Overdraft,
    GreyLock,
    GreyUnlock,
}

impl Transaction {
    const fn key(self) -> KeyUsage {
        match self {
            Transaction::Load => KeyUsage::Load,
            Transaction::Purchase | Transaction::GreyLock => KeyUsage::Purchase,
            Transaction::Unload => KeyUsage::Unload,
            Transaction::Overdraft => KeyUsage::Overdraft,
            Transaction::GreyUnlock => KeyUsage::GreyUnlock,
        }
    }

    /// Whether it ends with a TAC.
    const fn gives_tac(self) -> bool {
        !matches!(self, Transaction::Unload | Transaction::GreyUnlock)
    }

    /// Whether it may begin in this state of the lock (4.2, 4.11). A purse whose debit has not had its TAC read pays
    /// again; only another lock would lose the TAC.
    ///
    /// # Errors
    /// 9408 while the purse is locked, 6985 when the lock is not as the transaction needs it.
    fn admitted(self, lock: Option<LockStage>) -> Result<(), StatusWord> {
        match (self, lock) {
            (Transaction::Load, _) | (Transaction::GreyUnlock, Some(LockStage::Locked)) => Ok(()),
            (_, Some(LockStage::Locked)) => Err(StatusWord::GREY_LOCKED),
            (Transaction::GreyUnlock, _) => Err(StatusWord::CONDITIONS),
            (Transaction::GreyLock, Some(LockStage::Debited)) => Err(StatusWord::CONDITIONS),
            (_, None | Some(LockStage::Debited)) => Ok(()),
        }
    }
}

/// What INITIALIZE found in order.
pub(super) struct Begun {
    pub(super) state: PurseState,
    pub(super) slot: KeySlot,
}

impl Begun {
    /// What INITIALIZE answers to a terminal whose PSAM is offline: of purchases and grey locks.
    pub(super) fn offline_answer(&self, random: Random4) -> PurchaseAnswer {
        let PurseState { balance, offline: counter, overdraft, .. } = self.state;
        let KeyAttributes { version: key_version, algorithm, .. } = self.slot.attributes;
        PurchaseAnswer { balance, counter, overdraft, key_version, algorithm, random }
    }

    /// What INITIALIZE answers to a host: of loads and unloads.
    pub(super) fn online_answer(&self, random: Random4, mac1: Mac4) -> LoadAnswer {
        let PurseState { balance, online: counter, .. } = self.state;
        let KeyAttributes { version: key_version, algorithm, .. } = self.slot.attributes;
        LoadAnswer { balance, counter, key_version, algorithm, random, mac1 }
    }
}

impl<M: Memory> Card<M> {
    /// GET BALANCE (读余额).
    ///
    /// # Errors
    /// 6985 without such a purse, 6982 without its right, or without the PIN where the application asks for it (6983
    /// when it is blocked).
    #[inline(never)]
    pub(crate) fn balance(&mut self, purse: Purse) -> Outcome {
        let open = self.open_purse(purse)?;
        if self.session.directory.switches.balance_needs_pin {
            self.require_pin()?;
        }
        self.answer(&open.state.balance.to_bytes())
    }

    /// # Errors
    /// 6985 without such a purse in the current application, 6982 without its right.
    pub(super) fn open_purse(&self, purse: Purse) -> Result<OpenPurse, StatusWord> {
        let open = OpenPurse::open(self, purse).ok_or(StatusWord::CONDITIONS)?;
        self.session.require(open.file.read)?;
        Ok(open)
    }

    /// What every INITIALIZE asks before it looks at counter and balance.
    ///
    /// # Errors
    /// In the order of 4.2: 6985 no such purse, 6982/6983 rights and PIN, 9403 transaction key or TAC key, 9408/6985 grey
    /// lock.
    pub(super) fn begin(
        &self,
        purse: Purse,
        transaction: Transaction,
        index: KeyIndex,
    ) -> Result<Begun, StatusWord> {
        let OpenPurse { state, file, .. } = self.open_purse(purse)?;
        self.require_holder(purse, transaction)?;
        let slot = self.usable_key(KeyName::User(transaction.key(), index), StatusWord::KEY_INDEX)?;
        if transaction.gives_tac() {
            self.tac_slot(index)?;
        }
        transaction.admitted(state.lock.map(|lock| lock.proof.stage))?;
        if transaction == Transaction::GreyLock && !has_room_for_lock(&file) {
            return Err(StatusWord::CONDITIONS);
        }
        Ok(Begun { state, slot })
    }

    /// The holder's consent (4.2): an ED asks for the PIN always, an EP when the application says so.
    ///
    /// # Errors
    /// 6983 when the PIN is blocked, 6982 when it is not verified.
    pub(super) fn require_holder(&self, purse: Purse, transaction: Transaction) -> Result<(), StatusWord> {
        let switches = self.session.directory.switches;
        let needed = match (purse, transaction) {
            (Purse::Ed, _) => true,
            (Purse::Ep, Transaction::Load) => switches.load_needs_pin,
            (Purse::Ep, Transaction::Purchase | Transaction::GreyLock) => switches.purchase_needs_pin,
            (Purse::Ep, _) => false,
        };
        if needed { self.require_pin() } else { Ok(()) }
    }

    /// # Errors
    /// 6983 when the PIN is blocked, 6982 when it is not verified.
    fn require_pin(&self) -> Result<(), StatusWord> {
        if self.session.is_pin_verified() {
            return Ok(());
        }
        let directory = &self.session.directory;
        if let Some(pin) = key(&self.store, directory, KeyName::User(KeyUsage::Pin, PIN_ID)) {
            pin.attributes.tries.not_locked()?;
        }
        Err(StatusWord::SECURITY_STATUS)
    }

    /// The key TACs are made with: that of the transaction key's index, or the common one.
    ///
    /// # Errors
    /// 9403 without either.
    fn tac_slot(&self, index: KeyIndex) -> Result<KeySlot, StatusWord> {
        [index, COMMON_TAC_KEY]
            .into_iter()
            .find_map(|id| {
                key(&self.store, &self.session.directory, KeyName::User(KeyUsage::InternalTac, id))
            })
            .ok_or(StatusWord::KEY_INDEX)
    }

    /// # Errors
    /// 9403 without one.
    pub(crate) fn tac_key(&self, index: KeyIndex) -> Result<SessionKey, StatusWord> {
        Ok(self.tac_slot(index)?.material(&self.store).tac_key())
    }

    /// Compares the MAC of a terminal or host. Where the application counts wrong ones (switch of CREATE FILE), a
    /// wrong one costs the key a try, and a right one gives them back with what `batch` ends the transaction with.
    ///
    /// # Errors
    /// 9302 when it is wrong, 6581.
    pub(crate) fn check_mac<const MAX: usize>(
        &mut self,
        slot: &KeySlot,
        expected: Mac4,
        given: Mac4,
        batch: &mut Batch<MAX>,
    ) -> Result<(), StatusWord> {
        let outcome = Check::of(macs_equal(&expected, &given));
        if self.session.directory.switches.counts_wrong_macs {
            CountedKey::of_slot(&self.store, slot).put_checked(batch, outcome)?;
        }
        match outcome {
            Check::Right => Ok(()),
            Check::Wrong => {
                if !batch.is_empty() {
                    self.store.commit(batch)?;
                }
                Err(StatusWord::TRANSACTION_MAC_WRONG)
            }
        }
    }

    /// Ends a transaction: balance, counter, log record and proof in one commit, after what `before` holds, and
    /// with the records of a composite purchase. `new` is the purse's state, its proof aside.
    ///
    /// # Errors
    /// 9402 when the counter is used up, 6581 when the memory fails.
    #[inline(never)]
    pub(super) fn finish(
        &mut self,
        before: &ShortBatch,
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
        let mut batch: Batch = Batch::new();
        batch.extend(before)?;
        if transaction == TransactionType::CompositePurchase {
            batch.extend(&self.session.capp_cache)?;
        }
        purse.put(&mut batch, &self.store, &new, &record)?;
        self.store.commit(&batch)?;
        if self.session.directory.switches.state_ends_with_transaction {
            self.session.drop_application_state();
        }
        Ok(())
    }
}

/// A random number for the session key of a transaction.
pub(crate) fn draw(rng: &mut dyn Rng) -> Random4 {
    let mut random = Random4([0; 4]);
    rng.fill(&mut random.0);
    random
}
