//! Bank cards on the SIM (银行卡功能, `systems.md` C3): the card gives its tracks to its bank, and nobody between
//! the two reads them.
//!
//! The sources name commands and flows; the bytes are the platform's. CONNECT and DISCONNECT are power, SELECT and
//! reset. InitMC states amount, terminal and time; the card proves itself to the bank with MAC1. ReadMC carries
//! the bank's MAC; the card answers the tracks enciphered under a key of this transaction, with MAC2. The bank's PIN
//! goes from the terminal to the bank, never to the card. Transmit_Consume_Note brings the bank's note of the
//! result, Read_Share_Sign gives the holder's signature picture to look at.
//!
//! Every MAC is under the session key and begins with a type byte of its own, so none passes for another.

mod tracks;

pub use tracks::{SealedTracks, TRACK2_DIGITS_MAX, TRACK3_DIGITS_MAX, TRACKS_LEN_MAX, Tracks};

use crate::types::PurseFen;
use crate::wire::{Reader, apdu, join, whole};
use ykt_base::{
    Asn8, CardCounter, Command, DateTime, Fen, KeyIndex, KeyVersion, Mac4, Random4, StatusWord, TerminalId,
};
use ykt_crypto::sm::CommandBytes;
use ykt_crypto::{CardKey, SessionKey};

/// File id of the bank card in its application.
pub const CARD_FID: [u8; 2] = [0x00, 0x04];
/// Short file id of what everybody may read of a bank card, [`CardData`].
pub const CARD_DATA_SFI: u8 = 0x15;
/// Most money of one transaction: 9,999.99 yuan.
pub const AMOUNT_MAX: Fen = Fen::new(999_999);

/// Length of [`CardData`].
pub const CARD_DATA_LEN: usize = 24;
/// Length of the answer to InitMC.
pub const INIT_ANSWER_LEN: usize = 12;
/// Length of a note, which is a record of the bank card's log.
pub const NOTE_LEN: usize = 43;
/// Length of the answer to Transmit_Consume_Note: MAC3.
pub const NOTE_ANSWER_LEN: usize = 4;

/// Application name of the `number`-th bank card of a SIM: an unregistered one (ISO 7816-5), `F0 YKTBK number`.
#[must_use]
pub const fn aid(number: u8) -> [u8; 7] {
    [0xF0, b'Y', b'K', b'T', b'B', b'K', number]
}

/// File id of the application of the `number`-th bank card, from 1.
#[must_use]
pub const fn fid(number: u8) -> [u8; 2] {
    [0x11, number]
}

/// What everybody may read of a bank card: reference (8), label (16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardData {
    /// By what the bank finds the card, and the factor of its key: no account number.
    pub reference: Asn8,
    /// What the phone's menu shows, text filled with zeros.
    pub label: [u8; 16],
}

impl CardData {
    /// Reads the 24 bytes, or `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<CardData> {
        whole(bytes, |fields| Some(CardData { reference: Asn8(fields.take()?), label: fields.take()? }))
    }

    /// The 24 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; CARD_DATA_LEN] {
        join(&[self.reference.as_bytes(), &self.label])
    }
}

/// What is asked of a bank, where and when: what its MACs cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Amount; zero when money is not what is asked for.
    pub amount: PurseFen,
    /// Terminal.
    pub terminal: TerminalId,
    /// Date and time of the terminal.
    pub at: DateTime,
}

impl Terms {
    /// amount (4) || terminal (6) || date (4) || time (3).
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 17] {
        join(&[&self.amount.to_bytes(), self.terminal.as_bytes(), &self.at.to_bcd()])
    }
}

/// InitMC: `80 40 00 00 12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitMc {
    /// Which key of the bank.
    pub key_index: KeyIndex,
    /// The terms.
    pub terms: Terms,
}

impl InitMc {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 40.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for a date or time that is none, 6985 for an amount above
    /// [`AMOUNT_MAX`].
    pub fn parse(command: &Command<'_>) -> Result<InitMc, StatusWord> {
        no_parameters(command)?;
        let fields = whole(command.data, |fields| {
            Some((fields.byte()?, fields.take()?, fields.take()?, fields.take()?))
        });
        let (index, amount, terminal, at) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
        let at = DateTime::from_bcd(at).ok_or(StatusWord::WRONG_DATA)?;
        let amount = PurseFen::from_bytes(amount).filter(|amount| amount.fen() <= AMOUNT_MAX);
        let amount = amount.ok_or(StatusWord::CONDITIONS)?;
        let terms = Terms { amount, terminal: TerminalId(terminal), at };
        Ok(InitMc { key_index: KeyIndex(index), terms })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 24] {
        join(&[&[0x80, 0x40, 0x00, 0x00, 0x12, self.key_index.0], &self.terms.to_bytes(), &[0x0C]])
    }
}

