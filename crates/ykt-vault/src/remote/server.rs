//! The side that has the keys: one thread a line, any number of questions on it, orders one after the other.

use super::answers::{Answers, Fate};
use super::endpoint::{Endpoint, RemoteError};
use super::timed::{self, Timed};
use super::{ANSWER_S_MAX, CONNECTIONS_MAX, HANDSHAKE_S_MAX, tls};
use crate::manage::KeyManagement;
use crate::wire::{self, ANSWER_LEN_MAX, Answer, Frame, FrameError, MESSAGE_LEN_MAX, Message};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::fs::{self, DirBuilder};
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
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
    /// A line was closed because there are too many: the oldest whose peer has not proved who it is, else the new one.
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

    /// Answers on a line until its peer is gone. Between two messages a peer may be silent for as long as it likes; a message
    /// that has begun must come, and its answer be taken, within [`ANSWER_S_MAX`].
    ///
    /// # Errors
    /// [`FrameError`] for a message that is none; who dropped the line without a word is nobody's concern.
    pub fn converse(&self, line: &mut impl timed::Line, report: Report<'_>) -> Result<(), FrameError> {
        let patience = Some(Duration::from_secs(ANSWER_S_MAX));
        loop {
            line.allow(None);
            match wire::read_begun::<Message<'_>, _>(line, MESSAGE_LEN_MAX, |line| line.allow(patience)) {
                Ok(None) => return Ok(()),
                Ok(Some(message)) => {
                    let answer = self.answer(message, report);
                    line.allow(patience);
                    answer.write(line)?;
                }
                Err(error) => {
                    // What follows cannot be read either; the peer may already be gone.
                    line.allow(patience);
                    let _gone = Frame::of(&Answer::NotUnderstood(error.to_string())).write(line);
                    return Err(error);
                }
            }
        }
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
    /// In the order in which they came.
    lines: Vec<OpenLine>,
}

struct OpenLine {
    number: u64,
    line: Line,
    /// Whether the peer proved who it is; over a Unix socket the system did that.
    is_known: bool,
}

impl Open {
    /// The number of the next line.
    fn next(&mut self) -> u64 {
        self.last = self.last.wrapping_add(1);
        self.last
    }

    /// The place of the oldest line whose peer has not proved who it is; that line is closed.
    fn oldest_stranger(&mut self) -> Option<u64> {
        let oldest = self.lines.iter().position(|held| !held.is_known)?;
        self.lines.remove(oldest).line.close(Shutdown::Both);
        Some(self.next())
    }
}

