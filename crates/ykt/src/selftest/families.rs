//! The rules of the families, by the inputs an entry has: other numbers and other names find the same rule.

use super::entry::{Entry, Trouble, missing};
use super::m1;
use crate::calc::worked::{self, LoadCase, PurchaseCase, Worked};
use ykt_base::apdu::COMMAND_LEN_MAX;
use ykt_base::hex;
use ykt_base::{
    Asn8, CardCounter, Command, DateTime, IssuerFactor, KeyIndex, KeyVersion, Random4, TerminalId,
    TerminalSeq,
};
use ykt_crypto::CardKey;
use ykt_crypto::sm::{self, Padding};
use ykt_purse::load::{self, CreditForLoad, InitializeForLoad, Load, LoadAnswer};
use ykt_purse::psam::CardFactors;
use ykt_purse::purchase::{self, Purchase, PurchaseKind};
use ykt_purse::write_key::Pin;
use ykt_purse::{OverdraftLimit, Purse, PurseFen, TransactionType, command};

pub(super) type Outcome = Result<Worked, Trouble>;

/// Names under which the factor directly above the card comes.
const ISSUER_NAMES: [&str; 5] = ["city_factor", "issuer8", "issuer_factor", "issuer", "city8"];
/// Names under which the factor above that comes.
const PROVINCE_NAMES: [&str; 3] = ["province_factor", "province8", "province"];
/// Names under which the card number comes.
const CARD_NAMES: [&str; 2] = ["asn8", "asn"];

/// Outputs that need the card's TAC key.
const TAC_OUTPUTS: [&str; 4] = ["tac", "tac_key", "debit_response", "get_transaction_prove_response"];

/// Recomputes an entry by the rule of its family.
pub(super) fn work(entry: &Entry) -> Outcome {
    match entry.family().as_str() {
        "prim" => prim(entry),
        "published" => published(entry),
        "diversify" => diversify(entry),
        "load" => load(entry),
        "purchase" | "cash withdraw" | "capp purchase" => purchase(entry),
        "sm" => secure_message(entry, &["key"]),
        "write key" => secure_message(entry, &["control_key", "key"]),
        "auth" => auth(entry),
        "pin" => pin(entry),
        "m1" => m1::card(entry),
        "pcsc" => m1::reader(entry),
        _ => Err(Trouble::Unknown),
    }
}

/// `prim/…`: DES and 3DES blocks, and the two MACs; the key's length decides.
fn prim(entry: &Entry) -> Outcome {
    let key = any_key(entry, "key")?;
    let data = entry.bytes("data")?;
    let iv = if entry.has("iv") { entry.array("iv")? } else { [0; 8] };
    let mut worked = worked::blocks(&key, &data);
    worked.append(worked::mac(&key, iv, &data));
    worked::push_kcv(&mut worked, &key);
    Ok(worked)
}

/// `published/…`: captures of others. What the captured answer states about the card itself (key version and
/// algorithm) is taken from it; everything computed is recomputed.
fn published(entry: &Entry) -> Outcome {
    if let Some(key) = entry.first_of(&["load_key", "DLK"]) {
        return published_load(entry, key);
    }
    if let Some(key) = entry.first_of(&["purchase_key", "DPK"]) {
        return published_purchase(entry, key);
    }
    if entry.has("key") && entry.has("challenge") {
        return external_authenticate(entry);
    }
    Err(Trouble::Unknown)
}

