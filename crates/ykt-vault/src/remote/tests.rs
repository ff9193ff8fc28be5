//! A vault behind a line behaves as one in the process; a line that breaks costs one call at most, and no order is done
//! twice.

use super::*;
use crate::behaviour::{self, KEYS};
use crate::manage::{KeyManagement, KeyPlace};
use crate::vault::{CardKeyRef, KeyRef, Receipt, TacJob, TacVerdict, Vault};
use crate::wire::{self, Answer, Frame, Message, Question};
use crate::{Health, KeyAlgorithm, KeyKind, KeyState, KeysFile, Origin, SoftVault, VaultError};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use ykt_base::{DateTime, Rng, TerminalSeq};
use ykt_purse::purchase::{Purchase, PurchaseKind};
use ykt_purse::{Purse, PurseFen};

/// Counts up: never the same bytes twice in a row.
pub(crate) struct Counting(pub(crate) u8);

impl Rng for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

/// A vault that a thread serves until this is dropped.
pub(crate) struct Served {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
    address: String,
    events: Arc<Mutex<Vec<String>>>,
}

impl Served {
    pub(crate) fn at(endpoint: &Endpoint, vault: Arc<dyn KeyManagement>) -> Served {
        let server = Server::bind(endpoint).unwrap();
        let (stop, address) = (server.stop_handle(), server.address().to_owned());
        let seed = AtomicU8::new(0);
        let rng = move || Box::new(Counting(seed.fetch_add(77, Ordering::SeqCst))) as Box<dyn Rng>;
        let service = Service::new(vault, rng);
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        let report = move |event| heard.lock().unwrap().push(format!("{event:?}"));
        let thread = std::thread::spawn(move || server.serve(&service, &report));
        Served { stop, thread: Some(thread), address, events }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

pub(crate) fn socket(folder: &Path) -> Endpoint {
    Endpoint::Unix(folder.join("vault.sock"))
}

pub(crate) fn documented() -> Arc<SoftVault> {
    Arc::new(SoftVault::from_keys(KeysFile::parse(KEYS).unwrap()).unwrap())
}

/// Vector `purchase/EP type 06`: a right TAC under [`documented`].
pub(crate) fn tac_job() -> TacJob {
    let (factor, asn) = ("01011000FFFFFFFF".parse().unwrap(), "1700010170907984".parse().unwrap());
    let purchase = Purchase {
        kind: PurchaseKind::Purchase(Purse::Ep),
        amount: PurseFen::from_bytes([0, 0, 0, 150]).unwrap(),
        terminal: "360486600002".parse().unwrap(),
    };
    let at = DateTime::from_number(20_240_131_123_456).unwrap();
    TacJob {
        key: CardKeyRef { key: KeyRef::new(KeyKind::Tac, 1, 1), factor, asn },
        receipt: Receipt::Purchase { purchase, sequence: TerminalSeq(0x11), at },
        tac: "2C8978F0".parse().unwrap(),
    }
}

#[test]
fn behaves_as_the_vault_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = socket(folder.path());
    let vault = RemoteVault::connect(&endpoint).unwrap();
    assert!(matches!(vault.status().health, Health::Gone { .. }), "it is not served yet");
    let soft = documented();
    let served = Served::at(&endpoint, Arc::clone(&soft) as Arc<dyn KeyManagement>);
    assert_eq!(behaviour::deviations(&vault), Vec::<String>::new());
    assert_eq!(behaviour::management(&vault), Vec::<String>::new());
    assert_eq!(vault.list(), soft.list());
    assert_eq!(vault.capabilities(), soft.capabilities());
    assert_eq!(vault.status().keys, soft.status().keys);
    drop(served);
    assert!(vault.list().is_err_and(|error| error.is_outage()));
    let status = vault.status();
    assert!(matches!(status.health, Health::Gone { .. }));
    assert_eq!(status.keys, soft.status().keys, "what is known of it is still said");
}

#[test]
fn derives_as_the_vectors_say() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = socket(folder.path());
    let _served = Served::at(&endpoint, Arc::new(SoftVault::empty(behaviour::levels(), Origin::Demo)));
    let vault = RemoteVault::connect(&endpoint).unwrap();
    assert_eq!(behaviour::derivations(&vault), Vec::<String>::new());
}

