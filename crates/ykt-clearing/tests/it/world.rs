//! A small city for tests and the benchmark: two merchants with a terminal each, cards, a vault with one TAC
//! root key, and a journal of loads.

use std::sync::Arc;
use ykt_base::{
    Asn8, CardCounter, Date, DateTime, Fen, IssuerFactor, KeyVersion, MerchantCode, PosNo, TerminalSeq, Time,
};
use ykt_clearing::queries::RecordSort;
use ykt_clearing::{
    Clearing, CloseError, Closing, DayClosed, Folders, Load, MemoryFolders, Policy, Received, Step, Tray,
};
use ykt_crypto::{CardKey, Key16, SessionKey};
use ykt_files::{
    CardType, Confirmation, FileKind, FileName, FixedFile, FixedRecord, Industry, NameLayout, PurchaseType,
    Ticket, TicketDebit, XfRecord,
};
use ykt_office::Act;
use ykt_office::cards::{self, CardKind, NewCard};
use ykt_office::merchants::{self, Contract, NewMerchant, PayeeAccount, PayeeKind};
use ykt_office::terminals::{self, NewTerminal, Pair};
use ykt_purse::{Purse, purchase};
use ykt_store::{Direction, Module, Store, StoreError, Tx};
use ykt_vault::behaviour::Switched;
use ykt_vault::{
    ImportedKey, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, KeyValue, Levels, Origin, SoftVault,
};

/// Tables of the rooms that clearing stands on.
pub const MODULES: &[Module] = &[ykt_office::MODULE, ykt_ledger::MODULE, ykt_clearing::MODULE];
const ROOT: [u8; 16] = *b"a TAC root key 1";
/// Factor of the city.
pub const FACTOR: IssuerFactor = IssuerFactor([0x21, 0x50, 0xFF, 0, 0, 0, 0, 0]);

pub fn day(number: u32) -> Date {
    Date::from_number(number).unwrap()
}

/// The first clearing day of the tests.
pub const D1: u32 = 20_261_122;
/// The day after.
pub const D2: u32 = 20_261_123;

pub fn at(date: u32, hms: u32) -> DateTime {
    DateTime { date: day(date), time: Time::from_number(hms).unwrap() }
}

pub fn fen(amount: i64) -> Fen {
    Fen::new(amount)
}

/// Merchant 1 is a bus company with 0.8 %, merchant 2 a shop with 1 %.
pub fn merchant(number: u32) -> MerchantCode {
    format!("M{number:014}").parse().unwrap()
}

pub fn pos(number: u32) -> PosNo {
    format!("P{number:07}").parse().unwrap()
}

pub fn card(number: u32) -> Asn8 {
    format!("2150{number:012}").parse().unwrap()
}

/// A card that is registered as a test card.
pub const TEST_CARD: u32 = 900;
/// A card whose TAC key version the vault does not have.
pub const NEW_KEY_CARD: u32 = 901;

pub fn terminal_id(number: u32) -> ykt_base::TerminalId {
    format!("0000A1{number:06}").parse().unwrap()
}

pub struct World {
    pub clearing: Clearing,
    pub folders: Arc<MemoryFolders>,
    pub vault: Switched,
    pub loads: Vec<(Asn8, Load)>,
    sequence: u32,
}

pub fn vault() -> Switched {
    let vault = SoftVault::empty(Levels::nation_city_card(), Origin::Demo);
    let key = KeyRef::new(KeyKind::Tac, 1, 1);
    let value = KeyValue::Tdes(Key16::from_bytes(ROOT));
    vault
        .import(ImportedKey { place: KeyPlace::root(key), state: KeyState::Active, value, kcv: None })
        .unwrap();
    Switched::new(Arc::new(vault))
}

