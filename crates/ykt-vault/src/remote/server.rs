//! The side that has the keys: one thread a line, any number of questions on it, orders one after the other.

use super::answers::{Answers, Fate};
use super::endpoint::{Endpoint, RemoteError};
use super::{ANSWER_S_MAX, CONNECTIONS_MAX, HANDSHAKE_S_MAX, tls};
use crate::manage::KeyManagement;
use crate::wire::{self, ANSWER_LEN_MAX, Answer, Frame, FrameError, MESSAGE_LEN_MAX, Message};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ykt_base::Rng;

/// Something to report while a vault is served. None of it is secret.
#[derive(Debug)]
pub enum Event {
    /// A peer did not prove who it is.
    Stranger {
        /// Why not.
        reason: io::Error,
    },
    /// A line was closed at once: there are too many.
    Crowded,
    /// A line was dropped.
    Dropped {
        /// Why.
        reason: FrameError,
    },
    /// An order came.
    Order {
        /// What was ordered.
        what: String,
        /// What became of it.
        fate: Fate,
    },
}

/// Hears what happens.
pub type Report<'a> = &'a (dyn Fn(Event) + Sync);

/// What is served: a vault, with what all lines to it share.
pub struct Service {
    vault: Arc<dyn KeyManagement>,
    rng: RngSource,
    answers: Answers,
}

/// Gives random numbers to whoever needs some.
type RngSource = Box<dyn Fn() -> Box<dyn Rng> + Send + Sync>;

impl Service {
    /// Serves this vault; new keys are made of these random numbers.
    #[must_use]
    pub fn new(
        vault: Arc<dyn KeyManagement>,
        rng: impl Fn() -> Box<dyn Rng> + Send + Sync + 'static,
    ) -> Service {
        Service { vault, rng: Box::new(rng), answers: Answers::default() }
    }

    fn answer(&self, message: Message<'_>, report: Report<'_>) -> Frame {
        match message {
            Message::Ask(question) => {
                let answer = Frame::of(&question.ask(&*self.vault));
                if answer.fits(ANSWER_LEN_MAX) {
                    return answer;
                }
                let why = format!("the answer has more than {ANSWER_LEN_MAX} bytes");
                Frame::of(&Answer::NotUnderstood(why))
            }
            Message::Begin => {
                let mut sender = [0; 16];
                (self.rng)().fill(&mut sender);
                Frame::of(&Answer::Begun(sender))
            }
            Message::Manage(id, order) => {
                let what = order.to_string();
                let (answer, fate) = self.answers.to(id, order, &*self.vault, &mut *(self.rng)());
                report(Event::Order { what, fate });
                answer
            }
        }
    }
}

enum Listener {
    Unix(UnixListener),
    Tls(TcpListener, Arc<ServerConfig>),
}

/// A line as it was taken from the listener; a second handle closes it.
enum Line {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Line {
    fn try_clone(&self) -> io::Result<Line> {
        Ok(match self {
            Line::Unix(line) => Line::Unix(line.try_clone()?),
            Line::Tcp(line) => Line::Tcp(line.try_clone()?),
        })
    }

