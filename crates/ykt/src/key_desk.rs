//! The desk of the centre at the command line: database, vault and who gives the command.

use crate::installation::{self, Place};
use crate::who::Person;
use anyhow::bail;
use std::sync::Arc;
use ykt_office::Act;
use ykt_office::people::Permission;
use ykt_store::Store;
use ykt_vault::{Signer, Vault};

/// What key cards and PSAMs are made with.
pub struct KeyDesk {
    /// The database.
    pub store: Store,
    /// The keys.
    pub keys: Arc<dyn Vault>,
    /// The pair that signs protocols; `None` before a ceremony made it.
    pub signer: Option<Arc<dyn Signer>>,
    /// Who does it.
    pub act: Act,
}

/// Opens an installation for somebody who may produce cards.
///
/// # Errors
/// When the database or the vault does not open, or the person may not.
pub fn open(place: &Place, person: &Person) -> anyhow::Result<KeyDesk> {
    let config = place.config()?;
    let store = installation::open_store(&config)?;
    let Some(vaults) = installation::open_logged_vault(&config, &store)? else {
        bail!("key cards and PSAMs get their keys from the vault: {}", installation::NO_VAULT);
    };
    installation::refuse_demonstration(&config, &store, Some(&vaults))?;
    let act = person.act(&config, &store, Permission::ProduceCards)?;
    let signer = vaults.sealed.as_ref().map(installation::signing_pair).transpose()?.flatten();
    Ok(KeyDesk { store, keys: vaults.keys, signer, act })
}
