//! GET TRANSACTION PROVE (取交易认证, `epurse.md` 4.9): gives back the MACs of the last transaction when the card
//! was pulled before its answer arrived.

use crate::types::TransactionType;
use crate::wire::{join, whole};
use ykt_base::{CardCounter, Command, Mac4, StatusWord};

/// Length of the answer.
pub const ANSWER_LEN: usize = 8;

/// `80 5A 00 type 02 counter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProveTransaction {
    /// Type of the transaction asked for.
    pub transaction: TransactionType,
    /// Its counter, before or after increment.
    pub counter: CardCounter,
}

impl ProveTransaction {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 5A.
    ///
    /// # Errors
    /// 6A86 for P1 other than 00, 6700 for the length, 9406 for a type that is none.
    pub fn parse(command: &Command<'_>) -> Result<ProveTransaction, StatusWord> {
        if command.p1 != 0x00 {
            return Err(StatusWord::WRONG_P1P2);
        }
        let counter = command.data.try_into().map_err(|_| StatusWord::WRONG_LENGTH)?;
        let transaction = TransactionType::from_code(command.p2).ok_or(StatusWord::PROOF_NOT_AVAILABLE)?;
        Ok(ProveTransaction { transaction, counter: CardCounter::from_bytes(counter) })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 8] {
        join(&[&[0x80, 0x5A, 0x00, self.transaction.code(), 0x02], &self.counter.to_bytes(), &[0x08]])
    }

    /// Whether it asks for the transaction of this type whose MACs used the counter `used`: both that value and
    /// the one after it are accepted, since only the latest proof of a purse is kept.
    #[must_use]
    pub fn asks_for(&self, transaction: TransactionType, used: CardCounter) -> bool {
        self.transaction == transaction
            && (self.counter == used || used.next().is_some_and(|after| self.counter == after))
    }
}

/// The answer: MAC || TAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The MAC the card answered with: MAC2 of a purchase or grey lock, MAC3 of an unload or online unlock. Zero where
    /// it answered a TAC alone, as for a load.
    pub mac2: Mac4,
    /// The TAC, or GTAC of a grey lock; zero where there is none.
    pub tac: Mac4,
}

impl Proof {
    /// Proof of a load and whatever else answers a TAC alone: 00000000 || TAC.
    #[must_use]
    pub const fn of_tac(tac: Mac4) -> Proof {
        Proof { mac2: Mac4([0; 4]), tac }
    }

    /// Proof of an unload or online unlock: MAC3 || 00000000.
    #[must_use]
    pub const fn of_mac3(mac3: Mac4) -> Proof {
        Proof { mac2: mac3, tac: Mac4([0; 4]) }
    }

    /// Reads the eight bytes, or `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Proof> {
        whole(bytes, |fields| Some(Proof { mac2: Mac4(fields.take()?), tac: Mac4(fields.take()?) }))
    }

    /// The eight bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ANSWER_LEN] {
        join(&[self.mac2.as_bytes(), self.tac.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// Vector `purchase/ED type 05`, the proof.
    #[test]
    fn vector_transaction_prove() {
        let kind = TransactionType::EdPurchase;
        for (counter, apdu) in [(8, hex!("805A000502000808")), (7, hex!("805A000502000708"))] {
            let prove = ProveTransaction { transaction: kind, counter: CardCounter(counter) };
            assert_eq!(prove.to_apdu(), apdu);
            assert_eq!(ProveTransaction::parse(&Command::parse(&apdu).unwrap()), Ok(prove));
            assert!(prove.asks_for(kind, CardCounter(7)));
            assert!(!prove.asks_for(TransactionType::EdLoad, CardCounter(7)));
        }
        let earlier = ProveTransaction { transaction: kind, counter: CardCounter(6) };
        assert!(!earlier.asks_for(kind, CardCounter(7)));
        let proof = Proof { mac2: Mac4(hex!("DA387326")), tac: Mac4(hex!("72E0147D")) };
        assert_eq!(proof.to_bytes(), hex!("DA38732672E0147D"));
        assert_eq!(Proof::from_bytes(&proof.to_bytes()), Some(proof));
        assert_eq!(Proof::of_tac(Mac4([9; 4])).to_bytes()[..4], [0; 4]);
        assert_eq!(Proof::of_mac3(Mac4([9; 4])).to_bytes()[4..], [0; 4]);
    }

    #[test]
    fn wrong_bytes_get_their_status_word() {
        let parse = |bytes: &[u8]| ProveTransaction::parse(&Command::parse(bytes).unwrap());
        assert_eq!(parse(&hex!("805A0106020001")), Err(StatusWord::WRONG_P1P2));
        assert_eq!(parse(&hex!("805A00060100")), Err(StatusWord::WRONG_LENGTH));
        assert_eq!(parse(&hex!("805A0077020001")), Err(StatusWord::PROOF_NOT_AVAILABLE));
    }
}
