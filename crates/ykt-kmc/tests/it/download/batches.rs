//! Files of batches: what is wrong is told line by line, and a file is taken whole or not at all.

use super::world::{APPLICATION, World, act, asn, listed, right};
use ykt_issue::{Profile, Subject};
use ykt_kmc::download::{
    BATCH_ERRORS_MAX, KeepError, NewRight, Progress, RightTo, Wanted, number_of, parse_batch,
};

#[test]
fn every_wrong_line_is_told() {
    let profile = Profile::city_cpu();
    for (file, expected) in [
        ("", "line 1: expected a head line and cards, found an empty file"),
        ("card,city\n", "line 1: expected 1 to 100000 cards, found 0"),
        (
            "card\n2144000000000001",
            "line 1: expected a column `card`, and one of `city` and `factor`, found `card`",
        ),
        ("card,city,factor\n", "line 1: expected a column `card`, and one of `city` and `factor`"),
        (
            "card,town\n",
            "line 1: expected columns `card`, `city` or `factor`, and `banks`, each once, found `town`",
        ),
        ("card,card,city\n", "each once, found `card`"),
        ("card,city\n2144000000000001", "line 2: expected 2 columns, found 1 columns"),
        (
            "card,city\n214400000000000,2144",
            "line 2: expected a card number of 16 digits, found `214400000000000`",
        ),
        ("card,city\n214400000000000A,2144", "line 2: expected a card number of 16 digits"),
        ("card,city\n2144000000000001,21F4", "line 2: expected a city code of 4 digits, found `21F4`"),
        ("card,factor\n2144000000000001,2144", "line 2: expected a factor of 16 hex digits, found `2144`"),
        (
            "card,city,banks\n2144000000000001,2144,0102030000000001+12",
            "line 2: expected references of 16 hex digits joined by `+`",
        ),
        (
            "card,city\n2144000000000001,2144\n\n2144000000000001,2144\n",
            "line 4: expected every card once, found the card of line 2 again",
        ),
        ("card,city\nx,1\ny,2\n", "line 2: expected a city code of 4 digits, found `1`; line 3: expected"),
    ] {
        let error = parse_batch(&profile, file).unwrap_err().to_string();
        assert!(error.contains(expected), "{file:?}: {error}");
    }
    let many = format!("card,city\n{}", "x,y\n".repeat(500));
    assert_eq!(parse_batch(&profile, &many).unwrap_err().errors.len(), BATCH_ERRORS_MAX);
}

#[test]
fn columns_come_in_any_order_and_layout() {
    let cards = |name: &str, file: &str| parse_batch(&Profile::named(name).unwrap(), file).unwrap();
    let city = cards("city-cpu", "\u{FEFF}city , card\r\n2144,2144000000000001\r\n");
    assert_eq!(city, cards("city-cpu", "card,factor\n2144000000000001,2144FF0000000000"));
    assert_eq!(
        (number_of(&city[0]), city[0].factor().to_string()),
        (asn(1).to_string(), "2144FF0000000000".to_owned())
    );
    let union = cards("t-union", "card,city\n2144000000000001,2144");
    assert_eq!(union[0].factor().to_string(), "01012144FFFFFFFF");
    let psam = cards("psam", "card,city\n21440000000000000009,2144");
    assert!(matches!(psam[0], Subject::Sam { .. }));
    let banks = cards("citizen", "card,city,banks\n2144000000000001,2144,0102030000000001+0102030000000002");
    assert!(matches!(&banks[0], Subject::Card { banks, .. } if banks.len() == 2));
}

#[test]
fn a_card_is_in_one_batch_only() {
    let world = World::new();
    world.batch("b1", 1..4);
    world.open(super::world::LINE, "counter", None, listed(&[9])).unwrap();
    let load = |name: &str, file: &str| world.download.load_batch(name, APPLICATION, file, &act());
    let file = "card,city\n2144000000000010,2144\n2144000000000002,2144\n2144000000000009,2144\n";
    let error = load("b2", file).unwrap_err().to_string();
    assert!(
        error.contains("line 2: expected cards that are not there yet, found one in batch b1, waiting"),
        "{error}"
    );
    assert!(
        error.contains("line 3: expected cards that are not there yet, found one without a batch, under way")
    );
    assert!(matches!(world.download.progress("b2"), Err(refusal) if refusal.code() == "unknown-batch"));
    assert_eq!(load("b2", "card,city\n2144000000000010,2144\n").unwrap(), 1);
    // The same file again is passed over; another under its name is not.
    assert_eq!(load("b2", "card,city\n2144000000000010,2144\n").unwrap(), 1);
    assert!(matches!(load("b2", "card,city\n2144000000000011,2144\n"), Err(KeepError::Taken { .. })));
    assert!(matches!(load("b 2", "card,city\n2144000000000011,2144\n"), Err(KeepError::Name { .. })));
    assert_eq!(world.download.progress("b2").unwrap(), Progress { waiting: 1, ..Progress::default() });
    // The same number may get another application.
    let union = world.download.load_batch("b3", "t-union", "card,city\n2144000000000002,2144\n", &act());
    assert_eq!(union.unwrap(), 1);
    assert!(world.open(super::world::LINE, "x", Some("b3"), Wanted::Next(1)).is_err());
}

#[test]
fn lines_and_rights_say_what_is_wrong_with_them() {
    let world = World::new();
    let give = |right: NewRight| world.download.give_right(&right, &act()).unwrap_err().to_string();
    let usual = right(super::world::LINE, APPLICATION, None, 1);
    for (right, expected) in [
        (NewRight { quota: 0, ..usual.clone() }, "a right needs a quota of 1 or more"),
        (
            NewRight { until: usual.from.plus_days(-1).unwrap(), ..usual.clone() },
            "a right needs a quota of 1 or more",
        ),
        (NewRight { line: "nobody".to_owned(), ..usual.clone() }, "there is no line `nobody`"),
        (NewRight { to: RightTo::cards("none", None), ..usual.clone() }, "there is no application `none`"),
        (NewRight { to: RightTo::cards("city-cpu", Some("b9")), ..usual }, "there is no batch `b9`"),
    ] {
        assert!(give(right).contains(expected), "{expected}");
    }
    assert!(world.download.withdraw_right(77, &act()).is_err());
    let line = |name: &str, certificate: &str| {
        let (name, certificate) = (name.to_owned(), ykt_kmc::download::fingerprint(certificate.as_bytes()));
        let kind = ykt_kmc::download::LineKind::Personalisation;
        world.download.add_line(&ykt_kmc::download::NewLine { name, kind, certificate }, &act())
    };
    assert!(line("line-1", "line-1").is_ok(), "the same line again");
    assert!(line("line-1", "other").unwrap_err().to_string().contains("line `line-1` is there already"));
    assert!(
        line("line-3", "line-1").unwrap_err().to_string().contains("certificate of line `line-1` is there")
    );
    assert!(matches!(line("line 3", "other"), Err(KeepError::Name { .. })));
}
