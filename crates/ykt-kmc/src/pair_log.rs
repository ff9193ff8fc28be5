//! What happens to primary and backup vault (主备加密机), written into the audit log; and who acts, kept for the next start.
//!
//! A pair tells its log from whatever thread put the question that found out, and that thread may be in the middle of a
//! transaction. So a thread of the log's own writes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;
use ykt_base::Clock;
use ykt_office::Act;
use ykt_office::audit::{self, Outcome};
use ykt_store::Store;
use ykt_vault::Pair;
use ykt_vault::pair::{CHECK_INTERVAL_S, PairEvent, PairSink, Side};

/// Most events that wait to be written.
const EVENTS_MAX: usize = 1_024;
/// The file of the data directory that names who acts.
const FILE: &str = "vault.acting";

/// The data directory does not say who acts.
#[derive(Debug, Error)]
pub enum ActingError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It names nobody.
    #[error("{path}: expected `primary` or `backup`, found {found:?}", path = path.display())]
    Name {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
}

/// Who acted last in this data directory; the primary when nobody ever switched.
///
/// # Errors
/// [`ActingError`]
pub fn acting(data: &Path) -> Result<Side, ActingError> {
    let path = data.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Side::Primary),
        Err(source) => return Err(ActingError::File { path, source }),
    };
    Side::from_name(text.trim()).ok_or(ActingError::Name { path, found: text })
}

/// The clock by which events are dated.
pub type SharedClock = Arc<dyn Clock + Send + Sync>;

/// Writes events of a pair.
pub struct PairLog {
    events: Option<SyncSender<PairEvent>>,
    writer: Option<JoinHandle<()>>,
}

impl PairLog {
    /// A log in the audit log of this store; `data` is the directory that remembers who acts.
    #[must_use]
    pub fn new(store: Store, data: &Path, clock: SharedClock) -> PairLog {
        let (events, received) = sync_channel(EVENTS_MAX);
        let pages = Pages { store, file: data.join(FILE), clock };
        let writer = std::thread::spawn(move || pages.write(&received));
        PairLog { events: Some(events), writer: Some(writer) }
    }
}

impl PairSink for PairLog {
    fn happened(&self, event: &PairEvent) {
        tracing::warn!(%event, "vault pair");
        if self.events.as_ref().is_none_or(|events| events.try_send(event.clone()).is_err()) {
            tracing::error!(%event, "the audit log does not take it");
        }
    }
}

/// What was told is written before the program ends.
impl Drop for PairLog {
    fn drop(&mut self) {
        self.events = None;
        if let Some(writer) = self.writer.take() {
            // A writer that broke down has said so.
            let _broken = writer.join();
        }
    }
}

struct Pages {
    store: Store,
    file: PathBuf,
    clock: SharedClock,
}

impl Pages {
    fn write(&self, events: &Receiver<PairEvent>) {
        for event in events {
            if let PairEvent::Switched { to, .. } = &event
                && let Err(error) = self.remember(*to)
            {
                tracing::error!(%error, file = %self.file.display(), "it does not say who acts");
            }
            if let Err(error) = self.append(&event) {
                tracing::error!(%event, %error, "the audit log does not take it");
            }
        }
    }

    fn append(&self, event: &PairEvent) -> Result<u64, ykt_store::StoreError> {
        let (what, outcome, side) = match event {
            PairEvent::Switched { to, .. } => ("vault/switch", Outcome::Done, to),
            PairEvent::Failed { side, .. } => ("vault/failure", Outcome::Refused, side),
            PairEvent::Back { side } => ("vault/return", Outcome::Done, side),
            PairEvent::OutOfStep { side, .. } => ("vault/out of step", Outcome::Refused, side),
        };
        let act = Act::of_system("vault pair", self.clock.now());
        let object = format!("{side} vault");
        self.store.write(|tx| audit::append(tx, &act, what, &object, outcome, &event.to_string()))
    }

    fn remember(&self, side: Side) -> io::Result<()> {
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{side}\n"))?;
        fs::rename(&new, &self.file)
    }
}

/// Looks after the health of a pair: now, and every [`CHECK_INTERVAL_S`] for as long as somebody holds it. The first look
/// is the caller's own: a short command that ends while another thread holds the pair would end before its log is written.
pub fn watch(pair: &Arc<Pair>, clock: SharedClock) {
    pair.check(clock.now());
    let pair = Arc::downgrade(pair);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(CHECK_INTERVAL_S));
            let Some(pair) = Weak::upgrade(&pair) else { break };
            pair.check(clock.now());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use ykt_base::DateTime;
    use ykt_office::audit::AuditFilter;
    use ykt_store::Paging;
    use ykt_vault::pair::Reason;

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> DateTime {
            DateTime::from_number(20_261_122_120_000).unwrap()
        }
    }

    #[test]
    fn every_event_is_in_the_audit_log_and_the_last_switch_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &[ykt_office::MODULE]).unwrap();
        assert_eq!(acting(folder.path()).unwrap(), Side::Primary);
        let log = PairLog::new(store.clone(), folder.path(), Arc::new(Noon));
        let (from, to) = (Side::Primary, Side::Backup);
        let reason = || "unplugged".to_owned();
        for event in [
            PairEvent::Failed { side: from, reason: reason() },
            PairEvent::Switched { from, to, reason: Reason::Failure(reason()) },
            PairEvent::OutOfStep { side: from, what: reason() },
            PairEvent::Back { side: from },
        ] {
            log.happened(&event);
        }
        drop(log);
        assert_eq!(acting(folder.path()).unwrap(), Side::Backup);
        let rows = store.read(|tx| audit::list(tx, &AuditFilter::default(), Paging::first(9))).unwrap().rows;
        let mut said: Vec<_> =
            rows.iter().map(|row| (row.seq, row.what.as_str(), row.object.as_str())).collect();
        said.sort_unstable();
        let expected = [
            (1, "vault/failure", "primary vault"),
            (2, "vault/switch", "backup vault"),
            (3, "vault/out of step", "primary vault"),
            (4, "vault/return", "primary vault"),
        ];
        assert_eq!(said, expected);
        assert!(rows.iter().any(|row| row.detail.contains("in place of the primary: unplugged")));
        fs::write(folder.path().join(FILE), "both").unwrap();
        assert!(acting(folder.path()).is_err_and(|error| error.to_string().contains("both")));
    }
}
