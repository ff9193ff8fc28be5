//! Grey lock (灰锁, `epurse.md` 4.11): a terminal locks the purse before it knows the amount. The lock outlives the
//! power; DEBIT FOR UNLOCK ends it with the money, wherever the card is shown next, and GET LOCK PROOF says how it
//! stands. An application holds one lock at a time, since its proof does not ask for a purse.
//!
//! The card keeps what the session key is made of, not the key: a purchase key that is replaced meanwhile leaves the
//! online unlock.

use super::PendingTransaction;
use super::open::{Finished, OpenPurse, Transaction, draw};
use super::state::{Lock, PurseState};
use crate::answer::Outcome;
use crate::card::Card;
use crate::files::BlockState;
use crate::memory::{Batch, Memory, ShortBatch};
use crate::security::{KeyName, KeySlot};
use crate::session::Pending;
use ykt_base::{CardCounter, KeyIndex, Random4, Rng, StatusWord};
use ykt_crypto::macs_equal;
use ykt_purse::grey::{
    self, DebitForUnlock, GetLockProof, GreyLock, InitializeForGreyLock, LockAnswer, LockProof,
    LockProofForm, LockPurse, LockStage, PROOF_LEN,
};
use ykt_purse::prove::Proof;
use ykt_purse::write_key::KeyUsage;
use ykt_purse::{Purse, PurseFen};

/// Wrong GMACs in a row that block the application until the issuer unblocks it.
const WRONG_GMACS_MAX: u8 = 3;

/// A grey lock between INITIALIZE and GREY LOCK.
pub(crate) struct PendingLock {
    lock: GreyLock,
    random: Random4,
    key_index: KeyIndex,
    slot: KeySlot,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// In the order of 4.2: 6985 no such purse, 6982/6983 rights, 9403 key index, 9408 a purse is locked, 6985 the TAC
    /// of the lock before is not read yet or the purse has no room for a lock, 9402 counter used up.
    #[inline(never)]
    pub(crate) fn initialize_for_grey_lock(
        &mut self,
        rng: &mut dyn Rng,
        command: InitializeForGreyLock,
    ) -> Outcome {
        let InitializeForGreyLock { key_index, lock } = command;
        let begun = self.begin(lock.purse, Transaction::GreyLock, key_index)?;
        match self.locked_purse().and_then(|purse| purse.state.lock) {
            Some(Lock { proof: LockProof { stage: LockStage::Locked, .. }, .. }) => {
                return Err(StatusWord::GREY_LOCKED);
            }
            Some(_) => return Err(StatusWord::CONDITIONS),
            None => {}
        }
        begun.state.offline.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;

        let random = draw(rng);
        let pending = PendingLock { lock, random, key_index, slot: begun.slot };
        self.session.pending = Some(Pending::Purse(PendingTransaction::Lock(pending)));
        self.answer(&begun.offline_answer(random).to_bytes())
    }

    /// # Errors
    /// 6901 without its INITIALIZE, 9302 wrong MAC1, 9402, 6581.
    #[inline(never)]
    pub(crate) fn grey_lock(&mut self, command: LockPurse, pending: Option<PendingTransaction>) -> Outcome {
        let Some(PendingTransaction::Lock(pending)) = pending else {
            return Err(StatusWord::NOT_INITIALIZED);
        };
        let PendingLock { lock, random, key_index, slot } = pending;
        let LockPurse { sequence, terminal_random, at, mac1 } = command;
        let purse = self.open_purse(lock.purse)?;
        let PurseState { balance, offline: used, .. } = purse.state;
        let dpk = slot.material(&self.store);
        let session = grey::session_key(&dpk, random, used, sequence, terminal_random);
        let mut batch = ShortBatch::new();
        self.check_mac(&slot, grey::mac1(&session, &lock, at), mac1, &mut batch)?;
        let offline = used.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        let gtac = grey::gtac(&self.tac_key(key_index)?, &lock, balance, used, sequence, at);
        let given = LockAnswer { gtac, mac2: grey::mac2(&session, balance, used) };
        let GreyLock { purse: which, terminal } = lock;
        let transaction = lock.transaction_type();
        let proof = LockProof {
            stage: LockStage::Locked,
            transaction,
            purse: which,
            money: balance,
            counter: offline,
            terminal,
            at,
            sequence,
            mac: gtac,
        };
        let kept = Lock { proof, key_index, random, terminal_random, wrong_gmacs: 0 };
        let finished = Finished {
            transaction,
            used,
            amount: PurseFen::ZERO,
            terminal,
            at,
            proof: Proof { mac2: given.mac2, tac: gtac },
        };
        let new = PurseState { offline, lock: Some(kept), ..purse.state };
        self.finish(&batch, &purse, new, &finished)?;
        self.answer(&given.to_bytes())
    }

