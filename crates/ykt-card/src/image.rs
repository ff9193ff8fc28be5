//! The card image: where things lie in memory, and what the factory writes before any command.
//!
//! | from | length | content |
//! |---|---|---|
//! | 0 | 96 | factory header, ends with its CRC; constant once the card has a file |
//! | 96 | 16 | what changes outside of files: tries of the transport key, bytes used in the MF (2), state of the card, what is being erased (4) |
//! | 112 | 8 | journal mark: length, CRC, commit byte |
//! | 120 | 392 | journal body |
//! | 512 | rest | the MF's files |

use crate::memory::{Memory, MemoryFault, crc32};
use core::fmt;
use ykt_crypto::Key16;
use ykt_crypto::sm::Bytes;
use ykt_purse::create::{Access, Switches};
use ykt_purse::hard_info::Preset;

/// Smallest memory that makes a card, in bytes.
pub const IMAGE_LEN_MIN: usize = 1024;
/// Largest memory, in bytes: addresses are two bytes.
pub const IMAGE_LEN_MAX: usize = 65_535;
/// Memory of the demo's cards, in bytes; holds every file of the profile `city-cpu` and of the PSAM.
pub const IMAGE_LEN_DEMO: usize = 8192;
/// Memory of a citizen card that holds every application at once, in bytes.
pub const IMAGE_LEN_CITIZEN: usize = 32 * 1024;
/// Longest ATR, in bytes (ISO 7816-3).
pub const ATR_LEN_MAX: usize = 33;

const MAGIC: [u8; 4] = *b"YKTC";

/// How a card lays out what it keeps. New cards get the newest; a card keeps the one it was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Release 0.1: a purse of 32 bytes.
    V1,
    /// A purse has room for a grey lock.
    V2,
}

impl Layout {
    pub(crate) const NEWEST: Layout = Layout::V2;

    const fn to_byte(self) -> u8 {
        match self {
            Layout::V1 => 1,
            Layout::V2 => 2,
        }
    }

    const fn from_byte(byte: u8) -> Option<Layout> {
        match byte {
            1 => Some(Layout::V1),
            2 => Some(Layout::V2),
            _ => None,
        }
    }

    /// Bytes of a purse file.
    pub(crate) const fn purse_len(self) -> usize {
        match self {
            Layout::V1 => 32,
            Layout::V2 => 96,
        }
    }
}

const VERSION_AT: usize = 4;
const KIND_AT: usize = 5;
const LEN_AT: usize = 6;
const SERIAL_AT: usize = 8;
pub(crate) const TRANSPORT_KEY_AT: usize = 16;
const MF_CREATE_AT: usize = 32;
const ATR_LEN_AT: usize = 33;
const ATR_AT: usize = 34;
/// Switches of the MF, inverted: zeros are the default.
const MF_SWITCHES_AT: usize = 68;
const OPERATOR_AT: usize = 70;
const HEADER_CRC_AT: usize = 92;
const HEADER_LEN: usize = 96;

pub(crate) const TRANSPORT_TRIES_AT: usize = 96;
pub(crate) const MF_USED_AT: usize = 97;
pub(crate) const CARD_STATE_AT: usize = 99;
/// Address and length of what is being erased; length 0: nothing.
pub(crate) const WIPE_AT: usize = 100;
const CHANGING_LEN: usize = 16;

pub(crate) const MARK_AT: usize = 112;
pub(crate) const COMMIT_AT: usize = 118;
pub(crate) const COMMITTED: u8 = 0xA5;
pub(crate) const LOG_AT: usize = 120;
pub(crate) const LOG_LEN: usize = 392;
pub(crate) const FILES_AT: usize = 512;

/// Fifteen tries for the transport key: a lot of cards is lost when someone types it wrong (`epurse.md` 0,
/// error counter: allowed, left).
pub(crate) const TRANSPORT_TRIES: u8 = 0xFF;

