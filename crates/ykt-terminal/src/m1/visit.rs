//! One showing of an M1 card, from its UID to its last block (`epurse.md` 8.6).
//!
//! 1. Issue sector: who the card is. 2. Public information: read, repaired from its copy. 3. Purse and backup: read,
//!    repaired from each other; what an earlier transaction left unfinished is finished. 4. Flag 01, purse, read back,
//!    backup, read back. 5. Record, then pointer, count and flag 02.
//!
//! Wherever the card leaves, the next visit finds: block 24 or 25 whole; purse or backup whole, and of two that
//! differ the smaller one counts; and whether money moved by comparing the purse with the record before.

use super::book::{Closing, EntryStep, Intent, Lock, M1Record, Operation, Pending};
use super::keys::M1Keys;
use super::store::M1Store;
use super::{M1Outcome, M1Receipt, M1Refusal, M1Terminal, Stop};
use ykt_base::{CardChannel, DateTime, Fen, Mac4};
use ykt_m1::key::Identity;
use ykt_m1::layout::{
    BlackFlag, CardFlag, IssueData, IssueDates, LastLoad, LoadTotals, ProcessFlag, ProcessRule, PublicInfo,
    RecordKind, TransactionRecord,
};
use ykt_m1::tac::M1Terms;
use ykt_m1::{
    Block, BlockNo, CardView, Dialogue, DialogueError, KeyKind, Sector, SectorKey, Step, Uid, ValueBlock,
};

/// What the card is shown for.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    pub(super) operation: Operation,
    pub(super) amount: Fen,
    pub(super) at: DateTime,
}

/// Serves the card that was just shown.
pub(super) fn serve<C: CardChannel + ?Sized, K: M1Keys, S: M1Store>(
    terminal: &mut M1Terminal<K, S>,
    talk: Dialogue<'_, C>,
    uid: Uid,
    ask: Ask,
) -> Result<M1Outcome, Stop> {
    let (mut visit, dates) = Visit::begin(terminal, talk, uid, ask)?;
    let (balance, served) = visit.settle()?;
    if let Some(record) = served {
        return Ok(M1Outcome::Recovered(M1Receipt { record, balance }));
    }
    visit.check(&dates)?;
    visit.charge(balance)
}

/// Marks the card that was just shown as blacklisted.
pub(super) fn lock<C: CardChannel + ?Sized, K: M1Keys, S: M1Store>(
    terminal: &mut M1Terminal<K, S>,
    talk: Dialogue<'_, C>,
    uid: Uid,
    at: DateTime,
) -> Result<M1Outcome, Stop> {
    let version = terminal.blacklist.version();
    let ask = Ask { operation: Operation::Purchase, amount: Fen::ZERO, at };
    let (mut visit, _) = Visit::begin(terminal, talk, uid, ask)?;
    visit.settle()?;
    visit.mark_black()?;
    Ok(M1Outcome::Declined(M1Refusal::Blacklisted { version }))
}

/// Reads everything the card says, and writes nothing.
pub(super) fn view<C: CardChannel + ?Sized, K: M1Keys, S>(
    terminal: &mut M1Terminal<K, S>,
    talk: &mut Dialogue<'_, C>,
    uid: Uid,
) -> Result<CardView, Stop> {
    let (data, _) = issue_data(talk, uid)?;
    let (card, layout) = (data.identity(uid), terminal.config.layout);
    let mut open = Sector::ISSUE;
    CardView::read(uid, &layout, |block| {
        let sector = block.sector();
        if sector != open {
            let key = match sector {
                Sector::ISSUE => SectorKey::issue_a(uid),
                _ => terminal.keys.sector_key(&card, sector, KeyKind::A)?,
            };
            talk.open(sector, KeyKind::A, &key)?;
            open = sector;
        }
        Ok(talk.read(block)?)
    })
}

/// Step 1: opens the issue sector by the key that the UID gives, and reads blocks 4 and 5.
fn issue_data<C: CardChannel + ?Sized>(
    talk: &mut Dialogue<'_, C>,
    uid: Uid,
) -> Result<(IssueData, IssueDates), Stop> {
    match talk.open(Sector::ISSUE, KeyKind::A, &SectorKey::issue_a(uid)) {
        Err(DialogueError::Refused { step: Step::Authenticate(..), .. }) => {
            return Err(M1Refusal::NotACityCard.into());
        }
        opened => opened?,
    }
    let data = IssueData::from_block(&talk.read(BlockNo::ISSUE)?).ok_or(M1Refusal::NotACityCard)?;
    let dates = IssueDates::from_block(&talk.read(BlockNo::DATES)?).ok_or(M1Refusal::NotACityCard)?;
    Ok((data, dates))
}

