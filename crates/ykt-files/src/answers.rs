//! What the centre answers a merchant: SS refusals and adjustments, QS totals, NS cleared files (`clearing.md` 2.1).

use crate::envelope::FixedRecord;
use crate::error::FileError;
use crate::field::{Fields, Line};
use crate::name::{FileKind, FileName, NameLayout};
use crate::xf::{RawXf, XfRecord};
use ykt_base::{Date, Fen, MerchantCode};

macro_rules! refuse_causes {
    ($($(#[$doc:meta])+ $name:ident = $code:literal;)+) => {
        /// Why a record stands in an SS file (拒付原因).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RefuseCause {
            $($(#[$doc])+ $name,)+
        }

        impl RefuseCause {
            const CODES: &[([u8; 2], RefuseCause)] = &[$((*$code, RefuseCause::$name),)+];

            /// The two digits.
            #[must_use]
            pub const fn code(self) -> [u8; 2] {
                match self {
                    $(RefuseCause::$name => *$code,)+
                }
            }
        }
    };
}

refuse_causes! {
    /// 00, adjustment (调整): earlier refused, now accepted.
    Adjustment = b"00";
    /// 01, TAC error.
    Tac = b"01";
    /// 02, illegal data.
    Illegal = b"02";
    /// 03, duplicate.
    Duplicate = b"03";
    /// 04, grey: the debit is not confirmed.
    Grey = b"04";
    /// 05, overdue.
    Overdue = b"05";
    /// 06, test data.
    Test = b"06";
    /// 09, adjustment refused.
    AdjustmentRefused = b"09";
    /// 10, normal, for use inside a centre.
    Normal = b"10";
    /// 90, any other cause.
    Other = b"90";
    /// 92, illegal data, refused again on adjustment.
    IllegalAgain = b"92";
    /// 93, duplicate, refused again on adjustment.
    DuplicateAgain = b"93";
    /// 94, grey, refused again on adjustment.
    GreyAgain = b"94";
}

/// A refused or adjusted record: which file it came in, why, and the record as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SsRecord {
    /// File the record came in.
    pub source: FileName,
    /// Clearing day of the answer (清算日期).
    pub day: Date,
    /// Why it stands here.
    pub cause: RefuseCause,
    /// The record as it came: its local serial and fields 2 to 21.
    pub record: RawXf,
}

/// Characters of the local serial at the start of a purchase line.
const SERIAL_LEN: usize = 8;
/// Characters of an SS line beside the source file's name.
const SS_REST_LEN: usize = XfRecord::LINE_LEN + 10;

impl FixedRecord for SsRecord {
    const KIND: FileKind = FileKind::Ss;

    /// 198 with names of 30 characters.
    fn line_len(layout: NameLayout) -> usize {
        layout.name_len().saturating_add(SS_REST_LEN)
    }

    fn parse(line: u32, bytes: &[u8], layout: NameLayout) -> Result<SsRecord, FileError> {
        let mut fields = Fields::new(line, bytes);
        let source = file_name(&mut fields, line, layout)?;
        let serial: [u8; SERIAL_LEN] = fields.array("local serial")?;
        let day = fields.date("settle date")?;
        let cause = fields.code("refuse cause", RefuseCause::CODES)?;
        let body: [u8; XfRecord::LINE_LEN - SERIAL_LEN] = fields.array("fields 2 to 21")?;
        let mut record = [0; XfRecord::LINE_LEN];
        record[..SERIAL_LEN].copy_from_slice(&serial);
        record[SERIAL_LEN..].copy_from_slice(&body);
        Ok(SsRecord { source, day, cause, record: RawXf(record) })
    }

    fn encode(&self, line: u32, out: &mut Vec<u8>) -> Result<(), FileError> {
        let (serial, body) = self.record.0.split_at(SERIAL_LEN);
        Line::new(line, out)
            .text(self.source)
            .bytes(serial)
            .date(Some(self.day))
            .bytes(&self.cause.code())
            .bytes(body);
        Ok(())
    }
}

/// A number of records and the sum of their amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// Records.
    pub count: u32,
    /// Their amounts.
    pub amount: Fen,
}

impl Sum {
    /// This sum with one more record, or `None` when it does not fit.
    #[must_use]
    pub fn plus(self, amount: Fen) -> Option<Sum> {
        Some(Sum { count: self.count.checked_add(1)?, amount: self.amount.checked_add(amount)? })
    }

    /// Both sums together, or `None` when they do not fit.
    #[must_use]
    pub fn and(self, other: Sum) -> Option<Sum> {
        Some(Sum {
            count: self.count.checked_add(other.count)?,
            amount: self.amount.checked_add(other.amount)?,
        })
    }
}

/// Totals of one merchant and clearing day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QsRecord {
    /// Merchant.
    pub merchant: MerchantCode,
    /// Clearing day.
    pub day: Date,
    /// Confirmed that day.
    pub confirmed: Sum,
    /// Everything that came and was not confirmed that day, parked records included.
    pub refused: Sum,
    /// Of earlier days, now accepted.
    pub adjusted: Sum,
    /// Of earlier days, now refused for good.
    pub adjustment_refused: Sum,
}

