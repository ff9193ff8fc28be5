//! What hosts do with a token: enumerate it, use its card, share it, pull it out.

use crate::bench::{Bench, chip};
use ykt_base::{CardChannel, ChannelError, DateTime, Fen, KeyIndex, StatusWord};
use ykt_purse::purchase::{InitializeForPurchase, Purchase, PurchaseAnswer, PurchaseKind};
use ykt_purse::{Purse, PurseFen};
use ykt_terminal::card;
use ykt_terminal::host::engineer::EngineerHost;
use ykt_terminal::load::{LoadOutcome, LoadRequest, LoadTerminal};
use ykt_usb::device::Setup;
use ykt_usb::usbip::client::{ClientError, Device, UsbToken, devices};
use ykt_usb::usbip::server::{BUS_ID, exported};
use ykt_usb::usbip::traffic::{Buffer, Code, ToHost};
use ykt_usb::usbip::wire::Status;
use ykt_vault::{KeyKind, KeyRef, KeysFile, SoftVault};

const NONE: [u8; 8] = [0; 8];

fn vault() -> SoftVault {
    SoftVault::from_keys(KeysFile::parse(include_str!("../../../../docs/keys.toml")).unwrap()).unwrap()
}

struct Standing;

impl ykt_base::Clock for Standing {
    fn now(&self) -> DateTime {
        "20261122080000".parse().unwrap()
    }
}

/// Loads the token with 50 yuan: the whole dialogue of a load through the token's pipes.
fn load(token: &mut UsbToken) {
    let vault = vault();
    let factor = card::open(token).unwrap().factor();
    let mut host = EngineerHost::new(&vault, Standing, factor, KeyIndex(1), KeyRef::new(KeyKind::Tac, 1, 1));
    let terminal = LoadTerminal {
        terminal: ykt_base::TerminalId([0xF0, 0, 0, 0, 0, 1]),
        key_index: KeyIndex(1),
        purse: Purse::Ep,
    };
    let order = "L-1".parse().unwrap();
    let request = LoadRequest { order: &order, amount: Fen::new(5_000), channel: "CASH" };
    let outcome = terminal.load(token, &mut host, &request, ykt_base::Clock::now(&Standing)).unwrap();
    assert_eq!(outcome, LoadOutcome::Loaded { balance: Fen::new(5_000) });
}

