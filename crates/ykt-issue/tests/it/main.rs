//! Blank chips of the card system become city cards and PSAMs, by commands only.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at what it did not expect")]

use std::fmt::Write;
use std::path::Path;
use ykt_base::hex::Hex;
use ykt_base::{CardChannel, ChannelError, Date, PsamSerial, Response, Rng, StatusWord, TerminalId};
use ykt_card::{ArrayMemory, Blank, Card, CardKind, IMAGE_LEN_DEMO};
use ykt_crypto::Key16;
use ykt_issue::{CardData, IssueError, Profile, PsamData, personalise_card, personalise_psam};
use ykt_purse::command;
use ykt_purse::files::{
    CITY_AID, PublicData, PublicDataLayout, SAM_APPLICATION_FID, SamApplicationData, SamCardData,
};
use ykt_purse::write_key::Pin;
use ykt_vault::{DEMO_TRANSPORT_KEY, KeysFile, Levels, Origin, SoftVault};

/// A counter: different bytes for every card, the same in every run.
struct Counting(u64);

impl Rng for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

/// A card on the desk.
struct Desk {
    card: Card<ArrayMemory<IMAGE_LEN_DEMO>>,
    rng: Counting,
    /// Commands after which the card is taken away.
    pulled_after: Option<usize>,
    /// Commands and answers so far, as a dialogue file writes them.
    dialogue: String,
}

impl Desk {
    fn blank(profile: &Profile, transport: [u8; 16]) -> Desk {
        let transport = Key16::from_bytes(transport);
        let blank = Blank {
            kind: profile.kind,
            atr: &profile.atr,
            ..Blank::user_card([0, 0, 0, 0, 0, 0, 0, 7], &transport)
        };
        let card = Card::blank(ArrayMemory::new(), &blank).unwrap();
        Desk { card, rng: Counting(1), pulled_after: None, dialogue: String::new() }
    }

    fn read(&mut self, sfi: u8, len: u16) -> Vec<u8> {
        let answer = self.send(&command::read_binary(sfi, 0, len)).unwrap();
        assert_eq!(answer.sw(), StatusWord::OK);
        answer.data().to_vec()
    }
}

impl CardChannel for Desk {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        match &mut self.pulled_after {
            Some(0) => return Err(ChannelError::Removed),
            Some(left) => *left -= 1,
            None => {}
        }
        let answer = self.card.process(&mut self.rng, command);
        writeln!(self.dialogue, "> {}\n< {}", Hex(command), Hex(answer.as_bytes())).unwrap();
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        self.card.reset();
        Ok(())
    }
}

