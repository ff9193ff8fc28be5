//! The bodies of the load API as JSON: what the terminal sends and the host answers.
//!
//! Bytes are upper-case hex, amounts are whole fen, times are local as `2026-11-22T09:30:15`. Unknown fields
//! are refused on both sides, so that a misspelt one cannot pass for an absent one.

use super::{CardOffer, Credit, OrderId, OrderState, PayRequest, Resumption};
use serde::{Deserialize, Serialize};
use ykt_base::{CardCounter, Fen, KeyVersion};

/// Body of `POST /api/v1/loads`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayBody {
    /// Order id chosen by the terminal.
    pub order_id: String,
    /// Card number, 16 hex digits.
    pub card: String,
    /// Amount in fen.
    pub amount_fen: i64,
    /// Payment channel.
    pub channel: String,
}

/// Body of `POST /api/v1/loads/{id}/initialize` and of `…/resume`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferBody {
    /// Terminal id, 12 hex digits.
    pub terminal: String,
    /// Balance before, in fen.
    pub balance_fen: i64,
    /// Online counter before.
    pub counter: u16,
    /// Version of the load key.
    pub key_version: u8,
    /// Algorithm byte.
    pub algorithm: u8,
    /// The card's random number, 8 hex digits.
    pub random: String,
    /// The card's MAC1, 8 hex digits.
    pub mac1: String,
}

/// Body of `POST /api/v1/loads/{id}/confirm`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmBody {
    /// The card's TAC, 8 hex digits.
    pub tac: String,
}

/// Body of `POST /api/v1/loads/{id}/give-back`: an empty object.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GiveBackBody {}

/// Answer to paying, confirming and giving back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrderAnswer {
    /// Order id.
    pub order_id: String,
    /// A word of [`OrderState::as_str`].
    pub state: String,
}

/// Answer to `initialize`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreditAnswer {
    /// Date and time of the load.
    pub at: String,
    /// The host's MAC2, 8 hex digits.
    pub mac2: String,
}

/// Answer to `resume`, told apart by its field `next`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "kebab-case")]
pub enum ResumeAnswer {
    /// Credit the card with this.
    Credit {
        /// Date and time of the load.
        at: String,
        /// The host's MAC2, 8 hex digits.
        mac2: String,
    },
    /// Ask the card for the proof of the load that used this counter.
    Prove {
        /// Online counter at the frozen INITIALIZE.
        counter: u16,
    },
    /// The order is closed.
    Closed {
        /// A word of [`OrderState::as_str`].
        state: String,
    },
}

/// Body of every answer with a status of 400 or above.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// Stable code.
    pub code: String,
    /// Reason for people.
    pub message: String,
}

/// A field that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field {field}: {why}")]
pub struct FieldError {
    /// Name of the field.
    pub field: &'static str,
    /// What is wrong with it.
    pub why: String,
}

fn field<T>(name: &'static str, text: &str) -> Result<T, FieldError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    text.parse().map_err(|why: T::Err| FieldError { field: name, why: why.to_string() })
}

impl From<&PayRequest> for PayBody {
    fn from(request: &PayRequest) -> PayBody {
        PayBody {
            order_id: request.order.to_string(),
            card: request.card.to_string(),
            amount_fen: request.amount.fen(),
            channel: request.channel.clone(),
        }
    }
}

impl TryFrom<PayBody> for PayRequest {
    type Error = FieldError;

    fn try_from(body: PayBody) -> Result<PayRequest, FieldError> {
        Ok(PayRequest {
            order: field("order_id", &body.order_id)?,
            card: field("card", &body.card)?,
            amount: Fen::new(body.amount_fen),
            channel: body.channel,
        })
    }
}

impl From<&CardOffer> for OfferBody {
    fn from(offer: &CardOffer) -> OfferBody {
        OfferBody {
            terminal: offer.terminal.to_string(),
            balance_fen: offer.balance.fen(),
            counter: offer.counter.0,
            key_version: offer.key_version.0,
            algorithm: offer.algorithm,
            random: offer.random.to_string(),
            mac1: offer.mac1.to_string(),
        }
    }
}

impl TryFrom<&OfferBody> for CardOffer {
    type Error = FieldError;

    fn try_from(body: &OfferBody) -> Result<CardOffer, FieldError> {
        Ok(CardOffer {
            terminal: field("terminal", &body.terminal)?,
            balance: Fen::new(body.balance_fen),
            counter: CardCounter(body.counter),
            key_version: KeyVersion(body.key_version),
            algorithm: body.algorithm,
            random: field("random", &body.random)?,
            mac1: field("mac1", &body.mac1)?,
        })
    }
}

