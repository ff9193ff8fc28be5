//! The centre itself: the database with its records, the vault with its keys, and the steps two people take to do
//! something to them.
//!
//! ```text
//!  ask ──▶ open request ──approve──▶ vault acts ──▶ registry, audit log and request in one transaction
//!                                       │ vault gone or locked: the request stays approved, the error comes at once
//!                                       │ process killed: the same
//!                                       └──▶ run again by hand or at the next start (`resume`)
//! ```

use crate::campaigns;
use crate::ceremonies::Ceremonies;
use crate::operations::{Effect, Ended, Facts, Operation, OperationError, Run, Summary};
use crate::registry::tree::Tree;
use crate::registry::{self, Source, Word};
use std::sync::{Arc, Mutex, PoisonError};
use ykt_base::{DateTime, Rng};
use ykt_office::Act;
use ykt_office::people::Permission;
use ykt_office::requests::{self, NewRequest, Request, RequestError, RequestFilter, RequestId, RequestState};
use ykt_store::{PAGE_ROWS_MAX, Paging, Store, StoreError};
use ykt_vault::pair::Pair;
use ykt_vault::{KeyManagement, Signer, VaultError};

/// The key management centre of one installation. Clones share database and vault.
#[derive(Clone)]
pub struct Centre {
    /// Registry, requests, campaigns, audit log.
    pub store: Store,
    /// The keys.
    pub vault: Arc<dyn KeyManagement>,
    /// The two vaults behind it, when they are a pair of primary and backup.
    pub pair: Option<Arc<Pair>>,
    /// The key pair that signs protocols and checkpoints of the audit log; none before the first ceremony made it.
    pub signer: Option<Arc<dyn Signer>>,
    /// The ceremonies that are being held.
    pub ceremonies: Arc<Ceremonies>,
    /// One operation at a time.
    acting: Arc<Mutex<()>>,
}

/// Why the tree cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The vault does not answer.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<TreeError> for OperationError {
    fn from(error: TreeError) -> OperationError {
        match error {
            TreeError::Vault(error) => error.into(),
            TreeError::Store(error) => error.into(),
        }
    }
}

impl Centre {
    /// A centre over the database of an installation and the vault it works with.
    #[must_use]
    pub fn new(store: Store, vault: Arc<dyn KeyManagement>, signer: Option<Arc<dyn Signer>>) -> Centre {
        let ceremonies = Arc::new(Ceremonies::new(store.clone()));
        Centre { store, vault, pair: None, signer, ceremonies, acting: Arc::default() }
    }

    /// The same over a pair of vaults, which it can compare, replicate and switch over.
    #[must_use]
    pub fn with_pair(self, pair: Arc<Pair>) -> Centre {
        Centre { pair: Some(pair), ..self }
    }

    /// Every key: the vault's list and the registry side by side.
    ///
    /// # Errors
    /// [`TreeError`] when the vault or the database does not answer.
    pub fn tree(&self) -> Result<Tree, TreeError> {
        let list = self.vault.list()?;
        let records = self.store.read(registry::records)?;
        Ok(Tree::of(list, records))
    }

