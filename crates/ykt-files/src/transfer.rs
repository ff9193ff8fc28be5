//! The bank transfer file of shape C (`clearing.md` 6.2): XML in UTF-8, amounts in yuan with two decimals; and the
//! bank's return file, which says of each record whether it was paid.
//!
//! The return file's shape is ours: `batchPayReturn/resultList/record(recordNo, result, bankSerial, reason)` with
//! result 0 for paid and 1 for failed, after the fields the banks are known to send.

pub use crate::xml::XmlError;
use crate::xml::{self, Element};
use std::collections::BTreeSet;
use ykt_base::Fen;

/// Currency code of every transfer: ISO 4217 for yuan.
pub const CURRENCY: &str = "CNY";

/// Whether the payee is a company or a person (`payeeCifType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PayeeKind {
    /// 1, company (对公).
    Company,
    /// 2, private person (对私).
    Private,
}

impl PayeeKind {
    /// The code in the file.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            PayeeKind::Company => 1,
            PayeeKind::Private => 2,
        }
    }

    /// From that code.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<PayeeKind> {
        match code {
            1 => Some(PayeeKind::Company),
            2 => Some(PayeeKind::Private),
            _ => None,
        }
    }
}

/// Way of the money (`channel`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PayChannel {
    /// 0, within the same bank (行内).
    SameBank,
    /// 1, between banks (跨行).
    InterBank,
    /// 3, local clearing (同城).
    Local,
}

impl PayChannel {
    /// The code in the file.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            PayChannel::SameBank => 0,
            PayChannel::InterBank => 1,
            PayChannel::Local => 3,
        }
    }

    /// From that code.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<PayChannel> {
        match code {
            0 => Some(PayChannel::SameBank),
            1 => Some(PayChannel::InterBank),
            3 => Some(PayChannel::Local),
            _ => None,
        }
    }
}

/// One payment to one payee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Number of the record in its file, from 1; the return file names it.
    pub record_no: u32,
    /// Account of the payee.
    pub account: String,
    /// Name of that account.
    pub account_name: String,
    /// Bank of the payee.
    pub bank_name: String,
    /// Number of that bank (联行号), or empty.
    pub bank_id: String,
    /// Company or person.
    pub payee: PayeeKind,
    /// Amount, more than zero.
    pub amount: Fen,
    /// Way of the money.
    pub channel: PayChannel,
    /// What the payee's statement shows.
    pub remark: String,
}

/// A transfer file: what one payer account pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferFile {
    /// Account of the payer.
    pub payer_account: String,
    /// The payments.
    pub payments: Vec<Payment>,
}

impl TransferFile {
    /// Sum of the payments, or `None` when it does not fit.
    #[must_use]
    pub fn total(&self) -> Option<Fen> {
        Fen::checked_sum(self.payments.iter().map(|payment| payment.amount))
    }

    /// The file.
    ///
    /// # Errors
    /// [`XmlError`] for an amount that is not positive, a sum that overflows, a record number used twice, or a
    /// control character.
    pub fn to_xml(&self) -> Result<String, XmlError> {
        self.check(1)?;
        let total = self.total().unwrap_or_default();
        let mut out = xml::Writer::new();
        out.element("batchPayFile", |out| {
            out.element("summary", |out| {
                out.text("payerAcNo", &self.payer_account)?;
                out.text("currency", CURRENCY)?;
                out.text("sumAmount", &yuan(total))?;
                out.text("sumRecords", &self.payments.len().to_string())
            })?;
            out.element("payList", |out| {
                self.payments.iter().try_for_each(|payment| out.element("record", |out| payment.write(out)))
            })
        })?;
        Ok(out.finish())
    }

