//! M1 cards at one terminal: a card pays once and is loaded once, wherever it leaves and however its blocks are torn.

use crate::desk::Pull;
use crate::m1_desk::{
    BALANCE, FARE, LAYOUTS, LOAD, M1Hand, Terminal, after, at, booked, card, config, masters, show, tears,
    terminal,
};
use hex_literal::hex;
use ykt_base::{CardChannel, Fen};
use ykt_m1::layout::{BlackFlag, LastLoad, LoadTotals, ProcessFlag, RecordKind, TransactionRecord};
use ykt_m1::{BlockMemory, BlockNo, M1Layout, Rest, SectorKey, Tear};
use ykt_terminal::blacklist::Blacklist;
use ykt_terminal::m1::{
    Certainty, Closing, EntryStep, M1Error, M1File, M1Outcome, M1Refusal, M1Terminal, Operation, SoftKeys,
};
use ykt_terminal::pos::Money;

const OPERATIONS: [Operation; 2] = [Operation::Purchase, Operation::Load];

/// Nothing pending, one verified record, and a card that is whole and says the same.
fn assert_moved_once(
    terminal: &Terminal,
    card: &M1Hand,
    layout: &M1Layout,
    operation: Operation,
    what: &str,
) {
    let (sure, grey) = booked(terminal, card.uid());
    assert_eq!(terminal.book().records().len(), 1, "{what}");
    assert_eq!(BALANCE.fen() + sure, after(operation).fen(), "{what}");
    assert_eq!((grey.len(), terminal.book().pending().count()), (0, 0), "{what}");
    assert_eq!(card.balance(), after(operation), "{what}");
    let (info, record) = (card.info(layout), card.records()[0]);
    assert_eq!((info.count, info.pointer.number(), info.process), (1, 2, ProcessFlag::Done), "{what}");
    assert_eq!(info.reserved, [0; 7], "{what}");
    let intent = terminal.book().records()[0].intent;
    assert_eq!(record, Some(intent.record([0, 0, 0x10, 1])), "{what}");
    if operation == Operation::Load {
        let totals = LoadTotals::from_block(&card.block(BlockNo::LOAD_TOTALS)).unwrap();
        assert_eq!((totals.total, totals.loads), (8_000, 2), "{what}");
        let last = LastLoad::from_block(&card.block(BlockNo::LAST_LOAD)).unwrap();
        assert_eq!((last.amount, last.at), (LOAD, intent.at), "{what}");
    }
}

