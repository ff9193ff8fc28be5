//! WRITE KEY (写密钥, `epurse.md` 0, 3.1, 3.3): keys and PINs enter as cryptograms under a control key.
//!
//! Who controls: the transport key admits the card master key (CCK); the CCK admits itself and the application
//! master keys; in each directory its own master key admits the rest. In a user card a master key is the one for
//! external authentication with id 0. A PSAM says what it is given only under the cryptogram, so there the
//! directory's own master key controls as soon as it exists, and before that the one above it.
//!
//! The right of the key file (to add) and of the present key (to change) must be given too, except that a master
//! key is added by whoever has the control key. In clear a key enters only where that right asks for a state, and
//! the state is reached; a master key never does.

use super::keys::{
    CountedKey, KeyAttributes, KeyName, KeySlot, NewKey, PIN_FIELD_LEN, Tries, key, key_file, slot_for,
};
use super::messaging::{Content, MessageClass, Secured};
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::files::{Directory, File, master};
use crate::image::KeyNaming;
use crate::memory::{Batch, Memory};
use crate::session::Challenge;
use ykt_base::{Command, KeyIndex, StatusWord};
use ykt_crypto::Key16;
use ykt_crypto::sm::{Padding, Text};
use ykt_purse::Algorithm;
use ykt_purse::create::{Access, SecurityStates};
use ykt_purse::psam::SamKeyType;
use ykt_purse::write_key::{
    CONTROL_KEY_ID, ErrorCounter, KeyForm, KeyHeader, KeyTarget, KeyUsage, SamKeyHeader,
};

/// Tries of a PSAM's own keys.
const SAM_OWN_TRIES: Tries = Tries(ErrorCounter::THREE);
/// Tries of a PSAM's working keys: fifteen wrong MAC2 in a row lock one (`epurse.md` 0).
const SAM_WORKING_TRIES: Tries = Tries(ErrorCounter(0xFF));

