//! CREATE FILE (建文件, `epurse.md` 3.1): files, their rights and their protection, in the layout FMCOS cards use.

use crate::token::{PinPolicy, Purpose};
use crate::wire::join;
use crate::write_key::KeyLayout;
use ykt_base::{Command, StatusWord};
use ykt_crypto::sm::{CommandBytes, Padding};

/// Longest application name (AID) in bytes.
pub const NAME_LEN_MAX: usize = 16;

/// Security state: a number 0 to F that VERIFY and EXTERNAL AUTHENTICATE set in the DF they belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SecurityStates {
    /// State of the MF.
    pub mf: u8,
    /// State of the current DF; equal to `mf` when the MF is the current DF.
    pub df: u8,
}

/// Right (AC byte XY). X ≥ Y: allowed when Y ≤ state of the DF ≤ X; 0Y: allowed when the MF's state is at least
/// Y, but 0F never; any other X < Y: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Access(pub u8);

impl Access {
    /// F0: always.
    pub const ALWAYS: Access = Access(0xF0);
    /// EF: never.
    pub const NEVER: Access = Access(0xEF);
    /// F1: after VERIFY or EXTERNAL AUTHENTICATE has set the DF's state to 1 or more.
    pub const STATE_1: Access = Access(0xF1);

    /// Whether these states allow it.
    #[must_use]
    pub const fn allows(self, states: SecurityStates) -> bool {
        let (high, low) = (self.0 >> 4, self.0 & 0x0F);
        match (high, low) {
            (0, 0x0F) => false,
            (0, _) => states.mf >= low,
            _ => high >= low && low <= states.df && states.df <= high,
        }
    }
}

/// Access byte of an EF: bit 7 allows reading in clear; bits 3-2 and 1-0 name the keys that protect reading and
/// writing, as 11 → key id 0, 10 → 1, 01 → 2, 00 → 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessByte(pub u8);

impl AccessByte {
    /// FF: key id 0 for both, reading in clear allowed.
    pub const KEY_0: AccessByte = AccessByte(0xFF);

    /// Whether a protected file may be read in clear.
    #[must_use]
    pub const fn allows_plain_read(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// Id of the line protection key that protects writing.
    #[must_use]
    pub const fn write_key_id(self) -> u8 {
        !self.0 & 0x03
    }

    /// Id of the line protection key that protects reading.
    #[must_use]
    pub const fn read_key_id(self) -> u8 {
        !self.0 >> 2 & 0x03
    }
}

/// How commands that change an EF must come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Protection {
    /// As they are.
    #[default]
    Plain,
    /// With a MAC (type byte | 80).
    Mac,
    /// Enciphered and with a MAC (type byte | C0).
    EncipheredMac,
}

impl Protection {
    const fn bits(self) -> u8 {
        match self {
            Protection::Plain => 0x00,
            Protection::Mac => 0x80,
            Protection::EncipheredMac => 0xC0,
        }
    }

    const fn of_bits(code: u8) -> Option<Protection> {
        match code & 0xC0 {
            0x00 => Some(Protection::Plain),
            0x80 => Some(Protection::Mac),
            0xC0 => Some(Protection::EncipheredMac),
            _ => None,
        }
    }
}

/// What an EF with data holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// Type 28: `size` bytes.
    Binary {
        /// Bytes.
        size: u16,
    },
    /// Type 2A: `count` records of `len` bytes.
    FixedRecords {
        /// Records.
        count: u8,
        /// Bytes of one.
        len: u8,
    },
    /// Type 2C: records of any length in `size` bytes.
    VariableRecords {
        /// Bytes of all.
        size: u16,
    },
    /// Type 2E: the newest `count` records of `len` bytes; the newest is number 1.
    CyclicRecords {
        /// Records.
        count: u8,
        /// Bytes of one.
        len: u8,
    },
}

impl Structure {
    fn code_and_size(self) -> (u8, [u8; 2]) {
        match self {
            Structure::Binary { size } => (0x28, size.to_be_bytes()),
            Structure::FixedRecords { count, len } => (0x2A, [count, len]),
            Structure::VariableRecords { size } => (0x2C, size.to_be_bytes()),
            Structure::CyclicRecords { count, len } => (0x2E, [count, len]),
        }
    }
}

