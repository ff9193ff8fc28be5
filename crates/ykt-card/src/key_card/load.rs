//! WRITE KEY of a key card: keys and the operator's PIN, under its own master key.

use crate::answer::Outcome;
use crate::card::Card;
use crate::memory::{Memory, ShortBatch};
use crate::security::{
    KeyAttributes, KeyName, NewKey, Secured, Tries, key, key_file, material_of, pin_material,
};
use crate::session::Challenge;
use ykt_base::{Command, KeyIndex, StatusWord};
use ykt_crypto::sm::Text;
use ykt_purse::create::Access;
use ykt_purse::key_card::{KeyCardHeader, KeyCardUsage, PIN_ID};
use ykt_purse::psam::SamKeyType;
use ykt_purse::write_key::{ErrorCounter, KeyForm, KeyUsage};

/// Tries of its own keys and of the PIN.
const OWN_TRIES: Tries = Tries(ErrorCounter::THREE);
/// A key that derives is not tried: who may use it, PIN and attributes say.
const UNCOUNTED: Tries = Tries(ErrorCounter(0x00));

/// Reads `84 D4 00 00`.
///
/// # Errors
/// 6A86, 6700, 6987.
pub(super) fn parse<'a>(command: &Command<'a>) -> Result<Secured<'a>, StatusWord> {
    match (command.p1, command.p2) {
        (0, 0) => Secured::split_enciphered(command),
        _ => Err(StatusWord::WRONG_P1P2),
    }
}

/// Name, tries, and the state that a check of it leads to.
const fn place_of(header: &KeyCardHeader) -> (KeyName, Tries, u8) {
    match header.usage {
        KeyCardUsage::Master => (KeyName::SamOwn(SamKeyType::Master), OWN_TRIES, 0x0F),
        KeyCardUsage::Maintenance => (KeyName::SamOwn(SamKeyType::Maintenance), OWN_TRIES, 0x01),
        KeyCardUsage::PinUnblock => (KeyName::User(KeyUsage::PinUnblock, KeyIndex(PIN_ID)), OWN_TRIES, 0x00),
        KeyCardUsage::Pin => (KeyName::User(KeyUsage::Pin, KeyIndex(PIN_ID)), OWN_TRIES, 0x02),
        KeyCardUsage::Issue(usage) => (KeyName::Issue(usage, header.version), UNCOUNTED, 0x00),
    }
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6982, 6983, 6984, 6988, 6A80 (also for a key whose kind and version are there with other levels), 6A84, 6A88.
    #[inline(never)]
    pub(super) fn write_key_card_key(
        &mut self,
        secured: &Secured<'_>,
        challenge: Option<Challenge>,
    ) -> Outcome {
        let directory = self.session.directory;
        let file = key_file(&self.store, &directory).ok_or(StatusWord::KEY_NOT_FOUND)?;
        let own = self.master_key_of(&directory);
        let is_own_there = own.is_some();
        let control = own.or_else(|| self.key_above(&directory)).ok_or(StatusWord::KEY_NOT_FOUND)?;
        let (mut plain, mut batch) = (Text::new(), ShortBatch::new());
        self.open_key(secured, &control, challenge, (&mut plain, &mut batch))?;
        let (header, field) = KeyCardHeader::parse(&plain).ok_or(StatusWord::WRONG_DATA)?;
        let (name, tries, leads_to) = place_of(&header);
        let is_master = header.usage == KeyCardUsage::Master;
        if !is_master && !is_own_there {
            return Err(StatusWord::KEY_NOT_FOUND);
        }
        let present = key(&self.store, &directory, name);
        if present.is_none() {
            if let KeyCardUsage::Issue(usage) = header.usage
                && self.issue_key(usage.kind(), header.version).is_ok()
            {
                return Err(StatusWord::WRONG_DATA);
            }
            if !is_master {
                self.session.require(file.write)?;
            }
        }
        let (algorithm, material) = match header.form {
            KeyForm::Key(algorithm) => (algorithm.code(), material_of(algorithm, field)?),
            KeyForm::Pin { len } => (len, pin_material(field, len)?),
        };
        let attributes = KeyAttributes {
            version: header.version,
            algorithm,
            use_right: Access::ALWAYS,
            leads_to,
            change_right: Access::ALWAYS,
            tries,
        };
        self.store_key(&file, present, &NewKey { name, attributes, material }, &mut batch)
    }
}
