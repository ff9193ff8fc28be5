//! Posting: the one way by which a balance changes.
//!
//! A batch is judged first and written afterwards, so an entry (or a group of entries that stand or fall
//! together) that is refused leaves no trace, and its neighbours go through. What a batch has in common is
//! done once per batch: the head of the chain, the accounts it touches, their movement of the day.

use crate::chart::AccountCode;
use crate::entry::{AMOUNT_MAX, EVENT_LEN_MAX, Entry, EntryId, LEGS_MAX, LEGS_MIN, MEMO_BYTES_MAX, link};
use crate::store::{self, Account, Head, Movement, MovementKey, Numbered};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use thiserror::Error;
use ykt_base::{Date, Fen};
use ykt_crypto::chain::Hash32;
use ykt_store::{GroupError, StoreError, Tx};

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posting {
    /// It is booked now, as number `seq` of the book (from 1).
    Posted {
        /// Sequence number.
        seq: i64,
    },
    /// It was booked before, with the same content; nothing was done.
    Repeated {
        /// Sequence number it has.
        seq: i64,
    },
}

impl Posting {
    /// Sequence number of the entry in the book.
    #[must_use]
    pub fn seq(self) -> i64 {
        match self {
            Posting::Posted { seq } | Posting::Repeated { seq } => seq,
        }
    }
}

/// Why an entry was not booked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PostError {
    /// Too few or too many legs.
    #[error("entry {id}: expected {LEGS_MIN} to {LEGS_MAX} legs, found {found}")]
    Legs {
        /// The entry.
        id: EntryId,
        /// Its legs.
        found: usize,
    },
    /// A leg of nothing.
    #[error("entry {id}: the leg of account {account} is zero; leave it out")]
    ZeroLeg {
        /// The entry.
        id: EntryId,
        /// Account of the leg.
        account: AccountCode,
    },
    /// A leg of more than [`AMOUNT_MAX`].
    #[error("entry {id}: the leg of account {account} is {found}, at most {AMOUNT_MAX} is allowed")]
    Amount {
        /// The entry.
        id: EntryId,
        /// Account of the leg.
        account: AccountCode,
        /// Its amount.
        found: Fen,
    },
    /// The legs do not sum to zero.
    #[error("entry {id}: the legs must sum to zero, found {sum}")]
    NotZero {
        /// The entry.
        id: EntryId,
        /// Sum of its legs.
        sum: Fen,
    },
    /// The event is no event code.
    #[error("entry {id}: expected an event of 1 to {EVENT_LEN_MAX} characters of 0-9 A-Z -, found `{found}`")]
    Event {
        /// The entry.
        id: EntryId,
        /// Its event.
        found: String,
    },
    /// The memo is too long or has control characters.
    #[error(
        "entry {id}: expected a memo of at most {MEMO_BYTES_MAX} bytes without control characters, \
         found {found} bytes"
    )]
    Memo {
        /// The entry.
        id: EntryId,
        /// Bytes of its memo.
        found: usize,
    },
    /// The books of its day, or of a later day, are closed.
    #[error(
        "entry {id}: the books are closed through {closed}; day {day} takes no entries; post to a later day"
    )]
    DayClosed {
        /// The entry.
        id: EntryId,
        /// Its day.
        day: Date,
        /// Last closed day.
        closed: Date,
    },
    /// The id is booked with other content.
    #[error(
        "entry {id}: booked as number {seq} with other content: expected digest {expected}, found {found}; \
         choose another id for another entry"
    )]
    Conflict {
        /// The entry.
        id: EntryId,
        /// Number of the booked entry.
        seq: i64,
        /// Digest of the booked entry.
        expected: Hash32,
        /// Digest of the refused one.
        found: Hash32,
    },
    /// The turnover of an account would leave 64 bits.
    #[error("entry {id}: the turnover of account {account} would not fit 64 bits")]
    Overflow {
        /// The entry.
        id: EntryId,
        /// The account.
        account: AccountCode,
    },
    /// The writer took no more jobs, stopped, or could not commit.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Books `entries` in order, all or none, in the caller's transaction.
///
/// An entry whose id is booked with the same content is answered [`Posting::Repeated`]; nothing is booked
/// twice, in the same slice neither.
///
/// # Errors
/// The [`PostError`] of the first entry that is refused. Nothing of `entries` was written then, unless the
/// store itself failed ([`PostError::Store`]): undo the transaction in that case.
pub fn post(tx: &Tx<'_>, entries: &[Entry]) -> Result<Vec<Posting>, PostError> {
    let checked = entries.iter().map(Checked::of).collect::<Result<Vec<_>, _>>()?;
    let mut batch = Batch::open(tx)?;
    let postings = batch.judge(&checked)?;
    batch.write()?;
    Ok(postings)
}

/// Answer to a group of entries.
pub type Answer = Result<Vec<Posting>, PostError>;

/// Books each group of entries, all or none per group: a refused group does not touch the others.
///
/// # Errors
/// [`StoreError`] when the store itself failed: undo the transaction.
pub fn post_groups<'e, B: Borrow<Entry> + 'e, G: AsRef<[Checked<B>]>>(
    tx: &Tx<'_>,
    groups: &'e [G],
) -> Result<Vec<Answer>, StoreError> {
    let mut batch = Batch::open(tx)?;
    let mut answers = Vec::with_capacity(groups.len());
    for group in groups {
        answers.push(match batch.judge(group.as_ref()) {
            Err(PostError::Store(error)) => return Err(error),
            answer => answer,
        });
    }
    batch.write()?;
    Ok(answers)
}

