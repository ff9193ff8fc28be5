//! A ceremony over several browsers: who sees what, who may do what, and what is shown once.

use crate::client::{Answer, Client};
use crate::world;
use axum::http::StatusCode;
use ykt_vault::ceremony::{Component, Protocol};
use ykt_vault::{KeyAlgorithm, KeyKind, KeyState};
use ykt_web::App;

const NUMBER: &str = "C20261122-01";
const TYPED: &str = "0123456789ABCDEF1122334455667788";

/// A browser in which this person is signed in.
async fn of(clients: &Client, name: &str) -> Client {
    let mut client = clients.another();
    client.sign_in(name).await;
    client
}

async fn post(client: &mut Client, page: &str, act: &str, fields: &[(&str, &str)]) -> Answer {
    let csrf = client.get(page).await.field("csrf");
    let fields: Vec<_> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
    client.post(act, &fields).await
}

/// Does a step on the page of the ceremony.
async fn step(client: &mut Client, what: &str, fields: &[(&str, &str)]) -> Answer {
    let page = format!("/ceremonies/{NUMBER}");
    post(client, &page, &format!("{page}/{what}"), fields).await
}

const NEW: [(&str, &str); 6] = [
    ("purpose", "new"),
    ("custodians", "custodian1, custodian2"),
    ("place", "Room 7"),
    ("key", "seed.2.1"),
    ("algorithm", "3des"),
    ("roots", "purchase,load"),
];

async fn begun() -> (App, Client, Client) {
    let app = world::with_keys();
    let clients = Client::new(app.clone());
    let mut keys = of(&clients, "keys1").await;
    let answer = post(&mut keys, "/new-ceremony", "/new-ceremony", &NEW).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/ceremonies/C20261122-01"));
    (app, clients, keys)
}

