//! Which transfers of a host wait for the device: transfers in begin before there is something to read, and a host
//! may take them back.

use super::traffic::{Buffer, Code, Submit, ToHost};
use crate::device::{Pipe, Setup, Stall, Token};
use std::collections::VecDeque;
use ykt_terminal::transport::vpcd::InsertedCard;

/// Transfers of one host that may wait; a driver keeps two or three.
pub const WAITING_MAX: usize = 64;

/// More than [`WAITING_MAX`] transfers wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {WAITING_MAX} transfers wait")]
pub struct TooMany;

/// A transfer in that has nothing to read yet.
struct Waiting {
    sequence: u32,
    pipe: Pipe,
    len_max: usize,
}

/// The transfers of the host that has the device.
#[derive(Default)]
pub struct Transfers {
    waiting: VecDeque<Waiting>,
}

impl Transfers {
    /// Takes a transfer; `reply` gets every transfer that ends by it, in their order.
    ///
    /// # Errors
    /// [`TooMany`] when too many wait already.
    pub fn submit<C: InsertedCard>(
        &mut self,
        token: &mut Token<C>,
        submit: Submit,
        reply: &mut dyn FnMut(ToHost),
    ) -> Result<(), TooMany> {
        let Submit { sequence, endpoint, buffer, setup, .. } = submit;
        match (endpoint, buffer) {
            (0, buffer) => reply(control(token, sequence, Setup::from_bytes(setup), &buffer)),
            (endpoint, Buffer::Out(data)) => {
                let written = Pipe::at(endpoint).ok_or(Stall).and_then(|pipe| token.write(pipe, &data));
                let len = written.map_or(0, |()| data.len());
                let code = written.map_or(Code::STALL, |()| Code::OK);
                reply(ToHost::Submitted { sequence, code, len, data: Vec::new() });
            }
            (endpoint, Buffer::In(len_max)) => match Pipe::at(endpoint | 0x80) {
                None => reply(ended(sequence, Err(Stall))),
                Some(_) if self.waiting.len() >= WAITING_MAX => return Err(TooMany),
                Some(pipe) => self.waiting.push_back(Waiting { sequence, pipe, len_max }),
            },
        }
        self.waiting.retain(|waiting| match token.read(waiting.pipe, waiting.len_max) {
            None => true,
            Some(outcome) => {
                reply(ended(waiting.sequence, outcome));
                false
            }
        });
        Ok(())
    }

    /// Takes a transfer back: it ends with the answer to the unlink alone, unless it had ended before.
    pub fn unlink(&mut self, sequence: u32, victim: u32) -> ToHost {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.sequence != victim);
        let code = if self.waiting.len() == before { Code::OK } else { Code::UNLINKED };
        ToHost::Unlinked { sequence, code }
    }
}

/// A control transfer ends at once. Its stages out carry no data in this class: what comes along is not looked at.
fn control<C: InsertedCard>(token: &mut Token<C>, sequence: u32, setup: Setup, buffer: &Buffer) -> ToHost {
    let outcome = token.control(setup);
    match buffer {
        Buffer::In(len_max) => ended(
            sequence,
            outcome.map(|mut data| {
                data.truncate(*len_max);
                data
            }),
        ),
        Buffer::Out(data) => {
            let len = outcome.as_ref().map_or(0, |_| data.len());
            let code = outcome.map_or(Code::STALL, |_| Code::OK);
            ToHost::Submitted { sequence, code, len, data: Vec::new() }
        }
    }
}

