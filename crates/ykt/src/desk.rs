//! What the terminals on a desk are told on the command line: the host behind a load, whose POS it is, how much.

use crate::machine::{SystemClock, SystemRng};
use anyhow::{Context, anyhow, bail};
use std::path::{Path, PathBuf};
use ykt_base::hex::Hex;
use ykt_base::{CardChannel, DateTime, Fen, IssuerFactor, KeyIndex, MerchantCode, PosNo, Rng, TerminalId};
use ykt_files::Industry;
use ykt_purse::Purse;
use ykt_terminal::card;
use ykt_terminal::host::engineer::EngineerHost;
use ykt_terminal::host::{LoadHost, OrderId};
use ykt_terminal::load::LoadTerminal;
use ykt_terminal::pos::PosConfig;
use ykt_terminal::transport::host_http::HttpHost;
use ykt_vault::{KeyKind, KeyRef, KeysFile, SoftVault};

/// Exit code of a card that was not taken.
pub const DECLINED: u8 = 3;
/// Exit code of a card that left too early.
pub const TRY_AGAIN: u8 = 4;

/// A load terminal and the host behind it.
#[derive(Debug, clap::Args)]
pub struct LoadDesk {
    /// Load host, http://HOST:PORT
    #[arg(long, value_name = "URL")]
    host: Option<String>,
    /// File with the token of this terminal at the host in its first line; otherwise YKT_TOKEN holds it. Never an
    /// argument: every user of the machine could read that
    #[arg(long, value_name = "FILE", requires = "host")]
    token_file: Option<PathBuf>,
    /// Without a host: key file, for engineers. Nothing is booked, and the order ends with this command
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Payment channel the money came by
    #[arg(long, default_value = "CASH")]
    pub channel: String,
    /// Id of this load terminal, 12 hex digits
    #[arg(long, default_value = "F00000000001", value_name = "ID")]
    terminal: TerminalId,
    /// Index of the load key
    #[arg(long, default_value_t = 1)]
    key_index: u8,
}

impl LoadDesk {
    /// The terminal for one purse of the application.
    pub fn terminal(&self, purse: Purse) -> LoadTerminal {
        LoadTerminal { terminal: self.terminal, key_index: KeyIndex(self.key_index), purse }
    }

    /// Whether a host or keys are named.
    pub fn has_host(&self) -> bool {
        self.host.is_some() || self.keys.is_some()
    }

    /// Lets `work` talk to the host about a card.
    pub fn with_host<C: CardChannel, T, E: From<anyhow::Error>>(
        &self,
        card: &mut C,
        purse: Purse,
        work: impl FnOnce(&mut C, &mut dyn LoadHost) -> Result<T, E>,
    ) -> Result<T, E> {
        match (&self.host, &self.keys) {
            (Some(url), _) => {
                let token = self.token()?;
                work(card, &mut HttpHost::new(url, token.as_deref()).map_err(anyhow::Error::from)?)
            }
            (None, Some(keys)) => {
                eprintln!("no host: loading with the keys of {}; nothing is booked", keys.display());
                let (vault, factor) = engineer(keys, card)?;
                let tac_key = KeyRef::new(KeyKind::Tac, 1, 1);
                let index = KeyIndex(self.key_index);
                let host = EngineerHost::new(&vault, SystemClock, factor, index, tac_key);
                work(card, &mut host.of_purse(purse))
            }
            (None, None) => {
                Err(anyhow!("name a load host (--host URL) or, for engineers, a key file (--keys FILE)")
                    .into())
            }
        }
    }

    /// The terminal's token, from its file or the environment.
    fn token(&self) -> anyhow::Result<Option<String>> {
        let Some(path) = &self.token_file else {
            return Ok(std::env::var("YKT_TOKEN").ok());
        };
        let text = std::fs::read_to_string(path).with_context(|| format!("token file {}", path.display()))?;
        match text.lines().next() {
            Some(line) if !line.is_empty() => Ok(Some(line.to_owned())),
            _ => bail!("token file {}: its first line is empty", path.display()),
        }
    }
}

/// The keys of a file, and the level of them that the card belongs to.
fn engineer(keys: &Path, card: &mut impl CardChannel) -> anyhow::Result<(SoftVault, IssuerFactor)> {
    let vault = SoftVault::from_keys(KeysFile::read(keys)?)?;
    Ok((vault, card::open(card)?.factor()))
}

/// An order id nobody else chooses: the moment and eight random digits.
pub fn new_order(now: DateTime) -> anyhow::Result<OrderId> {
    Ok(format!("POS-{}-{}", now.as_number(), Hex(&SystemRng.bytes::<4>())).parse()?)
}

/// Whose terminal it is.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Merchant that is paid, 15 letters or digits
    #[arg(long, default_value = "M00000000000001", value_name = "CODE")]
    pub merchant: MerchantCode,
    /// Number of this POS, 8 letters or digits
    #[arg(long, default_value = "00000001", value_name = "NO")]
    pub pos: PosNo,
    /// Industry, 2 digits
    #[arg(long, default_value = "01", value_name = "CODE")]
    pub industry: Industry,
}

impl Place {
    /// The terminal, with the usual limits.
    pub fn config(&self) -> PosConfig {
        PosConfig::new(self.merchant, self.pos, self.industry)
    }
}

/// Yuan with at most two decimals.
pub fn yuan(text: &str) -> Result<Fen, String> {
    let fen = || {
        let (yuan, cents) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(yuan) || !digits(cents) || cents.len() > 2 {
            return None;
        }
        let cents = format!("{cents:0<2}").parse::<i64>().ok()?;
        yuan.parse::<i64>().ok()?.checked_mul(100)?.checked_add(cents).map(Fen::new)
    };
    fen().ok_or_else(|| "expected yuan with at most two decimals, such as 2.50".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_in_yuan() {
        for (text, fen) in [("2", 200), ("2.5", 250), ("2.05", 205), ("0.01", 1), ("1000000", 100_000_000)] {
            assert_eq!(yuan(text), Ok(Fen::new(fen)), "{text}");
        }
        for text in ["", ".", "2.", ".5", "2.005", "-1", "1,000", "2.5x", "99999999999999999999"] {
            assert!(yuan(text).is_err(), "{text}");
        }
    }
}
