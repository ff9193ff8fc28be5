//! The API: the same lists, the load host, and who may ask for what.

use crate::client::{Answer, Client};
use crate::trade::LoadingCard;
use crate::world;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use std::io::Write;

const LOADS: &str = "loads-token-0123456789abcdef";
const READ: &str = "read-token-0123456789abcdefg";

/// A server with one machine of each scope; the second client is the machine's.
fn machines() -> (Client, Client, Client) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "kiosk-1 loads {LOADS}\nreports read {READ}").unwrap();
    let mut config = world::config();
    config.api.tokens_file = Some(file.path().to_owned());
    let person = Client::with(config, world::traded());
    let (mut loads, mut read) = (person.another(), person.another());
    loads.headers.push(("authorization", format!("Bearer {LOADS}")));
    read.headers.push(("authorization", format!("Bearer {READ}")));
    (person, loads, read)
}

async fn post(client: &mut Client, path: &str, body: &Value) -> Answer {
    client.send(Method::POST, &format!("/api/v1{path}"), "application/json", body.to_string()).await
}

#[tokio::test]
async fn each_door_opens_to_its_own_token() {
    let (mut person, mut loads, mut read) = machines();
    let refused = person.get("/api/v1/cards").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refused.json()["code"], "sign-in-needed");
    assert!(refused.json()["message_zh"].as_str().unwrap().contains("登录"));
    assert_eq!(loads.get("/api/v1/cards").await.status, StatusCode::UNAUTHORIZED, "loads does not read");
    assert_eq!(read.get("/api/v1/cards").await.status, StatusCode::OK);
    assert_eq!(read.get("/api/v1/audit").await.status, StatusCode::FORBIDDEN);
    assert_eq!(post(&mut read, "/loads", &json!({})).await.status, StatusCode::BAD_REQUEST);
    let order =
        json!({"order_id": "A-1", "card": world::card(1).to_string(), "amount_fen": 100, "channel": "CASH"});
    assert_eq!(post(&mut read, "/loads", &order).await.status, StatusCode::FORBIDDEN);
    person.sign_in("operator").await;
    assert_eq!(person.get("/api/v1/cards").await.status, StatusCode::OK);
    assert_eq!(post(&mut person, "/loads", &order).await.status, StatusCode::FORBIDDEN);
    for path in ["/api/v1/nowhere", "/api/v1/loads/x/y"] {
        assert_eq!(person.get(path).await.json()["code"], "not-found", "{path}");
    }
    person.headers.push(("authorization", "Bearer wrong".to_owned()));
    assert_eq!(
        person.get("/api/v1/cards").await.status,
        StatusCode::UNAUTHORIZED,
        "a wrong token is no session"
    );
}

#[tokio::test]
async fn a_list_answers_what_its_page_shows() {
    let (mut person, _, mut read) = machines();
    person.sign_in("operator").await;
    let page = person.get("/bills?day=2026-11-22").await.text();
    let body = person.get("/api/v1/bills?day=2026-11-22").await.json();
    assert_eq!(body["count"], 6);
    let net: i64 = body["rows"].as_array().unwrap().iter().map(|row| row["net_fen"].as_i64().unwrap()).sum();
    assert_eq!(body["totals"]["net_fen"], net);
    assert!(page.contains(&ykt_base::Fen::new(net).to_string()));
    let row = &body["rows"][0];
    assert_eq!(row["state"], "paid", "a code, not a word");
    assert_eq!(row["industry"], "01");
    let zh = person.get("/api/v1/bills?day=2026-11-22&lang=zh").await.json();
    assert_eq!(zh, body, "the language is for people");
    let cards = read.get("/api/v1/cards?rows=1").await.json();
    assert_eq!(cards["rows"][0]["card"], "************0001");
    assert_eq!(cards["page_rows"], 1);
    let bad = read.get("/api/v1/cards?state=red").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert!(bad.json()["message"].as_str().unwrap().contains("expected one of"));
}

