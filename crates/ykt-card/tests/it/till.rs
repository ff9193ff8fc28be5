//! The other side of every transaction of a purse: what terminal, PSAM or host send to the card of
//! `wallet-card.apdu`, and what a transaction does to the money.

use crate::bench::{Bench, Chip, Dialogue, Dice, SELECT_APPLICATION, unhex};
use ykt_base::{CardCounter, DateTime, Fen, KeyIndex, Random4, TerminalId, TerminalSeq};
use ykt_card::{Card, Memory};
use ykt_crypto::{CardKey, SessionKey};
use ykt_purse::grey::{
    self, DebitForUnlock, GreyLock, GreyUnlock, InitializeForGreyLock, InitializeForGreyUnlock, LockPurse,
    OnlineUnlock, UnlockOffer,
};
use ykt_purse::load::{self, CreditForLoad, InitializeForLoad, Load, LoadAnswer};
use ykt_purse::overdraft::{self, InitializeForUpdate, UpdateAnswer, UpdateOverdraft};
use ykt_purse::purchase::{
    self, DebitForPurchase, InitializeForPurchase, Purchase, PurchaseAnswer, PurchaseKind,
};
use ykt_purse::unload::{self, DebitForUnload, InitializeForUnload, Unload, UnloadAnswer};
use ykt_purse::{OverdraftLimit, Purse, PurseFen};

/// A transaction that INITIALIZE begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Load(Purse),
    Pay(PurchaseKind),
    Unload,
    Overdraft,
    Lock(Purse),
    Unlock(Purse),
}

pub const KINDS: [Kind; 12] = [
    Kind::Load(Purse::Ed),
    Kind::Load(Purse::Ep),
    Kind::Pay(PurchaseKind::Purchase(Purse::Ed)),
    Kind::Pay(PurchaseKind::Purchase(Purse::Ep)),
    Kind::Pay(PurchaseKind::CashWithdraw),
    Kind::Pay(PurchaseKind::Composite),
    Kind::Unload,
    Kind::Overdraft,
    Kind::Lock(Purse::Ed),
    Kind::Lock(Purse::Ep),
    Kind::Unlock(Purse::Ed),
    Kind::Unlock(Purse::Ep),
];

pub const TERMINAL: TerminalId = TerminalId([0x36, 0x04, 0x86, 0x60, 0x00, 0x02]);
const INDEX: KeyIndex = KeyIndex(1);
const SEQUENCE: TerminalSeq = TerminalSeq(0x77);
const TERMINAL_RANDOM: Random4 = Random4([0xE1; 4]);

pub fn at() -> DateTime {
    DateTime::from_number(20_240_131_123_456).unwrap()
}

pub fn fen(amount: u32) -> PurseFen {
    PurseFen::try_from(Fen::new(i64::from(amount))).unwrap()
}

fn key(hex: &str) -> CardKey {
    CardKey::from_hex(hex).unwrap()
}

fn dpk() -> CardKey {
    key("FBB4B98851865C96144C89BF8767E819")
}

/// The card of `wallet-card.apdu`, once made.
pub fn wallet() -> Chip {
    Dialogue::read("wallet-card").play().card.into_memory()
}

/// The card with power, its application selected.
pub fn open(chip: &Chip) -> Bench {
    let mut bench = Bench { card: Card::power_on(chip.clone()).unwrap(), dice: Dice::default() };
    bench.ok(SELECT_APPLICATION);
    bench
}

/// The lock a terminal has on a purse: what it needs to debit.
#[derive(Clone)]
pub struct HeldLock {
    pub session: SessionKey,
    /// The card's offline counter before the lock.
    pub used: CardCounter,
    pub sequence: TerminalSeq,
}

impl HeldLock {
    /// The lock that follows the card's answer, under the PSAM's sequence and random number.
    pub fn new(answer: &PurchaseAnswer, sequence: TerminalSeq, terminal_random: Random4) -> HeldLock {
        let used = answer.counter;
        let session = grey::session_key(&dpk(), answer.random, used, sequence, terminal_random);
        HeldLock { session, used, sequence }
    }

    /// DEBIT FOR UNLOCK.
    pub fn debit(&self, purse: Purse, amount: u32) -> DebitForUnlock {
        let (counter, sequence) = (self.used.next().unwrap(), self.sequence.next().unwrap());
        let gmac = grey::gmac(&self.session, fen(amount));
        DebitForUnlock { purse, amount: fen(amount), counter, terminal: TERMINAL, sequence, at: at(), gmac }
    }
}

