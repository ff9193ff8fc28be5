//! Tables of campaigns, and of what is known of the keys on each card.

use super::{
    Campaign, CampaignCard, CampaignState, CardChoice, CardKey, CardListFilter, CardProgress, Counts,
    KeyChange, NewCampaign,
};
use ykt_base::{Asn8, DateTime};
use ykt_issue::Profile;
use ykt_office::Act;
use ykt_store::{Column, Direction, Filter, Page, Paging, Row, StoreError, Tx, Value, params};
use ykt_vault::{KeyKind, KeyRef};

/// The tables.
pub(crate) const TABLES: &str = "
CREATE TABLE kmc_campaign (
    name TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL,
    profile TEXT NOT NULL,
    changes TEXT NOT NULL,
    choice TEXT NOT NULL,
    state INTEGER NOT NULL,
    planned_by TEXT NOT NULL,
    planned_at INTEGER NOT NULL,
    opened_at INTEGER,
    ended_at INTEGER
);
CREATE TABLE kmc_campaign_card (
    campaign TEXT NOT NULL,
    asn BLOB NOT NULL,
    progress INTEGER NOT NULL,
    at INTEGER,
    counter TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (campaign, asn)
);
CREATE INDEX kmc_campaign_progress ON kmc_campaign_card (campaign, progress);
CREATE TABLE kmc_card_key (
    asn BLOB NOT NULL,
    kind INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    version INTEGER NOT NULL,
    pending INTEGER,
    spent INTEGER NOT NULL,
    at INTEGER NOT NULL,
    campaign TEXT NOT NULL,
    PRIMARY KEY (asn, kind, idx)
);
CREATE TABLE kmc_card_visit (
    asn BLOB NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL
);
CREATE INDEX kmc_card_key_version ON kmc_card_key (kind, idx, version);
";

/// Ways to the cards of a city of millions: by how far they are, in the order of their lists; and to the cards that hold
/// another version of a key.
pub(crate) const WAYS: &str = "
DROP INDEX kmc_campaign_progress;
CREATE INDEX kmc_campaign_progress ON kmc_campaign_card (progress, campaign, asn);
DROP INDEX kmc_card_key_version;
CREATE INDEX kmc_card_key_version ON kmc_card_key (kind, idx, version, pending);
";

const COLUMNS: &str = "SELECT name, title, profile, changes, state, planned_by, planned_at, opened_at, ended_at FROM kmc_campaign";

fn campaign(row: &Row<'_>) -> Result<Campaign, StoreError> {
    Ok(Campaign {
        name: row.get(0)?,
        title: row.get(1)?,
        profile: row.get::<ProfileText>(2)?.0,
        changes: row.get::<Changes>(3)?.0,
        state: row.get(4)?,
        planned_by: row.get(5)?,
        planned_at: row.get(6)?,
        opened_at: row.get(7)?,
        ended_at: row.get(8)?,
    })
}

struct ProfileText(Profile);

impl Column<'_> for ProfileText {
    const EXPECTED: &'static str = "the text of a profile";
    fn from_value(value: Value<'_>) -> Option<ProfileText> {
        <&str>::from_value(value).and_then(|text| Profile::parse(text).ok()).map(ProfileText)
    }
}

struct Changes(Vec<KeyChange>);

impl Column<'_> for Changes {
    const EXPECTED: &'static str = "changes of keys";
    fn from_value(value: Value<'_>) -> Option<Changes> {
        let words = <&str>::from_value(value)?.split(' ');
        words.map(|word| word.parse().ok()).collect::<Option<_>>().map(Changes)
    }
}

struct Kind(KeyKind);

impl Column<'_> for Kind {
    const EXPECTED: &'static str = "the code of a kind of keys";
    fn from_value(value: Value<'_>) -> Option<Kind> {
        u8::from_value(value).and_then(KeyKind::from_code).map(Kind)
    }
}

/// A campaign by its name.
///
/// # Errors
/// [`StoreError`].
pub fn one(tx: &Tx<'_>, name: &str) -> Result<Option<Campaign>, StoreError> {
    tx.query_one(&format!("{COLUMNS} WHERE name = $1"), params![name], campaign)
}

