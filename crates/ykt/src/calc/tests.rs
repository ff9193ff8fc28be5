//! The commands against the shared vectors, and what is refused.

use super::*;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn calc(line: &str) -> anyhow::Result<String> {
    let words = std::iter::once("calc").chain(line.split_whitespace());
    answer(&Line::try_parse_from(words)?.args)
}

/// The value a line of the answer has for a name.
fn value(line: &str, name: &str) -> String {
    let answer = calc(line).unwrap();
    let found = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {name} in {answer}")).trim().to_owned()
}

const TAC: &str = "tac --key 3E70EAFBF0AB93BE2550775592D5D927 --amount 150 --terminal 360486600002 \
                   --date 20240131 --time 123456";
const LOAD: &str = "load --key E5A60E3AB7E2795E3D8F4F5AACDD05D2 --dtk 3E70EAFBF0AB93BE2550775592D5D927 \
                    --amount 20000 --terminal 001122334455 --date 20240131 --time 123456 \
                    --random 01020304 --counter 0000";
const PURCHASE: &str = "purchase --key 404142434445464748494A4B4C4D4E4F \
                        --dtk 606162636465666768696A6B6C6D6E6F --factor 01011000FFFFFFFF \
                        --factor 1700010170907984 --balance 20000 --amount 150 --terminal 360486600002 \
                        --sequence 00000011 --date 20240131 --time 123456 --random 5A5B5C5D --counter 0000";
const MESSAGE: &str = "secure-messaging --key 90E74C623C02DE7D760FF6F83FFEFC8C --challenge A1B2C3D4";

/// The examples of the help, against the shared vectors.
#[test]
fn answers_of_the_vectors() {
    let diversify = "diversify --key 606162636465666768696A6B6C6D6E6F --factor 01011000FFFFFFFF \
                     --factor 1700010170907984";
    assert_eq!(value(diversify, "card_key"), "3E70EAFBF0AB93BE2550775592D5D927");
    assert_eq!(value("mac --key 0123456789ABCDEF --data 00112233445566", "mac"), "953C6AA0");
    let retail = "mac --key 11223344556677888877665544332211 --iv A1B2C3D4 --data 00";
    assert_eq!(value(retail, "mac"), "2B5B0AA8");
    assert_eq!(value("kcv --key 00000000000000000000000000000000", "kcv"), "8CA64D");
    let purchase = "session-key --key FBB4B98851865C96144C89BF8767E819 --random 5A5B5C5D --counter 0000";
    assert_eq!(value(&format!("{purchase} --sequence 00000011"), "session_key"), "F3CCCF76714AE87F");
    let load = "session-key --key E5A60E3AB7E2795E3D8F4F5AACDD05D2 --random 01020304 --counter 0000";
    assert_eq!(value(load, "session_key"), "D0E66C3E7DF77F93");
    assert_eq!(value(&format!("{TAC} --type 06 --sequence 00000011"), "tac"), "2C8978F0");
    assert_eq!(value(LOAD, "credit_apdu"), "805200000B20240131123456764044A204");
    assert_eq!(value(LOAD, "tac"), "71637FB1");
    assert_eq!(value(PURCHASE, "debit_apdu"), "805401000F0000001120240131123456FFB035B108");
    assert_eq!(value(PURCHASE, "debit_response"), "2C8978F0F74BAE7B");
    let enciphered = format!("{MESSAGE} --header 84D69610 --data 11223344556677");
    assert_eq!(value(&enciphered, "apdu"), "84D6961014794CC9158F5E2798B85542DA56C59E1C473C8A31");
    let needed = format!("{enciphered} --padding if-needed");
    assert_eq!(value(&needed, "apdu"), "84D696100C794CC9158F5E27980BC113CC");
    assert_eq!(value(&format!("{MESSAGE} --header 841E0000 --mode mac"), "apdu"), "841E00000473C9504F");
}

