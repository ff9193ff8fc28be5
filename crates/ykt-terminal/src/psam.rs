//! The PSAM in its slot: read once after reset, then one pair of commands for each purchase.
//!
//! 8070 opens a context that 8072 uses up. Which purchase the context belongs to is remembered here, so that
//! the MAC2 of a card that comes back later is never checked against another card's purchase.

use crate::card::{CardError, Step, ask, demand, demand_plain, read_file};
use ykt_base::{CardChannel, Date, Mac4, PsamSerial, StatusWord, TerminalId, TerminalSeq};
use ykt_purse::command::select_file;
use ykt_purse::files::{
    SAM_APPLICATION_DATA_LEN, SAM_APPLICATION_FID, SAM_APPLICATION_SFI, SAM_CARD_DATA_LEN, SAM_SERIAL_SFI,
    SamApplicationData, SamCardData, TERMINAL_ID_SFI,
};
use ykt_purse::psam::{CreditSam, InitSamForPurchase, SamAnswer};

/// A PSAM ready for purchases.
pub struct Psam<C> {
    channel: C,
    facts: Facts,
    /// Sequence of the purchase that 8070 opened last and 8072 has not closed.
    open: Option<TerminalSeq>,
    /// Its state is not known: reset it before the next purchase.
    stale: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Facts {
    serial: PsamSerial,
    terminal: TerminalId,
    application: SamApplicationData,
}

/// What the PSAM says of a card's MAC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The card is genuine.
    Right,
    /// It is not, or the answer was changed on its way.
    Wrong,
    /// It cannot say: the context of that purchase is gone.
    ContextGone,
}

/// Why the PSAM does not serve.
#[derive(Debug, thiserror::Error)]
pub enum PsamError {
    /// A command to it failed.
    #[error("the PSAM does not serve: check that a personalised PSAM sits in its slot")]
    Step(#[from] CardError),
    /// All tries for MAC2 are used up.
    #[error("PSAM: the purchase key is locked after too many wrong MAC2; replace the PSAM")]
    Locked,
    /// Another PSAM sits in the slot than the one the terminal started with.
    #[error(
        "PSAM: expected serial {expected} with terminal id {terminal}, found another; restart the terminal"
    )]
    Exchanged {
        /// Serial at the start.
        expected: PsamSerial,
        /// Terminal id at the start.
        terminal: TerminalId,
    },
    /// The PSAM may not be used on this day.
    #[error("PSAM: valid from {start} to {expiry}, today is {today}; renew it, or set the terminal's clock")]
    OutOfDate {
        /// First day.
        start: Date,
        /// Last day.
        expiry: Date,
        /// The day of the purchase.
        today: Date,
    },
}

impl<C: CardChannel> Psam<C> {
    /// Resets the PSAM and reads who it is.
    ///
    /// # Errors
    /// [`PsamError`].
    pub fn open(mut channel: C) -> Result<Psam<C>, PsamError> {
        let facts = start(&mut channel)?;
        Ok(Psam { channel, facts, open: None, stale: false })
    }

    /// Serial number.
    #[must_use]
    pub fn serial(&self) -> PsamSerial {
        self.facts.serial
    }

    /// Terminal id: the `term6` of every purchase.
    #[must_use]
    pub fn terminal(&self) -> TerminalId {
        self.facts.terminal
    }

    /// Application data: key index, issuer, validity.
    #[must_use]
    pub fn application(&self) -> &SamApplicationData {
        &self.facts.application
    }

    /// Makes MAC1 for a purchase (8070).
    ///
    /// # Errors
    /// [`PsamError`]; 6A88 and 9403 say that it has no key for this card.
    pub fn sign(&mut self, purchase: &InitSamForPurchase) -> Result<SamAnswer, PsamError> {
        let today = purchase.at.date;
        let SamApplicationData { start: from, expiry, .. } = self.facts.application;
        if !(from..=expiry).contains(&today) {
            return Err(PsamError::OutOfDate { start: from, expiry, today });
        }
        self.freshen()?;
        self.open = None;
        let answer =
            demand(&mut self.channel, Step::InitSam, purchase.to_apdu().as_bytes(), SamAnswer::from_bytes);
        match answer {
            Ok(answer) => {
                self.open = Some(answer.sequence);
                Ok(answer)
            }
            Err(error) => Err(self.fault(error)),
        }
    }

    /// Checks the card's MAC2 of the purchase with this sequence (8072).
    ///
    /// # Errors
    /// [`PsamError`] when it does not answer or is locked.
    pub fn check(&mut self, sequence: TerminalSeq, mac2: Mac4) -> Result<Verdict, PsamError> {
        if self.stale || self.open != Some(sequence) {
            return Ok(Verdict::ContextGone);
        }
        self.open = None;
        let answer = ask(&mut self.channel, Step::CreditSam, &CreditSam { mac2 }.to_apdu())
            .map_err(|error| self.fault(error))?;
        match answer.sw() {
            StatusWord::OK => Ok(Verdict::Right),
            StatusWord::TRANSACTION_MAC_WRONG => Ok(Verdict::Wrong),
            StatusWord::NOT_INITIALIZED | StatusWord::CONDITIONS => Ok(Verdict::ContextGone),
            sw => Err(self.fault(CardError::Refused { step: Step::CreditSam, sw })),
        }
    }

    fn freshen(&mut self) -> Result<(), PsamError> {
        if self.stale {
            if start(&mut self.channel)? != self.facts {
                let Facts { serial: expected, terminal, .. } = self.facts;
                return Err(PsamError::Exchanged { expected, terminal });
            }
            self.stale = false;
        }
        Ok(())
    }

    fn fault(&mut self, error: CardError) -> PsamError {
        match error {
            CardError::Refused { sw: StatusWord::BLOCKED, .. } => PsamError::Locked,
            CardError::Refused { sw: StatusWord::KEY_NOT_FOUND | StatusWord::KEY_INDEX, .. } => error.into(),
            _ => {
                self.stale = true;
                error.into()
            }
        }
    }
}

/// Reset flow of `epurse.md` 7.1: serial, terminal id, application, application data.
fn start(channel: &mut impl CardChannel) -> Result<Facts, CardError> {
    channel.reset().map_err(|cause| CardError::Silent { step: Step::ResetSam, cause })?;
    let serial = read_file(SAM_SERIAL_SFI, SAM_CARD_DATA_LEN);
    let serial = demand_plain(channel, Step::ReadSamSerial, &serial, SamCardData::from_bytes)?.serial;
    let terminal = read_file(TERMINAL_ID_SFI, TerminalId::LEN);
    let terminal =
        demand_plain(channel, Step::ReadTerminalId, &terminal, |id| TerminalId::try_from(id).ok())?;
    let select = select_file(&SAM_APPLICATION_FID);
    demand_plain(channel, Step::SelectSamApplication, &select, |_| Some(()))?;
    let application = read_file(SAM_APPLICATION_SFI, SAM_APPLICATION_DATA_LEN);
    let application =
        demand_plain(channel, Step::ReadSamApplication, &application, SamApplicationData::from_bytes)?;
    Ok(Facts { serial, terminal, application })
}
