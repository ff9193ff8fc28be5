//! A plan: what a sort of card must do, case by case, as data that a card engineer can read and write.
//!
//! Built-in plans lie in `plans/`; others are files of the same shape (`docs/certify.md`). A plan may be spread
//! over parts, may take parameters, and a case with rows (`with`) is one case per row.

mod read;

use crate::action::{Action, KeyName, Need, Step};
use crate::template::Values;
use crate::words::{Text, Words};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use ykt_base::{DateTime, TerminalId, hex};
use ykt_crypto::sm::Padding;
use ykt_purse::Purse;

/// Most cases of a plan.
pub const CASES_MAX: usize = 1000;

/// How the names of parameters begin that no report shows.
pub const SECRET: &str = "key_";

/// Names of the built-in plans.
pub const BUILT_IN: &[&str] = &["purse", "psam", "m1"];

/// A plan.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Short name.
    pub name: String,
    /// What it is.
    pub title: Text,
    /// Version of its text.
    pub version: String,
    /// What sort of card it judges.
    pub card: CardSort,
    /// What it takes for granted.
    pub settings: Settings,
    /// Parameters whose name begins with [`SECRET`]: keys that stand in commands and not in reports.
    pub secrets: Values,
    /// What a card may have or lack.
    pub features: Vec<Feature>,
    /// The cases, in order.
    pub cases: Vec<Case>,
}

/// What sort of card a plan judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CardSort {
    /// A user card with an electronic purse.
    Purse,
    /// A purchase module.
    Psam,
    /// A Mifare Classic card behind a PC/SC reader.
    M1,
}

/// Something a card may lack without being wrong.
#[derive(Debug, Clone)]
pub struct Feature {
    /// Id.
    pub id: String,
    /// What it is.
    pub title: Text,
    /// How a card is asked whether it has it.
    pub sign: Sign,
}

/// How a card is asked whether it has a feature.
#[derive(Debug, Clone)]
pub enum Sign {
    /// By steps.
    Probe {
        /// The steps.
        steps: Vec<Step>,
        /// Status words of the last step that say it is absent; every other answer says it is there. Without them it
        /// is there when every step goes as written.
        absent: Option<Words>,
    },
    /// By its answer to reset: the transmission protocol it is spoken to by. Over T=0 readers correct Le themselves.
    Protocol(u8),
}

/// A case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Id, `family.name`.
    pub id: String,
    /// What it shows.
    pub purpose: Text,
    /// The clause that asks for it.
    pub clause: String,
    /// Whether it may cost the card something for good.
    pub harm: Harm,
    /// Features it needs.
    pub needs: Vec<Need>,
    /// Where it begins.
    pub start: Start,
    /// Steps that make the ground ready.
    pub setup: Vec<Step>,
    /// The steps.
    pub steps: Vec<Step>,
    /// Steps done afterwards, however the steps came out.
    pub cleanup: Vec<Step>,
}

/// What a case costs the card; what may be run is stated by the most harm that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// Counters and records only.
    None,
    /// It may block or use up something, if the card is wrong or keys are missing (tag `destructive`).
    Destructive,
    /// Afterwards the card is of no use any more (tag `fatal`).
    Fatal,
}

/// Where a case begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// Power was off, the application is selected.
    #[default]
    Application,
    /// Power was off.
    Reset,
}

/// The transmission protocol that PC/SC services choose for an answer to reset (ISO 7816-3, TD1, TD2, ..): T=1 where
/// it is offered, else T=0.
#[must_use]
pub fn protocol_of(atr: &[u8]) -> u8 {
    let mut bytes = atr.iter().skip(1);
    let mut format = bytes.next();
    while let Some(indicator) = format.filter(|indicator| **indicator & 0x80 != 0) {
        // TAi, TBi and TCi stand before TDi where the high digit has their bits.
        let before = usize::try_from((indicator >> 4 & 0x07).count_ones()).unwrap_or(0);
        format = bytes.nth(before);
        if format.is_some_and(|protocol| protocol & 0x0F == 1) {
            return 1;
        }
    }
    0
}

