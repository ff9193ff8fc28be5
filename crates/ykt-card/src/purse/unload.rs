//! Unload (圈提, `epurse.md` 4.6): the ED gives money back to its account; MAC3 proves to the host that it is gone.

use super::PendingTransaction;
use super::open::{Finished, Transaction, draw};
use super::state::PurseState;
use crate::answer::Outcome;
use crate::card::Card;
use crate::memory::{Memory, ShortBatch};
use crate::security::KeySlot;
use crate::session::Pending;
use ykt_base::{Rng, StatusWord};
use ykt_crypto::SessionKey;
use ykt_purse::prove::Proof;
use ykt_purse::unload::{self, DebitForUnload, InitializeForUnload, Unload};
use ykt_purse::{Purse, TransactionType};

/// An unload between INITIALIZE and DEBIT.
pub(crate) struct PendingUnload {
    unload: Unload,
    session: SessionKey,
    slot: KeySlot,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// In the order of 4.2: 6985 no ED, 6982/6983 rights, 9403 key index, 9408 grey-locked, 9402 counter used up, 9401
    /// balance too small.
    #[inline(never)]
    pub(crate) fn initialize_for_unload(
        &mut self,
        rng: &mut dyn Rng,
        command: InitializeForUnload,
    ) -> Outcome {
        let InitializeForUnload { key_index, unload } = command;
        let begun = self.begin(Purse::Ed, Transaction::Unload, key_index)?;
        let PurseState { balance, online: counter, .. } = begun.state;
        counter.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        balance.checked_sub(unload.amount).ok_or(StatusWord::INSUFFICIENT_FUNDS)?;

        let random = draw(rng);
        let session = unload::session_key(&begun.slot.material(&self.store), random, counter);
        let given = begun.online_answer(random, unload::mac1(&session, &unload, balance));
        let pending = PendingUnload { unload, session, slot: begun.slot };
        self.session.pending = Some(Pending::Purse(PendingTransaction::Unload(pending)));
        self.answer(&given.to_bytes())
    }

    /// # Errors
    /// 6901 without its INITIALIZE, 9302 wrong MAC2, 9401, 9402, 6581.
    #[inline(never)]
    pub(crate) fn debit_for_unload(
        &mut self,
        command: DebitForUnload,
        pending: Option<PendingTransaction>,
    ) -> Outcome {
        let Some(PendingTransaction::Unload(PendingUnload { unload, session, slot })) = pending else {
            return Err(StatusWord::NOT_INITIALIZED);
        };
        let DebitForUnload { at, mac2 } = command;
        let mut batch = ShortBatch::new();
        self.check_mac(&slot, unload::mac2(&session, &unload, at), mac2, &mut batch)?;
        let purse = self.open_purse(Purse::Ed)?;
        let used = purse.state.online;
        let balance = purse.state.balance.checked_sub(unload.amount).ok_or(StatusWord::INSUFFICIENT_FUNDS)?;
        let online = used.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        let mac3 = unload::mac3(&session, &unload, balance, used, at);
        let finished = Finished {
            transaction: TransactionType::EdUnload,
            used,
            amount: unload.amount,
            terminal: unload.terminal,
            at,
            proof: Proof::of_mac3(mac3),
        };
        self.finish(&batch, &purse, PurseState { balance, online, ..purse.state }, &finished)?;
        self.answer(mac3.as_bytes())
    }
}
