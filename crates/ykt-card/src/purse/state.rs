//! What a purse remembers, as its file keeps it.
//!
//! Body: balance (4), online counter (2), offline counter (2), overdraft limit (3), lock state (1), then the last
//! proof: type (1, 00 = none), counter used (2), MAC2 (4), TAC (4). The rest is room for a grey lock.

use crate::files::File;
use crate::memory::{Batch, BatchFull, Memory, Store};
use ykt_base::CardCounter;
use ykt_purse::prove::Proof;
use ykt_purse::{OverdraftLimit, PurseFen, TransactionType};

const STATE_LEN: usize = 23;
/// Lock state of a purse that is free (4.11).
const FREE: u8 = 0x00;
const NO_PROOF: u8 = 0x00;

/// The proof kept for GET TRANSACTION PROVE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastProof {
    pub(super) transaction: TransactionType,
    /// The counter its MACs used.
    pub(super) used: CardCounter,
    pub(super) proof: Proof,
}

/// Everything a purse remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PurseState {
    pub(super) balance: PurseFen,
    pub(super) online: CardCounter,
    pub(super) offline: CardCounter,
    pub(super) overdraft: OverdraftLimit,
    pub(super) last: Option<LastProof>,
}

impl PurseState {
    /// `None` when the bytes are no state this card system writes.
    pub(super) fn read<M: Memory>(store: &Store<M>, file: &File) -> Option<PurseState> {
        PurseState::from_bytes(store.read(file.body))
    }

    /// Puts it into a batch.
    pub(super) fn put(&self, batch: &mut Batch, file: &File) -> Result<(), BatchFull> {
        let (money, limits, proof) = self.parts();
        batch.write(file.body, &[&money, &limits, &proof])
    }

    fn from_bytes(bytes: [u8; STATE_LEN]) -> Option<PurseState> {
        let (balance, rest) = bytes.split_first_chunk()?;
        let (online, rest) = rest.split_first_chunk()?;
        let (offline, rest) = rest.split_first_chunk()?;
        let (overdraft, rest) = rest.split_first_chunk()?;
        let ([FREE, transaction], rest) = rest.split_first_chunk()? else {
            return None;
        };
        let (used, proof) = rest.split_first_chunk()?;
        let last = match *transaction {
            NO_PROOF => None,
            code => Some(LastProof {
                transaction: TransactionType::from_code(code)?,
                used: CardCounter::from_bytes(*used),
                proof: Proof::from_bytes(proof)?,
            }),
        };
        Some(PurseState {
            balance: PurseFen::from_bytes(*balance)?,
            online: CardCounter::from_bytes(*online),
            offline: CardCounter::from_bytes(*offline),
            overdraft: OverdraftLimit(*overdraft),
            last,
        })
    }

    fn parts(&self) -> ([u8; 8], [u8; 5], [u8; 10]) {
        let [b0, b1, b2, b3] = self.balance.to_bytes();
        let ([on0, on1], [off0, off1]) = (self.online.to_bytes(), self.offline.to_bytes());
        let [limit0, limit1, limit2] = self.overdraft.0;
        let mut proof = [0; 10];
        let code = self.last.map_or(NO_PROOF, |last| {
            let (used, macs) = proof.split_at_mut(2);
            used.copy_from_slice(&last.used.to_bytes());
            macs.copy_from_slice(&last.proof.to_bytes());
            last.transaction.code()
        });
        ([b0, b1, b2, b3, on0, on1, off0, off1], [limit0, limit1, limit2, FREE, code], proof)
    }
}

/// Balance, online and offline counter that a purse file holds; `None` when its bytes are no state.
pub(crate) fn stored<M: Memory>(
    store: &Store<M>,
    file: &File,
) -> Option<(PurseFen, CardCounter, CardCounter)> {
    let state = PurseState::read(store, file)?;
    Some((state.balance, state.online, state.offline))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ykt_base::Mac4;

    #[test]
    fn a_state_comes_back() {
        let state = PurseState {
            balance: PurseFen::from_bytes([0x7F, 0xFF, 0xFF, 0xFF]).unwrap(),
            online: CardCounter(0x0102),
            offline: CardCounter(0xFFFE),
            overdraft: OverdraftLimit([1, 2, 3]),
            last: Some(LastProof {
                transaction: TransactionType::EpPurchase,
                used: CardCounter(0xFFFD),
                proof: Proof { mac2: Mac4([1; 4]), tac: Mac4([2; 4]) },
            }),
        };
        for state in [state, PurseState { last: None, ..state }] {
            let (money, limits, proof) = state.parts();
            let bytes = [&money[..], &limits, &proof].concat();
            assert_eq!(PurseState::from_bytes(bytes.try_into().unwrap()), Some(state));
        }
        assert_eq!(PurseState::from_bytes([0; STATE_LEN]).unwrap().balance, PurseFen::ZERO);
        assert_eq!(PurseState::from_bytes([0xFF; STATE_LEN]), None);
    }
}
