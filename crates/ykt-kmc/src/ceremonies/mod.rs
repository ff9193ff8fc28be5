//! Ceremonies as the centre holds them: people from the register, components in memory, records in the database.
//!
//! The rules are those of [`ykt_vault::ceremony`]; this room adds who may take part (a key administrator conducts,
//! custodians give), writes each step into the audit log, and keeps the signed protocol. A ceremony lives in the memory
//! of one process: when that ends, its components are gone, and the ceremony is begun again.

pub mod cards;
mod roots;
mod store;

pub use roots::{RootsError, root, roots};
pub use store::{MODULE, custodians, list, one, protocol};

use crate::Centre;
use crate::registry::{self, Source, Word};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use thiserror::Error;
use ykt_base::hex::Hex;
use ykt_base::{DateTime, Rng};
use ykt_office::Act;
use ykt_office::audit::{self, Outcome};
use ykt_office::people::{self, Permission};
use ykt_store::{Store, StoreError, Tx};
use ykt_vault::ceremony::{
    Ceremony, CeremonyError, Component, ComponentError, Person, Plan, Purpose, Sheet, Way,
};
use ykt_vault::{KeyAlgorithm, KeyInfo, KeyRef, SignedText, Signer, VaultStatus};

/// Most ceremonies that are held at the same time.
pub const CEREMONIES_LEN_MAX: usize = 4;
/// What stands in protocols as the software.
const SOFTWARE: &str = concat!("yikatong ", env!("CARGO_PKG_VERSION"));

ykt_store::coded! {
    /// What has become of a ceremony.
    CeremonyState {
        /// Being held, in the memory of one process.
        Open = 1, "open";
        /// Finished: the key is in the vault, or the rehearsal was right.
        Finished = 2, "finished";
        /// Aborted by a person, or its process ended.
        Aborted = 3, "aborted";
        /// What was given is another key than the one wanted.
        Failed = 4, "failed";
    }
}

/// A ceremony as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CeremonyRow {
    /// Its number: day and count.
    pub number: String,
    /// What for: new, import, rehearsal, recovery.
    pub purpose: String,
    /// The key it is about.
    pub key: String,
    /// Algorithm of the key.
    pub algorithm: String,
    /// Where it is held.
    pub place: String,
    /// Sign-in name of who conducts it.
    pub administrator: String,
    /// What has become of it.
    pub state: CeremonyState,
    /// When it began.
    pub began_at: DateTime,
    /// When it ended.
    pub ended_at: Option<DateTime>,
    /// KCV of the key.
    pub kcv: Option<[u8; 3]>,
    /// Whether its protocol is signed.
    pub signed: bool,
}

/// A custodian of a ceremony.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodianRow {
    /// Number from 1.
    pub position: u32,
    /// Who.
    pub person: Person,
    /// KCV of what the custodian has given.
    pub kcv: Option<[u8; 3]>,
}

/// What is agreed before a ceremony; people by their sign-in names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCeremony {
    /// Where it is held.
    pub place: String,
    /// Who gives components, in the order of their sheets.
    pub custodians: Vec<String>,
    /// What for.
    pub purpose: Purpose,
    /// The key: of kind `seed`, or one root key directly.
    pub key: KeyRef,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// Root keys that are derived from the seed at the end.
    pub roots: Vec<KeyRef>,
}

/// A ceremony that is being held, as its people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What was agreed.
    pub plan: Plan,
    /// KCVs of what was given, in the plan's order.
    pub kcvs: Vec<Option<[u8; 3]>>,
    /// KCV of the key, as soon as everybody has given.
    pub combined: Option<[u8; 3]>,
    /// Sign-in names of those for whom a sheet waits.
    pub sheets_wait: Vec<String>,
}

/// Why a step of a ceremony is not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CeremoniesError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A rule of ceremonies, or the vault.
    #[error(transparent)]
    Rule(#[from] CeremonyError),
    /// Somebody who may not.
    #[error("{name} may not do this: expected an enabled user who may {needs}; ask a security officer")]
    NotAllowed {
        /// Sign-in name.
        name: String,
        /// What it takes.
        needs: Permission,
    },
    /// No such ceremony is being held here.
    #[error(
        "no ceremony {number} is being held; when the program was started again, begin the ceremony again"
    )]
    NotHeld {
        /// The number asked for.
        number: String,
    },
    /// Too many at the same time.
    #[error("{CEREMONIES_LEN_MAX} ceremonies are being held; finish or abort one first")]
    TooMany,
}

impl From<ComponentError> for CeremoniesError {
    fn from(error: ComponentError) -> CeremoniesError {
        CeremoniesError::Rule(error.into())
    }
}

