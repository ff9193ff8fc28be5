//! XF, SS, QS and NS.

use proptest::prelude::*;
use ykt_base::{Asn8, CardCounter, Date, DateTime, Fen, Mac4, TerminalId, TerminalSeq, Time};
use ykt_files::{
    CardType, Confirmation, FILE_LEN_MAX, FileKind, FileName, FixedFile, FixedRecord, Industry, NameLayout,
    NsRecord, PurchaseType, QsRecord, RawXf, RefuseCause, SsRecord, Sum, Ticket, TicketDebit, XfRecord,
    write,
};

/// A purchase of card 1700010170907984 as the demo city would write it.
const LINE: &str = concat!(
    "00000001",
    "M00000000000001",
    "P0000001",
    "00001700010170907984",
    "0100",
    "00000000",
    "20260101",
    "20361231",
    "000102",
    "0000000077",
    "00004800",
    "00000200",
    "20261122081530",
    "06",
    "0000A1B2C3D4",
    "9E40FB01",
    "00",
    "00",
    "0",
    "FFFFFF"
);

fn known() -> XfRecord {
    XfRecord {
        serial: 1,
        merchant: "M00000000000001".parse().unwrap(),
        pos: "P0000001".parse().unwrap(),
        asn: "1700010170907984".parse().unwrap(),
        card_type: CardType { main: *b"01", sub: *b"00" },
        card_valid: None,
        start: Date::new(2026, 1, 1),
        expiry: Date::new(2036, 12, 31),
        counter: CardCounter(102),
        sequence: TerminalSeq(77),
        balance_before: Fen::new(4_800),
        amount: Fen::new(200),
        at: DateTime { date: Date::new(2026, 11, 22).unwrap(), time: Time::new(8, 15, 30).unwrap() },
        purchase: PurchaseType::Wallet,
        terminal: "0000A1B2C3D4".parse().unwrap(),
        tac: Mac4([0x9E, 0x40, 0xFB, 0x01]),
        confirmation: Confirmation::Confirmed,
        ticket: Ticket::None,
        ticket_debit: TicketDebit::None,
        reserved: XfRecord::RESERVED,
    }
}

fn file() -> Vec<u8> {
    let second = XfRecord { serial: 2, counter: CardCounter(103), ..known() };
    write(Industry::BUS, &[known(), second], NameLayout::default()).unwrap()
}

fn open(bytes: &[u8]) -> Result<Vec<XfRecord>, ykt_files::FileError> {
    FixedFile::<XfRecord>::open(bytes, NameLayout::default())?.records().collect()
}

#[test]
fn known_line() {
    assert_eq!(LINE.len(), 158);
    assert_eq!(XfRecord::parse(2, LINE.as_bytes(), NameLayout::default()).unwrap(), known());
    assert_eq!(known().to_raw().unwrap().0, LINE.as_bytes());
    let raw = known().to_raw().unwrap();
    assert_eq!((raw.asn(), raw.counter()), (Some(known().asn), Some(known().counter)));
    assert_eq!(raw.amount(), Some(Fen::new(200)));
    assert_eq!(known().to_raw().unwrap().typed(2).unwrap(), known());
}

#[test]
fn known_file() {
    let bytes = file();
    let header = b"XF010000000200000158FFFFFFFFFFFFFFFFFFFFFFFF\r\n";
    assert_eq!(&bytes[..46], header);
    assert_eq!(&bytes[46..206], [LINE, "\r\n"].concat().as_bytes());
    assert_eq!(bytes.len(), 46 + 2 * 160);
    assert_eq!(open(&bytes).unwrap()[1].counter, CardCounter(103));
    let empty = write::<XfRecord>(Industry::BUS, &[], NameLayout::default()).unwrap();
    assert_eq!(open(&empty).unwrap(), []);
}

#[test]
fn a_file_too_long_is_refused_unread() {
    let error = open(&vec![0; FILE_LEN_MAX + 1]).unwrap_err();
    assert_eq!((error.line, error.field), (1, "file size"));
}

