//! The load API over HTTP, as a blocking client for terminals.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST {url}/api/v1/loads` | [`wire::PayBody`]: `order_id card amount_fen channel` | [`wire::OrderAnswer`]: `order_id state` |
//! | `POST …/loads/{id}/initialize` | [`wire::OfferBody`]: `terminal balance_fen counter key_version algorithm random mac1` | [`wire::CreditAnswer`]: `at mac2` |
//! | `POST …/loads/{id}/confirm` | [`wire::ConfirmBody`]: `tac` | [`wire::OrderAnswer`] |
//! | `POST …/loads/{id}/resume` | [`wire::OfferBody`] | [`wire::ResumeAnswer`]: `next` = `credit` (`at mac2`), `prove` (`counter`) or `closed` (`state`) |
//! | `POST …/loads/{id}/give-back` | `{}` | [`wire::OrderAnswer`] |
//!
//! A status of 400 or above carries [`wire::ErrorAnswer`]: `code message`. The terminal's token goes in
//! `Authorization: Bearer …`. Every request is safe to repeat.

use crate::host::{
    CardOffer, Credit, HostError, LoadHost, OrderId, OrderState, PayRequest, Resumption, wire,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use ykt_base::Mac4;

/// Wait for one answer, connecting included.
const ANSWER_S_MAX: u64 = 15;
/// Longest answer that is read.
const ANSWER_LEN_MAX: u64 = 64 * 1024;
/// Characters of a wrong answer that an error shows.
const SHOWN_LEN_MAX: usize = 120;

/// A load host at an address.
pub struct HttpHost {
    agent: ureq::Agent,
    url: String,
    authorization: Option<String>,
}

/// Why an address is none of a load host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{url}` is no address of a load host: expected http://HOST:PORT; for https put a TLS proxy in front"
)]
pub struct UrlError {
    /// The text.
    pub url: String,
}

impl HttpHost {
    /// A host at `url` (`http://HOST:PORT`), asked with the terminal's `token` where it has one.
    ///
    /// # Errors
    /// [`UrlError`] when the address does not begin with `http://` and a host.
    pub fn new(url: &str, token: Option<&str>) -> Result<HttpHost, UrlError> {
        let host = url.strip_prefix("http://").unwrap_or_default();
        if host.trim_matches('/').is_empty() {
            return Err(UrlError { url: url.to_owned() });
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(ANSWER_S_MAX)))
            .http_status_as_error(false)
            .build();
        Ok(HttpHost {
            agent: config.into(),
            url: url.trim_end_matches('/').to_owned(),
            authorization: token.map(|token| format!("Bearer {token}")),
        })
    }

    fn post<A: DeserializeOwned>(
        &self,
        order: &OrderId,
        action: &str,
        body: &impl Serialize,
    ) -> Result<A, HostError> {
        let no_answer =
            |why: String| HostError::NoAnswer { host: self.url.clone(), order: order.clone(), why };
        let body = serde_json::to_vec(body).map_err(|error| no_answer(error.to_string()))?;
        let mut request = self
            .agent
            .post(format!("{}/api/v1/loads{action}", self.url))
            .header("content-type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let mut answer = request.send(body.as_slice()).map_err(|error| no_answer(error.to_string()))?;
        let status = answer.status();
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_LEN_MAX)
            .read_to_string()
            .map_err(|error| no_answer(error.to_string()))?;
        let bad = |expected| HostError::BadAnswer {
            host: self.url.clone(),
            order: order.clone(),
            expected,
            found: format!("status {} with {}", status.as_u16(), shown(&text)),
        };
        if status.is_success() {
            return serde_json::from_str(&text).map_err(|_| bad("the JSON body of this answer"));
        }
        match serde_json::from_str(&text) {
            // An overloaded host or a proxy in between has decided nothing about the order.
            Ok(wire::ErrorAnswer { message, .. }) if status.is_server_error() => Err(no_answer(message)),
            Ok(wire::ErrorAnswer { code, message }) => {
                Err(HostError::Refused { order: order.clone(), code, message })
            }
            Err(_) => Err(bad("a JSON body with code and message")),
        }
    }

    fn state(&self, order: &OrderId, action: &str, body: &impl Serialize) -> Result<OrderState, HostError> {
        let answer: wire::OrderAnswer = self.post(order, action, body)?;
        answer.state().map_err(|error| self.bad_field(order, &error))
    }

    fn bad_field(&self, order: &OrderId, error: &wire::FieldError) -> HostError {
        HostError::BadAnswer {
            host: self.url.clone(),
            order: order.clone(),
            expected: "fields as the load API writes them",
            found: error.to_string(),
        }
    }
}

fn shown(text: &str) -> String {
    let start: String = text.chars().take(SHOWN_LEN_MAX).collect();
    format!("`{}`", start.escape_debug())
}

