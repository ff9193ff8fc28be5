//! PIN commands (口令, `epurse.md` 2): the holder changes it, the issuer reloads or unblocks it.
//!
//! PIN UNBLOCK carries its PIN as a cryptogram under the unblock key (37) with a MAC, and is built with
//! [`enciphered_with_mac`](ykt_crypto::sm::enciphered_with_mac) from [`UnblockForm::header`].

use crate::write_key::{PIN_FIELD_LEN, Pin};
use ykt_base::{Command, KeyIndex, Mac4, StatusWord};
use ykt_crypto::SessionKey;
use ykt_crypto::sm::CommandBytes;

/// Shortest PIN in bytes.
const PIN_LEN_MIN: usize = 2;
const MAC_LEN: usize = 4;

/// CHANGE PIN (修改口令): `80 5E 01 id`, old PIN, FF, new PIN.
pub struct ChangePin {
    /// Which PIN.
    pub id: KeyIndex,
    /// The PIN as it is.
    pub old: Pin,
    /// The PIN as it shall be.
    pub new: Pin,
}

impl ChangePin {
    /// Reads P2 and data of a command whose header begins 80 5E 01. Filler of either PIN is left out: a PIN never
    /// begins with F.
    ///
    /// # Errors
    /// 6700 for a length two PINs cannot have, 6A80 for bytes that are not two PINs.
    pub fn parse(command: &Command<'_>) -> Result<ChangePin, StatusWord> {
        if !(2 * PIN_LEN_MIN + 1..=2 * PIN_FIELD_LEN + 1).contains(&command.data.len()) {
            return Err(StatusWord::WRONG_LENGTH);
        }
        let two = || {
            let at = command.data.iter().position(|byte| *byte == 0xFF)?;
            let (old, new) = command.data.split_at_checked(at)?;
            Some((pin(old)?, pin(new)?))
        };
        let (old, new) = two().ok_or(StatusWord::WRONG_DATA)?;
        Ok(ChangePin { id: KeyIndex(command.p2), old, new })
    }

    /// The command as bytes.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        let lc = self.old.as_bytes().len().saturating_add(1).saturating_add(self.new.as_bytes().len());
        let header = [0x80, 0x5E, 0x01, self.id.0, u8::try_from(lc).unwrap_or(u8::MAX)];
        let parts: [&[u8]; 4] = [&header, self.old.as_bytes(), &[0xFF], self.new.as_bytes()];
        CommandBytes::from_parts(&parts).unwrap_or_default()
    }
}

/// RELOAD PIN (重装口令): `80 5E 00 id`, new PIN, MAC under the reload key (38).
pub struct ReloadPin {
    /// Which PIN.
    pub id: KeyIndex,
    /// The PIN as it shall be, as the MAC covers it.
    pub new: Pin,
    /// MAC over the PIN.
    pub mac: Mac4,
}

impl ReloadPin {
    /// Reads P2 and data of a command whose header begins 80 5E 00.
    ///
    /// # Errors
    /// 6700 for a length PIN and MAC cannot have, 6A80 for bytes that are no PIN.
    pub fn parse(command: &Command<'_>) -> Result<ReloadPin, StatusWord> {
        let split = command.data.split_last_chunk::<MAC_LEN>();
        let (new, mac) = split
            .filter(|(new, _)| (PIN_LEN_MIN..=PIN_FIELD_LEN).contains(&new.len()))
            .ok_or(StatusWord::WRONG_LENGTH)?;
        let new = Pin::from_bytes(new).ok_or(StatusWord::WRONG_DATA)?;
        Ok(ReloadPin { id: KeyIndex(command.p2), new, mac: Mac4(*mac) })
    }

    /// The command as bytes.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        let lc = self.new.as_bytes().len().saturating_add(MAC_LEN);
        let header = [0x80, 0x5E, 0x00, self.id.0, u8::try_from(lc).unwrap_or(u8::MAX)];
        CommandBytes::from_parts(&[&header, self.new.as_bytes(), &self.mac.0]).unwrap_or_default()
    }
}

