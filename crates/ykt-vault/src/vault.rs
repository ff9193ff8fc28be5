//! What a vault (加密机) does for the house, whatever holds the keys: ask it, and get cryptograms, MACs and verdicts.
//!
//! Issuing asks for WRITE KEY commands and secure messages, the load host for MAC1 checks and MAC2, clearing for
//! verdicts over batches of TACs. No call returns a key.

use crate::error::VaultError;
use crate::kind::{KeyKind, KeyState, Origin};
use crate::levels::Levels;
use crate::manage::KeyPlace;
use crate::value::KeyAlgorithm;
use core::fmt;
use ykt_base::hex::Hex;
use ykt_base::{
    Asn8, CardCounter, DateTime, IssuerFactor, KeyIndex, KeyVersion, Mac4, PsamSerial, Random4, TerminalSeq,
};
use ykt_crypto::sm::{CommandBytes, Padding};
use ykt_purse::PurseFen;
use ykt_purse::create::{Access, Switches};
use ykt_purse::key_card::KeyCardHeader;
use ykt_purse::load::Load;
use ykt_purse::purchase::Purchase;
use ykt_purse::write_key::{self, KeyHeader, KeyTarget, Pin, SamKeyHeader};

/// Which key of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRef {
    /// What for.
    pub kind: KeyKind,
    /// Index: the one a command names.
    pub index: KeyIndex,
    /// Version: the one a card states.
    pub version: KeyVersion,
}

impl KeyRef {
    /// The key of this kind, index and version.
    #[must_use]
    pub const fn new(kind: KeyKind, index: u8, version: u8) -> KeyRef {
        KeyRef { kind, index: KeyIndex(index), version: KeyVersion(version) }
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} key, index {}, version {}", self.kind, self.index, self.version)
    }
}

/// A key as one user card holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardKeyRef {
    /// Which key.
    pub key: KeyRef,
    /// Factor of the level above the card: city or issuer.
    pub factor: IssuerFactor,
    /// Card number.
    pub asn: Asn8,
}

/// A key as its holder has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAddress {
    /// A user card's key.
    Card(CardKeyRef),
    /// A PSAM's or key card's own control key.
    Sam {
        /// Which key.
        key: KeyRef,
        /// The PSAM or key card.
        serial: PsamSerial,
    },
    /// A key that is the same for all: transport and initialisation keys, the key of authentication codes.
    Shared(KeyRef),
}

impl KeyAddress {
    /// Which key.
    #[must_use]
    pub const fn key(&self) -> KeyRef {
        match self {
            KeyAddress::Card(card) => card.key,
            KeyAddress::Sam { key, .. } | KeyAddress::Shared(key) => *key,
        }
    }
}

/// What a WRITE KEY brings.
pub enum NewKey<'a> {
    /// A key diversified for its holder.
    Own(KeyAddress),
    /// A working key of a PSAM or key card: the issuer's, diversified only so far that as many levels are left as its
    /// usage byte says.
    Working {
        /// Which key.
        key: KeyRef,
        /// The issuer's factor, for levels above the one stored.
        factor: IssuerFactor,
    },
    /// A PIN.
    Pin(&'a Pin),
}

/// The layout of a WRITE KEY: user card, PSAM or key card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyLayout {
    /// A user card (`epurse.md` 0).
    Card {
        /// Which family of card systems its application follows.
        family: write_key::KeyLayout,
        /// P1 and P2.
        target: KeyTarget,
        /// The header before the key.
        header: KeyHeader,
    },
    /// A PSAM (`epurse.md` 3.3).
    Sam {
        /// The header before the key.
        header: SamKeyHeader,
    },
    /// A key card (`keys-and-ca.md` 4).
    KeyCard {
        /// The header before key or PIN.
        header: KeyCardHeader,
    },
}

/// One WRITE HARD INFO to be made: an operator's preset of a blank card ([`ykt_purse::hard_info`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresetJob {
    /// The transport key the factory gave the card.
    pub factory: KeyRef,
    /// The one it gets.
    pub transport: KeyRef,
    /// Chip serial number.
    pub serial: [u8; 8],
    /// Who presets.
    pub operator: [u8; 2],
    /// The card system the card must be of.
    pub system: [u8; 2],
    /// Right to create files in the MF.
    pub mf_create: Access,
    /// Switches of the MF.
    pub mf_switches: Switches,
    /// IV of the card's challenge.
    pub iv: [u8; 8],
}

