//! `ykt calc`: what an engineer computes by hand when a card and a host disagree.
//!
//! Every command shows its results by the names vector files use; `--explain` shows each step on the way, `--json`
//! the same for programs. Keys that are asked for are printed: this is a tool for test keys.

mod input;
mod pin;
mod transactions;
pub(crate) mod worked;

use input::{Challenge, HexArray, HexBytes, KeyArg, When};
use pin::PinArgs;
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::process::ExitCode;
use transactions::{GreyLockArgs, GreyUnlockArgs, LoadArgs, OverdraftArgs, PurchaseArgs, UnloadArgs};
use worked::{Step, Worked};
use ykt_base::{CardCounter, Random4, TerminalId, TerminalSeq};
use ykt_crypto::sm::Padding;
use ykt_purse::load::{self, Load};
use ykt_purse::purchase::{self, Purchase, PurchaseKind};
use ykt_purse::{Purse, PurseFen, TransactionType};

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
    /// MAC over data: CBC-MAC under an 8-byte key (transaction MAC), retail MAC under a 16-byte one, CBC-MAC under SM4.
    Mac(MacArgs),
    /// TAC of a load (types 01, 02) or purchase (types 04, 05, 06, 09) under DTK.
    Tac(Tac),
    /// Check value (KCV) of a 16-byte key.
    Kcv(Kcv),
    /// A whole load: commands, answers, MAC1, MAC2, TAC, log record.
    Load(LoadArgs),
    /// A whole purchase: commands and answers of card and PSAM, MAC1, MAC2, TAC, log record.
    Purchase(PurchaseArgs),
    /// A whole unload (圈提): commands, answers, MAC1, MAC2, MAC3, log record.
    Unload(UnloadArgs),
    /// A whole update of the overdraft limit (修改透支限额): commands, answers, MAC1, MAC2, TAC, log record.
    Overdraft(OverdraftArgs),
    /// A whole grey lock (灰锁) and its debit: commands and answers of card and PSAM, MACs, GTAC, TAC.
    GreyLock(GreyLockArgs),
    /// A whole online unlock (联机解扣): commands, answers, MAC1, MAC2, MAC3.
    GreyUnlock(GreyUnlockArgs),
    /// PIN commands: verify, change, reload.
    Pin(PinArgs),
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
        What::Unload(what) => what.work()?,
        What::Overdraft(what) => what.work()?,
        What::GreyLock(what) => what.work()?,
        What::GreyUnlock(what) => what.work()?,
        What::Pin(what) => what.work()?,
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
mod tests;
