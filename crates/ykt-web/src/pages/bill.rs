//! One bill: how it comes about, the records behind each of its figures, its entries and its payment.

use super::crumb;
use crate::layers::render;
use crate::list::{Ask, List, Look};
use crate::lists::books::Entries;
use crate::lists::cards::{industry_cell, merchant_cell};
use crate::lists::clearing::{Bills, Payments, counted, day_href};
use crate::lists::records::Records;
use crate::problem::Problem;
use crate::view::cell::{Cell, Value};
use crate::view::detail::{Block, Detail, Figure, Short, more};
use crate::view::url::with_query;
use crate::web::{Asked, Shared};
use crate::words::Word;
use axum::extract::{Path, State};
use axum::response::Html;
use std::sync::Arc;
use ykt_base::{Date, MerchantCode};
use ykt_clearing::{Bill, queries};
use ykt_files::Sum;
use ykt_office::merchants;
use ykt_office::people::Permission;

fn figure(title: &'static str, sum: Sum, look: Look, href: String) -> Figure {
    let note = look.lang.counted("bill.records", sum.count);
    Figure { title, value: Value::Amount(sum.amount), note, href: (sum.count > 0).then_some(href) }
}

/// The page of a bill.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path((day, merchant)): Path<(String, String)>,
    asked: Asked,
) -> Result<Html<String>, Problem> {
    asked.signed.must(Permission::ReadBusiness)?;
    let (look, lang) = (asked.look(), asked.prefs.lang);
    let name = format!("{day}/{merchant}");
    let missing = || Problem::not_found(name.clone());
    let day: Date = day.parse().map_err(|_| missing())?;
    let code: MerchantCode = merchant.parse().map_err(|_| missing())?;
    let absent = missing();
    let (bill, merchant, records, entries, payments) = shared
        .read(move |tx| {
            let bill = queries::bill(tx, day, &code)?.ok_or(absent)?;
            let merchant = merchants::merchant(tx, &code)?;
            let ask = Ask::parse::<Records>(&format!("billed={day}&merchant={code}&rows=20&sort=at"))?;
            let records = Records::find(tx, &ask, look)?;
            let prefix = format!("id=clearing/{}/{code}/&sort=seq", day.compact());
            let entries = Entries::find(tx, &Ask::parse::<Entries>(&prefix)?, look)?;
            let mut payments =
                Payments::find(tx, &Ask::parse::<Payments>(&format!("merchant={code}"))?, look)?;
            payments.rows.retain(|row| bill.payment == Some((row.transfer.id, row.paid.payment.record_no)));
            payments.totals.clear();
            Ok((bill, merchant, records, entries, payments))
        })
        .await?;
    let Bill { confirmed, adjusted, refused, adjustment_refused, operator, .. } = bill;
    let of = |verdict: &str| counted(day, Some(code.as_str()), verdict);
    let figures = vec![
        figure("bills.confirmed", confirmed, look, of("confirmed")),
        figure("bills.adjusted", adjusted, look, of("adjusted")),
        Figure {
            title: "bills.commission",
            value: Value::Amount(bill.commission),
            note: Value::Rate(bill.commission_ppm).shown(),
            href: Some(with_query(
                "/entries",
                [("id", format!("clearing/{}/{code}/commission", day.compact()).as_str())],
            )),
        },
        Figure {
            title: "bills.net",
            value: Value::Amount(bill.net),
            note: bill.state.in_words(lang).to_owned(),
            href: Some(with_query("/payments", [("merchant", code.as_str())])),
        },
    ];
    let others = vec![
        figure("bills.refused", refused, look, of("refused-on-arrival")),
        figure("bills.adjustment_refused", adjustment_refused, look, of("adjustment-refused")),
        Figure {
            title: "bills.operator",
            value: Value::Amount(operator.amount),
            note: lang.counted("bill.records", operator.count),
            href: (operator.count > 0).then(|| {
                let settled = day.to_string();
                let pairs = [
                    ("settled", settled.as_str()),
                    ("verdict", "operator-bears"),
                    ("merchant", code.as_str()),
                ];
                with_query("/records", pairs)
            }),
        },
    ];
    let title = merchant
        .map_or_else(|| code.to_string(), |m| lang.pick(&m.merchant.name_zh, &m.merchant.name_en).to_owned());
    let facts = vec![
        ("bills.merchant", merchant_cell(code.as_str())),
        ("bills.industry", industry_cell(bill.industry, look)),
        ("bills.day", Cell::date(day).to(day_href(day))),
        ("bills.rate", Cell::rate(bill.commission_ppm)),
        (
            "bill.sum",
            Cell::text(format!(
                "{} + {} − {} = {}",
                confirmed.amount, adjusted.amount, bill.commission, bill.net
            )),
        ),
    ];
    let day_text = day.to_string();
    let all = with_query("/records", [("billed", day_text.as_str()), ("merchant", code.as_str())]);
    let record_keys = ["record", "at", "card", "amount", "verdict", "pos"];
    let blocks = vec![
        Block::Figures(figures),
        Block::Facts(lang.t("bill.facts").to_owned(), facts),
        Block::List(Short::new(
            lang.t("bill.paid_records"),
            Records::columns(),
            &record_keys,
            &records,
            look,
            more(lang, records.count, all),
        )),
        Block::Figures(others),
        Block::List(Short::new(
            lang.t("order.entries"),
            Entries::columns(),
            &["id", "event", "debit", "credit"],
            &entries,
            look,
            None,
        )),
        Block::List(Short::new(
            lang.t("nav.payments"),
            Payments::columns(),
            &["transfer", "state", "amount", "pay-day", "settled", "serial", "reason"],
            &payments,
            look,
            None,
        )),
    ];
    render(&Detail {
        crumbs: vec![crumb::<Bills>(lang)],
        tag: Some(bill.state.cell(lang)),
        actions: vec![(
            lang.t("bill.all_records").to_owned(),
            with_query("/records", [("day", day_text.as_str()), ("merchant", code.as_str())]),
        )],
        blocks,
        f: asked.frame(
            &shared,
            lang.fill("bill.title", &[("merchant", &title), ("day", &day_text)]),
            Bills::PATH,
        ),
    })
}
