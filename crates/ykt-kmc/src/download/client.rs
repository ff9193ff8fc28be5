//! The line's end of the service: HTTP/1.1 over TLS with a client certificate, on one connection that stays open.
//!
//! Every call may be repeated: opening has its operation id, commands change nothing, an ending again is answered alike.
//! So a connection that broke is made anew and the call sent once more, and nobody has to ask whether it had arrived.

use super::abreast::Round;
use super::wire::{
    AnswersBody, ApplicationAnswer, BatchAnswer, BegunAnswer, CampaignAnswer, CommandAnswer, CommandBody,
    CommandsAnswer, CommandsBody, EndingBody, FinishAnswer, FinishBody, OpenAnswer, OpenBody, ProblemAnswer,
    VisitAnswer, VisitBody,
};
use super::{CommandCall, Ending, OpenCall};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use ykt_base::Response;
use ykt_crypto::sm::CommandBytes;
use ykt_issue::{DownloadError, KeyDownload, StepRequest};

/// How long the centre may take for an answer, in seconds.
const ANSWER_WITHIN_S: u64 = 60;
/// Longest answer that is read, in bytes.
const ANSWER_LEN_MAX: usize = 8 * 1024 * 1024;
/// Longest head of an answer, in lines.
const HEAD_LINES_MAX: usize = 100;

/// Why a line gets no answer it can use.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A certificate or key cannot be read or used.
    #[error("{what} {}: {why}", path.display())]
    Certificate {
        /// Which.
        what: &'static str,
        /// Its file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The address is none.
    #[error("expected HOST:PORT, found `{found}`")]
    Address {
        /// The text.
        found: String,
    },
    /// The centre cannot be reached, or broke off.
    #[error("the centre at {address}: {source}; check address and certificates, then run the line again")]
    Wire {
        /// Where.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The centre refused the call.
    #[error("the centre refused ({code}): {message}")]
    Refused {
        /// Stable code.
        code: String,
        /// In words.
        message: String,
    },
    /// The answer makes no sense.
    #[error("the centre answered {what}")]
    Answer {
        /// What came.
        what: String,
    },
}

/// Files that a line shows and checks with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The authority of the centre's certificate, PEM.
    pub ca: PathBuf,
    /// The line's own certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// A connection to the centre.
pub struct Client {
    address: String,
    host: ServerName<'static>,
    config: Arc<ClientConfig>,
    stream: Option<BufReader<StreamOwned<ClientConnection, TcpStream>>>,
}

/// The certificates of a PEM file.
///
/// # Errors
/// [`ClientError::Certificate`].
pub fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let fault = |why: String| ClientError::Certificate { what, path: path.to_owned(), why };
    let chain = CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|error| fault(error.to_string()))?;
    if chain.is_empty() {
        Err(fault("expected a certificate in PEM, found none".to_owned()))
    } else {
        Ok(chain)
    }
}

