//! What stands beside the purse, used as its terminals use it: tickets, bank cards, identity, signing keys, and the key
//! card that makes other cards.

use crate::desk::{
    ASN, CITY, Counting, Desk, TERMINAL, TRACK2, authority, card_data, card_key, key_card_data, made, photo,
    reference,
};
use ykt_base::{CardChannel, DateTime, KeyIndex, KeyVersion, MerchantCode, Rng, StatusWord, TicketId};
use ykt_crypto::sm2::{PublicKey, Signature, SignerId};
use ykt_issue::Profile;
use ykt_purse::PurseFen;
use ykt_purse::auth_code::{AuthenticationCode, read_code};
use ykt_purse::bank::{self, InitAnswer, InitMc, ReadMc, SealedTracks, Tracks};
use ykt_purse::command::{self, ChallengeLen};
use ykt_purse::create::Access;
use ykt_purse::files::{CITY_AID, city_factor};
use ykt_purse::identity::{self, DataGroup, InternalAuthenticate, SignedObject, group_hash};
use ykt_purse::key_card::{self, BeginCard, DeriveCardKey, IssueKind, IssuedCard, KeyCardInfo, KeyOrder};
use ykt_purse::ticket::{
    self, Order, Proof, ReadInit, Room, TicketKind, WriteAnswer, WriteEnd, WriteInfo, WriteInit,
};
use ykt_purse::token::{self, KeyPairCommand, KeyPairId, SignCommand};
use ykt_purse::write_key::{ErrorCounter, KeyTarget, KeyUsage};

fn now() -> DateTime {
    DateTime::from_number(20_261_122_093_015).unwrap()
}

/// The card lists its applications, and each of them is there.
#[test]
fn a_citizen_card_lists_its_applications() {
    let mut desk = made("citizen");
    let fci = desk.select(b"1PAY.SYS.DDF01");
    assert!(fci.windows(3).any(|tag| tag == [0x88, 0x01, 0x01]), "the list is in the file of short id 1");
    for number in 1..=6 {
        let record = desk.fine(&command::read_record(number, 0x01, 256));
        let name_len = usize::from(record[5]);
        assert_eq!((record[0], record[2], record[4]), (0x70, 0x61, 0x4F), "record {number}");
        let name = record[6..6 + name_len].to_vec();
        desk.select(&name);
        desk.select(b"1PAY.SYS.DDF01");
    }
    let seventh = desk.send(&command::read_record(7, 0x01, 256)).unwrap();
    assert_eq!(seventh.sw(), StatusWord::RECORD_NOT_FOUND);
}

/// The code on the card is the issuer's.
#[test]
fn a_city_card_has_its_authentication_code() {
    let mut desk = made("city-cpu");
    desk.select(&CITY_AID);
    let code = AuthenticationCode::from_bytes(&desk.fine(&read_code())).unwrap();
    let key = ykt_crypto::CardKey::from_hex("D8D9DADBDCDDDEDFE8E9EAEBECEDEEEF").unwrap();
    assert!(code.is_genuine(&key) && code.is_of(&ASN));
    let proof = desk.fine(&command::internal_authenticate(16, &[7; 8]));
    assert_eq!(proof, card_key("E0E1E2E3E4E5E6E7E8E9EAEBECEDEEEF", ASN).authenticate([7; 8]));
}

/// Two visits to the zoo.
fn zoo() -> ticket::Terms {
    ticket::Terms {
        id: TicketId([1, 2, 3, 4, 5, 6, 7, 8]),
        merchant: "M00000000000001".parse::<MerchantCode>().unwrap(),
        kind: TicketKind::Admission,
        from: crate::desk::day("20260101"),
        until: crate::desk::day("20261231"),
        uses: 2,
    }
}

/// Stores the ticket to the zoo; answers its TAC.
pub fn store_ticket(desk: &mut Desk) -> Vec<u8> {
    desk.select(&ticket::AID);
    let ticket = [&zoo().to_bytes()[..], b"zoo"].concat();
    let len = u8::try_from(ticket.len()).unwrap();
    let order = Order::Store { issuer: KeyIndex(1), id: zoo().id, len };
    let answer = desk.ok(&WriteInit { order, terminal: TERMINAL }.to_apdu());
    let WriteAnswer { left, counter, random, mac1, .. } = WriteAnswer::from_bytes(&answer).unwrap();
    let key = card_key("11121314151617182122232425262728", ASN);
    let session = ticket::write_session_key(&key, random, counter);
    assert_eq!(ticket::write_mac1(&session, left, &order, len, TERMINAL), mac1);
    desk.ok(&WriteInfo { offset: 0, block: &ticket }.to_apdu());
    let mac2 = ticket::write_mac2(&session, &ticket, order.action(), TERMINAL, now());
    desk.ok(&WriteEnd::Host { action: order.action(), at: now(), mac2 }.to_apdu())
}

