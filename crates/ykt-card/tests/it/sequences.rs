//! Random sequences of commands, bytes, resets and power cuts against a card with both purses and a PSAM, with
//! terminals and a host that do their parts right or wrong. Never a panic; and after every command the purses, their
//! counters, limits and locks, and the records of composite purchases stand in memory as the answers said.

use crate::bench::{Bench, Dialogue, SELECT_APPLICATION, unhex};
use crate::till::{HeldLock, KINDS, Kind, Model, Stage, TERMINAL, at, body_of, fen, open, purses, wallet};
use proptest::prelude::*;
use ykt_base::{Asn8, CardCounter, IssuerFactor, Mac4, Response};
use ykt_card::ArrayMemory;
use ykt_crypto::CardKey;
use ykt_purse::Purse;
use ykt_purse::grey::{LockAnswer, LockPurse};
use ykt_purse::psam::{CardFactors, CreditSam, InitSamForPurchase, SamAnswer};
use ykt_purse::psam_grey::{CalculateGmac, CertifySamGreyLock, InitSamGreyLock, SamLockAnswer};
use ykt_purse::purchase::{DebitAnswer, DebitForPurchase, PurchaseAnswer, PurchaseKind};

/// One thing that happens to the card.
#[derive(Debug, Clone)]
enum Event {
    /// INITIALIZE and what ends it, with nothing in between that does not belong there.
    Transact(usize, u32, Option<u8>),
    Initialize(usize, u32),
    /// A record of 0017 for the composite purchase under way.
    Cache(u8, u8),
    /// What ends a transaction; with a wrong bit when told so. A new limit or an unlock has this amount.
    FollowUp(Option<u8>, u32),
    Debit(Purse, u32, Option<u8>),
    LockProof(bool),
    CreditSam(Option<u8>),
    Pin,
    Select,
    Reset,
    /// The power fails while the last command of a transaction, or of a lock, is carried out.
    PowerCut {
        kind: Option<usize>,
        amount: u32,
        writes: usize,
        torn_len: usize,
    },
    Prove(u8),
    Log(u8),
    Raw(Vec<u8>),
    RawSam(Vec<u8>),
}

fn flaw() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![5 => Just(None), 1 => (0u8..32).prop_map(Some)]
}

/// Bytes near a command: a known head, any tail.
fn raw() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "00A40000", "00A40400", "00B09500", "00D69500", "04D69600", "84D69600", "00B201C4", "80E00017",
        "00840000", "00820000", "80D4813E", "84D4813E", "805C0002", "80500002", "80500102", "80520000",
        "80540100", "805A0006", "80500501", "80500401", "80500302", "80540300", "80580000", "80DC00F0",
        "E07A0802", "E07C0800", "E07E0802", "E07A0902", "E07E0900", "E0CA0000", "80CA0000", "80700000",
        "80720000", "801A4401", "80FA0500", "E0400000", "E0420000", "E0440000", "80FC0101", "00DC01C4",
        "00E200C0", "00200000", "00880000", "00C00000", "800E0000", "805E0100", "805E0000", "84240000",
        "841E0000", "84180000", "84160000", "84F40000", "80F60000", "80740000", "80763E01", "80780000",
        "807A0000", "0046800A", "0046810A", "802A900A", "802A910A", "802A9A0A", "802A9B0A", "802A9C0A",
        "802AA800", "8088001C",
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
    let amount =
        || prop_oneof![8 => 1u32..50_000, 1 => Just(0), 1 => 0..=0x7FFF_FFFFu32, 1 => Just(0x7FFF_FFFF)];
    let purse = || prop_oneof![Just(Purse::Ed), Just(Purse::Ep)];
    prop_oneof![
        24 => (0..KINDS.len(), amount(), flaw()).prop_map(|(kind, amount, flaw)| Event::Transact(kind, amount, flaw)),
        8 => (0..KINDS.len(), amount()).prop_map(|(kind, amount)| Event::Initialize(kind, amount)),
        4 => (1u8..=4, any::<u8>()).prop_map(|(record, fill)| Event::Cache(record, fill)),
        8 => (flaw(), amount()).prop_map(|(flaw, amount)| Event::FollowUp(flaw, amount)),
        8 => (purse(), amount(), flaw()).prop_map(|(purse, amount, flaw)| Event::Debit(purse, amount, flaw)),
        3 => any::<bool>().prop_map(Event::LockProof),
        4 => flaw().prop_map(Event::CreditSam),
        4 => Just(Event::Pin),
        1 => Just(Event::Select),
        1 => Just(Event::Reset),
        10 => (prop::option::weighted(0.8, 0..KINDS.len()), amount(), 0usize..6, 0usize..60)
            .prop_map(|(kind, amount, writes, torn_len)| Event::PowerCut { kind, amount, writes, torn_len }),
        1 => any::<u8>().prop_map(Event::Prove),
        1 => (0u8..12).prop_map(Event::Log),
        2 => raw().prop_map(Event::Raw),
        1 => raw().prop_map(Event::RawSam),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Event::Raw),
    ]
}

