//! Purchase (消费), cash withdrawal (取现) and composite purchase (复合应用消费): `epurse.md` 4.4, 4.5, 4.10.
//!
//! The PSAM signs with MAC1, the card debits and answers TAC and MAC2. **Money is gone when the card answers.**
//! The counter in the session key is the offline counter before it moves.

use crate::types::{OverdraftLimit, Purse, PurseFen, TransactionType};
use crate::wire::{join, signed_terms, whole};
use ykt_base::{
    CardCounter, Command, DateTime, KeyIndex, KeyVersion, Mac4, Random4, StatusWord, TerminalId, TerminalSeq,
};
use ykt_crypto::{CardKey, SessionKey};

/// Length of the answer to INITIALIZE FOR PURCHASE.
pub const INITIALIZE_ANSWER_LEN: usize = 15;
/// Length of the answer to DEBIT FOR PURCHASE: TAC and MAC2.
pub const DEBIT_ANSWER_LEN: usize = 8;

/// What kind of debit: P1 and P2 of INITIALIZE, and the type byte of MACs and log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PurchaseKind {
    /// P1 01: types 05 (ED) and 06 (EP).
    Purchase(Purse),
    /// P1 02, ED only: type 04.
    CashWithdraw,
    /// P1 03, EP only: type 09; the amount may be zero (entry of a ride). The type does not tell the purse, so a
    /// second one that did it too would make proofs of transactions ambiguous.
    Composite,
}

impl PurchaseKind {
    /// Whether a purchase of this kind may have this amount: zero only a composite one (`epurse.md` 0).
    #[must_use]
    pub const fn allows(self, amount: PurseFen) -> bool {
        matches!(self, PurchaseKind::Composite) || !amount.is_zero()
    }

    /// The kind of P1 and P2.
    ///
    /// # Errors
    /// 6A86 when they name none.
    pub fn from_p1p2(p1: u8, p2: u8) -> Result<PurchaseKind, StatusWord> {
        match (p1, Purse::from_code(p2)?) {
            (0x01, purse) => Ok(PurchaseKind::Purchase(purse)),
            (0x02, Purse::Ed) => Ok(PurchaseKind::CashWithdraw),
            (0x03, Purse::Ep) => Ok(PurchaseKind::Composite),
            _ => Err(StatusWord::WRONG_P1P2),
        }
    }

    /// The kind of a type byte, or `None` when the type is no purchase.
    #[must_use]
    pub const fn from_type(kind: TransactionType) -> Option<PurchaseKind> {
        match kind {
            TransactionType::EdPurchase => Some(PurchaseKind::Purchase(Purse::Ed)),
            TransactionType::EpPurchase => Some(PurchaseKind::Purchase(Purse::Ep)),
            TransactionType::EdCashWithdraw => Some(PurchaseKind::CashWithdraw),
            TransactionType::CompositePurchase => Some(PurchaseKind::Composite),
            _ => None,
        }
    }

    /// P1 of INITIALIZE.
    #[must_use]
    pub const fn p1(self) -> u8 {
        match self {
            PurchaseKind::Purchase(_) => 0x01,
            PurchaseKind::CashWithdraw => 0x02,
            PurchaseKind::Composite => 0x03,
        }
    }

    /// The purse that pays.
    #[must_use]
    pub const fn purse(self) -> Purse {
        match self {
            PurchaseKind::Purchase(purse) => purse,
            PurchaseKind::CashWithdraw => Purse::Ed,
            PurchaseKind::Composite => Purse::Ep,
        }
    }

    /// The type byte of MACs and log.
    #[must_use]
    pub const fn transaction_type(self) -> TransactionType {
        match self {
            PurchaseKind::Purchase(Purse::Ed) => TransactionType::EdPurchase,
            PurchaseKind::Purchase(Purse::Ep) => TransactionType::EpPurchase,
            PurchaseKind::CashWithdraw => TransactionType::EdCashWithdraw,
            PurchaseKind::Composite => TransactionType::CompositePurchase,
        }
    }
}

