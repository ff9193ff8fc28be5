//! Key ceremonies (密钥仪式, `keys-and-ca.md` 3): custodians, each with a component, make a key that none of them knows.
//!
//! The actors: a key administrator conducts; two to eight custodians, all present and none of them the administrator,
//! give one component each. That is the rule of two people here: the administrator alone brings nothing, and whoever
//! brings something cannot begin or finish. [`Ceremony`] holds the components in memory, does no I/O and is told the
//! time; leaving it, by [`Ceremony::abort`] or by dropping it, wipes them. What it shows of a component is its KCV.

mod component;
mod error;
mod protocol;
mod shares;
mod sheet;

pub use component::{COMPONENT_LEN_MAX, Component, ComponentError, LINE_LEN, Way};
pub use error::CeremonyError;
pub use protocol::Protocol;
pub use sheet::{SHEET_STYLE, Sheet, SheetKind, SheetStyle};

use crate::{
    ImportedKey, KeyAlgorithm, KeyInfo, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, Vault,
    VaultError, VaultStatus,
};
use core::fmt;
use ykt_base::hex::Hex;
use ykt_base::{DateTime, Rng};

/// Fewest custodians.
pub const CUSTODIANS_LEN_MIN: usize = 2;
/// Most custodians.
pub const CUSTODIANS_LEN_MAX: usize = 8;
/// Most root keys of one seed.
pub const ROOTS_LEN_MAX: usize = 64;
/// Longest number of a ceremony: it stands on component cards, too.
pub const NUMBER_LEN_MAX: usize = 24;
/// Longest name or place in characters.
pub const TEXT_LEN_MAX: usize = 60;

/// Somebody who takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Sign-in name.
    pub name: String,
    /// The person's name.
    pub full_name: String,
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.full_name)
    }
}

/// What a ceremony is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// A new key from components.
    New {
        /// Of how many shares, one for each custodian, any so many shall give the key back; `None`: no shares.
        shares: Option<u8>,
    },
    /// The components of an earlier ceremony, for a vault that has not this key.
    Import {
        /// The combined KCV of that ceremony.
        kcv: [u8; 3],
    },
    /// The components of an earlier ceremony, compared with the key in the vault; nothing is changed.
    Rehearsal,
    /// Recovery shares of an earlier ceremony, for a vault that has not this key. The custodians are those who bring one.
    Recovery {
        /// The combined KCV of that ceremony.
        kcv: [u8; 3],
    },
}

impl Purpose {
    /// The word for protocols and lists.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Purpose::New { .. } => "new",
            Purpose::Import { .. } => "import",
            Purpose::Rehearsal => "rehearsal",
            Purpose::Recovery { .. } => "recovery",
        }
    }
}

/// What is agreed before a ceremony.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Number of the ceremony: on every sheet and card.
    pub number: String,
    /// Where it is held.
    pub place: String,
    /// Who conducts it; not a custodian.
    pub administrator: Person,
    /// Who gives components, in the order of their sheets.
    pub custodians: Vec<Person>,
    /// Algorithm of the key.
    pub algorithm: KeyAlgorithm,
    /// What for.
    pub purpose: Purpose,
    /// The key: of kind `seed`, or one root key directly.
    pub key: KeyRef,
    /// Root keys that are derived from the seed at the end.
    pub roots: Vec<KeyRef>,
}

/// What one custodian has given.
struct Given {
    component: Component,
    way: Way,
    /// Number of the share, in a recovery.
    share: u8,
    handed_out: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Finished,
    Aborted,
}

/// A ceremony that is being held.
pub struct Ceremony {
    plan: Plan,
    began_at: DateTime,
    stage: Stage,
    /// One place for each custodian, in the plan's order.
    given: Vec<Option<Given>>,
    /// Recovery shares that wait for their sheets, in the plan's order.
    shares: Vec<Option<Component>>,
    /// KCVs of what was given; they stay when the components are gone.
    kcvs: Vec<Option<[u8; 3]>>,
    combined: Option<[u8; 3]>,
    keys: Vec<KeyInfo>,
    steps: Vec<(DateTime, String)>,
}

impl Ceremony {
    /// Begins a ceremony.
    ///
    /// # Errors
    /// [`CeremonyError`] naming what of the plan cannot be.
    pub fn begin(plan: Plan, at: DateTime) -> Result<Ceremony, CeremonyError> {
        check(&plan)?;
        let places = plan.custodians.len();
        let steps = vec![(at, format!("{} begins the ceremony", plan.administrator.name))];
        Ok(Ceremony {
            began_at: at,
            stage: Stage::Open,
            given: (0..places).map(|_| None).collect(),
            shares: Vec::new(),
            kcvs: vec![None; places],
            combined: None,
            keys: Vec::new(),
            steps,
            plan,
        })
    }

