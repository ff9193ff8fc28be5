//! The identity application (身份认证, `systems.md` C1): a person's data on a card, and proof that they are genuine.
//!
//! Each data group is a binary file with a right of its own. The issuer signs the hashes of all groups together
//! with the public key of the card ([`SignedObject`]), so data cannot be changed or moved to another card; and the
//! card signs a reader's challenge with that key ([`InternalAuthenticate`]), so a copy is told from the card. No
//! source states bytes; everything here is the platform's own.
//!
//! Every file of the application holds a length (2) and then as many bytes; the rest is not looked at.

use crate::token::KeyPairId;
use crate::wire::{Reader, join};
use core::fmt;
use ykt_base::{Asn8, Command, Date, IssuerFactor, StatusWord};
use ykt_crypto::chain::{Hash32, sm3};
use ykt_crypto::sm::{Bytes, CommandBytes};
use ykt_crypto::sm2::{PUBLIC_KEY_LEN, PrivateKey, PublicKey, SIGNATURE_LEN, Signature, SignerId};

/// Application name.
pub const NAME: [u8; 9] = *b"YKT.IDENT";
/// Short file id of the signed object.
pub const SIGNED_OBJECT_SFI: u8 = 0x1D;
/// Short file id of the card's key pair.
pub const KEY_SFI: u8 = 0x1C;
/// Largest photo, in bytes.
pub const PHOTO_LEN_MAX: usize = 16 * 1024;
/// Bytes of a file before its content.
pub const LENGTH_LEN: usize = 2;

/// A data group; its number is the short id of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataGroup {
    /// 1: name, UTF-8.
    Name,
    /// 2: number of the identity paper, ASCII.
    IdNumber,
    /// 3: sex (GB/T 2261.1), one ASCII digit.
    Sex,
    /// 4: date of birth, BCD.
    Birth,
    /// 5: address, UTF-8.
    Address,
    /// 6: photo, JPEG.
    Photo,
}

impl DataGroup {
    /// Every group, in the order of its numbers.
    pub const ALL: [DataGroup; 6] = [
        DataGroup::Name,
        DataGroup::IdNumber,
        DataGroup::Sex,
        DataGroup::Birth,
        DataGroup::Address,
        DataGroup::Photo,
    ];

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            DataGroup::Name => 1,
            DataGroup::IdNumber => 2,
            DataGroup::Sex => 3,
            DataGroup::Birth => 4,
            DataGroup::Address => 5,
            DataGroup::Photo => 6,
        }
    }

    /// The group of a number, or `None` for one that means none.
    #[must_use]
    pub fn from_number(number: u8) -> Option<DataGroup> {
        DataGroup::ALL.into_iter().find(|group| group.number() == number)
    }

    /// File id.
    #[must_use]
    pub const fn fid(self) -> [u8; 2] {
        [0x00, self.number()]
    }
}

impl fmt::Display for DataGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DataGroup::Name => "name",
            DataGroup::IdNumber => "id number",
            DataGroup::Sex => "sex",
            DataGroup::Birth => "date of birth",
            DataGroup::Address => "address",
            DataGroup::Photo => "photo",
        })
    }
}

/// Bytes of the signed object before its hashes.
const HEAD_LEN: usize = 90;
/// Bytes of one hash with its number.
const ENTRY_LEN: usize = 33;
/// Longest signed object, in bytes.
pub const SIGNED_OBJECT_LEN_MAX: usize = HEAD_LEN + ENTRY_LEN * DataGroup::ALL.len() + SIGNATURE_LEN;
/// Version of its layout.
const VERSION: u8 = 0x01;

/// What the issuer says of the card: version (1), issuer (8), card number (8), first and last day (4, 4), public key
/// (x || y, 64), number of groups (1), for each its number and SM3 hash (1, 32); then the signature of all that (64).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedObject {
    /// Who signs.
    pub issuer: IssuerFactor,
    /// Number of the card.
    pub card: Asn8,
    /// First day.
    pub start: Date,
    /// Last day.
    pub expiry: Date,
    /// Public key of the card.
    pub public: PublicKey,
    /// Hash of each group, in the order of [`DataGroup::ALL`]; `None` when the card has no such group.
    pub hashes: [Option<Hash32>; 6],
}

