//! What a card says of its keys by itself: purchase and load key state their version, and the load key proves itself by a MAC1.

use super::talk::Stop;
use super::{CardKey, KeyChange, Name, Visit};
use std::collections::BTreeMap;
use ykt_base::{KeyIndex, KeyVersion, TerminalId};
use ykt_purse::load::{InitializeForLoad, Load, LoadAnswer};
use ykt_purse::purchase::{InitializeForPurchase, Purchase, PurchaseAnswer, PurchaseKind};
use ykt_purse::{Purse, PurseFen};
use ykt_vault::{CardKeyRef, KeyKind, KeyRef, LoadSession, MacVerdict};

impl Visit {
    /// Takes the card's own word for the versions it states.
    pub(super) async fn hear(&mut self) -> Result<(), Stop> {
        for change in self.campaign.changes.clone() {
            let Some(key) = self.known.get(&(change.kind, change.index)).copied() else { continue };
            match self.stated(change.kind, change.index).await? {
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
    pub(super) async fn verify(&mut self, targets: &BTreeMap<Name, KeyVersion>) -> Result<(), Stop> {
        for ((kind, index), version) in targets {
            if let Some(stated) = self.stated(*kind, *index).await?
                && stated != *version
            {
                let (expected, found) = (version.0, stated.0);
                return Err(Stop::Wrong(format!(
                    "its {kind} key was written: expected it to state version {expected}, found {found}"
                )));
            }
            if *kind == KeyKind::Load {
                self.verify_load(KeyRef { kind: *kind, index: *index, version: *version }).await?;
            }
        }
        Ok(())
    }

    async fn verify_load(&mut self, key: KeyRef) -> Result<(), Stop> {
        let load = Load { purse: Purse::Ep, amount: one_fen(), terminal: NO_TERMINAL };
        let Some(offer) = self.offer_of_load(key.index, load).await? else { return Ok(()) };
        let key = CardKeyRef { key, factor: self.factor, asn: self.asn };
        let session = LoadSession { key, random: offer.random, counter: offer.counter };
        let verdict = self.talk.vault.check_load_mac1(&session, &load, offer.balance, &offer.mac1);
        match verdict.map_err(|error| Stop::NoKey(error.into()))? {
            MacVerdict::Right => Ok(()),
            MacVerdict::Wrong => Err(Stop::Wrong("its load key was written: its MAC1 is wrong".to_owned())),
        }
    }

    /// The version the card states of a key, where it does.
    async fn stated(&mut self, kind: KeyKind, index: KeyIndex) -> Result<Option<KeyVersion>, Stop> {
        match kind {
            KeyKind::Purchase => {
                let kind = PurchaseKind::Purchase(Purse::Ep);
                let purchase = Purchase { kind, amount: one_fen(), terminal: NO_TERMINAL };
                let key_index = self.id_of(KeyKind::Purchase, index);
                let ask = InitializeForPurchase { key_index, purchase }.to_apdu();
                let answer = self.talk.in_application(&ask).await?;
                Ok(PurchaseAnswer::from_bytes(answer.data()).map(|offer| offer.key_version))
            }
            KeyKind::Load => {
                let load = Load { purse: Purse::Ep, amount: one_fen(), terminal: NO_TERMINAL };
                Ok(self.offer_of_load(index, load).await?.map(|offer| offer.key_version))
            }
            _ => Ok(None),
        }
    }

    async fn offer_of_load(&mut self, index: KeyIndex, load: Load) -> Result<Option<LoadAnswer>, Stop> {
        let key_index = self.id_of(KeyKind::Load, index);
        let answer = self.talk.in_application(&InitializeForLoad { key_index, load }.to_apdu()).await?;
        Ok(LoadAnswer::from_bytes(answer.data()))
    }

    /// The index by which commands name a key on these cards.
    fn id_of(&self, kind: KeyKind, index: KeyIndex) -> KeyIndex {
        let key = self.located.iter().find(|key| key.name() == (kind, index));
        key.map_or(index, |key| KeyIndex(key.new.id))
    }
}

/// The smallest amount: questions about keys name it, and nothing is paid.
fn one_fen() -> PurseFen {
    PurseFen::from_bytes([0, 0, 0, 1]).unwrap_or(PurseFen::ZERO)
}

/// No terminal asks.
const NO_TERMINAL: TerminalId = TerminalId([0; 6]);