impl FixedRecord for QsRecord {
    const KIND: FileKind = FileKind::Qs;

    fn line_len(_: NameLayout) -> usize {
        103
    }

    fn parse(line: u32, bytes: &[u8], _: NameLayout) -> Result<QsRecord, FileError> {
        let mut fields = Fields::new(line, bytes);
        let merchant = fields.text(15, "merchant code", "15 letters or digits")?;
        let day = fields.date("settle date")?;
        let mut sum = |count, amount| -> Result<Sum, FileError> {
            Ok(Sum { count: fields.narrow(8, count, "8 digits")?, amount: fields.fen(10, amount)? })
        };
        let confirmed = sum("confirmed count", "confirmed amount")?;
        let refused = sum("refused count", "refused amount")?;
        let adjusted = sum("adjusted count", "adjusted amount")?;
        let adjustment_refused = sum("adjustment-refused count", "adjustment-refused amount")?;
        fields.bytes(8, "reserved")?;
        Ok(QsRecord { merchant, day, confirmed, refused, adjusted, adjustment_refused })
    }

    fn encode(&self, line: u32, out: &mut Vec<u8>) -> Result<(), FileError> {
        let mut out = Line::new(line, out);
        out.text(self.merchant).date(Some(self.day));
        for (sum, count, amount) in [
            (self.confirmed, "confirmed count", "confirmed amount"),
            (self.refused, "refused count", "refused amount"),
            (self.adjusted, "adjusted count", "adjusted amount"),
            (self.adjustment_refused, "adjustment-refused count", "adjustment-refused amount"),
        ] {
            out.number(sum.count, 8, count)?.fen(sum.amount, 10, amount)?;
        }
        out.bytes(&[b'F'; 8]);
        Ok(())
    }
}

/// A file that was cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NsRecord {
    /// The file.
    pub file: FileName,
    /// Clearing day.
    pub day: Date,
}

impl FixedRecord for NsRecord {
    const KIND: FileKind = FileKind::Ns;

    /// 46 with names of 30 characters.
    fn line_len(layout: NameLayout) -> usize {
        layout.name_len().saturating_add(16)
    }

    fn parse(line: u32, bytes: &[u8], layout: NameLayout) -> Result<NsRecord, FileError> {
        let mut fields = Fields::new(line, bytes);
        let file = file_name(&mut fields, line, layout)?;
        let day = fields.date("date")?;
        fields.bytes(8, "reserved")?;
        Ok(NsRecord { file, day })
    }

    fn encode(&self, line: u32, out: &mut Vec<u8>) -> Result<(), FileError> {
        Line::new(line, out).text(self.file).date(Some(self.day)).bytes(&[b'F'; 8]);
        Ok(())
    }
}

fn file_name(fields: &mut Fields<'_>, line: u32, layout: NameLayout) -> Result<FileName, FileError> {
    let bytes = fields.bytes(layout.name_len(), "source file name")?;
    core::str::from_utf8(bytes)
        .ok()
        .and_then(|name| FileName::parse(name, layout).ok())
        .ok_or_else(|| FileError::at(line, "source file name", "the name of a family A file", bytes))
}
