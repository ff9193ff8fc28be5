//! The terminal's half of every dialogue with a card: select, read, ask for proofs.
//!
//! Each function sends one command and says in [`CardError`] which step stopped and how: the card was silent,
//! said no, or said what is no answer. Whether that is an outcome or a fault is decided by the caller.

use std::fmt;
use ykt_base::apdu::COMMAND_LEN_MAX;
use ykt_base::{CardChannel, CardCounter, ChannelError, Command, Fen, Response, StatusWord};
use ykt_purse::command;
use ykt_purse::files::{
    CITY_AID, PBOC_AID, PUBLIC_DATA_LEN, PUBLIC_DATA_SFI, PublicData, PublicDataLayout, T_UNION_AID,
};
use ykt_purse::log::{self, LogRecord};
use ykt_purse::prove::{Proof, ProveTransaction};
use ykt_purse::write_key::Pin;
use ykt_purse::{Purse, PurseFen, TransactionType};

/// Most records a card's log is read for.
pub const LOG_RECORDS_MAX: u8 = 10;

/// A purse application that terminals take.
#[derive(Debug, PartialEq, Eq)]
pub struct Application {
    /// Its name on the card (AID).
    pub aid: &'static [u8],
    /// How its EF 0015 is to be read.
    pub layout: PublicDataLayout,
}

/// The purse applications that terminals take (`epurse.md` 6.2), in the order they look for them.
pub static APPLICATIONS: [Application; 4] = [
    Application { aid: &CITY_AID, layout: PublicDataLayout::City },
    Application { aid: &[0xA0, 0, 0, 0, 0x03, 0x86, 0x98, 0x07, 0x02], layout: PublicDataLayout::City },
    Application { aid: &T_UNION_AID, layout: PublicDataLayout::TUnion },
    Application { aid: &PBOC_AID, layout: PublicDataLayout::Pboc },
];

