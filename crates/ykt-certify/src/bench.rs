//! The card under test: every command goes through here, is written down, and its answer is held against what the
//! step expects. The bench keeps books of its own on what the card has answered so far; a card that contradicts
//! them, or itself, is wrong.

mod books;
mod faults;
mod grey;
mod issuer;
mod money;
mod purse;
mod sam;
mod security;

pub use books::Holder;

use crate::action::{Action, KeyName, Step, is_pin};
use crate::plan::{CardSort, Settings};
use crate::template::{Masked, Pattern, Secrecy, Template, Value, Values};
use crate::words::{Text, Words};
use books::{Books, SamBooks};
use purse::Begun;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use ykt_base::hex::Hex;
use ykt_base::{CardChannel, ChannelError, Command, DateTime, Response, StatusWord, TerminalId};
use ykt_purse::Purse;
use ykt_purse::command;
use ykt_purse::files::{
    PUBLIC_DATA_LEN, PUBLIC_DATA_SFI, SAM_APPLICATION_DATA_LEN, SAM_APPLICATION_SFI, SAM_CARD_DATA_LEN,
    SAM_SERIAL_SFI, SamApplicationData, SamCardData, TERMINAL_ID_SFI,
};
use ykt_vault::DeskKeys;

/// Names that have a value before the first step of a case.
pub const VALUES: &[&str] = &[
    "application",
    "terminal",
    "at",
    "index",
    "pin_id",
    "pin",
    "wrong_pin",
    "other_pin",
    "asn",
    "challenge",
];

/// Exchanges that a report keeps of one case.
const DIALOGUE_LEN_MAX: usize = 400;

/// One command and its answer, as a report shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// What it was.
    pub title: String,
    /// The command in hex, `**` for secret bytes; nothing for a reset.
    pub command: String,
    /// Data and status word in hex; `None` when no answer came.
    pub answer: Option<String>,
}

/// Why a step did not go as written.
#[derive(Debug, Clone)]
pub enum Stop {
    /// The card did another thing than expected.
    Wrong(Finding),
    /// The step cannot be done with this card or these keys.
    Unable(Text),
    /// No answer came.
    Silent(ChannelError),
}

/// What was expected, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub subject: Text,
    /// Expected.
    pub expected: String,
    /// Found.
    pub found: String,
}

impl Finding {
    pub(crate) fn new(
        subject: (&str, &str),
        expected: impl std::fmt::Display,
        found: impl std::fmt::Display,
    ) -> Finding {
        let (en, zh) = subject;
        Finding { subject: Text::new(en, zh), expected: expected.to_string(), found: found.to_string() }
    }
}

impl From<Finding> for Stop {
    fn from(finding: Finding) -> Stop {
        Stop::Wrong(finding)
    }
}

/// What a run knows of the card beforehand.
pub struct Desk<'a> {
    /// The keys.
    pub keys: &'a DeskKeys,
    /// What the plan takes for granted.
    pub settings: &'a Settings,
    /// Its secret parameters.
    pub secrets: &'a Values,
    /// What sort of card it is.
    pub card: CardSort,
    /// Date and time of transactions.
    pub at: DateTime,
    /// Keys whose right use the card has refused.
    pub doubts: Doubts,
}

/// How often in a row the card has refused each key, rightly used. A key file of another city must not lock a card:
/// after two refusals a key is not tried again, and after one not wrongly on purpose.
#[derive(Debug, Default)]
pub struct Doubts(RefCell<BTreeMap<KeyName, u8>>);

/// Refusals in a row after which a key is not tried again: cards give three tries and more.
const REFUSALS_MAX: u8 = 2;

/// Whether a key or PIN is used as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Usage {
    Right,
    WrongOnPurpose,
}

impl From<bool> for Usage {
    fn from(is_right: bool) -> Usage {
        if is_right { Usage::Right } else { Usage::WrongOnPurpose }
    }
}

