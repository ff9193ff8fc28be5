//! How every vault must behave, whatever holds its keys: run by the tests of each backend.
//!
//! [`deviations`]: loaded with the keys of [`KEYS`] it is asked for what the public vectors fix, and for what it must
//! refuse. [`derivations`]: empty, it is given the keys of all vectors of diversification. [`management`]: keys are
//! made, brought in, moved on and handed over. What a backend says it lacks is skipped, and nothing else.

mod derivations;
mod management;
mod switched;

pub use derivations::{DIVERSIFY, derivations, levels};
pub use management::management;
pub use switched::Switched;

use crate::error::VaultError;
use crate::kind::{KeyKind, KeyState};
use crate::vault::{
    CardKeyRef, KeyAddress, KeyInfo, KeyLayout, KeyRef, LoadSession, MacVerdict, NewKey, PresetJob, Receipt,
    Secrecy, SecureMessage, TacJob, TacVerdict, Vault, WriteKeyJob,
};
use std::fmt::Debug;
use ykt_base::hex::Hex;
use ykt_base::{
    Asn8, CardCounter, DateTime, IssuerFactor, KeyVersion, Mac4, PsamSerial, Random4, TerminalId, TerminalSeq,
};
use ykt_crypto::sm::Padding;
use ykt_crypto::{CardKey, Key16};
use ykt_purse::create::{Access, Switches};
use ykt_purse::hard_info::Preset;
use ykt_purse::key_card::{IssueKind, IssueUsage, KeyCardHeader, KeyCardUsage};
use ykt_purse::load::Load;
use ykt_purse::psam::SamUsage;
use ykt_purse::purchase::{Purchase, PurchaseKind};
use ykt_purse::write_key::{
    self, ErrorCounter, KeyForm, KeyHeader, KeyLayout as Family, KeyTarget, KeyUsage, Pin, SamKeyHeader,
};
use ykt_purse::{Algorithm, Purse, PurseFen};

/// The key file a backend is loaded with before it is asked: the documented example.
pub const KEYS: &str = include_str!("../../../docs/keys.toml");

const ISSUER: IssuerFactor = IssuerFactor([0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF]);
const ASN: Asn8 = Asn8([0x17, 0x00, 0x01, 0x01, 0x70, 0x90, 0x79, 0x84]);
const SERIAL: PsamSerial = PsamSerial([0x21, 0x44, 0, 0, 0, 0, 0, 0, 0, 0x07]);
const IV: [u8; 8] = [0xA1, 0xB2, 0xC3, 0xD4, 0, 0, 0, 0];

/// Everything a vault loaded with [`KEYS`] does otherwise than it must, one line each; empty when it is sound.
#[must_use]
pub fn deviations(vault: &dyn Vault) -> Vec<String> {
    let mut found = Deviations(Vec::new());
    lists(vault, &mut found);
    loads(vault, &mut found);
    tacs(vault, &mut found);
    messages(vault, &mut found);
    card_keys(vault, &mut found);
    sam_keys(vault, &mut found);
    key_card_keys(vault, &mut found);
    presets(vault, &mut found);
    found.0
}

struct Deviations(Vec<String>);

