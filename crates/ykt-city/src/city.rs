//! The city: founded from a seed, it lives its days of trade, its books close, and it proves itself.
//!
//! A day has a morning (the gateway settles, the bank executes yesterday's transfers), the errands of the
//! street, and an evening (files are collected, the day closes). The day after the last one only closes.

use crate::bank::Bank;
use crate::books;
use crate::company::{self, CHANNEL};
use crate::courier::{Courier, Damage, Delivery};
pub use crate::error::CityError;
use crate::factory::Factory;
use crate::gateway::Gateway;
use crate::hand::HeldCard;
use crate::names;
use crate::plan::{self, Errand, FileFaults, Planned, Scale, merchant_of};
use crate::proof::{self, CardReading, CardsProof, Outstanding, Proof};
use crate::report;
use crate::rng::SeededRng;
use crate::street::{Line, Load, Purchase, Street, StreetPos};
use crate::workshop::Workshop;
use std::path::PathBuf;
use std::sync::Arc;
use ykt_base::{Clock, Date, DateTime, KeyIndex, KeyVersion, Time};
use ykt_clearing::{Clearing, DirFolders, Folders, MemoryFolders};
use ykt_files::Industry;
use ykt_issue::Profile;
use ykt_kmc::download::Download;
use ykt_office::{Act, blacklist, cards};
use ykt_pay::TerminalDoor;
use ykt_purse::Purse;
use ykt_store::Store;
use ykt_terminal::batch::Batch;
use ykt_terminal::blacklist::Blacklist;
use ykt_terminal::host::OrderId;
use ykt_terminal::load::LoadTerminal;
use ykt_terminal::pos::{Pos, PosConfig};
use ykt_terminal::record::BatchId;
use ykt_terminal::store::MemoryStore;
use ykt_vault::{Levels, Origin, SoftVault};

/// Commission of the gateway, parts per million.
const GATEWAY_FEE_PPM: u32 = 6_000;
/// Version of every key of the city.
const KEY_VERSION: KeyVersion = KeyVersion(1);

/// Where the city keeps its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// In memory; gone with the program.
    Memory,
    /// In this directory, which must be new or empty.
    Directory(PathBuf),
}

/// A fault built into the program on purpose, to show that the proof finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// One record is lost between terminal and file, and the terminal believes it was sent.
    DropsRecord,
    /// One merchant's purchases of a day are booked a second time.
    BooksTwice,
}

/// How far the city is: stage, steps done, steps in all.
pub type Progress<'a> = &'a mut dyn FnMut(&str, usize, usize);

/// A terminal of the city with what it has not handed over yet.
struct Counter {
    pos: StreetPos,
    merchant: usize,
    industry: Industry,
    /// A batch that was closed but has not reached the centre, with the faults of its day.
    held_back: Option<(Batch, FileFaults)>,
}

/// The time of the step that is under way.
#[derive(Clone, Copy)]
struct Moment(DateTime);

impl Clock for Moment {
    fn now(&self) -> DateTime {
        self.0
    }
}

/// Where the folders are, as far as the city puts files into them and the bank takes them out.
enum Post {
    Memory(Arc<MemoryFolders>),
    Directory(Arc<DirFolders>),
}

/// What the city has to show at the end.
pub struct Outcome {
    /// The report, as it is printed.
    pub report: String,
    /// The proof.
    pub proof: Proof,
}

/// The city.
pub struct City {
    scale: Scale,
    store: Store,
    vault: Arc<SoftVault>,
    clearing: Clearing,
    post: Post,
    host: ykt_pay::LoadHost,
    street: Street,
    cards: Vec<HeldCard>,
    counters: Vec<Counter>,
    bank: Bank,
    gateway: Gateway,
    damage: Damage,
    courier_rng: SeededRng,
    orders: usize,
    mutant: Option<Mutant>,
}

