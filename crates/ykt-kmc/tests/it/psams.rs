//! PSAMs are made of blank chips, one number each, whatever happens in between.

use crate::chips::{CITY, Chip, Counting, Fault, Ticking, act, day, signer, store, told, vault};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use ykt_base::{KeyIndex, PosNo, PsamSerial};
use ykt_issue::Profile;
use ykt_issue::profile::SHIPPED;
use ykt_kmc::psams::{
    self, BatchError, BatchFilter, BatchState, Line, LineError, Made, NewBatch, PsamFilter, PsamState, Stage,
};
use ykt_office::merchants::{self, NewMerchant};
use ykt_office::terminals::{self, NewTerminal};
use ykt_store::{Paging, Store};
use ykt_vault::{KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, SoftVault, Vault};

const FIRST: &str = "00002144000000000009";

fn profile_text() -> String {
    SHIPPED.iter().find(|(name, _)| *name == "psam").unwrap().1.to_owned()
}

fn batch(id: &str, count: u32) -> NewBatch {
    NewBatch {
        id: id.to_owned(),
        profile: profile_text(),
        count,
        first_serial: FIRST.parse().unwrap(),
        first_terminal: "214400000009".parse().unwrap(),
        issuer: CITY,
        receiver: [0; 8],
        key_index: KeyIndex(1),
        start: day("2026-01-01"),
        expiry: day("2036-12-31"),
        label: "City purse".to_owned(),
        terminals: Vec::new(),
    }
}

fn open(store: &Store, new: &NewBatch) {
    store.write(|tx| psams::open(tx, new, &Profile::psam(), &act())).unwrap();
}

/// A desk with a batch.
struct Desk {
    store: Store,
    vault: Arc<SoftVault>,
    clock: Ticking,
    stop: AtomicBool,
}

impl Desk {
    fn with(new: &NewBatch) -> Desk {
        let desk =
            Desk { store: store(), vault: vault(), clock: Ticking::new(), stop: AtomicBool::new(false) };
        open(&desk.store, new);
        desk
    }

    fn line(&self, id: &str) -> Line<'_> {
        let who = ("operator1", "desk 7");
        Line::open(&self.store, &*self.vault, &self.clock, who, id, &self.stop).unwrap()
    }

    fn make(&self, id: &str, chip: &mut Chip) -> Made {
        self.line(id).make(chip, &mut |_| {}).unwrap()
    }

    fn states(&self) -> Vec<PsamState> {
        let page = self.store.read(|tx| psams::list(tx, &PsamFilter::default(), Paging::default())).unwrap();
        page.rows.into_iter().map(|psam| psam.state).collect()
    }
}

fn chip(number: u8) -> Chip {
    Chip::blank(&Profile::psam(), number)
}

fn serial(last: u8) -> PsamSerial {
    let mut serial: PsamSerial = FIRST.parse().unwrap();
    serial.0[9] = last;
    serial
}

