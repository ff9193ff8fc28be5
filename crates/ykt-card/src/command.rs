//! Bytes become a closed [`CardCommand`] here; nothing behind this sees P1, P2 or lengths. What is wrong gets its
//! status word in the order class, instruction, P1 P2, Lc, data, Le.
//!
//! Each family of commands has its own rows of the command table ([`Form`]), its own closed enum and its own way
//! to execute it; here they are only brought together.

use crate::bank::{self, BankCommand};
use crate::files::{self, FileCommand};
use crate::identity;
use crate::image::CardKind;
use crate::key_card::{self, KeyCardCommand};
use crate::psam::{self, SamCommand};
use crate::purse::{self, PurseCommand};
use crate::security::{self, SecurityCommand};
use crate::ticket::{self, TicketCommand};
use crate::token::{self, TokenCommand};
use ykt_base::apdu::RESPONSE_DATA_LEN_MAX;
use ykt_base::{Command, StatusWord};
use ykt_crypto::sm2::SIGNATURE_LEN;
use ykt_purse::identity::InternalAuthenticate;

/// Le: how long the terminal wants the answer (`epurse.md` 0: absent, 00 or exact).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted(pub(crate) Option<u16>);

impl Wanted {
    /// # Errors
    /// 6Cxx when another length than `len` is wanted.
    pub(crate) fn exact(self, len: usize) -> Result<(), StatusWord> {
        match self.stated() {
            Some(stated) if stated != len => Err(exact_length(len)),
            _ => Ok(()),
        }
    }

    /// The length wanted of an answer that may be shortened, `there` being what there is.
    ///
    /// # Errors
    /// 6Cxx when more is wanted.
    pub(crate) fn up_to(self, there: usize) -> Result<usize, StatusWord> {
        match self.stated() {
            Some(stated) if stated > there => Err(exact_length(there)),
            Some(stated) => Ok(stated),
            None => Ok(there.min(RESPONSE_DATA_LEN_MAX)),
        }
    }

    /// The length when it is stated: absent and 00 leave it to the card.
    fn stated(self) -> Option<usize> {
        self.0.map(usize::from).filter(|stated| *stated < RESPONSE_DATA_LEN_MAX)
    }
}

fn exact_length(len: usize) -> StatusWord {
    StatusWord::exact_length(u8::try_from(len).unwrap_or(0))
}

/// Reads a command whose header is known.
pub(crate) type Parse = for<'a> fn(&Command<'a>) -> Result<CardCommand<'a>, StatusWord>;

/// One form of a command: the header bytes that mean it, and the cards that know it.
pub struct Form {
    /// Name, as the standards and `docs/card-commands.md` write it.
    pub name: &'static str,
    /// Class byte.
    pub cla: u8,
    /// Instruction byte.
    pub ins: u8,
    /// P1, where it tells commands of one class and instruction apart.
    pub p1: Option<u8>,
    /// The kinds of card that know it.
    pub kinds: &'static [CardKind],
    pub(crate) parse: Parse,
}

impl Form {
    /// A form of a user card's application: class 80, whatever P1.
    pub(crate) const fn of_application(name: &'static str, ins: u8, parse: Parse) -> Form {
        Form { name, cla: 0x80, ins, p1: None, kinds: &[CardKind::User], parse }
    }
}

/// The command table: one slice for each family.
const FAMILIES: [&[Form]; 9] = [
    files::FORMS,
    security::FORMS,
    purse::FORMS,
    psam::FORMS,
    key_card::FORMS,
    ticket::FORMS,
    bank::FORMS,
    identity::FORMS,
    token::FORMS,
];

/// Every form of every command the card system knows.
pub fn forms() -> impl Iterator<Item = &'static Form> {
    FAMILIES.into_iter().flatten()
}

/// Every command, by family.
pub(crate) enum CardCommand<'a> {
    Files(FileCommand<'a>),
    Security(SecurityCommand<'a>),
    Purse(PurseCommand<'a>),
    Psam(SamCommand<'a>),
    KeyCard(KeyCardCommand<'a>),
    Ticket(TicketCommand<'a>),
    Bank(BankCommand),
    Identity(InternalAuthenticate<'a>),
    Token(TokenCommand<'a>),
}

impl<'a> CardCommand<'a> {
    /// Reads a command for a card of this kind.
    ///
    /// # Errors
    /// 6700 for bytes that are no APDU; 6E00, 6D00; then what the command's own layout says: 6A86, 6700, 6A80,
    /// 6987, 6Cxx.
    pub(crate) fn parse(kind: CardKind, apdu: &'a [u8]) -> Result<CardCommand<'a>, StatusWord> {
        let command = Command::parse(apdu).map_err(|_| StatusWord::WRONG_LENGTH)?;
        let parsed = (form(kind, &command)?.parse)(&command)?;
        if let Some(len) = parsed.answer_len() {
            Wanted(command.le).exact(len)?;
        }
        Ok(parsed)
    }

    /// Length of the answer when the command alone decides it; else its handler looks at Le.
    fn answer_len(&self) -> Option<usize> {
        match self {
            CardCommand::Files(command) => command.answer_len(),
            CardCommand::Security(command) => command.answer_len(),
            CardCommand::Purse(command) => command.answer_len(),
            CardCommand::Psam(command) => command.answer_len(),
            CardCommand::KeyCard(command) => command.answer_len(),
            CardCommand::Ticket(command) => command.answer_len(),
            CardCommand::Bank(command) => command.answer_len(),
            CardCommand::Identity(_) => Some(SIGNATURE_LEN),
            CardCommand::Token(command) => Some(command.answer_len()),
        }
    }
}

/// The form a header means to a card of this kind.
///
/// # Errors
/// 6E00 for a class no command has, or the instruction has not; 6D00 for an unknown instruction; 6A86 for a P1
/// that means nothing.
fn form(kind: CardKind, command: &Command<'_>) -> Result<&'static Form, StatusWord> {
    let mut why = StatusWord::UNKNOWN_INS;
    let mut is_class_known = false;
    for form in forms() {
        let is_class = form.cla == command.cla;
        is_class_known |= is_class;
        if form.ins != command.ins || !form.kinds.contains(&kind) {
            continue;
        }
        match (is_class, form.p1) {
            (true, None) => return Ok(form),
            (true, Some(p1)) if p1 == command.p1 => return Ok(form),
            (true, Some(_)) => why = StatusWord::WRONG_P1P2,
            (false, _) if why == StatusWord::UNKNOWN_INS => why = StatusWord::UNKNOWN_CLA,
            (false, _) => {}
        }
    }
    Err(if is_class_known { why } else { StatusWord::UNKNOWN_CLA })
}