impl City {
    /// Founds the city: keys, registers, cards and PSAMs.
    ///
    /// # Errors
    /// [`CityError`] when the size cannot be, the directory cannot be used, or a room below fails.
    pub fn found(scale: Scale, home: Home, progress: Progress<'_>) -> Result<City, CityError> {
        check_density(&scale)?;
        let (store, clearing_folders, post) = open_home(&home)?;
        let vault = Arc::new(SoftVault::generate(
            Levels::nation_city_card(),
            &mut SeededRng::stream(scale.seed, "keys"),
            Origin::Demo,
        ));
        company::found(&store, &scale, KEY_VERSION)?;
        let mut bank = Bank::new();
        books::open_bank(&mut bank, &scale)?;
        let founding_day = scale.founding_day().ok_or(CityError::Calendar)?;
        let factory = Factory::new(&*vault, founding_day, scale.seed);
        let profiles = [Profile::city_cpu(), Profile::psam()];
        let download = Download::new(store.clone(), vault.clone(), profiles);
        let workshop = Workshop::found(&download, &factory, company::founding(&scale)?)?;
        let cards = workshop.cards(scale.cards, &mut |done| progress("making cards", done, scale.cards))?;
        let psams =
            workshop.psams(scale.terminals, &mut |done| progress("making PSAMs", done, scale.terminals))?;
        let counters = psams.into_iter().enumerate();
        let counters = counters.map(|(index, psam)| open_counter(psam, index, &scale));
        let counters = counters.collect::<Result<_, CityError>>()?;
        let clearing = Clearing::new(store.clone(), clearing_folders, books::policy());
        let host = ykt_pay::LoadHost::new(store.clone(), vault.clone(), ykt_pay::Policy::default());
        Ok(City {
            store,
            vault,
            clearing,
            post,
            host,
            street: Street::new(scale.seed),
            cards,
            counters,
            bank,
            gateway: Gateway::new(GATEWAY_FEE_PPM),
            damage: Damage::default(),
            courier_rng: SeededRng::stream(scale.seed, "courier"),
            orders: 0,
            mutant: None,
            scale,
        })
    }

    /// Builds a fault into the program, to see whether the proof finds it.
    #[must_use]
    pub fn with_mutant(mut self, mutant: Mutant) -> City {
        self.mutant = Some(mutant);
        self
    }

    /// Size and seed.
    #[must_use]
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// The company's database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The company's vault, with demonstration keys.
    #[must_use]
    pub fn vault(&self) -> &Arc<SoftVault> {
        &self.vault
    }

    /// The last clearing day: the day after the last day of trade.
    ///
    /// # Errors
    /// [`CityError::Calendar`] when it leaves the calendar.
    pub fn last_day(&self) -> Result<Date, CityError> {
        self.day(self.scale.days)
    }

    /// Lives all days, closes the books of each and of the day after, and proves the result.
    ///
    /// # Errors
    /// [`CityError`] when a room below fails; a proof that does not hold is not an error but part of the outcome.
    pub fn live(&mut self, progress: Progress<'_>) -> Result<Outcome, CityError> {
        for day in 0..=self.scale.days {
            self.morning(day)?;
            if day < self.scale.days {
                self.trade(day, progress)?;
            }
            self.evening(day, progress)?;
        }
        let proof = self.prove(progress)?;
        let books = books::look(&self.store)?;
        let sheet = report::Sheet {
            scale: &self.scale,
            tally: &self.street.tally,
            damage: &self.damage,
            books: &books,
            proof: &proof,
        };
        Ok(Outcome { report: sheet.to_string(), proof })
    }

    fn day(&self, day: usize) -> Result<Date, CityError> {
        let days = i64::try_from(day).map_err(|_| CityError::Calendar)?;
        self.scale.first_day.plus_days(days).ok_or(CityError::Calendar)
    }

    fn at(&self, day: usize, hour: u8, minute: u8) -> Result<DateTime, CityError> {
        let time = Time::new(hour, minute, 0).ok_or(CityError::Calendar)?;
        Ok(DateTime { date: self.day(day)?, time })
    }

