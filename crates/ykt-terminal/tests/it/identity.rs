//! A reader examines identity cards: genuine ones, and every way in which one is not.

use crate::desk::{Hand, Memory, Seeded, identity_card};
use ykt_base::{Asn8, CardChannel, Date, IssuerFactor};
use ykt_card::{ArrayMemory, Blank, Card, IMAGE_LEN_CITIZEN, Memory as _};
use ykt_crypto::sm2::{PrivateKey, PublicKey};
use ykt_crypto::{CardKey, Key16};
use ykt_purse::create::{Access, AccessByte, CreateFile, NewFile, Protection, Structure, Switches};
use ykt_purse::identity::{
    DataGroup, KEY_SFI, NAME, PHOTO_LEN_MAX, SIGNED_OBJECT_SFI, SignedObject, group_hash,
};
use ykt_purse::token::{PinPolicy, Purpose};
use ykt_purse::write_key::Pin;
use ykt_terminal::card::PinError;
use ykt_terminal::identity::{Credentials, Fault, IdentityError, Inquiry, Report, examine};
use ykt_terminal::transport::in_process::InProcess;

const ISSUER: IssuerFactor = IssuerFactor([0x21, 0x44, 0xFF, 0, 0, 0, 0, 0]);

fn issuer() -> PrivateKey {
    let bytes = [[0x12, 0x34, 0x56, 0x78, 0x90, 0xAB, 0xCD, 0xEF]; 4].concat();
    PrivateKey::from_bytes(&bytes.try_into().unwrap()).unwrap()
}

fn today() -> Date {
    Date::new(2026, 5, 1).unwrap()
}

/// What a reader with PIN and reader key asks.
struct Asking {
    issuers: Vec<(IssuerFactor, PublicKey)>,
    pin: Option<Pin>,
    reader_key: Option<(u8, CardKey)>,
    context: Vec<u8>,
    today: Date,
}

impl Asking {
    fn new() -> Asking {
        Asking {
            issuers: vec![(ISSUER, issuer().public_key())],
            pin: Pin::from_digits("123456"),
            reader_key: Some((1, CardKey::from_hex("404142434445464748494A4B4C4D4E4F").unwrap())),
            context: b"gate 3".to_vec(),
            today: today(),
        }
    }

    fn examine(&self, card: &mut impl CardChannel) -> Result<Report, IdentityError> {
        let reader_key = self.reader_key.as_ref().map(|(id, key)| (*id, key));
        let inquiry = Inquiry {
            issuers: &self.issuers,
            credentials: Credentials { pin: self.pin.as_ref(), reader_key },
            context: &self.context,
            today: self.today,
        };
        examine(card, &inquiry, &mut Seeded(5))
    }

    fn faults(&self, memory: &Memory) -> Vec<Fault> {
        self.examine(&mut Hand::new(memory.clone())).unwrap().faults
    }
}

#[test]
fn a_genuine_card_says_who_it_is() {
    let report = Asking::new().examine(&mut Hand::new(identity_card())).unwrap();
    assert!(report.is_genuine() && report.withheld.is_empty(), "{:?}", report.faults);
    assert_eq!(report.group(DataGroup::Name), Some("张三".as_bytes()));
    assert_eq!(report.group(DataGroup::IdNumber), Some(&b"110101199003078515"[..]));
    assert_eq!(report.group(DataGroup::Address), Some("北京市东城区".as_bytes()));
    assert_eq!(report.group(DataGroup::Photo).map(<[u8]>::len), Some(600));
    assert_eq!(report.object.unwrap().card, Asn8([0x21, 0x44, 0, 0, 0, 0, 0, 1]));
}

