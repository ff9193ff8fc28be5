//! WRITE KEY (写密钥, `epurse.md` 0, 3.1 to 3.3): keys and PINs enter as cryptograms under a control key.
//!
//! Who controls: the transport key admits the card master key (CCK); the CCK admits itself and the application
//! master keys; in each directory its own master key admits the rest. In a user card a master key is the one for
//! external authentication with id 0. Where only the cryptogram says which key it is (a PSAM, and layouts of other
//! families), the directory's own master key controls as soon as it exists, and before that the one above it.
//!
//! The layout of a user card's key is a switch of the directory ([`KeyLayout`](ykt_purse::write_key::KeyLayout)).
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
use crate::memory::{Memory, ShortBatch};
use crate::session::Challenge;
use ykt_base::{Command, KeyIndex, StatusWord};
use ykt_crypto::Key16;
use ykt_crypto::sm::{Padding, Text};
use ykt_purse::Algorithm;
use ykt_purse::create::{Access, SecurityStates};
use ykt_purse::psam::SamKeyType;
use ykt_purse::write_key::{
    CONTROL_KEY_ID, ErrorCounter, KeyForm, KeyOrder, KeyUsage, SamKeyHeader, WrittenKey,
};

/// Largest id of a key: its slot keeps it in seven bits.
const KEY_ID_MAX: u8 = 0x7F;

/// Tries of a PSAM's own keys.
const SAM_OWN_TRIES: Tries = Tries(ErrorCounter::THREE);
/// Tries of a PSAM's working keys: fifteen wrong MAC2 in a row lock one (`epurse.md` 0).
const SAM_WORKING_TRIES: Tries = Tries(ErrorCounter(0xFF));

