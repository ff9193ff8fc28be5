//! One card at a counter: its keys change, and whatever is cut, it is never locked and never forgotten.
//!
//! Before a key is written, the database says that it may be either version; after the card has answered, that it is the
//! new one. A card that comes back after a cut gets the unanswered writes again: they replace what is there, so it does
//! not matter whether the first one arrived. Only the card master key (CCK), which is written under itself, must be
//! found out: the new version is proved first (EXTERNAL AUTHENTICATE), then the old.
//!
//! **Tries.** A wrong proof costs the CCK a try; a right one gives all back. So what may be spent is written down *before* the
//! question, and no question whose answer is uncertain is asked unless two tries are left for sure: the last one
//! is never risked. Such a card is stopped, and a person decides. A proof with a version that is certain costs nothing; if
//! the card refuses that one as well, it is stopped at once, and nothing is tried again by itself.

mod stated;
mod talk;

use super::dialogue::{Dialogue, Mail, Next, carry};
use super::plan::{self, Located, MASTER_FILE, Name};
use super::{
    Campaign, CampaignError, CampaignState, CardKey, CardProgress, KeyChange, in_state, required, store,
};
use crate::Centre;
use crate::download::Refusal;
use std::collections::BTreeMap;
use std::sync::Arc;
use talk::{Stop, Talk};
use ykt_base::{Asn8, CardChannel, ChannelError, IssuerFactor, KeyVersion, StatusWord};
use ykt_issue::profile::Action;
use ykt_issue::{DownloadError, Subject};
use ykt_office::audit::{self, Outcome};
use ykt_office::{Act, cards};
use ykt_store::{Store, StoreError, Tx};
use ykt_vault::{KeyRef, Vault};

/// What a visit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visited {
    /// The card.
    pub asn: Asn8,
    /// The keys it got; empty when it had them already.
    pub written: Vec<KeyRef>,
}

