//! Every message of the class, right and wrong, against a chip that echoes.

use super::message::AnswerType;
use super::*;
use ykt_base::{Response, StatusWord};

/// Answers every command with itself, and counts how often it got power.
#[derive(Default)]
pub(crate) struct Echo {
    pub(crate) powered: usize,
}

impl InsertedCard for Echo {
    fn atr(&self) -> &[u8] {
        &[0x3B, 0x80, 0x80, 0x01, 0x01]
    }
    fn power_off(&mut self) {}
    fn power_on(&mut self) {
        self.powered += 1;
    }
    fn answer(&mut self, command: &[u8]) -> Response {
        Response::new(&command[..command.len().min(256)], StatusWord::OK).unwrap()
    }
}

fn ask(ccid: &mut Ccid<Echo>, bytes: &[u8]) -> Vec<u8> {
    ccid.receive(bytes).unwrap();
    let answer = ccid.read(512).unwrap().unwrap();
    assert!(!ccid.has_answer(), "one command, one answer");
    answer
}

const POWER_ON: [u8; 10] = [0x62, 0, 0, 0, 0, 0, 1, 0, 0, 0];

fn powered() -> Ccid<Echo> {
    let mut ccid = Ccid::new(Echo::default());
    assert_eq!(ask(&mut ccid, &POWER_ON)[10..], [0x3B, 0x80, 0x80, 0x01, 0x01]);
    ccid
}