    /// Reads a file and checks its summary against its records.
    ///
    /// # Errors
    /// [`XmlError`] naming line and element.
    pub fn parse(bytes: &[u8]) -> Result<TransferFile, XmlError> {
        let root = xml::parse(bytes, "batchPayFile")?;
        root.only(&["summary", "payList"])?;
        let summary = root.child("summary")?;
        summary.only(&["payerAcNo", "currency", "sumAmount", "sumRecords"])?;
        summary.value_of("currency", CURRENCY, |text| (text == CURRENCY).then_some(()))?;
        let list = root.child("payList")?;
        list.only(&["record"])?;
        let payments: Vec<_> = list.children.iter().map(Payment::read).collect::<Result<_, _>>()?;
        let file = TransferFile { payer_account: summary.text_of("payerAcNo")?, payments };
        file.check(list.line)?;
        let count = file.payments.len().to_string();
        summary.value_of("sumRecords", &count, |text| (text == count).then_some(()))?;
        let total = file.total().unwrap_or_default();
        summary.value_of("sumAmount", &yuan(total), |text| (from_yuan(text) == Some(total)).then_some(()))?;
        Ok(file)
    }

    fn check(&self, line: u32) -> Result<(), XmlError> {
        let error = |element: &str, expected: &str, found: String| XmlError {
            line,
            element: element.to_owned(),
            expected: expected.to_owned(),
            found,
        };
        let mut numbers = BTreeSet::new();
        for payment in &self.payments {
            if payment.amount <= Fen::ZERO {
                return Err(error("amount", "more than zero", yuan(payment.amount)));
            }
            if !numbers.insert(payment.record_no) {
                return Err(error("recordNo", "each number once", payment.record_no.to_string()));
            }
        }
        self.total()
            .map(|_| ())
            .ok_or_else(|| error("sumAmount", "a sum that fits", "an overflow".to_owned()))
    }
}

const RECORD: [&str; 9] = [
    "recordNo",
    "payeeAcNo",
    "payeeAcName",
    "payeeBankName",
    "payeeBankId",
    "payeeCifType",
    "amount",
    "channel",
    "remark",
];

impl Payment {
    fn write(&self, out: &mut xml::Writer) -> Result<(), XmlError> {
        out.text("recordNo", &self.record_no.to_string())?;
        out.text("payeeAcNo", &self.account)?;
        out.text("payeeAcName", &self.account_name)?;
        out.text("payeeBankName", &self.bank_name)?;
        out.text("payeeBankId", &self.bank_id)?;
        out.text("payeeCifType", &self.payee.code().to_string())?;
        out.text("amount", &yuan(self.amount))?;
        out.text("channel", &self.channel.code().to_string())?;
        out.text("remark", &self.remark)
    }

    fn read(record: &Element) -> Result<Payment, XmlError> {
        record.only(&RECORD)?;
        Ok(Payment {
            record_no: record.value_of("recordNo", "a number", |text| text.parse().ok())?,
            account: record.text_of("payeeAcNo")?,
            account_name: record.text_of("payeeAcName")?,
            bank_name: record.text_of("payeeBankName")?,
            bank_id: record.text_of("payeeBankId")?,
            payee: record.value_of("payeeCifType", "1 or 2", |text| PayeeKind::from_code(digit(text)?))?,
            amount: record.value_of("amount", "yuan with two decimals, more than zero", from_yuan)?,
            channel: record.value_of("channel", "0, 1 or 3", |text| PayChannel::from_code(digit(text)?))?,
            remark: record.text_of("remark")?,
        })
    }
}

/// What became of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// The bank paid under this serial number of its own.
    Paid {
        /// Serial number of the bank (银行流水号).
        bank_serial: String,
    },
    /// The bank did not pay; the money is where it was.
    Failed {
        /// Reason as the bank words it.
        reason: String,
    },
}

/// What became of one record of a transfer file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentResult {
    /// Number of the record in the transfer file.
    pub record_no: u32,
    /// Paid or failed.
    pub outcome: PaymentOutcome,
}

/// The bank's answer to one transfer file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReturnFile {
    /// One result for each record the bank has decided.
    pub results: Vec<PaymentResult>,
}