#[test]
fn line_lengths_of_the_layouts() {
    let layout = NameLayout::default();
    assert_eq!(XfRecord::line_len(layout), 158);
    assert_eq!(SsRecord::line_len(layout), 198);
    assert_eq!(QsRecord::line_len(layout), 103);
    assert_eq!(NsRecord::line_len(layout), 46);
    let wide = NameLayout::new(9).unwrap();
    assert_eq!((SsRecord::line_len(wide), NsRecord::line_len(wide)), (204, 52));
}

#[test]
fn each_illegal_field_is_named() {
    for (from, to, field) in [
        ("00000001M", "0000000xM", "1 local serial"),
        ("M00000000000001", "M0000000000000 ", "2 merchant code"),
        ("P0000001", "P000000 ", "3 POS no."),
        ("00001700010170907984", "00011700010170907984", "4 card serial, first four characters"),
        ("00001700010170907984", "0000170001017090798G", "4 card serial"),
        ("20260101", "20260230", "8 application start date"),
        ("20361231", "2036123 ", "9 application valid date"),
        ("000102", "065536", "10 wallet counter"),
        ("0000000077", "4294967296", "11 terminal sequence"),
        ("00004800", "0000480-", "12 balance before"),
        ("00000200", " 0000200", "13 amount"),
        ("20261122081530", "20261122241530", "14 date time"),
        ("06000", "05000", "15 transaction type"),
        ("0000A1B2C3D4", "0000A1B2C3DX", "16 PSAM no."),
        ("9E40FB01", "9E40FB0 ", "17 TAC"),
        ("0100000FFFFFF", "0102000FFFFFF", "18 grey flag"),
        ("00000FFFFFF", "00040FFFFFF", "19 monthly-ticket kind"),
        ("0FFFFFF", "3FFFFFF", "20 monthly-ticket debit"),
    ] {
        let broken = LINE.replacen(from, to, 1);
        assert_ne!(broken, LINE, "{field}");
        let error = XfRecord::parse(5, broken.as_bytes(), NameLayout::default()).unwrap_err();
        assert_eq!((error.line, error.field), (5, field));
    }
}

#[test]
fn broken_files_name_line_and_field() {
    let good = file();
    let text = String::from_utf8(good.clone()).unwrap();
    let edit = |from: &str, to: &str| {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text);
        broken.into_bytes()
    };
    let mut foreign = good.clone();
    foreign[250] = 0xE4;
    for (what, bytes, line, field) in [
        ("nothing", Vec::new(), 1, "line length"),
        ("cut in the header", good[..20].to_vec(), 1, "line length"),
        ("cut in a record", good[..250].to_vec(), 3, "line length"),
        ("cut before the last line end", good[..good.len() - 2].to_vec(), 3, "line length"),
        ("cut in the last line end", good[..good.len() - 1].to_vec(), 3, "line end"),
        ("cut after the first record", good[..206].to_vec(), 1, "record count"),
        ("another kind", edit("XF01", "SS01"), 1, "file type"),
        ("no industry", edit("XF01", "XFxx"), 1, "industry"),
        ("count one more", edit("00000002", "00000003"), 1, "record count"),
        ("count no number", edit("00000002", "0000002 "), 1, "record count"),
        ("another record length", edit("00000158", "00000160"), 1, "record length"),
        ("reserved used", edit("FFFFFFFFFFFFFFFFFFFFFFFF", "FFFFFFFFFFFFFFFFFFFFFFF0"), 1, "reserved"),
        ("line feed only", edit("FFFFFF\r\n00000002", "FFFFFF\n000000020"), 2, "line end"),
        ("a line too long", edit("FFFFFF\r\n00000002", "FFFFFFF\r\n00000002"), 2, "line length"),
        ("a line too short", edit("FFFFFF\r\n00000002", "FFFFF\r\n00000002"), 2, "line length"),
        ("not ASCII", foreign, 3, "characters"),
        ("more after the end", [good.clone(), b"\x1A".to_vec()].concat(), 4, "line length"),
    ] {
        let error = open(&bytes).unwrap_err();
        assert_eq!((error.line, error.field), (line, field), "{what}: {error}");
    }
}

