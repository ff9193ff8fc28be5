//! What a purse remembers, as its file keeps it.
//!
//! | from | length | content |
//! |---|---|---|
//! | 0 | 11 | balance (4), online counter (2), offline counter (2), overdraft limit (3) |
//! | 11 | 1 | lock state: 00 free, else the first byte of the lock's proof |
//! | 12 | 11 | last proof: type (1, 00 = none), counter used (2), MAC (4), TAC (4) |
//! | 23 | 40 | grey lock: its proof (30), index of the purchase key (1), random numbers of card and PSAM (8), wrong GMACs (1) |
//!
//! A purse of release 0.1 ends before the lock and is never locked.

use crate::files::File;
use crate::memory::{Batch, BatchFull, Memory, Store};
use ykt_base::{CardCounter, KeyIndex, Random4};
use ykt_purse::grey::{LockProof, PROOF_LEN};
use ykt_purse::prove::Proof;
use ykt_purse::{OverdraftLimit, PurseFen, TransactionType};

const STATE_LEN: usize = 23;
const LOCK_LEN: usize = PROOF_LEN + 10;
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

/// A grey lock, from GREY LOCK until its TAC is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) proof: LockProof,
    /// What GMAC's session key is made of, beside counter and sequence of the lock.
    pub(super) key_index: KeyIndex,
    pub(super) random: Random4,
    pub(super) terminal_random: Random4,
    /// Wrong GMACs in a row.
    pub(super) wrong_gmacs: u8,
}

impl Lock {
    fn from_bytes(bytes: &[u8; LOCK_LEN]) -> Option<Lock> {
        let (proof, rest) = bytes.split_first_chunk::<PROOF_LEN>()?;
        let &[key_index, ref randoms @ .., wrong_gmacs] = rest else { return None };
        let (random, terminal_random) = randoms.split_first_chunk()?;
        Some(Lock {
            proof: LockProof::from_bytes(proof)??,
            key_index: KeyIndex(key_index),
            random: Random4(*random),
            terminal_random: Random4(terminal_random.try_into().ok()?),
            wrong_gmacs,
        })
    }
}

/// Everything a purse remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PurseState {
    pub(super) balance: PurseFen,
    pub(super) online: CardCounter,
    pub(super) offline: CardCounter,
    pub(super) overdraft: OverdraftLimit,
    pub(super) last: Option<LastProof>,
    pub(super) lock: Option<Lock>,
}

impl PurseState {
    /// `None` when the bytes are no state this card system writes.
    pub(super) fn read<M: Memory>(store: &Store<M>, file: &File) -> Option<PurseState> {
        let (state, lock_state) = PurseState::from_bytes(store.read(file.body))?;
        if lock_state == FREE {
            return Some(state);
        }
        let bytes = store.read(file.body.checked_add(STATE_LEN).filter(|_| has_room_for_lock(file))?);
        let lock = Lock::from_bytes(&bytes).filter(|lock| lock.proof.stage.code() == lock_state)?;
        Some(PurseState { lock: Some(lock), ..state })
    }

    /// Puts it into a batch. The file has room for a lock when there is one.
    pub(super) fn put(&self, batch: &mut Batch, file: &File) -> Result<(), BatchFull> {
        let (money, limits, proof) = self.parts();
        let Some(Lock { proof: lock, key_index, random, terminal_random, wrong_gmacs }) = &self.lock else {
            return batch.write(file.body, &[&money, &limits, &proof]);
        };
        let (lock, index, wrong) = (lock.to_bytes(), [key_index.0], [*wrong_gmacs]);
        let (random, terminal_random) = (random.as_bytes(), terminal_random.as_bytes());
        let parts: [&[u8]; 8] = [&money, &limits, &proof, &lock, &index, random, terminal_random, &wrong];
        batch.write(file.body, &parts)
    }