/// Command bytes and answer bytes, as rows: without power, then with it.
#[test]
fn every_message_and_its_answer() {
    let off: &[(&[u8], &[u8])] = &[
        (&[0x65, 0, 0, 0, 0, 0, 2, 0, 0, 0], &[0x81, 0, 0, 0, 0, 0, 2, 0x01, 0, 1]),
        (&[0x6F, 4, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1, 2, 3], &[0x80, 0, 0, 0, 0, 0, 3, 0x41, 0xFE, 0]),
        (&[0x6C, 0, 0, 0, 0, 0, 4, 0, 0, 0], &[0x82, 0, 0, 0, 0, 0, 4, 0x41, 0xFE, 0]),
        (&[0x6D, 0, 0, 0, 0, 0, 5, 0, 0, 0], &[0x82, 0, 0, 0, 0, 0, 5, 0x41, 0xFE, 0]),
        (&[0x61, 5, 0, 0, 0, 0, 6, 0, 0, 0, 1, 2, 3, 4, 5], &[0x82, 0, 0, 0, 0, 0, 6, 0x41, 0xFE, 0]),
        (&[0x62, 0, 0, 0, 0, 0, 7, 4, 0, 0], &[0x80, 0, 0, 0, 0, 0, 7, 0x41, 0x07, 0]),
        (&[0x62, 1, 0, 0, 0, 0, 8, 0, 0, 0, 0], &[0x80, 0, 0, 0, 0, 0, 8, 0x41, 0x01, 0]),
    ];
    let on: &[(&[u8], &[u8])] = &[
        (&[0x65, 0, 0, 0, 0, 0, 2, 0, 0, 0], &[0x81, 0, 0, 0, 0, 0, 2, 0x00, 0, 0]),
        (
            &[0x6F, 4, 0, 0, 0, 0, 3, 9, 0, 0, 0, 1, 2, 3],
            &[0x80, 6, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1, 2, 3, 0x90, 0],
        ),
        (&[0x6F, 3, 0, 0, 0, 0, 4, 0, 0, 0, 0, 1, 2], &[0x80, 0, 0, 0, 0, 0, 4, 0x40, 0x01, 0]),
        (&[0x6F, 4, 0, 0, 0, 0, 5, 0, 1, 0, 0, 1, 2, 3], &[0x80, 0, 0, 0, 0, 0, 5, 0x40, 0x08, 0]),
        (&[0x6F, 0, 0, 0, 0, 0, 6, 0, 0x10, 0], &[0x80, 0, 0, 0, 0, 0, 6, 0x40, 0x08, 0]),
        (&[0x6C, 0, 0, 0, 0, 0, 7, 0, 0, 0], &[0x82, 5, 0, 0, 0, 0, 7, 0, 0, 0, 0x11, 0, 0, 0x0A, 0]),
        (
            &[0x61, 7, 0, 0, 0, 0, 8, 1, 0, 0, 0x18, 0x10, 0xFF, 0x45, 0, 0xFE, 0],
            &[0x82, 7, 0, 0, 0, 0, 8, 0, 0, 1, 0x18, 0x10, 0xFF, 0x45, 0, 0xFE, 0],
        ),
        (&[0x61, 5, 0, 0, 0, 0, 9, 1, 0, 0, 1, 2, 3, 4, 5], &[0x82, 0, 0, 0, 0, 0, 9, 0x40, 0x01, 0]),
        (&[0x61, 0, 0, 0, 0, 0, 10, 2, 0, 0], &[0x82, 0, 0, 0, 0, 0, 10, 0x40, 0x07, 0]),
        (&[0x6D, 0, 0, 0, 0, 0, 11, 0, 0, 0], &[0x82, 5, 0, 0, 0, 0, 11, 0, 0, 0, 0x11, 0, 0, 0x0A, 0]),
        (&[0x6B, 1, 0, 0, 0, 0, 12, 0, 0, 0, 9], &[0x83, 0, 0, 0, 0, 0, 12, 0x40, 0, 0]),
        (&[0x69, 0, 0, 0, 0, 0, 13, 0, 0, 0], &[0x80, 0, 0, 0, 0, 0, 13, 0x40, 0, 0]),
        (&[0x6A, 0, 0, 0, 0, 0, 14, 0, 0, 0], &[0x81, 0, 0, 0, 0, 0, 14, 0x40, 0, 0]),
        (&[0x6E, 0, 0, 0, 0, 0, 15, 0, 0, 0], &[0x81, 0, 0, 0, 0, 0, 15, 0x40, 0, 0]),
        (&[0x71, 0, 0, 0, 0, 0, 16, 0, 0, 0], &[0x81, 0, 0, 0, 0, 0, 16, 0x40, 0, 0]),
        (&[0x73, 0, 0, 0, 0, 0, 17, 0, 0, 0], &[0x84, 0, 0, 0, 0, 0, 17, 0x40, 0, 0]),
        (&[0x99, 0, 0, 0, 0, 0, 18, 0, 0, 0], &[0x81, 0, 0, 0, 0, 0, 18, 0x40, 0, 0]),
        (&[0x65, 0, 0, 0, 0, 1, 19, 0, 0, 0], &[0x81, 0, 0, 0, 0, 1, 19, 0x42, 0x05, 0]),
        (&[0x65, 1, 0, 0, 0, 0, 20, 0, 0, 0], &[0x81, 0, 0, 0, 0, 0, 20, 0x40, 0x01, 0]),
        (&[0x65, 0, 0, 0, 0, 0, 21, 0, 0, 0, 0], &[0x81, 0, 0, 0, 0, 0, 21, 0x40, 0x01, 0]),
        (&[0x6F, 0xFF, 0xFF, 0xFF, 0xFF, 0, 22, 0, 0, 0], &[0x80, 0, 0, 0, 0, 0, 22, 0x40, 0x01, 0]),
        (&[0x63, 0, 0, 0, 0, 0, 23, 0, 0, 0], &[0x81, 0, 0, 0, 0, 0, 23, 0x01, 0, 1]),
    ];
    for (mut ccid, rows) in [(Ccid::new(Echo::default()), off), (powered(), on)] {
        for (command, expected) in rows {
            assert_eq!(ask(&mut ccid, command), *expected, "{command:02X?}");
        }
    }
}

#[test]
fn a_message_may_come_in_packets() {
    let mut ccid = powered();
    for data_len in [54usize, 118, 120, 261] {
        let data: Vec<u8> = (0..data_len).map(|n| n as u8).collect();
        let message =
            Command { kind: CommandType::Transfer, slot: 0, sequence: 9, parameters: [0; 3], data: &data };
        let message = message.encode();
        let mut parts = message.chunks(PACKET_LEN).peekable();
        while let Some(part) = parts.next() {
            ccid.receive(part).unwrap();
            assert_eq!(ccid.has_answer(), parts.peek().is_none());
        }
        let answer = Answer::parse(&ccid.read(512).unwrap().unwrap()).unwrap();
        assert_eq!((answer.kind, answer.data.len()), (AnswerType::DataBlock, data_len.min(256) + 2));
        ccid.receive(&[]).unwrap();
        assert!(!ccid.has_answer(), "an empty packet after a message is its end, not another one");
    }
}

