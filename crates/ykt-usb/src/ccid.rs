//! The CCID device class (USB CCID rev 1.1): bulk messages in, answers and notices out.
//!
//! The actors: a host that sends one command and reads its answer, and a chip that is always there, because it is
//! soldered in. A command is done the moment its last byte comes, so at most its answer waits. The exchange level is
//! short APDU: blocks of T=0 and T=1 are nobody's business here.

pub mod message;
pub mod parameters;

use crate::descriptor::PACKET_LEN;
use crate::device::Stall;
use message::{
    Answer, ChipStatus, Command, CommandType, DATA_LEN_MAX, Failure, HEADER_LEN, MESSAGE_LEN_MAX, Verdict,
};
use parameters::{Parameters, Protocol, offered};
use std::collections::VecDeque;
use ykt_terminal::transport::vpcd::InsertedCard;

/// Answers that wait to be read before the token takes no more commands.
pub const ANSWERS_MAX: usize = 4;
/// The only slot.
const SLOT: u8 = 0;
/// Shortest command APDU, in bytes.
const APDU_LEN_MIN: usize = 4;

/// RDR_to_PC_NotifySlotChange of slot 0: there, and changed since the last notice.
pub const NOTICE: [u8; 2] = [0x50, 0x03];

/// An abort takes two messages, one over the control pipe and one over the bulk pipe, in either order (5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Abort {
    /// The control request has come; commands fail until its message comes.
    Requested { sequence: u8 },
    /// The message has come; it is answered when its control request comes.
    Announced { sequence: u8 },
}

/// The class with its chip.
pub struct Ccid<C> {
    chip: C,
    is_powered: bool,
    parameters: Parameters,
    abort: Option<Abort>,
    incoming: Vec<u8>,
    /// The rest of a message that is refused already is thrown away.
    is_skipping: bool,
    answers: VecDeque<Vec<u8>>,
    has_notice: bool,
}

/// What a command leads to: data and the parameter byte of the answer.
type Done = (Vec<u8>, u8);

impl<C: InsertedCard> Ccid<C> {
    /// The class around a chip, before a host has configured it.
    #[must_use]
    pub fn new(chip: C) -> Ccid<C> {
        let parameters = Parameters::of_atr(chip.atr());
        Ccid {
            chip,
            is_powered: false,
            parameters,
            abort: None,
            incoming: Vec::new(),
            is_skipping: false,
            answers: VecDeque::new(),
            has_notice: false,
        }
    }

    /// Forgets the host: the chip loses its power, what was begun is gone. What the chip stored stays.
    pub fn reset(&mut self) {
        if self.is_powered {
            self.chip.power_off();
        }
        self.is_powered = false;
        self.parameters = Parameters::of_atr(self.chip.atr());
        self.abort = None;
        self.incoming.clear();
        self.is_skipping = false;
        self.answers.clear();
        self.has_notice = false;
    }

    /// The host has configured the device: it will hear that a chip is there.
    pub fn configured(&mut self) {
        self.reset();
        self.has_notice = true;
    }

    /// Gives the chip back.
    pub fn into_chip(self) -> C {
        self.chip
    }

    /// A transfer on the bulk-out pipe: a message, or a part of one that ends on a packet boundary.
    ///
    /// # Errors
    /// [`Stall`] for bytes that are no message, or when too many answers wait.
    pub fn receive(&mut self, transfer: &[u8]) -> Result<(), Stall> {
        let ends = transfer.len().checked_rem(PACKET_LEN) != Some(0) || transfer.is_empty();
        if self.is_skipping {
            self.is_skipping = !ends;
            return Ok(());
        }
        if self.incoming.is_empty() && transfer.is_empty() {
            return Ok(());
        }
        self.incoming.extend(transfer.iter().take(MESSAGE_LEN_MAX.saturating_add(1)));
        let Some((command, stated)) = message::header(&self.incoming) else {
            self.incoming.clear();
            return Err(Stall);
        };
        let there = self.incoming.len().saturating_sub(HEADER_LEN);
        if there < stated && stated <= DATA_LEN_MAX && !ends {
            return Ok(());
        }
        if self.answers.len() >= ANSWERS_MAX {
            self.incoming.clear();
            return Err(Stall);
        }
        let incoming = std::mem::take(&mut self.incoming);
        if there == stated && stated <= DATA_LEN_MAX {
            let data = incoming.get(HEADER_LEN..).unwrap_or_default();
            self.execute(Command { data, ..command });
        } else {
            self.is_skipping = !ends;
            self.answer(&command, Err(Failure::LENGTH));
        }
        Ok(())
    }