impl SignedObject {
    /// The hash of a group, when the card has it.
    #[must_use]
    pub fn hash(&self, group: DataGroup) -> Option<Hash32> {
        let index = usize::from(group.number()).saturating_sub(1);
        self.hashes.get(index).copied().flatten()
    }

    /// The object with its signature, as the file holds it after the length.
    #[must_use]
    pub fn sign(&self, key: &PrivateKey, rng: &mut dyn ykt_base::Rng) -> Bytes<SIGNED_OBJECT_LEN_MAX> {
        let mut bytes = self.signed_bytes();
        let signature = key.sign(SignerId::DEFAULT, &[&bytes], rng);
        // The length is that of the layout.
        let _ = bytes.push(signature.as_bytes());
        bytes
    }

    /// Reads an object and its signature, or `None` when the bytes are none: another version, a group twice or out
    /// of order, a point that is not on the curve.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<(SignedObject, Signature)> {
        let mut fields = Reader(bytes);
        let version = fields.byte()?;
        let (issuer, card) = (IssuerFactor(fields.take()?), Asn8(fields.take()?));
        let (start, expiry) = (Date::from_bcd(fields.take()?)?, Date::from_bcd(fields.take()?)?);
        let public: [u8; PUBLIC_KEY_LEN] = join(&[&[0x04], &fields.take::<64>()?]);
        let mut hashes = [None; 6];
        let mut before = 0;
        for _ in 0..fields.byte()? {
            let number = DataGroup::from_number(fields.byte()?).map(DataGroup::number)?;
            let index = usize::from(number).checked_sub(1).filter(|_| number > before)?;
            *hashes.get_mut(index)? = Some(Hash32(fields.take()?));
            before = number;
        }
        let signature = Signature(fields.take()?);
        let public = PublicKey::from_bytes(public)?;
        let object = SignedObject { issuer, card, start, expiry, public, hashes };
        (version == VERSION && fields.0.is_empty()).then_some((object, signature))
    }

    /// Whether the issuer signed exactly this.
    #[must_use]
    pub fn is_signed_by(&self, issuer: &PublicKey, signature: &Signature) -> bool {
        issuer.verify(SignerId::DEFAULT, &[&self.signed_bytes()], signature)
    }

    fn signed_bytes(&self) -> Bytes<SIGNED_OBJECT_LEN_MAX> {
        let mut bytes = Bytes::new();
        let [_, public @ ..] = self.public.as_bytes();
        let count = self.hashes.iter().flatten().count();
        let head: [u8; HEAD_LEN] = join(&[
            &[VERSION],
            &self.issuer.0,
            &self.card.0,
            &self.start.to_bcd(),
            &self.expiry.to_bcd(),
            public,
            &[u8::try_from(count).unwrap_or(u8::MAX)],
        ]);
        // The length is that of the layout.
        let _ = bytes.push(&head);
        for (group, hash) in DataGroup::ALL.iter().zip(&self.hashes) {
            if let Some(hash) = hash {
                let _ = bytes.push(&[group.number()]);
                let _ = bytes.push(hash.as_bytes());
            }
        }
        bytes
    }
}

/// The hash of a group's content.
#[must_use]
pub fn group_hash(content: &[u8]) -> Hash32 {
    sm3(&[content])
}

/// Length of a reader's challenge.
pub const CHALLENGE_LEN: usize = 16;
/// Longest context, in bytes.
pub const CONTEXT_LEN_MAX: usize = 32;

/// INTERNAL AUTHENTICATE SM2 (SM2 内部认证): `80 88 00 sfi Lc challenge context`. The card answers its signature of
/// challenge || context. The context says what for (who the reader is), so that an answer serves no other reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InternalAuthenticate<'a> {
    /// Which key pair.
    pub key: KeyPairId,
    /// Challenge and context: what is signed.
    pub message: &'a [u8],
}

