//! The objects in the token: keys, and the records beside them.
//!
//! Every key is a private, sensitive token object: PKCS#11 shows its value to nobody. Keys that a card or PSAM holds
//! as they are must be extractable (wrapped, never in clear), because a WRITE KEY covers header and key together and
//! no token makes that cryptogram; the keys above them are what [`Export`] says.

use crate::connection::Line;
use crate::fault::{Fault, unavailable};
use crate::record::{KeyRecord, VaultRecord, id};
use crate::settings::{Export, Mechanisms};
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use std::collections::BTreeMap;
use ykt_vault::table::{Entry, KeyTable};
use ykt_vault::{
    KeyAlgorithm, KeyKind, KeyPlace, KeyState, KeyValue, Levels, Origin, Scheme, VaultError, transport,
};
use zeroize::Zeroizing;

/// `CKA_APPLICATION` of our records.
const APPLICATION: &[u8] = b"yikatong";
/// `CKA_LABEL` of the record of the vault as a whole.
const VAULT_LABEL: &[u8] = b"vault";

/// One state of the token: what readers see.
#[derive(Clone)]
pub(crate) struct Shelf {
    pub(crate) origin: Origin,
    pub(crate) levels: Levels,
    pub(crate) keys: KeyTable<ObjectHandle>,
    /// Revision of the youngest record.
    pub(crate) revision: u64,
}

/// How the value of an extractable key comes into this process: wrapped under a key that the token and this process
/// made for this connection only.
pub(crate) struct Hatch {
    handle: ObjectHandle,
    key: KeyValue,
}

impl Hatch {
    /// Makes the key; it lives as long as the session of `line`, which must be the keeper.
    pub(crate) fn open(line: &Line<'_>) -> Result<Hatch, Fault> {
        let bytes = Zeroizing::new(line.session.generate_random_vec(32)?);
        let template = vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(false),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Wrap(true),
            Attribute::Value(bytes.to_vec()),
        ];
        let handle = line.create(template)?;
        let key = KeyValue::from_bytes(KeyAlgorithm::Aes256, &bytes);
        let key =
            key.ok_or_else(|| unavailable("the token gave fewer random bytes than asked".to_owned()))?;
        Ok(Hatch { handle, key })
    }

    /// The value of an extractable key.
    pub(crate) fn take(
        &self,
        line: &Line<'_>,
        mechanisms: &Mechanisms,
        stored: &Entry<ObjectHandle>,
    ) -> Result<KeyValue, Fault> {
        let Entry { place, algorithm, .. } = stored;
        let wrapped = line
            .module
            .calls
            .wrap(line.session, mechanisms.wrap, self.handle, handle_of(stored)?)
            .map_err(|error| stays_inside(place, error))?;
        let value = transport::decipher(&wrapped, *algorithm, &self.key);
        Ok(value.ok_or_else(|| unavailable("the token wraps in another way than RFC 3394".to_owned()))?)
    }
}

/// The object of a stored key.
pub(crate) fn handle_of(stored: &Entry<ObjectHandle>) -> Result<ObjectHandle, VaultError> {
    stored.value.ok_or_else(|| {
        unavailable(format!("the token has the record of the {}, but not the key itself", stored.place))
    })
}

/// A token that does not wrap a key because the key may not leave it breaks nothing: that is its rule.
pub(crate) fn stays_inside(place: &KeyPlace, error: Error) -> Fault {
    match error {
        Error::Pkcs11(RvError::KeyUnextractable | RvError::KeyNotWrappable, _) => {
            let reason = format!("the {place} was made to stay inside its token, not even wrapped");
            VaultError::NotAllowed { reason }.into()
        }
        error => Fault::Token(error),
    }
}

/// What a token object of this place looks like; the value, where there is one, comes on top.
pub(crate) fn template(
    place: &KeyPlace,
    algorithm: KeyAlgorithm,
    export: Export,
    levels: &Levels,
) -> Vec<Attribute> {
    let kind = place.key.kind;
    let on_cards =
        place.level == levels.deepest(kind) && !matches!(kind, KeyKind::Seed | KeyKind::KeyTransport);
    let transport = kind == KeyKind::KeyTransport;
    let derives = kind == KeyKind::Seed || (!on_cards && kind.scheme() != Scheme::Shared);
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(key_type(algorithm)),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(on_cards || export == Export::Wrapped),
        Attribute::Label(label(place)),
        Attribute::Id(id(place)),
        Attribute::Encrypt(true),
        Attribute::Decrypt(false),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Derive(derives),
        Attribute::Wrap(transport && algorithm == KeyAlgorithm::Aes256),
        Attribute::Unwrap(transport && algorithm == KeyAlgorithm::Aes256),
    ]
}

/// `CKK_…` of an algorithm tokens have.
pub(crate) fn key_type(algorithm: KeyAlgorithm) -> KeyType {
    match algorithm {
        KeyAlgorithm::Aes256 => KeyType::AES,
        KeyAlgorithm::Tdes | KeyAlgorithm::Sm4 | KeyAlgorithm::Sm2 => KeyType::DES2,
    }
}

/// `CKA_LABEL` of a key and of its record.
fn label(place: &KeyPlace) -> Vec<u8> {
    place.to_string().into_bytes()
}

