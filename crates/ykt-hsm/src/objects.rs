//! The objects in the token: keys, and the notes beside them, read once and then followed.
//!
//! Every key is a private, sensitive token object: PKCS#11 shows its value to nobody. Keys that a card or PSAM holds
//! as they are must be extractable (wrapped, never in clear), because a WRITE KEY covers header and key together and
//! no token makes that cryptogram; the keys above them are what [`Export`] says.

use crate::connection::Line;
use crate::fault::{Fault, unavailable};
use crate::ledger::Ledger;
use crate::record::{KeyRecord, Note, VaultRecord, id, label};
use crate::settings::{Export, Mechanisms};
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use ykt_vault::table::{Entry, KeyTable};
use ykt_vault::{
    KeyAlgorithm, KeyKind, KeyPlace, KeyState, KeyValue, Levels, Origin, Scheme, VaultError, transport,
};
use zeroize::Zeroizing;

/// `CKA_APPLICATION` of our records.
const APPLICATION: &[u8] = b"yikatong";
/// One state of the token: what readers see.
#[derive(Clone)]
pub(crate) struct Shelf {
    pub(crate) origin: Origin,
    pub(crate) levels: Levels,
    pub(crate) keys: KeyTable<ObjectHandle>,
    pub(crate) ledger: Ledger<ObjectHandle>,
}

impl Shelf {
    /// The vault these objects make, or `None` when they make none.
    fn of(ledger: Ledger<ObjectHandle>) -> Option<Shelf> {
        let VaultRecord { origin, levels } = ledger.notes().find_map(|note| match note {
            Note::Vault(vault) => Some(vault.clone()),
            _ => None,
        })?;
        let mut keys = KeyTable::default();
        for KeyRecord { place, algorithm, state, kcv, .. } in ledger.judged().into_values() {
            let value = ledger.keys_at(&place).last().copied().filter(|_| state != KeyState::Destroyed);
            keys.restore(Entry { place, algorithm, state, kcv, value });
        }
        Some(Shelf { origin, levels, keys, ledger })
    }
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

    /// Everything in the token, or `None` when no vault was made in it. Keys whose destruction was cut off go.
    pub(crate) fn read(&self) -> Result<Option<Shelf>, Fault> {
        let mut ledger = self.look_again(&Ledger::default())?.unwrap_or_default();
        for left_by_a_cut in ledger.condemned() {
            self.destroy(&mut ledger, left_by_a_cut)?;
        }
        Ok(Shelf::of(ledger))
    }

    /// The vault as it is now, which was `known` before. Looking for objects takes a token long when it has thousands, so
    /// the note of the latest change is asked first; then only what others have changed since is read.
    pub(crate) fn read_again(&self, known: &Shelf) -> Result<Option<Shelf>, Fault> {
        if self.is_latest(&known.ledger)? {
            return Ok(Some(known.clone()));
        }
        match self.look_again(&known.ledger)? {
            None => Ok(Some(known.clone())),
            Some(ledger) => Ok(Shelf::of(ledger)),
        }
    }

