//! What rooms of the centre show of keys and errors.

use std::cell::OnceCell;
use ykt_base::{IssuerFactor, PsamSerial};
use ykt_vault::{KeyAddress, KeyInfo, KeyRef, KeyState, Scheme, Vault, VaultError};

/// Check values of the keys that stand on one PSAM or key card, as the vault states them.
pub(crate) struct CheckValues<'v> {
    vault: &'v dyn Vault,
    /// Serial number of the card, by which its own keys are diversified.
    serial: PsamSerial,
    /// The issuer whose cards its other keys serve.
    issuer: IssuerFactor,
    /// The vault's keys: thousands, so they are asked for once, and only when one of them is needed.
    kept: OnceCell<Vec<KeyInfo>>,
}

impl<'v> CheckValues<'v> {
    pub(crate) fn new(vault: &'v dyn Vault, serial: PsamSerial, issuer: IssuerFactor) -> CheckValues<'v> {
        CheckValues { vault, serial, issuer, kept: OnceCell::new() }
    }

    /// Check value of a key that lies `levels` above user cards; 0 for a finished key, and for the card's own. `None`
    /// when the vault keeps no key at that level: it would have to be derived, and a vault states check values of keys
    /// that it keeps or finishes.
    ///
    /// # Errors
    /// [`VaultError`] when the vault does not answer, or has no such finished key.
    pub(crate) fn of(&self, key: KeyRef, levels: u8) -> Result<Option<[u8; 3]>, VaultError> {
        match (levels, key.kind.scheme()) {
            (0, Scheme::Sam) => self.vault.kcv(&KeyAddress::Sam { key, serial: self.serial }).map(Some),
            (0, _) => self.vault.kcv(&KeyAddress::Shared(key)).map(Some),
            (levels, _) => self.above(key, levels),
        }
    }

    fn above(&self, key: KeyRef, levels: u8) -> Result<Option<[u8; 3]>, VaultError> {
        let Some(depth) = self.vault.status().levels.card().checked_sub(levels) else { return Ok(None) };
        let kept = match self.kept.get() {
            Some(kept) => kept,
            None => {
                let list = self.vault.list()?;
                self.kept.get_or_init(|| list)
            }
        };
        let above = kept.iter().filter(|info| {
            let is_of_issuer = info.owner.is_none_or(|owner| owner == self.issuer.0);
            info.key == key && info.state != KeyState::Destroyed && info.depth <= depth && is_of_issuer
        });
        let in_force = above.max_by_key(|info| (info.depth, info.owner.is_some()));
        Ok(in_force.filter(|info| info.depth == depth).map(|info| info.kcv))
    }
}

/// An error with its causes, in one line.
pub(crate) fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}
