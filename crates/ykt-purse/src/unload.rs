//! Unload (圈提, `epurse.md` 4.6): money goes from an ED back to its account. The ED alone can.
//!
//! INITIALIZE FOR UNLOAD answers as that of a load does; DEBIT FOR UNLOAD carries MAC2 (host to card) and gives MAC3,
//! which proves to the host that the money is off the card. The counter in every MAC is the online counter before it
//! moves. What MAC3 covers no public source says; it is the load's TAC under the session key.

use crate::load::{LoadAnswer, session_input};
use crate::types::{Purse, PurseFen, TransactionType};
use crate::wire::{join, signed_terms, whole};
use ykt_base::{CardCounter, Command, DateTime, KeyIndex, Mac4, Random4, StatusWord, TerminalId};
use ykt_crypto::{CardKey, SessionKey};

/// Length of the answer to DEBIT FOR UNLOAD: MAC3.
pub const DEBIT_ANSWER_LEN: usize = 4;

const TYPE: TransactionType = TransactionType::EdUnload;

/// What is unloaded, where: the terms card and host sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unload {
    /// How much.
    pub amount: PurseFen,
    /// Id of the machine.
    pub terminal: TerminalId,
}

/// The answer to INITIALIZE FOR UNLOAD: that of INITIALIZE FOR LOAD, under the unload key.
pub type UnloadAnswer = LoadAnswer;

/// INITIALIZE FOR UNLOAD (圈提初始化): `80 50 05 01 0B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitializeForUnload {
    /// Which unload key.
    pub key_index: KeyIndex,
    /// The terms.
    pub unload: Unload,
}

impl InitializeForUnload {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 50.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 9401 for an amount that no purse holds, 6A80 for a zero one.
    pub fn parse(command: &Command<'_>) -> Result<InitializeForUnload, StatusWord> {
        if (command.p1, command.p2) != (0x05, Purse::Ed.code()) {
            return Err(StatusWord::WRONG_P1P2);
        }
        let fields = whole(command.data, |fields| Some((fields.byte()?, fields.take()?, fields.take()?)));
        let (index, amount, terminal) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
        let amount = PurseFen::from_bytes(amount).ok_or(StatusWord::INSUFFICIENT_FUNDS)?;
        if amount.is_zero() {
            return Err(StatusWord::WRONG_DATA);
        }
        let unload = Unload { amount, terminal: TerminalId(terminal) };
        Ok(InitializeForUnload { key_index: KeyIndex(index), unload })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 17] {
        let Unload { amount, terminal } = &self.unload;
        join(&[
            &[0x80, 0x50, 0x05, Purse::Ed.code(), 0x0B, self.key_index.0],
            &amount.to_bytes(),
            terminal.as_bytes(),
            &[0x10],
        ])
    }
}

/// DEBIT FOR UNLOAD (圈提): `80 54 03 00 0B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DebitForUnload {
    /// Date and time of the host.
    pub at: DateTime,
    /// The host's proof.
    pub mac2: Mac4,
}

impl DebitForUnload {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 54.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for a date or time that is none.
    pub fn parse(command: &Command<'_>) -> Result<DebitForUnload, StatusWord> {
        if (command.p1, command.p2) != (0x03, 0x00) {
            return Err(StatusWord::WRONG_P1P2);
        }
        let fields = whole(command.data, |fields| Some((fields.take()?, fields.take()?)));
        let (at, mac2) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
        Ok(DebitForUnload { at: DateTime::from_bcd(at).ok_or(StatusWord::WRONG_DATA)?, mac2: Mac4(mac2) })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 17] {
        join(&[&[0x80, 0x54, 0x03, 0x00, 0x0B], &self.at.to_bcd(), self.mac2.as_bytes(), &[0x04]])
    }
}

/// Session key under the card's unload key DULK.
#[must_use]
pub fn session_key(dulk: &CardKey, random: Random4, counter: CardCounter) -> SessionKey {
    dulk.session(session_input(random, counter))
}

/// MAC1 covers balance || amount || type || terminal.
#[must_use]
pub fn mac1_input(unload: &Unload, balance: PurseFen) -> [u8; 15] {
    let Unload { amount, terminal } = unload;
    join(&[&balance.to_bytes(), &amount.to_bytes(), &[TYPE.code()], terminal.as_bytes()])
}

