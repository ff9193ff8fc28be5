//! A centre with two key administrators, an operator and the keys of `docs/keys.toml`; cards, a PSAM, and hands that
//! pull them out.

use std::cell::RefCell;
use std::sync::Arc;
use ykt_base::{
    Asn8, CardChannel, ChannelError, Clock, DateTime, KeyIndex, KeyVersion, PsamSerial, Response, Rng,
    StatusWord, TerminalId,
};
use ykt_card::{ArrayMemory, Blank, Card, CardKind, IMAGE_LEN_DEMO};
use ykt_crypto::Key16;
use ykt_issue::profile::{Action, Step};
use ykt_issue::{CardData, Profile, PsamData, personalise_card, personalise_psam};
use ykt_kmc::{Centre, Operation, OperationError};
use ykt_office::Act;
use ykt_office::audit::{self, AuditFilter, AuditRow};
use ykt_office::cards::{self, NewCard};
use ykt_office::people::{FirstPassword, HashCost, NewUser, Password, People, Role, SignInRules};
use ykt_office::requests::{Request, RequestId};
use ykt_purse::Algorithm;
use ykt_purse::files::city_factor;
use ykt_purse::psam::SamUsage;
use ykt_purse::write_key::Pin;
use ykt_store::{Paging, Store};
use ykt_vault::behaviour::Switched;
use ykt_vault::{
    DEMO_TRANSPORT_KEY, KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, KeysFile, Signer,
    SoftVault, Vault,
};

pub const CITY: [u8; 2] = [0x21, 0x44];
pub type Memory = ArrayMemory<IMAGE_LEN_DEMO>;

pub fn at(minutes: i64) -> DateTime {
    let noon: DateTime = "20261122120000".parse().unwrap();
    noon.plus_seconds(minutes * 60).unwrap()
}

pub fn act(who: &str, minutes: i64) -> Act {
    Act::of(who, "10.0.0.7", at(minutes))
}

pub fn id(text: &str) -> RequestId {
    text.parse().unwrap()
}

pub fn root(kind: KeyKind, version: u8) -> KeyPlace {
    KeyPlace::root(KeyRef::new(kind, 1, version))
}

/// Different bytes every time, the same in every run.
pub struct Seeded(pub u64);

impl Rng for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

/// A clock that stands still.
pub struct Standing(pub DateTime);

impl Clock for Standing {
    fn now(&self) -> DateTime {
        self.0
    }
}

/// The keys that `docs/keys.toml` prints.
pub fn vault() -> SoftVault {
    SoftVault::from_keys(KeysFile::parse(include_str!("../../../../docs/keys.toml")).unwrap()).unwrap()
}

pub struct World {
    psam: RefCell<Option<Hand>>,
    pub centre: Centre,
    pub vault: Arc<SoftVault>,
    /// Between the centre and its vault.
    pub line: Arc<Switched>,
}

pub fn world() -> World {
    over(Arc::new(vault()))
}

/// A centre without any past over a vault.
fn over(vault: Arc<SoftVault>) -> World {
    let signing = KeyRef::new(KeyKind::Signing, 1, 1);
    if vault.signer(signing).is_err() {
        vault.generate(KeyPlace::root(signing), KeyAlgorithm::Sm2, &mut Seeded(4)).unwrap();
        vault.change_state(&KeyPlace::root(signing), KeyState::Active).unwrap();
    }
    let signer: Arc<dyn Signer> = vault.signer(signing).unwrap();
    let modules = [&[ykt_office::MODULE], ykt_kmc::MODULES].concat();
    let store = Store::in_memory(&modules).unwrap();
    let rules = SignInRules { cost: HashCost::LEAST, ..SignInRules::default() };
    let people = People::new(store.clone(), rules, &mut Seeded(1)).unwrap();
    for (name, role) in
        [("keys1", Role::KeyAdministrator), ("keys2", Role::KeyAdministrator), ("operator", Role::Operator)]
    {
        let new = NewUser {
            name: name.to_owned(),
            full_name: name.to_owned(),
            role,
            staff_number: Some(name.parse().unwrap()),
            first_password: FirstPassword::MayStay,
        };
        people.add(&new, &Password::from("Linjiang-2026"), &mut Seeded(2), &act("setup", -60)).unwrap();
    }
    let line = Arc::new(Switched::new(Arc::clone(&vault)));
    let centre = Centre::new(store, line.clone(), Some(signer));
    centre.take_over(&act("setup", -59)).unwrap();
    World { psam: RefCell::new(None), centre, vault, line }
}

impl World {
    pub fn ask(&self, name: &str, operation: &Operation) -> Result<Request, OperationError> {
        self.centre.ask(&act("keys1", 0), id(name), operation, "because")
    }

    pub fn approve(&self, name: &str) -> Result<Request, OperationError> {
        self.centre.approve(&act("keys2", 1), &id(name), &mut Seeded(77))
    }

    /// Asked by one, approved by the other, done.
    pub fn done(&self, name: &str, operation: &Operation) -> Request {
        self.ask(name, operation).unwrap();
        self.approve(name).unwrap()
    }

    /// Version 2 of a key, active.
    pub fn renew(&self, kind: KeyKind) {
        let place = root(kind, 2);
        let algorithm = KeyAlgorithm::Tdes;
        self.done(&format!("make-{kind}"), &Operation::Generate { place, algorithm });
        self.done(&format!("use-{kind}"), &Operation::Activate(place));
    }

    pub fn state(&self, place: &KeyPlace) -> Option<KeyState> {
        self.vault.list().unwrap().iter().find(|info| info.place() == *place).map(|info| info.state)
    }

