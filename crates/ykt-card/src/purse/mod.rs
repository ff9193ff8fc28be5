//! The electronic purse (电子钱包) and deposit (电子存折): every transaction of `epurse.md` 4, their proofs, and the card's
//! authentication code.

mod capp;
mod code;
mod grey;
mod load;
mod open;
mod overdraft;
mod proof;
mod purchase;
mod state;
mod unload;
mod unlock;

pub(crate) use capp::CappCache;
pub(crate) use open::draw;
pub(crate) use state::stored;

use crate::answer::Outcome;
use crate::card::Card;
use crate::command::{CardCommand, Form, Parse};
use crate::files::nothing_but_its_header;
use crate::memory::Memory;
use crate::session::{Carried, Pending};
use grey::PendingLock;
use load::PendingLoad;
use overdraft::PendingUpdate;
use purchase::PendingPurchase;
use unload::PendingUnload;
use unlock::PendingUnlock;
use ykt_base::{Command, Rng, StatusWord};
use ykt_purse::auth_code::CODE_LEN;
use ykt_purse::capp::UpdateCappData;
use ykt_purse::grey::{
    DebitForUnlock, GetLockProof, GreyUnlock, InitializeForGreyLock, InitializeForGreyUnlock, LockPurse,
};
use ykt_purse::load::{CREDIT_ANSWER_LEN, CreditForLoad, InitializeForLoad};
use ykt_purse::overdraft::{InitializeForUpdate, UpdateOverdraft};
use ykt_purse::prove::{self, ProveTransaction};
use ykt_purse::purchase::{DEBIT_ANSWER_LEN, DebitForPurchase, InitializeForPurchase};
use ykt_purse::unload::{DebitForUnload, InitializeForUnload};
use ykt_purse::{
    Purse, grey as grey_layout, load as load_layout, overdraft as overdraft_layout,
    purchase as purchase_layout, unload as unload_layout,
};

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
    InitializeForUnload(InitializeForUnload),
    DebitForUnload(DebitForUnload),
    InitializeForUpdate(InitializeForUpdate),
    UpdateOverdraft(UpdateOverdraft),
    InitializeForGreyLock(InitializeForGreyLock),
    GreyLock(LockPurse),
    DebitForUnlock(DebitForUnlock),
    InitializeForGreyUnlock(InitializeForGreyUnlock),
    GreyUnlock(GreyUnlock),
    GetLockProof(GetLockProof),
    Prove(ProveTransaction),
    AuthenticationCode,
}

/// A transaction of a purse between its INITIALIZE and its follow-up.
pub(crate) enum PendingTransaction {
    Load(PendingLoad),
    Purchase(PendingPurchase),
    Unload(PendingUnload),
    Update(PendingUpdate),
    Lock(PendingLock),
    Unlock(PendingUnlock),
}

const fn form(name: &'static str, ins: u8, p1: Option<u8>, parse: Parse) -> Form {
    Form { p1, ..Form::of_application(name, ins, parse) }
}

/// Commands of the grey lock have a class of their own.
const fn grey_form(name: &'static str, ins: u8, p1: Option<u8>, parse: Parse) -> Form {
    Form { cla: 0xE0, ..form(name, ins, p1, parse) }
}

