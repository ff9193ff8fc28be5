//! Load (圈存, `epurse.md` 4.3): the host puts money on the card, both prove to each other who they are.
//!
//! INITIALIZE FOR LOAD gives MAC1 (card to host), CREDIT FOR LOAD carries MAC2 (host to card) and gives the TAC.
//! The counter in every MAC is the online counter before it moves.

use crate::types::{Purse, PurseFen, TransactionType};
use crate::wire::{join, signed_terms, whole};
use ykt_base::{CardCounter, Command, DateTime, KeyIndex, KeyVersion, Mac4, Random4, StatusWord, TerminalId};
use ykt_crypto::{CardKey, SessionKey};

/// Length of the answer to INITIALIZE FOR LOAD.
pub const INITIALIZE_ANSWER_LEN: usize = 16;
/// Length of the answer to CREDIT FOR LOAD: the TAC.
pub const CREDIT_ANSWER_LEN: usize = 4;

/// What is loaded, where: the terms card and host sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The purse that gets the money.
    pub purse: Purse,
    /// How much.
    pub amount: PurseFen,
    /// Id of the load machine (not of a purchase PSAM).
    pub terminal: TerminalId,
}

impl Load {
    /// 01 for an ED, 02 for an EP.
    #[must_use]
    pub const fn transaction_type(&self) -> TransactionType {
        match self.purse {
            Purse::Ed => TransactionType::EdLoad,
            Purse::Ep => TransactionType::EpLoad,
        }
    }
}

/// INITIALIZE FOR LOAD (圈存初始化): `80 50 00 purse 0B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitializeForLoad {
    /// Which load key.
    pub key_index: KeyIndex,
    /// The terms.
    pub load: Load,
}

impl InitializeForLoad {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 50.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for a zero amount, 6985 for one that no purse can
    /// hold.
    pub fn parse(command: &Command<'_>) -> Result<InitializeForLoad, StatusWord> {
        if command.p1 != 0x00 {
            return Err(StatusWord::WRONG_P1P2);
        }
        let purse = Purse::from_code(command.p2)?;
        let fields = whole(command.data, |fields| Some((fields.byte()?, fields.take()?, fields.take()?)));
        let (index, amount, terminal) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
        let amount = PurseFen::from_bytes(amount).ok_or(StatusWord::CONDITIONS)?;
        if amount.is_zero() {
            return Err(StatusWord::WRONG_DATA);
        }
        let load = Load { purse, amount, terminal: TerminalId(terminal) };
        Ok(InitializeForLoad { key_index: KeyIndex(index), load })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 17] {
        let Load { purse, amount, terminal } = &self.load;
        join(&[
            &[0x80, 0x50, 0x00, purse.code(), 0x0B, self.key_index.0],
            &amount.to_bytes(),
            terminal.as_bytes(),
            &[0x10],
        ])
    }
}

/// Answer to INITIALIZE FOR LOAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadAnswer {
    /// Balance before the load.
    pub balance: PurseFen,
    /// Online counter before the load.
    pub counter: CardCounter,
    /// Version of the load key used.
    pub key_version: KeyVersion,
    /// Its algorithm byte as the card states it; vendors use values of their own.
    pub algorithm: u8,
    /// The card's random number.
    pub random: Random4,
    /// The card's proof.
    pub mac1: Mac4,
}

impl LoadAnswer {
    /// Reads the sixteen bytes, or `None` for another length or a balance above the limit.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<LoadAnswer> {
        whole(bytes, |fields| {
            Some(LoadAnswer {
                balance: PurseFen::from_bytes(fields.take()?)?,
                counter: CardCounter::from_bytes(fields.take()?),
                key_version: KeyVersion(fields.byte()?),
                algorithm: fields.byte()?,
                random: Random4(fields.take()?),
                mac1: Mac4(fields.take()?),
            })
        })
    }

    /// The sixteen bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; INITIALIZE_ANSWER_LEN] {
        join(&[
            &self.balance.to_bytes(),
            &self.counter.to_bytes(),
            &[self.key_version.0, self.algorithm],
            self.random.as_bytes(),
            self.mac1.as_bytes(),
        ])
    }
}

/// CREDIT FOR LOAD (圈存): `80 52 00 00 0B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditForLoad {
    /// Date and time of the host.
    pub at: DateTime,
    /// The host's proof.
    pub mac2: Mac4,
}

impl CreditForLoad {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 52.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for a date or time that is none.
    pub fn parse(command: &Command<'_>) -> Result<CreditForLoad, StatusWord> {
        if (command.p1, command.p2) != (0, 0) {
            return Err(StatusWord::WRONG_P1P2);
        }
        let fields = whole(command.data, |fields| Some((fields.take()?, fields.take()?)));
        let (at, mac2) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
        Ok(CreditForLoad { at: DateTime::from_bcd(at).ok_or(StatusWord::WRONG_DATA)?, mac2: Mac4(mac2) })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 17] {
        join(&[&[0x80, 0x52, 0x00, 0x00, 0x0B], &self.at.to_bcd(), self.mac2.as_bytes(), &[0x04]])
    }
}

/// What the load key enciphers into the session key: random || online counter || 80 00.
#[must_use]
pub fn session_input(random: Random4, counter: CardCounter) -> [u8; 8] {
    join(&[random.as_bytes(), &counter.to_bytes(), &[0x80, 0x00]])
}

/// Session key under the card's load key DLK.
#[must_use]
pub fn session_key(dlk: &CardKey, random: Random4, counter: CardCounter) -> SessionKey {
    dlk.session(session_input(random, counter))
}