/// An entry that keeps all rules that need no book, with its digest: made by whoever posts, so that the one
/// writer has less to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked<B: Borrow<Entry> = Entry> {
    entry: B,
    digest: Hash32,
}

impl<B: Borrow<Entry>> Checked<B> {
    /// Checks an entry.
    ///
    /// # Errors
    /// As [`Entry::check`].
    pub fn of(entry: B) -> Result<Checked<B>, PostError> {
        entry.borrow().check()?;
        let digest = entry.borrow().digest();
        Ok(Checked { entry, digest })
    }
}

/// What is judged and waits to be written.
struct Batch<'t, 'e> {
    tx: &'t Tx<'t>,
    head: Head,
    closed: Option<Date>,
    accepted: Vec<Numbered<'e>>,
    /// Place in `accepted` of each id of this batch.
    ids: BTreeMap<&'e EntryId, usize>,
    accounts: BTreeMap<AccountCode, Account>,
}

impl<'t, 'e> Batch<'t, 'e> {
    fn open(tx: &'t Tx<'t>) -> Result<Batch<'t, 'e>, StoreError> {
        Ok(Batch {
            tx,
            head: store::head(tx)?,
            closed: store::last_closed_day(tx)?,
            accepted: Vec::new(),
            ids: BTreeMap::new(),
            accounts: BTreeMap::new(),
        })
    }

    /// Judges a group; on a refusal takes back what it had accepted of it.
    fn judge<B: Borrow<Entry>>(&mut self, group: &'e [Checked<B>]) -> Answer {
        let (head, len) = (self.head, self.accepted.len());
        let judge = |checked: &'e Checked<B>| self.judge_entry(checked.entry.borrow(), checked.digest);
        let postings: Answer = group.iter().map(judge).collect();
        if postings.is_err() {
            self.head = head;
            for taken_back in self.accepted.split_off(len) {
                self.ids.remove(&taken_back.entry.id);
                for leg in &taken_back.entry.legs {
                    self.loaded(&leg.account).take_back(leg.amount);
                }
            }
        }
        postings
    }

    fn judge_entry(&mut self, entry: &'e Entry, digest: Hash32) -> Result<Posting, PostError> {
        let same_id = match self.ids.get(&entry.id).and_then(|at| self.accepted.get(*at)) {
            Some(accepted) => Some((accepted.seq, accepted.digest)),
            None => store::find_id(self.tx, &entry.id)?,
        };
        // Before the day is looked at: a repeat is answered even when the books of its day are closed by now.
        match same_id {
            Some((seq, booked)) if booked == digest => return Ok(Posting::Repeated { seq }),
            Some((seq, booked)) => {
                let id = entry.id.clone();
                return Err(PostError::Conflict { id, seq, expected: booked, found: digest });
            }
            None => {}
        }
        if let Some(closed) = self.closed.filter(|closed| entry.day <= *closed) {
            return Err(PostError::DayClosed { id: entry.id.clone(), day: entry.day, closed });
        }
        self.add_up(entry)?;
        let seq = self.head.seq.saturating_add(1);
        let link = link(&self.head.link, seq, entry.at, &digest);
        self.head = Head { seq, link };
        self.ids.insert(&entry.id, self.accepted.len());
        self.accepted.push(Numbered { entry, seq, digest, link });
        Ok(Posting::Posted { seq })
    }

    /// Adds the legs to their accounts, or to none.
    fn add_up(&mut self, entry: &Entry) -> Result<(), PostError> {
        for (done, leg) in entry.legs.iter().enumerate() {
            if !self.accounts.contains_key(&leg.account) {
                self.accounts.insert(leg.account.clone(), store::account(self.tx, &leg.account)?);
            }
            if !self.loaded(&leg.account).add(leg.amount) {
                for before in entry.legs.iter().take(done) {
                    self.loaded(&before.account).take_back(before.amount);
                }
                return Err(PostError::Overflow { id: entry.id.clone(), account: leg.account.clone() });
            }
        }
        Ok(())
    }

    #[expect(
        clippy::expect_used,
        reason = "add_up loads the account of a leg before anything is done with it"
    )]
    fn loaded(&mut self, code: &AccountCode) -> &mut Account {
        self.accounts.get_mut(code).expect("the account of a leg that was added up is loaded")
    }

    /// Writes what was accepted: entries, legs, then each touched account and its movement once.
    fn write(mut self) -> Result<(), StoreError> {
        if self.accepted.is_empty() {
            return Ok(());
        }
        let mut free_no = store::free_account_no(self.tx)?;
        let mut legs = Vec::with_capacity(self.accepted.len().saturating_mul(LEGS_MIN));
        let mut movements: BTreeMap<MovementKey, Movement> = BTreeMap::new();
        let accepted = std::mem::take(&mut self.accepted);
        for Numbered { entry, seq, .. } in &accepted {
            for (line, leg) in (0_i64..).zip(&entry.legs) {
                let account_no = self.loaded(&leg.account).number(&mut free_no);
                legs.push(store::NumberedLeg {
                    leg_no: store::leg_no(*seq, line),
                    account_no,
                    amount: leg.amount,
                });
                let key = MovementKey { account_no, day: entry.day, booked_on: entry.at.date };
                movements.entry(key).or_insert_with(|| Movement::starting(*seq)).add(*seq, leg.amount);
            }
        }
        store::insert_entries(self.tx, &accepted)?;
        store::insert_legs(self.tx, &legs)?;
        store::save_accounts(self.tx, &self.accounts)?;
        store::add_movements(self.tx, &movements)?;
        store::save_head(self.tx, &self.head)
    }
}