/// WRITE KEY.
#[derive(Clone, Copy)]
pub(crate) enum WriteKey<'a> {
    /// `80 D4 P1 P2` and `84 D4 P1 P2` of a user card.
    User([u8; 2], Content<'a>),
    /// `84 D4 00 00` of a PSAM.
    Sam(Secured<'a>),
}

impl<'a> WriteKey<'a> {
    /// `80 D4` and `84 D4` of a card that names its keys by id.
    ///
    /// # Errors
    /// 6700, 6987.
    pub(crate) fn parse_by_id(command: &Command<'a>) -> Result<WriteKey<'a>, StatusWord> {
        Ok(WriteKey::User([command.p1, command.p2], MessageClass::of(command).of_write(command)?))
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

/// Where a user card's key goes, and what for.
struct Place {
    name: KeyName,
    present: Option<KeySlot>,
    /// The right to put it there.
    right: Access,
}

impl Place {
    fn is_of_master(&self) -> bool {
        self.name == MASTER
    }
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6A86, 6982, 6983, 6984, 6988, 6A80, 6A84, 6A88.
    #[inline(never)]
    pub(crate) fn write_key(&mut self, command: WriteKey<'_>, challenge: Option<Challenge>) -> Outcome {
        match command {
            WriteKey::User(p1p2, content) => self.write_user_key(p1p2, content, challenge),
            WriteKey::Sam(secured) => self.write_sam_key(&secured, challenge),
        }
    }

    fn write_user_key(
        &mut self,
        [p1, p2]: [u8; 2],
        content: Content<'_>,
        challenge: Option<Challenge>,
    ) -> Outcome {
        let directory = self.session.directory;
        let layout = directory.switches.key_layout;
        let request = layout.request(p1, p2)?;
        let file = self.key_file_here()?;
        let told = match (request.usage, request.id) {
            (Some(usage), Some(id)) => Some(self.place(&file, request.order, usage, id)?),
            _ => None,
        };
        let (mut text, mut batch) = (Text::new(), ShortBatch::new());
        let plain = match content {
            Content::EncipheredMac(secured) => {
                let control = match &told {
                    Some(place) => self.control_of_user_key(place.is_of_master()),
                    None => self.master_key_of(&directory).or_else(|| self.key_above(&directory)),
                };
                let control = control.ok_or(StatusWord::KEY_NOT_FOUND)?;
                self.open_key(&secured, &control, challenge, (&mut text, &mut batch))?;
                text.as_bytes()
            }
            Content::Plain(data) => data,
            Content::Mac(_) => return Err(StatusWord::UNKNOWN_CLA),
        };
        let written = layout.read(request, plain).ok_or(StatusWord::WRONG_DATA)?;
        let place = match told {
            Some(place) => place,
            None => self.place(&file, written.order, written.usage, written.id)?,
        };
        let is_open = place.is_of_master() || place.right.allows(SecurityStates::default());
        if is_open && matches!(content, Content::Plain(_)) {
            return Err(StatusWord::SECURITY_STATUS);
        }
        if !place.is_of_master() && self.master_key_of(&directory).is_none() {
            return Err(StatusWord::KEY_NOT_FOUND);
        }
        let (attributes, material) = contents(&written, place.present)?;
        self.store_key(&file, place.present, &NewKey { name: place.name, attributes, material }, &mut batch)
    }

    /// # Errors
    /// 6A80 for a key to add that is there, or an id that is none, 6A88 for one to change that is not, 6982 without
    /// the right to.
    fn place(&self, file: &File, order: KeyOrder, usage: KeyUsage, id: u8) -> Result<Place, StatusWord> {
        if id > KEY_ID_MAX {
            return Err(StatusWord::WRONG_DATA);
        }
        let name = KeyName::User(usage, KeyIndex(id));
        let present = key(&self.store, &self.session.directory, name);
        let right = match (order, present) {
            (KeyOrder::Add, Some(_)) => return Err(StatusWord::WRONG_DATA),
            (KeyOrder::Change, None) => return Err(StatusWord::KEY_NOT_FOUND),
            (_, None) if name == MASTER => Access::ALWAYS,
            (_, None) => file.write,
            (_, Some(slot)) => slot.attributes.change_right,
        };
        self.session.require(right)?;
        Ok(Place { name, present, right })
    }

    fn key_file_here(&self) -> Result<File, StatusWord> {
        key_file(&self.store, &self.session.directory).ok_or(StatusWord::KEY_NOT_FOUND)
    }

    #[inline(never)]
    fn write_sam_key(&mut self, secured: &Secured<'_>, challenge: Option<Challenge>) -> Outcome {
        let directory = self.session.directory;
        let file = self.key_file_here()?;
        let own = self.master_key_of(&directory);
        let is_own_there = own.is_some();
        let control = own.or_else(|| self.key_above(&directory)).ok_or(StatusWord::KEY_NOT_FOUND)?;
        let (mut plain, mut batch) = (Text::new(), ShortBatch::new());
        self.open_key(secured, &control, challenge, (&mut plain, &mut batch))?;
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
        self.store_key(&file, present, &NewKey { name, attributes, material }, &mut batch)
    }

    /// Header and key under a cryptogram, into `text`. Padding is always there (`epurse.md` 0), whatever the application's
    /// switches say.
    pub(crate) fn open_key(
        &mut self,
        secured: &Secured<'_>,
        control: &CountedKey,
        challenge: Option<Challenge>,
        (text, batch): (&mut Text, &mut ShortBatch),
    ) -> Result<(), StatusWord> {
        self.believe(secured, control, challenge, batch)?;
        secured.decipher(control, Padding::Always, text)
    }

    #[inline(never)]
    pub(crate) fn store_key(
        &mut self,
        file: &File,
        present: Option<KeySlot>,
        new: &NewKey,
        batch: &mut ShortBatch,
    ) -> Outcome {
        let at = slot_for(&self.store, file, present).ok_or(StatusWord::NO_SPACE)?;
        new.put(batch, at)?;
        self.store.commit(batch)?;
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

/// What stands in the slot of a key. A key that comes alone keeps the attributes of the present one, and has all
/// tries.
///
/// # Errors
/// 6A80 for a field that does not fit them.
fn contents(
    written: &WrittenKey<'_>,
    present: Option<KeySlot>,
) -> Result<(KeyAttributes, Key16), StatusWord> {
    let Some(header) = written.header else {
        let kept = present.ok_or(StatusWord::KEY_NOT_FOUND)?.attributes;
        let (algorithm, material) = match written.usage {
            KeyUsage::Pin => {
                let len = u8::try_from(written.field.len()).map_err(|_| StatusWord::WRONG_DATA)?;
                (len, pin_material(written.field, len)?)
            }
            _ => {
                let algorithm = Algorithm::from_code(kept.algorithm).ok_or(StatusWord::WRONG_DATA)?;
                (kept.algorithm, material_of(algorithm, written.field)?)
            }
        };
        let tries = Tries(kept.tries.0.after_success());
        return Ok((KeyAttributes { algorithm, tries, ..kept }, material));
    };
    let (algorithm, material) = match header.form {
        KeyForm::Key(algorithm) => (algorithm.code(), material_of(algorithm, written.field)?),
        KeyForm::Pin { len } => (len, pin_material(written.field, len)?),
    };
    let attributes = KeyAttributes {
        version: header.version,
        algorithm,
        use_right: header.use_right,
        leads_to: header.follow_up,
        change_right: header.change_right,
        tries: Tries(header.tries),
    };
    Ok((attributes, material))
}

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
