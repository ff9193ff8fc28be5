//! The PSAM (消费安全认证模块, `epurse.md` 7): it signs purchases for a terminal and checks the card's answer.

mod cipher;
mod counting;
mod genuine;
mod grey;
mod m1;
mod purchase;

pub(crate) use cipher::Delivered;
pub(crate) use counting::ExpectedMac2;
pub(crate) use grey::{PendingSamLock, SamLock};

use crate::answer::Outcome;
use crate::card::Card;
use crate::command::{CardCommand, Form, Parse};
use crate::image::CardKind;
use crate::memory::Memory;
use crate::session::Carried;
use ykt_base::Rng;
use ykt_purse::auth_code::AuthenticationCode;
use ykt_purse::psam::{self, CreditSam, InitSamForPurchase};
use ykt_purse::psam_cipher::{CipherData, DeliverKey};
use ykt_purse::psam_grey::{self, CalculateGmac, CertifySamGreyLock, InitSamGreyLock};
use ykt_purse::psam_m1::{self, DeriveM1Keys};

/// Commands of a PSAM.
pub(crate) enum SamCommand<'a> {
    InitSamForPurchase(InitSamForPurchase),
    CreditSam(CreditSam),
    InitSamGreyLock(InitSamGreyLock),
    CertifySamGreyLock(CertifySamGreyLock),
    CalculateGmac(CalculateGmac),
    CheckCode(AuthenticationCode),
    DeliverKey(DeliverKey),
    CipherData(CipherData<'a>),
    DeriveM1Keys(DeriveM1Keys),
}

const fn form(name: &'static str, ins: u8, parse: Parse) -> Form {
    Form { name, cla: 0x80, ins, p1: None, kinds: &[CardKind::Psam], parse }
}

/// Commands of the grey lock have a class of their own.
const fn grey_form(name: &'static str, ins: u8, parse: Parse) -> Form {
    Form { cla: 0xE0, ..form(name, ins, parse) }
}

/// Their rows of the command table.
pub(crate) const FORMS: &[Form] = &[
    form("INIT SAM FOR PURCHASE", 0x70, |c| {
        Ok(SamCommand::InitSamForPurchase(InitSamForPurchase::parse(c)?).into())
    }),
    form("CREDIT SAM FOR PURCHASE", 0x72, |c| Ok(SamCommand::CreditSam(CreditSam::parse(c)?).into())),
    grey_form("INIT SAM GREY LOCK", 0x40, |c| {
        Ok(SamCommand::InitSamGreyLock(InitSamGreyLock::parse(c)?).into())
    }),
    grey_form("CERTIFY SAM GREY LOCK", 0x42, |c| {
        Ok(SamCommand::CertifySamGreyLock(CertifySamGreyLock::parse(c)?).into())
    }),
    grey_form("CALCULATE GMAC", 0x44, |c| Ok(SamCommand::CalculateGmac(CalculateGmac::parse(c)?).into())),
    form("CHECK AUTHENTICATION CODE", 0xCA, |c| {
        Ok(SamCommand::CheckCode(AuthenticationCode::parse(c)?).into())
    }),
    form("DELIVERY KEY", 0x1A, |c| Ok(SamCommand::DeliverKey(DeliverKey::parse(c)?).into())),
    form("CIPHER DATA", 0xFA, |c| Ok(SamCommand::CipherData(CipherData::parse(c)?).into())),
    form("DERIVE M1 KEYS", 0xFC, |c| Ok(SamCommand::DeriveM1Keys(DeriveM1Keys::parse(c)?).into())),
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
            SamCommand::InitSamGreyLock(_) => psam_grey::INIT_ANSWER_LEN,
            SamCommand::CalculateGmac(_) => psam_grey::GMAC_ANSWER_LEN,
            SamCommand::CreditSam(_)
            | SamCommand::CertifySamGreyLock(_)
            | SamCommand::CheckCode(_)
            | SamCommand::DeliverKey(_) => 0,
            SamCommand::CipherData(command) => command.answer_len(),
            SamCommand::DeriveM1Keys(_) => psam_m1::ANSWER_LEN,
        })
    }
}

impl<M: Memory> Card<M> {
    #[inline(never)]
    pub(crate) fn execute_psam(
        &mut self,
        rng: &mut dyn Rng,
        command: SamCommand<'_>,
        carried: &mut Carried,
    ) -> Outcome {
        match command {
            SamCommand::InitSamForPurchase(init) => self.init_sam_for_purchase(init),
            SamCommand::CreditSam(credit) => self.credit_sam(credit, carried.pending.take()),
            SamCommand::InitSamGreyLock(init) => self.init_sam_grey_lock(rng, init),
            SamCommand::CertifySamGreyLock(certify) => {
                self.certify_sam_grey_lock(certify, carried.pending.take())
            }
            SamCommand::CalculateGmac(ask) => self.calculate_gmac(ask),
            SamCommand::CheckCode(code) => self.check_authentication_code(code),
            SamCommand::DeliverKey(deliver) => self.deliver_key(deliver),
            SamCommand::CipherData(cipher) => self.cipher_data(cipher, carried.pending.take()),
            SamCommand::DeriveM1Keys(derive) => self.derive_m1_keys(derive),
        }
    }
}
