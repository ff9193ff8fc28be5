//! A point of sale: takes money from cards that are shown to it, and never takes it twice (`epurse.md` 7.5).
//!
//! Money is gone when the card answers DEBIT. So the debit is in the record book before it is sent, its ending
//! before the beep, and a card that left in between is asked at its return what happened.

use crate::batch::{self, Batch, BatchError};
use crate::blacklist::Blacklist;
use crate::card::{self, CardError, LOG_RECORDS_MAX, Step};
use crate::psam::{Psam, PsamError, Verdict};
use crate::record::{BatchId, CardFacts, Debit, Ending, Mac2Check, Record};
use crate::recovery::{Evidence, evidence, purchase_type};
use crate::store::{RecordBook, RecordStore, StoreError};
use ykt_base::{
    Asn8, CardChannel, ChannelError, DateTime, Fen, IssuerFactor, KeyVersion, Mac4, MerchantCode, PosNo,
    StatusWord,
};
use ykt_files::Industry;
use ykt_purse::files::PublicData;
use ykt_purse::psam::{CardFactors, InitSamForPurchase};
use ykt_purse::purchase::{
    DebitAnswer, DebitForPurchase, InitializeForPurchase, Purchase, PurchaseAnswer, PurchaseKind,
};
use ykt_purse::{Purse, PurseFen};

/// Whose POS it is and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PosConfig {
    /// Merchant that is paid.
    pub merchant: MerchantCode,
    /// Number of this POS.
    pub pos: PosNo,
    /// Industry in the names of its batch files.
    pub industry: Industry,
    /// Cities whose cards are taken beside the PSAM's own.
    pub other_cities: Vec<IssuerFactor>,
    /// How long a pulled card that comes back gets the service it has paid for, in seconds.
    pub recovery_s_max: u32,
    /// Highest amount of one purchase.
    pub amount_max: Fen,
    /// What is charged: the purse, or the deposit, which asks for the PIN and fits no purchase file. A journal holds
    /// the records of one of them.
    pub purse: Purse,
}

impl PosConfig {
    /// Seconds after which a pulled card pays anew (`epurse.md` 4.9).
    pub const RECOVERY_S: u32 = 120;
    /// What the eight digits of a batch file hold.
    pub const FILE_FEN_MAX: Fen = Fen::new(99_999_999);

    /// A POS with the usual limits that takes the cards of its PSAM's city.
    #[must_use]
    pub fn new(merchant: MerchantCode, pos: PosNo, industry: Industry) -> PosConfig {
        PosConfig {
            merchant,
            pos,
            industry,
            other_cities: Vec::new(),
            recovery_s_max: PosConfig::RECOVERY_S,
            amount_max: PosConfig::FILE_FEN_MAX,
            purse: Purse::Ep,
        }
    }
}

/// What became of a card that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The card paid: beep.
    Paid(Receipt),
    /// The card had paid before it was pulled, and gets its service now; it was not charged again.
    Recovered(Receipt),
    /// The card is not taken; nothing was charged now.
    Declined(Refusal),
    /// The card left too early: show it again.
    TryAgain {
        /// Step without answer.
        step: Step,
        /// Whether it can have been charged.
        money: Money,
    },
}

/// Whether a card that left can have been charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Money {
    /// No.
    Unmoved,
    /// It can: the debit is pending until the card is back or the batch closes.
    MayHaveMoved,
}

/// What the customer gets on paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The record as it is stored.
    pub record: Record,
    /// Balance after the debit.
    pub balance: Fen,
}

/// Why a card is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has no application of the city card.
    #[error("not a city card")]
    NotACityCard,
    /// The application or the card is locked.
    #[error("the card is locked")]
    Locked,
    /// Its issuer has not enabled it, or has disabled it.
    #[error("the card is not enabled")]
    NotEnabled,
    /// Its first day is still to come, or its last one has passed.
    #[error("the card is valid from {from} to {until} only")]
    OutOfDate {
        /// First day.
        from: ykt_base::Date,
        /// Last day.
        until: ykt_base::Date,
    },
    /// It is on the blacklist.
    #[error("the card is on blacklist version {version}")]
    Blacklisted {
        /// Version of the list.
        version: u32,
    },
    /// It comes from a city whose cards are not taken here.
    #[error("cards of city {city} are not taken here")]
    OtherCity {
        /// Factor of its city.
        city: IssuerFactor,
    },
    /// There is too little on it.
    #[error("balance {balance} yuan is too small")]
    InsufficientFunds {
        /// What there is.
        balance: Fen,
    },
    /// There is more on it than a batch file can tell.
    #[error("balance {balance} yuan is more than a record can carry")]
    BalanceTooHigh {
        /// What there is.
        balance: Fen,
    },
    /// The PSAM has no purchase key of this version.
    #[error("this terminal has no purchase key of version {version}")]
    KeyVersion {
        /// Version on the card.
        version: KeyVersion,
    },
    /// The card's MAC2 was wrong: its record goes out grey.
    #[error("the card could not prove that it is genuine")]
    NotGenuine,
    /// A command was refused.
    #[error("{step}: the card answered {sw}")]
    Refused {
        /// The step.
        step: Step,
        /// Its status word.
        sw: StatusWord,
    },
    /// An answer was none.
    #[error("{step}: the card's answer makes no sense")]
    Unreadable {
        /// The step.
        step: Step,
    },
}

