//! The families of M1 cards and their readers: what an entry is about, its inputs say.

use super::entry::{Entry, Trouble};
use super::families::Outcome;
use crate::calc::worked::Worked;
use ykt_base::Fen;
use ykt_crypto::{Key16, Tdes};
use ykt_m1::access::{AccessBits, Condition};
use ykt_m1::command::{KeyStorage, ReaderCommand, Slot, ValueOperation};
use ykt_m1::key::Identity;
use ykt_m1::layout::{
    BlackFlag, CardFlag, IssueData, ProcessFlag, PublicInfo, RecordKind, RecordPointer, TransactionRecord,
};
use ykt_m1::{AuthCode, BlockNo, KeyKind, M1Layout, SectorKey, Uid, ValueBlock};

/// Value and amount of the reader commands where an entry names none.
const VALUE: i32 = 12_345;
const AMOUNT: i32 = 200;
/// The general purpose byte behind the access bits.
const GENERAL_PURPOSE: u8 = 0x69;

/// How the outputs of an entry come about.
type Rule = fn(&Entry) -> Outcome;

/// `m1/…`: blocks, keys and access bits of a city card.
pub(super) fn card(entry: &Entry) -> Outcome {
    let rules: [(&str, Rule); 7] = [
        ("value", value_block),
        ("ddHHmmss", record),
        ("pointer", public_info),
        ("city", issue_data),
        ("master", sector_key),
        ("blocks", access_bits),
        ("uid", issue_key),
    ];
    let rule = rules.iter().find(|(input, _)| entry.has(input)).ok_or(Trouble::Unknown)?;
    rule.1(entry)
}

fn one(name: &str, bytes: &[u8]) -> Outcome {
    let mut worked = Worked::default();
    worked.push(name, bytes, "");
    Ok(worked)
}

fn wrong(field: &str, expected: &str) -> Trouble {
    Trouble::Input(format!("input {field}: expected {expected}"))
}

fn byte(entry: &Entry, field: &str) -> Result<u8, Trouble> {
    entry.array::<1>(field).map(|[byte]| byte)
}

fn value_block(entry: &Entry) -> Outcome {
    let value = entry.read("value", str::parse::<i32>)?;
    one("block", &ValueBlock { value, address: byte(entry, "addr")? }.to_block())
}

fn record(entry: &Entry) -> Outcome {
    let [a, b, c] = entry.array("amount")?;
    let record = TransactionRecord {
        time: entry.array("ddHHmmss")?,
        before: Fen::new(i64::from(i32::from_le_bytes(entry.array("pre_balance_le")?))),
        amount: Fen::from(u32::from_be_bytes([0, a, b, c])),
        kind: RecordKind::from_code(byte(entry, "type")?),
        device: entry.array("device")?,
    };
    one("block", &record.to_block().unwrap_or_default())
}

fn public_info(entry: &Entry) -> Outcome {
    let pointer = RecordPointer::new(byte(entry, "pointer")?);
    let info = PublicInfo {
        pointer: pointer.ok_or_else(|| wrong("pointer", "01 to 09"))?,
        count: u16::from_be_bytes(entry.array("count")?),
        process: ProcessFlag::from_code(byte(entry, "process")?),
        month: u16::from_be_bytes(entry.array("month")?),
        black: BlackFlag::from_code(byte(entry, "black")?),
        reserved: [0; 7],
    };
    let layout = M1Layout { file_flag: byte(entry, "file")?, ..M1Layout::COMPLEMENT };
    let [main, copy] = info.to_blocks(&layout);
    let mut worked = Worked::default();
    worked.push("block24", &main, "");
    worked.push("block25", &copy, "");
    Ok(worked)
}

fn issue_data(entry: &Entry) -> Outcome {
    let data = IssueData {
        city: entry.array("city")?,
        industry: entry.array("industry")?,
        serial: entry.array("serial")?,
        auth_code: AuthCode(entry.array("authcode")?),
        flag: CardFlag::from_code(byte(entry, "flag")?),
        card_type: byte(entry, "card_type")?,
        key_version: byte(entry, "key_ver")?,
    };
    one("block", &data.to_block())
}

