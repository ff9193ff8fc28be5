//! BEGIN CARD, DERIVE CARD KEY, END CARD: keys for one card after the other, each card counted once.
//!
//! The card under way stands in the issue record, not in RAM: when the power goes in between, the operator
//! verifies the PIN again and begins the same card again, which costs nothing; another card costs its own.

use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::command::Wanted;
use crate::files::{File, binary_file};
use crate::memory::{Memory, ShortBatch};
use crate::security::{KeyName, KeySlot, key, key_file, key_slots};
use ykt_base::apdu::RESPONSE_DATA_LEN_MAX;
use ykt_base::{KeyVersion, StatusWord};
use ykt_crypto::CardKey;
use ykt_crypto::sm::Bytes;
use ykt_purse::Algorithm;
use ykt_purse::key_card::{
    ATTRIBUTES_LEN_MAX, ATTRIBUTES_SFI, Attributes, BeginCard, DeriveCardKey, ISSUE_LEN, ISSUE_SFI,
    IssueKind, IssueRecord, IssueUsage, IssuedCard, KeyCardInfo, KeyCardUsage, KeyEntry,
};

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6982 without the PIN, 6985 without its files or for a city that is not allowed, 9402 when no more cards may
    /// be issued.
    pub(super) fn begin_card(&mut self, BeginCard { card }: BeginCard) -> Outcome {
        self.require_operator()?;
        let (file, record) = self.issue_record()?;
        let city_allowed = self.with_attributes(|attributes| attributes.allow_city(card.city))?;
        if !city_allowed {
            return Err(StatusWord::CONDITIONS);
        }
        if record.under_way == Some(card) {
            return self.answer(&record.left.to_be_bytes());
        }
        let left = record.left.checked_sub(1).ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        self.write_record(&file, IssueRecord { left, under_way: Some(card) })?;
        self.answer(&left.to_be_bytes())
    }

    /// # Errors
    /// 6982 without the PIN, 6985 without a card under way, for a kind that is not allowed, or for a key that lies
    /// higher than the card has factors; 6A88 without the key or its control key; 6Cxx.
    #[inline(never)]
    pub(super) fn derive_card_key(&mut self, command: &DeriveCardKey, wanted: Wanted) -> Outcome {
        self.require_operator()?;
        let (_, record) = self.issue_record()?;
        let card = record.under_way.ok_or(StatusWord::CONDITIONS)?;
        if !self.with_attributes(|attributes| attributes.kinds.allow(command.order.kind))? {
            return Err(StatusWord::CONDITIONS);
        }
        let (usage, slot) = self.issue_key(command.order.kind, command.order.version)?;
        let (control_usage, control_slot) =
            self.issue_key(command.control(), command.order.control_version)?;
        let control = self.derived(&card, &control_slot, control_usage)?;
        let key = self.derived(&card, &slot, usage)?;
        let algorithm = Algorithm::from_code(slot.attributes.algorithm).ok_or(StatusWord::NO_DIAGNOSIS)?;
        let ready = command.write_key(&control, &key, algorithm);
        let ready = ready.as_ref().ok_or(StatusWord::NO_DIAGNOSIS)?;
        wanted.exact(ready.len())?;
        self.answer(ready)
    }

    /// # Errors
    /// 6982 without the PIN, 6985 without a card under way.
    #[inline(never)]
    pub(super) fn end_card(&mut self) -> Outcome {
        self.require_operator()?;
        let (file, record) = self.issue_record()?;
        record.under_way.ok_or(StatusWord::CONDITIONS)?;
        self.write_record(&file, IssueRecord { under_way: None, ..record })?;
        done()
    }

    /// # Errors
    /// 6985 without its files, 6Cxx.
    #[inline(never)]
    pub(super) fn key_card_info(&mut self, wanted: Wanted) -> Outcome {
        let (_, record) = self.issue_record()?;
        let kinds = self.with_attributes(|attributes| attributes.kinds)?;
        let mut out = Bytes::<RESPONSE_DATA_LEN_MAX>::new();
        // More keys than an answer holds are not listed; a key file of this length has fewer.
        let _ = out.push(&KeyCardInfo::head(record.left, kinds));
        let file = key_file(&self.store, &self.session.directory).ok_or(StatusWord::CONDITIONS)?;
        for slot in key_slots(&self.store, &file).filter(|slot| slot.usage != KeyCardUsage::Pin.code()) {
            let entry = KeyEntry {
                usage: slot.usage,
                version: slot.attributes.version,
                algorithm: slot.attributes.algorithm,
                check: slot.material(&self.store).kcv(),
            };
            let _ = out.push(&entry.to_bytes());
        }
        wanted.exact(out.len())?;
        self.answer(&out)
    }

    /// # Errors
    /// 6982 when the operator's PIN was not verified since reset or SELECT.
    fn require_operator(&self) -> Result<(), StatusWord> {
        if self.session.is_pin_verified() { Ok(()) } else { Err(StatusWord::SECURITY_STATUS) }
    }

    fn issue_record(&self) -> Result<(File, IssueRecord), StatusWord> {
        let file = binary_file(&self.store, &self.session.directory, ISSUE_SFI, ISSUE_LEN);
        let file = file.ok_or(StatusWord::CONDITIONS)?;
        let record = IssueRecord::from_bytes(self.store.read(file.body)).ok_or(StatusWord::CONDITIONS)?;
        Ok((file, record))
    }

    fn write_record(&mut self, file: &File, record: IssueRecord) -> Result<(), StatusWord> {
        let mut batch = ShortBatch::new();
        batch.write(file.body, &[&record.to_bytes()])?;
        Ok(self.store.commit(&batch)?)
    }

    /// What `ask` makes of the attributes.
    ///
    /// # Errors
    /// 6985 without them.
    fn with_attributes<T>(&self, ask: impl FnOnce(Attributes<'_>) -> T) -> Result<T, StatusWord> {
        let mut bytes = [0; ATTRIBUTES_LEN_MAX];
        let file = binary_file(&self.store, &self.session.directory, ATTRIBUTES_SFI, 0)
            .ok_or(StatusWord::CONDITIONS)?;
        let bytes = bytes.get_mut(..file.len).ok_or(StatusWord::CONDITIONS)?;
        self.store.read_into(file.body, bytes);
        Attributes::from_bytes(bytes).map(ask).ok_or(StatusWord::CONDITIONS)
    }

    /// A card's own key under one of the centre's.
    ///
    /// # Errors
    /// 6985 for a key that lies higher than the card has factors.
    #[inline(never)]
    fn derived(&self, card: &IssuedCard, slot: &KeySlot, usage: IssueUsage) -> Result<CardKey, StatusWord> {
        card.derive(&slot.material(&self.store), usage.levels()).ok_or(StatusWord::CONDITIONS)
    }

    /// The key of a kind and version, with its levels.
    ///
    /// # Errors
    /// 6A88 when there is none.
    pub(super) fn issue_key(
        &self,
        kind: IssueKind,
        version: KeyVersion,
    ) -> Result<(IssueUsage, KeySlot), StatusWord> {
        let directory = &self.session.directory;
        IssueUsage::of_kind(kind)
            .find_map(|usage| Some((usage, key(&self.store, directory, KeyName::Issue(usage, version))?)))
            .ok_or(StatusWord::KEY_NOT_FOUND)
    }
}
