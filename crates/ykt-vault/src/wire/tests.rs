//! Every message there and back; any bytes are a message or an error.

use super::codec::{decode, encode};
use super::*;
use crate::error::VaultError;
use crate::kind::{KeyKind, KeyState, Origin};
use crate::levels::{Factor, Level, Levels};
use crate::manage::{ImportedKey, KeyPlace, WrappedKey};
use crate::value::{KeyAlgorithm, KeyValue};
use crate::vault::*;
use proptest::prelude::*;
use std::borrow::Cow;
use ykt_base::{
    Asn8, CardCounter, DateTime, IssuerFactor, KeyVersion, Mac4, PsamSerial, Random4, TerminalId, TerminalSeq,
};
use ykt_crypto::sm::{CommandBytes, Padding};
use ykt_purse::create::{Access, Switches};
use ykt_purse::key_card::{KeyCardHeader, KeyCardUsage};
use ykt_purse::load::Load;
use ykt_purse::psam::SamUsage;
use ykt_purse::purchase::{Purchase, PurchaseKind};
use ykt_purse::write_key::{
    ErrorCounter, KeyForm, KeyHeader, KeyLayout as Family, KeyTarget, KeyUsage, Pin, SamKeyHeader,
};
use ykt_purse::{Algorithm, Purse, PurseFen};

const KEY: KeyRef = KeyRef::new(KeyKind::Tac, 1, 2);
const CARD: CardKeyRef = CardKeyRef { key: KEY, factor: IssuerFactor([1; 8]), asn: Asn8([2; 8]) };
const PLACE: KeyPlace = KeyPlace { key: KEY, level: 2, owner: Some([3; 8]) };
const IV: [u8; 8] = [4; 8];

fn at() -> DateTime {
    DateTime::from_number(20_261_122_093_015).unwrap()
}

fn fen(byte: u8) -> PurseFen {
    PurseFen::from_bytes([0, 0, 1, byte]).unwrap()
}

fn load() -> Load {
    Load { purse: Purse::Ep, amount: fen(2), terminal: TerminalId([5; 6]) }
}

fn info() -> KeyInfo {
    KeyInfo {
        key: KEY,
        level: "城市".to_owned(),
        depth: 1,
        owner: None,
        algorithm: KeyAlgorithm::Sm4,
        kcv: [6, 7, 8],
        state: KeyState::Retired,
        origin: Origin::Production,
    }
}

fn wrapped() -> WrappedKey {
    let (algorithm, state) = (KeyAlgorithm::Sm2, KeyState::Active);
    WrappedKey { place: PLACE, algorithm, state, kcv: [1; 3], transport_kcv: [2; 3], cryptogram: vec![9; 40] }
}