fn sector_key(entry: &Entry) -> Outcome {
    let master = entry.read("master", Key16::from_hex)?;
    let [high, low] = entry.array("serial_low2")?;
    let card = Identity {
        uid: Uid(entry.array("uid")?),
        city: [0; 2],
        industry: [0; 2],
        serial: [0, 0, high, low],
        auth_code: AuthCode([byte(entry, "authcode_first")?, 0, 0, 0]),
    };
    let factor = card.key_factor(byte(entry, "sector_key_id")?);
    let mut worked = Worked::default();
    worked.push("factor", &factor, "");
    worked.push("cipher", &Tdes::new(&master).encrypt(factor), "");
    worked.push("key6", SectorKey::derive(&master, &factor).expose(), "");
    Ok(worked)
}

/// `0-2: 000 ; trailer 011`: conditions of single blocks, of a range of them, and of the trailer.
fn access_bits(entry: &Entry) -> Outcome {
    let text = entry.text("blocks")?;
    let malformed = || wrong("blocks", "conditions such as `0-2: 000 ; trailer 011`");
    let mut conditions = [Condition::OPEN; 4];
    for part in text.split(';') {
        let (places, bits) = part.trim().rsplit_once([' ', ':']).ok_or_else(malformed)?;
        let number = usize::from_str_radix(bits.trim(), 2).ok().filter(|_| bits.trim().len() == 3);
        let condition = number.and_then(|number| Condition::all().nth(number)).ok_or_else(malformed)?;
        let places = match places.trim().trim_end_matches(':').trim() {
            "trailer" => "3",
            other => other,
        };
        let (first, last) = places.split_once('-').unwrap_or((places, places));
        let place = |text: &str| text.trim().parse::<usize>().map_err(|_| malformed());
        let range = conditions.get_mut(place(first)?..=place(last)?).ok_or_else(malformed)?;
        range.fill(condition);
    }
    let [a, b, c] = AccessBits::new(conditions).to_bytes();
    one("bytes6_9", &[a, b, c, GENERAL_PURPOSE])
}

fn issue_key(entry: &Entry) -> Outcome {
    one("keyA", SectorKey::issue_a(Uid(entry.array("uid")?)).expose())
}

/// `pcsc/…`: the commands by which programs reach a storage card, on one block and its neighbour.
pub(super) fn reader(entry: &Entry) -> Outcome {
    let key = SectorKey::from_bytes(entry.array("key")?);
    let at = |number: u8| BlockNo::new(number).ok_or_else(|| wrong("block", "00 to 3F"));
    let number = byte(entry, "block")?;
    let block = at(number)?;
    // An entry need not say where the copy goes and which address its value has: to the purse's backup or the next
    // block, the purse's or its own. Its outputs tell which of the two is meant.
    let ends = |output: &str, byte: u8| {
        let mut outputs = entry.expected_outputs();
        outputs.any(|(field, value)| {
            field == output && value.to_ascii_uppercase().ends_with(&format!("{byte:02X}"))
        })
    };
    let [purse, backup] = [BlockNo::PURSE.number(), BlockNo::PURSE_BACKUP.number()];
    let next = if ends("restore_copy", backup) { backup } else { number.saturating_add(1) };
    let to = at(entry.byte_or("to", next)?)?;
    let address = if ends("update16", !purse) { purse } else { number };
    let signed = |field: &str, otherwise: i32| match entry.has(field) {
        true => entry.read(field, str::parse::<i32>),
        false => Ok(otherwise),
    };
    let (value, amount) = (signed("value", VALUE)?, signed("amount", AMOUNT)?);
    let data = ValueBlock { value, address }.to_block();
    let load = |storage| ReaderCommand::LoadKey { storage, slot: Slot::FIRST, key: key.clone() };
    let second = Slot::new(1).unwrap_or(Slot::FIRST);
    let reckon = |operation, amount| ReaderCommand::Value { block, operation, amount };
    let mut worked = Worked::default();
    for (name, command) in [
        ("get_uid", ReaderCommand::Uid),
        ("load_key", load(KeyStorage::Volatile)),
        ("load_key_nonvolatile", load(KeyStorage::NonVolatile)),
        ("auth_keyA", ReaderCommand::Authenticate { block, kind: KeyKind::A, slot: Slot::FIRST }),
        ("auth_keyB", ReaderCommand::Authenticate { block, kind: KeyKind::B, slot: second }),
        ("read16", ReaderCommand::Read { block }),
        ("update16", ReaderCommand::Update { block, data }),
        ("value_store", reckon(ValueOperation::Store, value)),
        ("value_inc", reckon(ValueOperation::Increment, amount)),
        ("value_dec", reckon(ValueOperation::Decrement, amount)),
        ("read_value", ReaderCommand::ReadValue { block }),
        ("restore_copy", ReaderCommand::Copy { from: block, to }),
    ] {
        worked.push(name, &command.to_apdu(), "");
    }
    Ok(worked)
}