/// The ticket is on the card, and its proof under the issuer's TAC key.
pub fn holds_ticket(desk: &mut Desk) -> Proof {
    desk.select(&ticket::AID);
    let room = Room::from_bytes(&desk.ok(&ReadInit::Room.to_apdu())).unwrap();
    assert_eq!((room.places, room.free, room.len), (10, 9, 160));
    let proof = Proof::from_bytes(&desk.ok(&ReadInit::Proof(zoo().id).to_apdu())).unwrap();
    let tac_key = card_key("51525354555657586162636465666768", ASN).tac_key();
    assert_eq!(proof.record.tac(&tac_key, zoo().id), proof.tac);
    proof
}

#[test]
fn a_ticket_is_stored() {
    let mut desk = made("citizen");
    let tac = store_ticket(&mut desk);
    assert_eq!(holds_ticket(&mut desk).tac.0[..], tac);
}

/// Each bank reads the tracks of its own card, with its own key.
#[test]
fn bank_cards_give_their_tracks_to_their_bank() {
    read_tracks(&mut made("citizen"));
}

pub fn read_tracks(desk: &mut Desk) {
    let roots = ["71727374757677788182838485868788", "91929394959697989899A1A2A3A4A5A6"];
    for (number, root) in (1..).zip(roots) {
        desk.select(&bank::aid(number));
        let data = bank::CardData::from_bytes(&desk.read(0x15, 24)).unwrap();
        assert_eq!(data.reference, reference(number));
        let terms = bank::Terms { amount: PurseFen::ZERO, terminal: TERMINAL, at: now() };
        let answer = desk.ok(&InitMc { key_index: KeyIndex(1), terms }.to_apdu());
        let InitAnswer { counter, random, mac1, .. } = InitAnswer::from_bytes(&answer).unwrap();
        let key = card_key(root, data.reference);
        let session = bank::session_key(&key, random, counter);
        assert_eq!(bank::mac1(&session, counter, &terms), mac1);
        let sealed = desk.ok(&ReadMc { mac: bank::authorisation(&session, &terms) }.to_apdu());
        let sealed = SealedTracks::from_bytes(&sealed).unwrap();
        let tracks = Tracks::open(&bank::track_key(&key, random, counter), &sealed.cryptogram).unwrap();
        assert_eq!(tracks.as_bytes(), Tracks::from_digits(TRACK2, "").unwrap().as_bytes());
        let read = desk.send(&command::read_binary(0x16, 0, 1)).unwrap();
        assert_eq!(read.sw(), StatusWord::SECURITY_STATUS, "nobody else reads the tracks");
    }
}

/// The length-prefixed content of a file of the identity application.
fn content(desk: &mut Desk, fid: [u8; 2]) -> Vec<u8> {
    desk.fine(&command::select_elementary(&fid));
    let read = |desk: &mut Desk, at: usize, len: usize| {
        let [high, low] = u16::try_from(at).unwrap().to_be_bytes();
        desk.ok(&[0x00, 0xB0, high, low, u8::try_from(len).unwrap()])
    };
    let len = read(desk, 0, 2);
    let len = usize::from(u16::from_be_bytes(len.try_into().unwrap()));
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let piece = (len - bytes.len()).min(200);
        let at = bytes.len() + 2;
        bytes.extend(read(desk, at, piece));
    }
    bytes
}

/// A reader believes the data: signed by the issuer, of this card, with each group's hash; and the card is no copy.
#[test]
fn an_identity_convinces_a_reader() {
    examine(&mut made("citizen"));
}

pub fn examine(desk: &mut Desk) {
    desk.select(&identity::NAME);
    let closed = desk.send(&command::read_binary(0x05, 0, 2)).unwrap();
    assert_eq!(closed.sw(), StatusWord::SECURITY_STATUS, "the address is for readers with their key");
    let challenge: [u8; 8] = desk.fine(&command::challenge(ChallengeLen::Eight)).try_into().unwrap();
    let reader = card_key("F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF", ASN);
    desk.fine(&command::external_authenticate(1, &reader.authenticate(challenge)));

    let object = content(desk, [0x00, identity::SIGNED_OBJECT_SFI]);
    let (object, signature) = SignedObject::from_bytes(&object).unwrap();
    assert!(object.is_signed_by(&authority().public_key(), &signature));
    assert_eq!((object.card, object.issuer), (ASN, city_factor(CITY)));
    for group in DataGroup::ALL {
        let bytes = content(desk, group.fid());
        assert_eq!(object.hash(group), (!bytes.is_empty()).then(|| group_hash(&bytes)), "{group}");
        let given = card_data().identity.unwrap().groups.get(&group).cloned();
        assert_eq!(given.unwrap_or_default(), bytes, "{group}");
    }
    assert!(object.hash(DataGroup::Sex).is_none(), "this holder has no such group");
    assert_eq!(content(desk, DataGroup::Photo.fid()), photo());

    let key = KeyPairId::new(identity::KEY_SFI).unwrap();
    let challenge: [u8; 16] = Counting(9).bytes();
    let answer = desk.ok(&InternalAuthenticate::apdu(key, &challenge, b"gate 3").unwrap());
    let answer = Signature(answer.try_into().unwrap());
    assert!(object.public.verify(SignerId::DEFAULT, &[&challenge, b"gate 3"], &answer));
}

