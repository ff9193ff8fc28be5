//! A card in a virtual reader: vpcd waits for a connection, and what connects is the card.
//!
//! The wire is a 16-bit big-endian length and that many bytes. From the reader one byte is a control (power
//! off, on, reset, or the question for the ATR) and anything longer a command APDU; back go the ATR and the
//! answers. The reader writes length and body apart, so without quick acknowledgement of every segment each
//! command would wait 40 ms for the other side's delayed one.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ykt_base::Response;

/// Longest message of the wire that is taken.
const MESSAGE_LEN_MAX: usize = 261;
/// Wait between attempts to reach the reader.
const RETRY_MS: u64 = 300;

/// What sits in the virtual reader.
pub trait InsertedCard {
    /// The answer to reset.
    fn atr(&self) -> &[u8];

    /// Power went off: volatile state is lost.
    fn power_off(&mut self);

    /// Power came on, or the card is reset: it starts anew.
    fn power_on(&mut self);

    /// Answers one command.
    fn answer(&mut self, command: &[u8]) -> Response;
}

/// Why a card cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is none.
    #[error("`{address}` is no HOST:PORT of a virtual reader; the usual ports are 35963 and 35964")]
    Address {
        /// The text.
        address: String,
        /// What the resolver said.
        source: std::io::Error,
    },
}

/// Something to report while a card is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServeEvent {
    /// The card is in the reader.
    Inserted,
    /// The reader is not there; it is tried again until it is.
    Waiting {
        /// Why, in the words of the system.
        why: String,
    },
    /// The reader let go.
    Ejected,
}

/// A handle that ends [`serve`] from another thread, a signal handler's among them.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    line: Option<TcpStream>,
}

impl Stop {
    /// Ends the service after the command in work.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        if let Some(line) = state.line.take() {
            // Reading only: an answer on its way still goes out. A line that is gone already needs no closing.
            let _gone = line.shutdown(Shutdown::Read);
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Remembers the line to be closed; `false` when the service is to end.
    fn hold(&self, line: Option<TcpStream>) -> bool {
        let mut state = self.lock();
        state.line = line;
        !state.stopped
    }

    fn wait(&self, pause: Duration) {
        let state = self.lock();
        let waited = self.shared.changed.wait_timeout_while(state, pause, |state| !state.stopped);
        drop(waited);
    }
}

/// Keeps `card` in the virtual reader at `address` until `stop`: connects, answers, and connects again when
/// the reader went away. `report` hears of each change once.
///
/// # Errors
/// [`ServeError`] when the address is none; a reader that is not there is waited for.
pub fn serve(
    address: &str,
    card: &mut impl InsertedCard,
    stop: &Stop,
    report: &mut dyn FnMut(ServeEvent),
) -> Result<(), ServeError> {
    let fault = |source| ServeError::Address { address: address.to_owned(), source };
    let targets: Vec<_> = address.to_socket_addrs().map_err(fault)?.collect();
    let mut last = None;
    while !stop.stopped() {
        let event = match TcpStream::connect(targets.as_slice()) {
            Ok(line) => {
                report(ServeEvent::Inserted);
                talk(line, card, stop);
                card.power_off();
                ServeEvent::Ejected
            }
            Err(error) => ServeEvent::Waiting { why: error.to_string() },
        };
        if last.as_ref() != Some(&event) || event == ServeEvent::Ejected {
            report(event.clone());
        }
        last = Some(event);
        stop.wait(Duration::from_millis(RETRY_MS));
    }
    Ok(())
}

fn talk(mut line: TcpStream, card: &mut impl InsertedCard, stop: &Stop) {
    let Ok(handle) = line.try_clone() else { return };
    if stop.hold(Some(handle)) && line.set_nodelay(true).is_ok() {
        // The line ends when either side lets go; the caller connects again.
        while let Ok(Some(message)) = receive(&mut line) {
            let sent = match *message.as_slice() {
                [] => Ok(()),
                [0] => {
                    card.power_off();
                    Ok(())
                }
                [1 | 2] => {
                    card.power_on();
                    Ok(())
                }
                [4] => send(&mut line, card.atr()),
                [_] => Ok(()),
                _ => send(&mut line, card.answer(&message).as_bytes()),
            };
            if sent.is_err() {
                break;
            }
        }
    }
    stop.hold(None);
}

