//! Update of the overdraft limit (修改透支限额, `epurse.md` 4.7): the balance of an ED includes the limit, so it moves
//! with it.

use super::PendingTransaction;
use super::open::{Begun, Finished, Transaction, draw};
use super::state::PurseState;
use crate::answer::Outcome;
use crate::card::Card;
use crate::memory::{Memory, ShortBatch};
use crate::security::KeySlot;
use crate::session::Pending;
use ykt_base::{KeyIndex, Rng, StatusWord, TerminalId};
use ykt_crypto::SessionKey;
use ykt_purse::overdraft::{self, InitializeForUpdate, UpdateAnswer, UpdateOverdraft};
use ykt_purse::prove::Proof;
use ykt_purse::{Purse, PurseFen, TransactionType};

/// An update between INITIALIZE and UPDATE.
pub(crate) struct PendingUpdate {
    terminal: TerminalId,
    session: SessionKey,
    key_index: KeyIndex,
    slot: KeySlot,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// In the order of 4.2: 6985 no ED, 6982/6983 rights, 9403 key index, 9408 grey-locked, 9402 counter used up.
    #[inline(never)]
    pub(crate) fn initialize_for_update(
        &mut self,
        rng: &mut dyn Rng,
        command: InitializeForUpdate,
    ) -> Outcome {
        let InitializeForUpdate { key_index, terminal } = command;
        let Begun { state, slot } = self.begin(Purse::Ed, Transaction::Overdraft, key_index)?;
        let PurseState { balance, online: counter, overdraft: limit, .. } = state;
        counter.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;

        let random = draw(rng);
        let session = overdraft::session_key(&slot.material(&self.store), random, counter);
        let given = UpdateAnswer {
            balance,
            counter,
            limit,
            key_version: slot.attributes.version,
            algorithm: slot.attributes.algorithm,
            random,
            mac1: overdraft::mac1(&session, balance, limit, &terminal),
        };
        let pending = PendingUpdate { terminal, session, key_index, slot };
        self.session.pending = Some(Pending::Purse(PendingTransaction::Update(pending)));
        self.answer(&given.to_bytes())
    }

    /// # Errors
    /// 6901 without its INITIALIZE, 9302 wrong MAC2, 9401 when what was spent is more than the new limit, 6985 beyond
    /// the purse's limit, 9402, 6581.
    #[inline(never)]
    pub(crate) fn update_overdraft(
        &mut self,
        command: UpdateOverdraft,
        pending: Option<PendingTransaction>,
    ) -> Outcome {
        let Some(PendingTransaction::Update(pending)) = pending else {
            return Err(StatusWord::NOT_INITIALIZED);
        };
        let PendingUpdate { terminal, session, key_index, slot } = pending;
        let UpdateOverdraft { limit, at, mac2 } = command;
        let mut batch = ShortBatch::new();
        self.check_mac(&slot, overdraft::mac2(&session, limit, &terminal, at), mac2, &mut batch)?;
        let purse = self.open_purse(Purse::Ed)?;
        let PurseState { balance: old, overdraft: old_limit, online: used, .. } = purse.state;
        let balance = overdraft::new_balance(old, old_limit, limit).ok_or(match limit > old_limit {
            true => StatusWord::CONDITIONS,
            false => StatusWord::INSUFFICIENT_FUNDS,
        })?;
        let online = used.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        let tac = overdraft::tac(&self.tac_key(key_index)?, balance, used, limit, &terminal, at);
        let finished = Finished {
            transaction: TransactionType::EdOverdraftUpdate,
            used,
            amount: PurseFen::ZERO,
            terminal,
            at,
            proof: Proof::of_tac(tac),
        };
        let new = PurseState { balance, online, overdraft: limit, ..purse.state };
        self.finish(&batch, &purse, new, &finished)?;
        self.answer(tac.as_bytes())
    }
}