#[test]
fn a_host_enumerates_the_token_byte_by_byte() {
    let bench = Bench::new(chip());
    assert_eq!(devices(&bench.at()).unwrap(), [exported()]);
    let mut device = Device::import(&bench.at(), BUS_ID).unwrap();
    let mut ask = |bytes: [u8; 8]| device.control(Setup::from_bytes(bytes));
    let first = ask([0x80, 6, 0, 1, 0, 0, 64, 0]).unwrap();
    assert_eq!(first, [18, 1, 0, 2, 0, 0, 0, 64, 0x09, 0x12, 1, 0, 0, 1, 1, 2, 0, 1]);
    let head = ask([0x80, 6, 0, 2, 0, 0, 9, 0]).unwrap();
    assert_eq!(head, [9, 2, 93, 0, 1, 1, 0, 0x80, 50]);
    let whole = ask([0x80, 6, 0, 2, 0, 0, 93, 0]).unwrap();
    let mut kinds = Vec::new();
    let mut rest = whole.as_slice();
    while let [len, kind, ..] = *rest {
        kinds.push((kind, len));
        rest = &rest[usize::from(len)..];
    }
    assert_eq!(kinds, [(2, 9), (4, 9), (0x21, 54), (5, 7), (5, 7), (5, 7)]);
    assert_eq!(ask([0x80, 6, 2, 3, 9, 4, 255, 0]).unwrap()[2..8], [b'Y', 0, b'i', 0, b'k', 0]);
    assert!(matches!(ask([0x80, 6, 0, 6, 0, 0, 10, 0]), Err(ClientError::Transfer(Code::STALL))));
    ask([0, 9, 1, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(ask([0xA1, 3, 0, 0, 0, 0, 4, 0]).unwrap(), 10_752u32.to_le_bytes());

    let notice = device.transfer(2, Buffer::In(8), NONE).unwrap();
    assert_eq!(notice, [0x50, 0x03]);
    // Power on, as bytes.
    device.transfer(1, Buffer::Out(vec![0x62, 0, 0, 0, 0, 0, 5, 0, 0, 0]), NONE).unwrap();
    let atr = device.transfer(1, Buffer::In(271), NONE).unwrap();
    assert_eq!(atr[..10], [0x80, 13, 0, 0, 0, 0, 5, 0, 0, 0]);
    assert_eq!(atr[10..], ykt_card::ATR_USER_CARD);
}

#[test]
fn a_token_is_loaded_pulled_out_and_keeps_its_money() {
    let bench = Bench::new(chip());
    let mut token = UsbToken::attach(&bench.at()).unwrap();
    assert_eq!(token.atr(), ykt_card::ATR_USER_CARD);
    load(&mut token);
    let purchase = Purchase {
        kind: PurchaseKind::Purchase(Purse::Ep),
        amount: PurseFen::try_from(Fen::new(250)).unwrap(),
        terminal: ykt_base::TerminalId([0x21, 0x44, 0, 0, 0, 9]),
    };
    let initialize = InitializeForPurchase { key_index: KeyIndex(1), purchase }.to_apdu();
    let answer = token.transmit(&initialize).unwrap();
    let offer = PurchaseAnswer::from_bytes(answer.data()).unwrap();
    assert_eq!((answer.sw(), offer.balance.fen()), (StatusWord::OK, Fen::new(5_000)));

    // Pulled out between INITIALIZE and DEBIT, and plugged in again: nothing is selected, nothing was paid.
    drop(token);
    bench.wait_for_release();
    let mut token = UsbToken::attach(&bench.at()).unwrap();
    let debit = [0x80, 0x54, 0x01, 0x00, 0x0F, 0, 0, 0, 1, 0x20, 0x26, 0x11, 0x22, 8, 0, 0, 1, 2, 3, 4];
    assert_ne!(token.transmit(&debit).unwrap().sw(), StatusWord::OK);
    assert!(matches!(card::balance(&mut token), Err(card::CardError::Refused { .. })));
    card::select(&mut token).unwrap();
    assert_eq!(card::balance(&mut token).unwrap(), Fen::new(5_000));
    token.reset().unwrap();
    assert!(card::balance(&mut token).is_err(), "a reset deselects");

    // The server goes away under the host, and comes back with the same chip.
    let chip = bench.take();
    assert_eq!(token.transmit(&debit).unwrap_err(), ChannelError::Removed);
    let bench = Bench::new(chip);
    let mut token = UsbToken::attach(&bench.at()).unwrap();
    card::select(&mut token).unwrap();
    assert_eq!(card::balance(&mut token).unwrap(), Fen::new(5_000));
    assert_eq!(card::log(&mut token).unwrap().len(), 1);
}

#[test]
fn one_host_at_a_time_has_the_token() {
    let bench = Bench::new(chip());
    let first = UsbToken::attach(&bench.at()).unwrap();
    let refused = UsbToken::attach(&bench.at()).err().unwrap();
    assert!(matches!(refused, ClientError::Refused { status: Status::Busy, .. }), "{refused}");
    assert!(refused.to_string().ends_with("another host has it"));
    assert_eq!(devices(&bench.at()).unwrap().len(), 1, "asking what there is goes on");
    let other = Device::import(&bench.at(), "9-9").err().unwrap();
    assert!(matches!(other, ClientError::Refused { status: Status::NoDevice, .. }));
    drop(first);
    bench.wait_for_release();
    UsbToken::attach(&bench.at()).unwrap();
}

#[test]
fn a_waiting_transfer_is_taken_back() {
    let bench = Bench::new(chip());
    let mut device = Device::import(&bench.at(), BUS_ID).unwrap();
    device.control(Setup::from_bytes([0, 9, 1, 0, 0, 0, 0, 0])).unwrap();
    device.transfer(2, Buffer::In(8), NONE).unwrap();
    let waiting = device.submit(2, Buffer::In(8), NONE).unwrap();
    let unlink = device.unlink(waiting).unwrap();
    assert_eq!(device.reply().unwrap(), ToHost::Unlinked { sequence: unlink, code: Code::UNLINKED });
    let again = device.unlink(waiting).unwrap();
    assert_eq!(device.reply().unwrap(), ToHost::Unlinked { sequence: again, code: Code::OK });
    // The pipes go on: a status, its answer asked for before the command is sent.
    let early = device.submit(1, Buffer::In(271), NONE).unwrap();
    let command = device.submit(1, Buffer::Out(vec![0x65, 0, 0, 0, 0, 0, 9, 0, 0, 0]), NONE).unwrap();
    let written = ToHost::Submitted { sequence: command, code: Code::OK, len: 10, data: Vec::new() };
    assert_eq!(device.reply().unwrap(), written);
    let answer = ToHost::Submitted {
        sequence: early,
        code: Code::OK,
        len: 10,
        data: vec![0x81, 0, 0, 0, 0, 0, 9, 1, 0, 1],
    };
    assert_eq!(device.reply().unwrap(), answer);
}

#[test]
fn a_host_says_why_it_has_no_token() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = UsbToken::attach(&closed.to_string()).err().unwrap();
    assert!(error.to_string().contains("ykt token serve"), "{error}");
    assert!(matches!(UsbToken::attach("nowhere"), Err(ClientError::Connect { .. })));
}
