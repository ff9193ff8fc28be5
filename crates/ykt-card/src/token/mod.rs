//! The token (`systems.md` E): SM2 key pairs made on the card, signatures with them, and the check of others'
//! signatures. Certificates are ordinary files.

mod key_pair;
mod sign;

pub(crate) use key_pair::{KEY_PAIR_LEN, public_key};
pub(crate) use sign::PendingDigest;

use crate::answer::Outcome;
use crate::card::Card;
use crate::command::{CardCommand, Form, Parse};
use crate::image::CardKind;
use crate::memory::Memory;
use crate::session::{Carried, Pending};
use ykt_base::{Command, Rng, StatusWord};
use ykt_crypto::sm2::PUBLIC_KEY_LEN;
use ykt_purse::token::{KeyPairCommand, SignCommand, VerifySignature};

/// Commands of a token.
pub(crate) enum TokenCommand<'a> {
    KeyPair(KeyPairCommand),
    Sign(SignCommand<'a>),
    Verify(VerifySignature<'a>),
}

const fn form(name: &'static str, (cla, ins, p1): (u8, u8, u8), parse: Parse) -> Form {
    Form { name, cla, ins, p1: Some(p1), kinds: &[CardKind::User], parse }
}

fn key_pair<'a>(command: &Command<'a>) -> Result<CardCommand<'a>, StatusWord> {
    KeyPairCommand::parse(command).map(|command| CardCommand::Token(TokenCommand::KeyPair(command)))
}

fn sign<'a>(command: &Command<'a>) -> Result<CardCommand<'a>, StatusWord> {
    SignCommand::parse(command).map(|command| CardCommand::Token(TokenCommand::Sign(command)))
}

fn verify<'a>(command: &Command<'a>) -> Result<CardCommand<'a>, StatusWord> {
    VerifySignature::parse(command).map(|command| CardCommand::Token(TokenCommand::Verify(command)))
}

/// Their rows of the command table.
pub(crate) const FORMS: &[Form] = &[
    form("GENERATE KEY PAIR", (0x00, 0x46, 0x80), key_pair),
    form("READ PUBLIC KEY", (0x00, 0x46, 0x81), key_pair),
    form("HASH", (0x80, 0x2A, 0x90), sign),
    form("HASH", (0x80, 0x2A, 0x91), sign),
    form("SIGN", (0x80, 0x2A, 0x9A), sign),
    form("SIGN", (0x80, 0x2A, 0x9B), sign),
    form("SIGN", (0x80, 0x2A, 0x9C), sign),
    form("VERIFY SIGNATURE", (0x80, 0x2A, 0xA8), verify),
];

impl TokenCommand<'_> {
    /// Length of the answer: every command of a token has one.
    pub(crate) const fn answer_len(&self) -> usize {
        match self {
            TokenCommand::KeyPair(_) => PUBLIC_KEY_LEN,
            TokenCommand::Sign(command) => command.answer_len(),
            TokenCommand::Verify(_) => 0,
        }
    }
}

impl<M: Memory> Card<M> {
    #[inline(never)]
    pub(crate) fn execute_token(
        &mut self,
        rng: &mut dyn Rng,
        command: TokenCommand<'_>,
        carried: &mut Carried,
    ) -> Outcome {
        let pending = match carried.pending.take() {
            Some(Pending::Digest(pending)) => Some(pending),
            _ => None,
        };
        match command {
            TokenCommand::KeyPair(KeyPairCommand::Generate(id)) => self.generate_key_pair(rng, id),
            TokenCommand::KeyPair(KeyPairCommand::ReadPublic(id)) => self.read_public_key(id),
            TokenCommand::Sign(command) => self.sign(rng, command, pending),
            TokenCommand::Verify(command) => sign::verify(&command),
        }
    }
}