/// A step of a dialogue with card or PSAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// SELECT of a purse application.
    SelectApplication,
    /// READ BINARY of EF 0015.
    ReadPublicData,
    /// GET BALANCE.
    ReadBalance,
    /// READ RECORD of the log.
    ReadLog,
    /// GET TRANSACTION PROVE.
    Prove,
    /// INITIALIZE FOR PURCHASE.
    InitializeForPurchase,
    /// DEBIT FOR PURCHASE.
    Debit,
    /// INITIALIZE FOR LOAD.
    InitializeForLoad,
    /// CREDIT FOR LOAD.
    Credit,
    /// Reset of the PSAM.
    ResetSam,
    /// READ BINARY of the PSAM's serial number.
    ReadSamSerial,
    /// READ BINARY of the PSAM's terminal id.
    ReadTerminalId,
    /// SELECT of the PSAM's application.
    SelectSamApplication,
    /// READ BINARY of the PSAM's application data.
    ReadSamApplication,
    /// INIT SAM FOR PURCHASE.
    InitSam,
    /// CREDIT SAM.
    CreditSam,
    /// Keys of an M1 card from the PSAM.
    M1Keys,
    /// SELECT of the ticket application.
    SelectTickets,
    /// Write_ET_Init.
    WriteTicketInit,
    /// Write_ET_Info.
    WriteTicketInfo,
    /// Write_ET_End.
    WriteTicketEnd,
    /// Read_ET_Init.
    ReadTicketInit,
    /// Read_ET_Info.
    ReadTicketInfo,
    /// Read_ET_End.
    ReadTicketEnd,
    /// Reset, and SELECT of a bank card's application.
    SelectBankCard,
    /// READ BINARY of a bank card's EF 0015.
    ReadBankCard,
    /// InitMC.
    InitMc,
    /// ReadMC.
    ReadMc,
    /// Transmit_Consume_Note.
    TransmitNote,
    /// Read_Share_Sign.
    ReadSign,
    /// VERIFY of a PIN.
    VerifyPin,
    /// CHANGE PIN.
    ChangePin,
    /// GET CHALLENGE.
    Challenge,
    /// WRITE KEY.
    WriteKey,
    /// SELECT of a component card's application.
    SelectComponentCard,
    /// READ BINARY of its label or component.
    ReadComponent,
    /// SELECT of the key card's application.
    SelectKeyCard,
    /// GET KEY CARD INFO.
    KeyCardInfo,
    /// BEGIN CARD.
    BeginCard,
    /// DERIVE CARD KEY.
    DeriveCardKey,
    /// END CARD.
    EndCard,
    /// SELECT of the identity application.
    SelectIdentity,
    /// EXTERNAL AUTHENTICATE with the reader's key.
    ProveReader,
    /// INTERNAL AUTHENTICATE SM2.
    ProveCard,
    /// SELECT of a file by its id.
    SelectDataFile,
    /// READ BINARY of the selected file.
    ReadDataFile,
    /// SELECT of the token's application.
    SelectToken,
    /// EXTERNAL AUTHENTICATE with the control key of the token's application.
    ProveIssuer,
    /// GENERATE KEY PAIR.
    GenerateKeyPair,
    /// READ PUBLIC KEY.
    ReadPublicKey,
    /// HASH.
    Hash,
    /// SIGN.
    Sign,
    /// READ RECORD of the directory of certificates.
    ReadCertificates,
    /// UPDATE BINARY or UPDATE RECORD of a certificate.
    WriteCertificate,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::SelectApplication => "SELECT purse application (00A40400)",
            Step::ReadPublicData => "READ BINARY EF 0015 (00B09500)",
            Step::ReadBalance => "GET BALANCE (805C00)",
            Step::ReadLog => "READ RECORD of the log (00B2)",
            Step::Prove => "GET TRANSACTION PROVE (805A00)",
            Step::InitializeForPurchase => "INITIALIZE FOR PURCHASE (805001)",
            Step::Debit => "DEBIT FOR PURCHASE (80540100)",
            Step::InitializeForLoad => "INITIALIZE FOR LOAD (805000)",
            Step::Credit => "CREDIT FOR LOAD (80520000)",
            Step::ResetSam => "reset of the PSAM",
            Step::ReadSamSerial => "READ BINARY PSAM EF 0015 (00B09500)",
            Step::ReadTerminalId => "READ BINARY PSAM EF 0016 (00B09600)",
            Step::SelectSamApplication => "SELECT PSAM application (00A40000)",
            Step::ReadSamApplication => "READ BINARY PSAM EF 0017 (00B09700)",
            Step::InitSam => "INIT SAM FOR PURCHASE (80700000)",
            Step::CreditSam => "CREDIT SAM (80720000)",
            Step::M1Keys => "keys of an M1 card from the PSAM (80FC0101)",
            Step::SelectTickets => "SELECT ticket application (00A40400)",
            Step::WriteTicketInit => "Write_ET_Init (8030)",
            Step::WriteTicketInfo => "Write_ET_Info (8032)",
            Step::WriteTicketEnd => "Write_ET_End (8034)",
            Step::ReadTicketInit => "Read_ET_Init (8036)",
            Step::ReadTicketInfo => "Read_ET_Info (8038)",
            Step::ReadTicketEnd => "Read_ET_End (803A)",
            Step::SelectBankCard => "reset and SELECT bank card (00A40400)",
            Step::ReadBankCard => "READ BINARY bank card EF 0015 (00B09500)",
            Step::InitMc => "InitMC (80400000)",
            Step::ReadMc => "ReadMC (80420000)",
            Step::TransmitNote => "Transmit_Consume_Note (80440000)",
            Step::ReadSign => "Read_Share_Sign (8046)",
            Step::VerifyPin => "VERIFY (00200000)",
            Step::ChangePin => "CHANGE PIN (805E0100)",
            Step::Challenge => "GET CHALLENGE (00840000)",
            Step::WriteKey => "WRITE KEY (84D4)",
            Step::SelectComponentCard => "SELECT component card application (00A40400)",
            Step::ReadComponent => "READ BINARY component card (00B0)",
            Step::SelectKeyCard => "SELECT key card application (00A40400)",
            Step::KeyCardInfo => "GET KEY CARD INFO (807A0000)",
            Step::BeginCard => "BEGIN CARD (80740000)",
            Step::DeriveCardKey => "DERIVE CARD KEY (8076)",
            Step::EndCard => "END CARD (80780000)",
            Step::SelectIdentity => "SELECT identity application (00A40400)",
            Step::ProveReader => "EXTERNAL AUTHENTICATE (008200)",
            Step::ProveCard => "INTERNAL AUTHENTICATE SM2 (808800)",
            Step::SelectDataFile => "SELECT of a file (00A40200)",
            Step::ReadDataFile => "READ BINARY (00B0)",
            Step::SelectToken => "SELECT token application (00A40400)",
            Step::ProveIssuer => "EXTERNAL AUTHENTICATE (00820000)",
            Step::GenerateKeyPair => "GENERATE KEY PAIR (004680)",
            Step::ReadPublicKey => "READ PUBLIC KEY (004681)",
            Step::Hash => "HASH (802A9)",
            Step::Sign => "SIGN (802A9)",
            Step::ReadCertificates => "READ RECORD of the certificates (00B2)",
            Step::WriteCertificate => "UPDATE of a certificate (00D6, 00DC)",
        })
    }
}

