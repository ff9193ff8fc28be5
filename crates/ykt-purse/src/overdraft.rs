//! Update of the overdraft limit (修改透支限额, `epurse.md` 4.7) of an ED. Its stored balance includes the limit: what
//! the holder owns is the balance less the limit, and may be below zero.

use crate::load::session_input;
use crate::types::{OverdraftLimit, Purse, PurseFen, TransactionType};
use crate::wire::{join, whole};
use ykt_base::{CardCounter, Command, DateTime, KeyIndex, KeyVersion, Mac4, Random4, StatusWord, TerminalId};
use ykt_crypto::{CardKey, SessionKey};

/// Length of the answer to INITIALIZE FOR UPDATE.
pub const INITIALIZE_ANSWER_LEN: usize = 19;
/// Length of the answer to UPDATE OVERDRAW LIMIT: the TAC.
pub const UPDATE_ANSWER_LEN: usize = 4;

const TYPE: TransactionType = TransactionType::EdOverdraftUpdate;

/// INITIALIZE FOR UPDATE (修改初始化): `80 50 04 01 07`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitializeForUpdate {
    /// Which key for overdraft limits.
    pub key_index: KeyIndex,
    /// Id of the machine.
    pub terminal: TerminalId,
}

impl InitializeForUpdate {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 50.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length.
    pub fn parse(command: &Command<'_>) -> Result<InitializeForUpdate, StatusWord> {
        if (command.p1, command.p2) != (0x04, Purse::Ed.code()) {
            return Err(StatusWord::WRONG_P1P2);
        }
        let fields = whole(command.data, |fields| Some((fields.byte()?, fields.take()?)));
        let (index, terminal) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
        Ok(InitializeForUpdate { key_index: KeyIndex(index), terminal: TerminalId(terminal) })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 13] {
        let head = [0x80, 0x50, 0x04, Purse::Ed.code(), 0x07, self.key_index.0];
        join(&[&head, self.terminal.as_bytes(), &[0x13]])
    }
}

/// Answer to INITIALIZE FOR UPDATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateAnswer {
    /// Balance, limit included.
    pub balance: PurseFen,
    /// Online counter before the update.
    pub counter: CardCounter,
    /// The limit as it is.
    pub limit: OverdraftLimit,
    /// Version of the key used.
    pub key_version: KeyVersion,
    /// Its algorithm byte as the card states it.
    pub algorithm: u8,
    /// The card's random number.
    pub random: Random4,
    /// The card's proof.
    pub mac1: Mac4,
}

impl UpdateAnswer {
    /// Reads the nineteen bytes, or `None` for another length or a balance above the limit of a purse.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<UpdateAnswer> {
        whole(bytes, |fields| {
            Some(UpdateAnswer {
                balance: PurseFen::from_bytes(fields.take()?)?,
                counter: CardCounter::from_bytes(fields.take()?),
                limit: OverdraftLimit(fields.take()?),
                key_version: KeyVersion(fields.byte()?),
                algorithm: fields.byte()?,
                random: Random4(fields.take()?),
                mac1: Mac4(fields.take()?),
            })
        })
    }

    /// The nineteen bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; INITIALIZE_ANSWER_LEN] {
        join(&[
            &self.balance.to_bytes(),
            &self.counter.to_bytes(),
            &self.limit.0,
            &[self.key_version.0, self.algorithm],
            self.random.as_bytes(),
            self.mac1.as_bytes(),
        ])
    }
}

/// UPDATE OVERDRAW LIMIT (修改透支限额): `80 58 00 00 0E`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateOverdraft {
    /// The limit as it shall be.
    pub limit: OverdraftLimit,
    /// Date and time of the host.
    pub at: DateTime,
    /// The host's proof.
    pub mac2: Mac4,
}

