//! APDUs per second through PC/SC: this program's card in vpcd's reader, pcscd between, one terminal asking.
//!
//! The library finds pcscd by an environment variable, so the measuring half is this program again, started
//! with the socket of the desk.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "a benchmark measures and prints"
)]

#[path = "../tests/it/pcsc_desk.rs"]
#[allow(dead_code, reason = "the tests' desk can do more than is measured here")]
mod pcsc_desk;

use pcsc_desk::{Desk, run};
use std::time::{Duration, Instant};
use ykt_base::CardChannel;
use ykt_purse::Purse;
use ykt_purse::command;
use ykt_terminal::card;
use ykt_terminal::transport::pcsc::ReaderChannel;

/// Time the measurement takes.
const MEASURE_S: u64 = 3;
/// Tells the measuring half from the one that sets the desk.
const MEASURE: &str = "measure-apdus";

fn main() {
    if std::env::args().any(|arg| arg == MEASURE) {
        return measure();
    }
    let desk = Desk::new();
    let program = std::env::current_exe().unwrap();
    print!("{}", run(desk.tool(program.to_str().unwrap()).arg(MEASURE)));
}

fn measure() {
    let mut channel = ReaderChannel::open("0").unwrap();
    card::select(&mut channel).unwrap();
    let command = command::balance(Purse::Ep);
    let (start, mut done) = (Instant::now(), 0u32);
    while start.elapsed() < Duration::from_secs(MEASURE_S) {
        assert!(channel.send(&command).unwrap().sw().is_ok());
        done += 1;
    }
    let rate = f64::from(done) / start.elapsed().as_secs_f64();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load.trim());
    println!(
        "APDU through PC/SC (pcscd, vpcd, card serve), one client    {rate:>9.0}/s {:>7.1} us",
        1e6 / rate
    );
}