/// How a step stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// No answer came.
    #[error("{step}: {cause}")]
    Silent {
        /// The step.
        step: Step,
        /// Why.
        cause: ChannelError,
    },
    /// The card said no.
    #[error("{step}: expected 9000, found {sw}")]
    Refused {
        /// The step.
        step: Step,
        /// What it said.
        sw: StatusWord,
    },
    /// The card said yes with data that cannot be.
    #[error("{step}: {len} data bytes that are no such answer")]
    Unreadable {
        /// The step.
        step: Step,
        /// Data bytes that came.
        len: usize,
    },
}

/// Sends one command; whatever is answered comes back.
pub(crate) fn ask(
    channel: &mut (impl CardChannel + ?Sized),
    step: Step,
    command: &[u8],
) -> Result<Response, CardError> {
    channel.transmit(command).map_err(|cause| CardError::Silent { step, cause })
}

/// Sends one command that must be answered 9000 with data that `read` understands.
pub(crate) fn demand<T>(
    channel: &mut (impl CardChannel + ?Sized),
    step: Step,
    command: &[u8],
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<T, CardError> {
    let answer = ask(channel, step, command)?;
    if !answer.sw().is_ok() {
        return Err(CardError::Refused { step, sw: answer.sw() });
    }
    read(answer.data()).ok_or(CardError::Unreadable { step, len: answer.data().len() })
}

/// As [`demand`], for a command without a type of its own.
pub(crate) fn demand_plain<T>(
    channel: &mut (impl CardChannel + ?Sized),
    step: Step,
    command: &Command<'_>,
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<T, CardError> {
    demand(channel, step, command.encode(&mut [0; ykt_base::apdu::COMMAND_LEN_MAX]), read)
}

/// Why a PIN was not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// No answer to VERIFY, or one that says neither.
    #[error("the PIN was not verified; present the card again")]
    Step(#[from] CardError),
    /// It is another one.
    #[error("wrong PIN, {left} tries left")]
    Wrong {
        /// Tries left.
        left: u8,
    },
    /// It has no tries left.
    #[error("the PIN is blocked; whoever issued the card unblocks it")]
    Blocked,
}

/// Verifies a PIN.
pub(crate) fn verify_pin(
    channel: &mut (impl CardChannel + ?Sized),
    id: u8,
    pin: &Pin,
) -> Result<(), PinError> {
    let step = Step::VerifyPin;
    let mut command = [0; COMMAND_LEN_MAX];
    let answer = ask(channel, step, command::verify(id, pin).encode(&mut command))?;
    pin_answer(step, answer.sw())
}

/// What the card says to a PIN.
pub(crate) fn pin_answer(step: Step, sw: StatusWord) -> Result<(), PinError> {
    match sw {
        StatusWord::OK => Ok(()),
        StatusWord::BLOCKED => Err(PinError::Blocked),
        StatusWord(wrong @ 0x63C0..=0x63CF) => {
            let [_, left] = (wrong & 0x0F).to_be_bytes();
            Err(PinError::Wrong { left })
        }
        sw => Err(CardError::Refused { step, sw }.into()),
    }
}

/// Most bytes of a file moved at once: every reader carries them.
pub(crate) const BLOCK_LEN_MAX: usize = 240;

/// Selects a file of the current application by its id.
pub(crate) fn select_data_file(
    channel: &mut (impl CardChannel + ?Sized),
    fid: [u8; 2],
) -> Result<(), CardError> {
    let select = Command::write(command::PLAIN, 0xA4, 0x02, 0x00, &fid, None);
    demand_plain(channel, Step::SelectDataFile, &select, |_| Some(()))
}

/// Reads `len` bytes of the selected file from `offset`, block by block.
pub(crate) fn read_data_file(
    channel: &mut (impl CardChannel + ?Sized),
    offset: usize,
    len: usize,
) -> Result<Vec<u8>, CardError> {
    let mut content = Vec::with_capacity(len);
    while content.len() < len {
        let wanted = len.saturating_sub(content.len()).min(BLOCK_LEN_MAX);
        let [p1, p2] = file_offset(offset.saturating_add(content.len()));
        let read = Command::read(command::PLAIN, 0xB0, p1, p2, u16::try_from(wanted).ok());
        let block = demand_plain(channel, Step::ReadDataFile, &read, |data| {
            (data.len() == wanted).then(|| data.to_vec())
        })?;
        content.extend(block);
    }
    Ok(content)
}

/// P1 and P2 of an offset in the selected file.
pub(crate) fn file_offset(at: usize) -> [u8; 2] {
    u16::try_from(at).unwrap_or(u16::MAX).to_be_bytes()
}

/// READ BINARY of a whole file, whose length in bytes fits one answer.
pub(crate) fn read_file(sfi: u8, len: usize) -> Command<'static> {
    command::read_binary(sfi, 0, u16::try_from(len).unwrap_or(256))
}

/// Selects the first of [`APPLICATIONS`] that the card has.
///
/// # Errors
/// [`CardError`]; 6A82 is a card without any of them.
pub fn select(channel: &mut (impl CardChannel + ?Sized)) -> Result<&'static Application, CardError> {
    let step = Step::SelectApplication;
    for application in &APPLICATIONS {
        match demand_plain(channel, step, &command::select_name(application.aid), |_| Some(application)) {
            Err(CardError::Refused { sw: StatusWord::NOT_FOUND, .. }) => {}
            other => return other,
        }
    }
    Err(CardError::Refused { step, sw: StatusWord::NOT_FOUND })
}