    /// The gateway settles yesterday, then the bank executes what it was sent.
    fn morning(&mut self, day: usize) -> Result<(), CityError> {
        let Some(yesterday) = day.checked_sub(1) else {
            return Ok(());
        };
        let at = self.at(day, 3, 0)?;
        let yesterday = self.day(yesterday)?;
        let takings = self.gateway.takings(yesterday)?;
        books::settle_gateway(&mut self.bank, &self.host, takings, yesterday, at)?;
        for (name, bytes) in self.bank_files()? {
            books::pay_out(&mut self.bank, &self.clearing, &name, &bytes, at)?;
        }
        books::sweep_income(&mut self.bank, &self.store, yesterday, at)?;
        Ok(())
    }

    fn bank_files(&self) -> Result<Vec<(String, Vec<u8>)>, CityError> {
        match &self.post {
            Post::Memory(folders) => Ok(folders.bank_outbox()),
            Post::Directory(folders) => books::read_outbox(&folders.bank_outbox())
                .map_err(|source| CityError::Directory { path: folders.bank_outbox(), source }),
        }
    }

    /// The errands of a day, in order of time.
    fn trade(&mut self, day: usize, progress: Progress<'_>) -> Result<(), CityError> {
        let errands = plan::plan_day(&self.scale, day);
        for (done, planned) in errands.iter().enumerate() {
            progress("living the day", done, errands.len());
            self.run(*planned)?;
        }
        self.give_back_abandoned(day)
    }

    fn run(&mut self, Planned { at, errand }: Planned) -> Result<(), CityError> {
        match errand {
            Errand::Purchase { card, terminal, amount, fault, comes_back } => {
                if let (Some(held), Some(counter)) =
                    (self.cards.get_mut(card), self.counters.get_mut(terminal))
                {
                    let purchase = Purchase { amount, fault, comes_back, at };
                    self.street.purchase(card, held, &mut counter.pos, purchase)?;
                }
            }
            Errand::Load { card, amount, fault } => {
                self.orders = self.orders.saturating_add(1);
                let order: OrderId = format!("L{}-{:06}", at.date.compact(), self.orders).parse()?;
                if let Some(held) = self.cards.get_mut(card) {
                    let terminal = LoadTerminal {
                        terminal: company::load_terminal_id(),
                        key_index: KeyIndex(1),
                        purse: Purse::Ep,
                    };
                    let mut line = Line {
                        host: TerminalDoor::new(self.host.clone(), Moment(at)),
                        gateway: &mut self.gateway,
                        day: at.date,
                        lose: None,
                    };
                    let load = Load { order: &order, amount, channel: CHANNEL, fault, at };
                    self.street.load(card, held, terminal, &mut line, &load)?;
                }
            }
            Errand::ReportLoss { card } => {
                let asn = company::card_number(card)?;
                let act = Act::of("counter 01", "desk", at);
                self.store.write(|tx| cards::report_loss(tx, &asn, at, &act))?;
                self.street.tally.losses = self.street.tally.losses.saturating_add(1);
            }
            Errand::FetchList { terminal } => self.fetch_list(terminal, at)?,
        }
        Ok(())
    }

    /// A terminal fetches the list. A faulty one acknowledges it and goes on with the old one.
    fn fetch_list(&mut self, terminal: usize, at: DateTime) -> Result<(), CityError> {
        let Some(counter) = self.counters.get_mut(terminal) else {
            return Ok(());
        };
        let pos = company::pos_number(terminal)?;
        let (version, entries) = self.store.write(|tx| -> Result<_, CityError> {
            let version = blacklist::version(tx)?;
            blacklist::list_delivered(tx, &pos, version, at)?;
            Ok((version, blacklist::newest(tx, blacklist::TERMINAL_LIST_LEN_MAX)?))
        })?;
        if !plan::ignores_list(terminal) {
            let numbers = entries.iter().map(|entry| entry.asn);
            counter.pos.replace_blacklist(Blacklist::new(version.0, numbers)?);
        }
        Ok(())
    }

