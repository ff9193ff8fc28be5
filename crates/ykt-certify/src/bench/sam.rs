//! A PSAM under test: the bench plays the card of the plan, whose key it derives itself.

use super::faults::{fen, no_earlier};
use super::{ANSWER, Bench, Finding, Stop, encoded, same};
use crate::action::{CipherMode, KeyName, ProofFault};
use crate::template::{Masked, Template};
use crate::words::Words;
use ykt_base::hex::Hex;
use ykt_base::{CardCounter, KeyVersion, Mac4, Random4, StatusWord, TerminalSeq};
use ykt_crypto::CardKey;
use ykt_purse::command;
use ykt_purse::grey;
use ykt_purse::psam::{CardFactors, CreditSam, InitSamForPurchase, SamAnswer, SamKeyType, SamUsage};
use ykt_purse::psam_grey::{CalculateGmac, CertifySamGreyLock, InitSamGreyLock, SamLockAnswer};
use ykt_purse::purchase::{self, PurchaseKind};
use ykt_purse::{Purse, PurseFen};

const SEQUENCE: (&str, &str) = ("terminal sequence", "终端交易序号");
const MAC1: (&str, &str) = ("MAC1 of the PSAM", "PSAM 的 MAC1");
const GMAC: (&str, &str) = ("GMAC", "GMAC");

/// Random number, counter and balance of the card that the bench plays.
const RANDOM: Random4 = Random4([0x5A, 0x5B, 0x5C, 0x5D]);
const COUNTER: CardCounter = CardCounter(7);
const BALANCE: PurseFen = PurseFen::ZERO;

