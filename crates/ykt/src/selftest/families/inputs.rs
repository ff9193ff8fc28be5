//! Inputs that several families read: keys with their algorithm, challenges, factors, and where a transaction begins.

use crate::calc::worked::{Start, Worked};
use crate::selftest::entry::{Entry, Trouble, missing};
use ykt_base::{Asn8, CardCounter, DateTime, IssuerFactor, KeyIndex, KeyVersion, Random4, TerminalId, hex};
use ykt_crypto::{CardKey, Key16, sm};
use ykt_purse::psam::CardFactors;
use ykt_purse::{Algorithm, OverdraftLimit, Purse, PurseFen};

/// Names under which the factor directly above the card comes.
const ISSUER_NAMES: [&str; 5] = ["city_factor", "issuer8", "issuer_factor", "issuer", "city8"];
/// Names under which the factor above that comes.
const PROVINCE_NAMES: [&str; 3] = ["province_factor", "province8", "province"];
/// Names under which the card number comes.
const CARD_NAMES: [&str; 2] = ["asn8", "asn"];

/// Outputs that need the card's TAC key.
const TAC_OUTPUTS: [&str; 5] =
    ["tac", "tac_key", "debit_response", "get_transaction_prove_response", "lock_response"];

/// The algorithm that an entry states: by its algorithm byte, or by its name.
pub(super) fn algorithm(entry: &Entry) -> Result<Option<Algorithm>, Trouble> {
    if entry.has("algorithm") {
        let [code] = entry.array("algorithm")?;
        return Ok(Algorithm::from_code(code));
    }
    Ok(Some(Algorithm::Sm4).filter(|_| entry.name.to_ascii_lowercase().contains("sm4")))
}

/// A key of 16 or 32 hex digits; the latter one of 3DES unless the entry states SM4.
pub(super) fn any_key(entry: &Entry, field: &str) -> Result<CardKey, Trouble> {
    match algorithm(entry)? {
        Some(Algorithm::Sm4) => entry.read(field, Key16::from_hex).map(CardKey::Sm4),
        _ => entry.read(field, CardKey::from_hex),
    }
}

/// A challenge of 4 or 8 bytes as a block.
pub(super) fn challenge(entry: &Entry, field: &str) -> Result<[u8; 8], Trouble> {
    let block = sm::iv_from_challenge(&entry.bytes(field)?);
    block.ok_or_else(|| Trouble::Input(format!("input {field}: expected 4 or 8 bytes")))
}

/// The factors of a card: its number, and what stands above it.
pub(super) fn factors(entry: &Entry) -> Result<Option<CardFactors>, Trouble> {
    let Some(card) = entry.first_of(&CARD_NAMES) else { return Ok(None) };
    let card = Asn8(entry.array(card)?);
    let factor = |names: &[&'static str]| match entry.first_of(names) {
        Some(name) => entry.array(name).map(IssuerFactor).map(Some),
        None => Ok(None),
    };
    Ok(match (factor(&PROVINCE_NAMES)?, factor(&ISSUER_NAMES)?) {
        (Some(province), Some(issuer)) => Some(CardFactors::three_levels(province, issuer, card)),
        (None, Some(issuer)) | (Some(issuer), None) => Some(CardFactors::two_levels(issuer, card)),
        (None, None) => Some(CardFactors::one_level(card)),
    })
}

/// A card's key: as it stands in the inputs, or derived from its master key when that is what the entry is about.
///
/// # Errors
/// When neither is there.
pub(super) fn card_key(entry: &Entry, name: &str) -> Result<(CardKey, Worked), Trouble> {
    let (key, derived) = optional_card_key(entry, name)?;
    key.map(|key| (key, derived)).ok_or_else(|| missing(name))
}

fn optional_card_key(entry: &Entry, name: &str) -> Result<(Option<CardKey>, Worked), Trouble> {
    let mut worked = Worked::default();
    if entry.has(name) && !entry.wants(name) {
        return any_key(entry, name).map(|key| (Some(key), worked));
    }
    let master = format!("{name}_master");
    if !entry.has(&master) {
        return Ok((None, worked));
    }
    let factors = factors(entry)?.ok_or_else(|| missing("asn8"))?;
    let key = factors.derive(&any_key(entry, &master)?);
    worked.push(name, key.expose(), "diversified from the master key");
    Ok((Some(key), worked))
}

/// The card's TAC key, when the entry has one.
pub(super) fn tac_key(entry: &Entry, worked: &mut Worked) -> Result<Option<CardKey>, Trouble> {
    let (key, derived) = optional_card_key(entry, "DTK")?;
    worked.append(derived);
    match key {
        None if TAC_OUTPUTS.iter().any(|output| entry.wants(output)) => Err(missing("DTK")),
        Some(CardKey::Des(_)) => Err(Trouble::Input("input DTK: expected 32 hex digits".to_owned())),
        key => Ok(key),
    }
}

/// Where a transaction begins; `counter` names the input of the counter it moves.
pub(super) fn start(entry: &Entry, counter: &str) -> Result<Start, Trouble> {
    let [a, b, c, d] = entry.array("date")?;
    let [e, f, g] = entry.array("time")?;
    let at = DateTime::from_bcd([a, b, c, d, e, f, g]);
    Ok(Start {
        key_index: KeyIndex(entry.byte_or("key_index", 1)?),
        key_version: KeyVersion(entry.byte_or("key_version", 1)?),
        algorithm: entry.byte_or("algorithm", algorithm(entry)?.map_or(0, Algorithm::code))?,
        random: Random4(entry.array("rand")?),
        counter: CardCounter::from_bytes(entry.array(counter)?),
        balance: money(entry, "balance")?,
        at: at.ok_or_else(|| Trouble::Input("inputs date, time: no such moment".to_owned()))?,
    })
}

/// A balance or amount.
pub(super) fn money(entry: &Entry, field: &str) -> Result<PurseFen, Trouble> {
    let amount = PurseFen::from_bytes(entry.array(field)?);
    amount.ok_or_else(|| Trouble::Input(format!("input {field}: above the limit of a purse")))
}

/// An overdraft limit; none when the input is not there.
pub(super) fn overdraft(entry: &Entry) -> Result<OverdraftLimit, Trouble> {
    match entry.has("overdraft") {
        true => entry.array("overdraft").map(OverdraftLimit),
        false => Ok(OverdraftLimit::NONE),
    }
}

/// The terminal.
pub(super) fn terminal(entry: &Entry) -> Result<TerminalId, Trouble> {
    entry.array("terminal").map(TerminalId)
}

/// The purse: input `purse`, or what the name says; an EP when it says nothing.
pub(super) fn purse(entry: &Entry) -> Result<Purse, Trouble> {
    if entry.has("purse") {
        let [code] = entry.array("purse")?;
        return Purse::from_code(code)
            .map_err(|_| Trouble::Input(format!("input purse: expected 01 or 02, found {code:02X}")));
    }
    Ok(if entry.rest().starts_with("ED") { Purse::Ed } else { Purse::Ep })
}

/// Hex digits as bytes.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len().div_ceil(2)];
    hex::decode_into(text, &mut bytes).ok().map(|()| bytes)
}
