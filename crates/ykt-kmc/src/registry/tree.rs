//! The tree of all keys: what the vault holds and what the registry knows, laid side by side.

use super::KeyRecord;
use std::collections::BTreeMap;
use ykt_vault::{KeyAlgorithm, KeyInfo, KeyKind, KeyPlace, KeyState};

/// What kinds of keys belong together for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// The centre's own: seeds, transport keys between vaults, signing pairs.
    Centre,
    /// Control of user cards.
    Card,
    /// The purse: money, PIN, authentication.
    Purse,
    /// Tickets.
    Tickets,
    /// PSAMs.
    Psam,
    /// Key cards.
    KeyCard,
    /// Bank cards.
    Bank,
    /// M1 cards.
    M1,
    /// Recharge by short message.
    Sms,
}

impl Family {
    /// Every family, in the order of the tree.
    pub const ALL: [Family; 9] = [
        Family::Centre,
        Family::Card,
        Family::Purse,
        Family::Tickets,
        Family::Psam,
        Family::KeyCard,
        Family::Bank,
        Family::M1,
        Family::Sms,
    ];

    /// Name in addresses and lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Family::Centre => "centre",
            Family::Card => "card",
            Family::Purse => "purse",
            Family::Tickets => "tickets",
            Family::Psam => "psam",
            Family::KeyCard => "key-card",
            Family::Bank => "bank",
            Family::M1 => "m1",
            Family::Sms => "sms",
        }
    }

    /// The family of a kind.
    #[must_use]
    pub const fn of(kind: KeyKind) -> Family {
        use KeyKind as K;
        match kind {
            K::Seed | K::KeyTransport | K::Signing => Family::Centre,
            K::CardTransport
            | K::CardMaster
            | K::CardMaintenance
            | K::ApplicationMaster
            | K::ApplicationMaintenance => Family::Card,
            K::Purchase
            | K::Load
            | K::Unload
            | K::Overdraft
            | K::Tac
            | K::Pin
            | K::PinUnblock
            | K::PinReload
            | K::InternalAuthentication
            | K::ExternalAuthentication
            | K::GreyUnlock
            | K::AuthenticationCode => Family::Purse,
            K::TicketIssue | K::TicketRedeem | K::TicketTac => Family::Tickets,
            K::SamTransport
            | K::SamInitialisation
            | K::SamMaster
            | K::SamMaintenance
            | K::SamApplicationMaster
            | K::SamApplicationMaintenance => Family::Psam,
            K::KeyCardTransport
            | K::KeyCardMaster
            | K::KeyCardApplicationMaster
            | K::KeyCardApplicationMaintenance
            | K::KeyCardPinUnblock => Family::KeyCard,
            K::BankCard | K::BankAc | K::BankMac | K::BankEnc => Family::Bank,
            K::M1SectorA | K::M1SectorB => Family::M1,
            K::SmsKic | K::SmsKid => Family::Sms,
        }
    }
}

/// How vault and registry differ about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// The vault has it, and nobody wrote down how it came.
    NotRegistered,
    /// The registry knows it, the vault does not have it.
    NotInVault,
    /// Another state than it was brought into.
    State {
        /// What the registry says.
        registered: KeyState,
        /// What the vault says.
        found: KeyState,
    },
    /// Another check value: it is another key.
    Kcv {
        /// What the registry says.
        registered: [u8; 3],
        /// What the vault says.
        found: [u8; 3],
    },
    /// Another algorithm.
    Algorithm {
        /// What the registry says.
        registered: KeyAlgorithm,
        /// What the vault says.
        found: KeyAlgorithm,
    },
}

impl Difference {
    /// Name in lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Difference::NotRegistered => "not-registered",
            Difference::NotInVault => "not-in-vault",
            Difference::State { .. } => "state",
            Difference::Kcv { .. } => "kcv",
            Difference::Algorithm { .. } => "algorithm",
        }
    }
}

/// A key of the tree: known to the vault, to the registry, or to both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Where it is kept.
    pub place: KeyPlace,
    /// What the vault says.
    pub vault: Option<KeyInfo>,
    /// What the registry says.
    pub record: Option<KeyRecord>,
}