/// Where card systems of this country differ, as data of an application: the two bytes that CREATE FILE of a DF
/// writes FF FF. A cleared bit turns a switch on, so FF FF is the platform's default (profile `city-cpu`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Switches {
    /// FE: loading an EP needs the PIN (PBOC profiles). Loading an ED needs it always.
    pub load_needs_pin: bool,
    /// FD: enciphered data are padded only when they do not fill blocks (the PBOC text).
    pub pad_if_needed: bool,
    /// FB: the application's security state falls back to 0 after a finished transaction (FMCOS).
    pub state_ends_with_transaction: bool,
    /// F7: an answer to a command that brings data waits for GET RESPONSE (T=0). A switch of the MF is one of the
    /// whole card.
    pub answers_wait: bool,
    /// EF: wrong MAC1 and MAC2 of transactions in a row cost the transaction's key its tries.
    pub counts_wrong_macs: bool,
    /// DF: a purchase or grey lock with an EP needs the PIN (tokens). With an ED each needs it always.
    pub purchase_needs_pin: bool,
    /// BF: GET BALANCE needs the PIN (tokens).
    pub balance_needs_pin: bool,
    /// Second byte, FE or FD: how WRITE KEY lays out a key.
    pub key_layout: KeyLayout,
}

impl Switches {
    const LOAD_NEEDS_PIN: u8 = 0x01;
    const PAD_IF_NEEDED: u8 = 0x02;
    const STATE_ENDS_WITH_TRANSACTION: u8 = 0x04;
    const ANSWERS_WAIT: u8 = 0x08;
    const COUNTS_WRONG_MACS: u8 = 0x10;
    const PURCHASE_NEEDS_PIN: u8 = 0x20;
    const BALANCE_NEEDS_PIN: u8 = 0x40;

    /// The two bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 2] {
        let on = [
            (self.load_needs_pin, Switches::LOAD_NEEDS_PIN),
            (self.pad_if_needed, Switches::PAD_IF_NEEDED),
            (self.state_ends_with_transaction, Switches::STATE_ENDS_WITH_TRANSACTION),
            (self.answers_wait, Switches::ANSWERS_WAIT),
            (self.counts_wrong_macs, Switches::COUNTS_WRONG_MACS),
            (self.purchase_needs_pin, Switches::PURCHASE_NEEDS_PIN),
            (self.balance_needs_pin, Switches::BALANCE_NEEDS_PIN),
        ];
        let on = on.into_iter().filter(|(is_on, _)| *is_on).fold(0, |on, (_, bit)| on | bit);
        [!on, !self.key_layout.code()]
    }

    /// The switches of two bytes, or `None` when a bit that means nothing is cleared.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 2]) -> Option<Switches> {
        let on = !bytes[0];
        let switches = Switches {
            load_needs_pin: on & Switches::LOAD_NEEDS_PIN != 0,
            pad_if_needed: on & Switches::PAD_IF_NEEDED != 0,
            state_ends_with_transaction: on & Switches::STATE_ENDS_WITH_TRANSACTION != 0,
            answers_wait: on & Switches::ANSWERS_WAIT != 0,
            counts_wrong_macs: on & Switches::COUNTS_WRONG_MACS != 0,
            purchase_needs_pin: on & Switches::PURCHASE_NEEDS_PIN != 0,
            balance_needs_pin: on & Switches::BALANCE_NEEDS_PIN != 0,
            key_layout: KeyLayout::from_code(!bytes[1])?,
        };
        (switches.to_bytes() == bytes).then_some(switches)
    }

    /// How enciphered data are padded.
    #[must_use]
    pub const fn padding(self) -> Padding {
        if self.pad_if_needed { Padding::IfNeeded } else { Padding::Always }
    }
}

