//! The side that asks: a vault like any other, whose keys are elsewhere.
//!
//! A line that breaks makes the vault [`VaultError::Unavailable`] at once; the next call opens a new one. An order is
//! numbered: when its answer was lost and the caller gives the same order again, it goes out under the same number, and
//! the other side repeats what it answered instead of doing it twice.

use super::UNANSWERED_MAX;
use super::endpoint::{Endpoint, RemoteError};
use super::line::{Lines, Lost};
use crate::error::VaultError;
use crate::kind::{KeyState, Origin};
use crate::levels::Levels;
use crate::manage::{ImportedKey, KeyManagement, KeyPlace, WrappedKey};
use crate::value::KeyAlgorithm;
use crate::vault::{
    Health, KeyAddress, KeyInfo, KeyRef, LoadSession, MacVerdict, PresetJob, SecureMessage, TacJob,
    TacVerdict, Vault, VaultStatus, WriteKeyJob,
};
use crate::wire::{Answer, Frame, JOBS_PER_MESSAGE_MAX, MESSAGE_LEN_MAX, Message, Order, OrderId, Question};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use ykt_base::{DateTime, Mac4, Rng};
use ykt_crypto::chain::{self, Hash32};
use ykt_crypto::sm::CommandBytes;
use ykt_purse::PurseFen;
use ykt_purse::load::Load;

/// What a vault in another process is called.
const BACKEND: &str = "remote";

/// A vault in another process.
pub struct RemoteVault {
    endpoint: String,
    lines: Lines,
    last_status: Mutex<Option<VaultStatus>>,
    orders: Mutex<Orders>,
}

/// How orders are numbered.
#[derive(Default)]
struct Orders {
    /// The name the other side gave.
    sender: Option<[u8; 16]>,
    last_number: u64,
    /// Orders that got no answer: digest and number.
    unanswered: VecDeque<(Hash32, OrderId)>,
}

impl RemoteVault {
    /// The vault at this endpoint. Nothing is sent yet: a vault that is down when a server starts is
    /// [`Health::Gone`], no error.
    ///
    /// # Errors
    /// [`RemoteError`] when certificates or keys cannot be used.
    pub fn connect(endpoint: &Endpoint) -> Result<RemoteVault, RemoteError> {
        Ok(RemoteVault {
            endpoint: endpoint.to_string(),
            lines: Lines::to(endpoint)?,
            last_status: Mutex::default(),
            orders: Mutex::default(),
        })
    }

    fn ask(&self, question: Question<'_>) -> Result<Answer, VaultError> {
        self.send(&Message::Ask(question)).map_err(|reason| self.unavailable(reason))
    }

    /// Sends a message; on a second line when the first may have been an old one that the other side gave up.
    fn send(&self, message: &Message<'_>) -> Result<Answer, String> {
        let frame = Frame::of(message);
        if !frame.fits(MESSAGE_LEN_MAX) {
            return Ok(Answer::NotUnderstood(format!("a message has at most {MESSAGE_LEN_MAX} bytes")));
        }
        match self.lines.exchange(&frame) {
            Err(Lost { may_be_stale: true, .. }) => self.lines.exchange(&frame).map_err(|lost| lost.reason),
            exchanged => exchanged.map_err(|lost| lost.reason),
        }
    }

    fn order(&self, order: Order) -> Result<Answer, VaultError> {
        let digest = chain::sm3(&[Frame::of(&order).as_bytes()]);
        let id = self.number(digest)?;
        let answer = self.send(&Message::Manage(id, order));
        if answer.is_ok() {
            self.numbering().unanswered.retain(|(unanswered, _)| *unanswered != digest);
        }
        answer.map_err(|reason| self.unavailable(reason))
    }

