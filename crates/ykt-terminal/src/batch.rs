//! Batch files: what a terminal hands to clearing, in the purchase file layout (XF, `clearing.md` 2.1).

use crate::pos::PosConfig;
use crate::record::{BatchId, Ending, Record};
use crate::store::{RecordBook, RecordStore, StoreError};
use ykt_base::{DateTime, Fen, Mac4};
use ykt_files::{
    CardType, Confirmation, FileError, FileKind, FileName, NameLayout, PurchaseType, Ticket, TicketDebit,
    XfRecord,
};
use ykt_purse::Purse;

/// A batch as it is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Name of the file.
    pub name: FileName,
    /// The file.
    pub bytes: Vec<u8>,
    /// Records in it.
    pub records: usize,
    /// Grey records among them.
    pub grey: usize,
    /// Sum of their amounts, grey ones included.
    pub amount: Fen,
}

/// Why a batch cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The sequence does not fit the name.
    #[error("batch {sequence} of {}: a day has batches 1 to 999", .day)]
    Sequence {
        /// Its sequence.
        sequence: u16,
        /// Its day.
        day: ykt_base::Date,
    },
    /// The journal does not take it.
    #[error("the records of the terminal")]
    Store(#[from] StoreError),
    /// A record does not fit the layout.
    #[error("a record does not fit the batch file")]
    File(#[from] FileError),
    /// The terminal charges deposits.
    #[error("a purchase file carries purchases from the purse only, and this terminal charges the deposit")]
    Deposit,
    /// The amounts do not fit a sum.
    #[error("the amounts of the batch do not fit a sum")]
    Sum,
}

/// Closes a batch of a terminal that is not at work: see [`crate::pos::Pos::close_batch`].
///
/// # Errors
/// [`BatchError`] when the journal does not take it or a record does not fit the file.
pub fn close(
    config: &PosConfig,
    book: &mut RecordBook<impl RecordStore>,
    id: BatchId,
    at: DateTime,
) -> Result<Batch, BatchError> {
    of_the_purse(config)?;
    let window_s = i64::from(config.recovery_s_max);
    let grey_before = at.plus_seconds(window_s.saturating_neg()).unwrap_or(at);
    write(config, id, book.close_batch(id, grey_before)?)
}

/// Purchase files carry types 06 and 09 only (`clearing.md` 2.1).
fn of_the_purse(config: &PosConfig) -> Result<(), BatchError> {
    if config.purse == Purse::Ep { Ok(()) } else { Err(BatchError::Deposit) }
}

/// The file of `records`: same records, same bytes.
pub(crate) fn write(config: &PosConfig, id: BatchId, records: &[Record]) -> Result<Batch, BatchError> {
    of_the_purse(config)?;
    let layout = NameLayout::default();
    let name =
        FileName::new(FileKind::Xf, id.day, config.industry, config.merchant, u32::from(id.sequence), layout);
    let name = name
        .filter(|_| id.sequence > 0)
        .ok_or(BatchError::Sequence { sequence: id.sequence, day: id.day })?;
    let lines: Vec<XfRecord> = records.iter().filter_map(|record| line(config, record)).collect();
    let amount = Fen::checked_sum(lines.iter().map(|line| line.amount)).ok_or(BatchError::Sum)?;
    let grey = lines.iter().filter(|line| line.confirmation == Confirmation::Grey).count();
    let bytes = ykt_files::write(config.industry, &lines, layout)?;
    Ok(Batch { name, bytes, records: lines.len(), grey, amount })
}

/// The line of a record, or `None` for a debit that did not happen.
fn line(config: &PosConfig, record: &Record) -> Option<XfRecord> {
    let Record { debit, ending } = record;
    let (tac, confirmation) = match ending {
        Ending::Paid { tac, .. } => (*tac, Confirmation::Confirmed),
        Ending::Grey { tac } => (tac.unwrap_or(Mac4([0; 4])), Confirmation::Grey),
        Ending::Void => return None,
    };
    Some(XfRecord {
        serial: debit.serial.number(),
        merchant: config.merchant,
        pos: config.pos,
        asn: debit.card.asn,
        card_type: CardType { main: two_digits(debit.card.main_type), sub: two_digits(debit.card.sub_type) },
        card_valid: Some(debit.card.expiry),
        start: Some(debit.card.start),
        expiry: Some(debit.card.expiry),
        counter: debit.counter,
        sequence: debit.sequence,
        balance_before: debit.balance_before,
        amount: debit.amount,
        at: debit.at,
        purchase: PurchaseType::Wallet,
        terminal: debit.terminal,
        tac,
        confirmation,
        ticket: Ticket::None,
        ticket_debit: TicketDebit::None,
        reserved: XfRecord::RESERVED,
    })
}

/// The type byte as the card has it: its two hex digits, which issuers keep decimal.
fn two_digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0x0F)]]
}
