//! The software vault: keys in this process, sealed in one file when they rest.
//!
//! A stored key stands at a level: at the root, at a level between (with its owner's factor, or for whoever asks),
//! or finished for one card. A holder's key is derived from the deepest stored key that fits it. Under the keys
//! directly above the cards stand masses of TACs; their round keys are kept ready.

mod new_key;

use crate::batch::{self, ReadyKeys, TacSource};
use crate::kind::{KeyKind, KeyState, Origin, Scheme};
use crate::levels::{Factor, Levels};
use crate::vault::{
    CardKeyRef, KeyAddress, KeyInfo, KeyLayout, KeyRef, LoadSession, MacVerdict, PresetJob, Secrecy,
    SecureMessage, TacJob, TacVerdict, Vault, VaultError, VaultStatus, WriteKeyJob,
};
use ykt_base::{Asn8, DateTime, IssuerFactor, Mac4, PsamSerial, Rng};
use ykt_crypto::sm::CommandBytes;
use ykt_crypto::{CardKey, Key16, SessionKey, sm};
use ykt_purse::hard_info::Preset;
use ykt_purse::key_card::KeyCardHeader;
use ykt_purse::write_key::{self, SamKeyHeader};
use ykt_purse::{PurseFen, load};

/// Transport key of the demonstration's blank cards and PSAMs: printed here, worth nothing.
pub const DEMO_TRANSPORT_KEY: [u8; 16] = *b"YIKATONG-BLANK-1";

/// A key from outside the vault.
pub struct ImportedKey {
    /// Kind, index, version.
    pub key: KeyRef,
    /// Position of its level: 0 is the root; for control keys of PSAMs 1 is the finished key.
    pub level: u8,
    /// Whose it is at its level; `None`: of every holder there.
    pub owner: Option<[u8; 8]>,
    /// State it comes in.
    pub state: KeyState,
    /// The key.
    pub value: Key16,
}

#[derive(Clone)]
pub(crate) struct StoredKey {
    pub(crate) key: KeyRef,
    pub(crate) level: u8,
    pub(crate) owner: Option<[u8; 8]>,
    pub(crate) state: KeyState,
    pub(crate) value: Key16,
}

impl StoredKey {
    fn place(&self) -> (KeyRef, u8, Option<[u8; 8]>) {
        (self.key, self.level, self.owner)
    }

    /// The vault keeps 3DES keys only.
    fn card_key(&self) -> CardKey {
        CardKey::Tdes(self.value.clone())
    }
}

/// What a key is wanted for: a retired key still checks, but goes to no card.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Write,
    Compute,
}

/// The software vault.
pub struct SoftVault {
    pub(crate) origin: Origin,
    pub(crate) levels: Levels,
    /// Ordered by kind, index, version, level, owner.
    pub(crate) keys: Vec<StoredKey>,
    ready: ReadyKeys,
}

impl SoftVault {
    /// A vault without keys.
    #[must_use]
    pub fn empty(levels: Levels, origin: Origin) -> SoftVault {
        SoftVault { origin, levels, keys: Vec::new(), ready: ReadyKeys::default() }
    }

    /// A vault with one active root key of every kind, index 1 and version 1. Transport keys are the vendor's:
    /// a demonstration gets [`DEMO_TRANSPORT_KEY`], in production they are imported.
    #[must_use]
    pub fn generate(levels: Levels, rng: &mut dyn Rng, origin: Origin) -> SoftVault {
        let mut vault = SoftVault::empty(levels, origin);
        for kind in KeyKind::ALL {
            let transport =
                matches!(kind, KeyKind::CardTransport | KeyKind::SamTransport | KeyKind::KeyCardTransport);
            let mut bytes = DEMO_TRANSPORT_KEY;
            match (transport, origin) {
                (true, Origin::Production) => continue,
                (true, Origin::Demo) => {}
                (false, _) => rng.fill(&mut bytes),
            }
            let (key, value) = (KeyRef::new(*kind, 1, 1), Key16::from_bytes(bytes));
            vault.keys.push(StoredKey { key, level: 0, owner: None, state: KeyState::Active, value });
        }
        vault.keys.sort_by_key(StoredKey::place);
        vault
    }

    /// Makes a new root key, not active yet.
    ///
    /// # Errors
    /// [`VaultError::AlreadyThere`] when there is one of this kind, index and version at the root.
    pub fn generate_key(&mut self, key: KeyRef, rng: &mut dyn Rng) -> Result<(), VaultError> {
        let mut bytes = [0; 16];
        rng.fill(&mut bytes);
        let value = Key16::from_bytes(bytes);
        self.import(ImportedKey { key, level: 0, owner: None, state: KeyState::Generated, value })
    }