#[tokio::test]
async fn custodians_give_each_in_his_own_browser() {
    let (app, clients, mut keys) = begun().await;
    let page = format!("/ceremonies/{NUMBER}");
    let mut first = of(&clients, "custodian1").await;
    let mut second = of(&clients, "custodian2").await;

    let kcv = Component::parse_unchecked(KeyAlgorithm::Tdes, TYPED).ok().unwrap().kcv();
    let kcv = ykt_base::hex::Hex(&kcv).to_string();
    let answer = step(&mut first, "give", &[("component", TYPED), ("kcv", &kcv)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    let shown = first.get(&page).await.text();
    assert!(shown.contains(&format!("has given, KCV {kcv}")) && shown.contains("has not given yet"));
    assert!(!shown.contains("name=\"component\""), "a component is given once");

    assert_eq!(step(&mut second, "draw", &[]).await.status, StatusCode::SEE_OTHER);
    let complete = keys.get(&page).await.text();
    assert!(complete.contains("Everybody has given") && complete.contains("Put the key into the vault"));
    assert!(!second.get(&page).await.text().contains("Put the key into the vault"));

    // A drawn component is on its sheet first; the sheet comes once, for its own custodian.
    let early = step(&mut keys, "finish", &[]).await;
    assert_eq!(early.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(early.text().contains("What was drawn must be on a sheet first: custodian2"));
    let sheet = step(&mut second, "sheet", &[]).await;
    assert_eq!((sheet.status, sheet.header("cache-control")), (StatusCode::OK, "no-store"));
    assert!(sheet.text().contains("种子码单") && sheet.text().contains("/assets/sheet.css"));
    assert!(!sheet.text().contains("<style") && !sheet.text().contains(&TYPED[..8]));
    let style = sheet.text().split("href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(first.get(&style).await.text().contains("size: A4"));
    let again = step(&mut second, "sheet", &[]).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.text().contains("each is handed out once"));

    assert_eq!(step(&mut keys, "finish", &[]).await.status, StatusCode::SEE_OTHER);
    let page = keys.get(&page).await.text();
    assert!(page.contains("Ceremony C20261122-01 is finished") && page.contains("signed by the centre"));
    assert!(page.contains("the vault holds: purchase key, index 2, version 1"), "the derived roots are told");
    let protocol = keys.get(&format!("/ceremonies/{NUMBER}/protocol")).await;
    assert!(Protocol::verify(&protocol.text()).is_ok() && !protocol.text().contains(&TYPED[..8]));
    let made = app.vault.as_ref().unwrap().list().unwrap();
    let made =
        |kind| made.iter().find(|info| info.key.kind == kind && info.key.index.0 == 2).map(|info| info.state);
    assert_eq!(made(KeyKind::Seed), Some(KeyState::Active));
    assert_eq!(made(KeyKind::Purchase), Some(KeyState::Generated));
    let list = keys.get("/ceremonies").await.text();
    assert!(list.contains(NUMBER) && list.contains("Finished"));
    assert!(keys.get("/ceremonies?lang=zh").await.text().contains("已完成"));
}

#[tokio::test]
async fn slips_are_told_and_tell_nothing() {
    let (_, clients, mut keys) = begun().await;
    let mut first = of(&clients, "custodian1").await;
    for (fields, words) in [
        (vec![("component", ""), ("kcv", "")], "Fill this in"),
        (
            vec![("component", "0123"), ("kcv", "")],
            "Expected 32 hex digits, or 40 with check values; found 4.",
        ),
        (vec![("component", TYPED), ("kcv", "000000")], "expected 000000, found"),
        (vec![("component", TYPED), ("kcv", "00")], "A KCV has 6 hex digits."),
        (vec![("component", "00000000000000000000000000000000"), ("kcv", "")], "of zeros is of no use"),
    ] {
        let answer = step(&mut first, "give", &fields).await;
        let text = answer.text();
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{words}");
        assert!(words == "Fill this in" || text.contains(words), "{words} in {text}");
        assert!(!text.contains(&TYPED[..16]), "what was typed never comes back");
    }
    // The administrator gives nothing, another custodian neither; one's own ceremony can be aborted.
    assert_eq!(step(&mut keys, "draw", &[]).await.status, StatusCode::FORBIDDEN);
    let mut third = of(&clients, "custodian3").await;
    let refused = step(&mut third, "draw", &[]).await;
    assert!(refused.text().contains("custodian3 is no custodian of this ceremony"), "{}", refused.text());
    let mut other = of(&clients, "keys2").await;
    let refused = step(&mut other, "abort", &[]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(step(&mut first, "abort", &[]).await.status, StatusCode::SEE_OTHER);
    let shown = keys.get(&format!("/ceremonies/{NUMBER}")).await.text();
    assert!(shown.contains("aborted") && !shown.contains("/draw"));
}

#[tokio::test]
async fn plans_are_judged_at_their_fields() {
    let clients = Client::new(world::with_keys());
    let mut keys = of(&clients, "keys1").await;
    for (field, value, words) in [
        ("custodians", "custodian1", "Sign-in names of 2 to 8 custodians"),
        ("custodians", "custodian1 keys1", "keys1 conducts the ceremony"),
        ("custodians", "custodian1 custodian1", "custodian1 is named twice"),
        ("custodians", "custodian1 operator", "The role of operator does not allow this"),
        ("key", "seed", "Write KIND.INDEX.VERSION"),
        ("roots", "lode", "kinds of keys with commas between"),
        ("algorithm", "aes-256", "cannot be one of aes-256"),
    ] {
        let mut fields = NEW.to_vec();
        fields.iter_mut().filter(|(name, _)| *name == field).for_each(|(_, found)| *found = value);
        let answer = post(&mut keys, "/new-ceremony", "/new-ceremony", &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{field} {value}");
        assert!(answer.text().contains(words), "{words} in {}", answer.text());
    }
    for name in ["custodian1", "auditor"] {
        let mut reader = of(&clients, name).await;
        assert_eq!(reader.get("/ceremonies").await.status, StatusCode::OK);
        assert_eq!(reader.get("/new-ceremony").await.status, StatusCode::FORBIDDEN);
    }
    let mut desk = of(&clients, "operator").await;
    assert_eq!(desk.get("/ceremonies").await.status, StatusCode::FORBIDDEN);
    assert_eq!(keys.get("/ceremonies/C20261122-77").await.status, StatusCode::NOT_FOUND);
}
