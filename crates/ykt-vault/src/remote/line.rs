//! Lines to a vault in another process: opened when they are needed, kept for the next question, given up when they
//! break.

use super::endpoint::{Endpoint, RemoteError};
use super::timed::{self, Timed};
use super::{ANSWER_S_MAX, CONNECT_MS_MAX, LINES_MAX, tls};
use crate::wire::{self, ANSWER_LEN_MAX, Answer, Frame, FrameError};
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

impl timed::Line for StreamOwned<ClientConnection, Timed<TcpStream>> {
    fn allow(&mut self, patience: Option<Duration>) {
        self.sock.allow(patience);
    }
}

/// How a line is opened.
enum Way {
    Unix(PathBuf),
    Tls { address: String, config: Arc<ClientConfig> },
}

/// Why no answer came.
pub struct Lost {
    /// In words.
    pub reason: String,
    /// Whether the line may just have been an old one: it was used before, and broke without letting anybody wait.
    pub may_be_stale: bool,
}

/// The lines to one vault.
pub struct Lines {
    way: Way,
    held: Mutex<Held>,
    freed: Condvar,
}

#[derive(Default)]
struct Held {
    idle: Vec<Box<dyn timed::Line>>,
    in_use: usize,
}

impl Lines {
    /// Reads what TLS needs; opens nothing yet.
    ///
    /// # Errors
    /// [`RemoteError`] about files.
    pub fn to(endpoint: &Endpoint) -> Result<Lines, RemoteError> {
        let way = match endpoint {
            Endpoint::Unix(path) => Way::Unix(path.clone()),
            Endpoint::Tls { address, files } => {
                Way::Tls { address: address.clone(), config: tls::client(files)? }
            }
        };
        Ok(Lines { way, held: Mutex::default(), freed: Condvar::new() })
    }

    /// Sends a message and waits for its answer, on a line that is free or a new one.
    ///
    /// # Errors
    /// [`Lost`]; then every idle line is given up as well, since the vault itself may be gone.
    pub fn exchange(&self, message: &Frame) -> Result<Answer, Lost> {
        let patience = Duration::from_secs(ANSWER_S_MAX);
        let all_busy = |held: &mut Held| held.in_use >= LINES_MAX;
        let (mut held, waited) = self
            .freed
            .wait_timeout_while(self.lock(), patience, all_busy)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            let reason = format!("all {LINES_MAX} lines were busy for {ANSWER_S_MAX} s");
            return Err(Lost { reason, may_be_stale: false });
        }
        let idle = held.idle.pop();
        held.in_use = held.in_use.saturating_add(1);
        drop(held);

        let is_used = idle.is_some();
        let exchanged =
            idle.map_or_else(|| self.open(), Ok).map_err(FrameError::Line).and_then(|mut line| {
                line.allow(Some(patience));
                message.write(&mut line)?;
                let answer = wire::read(&mut line, ANSWER_LEN_MAX)?.ok_or(FrameError::CutOff)?;
                Ok((line, answer))
            });

        let mut held = self.lock();
        held.in_use = held.in_use.saturating_sub(1);
        let outcome = match exchanged {
            Ok((line, answer)) => {
                held.idle.push(line);
                Ok(answer)
            }
            Err(error) => {
                held.idle.clear();
                let may_be_stale = is_used && !is_late(&error);
                Err(Lost { reason: error.to_string(), may_be_stale })
            }
        };
        drop(held);
        self.freed.notify_one();
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> io::Result<Box<dyn timed::Line>> {
        match &self.way {
            Way::Unix(path) => {
                let line = UnixStream::connect(path)?;
                trusted(&line)?;
                Ok(Box::new(Timed::new(line)))
            }
            Way::Tls { address, config } => {
                let line = dial(address)?;
                line.set_nodelay(true)?;
                let tls = ClientConnection::new(Arc::clone(config), tls::server_name());
                Ok(Box::new(StreamOwned::new(tls.map_err(io::Error::other)?, Timed::new(line))))
            }
        }
    }
}

/// Whoever can put a socket where the vault's is expected would be given keys and PINs: on the other end must be a
/// process of our own user, or of the system's.
fn trusted(line: &UnixStream) -> io::Result<()> {
    let (found, expected) = (socket_peercred(line)?.uid, geteuid());
    if found == expected || found.is_root() {
        return Ok(());
    }
    let (found, expected) = (found.as_raw(), expected.as_raw());
    let said = format!("user {found} serves this socket, expected {expected}; it may be somebody's trap");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, said))
}

/// Whether somebody waited as long as one waits.
fn is_late(error: &FrameError) -> bool {
    let FrameError::Line(error) = error else { return false };
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn dial(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_millis(CONNECT_MS_MAX)) {
            Ok(line) => return Ok(line),
            Err(error) => last = error,
        }
    }
    Err(last)
}