fn ended(sequence: u32, outcome: Result<Vec<u8>, Stall>) -> ToHost {
    let code = outcome.as_ref().map_or(Code::STALL, |_| Code::OK);
    let data = outcome.unwrap_or_default();
    ToHost::Submitted { sequence, code, len: data.len(), data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ccid::tests::Echo;

    struct Host {
        token: Token<Echo>,
        transfers: Transfers,
        next: u32,
    }

    impl Host {
        fn submit(&mut self, endpoint: u8, buffer: Buffer, setup: [u8; 8]) -> Result<Vec<ToHost>, TooMany> {
            self.next += 1;
            let submit = Submit { sequence: self.next, device: 1, endpoint, buffer, setup };
            let mut replies = Vec::new();
            self.transfers.submit(&mut self.token, submit, &mut |reply| replies.push(reply))?;
            Ok(replies)
        }

        fn configured() -> Host {
            let mut host =
                Host { token: Token::new(Echo::default()), transfers: Transfers::default(), next: 0 };
            let replies = host.submit(0, Buffer::Out(Vec::new()), [0, 9, 1, 0, 0, 0, 0, 0]).unwrap();
            assert_eq!(replies, [end(1, Code::OK, &[])]);
            host
        }
    }

    fn end(sequence: u32, code: Code, data: &[u8]) -> ToHost {
        ToHost::Submitted { sequence, code, len: data.len(), data: data.to_vec() }
    }

    const NONE: [u8; 8] = [0; 8];
    const STATUS: [u8; 10] = [0x65, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    const ANSWER: [u8; 10] = [0x81, 0, 0, 0, 0, 0, 1, 1, 0, 1];

    #[test]
    fn transfers_in_wait_for_their_data() {
        let mut host = Host::configured();
        assert_eq!(host.submit(2, Buffer::In(8), NONE).unwrap(), [end(2, Code::OK, &[0x50, 0x03])]);
        assert_eq!(host.submit(2, Buffer::In(8), NONE).unwrap(), []);
        assert_eq!(host.submit(1, Buffer::In(512), NONE).unwrap(), []);
        assert_eq!(host.submit(1, Buffer::In(512), NONE).unwrap(), []);
        let written = ToHost::Submitted { sequence: 6, code: Code::OK, len: 10, data: Vec::new() };
        let replies = host.submit(1, Buffer::Out(STATUS.to_vec()), NONE).unwrap();
        assert_eq!(replies, [written, end(4, Code::OK, &ANSWER)], "the older of the two waiting");
        let unlink = |host: &mut Host, victim| host.transfers.unlink(99, victim);
        let unlinked = |code| ToHost::Unlinked { sequence: 99, code };
        assert_eq!(unlink(&mut host, 3), unlinked(Code::UNLINKED));
        assert_eq!(unlink(&mut host, 3), unlinked(Code::OK), "it is gone");
        assert_eq!(unlink(&mut host, 4), unlinked(Code::OK), "it has ended");
        assert_eq!(unlink(&mut host, 5), unlinked(Code::UNLINKED));
    }

    #[test]
    fn refused_transfers_end_with_a_stall() {
        let mut host = Host::configured();
        for endpoint in [3, 15] {
            let replies = host.submit(endpoint, Buffer::In(8), NONE).unwrap();
            assert_eq!(replies, [end(host.next, Code::STALL, &[])]);
            let replies = host.submit(endpoint, Buffer::Out(vec![1]), NONE).unwrap();
            assert_eq!(replies, [end(host.next, Code::STALL, &[])]);
        }
        let replies = host.submit(0, Buffer::In(8), [0xC0, 1, 0, 0, 0, 0, 8, 0]).unwrap();
        assert_eq!(replies, [end(host.next, Code::STALL, &[])]);
        assert_eq!(host.submit(1, Buffer::In(64), NONE).unwrap(), []);
        let waiting = host.next;
        let halt = [2, 3, 0, 0, 0x81, 0, 0, 0];
        let replies = host.submit(0, Buffer::Out(Vec::new()), halt).unwrap();
        assert_eq!(replies, [end(host.next, Code::OK, &[]), end(waiting, Code::STALL, &[])]);
    }

    #[test]
    fn too_many_may_not_wait() {
        let mut host = Host::configured();
        for _ in 0..WAITING_MAX {
            assert_eq!(host.submit(1, Buffer::In(64), NONE).unwrap(), []);
        }
        assert_eq!(host.submit(1, Buffer::In(64), NONE), Err(TooMany));
    }
}
