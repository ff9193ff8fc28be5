//! Files in: what a partner puts into its folder is accepted, refused as repeated, or refused as broken
//! (`clearing.md` 2.5), and then put away.
//!
//! One transaction takes the file into the log with all its records, or none of them; the move follows. A
//! program killed between the two finds the file in the log but not put away, and finishes at the next start.
//!
//! Check 4 has nothing to do here: files of family A carry neither checksum nor signature. Of check 5 the sum
//! belongs to family D; of check 7 compressed files do.

use crate::clearing::Clearing;
use crate::day::Phase;
use crate::folders::{FolderError, Tray};
use crate::policy::Policy;
use crate::purchase::{FileId, RecordId};
use crate::store::{files, records};
use records::NewRecord;
use ykt_base::{Date, DateTime, Fen, MerchantCode};
use ykt_crypto::chain::{Hash32, sm3};
use ykt_files::{
    FileError, FileKind, FileName, FixedFile, FixedRecord, Industry, NameError, RawXf, XfRecord,
};
use ykt_office::merchants::{self, Contract};
use ykt_store::{StoreError, Tx};

ykt_store::coded! {
    /// What became of a file.
    FileState {
        /// Its records are in; it belongs in `history`.
        Accepted = 1, "accepted";
        /// It came before, by name or by content; it belongs in `repeat`.
        Repeated = 2, "repeated";
        /// It is broken; nothing of it was taken, and it belongs in `error`.
        Broken = 3, "broken";
    }
}

impl FileState {
    /// The folder a file in this state belongs in.
    #[must_use]
    pub const fn tray(self) -> Tray {
        match self {
            FileState::Accepted => Tray::History,
            FileState::Repeated => Tray::Repeat,
            FileState::Broken => Tray::Error,
        }
    }
}

/// A file of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedFile {
    /// Number.
    pub id: FileId,
    /// Whose folder it came in.
    pub merchant: MerchantCode,
    /// Its name.
    pub name: String,
    /// SM3 of its content.
    pub hash: Hash32,
    /// What became of it.
    pub state: FileState,
    /// Clearing day it was received for.
    pub day: Date,
    /// When.
    pub received_at: DateTime,
    /// Day its name states; `None` when the name could not be read.
    pub file_day: Option<Date>,
    /// Sequence number its name states.
    pub sequence: Option<u32>,
    /// Records in it, illegal ones too; none when it was not accepted.
    pub records: u32,
    /// Sum of their amounts.
    pub amount: Fen,
    /// Why it was not accepted, or what is odd about its sequence; empty when nothing is.
    pub reason: String,
    /// Whether it has left the folder `upload`.
    pub is_away: bool,
}

/// Why a file is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenFile {
    /// Check 1: the folder's owner is no merchant of ours.
    #[error("merchant {merchant} is not registered: register it, then send the file again")]
    PartnerUnknown {
        /// The folder's owner.
        merchant: MerchantCode,
    },
    /// Check 1: the merchant has no contract on the clearing day, and had none on the days before it of which
    /// records are accepted.
    #[error(
        "merchant {merchant} has no contract in force from {from} to {to}: agree one, then send the file again"
    )]
    NoContract {
        /// The merchant.
        merchant: MerchantCode,
        /// Oldest day a record may be of.
        from: Date,
        /// The clearing day.
        to: Date,
    },
    /// Check 2: the name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Check 2: another kind of file.
    #[error("file name, kind: expected XF, found {}", found.letters())]
    Kind {
        /// Kind the name states.
        found: FileKind,
    },
    /// Check 2: the day of the name is out of the window.
    #[error("file name, date: expected {from} to {to}, found {found}")]
    Window {
        /// First day that is taken.
        from: Date,
        /// Last day that is taken.
        to: Date,
        /// Day of the name.
        found: Date,
    },
    /// Check 2: another merchant's name on the file.
    #[error("file name, merchant: expected {expected}, the owner of the folder, found {found}")]
    Owner {
        /// The folder's owner.
        expected: MerchantCode,
        /// Merchant of the name.
        found: MerchantCode,
    },
    /// The header states another industry than the name.
    #[error("line 1, industry: expected {expected} as in the file name, found {found}")]
    Industry {
        /// Industry of the name.
        expected: Industry,
        /// Industry of the header.
        found: Industry,
    },
    /// Checks 5 and 7: header, lines, count, characters; or a record of another merchant.
    #[error(transparent)]
    Content(#[from] FileError),
}