/// Registers merchants 1 and 2 with terminals 1 and 2, and `cards` cards.
pub fn found(store: &Store, cards: u32) {
    let act = Act::of_system("test", at(20_260_101, 0));
    store
        .write(|tx| -> Result<(), ykt_office::RegisterError> {
            for (number, industry, commission_ppm, bank) in
                [(1, 1, 8_000, "Reserve Bank"), (2, 6, 10_000, "Bank of the Shop")]
            {
                let code = merchant(number);
                let name = format!("merchant {number}");
                let new = NewMerchant {
                    code,
                    name_zh: name.clone(),
                    name_en: name,
                    industry,
                    address: String::new(),
                };
                merchants::register(tx, &new, &act)?;
                merchants::agree(tx, &code, &contract(number, commission_ppm, bank), &act)?;
                terminals::register(tx, &NewTerminal { pos: pos(number), merchant: code }, &act)?;
                pair(tx, number, number)?;
            }
            let new = |number, kind, key_version| NewCard {
                asn: card(number),
                factor: FACTOR,
                main_type: 1,
                sub_type: 0,
                kind,
                key_version: KeyVersion(key_version),
                start: day(20_260_101),
                expiry: day(20_361_231),
            };
            let mut all: Vec<_> = (1..=cards).map(|number| new(number, CardKind::Real, 1)).collect();
            all.push(new(TEST_CARD, CardKind::Test, 1));
            all.push(new(NEW_KEY_CARD, CardKind::Real, 2));
            all.sort_by_key(|card| card.asn);
            all.dedup_by_key(|card| card.asn);
            cards::register(tx, &all, &act)?;
            Ok(())
        })
        .unwrap();
}

/// A contract of merchant `number` from the first of the year on.
pub fn contract(number: u32, commission_ppm: u32, bank: &str) -> Contract {
    let account = PayeeAccount {
        bank: bank.into(),
        bank_id: "102100099996".into(),
        account_no: format!("62220201{number:011}"),
        account_name: format!("merchant {number}"),
        payee: PayeeKind::Company,
    };
    Contract { from: day(20_260_101), until: None, commission_ppm, account }
}

/// Puts the PSAM of terminal id `psam` into POS `number`.
pub fn pair(tx: &Tx<'_>, number: u32, psam: u32) -> Result<(), ykt_office::RegisterError> {
    let from = at(20_260_101, 0);
    let psam_serial = format!("{psam:020}").parse().unwrap();
    let pair = Pair { pos: pos(number), terminal_id: terminal_id(psam), psam_serial, from, until: None };
    terminals::pair(tx, &pair, &Act::of_system("test", from))
}

impl World {
    pub fn new() -> World {
        let folders = Arc::new(MemoryFolders::new());
        let store = Store::in_memory(MODULES).unwrap();
        found(&store, 40);
        World::over(store, folders.clone(), folders)
    }

    pub fn over(store: Store, folders: Arc<dyn Folders>, memory: Arc<MemoryFolders>) -> World {
        let clearing = Clearing::new(store, folders, Policy::default());
        World { clearing, folders: memory, vault: vault(), loads: Vec::new(), sequence: 0 }
    }

    pub fn with_policy(self, policy: Policy) -> World {
        let clearing = Clearing::new(self.clearing.store().clone(), self.folders.clone(), policy);
        World { clearing, ..self }
    }

    pub fn load(&mut self, number: u32, at: DateTime, amount: i64) {
        self.loads.push((card(number), Load { at, amount: fen(amount) }));
    }

    /// A purchase with a right TAC at merchant 1, at second `sequence` of the morning of the first day.
    pub fn sale(&mut self, number: u32, counter: u16, before: i64, amount: i64) -> XfRecord {
        self.sequence += 1;
        let record = XfRecord {
            serial: self.sequence,
            merchant: merchant(1),
            pos: pos(1),
            asn: card(number),
            card_type: CardType { main: *b"01", sub: *b"00" },
            card_valid: None,
            start: Some(day(20_260_101)),
            expiry: Some(day(20_361_231)),
            counter: CardCounter(counter),
            sequence: TerminalSeq(self.sequence),
            balance_before: fen(before),
            amount: fen(amount),
            at: at(D1, 80_000).plus_seconds(self.sequence.into()).unwrap(),
            purchase: PurchaseType::Wallet,
            terminal: terminal_id(1),
            tac: ykt_base::Mac4([0; 4]),
            confirmation: Confirmation::Confirmed,
            ticket: Ticket::None,
            ticket_debit: TicketDebit::None,
            reserved: XfRecord::RESERVED,
        };
        signed(record)
    }

    /// Puts a file into the merchant's upload and receives it for clearing day `day`.
    pub fn send(&self, clearing_day: u32, sequence: u32, records: &[XfRecord]) -> Received {
        let partner = records.first().map_or(merchant(1), |record| record.merchant);
        let (name, bytes) = file(clearing_day, partner, sequence, records);
        self.send_bytes(clearing_day, &partner, &name, bytes)
    }

