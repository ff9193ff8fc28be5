//! An exported audit log: one JSON object a line, first the manifest, then the records in their order, then the
//! checkpoints. The file proves itself: [`verify`] needs nothing but the file, and the fingerprint of the house's key
//! from somewhere else.

use super::{AuditRow, ChainReport, Checkpoint, Fingerprint, Outcome, Trust, Verifier, store};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use thiserror::Error;
use ykt_base::DateTime;
use ykt_base::hex::{self, Hex};
use ykt_crypto::chain::Hash32;
use ykt_crypto::sm2::Signature;
use ykt_store::{StoreError, Tx};

/// What the first line says the file is.
const FORMAT: &str = "yikatong audit log 1";
/// Longest line of a file, in bytes.
const LINE_LEN_MAX: u64 = 64 * 1024;
/// An SM2 public key as other programs take it begins with this (SubjectPublicKeyInfo, DER); 04 || x || y follows.
const KEY_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x81,
    0x1C, 0xCF, 0x55, 0x01, 0x82, 0x2D, 0x03, 0x42, 0x00,
];

/// Why a log was not exported, or a file not read.
#[derive(Debug, Error)]
pub enum FileError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file could not be written or read.
    #[error("the exported log: {0}")]
    File(#[from] std::io::Error),
    /// A line is not what it should be.
    #[error("line {line} of the exported log: expected {expected}, found {found}")]
    Line {
        /// Its place, from 1.
        line: u64,
        /// What stands there.
        expected: &'static str,
        /// What was found.
        found: String,
    },
}

