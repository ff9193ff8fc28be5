//! UPDATE CAPP DATA CACHE (更新复合应用数据缓存, `epurse.md` 0, 4.10): what a composite purchase writes beside the
//! money. It is sent between INITIALIZE and DEBIT, as often as there are records; DEBIT commits them all.

use ykt_base::{Command, StatusWord};
use ykt_crypto::sm::CommandBytes;

/// Which record the data replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CappRecord {
    /// P2 xxxxx100: the record of this number, 1 to 255.
    Number(u8),
    /// P2 xxxxx000, P1 other than 00: the record whose first two bytes are those of the data. P1 says the same in
    /// one byte of the terminal's own, which the card does not look at.
    Identifier(u8),
    /// P2 xxxxx011, or xxxxx000 with P1 00: none; a cyclic file gets a new record 1. In other files the record is
    /// found by its identifier.
    Append,
}

/// `80 DC P1 P2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateCappData<'a> {
    /// Short id of the file, 1 to 30.
    pub sfi: u8,
    /// Which record.
    pub record: CappRecord,
    /// All of the record.
    pub data: &'a [u8],
}

impl<'a> UpdateCappData<'a> {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 DC.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 without data.
    pub fn parse(command: &Command<'a>) -> Result<UpdateCappData<'a>, StatusWord> {
        let record = match (command.p2 & 0x07, command.p1) {
            (0b100, 1..) => CappRecord::Number(command.p1),
            (0b000, 1..) => CappRecord::Identifier(command.p1),
            (0b000 | 0b011, 0) => CappRecord::Append,
            _ => return Err(StatusWord::WRONG_P1P2),
        };
        let sfi = command.p2 >> 3;
        if !(1..=30).contains(&sfi) {
            return Err(StatusWord::WRONG_P1P2);
        }
        if command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH);
        }
        Ok(UpdateCappData { sfi, record, data: command.data })
    }

    /// The command as bytes; data longer than 255 bytes are a fault of the caller and give no bytes.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        let (p1, form) = match self.record {
            CappRecord::Number(number) => (number, 0b100),
            CappRecord::Identifier(p1) => (p1, 0b000),
            CappRecord::Append => (0x00, 0b000),
        };
        let lc = u8::try_from(self.data.len()).unwrap_or(u8::MAX);
        let apdu = CommandBytes::from_parts(&[&[0x80, 0xDC, p1, self.sfi << 3 | form, lc], self.data]);
        debug_assert!(apdu.is_some(), "at most 255 bytes of data");
        apdu.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// Vector `capp purchase/EP type 09`, and the forms T-Union terminals send.
    #[test]
    fn bytes_of_the_wire() {
        let mut record = [0; 60];
        record[..5].copy_from_slice(&hex!("27027D0101"));
        for (record, head, data) in [
            (CappRecord::Append, hex!("80DC00D03C"), &record[..]),
            (CappRecord::Identifier(1), hex!("80DC01D002"), &hex!("2702")),
            (CappRecord::Append, hex!("80DC00F002"), &hex!("0601")),
            (CappRecord::Number(2), hex!("80DC02BC01"), &hex!("07")),
        ] {
            let update = UpdateCappData { sfi: head[3] >> 3, record, data };
            let apdu = update.to_apdu();
            assert_eq!(apdu.as_bytes(), [&head, data].concat());
            assert_eq!(UpdateCappData::parse(&Command::parse(&apdu).unwrap()), Ok(update));
        }
    }

    /// All 65536 pairs of P1 and P2.
    #[test]
    fn every_p1_p2_means_a_record_or_is_refused() {
        let mut meant = 0;
        for [p1, p2] in (0..=u16::MAX).map(u16::to_be_bytes) {
            match UpdateCappData::parse(&Command::write(0x80, 0xDC, p1, p2, &[1], None)) {
                Ok(update) => {
                    meant += 1;
                    let [_, _, q1, q2, ..] = *update.to_apdu().as_bytes() else { unreachable!() };
                    assert!((q1, q2) == (p1, p2) || (q1, q2 | 0b011) == (p1, p2));
                }
                Err(sw) => assert_eq!(sw, StatusWord::WRONG_P1P2),
            }
        }
        assert_eq!(meant, 30 * (255 + 255 + 2));
        let none = Command::read(0x80, 0xDC, 1, 0xBC, None);
        assert_eq!(UpdateCappData::parse(&none), Err(StatusWord::WRONG_LENGTH));
    }
}