impl OrderAnswer {
    /// The answer about `order`.
    #[must_use]
    pub fn new(order: &OrderId, state: OrderState) -> OrderAnswer {
        OrderAnswer { order_id: order.to_string(), state: state.to_string() }
    }

    /// The state it tells.
    ///
    /// # Errors
    /// [`FieldError`] when the word is unknown.
    pub fn state(&self) -> Result<OrderState, FieldError> {
        state(&self.state)
    }
}

fn state(word: &str) -> Result<OrderState, FieldError> {
    OrderState::from_word(word).ok_or_else(|| FieldError {
        field: "state",
        why: format!("expected paid, initialized, done or given-back, found `{word}`"),
    })
}

impl From<&Credit> for CreditAnswer {
    fn from(credit: &Credit) -> CreditAnswer {
        CreditAnswer { at: format!("{}T{}", credit.at.date, credit.at.time), mac2: credit.mac2.to_string() }
    }
}

impl TryFrom<&CreditAnswer> for Credit {
    type Error = FieldError;

    fn try_from(answer: &CreditAnswer) -> Result<Credit, FieldError> {
        Ok(Credit { at: field("at", &answer.at)?, mac2: field("mac2", &answer.mac2)? })
    }
}

impl From<&Resumption> for ResumeAnswer {
    fn from(resumption: &Resumption) -> ResumeAnswer {
        match resumption {
            Resumption::Credit(credit) => {
                let CreditAnswer { at, mac2 } = CreditAnswer::from(credit);
                ResumeAnswer::Credit { at, mac2 }
            }
            Resumption::Prove { counter } => ResumeAnswer::Prove { counter: counter.0 },
            Resumption::Closed(state) => ResumeAnswer::Closed { state: state.to_string() },
        }
    }
}

impl TryFrom<ResumeAnswer> for Resumption {
    type Error = FieldError;

    fn try_from(answer: ResumeAnswer) -> Result<Resumption, FieldError> {
        Ok(match answer {
            ResumeAnswer::Credit { at, mac2 } => {
                Resumption::Credit(Credit::try_from(&CreditAnswer { at, mac2 })?)
            }
            ResumeAnswer::Prove { counter } => Resumption::Prove { counter: CardCounter(counter) },
            ResumeAnswer::Closed { state: word } => Resumption::Closed(state(&word)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ykt_base::{Mac4, Random4, TerminalId};

    #[test]
    fn bodies_as_the_api_writes_them() {
        let offer = CardOffer {
            terminal: TerminalId([0x36, 4, 0x86, 0x60, 0, 2]),
            balance: Fen::new(20_000),
            counter: CardCounter(3),
            key_version: KeyVersion(1),
            algorithm: 0,
            random: Random4([1, 2, 3, 4]),
            mac1: Mac4([0xAA, 0xBB, 0xCC, 0xDD]),
        };
        let body = OfferBody::from(&offer);
        assert_eq!(
            serde_json::to_string(&body).unwrap(),
            r#"{"terminal":"360486600002","balance_fen":20000,"counter":3,"key_version":1,"algorithm":0,"random":"01020304","mac1":"AABBCCDD"}"#
        );
        assert_eq!(CardOffer::try_from(&body).unwrap(), offer);
    }

    #[test]
    fn resumptions_are_told_apart_by_next() {
        let credit = Credit { at: "20261122093015".parse().unwrap(), mac2: Mac4([1, 2, 3, 4]) };
        for (resumption, json) in [
            (Resumption::Credit(credit), r#"{"next":"credit","at":"2026-11-22T09:30:15","mac2":"01020304"}"#),
            (Resumption::Prove { counter: CardCounter(9) }, r#"{"next":"prove","counter":9}"#),
            (Resumption::Closed(OrderState::GivenBack), r#"{"next":"closed","state":"given-back"}"#),
        ] {
            assert_eq!(serde_json::to_string(&ResumeAnswer::from(&resumption)).unwrap(), json);
            let back: ResumeAnswer = serde_json::from_str(json).unwrap();
            assert_eq!(Resumption::try_from(back).unwrap(), resumption);
        }
    }

    #[test]
    fn a_wrong_field_is_named() {
        let body = PayBody {
            order_id: "L-1".into(),
            card: "21440000".into(),
            amount_fen: 1,
            channel: "CASH".into(),
        };
        assert_eq!(PayRequest::try_from(body).unwrap_err().field, "card");
        assert!(serde_json::from_str::<ConfirmBody>(r#"{"tac":"01020304","TAC":"x"}"#).is_err());
    }
}
