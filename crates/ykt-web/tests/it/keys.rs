//! Keys at the consoles: two people, one of whom is never both, and everything that is shown of a key.

use crate::client::{Answer, Client};
use crate::world;
use axum::http::StatusCode;
use ykt_vault::{KeyKind, KeyPlace, KeyRef, KeyState};
use ykt_web::App;

const LOAD_1: &str = "/keys/load.1.1";
const LOAD_2: &str = "/keys/load.1.2";

/// Two browsers at one server, of the two key administrators.
pub async fn administrators() -> (App, Client, Client) {
    let app = world::with_keys();
    let mut one = Client::new(app.clone());
    let mut two = one.another();
    one.sign_in("keys1").await;
    two.sign_in("keys2").await;
    (app, one, two)
}

/// Fills in the form of an act on a page and follows to where it leads.
pub async fn act(client: &mut Client, page: &str, act: &str, fields: &[(&str, &str)]) -> Answer {
    let shown = client.get(page).await;
    assert_eq!(shown.status, StatusCode::OK, "{page}: {}", shown.text());
    let csrf = shown.field("csrf");
    let id = shown.text().contains("name=\"id\" value=\"").then(|| shown.field("id"));
    let mut all = vec![("csrf", csrf.as_str())];
    all.extend(id.as_deref().map(|id| ("id", id)));
    all.extend(fields);
    client.post(act, &all).await
}

