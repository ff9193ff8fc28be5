//! APDUs per second through PC/SC: this program's card in vpcd's reader, pcscd between, one terminal asking; beside
//! it in the other slot, and in turns, a card that answers everything at once. What the two have in common is
//! pcscd, vpcd and the wire.
//!
//! The library finds pcscd by an environment variable, so the measuring half is this program again, started
//! with the socket of the desk; so is the echo card.
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
use std::process::Command;
use std::time::{Duration, Instant};
use ykt_base::{CardChannel, Response, StatusWord};
use ykt_purse::Purse;
use ykt_purse::command;
use ykt_terminal::card;
use ykt_terminal::transport::pcsc::ReaderChannel;
use ykt_terminal::transport::vpcd::{self, InsertedCard, Stop};

/// Rounds in turns, and the time of one.
const ROUNDS: usize = 7;
const ROUND_MS: u64 = 500;
/// Tells the measuring half and the echo card from the one that sets the desk.
const MEASURE: &str = "measure-apdus";
const ECHO: &str = "echo-card";

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().position(|arg| arg == MEASURE || arg == ECHO) {
        Some(at) if args[at] == MEASURE => measure(),
        Some(at) => echo(&args[at + 1]),
        None => {
            let program = std::env::current_exe().unwrap();
            let desk = Desk::beside(&|port| {
                let mut echo = Command::new(&program);
                echo.args([ECHO, &port.to_string()]);
                echo
            });
            print!("{}", run(desk.tool(program.to_str().unwrap()).arg(MEASURE)));
        }
    }
}

/// Answers four bytes and 9000 to whatever comes.
struct Echo;

impl InsertedCard for Echo {
    fn atr(&self) -> &[u8] {
        &ykt_card::ATR_USER_CARD
    }

    fn power_off(&mut self) {}

    fn power_on(&mut self) {}

    fn answer(&mut self, _command: &[u8]) -> Response {
        Response::new(&[0; 4], StatusWord::OK).unwrap()
    }
}

fn echo(port: &str) {
    vpcd::serve(&format!("127.0.0.1:{port}"), &mut Echo, &Stop::default(), &mut |_| {}).unwrap();
}

fn measure() {
    let mut slots = ["0", "1"].map(|slot| ReaderChannel::open(slot).unwrap());
    card::select(&mut slots[0]).unwrap();
    let mut rates = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        for (slot, rates) in slots.iter_mut().zip(&mut rates) {
            rates.push(rate(slot));
        }
    }
    let [card, echo] = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[ROUNDS / 2]
    });
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load.trim());
    let report = |what: &str, rate: f64| println!("{what:<60} {rate:>9.0}/s {:>7.1} us", 1e6 / rate);
    report("APDU through PC/SC (pcscd, vpcd, card serve), one client", card);
    report("the same to a card that only echoes", echo);
    println!(
        "{:<60} {:>9.2} (bar 0.5)",
        "share of the echo card's rate, medians of 7 rounds in turns",
        card / echo
    );
}

fn rate(channel: &mut ReaderChannel) -> f64 {
    let command = command::balance(Purse::Ep);
    let (start, mut done) = (Instant::now(), 0u32);
    while start.elapsed() < Duration::from_millis(ROUND_MS) {
        assert!(channel.send(&command).unwrap().sw().is_ok());
        done += 1;
    }
    f64::from(done) / start.elapsed().as_secs_f64()
}