    fn close(&self, how: Shutdown) {
        // A line that is gone already needs no closing.
        let _gone = match self {
            Line::Unix(line) => line.shutdown(how),
            Line::Tcp(line) => line.shutdown(how),
        };
    }
}

/// Ends [`Server::serve`] from another thread, a signal handler's among them.
#[derive(Clone)]
pub struct Stop {
    wake: Wake,
    open: Arc<Mutex<Open>>,
}

/// Where a listener is woken from its wait.
#[derive(Clone)]
enum Wake {
    Unix(PathBuf),
    Tcp(std::net::SocketAddr),
}

#[derive(Default)]
struct Open {
    is_stopped: bool,
    last: u64,
    lines: Vec<(u64, Line)>,
}

impl Stop {
    /// Ends the service after the questions in work.
    pub fn stop(&self) {
        let mut open = self.lock();
        open.is_stopped = true;
        // Reading only: an answer on its way still goes out.
        open.lines.iter().for_each(|(_, line)| line.close(Shutdown::Read));
        drop(open);
        // Wakes the server, which waits for the next line; without one it has ended already.
        match &self.wake {
            Wake::Unix(path) => drop(UnixStream::connect(path)),
            Wake::Tcp(address) => drop(TcpStream::connect(address)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a line so that it can be closed; `None` when there are too many, or the service ends.
    fn hold(&self, line: Line) -> Option<u64> {
        let mut open = self.lock();
        if open.is_stopped || open.lines.len() >= CONNECTIONS_MAX {
            return None;
        }
        open.last = open.last.wrapping_add(1);
        let number = open.last;
        open.lines.push((number, line));
        Some(number)
    }

    fn release(&self, number: u64) {
        self.lock().lines.retain(|(held, _)| *held != number);
    }
}

/// A vault's door: it waits at an endpoint.
pub struct Server {
    listener: Listener,
    address: String,
    stop: Stop,
}

impl Server {
    /// Begins to wait at an endpoint. A socket file that a killed process left is replaced; one that somebody serves is
    /// not. Port 0 takes any that is free.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn bind(endpoint: &Endpoint) -> Result<Server, RemoteError> {
        let fault = |source| RemoteError::Listen { endpoint: endpoint.to_string(), source };
        let (listener, address, wake) = match endpoint {
            Endpoint::Unix(path) => {
                let listener = Listener::Unix(own_socket(path).map_err(fault)?);
                (listener, endpoint.to_string(), Wake::Unix(path.clone()))
            }
            Endpoint::Tls { address, files } => {
                let config = tls::server(files)?;
                let listener = TcpListener::bind(address).map_err(fault)?;
                let local = listener.local_addr().map_err(fault)?;
                (Listener::Tls(listener, config), format!("tls:{local}"), Wake::Tcp(local))
            }
        };
        Ok(Server { listener, address, stop: Stop { wake, open: Arc::default() } })
    }

    /// Where it waits, as [`Endpoint::parse`] reads it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A handle that ends it.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    /// Answers until [`Stop::stop`].
    pub fn serve(&self, service: &Service, report: Report<'_>) {
        std::thread::scope(|scope| {
            loop {
                let line = self.accept();
                if self.stop.lock().is_stopped {
                    break;
                }
                // A line that broke before it was taken concerns nobody.
                let Ok(line) = line else { continue };
                let Ok(second) = line.try_clone() else { continue };
                let Some(number) = self.stop.hold(second) else {
                    report(Event::Crowded);
                    continue;
                };
                scope.spawn(move || {
                    self.converse(line, service, report);
                    self.stop.release(number);
                });
            }
        });
    }

    fn accept(&self) -> io::Result<Line> {
        match &self.listener {
            Listener::Unix(listener) => listener.accept().map(|(line, _)| Line::Unix(line)),
            Listener::Tls(listener, _) => listener.accept().map(|(line, _)| Line::Tcp(line)),
        }
    }

    fn converse(&self, line: Line, service: &Service, report: Report<'_>) {
        let answered = match (line, &self.listener) {
            (Line::Unix(mut line), _) => {
                let patience = Some(Duration::from_secs(ANSWER_S_MAX));
                line.set_write_timeout(patience)
                    .map_err(FrameError::from)
                    .and_then(|()| answer(&mut line, service, report))
            }
            (Line::Tcp(line), Listener::Tls(_, config)) => match welcome(line, config) {
                Ok(mut line) => answer(&mut line, service, report),
                Err(reason) => return report(Event::Stranger { reason }),
            },
            (Line::Tcp(_), Listener::Unix(_)) => return,
        };
        if let Err(reason) = answered {
            report(Event::Dropped { reason });
        }
    }
}

/// Who dropped the connection's end of it without a word is nobody's concern; a broken message is.
fn answer(line: &mut (impl Read + Write), service: &Service, report: Report<'_>) -> Result<(), FrameError> {
    loop {
        match wire::read::<Message<'_>>(line, MESSAGE_LEN_MAX) {
            Ok(None) => return Ok(()),
            Ok(Some(message)) => service.answer(message, report).write(line)?,
            Err(error) => {
                // What follows cannot be read either; the peer may already be gone.
                let _gone = Frame::of(&Answer::NotUnderstood(error.to_string())).write(line);
                return Err(error);
            }
        }
    }
}

/// Lets the peer prove within a bounded time that it is one of those we know.
fn welcome(
    mut line: TcpStream,
    config: &Arc<ServerConfig>,
) -> io::Result<StreamOwned<ServerConnection, TcpStream>> {
    let patience = Some(Duration::from_secs(HANDSHAKE_S_MAX));
    line.set_read_timeout(patience)?;
    line.set_write_timeout(patience)?;
    line.set_nodelay(true)?;
    let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        if let Err(refused) = tls.complete_io(&mut line) {
            // Tells the peer why, as far as it still listens.
            let _gone = tls.write_tls(&mut line);
            return Err(refused);
        }
    }
    line.set_read_timeout(None)?;
    line.set_write_timeout(Some(Duration::from_secs(ANSWER_S_MAX)))?;
    Ok(StreamOwned::new(tls, line))
}

/// A socket that only its owner can open, from the first moment on: it is made in a folder nobody else may enter, and
/// takes its place when its mode is right.
fn own_socket(path: &Path) -> io::Result<UnixListener> {
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file of this name is no socket"));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody serves this socket"));
        }
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = path.with_file_name(format!(".{}", name.to_string_lossy()));
    // What a process left that was killed between these lines.
    let socket = folder.join("s");
    let _none = fs::remove_file(&socket);
    let _none = fs::remove_dir(&folder);
    DirBuilder::new().mode(0o700).create(&folder)?;
    let listener = UnixListener::bind(&socket)?;
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))?;
    fs::rename(&socket, path)?;
    fs::remove_dir(&folder)?;
    Ok(listener)
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Wake::Unix(path) = &self.stop.wake {
            // The next server replaces a file that stays behind.
            let _left = fs::remove_file(path);
        }
    }
}