    /// Whether an answer waits on the bulk-in pipe.
    #[must_use]
    pub fn has_answer(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Reads from the bulk-in pipe into a buffer of `len_max` bytes; `None` while no answer waits.
    ///
    /// # Errors
    /// [`Stall`] when the answer is longer than the buffer and the buffer no whole number of packets: the answer is
    /// lost, as on a real bus.
    pub fn read(&mut self, len_max: usize) -> Option<Result<Vec<u8>, Stall>> {
        let mut answer = self.answers.pop_front()?;
        if answer.len() > len_max {
            if len_max == 0 || len_max.checked_rem(PACKET_LEN) != Some(0) {
                return Some(Err(Stall));
            }
            self.answers.push_front(answer.split_off(len_max));
        }
        Some(Ok(answer))
    }

    /// Reads from the interrupt pipe; `None` while nothing has changed.
    pub fn notice(&mut self) -> Option<[u8; 2]> {
        std::mem::take(&mut self.has_notice).then_some(NOTICE)
    }

    /// The control request ABORT: begins an abort, or ends the one its message has announced.
    ///
    /// # Errors
    /// [`Stall`] for a slot that does not exist, or another number than the message announced.
    pub fn request_abort(&mut self, slot: u8, sequence: u8) -> Result<(), Stall> {
        match self.abort {
            _ if slot != SLOT => Err(Stall),
            Some(Abort::Announced { sequence: announced }) if announced != sequence => Err(Stall),
            Some(Abort::Announced { .. }) => {
                self.finish_abort(slot, sequence);
                Ok(())
            }
            Some(Abort::Requested { .. }) | None => {
                self.abort = Some(Abort::Requested { sequence });
                Ok(())
            }
        }
    }

    fn finish_abort(&mut self, slot: u8, sequence: u8) {
        self.abort = None;
        self.answers.clear();
        let abort = Command { kind: CommandType::Abort, slot, sequence, parameters: [0; 3], data: &[] };
        let clock = self.clock();
        self.answer(&abort, Ok((Vec::new(), clock)));
    }

    fn execute(&mut self, command: Command<'_>) {
        let Command { kind, slot, sequence, .. } = command;
        if slot != SLOT {
            return self.answer(&command, Err(Failure::SLOT));
        }
        match (kind, self.abort) {
            (CommandType::Abort, Some(Abort::Requested { sequence: requested })) if requested == sequence => {
                self.finish_abort(slot, sequence);
            }
            (CommandType::Abort, None) => self.abort = Some(Abort::Announced { sequence }),
            (_, Some(_)) => self.answer(&command, Err(Failure::Aborted)),
            (_, None) if self.has_answer() => self.answer(&command, Err(Failure::SlotBusy)),
            (_, None) => {
                let outcome = self.perform(&command);
                self.answer(&command, outcome);
            }
        }
    }

    fn perform(&mut self, command: &Command<'_>) -> Result<Done, Failure> {
        match command.kind {
            CommandType::PowerOn => self.power_on(command),
            CommandType::PowerOff => {
                no_data(command)?;
                self.chip.power_off();
                self.is_powered = false;
                Ok((Vec::new(), self.clock()))
            }
            CommandType::SlotStatus => no_data(command).map(|()| (Vec::new(), self.clock())),
            CommandType::Transfer => self.transfer(command),
            CommandType::Parameters => {
                no_data(command)?;
                self.powered()?;
                Ok(self.tell_parameters())
            }
            CommandType::ResetParameters => {
                no_data(command)?;
                self.powered()?;
                self.parameters = Parameters::of_atr(self.chip.atr());
                Ok(self.tell_parameters())
            }
            CommandType::SetParameters => self.set_parameters(command),
            CommandType::Secure
            | CommandType::T0Apdu
            | CommandType::Escape
            | CommandType::Clock
            | CommandType::Mechanical
            | CommandType::Abort
            | CommandType::SetDataRate
            | CommandType::Unknown(_) => Err(Failure::NotSupported),
        }
    }

    /// `bPowerSelect` 0 leaves the voltage to the token; 1 to 3 name one, all of which the descriptor lists.
    fn power_on(&mut self, command: &Command<'_>) -> Result<Done, Failure> {
        no_data(command)?;
        if command.parameters[0] > 3 {
            return Err(Failure::FIRST_PARAMETER);
        }
        self.chip.power_on();
        self.is_powered = true;
        self.parameters = Parameters::of_atr(self.chip.atr());
        Ok((self.chip.atr().to_vec(), 0))
    }

    /// One APDU, one answer. `wLevelParameter` chains extended APDUs, which this level does not have.
    fn transfer(&mut self, command: &Command<'_>) -> Result<Done, Failure> {
        let [_waiting, level_low, level_high] = command.parameters;
        if [level_low, level_high] != [0, 0] {
            return Err(Failure::LEVEL);
        }
        if command.data.len() < APDU_LEN_MIN {
            return Err(Failure::LENGTH);
        }
        self.powered()?;
        Ok((self.chip.answer(command.data).as_bytes().to_vec(), 0))
    }

    fn set_parameters(&mut self, command: &Command<'_>) -> Result<Done, Failure> {
        self.powered()?;
        let protocol = Protocol::from_code(command.parameters[0]);
        let is_offered = |protocol: &Protocol| offered(self.chip.atr()).contains(protocol);
        let protocol = protocol.filter(is_offered).ok_or(Failure::FIRST_PARAMETER)?;
        if command.data.len() != Parameters::data_len(protocol) {
            return Err(Failure::LENGTH);
        }
        self.parameters = Parameters { protocol, data: command.data.to_vec() };
        Ok(self.tell_parameters())
    }

    fn tell_parameters(&self) -> Done {
        (self.parameters.data.clone(), self.parameters.protocol.code())
    }

    const fn powered(&self) -> Result<(), Failure> {
        if self.is_powered { Ok(()) } else { Err(Failure::ChipMute) }
    }

    /// `bClockStatus`: running, or stopped low with the power.
    const fn clock(&self) -> u8 {
        if self.is_powered { 0x00 } else { 0x01 }
    }

    fn answer(&mut self, command: &Command<'_>, outcome: Result<Done, Failure>) {
        let chip = match command.slot {
            SLOT if self.is_powered => ChipStatus::Active,
            SLOT => ChipStatus::Inactive,
            _ => ChipStatus::Absent,
        };
        let (verdict, (data, parameter)) = match outcome {
            Ok(done) => (Verdict::Done, done),
            Err(failure) => (Verdict::Failed(failure), (Vec::new(), 0)),
        };
        let Command { kind, slot, sequence, .. } = *command;
        let answer = Answer { kind: kind.answer(), slot, sequence, chip, verdict, parameter, data };
        self.answers.push_back(answer.encode());
    }
}

const fn no_data(command: &Command<'_>) -> Result<(), Failure> {
    if command.data.is_empty() { Ok(()) } else { Err(Failure::LENGTH) }
}

#[cfg(test)]
pub(crate) mod tests;
