//! A campaign: what changes, how far its cards are, and its beginning and end.

use super::{crumb, key, say_refusal};
use crate::act::{Acted, Doing, Done, Fault, Filled, Work};
use crate::i18n::Lang;
use crate::list::{Ask, List};
use crate::lists::keys::{CampaignCards, Campaigns};
use crate::problem::Problem;
use crate::view::cell::{Cell, Value};
use crate::view::detail::{Bar, Block, Detail, Figure, Short, more};
use crate::view::form::{Field, FieldKind, Form};
use crate::view::url::{segment, with_query};
use crate::web::{Asked, Shared, blocking};
use crate::words::Word;
use axum::extract::{Path, State};
use axum::response::Response;
use std::sync::Arc;
use ykt_issue::profile::SHIPPED;
use ykt_kmc::campaigns::{
    self, Campaign, CampaignError, CampaignState, CardChoice, CardProgress, Counts, KeyChange, NewCampaign,
};
use ykt_kmc::operations::Summary;
use ykt_kmc::{Operation, PlaceName};
use ykt_office::people::Permission;
use ykt_vault::KeyPlace;

/// Where a campaign is planned.
pub(crate) const NEW: &str = "/new-campaign";
const READS: Permission = Permission::ReadKeys;
const MANAGES: Permission = Permission::ManageKeys;

/// The address of a campaign.
pub(crate) fn href(name: &str) -> String {
    format!("{}/{}", Campaigns::PATH, segment(name))
}

fn cards_href(name: &str, progress: Option<CardProgress>) -> String {
    let progress = progress.map(|progress| ("progress", progress.slug()));
    with_query(CampaignCards::PATH, [("campaign", name)].into_iter().chain(progress))
}

/// A campaign with its cards.
pub(crate) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.signed.must(READS)?;
    view(&shared, &asked, name, &Filled::default()).await
}

async fn view(
    shared: &Arc<Shared>,
    asked: &Asked,
    name: String,
    filled: &Filled,
) -> Result<Response, Problem> {
    let (lang, look) = (asked.prefs.lang, asked.look());
    let query = with_query("", [("campaign", &*name), ("rows", "20")]);
    let ask = Ask::parse::<CampaignCards>(query.trim_start_matches('?'))?;
    let wanted = name.clone();
    let (campaign, counts, cards) = shared
        .read(move |tx| {
            let campaign = campaigns::one(tx, &wanted)?.ok_or_else(|| Problem::not_found(&*wanted))?;
            Ok((campaign, campaigns::progress(tx, &wanted)?, CampaignCards::find(tx, &ask, look)?))
        })
        .await?;
    let start = Operation::StartCampaign { campaign: name.clone() };
    let is_planned = campaign.state == CampaignState::Planned;
    let manages = asked.signed.who.role.may(MANAGES);
    let mut blocks = vec![Block::Progress(lang.t("campaigns.progress").to_owned(), bar(lang, &counts))];
    blocks.push(Block::Figures(figures(&name, &counts)));
    blocks.push(Block::Facts(lang.t("campaigns.facts").to_owned(), facts(&campaign)));
    if manages && is_planned {
        let centre = shared.centre()?;
        let summary = blocking(move || centre.summary(&start).map_err(super::key_request::problem)).await?;
        blocks.push(Block::Form(start_form(shared, asked, &name, &summary).filled(filled)));
    }
    let whole = more(lang, cards.count, cards_href(&name, None));
    let keys = ["card", "progress", "at", "counter", "note"];
    let title = lang.t("campaigns.card_list");
    blocks.push(Block::List(Short::new(title, CampaignCards::columns(), &keys, &cards, look, whole)));
    if manages && campaign.state == CampaignState::Open {
        blocks.extend(open_forms(asked, &name, &counts).into_iter().map(|f| Block::Form(f.filled(filled))));
    }
    say_refusal(&mut blocks, filled);
    filled.page(&Detail {
        crumbs: vec![crumb::<Campaigns>(lang)],
        tag: Some(campaign.state.cell(lang)),
        actions: Vec::new(),
        blocks,
        f: asked.frame(shared, format!("{} {}", campaign.name, campaign.title), Campaigns::PATH),
    })
}

fn bar(lang: Lang, counts: &Counts) -> Bar {
    let (done, all) = (counts.done.to_string(), counts.all().to_string());
    let words = lang.fill("campaigns.so_far", &[("done", &done), ("all", &all)]);
    Bar { done: counts.done, of: counts.all().max(1), words }
}