#[test]
fn only_its_owner_opens_the_socket_and_only_one_serves_it() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = socket(folder.path());
    let served = Served::at(&endpoint, documented());
    let path = folder.path().join("vault.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    assert!(Server::bind(&endpoint).is_err_and(|error| error.to_string().contains("somebody serves")));
    drop(served);
    assert!(!path.exists());
    drop(UnixListener::bind(&path).unwrap());
    drop(Served::at(&endpoint, documented()));
    std::fs::write(&path, "no socket").unwrap();
    assert!(Server::bind(&endpoint).is_err_and(|error| error.to_string().contains("no socket")));
}

/// The other side was restarted between two questions: nobody notices.
#[test]
fn an_old_line_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = socket(folder.path());
    let vault = RemoteVault::connect(&endpoint).unwrap();
    for _ in 0..2 {
        let served = Served::at(&endpoint, documented());
        assert!(vault.list().is_ok());
        drop(served);
    }
    assert!(vault.list().is_err_and(|error| error.is_outage()));
}

/// More TACs than one message takes, from more threads than there are lines.
#[test]
fn masses_go_in_several_messages_and_on_many_lines() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = socket(folder.path());
    let soft = documented();
    let _served = Served::at(&endpoint, Arc::clone(&soft) as Arc<dyn KeyManagement>);
    let vault = RemoteVault::connect(&endpoint).unwrap();
    let job = tac_job();
    let jobs = vec![job; wire::JOBS_PER_MESSAGE_MAX + 1];
    assert_eq!(vault.verify_tacs(&jobs), Ok(vec![TacVerdict::Right; jobs.len()]));
    std::thread::scope(|scope| {
        for _ in 0..LINES_MAX * 2 {
            scope.spawn(|| assert_eq!(vault.verify_tacs(&[job]), soft.verify_tacs(&[job])));
        }
    });
}

/// Passes frames on, and swallows the next few answers.
fn swallowing(path: &Path, to: &Path, swallow: &Arc<AtomicUsize>) {
    let listener = UnixListener::bind(path).unwrap();
    let (to, swallow) = (to.to_owned(), Arc::clone(swallow));
    std::thread::spawn(move || {
        for line in listener.incoming() {
            let (mut near, mut far) = (line.unwrap(), UnixStream::connect(&to).unwrap());
            while let Ok(message) = whole_frame(&mut near) {
                far.write_all(&message).unwrap();
                let answer = whole_frame(&mut far).unwrap();
                let swallowed =
                    swallow.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                if swallowed.is_ok() {
                    break;
                }
                near.write_all(&answer).unwrap();
            }
        }
    });
}

fn whole_frame(line: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut header = [0; 5];
    line.read_exact(&mut header)?;
    let len = u32::from_be_bytes(header[..4].try_into().unwrap());
    let mut frame = header.to_vec();
    line.take(len.into()).read_to_end(&mut frame)?;
    Ok(frame)
}

#[test]
fn an_order_whose_answer_was_lost_is_done_once() {
    let folder = tempfile::tempdir().unwrap();
    let (soft, endpoint) = (documented(), socket(folder.path()));
    let served = Served::at(&endpoint, Arc::clone(&soft) as Arc<dyn KeyManagement>);
    let between = folder.path().join("between.sock");
    let swallow = Arc::new(AtomicUsize::new(0));
    swallowing(&between, &folder.path().join("vault.sock"), &swallow);
    let vault = RemoteVault::connect(&Endpoint::Unix(between)).unwrap();
    let place = |version| KeyPlace::root(KeyRef::new(KeyKind::Load, 1, version));
    let generate = |version| vault.generate(place(version), KeyAlgorithm::Tdes, &mut Counting(0));
    let there = |version| soft.list().unwrap().iter().any(|info| info.place() == place(version));

    let first = generate(7).unwrap();
    assert!(matches!(generate(7), Err(VaultError::AlreadyThere { .. })), "another order, though alike");

    // The answer is lost on the line that was in use and on the next one.
    swallow.store(2, Ordering::SeqCst);
    assert!(generate(8).unwrap_err().is_outage());
    assert!(there(8), "it was carried out all the same");
    let again = generate(8).unwrap();
    assert_eq!((again.place(), again.state), (place(8), KeyState::Generated));
    assert_ne!(again.kcv, first.kcv);
    assert!(matches!(generate(8), Err(VaultError::AlreadyThere { .. })));

    // Lost once on an old line, it comes on the next by itself.
    swallow.store(1, Ordering::SeqCst);
    assert!(generate(9).is_ok());

    // Lost, and then keys of the family changed: the order is judged by what there is now.
    swallow.store(2, Ordering::SeqCst);
    assert!(vault.change_state(&place(8), KeyState::Active).unwrap_err().is_outage());
    soft.change_state(&place(8), KeyState::Retired).unwrap();
    let other = RemoteVault::connect(&endpoint).unwrap();
    other.change_state(&place(9), KeyState::Active).unwrap();
    vault.change_state(&place(8), KeyState::Active).unwrap();
    let state =
        |version| soft.list().unwrap().iter().find(|info| info.place() == place(version)).unwrap().state;
    assert_eq!((state(8), state(9)), (KeyState::Active, KeyState::Retired));
    let events = served.events.lock().unwrap().join("\n");
    assert!(events.contains("Repeated") && events.contains("generate the load key"), "{events}");
}

