//! Messages of the bulk pipes: a header of ten bytes and data (USB CCID rev 1.1, 6.1 and 6.2).
//!
//! | at | from the host | to the host |
//! |---|---|---|
//! | 0 | type | type |
//! | 1 | data length, 4 bytes, low byte first | the same |
//! | 5 | slot | slot |
//! | 6 | sequence number | that of the command |
//! | 7 | three parameters of the command | status, error, one parameter of the answer |

/// Bytes before the data.
pub const HEADER_LEN: usize = 10;
/// Longest data field: a short command APDU.
pub const DATA_LEN_MAX: usize = ykt_base::apdu::COMMAND_LEN_MAX;
/// Longest message, `dwMaxCCIDMessageLength` of the descriptor.
pub const MESSAGE_LEN_MAX: usize = HEADER_LEN.saturating_add(DATA_LEN_MAX);

/// What the host asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandType {
    /// 61 PC_to_RDR_SetParameters.
    SetParameters,
    /// 62 PC_to_RDR_IccPowerOn.
    PowerOn,
    /// 63 PC_to_RDR_IccPowerOff.
    PowerOff,
    /// 65 PC_to_RDR_GetSlotStatus.
    SlotStatus,
    /// 69 PC_to_RDR_Secure.
    Secure,
    /// 6A PC_to_RDR_T0APDU.
    T0Apdu,
    /// 6B PC_to_RDR_Escape.
    Escape,
    /// 6C PC_to_RDR_GetParameters.
    Parameters,
    /// 6D PC_to_RDR_ResetParameters.
    ResetParameters,
    /// 6E PC_to_RDR_IccClock.
    Clock,
    /// 6F PC_to_RDR_XfrBlock.
    Transfer,
    /// 71 PC_to_RDR_Mechanical.
    Mechanical,
    /// 72 PC_to_RDR_Abort.
    Abort,
    /// 73 PC_to_RDR_SetDataRateAndClockFrequency.
    SetDataRate,
    /// A type the class does not know.
    Unknown(
        /// The byte.
        u8,
    ),
}

impl CommandType {
    const KNOWN: [(u8, CommandType, AnswerType); 14] = [
        (0x61, CommandType::SetParameters, AnswerType::Parameters),
        (0x62, CommandType::PowerOn, AnswerType::DataBlock),
        (0x63, CommandType::PowerOff, AnswerType::SlotStatus),
        (0x65, CommandType::SlotStatus, AnswerType::SlotStatus),
        (0x69, CommandType::Secure, AnswerType::DataBlock),
        (0x6A, CommandType::T0Apdu, AnswerType::SlotStatus),
        (0x6B, CommandType::Escape, AnswerType::Escape),
        (0x6C, CommandType::Parameters, AnswerType::Parameters),
        (0x6D, CommandType::ResetParameters, AnswerType::Parameters),
        (0x6E, CommandType::Clock, AnswerType::SlotStatus),
        (0x6F, CommandType::Transfer, AnswerType::DataBlock),
        (0x71, CommandType::Mechanical, AnswerType::SlotStatus),
        (0x72, CommandType::Abort, AnswerType::SlotStatus),
        (0x73, CommandType::SetDataRate, AnswerType::DataRate),
    ];

    /// The type of a byte.
    #[must_use]
    pub fn from_code(code: u8) -> CommandType {
        let known = CommandType::KNOWN.into_iter().find(|(known, ..)| *known == code);
        known.map_or(CommandType::Unknown(code), |(_, kind, _)| kind)
    }

    /// The byte of the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            CommandType::Unknown(code) => code,
            known => {
                CommandType::KNOWN.into_iter().find(|(_, kind, _)| *kind == known).map_or(0, |row| row.0)
            }
        }
    }

    /// What it is answered with; the class leaves that open for unknown types, a slot status says no most simply.
    #[must_use]
    pub fn answer(self) -> AnswerType {
        let known = CommandType::KNOWN.into_iter().find(|(_, kind, _)| *kind == self);
        known.map_or(AnswerType::SlotStatus, |(.., answer)| answer)
    }
}