impl Kind {
    pub const fn purse(self) -> Purse {
        match self {
            Kind::Load(purse) | Kind::Lock(purse) | Kind::Unlock(purse) => purse,
            Kind::Pay(kind) => kind.purse(),
            Kind::Unload | Kind::Overdraft => Purse::Ed,
        }
    }

    /// The type byte of its log row.
    pub const fn code(self) -> u8 {
        match self {
            Kind::Load(purse) => purse.code(),
            Kind::Pay(kind) => kind.transaction_type().code(),
            Kind::Unload => 0x03,
            Kind::Overdraft => 0x07,
            Kind::Lock(purse) => 0x90 | purse.code(),
            Kind::Unlock(Purse::Ed) => 0x96,
            Kind::Unlock(Purse::Ep) => 0x95,
        }
    }

    /// Whether the online counter numbers it.
    pub const fn counts_online(self) -> bool {
        !matches!(self, Kind::Pay(_) | Kind::Lock(_))
    }

    /// INITIALIZE; the amount of an update and of an unlock comes later.
    pub fn initialize(self, amount: u32) -> Vec<u8> {
        let (key_index, terminal) = (INDEX, TERMINAL);
        match self {
            Kind::Load(purse) => {
                let load = Load { purse, amount: fen(amount), terminal };
                InitializeForLoad { key_index, load }.to_apdu().to_vec()
            }
            Kind::Pay(kind) => {
                let purchase = Purchase { kind, amount: fen(amount), terminal };
                InitializeForPurchase { key_index, purchase }.to_apdu().to_vec()
            }
            Kind::Unload => {
                let unload = Unload { amount: fen(amount), terminal };
                InitializeForUnload { key_index, unload }.to_apdu().to_vec()
            }
            Kind::Overdraft => InitializeForUpdate { key_index, terminal }.to_apdu().to_vec(),
            Kind::Lock(purse) => {
                InitializeForGreyLock { key_index, lock: GreyLock { purse, terminal } }.to_apdu().to_vec()
            }
            Kind::Unlock(purse) => {
                InitializeForGreyUnlock { key_index, unlock: OnlineUnlock { purse, terminal } }
                    .to_apdu()
                    .to_vec()
            }
        }
    }

    /// The right follow-up to an answer of INITIALIZE. An update takes the amount as the new limit.
    pub fn follow_up(self, amount: u32, answer: &[u8]) -> Vec<u8> {
        let (at, terminal) = (at(), TERMINAL);
        match self {
            Kind::Load(purse) => {
                let load = Load { purse, amount: fen(amount), terminal };
                let given = LoadAnswer::from_bytes(answer).unwrap();
                let dlk = key("E5A60E3AB7E2795E3D8F4F5AACDD05D2");
                let session = load::session_key(&dlk, given.random, given.counter);
                CreditForLoad { at, mac2: load::mac2(&session, &load, at) }.to_apdu().to_vec()
            }
            Kind::Pay(kind) => {
                let purchase = Purchase { kind, amount: fen(amount), terminal };
                let given = PurchaseAnswer::from_bytes(answer).unwrap();
                let session = purchase::session_key(&dpk(), given.random, given.counter, SEQUENCE);
                let mac1 = purchase::mac1(&session, &purchase, at);
                DebitForPurchase { sequence: SEQUENCE, at, mac1 }.to_apdu().to_vec()
            }
            Kind::Unload => {
                let unload = Unload { amount: fen(amount), terminal };
                let given = UnloadAnswer::from_bytes(answer).unwrap();
                let dulk = key("7C01F2AA87EBC94B38F353EAB220E9AC");
                let session = unload::session_key(&dulk, given.random, given.counter);
                DebitForUnload { at, mac2: unload::mac2(&session, &unload, at) }.to_apdu().to_vec()
            }
            Kind::Overdraft => {
                let given = UpdateAnswer::from_bytes(answer).unwrap();
                let duk = key("7ED6AB8FEE9E1BB795410DD415A24FC0");
                let session = overdraft::session_key(&duk, given.random, given.counter);
                let [_, limit @ ..] = amount.to_be_bytes();
                let limit = OverdraftLimit(limit);
                let mac2 = overdraft::mac2(&session, limit, &terminal, at);
                UpdateOverdraft { limit, at, mac2 }.to_apdu().to_vec()
            }
            Kind::Lock(purse) => {
                let given = PurchaseAnswer::from_bytes(answer).unwrap();
                let held = HeldLock::new(&given, SEQUENCE, TERMINAL_RANDOM);
                let mac1 = grey::mac1(&held.session, &GreyLock { purse, terminal }, at);
                LockPurse { sequence: SEQUENCE, terminal_random: TERMINAL_RANDOM, at, mac1 }
                    .to_apdu()
                    .to_vec()
            }
            Kind::Unlock(purse) => {
                let given = UnlockOffer::from_bytes(answer).unwrap();
                let dugk = key("79CE28B6D59F4CEA15B2AEC63FC4CE6D");
                let session = grey::unlock_session_key(&dugk, given.random, given.online);
                let amount = fen(amount);
                let mac2 = grey::unlock_mac2(&session, amount, &OnlineUnlock { purse, terminal }, at);
                GreyUnlock { purse: None, amount, at, mac2 }.to_apdu().to_vec()
            }
        }
    }
}

