//! Purchase (消费, `epurse.md` 4.4): INITIALIZE FOR PURCHASE opens it, DEBIT FOR PURCHASE takes the money when the
//! PSAM has signed. **Money is gone when the card answers.**

use super::PendingTransaction;
use super::state::{Finished, PurseState, Transaction};
use crate::answer::{Outcome, answer};
use crate::card::Card;
use crate::memory::Memory;
use crate::security::{KeyName, KeySlot};
use crate::session::Pending;
use ykt_base::{CardCounter, Random4, Rng, StatusWord};
use ykt_crypto::macs_equal;
use ykt_purse::prove::Proof;
use ykt_purse::purchase::{
    self, DebitAnswer, DebitForPurchase, InitializeForPurchase, Purchase, PurchaseAnswer,
};
use ykt_purse::write_key::KeyUsage;

/// A purchase between INITIALIZE and DEBIT.
pub(crate) struct PendingPurchase {
    purchase: Purchase,
    random: Random4,
    counter: CardCounter,
    slot: KeySlot,
    tac_slot: KeySlot,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// In the order of 4.2: 6985 no such purse, 6982/6983 rights, 9403 key index, 9402 counter used up, 9401
    /// balance too small.
    pub(crate) fn initialize_for_purchase(
        &mut self,
        rng: &mut dyn Rng,
        command: InitializeForPurchase,
    ) -> Outcome {
        let InitializeForPurchase { key_index, purchase } = command;
        let purse = self.open_purse(purchase.kind.purse())?;
        self.require_holder(purse.purse, Transaction::Purchase)?;
        let slot = self.usable_key(KeyName::User(KeyUsage::Purchase, key_index), StatusWord::KEY_INDEX)?;
        let tac_slot = self.tac_slot(key_index)?;
        let PurseState { balance, offline: counter, overdraft, .. } = purse.state;
        counter.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        balance.checked_sub(purchase.amount).ok_or(StatusWord::INSUFFICIENT_FUNDS)?;

        let mut random = Random4([0; 4]);
        rng.fill(&mut random.0);
        let given = PurchaseAnswer {
            balance,
            counter,
            overdraft,
            key_version: slot.attributes.version,
            algorithm: slot.attributes.algorithm,
            random,
        };
        let pending = PendingPurchase { purchase, random, counter, slot, tac_slot };
        self.session.pending = Some(Pending::Purse(PendingTransaction::Purchase(pending)));
        answer(&given.to_bytes())
    }

    /// # Errors
    /// 6901 without its INITIALIZE, 9302 wrong MAC1, 9401, 9402, 6581.
    pub(crate) fn debit_for_purchase(
        &mut self,
        command: DebitForPurchase,
        pending: Option<PendingTransaction>,
    ) -> Outcome {
        let Some(PendingTransaction::Purchase(pending)) = pending else {
            return Err(StatusWord::NOT_INITIALIZED);
        };
        let PendingPurchase { purchase, random, counter: used, slot, tac_slot } = pending;
        let DebitForPurchase { sequence, at, mac1 } = command;
        let session = purchase::session_key(&slot.material(&self.store), random, used, sequence);
        if !macs_equal(&purchase::mac1(&session, &purchase, at), &mac1) {
            return Err(StatusWord::TRANSACTION_MAC_WRONG);
        }
        let purse = self.open_purse(purchase.kind.purse())?;
        let balance =
            purse.state.balance.checked_sub(purchase.amount).ok_or(StatusWord::INSUFFICIENT_FUNDS)?;
        let offline = used.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        let given = DebitAnswer {
            tac: purchase::tac(&self.tac_key(&tac_slot), &purchase, sequence, at),
            mac2: purchase::mac2(&session, purchase.amount),
        };
        let finished = Finished {
            transaction: purchase.kind.transaction_type(),
            used,
            amount: purchase.amount,
            terminal: purchase.terminal,
            at,
            proof: Proof { mac2: given.mac2, tac: given.tac },
        };
        self.finish(&purse, PurseState { balance, offline, ..purse.state }, &finished)?;
        answer(&given.to_bytes())
    }
}
