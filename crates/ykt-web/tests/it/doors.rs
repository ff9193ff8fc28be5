//! Every door of the consoles, tried by everybody: who gets through which, and what stands in the audit log of those
//! who do not. A route that is not in the table fails the test.

use crate::client::{Answer, Client};
use crate::world;
use axum::http::StatusCode;
use std::collections::BTreeSet;
use ykt_office::Paging;
use ykt_office::audit::{self, AuditFilter, Outcome};

/// Sign-in names by the letter that the table has for them.
const PEOPLE: [(char, &str); 7] = [
    ('o', "operator"),
    ('f', "finance"),
    ('s', "security"),
    ('a', "auditor"),
    ('r', "reader"),
    ('c', "custodian1"),
    ('k', "keys1"),
];

/// Who reads the business side, who reads keys.
const BUSINESS: &str = "ofar";
const KEYS: &str = "sack";
const ALL: &str = "ofsarck";

/// A page: the route as it stands in the program, an address of it, who may read it.
const PAGES: &[(&str, &str, &str)] = &[
    ("/", "/", ALL),
    ("/account", "/account", ALL),
    ("/system", "/system", ALL),
    ("/search", "/search?q=1700", BUSINESS),
    ("/entries/{*id}", "/entries/a/b", BUSINESS),
    ("/days/{day}", "/days/2026-11-22", BUSINESS),
    ("/files/{id}", "/files/1", BUSINESS),
    ("/records/{number}", "/records/1", BUSINESS),
    ("/bills/{day}/{merchant}", "/bills/2026-11-22/M00000000000001", BUSINESS),
    // Its address is the whole number.
    ("/cards/{asn}", "/cards/1700010100000001", "of"),
    ("/terminals/{pos}", "/terminals/00000100", BUSINESS),
    ("/merchants/{code}", "/merchants/M00000000000001", BUSINESS),
    ("/loads/{id}", "/loads/1", BUSINESS),
    ("/key-cards/{serial}", "/key-cards/00002144000000000003", BUSINESS),
    ("/psam-batches/{id}", "/psam-batches/P-1", BUSINESS),
    ("/psam-batches/{id}/labels", "/psam-batches/P-1/labels", BUSINESS),
    ("/psam-batches/{id}/labels.csv", "/psam-batches/P-1/labels.csv", BUSINESS),
    ("/psam-batches/{id}/protocol.txt", "/psam-batches/P-1/protocol.txt", BUSINESS),
    ("/audit/{seq}", "/audit/1", "a"),
    ("pages::audit::CHAIN", "/audit-chain", "a"),
    ("pages::audit::EXPORT", "/audit.jsonl", "a"),
    ("pages::person::NEW", "/new-user", "s"),
    ("/users/{name}", "/users/reader", "s"),
    ("pages::key::NEW", "/new-key", "k"),
    ("/keys/{place}", "/keys/load.1.1", KEYS),
    ("pages::derive::PATH", "/derive-keys", "k"),
    ("pages::import::PATH", "/import-keys", "k"),
    ("pages::group::NEW", "/new-key-group", "k"),
    ("/key-groups/{name}", "/key-groups/purse", KEYS),
    ("pages::ceremony::NEW", "/new-ceremony", "k"),
    ("/ceremonies/{number}", "/ceremonies/C20261122-01", KEYS),
    ("/ceremonies/{number}/protocol", "/ceremonies/C20261122-01/protocol", KEYS),
    ("/key-requests/{id}", "/key-requests/r1", KEYS),
    ("/key-requests/{id}/file", "/key-requests/r1/file", "k"),
    ("pages::campaign::NEW", "/new-campaign", "k"),
    ("/campaigns/{name}", "/campaigns/second", KEYS),
    ("pages::vault::PATH", "/vault", KEYS),
];