/// A fault of the terminal: the card is not to blame.
#[derive(Debug, thiserror::Error)]
pub enum PosError {
    /// The PSAM does not serve.
    #[error(transparent)]
    Psam(#[from] PsamError),
    /// The record book cannot be read or written.
    #[error("the records of the terminal")]
    Store(#[from] StoreError),
    /// The card reader failed.
    #[error("card reader: {step}: {cause}")]
    Reader {
        /// The step.
        step: Step,
        /// What failed.
        cause: ChannelError,
    },
    /// The amount cannot be charged here.
    #[error("an amount from 0.01 to {most} yuan can be charged here, found {found}")]
    Amount {
        /// Amount asked for.
        found: Fen,
        /// Highest amount.
        most: Fen,
    },
    /// A batch could not be written.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// How a purchase stops before its end.
enum Stop {
    Outcome(Outcome),
    Fault(PosError),
}

impl<E: Into<PosError>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Fault(error.into())
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Outcome(Outcome::Declined(refusal))
    }
}

impl From<CardError> for Stop {
    fn from(error: CardError) -> Stop {
        match error {
            CardError::Silent { step, cause: ChannelError::NoCard | ChannelError::Removed } => {
                Stop::Outcome(Outcome::TryAgain { step, money: Money::Unmoved })
            }
            CardError::Silent { step, cause } => Stop::Fault(PosError::Reader { step, cause }),
            CardError::Refused { step: Step::SelectApplication, sw: StatusWord::NOT_FOUND } => {
                Refusal::NotACityCard.into()
            }
            CardError::Refused {
                sw: StatusWord::NOT_SUPPORTED | StatusWord::SELECTED_LOCKED | StatusWord::PERMANENTLY_LOCKED,
                ..
            } => Refusal::Locked.into(),
            CardError::Refused { step, sw } => Refusal::Refused { step, sw }.into(),
            CardError::Unreadable { step, .. } => Refusal::Unreadable { step }.into(),
        }
    }
}

/// A POS with its PSAM and its record book.
pub struct Pos<P, S> {
    config: PosConfig,
    psam: Psam<P>,
    book: RecordBook<S>,
    blacklist: Blacklist,
}

impl<P: CardChannel, S: RecordStore> Pos<P, S> {
    /// Starts a POS: reads the PSAM and the journal. It has no blacklist yet.
    ///
    /// # Errors
    /// [`PosError`] when one of them cannot be read.
    pub fn open(config: PosConfig, psam: P, store: S) -> Result<Pos<P, S>, PosError> {
        let psam = Psam::open(psam)?;
        let book = RecordBook::open(store)?;
        Ok(Pos { config, psam, book, blacklist: Blacklist::default() })
    }

    /// The PSAM.
    #[must_use]
    pub fn psam(&self) -> &Psam<P> {
        &self.psam
    }

    /// The records.
    #[must_use]
    pub fn book(&self) -> &RecordBook<S> {
        &self.book
    }

    /// The blacklist in use.
    #[must_use]
    pub fn blacklist(&self) -> &Blacklist {
        &self.blacklist
    }

    /// Takes a new blacklist into use.
    pub fn replace_blacklist(&mut self, blacklist: Blacklist) {
        self.blacklist = blacklist;
    }