    /// The records of a word of the audit log, newest first.
    pub fn audit(&self, what: &str) -> Vec<AuditRow> {
        let filter = AuditFilter { text: Some(what.to_owned()), ..AuditFilter::default() };
        let rows = self.centre.store.read(|tx| audit::list(tx, &filter, Paging::first(100))).unwrap().rows;
        rows.into_iter().filter(|row| row.what == what).collect()
    }

    /// Card `number` of the city, registered, in a hand.
    pub fn card(&self, number: u8) -> Hand {
        self.register(number);
        let (start, expiry) = ("20260101".parse().unwrap(), "20361231".parse().unwrap());
        let mut hand = Hand::blank(CardKind::User);
        let data = CardData::of_city(asn(number), CITY, start, expiry, Pin::from_digits("123456").unwrap());
        personalise_card(&mut hand, &*self.vault, &Profile::city_cpu(), &data, &mut |_| {}).unwrap();
        hand.put_back()
    }

    fn register(&self, number: u8) {
        let asn = asn(number);
        let (start, expiry) = ("20260101".parse().unwrap(), "20361231".parse().unwrap());
        let new = NewCard {
            asn,
            factor: city_factor(CITY),
            main_type: 1,
            sub_type: 0,
            kind: cards::CardKind::Real,
            key_version: KeyVersion(1),
            start,
            expiry,
        };
        self.centre.store.write(|tx| cards::register(tx, &[new], &act("operator", -50))).unwrap();
        self.centre.store.write(|tx| cards::issue(tx, &[asn], &act("operator", -49))).unwrap();
    }

    /// The same keys, PSAM and card 1, before the first visit.
    pub fn again(&self) -> World {
        let world = over(Arc::clone(&self.vault));
        world.register(1);
        crate::campaigns::open_only(&world);
        world.keep_psam(self.spare_psam());
        world
    }

    pub fn keep_psam(&self, psam: Hand) {
        *self.psam.borrow_mut() = Some(psam);
    }

    /// A copy of the PSAM, switched on.
    pub fn spare_psam(&self) -> Hand {
        self.psam.borrow_mut().as_mut().unwrap().twin()
    }

    pub fn psam(&self) -> Hand {
        let mut hand = Hand::blank(CardKind::Psam);
        personalise_psam(&mut hand, &*self.vault, &Profile::psam(), &psam_data(), &mut |_| {}).unwrap();
        hand.put_back()
    }

    /// Gives a PSAM the second version of the purchase key beside the first.
    pub fn second_purchase_key(&self, psam: &mut Hand) {
        let key = KeyRef::new(KeyKind::Purchase, 1, 2);
        let control = KeyRef::new(KeyKind::SamApplicationMaster, 1, 1);
        let usage = SamUsage::from_code(0x42).unwrap();
        let step = |action| Step { title: String::new(), action };
        let steps = vec![
            step(Action::Select { fid: [0xDF, 0x01] }),
            step(Action::WriteSamKey { key, algorithm: Algorithm::TripleDes, control, usage }),
        ];
        let profile = Profile { steps, ..Profile::psam() };
        personalise_psam(psam, &*self.vault, &profile, &psam_data(), &mut |_| {}).unwrap();
    }
}

pub fn asn(number: u8) -> Asn8 {
    Asn8([0x21, 0x44, 0, 0, 0, 0, 0, number])
}

fn psam_data() -> PsamData {
    let serial = PsamSerial([0, 0, 0x21, 0x44, 0, 0, 0, 0, 0, 9]);
    let (start, expiry) = ("20260101".parse().unwrap(), "20361231".parse().unwrap());
    let data = PsamData::of_city(serial, TerminalId([0x21, 0x44, 0, 0, 0, 9]), CITY, start, expiry);
    PsamData { key_index: KeyIndex(1), ..data }
}

/// When a hand pulls the card out, counted in commands since it was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// Before the card hears the command of this number, from 0.
    Before(usize),
    /// After the card did what that command says, before its answer is heard.
    After(usize),
}

/// A card in a reader.
pub struct Hand {
    card: Card<Memory>,
    rng: Seeded,
    present: bool,
    pub commands: usize,
    pub pull: Option<Pull>,
}

impl Hand {
    fn blank(kind: CardKind) -> Hand {
        let transport = Key16::from_bytes(DEMO_TRANSPORT_KEY);
        let blank = match kind {
            CardKind::Psam => Blank::psam([7; 8], &transport),
            _ => Blank::user_card([7; 8], &transport),
        };
        Hand::of(Card::blank(Memory::new(), &blank).unwrap())
    }

    fn of(card: Card<Memory>) -> Hand {
        Hand { card, rng: Seeded(99), present: true, commands: 0, pull: None }
    }

    /// The same card once more, as it is now.
    pub fn twin(&mut self) -> Hand {
        Hand::of(Card::power_on(self.card.memory_mut().clone()).unwrap())
    }

    /// Puts the card back in, with power.
    pub fn put_back(self) -> Hand {
        let mut memory = self.card.into_memory();
        memory.restore_power();
        Hand::of(Card::power_on(memory).unwrap())
    }
}

impl CardChannel for Hand {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        if !self.present || self.pull == Some(Pull::Before(self.commands)) {
            self.present = false;
            return Err(ChannelError::Removed);
        }
        let answer = self.card.process(&mut self.rng, command);
        let cut = answer.sw() == StatusWord::MEMORY_FAILURE;
        if cut || self.pull == Some(Pull::After(self.commands)) {
            self.present = false;
            return Err(ChannelError::Removed);
        }
        self.commands += 1;
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        if !self.present {
            return Err(ChannelError::Removed);
        }
        self.card.reset();
        Ok(())
    }
}