#[test]
fn a_batch_is_made_step_by_step_told_and_signed() {
    let desk = Desk::with(&batch("B-1", 3));
    let line = desk.line("B-1");
    let mut stages = Vec::new();
    let made = line.make(&mut chip(1), &mut |moment| {
        assert_eq!(moment.of, Profile::psam().steps.len());
        stages.push(moment.stage);
    });
    let Made::Produced(psam) = made.unwrap() else { panic!("the first chip becomes a PSAM") };
    assert_eq!((psam.serial, psam.number, psam.state), (serial(0x09), 1, PsamState::Produced));
    stages.dedup();
    assert_eq!(stages, Stage::ALL, "each of the eight is told");

    let keys = desk.store.read(|tx| psams::keys_of(tx, &psam.serial)).unwrap();
    let usages: Vec<u8> = keys.iter().map(|key| key.usage).collect();
    assert_eq!(usages, [0x00, 0x01, 0x00, 0x01, 0x42], "the initialisation key has given way");
    let root = KeyRef::new(KeyKind::Purchase, 1, 1);
    let root = desk.vault.list().unwrap().into_iter().find(|info| info.key == root).unwrap();
    assert_eq!(keys.last().unwrap().kcv, Some(root.kcv), "two levels left of two: the root itself");

    let early = line.close(&*signer(&desk.vault), &mut Counting(1)).unwrap_err();
    assert!(early.to_string().contains("2 PSAMs wait"), "{early}");
    for number in [2, 3] {
        assert!(matches!(desk.make("B-1", &mut chip(number)), Made::Produced(_)));
    }
    assert_eq!(desk.make("B-1", &mut chip(4)), Made::NothingWaits);

    let protocol = line.close(&*signer(&desk.vault), &mut Counting(1)).unwrap();
    assert!(protocol.is_genuine());
    assert!(protocol.text.contains("3 PSAMs: 3 produced, 0 stopped"), "{}", protocol.text);
    assert!(protocol.text.contains("00002144000000000011  214400000011  produced"), "{}", protocol.text);
    let mut altered = protocol.clone();
    altered.text = altered.text.replacen("produced", "stopped", 1);
    assert!(!altered.is_genuine());
    let kept = desk.store.read(|tx| psams::signed_protocol(tx, "B-1")).unwrap();
    assert_eq!(kept, Some(protocol));
    let closed = Line::open(&desk.store, &*desk.vault, &desk.clock, ("a", "b"), "B-1", &desk.stop);
    assert!(matches!(closed, Err(LineError::Closed { .. })));

    let labels = desk.store.read(|tx| psams::labels(tx, "B-1")).unwrap();
    let csv = psams::labels_csv(&labels);
    assert_eq!((labels.len(), csv.lines().count()), (3, 4));
    assert!(csv.contains("00002144000000000010,214400000010,B-1,\"City purse\",2036-12-31,00:"), "{csv}");
    let told = told(&desk.store);
    let words: Vec<&str> = told.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(words, ["psam/batch", "psam/produced", "psam/produced", "psam/produced", "psam/batch"]);
    let batches =
        desk.store.read(|tx| psams::batches(tx, &BatchFilter::default(), Paging::default())).unwrap();
    assert_eq!((batches.rows[0].state, batches.rows[0].counts.produced), (BatchState::Closed, 3));
}

/// The chip is taken out at every command, once before the chip has it and once after: it comes back, goes on, and is
/// the PSAM it was about to become.
#[test]
fn taken_out_at_every_command_a_chip_is_finished_when_it_comes_back() {
    let commands = {
        let desk = Desk::with(&batch("B-1", 1));
        let mut whole = chip(1);
        desk.make("B-1", &mut whole);
        whole.sent
    };
    assert!(commands > 30, "{commands}");
    for at in 2..=commands {
        for fault in [Fault::Before, Fault::After] {
            let desk = Desk::with(&batch("B-1", 2));
            let mut cut = chip(1);
            cut.fault = Some((at, fault));
            let made = desk.make("B-1", &mut cut);
            assert!(matches!(made, Made::Interrupted { .. }), "{at} {fault:?}: {made:?}");
            assert_eq!(desk.states(), [PsamState::InWork, PsamState::Waiting]);
            cut.mend();
            let made = desk.make("B-1", &mut cut);
            let Made::Produced(psam) = made else { panic!("{at} {fault:?}: {made:?}") };
            assert_eq!(psam.serial, serial(0x09));
            assert_eq!(desk.states(), [PsamState::Produced, PsamState::Waiting], "no second number");
        }
    }
}

#[test]
fn a_wrong_answer_stops_the_chip_and_the_batch_goes_on() {
    for at in (2..33).step_by(3) {
        let desk = Desk::with(&batch("B-1", 2));
        let mut wrong = chip(1);
        wrong.fault = Some((at, Fault::Says(0x6F00)));
        let Made::Stopped { psam, why } = desk.make("B-1", &mut wrong) else { panic!("command {at}") };
        assert!(why.starts_with("step ") && why.contains("found 6F00"), "{why}");
        assert_eq!((psam.serial, psam.note.clone()), (serial(0x09), why.clone()));
        wrong.mend();
        let again = desk.make("B-1", &mut wrong);
        let next_number = matches!(&again, Made::Produced(psam) if psam.serial == serial(0x10));
        let refused = matches!(&again, Made::Refused { why } if why.contains("stopped"));
        assert!(
            refused || (at == 2 && next_number),
            "a chip that is spoiled gets no second number: {again:?}"
        );
        if refused {
            assert!(matches!(desk.make("B-1", &mut chip(2)), Made::Produced(_)));
        }
        assert_eq!(desk.states(), [PsamState::Stopped, PsamState::Produced]);
        let protocol = desk.line("B-1").close(&*signer(&desk.vault), &mut Counting(1)).unwrap();
        assert!(protocol.text.contains("1 produced, 1 stopped") && protocol.text.contains(&why));
        assert!(told(&desk.store).contains(&("psam/stopped".to_owned(), serial(0x09).to_string())));
    }
}