impl Leaf {
    /// Its state: the vault's word, and the registry's where the vault has nothing.
    #[must_use]
    pub fn state(&self) -> Option<KeyState> {
        let vault = self.vault.as_ref().map(|info| info.state);
        vault.or_else(|| self.record.as_ref().map(|record| record.state))
    }

    /// Its algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Option<KeyAlgorithm> {
        let vault = self.vault.as_ref().map(|info| info.algorithm);
        vault.or_else(|| self.record.as_ref().map(|record| record.algorithm))
    }

    /// Its check value. The vault forgets that of a destroyed key; the registry does not.
    #[must_use]
    pub fn kcv(&self) -> Option<[u8; 3]> {
        let vault = self.vault.as_ref().filter(|info| info.state != KeyState::Destroyed).map(|info| info.kcv);
        vault.or_else(|| self.record.as_ref().map(|record| record.kcv))
    }

    /// How vault and registry differ about it, the worst first.
    #[must_use]
    pub fn difference(&self) -> Option<Difference> {
        let (info, record) = match (&self.vault, &self.record) {
            (Some(info), Some(record)) => (info, record),
            (Some(_), None) => return Some(Difference::NotRegistered),
            (None, _) => return Some(Difference::NotInVault),
        };
        let is_there = info.state != KeyState::Destroyed;
        if is_there && info.kcv != record.kcv {
            return Some(Difference::Kcv { registered: record.kcv, found: info.kcv });
        }
        if is_there && info.algorithm != record.algorithm {
            return Some(Difference::Algorithm { registered: record.algorithm, found: info.algorithm });
        }
        (info.state != record.state)
            .then_some(Difference::State { registered: record.state, found: info.state })
    }
}

/// The keys of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch<'t> {
    /// The kind.
    pub kind: KeyKind,
    /// Its keys, by level, owner, index and version; a kind without keys has none.
    pub leaves: Vec<&'t Leaf>,
}

/// All keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    leaves: BTreeMap<KeyPlace, Leaf>,
}

impl Tree {
    /// Lays the vault's list and the registry's records side by side.
    #[must_use]
    pub fn of(vault: Vec<KeyInfo>, records: Vec<KeyRecord>) -> Tree {
        let mut leaves: BTreeMap<KeyPlace, Leaf> = BTreeMap::new();
        let empty = |place| Leaf { place, vault: None, record: None };
        for info in vault {
            let place = info.place();
            leaves.entry(place).or_insert_with(|| empty(place)).vault = Some(info);
        }
        for record in records {
            let place = record.place;
            leaves.entry(place).or_insert_with(|| empty(place)).record = Some(record);
        }
        Tree { leaves }
    }

    /// Every kind there is, family by family, with its keys.
    #[must_use]
    pub fn branches(&self) -> Vec<Branch<'_>> {
        let mut kinds: Vec<Branch<'_>> =
            KeyKind::ALL.iter().map(|kind| Branch { kind: *kind, leaves: Vec::new() }).collect();
        for leaf in self.leaves.values() {
            let of_kind = kinds.iter_mut().find(|branch| branch.kind == leaf.place.key.kind);
            of_kind.into_iter().for_each(|branch| branch.leaves.push(leaf));
        }
        for branch in &mut kinds {
            branch.leaves.sort_by_key(|Leaf { place, .. }| (place.level, place.owner, place.key));
        }
        kinds.sort_by_key(|branch| (Family::of(branch.kind), branch.kind.code()));
        kinds
    }

    /// Every key, by place.
    pub fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        self.leaves.values()
    }

    /// One key.
    #[must_use]
    pub fn leaf(&self, place: &KeyPlace) -> Option<&Leaf> {
        self.leaves.get(place)
    }

    /// The keys about which vault and registry differ.
    pub fn differences(&self) -> impl Iterator<Item = (&Leaf, Difference)> {
        self.leaves().filter_map(|leaf| leaf.difference().map(|difference| (leaf, difference)))
    }
}