async fn asked(client: &mut Client, page: &str, word: &str) -> String {
    let answer = act(client, page, &format!("{page}/{word}"), &[("reason", "second generation")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    answer.location().to_owned()
}

async fn approved(client: &mut Client, request: &str) -> Answer {
    let answer = act(client, request, &format!("{request}/approve"), &[]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, request), "{}", answer.text());
    client.get(request).await
}

async fn new_key(one: &mut Client, two: &mut Client, version: &str) {
    let fields =
        [("kind", "load"), ("index", "1"), ("version", version), ("algorithm", "3des"), ("reason", "x")];
    let answer = act(one, "/new-key", "/new-key", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    let request = answer.location().to_owned();
    assert!(approved(two, &request).await.text().contains("is approved and done: KCV"));
}

#[tokio::test]
async fn a_key_is_made_and_activated_by_two_people() {
    let (_, mut one, mut two) = administrators().await;
    new_key(&mut one, &mut two, "2").await;
    let page = one.get(LOAD_2).await.text();
    assert!(page.contains("Generated") && page.contains("asked by keys1, approved by keys2"), "{page}");
    assert!(page.contains("load.1.1 (KCV") && page.contains("is retired by it"), "{page}");
    let request = asked(&mut one, LOAD_2, "activate").await;
    let waiting = one.get(LOAD_2).await.text();
    assert!(waiting.contains("is not settled") && !waiting.contains("Ask to activate"), "{waiting}");

    let own = one.get(&request).await.text();
    assert!(own.contains("another key administrator must approve or refuse it"), "{own}");
    assert!(!own.contains("/approve\""), "no form for one's own request");
    let done = approved(&mut two, &request).await.text();
    assert!(done.contains("active; retired load.1.1"), "{done}");
    assert!(one.get(LOAD_1).await.text().contains("Retired by its successor"));
    let list = one.get("/keys?state=active&text=load.1").await.text();
    assert!(list.contains("load.1.2") && !list.contains(">load.1.1<"), "{list}");
    let csv = String::from_utf8(one.get("/keys.csv?text=load.1").await.body).unwrap();
    assert!(csv.lines().filter(|line| line.starts_with("load.1.")).count() == 2, "two versions: {csv}");
}

#[tokio::test]
async fn nobody_approves_what_he_asked_for() {
    let (app, mut one, mut two) = administrators().await;
    let request = asked(&mut one, LOAD_1, "retire").await;
    let refused = act(&mut one, &request, &format!("{request}/approve"), &[]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().contains("another person must decide"), "{}", refused.text());
    let state = || {
        let list = app.centre.as_ref().unwrap().vault.list().unwrap();
        list.iter().find(|info| info.key == KeyRef::new(KeyKind::Load, 1, 1)).unwrap().state
    };
    assert_eq!(state(), KeyState::Active);
    let mut auditor = one.another();
    auditor.sign_in("auditor").await;
    let log = auditor.get("/audit?text=request%2Fapprove&outcome=refused").await.text();
    assert!(log.contains("keys1") && log.contains("a second person must decide"), "{log}");

    let no = act(&mut two, &request, &format!("{request}/refuse"), &[("why", "not today")]).await;
    assert_eq!(no.status, StatusCode::SEE_OTHER, "{}", no.text());
    assert!(one.get(&request).await.text().contains("not today"));
    assert_eq!(state(), KeyState::Active);
}

/// Who may look may not ask; who may do neither sees nothing.
#[tokio::test]
async fn roles_see_and_do_what_is_theirs() {
    let (_, one, _) = administrators().await;
    for (name, sees) in
        [("auditor", true), ("custodian1", true), ("security", true), ("operator", false), ("finance", false)]
    {
        let mut client = one.another();
        client.sign_in(name).await;
        for path in ["/keys", "/key-requests", "/campaigns", "/vault", LOAD_1] {
            let page = client.get(path).await;
            assert_eq!(page.status == StatusCode::OK, sees, "{name} {path}");
            assert!(!page.text().contains("Ask to"), "{name} {path}");
        }
        let csrf = client.get("/account").await.field("csrf");
        let fields = [("csrf", csrf.as_str()), ("id", "r1"), ("reason", "x")];
        let answer = client.post("/keys/load.1.1/retire", &fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}");
    }
}

#[tokio::test]
async fn what_the_states_forbid_is_said_in_words() {
    let (_, mut one, mut two) = administrators().await;
    let fields = [("kind", "load"), ("index", "1"), ("version", "1"), ("algorithm", "3des"), ("reason", "x")];
    let twice = act(&mut one, "/new-key", "/new-key", &fields).await;
    assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(twice.text().contains("Key load.1.1 exists already"), "{}", twice.text());
    let wrong =
        [("kind", "signing"), ("index", "2"), ("version", "1"), ("algorithm", "3des"), ("reason", "x")];
    let wrong = act(&mut one, "/new-key", "/new-key", &wrong).await.text();
    assert!(wrong.contains("Keys of this kind take: SM2"), "{wrong}");
    let destroy = act(&mut one, LOAD_1, &format!("{LOAD_1}/destroy"), &[("reason", "x")]).await;
    assert!(
        destroy.text().contains("Key load.1.1 is Active and cannot become Destroyed"),
        "{}",
        destroy.text()
    );

    let retire = asked(&mut one, LOAD_1, "retire").await;
    approved(&mut two, &retire).await;
    let destroy = asked(&mut one, LOAD_1, "destroy").await;
    let shown = two.get(&destroy).await.text();
    assert!(shown.contains("is wiped for good") && shown.contains("Up to 120 cards"), "{shown}");
    approved(&mut two, &destroy).await;
    let gone = one.get(LOAD_1).await.text();
    assert!(gone.contains("Destroyed") && !gone.contains("Ask to"), "{gone}");
    assert_eq!(one.get("/keys/load.9.9").await.status, StatusCode::NOT_FOUND);
    assert_eq!(one.get("/keys/load").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_export_is_a_file_of_cryptograms() {
    let (_, mut one, mut two) = administrators().await;
    let fields = [("party", "Dongcheng"), ("transport", "key-transport.1.1"), ("reason", "their PSAMs")];
    let answer = act(&mut one, LOAD_1, &format!("{LOAD_1}/export"), &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    let request = answer.location().to_owned();
    assert_eq!(one.get(&format!("{request}/file")).await.status, StatusCode::NOT_FOUND, "not approved yet");
    assert!(approved(&mut two, &request).await.text().contains("Download the file"));
    let file = one.get(&format!("{request}/file")).await;
    assert!(file.text().starts_with("Yikatong key exchange, format 1\n"), "{}", file.text());
    let mut auditor = one.another();
    auditor.sign_in("auditor").await;
    assert_eq!(auditor.get(&format!("{request}/file")).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_campaign_is_planned_by_one_and_started_by_two() {
    let (app, mut one, mut two) = administrators().await;
    new_key(&mut one, &mut two, "2").await;
    let fields = [
        ("name", "second"),
        ("title", "New load keys"),
        ("profile", "city-cpu"),
        ("changes", "load.1:1-2"),
        ("cards", "type"),
        ("which", "1"),
    ];
    let planned = act(&mut one, "/new-campaign", "/new-campaign", &fields).await;
    assert_eq!(planned.location(), "/campaigns/second", "{}", planned.text());
    let again = act(&mut one, "/new-campaign", "/new-campaign", &fields).await;
    assert!(again.text().contains("There is a campaign of this name"), "{}", again.text());
    let wrong: Vec<_> =
        fields.iter().map(|(k, v)| (*k, if *k == "changes" { "tac.1:1-2" } else { *v })).collect();
    let wrong = act(&mut one, "/new-campaign", "/new-campaign", &wrong).await;
    assert!(wrong.text().contains("no TAC key"), "{}", wrong.text());

    let request = asked(&mut one, "/campaigns/second", "start").await;
    approved(&mut two, &request).await;
    let page = two.get("/campaigns/second").await.text();
    assert!(page.contains("0 of 120 cards are done"), "{page}");
    let list = two.get("/campaign-cards?campaign=second&progress=waiting").await.text();
    assert!(list.contains("of 120") && !list.contains("1700010100000001"), "masked: {list}");
    let end = act(&mut two, "/campaigns/second", "/campaigns/second/end", &[]).await;
    assert_eq!(end.status, StatusCode::SEE_OTHER, "{}", end.text());
    assert!(one.get("/campaigns?state=ended").await.text().contains("second"));
    drop(app);
}

#[tokio::test]
async fn the_vault_page_shows_what_differs_and_takes_it_over() {
    let (app, mut one, _) = administrators().await;
    assert!(one.get("/vault").await.text().contains("The vault holds what the registry says."));
    let place = KeyPlace::root(KeyRef::new(KeyKind::Load, 7, 1));
    let vault = &app.centre.as_ref().unwrap().vault;
    vault.generate(place, ykt_vault::KeyAlgorithm::Tdes, &mut *(app.rng)()).unwrap();
    let page = one.get("/vault").await.text();
    assert!(page.contains("load.7.1") && page.contains("Not registered"), "{page}");
    assert!(one.get("/keys?difference=not-registered").await.text().contains("load.7.1"));
    let taken = act(&mut one, "/vault", "/vault/register", &[]).await;
    assert_eq!(taken.location(), "/vault", "{}", taken.text());
    assert!(one.get("/vault").await.text().contains("1 keys are registered."));
    let life = one.get("/keys/load.7.1").await.text();
    assert!(life.contains("Found in the vault"), "{life}");
}

/// Every kind of key stands in the tree, in both languages, and a server without a vault says so.
#[tokio::test]
async fn the_tree_is_complete() {
    let (_, mut one, _) = administrators().await;
    for (lang, none) in [("en", "Bank card AC"), ("zh", "短信充值加密密钥")] {
        let page = one.get(&format!("/keys?rows=1000&lang={lang}")).await.text();
        assert!(page.contains(none), "{lang}");
        for kind in KeyKind::ALL {
            assert!(page.contains(&format!("{}.1.1", kind.name())), "{kind}: {lang}");
        }
    }
    let mut bare = Client::new(world::full());
    bare.sign_in("keys1").await;
    assert_eq!(bare.get("/vault").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(bare.get("/keys").await.status, StatusCode::OK, "what the registry knows");
}
