//! TLS with a client certificate, and which certificate it was: the handshake refuses whoever has none of the configured
//! authority, and each request carries the digest of the one that was shown.

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::{Accept, NoDelayAcceptor};
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::TcpStream;
use tower::Layer;
use ykt_crypto::chain::Hash32;
use ykt_kmc::download::fingerprint;

/// The certificate that the machine at the other end showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown(pub Hash32);

/// Accepts connections of machines with a certificate of the authority.
#[derive(Clone)]
pub(crate) struct LineAcceptor(RustlsAcceptor<NoDelayAcceptor>);

impl LineAcceptor {
    /// Reads the files, all PEM.
    pub(crate) fn new(certificate: &Path, key: &Path, client_ca: &Path) -> io::Result<LineAcceptor> {
        let mut roots = RootCertStore::empty();
        for root in chain(client_ca)? {
            roots.add(root).map_err(|error| in_file(client_ca, &error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = verifier.build().map_err(|error| in_file(client_ca, &error))?;
        let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| in_file(key, &error))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain(certificate)?, key_der)
            .map_err(|error| in_file(certificate, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = RustlsConfig::from_config(Arc::new(config));
        Ok(LineAcceptor(RustlsAcceptor::new(config).acceptor(NoDelayAcceptor::new())))
    }
}

fn chain(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = read.map_err(|error| in_file(path, &error))?;
    if chain.is_empty() {
        return Err(io::Error::other(format!(
            "{}: expected a certificate in PEM, found none",
            path.display()
        )));
    }
    Ok(chain)
}

fn in_file(path: &Path, error: &dyn std::error::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

/// The stream after the handshake.
type Stream<S> = <RustlsAcceptor<NoDelayAcceptor> as Accept<TcpStream, S>>::Stream;

impl<S: Send + 'static> Accept<TcpStream, S> for LineAcceptor {
    type Stream = Stream<S>;
    type Service = AddExtension<S, Shown>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let shaken = self.0.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = shaken.await?;
            let (_, connection) = stream.get_ref();
            let shown = connection.peer_certificates().and_then(|chain| chain.first());
            let shown = shown.ok_or_else(|| io::Error::other("no client certificate was shown"))?;
            let shown = Shown(fingerprint(shown));
            Ok((stream, Extension(shown).layer(service)))
        })
    }
}