/// What an answer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerType {
    /// 80 RDR_to_PC_DataBlock.
    DataBlock,
    /// 81 RDR_to_PC_SlotStatus.
    SlotStatus,
    /// 82 RDR_to_PC_Parameters.
    Parameters,
    /// 83 RDR_to_PC_Escape.
    Escape,
    /// 84 RDR_to_PC_DataRateAndClockFrequency.
    DataRate,
}

impl AnswerType {
    const ALL: [AnswerType; 5] = [
        AnswerType::DataBlock,
        AnswerType::SlotStatus,
        AnswerType::Parameters,
        AnswerType::Escape,
        AnswerType::DataRate,
    ];

    /// The byte of the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            AnswerType::DataBlock => 0x80,
            AnswerType::SlotStatus => 0x81,
            AnswerType::Parameters => 0x82,
            AnswerType::Escape => 0x83,
            AnswerType::DataRate => 0x84,
        }
    }
}

/// The state of the chip in every answer (`bmICCStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChipStatus {
    /// 0: powered, answers commands.
    Active,
    /// 1: there, without power.
    Inactive,
    /// 2: not there; also said of slots that do not exist.
    Absent,
}

impl ChipStatus {
    const fn code(self) -> u8 {
        match self {
            ChipStatus::Active => 0,
            ChipStatus::Inactive => 1,
            ChipStatus::Absent => 2,
        }
    }
}

/// Why a command failed (`bError`, 6.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// 00: the command is not supported.
    #[error("the token does not support this command")]
    NotSupported,
    /// 01 to 7F: the field of the command at this offset is wrong or not supported.
    #[error("the token refuses the field at offset {0} of the command")]
    Field(
        /// Offset in the message.
        u8,
    ),
    /// E0: the slot still has an answer that nobody has read.
    #[error("the slot is busy")]
    SlotBusy,
    /// FB: the hardware failed.
    #[error("the token reports a hardware error")]
    Hardware,
    /// FE: the chip does not answer: it has no power.
    #[error("the chip does not answer")]
    ChipMute,
    /// FF: an abort is under way.
    #[error("the command was aborted")]
    Aborted,
    /// Another code.
    #[error("the token reports error {0:02X}")]
    Other(
        /// The code.
        u8,
    ),
}

impl Failure {
    /// `dwLength`.
    pub const LENGTH: Failure = Failure::Field(1);
    /// `bSlot`.
    pub const SLOT: Failure = Failure::Field(5);
    /// The first parameter: `bPowerSelect`, `bProtocolNum`.
    pub const FIRST_PARAMETER: Failure = Failure::Field(7);
    /// `wLevelParameter`.
    pub const LEVEL: Failure = Failure::Field(8);

    /// The byte of the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Failure::NotSupported => 0x00,
            Failure::Field(code) | Failure::Other(code) => code,
            Failure::SlotBusy => 0xE0,
            Failure::Hardware => 0xFB,
            Failure::ChipMute => 0xFE,
            Failure::Aborted => 0xFF,
        }
    }

    /// The failure of a byte.
    #[must_use]
    pub const fn from_code(code: u8) -> Failure {
        match code {
            0x00 => Failure::NotSupported,
            0x01..=0x7F => Failure::Field(code),
            0xE0 => Failure::SlotBusy,
            0xFB => Failure::Hardware,
            0xFE => Failure::ChipMute,
            0xFF => Failure::Aborted,
            other => Failure::Other(other),
        }
    }
}

/// A command of the host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    /// What is asked for.
    pub kind: CommandType,
    /// The slot.
    pub slot: u8,
    /// Its number, which the answer repeats.
    pub sequence: u8,
    /// Bytes 7 to 9.
    pub parameters: [u8; 3],
    /// Data after the header.
    pub data: &'a [u8],
}

/// The header of a command and the data length it states, in bytes; `None` for fewer than ten bytes.
pub(crate) fn header(bytes: &[u8]) -> Option<(Command<'static>, usize)> {
    let (&[kind, l0, l1, l2, l3, slot, sequence, p0, p1, p2], _) = bytes.split_first_chunk()?;
    let stated = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    let kind = CommandType::from_code(kind);
    Some((Command { kind, slot, sequence, parameters: [p0, p1, p2], data: &[] }, stated))
}

impl Command<'_> {
    /// The bytes of the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Command { kind, slot, sequence, parameters: [p0, p1, p2], data } = *self;
        encode(kind.code(), data, [slot, sequence, p0, p1, p2])
    }
}