/// Every campaign, the latest first.
///
/// # Errors
/// [`StoreError`].
pub fn list(tx: &Tx<'_>) -> Result<Vec<Campaign>, StoreError> {
    tx.query(&format!("{COLUMNS} ORDER BY planned_at DESC, name"), &[], campaign)
}

pub(super) fn insert(tx: &Tx<'_>, new: &NewCampaign, act: &Act) -> Result<(), StoreError> {
    let changes = new.changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let choice = match &new.cards {
        CardChoice::All => "all".to_owned(),
        CardChoice::City(factor) => format!("city {factor}"),
        CardChoice::Type(main) => format!("type {main}"),
        CardChoice::Listed(_) => "listed".to_owned(),
    };
    let (state, by) = (CampaignState::Planned, &act.who);
    tx.execute(
        "INSERT INTO kmc_campaign (name, title, profile, changes, choice, state, planned_by, planned_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        params![&new.name, &new.title, &new.profile, &changes, &choice, state, by, act.at],
    )?;
    match &new.cards {
        CardChoice::Listed(listed) => put_cards(tx, &new.name, listed),
        CardChoice::All | CardChoice::City(_) | CardChoice::Type(_) => Ok(()),
    }
}

/// Which cards a campaign chose. A list is kept as the cards themselves.
pub(super) fn choice(tx: &Tx<'_>, name: &str) -> Result<Option<CardChoice>, StoreError> {
    let sql = "SELECT choice FROM kmc_campaign WHERE name = $1";
    let Some(text) = tx.query_one(sql, params![name], |row| row.text(0))? else { return Ok(None) };
    let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
    Ok(Some(match (word, rest.parse(), rest.parse()) {
        ("city", Ok(factor), _) => CardChoice::City(factor),
        ("type", _, Ok(main)) => CardChoice::Type(main),
        ("listed", ..) => {
            let sql = "SELECT asn FROM kmc_campaign_card WHERE campaign = $1 ORDER BY asn";
            CardChoice::Listed(tx.query(sql, params![name], |row| row.get(0))?)
        }
        _ => CardChoice::All,
    }))
}

/// Cards of a campaign that are not shown yet; one that is there stays as it is.
pub(super) fn put_cards(tx: &Tx<'_>, name: &str, cards: &[Asn8]) -> Result<(), StoreError> {
    tx.execute_many(
        "INSERT INTO kmc_campaign_card (campaign, asn, progress, at, counter, note)
         VALUES ($1, $2, $3, NULL, '', '') ON CONFLICT (campaign, asn) DO NOTHING",
        cards.iter().map(|asn| [name.into(), asn.into(), CardProgress::Waiting.into()]),
    )?;
    Ok(())
}

/// Opens a planned one; answers whether it was planned.
pub(super) fn set_open(tx: &Tx<'_>, name: &str, at: DateTime) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE kmc_campaign SET state = $1, opened_at = $2 WHERE name = $3 AND state = $4",
        params![CampaignState::Open, at, name, CampaignState::Planned],
    )?;
    Ok(changed > 0)
}

pub(super) fn set_ended(tx: &Tx<'_>, name: &str, at: DateTime) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE kmc_campaign SET state = $1, ended_at = $2 WHERE name = $3",
        params![CampaignState::Ended, at, name],
    )?;
    Ok(())
}

/// How many cards of a campaign are how far.
///
/// # Errors
/// [`StoreError`].
pub fn progress(tx: &Tx<'_>, name: &str) -> Result<Counts, StoreError> {
    let sql = "SELECT COUNT(*) FROM kmc_campaign_card WHERE progress = $1 AND campaign = $2";
    let count = |progress: CardProgress| {
        let count = tx.query_one(sql, params![progress, name], |row| row.get::<u32>(0))?;
        Ok::<u64, StoreError>(count.unwrap_or(0).into())
    };
    Ok(Counts {
        waiting: count(CardProgress::Waiting)?,
        begun: count(CardProgress::Begun)?,
        done: count(CardProgress::Done)?,
        stopped: count(CardProgress::Stopped)?,
    })
}

const CARD_COLUMNS: &str = "SELECT campaign, asn, progress, at, counter, note FROM kmc_campaign_card";

fn campaign_card(row: &Row<'_>) -> Result<CampaignCard, StoreError> {
    Ok(CampaignCard {
        campaign: row.get(0)?,
        asn: row.get(1)?,
        progress: row.get(2)?,
        at: row.get(3)?,
        counter: row.get(4)?,
        note: row.get(5)?,
    })
}

