//! Our own loads as clearing asks for them: it must know what came onto a card between two purchases (V15).

use crate::store;
use ykt_base::Asn8;
use ykt_clearing::{Load, LoadJournal};
use ykt_store::{StoreError, Tx};

/// The journal of this room's loads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loads;

impl LoadJournal for Loads {
    fn loads(&self, tx: &Tx<'_>, asn: &Asn8) -> Result<Vec<Load>, StoreError> {
        let credited = store::journal(tx, asn)?;
        Ok(credited.into_iter().map(|load| Load { at: load.at, amount: load.amount }).collect())
    }
}
