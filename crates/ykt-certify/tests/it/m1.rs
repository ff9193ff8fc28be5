//! M1 cards: a blank chip and a city card pass; readers and chips that are wrong are caught.

use crate::desk::judge_with;
use std::collections::BTreeSet;
use ykt_base::hex::Hex;
use ykt_base::{CardChannel, ChannelError, Fen, Response};
use ykt_certify::report::{Language, Verdict, text};
use ykt_certify::{Harm, Overrides, Plan, Report};
use ykt_crypto::Key16;
use ykt_m1::issue::{IssueOrder, personalise};
use ykt_m1::layout::CardFlag;
use ykt_m1::{ArrayBlocks, KeyKind, M1Layout, M1Masters, M1Reader, Sector, Uid};
use ykt_vault::DeskKeys;

const UID: Uid = Uid([0x1A, 0x2B, 0x3C, 0x4D]);

fn blank() -> M1Reader<ArrayBlocks> {
    M1Reader::new(ArrayBlocks::blank(UID))
}

/// A city card with 12 yuan, and the plan with the keys of its purse.
fn city_card() -> (M1Reader<ArrayBlocks>, Plan) {
    let key = |byte| Key16::from_bytes([byte; 16]);
    let masters = M1Masters { sector_a: key(1), sector_b: key(2), auth_code: key(3), tac: key(4) };
    let layout = M1Layout::CLAIMED;
    let order = IssueOrder {
        city: [0x21, 0x44],
        industry: [0, 1],
        serial: [0, 0, 0, 5],
        flag: CardFlag::Enabled,
        card_type: 1,
        key_version: 1,
        issued: "20260101".parse().unwrap(),
        enabled: "20260101".parse().unwrap(),
        expiry: "20361231".parse().unwrap(),
        deposit: 0,
        balance: Fen::new(1200),
        device: [0; 4],
    };
    let mut reader = blank();
    let identity = personalise(&mut reader, &order, &masters, &layout, &mut |_| {}).unwrap().identity(UID);
    let keys = [("key_purse_a", KeyKind::A), ("key_purse_b", KeyKind::B)].map(|(name, kind)| {
        let key = masters.sector_key(&identity, Sector::PURSE, kind, &layout);
        (name.to_owned(), Hex(key.expose()).to_string())
    });
    (reader, Plan::built_in("m1", &Overrides::from(keys)).unwrap())
}

fn plan() -> Plan {
    Plan::built_in("m1", &Overrides::new()).unwrap()
}

fn judge(channel: &mut dyn CardChannel, plan: &Plan) -> Report {
    judge_with(&DeskKeys::none(), channel, plan, Harm::None, &[])
}

#[test]
fn a_blank_chip_passes_and_is_as_before() {
    let mut reader = blank();
    let before = reader.chip().memory().dump();
    let report = judge(&mut reader, &plan());
    assert!(report.is_conformant(), "{}", text(&report, Language::English));
    assert_eq!(reader.chip().memory().dump(), before);
}

#[test]
fn a_city_card_passes_and_keeps_its_keys_to_itself() {
    let (mut reader, plan) = city_card();
    let before = reader.chip().memory().dump();
    let report = judge(&mut reader, &plan);
    assert!(report.is_conformant(), "{}", text(&report, Language::English));
    assert!(
        report
            .cases
            .iter()
            .all(|case| !case.id.starts_with("city") || matches!(case.verdict, Verdict::Passed))
    );
    assert_eq!(reader.chip().memory().dump(), before);
    let json = report.json().unwrap();
    assert!(json.contains("FF82000006************"), "keys are loaded");
    for key in plan.secrets.values() {
        assert!(!json.contains(&format!("06{}", Hex(&key.bytes))), "and not shown");
    }
}

/// What is wrong with a reader or its chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    OpenWithoutKey,
    WrongKeyOpens,
    StaysOpenAfterWrongKey,
    KeyAShown,
    IncrementTwice,
    CountsWithoutValue,
}

struct Broken(M1Reader<ArrayBlocks>, Fault);

impl Broken {
    fn forward(&mut self, command: &[u8]) -> Vec<u8> {
        self.0.transmit(command).unwrap().as_bytes().to_vec()
    }

    fn open(&mut self, block: u8) {
        self.forward(&[&[0xFF, 0x82, 0x00, 0x00, 0x06][..], &[0xFF; 6]].concat());
        self.forward(&[0xFF, 0x86, 0x00, 0x00, 0x05, 0x01, 0x00, block, 0x60, 0x00]);
    }
}

impl CardChannel for Broken {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        let mut answer = self.forward(command);
        match (self.1, command) {
            (Fault::OpenWithoutKey, [0xFF, 0xB0, 0x00, block, ..]) if answer == [0x69, 0x82] => {
                self.open(*block);
                answer = self.forward(command);
            }
            (
                Fault::WrongKeyOpens | Fault::StaysOpenAfterWrongKey,
                [0xFF, 0x86, _, _, _, _, _, block, ..],
            ) if answer == [0x63, 0x00] => {
                self.open(*block);
                if self.1 == Fault::WrongKeyOpens {
                    answer = vec![0x90, 0x00];
                }
            }
            (Fault::KeyAShown, [0xFF, 0xB0, 0x00, 0x3F, ..]) => answer[..6].fill(0xFF),
            (Fault::IncrementTwice, [0xFF, 0xD7, 0x00, _, 0x05, 0x01, ..]) => drop(self.forward(command)),
            (Fault::CountsWithoutValue, [0xFF, 0xD7, 0x00, _, 0x05, 0x01, ..]) if answer == [0x63, 0x00] => {
                answer = vec![0x90, 0x00];
            }
            _ => {}
        }
        Ok(Response::from_wire(&answer).unwrap())
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        self.0.reset()
    }
}

#[test]
fn every_broken_reader_is_caught() {
    for (fault, expected) in [
        (
            Fault::OpenWithoutKey,
            &["m1.closed.read", "m1.key-b", "m1.wrong-key", "m1.reset", "m1.other-sector"][..],
        ),
        (Fault::WrongKeyOpens, &["m1.wrong-key"]),
        (Fault::StaysOpenAfterWrongKey, &["m1.wrong-key"]),
        (Fault::KeyAShown, &["m1.hidden-key"]),
        (Fault::IncrementTwice, &["m1.value"]),
        (
            Fault::CountsWithoutValue,
            &["m1.no-value.data", "m1.no-value.copies-differ", "m1.no-value.no-complement"],
        ),
    ] {
        let report = judge(&mut Broken(blank(), fault), &plan());
        let caught: BTreeSet<&str> = report.failed().collect();
        assert_eq!(caught, expected.iter().copied().collect(), "{fault:?}");
    }
}
