//! The clearing centre: its store, its folders and its policy. Files come in by [`Clearing::receive`], a day is
//! closed by [`Clearing::close_day`], the bank answers by [`Clearing::bank_return`].

use crate::book::{CardBook, Edge};
use crate::folders::Folders;
use crate::policy::Policy;
use crate::store::books;
use std::sync::Arc;
use ykt_base::{Asn8, CardCounter};
use ykt_store::{Store, StoreError};

/// A clearing centre. Clones share store and folders.
#[derive(Clone)]
pub struct Clearing {
    store: Store,
    folders: Arc<dyn Folders>,
    policy: Arc<Policy>,
}

impl Clearing {
    /// A centre over a store that has the tables of office, ledger and clearing.
    #[must_use]
    pub fn new(store: Store, folders: Arc<dyn Folders>, policy: Policy) -> Clearing {
        Clearing { store, folders, policy: Arc::new(policy) }
    }

    /// Its store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Its folders.
    #[must_use]
    pub fn folders(&self) -> &dyn Folders {
        &*self.folders
    }

    /// Its parameters.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes a card over from another system: its next offline counter and its balance then. A card that has a
    /// book already is passed over; answers whether it was taken.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn adopt_card(&self, asn: &Asn8, next: CardCounter, newest: Edge) -> Result<bool, StoreError> {
        self.store.write(|tx| {
            if books::card_book(tx, asn)?.is_some() {
                return Ok(false);
            }
            books::save_card_books(tx, &[(*asn, CardBook::starting_at(next, newest))])?;
            Ok(true)
        })
    }
}

impl std::fmt::Debug for Clearing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clearing")
            .field("store", &self.store)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
