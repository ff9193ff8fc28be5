//! Codecs of the files that partners and banks exchange with a clearing centre: bytes in, typed records out,
//! and back. Business rules live elsewhere; here a field is only legal or not.
//!
//! * Family A (`clearing.md` 2.1), fixed length, ASCII, CR LF: [`XfRecord`] purchases, [`SsRecord`] refusals and
//!   adjustments, [`QsRecord`] totals, [`NsRecord`] cleared files. One envelope, [`FixedFile`], reads all four.
//! * [`BlackList`]: the card numbers terminals must refuse.
//! * [`TransferFile`] and [`ReturnFile`] (`clearing.md` 6.2 C): what a bank is told to pay, and what became of it.
//!
//! A file is parsed completely or refused with [`FileError`]: line, field, expected, found. The way of a
//! million purchase records a day allocates nothing per record.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

mod answers;
mod blacklist;
mod envelope;
mod error;
mod field;
mod name;
mod transfer;
mod xf;
mod xml;

pub use answers::{NsRecord, QsRecord, RefuseCause, SsRecord, Sum};
pub use blacklist::{BlackEntry, BlackList};
pub use envelope::{FILE_LEN_MAX, FixedFile, FixedRecord, HEADER_LEN, LINE_END, write};
pub use error::FileError;
pub use name::{FileKind, FileName, Industry, IndustryError, NameError, NameLayout, black_list_name};
pub use transfer::{
    CURRENCY, PayChannel, PayeeKind, Payment, PaymentOutcome, PaymentResult, ReturnFile, TransferFile,
    XmlError,
};
pub use xf::{CardType, Confirmation, PurchaseType, RawXf, Ticket, TicketDebit, XfRecord};