    /// Takes a key from outside: a root, a first-level key or a finished card key.
    ///
    /// # Errors
    /// [`VaultError::NoSuchLevel`] or [`VaultError::AlreadyThere`].
    pub fn import(&mut self, imported: ImportedKey) -> Result<(), VaultError> {
        let ImportedKey { key, level, owner, state, value } = imported;
        let refused = |reason| Err(VaultError::NoSuchLevel { key, level, reason });
        if level > self.deepest(key.kind) {
            return refused("keys of this kind have no such level");
        }
        if level == 0 && owner.is_some() {
            return refused("a root key has no owner");
        }
        let stored = StoredKey { key, level, owner, state, value };
        match self.keys.binary_search_by_key(&stored.place(), StoredKey::place) {
            Ok(_) => return Err(VaultError::AlreadyThere { key }),
            Err(at) => self.keys.insert(at, stored),
        }
        self.ready.forget();
        Ok(())
    }

    /// Moves every stored key of this kind, index and version to another state. Activating one retires the active
    /// ones of the same kind and index.
    ///
    /// # Errors
    /// [`VaultError::NoSuchKey`], or [`VaultError::NoSuchStep`] and nothing is changed.
    pub fn change_state(&mut self, key: KeyRef, to: KeyState) -> Result<(), VaultError> {
        let mut meant = self.keys.iter().filter(|stored| stored.key == key).peekable();
        if meant.peek().is_none() {
            return Err(VaultError::NoSuchKey { key });
        }
        if let Some(stored) = meant.find(|stored| !stored.state.may_become(to)) {
            return Err(VaultError::NoSuchStep { key, from: stored.state, to });
        }
        for stored in &mut self.keys {
            let sibling = (stored.key.kind, stored.key.index) == (key.kind, key.index);
            if stored.key == key {
                stored.state = to;
                if to == KeyState::Destroyed {
                    stored.value = Key16::from_bytes([0; 16]);
                }
            } else if sibling && to == KeyState::Active && stored.state == KeyState::Active {
                stored.state = KeyState::Retired;
            }
        }
        self.ready.forget();
        Ok(())
    }

    /// Where its keys come from.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// The key as its holder has it, for [`crate::DeskKeys`] only.
    pub(crate) fn desk_key(&self, address: &KeyAddress) -> Result<CardKey, VaultError> {
        self.derive(address, Use::Compute)
    }

    /// Position of the finished key of a kind.
    fn deepest(&self, kind: KeyKind) -> u8 {
        match kind.scheme() {
            Scheme::Card => self.levels.card(),
            Scheme::Sam => 1,
            Scheme::Shared => 0,
        }
    }

    fn level_name(&self, kind: KeyKind, level: u8) -> String {
        match (kind.scheme(), level) {
            (Scheme::Sam, 1..) => "psam".to_owned(),
            _ => {
                self.levels.as_slice().get(usize::from(level)).map_or_else(String::new, |at| at.name.clone())
            }
        }
    }

    /// The deepest stored key at or above `level` that fits the holder and may be used.
    fn find(
        &self,
        key: KeyRef,
        level: u8,
        wanted: Use,
        owns: impl Fn(&StoredKey, &[u8; 8]) -> bool,
    ) -> Result<&StoredKey, VaultError> {
        let fits = |stored: &&StoredKey| {
            stored.key == key
                && stored.level <= level
                && stored.owner.as_ref().is_none_or(|owner| owns(stored, owner))
        };
        let deepest = |stored: &&StoredKey| (stored.level, stored.owner.is_some());
        let Some(stored) = self.keys.iter().filter(fits).max_by_key(deepest) else {
            return Err(VaultError::NoSuchKey { key });
        };
        match (stored.state, wanted) {
            (KeyState::Active, _) | (KeyState::Retired, Use::Compute) => Ok(stored),
            (state, _) => Err(VaultError::WrongState { key, state }),
        }
    }

