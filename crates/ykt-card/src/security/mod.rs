//! Security (`epurse.md` 2, 2.1, 3.1): keys with their tries, challenges, authentication, PIN, secure messaging,
//! blocking, and the loading of keys.

mod authenticate;
mod block;
mod info;
mod keys;
mod messaging;
mod pin;
mod write_key;

pub use keys::KEY_SLOT_LEN;
pub(crate) use keys::{
    Check, CountedKey, KeyAttributes, KeyName, KeySlot, NewKey, Tries, key, key_file, key_slots,
};
pub(crate) use messaging::{Content, MessageClass, Secured, protect};
pub(crate) use write_key::{material_of, pin_material};

use crate::answer::Outcome;
use crate::card::Card;
use crate::command::{CardCommand, Form, Parse};
use crate::files::nothing_but_its_header;
use crate::image::CardKind;
use crate::memory::Memory;
use crate::session::Carried;
use authenticate::{AUTHENTICATION_LEN, ChallengeLength, ExternalAuthenticate, InternalAuthenticate};
use block::Block;
use info::WriteHardInfo;
use pin::{UnblockPin, Verify};
use write_key::WriteKey;
use ykt_base::Rng;
use ykt_purse::hard_info;
use ykt_purse::pin::{ChangePin, ReloadPin};

/// Commands that prove keys and PINs, and those that load them.
pub(crate) enum SecurityCommand<'a> {
    GetChallenge(ChallengeLength),
    ExternalAuthenticate(ExternalAuthenticate),
    InternalAuthenticate(InternalAuthenticate),
    Verify(Verify),
    ChangePin(ChangePin),
    ReloadPin(ReloadPin),
    UnblockPin(UnblockPin<'a>),
    Block(Block<'a>),
    WriteHardInfo(WriteHardInfo<'a>),
    HardInfo,
    WriteKey(WriteKey<'a>),
}

const fn form(
    name: &'static str,
    (cla, ins, p1): (u8, u8, Option<u8>),
    kinds: &'static [CardKind],
    parse: Parse,
) -> Form {
    Form { name, cla, ins, p1, kinds, parse }
}

/// Cards with a PIN.
const WITH_PIN: &[CardKind] = &[CardKind::User, CardKind::KeyCard];
/// Cards that name all their keys by id.
const BY_ID: &[CardKind] = &[CardKind::User];

/// Their rows of the command table.
pub(crate) const FORMS: &[Form] = &[
    form("GET CHALLENGE", (0x00, 0x84, None), &CardKind::ALL, |c| {
        Ok(SecurityCommand::GetChallenge(ChallengeLength::parse(c)?).into())
    }),
    form("EXTERNAL AUTHENTICATE", (0x00, 0x82, None), &CardKind::ALL, |c| {
        Ok(SecurityCommand::ExternalAuthenticate(ExternalAuthenticate::parse(c)?).into())
    }),
    form("INTERNAL AUTHENTICATE", (0x00, 0x88, None), BY_ID, |c| {
        Ok(SecurityCommand::InternalAuthenticate(InternalAuthenticate::parse(c)?).into())
    }),
    form("VERIFY", (0x00, 0x20, None), &CardKind::ALL, |c| {
        Ok(SecurityCommand::Verify(Verify::parse(c)?).into())
    }),
    form("RELOAD PIN", (0x80, 0x5E, Some(0x00)), WITH_PIN, |c| {
        Ok(SecurityCommand::ReloadPin(ReloadPin::parse(c)?).into())
    }),
    form("CHANGE PIN", (0x80, 0x5E, Some(0x01)), WITH_PIN, |c| {
        Ok(SecurityCommand::ChangePin(ChangePin::parse(c)?).into())
    }),
    form("PIN UNBLOCK", (0x84, 0x24, None), WITH_PIN, |c| {
        Ok(SecurityCommand::UnblockPin(UnblockPin::parse(c)?).into())
    }),
    form("APPLICATION BLOCK", (0x84, 0x1E, None), &CardKind::ALL, |c| {
        Ok(SecurityCommand::Block(Block::parse_application(c)?).into())
    }),
    form("APPLICATION UNBLOCK", (0x84, 0x18, None), &CardKind::ALL, |c| {
        Ok(SecurityCommand::Block(Block::parse_application_unblock(c)?).into())
    }),
    form("CARD BLOCK", (0x84, 0x16, None), &CardKind::ALL, |c| {
        Ok(SecurityCommand::Block(Block::parse_card(c)?).into())
    }),
    form("WRITE HARD INFO", (0x84, 0xF4, None), &CardKind::ALL, |c| {
        Ok(SecurityCommand::WriteHardInfo(WriteHardInfo::parse(c)?).into())
    }),
    form("GET HARD INFO", (0x80, 0xF6, None), &CardKind::ALL, |c| {
        nothing_but_its_header(c)?;
        Ok(SecurityCommand::HardInfo.into())
    }),
    form("WRITE KEY", (0x80, 0xD4, None), BY_ID, |c| {
        Ok(SecurityCommand::WriteKey(WriteKey::parse_by_id(c)?).into())
    }),
    form("WRITE KEY", (0x84, 0xD4, None), BY_ID, |c| {
        Ok(SecurityCommand::WriteKey(WriteKey::parse_by_id(c)?).into())
    }),
    form("WRITE KEY", (0x84, 0xD4, None), &[CardKind::Psam], |c| {
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
            SecurityCommand::InternalAuthenticate(_) => Some(AUTHENTICATION_LEN),
            SecurityCommand::HardInfo => Some(hard_info::ANSWER_LEN),
            SecurityCommand::ExternalAuthenticate(_)
            | SecurityCommand::Verify(_)
            | SecurityCommand::ChangePin(_)
            | SecurityCommand::ReloadPin(_)
            | SecurityCommand::UnblockPin(_)
            | SecurityCommand::Block(_)
            | SecurityCommand::WriteHardInfo(_)
            | SecurityCommand::WriteKey(_) => Some(0),
        }
    }
}

impl<M: Memory> Card<M> {
    #[inline(never)]
    pub(crate) fn execute_security(
        &mut self,
        rng: &mut dyn Rng,
        command: SecurityCommand<'_>,
        carried: &mut Carried,
    ) -> Outcome {
        let challenge = carried.challenge;
        match command {
            SecurityCommand::GetChallenge(len) => self.give_challenge(rng, len),
            SecurityCommand::ExternalAuthenticate(proof) => self.external_authenticate(proof, challenge),
            SecurityCommand::InternalAuthenticate(proof) => self.internal_authenticate(proof),
            SecurityCommand::Verify(verify) => self.verify(verify),
            SecurityCommand::ChangePin(change) => self.change_pin(&change),
            SecurityCommand::ReloadPin(reload) => self.reload_pin(&reload),
            SecurityCommand::UnblockPin(unblock) => self.unblock_pin(&unblock, challenge),
            SecurityCommand::Block(block) => self.block(block, challenge),
            SecurityCommand::WriteHardInfo(write) => self.write_hard_info(write, challenge),
            SecurityCommand::HardInfo => self.hard_info(),
            SecurityCommand::WriteKey(write) => self.write_key(write, challenge),
        }
    }
}
