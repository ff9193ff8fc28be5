//! What lies in the token, as far as it was read: key objects, and the notes beside them. Judges what a cut has left.
//!
//! A token creates one object whole or not at all, and that is where a change happens. One record is one object. The
//! records of an import are many: each names its import, and they count once the note that the import is whole stands
//! beside them. Whatever else a cut leaves behind is judged by its revision.

use crate::record::{KeyRecord, Note, id};
use std::collections::{BTreeMap, BTreeSet};
use ykt_vault::table::{Entry, KeyTable};
use ykt_vault::{KeyPlace, KeyState};

/// The number of an object's handle.
pub(crate) type Number = cryptoki_sys::CK_OBJECT_HANDLE;

/// The objects of a token; `H` is a handle.
#[derive(Clone)]
pub(crate) struct Ledger<H> {
    notes: BTreeMap<Number, (H, Note)>,
    /// `CKA_ID` of every secret key, ours or not.
    ids: BTreeMap<Number, Vec<u8>>,
    keys: BTreeMap<Vec<u8>, BTreeMap<Number, H>>,
}

impl<H> Default for Ledger<H> {
    fn default() -> Self {
        Ledger { notes: BTreeMap::new(), ids: BTreeMap::new(), keys: BTreeMap::new() }
    }
}

/// What must be written so that a change has happened, and what then follows.
pub(crate) struct Plan {
    /// The change happens when the last of these is written.
    pub(crate) decisive: Vec<Note>,
    /// The keys that it moved along. What is not written of them is judged by its age.
    pub(crate) following: Vec<Note>,
}

impl<H: Copy> Ledger<H> {
    pub(crate) fn note(&self, number: Number) -> Option<&Note> {
        self.notes.get(&number).map(|(_, note)| note)
    }

    pub(crate) fn key_id(&self, number: Number) -> Option<&Vec<u8>> {
        self.ids.get(&number)
    }

    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        self.notes.len().saturating_add(self.ids.len())
    }

    pub(crate) fn add_note(&mut self, number: Number, handle: H, note: Note) {
        self.notes.insert(number, (handle, note));
    }

    pub(crate) fn add_key(&mut self, number: Number, handle: H, id: Vec<u8>) {
        self.ids.insert(number, id.clone());
        self.keys.entry(id).or_default().insert(number, handle);
    }

    /// An object is no more.
    pub(crate) fn remove(&mut self, number: Number) {
        self.notes.remove(&number);
        if let Some(id) = self.ids.remove(&number)
            && let Some(alike) = self.keys.get_mut(&id)
        {
            alike.remove(&number);
        }
    }

    pub(crate) fn notes(&self) -> impl Iterator<Item = &Note> {
        self.notes.values().map(|(_, note)| note)
    }

    /// The objects that say which change was the latest: one, unless a cut or another process at work left others.
    pub(crate) fn latest(&self) -> Vec<(H, &Note)> {
        let latest = self.notes.values().filter(|(_, note)| matches!(note, Note::Latest(_)));
        latest.map(|(handle, note)| (*handle, note)).collect()
    }

    /// The key objects of a place.
    pub(crate) fn keys_at(&self, place: &KeyPlace) -> Vec<H> {
        self.keys.get(&id(place)).into_iter().flat_map(BTreeMap::values).copied().collect()
    }

    /// The revision of the youngest record, whether it counts or not.
    pub(crate) fn revision(&self) -> u64 {
        self.notes().filter_map(Note::revision).max().unwrap_or_default()
    }

    /// The record of each place.
    pub(crate) fn judged(&self) -> BTreeMap<KeyPlace, KeyRecord> {
        let whole = self.whole();
        let mut records: BTreeMap<KeyPlace, KeyRecord> = BTreeMap::new();
        for record in self.notes().filter_map(|note| counting(note, &whole)) {
            let known = records.entry(record.place).or_insert(*record);
            if known.revision < record.revision {
                *known = *record;
            }
        }
        retire_older(&mut records);
        records
    }

    /// Notes that say nothing any more: those a younger one of the same place stands beside, and that of an import
    /// with no record left.
    pub(crate) fn outdated(&self) -> Vec<H> {
        let (whole, judged) = (self.whole(), self.judged());
        let is_outdated = |record: &KeyRecord| {
            judged.get(&record.place).is_some_and(|youngest| youngest.revision > record.revision)
        };
        let living = self.notes().filter(|note| counting(note, &whole).is_some_and(|r| !is_outdated(r)));
        let imports: BTreeSet<u64> = living.filter_map(Note::import).collect();
        let outdated = self.notes.values().filter(|(_, note)| match note {
            Note::Whole(import) => !imports.contains(import),
            note => counting(note, &whole).is_some_and(is_outdated),
        });
        outdated.map(|(handle, _)| *handle).collect()
    }

    /// What an import that was cut off has left: its records, and keys that have no other.
    pub(crate) fn left_by_a_cut(&self) -> Vec<H> {
        let (whole, judged) = (self.whole(), self.judged());
        let mut left = Vec::new();
        for (handle, note) in self.notes.values() {
            if let Note::Arriving { import, record } = note
                && !whole.contains(import)
            {
                left.push(*handle);
                if !judged.contains_key(&record.place) {
                    left.extend(self.keys_at(&record.place));
                }
            }
        }
        left
    }

    /// The key objects of destroyed keys.
    pub(crate) fn condemned(&self) -> Vec<H> {
        let destroyed = self.judged().into_values().filter(|record| record.state == KeyState::Destroyed);
        destroyed.flat_map(|record| self.keys_at(&record.place)).collect()
    }

    /// Numbers of the imports that are whole.
    fn whole(&self) -> BTreeSet<u64> {
        let whole = self.notes().filter_map(|note| match note {
            Note::Whole(import) => Some(*import),
            _ => None,
        });
        whole.collect()
    }
}

