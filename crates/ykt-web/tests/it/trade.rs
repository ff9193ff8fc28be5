//! A day of trade for the small company: loads and purchases with right MACs and TACs, and things that go wrong.
//!
//! Day one: 108 cards load and ride; wrong TACs, unknown cards, lost cards, a test card, grey and repeated
//! records, a broken and a repeated file. Day two: one late file and the bank's answer.

use crate::world::{FACTOR, at, card, day, merchant, pos, terminal_id};
use std::sync::Arc;
use ykt_base::{Asn8, CardCounter, DateTime, Fen, KeyVersion, Mac4, Random4, TerminalSeq};
use ykt_clearing::{Clearing, Closing, Load, MemoryFolders, Policy};
use ykt_crypto::{CardKey, Key16, SessionKey};
use ykt_files::{
    CardType, Confirmation, FileKind, FileName, Industry, NameLayout, PaymentOutcome, PaymentResult,
    PurchaseType, ReturnFile, Ticket, TicketDebit, XfRecord,
};
use ykt_pay::{CardOffer, LoadHost};
use ykt_purse::load as load_terms;
use ykt_purse::{Purse, PurseFen, purchase};
use ykt_store::{Store, StoreError, Tx};
use ykt_terminal::host::PayRequest;
use ykt_vault::{
    ImportedKey, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, KeyValue, Levels, Origin, SoftVault,
};

const TAC_ROOT: [u8; 16] = *b"a TAC root key 1";
const LOAD_ROOT: [u8; 16] = *b"a load root key1";

/// A vault that knows the keys of the cards of this world.
pub fn vault() -> SoftVault {
    let vault = SoftVault::empty(Levels::nation_city_card(), Origin::Demo);
    for (kind, root) in [(KeyKind::Tac, TAC_ROOT), (KeyKind::Load, LOAD_ROOT)] {
        let (key, value) = (KeyRef::new(kind, 1, 1), KeyValue::Tdes(Key16::from_bytes(root)));
        vault
            .import(ImportedKey { place: KeyPlace::root(key), state: KeyState::Active, value, kcv: None })
            .unwrap();
    }
    vault
}

fn card_key(root: [u8; 16], asn: &Asn8) -> CardKey {
    CardKey::Tdes(Key16::from_bytes(root)).diversify(&FACTOR.0).diversify(&asn.0)
}

fn card_tac_key(asn: &Asn8) -> SessionKey {
    card_key(TAC_ROOT, asn).tac_key()
}

/// What a card answers to INITIALIZE FOR LOAD, and how it signs the credit.
pub struct LoadingCard {
    pub asn: Asn8,
    pub balance: i64,
    pub counter: u16,
}

impl LoadingCard {
    fn terms(&self, amount: i64) -> load_terms::Load {
        let amount = PurseFen::try_from(Fen::new(amount)).unwrap();
        load_terms::Load { purse: Purse::Ep, amount, terminal: terminal_id(900) }
    }

    pub fn offer(&self, amount: i64) -> CardOffer {
        let random = Random4([1, 2, 3, u8::try_from(self.counter).unwrap()]);
        let session =
            load_terms::session_key(&card_key(LOAD_ROOT, &self.asn), random, CardCounter(self.counter));
        let balance = PurseFen::try_from(Fen::new(self.balance)).unwrap();
        CardOffer {
            terminal: terminal_id(900),
            balance: Fen::new(self.balance),
            counter: CardCounter(self.counter),
            key_version: KeyVersion(1),
            algorithm: 0,
            random,
            mac1: load_terms::mac1(&session, &self.terms(amount), balance),
        }
    }

    pub fn tac(&self, amount: i64, at: DateTime) -> Mac4 {
        let after = PurseFen::try_from(Fen::new(self.balance + amount)).unwrap();
        let input = load_terms::tac_input(&self.terms(amount), after, CardCounter(self.counter), at);
        card_tac_key(&self.asn).mac(&[&input])
    }
}

fn record(no: u32, shop: u32, hour: i64, minute: i64, counter: u16, before: i64, amount: i64) -> XfRecord {
    let terminal = shop * 100 + no % 3;
    let record = XfRecord {
        serial: 0,
        merchant: merchant(shop),
        pos: pos(terminal),
        asn: card(no),
        card_type: CardType { main: *b"01", sub: *b"00" },
        card_valid: None,
        start: None,
        expiry: None,
        counter: CardCounter(counter),
        sequence: TerminalSeq(no * 10 + u32::from(counter) + 1),
        balance_before: Fen::new(before),
        amount: Fen::new(amount),
        at: at(hour, minute),
        purchase: PurchaseType::Wallet,
        terminal: terminal_id(terminal),
        tac: Mac4([0; 4]),
        confirmation: Confirmation::Confirmed,
        ticket: Ticket::None,
        ticket_debit: TicketDebit::None,
        reserved: XfRecord::RESERVED,
    };
    signed(record)
}

fn signed(record: XfRecord) -> XfRecord {
    let amount = PurseFen::try_from(record.amount).unwrap();
    let kind = purchase::PurchaseKind::Purchase(Purse::Ep);
    let terms = purchase::Purchase { kind, amount, terminal: record.terminal };
    let tac = purchase::tac(&card_tac_key(&record.asn), &terms, record.sequence, record.at);
    XfRecord { tac, ..record }
}

fn send(clearing: &Clearing, shop: u32, sequence: u32, on: ykt_base::Date, mut records: Vec<XfRecord>) {
    for (serial, record) in (1..).zip(&mut records) {
        record.serial = serial;
    }
    let industry = Industry::new(u8::try_from(shop).unwrap()).unwrap();
    let layout = NameLayout::default();
    let name = FileName::new(FileKind::Xf, day(), industry, merchant(shop), sequence, layout).unwrap();
    let bytes = ykt_files::write(industry, &records, layout).unwrap();
    let now = DateTime::start_of(on).plus_seconds(22 * 3_600 + i64::from(shop) * 60).unwrap();
    clearing.receive(&merchant(shop), &name.to_string(), &bytes, now, on).unwrap();
}