fn figures(name: &str, counts: &Counts) -> Vec<Figure> {
    let figure = |title, count: u64, progress: CardProgress| Figure {
        title,
        value: Value::Number(i64::try_from(count).unwrap_or(i64::MAX)),
        note: String::new(),
        href: Some(cards_href(name, Some(progress))),
    };
    vec![
        figure("campaigns.waiting", counts.waiting, CardProgress::Waiting),
        figure("campaigns.begun", counts.begun, CardProgress::Begun),
        figure("campaigns.done", counts.done, CardProgress::Done),
        figure("campaigns.stopped", counts.stopped, CardProgress::Stopped),
    ]
}

fn facts(campaign: &Campaign) -> Vec<(&'static str, Cell)> {
    let changes: Vec<String> = campaign
        .changes
        .iter()
        .map(|change| format!("{} → {}", PlaceName(KeyPlace::root(change.earlier())), change.to.0))
        .collect();
    vec![
        ("campaigns.changes", Cell::text(changes.join(", "))),
        ("campaigns.profile", Cell::text(campaign.profile.name.clone())),
        ("campaigns.planned_by", Cell::text(campaign.planned_by.clone())),
        ("campaigns.planned_at", Cell::at(campaign.planned_at)),
        ("campaigns.opened_at", Cell::at(campaign.opened_at)),
        ("campaigns.ended_at", Cell::at(campaign.ended_at)),
    ]
}

fn start_form(shared: &Shared, asked: &Asked, name: &str, summary: &Summary) -> Form {
    let lang = asked.prefs.lang;
    let form = Form::new(asked, "campaigns.start", format!("{}/start", href(name)), "campaigns.start_go")
        .lead(lang.t("keys.two_people"))
        .critical(key::what_happens(lang, summary));
    key::asking(form, shared, lang)
}

fn open_forms(asked: &Asked, name: &str, counts: &Counts) -> Vec<Form> {
    let lang = asked.prefs.lang;
    let mut forms = Vec::new();
    if counts.stopped > 0 {
        let form =
            Form::new(asked, "campaigns.release", format!("{}/release", href(name)), "campaigns.release_go");
        let card = Field::new("card", lang.t("cards.number"), FieldKind::Code);
        forms.push(form.lead(lang.t("campaigns.release_lead")).field(card));
    }
    let left = lang.counted("campaigns.left_on_old", counts.on_old());
    let end = Form::new(asked, "campaigns.end", format!("{}/end", href(name)), "campaigns.end_go");
    forms.push(end.critical([(lang.t("keys.what_happens").to_owned(), Cell::text(left))]));
    forms
}