impl Doubts {
    /// # Errors
    /// [`Stop::Unable`] when the card may lock the key.
    fn admit(&self, key: KeyName, usage: Usage) -> Result<(), Stop> {
        let refused = self.0.borrow().get(&key).copied().unwrap_or(0);
        let most = if usage == Usage::Right { REFUSALS_MAX } else { 1 };
        if refused < most {
            return Ok(());
        }
        let name = key.name();
        let en = format!(
            "the card has refused the {name} of the key file: not tried again, so that it is not locked"
        );
        Err(Stop::Unable(Text::new(en, format!("卡片拒绝了密钥文件中的 {name}，为免锁定不再尝试"))))
    }

    fn note(&self, key: KeyName, usage: Usage, sw: StatusWord) {
        let mut doubts = self.0.borrow_mut();
        let refused = doubts.entry(key).or_default();
        match (usage, sw.0) {
            (Usage::Right, 0x9000) => *refused = 0,
            (Usage::Right, 0x63C0..=0x63CF | 0x6983 | 0x6988 | 0x9302) => {
                *refused = refused.saturating_add(1)
            }
            _ => {}
        }
    }
}

/// The card under test during one case.
pub struct Bench<'a> {
    channel: &'a mut dyn CardChannel,
    desk: &'a Desk<'a>,
    /// Whose card it is.
    holder: Holder,
    features: &'a BTreeSet<String>,
    values: Values,
    dialogue: Vec<Exchange>,
    /// The command before, with its title.
    last: Option<(String, Masked)>,
    challenges: Vec<Vec<u8>>,
    books: Books,
    /// Transactions begun in this case, newest last.
    begun: Vec<Begun>,
    /// Status word of the command before.
    last_sw: StatusWord,
    sequence: u32,
    sam: SamBooks,
}

