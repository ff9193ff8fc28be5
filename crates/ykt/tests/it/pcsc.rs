//! Cards and PSAMs through PC/SC, with other people's programs as referees: scriptor and opensc-tool, which type
//! dialogues, and pyscard clients with keys and MACs of their own.

use crate::foreign::hold_dialogues;
use crate::pcsc_desk::{Desk, keys, run};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Debian's interpreter: python3-pyscard and python3-pycryptodome belong to it.
const PYTHON: &str = "/usr/bin/python3";

fn balance_fen(desk: &Desk) -> i64 {
    let json = run(desk.ykt().args(["pos", "balance", "--card", "0", "--json"]));
    serde_json::from_str::<Value>(&json).unwrap()["balance_fen"].as_i64().unwrap()
}

#[test]
fn referees_read_load_and_pay_through_pcscd() {
    let desk = Desk::new();

    let load = ["pos", "load", "--card", "0", "--amount", "50", "--keys", keys()];
    assert!(run(desk.ykt().args(load)).contains("50.00 yuan loaded, balance 50.00 yuan"));

    let records = desk.path("pos.records");
    let pay = ["pos", "purchase", "--card", "0", "--psam", "1", "--amount", "2.50", "--records"];
    assert!(
        run(desk.ykt().args(pay).arg(&records)).contains("paid: 2.50 yuan, balance 47.50 yuan; record 1")
    );
    assert_eq!(balance_fen(&desk), 4_750);

    hold_dialogues(&desk);

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/foreign/clients.py");
    // -B: the interpreter leaves no compiled files beside the sources.
    let said = run(desk.tool(PYTHON).args(["-B", script, keys(), "0", "1"]));
    let said: Value = serde_json::from_str(&said).unwrap();
    let citys = 4_750 + 3_000 - 120 - 80 - 60;
    let rides = 10_000 - 250 - 100 - 50 - 1;
    let locks = rides + 20_000 - 4_500 - 1_000 - 10 + 10;
    assert_eq!(
        said,
        json!({
            "card": "2144000000000031",
            "city_fen": citys,
            "after_rides_fen": rides,
            "after_locks_fen": locks,
            "when_blocked_fen": locks - 1,
        })
    );
    assert_eq!(balance_fen(&desk), citys);

    let log = run(desk.ykt().args(["pos", "log", "--card", "0", "--json"]));
    let log: Vec<Value> = serde_json::from_str(&log).unwrap();
    let types: Vec<&str> = log.iter().map(|record| record["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["06", "06", "06", "02", "06", "02"], "newest first");
    assert_eq!(log[2]["terminal"], "FEEDFEED0002");

    let batch = ["pos", "batch", "--out", ".", "--records"];
    let said = run(desk.ykt().current_dir(desk.path("")).args(batch).arg(&records));
    assert!(said.contains("1 records (0 grey), 2.50 yuan"), "{said}");
}

/// The C program of the issuing interface, on a card in a reader.
#[test]
fn a_c_program_reads_a_card_through_pcscd() {
    let desk = Desk::new();
    let test = std::env::current_exe().unwrap();
    let libraries = test.parent().unwrap();
    let capi = concat!(env!("CARGO_MANIFEST_DIR"), "/../ykt-capi");
    let program = desk.path("issuing");
    let mut cc = Command::new("cc");
    cc.arg("-o").arg(&program).arg(format!("{capi}/tests/it/issuing.c")).arg(format!("-I{capi}/include"));
    run(cc.arg("-L").arg(libraries).arg("-lykt_issuing"));
    let mut reads = desk.tool(program.to_str().unwrap());
    reads.arg("pcsc:0").env("LD_LIBRARY_PATH", libraries).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut reads = reads.spawn().unwrap();
    let steps = "GetHardInfo\nSelectFile 04 00 0 A00000000386980701\nReadBinary 00 95 00\nGetChallenge 8\n";
    reads.stdin.take().unwrap().write_all(steps.as_bytes()).unwrap();
    let said = reads.wait_with_output().unwrap();
    assert!(
        said.status.success(),
        "{said:?}; the library knows readers only when built with the feature pcsc"
    );
    let said = String::from_utf8(said.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines[0], lines.len()), ("0", 5), "{said}");
    assert!(lines[1..].iter().all(|line| line.starts_with("0 9000 ")), "{said}");
    assert!(lines[3].contains("2144000000000031"), "the card's number: {said}");
}
