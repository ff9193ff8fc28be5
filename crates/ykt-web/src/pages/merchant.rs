//! One merchant: its contracts, terminals and bills, and what it is owed.

use super::crumb;
use crate::layers::render;
use crate::list::{Ask, Column, Found, List, Look, Shape};
use crate::lists::cards::{Merchants, Terminals};
use crate::problem::Problem;
use crate::view::cell::{Cell, Value};
use crate::view::detail::{Block, Detail, Figure, Short, more};
use crate::view::url::with_query;
use crate::web::{Asked, Shared};
use axum::extract::{Path, State};
use axum::response::Html;
use std::sync::Arc;
use ykt_base::{Fen, MerchantCode};
use ykt_ledger::AccountCode;
use ykt_ledger::chart::MERCHANT_PAYABLE;
use ykt_office::merchants::{self, Contract};
use ykt_office::people::Permission;

const CONTRACT: &[Column<Contract>] = {
    type C = Column<Contract>;
    &[
        C::new("from", "merchants.from", Shape::Time, |row, _| Cell::date(row.from)),
        C::new("until", "merchants.until", Shape::Time, |row, _| Cell::date(row.until)),
        C::new("commission", "merchants.commission", Shape::Rate, |row, _| Cell::rate(row.commission_ppm)),
        C::new("bank", "merchants.bank", Shape::Text, |row, _| Cell::text(row.account.bank.clone())),
        C::new("account", "merchants.account_no", Shape::Code, |row, _| {
            Cell::text(row.account.account_no.clone())
        }),
        C::new("holder", "merchants.account_name", Shape::Text, |row, _| {
            Cell::text(row.account.account_name.clone())
        }),
    ]
};

/// The page of a merchant.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(code): Path<String>,
    asked: Asked,
) -> Result<Html<String>, Problem> {
    asked.signed.must(Permission::ReadBusiness)?;
    let look: Look = asked.look();
    let lang = look.lang;
    let code: MerchantCode = code.parse().map_err(|_| Problem::not_found(code))?;
    let payable = AccountCode::below(&MERCHANT_PAYABLE, code.as_str()).map_err(|e| Problem::internal(&e))?;
    let account = payable.clone();
    let (row, terminals, owed) = shared
        .read(move |tx| {
            let row = merchants::merchant(tx, &code)?.ok_or_else(|| Problem::not_found(code.as_str()))?;
            let ask = Ask::parse::<Terminals>(&format!("merchant={code}&rows=20"))?;
            Ok((row, Terminals::find(tx, &ask, look)?, ykt_ledger::balance(tx, &account)?))
        })
        .await?;
    let merchant = &row.merchant;
    let title = lang.pick(&merchant.name_zh, &merchant.name_en).to_owned();
    // A payable stands on the credit side; what is owed is shown as a positive amount.
    let owed = owed.checked_neg().unwrap_or(Fen::ZERO);
    let figures = vec![
        Figure {
            title: "merchant.owed",
            value: Value::Amount(owed),
            note: payable.to_string(),
            href: Some(with_query("/entries", [("account", payable.as_str())])),
        },
        Figure {
            title: "nav.terminals",
            value: Value::Number(i64::try_from(terminals.count).unwrap_or(i64::MAX)),
            note: String::new(),
            href: Some(with_query("/terminals", [("merchant", merchant.code.as_str())])),
        },
    ];
    let facts = vec![
        ("merchants.code", Cell::text(merchant.code.as_str())),
        ("merchants.name_zh", Cell::text(merchant.name_zh.clone())),
        ("merchants.name_en", Cell::text(merchant.name_en.clone())),
        ("merchants.industry", crate::lists::cards::industry_cell(merchant.industry, look)),
        ("merchants.address", Cell::text(merchant.address.clone())),
    ];
    let contracts = Found { count: 0, totals: Vec::new(), rows: row.contracts.clone() };
    let keys = ["from", "until", "commission", "bank", "account", "holder"];
    let all = with_query("/terminals", [("merchant", merchant.code.as_str())]);
    let terminal_keys = ["pos", "state", "since", "terminal"];
    let blocks = vec![
        Block::Figures(figures),
        Block::Facts(lang.t("merchant.facts").to_owned(), facts),
        Block::List(Short::new(lang.t("merchant.contracts"), CONTRACT, &keys, &contracts, look, None)),
        Block::List(Short::new(
            lang.t("nav.terminals"),
            Terminals::columns(),
            &terminal_keys,
            &terminals,
            look,
            more(lang, terminals.count, all),
        )),
    ];
    let actions = vec![
        (lang.t("nav.bills").to_owned(), with_query("/bills", [("merchant", merchant.code.as_str())])),
        (lang.t("nav.records").to_owned(), with_query("/records", [("merchant", merchant.code.as_str())])),
    ];
    render(&Detail {
        crumbs: vec![crumb::<Merchants>(lang)],
        tag: None,
        actions,
        blocks,
        f: asked.frame(&shared, title, Merchants::PATH),
    })
}
