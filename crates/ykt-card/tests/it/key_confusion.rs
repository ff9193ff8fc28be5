//! Keys of tickets and bank cards offered to wrong uses. One application holds a key of every usage, each under an id
//! of its own; what a command finds is the key of its usage, and nobody else's MAC passes.

use crate::bench::{Bench, Dialogue, unhex};
use ykt_base::{DateTime, Fen, KeyIndex, Response, TerminalId, TerminalSeq, TicketId};
use ykt_crypto::{CardKey, Key16, sm};
use ykt_purse::bank::{self, InitAnswer, InitMc, Note, NoteKind, ReadMc, TransmitNote};
use ykt_purse::load::{InitializeForLoad, Load};
use ykt_purse::purchase::{InitializeForPurchase, Purchase, PurchaseKind};
use ykt_purse::ticket::{
    self, Action, Order, ReadEnd, ReadInit, RedeemAnswer, WriteAnswer, WriteEnd, WriteInfo, WriteInit,
};
use ykt_purse::write_key::{self, KeyTarget, KeyUsage};
use ykt_purse::{Purse, PurseFen, command};

const TERMINAL: TerminalId = TerminalId([0x21, 0x44, 0, 0, 0x0A, 1]);
const ID: TicketId = TicketId([1; 8]);
/// The id under which a TAC key serves every index.
const COMMON: u8 = 0;

fn at() -> DateTime {
    DateTime::from_number(20_240_131_123_456).unwrap()
}

fn key(usage: KeyUsage) -> CardKey {
    CardKey::Tdes(Key16::from_bytes(std::array::from_fn(|at| {
        if at < 8 { usage.code() << 1 } else { usage.code() }
    })))
}

/// Usages whose keys are keys: not the PIN, and not the control key, which [`write`] needs.
fn usages() -> impl Iterator<Item = KeyUsage> {
    KeyUsage::ALL
        .into_iter()
        .filter(|usage| ![KeyUsage::Pin, KeyUsage::ExternalAuthentication].contains(usage))
}

/// The id of a usage's key: its own code; an issuer's two keys have one id.
fn id_of(usage: KeyUsage) -> u8 {
    match usage {
        KeyUsage::TicketRedeem => KeyUsage::TicketIssue.code(),
        usage => usage.code(),
    }
}

fn ok(bench: &mut Bench, apdu: &[u8]) -> Response {
    let answer = bench.send(apdu);
    assert!(answer.sw().is_ok(), "{apdu:02X?}: {}", answer.sw());
    answer
}

fn write(bench: &mut Bench, usage: KeyUsage, id: u8) {
    let control = CardKey::Tdes(Key16::from_hex("57494E4E4552313233343536373839AA").unwrap());
    let iv = sm::iv_from_challenge(&bench.ok("0084000004")).unwrap();
    let header = [0x01, 0x00, usage.code(), 0xF0, 0x00, 0xF0, 0x33];
    let target = KeyTarget::Add { id, usage }.header();
    let command = write_key::command(&control, iv, target, &header, key(usage).expose()).unwrap();
    ok(bench, &command);
}

/// A card with an application that is everything at once: purse, tickets, bank card; a ticket is on it.
fn everything() -> Bench {
    let mut bench = Dialogue::read("user-card").play();
    bench.ok("00A40000023F00");
    bench.dice.queue(&unhex("A1B2C3D4E5F60718"));
    bench.ok("0084000008");
    bench.ok("0082000008DD31487231C7E50D");
    bench.ok("80E010090D38060001EF95FFFF4142434445");
    bench.ok("00A40000021009");
    bench.ok("80E00000073F020095F0FFFF");
    bench.dice.queue(&unhex("A1B2C3D4"));
    bench.ok("0084000004");
    bench.ok("84D4803924D5173234231C843CDAB2D1539F48D6438E57C41BD8DFC73F5B162EF5C77114664417F673");
    for usage in usages() {
        write(&mut bench, usage, id_of(usage));
    }
    write(&mut bench, KeyUsage::InternalTac, COMMON);
    for file in [
        "80E0001607280049EFF0FFFF",
        "80E00018072E0A17F0EFFFFF",
        "80E00019072E022BF0EFFFFF",
        "80E00002072F0208F000FF18",
        "80E0000307300240F0F0FFFF",
        "80E0000407311600F000FF19",
    ] {
        bench.ok(file);
    }
    let tracks = bank::Tracks::from_digits("6222020200012345678=2912220", "").unwrap();
    ok(&mut bench, command::update_binary(0x16, 0, tracks.as_bytes()).encode(&mut [0; 261]));
    bench
}

fn ticket() -> Vec<u8> {
    unhex("01010101010101014D303030303030303030303030303101202401012024123103")
}

/// Stores the ticket with a host that signs with the key of `usage`.
fn store(bench: &mut Bench, usage: KeyUsage) -> u16 {
    let order = Order::Store { issuer: KeyIndex(id_of(KeyUsage::TicketIssue)), id: ID, len: 33 };
    let answer = ok(bench, &WriteInit { order, terminal: TERMINAL }.to_apdu());
    let answer = WriteAnswer::from_bytes(answer.data()).unwrap();
    ok(bench, &WriteInfo { offset: 0, block: &ticket() }.to_apdu());
    let session = ticket::write_session_key(&key(usage), answer.random, answer.counter);
    let mac2 = ticket::write_mac2(&session, &ticket(), Action::Store, TERMINAL, at());
    bench.send(&WriteEnd::Host { action: Action::Store, at: at(), mac2 }.to_apdu()).sw().0
}

