//! The rules of the families, by the inputs an entry has: other numbers and other names find the same rule.

mod inputs;
mod transactions;

use super::entry::{Entry, Trouble, missing};
use super::m1;
use crate::calc::worked::{self, SamTask, Worked};
use inputs::{algorithm, any_key, challenge, decode, factors};
use ykt_base::apdu::COMMAND_LEN_MAX;
use ykt_base::{CardCounter, Command, DateTime, KeyIndex, KeyVersion, Random4, TerminalSeq};
use ykt_crypto::sm::Padding;
use ykt_crypto::{CardKey, SessionKey};
use ykt_purse::load::{self, CreditForLoad, InitializeForLoad, LoadAnswer};
use ykt_purse::psam::{CardFactors, SamKeyType, SamUsage};
use ykt_purse::psam_cipher::DeliverKey;
use ykt_purse::write_key::Pin;
use ykt_purse::{PurseFen, command, purchase};

pub(super) type Outcome = Result<Worked, Trouble>;

/// Recomputes an entry by the rule of its family.
pub(super) fn work(entry: &Entry) -> Outcome {
    match entry.family().as_str() {
        "prim" => prim(entry),
        "published" => published(entry),
        "diversify" => diversify(entry),
        "load" => transactions::load(entry),
        "purchase" | "cash withdraw" | "capp purchase" => transactions::purchase(entry),
        "unload" => transactions::unload(entry),
        "update overdraft" => transactions::overdraft(entry),
        "grey lock" => transactions::grey_lock(entry),
        "grey online unlock" => transactions::grey_unlock(entry),
        "sm" => secure_message(entry, &["key"]),
        "write key" => secure_message(entry, &["control_key", "key"]),
        "auth" => auth(entry),
        "pin" => pin(entry),
        "m1" => m1::card(entry),
        "pcsc" => m1::reader(entry),
        "psam" => psam(entry),
        "sm4-proposal" => proposal(entry),
        _ => Err(Trouble::Unknown),
    }
}

/// Blocks and the MAC over data; the key's length decides between single DES and 3DES.
fn prim(entry: &Entry) -> Outcome {
    block_and_mac(entry, &any_key(entry, "key")?)
}

fn block_and_mac(entry: &Entry, key: &CardKey) -> Outcome {
    let data = entry.bytes("data")?;
    let iv = if entry.has("iv") { entry.array("iv")? } else { [0; 8] };
    let mut worked = worked::blocks(key, &data);
    worked.append(worked::mac(key, iv, &data));
    worked::push_kcv(&mut worked, key);
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
    if entry.has("key") && entry.has("data") {
        return published_block(entry);
    }
    Err(Trouble::Unknown)
}

