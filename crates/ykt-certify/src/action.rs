//! The closed set of things a step can do. Each is one command of a card, with the faults that a plan may put into
//! it on purpose, or one question whose answer the books of the runner know.

mod names;

pub use names::{
    CipherMode, CounterName, KeyName, LockProofForm, MacFault, PinChoice, ProofCounter, ProofFault,
    PurseName, SecureFault, Transaction,
};

use crate::template::{Pattern, Template};
use crate::words::Words;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use ykt_base::StatusWord;

/// Most repetitions of a step.
pub const TIMES_MAX: u16 = 64;

/// One step of a case.
#[derive(Debug, Clone)]
pub struct Step {
    /// A feature without which the step is left out (`!` before it: with which).
    pub when: Option<Need>,
    /// What is done.
    pub action: Action,
    /// The step as the plan writes it.
    pub source: String,
}

/// A feature that must be there, or must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Id of the feature.
    pub feature: String,
    /// Whether the card must have it.
    pub is_wanted: bool,
}

impl Need {
    /// `capp`, or `!capp`.
    #[must_use]
    pub fn parse(text: &str) -> Need {
        let (feature, is_wanted) = match text.strip_prefix('!') {
            Some(feature) => (feature, false),
            None => (text, true),
        };
        Need { feature: feature.to_owned(), is_wanted }
    }
}

