//! The key file: slots of 24 bytes, found by a walk.
//!
//! Slot: 80 | id (00 = empty), usage, version, algorithm, right to use, state it leads to, right to change, tries,
//! key (16; an 8-byte key or a PIN stands left, the PIN filled with FF).
//!
//! A user card tells its keys apart by usage and id (`epurse.md` 3.1), a PSAM and a key card by usage and version
//! (7.2).

use crate::card::Card;
use crate::files::{Directory, File, FileId, file};
use crate::image::{TRANSPORT_KEY_AT, TRANSPORT_TRIES_AT};
use crate::memory::{Batch, BatchFull, Memory, ShortBatch, Store};
use ykt_base::{KeyIndex, KeyVersion, StatusWord};
use ykt_crypto::sm::CRYPTOGRAM_LEN_MAX;
use ykt_crypto::{CardKey, Key8, Key16};
use ykt_purse::Algorithm;
use ykt_purse::create::Access;
use ykt_purse::key_card::IssueUsage;
use ykt_purse::psam::{SamKeyType, SamUsage};
use ykt_purse::write_key::{ErrorCounter, KeyForm, KeyUsage, Pin};

/// Bytes of a key file each key takes.
pub const KEY_SLOT_LEN: usize = 24;
const USED: u8 = 0x80;
const ALGORITHM_AT: usize = 3;
const TRIES_AT: usize = 7;
const MATERIAL_AT: usize = 8;

/// By what a command asks for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyName {
    /// A user card's key: usage and id.
    User(KeyUsage, KeyIndex),
    /// Own key of a PSAM or key card: master or maintenance; there is one of each in a directory.
    SamOwn(SamKeyType),
    /// A PSAM's working key.
    SamWorking(SamUsage, KeyVersion),
    /// A key card's key above other cards.
    Issue(IssueUsage, KeyVersion),
}

impl KeyName {
    /// Usage byte and id byte, and whether the version belongs to the name.
    const fn parts(self) -> (u8, u8, Option<u8>) {
        match self {
            KeyName::User(usage, id) => (usage.code(), id.0, None),
            KeyName::SamOwn(SamKeyType::Maintenance) => (SamUsage::MAINTENANCE.code(), 0, None),
            KeyName::SamOwn(_) => (SamUsage::MASTER.code(), 0, None),
            KeyName::SamWorking(usage, version) => (usage.code(), 0, Some(version.0)),
            KeyName::Issue(usage, version) => (usage.code(), 0, Some(version.0)),
        }
    }
}

/// Error counter (错误计数器, `epurse.md` 0). One that allows no tries at all is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tries(pub(crate) ErrorCounter);

impl Tries {
    pub(crate) const fn is_counted(self) -> bool {
        self.0.allowed() != 0
    }

    /// Whether none is left.
    const fn is_locked(self) -> bool {
        self.is_counted() && self.0.left() == 0
    }

    /// # Errors
    /// 6983 when no try is left.
    pub(crate) const fn not_locked(self) -> Result<(), StatusWord> {
        if self.is_locked() { Err(StatusWord::BLOCKED) } else { Ok(()) }
    }

    /// After a check: one less, or all back.
    const fn after(self, outcome: Check) -> Tries {
        match outcome {
            _ if !self.is_counted() => self,
            Check::Right => Tries(self.0.after_success()),
            Check::Wrong => Tries(self.0.after_failure()),
        }
    }
}

/// What stands beside a key: all but its name and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyAttributes {
    pub(crate) version: KeyVersion,
    /// Algorithm byte; the length in a PIN's slot.
    pub(crate) algorithm: u8,
    pub(crate) use_right: Access,
    pub(crate) leads_to: u8,
    pub(crate) change_right: Access,
    pub(crate) tries: Tries,
}

impl KeyAttributes {
    const fn from_bytes(bytes: [u8; 6]) -> KeyAttributes {
        let [version, algorithm, use_right, leads_to, change_right, tries] = bytes;
        KeyAttributes {
            version: KeyVersion(version),
            algorithm,
            use_right: Access(use_right),
            leads_to,
            change_right: Access(change_right),
            tries: Tries(ErrorCounter(tries)),
        }
    }