/// How far a lock of a purse has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    #[default]
    Free,
    Locked,
    Debited,
}

/// A purse: as it stands in memory, or as its transactions should leave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    pub balance: i64,
    pub limit: i64,
    pub online: u16,
    pub offline: u16,
    pub stage: Stage,
    /// Wrong GMACs in a row, while it is locked.
    pub wrong_gmacs: u8,
}

impl Model {
    /// After a transaction.
    pub fn after(self, kind: Kind, amount: u32) -> Model {
        let amount = i64::from(amount);
        let balance = match kind {
            Kind::Load(_) => self.balance + amount,
            Kind::Overdraft => self.balance + amount - self.limit,
            Kind::Lock(_) => self.balance,
            Kind::Pay(_) | Kind::Unload | Kind::Unlock(_) => self.balance - amount,
        };
        let limit = if kind == Kind::Overdraft { amount } else { self.limit };
        let (online, offline) = match kind.counts_online() {
            true => (self.online + 1, self.offline),
            false => (self.online, self.offline + 1),
        };
        let stage = match kind {
            Kind::Lock(_) => Stage::Locked,
            Kind::Unlock(_) => Stage::Free,
            _ => self.stage,
        };
        let wrong_gmacs = if stage == self.stage { self.wrong_gmacs } else { 0 };
        Model { balance, limit, online, offline, stage, wrong_gmacs }
    }
}

/// ED and EP as they stand in memory: the card notices nothing.
pub fn purses(bench: &Bench) -> [Model; 2] {
    [Purse::Ed, Purse::Ep].map(|purse| {
        let image = &bench.card.memory().image()[purse_at(bench, purse)..];
        let number = |from: usize, len: usize| {
            image[from..from + len].iter().fold(0, |number, byte| number << 8 | i64::from(*byte))
        };
        let counter = |from| u16::try_from(number(from, 2)).unwrap();
        let stage = match image[LOCK_STATE_AT] {
            0x00 => Stage::Free,
            0x01 => Stage::Locked,
            _ => Stage::Debited,
        };
        let (online, offline) = (counter(COUNTERS_AT), counter(COUNTERS_AT + 2));
        let wrong_gmacs = if stage == Stage::Locked { image[LOCK_AT + WRONG_GMACS_AT] } else { 0 };
        Model { balance: number(0, 4), limit: number(8, 3), online, offline, stage, wrong_gmacs }
    })
}

/// In a purse: where the counters begin, the state of the lock, and the lock.
pub const COUNTERS_AT: usize = 4;
pub const LOCK_STATE_AT: usize = 11;
const LOCK_AT: usize = 23;
/// In a lock: the wrong GMACs in a row.
const WRONG_GMACS_AT: usize = 39;

/// Where the body of the last file begins whose header has these bytes.
pub fn body_of(bench: &Bench, header: &[u8]) -> usize {
    let image = bench.card.memory().image();
    let at = image.windows(header.len()).rposition(|bytes| bytes == header);
    at.unwrap() + ykt_card::FILE_HEADER_LEN
}

/// Where a purse begins.
pub fn purse_at(bench: &Bench, purse: Purse) -> usize {
    body_of(bench, &[0x07, 0x00, purse.code(), 0x2F, 0x02, 0x08, 0xF0, 0x00, 0xFF, 0x18])
}

/// Changes the memory by hand.
pub fn poke(bench: &mut Bench, at: usize, bytes: &[u8]) {
    bench.card.memory_mut().write(at, bytes).unwrap();
}

/// Locks a purse by hand, as a terminal did whose answer the tests do not keep.
pub fn lock_by_hand(bench: &mut Bench, purse: Purse) {
    let at = purse_at(bench, purse);
    let mut lock = unhex("0192020000006400063604866000022024013112345600000077AABBCCDD01D1D2D3D4E1E2E3E400");
    (lock[1], lock[2]) = (0x90 | purse.code(), purse.code());
    poke(bench, at + LOCK_STATE_AT, &[0x01]);
    poke(bench, at + LOCK_AT, &lock);
}
