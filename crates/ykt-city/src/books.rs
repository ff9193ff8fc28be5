//! The finance desk and the bank's counter: paying out, settling with the gateway, closing days; and the looks
//! into the company's books that the report and the proof need.

use crate::bank::{Bank, BankError};
use crate::company::{
    self, BANK_NAME, CHANNEL, CompanyError, GATEWAY_ACCOUNT, OWN_ACCOUNT, RESERVE_ACCOUNT, entry,
};
use crate::gateway::Takings;
use crate::plan::Scale;
use crate::proof::{BankProof, LegsProof, Outstanding, ReserveProof};
use crate::tally::Count;
use std::collections::BTreeMap;
use std::path::Path;
use ykt_base::{Date, DateTime, Fen, MerchantCode};
use ykt_clearing::queries::{self, BillFilter, CauseRow, DayRow};
use ykt_clearing::{
    Bill, Clearing, CloseError, Closing, DirFolders, PaymentState, Phase, Policy, ReturnError, Step, Tray,
};
use ykt_files::{TransferFile, XmlError};
use ykt_ledger::{PostError, TrialLine};
use ykt_office::merchants;
use ykt_pay::order::Order;
use ykt_pay::{ChannelError, LoadHost, OrderFilter, OrderSort, OrderState, PayError};
use ykt_store::{Direction, Paging, Store, StoreError, Tx};
use ykt_vault::Vault;