fn published_load(entry: &Entry, key: &str) -> Outcome {
    let init = entry.bytes("init_apdu")?;
    let wrong = |what: String| {
        Trouble::Input(format!("input init_apdu: expected INITIALIZE FOR LOAD, found one with {what}"))
    };
    let command = Command::parse(&init).map_err(|error| wrong(error.to_string()))?;
    let load = InitializeForLoad::parse(&command).map_err(|sw| wrong(sw.to_string()))?.load;
    let balance = entry.bytes("mac1_input")?.first_chunk().copied().and_then(PurseFen::from_bytes);
    let balance = balance.ok_or_else(|| Trouble::Input("input mac1_input: no balance in it".to_owned()))?;
    let random = Random4(entry.array("rand")?);
    let counter = CardCounter::from_bytes(entry.array("online_ctr")?);
    let session = load::session_key(&any_key(entry, key)?, random, counter);
    let mac1 = load::mac1(&session, &load, balance);
    let mut worked = Worked::default();
    worked.push("session_input", &load::session_input(random, counter), "");
    worked.push("session_key", session.expose(), "");
    worked.push("mac1_input", &load::mac1_input(&load, balance), "");
    worked.push("mac1", &mac1.0, "");
    let captured = entry.expected_outputs().find(|(field, _)| *field == "init_response");
    if let Some(answer) = captured.and_then(|(_, text)| LoadAnswer::from_bytes(&decode(&text)?)) {
        let answer = LoadAnswer { balance, counter, random, mac1, ..answer };
        worked.push("init_response", &answer.to_bytes(), "");
    }
    if !entry.has("mac2_input") {
        return Ok(worked);
    }
    // The last seven bytes of the MAC2 input are date and time.
    let at = entry.bytes("mac2_input")?.last_chunk().copied().and_then(DateTime::from_bcd);
    let at = at.ok_or_else(|| Trouble::Input("input mac2_input: no date and time in it".to_owned()))?;
    let mac2 = load::mac2(&session, &load, at);
    worked.push("mac2_input", &load::mac2_input(&load, at), "");
    worked.push("mac2", &mac2.0, "");
    let credit = CreditForLoad { at, mac2 }.to_apdu();
    // A capture without Le in one command has none in the other.
    let le = usize::from(command.le.is_none());
    worked.push("credit_apdu", &credit[..credit.len().saturating_sub(le)], "");
    Ok(worked)
}

/// A capture of a purchase: MACs over the inputs it states, under the session key.
fn published_purchase(entry: &Entry, key: &str) -> Outcome {
    let random = Random4(entry.array("rand")?);
    let counter = CardCounter::from_bytes(entry.array("offline_ctr")?);
    let sequence = TerminalSeq::from_bytes(entry.array("term_seq")?);
    let session = purchase::session_key(&any_key(entry, key)?, random, counter, sequence);
    let mut worked = Worked::default();
    worked.push("session_input", &purchase::session_input(random, counter, sequence), "");
    worked.push("session_key", session.expose(), "");
    for (input, output) in [("mac1_input", "mac1"), ("mac2_input", "mac2")] {
        if entry.has(input) {
            worked.push(output, &session.mac(&[&entry.bytes(input)?]).0, "");
        }
    }
    Ok(worked)
}

/// `diversify/…`: any number of levels; inputs `factor…` in the order of their names.
fn diversify(entry: &Entry) -> Outcome {
    let names = entry.inputs_named("factor");
    let master = any_key(entry, "master")?;
    if names.is_empty() {
        return Err(missing("factor"));
    }
    let level = |name: &&str| {
        let suffix = name.split_once('_').map_or(*name, |(_, suffix)| suffix);
        Ok((suffix.to_owned(), entry.array(name)?))
    };
    let factors = names.iter().map(level).collect::<Result<Vec<_>, Trouble>>()?;
    Ok(worked::diversify(&master, &factors))
}

/// `load/…`.
fn load(entry: &Entry) -> Outcome {
    let (dlk, mut derived) = card_key(entry, "DLK")?;
    let dlk = dlk.ok_or_else(|| missing("DLK"))?;
    let dtk = tac_key(entry, &mut derived)?;
    let (kind, terms) = (transaction(entry)?, Terms::read(entry)?);
    let purse = match kind {
        TransactionType::EdLoad => Purse::Ed,
        TransactionType::EpLoad => Purse::Ep,
        _ => return Err(Trouble::Input(format!("input type: expected 01 or 02, found {:02X}", kind.code()))),
    };
    let case = LoadCase {
        dlk,
        dtk,
        key_index: terms.key_index,
        key_version: terms.key_version,
        algorithm: terms.algorithm,
        load: Load { purse, amount: terms.amount, terminal: terms.terminal },
        random: terms.random,
        counter: CardCounter::from_bytes(entry.array("online_ctr")?),
        balance: terms.balance,
        at: terms.at,
    };
    derived.append(case.work());
    Ok(derived)
}

