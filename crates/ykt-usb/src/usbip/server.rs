//! Exports one token over TCP. Many may ask what there is; one host at a time has it.
//!
//! The protocol knows no password: whoever reaches the port has the token, as whoever has the plug does. So it is
//! meant for the machine itself (127.0.0.1), or for a tunnel.

use super::traffic::{ToDevice, ToHost};
use super::transfers::{TooMany, Transfers};
use super::wire::{self, ExportedDevice, Request, Status, WireError};
use crate::descriptor;
use crate::device::Token;
use std::io::{self, BufReader, BufWriter, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
use ykt_terminal::transport::vpcd::InsertedCard;

/// Connections at the same time; the next one is closed at once.
pub const CONNECTIONS_MAX: usize = 16;
/// Wait for the request of a connection that has no device, and for a host that takes no answers.
pub const PATIENCE_S_MAX: u64 = 10;

/// Bus id of the only device.
pub const BUS_ID: &str = "1-1";

/// The only device, as lists show it.
#[must_use]
pub fn exported() -> ExportedDevice {
    ExportedDevice {
        path: "/sys/devices/yikatong/usb1/1-1".to_owned(),
        bus_id: BUS_ID.to_owned(),
        bus: 1,
        device: 2,
        speed: 2,
        vendor: descriptor::VENDOR_ID,
        product: descriptor::PRODUCT_ID,
        release: descriptor::DEVICE_RELEASE,
        class: [0; 3],
        configuration: 0,
        configurations: 1,
        interfaces: vec![[descriptor::INTERFACE_CLASS, 0, 0]],
    }
}

/// Why the server cannot begin.
#[derive(Debug, thiserror::Error)]
#[error("cannot wait for hosts at `{address}`: give a free HOST:PORT of this machine")]
pub struct BindError {
    /// The address.
    pub address: String,
    /// What the system said.
    pub source: io::Error,
}

/// Why a connection was dropped.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The other side does not speak the protocol.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The host lets too many transfers wait.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// An answer could not be sent.
    #[error("an answer could not be sent")]
    Send(#[source] io::Error),
}

/// Something to report while the token is exported.
#[derive(Debug)]
pub enum Event {
    /// Somebody asked what there is.
    Listed,
    /// A host has the token now.
    Imported,
    /// The host let go of the token: it has no power any more.
    Released,
    /// A host asked for the token and did not get it.
    Refused(
        /// What it was told.
        Status,
    ),
    /// Too many are connected.
    Crowded,
    /// A connection was dropped.
    Dropped(
        /// Why.
        Fault,
    ),
}

/// Hears what happens, and with whom.
pub type Report<'a> = &'a (dyn Fn(SocketAddr, Event) + Sync);

/// Ends [`Server::serve`] from another thread, a signal handler's among them.
#[derive(Debug, Clone)]
pub struct Stop {
    address: SocketAddr,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    is_stopped: bool,
    open: Vec<(SocketAddr, TcpStream)>,
}

impl Stop {
    /// Ends the service after the commands in work.
    pub fn stop(&self) {
        let mut lines = self.lock();
        lines.is_stopped = true;
        for (_, line) in &lines.open {
            // Reading only: an answer on its way still goes out. A line that is gone already needs no closing.
            let _gone = line.shutdown(Shutdown::Read);
        }
        drop(lines);
        // Wakes the server, which waits for the next connection; without one it has ended already.
        let _ended = TcpStream::connect(self.address);
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a line so that it can be closed; `false` when there are too many.
    fn hold(&self, peer: SocketAddr, line: TcpStream) -> bool {
        let mut lines = self.lock();
        let has_room = lines.open.len() < CONNECTIONS_MAX;
        if lines.is_stopped {
            let _gone = line.shutdown(Shutdown::Read);
        } else if has_room {
            lines.open.push((peer, line));
        }
        has_room
    }

    fn release(&self, peer: SocketAddr) {
        self.lock().open.retain(|(held, _)| *held != peer);
    }
}

/// A server that waits at its address.
pub struct Server {
    listener: TcpListener,
    stop: Stop,
}

impl Server {
    /// Begins to wait at `address`, HOST:PORT; port 0 takes any that is free.
    ///
    /// # Errors
    /// [`BindError`] when the address is none of this machine's, or taken.
    pub fn bind(address: &str) -> Result<Server, BindError> {
        let fault = |source| BindError { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        Ok(Server { listener, stop: Stop { address, lines: Arc::default() } })
    }

    /// Where it waits.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.stop.address
    }

    /// A handle that ends it.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    /// Exports the token until [`Stop::stop`], and gives its chip back.
    pub fn serve<C: InsertedCard + Send>(&self, chip: C, report: Report<'_>) -> C {
        let token = Mutex::new(Token::new(chip));
        std::thread::scope(|scope| {
            loop {
                // A connection that broke before it was taken concerns nobody.
                let Ok((line, peer)) = self.listener.accept() else { continue };
                if self.stop.lock().is_stopped {
                    break;
                }
                let Ok(held) = line.try_clone() else { continue };
                if !self.stop.hold(peer, held) {
                    report(peer, Event::Crowded);
                    continue;
                }
                let token = &token;
                scope.spawn(move || {
                    if let Err(fault) = converse(&line, peer, token, report) {
                        report(peer, Event::Dropped(fault));
                    }
                    self.stop.release(peer);
                });
            }
        });
        token.into_inner().unwrap_or_else(PoisonError::into_inner).into_chip()
    }
}

/// One connection: requests until it ends or has the token.
fn converse<C: InsertedCard>(
    line: &TcpStream,
    peer: SocketAddr,
    token: &Mutex<Token<C>>,
    report: Report<'_>,
) -> Result<(), Fault> {
    let patience = Some(Duration::from_secs(PATIENCE_S_MAX));
    line.set_nodelay(true).map_err(Fault::Send)?;
    line.set_read_timeout(patience).map_err(Fault::Send)?;
    line.set_write_timeout(patience).map_err(Fault::Send)?;
    let mut reader = BufReader::new(line);
    let send = |bytes: &[u8]| (&*line).write_all(bytes).map_err(Fault::Send);
    let device = exported();
    while let Some(request) = Request::read(&mut reader)? {
        let refused = match request {
            Request::Devices => {
                report(peer, Event::Listed);
                send(&wire::encode_devices(std::slice::from_ref(&device)))?;
                continue;
            }
            Request::Import(bus_id) if bus_id != BUS_ID => Status::NoDevice,
            Request::Import(_) => match free(token) {
                None => Status::Busy,
                Some(mut token) => {
                    report(peer, Event::Imported);
                    let outcome = host(&mut reader, &mut token);
                    drop(token);
                    report(peer, Event::Released);
                    return outcome;
                }
            },
        };
        report(peer, Event::Refused(refused));
        send(&wire::encode_import(Err(refused)))?;
    }
    Ok(())
}

/// The token, unless another host has it.
fn free<C>(token: &Mutex<Token<C>>) -> Option<MutexGuard<'_, Token<C>>> {
    match token.try_lock() {
        Ok(token) => Some(token),
        // What a conversation that broke off left is reset before the next one begins.
        Err(TryLockError::Poisoned(poison)) => Some(poison.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// The connection of the host that has the token.
fn host<C: InsertedCard>(reader: &mut BufReader<&TcpStream>, token: &mut Token<C>) -> Result<(), Fault> {
    token.reset();
    let outcome = transfer(reader, token);
    token.reset();
    outcome
}

fn transfer<C: InsertedCard>(reader: &mut BufReader<&TcpStream>, token: &mut Token<C>) -> Result<(), Fault> {
    let line = *reader.get_ref();
    // A token may lie idle in its host for days.
    line.set_read_timeout(None).map_err(Fault::Send)?;
    let mut writer = BufWriter::new(line);
    let device = exported();
    writer.write_all(&wire::encode_import(Ok(&device))).map_err(Fault::Send)?;
    let mut transfers = Transfers::default();
    loop {
        if reader.buffer().is_empty() {
            writer.flush().map_err(Fault::Send)?;
        }
        let Some(message) = ToDevice::read(reader, device.id())? else { return Ok(()) };
        let mut sent = Ok(());
        let mut reply = |reply: ToHost| {
            if sent.is_ok() {
                sent = writer.write_all(&reply.encode());
            }
        };
        match message {
            ToDevice::Submit(submit) => transfers.submit(token, submit, &mut reply)?,
            ToDevice::Unlink { sequence, victim, .. } => reply(transfers.unlink(sequence, victim)),
        }
        sent.map_err(Fault::Send)?;
    }
}
