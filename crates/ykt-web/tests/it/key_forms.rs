//! What is asked for by forms beside a key's own page: roots out of a seed, the keys of a file, groups, and the signature
//! under an old protocol. Refused input is told with field, expected and found, and nothing that was typed is lost.

use crate::client::{Answer, Client};
use crate::keys::{act as send, administrators};
use crate::world;
use axum::http::{Method, StatusCode};
use ykt_vault::exchange;
use ykt_vault::{KeyAlgorithm, KeyKind, KeyPlace, KeyRef, KeyState};
use ykt_web::App;

const TRANSPORT: KeyRef = KeyRef::new(KeyKind::KeyTransport, 1, 1);

fn asked(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    answer.location().to_owned()
}

async fn approve(client: &mut Client, request: &str) -> String {
    let answer = send(client, request, &format!("{request}/approve"), &[]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    client.get(request).await.text()
}

/// A form that was refused says each of `words`.
fn refused(answer: &Answer, words: &[&str]) {
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text());
    for word in words {
        assert!(answer.text().contains(word), "{word} in {}", answer.text());
    }
}

#[tokio::test]
async fn roots_come_out_of_a_seed_by_two_people() {
    const PAGE: &str = "/derive-keys";
    let (_, mut one, mut two) = administrators().await;
    let fields = |keys: &'static str| [("seed", "seed.1.1"), ("keys", keys), ("reason", "the year 2027")];
    let wrong = send(&mut one, PAGE, PAGE, &fields("load.1.7 lode")).await;
    refused(
        &wrong,
        &["Expected: all (every kind", "Found: lode.", ">load.1.7 lode</textarea>", "the year 2027"],
    );
    refused(&send(&mut one, PAGE, PAGE, &fields("all")).await, &["is there already: name new ones"]);
    refused(&send(&mut one, PAGE, PAGE, &fields("load.1.1")).await, &["Key load.1.1 exists already"]);

    let request = asked(&send(&mut one, PAGE, PAGE, &fields("load.1.7,\r\ntac.1.7")).await);
    let shown = two.get(&request).await.text();
    for words in ["2 root keys are derived from seed.1.1", "2 keys of seed.1.1", "load.1.7", "tac.1.7"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(two.get(&format!("{request}?lang=zh")).await.text().contains("由 seed.1.1 派生的 2 把密钥"));
    two.get(&format!("{request}?lang=en")).await;
    approve(&mut two, &request).await;
    let life = one.get("/keys/tac.1.7").await.text();
    assert!(life.contains("Generated") && life.contains(&request), "leads to its request: {life}");
}

/// A file of another centre that has the same transport key: keys `load.1.7` and `load.1.8`.
fn file_of_another_centre() -> String {
    let other = world::with_keys().centre.unwrap();
    let places = [7, 8].map(|version| KeyPlace::root(KeyRef::new(KeyKind::Load, 1, version)));
    let mut rng = world::Count::new();
    for place in places {
        other.vault.generate(place, KeyAlgorithm::Tdes, &mut rng).unwrap();
    }
    let from = ("Dongcheng", world::at(8, 0));
    let signer = other.signer.as_deref().unwrap();
    exchange::export(&*other.vault, &places, TRANSPORT, from, (signer, &mut rng), &mut |_, _| {})
        .unwrap()
        .to_string()
}

/// Sends the first form as a browser does: in parts, the file among them.
async fn bring(client: &mut Client, transport: &str, file: &str) -> Answer {
    let csrf = client.get("/import-keys").await.field("csrf");
    let part = |name: &str, value: &str| {
        format!("--b0undary\r\nContent-Disposition: form-data; {name}\r\n\r\n{value}\r\n")
    };
    let body = [
        part("name=\"csrf\"", &csrf),
        part("name=\"party\"", "Dongcheng Card"),
        part("name=\"transport\"", transport),
        part("name=\"text\"; filename=\"keys.txt\"", file),
        part("name=\"text\"", ""),
        "--b0undary--\r\n".to_owned(),
    ];
    client.send(Method::POST, "/import-keys", "multipart/form-data; boundary=b0undary", body.concat()).await
}

#[tokio::test]
async fn a_file_is_shown_before_it_is_asked_for() {
    let (app, mut one, mut two) = administrators().await;
    let file = file_of_another_centre();
    let shown = bring(&mut one, "key-transport.1.1", &file).await;
    let text = shown.text();
    assert_eq!(shown.status, StatusCode::OK, "{text}");
    let kcvs: Vec<&str> =
        file.lines().filter_map(|line| line.strip_prefix("load,")?.split(',').nth(6)).collect();
    assert_eq!(kcvs.len(), 2);
    for words in ["The signature fits the file", "Dongcheng Card", "load.1.7", "load.1.8", kcvs[0], kcvs[1]] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // The browser sends the carried file with CR LF; its signature still fits.
    let (csrf, id, carried) = (shown.field("csrf"), shown.field("id"), file.replace('\n', "\r\n"));
    let fields = |reason: &'static str| {
        vec![
            ("csrf", csrf.as_str()),
            ("id", id.as_str()),
            ("party", "Dongcheng Card"),
            ("transport", "key-transport.1.1"),
            ("text", carried.as_str()),
            ("reason", reason),
        ]
    };
    let nothing = one.post("/import-keys/ask", &fields("")).await;
    refused(&nothing, &["This must be filled in.", "load.1.8", "Dongcheng Card"]);
    let request = asked(&one.post("/import-keys/ask", &fields("their cards ride here")).await);
    let waits = two.get(&request).await.text();
    assert!(waits.contains(kcvs[1]) && waits.contains("2 keys of Dongcheng Card"), "{waits}");
    approve(&mut two, &request).await;
    let list = app.centre.as_ref().unwrap().vault.list().unwrap();
    assert!(list.iter().any(|info| info.key == KeyRef::new(KeyKind::Load, 1, 8)));

    let again = bring(&mut one, "key-transport.1.1", &file).await.text();
    assert!(again.contains("cannot be taken in: load.1.7, load.1.8"), "{again}");
    assert!(!again.contains("/import-keys/ask"), "{again}");
}

