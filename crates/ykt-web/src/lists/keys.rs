//! Keys: the tree with what vault and registry say, what was asked to be done to them, and campaigns with their cards.

use crate::i18n::Lang;
use crate::list::{Ask, Column, Filter, FilterKind, Found, List, ListError, Look, Shape};
use crate::lists::cards::card_cell;
use crate::lists::part_of;
use crate::pages::{campaign, derive, import, key, key_request};
use crate::view::cell::{Cell, Tone};
use crate::web::App;
use crate::words::Word;
use ykt_base::DateTime;
use ykt_base::hex::Hex;
use ykt_kmc::campaigns::{self, Campaign, CampaignCard, CampaignState, CardListFilter, CardProgress, Counts};
use ykt_kmc::registry::tree::{Difference, Family, Leaf, Tree};
use ykt_kmc::registry::{self};
use ykt_kmc::{Operation, PlaceName};
use ykt_office::people::Permission;
use ykt_office::requests::{self, Request, RequestFilter, RequestState};
use ykt_store::Tx;
use ykt_vault::{KeyAlgorithm, KeyKind, KeyPlace, KeyState};

/// The tree of keys: every kind, family by family, each with its keys.
pub struct Keys;

/// A row of the tree: a key, or a kind without any.
pub struct KeyRow {
    kind: KeyKind,
    leaf: Option<Leaf>,
}

/// Name of a kind in a language.
pub(crate) fn kind_words(lang: Lang, kind: KeyKind) -> String {
    lang.find(&format!("key-kind.{}", kind.name())).unwrap_or(kind.name()).to_owned()
}

/// The state of a key as a tag; `None` is a kind without keys.
pub(crate) fn state_cell(lang: Lang, state: Option<KeyState>) -> Cell {
    match state {
        Some(state) => state.cell(lang),
        None => Cell::status(lang, "key-state", "none", Tone::Quiet),
    }
}

/// A check value.
pub(crate) fn kcv_text(leaf: &Leaf) -> String {
    leaf.kcv().map_or_else(String::new, |kcv| Hex(&kcv).to_string())
}

/// A difference between vault and registry as a tag.
pub(crate) fn difference_cell(lang: Lang, difference: Option<Difference>) -> Cell {
    match difference {
        Some(difference) => Cell::status(lang, "key-difference", difference.name(), Tone::Bad),
        None => Cell::nothing(),
    }
}

/// Name of the level a key stands at: the vault's own, in the reader's language where it is a usual one.
pub(crate) fn level_text(lang: Lang, leaf: &Leaf) -> String {
    match &leaf.vault {
        Some(info) => Cell::named(lang, "key-level", &info.level).value.shown(),
        None => leaf.place.level.to_string(),
    }
}

/// Name of an algorithm, as people write it.
pub(crate) fn algorithm_text(algorithm: KeyAlgorithm) -> String {
    algorithm.name().to_uppercase()
}

/// Whose it is at its level.
pub(crate) fn owner_text(place: &KeyPlace) -> String {
    place.owner.as_ref().map_or_else(String::new, |owner| Hex(owner).to_string())
}

impl KeyRow {
    fn of(tree: &Tree) -> Vec<KeyRow> {
        let mut rows = Vec::new();
        for branch in tree.branches() {
            let kind = branch.kind;
            match branch.leaves.as_slice() {
                [] => rows.push(KeyRow { kind, leaf: None }),
                leaves => {
                    rows.extend(leaves.iter().map(|leaf| KeyRow { kind, leaf: Some((*leaf).clone()) }));
                }
            }
        }
        rows
    }

    fn cell(&self, cell: impl FnOnce(&Leaf) -> Cell) -> Cell {
        self.leaf.as_ref().map_or_else(Cell::nothing, cell)
    }