/// The ceremonies of one installation.
pub struct Ceremonies {
    store: Store,
    held: Mutex<BTreeMap<String, Ceremony>>,
}

impl Ceremonies {
    /// No ceremony is held.
    #[must_use]
    pub fn new(store: Store) -> Ceremonies {
        Ceremonies { store, held: Mutex::default() }
    }

    /// At start: what an earlier process left open is aborted, for its components are gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget(&self, now: DateTime) -> Result<(), StoreError> {
        let act = Act::of_system("ceremonies", now);
        let held = self.held();
        self.store.write(|tx| {
            for number in store::open(tx)?.into_iter().filter(|number| !held.contains_key(number)) {
                if let Some(row) = one(tx, &number)? {
                    let ended = CeremonyRow { state: CeremonyState::Aborted, ended_at: Some(now), ..row };
                    store::end(tx, &ended, None)?;
                    let why = "the program was started again";
                    audit::append(tx, &act, "ceremony/finish", &number, Outcome::Refused, why)?;
                }
            }
            Ok(())
        })
    }

    /// Begins a ceremony, conducted by who acts; answers its number.
    ///
    /// # Errors
    /// [`CeremoniesError`]: somebody may not take part, or the plan cannot be.
    pub fn begin(&self, act: &Act, new: NewCeremony) -> Result<String, CeremoniesError> {
        let mut held = self.held();
        if held.len() >= CEREMONIES_LEN_MAX {
            return Err(CeremoniesError::TooMany);
        }
        let begun = self.store.write(|tx| {
            let number = number(tx, act.at)?;
            match begin(tx, act, new, number.clone()) {
                Ok(ceremony) => {
                    store::insert(tx, &ceremony)?;
                    let plan = ceremony.plan();
                    let names: Vec<_> = plan.custodians.iter().map(|person| person.name.as_str()).collect();
                    let detail = format!("{} of the {}; {}", plan.purpose.name(), plan.key, names.join(", "));
                    audit::append(tx, act, "ceremony/begin", &number, Outcome::Done, &detail)?;
                    Ok(Ok(ceremony))
                }
                Err(CeremoniesError::Store(error)) => Err(error),
                Err(refusal) => {
                    audit::append(tx, act, "ceremony/begin", "", Outcome::Refused, &refusal.to_string())?;
                    Ok(Err(refusal))
                }
            }
        })?;
        let ceremony = begun?;
        let number = ceremony.plan().number.clone();
        held.insert(number.clone(), ceremony);
        Ok(number)
    }

    /// Takes the component of who acts; answers its KCV.
    ///
    /// # Errors
    /// [`CeremoniesError`], and nothing is taken.
    pub fn give(
        &self,
        act: &Act,
        number: &str,
        component: Component,
        way: Way,
    ) -> Result<[u8; 3], CeremoniesError> {
        self.take(act, number, |ceremony| ceremony.give(&act.who, component, way, act.at))
    }

    /// Takes the recovery share of who acts, by the number on its sheet; answers its KCV.
    ///
    /// # Errors
    /// As [`Ceremonies::give`].
    pub fn give_share(
        &self,
        act: &Act,
        number: &str,
        (share, component): (u8, Component),
        way: Way,
    ) -> Result<[u8; 3], CeremoniesError> {
        self.take(act, number, |ceremony| ceremony.give_share(&act.who, share, component, way, act.at))
    }

    /// Draws the component of who acts; answers its KCV. The component is on the sheet that is handed out later.
    ///
    /// # Errors
    /// As [`Ceremonies::give`].
    pub fn draw(&self, act: &Act, number: &str, rng: &mut dyn Rng) -> Result<[u8; 3], CeremoniesError> {
        self.take(act, number, |ceremony| {
            let component = Component::draw(ceremony.plan().algorithm, rng)?;
            ceremony.give(&act.who, component, Way::Drawn, act.at)
        })
    }

    fn take(
        &self,
        act: &Act,
        number: &str,
        give: impl FnOnce(&mut Ceremony) -> Result<[u8; 3], CeremonyError>,
    ) -> Result<[u8; 3], CeremoniesError> {
        self.step(act, number, ("ceremony/component", Permission::GiveComponent), |tx, ceremony| {
            let kcv = give(ceremony)?;
            store::gave(tx, number, &act.who, kcv)?;
            Ok((kcv, format!("KCV {}", Hex(&kcv))))
        })
    }

    /// Hands who acts a sheet, once everybody has given: of the component, then of the recovery share.
    ///
    /// # Errors
    /// [`CeremoniesError`].
    pub fn hand_out(&self, act: &Act, number: &str, rng: &mut dyn Rng) -> Result<Sheet, CeremoniesError> {
        self.step(act, number, ("ceremony/component", Permission::GiveComponent), |_, ceremony| {
            let sheet = ceremony.hand_out(&act.who, rng, act.at)?;
            let kcv = sheet.component().kcv();
            Ok((sheet, format!("sheet handed out, KCV {}", Hex(&kcv))))
        })
    }

    /// Finishes a ceremony: the key goes into the vault and the roots are derived, or what was given is compared with the
    /// vault. The protocol is kept, with the centre's signature when it has a pair; [`Ceremonies::sign`] adds it later.
    ///
    /// # Errors
    /// [`CeremoniesError`]. After an outage of vault or database finishing again goes on where it stopped.
    pub fn finish(
        &self,
        act: &Act,
        number: &str,
        centre: &Centre,
        rng: &mut dyn Rng,
    ) -> Result<Vec<KeyInfo>, CeremoniesError> {
        self.step(act, number, ("ceremony/finish", Permission::ManageKeys), |tx, ceremony| {
            let outcome = match ceremony.plan().purpose {
                _ if ceremony.has_ended() => Ok(()),
                Purpose::Rehearsal => ceremony.compare(&act.who, &*centre.vault, act.at).map(drop),
                _ => ceremony.finish(&act.who, &*centre.vault, act.at).map(drop),
            };
            let state = match &outcome {
                Ok(()) => CeremonyState::Finished,
                Err(_) if ceremony.has_ended() => CeremonyState::Failed,
                Err(_) => return outcome.map(|()| Default::default()).map_err(Into::into),
            };
            register(tx, act, ceremony)?;
            let protocol = ceremony.protocol(SOFTWARE, &centre.vault.status());
            let file = match &centre.signer {
                Some(signer) => protocol.sign(&**signer, rng).map_err(CeremonyError::from)?.to_string(),
                None => protocol.text().to_owned(),
            };
            keep(tx, act, ceremony, state, (&file, centre.signer.is_some()))?;
            outcome?;
            let kcv = ceremony.combined_kcv().unwrap_or_default();
            let detail = format!("KCV {}, {} keys", Hex(&kcv), ceremony.keys().len());
            Ok((ceremony.keys().to_vec(), detail))
        })
    }

    /// Aborts a ceremony; everything that was given is wiped. The administrator and each custodian may.
    ///
    /// # Errors
    /// [`CeremoniesError::NotHeld`], [`CeremoniesError::NotAllowed`], or the database failed.
    pub fn abort(&self, act: &Act, number: &str, status: &VaultStatus) -> Result<(), CeremoniesError> {
        let mut held = self.held();
        let ceremony = of(&mut held, number)?;
        let plan = ceremony.plan();
        if !plan.custodians.iter().chain([&plan.administrator]).any(|person| person.name == act.who) {
            let (name, needs) = (act.who.clone(), Permission::ManageKeys);
            return Err(CeremoniesError::NotAllowed { name, needs });
        }
        ceremony.abort(&act.who, act.at);
        let protocol = ceremony.protocol(SOFTWARE, status).text().to_owned();
        let kept = self.store.write(|tx| {
            register(tx, act, ceremony)?;
            keep(tx, act, ceremony, CeremonyState::Aborted, (&protocol, false))?;
            audit::append(tx, act, "ceremony/finish", number, Outcome::Refused, "aborted")
        });
        held.remove(number);
        kept?;
        Ok(())
    }

    /// A ceremony that is being held.
    #[must_use]
    pub fn view(&self, number: &str) -> Option<Held> {
        let held = self.held();
        let ceremony = held.get(number)?;
        let names = ceremony.plan().custodians.iter().map(|person| person.name.clone());
        Some(Held {
            plan: ceremony.plan().clone(),
            kcvs: ceremony.custodians().map(|(_, kcv)| kcv).collect(),
            combined: ceremony.combined_kcv(),
            sheets_wait: names.filter(|name| ceremony.sheet_waits(name)).collect(),
        })
    }

    /// Signs the protocol of a ceremony that was held before the centre had its signing pair. One that is signed stays
    /// as it is.
    ///
    /// # Errors
    /// [`CeremoniesError`]: who acts may not, there is no such protocol, or the database or the signer failed.
    pub fn sign(
        &self,
        act: &Act,
        number: &str,
        signer: &dyn Signer,
        rng: &mut dyn Rng,
    ) -> Result<(), CeremoniesError> {
        self.store.write(|tx| {
            may(tx, &act.who, Permission::ManageKeys)?;
            let (Some(row), Some(text)) = (one(tx, number)?, protocol(tx, number)?) else {
                return Err(CeremoniesError::NotHeld { number: number.to_owned() });
            };
            if row.signed {
                return Ok(());
            }
            let signed = SignedText::sign(text, signer, rng).map_err(CeremonyError::from)?;
            store::end(tx, &CeremonyRow { signed: true, ..row }, Some(&signed.to_string()))?;
            audit::append(tx, act, "ceremony/sign", number, Outcome::Done, "protocol signed later")?;
            Ok(())
        })
    }

    /// One step of a ceremony, with its record in the audit log, done or refused. What a failing database leaves
    /// without a record has not happened: the ceremony is let go, except when its keys are in the vault already.
    fn step<T>(
        &self,
        act: &Act,
        number: &str,
        (what, needs): (&str, Permission),
        step: impl FnOnce(&Tx<'_>, &mut Ceremony) -> Result<(T, String), CeremoniesError>,
    ) -> Result<T, CeremoniesError> {
        let mut held = self.held();
        let ceremony = of(&mut held, number)?;
        let outcome = self.store.write(|tx| {
            let outcome = may(tx, &act.who, needs).and_then(|_| step(tx, ceremony));
            match &outcome {
                Ok((_, detail)) => audit::append(tx, act, what, number, Outcome::Done, detail)?,
                Err(CeremoniesError::Store(error)) => return Err(error.clone()),
                Err(refusal) => audit::append(tx, act, what, number, Outcome::Refused, &refusal.to_string())?,
            };
            Ok(outcome)
        });
        match outcome {
            Ok(outcome) => {
                if ceremony.has_ended() {
                    held.remove(number);
                }
                outcome.map(|(answer, _)| answer)
            }
            Err(error) => {
                if ceremony.keys().is_empty() {
                    held.remove(number);
                }
                Err(error.into())
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Ceremony>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of<'a>(
    held: &'a mut BTreeMap<String, Ceremony>,
    number: &str,
) -> Result<&'a mut Ceremony, CeremoniesError> {
    held.get_mut(number).ok_or_else(|| CeremoniesError::NotHeld { number: number.to_owned() })
}

/// Writes the end of a ceremony.
fn keep(
    tx: &Tx<'_>,
    act: &Act,
    ceremony: &Ceremony,
    state: CeremonyState,
    (protocol, signed): (&str, bool),
) -> Result<(), StoreError> {
    let Some(row) = one(tx, &ceremony.plan().number)? else { return Ok(()) };
    let kcv = ceremony.combined_kcv();
    let ended = CeremonyRow { state, ended_at: Some(act.at), kcv, signed, ..row };
    store::end(tx, &ended, Some(protocol))
}

/// Puts the keys of a ceremony into the registry.
fn register(tx: &Tx<'_>, act: &Act, ceremony: &Ceremony) -> Result<(), StoreError> {
    let plan = ceremony.plan();
    let custodians: Vec<_> = plan.custodians.iter().map(|person| person.name.as_str()).collect();
    let custodians = custodians.join(", ");
    let word = Word { act, asked_by: &act.who, approved_by: &custodians, reference: &plan.number };
    for made in ceremony.keys() {
        let source = if made.key == plan.key { Source::Ceremony } else { Source::Seed };
        registry::came(tx, made, (source, &plan.number), word)?;
    }
    Ok(())
}

/// Day and count: `C20261122-01`.
fn number(tx: &Tx<'_>, at: DateTime) -> Result<String, StoreError> {
    let day = format!("C{}-", at.date.compact());
    let count = store::count_of(tx, &day)?.saturating_add(1);
    Ok(format!("{day}{count:02}"))
}

fn begin(tx: &Tx<'_>, act: &Act, new: NewCeremony, number: String) -> Result<Ceremony, CeremoniesError> {
    let NewCeremony { place, custodians, purpose, key, algorithm, roots } = new;
    let administrator = may(tx, &act.who, Permission::ManageKeys)?;
    let custodians = custodians
        .iter()
        .map(|name| match *name == act.who {
            true => Err(CeremonyError::AdministratorIsCustodian { name: name.clone() }.into()),
            false => may(tx, name, Permission::GiveComponent),
        })
        .collect::<Result<_, _>>()?;
    let plan = Plan { number, place, administrator, custodians, algorithm, purpose, key, roots };
    Ok(Ceremony::begin(plan, act.at)?)
}

/// The person behind a sign-in name, when the register says that he may do this.
fn may(tx: &Tx<'_>, name: &str, needs: Permission) -> Result<Person, CeremoniesError> {
    let user = people::user(tx, name)?;
    let user = user.filter(|user| !user.disabled && user.role.may(needs));
    let user = user.ok_or_else(|| CeremoniesError::NotAllowed { name: name.to_owned(), needs })?;
    Ok(Person { name: user.name, full_name: user.full_name })
}

#[cfg(test)]
mod tests;