/// The record of a note, when it counts.
fn counting<'a>(note: &'a Note, whole: &BTreeSet<u64>) -> Option<&'a KeyRecord> {
    match note {
        Note::Key(record) => Some(record),
        Note::Arriving { import, record } => whole.contains(import).then_some(record),
        Note::Vault(_) | Note::Whole(_) | Note::Latest(_) | Note::Foreign => None,
    }
}

/// The notes that lead from one state of the keys to another, younger than `revision`. New keys come together; else
/// the one key that was moved comes first, and those it has moved along follow.
pub(crate) fn plan<H>(before: &KeyTable<H>, after: &KeyTable<H>, mut revision: u64) -> Plan {
    let mut record = |Entry { place, algorithm, state, kcv, .. }: &Entry<H>| {
        revision = revision.saturating_add(1);
        KeyRecord { revision, place: *place, algorithm: *algorithm, state: *state, kcv: *kcv }
    };
    let is_new = |entry: &&Entry<H>| before.at(&entry.place).is_err();
    let is_moved = |entry: &&Entry<H>| before.at(&entry.place).is_ok_and(|known| known.state != entry.state);
    let new: Vec<_> = after.iter().filter(is_new).collect();
    let mut moved: Vec<_> = after.iter().filter(is_moved).collect();
    // Only a key that becomes active moves others.
    moved.sort_by_key(|entry| entry.state != KeyState::Active);
    let mut moved = moved.into_iter();
    let decisive = match new.as_slice() {
        [] => moved.next().map(|entry| Note::Key(record(entry))).into_iter().collect(),
        [one] => vec![Note::Key(record(one))],
        many => {
            let records: Vec<_> = many.iter().map(|entry| record(entry)).collect();
            let import = records.first().map_or(0, |first| first.revision);
            let arriving = records.into_iter().map(|record| Note::Arriving { import, record });
            arriving.chain([Note::Whole(import)]).collect()
        }
    };
    Plan { decisive, following: moved.map(|entry| Note::Key(record(entry))).collect() }
}

