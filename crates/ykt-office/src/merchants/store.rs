//! Tables of the merchant register.

use super::{Contract, MerchantFilter, MerchantRow, MerchantSort, NewMerchant, PayeeAccount};
use crate::act::Act;
use crate::audit::{self, Outcome};
use crate::store::RegisterError;
use std::collections::BTreeMap;
use ykt_base::MerchantCode;
use ykt_store::{Direction, Filter, Page, Paging, Row, StoreError, Tx, contains, params};

/// Largest industry code; two digits in the files of `clearing.md` 2.1.
const INDUSTRY_MAX: u8 = 99;
/// All of the turnover, in parts per million.
const PPM_MAX: u32 = 1_000_000;
const COLUMNS: &str = "SELECT code, name_zh, name_en, industry, address FROM office_merchant";
const CONTRACT: &str = "SELECT merchant, from_day, until_day, commission_ppm, bank, bank_id, account_no,
    account_name, payee FROM office_contract";

fn merchant_row(row: &Row) -> Result<NewMerchant, StoreError> {
    Ok(NewMerchant {
        code: row.get(0)?,
        name_zh: row.get(1)?,
        name_en: row.get(2)?,
        industry: row.get(3)?,
        address: row.get(4)?,
    })
}

fn contract_row(row: &Row) -> Result<(MerchantCode, Contract), StoreError> {
    let account = PayeeAccount {
        bank: row.get(4)?,
        bank_id: row.get(5)?,
        account_no: row.get(6)?,
        account_name: row.get(7)?,
        payee: row.get(8)?,
    };
    let contract = Contract { from: row.get(1)?, until: row.get(2)?, commission_ppm: row.get(3)?, account };
    Ok((row.get(0)?, contract))
}

fn contracts_of(tx: &Tx, code: &MerchantCode) -> Result<Vec<Contract>, StoreError> {
    let sql = format!("{CONTRACT} WHERE merchant = $1 ORDER BY from_day");
    tx.query(&sql, params![code], |row| Ok(contract_row(row)?.1))
}

/// Takes a merchant into the register; [`agree`] gives it its first contract. The same merchant again is
/// passed over.
///
/// # Errors
/// [`RegisterError::Conflict`] when the code belongs to a merchant with other content;
/// [`RegisterError::Field`] for an industry above 99 or an empty name.
pub fn register(tx: &Tx, new: &NewMerchant, act: &Act) -> Result<(), RegisterError> {
    let id = new.code.to_string();
    if let Some(found) = merchant(tx, &new.code)?.map(|row| row.merchant) {
        if found == *new {
            return Ok(());
        }
        let shown = |merchant: &NewMerchant| {
            let NewMerchant { name_zh, name_en, industry, address, .. } = merchant;
            format!("{name_zh} / {name_en}, industry {industry}, {address}")
        };
        let (found, asked) = (shown(&found), shown(new));
        return Err(RegisterError::Conflict { what: "merchant", id, differs: "content", found, asked });
    }
    let wrong = |field, expected, found| {
        Err(RegisterError::Field { what: "merchant", id: id.clone(), field, expected, found })
    };
    if new.industry > INDUSTRY_MAX {
        return wrong("industry", "0 to 99", new.industry.to_string());
    }
    if new.name_zh.trim().is_empty() || new.name_en.trim().is_empty() {
        return wrong("name", "given in both languages", format!("`{}`, `{}`", new.name_zh, new.name_en));
    }
    tx.execute(
        "INSERT INTO office_merchant (code, name_zh, name_en, industry, address) VALUES ($1, $2, $3, $4, $5)",
        params![&new.code, &new.name_zh, &new.name_en, new.industry, &new.address],
    )?;
    audit::append(tx, act, "merchant/register", &id, Outcome::Done, &new.name_zh)?;
    Ok(())
}