/// Answer to InitMC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitAnswer {
    /// The bank card's counter.
    pub counter: CardCounter,
    /// Version of the bank's key.
    pub key_version: KeyVersion,
    /// Its algorithm byte.
    pub algorithm: u8,
    /// The card's random number.
    pub random: Random4,
    /// The card's proof to the bank.
    pub mac1: Mac4,
}

impl InitAnswer {
    /// Reads the twelve bytes, or `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<InitAnswer> {
        whole(bytes, |fields| {
            Some(InitAnswer {
                counter: CardCounter::from_bytes(fields.take()?),
                key_version: KeyVersion(fields.byte()?),
                algorithm: fields.byte()?,
                random: Random4(fields.take()?),
                mac1: Mac4(fields.take()?),
            })
        })
    }

    /// The twelve bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; INIT_ANSWER_LEN] {
        join(&[
            &self.counter.to_bytes(),
            &[self.key_version.0, self.algorithm],
            self.random.as_bytes(),
            self.mac1.as_bytes(),
        ])
    }
}

/// ReadMC: `80 42 00 00 04`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadMc {
    /// The bank's proof that it asks for the tracks.
    pub mac: Mac4,
}

impl ReadMc {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 42.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length.
    pub fn parse(command: &Command<'_>) -> Result<ReadMc, StatusWord> {
        no_parameters(command)?;
        let mac = Mac4::try_from(command.data).map_err(|_| StatusWord::WRONG_LENGTH)?;
        Ok(ReadMc { mac })
    }

    /// The command as bytes; how long the answer is only card and bank know.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 10] {
        join(&[&[0x80, 0x42, 0x00, 0x00, 0x04], self.mac.as_bytes(), &[0x00]])
    }
}

/// What kind of transaction a note is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoteKind {
    /// 01: purchase (消费).
    Purchase,
    /// 02: cash from a machine (取款).
    Cash,
    /// 03: one of the two taken back (撤销).
    Cancelled,
}

impl NoteKind {
    const fn code(self) -> u8 {
        match self {
            NoteKind::Purchase => 0x01,
            NoteKind::Cash => 0x02,
            NoteKind::Cancelled => 0x03,
        }
    }

    const fn from_code(code: u8) -> Option<NoteKind> {
        match code {
            0x01 => Some(NoteKind::Purchase),
            0x02 => Some(NoteKind::Cash),
            0x03 => Some(NoteKind::Cancelled),
            _ => None,
        }
    }
}

/// The bank's note of a result (消费记录), 43 bytes: counter (2), kind (1), answer code (2), amount (4), terminal (6),
/// date and time (7), trace number (3), reference (12), authorisation (6). The last two and the answer code are
/// text, as in fields 37, 38 and 39 of ISO 8583.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// The bank card's counter in the transaction it is about.
    pub counter: CardCounter,
    /// What was done.
    pub kind: NoteKind,
    /// Answer code of the bank; `00` is approved.
    pub answer: [u8; 2],
    /// Terms of the transaction.
    pub terms: Terms,
    /// System trace number, BCD.
    pub trace: [u8; 3],
    /// Retrieval reference.
    pub reference: [u8; 12],
    /// Authorisation code; spaces without one.
    pub authorisation: [u8; 6],
}

impl Note {
    /// The answer code of what was approved.
    pub const APPROVED: [u8; 2] = *b"00";

    /// Reads the 43 bytes, or `None` for another length or a byte that means nothing.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Note> {
        whole(bytes, |fields| {
            Some(Note {
                counter: CardCounter::from_bytes(fields.take()?),
                kind: NoteKind::from_code(fields.byte()?)?,
                answer: text(fields)?,
                terms: Terms {
                    amount: PurseFen::from_bytes(fields.take()?)?,
                    terminal: TerminalId(fields.take()?),
                    at: DateTime::from_bcd(fields.take()?)?,
                },
                trace: fields.take()?,
                reference: text(fields)?,
                authorisation: text(fields)?,
            })
        })
    }

    /// The 43 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; NOTE_LEN] {
        join(&[
            &self.counter.to_bytes(),
            &[self.kind.code()],
            &self.answer,
            &self.terms.to_bytes(),
            &self.trace,
            &self.reference,
            &self.authorisation,
        ])
    }
}

