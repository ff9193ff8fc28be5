//! A bank card of a SIM at a POS: the bank decides once, the note comes to the card once, wherever the card is pulled.

use crate::desk::{Hand, Memory, Pull, citizen_card};
use std::sync::OnceLock;
use ykt_base::{CardChannel, DateTime, Fen, KeyIndex, Mac4, TerminalId};
use ykt_crypto::{CardKey, Key16, SessionKey};
use ykt_purse::bank::{self, AMOUNT_MAX, Note, NoteKind, SealedTracks, Tracks, TransmitNote};
use ykt_purse::command;
use ykt_terminal::bankcard::{BankHost, BankTerminal, Decision, Offer, PinBlock};
use ykt_terminal::flow::{CutAt, Ended, KeyHolderError, Refusal};

const POS: BankTerminal =
    BankTerminal { terminal: TerminalId([0x21, 0x44, 0, 0, 0x0C, 1]), key_index: KeyIndex(1) };
const AMOUNT: Fen = Fen::new(12_345);
const PIN: PinBlock = PinBlock([0x5A; 8]);

fn at() -> DateTime {
    DateTime::from_number(20_240_131_123_456).unwrap()
}

fn card() -> Hand {
    static MADE: OnceLock<Memory> = OnceLock::new();
    let dialogue = include_str!("../../../ykt-card/tests/dialogues/bank-card.apdu");
    Hand::new(MADE.get_or_init(|| citizen_card(dialogue)).clone())
}

/// The bank of card 1, with the key of the dialogue.
#[derive(Default)]
struct Bank {
    /// Every note, and whether the card has it.
    notes: Vec<(Note, bool)>,
    is_dead: bool,
}

impl Bank {
    fn key() -> CardKey {
        CardKey::Tdes(Key16::from_bytes(std::array::from_fn(|at| if at < 8 { 0x41 } else { 0xE1 })))
    }

    fn session(offer: &Offer) -> SessionKey {
        bank::session_key(&Bank::key(), offer.answer.random, offer.answer.counter)
    }

    fn signed(offer: &Offer, note: Note) -> TransmitNote {
        TransmitNote { note, mac: bank::note_mac(&Bank::session(offer), &note) }
    }

    fn line(&self) -> Result<(), KeyHolderError> {
        if self.is_dead { Err(KeyHolderError::NoAnswer("the line is dead".into())) } else { Ok(()) }
    }
}

impl BankHost for Bank {
    fn authorise(&mut self, offer: &Offer) -> Result<Mac4, KeyHolderError> {
        self.line()?;
        let session = Bank::session(offer);
        if bank::mac1(&session, offer.answer.counter, &offer.terms) != offer.answer.mac1 {
            return Err(KeyHolderError::Refused("no card of this bank".into()));
        }
        Ok(bank::authorisation(&session, &offer.terms))
    }

    fn pay(
        &mut self,
        offer: &Offer,
        sealed: &SealedTracks,
        pin: Option<PinBlock>,
    ) -> Result<TransmitNote, KeyHolderError> {
        let counter = offer.answer.counter;
        assert_eq!(bank::mac2(&Bank::session(offer), counter, &sealed.cryptogram), sealed.mac2);
        let key = bank::track_key(&Bank::key(), offer.answer.random, counter);
        let tracks = Tracks::open(&key, &sealed.cryptogram).unwrap();
        let expected = Tracks::from_digits(
            "6222020200012345678=2912220",
            "996222020200012345678==1561560000000000000003000000114000010000=",
        );
        assert_eq!(tracks.as_bytes(), expected.unwrap().as_bytes());
        let answer = if pin.is_some_and(|pin| pin.0 == PIN.0) { Note::APPROVED } else { *b"55" };
        let trace = [0, 0, u8::try_from(self.notes.len()).unwrap()];
        let (reference, authorisation) = (*b"013112345678", *b"A1B2C3");
        let kind = NoteKind::Purchase;
        let note = Note { counter, kind, answer, terms: offer.terms, trace, reference, authorisation };
        self.notes.push((note, false));
        Ok(Bank::signed(offer, note))
    }

    fn undelivered(&mut self, offer: &Offer) -> Result<Option<TransmitNote>, KeyHolderError> {
        self.line()?;
        Ok(self.notes.iter().find(|(_, there)| !there).map(|(note, _)| Bank::signed(offer, *note)))
    }

    fn delivered(&mut self, offer: &Offer, note: &Note, mac3: Mac4) -> Result<(), KeyHolderError> {
        assert_eq!(mac3, bank::mac3(&Bank::session(offer), note));
        self.line()?;
        self.notes.iter_mut().find(|(kept, _)| kept == note).unwrap().1 = true;
        Ok(())
    }
}

fn pay(card: &mut Hand, bank: &mut Bank, number: u8, amount: Fen, pin: Option<PinBlock>) -> Ended<Decision> {
    POS.pay(card, bank, number, (amount, at()), pin).unwrap()
}

