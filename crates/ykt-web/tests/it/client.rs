//! A browser without a window: follows nothing by itself, keeps its cookies.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use std::collections::BTreeMap;
use tower::ServiceExt;

pub struct Client {
    router: Router,
    cookies: BTreeMap<String, String>,
    pub headers: Vec<(&'static str, String)>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn location(&self) -> &str {
        self.header("location")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The value of a form's hidden field.
    pub fn field(&self, name: &str) -> String {
        let text = self.text();
        let start =
            text.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name} in {text}"));
        text[start..].split('"').nth(3).unwrap().to_owned()
    }
}

impl Client {
    pub fn new(app: ykt_web::App) -> Client {
        Client::with(crate::world::config(), app)
    }

    pub fn with(config: ykt_web::Config, app: ykt_web::App) -> Client {
        Client::of(ykt_web::router(config, app).unwrap())
    }

    pub fn of(router: Router) -> Client {
        Client { router, cookies: BTreeMap::new(), headers: Vec::new() }
    }

    /// Another browser at the same server.
    pub fn another(&self) -> Client {
        Client::of(self.router.clone())
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    pub async fn send(&mut self, method: Method, uri: &str, kind: &str, body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, kind);
        let cookies: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(ConnectInfo(crate::world::FROM));
        let response = self.router.clone().oneshot(request).await.unwrap();
        for line in response.headers().get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub async fn get(&mut self, uri: &str) -> Answer {
        self.send(Method::GET, uri, "text/plain", String::new()).await
    }

    pub async fn post(&mut self, uri: &str, fields: &[(&str, &str)]) -> Answer {
        let body = ykt_web::view::url::with_query("", fields.iter().copied());
        let body = body.trim_start_matches('?').to_owned();
        self.send(Method::POST, uri, "application/x-www-form-urlencoded", body).await
    }

    /// Fills in the sign-in form.
    pub async fn try_sign_in(&mut self, name: &str, password: &str, back: &str) -> Answer {
        let form = self.get(&ykt_web::view::url::with_query("/sign-in", [("back", back)])).await;
        let (csrf, back) = (form.field("csrf"), form.field("back"));
        self.post("/sign-in", &[("csrf", &csrf), ("name", name), ("password", password), ("back", &back)])
            .await
    }

    pub async fn sign_in(&mut self, name: &str) {
        let answer = self.try_sign_in(name, crate::world::PASSWORD, "/").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    }
}