impl Deviations {
    fn expect<T: PartialEq + Debug>(&mut self, what: &str, found: &T, expected: &T) {
        if found != expected {
            self.0.push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    }

    fn expect_bytes<E: Debug>(&mut self, what: &str, found: Result<impl AsRef<[u8]>, E>, expected: &str) {
        match found {
            Ok(bytes) => self.expect(what, &Hex(bytes.as_ref()).to_string(), &expected.to_owned()),
            Err(error) => self.0.push(format!("{what}: expected {expected}, refused with {error:?}")),
        }
    }
}

fn card(kind: KeyKind, index: u8, version: u8) -> CardKeyRef {
    CardKeyRef { key: KeyRef::new(kind, index, version), factor: ISSUER, asn: ASN }
}

fn address(kind: KeyKind) -> KeyAddress {
    KeyAddress::Card(card(kind, 1, 1))
}

fn amount(fen: u32) -> PurseFen {
    PurseFen::from_bytes(fen.to_be_bytes()).unwrap_or_default()
}

/// Date and time of the vectors.
#[expect(clippy::expect_used, reason = "a constant that is a date")]
fn noon() -> DateTime {
    DateTime::from_bcd([0x20, 0x24, 0x01, 0x31, 0x12, 0x34, 0x56]).expect("2024-01-31 12:34:56")
}

fn load() -> Load {
    let terminal = TerminalId([0x00, 0x11, 0x22, 0x33, 0x44, 0x55]);
    Load { purse: Purse::Ep, amount: amount(20_000), terminal }
}

fn lists(vault: &dyn Vault, found: &mut Deviations) {
    let list = vault.list().unwrap_or_default();
    let mut ordered = list.clone();
    ordered.sort_by_key(KeyInfo::place);
    found.expect("list is ordered by kind, index, version", &list, &ordered);
    found.expect("status counts the keys", &vault.status().keys, &list.len());
    let root = list.iter().find(|info| info.key == KeyRef::new(KeyKind::SamTransport, 1, 1));
    let shown = root.map(|info| (Hex(&info.kcv).to_string(), info.state, info.origin));
    let kcv = CardKey::Tdes(Key16::from_bytes(crate::DEMO_TRANSPORT_KEY)).kcv();
    let origin = vault.status().origin;
    found.expect("check value in the list", &shown, &Some((Hex(&kcv).to_string(), KeyState::Active, origin)));
    let finished = KeyAddress::Card(card(KeyKind::Purchase, 3, 1));
    let derived = vault.kcv(&address(KeyKind::Purchase));
    found.expect("a finished key is the derived one", &vault.kcv(&finished), &derived);
}

/// Vector `load/EP`.
fn loads(vault: &dyn Vault, found: &mut Deviations) {
    let (random, counter) = (Random4([1, 2, 3, 4]), CardCounter(0));
    let session = LoadSession { key: card(KeyKind::Load, 1, 1), random, counter };
    let (load, mac1) = (load(), Mac4([0x08, 0x2B, 0xC8, 0x9A]));
    let check = |load: &Load, mac1| vault.check_load_mac1(&session, load, PurseFen::ZERO, mac1);
    found.expect("MAC1 of a load", &check(&load, &mac1), &Ok(MacVerdict::Right));
    let more = Load { amount: amount(20_001), ..load };
    found.expect("MAC1 of another amount", &check(&more, &mac1), &Ok(MacVerdict::Wrong));
    found.expect_bytes(
        "MAC2 of a load",
        vault.load_mac2(&session, &load, noon()).map(|mac| mac.0),
        "764044A2",
    );
    let key = card(KeyKind::Load, 1, 9);
    let unknown = LoadSession { key, ..session };
    let refused = vault.load_mac2(&unknown, &load, noon());
    found.expect("an unknown version", &refused, &Err(VaultError::NoSuchKey { key: key.key }));
    let receipt = Receipt::Load { load, new_balance: amount(20_000), counter, at: noon() };
    let tac = Mac4([0x71, 0x63, 0x7F, 0xB1]);
    let job = TacJob { key: card(KeyKind::Tac, 1, 1), receipt, tac };
    found.expect("TAC of a load", &vault.check_load_tac(&job), &Ok(MacVerdict::Right));
}

/// Vector `purchase/EP type 06`, alone and in a mixed batch.
fn tacs(vault: &dyn Vault, found: &mut Deviations) {
    let purchase = Purchase {
        kind: PurchaseKind::Purchase(Purse::Ep),
        amount: amount(150),
        terminal: TerminalId([0x36, 0x04, 0x86, 0x60, 0x00, 0x02]),
    };
    let receipt = Receipt::Purchase { purchase, sequence: TerminalSeq(0x11), at: noon() };
    let right = TacJob { key: card(KeyKind::Tac, 1, 1), receipt, tac: Mac4([0x2C, 0x89, 0x78, 0xF0]) };
    let wrong = TacJob { tac: Mac4([0x2C, 0x89, 0x78, 0xF1]), ..right };
    let other_card = TacJob { key: CardKeyRef { asn: Asn8([0; 8]), ..right.key }, ..right };
    let other_city = TacJob { key: CardKeyRef { factor: IssuerFactor([0; 8]), ..right.key }, ..right };
    let newer = TacJob { key: card(KeyKind::Tac, 1, 2), ..right };
    let unknown = TacJob { key: card(KeyKind::Tac, 1, 9), ..right };
    let jobs = [right, wrong, unknown, other_card, right, other_city, right, newer, unknown, right];
    use TacVerdict::{Right, UnknownKeyVersion, Wrong};
    let verdicts =
        vec![Right, Wrong, UnknownKeyVersion, Wrong, Right, Wrong, Right, Wrong, UnknownKeyVersion, Right];
    found.expect("verdicts over a mixed batch", &vault.verify_tacs(&jobs), &Ok(verdicts));
    found.expect("verdicts over nothing", &vault.verify_tacs(&[]), &Ok(Vec::new()));
}

/// Vectors `auth/EXTERNAL …` and `sm/UPDATE BINARY …`.
fn messages(vault: &dyn Vault, found: &mut Deviations) {
    let master = address(KeyKind::CardMaster);
    found.expect_bytes(
        "EXTERNAL AUTHENTICATE",
        vault.external_authenticate(&master, [0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6, 0x07, 0x18]),
        "DD31487231C7E50D",
    );
    let key = address(KeyKind::ApplicationMaintenance);
    let data = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    let mac = vault.sm_mac(&key, IV, &[&[0x04, 0xD6, 0x95, 0x00, 0x0E], &data]);
    found.expect_bytes("secure-messaging MAC", mac.map(|mac| mac.0), "F4704FF4");
    let message = |header, data, secrecy| {
        let message = SecureMessage { key, iv: IV, header, data, secrecy };
        vault.secure_message(&message).map(|command| command.as_bytes().to_vec())
    };
    found.expect_bytes(
        "UPDATE BINARY in clear with MAC",
        message([0x04, 0xD6, 0x95, 0x00], &data, Secrecy::Clear),
        "04D695000E0102030405060708090AF4704FF4",
    );
    found.expect_bytes(
        "UPDATE BINARY enciphered",
        message([0x84, 0xD6, 0x95, 0x00], &data, Secrecy::Enciphered(Padding::Always)),
        "84D69500147596F43CCAFB301433E4202CA274954449781A89",
    );
    let long = message([0x84, 0xD6, 0x95, 0x00], &[0; 250], Secrecy::Enciphered(Padding::Always));
    found.expect("data too long", &long, &Err(VaultError::TooLong { len: 250 }));
    let shared = KeyAddress::Shared(KeyRef::new(KeyKind::CardMaster, 1, 1));
    let refused = vault.external_authenticate(&shared, IV);
    found.expect("a card's key of no card", &refused, &Err(VaultError::WrongHolder { key: shared.key() }));
}

fn header(form: KeyForm, usage: KeyUsage) -> KeyHeader {
    KeyHeader {
        version: KeyVersion(1),
        form,
        usage,
        use_right: Access::ALWAYS,
        follow_up: 0,
        change_right: Access::ALWAYS,
        tries: ErrorCounter::THREE,
    }
}

fn write(vault: &dyn Vault, job: &WriteKeyJob<'_>) -> Result<Vec<u8>, VaultError> {
    vault.write_key(job).map(|command| command.as_bytes().to_vec())
}

/// WRITE KEY of user cards, against cryptograms made from the keys themselves.
fn card_keys(vault: &dyn Vault, found: &mut Deviations) {
    let derived = |root: &str| {
        let root = CardKey::Tdes(Key16::from_hex(root).ok()?);
        Some(root.diversify(&ISSUER.0).diversify(&ASN.0))
    };
    let control = derived("C0C1C2C3C4C5C6C7C8C9CACBCCCDCECF");
    let purchase = derived("404142434445464748494A4B4C4D4E4F");
    let (Some(control), Some(purchase)) = (control, purchase) else { return };
    let target = KeyTarget::Add { id: 1, usage: KeyUsage::Purchase };
    let right = header(KeyForm::Key(Algorithm::TripleDes), KeyUsage::Purchase);
    let pin = Pin::from_digits("123456");
    let in_family = |family, target, header, new| WriteKeyJob {
        control: address(KeyKind::ApplicationMaster),
        new,
        layout: KeyLayout::Card { family, target, header },
        iv: IV,
    };
    let job = |target, header, new| in_family(Family::SourceDocuments, target, header, new);
    let expected = |family: Family, target: KeyTarget, header: &KeyHeader, key: &[u8]| {
        let bytes = family.header(target.id(), header);
        let command = write_key::command(&control, IV, family.command(target), &bytes, key);
        command.map(|command| Hex(&command).to_string()).unwrap_or_default()
    };
    let own = |kind| NewKey::Own(address(kind));
    for family in [Family::SourceDocuments, Family::Fmcos, Family::NineByte] {
        found.expect_bytes(
            &format!("WRITE KEY of a card key, {family:?}"),
            write(vault, &in_family(family, target, right, own(KeyKind::Purchase))),
            &expected(family, target, &right, purchase.expose()),
        );
    }
    if let Some(pin) = &pin {
        let pin_target = KeyTarget::Add { id: 0, usage: KeyUsage::Pin };
        let header = header(pin.form(), KeyUsage::Pin);
        for (family, field) in [(Family::SourceDocuments, &*pin.field()), (Family::Fmcos, pin.as_bytes())] {
            let job = in_family(family, pin_target, header, NewKey::Pin(pin));
            let want = expected(family, pin_target, &header, field);
            found.expect_bytes(&format!("WRITE KEY of a PIN, {family:?}"), write(vault, &job), &want);
        }
        let refused = write(vault, &job(target, right, NewKey::Pin(pin)));
        found.expect("a PIN under a key's header is refused", &refused.is_err(), &true);
    }
    let single = header(KeyForm::Key(Algorithm::Des), KeyUsage::Purchase);
    let version = KeyHeader { version: KeyVersion(2), ..right };
    let load = header(KeyForm::Key(Algorithm::TripleDes), KeyUsage::Load);
    let load_target = KeyTarget::Add { id: 1, usage: KeyUsage::Load };
    for (what, target, header) in [
        ("a header of another algorithm", target, single),
        ("a header of another version", target, version),
        ("a header of another usage", target, load),
        ("a P2 of another usage", load_target, right),
    ] {
        let refused = write(vault, &job(target, header, own(KeyKind::Purchase)));
        let named = matches!(refused, Err(VaultError::HeaderMismatch { .. }));
        found.expect(&format!("{what} is refused"), &named, &true);
    }
}

/// WRITE KEY of PSAMs: control keys by serial number, working keys as many levels above the card as they say.
fn sam_keys(vault: &dyn Vault, found: &mut Deviations) {
    let factor = [0, 0, 0, 0, 0, 0, 0, 0x07];
    let key = |text: &str| Key16::from_hex(text).map(CardKey::Tdes).ok();
    let master = key("112233445566778899AABBCCDDEEFF00").map(|root| root.diversify(&factor));
    let root = key("404142434445464748494A4B4C4D4E4F");
    let transport = CardKey::Tdes(Key16::from_bytes(crate::DEMO_TRANSPORT_KEY));
    let (Some(master), Some(root)) = (master, root) else { return };
    let sam = |kind| KeyAddress::Sam { key: KeyRef::new(kind, 1, 1), serial: SERIAL };
    let working = || NewKey::Working { key: KeyRef::new(KeyKind::Purchase, 1, 1), factor: ISSUER };
    let one_level = SamUsage::from_code(0x22).unwrap_or(SamUsage::MASTER);
    let city = root.diversify(&ISSUER.0);
    for (what, control, control_key, new, usage, value) in [
        (
            "WRITE KEY of a PSAM's master key",
            KeyAddress::Shared(KeyRef::new(KeyKind::SamTransport, 1, 1)),
            &transport,
            NewKey::Own(sam(KeyKind::SamMaster)),
            SamUsage::MASTER,
            &master,
        ),
        (
            "WRITE KEY of a working key, two levels left",
            sam(KeyKind::SamMaster),
            &master,
            working(),
            SamUsage::PURCHASE_TWO_LEVELS,
            &root,
        ),
        (
            "WRITE KEY of a working key, one level left",
            sam(KeyKind::SamMaster),
            &master,
            working(),
            one_level,
            &city,
        ),
    ] {
        let header = SamKeyHeader { usage, version: KeyVersion(1), algorithm: Algorithm::TripleDes };
        let job = WriteKeyJob { control, new, layout: KeyLayout::Sam { header }, iv: IV };
        let want =
            write_key::command(control_key, IV, SamKeyHeader::COMMAND, &header.to_bytes(), value.expose());
        let want = want.map(|command| Hex(&command).to_string()).unwrap_or_default();
        found.expect_bytes(what, write(vault, &job), &want);
    }
    let header =
        SamKeyHeader { usage: SamUsage::MASTER, version: KeyVersion(1), algorithm: Algorithm::TripleDes };
    let finished = NewKey::Own(address(KeyKind::Purchase));
    for (what, new) in [("a card's finished key", finished), ("a working key with no level left", working())]
    {
        let layout = KeyLayout::Sam { header };
        let job = WriteKeyJob { control: sam(KeyKind::SamMaster), new, layout, iv: IV };
        found.expect(&format!("{what} in a PSAM is refused"), &write(vault, &job).is_err(), &true);
    }
}

/// WRITE KEY of key cards: their own keys, the operator's PIN, and keys above those of cards.
fn key_card_keys(vault: &dyn Vault, found: &mut Deviations) {
    let key = |text: &str| Key16::from_hex(text).map(CardKey::Tdes).ok();
    let factor = [0, 0, 0, 0, 0, 0, 0, 0x07];
    let master = key("55667788990011223344AABBCCDDEEFF").map(|root| root.diversify(&factor));
    let root = key("404142434445464748494A4B4C4D4E4F");
    let transport = CardKey::Tdes(Key16::from_bytes(crate::DEMO_TRANSPORT_KEY));
    let (Some(master), Some(root), Some(pin)) = (master, root, Pin::from_digits("123456")) else { return };
    let usage = |levels, kind| IssueUsage::new(levels, kind).map(KeyCardUsage::Issue);
    let purchase = IssueKind::Application(KeyUsage::Purchase);
    let (Some(two_levels), Some(load), Some(shared)) = (
        usage(2, purchase),
        usage(2, IssueKind::Application(KeyUsage::Load)),
        usage(0, IssueKind::Transport),
    ) else {
        return;
    };
    let own = |kind| KeyAddress::Sam { key: KeyRef::new(kind, 1, 1), serial: SERIAL };
    let working = || NewKey::Working { key: KeyRef::new(KeyKind::Purchase, 1, 1), factor: ISSUER };
    let card_transport = || NewKey::Own(KeyAddress::Shared(KeyRef::new(KeyKind::CardTransport, 1, 1)));
    let tdes = KeyForm::Key(Algorithm::TripleDes);
    let job = |new, usage, form| {
        let header = KeyCardHeader { usage, version: KeyVersion(1), form };
        let layout = KeyLayout::KeyCard { header };
        (WriteKeyJob { control: own(KeyKind::KeyCardMaster), new, layout, iv: IV }, header)
    };
    for (what, new, usage, form, value) in [
        (
            "the key card's master key",
            NewKey::Own(own(KeyKind::KeyCardMaster)),
            KeyCardUsage::Master,
            tdes,
            master.expose(),
        ),
        ("a key two levels above the cards", working(), two_levels, tdes, root.expose()),
        ("the cards' transport key", card_transport(), shared, tdes, transport.expose()),
        ("the operator's PIN", NewKey::Pin(&pin), KeyCardUsage::Pin, pin.form(), &*pin.field()),
    ] {
        let (job, header) = job(new, usage, form);
        let want = write_key::command(&master, IV, KeyCardHeader::COMMAND, &header.to_bytes(), value);
        let want = want.map(|command| Hex(&command).to_string()).unwrap_or_default();
        found.expect_bytes(&format!("WRITE KEY of {what}"), write(vault, &job), &want);
    }
    for (what, new, usage, form) in [
        ("a purchase key as a load key", working(), load, tdes),
        ("a transport key as a purchase key", card_transport(), two_levels, tdes),
        ("a key as a PIN", working(), KeyCardUsage::Pin, pin.form()),
        ("a PIN as a key", NewKey::Pin(&pin), two_levels, tdes),
    ] {
        let refused = write(vault, &job(new, usage, form).0).is_err();
        found.expect(&format!("{what} on a key card is refused"), &refused, &true);
    }
}

/// WRITE HARD INFO: the operator's transport key under the factory's.
fn presets(vault: &dyn Vault, found: &mut Deviations) {
    let factory = CardKey::Tdes(Key16::from_bytes(crate::DEMO_TRANSPORT_KEY));
    let Ok(transport_key) = Key16::from_hex("0F1E2D3C4B5A69788796A5B4C3D2E1F0") else { return };
    let (serial, operator, system) = ([7; 8], [0x21, 0x44], [0x02, 0x00]);
    let (mf_create, mf_switches) = (Access::STATE_1, Switches::default());
    let want = Preset { serial, operator, system, mf_create, mf_switches, transport_key };
    let want = Hex(&want.to_apdu(&factory, IV)).to_string();
    let [factory, transport] = [1, 2].map(|index| KeyRef::new(KeyKind::CardTransport, index, 1));
    let job = PresetJob { factory, transport, serial, operator, system, mf_create, mf_switches, iv: IV };
    found.expect_bytes("WRITE HARD INFO", vault.preset(&job).map(|command| command.to_vec()), &want);
    let missing = KeyRef::new(KeyKind::CardTransport, 9, 1);
    let refused = vault.preset(&PresetJob { transport: missing, ..job }).map(drop);
    found.expect("a preset of a missing key", &refused, &Err(VaultError::NoSuchKey { key: missing }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeysFile;
    use crate::sealed::Hardness;
    use crate::soft::SoftVault;
    use ykt_base::Rng;

    struct Ones;

    impl Rng for Ones {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(1);
        }
    }

    #[test]
    fn software_vault_from_a_key_file_and_from_its_sealed_file() {
        let vault = SoftVault::from_keys(KeysFile::parse(KEYS).unwrap()).unwrap();
        assert_eq!(deviations(&vault), Vec::<String>::new());
        let unlock = crate::Unlock::passphrase("a passphrase");
        let sealed = vault.to_sealed(&unlock, Hardness::TEST, &mut Ones).unwrap();
        let vault = SoftVault::from_sealed(&sealed, &unlock).unwrap();
        assert_eq!(deviations(&vault), Vec::<String>::new());
        assert_eq!(management(&vault), Vec::<String>::new());
    }

    #[test]
    fn software_vault_derives_as_the_vectors_say() {
        let vault = SoftVault::empty(levels(), crate::Origin::Demo);
        assert_eq!(derivations(&vault), Vec::<String>::new());
        assert_eq!(management(&vault), Vec::<String>::new());
    }

    /// No vector of diversification is left out.
    #[test]
    fn every_vector_is_asked_for() {
        let vectors = include_str!("../../../vectors/epurse.json");
        assert_eq!(vectors.matches("\"name\": \"diversify/").count(), DIVERSIFY.len());
        for (name, levels, _, master, card_key) in DIVERSIFY {
            let (_, vector) = vectors.split_once(&format!("\"name\": \"{name}\"")).expect(name);
            let vector = vector.split("\"name\"").next().unwrap();
            assert!(vector.contains(master) && vector.contains(card_key), "{name}");
            assert!(name.contains(&format!("/{levels} level ")), "{name}");
        }
    }

    /// The suite can fail: a vault with other keys deviates nearly everywhere.
    #[test]
    fn another_vault_deviates() {
        let levels = crate::Levels::nation_city_card();
        let vault = SoftVault::generate(levels, &mut Ones, crate::Origin::Demo);
        assert!(deviations(&vault).len() >= 10);
    }
}