/// `purchase/…`, `cash withdraw/…`, `capp purchase/…`: the type byte decides.
fn purchase(entry: &Entry) -> Outcome {
    let (dpk, mut derived) = card_key(entry, "DPK")?;
    let dpk = dpk.ok_or_else(|| missing("DPK"))?;
    let dtk = tac_key(entry, &mut derived)?;
    let (kind, terms) = (transaction(entry)?, Terms::read(entry)?);
    let kind = PurchaseKind::from_type(kind).ok_or_else(|| {
        Trouble::Input(format!("input type: expected 04, 05, 06 or 09, found {:02X}", kind.code()))
    })?;
    let working_key = match entry.has("DPK_master") {
        true => Some(any_key(entry, "DPK_master")?),
        false => None,
    };
    let overdraft = if entry.has("overdraft") { entry.array("overdraft")? } else { [0; 3] };
    let case = PurchaseCase {
        dpk,
        dtk,
        psam: factors(entry)?.map(|factors| (working_key, factors)),
        key_index: terms.key_index,
        key_version: terms.key_version,
        algorithm: terms.algorithm,
        purchase: Purchase { kind, amount: terms.amount, terminal: terms.terminal },
        overdraft: OverdraftLimit(overdraft),
        random: terms.random,
        counter: CardCounter::from_bytes(entry.array("offline_ctr")?),
        sequence: TerminalSeq::from_bytes(entry.array("term_seq")?),
        balance: terms.balance,
        at: terms.at,
    };
    derived.append(case.work());
    Ok(derived)
}

