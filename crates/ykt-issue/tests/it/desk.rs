//! The desk of the tests: blank chips, the documented keys, and the data of cards, PSAMs and key cards.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;
use ykt_base::hex::Hex;
use ykt_base::{
    Asn8, CardChannel, ChannelError, Command, Date, IssuerFactor, PsamSerial, Response, Rng, StatusWord,
    TerminalId,
};
use ykt_card::{Blank, Card, CardKind, Memory, MemoryFault};
use ykt_crypto::sm2::PrivateKey;
use ykt_crypto::{CardKey, Key16};
use ykt_issue::{
    BankData, CardData, ComponentData, HolderData, IdentityData, IdentitySigner, IssueError, KeyCardData,
    Profile, Progress, PsamData, personalise_card, personalise_key_card, personalise_psam, t_union_issuer,
};
use ykt_purse::bank::{self, Tracks};
use ykt_purse::command;
use ykt_purse::component_card::{Label, Part};
use ykt_purse::files::{PublicDataLayout, city_factor};
use ykt_purse::identity::{DataGroup, SignedObject};
use ykt_purse::write_key::Pin;
use ykt_vault::{DEMO_TRANSPORT_KEY, KeysFile, SoftVault};

pub const CITY: [u8; 2] = [0x21, 0x44];
pub const ASN: Asn8 = Asn8([0x21, 0x44, 0, 0, 0, 0, 0, 0x17]);
pub const TERMINAL: TerminalId = TerminalId([0x21, 0x44, 0, 0, 0, 9]);
pub const TRACK2: &str = "6222020200012345678=2912220";

/// A counter: different bytes for every card, the same in every run.
pub struct Counting(pub u64);

impl Rng for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

/// Memory of any length.
pub struct Chip(pub Vec<u8>);

impl Memory for Chip {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, at: usize, out: &mut [u8]) {
        for (at, byte) in (at..).zip(out) {
            *byte = self.0.get(at).copied().unwrap_or_default();
        }
    }

    fn write(&mut self, at: usize, data: &[u8]) -> Result<(), MemoryFault> {
        self.0.get_mut(at..at + data.len()).ok_or(MemoryFault)?.copy_from_slice(data);
        Ok(())
    }
}

/// A card on the desk.
pub struct Desk {
    pub card: Card<Chip>,
    rng: Counting,
    /// Commands and answers so far, as a dialogue file writes them.
    pub dialogue: Rc<RefCell<String>>,
}

impl Desk {
    /// A blank chip for a profile, with the factory's transport key.
    pub fn blank(profile: &Profile) -> Desk {
        Desk::blank_with(profile, DEMO_TRANSPORT_KEY)
    }

    pub fn blank_with(profile: &Profile, transport: [u8; 16]) -> Desk {
        let transport = Key16::from_bytes(transport);
        let blank = Blank {
            kind: profile.kind,
            atr: &profile.atr,
            ..Blank::user_card([0, 0, 0, 0, 0, 0, 0, 7], &transport)
        };
        let card = Card::blank(Chip(vec![0; profile.memory_len]), &blank).unwrap();
        Desk { card, rng: Counting(1), dialogue: Rc::default() }
    }

    /// A card of this memory, powered on.
    pub fn of_image(image: Vec<u8>) -> Desk {
        Desk { card: Card::power_on(Chip(image)).unwrap(), rng: Counting(2), dialogue: Rc::default() }
    }

    /// Sends bytes that must be answered 9000.
    pub fn ok(&mut self, command: &[u8]) -> Vec<u8> {
        let answer = self.transmit(command).unwrap();
        assert_eq!(answer.sw(), StatusWord::OK, "{}", Hex(command));
        answer.data().to_vec()
    }

    /// As [`Desk::ok`], for a command without bytes of its own.
    pub fn fine(&mut self, command: &Command<'_>) -> Vec<u8> {
        self.ok(command.encode(&mut [0; ykt_base::apdu::COMMAND_LEN_MAX]))
    }

    pub fn select(&mut self, aid: &[u8]) -> Vec<u8> {
        self.fine(&command::select_name(aid))
    }

    /// Bytes from the start of a file.
    pub fn read(&mut self, sfi: u8, len: u16) -> Vec<u8> {
        self.fine(&command::read_binary(sfi, 0, len))
    }

    pub fn verify_pin(&mut self) {
        self.fine(&command::verify(0, &pin()));
    }

    /// Bytes of the MF in use, the image's head included, and bytes of the image.
    pub fn used(&self) -> (usize, usize) {
        let (mut used, mut size) = (0, 0);
        self.card.inspect(&mut |sight| {
            if let ykt_card::Sight::Directory { fid: [0x3F, 0x00], used: of_files, size: room, .. } = sight {
                (used, size) = (of_files, room);
            }
        });
        let all = self.card.memory().len();
        (all - size + used, all)
    }
}

impl CardChannel for Desk {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        let answer = self.card.process(&mut self.rng, command);
        writeln!(self.dialogue.borrow_mut(), "> {}\n< {}", Hex(command), Hex(answer.as_bytes())).unwrap();
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        self.card.reset();
        Ok(())
    }
}

