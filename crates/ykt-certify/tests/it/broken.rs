//! Cards that are wrong on purpose: a wrapper around our own card changes commands, answers, or the memory between
//! two commands. The card system itself knows no faults.

use crate::desk::{ASN, Bench, CITY, keys};
use ykt_base::{
    CardChannel, CardCounter, ChannelError, DateTime, Mac4, Random4, Response, StatusWord, TerminalId,
    TerminalSeq,
};
use ykt_card::Memory;
use ykt_crypto::CardKey;
use ykt_purse::files::city_factor;
use ykt_purse::load::{self, Load};
use ykt_purse::purchase::{self, Purchase, PurchaseKind};
use ykt_purse::{Purse, PurseFen};
use ykt_vault::{CardKeyRef, KeyAddress, KeyKind, KeyRef};

/// What is wrong with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    OfflineCounterStuck,
    OnlineCounterStuck,
    OfflineCounterByTwo,
    InitializeCounts,
    LogNotWritten,
    TacOverOldBalance,
    Mac2OfPurchaseZero,
    Mac2NotChecked,
    Mac1NotChecked,
    TakenBeforeMacCheck,
    RetryAfterWrongMac,
    DebitRepeatable,
    ContextSurvives,
    PurchaseUndoneByReset,
    LastFenUnspendable,
    SignOfAmountIgnored,
    FundsBeforeKey,
    LeIgnored,
    UnknownInstructionOk,
    ChallengeReusable,
    ChallengeConstant,
    PlainWriteAllowed,
    PinKeptAfterReset,
    PinKeptAfterSelect,
    PinTriesNotCounted,
    PinTriesNotRestored,
    ProofOfPreviousTransaction,
    ProofLostByReset,
    ReloadMacNotChecked,
    DepositWithoutPin,
    BlockIgnored,
    Mac3Wrong,
    GreyLockLostByReset,
    SamSequenceStuck,
    SamSequenceByTwo,
    SamMac2NotChecked,
    SamFailuresNotCounted,
    SamCreditRepeatable,
    SamMac1Wrong,
}

/// Where files begin in a card's memory.
const FILES_AT: usize = 512;
/// Bytes of a purse in memory.
const PURSE_LEN: usize = 96;
const PIN: [u8; 8] = [0x00, 0x20, 0x00, 0x00, 0x03, 0x12, 0x34, 0x56];

type Image = Vec<u8>;

/// A card with a fault.
pub struct Broken {
    bench: Bench,
    fault: Fault,
    /// The INITIALIZE before, with its answer, when it was answered 9000.
    begun: Option<(Vec<u8>, Vec<u8>)>,
    /// The same for the command before that.
    begun_before: Option<(Vec<u8>, Vec<u8>)>,
    /// The command before, with its answer.
    last: (Vec<u8>, Vec<u8>),
    /// Where the purse lies, once a transaction has shown it.
    purse_at: Option<usize>,
    challenge: Vec<u8>,
    is_challenged: bool,
    is_pin_shown: bool,
    /// What a reset brings back.
    undone_by_reset: Option<Image>,
    proofs: Vec<Vec<u8>>,
    was_reset: bool,
}

impl Broken {
    pub fn new(bench: Bench, fault: Fault) -> Broken {
        Broken {
            bench,
            fault,
            begun: None,
            begun_before: None,
            last: (Vec::new(), Vec::new()),
            purse_at: None,
            challenge: Vec::new(),
            is_challenged: false,
            is_pin_shown: false,
            undone_by_reset: None,
            proofs: Vec::new(),
            was_reset: false,
        }
    }

    fn image(&self) -> Image {
        self.bench.card.memory().image().to_vec()
    }

    fn patch(&mut self, at: usize, bytes: &[u8]) {
        self.bench.card.memory_mut().write(at, bytes).unwrap();
    }

    /// Puts files back to what they were, but for `kept`.
    fn undo(&mut self, before: &Image, kept: std::ops::Range<usize>) {
        for (at, byte) in before.iter().enumerate().skip(FILES_AT) {
            if !kept.contains(&at) {
                self.patch(at, &[*byte]);
            }
        }
    }

    fn forward(&mut self, command: &[u8]) -> Vec<u8> {
        self.bench.transmit(command).unwrap().as_bytes().to_vec()
    }

    /// Finds the purse by what a transaction has just changed: the balance, and one of the counters behind it.
    fn locate(&mut self, before: &Image, old: [u8; 4], new: [u8; 4]) {
        let after = self.image();
        let counters = |image: &Image, at: usize| -> u32 {
            let of = |at: usize| u32::from(u16::from_be_bytes([image[at], image[at + 1]]));
            of(at + 4) + of(at + 6)
        };
        let found = (FILES_AT..after.len() - 8).find(|at| {
            before[*at..*at + 4] == old
                && after[*at..*at + 4] == new
                && counters(&after, *at) == counters(before, *at) + 1
        });
        self.purse_at = self.purse_at.or(found);
    }