/// Whether the card is one of ours: before that nothing of it is written.
fn accept<K: M1Keys, S>(terminal: &mut M1Terminal<K, S>, card: &Identity) -> Result<(), Stop> {
    if !terminal.config.cities.contains(&card.city) {
        return Err(M1Refusal::OtherCity { city: card.city }.into());
    }
    match terminal.keys.auth_code(card)? {
        Some(code) if code != card.auth_code => Err(M1Refusal::NotGenuine.into()),
        _ => Ok(()),
    }
}

struct Visit<'t, 'c, C: ?Sized, K, S> {
    terminal: &'t mut M1Terminal<K, S>,
    talk: Dialogue<'c, C>,
    ask: Ask,
    card: Identity,
    data: IssueData,
    info: PublicInfo,
    open: Option<(Sector, KeyKind)>,
}

impl<'t, 'c, C: CardChannel + ?Sized, K: M1Keys, S: M1Store> Visit<'t, 'c, C, K, S> {
    /// Steps 1 and 2: whose card it is, and what it says of itself.
    fn begin(
        terminal: &'t mut M1Terminal<K, S>,
        mut talk: Dialogue<'c, C>,
        uid: Uid,
        ask: Ask,
    ) -> Result<(Self, IssueDates), Stop> {
        let (data, dates) = issue_data(&mut talk, uid)?;
        let card = data.identity(uid);
        accept(terminal, &card)?;
        let mut visit = Visit { terminal, talk, ask, card, data, info: PublicInfo::NEW, open: None };
        visit.read_public()?;
        Ok((visit, dates))
    }

    /// Opens a sector, unless it is open.
    fn enter(&mut self, sector: Sector, kind: KeyKind) -> Result<(), Stop> {
        if self.open != Some((sector, kind)) {
            let key = self.terminal.keys.sector_key(&self.card, sector, kind)?;
            self.talk.open(sector, kind, &key)?;
            self.open = Some((sector, kind));
        }
        Ok(())
    }

    fn update(&mut self, block: BlockNo, kind: KeyKind, data: &Block) -> Result<(), Stop> {
        self.enter(block.sector(), kind)?;
        Ok(self.talk.update(block, data)?)
    }

    /// The key by which this visit works in the purse: only key B adds.
    fn purse_key(&self) -> KeyKind {
        match self.ask.operation {
            Operation::Purchase => KeyKind::A,
            Operation::Load => KeyKind::B,
        }
    }

    /// Step 2: reads blocks 24 and 25, and writes what is damaged or behind anew.
    fn read_public(&mut self) -> Result<(), Stop> {
        self.enter(Sector::PUBLIC, KeyKind::A)?;
        let blocks = [BlockNo::PUBLIC, BlockNo::PUBLIC_COPY];
        let found = [self.talk.read(blocks[0])?, self.talk.read(blocks[1])?];
        let layout = self.terminal.config.layout;
        self.info =
            PublicInfo::from_blocks([&found[0], &found[1]], &layout).ok_or(M1Refusal::Damaged { blocks })?;
        let right = self.info.to_blocks(&layout);
        for (block, (right, found)) in blocks.into_iter().zip(right.iter().zip(&found)) {
            if right != found {
                self.talk.update(block, right)?;
            }
        }
        Ok(())
    }

    /// Writes blocks 24 and 25.
    fn write_public(&mut self, info: PublicInfo) -> Result<(), Stop> {
        let [main, copy] = info.to_blocks(&self.terminal.config.layout);
        self.update(BlockNo::PUBLIC, KeyKind::A, &main)?;
        self.update(BlockNo::PUBLIC_COPY, KeyKind::A, &copy)?;
        self.info = info;
        Ok(())
    }

    fn value(&mut self, block: BlockNo) -> Result<Option<Fen>, Stop> {
        Ok(ValueBlock::from_block(&self.talk.read(block)?).map(ValueBlock::fen))
    }