fn delete(bench: &mut Bench, usage: KeyUsage) -> u16 {
    let answer = ok(bench, &WriteInit { order: Order::Delete { id: ID }, terminal: TERMINAL }.to_apdu());
    let answer = WriteAnswer::from_bytes(answer.data()).unwrap();
    let session = ticket::write_session_key(&key(usage), answer.random, answer.counter);
    let mac2 = ticket::write_mac2(&session, ID.as_bytes(), Action::Delete, TERMINAL, at());
    bench.send(&WriteEnd::Host { action: Action::Delete, at: at(), mac2 }.to_apdu()).sw().0
}

fn redeem(bench: &mut Bench, usage: KeyUsage) -> u16 {
    let answer = ok(bench, &ReadInit::Redeem { id: ID, terminal: TERMINAL }.to_apdu());
    let answer = RedeemAnswer::from_bytes(answer.data()).unwrap();
    let sequence = TerminalSeq(1);
    let session = ticket::redeem_session_key(&key(usage), answer.random, answer.counter, sequence);
    let mac1 = ticket::redeem_mac1(&session, ID, answer.view.uses, TERMINAL, at());
    bench.send(&ReadEnd::Redeem { sequence, at: at(), mac1 }.to_apdu()).sw().0
}

fn terms() -> bank::Terms {
    bank::Terms { amount: PurseFen::try_from(Fen::new(1)).unwrap(), terminal: TERMINAL, at: at() }
}

/// Begins with the bank card and gives what a bank would sign with under the key of `usage`.
fn init_mc(bench: &mut Bench, usage: KeyUsage) -> ykt_crypto::SessionKey {
    let key_index = KeyIndex(id_of(KeyUsage::BankCard));
    let answer = ok(bench, &InitMc { key_index, terms: terms() }.to_apdu());
    let answer = InitAnswer::from_bytes(answer.data()).unwrap();
    bank::session_key(&key(usage), answer.random, answer.counter)
}

fn read_mc(bench: &mut Bench, usage: KeyUsage) -> u16 {
    let session = init_mc(bench, usage);
    bench.send(&ReadMc { mac: bank::authorisation(&session, &terms()) }.to_apdu()).sw().0
}

fn note(bench: &mut Bench, usage: KeyUsage) -> u16 {
    let session = init_mc(bench, usage);
    let note = Note {
        counter: ykt_base::CardCounter(0),
        kind: NoteKind::Purchase,
        answer: Note::APPROVED,
        terms: terms(),
        trace: [0; 3],
        reference: *b"000000000000",
        authorisation: *b"000000",
    };
    bench.send(&TransmitNote { note, mac: bank::note_mac(&session, &note) }.to_apdu()).sw().0
}

#[test]
fn a_mac_under_the_key_of_another_usage_never_passes() {
    type Use = fn(&mut Bench, KeyUsage) -> u16;
    let uses: [(&str, KeyUsage, Use); 5] = [
        ("Write_ET_End", KeyUsage::TicketIssue, store),
        ("Read_ET_End", KeyUsage::TicketRedeem, redeem),
        ("Write_ET_End to delete", KeyUsage::TicketIssue, delete),
        ("ReadMC", KeyUsage::BankCard, read_mc),
        ("Transmit_Consume_Note", KeyUsage::BankCard, note),
    ];
    let mut bench = everything();
    for (name, right, apply) in uses {
        for wrong in KeyUsage::ALL.into_iter().filter(|usage| *usage != right) {
            assert_eq!(apply(&mut bench, wrong), 0x9302, "{name} under {wrong:?}");
        }
        assert_eq!(apply(&mut bench, right), 0x9000, "{name}");
    }
}

/// A key is found by usage and id: the id of a key of another usage finds nothing.
#[test]
fn no_command_finds_a_key_of_another_usage() {
    let mut bench = everything();
    let amount = PurseFen::try_from(Fen::new(1)).unwrap();
    for usage in usages() {
        let key_index = KeyIndex(id_of(usage));
        let order = Order::Store { issuer: key_index, id: ID, len: 33 };
        let load = Load { purse: Purse::Ep, amount, terminal: TERMINAL };
        let purchase = Purchase { kind: PurchaseKind::Purchase(Purse::Ep), amount, terminal: TERMINAL };
        for (right, sw) in [
            (KeyUsage::TicketIssue, bench.send(&WriteInit { order, terminal: TERMINAL }.to_apdu()).sw().0),
            (KeyUsage::BankCard, bench.send(&InitMc { key_index, terms: terms() }.to_apdu()).sw().0),
            (KeyUsage::Load, bench.send(&InitializeForLoad { key_index, load }.to_apdu()).sw().0),
            (KeyUsage::Purchase, bench.send(&InitializeForPurchase { key_index, purchase }.to_apdu()).sw().0),
        ] {
            let expected = match id_of(usage) == id_of(right) {
                true if right == KeyUsage::Purchase => 0x9401,
                true => 0x9000,
                false => 0x9403,
            };
            assert_eq!(sw, expected, "{right:?} by the id of {usage:?}");
        }
        bench.ok("0084000008");
        let authenticate = command::external_authenticate(id_of(usage), &[0; 8]);
        let apdu = authenticate.encode(&mut [0; 261]).to_vec();
        assert_eq!(bench.send(&apdu).sw().0, 0x6A88, "{usage:?}");
        let verify = [0x00, 0x20, 0x00, id_of(usage), 0x03, 0x12, 0x34, 0x56];
        assert_eq!(bench.send(&verify).sw().0, 0x6A88, "{usage:?}");
    }
}