fn vault() -> SoftVault {
    SoftVault::generate(Levels::nation_city_card(), &mut Counting(42), Origin::Demo)
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn card_data() -> CardData {
    let asn = "2144000000000017".parse().unwrap();
    let pin = Pin::from_digits("123456").unwrap();
    CardData::of_city(asn, [0x21, 0x44], day("20260101"), day("20361231"), pin)
}

fn psam_data() -> PsamData {
    let serial = PsamSerial([0, 0, 0x21, 0x44, 0, 0, 0, 0, 0, 9]);
    let terminal = TerminalId([0x21, 0x44, 0, 0, 0, 9]);
    PsamData::of_city(serial, terminal, [0x21, 0x44], day("20260101"), day("20361231"))
}

/// A vault of the keys that `docs/keys.toml` prints.
fn documented_keys() -> SoftVault {
    SoftVault::from_keys(KeysFile::parse(include_str!("../../../../docs/keys.toml")).unwrap()).unwrap()
}

/// Every personalisation command in its bytes: a card engineer's reading matter, and what terminals' tests make
/// their cards of. After a change of profile or protocol `UPDATE_DIALOGUES=1` writes the files anew.
#[test]
fn dialogues_are_as_recorded() {
    let vault = documented_keys();
    let check = |name: &str, profile: &Profile, work: &dyn Fn(&mut Desk)| {
        let mut desk = Desk::blank(profile, DEMO_TRANSPORT_KEY);
        work(&mut desk);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues").join(name);
        if std::env::var_os("UPDATE_DIALOGUES").is_some() {
            std::fs::write(&path, &desk.dialogue).unwrap();
        }
        assert_eq!(desk.dialogue, std::fs::read_to_string(&path).unwrap(), "{name}");
    };
    for number in [1, 2] {
        let mut data = card_data();
        data.asn.0[7] = number;
        let profile = Profile::city_cpu();
        check(&format!("city-card-{number}.txt"), &profile, &|desk| {
            personalise_card(desk, &vault, &profile, &data, &mut |_| {}).unwrap();
        });
    }
    let profile = Profile::psam();
    check("psam.txt", &profile, &|desk| {
        personalise_psam(desk, &vault, &profile, &psam_data(), &mut |_| {}).unwrap();
    });
}

#[test]
fn a_blank_card_becomes_a_city_card() {
    let profile = Profile::city_cpu();
    let mut desk = Desk::blank(&profile, DEMO_TRANSPORT_KEY);
    let mut titles = Vec::new();
    let commands = personalise_card(&mut desk, &vault(), &profile, &card_data(), &mut |step| {
        assert_eq!((step.number, step.of), (titles.len() + 1, profile.steps.len()));
        titles.push(step.title.to_owned());
    })
    .unwrap();
    assert!(commands > profile.steps.len(), "challenges come between");
    assert_eq!(titles.last().unwrap(), "write cardholder data");

    desk.reset().unwrap();
    let fci = desk.send(&command::select_name(&CITY_AID)).unwrap();
    assert_eq!(fci.sw(), StatusWord::OK);
    let public = PublicData::from_bytes(PublicDataLayout::City, &desk.read(0x15, 30)).unwrap();
    assert_eq!(public.asn, card_data().asn);
    assert!(public.usable_on(day("20261122")));
    assert!(fci.data().windows(8).any(|part| part == public.asn.0), "the FCI shows the public data");
    assert_eq!(desk.read(0x16, 39)[..22], [0; 22]);
    let balance = desk.send(&command::balance(ykt_purse::Purse::Ep)).unwrap();
    assert_eq!((balance.data(), balance.sw()), (&[0; 4][..], StatusWord::OK));
    let pin = Pin::from_digits("123456").unwrap();
    assert_eq!(desk.send(&command::verify(0, &pin)).unwrap().sw(), StatusWord::OK);
    let public_again = desk.send(&command::update_binary(0x15, 0, &[0; 30])).unwrap();
    assert!(!public_again.sw().is_ok(), "nobody writes the public data without its key");
}

#[test]
fn a_blank_psam_becomes_a_terminals() {
    let profile = Profile::psam();
    let mut desk = Desk::blank(&profile, DEMO_TRANSPORT_KEY);
    personalise_psam(&mut desk, &vault(), &profile, &psam_data(), &mut |_| {}).unwrap();
    desk.reset().unwrap();
    assert_eq!(SamCardData::from_bytes(&desk.read(0x15, 14)).unwrap().serial, psam_data().serial);
    assert_eq!(desk.read(0x16, 6), psam_data().terminal.0);
    assert!(desk.send(&command::select_file(&SAM_APPLICATION_FID)).unwrap().sw().is_ok());
    let application = SamApplicationData::from_bytes(&desk.read(0x17, 25)).unwrap();
    assert_eq!(application.issuer.to_string(), "2144FF0000000000");
    assert_eq!(desk.read(0x18, 4), [0; 4]);
    let rewritten = desk.send(&command::update_binary(0x18, 0, &[0; 4])).unwrap();
    assert!(!rewritten.sw().is_ok(), "the terminal sequence is the PSAM's own");
}

#[test]
fn a_wrong_answer_names_step_command_and_status_words() {
    let profile = Profile::city_cpu();
    let mut desk = Desk::blank(&profile, [0x55; 16]);
    let error = personalise_card(&mut desk, &vault(), &profile, &card_data(), &mut |_| {}).unwrap_err();
    let IssueError::Answer { number, title, command, expected, found } = &error else { panic!("{error}") };
    assert_eq!((*number, title.as_str(), command.as_str()), (2, "card master key", "84D48039"));
    assert_eq!((*expected, *found), (StatusWord::OK, StatusWord::MAC_WRONG));
    let text = error.to_string();
    assert!(text.contains("expected 9000 (ok), found 6988 (secure messaging MAC wrong)"), "{text}");
}

#[test]
fn a_card_taken_away_at_any_command_is_an_error_and_never_a_card() {
    let profile = Profile::city_cpu();
    let (vault, data) = (vault(), card_data());
    let mut desk = Desk::blank(&profile, DEMO_TRANSPORT_KEY);
    let commands = personalise_card(&mut desk, &vault, &profile, &data, &mut |_| {}).unwrap();
    for pulled_after in 0..commands {
        let mut desk = Desk::blank(&profile, DEMO_TRANSPORT_KEY);
        desk.pulled_after = Some(pulled_after);
        let error = personalise_card(&mut desk, &vault, &profile, &data, &mut |_| {}).unwrap_err();
        assert!(matches!(error, IssueError::Silent { source: ChannelError::Removed, .. }), "{error}");
    }
}

#[test]
fn profiles_and_cards_of_two_sorts_do_not_meet() {
    let (card, psam) = (Profile::city_cpu(), Profile::psam());
    assert_eq!((card.kind, psam.kind), (CardKind::User, CardKind::Psam));
    let mut desk = Desk::blank(&psam, DEMO_TRANSPORT_KEY);
    let error = personalise_card(&mut desk, &vault(), &psam, &card_data(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, IssueError::Profile { .. }), "{error}");
    let empty = SoftVault::empty(Levels::nation_city_card(), Origin::Demo);
    let mut desk = Desk::blank(&card, DEMO_TRANSPORT_KEY);
    let error = personalise_card(&mut desk, &empty, &card, &card_data(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, IssueError::Vault { number: 2, .. }), "{error}");
}