#[test]
fn a_card_keeps_to_itself_what_it_is_not_asked_rightly_for() {
    let withheld = |asking: &Asking| {
        let report = asking.examine(&mut Hand::new(identity_card())).unwrap();
        assert!(report.is_genuine(), "{:?}", report.faults);
        report.withheld
    };
    let nothing = Asking { pin: None, reader_key: None, ..Asking::new() };
    assert_eq!(withheld(&nothing), [DataGroup::IdNumber, DataGroup::Address, DataGroup::Photo]);
    assert_eq!(withheld(&Asking { reader_key: None, ..Asking::new() }), [DataGroup::Address]);
    assert_eq!(withheld(&Asking { pin: None, ..Asking::new() }), []);

    let mut card = Hand::new(identity_card());
    let wrong = Asking { pin: Pin::from_digits("654321"), ..Asking::new() };
    for left in [2, 1, 0] {
        assert_eq!(wrong.examine(&mut card), Err(IdentityError::Pin(PinError::Wrong { left })));
    }
    assert_eq!(wrong.examine(&mut card), Err(IdentityError::Pin(PinError::Blocked)));
    let stranger =
        Asking { reader_key: Some((1, CardKey::Tdes(Key16::from_bytes([1; 16])))), ..Asking::new() };
    let refused = stranger.examine(&mut Hand::new(identity_card()));
    assert!(matches!(refused, Err(IdentityError::ReaderRefused { .. })));
    let chatty = Asking { context: vec![0; 33], ..Asking::new() };
    let refused = chatty.examine(&mut Hand::new(identity_card()));
    assert_eq!(refused, Err(IdentityError::Context { found: 33 }));
}

/// Where `bytes` stand in the memory, for hands that know how to change a chip.
fn place(memory: &Memory, bytes: &[u8]) -> usize {
    memory.image().windows(bytes.len()).position(|part| part == bytes).unwrap()
}

/// The card with other bytes at the place of `there`.
fn forged(there: &[u8], other: &[u8]) -> Memory {
    let mut memory = identity_card();
    let at = place(&memory, there);
    memory.write(at, other).unwrap();
    memory
}

/// The card's signed object, changed and signed by the issuer again.
fn signed_again(change: impl FnOnce(&mut SignedObject)) -> Memory {
    let mut memory = identity_card();
    let mut object = Asking::new().examine(&mut Hand::new(memory.clone())).unwrap().object.unwrap();
    let at = place(&memory, &object.sign(&issuer(), &mut Seeded(1))[..90]) - 2;
    change(&mut object);
    let bytes = object.sign(&issuer(), &mut Seeded(1));
    let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    memory.write(at, &[&len, bytes.as_bytes()].concat()).unwrap();
    memory
}

#[test]
fn each_fault_has_its_name() {
    let asking = Asking::new();
    let genuine = identity_card();
    let object = asking.examine(&mut Hand::new(genuine.clone())).unwrap().object.unwrap();

    assert_eq!(
        asking.faults(&forged("张三".as_bytes(), "李四".as_bytes())),
        [Fault::Altered(DataGroup::Name)]
    );
    let too_long = forged(&[0x00, 0x12, b'1', b'1', b'0', b'1'], &[0x01, 0x12]);
    assert_eq!(asking.faults(&too_long), [Fault::Altered(DataGroup::IdNumber)], "longer than its file");
    let photo = forged(&[0x02, 0x58, 11, 48, 85], &[0x02, 0x58, 11, 48, 86]);
    assert_eq!(asking.faults(&photo), [Fault::Altered(DataGroup::Photo)]);
    let renamed = forged(&[0x07, 0x00, 0x05, 0xA8], &[0x07, 0x00, 0x0E]);
    assert_eq!(asking.faults(&renamed), [Fault::Missing(DataGroup::Address)]);

    // Another card with the same files: its key is another one.
    let mut copy = genuine.clone();
    let private = place(&copy, object.public.as_bytes()) - 32;
    copy.write(private, &[0x11; 32]).unwrap();
    assert_eq!(asking.faults(&copy), [Fault::NotTheCard]);

    let nobody = Asking { issuers: Vec::new(), ..Asking::new() };
    assert_eq!(nobody.faults(&genuine), [Fault::UnknownIssuer(ISSUER)]);
    let other = Asking { issuers: vec![(ISSUER, object.public)], ..Asking::new() };
    assert_eq!(other.faults(&genuine), [Fault::NotSigned]);
    let late = Asking { today: Date::new(2034, 1, 31).unwrap(), ..Asking::new() };
    assert!(matches!(late.faults(&genuine)[..], [Fault::OutOfDate { .. }]));

    assert_eq!(asking.faults(&signed_again(|_| {})), []);
    let unsigned = signed_again(|object| object.hashes[4] = None);
    assert_eq!(asking.faults(&unsigned), [Fault::Foreign(DataGroup::Address)]);
    let promised = signed_again(|object| object.hashes[5] = Some(group_hash(b"another face")));
    assert_eq!(asking.faults(&promised), [Fault::Altered(DataGroup::Photo)]);
    let of_another_card = signed_again(|object| object.public = issuer().public_key());
    assert_eq!(asking.faults(&of_another_card), [Fault::NotTheCard]);

    let at = place(&genuine, &object.sign(&issuer(), &mut Seeded(1))[..90]);
    let mut broken = genuine.clone();
    broken.write(at, &[0x02]).unwrap();
    assert_eq!(asking.faults(&broken), [Fault::NoSignedObject], "another version");
}