/// The next `N` bytes when all are printable.
fn text<const N: usize>(fields: &mut Reader<'_>) -> Option<[u8; N]> {
    fields.take().filter(|text: &[u8; N]| text.iter().all(|byte| (0x20..0x7F).contains(byte)))
}

/// Transmit_Consume_Note: `80 44 00 00 2F`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransmitNote {
    /// The note.
    pub note: Note,
    /// The bank's proof.
    pub mac: Mac4,
}

impl TransmitNote {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 44.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for a byte that means nothing.
    pub fn parse(command: &Command<'_>) -> Result<TransmitNote, StatusWord> {
        no_parameters(command)?;
        let (note, mac) = command.data.split_last_chunk().ok_or(StatusWord::WRONG_LENGTH)?;
        if note.len() != NOTE_LEN {
            return Err(StatusWord::WRONG_LENGTH);
        }
        Ok(TransmitNote { note: Note::from_bytes(note).ok_or(StatusWord::WRONG_DATA)?, mac: Mac4(*mac) })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 53] {
        join(&[&[0x80, 0x44, 0x00, 0x00, 0x2F], &self.note.to_bytes(), self.mac.as_bytes(), &[0x04]])
    }
}

/// Read_Share_Sign: `80 46 offset [Le]`, a piece of the signature picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadSign {
    /// Where in the picture it begins: P1 P2.
    pub offset: u16,
}

impl ReadSign {
    /// Reads a command whose class and instruction are 80 46.
    ///
    /// # Errors
    /// 6700 with data.
    pub const fn parse(command: &Command<'_>) -> Result<ReadSign, StatusWord> {
        if !command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH);
        }
        Ok(ReadSign { offset: u16::from_be_bytes([command.p1, command.p2]) })
    }

    /// The command, for as much as an answer holds.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        let [high, low] = self.offset.to_be_bytes();
        apdu([0x80, 0x46, high, low], &[], Some(0))
    }
}

/// # Errors
/// 6A86 for a P1 or P2 that is not 00.
const fn no_parameters(command: &Command<'_>) -> Result<(), StatusWord> {
    match (command.p1, command.p2) {
        (0, 0) => Ok(()),
        _ => Err(StatusWord::WRONG_P1P2),
    }
}

/// What the type bytes of MACs are.
mod kind {
    pub const MAC1: u8 = 0xB1;
    pub const AUTHORISE: u8 = 0xB2;
    pub const MAC2: u8 = 0xB3;
    pub const NOTE: u8 = 0xB4;
    pub const MAC3: u8 = 0xB5;
}

/// Session key under the bank's key on the card: its input is random || counter || 80 00.
#[must_use]
pub fn session_key(key: &CardKey, random: Random4, counter: CardCounter) -> SessionKey {
    key.session(crate::load::session_input(random, counter))
}

/// Key of the tracks, as long as the bank's key: diversified by random || counter || C0 00, so that it has no half in
/// common with the session key.
#[must_use]
pub fn track_key(key: &CardKey, random: Random4, counter: CardCounter) -> CardKey {
    key.diversify(&join(&[random.as_bytes(), &counter.to_bytes(), &[0xC0, 0x00]]))
}

/// MAC1, the card's proof to the bank: B1 || counter || terms.
#[must_use]
pub fn mac1(session: &SessionKey, counter: CardCounter, terms: &Terms) -> Mac4 {
    session.mac(&[&[kind::MAC1], &counter.to_bytes(), &terms.to_bytes()])
}

/// The bank's proof in ReadMC: B2 || terms.
#[must_use]
pub fn authorisation(session: &SessionKey, terms: &Terms) -> Mac4 {
    session.mac(&[&[kind::AUTHORISE], &terms.to_bytes()])
}

/// MAC2, the card's proof of its tracks: B3 || counter || cryptogram.
#[must_use]
pub fn mac2(session: &SessionKey, counter: CardCounter, cryptogram: &[u8]) -> Mac4 {
    session.mac(&[&[kind::MAC2], &counter.to_bytes(), cryptogram])
}

/// The bank's proof of a note: B4 || note.
#[must_use]
pub fn note_mac(session: &SessionKey, note: &Note) -> Mac4 {
    session.mac(&[&[kind::NOTE], &note.to_bytes()])
}

