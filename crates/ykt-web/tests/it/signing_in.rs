//! Nobody gets in who should not, and what a browser is told keeps it safe.

use crate::client::Client;
use crate::world;
use axum::http::{Method, StatusCode};

#[tokio::test]
async fn without_a_session_every_page_leads_to_the_sign_in_and_back() {
    let mut client = Client::new(world::full());
    for path in [
        "/cards",
        "/cards.csv",
        "/cards.xlsx",
        "/audit",
        "/system",
        "/account",
        "/entries/a/b",
        "/no-such-page",
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert!(answer.location().starts_with("/sign-in?back=%2F"), "{path}: {}", answer.location());
    }
    let answer = client.get("/cards?state=lost").await;
    assert_eq!(answer.location(), "/sign-in?back=%2Fcards%3Fstate%3Dlost");
    let signed_in = client.try_sign_in("operator", world::PASSWORD, "/cards?state=lost").await;
    assert_eq!((signed_in.status, signed_in.location()), (StatusCode::SEE_OTHER, "/cards?state=lost"));
    assert_eq!(client.get("/cards?state=lost").await.status, StatusCode::OK);
    let elsewhere = client.another().try_sign_in("operator", world::PASSWORD, "//evil.example").await;
    assert_eq!(elsewhere.location(), "/");
}

#[tokio::test]
async fn the_answer_does_not_tell_which_names_exist() {
    let mut client = Client::new(world::full());
    let unknown = client.try_sign_in("nobody", "wrong", "/").await;
    let wrong = client.try_sign_in("operator", "wrong", "/").await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    let told = |answer: &crate::client::Answer, name: &str| {
        let text = answer.text().replace(&answer.field("csrf"), "");
        text.replace(name, "")
    };
    assert_eq!(told(&unknown, "nobody"), told(&wrong, "operator"));
    assert!(wrong.text().contains("The name or the password is wrong."));
}

#[tokio::test]
async fn cookies_are_bound_to_this_site_and_hidden_from_scripts() {
    let mut client = Client::new(world::full());
    let answer = client.try_sign_in("operator", world::PASSWORD, "/").await;
    let lines: Vec<&str> =
        answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    let session = lines.iter().find(|line| line.starts_with("ykt_session=")).unwrap();
    assert!(session.contains("; HttpOnly") && session.contains("; SameSite=Strict"), "{session}");
    assert!(!session.contains("Secure"), "plain HTTP on this machine only");
    let mut config = world::config();
    config.server.listen = "0.0.0.0:8080".parse().unwrap();
    config.server.allow_plain_http = true;
    let mut client = Client::with(config, world::full());
    let answer = client.try_sign_in("operator", world::PASSWORD, "/").await;
    let line = answer.headers.get_all("set-cookie").iter().next().unwrap().to_str().unwrap();
    assert!(line.starts_with("__Host-ykt_session=") && line.contains("; Secure"), "{line}");
}

#[tokio::test]
async fn every_answer_binds_the_browser_and_carries_an_id() {
    let mut client = Client::new(world::full());
    client.sign_in("operator").await;
    for path in ["/cards", "/sign-in", "/no-such-page", "/assets/app.css", "/healthz"] {
        let answer = client.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("x-request-id").len(), 16);
        let text = answer.text();
        assert!(
            !text.contains(" style=\"") && !text.contains("<style") && !text.contains("onclick"),
            "{path}"
        );
    }
    assert_eq!(client.get("/cards").await.header("cache-control"), "no-store");
    assert!(client.get("/assets/app.css").await.header("cache-control").contains("immutable"));
}

