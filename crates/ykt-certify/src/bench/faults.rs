//! What is wrong on purpose with the MAC of a transaction, the same for every transaction.

use super::Stop;
use crate::action::MacFault;
use crate::words::Text;
use ykt_base::{DateTime, Mac4, TerminalId};
use ykt_crypto::SessionKey;
use ykt_purse::PurseFen;

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