    /// Whether nobody has begun a change since.
    fn is_latest(&self, known: &Ledger<ObjectHandle>) -> Result<bool, Fault> {
        let [(handle, latest @ Note::Latest(1..))] = known.latest()[..] else { return Ok(false) };
        match self.note(handle) {
            Ok(note) => Ok(note == *latest),
            Err(Fault::Token(Error::Pkcs11(RvError::ObjectHandleInvalid, _))) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// The objects of the token; `None` when they are those that are known.
    fn look_again(&self, known: &Ledger<ObjectHandle>) -> Result<Option<Ledger<ObjectHandle>>, Fault> {
        let of_class = |class| self.session.find_objects(&[Attribute::Class(class), Attribute::Token(true)]);
        let (notes, keys) = (of_class(ObjectClass::DATA)?, of_class(ObjectClass::SECRET_KEY)?);
        let are_known = notes.iter().all(|handle| known.note(handle.handle()).is_some())
            && keys.iter().all(|handle| known.key_id(handle.handle()).is_some());
        if are_known && notes.len().saturating_add(keys.len()) == known.len() {
            return Ok(None);
        }
        let mut ledger = Ledger::default();
        for handle in notes {
            let number = handle.handle();
            let note = match known.note(number) {
                Some(note) => note.clone(),
                None => self.note(handle)?,
            };
            ledger.add_note(number, handle, note);
        }
        for handle in keys {
            let number = handle.handle();
            let id = match known.key_id(number) {
                Some(id) => id.clone(),
                None => self.key_id(handle)?,
            };
            ledger.add_key(number, handle, id);
        }
        Ok(Some(ledger))
    }

    fn note(&self, handle: ObjectHandle) -> Result<Note, Fault> {
        let (mut application, mut label, mut value) = (Vec::new(), Vec::new(), Vec::new());
        let wanted = [AttributeType::Application, AttributeType::Label, AttributeType::Value];
        for attribute in self.session.get_attributes(handle, &wanted)? {
            match attribute {
                Attribute::Application(bytes) => application = bytes,
                Attribute::Label(bytes) => label = bytes,
                Attribute::Value(bytes) => value = bytes,
                _ => {}
            }
        }
        if application != APPLICATION {
            return Ok(Note::Foreign);
        }
        Ok(Note::from_bytes(&label, &value).ok_or_else(|| {
            let label = String::from_utf8_lossy(&label).into_owned();
            unavailable(format!(
                "its record {label:?} is none that this version writes; open the token with the version that wrote it"
            ))
        })?)
    }

    fn key_id(&self, handle: ObjectHandle) -> Result<Vec<u8>, Fault> {
        match self.session.get_attributes(handle, &[AttributeType::Id])?.pop() {
            Some(Attribute::Id(id)) => Ok(id),
            _ => Ok(Vec::new()),
        }
    }

    /// Makes a vault in a token that has none.
    pub(crate) fn found_vault(&self, vault: VaultRecord) -> Result<(), Fault> {
        self.write(&mut Ledger::default(), Note::Vault(vault)).map(drop)
    }

    /// Writes a note.
    pub(crate) fn write(&self, ledger: &mut Ledger<ObjectHandle>, note: Note) -> Result<ObjectHandle, Fault> {
        let handle = self.session.create_object(&[
            Attribute::Class(ObjectClass::DATA),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Application(APPLICATION.to_vec()),
            Attribute::Label(note.label()),
            Attribute::Value(note.to_bytes()),
        ])?;
        ledger.add_note(handle.handle(), handle, note);
        Ok(handle)
    }

    /// Writes over the note of the latest change, which nothing depends on. A token that does not allow that, or has not
    /// exactly one, gets another in its place: destroying is slow where thousands of objects are.
    pub(crate) fn write_latest(&self, ledger: &mut Ledger<ObjectHandle>, revision: u64) -> Result<(), Fault> {
        let (note, known) = (Note::Latest(revision), ledger.latest());
        let known: Vec<_> = known.into_iter().map(|(handle, _)| handle).collect();
        if let [handle] = known[..]
            && self.session.update_attributes(handle, &[Attribute::Label(note.label())]).is_ok()
        {
            ledger.add_note(handle.handle(), handle, note);
            return Ok(());
        }
        known.into_iter().try_for_each(|handle| self.destroy(ledger, handle))?;
        self.write(ledger, note).map(drop)
    }

    /// Destroys an object of ours.
    pub(crate) fn destroy(
        &self,
        ledger: &mut Ledger<ObjectHandle>,
        handle: ObjectHandle,
    ) -> Result<(), Fault> {
        self.session.destroy_object(handle)?;
        ledger.remove(handle.handle());
        Ok(())
    }
}