#[test]
fn what_is_no_blank_psam_of_ours_is_refused_and_costs_no_number() {
    let desk = Desk::with(&batch("B-1", 1));
    let refused = |chip: &mut Chip| match desk.make("B-1", chip) {
        Made::Refused { why } => why,
        made => panic!("{made:?}"),
    };
    let user = refused(&mut Chip::blank(&Profile::city_cpu(), 8));
    assert!(user.contains("expected a PSAM's chip (kind 01), found kind 00"), "{user}");
    assert_eq!(desk.states(), [PsamState::Waiting]);
    let mut first = chip(1);
    desk.make("B-1", &mut first);
    let again = refused(&mut first);
    assert!(again.contains("this chip is PSAM 00002144000000000009 of batch B-1, produced"), "{again}");
    let mut silent = chip(3);
    silent.fault = Some((1, Fault::Before));
    assert!(refused(&mut silent).contains("GET HARD INFO"));
}

/// A chip of another vendor: the first command under the transport key says so, and costs that chip.
#[test]
fn a_chip_with_another_transport_key_is_stopped_in_step_one() {
    let desk = Desk::with(&batch("B-1", 2));
    let mut foreign = Chip::made(&Profile::psam(), 5, [0x55; 16], |_| {});
    let Made::Stopped { why, .. } = desk.make("B-1", &mut foreign) else { panic!("a foreign chip") };
    assert!(why.contains("step 1 of 8") && why.contains("6988"), "{why}");
    desk.store.write(|tx| psams::again(tx, "B-1", &serial(0x09), "chip destroyed", &act())).unwrap();
    let Made::Produced(psam) = desk.make("B-1", &mut chip(6)) else { panic!("the number was free again") };
    assert_eq!(psam.serial, serial(0x09));
    let twice = desk.store.write(|tx| psams::again(tx, "B-1", &serial(0x09), "", &act())).unwrap_err();
    assert!(matches!(twice, BatchError::State { found: PsamState::Produced, .. }), "{twice}");
}

/// The vault has no usable key in the middle: the line stands still, nothing is half done, and it goes on later.
#[test]
fn a_vault_that_refuses_stops_the_line_and_not_the_chip() {
    let desk = Desk::with(&batch("B-1", 1));
    let place = KeyPlace::root(KeyRef::new(KeyKind::SamApplicationMaster, 1, 1));
    desk.vault.change_state(&place, KeyState::Retired).unwrap();
    let mut first = chip(1);
    let error = desk.line("B-1").make(&mut first, &mut |_| {}).unwrap_err();
    assert!(matches!(error, LineError::Vault(_)), "{error}");
    assert!(error.to_string().contains("put the same chip in"));
    assert_eq!(desk.states(), [PsamState::InWork]);
    let left = desk.store.read(|tx| psams::unfinished(tx, "B-1")).unwrap();
    assert_eq!(left[0].stage, Some(Stage::ApplicationMaster));
    desk.vault.change_state(&place, KeyState::Active).unwrap();
    assert!(matches!(desk.make("B-1", &mut first), Made::Produced(_)));
}

#[test]
fn told_to_stop_the_line_ends_between_two_commands() {
    let desk = Desk::with(&batch("B-1", 1));
    let mut first = chip(1);
    let made = desk.line("B-1").make(&mut first, &mut |moment| {
        if moment.number == 10 {
            desk.stop.store(true, Ordering::Relaxed);
        }
    });
    assert!(matches!(made.unwrap(), Made::Interrupted { psam, .. } if psam.steps_done == 10));
    desk.stop.store(false, Ordering::Relaxed);
    let mut numbers = Vec::new();
    desk.line("B-1").make(&mut first, &mut |moment| numbers.push(moment.number)).unwrap();
    assert_eq!(numbers.first(), Some(&11), "it goes on where it stood");
}

