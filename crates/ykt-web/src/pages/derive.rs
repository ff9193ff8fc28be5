//! Asking for root keys out of a seed.

use super::{crumb, key, named};
use crate::act::{Acted, Doing, Fault, Filled};
use crate::list::List;
use crate::lists::keys::Keys;
use crate::problem::Problem;
use crate::view::detail::{Block, Detail};
use crate::view::form::{Field, FieldKind, Form};
use crate::web::{Asked, Shared, blocking};
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;
use ykt_kmc::Operation;
use ykt_kmc::ceremonies::roots;
use ykt_office::people::Permission;
use ykt_vault::{KeyKind, KeyPlace};

/// Where roots are asked for.
pub(crate) const PATH: &str = "/derive-keys";
const MANAGES: Permission = Permission::ManageKeys;

/// The form.
pub(crate) async fn page(State(shared): State<Arc<Shared>>, asked: Asked) -> Result<Response, Problem> {
    asked.signed.must(MANAGES)?;
    view(&shared, &asked, &Filled::default()).await
}

async fn view(shared: &Arc<Shared>, asked: &Asked, filled: &Filled) -> Result<Response, Problem> {
    let lang = asked.prefs.lang;
    let reader = Arc::clone(shared);
    let tree = blocking(move || key::tree(&reader)).await?;
    let block = match named::choice(&tree, KeyKind::Seed, "seed", lang.t("key-kind.seed")) {
        None => named::lacks(lang, KeyKind::Seed),
        Some(seed) => {
            let keys = Field::new("keys", lang.t("key_requests.keys"), FieldKind::Lines);
            let form = Form::new(asked, "keys.derive", PATH, "keys.derive_go")
                .lead(lang.t("keys.derive_lead"))
                .field(seed)
                .field(keys.value("all").hint(lang.t("keys.derive_hint")));
            Block::Form(key::asking(form, shared, lang).filled(filled))
        }
    };
    filled.page(&Detail {
        crumbs: vec![crumb::<Keys>(lang)],
        tag: None,
        actions: Vec::new(),
        blocks: vec![block],
        f: asked.frame(shared, lang.t("keys.derive"), Keys::PATH),
    })
}

/// Asks for the roots.
pub(crate) async fn ask(doing: Doing) -> Result<Response, Problem> {
    let acted = doing
        .run(MANAGES, |work| {
            let (centre, lang) = (work.shared.centre()?, work.lang);
            let seed = named::root(work, "seed")?;
            let tree = key::tree(work.shared)?;
            let mut keys = Vec::new();
            for word in named::words(work.fields.must("keys", lang)?) {
                let read = roots(word, seed);
                let read = read.map_err(|error| {
                    Fault::expected(lang, "keys", lang.t("keys.derive_hint"), &error.found)
                })?;
                // "all" means all that are missing: a name is never used twice.
                let is_new = |key: &_| word != "all" || tree.leaf(&KeyPlace::root(*key)).is_none();
                keys.extend(read.into_iter().filter(is_new));
            }
            if keys.is_empty() {
                return Err(Fault::at("keys", lang.t("keys.derive_none")));
            }
            key::ask(work, &centre, &Operation::DeriveRoots { seed, keys })
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => view(&doing.shared, &doing.asked, &filled).await,
    }
}
