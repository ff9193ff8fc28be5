//! Random sequences of commands, bytes and resets against a user card and a PSAM, with a terminal and a host that
//! do their parts right or wrong. Never a panic; and the purse holds what was loaded minus what was spent, as
//! the answers said.

use crate::bench::{Bench, Dialogue, SELECT_APPLICATION, unhex};
use proptest::prelude::*;
use ykt_base::{CardCounter, DateTime, KeyIndex, Response, TerminalId};
use ykt_crypto::CardKey;
use ykt_purse::load::{self, CreditForLoad, InitializeForLoad, Load, LoadAnswer};
use ykt_purse::psam::{CardFactors, CreditSam, InitSamForPurchase, SamAnswer};
use ykt_purse::purchase::{
    DebitAnswer, DebitForPurchase, InitializeForPurchase, Purchase, PurchaseAnswer, PurchaseKind,
};
use ykt_purse::{Purse, PurseFen};

/// One thing that happens to the card.
#[derive(Debug, Clone)]
enum Event {
    InitializeLoad(u32),
    /// The host's answer; with a wrong bit when told so.
    Credit(Option<u8>),
    InitializePurchase(u32),
    /// The PSAM's MAC1 to the card.
    Debit(Option<u8>),
    CreditSam(Option<u8>),
    Select,
    Reset,
    PowerCut {
        writes: usize,
        torn_len: usize,
    },
    Prove,
    Balance,
    Log(u8),
    Raw(Vec<u8>),
    RawSam(Vec<u8>),
}

fn flaw() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![4 => Just(None), 1 => (0u8..32).prop_map(Some)]
}

/// Bytes near a command: a known head, any tail.
fn raw() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "00A40000", "00A40400", "00B09500", "00D69500", "04D69600", "84D69600", "00B201C4", "80E00017",
        "00840000", "00820000", "00200000", "84D4813E", "80D4813E", "805C0002", "80500002", "80500102",
        "00DC01C4", "00E200C0", "800E0000", "805E0100", "805E0000", "84240000", "841E0000", "84180000",
        "84160000", "84F40000", "80F60000", "00C00000", "00880000", "80520000", "80540100", "805A0006",
        "80700000", "80720000", "801A4401", "80FA0500",
    ]);
    let tail = prop::collection::vec(any::<u8>(), 0..40);
    (known, tail, any::<bool>()).prop_map(|(head, data, right_lc)| {
        let mut apdu = unhex(head);
        if right_lc && !data.is_empty() {
            apdu.push(u8::try_from(data.len()).unwrap());
        }
        apdu.extend(data);
        apdu
    })
}

fn event() -> impl Strategy<Value = Event> {
    let amount = || prop_oneof![8 => 1u32..50_000, 1 => Just(0), 1 => any::<u32>(), 1 => Just(0x7FFF_FFFF)];
    prop_oneof![
        6 => amount().prop_map(Event::InitializeLoad),
        6 => flaw().prop_map(Event::Credit),
        8 => amount().prop_map(Event::InitializePurchase),
        8 => flaw().prop_map(Event::Debit),
        4 => flaw().prop_map(Event::CreditSam),
        2 => Just(Event::Select),
        1 => Just(Event::Reset),
        2 => (0usize..8, 0usize..40).prop_map(|(writes, torn_len)| Event::PowerCut { writes, torn_len }),
        2 => Just(Event::Prove),
        2 => Just(Event::Balance),
        1 => (0u8..12).prop_map(Event::Log),
        2 => raw().prop_map(Event::Raw),
        1 => raw().prop_map(Event::RawSam),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Event::Raw),
    ]
}

/// What a transaction under way would do to the balance.
#[derive(Clone, Copy)]
enum Underway {
    Nothing,
    Load(Load, LoadAnswer),
    Purchase(Purchase, PurchaseAnswer),
}

struct Street {
    card: Bench,
    sam: Bench,
    underway: Underway,
    mac2: Option<DebitAnswer>,
    balance: i64,
    /// What the card would hold after a command whose answer was lost.
    perhaps: Option<i64>,
    /// Type and counter used of that command.
    asked: Option<(u8, CardCounter)>,
}

