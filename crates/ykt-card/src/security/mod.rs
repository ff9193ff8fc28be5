//! Security (`epurse.md` 2, 2.1, 3.1): keys with their tries, challenges, authentication, PIN, secure messaging,
//! and the loading of keys.

pub(crate) mod authenticate;
mod keys;
pub(crate) mod messaging;
pub(crate) mod write_key;

pub use keys::KEY_SLOT_LEN;
pub(crate) use keys::{Check, CountedKey, KeyMaterial, KeyName, KeySlot, key, key_slots};