impl Bench<'_> {
    pub(super) fn sam_initialize(
        &mut self,
        amount: u32,
        version: Option<u8>,
        algorithm: u8,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        let settings = self.desk.settings;
        let amount = fen(amount)?;
        let init = InitSamForPurchase {
            random: RANDOM,
            counter: COUNTER,
            amount,
            kind: PurchaseKind::Purchase(Purse::Ep),
            at: self.desk.at,
            key_version: KeyVersion(version.unwrap_or(settings.version)),
            algorithm,
            factors: CardFactors::two_levels(self.holder.factor(), self.holder.card()),
        };
        let response = self.demand("INIT SAM FOR PURCHASE", Masked::open(&init.to_apdu()), sw)?;
        if !response.sw().is_ok() {
            return Ok(response.sw());
        }
        let answer = SamAnswer::from_bytes(response.data());
        let answer = answer.ok_or_else(|| Finding::new(ANSWER, "8 bytes", Hex(response.data())))?;
        if let Some(next) = self.sam.next.filter(|next| *next != answer.sequence) {
            return Err(
                Finding::new(SEQUENCE, Hex(&next.to_bytes()), Hex(&answer.sequence.to_bytes())).into()
            );
        }
        self.sam.next = answer.sequence.next();
        let dpk = self.key(KeyName::Dpk, settings.index, init.key_version.0)?;
        let session = purchase::session_key(&dpk, RANDOM, COUNTER, answer.sequence);
        let mac1 = purchase::mac1(&session, &init.purchase(self.holder.terminal()), init.at);
        same(MAC1, mac1, answer.mac1)?;
        self.sam.mac2 = Some(purchase::mac2(&session, amount));
        Ok(response.sw())
    }

    /// CREDIT SAM for the purchase signed last; without one, with a MAC2 of zeros.
    pub(super) fn sam_credit(&mut self, fault: ProofFault, sw: &Words) -> Result<StatusWord, Stop> {
        let mac2 = self.mac2(fault);
        self.ask("CREDIT SAM", Masked::open(&CreditSam { mac2 }.to_apdu()), sw, None)
    }

    /// INIT SAM GREY LOCK for the card of the plan. How a PSAM counts for the debit that follows is its own.
    pub(super) fn sam_lock(&mut self, sw: &Words) -> Result<StatusWord, Stop> {
        let settings = self.desk.settings;
        let init = InitSamGreyLock {
            random: RANDOM,
            counter: COUNTER,
            balance: BALANCE,
            purse: Purse::Ep,
            at: self.desk.at,
            key_version: KeyVersion(settings.version),
            algorithm: 0,
            factors: CardFactors::two_levels(self.holder.factor(), self.holder.card()),
        };
        let response = self.demand("INIT SAM GREY LOCK", Masked::open(&init.to_apdu()), sw)?;
        if !response.sw().is_ok() {
            return Ok(response.sw());
        }
        let answer = SamLockAnswer::from_bytes(response.data());
        let answer = answer.ok_or_else(|| Finding::new(ANSWER, "12 bytes", Hex(response.data())))?;
        self.sam.next = None;
        let dpk = self.key(KeyName::Dpk, settings.index, settings.version)?;
        let SamLockAnswer { sequence, terminal_random, mac1 } = answer;
        let session = grey::session_key(&dpk, RANDOM, COUNTER, sequence, terminal_random);
        same(MAC1, grey::mac1(&session, &init.lock(self.holder.terminal()), init.at), mac1)?;
        self.sam.mac2 = Some(grey::mac2(&session, BALANCE, COUNTER));
        self.sam.lock = Some(session);
        Ok(response.sw())
    }

    /// CERTIFY SAM GREY LOCK for the lock signed last; without one, with a MAC2 of zeros.
    pub(super) fn sam_certify(&mut self, fault: ProofFault, sw: &Words) -> Result<StatusWord, Stop> {
        let mac2 = self.mac2(fault);
        let command = CertifySamGreyLock { mac2 }.to_apdu();
        self.ask("CERTIFY SAM GREY LOCK", Masked::open(&command), sw, None)
    }

    /// CALCULATE GMAC for the lock certified last.
    pub(super) fn sam_gmac(&mut self, amount: u32, sw: &Words) -> Result<StatusWord, Stop> {
        let amount = fen(amount)?;
        let ask = CalculateGmac { purse: Purse::Ep, card: self.holder.card(), counter: COUNTER, amount };
        let response = self.demand("CALCULATE GMAC", Masked::open(&ask.to_apdu()), sw)?;
        if response.sw().is_ok() {
            let session = self.sam.lock.as_ref().ok_or_else(|| no_earlier("INIT SAM GREY LOCK"))?;
            let gmac = grey::gmac(session, amount);
            let found = response.data().get(..4).unwrap_or_default();
            same(GMAC, Hex(gmac.as_bytes()).to_string(), Hex(found).to_string())?;
        }
        Ok(response.sw())
    }

    /// The MAC2 that the purchase or lock signed last must get, right or wrong.
    fn mac2(&self, fault: ProofFault) -> Mac4 {
        let Mac4([a, b, c, d]) = self.sam.mac2.unwrap_or(Mac4([0; 4]));
        Mac4([a, b, c, d ^ u8::from(fault == ProofFault::WrongBit)])
    }

    pub(super) fn sam_sequence(&mut self) -> Result<StatusWord, Stop> {
        let read = command::read_binary(self.desk.settings.sequence_sfi, 0, 4);
        let response = self.demand("READ BINARY of the sequence", encoded(&read), &Words::ok())?;
        let found = <[u8; 4]>::try_from(response.data()).map(TerminalSeq::from_bytes);
        let found = found.map_err(|_| Finding::new(SEQUENCE, "4 bytes", Hex(response.data())))?;
        match self.sam.next {
            Some(next) if next != found => {
                Err(Finding::new(SEQUENCE, Hex(&next.to_bytes()), Hex(&found.to_bytes())).into())
            }
            _ => {
                self.sam.next = Some(found);
                Ok(response.sw())
            }
        }
    }

    pub(super) fn deliver_key(
        &mut self,
        usage: u8,
        name: KeyName,
        version: Option<u8>,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        let version = version.unwrap_or(self.desk.settings.version);
        let usage_known = SamUsage::from_code(usage);
        let factors = [*self.holder.card().as_bytes(), self.holder.factor().0];
        let levels = usize::from(usage >> 5).min(factors.len());
        let factors: Vec<u8> = factors.into_iter().take(levels).flatten().collect();
        let mut command = Masked::open(&[0x80, 0x1A, usage, version]);
        command.push(&[u8::try_from(factors.len()).unwrap_or(0)], crate::template::Secrecy::Open);
        command.push(&factors, crate::template::Secrecy::Open);
        let response = self.demand("DELIVERY KEY", command, sw)?;
        if response.sw().is_ok() {
            let key = self.key(name, 1, version)?;
            self.sam.delivered = Some(match usage_known.map(SamUsage::kind) {
                Some(SamKeyType::PinReload) => CardKey::from(key.tac_key()),
                _ => key,
            });
        }
        Ok(response.sw())
    }

    pub(super) fn cipher(
        &mut self,
        mode: CipherMode,
        data: &Template,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        let data = self.fill(data)?;
        let p1 = match mode {
            CipherMode::Encrypt => 0x00,
            CipherMode::Mac => 0x05,
        };
        let len = u8::try_from(data.as_bytes().len()).unwrap_or(u8::MAX);
        let mut command = Masked::open(&[0x80, 0xFA, p1, 0x00, len]);
        command.append(&data);
        let response = self.demand("CIPHER DATA", command, sw)?;
        if !response.sw().is_ok() {
            return Ok(response.sw());
        }
        let Some(key) = &self.sam.delivered else {
            return Err(
                Finding::new(ANSWER, "no answer without a delivered key", Hex(response.data())).into()
            );
        };
        let expected = match mode {
            CipherMode::Encrypt => {
                let mut blocks = data.as_bytes().to_vec();
                key.encrypt_blocks(&mut blocks);
                blocks
            }
            CipherMode::Mac => data
                .as_bytes()
                .split_at_checked(key.block_len())
                .and_then(|(iv, blocks)| {
                    let mut state = key.begin_mac(iv)?;
                    key.continue_mac(&mut state, blocks);
                    Some(key.end_mac(&state).0.to_vec())
                })
                .unwrap_or_default(),
        };
        if response.data() != expected {
            return Err(Finding::new(ANSWER, Hex(&expected), Hex(response.data())).into());
        }
        Ok(response.sw())
    }
}
