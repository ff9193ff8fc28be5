//! What a city decides for itself: windows, limits, delays. One struct, every field with its meaning and default.

use std::collections::BTreeMap;
use ykt_base::{Fen, KeyIndex, MerchantCode};
use ykt_files::NameLayout;

/// The parameters of clearing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How each partner names its files; who is not listed uses a sequence of three digits.
    pub name_layouts: BTreeMap<MerchantCode, NameLayout>,
    /// Oldest day a file name may state, in days before the day it arrives (`clearing.md` 2.5, check 2): 30.
    pub file_age_days_max: u16,
    /// Latest day a file name may state, in days after the day it arrives: 1.
    pub file_ahead_days_max: u16,
    /// Oldest purchase that is accepted, in days before the clearing day (V12): 30.
    pub record_age_days_max: u16,
    /// Latest purchase that is accepted, in days after the clearing day (V12): 1.
    pub record_ahead_days_max: u16,
    /// Largest single purchase (V13): 1,000.00 yuan.
    pub single_limit: Fen,
    /// How long after a loss took effect the operator bears what is spent, when the list has not reached the
    /// terminal yet (V17), in seconds: one day. Afterwards the merchant bears it.
    pub loss_delay_s: u32,
    /// How long a grey record waits for a later record of its card, in days after the purchase: 30. Afterwards
    /// it is refused for good and the merchant bears it (`clearing.md` 3.3).
    pub grey_days_max: u16,
    /// How long any other parked record waits, in days after the clearing day it arrived on: 60. Afterwards it
    /// is refused for good.
    pub parked_days_max: u16,
    /// Index of the cards' TAC keys in the vault: 1. Their version stands in the card register.
    pub tac_key_index: KeyIndex,
    /// Account the merchants are paid from, as the bank knows it.
    pub payer_account: String,
    /// Name of the bank that account is with: payees of the same bank are paid within it.
    pub payer_bank: String,
}

impl Policy {
    /// How a partner names its files.
    #[must_use]
    pub fn name_layout(&self, merchant: &MerchantCode) -> NameLayout {
        self.name_layouts.get(merchant).copied().unwrap_or_default()
    }
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            name_layouts: BTreeMap::new(),
            file_age_days_max: 30,
            file_ahead_days_max: 1,
            record_age_days_max: 30,
            record_ahead_days_max: 1,
            single_limit: Fen::new(100_000),
            loss_delay_s: 86_400,
            grey_days_max: 30,
            parked_days_max: 60,
            tac_key_index: KeyIndex(1),
            payer_account: "1001000000000000001".to_owned(),
            payer_bank: "Reserve Bank".to_owned(),
        }
    }
}
