//! What each step of an order means for the books.
//!
//! Money moves when it moves, whatever the books say: what comes after its day was closed is booked on the first
//! open day and keeps its moment. The day is chosen once, in the transaction that takes the step; a repeated
//! step is answered from the order or the settlement and posts nothing, so it never asks for a day again.

use crate::channel::Channel;
use crate::error::PayError;
use crate::order::Order;
use ykt_base::{Date, DateTime, Fen};
use ykt_ledger::{AccountCode, AccountError, Entry, EntryId, EntryIdError, PostError, chart};
use ykt_store::{StoreError, Tx};

/// Sub-account of paid load orders not yet on a card.
const LOAD_ORDERS: &str = "load-orders";

/// A step that moves money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Held: the channel owes it, the order has it.
    Paid,
    /// From the order to the card.
    Credited,
    /// From the order back to the customer.
    GivenBack,
}

/// Why an entry could not even be written down; ids and channels are parsed so that it can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// The account.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The id.
    #[error(transparent)]
    Id(#[from] EntryIdError),
}

/// Books a step of an order.
pub fn post_move(tx: &Tx, order: &Order, step: Move, at: DateTime) -> Result<(), PayError> {
    let held = AccountCode::below(&chart::ACCOUNT_FLOAT, LOAD_ORDERS).map_err(WordError::from)?;
    let channel = channel_account(&order.channel)?;
    let (word, event, debit, credit) = match step {
        Move::Paid => ("paid", "LOAD-PAID", channel, held),
        Move::Credited => ("credited", "LOAD-CREDITED", held, AccountCode::of(&chart::PURSE_FLOAT)),
        Move::GivenBack => ("given-back", "LOAD-GIVEN-BACK", held, channel),
    };
    let id = EntryId::new(format!("load/{}/{word}", order.id)).map_err(WordError::from)?;
    let amount = order.amount.fen();
    let entry = Entry::new(id, booking_day(tx, at)?, at, event).debit(debit, amount).credit(credit, amount);
    post(tx, &[entry])
}

/// Books what a channel settled for the payments of `day`: net into the reserve bank, the fee as expense,
/// which the operator's own money covers so that the clients' stays whole.
pub fn post_settlement(
    tx: &Tx,
    channel: &Channel,
    day: Date,
    (gross, net, fee): (Fen, Fen, Fen),
    at: DateTime,
) -> Result<(), PayError> {
    let id = |word: &str| {
        EntryId::new(format!("channel/{channel}/{}/{word}", day.compact())).map_err(WordError::from)
    };
    let booked_on = booking_day(tx, at)?;
    let (reserve, own) = (AccountCode::of(&chart::RESERVE_BANK), AccountCode::of(&chart::OWN_BANK));
    let settled =
        Entry::new(id("settled")?, booked_on, at, "CHANNEL-SETTLED").memo(format!("payments of {day}"));
    let settled = if net.is_zero() { settled } else { settled.debit(reserve.clone(), net) };
    let settled =
        if fee.is_zero() { settled } else { settled.debit(AccountCode::of(&chart::CHANNEL_FEES), fee) };
    let mut entries = vec![settled.credit(channel_account(channel)?, gross)];
    if !fee.is_zero() {
        let covers = Entry::new(id("covered")?, booked_on, at, "OWN-COVERS").memo(format!("fee of {day}"));
        entries.push(covers.debit(reserve, fee).credit(own, fee));
    }
    post(tx, &entries)
}

/// The account of what a channel owes.
pub fn channel_account(channel: &Channel) -> Result<AccountCode, WordError> {
    Ok(AccountCode::below(&chart::CHANNEL_RECEIVABLE, channel.as_str())?)
}

/// The day of the books for what happens at `at`: its own, or the first open one when that is closed.
fn booking_day(tx: &Tx, at: DateTime) -> Result<Date, StoreError> {
    let first_open = ykt_ledger::last_closed_day(tx)?.and_then(|closed| closed.plus_days(1));
    Ok(first_open.map_or(at.date, |first_open| first_open.max(at.date)))
}

fn post(tx: &Tx, entries: &[Entry]) -> Result<(), PayError> {
    ykt_ledger::post(tx, entries).map(drop).map_err(|error| match error {
        PostError::Store(error) => PayError::Store(error),
        error => PayError::Ledger(error),
    })
}