/// The loads of the morning.
pub fn load(store: &Store, vault: &Arc<SoftVault>) {
    let host = LoadHost::new(store.clone(), vault.clone(), ykt_pay::Policy::default());
    for no in 1..=108u32 {
        let amount = i64::from(no % 4 + 1) * 2_500;
        let channel = ["WECHAT", "ALIPAY", "CASH"][usize::try_from(no % 3).unwrap()].to_owned();
        let moment = at(7, i64::from(no) / 2);
        let order: ykt_pay::OrderId = format!("L-20261122-{no:04}").parse().unwrap();
        let asked = PayRequest { order: order.clone(), card: card(no), amount: Fen::new(amount), channel };
        host.pay(&asked, moment).unwrap();
        let loading = LoadingCard { asn: card(no), balance: 0, counter: 0 };
        match no {
            // A customer who went away, and one whose card was pulled.
            107 => drop(host.give_back(&order, at(12, 0)).unwrap()),
            108 => drop(host.initialize(&order, &loading.offer(amount), moment).unwrap()),
            _ => {
                let credit = host.initialize(&order, &loading.offer(amount), moment).unwrap();
                host.confirm(&order, loading.tac(amount, credit.at), moment).unwrap();
            }
        }
    }
}

/// The purchases of the day, two days of clearing, and the bank's answer.
pub fn ride_and_clear(store: &Store, vault: &Arc<SoftVault>) {
    let folders = Arc::new(MemoryFolders::new());
    let clearing = Clearing::new(store.clone(), folders, Policy::default());
    let mut by_shop: Vec<Vec<XfRecord>> = vec![Vec::new(); 7];
    for no in 1..=106u32 {
        let first = i64::from(no % 4 + 1) * 2_500;
        let shop = no % 6 + 1;
        let price = [0, 200, 450, 300, 1_850, 800, 1_234][usize::try_from(shop).unwrap()];
        let hours = [(8, 5), (12, 20), (17, 40), (18, 30)];
        let mut balance = first;
        for (counter, (hour, minute)) in (0u16..).zip(hours) {
            if balance < price || (no + u32::from(counter)).is_multiple_of(5) && counter > 1 {
                break;
            }
            let minute = minute + i64::from(no % 15);
            let sale = record(no, shop, hour + i64::from(no % 2), minute, counter, balance, price);
            by_shop[usize::try_from(shop).unwrap()].push(sale);
            balance -= price;
        }
    }
    let bus = &mut by_shop[1];
    bus[0].tac = Mac4([0xBA, 0xD0, 0xBA, 0xD0]);
    bus[3].tac = Mac4([0xBA, 0xD1, 0xBA, 0xD1]);
    let last = bus.len() - 1;
    bus[last] = XfRecord { confirmation: Confirmation::Grey, tac: Mac4([0; 4]), ..bus[last] };
    bus.push(bus[1]);
    bus.push(record(500, 1, 9, 10, 0, 1_000, 200));
    bus.push(record(120, 1, 9, 30, 0, 1_000, 200));
    let market = &mut by_shop[6];
    market.push(record(130, 6, 10, 10, 0, 90_000, 8_800));
    for (shop, records) in (0u32..).zip(&by_shop).skip(1) {
        send(&clearing, shop, 1, day(), records.clone());
    }
    // The same again, and a file without an end.
    send(&clearing, 1, 1, day(), by_shop[1].clone());
    clearing.receive(&merchant(2), "XF2026112202M00000000000002002", b"020200", at(22, 40), day()).unwrap();
    let vault: &SoftVault = vault;
    let close = |on: ykt_base::Date| {
        let journal = |tx: &Tx<'_>, asn: &Asn8| -> Result<Vec<Load>, StoreError> {
            let loads = ykt_pay::journal(tx, asn)?;
            Ok(loads.into_iter().map(|load| Load { at: load.at, amount: load.amount }).collect())
        };
        let mut closing = Closing { vault, loads: &journal, watch: &mut |_| {} };
        let end = DateTime::start_of(on).plus_seconds(23 * 3_600 + 50 * 60).unwrap();
        clearing.close_day(on, end, &mut closing).unwrap()
    };
    let transfer = close(day()).transfer.unwrap();
    let next = day().plus_days(1).unwrap();
    let result = |record_no, outcome| PaymentResult { record_no, outcome };
    let results = vec![
        result(1, PaymentOutcome::Paid { bank_serial: "B2026112300001".to_owned() }),
        result(2, PaymentOutcome::Paid { bank_serial: "B2026112300002".to_owned() }),
        result(3, PaymentOutcome::Failed { reason: "account closed".to_owned() }),
    ];
    let bytes = ReturnFile { results }.to_xml().unwrap().into_bytes();
    let moment = DateTime::start_of(next).plus_seconds(10 * 3_600).unwrap();
    clearing.bank_return(&transfer, &bytes, next, moment).unwrap();
    // The grey record's card rides again, and its record arrives a day late.
    let grey = by_shop[1][last];
    let no = grey.asn.to_string()[8..].parse().unwrap();
    let after = record(no, 1, 21, 5, grey.counter.0 + 1, grey.balance_after(), 200);
    send(&clearing, 1, 2, next, vec![after]);
    close(next);
}

trait After {
    fn balance_after(&self) -> i64;
}

impl After for XfRecord {
    fn balance_after(&self) -> i64 {
        self.balance_before.fen() - self.amount.fen()
    }
}
