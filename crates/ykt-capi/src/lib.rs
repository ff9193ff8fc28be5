//! The issuing interface (发卡接口, `systems.md` C15) as issuing programs call it: one function for each step, over PC/SC
//! or on a card in this process.
//!
//! [`Reader`] is the interface in Rust. The C functions (`include/ykt_issuing.h`, library `ykt_issuing`) are the same
//! steps behind a number for each open reader. A function sends exactly one command and gives three things back: a
//! code that says whether there was an answer ([`Code`]), the card's status word, and the answer's data. No keys
//! are kept here: cryptograms come from the key centre and go to the card as they are.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::undocumented_unsafe_blocks)]
#![cfg_attr(test, allow(clippy::as_conversions, clippy::arithmetic_side_effects))]

mod c;
mod handles;
mod reader;

pub use c::*;
pub use reader::{Answer, Class, OpenError, Reader};

/// What a function of the C interface returns.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The card answered 9000, or 61xx: more is to be fetched with GetResponse.
    Ok = 0,
    /// The card answered another status word.
    Refused = 1,
    /// No reader is open under this number.
    NotOpen = 2,
    /// An argument cannot be: a null pointer with a length, a length no command has, text that is not UTF-8.
    Argument = 3,
    /// The answer is longer than the buffer; its length was written. The command was carried out.
    Buffer = 4,
    /// There is no such reader, or no such card image.
    NoReader = 5,
    /// No card is in the reader, or it left before its answer came.
    NoCard = 6,
    /// The reader, or the way to it, failed.
    Transport = 7,
    /// A fault of this library; the reader should be closed.
    Internal = 8,
}