/// What is odd about a file's sequence number; it is accepted all the same (check 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SequenceAlarm {
    /// `SEQ_GAP`: numbers before it are missing; the day is incomplete.
    #[error("SEQ_GAP: {first} to {last} missing")]
    Gap {
        /// First missing number.
        first: u32,
        /// Last missing number.
        last: u32,
    },
    /// `SEQ_BACK`: a higher one came before.
    #[error("SEQ_BACK: {last} came before")]
    Back {
        /// Highest number that came.
        last: u32,
    },
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Its records are in.
    Accepted {
        /// Its number.
        file: FileId,
        /// Records, illegal ones too.
        records: u32,
        /// Sum of their amounts.
        amount: Fen,
        /// What is odd about its sequence.
        alarm: Option<SequenceAlarm>,
    },
    /// It came before.
    Repeated {
        /// The file that came before.
        first: FileId,
        /// Whether the name is the same; otherwise the content is.
        by: Repeat,
    },
    /// It is broken; nothing of it was taken.
    Broken(BrokenFile),
}

/// By what a file is known to have come before (check 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// By its name.
    Name,
    /// By the SM3 of its content.
    Content,
}

/// Records of one clearing day, all files together: a day is judged in memory, some 250 bytes a record.
pub const DAY_RECORDS_MAX: u32 = 5_000_000;

/// A file could not be received; it waits where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// The clearing day takes no more files.
    #[error("clearing day {day} is {phase}: receive the file for a later day")]
    DayClosed {
        /// The day.
        day: Date,
        /// How far its close has come.
        phase: Phase,
    },
    /// The day has as many records as it can take.
    #[error(
        "clearing day {day} has {records} records, at most {DAY_RECORDS_MAX} are judged in one day: \
         receive the file for the next day"
    )]
    DayFull {
        /// The day.
        day: Date,
        /// Records it has.
        records: u32,
    },
    /// A number does not fit.
    #[error("the file log is full: no number is left for another file or line")]
    Full,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folders failed.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// A file as far as it can be read without the tables.
struct Content {
    name: FileName,
    records: u32,
    amount: Fen,
    legal: Vec<(XfRecord, u32)>,
    illegal: Vec<(u32, RawXf, FileError)>,
}

impl Clearing {
    /// Receives a file that waits in the partner's `upload`, for clearing day `day`, and puts it away.
    ///
    /// # Errors
    /// [`ReceiveError`]; the file then waits where it is. What is wrong with the file itself is no error but an
    /// answer.
    pub fn receive(
        &self,
        partner: &MerchantCode,
        name: &str,
        bytes: &[u8],
        now: DateTime,
        day: Date,
    ) -> Result<Received, ReceiveError> {
        let hash = sm3(&[bytes]);
        let content = self.read(partner, name, bytes, now);
        let (id, state, received) = self.store().write(|tx| -> Result<_, ReceiveError> {
            let phase = files::phase(tx, day)?;
            if phase != Phase::Open || files::last_begun(tx)?.is_some_and(|begun| day < begun) {
                return Err(ReceiveError::DayClosed { day, phase: phase.max(Phase::Judging) });
            }
            let mut file = LoggedFile {
                id: files::next_file_id(tx)?,
                merchant: *partner,
                name: name.to_owned(),
                hash,
                state: FileState::Broken,
                day,
                received_at: now,
                file_day: None,
                sequence: None,
                records: 0,
                amount: Fen::ZERO,
                reason: String::new(),
                is_away: false,
            };
            let received = take(tx, self.policy(), &mut file, content, bytes)?;
            files::insert_file(tx, &file)?;
            Ok((file.id, file.state, received))
        })?;
        self.put_away(partner, name, id, state)?;
        Ok(received)
    }

