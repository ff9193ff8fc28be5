//! The PSAM (消费安全认证模块, `epurse.md` 7): it signs purchases for a terminal and checks the card's answer.

mod cipher;
mod counting;
mod purchase;

pub(crate) use cipher::Delivered;
pub(crate) use counting::ExpectedMac2;

use crate::answer::Outcome;
use crate::card::Card;
use crate::command::{CardCommand, Form};
use crate::image::CardKind;
use crate::memory::Memory;
use crate::session::Carried;
use ykt_base::{Command, StatusWord};
use ykt_purse::psam::{self, CreditSam, InitSamForPurchase};
use ykt_purse::psam_cipher::{CipherData, DeliverKey};

/// Commands of a PSAM.
pub(crate) enum SamCommand<'a> {
    InitSamForPurchase(InitSamForPurchase),
    CreditSam(CreditSam),
    DeliverKey(DeliverKey),
    CipherData(CipherData<'a>),
}

const fn form(
    name: &'static str,
    ins: u8,
    parse: for<'a> fn(&Command<'a>) -> Result<CardCommand<'a>, StatusWord>,
) -> Form {
    Form { name, cla: 0x80, ins, p1: None, kinds: &[CardKind::Psam], parse }
}

/// Their rows of the command table.
pub(crate) const FORMS: &[Form] = &[
    form("INIT SAM FOR PURCHASE", 0x70, |c| {
        Ok(SamCommand::InitSamForPurchase(InitSamForPurchase::parse(c)?).into())
    }),
    form("CREDIT SAM FOR PURCHASE", 0x72, |c| Ok(SamCommand::CreditSam(CreditSam::parse(c)?).into())),
    form("DELIVERY KEY", 0x1A, |c| Ok(SamCommand::DeliverKey(DeliverKey::parse(c)?).into())),
    form("CIPHER DATA", 0xFA, |c| Ok(SamCommand::CipherData(CipherData::parse(c)?).into())),
];

impl<'a> From<SamCommand<'a>> for CardCommand<'a> {
    fn from(command: SamCommand<'a>) -> CardCommand<'a> {
        CardCommand::Psam(command)
    }
}

impl SamCommand<'_> {
    /// Length of the answer: every command of a PSAM has one.
    pub(crate) const fn answer_len(&self) -> Option<usize> {
        Some(match self {
            SamCommand::InitSamForPurchase(_) => psam::INIT_ANSWER_LEN,
            SamCommand::CreditSam(_) | SamCommand::DeliverKey(_) => 0,
            SamCommand::CipherData(command) => command.answer_len(),
        })
    }
}

impl<M: Memory> Card<M> {
    pub(crate) fn execute_psam(&mut self, command: SamCommand<'_>, carried: Carried) -> Outcome {
        match command {
            SamCommand::InitSamForPurchase(init) => self.init_sam_for_purchase(init),
            SamCommand::CreditSam(credit) => self.credit_sam(credit, carried.pending),
            SamCommand::DeliverKey(deliver) => self.deliver_key(deliver),
            SamCommand::CipherData(cipher) => self.cipher_data(cipher, carried.pending),
        }
    }
}