/// What is paid, where: the terms card and PSAM sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purchase {
    /// Kind and purse.
    pub kind: PurchaseKind,
    /// How much.
    pub amount: PurseFen,
    /// Terminal id of the PSAM.
    pub terminal: TerminalId,
}

/// INITIALIZE FOR PURCHASE (消费初始化): `80 50 kind purse 0B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitializeForPurchase {
    /// Which purchase key.
    pub key_index: KeyIndex,
    /// The terms.
    pub purchase: Purchase,
}

impl InitializeForPurchase {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 50.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 9401 for an amount that no purse holds, 6A80 for a zero amount
    /// in another kind than a composite purchase.
    pub fn parse(command: &Command<'_>) -> Result<InitializeForPurchase, StatusWord> {
        let kind = PurchaseKind::from_p1p2(command.p1, command.p2)?;
        let fields = whole(command.data, |fields| Some((fields.byte()?, fields.take()?, fields.take()?)));
        let (index, amount, terminal) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
        let amount = PurseFen::from_bytes(amount).ok_or(StatusWord::INSUFFICIENT_FUNDS)?;
        if !kind.allows(amount) {
            return Err(StatusWord::WRONG_DATA);
        }
        let purchase = Purchase { kind, amount, terminal: TerminalId(terminal) };
        Ok(InitializeForPurchase { key_index: KeyIndex(index), purchase })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 17] {
        let Purchase { kind, amount, terminal } = &self.purchase;
        join(&[
            &[0x80, 0x50, kind.p1(), kind.purse().code(), 0x0B, self.key_index.0],
            &amount.to_bytes(),
            terminal.as_bytes(),
            &[0x0F],
        ])
    }
}

/// Answer to INITIALIZE FOR PURCHASE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurchaseAnswer {
    /// Balance before the debit.
    pub balance: PurseFen,
    /// Offline counter before the debit.
    pub counter: CardCounter,
    /// Overdraft limit; zero for an EP.
    pub overdraft: OverdraftLimit,
    /// Version of the purchase key used.
    pub key_version: KeyVersion,
    /// Its algorithm byte as the card states it.
    pub algorithm: u8,
    /// The card's random number.
    pub random: Random4,
}

impl PurchaseAnswer {
    /// Reads the fifteen bytes, or `None` for another length or a balance above the limit.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<PurchaseAnswer> {
        whole(bytes, |fields| {
            Some(PurchaseAnswer {
                balance: PurseFen::from_bytes(fields.take()?)?,
                counter: CardCounter::from_bytes(fields.take()?),
                overdraft: OverdraftLimit(fields.take()?),
                key_version: KeyVersion(fields.byte()?),
                algorithm: fields.byte()?,
                random: Random4(fields.take()?),
            })
        })
    }

    /// The fifteen bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; INITIALIZE_ANSWER_LEN] {
        join(&[
            &self.balance.to_bytes(),
            &self.counter.to_bytes(),
            &self.overdraft.0,
            &[self.key_version.0, self.algorithm],
            self.random.as_bytes(),
        ])
    }
}

/// DEBIT FOR PURCHASE (消费): `80 54 01 00 0F`; the same for cash withdrawal and composite purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DebitForPurchase {
    /// The PSAM's transaction sequence.
    pub sequence: TerminalSeq,
    /// Date and time of the terminal.
    pub at: DateTime,
    /// The PSAM's proof.
    pub mac1: Mac4,
}

