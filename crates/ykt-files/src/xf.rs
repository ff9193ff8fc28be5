//! XF, the purchase file (消费文件): one line of 158 characters for each debit of a card (`clearing.md` 2.1).
//!
//! The demo city's use of the fields: 4 is `0000` and the 16 digits of the card number, 10 the offline counter
//! that INITIALIZE returned, 11 the terminal sequence, 16 the terminal id of the PSAM in hex.

use crate::envelope::FixedRecord;
use crate::error::FileError;
use crate::field::{Fields, Line};
use crate::name::{FileKind, NameLayout};
use core::fmt;
use ykt_base::{Asn8, CardCounter, Date, DateTime, Fen, Mac4, MerchantCode, PosNo, TerminalId, TerminalSeq};

/// Transaction type of a purchase (交易类型), as it enters the TAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PurchaseType {
    /// 06, wallet purchase (电子钱包消费).
    Wallet,
    /// 09, wallet purchase of a compound application (复合应用消费).
    Compound,
}

impl PurchaseType {
    /// The byte of the card's transaction and of the TAC input.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            PurchaseType::Wallet => 0x06,
            PurchaseType::Compound => 0x09,
        }
    }

    /// From that byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<PurchaseType> {
        match byte {
            0x06 => Some(PurchaseType::Wallet),
            0x09 => Some(PurchaseType::Compound),
            _ => None,
        }
    }

    const fn code(self) -> [u8; 2] {
        match self {
            PurchaseType::Wallet => *b"06",
            PurchaseType::Compound => *b"09",
        }
    }
}

/// Whether the terminal saw the debit confirmed (灰记录标志).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confirmation {
    /// 00, the card answered and its MAC2 was right.
    Confirmed,
    /// 01, grey: no answer to DEBIT, or a wrong MAC2.
    Grey,
}

impl Confirmation {
    const fn code(self) -> [u8; 2] {
        match self {
            Confirmation::Confirmed => *b"00",
            Confirmation::Grey => *b"01",
        }
    }
}

/// Kind of ticket the purchase used (月票标志).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ticket {
    /// 00, none: money from the purse.
    None,
    /// 01, month.
    Month,
    /// 02, quarter.
    Quarter,
    /// 03, year.
    Year,
}

impl Ticket {
    const CODES: [([u8; 2], Ticket); 4] =
        [(*b"00", Ticket::None), (*b"01", Ticket::Month), (*b"02", Ticket::Quarter), (*b"03", Ticket::Year)];

    const fn code(self) -> [u8; 2] {
        match self {
            Ticket::None => *b"00",
            Ticket::Month => *b"01",
            Ticket::Quarter => *b"02",
            Ticket::Year => *b"03",
        }
    }
}

/// Which month a ticket was debited for (月票扣费标志).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TicketDebit {
    /// 0, none.
    None,
    /// 1, this month.
    ThisMonth,
    /// 2, what was left over.
    LeftOver,
}

impl TicketDebit {
    const CODES: [([u8; 1], TicketDebit); 3] =
        [(*b"0", TicketDebit::None), (*b"1", TicketDebit::ThisMonth), (*b"2", TicketDebit::LeftOver)];

    const fn code(self) -> [u8; 1] {
        match self {
            TicketDebit::None => *b"0",
            TicketDebit::ThisMonth => *b"1",
            TicketDebit::LeftOver => *b"2",
        }
    }
}

/// Main and sub type of a card, two letters or digits each, as its issuer numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardType {
    /// Main type (卡主类型).
    pub main: [u8; 2],
    /// Sub type (卡子类型).
    pub sub: [u8; 2],
}

/// One purchase, all 21 fields typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XfRecord {
    /// Local serial (本地流水号), unique in the file, up to 8 digits.
    pub serial: u32,
    /// Merchant (商户代码).
    pub merchant: MerchantCode,
    /// POS (POS机号).
    pub pos: PosNo,
    /// Card (卡应用序列号).
    pub asn: Asn8,
    /// Card type.
    pub card_type: CardType,
    /// Card valid to; none when eight zeros stand there.
    pub card_valid: Option<Date>,
    /// Application valid from.
    pub start: Option<Date>,
    /// Application valid to.
    pub expiry: Option<Date>,
    /// Offline counter that INITIALIZE returned (电子钱包交易序号).
    pub counter: CardCounter,
    /// Terminal sequence (终端交易序号).
    pub sequence: TerminalSeq,
    /// Balance before the debit.
    pub balance_before: Fen,
    /// Amount debited.
    pub amount: Fen,
    /// When, by the terminal's clock.
    pub at: DateTime,
    /// Transaction type.
    pub purchase: PurchaseType,
    /// Terminal id of the PSAM.
    pub terminal: TerminalId,
    /// Transaction authentication code of the card.
    pub tac: Mac4,
    /// Whether the debit was confirmed.
    pub confirmation: Confirmation,
    /// Monthly ticket used.
    pub ticket: Ticket,
    /// Month the ticket was debited for.
    pub ticket_debit: TicketDebit,
    /// Reserved characters as they came; six `F` when we write.
    pub reserved: [u8; 6],
}

impl XfRecord {
    /// Characters of a line without its end.
    pub const LINE_LEN: usize = 158;
    /// The reserved field as we write it.
    pub const RESERVED: [u8; 6] = [b'F'; 6];

    /// The line of this record, as it would stand in a file.
    ///
    /// # Errors
    /// [`FileError`] (line 0) when a value is too large for its field.
    pub fn to_raw(&self) -> Result<RawXf, FileError> {
        let mut out = Vec::with_capacity(XfRecord::LINE_LEN);
        self.encode(0, &mut out)?;
        let found = out.len();
        <[u8; XfRecord::LINE_LEN]>::try_from(out)
            .map(RawXf)
            .map_err(|_| FileError::number(0, "record length", XfRecord::LINE_LEN, found))
    }
}