fn questions() -> Vec<Question<'static>> {
    let header = KeyHeader {
        version: KeyVersion(1),
        form: KeyForm::Key(Algorithm::TripleDes),
        usage: KeyUsage::Purchase,
        use_right: Access::ALWAYS,
        follow_up: 1,
        change_right: Access::NEVER,
        tries: ErrorCounter::THREE,
    };
    let pin_header = KeyHeader { form: KeyForm::Pin { len: 3 }, usage: KeyUsage::Pin, ..header };
    let sam = KeyAddress::Sam { key: KEY, serial: PsamSerial([7; 10]) };
    let pin = || message::New::Pin(Cow::Owned(Pin::from_digits("123456").unwrap()));
    let write = |new, layout| Question::WriteKey { control: sam, new, layout, iv: IV };
    let card = |family, target, header| KeyLayout::Card { family, target, header };
    let add = KeyTarget::Add { id: 1, usage: KeyUsage::Purchase };
    let change = KeyTarget::Change { id: 0, usage: KeyUsage::Pin };
    let working = message::New::Working { key: KEY, factor: IssuerFactor([8; 8]) };
    let version = KeyVersion(3);
    let sam_header = SamKeyHeader { usage: SamUsage::MASTER, version, algorithm: Algorithm::Sm4 };
    let key_card = KeyCardHeader { usage: KeyCardUsage::Pin, version, form: KeyForm::Pin { len: 6 } };
    let session = LoadSession { key: CARD, random: Random4([1; 4]), counter: CardCounter(300) };
    let (purchase, terminal) = (PurchaseKind::Purchase(Purse::Ed), TerminalId([9; 6]));
    let receipts =
        [purchase, PurchaseKind::CashWithdraw, PurchaseKind::Composite].map(|kind| Receipt::Purchase {
            purchase: Purchase { kind, amount: fen(1), terminal },
            sequence: TerminalSeq(70_000),
            at: at(),
        });
    let loaded = Receipt::Load { load: load(), new_balance: fen(9), counter: CardCounter(1), at: at() };
    let jobs = receipts.into_iter().chain([loaded]);
    let jobs: Vec<_> = jobs.map(|receipt| TacJob { key: CARD, receipt, tac: Mac4([1, 2, 3, 4]) }).collect();
    let switches = Switches { load_needs_pin: true, key_layout: Family::Fmcos, ..Switches::default() };
    let preset = PresetJob {
        factory: KEY,
        transport: KEY,
        serial: [1; 8],
        operator: [2; 2],
        system: [3; 2],
        mf_create: Access::STATE_1,
        mf_switches: switches,
        iv: IV,
    };
    let message = |secrecy| Question::SecureMessage {
        key: KeyAddress::Shared(KEY),
        iv: IV,
        header: [4, 0xD6, 0, 0],
        data: Cow::Owned(vec![1; 20]),
        secrecy,
    };
    vec![
        Question::Status,
        Question::Capabilities,
        Question::List,
        Question::Kcv(KeyAddress::Card(CARD)),
        write(message::New::Own(sam), card(Family::SourceDocuments, add, header)),
        write(pin(), card(Family::NineByte, change, pin_header)),
        write(working, KeyLayout::Sam { header: sam_header }),
        write(pin(), KeyLayout::KeyCard { header: key_card }),
        Question::Preset(preset),
        Question::ExternalAuthenticate { key: sam, challenge: IV },
        Question::SmMac { key: sam, iv: IV, data: Cow::Owned(Vec::new()) },
        message(Secrecy::Clear),
        message(Secrecy::Enciphered(Padding::IfNeeded)),
        message(Secrecy::Enciphered(Padding::Always)),
        Question::CheckLoadMac1 { session, load: load(), balance: fen(3), mac1: Mac4([1; 4]) },
        Question::LoadMac2 { session, load: load(), at: at() },
        Question::VerifyTacs(Cow::Owned(jobs)),
        Question::Wrap { place: PLACE, transport: KEY },
    ]
}

fn orders() -> Vec<Order> {
    let import = |algorithm: KeyAlgorithm| {
        let value = KeyValue::from_bytes(algorithm, &vec![0x11; algorithm.value_len()]).unwrap();
        Order::Import(ImportedKey { place: PLACE, state: KeyState::Active, value, kcv: Some([1; 3]) })
    };
    let mut orders: Vec<_> = KeyAlgorithm::ALL.into_iter().map(import).collect();
    orders.extend([
        Order::Generate { place: KeyPlace::root(KEY), algorithm: KeyAlgorithm::Aes256 },
        Order::DeriveRoot { seed: KEY, key: KEY },
        Order::ChangeState { place: PLACE, to: KeyState::Destroyed },
        Order::ImportWrapped { wrapped: wrapped(), transport: KEY },
        Order::ImportAllWrapped { wrapped: vec![wrapped(), wrapped()], transport: KEY },
        Order::ImportAllWrapped { wrapped: Vec::new(), transport: KEY },
    ]);
    orders
}