/// MAC3, the card's receipt for a note: B5 || note.
#[must_use]
pub fn mac3(session: &SessionKey, note: &Note) -> Mac4 {
    session.mac(&[&[kind::MAC3], &note.to_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use ykt_crypto::Key16;

    const TRACK2: &str = "6222020200012345678=2912220";
    const TRACK3: &str = "996222020200012345678==1561560000000000000003000000114000010000=";

    /// The values are those of the card's dialogue `bank`, which were computed by a program of another language.
    #[test]
    fn a_conversation_as_in_the_dialogue() {
        let mut key = [0x41; 16];
        key[8..].fill(0xE1);
        let key = CardKey::Tdes(Key16::from_bytes(key));
        let terms = Terms {
            amount: PurseFen::try_from(Fen::new(12_345)).unwrap(),
            terminal: TerminalId(hex!("214400000C01")),
            at: DateTime::from_bcd(hex!("20240131123456")).unwrap(),
        };
        let init = InitMc { key_index: KeyIndex(1), terms };
        assert_eq!(init.to_apdu(), hex!("80400000120100003039214400000C01202401311234560C"));
        assert_eq!(InitMc::parse(&Command::parse(&init.to_apdu()).unwrap()), Ok(init));
        let (random, counter) = (Random4(hex!("01020304")), CardCounter(0));
        let session = session_key(&key, random, counter);
        let mac1 = mac1(&session, counter, &terms);
        let answer = InitAnswer { counter, key_version: KeyVersion(1), algorithm: 0, random, mac1 };
        assert_eq!(answer.to_bytes(), hex!("0000010001020304CD529EB6"));
        assert_eq!(InitAnswer::from_bytes(&answer.to_bytes()), Some(answer));

        let read = ReadMc { mac: authorisation(&session, &terms) };
        assert_eq!(read.to_apdu(), hex!("80420000046A15EAF300"));
        assert_eq!(ReadMc::parse(&Command::parse(&read.to_apdu()).unwrap()), Ok(read));
        let given = hex!(
            "66B53FF5FFCC14A69684FD4AD033E526C30CDBC2660042C499E9908419687578A399191A8247767B0AB0FD267C7395FCADAB6D9474D16844C020BE68"
        );
        let sealed = SealedTracks::from_bytes(&given).unwrap();
        let tracks = Tracks::from_digits(TRACK2, TRACK3).unwrap();
        let track_key = track_key(&key, random, counter);
        assert_eq!(tracks.seal(&track_key).unwrap().as_bytes(), sealed.cryptogram.as_bytes());
        assert_eq!(mac2(&session, counter, &sealed.cryptogram), sealed.mac2);
        let opened = Tracks::open(&track_key, &sealed.cryptogram).unwrap();
        assert_eq!(opened.as_bytes(), tracks.as_bytes());
        assert!(Tracks::open(&key, &sealed.cryptogram).is_none());

        let note = Note {
            counter,
            kind: NoteKind::Purchase,
            answer: Note::APPROVED,
            terms,
            trace: [0, 0, 1],
            reference: *b"013112345678",
            authorisation: *b"A1B2C3",
        };
        let session = session_key(&key, Random4(hex!("05060708")), CardCounter(1));
        let transmit = TransmitNote { note, mac: note_mac(&session, &note) };
        assert_eq!(
            transmit.to_apdu()[..52],
            hex!(
                "804400002F000001303000003039214400000C0120240131123456000001303133313132333435363738413142324333677C1E22"
            )
        );
        assert_eq!(TransmitNote::parse(&Command::parse(&transmit.to_apdu()).unwrap()), Ok(transmit));
        assert_eq!(mac3(&session, &note).0, hex!("04919B11"));
        assert_eq!(Note::from_bytes(&[b'0'; NOTE_LEN]), None);
    }

    #[test]
    fn data_in_clear_there_and_back() {
        let data = CardData { reference: Asn8([1; 8]), label: *b"ICBC debit\0\0\0\0\0\0" };
        assert_eq!(CardData::from_bytes(&data.to_bytes()), Some(data));
        let read = ReadSign { offset: 0x0118 };
        assert_eq!(read.to_apdu().as_bytes(), hex!("8046011800"));
        assert_eq!(ReadSign::parse(&Command::parse(&read.to_apdu()).unwrap()), Ok(read));
        assert_ne!(aid(1), aid(2));
        assert_ne!(fid(1), fid(2));
    }
}