impl Case {
    /// Every step.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.setup.iter().chain(&self.steps).chain(&self.cleanup)
    }

    /// The keys without which it cannot be judged, on a card with these features.
    #[must_use]
    pub fn keys(&self, features: &BTreeSet<String>) -> BTreeSet<KeyName> {
        let done = |step: &&Step| step.when.as_ref().is_none_or(|need| need.is_met(features));
        self.all_steps().filter(done).flat_map(|step| step.action.keys()).collect()
    }

    /// Whether `wanted` names it: its id, or the beginning of its id up to a dot.
    #[must_use]
    pub fn is_named(&self, wanted: &str) -> bool {
        self.id.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl Need {
    /// Whether a card with these features is as wanted.
    #[must_use]
    pub fn is_met(&self, features: &BTreeSet<String>) -> bool {
        features.contains(&self.feature) == self.is_wanted
    }
}

/// What verbs take for granted: parameters of these names in the plan.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Application: name (5 to 16 bytes) or file id (2 bytes); none stays in the MF.
    #[serde(deserialize_with = "bytes")]
    pub application: Vec<u8>,
    /// The purse that transactions mean when they name none.
    #[serde(deserialize_with = "purse")]
    pub purse: Purse,
    /// Terminal id of transactions.
    #[serde(deserialize_with = "terminal")]
    pub terminal: TerminalId,
    /// Date and time of transactions, BCD; that of the run when left out.
    #[serde(deserialize_with = "date_time")]
    pub at: Option<DateTime>,
    /// Key index of transactions.
    #[serde(deserialize_with = "byte")]
    pub index: u8,
    /// Version of keys whose version the card does not state.
    #[serde(deserialize_with = "byte")]
    pub version: u8,
    /// Short id of the EP's log.
    #[serde(deserialize_with = "byte")]
    pub log_ep: u8,
    /// Short id of the ED's log.
    #[serde(deserialize_with = "byte")]
    pub log_ed: u8,
    /// Where the factor of the level above the card stands in EF 0015.
    pub factor: FactorPlace,
    /// How enciphered data are padded.
    pub padding: PaddingHabit,
    /// What the counter in the log shows.
    pub log_counter: LogCounter,
    /// Id of the PIN.
    #[serde(deserialize_with = "byte")]
    pub pin_id: u8,
    /// Short id of a PSAM's terminal sequence.
    #[serde(deserialize_with = "byte")]
    pub sequence_sfi: u8,
    /// Card number of the card a PSAM is asked about.
    #[serde(deserialize_with = "eight")]
    pub asn: [u8; 8],
}

/// Where the factor of the level above the card comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactorPlace {
    /// City code at offset 2, then FF and zeros (construction ministry).
    City,
    /// The eight bytes at offset 0 (T-Union, PBOC).
    Issuer,
}

/// What the counter in a log record shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogCounter {
    /// The value after the transaction.
    After,
    /// The value its MACs used.
    Used,
}

/// How enciphered data are padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaddingHabit {
    /// 80 00.. always.
    Always,
    /// Only when blocks are not full.
    IfNeeded,
}

impl From<PaddingHabit> for Padding {
    fn from(habit: PaddingHabit) -> Padding {
        match habit {
            PaddingHabit::Always => Padding::Always,
            PaddingHabit::IfNeeded => Padding::IfNeeded,
        }
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            application: Vec::new(),
            purse: Purse::Ep,
            terminal: TerminalId([0x11, 0x22, 0x33, 0x44, 0x55, 0x66]),
            at: None,
            index: 1,
            version: 1,
            log_ep: 0x18,
            log_ed: 0x18,
            factor: FactorPlace::City,
            padding: PaddingHabit::Always,
            log_counter: LogCounter::After,
            pin_id: 0,
            sequence_sfi: 0x18,
            asn: [0x21, 0x44, 0, 0, 0, 0, 0, 1],
        }
    }
}

/// Parameters given in place of a plan's own, by name.
pub type Overrides = BTreeMap<String, String>;

/// Why a plan is refused.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// It cannot be read.
    #[error("plan {path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No built-in plan has this name.
    #[error("no built-in plan `{name}`; there are {}, or name a plan file", BUILT_IN.join(", "))]
    Unknown {
        /// The name.
        name: String,
    },
    /// Something in it is wrong.
    #[error("plan {file}, {place}: {what}")]
    Wrong {
        /// File or part.
        file: String,
        /// Line, case and step, as far as known.
        place: String,
        /// What is wrong: expected, found.
        what: String,
    },
}