/// WRITE KEY.
#[derive(Clone, Copy)]
pub(crate) enum WriteKey<'a> {
    /// `80 D4` and `84 D4` of a user card.
    User(KeyTarget, Content<'a>),
    /// `84 D4 00 00` of a PSAM.
    Sam(Secured<'a>),
}

impl<'a> WriteKey<'a> {
    /// `80 D4` and `84 D4` of a card that names its keys by id.
    ///
    /// # Errors
    /// 6A86, 6700, 6987.
    pub(crate) fn parse_by_id(command: &Command<'a>) -> Result<WriteKey<'a>, StatusWord> {
        let target = KeyTarget::from_p1p2(command.p1, command.p2)?;
        Ok(WriteKey::User(target, MessageClass::of(command).of_write(command)?))
    }

    /// `84 D4 00 00` of a card that names its keys by usage.
    ///
    /// # Errors
    /// 6A86, 6700, 6987.
    pub(crate) fn parse_by_usage(command: &Command<'a>) -> Result<WriteKey<'a>, StatusWord> {
        match (command.p1, command.p2) {
            (0, 0) => Ok(WriteKey::Sam(Secured::split_enciphered(command)?)),
            _ => Err(StatusWord::WRONG_P1P2),
        }
    }
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6982, 6983, 6984, 6988, 6A80, 6A84, 6A88.
    pub(crate) fn write_key(&mut self, command: WriteKey<'_>, challenge: Option<Challenge>) -> Outcome {
        let file = key_file(&self.store, &self.session.directory).ok_or(StatusWord::KEY_NOT_FOUND)?;
        match command {
            WriteKey::User(target, content) => self.write_user_key(&file, target, content, challenge),
            WriteKey::Sam(secured) => self.write_sam_key(&file, &secured, challenge),
        }
    }

    fn write_user_key(
        &mut self,
        file: &File,
        target: KeyTarget,
        content: Content<'_>,
        challenge: Option<Challenge>,
    ) -> Outcome {
        let (KeyTarget::Add { id, usage } | KeyTarget::Change { id, usage }) = target;
        let name = KeyName::User(usage, KeyIndex(id));
        let is_master = name == MASTER;
        let present = key(&self.store, &self.session.directory, name);
        let right = match (target, present) {
            (KeyTarget::Add { .. }, Some(_)) => return Err(StatusWord::WRONG_DATA),
            (KeyTarget::Change { .. }, None) => return Err(StatusWord::KEY_NOT_FOUND),
            (KeyTarget::Add { .. }, None) if is_master => Access::ALWAYS,
            (KeyTarget::Add { .. }, None) => file.write,
            (KeyTarget::Change { .. }, Some(slot)) => slot.attributes.change_right,
        };
        self.session.require(right)?;
        let (plain, batch) = match content {
            Content::EncipheredMac(secured) => {
                let control = self.control_of_user_key(is_master).ok_or(StatusWord::KEY_NOT_FOUND)?;
                self.open_key(&secured, &control, challenge)?
            }
            Content::Plain(_) if is_master || right.allows(SecurityStates::default()) => {
                return Err(StatusWord::SECURITY_STATUS);
            }
            Content::Plain(data) => {
                (Text::from_parts(&[data]).ok_or(StatusWord::WRONG_LENGTH)?, Batch::new())
            }
            Content::Mac(_) => return Err(StatusWord::UNKNOWN_CLA),
        };
        let (header, field) = KeyHeader::parse(&plain).ok_or(StatusWord::WRONG_DATA)?;
        if header.usage != usage {
            return Err(StatusWord::WRONG_DATA);
        }
        let (algorithm, material) = match header.form {
            KeyForm::Key(algorithm) => (algorithm.code(), material_of(algorithm, field)?),
            KeyForm::Pin { len } => (len, pin_material(field, len)?),
        };
        let attributes = KeyAttributes {
            version: header.version,
            algorithm,
            use_right: header.use_right,
            leads_to: header.follow_up,
            change_right: header.change_right,
            tries: Tries(header.tries),
        };
        self.store_key(file, present, &NewKey { name, attributes, material }, batch)
    }

    fn write_sam_key(&mut self, file: &File, secured: &Secured<'_>, challenge: Option<Challenge>) -> Outcome {
        let directory = self.session.directory;
        let own = self.master_key_of(&directory);
        let is_own_there = own.is_some();
        let control = own.or_else(|| self.key_above(&directory)).ok_or(StatusWord::KEY_NOT_FOUND)?;
        let (plain, batch) = self.open_key(secured, &control, challenge)?;
        let (header, field) = SamKeyHeader::parse(&plain).ok_or(StatusWord::WRONG_DATA)?;
        let (name, tries, leads_to) = match (header.usage.kind(), header.usage.levels()) {
            (SamKeyType::Master, 0) => (SAM_MASTER, SAM_OWN_TRIES, 0x0F),
            (SamKeyType::Maintenance, 0) => (KeyName::SamOwn(SamKeyType::Maintenance), SAM_OWN_TRIES, 0x01),
            _ => (KeyName::SamWorking(header.usage, header.version), SAM_WORKING_TRIES, 0x00),
        };
        if name != SAM_MASTER && !is_own_there {
            return Err(StatusWord::KEY_NOT_FOUND);
        }
        let present = key(&self.store, &directory, name);
        match present {
            Some(slot) => self.session.require(slot.attributes.change_right)?,
            None if name == SAM_MASTER => {}
            None => self.session.require(file.write)?,
        }
        let attributes = KeyAttributes {
            version: header.version,
            algorithm: header.algorithm.code(),
            use_right: Access::ALWAYS,
            leads_to,
            change_right: Access::ALWAYS,
            tries,
        };
        let material = material_of(header.algorithm, field)?;
        self.store_key(file, present, &NewKey { name, attributes, material }, batch)
    }

    /// Header and key under a cryptogram. Padding is always there (`epurse.md` 0), whatever the application's
    /// switches say.
    pub(crate) fn open_key(
        &mut self,
        secured: &Secured<'_>,
        control: &CountedKey,
        challenge: Option<Challenge>,
    ) -> Result<(Text, Batch), StatusWord> {
        let believed = self.believe(secured, control, challenge)?;
        Ok((secured.decipher(control, Padding::Always)?, believed.batch))
    }

    pub(crate) fn store_key(
        &mut self,
        file: &File,
        present: Option<KeySlot>,
        new: &NewKey,
        mut batch: Batch,
    ) -> Outcome {
        let at = slot_for(&self.store, file, present).ok_or(StatusWord::NO_SPACE)?;
        new.put(&mut batch, at)?;
        self.store.commit(&batch)?;
        done()
    }

    fn control_of_user_key(&self, is_master: bool) -> Option<CountedKey> {
        let directory = self.session.directory;
        match (is_master, directory.is_master()) {
            (false, _) => self.master_key_of(&directory),
            (true, true) => self.master_key_of(&directory).or_else(|| self.key_above(&directory)),
            (true, false) => self.key_above(&directory),
        }
    }

    pub(crate) fn master_key_of(&self, directory: &Directory) -> Option<CountedKey> {
        let name = match self.factory.kind.key_naming() {
            KeyNaming::ById => MASTER,
            KeyNaming::ByUsage => SAM_MASTER,
        };
        let slot = key(&self.store, directory, name)?;
        Some(CountedKey::of_slot(&self.store, &slot))
    }

    /// The key that admits a directory's first master key.
    pub(crate) fn key_above(&self, directory: &Directory) -> Option<CountedKey> {
        if directory.is_master() {
            Some(CountedKey::transport(&self.store))
        } else {
            self.master_key_of(&master(&self.store, &self.factory))
        }
    }
}

/// The master key of a user card's directory.
const MASTER: KeyName = KeyName::User(KeyUsage::ExternalAuthentication, KeyIndex(CONTROL_KEY_ID));
/// The master key of a PSAM's directory.
const SAM_MASTER: KeyName = KeyName::SamOwn(SamKeyType::Master);

/// # Errors
/// 6A80 for a field of another length than the algorithm's keys.
pub(crate) fn material_of(algorithm: Algorithm, field: &[u8]) -> Result<Key16, StatusWord> {
    let mut key = [0; Key16::LEN];
    let place = key.get_mut(..algorithm.key_len()).filter(|place| place.len() == field.len());
    place.ok_or(StatusWord::WRONG_DATA)?.copy_from_slice(field);
    Ok(Key16::from_bytes(key))
}

/// The stated length of a PIN's field, filled with FF.
pub(crate) fn pin_material(field: &[u8], len: u8) -> Result<Key16, StatusWord> {
    let pin = field.get(..usize::from(len).min(PIN_FIELD_LEN)).ok_or(StatusWord::WRONG_DATA)?;
    let mut material = [0xFF; Key16::LEN];
    material.get_mut(..pin.len()).ok_or(StatusWord::WRONG_DATA)?.copy_from_slice(pin);
    Ok(Key16::from_bytes(material))
}
