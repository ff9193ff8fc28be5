//! Memory images of cards of this release, one per shipped profile: every later release must power them on, find what
//! happened to them, and go on.
//!
//! `tests/fixtures/README.md` says what happened to each, and when they may be written anew.

use crate::applications::{self, KEY_CARD_INFO};
use crate::desk::{ASN, CITY, Desk, component, made};
use crate::money::{Holder, WALLETS, Wallet, selected};
use std::path::{Path, PathBuf};
use ykt_base::{CardChannel, StatusWord};
use ykt_issue::{ComponentData, Profile};
use ykt_purse::command;
use ykt_purse::component_card::{self, LABEL_SFI, PART_SFI};
use ykt_purse::files::city_factor;
use ykt_purse::key_card::{self, BeginCard, IssuedCard};
use ykt_purse::purchase::PurchaseKind;
use ykt_purse::write_key::Pin;

/// The release in which a profile came.
fn release(name: &str) -> &'static str {
    if name == "component-card" { "0.3" } else { "0.2" }
}

fn path(name: &str) -> PathBuf {
    let file = format!("tests/fixtures/release-{}/{name}.image", release(name));
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn kept(name: &str) -> Desk {
    Desk::of_image(std::fs::read(path(name)).unwrap())
}

/// What happened to the cards before they were kept: 50 yuan loaded and 1.50 paid from every purse, a ticket stored, a
/// card begun by the key card.
fn lived() -> Vec<(&'static str, Desk)> {
    let mut psams = ["psam", "t-union-psam"].map(|name| (name, selected(made(name))));
    let mut cards = Vec::new();
    for Wallet { name, aid, layout, sam, purses } in WALLETS {
        let (_, psam) = psams.iter_mut().find(|(name, _)| *name == sam).unwrap();
        let mut holder = Holder::of(made(name), aid, layout);
        for purse in purses {
            holder.desk.verify_pin();
            holder.load(*purse, 5_000);
            holder.pay(psam, PurchaseKind::Purchase(*purse), 150, &[]);
        }
        if name == "citizen" {
            applications::store_ticket(&mut holder.desk);
        }
        cards.push((name, holder.desk));
    }
    let mut keys = made("key-card");
    keys.select(&key_card::NAME);
    keys.verify_pin();
    let card = IssuedCard { card: ASN, city: city_factor(CITY), province: None };
    keys.ok(&BeginCard { card }.to_apdu());
    cards.push(("key-card", keys));
    cards.extend(psams);
    let mut component = made("component-card");
    component.select(&component_card::NAME);
    wrong_pin(&mut component);
    cards.push(("component-card", component));
    cards
}

/// Writes the images anew, when asked to: only before the release they belong to is out.
fn write_when_asked() {
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        for (name, desk) in lived().into_iter().filter(|(name, _)| release(name) == "0.3") {
            std::fs::write(path(name), &desk.card.memory().0).unwrap();
        }
    }
}

#[test]
fn images_of_this_release_live_on() {
    let mut psams = ["psam", "t-union-psam"].map(|name| (name, selected(kept(name))));
    // Three city cards have paid with the one, a transit card and a card of two purses with the other.
    assert!(psams.iter_mut().all(|(_, psam)| psam.read(0x18, 4) == [0, 0, 0, 3]));
    for Wallet { name, aid, layout, sam, purses } in WALLETS {
        let (_, psam) = psams.iter_mut().find(|(name, _)| *name == sam).unwrap();
        let mut holder = Holder::of(kept(name), aid, layout);
        holder.desk.verify_pin();
        for purse in purses {
            assert_eq!(holder.balance(*purse), 4_850, "{name}");
            let kind = PurchaseKind::Purchase(*purse);
            let proof = [0x80, 0x5A, 0x00, kind.transaction_type().code(), 0x02, 0x00, 0x01, 0x08];
            assert_eq!(holder.desk.ok(&proof).len(), 8, "{name}: the last purchase can be proven");
            holder.pay(psam, kind, 850, &[]);
            holder.load(*purse, 100);
            assert_eq!(holder.balance(*purse), 4_100, "{name}");
        }
        let before = u8::try_from(2 * purses.len() + 1).unwrap();
        let log = holder.desk.fine(&command::read_record(before, 0x18, 23));
        assert_eq!(log[5..9], 150_u32.to_be_bytes(), "{name}: the log goes back");
    }
    let mut citizen = kept("citizen");
    applications::holds_ticket(&mut citizen);
    applications::read_tracks(&mut citizen);
    applications::examine(&mut citizen);
    applications::sign(&mut citizen, "citizen");
    applications::sign(&mut kept("token"), "token");
    let mut keys = kept("key-card");
    keys.select(&key_card::NAME);
    assert_eq!(keys.ok(&KEY_CARD_INFO)[..4], [0, 0, 0, 1], "one card is left");
    keys.verify_pin();
    let card = IssuedCard { card: ASN, city: city_factor(CITY), province: None };
    assert_eq!(keys.ok(&BeginCard { card }.to_apdu()), [0, 0, 0, 1], "that card is under way");
    keys.reset().unwrap();
}

fn wrong_pin(card: &mut Desk) -> StatusWord {
    let wrong = Pin::from_digits("000000").unwrap();
    card.send(&command::verify(component_card::PIN_ID, &wrong)).unwrap().sw()
}

/// A component card that has seen one wrong PIN knows it still, shows its label to everybody, and gives its component
/// after the right PIN only.
#[test]
fn a_component_card_keeps_its_component() {
    write_when_asked();
    let mut card = kept("component-card");
    card.select(&component_card::NAME);
    let ComponentData { label, part } = component();
    assert_eq!(card.read(LABEL_SFI, 28), label.to_bytes());
    let read = command::read_binary(PART_SFI, 0, 40);
    assert_eq!(card.send(&read).unwrap().sw(), StatusWord::SECURITY_STATUS);
    assert_eq!(wrong_pin(&mut card), StatusWord(0x63C1), "one try was used before");
    assert_eq!(card.send(&read).unwrap().sw(), StatusWord::SECURITY_STATUS);
    card.verify_pin();
    assert_eq!(card.fine(&read), part.to_bytes().as_bytes());
    for command in [command::update_binary(LABEL_SFI, 0, &[1]), command::update_binary(PART_SFI, 0, &[1])] {
        assert!(!card.send(&command).unwrap().sw().is_ok(), "nobody writes to it again");
    }
    for expected in [0x63C2, 0x63C1, 0x63C0, 0x6983] {
        assert_eq!(wrong_pin(&mut card), StatusWord(expected));
    }
}

/// No profile is without its image.
#[test]
fn every_profile_has_an_image() {
    write_when_asked();
    for profile in Profile::shipped() {
        let image = std::fs::read(path(&profile.name)).unwrap();
        assert_eq!(image.len(), profile.memory_len, "{}", profile.name);
    }
}