    /// Finishes what a killed program left: moves files that are in the log but still in `upload`. Call it once
    /// at the start, before anything is received.
    ///
    /// # Errors
    /// [`ReceiveError`].
    pub fn sweep(&self) -> Result<u32, ReceiveError> {
        let under_way = self.store().read(files::files_under_way)?;
        let mut moved = 0u32;
        for file in under_way {
            let waiting = self.folders().read_upload(&file.merchant, &file.name)?;
            // A file of the same name with other content is a new one: it is received in its turn.
            if waiting.is_some_and(|bytes| sm3(&[&bytes]) == file.hash) {
                self.put_away(&file.merchant, &file.name, file.id, file.state)?;
                moved = moved.saturating_add(1);
            } else {
                self.store().write(|tx| files::mark_away(tx, file.id))?;
            }
        }
        Ok(moved)
    }

    /// Receives every file that waits, by partner and name.
    ///
    /// # Errors
    /// [`ReceiveError`] at the first file that cannot be received; what was received before stays.
    pub fn receive_all(
        &self,
        now: DateTime,
        day: Date,
    ) -> Result<Vec<(MerchantCode, String, Received)>, ReceiveError> {
        let mut all = Vec::new();
        for upload in self.folders().uploads()? {
            if let Some(bytes) = self.folders().read_upload(&upload.partner, &upload.name)? {
                let received = self.receive(&upload.partner, &upload.name, &bytes, now, day)?;
                all.push((upload.partner, upload.name, received));
            }
        }
        Ok(all)
    }

    fn put_away(
        &self,
        partner: &MerchantCode,
        name: &str,
        id: FileId,
        state: FileState,
    ) -> Result<(), ReceiveError> {
        self.folders().put_away(partner, name, state.tray())?;
        Ok(self.store().write(|tx| files::mark_away(tx, id))?)
    }

    /// Checks 2, 5 and 7, and every line.
    fn read(
        &self,
        partner: &MerchantCode,
        name: &str,
        bytes: &[u8],
        now: DateTime,
    ) -> Result<Content, BrokenFile> {
        let layout = self.policy().name_layout(partner);
        let name = FileName::parse(name, layout)?;
        if name.kind != FileKind::Xf {
            return Err(BrokenFile::Kind { found: name.kind });
        }
        if name.merchant != *partner {
            return Err(BrokenFile::Owner { expected: *partner, found: name.merchant });
        }
        let today = now.date;
        let from = days_before(today, self.policy().file_age_days_max);
        let to = today.plus_days(self.policy().file_ahead_days_max.into()).unwrap_or(today);
        if name.date < from || to < name.date {
            return Err(BrokenFile::Window { from, to, found: name.date });
        }
        let file = FixedFile::<XfRecord>::open(bytes, layout)?;
        if file.industry() != name.industry {
            return Err(BrokenFile::Industry { expected: name.industry, found: file.industry() });
        }
        let mut content = Content {
            name,
            records: file.count(),
            amount: Fen::ZERO,
            legal: Vec::new(),
            illegal: Vec::new(),
        };
        content.legal.reserve(usize::try_from(file.count()).unwrap_or(0));
        for (line, text) in file.lines() {
            if text.get(8..23) != Some(partner.as_str().as_bytes()) {
                return Err(BrokenFile::Content(FileError {
                    line,
                    field: "2 merchant code",
                    expected: format!("{partner}, the owner of the folder"),
                    found: text.get(8..23).unwrap_or_default().escape_ascii().to_string(),
                }));
            }
            let amount = match XfRecord::parse(line, text, layout) {
                Ok(record) => {
                    content.legal.push((record, line));
                    record.amount
                }
                Err(error) => {
                    let raw = RawXf::parse(line, text, layout)?;
                    content.illegal.push((line, raw, error));
                    raw.amount().unwrap_or_default()
                }
            };
            // 99,999,999 records of 99,999,999 fen fit 64 bits.
            content.amount = Fen::new(content.amount.fen().saturating_add(amount.fen()));
        }
        Ok(content)
    }
}

/// The day `days` before `day`; `day` itself where the calendar begins.
fn days_before(day: Date, days: u16) -> Date {
    day.plus_days(i64::from(days).saturating_neg()).unwrap_or(day)
}

