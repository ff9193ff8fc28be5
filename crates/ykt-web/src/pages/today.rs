//! Today: the day's figures and charts, each leading to the list that sums to it.

use crate::i18n::Lang;
use crate::layers::render;
use crate::list::{Ask, List, Look};
use crate::lists::clearing::day_href;
use crate::lists::loads::Loads;
use crate::lists::records::cause_cell;
use crate::problem::{Code, Problem};
use crate::view::cell::{Cell, Value};
use crate::view::chart::{self, Bar, Hour};
use crate::view::detail::Figure;
use crate::view::frame::Frame;
use crate::view::url::{pairs, with_query};
use crate::web::{Asked, Shared};
use crate::words::Word;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::sync::Arc;
use ykt_base::{Date, Fen};
use ykt_clearing::queries::{self, DayRow};
use ykt_clearing::{Cause, State as Fate};
use ykt_files::Sum;
use ykt_ledger::chart::{MERCHANT_PAYABLE, PURSE_FLOAT};
use ykt_office::people::Permission;
use ykt_store::Tx;

#[derive(Template)]
#[template(path = "today.html")]
struct TodayPage {
    f: Frame,
    day: Date,
    phase: Option<Cell>,
    earlier: Option<Date>,
    later: Option<Date>,
    figures: Vec<Figure>,
    charts: Vec<Chart>,
    first_steps: bool,
}

/// A chart with the table of its figures.
struct Chart {
    title: &'static str,
    note: String,
    svg: String,
    heading: &'static str,
    rows: Vec<Row>,
    total: Sum,
}

struct Row {
    name: String,
    href: String,
    sum: Sum,
}

/// What is read for the page.
struct Seen {
    day: Date,
    earlier: Option<Date>,
    later: Option<Date>,
    row: Option<DayRow>,
    loads: (u64, Fen),
    hours: Vec<(u8, Sum)>,
    industries: Vec<(u8, Sum)>,
    causes: BTreeMap<Cause, Sum>,
    parked: Sum,
    liability: Fen,
    payable: Fen,
    cards: u32,
}

fn plus(a: Sum, b: Sum) -> Sum {
    a.and(b).unwrap_or(a)
}

/// The day people come to look at: today; before its first file, the newest day of trade. A day that only brought
/// a few late records of the day before is not one.
fn usual_day(rows: &[DayRow], today: Date) -> Option<Date> {
    if rows.iter().any(|row| row.day == today) {
        return Some(today);
    }
    match rows {
        [newest, before, ..] if newest.records.count < before.records.count / 10 => Some(before.day),
        [newest, ..] => Some(newest.day),
        [] => None,
    }
}

fn see(tx: &Tx<'_>, asked: Option<Date>, today: Date, look: Look) -> Result<Seen, Problem> {
    let rows = queries::days(tx)?;
    let day = asked.or_else(|| usual_day(&rows, today)).unwrap_or(today);
    let days: Vec<Date> = rows.iter().map(|row| row.day).collect();
    let ask = Ask::parse::<Loads>(&format!("from={day}&until={day}&state=credited&rows=1"))?;
    let loads = Loads::find(tx, &ask, look)?;
    let amount = match loads.totals.as_slice() {
        [(_, Value::Amount(amount))] => *amount,
        _ => Fen::ZERO,
    };
    let mut causes: BTreeMap<Cause, Sum> = BTreeMap::new();
    for row in queries::by_cause(tx, Some(day))? {
        let sum = causes.entry(row.cause).or_default();
        *sum = plus(*sum, row.sum);
    }
    let parked = queries::by_cause(tx, None)?
        .iter()
        .filter(|row| row.state == Fate::Parked)
        .fold(Sum::default(), |sum, row| plus(sum, row.sum));
    // What we owe stands on the credit side; it is shown as a positive amount.
    let owed = |subject| -> Result<Fen, Problem> {
        let balance = ykt_ledger::subject_balance(tx, subject, Some(day))?;
        Ok(balance.checked_neg().unwrap_or(Fen::ZERO))
    };
    Ok(Seen {
        day,
        earlier: days.iter().copied().find(|d| *d < day),
        later: days.iter().rev().copied().find(|d| *d > day),
        row: rows.iter().find(|row| row.day == day).cloned(),
        loads: (loads.count, amount),
        hours: queries::by_hour(tx, day, None)?,
        industries: queries::by_industry(tx, day)?,
        causes,
        parked,
        liability: owed(&PURSE_FLOAT)?,
        payable: owed(&MERCHANT_PAYABLE)?,
        cards: ykt_office::cards::count(tx)?,
    })
}

/// The page.
pub(crate) async fn page(State(shared): State<Arc<Shared>>, asked: Asked) -> Result<Response, Problem> {
    if !asked.signed.who.role.may(Permission::ReadBusiness) {
        return Ok(crate::layers::see_other("/system"));
    }
    let look = asked.look();
    let day = match pairs(&asked.query).into_iter().find(|(key, value)| key == "day" && !value.is_empty()) {
        Some((_, text)) => Some(
            text.parse::<Date>()
                .map_err(|error| Problem::new(Code::BadRequest, format!("day: {error}, found {text:?}")))?,
        ),
        None => None,
    };
    let today = shared.app.clock.now().date;
    let seen = shared.read(move |tx| see(tx, day, today, look)).await?;
    let lang = look.lang;
    let page = TodayPage {
        f: asked.frame(&shared, lang.t("nav.today"), "/"),
        day: seen.day,
        phase: seen.row.as_ref().map(|row| row.phase.cell(lang).to(day_href(seen.day))),
        earlier: seen.earlier,
        later: seen.later,
        figures: figures(&seen, lang),
        charts: vec![by_hour(&seen, lang), by_industry(&seen, look), by_cause(&seen, look)],
        first_steps: seen.row.is_none() && seen.cards == 0,
    };
    Ok(render(&page)?.into_response())
}