/// Why a card did not get its keys.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    /// There is no such campaign, or it is not open.
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    /// Whoever serves the card has no right to it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The card cannot be read.
    #[error("the card cannot be read: {why}; put it on the reader again")]
    Unreadable {
        /// What it answered, or to what it gave no answer.
        why: String,
    },
    /// The reader failed.
    #[error("the reader does not answer: {0}")]
    Reader(#[from] ChannelError),
    /// The card is not one of the campaign's.
    #[error("card {} is not in campaign {campaign}: give it back as it is", asn.masked())]
    NotOfCampaign {
        /// Card number.
        asn: Asn8,
        /// The campaign.
        campaign: String,
    },
    /// The card is lost, locked or cancelled.
    #[error("card {} is {state} in the register: keep it, and see the card desk", asn.masked())]
    NotInUse {
        /// Card number.
        asn: Asn8,
        /// Its state.
        state: cards::CardState,
    },
    /// The card answered wrongly, now or before.
    #[error("card {} is stopped: {why}; a person must look at it (`ykt campaign release`)", asn.masked())]
    Stopped {
        /// Card number.
        asn: Asn8,
        /// What was wrong.
        why: String,
    },
    /// The card went away in between.
    #[error("card {} gave no answer to {at}: put it on the reader again, it goes on where it was cut", asn.masked())]
    Cut {
        /// Card number.
        asn: Asn8,
        /// The command.
        at: String,
    },
    /// The card was shown again, here or elsewhere: only the later visit goes on.
    #[error("card {} is served by a later visit, here or elsewhere: show it again when that has ended", asn.masked())]
    Overtaken {
        /// Card number.
        asn: Asn8,
    },
    /// No command came for it.
    #[error("no command for card {}: {source}; show it again later", asn.masked())]
    NoKey {
        /// Card number.
        asn: Asn8,
        /// Why.
        source: DownloadError,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a card that waits for its keys may get them from whoever has it; said inside the transaction that admits it.
pub(crate) type Permit = Box<dyn Fn(&Tx<'_>, &Asn8) -> Result<(), Refusal> + Send>;

/// One showing of a card: to which campaign, by whom, and where.
pub(crate) struct Showing {
    pub(crate) store: Store,
    pub(crate) vault: Arc<dyn Vault>,
    /// The campaign.
    pub(crate) campaign: String,
    /// Name of the counter, for the list of cards.
    pub(crate) counter: String,
    /// Who answers for it in the audit log.
    pub(crate) act: Act,
    pub(crate) permit: Permit,
}

impl Showing {
    /// The dialogue with the card that is on the counter's reader.
    pub(crate) fn dialogue(self) -> Dialogue {
        Dialogue::new(self.act.at, |mail| self.visit(mail))
    }

    async fn visit(self, mail: Mail) -> Result<Visited, VisitError> {
        let read = talk::identify(&mail).await;
        let (application, public) = read.map_err(|stop| match stop {
            Stop::Store(error) => error.into(),
            Stop::Wrong(why) => VisitError::Unreadable { why },
            Stop::Cut(at) => VisitError::Unreadable { why: format!("no answer to {at}") },
            // Nothing is asked of vault or database yet.
            Stop::NoKey(_) | Stop::Overtaken => VisitError::Unreadable { why: String::new() },
        })?;
        let (asn, factor) = (public.asn, public.factor());
        let Some((campaign, keys, number)) = self.admit(&asn, &mail)? else {
            return Ok(Visited { asn, written: Vec::new() });
        };
        let located = plan::keys_of(&campaign.profile);
        let talk = Talk {
            mail,
            vault: Arc::clone(&self.vault),
            profile: campaign.profile.clone(),
            subject: Subject::Card { asn, factor, banks: Vec::new() },
            application,
            directory: None,
        };
        let known = plan::known(&located, &keys);
        let mut visit = Visit { showing: self, campaign, asn, factor, number, talk, located, known };
        let outcome = visit.go().await;
        visit.conclude(outcome)
    }

    /// What is known of a card that may get its keys now, and the number of its visit; nothing when it has them. A
    /// card that must not be served is told in the audit log.
    fn admit(&self, asn: &Asn8, mail: &Mail) -> Result<Option<(Campaign, Vec<CardKey>, u32)>, VisitError> {
        let name = &*self.campaign;
        let admitted = self.store.write(|tx| {
            let campaign = required(tx, name)?;
            in_state(&campaign, CampaignState::Open)?;
            let not_of = || VisitError::NotOfCampaign { asn: *asn, campaign: name.to_owned() };
            let row = store::card(tx, name, asn)?.ok_or_else(not_of)?;
            let registered = cards::card(tx, asn)?.ok_or_else(not_of)?;
            if !matches!(registered.state, cards::CardState::Normal | cards::CardState::NotEnabled) {
                return Err(VisitError::NotInUse { asn: *asn, state: registered.state });
            }
            match row.progress {
                CardProgress::Done => Ok(None),
                CardProgress::Stopped => Err(VisitError::Stopped { asn: *asn, why: row.note }),
                CardProgress::Waiting | CardProgress::Begun => {
                    (self.permit)(tx, asn)?;
                    let number = store::next_visit(tx, asn)?;
                    Ok(Some((campaign, store::card_keys(tx, asn)?, number)))
                }
            }
        });
        if let Err(refused @ (VisitError::NotOfCampaign { .. } | VisitError::NotInUse { .. })) = &admitted {
            let act = Act { at: mail.at(), ..self.act.clone() };
            let object = format!("{} in {name}", asn.masked());
            let detail = refused.to_string();
            self.store
                .write(|tx| audit::append(tx, &act, "campaign/card", &object, Outcome::Refused, &detail))?;
        }
        admitted
    }
}

impl Centre {
    /// Gives the card in `channel` the keys of an open campaign, or goes on where an earlier visit was cut.
    ///
    /// # Errors
    /// [`VisitError`]; whatever is known of the card by then is written down.
    pub fn visit(
        &self,
        campaign: &str,
        channel: &mut (impl CardChannel + ?Sized),
        counter: &str,
        act: &Act,
    ) -> Result<Visited, VisitError> {
        channel.reset()?;
        let showing = Showing {
            store: self.store.clone(),
            vault: self.vault.clone(),
            campaign: campaign.to_owned(),
            counter: counter.to_owned(),
            act: act.clone(),
            permit: Box::new(|_, _| Ok(())),
        };
        let mut dialogue = showing.dialogue();
        let mut next = dialogue.begin();
        loop {
            next = match next {
                Next::Commands(commands) => dialogue.go_on(carry(&commands, channel), act.at),
                Next::Ended(ended) => return ended,
            };
        }
    }
}

/// How a proof of a key ended.
enum Proof {
    Right,
    /// Wrong; so many tries are left.
    Wrong(u8),
}

struct Visit {
    showing: Showing,
    campaign: Campaign,
    asn: Asn8,
    factor: IssuerFactor,
    /// Which visit of the card it is: one with a later number ends it.
    number: u32,
    talk: Talk,
    located: Vec<Located>,
    known: BTreeMap<Name, CardKey>,
}

impl Visit {
    async fn go(&mut self) -> Result<Vec<KeyRef>, Stop> {
        self.hear().await?;
        let master = plan::master_of(&self.located, MASTER_FILE);
        let master = master.ok_or_else(|| Stop::Wrong("its profile has no card master key".to_owned()))?;
        self.settle(&master).await?;
        let targets = self.targets()?;
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        self.prove_certain(&master).await?;
        self.mark(&targets, &master)?;
        let mut written = Vec::new();
        for directory in self.directories(&targets) {
            self.update_directory(directory, &master, &targets, &mut written).await?;
        }
        if let Some(version) = targets.get(&master.name()) {
            self.mark_one(&master, *version)?;
            let control = self.current(&master);
            self.write(&master, *version, control, &mut written).await?;
            self.prove_certain(&master).await?;
        }
        self.verify(&targets).await?;
        Ok(written)
    }

    /// What each key is to become: the campaign's versions, and those of earlier writes that had no answer.
    fn targets(&self) -> Result<BTreeMap<Name, KeyVersion>, Stop> {
        let mut targets: BTreeMap<Name, KeyVersion> =
            self.known.iter().filter_map(|(name, key)| Some((*name, key.pending?))).collect();
        for KeyChange { kind, index, from, to } in &self.campaign.changes {
            let Some(key) = self.known.get(&(*kind, *index)) else { continue };
            match (key.version, key.pending) {
                (version, None) if version == *to => {}
                (version, None) if version != *from => {
                    let found = version.0;
                    return Err(Stop::Wrong(format!(
                        "its {kind} key {} is version {found}, expected {} or {}",
                        index.0, from.0, to.0
                    )));
                }
                _ => {
                    targets.insert((*kind, *index), *to);
                }
            }
        }
        Ok(targets)
    }

    /// The directories with something to do: the MF first, applications in the order of the profile.
    fn directories(&self, targets: &BTreeMap<Name, KeyVersion>) -> Vec<[u8; 2]> {
        let mut directories = Vec::new();
        for key in self.located.iter().filter(|key| targets.contains_key(&key.name())) {
            if !directories.contains(&key.directory) {
                directories.push(key.directory);
            }
        }
        directories
    }

    /// Steps 1 and 2 of [`super::plan`] for one directory.
    async fn update_directory(
        &mut self,
        directory: [u8; 2],
        card_master: &Located,
        targets: &BTreeMap<Name, KeyVersion>,
        written: &mut Vec<KeyRef>,
    ) -> Result<(), Stop> {
        let keys: Vec<Located> =
            self.located.iter().copied().filter(|key| key.directory == directory).collect();
        let master = plan::master_of(&keys, directory);
        let master = master.ok_or_else(|| Stop::Wrong("a directory has no master key".to_owned()))?;
        if directory != MASTER_FILE {
            if let Some(version) = targets.get(&master.name()) {
                let control = self.current(card_master);
                self.write(&master, *version, control, written).await?;
            }
            self.prove_certain(&master).await?;
        }
        for key in keys.iter().filter(|key| !key.is_master()) {
            if let Some(version) = targets.get(&key.name()) {
                let control = self.current(&master);
                self.write(key, *version, control, written).await?;
            }
        }
        Ok(())
    }

    /// A key as the card has it now.
    fn current(&self, key: &Located) -> KeyRef {
        let version = self.known.get(&key.name()).map_or(key.new.key.version, |known| known.version);
        KeyRef { version, ..key.new.key }
    }

    async fn write(
        &mut self,
        key: &Located,
        version: KeyVersion,
        control: KeyRef,
        written: &mut Vec<KeyRef>,
    ) -> Result<(), Stop> {
        let new = key.replaced(version, control);
        let answer = self.talk.act(key.directory, Action::WriteKey(new)).await?;
        if !answer.sw().is_ok() {
            return Err(Stop::Wrong(format!(
                "WRITE KEY of the {} under the {control}: expected 9000, found {}",
                new.key,
                answer.sw()
            )));
        }
        self.learn(CardKey { version, pending: None, ..self.entry(key) });
        written.push(new.key);
        Ok(())
    }

    fn entry(&self, key: &Located) -> CardKey {
        let KeyRef { kind, index, version } = key.new.key;
        let made = CardKey { kind, index, version, pending: None, spent: 0 };
        self.known.get(&key.name()).copied().unwrap_or(made)
    }

    fn learn(&mut self, key: CardKey) {
        self.known.insert((key.kind, key.index), key);
    }

    /// Writes of this card what `write` says, as long as no later visit has it.
    fn record(&self, write: impl Fn(&Tx<'_>) -> Result<(), StoreError>) -> Result<(), Stop> {
        self.showing.store.write(|tx| {
            if store::is_last_visit(tx, &self.asn, self.number)? {
                write(tx).map_err(Stop::Store)
            } else {
                Err(Stop::Overtaken)
            }
        })
    }

    fn keep(&self, key: &CardKey) -> Result<(), Stop> {
        let from = (self.talk.mail.at(), self.campaign.name.as_str());
        self.record(|tx| store::put_card_key(tx, &self.asn, key, from))
    }

    /// Writes down, before the card gets anything, what it may be after: all but the CCK, which comes last.
    fn mark(&mut self, targets: &BTreeMap<Name, KeyVersion>, master: &Located) -> Result<(), Stop> {
        for (name, version) in targets.iter().filter(|(name, _)| **name != master.name()) {
            if let Some(key) = self.known.get_mut(name) {
                key.pending = Some(*version);
            }
        }
        let begun = (CardProgress::Begun, "");
        self.keep_all(begun, None)?;
        Ok(())
    }

    fn mark_one(&mut self, key: &Located, version: KeyVersion) -> Result<(), Stop> {
        let marked = CardKey { pending: Some(version), ..self.entry(key) };
        self.keep(&marked)?;
        self.learn(marked);
        Ok(())
    }

    /// Everything known of the card, in one transaction.
    fn keep_all(
        &self,
        (progress, note): (CardProgress, &str),
        told: Option<(Outcome, &str)>,
    ) -> Result<(), Stop> {
        let name = self.campaign.name.as_str();
        let at = self.talk.mail.at();
        let act = Act { at, ..self.showing.act.clone() };
        self.record(|tx| {
            for change in &self.campaign.changes {
                if let Some(key) = self.known.get(&(change.kind, change.index)) {
                    store::put_card_key(tx, &self.asn, key, (at, name))?;
                }
            }
            // What an earlier campaign left open is settled, too.
            for key in self.known.values().filter(|key| self.was_open(key)) {
                store::put_card_key(tx, &self.asn, key, (at, name))?;
            }
            store::set_card(tx, name, &self.asn, progress, at, (&self.showing.counter, note))?;
            if let Some((outcome, detail)) = told {
                let object = format!("{} in {name}", self.asn.masked());
                audit::append(tx, &act, "campaign/card", &object, outcome, detail)?;
            }
            Ok(())
        })
    }

    fn was_open(&self, key: &CardKey) -> bool {
        let of_campaign = |change: &KeyChange| (change.kind, change.index) == (key.kind, key.index);
        let made = self.located.iter().find(|made| made.name() == (key.kind, key.index));
        let differs = made.is_some_and(|made| made.new.key.version != key.version || key.pending.is_some());
        differs && !self.campaign.changes.iter().any(of_campaign)
    }

    /// Finds out which CCK the card has, when its replacement had no answer.
    async fn settle(&mut self, master: &Located) -> Result<(), Stop> {
        let entry = self.entry(master);
        let Some(pending) = entry.pending else { return Ok(()) };
        let allowed = master.new.tries.allowed();
        let is_counted = allowed != 0;
        if is_counted && allowed.saturating_sub(entry.spent) < 2 {
            return Err(Stop::Wrong(format!(
                "its card master key is version {} or {}, and one more question could lock it",
                entry.version.0, pending.0
            )));
        }
        let asked = CardKey { spent: entry.spent.saturating_add(u8::from(is_counted)), ..entry };
        self.keep(&asked)?;
        self.learn(asked);
        let found = match self.prove(master, pending).await? {
            Proof::Right => CardKey { version: pending, pending: None, spent: 0, ..entry },
            Proof::Wrong(left) => CardKey { pending: None, spent: allowed.saturating_sub(left), ..entry },
        };
        self.keep(&found)?;
        self.learn(found);
        Ok(())
    }

    /// Proves a master key whose version is certain: its rights are had, and all its tries are back.
    async fn prove_certain(&mut self, master: &Located) -> Result<(), Stop> {
        let entry = self.entry(master);
        let allowed = master.new.tries.allowed();
        if allowed != 0 && entry.spent > 0 && allowed.saturating_sub(entry.spent) < 2 {
            return Err(Stop::Wrong(format!("its {} key has one try left", entry.kind)));
        }
        match self.prove(master, entry.version).await? {
            Proof::Right if entry.spent > 0 => {
                let restored = CardKey { spent: 0, ..entry };
                self.keep(&restored)?;
                self.learn(restored);
                Ok(())
            }
            Proof::Right => Ok(()),
            Proof::Wrong(left) => {
                let spent = CardKey { spent: allowed.saturating_sub(left), ..entry };
                self.keep(&spent)?;
                self.learn(spent);
                Err(Stop::Wrong(format!(
                    "its {} key is not version {}; {left} tries are left",
                    entry.kind, entry.version.0
                )))
            }
        }
    }

    async fn prove(&mut self, master: &Located, version: KeyVersion) -> Result<Proof, Stop> {
        let key = KeyRef { version, ..master.new.key };
        let answer = self.talk.act(master.directory, Action::Authenticate { key, id: master.new.id }).await?;
        match answer.sw() {
            StatusWord::OK => Ok(Proof::Right),
            StatusWord(wrong @ 0x63C0..=0x63CF) => {
                let [_, low] = wrong.to_be_bytes();
                Ok(Proof::Wrong(low & 0x0F))
            }
            found => Err(Stop::Wrong(format!("EXTERNAL AUTHENTICATE with the {key}: found {found}"))),
        }
    }

    /// Writes down how it ended.
    fn conclude(&self, outcome: Result<Vec<KeyRef>, Stop>) -> Result<Visited, VisitError> {
        let asn = self.asn;
        let kept = match &outcome {
            Ok(written) => {
                let names: Vec<String> = written.iter().map(|key| crate::place::key_name(*key)).collect();
                let detail = format!("done: {}", names.join(" "));
                self.keep_all((CardProgress::Done, ""), Some((Outcome::Done, &detail)))
            }
            Err(Stop::Cut(_) | Stop::NoKey(_)) => self.keep_all((CardProgress::Begun, ""), None),
            Err(Stop::Wrong(why)) => {
                self.keep_all((CardProgress::Stopped, why), Some((Outcome::Refused, why)))
            }
            Err(Stop::Overtaken | Stop::Store(_)) => Ok(()),
        };
        match kept.and(outcome) {
            Ok(written) => Ok(Visited { asn, written }),
            Err(Stop::Cut(at)) => Err(VisitError::Cut { asn, at }),
            Err(Stop::Wrong(why)) => Err(VisitError::Stopped { asn, why }),
            Err(Stop::NoKey(source)) => Err(VisitError::NoKey { asn, source }),
            Err(Stop::Overtaken) => Err(VisitError::Overtaken { asn }),
            Err(Stop::Store(error)) => Err(error.into()),
        }
    }
}