/// The transactions of the deposit, the grey lock and the PIN, and SM4.
#[test]
fn answers_of_the_other_transactions() {
    let when = "--date 20240131 --time 123456";
    let unload = format!(
        "unload --key 7C01F2AA87EBC94B38F353EAB220E9AC --balance 12766 --amount 500 --terminal 001122334455 \
         --random B1B2B3B4 --counter 0006 {when}"
    );
    assert_eq!(value(&unload, "debit_apdu"), "805403000B20240131123456A51D6D0204");
    assert_eq!(value(&unload, "mac3"), "F1025A2B");
    let overdraft = format!(
        "overdraft --key 7ED6AB8FEE9E1BB795410DD415A24FC0 --dtk 3E70EAFBF0AB93BE2550775592D5D927 --balance 12266 \
         --new-limit 0186A0 --terminal 001122334455 --random C1C2C3C4 --counter 0007 {when}"
    );
    assert_eq!(value(&overdraft, "tac"), "4A5EA4FF");
    let grey = format!("--balance 19650 --amount 300 {when}");
    let lock = format!(
        "grey-lock --key FBB4B98851865C96144C89BF8767E819 --dtk 3E70EAFBF0AB93BE2550775592D5D927 --counter 0003 \
         --terminal 360486600002 --sequence 00000015 --terminal-random E1E2E3E4 --random D1D2D3D4 {grey}"
    );
    assert_eq!(
        value(&lock, "unlock_apdu"),
        "E07E08021B0000012C000436048660000200000016202401311234568E24F41604"
    );
    assert_eq!(value(&lock, "tac"), "788C52E4");
    let unlock = format!(
        "grey-unlock --key 79CE28B6D59F4CEA15B2AEC63FC4CE6D --terminal 001122334455 --random D5D6D7D8 \
         --counter 0001 --offline-counter 0003 {grey}"
    );
    assert_eq!(value(&unlock, "unlock_apdu"), "E07E09020F0000012C20240131123456F12541A404");
    let reload = "pin reload --key DE7FCF3A63B79EACC774DA210D976B58 --new 123456";
    assert_eq!(value(reload, "apdu"), "805E0000071234562B64B888");
    assert_eq!(value("pin change --old 123456 --new 654321", "apdu"), "805E010007123456FF654321");
    assert_eq!(value("pin verify --pin 12345 --id 01", "apdu"), "002000010312345F");
    let sm4 = "--key 0123456789ABCDEFFEDCBA9876543210 --sm4";
    let card_key = value(&format!("diversify {sm4} --factor 1700010170907984"), "card_key");
    assert_eq!(card_key, "F2A1DE216207D63AA52D01D5D0E9F6D7");
    let purchase = format!(
        "purchase {sm4} --factor 1700010170907984 --dtk 0123456789ABCDEFFEDCBA9876543210 --balance 20000 \
         --amount 150 --terminal 360486600002 --sequence 00000011 --random 5A5B5C5D --counter 0000 {when}"
    );
    assert_eq!(value(&purchase, "debit_response"), "5A9103FE6075834C");
    assert_eq!(value(&purchase, "init_response"), "00004E20000000000001045A5B5C5D");
    let short = unload.replace("--balance 12766", "--balance 499");
    assert!(calc(&short).unwrap_err().to_string().contains("answers 9401"));
}

#[test]
fn explained_and_for_programs() {
    let explained = calc(&format!("{LOAD} --explain")).unwrap();
    assert!(explained.contains("mac1_input") && explained.contains("= balance || amount || type"));
    assert!(!calc(LOAD).unwrap().contains("mac1_input"));
    let json: Value = serde_json::from_str(&calc(&format!("{LOAD} --explain --json")).unwrap()).unwrap();
    assert_eq!((&json["tac"], &json["steps"][0]["name"]), (&json!("71637FB1"), &json!("init_apdu")));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (line, named) in [
        (format!("{TAC} --type 06"), "--sequence"),
        (format!("{TAC} --type 01"), "--new-balance"),
        (format!("{TAC} --type 03 --sequence 00000011"), "03 is no purchase"),
        (format!("{TAC} --type 77"), "expected 01 to 09"),
        ("kcv --key 0011".to_owned(), "16 or 32 hex digits"),
        ("kcv --key 0123456789ABCDEF".to_owned(), "expected 32 hex digits, found 16"),
        ("kcv".to_owned(), "--key"),
        ("kcv --key-file /nonexistent/key".to_owned(), "/nonexistent/key"),
        ("mac --key 0123456789ABCDEF --data 0g".to_owned(), "character 1"),
        ("mac --key 0123456789ABCDEF --iv 00 --data 00".to_owned(), "4 or 8 bytes"),
        (LOAD.replace("20000", "-1"), "amount"),
        (LOAD.replace("20240131", "20240231"), "date"),
        (format!("{MESSAGE} --header 84D69610 --data {}", "00".repeat(250)), "do not fit"),
    ] {
        let error = format!("{:#}", calc(&line).unwrap_err());
        assert!(error.contains(named), "{line}: {error}");
    }
}

#[test]
fn a_load_no_purse_holds_is_refused() {
    let error = calc(&format!("{LOAD} --balance 2147463648")).unwrap_err().to_string();
    assert!(error.contains("more than a purse holds"), "{error}");
    assert_eq!(value(&format!("{LOAD} --balance 2147463647"), "new_balance"), "7FFFFFFF");
}