    const fn to_bytes(self) -> [u8; 6] {
        let KeyAttributes { version, algorithm, use_right, leads_to, change_right, tries } = self;
        [version.0, algorithm, use_right.0, leads_to, change_right.0, tries.0.0]
    }
}

/// A key as it stands in its file, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeySlot {
    at: usize,
    pub(crate) usage: u8,
    pub(crate) id: u8,
    pub(crate) attributes: KeyAttributes,
}

impl KeySlot {
    fn read<M: Memory>(store: &Store<M>, at: usize) -> Option<KeySlot> {
        let [id, usage, attributes @ ..] = store.read::<MATERIAL_AT>(at);
        let attributes = KeyAttributes::from_bytes(attributes);
        (id & USED != 0).then_some(KeySlot { at, usage, id: id ^ USED, attributes })
    }

    fn is_named(&self, name: KeyName) -> bool {
        let (usage, id, version) = name.parts();
        self.usage == usage
            && self.id == id
            && version.is_none_or(|version| self.attributes.version.0 == version)
    }

    /// The key's bytes.
    pub(crate) fn material<M: Memory>(&self, store: &Store<M>) -> CardKey {
        let at = self.at.saturating_add(MATERIAL_AT);
        match Algorithm::from_code(self.attributes.algorithm) {
            Some(Algorithm::Des) => CardKey::Des(Key8::from_bytes(store.read(at))),
            Some(Algorithm::Sm4) => CardKey::Sm4(Key16::from_bytes(store.read(at))),
            Some(Algorithm::TripleDes) | None => CardKey::Tdes(Key16::from_bytes(store.read(at))),
        }
    }

    /// Writes that all tries are back.
    pub(super) fn put_full_tries(&self, batch: &mut ShortBatch) -> Result<(), BatchFull> {
        let tries = self.attributes.tries.after(Check::Right);
        batch.write(self.at.saturating_add(TRIES_AT), &[&[tries.0.0]])
    }

    /// Writes another PIN into a PIN's slot, with all tries.
    pub(super) fn put_pin(&self, batch: &mut ShortBatch, pin: &Pin) -> Result<(), BatchFull> {
        let KeyForm::Pin { len } = pin.form() else {
            return Err(BatchFull);
        };
        let filler = [0xFF; Key16::LEN];
        let rest = filler.get(pin.as_bytes().len()..).unwrap_or_default();
        batch.write(self.at.saturating_add(ALGORITHM_AT), &[&[len]])?;
        batch.write(self.at.saturating_add(MATERIAL_AT), &[pin.as_bytes(), rest])?;
        self.put_full_tries(batch)
    }

    /// A PIN's bytes, filled with FF.
    pub(crate) fn pin<M: Memory>(&self, store: &Store<M>) -> [u8; PIN_FIELD_LEN] {
        store.read(self.at.saturating_add(MATERIAL_AT))
    }
}

/// A key as secure messaging uses it: its bytes, and where its tries are counted.
pub(crate) struct CountedKey {
    pub(crate) material: CardKey,
    pub(crate) tries: Tries,
    tries_at: usize,
}

impl CountedKey {
    /// The transport key of the factory.
    pub(crate) fn transport<M: Memory>(store: &Store<M>) -> CountedKey {
        let [tries] = store.read(TRANSPORT_TRIES_AT);
        let material = CardKey::Tdes(Key16::from_bytes(store.read(TRANSPORT_KEY_AT)));
        CountedKey { material, tries: Tries(ErrorCounter(tries)), tries_at: TRANSPORT_TRIES_AT }
    }

    /// A key of a key file.
    pub(crate) fn of_slot<M: Memory>(store: &Store<M>, slot: &KeySlot) -> CountedKey {
        let tries_at = slot.at.saturating_add(TRIES_AT);
        CountedKey { material: slot.material(store), tries: slot.attributes.tries, tries_at }
    }

    /// Longest data that whole blocks of this key carry in a message, beside their length and some padding.
    pub(crate) fn plain_len_max(&self) -> usize {
        let rest = CRYPTOGRAM_LEN_MAX.checked_rem(self.material.block_len()).unwrap_or_default();
        CRYPTOGRAM_LEN_MAX.saturating_sub(rest).saturating_sub(2)
    }

