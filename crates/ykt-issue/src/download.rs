//! Key download: the commands of a personalisation that need a key, made by the one who has the keys for one who has
//! none.
//!
//! The actors: the *line*, a personalisation line or a counter with the card in its reader, and the *centre*, which
//! has the vault. The line goes through the steps of a profile ([`crate::Personalisation`]) and asks for what it
//! cannot make by itself: WRITE KEY, EXTERNAL AUTHENTICATE, the preset, messages under secure messaging. The centre
//! ([`CommandMaker`]) knows the profile, too, and makes the ready command of one step of it for one card. There is
//! nothing else a line could ask for: it names no key, no header and no file.
//!
//! Who knows what is a matter of types. The centre knows a card's [`Subject`], its numbers. The line alone has
//! [`crate::CardData`] with holder, PIN and pictures, and of these a request brings what its one command carries.

use crate::profile::{Action, BLOCK_LEN, Content, NewCardKey, NewContent, Place, Profile, Task};
use ykt_base::apdu::COMMAND_LEN_MAX;
use ykt_base::{Asn8, Command, IssuerFactor, KeyVersion, PsamSerial};
use ykt_card::CardKind;
use ykt_crypto::sm::CommandBytes;
use ykt_purse::auth_code::AuthenticationCode;
use ykt_purse::command;
use ykt_purse::create::{Access, Protection, Switches};
use ykt_purse::files::{PublicData, SamCardData};
use ykt_purse::key_card::{KeyCardHeader, KeyCardUsage};
use ykt_purse::write_key::{KeyForm, KeyHeader, KeyTarget, KeyUsage, Pin, SamKeyHeader};
use ykt_vault::{
    CardKeyRef, KeyAddress, KeyKind, KeyLayout, KeyRef, NewKey, PresetJob, Scheme, Secrecy, SecureMessage,
    Vault, VaultError, WriteKeyJob,
};

/// What the centre knows of a card, PSAM or key card: the numbers its keys are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A user card.
    Card {
        /// Card number.
        asn: Asn8,
        /// Factor of the level above the cards: city or issuer.
        factor: IssuerFactor,
        /// References of the bank cards on it, in their order.
        banks: Vec<Asn8>,
    },
    /// A PSAM.
    Sam {
        /// Serial number.
        serial: PsamSerial,
        /// Factor of the issuer whose cards it serves.
        factor: IssuerFactor,
    },
    /// A key card.
    KeyCard {
        /// Serial number.
        serial: PsamSerial,
        /// Factor of the first city whose cards it issues.
        factor: IssuerFactor,
    },
}

impl Subject {
    /// Which kind of card it is.
    #[must_use]
    pub const fn kind(&self) -> CardKind {
        match self {
            Subject::Card { .. } => CardKind::User,
            Subject::Sam { .. } => CardKind::Psam,
            Subject::KeyCard { .. } => CardKind::KeyCard,
        }
    }

    /// Factor of the level above it.
    #[must_use]
    pub const fn factor(&self) -> IssuerFactor {
        match self {
            Subject::Card { factor, .. } | Subject::Sam { factor, .. } | Subject::KeyCard { factor, .. } => {
                *factor
            }
        }
    }

    /// Chip serial number, which a preset writes.
    #[must_use]
    pub const fn chip(&self) -> [u8; 8] {
        match self {
            Subject::Card { asn, .. } => asn.0,
            Subject::Sam { serial, .. } | Subject::KeyCard { serial, .. } => {
                let [_, _, chip @ ..] = serial.0;
                chip
            }
        }
    }

    /// The key as this card holds it; `None` for the key of a bank card that it has not.
    fn address(&self, key: KeyRef) -> Option<KeyAddress> {
        Some(match (key.kind.scheme(), self) {
            (Scheme::Card, Subject::Card { asn, factor, banks }) => {
                let asn = match key.kind {
                    KeyKind::BankCard => *banks.get(usize::from(key.index.0).checked_sub(1)?)?,
                    _ => *asn,
                };
                KeyAddress::Card(CardKeyRef { key, factor: *factor, asn })
            }
            (Scheme::Sam, Subject::Sam { serial, .. } | Subject::KeyCard { serial, .. }) => {
                KeyAddress::Sam { key, serial: *serial }
            }
            // Shared keys; a key of the other sort of card is refused by the vault.
            _ => KeyAddress::Shared(key),
        })
    }
}

