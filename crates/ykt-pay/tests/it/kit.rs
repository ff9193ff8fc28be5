//! A host with its store and vault, a model card, and the money oracle.

use std::sync::Arc;
use ykt_base::{Asn8, CardCounter, Date, DateTime, Fen, IssuerFactor, KeyVersion, Mac4, Random4, TerminalId};
use ykt_crypto::{CardKey, Key16, SessionKey};
use ykt_ledger::{AccountCode, balance, subject_balance, trial_balance, verify_chain};
use ykt_office::Act;
use ykt_office::cards::{self, CardKind, NewCard};
use ykt_pay::{CardOffer, Credit, LoadHost, OrderId, OrderState, PayError, Policy, Refusal};
use ykt_purse::load::{self, Load};
use ykt_purse::{Purse, PurseFen};
use ykt_store::{Module, Store};
use ykt_terminal::host::PayRequest;
use ykt_vault::behaviour::Switched;
use ykt_vault::{
    ImportedKey, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, KeyValue, Levels, Origin, SoftVault,
};

const DLK: [u8; 16] = *b"load root key 01";
const DTK: [u8; 16] = *b"TAC root key 001";
pub(crate) const FACTOR: IssuerFactor = IssuerFactor([0x21, 0x44, 0xFF, 0, 0, 0, 0, 0]);
pub(crate) const MODULES: [Module; 3] = [ykt_office::MODULE, ykt_ledger::MODULE, ykt_pay::MODULE];
pub(crate) const CHANNEL: &str = "WECHAT";

pub(crate) fn at(second: i64) -> DateTime {
    let noon: DateTime = "20260302120000".parse().unwrap();
    noon.plus_seconds(second).unwrap()
}

pub(crate) fn day() -> Date {
    at(0).date
}

pub(crate) fn asn(no: u32) -> Asn8 {
    format!("17000101{no:08}").parse().unwrap()
}

pub(crate) fn id(text: &str) -> OrderId {
    text.parse().unwrap()
}

pub(crate) fn terminal() -> TerminalId {
    TerminalId([0, 0, 0, 0, 0, 9])
}

/// What the card gave for MAC2 and random number.
struct Session {
    load: Load,
    random: Random4,
    counter: CardCounter,
    key: SessionKey,
}

/// The purse of one card: balance, online counter, and the proof of the last load.
pub(crate) struct ModelCard {
    pub(crate) asn: Asn8,
    pub(crate) balance: PurseFen,
    pub(crate) counter: CardCounter,
    pub(crate) loads: u32,
    dlk: CardKey,
    dtk: CardKey,
    randoms: u32,
    session: Option<Session>,
    proof: Option<(CardCounter, Mac4)>,
}

impl ModelCard {
    pub(crate) fn new(no: u32, balance: i64) -> ModelCard {
        let asn = asn(no);
        let own =
            |root: [u8; 16]| CardKey::Tdes(Key16::from_bytes(root)).diversify(&FACTOR.0).diversify(&asn.0);
        ModelCard {
            asn,
            balance: Fen::new(balance).try_into().unwrap(),
            counter: CardCounter(7),
            loads: 0,
            dlk: own(DLK),
            dtk: own(DTK),
            randoms: 0,
            session: None,
            proof: None,
        }
    }

    /// INITIALIZE FOR LOAD: draws a random number, which voids every MAC2 made for an earlier one.
    pub(crate) fn initialize(&mut self, amount: Fen) -> CardOffer {
        self.randoms += 1;
        let random = Random4(self.randoms.to_be_bytes());
        let load = Load { purse: Purse::Ep, amount: amount.try_into().unwrap(), terminal: terminal() };
        let key = load::session_key(&self.dlk, random, self.counter);
        let mac1 = load::mac1(&key, &load, self.balance);
        self.session = Some(Session { load, random, counter: self.counter, key });
        CardOffer {
            terminal: terminal(),
            balance: self.balance.fen(),
            counter: self.counter,
            key_version: KeyVersion(1),
            algorithm: 0,
            random,
            mac1,
        }
    }

    /// CREDIT FOR LOAD: the TAC, or `None` when MAC2 is not for this session.
    pub(crate) fn credit(&mut self, credit: Credit) -> Option<Mac4> {
        let session = self.session.take()?;
        if load::mac2(&session.key, &session.load, credit.at) != credit.mac2 {
            return None;
        }
        self.balance = self.balance.checked_add(session.load.amount).unwrap();
        let tac = load::tac(&self.dtk.tac_key(), &session.load, self.balance, session.counter, credit.at);
        self.counter = self.counter.next().unwrap();
        self.loads += 1;
        self.proof = Some((session.counter, tac));
        Some(tac)
    }

    /// An offline purchase, which moves the balance but not the online counter.
    pub(crate) fn spend(&mut self, amount: i64) {
        self.balance = self.balance.checked_sub(Fen::new(amount).try_into().unwrap()).unwrap();
    }

