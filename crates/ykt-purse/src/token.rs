//! The token application (具有电子钱包功能的智能密钥设备, `systems.md` E): SM2 key pairs that are made on the card and
//! never leave it, signatures with them, and certificates in ordinary files.
//!
//! A key pair is an EF of type 32. CREATE FILE says what it is for, who may use it, and when the holder's PIN is
//! asked for. Signatures are r || s over SM3 with the usual signer id ([`ykt_crypto::sm2::SignerId::DEFAULT`]); data longer than a command
//! come block by block, or as the digest that the terminal computed. No source states bytes: instructions are
//! those of ISO 7816-8, the rest follows the purse's commands.

use crate::wire::{Reader, join};
use core::fmt;
use ykt_base::{Command, StatusWord};
use ykt_crypto::sm::CommandBytes;
use ykt_crypto::sm2::SIGNATURE_LEN;

/// Application name of the token.
pub const NAME: [u8; 9] = *b"YKT.TOKEN";
/// Length of a digest.
pub const DIGEST_LEN: usize = 32;

/// What a key pair signs: one purpose only, so that no signature can be taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// 01: documents, and whatever the holder wants.
    Sign,
    /// 02: the challenges of readers that want to know whether the card is genuine.
    Authenticate,
}

impl Purpose {
    /// The byte of CREATE FILE.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Purpose::Sign => 0x01,
            Purpose::Authenticate => 0x02,
        }
    }

    /// The purpose of a byte, or `None` for one that means none.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Purpose> {
        match code {
            0x01 => Some(Purpose::Sign),
            0x02 => Some(Purpose::Authenticate),
            _ => None,
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Purpose::Sign => "sign",
            Purpose::Authenticate => "authenticate",
        })
    }
}

/// When the holder's PIN is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinPolicy {
    /// 00: never.
    Never,
    /// 01: once, until reset or SELECT of another application.
    OncePerSession,
    /// 02: before every signature.
    EachTime,
}

impl PinPolicy {
    /// The byte of CREATE FILE.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            PinPolicy::Never => 0x00,
            PinPolicy::OncePerSession => 0x01,
            PinPolicy::EachTime => 0x02,
        }
    }

    /// The policy of a byte, or `None` for one that means none.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<PinPolicy> {
        match code {
            0x00 => Some(PinPolicy::Never),
            0x01 => Some(PinPolicy::OncePerSession),
            0x02 => Some(PinPolicy::EachTime),
            _ => None,
        }
    }
}

impl fmt::Display for PinPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PinPolicy::Never => "never",
            PinPolicy::OncePerSession => "once",
            PinPolicy::EachTime => "each time",
        })
    }
}

/// Short file id of a key pair: P2 of the commands that use one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPairId(u8);

impl KeyPairId {
    /// The key pair in the EF of this short id, 1 to 30.
    #[must_use]
    pub const fn new(sfi: u8) -> Option<KeyPairId> {
        match sfi {
            1..=30 => Some(KeyPairId(sfi)),
            _ => None,
        }
    }

    /// The short id.
    #[must_use]
    pub const fn sfi(self) -> u8 {
        self.0
    }

    /// # Errors
    /// 6A86 for a P2 that is no short id.
    pub(crate) fn of(command: &Command<'_>) -> Result<KeyPairId, StatusWord> {
        KeyPairId::new(command.p2).ok_or(StatusWord::WRONG_P1P2)
    }
}

/// GENERATE KEY PAIR (产生密钥对): `00 46 80 sfi`, and READ PUBLIC KEY (读公钥): `00 46 81 sfi`. Both answer the public
/// key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPairCommand {
    /// A new pair in place of the one there.
    Generate(KeyPairId),
    /// The public key of the pair there.
    ReadPublic(KeyPairId),
}

impl KeyPairCommand {
    /// Reads P1, P2 and data of a command whose class and instruction are 00 46.
    ///
    /// # Errors
    /// 6A86, 6700.
    pub fn parse(command: &Command<'_>) -> Result<KeyPairCommand, StatusWord> {
        let id = KeyPairId::of(command)?;
        if !command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH);
        }
        match command.p1 {
            0x80 => Ok(KeyPairCommand::Generate(id)),
            0x81 => Ok(KeyPairCommand::ReadPublic(id)),
            _ => Err(StatusWord::WRONG_P1P2),
        }
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub const fn to_apdu(&self) -> [u8; 5] {
        match self {
            KeyPairCommand::Generate(id) => [0x00, 0x46, 0x80, id.0, 0x41],
            KeyPairCommand::ReadPublic(id) => [0x00, 0x46, 0x81, id.0, 0x41],
        }
    }
}

