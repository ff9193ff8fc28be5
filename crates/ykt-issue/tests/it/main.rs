//! Blank chips of the card system become cards of every profile, by commands only.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at what it did not expect")]

mod applications;
mod desk;
mod download;
mod failures;
mod fixtures;
mod mistakes;
mod money;

use desk::{Desk, card_data, made, personalise, psam_data, vault};
use std::fmt::Write;
use std::path::Path;
use ykt_base::{CardChannel, StatusWord};
use ykt_card::{CardKind, IMAGE_LEN_CITIZEN};
use ykt_issue::profile::SHIPPED;
use ykt_issue::{Profile, Progress, personalise_card};
use ykt_purse::command;
use ykt_purse::files::{
    CITY_AID, PublicData, PublicDataLayout, SAM_APPLICATION_FID, SamApplicationData, SamCardData,
};
use ykt_purse::hard_info::{HardInfo, LifeCycle};

/// What the documentation says of profiles.
pub const DOCUMENT: &str = include_str!("../../../../docs/profiles.md");

/// A number below a million as people write it.
fn thousands(number: usize) -> String {
    match number / 1_000 {
        0 => number.to_string(),
        thousands => format!("{thousands},{:03}", number % 1_000),
    }
}

#[test]
fn shipped_profiles_are_read_and_found_by_name() {
    for ((name, _), profile) in SHIPPED.iter().zip(Profile::shipped()) {
        assert_eq!((&*profile.name, Profile::named(name).unwrap().name), (*name, profile.name.clone()));
    }
    assert!(Profile::named("none").is_none());
    for (profile, atr) in [
        ("city-cpu", ykt_card::ATR_USER_CARD),
        ("psam", ykt_card::ATR_PSAM),
        ("key-card", ykt_card::ATR_KEY_CARD),
    ] {
        assert_eq!(Profile::named(profile).unwrap().atr, atr);
    }
}

/// Every profile makes its card, tells each step, and leaves the card personalised.
#[test]
fn every_profile_fits_its_image() {
    let vault = vault();
    for profile in Profile::shipped() {
        let mut desk = Desk::blank(&profile);
        let mut titles = Vec::new();
        let commands = personalise(&mut desk, &vault, &profile, &mut |step| {
            assert_eq!((step.number, step.of), (titles.len() + 1, profile.steps_len()));
            titles.push(step.title.to_owned());
        });
        let commands = commands.unwrap_or_else(|error| panic!("{}: {error}", profile.name));
        assert_eq!(titles.len(), profile.steps_len());
        assert!(commands > profile.steps_len(), "challenges come between");
        let (used, all) = desk.used();
        println!("image of {}: {used} of {all} bytes, {commands} commands", profile.name);
        assert!(used <= all && all <= IMAGE_LEN_CITIZEN);
        let row = format!("| `{}` |", profile.name);
        let row = DOCUMENT.lines().find(|line| line.starts_with(&row)).unwrap();
        assert!(row.contains(&format!("{} of {}", thousands(used), thousands(all))), "{row}");
        let info = HardInfo::from_bytes(&desk.ok(&[0x80, 0xF6, 0, 0, 0x16])).unwrap();
        assert_eq!(info.life_cycle, LifeCycle::Personalised, "{}", profile.name);
        assert_eq!(info.operator, profile.preset.map_or([0; 2], |preset| preset.operator));
    }
}