impl Plan {
    /// A built-in plan.
    ///
    /// # Errors
    /// [`PlanError::Unknown`], or an override that names no parameter.
    pub fn built_in(name: &str, overrides: &Overrides) -> Result<Plan, PlanError> {
        let text = read::built_in(name).filter(|_| BUILT_IN.contains(&name));
        let text = text.ok_or_else(|| PlanError::Unknown { name: name.to_owned() })?;
        read::plan(&format!("{name}.toml"), text, &read::built_in_part, overrides)
    }

    /// The plan in a file; its parts lie beside it.
    ///
    /// # Errors
    /// [`PlanError`] naming file, line or case, what was expected and found.
    pub fn read(path: &Path, overrides: &Overrides) -> Result<Plan, PlanError> {
        let text = |path: &Path| {
            std::fs::read_to_string(path).map_err(|source| PlanError::File { path: path.to_owned(), source })
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let part = |name: &str| text(&folder.join(name));
        read::plan(&path.display().to_string(), &text(path)?, &part, overrides)
    }

    /// A plan from its text, without parts.
    ///
    /// # Errors
    /// As [`Plan::read`].
    pub fn parse(text: &str) -> Result<Plan, PlanError> {
        let no_part = |name: &str| {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            Err(PlanError::File { path: PathBuf::from(name), source })
        };
        read::plan("plan", text, &no_part, &Overrides::new())
    }

    /// Whether any case is named so.
    #[must_use]
    pub fn has_case(&self, wanted: &str) -> bool {
        self.cases.iter().any(|case| case.is_named(wanted))
    }
}

fn hex_bytes<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    use serde::de::Error;
    let text = String::deserialize(from)?;
    let digits: String = text.split_whitespace().collect();
    let mut bytes = vec![0; digits.len().div_ceil(2)];
    hex::decode_into(&digits, &mut bytes).map_err(D::Error::custom)?;
    Ok(bytes)
}

fn fixed<'de, D: serde::Deserializer<'de>, const N: usize>(from: D) -> Result<[u8; N], D::Error> {
    use serde::de::Error;
    let bytes = hex_bytes(from)?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| D::Error::custom(format!("expected {N} hex bytes, found {found}")))
}

fn bytes<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    use serde::de::Error;
    let bytes = hex_bytes(from)?;
    match bytes.len() {
        0 | 2 | 5..=16 => Ok(bytes),
        found => Err(D::Error::custom(format!(
            "expected an application name of 5 to 16 bytes or a file id of 2, found {found} bytes"
        ))),
    }
}

fn byte<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    fixed(from).map(|[byte]| byte)
}

fn eight<'de, D: serde::Deserializer<'de>>(from: D) -> Result<[u8; 8], D::Error> {
    fixed(from)
}

fn terminal<'de, D: serde::Deserializer<'de>>(from: D) -> Result<TerminalId, D::Error> {
    fixed(from).map(TerminalId)
}

fn date_time<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<DateTime>, D::Error> {
    use serde::de::Error;
    let at = DateTime::from_bcd(fixed(from)?);
    at.map(Some).ok_or_else(|| D::Error::custom("expected YYYYMMDDHHMMSS"))
}

fn purse<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Purse, D::Error> {
    crate::action::PurseName::deserialize(from).map(Purse::from)
}

/// Whether an action is sure to leave the answer that a feature's `absent` looks at.
pub(crate) fn asks_the_card(action: &Action) -> bool {
    !matches!(action, Action::Reset {} | Action::Fund { .. } | Action::Drain { .. } | Action::Repeat { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_of_an_answer_to_reset() {
        assert_eq!(protocol_of(&[0x3B, 0x88, 0x80, 0x01]), 1, "T=0 and T=1, as contactless cards have it");
        assert_eq!(protocol_of(&[0x3B, 0x88, 0x01]), 1);
        assert_eq!(protocol_of(&[0x3B, 0xF8, 0x13, 0x00, 0x00, 0x81, 0x31]), 1, "behind TA1, TB1, TC1");
        assert_eq!(protocol_of(&[0x3B, 0x98, 0x13, 0x00]), 0, "TD1 states T=0");
        assert_eq!(protocol_of(&[0x3B, 0x00]), 0);
        assert_eq!(protocol_of(&[]), 0);
    }
}