/// A certificate with its key, and the certificates of its peers.
fn tls_files(folder: &Path, name: &str, peers: &[&str]) -> TlsFiles {
    let at = |ending: &str| folder.join(format!("{name}.{ending}"));
    let pem = |name: &str| std::fs::read_to_string(folder.join(format!("{name}.pem"))).unwrap();
    std::fs::write(at("peers"), peers.iter().map(|peer| pem(peer)).collect::<String>()).unwrap();
    TlsFiles { certificate: at("pem"), key: at("key"), peers: at("peers") }
}

fn make_certificate(folder: &Path, name: &str) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), made.cert.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
}

#[test]
fn over_tls_each_side_takes_the_certificates_it_knows_only() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    ["vault", "centre", "stranger"].iter().for_each(|name| make_certificate(folder, name));
    let own = tls_files(folder, "vault", &["centre"]);
    let served = Served::at(&Endpoint::parse("tls:127.0.0.1:0", Some(own)).unwrap(), documented());
    let client = |name, server| {
        let files = tls_files(folder, name, &[server]);
        RemoteVault::connect(&Endpoint::parse(&served.address, Some(files)).unwrap()).unwrap()
    };
    assert_eq!(behaviour::deviations(&client("centre", "vault")), Vec::<String>::new());
    let refusals =
        [("stranger", "vault", "AccessDenied"), ("centre", "stranger", "invalid peer certificate")];
    for (name, server, word) in refusals {
        let refused = client(name, server).list().unwrap_err();
        assert!(refused.is_outage() && refused.to_string().contains(word), "{refused}");
    }
    let mut plain = TcpStream::connect(served.address.trim_start_matches("tls:")).unwrap();
    Frame::of(&Message::Begin).write(&mut plain).unwrap();
    assert!(wire::read::<Answer>(&mut plain, 1 << 20).is_err(), "no word in clear");
    assert!(served.events.lock().unwrap().iter().all(|event| event.starts_with("Stranger")));
}

#[test]
fn files_and_addresses_that_do_not_serve_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_certificate(folder, "vault");
    make_certificate(folder, "other");
    let good = tls_files(folder, "vault", &["other"]);
    for text in ["", "vault.sock", "unix:", "tls:host", "tls:host:99999", "http:host:1"] {
        assert!(Endpoint::parse(text, Some(good.clone())).is_err(), "{text}");
    }
    assert!(
        Endpoint::parse("tls:host:1", None).is_err_and(|error| error.to_string().contains("certificate"))
    );
    assert!(Endpoint::parse("unix:vault.sock", Some(good.clone())).is_err());
    let bad = |change: fn(&mut TlsFiles)| {
        let mut files = good.clone();
        change(&mut files);
        RemoteVault::connect(&Endpoint::parse("tls:localhost:1", Some(files)).unwrap())
            .err()
            .unwrap()
            .to_string()
    };
    assert!(bad(|files| files.certificate.clone_from(&files.key)).contains("vault.key"));
    assert!(bad(|files| files.key.clone_from(&files.peers)).contains("no private key"));
    assert!(bad(|files| files.peers.set_file_name("vault.none")).contains("vault.none"));
    assert!(bad(|files| files.key.set_file_name("other.key")).contains("cannot be used for TLS"));
}