    /// The key as this card holds it.
    fn key(&self, kind: KeyKind) -> CardKey {
        let key = KeyRef::new(kind, 1, 1);
        let card = CardKeyRef { key, factor: city_factor(CITY), asn: ASN };
        keys().key(&KeyAddress::Card(card)).ok().unwrap()
    }

    fn answer(&mut self, command: &[u8]) -> Vec<u8> {
        let before = self.image();
        let sent = self.changed(command);
        if let Some(answer) = self.instead(command) {
            return answer;
        }
        let answer = self.forward(&sent);
        self.is_challenged = command[1] == 0x84;
        if self.is_challenged {
            self.challenge = answer[..answer.len() - 2].to_vec();
        }
        self.learn(command, &answer, &before);
        let answer = self.altered(command, answer, &before);
        self.begun_before = self.begun.take();
        self.begun = (command[1] == 0x50 && is_ok(&answer)).then(|| (command.to_vec(), answer.clone()));
        self.last = (command.to_vec(), answer.clone());
        answer
    }

    /// What is noticed of every command, whatever the fault.
    fn learn(&mut self, command: &[u8], answer: &[u8], before: &Image) {
        if !is_ok(answer) {
            return;
        }
        match command {
            [0x80, 0x52, ..] | [0x80, 0x54, 0x01, ..] => {
                if let Some((init, opened)) = self.begun.clone() {
                    let balance = u32::from_be_bytes(opened[..4].try_into().unwrap());
                    let amount = u32::from_be_bytes(init[6..10].try_into().unwrap());
                    let new = if command[1] == 0x52 { balance + amount } else { balance - amount };
                    self.locate(before, balance.to_be_bytes(), new.to_be_bytes());
                }
                if command[1] == 0x54 {
                    if self.fault == Fault::PurchaseUndoneByReset {
                        self.undone_by_reset = Some(before.clone());
                    }
                    let (tac, mac2) = answer[..8].split_at(4);
                    self.proofs.push([mac2, tac, &[0x90, 0]].concat());
                }
            }
            [0x00, 0x20, ..] => self.is_pin_shown = true,
            _ => {}
        }
    }

    /// The command as the card gets it.
    fn changed(&mut self, command: &[u8]) -> Vec<u8> {
        match (self.fault, command) {
            (Fault::Mac2NotChecked, [0x80, 0x52, ..]) if command.len() >= 16 => self.with_right_mac2(command),
            (Fault::Mac1NotChecked, [0x80, 0x54, ..]) if command.len() >= 20 => self.with_right_mac1(command),
            (Fault::LeIgnored, [0x80, 0x5C, p1, p2, _]) => vec![0x80, 0x5C, *p1, *p2],
            (Fault::ChallengeReusable, [class, ins, ..]) => {
                let needs_one = matches!(class, 0x04 | 0x84) || *ins == 0x82;
                if needs_one && !self.is_challenged && !self.challenge.is_empty() {
                    self.bench.dice.queue.extend(self.challenge.clone());
                    let len = self.challenge.len() as u8;
                    self.forward(&[0x00, 0x84, 0x00, 0x00, len]);
                }
                command.to_vec()
            }
            (Fault::ChallengeConstant, [0x00, 0x84, ..]) => {
                self.bench.dice.queue.extend([0x11; 8].iter().take(usize::from(command[4])));
                command.to_vec()
            }
            (Fault::PlainWriteAllowed, [0x00, 0xD6, p1, p2, _, data @ ..]) => {
                let challenge = self.forward(&[0x00, 0x84, 0x00, 0x00, 0x08]);
                let iv = challenge[..8].try_into().unwrap();
                let key = self.key(KeyKind::ApplicationMaintenance);
                let secured = ykt_crypto::sm::plain_with_mac(&key, iv, [0x04, 0xD6, *p1, *p2], data).unwrap();
                secured.as_bytes().to_vec()
            }
            (Fault::ReloadMacNotChecked, [0x80, 0x5E, 0x00, _, 0x07, a, b, c, ..]) => {
                let Mac4(mac) = self.key(KeyKind::PinReload).tac_key().mac(&[&[*a, *b, *c]]);
                [&command[..8], &mac].concat()
            }
            (Fault::DepositWithoutPin, [0x80, 0x50, _, 0x01, ..]) => {
                self.forward(&PIN);
                command.to_vec()
            }
            (Fault::RetryAfterWrongMac, [0x80, 0x54, 0x01, ..]) => {
                let (last, answer) = self.last.clone();
                if last.starts_with(&[0x80, 0x54]) && answer == [0x93, 0x02] {
                    let (init, opened) = self.begun_before.clone().unwrap();
                    self.bench.dice.queue.extend(&opened[11..15]);
                    self.forward(&init);
                }
                command.to_vec()
            }
            _ => command.to_vec(),
        }
    }