impl Street {
    fn new(card: Bench, sam: Bench) -> Street {
        let mut street = Street {
            card,
            sam,
            underway: Underway::Nothing,
            mac2: None,
            balance: 0,
            perhaps: None,
            asked: None,
        };
        street.card.ok(SELECT_APPLICATION);
        street.sam.ok("00A4000002DF01");
        street
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::InitializeLoad(amount) => {
                let terminal = TerminalId([1; 6]);
                let Some(amount) = PurseFen::from_bytes(amount.to_be_bytes()) else { return };
                let load = Load { purse: Purse::Ep, amount, terminal };
                let answer = self.send(&InitializeForLoad { key_index: KeyIndex(1), load }.to_apdu());
                if answer.sw().is_ok() {
                    let answer = LoadAnswer::from_bytes(answer.data()).unwrap();
                    assert_eq!(answer.balance.fen().fen(), self.balance);
                    self.underway = Underway::Load(load, answer);
                }
            }
            Event::Credit(flaw) => self.credit(*flaw),
            Event::InitializePurchase(amount) => {
                let terminal = TerminalId([0x36, 0x04, 0x86, 0x60, 0x00, 0x02]);
                let Some(amount) = PurseFen::from_bytes(amount.to_be_bytes()) else { return };
                let kind = PurchaseKind::Purchase(Purse::Ep);
                let purchase = Purchase { kind, amount, terminal };
                let command = InitializeForPurchase { key_index: KeyIndex(1), purchase };
                let answer = self.send(&command.to_apdu());
                if answer.sw().is_ok() {
                    let answer = PurchaseAnswer::from_bytes(answer.data()).unwrap();
                    assert_eq!(answer.balance.fen().fen(), self.balance);
                    self.underway = Underway::Purchase(purchase, answer);
                }
            }
            Event::Debit(flaw) => self.debit(*flaw),
            Event::CreditSam(flaw) => {
                if let Some(answer) = self.mac2.take() {
                    let mut command = CreditSam { mac2: answer.mac2 }.to_apdu();
                    let wrong = spoil(&mut command, 5, *flaw);
                    let sw = self.sam.send(&command).sw().0;
                    // The sequence of a PSAM moves on; its context may have gone with another command.
                    assert!(if wrong {
                        sw != 0x9000
                    } else {
                        [0x9000, 0x6901, 0x9302, 0x6983].contains(&sw)
                    });
                }
            }
            Event::Select => {
                self.send_hex(SELECT_APPLICATION);
            }
            Event::Reset => {
                self.card.card.reset();
                self.sam.card.reset();
                self.underway = Underway::Nothing;
                self.open();
            }
            Event::PowerCut { writes, torn_len } => {
                self.card.card.memory_mut().cut_power_after(*writes, *torn_len);
                self.perhaps = None;
                self.asked = None;
                self.happen_underway();
                self.power_cycle();
            }
            Event::Prove => {
                self.send_hex("805A0006020000");
            }
            Event::Balance => self.look(),
            Event::Log(number) => {
                self.send(&[0x00, 0xB2, *number, 0xC4, 0x17]);
            }
            Event::Raw(apdu) => {
                self.send(apdu);
                self.open();
            }
            Event::RawSam(apdu) => {
                self.sam.send(apdu);
                self.sam.send(&[0x00, 0xA4, 0x00, 0x00, 0x02, 0xDF, 0x01]);
            }
        }
    }

    /// Any command ends what is under way on our side too.
    fn send(&mut self, apdu: &[u8]) -> Response {
        self.underway = Underway::Nothing;
        self.card.send(apdu)
    }

    fn send_hex(&mut self, apdu: &str) -> Response {
        self.send(&unhex(apdu))
    }

    fn open(&mut self) {
        assert!(self.send_hex(SELECT_APPLICATION).sw().is_ok());
        self.sam.ok("00A4000002DF01");
    }

    fn credit(&mut self, flaw: Option<u8>) {
        let dlk = CardKey::from_hex("E5A60E3AB7E2795E3D8F4F5AACDD05D2").unwrap();
        let Underway::Load(load, answer) = self.underway else {
            let sw = self.send_hex("805200000B20240131123456764044A2").sw().0;
            assert_eq!(sw, 0x6901);
            return;
        };
        let session = load::session_key(&dlk, answer.random, answer.counter);
        let mut command = CreditForLoad { at: at(), mac2: load::mac2(&session, &load, at()) }.to_apdu();
        let wrong = spoil(&mut command, 12, flaw);
        let after = self.balance + load.amount.fen().fen();
        self.asked = Some((0x02, answer.counter));
        self.follow_up(&command, wrong, after);
    }

    /// Sends CREDIT or DEBIT; the answer when the money moved.
    fn follow_up(&mut self, command: &[u8], wrong: bool, after: i64) -> Option<Response> {
        self.perhaps = (!wrong).then_some(after);
        let given = self.send(command);
        if wrong {
            assert!(!given.sw().is_ok());
            return None;
        }
        if given.sw().0 == 0x6581 {
            return None;
        }
        assert!(given.sw().is_ok(), "{}", given.sw());
        self.balance = after;
        Some(given)
    }

    fn debit(&mut self, flaw: Option<u8>) {
        let Underway::Purchase(purchase, answer) = self.underway else {
            let sw = self.send_hex("805401000F0000001120240131123456FFB035B1").sw().0;
            assert_eq!(sw, 0x6901);
            return;
        };
        let factors =
            CardFactors::two_levels("01011000FFFFFFFF".parse().unwrap(), "1700010170907984".parse().unwrap());
        let init = InitSamForPurchase {
            random: answer.random,
            counter: answer.counter,
            amount: purchase.amount,
            kind: purchase.kind,
            at: at(),
            key_version: answer.key_version,
            algorithm: answer.algorithm,
            factors,
        };
        let signed = self.sam.send(&init.to_apdu());
        let Some(signed) = SamAnswer::from_bytes(signed.data()).filter(|_| signed.sw().is_ok()) else {
            assert_eq!(signed.sw().0, 0x6983, "only a locked key keeps the PSAM from signing");
            return;
        };
        let debit = DebitForPurchase { sequence: signed.sequence, at: at(), mac1: signed.mac1 };
        let mut command = debit.to_apdu();
        let wrong = spoil(&mut command, 16, flaw);
        let after = self.balance - purchase.amount.fen().fen();
        self.asked = Some((0x06, answer.counter));
        let given = self.follow_up(&command, wrong, after);
        self.mac2 = given.and_then(|given| DebitAnswer::from_bytes(given.data()));
    }

    /// Finishes what is under way while the power fails.
    fn happen_underway(&mut self) {
        match self.underway {
            Underway::Load(..) => self.credit(None),
            Underway::Purchase(..) => self.debit(None),
            Underway::Nothing => {}
        }
    }

    /// The card comes back from the cut with the old balance or the new one, and proves which.
    fn power_cycle(&mut self) {
        self.card.power_cycle();
        self.underway = Underway::Nothing;
        self.open();
        let found = self.found();
        if let (Some(perhaps), Some((kind, counter))) = (self.perhaps.take(), self.asked.take()) {
            // The counter after: the counter used would also fit the transaction before.
            let [high, low] = counter.next().unwrap().to_bytes();
            let proven = self.send(&[0x80, 0x5A, 0x00, kind, 0x02, high, low]).sw();
            assert_eq!(proven.is_ok(), found == perhaps, "the proof tells whether the money moved");
            assert!(found == perhaps || found == self.balance);
            self.balance = found;
        }
        self.look();
    }

    fn found(&mut self) -> i64 {
        let answer = self.send(&[0x80, 0x5C, 0x00, 0x02, 0x04]);
        i64::from(u32::from_be_bytes(answer.data().try_into().unwrap()))
    }

    fn look(&mut self) {
        assert_eq!(self.found(), self.balance, "a fen came from nowhere or went there");
    }
}

fn at() -> DateTime {
    DateTime::from_number(20_240_131_123_456).unwrap()
}

/// Turns one of the 32 bits at `from`.
fn spoil(command: &mut [u8], from: usize, flaw: Option<u8>) -> bool {
    if let Some(bit) = flaw {
        command[from + usize::from(bit) / 8] ^= 1 << (bit % 8);
    }
    flaw.is_some()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn money_is_conserved_whatever_happens(events in prop::collection::vec(event(), 1..120)) {
        let (card, sam) = (Dialogue::read("user-card").play(), Dialogue::read("psam-card").play());
        let mut street = Street::new(card, sam);
        for event in &events {
            street.happen(event);
        }
        street.open();
        street.look();
    }

    #[test]
    fn any_bytes_get_a_status_word(apdus in prop::collection::vec(prop_oneof![raw(), prop::collection::vec(any::<u8>(), 0..262)], 1..60)) {
        for name in ["user-card", "psam-card"] {
            let mut bench = Dialogue::read(name).play();
            for apdu in &apdus {
                let answer = bench.send(apdu);
                prop_assert!([0x60, 0x90].contains(&(answer.sw().0.to_be_bytes()[0] & 0xF0)));
            }
            bench.power_cycle();
        }
    }
}