/// A file to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewFile<'a> {
    /// An EF with data.
    Data {
        /// What it holds.
        structure: Structure,
        /// How changes must come.
        protection: Protection,
        /// Right to read.
        read: Access,
        /// Right to change.
        write: Access,
        /// Keys of its protection.
        access: AccessByte,
    },
    /// Type 2F: a purse; FID 0001 is the ED, 0002 the EP.
    Purse {
        /// Its size bytes as the layout states them (0208 on deployed cards).
        size: [u8; 2],
        /// Right to use: balance and transactions.
        usage: Access,
        /// Second right byte of the layout (00 on deployed cards).
        change: Access,
        /// Short file id of its log.
        log_sfi: u8,
    },
    /// Type 30: the ticket store of the current DF, FID 0003.
    Tickets {
        /// Tickets it holds.
        count: u8,
        /// Bytes of the longest ticket.
        len: u8,
        /// Right to look at tickets.
        look: Access,
        /// Right to redeem one.
        redeem: Access,
    },
    /// Type 31: the bank card of the current DF, FID 0004; its data stand in ordinary files beside it.
    BankCard {
        /// Short file id of the tracks.
        tracks_sfi: u8,
        /// Short file id of the signature picture; 00 for none.
        signature_sfi: u8,
        /// Right to use it.
        usage: Access,
        /// Short file id of its log.
        log_sfi: u8,
    },
    /// Type 32: an SM2 key pair. Empty until the card makes one.
    KeyPair {
        /// What it signs.
        purpose: Purpose,
        /// When the holder's PIN is asked for.
        pin: PinPolicy,
        /// Right to sign.
        sign: Access,
        /// Right to make a new pair.
        generate: Access,
    },
    /// Type 3F: the key file of the current DF, FID 0000.
    Keys {
        /// Bytes for keys.
        size: u16,
        /// Short file id of the DF's public data (95 = 80 | 15).
        df_sfi: u8,
        /// Right to add keys.
        add: Access,
    },
    /// Type 38: an application (DF).
    Application {
        /// Bytes for everything in it.
        size: u16,
        /// Right to create files in it.
        create: Access,
        /// Right to erase it.
        erase: Access,
        /// Application byte of the layout (95: answer to SELECT carries the public data).
        app_id: u8,
        /// Where its commands differ from the default.
        switches: Switches,
        /// Name for SELECT, 5 to 16 bytes.
        name: &'a [u8],
    },
}

/// CREATE FILE: `80 E0 FID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateFile<'a> {
    /// File id.
    pub fid: [u8; 2],
    /// The file.
    pub file: NewFile<'a>,
}

