//! Bank cards on the SIM (银行卡功能) at a POS or cash machine: the terminal carries sealed tracks and the PIN block
//! to the bank, and the bank's note back to the card. It reads neither.
//!
//! The money moves at the bank, not on the card. When the card leaves before it has taken the note, the payment
//! stands, and [`BankTerminal::deliver`] brings the note when the card is shown again. When the bank falls silent, what
//! it did is asked between terminal and bank (reversal), without the card.

use crate::card::{CardError, Step, ask, demand, demand_plain, read_file};
use crate::flow::{Ended, KeyHolderError, ReaderFault, Refusal, Stop, end};
use ykt_base::{CardChannel, DateTime, Fen, KeyIndex, Mac4, TerminalId};
use ykt_purse::PurseFen;
use ykt_purse::bank::{
    self, AMOUNT_MAX, CARD_DATA_LEN, CARD_DATA_SFI, CardData, InitAnswer, InitMc, Note, ReadMc, ReadSign,
    SealedTracks, Terms, TransmitNote,
};
use ykt_purse::command;

/// Most bytes of a signature picture that a terminal reads.
pub const SIGNATURE_LEN_MAX: usize = 8 * 1024;

/// The bank's PIN as the PIN pad enciphered it. No `Debug`; the card never sees it.
#[derive(Clone, Copy)]
pub struct PinBlock(pub [u8; 8]);

/// What a bank is asked: which card, for what, and what the card said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The card.
    pub card: CardData,
    /// Index of the bank's key.
    pub key_index: KeyIndex,
    /// Amount, terminal, time.
    pub terms: Terms,
    /// What the card answered to InitMC, with its MAC1.
    pub answer: InitAnswer,
}

/// The bank's host.
pub trait BankHost {
    /// Checks MAC1 and asks for the tracks: the MAC of ReadMC.
    ///
    /// # Errors
    /// [`KeyHolderError`].
    fn authorise(&mut self, offer: &Offer) -> Result<Mac4, KeyHolderError>;

    /// Opens the tracks, decides, moves the money. The note says how it ended, signed for this conversation.
    ///
    /// # Errors
    /// [`KeyHolderError`].
    fn pay(
        &mut self,
        offer: &Offer,
        tracks: &SealedTracks,
        pin: Option<PinBlock>,
    ) -> Result<TransmitNote, KeyHolderError>;

    /// The oldest note this card has not taken yet, signed for this conversation.
    ///
    /// # Errors
    /// [`KeyHolderError`].
    fn undelivered(&mut self, offer: &Offer) -> Result<Option<TransmitNote>, KeyHolderError>;

    /// Takes the card's receipt for a note.
    ///
    /// # Errors
    /// [`KeyHolderError`].
    fn delivered(&mut self, offer: &Offer, note: &Note, mac3: Mac4) -> Result<(), KeyHolderError>;
}

/// What the bank decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The bank's note: approved or declined.
    pub note: Note,
    /// The holder's signature picture, to compare; empty when the card has none, or left before giving it.
    pub signature: Vec<u8>,
    /// Whether the note reached the card; otherwise deliver it later.
    pub is_on_card: bool,
}

/// A terminal that takes bank cards of SIMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BankTerminal {
    /// Its id in MACs.
    pub terminal: TerminalId,
    /// Index of the bank's key.
    pub key_index: KeyIndex,
}

impl BankTerminal {
    /// Asks the bank of card `number` (from 1) for `amount`.
    ///
    /// # Errors
    /// [`ReaderFault`]; no money was asked for then.
    pub fn pay(
        &self,
        card: &mut (impl CardChannel + ?Sized),
        host: &mut (impl BankHost + ?Sized),
        number: u8,
        (amount, at): (Fen, DateTime),
        pin: Option<PinBlock>,
    ) -> Result<Ended<Decision>, ReaderFault> {
        end(self.ask_bank(card, host, number, (amount, at), pin))
    }

