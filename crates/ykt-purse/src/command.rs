//! The general commands a terminal and an issuer send (`epurse.md` 2), by name instead of by bytes.

use crate::types::Purse;
use crate::write_key::Pin;
use ykt_base::Command;
use ykt_crypto::CardKey;
use ykt_crypto::sm;

/// Class of commands in clear.
pub const PLAIN: u8 = 0x00;
/// Class of commands with a MAC.
pub const WITH_MAC: u8 = 0x04;
/// Class of enciphered commands with a MAC.
pub const ENCIPHERED_WITH_MAC: u8 = 0x84;

/// How long a challenge is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeLen {
    /// Four bytes; the IV is the challenge and four zero bytes.
    Four,
    /// Eight bytes.
    Eight,
}

/// SELECT by application name (选择).
#[must_use]
pub const fn select_name(name: &[u8]) -> Command<'_> {
    Command::write(PLAIN, 0xA4, 0x04, 0x00, name, Some(256))
}

/// SELECT by file id.
#[must_use]
pub const fn select_file(fid: &[u8; 2]) -> Command<'_> {
    Command::write(PLAIN, 0xA4, 0x00, 0x00, fid, Some(256))
}

/// SELECT of an EF of the current directory by file id.
#[must_use]
pub const fn select_elementary(fid: &[u8; 2]) -> Command<'_> {
    Command::write(PLAIN, 0xA4, 0x02, 0x00, fid, None)
}

/// READ BINARY (读二进制) of `len` bytes (256 = to the end) from `offset` of the file with this short id.
#[must_use]
pub const fn read_binary(sfi: u8, offset: u8, len: u16) -> Command<'static> {
    Command::read(PLAIN, 0xB0, 0x80 | sfi & 0x1F, offset, Some(len))
}

/// UPDATE BINARY (写二进制) in clear.
#[must_use]
pub const fn update_binary(sfi: u8, offset: u8, data: &[u8]) -> Command<'_> {
    Command::write(PLAIN, 0xD6, 0x80 | sfi & 0x1F, offset, data, None)
}

/// CLA INS P1 P2 of an UPDATE BINARY of class [`WITH_MAC`] or [`ENCIPHERED_WITH_MAC`], for
/// [`sm::plain_with_mac`] and [`sm::enciphered_with_mac`].
#[must_use]
pub const fn update_binary_header(class: u8, sfi: u8, offset: u8) -> [u8; 4] {
    [class, 0xD6, 0x80 | sfi & 0x1F, offset]
}

/// READ RECORD (读记录) number `number` (1 = newest of a cyclic file).
#[must_use]
pub const fn read_record(number: u8, sfi: u8, len: u16) -> Command<'static> {
    Command::read(PLAIN, 0xB2, number, sfi << 3 | 0x04, Some(len))
}

/// READ RECORD of the first record that begins with this identifier.
#[must_use]
pub const fn read_record_by_id(id: u8, sfi: u8, len: u16) -> Command<'static> {
    Command::read(PLAIN, 0xB2, id, sfi << 3, Some(len))
}

/// Which record UPDATE RECORD changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordPlace {
    /// The one of this number.
    Number(u8),
    /// The first that begins with this identifier.
    Identifier(u8),
    /// A new one of a cyclic file.
    Previous,
}

impl RecordPlace {
    const fn p1p2(self, sfi: u8) -> (u8, u8) {
        match self {
            RecordPlace::Number(number) => (number, sfi << 3 | 0x04),
            RecordPlace::Identifier(id) => (id, sfi << 3),
            RecordPlace::Previous => (0x00, sfi << 3 | 0x03),
        }
    }
}

/// UPDATE RECORD (改记录) in clear.
#[must_use]
pub const fn update_record(place: RecordPlace, sfi: u8, data: &[u8]) -> Command<'_> {
    let (p1, p2) = place.p1p2(sfi);
    Command::write(PLAIN, 0xDC, p1, p2, data, None)
}

/// CLA INS P1 P2 of an UPDATE RECORD of class [`WITH_MAC`] or [`ENCIPHERED_WITH_MAC`].
#[must_use]
pub const fn update_record_header(class: u8, place: RecordPlace, sfi: u8) -> [u8; 4] {
    let (p1, p2) = place.p1p2(sfi);
    [class, 0xDC, p1, p2]
}

/// APPEND RECORD (增加记录).
#[must_use]
pub const fn append_record(sfi: u8, data: &[u8]) -> Command<'_> {
    Command::write(PLAIN, 0xE2, 0x00, sfi << 3, data, None)
}

/// CLA INS P1 P2 of an APPEND RECORD of class [`WITH_MAC`] or [`ENCIPHERED_WITH_MAC`].
#[must_use]
pub const fn append_record_header(class: u8, sfi: u8) -> [u8; 4] {
    [class, 0xE2, 0x00, sfi << 3]
}

