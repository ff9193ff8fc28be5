//! Where a vault waits: what a configuration names, and what both sides need to be sure of each other.

use super::tls;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use thiserror::Error;

/// Where a vault waits for questions; the same words for who serves and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket of this machine. Its file can be opened by its owner only (mode 0600).
    Unix(
        /// The socket's file.
        PathBuf,
    ),
    /// TCP with TLS 1.3 and certificates of both sides.
    Tls {
        /// HOST:PORT.
        address: String,
        /// Own certificate and key, and the peer's certificates.
        files: TlsFiles,
    },
}

/// What one side of a TLS line needs, each a file in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Own certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The certificates of those one talks to, as they are: no authority can make another one valid.
    pub peers: PathBuf,
}

impl Endpoint {
    /// The endpoint of a text: `unix:PATH`, or `tls:HOST:PORT` with the files it needs.
    ///
    /// # Errors
    /// [`RemoteError::Address`] saying what is expected.
    pub fn parse(text: &str, files: Option<TlsFiles>) -> Result<Endpoint, RemoteError> {
        let refused = |expected| RemoteError::Address { found: text.to_owned(), expected };
        match (text.split_once(':'), files) {
            (Some(("unix", path)), None) if !path.is_empty() => Ok(Endpoint::Unix(path.into())),
            (Some(("unix", path)), Some(_)) if !path.is_empty() => {
                Err(refused("no certificates with a Unix socket"))
            }
            (Some(("tls", address)), files) if port_of(address).is_some() => match files {
                Some(files) => Ok(Endpoint::Tls { address: address.to_owned(), files }),
                None => Err(refused("with TLS a certificate, its key and the peer's certificates")),
            },
            _ => Err(refused("unix:PATH or tls:HOST:PORT")),
        }
    }
}

fn port_of(address: &str) -> Option<u16> {
    let (host, port) = address.rsplit_once(':')?;
    u16::from_str(port).ok().filter(|_| !host.is_empty())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
            Endpoint::Tls { address, .. } => write!(f, "tls:{address}"),
        }
    }
}

/// Why a vault can be neither served nor asked at an endpoint.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// The text is no endpoint.
    #[error("the vault's address `{found}`: expected {expected}")]
    Address {
        /// The text.
        found: String,
        /// What is expected.
        expected: &'static str,
    },
    /// A file cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Certificate and key are no pair, or of a sort TLS does not take.
    #[error("{path}: this certificate and key cannot be used for TLS: {source}", path = path.display())]
    Tls {
        /// The certificate's file.
        path: PathBuf,
        /// What TLS says.
        source: tls::TlsError,
    },
    /// The address cannot be listened on.
    #[error("cannot wait at {endpoint}: {source}")]
    Listen {
        /// Where.
        endpoint: String,
        /// What the system says.
        source: io::Error,
    },
}

impl RemoteError {
    pub(super) fn file(path: &Path, reason: impl fmt::Display) -> RemoteError {
        RemoteError::File { path: path.to_owned(), reason: reason.to_string() }
    }
}
