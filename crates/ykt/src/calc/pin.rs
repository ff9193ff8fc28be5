//! PIN commands that need no challenge of the card: `pin verify`, `pin change`, `pin reload`.

use super::Answer;
use super::input::{HexArray, KeyArg};
use super::worked;
use ykt_base::KeyIndex;
use ykt_purse::write_key::Pin;

#[derive(Debug, clap::Args)]
#[command(after_help = "PIN UNBLOCK is a secure message: see ykt calc secure-messaging.\n\nExample:\n  \
    ykt calc pin reload --key DE7FCF3A63B79EACC774DA210D976B58 --new 123456")]
pub(super) struct PinArgs {
    #[command(subcommand)]
    what: What,
    /// Id of the PIN, 1 byte hex.
    #[arg(long, value_name = "HEX", default_value = "00", global = true)]
    id: HexArray<1>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// VERIFY (校验口令).
    Verify {
        /// The PIN, 4 to 12 digits.
        #[arg(long)]
        pin: Digits,
    },
    /// CHANGE PIN (修改口令).
    Change {
        /// The PIN as it is.
        #[arg(long)]
        old: Digits,
        /// The PIN as it shall be.
        #[arg(long)]
        new: Digits,
    },
    /// RELOAD PIN (重装口令) under the card's reload key DRPK.
    Reload {
        #[command(flatten)]
        key: KeyArg,
        /// The PIN as it shall be.
        #[arg(long)]
        new: Digits,
    },
}

/// A PIN as digits; it is shown nowhere.
#[derive(Clone)]
struct Digits(Pin);

impl std::fmt::Debug for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digits(..)")
    }
}

impl std::str::FromStr for Digits {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Pin::from_digits(text).map(Digits).ok_or("expected 4 to 12 digits")
    }
}

impl PinArgs {
    pub(super) fn work(&self) -> Answer {
        let id = KeyIndex::from_bytes(self.id.0);
        let worked = match &self.what {
            What::Verify { pin } => worked::verify_pin(id, &pin.0),
            What::Change { old, new } => worked::change_pin(id, old.0.clone(), new.0.clone()),
            What::Reload { key, new } => worked::reload_pin(id, &key.read()?, new.0.clone()),
        };
        Ok((worked, vec!["mac", "apdu"]))
    }
}