/// One WRITE KEY to be made.
pub struct WriteKeyJob<'a> {
    /// The key the card protects its key file with at this moment.
    pub control: KeyAddress,
    /// The key it gets.
    pub new: NewKey<'a>,
    /// How it is written.
    pub layout: KeyLayout,
    /// IV of the card's challenge ([`ykt_crypto::sm::iv_from_challenge`]).
    pub iv: [u8; 8],
}

/// Whether the data of a secure message travel in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// In clear, with a MAC.
    Clear,
    /// Enciphered, with a MAC; the padding is that of the card's application.
    Enciphered(Padding),
}

/// One command under secure messaging to be made.
pub struct SecureMessage<'a> {
    /// The key that protects it.
    pub key: KeyAddress,
    /// IV of the card's challenge.
    pub iv: [u8; 8],
    /// CLA INS P1 P2.
    pub header: [u8; 4],
    /// Data in clear.
    pub data: &'a [u8],
    /// Whether they are enciphered.
    pub secrecy: Secrecy,
}

/// A load that has begun: what the session key is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadSession {
    /// The card's load key.
    pub key: CardKeyRef,
    /// The card's random number.
    pub random: Random4,
    /// Its online counter before the load.
    pub counter: CardCounter,
}

/// What a card signs with a TAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// A load.
    Load {
        /// Terms.
        load: Load,
        /// Balance after.
        new_balance: PurseFen,
        /// Online counter before.
        counter: CardCounter,
        /// Date and time of the host.
        at: DateTime,
    },
    /// A purchase.
    Purchase {
        /// Terms.
        purchase: Purchase,
        /// Terminal sequence.
        sequence: TerminalSeq,
        /// Date and time of the terminal.
        at: DateTime,
    },
}

/// One TAC to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TacJob {
    /// The card's TAC key.
    pub key: CardKeyRef,
    /// What it signed.
    pub receipt: Receipt,
    /// The TAC it gave.
    pub tac: Mac4,
}

/// The verdict over one TAC of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TacVerdict {
    /// It is this card's.
    Right,
    /// It is not.
    Wrong,
    /// The vault has no usable key of this index and version for this card.
    UnknownKeyVersion,
}

/// The verdict over one MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacVerdict {
    /// It is right.
    Right,
    /// It is wrong.
    Wrong,
}

impl MacVerdict {
    /// Compares in constant time.
    pub(crate) fn of(computed: &Mac4, given: &Mac4) -> MacVerdict {
        if ykt_crypto::macs_equal(computed, given) { MacVerdict::Right } else { MacVerdict::Wrong }
    }
}

/// What a list shows of a key; never the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Kind, index and version.
    pub key: KeyRef,
    /// Name of its level.
    pub level: String,
    /// Position of its level, 0 = root.
    pub depth: u8,
    /// Whose it is at its level: city factor, card number, or the last eight bytes of a PSAM's serial number.
    pub owner: Option<[u8; 8]>,
    /// What it computes with.
    pub algorithm: KeyAlgorithm,
    /// Check value ([`crate::KeyValue::kcv`]); zero once destroyed.
    pub kcv: [u8; 3],
    /// Its state.
    pub state: KeyState,
    /// Where it comes from.
    pub origin: Origin,
}

impl KeyInfo {
    /// Where it is kept.
    #[must_use]
    pub const fn place(&self) -> KeyPlace {
        KeyPlace { key: self.key, level: self.depth, owner: self.owner }
    }
}

impl fmt::Display for KeyInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.key, self.level)?;
        if let Some(owner) = &self.owner {
            write!(f, " {}", Hex(owner))?;
        }
        write!(f, ": {}, KCV {}, {}, {}", self.algorithm, Hex(&self.kcv), self.state, self.origin)
    }
}

/// Whether a vault works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Ready,
    /// It is there, and waits to be unlocked.
    Locked,
    /// It does not answer.
    Gone {
        /// What failed.
        reason: String,
    },
}