#[cfg(test)]
mod tests {
    use super::super::{Verdict, judge};
    use serde_json::json;

    fn verdict(name: &str, inputs: &serde_json::Value, outputs: &serde_json::Value) -> Verdict {
        let entry = json!([{ "name": name, "inputs": inputs, "outputs": outputs }]);
        judge(&super::super::entry::parse(&entry.to_string()).unwrap()[0])
    }

    /// Other numbers than the vectors', reckoned by hand.
    #[test]
    fn other_numbers_find_the_same_rule() {
        let bits = json!({ "blocks": "0: 110; 1-2: 001 ; trailer 100" });
        assert_eq!(verdict("m1/bits", &bits, &json!({ "bytes6_9": "E6996169" })), Verdict::Ok);
        let value = json!({ "value": -1, "addr": "3C" });
        let block = json!({ "block": "FFFFFFFF00000000FFFFFFFF3CC33CC3" });
        assert_eq!(verdict("m1/any", &value, &block), Verdict::Ok);
        let commands = json!({ "key": "000000000000", "block": "3C" });
        let data = "39300000C6CFFFFF39300000";
        for (to, address) in [("3D", "3CC33CC3"), ("0A", "09F609F6")] {
            let copy = format!("FFD7003C0203{to}");
            let update = format!("FFD6003C10{data}{address}");
            let outputs = json!({ "read16": "FFB0003C10", "restore_copy": copy, "update16": update });
            assert_eq!(verdict("pcsc/any", &commands, &outputs), Verdict::Ok);
        }
        let elsewhere = json!({ "restore_copy": "FFD7003C02033E" });
        assert!(matches!(verdict("pcsc/any", &commands, &elsewhere), Verdict::Differs(_)));
    }

    #[test]
    fn what_is_no_input_is_named() {
        for (inputs, named) in [
            (json!({ "blocks": "0-4: 000" }), "input blocks"),
            (json!({ "blocks": "0: 00" }), "input blocks"),
            (json!({ "pointer": "0A" }), "input pointer: expected 01 to 09"),
            (json!({ "value": "many", "addr": "09" }), "input value"),
            (json!({ "value": 1 }), "input addr is missing"),
        ] {
            match verdict("m1/x", &inputs, &json!({ "block": "00" })) {
                Verdict::Malformed(what) => assert!(what.contains(named), "{what}"),
                other => panic!("{inputs}: {other:?}"),
            }
        }
        let block = json!({ "key": "000000000000", "block": "40" });
        assert!(matches!(verdict("pcsc/x", &block, &json!({ "read16": "00" })), Verdict::Malformed(_)));
        assert_eq!(verdict("m1/x", &json!({ "other": 1 }), &json!({ "block": "00" })), Verdict::Unknown);
    }
}
