//! An operation as a request keeps it: words on lines, the first of them its name. Nothing in it is secret; a wrapped
//! key is a cryptogram.

use super::{KEYS_MAX, Operation};
use crate::place::{PlaceName, key_name};
use std::str::FromStr;
use ykt_base::hex::{self, Hex};
use ykt_office::text::one_line;
use ykt_vault::pair::{Side, SwitchOver};
use ykt_vault::{KeyAlgorithm, KeyPlace, KeyRef, KeyState, WrappedKey};

/// What those who switch a pair over vouch for, in words.
const HOW: [(SwitchOver, &str); 2] = [(SwitchOver::InStep, "in-step"), (SwitchOver::AsItIs, "as-it-is")];

/// A text is no operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation `{text}`: expected {expected}")]
pub struct OperationTextError {
    /// Its first line.
    pub text: String,
    /// What was expected.
    pub expected: &'static str,
}

impl Operation {
    /// The text a request keeps. A party's name is one line of it, and brings no keys of its own.
    #[must_use]
    pub fn to_text(&self) -> String {
        let on = |word: &str, place: &KeyPlace| format!("{word} {}", PlaceName(*place));
        let lines =
            |head: String, lines: Vec<String>| lines.into_iter().fold(head, |text, line| text + "\n" + &line);
        match self {
            Operation::Generate { place, algorithm } => {
                format!("generate {} {}", PlaceName(*place), algorithm.name())
            }
            Operation::DeriveRoots { seed, keys } => {
                lines(format!("derive {}", key_name(*seed)), keys.iter().map(|key| key_name(*key)).collect())
            }
            Operation::Import { party, transport, keys } => lines(
                format!("import {} {}", key_name(*transport), one_line(party)),
                keys.iter().map(wrapped_line).collect(),
            ),
            Operation::Export { party, transport, places } => lines(
                format!("export {} {}", key_name(*transport), one_line(party)),
                places.iter().map(|place| PlaceName(*place).to_string()).collect(),
            ),
            Operation::Activate(place) => on("activate", place),
            Operation::Retire(place) => on("retire", place),
            Operation::Restore(place) => on("restore", place),
            Operation::Destroy(place) => on("destroy", place),
            Operation::Replicate => "replicate".to_owned(),
            Operation::SwitchOver { to, how } => {
                let (_, word) = HOW.iter().find(|(known, _)| known == how).unwrap_or(&HOW[0]);
                format!("switch-over {} {word}", to.name())
            }
            Operation::StartCampaign { campaign } => format!("start-campaign {campaign}"),
        }
    }
}

impl FromStr for Operation {
    type Err = OperationTextError;

    fn from_str(text: &str) -> Result<Operation, OperationTextError> {
        let mut lines = text.lines();
        let head = lines.next().unwrap_or_default();
        let rest: Vec<&str> = lines.collect();
        let wrong = |expected| OperationTextError { text: head.to_owned(), expected };
        if rest.len() > KEYS_MAX {
            return Err(wrong("at most 100000 keys"));
        }
        let (word, more) = head.split_once(' ').unwrap_or((head, ""));
        let (first, last) = more.split_once(' ').unwrap_or((more, ""));
        let place = || more.parse::<PlaceName>().map(|name| name.0).map_err(|_| wrong("the name of a key"));
        let key = || root(first).ok_or_else(|| wrong("the name of a root key"));
        let each = |expected| move || wrong(expected);
        Ok(match word {
            "generate" => {
                let PlaceName(place) = first.parse().map_err(|_| wrong("the name of a key"))?;
                let algorithm = KeyAlgorithm::from_name(last).ok_or_else(|| wrong("an algorithm"))?;
                Operation::Generate { place, algorithm }
            }
            "derive" => {
                let keys = rest.iter().map(|line| root(line)).collect::<Option<_>>();
                Operation::DeriveRoots { seed: key()?, keys: keys.ok_or_else(each("names of root keys"))? }
            }
            "import" => {
                let keys = rest.iter().map(|line| wrapped(line)).collect::<Option<_>>();
                let keys = keys.ok_or_else(each("wrapped keys"))?;
                Operation::Import { party: one_line(last), transport: key()?, keys }
            }
            "export" => {
                let places = rest.iter().map(|line| line.parse().ok().map(|PlaceName(place)| place));
                let places = places.collect::<Option<_>>().ok_or_else(each("names of keys"))?;
                Operation::Export { party: one_line(last), transport: key()?, places }
            }
            "activate" => Operation::Activate(place()?),
            "retire" => Operation::Retire(place()?),
            "restore" => Operation::Restore(place()?),
            "destroy" => Operation::Destroy(place()?),
            "replicate" => Operation::Replicate,
            "switch-over" => {
                let how = HOW.iter().find(|(_, word)| *word == last);
                let (how, _) = how.ok_or_else(|| wrong("in-step or as-it-is"))?;
                let to = Side::from_name(first).ok_or_else(|| wrong("primary or backup"))?;
                Operation::SwitchOver { to, how: *how }
            }
            "start-campaign" => Operation::StartCampaign { campaign: more.to_owned() },
            _ => return Err(wrong("the name of an operation")),
        })
    }
}