/// Does to a campaign what the last part of the address says.
pub(crate) async fn change(
    Path((name, what)): Path<(String, String)>,
    doing: Doing,
) -> Result<Response, Problem> {
    let campaign = name.clone();
    let acted = doing
        .run(MANAGES, move |work| {
            let (centre, lang, act) = (work.shared.centre()?, work.lang, &work.act);
            let refuse = |error: CampaignError| refused(lang, error);
            match what.as_str() {
                "start" => key::ask(work, &centre, &Operation::StartCampaign { campaign }),
                "end" => {
                    let ended = centre.store.write(|tx| campaigns::end(tx, &campaign, act));
                    let left = ended.map_err(refuse)?.on_old().to_string();
                    Ok(Done::at(href(&campaign)).say("campaigns.was_ended", [("count", &left)]))
                }
                "release" => {
                    let card = work.fields.must("card", lang)?.parse();
                    let card = card.map_err(|_| Fault::at("card", lang.t("campaigns.card_rule")))?;
                    let released = centre.store.write(|tx| campaigns::release(tx, &campaign, &card, act));
                    released.map_err(refuse)?;
                    Ok(Done::at(href(&campaign)).say("campaigns.released", []))
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

fn refused(lang: Lang, error: CampaignError) -> Fault {
    match error {
        CampaignError::Store(error) => Fault::ours(&error),
        CampaignError::Unknown { name } => Fault::Problem(Problem::not_found(name)),
        CampaignError::Taken { .. } => Fault::at("name", lang.t("campaigns.taken")),
        CampaignError::State { found, .. } => {
            Fault::said(lang.fill("campaigns.state", &[("found", found.in_words(lang))]))
        }
        other @ (CampaignError::Plan { .. } | CampaignError::Profile(_)) => {
            Fault::said(lang.fill("keys.not_possible", &[("why", &other.to_string())]))
        }
    }
}

/// The form for a new campaign.
pub(crate) async fn new_page(State(shared): State<Arc<Shared>>, asked: Asked) -> Result<Response, Problem> {
    asked.signed.must(MANAGES)?;
    new_view(&shared, &asked, &Filled::default())
}

fn new_view(shared: &Shared, asked: &Asked, filled: &Filled) -> Result<Response, Problem> {
    let lang = asked.prefs.lang;
    let profiles = SHIPPED.iter().map(|(name, _)| ((*name).to_owned(), (*name).to_owned())).collect();
    let choice = |value: &str, key: &str| (value.to_owned(), lang.t(key).to_owned());
    let choices = vec![
        choice("all", "campaigns.all_cards"),
        choice("city", "campaigns.of_city"),
        choice("type", "campaigns.of_type"),
        choice("listed", "campaigns.listed"),
    ];
    let form = Form::new(asked, "campaigns.new", NEW, "campaigns.new_go")
        .lead(lang.t("campaigns.new_lead"))
        .field(
            Field::new("name", lang.t("campaigns.name"), FieldKind::Code).hint(lang.t("campaigns.name_rule")),
        )
        .field(Field::new("title", lang.t("campaigns.title"), FieldKind::Text))
        .field(Field::new("profile", lang.t("campaigns.profile"), FieldKind::Choice(profiles)))
        .field(
            Field::new("changes", lang.t("campaigns.changes"), FieldKind::Long)
                .hint(lang.t("campaigns.changes_rule")),
        )
        .field(Field::new("cards", lang.t("campaigns.cards"), FieldKind::Choice(choices)))
        .field(
            Field::new("which", lang.t("campaigns.which"), FieldKind::Long)
                .hint(lang.t("campaigns.which_rule"))
                .optional(),
        );
    filled.page(&Detail {
        crumbs: vec![crumb::<Campaigns>(lang)],
        tag: None,
        actions: Vec::new(),
        blocks: vec![Block::Form(form.filled(filled))],
        f: asked.frame(shared, lang.t("campaigns.new"), Campaigns::PATH),
    })
}

/// Plans a campaign.
pub(crate) async fn add(doing: Doing) -> Result<Response, Problem> {
    let acted = doing
        .run(MANAGES, |work| {
            let lang = work.lang;
            let must = |field: &'static str| work.fields.must(field, lang);
            let changes: Result<Vec<KeyChange>, _> =
                must("changes")?.split_whitespace().map(str::parse).collect();
            let profile = campaigns::profile_text(must("profile")?);
            let new = NewCampaign {
                name: must("name")?.to_owned(),
                title: must("title")?.to_owned(),
                profile: profile.ok_or_else(|| Fault::at("profile", lang.t("form.missing")))?.to_owned(),
                changes: changes.map_err(|_| Fault::at("changes", lang.t("campaigns.changes_rule")))?,
                cards: chosen(work)?,
            };
            let centre = work.shared.centre()?;
            let planned = centre.store.write(|tx| campaigns::plan(tx, &new, &work.act));
            planned.map_err(|error| refused(lang, error))?;
            Ok(Done::at(href(&new.name)).say("campaigns.planned", [("name", &new.name)]))
        })
        .await?;
    match acted {
        Acted::Done(answer) => Ok(answer),
        Acted::Refused(filled) => new_view(&doing.shared, &doing.asked, &filled),
    }
}

/// Which cards a form names.
fn chosen(work: &Work<'_>) -> Result<CardChoice, Fault> {
    let lang = work.lang;
    let wrong = || Fault::at("which", lang.t("campaigns.which_rule"));
    let which = || work.fields.must("which", lang);
    Ok(match work.fields.must("cards", lang)? {
        "city" => CardChoice::City(which()?.parse().map_err(|_| wrong())?),
        "type" => CardChoice::Type(which()?.parse().map_err(|_| wrong())?),
        "listed" => {
            let listed: Result<Vec<_>, _> = which()?.split_whitespace().map(str::parse).collect();
            let mut listed = listed.map_err(|_| wrong())?;
            listed.sort_unstable();
            listed.dedup();
            CardChoice::Listed(listed)
        }
        _ => CardChoice::All,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::keys;

    #[test]
    fn addresses_of_cards_keep_their_filter() {
        assert_eq!(
            cards_href("second", Some(CardProgress::Stopped)),
            "/campaign-cards?campaign=second&progress=stopped"
        );
        assert_eq!(keys::act_words(Lang::En, "campaign/start"), "Start campaign");
    }
}