#[test]
fn broken_messages_leave_the_token_in_step() {
    let mut ccid = powered();
    assert_eq!(ccid.receive(&[0x65, 0, 0]), Err(Stall), "no header");
    // The message states 200 bytes of data; a short packet ends it before.
    let mut short = vec![0x6F, 200, 0, 0, 0, 0, 5, 0, 0, 0];
    short.resize(100, 0);
    assert_eq!(ask(&mut ccid, &short)[7..9], [0x40, 0x01]);
    // Refused at its first packet, the rest of it is thrown away.
    let mut long = vec![0x6F, 0, 2, 0, 0, 0, 6, 0, 0, 0];
    long.resize(64, 0);
    assert_eq!(ask(&mut ccid, &long)[7..9], [0x40, 0x01]);
    ccid.receive(&[0x65; 64]).unwrap();
    ccid.receive(&[0x65; 10]).unwrap();
    assert!(!ccid.has_answer());
    assert_eq!(ask(&mut ccid, &[0x65, 0, 0, 0, 0, 0, 7, 0, 0, 0])[6], 7);
}

#[test]
fn who_does_not_read_is_told_busy_and_then_stalled() {
    let mut ccid = powered();
    let status = [0x65, 0, 0, 0, 0, 0, 7, 0, 0, 0];
    for _ in 0..ANSWERS_MAX {
        ccid.receive(&status).unwrap();
    }
    assert_eq!(ccid.receive(&status), Err(Stall));
    assert_eq!(ccid.read(64).unwrap().unwrap()[7..9], [0x00, 0]);
    for _ in 1..ANSWERS_MAX {
        assert_eq!(ccid.read(64).unwrap().unwrap()[7..9], [0x40, 0xE0]);
    }
    assert!(ccid.read(64).is_none());
}

#[test]
fn an_abort_takes_both_pipes_in_either_order() {
    let status = [0x65, 0, 0, 0, 0, 0, 7, 0, 0, 0];
    let message = [0x72, 0, 0, 0, 0, 0, 9, 0, 0, 0];
    let done = [0x81, 0, 0, 0, 0, 0, 9, 0x00, 0, 0];

    let mut ccid = powered();
    ccid.receive(&status).unwrap();
    assert_eq!(ccid.request_abort(1, 9), Err(Stall), "no such slot");
    ccid.request_abort(0, 9).unwrap();
    ccid.receive(&message).unwrap();
    assert_eq!(ccid.read(64).unwrap().unwrap(), done, "the answer that waited is gone");

    ccid.request_abort(0, 9).unwrap();
    assert_eq!(ask(&mut ccid, &status)[7..9], [0x40, 0xFF]);
    let mut other = message;
    other[6] = 8;
    assert_eq!(ask(&mut ccid, &other)[7..9], [0x40, 0xFF], "another number");
    assert_eq!(ask(&mut ccid, &message), done);

    ccid.receive(&message).unwrap();
    assert!(!ccid.has_answer(), "it waits for its request");
    assert_eq!(ask(&mut ccid, &status)[7..9], [0x40, 0xFF]);
    assert_eq!(ccid.request_abort(0, 8), Err(Stall), "another number");
    ccid.request_abort(0, 9).unwrap();
    assert_eq!(ccid.read(64).unwrap().unwrap(), done);
    assert_eq!(ask(&mut ccid, &status)[7..9], [0x00, 0]);
}

#[test]
fn answers_are_read_in_packets_or_lost() {
    let mut ccid = powered();
    let data = [7; 100];
    let message =
        Command { kind: CommandType::Transfer, slot: 0, sequence: 9, parameters: [0; 3], data: &data };
    let message = message.encode();
    ccid.receive(&message).unwrap();
    let first = ccid.read(64).unwrap().unwrap();
    let second = ccid.read(64).unwrap().unwrap();
    assert_eq!((first.len(), second.len()), (64, 48));
    ccid.receive(&message).unwrap();
    assert_eq!(ccid.read(100), Some(Err(Stall)), "a buffer that ends within a packet");
    assert!(ccid.read(64).is_none());
}

#[test]
fn a_host_hears_once_that_a_chip_is_there() {
    let mut ccid = powered();
    assert_eq!(ccid.notice(), None);
    ccid.configured();
    assert_eq!((ccid.notice(), ccid.notice()), (Some(NOTICE), None));
    assert_eq!(ask(&mut ccid, &[0x65, 0, 0, 0, 0, 0, 2, 0, 0, 0])[7], 0x01, "configured anew: no power");
    ask(&mut ccid, &POWER_ON);
    ask(&mut ccid, &POWER_ON);
    assert_eq!(ccid.into_chip().powered, 3, "power on of a powered chip is a reset");
}
