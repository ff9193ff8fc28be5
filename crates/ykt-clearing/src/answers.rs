//! The answers to a merchant: SS with every record that was refused or adjusted, QS with the totals, NS with the
//! files that were cleared. Made from booked rows only, so that they can be made again.

use crate::bill::Bill;
use crate::day::CloseError;
use crate::policy::Policy;
use crate::purchase::FileId;
use crate::store::verdicts::Verdict;
use crate::store::{files, records, verdicts};
use std::collections::BTreeMap;
use ykt_files::{
    FileError, FileKind, FileName, FixedRecord, Industry, NameLayout, NsRecord, QsRecord, RefuseCause,
    SsRecord,
};
use ykt_store::{StoreError, Tx};

/// The three answers to the merchant of a bill, with their names.
pub fn of_bill(tx: &Tx<'_>, bill: &Bill, policy: &Policy) -> Result<Vec<(FileName, Vec<u8>)>, CloseError> {
    let layout = policy.name_layout(&bill.merchant);
    // The register of merchants takes industries up to 99 only.
    let industry = Industry::new(bill.industry).unwrap_or(Industry::BUS);
    let answer = Answer { bill, layout, industry };
    let refusals = refusals(tx, bill, layout)?;
    let totals = [QsRecord {
        merchant: bill.merchant,
        day: bill.day,
        confirmed: bill.confirmed,
        refused: bill.refused,
        adjusted: bill.adjusted,
        adjustment_refused: bill.adjustment_refused,
    }];
    let cleared = cleared(tx, bill, layout)?;
    let made = [answer.file(&refusals)?, answer.file(&totals)?, answer.file(&cleared)?];
    Ok(made.into_iter().flatten().collect())
}

struct Answer<'a> {
    bill: &'a Bill,
    layout: NameLayout,
    industry: Industry,
}

impl Answer<'_> {
    fn file<R: FixedRecord>(&self, records: &[R]) -> Result<Option<(FileName, Vec<u8>)>, CloseError> {
        let Bill { day, merchant, .. } = *self.bill;
        let wrong = |error: FileError| CloseError::Answer { merchant, error };
        let bytes = ykt_files::write(self.industry, records, self.layout).map_err(wrong)?;
        // One answer of a kind a day: its sequence is 1, which every layout can hold.
        let name = FileName::new(R::KIND, day, self.industry, merchant, 1, self.layout);
        Ok(name.map(|name| (name, bytes)))
    }
}

/// What the answer of the day says of a record that arrived then: nothing when it is confirmed.
fn refused_with(verdict: &Verdict) -> Option<RefuseCause> {
    let is_confirmed = verdict.state.is_paid() && verdict.settled_day == Some(verdict.day);
    (!is_confirmed).then(|| verdict.first_cause.answer())
}

fn refusals(tx: &Tx<'_>, bill: &Bill, layout: NameLayout) -> Result<Vec<SsRecord>, StoreError> {
    let of_day = verdicts::of_day(tx, bill.day, Some(&bill.merchant))?;
    let refused = of_day.into_iter().filter_map(|verdict| Some((verdict.record, refused_with(&verdict)?)));
    let later = verdicts::settled_later(tx, bill.day, Some(&bill.merchant))?;
    let adjusted = later.into_iter().map(|verdict| {
        let cause =
            if verdict.state.is_paid() { RefuseCause::Adjustment } else { verdict.cause.answer_again() };
        (verdict.record, cause)
    });
    let mut sources: BTreeMap<FileId, Option<FileName>> = BTreeMap::new();
    let mut lines = Vec::new();
    for (id, cause) in refused.chain(adjusted) {
        let source = match sources.get(&id.file()) {
            Some(source) => *source,
            None => {
                let source =
                    files::file(tx, id.file())?.and_then(|file| FileName::parse(&file.name, layout).ok());
                sources.insert(id.file(), source);
                source
            }
        };
        if let (Some(source), Some(record)) = (source, records::line(tx, id)?) {
            lines.push(SsRecord { source, day: bill.day, cause, record });
        }
    }
    Ok(lines)
}

fn cleared(tx: &Tx<'_>, bill: &Bill, layout: NameLayout) -> Result<Vec<NsRecord>, StoreError> {
    let accepted = files::accepted_of_day(tx, bill.day)?;
    let of_merchant = accepted.into_iter().filter(|file| file.merchant == bill.merchant);
    let names = of_merchant.filter_map(|file| FileName::parse(&file.name, layout).ok());
    Ok(names.filter(|name| name.kind == FileKind::Xf).map(|file| NsRecord { file, day: bill.day }).collect())
}
