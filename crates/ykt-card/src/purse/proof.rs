//! GET TRANSACTION PROVE (取交易认证, `epurse.md` 4.9): the answer that was lost when the card was pulled.
//!
//! The counter used and the one after are both accepted. Whoever does not know yet whether the transaction
//! happened asks with the counter after: the counter used is also "the one after" of the transaction before.

use super::open::OpenPurse;
use crate::answer::Outcome;
use crate::card::Card;
use crate::memory::Memory;
use ykt_base::StatusWord;
use ykt_purse::Purse;
use ykt_purse::prove::ProveTransaction;

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6985 outside of a purse application, 9406 when the last proof of neither purse is the one asked for.
    #[inline(never)]
    pub(crate) fn prove(&mut self, asked: ProveTransaction) -> Outcome {
        let purses = [Purse::Ed, Purse::Ep].map(|purse| OpenPurse::open(self, purse));
        if purses.iter().all(Option::is_none) {
            return Err(StatusWord::CONDITIONS);
        }
        let mut kept = purses.iter().flatten().filter_map(|purse| purse.state.last);
        let found = kept.find(|last| asked.asks_for(last.transaction, last.used));
        self.answer(&found.ok_or(StatusWord::PROOF_NOT_AVAILABLE)?.proof.to_bytes())
    }
}