    /// Takes every key of the vault that nobody has registered into the registry, as found; answers how many. At the
    /// first start over a vault that is older than the registry, or when a person has seen the differences.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn take_over(&self, act: &Act) -> Result<usize, TreeError> {
        let found = self.tree()?;
        let unknown =
            found.leaves().filter(|leaf| leaf.record.is_none()).filter_map(|leaf| leaf.vault.as_ref());
        let unknown: Vec<_> = unknown.collect();
        self.store.write(|tx| {
            for info in &unknown {
                registry::came(tx, info, (Source::Found, ""), Word::of(act))?;
            }
            Ok::<(), StoreError>(())
        })?;
        Ok(unknown.len())
    }

    /// What an operation will do as things stand.
    ///
    /// # Errors
    /// [`OperationError`] when vault or database do not answer.
    pub fn summary(&self, operation: &Operation) -> Result<Summary, OperationError> {
        let tree = self.tree()?;
        let of_pair = matches!(operation, Operation::Replicate | Operation::SwitchOver { .. });
        let pair = self.pair.as_deref().filter(|_| of_pair);
        let differences = pair.map(Pair::compare).transpose()?;
        let facts = self.store.read(|tx| {
            Ok::<_, StoreError>(Facts {
                stands_by: pair.map(|pair| pair.acting().other()),
                vaults_differ: differences.as_ref().map_or(0, Vec::len),
                cards_holding: match operation.endangers() {
                    Some(place) => campaigns::cards_holding(tx, &place)?,
                    None => 0,
                },
                cards_of_campaign: match operation {
                    Operation::StartCampaign { campaign } => campaigns::cards_chosen(tx, campaign)?,
                    _ => 0,
                },
            })
        })?;
        Ok(operation.summary(&tree, &facts))
    }

    /// Asks for an operation; somebody else must approve it.
    ///
    /// # Errors
    /// [`OperationError`] when it could not be done as things stand, or the person may not ask for it.
    pub fn ask(
        &self,
        act: &Act,
        id: RequestId,
        operation: &Operation,
        reason: &str,
    ) -> Result<Request, OperationError> {
        operation.check(&self.tree()?)?;
        if let Operation::StartCampaign { campaign } = operation {
            self.store.read(|tx| campaigns::may_start(tx, campaign))?;
        }
        let new = NewRequest {
            id,
            what: operation.word(),
            object: operation.object(),
            payload: operation.to_text(),
            reason: reason.to_owned(),
            needs: operation.needs(),
        };
        Ok(requests::keep(&self.store, |tx| requests::ask(tx, act, new))?)
    }

    /// Approves an operation that somebody else asked for, and carries it out.
    ///
    /// # Errors
    /// [`OperationError`]: not allowed, one's own request, not open any more; or the vault does not answer: then the
    /// request stays approved, and [`Centre::run`] tries again. An operation the vault refuses for good is no error:
    /// its request is `Failed` and says why.
    pub fn approve(&self, act: &Act, id: &RequestId, rng: &mut dyn Rng) -> Result<Request, OperationError> {
        let request = requests::keep(&self.store, |tx| requests::approve(tx, act, id))?;
        match request.state {
            RequestState::Approved => self.run(act, id, rng),
            _ => Ok(request),
        }
    }

    /// Refuses an operation that somebody else asked for.
    ///
    /// # Errors
    /// [`OperationError::Request`].
    pub fn refuse(&self, act: &Act, id: &RequestId, why: &str) -> Result<Request, OperationError> {
        Ok(requests::keep(&self.store, |tx| requests::refuse(tx, act, id, why))?)
    }

    /// Withdraws one's own request.
    ///
    /// # Errors
    /// [`OperationError::Request`].
    pub fn withdraw(&self, act: &Act, id: &RequestId) -> Result<Request, OperationError> {
        Ok(requests::keep(&self.store, |tx| requests::withdraw(tx, act, id))?)
    }

    /// Carries out what is approved and not finished. Done again after it was cut short, it does what is missing.
    ///
    /// # Errors
    /// [`OperationError`]: not approved, or the vault does not answer.
    pub fn run(&self, act: &Act, id: &RequestId, rng: &mut dyn Rng) -> Result<Request, OperationError> {
        let _alone = self.acting.lock().unwrap_or_else(PoisonError::into_inner);
        let request = self.store.read(|tx| requests::one(tx, id, act.at))?;
        let request = request.ok_or_else(|| RequestError::Unknown { id: id.clone() })?;
        match request.state {
            RequestState::Approved => {}
            RequestState::Done | RequestState::Failed => return Ok(request),
            found => {
                let (id, expected) = (id.clone(), RequestState::Approved);
                return Err(RequestError::State { id, expected, found }.into());
            }
        }
        let earlier = self.unfinished(act.at)?.into_iter().find(|other| {
            other.object == request.object && other.id != request.id && other.decided_at < request.decided_at
        });
        if let Some(other) = earlier {
            return Err(OperationError::Unfinished { other: other.id, object: other.object });
        }
        let operation: Operation = request.payload.parse()?;
        let tree = self.tree()?;
        let run = Run {
            vault: &*self.vault,
            tree: &tree,
            pair: self.pair.as_deref(),
            signer: self.signer.as_deref(),
            at: act.at,
            rng,
            effects: Vec::new(),
        };
        let ended = run.go(&operation)?;
        self.conclude(act, &request, &ended)
    }

    /// The end of a request: request, registry and audit log in one transaction.
    fn conclude(&self, act: &Act, request: &Request, ended: &Ended) -> Result<Request, OperationError> {
        let approved_by = request.decided_by.as_deref().unwrap_or_default();
        let word = Word { act, asked_by: &request.asked_by, approved_by, reference: request.id.as_str() };
        let finished = requests::keep(&self.store, |tx| {
            let outcome = ended.outcome.as_ref().map(String::as_str).map_err(String::as_str);
            let finished = requests::finish(tx, act, &request.id, outcome)?;
            for effect in &ended.effects {
                match effect {
                    Effect::Came { info, source, origin } => {
                        registry::came(tx, info, (*source, origin), word)?;
                    }
                    Effect::Became { place, kind, state, detail } => {
                        registry::became(tx, place, (*kind, *state), detail, word)?;
                    }
                    Effect::Exported(file) => {
                        registry::keep_export(tx, request.id.as_str(), act.at, file)?;
                    }
                    Effect::CampaignOpened(campaign) => campaigns::open(tx, campaign, word)?,
                }
            }
            Ok(finished)
        })?;
        Ok(finished)
    }

    /// Requests about keys that are approved and not finished, in the order of their approval.
    fn unfinished(&self, now: DateTime) -> Result<Vec<Request>, StoreError> {
        let filter = RequestFilter {
            state: Some(RequestState::Approved),
            needs: Some(Permission::ManageKeys),
            ..RequestFilter::default()
        };
        let page = self.store.read(|tx| requests::list(tx, &filter, now, Paging::first(PAGE_ROWS_MAX)))?;
        let mut rows = page.rows;
        rows.retain(|request| request.payload.parse::<Operation>().is_ok());
        rows.sort_by(|a, b| (a.decided_at, &a.id).cmp(&(b.decided_at, &b.id)));
        Ok(rows)
    }

    /// At start: finishes what was approved before the process ended, and aborts the ceremonies it held.
    ///
    /// # Errors
    /// [`StoreError`]; what came of each request is in the answer.
    pub fn resume(&self, now: DateTime, rng: &mut dyn Rng) -> Result<Vec<Resumed>, StoreError> {
        self.ceremonies.forget(now)?;
        let act = Act::of_system("key management centre", now);
        let unfinished = self.unfinished(now)?;
        Ok(unfinished
            .into_iter()
            .map(|request| {
                let outcome = self.run(&act, &request.id, rng);
                (request.id, outcome)
            })
            .collect())
    }
}

/// A request that was finished at start, or could not be.
pub type Resumed = (RequestId, Result<Request, OperationError>);