/// `sm/…` and `write key/…`: header and data under a key of 8 or 16 bytes.
fn secure_message(entry: &Entry, key_names: &[&'static str]) -> Outcome {
    let key = any_key(entry, entry.first_of(key_names).unwrap_or(key_names[0]))?;
    let iv = challenge(entry, entry.first_of(&["iv", "challenge"]).unwrap_or("iv"))?;
    let data = match (entry.has("plain"), entry.has("key_header")) {
        (true, _) => entry.bytes("plain")?,
        (false, true) => [entry.bytes("key_header")?, entry.bytes("key")?].concat(),
        (false, false) => return Err(missing("plain")),
    };
    let padding = match entry.has("padding") {
        true => entry.read("padding", |text| match text {
            "always" => Ok(Padding::Always),
            "if needed" => Ok(Padding::IfNeeded),
            other => Err(format!("expected always or if needed, found {other:?}")),
        })?,
        false => Padding::Always,
    };
    let enciphered = match entry.has("mode") {
        true => entry.read("mode", |text| match text {
            "mac" => Ok(None),
            "enc+mac" => Ok(Some(padding)),
            other => Err(format!("expected mac or enc+mac, found {other:?}")),
        })?,
        false => Some(padding).filter(|_| entry.wants("cipher")),
    };
    let worked = worked::secure_message(&key, iv, entry.array("header")?, &[&data], enciphered);
    worked.ok_or_else(|| Trouble::Input("the data do not fit one command".to_owned()))
}

/// `auth/EXTERNAL …` and `auth/INTERNAL …`.
fn auth(entry: &Entry) -> Outcome {
    if entry.has("challenge") {
        return external_authenticate(entry);
    }
    let data = entry.array("data")?;
    let mut worked = Worked::default();
    let apdu = command::internal_authenticate(entry.byte_or("key_id", 0)?, &data);
    worked.push("apdu", apdu.encode(&mut [0; COMMAND_LEN_MAX]), "");
    worked.push("response", &any_key(entry, "key")?.authenticate(data), "");
    Ok(worked)
}

fn external_authenticate(entry: &Entry) -> Outcome {
    let block = challenge(entry, "challenge")?;
    let cryptogram = any_key(entry, "key")?.authenticate(block);
    let apdu = command::external_authenticate(entry.byte_or("key_id", 0)?, &cryptogram);
    let mut worked = Worked::default();
    worked.push("cryptogram", &cryptogram, "");
    worked.push("apdu", apdu.encode(&mut [0; COMMAND_LEN_MAX]), "");
    Ok(worked)
}

/// `pin/VERIFY`: digits, or bytes already filled up with F.
fn pin(entry: &Entry) -> Outcome {
    if !entry.has("pin") {
        return Err(Trouble::Unknown);
    }
    let pin = entry.read("pin", |text| {
        let bytes = || decode(text).and_then(|bytes| Pin::from_bytes(&bytes));
        Pin::from_digits(text).or_else(bytes).ok_or("expected 4 to 12 digits, or filled up with F")
    })?;
    let command = command::verify(entry.byte_or("key_id", 0)?, &pin);
    let mut worked = Worked::default();
    worked.push("apdu", command.encode(&mut [0; COMMAND_LEN_MAX]), "");
    Ok(worked)
}

/// What loads and purchases have alike.
struct Terms {
    key_index: KeyIndex,
    key_version: KeyVersion,
    algorithm: u8,
    amount: PurseFen,
    balance: PurseFen,
    terminal: TerminalId,
    random: Random4,
    at: DateTime,
}

impl Terms {
    fn read(entry: &Entry) -> Result<Terms, Trouble> {
        let amount = |field: &str| {
            let amount = PurseFen::from_bytes(entry.array(field)?);
            amount.ok_or_else(|| Trouble::Input(format!("input {field}: above the limit of a purse")))
        };
        let [a, b, c, d] = entry.array("date")?;
        let [e, f, g] = entry.array("time")?;
        let at = DateTime::from_bcd([a, b, c, d, e, f, g]);
        Ok(Terms {
            key_index: KeyIndex(entry.byte_or("key_index", 1)?),
            key_version: KeyVersion(entry.byte_or("key_version", 1)?),
            algorithm: entry.byte_or("algorithm", 0)?,
            amount: amount("amount")?,
            balance: amount("balance")?,
            terminal: TerminalId(entry.array("terminal")?),
            random: Random4(entry.array("rand")?),
            at: at.ok_or_else(|| Trouble::Input("inputs date, time: no such moment".to_owned()))?,
        })
    }
}

/// The transaction type: input `type`, or what the name says.
fn transaction(entry: &Entry) -> Result<TransactionType, Trouble> {
    if entry.has("type") {
        let [code] = entry.array("type")?;
        let kind = TransactionType::from_code(code);
        return kind.ok_or_else(|| Trouble::Input(format!("input type: {code:02X} is none")));
    }
    let ed = entry.rest().starts_with("ED");
    match (entry.family().as_str(), ed) {
        ("load", true) => Ok(TransactionType::EdLoad),
        ("load", false) => Ok(TransactionType::EpLoad),
        ("purchase", true) => Ok(TransactionType::EdPurchase),
        ("purchase", false) => Ok(TransactionType::EpPurchase),
        ("cash withdraw", _) => Ok(TransactionType::EdCashWithdraw),
        ("capp purchase", _) => Ok(TransactionType::CompositePurchase),
        _ => Err(Trouble::Unknown),
    }
}

/// A key of 16 or 32 hex digits.
fn any_key(entry: &Entry, field: &str) -> Result<CardKey, Trouble> {
    entry.read(field, CardKey::from_hex)
}

/// A challenge of 4 or 8 bytes as a block.
fn challenge(entry: &Entry, field: &str) -> Result<[u8; 8], Trouble> {
    let block = sm::iv_from_challenge(&entry.bytes(field)?);
    block.ok_or_else(|| Trouble::Input(format!("input {field}: expected 4 or 8 bytes")))
}

/// The factors of a card: its number, and what stands above it.
fn factors(entry: &Entry) -> Result<Option<CardFactors>, Trouble> {
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
fn card_key(entry: &Entry, name: &str) -> Result<(Option<CardKey>, Worked), Trouble> {
    let mut worked = Worked::default();
    if entry.has(name) && !entry.wants(name) {
        return any_key(entry, name).map(|key| (Some(key), worked));
    }
    let master = format!("{name}_master");
    if !entry.has(&master) {
        return Ok((None, worked));
    }
    let factors = factors(entry)?.ok_or_else(|| Trouble::Input("input asn8 is missing".to_owned()))?;
    let key = factors.derive(&any_key(entry, &master)?);
    worked.push(name, key.expose(), "diversified from the master key");
    Ok((Some(key), worked))
}

/// The card's TAC key, when the entry has one.
fn tac_key(entry: &Entry, worked: &mut Worked) -> Result<Option<CardKey>, Trouble> {
    let (key, derived) = card_key(entry, "DTK")?;
    worked.append(derived);
    match key {
        None if TAC_OUTPUTS.iter().any(|output| entry.wants(output)) => Err(missing("DTK")),
        None => Ok(None),
        Some(CardKey::Des(_)) => Err(Trouble::Input("input DTK: expected 32 hex digits".to_owned())),
        key => Ok(key),
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len().div_ceil(2)];
    hex::decode_into(text, &mut bytes).ok().map(|()| bytes)
}
