//! The electronic purse (电子钱包) and deposit (电子存折): balance, load, purchase, proof (`epurse.md` 4).

mod capp;
mod load;
mod open;
mod proof;
mod purchase;
mod state;

pub(crate) use capp::CappCache;
pub(crate) use open::draw;
pub(crate) use state::stored;

use crate::answer::Outcome;
use crate::card::Card;
use crate::command::{CardCommand, Form};
use crate::image::CardKind;
use crate::memory::Memory;
use crate::session::{Carried, Pending};
use load::PendingLoad;
use purchase::PendingPurchase;
use ykt_base::{Command, Rng, StatusWord};
use ykt_purse::capp::UpdateCappData;
use ykt_purse::load::{CREDIT_ANSWER_LEN, CreditForLoad, InitializeForLoad};
use ykt_purse::prove::{self, ProveTransaction};
use ykt_purse::purchase::{DEBIT_ANSWER_LEN, DebitForPurchase, InitializeForPurchase};
use ykt_purse::{Purse, load as load_layout, purchase as purchase_layout};

/// Length of a GET BALANCE answer.
const BALANCE_LEN: usize = 4;

/// Commands of purses.
pub(crate) enum PurseCommand<'a> {
    GetBalance(Purse),
    InitializeForLoad(InitializeForLoad),
    CreditForLoad(CreditForLoad),
    InitializeForPurchase(InitializeForPurchase),
    UpdateCappData(UpdateCappData<'a>),
    DebitForPurchase(DebitForPurchase),
    Prove(ProveTransaction),
}

/// A transaction of a purse between its INITIALIZE and its follow-up.
pub(crate) enum PendingTransaction {
    Load(PendingLoad),
    Purchase(PendingPurchase),
}

const fn form(
    name: &'static str,
    ins: u8,
    p1: Option<u8>,
    parse: for<'a> fn(&Command<'a>) -> Result<CardCommand<'a>, StatusWord>,
) -> Form {
    Form { name, cla: 0x80, ins, p1, kinds: &[CardKind::User], parse }
}

/// Their rows of the command table.
pub(crate) const FORMS: &[Form] = &[
    form("GET BALANCE", 0x5C, None, |c| Ok(PurseCommand::GetBalance(parse_balance(c)?).into())),
    form("INITIALIZE FOR LOAD", 0x50, Some(0x00), |c| {
        Ok(PurseCommand::InitializeForLoad(InitializeForLoad::parse(c)?).into())
    }),
    form("CREDIT FOR LOAD", 0x52, None, |c| Ok(PurseCommand::CreditForLoad(CreditForLoad::parse(c)?).into())),
    form("INITIALIZE FOR PURCHASE", 0x50, Some(0x01), |c| {
        Ok(PurseCommand::InitializeForPurchase(InitializeForPurchase::parse(c)?).into())
    }),
    form("INITIALIZE FOR CASH WITHDRAW", 0x50, Some(0x02), |c| {
        Ok(PurseCommand::InitializeForPurchase(InitializeForPurchase::parse(c)?).into())
    }),
    form("INITIALIZE FOR CAPP PURCHASE", 0x50, Some(0x03), |c| {
        Ok(PurseCommand::InitializeForPurchase(InitializeForPurchase::parse(c)?).into())
    }),
    form("UPDATE CAPP DATA CACHE", 0xDC, None, |c| {
        Ok(PurseCommand::UpdateCappData(UpdateCappData::parse(c)?).into())
    }),
    form("DEBIT FOR PURCHASE", 0x54, Some(0x01), |c| {
        Ok(PurseCommand::DebitForPurchase(DebitForPurchase::parse(c)?).into())
    }),
    form(
        "GET TRANSACTION PROVE",
        0x5A,
        None,
        |c| Ok(PurseCommand::Prove(ProveTransaction::parse(c)?).into()),
    ),
];

impl<'a> From<PurseCommand<'a>> for CardCommand<'a> {
    fn from(command: PurseCommand<'a>) -> CardCommand<'a> {
        CardCommand::Purse(command)
    }
}

impl PurseCommand<'_> {
    /// Length of the answer: every command of a purse decides it.
    pub(crate) const fn answer_len(&self) -> Option<usize> {
        Some(match self {
            PurseCommand::GetBalance(_) => BALANCE_LEN,
            PurseCommand::InitializeForLoad(_) => load_layout::INITIALIZE_ANSWER_LEN,
            PurseCommand::CreditForLoad(_) => CREDIT_ANSWER_LEN,
            PurseCommand::InitializeForPurchase(_) => purchase_layout::INITIALIZE_ANSWER_LEN,
            PurseCommand::UpdateCappData(_) => 0,
            PurseCommand::DebitForPurchase(_) => DEBIT_ANSWER_LEN,
            PurseCommand::Prove(_) => prove::ANSWER_LEN,
        })
    }
}

impl<M: Memory> Card<M> {
    pub(crate) fn execute_purse(
        &mut self,
        rng: &mut dyn Rng,
        command: PurseCommand<'_>,
        carried: Carried,
    ) -> Outcome {
        let pending = match carried.pending {
            Some(Pending::Purse(pending)) => Some(pending),
            _ => None,
        };
        match command {
            PurseCommand::GetBalance(purse) => self.balance(purse),
            PurseCommand::InitializeForLoad(init) => self.initialize_for_load(rng, init),
            PurseCommand::CreditForLoad(credit) => self.credit_for_load(credit, pending),
            PurseCommand::InitializeForPurchase(init) => self.initialize_for_purchase(rng, init),
            PurseCommand::UpdateCappData(update) => self.update_capp_data(update, pending),
            PurseCommand::DebitForPurchase(debit) => self.debit_for_purchase(debit, pending),
            PurseCommand::Prove(asked) => self.prove(asked),
        }
    }
}

/// GET BALANCE (读余额): `80 5C 00 purse`.
fn parse_balance(command: &Command<'_>) -> Result<Purse, StatusWord> {
    if command.p1 != 0x00 {
        return Err(StatusWord::WRONG_P1P2);
    }
    let purse = Purse::from_code(command.p2)?;
    if command.data.is_empty() { Ok(purse) } else { Err(StatusWord::WRONG_LENGTH) }
}