/// Checks 1, 3 and 6 against the tables; an accepted file's records go in.
fn take(
    tx: &Tx<'_>,
    policy: &Policy,
    file: &mut LoggedFile,
    content: Result<Content, BrokenFile>,
    bytes: &[u8],
) -> Result<Received, ReceiveError> {
    let broken = |file: &mut LoggedFile, why: BrokenFile| {
        file.reason = why.to_string();
        Ok(Received::Broken(why))
    };
    let Some(partner) = merchants::merchant(tx, &file.merchant)? else {
        return broken(file, BrokenFile::PartnerUnknown { merchant: file.merchant });
    };
    let (from, to) = (days_before(file.day, policy.record_age_days_max), file.day);
    let in_force =
        |contract: &Contract| contract.from <= to && contract.until.is_none_or(|until| from <= until);
    if !partner.contracts.iter().any(in_force) {
        return broken(file, BrokenFile::NoContract { merchant: file.merchant, from, to });
    }
    let by_name = files::accepted_by_name(tx, &file.merchant, &file.name)?.map(|first| (first, Repeat::Name));
    let first = match by_name {
        Some(first) => Some(first),
        None => files::accepted_by_content(tx, &file.hash)?.map(|first| (first, Repeat::Content)),
    };
    if let Some((first, by)) = first {
        file.state = FileState::Repeated;
        file.reason = match by {
            Repeat::Name => format!("a file of this name came at {} as file {}", first.received_at, first.id),
            Repeat::Content => {
                format!("the content came at {} as file {} ({})", first.received_at, first.id, first.name)
            }
        };
        return Ok(Received::Repeated { first: first.id, by });
    }
    let content = match content {
        Ok(content) => content,
        Err(why) => return broken(file, why),
    };
    let records = files::records_of_day(tx, file.day)?;
    if records.saturating_add(content.records) > DAY_RECORDS_MAX {
        return Err(ReceiveError::DayFull { day: file.day, records });
    }
    file.state = FileState::Accepted;
    file.file_day = Some(content.name.date);
    file.sequence = Some(content.name.sequence);
    file.records = content.records;
    file.amount = content.amount;
    let last = files::last_sequence(tx, &file.merchant, content.name.date)?.unwrap_or(0);
    let next = last.saturating_add(1);
    let alarm = match content.name.sequence {
        sequence if sequence > next => {
            Some(SequenceAlarm::Gap { first: next, last: sequence.saturating_sub(1) })
        }
        sequence if sequence < next => Some(SequenceAlarm::Back { last }),
        _ => None,
    };
    file.reason = alarm.map(|alarm| alarm.to_string()).unwrap_or_default();
    insert_records(tx, file.id, &content, bytes)?;
    Ok(Received::Accepted { file: file.id, records: content.records, amount: content.amount, alarm })
}

/// Records that are made ready before they are handed to the tables, to bound memory.
const CHUNK_LEN: usize = 10_000;

fn insert_records(tx: &Tx<'_>, file: FileId, content: &Content, bytes: &[u8]) -> Result<(), ReceiveError> {
    let mut rows: Vec<NewRecord> = Vec::with_capacity(CHUNK_LEN.min(content.legal.len()));
    for chunk in content.legal.chunks(CHUNK_LEN) {
        rows.clear();
        for (record, line) in chunk {
            let id = RecordId::new(file, *line).ok_or(ReceiveError::Full)?;
            rows.push(NewRecord::of(id, record, line_of(bytes, *line)));
        }
        records::insert(tx, &rows)?;
    }
    for (line, raw, error) in &content.illegal {
        let id = RecordId::new(file, *line).ok_or(ReceiveError::Full)?;
        records::insert_illegal(tx, id, raw, error)?;
    }
    Ok(())
}

/// Line `line` (from 1; the header is line 1) of a file whose envelope is right.
fn line_of(bytes: &[u8], line: u32) -> &[u8] {
    let header = ykt_files::HEADER_LEN.saturating_add(ykt_files::LINE_END.len());
    let stride = XfRecord::LINE_LEN.saturating_add(ykt_files::LINE_END.len());
    let index = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(2);
    let from = index.saturating_mul(stride).saturating_add(header);
    bytes.get(from..from.saturating_add(XfRecord::LINE_LEN)).unwrap_or_default()
}