    /// The number of an order: the one it had when it got no answer, or the next.
    fn number(&self, digest: Hash32) -> Result<OrderId, VaultError> {
        let known = self.numbering().sender;
        let begun = match known {
            Some(sender) => sender,
            None => match self.send(&Message::Begin).map_err(|reason| self.unavailable(reason))? {
                Answer::Begun(sender) => sender,
                other => return Err(self.unexpected(other)),
            },
        };
        let mut orders = self.numbering();
        if let Some((_, id)) = orders.unanswered.iter().find(|(unanswered, _)| *unanswered == digest) {
            return Ok(*id);
        }
        let sender = *orders.sender.get_or_insert(begun);
        orders.last_number = orders.last_number.saturating_add(1);
        let id = OrderId { sender, number: orders.last_number };
        if orders.unanswered.len() >= UNANSWERED_MAX {
            orders.unanswered.pop_front();
        }
        orders.unanswered.push_back((digest, id));
        Ok(id)
    }

    fn numbering(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unavailable(&self, reason: String) -> VaultError {
        VaultError::Unavailable { backend: format!("{BACKEND} ({})", self.endpoint), reason }
    }

    /// An answer that belongs to no such question: the vault's refusal, or a peer that does not speak our language.
    fn unexpected(&self, answer: Answer) -> VaultError {
        match answer {
            Answer::Refused(why) => why,
            Answer::NotUnderstood(why) => self.unavailable(format!("the question was not understood: {why}")),
            _ => self.unavailable("the answer belongs to another question".to_owned()),
        }
    }
}

/// The answer a question has, or why it has none.
macro_rules! answered {
    ($vault:ident, $answer:expr, $expected:ident) => {
        match $answer? {
            Answer::$expected(value) => Ok(value),
            other => Err($vault.unexpected(other)),
        }
    };
}

impl Vault for RemoteVault {
    fn status(&self) -> VaultStatus {
        let asked = self.ask(Question::Status);
        let mut last = self.last_status.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = match asked {
            Ok(Answer::Status(status)) => {
                let version = format!("{} {} at {}", status.backend, status.version, self.endpoint);
                let status = VaultStatus { backend: BACKEND, version, ..status };
                *last = Some(status.clone());
                return status;
            }
            Ok(other) => self.unexpected(other).to_string(),
            Err(error) => error.to_string(),
        };
        let health = Health::Gone { reason };
        match &*last {
            Some(status) => VaultStatus { health, ..status.clone() },
            // Never reached: nobody may take its keys for a city's.
            None => VaultStatus {
                backend: BACKEND,
                version: format!("unknown at {}", self.endpoint),
                origin: Origin::Demo,
                levels: Levels::nation_city_card(),
                keys: 0,
                health,
            },
        }
    }

    fn capabilities(&self) -> Vec<KeyAlgorithm> {
        match self.ask(Question::Capabilities) {
            Ok(Answer::Capabilities(algorithms)) => algorithms,
            _ => Vec::new(),
        }
    }

    fn list(&self) -> Result<Vec<KeyInfo>, VaultError> {
        answered!(self, self.ask(Question::List), List)
    }

    fn kcv(&self, key: &KeyAddress) -> Result<[u8; 3], VaultError> {
        answered!(self, self.ask(Question::Kcv(*key)), Kcv)
    }

    fn write_key(&self, job: &WriteKeyJob<'_>) -> Result<CommandBytes, VaultError> {
        answered!(self, self.ask(Question::from(job)), Command)
    }

    fn preset(&self, job: &PresetJob) -> Result<CommandBytes, VaultError> {
        answered!(self, self.ask(Question::Preset(*job)), Command)
    }

    fn external_authenticate(&self, key: &KeyAddress, challenge: [u8; 8]) -> Result<[u8; 8], VaultError> {
        answered!(self, self.ask(Question::ExternalAuthenticate { key: *key, challenge }), Block)
    }

    fn sm_mac(&self, key: &KeyAddress, iv: [u8; 8], parts: &[&[u8]]) -> Result<Mac4, VaultError> {
        answered!(self, self.ask(Question::SmMac { key: *key, iv, data: Cow::Owned(parts.concat()) }), Mac)
    }