    /// The key at `level` above a card of this issuer (or the card's own, at the card's level).
    fn key_at(
        &self,
        key: KeyRef,
        level: u8,
        issuer: IssuerFactor,
        asn: Asn8,
        wanted: Use,
    ) -> Result<CardKey, VaultError> {
        let stored = self.find(key, level, wanted, |stored, owner| {
            let at = self.levels.as_slice().get(usize::from(stored.level));
            match at.map(|level| level.factor) {
                Some(Factor::Card) => *owner == asn.0,
                Some(Factor::Issuer) => *owner == issuer.0,
                Some(Factor::Fixed(factor)) => *owner == factor.0,
                Some(Factor::Root) | None => false,
            }
        })?;
        let factors = self.levels.factors(stored.level, level, issuer, asn);
        Ok(factors.fold(stored.card_key(), |key, factor| key.diversify(&factor)))
    }

    fn derive(&self, address: &KeyAddress, wanted: Use) -> Result<CardKey, VaultError> {
        let key = address.key();
        match (address, key.kind.scheme()) {
            (KeyAddress::Card(CardKeyRef { factor, asn, .. }), Scheme::Card) => {
                self.key_at(key, self.levels.card(), *factor, *asn, wanted)
            }
            (KeyAddress::Sam { serial, .. }, Scheme::Sam) => {
                let factor = sam_factor(serial);
                let stored = self.find(key, 1, wanted, |_, owner| *owner == factor)?;
                let key = stored.card_key();
                Ok(if stored.level == 0 { key.diversify(&factor) } else { key })
            }
            (KeyAddress::Shared(_), Scheme::Shared) => {
                self.find(key, 0, wanted, |_, _| false).map(StoredKey::card_key)
            }
            _ => Err(VaultError::WrongHolder { key }),
        }
    }

    /// The key that makes the TAC keys of cards like this one; `None` when there is no usable one.
    fn tac_source(&self, card: &CardKeyRef) -> Option<TacSource> {
        let level = self.levels.card();
        let finished = self.keys.iter().any(|stored| stored.key == card.key && stored.level == level);
        let key_at = |level| self.key_at(card.key, level, card.factor, card.asn, Use::Compute).ok();
        if finished {
            return key_at(level).map(|key| TacSource::Finished(key.tac_key()));
        }
        let above = || level.checked_sub(1).and_then(key_at);
        self.ready.above((card.key, card.factor), above).map(TacSource::Above)
    }
}

/// Factor of a PSAM's control keys: the last eight bytes of its serial number.
fn sam_factor(serial: &PsamSerial) -> [u8; 8] {
    let [_, _, factor @ ..] = serial.0;
    factor
}

impl Vault for SoftVault {
    fn status(&self) -> VaultStatus {
        VaultStatus {
            backend: "software",
            version: env!("CARGO_PKG_VERSION").to_owned(),
            origin: self.origin,
            levels: self.levels.clone(),
            keys: self.keys.iter().filter(|stored| stored.state != KeyState::Destroyed).count(),
        }
    }

    fn list(&self) -> Vec<KeyInfo> {
        let info = |stored: &StoredKey| KeyInfo {
            key: stored.key,
            level: self.level_name(stored.key.kind, stored.level),
            owner: stored.owner,
            kcv: match stored.state {
                KeyState::Destroyed => [0; 3],
                _ => stored.card_key().kcv(),
            },
            state: stored.state,
            origin: self.origin,
        };
        self.keys.iter().map(info).collect()
    }

    fn kcv(&self, key: &KeyAddress) -> Result<[u8; 3], VaultError> {
        self.derive(key, Use::Compute).map(|key| key.kcv())
    }

    fn write_key(&self, job: &WriteKeyJob<'_>) -> Result<CommandBytes, VaultError> {
        let control = self.derive(&job.control, Use::Compute)?;
        let command = match &job.layout {
            KeyLayout::Card { family, target, header } => {
                let secret = self.new_card_key(&job.new, header, target.usage(), *family)?;
                let bytes = family.header(target.id(), header);
                write_key::command(&control, job.iv, family.command(*target), &bytes, secret.field())
            }
            KeyLayout::Sam { header } => {
                let key = self.new_sam_key(&job.new, header)?;
                let command = SamKeyHeader::COMMAND;
                write_key::command(&control, job.iv, command, &header.to_bytes(), key.expose())
            }
            KeyLayout::KeyCard { header } => {
                let secret = self.new_key_card_key(&job.new, header)?;
                let command = KeyCardHeader::COMMAND;
                write_key::command(&control, job.iv, command, &header.to_bytes(), secret.field())
            }
        };
        command.ok_or(VaultError::TooLong { len: Key16::LEN })
    }

