//! The books: the trial balance, and the entries behind each of its figures.

use crate::list::{
    Ask, Column, Filter, FilterKind, Found, List, ListError, Look, Shape, Sort, Way, sort_and_cut,
};
use crate::view::cell::{Cell, Value};
use crate::view::url::{segment, with_query};
use ykt_base::{Date, Fen};
use ykt_ledger::chart::subject;
use ykt_ledger::{AccountCode, BookedEntry, EntryFilter, Subject, TrialLine, entries, trial_balance};
use ykt_office::people::Permission;
use ykt_store::{Direction, Tx};

/// A line of the trial balance: a subject, or an account below one.
#[derive(Debug, Clone)]
pub struct TrialRow {
    /// The subject.
    pub subject: &'static Subject,
    /// The account below it; `None` for the subject's own line.
    pub account: Option<AccountCode>,
    /// The day of the books; `None` for all time.
    pub day: Option<Date>,
    /// Balance before.
    pub opening: Fen,
    /// Sum of debits.
    pub debit: Fen,
    /// Sum of credits.
    pub credit: Fen,
    /// Balance after.
    pub balance: Fen,
}

/// The part of a balance that stands on the debit side.
fn on_debit(balance: Fen) -> Fen {
    balance.max(Fen::ZERO)
}

/// The part of a balance that stands on the credit side.
fn on_credit(balance: Fen) -> Fen {
    balance.min(Fen::ZERO).checked_neg().unwrap_or(Fen::ZERO)
}

/// An amount that is left out when it is nothing, as accountants write it.
fn side(amount: Fen, href: String) -> Cell {
    if amount.is_zero() { Cell::nothing() } else { Cell::amount(amount).to(href) }
}

impl TrialRow {
    /// The entries behind the line: those of its day, or all.
    fn entries(&self) -> String {
        self.link(self.day.map(|day| day.to_string()))
    }

    /// All entries up to the end of its day.
    fn entries_until(&self) -> String {
        let until = self.day.map(|day| day.to_string());
        let (key, code) = self.key();
        let pairs = [(key, Some(code)), ("until", until.as_deref())];
        with_query("/entries", pairs.into_iter().filter_map(|(k, v)| Some((k, v?))))
    }

    /// All entries before its day.
    fn entries_before(&self) -> String {
        let until = self.day.and_then(|day| day.plus_days(-1)).map(|day| day.to_string());
        let (key, code) = self.key();
        let pairs = [(key, Some(code)), ("until", until.as_deref())];
        with_query("/entries", pairs.into_iter().filter_map(|(k, v)| Some((k, v?))))
    }

    fn link(&self, day: Option<String>) -> String {
        let (key, code) = self.key();
        let pairs = [(key, Some(code)), ("from", day.as_deref()), ("until", day.as_deref())];
        with_query("/entries", pairs.into_iter().filter_map(|(k, v)| Some((k, v?))))
    }

    fn key(&self) -> (&'static str, &str) {
        match &self.account {
            Some(account) => ("account", account.as_str()),
            None => ("subject", self.subject.code),
        }
    }
}

/// The trial balance (试算平衡表): debits equal credits in every pair of columns.
pub struct Trial;

const LEVELS: &[&str] = &["accounts"];