fn counted(lang: Lang, sum: Sum) -> String {
    lang.counted("bill.records", sum.count)
}

fn figures(seen: &Seen, lang: Lang) -> Vec<Figure> {
    let day = seen.day.to_string();
    let day = day.as_str();
    let (loads, loaded) = seen.loads;
    let paid = seen.row.as_ref().map(|row| plus(row.confirmed, row.adjusted)).unwrap_or_default();
    let refused = seen.row.as_ref().map(|row| row.refused).unwrap_or_default();
    let amount = |title, amount: Fen, note: String, href: String| Figure {
        title,
        value: Value::Amount(amount),
        note,
        href: Some(href),
    };
    vec![
        amount(
            "today.loads",
            loaded,
            lang.counted("today.orders", loads),
            with_query("/loads", [("from", day), ("until", day), ("state", "credited")]),
        ),
        amount(
            "today.purchases",
            paid.amount,
            counted(lang, paid),
            with_query("/records", [("billed", day)]),
        ),
        amount(
            "today.refused",
            refused.amount,
            counted(lang, refused),
            with_query("/refusals", [("day", day)]),
        ),
        amount(
            "today.parked",
            seen.parked.amount,
            counted(lang, seen.parked),
            with_query("/refusals", [("verdict", "parked")]),
        ),
        amount(
            "today.liability",
            seen.liability,
            lang.fill("today.end_of", &[("day", day)]),
            with_query("/trial", [("day", day), ("subject", PURSE_FLOAT.code)]),
        ),
        amount(
            "today.payable",
            seen.payable,
            lang.fill("today.end_of", &[("day", day)]),
            with_query("/trial", [("day", day), ("level", "accounts"), ("subject", MERCHANT_PAYABLE.code)]),
        ),
    ]
}

fn total(rows: &[Row]) -> Sum {
    rows.iter().fold(Sum::default(), |sum, row| plus(sum, row.sum))
}

fn by_hour(seen: &Seen, lang: Lang) -> Chart {
    let day = seen.day.to_string();
    let sums: BTreeMap<u8, Sum> = seen.hours.iter().copied().collect();
    let rows: Vec<Row> = (0..24)
        .map(|hour: u8| Row {
            name: format!("{hour:02}:00–{hour:02}:59"),
            href: with_query("/records", [("billed", day.as_str()), ("hour", hour.to_string().as_str())]),
            sum: sums.get(&hour).copied().unwrap_or_default(),
        })
        .collect();
    let hours: Vec<Hour> = (0..24u8)
        .zip(&rows)
        .map(|(hour, row)| Hour {
            hour,
            count: row.sum.count.into(),
            href: row.href.clone(),
            words: format!("{}: {}, {}", row.name, counted(lang, row.sum), row.sum.amount),
        })
        .collect();
    Chart {
        title: "today.by_hour",
        note: lang.t("today.by_hour_note").to_owned(),
        svg: chart::hours(&hours, lang.t("today.by_hour")),
        heading: "records.hour",
        total: total(&rows),
        rows: rows.into_iter().filter(|row| row.sum.count > 0).collect(),
    }
}

/// A chart of lying bars, the longest first.
fn lying(
    [title, note, heading]: [&'static str; 3],
    mut rows: Vec<Row>,
    size: fn(&Sum) -> i64,
    lang: Lang,
) -> Chart {
    rows.sort_by_key(|row| std::cmp::Reverse(size(&row.sum)));
    let bars: Vec<Bar> = rows
        .iter()
        .map(|row| Bar {
            label: row.name.clone(),
            size: size(&row.sum),
            value: row.sum.amount.to_string(),
            note: counted(lang, row.sum),
            href: row.href.clone(),
        })
        .collect();
    let note = lang.t(note).to_owned();
    Chart { title, note, svg: chart::bars(&bars), heading, total: total(&rows), rows }
}

fn by_industry(seen: &Seen, look: Look) -> Chart {
    let day = seen.day.to_string();
    let row = |(industry, sum): &(u8, Sum)| {
        let code = format!("{industry:02}");
        Row {
            name: Cell::named(look.lang, "industry", &code).value.shown(),
            href: with_query("/bills", [("day", day.as_str()), ("industry", code.as_str())]),
            sum: *sum,
        }
    };
    let rows = seen.industries.iter().map(row).collect();
    let keys = ["today.by_industry", "today.by_industry_note", "bills.industry"];
    lying(keys, rows, |sum| sum.amount.fen(), look.lang)
}

fn by_cause(seen: &Seen, look: Look) -> Chart {
    let day = seen.day.to_string();
    let row = |(cause, sum): (&Cause, &Sum)| Row {
        name: cause_cell(*cause, look).value.shown(),
        href: with_query("/refusals", [("day", day.as_str()), ("cause", cause.slug())]),
        sum: *sum,
    };
    let rows = seen.causes.iter().map(row).collect();
    let keys = ["today.by_cause", "today.by_cause_note", "records.cause"];
    lying(keys, rows, |sum| sum.count.into(), look.lang)
}
