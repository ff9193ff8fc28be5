//! Purchase (消费), cash withdrawal (取现) and composite purchase (复合应用消费; `epurse.md` 4.4, 4.5, 4.10): INITIALIZE
//! opens it, DEBIT takes the money when the PSAM has signed, and writes the records that were cached in between.
//! **Money is gone when the card answers.**

use super::open::{Finished, Transaction, draw};
use super::state::PurseState;
use super::{CappCache, PendingTransaction};
use crate::answer::Outcome;
use crate::card::Card;
use crate::memory::{Memory, ShortBatch};
use crate::security::KeySlot;
use crate::session::Pending;
use ykt_base::{CardCounter, KeyIndex, Random4, Rng, StatusWord};
use ykt_purse::prove::Proof;
use ykt_purse::purchase::{
    self, DebitAnswer, DebitForPurchase, InitializeForPurchase, Purchase, PurchaseKind,
};

/// A purchase between INITIALIZE and DEBIT.
pub(crate) struct PendingPurchase {
    pub(super) purchase: Purchase,
    random: Random4,
    counter: CardCounter,
    key_index: KeyIndex,
    slot: KeySlot,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// In the order of 4.2: 6985 no such purse, 6982/6983 rights, 9403 key index, 9402 counter used up, 9401
    /// balance too small.
    #[inline(never)]
    pub(crate) fn initialize_for_purchase(
        &mut self,
        rng: &mut dyn Rng,
        command: InitializeForPurchase,
    ) -> Outcome {
        let InitializeForPurchase { key_index, purchase } = command;
        let begun = self.begin(purchase.kind.purse(), Transaction::Purchase, key_index)?;
        let PurseState { balance, offline: counter, .. } = begun.state;
        counter.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        balance.checked_sub(purchase.amount).ok_or(StatusWord::INSUFFICIENT_FUNDS)?;

        let random = draw(rng);
        if purchase.kind == PurchaseKind::Composite {
            self.session.capp_cache = CappCache::new();
        }
        let pending = PendingPurchase { purchase, random, counter, key_index, slot: begun.slot };
        self.session.pending = Some(Pending::Purse(PendingTransaction::Purchase(pending)));
        self.answer(&begun.offline_answer(random).to_bytes())
    }

    /// # Errors
    /// 6901 without its INITIALIZE, 9302 wrong MAC1, 9401, 9402, 6581.
    #[inline(never)]
    pub(crate) fn debit_for_purchase(
        &mut self,
        command: DebitForPurchase,
        pending: Option<PendingTransaction>,
    ) -> Outcome {
        let Some(PendingTransaction::Purchase(pending)) = pending else {
            return Err(StatusWord::NOT_INITIALIZED);
        };
        let PendingPurchase { purchase, random, counter: used, key_index, slot } = pending;
        let DebitForPurchase { sequence, at, mac1 } = command;
        let session = purchase::session_key(&slot.material(&self.store), random, used, sequence);
        let mut batch = ShortBatch::new();
        self.check_mac(&slot, purchase::mac1(&session, &purchase, at), mac1, &mut batch)?;
        let purse = self.open_purse(purchase.kind.purse())?;
        let balance =
            purse.state.balance.checked_sub(purchase.amount).ok_or(StatusWord::INSUFFICIENT_FUNDS)?;
        let offline = used.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        let given = DebitAnswer {
            tac: purchase::tac(&self.tac_key(key_index)?, &purchase, sequence, at),
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
        self.finish(&batch, &purse, PurseState { balance, offline, ..purse.state }, &finished)?;
        self.answer(&given.to_bytes())
    }
}
