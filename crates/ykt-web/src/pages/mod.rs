//! Pages that are more than a list, one file per task.

pub mod audit;
pub mod bill;
pub mod campaign;
pub mod card;
pub mod ceremony;
pub mod day;
pub mod derive;
pub mod entry;
pub mod file;
pub mod group;
pub mod import;
pub mod key;
pub mod key_request;
pub mod merchant;
mod named;
pub mod order;
pub mod person;
pub mod production;
pub mod record;
pub mod search;
pub mod system;
pub mod terminal;
pub mod today;
pub mod vault;

use crate::act::Filled;
use crate::i18n::Lang;
use crate::list::List;
use crate::view::cell::Tone;
use crate::view::detail::Block;

/// The crumb of a list: its title and its address.
fn crumb<L: List>(lang: Lang) -> (String, String) {
    (lang.t(L::TITLE).to_owned(), L::PATH.to_owned())
}

/// Says at the top why an act was refused whose form is not on the page: one's own request has none to approve it.
fn say_refusal(blocks: &mut Vec<Block>, filled: &Filled) {
    let has_form =
        blocks.iter().any(|block| matches!(block, Block::Form(form) if form.action == filled.action));
    if let Some(words) = filled.words().filter(|_| !has_form) {
        blocks.insert(0, Block::Note(Tone::Bad, words.to_owned()));
    }
}
