//! A vault behind a line behaves as one in the process; a line that breaks costs one call at most.

use super::*;
use crate::behaviour::{self, KEYS};
use crate::manage::KeyManagement;
use crate::vault::Vault;
use crate::wire::{self, Answer, Frame, Message};
use crate::{Health, KeysFile, SoftVault};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use ykt_base::Rng;

struct Counting(u8);

impl Rng for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

/// A vault that is served by a thread until it is dropped.
pub struct Served {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
    address: String,
}

impl Served {
    pub fn at(endpoint: &Endpoint, vault: Arc<dyn KeyManagement>) -> Served {
        let server = Server::bind(endpoint).unwrap();
        let (stop, address) = (server.stop_handle(), server.address().to_owned());
        let service = Service::new(vault, || Box::new(Counting(0)));
        let thread = std::thread::spawn(move || server.serve(&service, &|_| ()));
        Served { stop, thread: Some(thread), address }
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

pub fn socket(folder: &Path) -> Endpoint {
    Endpoint::Unix(folder.join("vault.sock"))
}

fn documented() -> SoftVault {
    SoftVault::from_keys(KeysFile::parse(KEYS).unwrap()).unwrap()
}

#[test]
fn behaves_as_the_vault_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = socket(folder.path());
    let vault = RemoteVault::connect(&endpoint).unwrap();
    assert!(matches!(vault.status().health, Health::Gone { .. }));
    let served = Served::at(&endpoint, Arc::new(documented()));
    assert_eq!(behaviour::deviations(&vault), Vec::<String>::new());
    drop(served);
    assert!(vault.list().is_err_and(|error| error.is_outage()));
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
    let served = Served::at(&Endpoint::parse("tls:127.0.0.1:0", Some(own)).unwrap(), Arc::new(documented()));
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
    let plain = std::net::TcpStream::connect(served.address.trim_start_matches("tls:")).unwrap();
    assert!(wire::read::<Answer>(&mut ask_in_clear(plain), 1 << 20).is_err(), "no word in clear");
}

fn ask_in_clear(mut line: std::net::TcpStream) -> std::net::TcpStream {
    Frame::of(&Message::Begin).write(&mut line).unwrap();
    line
}