#[tokio::test]
async fn a_card_is_loaded_and_a_break_is_mended() {
    let (_, mut loads, _) = machines();
    let card = LoadingCard { asn: world::card(110), balance: 0, counter: 0 };
    let order =
        json!({"order_id": "K-1", "card": card.asn.to_string(), "amount_fen": 5_000, "channel": "CASH"});
    for _ in 0..2 {
        assert_eq!(
            post(&mut loads, "/loads", &order).await.json(),
            json!({"order_id": "K-1", "state": "paid"})
        );
    }
    let mut other = order.clone();
    other["amount_fen"] = json!(6_000);
    let conflict = post(&mut loads, "/loads", &other).await;
    assert_eq!((conflict.status, &conflict.json()["code"]), (StatusCode::CONFLICT, &json!("other-content")));
    let offer = |card: &LoadingCard| {
        serde_json::to_value(ykt_terminal::host::wire::OfferBody::from(&card.offer(5_000))).unwrap()
    };
    let mut wrong = offer(&card);
    wrong["mac1"] = json!("00000000");
    let refused = post(&mut loads, "/loads/K-1/initialize", &wrong).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("wrong-mac1"))
    );
    let credit = post(&mut loads, "/loads/K-1/initialize", &offer(&card)).await;
    assert_eq!(credit.status, StatusCode::OK, "{}", credit.text());
    assert_eq!(credit.json()["mac2"].as_str().unwrap().len(), 8);
    // The card credited itself and left before its TAC arrived.
    let after = LoadingCard { balance: 5_000, counter: 1, ..card };
    let resumed = post(&mut loads, "/loads/K-1/resume", &offer(&after)).await.json();
    assert_eq!(resumed, json!({"next": "prove", "counter": 0}));
    let at: ykt_base::DateTime = credit.json()["at"].as_str().unwrap().parse().unwrap();
    let tac = json!({"tac": card.tac(5_000, at).to_string()});
    let done = post(&mut loads, "/loads/K-1/confirm", &tac).await.json();
    assert_eq!(done, json!({"order_id": "K-1", "state": "done"}));
    let late = post(&mut loads, "/loads/K-1/give-back", &json!({})).await;
    assert_eq!((late.status, &late.json()["code"]), (StatusCode::CONFLICT, &json!("state")));
    let unknown = post(&mut loads, "/loads/K-2/give-back", &json!({})).await;
    assert_eq!((unknown.status, &unknown.json()["code"]), (StatusCode::NOT_FOUND, &json!("unknown-order")));
    for (path, body) in [
        ("/loads/K-1/confirm", json!({"tac": "zz"})),
        ("/loads/K-1/confirm", json!({"tac": "00000000", "TAC": "x"})),
        ("/loads/K%201/confirm", json!({"tac": "00000000"})),
        ("/loads", json!([])),
    ] {
        let bad = post(&mut loads, path, &body).await;
        assert_eq!(
            (bad.status, &bad.json()["code"]),
            (StatusCode::BAD_REQUEST, &json!("bad-request")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn without_a_vault_no_card_is_loaded() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "kiosk-1 loads {LOADS}").unwrap();
    let mut config = world::config();
    config.api.tokens_file = Some(file.path().to_owned());
    let mut client = Client::with(config, world::full());
    client.headers.push(("authorization", format!("Bearer {LOADS}")));
    let order =
        json!({"order_id": "A-1", "card": world::card(1).to_string(), "amount_fen": 100, "channel": "CASH"});
    let answer = post(&mut client, "/loads", &order).await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("no-vault"))
    );
}

#[tokio::test]
async fn every_answer_has_the_fields_the_document_names() {
    let (mut person, _, _) = machines();
    let document = person.get("/api/v1/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    person.sign_in("operator").await;
    let mut checked = 0;
    for list in ykt_web::lists::all_lists() {
        let answer = person.get(&format!("/api/v1{}", list.path)).await;
        if answer.status == StatusCode::FORBIDDEN {
            continue;
        }
        let operation = &document["paths"][format!("/api/v1{}", list.path)]["get"];
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"]["properties"];
        let name = schema["rows"]["items"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let described = document["components"]["schemas"][&name]["properties"].as_object().unwrap();
        let body = answer.json();
        let row = body["rows"][0].as_object().unwrap();
        assert_eq!(row.keys().collect::<Vec<_>>(), {
            let mut keys: Vec<_> = described.keys().collect();
            keys.sort();
            keys
        });
        for (key, value) in row {
            let types = described[key]["type"].to_string();
            let found = match value {
                Value::Null => "null",
                Value::Number(_) => "integer",
                _ => "string",
            };
            assert!(types.contains(found), "{name}.{key}: {value} is not {types}");
        }
        checked += 1;
    }
    assert!(checked > 10);
}

#[tokio::test]
async fn health_and_metrics_tell_without_signing_in() {
    let (mut person, _, _) = machines();
    let health = person.get("/healthz").await.json();
    assert_eq!((&health["status"], &health["closed_day"]), (&json!("ok"), &json!("2026-11-23")));
    person.get("/cards/1700010100000001").await;
    let metrics = person.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain"));
    let text = metrics.text();
    assert!(text.contains("route=\"/cards/{asn}\"") && !text.contains("1700010100000001"), "{text}");
    assert!(text.contains("ykt_closed_day 20261123") && text.contains("ykt_ledger_entries "));
}
