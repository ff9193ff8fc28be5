//! Composite purchase (复合应用消费, `epurse.md` 4.10): between INITIALIZE and DEBIT the terminal writes records of
//! rides and other services into a cache; DEBIT commits them together with the money, or nothing of both.
//!
//! The terminal proves itself by MAC1, so a record comes without a MAC of its own, whatever its file asks of UPDATE
//! RECORD; the right to write the file must be given all the same.

use super::PendingTransaction;
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::files::{File, FileKind, Sfi, append, file_by_sfi, identified_record, record};
use crate::memory::{Batch, Memory};
use crate::session::Pending;
use ykt_base::StatusWord;
use ykt_purse::capp::{CappRecord, UpdateCappData};
use ykt_purse::create::Structure;
use ykt_purse::purchase::PurchaseKind;

/// Bytes of the cache: a record takes its length and 4, one that is appended 6 more.
const CACHE_LEN: usize = 256;
/// Where an industry record (JT/T 978; `epurse.md` 6.7) keeps its lock flag: 00 = free.
const LOCK_FLAG_AT: usize = 5;

/// Records on their way into their files.
pub(crate) type CappCache = Batch<CACHE_LEN>;

impl<M: Memory> Card<M> {
    /// Puts a record into the cache of the composite purchase under way, which goes on.
    ///
    /// # Errors
    /// 6901 without one, 6A82 no such file, 6981 no file of records, 6982 without the right to write it, 6A83 no such
    /// record, 6700 of another length, 6985 locked record, 6A84 cache full. Each ends the purchase.
    #[inline(never)]
    pub(crate) fn update_capp_data(
        &mut self,
        update: UpdateCappData<'_>,
        pending: Option<PendingTransaction>,
    ) -> Outcome {
        let pending = pending.filter(PendingTransaction::is_composite).ok_or(StatusWord::NOT_INITIALIZED)?;
        let sfi = Sfi::new(update.sfi).ok_or(StatusWord::WRONG_P1P2)?;
        let file = file_by_sfi(&self.store, &self.session.directory, sfi).ok_or(StatusWord::NOT_FOUND)?;
        let FileKind::Data(structure) = file.kind else {
            return Err(StatusWord::WRONG_FILE_TYPE);
        };
        self.session.require(file.write)?;
        match (update.record, structure) {
            (_, Structure::Binary { .. }) => return Err(StatusWord::WRONG_FILE_TYPE),
            (CappRecord::Append, Structure::CyclicRecords { len, .. }) => {
                same_length(update.data, usize::from(len))?;
                append(&mut self.session.capp_cache, &self.store, &file, update.data)?;
            }
            (CappRecord::Number(number), _) => {
                self.replace_cached(&file, record(&self.store, &file, number), update.data)?;
            }
            (CappRecord::Identifier(_) | CappRecord::Append, _) => {
                let id = update.data.first_chunk::<2>().ok_or(StatusWord::WRONG_LENGTH)?;
                self.replace_cached(&file, identified_record(&self.store, &file, *id), update.data)?;
            }
        }
        self.session.pending = Some(Pending::Purse(pending));
        done()
    }

    fn replace_cached(
        &mut self,
        file: &File,
        record: Option<(usize, usize)>,
        data: &[u8],
    ) -> Result<(), StatusWord> {
        let (at, len) = record.ok_or(StatusWord::RECORD_NOT_FOUND)?;
        same_length(data, len)?;
        if let FileKind::Data(Structure::VariableRecords { .. }) = file.kind {
            let [flag] = self.store.read(at.saturating_add(LOCK_FLAG_AT));
            if len > LOCK_FLAG_AT && flag != 0 {
                return Err(StatusWord::CONDITIONS);
            }
        }
        Ok(self.session.capp_cache.write(at, &[data])?)
    }
}

impl PendingTransaction {
    const fn is_composite(&self) -> bool {
        match self {
            PendingTransaction::Purchase(pending) => {
                matches!(pending.purchase.kind, PurchaseKind::Composite)
            }
            _ => false,
        }
    }
}

fn same_length(data: &[u8], len: usize) -> Result<(), StatusWord> {
    if data.len() == len { Ok(()) } else { Err(StatusWord::WRONG_LENGTH) }
}
