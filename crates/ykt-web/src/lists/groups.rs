//! Groups of keys, for who may read keys.

use crate::list::{Ask, Column, Filter, FilterKind, Found, List, ListError, Look, Shape};
use crate::lists::part_of;
use crate::pages::group;
use crate::view::cell::Cell;
use ykt_kmc::registry::groups::{self, Group};
use ykt_office::people::Permission;
use ykt_store::Tx;

/// The groups.
pub struct KeyGroups;

impl List for KeyGroups {
    type Row = Group;
    const PATH: &'static str = "/key-groups";
    const TITLE: &'static str = "nav.key_groups";
    const LEAD: &'static str = "key_groups.lead";
    const EMPTY: &'static str = "key_groups.empty";
    const NEEDS: Permission = Permission::ReadKeys;
    const ACTIONS: &'static [(&'static str, &'static str, Permission)] =
        &[("key_groups.new", group::NEW, Permission::ManageKeys)];

    fn columns() -> &'static [Column<Group>] {
        type C = Column<Group>;
        const COLUMNS: &[C] = &[
            C::new("name", "key_groups.name", Shape::Code, |row, _| {
                Cell::text(row.name.clone()).to(group::href(&row.name))
            }),
            C::new("title", "key_groups.title", Shape::Text, |row, _| Cell::text(row.title.clone())),
            C::new("count", "key_groups.count", Shape::Number, |row, _| Cell::number(row.places.len())),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[Filter::new("text", "key_groups.text", FilterKind::Wide)];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<Group>, ListError> {
        let text = ask.text("text").map(|text| text.trim().to_lowercase());
        let fits = |group: &Group| {
            let words = format!("{} {}", group.name, group.title).to_lowercase();
            text.as_ref().is_none_or(|text| words.contains(text))
        };
        let rows = groups::list(tx)?.into_iter().filter(fits).collect();
        Ok(part_of(rows, ask))
    }
}