/// GET CHALLENGE (取随机数).
#[must_use]
pub const fn challenge(len: ChallengeLen) -> Command<'static> {
    let len = match len {
        ChallengeLen::Four => 4,
        ChallengeLen::Eight => 8,
    };
    Command::read(PLAIN, 0x84, 0x00, 0x00, Some(len))
}

/// EXTERNAL AUTHENTICATE (外部认证) with the key of this id.
#[must_use]
pub const fn external_authenticate(key_id: u8, cryptogram: &[u8; 8]) -> Command<'_> {
    Command::write(PLAIN, 0x82, 0x00, key_id, cryptogram, None)
}

/// The cryptogram of EXTERNAL AUTHENTICATE: the challenge (4 bytes are filled up with zeros) enciphered. `None`
/// for a challenge that has neither 4 nor 8 bytes.
#[must_use]
pub fn authentication_cryptogram(key: &CardKey, challenge: &[u8]) -> Option<[u8; 8]> {
    sm::iv_from_challenge(challenge).map(|block| key.authenticate(block))
}

/// INTERNAL AUTHENTICATE (内部认证) with the key of this id.
#[must_use]
pub const fn internal_authenticate(key_id: u8, data: &[u8; 8]) -> Command<'_> {
    Command::write(PLAIN, 0x88, 0x00, key_id, data, Some(8))
}

/// VERIFY (校验口令).
#[must_use]
pub fn verify(key_id: u8, pin: &Pin) -> Command<'_> {
    Command::write(PLAIN, 0x20, 0x00, key_id, pin.as_bytes(), None)
}

/// GET BALANCE (读余额).
#[must_use]
pub const fn balance(purse: Purse) -> Command<'static> {
    Command::read(0x80, 0x5C, 0x00, purse.code(), Some(4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use ykt_base::apdu::COMMAND_LEN_MAX;
    use ykt_crypto::Key16;

    #[test]
    fn bytes_of_the_wire() {
        let pin = Pin::from_digits("123456").unwrap();
        for (command, want) in [
            (select_name(b"1PAY."), &hex!("00A40400 05 315041592E 00")[..]),
            (select_file(&[0x3F, 0x01]), &hex!("00A4000002 3F01 00")),
            (select_elementary(&[0x00, 0x06]), &hex!("00A4020002 0006")),
            (read_binary(0x15, 0, 30), &hex!("00B095001E")),
            (read_binary(0x16, 0, 256), &hex!("00B0960000")),
            (update_binary(0x15, 2, &[7]), &hex!("00D695020107")),
            (read_record(1, 0x18, 23), &hex!("00B201C417")),
            (append_record(0x19, &[1, 2]), &hex!("00E200C8020102")),
            (read_record_by_id(1, 0x1A, 128), &hex!("00B201D080")),
            (update_record(RecordPlace::Number(2), 0x17, &[7]), &hex!("00DC02BC0107")),
            (update_record(RecordPlace::Identifier(1), 0x1A, &[7]), &hex!("00DC01D00107")),
            (update_record(RecordPlace::Previous, 0x19, &[7]), &hex!("00DC00CB0107")),
            (challenge(ChallengeLen::Four), &hex!("0084000004")),
            (challenge(ChallengeLen::Eight), &hex!("0084000008")),
            (verify(0, &pin), &hex!("0020000003123456")),
            (balance(Purse::Ep), &hex!("805C000204")),
            (internal_authenticate(0, &hex!("A1B2C3D4E5F60718")), &hex!("0088000008A1B2C3D4E5F6071808")),
        ] {
            assert_eq!(command.encode(&mut [0; COMMAND_LEN_MAX]), want);
        }
        assert_eq!(update_binary_header(ENCIPHERED_WITH_MAC, 0x16, 0x10), hex!("84D69610"));
        let first = RecordPlace::Number(1);
        assert_eq!(update_record_header(ENCIPHERED_WITH_MAC, first, 0x17), hex!("84DC01BC"));
        assert_eq!(append_record_header(WITH_MAC, 0x19), hex!("04E200C8"));
    }

    /// Vectors `auth/EXTERNAL AUTHENTICATE …`.
    #[test]
    fn vectors_external_authenticate() {
        let key = CardKey::Tdes(Key16::from_bytes(hex!("0B8F6028724AC41B47C159CDBD9AB7C8")));
        let long = authentication_cryptogram(&key, &hex!("A1B2C3D4E5F60718")).unwrap();
        let mut out = [0; COMMAND_LEN_MAX];
        let apdu = external_authenticate(0, &long);
        assert_eq!(apdu.encode(&mut out), hex!("0082000008DD31487231C7E50D"));
        let short = authentication_cryptogram(&key, &hex!("A1B2C3D4")).unwrap();
        assert_eq!(short, hex!("131DF56E29BBDA6F"));
        assert_eq!(authentication_cryptogram(&key, &[0; 5]), None);
    }
}