    /// Needs no INITIALIZE: what it is checked against stands in the purse. The counter stays, for lock and debit are
    /// one transaction.
    ///
    /// # Errors
    /// 6985 no such purse, or not locked; 6982/6983 rights, 9406 another counter than the lock's, 9401 balance too
    /// small, 9403 no purchase key any more, 9302 wrong GMAC: the third in a row blocks the application; 6581.
    #[inline(never)]
    pub(crate) fn debit_for_unlock(&mut self, debit: DebitForUnlock) -> Outcome {
        let purse = self.open_purse(debit.purse)?;
        self.require_holder(debit.purse, Transaction::GreyLock)?;
        let lock = purse.state.lock.filter(|lock| lock.proof.stage == LockStage::Locked);
        let lock = lock.ok_or(StatusWord::CONDITIONS)?;
        if debit.counter != lock.proof.counter {
            return Err(StatusWord::PROOF_NOT_AVAILABLE);
        }
        let balance = purse.state.balance.checked_sub(debit.amount).ok_or(StatusWord::INSUFFICIENT_FUNDS)?;
        let name = KeyName::User(KeyUsage::Purchase, lock.key_index);
        let dpk = self.usable_key(name, StatusWord::KEY_INDEX)?.material(&self.store);
        let used = CardCounter(lock.proof.counter.0.saturating_sub(1));
        let session = grey::session_key(&dpk, lock.random, used, lock.proof.sequence, lock.terminal_random);
        if !macs_equal(&grey::gmac(&session, debit.amount), &debit.gmac) {
            return self.count_wrong_gmac(&purse, lock);
        }
        let tac = grey::tac(&self.tac_key(lock.key_index)?, &debit);
        let DebitForUnlock { purse: which, amount, terminal, at, sequence, .. } = debit;
        let transaction = grey::debit_type(which);
        let proof = LockProof {
            stage: LockStage::Debited,
            transaction,
            money: amount,
            terminal,
            at,
            sequence,
            mac: tac,
            ..lock.proof
        };
        let finished = Finished { transaction, used, amount, terminal, at, proof: Proof::of_tac(tac) };
        let new = PurseState { balance, lock: Some(Lock { proof, ..lock }), ..purse.state };
        self.finish(&ShortBatch::new(), &purse, new, &finished)?;
        self.answer(tac.as_bytes())
    }

    /// # Errors
    /// 6985 outside of a purse application, 6581.
    #[inline(never)]
    pub(crate) fn lock_proof(&mut self, command: GetLockProof) -> Outcome {
        let GetLockProof(form) = command;
        let Some(purse) = self.locked_purse() else {
            let has_purse =
                [Purse::Ed, Purse::Ep].iter().any(|purse| OpenPurse::open(self, *purse).is_some());
            return if has_purse { self.answer(&[0; PROOF_LEN]) } else { Err(StatusWord::CONDITIONS) };
        };
        let proof = purse.state.lock.ok_or(StatusWord::NO_DIAGNOSIS)?.proof;
        if form == LockProofForm::Acknowledge && proof.stage == LockStage::Debited {
            let mut batch: Batch = Batch::new();
            purse.put_state(&mut batch, &PurseState { lock: None, ..purse.state })?;
            self.store.commit(&batch)?;
        }
        self.answer(&proof.to_bytes())
    }

    /// The purse of the current application that is locked, or debited without its TAC being read.
    fn locked_purse(&self) -> Option<OpenPurse> {
        let mut purses = [Purse::Ed, Purse::Ep].into_iter().filter_map(|purse| OpenPurse::open(self, purse));
        purses.find(|purse| purse.state.lock.is_some())
    }

    #[inline(never)]
    fn count_wrong_gmac(&mut self, purse: &OpenPurse, lock: Lock) -> Outcome {
        let wrong = lock.wrong_gmacs.saturating_add(1);
        let block_at = self.session.directory.block_at().filter(|_| wrong >= WRONG_GMACS_MAX);
        let wrong_gmacs = if block_at.is_some() { 0 } else { wrong };
        let mut batch: Batch = Batch::new();
        let counted = PurseState { lock: Some(Lock { wrong_gmacs, ..lock }), ..purse.state };
        purse.put_state(&mut batch, &counted)?;
        if let Some(at) = block_at {
            batch.write(at, &[&[BlockState::Temporary.to_byte()]])?;
        }
        self.store.commit(&batch)?;
        if block_at.is_some() {
            self.session.drop_application_state();
            self.session.directory.block = BlockState::Temporary;
        }
        Err(StatusWord::TRANSACTION_MAC_WRONG)
    }
}