#[test]
fn a_chip_that_never_comes_back_is_stopped_by_hand() {
    let desk = Desk::with(&batch("B-1", 1));
    let mut lost = chip(1);
    lost.fault = Some((20, Fault::Before));
    desk.make("B-1", &mut lost);
    let by_hand =
        desk.store.write(|tx| psams::stopped_for_good(tx, "B-1", &serial(0x09), "the chip is lost", &act()));
    by_hand.unwrap();
    assert_eq!(desk.states(), [PsamState::Stopped]);
    assert!(
        desk.line("B-1").close(&*signer(&desk.vault), &mut Counting(1)).unwrap().text.contains("is lost")
    );
}

#[test]
fn no_number_is_given_twice_and_wrong_orders_are_named() {
    let store = store();
    open(&store, &batch("B-1", 3));
    open(&store, &batch("B-1", 3));
    let asked = |new: &NewBatch| {
        store.write(|tx| psams::open(tx, new, &Profile::psam(), &act())).unwrap_err().to_string()
    };
    type Change = fn(&mut NewBatch);
    let cases: [(Change, &str); 8] = [
        (|new| new.count = 4, "another number of PSAMs: found 3, asked for 4"),
        (|new| new.expiry = day("2037-01-01"), "another last day: found 2036-12-31"),
        (|new| new.id = "B-2".to_owned(), "serial number 00002144000000000009 belongs to batch B-1"),
        (
            |new| {
                (new.id, new.first_serial) = ("B-2".to_owned(), "00002144000000000100".parse().unwrap());
            },
            "terminal id 214400000009 belongs to batch B-1",
        ),
        (|new| new.id = "a batch".to_owned(), "its id must be 1 to 32 of A-Z"),
        (
            |new| (new.id, new.count) = ("B-3".to_owned(), 0),
            "the number of PSAMs must be 1 to 10000, found 0",
        ),
        (|new| (new.id, new.label) = ("B-3".to_owned(), "x".repeat(61)), "at most 60 characters, found 61"),
        (
            |new| (new.id, new.first_serial) = ("B-3".to_owned(), "99999999999999999999".parse().unwrap()),
            "decimal digits with room for 3 numbers",
        ),
    ];
    for (change, words) in cases {
        let mut new = batch("B-1", 3);
        change(&mut new);
        let said = asked(&new);
        assert!(said.contains(words), "expected `{words}` in `{said}`");
    }
}

#[test]
fn a_finished_psam_goes_into_the_register_of_its_terminal() {
    let pos: PosNo = "POS00001".parse().unwrap();
    let unknown: PosNo = "POS00002".parse().unwrap();
    let desk = Desk::with(&NewBatch { terminals: vec![pos, unknown], ..batch("B-1", 3) });
    let code = "M00000000000001".parse().unwrap();
    let merchant = NewMerchant {
        code,
        name_zh: "公交".to_owned(),
        name_en: "Bus".to_owned(),
        industry: 1,
        address: String::new(),
    };
    desk.store
        .write(|tx| {
            merchants::register(tx, &merchant, &act()).unwrap();
            terminals::register(tx, &NewTerminal { pos, merchant: code }, &act()).unwrap();
            Ok::<_, ykt_store::StoreError>(())
        })
        .unwrap();
    let notes: Vec<String> = (1..=3)
        .map(|number| match desk.make("B-1", &mut chip(number)) {
            Made::Produced(psam) => psam.note,
            made => panic!("{made:?}"),
        })
        .collect();
    assert_eq!((&*notes[0], &*notes[2]), ("in terminal POS00001", ""));
    assert!(
        notes[1].contains("not in terminal POS00002: terminal POS00002 is not registered"),
        "{}",
        notes[1]
    );
    let row = desk.store.read(|tx| terminals::terminal(tx, &pos)).unwrap().unwrap();
    assert_eq!(row.pair.unwrap().psam_serial, serial(0x09));
}