type Citizen = InProcess<ArrayMemory<IMAGE_LEN_CITIZEN>, Seeded>;

fn ok(card: &mut Citizen, command: &[u8]) -> Vec<u8> {
    let answer = card.transmit(command).unwrap();
    assert!(answer.sw().is_ok(), "{command:02X?}: {}", answer.sw());
    answer.data().to_vec()
}

fn file(card: &mut Citizen, sfi: u8, content: &[u8]) {
    let stored = [&u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat();
    let new = NewFile::Data {
        structure: Structure::Binary { size: u16::try_from(stored.len()).unwrap() },
        protection: Protection::Plain,
        read: Access::ALWAYS,
        write: Access::ALWAYS,
        access: AccessByte::KEY_0,
    };
    ok(card, &CreateFile { fid: [0, sfi], file: new }.to_apdu());
    ok(card, &[0x00, 0xA4, 0x02, 0x00, 0x02, 0x00, sfi]);
    for (at, block) in (0u16..).step_by(250).zip(stored.chunks(250)) {
        let [high, low] = at.to_be_bytes();
        ok(card, &[&[0x00, 0xD6, high, low, u8::try_from(block.len()).unwrap()], block].concat());
    }
}

/// The largest photo on a card of 32 KiB.
#[test]
fn a_photo_of_sixteen_kib_is_read_and_believed() {
    let key = Key16::from_bytes([9; 16]);
    let blank = Blank { mf_create: Access::ALWAYS, ..Blank::user_card([1; 8], &key) };
    let mut card = InProcess::new(Card::blank(ArrayMemory::new(), &blank).unwrap(), Seeded(3));
    let application = NewFile::Application {
        size: 18 * 1024,
        create: Access::ALWAYS,
        erase: Access::NEVER,
        app_id: 0,
        switches: Switches::default(),
        name: &NAME,
    };
    ok(&mut card, &CreateFile { fid: [0xDF, 0x03], file: application }.to_apdu());
    ok(&mut card, &[0x00, 0xA4, 0x00, 0x00, 0x02, 0xDF, 0x03]);
    let pair = NewFile::KeyPair {
        purpose: Purpose::Authenticate,
        pin: PinPolicy::Never,
        sign: Access::ALWAYS,
        generate: Access::ALWAYS,
    };
    ok(&mut card, &CreateFile { fid: [0, KEY_SFI], file: pair }.to_apdu());
    let public = ok(&mut card, &[0x00, 0x46, 0x80, KEY_SFI]);
    let photo: Vec<u8> = (0..PHOTO_LEN_MAX).map(|at| (at * 7 + at / 256) as u8).collect();
    file(&mut card, DataGroup::Photo.number(), &photo);
    let mut object = SignedObject {
        issuer: ISSUER,
        card: Asn8([7; 8]),
        start: today(),
        expiry: today(),
        public: PublicKey::from_bytes(public.try_into().unwrap()).unwrap(),
        hashes: [None; 6],
    };
    object.hashes[5] = Some(group_hash(&photo));
    file(&mut card, SIGNED_OBJECT_SFI, &object.sign(&issuer(), &mut Seeded(4)));

    let asking = Asking { pin: None, reader_key: None, ..Asking::new() };
    let report = asking.examine(&mut card).unwrap();
    assert_eq!((report.faults, report.groups), (Vec::new(), vec![(DataGroup::Photo, photo)]));
}