/// What a step does.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Sends bytes as they are.
    Send {
        /// The command.
        apdu: Template,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
        /// The data wanted.
        answer: Option<Pattern>,
    },
    /// Sends the command before once more, byte for byte.
    Again {
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// Takes the power off and on.
    Reset {},
    /// SELECT by name or by file id; without both, the application of the plan.
    Select {
        /// Application name.
        name: Option<Template>,
        /// File id.
        file: Option<Template>,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
        /// The data wanted.
        answer: Option<Pattern>,
    },
    /// Does steps several times.
    Repeat {
        /// How often, at most [`TIMES_MAX`].
        times: u16,
        /// The steps.
        #[serde(deserialize_with = "steps")]
        steps: Vec<Step>,
    },
    /// GET CHALLENGE; the challenge becomes `{challenge}`.
    Challenge {
        /// 4 or 8 bytes.
        #[serde(default = "eight")]
        len: u8,
    },
    /// EXTERNAL AUTHENTICATE, with the GET CHALLENGE before it.
    ExternalAuthenticate {
        /// The key.
        key: KeyName,
        /// Its id on the card.
        #[serde(default, deserialize_with = "byte")]
        id: u8,
        /// What is done wrong on purpose.
        #[serde(default)]
        fault: ProofFault,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// INTERNAL AUTHENTICATE; the answer is checked.
    InternalAuthenticate {
        /// The key.
        key: KeyName,
        /// Its id on the card.
        #[serde(default, deserialize_with = "byte")]
        id: u8,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// VERIFY.
    Verify {
        /// Which PIN is shown.
        #[serde(default)]
        pin: PinChoice,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// RELOAD PIN.
    ReloadPin {
        /// The new PIN.
        #[serde(default)]
        pin: PinChoice,
        /// What is done wrong on purpose.
        #[serde(default)]
        fault: ProofFault,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// A command under secure messaging, with the GET CHALLENGE before it. Class 84 enciphers the data, if any.
    Secure {
        /// CLA INS P1 P2.
        header: Template,
        /// Data in clear.
        #[serde(default)]
        data: Template,
        /// The key.
        key: KeyName,
        /// What is done wrong on purpose.
        #[serde(default)]
        fault: SecureFault,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
        /// The data wanted of a reading command, MAC taken off and checked.
        answer: Option<Pattern>,
    },
    /// Sees to it that there is money: what is missing is loaded. Afterwards the application is freshly selected.
    Fund {
        /// Fen that must be there at least.
        amount: u32,
        /// Which purse; the plan's when left out.
        purse: Option<PurseName>,
    },
    /// Sees to it that there is not too much money: what is above is paid.
    Drain {
        /// Fen that may be there at most.
        amount: u32,
        /// Which purse; the plan's when left out.
        purse: Option<PurseName>,
    },
    /// INITIALIZE of a transaction; on 9000 balance, counter and MAC of the answer are checked.
    Initialize {
        /// Which transaction.
        #[serde(rename = "for")]
        transaction: Transaction,
        /// Fen.
        #[serde(default = "one_fen")]
        amount: u32,
        /// Which purse; the plan's when left out.
        purse: Option<PurseName>,
        /// Key index; the plan's when left out.
        #[serde(default, deserialize_with = "some_byte")]
        index: Option<u8>,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// CREDIT FOR LOAD; on 9000 the TAC is checked and the books follow.
    Credit {
        /// What is done wrong on purpose.
        #[serde(default)]
        fault: MacFault,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// DEBIT FOR PURCHASE, cash withdrawal and composite purchase; on 9000 TAC and MAC2 are checked and the books
    /// follow.
    Debit {
        /// What is done wrong on purpose.
        #[serde(default)]
        fault: MacFault,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// DEBIT FOR UNLOAD; on 9000 MAC3 is checked and the books follow.
    DebitForUnload {
        /// What is done wrong on purpose.
        #[serde(default)]
        fault: MacFault,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// UPDATE OVERDRAW LIMIT; on 9000 the TAC is checked and the books follow.
    UpdateOverdraft {
        /// Fen of the new limit; the one the card had first in this case when left out.
        limit: Option<u32>,
        /// What is done wrong on purpose.
        #[serde(default)]
        fault: MacFault,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// GREY LOCK; on 9000 MAC2 and GTAC are checked and the books follow.
    GreyLock {
        /// What is done wrong on purpose.
        #[serde(default)]
        fault: MacFault,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// DEBIT FOR UNLOCK; on 9000 the TAC is checked and the books follow.
    DebitForUnlock {
        /// Fen.
        amount: u32,
        /// Which purse; the plan's when left out.
        purse: Option<PurseName>,
        /// What is done wrong on purpose.
        #[serde(default)]
        fault: MacFault,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// GREY UNLOCK of an online unlock; on 9000 MAC3 is checked and the books follow.
    GreyUnlock {
        /// Fen.
        amount: u32,
        /// What is done wrong on purpose.
        #[serde(default)]
        fault: MacFault,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// GET LOCK PROOF; must be what the books say.
    LockProof {
        /// Whether the TAC counts as read.
        #[serde(default)]
        form: LockProofForm,
        /// Which purse; the plan's when left out.
        purse: Option<PurseName>,
    },
    /// GET BALANCE; must be what the books say.
    Balance {
        /// Which purse; the plan's when left out.
        purse: Option<PurseName>,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// READ RECORD of the log: the transactions of this case, newest first.
    Log {
        /// Which purse; the plan's when left out.
        purse: Option<PurseName>,
    },
    /// GET TRANSACTION PROVE of the last transaction of this case.
    Proof {
        /// Which purse; the plan's when left out.
        purse: Option<PurseName>,
        /// Which counter is named.
        #[serde(default)]
        counter: ProofCounter,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// Balance, log, proof and counters: all must be what the books say.
    Books {
        /// Which purse; the plan's when left out.
        purse: Option<PurseName>,
    },
    /// Pays the smallest amount until the offline counter, or loads it until the online counter stands at FFFF.
    UseUp {
        /// Which counter.
        counter: CounterName,
    },
    /// INIT SAM FOR PURCHASE; on 9000 sequence and MAC1 are checked.
    SamInitialize {
        /// Fen.
        #[serde(default = "one_fen")]
        amount: u32,
        /// Version of the purchase key; the plan's when left out.
        #[serde(default, deserialize_with = "some_byte")]
        version: Option<u8>,
        /// Algorithm byte.
        #[serde(default, deserialize_with = "byte")]
        algorithm: u8,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// CREDIT SAM.
    SamCredit {
        /// What is done wrong on purpose.
        #[serde(default)]
        fault: ProofFault,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// INIT SAM GREY LOCK; on 9000 MAC1 is checked.
    SamLock {
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// CERTIFY SAM GREY LOCK.
    SamCertify {
        /// What is done wrong on purpose.
        #[serde(default)]
        fault: ProofFault,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// CALCULATE GMAC; on 9000 the GMAC is checked.
    SamGmac {
        /// Fen.
        amount: u32,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// Reads the PSAM's sequence; must be what the books say.
    SamSequence {},
    /// DELIVERY KEY for the card of the plan.
    DeliverKey {
        /// Usage byte, two hex digits.
        #[serde(deserialize_with = "byte")]
        usage: u8,
        /// The key on the card side.
        key: KeyName,
        /// Version; the plan's when left out.
        #[serde(default, deserialize_with = "some_byte")]
        version: Option<u8>,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
    /// CIPHER DATA with the delivered key; on 9000 the answer is checked.
    Cipher {
        /// What is computed.
        mode: CipherMode,
        /// Whole blocks; of a MAC the first is the IV.
        data: Template,
        /// Status words accepted.
        #[serde(default = "Words::ok")]
        sw: Words,
    },
}

fn eight() -> u8 {
    8
}

fn one_fen() -> u32 {
    1
}

fn byte<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    let text = String::deserialize(from)?;
    ykt_base::hex::decode(&text).map(|[byte]| byte).map_err(D::Error::custom)
}

fn some_byte<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u8>, D::Error> {
    byte(from).map(Some)
}

fn steps<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Step>, D::Error> {
    Vec::<toml::Value>::deserialize(from)?
        .into_iter()
        .enumerate()
        .map(|(at, step)| {
            Step::read(step)
                .map_err(|what| D::Error::custom(format!("inner step {}: {what}", at.saturating_add(1))))
        })
        .collect()
}

impl Step {
    /// Reads a step of a plan.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(step: toml::Value) -> Result<Step, String> {
        let toml::Value::Table(mut step) = step else {
            return Err(format!("expected a table {{ do = … }}, found {}", step.type_str()));
        };
        let when = match step.remove("when") {
            None => None,
            Some(toml::Value::String(when)) => Some(Need::parse(&when)),
            Some(other) => return Err(format!("expected a feature in `when`, found {}", other.type_str())),
        };
        let source = toml::Value::Table(step.clone()).to_string();
        let action = Action::deserialize(step).map_err(|error| error.message().to_owned())?;
        if let Action::Repeat { times, .. } = &action
            && !(1..=TIMES_MAX).contains(times)
        {
            return Err(format!("expected 1 to {TIMES_MAX} times, found {times}"));
        }
        Ok(Step { when, action, source })
    }
}

impl Default for Template {
    fn default() -> Template {
        Template::empty()
    }
}

macro_rules! from_text {
    ($($name:ident)+) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<$name, D::Error> {
                $name::parse(&String::deserialize(from)?).map_err(D::Error::custom)
            }
        }
    )+};
}

from_text! { Template Pattern }

impl Action {
    /// The keys without which it cannot be done.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyName> {
        match self {
            Action::ExternalAuthenticate { key, .. }
            | Action::InternalAuthenticate { key, .. }
            | Action::Secure { key, .. }
            | Action::DeliverKey { key, .. } => vec![*key],
            Action::Verify { .. } => vec![KeyName::Pin],
            Action::ReloadPin { .. } => vec![KeyName::Pin, KeyName::Drpk],
            Action::Initialize { transaction, sw, .. } if sw.accept(StatusWord::OK) => match transaction {
                Transaction::Load => vec![KeyName::Dlk],
                Transaction::Unload => vec![KeyName::Dulk],
                Transaction::Overdraft => vec![KeyName::Duk],
                Transaction::GreyUnlock => vec![KeyName::Dugk],
                _ => Vec::new(),
            },
            Action::DebitForUnload { .. } => vec![KeyName::Dulk],
            Action::GreyUnlock { .. } => vec![KeyName::Dugk],
            Action::UpdateOverdraft { .. } => vec![KeyName::Duk, KeyName::Dtk],
            Action::GreyLock { .. } | Action::DebitForUnlock { .. } => vec![KeyName::Dpk, KeyName::Dtk],
            Action::Credit { .. } => vec![KeyName::Dlk, KeyName::Dtk],
            Action::Debit { .. } => vec![KeyName::Dpk, KeyName::Dtk],
            Action::UseUp { counter: CounterName::Online } => vec![KeyName::Dlk, KeyName::Dtk],
            Action::UseUp { counter: CounterName::Offline } => vec![KeyName::Dpk, KeyName::Dtk],
            Action::SamInitialize { .. } | Action::SamCredit { .. } | Action::SamLock { .. } => {
                vec![KeyName::Dpk]
            }
            Action::Repeat { steps, .. } => steps.iter().flat_map(|step| step.action.keys()).collect(),
            Action::Send { apdu, .. } if apdu.names().any(is_pin) => vec![KeyName::Pin],
            _ => Vec::new(),
        }
    }
}

/// Names that stand for PINs in commands.
pub(crate) fn is_pin(name: &str) -> bool {
    matches!(name, "pin" | "wrong_pin" | "other_pin")
}