#[test]
fn values_too_large_for_their_field_are_not_written() {
    let refused = |record: XfRecord| record.to_raw().unwrap_err().field;
    assert_eq!(refused(XfRecord { serial: 100_000_000, ..known() }), "1 local serial");
    assert_eq!(refused(XfRecord { amount: Fen::new(100_000_000), ..known() }), "13 amount");
    assert_eq!(refused(XfRecord { balance_before: Fen::new(-1), ..known() }), "12 balance before");
}

fn source(sequence: u32) -> FileName {
    let name = format!("XF2026112201M00000000000001{sequence:03}");
    FileName::parse(&name, NameLayout::default()).unwrap()
}

/// The answer of `clearing.md` 15: 985 of 1,000 confirmed, 15 refused, 2 adjusted from the day before.
#[test]
fn known_totals() {
    let sum = |count, fen| Sum { count, amount: Fen::new(fen) };
    let record = QsRecord {
        merchant: "M00000000000001".parse().unwrap(),
        day: Date::new(2026, 11, 22).unwrap(),
        confirmed: sum(985, 197_000),
        refused: sum(15, 3_000),
        adjusted: sum(2, 500),
        adjustment_refused: Sum::default(),
    };
    let bytes = write(Industry::BUS, &[record], NameLayout::default()).unwrap();
    let line = concat!(
        "M00000000000001",
        "20261122",
        "000009850000197000",
        "000000150000003000",
        "000000020000000500",
        "000000000000000000",
        "FFFFFFFF\r\n"
    );
    assert_eq!(&bytes[46..], line.as_bytes());
    let file = FixedFile::<QsRecord>::open(&bytes, NameLayout::default()).unwrap();
    assert_eq!(file.records().collect::<Result<Vec<_>, _>>().unwrap(), [record]);
}

#[test]
fn refusals_carry_the_record_as_it_came() {
    let illegal =
        RawXf(LINE.replacen("20261122081530", "20261399081530", 1).into_bytes().try_into().unwrap());
    let day = Date::new(2026, 11, 23).unwrap();
    let records = [
        SsRecord {
            source: source(1),
            day,
            cause: RefuseCause::Adjustment,
            record: known().to_raw().unwrap(),
        },
        SsRecord { source: source(2), day, cause: RefuseCause::Illegal, record: illegal },
    ];
    let bytes = write(Industry::BUS, &records, NameLayout::default()).unwrap();
    let first = ["XF2026112201M00000000000001001", "00000001", "20261123", "00", &LINE[8..]].concat();
    assert_eq!(&bytes[46..46 + 198], first.as_bytes());
    let file = FixedFile::<SsRecord>::open(&bytes, NameLayout::default()).unwrap();
    assert_eq!(file.records().collect::<Result<Vec<_>, _>>().unwrap(), records);
    let broken = String::from_utf8(bytes).unwrap().replacen("2026112300M", "2026112388M", 1);
    let file = FixedFile::<SsRecord>::open(broken.as_bytes(), NameLayout::default()).unwrap();
    assert_eq!(file.records().next().unwrap().unwrap_err().field, "refuse cause");
}

#[test]
fn cleared_files_are_listed() {
    let day = Date::new(2026, 11, 22).unwrap();
    let records = [NsRecord { file: source(1), day }, NsRecord { file: source(2), day }];
    let bytes = write(Industry::BUS, &records, NameLayout::default()).unwrap();
    assert_eq!(&bytes[46..92], b"XF2026112201M0000000000000100120261122FFFFFFFF");
    let file = FixedFile::<NsRecord>::open(&bytes, NameLayout::default()).unwrap();
    assert_eq!(file.count(), 2);
    assert_eq!(file.industry(), Industry::BUS);
    assert_eq!(file.records().collect::<Result<Vec<_>, _>>().unwrap(), records);
}

fn any_date() -> impl Strategy<Value = Date> {
    (0i64..40_000).prop_map(|day| Date::from_day_number(day).unwrap())
}