    /// Step 3: makes the card whole and closes what was pending of it. Gives the balance, and the record that the
    /// card may still be served for.
    fn settle(&mut self) -> Result<(Fen, Option<M1Record>), Stop> {
        let pending = self.terminal.book.pending_of(self.card.uid).copied();
        let ours = pending.filter(|pending| self.is_in_progress(&pending.intent));
        let balance = self.repair_purse(ours.as_ref())?;
        self.finish(ours.as_ref(), balance)?;
        let Some(pending) = pending else { return Ok((balance, None)) };
        self.close(&pending)?;
        let serial = pending.intent.serial;
        let record = self.terminal.book.record(serial).copied();
        Ok((balance, record.filter(|record| self.may_be_served(&record.intent))))
    }

    /// Whether nothing was recorded on the card since this transaction began, and nobody else's is in progress.
    fn is_in_progress(&self, intent: &Intent) -> bool {
        let M1Terminal { config, .. } = &*self.terminal;
        let here = (intent.pointer, intent.count) == (self.info.pointer, self.info.count);
        let claimed =
            config.layout.process == ProcessRule::Claimed && self.info.process == ProcessFlag::Running;
        here && (!claimed || self.info.claim(&config.layout) == Some(intent.claim(config.device)))
    }

    /// Purse and backup: a damaged one is restored from the other; of two that differ the smaller one counts,
    /// since a purchase takes from the purse first and a load is not done before both have it. Only the terminal
    /// that began a load goes on with it.
    fn repair_purse(&mut self, ours: Option<&Pending>) -> Result<Fen, Stop> {
        let blocks = [BlockNo::PURSE, BlockNo::PURSE_BACKUP];
        let [purse, backup] = blocks;
        self.enter(Sector::PURSE, self.purse_key())?;
        let found = (self.value(purse)?, self.value(backup)?);
        let loading = ours.is_some_and(|Pending { intent, .. }| {
            intent.operation == Operation::Load && found == (Some(intent.after()), Some(intent.before))
        });
        let (balance, from, to) = match found {
            (Some(first), Some(second)) if first == second => return Ok(first),
            (Some(first), Some(second)) if loading || first < second => (first, purse, backup),
            (_, Some(second)) => (second, backup, purse),
            (Some(first), None) => (first, purse, backup),
            (None, None) => return Err(M1Refusal::Damaged { blocks }.into()),
        };
        self.talk.copy(from, to)?;
        Ok(balance)
    }

    /// Finishes a transaction that stopped between flag 01 and flag 02, ours or another terminal's: when the purse
    /// is not what the record before leaves, money moved, and its record is written.
    fn finish(&mut self, ours: Option<&Pending>, balance: Fen) -> Result<(), Stop> {
        let layout = self.terminal.config.layout;
        if ours.is_none() && !self.info.may_be_unfinished(&layout) {
            return Ok(());
        }
        let before = match ours {
            Some(pending) => Some(pending.intent.before),
            None => self.recorded_balance()?,
        };
        match (ours, before) {
            (Some(pending), _) if pending.intent.after() == balance => self.complete(pending),
            (_, Some(before)) if before != balance => self.complete_for_another(before, balance),
            _ if self.info.process == ProcessFlag::Running => self.write_public(self.info.idle(&layout)),
            _ => Ok(()),
        }
    }

    /// The balance that the newest record leaves, where it tells.
    fn recorded_balance(&mut self) -> Result<Option<Fen>, Stop> {
        let block = self.info.pointer.previous().block();
        self.enter(block.sector(), KeyKind::A)?;
        let newest = TransactionRecord::from_block(&self.talk.read(block)?);
        Ok(newest.and_then(|record| record.after()))
    }

    /// Writes the record that another terminal did not come to write: its own, where its claim says whose.
    fn complete_for_another(&mut self, before: Fen, balance: Fen) -> Result<(), Stop> {
        let layout = self.terminal.config.layout;
        let (kind, amount) = match balance.checked_sub(before) {
            Some(gain) if gain > Fen::ZERO => (RecordKind::Load, Some(gain)),
            loss => (RecordKind::Purchase, loss.and_then(Fen::checked_neg)),
        };
        let (time, device) = match self.info.claim(&layout) {
            Some(claim) => (claim.time, claim.device),
            None => (TransactionRecord::time_of(self.ask.at), TransactionRecord::UNKNOWN_DEVICE),
        };
        let amount = amount.unwrap_or(Fen::ZERO);
        match (TransactionRecord { time, before, amount, kind, device }).to_block() {
            Some(record) => {
                self.update(self.info.pointer.block(), KeyKind::A, &record)?;
                self.write_public(self.info.recorded(&layout))
            }
            // More than a record holds was moved: by whatever it was, it is no transaction of a terminal.
            None => self.write_public(self.info.idle(&layout)),
        }
    }

