//! Hard information (硬件信息): who a card is below its files, and how far its life has gone.
//!
//! The sources name the commands and what they carry; the bytes are this house's, in the style of the other issuing
//! commands. WRITE HARD INFO, `84 F4 00 00`, is LD || serial (8), operator (2), card system (2), right to create files
//! in the MF (1), switches of the MF (2), transport key (16), enciphered and MACed under the transport key the card has
//! now. GET HARD INFO, `80 F6 00 00`, answers the 22 bytes of [`HardInfo`].

use crate::create::{Access, Switches};
use crate::wire::{join, whole};
use crate::write_key::ErrorCounter;
use ykt_crypto::sm::{self, CommandBytes, Padding};
use ykt_crypto::{CardKey, Key16};

/// Length of the answer to GET HARD INFO.
pub const ANSWER_LEN: usize = 22;
/// Class and instruction of WRITE HARD INFO.
pub const WRITE: [u8; 2] = [0x84, 0xF4];
/// Class and instruction of GET HARD INFO.
pub const READ: [u8; 2] = [0x80, 0xF6];

/// How far the life of a card has gone (生命周期).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LifeCycle {
    /// 00: a chip without files; the operator presets it.
    Blank,
    /// 01: its MF has files.
    Initialised,
    /// 02: an application has keys.
    Personalised,
    /// 0F: blocked for good.
    Locked,
}

impl LifeCycle {
    /// The byte of the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            LifeCycle::Blank => 0x00,
            LifeCycle::Initialised => 0x01,
            LifeCycle::Personalised => 0x02,
            LifeCycle::Locked => 0x0F,
        }
    }

    /// The state of a byte, or `None` for a byte that means none.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<LifeCycle> {
        match code {
            0x00 => Some(LifeCycle::Blank),
            0x01 => Some(LifeCycle::Initialised),
            0x02 => Some(LifeCycle::Personalised),
            0x0F => Some(LifeCycle::Locked),
            _ => None,
        }
    }
}

/// What GET HARD INFO answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardInfo {
    /// Chip serial number.
    pub serial: [u8; 8],
    /// Who preset the card; 0000 for nobody.
    pub operator: [u8; 2],
    /// Version of the card system.
    pub system: [u8; 2],
    /// Kind of card: 00 user card, 01 PSAM, 02 key card.
    pub kind: u8,
    /// How far its life has gone.
    pub life_cycle: LifeCycle,
    /// Bytes of memory.
    pub memory_len: u16,
    /// Bytes of the MF that no file uses.
    pub free_len: u16,
    /// Tries of the transport key.
    pub transport_tries: ErrorCounter,
    /// Right to create files in the MF.
    pub mf_create: Access,
    /// Switches of the MF.
    pub mf_switches: Switches,
}

impl HardInfo {
    /// Reads the 22 bytes, or `None` for another length or a byte that means nothing.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<HardInfo> {
        whole(bytes, |fields| {
            Some(HardInfo {
                serial: fields.take()?,
                operator: fields.take()?,
                system: fields.take()?,
                kind: fields.byte()?,
                life_cycle: LifeCycle::from_code(fields.byte()?)?,
                memory_len: u16::from_be_bytes(fields.take()?),
                free_len: u16::from_be_bytes(fields.take()?),
                transport_tries: ErrorCounter(fields.byte()?),
                mf_create: Access(fields.byte()?),
                mf_switches: Switches::from_bytes(fields.take()?)?,
            })
        })
    }

    /// The 22 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ANSWER_LEN] {
        join(&[
            &self.serial,
            &self.operator,
            &self.system,
            &[self.kind, self.life_cycle.code()],
            &self.memory_len.to_be_bytes(),
            &self.free_len.to_be_bytes(),
            &[self.transport_tries.0, self.mf_create.0],
            &self.mf_switches.to_bytes(),
        ])
    }
}

/// What WRITE HARD INFO presets.
pub struct Preset {
    /// Chip serial number.
    pub serial: [u8; 8],
    /// Who presets the card.
    pub operator: [u8; 2],
    /// The card system the operator's program is made for; a card of another one refuses.
    pub system: [u8; 2],
    /// Right to create files in the MF.
    pub mf_create: Access,
    /// Switches of the MF.
    pub mf_switches: Switches,
    /// Control key until the card master key is loaded.
    pub transport_key: Key16,
}

impl Preset {
    /// Reads what stood under the cryptogram, or `None` for another length or switches that mean nothing.
    #[must_use]
    pub fn parse(plain: &[u8]) -> Option<Preset> {
        whole(plain, |fields| {
            Some(Preset {
                serial: fields.take()?,
                operator: fields.take()?,
                system: fields.take()?,
                mf_create: Access(fields.byte()?),
                mf_switches: Switches::from_bytes(fields.take()?)?,
                transport_key: Key16::from_bytes(fields.take()?),
            })
        })
    }

    /// The whole command under the transport key the card has now; `iv` is the card's challenge.
    #[must_use]
    pub fn to_apdu(&self, transport_key: &CardKey, iv: [u8; 8]) -> CommandBytes {
        let [cla, ins] = WRITE;
        let data: [&[u8]; 6] = [
            &self.serial,
            &self.operator,
            &self.system,
            &[self.mf_create.0],
            &self.mf_switches.to_bytes(),
            self.transport_key.expose(),
        ];
        sm::enciphered_with_mac(transport_key, Padding::Always, iv, [cla, ins, 0, 0], &data)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn the_answer_comes_back() {
        let bytes = hex!("0102030405060708 2144 0200 00 02 2000 0100 FF F1 F7FF");
        let info = HardInfo::from_bytes(&bytes).unwrap();
        assert_eq!(info.to_bytes(), bytes);
        assert_eq!((info.life_cycle, info.memory_len), (LifeCycle::Personalised, 8192));
        assert!(info.mf_switches.answers_wait);
        for life_cycle in (0..=u8::MAX).filter_map(LifeCycle::from_code) {
            assert_eq!(LifeCycle::from_code(life_cycle.code()), Some(life_cycle));
        }
        let mut wrong = bytes;
        wrong[13] = 0x03;
        assert_eq!(HardInfo::from_bytes(&wrong), None);
        assert_eq!(HardInfo::from_bytes(&bytes[1..]), None);
    }

    #[test]
    fn a_preset_arrives() {
        let plain = hex!("0102030405060708 2144 0200 F1 FFFF 00112233445566778899AABBCCDDEEFF");
        let key = CardKey::from_hex("57494E4E4552313233343536373839AA").unwrap();
        let apdu = Preset::parse(&plain).unwrap().to_apdu(&key, [0xA1; 8]);
        assert_eq!(apdu[..5], hex!("84F400002C"));
        let opened = key.decipher(Padding::Always, &apdu[5..apdu.len() - 4]).unwrap();
        assert_eq!(opened.as_bytes(), plain);
        assert!(Preset::parse(&plain[1..]).is_none());
    }
}