    fn state(&self) -> &'static str {
        let state = self.leaf.as_ref().and_then(Leaf::state);
        state.map_or("none", Word::slug)
    }

    fn passes(&self, ask: &Ask, lang: Lang) -> bool {
        let is = |key, value: &str| ask.text(key).is_none_or(|asked| asked == value);
        let difference = self.leaf.as_ref().and_then(Leaf::difference).map_or("none", Difference::name);
        let name = self.leaf.as_ref().map_or_else(String::new, |leaf| PlaceName(leaf.place).to_string());
        let words = format!("{name} {} {}", self.kind.name(), kind_words(lang, self.kind)).to_lowercase();
        is("family", Family::of(self.kind).slug())
            && is("state", self.state())
            && is("difference", difference)
            && ask.text("text").is_none_or(|text| words.contains(&text.trim().to_lowercase()))
    }
}

/// States a key can be looked for in.
const STATES: &[&str] = &["generated", "active", "retired", "destroyed", "none"];
/// Differences a key can be looked for by.
const DIFFERENCES: &[&str] = &["not-registered", "not-in-vault", "state", "kcv", "algorithm"];

impl List for Keys {
    type Row = KeyRow;
    const PATH: &'static str = "/keys";
    const TITLE: &'static str = "nav.key_tree";
    const LEAD: &'static str = "keys.lead";
    const EMPTY: &'static str = "keys.empty";
    const NEEDS: Permission = Permission::ReadKeys;
    const ACTIONS: &'static [(&'static str, &'static str, Permission)] = &[
        ("keys.new", key::NEW, Permission::ManageKeys),
        ("keys.derive", derive::PATH, Permission::ManageKeys),
        ("keys.import", import::PATH, Permission::ManageKeys),
    ];

    fn columns() -> &'static [Column<KeyRow>] {
        type C = Column<KeyRow>;
        const COLUMNS: &[C] = &[
            C::new("key", "keys.key", Shape::Code, |row, _| {
                row.cell(|leaf| Cell::text(PlaceName(leaf.place).to_string()).to(key::href(&leaf.place)))
            }),
            C::new("state", "keys.state", Shape::Text, |row, look| {
                state_cell(look.lang, row.leaf.as_ref().and_then(Leaf::state))
            }),
            C::new("kcv", "keys.kcv", Shape::Code, |row, _| row.cell(|leaf| Cell::text(kcv_text(leaf)))),
            C::new("family", "keys.family", Shape::Text, |row, look| {
                let family = Family::of(row.kind);
                Cell::named(look.lang, Family::SECTION, family.slug())
            }),
            C::new("kind", "keys.kind", Shape::Text, |row, look| Cell {
                code: Some(row.kind.name().to_owned()),
                ..Cell::text(kind_words(look.lang, row.kind))
            }),
            C::new("difference", "keys.difference", Shape::Text, |row, look| {
                difference_cell(look.lang, row.leaf.as_ref().and_then(Leaf::difference))
            }),
            C::new("level", "keys.level", Shape::Text, |row, look| {
                row.cell(|leaf| Cell::text(level_text(look.lang, leaf)))
            }),
            C::new("owner", "keys.owner", Shape::Code, |row, _| {
                row.cell(|leaf| Cell::text(owner_text(&leaf.place)))
            })
            .on_demand(),
            C::new("index", "keys.index", Shape::Number, |row, _| {
                row.cell(|leaf| Cell::serial(leaf.place.key.index.0))
            })
            .on_demand(),
            C::new("version", "keys.version", Shape::Number, |row, _| {
                row.cell(|leaf| Cell::serial(leaf.place.key.version.0))
            })
            .on_demand(),
            C::new("algorithm", "keys.algorithm", Shape::Text, |row, _| {
                let text = |leaf: &Leaf| leaf.algorithm().map_or_else(String::new, algorithm_text);
                row.cell(|leaf| Cell::text(text(leaf)))
            }),
            C::new("source", "keys.source", Shape::Text, |row, look| {
                let record = row.leaf.as_ref().and_then(|leaf| leaf.record.as_ref());
                record.map_or_else(Cell::nothing, |record| record.source.cell(look.lang))
            })
            .on_demand(),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("text", "keys.text", FilterKind::Wide),
            Filter::new("family", "keys.family", FilterKind::Choice("key-family", Family::CODES)),
            Filter::new("state", "keys.state", FilterKind::Choice("key-state", STATES)),
            Filter::new("difference", "keys.difference", FilterKind::Choice("key-difference", DIFFERENCES)),
        ];
        FILTERS
    }

    /// What the registry knows, where there is no vault.
    fn find(tx: &Tx<'_>, ask: &Ask, look: Look) -> Result<Found<KeyRow>, ListError> {
        Ok(part(KeyRow::of(&Tree::of(Vec::new(), registry::records(tx)?)), ask, look))
    }

    fn find_in(app: &App, tx: &Tx<'_>, ask: &Ask, look: Look) -> Result<Found<KeyRow>, ListError> {
        match &app.centre {
            Some(centre) => {
                let tree = Tree::of(centre.vault.list()?, registry::records(tx)?);
                Ok(part(KeyRow::of(&tree), ask, look))
            }
            None => Keys::find(tx, ask, look),
        }
    }
}

