//! TAC of an M1 transaction (`epurse.md` 9.5): the card cannot make one, so the terminal's PSAM signs for it.
//!
//! The key is diversified by city, industry and serial (801A); the MAC is the transaction MAC (80FA), whose padding
//! fills both inputs up to 24 bytes.

use crate::block::join;
use ykt_base::{DateTime, Fen, Mac4, TerminalId};
use ykt_crypto::{Key8, tmac};

/// What is signed, where and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct M1Terms {
    /// Balance after; its low three bytes are signed.
    pub balance: i32,
    /// Amount, up to 16,777,215 fen.
    pub amount: Fen,
    /// The terminal.
    pub terminal: TerminalId,
    /// When.
    pub at: DateTime,
}

impl M1Terms {
    fn figures(&self) -> [[u8; 3]; 2] {
        let [_, balance @ ..] = self.balance.to_be_bytes();
        let amount = u32::try_from(self.amount.fen()).unwrap_or(0);
        let [_, amount @ ..] = amount.to_be_bytes();
        [balance, amount]
    }

    /// Input of a purchase's TAC: balance 3, amount 3, terminal 6, time 7, serial 4.
    #[must_use]
    pub fn purchase_input(&self, serial: [u8; 4]) -> [u8; 23] {
        let [balance, amount] = self.figures();
        join(&[&balance, &amount, &self.terminal.0, &self.at.to_bcd(), &serial])
    }

    /// Input of a load's TAC: balance 3, purse count 2, amount 3, type 88, terminal 6, time 7.
    #[must_use]
    pub fn load_input(&self, count: u16) -> [u8; 22] {
        let [balance, amount] = self.figures();
        join(&[&balance, &count.to_be_bytes(), &amount, &[0x88], &self.terminal.0, &self.at.to_bcd()])
    }
}

/// TAC of an input under a card's TAC key.
#[must_use]
pub fn tac(key: &Key8, input: &[u8]) -> Mac4 {
    tmac(key, &[input])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn inputs_and_their_padding() {
        let terms = M1Terms {
            balance: 12_145,
            amount: Fen::new(200),
            terminal: TerminalId(hex!("364486600002")),
            at: "20261122080910".parse().unwrap(),
        };
        let purchase = terms.purchase_input(hex!("00000001"));
        assert_eq!(purchase, hex!("002F71 0000C8 364486600002 20261122080910 00000001"));
        let load = terms.load_input(0x1B);
        assert_eq!(load, hex!("002F71 001B 0000C8 88 364486600002 20261122080910"));
        // 24 bytes with the padding that the MAC itself adds.
        let key = Key8::from_bytes(hex!("1B209DAE627E4A99"));
        let padded = |input: &[u8], fill: &[u8]| {
            let cbc = input.iter().chain(fill).copied().collect::<std::vec::Vec<u8>>();
            let block = cbc.chunks(8).fold([0u8; 8], |state, block| {
                let mut state = state;
                state.iter_mut().zip(block).for_each(|(byte, other)| *byte ^= other);
                ykt_crypto::des_encrypt_block(&key, state)
            });
            assert_eq!(cbc.len(), 24);
            [block[0], block[1], block[2], block[3]]
        };
        assert_eq!(tac(&key, &purchase).0, padded(&purchase, &[0x80]));
        assert_eq!(tac(&key, &load).0, padded(&load, &[0x80, 0x00]));
    }
}