    pub fn send_bytes(
        &self,
        clearing_day: u32,
        partner: &MerchantCode,
        name: &str,
        bytes: Vec<u8>,
    ) -> Received {
        self.folders.upload(*partner, name, bytes.clone());
        let now = at(clearing_day, 120_000);
        self.clearing.receive(partner, name, &bytes, now, day(clearing_day)).unwrap()
    }

    pub fn close(&self, clearing_day: u32) -> DayClosed {
        self.try_close(clearing_day, &mut |_| {}).unwrap()
    }

    pub fn try_close(&self, clearing_day: u32, watch: &mut dyn FnMut(Step)) -> Result<DayClosed, CloseError> {
        let journal = |_: &Tx<'_>, asn: &Asn8| -> Result<Vec<Load>, StoreError> {
            Ok(self.loads.iter().filter(|(of, _)| of == asn).map(|(_, load)| *load).collect())
        };
        let mut closing = Closing { vault: &self.vault, loads: &journal, watch };
        self.clearing.close_day(day(clearing_day), at(clearing_day, 235_900), &mut closing)
    }

    pub fn read<T>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> T {
        self.clearing.store().read(work).unwrap()
    }

    pub fn write<T, E: From<StoreError> + std::fmt::Debug>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> T {
        self.clearing.store().write(work).unwrap()
    }

    /// The only answer of a kind that a merchant has for a day.
    pub fn answer<R: FixedRecord>(&self, number: u32, clearing_day: u32) -> Vec<R> {
        let files = self.folders.list(&merchant(number), Tray::Download);
        let start = format!("{}{clearing_day}", R::KIND.letters());
        let mut of_kind = files.iter().filter(|(name, _)| name.starts_with(&start));
        let (_, bytes) = of_kind.next().unwrap();
        assert_eq!(of_kind.next(), None);
        let file = FixedFile::<R>::open(bytes, NameLayout::default()).unwrap();
        file.records().collect::<Result<_, _>>().unwrap()
    }

    /// Balance of a subject of the ledger, debit positive.
    pub fn balance(&self, account: &str) -> i64 {
        let account = account.parse().unwrap();
        self.read(|tx| ykt_ledger::balance(tx, &account)).fen()
    }
}

/// The record with the TAC its card would give.
pub fn signed(record: XfRecord) -> XfRecord {
    XfRecord { tac: tac(&card_tac_key(&record.asn), &record), ..record }
}

/// The TAC key of a card.
pub fn card_tac_key(asn: &Asn8) -> SessionKey {
    CardKey::Tdes(Key16::from_bytes(ROOT)).diversify(&FACTOR.0).diversify(&asn.0).tac_key()
}

/// The same purchase made at merchant 2.
pub fn at_shop(record: XfRecord) -> XfRecord {
    signed(XfRecord { merchant: merchant(2), pos: pos(2), terminal: terminal_id(2), ..record })
}

/// The record as grey: not confirmed, without a TAC.
pub fn grey(record: XfRecord) -> XfRecord {
    XfRecord { confirmation: Confirmation::Grey, tac: ykt_base::Mac4([0; 4]), ..record }
}

/// Records by number.
pub fn order() -> (RecordSort, Direction) {
    (RecordSort::default(), Direction::Up)
}

/// The TAC of a record under its card's key.
pub fn tac(key: &SessionKey, record: &XfRecord) -> ykt_base::Mac4 {
    let kind = match record.purchase {
        PurchaseType::Wallet => purchase::PurchaseKind::Purchase(Purse::Ep),
        PurchaseType::Compound => purchase::PurchaseKind::Composite,
    };
    let amount = record.amount.try_into().unwrap();
    let terms = purchase::Purchase { kind, amount, terminal: record.terminal };
    purchase::tac(key, &terms, record.sequence, record.at)
}

/// Name and content of a purchase file.
pub fn file(date: u32, partner: MerchantCode, sequence: u32, records: &[XfRecord]) -> (String, Vec<u8>) {
    let industry = if partner == merchant(2) { Industry::new(6).unwrap() } else { Industry::BUS };
    let layout = NameLayout::default();
    let name = FileName::new(FileKind::Xf, day(date), industry, partner, sequence, layout).unwrap();
    (name.to_string(), ykt_files::write(industry, records, layout).unwrap())
}
