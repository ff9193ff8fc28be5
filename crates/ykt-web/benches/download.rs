//! Cards per second through the key download service: lines on this machine's loopback with client certificates, 64
//! cards a call, a closed loop: open cards, ask for the commands of one step of them after the other, note them as made.
//!
//! First the keys alone: the twelve WRITE KEYs of a city card, under challenges that no card gave. Then whole cards: all
//! eighteen commands, and the chips simulated in the same processors. Both on a database on the disk. The bars, for keys
//! alone: 1,000 cards a second with the software vault, 300 with a SoftHSM2 token.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::as_conversions,
    reason = "a bench stops at the first surprise, and prints its table"
)]

#[path = "../tests/it/download/papers.rs"]
mod papers;

use papers::Papers;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use ykt_base::hex;
use ykt_base::{Asn8, Clock, Date, DateTime, Rng, Time};
use ykt_card::{ArrayMemory, Blank, Card, IMAGE_LEN_DEMO};
use ykt_crypto::Key16;
use ykt_hsm::{HsmVault, PinSource, Settings, TokenName};
use ykt_issue::profile::Action;
use ykt_issue::{CardData, Personalisation, Profile, StepRequest};
use ykt_kmc::download::client::{Client, Identity};
use ykt_kmc::download::{
    CommandCall, Download, Ending, LineKind, NewLine, NewRight, OpenCall, RightTo, Station, Wanted,
    run_abreast,
};
use ykt_office::Act;
use ykt_purse::write_key::Pin;
use ykt_store::Store;
use ykt_terminal::transport::in_process::{InProcess, SystemRng};
use ykt_vault::{DEMO_TRANSPORT_KEY, ImportedKey, KeyManagement, KeysFile, SoftVault, Vault};
use ykt_web::{App, Config, Server};

/// Length of each measurement.
const RUN: Duration = Duration::from_secs(6);
/// Lines that work at once, each with a connection of its own.
const LINES: usize = 3;
/// Cards of a call.
const CARDS: usize = 64;
/// Cards of the batch of a line: more than it makes.
const BATCH: u32 = 30_000;
/// Tells the second process, in which the token's configuration is set, where its token is.
const TOKEN: &str = "YKT_BENCH_TOKEN";
/// Where Linux distributions keep SoftHSM2.
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
];
const DOCUMENTED: &str = include_str!("../../../docs/keys.toml");

fn main() {
    if let Some(folder) = std::env::var_os(TOKEN) {
        return print("SoftHSM2 token", Arc::new(token(folder.as_ref())), 300.0);
    }
    println!(
        "Key download: mutual TLS on loopback, {LINES} lines, {CARDS} cards a call, database on the disk"
    );
    println!("{} CPUs, load average {}", thread::available_parallelism().unwrap(), load_average());
    println!();
    println!("{:<16} {:>22} {:>10} {:>22} {:>8}", "vault", "12 keys, cards/s", "bar", "whole cards/s", "");
    let soft = SoftVault::from_keys(KeysFile::parse(DOCUMENTED).unwrap()).unwrap();
    print("software vault", Arc::new(soft), 1_000.0);
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    std::fs::create_dir(folder.path().join("tokens")).unwrap();
    let tokens = folder.path().join("tokens");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    std::fs::write(&configuration, text).unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "kmc", "--so-pin", "12345678", "--pin", "1234"])
        .env("SOFTHSM2_CONF", &configuration)
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        return println!("no token: softhsm2 is not installed (scripts/setup)");
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.env(TOKEN, folder.path()).env("SOFTHSM2_CONF", &configuration).status().unwrap();
}

/// A token with the documented keys.
fn token(folder: &std::path::Path) -> HsmVault {
    std::fs::write(folder.join("pin"), "1234").unwrap();
    let module = MODULES.iter().map(std::path::PathBuf::from).find(|path| path.exists()).unwrap();
    let settings =
        Settings::new(module, TokenName::Label("kmc".to_owned()), PinSource::File(folder.join("pin")));
    let keys = KeysFile::parse(DOCUMENTED).and_then(KeysFile::into_keys).unwrap();
    let vault = HsmVault::create(settings, keys.levels, keys.origin).unwrap();
    let able = vault.capabilities();
    // A token retires the earlier of two versions of a key; the cards here have the first.
    let first = |key: &ImportedKey| key.place.key.version.0 == 1 && able.contains(&key.value.algorithm());
    for key in keys.keys.filter(first) {
        vault.import(key).unwrap();
    }
    vault
}

fn print(name: &str, vault: Arc<dyn Vault>, bar: f64) {
    let keys = measure(&vault, twelve_keys);
    let whole = measure(&vault, whole_cards);
    let verdict = if keys >= bar { "met" } else { "MISSED" };
    println!("{name:<16} {keys:>22.0} {bar:>10.0} {whole:>22.0} {verdict:>8}");
}

/// One time for all.
struct Now;