    /// An answer that is given without the card.
    fn instead(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        match (self.fault, command) {
            (Fault::ContextSurvives, [0x80, 0x5C, 0x00, 0x02, ..]) => {
                let (_, opened) = self.begun.as_ref()?;
                Some([&opened[..4], &[0x90, 0x00]].concat())
            }
            (Fault::DebitRepeatable | Fault::SamCreditRepeatable, [0x80, 0x54 | 0x72, ..]) => {
                (self.last.0 == command && is_ok(&self.last.1)).then(|| self.last.1.clone())
            }
            (Fault::LastFenUnspendable, [0x80, 0x50, 0x01, ..]) if command.len() == 17 => {
                let balance = self.forward(&[0x80, 0x5C, 0x00, 0x02, 0x04]);
                (balance.get(..4) == command.get(6..10)).then(|| vec![0x94, 0x01])
            }
            (Fault::FundsBeforeKey, [0x80, 0x50, 0x01, ..]) if command.len() == 17 => {
                let balance = self.forward(&[0x80, 0x5C, 0x00, 0x02, 0x04]);
                (balance.get(..4) < command.get(6..10)).then(|| vec![0x94, 0x01])
            }
            (Fault::SignOfAmountIgnored, [0x80, 0x50, 0x01, _, _, _, 0x80..=0xFF, ..]) => {
                Some([&[0; 9][..], &[1, 0, 9, 9, 9, 9, 0x90, 0]].concat())
            }
            (Fault::ProofOfPreviousTransaction, [0x80, 0x5A, 0x00, 0x06, 0x02, ..]) => {
                let [.., previous, _] = self.proofs.as_slice() else { return None };
                Some(previous.clone())
            }
            (Fault::BlockIgnored, [0x84, 0x1E | 0x18, 0x00, ..]) => Some(vec![0x90, 0x00]),
            (Fault::ProofLostByReset, [0x80, 0x5A, ..]) if self.was_reset => Some(vec![0x94, 0x06]),
            _ => None,
        }
    }

    /// The answer as it goes out, and what the memory holds afterwards.
    fn altered(&mut self, command: &[u8], answer: Vec<u8>, before: &Image) -> Vec<u8> {
        let ok = is_ok(&answer);
        let purse = self.purse_at.unwrap_or(FILES_AT);
        match (self.fault, command) {
            (Fault::OfflineCounterStuck, [0x80, 0x54, ..]) if ok => {
                self.patch(purse + 6, &before[purse + 6..purse + 8]);
            }
            (Fault::OnlineCounterStuck, [0x80, 0x52, ..]) if ok => {
                self.patch(purse + 4, &before[purse + 4..purse + 6]);
            }
            (Fault::OfflineCounterByTwo, [0x80, 0x54, ..]) if ok => self.count_up(purse + 6),
            (Fault::InitializeCounts, [0x80, 0x50, 0x01, ..]) if ok && self.purse_at.is_some() => {
                self.count_up(purse + 6);
            }
            (Fault::LogNotWritten, [0x80, 0x54, ..]) if ok => self.undo(before, purse..purse + PURSE_LEN),
            (Fault::TacOverOldBalance, [0x80, 0x52, ..]) if ok => return self.tac_over_old_balance(command),
            (Fault::Mac2OfPurchaseZero, [0x80, 0x54, ..]) if ok => {
                return [&answer[..4], &[0; 4], &[0x90, 0x00]].concat();
            }
            (Fault::TakenBeforeMacCheck, [0x80, 0x54, ..]) if answer == [0x93, 0x02] => {
                if let Some((init, opened)) = self.begun.clone() {
                    let balance = u32::from_be_bytes(opened[..4].try_into().unwrap());
                    let amount = u32::from_be_bytes(init[6..10].try_into().unwrap());
                    self.patch(purse, &(balance - amount).to_be_bytes());
                }
            }
            (Fault::UnknownInstructionOk, _) if answer == [0x6D, 0x00] => return vec![0x90, 0x00],
            (Fault::PinTriesNotCounted, [0x00, 0x20, ..]) if answer[0] == 0x63 => {
                self.undo(before, 0..0);
                return vec![0x63, 0xC2];
            }
            (Fault::PinTriesNotRestored, [0x00, 0x20, ..]) if ok => self.undo(before, 0..0),
            (Fault::PinKeptAfterReset, [0x00, 0xA4, 0x04, ..]) if ok && self.was_reset => self.show_pin(),
            (Fault::PinKeptAfterSelect, [0x00, 0xA4, 0x04, ..]) if ok && !self.was_reset => self.show_pin(),
            (Fault::SamSequenceStuck, [0x80, 0x70, ..]) if ok => self.undo(before, 0..0),
            (Fault::SamSequenceByTwo, [0x80, 0x70, ..]) if ok => {
                let after = self.image();
                let at = (FILES_AT..after.len()).find(|at| before[*at] != after[*at]).unwrap();
                self.patch(at, &[after[at].wrapping_add(1)]);
            }
            (Fault::SamMac2NotChecked, [0x80, 0x72, ..]) if answer == [0x93, 0x02] => {
                self.undo(before, 0..0);
                return vec![0x90, 0x00];
            }
            (Fault::SamFailuresNotCounted, [0x80, 0x72, ..]) if answer == [0x93, 0x02] => {
                self.undo(before, 0..0);
            }
            (Fault::GreyLockLostByReset, [0xE0, 0x7C, ..]) if ok => {
                self.undone_by_reset = Some(before.clone())
            }
            (Fault::SamMac1Wrong, [0x80, 0x70, ..]) | (Fault::Mac3Wrong, [0x80, 0x54, 0x03, ..]) if ok => {
                let mut wrong = answer;
                let last = wrong.len() - 3;
                wrong[last] ^= 1;
                return wrong;
            }
            _ => {}
        }
        answer
    }