impl DebitForPurchase {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 54.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for a date or time that is none.
    pub fn parse(command: &Command<'_>) -> Result<DebitForPurchase, StatusWord> {
        if (command.p1, command.p2) != (0x01, 0x00) {
            return Err(StatusWord::WRONG_P1P2);
        }
        let fields = whole(command.data, |fields| Some((fields.take()?, fields.take()?, fields.take()?)));
        let (sequence, at, mac1) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
        Ok(DebitForPurchase {
            sequence: TerminalSeq::from_bytes(sequence),
            at: DateTime::from_bcd(at).ok_or(StatusWord::WRONG_DATA)?,
            mac1: Mac4(mac1),
        })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 21] {
        join(&[
            &[0x80, 0x54, 0x01, 0x00, 0x0F],
            &self.sequence.to_bytes(),
            &self.at.to_bcd(),
            self.mac1.as_bytes(),
            &[0x08],
        ])
    }
}

/// Answer to DEBIT FOR PURCHASE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DebitAnswer {
    /// The card's receipt for the issuer.
    pub tac: Mac4,
    /// The card's proof to the PSAM.
    pub mac2: Mac4,
}

impl DebitAnswer {
    /// Reads the eight bytes, or `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<DebitAnswer> {
        whole(bytes, |fields| Some(DebitAnswer { tac: Mac4(fields.take()?), mac2: Mac4(fields.take()?) }))
    }

    /// The eight bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; DEBIT_ANSWER_LEN] {
        join(&[self.tac.as_bytes(), self.mac2.as_bytes()])
    }
}

/// What the purchase key enciphers into the session key: random || offline counter || low two bytes of the
/// terminal sequence.
#[must_use]
pub fn session_input(random: Random4, counter: CardCounter, sequence: TerminalSeq) -> [u8; 8] {
    let [_, _, high, low] = sequence.to_bytes();
    join(&[random.as_bytes(), &counter.to_bytes(), &[high, low]])
}

/// Session key under the card's purchase key DPK.
#[must_use]
pub fn session_key(
    dpk: &CardKey,
    random: Random4,
    counter: CardCounter,
    sequence: TerminalSeq,
) -> SessionKey {
    dpk.session(session_input(random, counter, sequence))
}

/// MAC1 covers amount || type || terminal || date || time.
#[must_use]
pub fn mac1_input(purchase: &Purchase, at: DateTime) -> [u8; 18] {
    signed_terms(purchase.amount, purchase.kind.transaction_type(), &purchase.terminal, at)
}

/// MAC1, the PSAM's proof to the card.
#[must_use]
pub fn mac1(session: &SessionKey, purchase: &Purchase, at: DateTime) -> Mac4 {
    session.mac(&[&mac1_input(purchase, at)])
}

/// MAC2, the card's proof to the PSAM; it covers the amount.
#[must_use]
pub fn mac2(session: &SessionKey, amount: PurseFen) -> Mac4 {
    session.mac(&[&amount.to_bytes()])
}

/// The TAC covers amount || type || terminal || terminal sequence || date || time.
#[must_use]
pub fn tac_input(purchase: &Purchase, sequence: TerminalSeq, at: DateTime) -> [u8; 22] {
    join(&[
        &purchase.amount.to_bytes(),
        &[purchase.kind.transaction_type().code()],
        purchase.terminal.as_bytes(),
        &sequence.to_bytes(),
        &at.to_bcd(),
    ])
}