impl Clock for Now {
    fn now(&self) -> DateTime {
        DateTime { date: day("20261122"), time: Time::new(9, 0, 0).unwrap() }
    }
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// What a line does with one call's cards; how many it made.
type Work = fn(&mut Client, &str, usize) -> usize;

/// Serves, lets the lines work, and answers cards per second.
fn measure(vault: &Arc<dyn Vault>, work: Work) -> f64 {
    let program = std::env::current_exe().unwrap();
    let home =
        tempfile::Builder::new().prefix("bench-download-").tempdir_in(program.parent().unwrap()).unwrap();
    let store = Store::open(home.path(), &[ykt_office::MODULE, ykt_kmc::download::MODULE]).unwrap();
    let download = Download::new(store.clone(), Arc::clone(vault), [Profile::city_cpu()]);
    let papers = Papers::new();
    let act = Act::of_system("bench", Now.now());
    let lines: Vec<(String, Identity)> = (0..LINES)
        .map(|number| {
            let name = format!("line-{number}");
            papers.issue(&name, "ca");
            take_in(&download, &papers, &name, number, &act);
            let identity = papers.identity(&name);
            (name, identity)
        })
        .collect();
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.download.listen = Some("127.0.0.1:0".parse().unwrap());
    config.download.certificate = Some(papers.path("server.pem"));
    config.download.key = Some(papers.path("server.key"));
    config.download.client_ca = Some(papers.path("ca.pem"));
    let rng = || Box::new(SystemRng) as Box<dyn Rng>;
    let app =
        App { store, vault: Some(Arc::clone(vault)), clock: Arc::new(Now), rng: Arc::new(rng), centre: None };
    let server = Server::bind(config, app).unwrap();
    let address = format!("localhost:{}", server.download_address().unwrap().port());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = runtime.spawn(server.run(async move { drop(stopped.await) }));
    let started = Instant::now();
    let made: usize = thread::scope(|scope| {
        let at_work: Vec<_> = lines
            .iter()
            .map(|(name, identity)| {
                let mut client = Client::new(&address, identity).unwrap();
                scope.spawn(move || {
                    let mut made = 0;
                    while started.elapsed() < RUN {
                        made += work(&mut client, name, made);
                    }
                    made
                })
            })
            .collect();
        at_work.into_iter().map(|line| line.join().unwrap()).sum()
    });
    let rate = made as f64 / started.elapsed().as_secs_f64();
    stop.send(()).unwrap();
    runtime.block_on(running).unwrap().unwrap();
    rate
}

/// A line with a batch of its own.
fn take_in(download: &Download, papers: &Papers, name: &str, number: usize, act: &Act) {
    let (kind, certificate) = (LineKind::Personalisation, papers.fingerprint(name));
    download.add_line(&NewLine { name: name.to_owned(), kind, certificate }, act).unwrap();
    let cards: String = (0..BATCH).map(|card| format!("2144{number:04}{card:08},2144\n")).collect();
    download.load_batch(name, "city-cpu", &format!("card,city\n{cards}"), act).unwrap();
    let right = NewRight {
        line: name.to_owned(),
        to: RightTo::cards("city-cpu", Some(name)),
        quota: BATCH,
        from: day("20261101"),
        until: day("20261130"),
    };
    download.give_right(&right, act).unwrap();
}

fn next(line: &str, made: usize) -> OpenCall {
    OpenCall {
        operation: format!("op-{made}"),
        application: "city-cpu".to_owned(),
        batch: Some(line.to_owned()),
        cards: Wanted::Next(CARDS),
    }
}

/// The WRITE KEYs of each card, the PIN among them.
fn twelve_keys(client: &mut Client, line: &str, made: usize) -> usize {
    let profile = Profile::city_cpu();
    let pin = Pin::from_digits("123456").unwrap();
    let open = client.open(&next(line, made)).unwrap().open;
    let mut keys = 0;
    for (step, action) in (1..).zip(profile.steps.iter().map(|step| &step.action)) {
        let data = match action {
            Action::WriteKey(_) => &[][..],
            Action::WritePin { .. } => pin.as_bytes(),
            _ => continue,
        };
        keys += 1;
        let request = StepRequest { step, block: None, iv: [0xA1, 0xB2, 0xC3, 0xD4, 0, 0, 0, 0], data };
        let calls: Vec<_> = open.iter().map(|card| CommandCall { card: card.id, request }).collect();
        let refused = client.commands(&calls).unwrap().into_iter().find_map(Result::err);
        assert_eq!(refused, None);
    }
    assert_eq!(keys, 12);
    finish(client, open.iter().map(|card| (card.id, Ending::Made)).collect())
}

/// The cards themselves, from blank chips.
fn whole_cards(client: &mut Client, line: &str, made: usize) -> usize {
    let profile = Profile::city_cpu();
    let open = client.open(&next(line, made)).unwrap().open;
    let pin = Pin::from_digits("123456").unwrap();
    let data: Vec<_> = open
        .iter()
        .map(|card| {
            let asn = Asn8(hex::decode(&card.card.card).unwrap());
            CardData::of_city(asn, [0x21, 0x44], day("20261122"), day("20361231"), pin.clone())
        })
        .collect();
    let transport = Key16::from_bytes(DEMO_TRANSPORT_KEY);
    let mut stations: Vec<_> = open
        .iter()
        .zip(&data)
        .map(|(card, data)| {
            let memory = Box::new(ArrayMemory::<IMAGE_LEN_DEMO>::new());
            let blank = Card::blank(*memory, &Blank::user_card(data.asn.0, &transport)).unwrap();
            Station::new(card.id, InProcess::new(blank, SystemRng), Personalisation::card(&profile, data))
        })
        .collect();
    run_abreast(&mut stations, |calls| client.commands(calls)).unwrap();
    let endings: Vec<_> = stations.iter().map(|station| (station.card, station.ending())).collect();
    assert!(endings.iter().all(|(_, ending)| *ending == Ending::Made));
    finish(client, endings)
}

fn finish(client: &mut Client, endings: Vec<(u32, Ending)>) -> usize {
    assert!(client.finish(&endings).unwrap().iter().all(Option::is_none));
    endings.len()
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}