/// One of each, so that each field arrives where it belongs.
fn errors() -> Vec<VaultError> {
    let text = |text: &str| text.to_owned();
    let (key, state) = (KEY, KeyState::Generated);
    let (expected, found) = (text("3E"), text("3F"));
    vec![
        VaultError::NoSuchKey { key },
        VaultError::WrongState { key, state },
        VaultError::WrongHolder { key },
        VaultError::HeaderMismatch { key, what: "the usage", expected, found },
        VaultError::NotThatKind { expected: "a key", found: "a PIN" },
        VaultError::TooLong { len: 250 },
        VaultError::AlreadyThere { key },
        VaultError::NoSuchStep { key, from: state, to: KeyState::Retired },
        VaultError::NoSuchLevel { key, level: 3, reason: "a root key has no owner" },
        VaultError::Unavailable { backend: text("software"), reason: text("the disk is full") },
        VaultError::Locked,
        VaultError::NotAllowed { reason: text("two officers") },
        VaultError::Unsupported { backend: text("PKCS#11"), what: text("sm2") },
        VaultError::WrongKcv { key, expected: [1; 3], found: [2; 3] },
    ]
}

fn answers() -> Vec<Answer> {
    let level = |name: &str, factor| Level { name: name.to_owned(), factor };
    let factors = [
        ("nation", Factor::Root),
        ("province", Factor::Fixed(IssuerFactor([0x31; 8]))),
        ("city", Factor::Issuer),
        ("card", Factor::Card),
    ];
    let levels = Levels::new(factors.map(|(name, factor)| level(name, factor)).to_vec()).unwrap();
    let status = |health| VaultStatus {
        backend: "software",
        version: "0.3.0".to_owned(),
        origin: Origin::Demo,
        levels: levels.clone(),
        keys: 12,
        health,
    };
    let verdicts = [TacVerdict::Right, TacVerdict::Wrong, TacVerdict::UnknownKeyVersion];
    let mut answers: Vec<_> = errors().into_iter().map(Answer::Refused).collect();
    answers.extend([
        Answer::NotUnderstood("byte 7".to_owned()),
        Answer::Begun([1; 16]),
        Answer::Status(status(Health::Ready)),
        Answer::Status(status(Health::Locked)),
        Answer::Status(status(Health::Gone { reason: "unplugged".to_owned() })),
        Answer::Capabilities(KeyAlgorithm::ALL.to_vec()),
        Answer::List(vec![info(), info()]),
        Answer::Key(info()),
        Answer::Kcv([1, 2, 3]),
        Answer::Command(CommandBytes::from_parts(&[&[0x84, 0xD4, 0, 0, 0]]).unwrap()),
        Answer::Block([8; 8]),
        Answer::Mac(Mac4([4; 4])),
        Answer::Verdict(MacVerdict::Right),
        Answer::Verdict(MacVerdict::Wrong),
        Answer::Verdicts(verdicts.to_vec()),
        Answer::Wrapped(wrapped()),
        Answer::Done,
        Answer::RefusedAt(70_000, VaultError::Locked),
    ]);
    answers
}

fn messages() -> Vec<Message<'static>> {
    let id = |number| OrderId { sender: [7; 16], number };
    let asked = questions().into_iter().map(Message::Ask);
    let ordered = (1..).zip(orders()).map(|(number, order)| Message::Manage(id(number), order));
    [Message::Begin].into_iter().chain(asked).chain(ordered).collect()
}

/// Each as bytes; the first byte after that of the message says which of its list.
fn forms<T: codec::Wire>(values: Vec<T>) -> Vec<Vec<u8>> {
    values.iter().map(|value| encode(value).as_bytes().to_vec()).collect()
}

/// These bytes are the message they were made of: read and written they are the same.
fn comes_back<T: codec::Wire>(bytes: &[u8]) -> bool {
    decode::<T>(bytes).is_ok_and(|value| encode(&value).as_bytes() == bytes)
}