    /// The state without its lock, and the byte that says whether there is one.
    fn from_bytes(bytes: [u8; STATE_LEN]) -> Option<(PurseState, u8)> {
        let (balance, rest) = bytes.split_first_chunk()?;
        let (online, rest) = rest.split_first_chunk()?;
        let (offline, rest) = rest.split_first_chunk()?;
        let (overdraft, rest) = rest.split_first_chunk()?;
        let ([lock_state, transaction], rest) = rest.split_first_chunk()?;
        let (used, proof) = rest.split_first_chunk()?;
        let last = match *transaction {
            NO_PROOF => None,
            code => Some(LastProof {
                transaction: TransactionType::from_code(code)?,
                used: CardCounter::from_bytes(*used),
                proof: Proof::from_bytes(proof)?,
            }),
        };
        let state = PurseState {
            balance: PurseFen::from_bytes(*balance)?,
            online: CardCounter::from_bytes(*online),
            offline: CardCounter::from_bytes(*offline),
            overdraft: OverdraftLimit(*overdraft),
            last,
            lock: None,
        };
        Some((state, *lock_state))
    }

    fn parts(&self) -> ([u8; 8], [u8; 5], [u8; 10]) {
        let [b0, b1, b2, b3] = self.balance.to_bytes();
        let ([on0, on1], [off0, off1]) = (self.online.to_bytes(), self.offline.to_bytes());
        let [limit0, limit1, limit2] = self.overdraft.0;
        let lock_state = self.lock.map_or(FREE, |lock| lock.proof.stage.code());
        let mut proof = [0; 10];
        let code = self.last.map_or(NO_PROOF, |last| {
            let (used, macs) = proof.split_at_mut(2);
            used.copy_from_slice(&last.used.to_bytes());
            macs.copy_from_slice(&last.proof.to_bytes());
            last.transaction.code()
        });
        ([b0, b1, b2, b3, on0, on1, off0, off1], [limit0, limit1, limit2, lock_state, code], proof)
    }
}

/// Whether a purse file can hold a grey lock.
pub(super) const fn has_room_for_lock(file: &File) -> bool {
    file.len >= STATE_LEN + LOCK_LEN
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
    use crate::card::Card;
    use crate::files::{FileId, FileKind};
    use crate::image::Blank;
    use crate::memory::ArrayMemory;
    use ykt_base::Mac4;
    use ykt_crypto::Key16;
    use ykt_purse::create::{Access, AccessByte, Protection};

    #[test]
    fn a_state_comes_back() {
        let (state, proof) = (
            PurseState {
                balance: PurseFen::from_bytes([0x7F, 0xFF, 0xFF, 0xFF]).unwrap(),
                online: CardCounter(0x0102),
                offline: CardCounter(0xFFFE),
                overdraft: OverdraftLimit([1, 2, 3]),
                last: Some(LastProof {
                    transaction: TransactionType::EpPurchase,
                    used: CardCounter(0xFFFD),
                    proof: Proof { mac2: Mac4([1; 4]), tac: Mac4([2; 4]) },
                }),
                lock: None,
            },
            [
                &[0x01, 0x92, 0x02, 0, 0, 1, 0, 0, 7][..],
                &[3; 6],
                &[0x20, 0x24, 1, 0x31, 0x12, 0x34, 0x56],
                &[4; 8],
            ]
            .concat(),
        );
        let lock = Lock {
            proof: LockProof::from_bytes(&proof).unwrap().unwrap(),
            key_index: KeyIndex(4),
            random: Random4([5; 4]),
            terminal_random: Random4([6; 4]),
            wrong_gmacs: 2,
        };
        let key = Key16::from_bytes([1; 16]);
        let blank = Blank::user_card([0; 8], &key);
        let mut store = Card::blank(ArrayMemory::<2048>::new(), &blank).unwrap().store;
        let file = |len| File {
            id: FileId([0, 2]),
            kind: FileKind::Keys,
            protection: Protection::Plain,
            read: Access::ALWAYS,
            write: Access::ALWAYS,
            access: AccessByte::KEY_0,
            body: 600,
            len,
        };
        for state in [state, PurseState { last: None, ..state }, PurseState { lock: Some(lock), ..state }] {
            let mut batch: Batch = Batch::new();
            state.put(&mut batch, &file(96)).unwrap();
            store.commit(&batch).unwrap();
            assert_eq!(PurseState::read(&store, &file(96)), Some(state));
        }
        assert_eq!(PurseState::read(&store, &file(32)), None, "a short purse has no lock");
        assert!(has_room_for_lock(&file(96)) && !has_room_for_lock(&file(32)));
        assert_eq!(PurseState::from_bytes([0; STATE_LEN]).unwrap().0.balance, PurseFen::ZERO);
        assert_eq!(PurseState::from_bytes([0xFF; STATE_LEN]), None);
    }
}
