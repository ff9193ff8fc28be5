//! A group of keys: what is in it, and handing all of it out at once.

use super::{crumb, key, named, say_refusal};
use crate::act::{Acted, Doing, Done, Fault, Filled, Work};
use crate::i18n::Lang;
use crate::list::List;
use crate::lists::groups::KeyGroups;
use crate::problem::Problem;
use crate::view::cell::Cell;
use crate::view::detail::{Block, Detail};
use crate::view::form::{Field, FieldKind, Form};
use crate::view::url::segment;
use crate::web::{Asked, Shared, blocking};
use axum::extract::{Path, State};
use axum::response::Response;
use std::sync::Arc;
use ykt_kmc::Operation;
use ykt_kmc::registry::groups::{self, Group, GroupError};
use ykt_kmc::registry::tree::Tree;
use ykt_office::people::Permission;
use ykt_vault::KeyKind;

/// Where a group is made.
pub(crate) const NEW: &str = "/new-key-group";
const MANAGES: Permission = Permission::ManageKeys;

/// The address of a group.
pub(crate) fn href(name: &str) -> String {
    format!("{}/{}", KeyGroups::PATH, segment(name))
}

/// The form for a new group.
pub(crate) async fn new_page(State(shared): State<Arc<Shared>>, asked: Asked) -> Result<Response, Problem> {
    asked.signed.must(MANAGES)?;
    new_view(&shared, &asked, &Filled::default())
}

fn new_view(shared: &Shared, asked: &Asked, filled: &Filled) -> Result<Response, Problem> {
    let lang = asked.prefs.lang;
    let form = Form::new(asked, "key_groups.new", NEW, "key_groups.new_go")
        .lead(lang.t("key_groups.new_lead"))
        .field(
            Field::new("name", lang.t("key_groups.name"), FieldKind::Code)
                .hint(lang.t("key_groups.name_rule")),
        );
    filled.page(&Detail {
        crumbs: vec![crumb::<KeyGroups>(lang)],
        tag: None,
        actions: Vec::new(),
        blocks: vec![Block::Form(contents(form, lang, None).filled(filled))],
        f: asked.frame(shared, lang.t("key_groups.new"), KeyGroups::PATH),
    })
}

/// The fields of what a group is and has.
fn contents(form: Form, lang: Lang, group: Option<&Group>) -> Form {
    let (title, keys) =
        group.map(|group| (group.title.clone(), named::lines(&group.places))).unwrap_or_default();
    form.field(Field::new("title", lang.t("key_groups.title"), FieldKind::Text).value(title)).field(
        Field::new("keys", lang.t("key_groups.keys"), FieldKind::Lines)
            .value(keys)
            .hint(lang.t("key_groups.keys_hint")),
    )
}

/// Makes a group.
pub(crate) async fn add(doing: Doing) -> Result<Response, Problem> {
    let acted = doing
        .run(MANAGES, |work| {
            let lang = work.lang;
            let name = work.fields.must("name", lang)?;
            let there = work.shared.app.store.read(|tx| groups::one(tx, name))?;
            if there.is_some() {
                return Err(Fault::at("name", lang.fill("key_groups.taken", &[("name", name)])));
            }
            keep(work, name)
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => new_view(&doing.shared, &doing.asked, &filled),
    }
}

/// Keeps a group as it was filled in.
fn keep(work: &Work<'_>, name: &str) -> Result<Done, Fault> {
    let lang = work.lang;
    let tree = key::tree(work.shared)?;
    let title = work.fields.must("title", lang)?.to_owned();
    let group = Group { name: name.to_owned(), title, places: named::places(work, &tree, "keys")? };
    let kept = work.shared.app.store.write(|tx| groups::put(tx, &group, &work.act));
    kept.map_err(|error| match error {
        GroupError::Name { found } => Fault::expected(lang, "name", lang.t("key_groups.name_rule"), &found),
        GroupError::TooMany { found } => {
            let most = lang.fill("key_groups.most", &[("most", &groups::KEYS_MAX.to_string())]);
            Fault::expected(lang, "keys", &most, &found.to_string())
        }
        GroupError::Store(error) => Fault::ours(&error),
    })?;
    Ok(Done::at(href(name)).say("key_groups.kept", [("name", name)]))
}

fn see(shared: &Shared, name: &str) -> Result<(Group, Tree), Problem> {
    let group = shared.app.store.read(|tx| groups::one(tx, name))?;
    Ok((group.ok_or_else(|| Problem::not_found(name))?, key::tree(shared)?))
}

/// A group with what can be done with it.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.signed.must(KeyGroups::NEEDS)?;
    view(&shared, &asked, name, &Filled::default()).await
}

async fn view(
    shared: &Arc<Shared>,
    asked: &Asked,
    name: String,
    filled: &Filled,
) -> Result<Response, Problem> {
    let (lang, look) = (asked.prefs.lang, asked.look());
    let reader = Arc::clone(shared);
    let (group, tree) = blocking(move || see(&reader, &name)).await?;
    let facts = vec![
        ("key_groups.name", Cell::text(group.name.clone())),
        ("key_groups.title", Cell::text(group.title.clone())),
    ];
    let keys = group.places.iter().map(|place| named::Named::of(&tree, *place)).collect();
    let mut blocks = vec![
        Block::Facts(lang.t("key_groups.facts").to_owned(), facts),
        named::block(lang.t("key_groups.keys"), keys, look),
    ];
    if asked.signed.who.role.may(MANAGES) {
        let to = |act: &str| format!("{}/{act}", href(&group.name));
        blocks.push(match key::export_form(shared, asked, &tree, to("export")) {
            Some(form) => Block::Form(form.filled(filled)),
            None => named::lacks(lang, KeyKind::KeyTransport),
        });
        let change = Form::new(asked, "key_groups.change", to("change"), "key_groups.change_go");
        blocks.push(Block::Form(contents(change, lang, Some(&group)).filled(filled)));
        let remove = Form::new(asked, "key_groups.remove", to("remove"), "key_groups.remove_go");
        blocks.push(Block::Form(remove.lead(lang.t("key_groups.remove_lead")).filled(filled)));
    }
    say_refusal(&mut blocks, filled);
    filled.page(&Detail {
        crumbs: vec![crumb::<KeyGroups>(lang)],
        tag: None,
        actions: Vec::new(),
        blocks,
        f: asked.frame(shared, format!("{} {}", lang.t("key_groups.facts"), group.name), KeyGroups::PATH),
    })
}

/// Does what the last part of the address says.
pub(crate) async fn change(
    Path((name, what)): Path<(String, String)>,
    doing: Doing,
) -> Result<Response, Problem> {
    let of = name.clone();
    let acted = doing
        .run(MANAGES, move |work| {
            let store = &work.shared.app.store;
            let group = store.read(|tx| groups::one(tx, &of))?;
            let group = group.ok_or_else(|| Problem::not_found(of.as_str()))?;
            match what.as_str() {
                "change" => keep(work, &of),
                "export" => {
                    let operation = Operation::Export {
                        party: work.fields.must("party", work.lang)?.to_owned(),
                        transport: named::root(work, "transport")?,
                        places: group.places,
                    };
                    key::ask(work, &*work.shared.centre()?, &operation)
                }
                "remove" => {
                    store.write(|tx| groups::remove(tx, &of, &work.act))?;
                    Ok(Done::at(KeyGroups::PATH).say("key_groups.removed", [("name", &of)]))
                }
                _ => Err(Problem::not_found("").into()),
            }
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => view(&doing.shared, &doing.asked, name, &filled).await,
    }
}
