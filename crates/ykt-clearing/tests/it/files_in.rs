//! Acceptance of files (`clearing.md` 2.5): accepted, repeated, broken, and put away.

use crate::world::*;
use std::sync::Arc;
use ykt_clearing::queries::{self, FileFilter};
use ykt_clearing::{
    BrokenFile, DirFolders, FileState, Folders, MemoryFolders, ReceiveError, Received, Repeat, SequenceAlarm,
    Tray,
};
use ykt_store::{Paging, Store};

#[test]
fn a_file_is_accepted_once() {
    let mut world = World::new();
    let sale = world.sale(1, 0, 5_000, 200);
    let Received::Accepted { file, records, amount, alarm } = world.send(D1, 1, &[sale]) else { panic!() };
    assert_eq!((records, amount, alarm), (1, fen(200), None));
    let other = world.sale(2, 0, 5_000, 300);
    assert_eq!(world.send(D1, 1, &[other]), Received::Repeated { first: file, by: Repeat::Name });
    assert_eq!(world.send(D1, 2, &[sale]), Received::Repeated { first: file, by: Repeat::Content });
    let names =
        |tray| world.folders.list(&merchant(1), tray).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(Tray::Upload), Vec::<String>::new());
    assert_eq!(names(Tray::History), ["XF2026112201M00000000000001001"]);
    assert_eq!(names(Tray::Repeat), ["XF2026112201M00000000000001001", "XF2026112201M00000000000001002"]);
    let log = world.read(|tx| queries::files(tx, &FileFilter::default(), Paging::default()));
    assert_eq!(log.totals.0, 3);
    assert_eq!(
        log.rows[0].reason,
        "the content came at 2026-11-22 12:00:00 as file 1 (XF2026112201M00000000000001001)"
    );
    assert!(log.rows.iter().all(|file| file.is_away));
}

#[test]
fn empty_files_are_legal_and_not_alike() {
    let world = World::new();
    for sequence in [1, 2] {
        let received = world.send(D1, sequence, &[]);
        assert!(matches!(received, Received::Accepted { records: 0, alarm: None, .. }), "{received:?}");
    }
}

#[test]
fn broken_files_are_refused_whole() {
    let mut world = World::new();
    let sales: Vec<_> = (0..3).map(|n| world.sale(1, n, 5_000 - i64::from(n) * 200, 200)).collect();
    let (name, good) = file(D1, merchant(1), 1, &sales);
    let edit = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let mut foreign = sales.clone();
    foreign[1].merchant = merchant(2);
    let cases = [
        (
            "truncated",
            good[..good.len() - 30].to_vec(),
            "line 4, line length: expected 158 characters and CR LF",
        ),
        ("wrong count", edit(11, b'4'), "line 1, record count: expected 3, the lines that follow, found 4"),
        ("wrong length", edit(19, b'9'), "line 1, record length: expected 158, found 159"),
        ("bad charset", edit(46 + 160 + 5, 0xB5), "line 3, characters: expected printable ASCII in column 6"),
        (
            "wrong merchant",
            file(D1, merchant(1), 1, &foreign).1,
            "line 3, 2 merchant code: expected M00000000000001",
        ),
        ("wrong industry", edit(3, b'2'), "line 1, industry: expected 01 as in the file name, found 02"),
        ("nothing", Vec::new(), "line 1, line length: expected 44 characters and CR LF"),
    ];
    for (what, bytes, message) in &cases {
        let Received::Broken(why) = world.send_bytes(D1, &merchant(1), &name, bytes.clone()) else {
            panic!("{what}")
        };
        assert!(why.to_string().starts_with(message), "{what}: {why}");
    }
    assert_eq!(world.folders.list(&merchant(1), Tray::Error).len(), cases.len());
    assert_eq!(world.folders.list(&merchant(1), Tray::Upload), []);
    let log = world.read(|tx| queries::files(tx, &FileFilter::default(), Paging::default()));
    assert!(log.rows.iter().all(|file| file.state == FileState::Broken && file.records == 0));
    assert!(log.rows[5].reason.contains("found 4"), "{}", log.rows[5].reason);
    // A broken file does not stand in the way of the mended one.
    assert!(matches!(world.send_bytes(D1, &merchant(1), &name, good), Received::Accepted { .. }));
    world.close(D1);
    assert_eq!(world.balance("2001"), 600);
}

