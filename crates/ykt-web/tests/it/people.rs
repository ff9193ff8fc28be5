//! Keeping users at the console, the second factor, and the audit log that sees it all.

use crate::client::{Answer, Client};
use crate::world;
use axum::http::StatusCode;
use totp_rs::{Builder, Secret};
use ykt_base::Clock;
use ykt_web::config::SecondFactorConfig;

const FIRST: &str = "Green-Door-17";

fn with_second_factor() -> Client {
    let mut config = world::config();
    config.sign_in.second_factor = Some(SecondFactorConfig::Required);
    Client::with(config, world::full())
}

/// The code that an authenticator shows `steps` after now.
pub fn code(secret: &str, steps: u64) -> String {
    let seconds = world::Fixed(world::at(20, 30)).now().second_number() - 8 * 3_600;
    let secret = Secret::try_from_base32(secret.replace(' ', "")).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    totp.generate(u64::try_from(seconds).unwrap() + 30 * steps).to_string()
}

async fn act(client: &mut Client, page: &str, to: &str, fields: &[(&str, &str)]) -> Answer {
    let csrf = client.get(page).await.field("csrf");
    let fields: Vec<(&str, &str)> =
        [("csrf", csrf.as_str())].into_iter().chain(fields.iter().copied()).collect();
    client.post(to, &fields).await
}

#[tokio::test]
async fn a_security_officer_adds_a_user_and_the_next_page_says_so() {
    let mut security = Client::new(world::full());
    security.sign_in("security").await;
    assert!(security.get("/users").await.text().contains("href=\"/new-user\""));
    let new = [
        ("name", "zhao"),
        ("full-name", "赵一鸣"),
        ("role", "key_administrator"),
        ("staff-number", "s-77"),
        ("password", FIRST),
    ];
    let answer = act(&mut security, "/new-user", "/new-user", &new).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/users/zhao"));
    let page = security.get("/users/zhao").await.text();
    assert!(page.contains("User zhao is added") && page.contains("S-77"), "{page}");
    assert!(!security.get("/users/zhao").await.text().contains("User zhao is added"), "said once");
    let mut zhao = security.another();
    let entered = zhao.try_sign_in("zhao", FIRST, "/").await;
    assert_eq!(entered.location(), "/account", "the first password must be changed");
}

