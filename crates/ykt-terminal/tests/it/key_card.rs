//! An operator makes the keys of user cards with a key card.

use crate::desk::{Hand, Memory, key_card};
use ykt_base::{Asn8, CardChannel, IssuerFactor, KeyVersion};
use ykt_card::{Blank, Card};
use ykt_crypto::{CardKey, Key16};
use ykt_purse::create::Access;
use ykt_purse::key_card::{IssueKind, IssuedCard, KeyOrder};
use ykt_purse::write_key::{ErrorCounter, KeyTarget, KeyUsage, Pin};
use ykt_terminal::card::PinError;
use ykt_terminal::key_card::{KeyCard, KeyCardError, NotAllowed};

fn hex<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    ykt_base::hex::decode_into(text, &mut bytes).unwrap();
    bytes
}

fn card(last: u8) -> IssuedCard {
    let mut asn = hex("1700010170907984");
    asn[7] = last;
    IssuedCard { card: Asn8(asn), city: IssuerFactor(hex("01011000FFFFFFFF")), province: None }
}

/// A blank user card with a key file in its MF.
fn blank() -> Hand {
    let transport = Key16::from_hex("57494E4E4552313233343536373839AA").unwrap();
    let mut hand =
        Hand::new(Card::blank(Memory::new(), &Blank::user_card([1; 8], &transport)).unwrap().into_memory());
    ok(&mut hand, "80E00000073F003001F0FFFF");
    hand
}

fn ok(channel: &mut impl CardChannel, apdu: &str) -> Vec<u8> {
    let mut bytes = vec![0; apdu.len() / 2];
    ykt_base::hex::decode_into(apdu, &mut bytes).unwrap();
    let answer = channel.transmit(&bytes).unwrap();
    assert!(answer.sw().is_ok(), "{apdu}: {}", answer.sw());
    answer.data().to_vec()
}

fn order(kind: IssueKind, target: KeyTarget) -> KeyOrder {
    KeyOrder {
        kind,
        version: KeyVersion(1),
        target,
        control_version: KeyVersion(1),
        use_right: Access::ALWAYS,
        follow_up: 0x0F,
        change_right: Access::ALWAYS,
        tries: ErrorCounter::THREE,
    }
}

const MASTER: KeyTarget = KeyTarget::Add { id: 0, usage: KeyUsage::ExternalAuthentication };

#[test]
fn a_card_gets_its_keys_and_is_counted_once() {
    let mut mother = KeyCard::open(Hand::new(key_card())).unwrap();
    let facts = mother.facts().unwrap();
    assert_eq!((facts.left, facts.keys.len()), (3, 10));
    mother.verify(&Pin::from_digits("123456").unwrap()).unwrap();
    assert_eq!(mother.begin(card(0x84)).unwrap(), 2);

    let mut user = blank();
    mother.load_key(&mut user, &order(IssueKind::CardMaster, MASTER)).unwrap();
    let challenge = ok(&mut user, "0084000008").try_into().unwrap();
    let master = CardKey::Tdes(Key16::from_bytes(hex("0B8F6028724AC41B47C159CDBD9AB7C8")));
    let proof = master.authenticate(challenge);
    assert!(user.transmit(&[&hex::<5>("0082000008")[..], &proof].concat()).unwrap().sw().is_ok());

    ok(&mut user, "80E03F011138060001EF95FFFFA00000000386980701");
    ok(&mut user, "00A40000023F01");
    ok(&mut user, "80E00000073F00F095F0FFFF");
    mother.load_key(&mut user, &order(IssueKind::ApplicationMaster, MASTER)).unwrap();
    let purchase = KeyTarget::Add { id: 1, usage: KeyUsage::Purchase };
    mother.load_key(&mut user, &order(IssueKind::Application(KeyUsage::Purchase), purchase)).unwrap();

    // The operator starts again: the same card costs nothing, the next one costs its own.
    assert_eq!(mother.begin(card(0x84)).unwrap(), 2);
    mother.end().unwrap();
    assert_eq!(mother.begin(card(0x85)).unwrap(), 1);
    let misnamed = mother.load_key(&mut user, &order(IssueKind::Application(KeyUsage::Load), purchase));
    assert!(matches!(misnamed, Err(KeyCardError::NotAllowed { .. })), "a purchase key is no load key");
}

#[test]
fn what_the_key_card_refuses_is_named() {
    let mut mother = KeyCard::open(Hand::new(key_card())).unwrap();
    let pin = Pin::from_digits("123456").unwrap();
    let wrong = mother.verify(&Pin::from_digits("654321").unwrap());
    assert!(matches!(wrong, Err(PinError::Wrong { left: 2 })));
    mother.verify(&pin).unwrap();
    let abroad = IssuedCard { city: IssuerFactor(hex("2144FF0000000000")), ..card(1) };
    let refused = mother.begin(abroad);
    assert!(
        matches!(refused, Err(KeyCardError::NotAllowed { what: NotAllowed::City(city) }) if city == abroad)
    );
    for (number, left) in [(1, 2), (2, 1), (3, 0)] {
        assert_eq!(mother.begin(card(number)).unwrap(), left);
    }
    assert!(matches!(mother.begin(card(4)), Err(KeyCardError::NoneLeft)));
    let unload = KeyTarget::Add { id: 1, usage: KeyUsage::Unload };
    let refused = mother.load_key(&mut blank(), &order(IssueKind::Application(KeyUsage::Unload), unload));
    assert!(matches!(refused, Err(KeyCardError::NotAllowed { what: NotAllowed::Key(_) })));
    for _ in 0..3 {
        let _ = mother.verify(&Pin::from_digits("654321").unwrap());
    }
    assert!(matches!(mother.verify(&pin), Err(PinError::Blocked)));
}