    fn preset(&self, job: &PresetJob) -> Result<CommandBytes, VaultError> {
        let factory = self.derive(&KeyAddress::Shared(job.factory), Use::Compute)?;
        let CardKey::Tdes(transport_key) = self.derive(&KeyAddress::Shared(job.transport), Use::Write)?
        else {
            return Err(VaultError::WrongHolder { key: job.transport });
        };
        let preset = Preset {
            serial: job.serial,
            operator: job.operator,
            system: job.system,
            mf_create: job.mf_create,
            mf_switches: job.mf_switches,
            transport_key,
        };
        Ok(preset.to_apdu(&factory, job.iv))
    }

    fn external_authenticate(&self, key: &KeyAddress, challenge: [u8; 8]) -> Result<[u8; 8], VaultError> {
        self.derive(key, Use::Compute).map(|key| key.authenticate(challenge))
    }

    fn sm_mac(&self, key: &KeyAddress, iv: [u8; 8], parts: &[&[u8]]) -> Result<Mac4, VaultError> {
        self.derive(key, Use::Compute).map(|key| key.smac(iv, parts))
    }

    fn secure_message(&self, message: &SecureMessage<'_>) -> Result<CommandBytes, VaultError> {
        let SecureMessage { key, iv, header, data, secrecy } = message;
        let key = self.derive(key, Use::Compute)?;
        match secrecy {
            Secrecy::Clear => sm::plain_with_mac(&key, *iv, *header, data),
            Secrecy::Enciphered(padding) => sm::enciphered_with_mac(&key, *padding, *iv, *header, &[data]),
        }
        .ok_or(VaultError::TooLong { len: data.len() })
    }

    fn check_load_mac1(
        &self,
        session: &LoadSession,
        load: &load::Load,
        balance: PurseFen,
        mac1: &Mac4,
    ) -> Result<MacVerdict, VaultError> {
        let session = self.load_session_key(session)?;
        Ok(MacVerdict::of(&load::mac1(&session, load, balance), mac1))
    }

    fn load_mac2(&self, session: &LoadSession, load: &load::Load, at: DateTime) -> Result<Mac4, VaultError> {
        let session = self.load_session_key(session)?;
        Ok(load::mac2(&session, load, at))
    }

    fn verify_tacs(&self, jobs: &[TacJob]) -> Vec<TacVerdict> {
        batch::verify(jobs, |card| self.tac_source(card))
    }
}