fn decided(ended: Ended<Decision>) -> Decision {
    match ended {
        Ended::Done(decision) => decision,
        other => panic!("{other:?}"),
    }
}

/// The notes on bank card 1, newest first.
fn log(card: &mut Hand) -> Vec<Note> {
    card.send(&command::select_name(&bank::aid(1))).unwrap();
    let record = |number| card.send(&command::read_record(number, 0x18, 43)).unwrap();
    (1..=4)
        .map(record)
        .take_while(|answer| answer.sw().is_ok())
        .map(|answer| Note::from_bytes(answer.data()).unwrap())
        .collect()
}

#[test]
fn the_bank_decides_and_the_card_keeps_the_note() {
    let (mut card, mut bank) = (card(), Bank::default());
    let paid = decided(pay(&mut card, &mut bank, 1, AMOUNT, Some(PIN)));
    assert_eq!((paid.note.answer, paid.is_on_card, paid.signature.len()), (Note::APPROVED, true, 280));
    let declined = decided(pay(&mut card, &mut bank, 1, AMOUNT, None));
    assert_eq!((declined.note.answer, declined.is_on_card), (*b"55", true));
    assert_eq!(log(&mut card), [declined.note, paid.note]);
    assert_eq!(POS.deliver(&mut card, &mut bank, 1, at()).unwrap(), Ended::Done(0));
}

#[test]
fn what_is_refused_moves_nothing() {
    let (mut card, mut bank) = (card(), Bank::default());
    let found = Fen::new(AMOUNT_MAX.fen() + 1);
    let most = AMOUNT_MAX;
    assert_eq!(
        pay(&mut card, &mut bank, 1, found, Some(PIN)),
        Ended::Refused(Refusal::Amount { most, found })
    );
    let other = pay(&mut card, &mut bank, 2, AMOUNT, Some(PIN));
    assert_eq!(other, Ended::Refused(Refusal::KeyHolder { reason: "no card of this bank".into() }));
    assert!(matches!(pay(&mut card, &mut bank, 3, AMOUNT, None), Ended::Refused(Refusal::Card(_))));
    bank.is_dead = true;
    assert!(matches!(pay(&mut card, &mut bank, 1, AMOUNT, None), Ended::Cut(CutAt::KeyHolder { .. })));
    assert!(bank.notes.is_empty() && log(&mut card).is_empty());
}

#[test]
fn pulled_at_every_command_the_note_comes_once() {
    let mut whole = card();
    decided(pay(&mut whole, &mut Bank::default(), 1, AMOUNT, Some(PIN)));
    let (mut before, mut later) = (0, 0);
    for pull in (0..whole.commands).flat_map(|number| [Pull::Before(number), Pull::After(number)]) {
        let (mut card, mut bank) = (card(), Bank::default());
        card.pull = Some(pull);
        match pay(&mut card, &mut bank, 1, AMOUNT, Some(PIN)) {
            Ended::Cut(CutAt::Card(_)) => {
                before += 1;
                assert!(bank.notes.is_empty(), "{pull:?}");
            }
            ended => later += usize::from(!decided(ended).is_on_card),
        }
        let mut card = card.put_back();
        assert!(matches!(POS.deliver(&mut card, &mut bank, 1, at()).unwrap(), Ended::Done(_)), "{pull:?}");
        let notes: Vec<_> = bank.notes.iter().map(|(note, there)| (*note, *there)).collect();
        assert!(notes.iter().all(|(_, there)| *there), "{pull:?}");
        let kept: Vec<_> = notes.iter().map(|(note, _)| *note).collect();
        assert_eq!(log(&mut card), kept, "{pull:?}");
    }
    assert!(before > 0 && later > 0, "{before} before the bank decided, {later} notes delivered later");
}

#[test]
fn with_the_power_cut_at_every_write_the_note_comes_once() {
    let mut whole = card();
    let writes = whole.memory().writes();
    decided(pay(&mut whole, &mut Bank::default(), 1, AMOUNT, Some(PIN)));
    let writes = whole.memory().writes() - writes;
    for (write, torn_len) in (0..writes).flat_map(|write| [0, 1, 7, 300].map(|torn_len| (write, torn_len))) {
        let (mut card, mut bank) = (card(), Bank::default());
        card.memory().cut_power_after(write, torn_len);
        pay(&mut card, &mut bank, 1, AMOUNT, Some(PIN));
        let mut card = card.put_back();
        assert!(matches!(POS.deliver(&mut card, &mut bank, 1, at()).unwrap(), Ended::Done(_)));
        let kept: Vec<_> = bank.notes.iter().map(|(note, _)| *note).collect();
        assert_eq!(log(&mut card), kept, "{write}/{torn_len}");
        let again = decided(pay(&mut card, &mut bank, 1, AMOUNT, Some(PIN)));
        assert!(again.is_on_card, "{write}/{torn_len}");
    }
}