impl UpdateOverdraft {
    /// Reads P1, P2 and data of a command whose class and instruction are 80 58.
    ///
    /// # Errors
    /// 6A86 for P1 or P2, 6700 for the length, 6A80 for a date or time that is none.
    pub fn parse(command: &Command<'_>) -> Result<UpdateOverdraft, StatusWord> {
        if (command.p1, command.p2) != (0, 0) {
            return Err(StatusWord::WRONG_P1P2);
        }
        let fields = whole(command.data, |fields| Some((fields.take()?, fields.take()?, fields.take()?)));
        let (limit, at, mac2) = fields.ok_or(StatusWord::WRONG_LENGTH)?;
        Ok(UpdateOverdraft {
            limit: OverdraftLimit(limit),
            at: DateTime::from_bcd(at).ok_or(StatusWord::WRONG_DATA)?,
            mac2: Mac4(mac2),
        })
    }

    /// The command as bytes, Le included.
    #[must_use]
    pub fn to_apdu(&self) -> [u8; 20] {
        join(&[
            &[0x80, 0x58, 0x00, 0x00, 0x0E],
            &self.limit.0,
            &self.at.to_bcd(),
            self.mac2.as_bytes(),
            &[0x04],
        ])
    }
}

/// The stored balance under a new limit, or `None` when it would be below zero or above the limit of a purse.
#[must_use]
pub fn new_balance(balance: PurseFen, old: OverdraftLimit, new: OverdraftLimit) -> Option<PurseFen> {
    let sum = balance.fen().checked_add(new.fen())?.checked_sub(old.fen())?;
    PurseFen::try_from(sum).ok()
}

/// Session key under the card's key for overdraft limits DUK.
#[must_use]
pub fn session_key(duk: &CardKey, random: Random4, counter: CardCounter) -> SessionKey {
    duk.session(session_input(random, counter))
}

/// MAC1 covers balance || limit as it is || type || terminal.
#[must_use]
pub fn mac1_input(balance: PurseFen, limit: OverdraftLimit, terminal: &TerminalId) -> [u8; 14] {
    join(&[&balance.to_bytes(), &limit.0, &[TYPE.code()], terminal.as_bytes()])
}

/// MAC1, the card's proof to the host.
#[must_use]
pub fn mac1(session: &SessionKey, balance: PurseFen, limit: OverdraftLimit, terminal: &TerminalId) -> Mac4 {
    session.mac(&[&mac1_input(balance, limit, terminal)])
}

/// MAC2 covers new limit || type || terminal || date || time.
#[must_use]
pub fn mac2_input(limit: OverdraftLimit, terminal: &TerminalId, at: DateTime) -> [u8; 17] {
    join(&[&limit.0, &[TYPE.code()], terminal.as_bytes(), &at.to_bcd()])
}

/// MAC2, the host's proof to the card.
#[must_use]
pub fn mac2(session: &SessionKey, limit: OverdraftLimit, terminal: &TerminalId, at: DateTime) -> Mac4 {
    session.mac(&[&mac2_input(limit, terminal, at)])
}

/// The TAC covers new balance || counter before || new limit || type || terminal || date || time.
#[must_use]
pub fn tac_input(
    new_balance: PurseFen,
    counter: CardCounter,
    limit: OverdraftLimit,
    terminal: &TerminalId,
    at: DateTime,
) -> [u8; 23] {
    join(&[&new_balance.to_bytes(), &counter.to_bytes(), &mac2_input(limit, terminal, at)])
}