    /// What was agreed.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// When it began.
    #[must_use]
    pub const fn began_at(&self) -> DateTime {
        self.began_at
    }

    /// The custodians, with the KCVs of what they have given.
    pub fn custodians(&self) -> impl Iterator<Item = (&Person, Option<[u8; 3]>)> {
        self.plan.custodians.iter().zip(self.kcvs.iter().copied())
    }

    /// KCV of the key, as soon as everybody has given.
    #[must_use]
    pub const fn combined_kcv(&self) -> Option<[u8; 3]> {
        self.combined
    }

    /// The keys that were made.
    #[must_use]
    pub fn keys(&self) -> &[KeyInfo] {
        &self.keys
    }

    /// Whether it was finished or aborted.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.stage != Stage::Open
    }

    /// Whether a sheet waits for this custodian: of his component, or of his recovery share.
    #[must_use]
    pub fn sheet_waits(&self, name: &str) -> bool {
        let Ok(at) = self.position(name) else { return false };
        let given = self.given.get(at).and_then(Option::as_ref);
        let wants_share = self.share_is_open(at);
        matches!(self.plan.purpose, Purpose::New { .. })
            && self.combined.is_some()
            && given.is_some_and(|given| !given.handed_out || wants_share)
    }

    /// Takes a custodian's component; answers its KCV.
    ///
    /// # Errors
    /// [`CeremonyError`], and nothing is changed.
    pub fn give(
        &mut self,
        name: &str,
        component: Component,
        way: Way,
        at: DateTime,
    ) -> Result<[u8; 3], CeremonyError> {
        if matches!(self.plan.purpose, Purpose::Recovery { .. }) {
            return Err(CeremonyError::WrongPart { expected: "recovery shares with their numbers" });
        }
        self.take(name, Given { component, way, share: 0, handed_out: false }, at)
    }

    /// Takes a recovery share, by the number on its sheet; answers its KCV.
    ///
    /// # Errors
    /// [`CeremonyError`], and nothing is changed.
    pub fn give_share(
        &mut self,
        name: &str,
        share: u8,
        component: Component,
        way: Way,
        at: DateTime,
    ) -> Result<[u8; 3], CeremonyError> {
        if !matches!(self.plan.purpose, Purpose::Recovery { .. }) {
            return Err(CeremonyError::WrongPart { expected: "components, not recovery shares" });
        }
        let is_number = (1..=CUSTODIANS_LEN_MAX).contains(&usize::from(share));
        if !is_number || self.given.iter().flatten().any(|given| given.share == share) {
            return Err(CeremonyError::ShareNumber { found: share });
        }
        self.take(name, Given { component, way, share, handed_out: false }, at)
    }

    fn take(&mut self, name: &str, given: Given, at: DateTime) -> Result<[u8; 3], CeremonyError> {
        self.must_be_open()?;
        let place = self.position(name)?;
        if self.given.get(place).is_some_and(Option::is_some) {
            return Err(CeremonyError::GivenAlready { name: name.to_owned() });
        }
        let (expected, found) = (self.plan.algorithm, given.component.algorithm());
        if expected != found {
            return Err(CeremonyError::Algorithm { expected, found });
        }
        // Two shares of one secret can be equal by chance, two components only by mistake.
        let same = |other: &Given| other.component == given.component;
        if given.share == 0 && self.given.iter().flatten().any(same) {
            return Err(CeremonyError::SameComponent);
        }
        let kcv = given.component.kcv();
        let part = match given.share {
            0 => "a component".to_owned(),
            number => format!("share {number}"),
        };
        let step = format!("{name} gives {part}, {}, KCV {}", given.way, Hex(&kcv));
        let mut all: Vec<Option<&Given>> = self.given.iter().map(Option::as_ref).collect();
        if let Some(mine) = all.get_mut(place) {
            *mine = Some(&given);
        }
        let combined = match all.into_iter().collect::<Option<Vec<_>>>() {
            Some(parts) => Some(self.combine(&parts)?.kcv()),
            None => None,
        };
        if let (Some(mine), Some(shown)) = (self.given.get_mut(place), self.kcvs.get_mut(place)) {
            (*mine, *shown) = (Some(given), Some(kcv));
        }
        self.steps.push((at, step));
        if let Some(combined) = combined {
            self.combined = Some(combined);
            self.steps.push((at, format!("the parts together have KCV {}", Hex(&combined))));
        }
        Ok(kcv)
    }

    /// What the parts together give.
    fn combine(&self, parts: &[&Given]) -> Result<Component, CeremonyError> {
        let [first, others @ ..] = parts else { return Err(CeremonyError::ZeroKey) };
        if let Purpose::Recovery { .. } = self.plan.purpose {
            let points: Vec<(u8, &[u8])> =
                parts.iter().map(|given| (given.share, given.component.expose())).collect();
            let len = Component::len_of(self.plan.algorithm)?;
            let joined = shares::join(&points, len);
            return match Component::from_bytes(self.plan.algorithm, &joined) {
                Err(ComponentError::Zero) => Err(CeremonyError::ZeroKey),
                component => Ok(component?),
            };
        }
        let mut sum = first.component.clone();
        others.iter().for_each(|given| sum.add(&given.component));
        if sum.is_zero() { Err(CeremonyError::ZeroKey) } else { Ok(sum) }
    }

    /// Hands a custodian a sheet, once everybody has given: first that of the component he gave, then that of his
    /// recovery share. Each is handed out once.
    ///
    /// # Errors
    /// [`CeremonyError::NoSheet`], [`CeremonyError::NotACustodian`], [`CeremonyError::Missing`] or
    /// [`CeremonyError::Ended`].
    pub fn hand_out(&mut self, name: &str, rng: &mut dyn Rng, at: DateTime) -> Result<Sheet, CeremonyError> {
        self.must_be_open()?;
        let place = self.position(name)?;
        let refused = |reason| CeremonyError::NoSheet { name: name.to_owned(), reason };
        let Purpose::New { shares } = self.plan.purpose else {
            return Err(refused("only a ceremony that makes a new key has sheets"));
        };
        let Some(combined) = self.combined else {
            return Err(CeremonyError::Missing { names: self.missing() });
        };
        if let Some(needed) = shares {
            self.split(needed, rng, at)?;
        }
        let given = self.given.get_mut(place).and_then(Option::as_mut);
        let given = given.ok_or_else(|| refused("he has given nothing"))?;
        let (kind, component, what) = if given.handed_out {
            let share = self.shares.get_mut(place).and_then(Option::take);
            let share = share.ok_or_else(|| refused("it was handed out already"))?;
            (SheetKind::Share { needed: shares.unwrap_or_default() }, share, "recovery share")
        } else {
            given.handed_out = true;
            (SheetKind::Component, given.component.clone(), "component")
        };
        let custodian = self.plan.custodians.get(place).ok_or_else(|| refused("he is no custodian"))?.clone();
        self.steps.push((at, format!("{name} gets the sheet of his {what}, KCV {}", Hex(&component.kcv()))));
        Ok(Sheet::new(&self.plan, self.began_at, kind, (place, custodian), component, combined))
    }

    /// Makes the recovery shares, when there are none yet.
    fn split(&mut self, needed: u8, rng: &mut dyn Rng, at: DateTime) -> Result<(), CeremonyError> {
        if !self.shares.is_empty() {
            return Ok(());
        }
        let parts = self.given.iter().flatten().collect::<Vec<_>>();
        let (key, algorithm) = (self.combine(&parts)?, self.plan.algorithm);
        let n = u8::try_from(self.plan.custodians.len()).unwrap_or(u8::MAX);
        let shares = shares::split(key.expose(), needed, n, rng);
        let shares = shares.iter().map(|share| Component::from_bytes(algorithm, share).map(Some));
        self.shares = shares.collect::<Result<_, _>>()?;
        self.steps.push((at, format!("{n} recovery shares are made, any {needed} give the key back")));
        Ok(())
    }

    /// Whether a custodian's recovery share is still to be handed out.
    fn share_is_open(&self, place: usize) -> bool {
        match self.plan.purpose {
            Purpose::New { shares: Some(_) } => {
                self.shares.is_empty() || self.shares.get(place).is_some_and(Option::is_some)
            }
            _ => false,
        }
    }

    /// Ends a ceremony that makes a key: the key goes into the vault, the roots are derived, the components are wiped.
    /// After a refusal of the vault it can be called again and goes on where it stopped.
    ///
    /// # Errors
    /// [`CeremonyError`]: not everybody has given, a sheet is open, another key than wanted, or the vault refuses.
    pub fn finish(
        &mut self,
        by: &str,
        vault: &dyn KeyManagement,
        at: DateTime,
    ) -> Result<&[KeyInfo], CeremonyError> {
        let key = self.whole(by)?;
        let found = key.kcv();
        match self.plan.purpose {
            Purpose::Rehearsal => {
                return Err(CeremonyError::WrongPart { expected: "a comparison with the vault at its end" });
            }
            Purpose::Import { kcv: expected } | Purpose::Recovery { kcv: expected } if expected != found => {
                return Err(CeremonyError::WrongKey { expected, found });
            }
            Purpose::Import { .. } | Purpose::Recovery { .. } => {}
            Purpose::New { .. } => self.nothing_is_open()?,
        }
        if self.keys.is_empty() {
            self.places_are_free(vault)?;
            let value = key.value().ok_or(ComponentError::Algorithm { algorithm: self.plan.algorithm })?;
            // Nobody uses a seed but the next lines; any other key waits for its activation by two people.
            let state =
                if self.plan.key.kind == KeyKind::Seed { KeyState::Active } else { KeyState::Generated };
            let place = KeyPlace::root(self.plan.key);
            let made = vault.import(ImportedKey { place, state, value, kcv: Some(found) })?;
            self.note_key(made, at);
        }
        for root in self.plan.roots.clone() {
            if !self.keys.iter().any(|made| made.key == root) {
                let made = vault.derive_root(self.plan.key, root)?;
                self.note_key(made, at);
            }
        }
        self.end(Stage::Finished, at, format!("{by} finishes the ceremony"));
        Ok(&self.keys)
    }

    /// Ends a rehearsal: compares what was given with the vault's key by KCV. The components are wiped either way.
    ///
    /// # Errors
    /// [`CeremonyError::WrongKey`] with both KCVs, or as [`Ceremony::finish`].
    pub fn compare(&mut self, by: &str, vault: &dyn Vault, at: DateTime) -> Result<[u8; 3], CeremonyError> {
        let found = self.whole(by)?.kcv();
        if self.plan.purpose != Purpose::Rehearsal {
            return Err(CeremonyError::WrongPart { expected: "a key for the vault at its end" });
        }
        let key = self.plan.key;
        let list = vault.list()?;
        let in_vault = list.iter().find(|info| info.key == key && info.depth == 0 && info.owner.is_none());
        let expected = in_vault.ok_or(VaultError::NoSuchKey { key })?.kcv;
        let right = expected == found;
        let verdict = if right { "as given" } else { "which is another key" };
        self.steps.push((at, format!("the vault's {key} has KCV {}, {verdict}", Hex(&expected))));
        self.end(Stage::Finished, at, format!("{by} finishes the rehearsal; nothing is changed"));
        if right { Ok(found) } else { Err(CeremonyError::WrongKey { expected, found }) }
    }

    /// Ends it without a result. Everything that was given is wiped.
    pub fn abort(&mut self, by: &str, at: DateTime) {
        if self.stage == Stage::Open {
            self.end(Stage::Aborted, at, format!("{by} aborts the ceremony"));
        }
    }

    /// What happened so far, with every KCV and no component; the vault that stands in it is the one the keys are in.
    #[must_use]
    pub fn protocol(&self, software: &str, vault: &VaultStatus) -> Protocol {
        Protocol::of(&self.plan, &self.steps, software, vault)
    }

    fn end(&mut self, stage: Stage, at: DateTime, step: String) {
        self.given.iter_mut().for_each(|given| *given = None);
        self.shares.clear();
        self.stage = stage;
        self.steps.push((at, step));
    }

    fn note_key(&mut self, made: KeyInfo, at: DateTime) {
        self.steps.push((at, format!("the vault holds: {made}")));
        self.keys.push(made);
    }

    /// The key of everybody's parts, for the administrator.
    fn whole(&self, by: &str) -> Result<Component, CeremonyError> {
        self.must_be_open()?;
        let administrator = &self.plan.administrator.name;
        if by != administrator {
            let (name, administrator) = (by.to_owned(), administrator.clone());
            return Err(CeremonyError::NotTheAdministrator { name, administrator });
        }
        let parts = self.given.iter().map(Option::as_ref).collect::<Option<Vec<_>>>();
        self.combine(&parts.ok_or_else(|| CeremonyError::Missing { names: self.missing() })?)
    }

    fn must_be_open(&self) -> Result<(), CeremonyError> {
        if self.stage == Stage::Open { Ok(()) } else { Err(CeremonyError::Ended) }
    }

    /// No key is made when one of them could not be.
    fn places_are_free(&self, vault: &dyn KeyManagement) -> Result<(), CeremonyError> {
        let list = vault.list()?;
        let taken = |key: &KeyRef| list.iter().any(|info| info.key == *key && info.depth == 0);
        let mut wanted = core::iter::once(&self.plan.key).chain(&self.plan.roots);
        wanted.find(|key| taken(key)).map_or(Ok(()), |key| Err(VaultError::AlreadyThere { key: *key }.into()))
    }

    /// What was drawn, and every recovery share, is on paper or on a card.
    fn nothing_is_open(&self) -> Result<(), CeremonyError> {
        let drawn = |given: &Given| given.way == Way::Drawn && !given.handed_out;
        let names = self.names(|place, given| given.is_some_and(drawn) || self.share_is_open(place));
        if names.is_empty() { Ok(()) } else { Err(CeremonyError::SheetsOpen { names }) }
    }

    fn missing(&self) -> String {
        self.names(|_, given| given.is_none())
    }

    fn names(&self, wanted: impl Fn(usize, Option<&Given>) -> bool) -> String {
        let all = self.plan.custodians.iter().zip(&self.given).enumerate();
        let wanted = all.filter(|(place, (_, given))| wanted(*place, given.as_ref()));
        wanted.map(|(_, (person, _))| person.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn position(&self, name: &str) -> Result<usize, CeremonyError> {
        self.plan.custodians.iter().position(|person| person.name == name).ok_or_else(|| {
            let custodians: Vec<_> = self.plan.custodians.iter().map(|person| person.name.as_str()).collect();
            CeremonyError::NotACustodian { name: name.to_owned(), custodians: custodians.join(", ") }
        })
    }
}

fn check(plan: &Plan) -> Result<(), CeremonyError> {
    let people = core::iter::once(&plan.administrator).chain(&plan.custodians);
    let names = people.flat_map(|person| [("a sign-in name", &person.name), ("a name", &person.full_name)]);
    let is_sign = |sign: char| sign.is_ascii_alphanumeric() || sign == '-';
    if !(1..=NUMBER_LEN_MAX).contains(&plan.number.len()) || !plan.number.chars().all(is_sign) {
        return Err(CeremonyError::Number { found: plan.number.clone() });
    }
    let texts = [("the place", &plan.place)];
    for (what, text) in texts.into_iter().chain(names) {
        let len = text.chars().count();
        if !(1..=TEXT_LEN_MAX).contains(&len) || text.chars().any(char::is_control) || text.trim() != text {
            return Err(CeremonyError::Text { what, found: text.clone() });
        }
    }
    let custodians = &plan.custodians;
    let found = custodians.len();
    if !(CUSTODIANS_LEN_MIN..=CUSTODIANS_LEN_MAX).contains(&found) {
        return Err(CeremonyError::Custodians { found });
    }
    for (at, person) in custodians.iter().enumerate() {
        let name = person.name.clone();
        if name == plan.administrator.name {
            return Err(CeremonyError::AdministratorIsCustodian { name });
        }
        if custodians.iter().take(at).any(|other| other.name == name) {
            return Err(CeremonyError::SamePerson { name });
        }
    }
    Component::len_of(plan.algorithm)?;
    let algorithms = plan.key.kind.algorithms();
    if !algorithms.contains(&plan.algorithm) {
        let names: Vec<_> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
        let (key, expected) = (plan.key, names.join(", "));
        return Err(CeremonyError::KindAlgorithm { key, expected, found: plan.algorithm });
    }
    if let Purpose::New { shares: Some(needed) } = plan.purpose
        && !(2..=found).contains(&usize::from(needed))
    {
        return Err(CeremonyError::Shares { of: found, found: needed });
    }
    for (at, key) in plan.roots.iter().enumerate() {
        let refused = |reason| Err(CeremonyError::Root { key: *key, reason });
        if plan.key.kind != KeyKind::Seed {
            return refused("roots come from a seed, and this ceremony makes another kind of key");
        }
        if key.kind == KeyKind::Seed {
            return refused("a seed is made from components");
        }
        if at >= ROOTS_LEN_MAX {
            return refused("more roots than one ceremony makes");
        }
        if plan.roots.iter().take(at).any(|other| other == key) {
            return refused("it is named twice");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