fn root(name: &str) -> Option<KeyRef> {
    let PlaceName(place) = name.parse().ok()?;
    (place == KeyPlace::root(place.key)).then_some(place.key)
}

/// `PLACE ALGORITHM STATE KCV TRANSPORT-KCV CRYPTOGRAM`.
fn wrapped_line(key: &WrappedKey) -> String {
    let WrappedKey { place, algorithm, state, kcv, transport_kcv, cryptogram } = key;
    let (kcv, transport_kcv) = (Hex(kcv), Hex(transport_kcv));
    format!(
        "{} {} {} {kcv} {transport_kcv} {}",
        PlaceName(*place),
        algorithm.name(),
        state.name(),
        Hex(cryptogram)
    )
}

fn wrapped(line: &str) -> Option<WrappedKey> {
    let mut words = line.split(' ');
    let PlaceName(place) = words.next()?.parse().ok()?;
    let algorithm = KeyAlgorithm::from_name(words.next()?)?;
    let state = words.next()?;
    let state = KeyState::ALL.into_iter().find(|known| known.name() == state)?;
    let kcv = hex::decode(words.next()?).ok()?;
    let transport_kcv = hex::decode(words.next()?).ok()?;
    let digits = words.next()?;
    let mut cryptogram = vec![0; digits.len() / 2];
    hex::decode_into(digits, &mut cryptogram).ok()?;
    words.next().is_none().then_some(WrappedKey { place, algorithm, state, kcv, transport_kcv, cryptogram })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ykt_vault::KeyKind;

    #[test]
    fn every_operation_comes_back_from_its_text() {
        let key = KeyRef::new(KeyKind::Purchase, 1, 2);
        let place = KeyPlace { key, level: 1, owner: Some([0x21; 8]) };
        let transport = KeyRef::new(KeyKind::KeyTransport, 1, 1);
        let wrapped = WrappedKey {
            place,
            algorithm: KeyAlgorithm::Tdes,
            state: KeyState::Active,
            kcv: [1, 2, 3],
            transport_kcv: [4, 5, 6],
            cryptogram: vec![7; 24],
        };
        for operation in [
            Operation::Generate { place, algorithm: KeyAlgorithm::Sm4 },
            Operation::DeriveRoots { seed: KeyRef::new(KeyKind::Seed, 1, 1), keys: vec![key, transport] },
            Operation::Import { party: "Bank of 2144".into(), transport, keys: vec![wrapped] },
            Operation::Export { party: "市民卡 公司".into(), transport, places: vec![place] },
            Operation::Activate(place),
            Operation::Retire(place),
            Operation::Restore(place),
            Operation::Destroy(place),
            Operation::Replicate,
            Operation::SwitchOver { to: Side::Backup, how: SwitchOver::InStep },
            Operation::SwitchOver { to: Side::Primary, how: SwitchOver::AsItIs },
            Operation::StartCampaign { campaign: "purse-2027".into() },
        ] {
            assert_eq!(operation.to_text().parse::<Operation>().as_ref(), Ok(&operation));
        }
        // A name of two lines brings no second key.
        let smuggled = Operation::Export { party: "X\nload.1.1".into(), transport, places: vec![place] };
        let kept = Operation::Export { party: "X load.1.1".into(), transport, places: vec![place] };
        assert_eq!(smuggled.to_text().parse::<Operation>().as_ref(), Ok(&kept));
        for wrong in [
            "",
            "explode purchase.1.1",
            "activate",
            "activate purse.1.1",
            "generate load.1.1 rot13",
            "derive seed.1.1\nx",
        ] {
            assert!(wrong.parse::<Operation>().is_err(), "{wrong}");
        }
    }
}
