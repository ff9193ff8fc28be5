//! What the purses of every profile are for: load and pay, with composite purchases, unload and overdraft where there
//! are any, and a PSAM of the shipped profile beside them.

use crate::desk::{ASN, CITY, Desk, TERMINAL, made, vault};
use ykt_base::{CardChannel, CardCounter, DateTime, IssuerFactor, KeyIndex, StatusWord, TerminalSeq};
use ykt_card::CardKind;
use ykt_issue::{Profile, t_union_issuer};
use ykt_purse::capp::{CappRecord, UpdateCappData};
use ykt_purse::command;
use ykt_purse::files::{
    CITY_AID, PBOC_AID, PublicData, PublicDataLayout, SAM_APPLICATION_FID, T_UNION_AID, city_factor,
};
use ykt_purse::load::{CreditForLoad, InitializeForLoad, Load, LoadAnswer};
use ykt_purse::overdraft::InitializeForUpdate;
use ykt_purse::psam::{CardFactors, CreditSam, InitSamForPurchase, SamAnswer};
use ykt_purse::purchase::{
    DebitAnswer, DebitForPurchase, InitializeForPurchase, Purchase, PurchaseAnswer, PurchaseKind,
};
use ykt_purse::unload::{InitializeForUnload, Unload};
use ykt_purse::{Purse, PurseFen};
use ykt_vault::{
    CardKeyRef, KeyKind, KeyRef, LoadSession, MacVerdict, Receipt, SoftVault, TacJob, TacVerdict, Vault,
};

const INDEX: KeyIndex = KeyIndex(1);

fn now() -> DateTime {
    DateTime::from_number(20_261_122_093_015).unwrap()
}

fn fen(amount: u32) -> PurseFen {
    PurseFen::from_bytes(amount.to_be_bytes()).unwrap()
}

/// A card with its application selected, and the vault that knows its keys.
pub struct Holder {
    pub desk: Desk,
    vault: SoftVault,
    factor: IssuerFactor,
}

impl Holder {
    pub fn of(desk: Desk, aid: &[u8], layout: PublicDataLayout) -> Holder {
        let mut desk = desk;
        desk.select(aid);
        let public = PublicData::from_bytes(layout, &desk.read(0x15, 30)).unwrap();
        let factor = match layout {
            PublicDataLayout::City => city_factor(CITY),
            PublicDataLayout::Pboc | PublicDataLayout::TUnion => t_union_issuer(CITY),
        };
        assert_eq!((public.factor(), public.asn), (factor, ASN));
        assert!(public.usable_on(now().date));
        Holder { desk, vault: vault(), factor }
    }

    fn key(&self, kind: KeyKind) -> CardKeyRef {
        CardKeyRef { key: KeyRef::new(kind, 1, 1), factor: self.factor, asn: ASN }
    }

    fn is_right(&self, receipt: Receipt, tac: ykt_base::Mac4) {
        let job = TacJob { key: self.key(KeyKind::Tac), receipt, tac };
        assert_eq!(self.vault.verify_tacs(&[job]), Ok(vec![TacVerdict::Right]));
    }

    pub fn balance(&mut self, purse: Purse) -> u32 {
        u32::from_be_bytes(self.desk.fine(&command::balance(purse)).try_into().unwrap())
    }

    fn refuses(&mut self, command: &[u8]) -> StatusWord {
        self.desk.transmit(command).unwrap().sw()
    }

    pub fn load(&mut self, purse: Purse, amount: u32) {
        let load = Load { purse, amount: fen(amount), terminal: TERMINAL };
        let answer = self.desk.ok(&InitializeForLoad { key_index: INDEX, load }.to_apdu());
        let LoadAnswer { balance, counter, random, mac1, .. } = LoadAnswer::from_bytes(&answer).unwrap();
        let session = LoadSession { key: self.key(KeyKind::Load), random, counter };
        let verdict = self.vault.check_load_mac1(&session, &load, balance, &mac1).unwrap();
        assert_eq!(verdict, MacVerdict::Right);
        let mac2 = self.vault.load_mac2(&session, &load, now()).unwrap();
        let tac = self.desk.ok(&CreditForLoad { at: now(), mac2 }.to_apdu());
        let new_balance = fen(balance.fen().fen().try_into().unwrap_or(u32::MAX) + amount);
        let receipt = Receipt::Load { load, new_balance, counter, at: now() };
        self.is_right(receipt, tac.as_slice().try_into().unwrap());
    }