/// Whatever comes on a line, the next one is served.
#[test]
fn a_frame_cut_anywhere_or_spoilt_ends_its_line_only() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = socket(folder.path());
    let served = Served::at(&endpoint, documented());
    let good = Frame::of(&Message::Ask(Question::List)).as_bytes().to_vec();
    let said = |bytes: &[u8]| {
        let mut line = UnixStream::connect(folder.path().join("vault.sock")).unwrap();
        line.write_all(bytes).unwrap();
        line.shutdown(std::net::Shutdown::Write).unwrap();
        wire::read::<Answer>(&mut line, wire::ANSWER_LEN_MAX).unwrap()
    };
    assert!(said(&[]).is_none());
    for len in 1..good.len() {
        assert!(matches!(said(&good[..len]), Some(Answer::NotUnderstood(_))), "{len} bytes");
    }
    for (at, byte) in [(0, 0xFF), (4, 9), (5, 9), (6, 99)] {
        let mut spoilt = good.clone();
        spoilt[at] = byte;
        assert!(matches!(said(&spoilt), Some(Answer::NotUnderstood(_))), "byte {at}");
    }
    assert!(matches!(said(&good), Some(Answer::List(_))));
    // The server tells of a dropped line after its answer: all of them have come when it has ended.
    let events = Arc::clone(&served.events);
    drop(served);
    assert_eq!(events.lock().unwrap().len(), good.len() - 1 + 4);
}

/// Who opens lines and says nothing cannot keep out those who prove who they are.
#[test]
fn strangers_that_crowd_the_door_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    ["vault", "centre"].iter().for_each(|name| make_certificate(folder, name));
    let own = tls_files(folder, "vault", &["centre"]);
    let served = Served::at(&Endpoint::parse("tls:127.0.0.1:0", Some(own)).unwrap(), documented());
    let crowd = || -> Vec<TcpStream> {
        let address = served.address.trim_start_matches("tls:");
        (0..CONNECTIONS_MAX).map(|_| TcpStream::connect(address).unwrap()).collect()
    };
    let before = crowd();
    let files = tls_files(folder, "centre", &["vault"]);
    let vault = RemoteVault::connect(&Endpoint::parse(&served.address, Some(files)).unwrap()).unwrap();
    assert!(vault.list().is_ok(), "a new line");
    let after = crowd();
    assert!(vault.list().is_ok(), "an old line is not given up for strangers");
    drop((before, after));
}

/// The line over which the vault broke down is lost, and nothing else.
#[test]
fn a_breakdown_over_one_message_ends_its_line_only() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = socket(folder.path());
    let server = Server::bind(&endpoint).unwrap();
    let stop = server.stop_handle();
    let events = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let service = Service::new(documented(), || panic!("no randomness"));
            server.serve(&service, &|event| events.lock().unwrap().push(format!("{event:?}")));
        });
        let vault = RemoteVault::connect(&endpoint).unwrap();
        for version in 0..3 {
            let place = KeyPlace::root(KeyRef::new(KeyKind::Load, 1, 7 + version));
            let order = vault.generate(place, KeyAlgorithm::Tdes, &mut Counting(0));
            assert!(order.unwrap_err().is_outage());
            assert!(vault.list().is_ok());
        }
        stop.stop();
    });
    let broke = events.lock().unwrap().iter().filter(|event| event.contains("broke down")).count();
    assert!(broke >= 3, "{broke}");
}

/// A server that ends takes its own socket away, not the one that somebody has put in its place.
#[test]
fn a_socket_of_another_server_stays() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = socket(folder.path());
    let first = Served::at(&endpoint, documented());
    std::fs::rename(folder.path().join("vault.sock"), folder.path().join("old.sock")).unwrap();
    let second = Served::at(&endpoint, documented());
    // Its own is gone: the first one is woken through its successor's.
    first.stop.stop();
    drop(UnixStream::connect(folder.path().join("old.sock")));
    drop(first);
    assert!(RemoteVault::connect(&endpoint).unwrap().list().is_ok());
    drop(second);
    assert!(!folder.path().join("vault.sock").exists());
}

/// Two messages in one piece are answered one after the other; half a message behind a whole one ends the line.
#[test]
fn messages_that_come_together_are_answered_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = socket(folder.path());
    let _served = Served::at(&endpoint, documented());
    let mut line = UnixStream::connect(folder.path().join("vault.sock")).unwrap();
    let list = Frame::of(&Message::Ask(Question::List));
    let status = Frame::of(&Message::Ask(Question::Status));
    let half = &list.as_bytes()[..list.as_bytes().len() - 1];
    line.write_all(&[list.as_bytes(), status.as_bytes(), half].concat()).unwrap();
    line.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = || wire::read::<Answer>(&mut line, wire::ANSWER_LEN_MAX).unwrap();
    assert!(matches!(answer(), Some(Answer::List(_))));
    assert!(matches!(answer(), Some(Answer::Status(_))));
    assert!(matches!(answer(), Some(Answer::NotUnderstood(_))));
    assert!(answer().is_none());
}