/// Which card system this is: the command set and the meaning of a key's usage byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardKind {
    /// A user card: purse commands, keys by kind and id (`epurse.md` 2 to 4).
    User,
    /// A purchase module (PSAM, 消费安全认证模块): terminal-side commands, keys by usage and version (`epurse.md` 7).
    Psam,
    /// A key card (母卡, `keys-and-ca.md` 4): it carries keys from the centre to where cards are made, and counts
    /// the cards it may still issue; keys by usage and version.
    KeyCard,
}

/// How a card system tells its keys apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyNaming {
    /// By usage and id (`epurse.md` 3.1).
    ById,
    /// By usage and version (7.2).
    ByUsage,
}

impl CardKind {
    /// Every kind.
    pub const ALL: [CardKind; 3] = [CardKind::User, CardKind::Psam, CardKind::KeyCard];

    pub(crate) const fn key_naming(self) -> KeyNaming {
        match self {
            CardKind::User => KeyNaming::ById,
            CardKind::Psam | CardKind::KeyCard => KeyNaming::ByUsage,
        }
    }

    /// The byte for it in images and in GET HARD INFO.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            CardKind::User => 0,
            CardKind::Psam => 1,
            CardKind::KeyCard => 2,
        }
    }

    const fn from_byte(byte: u8) -> Option<CardKind> {
        match byte {
            0 => Some(CardKind::User),
            1 => Some(CardKind::Psam),
            2 => Some(CardKind::KeyCard),
            _ => None,
        }
    }
}

/// ATR of our user cards: direct convention, T=1, historical bytes `YKT-CARD`.
pub const ATR_USER_CARD: [u8; 13] = atr(*b"YKT-CARD");
/// ATR of our PSAMs: direct convention, T=1, historical bytes `YKT-PSAM`.
pub const ATR_PSAM: [u8; 13] = atr(*b"YKT-PSAM");
/// ATR of our key cards: direct convention, T=1, historical bytes `YKT-KEYS`.
pub const ATR_KEY_CARD: [u8; 13] = atr(*b"YKT-KEYS");

/// `3B 88 80 01`, eight historical bytes, check byte.
const fn atr(historical: [u8; 8]) -> [u8; 13] {
    let [a, b, c, d, e, f, g, h] = historical;
    let check = 0x88 ^ 0x80 ^ 0x01 ^ a ^ b ^ c ^ d ^ e ^ f ^ g ^ h;
    [0x3B, 0x88, 0x80, 0x01, a, b, c, d, e, f, g, h, check]
}

/// What the factory decides before the first command: a chip with an empty MF and a transport key.
pub struct Blank<'a> {
    /// User card, PSAM or key card.
    pub kind: CardKind,
    /// Answer to reset, 2 to [`ATR_LEN_MAX`] bytes.
    pub atr: &'a [u8],
    /// Chip serial number.
    pub serial: [u8; 8],
    /// Control key until the card master key is loaded.
    pub transport_key: &'a Key16,
    /// Right to create files in the MF. Before the MF has a key file, this file alone may be created freely.
    pub mf_create: Access,
    /// Where the MF's commands, or those of the whole card, differ from the default.
    pub mf_switches: Switches,
}

impl<'a> Blank<'a> {
    /// A user card that lets files into its MF after the card master key was authenticated (state 1 or more).
    #[must_use]
    pub fn user_card(serial: [u8; 8], transport_key: &'a Key16) -> Blank<'a> {
        Blank {
            kind: CardKind::User,
            atr: &ATR_USER_CARD,
            serial,
            transport_key,
            mf_create: Access::STATE_1,
            mf_switches: Switches::default(),
        }
    }

    /// A PSAM, otherwise as [`Blank::user_card`].
    #[must_use]
    pub fn psam(serial: [u8; 8], transport_key: &'a Key16) -> Blank<'a> {
        Blank { kind: CardKind::Psam, atr: &ATR_PSAM, ..Blank::user_card(serial, transport_key) }
    }

    /// A key card, otherwise as [`Blank::user_card`].
    #[must_use]
    pub fn key_card(serial: [u8; 8], transport_key: &'a Key16) -> Blank<'a> {
        Blank { kind: CardKind::KeyCard, atr: &ATR_KEY_CARD, ..Blank::user_card(serial, transport_key) }
    }
}

/// Why the factory cannot make a card of this memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlankError {
    /// The memory is too small or too large.
    MemoryLength {
        /// Bytes it has.
        found: usize,
    },
    /// The ATR has fewer than 2 or more than [`ATR_LEN_MAX`] bytes.
    AtrLength {
        /// Bytes it has.
        found: usize,
    },
    /// The memory did not take a write.
    Memory(MemoryFault),
}

impl fmt::Display for BlankError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlankError::MemoryLength { found } => write!(
                f,
                "a card image has {IMAGE_LEN_MIN} to {IMAGE_LEN_MAX} bytes, found {found}: give it another memory"
            ),
            BlankError::AtrLength { found } => {
                write!(f, "an ATR has 2 to {ATR_LEN_MAX} bytes, found {found}: correct the profile")
            }
            BlankError::Memory(fault) => write!(f, "{fault}"),
        }
    }
}