/// The wanted part of the rows.
fn part(rows: Vec<KeyRow>, ask: &Ask, look: Look) -> Found<KeyRow> {
    part_of(rows.into_iter().filter(|row| row.passes(ask, look.lang)).collect(), ask)
}

/// What was asked to be done to keys.
pub struct KeyRequests;

/// What a request wants, in words.
pub(crate) fn act_words(lang: Lang, what: &str) -> String {
    lang.find(&format!("key-act.{}", what.replace('/', "-"))).unwrap_or(what).to_owned()
}

/// What a request is about, in words: one key by its name, several by their number and who sends or gets them.
pub(crate) fn object_words(lang: Lang, request: &Request) -> String {
    let many = |key: &str, count: usize, name: &str| {
        lang.fill(key, &[("count", &count.to_string()), ("name", name)])
    };
    match operation_of(request) {
        Some(Operation::DeriveRoots { seed, keys }) => {
            many("key_requests.of_seed", keys.len(), &PlaceName(KeyPlace::root(seed)).to_string())
        }
        Some(Operation::Import { party, keys, .. }) => many("key_requests.of_party", keys.len(), &party),
        Some(Operation::Export { party, places, .. }) => many("key_requests.for_party", places.len(), &party),
        Some(Operation::Replicate) => lang.t("key_requests.pair").to_owned(),
        Some(Operation::SwitchOver { to, .. }) => Cell::named(lang, "vault-side", to.name()).value.shown(),
        _ => request.object.clone(),
    }
}

/// What came of a request. Of one that was done the page says it in the reader's language; why another one failed is
/// told as vault and centre said it.
pub(crate) fn result_words(lang: Lang, request: &Request) -> String {
    let result = request.result.clone().unwrap_or_default();
    if request.state != RequestState::Done {
        return result;
    }
    match operation_of(request) {
        Some(Operation::DeriveRoots { keys, .. }) => lang.counted("key_requests.keys_done", keys.len()),
        Some(Operation::Import { keys, .. }) => lang.counted("key_requests.keys_done", keys.len()),
        Some(Operation::Export { places, .. }) => lang.counted("key_requests.keys_done", places.len()),
        Some(operation) => match operation.state_step() {
            Some((_, _, to)) => match result.split_once("; retired ") {
                Some((_, names)) => {
                    let places = [("state", to.in_words(lang)), ("keys", names)];
                    lang.fill("key_requests.state_done", &places)
                }
                None => to.in_words(lang).to_owned(),
            },
            None => result,
        },
        None => result,
    }
}

