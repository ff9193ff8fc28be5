//! What an operation will do, in words: shown before anybody asks for it or approves it.
//!
//! A [`Sentence`] is a fixed text with places to fill; consoles have it in both languages by its code.

use super::Operation;
use super::run::is_sibling;
use crate::place::{PlaceName, key_name};
use crate::registry::tree::{Leaf, Tree};
use std::fmt;
use ykt_vault::pair::{Side, SwitchOver};
use ykt_vault::{KeyPlace, KeyState};

/// Most keys a summary names; of more it names the first.
const NAMES_MAX: usize = 20;

macro_rules! sentences {
    ($($(#[$doc:meta])+ $name:ident = $code:literal, $text:literal;)+) => {
        /// A sentence of a summary.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Sentence {
            $($(#[$doc])+ $name,)+
        }

        impl Sentence {
            /// Every sentence.
            pub const ALL: &'static [Sentence] = &[$(Sentence::$name,)+];

            /// Its name in the catalogue of texts.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Sentence::$name => $code,)+ }
            }

            /// Its English text, with `{places}`.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Sentence::$name => $text,)+ }
            }
        }
    };
}

sentences! {
    /// A new key.
    Makes = "makes", "A new key is made in the vault: {key}, {algorithm}. It is not used before it is activated.";
    /// Roots of a seed.
    Derives = "derives", "{count} root keys are derived from {seed}: {keys}. They are not used before they are activated.";
    /// Keys come in.
    Imports = "imports", "{count} keys of {party} come into the vault, opened with {transport}: {keys}.";
    /// Keys go out.
    Exports = "exports", "{count} keys leave the vault for {party}, enciphered under {transport}: {keys}. Whoever holds that transport key can read them.";
    /// Into use.
    Activates = "activates", "{key} (KCV {kcv}) goes into use: new cards and terminals get it from now on.";
    /// The earlier one.
    Succeeds = "succeeds", "{key} (KCV {kcv}) is retired by it: cards that hold it are still served, none gets it any more.";
    /// Out of use.
    Retires = "retires", "{key} (KCV {kcv}) is retired: cards that hold it are still served, none gets it any more.";
    /// Nothing left.
    LeavesNone = "leaves-none", "No other key takes its place: whatever needs an active key of this kind and index stops until one is activated.";
    /// Back into use.
    Restores = "restores", "{key} (KCV {kcv}) comes back from retirement and goes into use.";
    /// For good.
    Destroys = "destroys", "{key} (KCV {kcv}) is wiped for good. It can never be restored; its record stays.";
    /// Cards in pockets.
    CardsHold = "cards-hold", "Up to {count} cards in people's pockets may hold it; without it they can no longer be served.";
    /// Backup vault.
    Replicates = "replicates", "The {to} vault, which stands by, gets the keys and states of the one that acts, enciphered under a transport key both have.";
    /// The other vault.
    Switches = "switches", "The {to} vault acts from now on; the other one stands by.";
    /// Without a comparison.
    SwitchesAsItIs = "switches-as-it-is", "It is taken as it is, also where the two differ: whoever approves vouches for its keys.";
    /// In what they differ.
    VaultsDiffer = "vaults-differ", "The two vaults differ now in {count} points.";
    /// Cards get keys.
    StartsCampaign = "starts-campaign", "The campaign {campaign} is opened: {count} cards get other keys when they are shown at a counter.";
}

/// What an operation will do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Its sentences, each with what fills its places.
    pub lines: Vec<(Sentence, Vec<(&'static str, String)>)>,
}

impl Summary {
    pub(crate) fn say(&mut self, sentence: Sentence, places: &[(&'static str, String)]) {
        self.lines.push((sentence, places.to_vec()));
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (sentence, places)) in self.lines.iter().enumerate() {
            let filled = places.iter().fold(sentence.text().to_owned(), |text, (name, value)| {
                text.replace(&format!("{{{name}}}"), value)
            });
            let end = if number == 0 { "" } else { "\n" };
            write!(f, "{end}{filled}")?;
        }
        Ok(())
    }
}

/// What a summary needs to know beside the keys.
pub(crate) struct Facts {
    /// Cards that may hold the key of the operation.
    pub(crate) cards_holding: u64,
    /// Cards of the campaign of the operation.
    pub(crate) cards_of_campaign: u64,
    /// Which vault of the pair stands by.
    pub(crate) stands_by: Option<Side>,
    /// In how many points the two differ.
    pub(crate) vaults_differ: usize,
}

impl Operation {
    /// The key whose holders matter to it.
    pub(crate) const fn endangers(&self) -> Option<KeyPlace> {
        match self {
            Operation::Destroy(place) => Some(*place),
            _ => None,
        }
    }

    /// What it will do as things stand.
    pub(crate) fn summary(&self, tree: &Tree, facts: &Facts) -> Summary {
        let mut summary = Summary::default();
        let kcv = |leaf: Option<&Leaf>| {
            leaf.and_then(Leaf::kcv).map_or_else(String::new, |kcv| ykt_base::hex::Hex(&kcv).to_string())
        };
        let of = |place: &KeyPlace| [("key", PlaceName(*place).to_string()), ("kcv", kcv(tree.leaf(place)))];
        let many = |mut names: Vec<String>| {
            let count = names.len();
            if count > NAMES_MAX {
                names.truncate(NAMES_MAX);
                names.push("…".to_owned());
            }
            [("count", count.to_string()), ("keys", names.join(", "))]
        };
        let successor = |summary: &mut Summary, place: &KeyPlace| {
            let siblings =
                tree.leaves().filter(|leaf| leaf.place != *place && is_sibling(&leaf.place, place));
            for leaf in siblings.filter(|leaf| leaf.state() == Some(KeyState::Active)) {
                summary.say(Sentence::Succeeds, &of(&leaf.place));
            }
        };
        let differ = |summary: &mut Summary| {
            if facts.vaults_differ > 0 {
                summary.say(Sentence::VaultsDiffer, &[("count", facts.vaults_differ.to_string())]);
            }
        };
        match self {
            Operation::Generate { place, algorithm } => {
                let [key, _] = of(place);
                summary.say(Sentence::Makes, &[key, ("algorithm", algorithm.name().to_owned())]);
            }
            Operation::DeriveRoots { seed, keys } => {
                let [count, keys] = many(keys.iter().map(|key| key_name(*key)).collect());
                summary.say(Sentence::Derives, &[count, ("seed", key_name(*seed)), keys]);
            }
            Operation::Import { party, transport, keys } => {
                let [count, keys] = many(keys.iter().map(|key| PlaceName(key.place).to_string()).collect());
                let transport = ("transport", key_name(*transport));
                summary.say(Sentence::Imports, &[count, ("party", party.clone()), transport, keys]);
            }
            Operation::Export { party, transport, places } => {
                let [count, keys] = many(places.iter().map(|place| PlaceName(*place).to_string()).collect());
                let transport = ("transport", key_name(*transport));
                summary.say(Sentence::Exports, &[count, ("party", party.clone()), transport, keys]);
            }
            Operation::Activate(place) => {
                summary.say(Sentence::Activates, &of(place));
                successor(&mut summary, place);
            }
            Operation::Restore(place) => {
                summary.say(Sentence::Restores, &of(place));
                successor(&mut summary, place);
            }
            Operation::Retire(place) => {
                summary.say(Sentence::Retires, &of(place));
                summary.say(Sentence::LeavesNone, &[]);
            }
            Operation::Destroy(place) => {
                summary.say(Sentence::Destroys, &of(place));
                if facts.cards_holding > 0 {
                    summary.say(Sentence::CardsHold, &[("count", facts.cards_holding.to_string())]);
                }
            }
            Operation::Replicate => {
                let to = facts.stands_by.map_or("", Side::name);
                summary.say(Sentence::Replicates, &[("to", to.to_owned())]);
                differ(&mut summary);
            }
            Operation::SwitchOver { to, how } => {
                summary.say(Sentence::Switches, &[("to", to.name().to_owned())]);
                if *how == SwitchOver::AsItIs {
                    summary.say(Sentence::SwitchesAsItIs, &[]);
                }
                differ(&mut summary);
            }
            Operation::StartCampaign { campaign } => {
                let count = ("count", facts.cards_of_campaign.to_string());
                summary.say(Sentence::StartsCampaign, &[("campaign", campaign.clone()), count]);
            }
        }
        summary
    }
}