/// Everything on the card that transactions move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Snapshot {
    purses: [Model; 2],
    /// First bytes of the records of 0017.
    records: [u8; 3],
}

impl Snapshot {
    fn of(bench: &Bench) -> Snapshot {
        let at = body_of(bench, &[0x07, 0x00, 0x17, 0x2A, 0x03, 0x10, 0xF0, 0xF0, 0xFF, 0xFF]);
        let records = bench.card.memory().image()[at..at + 48].as_chunks::<16>().0;
        records.iter().for_each(|record| assert!(record.iter().all(|byte| *byte == record[0]), "torn"));
        Snapshot { purses: purses(bench), records: std::array::from_fn(|index| records[index][0]) }
    }

    fn purse(&mut self, purse: Purse) -> &mut Model {
        &mut self.purses[usize::from(purse.code()) - 1]
    }
}

/// A transaction that may end next.
struct Underway {
    kind: Kind,
    amount: u32,
    answer: Vec<u8>,
    /// Records in the card's cache.
    cached: Vec<(u8, u8)>,
}

struct Street {
    card: Bench,
    sam: Bench,
    underway: Option<Underway>,
    held: [Option<HeldLock>; 2],
    mac2: Option<Mac4>,
    now: Snapshot,
    /// What a command whose answer was lost would have left, with its type and the counter it used.
    perhaps: Option<(Snapshot, u8, CardCounter)>,
}

impl Street {
    fn new(chip: &ArrayMemory<{ ykt_card::IMAGE_LEN_DEMO }>, mut sam: Bench) -> Street {
        let card = open(chip);
        sam.ok("00A4000002DF01");
        let now = Snapshot::of(&card);
        let (held, mac2) = ([None, None], None);
        Street { card, sam, underway: None, held, mac2, now, perhaps: None }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Transact(index, amount, flaw) => {
                self.begin(KINDS[*index], *amount);
                self.follow_up(*flaw, *amount);
            }
            Event::Initialize(index, amount) => self.initialize(KINDS[*index], *amount),
            Event::Cache(record, fill) => self.cache(*record, *fill),
            Event::FollowUp(flaw, amount) => self.follow_up(*flaw, *amount),
            Event::Debit(purse, amount, flaw) => self.debit(*purse, *amount, *flaw),
            Event::LockProof(acknowledged) => self.lock_proof(*acknowledged),
            Event::CreditSam(flaw) => self.credit_sam(*flaw),
            Event::Pin => {
                self.send(&unhex("0020000003123456"));
            }
            Event::Select => self.open(),
            Event::Reset => {
                self.card.card.reset();
                self.sam.card.reset();
                self.open();
            }
            Event::PowerCut { kind, amount, writes, torn_len } => {
                if let Some(index) = kind {
                    self.begin(KINDS[*index], *amount);
                }
                self.card.card.memory_mut().cut_power_after(*writes, *torn_len);
                match kind {
                    Some(_) => self.follow_up(None, *amount),
                    None => self.debit(Purse::Ep, *amount, None),
                }
                self.power_cycle();
            }
            Event::Prove(kind) => {
                self.send(&[0x80, 0x5A, 0x00, *kind, 0x02, 0, 0]);
            }
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
        assert_eq!(Snapshot::of(&self.card), self.now, "a fen came from nowhere or went there");
    }