/// Their rows of the command table.
pub(crate) const FORMS: &[Form] =
    &[
        form("GET BALANCE", 0x5C, None, |c| Ok(PurseCommand::GetBalance(parse_balance(c)?).into())),
        form("INITIALIZE FOR LOAD", 0x50, Some(0x00), |c| {
            Ok(PurseCommand::InitializeForLoad(InitializeForLoad::parse(c)?).into())
        }),
        form("CREDIT FOR LOAD", 0x52, None, |c| {
            Ok(PurseCommand::CreditForLoad(CreditForLoad::parse(c)?).into())
        }),
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
        form("INITIALIZE FOR UNLOAD", 0x50, Some(0x05), |c| {
            Ok(PurseCommand::InitializeForUnload(InitializeForUnload::parse(c)?).into())
        }),
        form("DEBIT FOR UNLOAD", 0x54, Some(0x03), |c| {
            Ok(PurseCommand::DebitForUnload(DebitForUnload::parse(c)?).into())
        }),
        form("INITIALIZE FOR UPDATE", 0x50, Some(0x04), |c| {
            Ok(PurseCommand::InitializeForUpdate(InitializeForUpdate::parse(c)?).into())
        }),
        form("UPDATE OVERDRAW LIMIT", 0x58, None, |c| {
            Ok(PurseCommand::UpdateOverdraft(UpdateOverdraft::parse(c)?).into())
        }),
        form("GET TRANSACTION PROVE", 0x5A, None, |c| {
            Ok(PurseCommand::Prove(ProveTransaction::parse(c)?).into())
        }),
        form("GET DATA", 0xCA, None, |c| {
            nothing_but_its_header(c)?;
            Ok(PurseCommand::AuthenticationCode.into())
        }),
        grey_form("INITIALIZE FOR GREY LOCK", 0x7A, Some(0x08), |c| {
            Ok(PurseCommand::InitializeForGreyLock(InitializeForGreyLock::parse(c)?).into())
        }),
        grey_form("GREY LOCK", 0x7C, None, |c| Ok(PurseCommand::GreyLock(LockPurse::parse(c)?).into())),
        grey_form("DEBIT FOR UNLOCK", 0x7E, Some(0x08), |c| {
            Ok(PurseCommand::DebitForUnlock(DebitForUnlock::parse(c)?).into())
        }),
        grey_form("INITIALIZE FOR GREY UNLOCK", 0x7A, Some(0x09), |c| {
            Ok(PurseCommand::InitializeForGreyUnlock(InitializeForGreyUnlock::parse(c)?).into())
        }),
        grey_form("GREY UNLOCK", 0x7E, Some(0x09), |c| {
            Ok(PurseCommand::GreyUnlock(GreyUnlock::parse(c)?).into())
        }),
        grey_form("GET LOCK PROOF", 0xCA, None, |c| {
            Ok(PurseCommand::GetLockProof(GetLockProof::parse(c)?).into())
        }),
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
            PurseCommand::InitializeForUnload(_) => load_layout::INITIALIZE_ANSWER_LEN,
            PurseCommand::DebitForUnload(_) => unload_layout::DEBIT_ANSWER_LEN,
            PurseCommand::InitializeForUpdate(_) => overdraft_layout::INITIALIZE_ANSWER_LEN,
            PurseCommand::UpdateOverdraft(_) => overdraft_layout::UPDATE_ANSWER_LEN,
            PurseCommand::InitializeForGreyLock(_) => grey_layout::INITIALIZE_ANSWER_LEN,
            PurseCommand::GreyLock(_) => grey_layout::LOCK_ANSWER_LEN,
            PurseCommand::DebitForUnlock(_) => grey_layout::DEBIT_ANSWER_LEN,
            PurseCommand::InitializeForGreyUnlock(_) => grey_layout::UNLOCK_INITIALIZE_ANSWER_LEN,
            PurseCommand::GreyUnlock(_) => grey_layout::UNLOCK_ANSWER_LEN,
            PurseCommand::GetLockProof(_) => grey_layout::PROOF_LEN,
            PurseCommand::Prove(_) => prove::ANSWER_LEN,
            PurseCommand::AuthenticationCode => CODE_LEN,
        })
    }
}

impl<M: Memory> Card<M> {
    #[inline(never)]
    pub(crate) fn execute_purse(
        &mut self,
        rng: &mut dyn Rng,
        command: PurseCommand<'_>,
        carried: &mut Carried,
    ) -> Outcome {
        let pending = match carried.pending.take() {
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
            PurseCommand::InitializeForUnload(init) => self.initialize_for_unload(rng, init),
            PurseCommand::DebitForUnload(debit) => self.debit_for_unload(debit, pending),
            PurseCommand::InitializeForUpdate(init) => self.initialize_for_update(rng, init),
            PurseCommand::UpdateOverdraft(update) => self.update_overdraft(update, pending),
            PurseCommand::InitializeForGreyLock(init) => self.initialize_for_grey_lock(rng, init),
            PurseCommand::GreyLock(lock) => self.grey_lock(lock, pending),
            PurseCommand::DebitForUnlock(debit) => self.debit_for_unlock(debit),
            PurseCommand::InitializeForGreyUnlock(init) => self.initialize_for_grey_unlock(rng, init),
            PurseCommand::GreyUnlock(unlock) => self.grey_unlock(unlock, pending),
            PurseCommand::GetLockProof(form) => self.lock_proof(form),
            PurseCommand::Prove(asked) => self.prove(asked),
            PurseCommand::AuthenticationCode => self.authentication_code(),
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