/// The cards of campaigns, by campaign and number.
///
/// # Errors
/// [`StoreError`].
pub fn card_list(
    tx: &Tx<'_>,
    filter: &CardListFilter,
    paging: Paging,
) -> Result<Page<CampaignCard>, StoreError> {
    let mut conditions = Filter::default();
    conditions.when("campaign =", filter.campaign.as_deref()).when("progress =", filter.progress);
    conditions.page(tx, CARD_COLUMNS, ("campaign", Direction::Up), "asn", paging, campaign_card)
}

pub(super) fn card(tx: &Tx<'_>, name: &str, asn: &Asn8) -> Result<Option<CampaignCard>, StoreError> {
    let sql = format!("{CARD_COLUMNS} WHERE campaign = $1 AND asn = $2");
    tx.query_one(&sql, params![name, asn], campaign_card)
}

pub(super) fn set_card(
    tx: &Tx<'_>,
    name: &str,
    asn: &Asn8,
    progress: CardProgress,
    at: DateTime,
    (counter, note): (&str, &str),
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE kmc_campaign_card SET progress = $1, at = $2, counter = $3, note = $4
         WHERE campaign = $5 AND asn = $6",
        params![progress, at, counter, note, name, asn],
    )?;
    Ok(())
}

/// What is known of the keys on a card beside what its profile says, by kind and index.
///
/// # Errors
/// [`StoreError`].
pub fn card_keys(tx: &Tx<'_>, asn: &Asn8) -> Result<Vec<CardKey>, StoreError> {
    tx.query(
        "SELECT kind, idx, version, pending, spent FROM kmc_card_key WHERE asn = $1 ORDER BY kind, idx",
        params![asn],
        |row| {
            Ok(CardKey {
                kind: row.get::<Kind>(0)?.0,
                index: row.get(1)?,
                version: row.get(2)?,
                pending: row.get(3)?,
                spent: row.get(4)?,
            })
        },
    )
}

/// Writes down what is known of a key on a card.
pub(super) fn put_card_key(
    tx: &Tx<'_>,
    asn: &Asn8,
    key: &CardKey,
    (at, campaign): (DateTime, &str),
) -> Result<(), StoreError> {
    let CardKey { kind, index, version, pending, spent } = *key;
    tx.execute(
        "INSERT INTO kmc_card_key (asn, kind, idx, version, pending, spent, at, campaign)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (asn, kind, idx) DO UPDATE SET version = $4, pending = $5, spent = $6, at = $7, campaign = $8",
        params![asn, kind.code(), index, version, pending, spent, at, campaign],
    )?;
    Ok(())
}

/// Numbers a new visit of a card: every earlier one of it is overtaken by that.
pub(super) fn next_visit(tx: &Tx<'_>, asn: &Asn8) -> Result<u32, StoreError> {
    let number = visit_of(tx, asn)?.saturating_add(1);
    tx.execute(
        "INSERT INTO kmc_card_visit (asn, number) VALUES ($1, $2) ON CONFLICT (asn) DO UPDATE SET number = $2",
        params![asn, number],
    )?;
    Ok(number)
}

/// Whether no later visit of the card has begun.
pub(super) fn is_last_visit(tx: &Tx<'_>, asn: &Asn8, number: u32) -> Result<bool, StoreError> {
    Ok(visit_of(tx, asn)? == number)
}

fn visit_of(tx: &Tx<'_>, asn: &Asn8) -> Result<u32, StoreError> {
    let sql = "SELECT number FROM kmc_card_visit WHERE asn = $1";
    Ok(tx.query_one(sql, params![asn], |row| row.get(0))?.unwrap_or(0))
}

/// Cards that are known to hold another version of a key, and not to be between the two.
pub(super) fn known_on_other(tx: &Tx<'_>, key: KeyRef) -> Result<u64, StoreError> {
    let count = tx.query_one(
        "SELECT COUNT(*) FROM kmc_card_key
         WHERE kind = $1 AND idx = $2 AND version <> $3 AND (pending IS NULL OR pending <> $3)",
        params![key.kind.code(), key.index, key.version],
        |row| row.get::<u32>(0),
    )?;
    Ok(count.unwrap_or(0).into())
}
