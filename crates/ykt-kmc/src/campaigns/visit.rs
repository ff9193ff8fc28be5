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

mod talk;

use super::plan::{self, Located, MASTER_FILE, Name};
use super::{
    Campaign, CampaignError, CampaignState, CardKey, CardProgress, KeyChange, in_state, required, store,
};
use crate::Centre;
use std::collections::BTreeMap;
use talk::{Stop, Talk};
use ykt_base::{Asn8, CardChannel, ChannelError, IssuerFactor, KeyIndex, KeyVersion, StatusWord, TerminalId};
use ykt_issue::profile::Action;
use ykt_issue::{DownloadError, Subject};
use ykt_office::audit::{self, Outcome};
use ykt_office::{Act, cards};
use ykt_purse::load::{InitializeForLoad, Load, LoadAnswer};
use ykt_purse::purchase::{InitializeForPurchase, Purchase, PurchaseAnswer, PurchaseKind};
use ykt_purse::{Purse, PurseFen};
use ykt_store::StoreError;
use ykt_terminal::card::{self, CardError};
use ykt_vault::{CardKeyRef, KeyKind, KeyRef, LoadSession, MacVerdict};

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
    /// The card cannot be read.
    #[error("the card cannot be read: {0}; put it on the reader again")]
    Unreadable(#[from] CardError),
    /// The reader failed.
    #[error("the reader does not answer: {0}")]
    Reader(#[from] ChannelError),
    /// The card is not one of the campaign's.
    #[error("card {asn} is not in campaign {campaign}: give it back as it is")]
    NotOfCampaign {
        /// Card number, masked.
        asn: String,
        /// The campaign.
        campaign: String,
    },
    /// The card is lost, locked or cancelled.
    #[error("card {asn} is {state} in the register: keep it, and see the card desk")]
    NotInUse {
        /// Card number, masked.
        asn: String,
        /// Its state.
        state: cards::CardState,
    },
    /// The card answered wrongly, now or before.
    #[error("card {asn} is stopped: {why}; a person must look at it (`ykt campaign release`)")]
    Stopped {
        /// Card number, masked.
        asn: String,
        /// What was wrong.
        why: String,
    },
    /// The card went away in between.
    #[error("card {asn} gave no answer to {at}: put it on the reader again, it goes on where it was cut")]
    Cut {
        /// Card number, masked.
        asn: String,
        /// The command.
        at: String,
    },
    /// No command came for it.
    #[error("no command for card {asn}: {source}; show it again later")]
    NoKey {
        /// Card number, masked.
        asn: String,
        /// Why.
        source: DownloadError,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
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
        let public = card::open(channel)?;
        let (asn, factor) = (public.asn, public.factor());
        let (campaign, keys) = self.admit(campaign, &asn)?;
        let Some(keys) = keys else { return Ok(Visited { asn, written: Vec::new() }) };
        let located = plan::keys_of(&campaign.profile);
        let subject = Subject::Card { asn, factor, banks: Vec::new() };
        let talk = Talk {
            channel,
            vault: &*self.vault,
            profile: &campaign.profile,
            subject: &subject,
            directory: None,
        };
        let known = plan::known(&located, &keys);
        let mut visit =
            Visit { centre: self, campaign: &campaign, asn, factor, act, counter, talk, located, known };
        let outcome = visit.go();
        visit.conclude(outcome)
    }

    /// What is known of a card that may get its keys now; no keys when it has them.
    fn admit(&self, name: &str, asn: &Asn8) -> Result<(Campaign, Option<Vec<CardKey>>), VisitError> {
        let masked = || asn.masked().to_string();
        self.store.read(|tx| {
            let campaign = required(tx, name)?;
            in_state(&campaign, CampaignState::Open)?;
            let not_of = || VisitError::NotOfCampaign { asn: masked(), campaign: name.to_owned() };
            let row = store::card(tx, name, asn)?.ok_or_else(not_of)?;
            let registered = cards::card(tx, asn)?.ok_or_else(not_of)?;
            if !matches!(registered.state, cards::CardState::Normal | cards::CardState::NotEnabled) {
                return Err(VisitError::NotInUse { asn: masked(), state: registered.state });
            }
            match row.progress {
                CardProgress::Done => Ok((campaign, None)),
                CardProgress::Stopped => Err(VisitError::Stopped { asn: masked(), why: row.note }),
                CardProgress::Waiting | CardProgress::Begun => {
                    Ok((campaign, Some(store::card_keys(tx, asn)?)))
                }
            }
        })
    }
}

/// How a proof of a key ended.
enum Proof {
    Right,
    /// Wrong; so many tries are left.
    Wrong(u8),
}

struct Visit<'a, C: ?Sized> {
    centre: &'a Centre,
    campaign: &'a Campaign,
    asn: Asn8,
    factor: IssuerFactor,
    act: &'a Act,
    counter: &'a str,
    talk: Talk<'a, C>,
    located: Vec<Located>,
    known: BTreeMap<Name, CardKey>,
}