/// The TAC, under the TAC key; `counter` is the one before the update.
#[must_use]
pub fn tac(
    tac_key: &SessionKey,
    new_balance: PurseFen,
    counter: CardCounter,
    limit: OverdraftLimit,
    terminal: &TerminalId,
    at: DateTime,
) -> Mac4 {
    tac_key.mac(&[&tac_input(new_balance, counter, limit, terminal, at)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use ykt_crypto::Key16;

    /// Vector `update overdraft/ED type 07`.
    #[test]
    fn vector_update_overdraft() {
        let key = |bytes| CardKey::Tdes(Key16::from_bytes(bytes));
        let duk = key(hex!("7ED6AB8FEE9E1BB795410DD415A24FC0"));
        let dtk = key(hex!("3E70EAFBF0AB93BE2550775592D5D927"));
        let terminal = TerminalId(hex!("001122334455"));
        let initialize = InitializeForUpdate { key_index: KeyIndex(1), terminal };
        assert_eq!(initialize.to_apdu(), hex!("80500401070100112233445513"));
        assert_eq!(
            InitializeForUpdate::parse(&Command::parse(&initialize.to_apdu()).unwrap()),
            Ok(initialize)
        );

        let (random, counter) = (Random4(hex!("C1C2C3C4")), CardCounter(7));
        let balance = PurseFen::from_bytes(hex!("00002FEA")).unwrap();
        let session = session_key(&duk, random, counter);
        assert_eq!(session.expose(), hex!("DC7E7655D4EA1045"));
        let answer = UpdateAnswer {
            balance,
            counter,
            limit: OverdraftLimit::NONE,
            key_version: KeyVersion(1),
            algorithm: 0,
            random,
            mac1: mac1(&session, balance, OverdraftLimit::NONE, &terminal),
        };
        assert_eq!(answer.to_bytes(), hex!("00002FEA00070000000100C1C2C3C4FA3398A6"));
        assert_eq!(UpdateAnswer::from_bytes(&answer.to_bytes()), Some(answer));

        let limit = OverdraftLimit(hex!("0186A0"));
        let at = DateTime::from_bcd(hex!("20240131123456")).unwrap();
        let update = UpdateOverdraft { limit, at, mac2: mac2(&session, limit, &terminal, at) };
        assert_eq!(update.to_apdu(), hex!("805800000E0186A0202401311234567458C12E04"));
        assert_eq!(UpdateOverdraft::parse(&Command::parse(&update.to_apdu()).unwrap()), Ok(update));
        let new = new_balance(balance, OverdraftLimit::NONE, limit).unwrap();
        assert_eq!(new.to_bytes(), hex!("0001B68A"));
        assert_eq!(tac(&dtk.tac_key(), new, counter, limit, &terminal, at), Mac4(hex!("4A5EA4FF")));
    }

    #[test]
    fn a_balance_stays_between_zero_and_the_limit_of_a_purse() {
        let fen = |bytes| PurseFen::from_bytes(bytes).unwrap();
        let (none, one) = (OverdraftLimit::NONE, OverdraftLimit([0, 0, 1]));
        assert_eq!(new_balance(fen([0; 4]), one, none), None);
        assert_eq!(new_balance(fen([0, 0, 0, 1]), one, none), Some(PurseFen::ZERO));
        assert_eq!(new_balance(fen([0x7F, 0xFF, 0xFF, 0xFF]), none, one), None);
        assert_eq!(new_balance(fen([0; 4]), one, one), Some(PurseFen::ZERO));
    }

    #[test]
    fn wrong_bytes_get_their_status_word() {
        let init = |bytes: &[u8]| InitializeForUpdate::parse(&Command::parse(bytes).unwrap()).err();
        assert_eq!(init(&hex!("805004020701001122334455")), Some(StatusWord::WRONG_P1P2));
        assert_eq!(init(&hex!("80500401080100112233445566")), Some(StatusWord::WRONG_LENGTH));
        let update = |bytes: &[u8]| UpdateOverdraft::parse(&Command::parse(bytes).unwrap()).err();
        for (apdu, sw) in [
            (&hex!("805801000E0186A0202401311234567458C12E")[..], StatusWord::WRONG_P1P2),
            (&hex!("805800000D0186A0202401311234567458C1"), StatusWord::WRONG_LENGTH),
            (&hex!("805800000E0186A0202401321234567458C12E"), StatusWord::WRONG_DATA),
        ] {
            assert_eq!(update(apdu), Some(sw));
        }
    }
}