fn encode(kind: u8, data: &[u8], rest: [u8; 5]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN.saturating_add(data.len()));
    bytes.push(kind);
    bytes.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(rest);
    bytes.extend(data);
    bytes
}

/// How a command ended (`bmCommandStatus` and `bError`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Done,
    /// Failed.
    Failed(
        /// Why.
        Failure,
    ),
    /// Not done yet: the real answer follows under the same sequence number. Our token never needs it.
    MoreTime,
}

/// An answer of the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it carries.
    pub kind: AnswerType,
    /// The slot.
    pub slot: u8,
    /// The number of its command.
    pub sequence: u8,
    /// State of the chip.
    pub chip: ChipStatus,
    /// How the command ended.
    pub verdict: Verdict,
    /// Byte 9: chain parameter, clock status or protocol, by the type.
    pub parameter: u8,
    /// Data after the header.
    pub data: Vec<u8>,
}

impl Answer {
    /// The bytes of the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (status, error) = match self.verdict {
            Verdict::Done => (0x00, 0x00),
            Verdict::Failed(failure) => (0x40, failure.code()),
            Verdict::MoreTime => (0x80, 0x01),
        };
        let status = status | self.chip.code();
        encode(self.kind.code(), &self.data, [self.slot, self.sequence, status, error, self.parameter])
    }

    /// Reads a whole message, or `None` when it is none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Answer> {
        let (&[kind, l0, l1, l2, l3, slot, sequence, status, error, parameter], data) =
            bytes.split_first_chunk()?;
        let stated = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).ok()?;
        let chip = match status & 0x03 {
            0 => ChipStatus::Active,
            1 => ChipStatus::Inactive,
            2 => ChipStatus::Absent,
            _ => return None,
        };
        let verdict = match status >> 6 {
            0 => Verdict::Done,
            1 => Verdict::Failed(Failure::from_code(error)),
            2 => Verdict::MoreTime,
            _ => return None,
        };
        let kind = AnswerType::ALL.into_iter().find(|known| known.code() == kind)?;
        let data = (data.len() == stated).then(|| data.to_vec())?;
        Some(Answer { kind, slot, sequence, chip, verdict, parameter, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Header bytes as libccid and the class document write them.
    #[test]
    fn bytes_of_the_wire() {
        let apdu = [0x00, 0x84, 0x00, 0x00, 0x04];
        let transfer =
            Command { kind: CommandType::Transfer, slot: 0, sequence: 7, parameters: [0; 3], data: &apdu };
        let bytes = transfer.encode();
        assert_eq!(bytes, [0x6F, 5, 0, 0, 0, 0, 7, 0, 0, 0, 0x00, 0x84, 0x00, 0x00, 0x04]);
        let (read, stated) = header(&bytes).unwrap();
        assert_eq!((read.kind, read.sequence, stated), (CommandType::Transfer, 7, 5));
        assert!(header(&bytes[..9]).is_none());

        let failed = Answer {
            kind: AnswerType::DataBlock,
            slot: 0,
            sequence: 9,
            chip: ChipStatus::Inactive,
            verdict: Verdict::Failed(Failure::ChipMute),
            parameter: 0,
            data: vec![1, 2],
        };
        let bytes = failed.encode();
        assert_eq!(bytes, [0x80, 2, 0, 0, 0, 0, 9, 0x41, 0xFE, 0, 1, 2]);
        assert!(Answer::parse(&bytes).unwrap() == failed);
    }

    #[test]
    fn every_code_there_and_back() {
        for code in 0..=u8::MAX {
            assert_eq!(CommandType::from_code(code).code(), code);
            assert_eq!(Failure::from_code(code).code(), code);
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let right = [0x81, 0, 0, 0, 0, 0, 1, 0x01, 0, 0];
        assert!(Answer::parse(&right).is_some());
        let with = |at: usize, byte: u8| {
            let mut wrong = right;
            wrong[at] = byte;
            wrong
        };
        for wrong in [with(0, 0x50), with(1, 1), with(7, 0x03), with(7, 0xC0)] {
            assert!(Answer::parse(&wrong).is_none(), "{wrong:02X?}");
        }
        assert!(Answer::parse(&right[..9]).is_none());
    }
}
