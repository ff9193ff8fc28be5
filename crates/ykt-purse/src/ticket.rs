//! Electronic tickets (电子票据: coupons, admission tickets) on the card: stored by their issuer's host, redeemed at
//! gates and tills, deleted by issuer or holder (`systems.md` C4).
//!
//! The sources name commands and flows; the bytes are the platform's, after the pattern of load and purchase. Write_ET
//! runs like a load: the card proves itself with MAC1, the host signs the whole ticket with MAC2, the card answers a
//! TAC. Read_ET runs like a purchase: the terminal signs with MAC1, the card takes one use off and answers TAC and
//! MAC2. **The use is gone when the card answers.** Every TAC covers ticket id and [`Record`], so whoever holds
//! the TAC key can check any of them from what [`Proof`] says.

mod read;
mod write;

pub use read::{ReadEnd, ReadInfo, ReadInit, RedeemAnswer, Room, View};
pub use write::{Order, WriteAnswer, WriteEnd, WriteInfo, WriteInit};

use crate::wire::{Reader, join, whole};
use crate::{load, purchase};
use ykt_base::{
    CardCounter, Date, DateTime, Mac4, MerchantCode, Random4, StatusWord, TerminalId, TerminalSeq, TicketId,
};
use ykt_crypto::{CardKey, SessionKey};

/// Application name of the ticket application: an unregistered one (ISO 7816-5), `F0 YKTET 01`.
pub const AID: [u8; 7] = *b"\xF0YKTET\x01";
/// File id of the ticket application.
pub const FID: [u8; 2] = [0x10, 0x02];
/// File id of the ticket store in its application.
pub const STORE_FID: [u8; 2] = [0x00, 0x03];

/// Bytes of [`Terms`], with which every ticket begins.
pub const TERMS_LEN: usize = 33;
/// Longest ticket, in bytes: its terms and its face.
pub const TICKET_LEN_MAX: usize = 255;
/// Longest block of Write_ET_Info, in bytes.
pub const BLOCK_LEN_MAX: usize = 255;

/// Length of the answer to Write_ET_Init.
pub const WRITE_ANSWER_LEN: usize = 13;
/// Length of the answer to Write_ET_End by the issuer: the TAC.
pub const WRITE_END_ANSWER_LEN: usize = 4;
/// Length of the answer to Read_ET_Init about the store.
pub const ROOM_LEN: usize = 7;
/// Length of the answer to Read_ET_Init that shows a ticket.
pub const VIEW_LEN: usize = 36;
/// Length of the answer to Read_ET_Init that begins a redemption.
pub const REDEEM_ANSWER_LEN: usize = 44;
/// Length of a [`Record`].
pub const RECORD_LEN: usize = 21;
/// Length of the answer to Read_ET_Init that asks for the last proof.
pub const PROOF_LEN: usize = 29;

/// What a ticket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TicketKind {
    /// 01: coupon (优惠券).
    Coupon,
    /// 02: admission ticket (门票).
    Admission,
}

impl TicketKind {
    /// The byte of the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            TicketKind::Coupon => 0x01,
            TicketKind::Admission => 0x02,
        }
    }

    /// The kind of a byte, or `None` for a byte that means none.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<TicketKind> {
        match code {
            0x01 => Some(TicketKind::Coupon),
            0x02 => Some(TicketKind::Admission),
            _ => None,
        }
    }
}

/// The terms every ticket begins with: id (8), merchant (15), kind (1), first and last day (4, 4), uses (1).
/// What follows is its face, which only issuer and terminals understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Id, given by the issuer.
    pub id: TicketId,
    /// The merchant who redeems it.
    pub merchant: MerchantCode,
    /// What it is.
    pub kind: TicketKind,
    /// First day of use.
    pub from: Date,
    /// Last day of use.
    pub until: Date,
    /// Uses it was issued with, at least one.
    pub uses: u8,
}

impl Terms {
    /// Reads the terms at the beginning of a ticket, or `None` when they are none: too few bytes, a byte that
    /// means nothing, days in the wrong order, no use.
    #[must_use]
    pub fn of_ticket(ticket: &[u8]) -> Option<Terms> {
        let mut fields = Reader(ticket);
        let terms = Terms {
            id: TicketId(fields.take()?),
            merchant: core::str::from_utf8(&fields.take::<{ MerchantCode::LEN }>()?).ok()?.parse().ok()?,
            kind: TicketKind::from_code(fields.byte()?)?,
            from: Date::from_bcd(fields.take()?)?,
            until: Date::from_bcd(fields.take()?)?,
            uses: fields.byte()?,
        };
        (terms.from <= terms.until && terms.uses > 0).then_some(terms)
    }