impl ReturnFile {
    /// The file.
    ///
    /// # Errors
    /// [`XmlError`] for a record number used twice or a control character.
    pub fn to_xml(&self) -> Result<String, XmlError> {
        self.check(1)?;
        let mut out = xml::Writer::new();
        out.element("batchPayReturn", |out| {
            out.element("resultList", |out| {
                self.results.iter().try_for_each(|result| {
                    let (code, serial, reason) = match &result.outcome {
                        PaymentOutcome::Paid { bank_serial } => ("0", bank_serial.as_str(), ""),
                        PaymentOutcome::Failed { reason } => ("1", "", reason.as_str()),
                    };
                    out.element("record", |out| {
                        out.text("recordNo", &result.record_no.to_string())?;
                        out.text("result", code)?;
                        out.text("bankSerial", serial)?;
                        out.text("reason", reason)
                    })
                })
            })
        })?;
        Ok(out.finish())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`XmlError`] naming line and element.
    pub fn parse(bytes: &[u8]) -> Result<ReturnFile, XmlError> {
        let root = xml::parse(bytes, "batchPayReturn")?;
        root.only(&["resultList"])?;
        let list = root.child("resultList")?;
        list.only(&["record"])?;
        let read = |record: &Element| {
            record.only(&["recordNo", "result", "bankSerial", "reason"])?;
            let bank_serial = record.text_of("bankSerial")?;
            let reason = record.text_of("reason")?;
            Ok(PaymentResult {
                record_no: record.value_of("recordNo", "a number", |text| text.parse().ok())?,
                outcome: record.value_of("result", "0 or 1", |text| match text {
                    "0" => Some(PaymentOutcome::Paid { bank_serial }),
                    "1" => Some(PaymentOutcome::Failed { reason }),
                    _ => None,
                })?,
            })
        };
        let file = ReturnFile { results: list.children.iter().map(read).collect::<Result<_, _>>()? };
        file.check(list.line)?;
        Ok(file)
    }

    fn check(&self, line: u32) -> Result<(), XmlError> {
        let mut numbers = BTreeSet::new();
        match self.results.iter().find(|result| !numbers.insert(result.record_no)) {
            Some(result) => Err(XmlError {
                line,
                element: "recordNo".to_owned(),
                expected: "each number once".to_owned(),
                found: result.record_no.to_string(),
            }),
            None => Ok(()),
        }
    }
}

/// A code of one digit.
fn digit(text: &str) -> Option<u8> {
    text.parse().ok().filter(|_| text.len() == 1)
}

/// An amount as banks write it: yuan, a point, two decimals, no groups.
fn yuan(amount: Fen) -> String {
    amount.to_string().replace(',', "")
}

