//! Online grey unlock (联机解扣, `epurse.md` 4.11): the issuer's host ends a lock that no terminal ended, with the amount
//! it knows of, or none.

use super::PendingTransaction;
use super::open::{Begun, Finished, Transaction, draw};
use super::state::PurseState;
use crate::answer::Outcome;
use crate::card::Card;
use crate::memory::{Memory, ShortBatch};
use crate::security::KeySlot;
use crate::session::Pending;
use ykt_base::{Rng, StatusWord};
use ykt_crypto::SessionKey;
use ykt_purse::grey::{self, GreyUnlock, InitializeForGreyUnlock, OnlineUnlock, UnlockOffer};
use ykt_purse::prove::Proof;

/// An online unlock between INITIALIZE and GREY UNLOCK.
pub(crate) struct PendingUnlock {
    unlock: OnlineUnlock,
    session: SessionKey,
    slot: KeySlot,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// In the order of 4.2: 6985 no such purse, 6982/6983 rights, 9403 key index, 6985 not locked, 9402 counter used
    /// up.
    #[inline(never)]
    pub(crate) fn initialize_for_grey_unlock(
        &mut self,
        rng: &mut dyn Rng,
        command: InitializeForGreyUnlock,
    ) -> Outcome {
        let InitializeForGreyUnlock { key_index, unlock } = command;
        let Begun { state, slot } = self.begin(unlock.purse, Transaction::GreyUnlock, key_index)?;
        let PurseState { balance, offline, online, .. } = state;
        online.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;

        let random = draw(rng);
        let session = grey::unlock_session_key(&slot.material(&self.store), random, online);
        let given = UnlockOffer {
            balance,
            offline,
            online,
            key_version: slot.attributes.version,
            algorithm: slot.attributes.algorithm,
            random,
            mac1: grey::unlock_mac1(&session, balance, offline, &unlock),
        };
        let pending = PendingUnlock { unlock, session, slot };
        self.session.pending = Some(Pending::Purse(PendingTransaction::Unlock(pending)));
        self.answer(&given.to_bytes())
    }

    /// # Errors
    /// 6901 without its INITIALIZE, 6A86 for another purse than its, 9302 wrong MAC2, 9401 balance too small, 9402,
    /// 6581.
    #[inline(never)]
    pub(crate) fn grey_unlock(
        &mut self,
        command: GreyUnlock,
        pending: Option<PendingTransaction>,
    ) -> Outcome {
        let Some(PendingTransaction::Unlock(pending)) = pending else {
            return Err(StatusWord::NOT_INITIALIZED);
        };
        let PendingUnlock { unlock, session, slot } = pending;
        let GreyUnlock { purse: named, amount, at, mac2 } = command;
        if named.is_some_and(|named| named != unlock.purse) {
            return Err(StatusWord::WRONG_P1P2);
        }
        let mut batch = ShortBatch::new();
        self.check_mac(&slot, grey::unlock_mac2(&session, amount, &unlock, at), mac2, &mut batch)?;
        let purse = self.open_purse(unlock.purse)?;
        let used = purse.state.online;
        let balance = purse.state.balance.checked_sub(amount).ok_or(StatusWord::INSUFFICIENT_FUNDS)?;
        let online = used.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        let mac3 = grey::unlock_mac3(&session, balance, used, amount, &unlock, at);
        let finished = Finished {
            transaction: unlock.transaction_type(),
            used,
            amount,
            terminal: unlock.terminal,
            at,
            proof: Proof::of_mac3(mac3),
        };
        let new = PurseState { balance, online, lock: None, ..purse.state };
        self.finish(&batch, &purse, new, &finished)?;
        self.answer(mac3.as_bytes())
    }
}