impl<C: CardChannel + ?Sized> Visit<'_, C> {
    fn go(&mut self) -> Result<Vec<KeyRef>, Stop> {
        self.hear()?;
        let master = plan::master_of(&self.located, MASTER_FILE);
        let master = master.ok_or_else(|| Stop::Wrong("its profile has no card master key".to_owned()))?;
        self.settle(&master)?;
        let targets = self.targets()?;
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        self.prove_certain(&master)?;
        self.mark(&targets, &master)?;
        let mut written = Vec::new();
        for directory in self.directories(&targets) {
            self.update_directory(directory, &master, &targets, &mut written)?;
        }
        if let Some(version) = targets.get(&master.name()) {
            self.mark_one(&master, *version)?;
            let control = self.current(&master);
            self.write(&master, *version, control, &mut written)?;
            self.prove_certain(&master)?;
        }
        self.verify(&targets)?;
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
    fn update_directory(
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
                self.write(&master, *version, control, written)?;
            }
            self.prove_certain(&master)?;
        }
        for key in keys.iter().filter(|key| !key.is_master()) {
            if let Some(version) = targets.get(&key.name()) {
                let control = self.current(&master);
                self.write(key, *version, control, written)?;
            }
        }
        Ok(())
    }

    /// A key as the card has it now.
    fn current(&self, key: &Located) -> KeyRef {
        let version = self.known.get(&key.name()).map_or(key.new.key.version, |known| known.version);
        KeyRef { version, ..key.new.key }
    }

    fn write(
        &mut self,
        key: &Located,
        version: KeyVersion,
        control: KeyRef,
        written: &mut Vec<KeyRef>,
    ) -> Result<(), Stop> {
        let new = key.replaced(version, control);
        let answer = self.talk.act(key.directory, Action::WriteKey(new))?;
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

    fn keep(&self, key: &CardKey) -> Result<(), StoreError> {
        let from = (self.act.at, self.campaign.name.as_str());
        self.centre.store.write(|tx| store::put_card_key(tx, &self.asn, key, from))
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
    ) -> Result<(), StoreError> {
        let name = self.campaign.name.as_str();
        let at = self.act.at;
        self.centre.store.write(|tx| {
            for change in &self.campaign.changes {
                if let Some(key) = self.known.get(&(change.kind, change.index)) {
                    store::put_card_key(tx, &self.asn, key, (at, name))?;
                }
            }
            // What an earlier campaign left open is settled, too.
            for key in self.known.values().filter(|key| self.was_open(key)) {
                store::put_card_key(tx, &self.asn, key, (at, name))?;
            }
            store::set_card(tx, name, &self.asn, progress, at, (self.counter, note))?;
            if let Some((outcome, detail)) = told {
                let object = format!("{} in {name}", self.asn.masked());
                audit::append(tx, self.act, "campaign/card", &object, outcome, detail)?;
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
    fn settle(&mut self, master: &Located) -> Result<(), Stop> {
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
        let found = match self.prove(master, pending)? {
            Proof::Right => CardKey { version: pending, pending: None, spent: 0, ..entry },
            Proof::Wrong(left) => CardKey { pending: None, spent: allowed.saturating_sub(left), ..entry },
        };
        self.keep(&found)?;
        self.learn(found);
        Ok(())
    }

    /// Proves a master key whose version is certain: its rights are had, and all its tries are back.
    fn prove_certain(&mut self, master: &Located) -> Result<(), Stop> {
        let entry = self.entry(master);
        let allowed = master.new.tries.allowed();
        if allowed != 0 && entry.spent > 0 && allowed.saturating_sub(entry.spent) < 2 {
            return Err(Stop::Wrong(format!("its {} key has one try left", entry.kind)));
        }
        match self.prove(master, entry.version)? {
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

    fn prove(&mut self, master: &Located, version: KeyVersion) -> Result<Proof, Stop> {
        let key = KeyRef { version, ..master.new.key };
        let answer = self.talk.act(master.directory, Action::Authenticate { key, id: master.new.id })?;
        match answer.sw() {
            StatusWord::OK => Ok(Proof::Right),
            StatusWord(wrong @ 0x63C0..=0x63CF) => {
                let [_, low] = wrong.to_be_bytes();
                Ok(Proof::Wrong(low & 0x0F))
            }
            found => Err(Stop::Wrong(format!("EXTERNAL AUTHENTICATE with the {key}: found {found}"))),
        }
    }

    /// Takes the card's own word for the versions it states.
    fn hear(&mut self) -> Result<(), Stop> {
        for change in &self.campaign.changes {
            let Some(key) = self.known.get(&(change.kind, change.index)).copied() else { continue };
            match self.stated(change.kind, change.index)? {
                Some(version) if version == key.version || key.pending == Some(version) => {}
                Some(version) if version == change.to || version == change.from => {
                    self.learn(CardKey { version, pending: None, ..key });
                }
                Some(version) => {
                    let KeyChange { kind, from, to, .. } = change;
                    return Err(Stop::Wrong(format!(
                        "it states version {} of its {kind} key, expected {} or {}",
                        version.0, from.0, to.0
                    )));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Holds the new keys against what the card says with them: the version it states, and for the load key a MAC1
    /// that only this key makes.
    fn verify(&mut self, targets: &BTreeMap<Name, KeyVersion>) -> Result<(), Stop> {
        for ((kind, index), version) in targets {
            if let Some(stated) = self.stated(*kind, *index)?
                && stated != *version
            {
                let (expected, found) = (version.0, stated.0);
                return Err(Stop::Wrong(format!(
                    "its {kind} key was written: expected it to state version {expected}, found {found}"
                )));
            }
            if *kind == KeyKind::Load {
                self.verify_load(KeyRef { kind: *kind, index: *index, version: *version })?;
            }
        }
        Ok(())
    }

    fn verify_load(&mut self, key: KeyRef) -> Result<(), Stop> {
        let load = Load { purse: Purse::Ep, amount: one_fen(), terminal: NO_TERMINAL };
        let Some(offer) = self.offer_of_load(key.index, load)? else { return Ok(()) };
        let key = CardKeyRef { key, factor: self.factor, asn: self.asn };
        let session = LoadSession { key, random: offer.random, counter: offer.counter };
        let verdict = self.centre.vault.check_load_mac1(&session, &load, offer.balance, &offer.mac1);
        match verdict.map_err(|error| Stop::NoKey(error.into()))? {
            MacVerdict::Right => Ok(()),
            MacVerdict::Wrong => Err(Stop::Wrong("its load key was written: its MAC1 is wrong".to_owned())),
        }
    }

    /// The version the card states of a key, where it does.
    fn stated(&mut self, kind: KeyKind, index: KeyIndex) -> Result<Option<KeyVersion>, Stop> {
        match kind {
            KeyKind::Purchase => {
                let kind = PurchaseKind::Purchase(Purse::Ep);
                let purchase = Purchase { kind, amount: one_fen(), terminal: NO_TERMINAL };
                let key_index = self.id_of(KeyKind::Purchase, index);
                let ask = InitializeForPurchase { key_index, purchase }.to_apdu();
                let answer = self.talk.in_application(&ask)?;
                Ok(PurchaseAnswer::from_bytes(answer.data()).map(|offer| offer.key_version))
            }
            KeyKind::Load => {
                let load = Load { purse: Purse::Ep, amount: one_fen(), terminal: NO_TERMINAL };
                Ok(self.offer_of_load(index, load)?.map(|offer| offer.key_version))
            }
            _ => Ok(None),
        }
    }

    fn offer_of_load(&mut self, index: KeyIndex, load: Load) -> Result<Option<LoadAnswer>, Stop> {
        let key_index = self.id_of(KeyKind::Load, index);
        let answer = self.talk.in_application(&InitializeForLoad { key_index, load }.to_apdu())?;
        Ok(LoadAnswer::from_bytes(answer.data()))
    }

    /// The index by which commands name a key on these cards.
    fn id_of(&self, kind: KeyKind, index: KeyIndex) -> KeyIndex {
        let key = self.located.iter().find(|key| key.name() == (kind, index));
        key.map_or(index, |key| KeyIndex(key.new.id))
    }

    /// Writes down how it ended.
    fn conclude(&self, outcome: Result<Vec<KeyRef>, Stop>) -> Result<Visited, VisitError> {
        let asn = self.asn.masked().to_string();
        match outcome {
            Ok(written) => {
                let names: Vec<String> = written.iter().map(|key| crate::place::key_name(*key)).collect();
                let detail = format!("done: {}", names.join(" "));
                self.keep_all((CardProgress::Done, ""), Some((Outcome::Done, &detail)))?;
                Ok(Visited { asn: self.asn, written })
            }
            Err(Stop::Cut(at)) => {
                self.keep_all((CardProgress::Begun, ""), None)?;
                Err(VisitError::Cut { asn, at })
            }
            Err(Stop::Wrong(why)) => {
                self.keep_all((CardProgress::Stopped, &why), Some((Outcome::Refused, &why)))?;
                Err(VisitError::Stopped { asn, why })
            }
            Err(Stop::NoKey(source)) => {
                self.keep_all((CardProgress::Begun, ""), None)?;
                Err(VisitError::NoKey { asn, source })
            }
            Err(Stop::Store(error)) => Err(error.into()),
        }
    }
}

/// The smallest amount: questions about keys name it, and nothing is paid.
fn one_fen() -> PurseFen {
    PurseFen::from_bytes([0, 0, 0, 1]).unwrap_or(PurseFen::ZERO)
}

/// No terminal asks.
const NO_TERMINAL: TerminalId = TerminalId([0; 6]);