    /// Closes a pending transaction by what the card, whole again, says of it.
    fn close(&mut self, pending: &Pending) -> Result<(), Stop> {
        let Pending { intent, step } = pending;
        if self.terminal.book.pending_of(self.card.uid).is_none() {
            return Ok(());
        }
        let evidence = match self.info.count.wrapping_sub(intent.count) {
            0 => Evidence::Absent,
            1..=9 => self.record_in_place_of(intent)?,
            _ => Evidence::Unknown,
        };
        let closing = match (evidence, step) {
            (Evidence::Present, EntryStep::Purse) => {
                self.moved(intent)?;
                Closing::Complete
            }
            // Its money was seen to move, and has its record.
            (_, EntryStep::Backup) => Closing::Complete,
            (Evidence::Absent, EntryStep::Purse) => Closing::Void,
            (Evidence::Unknown, EntryStep::Purse) => Closing::Grey,
        };
        Ok(self.terminal.book.close(intent.serial, closing)?)
    }

    /// What stands in the record block that the transaction would have used.
    fn record_in_place_of(&mut self, intent: &Intent) -> Result<Evidence, Stop> {
        let block = intent.pointer.block();
        self.enter(block.sector(), KeyKind::A)?;
        let found = TransactionRecord::from_block(&self.talk.read(block)?);
        let ours = intent.record(self.terminal.config.device);
        Ok(match found {
            Some(found) if found == ours => Evidence::Present,
            Some(found) if found.before == intent.before => {
                let nameless =
                    TransactionRecord { time: found.time, device: TransactionRecord::UNKNOWN_DEVICE, ..ours };
                if found == nameless { Evidence::Unknown } else { Evidence::Absent }
            }
            _ => Evidence::Unknown,
        })
    }

    fn may_be_served(&self, intent: &Intent) -> bool {
        let age_s = self.ask.at.second_number().saturating_sub(intent.at.second_number());
        let in_time = (0..=i64::from(self.terminal.config.recovery_s_max)).contains(&age_s);
        // A load was paid for elsewhere: shown again, the card must never get it twice.
        intent.operation == self.ask.operation && (in_time || intent.operation == Operation::Load)
    }

    /// Dates, flags, lists.
    fn check(&mut self, dates: &IssueDates) -> Result<(), Stop> {
        let M1Terminal { blacklist, .. } = &*self.terminal;
        let version = blacklist.version();
        if blacklist.lists(&self.card.number()) {
            self.mark_black()?;
            return Err(M1Refusal::Blacklisted { version }.into());
        }
        let day = self.ask.at.date;
        let refusal = if self.info.black == BlackFlag::Black {
            M1Refusal::Marked
        } else if self.data.flag != CardFlag::Enabled {
            M1Refusal::NotEnabled
        } else if !(dates.enabled..=dates.expiry).contains(&day) {
            M1Refusal::OutOfDate { from: dates.enabled, until: dates.expiry }
        } else {
            return Ok(());
        };
        Err(refusal.into())
    }

    /// Marks a blacklisted card, and records that once.
    fn mark_black(&mut self) -> Result<(), Stop> {
        let marked = self.info.black == BlackFlag::Black;
        if !marked {
            self.write_public(self.info.blacklisted())?;
        }
        // A card that left between mark and record is recorded at its return.
        if !marked || !self.terminal.book.has_locked(self.card.uid) {
            self.terminal.book.lock(Lock { card: self.card, at: self.ask.at })?;
        }
        Ok(())
    }

