//! A socket with a deadline for a whole message. The time limit of a socket alone begins anew with every byte, so
//! that a peer who sends one byte at a time would hold its line, and the thread behind it, for ever.

use super::ANSWER_S_MAX;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A socket whose next call can be limited.
pub trait Socket: Read + Write + Send {
    fn limit_read(&self, patience: Option<Duration>) -> io::Result<()>;
    fn limit_write(&self, patience: Option<Duration>) -> io::Result<()>;
}

macro_rules! sockets {
    ($($name:ty)+) => {$(
        impl Socket for $name {
            fn limit_read(&self, patience: Option<Duration>) -> io::Result<()> {
                self.set_read_timeout(patience)
            }
            fn limit_write(&self, patience: Option<Duration>) -> io::Result<()> {
                self.set_write_timeout(patience)
            }
        }
    )+};
}

sockets! { TcpStream UnixStream }

/// A line whose peer has until a moment.
pub trait Line: Read + Write + Send {
    /// The peer has so long from now on, whatever it sends and takes meanwhile; `None`: as long as it is silent. A line
    /// in memory needs none.
    fn allow(&mut self, patience: Option<Duration>);
}

/// A socket with its deadline. Without one it waits for the first byte as long as it takes; that byte begins
/// [`ANSWER_S_MAX`].
pub struct Timed<S> {
    socket: S,
    until: Option<Instant>,
}

impl<S: Socket> Timed<S> {
    pub const fn new(socket: S) -> Timed<S> {
        Timed { socket, until: None }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let Some(until) = self.until else { return Ok(None) };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl<S: Socket> Line for Timed<S> {
    fn allow(&mut self, patience: Option<Duration>) {
        self.until = patience.and_then(|patience| Instant::now().checked_add(patience));
    }
}

impl<S: Socket> Read for Timed<S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.socket.limit_read(self.left()?)?;
        let read = self.socket.read(out)?;
        if self.until.is_none() && read > 0 {
            self.allow(Some(Duration::from_secs(ANSWER_S_MAX)));
        }
        Ok(read)
    }
}

impl<S: Socket> Write for Timed<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.limit_write(self.left()?)?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte at a time, each well within the limit of a socket: the whole counts.
    #[test]
    fn a_peer_that_drips_gets_no_more_time_than_one_that_is_silent() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut timed = Timed::new(far);
        timed.allow(Some(Duration::from_millis(50)));
        let begun = Instant::now();
        let mut bytes = 0;
        let error = loop {
            near.write_all(&[0]).unwrap();
            match timed.read(&mut [0; 8]) {
                Ok(read) => bytes += read,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(bytes > 0 && begun.elapsed() >= Duration::from_millis(50));
        assert_eq!(timed.write(&[0]).unwrap_err().kind(), io::ErrorKind::TimedOut, "an answer, too");
    }

    #[test]
    fn the_first_byte_of_a_message_begins_its_time() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut timed = Timed::new(far);
        near.write_all(&[0]).unwrap();
        assert_eq!(timed.read(&mut [0; 8]).unwrap(), 1);
        assert!(timed.until.is_some());
        timed.allow(None);
        assert_eq!(timed.left().unwrap(), None);
    }
}