/// An amount as banks write it; signs, groups and other numbers of decimals are refused.
fn from_yuan(text: &str) -> Option<Fen> {
    let (whole, cents) = text.split_once('.')?;
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(cents) || cents.len() != 2 {
        return None;
    }
    let fen = whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(cents.parse().ok()?)?;
    Some(Fen::new(fen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn payment(record_no: u32, fen: i64) -> Payment {
        Payment {
            record_no,
            account: "6222020100000000001".into(),
            account_name: "城市公交 <一> & Co".into(),
            bank_name: "工商银行".into(),
            bank_id: "102100099996".into(),
            payee: PayeeKind::Company,
            amount: Fen::new(fen),
            channel: PayChannel::InterBank,
            remark: "20261122 清算".into(),
        }
    }

    #[test]
    fn shape_of_the_file() {
        let file =
            TransferFile { payer_account: "1001".into(), payments: vec![payment(1, 195_920), payment(2, 5)] };
        let text = file.to_xml().unwrap();
        assert!(text.contains("<sumAmount>1959.25</sumAmount>\n    <sumRecords>2</sumRecords>"), "{text}");
        assert!(text.contains("<payeeAcName>城市公交 &lt;一&gt; &amp; Co</payeeAcName>"));
        assert_eq!(TransferFile::parse(text.as_bytes()).unwrap(), file);
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        let file = TransferFile { payer_account: "1001".into(), payments: vec![payment(1, 100)] };
        let text = file.to_xml().unwrap();
        for (from, to, element) in [
            ("<sumAmount>1.00<", "<sumAmount>1.01<", "sumAmount"),
            ("<sumRecords>1<", "<sumRecords>2<", "sumRecords"),
            ("<amount>1.00<", "<amount>1<", "amount"),
            ("<amount>1.00<", "<amount>0.00<", "amount"),
            ("<amount>1.00<", "<amount>-1.00<", "amount"),
            ("<currency>CNY<", "<currency>USD<", "currency"),
            ("<channel>1<", "<channel>2<", "channel"),
            ("<remark>", "<remark/><remark>", "remark"),
            ("<recordNo>1</recordNo>", "", "record"),
            ("<payList>", "<payList><other/>", "other"),
            ("</batchPayFile>", "", "file"),
            ("<?xml", "<!DOCTYPE x [<!ENTITY a \"b\">]><?xml", "file"),
            ("&amp;", "&bomb;", "file"),
        ] {
            let broken = text.replacen(from, to, 1);
            assert_ne!(broken, text, "{from}");
            assert_eq!(
                TransferFile::parse(broken.as_bytes()).unwrap_err().element,
                element,
                "{from} -> {to}"
            );
        }
        assert_eq!(TransferFile::parse(b"\xFF").unwrap_err().expected, "UTF-8 text");
        let error = TransferFile::parse(text.replace("<amount>1.00", "<amount>x").as_bytes()).unwrap_err();
        assert_eq!((error.line, error.found.as_str()), (17, "\"x\""));
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let file = |payments| TransferFile { payer_account: "1001".into(), payments };
        assert_eq!(file(vec![payment(1, 0)]).to_xml().unwrap_err().element, "amount");
        assert_eq!(file(vec![payment(1, 1), payment(1, 1)]).to_xml().unwrap_err().element, "recordNo");
        assert_eq!(
            file(vec![payment(1, i64::MAX), payment(2, 1)]).to_xml().unwrap_err().element,
            "sumAmount"
        );
        let bell = Payment { remark: "\u{7}".into(), ..payment(1, 1) };
        assert_eq!(file(vec![bell]).to_xml().unwrap_err().element, "remark");
    }

    #[test]
    fn return_file_comes_back() {
        let file = ReturnFile {
            results: vec![
                PaymentResult { record_no: 1, outcome: PaymentOutcome::Paid { bank_serial: "B001".into() } },
                PaymentResult {
                    record_no: 2, outcome: PaymentOutcome::Failed { reason: "户名不符".into() }
                },
            ],
        };
        let text = file.to_xml().unwrap();
        assert_eq!(ReturnFile::parse(text.as_bytes()).unwrap(), file);
        let twice = text.replace("<recordNo>2", "<recordNo>1");
        assert_eq!(ReturnFile::parse(twice.as_bytes()).unwrap_err().element, "recordNo");
        let odd = text.replace("<result>1", "<result>9");
        assert_eq!(ReturnFile::parse(odd.as_bytes()).unwrap_err().element, "result");
    }

    proptest! {
        #[test]
        fn amounts_come_back(fen in 0i64..=i64::MAX) {
            prop_assert_eq!(from_yuan(&yuan(Fen::new(fen))), Some(Fen::new(fen)));
        }

        #[test]
        fn transfer_files_come_back(rows in proptest::collection::vec(("\\PC{0,20}", 1i64..1_000_000_000), 0..8)) {
            let payments = (1u32..)
                .zip(rows)
                .map(|(no, (text, fen))| Payment { remark: text.clone(), account_name: text, ..payment(no, fen) })
                .collect();
            let file = TransferFile { payer_account: "1001".into(), payments };
            let text = file.to_xml().unwrap();
            prop_assert_eq!(TransferFile::parse(text.as_bytes()).unwrap(), file);
        }

        #[test]
        fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = TransferFile::parse(&bytes);
            let _ = ReturnFile::parse(&bytes);
        }
    }
}
