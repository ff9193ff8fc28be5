//! Commands, checks and MACs, made alike of the keys of any backend.

use super::Backend;
use crate::error::VaultError;
use crate::kind::Scheme;
use crate::table::Use;
use crate::vault::{
    KeyAddress, KeyLayout, KeyRef, LoadSession, NewKey, PresetJob, Secrecy, SecureMessage, WriteKeyJob,
};
use ykt_base::KeyVersion;
use ykt_crypto::sm::CommandBytes;
use ykt_crypto::{CardKey, Key16, SessionKey, sm};
use ykt_purse::hard_info::Preset;
use ykt_purse::key_card::{KeyCardHeader, KeyCardUsage};
use ykt_purse::write_key::{self, KeyForm, KeyLayout as Family, KeyUsage, SamKeyHeader};
use ykt_purse::{Algorithm, load};

/// [`crate::Vault::write_key`].
pub(super) fn write_key(source: &impl Backend, job: &WriteKeyJob<'_>) -> Result<CommandBytes, VaultError> {
    let control = source.key(&job.control, Use::Compute)?;
    let command = match &job.layout {
        KeyLayout::Card { family, target, header } => {
            let secret = new_card_key(source, &job.new, header, target.usage(), *family)?;
            let bytes = family.header(target.id(), header);
            write_key::command(&control, job.iv, family.command(*target), &bytes, secret.field())
        }
        KeyLayout::Sam { header } => {
            let key = new_sam_key(source, &job.new, header)?;
            let command = SamKeyHeader::COMMAND;
            write_key::command(&control, job.iv, command, &header.to_bytes(), key.expose())
        }
        KeyLayout::KeyCard { header } => {
            let secret = new_key_card_key(source, &job.new, header)?;
            let command = KeyCardHeader::COMMAND;
            write_key::command(&control, job.iv, command, &header.to_bytes(), secret.field())
        }
    };
    command.ok_or(VaultError::TooLong { len: Key16::LEN })
}

/// [`crate::Vault::preset`].
pub(super) fn preset(source: &impl Backend, job: &PresetJob) -> Result<CommandBytes, VaultError> {
    let factory = source.key(&KeyAddress::Shared(job.factory), Use::Compute)?;
    let CardKey::Tdes(transport_key) = source.key(&KeyAddress::Shared(job.transport), Use::Write)? else {
        return Err(VaultError::WrongHolder { key: job.transport });
    };
    let preset = Preset {
        serial: job.serial,
        operator: job.operator,
        system: job.system,
        mf_create: job.mf_create,
        mf_switches: job.mf_switches,
        transport_key,
    };
    Ok(preset.to_apdu(&factory, job.iv))
}

/// [`crate::Vault::secure_message`].
pub(super) fn secure_message(
    source: &impl Backend,
    message: &SecureMessage<'_>,
) -> Result<CommandBytes, VaultError> {
    let SecureMessage { key, iv, header, data, secrecy } = message;
    let key = source.key(key, Use::Compute)?;
    match secrecy {
        Secrecy::Clear => sm::plain_with_mac(&key, *iv, *header, data),
        Secrecy::Enciphered(padding) => sm::enciphered_with_mac(&key, *padding, *iv, *header, &[data]),
    }
    .ok_or(VaultError::TooLong { len: data.len() })
}

/// The session key of a load.
pub(super) fn load_session_key(
    source: &impl Backend,
    session: &LoadSession,
) -> Result<SessionKey, VaultError> {
    let key = source.key(&KeyAddress::Card(session.key), Use::Compute)?;
    Ok(load::session_key(&key, session.random, session.counter))
}

fn new_card_key(
    source: &impl Backend,
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
                    let expected = usage.map_or_else(|| "none".to_owned(), |usage| hex_byte(usage.code()));
                    return Err(mismatch(key, "the usage", expected, hex_byte(found.code())));
                }
            }
            if header.version != key.version {
                let [expected, found] = [key.version, header.version].map(|version| version.to_string());
                return Err(mismatch(key, "the version", expected, found));
            }
            fitting(key, algorithm, source.key(address, Use::Write)?).map(CardSecret::Key)
        }
        (NewKey::Pin(_), _) => Err(VaultError::NotThatKind { expected: "a key", found: "a PIN" }),
        (_, KeyForm::Pin { .. }) => Err(VaultError::NotThatKind { expected: "a PIN", found: "a key" }),
        _ => Err(VaultError::NotThatKind { expected: "a user card's key", found: "a PSAM's key" }),
    }
}

fn new_sam_key(
    source: &impl Backend,
    new: &NewKey<'_>,
    header: &SamKeyHeader,
) -> Result<CardKey, VaultError> {
    new_key_by_usage(source, new, header.usage.levels(), header.version, header.algorithm)
}

fn new_key_card_key(
    source: &impl Backend,
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
            let key = new_key_by_usage(source, new, levels, header.version, algorithm)?;
            Ok(CardSecret::Key(key))
        }
    }
}

/// A key of a card that names its keys by usage: a PSAM or a key card.
fn new_key_by_usage(
    source: &impl Backend,
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
    if version != key.version {
        let [expected, found] = [key.version, version].map(|version| version.to_string());
        return Err(mismatch(key, "the version", expected, found));
    }
    if let NewKey::Own(address) = new {
        if levels != 0 {
            return Err(mismatch(key, "the number of levels left", "0".to_owned(), levels.to_string()));
        }
        return fitting(key, algorithm, source.key(address, Use::Write)?);
    }
    let NewKey::Working { factor, .. } = new else {
        return Err(VaultError::WrongHolder { key });
    };
    let card = source.look(|records| Ok(records.levels.card()))?;
    let level = card.checked_sub(left).filter(|_| left > 0);
    let (Some(level), Scheme::Card) = (level, key.kind.scheme()) else {
        // A PSAM and a key card know no more than three.
        let expected = format!("1 to {}", card.min(3));
        return Err(mismatch(key, "the number of levels left", expected, left.to_string()));
    };
    fitting(key, algorithm, source.upper_key(key, level, *factor, Use::Write)?)
}

/// What stands in the key field of a WRITE KEY.
enum CardSecret {
    Key(CardKey),
    Pin(sm::Bytes<{ write_key::PIN_FIELD_LEN }>),
}

impl CardSecret {
    fn field(&self) -> &[u8] {
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

/// The key, when the header names its algorithm.
fn fitting(key: KeyRef, algorithm: Algorithm, value: CardKey) -> Result<CardKey, VaultError> {
    let expected = match value {
        CardKey::Tdes(_) => Algorithm::TripleDes,
        CardKey::Des(_) => Algorithm::Des,
        CardKey::Sm4(_) => Algorithm::Sm4,
    };
    if algorithm == expected {
        return Ok(value);
    }
    Err(mismatch(key, "the algorithm", hex_byte(expected.code()), hex_byte(algorithm.code())))
}