    /// GET TRANSACTION PROVE for the load that used `counter`.
    pub(crate) fn prove(&self, counter: CardCounter) -> Option<Mac4> {
        self.proof.filter(|(used, _)| *used == counter).map(|(_, tac)| tac)
    }

    /// The random number of the session that waits for its MAC2.
    pub(crate) fn session_random(&self) -> Option<Random4> {
        self.session.as_ref().map(|session| session.random)
    }

    /// Power off and on: the session is gone.
    pub(crate) fn reset(&mut self) {
        self.session = None;
    }

    /// What of the card's memory decides what it does next.
    pub(crate) fn key(&self) -> String {
        format!("{} {} {:?}", self.balance, self.counter, self.proof.map(|(used, _)| used))
    }
}

pub(crate) struct Kit {
    pub(crate) store: Store,
    pub(crate) host: LoadHost,
    pub(crate) vault: Arc<Switched>,
}

pub(crate) fn host_over(store: &Store) -> LoadHost {
    LoadHost::new(store.clone(), vault(), Policy::default())
}

fn vault() -> Arc<Switched> {
    let vault = SoftVault::empty(Levels::nation_city_card(), Origin::Demo);
    for (kind, value) in [(KeyKind::Load, DLK), (KeyKind::Tac, DTK)] {
        vault
            .import(ImportedKey {
                place: KeyPlace::root(KeyRef::new(kind, 1, 1)),
                state: KeyState::Active,
                value: KeyValue::Tdes(Key16::from_bytes(value)),
                kcv: None,
            })
            .unwrap();
    }
    Arc::new(Switched::new(Arc::new(vault)))
}

/// Registers and issues the cards of these numbers.
pub(crate) fn issue_cards(store: &Store, numbers: std::ops::RangeInclusive<u32>) {
    let new = |no| NewCard {
        asn: asn(no),
        factor: FACTOR,
        main_type: 1,
        sub_type: 0,
        kind: CardKind::Real,
        key_version: KeyVersion(1),
        start: day(),
        expiry: day().plus_days(30).unwrap(),
    };
    let batch: Vec<NewCard> = numbers.map(new).collect();
    let numbers: Vec<Asn8> = batch.iter().map(|card| card.asn).collect();
    let act = Act::of_system("test", at(0));
    store
        .write(|tx| {
            cards::register(tx, &batch, &act)?;
            cards::issue(tx, &numbers, &act)
        })
        .unwrap();
}

impl Kit {
    pub(crate) fn new(count: u32) -> Kit {
        let store = Store::in_memory(&MODULES).unwrap();
        issue_cards(&store, 1..=count);
        let vault = vault();
        Kit { host: LoadHost::new(store.clone(), vault.clone(), Policy::default()), store, vault }
    }

    pub(crate) fn pay(&self, order: &str, card: &ModelCard, amount: i64) -> Result<OrderState, Refusal> {
        let request = PayRequest {
            order: id(order),
            card: card.asn,
            amount: Fen::new(amount),
            channel: CHANNEL.to_owned(),
        };
        refused(self.host.pay(&request, at(0)))
    }

    pub(crate) fn balance(&self, account: &str) -> i64 {
        let account: AccountCode = account.parse().unwrap();
        self.store.read(|tx| balance(tx, &account)).unwrap().fen()
    }

    /// Held for orders, on cards, and owed by the channel, all as positive amounts.
    pub(crate) fn money(&self) -> (i64, i64, i64) {
        (-self.balance("2002/load-orders"), -self.balance("2001"), self.balance("1221.01/WECHAT"))
    }

    pub(crate) fn state(&self, order: &str) -> OrderState {
        self.store.read(|tx| ykt_pay::order(tx, &id(order))).unwrap().unwrap().order.state
    }

    /// The books sum to zero and their chain is whole.
    pub(crate) fn check_books(&self) {
        let lines = self.store.read(|tx| trial_balance(tx, None)).unwrap();
        let sum: i64 = lines.iter().map(|line| line.balance.fen()).sum();
        assert_eq!(sum, 0);
        let whole = self.store.read(verify_chain).unwrap();
        assert_eq!(whole.altered, None);
        let float = self.store.read(|tx| subject_balance(tx, &ykt_ledger::chart::PURSE_FLOAT, None)).unwrap();
        assert!(float <= Fen::ZERO);
    }
}

/// The refusal of a step; a fault of ours fails the test.
pub(crate) fn refused<T>(answer: Result<T, PayError>) -> Result<T, Refusal> {
    answer.map_err(|error| match error {
        PayError::Refused(refusal) => refusal,
        fault => panic!("{fault}"),
    })
}

pub(crate) fn purse(fen: i64) -> PurseFen {
    Fen::new(fen).try_into().unwrap()
}