#[tokio::test]
async fn a_form_without_its_token_does_nothing() {
    let mut client = Client::new(world::full());
    let answer =
        client.post("/sign-in", &[("csrf", ""), ("name", "operator"), ("password", world::PASSWORD)]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    client.sign_in("operator").await;
    for csrf in ["", "0", &"0".repeat(64)] {
        let answer = client.post("/sign-out", &[("csrf", csrf)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        let fields =
            [("csrf", csrf), ("old", world::PASSWORD), ("new", "Another-1x"), ("again", "Another-1x")];
        assert_eq!(client.post("/account", &fields).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(client.get("/cards").await.status, StatusCode::OK, "still signed in, password unchanged");
    let mut other = client.another();
    other.sign_in("finance").await;
    let foreign = other.get("/account").await.field("csrf");
    assert_eq!(client.post("/sign-out", &[("csrf", &foreign)]).await.status, StatusCode::FORBIDDEN);
    let own = client.get("/account").await.field("csrf");
    let answer = client.post("/sign-out", &[("csrf", &own)]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/sign-in"));
    assert_eq!(client.get("/cards").await.status, StatusCode::SEE_OTHER);
}

/// Time stands still: a slow machine gives nobody more attempts.
#[tokio::test(start_paused = true)]
async fn guessing_gets_slow() {
    let mut client = Client::new(world::full());
    let mut statuses = Vec::new();
    for name in 0..12 {
        statuses.push(client.try_sign_in(&format!("guess{name}"), "wrong", "/").await.status);
    }
    assert_eq!(statuses.iter().filter(|s| **s == StatusCode::UNPROCESSABLE_ENTITY).count(), 10);
    assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS));
    let answer = client.try_sign_in("operator", world::PASSWORD, "/").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!answer.header("retry-after").is_empty());
}

#[tokio::test]
async fn a_password_is_changed_with_its_rules_told() {
    let mut client = Client::new(world::full());
    client.sign_in("reader").await;
    let csrf = client.get("/account").await.field("csrf");
    for (old, new, again, words) in [
        ("wrong", "Another-1x", "Another-1x", "The present password is wrong."),
        (world::PASSWORD, "Another-1x", "Another-1y", "The two new passwords differ."),
        (world::PASSWORD, "short", "short", "at least 8 characters, found 5"),
        (world::PASSWORD, "another-1x", "another-1x", "needs upper case"),
        (world::PASSWORD, world::PASSWORD, world::PASSWORD, "one of your last ones"),
    ] {
        let fields = [("csrf", csrf.as_str()), ("old", old), ("new", new), ("again", again)];
        let answer = client.post("/account", &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text().contains(words), "{words}");
    }
    let fields =
        [("csrf", csrf.as_str()), ("old", world::PASSWORD), ("new", "Another-1x"), ("again", "Another-1x")];
    let answer = client.post("/account", &fields).await;
    assert!(answer.text().contains("Your password is changed"), "{}", answer.text());
    let mut again = client.another();
    assert_eq!(again.try_sign_in("reader", "Another-1x", "/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn roles_open_their_own_doors_only() {
    let mut first = Client::new(world::full());
    for (name, path, status) in [
        ("operator", "/cards", StatusCode::OK),
        ("operator", "/audit", StatusCode::FORBIDDEN),
        ("operator", "/users", StatusCode::FORBIDDEN),
        ("auditor", "/audit", StatusCode::OK),
        ("security", "/cards", StatusCode::FORBIDDEN),
        ("security", "/cards.csv", StatusCode::FORBIDDEN),
        ("security", "/users", StatusCode::OK),
    ] {
        let mut client = first.another();
        if first.cookie("ykt_session").is_none() {
            first.sign_in("finance").await;
        }
        client.sign_in(name).await;
        assert_eq!(client.get(path).await.status, status, "{name} {path}");
    }
}

#[tokio::test]
async fn whole_card_numbers_are_for_those_who_work_with_cards() {
    let client = Client::new(world::full());
    let number = world::card(1).to_string();
    for (name, sees) in [("operator", true), ("finance", true), ("auditor", false), ("reader", false)] {
        let mut client = client.another();
        client.sign_in(name).await;
        for path in ["/cards", "/cards.csv"] {
            let text = client.get(path).await.text();
            assert_eq!(text.contains(&number), sees, "{name} {path}");
            assert_eq!(text.contains("************0001"), !sees, "{name} {path}");
        }
    }
}

#[tokio::test]
async fn language_and_theme_are_asked_for_once() {
    let mut client = Client::new(world::full());
    client.sign_in("operator").await;
    assert!(client.get("/cards").await.text().contains("<html lang=\"en\" data-theme=\"auto\">"));
    assert!(client.get("/cards?lang=zh&theme=dark").await.text().contains("<h1>卡片</h1>"));
    let text = client.get("/cards").await.text();
    assert!(text.contains("<html lang=\"zh-CN\" data-theme=\"dark\">"), "remembered");
    client.set_cookie("ykt_lang", "xx");
    client.headers.push(("accept-language", "zh-CN,zh;q=0.9".to_owned()));
    assert!(client.get("/cards").await.text().contains("<html lang=\"zh-CN\""));
}

#[tokio::test]
async fn a_wrong_address_says_what_was_expected() {
    let mut client = Client::new(world::full());
    client.sign_in("operator").await;
    let answer = client.get("/cards?state=red").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text().contains("state: expected one of not-enabled, normal"), "{}", answer.text());
    assert_eq!(client.get("/nowhere").await.status, StatusCode::NOT_FOUND);
    let answer = client.send(Method::DELETE, "/cards", "text/plain", String::new()).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}