    /// Any command ends what is under way on our side too.
    fn send(&mut self, apdu: &[u8]) -> Response {
        self.underway = None;
        self.card.send(apdu)
    }

    /// SELECT; an application that wrong GMACs have blocked is unblocked by its issuer.
    fn open(&mut self) {
        let selected = self.send(&unhex(SELECT_APPLICATION)).sw().0;
        if selected == 0x6283 {
            let damk = CardKey::from_hex("90E74C623C02DE7D760FF6F83FFEFC8C").unwrap();
            let challenge = self.card.ok("0084000008").try_into().unwrap();
            let header = [0x84, 0x18, 0x00, 0x00, 0x04];
            let mac = damk.smac(challenge, &[&header]);
            assert!(self.send(&[&header[..], &mac.0].concat()).sw().is_ok());
        } else {
            assert_eq!(selected, 0x9000);
        }
        self.sam.ok("00A4000002DF01");
    }

    /// The holder types the PIN, the terminal begins; a composite purchase caches a record.
    fn begin(&mut self, kind: Kind, amount: u32) {
        if kind.purse() == Purse::Ed {
            self.send(&unhex("0020000003123456"));
        }
        self.initialize(kind, amount);
        if self.underway.is_some() && matches!(kind, Kind::Pay(PurchaseKind::Composite)) {
            let [.., fill] = amount.to_be_bytes();
            self.cache(fill % 3 + 1, fill);
        }
    }

    fn initialize(&mut self, kind: Kind, amount: u32) {
        let answer = self.send(&kind.initialize(amount));
        if !answer.sw().is_ok() {
            return;
        }
        let purse = *self.now.purse(kind.purse());
        let shown = answer.data().first_chunk().map(|balance| i64::from(u32::from_be_bytes(*balance)));
        assert_eq!(shown, Some(purse.balance));
        let is_allowed = match kind {
            Kind::Load(_) => true,
            Kind::Unlock(_) => purse.stage == Stage::Locked,
            Kind::Lock(_) => self.now.purses.iter().all(|purse| purse.stage == Stage::Free),
            Kind::Pay(_) | Kind::Unload => purse.stage != Stage::Locked && i64::from(amount) <= purse.balance,
            Kind::Overdraft => purse.stage != Stage::Locked,
        };
        assert!(is_allowed, "{kind:?} of {amount} began with {purse:?}");
        let (answer, cached) = (answer.data().to_vec(), Vec::new());
        self.underway = Some(Underway { kind, amount, answer, cached });
    }

    fn cache(&mut self, record: u8, fill: u8) {
        let underway = self.underway.take();
        let mut apdu = vec![0x80, 0xDC, record, 0xBC, 0x10];
        apdu.extend([fill; 16]);
        let sw = self.card.send(&apdu).sw();
        match underway {
            Some(mut underway) if matches!(underway.kind, Kind::Pay(PurchaseKind::Composite)) => {
                let is_room = (1..=3).contains(&record) && underway.cached.len() < 256 / 20;
                assert_eq!(sw.is_ok(), is_room, "{sw}");
                if is_room {
                    underway.cached.push((record, fill));
                    self.underway = Some(underway);
                }
            }
            _ => assert_eq!(sw.0, 0x6901),
        }
    }

