//! The centre itself: the database with its records, and the vault with its keys.

use std::sync::Arc;
use ykt_store::Store;
use ykt_vault::Vault;

/// The key management centre of one installation. Clones share database and vault.
#[derive(Clone)]
pub struct Centre {
    /// Registry, requests, campaigns, audit log.
    pub store: Store,
    /// The keys.
    pub vault: Arc<dyn Vault>,
}

impl Centre {
    /// A centre over the database of an installation and the vault it works with.
    #[must_use]
    pub fn new(store: Store, vault: Arc<dyn Vault>) -> Centre {
        Centre { store, vault }
    }
}
