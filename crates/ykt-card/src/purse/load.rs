//! Load (圈存, `epurse.md` 4.3): INITIALIZE FOR LOAD proves the card to the host, CREDIT FOR LOAD lets the host
//! prove itself and puts the money on.

use super::PendingTransaction;
use super::state::{Finished, PurseState, Transaction};
use crate::answer::{Outcome, answer};
use crate::card::Card;
use crate::memory::Memory;
use crate::security::{KeyName, KeySlot};
use crate::session::Pending;
use ykt_base::{Random4, Rng, StatusWord};
use ykt_crypto::{SessionKey, macs_equal};
use ykt_purse::load::{self, CreditForLoad, InitializeForLoad, Load, LoadAnswer};
use ykt_purse::prove::Proof;
use ykt_purse::write_key::KeyUsage;

/// A load between INITIALIZE and CREDIT.
pub(crate) struct PendingLoad {
    load: Load,
    session: SessionKey,
    tac_slot: KeySlot,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// In the order of 4.2: 6985 no such purse, 6982/6983 rights, 9403 key index, 9402 counter used up, 6985
    /// beyond the purse's limit.
    pub(crate) fn initialize_for_load(&mut self, rng: &mut dyn Rng, command: InitializeForLoad) -> Outcome {
        let InitializeForLoad { key_index, load } = command;
        let purse = self.open_purse(load.purse)?;
        self.require_holder(load.purse, Transaction::Load)?;
        let slot = self.usable_key(KeyName::User(KeyUsage::Load, key_index), StatusWord::KEY_INDEX)?;
        let tac_slot = self.tac_slot(key_index)?;
        let PurseState { balance, online: counter, .. } = purse.state;
        counter.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        balance.checked_add(load.amount).ok_or(StatusWord::CONDITIONS)?;

        let mut random = Random4([0; 4]);
        rng.fill(&mut random.0);
        let session = load::session_key(&slot.material(&self.store), random, counter);
        let given = LoadAnswer {
            balance,
            counter,
            key_version: slot.attributes.version,
            algorithm: slot.attributes.algorithm,
            random,
            mac1: load::mac1(&session, &load, balance),
        };
        self.session.pending =
            Some(Pending::Purse(PendingTransaction::Load(PendingLoad { load, session, tac_slot })));
        answer(&given.to_bytes())
    }

    /// # Errors
    /// 6901 without its INITIALIZE, 9302 wrong MAC2, 6985, 9402, 6581.
    pub(crate) fn credit_for_load(
        &mut self,
        command: CreditForLoad,
        pending: Option<PendingTransaction>,
    ) -> Outcome {
        let Some(PendingTransaction::Load(PendingLoad { load, session, tac_slot })) = pending else {
            return Err(StatusWord::NOT_INITIALIZED);
        };
        let CreditForLoad { at, mac2 } = command;
        if !macs_equal(&load::mac2(&session, &load, at), &mac2) {
            return Err(StatusWord::TRANSACTION_MAC_WRONG);
        }
        let purse = self.open_purse(load.purse)?;
        let used = purse.state.online;
        let balance = purse.state.balance.checked_add(load.amount).ok_or(StatusWord::CONDITIONS)?;
        let online = used.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        let tac = load::tac(&self.tac_key(&tac_slot), &load, balance, used, at);
        let finished = Finished {
            transaction: load.transaction_type(),
            used,
            amount: load.amount,
            terminal: load.terminal,
            at,
            proof: Proof::of_load(tac),
        };
        self.finish(&purse, PurseState { balance, online, ..purse.state }, &finished)?;
        answer(tac.as_bytes())
    }
}