    fn follow_up(&mut self, flaw: Option<u8>, second_amount: u32) {
        let Some(Underway { kind, amount, answer, cached }) = self.underway.take() else {
            let sw = self.send(&unhex("805401000F0000001120240131123456FFB035B1")).sw().0;
            assert_eq!(sw, 0x6901);
            return;
        };
        let amount = match kind {
            Kind::Overdraft => second_amount & 0x00FF_FFFF,
            Kind::Unlock(_) => second_amount,
            _ => amount,
        };
        let mut after = self.now;
        let purse = after.purse(kind.purse());
        let used = if kind.counts_online() { purse.online } else { purse.offline };
        *purse = purse.after(kind, amount);
        let fits = (0..=0x7FFF_FFFF).contains(&purse.balance);
        for (record, fill) in cached {
            after.records[usize::from(record) - 1] = fill;
        }
        let lock = match kind {
            Kind::Lock(purse) => Some(self.sam_lock(purse, &PurchaseAnswer::from_bytes(&answer).unwrap())),
            _ => None,
        };
        let command = match (kind, &lock) {
            (Kind::Pay(paid), _) => self.sign(paid, amount, &answer),
            (_, Some(Some((lock, _)))) => Some(lock.to_apdu().to_vec()),
            (_, Some(None)) => None,
            _ => Some(kind.follow_up(amount, &answer)),
        };
        let Some(command) = command else { return };
        let refusal = if fits { None } else { Some([0x9401, 0x6985]) };
        let given = self.finish(command, flaw, refusal, after, (kind.code(), CardCounter(used)));
        match (kind, given) {
            (Kind::Pay(_), Some(given)) => {
                self.mac2 = DebitAnswer::from_bytes(given.data()).map(|given| given.mac2);
            }
            (Kind::Lock(purse), given) => {
                if let Some(given) = given {
                    let mac2 = LockAnswer::from_bytes(given.data()).unwrap().mac2;
                    let certified = self.sam.send(&CertifySamGreyLock { mac2 }.to_apdu());
                    assert!(certified.sw().is_ok(), "{}", certified.sw());
                }
                // The terminal does not know yet whether the lock is there; the card does.
                if let Some(Some((_, held))) = lock {
                    let place = &mut self.held[usize::from(purse.code()) - 1];
                    if flaw.is_none() {
                        *place = Some(held);
                    }
                }
            }
            _ => {}
        }
    }

    /// Sends what ends a transaction; the answer when it did.
    fn finish(
        &mut self,
        mut command: Vec<u8>,
        flaw: Option<u8>,
        refusal: Option<[u16; 2]>,
        after: Snapshot,
        (code, used): (u8, CardCounter),
    ) -> Option<Response> {
        let mac_at = command.len() - 5;
        let wrong = spoil(&mut command, mac_at, flaw);
        let given = self.send(&command);
        match (given.sw().0, wrong, refusal) {
            (0x6581, ..) => {
                self.perhaps = (!wrong && refusal.is_none()).then_some((after, code, used));
                None
            }
            (sw, true, _) => {
                assert_eq!(sw, 0x9302);
                None
            }
            (sw, false, Some(refusals)) => {
                assert!(refusals.contains(&sw), "{sw:04X}");
                None
            }
            (sw, false, None) => {
                assert_eq!(sw, 0x9000);
                self.now = after;
                Some(given)
            }
        }
    }

    /// INIT SAM FOR PURCHASE, then DEBIT; `None` when too many wrong MAC2 have locked the PSAM.
    fn sign(&mut self, kind: PurchaseKind, amount: u32, answer: &[u8]) -> Option<Vec<u8>> {
        let PurchaseAnswer { random, counter, key_version, algorithm, .. } =
            PurchaseAnswer::from_bytes(answer).unwrap();
        let (amount, at, factors) = (fen(amount), at(), factors());
        let init = InitSamForPurchase { random, counter, amount, kind, at, key_version, algorithm, factors };
        let signed = self.sam.send(&init.to_apdu());
        let Some(signed) = SamAnswer::from_bytes(signed.data()).filter(|_| signed.sw().is_ok()) else {
            assert_eq!(signed.sw().0, 0x6983, "only a locked key keeps the PSAM from signing");
            return None;
        };
        Some(DebitForPurchase { sequence: signed.sequence, at, mac1: signed.mac1 }.to_apdu().to_vec())
    }

