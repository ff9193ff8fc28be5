//! Pages that are more than a list, one file per task.

pub mod audit;
pub mod bill;
pub mod card;
pub mod day;
pub mod entry;
pub mod file;
pub mod merchant;
pub mod order;
pub mod person;
pub mod record;
pub mod search;
pub mod system;
pub mod terminal;
pub mod today;

use crate::i18n::Lang;
use crate::list::List;

/// The crumb of a list: its title and its address.
fn crumb<L: List>(lang: Lang) -> (String, String) {
    (lang.t(L::TITLE).to_owned(), L::PATH.to_owned())
}