/// One message, or `None` when the other side closed or sent one too long to be ours.
fn receive(line: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut len = [0; 2];
    if let Err(error) = read_all(line, &mut len) {
        return if error.kind() == ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
    }
    let len = usize::from(u16::from_be_bytes(len));
    if len > MESSAGE_LEN_MAX {
        return Ok(None);
    }
    let mut message = vec![0; len];
    read_all(line, &mut message)?;
    Ok(Some(message))
}

fn read_all(line: &mut TcpStream, mut rest: &mut [u8]) -> std::io::Result<()> {
    while !rest.is_empty() {
        quick_ack(line)?;
        match line.read(rest) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => rest = rest.get_mut(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The option falls back by itself, so it is set before every read.
#[cfg(target_os = "linux")]
fn quick_ack(line: &TcpStream) -> std::io::Result<()> {
    use std::os::linux::net::TcpStreamExt;
    line.set_quickack(true)
}

#[cfg(not(target_os = "linux"))]
fn quick_ack(_: &TcpStream) -> std::io::Result<()> {
    Ok(())
}

/// Length and body in a single write.
fn send(line: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
    let len = u16::try_from(body.len()).map_err(|_| ErrorKind::InvalidData)?;
    let mut message = Vec::with_capacity(body.len().saturating_add(2));
    message.extend(len.to_be_bytes());
    message.extend(body);
    line.write_all(&message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::mpsc;
    use ykt_base::StatusWord;

    #[derive(Default)]
    struct Echo {
        resets: usize,
    }

    impl InsertedCard for Echo {
        fn atr(&self) -> &[u8] {
            &[0x3B, 0x80]
        }
        fn power_off(&mut self) {}
        fn power_on(&mut self) {
            self.resets += 1;
        }
        fn answer(&mut self, command: &[u8]) -> Response {
            Response::new(command, StatusWord::OK).unwrap()
        }
    }

    fn ask(line: &mut TcpStream, body: &[u8]) -> Vec<u8> {
        // Length and body apart, as the reader's driver does.
        line.write_all(&(body.len() as u16).to_be_bytes()).unwrap();
        line.write_all(body).unwrap();
        let mut len = [0; 2];
        line.read_exact(&mut len).unwrap();
        let mut answer = vec![0; u16::from_be_bytes(len).into()];
        line.read_exact(&mut answer).unwrap();
        answer
    }

    #[test]
    fn serves_reconnects_and_stops() {
        let reader = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = reader.local_addr().unwrap().to_string();
        let stop = Stop::default();
        let (events, heard) = mpsc::channel();
        let service = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let mut card = Echo::default();
                serve(&address, &mut card, &stop, &mut |event| events.send(event).unwrap()).unwrap();
                card.resets
            }
        });
        for _ in 0..2 {
            let (mut line, _) = reader.accept().unwrap();
            assert_eq!(heard.recv().unwrap(), ServeEvent::Inserted);
            assert_eq!(ask(&mut line, &[4]), [0x3B, 0x80]);
            line.write_all(&[0, 1, 1, 0, 1, 2]).unwrap();
            assert_eq!(ask(&mut line, &[0, 0x84, 0, 0, 4]), [0, 0x84, 0, 0, 4, 0x90, 0]);
            drop(line);
            assert_eq!(heard.recv().unwrap(), ServeEvent::Ejected);
        }
        let (_line, _) = reader.accept().unwrap();
        assert_eq!(heard.recv().unwrap(), ServeEvent::Inserted);
        stop.stop();
        assert_eq!(service.join().unwrap(), 4, "two controls on each of two lines");
    }

    #[test]
    fn a_reader_that_is_not_there_is_waited_for_and_a_bad_address_is_not() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let stop = Stop::default();
        let mut card = Echo::default();
        let ending = stop.clone();
        serve(&closed.to_string(), &mut card, &stop, &mut |event| {
            assert!(matches!(event, ServeEvent::Waiting { .. }));
            ending.stop();
        })
        .unwrap();
        assert!(serve("nowhere", &mut card, &Stop::default(), &mut |_| {}).is_err());
    }
}
