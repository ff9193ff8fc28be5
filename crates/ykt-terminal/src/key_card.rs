//! The operator's half of a key card (母卡, `keys-and-ca.md` 4): the PIN, then one card after the other gets its keys.
//!
//! Two cards are in two readers. What travels from one to the other is a finished WRITE KEY, made by the key card
//! for this card and its challenge; the terminal between them learns nothing from it.

use crate::card::{CardError, PinError, Step, ask, demand, demand_plain, pin_answer, verify_pin};
use std::fmt;
use ykt_base::{CardChannel, KeyIndex, StatusWord};
use ykt_purse::command::{ChallengeLen, challenge, select_name};
use ykt_purse::key_card::{
    AllowedKinds, BeginCard, DeriveCardKey, EndCard, IssueKind, IssuedCard, KeyCardInfo, KeyEntry, KeyOrder,
    NAME, PIN_ID,
};
use ykt_purse::pin::ChangePin;
use ykt_purse::write_key::Pin;

/// A key card with its application selected.
pub struct KeyCard<C> {
    channel: C,
}

/// What a key card says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Cards it may still issue.
    pub left: u32,
    /// Keys it may derive.
    pub kinds: AllowedKinds,
    /// Keys it holds, by name and check value.
    pub keys: Vec<KeyEntry>,
}

/// Why a card does not get its keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyCardError {
    /// A command to one of the two cards failed.
    #[error("the key card or the card to be made does not serve: check that each sits in its own reader")]
    Step(#[from] CardError),
    /// The operator's PIN was not verified.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// It has issued as many cards as it was allowed to.
    #[error(
        "key card: expected at least one card left to issue, found none; the key centre lets it issue more"
    )]
    NoneLeft,
    /// The attributes forbid it.
    #[error("key card: {what} is not allowed by its attributes; take the key card of that city and purpose")]
    NotAllowed {
        /// City or key.
        what: NotAllowed,
    },
}

/// What the attributes of a key card forbid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAllowed {
    /// Keys for cards of this city.
    City(IssuedCard),
    /// This kind of key, or in this place.
    Key(IssueKind),
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAllowed::City(card) => write!(f, "the city {}", card.city),
            NotAllowed::Key(kind) => write!(f, "the key of kind {:02X}", kind.code()),
        }
    }
}

impl<C: CardChannel> KeyCard<C> {
    /// Selects the key card's application.
    ///
    /// # Errors
    /// [`CardError`]; 6A82 is another kind of card.
    pub fn open(mut channel: C) -> Result<KeyCard<C>, CardError> {
        demand_plain(&mut channel, Step::SelectKeyCard, &select_name(&NAME), |_| Some(()))?;
        Ok(KeyCard { channel })
    }

    /// What it holds and may do; asks for no PIN.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn facts(&mut self) -> Result<Facts, CardError> {
        demand(&mut self.channel, Step::KeyCardInfo, &KeyCardInfo::APDU, |data| {
            let info = KeyCardInfo::from_bytes(data)?;
            Some(Facts { left: info.left, kinds: info.kinds, keys: info.keys().collect() })
        })
    }

    /// Verifies the operator's PIN.
    ///
    /// # Errors
    /// [`PinError`].
    pub fn verify(&mut self, pin: &Pin) -> Result<(), PinError> {
        verify_pin(&mut self.channel, PIN_ID, pin)
    }

    /// Begins a card, or goes on with it when it was begun and not ended; says how many more may be issued.
    ///
    /// # Errors
    /// [`KeyCardError`].
    pub fn begin(&mut self, card: IssuedCard) -> Result<u32, KeyCardError> {
        let apdu = BeginCard { card }.to_apdu();
        let left = demand(&mut self.channel, Step::BeginCard, &apdu, |data| {
            data.try_into().ok().map(u32::from_be_bytes)
        });
        left.map_err(|error| match error {
            CardError::Refused { sw: StatusWord::COUNTER_AT_MAXIMUM, .. } => KeyCardError::NoneLeft,
            CardError::Refused { sw: StatusWord::CONDITIONS, .. } => {
                KeyCardError::NotAllowed { what: NotAllowed::City(card) }
            }
            error => error.into(),
        })
    }

    /// Puts one key onto the card under way, which has the right directory selected.
    ///
    /// # Errors
    /// [`KeyCardError`].
    pub fn load_key(
        &mut self,
        card: &mut (impl CardChannel + ?Sized),
        order: &KeyOrder,
    ) -> Result<(), KeyCardError> {
        if order.kind.usage() != Some(order.target.usage()) {
            return Err(KeyCardError::NotAllowed { what: NotAllowed::Key(order.kind) });
        }
        let challenge = challenge(ChallengeLen::Eight);
        let iv = demand_plain(card, Step::Challenge, &challenge, |data| data.try_into().ok())?;
        let ready = self.derive(order, iv)?;
        Ok(demand(card, Step::WriteKey, &ready, |_| Some(()))?)
    }

    /// The ready WRITE KEY for the card under way, whose challenge `iv` is.
    ///
    /// # Errors
    /// [`KeyCardError`].
    pub fn derive(&mut self, order: &KeyOrder, iv: [u8; 8]) -> Result<Vec<u8>, KeyCardError> {
        let derive = DeriveCardKey { order: *order, iv };
        let ready =
            demand(&mut self.channel, Step::DeriveCardKey, &derive.to_apdu(), |data| Some(data.to_vec()));
        ready.map_err(|error| match error {
            CardError::Refused { sw: StatusWord::CONDITIONS, .. } => {
                KeyCardError::NotAllowed { what: NotAllowed::Key(order.kind) }
            }
            error => error.into(),
        })
    }

    /// Lets the operator take another PIN in place of the one they know.
    ///
    /// # Errors
    /// [`PinError`]; a wrong old PIN costs a try.
    pub fn change_pin(&mut self, old: Pin, new: Pin) -> Result<(), PinError> {
        let change = ChangePin { id: KeyIndex(PIN_ID), old, new };
        let answer = ask(&mut self.channel, Step::ChangePin, &change.to_apdu())?;
        pin_answer(Step::ChangePin, answer.sw())
    }

    /// Ends the card under way.
    ///
    /// # Errors
    /// [`KeyCardError`].
    pub fn end(&mut self) -> Result<(), KeyCardError> {
        Ok(demand(&mut self.channel, Step::EndCard, &EndCard.to_apdu(), |_| Some(()))?)
    }
}
