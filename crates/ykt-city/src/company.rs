//! The card company as the city founds it: its registers, its opening books, and the numbers it gives out.
//!
//! Everything goes through the functions the company's own desks use; the city only decides what it calls its
//! merchants.

use crate::names;
use crate::plan::{Scale, merchant_of};
use ykt_base::{
    Asn8, Date, DateTime, Fen, IssuerFactor, KeyVersion, MerchantCode, PosNo, PsamSerial, TerminalId, Time,
    bcd,
};
use ykt_ledger::{AccountCode, AccountError, Entry, EntryId, EntryIdError, PostError};
use ykt_office::RegisterError;
use ykt_office::act::Act;
use ykt_office::cards::{self, CardKind, NewCard};
use ykt_office::merchants::{self, Contract, NewMerchant, PayeeAccount, PayeeKind};
use ykt_office::terminals::{self, NewTerminal, Pair, TerminalEvent};
use ykt_store::{Store, StoreError, Tx};

/// City code of the simulated city.
pub const CITY_CODE: [u8; 2] = [0x21, 0x44];
/// The company's reserve account (备付金) at the bank; ledger account 1002.01.
pub const RESERVE_ACCOUNT: &str = "1001000000000000001";
/// The company's own account at the bank; ledger account 1002.02.
pub const OWN_ACCOUNT: &str = "1001000000000000002";
/// The account the gateway pays from.
pub const GATEWAY_ACCOUNT: &str = "9001000000000000001";
/// The bank everybody uses.
pub const BANK_NAME: &str = "临江银行 Bank of Linjiang";
/// Name of the payment channel.
pub const CHANNEL: &str = "GATEWAY";
/// Deposit for a card, in fen.
const CARD_DEPOSIT: Fen = Fen::new(2_000);
/// What the company starts with, in fen.
const EQUITY: Fen = Fen::new(100_000_000);
/// Years a card is valid.
const CARD_YEARS: u16 = 10;