impl Line<'_> {
    /// Creates an object; the copy of a value that the template had is wiped.
    pub(crate) fn create(&self, mut template: Vec<Attribute>) -> Result<ObjectHandle, Fault> {
        let created = self.session.create_object(&template);
        for attribute in &mut template {
            if let Attribute::Value(value) = attribute {
                drop(Zeroizing::new(std::mem::take(value)));
            }
        }
        Ok(created?)
    }

    /// Check value of a key, computed inside.
    pub(crate) fn kcv(
        &self,
        mechanisms: &Mechanisms,
        key: ObjectHandle,
        algorithm: KeyAlgorithm,
    ) -> Result<[u8; 3], Fault> {
        let mut block = [0; 16];
        let (mechanism, len) = match algorithm {
            KeyAlgorithm::Aes256 => (mechanisms.encrypt_aes, 16),
            KeyAlgorithm::Tdes | KeyAlgorithm::Sm4 | KeyAlgorithm::Sm2 => (mechanisms.encrypt, 8),
        };
        let (block, _) = block.split_at_mut(len);
        self.module.calls.encrypt(self.session, mechanism, key, block)?;
        Ok([block[0], block[1], block[2]])
    }

    /// Everything in the token, or `None` when no vault was made in it.
    pub(crate) fn read(&self) -> Result<Option<Shelf>, Fault> {
        let mut vault = None;
        let mut records: BTreeMap<KeyPlace, KeyRecord> = BTreeMap::new();
        for handle in self.session.find_objects(&ours())? {
            let (label, value) = self.label_and_value(handle)?;
            if label == VAULT_LABEL {
                vault = VaultRecord::from_bytes(&value);
                continue;
            }
            let Some(record) = KeyRecord::from_bytes(&value) else {
                let label = String::from_utf8_lossy(&label).into_owned();
                let reason = format!("its record {label:?} was written by another version");
                return Err(unavailable(reason).into());
            };
            let known = records.entry(record.place).or_insert(record);
            if known.revision < record.revision {
                *known = record;
            }
        }
        let Some(VaultRecord { origin, levels }) = vault else { return Ok(None) };
        retire_older(&mut records);
        let handles = self.keys()?;
        let mut shelf = Shelf { origin, levels, keys: KeyTable::default(), revision: 0 };
        for KeyRecord { revision, place, algorithm, state, kcv } in records.into_values() {
            shelf.revision = shelf.revision.max(revision);
            let mut value = handles.get(&id(&place)).copied();
            if state == KeyState::Destroyed
                && let Some(left_by_a_cut) = value.take()
            {
                self.session.destroy_object(left_by_a_cut)?;
            }
            shelf.keys.restore(Entry { place, algorithm, state, kcv, value });
        }
        Ok(Some(shelf))
    }

    /// Makes a vault in a token that has none.
    pub(crate) fn found_vault(&self, vault: &VaultRecord) -> Result<(), Fault> {
        self.write(VAULT_LABEL.to_vec(), vault.to_bytes())?;
        Ok(())
    }

    /// Writes a record in place of the earlier ones of its key.
    pub(crate) fn write_record(&self, record: KeyRecord) -> Result<(), Fault> {
        let label = label(&record.place);
        let mut search = ours().to_vec();
        search.push(Attribute::Label(label.clone()));
        let earlier = self.session.find_objects(&search)?;
        self.write(label, record.to_bytes())?;
        // The change has happened. What cannot be removed now is outvoted by its revision.
        for handle in earlier {
            let _ = self.session.destroy_object(handle);
        }
        Ok(())
    }

    /// Destroys whatever key objects stand at a place: a destroyed key's, or one whose record was never written.
    pub(crate) fn clear(&self, place: &KeyPlace) -> Result<(), Fault> {
        let search =
            [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Token(true), Attribute::Id(id(place))];
        for handle in self.session.find_objects(&search)? {
            self.session.destroy_object(handle)?;
        }
        Ok(())
    }

    fn write(&self, label: Vec<u8>, value: Vec<u8>) -> Result<ObjectHandle, Fault> {
        let mut template = ours().to_vec();
        template.extend([Attribute::Private(true), Attribute::Label(label), Attribute::Value(value)]);
        Ok(self.session.create_object(&template)?)
    }

    fn label_and_value(&self, handle: ObjectHandle) -> Result<(Vec<u8>, Vec<u8>), Fault> {
        let (mut label, mut value) = (Vec::new(), Vec::new());
        for attribute in self.session.get_attributes(handle, &[AttributeType::Label, AttributeType::Value])? {
            match attribute {
                Attribute::Label(bytes) => label = bytes,
                Attribute::Value(bytes) => value = bytes,
                _ => {}
            }
        }
        Ok((label, value))
    }

    /// Every secret key of the token by its `CKA_ID`.
    fn keys(&self) -> Result<BTreeMap<Vec<u8>, ObjectHandle>, Fault> {
        let search = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Token(true)];
        let mut keys = BTreeMap::new();
        for handle in self.session.find_objects(&search)? {
            if let [Attribute::Id(id)] = &*self.session.get_attributes(handle, &[AttributeType::Id])? {
                keys.insert(id.clone(), handle);
            }
        }
        Ok(keys)
    }
}

/// What our records have in common.
fn ours() -> [Attribute; 3] {
    [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Application(APPLICATION.to_vec()),
    ]
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
    use ykt_vault::KeyRef;

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
        assert_eq!(states, [Retired, Active, Active, Generated].map(|state| state), "by place");
    }
}
