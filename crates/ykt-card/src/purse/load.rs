//! Load (圈存, `epurse.md` 4.3): INITIALIZE FOR LOAD proves the card to the host, CREDIT FOR LOAD lets the host
//! prove itself and puts the money on.

use super::PendingTransaction;
use super::open::{Finished, Transaction, draw};
use super::state::PurseState;
use crate::answer::Outcome;
use crate::card::Card;
use crate::memory::{Memory, ShortBatch};
use crate::security::KeySlot;
use crate::session::Pending;
use ykt_base::{KeyIndex, Rng, StatusWord};
use ykt_crypto::SessionKey;
use ykt_purse::load::{self, CreditForLoad, InitializeForLoad, Load};
use ykt_purse::prove::Proof;

/// A load between INITIALIZE and CREDIT.
pub(crate) struct PendingLoad {
    load: Load,
    session: SessionKey,
    key_index: KeyIndex,
    slot: KeySlot,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// In the order of 4.2: 6985 no such purse, 6982/6983 rights, 9403 key index, 9402 counter used up, 6985
    /// beyond the purse's limit.
    #[inline(never)]
    pub(crate) fn initialize_for_load(&mut self, rng: &mut dyn Rng, command: InitializeForLoad) -> Outcome {
        let InitializeForLoad { key_index, load } = command;
        let begun = self.begin(load.purse, Transaction::Load, key_index)?;
        let PurseState { balance, online: counter, .. } = begun.state;
        counter.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        balance.checked_add(load.amount).ok_or(StatusWord::CONDITIONS)?;

        let random = draw(rng);
        let session = load::session_key(&begun.slot.material(&self.store), random, counter);
        let given = begun.online_answer(random, load::mac1(&session, &load, balance));
        let pending = PendingLoad { load, session, key_index, slot: begun.slot };
        self.session.pending = Some(Pending::Purse(PendingTransaction::Load(pending)));
        self.answer(&given.to_bytes())
    }

    /// # Errors
    /// 6901 without its INITIALIZE, 9302 wrong MAC2, 6985, 9402, 6581.
    #[inline(never)]
    pub(crate) fn credit_for_load(
        &mut self,
        command: CreditForLoad,
        pending: Option<PendingTransaction>,
    ) -> Outcome {
        let Some(PendingTransaction::Load(PendingLoad { load, session, key_index, slot })) = pending else {
            return Err(StatusWord::NOT_INITIALIZED);
        };
        let CreditForLoad { at, mac2 } = command;
        let mut batch = ShortBatch::new();
        self.check_mac(&slot, load::mac2(&session, &load, at), mac2, &mut batch)?;
        let purse = self.open_purse(load.purse)?;
        let used = purse.state.online;
        let balance = purse.state.balance.checked_add(load.amount).ok_or(StatusWord::CONDITIONS)?;
        let online = used.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        let tac = load::tac(&self.tac_key(key_index)?, &load, balance, used, at);
        let finished = Finished {
            transaction: load.transaction_type(),
            used,
            amount: load.amount,
            terminal: load.terminal,
            at,
            proof: Proof::of_tac(tac),
        };
        self.finish(&batch, &purse, PurseState { balance, online, ..purse.state }, &finished)?;
        self.answer(tac.as_bytes())
    }
}
