//! Steps of the validation chain that need no more than one record, the registers and the policy
//! (`clearing.md` 3): V04 to V09, V12, V13 and V17. Each is a function of what it is given.

use crate::policy::Policy;
use crate::purchase::Purchase;
use crate::verdict::Cause;
use ykt_base::{Date, Fen, MerchantCode};
use ykt_files::PurchaseType;
use ykt_office::Registers;
use ykt_office::cards::{CardKind, CardRow};
use ykt_office::merchants::Contract;

/// V04 to V09: PSAM, terminal, their pair, merchant, card.
///
/// # Errors
/// The first step that fails; otherwise the card.
pub fn registered<'r>(
    purchase: &Purchase,
    day: Date,
    registers: &'r Registers,
) -> Result<&'r CardRow, Cause> {
    let pair = registers.pair_at(&purchase.terminal, purchase.at).ok_or(Cause::PsamUnknown)?;
    let terminal = registers.terminal(&purchase.pos).ok_or(Cause::TerminalUnknown)?;
    if terminal.merchant != purchase.merchant {
        return Err(Cause::TerminalUnknown);
    }
    if pair.pos != purchase.pos {
        return Err(Cause::PairMismatch);
    }
    let in_force = |day| registers.contract(&purchase.merchant, day).is_some();
    if !in_force(purchase.at.date) && !in_force(day) {
        return Err(Cause::NoContract);
    }
    let row = registers.card(&purchase.asn).ok_or(Cause::CardUnknown)?;
    match row.card.kind {
        CardKind::Real => Ok(row),
        CardKind::Test => Err(Cause::TestCard),
    }
}

/// The contract a merchant's bill of clearing day `day` is settled by: the one in force, or the last one that
/// began before, so that a record that comes late is paid as was agreed. `None` for a merchant without any.
#[must_use]
pub fn settling_contract<'r>(
    registers: &'r Registers,
    merchant: &MerchantCode,
    day: Date,
) -> Option<&'r Contract> {
    let contracts = &registers.merchant(merchant)?.contracts;
    contracts.iter().rfind(|contract| contract.from <= day).or(contracts.first())
}

/// V12 and V13: date and amount.
///
/// # Errors
/// The first step that fails.
pub fn plausible(purchase: &Purchase, day: Date, policy: &Policy) -> Result<(), Cause> {
    let age_days = day.days_since(purchase.at.date);
    let ahead_days = purchase.at.date.days_since(day);
    if age_days > policy.record_age_days_max.into() || ahead_days > policy.record_ahead_days_max.into() {
        return Err(Cause::Overdue);
    }
    // The entry of a ride by a compound purchase may cost nothing (`epurse.md` 4.10).
    let is_free = purchase.amount == Fen::ZERO && purchase.purchase == PurchaseType::Wallet;
    if is_free || purchase.amount > policy.single_limit || purchase.amount > purchase.balance_before {
        return Err(Cause::AmountSuspicious);
    }
    Ok(())
}

/// Who bears a purchase as far as a loss of the card goes (V17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossBearer {
    /// No loss was in effect: the holder, out of the purse.
    Holder,
    /// The loss was in effect, and the terminal could not know it yet.
    Operator,
    /// The list had reached the terminal, or should have.
    Merchant,
}

/// V17: before the loss took effect the holder bears; from then until the list reached the terminal, at most
/// the policy's delay, the operator; afterwards the merchant.
#[must_use]
pub fn loss_bearer(purchase: &Purchase, registers: &Registers, policy: &Policy) -> LossBearer {
    let Some(loss) = registers.loss_of(&purchase.asn, purchase.at) else {
        return LossBearer::Holder;
    };
    let had_list = registers.list_reached(&purchase.pos, loss).is_some_and(|at| at <= purchase.at);
    let delay_ends = loss.effective_at.plus_seconds(policy.loss_delay_s.into());
    let in_delay = delay_ends.is_none_or(|end| purchase.at <= end);
    if !had_list && in_delay { LossBearer::Operator } else { LossBearer::Merchant }
}
