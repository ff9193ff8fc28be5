//! The electronic purse (电子钱包) and deposit (电子存折): balance, load, purchase, proof (`epurse.md` 4).

pub(crate) mod load;
pub(crate) mod proof;
pub(crate) mod purchase;
mod state;

pub(crate) use load::PendingLoad;
pub(crate) use purchase::PendingPurchase;
pub(crate) use state::stored;