impl<'a> Bench<'a> {
    /// A bench for a card of this holder.
    pub fn new(
        channel: &'a mut dyn CardChannel,
        desk: &'a Desk<'a>,
        holder: Holder,
        features: &'a BTreeSet<String>,
    ) -> Bench<'a> {
        Bench {
            values: values(desk, &holder),
            channel,
            desk,
            holder,
            features,
            dialogue: Vec::new(),
            last: None,
            challenges: Vec::new(),
            books: Books::default(),
            begun: Vec::new(),
            last_sw: StatusWord::OK,
            sequence: 0,
            sam: SamBooks::default(),
        }
    }

    /// The dialogue so far.
    #[must_use]
    pub fn into_dialogue(self) -> Vec<Exchange> {
        self.dialogue
    }

    /// Does a step; the answer's status word, where the step has one.
    ///
    /// # Errors
    /// [`Stop`] when the card does another thing than the step says.
    pub fn step(&mut self, step: &Step) -> Result<Option<StatusWord>, Stop> {
        match &step.when {
            Some(need) if !need.is_met(self.features) => Ok(None),
            _ => self.act(&step.action).map(Some),
        }
    }

    fn act(&mut self, action: &Action) -> Result<StatusWord, Stop> {
        let purse = self.desk.settings.purse;
        let of = |name: &Option<crate::action::PurseName>| name.map_or(purse, Purse::from);
        match action {
            Action::Send { apdu, sw, answer } => {
                let command = self.fill(apdu)?;
                let title = title_of(command.as_bytes());
                if apdu.names().any(is_pin) {
                    let usage = Usage::from(apdu.names().all(|name| name != "wrong_pin"));
                    return self.prove(&title, command, sw, KeyName::Pin, usage).map(|answer| answer.sw());
                }
                self.ask(&title, command, sw, answer.as_ref())
            }
            Action::Again { sw } => {
                let last = self.last.clone().map(|(title, command)| (format!("{title}, again"), command));
                let (title, command) = last.unwrap_or_default();
                self.ask(&title, command, sw, None)
            }
            Action::Reset {} => self.reset().map(|()| StatusWord::OK),
            Action::Select { name, file, sw, answer } => {
                self.select(name.as_ref(), file.as_ref(), sw, answer.as_ref())
            }
            Action::Repeat { times, steps } => {
                for _ in 0..*times {
                    steps.iter().try_for_each(|step| self.step(step).map(drop))?;
                }
                Ok(StatusWord::OK)
            }
            Action::Challenge { len } => self.challenge(*len).map(|_| StatusWord::OK),
            Action::ExternalAuthenticate { key, id, fault, sw } => {
                self.external_authenticate(*key, *id, *fault, sw)
            }
            Action::InternalAuthenticate { key, id, sw } => self.internal_authenticate(*key, *id, sw),
            Action::Verify { pin, sw } => self.verify(*pin, sw),
            Action::ReloadPin { pin, fault, sw } => self.reload_pin(*pin, *fault, sw),
            Action::Secure { header, data, key, fault, sw, answer } => {
                self.secure(header, data, *key, *fault, sw, answer.as_ref())
            }
            Action::Fund { amount, purse } => self.fund(of(purse), *amount),
            Action::Drain { amount, purse } => self.drain(of(purse), *amount),
            Action::Initialize { transaction, amount, purse, index, sw } => {
                self.initialize(*transaction, of(purse), *amount, *index, sw)
            }
            Action::Credit { fault, sw } => self.credit(*fault, sw),
            Action::Debit { fault, sw } => self.debit(*fault, sw),
            Action::DebitForUnload { fault, sw } => self.debit_for_unload(*fault, sw),
            Action::UpdateOverdraft { limit, fault, sw } => self.update_overdraft(*limit, *fault, sw),
            Action::GreyLock { fault, sw } => self.grey_lock(*fault, sw),
            Action::DebitForUnlock { amount, purse, fault, sw } => {
                self.debit_for_unlock(*amount, of(purse), *fault, sw)
            }
            Action::GreyUnlock { amount, fault, sw } => self.grey_unlock(*amount, *fault, sw),
            Action::LockProof { form, purse } => self.lock_proof(of(purse), *form),
            Action::Balance { purse, sw } => self.balance(of(purse), sw),
            Action::Log { purse } => self.log(of(purse)),
            Action::Proof { purse, counter, sw } => self.proof(of(purse), *counter, sw),
            Action::Books { purse } => self.all_books(of(purse)),
            Action::UseUp { counter } => self.use_up(purse, *counter),
            Action::SamInitialize { amount, version, algorithm, sw } => {
                self.sam_initialize(*amount, *version, *algorithm, sw)
            }
            Action::SamCredit { fault, sw } => self.sam_credit(*fault, sw),
            Action::SamLock { sw } => self.sam_lock(sw),
            Action::SamCertify { fault, sw } => self.sam_certify(*fault, sw),
            Action::SamGmac { amount, sw } => self.sam_gmac(*amount, sw),
            Action::SamSequence {} => self.sam_sequence(),
            Action::DeliverKey { usage, key, version, sw } => self.deliver_key(*usage, *key, *version, sw),
            Action::Cipher { mode, data, sw } => self.cipher(*mode, data, sw),
        }
    }

    /// Power off and on, then the application of the plan.
    ///
    /// # Errors
    /// [`Stop`] when the card does not come back or has no such application.
    pub fn start(&mut self) -> Result<(), Stop> {
        self.reset()?;
        self.select(None, None, &Words::ok(), None).map(drop)
    }

    /// Whose card it is: from its public data. A card whose data cannot be read belongs to nobody known, and only
    /// finished keys without owner fit it.
    ///
    /// # Errors
    /// [`Stop`] when it does not answer, or has no such application.
    pub fn identify(&mut self) -> Result<Holder, Stop> {
        match self.desk.card {
            CardSort::M1 => self.reset().map(|()| Holder::unknown()),
            CardSort::Purse => {
                self.start()?;
                let public = self.read(PUBLIC_DATA_SFI, PUBLIC_DATA_LEN)?;
                let holder = public.and_then(|data| Holder::of_card(&data, self.desk.settings.factor));
                Ok(holder.unwrap_or_else(Holder::unknown))
            }
            CardSort::Psam => {
                self.reset()?;
                let serial = self.read(SAM_SERIAL_SFI, SAM_CARD_DATA_LEN)?;
                let terminal = self.read(TERMINAL_ID_SFI, TerminalId::LEN)?;
                self.select(None, None, &Words::ok(), None)?;
                let application = self.read(SAM_APPLICATION_SFI, SAM_APPLICATION_DATA_LEN)?;
                let holder = (|| {
                    let terminal = TerminalId::try_from(terminal?.as_slice()).ok()?;
                    let serial = SamCardData::from_bytes(&serial?)?;
                    let application = SamApplicationData::from_bytes(&application?)?;
                    Some(Holder::of_sam(&serial, &application, terminal, self.desk.settings.asn))
                })();
                Ok(holder.unwrap_or_else(Holder::unknown))
            }
        }
    }

    /// The first bytes of a file; `None` when the card does not give them.
    fn read(&mut self, sfi: u8, len: usize) -> Result<Option<Vec<u8>>, Stop> {
        let read = command::read_binary(sfi, 0, u16::try_from(len).unwrap_or(256));
        let response = self.transmit("READ BINARY", encoded(&read))?;
        Ok(response.sw().is_ok().then(|| response.data().to_vec()))
    }

    /// Power off and on.
    ///
    /// # Errors
    /// [`Stop`] when the card does not come back.
    pub fn reset(&mut self) -> Result<(), Stop> {
        let done = self.channel.reset();
        let answer = done.is_ok().then(String::new);
        self.note(Exchange { title: "reset".to_owned(), command: String::new(), answer });
        done.map_err(Stop::Silent)
    }

    fn select(
        &mut self,
        name: Option<&Template>,
        file: Option<&Template>,
        sw: &Words,
        answer: Option<&Pattern>,
    ) -> Result<StatusWord, Stop> {
        let target = match name.or(file) {
            Some(template) => self.fill(template)?.as_bytes().to_vec(),
            None if self.desk.settings.application.is_empty() => return Ok(StatusWord::OK),
            None => self.desk.settings.application.clone(),
        };
        let command = match <[u8; 2]>::try_from(target.as_slice()) {
            Ok(fid) if name.is_none() => encoded(&command::select_file(&fid)),
            _ => encoded(&command::select_name(&target)),
        };
        self.ask("SELECT", command, sw, answer)
    }

    fn fill(&self, template: &Template) -> Result<Masked, Stop> {
        template.fill(&self.values).map_err(|what| Stop::Unable(Text::new(what.clone(), what)))
    }

    fn keep(&mut self, name: &str, bytes: &[u8]) {
        let value = Value { bytes: bytes.to_vec(), secrecy: Secrecy::Open };
        self.values.insert(name.to_owned(), value);
    }

    /// Sends a command whose answer must be `sw`, and `answer` when that is 9000.
    fn ask(
        &mut self,
        title: &str,
        command: Masked,
        sw: &Words,
        answer: Option<&Pattern>,
    ) -> Result<StatusWord, Stop> {
        let response = self.demand(title, command, sw)?;
        if let Some(pattern) = answer.filter(|_| response.sw().is_ok()) {
            let fits = pattern.matches(response.data(), &mut self.values);
            if !fits.map_err(|what| Stop::Unable(Text::new(what.clone(), what)))? {
                return Err(Finding::new(ANSWER, pattern, Hex(response.data())).into());
            }
        }
        Ok(response.sw())
    }

    /// Sends a command whose status word must be one of `sw`.
    fn demand(&mut self, title: &str, command: Masked, sw: &Words) -> Result<Response, Stop> {
        expect(self.transmit(title, command)?, sw)
    }

    /// As [`Bench::demand`], for a command that proves a key; the card's tries are spared.
    fn prove(
        &mut self,
        title: &str,
        command: Masked,
        sw: &Words,
        key: KeyName,
        usage: Usage,
    ) -> Result<Response, Stop> {
        self.desk.doubts.admit(key, usage)?;
        let response = self.transmit(title, command)?;
        self.desk.doubts.note(key, usage, response.sw());
        expect(response, sw)
    }

    fn transmit(&mut self, title: &str, command: Masked) -> Result<Response, Stop> {
        let response = self.channel.transmit(command.as_bytes());
        let answer = response.as_ref().ok().map(|response| Hex(response.as_bytes()).to_string());
        self.note(Exchange { title: title.to_owned(), command: command.to_string(), answer });
        self.last = Some((title.to_owned(), command));
        self.last_sw = response.as_ref().map_or(StatusWord::NO_DIAGNOSIS, Response::sw);
        response.map_err(Stop::Silent)
    }

    fn note(&mut self, exchange: Exchange) {
        if self.dialogue.len() < DIALOGUE_LEN_MAX {
            self.dialogue.push(exchange);
        }
    }

    /// The key of a name, as this card holds it.
    fn key(&self, name: KeyName, index: u8, version: u8) -> Result<ykt_crypto::CardKey, Stop> {
        let key = name.kind().and_then(|kind| {
            self.desk.keys.key(&self.holder.address(ykt_vault::KeyRef::new(kind, index, version))).ok()
        });
        key.ok_or_else(|| lacks_key(name))
    }
}

