//! Profiles that people write, and their mistakes: each is refused with its place, its key, what was expected and what
//! was found.

use crate::DOCUMENT;
use ykt_issue::profile::SHIPPED;
use ykt_issue::{Profile, ProfileError};
use ykt_purse::create::Switches;

const HEAD: &str = "name = 'x'\ntitle = 'x'\ncard = 'user'\natr = '3B00'\ntransport = 'card-transport'\n";
const STEP: &str = "[[step]]\ntitle = 'x'\ndo = 'select'\nfid = '3F00'\n";

/// A profile of one step with these keys.
fn step(keys: &str) -> String {
    format!("{HEAD}[[step]]\ntitle = 'the step'\n{keys}\n")
}

#[test]
fn every_mistake_is_named() {
    let kinds = "\"user\", \"psam\" or \"key-card\"";
    let card = |line: &str| format!("{}{STEP}", HEAD.replace("card = 'user'", line));
    let at_step = "profile line 6, step 1 (the step)";
    for (text, place, key, expected, found) in [
        // The profile itself.
        (HEAD.to_owned(), "profile", "step", "1 to 250 tables [[step]]", "nothing"),
        (card("card = 'sim'"), "profile", "card", kinds, "\"sim\""),
        (card("card = 1"), "profile", "card", kinds, "1"),
        (card(""), "profile", "card", kinds, "nothing"),
        (HEAD.replace("'3B00'", "'3B'") + STEP, "profile", "atr", "2 to 33 hex bytes in quotes", "\"3B\""),
        (
            format!("memory = 100\n{HEAD}{STEP}"),
            "profile",
            "memory",
            "bytes of memory, a number from 1024 to 65535",
            "100",
        ),
        (format!("layout = 'bank'\n{HEAD}{STEP}"), "profile", "layout", "\"city\", \"pboc\"", "\"bank\""),
        (
            HEAD.replace("card-transport", "load") + STEP,
            "profile",
            "transport",
            "a transport key as KIND or KIND/INDEX/VERSION, the kind one of card-transport, psam-transport",
            "\"load\"",
        ),
        (
            format!("{HEAD}[preset]\noperator = '00'\n{STEP}"),
            "profile, table [preset]",
            "operator",
            "four hex digits in quotes",
            "\"00\"",
        ),
        // Steps.
        (format!("{HEAD}[[step]]\ndo = 'select'"), "profile line 6, step 1", "title", "a text", "nothing"),
        (step("do = 'burn'"), at_step, "do", "one of select, create-application", "\"burn\""),
        (step("do = 'write-sam-key'"), at_step, "do", "one of select", "\"write-sam-key\""),
        (step("fid = '3F00'"), at_step, "do", "a text", "nothing"),
        (step("do = 'select'\nfid = '3F'"), at_step, "fid", "a file id, four hex digits in quotes", "\"3F\""),
        (step("do = 'select'\nfid = 3"), at_step, "fid", "a file id", "3"),
        (
            step("do = 'create-binary'\nfid = '0015'\nsize = 0"),
            at_step,
            "size",
            "a number of bytes from 1 to 65535",
            "0",
        ),
        (
            step("do = 'create-binary'\nfid = '0015'\nsize = 9\nprotection = 'lock'"),
            at_step,
            "protection",
            "\"plain\", \"mac\" or \"enciphered-mac\"",
            "\"lock\"",
        ),
        (
            step("do = 'create-binary'\nfid = '0015'\nsize = 9\nread = 'F'"),
            at_step,
            "read",
            "a right, two hex digits in quotes",
            "\"F\"",
        ),
        (step("do = 'create-cyclic'\nfid = '0018'\ncount = 300"), at_step, "count", "1 to 255", "300"),
        (step("do = 'create-purse'\nfid = '0003'"), at_step, "fid", "\"0001\", the deposit", "\"0003\""),
        (
            step("do = 'create-purse'\nfid = '0002'\nlog = '1F'"),
            at_step,
            "log",
            "a short file id, 01 to 1E in quotes",
            "\"1F\"",
        ),
        (step("do = 'create-tickets'\ncount = 3\nlen = 32"), at_step, "len", "from 33 to 255", "32"),
        (
            step("do = 'create-application'\nfid = '1001'\naid = 'A000'"),
            at_step,
            "aid",
            "an application name, 5 to 16 hex bytes in quotes",
            "\"A000\"",
        ),
        (
            step(
                "do = 'create-application'\nfid = '1001'\naid = 'A000000001'\nsize = 9\ncreate = '01'\nload_needs_pin = 1",
            ),
            at_step,
            "load_needs_pin",
            "true or false",
            "1",
        ),
        (
            step("do = 'authenticate'\nid = 0\nkey = 'master'"),
            at_step,
            "key",
            "a key as KIND or KIND/INDEX/VERSION, the kind one of card-master",
            "\"master\"",
        ),
        (
            step("do = 'authenticate'\nid = 0\nkey = 'load/1'"),
            at_step,
            "key",
            "KIND/INDEX/VERSION",
            "\"load/1\"",
        ),
        (
            step("do = 'authenticate'\nid = 200\nkey = 'load'"),
            at_step,
            "id",
            "a key id, a number from 0 to 127",
            "200",
        ),
        (
            step("do = 'write-key'\nkey = 'load'\nalgorithm = 'des'"),
            at_step,
            "algorithm",
            "\"3des\" or \"sm4\"",
            "\"des\"",
        ),
        (
            step("do = 'write-key'\nkey = 'psam-master'\ncontrol = 'card-master'\nid = 0"),
            at_step,
            "key",
            "a key of user cards",
            "\"psam-master\"",
        ),
        (
            step("do = 'create-key-pair'\nfid = '000C'\npurpose = 'pay'"),
            at_step,
            "purpose",
            "\"sign\" or \"authenticate\"",
            "\"pay\"",
        ),
        (step("do = 'generate-key-pair'\nid = '1F'"), at_step, "id", "short file id of a key pair", "\"1F\""),
        (
            step("do = 'write'\nfid = '0015'\ncontent = 'names'"),
            at_step,
            "content",
            "one of public-data, holder-data",
            "\"names\"",
        ),
        (
            step("do = 'write'\nfid = '0015'\ncontent = 'terminal-id'"),
            at_step,
            "content",
            "one of public-data",
            "\"terminal-id\"",
        ),
        (
            step("do = 'write'\nfid = '0015'\ncontent = 'bank-card'"),
            at_step,
            "content",
            "bank-card/NUMBER",
            "\"bank-card\"",
        ),
        (step("do = 'write'\nfid = '0015'"), at_step, "content", "`content` or `hex`", "neither"),
        (
            step("do = 'write'\nfid = '0015'\nhex = '01'\ncontent = 'public-data'"),
            at_step,
            "hex",
            "`content` or `hex`",
            "both",
        ),
        (step("do = 'write'\nfid = '0015'\nhex = '0102'\nlen = 1"), at_step, "len", "at least 2", "1"),
        (
            step("do = 'write'\nfid = '0015'\nhex = '01'\nrecord = 0"),
            at_step,
            "record",
            "the number of a record, or \"new\"",
            "0",
        ),
        (
            step("do = 'write'\nfid = '0015'\nhex = '01'\nkey = 'load'\nprotection = 'plain'"),
            at_step,
            "protection",
            "\"mac\" or \"enciphered-mac\"",
            "\"plain\"",
        ),
    ] {
        let error = Profile::parse(&text).unwrap_err();
        let said = error.to_string();
        let ProfileError::Value { place: p, key: k, expected: e, found: f } = error else { panic!("{said}") };
        assert!(
            (&*p, &*k, &*f) == (place, key, found) && e.contains(expected),
            "expected {place}, {key}, {expected}, {found}; said: {said}"
        );
    }
}