/// One line of the file.
#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    Manifest { format: String, exported_at: String, records: u64, checkpoints: u32, signers: Vec<String> },
    Record(RecordLine),
    Checkpoint(CheckpointLine),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordLine {
    seq: u64,
    at: String,
    who: String,
    from: String,
    what: String,
    object: String,
    outcome: String,
    detail: String,
    link: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointLine {
    no: u32,
    records: u64,
    at: String,
    link: String,
    /// What is signed, for other programs; ours makes it anew and compares.
    message: String,
    /// DER.
    public_key: String,
    /// DER.
    signature: String,
}

/// Writes the whole log with its checkpoints; how many records there are comes back.
///
/// # Errors
/// [`FileError`]; a file that broke off proves nothing and says so when it is verified.
pub fn write(tx: &Tx, now: DateTime, out: &mut dyn Write) -> Result<u64, FileError> {
    let checkpoints = store::checkpoints(tx)?;
    let records = store::head(tx)?.map_or(0, |head| head.seq);
    let mut signers: Vec<String> = Vec::new();
    for signer in checkpoints.iter().map(|checkpoint| checkpoint.fingerprint().to_string()) {
        if !signers.contains(&signer) {
            signers.push(signer);
        }
    }
    let manifest = Line::Manifest {
        format: FORMAT.to_owned(),
        exported_at: now.to_string(),
        records,
        checkpoints: u32::try_from(checkpoints.len()).unwrap_or(u32::MAX),
        signers,
    };
    put(out, &manifest)?;
    store::for_each_behind(tx, 0, |row| put(out, &Line::Record(record_line(row))))?;
    for checkpoint in &checkpoints {
        put(out, &Line::Checkpoint(checkpoint_line(checkpoint)))?;
    }
    out.flush()?;
    Ok(records)
}

fn put(out: &mut dyn Write, line: &Line) -> Result<(), FileError> {
    serde_json::to_writer(&mut *out, line).map_err(std::io::Error::from)?;
    Ok(out.write_all(b"\n")?)
}

fn record_line(row: AuditRow) -> RecordLine {
    RecordLine {
        seq: row.seq,
        at: row.at.to_string(),
        who: row.who,
        from: row.from,
        what: row.what,
        object: row.object,
        outcome: row.outcome.name().to_owned(),
        detail: row.detail,
        link: row.link.to_string(),
    }
}

fn checkpoint_line(checkpoint: &Checkpoint) -> CheckpointLine {
    CheckpointLine {
        no: checkpoint.no,
        records: checkpoint.records,
        at: checkpoint.at.to_string(),
        link: checkpoint.link.to_string(),
        message: checkpoint.message(),
        public_key: format!("{}{}", Hex(&KEY_HEAD), Hex(&checkpoint.public_key)),
        signature: Hex(checkpoint.signature.to_der().as_bytes()).to_string(),
    }
}

/// Verifies an exported log by nothing but itself. The manifest is a summary; what it says is held against the rest.
///
/// # Errors
/// [`FileError`] for a file that is none; what is wrong with the log in it is a report.
pub fn verify(file: impl BufRead, trust: Trust<'_>) -> Result<ChainReport, FileError> {
    let mut lines = Lines { file, line: 0 };
    let expected = "the manifest of an exported audit log";
    let Some(Line::Manifest { format, records, checkpoints, .. }) = lines.next(expected)? else {
        return Err(lines.bad(expected, "another line"));
    };
    if format != FORMAT {
        return Err(lines.bad(FORMAT, &format));
    }
    let (mut rows, mut signed) = (Vec::new(), Vec::new());
    while let Some(line) = lines.next("a record or a checkpoint")? {
        match line {
            Line::Record(record) if signed.is_empty() => rows.push(lines.record(record)?),
            Line::Checkpoint(checkpoint) => signed.push(lines.checkpoint(checkpoint)?),
            Line::Record(_) => return Err(lines.bad("a checkpoint", "a record behind the checkpoints")),
            Line::Manifest { .. } => return Err(lines.bad("a record or a checkpoint", "a second manifest")),
        }
    }
    let ends =
        (u64::try_from(rows.len()).unwrap_or(u64::MAX), u32::try_from(signed.len()).unwrap_or(u32::MAX));
    let mut verifier = Verifier::new(signed, trust);
    for row in &rows {
        if !verifier.take(row) {
            break;
        }
    }
    let report = verifier.report();
    Ok(match report {
        ChainReport::Whole { .. } if ends.0 < records => {
            ChainReport::Missing { seq: ends.0.saturating_add(1) }
        }
        ChainReport::Whole { .. } if ends.1 < checkpoints => {
            ChainReport::CheckpointMissing { no: ends.1.saturating_add(1) }
        }
        report => report,
    })
}

/// The lines of a file, each with its place.
struct Lines<F> {
    file: F,
    line: u64,
}

impl<F: BufRead> Lines<F> {
    fn next(&mut self, expected: &'static str) -> Result<Option<Line>, FileError> {
        let mut text = String::new();
        // One byte more than a line may have, so that a longer one shows.
        let read =
            std::io::Read::take(&mut self.file, LINE_LEN_MAX.saturating_add(1)).read_line(&mut text)?;
        if read == 0 {
            return Ok(None);
        }
        self.line = self.line.saturating_add(1);
        serde_json::from_str(&text).map(Some).map_err(|error| self.bad(expected, &error.to_string()))
    }

    fn bad(&self, expected: &'static str, found: &str) -> FileError {
        FileError::Line { line: self.line, expected, found: found.to_owned() }
    }

    fn record(&self, line: RecordLine) -> Result<AuditRow, FileError> {
        let outcome = Outcome::ALL.iter().find(|outcome| outcome.name() == line.outcome);
        Ok(AuditRow {
            seq: line.seq,
            at: line.at.parse().map_err(|_| self.bad("a moment", &line.at))?,
            who: line.who,
            from: line.from,
            what: line.what,
            object: line.object,
            outcome: *outcome.ok_or_else(|| self.bad("an outcome", &line.outcome))?,
            detail: line.detail,
            link: self.hash(&line.link)?,
        })
    }

    fn checkpoint(&self, line: CheckpointLine) -> Result<Checkpoint, FileError> {
        let expected = "an SM2 public key in DER, in hexadecimal";
        let key: [u8; 91] =
            hex::decode(&line.public_key).map_err(|_| self.bad(expected, &line.public_key))?;
        let public_key = key.strip_prefix(&KEY_HEAD).and_then(|point| point.try_into().ok());
        let mut der = vec![0; line.signature.len() / 2];
        let signature = hex::decode_into(&line.signature, &mut der).ok().and(Signature::from_der(&der));
        // All zeros is no signature and is reported as forged: what a signature of another form is, too.
        const NONE: Signature = Signature([0; 64]);
        let mut checkpoint = Checkpoint {
            no: line.no,
            records: line.records,
            at: line.at.parse().map_err(|_| self.bad("a moment", &line.at))?,
            link: self.hash(&line.link)?,
            public_key: public_key.ok_or_else(|| self.bad(expected, &line.public_key))?,
            signature: signature.unwrap_or(NONE),
        };
        // Other programs verify the message of the line: it must not say another thing than the fields beside it.
        if line.message != checkpoint.message() {
            checkpoint.signature = NONE;
        }
        Ok(checkpoint)
    }

    fn hash(&self, text: &str) -> Result<Hash32, FileError> {
        let expected = "a link of 64 hexadecimal digits";
        hex::decode(text).map(Hash32).map_err(|_| self.bad(expected, text))
    }
}

/// Reads a fingerprint as a person typed it: 64 hexadecimal digits.
impl std::str::FromStr for Fingerprint {
    type Err = hex::HexError;
    fn from_str(text: &str) -> Result<Fingerprint, hex::HexError> {
        hex::decode(text).map(|bytes| Fingerprint(Hash32(bytes)))
    }
}