    /// The 33 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; TERMS_LEN] {
        join(&[
            self.id.as_bytes(),
            self.merchant.as_str().as_bytes(),
            &[self.kind.code()],
            &self.from.to_bcd(),
            &self.until.to_bcd(),
            &[self.uses],
        ])
    }

    /// Whether it may be redeemed on `day`.
    #[must_use]
    pub fn valid_on(&self, day: Date) -> bool {
        (self.from..=self.until).contains(&day)
    }
}

/// What happened to a ticket: the type byte of MACs and TACs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// A1: stored by its issuer.
    Store,
    /// A2: one use redeemed.
    Redeem,
    /// A3: deleted by its issuer.
    Delete,
}

impl Action {
    /// The byte of MACs, TACs and proofs.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Action::Store => 0xA1,
            Action::Redeem => 0xA2,
            Action::Delete => 0xA3,
        }
    }

    /// The action of a byte, or `None` for a byte that means none.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Action> {
        match code {
            0xA1 => Some(Action::Store),
            0xA2 => Some(Action::Redeem),
            0xA3 => Some(Action::Delete),
            _ => None,
        }
    }
}

/// What the card keeps of the last thing that happened to a ticket, and what its TAC covers after the id: type (1),
/// counter used (2), uses left (1), terminal (6), terminal sequence (4), date and time (7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What happened.
    pub action: Action,
    /// The counter its MACs used: the store's offline counter of a redemption, else the online one.
    pub counter: CardCounter,
    /// Uses left afterwards; of a ticket that was deleted, those that went with it.
    pub uses: u8,
    /// Where.
    pub terminal: TerminalId,
    /// The terminal's sequence; zero of what a host did.
    pub sequence: TerminalSeq,
    /// When.
    pub at: DateTime,
}

impl Record {
    /// The 21 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_LEN] {
        join(&[
            &[self.action.code()],
            &self.counter.to_bytes(),
            &[self.uses],
            self.terminal.as_bytes(),
            &self.sequence.to_bytes(),
            &self.at.to_bcd(),
        ])
    }

    /// The TAC, the card's receipt for the issuer: under the TAC key over ticket id || record.
    #[must_use]
    pub fn tac(&self, tac_key: &SessionKey, id: TicketId) -> Mac4 {
        tac_key.mac(&[id.as_bytes(), &self.to_bytes()])
    }
}

/// The last record of a ticket with its MACs: the answer to Read_ET_Init that asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// What happened.
    pub record: Record,
    /// The card's proof to the terminal that redeemed; zero for what a host did.
    pub mac2: Mac4,
    /// The TAC.
    pub tac: Mac4,
}

impl Proof {
    /// Reads the 29 bytes, or `None` for another length or a byte that means nothing.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Proof> {
        whole(bytes, |fields| {
            let record = Record {
                action: Action::from_code(fields.byte()?)?,
                counter: CardCounter::from_bytes(fields.take()?),
                uses: fields.byte()?,
                terminal: TerminalId(fields.take()?),
                sequence: TerminalSeq::from_bytes(fields.take()?),
                at: DateTime::from_bcd(fields.take()?)?,
            };
            Some(Proof { record, mac2: Mac4(fields.take()?), tac: Mac4(fields.take()?) })
        })
    }

    /// The 29 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PROOF_LEN] {
        join(&[&self.record.to_bytes(), self.mac2.as_bytes(), self.tac.as_bytes()])
    }
}

/// Session key of Write_ET under the issuer's key: the input of a load, random || online counter || 80 00.
#[must_use]
pub fn write_session_key(key: &CardKey, random: Random4, counter: CardCounter) -> SessionKey {
    key.session(load::session_input(random, counter))
}

/// MAC1 of Write_ET, the card's proof to the host: left (1) || type || id || length of the ticket (1) || terminal.
#[must_use]
pub fn write_mac1(session: &SessionKey, left: u8, order: &Order, len: u8, terminal: TerminalId) -> Mac4 {
    session.mac(&[&[left, order.action().code()], order.id().as_bytes(), &[len], terminal.as_bytes()])
}

/// MAC2 of Write_ET, the host's proof to the card: what it signs || type || terminal || date || time. A ticket to be
/// stored is signed whole, one to be deleted by its id.
#[must_use]
pub fn write_mac2(
    session: &SessionKey,
    signed: &[u8],
    action: Action,
    terminal: TerminalId,
    at: DateTime,
) -> Mac4 {
    session.mac(&[signed, &[action.code()], terminal.as_bytes(), &at.to_bcd()])
}