fn any_record() -> impl Strategy<Value = XfRecord> {
    let ids = (0u32..100_000_000, "[0-9A-Za-z]{15}", "[0-9A-Za-z]{8}", any::<[u8; 8]>(), any::<[u8; 6]>());
    let dates =
        (proptest::option::of(any_date()), proptest::option::of(any_date()), any_date(), 0u32..86_400);
    let numbers = (any::<u16>(), any::<u32>(), 0i64..100_000_000, 0i64..100_000_000, any::<[u8; 4]>());
    let codes = (any::<bool>(), any::<bool>(), 0usize..4, 0usize..3, "[ -~]{4}", "[ -~]{6}");
    (ids, dates, numbers, codes).prop_map(|(ids, dates, numbers, codes)| {
        let types: [u8; 4] = codes.4.into_bytes().try_into().unwrap();
        XfRecord {
            serial: ids.0,
            merchant: ids.1.parse().unwrap(),
            pos: ids.2.parse().unwrap(),
            asn: Asn8(ids.3),
            card_type: CardType { main: [types[0], types[1]], sub: [types[2], types[3]] },
            card_valid: dates.0,
            start: dates.1,
            expiry: None,
            counter: CardCounter(numbers.0),
            sequence: TerminalSeq(numbers.1),
            balance_before: Fen::new(numbers.2),
            amount: Fen::new(numbers.3),
            at: DateTime { date: dates.2, time: Time::from_second_of_day(dates.3).unwrap() },
            purchase: if codes.0 { PurchaseType::Wallet } else { PurchaseType::Compound },
            terminal: TerminalId(ids.4),
            tac: Mac4(numbers.4),
            confirmation: if codes.1 { Confirmation::Confirmed } else { Confirmation::Grey },
            ticket: [Ticket::None, Ticket::Month, Ticket::Quarter, Ticket::Year][codes.2],
            ticket_debit: [TicketDebit::None, TicketDebit::ThisMonth, TicketDebit::LeftOver][codes.3],
            reserved: codes.5.into_bytes().try_into().unwrap(),
        }
    })
}

proptest! {
    #[test]
    fn purchase_files_come_back(records in proptest::collection::vec(any_record(), 0..10)) {
        let bytes = write(Industry::BUS, &records, NameLayout::default()).unwrap();
        prop_assert_eq!(open(&bytes).unwrap(), records);
    }

    #[test]
    fn refusals_come_back(record in any_record(), cause in 0usize..13, day in any_date(), width in 1usize..10) {
        let causes = [
            RefuseCause::Adjustment, RefuseCause::Tac, RefuseCause::Illegal, RefuseCause::Duplicate,
            RefuseCause::Grey, RefuseCause::Overdue, RefuseCause::Test, RefuseCause::AdjustmentRefused,
            RefuseCause::Normal, RefuseCause::Other, RefuseCause::IllegalAgain, RefuseCause::DuplicateAgain,
            RefuseCause::GreyAgain,
        ];
        let layout = NameLayout::new(width).unwrap();
        let source = FileName::new(FileKind::Xf, day, Industry::BUS, record.merchant, 7, layout).unwrap();
        let refusal = SsRecord { source, day, cause: causes[cause], record: record.to_raw().unwrap() };
        let bytes = write(Industry::BUS, &[refusal], layout).unwrap();
        let file = FixedFile::<SsRecord>::open(&bytes, layout).unwrap();
        prop_assert_eq!(file.records().next().unwrap().unwrap(), refusal);
    }

    #[test]
    fn totals_come_back(counts in any::<[u16; 4]>(), amounts in any::<[u32; 4]>(), day in any_date()) {
        let sum = |at: usize| Sum { count: counts[at].into(), amount: Fen::from(amounts[at]) };
        let record = QsRecord {
            merchant: "M00000000000001".parse().unwrap(),
            day,
            confirmed: sum(0),
            refused: sum(1),
            adjusted: sum(2),
            adjustment_refused: sum(3),
        };
        let bytes = write(Industry::BUS, &[record], NameLayout::default()).unwrap();
        let file = FixedFile::<QsRecord>::open(&bytes, NameLayout::default()).unwrap();
        prop_assert_eq!(file.records().next().unwrap().unwrap(), record);
    }

    #[test]
    fn no_bytes_break_the_parser(at in 0usize..366, byte in any::<u8>(), cut in 0usize..366) {
        let mut bytes = file();
        bytes[at] = byte;
        let _ = open(&bytes);
        bytes.truncate(cut);
        prop_assert!(open(&bytes).is_err());
    }
}