    /// INIT SAM GREY LOCK, then GREY LOCK.
    fn sam_lock(&mut self, purse: Purse, answer: &PurchaseAnswer) -> Option<(LockPurse, HeldLock)> {
        let PurchaseAnswer { balance, counter, random, key_version, algorithm, .. } = *answer;
        let (at, factors) = (at(), factors());
        let init = InitSamGreyLock { random, counter, balance, purse, at, key_version, algorithm, factors };
        let signed = self.sam.send(&init.to_apdu());
        let Some(signed) = SamLockAnswer::from_bytes(signed.data()).filter(|_| signed.sw().is_ok()) else {
            assert_eq!(signed.sw().0, 0x6983);
            return None;
        };
        let SamLockAnswer { sequence, terminal_random, mac1 } = signed;
        let held = HeldLock::new(answer, sequence, terminal_random);
        Some((LockPurse { sequence, terminal_random, at, mac1 }, held))
    }

    /// The debit of a lock; where the PSAM still knows it, under its GMAC.
    fn debit(&mut self, purse: Purse, amount: u32, flaw: Option<u8>) {
        let Some(held) = self.held[usize::from(purse.code()) - 1].clone() else { return };
        let debit = held.debit(purse, amount);
        let ask = CalculateGmac { purse, card: factors().card(), counter: held.used, amount: fen(amount) };
        let vouched = self.sam.send(&ask.to_apdu());
        assert!(!vouched.sw().is_ok() || vouched.data()[..4] == debit.gmac.0, "one GMAC");
        let mut after = self.now;
        let model = after.purse(purse);
        let is_locked = model.stage == Stage::Locked && debit.counter.0 == model.offline;
        let fits = i64::from(amount) <= model.balance;
        (model.stage, model.balance, model.wrong_gmacs) =
            (Stage::Debited, model.balance - i64::from(amount), 0);
        let mut command = debit.to_apdu().to_vec();
        let mac_at = command.len() - 5;
        let wrong = spoil(&mut command, mac_at, flaw);
        let sw = self.send(&command).sw().0;
        match sw {
            0x9000 => {
                assert!(is_locked && fits && !wrong);
                self.now = after;
            }
            0x9302 => {
                assert!(is_locked && fits && wrong);
                let wrong_gmacs = &mut self.now.purse(purse).wrong_gmacs;
                *wrong_gmacs = (*wrong_gmacs + 1) % 3;
                if *wrong_gmacs == 0 {
                    assert_eq!(self.send(&unhex("805C0002")).sw().0, 0x6A81, "blocked");
                    self.open();
                }
            }
            0x6581 if is_locked && fits && !wrong => {
                self.perhaps = Some((after, if purse == Purse::Ep { 0x93 } else { 0x94 }, held.used));
            }
            0x6581 => {}
            sw => assert!(
                [0x6982, 0x6983].contains(&sw) && purse == Purse::Ed || !(is_locked && fits),
                "{sw:04X}"
            ),
        }
    }

    fn lock_proof(&mut self, acknowledged: bool) {
        let proof = self.send(&[0xE0, 0xCA, u8::from(acknowledged), 0x00, 0x1E]);
        assert!(proof.sw().is_ok());
        let held = self.now.purses.iter_mut().find(|purse| purse.stage != Stage::Free);
        let stage = held.map_or(0x00, |purse| match (purse.stage, acknowledged) {
            (Stage::Debited, true) => {
                purse.stage = Stage::Free;
                0x10
            }
            (Stage::Debited, false) => 0x10,
            _ => 0x01,
        });
        assert_eq!(proof.data()[0], stage);
    }