impl core::error::Error for BlankError {}

impl From<MemoryFault> for BlankError {
    fn from(fault: MemoryFault) -> Self {
        BlankError::Memory(fault)
    }
}

/// Why a memory does not start as a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerOnError {
    /// The bytes are no card image, or the factory did not finish it.
    NotACard,
    /// The image was written by another version of the card system.
    LayoutVersion {
        /// The version in the image.
        found: u8,
    },
    /// The image states another length than the memory has.
    Length {
        /// Bytes the header states.
        stated: usize,
        /// Bytes the memory has.
        found: usize,
    },
    /// The journal says it is committed, but its bytes are not those that were.
    JournalDamaged,
    /// The memory did not take a write.
    Memory(MemoryFault),
}

impl fmt::Display for PowerOnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PowerOnError::NotACard => {
                f.write_str("not a card image: no valid factory header; make a new card")
            }
            PowerOnError::LayoutVersion { found } => write!(
                f,
                "card image of layout {found}, expected 1 to {}: use the program version that wrote it",
                Layout::NEWEST.to_byte()
            ),
            PowerOnError::Length { stated, found } => {
                write!(f, "the card image states {stated} bytes, found {found}: it was cut or extended")
            }
            PowerOnError::JournalDamaged => {
                f.write_str("the journal of the card image is damaged; restore the image from a copy")
            }
            PowerOnError::Memory(fault) => write!(f, "{fault}"),
        }
    }
}

impl core::error::Error for PowerOnError {}

impl From<MemoryFault> for PowerOnError {
    fn from(fault: MemoryFault) -> Self {
        PowerOnError::Memory(fault)
    }
}

/// The part of the factory header that commands need at hand.
pub(crate) struct Factory {
    pub(crate) layout: Layout,
    pub(crate) kind: CardKind,
    pub(crate) serial: [u8; 8],
    /// Who preset the card.
    pub(crate) operator: [u8; 2],
    pub(crate) mf_create: Access,
    pub(crate) mf_switches: Switches,
    pub(crate) atr: Bytes<ATR_LEN_MAX>,
}

impl Factory {
    /// Version of the card system, as GET HARD INFO says it: the layout, then 00.
    pub(crate) const fn system(&self) -> [u8; 2] {
        [self.layout.to_byte(), 0]
    }