/// Signing asks for the PIN: once, or each time.
#[test]
fn a_token_signs_after_its_pin() {
    for name in ["token", "citizen"] {
        sign(&mut made(name), name);
    }
}

pub fn sign(desk: &mut Desk, name: &str) {
    desk.select(&token::NAME);
    for (sfi, times) in [(0x0B, 2), (0x0C, 1)] {
        let id = KeyPairId::new(sfi).unwrap();
        let public = desk.ok(&KeyPairCommand::ReadPublic(id).to_apdu());
        let public = PublicKey::from_bytes(public.try_into().unwrap()).unwrap();
        let sign = SignCommand::Message(id, b"a contract").to_apdu().unwrap();
        desk.reset().unwrap();
        desk.select(&token::NAME);
        assert_eq!(desk.transmit(&sign).unwrap().sw(), StatusWord::SECURITY_STATUS, "{name}");
        desk.verify_pin();
        for _ in 0..times {
            let signature = Signature(desk.ok(&sign).try_into().unwrap());
            assert!(public.verify(SignerId::DEFAULT, &[b"a contract"], &signature), "{name}");
        }
        let again = desk.transmit(&sign).unwrap().sw();
        let once = if times == 2 { StatusWord::OK } else { StatusWord::SECURITY_STATUS };
        assert_eq!(again, once, "{name}, key pair {sfi:02X}");
    }
    let made_again = desk.transmit(&KeyPairCommand::Generate(KeyPairId::new(0x0B).unwrap()).to_apdu());
    assert_eq!(made_again.unwrap().sw(), StatusWord::SECURITY_STATUS, "only with its master key");
}

/// GET KEY CARD INFO.
pub const KEY_CARD_INFO: [u8; 5] = [0x80, 0x7A, 0x00, 0x00, 0x00];

/// A key card makes the WRITE KEY that the vault would make, for as many cards as it may.
#[test]
fn a_key_card_makes_what_the_vault_makes() {
    let profile = Profile::named("key-card").unwrap();
    let data = key_card_data(&profile);
    let mut desk = made("key-card");
    desk.select(&key_card::NAME);
    let info = desk.ok(&KEY_CARD_INFO);
    let head = KeyCardInfo::head(data.cards, data.kinds);
    // Eleven keys for cards, and three of its own.
    assert_eq!((&info[..8], info.len()), (&head[..], 8 + 14 * 6));
    desk.verify_pin();
    let card = IssuedCard { card: ASN, city: city_factor(CITY), province: None };
    desk.ok(&BeginCard { card }.to_apdu());
    let iv = [0xA1, 0xB2, 0xC3, 0xD4, 0, 0, 0, 0];
    let derive = |kind, target| DeriveCardKey {
        iv,
        order: KeyOrder {
            kind,
            version: KeyVersion(1),
            target,
            control_version: KeyVersion(1),
            use_right: Access::ALWAYS,
            follow_up: 0,
            change_right: Access::ALWAYS,
            tries: ErrorCounter::THREE,
        },
    };
    let target = KeyTarget::Add { id: 1, usage: KeyUsage::Purchase };
    let command = derive(IssueKind::Application(KeyUsage::Purchase), target);
    let ready = desk.ok(&command.to_apdu());
    let purchase = card_key("404142434445464748494A4B4C4D4E4F", ASN);
    let control = card_key("C0C1C2C3C4C5C6C7C8C9CACBCCCDCECF", ASN);
    let expected = command.write_key(&control, &purchase, ykt_purse::Algorithm::TripleDes).unwrap();
    assert_eq!(ready, expected.as_bytes());
    let overdraft = KeyTarget::Add { id: 1, usage: KeyUsage::Overdraft };
    let missing = derive(IssueKind::Application(KeyUsage::Overdraft), overdraft);
    assert_eq!(desk.transmit(&missing.to_apdu()).unwrap().sw(), StatusWord::CONDITIONS);
}