    fn secure_message(&self, message: &SecureMessage<'_>) -> Result<CommandBytes, VaultError> {
        answered!(self, self.ask(Question::from(message)), Command)
    }

    fn check_load_mac1(
        &self,
        session: &LoadSession,
        load: &Load,
        balance: PurseFen,
        mac1: &Mac4,
    ) -> Result<MacVerdict, VaultError> {
        let (session, load, mac1) = (*session, *load, *mac1);
        answered!(self, self.ask(Question::CheckLoadMac1 { session, load, balance, mac1 }), Verdict)
    }

    fn load_mac2(&self, session: &LoadSession, load: &Load, at: DateTime) -> Result<Mac4, VaultError> {
        answered!(self, self.ask(Question::LoadMac2 { session: *session, load: *load, at }), Mac)
    }

    fn verify_tacs(&self, jobs: &[TacJob]) -> Result<Vec<TacVerdict>, VaultError> {
        let mut verdicts = Vec::with_capacity(jobs.len());
        for jobs in jobs.chunks(JOBS_PER_MESSAGE_MAX) {
            let judged: Vec<TacVerdict> =
                answered!(self, self.ask(Question::VerifyTacs(Cow::Borrowed(jobs))), Verdicts)?;
            if judged.len() != jobs.len() {
                return Err(self.unavailable(format!("{} verdicts over {} TACs", judged.len(), jobs.len())));
            }
            verdicts.extend(judged);
        }
        Ok(verdicts)
    }
}

impl KeyManagement for RemoteVault {
    /// Made with the random numbers of the vault's own side: those of this one stay here.
    fn generate(
        &self,
        place: KeyPlace,
        algorithm: KeyAlgorithm,
        _: &mut dyn Rng,
    ) -> Result<KeyInfo, VaultError> {
        answered!(self, self.order(Order::Generate { place, algorithm }), Key)
    }

    fn import(&self, key: ImportedKey) -> Result<KeyInfo, VaultError> {
        answered!(self, self.order(Order::Import(key)), Key)
    }

    fn derive_root(&self, seed: KeyRef, key: KeyRef) -> Result<KeyInfo, VaultError> {
        answered!(self, self.order(Order::DeriveRoot { seed, key }), Key)
    }

    fn change_state(&self, place: &KeyPlace, to: KeyState) -> Result<(), VaultError> {
        match self.order(Order::ChangeState { place: *place, to })? {
            Answer::Done => Ok(()),
            other => Err(self.unexpected(other)),
        }
    }

    fn wrap(&self, place: &KeyPlace, transport: KeyRef) -> Result<WrappedKey, VaultError> {
        answered!(self, self.ask(Question::Wrap { place: *place, transport }), Wrapped)
    }

    fn import_wrapped(&self, wrapped: &WrappedKey, transport: KeyRef) -> Result<KeyInfo, VaultError> {
        answered!(self, self.order(Order::ImportWrapped { wrapped: wrapped.clone(), transport }), Key)
    }

    /// One order, so that the other side does all or none of it.
    fn import_all_wrapped(
        &self,
        wrapped: &[&WrappedKey],
        transport: KeyRef,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<KeyInfo>, (usize, VaultError)> {
        let wrapped: Vec<WrappedKey> = wrapped.iter().copied().cloned().collect();
        let total = wrapped.len();
        match self.order(Order::ImportAllWrapped { wrapped, transport }) {
            Ok(Answer::List(taken)) if taken.len() == total => {
                progress(total, total);
                Ok(taken)
            }
            Ok(Answer::RefusedAt(at, why)) => Err((usize::try_from(at).unwrap_or(usize::MAX), why)),
            Ok(other) => Err((0, self.unexpected(other))),
            Err(error) => Err((0, error)),
        }
    }
}
