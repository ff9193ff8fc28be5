//! The people of the house, for who keeps them.

use crate::i18n::Lang;
use crate::list::{Ask, Column, Filter, FilterKind, Found, List, ListError, Look, Shape};
use crate::pages::person;
use crate::view::cell::{Cell, Tone};
use crate::words::Word;
use ykt_office::people::{self, Permission, Role, UserFilter, UserRow};
use ykt_store::Tx;

/// The users.
pub struct Users;

/// How a user stands.
pub(crate) fn state(user: &UserRow, lang: Lang) -> Cell {
    let (code, tone) = match user {
        UserRow { disabled: true, .. } => ("user-disabled", Tone::Quiet),
        UserRow { locked_until: Some(_), .. } => ("user-locked", Tone::Bad),
        UserRow { must_change_password: true, .. } => ("user-must-change", Tone::Warn),
        _ => ("user-active", Tone::Good),
    };
    Cell::status(lang, "state", code, tone)
}

impl List for Users {
    type Row = UserRow;
    const PATH: &'static str = "/users";
    const TITLE: &'static str = "nav.users";
    const LEAD: &'static str = "users.lead";
    const EMPTY: &'static str = "users.empty";
    const NEEDS: Permission = Permission::ManagePeople;
    const ACTIONS: &'static [(&'static str, &'static str, Permission)] =
        &[("users.new", person::NEW, Permission::ManagePeople)];

    fn columns() -> &'static [Column<UserRow>] {
        type C = Column<UserRow>;
        const COLUMNS: &[C] = &[
            C::new("name", "users.name", Shape::Code, |row, _| {
                Cell::text(row.name.clone()).to(person::href(&row.name))
            }),
            C::new("full-name", "account.full_name", Shape::Text, |row, _| Cell::text(row.full_name.clone())),
            C::new("role", "account.role", Shape::Text, |row, look| {
                Cell::named(look.lang, "role", row.role.slug())
            }),
            C::new("staff-number", "users.staff_number", Shape::Code, |row, _| {
                Cell::text(row.staff_number.as_ref().map_or_else(String::new, ToString::to_string))
            }),
            C::new("state", "users.state", Shape::Text, |row, look| state(row, look.lang)),
            C::new("failures", "users.failures", Shape::Number, |row, _| Cell::number(row.failures)),
            C::new("locked-until", "users.locked_until", Shape::Time, |row, _| Cell::at(row.locked_until)),
            C::new("signed-in", "users.last_sign_in", Shape::Time, |row, _| Cell::at(row.last_sign_in_at)),
            C::new("password", "users.password_changed", Shape::Time, |row, _| {
                Cell::at(row.password_changed_at)
            }),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("text", "users.text", FilterKind::Wide),
            Filter::new("role", "account.role", FilterKind::Choice("role", Role::CODES)),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<UserRow>, ListError> {
        let filter =
            UserFilter { text: ask.text("text").map(str::to_owned), role: ask.word("role"), disabled: None };
        let page = people::list(tx, &filter, ask.paging())?;
        Ok(Found { rows: page.rows, count: page.totals, totals: Vec::new() })
    }
}
