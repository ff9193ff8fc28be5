//! Grey lock on the PSAM's side (`epurse.md` 4.11, 7.6): it signs the lock, checks the card's answer, and later vouches
//! for the amount under the same session key.

use crate::grey::{GreyLock, lock_type};
use crate::psam::{CardFactors, Opening, mac2_of};
use crate::types::{Purse, PurseFen, TransactionType};
use crate::wire::{join, whole};
use ykt_base::{
    Asn8, CardCounter, Command, DateTime, KeyVersion, Mac4, Random4, StatusWord, TerminalId, TerminalSeq,
};
use ykt_crypto::sm::CommandBytes;

/// Length of the answer to INIT SAM GREY LOCK.
pub const INIT_ANSWER_LEN: usize = 12;
/// Length of the answer to CALCULATE GMAC: GMAC and four bytes of zeros.
pub const GMAC_ANSWER_LEN: usize = 8;

/// INIT SAM GREY LOCK: `E0 40 00 00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitSamGreyLock {
    /// The card's random number.
    pub random: Random4,
    /// The card's offline counter before the lock.
    pub counter: CardCounter,
    /// The card's balance.
    pub balance: PurseFen,
    /// The purse; in the command its type byte 91 or 92 travels.
    pub purse: Purse,
    /// Date and time of the terminal.
    pub at: DateTime,
    /// Key version of the card's answer.
    pub key_version: KeyVersion,
    /// Algorithm byte of the card's answer.
    pub algorithm: u8,
    /// The card's factors.
    pub factors: CardFactors,
}

impl InitSamGreyLock {
    /// Reads P1, P2 and data of a command whose class and instruction are E0 40.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for a balance, type or date that is none.
    pub fn parse(command: &Command<'_>) -> Result<InitSamGreyLock, StatusWord> {
        let Opening { random, counter, money: balance, transaction, at, key_version, algorithm, factors } =
            Opening::parse(command)?;
        let purse = match transaction {
            TransactionType::EdGreyLock => Purse::Ed,
            TransactionType::EpGreyLock => Purse::Ep,
            _ => return Err(StatusWord::WRONG_DATA),
        };
        Ok(InitSamGreyLock { random, counter, balance, purse, at, key_version, algorithm, factors })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> CommandBytes {
        let InitSamGreyLock { random, counter, balance: money, at, key_version, algorithm, factors, .. } =
            *self;
        let transaction = lock_type(self.purse);
        let opening = Opening { random, counter, money, transaction, at, key_version, algorithm, factors };
        opening.to_apdu([0xE0, 0x40], 0x0C)
    }

    /// The terms a PSAM signs, with its own terminal id.
    #[must_use]
    pub const fn lock(&self, terminal: TerminalId) -> GreyLock {
        GreyLock { purse: self.purse, terminal }
    }
}

/// Answer to INIT SAM GREY LOCK: sequence || random number || MAC1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamLockAnswer {
    /// The terminal sequence of the lock; the one after it belongs to the debit.
    pub sequence: TerminalSeq,
    /// The PSAM's random number.
    pub terminal_random: Random4,
    /// The PSAM's proof to the card.
    pub mac1: Mac4,
}

impl SamLockAnswer {
    /// Reads the twelve bytes, or `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<SamLockAnswer> {
        whole(bytes, |fields| {
            Some(SamLockAnswer {
                sequence: TerminalSeq::from_bytes(fields.take()?),
                terminal_random: Random4(fields.take()?),
                mac1: Mac4(fields.take()?),
            })
        })
    }

    /// The twelve bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; INIT_ANSWER_LEN] {
        join(&[&self.sequence.to_bytes(), self.terminal_random.as_bytes(), self.mac1.as_bytes()])
    }
}

/// CERTIFY SAM GREY LOCK: `E0 42 00 00 04` with the card's MAC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertifySamGreyLock {
    /// The card's MAC2.
    pub mac2: Mac4,
}

impl CertifySamGreyLock {
    /// Reads P1, P2 and data of a command whose class and instruction are E0 42.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length.
    pub fn parse(command: &Command<'_>) -> Result<CertifySamGreyLock, StatusWord> {
        mac2_of(command).map(|mac2| CertifySamGreyLock { mac2 })
    }

    /// The command as bytes.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 9] {
        join(&[&[0xE0, 0x42, 0x00, 0x00, 0x04], self.mac2.as_bytes()])
    }
}

/// CALCULATE GMAC: `E0 44 00 00 0F`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalculateGmac {
    /// The purse; in the command the type byte of its debit travels.
    pub purse: Purse,
    /// The card.
    pub card: Asn8,
    /// Its offline counter before the lock.
    pub counter: CardCounter,
    /// How much is taken.
    pub amount: PurseFen,
}