#[test]
fn every_message_and_answer_comes_back() {
    for form in forms(messages()) {
        assert!(comes_back::<Message<'_>>(&form), "{form:02X?}");
    }
    for form in forms(answers()) {
        assert!(comes_back::<Answer>(&form), "{form:02X?}");
    }
    for error in errors() {
        let Answer::Refused(found) = decode(encode(&Answer::Refused(error.clone())).as_bytes()).unwrap()
        else {
            panic!("{error} is another answer")
        };
        assert_eq!(found, error);
    }
}

/// The lists are complete: each number is written by an example, and the next one is refused.
#[test]
fn every_number_of_the_lists_is_spoken() {
    let numbers = |forms: &[Vec<u8>], at: usize| {
        let mut numbers: Vec<_> = forms.iter().map(|form| form[at]).collect();
        numbers.dedup();
        numbers
    };
    let questions: Vec<_> = forms(questions());
    let orders = forms(orders());
    let answers = forms(answers());
    let up_to = |last: u8| (0..=last).collect::<Vec<_>>();
    assert_eq!(numbers(&questions, 0), up_to(12));
    assert_eq!(numbers(&answers, 0), up_to(15));
    assert_eq!(numbers(&answers[..errors().len()], 1), up_to(13));
    let mut numbers = numbers(&orders, 0);
    numbers.sort_unstable();
    assert_eq!(numbers, up_to(5));
    assert!(decode::<Question<'_>>(&[13]).is_err() && decode::<Order>(&[6]).is_err());
    assert!(decode::<Answer>(&[16]).is_err() && decode::<VaultError>(&[14]).is_err());
}

#[test]
fn a_message_cut_anywhere_is_refused() {
    for form in forms(messages()) {
        for len in 0..form.len() {
            assert!(decode::<Message<'_>>(&form[..len]).is_err(), "{len} of {form:02X?}");
        }
        let longer = [form.as_slice(), &[0]].concat();
        assert!(decode::<Message<'_>>(&longer).is_err(), "one byte more than {form:02X?}");
    }
}

#[test]
fn a_frame_of_another_version_cut_or_too_long_is_refused() {
    let frame = Frame::of(&Message::Ask(Question::List));
    let mut bytes = frame.as_bytes().to_vec();
    let read = |mut bytes: &[u8], len_max| read::<Message<'_>>(&mut bytes, len_max);
    assert!(matches!(read(&bytes, 2), Ok(Some(Message::Ask(Question::List)))));
    assert!(frame.fits(2) && !frame.fits(1));
    assert!(matches!(read(&bytes, 1), Err(FrameError::Length { found: 2, max: 1 })));
    assert!(matches!(read(&[], 2), Ok(None)));
    for len in 1..bytes.len() {
        assert!(matches!(read(&bytes[..len], 2), Err(FrameError::CutOff)), "{len} bytes");
    }
    bytes[4] = VERSION + 1;
    assert!(matches!(read(&bytes, 2), Err(FrameError::Version { found }) if found == VERSION + 1));
}

proptest! {
    /// Any bytes, and any change of a good message: an error, or a message that is written the same way.
    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode::<Message<'_>>(&bytes).is_err() || comes_back::<Message<'_>>(&bytes));
        prop_assert!(decode::<Answer>(&bytes).is_err() || comes_back::<Answer>(&bytes));
    }

    #[test]
    fn a_changed_message_is_another_one_or_an_error(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (asked, answered) = (forms(messages()), forms(answers()));
        let changed = |forms: &[Vec<u8>]| {
            let mut bytes = which.get(forms).clone();
            for (at, byte) in &changes {
                *at.get_mut(&mut bytes) = *byte;
            }
            bytes
        };
        let (asked, answered) = (changed(&asked), changed(&answered));
        prop_assert!(decode::<Message<'_>>(&asked).is_err() || comes_back::<Message<'_>>(&asked));
        prop_assert!(decode::<Answer>(&answered).is_err() || comes_back::<Answer>(&answered));
    }
}
