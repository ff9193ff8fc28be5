//! What people write is text wherever it is shown, and what they keep secret is in no log.

use crate::client::{Answer, Client};
use crate::people::code;
use crate::world;
use axum::http::StatusCode;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing_subscriber::filter::LevelFilter;
use ykt_web::config::SecondFactorConfig;

const SCRIPT: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
const TYPED: &str = "0123456789ABCDEF1122334455667788";

async fn act(client: &mut Client, page: &str, to: &str, fields: &[(&str, &str)]) -> Answer {
    let shown = client.get(page).await;
    let csrf = shown.field("csrf");
    let id = shown.text().contains("name=\"id\" value=\"").then(|| shown.field("id"));
    let mut all: Vec<(&str, &str)> = vec![("csrf", &csrf)];
    all.extend(id.as_deref().map(|id| ("id", id)));
    all.extend(fields);
    client.post(to, &all).await
}

async fn of(one: &Client, name: &str) -> Client {
    let mut client = one.another();
    client.sign_in(name).await;
    client
}

fn ceremony(place: &str) -> [(&str, &str); 6] {
    [
        ("purpose", "new"),
        ("custodians", "custodian1, custodian2"),
        ("place", place),
        ("key", "seed.2.1"),
        ("algorithm", "3des"),
        ("roots", "none"),
    ]
}

#[tokio::test]
async fn what_people_write_is_text_on_every_page_and_paper() {
    let one = Client::new(world::with_keys());
    let mut security = of(&one, "security").await;
    let person = [
        ("name", "mallory"),
        ("full-name", SCRIPT),
        ("role", "custodian"),
        ("staff-number", "S-9"),
        ("password", "Green-Door-17"),
    ];
    assert_eq!(act(&mut security, "/new-user", "/new-user", &person).await.location(), "/users/mallory");
    let mut keys = of(&one, "keys1").await;
    let fields = [("party", SCRIPT), ("transport", "key-transport.1.1"), ("reason", SCRIPT)];
    let request = act(&mut keys, "/keys/load.1.1", "/keys/load.1.1/export", &fields).await;
    assert_eq!(request.status, StatusCode::SEE_OTHER, "{}", request.text());
    let request = request.location().to_owned();
    act(&mut keys, "/keys/load.1.1", "/keys/load.1.1/note", &[("note", SCRIPT)]).await;
    let new = [ceremony(SCRIPT).as_slice(), &[]].concat();
    let begun = act(&mut keys, "/new-ceremony", "/new-ceremony", &new).await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text());
    let held = begun.location().to_owned();
    let mut custodian = of(&one, "custodian1").await;
    assert_eq!(act(&mut custodian, &held, &format!("{held}/draw"), &[]).await.status, StatusCode::SEE_OTHER);
    let mut second = of(&one, "custodian2").await;
    assert_eq!(act(&mut second, &held, &format!("{held}/draw"), &[]).await.status, StatusCode::SEE_OTHER);
    let mut shown = vec![act(&mut custodian, &held, &format!("{held}/sheet"), &[]).await];
    assert!(shown[0].text().contains("种子码单"), "{}", shown[0].text());
    let mut approver = of(&one, "keys2").await;
    act(&mut approver, &request, &format!("{request}/refuse"), &[("why", SCRIPT)]).await;
    let mut auditor = of(&one, "auditor").await;
    let protocol = format!("{held}/protocol");
    for path in [&request, "/key-requests", "/keys/load.1.1", "/ceremonies", &held, &protocol] {
        shown.push(approver.get(path).await);
    }
    for path in ["/audit", "/audit?who=%3Cscript%3Ealert(1)%3C/script%3E", "/search?q=%3Cscript%3Ealert(1)"] {
        shown.push(auditor.get(path).await);
    }
    for path in ["/users", "/users/mallory", "/users?text=%22%3E%3Cscript%3Ealert(1)"] {
        shown.push(security.get(path).await);
    }
    shown.push(one.another().get("/sign-in?back=/%22%3E%3Cscript%3Ealert(1)").await);
    let mut found = 0;
    for answer in shown {
        let text = answer.text();
        assert!(
            answer.header("content-type").starts_with("text/plain") || !text.contains("<script>alert"),
            "{text}"
        );
        assert!(
            answer.header("content-type").starts_with("text/plain") || !text.contains("<img src=x"),
            "{text}"
        );
        found += usize::from(text.contains("script&gt;") || text.contains("script&#62;"));
    }
    assert!(found >= 8, "it was shown on {found} pages only");
}