impl Client {
    /// A client of the centre at `address`, `HOST:PORT` or `https://HOST:PORT`. It connects with its first call.
    ///
    /// # Errors
    /// [`ClientError::Certificate`], [`ClientError::Address`].
    pub fn new(address: &str, identity: &Identity) -> Result<Client, ClientError> {
        let bad = || ClientError::Address { found: address.to_owned() };
        let address = address.strip_prefix("https://").unwrap_or(address).trim_end_matches('/');
        let (host, _) = address.rsplit_once(':').ok_or_else(bad)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let host = ServerName::try_from(host).map_err(|_| bad())?;
        let Identity { ca, certificate, key } = identity;
        let mut roots = RootCertStore::empty();
        for root in certificates("authority", ca)? {
            let fault = |error: rustls::Error| unusable("authority", ca, &error);
            roots.add(root).map_err(fault)?;
        }
        let chain = certificates("certificate", certificate)?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("key", key, &error))?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("TLS", ca, &error))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, private)
            .map_err(|error| unusable("certificate", certificate, &error))?;
        Ok(Client { address: address.to_owned(), host, config: Arc::new(config), stream: None })
    }

    /// The applications of the centre.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn applications(&mut self) -> Result<Vec<ApplicationAnswer>, ClientError> {
        self.get("applications")
    }

    /// Opens cards.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn open(&mut self, call: &OpenCall) -> Result<OpenAnswer, ClientError> {
        self.post("cards", &OpenBody::of(call))
    }

    /// The commands of one round, in their order.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn commands(&mut self, calls: &[CommandCall<'_>]) -> Result<Round, ClientError> {
        let commands = calls.iter().map(|call| CommandBody::of(call.card, &call.request)).collect();
        let answer: CommandsAnswer = self.post("commands", &CommandsBody { commands })?;
        Ok(answer.commands.into_iter().map(ready).collect())
    }

    /// Notes how cards ended; the codes of those that were not noted come back.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn finish(&mut self, endings: &[(u32, Ending)]) -> Result<Vec<Option<String>>, ClientError> {
        let cards = endings.iter().map(|(card, ending)| match ending {
            Ending::Made => EndingBody { card: *card, failed: None },
            Ending::Failed(reason) => EndingBody { card: *card, failed: Some(reason.clone()) },
        });
        let answer: FinishAnswer = self.post("finish", &FinishBody { cards: cards.collect() })?;
        Ok(answer.cards.into_iter().map(|refused| refused.map(|refused| refused.code)).collect())
    }

    /// Begins the visit of the card that was just reset.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn begin_visit(&mut self, visit: &str, campaign: &str) -> Result<VisitAnswer, ClientError> {
        let (visit, campaign) = (visit.to_owned(), campaign.to_owned());
        self.post("visits", &VisitBody { visit, campaign })
    }

    /// Goes on with a visit by what the card answered to the commands of `step`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn answer_visit(
        &mut self,
        visit: &str,
        step: u32,
        answers: &[Response],
    ) -> Result<VisitAnswer, ClientError> {
        self.post(&format!("visits/{visit}"), &AnswersBody::of(step, answers))
    }

    /// How far a campaign is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn campaign(&mut self, name: &str) -> Result<CampaignAnswer, ClientError> {
        self.get(&format!("campaigns/{name}"))
    }

    /// Brings the file of a batch.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn upload(&mut self, batch: &str, application: &str, csv: &str) -> Result<BatchAnswer, ClientError> {
        let path = format!("batches/{batch}?application={application}");
        self.ask("POST", &path, "text/csv", csv.as_bytes())
    }

    /// How far a batch is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn progress(&mut self, batch: &str) -> Result<BatchAnswer, ClientError> {
        self.get(&format!("batches/{batch}"))
    }

    /// The cards of a batch that this line began and that failed, page by page from 1.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn failed(&mut self, batch: &str, page: u32) -> Result<BegunAnswer, ClientError> {
        self.get(&format!("batches/{batch}/cards?state=failed&page={page}"))
    }

    /// The way to the centre for one open card.
    pub const fn card(&mut self, card: u32) -> RemoteCard<'_> {
        RemoteCard { client: self, card }
    }

    fn get<A: DeserializeOwned>(&mut self, path: &str) -> Result<A, ClientError> {
        self.ask("GET", path, "application/json", &[])
    }

    fn post<A: DeserializeOwned>(&mut self, path: &str, body: &impl Serialize) -> Result<A, ClientError> {
        let body =
            serde_json::to_vec(body).map_err(|error| ClientError::Answer { what: error.to_string() })?;
        self.ask("POST", path, "application/json", &body)
    }

    fn ask<A: DeserializeOwned>(
        &mut self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<A, ClientError> {
        let mut request = format!(
            "{method} /download/v1/{path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        let was_open = self.stream.is_some();
        let mut answer = self.exchange(&request);
        if answer.is_err() && was_open {
            answer = self.exchange(&request);
        }
        let (status, body) =
            answer.map_err(|source| ClientError::Wire { address: self.address.clone(), source })?;
        if status == 200 {
            return serde_json::from_slice(&body)
                .map_err(|error| ClientError::Answer { what: format!("no JSON of this form: {error}") });
        }
        match serde_json::from_slice::<ProblemAnswer>(&body) {
            Ok(ProblemAnswer { code, message }) => Err(ClientError::Refused { code, message }),
            Err(_) => Err(ClientError::Answer { what: format!("status {status}") }),
        }
    }

    /// Sends a request and reads its answer; a connection that failed is closed.
    fn exchange(&mut self, request: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        stream.get_mut().write_all(request)?;
        stream.get_mut().flush()?;
        let answer = read_answer(&mut stream)?;
        self.stream = Some(stream);
        Ok(answer)
    }

    fn connect(&self) -> std::io::Result<BufReader<StreamOwned<ClientConnection, TcpStream>>> {
        let socket = TcpStream::connect(&self.address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(ANSWER_WITHIN_S)))?;
        let connection = ClientConnection::new(Arc::clone(&self.config), self.host.clone());
        let connection = connection.map_err(std::io::Error::other)?;
        Ok(BufReader::new(StreamOwned::new(connection, socket)))
    }
}

fn unusable(what: &'static str, path: &Path, error: &dyn std::error::Error) -> ClientError {
    ClientError::Certificate { what, path: path.to_owned(), why: error.to_string() }
}

/// The command of an answer.
fn ready(answer: CommandAnswer) -> Result<CommandBytes, DownloadError> {
    match answer {
        CommandAnswer::Ready { command } => {
            let bytes = super::counter::bytes(&command);
            bytes.ok_or_else(|| DownloadError::NoAnswer("a command that is no hex".to_owned()))
        }
        CommandAnswer::Refused(refused) => {
            Err(DownloadError::Refused { code: refused.code, message: refused.message })
        }
    }
}

/// Status and body of an answer whose length its head states.
fn read_answer(stream: &mut impl BufRead) -> std::io::Result<(u16, Vec<u8>)> {
    let bad = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
    let mut line = String::new();
    let mut status = None;
    let mut len = None;
    for at in 0..HEAD_LINES_MAX {
        line.clear();
        if stream.by_ref().take(8 * 1024).read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let text = line.trim_end();
        if at == 0 {
            let code = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
            status = Some(code.ok_or_else(|| bad("no HTTP/1.1 answer"))?);
        } else if text.is_empty() {
            let len = len
                .filter(|len| *len <= ANSWER_LEN_MAX)
                .ok_or_else(|| bad("an answer without its length"))?;
            let mut body = vec![0; len];
            stream.read_exact(&mut body)?;
            return status.map(|status| (status, body)).ok_or_else(|| bad("no status"));
        } else if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            len = value.trim().parse::<usize>().ok();
        }
    }
    Err(bad("an endless head"))
}

/// The way to the centre for one open card.
pub struct RemoteCard<'a> {
    client: &'a mut Client,
    card: u32,
}

impl KeyDownload for RemoteCard<'_> {
    fn command(&mut self, request: &StepRequest<'_>) -> Result<CommandBytes, DownloadError> {
        let calls = [CommandCall { card: self.card, request: *request }];
        match self.client.commands(&calls) {
            Ok(round) => round
                .into_iter()
                .next()
                .unwrap_or_else(|| Err(DownloadError::NoAnswer("fewer commands than asked for".to_owned()))),
            Err(ClientError::Refused { code, message }) => Err(DownloadError::Refused { code, message }),
            Err(error) => Err(DownloadError::NoAnswer(error.to_string())),
        }
    }
}
