//! The key card (母卡, `keys-and-ca.md` 4): it makes ready WRITE KEY commands for other cards and counts those cards.
//!
//! It is initialised like a PSAM: files, master and maintenance key. Then come the keys it derives from, the
//! operator's PIN, the attributes (EF 0017) and the issue record (EF 0018), both written with a MAC.

mod issue;
mod load;

use crate::answer::Outcome;
use crate::card::Card;
use crate::command::{CardCommand, Form, Parse, Wanted};
use crate::image::CardKind;
use crate::memory::Memory;
use crate::security::Secured;
use crate::session::Carried;
use ykt_purse::key_card::{BeginCard, DeriveCardKey, EndCard, KeyCardInfo};

/// Commands of a key card.
pub(crate) enum KeyCardCommand<'a> {
    WriteKey(Secured<'a>),
    BeginCard(BeginCard),
    DeriveCardKey(DeriveCardKey, Wanted),
    EndCard,
    Info(Wanted),
}

const fn form(name: &'static str, cla: u8, ins: u8, parse: Parse) -> Form {
    Form { name, cla, ins, p1: None, kinds: &[CardKind::KeyCard], parse }
}

/// Their rows of the command table.
pub(crate) const FORMS: &[Form] = &[
    form("WRITE KEY", 0x84, 0xD4, |c| Ok(KeyCardCommand::WriteKey(load::parse(c)?).into())),
    form("BEGIN CARD", 0x80, 0x74, |c| Ok(KeyCardCommand::BeginCard(BeginCard::parse(c)?).into())),
    form("DERIVE CARD KEY", 0x80, 0x76, |c| {
        Ok(KeyCardCommand::DeriveCardKey(DeriveCardKey::parse(c)?, Wanted(c.le)).into())
    }),
    form("END CARD", 0x80, 0x78, |c| EndCard::parse(c).map(|_| KeyCardCommand::EndCard.into())),
    form("GET KEY CARD INFO", 0x80, 0x7A, |c| {
        KeyCardInfo::parse_command(c).map(|()| KeyCardCommand::Info(Wanted(c.le)).into())
    }),
];

impl<'a> From<KeyCardCommand<'a>> for CardCommand<'a> {
    fn from(command: KeyCardCommand<'a>) -> CardCommand<'a> {
        CardCommand::KeyCard(command)
    }
}

impl KeyCardCommand<'_> {
    /// Length of the answer when the command alone decides it.
    pub(crate) const fn answer_len(&self) -> Option<usize> {
        match self {
            KeyCardCommand::WriteKey(_) | KeyCardCommand::EndCard => Some(0),
            KeyCardCommand::BeginCard(_) => Some(BeginCard::ANSWER_LEN),
            KeyCardCommand::DeriveCardKey(..) | KeyCardCommand::Info(_) => None,
        }
    }
}

impl<M: Memory> Card<M> {
    #[inline(never)]
    pub(crate) fn execute_key_card(&mut self, command: KeyCardCommand<'_>, carried: &mut Carried) -> Outcome {
        match command {
            KeyCardCommand::WriteKey(secured) => self.write_key_card_key(&secured, carried.challenge),
            KeyCardCommand::BeginCard(begin) => self.begin_card(begin),
            KeyCardCommand::DeriveCardKey(derive, wanted) => self.derive_card_key(&derive, wanted),
            KeyCardCommand::EndCard => self.end_card(),
            KeyCardCommand::Info(wanted) => self.key_card_info(wanted),
        }
    }
}
