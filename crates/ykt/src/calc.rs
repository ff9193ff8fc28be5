//! `ykt calc`: what an engineer computes by hand when a card and a host disagree.
//!
//! Every command shows its results by the names vector files use; `--explain` shows each step on the way, `--json`
//! the same for programs. Keys that are asked for are printed: this is a tool for test keys.

mod input;
pub(crate) mod worked;

use input::{Challenge, HexArray, HexBytes, KeyArg, TacKeyArg, When};
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::process::ExitCode;
use worked::{LoadCase, PurchaseCase, Start, Step, Worked};
use ykt_base::{Asn8, CardCounter, IssuerFactor, KeyIndex, KeyVersion, Random4, TerminalId, TerminalSeq};
use ykt_crypto::CardKey;
use ykt_crypto::sm::Padding;
use ykt_purse::load::{self, Load};
use ykt_purse::psam::CardFactors;
use ykt_purse::purchase::{self, Purchase, PurchaseKind};
use ykt_purse::{OverdraftLimit, Purse, PurseFen, TransactionType};

/// Compute keys, MACs, TACs and whole transactions of the purse protocol.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Keys given as arguments are visible to others on this machine; --key-file - reads them from \
                  standard input.\n\nExamples:\n  \
    ykt calc diversify --key 606162636465666768696A6B6C6D6E6F --factor 01011000FFFFFFFF --factor 1700010170907984\n  \
    ykt calc mac --key 0123456789ABCDEF --data 00112233445566 --explain\n  \
    ykt calc kcv --key-file - < dtk.hex"
)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    /// Show each step on the way.
    #[arg(long, global = true)]
    explain: bool,
    /// Answer as one JSON object.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// A key down one or more levels (密钥分散).
    Diversify(Diversify),
    /// Session key (过程密钥) of a load, or of a purchase when --sequence is given.
    SessionKey(SessionKey),
    /// MAC over data: CBC-MAC under an 8-byte key (transaction MAC), retail MAC under a 16-byte key.
    Mac(MacArgs),
    /// TAC of a load (types 01, 02) or purchase (types 04, 05, 06, 09) under DTK.
    Tac(Tac),
    /// Check value (KCV) of a 16-byte key.
    Kcv(Kcv),
    /// A whole load: commands, answers, MAC1, MAC2, TAC, log record.
    Load(LoadArgs),
    /// A whole purchase: commands and answers of card and PSAM, MAC1, MAC2, TAC, log record.
    Purchase(PurchaseArgs),
    /// A command under secure messaging (安全报文), ready to send.
    SecureMessaging(SecureMessaging),
}

#[derive(Debug, clap::Args)]
struct Diversify {
    #[command(flatten)]
    key: KeyArg,
    /// Factor of 8 bytes; once per level, highest first, the card number last.
    #[arg(long = "factor", value_name = "HEX", required = true)]
    factors: Vec<HexArray<8>>,
}

#[derive(Debug, clap::Args)]
struct SessionKey {
    #[command(flatten)]
    key: KeyArg,
    /// The card's random number, 4 bytes hex.
    #[arg(long, value_name = "HEX")]
    random: Random4,
    /// The card's counter before the transaction, 2 bytes hex.
    #[arg(long, value_name = "HEX", value_parser = input::counter)]
    counter: CardCounter,
    /// Terminal sequence of a purchase, 4 bytes hex.
    #[arg(long, value_name = "HEX")]
    sequence: Option<HexArray<4>>,
}

#[derive(Debug, clap::Args)]
struct MacArgs {
    #[command(flatten)]
    key: KeyArg,
    /// Initial value: 8 bytes hex, or a 4-byte challenge; zeros when left out.
    #[arg(long, value_name = "HEX", default_value = "0000000000000000")]
    iv: Challenge,
    /// Data, without padding.
    #[arg(long, value_name = "HEX")]
    data: HexBytes,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ykt calc tac --key 3E70EAFBF0AB93BE2550775592D5D927 --type 06 --amount 150 \
    --terminal 360486600002 --sequence 00000011 --date 20240131 --time 123456"
)]
struct Tac {
    #[command(flatten)]
    key: KeyArg,
    /// Transaction type, 1 byte hex.
    #[arg(long = "type", value_name = "HEX", value_parser = input::transaction)]
    transaction: TransactionType,
    /// Amount in fen.
    #[arg(long, value_name = "FEN", value_parser = input::amount)]
    amount: PurseFen,
    /// Terminal id, 6 bytes hex.
    #[arg(long, value_name = "HEX")]
    terminal: TerminalId,
    #[command(flatten)]
    when: When,
    /// Terminal sequence, 4 bytes hex (purchases).
    #[arg(long, value_name = "HEX")]
    sequence: Option<HexArray<4>>,
    /// Balance after the load in fen (loads).
    #[arg(long, value_name = "FEN", value_parser = input::amount)]
    new_balance: Option<PurseFen>,
    /// Online counter before the load, 2 bytes hex (loads).
    #[arg(long, value_name = "HEX", value_parser = input::counter)]
    counter: Option<CardCounter>,
}

