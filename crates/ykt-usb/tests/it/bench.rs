//! A token on the bench: a city card as the chip, a server at a free port, and what the server reported.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use ykt_base::{Asn8, Rng};
use ykt_card::{ArrayMemory, Blank, Card, IMAGE_LEN_DEMO};
use ykt_crypto::Key16;
use ykt_issue::{CardData, Profile, personalise_card};
use ykt_purse::write_key::Pin;
use ykt_terminal::transport::in_process::InProcess;
use ykt_usb::usbip::server::{Event, Server, Stop};
use ykt_vault::{DEMO_TRANSPORT_KEY, KeysFile, SoftVault};

/// Random bytes from a seed.
pub struct Seeded(pub u64);

impl Rng for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

pub type Chip = InProcess<ArrayMemory<IMAGE_LEN_DEMO>, Seeded>;

/// City card 2144000000000051, fresh from the issuer, with the PIN 123456.
pub fn chip() -> Chip {
    let profile = Profile::city_cpu();
    let transport = Key16::from_bytes(DEMO_TRANSPORT_KEY);
    let vault =
        SoftVault::from_keys(KeysFile::parse(include_str!("../../../../docs/keys.toml")).unwrap()).unwrap();
    let serial = [0x21, 0x44, 0, 0, 0, 0, 0, 0x51];
    let card = Card::blank(ArrayMemory::new(), &Blank::user_card(serial, &transport)).unwrap();
    let mut chip = InProcess::new(card, Seeded(7));
    let (start, expiry) = ("20260101".parse().unwrap(), "20351231".parse().unwrap());
    let pin = Pin::from_digits("123456").unwrap();
    let data = CardData::of_city(Asn8(serial), [0x21, 0x44], start, expiry, pin);
    personalise_card(&mut chip, &vault, &profile, &data, &mut |_| {}).unwrap();
    chip
}

/// An exported token.
pub struct Bench {
    pub address: SocketAddr,
    events: Receiver<Event>,
    stop: Stop,
    service: Option<JoinHandle<Chip>>,
}

impl Bench {
    pub fn new(chip: Chip) -> Bench {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let (address, stop) = (server.address(), server.stop_handle());
        let (heard, events) = channel();
        let service =
            std::thread::spawn(move || server.serve(chip, &move |_, event| heard.send(event).unwrap()));
        Bench { address, events, stop, service: Some(service) }
    }

    pub fn at(&self) -> String {
        self.address.to_string()
    }

    /// The next thing the server reported.
    pub fn event(&self) -> Event {
        self.events.recv().unwrap()
    }

    /// Waits until the host that had the token has let go of it.
    pub fn wait_for_release(&self) {
        while !matches!(self.event(), Event::Released) {}
    }

    /// Ends the service and takes the chip out.
    pub fn take(mut self) -> Chip {
        self.stop.stop();
        self.service.take().unwrap().join().unwrap()
    }
}
