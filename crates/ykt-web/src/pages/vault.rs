//! The vault behind the keys: what it is, how it is, and for a pair how the two stand to each other.

use super::{crumb, key, key_request, say_refusal};
use crate::act::{Acted, Doing, Done, Fault, Filled};
use crate::i18n::Lang;
use crate::list::List;
use crate::lists::keys::Keys;
use crate::problem::Problem;
use crate::view::cell::{Cell, Tone};
use crate::view::detail::{Block, Detail, Step};
use crate::view::form::{Field, FieldKind, Form};
use crate::web::{Asked, Shared, blocking};
use axum::extract::{Path, State};
use axum::response::Response;
use std::sync::Arc;
use ykt_kmc::operations::Summary;
use ykt_kmc::registry::tree::Difference;
use ykt_kmc::{Operation, PlaceName, TreeError};
use ykt_office::people::Permission;
use ykt_vault::pair::{Condition, Pair, Standing, SwitchOver};
use ykt_vault::{Health, KeyPlace, VaultStatus};

/// Its path.
pub(crate) const PATH: &str = "/vault";
const READS: Permission = Permission::ReadKeys;
const MANAGES: Permission = Permission::ManageKeys;
/// Most differences a page names.
const DIFFERENCES_MAX: usize = 50;

/// What the page shows.
struct Sight {
    status: VaultStatus,
    signer: bool,
    /// Keys about which vault and registry differ; none when the vault does not answer.
    differences: Result<Vec<(KeyPlace, Difference)>, String>,
    pair: Option<PairSight>,
}

struct PairSight {
    standing: Standing,
    /// In what the two differ, in words; or why that is not known.
    differences: Result<Vec<String>, String>,
    replicate: Option<Summary>,
    switch: Option<(Operation, Summary)>,
}

fn see(shared: &Shared) -> Result<Sight, Problem> {
    let centre = shared.centre()?;
    let differences = match centre.tree() {
        Ok(tree) => Ok(tree.differences().map(|(leaf, difference)| (leaf.place, difference)).collect()),
        Err(TreeError::Vault(error)) => Err(error.to_string()),
        Err(TreeError::Store(error)) => return Err(error.into()),
    };
    let pair = centre.pair.as_deref().map(|pair| {
        let to = pair.acting().other();
        let switch = Operation::SwitchOver { to, how: how(pair) };
        let summary = centre.summary(&switch).ok();
        PairSight {
            standing: pair.standing(),
            differences: pair
                .compare()
                .map(|all| all.iter().take(DIFFERENCES_MAX).map(ToString::to_string).collect())
                .map_err(|error| error.to_string()),
            replicate: centre.summary(&Operation::Replicate).ok(),
            switch: summary.map(|summary| (switch, summary)),
        }
    });
    Ok(Sight { status: centre.vault.status(), signer: centre.signer.is_some(), differences, pair })
}

/// A pair in step is switched by comparison; one that cannot be compared only by whoever vouches for it.
fn how(pair: &Pair) -> SwitchOver {
    if pair.compare().is_ok() { SwitchOver::InStep } else { SwitchOver::AsItIs }
}

/// The page.
pub(crate) async fn page(State(shared): State<Arc<Shared>>, asked: Asked) -> Result<Response, Problem> {
    asked.signed.must(READS)?;
    view(&shared, &asked, &Filled::default()).await
}

async fn view(shared: &Arc<Shared>, asked: &Asked, filled: &Filled) -> Result<Response, Problem> {
    let lang = asked.prefs.lang;
    let reader = Arc::clone(shared);
    let sight = blocking(move || see(&reader)).await?;
    let mut blocks = vec![Block::Facts(lang.t("key_vault.facts").to_owned(), facts(lang, &sight))];
    let mut forms = Vec::new();
    match &sight.differences {
        Err(why) => blocks.push(Block::Note(Tone::Bad, lang.fill("key_vault.not_compared", &[("why", why)]))),
        Ok(differences) if differences.is_empty() => {
            blocks.push(Block::Note(Tone::Good, lang.t("key_vault.as_registered").to_owned()));
        }
        Ok(differences) => {
            let steps = differences.iter().take(DIFFERENCES_MAX).map(|(place, difference)| Step {
                class: "bad",
                name: PlaceName(*place).to_string(),
                when: lang.t(&format!("key-difference.{}", difference.name())).to_owned(),
                what: String::new(),
                href: Some(key::href(place)),
            });
            blocks.push(Block::Way(lang.t("key_vault.differences").to_owned(), steps.collect()));
            if differences.iter().any(|(_, difference)| *difference == Difference::NotRegistered) {
                let form = Form::new(
                    asked,
                    "key_vault.register",
                    format!("{PATH}/register"),
                    "key_vault.register_go",
                );
                forms.push(form.lead(lang.t("key_vault.register_lead")));
            }
        }
    }
    if let Some(pair) = &sight.pair {
        blocks.extend(pair_blocks(lang, pair));
        forms.extend(pair_forms(shared, asked, pair));
    }
    if asked.signed.who.role.may(MANAGES) {
        blocks.extend(forms.into_iter().map(|form| Block::Form(form.filled(filled))));
    }
    say_refusal(&mut blocks, filled);
    filled.page(&Detail {
        crumbs: vec![crumb::<Keys>(lang)],
        tag: Some(health_cell(lang, &sight.status.health)),
        actions: Vec::new(),
        blocks,
        f: asked.frame(shared, lang.t("nav.vault"), PATH),
    })
}