fn expect(response: Response, sw: &Words) -> Result<Response, Stop> {
    if sw.accept(response.sw()) { Ok(response) } else { Err(Finding::new(STATUS, sw, response.sw()).into()) }
}

/// The step needs a key that nobody gave.
pub(crate) fn lacks_key(name: KeyName) -> Stop {
    let name = name.name();
    Stop::Unable(Text::new(
        format!("the key file has no {name} for this card"),
        format!("密钥文件中没有此卡的 {name}"),
    ))
}

const BALANCE: (&str, &str) = ("balance", "余额");
const ONLINE: (&str, &str) = ("online counter", "联机交易序号");
const OFFLINE: (&str, &str) = ("offline counter", "脱机交易序号");
const ANSWER: (&str, &str) = ("data of the answer", "响应数据");
const STATUS: (&str, &str) = ("status word", "状态字");

fn encoded(command: &Command<'_>) -> Masked {
    Masked::open(command.encode(&mut [0; ykt_base::apdu::COMMAND_LEN_MAX]))
}

/// The books must agree with what the card says; what they did not know they learn.
fn agree<T: Copy + PartialEq + std::fmt::Display>(
    subject: (&str, &str),
    known: &mut Option<T>,
    found: T,
) -> Result<(), Finding> {
    match *known {
        Some(expected) => same(subject, expected, found),
        None => {
            *known = Some(found);
            Ok(())
        }
    }
}