impl FixedRecord for XfRecord {
    const KIND: FileKind = FileKind::Xf;

    fn line_len(_: NameLayout) -> usize {
        XfRecord::LINE_LEN
    }

    fn parse(line: u32, bytes: &[u8], _: NameLayout) -> Result<XfRecord, FileError> {
        let mut fields = Fields::new(line, bytes);
        let serial = fields.narrow(8, "1 local serial", "8 digits")?;
        let merchant = fields.text(15, "2 merchant code", "15 letters or digits")?;
        let pos = fields.text(8, "3 POS no.", "8 letters or digits")?;
        fields.code("4 card serial, first four characters", &[(*b"0000", ())])?;
        let asn = Asn8(fields.hex("4 card serial")?);
        let card_type =
            CardType { main: fields.array("5 card main type")?, sub: fields.array("6 card sub type")? };
        let card_valid = fields.optional_date("7 card valid date")?;
        let start = fields.optional_date("8 application start date")?;
        let expiry = fields.optional_date("9 application valid date")?;
        let counter = CardCounter(fields.narrow(6, "10 wallet counter", "6 digits up to 065535")?);
        let sequence =
            TerminalSeq(fields.narrow(10, "11 terminal sequence", "10 digits up to 4294967295")?);
        let balance_before = fields.fen(8, "12 balance before")?;
        let amount = fields.fen(8, "13 amount")?;
        let at = fields.date_time("14 date time")?;
        let purchase = fields.code(
            "15 transaction type",
            &[(*b"06", PurchaseType::Wallet), (*b"09", PurchaseType::Compound)],
        )?;
        let terminal = TerminalId(fields.hex("16 PSAM no.")?);
        let tac = Mac4(fields.hex("17 TAC")?);
        let confirmation = fields
            .code("18 grey flag", &[(*b"00", Confirmation::Confirmed), (*b"01", Confirmation::Grey)])?;
        let ticket = fields.code("19 monthly-ticket kind", &Ticket::CODES)?;
        let ticket_debit = fields.code("20 monthly-ticket debit", &TicketDebit::CODES)?;
        let reserved = fields.array("21 reserved")?;
        Ok(XfRecord {
            serial,
            merchant,
            pos,
            asn,
            card_type,
            card_valid,
            start,
            expiry,
            counter,
            sequence,
            balance_before,
            amount,
            at,
            purchase,
            terminal,
            tac,
            confirmation,
            ticket,
            ticket_debit,
            reserved,
        })
    }

    fn encode(&self, line: u32, out: &mut Vec<u8>) -> Result<(), FileError> {
        Line::new(line, out)
            .number(self.serial, 8, "1 local serial")?
            .text(self.merchant)
            .text(self.pos)
            .bytes(b"0000")
            .hex(&self.asn.0)
            .bytes(&self.card_type.main)
            .bytes(&self.card_type.sub)
            .date(self.card_valid)
            .date(self.start)
            .date(self.expiry)
            .number(u64::from(self.counter.0), 6, "10 wallet counter")?
            .number(u64::from(self.sequence.0), 10, "11 terminal sequence")?
            .fen(self.balance_before, 8, "12 balance before")?
            .fen(self.amount, 8, "13 amount")?
            .number(self.at.as_number(), 14, "14 date time")?
            .bytes(&self.purchase.code())
            .hex(&self.terminal.0)
            .hex(&self.tac.0)
            .bytes(&self.confirmation.code())
            .bytes(&self.ticket.code())
            .bytes(&self.ticket_debit.code())
            .bytes(&self.reserved);
        Ok(())
    }
}

/// A purchase line as it came, legal or not: what an answer quotes of a record that could not be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RawXf(pub [u8; XfRecord::LINE_LEN]);

impl RawXf {
    /// The typed record.
    ///
    /// # Errors
    /// [`FileError`] naming the field; `line` is only quoted in it.
    pub fn typed(&self, line: u32) -> Result<XfRecord, FileError> {
        XfRecord::parse(line, &self.0, NameLayout::default())
    }

    /// The card, when field 4 is one.
    #[must_use]
    pub fn asn(&self) -> Option<Asn8> {
        let digits = self.0.get(31..51)?.strip_prefix(b"0000")?;
        core::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// The wallet counter, when field 10 is one.
    #[must_use]
    pub fn counter(&self) -> Option<CardCounter> {
        let number = self.0.get(79..85).and_then(crate::field::digits)?;
        u16::try_from(number).ok().map(CardCounter)
    }

    /// The amount, when its eight characters are digits.
    #[must_use]
    pub fn amount(&self) -> Option<Fen> {
        self.0
            .get(103..111)
            .and_then(crate::field::digits)
            .and_then(|fen| i64::try_from(fen).ok())
            .map(Fen::new)
    }
}

impl fmt::Debug for RawXf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawXf(\"{}\")", self.0.escape_ascii())
    }
}

impl FixedRecord for RawXf {
    const KIND: FileKind = FileKind::Xf;

    fn line_len(_: NameLayout) -> usize {
        XfRecord::LINE_LEN
    }

    fn parse(line: u32, bytes: &[u8], _: NameLayout) -> Result<RawXf, FileError> {
        Fields::new(line, bytes).array("record").map(RawXf)
    }

    fn encode(&self, _: u32, out: &mut Vec<u8>) -> Result<(), FileError> {
        out.extend_from_slice(&self.0);
        Ok(())
    }
}