/// Keeps what is logged while it is listened to.
struct Log;

static LISTENS: AtomicBool = AtomicBool::new(false);
static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if LISTENS.load(Ordering::SeqCst) {
            LOGGED.lock().unwrap().extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Signing in, an authenticator, a ceremony and a card, with every level of the log on.
#[tokio::test]
async fn no_secret_is_logged_at_any_level() {
    let all = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false);
    all.with_writer(|| Log).init();
    LISTENS.store(true, Ordering::SeqCst);
    let mut config = world::config();
    config.sign_in.second_factor = Some(SecondFactorConfig::Required);
    let app = world::with_keys();
    let one = Client::with(config, app.clone());
    let plain = Client::new(app);
    let mut secrets: Vec<String> = vec![world::PASSWORD.to_owned(), "Wrong-Guess-9".to_owned()];

    let mut enrolling = one.another();
    enrolling.try_sign_in("keys1", "Wrong-Guess-9", "/").await;
    let answer = enrolling.try_sign_in("keys1", world::PASSWORD, "/").await;
    secrets.push(enrolling.cookie("ykt_half").unwrap().to_owned());
    let page = enrolling.get(answer.location()).await;
    let secret =
        page.text().split("class=\"mono secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let (csrf, code) = (page.field("csrf"), code(&secret, 0));
    let entered = enrolling.post("/sign-in/enrol", &[("csrf", &csrf), ("code", &code), ("back", "/")]).await;
    assert_eq!(entered.status, StatusCode::SEE_OTHER, "{}", entered.text());
    secrets.extend([csrf, secret.replace(' ', ""), secret]);
    secrets.push(enrolling.cookie("ykt_session").unwrap().to_owned());

    let mut keys = of(&plain, "keys1").await;
    let begun = act(&mut keys, "/new-ceremony", "/new-ceremony", &ceremony("Room 7")).await;
    let held = begun.location().to_owned();
    let mut first = of(&plain, "custodian1").await;
    for typed in [&TYPED[..31], TYPED] {
        act(&mut first, &held, &format!("{held}/give"), &[("component", typed)]).await;
    }
    let mut second = of(&plain, "custodian2").await;
    act(&mut second, &held, &format!("{held}/draw"), &[]).await;
    let sheet = act(&mut second, &held, &format!("{held}/sheet"), &[]).await.text();
    let groups: Vec<&str> = sheet.split(['<', '>']).filter(|text| is_group(text)).collect();
    assert!(groups.len() >= 10, "the component's groups stand on the sheet: {groups:?}");
    // Four groups and a check value make a line. Half a component in one piece may be the id of another test's request.
    secrets.push([&groups[..4], &groups[5..9]].concat().concat());
    secrets.push(groups[..4].join(" "));
    let finished = act(&mut keys, &held, &format!("{held}/finish"), &[]).await;
    assert_eq!(finished.status, StatusCode::SEE_OTHER, "{}", finished.text());
    let mut operator = of(&plain, "operator").await;
    let card = world::card(1).to_string();
    assert_eq!(operator.get(&format!("/cards/{card}")).await.status, StatusCode::OK);
    operator.get(&format!("/search?q={card}")).await;
    secrets.extend([TYPED.to_owned(), TYPED[..16].to_owned(), card]);

    LISTENS.store(false, Ordering::SeqCst);
    let log = String::from_utf8_lossy(&LOGGED.lock().unwrap()).into_owned();
    assert!(log.contains("/ceremonies/{number}/{act}") && log.contains("signed in"), "something is logged");
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} stands in the log");
    }
}

/// Four hex digits, as a sheet groups them.
fn is_group(text: &str) -> bool {
    text.len() == 4 && text.bytes().all(|sign| matches!(sign, b'0'..=b'9' | b'A'..=b'F'))
}