#[test]
fn unknown_keys_are_errors() {
    for (text, place, found) in [
        (format!("colour = 1\n{HEAD}{STEP}"), "profile", "colour"),
        (step("do = 'select'\nfid = '3F00'\nsize = 1"), "profile line 6, step 1 (the step)", "size"),
        (format!("{HEAD}{STEP}{STEP}protection = 'mac'\n"), "profile line 10, step 2 (x)", "protection"),
        // Without a key there is nothing to protect it with.
        (
            step("do = 'write'\nfid = '0015'\nhex = '01'\nprotection = 'mac'"),
            "profile line 6, step 1 (the step)",
            "protection",
        ),
    ] {
        let error = Profile::parse(&text).unwrap_err();
        let said = error.to_string();
        let ProfileError::Key { place: p, expected, found: f } = error else { panic!("{said}") };
        assert_eq!((&*p, &*f), (place, found), "{said}");
        assert!(expected.contains('`'), "{said}");
    }
}

#[test]
fn key_cards_carry_what_they_can() {
    let step = |key: &str, levels: u8| {
        let head = HEAD.replace("'user'", "'key-card'");
        let keys = format!(
            "do = 'write-key-card-key'\nkey = '{key}'\nlevels = {levels}\ncontrol = 'key-card-master'"
        );
        Profile::parse(&format!("{head}[[step]]\ntitle = 'x'\n{keys}\n"))
    };
    assert!(step("purchase", 2).is_ok() && step("card-master", 0).is_ok());
    for (key, levels, wrong) in
        [("purchase", 0, "levels"), ("purchase", 4, "levels"), ("psam-master", 0, "key")]
    {
        let error = step(key, levels).unwrap_err();
        assert!(matches!(&error, ProfileError::Value { key, .. } if key == wrong), "{error}");
    }
}