/// What a line asks for: the command of one step. Its data may be a PIN, so it is not `Debug`.
#[derive(Clone, Copy)]
pub struct StepRequest<'a> {
    /// Number of the step, from 1, the preset counted ([`crate::Progress::number`]).
    pub step: u16,
    /// Which block, from 0, of a content too long for one command; `None` when the step is one command.
    pub block: Option<u16>,
    /// The card's challenge: 8 bytes of an authentication, else 4 and four zeros, the IV of secure messaging.
    pub iv: [u8; 8],
    /// What only the line has: the PIN, or the bytes of a file that this command carries; else empty.
    pub data: &'a [u8],
}

/// Why there is no command for a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// The vault has not the key, or not for this use, or cannot be reached.
    #[error("the vault refused: {0}")]
    Vault(#[from] VaultError),
    /// The request does not fit the step it names.
    #[error("step {step}: expected {expected}, found {found}")]
    Request {
        /// The step, as the request names it.
        step: u16,
        /// What the step wants.
        expected: &'static str,
        /// What the request brings.
        found: String,
    },
    /// The centre refused: line, right, quota, batch or the state of the card.
    #[error("the centre refused ({code}): {message}")]
    Refused {
        /// Stable code.
        code: String,
        /// Why, in words.
        message: String,
    },
    /// The centre gave no answer, or one that makes no sense.
    #[error("no command from the centre: {0}")]
    NoAnswer(String),
}

/// The line's way to the centre.
pub trait KeyDownload {
    /// The ready command of a step.
    ///
    /// # Errors
    /// [`DownloadError`]; the same request may be made again.
    fn command(&mut self, request: &StepRequest<'_>) -> Result<CommandBytes, DownloadError>;
}

/// The centre's side for one card: makes the commands of its profile and nothing else.
#[derive(Clone, Copy)]
pub struct CommandMaker<'a> {
    /// The keys.
    pub vault: &'a dyn Vault,
    /// The steps.
    pub profile: &'a Profile,
    /// The card.
    pub subject: &'a Subject,
}

impl KeyDownload for CommandMaker<'_> {
    fn command(&mut self, request: &StepRequest<'_>) -> Result<CommandBytes, DownloadError> {
        self.make(request)
    }
}