/// The TAC, under the TAC key (the halves of DTK XORed).
#[must_use]
pub fn tac(tac_key: &SessionKey, purchase: &Purchase, sequence: TerminalSeq, at: DateTime) -> Mac4 {
    tac_key.mac(&[&tac_input(purchase, sequence, at)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use ykt_crypto::Key16;

    /// Vector `purchase/EP type 06`, the card's side.
    #[test]
    fn vector_purchase_ep() {
        let dpk = CardKey::Tdes(Key16::from_bytes(hex!("FBB4B98851865C96144C89BF8767E819")));
        let dtk = CardKey::Tdes(Key16::from_bytes(hex!("3E70EAFBF0AB93BE2550775592D5D927")));
        let purchase = Purchase {
            kind: PurchaseKind::Purchase(Purse::Ep),
            amount: PurseFen::from_bytes(hex!("00000096")).unwrap(),
            terminal: TerminalId(hex!("360486600002")),
        };
        let at = DateTime::from_bcd(hex!("20240131123456")).unwrap();
        let (random, counter, sequence) = (Random4(hex!("5A5B5C5D")), CardCounter(0), TerminalSeq(0x11));

        let initialize = InitializeForPurchase { key_index: KeyIndex(1), purchase };
        assert_eq!(initialize.to_apdu(), hex!("805001020B01000000963604866000020F"));
        let parsed = InitializeForPurchase::parse(&Command::parse(&initialize.to_apdu()).unwrap());
        assert_eq!(parsed, Ok(initialize));

        let answer = PurchaseAnswer {
            balance: PurseFen::from_bytes(hex!("00004E20")).unwrap(),
            counter,
            overdraft: OverdraftLimit::NONE,
            key_version: KeyVersion(1),
            algorithm: 0,
            random,
        };
        assert_eq!(answer.to_bytes(), hex!("00004E20000000000001005A5B5C5D"));
        assert_eq!(PurchaseAnswer::from_bytes(&answer.to_bytes()), Some(answer));

        let session = session_key(&dpk, random, counter, sequence);
        assert_eq!(session.expose(), hex!("F3CCCF76714AE87F"));
        let debit = DebitForPurchase { sequence, at, mac1: mac1(&session, &purchase, at) };
        assert_eq!(debit.to_apdu(), hex!("805401000F0000001120240131123456FFB035B108"));
        assert_eq!(DebitForPurchase::parse(&Command::parse(&debit.to_apdu()).unwrap()), Ok(debit));
        let answer = DebitAnswer {
            tac: tac(&dtk.tac_key(), &purchase, sequence, at),
            mac2: mac2(&session, purchase.amount),
        };
        assert_eq!(answer.to_bytes(), hex!("2C8978F0F74BAE7B"));
        assert_eq!(DebitAnswer::from_bytes(&answer.to_bytes()), Some(answer));
    }

    /// Every P1 and P2: what is a kind comes back, everything else is 6A86.
    #[test]
    fn kinds_are_closed() {
        let mut known = 0;
        for p1 in 0..=u8::MAX {
            for p2 in 0..=u8::MAX {
                match PurchaseKind::from_p1p2(p1, p2) {
                    Ok(kind) => {
                        known += 1;
                        assert_eq!((kind.p1(), kind.purse().code()), (p1, p2));
                    }
                    Err(sw) => assert_eq!(sw, StatusWord::WRONG_P1P2),
                }
            }
        }
        assert_eq!(known, 4);
        let kinds = TransactionType::ALL.into_iter().filter_map(PurchaseKind::from_type);
        assert_eq!(kinds.map(|kind| kind.transaction_type().code()).sum::<u8>(), 4 + 5 + 6 + 9);
    }

    #[test]
    fn wrong_bytes_get_their_status_word() {
        let parse = |bytes: &[u8]| InitializeForPurchase::parse(&Command::parse(bytes).unwrap());
        assert_eq!(parse(&hex!("805001020B0100000000360486600002")), Err(StatusWord::WRONG_DATA));
        assert!(parse(&hex!("805003020B0100000000360486600002")).is_ok(), "zero in a composite purchase");
        assert_eq!(parse(&hex!("805001020B0180000000360486600002")), Err(StatusWord::INSUFFICIENT_FUNDS));
        assert_eq!(parse(&hex!("805001020A01000000963604866000")), Err(StatusWord::WRONG_LENGTH));
        let debit = |bytes: &[u8]| DebitForPurchase::parse(&Command::parse(bytes).unwrap());
        assert_eq!(debit(&hex!("805400000F0000001120240131123456FFB035B1")), Err(StatusWord::WRONG_P1P2));
        assert_eq!(debit(&hex!("805401000E0000001120240131123456FFB035")), Err(StatusWord::WRONG_LENGTH));
        assert_eq!(debit(&hex!("805401000F0000001120240231123456FFB035B1")), Err(StatusWord::WRONG_DATA));
    }
}
