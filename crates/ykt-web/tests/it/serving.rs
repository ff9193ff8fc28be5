//! The server on a real socket: plain at home, TLS by configuration, and an orderly end. The certificate beside
//! this file is for `localhost` and for this test only.

use crate::world;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use ykt_web::{Config, ServeError, Server};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls").join(name)
}

fn config() -> Config {
    let mut config = world::config();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config
}

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

fn ask_plain(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.write_all(REQUEST)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn ask_tls(address: SocketAddr) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture("chain.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(client, TcpStream::connect(address).unwrap());
    stream.write_all(REQUEST).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Serves while `work` runs, then stops in order.
async fn while_serving<T: Send + 'static>(
    config: Config,
    work: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> T {
    let server = Server::bind(config, world::full()).unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move { drop(stopped.await) }));
    let done = tokio::task::spawn_blocking(move || work(address)).await.unwrap();
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_at_home_and_an_orderly_end() {
    let (answer, address) = while_serving(config(), |address| (ask_plain(address).unwrap(), address)).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"status\":\"ok\""), "{answer}");
    assert!(!answer.to_lowercase().contains("strict-transport-security"));
    assert!(ask_plain(address).is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_by_configuration() {
    let mut config = config();
    config.server.tls_certificate = Some(fixture("chain.pem"));
    config.server.tls_key = Some(fixture("key.pem"));
    let answer = while_serving(config, ask_tls).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age="), "{answer}");
}

#[tokio::test]
async fn what_cannot_be_served_says_why() {
    let mut open = config();
    open.server.listen = "0.0.0.0:0".parse().unwrap();
    let refused = Server::bind(open, world::full()).err().unwrap().to_string();
    assert!(refused.contains("plain HTTP would show passwords"), "{refused}");
    let first = Server::bind(config(), world::full()).unwrap();
    let mut taken = config();
    taken.server.listen = first.address();
    let refused = Server::bind(taken, world::full()).err().unwrap();
    assert!(matches!(refused, ServeError::Listen { .. }), "{refused}");
    let mut keyless = config();
    keyless.server.tls_certificate = Some(fixture("chain.pem"));
    keyless.server.tls_key = Some(fixture("no-such-key.pem"));
    let failed = Server::bind(keyless, world::full()).unwrap().run(std::future::pending()).await;
    assert!(matches!(failed, Err(ServeError::Tls(_))), "{failed:?}");
}