#[tokio::test]
async fn a_file_that_is_none_is_told_and_kept() {
    let (app, mut one, mut two) = administrators().await;
    let file = file_of_another_centre();
    let altered = file.replace("load,1,8", "load,1,9");
    refused(
        &bring(&mut one, "key-transport.1.1", &altered).await,
        &["cannot be read", "load,1,9", "Dongcheng Card"],
    );
    let table = "kind,version,kcv,cryptogram\nload,7,12345,00112233445566778899AABBCCDDEEFF\n";
    refused(&bring(&mut one, "key-transport.1.1", table).await, &["line 2 of the file, kcv", "12345"]);
    refused(&bring(&mut one, "key-transport.1.1", "").await, &["This must be filled in."]);
    // Under another transport key than the file says: both check values.
    let second = KeyPlace::root(KeyRef::new(KeyKind::KeyTransport, 1, 2));
    let vault = &app.centre.as_ref().unwrap().vault;
    let made = vault.generate(second, KeyAlgorithm::Aes256, &mut world::Count::new()).unwrap();
    let early = bring(&mut one, "key-transport.1.2", &file).await;
    refused(&early, &["is generated and may not be used", "Dongcheng Card"]);
    vault.change_state(&second, KeyState::Active).unwrap();
    let kcv = ykt_base::hex::Hex(&made.kcv).to_string();
    refused(
        &bring(&mut one, "key-transport.1.2", &file).await,
        &["Expected: KCV", &format!("Found: KCV {kcv}")],
    );
    // A bare table says that nobody signed it.
    let row = file.lines().find(|line| line.starts_with("load,1,7")).unwrap();
    let bare = format!("kind,index,version,level,owner,algorithm,state,kcv,cryptogram\n{row}\n");
    let shown = bring(&mut one, "key-transport.1.1", &bare).await.text();
    assert!(shown.contains("A bare table that nobody signed") && shown.contains("load.1.7"), "{shown}");
    // Only key administrators bring files, and a form that is too large is none.
    let mut auditor = one.another();
    auditor.sign_in("auditor").await;
    for path in ["/import-keys", "/derive-keys", "/new-key-group"] {
        assert_eq!(auditor.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let large = "x".repeat(2 * 1024 * 1024);
    assert_eq!(bring(&mut two, "key-transport.1.1", &large).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_group_is_made_shown_handed_out_and_removed() {
    const GROUP: &str = "/key-groups/purse";
    let (_, mut one, mut two) = administrators().await;
    assert!(one.get("/key-groups").await.text().contains("No group yet"));
    let fields =
        |name: &'static str, keys: &'static str| [("name", name), ("title", "Purse keys"), ("keys", keys)];
    for (name, keys, words) in [
        ("Purse", "load.1.1", ["Found: Purse.", "1 to 32 small letters"]),
        ("purse", "load.1.1 load", ["Found: load.", "KIND.INDEX.VERSION"]),
        ("purse", "load.1.9", ["There is no key load.1.9", ">load.1.9</textarea>"]),
    ] {
        let answer = send(&mut one, "/new-key-group", "/new-key-group", &fields(name, keys)).await;
        refused(&answer, &words);
    }
    let made =
        send(&mut one, "/new-key-group", "/new-key-group", &fields("purse", "load.1.1, tac.1.1 load.1.1"))
            .await;
    assert_eq!((made.status, made.location()), (StatusCode::SEE_OTHER, GROUP), "{}", made.text());
    let twice = send(&mut one, "/new-key-group", "/new-key-group", &fields("purse", "tac.1.1")).await;
    refused(&twice, &["There is a group purse"]);
    let page = one.get(GROUP).await.text();
    assert!(page.contains("Keys (2)") && page.contains("/keys/tac.1.1"), "{page}");

    let export = [("party", "Dongcheng"), ("transport", "key-transport.1.1"), ("reason", "their PSAMs")];
    let request = asked(&send(&mut one, GROUP, &format!("{GROUP}/export"), &export).await);
    assert!(approve(&mut two, &request).await.contains("Download the file"));
    let file = one.get(&format!("{request}/file")).await.text();
    assert!(file.contains("\nkeys: 2\n"), "{file}");

    let change = [("title", "Purse keys"), ("keys", "purchase.1.1")];
    assert_eq!(
        send(&mut one, GROUP, &format!("{GROUP}/change"), &change).await.status,
        StatusCode::SEE_OTHER
    );
    let csv = String::from_utf8(one.get("/key-groups.csv?text=purse").await.body).unwrap();
    assert!(csv.contains("purse,Purse keys,1"), "{csv}");
    let mut auditor = one.another();
    auditor.sign_in("auditor").await;
    assert!(!auditor.get(GROUP).await.text().contains("<form class=\"form\""), "an auditor only looks");
    assert_eq!(send(&mut one, GROUP, &format!("{GROUP}/remove"), &[]).await.location(), "/key-groups");
    assert_eq!(one.get(GROUP).await.status, StatusCode::NOT_FOUND);
    let log = auditor.get("/audit?text=key%2Fgroup").await.text();
    assert!(log.contains("removed") && log.contains("2 keys"), "{log}");
}

/// A ceremony before the centre had its pair: its protocol gets the signature later, by a button, once.
#[tokio::test]
async fn a_protocol_is_signed_later() {
    const PAGE: &str = "/ceremonies/C20261122-01";
    let app = world::with_keys();
    let mut bare = app.centre.as_deref().unwrap().clone();
    bare.signer = None;
    let mut keys = Client::new(App { centre: Some(bare.into()), ..app.clone() });
    keys.sign_in("keys1").await;
    let new = [
        ("purpose", "new"),
        ("custodians", "custodian1 custodian2"),
        ("place", "Room 7"),
        ("key", "seed.2.1"),
        ("algorithm", "3des"),
        ("roots", "none"),
    ];
    assert_eq!(send(&mut keys, "/new-ceremony", "/new-ceremony", &new).await.location(), PAGE);
    let mut custodians = [keys.another(), keys.another()];
    for (custodian, name) in custodians.iter_mut().zip(["custodian1", "custodian2"]) {
        custodian.sign_in(name).await;
        asked(&send(custodian, PAGE, &format!("{PAGE}/draw"), &[]).await);
    }
    for custodian in &mut custodians {
        let sheet = send(custodian, PAGE, &format!("{PAGE}/sheet"), &[]).await;
        assert_eq!(sheet.status, StatusCode::OK);
    }
    asked(&send(&mut keys, PAGE, &format!("{PAGE}/finish"), &[]).await);
    let unsigned = keys.get(PAGE).await.text();
    assert!(unsigned.contains("The protocol is not signed") && !unsigned.contains("/sign\""), "{unsigned}");
    refused(&send(&mut keys, PAGE, &format!("{PAGE}/sign"), &[]).await, &["has no signing pair yet"]);

    // The same centre once it has its pair.
    let mut keys = Client::new(app.clone());
    keys.sign_in("keys2").await;
    asked(&send(&mut keys, PAGE, &format!("{PAGE}/sign"), &[]).await);
    let signed = keys.get(PAGE).await.text();
    assert!(
        signed.contains("its protocol is signed by the centre") && !signed.contains("/sign\""),
        "{signed}"
    );
    let protocol = keys.get(&format!("{PAGE}/protocol")).await.text();
    assert!(ykt_vault::ceremony::Protocol::verify(&protocol).is_ok(), "{protocol}");
}