/// The commands of signing: `80 2A step sfi Lc data`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SignCommand<'a> {
    /// 90 HASH: the first block of a message.
    HashFirst(KeyPairId, &'a [u8]),
    /// 91 HASH: a further block.
    HashNext(KeyPairId, &'a [u8]),
    /// 9A SIGN: a whole message.
    Message(KeyPairId, &'a [u8]),
    /// 9B SIGN: the last block of a message, which may be empty.
    Last(KeyPairId, &'a [u8]),
    /// 9C SIGN: a digest, SM3(Z || message), computed outside.
    Digest(KeyPairId, [u8; DIGEST_LEN]),
}

impl<'a> SignCommand<'a> {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 2A.
    ///
    /// # Errors
    /// 6A86, 6700.
    pub fn parse(command: &Command<'a>) -> Result<SignCommand<'a>, StatusWord> {
        let id = KeyPairId::of(command)?;
        let data = command.data;
        match (command.p1, data) {
            (0x90, [_, ..]) => Ok(SignCommand::HashFirst(id, data)),
            (0x91, [_, ..]) => Ok(SignCommand::HashNext(id, data)),
            (0x9A, [_, ..]) => Ok(SignCommand::Message(id, data)),
            (0x9B, _) => Ok(SignCommand::Last(id, data)),
            (0x9C, _) => {
                let digest = data.try_into().map_err(|_| StatusWord::WRONG_LENGTH)?;
                Ok(SignCommand::Digest(id, digest))
            }
            (0x90 | 0x91 | 0x9A, []) => Err(StatusWord::WRONG_LENGTH),
            _ => Err(StatusWord::WRONG_P1P2),
        }
    }

    /// The command as bytes, Le included; `None` for data longer than 255 bytes.
    #[must_use]
    pub fn to_apdu(&self) -> Option<CommandBytes> {
        let (step, id, data, le): (u8, KeyPairId, &[u8], &[u8]) = match self {
            SignCommand::HashFirst(id, data) => (0x90, *id, data, &[]),
            SignCommand::HashNext(id, data) => (0x91, *id, data, &[]),
            SignCommand::Message(id, data) => (0x9A, *id, data, &[0x40]),
            SignCommand::Last(id, data) => (0x9B, *id, data, &[0x40]),
            SignCommand::Digest(id, digest) => (0x9C, *id, digest, &[0x40]),
        };
        let lc = u8::try_from(data.len()).ok()?;
        let lc: &[u8] = if lc == 0 { &[] } else { &[lc] };
        CommandBytes::from_parts(&[&[0x80, 0x2A, step, id.0], lc, data, le])
    }

    /// Length of the answer: nothing yet, or a signature.
    #[must_use]
    pub const fn answer_len(&self) -> usize {
        match self {
            SignCommand::HashFirst(..) | SignCommand::HashNext(..) => 0,
            SignCommand::Message(..) | SignCommand::Last(..) | SignCommand::Digest(..) => SIGNATURE_LEN,
        }
    }
}

/// VERIFY SIGNATURE (验证签名): `80 2A A8 00 A0 x y digest r s`. The digest is SM3(Z || message).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifySignature<'a> {
    /// The signer's public key: x || y.
    pub public: &'a [u8; 64],
    /// What was signed.
    pub digest: &'a [u8; DIGEST_LEN],
    /// r || s.
    pub signature: &'a [u8; SIGNATURE_LEN],
}

impl<'a> VerifySignature<'a> {
    /// Reads P2 and data of a command that begins with 80 2A A8.
    ///
    /// # Errors
    /// 6A86, 6700.
    pub fn parse(command: &Command<'a>) -> Result<VerifySignature<'a>, StatusWord> {
        if command.p2 != 0 {
            return Err(StatusWord::WRONG_P1P2);
        }
        let fields = || {
            let (public, rest) = command.data.split_first_chunk()?;
            let (digest, rest) = rest.split_first_chunk()?;
            Some(VerifySignature { public, digest, signature: rest.try_into().ok()? })
        };
        fields().ok_or(StatusWord::WRONG_LENGTH)
    }

    /// The command as bytes.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 165] {
        join(&[&[0x80, 0x2A, 0xA8, 0x00, 0xA0], self.public, self.digest, self.signature])
    }
}

/// Short file id of the directory of certificates.
pub const CERTIFICATES_SFI: u8 = 0x1B;
/// Short file ids of the files that hold certificates, as far as a token has them.
pub const CERTIFICATE_FILES: core::ops::RangeInclusive<u8> = 0x05..=0x09;
/// Length of a record of that directory.
pub const CERTIFICATE_ENTRY_LEN: usize = 24;
/// Longest label, in bytes.
pub const LABEL_LEN_MAX: usize = 19;

/// One record of the directory of certificates: file 1 (00: empty), key 1 (00: none), 00, length 2, label 19.
/// The certificate itself is in a binary file; it is there as soon as its record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateEntry {
    /// Short id of the file it stands in.
    pub file: u8,
    /// Short id of the key pair it is for; `None` for the certificate of somebody else, such as a CA.
    pub key: Option<KeyPairId>,
    /// Bytes of it.
    pub len: u16,
    /// Text for people, UTF-8, filled with zeros.
    pub label: [u8; LABEL_LEN_MAX],
}

impl CertificateEntry {
    /// The record of a place without a certificate.
    pub const EMPTY: [u8; CERTIFICATE_ENTRY_LEN] = [0; CERTIFICATE_ENTRY_LEN];

    /// Reads a record, or `None` for an empty one and for bytes that are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<CertificateEntry> {
        let mut fields = Reader(bytes);
        let [file, key, _] = fields.take()?;
        let len = u16::from_be_bytes(fields.take()?);
        let label = fields.take()?;
        let is_whole = fields.0.is_empty() && (1..=30).contains(&file) && key <= 30;
        is_whole.then_some(CertificateEntry { file, key: KeyPairId::new(key), len, label })
    }

    /// The record.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; CERTIFICATE_ENTRY_LEN] {
        let key = self.key.map_or(0, KeyPairId::sfi);
        join(&[&[self.file, key, 0], &self.len.to_be_bytes(), &self.label])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn bytes_of_the_wire() {
        let id = KeyPairId::new(0x0C).unwrap();
        for command in [KeyPairCommand::Generate(id), KeyPairCommand::ReadPublic(id)] {
            assert_eq!(KeyPairCommand::parse(&Command::parse(&command.to_apdu()).unwrap()), Ok(command));
        }
        assert_eq!(KeyPairCommand::Generate(id).to_apdu(), hex!("0046800C41"));
        let digest = [7; DIGEST_LEN];
        for (command, head) in [
            (SignCommand::HashFirst(id, b"ab"), &hex!("802A900C02")[..]),
            (SignCommand::HashNext(id, b"ab"), &hex!("802A910C02")),
            (SignCommand::Message(id, b"ab"), &hex!("802A9A0C02")),
            (SignCommand::Last(id, b""), &hex!("802A9B0C40")),
            (SignCommand::Last(id, b"ab"), &hex!("802A9B0C02")),
            (SignCommand::Digest(id, digest), &hex!("802A9C0C20")),
        ] {
            let apdu = command.to_apdu().unwrap();
            assert_eq!(&apdu[..5], head);
            assert!(SignCommand::parse(&Command::parse(&apdu).unwrap()) == Ok(command));
        }
        assert!(SignCommand::Message(id, &[0; 256]).to_apdu().is_none());
        let verify = VerifySignature { public: &[1; 64], digest: &digest, signature: &[2; 64] };
        assert_eq!(VerifySignature::parse(&Command::parse(&verify.to_apdu()).unwrap()), Ok(verify));
    }

    #[test]
    fn wrong_bytes_get_their_status_word() {
        let sign = |apdu: &[u8]| SignCommand::parse(&Command::parse(apdu).unwrap()).err();
        assert_eq!(sign(&hex!("802A9C0C0101")), Some(StatusWord::WRONG_LENGTH));
        assert_eq!(sign(&hex!("802A900C")), Some(StatusWord::WRONG_LENGTH));
        assert_eq!(sign(&hex!("802A9A000101")), Some(StatusWord::WRONG_P1P2));
        assert_eq!(sign(&hex!("802A9A1F0101")), Some(StatusWord::WRONG_P1P2));
        assert_eq!(sign(&hex!("802A9D0C0101")), Some(StatusWord::WRONG_P1P2));
        let pair = |apdu: &[u8]| KeyPairCommand::parse(&Command::parse(apdu).unwrap()).err();
        assert_eq!(pair(&hex!("0046820C")), Some(StatusWord::WRONG_P1P2));
        assert_eq!(pair(&hex!("0046800C0101")), Some(StatusWord::WRONG_LENGTH));
    }

    #[test]
    fn certificate_entries() {
        let entry = CertificateEntry {
            file: 5,
            key: KeyPairId::new(0x0C),
            len: 0x0301,
            label: *b"signing\0\0\0\0\0\0\0\0\0\0\0\0",
        };
        let bytes = entry.to_bytes();
        assert_eq!(bytes[..5], hex!("050C000301"));
        assert_eq!(CertificateEntry::from_bytes(&bytes), Some(entry));
        let of_a_ca = CertificateEntry { key: None, ..entry };
        assert_eq!(CertificateEntry::from_bytes(&of_a_ca.to_bytes()), Some(of_a_ca));
        assert_eq!(CertificateEntry::from_bytes(&CertificateEntry::EMPTY), None);
        assert_eq!(CertificateEntry::from_bytes(&bytes[1..]), None);
        for byte in 0..=u8::MAX {
            assert!(Purpose::from_code(byte).is_none_or(|purpose| purpose.code() == byte));
            assert!(PinPolicy::from_code(byte).is_none_or(|policy| policy.code() == byte));
        }
    }
}