#[test]
fn texts_and_files_that_are_no_profiles() {
    let error = Profile::parse("name = 'x'\ntitle = \n").unwrap_err();
    assert!(matches!(&error, ProfileError::Toml { place, .. } if place == "profile line 2"), "{error}");
    let error = Profile::read("no/such/profile.toml".as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "profile no/such/profile.toml");
    let many = format!("{HEAD}{}", STEP.repeat(251));
    assert!(Profile::parse(&many).unwrap_err().to_string().contains("1 to 250 tables"));
}

/// The documentation names every word of `do` and `content`, and every key that a shipped profile uses.
#[test]
fn the_documentation_explains_every_word() {
    let words = |kind: &str, keys: &str| {
        let text = step(keys).replace("'user'", &format!("'{kind}'"));
        let Err(ProfileError::Value { expected, .. }) = Profile::parse(&text) else { panic!("{text}") };
        expected.strip_prefix("one of ").unwrap().split(", ").map(str::to_owned).collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    for kind in ["user", "psam", "key-card"] {
        all.extend(words(kind, "do = 'none'"));
        all.extend(words(kind, "do = 'write'\nfid = '0015'\ncontent = 'none'"));
    }
    for (_, text) in SHIPPED {
        let keys = text.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key.to_owned());
        all.extend(keys.filter(|key| !key.starts_with('#')));
    }
    for word in all {
        let word = word.replace("/NUMBER", "/1").replace("identity-", "-");
        let at = DOCUMENT.contains(&format!("`{word}`"));
        assert!(at || DOCUMENT.contains(&format!("`identity{word}`")), "{word}");
    }
}

/// The complete example of the documentation is a profile, and does what its text says.
#[test]
fn the_documented_example_is_a_profile() {
    let (_, rest) = DOCUMENT.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let profile = Profile::parse(example).unwrap();
    assert_eq!(profile.preset.map(|preset| preset.switches), Some(Switches::default()));
    let mut desk = crate::desk::made_by(&profile);
    let shown = desk.select(b"YKT.STAFF");
    assert!(shown.windows(16).any(|part| part == b"YKT STAFF\0\0\0\0\0\0\0"), "SELECT shows the badge");
}