impl List for KeyRequests {
    type Row = Request;
    const PATH: &'static str = "/key-requests";
    const TITLE: &'static str = "nav.key_requests";
    const LEAD: &'static str = "key_requests.lead";
    const EMPTY: &'static str = "key_requests.empty";
    const NEEDS: Permission = Permission::ReadKeys;

    fn columns() -> &'static [Column<Request>] {
        type C = Column<Request>;
        const COLUMNS: &[C] = &[
            C::new("id", "key_requests.id", Shape::Code, |row, _| {
                Cell::text(row.id.to_string()).to(key_request::href(&row.id))
            }),
            C::new("what", "key_requests.what", Shape::Text, |row, look| Cell {
                code: Some(row.what.clone()),
                ..Cell::text(act_words(look.lang, &row.what))
            }),
            C::new("object", "key_requests.object", Shape::Text, |row, look| {
                Cell::text(object_words(look.lang, row))
            }),
            C::new("state", "keys.state", Shape::Text, |row, look| row.state.cell(look.lang)),
            C::new("reason", "key_requests.reason", Shape::Long, |row, _| Cell::text(row.reason.clone())),
            C::new("asked-by", "key_requests.asked_by", Shape::Text, |row, _| {
                Cell::text(row.asked_by.clone())
            }),
            C::new("asked-at", "key_requests.asked_at", Shape::Time, |row, _| Cell::at(row.asked_at)),
            C::new("decided-by", "key_requests.decided_by", Shape::Text, |row, _| {
                Cell::text(row.decided_by.clone().unwrap_or_default())
            }),
            C::new("decided-at", "key_requests.decided_at", Shape::Time, |row, _| Cell::at(row.decided_at))
                .on_demand(),
            C::new("result", "key_requests.result", Shape::Long, |row, look| {
                Cell::text(result_words(look.lang, row))
            })
            .on_demand(),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("state", "keys.state", FilterKind::Choice("request-state", RequestState::CODES)),
            Filter::new("by", "key_requests.asked_by", FilterKind::Text),
            Filter::new("text", "key_requests.text", FilterKind::Wide),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<Request>, ListError> {
        // Without a clock no open request is known to have expired.
        found(tx, ask, "19700101000000".parse().map_err(ListError::query)?)
    }

    fn find_in(app: &App, tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<Request>, ListError> {
        found(tx, ask, app.clock.now())
    }
}

fn found(tx: &Tx<'_>, ask: &Ask, now: DateTime) -> Result<Found<Request>, ListError> {
    let filter = RequestFilter {
        state: ask.word("state"),
        text: ask.text("text").map(str::to_owned),
        asked_by: ask.text("by").map(str::to_owned),
        needs: Some(Permission::ManageKeys),
    };
    let page = requests::list(tx, &filter, now, ask.paging())?;
    Ok(Found { rows: page.rows, count: page.totals, totals: Vec::new() })
}

/// The operation of a request; `None` for one that another room owns.
pub(crate) fn operation_of(request: &Request) -> Option<Operation> {
    request.payload.parse().ok()
}

/// Campaigns on issued cards.
pub struct Campaigns;

impl List for Campaigns {
    type Row = (Campaign, Counts);
    const PATH: &'static str = "/campaigns";
    const TITLE: &'static str = "nav.campaigns";
    const LEAD: &'static str = "campaigns.lead";
    const EMPTY: &'static str = "campaigns.empty";
    const NEEDS: Permission = Permission::ReadKeys;
    const ACTIONS: &'static [(&'static str, &'static str, Permission)] =
        &[("campaigns.new", campaign::NEW, Permission::ManageKeys)];

    fn columns() -> &'static [Column<(Campaign, Counts)>] {
        type C = Column<(Campaign, Counts)>;
        const COLUMNS: &[C] = &[
            C::new("name", "campaigns.name", Shape::Code, |(row, _), _| {
                Cell::text(row.name.clone()).to(campaign::href(&row.name))
            }),
            C::new("title", "campaigns.title", Shape::Text, |(row, _), _| Cell::text(row.title.clone())),
            C::new("state", "keys.state", Shape::Text, |(row, _), look| row.state.cell(look.lang)),
            C::new("cards", "campaigns.cards", Shape::Number, |(_, counts), _| Cell::number(counts.all())),
            C::new("done", "campaigns.done", Shape::Number, |(_, counts), _| Cell::number(counts.done)),
            C::new("on-old", "campaigns.on_old", Shape::Number, |(_, counts), _| {
                Cell::number(counts.on_old())
            }),
            C::new("stopped", "campaigns.stopped", Shape::Number, |(_, counts), _| {
                Cell::number(counts.stopped)
            }),
            C::new("planned-by", "campaigns.planned_by", Shape::Text, |(row, _), _| {
                Cell::text(row.planned_by.clone())
            }),
            C::new("planned-at", "campaigns.planned_at", Shape::Time, |(row, _), _| Cell::at(row.planned_at)),
            C::new("opened-at", "campaigns.opened_at", Shape::Time, |(row, _), _| Cell::at(row.opened_at)),
            C::new("ended-at", "campaigns.ended_at", Shape::Time, |(row, _), _| Cell::at(row.ended_at)),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] =
            &[Filter::new("state", "keys.state", FilterKind::Choice("campaign-state", CampaignState::CODES))];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<(Campaign, Counts)>, ListError> {
        let state: Option<CampaignState> = ask.word("state");
        let mut all = campaigns::list(tx)?;
        all.retain(|campaign| state.is_none_or(|state| campaign.state == state));
        let Found { rows, count, totals } = part_of(all, ask);
        let rows = rows.into_iter().map(|campaign| {
            let counts = campaigns::progress(tx, &campaign.name)?;
            Ok((campaign, counts))
        });
        Ok(Found { rows: rows.collect::<Result<_, ListError>>()?, count, totals })
    }
}

/// The cards of one campaign.
pub struct CampaignCards;

impl List for CampaignCards {
    type Row = CampaignCard;
    const PATH: &'static str = "/campaign-cards";
    const TITLE: &'static str = "campaigns.card_list";
    const LEAD: &'static str = "";
    const EMPTY: &'static str = "campaigns.no_cards";
    const NEEDS: Permission = Permission::ReadKeys;

    fn columns() -> &'static [Column<CampaignCard>] {
        type C = Column<CampaignCard>;
        const COLUMNS: &[C] = &[
            C::new("card", "cards.number", Shape::Code, |row, look| card_cell(&row.asn, look)),
            C::new("campaign", "campaigns.name", Shape::Code, |row, _| {
                Cell::text(row.campaign.clone()).to(campaign::href(&row.campaign))
            }),
            C::new("progress", "keys.state", Shape::Text, |row, look| row.progress.cell(look.lang)),
            C::new("at", "campaigns.shown_at", Shape::Time, |row, _| Cell::at(row.at)),
            C::new("counter", "campaigns.counter", Shape::Text, |row, _| Cell::text(row.counter.clone())),
            C::new("note", "campaigns.note", Shape::Long, |row, _| Cell::text(row.note.clone())),
        ];
        COLUMNS
    }

    fn filters() -> &'static [Filter] {
        const FILTERS: &[Filter] = &[
            Filter::new("campaign", "campaigns.name", FilterKind::Text),
            Filter::new("progress", "keys.state", FilterKind::Choice("card-progress", CardProgress::CODES)),
        ];
        FILTERS
    }

    fn find(tx: &Tx<'_>, ask: &Ask, _: Look) -> Result<Found<CampaignCard>, ListError> {
        let campaign = ask.text("campaign").map(str::to_owned);
        let filter = CardListFilter { campaign, progress: ask.word("progress") };
        let page = campaigns::card_list(tx, &filter, ask.paging())?;
        Ok(Found { rows: page.rows, count: page.totals, totals: Vec::new() })
    }
}