impl Stop {
    /// Ends the service after the questions in work.
    pub fn stop(&self) {
        let mut open = self.lock();
        open.is_stopped = true;
        // Reading only: an answer on its way still goes out.
        open.lines.iter().for_each(|held| held.line.close(Shutdown::Read));
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

    /// Remembers a line so that it can be closed. When there are too many, strangers go first: whoever can reach the
    /// port could otherwise keep everybody out by opening lines and saying nothing.
    fn hold(&self, line: Line, report: Report<'_>) -> Option<u64> {
        let mut open = self.lock();
        if open.is_stopped {
            return None;
        }
        let is_full = open.lines.len() >= CONNECTIONS_MAX;
        let place = if is_full { open.oldest_stranger() } else { Some(open.next()) };
        if let Some(number) = place {
            let is_known = matches!(line, Line::Unix(_));
            open.lines.push(OpenLine { number, line, is_known });
        }
        drop(open);
        if is_full {
            report(Event::Crowded);
        }
        place
    }

    /// The peer of a line proved who it is.
    fn known(&self, number: u64) {
        self.lock()
            .lines
            .iter_mut()
            .filter(|held| held.number == number)
            .for_each(|held| held.is_known = true);
    }

    fn release(&self, number: u64) {
        self.lock().lines.retain(|held| held.number != number);
    }
}

/// A vault's door: it waits at an endpoint.
pub struct Server {
    listener: Listener,
    address: String,
    stop: Stop,
    /// Which file its socket is.
    socket: Option<FileId>,
}

/// Device and number of a file.
type FileId = (u64, u64);

impl Server {
    /// Begins to wait at an endpoint. A socket file that a killed process left is replaced; one that somebody serves is
    /// not. Port 0 takes any that is free.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn bind(endpoint: &Endpoint) -> Result<Server, RemoteError> {
        let fault = |source| RemoteError::Listen { endpoint: endpoint.to_string(), source };
        let (listener, address, wake, socket) = match endpoint {
            Endpoint::Unix(path) => {
                let (listener, socket) = own_socket(path).map_err(fault)?;
                (Listener::Unix(listener), endpoint.to_string(), Wake::Unix(path.clone()), Some(socket))
            }
            Endpoint::Tls { address, files } => {
                let config = tls::server(files)?;
                let listener = TcpListener::bind(address).map_err(fault)?;
                let local = listener.local_addr().map_err(fault)?;
                (Listener::Tls(listener, config), format!("tls:{local}"), Wake::Tcp(local), None)
            }
        };
        Ok(Server { listener, address, stop: Stop { wake, open: Arc::default() }, socket })
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
                let Some(number) = self.stop.hold(second, report) else { continue };
                scope.spawn(move || {
                    let conversed =
                        catch_unwind(AssertUnwindSafe(|| self.converse(line, number, service, report)));
                    self.stop.release(number);
                    // A vault that breaks down over one message must not take the lines of the others with it.
                    if conversed.is_err() {
                        let reason = io::Error::other("the vault broke down over a message").into();
                        report(Event::Dropped { reason });
                    }
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

    fn converse(&self, line: Line, number: u64, service: &Service, report: Report<'_>) {
        let answered = match (line, &self.listener) {
            (Line::Unix(line), _) => service.converse(&mut Timed::new(line), report),
            (Line::Tcp(line), Listener::Tls(_, config)) => match welcome(line, config) {
                Ok(mut line) => {
                    self.stop.known(number);
                    service.converse(&mut line, report)
                }
                Err(reason) => return report(Event::Stranger { reason }),
            },
            (Line::Tcp(_), Listener::Unix(_)) => return,
        };
        if let Err(reason) = answered {
            report(Event::Dropped { reason });
        }
    }
}

type TlsLine = StreamOwned<ServerConnection, Timed<TcpStream>>;

impl timed::Line for TlsLine {
    fn allow(&mut self, patience: Option<Duration>) {
        self.sock.allow(patience);
    }
}

/// Lets the peer prove within a bounded time that it is one of those we know.
fn welcome(line: TcpStream, config: &Arc<ServerConfig>) -> io::Result<TlsLine> {
    line.set_nodelay(true)?;
    let mut line = Timed::new(line);
    timed::Line::allow(&mut line, Some(Duration::from_secs(HANDSHAKE_S_MAX)));
    let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        if let Err(refused) = tls.complete_io(&mut line) {
            // Tells the peer why, as far as it still listens.
            let _gone = tls.write_tls(&mut line);
            return Err(refused);
        }
    }
    Ok(StreamOwned::new(tls, line))
}

/// A socket that only its owner can open, from the first moment on: it is made in a folder nobody else may enter, and
/// takes its place when its mode is right.
fn own_socket(path: &Path) -> io::Result<(UnixListener, FileId)> {
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
    let made = fs::symlink_metadata(&socket)?;
    fs::rename(&socket, path)?;
    fs::remove_dir(&folder)?;
    Ok((listener, (made.dev(), made.ino())))
}

impl Drop for Server {
    fn drop(&mut self) {
        let Wake::Unix(path) = &self.stop.wake else { return };
        // Another server may have put its own in the place of ours.
        let found = fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()));
        if found == self.socket {
            // The next server replaces a file that stays behind.
            let _left = fs::remove_file(path);
        }
    }
}