    /// Charges `amount` to the card, or gives it the service it has paid for already.
    ///
    /// # Errors
    /// [`PosError`] for faults of the terminal. A debit that may have happened stays pending through them.
    pub fn purchase(
        &mut self,
        card: &mut (impl CardChannel + ?Sized),
        amount: Fen,
        at: DateTime,
    ) -> Result<Outcome, PosError> {
        let most = self.config.amount_max.min(PosConfig::FILE_FEN_MAX);
        let fits = amount > Fen::ZERO && amount <= most;
        let Some(purse) = PurseFen::try_from(amount).ok().filter(|_| fits) else {
            return Err(PosError::Amount { found: amount, most });
        };
        match self.serve(card, purse, at) {
            Ok(outcome) | Err(Stop::Outcome(outcome)) => Ok(outcome),
            Err(Stop::Fault(error)) => Err(error),
        }
    }

    /// Closes a batch and writes its file. What is pending for longer than the time of recovery goes out grey.
    /// A batch that is closed already is written again, byte for byte.
    ///
    /// # Errors
    /// [`PosError`] when the journal does not take it or a record does not fit the file.
    pub fn close_batch(&mut self, id: BatchId, at: DateTime) -> Result<Batch, PosError> {
        Ok(batch::close(&self.config, &mut self.book, id, at)?)
    }

    /// Writes the file of a closed batch again, or `None` when there is no such batch.
    ///
    /// # Errors
    /// [`BatchError`] when a record does not fit the file.
    pub fn batch(&self, id: BatchId) -> Result<Option<Batch>, BatchError> {
        self.book.batch(id).map(|records| batch::write(&self.config, id, records)).transpose()
    }

    fn serve(
        &mut self,
        card: &mut (impl CardChannel + ?Sized),
        amount: PurseFen,
        at: DateTime,
    ) -> Result<Outcome, Stop> {
        let public = card::open(card)?;
        let balance = card::balance_of(card, self.config.purse)?;
        if let Some(record) = self.settle(card, public.asn, at)? {
            return Ok(Outcome::Recovered(Receipt { record, balance }));
        }
        self.check(&public, at)?;
        if balance < amount.fen() {
            return Err(Refusal::InsufficientFunds { balance }.into());
        }
        if balance > PosConfig::FILE_FEN_MAX {
            return Err(Refusal::BalanceTooHigh { balance }.into());
        }
        self.charge(card, &public, amount, at)
    }

    /// Dates, flags, lists: what can be refused without asking the card for money.
    fn check(&self, public: &PublicData, at: DateTime) -> Result<(), Refusal> {
        let city = public.factor();
        let version = self.blacklist.version();
        if city != self.psam.application().issuer && !self.config.other_cities.contains(&city) {
            Err(Refusal::OtherCity { city })
        } else if !public.is_enabled() {
            Err(Refusal::NotEnabled)
        } else if !(public.start..=public.expiry).contains(&at.date) {
            Err(Refusal::OutOfDate { from: public.start, until: public.expiry })
        } else if self.blacklist.lists(&public.asn) {
            Err(Refusal::Blacklisted { version })
        } else {
            Ok(())
        }
    }

    /// INITIALIZE, 8070, DEBIT, 8072.
    fn charge(
        &mut self,
        card: &mut (impl CardChannel + ?Sized),
        public: &PublicData,
        amount: PurseFen,
        at: DateTime,
    ) -> Result<Outcome, Stop> {
        let kind = PurchaseKind::Purchase(self.config.purse);
        let purchase = Purchase { kind, amount, terminal: self.psam.terminal() };
        let key_index = self.psam.application().key_index;
        let initialize = InitializeForPurchase { key_index, purchase };
        let offer = card::demand(
            card,
            Step::InitializeForPurchase,
            &initialize.to_apdu(),
            PurchaseAnswer::from_bytes,
        )?;
        self.void_unmoved(public.asn, &offer)?;
        let serial = self.book.next_serial()?;
        let signed = self.psam.sign(&InitSamForPurchase {
            random: offer.random,
            counter: offer.counter,
            amount,
            kind,
            at,
            key_version: offer.key_version,
            algorithm: offer.algorithm,
            factors: CardFactors::two_levels(public.factor(), public.asn),
        });
        let signed = match signed {
            Err(PsamError::Step(CardError::Refused {
                sw: StatusWord::KEY_NOT_FOUND | StatusWord::KEY_INDEX,
                ..
            })) => return Err(Refusal::KeyVersion { version: offer.key_version }.into()),
            other => other?,
        };
        let debit = Debit {
            serial,
            card: facts(public),
            counter: offer.counter,
            terminal: purchase.terminal,
            sequence: signed.sequence,
            balance_before: offer.balance.fen(),
            amount: amount.fen(),
            at,
        };
        self.book.begin(debit)?;
        let command = DebitForPurchase { sequence: signed.sequence, at, mac1: signed.mac1 }.to_apdu();
        let answer = match card::demand(card, Step::Debit, &command, DebitAnswer::from_bytes) {
            Ok(answer) => answer,
            Err(error) => return Err(self.undebited(&debit, error)?),
        };
        let record = self.finish(&debit, answer.tac, answer.mac2)?;
        let balance = offer.balance.checked_sub(amount).unwrap_or_default().fen();
        Ok(Outcome::Paid(Receipt { record, balance }))
    }