/// What the first showing of a cut card may say; whether money moved decides what the second one says.
fn assert_second_showing(outcome: M1Outcome, moved_before: bool, what: &str) {
    match outcome {
        M1Outcome::Recovered(_) => assert!(moved_before, "{what}"),
        M1Outcome::Done(_) => assert!(!moved_before, "{what}"),
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn a_purchase_and_a_load_write_what_the_layout_says() {
    let layout = M1Layout::COMPLEMENT;
    let (mut terminal, mut card) = (terminal(1, layout), M1Hand::new(card(1, layout)));
    let M1Outcome::Done(receipt) = show(&mut terminal, &mut card, Operation::Purchase, at("080910")) else {
        panic!()
    };
    assert_eq!((receipt.balance, receipt.record.intent.before), (Fen::new(4_800), BALANCE));
    assert_eq!(card.block(BlockNo::PURSE), hex!("C0120000 3FEDFFFF C0120000 09F609F6"));
    assert_eq!(card.block(BlockNo::PURSE_BACKUP), hex!("C0120000 3FEDFFFF C0120000 0AF50AF5"));
    assert_eq!(card.block(BlockNo::PUBLIC), hex!("02 0001 02 0000 00 10 00000000000000 11"));
    assert_eq!(card.block(BlockNo::PUBLIC_COPY), hex!("FD FFFE FD FFFF FF EF FFFFFFFFFFFFFF EE"));
    let first_record = BlockNo::new(12).unwrap();
    assert_eq!(card.block(first_record), hex!("22080910 88130000 0000C8 00 00001001"));
    let M1Outcome::Done(receipt) = show(&mut terminal, &mut card, Operation::Load, at("081000")) else {
        panic!()
    };
    assert_eq!(receipt.balance, Fen::new(7_800));
    assert_eq!(card.block(BlockNo::new(13).unwrap()), hex!("22081000 C0120000 000BB8 88 00001001"));
    assert_eq!(terminal.book().pending().count(), 0);
}

/// The records go round: the tenth takes the place of the first.
#[test]
fn nine_records_and_round_again() {
    for layout in LAYOUTS {
        let (mut terminal, mut card) = (terminal(1, layout), M1Hand::new(card(1, layout)));
        for _ in 0..10 {
            assert!(matches!(
                show(&mut terminal, &mut card, Operation::Purchase, at("080000")),
                M1Outcome::Done(_)
            ));
        }
        let info = card.info(&layout);
        assert_eq!((info.pointer.number(), info.count), (2, 10));
        assert_eq!(card.records()[0].unwrap().before, Fen::new(5_000 - 9 * 200));
        assert_eq!(card.balance(), Fen::new(3_000));
    }
}

#[test]
fn cut_at_every_memory_write_an_m1_card_pays_once_and_is_loaded_once() {
    for (layout, operation) in
        LAYOUTS.iter().flat_map(|layout| OPERATIONS.map(|operation| (layout, operation)))
    {
        let image = card(1, *layout);
        let mut whole = M1Hand::new(image.clone());
        let before = whole.memory().writes();
        show(&mut terminal(1, *layout), &mut whole, operation, at("080000"));
        let writes = whole.memory().writes() - before;
        let (mut recovered, mut moved_again) = (0, 0);
        for (write, tear) in (0..writes).flat_map(|write| tears().map(move |tear| (write, tear))) {
            let what = format!("{operation:?}, write {write}, {tear:?}");
            let (mut terminal, mut card) = (terminal(1, *layout), M1Hand::new(image.clone()));
            card.memory().cut_power_after(write, tear);
            let first = show(&mut terminal, &mut card, operation, at("080000"));
            let M1Outcome::TryAgain { money: Money::MayHaveMoved, .. } = first else {
                panic!("{what}: {first:?}")
            };
            let mut card = card.put_back();
            match show(&mut terminal, &mut card, operation, at("080030")) {
                M1Outcome::Recovered(_) => recovered += 1,
                M1Outcome::Done(_) => moved_again += 1,
                other => panic!("{what}: {other:?}"),
            }
            assert_moved_once(&terminal, &card, layout, operation, &what);
        }
        println!(
            "M1 {operation:?}: {writes} writes x {} tears: {recovered} cuts recovered, {moved_again} done at the return",
            tears().count()
        );
        assert!(recovered > 0 && moved_again > 0);
    }
}

/// Every cut of the transaction, and then every cut of the visit that makes the card whole again.
#[test]
fn cut_at_every_memory_write_and_again_while_it_is_repaired() {
    let few = || tears().filter(|tear| [0, 3, 8, 16].contains(&tear.arrived));
    let again = [Tear { arrived: 1, rest: Rest::Kept }, Tear { arrived: 9, rest: Rest::Erased(0) }];
    let mut pairs = 0;
    for (layout, operation) in
        LAYOUTS.iter().flat_map(|layout| OPERATIONS.map(|operation| (layout, operation)))
    {
        let image = card(1, *layout);
        for first in 0.. {
            let mut ended = 0;
            for tear in few() {
                let (mut terminal_cut, mut cut) = (terminal(1, *layout), M1Hand::new(image.clone()));
                cut.memory().cut_power_after(first, tear);
                if matches!(show(&mut terminal_cut, &mut cut, operation, at("080000")), M1Outcome::Done(_)) {
                    ended += 1;
                    continue;
                }
                let (journal, image) = (terminal_cut.into_store(), cut.put_back().reader.into_memory());
                for (second, tear_again) in (0..12).flat_map(|write| again.map(move |tear| (write, tear))) {
                    let what = format!("{operation:?}, {first} {tear:?}, then {second} {tear_again:?}");
                    let keys = SoftKeys { masters: masters(), layout: *layout };
                    let mut terminal = M1Terminal::open(config(1, *layout), keys, journal.clone()).unwrap();
                    let mut card = M1Hand::new(image.clone());
                    card.memory().cut_power_after(second, tear_again);
                    let outcome = show(&mut terminal, &mut card, operation, at("080030"));
                    let mut card = card.put_back();
                    let rest = match outcome {
                        M1Outcome::TryAgain { .. } => show(&mut terminal, &mut card, operation, at("080059")),
                        done => done,
                    };
                    assert!(matches!(rest, M1Outcome::Done(_) | M1Outcome::Recovered(_)), "{what}: {rest:?}");
                    assert_moved_once(&terminal, &card, layout, operation, &what);
                    pairs += 1;
                }
            }
            if ended > 0 {
                break;
            }
        }
    }
    println!("M1: {pairs} pairs of cuts");
    assert!(pairs > 10_000);
}

/// The link is lost before or after every command.
#[test]
fn pulled_at_every_command_an_m1_card_pays_once_and_is_loaded_once() {
    for (layout, operation) in
        LAYOUTS.iter().flat_map(|layout| OPERATIONS.map(|operation| (layout, operation)))
    {
        let image = card(1, *layout);
        let mut whole = M1Hand::new(image.clone());
        show(&mut terminal(1, *layout), &mut whole, operation, at("080000"));
        let mut recovered = 0;
        for pull in (0..whole.commands).flat_map(|number| [Pull::Before(number), Pull::After(number)]) {
            let what = format!("{operation:?}, {pull:?}");
            let (mut terminal, mut card) = (terminal(1, *layout), M1Hand::new(image.clone()));
            card.pull = Some(pull);
            let first = show(&mut terminal, &mut card, operation, at("080000"));
            let M1Outcome::TryAgain { money, .. } = first else { panic!("{what}: {first:?}") };
            let pending = terminal.book().pending().next().copied();
            assert_eq!(pending.is_some(), money == Money::MayHaveMoved, "{what}");
            let verified = pending.is_some_and(|pending| pending.step == EntryStep::Backup);
            assert_eq!(
                terminal.book().records().len(),
                usize::from(verified),
                "a record is of verified money"
            );
            let mut card = card.put_back();
            let outcome = show(&mut terminal, &mut card, operation, at("080030"));
            recovered += usize::from(matches!(outcome, M1Outcome::Recovered(_)));
            assert!(matches!(outcome, M1Outcome::Recovered(_) | M1Outcome::Done(_)), "{what}: {outcome:?}");
            assert_moved_once(&terminal, &card, layout, operation, &what);
        }
        assert!(recovered > 0);
    }
}

/// The card comes back after the time of recovery: the old ride is settled, the new one is paid.
#[test]
fn late_return_settles_the_old_ride_and_pays_the_new_one() {
    let layout = M1Layout::CLAIMED;
    let (mut terminal, mut card) = (terminal(1, layout), M1Hand::new(card(1, layout)));
    let before = card.memory().writes();
    card.memory().cut_power_after(3, tears().next().unwrap());
    assert!(before > 0);
    show(&mut terminal, &mut card, Operation::Purchase, at("080000"));
    let mut card = card.put_back();
    let outcome = show(&mut terminal, &mut card, Operation::Purchase, at("090000"));
    assert_second_showing(outcome, false, "another ride");
    assert_eq!(terminal.book().records().len(), 2);
    assert_eq!(card.balance(), Fen::new(4_600));
}

/// A load that was cut is never done twice, however late the card comes back.
#[test]
fn a_late_load_is_not_repeated() {
    let layout = M1Layout::CLAIMED;
    let (mut terminal, mut card) = (terminal(1, layout), M1Hand::new(card(1, layout)));
    card.memory().cut_power_after(4, tears().next().unwrap());
    show(&mut terminal, &mut card, Operation::Load, at("080000"));
    let mut card = card.put_back();
    let outcome = show(&mut terminal, &mut card, Operation::Load, at("200000"));
    assert_second_showing(outcome, true, "the load was done before");
    assert_moved_once(&terminal, &card, &layout, Operation::Load, "late");
}

/// Another card in between gets nothing of the first one's transaction.
#[test]
fn another_card_is_another_card() {
    let layout = M1Layout::CLAIMED;
    let (mut terminal, mut first) = (terminal(1, layout), M1Hand::new(card(1, layout)));
    first.memory().cut_power_after(3, tears().next().unwrap());
    show(&mut terminal, &mut first, Operation::Purchase, at("080000"));
    let mut second = M1Hand::new(card(2, layout));
    let outcome = show(&mut terminal, &mut second, Operation::Purchase, at("080010"));
    assert!(matches!(outcome, M1Outcome::Done(receipt) if receipt.record.intent.card.uid == second.uid()));
    assert_eq!(terminal.book().pending().count(), 1, "the first one is still waited for");
    let mut first = first.put_back();
    let outcome = show(&mut terminal, &mut first, Operation::Purchase, at("080020"));
    assert!(
        matches!(outcome, M1Outcome::Recovered(receipt) if receipt.record.intent.card.uid == first.uid())
    );
    for card in [&first, &second] {
        assert_eq!((booked(&terminal, card.uid()).0, card.balance()), (-200, Fen::new(4_800)));
    }
}

/// A card that never comes back: what may have moved goes out grey, what has moved has its record.
#[test]
fn what_never_returns_is_given_up() {
    let layout = M1Layout::CLAIMED;
    for (write, tear, certain) in [(2, 16, false), (3, 0, true)] {
        let (mut terminal, mut card) = (terminal(1, layout), M1Hand::new(card(1, layout)));
        card.memory().cut_power_after(write, Tear { arrived: tear, rest: Rest::Kept });
        show(&mut terminal, &mut card, Operation::Purchase, at("080000"));
        terminal.book_mut().give_up(at("080000")).unwrap();
        assert_eq!(terminal.book().pending().count(), 1, "not yet");
        terminal.book_mut().give_up(at("235959")).unwrap();
        let record = terminal.book().records()[0];
        assert_eq!(matches!(record.certainty, Certainty::Moved { .. }), certain);
        assert_eq!((terminal.book().records().len(), terminal.book().pending().count()), (1, 0));
        let error = terminal.book_mut().close(record.intent.serial, Closing::Void).unwrap_err();
        assert!(error.to_string().contains("not pending"), "{error}");
        // When it does come back, it is made whole, and the record is not made again.
        let mut card = card.put_back();
        let declined = terminal.purchase(&mut card, Fen::new(9_000), at("235959")).unwrap();
        assert!(matches!(declined, M1Outcome::Declined(M1Refusal::InsufficientFunds { .. })));
        assert_eq!((card.balance(), terminal.book().records().len()), (Fen::new(4_800), 1));
        assert_eq!(card.records()[0], Some(record.intent.record([0, 0, 0x10, 1])), "by its claim");
    }
}

/// The terminal itself dies after every write of a transaction; started again from its file it goes on.
#[test]
fn a_terminal_that_was_killed_goes_on_from_its_journal() {
    let layout = M1Layout::CLAIMED;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m1.records");
    let keys = || SoftKeys { masters: masters(), layout };
    let open = || M1Terminal::open(config(1, layout), keys(), M1File::open(&path).unwrap()).unwrap();
    let mut card = M1Hand::new(card(1, layout));
    card.memory().cut_power_after(3, tears().next().unwrap());
    open().purchase(&mut card, FARE, at("080000")).unwrap();
    let mut terminal = open();
    let pending = *terminal.book().pending().next().unwrap();
    assert_eq!((pending.step, terminal.book().records().len()), (EntryStep::Backup, 1));
    let outcome = terminal.purchase(&mut card.put_back(), FARE, at("080030")).unwrap();
    assert!(matches!(outcome, M1Outcome::Recovered(_)));
    drop(terminal);
    let terminal = open();
    assert_eq!((terminal.book().pending().count(), terminal.book().records().len()), (0, 1));
}

/// Every way in which one of two copies can be damaged is repaired; both damaged are not.
#[test]
fn damaged_blocks_are_repaired_from_their_copies() {
    let [purse, backup] = [BlockNo::PURSE, BlockNo::PURSE_BACKUP];
    let [main, copy] = [BlockNo::PUBLIC, BlockNo::PUBLIC_COPY];
    for layout in LAYOUTS {
        for damaged in
            [vec![purse], vec![backup], vec![main], vec![copy], vec![purse, main], vec![backup, copy]]
        {
            for damage in [[0x00; 16], [0xFF; 16], [0x5A; 16]] {
                let (mut terminal, mut card) = (terminal(1, layout), M1Hand::new(card(1, layout)));
                for block in &damaged {
                    card.memory().write(*block, &damage).unwrap();
                }
                let outcome = terminal.purchase(&mut card, FARE, at("080000")).unwrap();
                assert!(matches!(outcome, M1Outcome::Done(_)), "{damaged:?} {damage:02X?}: {outcome:?}");
                assert_eq!((card.balance(), card.info(&layout).count), (Fen::new(4_800), 1));
            }
        }
        for blocks in [[purse, backup], [main, copy]] {
            let (mut terminal, mut card) = (terminal(1, layout), M1Hand::new(card(1, layout)));
            blocks.iter().for_each(|block| card.memory().write(*block, &[0x5A; 16]).unwrap());
            let outcome = terminal.purchase(&mut card, FARE, at("080000")).unwrap();
            assert_eq!(outcome, M1Outcome::Declined(M1Refusal::Damaged { blocks }));
            assert!(terminal.book().pending().next().is_none());
        }
    }
}

#[test]
fn a_blacklisted_card_is_marked_once_wherever_it_leaves() {
    let list = |version| Blacklist::new(version, ["2144000000000001".parse().unwrap()]).unwrap();
    for layout in LAYOUTS {
        let image = card(1, layout);
        for (write, tear) in (0..3).flat_map(|write| tears().map(move |tear| (write, tear))) {
            let (mut terminal, mut card) = (terminal(1, layout), M1Hand::new(image.clone()));
            terminal.replace_blacklist(list(12));
            card.memory().cut_power_after(write, tear);
            terminal.purchase(&mut card, FARE, at("080000")).unwrap();
            let mut card = card.put_back();
            for _ in 0..2 {
                let outcome = terminal.purchase(&mut card, FARE, at("080010")).unwrap();
                assert_eq!(outcome, M1Outcome::Declined(M1Refusal::Blacklisted { version: 12 }));
            }
            assert_eq!(card.info(&layout).black, BlackFlag::Black, "{write} {tear:?}");
            assert_eq!(terminal.book().locks().len(), 1, "{write} {tear:?}");
            assert_eq!((card.balance(), terminal.book().records().len()), (BALANCE, 0));
        }
        // Any other terminal sees the mark without a list.
        let (mut terminal_here, mut card) = (terminal(1, layout), M1Hand::new(image));
        terminal_here.replace_blacklist(list(12));
        terminal_here.load(&mut card, LOAD, at("080000")).unwrap();
        let outcome = terminal(2, layout).load(&mut card, LOAD, at("080020")).unwrap();
        assert_eq!(outcome, M1Outcome::Declined(M1Refusal::Marked));
    }
    let layout = M1Layout::COMPLEMENT;
    let (mut terminal, mut card) = (terminal(1, layout), M1Hand::new(card(1, layout)));
    terminal.replace_blacklist(list(1));
    terminal.purchase(&mut card, FARE, at("080000")).unwrap();
    let flags = [card.block(BlockNo::PUBLIC)[6], card.block(BlockNo::PUBLIC_COPY)[6]];
    assert_eq!(flags, [0x04, 0xFB]);
}

#[test]
fn what_is_refused_is_not_touched() {
    let layout = M1Layout::CLAIMED;
    let refused = |terminal: &mut Terminal, card: &mut M1Hand, amount, at: &str| {
        let before = card.memory().dump();
        match terminal.purchase(card, Fen::new(amount), at.parse().unwrap()).unwrap() {
            M1Outcome::Declined(refusal) => {
                assert!(card.memory().dump() == before, "{refusal}");
                assert_eq!(terminal.book().pending().count(), 0);
                refusal
            }
            other => panic!("{other:?}"),
        }
    };
    let (mut here, mut mine) = (terminal(1, layout), M1Hand::new(card(1, layout)));
    let now = "20261122080000";
    assert_eq!(refused(&mut here, &mut mine, 5_001, now), M1Refusal::InsufficientFunds { balance: BALANCE });
    assert!(matches!(refused(&mut here, &mut mine, 1, "20251231000000"), M1Refusal::OutOfDate { .. }));
    assert!(matches!(refused(&mut here, &mut mine, 1, "20370101000000"), M1Refusal::OutOfDate { .. }));
    let mut blank = M1Hand::new(ykt_m1::ArrayBlocks::blank(ykt_m1::Uid([9; 4])));
    assert_eq!(refused(&mut here, &mut blank, 1, now), M1Refusal::NotACityCard);
    let mut there = config(1, layout);
    there.cities = vec![[0x31, 0x00]];
    let keys = || SoftKeys { masters: masters(), layout };
    let mut there = M1Terminal::open(there, keys(), Default::default()).unwrap();
    assert_eq!(refused(&mut there, &mut mine, 1, now), M1Refusal::OtherCity { city: [0x21, 0x44] });
    for (offset, value, refusal) in [(8, 0x00, M1Refusal::NotGenuine), (12, 0x03, M1Refusal::NotEnabled)] {
        let mut spoilt = M1Hand::new(card(1, layout));
        let mut issue = spoilt.block(BlockNo::ISSUE);
        // The XOR at the end follows the change.
        issue[15] ^= issue[offset] ^ value;
        issue[offset] = value;
        spoilt.memory().write(BlockNo::ISSUE, &issue).unwrap();
        assert_eq!(refused(&mut here, &mut spoilt, 1, now), refusal);
    }
    let mut terminal = terminal(1, layout);
    let full = terminal.load(&mut mine, Fen::new(0xFF_FFFF), at("080000")).unwrap();
    assert!(matches!(full, M1Outcome::Declined(M1Refusal::TooMuch { .. })), "{full:?}");
    for amount in [0, -1, 0x100_0000] {
        let error = terminal.purchase(&mut mine, Fen::new(amount), at("080000")).unwrap_err();
        assert!(matches!(error, M1Error::Amount { .. }), "{error}");
    }
    let mut nobody = config(1, layout);
    nobody.device = [0; 4];
    assert!(matches!(
        M1Terminal::open(nobody, keys(), ykt_terminal::m1::M1Memory::default()),
        Err(M1Error::Device)
    ));
}

/// Where a city lends money, a purse may go below zero, and still nothing is lost.
#[test]
fn an_overdraft_goes_below_zero() {
    let layout = M1Layout::CLAIMED;
    let mut lending = config(1, layout);
    lending.overdraft_max = Fen::new(500);
    let keys = SoftKeys { masters: masters(), layout };
    let mut terminal = M1Terminal::open(lending, keys, ykt_terminal::m1::M1Memory::default()).unwrap();
    let mut card = M1Hand::new(card(1, layout));
    assert!(matches!(
        terminal.purchase(&mut card, Fen::new(5_400), at("080000")).unwrap(),
        M1Outcome::Done(_)
    ));
    card.memory().cut_power_after(3, tears().next().unwrap());
    terminal.purchase(&mut card, Fen::new(50), at("080100")).unwrap();
    let mut card = card.put_back();
    let outcome = terminal.purchase(&mut card, Fen::new(50), at("080130")).unwrap();
    assert!(matches!(outcome, M1Outcome::Recovered(receipt) if receipt.balance == Fen::new(-450)));
    let declined = terminal.purchase(&mut card, Fen::new(51), at("080200")).unwrap();
    assert!(matches!(declined, M1Outcome::Declined(M1Refusal::InsufficientFunds { .. })));
    assert_eq!(card.balance(), Fen::new(-450));
}

#[test]
fn an_engineer_sees_the_whole_card_and_changes_nothing() {
    let layout = M1Layout::CLAIMED;
    let (mut terminal, mut card) = (terminal(1, layout), M1Hand::new(card(1, layout)));
    show(&mut terminal, &mut card, Operation::Purchase, at("080000"));
    let before = card.memory().dump();
    let view = terminal.inspect(&mut card).unwrap().unwrap();
    assert!(card.memory().dump() == before);
    assert_eq!(view.purse.unwrap().fen(), Fen::new(4_800));
    let kinds: Vec<RecordKind> = view.newest_first().map(|record: &TransactionRecord| record.kind).collect();
    assert_eq!(kinds, [RecordKind::Purchase, RecordKind::Load], "newest first");
    let from_memory =
        ykt_m1::CardView::read(card.uid(), &layout, |block| Ok::<_, ()>(card.block(block))).unwrap();
    assert_eq!(from_memory, view, "with or without keys");
    card.reset().unwrap();
    assert!(card.transmit(&hex!("FFB0000910")).unwrap().data().is_empty());
    assert_ne!(SectorKey::issue_a(card.uid()).expose(), &[0; 6]);
}
