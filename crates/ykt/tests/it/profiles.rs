//! Cards of every profile at a desk: made from the command line, shown, and taken by the same terminals.

use crate::image_cards::{KEYS, ok, refused};

const PERSON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/person.toml");

#[test]
fn profiles_are_listed_and_printed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let list = ok(at, &["card", "profiles"]);
    let names = [
        "city-cpu",
        "pboc-ed-ep",
        "t-union",
        "citizen",
        "token",
        "psam",
        "t-union-psam",
        "key-card",
        "component-card",
    ];
    assert!(names.iter().all(|name| list.contains(name)), "{list}");
    refused(at, &["card", "profiles", "sim"], (1, "there is no shipped profile `sim`"));
    // A printed profile is one to begin with.
    let text = ok(at, &["card", "profiles", "city-cpu"]);
    std::fs::write(at.join("my.toml"), text.replace("city-cpu", "mine")).unwrap();
    ok(at, &["card", "new", "--profile", "my.toml", "--keys", KEYS, "my.img"]);
    std::fs::write(at.join("bad.toml"), text.replace("count = 10", "count = 0")).unwrap();
    let bad = ["card", "new", "--profile", "bad.toml", "--keys", KEYS, "bad.img"];
    refused(
        at,
        &bad,
        (1, "(transaction log (EF 0018)), key `count`: expected a number from 1 to 255, found 0"),
    );
    assert!(!at.join("bad.img").exists());
    refused(
        at,
        &["card", "new", "--profile", "sim", "--keys", KEYS, "x.img"],
        (1, "no shipped profile (city-cpu,"),
    );
    refused(at, &["card", "new", "--profile", "psam", "--keys", KEYS, "x.img"], (1, "ykt psam new"));
}

/// A transit card is loaded and pays where a PSAM of its scheme stands, and nowhere else.
#[test]
fn a_transit_card_pays_at_its_own_terminals() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    ok(at, &["card", "new", "--profile", "t-union", "--keys", KEYS, "card.img"]);
    ok(at, &["psam", "new", "--profile", "t-union-psam", "--keys", KEYS, "psam.img"]);
    ok(at, &["psam", "new", "--keys", KEYS, "city.img"]);
    let said = ok(at, &["pos", "load", "--card", "card.img", "--keys", KEYS, "--amount", "20"]);
    assert!(said.contains("20.00 yuan loaded, balance 20.00 yuan"), "{said}");
    let pay = |psam, records| {
        let place = ["pos", "purchase", "--card", "card.img", "--psam", psam, "--records", records];
        [&place[..], &["--amount", "2"]].concat()
    };
    assert!(ok(at, &pay("psam.img", "t.records")).contains("paid: 2.00 yuan, balance 18.00 yuan"));
    refused(at, &pay("city.img", "c.records"), (3, "01012144FFFFFFFF"));
    assert!(ok(at, &["card", "show", "card.img"]).contains("01012144FFFFFFFF"));
    let log = ok(at, &["pos", "log", "--card", "card.img"]);
    assert!(log.contains("type 06") && log.contains("type 02"), "{log}");
}

/// The deposit's card wants its PIN before it is loaded; its purse pays without.
#[test]
fn a_card_of_deposit_and_purse_is_read_and_asks_for_its_pin() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    ok(at, &["card", "new", "--profile", "pboc-ed-ep", "--keys", KEYS, "card.img"]);
    assert!(ok(at, &["pos", "balance", "--card", "card.img"]).contains("0.00 yuan"));
    let load = ["pos", "load", "--card", "card.img", "--keys", KEYS, "--amount", "20"];
    refused(at, &load, (3, "6982"));
}

/// A citizen card has what the person file says; without it the step that misses something is named.
#[test]
fn a_citizen_card_holds_its_person() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let new = ["card", "new", "--profile", "citizen", "--keys", KEYS];
    refused(at, &[&new[..], &["x.img"]].concat(), (1, "no bank card of this number"));
    assert!(!at.join("x.img").exists(), "half a card is none");
    ok(at, &[&new[..], &["--person", PERSON, "--signer", "issuer.der", "card.img"]].concat());
    let issuer = "2144FF0000000000=issuer.der";
    let read = ok(at, &["identity", "read", "--issuer", issuer, "card.img"]);
    assert!(read.contains("张三") && read.ends_with("genuine\n"), "{read}");
    let shown = ok(at, &["card", "show", "card.img"]);
    for part in ["bank card 0004", "tickets 0003", "594B542E4944454E54", "594B542E544F4B454E"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    ok(at, &["pos", "load", "--card", "card.img", "--keys", KEYS, "--amount", "20"]);
    let person = |text: &str| std::fs::write(at.join("person.toml"), text).unwrap();
    let with = [&new[..], &["--person", "person.toml", "x.img"]].concat();
    for (text, said) in [
        ("birth = 'spring'", "no day (YYYYMMDD)"),
        ("photo = 'none.jpg'", "none.jpg"),
        ("nickname = 'x'", "line 1: unknown field `nickname`"),
        ("[[bank]]\nreference = '1'\nlabel = 'x'\ntrack2 = '1'", "reference `1`"),
        ("[[bank]]\nreference = '0102030000000001'\nlabel = 'x'\ntrack2 = '62A2'", "tracks are digits"),
    ] {
        person(text);
        refused(at, &with, (1, said));
    }
}

#[test]
fn a_key_card_is_made_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let said = ok(at, &["card", "new", "--profile", "key-card", "--keys", KEYS, "--cards", "25", "keys.img"]);
    assert!(said.contains("may issue 25 cards"), "{said}");
    assert!(ok(at, &["card", "show", "keys.img"]).contains("cards_left         25"));
}