/// Session key of a redemption under the issuer's redemption key: the input of a purchase, random || offline counter
/// || low two bytes of the terminal sequence.
#[must_use]
pub fn redeem_session_key(
    key: &CardKey,
    random: Random4,
    counter: CardCounter,
    sequence: TerminalSeq,
) -> SessionKey {
    key.session(purchase::session_input(random, counter, sequence))
}

/// MAC1 of a redemption, the terminal's proof to the card: id || type || uses left before || terminal || date || time.
#[must_use]
pub fn redeem_mac1(session: &SessionKey, id: TicketId, uses: u8, terminal: TerminalId, at: DateTime) -> Mac4 {
    session.mac(&[id.as_bytes(), &[Action::Redeem.code(), uses], terminal.as_bytes(), &at.to_bcd()])
}

/// MAC2 of a redemption, the card's proof to the terminal: id || type || uses left after.
#[must_use]
pub fn redeem_mac2(session: &SessionKey, id: TicketId, uses: u8) -> Mac4 {
    session.mac(&[id.as_bytes(), &[Action::Redeem.code(), uses]])
}

/// A data field that is a ticket id.
fn id(data: &[u8]) -> Result<TicketId, StatusWord> {
    TicketId::try_from(data).map_err(|_| StatusWord::WRONG_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::purchase::DebitAnswer;
    use hex_literal::hex;
    use ykt_base::{Command, KeyIndex, KeyVersion};
    use ykt_crypto::Key16;

    const ID: TicketId = TicketId(hex!("4554000000000001"));
    const TERMS: [u8; TERMS_LEN] =
        hex!("4554000000000001 4D3030303030303030303030303031 02 20240101 20241231 02");

    fn key(left: u8, right: u8) -> CardKey {
        let mut bytes = [left; 16];
        bytes[8..].fill(right);
        CardKey::Tdes(Key16::from_bytes(bytes))
    }

    fn at(bcd: [u8; 7]) -> DateTime {
        DateTime::from_bcd(bcd).unwrap()
    }

    #[test]
    fn terms_mean_something_or_are_none() {
        let terms = Terms::of_ticket(&TERMS).unwrap();
        assert_eq!((terms.to_bytes(), terms.id, terms.uses), (TERMS, ID, 2));
        assert_eq!(terms.merchant.as_str(), "M00000000000001");
        let day = |text: &str| text.parse::<Date>().unwrap();
        assert!(terms.valid_on(day("20240101")) && terms.valid_on(day("20241231")));
        assert!(!terms.valid_on(day("20231231")) && !terms.valid_on(day("20250101")));
        for (at, wrong) in [(8, b' '), (23, 0x03), (27, 0x32), (30, 0x13), (24, 0x21), (32, 0)] {
            let mut bytes = TERMS;
            bytes[at] = wrong;
            assert_eq!(Terms::of_ticket(&bytes), None, "byte {at}");
        }
        assert_eq!(Terms::of_ticket(&TERMS[..32]), None);
        let closed =
            |read: fn(u8) -> Option<u8>| (0..=u8::MAX).filter(|code| read(*code) == Some(*code)).count();
        assert_eq!(closed(|code| TicketKind::from_code(code).map(TicketKind::code)), 2);
        assert_eq!(closed(|code| Action::from_code(code).map(Action::code)), 3);
    }

    /// The values are those of the card's dialogue `ticket`, which were computed by a program of another language.
    #[test]
    fn store_as_in_the_dialogue() {
        let terminal = TerminalId(hex!("214400000A01"));
        let order = Order::Store { issuer: KeyIndex(1), id: ID, len: 46 };
        let init = WriteInit { order, terminal };
        let apdu = init.to_apdu();
        assert_eq!(apdu.as_bytes(), hex!("8030000010 01 4554000000000001 2E 214400000A01 0D"));
        assert_eq!(WriteInit::parse(&Command::parse(&apdu).unwrap()), Ok(init));

        let (random, counter) = (Random4(hex!("01020304")), CardCounter(0));
        let session = write_session_key(&key(0x11, 0xA1), random, counter);
        let mac1 = write_mac1(&session, 3, &order, 46, terminal);
        let answer = WriteAnswer { left: 3, counter, key_version: KeyVersion(1), algorithm: 0, random, mac1 };
        let bytes = hex!("030000010001020304E0BE9FD0");
        assert_eq!(answer.to_bytes(), bytes);
        assert_eq!(WriteAnswer::from_bytes(&bytes), Some(answer));

        let at = at(hex!("20240131123456"));
        let ticket = [&TERMS[..], b"ROW 7 SEAT 12"].concat();
        let end = WriteEnd::Host {
            action: Action::Store,
            at,
            mac2: write_mac2(&session, &ticket, Action::Store, terminal, at),
        };
        let apdu = end.to_apdu();
        assert_eq!(apdu.as_bytes(), hex!("803400000B20240131123456F3B7299804"));
        assert_eq!(WriteEnd::parse(&Command::parse(&apdu).unwrap()), Ok(end));
        let record =
            Record { action: Action::Store, counter, uses: 2, terminal, sequence: TerminalSeq(0), at };
        let tac = record.tac(&key(0x31, 0xC1).tac_key(), ID);
        assert_eq!(tac.0, hex!("8B9E699D"));
        let proof = Proof { record, mac2: Mac4([0; 4]), tac };
        assert_eq!(Proof::from_bytes(&proof.to_bytes()), Some(proof));
        assert_eq!(Proof::from_bytes(&[0; PROOF_LEN]), None);
    }

    #[test]
    fn redemption_as_in_the_dialogue() {
        let terminal = TerminalId(hex!("214400000B07"));
        let view = View { issuer: KeyIndex(1), uses: 2, len: 46, terms: Terms::of_ticket(&TERMS).unwrap() };
        let answer = RedeemAnswer {
            counter: CardCounter(0),
            key_version: KeyVersion(1),
            algorithm: 0,
            random: Random4(hex!("5A5B5C5D")),
            view,
        };
        assert_eq!(RedeemAnswer::from_bytes(&answer.to_bytes()), Some(answer));
        let (sequence, at) = (TerminalSeq(0x11), at(hex!("20240501091500")));
        let session = redeem_session_key(&key(0x21, 0xB1), answer.random, answer.counter, sequence);
        let end = ReadEnd::Redeem { sequence, at, mac1: redeem_mac1(&session, ID, 2, terminal, at) };
        let apdu = end.to_apdu();
        assert_eq!(apdu.as_bytes(), hex!("803A01000F00000011202405010915009D7DD49708"));
        assert_eq!(ReadEnd::parse(&Command::parse(&apdu).unwrap()), Ok(end));
        let record =
            Record { action: Action::Redeem, counter: answer.counter, uses: 1, terminal, sequence, at };
        let tac = record.tac(&key(0x31, 0xC1).tac_key(), ID);
        let given = DebitAnswer { tac, mac2: redeem_mac2(&session, ID, 1) };
        assert_eq!(given.to_bytes(), hex!("D15C23F5A1A345FD"));
    }

    #[test]
    fn every_command_comes_back() {
        let terminal = TerminalId([7; 6]);
        let room = Room { places: 3, free: 1, len: 64, online: CardCounter(258), offline: CardCounter(3) };
        assert_eq!(Room::from_bytes(&room.to_bytes()), Some(room));
        for init in [
            ReadInit::Room,
            ReadInit::Nth(9),
            ReadInit::One(ID),
            ReadInit::Redeem { id: ID, terminal },
            ReadInit::Proof(ID),
        ] {
            let apdu = init.to_apdu();
            let command = Command::parse(&apdu).unwrap();
            assert_eq!(ReadInit::parse(&command), Ok(init));
            assert_eq!(command.le.map(usize::from), Some(init.answer_len()));
        }
        let delete = WriteInit { order: Order::Delete { id: ID }, terminal };
        assert_eq!(WriteInit::parse(&Command::parse(&delete.to_apdu()).unwrap()), Ok(delete));
        let holder = WriteEnd::Holder { id: ID };
        assert_eq!(WriteEnd::parse(&Command::parse(&holder.to_apdu()).unwrap()), Ok(holder));
        let info = WriteInfo { offset: 0x0102, block: &[1, 2, 3] };
        assert_eq!(info.to_apdu().as_bytes(), hex!("80320102 03 010203"));
        assert_eq!(WriteInfo::parse(&Command::parse(&info.to_apdu()).unwrap()), Ok(info));
        let info = ReadInfo { offset: 0x0102 };
        assert_eq!(ReadInfo::parse(&Command::parse(&info.to_apdu()).unwrap()), Ok(info));
        assert_eq!(ReadEnd::parse(&Command::parse(&ReadEnd::Look.to_apdu()).unwrap()), Ok(ReadEnd::Look));
    }
}
