//! What engineers type: keys from arguments, files or standard input, and hex fields of fixed or free length.

use anyhow::{Context, anyhow};
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use ykt_base::hex::{self, HexError};
use ykt_base::{CardCounter, Date, DateTime, Fen, Time};
use ykt_crypto::{CardKey, sm};
use ykt_purse::{PurseFen, TransactionType};

/// A key, and what it is one of.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct KeyArg {
    #[command(flatten)]
    source: KeySource,
    /// The keys are SM4 keys.
    #[arg(long)]
    sm4: bool,
}

/// A key, by argument or by file.
#[derive(Debug, clap::Args)]
#[group(id = "key-source", required = true, multiple = false)]
struct KeySource {
    /// Key: 16 hex digits (DES) or 32 (3DES; SM4 with --sm4). Arguments are visible to others on this machine and stay in the
    /// shell's history: for keys that matter use --key-file.
    #[arg(long, value_name = "HEX")]
    key: Option<String>,
    /// File that holds the key as hex digits; - reads a line of standard input.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl KeyArg {
    /// The key.
    pub(super) fn read(&self) -> anyhow::Result<CardKey> {
        let key = match &self.source {
            KeySource { key: Some(text), .. } => parse_key("--key", text),
            KeySource { key_file: Some(path), .. } => parse_key("--key-file", &key_text(path)?),
            KeySource { key: None, key_file: None } => Err(anyhow!("give the key with --key or --key-file")),
        }?;
        if self.sm4 { as_sm4(key, "the key") } else { Ok(key) }
    }

    /// The key, which must have 16 bytes.
    pub(super) fn read_16(&self) -> anyhow::Result<CardKey> {
        double(self.read()?, "the key")
    }
}

/// The TAC key of a card, by argument or by file.
#[derive(Debug, clap::Args)]
#[group(id = "dtk-source", multiple = false)]
pub(super) struct TacKeyArg {
    /// TAC key DTK: 32 hex digits; visible to others on this machine, see --dtk-file.
    #[arg(long, value_name = "HEX")]
    dtk: Option<String>,
    /// File that holds DTK as hex digits; - reads a line of standard input (after --key-file -).
    #[arg(long, value_name = "FILE")]
    dtk_file: Option<PathBuf>,
}

impl TacKeyArg {
    /// The key, when one was given; of SM4 when the transaction key is.
    pub(super) fn read(&self, other: &CardKey) -> anyhow::Result<Option<CardKey>> {
        let key = match (&self.dtk, &self.dtk_file) {
            (Some(text), _) => parse_key("--dtk", text)?,
            (None, Some(path)) => parse_key("--dtk-file", &key_text(path)?)?,
            (None, None) => return Ok(None),
        };
        match other {
            CardKey::Sm4(_) => as_sm4(key, "DTK").map(Some),
            CardKey::Des(_) | CardKey::Tdes(_) => double(key, "DTK").map(Some),
        }
    }
}

fn double(key: CardKey, name: &str) -> anyhow::Result<CardKey> {
    match key {
        CardKey::Des(_) => Err(anyhow!("{name}: expected 32 hex digits, found 16")),
        CardKey::Tdes(_) | CardKey::Sm4(_) => Ok(key),
    }
}

fn as_sm4(key: CardKey, name: &str) -> anyhow::Result<CardKey> {
    match double(key, name)? {
        CardKey::Tdes(key) => Ok(CardKey::Sm4(key)),
        key => Ok(key),
    }
}

fn parse_key(name: &str, text: &str) -> anyhow::Result<CardKey> {
    CardKey::from_hex(text.trim()).with_context(|| format!("{name}: expected 16 or 32 hex digits"))
}

fn key_text(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).context("standard input")?;
        return Ok(line);
    }
    std::fs::read_to_string(path).with_context(|| format!("key file {}", path.display()))
}

/// `N` bytes as hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HexArray<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> FromStr for HexArray<N> {
    type Err = HexError;
    fn from_str(text: &str) -> Result<Self, HexError> {
        hex::decode(text).map(HexArray)
    }
}

/// Bytes of any number as hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HexBytes(pub(super) Vec<u8>);

impl FromStr for HexBytes {
    type Err = HexError;
    fn from_str(text: &str) -> Result<Self, HexError> {
        let mut bytes = vec![0; text.len().div_ceil(2)];
        hex::decode_into(text, &mut bytes).map(|()| HexBytes(bytes))
    }
}

/// A challenge or IV of 4 or 8 bytes as hex digits; 4 bytes are filled up with zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Challenge(pub(super) [u8; 8]);

impl FromStr for Challenge {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let HexBytes(bytes) = text.parse().map_err(|error: HexError| error.to_string())?;
        let block = sm::iv_from_challenge(&bytes).map(Challenge);
        block.ok_or_else(|| format!("expected 4 or 8 bytes, found {}", bytes.len()))
    }
}

/// A transaction counter as 4 hex digits.
pub(super) fn counter(text: &str) -> Result<CardCounter, HexError> {
    hex::decode(text).map(CardCounter::from_bytes)
}

/// An amount in fen, as a decimal number.
pub(super) fn amount(text: &str) -> Result<PurseFen, String> {
    let fen: i64 = text.parse().map_err(|_| "expected a number of fen".to_owned())?;
    PurseFen::try_from(Fen::new(fen)).map_err(|error| error.to_string())
}

/// A transaction type as 2 hex digits.
pub(super) fn transaction(text: &str) -> Result<TransactionType, String> {
    let [code] = hex::decode(text).map_err(|error| error.to_string())?;
    TransactionType::from_code(code).ok_or_else(|| "expected 01 to 09 or 91 to 95".to_owned())
}

/// Date and time.
#[derive(Debug, clap::Args)]
pub(super) struct When {
    /// Date, yyyyMMdd.
    #[arg(long)]
    date: Date,
    /// Time of day, HHmmss.
    #[arg(long)]
    time: Time,
}

impl When {
    /// The moment.
    pub(super) const fn at(&self) -> DateTime {
        DateTime { date: self.date, time: self.time }
    }
}