/// Of several active keys of one kind, index, level and owner the youngest is; a cut has kept the others' records from
/// saying so.
fn retire_older(records: &mut BTreeMap<KeyPlace, KeyRecord>) {
    let beside = |place: &KeyPlace| (place.key.kind, place.key.index, place.level, place.owner);
    let mut youngest = BTreeMap::new();
    for record in records.values().filter(|record| record.state == KeyState::Active) {
        let revision = youngest.entry(beside(&record.place)).or_insert(record.revision);
        *revision = record.revision.max(*revision);
    }
    for record in records.values_mut().filter(|record| record.state == KeyState::Active) {
        if youngest.get(&beside(&record.place)).is_some_and(|revision| *revision > record.revision) {
            record.state = KeyState::Retired;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ykt_vault::{KeyAlgorithm, KeyKind, KeyRef, Levels};

    const fn place(version: u8) -> KeyPlace {
        KeyPlace::root(KeyRef::new(KeyKind::Load, 1, version))
    }

    fn entry(version: u8, state: KeyState) -> Entry<u8> {
        let value = (state != KeyState::Destroyed).then_some(version);
        Entry { place: place(version), algorithm: KeyAlgorithm::Tdes, state, kcv: [version; 3], value }
    }

    fn states(table: &KeyTable<u8>) -> Vec<(KeyPlace, KeyState)> {
        table.iter().map(|entry| (entry.place, entry.state)).collect()
    }

    /// A token in which things are written and removed one after the other.
    #[derive(Default, Clone)]
    struct Model {
        ledger: Ledger<Number>,
        next: Number,
    }

    impl Model {
        fn write(&mut self, note: &Note) {
            self.next += 1;
            self.ledger.add_note(self.next, self.next, note.clone());
        }

        /// Through bytes, as another process reads it.
        fn judged(&self) -> Vec<(KeyPlace, KeyState)> {
            let mut read = Ledger::default();
            for (number, (handle, note)) in &self.ledger.notes {
                read.add_note(*number, *handle, Note::from_bytes(&note.label(), &note.to_bytes()).unwrap());
            }
            read.judged().into_values().map(|record| (record.place, record.state)).collect()
        }

        /// Every state a cut can leave while these keys come in place of those; then the whole.
        fn changed(&mut self, before: &KeyTable<u8>, after: &KeyTable<u8>) {
            let Plan { decisive, following } = plan(before, after, self.ledger.revision());
            for (left, note) in (0..decisive.len()).rev().zip(&decisive) {
                self.write(note);
                let expected = if left == 0 { states(after) } else { states(before) };
                assert_eq!(self.judged(), expected, "{left} decisive notes left");
                assert_eq!(self.ledger.left_by_a_cut().is_empty(), left == 0);
            }
            for note in &following {
                self.write(note);
                assert_eq!(self.judged(), states(after));
            }
            for outdated in self.ledger.outdated() {
                self.ledger.remove(outdated);
                assert_eq!(self.judged(), states(after));
            }
            assert_eq!(self.ledger.outdated(), []);
        }
    }

    /// The power fails after each write and each removal of a life of keys: the old state or the new one, never a third.
    #[test]
    fn a_cut_leaves_the_old_state_or_the_new() {
        use KeyState::{Active, Destroyed, Generated, Retired};
        let mut model = Model::default();
        let mut before = KeyTable::default();
        let levels = Levels::nation_city_card();
        type Step<'a> = &'a dyn Fn(&mut KeyTable<u8>);
        let come = |keys: &mut KeyTable<u8>, new: &[(u8, KeyState)]| {
            new.iter().for_each(|(version, state)| keys.insert(&levels, entry(*version, *state)).unwrap());
        };
        let steps: [Step<'_>; 8] = [
            &|keys| come(keys, &[(1, Generated)]),
            &|keys| keys.change_state(&place(1), Active).unwrap(),
            &|keys| come(keys, &[(2, Active)]),
            &|keys| keys.change_state(&place(1), Active).unwrap(),
            &|keys| come(keys, &[(3, Active), (4, Active), (5, Generated), (6, Retired)]),
            &|keys| come(keys, &[(7, Generated), (8, Generated)]),
            &|keys| keys.change_state(&place(3), Destroyed).unwrap(),
            &|keys| keys.change_state(&place(7), Active).unwrap(),
        ];
        for step in steps {
            let mut after = before.clone();
            step(&mut after);
            model.changed(&before, &after);
            before = after;
        }
        assert_eq!(states(&before)[6], (place(7), Active));
    }

    /// What a broken import has left is named with the keys that came with it, and with no other.
    #[test]
    fn a_broken_import_is_cleared() {
        let mut model = Model::default();
        let (mut before, mut after) = (KeyTable::default(), KeyTable::default());
        for version in 1..=3 {
            after.restore(entry(version, KeyState::Generated));
        }
        before.restore(entry(1, KeyState::Generated));
        model.write(&plan(&KeyTable::default(), &before, 0).decisive[0]);
        let Plan { decisive, .. } = plan(&before, &after, model.ledger.revision());
        assert_eq!(decisive.len(), 3);
        for version in 1..=3 {
            model.ledger.add_key(
                100 + Number::from(version),
                100 + Number::from(version),
                id(&place(version)),
            );
        }
        model.write(&decisive[0]);
        assert_eq!(model.ledger.left_by_a_cut(), [2, 102], "its record and its key");
        model.write(&decisive[1]);
        for left in model.ledger.left_by_a_cut() {
            model.ledger.remove(left);
        }
        assert_eq!(model.judged(), states(&before));
        assert_eq!((model.ledger.keys_at(&place(1)), model.ledger.keys_at(&place(3))), (vec![101], vec![]));
        // A later import has another number: what a broken one left never comes back.
        let revision = model.ledger.revision();
        model.write(&decisive[0]);
        assert!(model.ledger.revision() > revision);
    }

    /// A cut between the two records of an activation leaves two active keys; the younger one is.
    #[test]
    fn the_youngest_of_two_active_keys_is_active() {
        let record = |version, owner, revision, state| {
            let place = KeyPlace { key: KeyRef::new(KeyKind::Load, 1, version), level: 1, owner };
            let record = KeyRecord { revision, place, algorithm: KeyAlgorithm::Tdes, state, kcv: [0; 3] };
            (place, record)
        };
        use KeyState::{Active, Generated, Retired};
        let mut records = BTreeMap::from([
            record(1, None, 4, Active),
            record(2, None, 9, Active),
            record(3, None, 10, Generated),
            record(1, Some([1; 8]), 3, Active),
        ]);
        retire_older(&mut records);
        let states: Vec<_> = records.values().map(|record| record.state).collect();
        assert_eq!(states, [Retired, Active, Active, Generated], "by place");
    }
}