    fn show_pin(&mut self) {
        if self.is_pin_shown {
            self.forward(&PIN);
        }
    }

    fn count_up(&mut self, at: usize) {
        let image = self.image();
        let counter = u16::from_be_bytes([image[at], image[at + 1]]).wrapping_add(1);
        self.patch(at, &counter.to_be_bytes());
    }

    /// Terms and answer of the load that was begun.
    fn load(&self) -> Option<(Load, PurseFen, CardCounter, Random4)> {
        let (init, opened) = self.begun.as_ref().filter(|(init, _)| init[2] == 0x00)?;
        let load = Load { purse: Purse::Ep, amount: fen(&init[6..10]), terminal: terminal(init) };
        let counter = CardCounter::from_bytes(opened[4..6].try_into().unwrap());
        Some((load, fen(&opened[..4]), counter, Random4(opened[8..12].try_into().unwrap())))
    }

    fn with_right_mac2(&self, command: &[u8]) -> Vec<u8> {
        let Some((load, _, counter, random)) = self.load() else { return command.to_vec() };
        let session = load::session_key(&self.key(KeyKind::Load), random, counter);
        let Some(at) = DateTime::from_bcd(command[5..12].try_into().unwrap()) else {
            return command.to_vec();
        };
        let mac2 = load::mac2(&session, &load, at);
        [&command[..12], &mac2.0, &[0x04]].concat()
    }

    fn with_right_mac1(&self, command: &[u8]) -> Vec<u8> {
        let Some((init, opened)) = self.begun.as_ref().filter(|(init, _)| init[2] == 0x01) else {
            return command.to_vec();
        };
        let kind = PurchaseKind::Purchase(Purse::Ep);
        let purchase = Purchase { kind, amount: fen(&init[6..10]), terminal: terminal(init) };
        let counter = CardCounter::from_bytes(opened[4..6].try_into().unwrap());
        let random = Random4(opened[11..15].try_into().unwrap());
        let sequence = TerminalSeq::from_bytes(command[5..9].try_into().unwrap());
        let session = purchase::session_key(&self.key(KeyKind::Purchase), random, counter, sequence);
        let at = DateTime::from_bcd(command[9..16].try_into().unwrap()).unwrap();
        let Mac4(mac1) = purchase::mac1(&session, &purchase, at);
        [&command[..16], &mac1, &[0x08]].concat()
    }

    fn tac_over_old_balance(&self, command: &[u8]) -> Vec<u8> {
        let (load, balance, counter, _) = self.load().unwrap();
        let at = DateTime::from_bcd(command[5..12].try_into().unwrap()).unwrap();
        let Mac4(tac) = load::tac(&self.key(KeyKind::Tac).tac_key(), &load, balance, counter, at);
        [&tac[..], &[0x90, 0x00]].concat()
    }
}

fn is_ok(answer: &[u8]) -> bool {
    answer.ends_with(&StatusWord::OK.to_bytes())
}

fn fen(bytes: &[u8]) -> PurseFen {
    PurseFen::from_bytes(bytes.try_into().unwrap()).unwrap()
}

fn terminal(init: &[u8]) -> TerminalId {
    TerminalId(init[10..16].try_into().unwrap())
}

impl CardChannel for Broken {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        let answer = self.answer(command);
        if command[1] == 0xA4 {
            self.was_reset = self.was_reset && self.fault == Fault::ProofLostByReset;
        }
        Ok(Response::from_wire(&answer).unwrap())
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        if let Some(before) = self.undone_by_reset.take() {
            self.undo(&before, 0..0);
        }
        self.begun = None;
        self.was_reset = true;
        self.bench.reset()
    }
}
