//! The courier between terminals and the centre: carries batch files, and damages them as the plan says.
//!
//! What it does to a file is what happens to files in the field: they come twice, late, under another name,
//! cut off, with a record repeated, forged, or with a bit flipped on the way.

use crate::plan::FileFaults;
use crate::rng::SeededRng;
use ykt_base::{Asn8, CardCounter, Fen, Mac4, Rng, TerminalSeq};
use ykt_files::{Confirmation, FileError, FixedFile, Industry, NameLayout, XfRecord};
use ykt_terminal::batch::Batch;

/// A file as it reaches the merchant's upload folder at the centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Name it comes under.
    pub name: String,
    /// Its bytes as they come.
    pub bytes: Vec<u8>,
}

/// What the courier has done, for the table of the day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// Files that came again under their own name.
    pub repeated_names: u32,
    /// Files that came again under another name.
    pub repeated_contents: u32,
    /// Records that stood twice, in one file or in two.
    pub repeated_records: u32,
    /// Records whose TAC was changed.
    pub wrong_tacs: u32,
    /// Records of cards that nobody issued.
    pub unknown_cards: u32,
    /// Files that came cut off first.
    pub broken_files: u32,
    /// Files that came a day late.
    pub late_files: u32,
}

/// A courier of one day.
pub struct Courier<'a> {
    /// The generator of its mischief.
    pub rng: &'a mut SeededRng,
    /// What it has done so far.
    pub damage: &'a mut Damage,
    /// The next free sequence number of the merchant's files of this day.
    pub next_sequence: &'a mut u16,
}

impl Courier<'_> {
    /// The files that reach the centre for one batch, in order.
    ///
    /// # Errors
    /// [`FileError`] when a record cannot be written again.
    pub fn carry(
        &mut self,
        batch: &Batch,
        industry: Industry,
        faults: FileFaults,
    ) -> Result<Vec<Delivery>, FileError> {
        let file: FixedFile<'_, XfRecord> = FixedFile::open(&batch.bytes, NameLayout::default())?;
        let mut records = file.records().collect::<Result<Vec<_>, _>>()?;
        self.change_records(&mut records, faults);
        let bytes = ykt_files::write(industry, &records, NameLayout::default())?;
        let name = batch.name.to_string();
        let mut deliveries = Vec::new();
        if faults.broken && !records.is_empty() {
            let cut_off = bytes.len().saturating_sub(1).saturating_sub(self.rng.index(150));
            deliveries.push(Delivery { name: name.clone(), bytes: bytes[..cut_off].to_vec() });
            self.damage.broken_files = self.damage.broken_files.saturating_add(1);
        }
        deliveries.push(Delivery { name: name.clone(), bytes: bytes.clone() });
        if faults.repeated_name {
            deliveries.push(Delivery { name, bytes: bytes.clone() });
            self.damage.repeated_names = self.damage.repeated_names.saturating_add(1);
        }
        if faults.repeated_content && !records.is_empty() {
            deliveries.push(Delivery { name: self.another_name(batch), bytes });
            self.damage.repeated_contents = self.damage.repeated_contents.saturating_add(1);
        }
        if faults.old_record
            && let Some(record) = self.rng.pick(&records).copied()
        {
            let bytes = ykt_files::write(industry, &[record], NameLayout::default())?;
            deliveries.push(Delivery { name: self.another_name(batch), bytes });
            self.damage.repeated_records = self.damage.repeated_records.saturating_add(1);
        }
        Ok(deliveries)
    }

    /// Loses the first confirmed record of a file, for the mutant that the proof must find; answers whether the
    /// file had one.
    ///
    /// # Errors
    /// [`FileError`] when the file cannot be read or written again.
    pub fn drop_record(&self, delivery: &mut Delivery, industry: Industry) -> Result<bool, FileError> {
        let layout = NameLayout::default();
        let Ok(file) = FixedFile::<'_, XfRecord>::open(&delivery.bytes, layout) else {
            return Ok(false);
        };
        let mut records = file.records().collect::<Result<Vec<_>, _>>()?;
        let Some(place) = records.iter().position(|r| r.confirmation == Confirmation::Confirmed) else {
            return Ok(false);
        };
        records.remove(place);
        delivery.bytes = ykt_files::write(industry, &records, layout)?;
        Ok(true)
    }

    fn change_records(&mut self, records: &mut Vec<XfRecord>, faults: FileFaults) {
        let confirmed: Vec<usize> = records
            .iter()
            .enumerate()
            .filter(|(_, record)| record.confirmation == Confirmation::Confirmed)
            .map(|(place, _)| place)
            .collect();
        let last = records.iter().map(|record| record.serial).max().unwrap_or(0);
        let Some(chosen) = self.rng.pick(&confirmed).copied() else {
            return;
        };
        if faults.wrong_tac
            && let Some(record) = records.get_mut(chosen)
        {
            let [first, ..] = &mut record.tac.0;
            *first ^= 0x01;
            self.damage.wrong_tacs = self.damage.wrong_tacs.saturating_add(1);
        }
        if faults.repeated_record
            && let Some(record) = records.get(chosen).copied()
        {
            records.push(XfRecord { serial: last.saturating_add(1), ..record });
            self.damage.repeated_records = self.damage.repeated_records.saturating_add(1);
        }
        if faults.unknown_card
            && let Some(record) = records.get(chosen).copied()
        {
            records.push(self.forge(&record, last.saturating_add(2)));
            self.damage.unknown_cards = self.damage.unknown_cards.saturating_add(1);
        }
    }

    /// A record like `model` of a card that nobody issued.
    fn forge(&mut self, model: &XfRecord, serial: u32) -> XfRecord {
        let [a, b, c, d] = self.rng.bytes::<4>().map(|byte| byte & 0x77);
        XfRecord {
            serial,
            asn: Asn8([0x99, 0x99, 0, 0, a, b, c, d]),
            counter: CardCounter(7),
            // The genuine sequence stays with the genuine record.
            sequence: TerminalSeq(model.sequence.0.saturating_add(900_000)),
            balance_before: Fen::new(10_000),
            amount: Fen::new(500),
            tac: Mac4(self.rng.bytes()),
            ..*model
        }
    }

    fn another_name(&mut self, batch: &Batch) -> String {
        let sequence = *self.next_sequence;
        *self.next_sequence = sequence.saturating_add(1);
        let mut name = batch.name;
        name.sequence = u32::from(sequence);
        name.to_string()
    }
}