/// An act: the route, its addresses, who may do it. Who may is held off by the token of the form.
const ACTS: &[(&str, &[&str], &str)] = &[
    ("pages::audit::CHAIN", &["/audit-chain"], "a"),
    ("pages::audit::VERIFY", &["/audit-chain/verify"], "a"),
    ("pages::person::NEW", &["/new-user"], "s"),
    (
        "/users/{name}/{act}",
        &[
            "/users/reader/unlock",
            "/users/reader/disable",
            "/users/reader/enable",
            "/users/reader/reset-password",
            "/users/reader/reset-factor",
            "/users/reader/staff-number",
            "/users/reader/x",
        ],
        "s",
    ),
    ("pages::key::NEW", &["/new-key"], "k"),
    (
        "/keys/{place}/{act}",
        &[
            "/keys/load.1.1/activate",
            "/keys/load.1.1/retire",
            "/keys/load.1.1/restore",
            "/keys/load.1.1/destroy",
            "/keys/load.1.1/export",
            "/keys/load.1.1/note",
            "/keys/load.1.1/x",
        ],
        "k",
    ),
    ("pages::derive::PATH", &["/derive-keys"], "k"),
    ("pages::import::PATH", &["/import-keys"], "k"),
    ("pages::import::ASK", &["/import-keys/ask"], "k"),
    ("pages::group::NEW", &["/new-key-group"], "k"),
    (
        "/key-groups/{name}/{act}",
        &[
            "/key-groups/purse/change",
            "/key-groups/purse/export",
            "/key-groups/purse/remove",
            "/key-groups/purse/x",
        ],
        "k",
    ),
    ("pages::ceremony::NEW", &["/new-ceremony"], "k"),
    ("/ceremonies/{number}/{act}", &["/ceremonies/C20261122-01/sign"], "k"),
    (
        "/ceremonies/{number}/{act}",
        &["/ceremonies/C20261122-01/give", "/ceremonies/C20261122-01/draw", "/ceremonies/C20261122-01/sheet"],
        "c",
    ),
    // Who of them is the administrator or a custodian of this very ceremony is asked further down.
    (
        "/ceremonies/{number}/{act}",
        &["/ceremonies/C20261122-01/finish", "/ceremonies/C20261122-01/abort", "/ceremonies/C20261122-01/x"],
        KEYS,
    ),
    (
        "/key-requests/{id}/{act}",
        &[
            "/key-requests/r1/approve",
            "/key-requests/r1/run",
            "/key-requests/r1/refuse",
            "/key-requests/r1/withdraw",
            "/key-requests/r1/x",
        ],
        "k",
    ),
    ("pages::campaign::NEW", &["/new-campaign"], "k"),
    (
        "/campaigns/{name}/{act}",
        &[
            "/campaigns/second/start",
            "/campaigns/second/end",
            "/campaigns/second/release",
            "/campaigns/second/x",
        ],
        "k",
    ),
    ("/vault/{act}", &["/vault/replicate", "/vault/switch", "/vault/register", "/vault/x"], "k"),
    ("/account", &["/account"], ALL),
    ("/sign-out", &["/sign-out"], ALL),
];

/// Who may read a list.
fn readers(path: &str) -> &'static str {
    match path {
        "/users" => "s",
        "/audit" => "a",
        "/keys" | "/key-groups" | "/key-requests" | "/campaigns" | "/campaign-cards" | "/ceremonies" => KEYS,
        _ => BUSINESS,
    }
}

/// What is open to who is not signed in: signing in, and what says nothing of the business.
const OPEN: [&str; 8] = [
    "/sign-in",
    "second_step::CODE",
    "second_step::ENROL",
    "/openapi.json",
    "/assets/{name}",
    "/favicon.ico",
    "/healthz",
    "/metrics",
];

/// Who was refused what at the consoles, the latest first.
fn refusals(app: &ykt_web::App) -> Vec<(String, String)> {
    let what = Some("console".to_owned());
    let filter = AuditFilter { what, outcome: Some(Outcome::Refused), ..AuditFilter::default() };
    let page = app.store.read(|tx| audit::list(tx, &filter, Paging::first(1_000))).unwrap();
    page.rows.into_iter().map(|row| (row.who, row.object)).collect()
}

#[test]
fn every_route_is_in_the_table() {
    let text = include_str!("../../src/server.rs");
    let found: BTreeSet<String> = text
        .split(".route(")
        .skip(1)
        .map(|rest| rest.trim_start().split(',').next().unwrap().trim_matches('"').to_owned())
        .collect();
    let known = PAGES.iter().map(|page| page.0).chain(ACTS.iter().map(|act| act.0)).chain(OPEN);
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    assert_eq!(found, known, "say in `PAGES` or `ACTS` who may pass");
}

#[tokio::test]
async fn everybody_tries_every_page() {
    let app = world::traded();
    let one = Client::new(app.clone());
    let lists: Vec<(String, &str)> = ykt_web::lists::all_lists()
        .iter()
        .flat_map(|list| {
            let who = readers(list.path);
            ["", ".csv", ".xlsx"]
                .map(|ending| (format!("{}{ending}", list.path), who))
                .into_iter()
                .chain([(format!("/api/v1{}", list.path), who)])
        })
        .collect();
    let pages: Vec<(&str, &str)> = PAGES
        .iter()
        .map(|(_, address, who)| (*address, *who))
        .chain(lists.iter().map(|(address, who)| (address.as_str(), *who)))
        .collect();
    let mut stranger = one.another();
    for (address, _) in &pages {
        let answer = stranger.get(address).await;
        let expected =
            if address.starts_with("/api") { StatusCode::UNAUTHORIZED } else { StatusCode::SEE_OTHER };
        assert_eq!(answer.status, expected, "nobody {address}");
        assert_eq!(answer.header("cache-control"), "no-store", "nobody {address}");
    }
    let mut refused = Vec::new();
    for (letter, name) in PEOPLE {
        let mut client = one.another();
        client.sign_in(name).await;
        for (address, who) in &pages {
            let answer = client.get(address).await;
            let may = who.contains(letter);
            assert_eq!(answer.status != StatusCode::FORBIDDEN, may, "{name} {address}: {}", answer.status);
            assert!(!answer.status.is_server_error(), "{name} {address}: {}", answer.text());
            assert_eq!(answer.header("cache-control"), "no-store", "{name} {address}");
            if !may {
                let address = address.split('?').next().unwrap();
                let numbers = ["1700010100000001", "00000000000001", "00002144000000000003"];
                let masked = numbers.iter().fold(address.to_owned(), |address, number| {
                    let (hidden, shown) = number.split_at(number.len() - 4);
                    address.replace(number, &format!("{}{shown}", "*".repeat(hidden.len())))
                });
                refused.push((name.to_owned(), masked));
            }
        }
    }
    let mut written = refusals(&app);
    written.reverse();
    assert_eq!(written, refused, "each refusal is written down");
}

