//! The office on a database in memory: each register by its rules, and what clearing reads of them.
#![allow(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod audit;
mod blacklist;
mod cards;
mod merchants;
mod people;
mod registers;
mod requests;
mod second_factor;
mod terminals;

use ykt_base::{Asn8, Date, DateTime, MerchantCode, PosNo, Rng};
use ykt_office::cards::{CardKind, NewCard};
use ykt_office::merchants::{Contract, NewMerchant, PayeeAccount, PayeeKind};
use ykt_office::{Act, MODULE};
use ykt_store::{Store, StoreError, Tx};

/// Counts up: different bytes each time, the same ones each run.
struct Count(u8);

impl Rng for Count {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(5).wrapping_add(7);
            *byte = self.0;
        }
    }
}

fn office() -> Store {
    Store::in_memory(&[MODULE]).unwrap()
}

/// Noon of the first day, plus `minutes`.
fn at(minutes: i64) -> DateTime {
    let noon: DateTime = "20260302120000".parse().unwrap();
    noon.plus_seconds(minutes * 60).unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn act(minutes: i64) -> Act {
    Act::of("wang", "10.0.0.7", at(minutes))
}

fn asn(no: u64) -> Asn8 {
    format!("17000101{no:08}").parse().unwrap()
}

fn pos(no: u32) -> PosNo {
    format!("{no:08}").parse().unwrap()
}

fn merchant_code(no: u32) -> MerchantCode {
    format!("M{no:014}").parse().unwrap()
}

fn new_card(no: u64) -> NewCard {
    NewCard {
        asn: asn(no),
        factor: "2144FF0000000000".parse().unwrap(),
        main_type: 1,
        sub_type: 0,
        kind: CardKind::Real,
        key_version: ykt_base::KeyVersion(1),
        start: day("20260101"),
        expiry: day("20361231"),
    }
}

fn new_merchant(no: u32) -> NewMerchant {
    NewMerchant {
        code: merchant_code(no),
        name_zh: format!("第{no}公交公司"),
        name_en: format!("Bus company {no}"),
        industry: 1,
        address: "人民路 1 号".to_owned(),
    }
}

fn contract(from: &str, until: Option<&str>, commission_ppm: u32) -> Contract {
    let account = PayeeAccount {
        bank: "城市银行".to_owned(),
        bank_id: "313305000001".to_owned(),
        account_no: "6222000000000001".to_owned(),
        account_name: "公交公司".to_owned(),
        payee: PayeeKind::Company,
    };
    Contract { from: day(from), until: until.map(day), commission_ppm, account }
}

/// Runs a test body that only reads or must not fail.
fn read<T>(store: &Store, work: impl FnOnce(&Tx) -> Result<T, StoreError>) -> T {
    store.read(work).unwrap()
}