impl<'a> CreateFile<'a> {
    /// Reads FID (P1 P2) and data of a command whose class and instruction are 80 E0.
    ///
    /// # Errors
    /// 6700 for a length that is not the type's, 6A80 for an unknown type, switches that mean nothing, or a
    /// name of a wrong length.
    pub fn parse(command: &Command<'a>) -> Result<CreateFile<'a>, StatusWord> {
        let fid = [command.p1, command.p2];
        let [kind, s1, s2, rest @ ..] = command.data else {
            return Err(StatusWord::WRONG_LENGTH);
        };
        let size = u16::from_be_bytes([*s1, *s2]);
        if *kind == 0x38 {
            let [create, erase, app_id, s1, s2, name @ ..] = rest else {
                return Err(StatusWord::WRONG_LENGTH);
            };
            if !(5..=NAME_LEN_MAX).contains(&name.len()) {
                return Err(StatusWord::WRONG_DATA);
            }
            let switches = Switches::from_bytes([*s1, *s2]).ok_or(StatusWord::WRONG_DATA)?;
            let (create, erase) = (Access(*create), Access(*erase));
            let file = NewFile::Application { size, create, erase, app_id: *app_id, switches, name };
            return Ok(CreateFile { fid, file });
        }
        let [a, b, _, d] = *rest else {
            return Err(StatusWord::WRONG_LENGTH);
        };
        let file = match *kind {
            0x2F => {
                NewFile::Purse { size: [*s1, *s2], usage: Access(a), change: Access(b), log_sfi: d & 0x1F }
            }
            0x30 => NewFile::Tickets { count: *s1, len: *s2, look: Access(a), redeem: Access(b) },
            0x31 => {
                NewFile::BankCard { tracks_sfi: *s1, signature_sfi: *s2, usage: Access(a), log_sfi: d & 0x1F }
            }
            0x32 => NewFile::KeyPair {
                purpose: Purpose::from_code(*s1).ok_or(StatusWord::WRONG_DATA)?,
                pin: PinPolicy::from_code(*s2).ok_or(StatusWord::WRONG_DATA)?,
                sign: Access(a),
                generate: Access(b),
            },
            0x3F => NewFile::Keys { size, df_sfi: a, add: Access(b) },
            kind => NewFile::Data {
                structure: match kind & 0x3F {
                    0x28 => Structure::Binary { size },
                    0x2A => Structure::FixedRecords { count: *s1, len: *s2 },
                    0x2C => Structure::VariableRecords { size },
                    0x2E => Structure::CyclicRecords { count: *s1, len: *s2 },
                    _ => return Err(StatusWord::WRONG_DATA),
                },
                protection: Protection::of_bits(kind).ok_or(StatusWord::WRONG_DATA)?,
                read: Access(a),
                write: Access(b),
                access: AccessByte(d),
            },
        };
        Ok(CreateFile { fid, file })
    }

    /// The command as bytes; a name longer than [`NAME_LEN_MAX`] is a fault of the caller and is cut off.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        let name = match self.file {
            NewFile::Application { name, .. } => name.get(..NAME_LEN_MAX).unwrap_or(name),
            _ => &[],
        };
        let [first_switches, second_switches] = match self.file {
            NewFile::Application { switches, .. } => switches.to_bytes(),
            _ => Switches::default().to_bytes(),
        };
        let head: [u8; 7] = match self.file {
            NewFile::Data { structure, protection, read, write, access } => {
                let (code, size) = structure.code_and_size();
                join(&[&[code | protection.bits()], &size, &[read.0, write.0, 0xFF, access.0]])
            }
            NewFile::Purse { size, usage, change, log_sfi } => {
                join(&[&[0x2F], &size, &[usage.0, change.0, 0xFF, log_sfi]])
            }
            NewFile::Tickets { count, len, look, redeem } => {
                join(&[&[0x30, count, len, look.0, redeem.0, 0xFF, 0xFF]])
            }
            NewFile::BankCard { tracks_sfi, signature_sfi, usage, log_sfi } => {
                join(&[&[0x31, tracks_sfi, signature_sfi, usage.0, 0x00, 0xFF, log_sfi]])
            }
            NewFile::KeyPair { purpose, pin, sign, generate } => {
                join(&[&[0x32, purpose.code(), pin.code()], &[sign.0, generate.0, 0xFF, 0xFF]])
            }
            NewFile::Keys { size, df_sfi, add } => {
                join(&[&[0x3F], &size.to_be_bytes(), &[df_sfi, add.0, 0xFF, 0xFF]])
            }
            NewFile::Application { size, create, erase, app_id, .. } => {
                join(&[&[0x38], &size.to_be_bytes(), &[create.0, erase.0, app_id, first_switches]])
            }
        };
        let filler: &[u8] = if name.is_empty() { &[] } else { &[second_switches] };
        let lc = [head.len(), filler.len(), name.len()].into_iter().sum::<usize>();
        let lc = u8::try_from(lc).unwrap_or(u8::MAX);
        let [p1, p2] = self.fid;
        let apdu = CommandBytes::from_parts(&[&[0x80, 0xE0, p1, p2, lc], &head, filler, name]);
        debug_assert!(apdu.is_some(), "at most 29 bytes");
        apdu.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn layouts_of_deployed_cards() {
        for (file, apdu) in [
            (
                CreateFile {
                    fid: [0, 2],
                    file: NewFile::Purse {
                        size: [2, 8],
                        usage: Access::ALWAYS,
                        change: Access(0),
                        log_sfi: 0x18,
                    },
                },
                &hex!("80E00002072F0208F000FF18")[..],
            ),
            (
                CreateFile {
                    fid: [0, 0x18],
                    file: NewFile::Data {
                        structure: Structure::CyclicRecords { count: 10, len: 23 },
                        protection: Protection::Plain,
                        read: Access::ALWAYS,
                        write: Access::NEVER,
                        access: AccessByte::KEY_0,
                    },
                },
                &hex!("80E00018072E0A17F0EFFFFF"),
            ),
            (
                CreateFile {
                    fid: [0x10, 1],
                    file: NewFile::Application {
                        size: 0x0600,
                        create: Access(0xF1),
                        erase: Access::NEVER,
                        app_id: 0x95,
                        switches: Switches { load_needs_pin: true, ..Switches::default() },
                        name: b"A1234",
                    },
                },
                &hex!("80E010010D380600F1EF95FEFF4131323334"),
            ),
            (
                CreateFile {
                    fid: [0, 3],
                    file: NewFile::Tickets {
                        count: 3,
                        len: 64,
                        look: Access::STATE_1,
                        redeem: Access::ALWAYS,
                    },
                },
                &hex!("80E0000307300340F1F0FFFF"),
            ),
            (
                CreateFile {
                    fid: [0, 4],
                    file: NewFile::BankCard {
                        tracks_sfi: 0x16,
                        signature_sfi: 0,
                        usage: Access::ALWAYS,
                        log_sfi: 0x18,
                    },
                },
                &hex!("80E0000407311600F000FF18"),
            ),
            (
                CreateFile {
                    fid: [0, 0],
                    file: NewFile::Keys { size: 0x100, df_sfi: 0x95, add: Access(0xF1) },
                },
                &hex!("80E00000073F010095F1FFFF"),
            ),
            (
                CreateFile {
                    fid: [0, 0x0C],
                    file: NewFile::KeyPair {
                        purpose: Purpose::Sign,
                        pin: PinPolicy::EachTime,
                        sign: Access::STATE_1,
                        generate: Access(0xFF),
                    },
                },
                &hex!("80E0000C07320102F1FFFFFF"),
            ),
        ] {
            assert_eq!(file.to_apdu().as_bytes(), apdu);
            assert_eq!(CreateFile::parse(&Command::parse(apdu).unwrap()), Ok(file));
        }
    }