#[test]
fn names_and_partners_are_checked() {
    let world = World::new();
    let (name, bytes) = file(D1, merchant(1), 1, &[]);
    let why = |partner, name: &str| match world.send_bytes(D1, &partner, name, bytes.clone()) {
        Received::Broken(why) => why,
        other => panic!("{name}: {other:?}"),
    };
    assert!(matches!(why(merchant(1), "XF20261122.txt"), BrokenFile::Name(_)));
    assert!(matches!(why(merchant(1), &name.replace("XF", "QS")), BrokenFile::Kind { .. }));
    assert!(matches!(why(merchant(2), &name), BrokenFile::Owner { .. }));
    let stranger = merchant(3);
    assert_eq!(
        why(stranger, &name.replace("00001001", "00003001")),
        BrokenFile::PartnerUnknown { merchant: stranger }
    );
    for (date, is_in) in [("20261022", false), ("20261023", true), ("20261123", true), ("20261124", false)] {
        let name = name.replace("20261122", date);
        let received = world.send_bytes(D1, &merchant(1), &name, bytes.clone());
        assert_eq!(matches!(received, Received::Accepted { .. }), is_in, "{date}: {received:?}");
    }
}

#[test]
fn sequences_are_watched() {
    let world = World::new();
    let alarm = |sequence| match world.send(D1, sequence, &[]) {
        Received::Accepted { alarm, .. } => alarm,
        other => panic!("{other:?}"),
    };
    assert_eq!(alarm(1), None);
    assert_eq!(alarm(4), Some(SequenceAlarm::Gap { first: 2, last: 3 }));
    let missing = |world: &World| {
        let row = world.read(|tx| queries::day(tx, day(D1))).unwrap();
        row.missing.iter().map(|file| file.sequence).collect::<Vec<_>>()
    };
    assert_eq!(missing(&world), [2, 3]);
    assert_eq!(alarm(2), Some(SequenceAlarm::Back { last: 4 }));
    assert_eq!(missing(&world), [3]);
    assert_eq!(alarm(5), None);
}

#[test]
fn a_closed_day_takes_no_files() {
    let world = World::new();
    world.close(D1);
    let (name, bytes) = file(D1, merchant(1), 1, &[]);
    world.folders.upload(merchant(1), &name, bytes.clone());
    let refused = world.clearing.receive(&merchant(1), &name, &bytes, at(D1, 120_000), day(D1));
    assert!(matches!(refused, Err(ReceiveError::DayClosed { .. })), "{refused:?}");
    assert_eq!(world.folders.list(&merchant(1), Tray::Upload).len(), 1, "the file waits");
    let all = world.clearing.receive_all(at(D2, 60_000), day(D2)).unwrap();
    assert!(matches!(all[..], [(_, _, Received::Accepted { .. })]), "{all:?}");
}

/// A program that was killed between the commit and the move: the file is in the log and still in `upload`.
#[test]
fn a_cut_move_is_finished_at_the_next_start() {
    let mut world = World::new();
    let sale = world.sale(1, 0, 5_000, 200);
    world.send(D1, 1, &[sale]);
    let (name, bytes) = file(D1, merchant(1), 1, &[sale]);
    world.folders.upload(merchant(1), &name, bytes);
    world.write(|tx| tx.execute("UPDATE clearing_file SET is_away = 0", &[]));
    assert_eq!(world.clearing.sweep().unwrap(), 1);
    assert_eq!(world.clearing.sweep().unwrap(), 0);
    assert_eq!(world.folders.list(&merchant(1), Tray::Upload), []);
    assert_eq!(
        world.folders.list(&merchant(1), Tray::Repeat),
        [],
        "the file is not taken for a repeated one"
    );
    assert_eq!(world.folders.list(&merchant(1), Tray::History).len(), 2);
}

#[test]
fn folders_on_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let folders = Arc::new(DirFolders::open(dir.path()).unwrap());
    folders.add_partner(&merchant(1)).unwrap();
    let store = Store::in_memory(MODULES).unwrap();
    found(&store, 1);
    let mut world = World::over(store, folders.clone(), Arc::new(MemoryFolders::new()));
    let sale = world.sale(1, 0, 5_000, 200);
    let (name, bytes) = file(D1, merchant(1), 1, &[sale]);
    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(folders.tray(&merchant(1), Tray::Upload).join(name), bytes).unwrap()
    };
    put(&name, &bytes);
    put(".hidden", b"half a file");
    put("rubbish", b"no file of ours");
    std::fs::create_dir(dir.path().join("no-merchant")).unwrap();
    let all = world.clearing.receive_all(at(D1, 120_000), day(D1)).unwrap();
    assert_eq!(all.iter().map(|(_, name, _)| name.as_str()).collect::<Vec<_>>(), [name.as_str(), "rubbish"]);
    put(&name, &bytes);
    put("rubbish", b"no file of ours");
    world.clearing.receive_all(at(D1, 120_000), day(D1)).unwrap();
    let count = |tray| std::fs::read_dir(folders.tray(&merchant(1), tray)).unwrap().count();
    assert_eq!([Tray::History, Tray::Repeat, Tray::Error].map(count), [1, 1, 2]);
    assert_eq!(folders.uploads().unwrap(), []);
    world.close(D1);
    assert_eq!(count(Tray::Download), 3);
    assert!(folders.bank_outbox().join("PAY20261122.xml").is_file());
}