impl<'a> InternalAuthenticate<'a> {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 88.
    ///
    /// # Errors
    /// 6A86, 6700.
    pub fn parse(command: &Command<'a>) -> Result<InternalAuthenticate<'a>, StatusWord> {
        let key = KeyPairId::of(command)?;
        let lens = CHALLENGE_LEN..=CHALLENGE_LEN.saturating_add(CONTEXT_LEN_MAX);
        match command.p1 {
            0 if lens.contains(&command.data.len()) => {
                Ok(InternalAuthenticate { key, message: command.data })
            }
            0 => Err(StatusWord::WRONG_LENGTH),
            _ => Err(StatusWord::WRONG_P1P2),
        }
    }

    /// The command as bytes, Le included; `None` for a longer context than [`CONTEXT_LEN_MAX`].
    #[must_use]
    pub fn apdu(key: KeyPairId, challenge: &[u8; CHALLENGE_LEN], context: &[u8]) -> Option<CommandBytes> {
        let len = challenge.len().saturating_add(context.len());
        let lc = u8::try_from(len).ok().filter(|_| context.len() <= CONTEXT_LEN_MAX)?;
        CommandBytes::from_parts(&[&[0x80, 0x88, 0x00, key.sfi(), lc], challenge, context, &[0x40]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    struct Counting(u8);

    impl ykt_base::Rng for Counting {
        fn fill(&mut self, out: &mut [u8]) {
            for byte in out {
                *byte = self.0;
                self.0 = self.0.wrapping_add(1);
            }
        }
    }

    fn object(rng: &mut Counting) -> SignedObject {
        SignedObject {
            issuer: IssuerFactor(hex!("2144FF0000000000")),
            card: Asn8(hex!("2144000000000001")),
            start: Date::new(2024, 1, 31).unwrap(),
            expiry: Date::new(2034, 1, 30).unwrap(),
            public: PrivateKey::generate(rng).public_key(),
            hashes: [
                Some(group_hash(b"a")),
                None,
                Some(group_hash(b"b")),
                None,
                None,
                Some(group_hash(b"c")),
            ],
        }
    }

    #[test]
    fn every_changed_bit_is_found() {
        let mut rng = Counting(1);
        let issuer = PrivateKey::generate(&mut rng);
        let object = object(&mut rng);
        let bytes = object.sign(&issuer, &mut rng);
        assert_eq!(bytes.len(), HEAD_LEN + 3 * ENTRY_LEN + SIGNATURE_LEN);
        let (read, signature) = SignedObject::from_bytes(&bytes).unwrap();
        assert_eq!(read, object);
        assert!(read.is_signed_by(&issuer.public_key(), &signature));
        assert!(!read.is_signed_by(&object.public, &signature), "another signer");
        assert_eq!(read.hash(DataGroup::Sex), Some(group_hash(b"b")));
        assert_eq!(read.hash(DataGroup::Photo), Some(group_hash(b"c")));
        assert_eq!(read.hash(DataGroup::Address), None);
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1 << (at % 8);
            let believed = SignedObject::from_bytes(&changed)
                .is_some_and(|(object, signature)| object.is_signed_by(&issuer.public_key(), &signature));
            assert!(!believed, "byte {at}");
            assert!(SignedObject::from_bytes(&bytes[..at]).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn bytes_of_internal_authenticate() {
        let key = KeyPairId::new(KEY_SFI).unwrap();
        let apdu = InternalAuthenticate::apdu(key, &[7; 16], b"gate 3").unwrap();
        assert_eq!(&apdu[..5], hex!("8088001C16"));
        let parsed = InternalAuthenticate::parse(&Command::parse(&apdu).unwrap()).unwrap();
        assert_eq!(parsed, InternalAuthenticate { key, message: &apdu[5..27] });
        assert!(InternalAuthenticate::apdu(key, &[7; 16], &[0; 33]).is_none());
        for (apdu, want) in [
            (&hex!("8088001C0101")[..], StatusWord::WRONG_LENGTH),
            (&hex!("8088011C1001010101010101010101010101010101"), StatusWord::WRONG_P1P2),
            (&hex!("808800001001010101010101010101010101010101"), StatusWord::WRONG_P1P2),
        ] {
            assert_eq!(InternalAuthenticate::parse(&Command::parse(apdu).unwrap()), Err(want));
        }
        for number in 0..=u8::MAX {
            assert!(DataGroup::from_number(number).is_none_or(|group| group.number() == number));
        }
    }
}
