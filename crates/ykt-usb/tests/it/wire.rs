//! Bytes that no host of good will sends: the connection is dropped with its reason, the token goes on.

use crate::bench::{Bench, chip};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use ykt_usb::usbip::client::{UsbToken, devices};
use ykt_usb::usbip::server::{CONNECTIONS_MAX, Event};
use ykt_usb::usbip::transfers::WAITING_MAX;

const DEVICES: [u8; 8] = [0x01, 0x11, 0x80, 0x05, 0, 0, 0, 0];

fn import() -> Vec<u8> {
    let mut bytes = vec![0x01, 0x11, 0x80, 0x03, 0, 0, 0, 0];
    bytes.extend(b"1-1");
    bytes.resize(40, 0);
    bytes
}

/// The header of a transfer to or from the device.
fn submit(direction: u8, endpoint: u8, len: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 2, 0, 0, 0, direction, 0, 0, 0, endpoint];
    bytes.extend([0; 4]);
    bytes.extend(len.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]);
    bytes.resize(48, 0);
    bytes
}

/// Sends the parts and no more, and waits until the server lets go.
fn send(bench: &Bench, parts: &[&[u8]]) -> Vec<u8> {
    let mut line = TcpStream::connect(bench.address).unwrap();
    for part in parts {
        line.write_all(part).unwrap();
    }
    line.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    // A server that dropped the line with bytes unread resets it.
    let _reset = line.read_to_end(&mut answer);
    answer
}

/// What the server says when it drops a connection, the steps before left out.
fn dropped(bench: &Bench) -> String {
    loop {
        if let Event::Dropped(fault) = bench.event() {
            return fault.to_string();
        }
    }
}

#[test]
fn each_malformed_message_is_dropped_with_its_reason() {
    let bench = Bench::new(chip());
    let import = import();
    let mut unlink = submit(0, 0, 0);
    unlink[3] = 9;
    let mut other_device = submit(1, 1, 64);
    other_device[11] = 3;
    let mut isochronous = submit(1, 1, 64);
    isochronous[32..36].copy_from_slice(&[0, 0, 0, 2]);
    let cases: [(&[&[u8]], &str); 11] = [
        (&[b"GET / HTTP/1.1\r\n\r\n"], "protocol version 4745, expected 0111"),
        (&[&[1, 0x11, 0x80, 7, 0, 0, 0, 0]], "message 0x8007 where a list or an import is expected"),
        (&[&DEVICES[..5]], "the line broke inside a message"),
        (&[&import[..20]], "the line broke inside a message"),
        (&[&import, &unlink], "message 0x0009 where a transfer or an unlink is expected"),
        (&[&import, &other_device], "a transfer for device 00010003, imported is 00010002"),
        (&[&import, &isochronous], "an isochronous transfer of 2 packets"),
        (&[&import, &submit(2, 1, 64)], "direction 2, endpoint 1 are no pipe"),
        (&[&import, &submit(1, 16, 64)], "direction 1, endpoint 16 are no pipe"),
        (&[&import, &submit(0, 1, 0x7FFF_FFFF)], "a buffer of 2147483647 bytes, at most 1048576 are taken"),
        (&[&import, &submit(0, 1, 64), &[0; 63]], "the line broke inside a message"),
    ];
    for (parts, expected) in cases {
        send(&bench, parts);
        assert_eq!(dropped(&bench), expected);
    }
    assert_eq!(devices(&bench.at()).unwrap().len(), 1);
    UsbToken::attach(&bench.at()).unwrap();
}

/// Every prefix of a whole conversation: whatever the server makes of it, it stays there.
#[test]
fn a_conversation_may_end_anywhere() {
    let bench = Bench::new(chip());
    let mut setup = submit(0, 0, 0);
    setup[40..].copy_from_slice(&[0, 9, 1, 0, 0, 0, 0, 0]);
    let power_on = [&submit(0, 1, 10)[..], &[0x62, 0, 0, 0, 0, 0, 1, 0, 0, 0]].concat();
    let whole = [&import()[..], &setup, &power_on, &submit(1, 1, 271)].concat();
    for len in 0..=whole.len() {
        let answer = send(&bench, &[&whole[..len]]);
        let expected = match len {
            0..40 => 0,
            40..88 => 320,
            88..146 => 320 + 48,
            146..194 => 320 + 2 * 48,
            _ => 320 + 3 * 48 + 10 + 13,
        };
        assert_eq!(answer.len(), expected, "{len}");
        if len >= 40 {
            bench.wait_for_release();
        }
    }
    UsbToken::attach(&bench.at()).unwrap();
}

#[test]
fn a_host_that_lets_too_much_wait_loses_the_token() {
    let bench = Bench::new(chip());
    let mut setup = submit(0, 0, 0);
    setup[40..].copy_from_slice(&[0, 9, 1, 0, 0, 0, 0, 0]);
    let waiting = submit(1, 1, 64).repeat(WAITING_MAX + 1);
    send(&bench, &[&import(), &setup, &waiting]);
    assert_eq!(dropped(&bench), format!("more than {WAITING_MAX} transfers wait"));
}

#[test]
fn too_many_connections_are_closed_at_once() {
    let bench = Bench::new(chip());
    let held: Vec<TcpStream> = (0..CONNECTIONS_MAX)
        .map(|_| {
            let mut line = TcpStream::connect(bench.address).unwrap();
            // An answer shows that the server holds the line.
            line.write_all(&DEVICES).unwrap();
            line.read_exact(&mut [0; 328]).unwrap();
            line
        })
        .collect();
    assert!(send(&bench, &[]).is_empty());
    let crowded = std::iter::repeat_with(|| bench.event()).take(CONNECTIONS_MAX + 1);
    assert!(crowded.last().is_some_and(|event| matches!(event, Event::Crowded)));
    drop(held);
    bench.take();
}