/// Why the company cannot be founded, or a night's work not be done.
#[derive(Debug, thiserror::Error)]
pub enum CompanyError {
    /// A register refused.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The ledger refused.
    #[error(transparent)]
    Post(#[from] PostError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An account code is none.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// An entry id is none.
    #[error(transparent)]
    EntryId(#[from] EntryIdError),
    /// A number does not fit its code, or a sum its type.
    #[error("{0} does not fit")]
    Range(&'static str),
}

/// Factor of the city level: city code || FF || 00×5.
#[must_use]
pub fn city_factor() -> IssuerFactor {
    ykt_purse::files::city_factor(CITY_CODE)
}

fn number(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1)
}

/// Number of card `index`: city code and ten digits more.
///
/// # Errors
/// [`CompanyError::Range`] above ten digits.
pub fn card_number(index: usize) -> Result<Asn8, CompanyError> {
    let [a, b, c, d, e, f] =
        bcd::from_number::<6>(number(index)).ok_or(CompanyError::Range("card number"))?;
    let [city, code] = CITY_CODE;
    Ok(Asn8([city, code, a, b, c, d, e, f]))
}

/// Terminal id of the PSAM in terminal `index`.
///
/// # Errors
/// [`CompanyError::Range`] above eight digits.
pub fn terminal_id(index: usize) -> Result<TerminalId, CompanyError> {
    let [a, b, c, d] = bcd::from_number::<4>(number(index)).ok_or(CompanyError::Range("terminal id"))?;
    let [city, code] = CITY_CODE;
    Ok(TerminalId([city, code, a, b, c, d]))
}

/// Id of the load terminals: they have no PSAM, their ids count from the other end.
#[must_use]
pub fn load_terminal_id() -> TerminalId {
    let [city, code] = CITY_CODE;
    TerminalId([city, code, 0x99, 0, 0, 0x01])
}

/// Serial number of the PSAM in terminal `index`.
///
/// # Errors
/// [`CompanyError::Range`] above sixteen digits.
pub fn psam_serial(index: usize) -> Result<PsamSerial, CompanyError> {
    let digits = bcd::from_number::<8>(number(index)).ok_or(CompanyError::Range("PSAM serial"))?;
    let mut serial = [0; 10];
    serial[..2].copy_from_slice(&CITY_CODE);
    serial[2..].copy_from_slice(&digits);
    Ok(PsamSerial(serial))
}

/// Code of merchant `index`.
///
/// # Errors
/// [`CompanyError::Range`] above fourteen digits.
pub fn merchant_code(index: usize) -> Result<MerchantCode, CompanyError> {
    format!("M{:014}", number(index)).parse().map_err(|_| CompanyError::Range("merchant code"))
}

/// Number of POS `index`.
///
/// # Errors
/// [`CompanyError::Range`] above seven digits.
pub fn pos_number(index: usize) -> Result<PosNo, CompanyError> {
    format!("P{:07}", number(index)).parse().map_err(|_| CompanyError::Range("POS number"))
}

/// Bank account of merchant `index`.
#[must_use]
pub fn merchant_account(index: usize) -> String {
    format!("6222{:015}", number(index))
}

/// Last day of cards issued on `day`.
#[must_use]
pub fn card_expiry(day: Date) -> Date {
    Date::new(day.year().saturating_add(CARD_YEARS), 12, 31).unwrap_or(day)
}

/// The register entry of card `index`, issued on `day`.
///
/// # Errors
/// [`CompanyError::Range`] as [`card_number`].
pub fn new_card(index: usize, day: Date, key_version: KeyVersion) -> Result<NewCard, CompanyError> {
    Ok(NewCard {
        asn: card_number(index)?,
        factor: city_factor(),
        main_type: 1,
        sub_type: 0,
        kind: CardKind::Real,
        key_version,
        start: day,
        expiry: card_expiry(day),
    })
}

/// Fills the registers and opens the books, in one transaction: merchants with contracts, terminals with
/// their PSAMs, cards sold for a deposit in cash, and the company's equity.
///
/// # Errors
/// [`CompanyError`] when a register or the ledger refuses; nothing is founded then.
pub fn found(store: &Store, scale: &Scale, key_version: KeyVersion) -> Result<(), CompanyError> {
    let at = founding(scale)?;
    store.write(|tx| {
        let act = Act::of_system("founding", at);
        for index in 0..scale.merchants {
            found_merchant(tx, index, at.date, &act)?;
        }
        for index in 0..scale.terminals {
            found_terminal(tx, index, scale, at, &act)?;
        }
        let cards: Vec<NewCard> =
            (0..scale.cards).map(|index| new_card(index, at.date, key_version)).collect::<Result<_, _>>()?;
        cards::register(tx, &cards, &act)?;
        let numbers: Vec<Asn8> = cards.iter().map(|card| card.asn).collect();
        cards::issue(tx, &numbers, &act)?;
        open_books(tx, scale.cards, at)
    })
}

/// Seven in the morning of the founding day.
pub(crate) fn founding(scale: &Scale) -> Result<DateTime, CompanyError> {
    let date = scale.founding_day().ok_or(CompanyError::Range("founding day"))?;
    let time = Time::new(7, 0, 0).ok_or(CompanyError::Range("founding hour"))?;
    Ok(DateTime { date, time })
}

fn found_merchant(tx: &Tx<'_>, index: usize, from: Date, act: &Act) -> Result<(), CompanyError> {
    let (name_zh, name_en, industry) = names::shop(index);
    let code = merchant_code(index)?;
    let address = format!("临江市滨江路{}号", number(index));
    let account = PayeeAccount {
        bank: BANK_NAME.to_owned(),
        bank_id: "102301000017".to_owned(),
        account_no: merchant_account(index),
        account_name: name_zh.clone(),
        payee: PayeeKind::Company,
    };
    let new = NewMerchant { code, name_zh, name_en, industry: industry.code, address };
    merchants::register(tx, &new, act)?;
    let contract = Contract { from, until: None, commission_ppm: industry.commission_ppm, account };
    Ok(merchants::agree(tx, &code, &contract, act)?)
}

fn found_terminal(
    tx: &Tx<'_>,
    index: usize,
    scale: &Scale,
    from: DateTime,
    act: &Act,
) -> Result<(), CompanyError> {
    let pos = pos_number(index)?;
    let merchant = merchant_code(merchant_of(index, scale.merchants))?;
    terminals::register(tx, &NewTerminal { pos, merchant }, act)?;
    let pair =
        Pair { pos, terminal_id: terminal_id(index)?, psam_serial: psam_serial(index)?, from, until: None };
    terminals::pair(tx, &pair, act)?;
    terminals::change(tx, &pos, TerminalEvent::Start, act)?;
    Ok(())
}

fn open_books(tx: &Tx<'_>, cards: usize, at: DateTime) -> Result<(), CompanyError> {
    let equity = entry("founding/equity", "OPENING", at, ("1002.02", "4001"), EQUITY, "equity paid in")?;
    let mut entries = vec![equity];
    let deposits = deposits(cards)?;
    if !deposits.is_zero() {
        let memo = format!("deposits for {cards} cards, in cash");
        entries.push(entry("founding/cards", "CARD-SALE", at, ("1001", "2011"), deposits, &memo)?);
        let memo = "cash of the card sale";
        entries.push(entry("founding/till", "TILL-TO-BANK", at, ("1002.01", "1001"), deposits, memo)?);
    }
    ykt_ledger::post(tx, &entries)?;
    Ok(())
}

/// Deposits taken for `cards` cards.
///
/// # Errors
/// [`CompanyError::Range`] when the sum does not fit.
pub fn deposits(cards: usize) -> Result<Fen, CompanyError> {
    i64::try_from(cards)
        .ok()
        .and_then(|cards| CARD_DEPOSIT.checked_mul(cards))
        .ok_or(CompanyError::Range("sum of card deposits"))
}

/// What the company starts with on its own account.
#[must_use]
pub fn equity() -> Fen {
    EQUITY
}

/// An entry of two legs: debit the first account, credit the second.
///
/// # Errors
/// [`CompanyError`] for an id or account that is none.
pub fn entry(
    id: &str,
    event: &str,
    at: DateTime,
    (debit, credit): (&str, &str),
    amount: Fen,
    memo: &str,
) -> Result<Entry, CompanyError> {
    let account = |code: &str| code.parse::<AccountCode>();
    Ok(Entry::new(EntryId::new(id)?, at.date, at, event)
        .debit(account(debit)?, amount)
        .credit(account(credit)?, amount)
        .memo(memo))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!(card_number(0).unwrap().to_string(), "2144000000000001");
        assert_eq!(card_number(999).unwrap().to_string(), "2144000000001000");
        assert_eq!(terminal_id(59).unwrap().to_string(), "214400000060");
        assert_eq!(merchant_code(19).unwrap().as_str(), "M00000000000020");
        assert_eq!(pos_number(59).unwrap().as_str(), "P0000060");
        assert_eq!(city_factor().to_string(), "2144FF0000000000");
    }

    #[test]
    fn a_founded_company_has_registers_and_balanced_books() {
        let store = Store::in_memory(&[ykt_office::MODULE, ykt_ledger::MODULE]).unwrap();
        let scale = Scale {
            cards: 10,
            terminals: 4,
            merchants: 2,
            days: 1,
            seed: 1,
            first_day: "20260302".parse().unwrap(),
        };
        found(&store, &scale, KeyVersion(1)).unwrap();
        store
            .read(|tx| -> Result<(), StoreError> {
                assert_eq!(cards::count(tx)?, 10);
                let registers = ykt_office::Registers::load(tx)?;
                assert!(registers.card(&card_number(9).unwrap()).is_some());
                let sum: Fen = ykt_ledger::trial_balance(tx, None)?.iter().map(|line| line.balance).sum();
                assert!(sum.is_zero());
                Ok(())
            })
            .unwrap();
    }
}
