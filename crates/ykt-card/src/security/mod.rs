//! Security (`epurse.md` 2, 2.1, 3.1): keys with their tries, challenges, authentication, PIN, secure messaging,
//! and the loading of keys.

mod authenticate;
mod keys;
mod messaging;
mod write_key;

pub use keys::KEY_SLOT_LEN;
pub(crate) use keys::{
    Check, CountedKey, KeyAttributes, KeyName, KeySlot, NewKey, Tries, key, key_file, key_slots,
};
pub(crate) use messaging::{Content, MessageClass, Secured};
pub(crate) use write_key::{material_of, pin_material};

use crate::answer::Outcome;
use crate::card::Card;
use crate::command::{CardCommand, Form};
use crate::image::CardKind;
use crate::memory::Memory;
use crate::session::Carried;
use authenticate::{ChallengeLength, ExternalAuthenticate, Verify};
use write_key::WriteKey;
use ykt_base::{Command, Rng, StatusWord};

/// Commands that prove keys and PINs, and those that load them.
pub(crate) enum SecurityCommand<'a> {
    GetChallenge(ChallengeLength),
    ExternalAuthenticate(ExternalAuthenticate),
    Verify(Verify),
    WriteKey(WriteKey<'a>),
}

const fn form(
    name: &'static str,
    cla: u8,
    ins: u8,
    kinds: &'static [CardKind],
    parse: for<'a> fn(&Command<'a>) -> Result<CardCommand<'a>, StatusWord>,
) -> Form {
    Form { name, cla, ins, p1: None, kinds, parse }
}

/// Their rows of the command table.
pub(crate) const FORMS: &[Form] = &[
    form("GET CHALLENGE", 0x00, 0x84, &CardKind::ALL, |c| {
        Ok(SecurityCommand::GetChallenge(ChallengeLength::parse(c)?).into())
    }),
    form("EXTERNAL AUTHENTICATE", 0x00, 0x82, &CardKind::ALL, |c| {
        Ok(SecurityCommand::ExternalAuthenticate(ExternalAuthenticate::parse(c)?).into())
    }),
    form("VERIFY", 0x00, 0x20, &CardKind::ALL, |c| Ok(SecurityCommand::Verify(Verify::parse(c)?).into())),
    form("WRITE KEY", 0x80, 0xD4, &[CardKind::User], |c| {
        Ok(SecurityCommand::WriteKey(WriteKey::parse_by_id(c)?).into())
    }),
    form("WRITE KEY", 0x84, 0xD4, &[CardKind::User], |c| {
        Ok(SecurityCommand::WriteKey(WriteKey::parse_by_id(c)?).into())
    }),
    form("WRITE KEY", 0x84, 0xD4, &[CardKind::Psam], |c| {
        Ok(SecurityCommand::WriteKey(WriteKey::parse_by_usage(c)?).into())
    }),
];

impl<'a> From<SecurityCommand<'a>> for CardCommand<'a> {
    fn from(command: SecurityCommand<'a>) -> CardCommand<'a> {
        CardCommand::Security(command)
    }
}

impl SecurityCommand<'_> {
    /// Length of the answer when the command alone decides it.
    pub(crate) const fn answer_len(&self) -> Option<usize> {
        match self {
            SecurityCommand::GetChallenge(_) => None,
            SecurityCommand::ExternalAuthenticate(_)
            | SecurityCommand::Verify(_)
            | SecurityCommand::WriteKey(_) => Some(0),
        }
    }
}

impl<M: Memory> Card<M> {
    pub(crate) fn execute_security(
        &mut self,
        rng: &mut dyn Rng,
        command: SecurityCommand<'_>,
        carried: Carried,
    ) -> Outcome {
        let Carried { challenge, .. } = carried;
        match command {
            SecurityCommand::GetChallenge(len) => self.give_challenge(rng, len),
            SecurityCommand::ExternalAuthenticate(proof) => self.external_authenticate(proof, challenge),
            SecurityCommand::Verify(verify) => self.verify(verify),
            SecurityCommand::WriteKey(write) => self.write_key(write, challenge),
        }
    }
}