    /// A purchase with the PSAM of a profile; `records` go into the cache of a composite one.
    pub fn pay(&mut self, psam: &mut Desk, kind: PurchaseKind, amount: u32, records: &[UpdateCappData<'_>]) {
        let purchase = Purchase { kind, amount: fen(amount), terminal: TERMINAL };
        let answer = self.desk.ok(&InitializeForPurchase { key_index: INDEX, purchase }.to_apdu());
        let PurchaseAnswer { counter, key_version, algorithm, random, .. } =
            PurchaseAnswer::from_bytes(&answer).unwrap();
        let signed = psam.ok(&InitSamForPurchase {
            random,
            counter,
            amount: purchase.amount,
            kind,
            at: now(),
            key_version,
            algorithm,
            factors: CardFactors::two_levels(self.factor, ASN),
        }
        .to_apdu());
        let SamAnswer { sequence, mac1 } = SamAnswer::from_bytes(&signed).unwrap();
        for record in records {
            self.desk.ok(&record.to_apdu());
        }
        let debit = self.desk.ok(&DebitForPurchase { sequence, at: now(), mac1 }.to_apdu());
        let DebitAnswer { tac, mac2 } = DebitAnswer::from_bytes(&debit).unwrap();
        psam.ok(&CreditSam { mac2 }.to_apdu());
        self.is_right(Receipt::Purchase { purchase, sequence, at: now() }, tac);
    }
}

/// A PSAM of a shipped profile with its application selected.
fn psam(name: &str) -> Desk {
    selected(made(name))
}

pub fn selected(mut psam: Desk) -> Desk {
    psam.fine(&command::select_file(&SAM_APPLICATION_FID));
    psam
}

/// A profile with purses: its application, its layout, the profile of its PSAM.
pub struct Wallet {
    pub name: &'static str,
    pub aid: &'static [u8],
    pub layout: PublicDataLayout,
    pub sam: &'static str,
    pub purses: &'static [Purse],
}

const fn wallet(name: &'static str, aid: &'static [u8], layout: PublicDataLayout) -> Wallet {
    let sam = match layout {
        PublicDataLayout::City => "psam",
        PublicDataLayout::Pboc | PublicDataLayout::TUnion => "t-union-psam",
    };
    Wallet { name, aid, layout, sam, purses: &[Purse::Ep] }
}

pub const WALLETS: [Wallet; 5] = [
    wallet("city-cpu", &CITY_AID, PublicDataLayout::City),
    wallet("citizen", &CITY_AID, PublicDataLayout::City),
    wallet("token", &CITY_AID, PublicDataLayout::City),
    wallet("t-union", &T_UNION_AID, PublicDataLayout::TUnion),
    Wallet { purses: &[Purse::Ep, Purse::Ed], ..wallet("pboc-ed-ep", &PBOC_AID, PublicDataLayout::Pboc) },
];

#[test]
fn purses_of_every_profile_load_and_pay() {
    for Wallet { name, aid, layout, sam, purses } in WALLETS {
        let mut holder = Holder::of(made(name), aid, layout);
        let mut psam = psam(sam);
        for purse in purses {
            let load = Load { purse: *purse, amount: fen(1), terminal: TERMINAL };
            let initialize = InitializeForLoad { key_index: INDEX, load }.to_apdu();
            let asks = ["token", "pboc-ed-ep"].contains(&name);
            let answered = if asks { StatusWord::SECURITY_STATUS } else { StatusWord::OK };
            assert_eq!(holder.refuses(&initialize), answered, "{name}");
            holder.desk.verify_pin();
            holder.load(*purse, 5_000);
            holder.pay(&mut psam, PurchaseKind::Purchase(*purse), 150, &[]);
            assert_eq!(holder.balance(*purse), 4_850, "{name}");
            holder.desk.select(aid);
        }
    }
}

/// The token asks for the PIN before purchase and balance, too; others do not.
#[test]
fn a_token_wants_the_pin_for_everything() {
    let purchase = Purchase { kind: PurchaseKind::Purchase(Purse::Ep), amount: fen(1), terminal: TERMINAL };
    let pay = InitializeForPurchase { key_index: INDEX, purchase }.to_apdu();
    for (name, purchase, balance) in [
        ("token", StatusWord::SECURITY_STATUS, StatusWord::SECURITY_STATUS),
        ("city-cpu", StatusWord::INSUFFICIENT_FUNDS, StatusWord::OK),
    ] {
        let mut holder = Holder::of(made(name), &CITY_AID, PublicDataLayout::City);
        assert_eq!(holder.refuses(&pay), purchase, "{name}");
        assert_eq!(holder.desk.send(&command::balance(Purse::Ep)).unwrap().sw(), balance, "{name}");
    }
}

/// A ride: the ring of rides gets a record, the record of the industry is replaced, and the fare is paid.
#[test]
fn composite_purchases_write_their_records() {
    for (name, aid, layout, sam, rides, industry_len) in [
        ("city-cpu", &CITY_AID[..], PublicDataLayout::City, "psam", 0x19, 64),
        ("t-union", &T_UNION_AID, PublicDataLayout::TUnion, "t-union-psam", 0x1E, 128),
    ] {
        let mut holder = Holder::of(made(name), aid, layout);
        holder.load(Purse::Ep, 1_000);
        let (ride, mut bus) = ([0x06; 48], vec![0x55; industry_len]);
        bus[..6].copy_from_slice(&[0x27, 0x02, industry_len as u8 - 3, 0x01, 0x01, 0x00]);
        let records = [
            UpdateCappData { sfi: rides, record: CappRecord::Append, data: &ride },
            UpdateCappData { sfi: 0x1A, record: CappRecord::Identifier(1), data: &bus },
        ];
        holder.pay(&mut psam(sam), PurchaseKind::Composite, 200, &records);
        assert_eq!(holder.balance(Purse::Ep), 800);
        assert_eq!(holder.desk.fine(&command::read_record(1, rides, 48)), ride, "{name}");
        assert_eq!(holder.desk.fine(&command::read_record(2, 0x1A, industry_len as u16)), bus, "{name}");
        let free = holder.desk.fine(&command::read_record(1, 0x1A, industry_len as u16));
        assert_eq!(free[..6], [0x27, 0x01, industry_len as u8 - 3, 0x01, 0x01, 0x00], "{name}");
        let forged = command::update_record(command::RecordPlace::Number(2), 0x1A, &bus);
        assert!(!holder.desk.send(&forged).unwrap().sw().is_ok(), "{name}: only with a MAC or a fare");
    }
}

/// The deposit's own transactions find their keys.
#[test]
fn a_deposit_unloads_and_has_a_limit() {
    let mut holder = Holder::of(made("pboc-ed-ep"), &PBOC_AID, PublicDataLayout::Pboc);
    holder.desk.verify_pin();
    holder.load(Purse::Ed, 1_000);
    let unload = Unload { amount: fen(300), terminal: TERMINAL };
    assert_eq!(holder.desk.ok(&InitializeForUnload { key_index: INDEX, unload }.to_apdu()).len(), 16);
    let overdraft = InitializeForUpdate { key_index: INDEX, terminal: TERMINAL };
    assert_eq!(holder.desk.ok(&overdraft.to_apdu()).len(), 19);
    assert_eq!(holder.desk.read(0x16, 39)[22..38], *b"1101011990030785");
}

/// A profile for the card systems of others: keys in the layouts of FMCOS and of the nine-byte family.
#[test]
fn keys_in_the_layouts_of_other_families() {
    let text = include_str!("../../profiles/city-cpu.toml");
    for family in ["fmcos", "nine-byte"] {
        let switch = format!("create = \"01\"\nkey_layout = \"{family}\"\n");
        let mut profile = Profile::parse(&text.replace("create = \"01\"\n", &switch)).unwrap();
        assert_eq!(profile.kind, CardKind::User);
        // The family's keys of authentication and unlocking are not told apart by its header.
        profile.steps.retain(|step| !step.title.contains("grey unlock"));
        let desk = crate::desk::made_by(&profile);
        let mut holder = Holder::of(desk, &CITY_AID, PublicDataLayout::City);
        holder.desk.verify_pin();
        holder.load(Purse::Ep, 700);
        holder.pay(&mut psam("psam"), PurchaseKind::Purchase(Purse::Ep), 700, &[]);
        assert_eq!(holder.balance(Purse::Ep), 0, "{family}");
    }
}

/// The log and the counters after a load are the issuer's evidence.
#[test]
fn a_sequence_counts_what_a_psam_signed() {
    let mut holder = Holder::of(made("city-cpu"), &CITY_AID, PublicDataLayout::City);
    let mut psam = psam("psam");
    holder.load(Purse::Ep, 300);
    for paid in 1..=3 {
        holder.pay(&mut psam, PurchaseKind::Purchase(Purse::Ep), 100, &[]);
        assert_eq!(TerminalSeq(paid).to_bytes()[..], psam.read(0x18, 4), "the PSAM has counted");
        let log = holder.desk.fine(&command::read_record(1, 0x18, 23));
        assert_eq!(CardCounter(paid.try_into().unwrap()).to_bytes()[..], log[..2]);
    }
}