fn health_cell(lang: Lang, health: &Health) -> Cell {
    match health {
        Health::Ready => Cell::status(lang, "vault-health", "ready", Tone::Good),
        Health::Locked => Cell::status(lang, "vault-health", "locked", Tone::Warn),
        Health::Gone { reason } => {
            Cell::status(lang, "vault-health", "gone", Tone::Bad).hint(reason.as_str())
        }
    }
}

fn facts(lang: Lang, sight: &Sight) -> Vec<(&'static str, Cell)> {
    let mut facts = status_facts(lang, &sight.status);
    let levels: Vec<&str> = sight.status.levels.as_slice().iter().map(|level| level.name.as_str()).collect();
    facts.push(("key_vault.levels", Cell::text(levels.join(" → "))));
    let signer = if sight.signer { "key_vault.signer_there" } else { "key_vault.signer_missing" };
    facts.push(("key_vault.signer", Cell::text(lang.t(signer))));
    facts
}

fn status_facts(lang: Lang, status: &VaultStatus) -> Vec<(&'static str, Cell)> {
    vec![
        ("key_vault.backend", Cell::text(status.backend)),
        ("key_vault.version", Cell::text(status.version.clone())),
        ("key_vault.health", health_cell(lang, &status.health)),
        ("key_vault.origin", Cell::named(lang, "vault-origin", status.origin.name())),
        ("key_vault.keys", Cell::number(u64::try_from(status.keys).unwrap_or(u64::MAX)).to(Keys::PATH)),
    ]
}

fn pair_blocks(lang: Lang, pair: &PairSight) -> Vec<Block> {
    let mut blocks = Vec::new();
    let acting = pair.standing.acting;
    for (side, member) in [("primary", &pair.standing.primary), ("backup", &pair.standing.backup)] {
        let mut facts = status_facts(lang, &member.status);
        let (code, tone) = match &member.condition {
            Condition::Acting => ("acting", Tone::Good),
            Condition::ActingFailed { .. } => ("faulty", Tone::Bad),
            Condition::Ready { .. } => ("stands-by", Tone::Good),
            Condition::Unknown { .. } => ("unknown", Tone::Warn),
            Condition::Failed { .. } => ("failed", Tone::Bad),
            Condition::Unfit { .. } => ("unfit", Tone::Bad),
        };
        let cell = Cell::status(lang, "vault-condition", code, tone).hint(member.condition.to_string());
        facts.insert(0, ("key_vault.condition", cell));
        let is_acting = if acting.name() == side { lang.t("key_vault.acts") } else { "" };
        let title = format!("{} {is_acting}", lang.t(&format!("vault-side.{side}")));
        blocks.push(Block::Facts(title.trim().to_owned(), facts));
    }
    blocks.push(match &pair.differences {
        Err(why) => Block::Note(Tone::Bad, lang.fill("key_vault.not_compared", &[("why", why)])),
        Ok(all) if all.is_empty() => Block::Note(Tone::Good, lang.t("key_vault.in_step").to_owned()),
        Ok(all) => {
            let step = |words: &String| Step {
                class: "warn",
                name: words.clone(),
                when: String::new(),
                what: String::new(),
                href: None,
            };
            Block::Way(lang.t("key_vault.out_of_step").to_owned(), all.iter().map(step).collect())
        }
    });
    blocks
}

fn pair_forms(shared: &Shared, asked: &Asked, pair: &PairSight) -> Vec<Form> {
    let lang = asked.prefs.lang;
    let form = |act: &str, title, button, summary: &Summary| {
        let form = Form::new(asked, title, format!("{PATH}/{act}"), button).lead(lang.t("keys.two_people"));
        key::asking(form.critical(key::what_happens(lang, summary)), shared, lang)
    };
    let replicate = pair.replicate.as_ref();
    let replicate = replicate.map(|s| form("replicate", "key_vault.replicate", "key_vault.replicate_go", s));
    let switch = pair.switch.as_ref();
    let switch = switch.map(|(_, summary)| {
        let ways = ["in-step", "as-it-is"]
            .map(|way| (way.to_owned(), lang.t(&format!("vault-way.{way}")).to_owned()));
        form("switch", "key_vault.switch", "key_vault.switch_go", summary).field(Field::new(
            "how",
            lang.t("key_vault.how"),
            FieldKind::Choice(ways.to_vec()),
        ))
    });
    replicate.into_iter().chain(switch).collect()
}

/// Asks what the last part of the address says.
pub(crate) async fn change(Path(what): Path<String>, doing: Doing) -> Result<Response, Problem> {
    let acted = doing
        .run(MANAGES, move |work| {
            let (centre, lang) = (work.shared.centre()?, work.lang);
            match what.as_str() {
                "replicate" => key::ask(work, &centre, &Operation::Replicate),
                "switch" => {
                    let pair = centre.pair.as_deref().ok_or_else(|| Problem::not_found(""))?;
                    let how = match work.fields.must("how", lang)? {
                        "as-it-is" => SwitchOver::AsItIs,
                        _ => SwitchOver::InStep,
                    };
                    key::ask(work, &centre, &Operation::SwitchOver { to: pair.acting().other(), how })
                }
                "register" => {
                    let taken = centre.take_over(&work.act).map_err(|error| match error {
                        TreeError::Store(error) => Fault::ours(&error),
                        other => Fault::Problem(key_request::problem(other.into())),
                    })?;
                    Ok(Done::at(PATH).say("key_vault.registered", [("count", &taken.to_string())]))
                }
                _ => Err(Problem::not_found("").into()),
            }
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => view(&doing.shared, &doing.asked, &filled).await,
    }
}