/// Every personalisation command in its bytes: a card engineer's reading matter, and what terminals' tests make
/// their cards of. After a change of profile or protocol `UPDATE_DIALOGUES=1` writes the files anew.
#[test]
fn dialogues_are_as_recorded() {
    let vault = vault();
    let check = |name: &str, profile: &Profile, number: Option<u8>| {
        let mut data = card_data();
        data.asn.0[7] = number.unwrap_or(data.asn.0[7]);
        let mut desk = Desk::blank(profile);
        let dialogue = desk.dialogue.clone();
        let tell = &mut |step: Progress<'_>| writeln!(dialogue.borrow_mut(), "# {}", step.title).unwrap();
        match number {
            Some(_) => personalise_card(&mut desk, &vault, profile, &data, tell),
            None => personalise(&mut desk, &vault, profile, tell),
        }
        .unwrap();
        let dialogue = dialogue.take();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues").join(name);
        if std::env::var_os("UPDATE_DIALOGUES").is_some() {
            std::fs::write(&path, &dialogue).unwrap();
        }
        assert_eq!(dialogue, std::fs::read_to_string(&path).unwrap(), "{name}");
    };
    let city = Profile::city_cpu();
    check("city-card-1.txt", &city, Some(1));
    check("city-card-2.txt", &city, Some(2));
    for name in ["psam", "pboc-ed-ep", "t-union", "key-card"] {
        check(&format!("{name}.txt"), &Profile::named(name).unwrap(), None);
    }
}

#[test]
fn a_blank_card_becomes_a_city_card() {
    let mut desk = made("city-cpu");
    let fci = desk.select(&CITY_AID);
    let public = PublicData::from_bytes(PublicDataLayout::City, &desk.read(0x15, 30)).unwrap();
    assert_eq!(public.asn, card_data().asn);
    assert!(public.usable_on(desk::day("20261122")));
    assert!(fci.windows(8).any(|part| part == public.asn.0), "the FCI shows the public data");
    assert_eq!(desk.read(0x16, 39)[..22], [0; 22]);
    assert_eq!(desk.fine(&command::balance(ykt_purse::Purse::Ep)), [0; 4]);
    desk.verify_pin();
    let public_again = desk.send(&command::update_binary(0x15, 0, &[0; 30])).unwrap();
    assert!(!public_again.sw().is_ok(), "nobody writes the public data without its key");
}

#[test]
fn a_blank_psam_becomes_a_terminals() {
    let mut desk = made("psam");
    let data = psam_data(PublicDataLayout::City);
    assert_eq!(SamCardData::from_bytes(&desk.read(0x15, 14)).unwrap().serial, data.serial);
    assert_eq!(desk.read(0x16, 6), data.terminal.0);
    desk.fine(&command::select_file(&SAM_APPLICATION_FID));
    let application = SamApplicationData::from_bytes(&desk.read(0x17, 25)).unwrap();
    assert_eq!(application.issuer.to_string(), "2144FF0000000000");
    assert_eq!(desk.read(0x18, 4), [0; 4]);
    let rewritten = desk.send(&command::update_binary(0x18, 0, &[0; 4])).unwrap();
    assert!(!rewritten.sw().is_ok(), "the terminal sequence is the PSAM's own");
    let mut t_union = made("t-union-psam");
    t_union.select(b"\xA0\x00\x00\x06\x32MOT.CPSAM01");
    let application = SamApplicationData::from_bytes(&t_union.read(0x17, 25)).unwrap();
    assert_eq!(application.issuer.to_string(), "01012144FFFFFFFF");
}

/// A chip that an operator has preset answers to the operator's key only, and cannot be preset again.
#[test]
fn a_preset_chip_is_the_operators() {
    let profile = Profile::named("citizen").unwrap();
    assert_eq!(profile.kind, CardKind::User);
    let mut desk = Desk::blank(&profile);
    let short = Profile { steps: Vec::new(), ..profile.clone() };
    personalise(&mut desk, &vault(), &short, &mut |_| {}).unwrap();
    let info = HardInfo::from_bytes(&desk.ok(&[0x80, 0xF6, 0, 0, 0x16])).unwrap();
    assert_eq!((info.life_cycle, info.serial), (LifeCycle::Blank, card_data().asn.0));
    let again = personalise(&mut desk, &vault(), &short, &mut |_| {}).unwrap_err();
    assert!(again.to_string().contains("step 1 (preset of the operator)"), "{again}");
    assert!(again.to_string().contains("found 6988"), "{again}");
    let rest = Profile { preset: None, ..profile };
    personalise(&mut desk, &vault(), &rest, &mut |_| {}).unwrap();
    assert_eq!(desk.transmit(&[0x00, 0xA4, 0, 0, 0]).unwrap().sw(), StatusWord::OK);
}
