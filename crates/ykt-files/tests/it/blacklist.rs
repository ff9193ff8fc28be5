//! The black list as terminals take it.

use proptest::prelude::*;
use ykt_base::Asn8;
use ykt_files::{BlackEntry, BlackList};

#[test]
fn known_list() {
    let bytes = b"00000012000002\r\n00001700010170907984\r\n0000170001017090798502\r\n";
    let list = BlackList::parse(bytes).unwrap();
    assert_eq!(list.version, 12);
    assert_eq!(list.cards[0].asn, "1700010170907984".parse().unwrap());
    assert_eq!(list.cards[1].level, Some(2));
    assert_eq!(list.to_bytes().unwrap(), bytes);
}

#[test]
fn broken_lists_name_line_and_field() {
    for (bytes, line, field) in [
        (&b""[..], 1, "line end"),
        (b"000000120000\r\n", 1, "line length"),
        (b"0000001x000000\r\n", 1, "version"),
        (b"00000012000001\r\n", 1, "count"),
        (b"00000012000000\r\n00001700010170907984\r\n", 1, "count"),
        (b"00000012000001\r\n00001700010170907984", 2, "line end"),
        (b"00000012000001\r\n0000170001017090798\r\n", 2, "card no."),
        (b"00000012000001\r\n000017000101709079841\r\n", 2, "line length"),
        (b"00000012000001\r\n00011700010170907984\r\n", 2, "card no., first four characters"),
        (b"00000012000001\r\n00001700010170907984x1\r\n", 2, "list level"),
    ] {
        let error = BlackList::parse(bytes).unwrap_err();
        assert_eq!((error.line, error.field), (line, field), "{}", bytes.escape_ascii());
    }
}

proptest! {
    #[test]
    fn lists_come_back(version in 0u32..100_000_000, cards in proptest::collection::vec((any::<[u8; 8]>(), proptest::option::of(0u8..100)), 0..20)) {
        let cards = cards.into_iter().map(|(asn, level)| BlackEntry { asn: Asn8(asn), level }).collect();
        let list = BlackList { version, cards };
        prop_assert_eq!(BlackList::parse(&list.to_bytes().unwrap()).unwrap(), list);
    }

    #[test]
    fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = BlackList::parse(&bytes);
    }
}