/// MAC of RELOAD PIN: over the new PIN alone, under the reload key reduced like a TAC key
/// ([`CardKey::tac_key`](ykt_crypto::CardKey::tac_key)).
#[must_use]
pub fn reload_mac(key: &SessionKey, new: &Pin) -> Mac4 {
    key.mac(&[new.as_bytes()])
}

/// What PIN UNBLOCK (解锁口令) does with the PIN it carries: P2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnblockForm {
    /// 00: the tries come back, the PIN stays.
    Reset,
    /// 01: the PIN is set too.
    ResetAndSet,
    /// FMCOS: P2 is the id of the PIN, which is set too.
    SetById(KeyIndex),
}

impl UnblockForm {
    /// CLA INS P1 P2.
    #[must_use]
    pub const fn header(self) -> [u8; 4] {
        let p2 = match self {
            UnblockForm::Reset => 0,
            UnblockForm::ResetAndSet => 1,
            UnblockForm::SetById(id) => id.0,
        };
        [0x84, 0x24, 0x00, p2]
    }
}

/// A PIN with filler before or after it.
fn pin(bytes: &[u8]) -> Option<Pin> {
    let from = bytes.iter().position(|byte| *byte != 0xFF)?;
    let to = bytes.iter().rposition(|byte| *byte != 0xFF)?;
    bytes.get(from..=to).and_then(Pin::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use ykt_crypto::CardKey;

    /// Vector `pin/CHANGE PIN 805E01`.
    #[test]
    fn vector_change_pin() {
        let apdu = hex!("805E010007123456FF654321");
        let change = ChangePin::parse(&Command::parse(&apdu).unwrap()).unwrap();
        assert_eq!(change.to_apdu().as_bytes(), apdu);
        for (data, old, new) in [
            (&hex!("1234FF567890")[..], &hex!("1234")[..], &hex!("567890")[..]),
            (&hex!("12345FFF67890F"), &hex!("12345F"), &hex!("67890F")),
            (&hex!("123456FFFFFFFF654321FFFFFF"), &hex!("123456"), &hex!("654321")),
        ] {
            let change = ChangePin::parse(&Command::write(0x80, 0x5E, 1, 0, data, None)).unwrap();
            assert_eq!((change.old.as_bytes(), change.new.as_bytes()), (old, new));
        }
        for (data, sw) in [
            (&hex!("12FF1234")[..], StatusWord::WRONG_LENGTH),
            (&hex!("12345678FF"), StatusWord::WRONG_DATA),
            (&hex!("1234567890"), StatusWord::WRONG_DATA),
            (&hex!("12A4FF5678"), StatusWord::WRONG_DATA),
            (&hex!("123456789012FF123456789012FF"), StatusWord::WRONG_LENGTH),
        ] {
            assert_eq!(ChangePin::parse(&Command::write(0x80, 0x5E, 1, 0, data, None)).err(), Some(sw));
        }
    }

    /// Vector `pin/RELOAD PIN 805E0000`.
    #[test]
    fn vector_reload_pin() {
        let apdu = hex!("805E0000071234562B64B888");
        let reload = ReloadPin::parse(&Command::parse(&apdu).unwrap()).unwrap();
        let key = CardKey::from_hex("DE7FCF3A63B79EACC774DA210D976B58").unwrap().tac_key();
        assert_eq!(reload_mac(&key, &reload.new), reload.mac);
        assert_eq!(reload.to_apdu().as_bytes(), apdu);
        for (data, sw) in [
            (&hex!("122B64B888")[..], StatusWord::WRONG_LENGTH),
            (&hex!("123456789012342B64B888"), StatusWord::WRONG_LENGTH),
            (&hex!("1A34562B64B888"), StatusWord::WRONG_DATA),
        ] {
            assert_eq!(ReloadPin::parse(&Command::write(0x80, 0x5E, 0, 0, data, None)).err(), Some(sw));
        }
    }
}
