//! Groups (密钥分组): named sets of keys, for lists, exports and rights.

use super::store;
use ykt_office::Act;
use ykt_office::audit::{self, Outcome};
use ykt_store::{StoreError, Tx};
use ykt_vault::KeyPlace;

/// Most signs of a group's name.
pub const NAME_LEN_MAX: usize = 32;
/// Most keys of a group.
pub const KEYS_MAX: usize = 1_000;

/// A named set of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name: 1 to 32 signs of a-z 0-9 -
    pub name: String,
    /// What it is, for people.
    pub title: String,
    /// Its keys, by place.
    pub places: Vec<KeyPlace>,
}

/// Why a group was not kept.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The name is none.
    #[error("group: expected a name of 1 to 32 signs of a-z 0-9 -, found `{found}`")]
    Name {
        /// The text.
        found: String,
    },
    /// Too many keys.
    #[error("group: expected at most {KEYS_MAX} keys, found {found}")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a group, or gives one that is there another title and other keys.
///
/// # Errors
/// [`GroupError`]; then nothing is changed.
pub fn put(tx: &Tx<'_>, group: &Group, act: &Act) -> Result<(), GroupError> {
    let Group { name, title, places } = group;
    let sign = |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == b'-';
    if !(1..=NAME_LEN_MAX).contains(&name.len()) || !name.bytes().all(sign) {
        return Err(GroupError::Name { found: name.clone() });
    }
    if places.len() > KEYS_MAX {
        return Err(GroupError::TooMany { found: places.len() });
    }
    store::put_group(tx, name, title, places)?;
    let detail = format!("{} keys", places.len());
    audit::append(tx, act, "key/group", name, Outcome::Done, &detail)?;
    Ok(())
}

/// Forgets a group; its keys stay what they are. Whether it was there.
///
/// # Errors
/// [`StoreError`].
pub fn remove(tx: &Tx<'_>, name: &str, act: &Act) -> Result<bool, StoreError> {
    let was_there = store::drop_group(tx, name)?;
    if was_there {
        audit::append(tx, act, "key/group", name, Outcome::Done, "removed")?;
    }
    Ok(was_there)
}

/// A group by its name.
///
/// # Errors
/// [`StoreError`].
pub fn one(tx: &Tx<'_>, name: &str) -> Result<Option<Group>, StoreError> {
    Ok(list(tx)?.into_iter().find(|group| group.name == name))
}

/// Every group, by name.
///
/// # Errors
/// [`StoreError`].
pub fn list(tx: &Tx<'_>) -> Result<Vec<Group>, StoreError> {
    let titles = store::group_titles(tx)?;
    titles
        .into_iter()
        .map(|(name, title)| Ok(Group { places: store::group_places(tx, &name)?, name, title }))
        .collect()
}
