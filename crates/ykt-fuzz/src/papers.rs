//! Any bytes as the papers and calls that reach a key management centre from outside: sealed files, exchange files, signed
//! texts, components typed from sheets, key files, batch files, the bodies of key download, exported audit logs. Each is
//! read, or refused with words; nothing is read that was signed by nobody.

use crate::choices::Choices;
use serde::de::DeserializeOwned;
use std::sync::LazyLock;
use ykt_issue::Profile;
use ykt_kmc::download::parse_batch;
use ykt_kmc::download::wire::{
    AnswersBody, ApplicationAnswer, BatchAnswer, CommandsAnswer, CommandsBody, FinishAnswer, FinishBody,
    OpenAnswer, OpenBody, ProblemAnswer, VisitAnswer, VisitBody,
};
use ykt_kmc::{Operation, PlaceName};
use ykt_office::audit::file;
use ykt_office::audit::{Fingerprint, Trust};
use ykt_vault::ceremony::{Component, Protocol};
use ykt_vault::exchange;
use ykt_vault::{KeyAlgorithm, KeysFile, Levels, SoftVault, Unlock};

static PROFILE: LazyLock<Profile> = LazyLock::new(Profile::city_cpu);

/// Reads a paper: the first byte says which.
pub fn papers(input: &[u8]) {
    let mut choices = Choices(input);
    let Some(which) = choices.below(9) else { return };
    let bytes = choices.bytes(input.len());
    if which == 0 {
        return sealed(bytes);
    }
    if which == 1 {
        // Nobody can sign as this pair.
        let nobody = [Fingerprint::of(&[4; 65])];
        let trusted = file::verify(bytes, Trust::Keys(&nobody));
        assert!(trusted.is_err() || file::verify(bytes, Trust::Named).is_ok(), "trust decides no form");
        return;
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match which {
        2 => exchanged(text),
        3 => {
            if let Ok(protocol) = Protocol::verify(text) {
                assert_eq!(protocol.to_string(), text, "something was read that nobody signed");
            }
        }
        4 => typed(text),
        5 => drop(KeysFile::parse(text)),
        6 => {
            if let Ok(subjects) = parse_batch(&PROFILE, text) {
                assert!(!subjects.is_empty(), "a batch of nothing");
            }
        }
        7 => kept(text),
        _ => bodies(text),
    }
}

/// A sealed file that a fuzzer wrote opens for nobody. What it states as the cost of a guess is bounded before it is paid.
fn sealed(bytes: &[u8]) {
    const COST_AT: std::ops::Range<usize> = 8..64;
    let is_cheap = bytes.get(COST_AT).is_none_or(|cost| cost.iter().all(|byte| *byte <= 16));
    if is_cheap {
        assert!(SoftVault::from_sealed(bytes, &Unlock::passphrase("a guess")).is_err(), "a seal was forged");
    }
}

fn exchanged(text: &str) {
    let levels = Levels::nation_city_card();
    let Ok(file) = exchange::read(text, &levels, [1, 2, 3]) else { return };
    let mut places: Vec<_> = file.keys.iter().map(|(_, key)| key.place).collect();
    let count = places.len();
    places.sort_unstable();
    places.dedup();
    assert!(count > 0 && places.len() == count, "a place twice");
}

/// A component that was read is read again from the lines of its sheet, and from nothing that differs in a digit.
fn typed(text: &str) {
    for algorithm in [KeyAlgorithm::Tdes, KeyAlgorithm::Sm4, KeyAlgorithm::Aes256] {
        let Ok(component) = Component::parse_unchecked(algorithm, text) else { continue };
        let sheet: String = component
            .lines()
            .map(|line| line.iter().map(|part| format!("{part} ")).collect::<String>())
            .collect();
        let Ok(again) = Component::parse(algorithm, &sheet, component.kcv()) else {
            panic!("its own sheet is not read");
        };
        assert_eq!(again.expose(), component.expose());
    }
}

/// What the centre keeps in words.
fn kept(text: &str) {
    if let Ok(place) = text.parse::<PlaceName>() {
        assert_eq!(place.to_string().parse::<PlaceName>().ok().map(|again| again.0), Some(place.0));
    }
    if let Ok(operation) = text.parse::<Operation>() {
        assert_eq!(operation.to_text().parse::<Operation>().as_ref(), Ok(&operation), "another operation");
    }
}

/// The bodies of calls and answers of key download.
fn bodies(text: &str) {
    fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
        serde_json::from_str(text).ok()
    }
    fn is_read<T: DeserializeOwned>(text: &str) -> bool {
        read::<T>(text).is_some()
    }
    if let Some(body) = read::<OpenBody>(text) {
        drop(body.call(PROFILE.kind));
    }
    if let Some(body) = read::<CommandsBody>(text) {
        for command in &body.commands {
            let _parts = (command.iv(), command.data());
        }
    }
    if let Some(body) = read::<AnswersBody>(text) {
        drop(body.answers());
    }
    let _read = [
        is_read::<FinishBody>(text),
        is_read::<VisitBody>(text),
        is_read::<ApplicationAnswer>(text),
        is_read::<OpenAnswer>(text),
        is_read::<CommandsAnswer>(text),
        is_read::<FinishAnswer>(text),
        is_read::<BatchAnswer>(text),
        is_read::<VisitAnswer>(text),
        is_read::<ProblemAnswer>(text),
    ];
}
