//! TLS 1.3 between two sides that know each other's certificate: no authority, no names, no dates. A certificate is
//! valid when it is one of the file; whoever takes it out of the file and restarts has revoked it.

use super::endpoint::{RemoteError, TlsFiles};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, PeerMisbehaved, ServerConfig,
    SignatureScheme,
};
use std::path::Path;
use std::sync::Arc;

pub use rustls::Error as TlsError;

/// What the side that asks needs.
///
/// # Errors
/// [`RemoteError::File`], [`RemoteError::Tls`]
pub fn client(files: &TlsFiles) -> Result<Arc<ClientConfig>, RemoteError> {
    let (chain, key, pinned) = read(files)?;
    let fault = |source| RemoteError::Tls { path: files.certificate.clone(), source };
    let config = ClientConfig::builder_with_provider(Arc::clone(&pinned.provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(fault)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_client_auth_cert(chain, key)
        .map_err(fault)?;
    Ok(Arc::new(config))
}

/// What the side that serves needs.
///
/// # Errors
/// [`RemoteError::File`], [`RemoteError::Tls`]
pub fn server(files: &TlsFiles) -> Result<Arc<ServerConfig>, RemoteError> {
    let (chain, key, pinned) = read(files)?;
    let fault = |source| RemoteError::Tls { path: files.certificate.clone(), source };
    let config = ServerConfig::builder_with_provider(Arc::clone(&pinned.provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(fault)?
        .with_client_cert_verifier(Arc::new(pinned))
        .with_single_cert(chain, key)
        .map_err(fault)?;
    Ok(Arc::new(config))
}

/// The name TLS wants for a server; nobody looks at it.
pub fn server_name() -> ServerName<'static> {
    ServerName::IpAddress(std::net::IpAddr::from([127, 0, 0, 1]).into())
}

type Parts = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, Pinned);

fn read(files: &TlsFiles) -> Result<Parts, RemoteError> {
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| RemoteError::file(&files.key, format_args!("no private key in PEM: {error}")))?;
    let provider = Arc::new(ring::default_provider());
    let pinned = Pinned { peers: certificates(&files.peers)?, provider };
    Ok((certificates(&files.certificate)?, key, pinned))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, RemoteError> {
    let fault = |error| RemoteError::file(path, format_args!("no certificate in PEM: {error}"));
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(fault)?.collect();
    let read = read.map_err(fault)?;
    if read.is_empty() { Err(RemoteError::file(path, "it holds no certificate")) } else { Ok(read) }
}

/// Takes the certificates of the file and no other.
#[derive(Debug)]
struct Pinned {
    peers: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn knows(&self, certificate: &CertificateDer<'_>) -> Result<(), TlsError> {
        if self.peers.iter().any(|known| known.as_ref() == certificate.as_ref()) {
            Ok(())
        } else {
            Err(TlsError::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn signed(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

const OLD_TLS: TlsError = TlsError::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        self.knows(certificate).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(OLD_TLS)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.signed(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        self.knows(certificate).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(OLD_TLS)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.signed(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}