impl CalculateGmac {
    /// Reads P1, P2 and data of a command whose class and instruction are E0 44.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for a type or amount that is none.
    pub fn parse(command: &Command<'_>) -> Result<CalculateGmac, StatusWord> {
        if (command.p1, command.p2) != (0, 0) {
            return Err(StatusWord::WRONG_P1P2);
        }
        let fields = whole(command.data, |fields| {
            Some((fields.byte()?, fields.take()?, fields.take()?, fields.take()?))
        });
        let (kind, card, counter, amount) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
        let purse = match TransactionType::from_code(kind) {
            Some(TransactionType::EpDebitForUnlock) => Purse::Ep,
            Some(TransactionType::EdDebitForUnlock) => Purse::Ed,
            _ => return Err(StatusWord::WRONG_DATA),
        };
        Ok(CalculateGmac {
            purse,
            card: Asn8(card),
            counter: CardCounter::from_bytes(counter),
            amount: PurseFen::from_bytes(amount).ok_or(StatusWord::WRONG_DATA)?,
        })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 21] {
        join(&[
            &[0xE0, 0x44, 0x00, 0x00, 0x0F, crate::grey::debit_type(self.purse).code()],
            self.card.as_bytes(),
            &self.counter.to_bytes(),
            &self.amount.to_bytes(),
            &[0x08],
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grey;
    use hex_literal::hex;
    use ykt_crypto::{CardKey, Key16};

    /// Vector `grey lock/EP type 92 lock, 93 debit-unlock`, the PSAM's side.
    #[test]
    fn vector_sam_grey_lock() {
        let init = InitSamGreyLock {
            random: Random4(hex!("D1D2D3D4")),
            counter: CardCounter(3),
            balance: PurseFen::from_bytes(hex!("00004CC2")).unwrap(),
            purse: Purse::Ep,
            at: DateTime::from_bcd(hex!("20240131123456")).unwrap(),
            key_version: KeyVersion(1),
            algorithm: 0,
            factors: CardFactors::one_level(Asn8(hex!("1700010170907984"))),
        };
        let apdu = init.to_apdu();
        let want = hex!("E04000001CD1D2D3D4000300004CC29220240131123456010017000101709079840C");
        assert_eq!(apdu.as_bytes(), want);
        assert_eq!(InitSamGreyLock::parse(&Command::parse(&apdu).unwrap()), Ok(init));

        let dpk = CardKey::Tdes(Key16::from_bytes(hex!("FBB4B98851865C96144C89BF8767E819")));
        let (sequence, terminal_random) = (TerminalSeq(0x15), Random4(hex!("E1E2E3E4")));
        let session = grey::session_key(&dpk, init.random, init.counter, sequence, terminal_random);
        let lock = init.lock(TerminalId(hex!("360486600002")));
        let answer = SamLockAnswer { sequence, terminal_random, mac1: grey::mac1(&session, &lock, init.at) };
        assert_eq!(answer.to_bytes(), hex!("00000015E1E2E3E492D2F8B0"));
        assert_eq!(SamLockAnswer::from_bytes(&answer.to_bytes()), Some(answer));

        let amount = PurseFen::from_bytes(hex!("0000012C")).unwrap();
        let ask =
            CalculateGmac { purse: Purse::Ep, card: init.factors.card(), counter: init.counter, amount };
        assert_eq!(ask.to_apdu(), hex!("E04400000F93170001017090798400030000012C08"));
        assert_eq!(CalculateGmac::parse(&Command::parse(&ask.to_apdu()).unwrap()), Ok(ask));
        assert_eq!(grey::gmac(&session, amount), Mac4(hex!("8E24F416")));
        let certify = CertifySamGreyLock { mac2: Mac4([7; 4]) };
        assert_eq!(CertifySamGreyLock::parse(&Command::parse(&certify.to_apdu()).unwrap()), Ok(certify));
    }

    #[test]
    fn wrong_bytes_get_their_status_word() {
        let init = |bytes: &[u8]| InitSamGreyLock::parse(&Command::parse(bytes).unwrap());
        let good = hex!("E04000001CD1D2D3D4000300004CC2922024013112345601001700010170907984");
        assert!(init(&good).is_ok());
        for (at, value, want) in [
            (3, 1, StatusWord::WRONG_P1P2),
            (11, 0x80, StatusWord::WRONG_DATA),
            (15, 0x06, StatusWord::WRONG_DATA),
            (18, 0x13, StatusWord::WRONG_DATA),
        ] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(init(&bad), Err(want), "byte {at} = {value:02X}");
        }
        assert_eq!(init(&hex!("E040000001D1")), Err(StatusWord::WRONG_LENGTH));
        let certify = |bytes: &[u8]| CertifySamGreyLock::parse(&Command::parse(bytes).unwrap());
        assert_eq!(certify(&hex!("E042010004F74BAE7B")), Err(StatusWord::WRONG_P1P2));
        assert_eq!(certify(&hex!("E042000003F74BAE")), Err(StatusWord::WRONG_LENGTH));
        let gmac = |bytes: &[u8]| CalculateGmac::parse(&Command::parse(bytes).unwrap());
        assert_eq!(gmac(&hex!("E04401000F93170001017090798400030000012C")), Err(StatusWord::WRONG_P1P2));
        assert_eq!(gmac(&hex!("E04400000E93170001017090798400030000 01")), Err(StatusWord::WRONG_LENGTH));
        assert_eq!(gmac(&hex!("E04400000F06170001017090798400030000012C")), Err(StatusWord::WRONG_DATA));
        assert_eq!(gmac(&hex!("E04400000F93170001017090798400038000012C")), Err(StatusWord::WRONG_DATA));
    }
}