impl List for Trial {
    type Row = TrialRow;
    const PATH: &'static str = "/trial";
    const TITLE: &'static str = "nav.trial";
    const LEAD: &'static str = "trial.lead";
    const EMPTY: &'static str = "trial.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<TrialRow>] {
        type C = Column<TrialRow>;
        const COLUMNS: &[C] = &[
            C::new("account", "trial.account", Shape::Code, |row, _| {
                let (_, code) = row.key();
                Cell::text(code).to(row.entries())
            })
            .sortable(),
            C::new("name", "trial.name", Shape::Text, |row, look| {
                let name = look.lang.pick(row.subject.name_zh, row.subject.name_en);
                match row.account.as_ref().and_then(AccountCode::sub) {
                    Some(sub) if row.subject.code == "2202.01" => {
                        Cell::text(format!("{name} · {sub}")).to(format!("/merchants/{}", segment(sub)))
                    }
                    Some(sub) => Cell::text(format!("{name} · {sub}")),
                    None => Cell::text(name),
                }
            }),
            C::new("opening-debit", "trial.opening_debit", Shape::Amount, |row, _| {
                side(on_debit(row.opening), row.entries_before())
            })
            .sortable(),
            C::new("opening-credit", "trial.opening_credit", Shape::Amount, |row, _| {
                side(on_credit(row.opening), row.entries_before())
            })
            .sortable(),
            C::new("debit", "trial.debit", Shape::Amount, |row, _| side(row.debit, row.entries())).sortable(),
            C::new("credit", "trial.credit", Shape::Amount, |row, _| side(row.credit, row.entries()))
                .sortable(),
            C::new("balance-debit", "trial.balance_debit", Shape::Amount, |row, _| {
                side(on_debit(row.balance), row.entries_until())
            })
            .sortable(),
            C::new("balance-credit", "trial.balance_credit", Shape::Amount, |row, _| {
                side(on_credit(row.balance), row.entries_until())
            })
            .sortable(),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("day", "trial.day", FilterKind::Date),
            Filter::new("level", "trial.level", FilterKind::Choice("level", LEVELS)),
            Filter::new("subject", "trial.account", FilterKind::Text),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, look: Look) -> Result<Found<TrialRow>, ListError> {
        let day = ask.value::<Date>("day")?;
        let begins = ask.text("subject").unwrap_or_default();
        let lines = trial_balance(tx, day)?;
        let by_account = ask.text("level") == Some("accounts");
        let rows: Vec<TrialRow> = lines
            .iter()
            .flat_map(|line| if by_account { of_accounts(line, day) } else { vec![of_subject(line, day)] })
            .filter(|row| row.key().1.starts_with(begins))
            .collect();
        let total = |amount: fn(&TrialRow) -> Fen| Value::Amount(rows.iter().map(amount).sum());
        let totals = vec![
            ("opening-debit", total(|row| on_debit(row.opening))),
            ("opening-credit", total(|row| on_credit(row.opening))),
            ("debit", total(|row| row.debit)),
            ("credit", total(|row| row.credit)),
            ("balance-debit", total(|row| on_debit(row.balance))),
            ("balance-credit", total(|row| on_credit(row.balance))),
        ];
        Ok(sort_and_cut(rows, ask, Self::columns(), look, totals))
    }
}

fn of_subject(line: &TrialLine, day: Option<Date>) -> TrialRow {
    let TrialLine { subject, opening, debit, credit, balance, .. } = line;
    let (opening, debit, credit, balance) = (*opening, *debit, *credit, *balance);
    TrialRow { subject, account: None, day, opening, debit, credit, balance }
}

fn of_accounts(line: &TrialLine, day: Option<Date>) -> Vec<TrialRow> {
    let row = |account: &ykt_ledger::AccountLine| TrialRow {
        subject: line.subject,
        account: Some(account.account.clone()),
        day,
        opening: account.opening,
        debit: account.debit,
        credit: account.credit,
        balance: account.balance,
    };
    line.accounts.iter().map(row).collect()
}

/// An entry with what it does to the account or subject asked about, or as a whole.
#[derive(Debug, Clone)]
pub struct EntryRow {
    /// The entry.
    pub booked: BookedEntry,
    /// Its debits there.
    pub debit: Fen,
    /// Its credits there.
    pub credit: Fen,
}

/// The entries of the books.
pub struct Entries;

/// The name of an event of the books.
#[must_use]
pub fn event_cell(event: &str, look: Look) -> Cell {
    Cell::named(look.lang, "event", event).hint(event)
}

/// Events of the books that have a name.
pub const EVENTS: &[&str] = &[
    "OPENING",
    "CARD-SALE",
    "TILL-TO-BANK",
    "LOAD-PAID",
    "LOAD-CREDITED",
    "LOAD-GIVEN-BACK",
    "CHANNEL-SETTLED",
    "OWN-COVERS",
    "PURCHASE",
    "ADJUSTMENT",
    "LOST-OPERATOR",
    "COMMISSION",
    "PAYOUT",
    "COMMISSION-SWEEP",
];

/// Address of an entry's page.
#[must_use]
pub fn entry_href(id: &str) -> String {
    format!("/entries/{}", id.split('/').map(segment).collect::<Vec<_>>().join("/"))
}