impl LoadHost for HttpHost {
    fn pay(&mut self, request: &PayRequest) -> Result<OrderState, HostError> {
        self.state(&request.order, "", &wire::PayBody::from(request))
    }

    fn initialize(&mut self, order: &OrderId, offer: &CardOffer) -> Result<Credit, HostError> {
        let answer: wire::CreditAnswer =
            self.post(order, &format!("/{order}/initialize"), &wire::OfferBody::from(offer))?;
        Credit::try_from(&answer).map_err(|error| self.bad_field(order, &error))
    }

    fn confirm(&mut self, order: &OrderId, tac: Mac4) -> Result<OrderState, HostError> {
        self.state(order, &format!("/{order}/confirm"), &wire::ConfirmBody { tac: tac.to_string() })
    }

    fn resume(&mut self, order: &OrderId, offer: &CardOffer) -> Result<Resumption, HostError> {
        let answer: wire::ResumeAnswer =
            self.post(order, &format!("/{order}/resume"), &wire::OfferBody::from(offer))?;
        Resumption::try_from(answer).map_err(|error| self.bad_field(order, &error))
    }

    fn give_back(&mut self, order: &OrderId) -> Result<OrderState, HostError> {
        self.state(order, &format!("/{order}/give-back"), &wire::GiveBackBody {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use ykt_base::{Asn8, Fen};

    /// Answers the given requests one after another, and gives back what was asked.
    fn host(answers: &'static [(u16, &'static str)]) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let serve = |(status, body): &(u16, &str)| {
                let (line, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(line);
                let mut asked = String::new();
                let mut len = 0;
                loop {
                    let mut header = String::new();
                    reader.read_line(&mut header).unwrap();
                    if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                        len = value.trim().parse().unwrap();
                    }
                    if header.trim().is_empty() {
                        break;
                    }
                    asked.push_str(&header);
                }
                let mut sent = vec![0; len];
                reader.read_exact(&mut sent).unwrap();
                asked.push_str(&String::from_utf8(sent).unwrap());
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let mut line = reader.into_inner();
                line.write_all(head.as_bytes()).unwrap();
                line.write_all(body.as_bytes()).unwrap();
                asked
            };
            answers.iter().map(serve).collect()
        });
        (url, thread)
    }

    fn order() -> OrderId {
        "L-1".parse().unwrap()
    }

    #[test]
    fn asks_as_the_api_says_and_reads_its_answers() {
        let (url, thread) = host(&[
            (200, r#"{"order_id":"L-1","state":"paid"}"#),
            (200, r#"{"order_id":"L-1","state":"done"}"#),
            (409, r#"{"code":"tac-wrong","message":"the TAC is wrong"}"#),
            (503, r#"{"code":"busy","message":"come back later"}"#),
            (200, "<html>"),
            (200, r#"{"order_id":"L-1","state":"lost"}"#),
        ]);
        let mut host = HttpHost::new(&format!("{url}/"), Some("secret")).unwrap();
        let pay = PayRequest {
            order: order(),
            card: Asn8([0x21, 0x44, 0, 0, 0, 0, 0, 0x17]),
            amount: Fen::new(5_000),
            channel: "CASH".into(),
        };
        assert_eq!(host.pay(&pay), Ok(OrderState::Paid));
        let tac = Mac4([1, 2, 3, 4]);
        assert_eq!(host.confirm(&order(), tac), Ok(OrderState::Done));
        assert!(
            matches!(host.confirm(&order(), tac), Err(HostError::Refused { code, .. }) if code == "tac-wrong")
        );
        assert!(matches!(host.give_back(&order()), Err(HostError::NoAnswer { .. })));
        assert!(matches!(host.give_back(&order()), Err(HostError::BadAnswer { .. })));
        assert!(matches!(host.give_back(&order()), Err(HostError::BadAnswer { .. })));
        let asked = thread.join().unwrap();
        assert!(asked[0].starts_with("POST /api/v1/loads HTTP/1.1"), "{}", asked[0]);
        assert!(asked[0].contains("Bearer secret"));
        assert!(
            asked[0].ends_with(
                r#"{"order_id":"L-1","card":"2144000000000017","amount_fen":5000,"channel":"CASH"}"#
            )
        );
        assert!(asked[1].starts_with("POST /api/v1/loads/L-1/confirm "));
        assert!(asked[1].ends_with(r#"{"tac":"01020304"}"#));
    }

    #[test]
    fn no_host_and_no_address() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut host = HttpHost::new(&format!("http://{closed}"), None).unwrap();
        assert!(matches!(host.give_back(&order()), Err(HostError::NoAnswer { .. })));
        for bad in ["https://host", "host:8080", "http://", ""] {
            assert!(HttpHost::new(bad, None).is_err(), "{bad}");
        }
    }
}