    /// Reads and checks the header.
    pub(crate) fn read<M: Memory>(memory: &M) -> Result<Factory, PowerOnError> {
        let mut header = [0; HEADER_LEN];
        memory.read(0, &mut header);
        let (content, crc) = header.split_at(HEADER_CRC_AT);
        if !content.starts_with(&MAGIC) || crc32(&[content]).to_be_bytes() != crc {
            return Err(PowerOnError::NotACard);
        }
        let found = header[VERSION_AT];
        let layout = Layout::from_byte(found).ok_or(PowerOnError::LayoutVersion { found })?;
        let stated = usize::from(u16::from_be_bytes([header[LEN_AT], header[LEN_AT.saturating_add(1)]]));
        if stated != memory.len() {
            return Err(PowerOnError::Length { stated, found: memory.len() });
        }
        let mf_switches = Switches::from_bytes([!header[MF_SWITCHES_AT], !header[MF_SWITCHES_AT + 1]]);
        let atr = header[ATR_AT..].get(..usize::from(header[ATR_LEN_AT]));
        Ok(Factory {
            layout,
            kind: CardKind::from_byte(header[KIND_AT]).ok_or(PowerOnError::NotACard)?,
            serial: header[SERIAL_AT..].first_chunk().copied().unwrap_or_default(),
            operator: [header[OPERATOR_AT], header[OPERATOR_AT + 1]],
            mf_create: Access(header[MF_CREATE_AT]),
            mf_switches: mf_switches.ok_or(PowerOnError::NotACard)?,
            atr: atr.and_then(|atr| Bytes::from_parts(&[atr])).ok_or(PowerOnError::NotACard)?,
        })
    }
}

/// The header of a card with what a preset says.
pub(crate) fn rewritten_header<M: Memory>(memory: &M, preset: &Preset) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    memory.read(0, &mut header);
    header[SERIAL_AT..TRANSPORT_KEY_AT].copy_from_slice(&preset.serial);
    header[TRANSPORT_KEY_AT..MF_CREATE_AT].copy_from_slice(preset.transport_key.expose());
    header[MF_CREATE_AT] = preset.mf_create.0;
    header[MF_SWITCHES_AT..][..2].copy_from_slice(&preset.mf_switches.to_bytes().map(|byte| !byte));
    header[OPERATOR_AT..][..2].copy_from_slice(&preset.operator);
    seal(&mut header);
    header
}

/// Ends a header with its CRC.
fn seal(header: &mut [u8; HEADER_LEN]) {
    let (content, crc) = header.split_at_mut(HEADER_CRC_AT);
    crc.copy_from_slice(&crc32(&[content]).to_be_bytes());
}

/// Makes `memory` a blank card. The header is written last: a cut before leaves no card at all.
pub(crate) fn write_blank<M: Memory>(memory: &mut M, blank: &Blank<'_>) -> Result<(), BlankError> {
    let found = memory.len();
    let len_error = BlankError::MemoryLength { found };
    let len = u16::try_from(found).ok().filter(|_| found >= IMAGE_LEN_MIN).ok_or(len_error)?;
    let atr_error = BlankError::AtrLength { found: blank.atr.len() };
    let atr_len = u8::try_from(blank.atr.len()).map_err(|_| atr_error)?;
    let mut header = [0; HEADER_LEN];
    let atr_place = header[ATR_AT..].get_mut(..blank.atr.len());
    atr_place
        .filter(|place| (2..=ATR_LEN_MAX).contains(&place.len()))
        .ok_or(atr_error)?
        .copy_from_slice(blank.atr);
    header[..VERSION_AT].copy_from_slice(&MAGIC);
    header[VERSION_AT] = Layout::NEWEST.to_byte();
    header[KIND_AT] = blank.kind.to_byte();
    header[LEN_AT..SERIAL_AT].copy_from_slice(&len.to_be_bytes());
    header[SERIAL_AT..TRANSPORT_KEY_AT].copy_from_slice(&blank.serial);
    header[TRANSPORT_KEY_AT..MF_CREATE_AT].copy_from_slice(blank.transport_key.expose());
    header[MF_CREATE_AT] = blank.mf_create.0;
    header[ATR_LEN_AT] = atr_len;
    header[MF_SWITCHES_AT..][..2].copy_from_slice(&blank.mf_switches.to_bytes().map(|byte| !byte));
    seal(&mut header);

    const ZEROS: [u8; 256] = [0; 256];
    for at in (0..found).step_by(ZEROS.len()) {
        memory.write(at, &ZEROS[..ZEROS.len().min(found.saturating_sub(at))])?;
    }
    let mut changing = [0; CHANGING_LEN];
    changing[0] = TRANSPORT_TRIES;
    memory.write(TRANSPORT_TRIES_AT, &changing)?;
    memory.write(0, &header)?;
    Ok(())
}