/// What a vault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultStatus {
    /// Which backend.
    pub backend: &'static str,
    /// Its version.
    pub version: String,
    /// Where its keys come from.
    pub origin: Origin,
    /// Its levels.
    pub levels: Levels,
    /// How many keys it holds, destroyed ones not counted.
    pub keys: usize,
    /// Whether it works.
    pub health: Health,
}

/// A vault: one interface for every backend.
pub trait Vault: Send + Sync {
    /// What it is, and whether it works; answers always.
    fn status(&self) -> VaultStatus;

    /// What its keys may compute with. What is missing here is answered with [`VaultError::Unsupported`].
    fn capabilities(&self) -> Vec<KeyAlgorithm> {
        KeyAlgorithm::ALL.to_vec()
    }

    /// Every key it holds or held, ordered by kind, index, version, level and owner.
    ///
    /// # Errors
    /// [`VaultError`] when the vault does not answer.
    fn list(&self) -> Result<Vec<KeyInfo>, VaultError>;

    /// Check value of a key as its holder has it.
    ///
    /// # Errors
    /// [`VaultError`] when there is no such key.
    fn kcv(&self, key: &KeyAddress) -> Result<[u8; 3], VaultError>;

    /// A ready WRITE KEY command `84 D4` (`epurse.md` 0 and 3.3).
    ///
    /// # Errors
    /// [`VaultError`] when a key is missing or not active, or the header does not fit it.
    fn write_key(&self, job: &WriteKeyJob<'_>) -> Result<CommandBytes, VaultError>;

    /// A ready WRITE HARD INFO command (`84 F4`).
    ///
    /// # Errors
    /// [`VaultError`] when a key is missing or not active.
    fn preset(&self, job: &PresetJob) -> Result<CommandBytes, VaultError>;

    /// The cryptogram of EXTERNAL AUTHENTICATE over a challenge (4-byte challenges filled up with zeros).
    ///
    /// # Errors
    /// [`VaultError`] when there is no such key.
    fn external_authenticate(&self, key: &KeyAddress, challenge: [u8; 8]) -> Result<[u8; 8], VaultError>;

    /// A secure-messaging MAC over concatenated parts.
    ///
    /// # Errors
    /// [`VaultError`] when there is no such key.
    fn sm_mac(&self, key: &KeyAddress, iv: [u8; 8], parts: &[&[u8]]) -> Result<Mac4, VaultError>;

    /// A ready command under secure messaging.
    ///
    /// # Errors
    /// [`VaultError`] when there is no such key or the data are too long.
    fn secure_message(&self, message: &SecureMessage<'_>) -> Result<CommandBytes, VaultError>;

    /// Checks the MAC1 of an INITIALIZE FOR LOAD.
    ///
    /// # Errors
    /// [`VaultError`] when there is no such key.
    fn check_load_mac1(
        &self,
        session: &LoadSession,
        load: &Load,
        balance: PurseFen,
        mac1: &Mac4,
    ) -> Result<MacVerdict, VaultError>;

    /// Makes the MAC2 of a CREDIT FOR LOAD.
    ///
    /// # Errors
    /// [`VaultError`] when there is no such key.
    fn load_mac2(&self, session: &LoadSession, load: &Load, at: DateTime) -> Result<Mac4, VaultError>;

    /// Checks TACs, one verdict per job in the order of the jobs. Made for masses: jobs of one city should stand
    /// together.
    ///
    /// # Errors
    /// [`VaultError`] when the vault does not answer; then nothing is known of any of the TACs.
    fn verify_tacs(&self, jobs: &[TacJob]) -> Result<Vec<TacVerdict>, VaultError>;

    /// Checks the TAC of one load.
    ///
    /// # Errors
    /// [`VaultError`] when there is no such key, or the vault does not answer.
    fn check_load_tac(&self, job: &TacJob) -> Result<MacVerdict, VaultError> {
        match self.verify_tacs(core::slice::from_ref(job))?.as_slice() {
            [TacVerdict::Right] => Ok(MacVerdict::Right),
            [TacVerdict::Wrong] => Ok(MacVerdict::Wrong),
            _ => Err(VaultError::NoSuchKey { key: job.key.key }),
        }
    }
}
