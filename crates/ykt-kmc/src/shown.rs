//! What rooms of the centre show of keys and errors.

use ykt_base::IssuerFactor;
use ykt_vault::{KeyRef, KeyState, Vault, VaultError};

/// Check value of a key that lies `levels` above the cards, for cards of this issuer. `None` when the vault keeps no key
/// at that level: it would have to be derived, and a vault states check values of keys that it keeps or finishes.
///
/// # Errors
/// [`VaultError`] when the vault does not answer.
pub(crate) fn kcv_above(
    vault: &dyn Vault,
    key: KeyRef,
    levels: u8,
    issuer: IssuerFactor,
) -> Result<Option<[u8; 3]>, VaultError> {
    let Some(depth) = vault.status().levels.card().checked_sub(levels) else { return Ok(None) };
    let kept = vault.list()?.into_iter().filter(|info| {
        let is_of_issuer = info.owner.is_none_or(|owner| owner == issuer.0);
        info.key == key && info.state != KeyState::Destroyed && info.depth <= depth && is_of_issuer
    });
    let in_force = kept.max_by_key(|info| (info.depth, info.owner.is_some()));
    Ok(in_force.filter(|info| info.depth == depth).map(|info| info.kcv))
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