    /// Checks MAC2 and stores the ending of a debit whose answer is known.
    fn finish(&mut self, debit: &Debit, tac: Mac4, mac2: Mac4) -> Result<Record, Stop> {
        let verdict = self.psam.check(debit.sequence, mac2);
        let ending = match &verdict {
            Ok(Verdict::Right) => Ending::Paid { tac, mac2: Mac2Check::Right },
            Ok(Verdict::Wrong) => Ending::Grey { tac: Some(tac) },
            Ok(Verdict::ContextGone) | Err(_) => Ending::Paid { tac, mac2: Mac2Check::NotAsked },
        };
        self.book.end(debit.serial, ending)?;
        match verdict? {
            Verdict::Wrong => Err(Refusal::NotGenuine.into()),
            Verdict::Right | Verdict::ContextGone => Ok(Record { debit: *debit, ending }),
        }
    }

    /// What a DEBIT without its answer means: a card that said no has not paid, a silent one may have.
    fn undebited(&mut self, debit: &Debit, error: CardError) -> Result<Stop, StoreError> {
        let unsure = |step| Stop::Outcome(Outcome::TryAgain { step, money: Money::MayHaveMoved });
        Ok(match error {
            CardError::Refused { sw: StatusWord::MEMORY_FAILURE | StatusWord::NO_DIAGNOSIS, step }
            | CardError::Unreadable { step, .. }
            | CardError::Silent { step, cause: ChannelError::NoCard | ChannelError::Removed } => unsure(step),
            CardError::Refused { .. } => {
                self.book.end(debit.serial, Ending::Void)?;
                error.into()
            }
            CardError::Silent { .. } => error.into(),
        })
    }

    /// Settles what is pending of a card that came back; gives the record it may still be served for.
    fn settle(
        &mut self,
        card: &mut (impl CardChannel + ?Sized),
        asn: Asn8,
        at: DateTime,
    ) -> Result<Option<Record>, Stop> {
        let pending: Vec<Debit> = self.book.pending_of(asn).copied().collect();
        if pending.is_empty() {
            return Ok(None);
        }
        let log = card::log(card)?;
        let mut served = None;
        for debit in &pending {
            let record = match evidence(self.config.purse, debit, &log, usize::from(LOG_RECORDS_MAX)) {
                Evidence::Latest => match card::prove(card, purchase_type(self.config.purse), debit.counter)?
                {
                    Some(proof) => self.finish(debit, proof.tac, proof.mac2)?,
                    None => self.end_grey(debit)?,
                },
                Evidence::Older => self.end_grey(debit)?,
                Evidence::Absent => {
                    self.book.end(debit.serial, Ending::Void)?;
                    continue;
                }
                Evidence::Unknown => continue,
            };
            let age_s = at.second_number().saturating_sub(debit.at.second_number());
            if (0..=i64::from(self.config.recovery_s_max)).contains(&age_s) {
                served = Some(record);
            }
        }
        Ok(served)
    }

    /// The log shows the debit, but its proof is gone: the centre confirms it by the card's next record.
    fn end_grey(&mut self, debit: &Debit) -> Result<Record, StoreError> {
        let ending = Ending::Grey { tac: None };
        self.book.end(debit.serial, ending)?;
        Ok(Record { debit: *debit, ending })
    }

    /// A counter that has not moved proves that a pending debit never happened, whatever the log could tell.
    fn void_unmoved(&mut self, asn: Asn8, offer: &PurchaseAnswer) -> Result<(), StoreError> {
        let unmoved = |debit: &&Debit| offer.counter <= debit.counter;
        let serials: Vec<_> = self.book.pending_of(asn).filter(unmoved).map(|debit| debit.serial).collect();
        serials.into_iter().try_for_each(|serial| self.book.end(serial, Ending::Void))
    }
}

fn facts(public: &PublicData) -> CardFacts {
    let [main_type, sub_type] = public.class();
    CardFacts { asn: public.asn, main_type, sub_type, start: public.start, expiry: public.expiry }
}