/// An example of a cipher. A 16-byte key is one of 3DES or SM4: when nothing says which, the one that gives the block
/// expected.
fn published_block(entry: &Entry) -> Outcome {
    let worked = prim(entry)?;
    let Some((_, expected)) = entry.expected_outputs().find(|(field, _)| *field == "enc") else {
        return Ok(worked);
    };
    let is_right =
        |worked: &Worked| worked.value("enc").is_some_and(|enc| enc.eq_ignore_ascii_case(&expected));
    match any_key(entry, "key")? {
        CardKey::Tdes(key) if algorithm(entry)?.is_none() && !is_right(&worked) => {
            let other = block_and_mac(entry, &CardKey::Sm4(key))?;
            Ok(if is_right(&other) { other } else { worked })
        }
        _ => Ok(worked),
    }
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
    if let Some((_, text)) = captured {
        let stated = decode(&text).and_then(|bytes| LoadAnswer::from_bytes(&bytes));
        let (key_version, algorithm) =
            stated.map_or((KeyVersion(1), 0), |answer| (answer.key_version, answer.algorithm));
        let answer = LoadAnswer { balance, counter, key_version, algorithm, random, mac1 };
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
    macs_of_inputs(entry, &mut worked, &session)?;
    Ok(worked)
}

/// MAC1 and MAC2 over the inputs that the entry states.
fn macs_of_inputs(entry: &Entry, worked: &mut Worked, session: &SessionKey) -> Result<(), Trouble> {
    for (input, output) in [("mac1_input", "mac1"), ("mac2_input", "mac2")] {
        if entry.has(input) {
            worked.push(output, &session.mac(&[&entry.bytes(input)?]).0, "");
        }
    }
    Ok(())
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
    let mut worked = Worked::default();
    worked.push("cryptogram", &cryptogram, "");
    let apdu = command::external_authenticate(entry.byte_or("key_id", 0)?, &cryptogram);
    worked.push("apdu", apdu.encode(&mut [0; COMMAND_LEN_MAX]), "");
    Ok(worked)
}

/// `pin/…`: VERIFY by `pin`, CHANGE PIN by `old` and `new`, RELOAD PIN by `DRPK` and `new_pin`, and PIN UNBLOCK, which
/// is a secure message.
fn pin(entry: &Entry) -> Outcome {
    let id = KeyIndex(entry.byte_or("key_id", 0)?);
    if entry.has("header") {
        return secure_message(entry, &["DPUK", "key"]);
    }
    if entry.has("pin") {
        return Ok(worked::verify_pin(id, &read_pin(entry, "pin")?));
    }
    if entry.has("DRPK") {
        return Ok(worked::reload_pin(id, &any_key(entry, "DRPK")?, read_pin(entry, "new_pin")?));
    }
    if entry.has("old") || entry.has("new") {
        return Ok(worked::change_pin(id, read_pin(entry, "old")?, read_pin(entry, "new")?));
    }
    Err(Trouble::Unknown)
}

/// A PIN as digits, or as bytes already filled up with F.
fn read_pin(entry: &Entry, field: &str) -> Result<Pin, Trouble> {
    entry.read(field, |text| {
        let bytes = || decode(text).and_then(|bytes| Pin::from_bytes(&bytes));
        Pin::from_digits(text).or_else(bytes).ok_or("expected 4 to 12 digits, or filled up with F")
    })
}

/// `psam/…`: DELIVERY KEY, then CIPHER DATA: encipherment by an encipherment key (type 7), a MAC by the others; over
/// `header` with the challenge as IV, or over `data` with a zero IV.
fn psam(entry: &Entry) -> Outcome {
    let usage = entry.read("key_usage", |text| {
        let digits: String =
            text.trim_start_matches("0x").chars().take_while(char::is_ascii_hexdigit).collect();
        u8::from_str_radix(&digits, 16).ok().and_then(SamUsage::from_code).ok_or("expected a usage byte")
    })?;
    let factors = match entry.has("delivery_factors") {
        true => {
            let bytes = entry.bytes("delivery_factors")?;
            CardFactors::from_bytes(&bytes)
                .map(Some)
                .ok_or_else(|| Trouble::Input("input delivery_factors: expected 1 to 3 factors".to_owned()))?
        }
        false => factors(entry)?,
    };
    let levels = factors.map_or(0, |factors| factors.levels());
    if levels != usize::from(usage.levels()) {
        let expected = usage.levels();
        return Err(Trouble::Input(format!(
            "factors: expected {expected} as key_usage says, found {levels}"
        )));
    }
    let version = KeyVersion(entry.byte_or("key_version", 0)?);
    let deliver = DeliverKey { usage, version, factors };
    let (challenge, data) = match entry.has("header") {
        true => (entry.bytes("challenge")?, entry.bytes("header")?),
        false => (if entry.has("iv") { entry.bytes("iv")? } else { Vec::new() }, entry.bytes("data")?),
    };
    let task = match usage.kind() {
        SamKeyType::Encipher => SamTask::Encipher(&data),
        _ => SamTask::Mac { challenge: &challenge, data: &data },
    };
    let root = any_key(entry, "root_key")?;
    let worked = worked::delivered(&root, &deliver, &task);
    worked.ok_or_else(|| Trouble::Input("the data do not fit one CIPHER DATA".to_owned()))
}

/// `sm4-proposal/…`: the rules of the other families under SM4, found by the inputs.
fn proposal(entry: &Entry) -> Outcome {
    if entry.has("master") {
        return diversify(entry);
    }
    if entry.has("header") && !entry.has("root_key") {
        return secure_message(entry, &["control_key", "key"]);
    }
    if entry.has("session_input") && !entry.has("rand") {
        return proposal_macs(entry);
    }
    match () {
        () if entry.has("DLK") || entry.has("DLK_master") => transactions::load(entry),
        () if entry.has("DPK") || entry.has("DPK_master") => transactions::purchase(entry),
        () if entry.has("root_key") => psam(entry),
        () if entry.has("challenge") => external_authenticate(entry),
        () if entry.has("key") => prim(entry),
        () => Err(Trouble::Unknown),
    }
}

/// Session key, MACs and TAC over the inputs stated.
fn proposal_macs(entry: &Entry) -> Outcome {
    let name = entry.first_of(&["DPK", "DLK", "key"]).ok_or_else(|| missing("DPK"))?;
    let session = any_key(entry, name)?.session(entry.array("session_input")?);
    let mut worked = Worked::default();
    worked.push("session_key", session.expose(), "");
    macs_of_inputs(entry, &mut worked, &session)?;
    if entry.has("DTK") {
        let key = worked::push_tac_key(&mut worked, &any_key(entry, "DTK")?);
        if entry.has("tac_input") {
            worked.push("tac", &key.mac(&[&entry.bytes("tac_input")?]).0, "");
        }
    }
    Ok(worked)
}
