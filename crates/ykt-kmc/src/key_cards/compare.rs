//! A key card beside what the centre expects of it: its keys beside the vault's, its attributes beside the inventory's.

use super::{KeyCardRow, KeyCardState};
use crate::shown::CheckValues;
use ykt_base::hex::Hex;
use ykt_base::{IssuerFactor, KeyVersion};
use ykt_issue::Profile;
use ykt_issue::profile::{Action, Step};
use ykt_purse::key_card::{AllowedKinds, KeyCardUsage, KeyEntry};
use ykt_terminal::key_card::Facts;
use ykt_vault::{KeyKind, KeyRef, Vault, VaultError};

/// Something in which a key card is not as the centre expects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// It holds a key that the vault has not, or shows no check value of.
    #[error("key {:02X} version {}: the card has it (KCV {}), the vault knows none to compare", entry.usage, entry.version, Hex(&entry.check))]
    NotInVault {
        /// The key on the card.
        entry: KeyEntry,
    },
    /// It holds another key under this name.
    #[error("key {:02X} version {}: KCV on the card {}, in the vault {}", entry.usage, entry.version, Hex(&entry.check), Hex(vault))]
    OtherKey {
        /// The key on the card.
        entry: KeyEntry,
        /// Check value of the vault's.
        vault: [u8; 3],
    },
    /// Its profile carries a key that it does not hold.
    #[error("key {usage:02X} version {version} ({kind}): of the profile, and not on the card")]
    NotOnCard {
        /// Usage byte.
        usage: u8,
        /// Version.
        version: KeyVersion,
        /// Kind.
        kind: KeyKind,
    },
    /// It may give away other kinds of keys than the inventory says.
    #[error("kinds it may give away: on the card {:08X}, in the inventory {:08X}", card.0, inventory.0)]
    Kinds {
        /// On the card.
        card: AllowedKinds,
        /// In the inventory.
        inventory: AllowedKinds,
    },
}

/// Where the card and the centre disagree.
///
/// # Errors
/// [`VaultError`] when the vault does not answer.
pub(super) fn differences(
    vault: &dyn Vault,
    row: &KeyCardRow,
    profile: &Profile,
    facts: &Facts,
) -> Result<Vec<Difference>, VaultError> {
    let issuer = row.new.cities.first().copied().unwrap_or(IssuerFactor([0; 8]));
    let values = CheckValues::new(vault, row.new.serial, issuer);
    let mut found = Vec::new();
    for entry in &facts.keys {
        match expected(&values, profile, entry)? {
            Some(vault) if vault == entry.check => {}
            Some(vault) => found.push(Difference::OtherKey { entry: *entry, vault }),
            None => found.push(Difference::NotInVault { entry: *entry }),
        }
    }
    let loaded = row.state != KeyCardState::Initialised;
    for (key, usage) in profile.steps.iter().filter_map(issue_usage).filter(|_| loaded) {
        let usage = usage.code();
        // A later version in its place is what an update brings.
        if !facts.keys.iter().any(|entry| entry.usage == usage && entry.version >= key.version) {
            found.push(Difference::NotOnCard { usage, version: key.version, kind: key.kind });
        }
    }
    if facts.kinds != row.new.kinds {
        found.push(Difference::Kinds { card: facts.kinds, inventory: row.new.kinds });
    }
    Ok(found)
}

/// The vault's check value for a key on the card; `None` when it has no such key, or shows none at its level.
fn expected(
    values: &CheckValues<'_>,
    profile: &Profile,
    entry: &KeyEntry,
) -> Result<Option<[u8; 3]>, VaultError> {
    let written = profile.steps.iter().filter_map(|step| match step.action {
        Action::WriteKeyCardKey { key, usage, .. } => Some((key, usage)),
        _ => None,
    });
    // The last one counts: the application's own keys come after those of the MF.
    let mut named = written.filter(|(_, usage)| usage.code() == entry.usage);
    let Some((key, usage)) = named.next_back() else { return Ok(None) };
    let levels = match usage {
        KeyCardUsage::Issue(usage) => usage.levels(),
        _ => 0,
    };
    match values.of(KeyRef { version: entry.version, ..key }, levels) {
        Err(VaultError::NoSuchKey { .. } | VaultError::WrongState { .. }) => Ok(None),
        kcv => kcv,
    }
}

/// A key that a key card gives away.
pub(super) fn issue_usage(step: &Step) -> Option<(KeyRef, KeyCardUsage)> {
    match step.action {
        Action::WriteKeyCardKey { key, usage: usage @ KeyCardUsage::Issue(_), .. } => Some((key, usage)),
        _ => None,
    }
}