/// A vault of the keys that `docs/keys.toml` prints.
pub fn vault() -> SoftVault {
    SoftVault::from_keys(KeysFile::parse(include_str!("../../../../docs/keys.toml")).unwrap()).unwrap()
}

/// A root of `docs/keys.toml`, diversified for a card.
pub fn card_key(root: &str, asn: Asn8) -> CardKey {
    CardKey::from_hex(root).unwrap().diversify(&city_factor(CITY).0).diversify(&asn.0)
}

pub fn day(text: &str) -> Date {
    text.parse().unwrap()
}

pub fn pin() -> Pin {
    Pin::from_digits("123456").unwrap()
}

/// The authority of the identities here.
pub fn authority() -> PrivateKey {
    PrivateKey::generate(&mut Counting(5))
}

struct Authority(PrivateKey);

impl IdentitySigner for Authority {
    fn sign(&self, object: &SignedObject) -> Vec<u8> {
        object.sign(&self.0, &mut Counting(6)).to_vec()
    }
}

/// A photo of 1,500 bytes.
pub fn photo() -> Vec<u8> {
    (0..1500_u16).map(|at| at.to_be_bytes()[1] ^ 0xA5).collect()
}

pub fn reference(number: u8) -> Asn8 {
    Asn8([1, 2, 3, 0, 0, 0, 0, number])
}

/// A custodian's component of a key of SM4.
pub fn component() -> ComponentData {
    let label = Label::new("C20261122-01", 2, 3, 0).unwrap();
    ComponentData { label, part: Part::new(4, &[0x5A; 16], [1, 2, 3], [4, 5, 6]).unwrap() }
}

/// A card whose holder has everything.
pub fn card_data() -> CardData {
    let bank = |number: u8| BankData {
        card: bank::CardData { reference: reference(number), label: *b"ICBC debit\0\0\0\0\0\0" },
        tracks: Tracks::from_digits(TRACK2, "").unwrap(),
        signature: vec![number; 400],
    };
    let text = |text: &str| text.as_bytes().to_vec();
    let groups = BTreeMap::from([
        (DataGroup::Name, text("张三")),
        (DataGroup::IdNumber, text("110101199003078515")),
        (DataGroup::Birth, vec![0x19, 0x90, 0x03, 0x07]),
        (DataGroup::Address, text("北京市东城区")),
        (DataGroup::Photo, photo()),
    ]);
    let identity = IdentityData { groups, signer: Arc::new(Authority(authority())) };
    let holder = HolderData { id_number: "110101199003078515".to_owned(), ..HolderData::default() };
    CardData {
        holder,
        banks: vec![bank(1), bank(2)],
        identity: Some(identity),
        component: Some(component()),
        ..CardData::of_city(ASN, CITY, day("20260101"), day("20361231"), pin())
    }
}

/// A PSAM for the cards of a layout.
pub fn psam_data(layout: PublicDataLayout) -> PsamData {
    let serial = PsamSerial([0, 0, 0x21, 0x44, 0, 0, 0, 0, 0, 9]);
    let data = PsamData::of_city(serial, TERMINAL, CITY, day("20260101"), day("20361231"));
    match layout {
        PublicDataLayout::City => data,
        PublicDataLayout::Pboc | PublicDataLayout::TUnion => {
            PsamData { issuer: t_union_issuer(CITY), ..data }
        }
    }
}

pub fn key_card_data(profile: &Profile) -> KeyCardData {
    KeyCardData {
        serial: PsamSerial([0, 0, 0x21, 0x44, 0, 0, 0, 0, 0, 3]),
        cards: 2,
        cities: vec![city_factor(CITY), IssuerFactor([0x31, 0, 0xFF, 0, 0, 0, 0, 0])],
        kinds: profile.issue_kinds(),
        pin: pin(),
    }
}

/// Makes whatever the profile is for; returns the number of commands.
pub fn personalise(
    channel: &mut impl CardChannel,
    vault: &SoftVault,
    profile: &Profile,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<usize, IssueError> {
    match profile.kind {
        CardKind::User => personalise_card(channel, vault, profile, &card_data(), progress),
        CardKind::Psam => {
            let layout =
                if profile.name == "psam" { PublicDataLayout::City } else { PublicDataLayout::TUnion };
            personalise_psam(channel, vault, profile, &psam_data(layout), progress)
        }
        CardKind::KeyCard => personalise_key_card(channel, vault, profile, &key_card_data(profile), progress),
    }
}

/// A card of a shipped profile, fresh from the issuer and out of the reader again.
pub fn made(name: &str) -> Desk {
    made_by(&Profile::named(name).unwrap())
}

pub fn made_by(profile: &Profile) -> Desk {
    let mut desk = Desk::blank(profile);
    personalise(&mut desk, &vault(), profile, &mut |_| {}).unwrap();
    desk.reset().unwrap();
    desk
}