/// MAC1, the card's proof to the host.
#[must_use]
pub fn mac1(session: &SessionKey, unload: &Unload, balance: PurseFen) -> Mac4 {
    session.mac(&[&mac1_input(unload, balance)])
}

/// MAC2 covers amount || type || terminal || date || time.
#[must_use]
pub fn mac2_input(unload: &Unload, at: DateTime) -> [u8; 18] {
    signed_terms(unload.amount, TYPE, &unload.terminal, at)
}

/// MAC2, the host's proof to the card.
#[must_use]
pub fn mac2(session: &SessionKey, unload: &Unload, at: DateTime) -> Mac4 {
    session.mac(&[&mac2_input(unload, at)])
}

/// MAC3 covers new balance || counter before || amount || type || terminal || date || time.
#[must_use]
pub fn mac3_input(unload: &Unload, new_balance: PurseFen, counter: CardCounter, at: DateTime) -> [u8; 24] {
    join(&[&new_balance.to_bytes(), &counter.to_bytes(), &mac2_input(unload, at)])
}

/// MAC3, the card's receipt.
#[must_use]
pub fn mac3(
    session: &SessionKey,
    unload: &Unload,
    new_balance: PurseFen,
    counter: CardCounter,
    at: DateTime,
) -> Mac4 {
    session.mac(&[&mac3_input(unload, new_balance, counter, at)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use ykt_crypto::Key16;

    /// Vector `unload/ED type 03`.
    #[test]
    fn vector_unload() {
        let dulk = CardKey::Tdes(Key16::from_bytes(hex!("7C01F2AA87EBC94B38F353EAB220E9AC")));
        let fen = |bytes| PurseFen::from_bytes(bytes).unwrap();
        let unload = Unload { amount: fen(hex!("000001F4")), terminal: TerminalId(hex!("001122334455")) };
        let initialize = InitializeForUnload { key_index: KeyIndex(1), unload };
        assert_eq!(initialize.to_apdu(), hex!("805005010B01000001F400112233445510"));
        assert_eq!(
            InitializeForUnload::parse(&Command::parse(&initialize.to_apdu()).unwrap()),
            Ok(initialize)
        );

        let counter = CardCounter(6);
        let session = session_key(&dulk, Random4(hex!("B1B2B3B4")), counter);
        assert_eq!(session.expose(), hex!("1451BD39E30F303A"));
        assert_eq!(mac1(&session, &unload, fen(hex!("000031DE"))), Mac4(hex!("B1D88663")));
        let at = DateTime::from_bcd(hex!("20240131123456")).unwrap();
        let debit = DebitForUnload { at, mac2: mac2(&session, &unload, at) };
        assert_eq!(debit.to_apdu(), hex!("805403000B20240131123456A51D6D0204"));
        assert_eq!(DebitForUnload::parse(&Command::parse(&debit.to_apdu()).unwrap()), Ok(debit));
        let mac3 = mac3(&session, &unload, fen(hex!("00002FEA")), counter, at);
        assert_eq!(mac3, Mac4(hex!("F1025A2B")));
    }

    #[test]
    fn wrong_bytes_get_their_status_word() {
        let init = |bytes: &[u8]| InitializeForUnload::parse(&Command::parse(bytes).unwrap()).err();
        for (apdu, sw) in [
            (&hex!("805005020B01000001F4001122334455")[..], StatusWord::WRONG_P1P2),
            (&hex!("805004010B01000001F4001122334455"), StatusWord::WRONG_P1P2),
            (&hex!("805005010A01000001F40011223344"), StatusWord::WRONG_LENGTH),
            (&hex!("805005010B0100000000001122334455"), StatusWord::WRONG_DATA),
            (&hex!("805005010B0180000000001122334455"), StatusWord::INSUFFICIENT_FUNDS),
        ] {
            assert_eq!(init(apdu), Some(sw));
        }
        let debit = |bytes: &[u8]| DebitForUnload::parse(&Command::parse(bytes).unwrap()).err();
        assert_eq!(debit(&hex!("805401000B20240131123456A51D6D02")), Some(StatusWord::WRONG_P1P2));
        assert_eq!(debit(&hex!("805403000A20240131123456A51D6D")), Some(StatusWord::WRONG_LENGTH));
        assert_eq!(debit(&hex!("805403000B20241331123456A51D6D02")), Some(StatusWord::WRONG_DATA));
    }
}