#[derive(Debug, clap::Args)]
struct Kcv {
    #[command(flatten)]
    key: KeyArg,
}

/// What loads and purchases have alike.
#[derive(Debug, clap::Args)]
struct Terms {
    #[command(flatten)]
    key: KeyArg,
    #[command(flatten)]
    dtk: TacKeyArg,
    /// Factors, when the keys are master keys: highest first, the card number last.
    #[arg(long = "factor", value_name = "HEX")]
    factors: Vec<HexArray<8>>,
    /// Amount in fen.
    #[arg(long, value_name = "FEN", value_parser = input::amount)]
    amount: PurseFen,
    /// Balance before in fen.
    #[arg(long, value_name = "FEN", value_parser = input::amount, default_value = "0")]
    balance: PurseFen,
    /// Terminal id, 6 bytes hex.
    #[arg(long, value_name = "HEX")]
    terminal: TerminalId,
    #[command(flatten)]
    when: When,
    /// The card's random number, 4 bytes hex.
    #[arg(long, value_name = "HEX")]
    random: Random4,
    /// The card's counter before, 2 bytes hex.
    #[arg(long, value_name = "HEX", value_parser = input::counter)]
    counter: CardCounter,
    /// Key index, 1 byte hex.
    #[arg(long, value_name = "HEX", default_value = "01")]
    key_index: HexArray<1>,
    /// Key version, 1 byte hex.
    #[arg(long, value_name = "HEX", default_value = "01")]
    key_version: HexArray<1>,
    /// Algorithm byte, 1 byte hex.
    #[arg(long, value_name = "HEX", default_value = "00")]
    algorithm: HexArray<1>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ykt calc load --key E5A60E3AB7E2795E3D8F4F5AACDD05D2 \
    --dtk 3E70EAFBF0AB93BE2550775592D5D927 --amount 20000 --terminal 001122334455 --date 20240131 \
    --time 123456 --random 01020304 --counter 0000 --explain")]
struct LoadArgs {
    #[command(flatten)]
    terms: Terms,
    /// Purse.
    #[arg(long, value_enum, default_value_t = PurseName::Ep)]
    purse: PurseName,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ykt calc purchase --key 404142434445464748494A4B4C4D4E4F \
    --dtk 606162636465666768696A6B6C6D6E6F --factor 01011000FFFFFFFF --factor 1700010170907984 \
    --balance 20000 --amount 150 --terminal 360486600002 --sequence 00000011 --date 20240131 --time 123456 \
    --random 5A5B5C5D --counter 0000 --explain")]
struct PurchaseArgs {
    #[command(flatten)]
    terms: Terms,
    /// Transaction type, 1 byte hex: 04, 05, 06 or 09.
    #[arg(long = "type", value_name = "HEX", value_parser = input::transaction, default_value = "06")]
    transaction: TransactionType,
    /// Terminal sequence, 4 bytes hex.
    #[arg(long, value_name = "HEX")]
    sequence: HexArray<4>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ykt calc secure-messaging --key 90E74C623C02DE7D760FF6F83FFEFC8C \
    --challenge A1B2C3D4 --header 84D69500 --data 0102030405060708090A --explain")]
struct SecureMessaging {
    #[command(flatten)]
    key: KeyArg,
    /// The card's challenge, 4 or 8 bytes hex.
    #[arg(long, value_name = "HEX")]
    challenge: Challenge,
    /// CLA INS P1 P2, 4 bytes hex.
    #[arg(long, value_name = "HEX")]
    header: HexArray<4>,
    /// Data in clear; none for commands that carry only a MAC.
    #[arg(long, value_name = "HEX", default_value = "")]
    data: HexBytes,
    /// How the data travel.
    #[arg(long, value_enum, default_value_t = Mode::Enciphered)]
    mode: Mode,
    /// When 80 00.. is appended before enciphering.
    #[arg(long, value_enum, default_value_t = PaddingName::Always)]
    padding: PaddingName,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PurseName {
    /// Electronic deposit (电子存折).
    Ed,
    /// Electronic purse (电子钱包).
    Ep,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Mode {
    /// In clear, with a MAC.
    Mac,
    /// Enciphered, with a MAC.
    Enciphered,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PaddingName {
    /// Always (FMCOS habit, the platform's default).
    Always,
    /// Only when LD and data do not fill blocks (the PBOC text).
    IfNeeded,
}

/// Runs the command.
///
/// # Errors
/// When an input is missing or wrong, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    writeln!(io::stdout(), "{}", answer(args)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Steps, and the names of those that are the answer.
type Answer = anyhow::Result<(Worked, Vec<&'static str>)>;

fn answer(args: &Args) -> anyhow::Result<String> {
    let (worked, results) = match &args.what {
        What::Diversify(what) => what.work()?,
        What::SessionKey(what) => what.work()?,
        What::Mac(what) => (worked::mac(&what.key.read()?, what.iv.0, &what.data.0), vec!["mac"]),
        What::Tac(what) => what.work()?,
        What::Kcv(what) => {
            let key = what.key.read_16()?;
            let mut worked = Worked::default();
            worked::push_kcv(&mut worked, &key);
            (worked, vec!["kcv"])
        }
        What::Load(what) => what.work()?,
        What::Purchase(what) => what.work()?,
        What::SecureMessaging(what) => what.work()?,
    };
    let is_result = |step: &&Step| results.contains(&step.name.as_str());
    if args.json {
        let values = worked.steps().iter().filter(is_result);
        let mut answer: Map<_, _> = values.map(|step| (step.name.clone(), json!(step.value))).collect();
        if args.explain {
            let step = |step: &Step| json!({"name": step.name, "value": step.value, "how": step.how});
            answer.insert("steps".to_owned(), worked.steps().iter().map(step).collect());
        }
        return Ok(Value::Object(answer).to_string());
    }
    let shown: Vec<_> = worked.steps().iter().filter(|step| args.explain || is_result(step)).collect();
    let width = shown.iter().map(|step| step.name.len()).max().unwrap_or(0);
    let line = |step: &&Step| match args.explain {
        true => format!("{:width$}  {}\n{:width$}    = {}", step.name, step.value, "", step.how),
        false => format!("{:width$}  {}", step.name, step.value),
    };
    Ok(shown.iter().map(line).collect::<Vec<_>>().join("\n"))
}

impl Diversify {
    fn work(&self) -> Answer {
        let named =
            |(at, factor): (usize, &HexArray<8>)| (format!("level_{}", at.saturating_add(1)), factor.0);
        let factors: Vec<_> = self.factors.iter().enumerate().map(named).collect();
        let worked = worked::diversify(&self.key.read_16()?, &factors);
        Ok((worked, vec!["card_key", "kcv"]))
    }
}

impl SessionKey {
    fn work(&self) -> Answer {
        let key = self.key.read()?;
        let mut worked = Worked::default();
        let (session_input, session, how) = match self.sequence {
            None => (
                load::session_input(self.random, self.counter),
                load::session_key(&key, self.random, self.counter),
                "random || online counter || 80 00",
            ),
            Some(HexArray(sequence)) => {
                let sequence = TerminalSeq::from_bytes(sequence);
                (
                    purchase::session_input(self.random, self.counter, sequence),
                    purchase::session_key(&key, self.random, self.counter, sequence),
                    "random || offline counter || low 2 bytes of the terminal sequence",
                )
            }
        };
        worked.push("session_input", &session_input, how);
        worked.push("session_key", session.expose(), "session input enciphered under the key");
        Ok((worked, vec!["session_key"]))
    }
}

impl Tac {
    fn work(&self) -> Answer {
        let dtk = self.key.read_16()?;
        let (amount, terminal, at) = (self.amount, self.terminal, self.when.at());
        let mut worked = Worked::default();
        let key = worked::push_tac_key(&mut worked, &dtk);
        let purse = match self.transaction {
            TransactionType::EdLoad => Some(Purse::Ed),
            TransactionType::EpLoad => Some(Purse::Ep),
            _ => None,
        };
        if let Some(purse) = purse {
            let (Some(balance), Some(counter)) = (self.new_balance, self.counter) else {
                anyhow::bail!("the TAC of a load covers --new-balance and --counter: give both");
            };
            let load = Load { purse, amount, terminal };
            let how = "new balance || counter before || amount || type || terminal || date || time";
            worked.push("tac_input", &load::tac_input(&load, balance, counter, at), how);
            worked.push("tac", &load::tac(&key, &load, balance, counter, at).0, "TMAC(TAC key)");
        } else {
            let purchase = Purchase { kind: purchase_kind(self.transaction)?, amount, terminal };
            let Some(HexArray(sequence)) = self.sequence else {
                anyhow::bail!("the TAC of a purchase covers --sequence: give it");
            };
            let sequence = TerminalSeq::from_bytes(sequence);
            let how = "amount || type || terminal || terminal sequence || date || time";
            worked.push("tac_input", &purchase::tac_input(&purchase, sequence, at), how);
            worked.push("tac", &purchase::tac(&key, &purchase, sequence, at).0, "TMAC(TAC key)");
        }
        Ok((worked, vec!["tac"]))
    }
}

fn purchase_kind(transaction: TransactionType) -> anyhow::Result<PurchaseKind> {
    let kind = PurchaseKind::from_type(transaction);
    kind.ok_or_else(|| anyhow::anyhow!("--type: {:02X} is no purchase", transaction.code()))
}

impl Terms {
    /// The card's transaction key and TAC key; diversified when factors are given.
    fn keys(&self, name: &str) -> anyhow::Result<(CardKey, Option<CardKey>, Worked)> {
        let (key, dtk, mut worked) = (self.key.read()?, self.dtk.read()?, Worked::default());
        let derive = |key: CardKey| self.factors.iter().fold(key, |key, factor| key.diversify(&factor.0));
        if self.factors.is_empty() {
            return Ok((key, dtk, worked));
        }
        if matches!(key, CardKey::Des(_)) {
            anyhow::bail!("only a key of 32 hex digits is diversified by --factor");
        }
        let (key, dtk) = (derive(key), dtk.map(derive));
        worked.push(name, key.expose(), "diversified by the factors");
        if let Some(dtk) = &dtk {
            worked.push("DTK", dtk.expose(), "diversified by the factors");
        }
        Ok((key, dtk, worked))
    }
}

impl Terms {
    fn start(&self) -> Start {
        Start {
            key_index: KeyIndex::from_bytes(self.key_index.0),
            key_version: KeyVersion::from_bytes(self.key_version.0),
            algorithm: u8::from_be_bytes(self.algorithm.0),
            random: self.random,
            counter: self.counter,
            balance: self.balance,
            at: self.when.at(),
        }
    }
}

impl LoadArgs {
    fn work(&self) -> Answer {
        let terms = &self.terms;
        if terms.balance.checked_add(terms.amount).is_none() {
            anyhow::bail!("--balance and --amount together are more than a purse holds: a card answers 6985");
        }
        let (dlk, dtk, mut worked) = terms.keys("DLK")?;
        let purse = match self.purse {
            PurseName::Ed => Purse::Ed,
            PurseName::Ep => Purse::Ep,
        };
        let case = LoadCase {
            dlk,
            dtk,
            start: terms.start(),
            load: Load { purse, amount: terms.amount, terminal: terms.terminal },
        };
        worked.append(case.work());
        Ok((worked, vec!["init_apdu", "init_response", "mac1", "mac2", "credit_apdu", "new_balance", "tac"]))
    }
}

impl PurchaseArgs {
    fn work(&self) -> Answer {
        let terms = &self.terms;
        let (dpk, dtk, mut worked) = terms.keys("DPK")?;
        let psam = card_factors(&terms.factors)?.map(|factors| (None, factors));
        let case = PurchaseCase {
            dpk,
            dtk,
            psam,
            start: terms.start(),
            purchase: Purchase {
                kind: purchase_kind(self.transaction)?,
                amount: terms.amount,
                terminal: terms.terminal,
            },
            overdraft: OverdraftLimit::NONE,
            sequence: TerminalSeq::from_bytes(self.sequence.0),
        };
        worked.append(case.work());
        let results = [
            "init_apdu",
            "init_response",
            "psam_8070_apdu",
            "psam_8070_response",
            "debit_apdu",
            "debit_response",
            "mac1",
            "mac2",
            "tac",
            "psam_8072_apdu",
            "new_balance",
        ];
        Ok((worked, results.to_vec()))
    }
}

/// The factors of an 8070, card last in the arguments; none for a finished card key.
fn card_factors(factors: &[HexArray<8>]) -> anyhow::Result<Option<CardFactors>> {
    Ok(match factors {
        [] => None,
        [card] => Some(CardFactors::one_level(Asn8(card.0))),
        [issuer, card] => Some(CardFactors::two_levels(IssuerFactor(issuer.0), Asn8(card.0))),
        [province, city, card] => {
            Some(CardFactors::three_levels(IssuerFactor(province.0), IssuerFactor(city.0), Asn8(card.0)))
        }
        more => anyhow::bail!("--factor: at most 3, found {}", more.len()),
    })
}

impl SecureMessaging {
    fn work(&self) -> Answer {
        let padding = match self.padding {
            PaddingName::Always => Padding::Always,
            PaddingName::IfNeeded => Padding::IfNeeded,
        };
        let enciphered = match self.mode {
            Mode::Mac => None,
            Mode::Enciphered => Some(padding),
        };
        let key = self.key.read()?;
        let HexArray(header) = self.header;
        let worked = worked::secure_message(&key, self.challenge.0, header, &[&self.data.0], enciphered);
        let worked = worked
            .ok_or_else(|| anyhow::anyhow!("--data: {} bytes do not fit one command", self.data.0.len()))?;
        Ok((worked, vec!["apdu"]))
    }
}

#[cfg(test)]
mod tests {
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
}