    /// What a check that ended like this writes. A counted key is written after a success too, so that cutting
    /// the power at the first write after a check teaches nobody how the check ended.
    pub(crate) fn put_checked<const MAX: usize>(
        &self,
        batch: &mut Batch<MAX>,
        outcome: Check,
    ) -> Result<(), BatchFull> {
        if self.tries.is_counted() {
            batch.write(self.tries_at, &[&[self.tries.after(outcome).0.0]])?;
        }
        Ok(())
    }

    /// The tries left after a check that ended like this.
    pub(crate) const fn tries_after(&self, outcome: Check) -> u8 {
        self.tries.after(outcome).0.left()
    }
}

/// How a check with a key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Right,
    Wrong,
}

impl Check {
    pub(crate) fn of(right: impl Into<bool>) -> Check {
        if right.into() { Check::Right } else { Check::Wrong }
    }
}

/// A PIN's place in its slot: longer than any PIN, so that FF ends it.
pub(crate) const PIN_FIELD_LEN: usize = 8;

/// A key about to be stored.
pub(crate) struct NewKey {
    pub(crate) name: KeyName,
    pub(crate) attributes: KeyAttributes,
    pub(crate) material: Key16,
}

impl NewKey {
    /// Puts it into a slot.
    pub(crate) fn put(&self, batch: &mut ShortBatch, at: usize) -> Result<(), BatchFull> {
        let (usage, id, _) = self.name.parts();
        batch.write(at, &[&[USED | id, usage], &self.attributes.to_bytes(), self.material.expose()])
    }
}

impl<M: Memory> Card<M> {
    /// The key of a name in the current directory, when it may be used now.
    ///
    /// # Errors
    /// `missing` without one, 6983 when it is locked, 6982 when its right of use is not given.
    pub(crate) fn usable_key(&self, name: KeyName, missing: StatusWord) -> Result<KeySlot, StatusWord> {
        let slot = key(&self.store, &self.session.directory, name).ok_or(missing)?;
        slot.attributes.tries.not_locked()?;
        self.session.require(slot.attributes.use_right)?;
        Ok(slot)
    }
}

/// The key file of a directory.
pub(crate) fn key_file<M: Memory>(store: &Store<M>, directory: &Directory) -> Option<File> {
    file(store, directory, FileId::KEYS)
}

/// The key of a name in a directory.
pub(crate) fn key<M: Memory>(store: &Store<M>, directory: &Directory, name: KeyName) -> Option<KeySlot> {
    let file = key_file(store, directory)?;
    key_slots(store, &file).find(|slot| slot.is_named(name))
}

/// Every key of a key file.
pub(crate) fn key_slots<M: Memory>(store: &Store<M>, file: &File) -> impl Iterator<Item = KeySlot> {
    slots(file).filter_map(|at| KeySlot::read(store, at))
}

/// Where the key of a name is to be written: its own slot, or the first free one.
pub(crate) fn slot_for<M: Memory>(store: &Store<M>, file: &File, present: Option<KeySlot>) -> Option<usize> {
    match present {
        Some(slot) => Some(slot.at),
        None => slots(file).find(|at| KeySlot::read(store, *at).is_none()),
    }
}

fn slots(file: &File) -> impl Iterator<Item = usize> + use<> {
    let end = file.body.saturating_add(file.len);
    (file.body..end).step_by(KEY_SLOT_LEN).take_while(move |at| at.saturating_add(KEY_SLOT_LEN) <= end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_count_down_and_come_back() {
        let full = Tries(ErrorCounter::THREE);
        let once = full.after(Check::Wrong);
        assert_eq!((once.0, once.after(Check::Right)), (ErrorCounter(0x32), full));
        let none = once.after(Check::Wrong).after(Check::Wrong);
        assert!(none.is_locked() && none.after(Check::Wrong).is_locked());
        let uncounted = Tries(ErrorCounter(0x00));
        assert_eq!(uncounted.after(Check::Wrong), uncounted);
        assert!(!uncounted.is_locked());
    }
}