impl CommandMaker<'_> {
    /// The ready command of a step.
    ///
    /// # Errors
    /// [`DownloadError::Request`] when the profile has no such step, the step needs no key, or the data are not what it
    /// writes; [`DownloadError::Vault`].
    pub fn make(&self, request: &StepRequest<'_>) -> Result<CommandBytes, DownloadError> {
        let task = self.profile.task(request.step.into());
        let task =
            task.ok_or_else(|| wrong(request, "a step of the profile", "none of this number".to_owned()))?;
        let action = match task {
            Task::Preset(preset) => {
                only_challenge(request)?;
                return Ok(self.vault.preset(&PresetJob {
                    factory: self.profile.transport,
                    transport: preset.transport,
                    serial: self.subject.chip(),
                    operator: preset.operator,
                    system: preset.system,
                    mf_create: preset.create,
                    mf_switches: preset.switches,
                    iv: request.iv,
                })?);
            }
            Task::Step(step) => &step.action,
        };
        if request.block.is_some() && !matches!(action, Action::Write(_)) {
            return Err(wrong(request, "one command without blocks", "a block".to_owned()));
        }
        match action {
            Action::Authenticate { key, id } => {
                only_challenge(request)?;
                let cryptogram =
                    self.vault.external_authenticate(&self.address(request, *key)?, request.iv)?;
                encoded(request, &command::external_authenticate(*id, &cryptogram))
            }
            Action::WriteKey(new) => {
                only_challenge(request)?;
                self.card_key(request, new)
            }
            Action::WritePin { control, id, follow_up, tries } => {
                let pin = pin(request)?;
                let target = KeyTarget::Add { id: *id, usage: KeyUsage::Pin };
                let header = KeyHeader {
                    version: KeyVersion(0),
                    form: pin.form(),
                    usage: KeyUsage::Pin,
                    use_right: Access::ALWAYS,
                    follow_up: *follow_up,
                    change_right: Access::ALWAYS,
                    tries: *tries,
                };
                let layout = self.of_card(request, target, header);
                self.write_key(request, *control, NewKey::Pin(&pin), layout)
            }
            Action::WriteSamKey { key, algorithm, control, usage } => {
                only_challenge(request)?;
                let header = SamKeyHeader { usage: *usage, version: key.version, algorithm: *algorithm };
                let new = self.key_above(request, *key, usage.levels())?;
                self.write_key(request, *control, new, KeyLayout::Sam { header })
            }
            Action::WriteKeyCardKey { key, algorithm, control, usage } => {
                only_challenge(request)?;
                let levels = match usage {
                    KeyCardUsage::Issue(usage) => usage.levels(),
                    _ => 0,
                };
                let form = KeyForm::Key(*algorithm);
                let header = KeyCardHeader { usage: *usage, version: key.version, form };
                let new = self.key_above(request, *key, levels)?;
                self.write_key(request, *control, new, KeyLayout::KeyCard { header })
            }
            Action::WriteOperatorPin { control } => {
                let pin = pin(request)?;
                let (usage, version) = (KeyCardUsage::Pin, KeyVersion(0));
                let header = KeyCardHeader { usage, version, form: pin.form() };
                self.write_key(request, *control, NewKey::Pin(&pin), KeyLayout::KeyCard { header })
            }
            Action::Write(new) if action.needs_key() => self.write(request, new),
            Action::Select { .. }
            | Action::CreateApplication(_)
            | Action::Create(_)
            | Action::GenerateKeyPair { .. }
            | Action::Write(_) => {
                Err(wrong(request, "a step that needs a key", "one that the line does by itself".to_owned()))
            }
        }
    }

    fn card_key(&self, request: &StepRequest<'_>, new: &NewCardKey) -> Result<CommandBytes, DownloadError> {
        let NewCardKey { key, algorithm, control, id, place, use_right, follow_up, change_right, tries } =
            *new;
        let usage = key
            .kind
            .card_usage()
            .ok_or_else(|| wrong(request, "a key that user cards hold", key.kind.to_string()))?;
        let form = KeyForm::Key(algorithm);
        let header =
            KeyHeader { version: key.version, form, usage, use_right, follow_up, change_right, tries };
        let target = match place {
            Place::Added => KeyTarget::Add { id, usage },
            Place::Replaced => KeyTarget::Change { id, usage },
        };
        let layout = self.of_card(request, target, header);
        self.write_key(request, control, NewKey::Own(self.address(request, key)?), layout)
    }

    /// A user card's key as the directory of the step wants it.
    fn of_card(&self, request: &StepRequest<'_>, target: KeyTarget, header: KeyHeader) -> KeyLayout {
        KeyLayout::Card { family: self.switches(request).key_layout, target, header }
    }

    fn switches(&self, request: &StepRequest<'_>) -> Switches {
        self.profile.switches_at(request.step.into())
    }

    /// A key so many levels above the cards; at none it is the holder's own.
    fn key_above(
        &self,
        request: &StepRequest<'_>,
        key: KeyRef,
        levels: u8,
    ) -> Result<NewKey<'static>, DownloadError> {
        Ok(match levels {
            0 => NewKey::Own(self.address(request, key)?),
            _ => NewKey::Working { key, factor: self.subject.factor() },
        })
    }

    fn write_key(
        &self,
        request: &StepRequest<'_>,
        control: KeyRef,
        new: NewKey<'_>,
        layout: KeyLayout,
    ) -> Result<CommandBytes, DownloadError> {
        let control = self.address(request, control)?;
        Ok(self.vault.write_key(&WriteKeyJob { control, new, layout, iv: request.iv })?)
    }

    /// The command that brings content, or a block of it, as the step's file wants it.
    fn write(&self, request: &StepRequest<'_>, new: &NewContent) -> Result<CommandBytes, DownloadError> {
        let code;
        let data = match &new.content {
            Content::AuthenticationCode => {
                only_data(request, "a step without data: the centre makes the authentication code")?;
                code = self.authentication_code(request)?;
                &code[..]
            }
            content => {
                self.check(request, content)?;
                request.data
            }
        };
        let header = new.header(request.block).ok_or_else(|| {
            wrong(request, "a block of a file of bytes", format!("block {:?}", request.block))
        })?;
        let Some(key) = new.key else {
            let [cla, ins, p1, p2] = header;
            return encoded(request, &Command::write(cla, ins, p1, p2, data, None));
        };
        let secrecy = match new.protection {
            Protection::EncipheredMac => Secrecy::Enciphered(self.switches(request).padding()),
            Protection::Plain | Protection::Mac => Secrecy::Clear,
        };
        let key = self.address(request, key)?;
        Ok(self.vault.secure_message(&SecureMessage { key, iv: request.iv, header, data, secrecy })?)
    }

    /// Holds data of a line against what the centre knows of the content: the bytes that all cards share, and the
    /// numbers of the card.
    fn check(&self, request: &StepRequest<'_>, content: &Content) -> Result<(), DownloadError> {
        let data = request.data;
        if data.is_empty() || data.len() > BLOCK_LEN {
            return Err(wrong(request, "1 to 208 data bytes", format!("{} bytes", data.len())));
        }
        let fits = match (content, self.subject) {
            (Content::Bytes(bytes), _) => {
                let at = usize::from(request.block.unwrap_or_default());
                let wanted = match request.block {
                    Some(_) => bytes.chunks(BLOCK_LEN).nth(at),
                    None => Some(&bytes[..]),
                };
                wanted == Some(data)
            }
            (Content::PublicData, Subject::Card { asn, factor, .. }) => {
                let public = PublicData::from_bytes(self.profile.layout, data);
                public.is_some_and(|public| (public.asn, public.factor()) == (*asn, *factor))
            }
            (Content::SamCardData, Subject::Sam { serial, .. }) => {
                SamCardData::from_bytes(data).is_some_and(|data| data.serial == *serial)
            }
            _ => true,
        };
        if fits {
            Ok(())
        } else {
            Err(wrong(request, "the data of this card's profile and number", "others".to_owned()))
        }
    }

    /// The code that the issuer makes for this card ([`ykt_purse::auth_code`]).
    fn authentication_code(&self, request: &StepRequest<'_>) -> Result<Vec<u8>, DownloadError> {
        let Subject::Card { asn, .. } = self.subject else {
            return Err(wrong(
                request,
                "a user card, which has an authentication code",
                "another".to_owned(),
            ));
        };
        let key = KeyRef::new(KeyKind::AuthenticationCode, 1, 1);
        let sign = |signed: &[u8]| self.vault.sm_mac(&KeyAddress::Shared(key), [0; 8], &[signed]);
        Ok(AuthenticationCode::signed(key.version, asn, sign)?.to_bytes().to_vec())
    }

    fn address(&self, request: &StepRequest<'_>, key: KeyRef) -> Result<KeyAddress, DownloadError> {
        self.subject.address(key).ok_or_else(|| {
            wrong(request, "a bank card of this card", format!("none of number {}", key.index))
        })
    }
}

fn wrong(request: &StepRequest<'_>, expected: &'static str, found: String) -> DownloadError {
    DownloadError::Request { step: request.step, expected, found }
}

fn only_challenge(request: &StepRequest<'_>) -> Result<(), DownloadError> {
    only_data(request, "a challenge without data")
}

fn only_data(request: &StepRequest<'_>, expected: &'static str) -> Result<(), DownloadError> {
    match request.data.len() {
        0 => Ok(()),
        len => Err(wrong(request, expected, format!("{len} data bytes"))),
    }
}

fn pin(request: &StepRequest<'_>) -> Result<Pin, DownloadError> {
    let len = request.data.len();
    Pin::from_bytes(request.data)
        .ok_or_else(|| wrong(request, "a PIN of 2 to 6 bytes", format!("{len} bytes")))
}

fn encoded(request: &StepRequest<'_>, command: &Command<'_>) -> Result<CommandBytes, DownloadError> {
    let mut buffer = [0; COMMAND_LEN_MAX];
    let bytes = CommandBytes::from_parts(&[command.encode(&mut buffer)]);
    bytes.ok_or_else(|| wrong(request, "data of one command", format!("{} bytes", request.data.len())))
}