#[tokio::test]
async fn what_is_wrong_with_a_new_user_stands_beside_the_field() {
    let mut security = Client::new(world::full());
    security.sign_in("security").await;
    let good = [
        ("name", "zhao"),
        ("full-name", "赵一鸣"),
        ("role", "operator"),
        ("staff-number", "S-77"),
        ("password", FIRST),
    ];
    for (field, value, words) in [
        ("name", "Zhao Yiming", "2 to 32 signs of a-z"),
        ("name", "operator", "This name is taken"),
        ("full-name", " ", "This must be filled in."),
        ("role", "cook", "This must be filled in."),
        ("staff-number", "no 1", "1 to 20 letters, digits or hyphens"),
        ("staff-number", "", "the staff number must be given"),
        ("staff-number", "auditor", "is that of auditor (Auditor): one person cannot be Operator as well"),
        ("password", "short", "at least 8 characters, found 5"),
        ("password", "", "This must be filled in."),
    ] {
        let fields = good.map(|(name, old)| if name == field { (name, value) } else { (name, old) });
        let answer = act(&mut security, "/new-user", "/new-user", &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{field} {value}");
        let text = answer.text();
        let error = format!("id=\"new-user-{field}-error\" role=\"alert\">");
        let (_, said) = text.split_once(&error).unwrap_or_else(|| panic!("{field} {value}: {text}"));
        assert!(said.split("</p>").next().unwrap().contains(words), "{field} {value}: {said}");
        assert!(!text.contains(FIRST), "a secret is not filled in again");
        if field != "full-name" {
            assert!(text.contains("value=\"赵一鸣\""), "what was typed stays");
        }
    }
    assert_eq!(security.get("/users/zhao").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn acts_on_users_are_for_security_officers_with_a_form_of_their_own() {
    let client = Client::new(world::full());
    for name in ["operator", "auditor", "keys1", "custodian1"] {
        let mut other = client.another();
        other.sign_in(name).await;
        assert_eq!(other.get("/users/reader").await.status, StatusCode::FORBIDDEN, "{name}");
        let answer = act(&mut other, "/account", "/users/reader/disable", &[]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}");
    }
    let mut security = client.another();
    security.sign_in("security").await;
    let answer = security.post("/users/reader/disable", &[("csrf", "0")]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "no form of this session");
    let oneself = act(&mut security, "/users/security", "/users/security/disable", &[]).await;
    assert_eq!(oneself.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(oneself.text().contains("Nobody disables himself"));
    let mut reader = client.another();
    reader.sign_in("reader").await;
    let answer = act(&mut security, "/users/reader", "/users/reader/disable", &[]).await;
    assert_eq!(answer.location(), "/users/reader");
    assert_eq!(reader.get("/cards").await.status, StatusCode::SEE_OTHER, "the session ended at once");
    act(&mut security, "/users/reader", "/users/reader/enable", &[]).await;
    act(&mut security, "/users/reader", "/users/reader/reset-password", &[("password", FIRST)]).await;
    assert_eq!(reader.try_sign_in("reader", FIRST, "/").await.location(), "/account");
    let unknown = act(&mut security, "/users/reader", "/users/reader/promote", &[]).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let mut auditor = client.another();
    auditor.sign_in("auditor").await;
    let log = auditor.get("/audit.csv?object=reader&who=security").await.text();
    for what in ["user/disable", "user/enable", "user/reset password"] {
        assert!(log.contains(what), "{what}: {log}");
    }
}

#[tokio::test]
async fn an_administrator_enrols_an_authenticator_and_signs_in_by_its_codes() {
    let mut keys = with_second_factor();
    let answer = keys.try_sign_in("keys1", world::PASSWORD, "/system").await;
    assert_eq!(answer.location(), "/sign-in/enrol?back=%2Fsystem");
    assert_eq!(keys.get("/system").await.status, StatusCode::SEE_OTHER, "half a sign-in opens nothing");
    let first = keys.get(answer.location()).await;
    let shown = |answer: &Answer| {
        let text = answer.text();
        text.split("class=\"mono secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned()
    };
    let page = keys.get("/sign-in/enrol?back=%2Fsystem").await;
    assert!(page.text().contains("<svg class=\"qr\""));
    assert_ne!(shown(&first), shown(&page), "each secret is shown once");
    let (secret, csrf) = (shown(&page), page.field("csrf"));
    let wrong = keys.post("/sign-in/enrol", &[("csrf", &csrf), ("code", "000000")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("The code is wrong") && !wrong.text().contains(&secret));
    let now = code(&secret, 0);
    let fields = [("csrf", csrf.as_str()), ("code", now.as_str()), ("back", "/system")];
    assert_eq!(keys.post("/sign-in/enrol", &fields).await.location(), "/system");
    assert_eq!(keys.get("/system").await.status, StatusCode::OK);

    let mut again = keys.another();
    let answer = again.try_sign_in("keys1", world::PASSWORD, "/").await;
    assert_eq!(answer.location(), "/sign-in/code?back=%2F");
    let csrf = again.get("/sign-in/code").await.field("csrf");
    let used = again.post("/sign-in/code", &[("csrf", &csrf), ("code", &now)]).await;
    assert!(used.text().contains("This code was used already"));
    let unbound = again.post("/sign-in/code", &[("csrf", "0"), ("code", &code(&secret, 1))]).await;
    assert_eq!(unbound.status, StatusCode::FORBIDDEN);
    let entered = again.post("/sign-in/code", &[("csrf", &csrf), ("code", &code(&secret, 1))]).await;
    assert_eq!((entered.status, entered.location()), (StatusCode::SEE_OTHER, "/"));
    assert!(again.cookie("ykt_half").is_none() && again.cookie("ykt_session").is_some());

    let mut operator = keys.another();
    assert_eq!(
        operator.try_sign_in("operator", world::PASSWORD, "/").await.location(),
        "/",
        "no administrator"
    );
    for path in ["/sign-in/code", "/sign-in/enrol"] {
        assert_eq!(operator.get(path).await.location(), "/sign-in", "{path} belongs to half a sign-in");
    }
}

#[tokio::test]
async fn reading_the_audit_log_is_written_down() {
    let mut auditor = Client::new(world::full());
    auditor.sign_in("auditor").await;
    auditor.get("/audit?text=1700010100000001").await;
    auditor.get("/audit.csv").await;
    let log = auditor.get("/audit.csv?what=audit/").await.text();
    assert!(log.contains("audit/read") && log.contains("audit/export"), "{log}");
    assert!(log.contains("text=************0001"), "without the card number: {log}");
    let rows = log.lines().count() - 1;
    assert_eq!(rows, 3, "its own reading, too: {log}");
}

#[tokio::test]
async fn a_record_and_the_chain_have_their_pages() {
    let mut auditor = Client::new(world::full());
    auditor.sign_in("auditor").await;
    let page = auditor.get("/audit/1").await.text();
    assert!(page.contains("Audit record 1") && page.contains("Not signed yet"), "{page}");
    assert_eq!(auditor.get("/audit/999999").await.status, StatusCode::NOT_FOUND);
    assert_eq!(auditor.get("/audit/x").await.status, StatusCode::NOT_FOUND);
    let export = auditor.get("/audit.jsonl").await;
    let trust = ykt_office::audit::Trust::Named;
    assert!(ykt_office::audit::file::verify(export.body.as_slice(), trust).unwrap().is_whole());
    let mut security = auditor.another();
    security.sign_in("security").await;
    for path in ["/audit/1", "/audit-chain", "/audit.jsonl"] {
        assert_eq!(security.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

/// A look at the chain claims what was read: at first what came after the last checkpoint, or nothing when there is none;
/// all of it once somebody had it verified, and what was added since.
#[tokio::test]
async fn a_look_at_the_chain_claims_what_was_read() {
    let says = |page: String, words: &[&str]| {
        assert!(words.iter().all(|word| page.contains(word)), "{words:?} in {page}");
    };
    let mut auditor = Client::new(world::full());
    auditor.sign_in("auditor").await;
    let page = auditor.get("/audit-chain").await;
    says(page.text(), &["Not verified", "Nothing was verified since the server was started"]);
    let csrf = page.field("csrf");
    auditor.post("/audit-chain/verify", &[("csrf", &csrf)]).await;
    says(auditor.get("/audit-chain").await.text(), &["there were on 2026-11-22 20:30:00 were verified then"]);

    let app = world::with_keys();
    let mut auditor = Client::new(app.clone());
    auditor.sign_in("auditor").await;
    let csrf = auditor.get("/audit-chain").await.field("csrf");
    assert_eq!(auditor.post("/audit-chain", &[("csrf", &csrf)]).await.status, StatusCode::SEE_OTHER);
    let page = auditor.get("/audit-chain").await.text();
    says(page, &["Partly verified", "The signature of checkpoint 1 fits", "what lies before was not read"]);
    auditor.post("/audit-chain/verify", &[("csrf", &csrf)]).await;
    let page = auditor.get("/audit-chain").await.text();
    says(page, &["Records 1 to", "later ones since then up to now", "Checkpoints: 1"]);
    let log = auditor.get("/audit?text=audit%2Fverify").await.text();
    says(log, &["records are whole, last link"]);

    // A record behind the checkpoint is altered past the program: the next look tells which.
    let head = app.store.read(ykt_office::audit::head).unwrap().unwrap().seq;
    app.store
        .write(|tx| {
            tx.execute("DROP TRIGGER office_audit_stays", &[])?;
            tx.execute(
                "UPDATE office_audit SET who = 'nobody' WHERE seq = $1",
                &[i64::try_from(head).unwrap().into()],
            )
        })
        .unwrap();
    says(auditor.get("/audit-chain").await.text(), &["Altered", &format!("Record {head} is the first")]);
}