    #[test]
    fn every_pair_of_switch_bytes_comes_back_or_is_refused() {
        for bytes in (0..=u16::MAX).map(u16::to_be_bytes) {
            match Switches::from_bytes(bytes) {
                Some(switches) => assert_eq!(switches.to_bytes(), bytes),
                None => assert!(bytes[0] < 0x80 || bytes[1] < 0xFD),
            }
        }
        assert_eq!(Switches::from_bytes([0xFF, 0xFF]), Some(Switches::default()));
        assert_eq!(Switches { pad_if_needed: true, ..Switches::default() }.padding(), Padding::IfNeeded);
    }

    #[test]
    fn every_type_byte_comes_back_or_is_refused() {
        let mut known = 0;
        for kind in 0..=u8::MAX {
            let apdu = [0x80, 0xE0, 0, 0x15, 7, kind, 0, 30, 0xF0, 0xF0, 0xFF, 0xFE];
            match CreateFile::parse(&Command::parse(&apdu).unwrap()) {
                Ok(file) if matches!(file.file, NewFile::Data { .. }) => {
                    known += 1;
                    assert_eq!(file.to_apdu().as_bytes(), apdu);
                }
                Ok(_) => {}
                Err(sw) if kind == 0x38 => assert_eq!(sw, StatusWord::WRONG_LENGTH),
                Err(sw) => assert_eq!(sw, StatusWord::WRONG_DATA),
            }
        }
        assert_eq!(known, 4 * 3);
    }

    /// All 256 rights against all 256 states: the rule of `epurse.md` 3.1.
    #[test]
    fn rights() {
        for code in 0..=u8::MAX {
            for states in 0..=u8::MAX {
                let states = SecurityStates { mf: states >> 4, df: states & 0x0F };
                let (high, low) = (code >> 4, code & 0x0F);
                let want = match high {
                    0 => low != 0x0F && states.mf >= low,
                    _ if high < low => false,
                    _ => (low..=high).contains(&states.df),
                };
                assert_eq!(Access(code).allows(states), want);
            }
        }
        assert!(AccessByte::KEY_0.allows_plain_read() && !AccessByte(0x7F).allows_plain_read());
        assert_eq!((AccessByte::KEY_0.write_key_id(), AccessByte::KEY_0.read_key_id()), (0, 0));
        assert_eq!((AccessByte(0b1111_1001).write_key_id(), AccessByte(0b1111_1001).read_key_id()), (2, 1));
    }
}
