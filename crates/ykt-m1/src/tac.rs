//! TAC of an M1 transaction (`epurse.md` 9.5): the card cannot make one, so the terminal's PSAM signs for it.
//!
//! The key is diversified by city, industry and serial (801A); the MAC is the transaction MAC (80FA), whose padding
//! fills both inputs up to 24 bytes.

use crate::block::join;
use ykt_base::{DateTime, Fen, Mac4, TerminalId};
use ykt_crypto::SessionKey;

/// What is signed, where and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct M1Terms {
    /// Balance after; its low three bytes are signed.
    pub balance: Fen,
    /// Amount, up to 16,777,215 fen.
    pub amount: Fen,
    /// The terminal.
    pub terminal: TerminalId,
    /// When.
    pub at: DateTime,
}

impl M1Terms {
    fn figures(&self) -> [[u8; 3]; 2] {
        [self.balance, self.amount].map(|fen| {
            let [.., a, b, c] = fen.fen().to_be_bytes();
            [a, b, c]
        })
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
pub fn tac(key: &SessionKey, input: &[u8]) -> Mac4 {
    key.mac(&[input])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use ykt_crypto::{CardKey, Key8};

    #[test]
    fn inputs_and_their_padding() {
        let terms = M1Terms {
            balance: Fen::new(12_145),
            amount: Fen::new(200),
            terminal: TerminalId(hex!("364486600002")),
            at: "20261122080910".parse().unwrap(),
        };
        let purchase = terms.purchase_input(hex!("00000001"));
        assert_eq!(purchase, hex!("002F71 0000C8 364486600002 20261122080910 00000001"));
        let load = terms.load_input(0x1B);
        assert_eq!(load, hex!("002F71 001B 0000C8 88 364486600002 20261122080910"));
        // A PSAM asked by 80FA gets whole blocks and pads nothing: 24 bytes for both.
        let bytes = hex!("1B209DAE627E4A99");
        let key = SessionKey::Des(Key8::from_bytes(bytes));
        let psam = |input: &[u8], fill: &[u8]| {
            let key = CardKey::Des(Key8::from_bytes(bytes));
            let mut state = key.begin_mac(&[0; 8]).unwrap();
            let blocks = [input, fill].concat();
            assert_eq!(blocks.len(), 24);
            key.continue_mac(&mut state, &blocks);
            key.end_mac(&state)
        };
        assert_eq!(tac(&key, &purchase), psam(&purchase, &[0x80]));
        assert_eq!(tac(&key, &load), psam(&load, &[0x80, 0x00]));
    }
}