    /// Money that was paid for loads nobody came for goes back at the end of the day.
    fn give_back_abandoned(&mut self, day: usize) -> Result<(), CityError> {
        let at = self.at(day, 23, 40)?;
        for order in books::abandoned_orders(&self.store)? {
            self.host.give_back(&order.id, at)?;
            self.gateway.give_back(order.id.as_str())?;
            self.street.tally.loads_given_back.add(order.amount.fen());
        }
        Ok(())
    }

    /// Files are collected, the day closes.
    fn evening(&mut self, day: usize, progress: Progress<'_>) -> Result<(), CityError> {
        let at = self.at(day, 23, 50)?;
        let faults = plan::plan_files(&self.scale, day);
        let mut sequences = vec![1u16; self.scale.merchants];
        let is_trade_day = day < self.scale.days;
        for (index, fault) in faults.iter().enumerate() {
            progress("collecting files", index, faults.len());
            self.collect(index, *fault, is_trade_day, &mut sequences, at)?;
        }
        progress("closing the day", 0, 1);
        books::close_day(&self.clearing, &*self.vault, at, &mut *progress)?;
        if self.mutant == Some(Mutant::BooksTwice) && day == 0 {
            books::book_twice(&self.store, at)?;
        }
        Ok(())
    }

    /// Collects one terminal: what it held back yesterday, and today's batch unless it is late.
    fn collect(
        &mut self,
        index: usize,
        fault: FileFaults,
        is_trade_day: bool,
        sequences: &mut [u16],
        at: DateTime,
    ) -> Result<(), CityError> {
        let Some(counter) = self.counters.get_mut(index) else {
            return Ok(());
        };
        let held_back = counter.held_back.take();
        let mut batches: Vec<(Batch, FileFaults)> = held_back.into_iter().collect();
        if is_trade_day {
            let sequence = sequences.get_mut(counter.merchant).map(next_sequence).unwrap_or(1);
            let batch = counter.pos.close_batch(BatchId { day: at.date, sequence }, at)?;
            if fault.late {
                self.damage.late_files = self.damage.late_files.saturating_add(1);
                counter.held_back = Some((batch, FileFaults { late: false, ..fault }));
            } else {
                batches.push((batch, fault));
            }
        }
        let partner = company::merchant_code(counter.merchant)?;
        let (merchant, industry) = (counter.merchant, counter.industry);
        for (batch, fault) in batches {
            let mut spare = 900;
            let mut courier = Courier {
                rng: &mut self.courier_rng,
                damage: &mut self.damage,
                next_sequence: sequences.get_mut(merchant).unwrap_or(&mut spare),
            };
            let mut deliveries = courier.carry(&batch, industry, fault)?;
            if self.mutant == Some(Mutant::DropsRecord)
                && let Some(first) = deliveries.first_mut()
                && courier.drop_record(first, industry)?
            {
                self.mutant = None;
            }
            for Delivery { name, bytes } in deliveries {
                match &self.post {
                    Post::Memory(folders) => folders.upload(partner, &name, bytes.clone()),
                    Post::Directory(folders) => books::upload(folders, &partner, &name, &bytes)
                        .map_err(|source| CityError::Directory { path: name.clone().into(), source })?,
                }
                self.clearing.receive(&partner, &name, &bytes, at, at.date)?;
            }
        }
        Ok(())
    }

    /// Reads every card, asks every terminal, and compares the three books.
    ///
    /// # Errors
    /// [`CityError`] when a book cannot be read.
    pub fn prove(&mut self, progress: Progress<'_>) -> Result<Proof, CityError> {
        let mut readings: Vec<CardReading> = Vec::with_capacity(self.cards.len());
        for (index, card) in self.cards.iter_mut().enumerate() {
            progress("reading the cards", index, self.scale.cards);
            readings.push(proof::read_card(card)?);
        }
        let mut outstanding: Vec<Outstanding> = Vec::new();
        for counter in &self.counters {
            outstanding.extend(in_terminal(counter));
        }
        outstanding.extend(books::unaccepted(&self.store)?);
        let liability = books::purse_liability(&self.store)?;
        Ok(Proof {
            cards: CardsProof::new(&readings, &outstanding, liability)?,
            open_orders: books::open_orders(&self.store)?,
            bank: books::compare_bank(&self.bank, &self.store)?,
            legs: books::check_legs(&self.store)?,
            reserve: books::check_reserve(&self.store, self.last_day()?)?,
        })
    }
}