impl SoftVault {
    fn load_session_key(&self, session: &LoadSession) -> Result<SessionKey, VaultError> {
        let key = self.derive(&KeyAddress::Card(session.key), Use::Compute)?;
        Ok(load::session_key(&key, session.random, session.counter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{NewKey, Receipt};
    use ykt_purse::purchase;
    use ykt_purse::write_key::KeyUsage;

    struct Zeros;

    impl Rng for Zeros {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(0);
        }
    }

    fn vault(origin: Origin) -> SoftVault {
        SoftVault::generate(Levels::nation_city_card(), &mut Zeros, origin)
    }

    const LOAD_1: KeyRef = KeyRef::new(KeyKind::Load, 1, 1);
    const LOAD_2: KeyRef = KeyRef::new(KeyKind::Load, 1, 2);

    fn card(key: KeyRef) -> KeyAddress {
        KeyAddress::Card(CardKeyRef { key, factor: IssuerFactor([1; 8]), asn: Asn8([2; 8]) })
    }

    fn writes(vault: &SoftVault, key: KeyRef) -> Result<CommandBytes, VaultError> {
        let header =
            write_key::KeyHeader { usage: KeyUsage::Load, ..write_key::control_key_header(key.version) };
        vault.write_key(&WriteKeyJob {
            control: card(KeyRef::new(KeyKind::ApplicationMaster, 1, 1)),
            new: NewKey::Own(card(key)),
            layout: KeyLayout::Card {
                family: write_key::KeyLayout::SourceDocuments,
                target: write_key::KeyTarget::Add { id: 1, usage: KeyUsage::Load },
                header,
            },
            iv: [0; 8],
        })
    }

    #[test]
    fn a_production_vault_has_no_transport_key_of_ours() {
        assert_eq!(vault(Origin::Demo).list().len(), KeyKind::ALL.len());
        let list = vault(Origin::Production).list();
        assert_eq!(list.len(), KeyKind::ALL.len() - 3);
        assert!(list.iter().all(|info| info.origin == Origin::Production));
    }

    /// A key's life: made, active, retired by its successor, back, destroyed.
    #[test]
    fn states_decide_what_a_key_may_do() {
        let mut vault = vault(Origin::Demo);
        vault.generate_key(LOAD_2, &mut Zeros).unwrap();
        let state = |vault: &SoftVault, key| {
            vault.list().into_iter().find(|info| info.key == key).map(|info| info.state)
        };
        assert_eq!(state(&vault, LOAD_2), Some(KeyState::Generated));
        let not_yet = VaultError::WrongState { key: LOAD_2, state: KeyState::Generated };
        assert_eq!(vault.kcv(&card(LOAD_2)), Err(not_yet));

        vault.change_state(LOAD_2, KeyState::Active).unwrap();
        assert_eq!(state(&vault, LOAD_1), Some(KeyState::Retired));
        assert!(vault.kcv(&card(LOAD_1)).is_ok(), "cards in the field are still served");
        let retired = VaultError::WrongState { key: LOAD_1, state: KeyState::Retired };
        assert_eq!(writes(&vault, LOAD_1).err(), Some(retired), "no card gets it any more");
        assert!(writes(&vault, LOAD_2).is_ok());

        vault.change_state(LOAD_1, KeyState::Destroyed).unwrap();
        assert!(vault.kcv(&card(LOAD_1)).is_err());
        let record = vault.list().into_iter().find(|info| info.key == LOAD_1).unwrap();
        assert_eq!((record.kcv, record.state), ([0; 3], KeyState::Destroyed), "its record stays");
        assert_eq!(
            vault.change_state(LOAD_1, KeyState::Active),
            Err(VaultError::NoSuchStep { key: LOAD_1, from: KeyState::Destroyed, to: KeyState::Active })
        );
        let unknown = KeyRef::new(KeyKind::Load, 7, 1);
        assert!(vault.change_state(unknown, KeyState::Active).is_err());
        assert_eq!(vault.status().keys, KeyKind::ALL.len());
    }

    /// Ready keys are kept by city; another state of the key is seen at once.
    #[test]
    fn a_destroyed_tac_key_checks_nothing_more() {
        let mut vault = vault(Origin::Demo);
        let key = KeyRef::new(KeyKind::Tac, 1, 1);
        let job = TacJob {
            key: CardKeyRef { key, factor: IssuerFactor([1; 8]), asn: Asn8([2; 8]) },
            receipt: Receipt::Purchase {
                purchase: purchase::Purchase {
                    kind: purchase::PurchaseKind::Purchase(ykt_purse::Purse::Ep),
                    amount: PurseFen::ZERO,
                    terminal: ykt_base::TerminalId([0; 6]),
                },
                sequence: ykt_base::TerminalSeq(1),
                at: DateTime::from_number(20_261_122_093_015).unwrap(),
            },
            tac: Mac4([0; 4]),
        };
        assert_eq!(vault.verify_tacs(&[job, job]), [TacVerdict::Wrong, TacVerdict::Wrong]);
        vault.change_state(key, KeyState::Retired).unwrap();
        assert_eq!(vault.verify_tacs(&[job]), [TacVerdict::Wrong]);
        vault.change_state(key, KeyState::Destroyed).unwrap();
        assert_eq!(vault.verify_tacs(&[job]), [TacVerdict::UnknownKeyVersion]);
    }

    #[test]
    fn imports_must_fit_the_hierarchy() {
        let mut vault = vault(Origin::Demo);
        let mut import = |key, level, owner| {
            let value = Key16::from_bytes([1; 16]);
            vault.import(ImportedKey { key, level, owner, state: KeyState::Active, value })
        };
        assert_eq!(import(LOAD_1, 0, None), Err(VaultError::AlreadyThere { key: LOAD_1 }));
        assert!(import(LOAD_1, 1, None).is_ok());
        assert!(import(LOAD_1, 2, Some([2; 8])).is_ok());
        assert!(matches!(import(LOAD_1, 3, None), Err(VaultError::NoSuchLevel { .. })));
        assert!(matches!(import(LOAD_2, 0, Some([1; 8])), Err(VaultError::NoSuchLevel { .. })));
        let transport = KeyRef::new(KeyKind::CardTransport, 2, 1);
        assert!(matches!(import(transport, 1, None), Err(VaultError::NoSuchLevel { .. })));
        let sam = KeyRef::new(KeyKind::SamMaster, 2, 1);
        assert!(import(sam, 1, Some([7; 8])).is_ok());
    }
}
