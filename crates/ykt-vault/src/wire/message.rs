//! What goes to a vault in another process, and what comes back.
//!
//! A [`Question`] changes nothing and may be asked again at will. An [`Order`] changes the vault; it carries a number
//! of its sender's, so that one whose answer was lost can be sent again and is done once.

use super::codec::{wire_enums, wire_structs};
use crate::error::VaultError;
use crate::kind::{KeyKind, KeyState};
use crate::manage::{ImportedKey, KeyManagement, KeyPlace, WrappedKey};
use crate::value::KeyAlgorithm;
use crate::vault::{
    KeyAddress, KeyInfo, KeyLayout, KeyRef, LoadSession, MacVerdict, NewKey, PresetJob, Secrecy,
    SecureMessage, TacJob, TacVerdict, VaultStatus, WriteKeyJob,
};
use core::fmt;
use std::borrow::Cow;
use std::collections::BTreeSet;
use ykt_base::{DateTime, IssuerFactor, KeyIndex, Mac4, Rng};
use ykt_crypto::sm::CommandBytes;
use ykt_purse::PurseFen;
use ykt_purse::load::Load;
use ykt_purse::write_key::Pin;

/// What is sent to a vault.
pub enum Message<'a> {
    /// Asks for a name under which orders can be numbered.
    Begin,
    /// A question.
    Ask(Question<'a>),
    /// An order.
    Manage(OrderId, Order),
}

/// Whose order, and which of his.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderId {
    /// The name [`Message::Begin`] gave.
    pub sender: [u8; 16],
    /// Counted by the sender.
    pub number: u64,
}

/// What is asked of a vault without changing it.
pub enum Question<'a> {
    Status,
    Capabilities,
    List,
    Kcv(KeyAddress),
    WriteKey { control: KeyAddress, new: New<'a>, layout: KeyLayout, iv: [u8; 8] },
    Preset(PresetJob),
    ExternalAuthenticate { key: KeyAddress, challenge: [u8; 8] },
    SmMac { key: KeyAddress, iv: [u8; 8], data: Cow<'a, [u8]> },
    SecureMessage { key: KeyAddress, iv: [u8; 8], header: [u8; 4], data: Cow<'a, [u8]>, secrecy: Secrecy },
    CheckLoadMac1 { session: LoadSession, load: Load, balance: PurseFen, mac1: Mac4 },
    LoadMac2 { session: LoadSession, load: Load, at: DateTime },
    VerifyTacs(Cow<'a, [TacJob]>),
    Wrap { place: KeyPlace, transport: KeyRef },
}

/// [`NewKey`], which may own its PIN.
pub enum New<'a> {
    Own(KeyAddress),
    Working { key: KeyRef, factor: IssuerFactor },
    Pin(Cow<'a, Pin>),
}

/// What changes a vault.
pub enum Order {
    Generate { place: KeyPlace, algorithm: KeyAlgorithm },
    Import(ImportedKey),
    DeriveRoot { seed: KeyRef, key: KeyRef },
    ChangeState { place: KeyPlace, to: KeyState },
    ImportWrapped { wrapped: WrappedKey, transport: KeyRef },
    ImportAllWrapped { wrapped: Vec<WrappedKey>, transport: KeyRef },
}

/// What a vault answers.
pub enum Answer {
    /// It refuses, and says why.
    Refused(VaultError),
    /// The message was not understood.
    NotUnderstood(String),
    /// The name for orders.
    Begun([u8; 16]),
    Status(VaultStatus),
    Capabilities(Vec<KeyAlgorithm>),
    List(Vec<KeyInfo>),
    Key(KeyInfo),
    Kcv([u8; 3]),
    Command(CommandBytes),
    Block([u8; 8]),
    Mac(Mac4),
    Verdict(MacVerdict),
    Verdicts(Vec<TacVerdict>),
    Wrapped(WrappedKey),
    Done,
    /// It refuses all of a list for the entry at this position.
    RefusedAt(u32, VaultError),
}

wire_structs! {
    OrderId { sender, number }
}

wire_enums! {
    Message<'a> = "a message" { 0 Begin; 1 Ask(question); 2 Manage(id, order); }
    Question<'a> = "a question" {
        0 Status;
        1 Capabilities;
        2 List;
        3 Kcv(key);
        4 WriteKey { control, new, layout, iv };
        5 Preset(job);
        6 ExternalAuthenticate { key, challenge };
        7 SmMac { key, iv, data };
        8 SecureMessage { key, iv, header, data, secrecy };
        9 CheckLoadMac1 { session, load, balance, mac1 };
        10 LoadMac2 { session, load, at };
        11 VerifyTacs(jobs);
        12 Wrap { place, transport };
    }
    New<'a> = "a new key" { 0 Own(address); 1 Working { key, factor }; 2 Pin(pin); }
    Order = "an order" {
        0 Generate { place, algorithm };
        1 Import(key);
        2 DeriveRoot { seed, key };
        3 ChangeState { place, to };
        4 ImportWrapped { wrapped, transport };
        5 ImportAllWrapped { wrapped, transport };
    }
    Answer = "an answer" {
        0 Refused(why);
        1 NotUnderstood(why);
        2 Begun(sender);
        3 Status(status);
        4 Capabilities(algorithms);
        5 List(keys);
        6 Key(key);
        7 Kcv(kcv);
        8 Command(command);
        9 Block(block);
        10 Mac(mac);
        11 Verdict(verdict);
        12 Verdicts(verdicts);
        13 Wrapped(wrapped);
        14 Done;
        15 RefusedAt(position, why);
    }
}

impl<'a> From<&'a WriteKeyJob<'a>> for Question<'a> {
    fn from(job: &'a WriteKeyJob<'a>) -> Question<'a> {
        let new = match &job.new {
            NewKey::Own(address) => New::Own(*address),
            NewKey::Working { key, factor } => New::Working { key: *key, factor: *factor },
            NewKey::Pin(pin) => New::Pin(Cow::Borrowed(pin)),
        };
        Question::WriteKey { control: job.control, new, layout: job.layout, iv: job.iv }
    }
}

impl<'a> From<&'a SecureMessage<'a>> for Question<'a> {
    fn from(message: &'a SecureMessage<'a>) -> Question<'a> {
        let SecureMessage { key, iv, header, data, secrecy } = *message;
        Question::SecureMessage { key, iv, header, data: Cow::Borrowed(data), secrecy }
    }
}