    /// Brings the card the notes it has not taken; how many there were.
    ///
    /// # Errors
    /// [`ReaderFault`].
    pub fn deliver(
        &self,
        card: &mut (impl CardChannel + ?Sized),
        host: &mut (impl BankHost + ?Sized),
        number: u8,
        at: DateTime,
    ) -> Result<Ended<usize>, ReaderFault> {
        end(self.bring_notes(card, host, number, at))
    }

    fn ask_bank(
        &self,
        card: &mut (impl CardChannel + ?Sized),
        host: &mut (impl BankHost + ?Sized),
        number: u8,
        (found, at): (Fen, DateTime),
        pin: Option<PinBlock>,
    ) -> Result<Decision, Stop> {
        let amount = PurseFen::try_from(found).ok().filter(|_| found <= AMOUNT_MAX);
        let amount = amount.ok_or(Refusal::Amount { most: AMOUNT_MAX, found })?;
        let offer = self.connect(card, number, amount, at)?;
        let mac = host.authorise(&offer)?;
        let tracks = demand(card, Step::ReadMc, &ReadMc { mac }.to_apdu(), SealedTracks::from_bytes)?;
        let transmit = host.pay(&offer, &tracks, pin)?;
        // From here on the bank has decided: whatever the card does, that is the outcome.
        let is_on_card = hand_over(card, host, &offer, &transmit).is_ok();
        let signature = signature(card).unwrap_or_default();
        // DISCONNECT; a card that has left is disconnected.
        let _ = card.reset();
        Ok(Decision { note: transmit.note, signature, is_on_card })
    }

    fn bring_notes(
        &self,
        card: &mut (impl CardChannel + ?Sized),
        host: &mut (impl BankHost + ?Sized),
        number: u8,
        at: DateTime,
    ) -> Result<usize, Stop> {
        let offer = self.connect(card, number, PurseFen::ZERO, at)?;
        let mut notes = 0usize;
        while let Some(transmit) = host.undelivered(&offer)? {
            hand_over(card, host, &offer, &transmit)?;
            notes = notes.saturating_add(1);
        }
        Ok(notes)
    }

    /// CONNECT and InitMC.
    fn connect(
        &self,
        card: &mut (impl CardChannel + ?Sized),
        number: u8,
        amount: PurseFen,
        at: DateTime,
    ) -> Result<Offer, Stop> {
        let silent = |cause| CardError::Silent { step: Step::SelectBankCard, cause };
        card.reset().map_err(silent)?;
        demand_plain(card, Step::SelectBankCard, &command::select_name(&bank::aid(number)), |_| Some(()))?;
        let read = read_file(CARD_DATA_SFI, CARD_DATA_LEN);
        let data = demand_plain(card, Step::ReadBankCard, &read, CardData::from_bytes)?;
        let (key_index, terms) = (self.key_index, Terms { amount, terminal: self.terminal, at });
        let init = InitMc { key_index, terms }.to_apdu();
        let answer = demand(card, Step::InitMc, &init, InitAnswer::from_bytes)?;
        Ok(Offer { card: data, key_index, terms, answer })
    }
}

/// Transmit_Consume_Note, and its receipt to the bank. The card keeps a note once, however often it comes.
fn hand_over(
    card: &mut (impl CardChannel + ?Sized),
    host: &mut (impl BankHost + ?Sized),
    offer: &Offer,
    transmit: &TransmitNote,
) -> Result<(), Stop> {
    let read = |data: &[u8]| Mac4::try_from(data).ok();
    let mac3 = demand(card, Step::TransmitNote, &transmit.to_apdu(), read)?;
    Ok(host.delivered(offer, &transmit.note, mac3)?)
}

/// The signature picture, block by block; empty when the card has none.
fn signature(card: &mut (impl CardChannel + ?Sized)) -> Result<Vec<u8>, CardError> {
    let mut picture = Vec::new();
    while let Some(offset) = u16::try_from(picture.len()).ok().filter(|_| picture.len() < SIGNATURE_LEN_MAX) {
        let answer = ask(card, Step::ReadSign, &ReadSign { offset }.to_apdu())?;
        if !answer.sw().is_ok() || answer.data().is_empty() {
            break;
        }
        picture.extend_from_slice(answer.data());
    }
    Ok(picture)
}