#[tokio::test]
async fn everybody_tries_every_act() {
    let app = world::traded();
    let one = Client::new(app.clone());
    let acts: Vec<(&str, &str)> = ACTS
        .iter()
        .flat_map(|(_, addresses, who)| addresses.iter().map(|address| (*address, *who)))
        .collect();
    let mut stranger = one.another();
    for (address, _) in &acts {
        assert_eq!(
            stranger.post(address, &[("csrf", "0")]).await.status,
            StatusCode::UNAUTHORIZED,
            "{address}"
        );
    }
    let states = || app.centre.as_ref().unwrap().vault.list().unwrap();
    let before = states();
    let mut neighbour = one.another();
    neighbour.sign_in("custodian2").await;
    let foreign = neighbour.get("/account").await.field("csrf");
    let mut tried = 0;
    for (letter, name) in PEOPLE {
        let mut client = one.another();
        client.sign_in(name).await;
        let csrf = client.get("/account").await.field("csrf");
        let forged = ["", "0", &foreign];
        for (address, who) in &acts {
            // Attempts at passwords are counted beside: they are tried where the tokens of forms are.
            if *address == "/account" {
                continue;
            }
            for wrong in forged {
                let answer = client.post(address, &[("csrf", wrong), ("reason", "x"), ("id", "x")]).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name} {address} with {wrong:?}");
                tried += 1;
            }
            if !who.contains(letter) {
                let fields =
                    [("csrf", csrf.as_str()), ("reason", "x"), ("id", "x"), ("password", "Green-Door-17")];
                let answer = client.post(address, &fields).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name} {address}");
                tried += 1;
            }
        }
        assert_eq!(client.get("/account").await.status, StatusCode::OK, "{name} is still signed in");
    }
    assert_eq!(states(), before, "no key was touched");
    let written = app.store.read(|tx| {
        let filter = AuditFilter { what: Some("console".to_owned()), ..AuditFilter::default() };
        audit::list(tx, &filter, Paging::first(1))
    });
    assert_eq!(written.unwrap().totals, tried, "each refusal is written down");
}

/// Nobody but those of a ceremony ends it, and the audit log says who wanted to.
#[tokio::test]
async fn a_ceremony_belongs_to_its_people() {
    let app = world::with_keys();
    let one = Client::new(app.clone());
    let step = async |client: &mut Client, page: &str, to: &str, fields: &[(&str, &str)]| -> Answer {
        let csrf = client.get(page).await.field("csrf");
        let fields: Vec<_> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
        client.post(to, &fields).await
    };
    let mut keys = one.another();
    keys.sign_in("keys1").await;
    let new = [
        ("purpose", "new"),
        ("custodians", "custodian1, custodian2"),
        ("place", "Room 7"),
        ("key", "seed.2.1"),
        ("algorithm", "3des"),
        ("roots", "none"),
    ];
    let page = step(&mut keys, "/new-ceremony", "/new-ceremony", &new).await.location().to_owned();
    for (name, acts) in [
        ("keys2", ["finish", "abort"].as_slice()),
        ("auditor", &["finish", "abort"]),
        ("security", &["finish", "abort"]),
        ("custodian3", &["give", "draw", "sheet", "finish", "abort"]),
        ("custodian1", &["sheet", "finish"]),
    ] {
        let mut client = one.another();
        client.sign_in(name).await;
        for act in acts {
            let fields = [("component", "0123456789ABCDEF1122334455667788")];
            let answer = step(&mut client, &page, &format!("{page}/{act}"), &fields).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{name} {act}");
            let log = app.store.read(audit::head).unwrap().unwrap();
            assert_eq!((log.who.as_str(), log.outcome), (name, Outcome::Refused), "{name} {act}: {log:?}");
        }
    }
    assert!(keys.get(&page).await.text().contains("has not given yet"), "it is still open");
}
