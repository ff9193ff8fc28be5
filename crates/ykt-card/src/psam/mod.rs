//! The PSAM (消费安全认证模块, `epurse.md` 7): it signs purchases for a terminal and checks the card's answer.

pub(crate) mod cipher;
pub(crate) mod purchase;

pub(crate) use cipher::Delivered;
pub(crate) use purchase::PendingSamPurchase;
