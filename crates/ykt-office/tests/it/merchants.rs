//! The register of merchants: contracts one after the other, never two at once.

use crate::{act, contract, day, merchant_code, new_merchant, office, read};
use ykt_office::merchants::{self, Contract, MerchantFilter, MerchantSort, NewMerchant};
use ykt_office::{Direction, Paging, RegisterError};
use ykt_store::Store;

fn agree(store: &Store, contract: &Contract) -> Result<(), RegisterError> {
    store.write(|tx| merchants::agree(tx, &merchant_code(1), contract, &act(0)))
}

fn office_with(count: u32) -> Store {
    let store = office();
    store
        .write(|tx| (1..=count).try_for_each(|no| merchants::register(tx, &new_merchant(no), &act(0))))
        .unwrap();
    store
}

#[test]
fn contracts_follow_each_other_without_a_day_in_two() {
    let store = office_with(1);
    let first = contract("20260101", None, 8_000);
    agree(&store, &first).unwrap();
    agree(&store, &first).unwrap();
    assert!(matches!(agree(&store, &contract("20260101", None, 9_000)), Err(RegisterError::Conflict { .. })));
    agree(&store, &contract("20260401", Some("20260430"), 4_000)).unwrap();
    let error = agree(&store, &contract("20260430", None, 5_000)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "merchant M00000000000001 is registered with another contract for these days: \
         found 2026-04-01 to 2026-04-30, asked for from 2026-04-30"
    );
    let row = read(&store, |tx| merchants::merchant(tx, &merchant_code(1))).unwrap();
    let ppm = |text| row.contract_on(day(text)).map(|contract| contract.commission_ppm);
    assert_eq!(ppm("20251231"), None);
    assert_eq!(ppm("20260101"), Some(8_000));
    assert_eq!(ppm("20260331"), Some(8_000));
    assert_eq!(ppm("20260401"), Some(4_000));
    assert_eq!(ppm("20260501"), None);
}

#[test]
fn what_cannot_be_agreed() {
    let store = office_with(1);
    for (wrong, field) in [
        (contract("20260101", None, 1_000_001), "commission"),
        (contract("20260102", Some("20260101"), 0), "last day"),
    ] {
        let error = agree(&store, &wrong).unwrap_err();
        assert!(matches!(&error, RegisterError::Field { field: found, .. } if *found == field), "{error}");
    }
    let nobody =
        store.write(|tx| merchants::agree(tx, &merchant_code(2), &contract("20260101", None, 0), &act(0)));
    assert!(matches!(nobody, Err(RegisterError::Unknown { .. })));
}

#[test]
fn a_merchant_keeps_its_code_and_content() {
    let store = office_with(1);
    let register = |new: NewMerchant| store.write(|tx| merchants::register(tx, &new, &act(1)));
    register(new_merchant(1)).unwrap();
    let other = NewMerchant { industry: 6, ..new_merchant(1) };
    assert!(matches!(register(other), Err(RegisterError::Conflict { .. })));
    assert!(register(NewMerchant { industry: 100, ..new_merchant(2) }).is_err());
    assert!(register(NewMerchant { name_en: " ".to_owned(), ..new_merchant(2) }).is_err());
}

#[test]
fn lists_find_names_in_both_languages() {
    let store = office_with(12);
    agree(&store, &contract("20260101", None, 8_000)).unwrap();
    let find = |text: &str| {
        let filter = MerchantFilter { text: Some(text.to_owned()), industry: None };
        let sort = (MerchantSort::Code, Direction::Up);
        read(&store, |tx| merchants::list(tx, &filter, sort, Paging::first(2)))
    };
    let page = find("BUS COMPANY 1");
    assert_eq!((page.totals, page.rows.len()), (4, 2));
    assert_eq!(page.rows[0].contracts.len(), 1);
    assert_eq!(find("第12公交").totals, 1);
    assert_eq!(find("%").totals, 0, "a wildcard is a sign like any other");
}