    fn credit_sam(&mut self, flaw: Option<u8>) {
        if let Some(mac2) = self.mac2.take() {
            let mut command = CreditSam { mac2 }.to_apdu();
            let wrong = spoil(&mut command, 5, flaw);
            let sw = self.sam.send(&command).sw().0;
            // The sequence of a PSAM moves on; its context may have gone with another command.
            assert!(if wrong { sw != 0x9000 } else { [0x9000, 0x6901, 0x9302, 0x6983].contains(&sw) });
        }
    }

    /// The card comes back from the cut with the old state or the new one, and proves which.
    fn power_cycle(&mut self) {
        self.card.power_cycle();
        self.open();
        let found = Snapshot::of(&self.card);
        if let Some((after, code, used)) = self.perhaps.take() {
            // The counter after: the counter used would also fit the transaction before.
            let [high, low] = used.next().unwrap().to_bytes();
            let proven = self.send(&[0x80, 0x5A, 0x00, code, 0x02, high, low]).sw();
            assert!(found == self.now || found == after, "{found:?}");
            assert_eq!(proven.is_ok(), found == after, "the proof tells whether it happened");
            self.now = found;
        }
    }
}

fn factors() -> CardFactors {
    let issuer: IssuerFactor = "01011000FFFFFFFF".parse().unwrap();
    let card: Asn8 = "1700010170907984".parse().unwrap();
    CardFactors::two_levels(issuer, card)
}

/// Turns one of the 32 bits at `from`.
fn spoil(command: &mut [u8], from: usize, flaw: Option<u8>) -> bool {
    if let Some(bit) = flaw {
        command[from + usize::from(bit) / 8] ^= 1 << (bit % 8);
    }
    flaw.is_some()
}

fn street() -> Street {
    let psam = Dialogue::read("psam-card").play();
    assert_eq!(TERMINAL.as_bytes()[..], unhex("360486600002"), "the PSAM's");
    Street::new(&wallet(), psam)
}

/// A load between two wrong GMACs, its answer lost at any of its writes, leaves their count as it is.
#[test]
fn a_load_does_not_forgive_a_wrong_gmac() {
    let kind = |wanted| KINDS.iter().position(|kind| *kind == wanted).unwrap();
    let [load, lock] = [Kind::Load, Kind::Lock].map(|of| kind(of(Purse::Ep)));
    let wrong_gmac = Event::Debit(Purse::Ep, 100, Some(0));
    for writes in 0..8 {
        let mut street = street();
        street.happen(&Event::Transact(load, 5_000, None));
        street.happen(&Event::Transact(lock, 0, None));
        street.happen(&wrong_gmac);
        street.happen(&Event::PowerCut { kind: Some(load), amount: 5_000, writes, torn_len: 7 });
        street.happen(&wrong_gmac);
        assert_eq!(street.now.purse(Purse::Ep).wrong_gmacs, 2);
        street.happen(&wrong_gmac);
        assert_eq!(street.now.purse(Purse::Ep).wrong_gmacs, 0, "blocked, and unblocked by the issuer");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn money_is_conserved_whatever_happens(events in prop::collection::vec(event(), 1..160)) {
        let mut street = street();
        for event in &events {
            street.happen(event);
        }
    }

    #[test]
    fn any_bytes_get_a_status_word(apdus in prop::collection::vec(prop_oneof![raw(), prop::collection::vec(any::<u8>(), 0..262)], 1..60)) {
        for name in ["wallet-card", "sam-keys", "token-card", "key-card"] {
            let mut bench = Dialogue::read(name).play();
            for apdu in &apdus {
                let answer = bench.send(apdu);
                prop_assert!([0x60, 0x90].contains(&(answer.sw().0.to_be_bytes()[0] & 0xF0)));
            }
            bench.power_cycle();
        }
    }
}