impl List for Entries {
    type Row = EntryRow;
    const PATH: &'static str = "/entries";
    const TITLE: &'static str = "nav.entries";
    const LEAD: &'static str = "entries.lead";
    const EMPTY: &'static str = "entries.empty";
    const NEEDS: Permission = super::READ;

    fn columns() -> &'static [Column<EntryRow>] {
        type C = Column<EntryRow>;
        const COLUMNS: &[C] = &[
            C::new("seq", "entries.seq", Shape::Number, |row, _| Cell::serial(row.booked.seq)).sortable(),
            C::new("id", "entries.id", Shape::Code, |row, _| {
                let id = row.booked.entry.id.as_str();
                Cell::text(id).to(entry_href(id))
            }),
            C::new("day", "entries.day", Shape::Time, |row, _| Cell::date(row.booked.entry.day)),
            C::new("at", "entries.at", Shape::Time, |row, _| Cell::at(row.booked.entry.at)),
            C::new("event", "entries.event", Shape::Text, |row, look| {
                event_cell(&row.booked.entry.event, look)
            }),
            C::new("debit", "entries.debit", Shape::Amount, |row, _| side_plain(row.debit)),
            C::new("credit", "entries.credit", Shape::Amount, |row, _| side_plain(row.credit)),
            C::new("legs", "entries.legs", Shape::Number, |row, _| Cell::number(row.booked.entry.legs.len())),
            C::new("memo", "entries.memo", Shape::Long, |row, _| Cell::text(row.booked.entry.memo.clone())),
            C::new("link", "entries.link", Shape::Code, |row, _| Cell::text(row.booked.link.to_string()))
                .on_demand(),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("from", "entries.from", FilterKind::Date),
            Filter::new("until", "entries.until", FilterKind::Date),
            Filter::new("event", "entries.event", FilterKind::Choice("event", EVENTS)),
            Filter::new("subject", "entries.subject", FilterKind::Text),
            Filter::new("account", "entries.account", FilterKind::Wide),
            Filter::new("id", "entries.id_begins", FilterKind::Wide),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<EntryRow>, ListError> {
        let asked_subject = match ask.text("subject") {
            None => None,
            Some(code) => Some(subject(code).ok_or_else(|| ListError::Ask {
                what: "subject".to_owned(),
                expected: "a subject of the chart of accounts, such as 2202.01".to_owned(),
                found: code.to_owned(),
            })?),
        };
        let direction = match ask.sort {
            Some(Sort { way: Way::Up, .. }) => Direction::Up,
            _ => Direction::Down,
        };
        let filter = EntryFilter {
            account: ask.value("account")?,
            subject: asked_subject,
            event: ask.text("event").map(str::to_owned),
            id_prefix: ask.text("id").map(str::to_owned),
            from: ask.value("from")?,
            until: ask.value("until")?,
        };
        let page = entries(tx, &filter, direction, ask.paging())?;
        let rows = page.rows.into_iter().map(|booked| of_entry(booked, &filter)).collect();
        Ok(Found {
            rows,
            count: u64::try_from(page.totals.entries).unwrap_or(0),
            totals: vec![
                ("debit", Value::Amount(page.totals.debit)),
                ("credit", Value::Amount(page.totals.credit)),
            ],
        })
    }
}

fn side_plain(amount: Fen) -> Cell {
    if amount.is_zero() { Cell::nothing() } else { Cell::amount(amount) }
}

/// The debits and credits of the legs that the filter means.
fn of_entry(booked: BookedEntry, filter: &EntryFilter) -> EntryRow {
    let meant = booked.entry.legs.iter().filter(|leg| {
        filter.account.as_ref().is_none_or(|account| *account == leg.account)
            && filter.subject.is_none_or(|subject| *subject == *leg.account.subject())
    });
    let (debit, credit) = meant.fold((Fen::ZERO, Fen::ZERO), |(debit, credit), leg| {
        let sum = |a: Fen, b: Fen| a.checked_add(b).unwrap_or(a);
        (sum(debit, on_debit(leg.amount)), sum(credit, on_credit(leg.amount)))
    });
    EntryRow { booked, debit, credit }
}