/// Why the finance desk stops.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The bank refused.
    #[error(transparent)]
    Bank(#[from] BankError),
    /// A transfer or return file is broken.
    #[error("bank file: {0}")]
    File(#[from] XmlError),
    /// Clearing did not take the bank's answer.
    #[error(transparent)]
    Return(#[from] ReturnError),
    /// Pay did not take the gateway's settlement.
    #[error(transparent)]
    Pay(#[from] PayError),
    /// The channel's name is none.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// An entry is none.
    #[error(transparent)]
    Company(#[from] CompanyError),
    /// The ledger refused.
    #[error(transparent)]
    Post(#[from] PostError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sum does not fit, or a subject is missing from the chart.
    #[error("{0} does not fit")]
    Range(&'static str),
}

/// How clearing works here: the defaults, and the company's reserve account as payer.
#[must_use]
pub fn policy() -> Policy {
    Policy {
        payer_account: RESERVE_ACCOUNT.to_owned(),
        payer_bank: BANK_NAME.to_owned(),
        ..Policy::default()
    }
}

/// Opens everybody's account and pays in what the founding entries say. In a city of five merchants or more the
/// bank refuses payments to the last one: its bills stay owed.
///
/// # Errors
/// [`BooksError`] when a sum does not fit.
pub fn open_bank(bank: &mut Bank, scale: &Scale) -> Result<(), BooksError> {
    for account in [RESERVE_ACCOUNT, OWN_ACCOUNT, GATEWAY_ACCOUNT] {
        bank.open(account);
    }
    for index in 0..scale.merchants {
        bank.open(&company::merchant_account(index));
    }
    if let Some(last) = scale.merchants.checked_sub(1).filter(|last| *last >= 4) {
        bank.close(&company::merchant_account(last));
    }
    let day = scale.founding_day().ok_or(BooksError::Range("founding day"))?;
    bank.deposit(OWN_ACCOUNT, company::equity(), day, "founding/equity", "equity")?;
    bank.deposit(RESERVE_ACCOUNT, company::deposits(scale.cards)?, day, "founding/till", "cash")?;
    Ok(())
}

/// The bank executes a transfer file and clearing takes its answer.
///
/// # Errors
/// [`BooksError`] when the file is broken or clearing refuses the answer.
pub fn pay_out(
    bank: &mut Bank,
    clearing: &Clearing,
    name: &str,
    bytes: &[u8],
    at: DateTime,
) -> Result<(), BooksError> {
    let file = TransferFile::parse(bytes)?;
    let answer = bank.execute(&file, name, at.date).to_xml()?;
    clearing.bank_return(name, answer.as_bytes(), at.date, at)?;
    Ok(())
}

/// The gateway pays for `day` what it took less its fee; the company makes up the fee from its own money, for
/// the cards were loaded with the full amount.
///
/// # Errors
/// [`BooksError`] when bank or pay refuse.
pub fn settle_gateway(
    bank: &mut Bank,
    host: &LoadHost,
    takings: Takings,
    day: Date,
    at: DateTime,
) -> Result<(), BooksError> {
    if takings.gross.is_zero() {
        return Ok(());
    }
    let reference = |what: &str| format!("gateway/{}/{what}", day.compact());
    let today = at.date;
    bank.deposit(GATEWAY_ACCOUNT, takings.gross, today, &reference("in"), "payments of citizens")?;
    bank.transfer(GATEWAY_ACCOUNT, RESERVE_ACCOUNT, takings.net, today, &reference("net"), "settlement")?;
    if !takings.fee.is_zero() {
        bank.transfer(OWN_ACCOUNT, RESERVE_ACCOUNT, takings.fee, today, &reference("fee"), "fee made up")?;
    }
    host.settle_channel(day, &CHANNEL.parse()?, takings.gross, takings.fee, at)?;
    Ok(())
}

/// What the bills of `day` leave to the company: its commission, and the losses it bears.
///
/// # Errors
/// [`BooksError`] when a sum does not fit.
pub fn income_of(store: &Store, day: Date) -> Result<(Fen, Fen), BooksError> {
    let bills = store.read(|tx| bills_of(tx, day))?;
    let sum = |part: fn(&Bill) -> Fen| {
        Fen::checked_sum(bills.iter().map(part)).ok_or(BooksError::Range("income of a day"))
    };
    Ok((sum(|bill| bill.commission)?, sum(|bill| bill.operator.amount)?))
}

/// Moves the commission of `day`'s bills to the company's own account, and makes up from it what the operator
/// bears (V17): merchants are paid for those purchases, but no holder's purse is charged.
///
/// # Errors
/// [`BooksError`] when bank or ledger refuse.
pub fn sweep_income(bank: &mut Bank, store: &Store, day: Date, at: DateTime) -> Result<(), BooksError> {
    let (commission, losses) = income_of(store, day)?;
    let (reserve, own) = (("1002.01", RESERVE_ACCOUNT), ("1002.02", OWN_ACCOUNT));
    for (what, event, amount, from, to) in [
        ("commission", "COMMISSION-SWEEP", commission, reserve, own),
        ("losses", "OWN-COVERS", losses, own, reserve),
    ] {
        if amount.is_zero() {
            continue;
        }
        let id = format!("sweep/{}/{what}", day.compact());
        let memo = format!("{what} of clearing day {day}");
        let booked = entry(&id, event, at, (to.0, from.0), amount, &memo)?;
        bank.transfer(from.1, to.1, amount, at.date, &id, &memo)?;
        store.write(|tx| ykt_ledger::post(tx, &[booked]))?;
    }
    Ok(())
}

/// Closes the clearing day of `at`.
///
/// # Errors
/// [`CloseError`].
pub fn close_day(
    clearing: &Clearing,
    vault: &dyn Vault,
    at: DateTime,
    progress: &mut dyn FnMut(&str, usize, usize),
) -> Result<(), CloseError> {
    let mut watch = |step: Step| {
        if let Step::Done(phase) = step {
            let done = Phase::ALL.iter().position(|known| *known == phase).unwrap_or(0);
            progress("closing the day", done, Phase::ALL.len());
        }
    };
    clearing.close_day(at.date, at, &mut Closing { vault, loads: &ykt_pay::Loads, watch: &mut watch })?;
    Ok(())
}

/// Books the purchases of the largest bill a second time, on the day after `at`: a fault for the proof to find.
///
/// # Errors
/// [`BooksError`] when the ledger refuses.
pub fn book_twice(store: &Store, at: DateTime) -> Result<(), BooksError> {
    let bills = store.read(|tx| bills_of(tx, at.date))?;
    let Some(bill) = bills.iter().max_by_key(|bill| bill.gross()) else {
        return Ok(());
    };
    let tomorrow = at.plus_seconds(3_600).ok_or(BooksError::Range("tomorrow"))?;
    let payee = format!("2202.01/{}", bill.merchant);
    let again = entry("mutant/again", "PURCHASE", tomorrow, ("2001", &payee), bill.gross(), "booked twice")?;
    store.write(|tx| ykt_ledger::post(tx, &[again]))?;
    Ok(())
}

/// Load orders that were paid and that nobody came for.
///
/// # Errors
/// [`StoreError`].
pub fn abandoned_orders(store: &Store) -> Result<Vec<Order>, StoreError> {
    let filter = OrderFilter { state: Some(OrderState::Paid), ..OrderFilter::default() };
    store.read(|tx| {
        let mut all = Vec::new();
        for page in 1u32.. {
            let paging = Paging::new(page, ykt_store::PAGE_ROWS_MAX);
            let rows = ykt_pay::orders(tx, &filter, (OrderSort::default(), Direction::Up), paging)?.rows;
            if rows.is_empty() {
                break;
            }
            all.extend(rows);
        }
        Ok(all)
    })
}

/// Load orders that are neither credited nor given back.
///
/// # Errors
/// [`StoreError`].
pub fn open_orders(store: &Store) -> Result<Count, StoreError> {
    let (filter, sort) = (OrderFilter::default(), (OrderSort::default(), Direction::Up));
    let totals = store.read(|tx| ykt_pay::orders(tx, &filter, sort, Paging::first(1)))?.totals;
    let is_open = |state: &OrderState| !matches!(state, OrderState::Credited | OrderState::GivenBack);
    let open = totals.by_state.into_iter().filter(|(state, _)| is_open(state));
    Ok(open.fold(Count::default(), |sum, (_, (count, amount))| sum.plus(count, amount)))
}

/// What the ledger owes the holders of cards: 2001, as a positive amount.
///
/// # Errors
/// [`BooksError`].
pub fn purse_liability(store: &Store) -> Result<Fen, BooksError> {
    subject_balance(store, "2001")?.checked_neg().ok_or(BooksError::Range("purse liability"))
}

fn subject_balance(store: &Store, code: &str) -> Result<Fen, BooksError> {
    let subject = ykt_ledger::chart::subject(code).ok_or(BooksError::Range("subject of the chart"))?;
    Ok(store.read(|tx| ykt_ledger::subject_balance(tx, subject, None))?)
}

/// Purchases that clearing knows and the purse liability was not charged with.
///
/// # Errors
/// [`StoreError`].
pub fn unaccepted(store: &Store) -> Result<Vec<Outstanding>, StoreError> {
    store.read(|tx| {
        let mut found = Vec::new();
        for debit in queries::unaccepted(tx)? {
            let Some(purchase) = queries::record(tx, debit.record)?.and_then(|row| row.purchase) else {
                continue;
            };
            found.push(Outstanding {
                asn: debit.asn,
                counter: debit.counter,
                terminal: purchase.terminal,
                amount: debit.amount,
                confirmed: !purchase.is_grey(),
                cause: format!("{} {}: {}", debit.cause.code(), debit.cause.text(), debit.state),
            });
        }
        Ok(found)
    })
}

/// The bank's statement beside the ledger's bank accounts.
///
/// # Errors
/// [`BooksError`].
pub fn compare_bank(bank: &Bank, store: &Store) -> Result<Vec<BankProof>, BooksError> {
    [("1002.01", RESERVE_ACCOUNT), ("1002.02", OWN_ACCOUNT)]
        .into_iter()
        .map(|(account, number)| {
            let statement =
                bank.statement(number).ok_or_else(|| BankError::NoAccount { account: number.to_owned() })?;
            Ok(BankProof {
                account: account.to_owned(),
                bank_account: number.to_owned(),
                movements: statement.lines.len(),
                statement: statement.balance,
                ledger: subject_balance(store, account)?,
            })
        })
        .collect()
}

/// The reserve rule (备付金, `clearing.md` 5) after clearing day `last`: what is there for the holders beyond what
/// they are owed must be the income of that day, which is swept the next morning.
///
/// # Errors
/// [`BooksError`].
pub fn check_reserve(store: &Store, last: Date) -> Result<ReserveProof, BooksError> {
    let sum = |subjects: &[&str]| -> Result<Fen, BooksError> {
        let balances: Vec<Fen> =
            subjects.iter().map(|code| subject_balance(store, code)).collect::<Result<_, _>>()?;
        Fen::checked_sum(balances).ok_or(BooksError::Range("reserve"))
    };
    let (commission, losses) = income_of(store, last)?;
    let minus = |a: Fen, b: Fen| a.checked_sub(b).ok_or(BooksError::Range("reserve"));
    Ok(ReserveProof {
        // Debit balances are positive, credit balances negative: the sum is assets less payables.
        cover: sum(&["1001", "1002.01", "1221.01", "2202.01"])?,
        owed: minus(Fen::ZERO, sum(&["2001", "2002", "2003", "2011"])?)?,
        unswept: minus(commission, losses)?,
    })
}

/// The ledger against itself: the sum of all legs, the chain, the balances recomputed from the legs.
///
/// # Errors
/// [`BooksError`].
pub fn check_legs(store: &Store) -> Result<LegsProof, BooksError> {
    store.read(|tx| {
        let balances = ykt_ledger::trial_balance(tx, None)?;
        let sum = Fen::checked_sum(balances.iter().map(|line| line.balance))
            .ok_or(BooksError::Range("sum of all legs"))?;
        let chain = ykt_ledger::verify_chain(tx)?;
        let differences = ykt_ledger::verify_balances(tx)?;
        let fault = match (&chain.altered, differences.first()) {
            (Some(altered), _) => Some(format!("the chain is broken: {altered:?}")),
            (None, Some(difference)) => Some(format!("a balance differs from its legs: {difference:?}")),
            (None, None) => None,
        };
        Ok(LegsProof { entries: u64::try_from(chain.entries).unwrap_or(0), sum, fault })
    })
}

/// Puts a file into a partner's upload folder, as the partner would.
///
/// # Errors
/// What the file system says.
pub fn upload(folders: &DirFolders, partner: &MerchantCode, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let tray = folders.tray(partner, Tray::Upload);
    std::fs::create_dir_all(&tray)?;
    std::fs::write(tray.join(name), bytes)
}

/// The files that wait for the bank, by name.
///
/// # Errors
/// What the file system says.
pub fn read_outbox(outbox: &Path) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for file in std::fs::read_dir(outbox)? {
        let file = file?;
        if file.file_type()?.is_file() {
            files.push((file.file_name().to_string_lossy().into_owned(), std::fs::read(file.path())?));
        }
    }
    files.sort();
    Ok(files)
}

/// The books of all clearing days, for the report.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// Clearing days, oldest first.
    pub days: Vec<DayRow>,
    /// Bills by day and merchant, with the merchant's English name.
    pub bills: Vec<(Bill, String)>,
    /// Payments by transfer file and state.
    pub payments: Vec<(String, PaymentState, Count)>,
    /// Records with a verdict of their own by cause and fate, over all days.
    pub causes: Vec<CauseRow>,
    /// The trial balance.
    pub balances: Vec<TrialLine>,
}

/// Looks up everything the report shows.
///
/// # Errors
/// [`StoreError`].
pub fn look(store: &Store) -> Result<Books, StoreError> {
    store.read(|tx| {
        let mut days = queries::days(tx)?;
        days.reverse();
        let mut bills = Vec::new();
        for day in &days {
            for bill in bills_of(tx, day.day)? {
                let merchant = merchants::merchant(tx, &bill.merchant)?;
                bills.push((bill, merchant.map(|row| row.merchant.name_en).unwrap_or_default()));
            }
        }
        Ok(Books {
            days,
            bills,
            payments: payments(tx)?,
            causes: queries::by_cause(tx, None)?,
            balances: ykt_ledger::trial_balance(tx, None)?,
        })
    })
}

fn payments(tx: &Tx<'_>) -> Result<Vec<(String, PaymentState, Count)>, StoreError> {
    let mut found = Vec::new();
    for (transfer, payments) in queries::transfers(tx)?.into_iter().rev() {
        let mut states: BTreeMap<PaymentState, Count> = BTreeMap::new();
        for paid in payments {
            states.entry(paid.state).or_default().add(paid.payment.amount);
        }
        found.extend(states.into_iter().map(|(state, count)| (transfer.name.clone(), state, count)));
    }
    Ok(found)
}

fn bills_of(tx: &Tx<'_>, day: Date) -> Result<Vec<Bill>, StoreError> {
    let filter = BillFilter { day: Some(day), ..BillFilter::default() };
    let mut all = Vec::new();
    for page in 1u32.. {
        let rows = queries::bills(tx, &filter, Paging::new(page, ykt_store::PAGE_ROWS_MAX))?.rows;
        if rows.is_empty() {
            break;
        }
        all.extend(rows);
    }
    Ok(all)
}