impl Question<'_> {
    /// Asks the vault.
    pub fn ask(&self, vault: &dyn KeyManagement) -> Answer {
        self.answer(vault).unwrap_or_else(Answer::Refused)
    }

    fn answer(&self, vault: &dyn KeyManagement) -> Result<Answer, VaultError> {
        Ok(match self {
            Question::Status => Answer::Status(vault.status()),
            Question::Capabilities => Answer::Capabilities(vault.capabilities()),
            Question::List => Answer::List(vault.list()?),
            Question::Kcv(key) => Answer::Kcv(vault.kcv(key)?),
            Question::WriteKey { control, new, layout, iv } => {
                let new = match new {
                    New::Own(address) => NewKey::Own(*address),
                    New::Working { key, factor } => NewKey::Working { key: *key, factor: *factor },
                    New::Pin(pin) => NewKey::Pin(pin),
                };
                let job = WriteKeyJob { control: *control, new, layout: *layout, iv: *iv };
                Answer::Command(vault.write_key(&job)?)
            }
            Question::Preset(job) => Answer::Command(vault.preset(job)?),
            Question::ExternalAuthenticate { key, challenge } => {
                Answer::Block(vault.external_authenticate(key, *challenge)?)
            }
            Question::SmMac { key, iv, data } => Answer::Mac(vault.sm_mac(key, *iv, &[data])?),
            Question::SecureMessage { key, iv, header, data, secrecy } => {
                let message = SecureMessage { key: *key, iv: *iv, header: *header, data, secrecy: *secrecy };
                Answer::Command(vault.secure_message(&message)?)
            }
            Question::CheckLoadMac1 { session, load, balance, mac1 } => {
                Answer::Verdict(vault.check_load_mac1(session, load, *balance, mac1)?)
            }
            Question::LoadMac2 { session, load, at } => Answer::Mac(vault.load_mac2(session, load, *at)?),
            Question::VerifyTacs(jobs) => Answer::Verdicts(vault.verify_tacs(jobs)?),
            Question::Wrap { place, transport } => Answer::Wrapped(vault.wrap(place, *transport)?),
        })
    }
}

/// For the log of whoever serves: which key, never its value.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Generate { place, algorithm } => write!(f, "generate the {place}, {algorithm}"),
            Order::Import(imported) => write!(f, "import the {}", imported.place),
            Order::DeriveRoot { seed, key } => write!(f, "derive the {key} from the {seed}"),
            Order::ChangeState { place, to } => write!(f, "the {place} becomes {to}"),
            Order::ImportWrapped { wrapped, .. } => write!(f, "import the {}, wrapped", wrapped.place),
            Order::ImportAllWrapped { wrapped, .. } => write!(f, "import {} keys, wrapped", wrapped.len()),
        }
    }
}

impl Order {
    /// Which keys it touches: those of a kind and index, since activating one retires another.
    pub fn families(&self) -> BTreeSet<(KeyKind, KeyIndex)> {
        let of = |key: KeyRef| (key.kind, key.index);
        match self {
            Order::Generate { place, .. } | Order::ChangeState { place, .. } => [of(place.key)].into(),
            Order::Import(imported) => [of(imported.place.key)].into(),
            Order::DeriveRoot { key, .. } => [of(*key)].into(),
            Order::ImportWrapped { wrapped, .. } => [of(wrapped.place.key)].into(),
            Order::ImportAllWrapped { wrapped, .. } => wrapped.iter().map(|key| of(key.place.key)).collect(),
        }
    }

    /// Lets the vault do it, with the random numbers of the vault's side.
    pub fn carry_out(self, vault: &dyn KeyManagement, rng: &mut dyn Rng) -> Answer {
        let done = match self {
            Order::Generate { place, algorithm } => vault.generate(place, algorithm, rng).map(Answer::Key),
            Order::Import(key) => vault.import(key).map(Answer::Key),
            Order::DeriveRoot { seed, key } => vault.derive_root(seed, key).map(Answer::Key),
            Order::ChangeState { place, to } => vault.change_state(&place, to).map(|()| Answer::Done),
            Order::ImportWrapped { wrapped, transport } => {
                vault.import_wrapped(&wrapped, transport).map(Answer::Key)
            }
            Order::ImportAllWrapped { wrapped, transport } => {
                let wrapped: Vec<_> = wrapped.iter().collect();
                match vault.import_all_wrapped(&wrapped, transport, &mut |_, _| ()) {
                    Ok(taken) => Ok(Answer::List(taken)),
                    Err((at, why)) => Ok(Answer::RefusedAt(u32::try_from(at).unwrap_or(u32::MAX), why)),
                }
            }
        };
        done.unwrap_or_else(Answer::Refused)
    }
}
