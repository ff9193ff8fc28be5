//! What a WRITE KEY brings: the key its header says, and nothing else, derived for its holder.

use super::{SoftVault, Use};
use crate::kind::Scheme;
use crate::vault::{KeyAddress, KeyRef, NewKey, VaultError};
use ykt_base::{Asn8, KeyVersion};
use ykt_crypto::{CardKey, sm};
use ykt_purse::Algorithm;
use ykt_purse::key_card::{KeyCardHeader, KeyCardUsage};
use ykt_purse::write_key::{self, KeyForm, KeyLayout as Family, KeyUsage, SamKeyHeader};

impl SoftVault {
    pub(super) fn new_card_key(
        &self,
        new: &NewKey<'_>,
        header: &write_key::KeyHeader,
        target: KeyUsage,
        family: Family,
    ) -> Result<CardSecret, VaultError> {
        match (new, header.form) {
            (NewKey::Pin(pin), KeyForm::Pin { .. }) if target == KeyUsage::Pin => {
                Ok(CardSecret::Pin(family.pin_field(pin)))
            }
            (NewKey::Own(address @ KeyAddress::Card(_)), KeyForm::Key(algorithm)) => {
                let key = address.key();
                let usage = key.kind.card_usage();
                for found in [header.usage, target] {
                    if usage != Some(found) {
                        let expected =
                            usage.map_or_else(|| "none".to_owned(), |usage| hex_byte(usage.code()));
                        return Err(mismatch(key, "the usage", expected, hex_byte(found.code())));
                    }
                }
                fits_16_bytes(key, algorithm)?;
                if header.version != key.version {
                    let [expected, found] = [key.version, header.version].map(|version| version.to_string());
                    return Err(mismatch(key, "the version", expected, found));
                }
                self.derive(address, Use::Write).map(CardSecret::Key)
            }
            (NewKey::Pin(_), _) => Err(VaultError::NotThatKind { expected: "a key", found: "a PIN" }),
            (_, KeyForm::Pin { .. }) => Err(VaultError::NotThatKind { expected: "a PIN", found: "a key" }),
            _ => Err(VaultError::NotThatKind { expected: "a user card's key", found: "a PSAM's key" }),
        }
    }

    pub(super) fn new_sam_key(&self, new: &NewKey<'_>, header: &SamKeyHeader) -> Result<CardKey, VaultError> {
        self.new_key_by_usage(new, header.usage.levels(), header.version, header.algorithm)
    }

    pub(super) fn new_key_card_key(
        &self,
        new: &NewKey<'_>,
        header: &KeyCardHeader,
    ) -> Result<CardSecret, VaultError> {
        match (new, header.form) {
            (NewKey::Pin(pin), KeyForm::Pin { .. }) => Ok(CardSecret::Pin(pin.field())),
            (_, KeyForm::Pin { .. }) => Err(VaultError::NotThatKind { expected: "a PIN", found: "a key" }),
            (new, KeyForm::Key(algorithm)) => {
                let levels = match (header.usage, new) {
                    (
                        KeyCardUsage::Issue(usage),
                        NewKey::Own(KeyAddress::Shared(key)) | NewKey::Working { key, .. },
                    ) => {
                        if key.kind.issue_kind() != Some(usage.kind()) {
                            let expected = key
                                .kind
                                .issue_kind()
                                .map_or_else(|| "none".to_owned(), |kind| hex_byte(kind.code()));
                            return Err(mismatch(*key, "the kind", expected, hex_byte(usage.kind().code())));
                        }
                        usage.levels()
                    }
                    _ => 0,
                };
                let key = self.new_key_by_usage(new, levels, header.version, algorithm)?;
                Ok(CardSecret::Key(key))
            }
        }
    }

    /// A key of a card that names its keys by usage: a PSAM or a key card.
    fn new_key_by_usage(
        &self,
        new: &NewKey<'_>,
        levels: u8,
        version: KeyVersion,
        algorithm: Algorithm,
    ) -> Result<CardKey, VaultError> {
        let (key, left) = match new {
            NewKey::Pin(_) => return Err(VaultError::NotThatKind { expected: "a key", found: "a PIN" }),
            NewKey::Own(KeyAddress::Card(_)) => {
                return Err(VaultError::NotThatKind {
                    expected: "a PSAM's key",
                    found: "a finished key of a user card",
                });
            }
            NewKey::Own(address) => (address.key(), 0),
            NewKey::Working { key, .. } => (*key, levels),
        };
        fits_16_bytes(key, algorithm)?;
        if version != key.version {
            let [expected, found] = [key.version, version].map(|version| version.to_string());
            return Err(mismatch(key, "the version", expected, found));
        }
        if let NewKey::Own(address) = new {
            if levels != 0 {
                return Err(mismatch(key, "the number of levels left", "0".to_owned(), levels.to_string()));
            }
            return self.derive(address, Use::Write);
        }
        let NewKey::Working { factor, .. } = new else {
            return Err(VaultError::WrongHolder { key });
        };
        let level = self.levels.card().checked_sub(left).filter(|_| left > 0);
        let (Some(level), Scheme::Card) = (level, key.kind.scheme()) else {
            let expected = format!("1 to {}", self.levels.card());
            return Err(mismatch(key, "the number of levels left", expected, left.to_string()));
        };
        self.key_at(key, level, *factor, Asn8([0; 8]), Use::Write)
    }
}

/// What stands in the key field of a WRITE KEY.
pub(super) enum CardSecret {
    Key(CardKey),
    Pin(sm::Bytes<{ write_key::PIN_FIELD_LEN }>),
}

impl CardSecret {
    pub(super) fn field(&self) -> &[u8] {
        match self {
            CardSecret::Key(key) => key.expose(),
            CardSecret::Pin(field) => field,
        }
    }
}

fn hex_byte(byte: u8) -> String {
    format!("{byte:02X}")
}

fn mismatch(key: KeyRef, what: &'static str, expected: String, found: String) -> VaultError {
    VaultError::HeaderMismatch { key, what, expected, found }
}

fn fits_16_bytes(key: KeyRef, algorithm: Algorithm) -> Result<(), VaultError> {
    if algorithm == Algorithm::TripleDes {
        return Ok(());
    }
    let expected = hex_byte(Algorithm::TripleDes.code());
    Err(mismatch(key, "the algorithm", expected, hex_byte(algorithm.code())))
}