/// Reads the public application data of the selected application.
///
/// # Errors
/// [`CardError`].
pub fn public_data(
    channel: &mut (impl CardChannel + ?Sized),
    layout: PublicDataLayout,
) -> Result<PublicData, CardError> {
    let read = read_file(PUBLIC_DATA_SFI, PUBLIC_DATA_LEN);
    demand_plain(channel, Step::ReadPublicData, &read, |bytes| PublicData::from_bytes(layout, bytes))
}

/// Selects a purse application and reads its public data.
///
/// # Errors
/// [`CardError`]; 6A82 is a card without any of [`APPLICATIONS`].
pub fn open(channel: &mut (impl CardChannel + ?Sized)) -> Result<PublicData, CardError> {
    let layout = select(channel)?.layout;
    public_data(channel, layout)
}

/// Reads the balance of the electronic purse.
///
/// # Errors
/// [`CardError`].
pub fn balance(channel: &mut (impl CardChannel + ?Sized)) -> Result<Fen, CardError> {
    balance_of(channel, Purse::Ep)
}

/// Reads the balance of a purse or deposit.
///
/// # Errors
/// [`CardError`]; 6982 asks for the PIN.
pub fn balance_of(channel: &mut (impl CardChannel + ?Sized), purse: Purse) -> Result<Fen, CardError> {
    let four = |data: &[u8]| PurseFen::from_bytes(data.try_into().ok()?).map(PurseFen::fen);
    demand_plain(channel, Step::ReadBalance, &command::balance(purse), four)
}

/// Reads record `number` of the log, 1 being the newest; `None` when the log has no such record.
///
/// # Errors
/// [`CardError`].
pub fn log_record(
    channel: &mut (impl CardChannel + ?Sized),
    number: u8,
) -> Result<Option<LogRecord>, CardError> {
    let read = command::read_record(number, log::SFI, u16::try_from(log::RECORD_LEN).unwrap_or(256));
    // A record that was never written is told by its type byte of 00 or by 6A83, card by card.
    match demand_plain(channel, Step::ReadLog, &read, |data| Some(LogRecord::from_bytes(data))) {
        Err(CardError::Refused { sw: StatusWord::RECORD_NOT_FOUND, .. }) => Ok(None),
        other => other,
    }
}

/// Reads the whole log, newest first.
///
/// # Errors
/// [`CardError`].
pub fn log(channel: &mut (impl CardChannel + ?Sized)) -> Result<Vec<LogRecord>, CardError> {
    let mut records = Vec::new();
    for number in 1..=LOG_RECORDS_MAX {
        match log_record(channel, number)? {
            Some(record) => records.push(record),
            None => break,
        }
    }
    Ok(records)
}

/// Asks for the proof of the transaction whose MACs used the counter `used`; `None` when the card has none.
///
/// # Errors
/// [`CardError`].
pub fn prove(
    channel: &mut (impl CardChannel + ?Sized),
    transaction: TransactionType,
    used: CardCounter,
) -> Result<Option<Proof>, CardError> {
    // Deployed terminals ask with the value after increment; a counter at its end has only the one used.
    let counter = log::logged_counter(used).unwrap_or(used);
    let command = ProveTransaction { transaction, counter }.to_apdu();
    match demand(channel, Step::Prove, &command, Proof::from_bytes) {
        Ok(proof) => Ok(Some(proof)),
        Err(CardError::Refused { sw: StatusWord::PROOF_NOT_AVAILABLE, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