    /// Steps 4 and 5.
    fn charge(&mut self, balance: Fen) -> Result<M1Outcome, Stop> {
        let Ask { operation, amount, at } = self.ask;
        self.afford(balance)?;
        let totals = match operation {
            Operation::Purchase => LoadTotals::default(),
            Operation::Load => {
                self.enter(Sector::PURSE, KeyKind::B)?;
                // A block torn before has no copy: its statistics begin anew.
                LoadTotals::from_block(&self.talk.read(BlockNo::LOAD_TOTALS)?).unwrap_or_default()
            }
        };
        let config = &self.terminal.config;
        let intent = Intent {
            serial: self.terminal.book.next_serial()?,
            operation,
            card: self.card,
            card_type: self.data.card_type,
            public: self.info.to_block(&config.layout),
            pointer: self.info.pointer,
            count: self.info.count,
            before: balance,
            amount,
            totals,
            at,
        };
        let running = self.info.running(intent.claim(config.device), &config.layout);
        self.terminal.book.begin(intent)?;
        if let Some(running) = running {
            self.write_public(running)?;
        }
        self.enter(Sector::PURSE, self.purse_key())?;
        self.step(BlockNo::PURSE, &intent)?;
        let mut pending = Pending { intent, step: EntryStep::Purse };
        if operation == Operation::Purchase {
            // From here on every terminal would take the smaller one for the balance: the money is gone.
            self.moved(&intent)?;
            pending.step = EntryStep::Backup;
        }
        self.step(BlockNo::PURSE_BACKUP, &intent)?;
        self.complete(&pending)?;
        let record = self.terminal.book.record(intent.serial).copied();
        let record = record.unwrap_or(M1Record { intent, certainty: super::Certainty::Grey });
        Ok(M1Outcome::Done(M1Receipt { record, balance: intent.after() }))
    }

    fn afford(&self, balance: Fen) -> Result<(), M1Refusal> {
        let config = &self.terminal.config;
        let Ask { operation, amount, .. } = self.ask;
        match operation {
            Operation::Purchase => {
                let room = balance.checked_add(config.overdraft_max);
                if room.is_some_and(|room| amount <= room) {
                    Ok(())
                } else {
                    Err(M1Refusal::InsufficientFunds { balance })
                }
            }
            Operation::Load => {
                let most = config.balance_max;
                let after = balance.checked_add(amount);
                if after.is_some_and(|after| after <= most) {
                    Ok(())
                } else {
                    Err(M1Refusal::TooMuch { balance, most })
                }
            }
        }
    }

    /// Moves the amount in one value block and reads it back.
    fn step(&mut self, block: BlockNo, intent: &Intent) -> Result<(), Stop> {
        let amount = i32::try_from(intent.amount.fen()).unwrap_or_default();
        match intent.operation {
            Operation::Purchase => self.talk.decrement(block, amount)?,
            Operation::Load => self.talk.increment(block, amount)?,
        }
        if self.value(block)? == Some(intent.after()) { Ok(()) } else { Err(M1Refusal::NotVerified.into()) }
    }

    /// The purse was read and holds the balance after: makes the offline record.
    fn moved(&mut self, intent: &Intent) -> Result<(), Stop> {
        let tac = self.tac(intent)?;
        Ok(self.terminal.book.moved(intent.serial, tac)?)
    }

    fn tac(&mut self, intent: &Intent) -> Result<Option<Mac4>, Stop> {
        let M1Terminal { config, keys, .. } = &mut *self.terminal;
        let terms = M1Terms {
            balance: intent.after(),
            amount: intent.amount,
            terminal: config.terminal,
            at: intent.at,
        };
        Ok(keys.tac(&intent.card, intent.operation, intent.count, &terms)?)
    }

    /// Purse and backup hold the balance after: writes everything behind them, record and flag last.
    fn complete(&mut self, pending: &Pending) -> Result<(), Stop> {
        let Pending { intent, step } = pending;
        if *step == EntryStep::Purse {
            self.moved(intent)?;
        }
        let device = self.terminal.config.device;
        if intent.operation == Operation::Load {
            let totals = intent.totals.after(intent.amount).to_block();
            self.update(BlockNo::LOAD_TOTALS, KeyKind::B, &totals)?;
            let last = LastLoad { at: intent.at, amount: intent.amount, device }.to_block();
            self.update(BlockNo::LAST_LOAD, KeyKind::B, &last.unwrap_or_default())?;
        }
        let record = intent.record(device).to_block().unwrap_or_default();
        self.update(intent.pointer.block(), KeyKind::A, &record)?;
        self.write_public(self.info.recorded(&self.terminal.config.layout))?;
        Ok(self.terminal.book.close(intent.serial, Closing::Complete)?)
    }
}

/// What a card says of a transaction that others may have come after.
enum Evidence {
    /// Its record is there.
    Present,
    /// Another transaction began with the balance it began with: it moved nothing.
    Absent,
    /// It can no longer be told.
    Unknown,
}
