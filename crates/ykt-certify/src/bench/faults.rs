//! What is wrong on purpose with the MAC of a transaction, the same for every transaction.

use super::{Bench, Stop};
use crate::action::{KeyName, MacFault};
use crate::words::Text;
use ykt_base::{CardCounter, DateTime, KeyVersion, Mac4, Random4, TerminalId, TerminalSeq};
use ykt_crypto::{CardKey, SessionKey};
use ykt_purse::PurseFen;
use ykt_purse::grey::UnlockOffer;
use ykt_purse::load::{LoadAnswer, session_input};
use ykt_purse::overdraft::UpdateAnswer;
use ykt_purse::purchase::PurchaseAnswer;

/// The terms a MAC covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) amount: PurseFen,
    pub(super) terminal: TerminalId,
    pub(super) at: DateTime,
    pub(super) kind: Kind,
}

/// Which transaction type a MAC covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// That of the transaction.
    Right,
    /// Another one.
    Other,
}

/// Which session a MAC is made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    /// That of the INITIALIZE before.
    Right,
    /// That of the INITIALIZE before that one.
    Old,
    /// One under another key.
    OtherKey,
    /// One with another terminal sequence.
    OtherSequence,
}

/// What a card's answer to INITIALIZE gives to a session key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    version: KeyVersion,
    algorithm: u8,
    pub(super) random: Random4,
    pub(super) counter: CardCounter,
}

macro_rules! offers {
    ($($answer:ident by $counter:ident;)+) => {$(
        impl From<$answer> for Offer {
            fn from(answer: $answer) -> Offer {
                let $answer { key_version: version, algorithm, random, $counter: counter, .. } = answer;
                Offer { version, algorithm, random, counter }
            }
        }
    )+};
}

offers! {
    LoadAnswer by counter;
    PurchaseAnswer by counter;
    UpdateAnswer by counter;
    UnlockOffer by online;
}

/// The transaction a follow-up belongs to: its key, the INITIALIZE that began it, and the one before that.
pub(super) struct Opened {
    pub(super) key: KeyName,
    pub(super) initialize: &'static str,
    pub(super) now: Offer,
    pub(super) old: Option<Offer>,
}

impl Opened {
    /// The answer a session is made of, and the key under which.
    fn of(&self, session: Session) -> Result<(Offer, KeyName), Stop> {
        match session {
            Session::Right | Session::OtherSequence => Ok((self.now, self.key)),
            Session::OtherKey => Ok((self.now, KeyName::Dtk)),
            Session::Old => Ok((self.old.ok_or_else(|| no_earlier(self.initialize))?, self.key)),
        }
    }
}

impl Bench<'_> {
    /// A session between card and host, which no terminal counts.
    pub(super) fn host_session(&self, opened: &Opened, session: Session) -> Result<SessionKey, Stop> {
        if session == Session::OtherSequence {
            return Err(no_meaning(opened.initialize));
        }
        let (Offer { version, algorithm, random, counter }, key) = opened.of(session)?;
        let key = self.transaction_key(key, version, algorithm)?;
        Ok(key.session(session_input(random, counter)))
    }

    /// A session between card and PSAM under the PSAM's sequence, made by `make`.
    pub(super) fn terminal_session(
        &self,
        opened: &Opened,
        sequence: TerminalSeq,
        session: Session,
        make: impl Fn(&CardKey, Offer, TerminalSeq) -> SessionKey,
    ) -> Result<SessionKey, Stop> {
        let later = TerminalSeq(sequence.0.saturating_add(1));
        let sequence = if session == Session::OtherSequence { later } else { sequence };
        let (offer, key) = opened.of(session)?;
        let key = self.transaction_key(key, offer.version, offer.algorithm)?;
        Ok(make(&key, offer, sequence))
    }
}

/// The MAC over the terms, spoilt by the fault.
pub(super) fn faulty_mac(
    fault: MacFault,
    terms: Terms,
    session: impl Fn(Session) -> Result<SessionKey, Stop>,
    mac: impl Fn(&SessionKey, &Terms) -> Mac4,
) -> Result<Mac4, Stop> {
    let session = session(match fault {
        MacFault::OldSession => Session::Old,
        MacFault::OtherKey => Session::OtherKey,
        MacFault::OtherSequence => Session::OtherSequence,
        _ => Session::Right,
    })?;
    let Mac4([a, b, c, d]) = mac(&session, &altered(fault, terms)?);
    Ok(match fault {
        MacFault::WrongBit => Mac4([a, b, c, d ^ 1]),
        MacFault::Zero => Mac4([0; 4]),
        _ => Mac4([a, b, c, d]),
    })
}

/// The terms a MAC covers that are not those of the command.
fn altered(fault: MacFault, terms: Terms) -> Result<Terms, Stop> {
    let [a, b, c, d, e, f] = terms.terminal.0;
    let one = fen(1)?;
    let other = || terms.amount.checked_add(one).or_else(|| terms.amount.checked_sub(one));
    Ok(match fault {
        MacFault::OtherAmount => Terms { amount: other().unwrap_or(terms.amount), ..terms },
        MacFault::OtherTerminal => Terms { terminal: TerminalId([a, b, c, d, e, f ^ 1]), ..terms },
        MacFault::OtherType => Terms { kind: Kind::Other, ..terms },
        MacFault::OtherTime => Terms { at: terms.at.plus_seconds(-1).unwrap_or(terms.at), ..terms },
        _ => terms,
    })
}

/// An amount that a command's type can carry.
pub(super) fn fen(amount: u32) -> Result<PurseFen, Stop> {
    PurseFen::from_bytes(amount.to_be_bytes()).ok_or_else(|| {
        let en = "amounts above 7FFFFFFF are written as bytes, with `send`";
        Stop::Unable(Text::new(en, "大于 7FFFFFFF 的金额须用 send 直接写字节"))
    })
}

/// The case asks for something earlier that it has not done.
pub(super) fn no_earlier(what: &str) -> Stop {
    let (en, zh) = (format!("there is no earlier {what} in this case"), format!("本用例中没有更早的 {what}"));
    Stop::Unable(Text::new(en, zh))
}

/// The fault is none of this command.
pub(super) fn no_meaning(command: &str) -> Stop {
    let (en, zh) = (format!("this fault has no meaning in {command}"), format!("{command} 没有此种错误"));
    Stop::Unable(Text::new(en, zh))
}