fn next_sequence(next: &mut u16) -> u16 {
    let sequence = *next;
    *next = sequence.saturating_add(1);
    sequence
}

/// Half of a day's file numbers stay free for what comes twice.
const TERMINALS_PER_MERCHANT_MAX: usize = 400;

fn check_density(scale: &Scale) -> Result<(), CityError> {
    let most = TERMINALS_PER_MERCHANT_MAX;
    if scale.terminals > scale.merchants.saturating_mul(most) {
        return Err(CityError::TooDense { terminals: scale.terminals, merchants: scale.merchants, most });
    }
    Ok(())
}

/// Where the folders of partners and bank are, in the data directory.
pub const PARTNERS: &str = "partners";

/// What the store of a company needs.
pub const MODULES: &[ykt_store::Module] = &[
    ykt_office::MODULE,
    ykt_ledger::MODULE,
    ykt_pay::MODULE,
    ykt_clearing::MODULE,
    ykt_kmc::MODULE,
    ykt_kmc::ceremonies::MODULE,
    ykt_kmc::download::MODULE,
    ykt_kmc::key_cards::MODULE,
    ykt_kmc::psams::MODULE,
];

fn open_home(home: &Home) -> Result<(Store, Arc<dyn Folders>, Post), CityError> {
    match home {
        Home::Memory => {
            let folders = Arc::new(MemoryFolders::new());
            Ok((Store::in_memory(MODULES)?, folders.clone(), Post::Memory(folders)))
        }
        Home::Directory(path) => {
            let failed = |source| CityError::Directory { path: path.clone(), source };
            std::fs::create_dir_all(path).map_err(failed)?;
            if std::fs::read_dir(path).map_err(failed)?.next().is_some() {
                return Err(CityError::NotEmpty(path.clone()));
            }
            let store = Store::open(path, MODULES)?;
            let folders = Arc::new(DirFolders::open(&path.join(PARTNERS))?);
            Ok((store, folders.clone(), Post::Directory(folders)))
        }
    }
}

fn open_counter(psam: HeldCard, index: usize, scale: &Scale) -> Result<Counter, CityError> {
    let merchant = merchant_of(index, scale.merchants);
    let industry = Industry::new(names::shop(merchant).2.code).unwrap_or(Industry::BUS);
    let config = PosConfig::new(company::merchant_code(merchant)?, company::pos_number(index)?, industry);
    let pos = Pos::open(config, psam, MemoryStore::default())?;
    Ok(Counter { pos, merchant, industry, held_back: None })
}

/// Debits that a terminal knows of and the centre does not.
fn in_terminal(counter: &Counter) -> Vec<Outstanding> {
    use ykt_terminal::record::{Ending, Record};
    let book = counter.pos.book();
    let waiting = |record: &Record| Outstanding {
        asn: record.debit.card.asn,
        counter: record.debit.counter,
        terminal: record.debit.terminal,
        amount: record.debit.amount,
        confirmed: matches!(record.ending, Ending::Paid { .. }),
        cause: "in terminals 终端未上送".to_owned(),
    };
    let held_back = counter.held_back.as_ref().and_then(|(batch, _)| {
        let sequence = u16::try_from(batch.name.sequence).ok()?;
        book.batch(BatchId { day: batch.name.date, sequence })
    });
    book.open_records()
        .iter()
        .chain(held_back.unwrap_or_default())
        .map(waiting)
        .chain(book.pending().map(|debit| Outstanding {
            asn: debit.card.asn,
            counter: debit.counter,
            terminal: debit.terminal,
            amount: debit.amount,
            confirmed: false,
            cause: "in terminals 终端未上送".to_owned(),
        }))
        .collect()
}