/// MAC1 covers balance || amount || type || terminal.
#[must_use]
pub fn mac1_input(load: &Load, balance: PurseFen) -> [u8; 15] {
    join(&[
        &balance.to_bytes(),
        &load.amount.to_bytes(),
        &[load.transaction_type().code()],
        load.terminal.as_bytes(),
    ])
}

/// MAC1, the card's proof to the host.
#[must_use]
pub fn mac1(session: &SessionKey, load: &Load, balance: PurseFen) -> Mac4 {
    session.mac(&[&mac1_input(load, balance)])
}

/// MAC2 covers amount || type || terminal || date || time.
#[must_use]
pub fn mac2_input(load: &Load, at: DateTime) -> [u8; 18] {
    signed_terms(load.amount, load.transaction_type(), &load.terminal, at)
}

/// MAC2, the host's proof to the card.
#[must_use]
pub fn mac2(session: &SessionKey, load: &Load, at: DateTime) -> Mac4 {
    session.mac(&[&mac2_input(load, at)])
}

/// The TAC covers new balance || counter before || amount || type || terminal || date || time.
#[must_use]
pub fn tac_input(load: &Load, new_balance: PurseFen, counter: CardCounter, at: DateTime) -> [u8; 24] {
    join(&[&new_balance.to_bytes(), &counter.to_bytes(), &mac2_input(load, at)])
}

/// The TAC, under the TAC key (the halves of DTK XORed); `counter` is the one before the load.
#[must_use]
pub fn tac(
    tac_key: &SessionKey,
    load: &Load,
    new_balance: PurseFen,
    counter: CardCounter,
    at: DateTime,
) -> Mac4 {
    tac_key.mac(&[&tac_input(load, new_balance, counter, at)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use ykt_crypto::Key16;

    fn ep_load() -> Load {
        Load {
            purse: Purse::Ep,
            amount: PurseFen::from_bytes(hex!("00004E20")).unwrap(),
            terminal: TerminalId(hex!("001122334455")),
        }
    }

    /// Vector `load/EP`.
    #[test]
    fn vector_load_ep() {
        let dlk = CardKey::Tdes(Key16::from_bytes(hex!("E5A60E3AB7E2795E3D8F4F5AACDD05D2")));
        let dtk = CardKey::Tdes(Key16::from_bytes(hex!("3E70EAFBF0AB93BE2550775592D5D927")));
        let load = ep_load();
        let at = DateTime::from_bcd(hex!("20240131123456")).unwrap();
        let (random, counter) = (Random4(hex!("01020304")), CardCounter(0));

        let initialize = InitializeForLoad { key_index: KeyIndex(1), load };
        assert_eq!(initialize.to_apdu(), hex!("805000020B0100004E2000112233445510"));
        assert_eq!(InitializeForLoad::parse(&Command::parse(&initialize.to_apdu()).unwrap()), Ok(initialize));

        let session = session_key(&dlk, random, counter);
        assert_eq!(session.expose(), hex!("D0E66C3E7DF77F93"));
        let answer = LoadAnswer {
            balance: PurseFen::ZERO,
            counter,
            key_version: KeyVersion(1),
            algorithm: 0,
            random,
            mac1: mac1(&session, &load, PurseFen::ZERO),
        };
        assert_eq!(answer.to_bytes(), hex!("000000000000010001020304082BC89A"));
        assert_eq!(LoadAnswer::from_bytes(&answer.to_bytes()), Some(answer));

        let credit = CreditForLoad { at, mac2: mac2(&session, &load, at) };
        assert_eq!(credit.to_apdu(), hex!("805200000B20240131123456764044A204"));
        assert_eq!(CreditForLoad::parse(&Command::parse(&credit.to_apdu()).unwrap()), Ok(credit));
        assert_eq!(tac(&dtk.tac_key(), &load, load.amount, counter, at), Mac4(hex!("71637FB1")));
    }

    #[test]
    fn wrong_bytes_get_their_status_word() {
        let good = InitializeForLoad { key_index: KeyIndex(1), load: ep_load() }.to_apdu();
        let parse = |bytes: &[u8]| InitializeForLoad::parse(&Command::parse(bytes).unwrap());
        for (at, value, want) in [
            (2, 1, StatusWord::WRONG_P1P2),
            (3, 0, StatusWord::WRONG_P1P2),
            (3, 3, StatusWord::WRONG_P1P2),
            (6, 0x80, StatusWord::CONDITIONS),
        ] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(parse(&bad), Err(want), "byte {at} = {value:02X}");
        }
        assert_eq!(
            parse(&hex!("805000020B0100000000001122334455")),
            Err(StatusWord::WRONG_DATA),
            "amount zero"
        );
        assert_eq!(parse(&hex!("805000020A01000000010011223344")), Err(StatusWord::WRONG_LENGTH));
        assert_eq!(parse(&hex!("805000020C0100000001001122334455FF")), Err(StatusWord::WRONG_LENGTH));
        assert_eq!(parse(&hex!("80500002")), Err(StatusWord::WRONG_LENGTH));

        let credit = |bytes: &[u8]| CreditForLoad::parse(&Command::parse(bytes).unwrap());
        assert_eq!(credit(&hex!("805200010B20240131123456764044A2")), Err(StatusWord::WRONG_P1P2));
        assert_eq!(credit(&hex!("805200000A20240131123456764044")), Err(StatusWord::WRONG_LENGTH));
        assert_eq!(credit(&hex!("805200000B20241331123456764044A2")), Err(StatusWord::WRONG_DATA));
        assert_eq!(LoadAnswer::from_bytes(&[0; 15]), None);
        assert_eq!(LoadAnswer::from_bytes(&[0; 17]), None);
    }
}