/// Agrees a contract with a merchant. One that lasts without end before it now ends the day before it starts.
/// The same contract again is passed over.
///
/// # Errors
/// [`RegisterError::Unknown`] for the merchant; [`RegisterError::Conflict`] when a day of it is under another
/// contract; [`RegisterError::Field`] for a commission above the whole or an end before its start.
pub fn agree(tx: &Tx, code: &MerchantCode, contract: &Contract, act: &Act) -> Result<(), RegisterError> {
    let id = code.to_string();
    let row =
        merchant(tx, code)?.ok_or_else(|| RegisterError::Unknown { what: "merchant", id: id.clone() })?;
    if row.contracts.contains(contract) {
        return Ok(());
    }
    let wrong = |field, expected, found| {
        Err(RegisterError::Field { what: "contract of merchant", id: id.clone(), field, expected, found })
    };
    if contract.commission_ppm > PPM_MAX {
        return wrong("commission", "at most 1,000,000 ppm", format!("{} ppm", contract.commission_ppm));
    }
    if let Some(until) = contract.until.filter(|until| *until < contract.from) {
        return wrong("last day", "not before the first day", format!("{} to {until}", contract.from));
    }
    if let Some(last) = row.contracts.last() {
        let free = last.from < contract.from && last.until.is_none_or(|until| until < contract.from);
        if !free {
            return Err(RegisterError::Conflict {
                what: "merchant",
                id,
                differs: "contract for these days",
                found: days(last),
                asked: days(contract),
            });
        }
        tx.execute(
            "UPDATE office_contract SET until_day = $2 WHERE merchant = $1 AND until_day IS NULL",
            params![code, contract.from.plus_days(-1)],
        )?;
    }
    let PayeeAccount { bank, bank_id, account_no, account_name, payee } = &contract.account;
    tx.execute(
        "INSERT INTO office_contract (merchant, from_day, until_day, commission_ppm, bank, bank_id, account_no,
            account_name, payee)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
            code,
            contract.from,
            contract.until,
            contract.commission_ppm,
            bank,
            bank_id,
            account_no,
            account_name,
            *payee
        ],
    )?;
    let detail = format!("{}, {} ppm", days(contract), contract.commission_ppm);
    audit::append(tx, act, "merchant/agree", &id, Outcome::Done, &detail)?;
    Ok(())
}

fn days(contract: &Contract) -> String {
    match contract.until {
        Some(until) => format!("{} to {until}", contract.from),
        None => format!("from {}", contract.from),
    }
}

/// The merchant with all its contracts.
///
/// # Errors
/// [`StoreError`].
pub fn merchant(tx: &Tx, code: &MerchantCode) -> Result<Option<MerchantRow>, StoreError> {
    let found = tx.query_one(&format!("{COLUMNS} WHERE code = $1"), params![code], merchant_row)?;
    found.map(|merchant| Ok(MerchantRow { merchant, contracts: contracts_of(tx, code)? })).transpose()
}

/// All merchants by code: for the snapshot.
pub(crate) fn all(tx: &Tx) -> Result<BTreeMap<MerchantCode, MerchantRow>, StoreError> {
    let merchants = tx.query(&format!("{COLUMNS} ORDER BY code"), &[], merchant_row)?;
    let mut rows: BTreeMap<_, _> = merchants
        .into_iter()
        .map(|merchant| (merchant.code, MerchantRow { merchant, contracts: Vec::new() }))
        .collect();
    for (code, contract) in tx.query(&format!("{CONTRACT} ORDER BY merchant, from_day"), &[], contract_row)? {
        if let Some(row) = rows.get_mut(&code) {
            row.contracts.push(contract);
        }
    }
    Ok(rows)
}

/// The merchants that pass `filter`, with their contracts.
///
/// # Errors
/// [`StoreError`].
pub fn list(
    tx: &Tx,
    filter: &MerchantFilter,
    sort: (MerchantSort, Direction),
    paging: Paging,
) -> Result<Page<MerchantRow>, StoreError> {
    let text = contains(filter.text.as_deref());
    let mut conditions = Filter::default();
    conditions
        .when("industry =", filter.industry)
        .when_any_like(&["code", "name_zh", "name_en"], text.as_ref());
    let column = match sort.0 {
        MerchantSort::Code => "code",
        MerchantSort::NameZh => "name_zh",
        MerchantSort::NameEn => "name_en",
        MerchantSort::Industry => "industry",
    };
    conditions.page(tx, COLUMNS, (column, sort.1), "code", paging, |row| {
        let merchant = merchant_row(row)?;
        let contracts = contracts_of(tx, &merchant.code)?;
        Ok(MerchantRow { merchant, contracts })
    })
}