fn same<T: PartialEq + std::fmt::Display>(
    subject: (&str, &str),
    expected: T,
    found: T,
) -> Result<(), Finding> {
    if expected == found { Ok(()) } else { Err(Finding::new(subject, expected, found)) }
}

/// The name of a command that a plan wrote in bytes.
fn title_of(command: &[u8]) -> String {
    let name = match command {
        [0x00, 0xA4, ..] => "SELECT",
        [0x00 | 0x04, 0xB0, ..] => "READ BINARY",
        [0x00 | 0x04 | 0x84, 0xD6, ..] => "UPDATE BINARY",
        [0x00 | 0x04, 0xB2, ..] => "READ RECORD",
        [0x00 | 0x04 | 0x84, 0xDC, ..] => "UPDATE RECORD",
        [0x80, 0xDC, ..] => "UPDATE CAPP DATA CACHE",
        [0x00 | 0x04, 0xE2, ..] => "APPEND RECORD",
        [0x00, 0x84, ..] => "GET CHALLENGE",
        [0x00, 0x82, ..] => "EXTERNAL AUTHENTICATE",
        [0x00, 0x88, ..] => "INTERNAL AUTHENTICATE",
        [0x00, 0x20, ..] => "VERIFY",
        [0x80, 0x50, ..] => "INITIALIZE",
        [0x80, 0x52, ..] => "CREDIT FOR LOAD",
        [0x80, 0x54, ..] => "DEBIT",
        [0x80, 0x58, ..] => "UPDATE OVERDRAW LIMIT",
        [0xE0, 0x7A, 0x08, ..] => "INITIALIZE FOR GREY LOCK",
        [0xE0, 0x7A, ..] => "INITIALIZE FOR GREY UNLOCK",
        [0xE0, 0x7C, ..] => "GREY LOCK",
        [0xE0, 0x7E, 0x08, ..] => "DEBIT FOR UNLOCK",
        [0xE0, 0x7E, ..] => "GREY UNLOCK",
        [0xE0, 0xCA, ..] => "GET LOCK PROOF",
        [0x80, 0x5A, ..] => "GET TRANSACTION PROVE",
        [0x80, 0x5C, ..] => "GET BALANCE",
        [0x80, 0x5E, 0x01, ..] => "CHANGE PIN",
        [0x80, 0x5E, ..] => "RELOAD PIN",
        [0x84, 0x24, ..] => "PIN UNBLOCK",
        [0x84, 0x1E, ..] => "APPLICATION BLOCK",
        [0x84, 0x18, ..] => "APPLICATION UNBLOCK",
        [0x84, 0x16, ..] => "CARD BLOCK",
        [0x80, 0x70, ..] => "INIT SAM FOR PURCHASE",
        [0x80, 0x72, ..] => "CREDIT SAM",
        [0xE0, 0x40, ..] => "INIT SAM GREY LOCK",
        [0xE0, 0x42, ..] => "CERTIFY SAM GREY LOCK",
        [0xE0, 0x44, ..] => "CALCULATE GMAC",
        [0x80, 0x1A, ..] => "DELIVERY KEY",
        [0x80, 0xFA, ..] => "CIPHER DATA",
        [0x80 | 0x84, 0xD4, ..] => "WRITE KEY",
        [0x80, 0xE0, ..] => "CREATE FILE",
        [0xFF, 0xCA, ..] => "UID",
        [0xFF, 0x82, ..] => "LOAD KEY",
        [0xFF, 0x86, ..] => "GENERAL AUTHENTICATE",
        [0xFF, 0xB0, ..] => "READ BLOCK",
        [0xFF, 0xB1, ..] => "READ VALUE",
        [0xFF, 0xD6, ..] => "UPDATE BLOCK",
        [0xFF, 0xD7, ..] => "VALUE BLOCK",
        _ => "command",
    };
    name.to_owned()
}

fn values(desk: &Desk<'_>, holder: &Holder) -> Values {
    let settings = desk.settings;
    let mut values = desk.secrets.clone();
    let mut put = |name: &str, bytes: &[u8], secrecy| {
        values.insert(name.to_owned(), Value { bytes: bytes.to_vec(), secrecy });
    };
    put("application", &settings.application, Secrecy::Open);
    put("terminal", settings.terminal.as_bytes(), Secrecy::Open);
    put("at", &desk.at.to_bcd(), Secrecy::Open);
    put("index", &[settings.index], Secrecy::Open);
    put("pin_id", &[settings.pin_id], Secrecy::Open);
    put("asn", holder.asn(), Secrecy::Open);
    put("challenge", &[0; 8], Secrecy::Open);
    if let Some(pin) = desk.keys.pin() {
        put("pin", pin.as_bytes(), Secrecy::Secret);
        put("wrong_pin", &security::changed_pin(pin.as_bytes(), 1), Secrecy::Secret);
        put("other_pin", &security::changed_pin(pin.as_bytes(), 2), Secrecy::Secret);
    }
    values
}
