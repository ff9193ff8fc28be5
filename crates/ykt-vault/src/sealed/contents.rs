//! What is sealed: the levels, then every key with its record.
//!
//! Levels: count1, each name (length1 text) factor1 [factor8]. Keys: kind1 index1 version1 level1 state1 algorithm1
//! owned1 owner8 value (as long as the algorithm says; none once destroyed). In format 1 a key has no algorithm (3DES
//! is meant) and always 16 bytes.

use super::fields::{Fields, push_text};
use crate::kind::{KeyKind, KeyState, Origin};
use crate::levels::{Factor, LEVELS_MAX, Level, Levels};
use crate::manage::KeyPlace;
use crate::soft::{Keys, SoftVault};
use crate::table::Entry;
use crate::value::{KeyAlgorithm, KeyValue};
use crate::vault::KeyRef;
use std::sync::Arc;
use ykt_base::IssuerFactor;
use zeroize::Zeroizing;

/// Longest record of a key in bytes, and more than any level.
const RECORD_LEN_MAX: usize = 64;

pub(super) fn write(levels: &Levels, keys: &Keys) -> Zeroizing<Vec<u8>> {
    // Room for all, so that no half-written copy of it is left behind by growing.
    let len_max = keys.iter().count().saturating_add(LEVELS_MAX).saturating_mul(RECORD_LEN_MAX);
    let mut out = Zeroizing::new(Vec::with_capacity(len_max));
    out.push(levels.card().saturating_add(1));
    for level in levels.as_slice() {
        push_text(&mut out, &level.name);
        match level.factor {
            Factor::Root => out.push(0),
            Factor::Fixed(factor) => {
                out.push(1);
                out.extend_from_slice(&factor.0);
            }
            Factor::Issuer => out.push(2),
            Factor::Card => out.push(3),
        }
    }
    for stored in keys.iter() {
        let Entry { place: KeyPlace { key, level, owner }, state, algorithm, value, .. } = stored;
        out.extend_from_slice(&[key.kind.code(), key.index.0, key.version.0, *level, state.code()]);
        out.extend_from_slice(&[algorithm.code(), u8::from(owner.is_some())]);
        out.extend_from_slice(&owner.unwrap_or_default());
        if let Some(value) = value {
            out.extend_from_slice(&value.expose());
        }
    }
    out
}

/// The vault of these contents; `Err` with the byte where they cannot be read.
pub(super) fn read(contents: &[u8], origin: Origin, format: u8) -> Result<SoftVault, usize> {
    let mut fields = Fields::new(contents);
    let mut read = || {
        let levels = read_levels(&mut fields)?;
        let mut keys = Keys::default();
        while !fields.is_at_end() {
            keys.restore(read_key(&mut fields, format)?);
        }
        Some(SoftVault::of_keys(levels, origin, keys))
    };
    read().ok_or(fields.at())
}

fn read_levels(fields: &mut Fields<'_>) -> Option<Levels> {
    let count = fields.byte()?;
    let mut levels = Vec::with_capacity(LEVELS_MAX);
    for _ in 0..count {
        let name = fields.text()?.to_owned();
        let factor = match fields.byte()? {
            0 => Factor::Root,
            1 => Factor::Fixed(IssuerFactor(fields.take()?)),
            2 => Factor::Issuer,
            3 => Factor::Card,
            _ => return None,
        };
        levels.push(Level { name, factor });
    }
    Levels::new(levels).ok()
}

fn read_key(fields: &mut Fields<'_>, format: u8) -> Option<Entry<Arc<KeyValue>>> {
    let [kind, index, version, level, state] = fields.take()?;
    let algorithm = match format {
        super::FORMAT_1 => KeyAlgorithm::Tdes,
        _ => KeyAlgorithm::from_code(fields.byte()?)?,
    };
    let owned = fields.byte()?;
    let owner: [u8; 8] = fields.take()?;
    let key = KeyRef::new(KeyKind::from_code(kind)?, index, version);
    let place = KeyPlace { key, level, owner: (owned == 1).then_some(owner) };
    let state = KeyState::ALL.into_iter().find(|known| known.code() == state)?;
    let is_there = format == super::FORMAT_1 || state != KeyState::Destroyed;
    let bytes = if is_there { fields.slice(algorithm.value_len())? } else { &[] };
    let value = match state {
        KeyState::Destroyed => None,
        _ => Some(Arc::new(KeyValue::from_bytes(algorithm, bytes)?)),
    };
    let kcv = value.as_ref().map_or([0; 3], |value| value.kcv());
    Some(Entry { place, algorithm, state, kcv, value })
}
