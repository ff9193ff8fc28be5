//! Transactions of a purse: the bench plays terminal, PSAM and load host at once, with the MACs they would make or
//! with wrong ones, and books what the card answers.

use super::books::{Done, PurseBooks};
use super::{Bench, Finding, STATUS, Stop, encoded, lacks_key};
use crate::action::{CounterName, KeyName, MacFault, PinChoice, ProofCounter, Transaction};
use crate::plan::LogCounter;
use crate::template::Masked;
use crate::words::{Text, Words};
use ykt_base::hex::Hex;
use ykt_base::{CardCounter, DateTime, KeyIndex, Mac4, Random4, StatusWord, TerminalId, TerminalSeq};
use ykt_crypto::{CardKey, SessionKey};
use ykt_purse::command;
use ykt_purse::load::{self, CreditForLoad, InitializeForLoad, Load, LoadAnswer};
use ykt_purse::log::{LogRecord, RECORD_LEN};
use ykt_purse::prove::{Proof, ProveTransaction};
use ykt_purse::purchase::{
    self, DebitAnswer, DebitForPurchase, InitializeForPurchase, Purchase, PurchaseAnswer, PurchaseKind,
};
use ykt_purse::{Algorithm, OverdraftLimit, Purse, PurseFen, TransactionType};

/// Most payments it takes to use up a counter.
const USE_UP_MAX: usize = 64;
/// Most records of a log that are compared.
const LOG_MAX: usize = 10;

const BALANCE: (&str, &str) = ("balance", "余额");
const ONLINE: (&str, &str) = ("online counter", "联机交易序号");
const OFFLINE: (&str, &str) = ("offline counter", "脱机交易序号");
const LENGTH: (&str, &str) = ("answer to INITIALIZE", "初始化响应");
const MAC1: (&str, &str) = ("MAC1 of the card", "卡片 MAC1");
const MAC2: (&str, &str) = ("MAC2 of the card", "卡片 MAC2");
const TAC: (&str, &str) = ("TAC", "TAC");
const LOG: (&str, &str) = ("log record", "交易明细");
const PROOF: (&str, &str) = ("proof (MAC and TAC)", "交易认证（MAC 与 TAC）");

/// A transaction that INITIALIZE has begun.
#[derive(Debug, Clone, Copy)]
pub(super) enum Begun {
    Load { load: Load, answer: LoadAnswer },
    Purchase { purchase: Purchase, answer: PurchaseAnswer },
}

impl Bench<'_> {
    pub(super) fn initialize(
        &mut self,
        transaction: Transaction,
        purse: Purse,
        amount: u32,
        index: Option<u8>,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        let amount = fen(amount)?;
        let key_index = KeyIndex(index.unwrap_or(self.desk.settings.index));
        let terminal = self.desk.settings.terminal;
        let purchase = |kind| Purchase { kind, amount, terminal };
        match transaction {
            Transaction::Load => {
                let load = Load { purse, amount, terminal };
                self.initialize_load(InitializeForLoad { key_index, load }, sw)
            }
            Transaction::Purchase => self.initialize_purchase(
                InitializeForPurchase { key_index, purchase: purchase(PurchaseKind::Purchase(purse)) },
                sw,
            ),
            Transaction::Cash => self.initialize_purchase(
                InitializeForPurchase { key_index, purchase: purchase(PurchaseKind::CashWithdraw) },
                sw,
            ),
            Transaction::Composite => self.initialize_purchase(
                InitializeForPurchase { key_index, purchase: purchase(PurchaseKind::Composite(purse)) },
                sw,
            ),
        }
    }

    fn initialize_load(&mut self, init: InitializeForLoad, sw: &Words) -> Result<StatusWord, Stop> {
        let response = self.demand("INITIALIZE FOR LOAD", Masked::open(&init.to_apdu()), sw)?;
        if !response.sw().is_ok() {
            return Ok(response.sw());
        }
        let answer = LoadAnswer::from_bytes(response.data());
        let answer = answer.ok_or_else(|| Finding::new(LENGTH, "16 bytes", Hex(response.data())))?;
        let load = init.load;
        let books = self.books.of(load.purse);
        agree(BALANCE, &mut books.balance, answer.balance)?;
        agree(ONLINE, &mut books.online, answer.counter)?;
        let dlk =
            self.transaction_key(KeyName::Dlk, init.key_index, answer.key_version.0, answer.algorithm)?;
        let session = load::session_key(&dlk, answer.random, answer.counter);
        same(MAC1, load::mac1(&session, &load, answer.balance), answer.mac1)?;
        self.begun.push(Begun::Load { load, answer });
        Ok(response.sw())
    }

    fn initialize_purchase(&mut self, init: InitializeForPurchase, sw: &Words) -> Result<StatusWord, Stop> {
        let response = self.demand("INITIALIZE FOR PURCHASE", Masked::open(&init.to_apdu()), sw)?;
        if !response.sw().is_ok() {
            return Ok(response.sw());
        }
        let answer = PurchaseAnswer::from_bytes(response.data());
        let answer = answer.ok_or_else(|| Finding::new(LENGTH, "15 bytes", Hex(response.data())))?;
        let purchase = init.purchase;
        let books = self.books.of(purchase.kind.purse());
        agree(BALANCE, &mut books.balance, answer.balance)?;
        agree(OFFLINE, &mut books.offline, answer.counter)?;
        self.begun.push(Begun::Purchase { purchase, answer });
        Ok(response.sw())
    }

    /// CREDIT FOR LOAD of the load begun last; without one, of a load that nobody began.
    pub(super) fn credit(&mut self, fault: MacFault, sw: &Words) -> Result<StatusWord, Stop> {
        let mut loads = self.begun.iter().rev().filter_map(|begun| match begun {
            Begun::Load { load, answer } => Some((*load, *answer)),
            Begun::Purchase { .. } => None,
        });
        let (load, answer) = loads.next().unwrap_or_else(|| self.no_load());
        let old = loads.next();
        let at = self.desk.at;
        let mac2 = {
            let session = |answer: LoadAnswer, name| {
                self.transaction_key(
                    name,
                    KeyIndex(self.desk.settings.index),
                    answer.key_version.0,
                    answer.algorithm,
                )
                .map(|key| load::session_key(&key, answer.random, answer.counter))
            };
            let signed = |session: SessionKey, load: Load, at| load::mac2(&session, &load, at);
            match fault {
                MacFault::OldSession => {
                    let (_, old) = old.ok_or_else(|| no_earlier("INITIALIZE FOR LOAD"))?;
                    signed(session(old, KeyName::Dlk)?, load, at)
                }
                MacFault::OtherKey => signed(session(answer, KeyName::Dtk)?, load, at),
                MacFault::OtherSequence => return Err(no_meaning("CREDIT FOR LOAD")),
                _ => {
                    let (amount, terminal, other_type) = altered(fault, load.amount, load.terminal)?;
                    let purse = if other_type { other(load.purse) } else { load.purse };
                    let mac = signed(
                        session(answer, KeyName::Dlk)?,
                        Load { purse, amount, terminal },
                        time(fault, at),
                    );
                    spoilt(fault, mac)
                }
            }
        };
        let command = CreditForLoad { at, mac2 }.to_apdu();
        let response = self.demand("CREDIT FOR LOAD", Masked::open(&command), sw)?;
        if response.sw().is_ok() {
            let balance = answer.balance.checked_add(load.amount);
            let balance = balance.ok_or_else(|| Finding::new(BALANCE, "at most 7FFFFFFF", "more"))?;
            let tac_key = self.tac_key(answer.algorithm)?;
            let tac = load::tac(&tac_key, &load, balance, answer.counter, at);
            same(TAC, Hex(tac.as_bytes()).to_string(), Hex(response.data()).to_string())?;
            let next = answer.counter.next();
            let books = self.books.of(load.purse);
            (books.balance, books.online) = (Some(balance), next);
            let done =
                self.record(load.transaction_type(), answer.counter, load.amount, OverdraftLimit::NONE);
            self.books.of(load.purse).done.push(Done { proof: Proof::of_tac(tac), ..done });
        }
        Ok(response.sw())
    }

    /// DEBIT of the purchase begun last; without one, of a purchase that nobody began.
    pub(super) fn debit(&mut self, fault: MacFault, sw: &Words) -> Result<StatusWord, Stop> {
        let mut purchases = self.begun.iter().rev().filter_map(|begun| match begun {
            Begun::Purchase { purchase, answer } => Some((*purchase, *answer)),
            Begun::Load { .. } => None,
        });
        let (purchase, answer) = purchases.next().unwrap_or_else(|| self.no_purchase());
        let old = purchases.next();
        self.sequence = self.sequence.saturating_add(1);
        let (sequence, at) = (TerminalSeq(self.sequence), self.desk.at);
        let session = |answer: PurchaseAnswer, name, sequence| {
            self.transaction_key(
                name,
                KeyIndex(self.desk.settings.index),
                answer.key_version.0,
                answer.algorithm,
            )
            .map(|key| purchase::session_key(&key, answer.random, answer.counter, sequence))
        };
        let right = session(answer, KeyName::Dpk, sequence)?;
        let mac1 = match fault {
            MacFault::OldSession => {
                let (_, old) = old.ok_or_else(|| no_earlier("INITIALIZE FOR PURCHASE"))?;
                purchase::mac1(&session(old, KeyName::Dpk, sequence)?, &purchase, at)
            }
            MacFault::OtherKey => purchase::mac1(&session(answer, KeyName::Dtk, sequence)?, &purchase, at),
            MacFault::OtherSequence => {
                let later = TerminalSeq(self.sequence.saturating_add(1));
                purchase::mac1(&session(answer, KeyName::Dpk, later)?, &purchase, at)
            }
            _ => {
                let (amount, terminal, other_type) = altered(fault, purchase.amount, purchase.terminal)?;
                let kind = if other_type { other_kind(purchase.kind) } else { purchase.kind };
                let terms = Purchase { kind, amount, terminal };
                spoilt(fault, purchase::mac1(&right, &terms, time(fault, at)))
            }
        };
        let command = DebitForPurchase { sequence, at, mac1 }.to_apdu();
        let response = self.demand("DEBIT FOR PURCHASE", Masked::open(&command), sw)?;
        if response.sw().is_ok() {
            let balance = answer.balance.checked_sub(purchase.amount);
            let balance = balance.ok_or_else(|| Finding::new(BALANCE, "not below zero", "below zero"))?;
            let tac = purchase::tac(&self.tac_key(answer.algorithm)?, &purchase, sequence, at);
            let mac2 = purchase::mac2(&right, purchase.amount);
            let given = DebitAnswer::from_bytes(response.data())
                .ok_or_else(|| Finding::new(super::ANSWER, "TAC and MAC2, 8 bytes", Hex(response.data())))?;
            same(TAC, tac, given.tac)?;
            same(MAC2, mac2, given.mac2)?;
            let purse = purchase.kind.purse();
            let books = self.books.of(purse);
            (books.balance, books.offline) = (Some(balance), answer.counter.next());
            let kind = purchase.kind.transaction_type();
            let done = self.record(kind, answer.counter, purchase.amount, answer.overdraft);
            self.books.of(purse).done.push(Done { proof: Proof { mac2, tac }, ..done });
        }
        Ok(response.sw())
    }

    fn record(
        &self,
        transaction: TransactionType,
        used: CardCounter,
        amount: PurseFen,
        overdraft: OverdraftLimit,
    ) -> Done {
        let counter = match self.desk.settings.log_counter {
            LogCounter::After => used.next().unwrap_or(used),
            LogCounter::Used => used,
        };
        let terminal = self.desk.settings.terminal;
        let record = LogRecord { counter, overdraft, amount, transaction, terminal, at: self.desk.at };
        Done { transaction, used, record, proof: Proof::of_tac(Mac4([0; 4])) }
    }

    pub(super) fn balance(&mut self, purse: Purse, sw: &Words) -> Result<StatusWord, Stop> {
        let response = self.demand("GET BALANCE", encoded(&command::balance(purse)), sw)?;
        if response.sw().is_ok() {
            let found = <[u8; 4]>::try_from(response.data()).ok().and_then(PurseFen::from_bytes);
            let found =
                found.ok_or_else(|| Finding::new(BALANCE, "4 bytes up to 7FFFFFFF", Hex(response.data())))?;
            agree(BALANCE, &mut self.books.of(purse).balance, found)?;
        }
        Ok(response.sw())
    }

    /// The transactions of this case, as the log must show them.
    pub(super) fn log(&mut self, purse: Purse) -> Result<StatusWord, Stop> {
        let sfi = match purse {
            Purse::Ed => self.desk.settings.log_ed,
            Purse::Ep => self.desk.settings.log_ep,
        };
        let done: Vec<Done> = self.books.of(purse).done.iter().rev().take(LOG_MAX).copied().collect();
        for (number, done) in (1..).zip(done) {
            let read = command::read_record(number, sfi, u16::try_from(RECORD_LEN).unwrap_or(0));
            let response = self.demand("READ RECORD of the log", encoded(&read), &Words::ok())?;
            let expected = done.record.to_bytes();
            same(LOG, Hex(&expected).to_string(), Hex(response.data()).to_string())?;
        }
        Ok(StatusWord::OK)
    }

    pub(super) fn proof(
        &mut self,
        purse: Purse,
        counter: ProofCounter,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        let done = self.books.of(purse).done.last().copied();
        let done = done.ok_or_else(|| no_earlier("transaction"))?;
        let counter = match counter {
            ProofCounter::After => done.used.next().unwrap_or(done.used),
            ProofCounter::Used => done.used,
            ProofCounter::Before => CardCounter(done.used.0.wrapping_sub(1)),
            ProofCounter::Other => CardCounter(done.used.0.wrapping_add(0x4000)),
        };
        let ask = ProveTransaction { transaction: done.transaction, counter };
        let response = self.demand("GET TRANSACTION PROVE", Masked::open(&ask.to_apdu()), sw)?;
        if response.sw().is_ok() {
            let expected = done.proof.to_bytes();
            // Some cards give the TAC of a load alone.
            let is_tac = done.transaction.counts_online() && response.data() == done.proof.tac.as_bytes();
            if response.data() != expected && !is_tac {
                return Err(Finding::new(PROOF, Hex(&expected), Hex(response.data())).into());
            }
        }
        Ok(response.sw())
    }

    /// Balance, log, proof and counters.
    pub(super) fn all_books(&mut self, purse: Purse) -> Result<StatusWord, Stop> {
        self.balance(purse, &Words::ok())?;
        self.log(purse)?;
        let PurseBooks { balance, online, offline, done } = self.books.of(purse).clone();
        if !done.is_empty() {
            self.proof(purse, ProofCounter::After, &Words::ok())?;
        }
        let any = Words::any();
        if offline.is_some_and(|counter| counter.next().is_some())
            && balance.is_some_and(|fen| !fen.is_zero())
        {
            self.initialize(Transaction::Purchase, purse, 1, None, &any)?;
        }
        if online.is_some_and(|counter| counter.next().is_some()) {
            self.initialize(Transaction::Load, purse, 1, None, &any)?;
        }
        Ok(StatusWord::OK)
    }

    /// Loads what is missing; afterwards power was off and the application is selected.
    pub(super) fn fund(&mut self, purse: Purse, amount: u32) -> Result<StatusWord, Stop> {
        let (wanted, there) = (fen(amount)?, self.money(purse)?);
        if let Some(missing) = wanted.checked_sub(there).filter(|missing| !missing.is_zero()) {
            self.move_money(Transaction::Load, purse, missing)?;
        }
        self.start()?;
        Ok(StatusWord::OK)
    }

    /// Pays what is too much; afterwards power was off and the application is selected.
    pub(super) fn drain(&mut self, purse: Purse, amount: u32) -> Result<StatusWord, Stop> {
        let (wanted, there) = (fen(amount)?, self.money(purse)?);
        if let Some(excess) = there.checked_sub(wanted).filter(|excess| !excess.is_zero()) {
            self.move_money(Transaction::Purchase, purse, excess)?;
        }
        self.start()?;
        Ok(StatusWord::OK)
    }

    /// Loads or pays until the purse holds this much.
    ///
    /// # Errors
    /// [`Stop`] when keys are missing or the card refuses.
    pub fn bring_to(&mut self, purse: Purse, wanted: PurseFen) -> Result<(), Stop> {
        let wanted = u32::from_be_bytes(wanted.to_bytes());
        self.fund(purse, wanted)?;
        self.drain(purse, wanted).map(drop)
    }

    /// How many transactions the card has finished.
    #[must_use]
    pub fn finished(&mut self) -> usize {
        [Purse::Ed, Purse::Ep].into_iter().map(|purse| self.books.of(purse).done.len()).sum()
    }

    /// The balance, with the PIN shown when the card asks for it.
    ///
    /// # Errors
    /// [`Stop`] when it cannot be read.
    pub fn money(&mut self, purse: Purse) -> Result<PurseFen, Stop> {
        let command = encoded(&command::balance(purse));
        if self.transmit("GET BALANCE", command)?.sw() == StatusWord::SECURITY_STATUS {
            self.verify(PinChoice::Right, &Words::ok())?;
        }
        self.balance(purse, &Words::ok())?;
        let known = self.books.of(purse).balance;
        known.ok_or_else(|| Finding::new(BALANCE, "a balance", "none").into())
    }

    /// Loads or pays, with the PIN shown when the card asks for it.
    fn move_money(&mut self, transaction: Transaction, purse: Purse, amount: PurseFen) -> Result<(), Stop> {
        let amount = u32::from_be_bytes(amount.to_bytes());
        let needed: &[KeyName] = match transaction {
            Transaction::Load => &[KeyName::Dlk, KeyName::Dtk],
            _ => &[KeyName::Dpk, KeyName::Dtk],
        };
        let settings = self.desk.settings;
        for name in needed {
            self.key(*name, settings.index, settings.version).map_err(|_| lacks_key(*name))?;
        }
        let mut sw = self.initialize(transaction, purse, amount, None, &Words::any())?;
        if sw == StatusWord::SECURITY_STATUS {
            self.verify(PinChoice::Right, &Words::ok())?;
            sw = self.initialize(transaction, purse, amount, None, &Words::any())?;
        }
        if !sw.is_ok() {
            return Err(Finding::new(STATUS, Words::ok(), sw).into());
        }
        match transaction {
            Transaction::Load => self.credit(MacFault::None, &Words::ok()),
            _ => self.debit(MacFault::None, &Words::ok()),
        }
        .map(drop)
    }

    pub(super) fn use_up(&mut self, purse: Purse, counter: CounterName) -> Result<StatusWord, Stop> {
        let transaction = match counter {
            CounterName::Online => Transaction::Load,
            CounterName::Offline => Transaction::Purchase,
        };
        for _ in 0..USE_UP_MAX {
            let sw = self.initialize(transaction, purse, 1, None, &Words::any())?;
            match sw {
                StatusWord::COUNTER_AT_MAXIMUM => return Ok(sw),
                StatusWord::SECURITY_STATUS => self.verify(PinChoice::Right, &Words::ok())?,
                StatusWord::OK if transaction == Transaction::Load => {
                    self.credit(MacFault::None, &Words::ok())?
                }
                StatusWord::OK => self.debit(MacFault::None, &Words::ok())?,
                _ => return Err(Finding::new(STATUS, StatusWord::COUNTER_AT_MAXIMUM, sw).into()),
            };
        }
        Err(Finding::new(STATUS, StatusWord::COUNTER_AT_MAXIMUM, "no end of the counter").into())
    }

    fn transaction_key(
        &self,
        name: KeyName,
        index: KeyIndex,
        version: u8,
        algorithm: u8,
    ) -> Result<CardKey, Stop> {
        if algorithm == Algorithm::Sm4.code() {
            let zh = "此卡使用 SM4 密钥，密钥文件只有 3DES 密钥";
            return Err(Stop::Unable(Text::new("the card has an SM4 key, the key file 3DES keys only", zh)));
        }
        self.key(name, index.0, version).or_else(|_| self.key(name, index.0, self.desk.settings.version))
    }

    fn tac_key(&self, algorithm: u8) -> Result<SessionKey, Stop> {
        let settings = self.desk.settings;
        let key = self.transaction_key(KeyName::Dtk, KeyIndex(settings.index), settings.version, algorithm);
        key.map(|key| key.tac_key())
    }

    /// A load that no INITIALIZE began, for a follow-up alone.
    fn no_load(&self) -> (Load, LoadAnswer) {
        let settings = self.desk.settings;
        let load = Load { purse: settings.purse, amount: PurseFen::ZERO, terminal: settings.terminal };
        let answer = LoadAnswer {
            balance: PurseFen::ZERO,
            counter: CardCounter(0),
            key_version: ykt_base::KeyVersion(settings.version),
            algorithm: 0,
            random: Random4([0; 4]),
            mac1: Mac4([0; 4]),
        };
        (load, answer)
    }

    /// A purchase that no INITIALIZE began, for a follow-up alone.
    fn no_purchase(&self) -> (Purchase, PurchaseAnswer) {
        let settings = self.desk.settings;
        let kind = PurchaseKind::Purchase(settings.purse);
        let purchase = Purchase { kind, amount: PurseFen::ZERO, terminal: settings.terminal };
        let answer = PurchaseAnswer {
            balance: PurseFen::ZERO,
            counter: CardCounter(0),
            overdraft: OverdraftLimit::NONE,
            key_version: ykt_base::KeyVersion(settings.version),
            algorithm: 0,
            random: Random4([0; 4]),
        };
        (purchase, answer)
    }
}

/// The books must agree with what the card says; what they did not know they learn.
fn agree<T: Copy + PartialEq + std::fmt::Display>(
    subject: (&str, &str),
    known: &mut Option<T>,
    found: T,
) -> Result<(), Finding> {
    match *known {
        Some(expected) => same(subject, expected, found),
        None => {
            *known = Some(found);
            Ok(())
        }
    }
}

fn same<T: PartialEq + std::fmt::Display>(
    subject: (&str, &str),
    expected: T,
    found: T,
) -> Result<(), Finding> {
    if expected == found { Ok(()) } else { Err(Finding::new(subject, expected, found)) }
}

fn fen(amount: u32) -> Result<PurseFen, Stop> {
    PurseFen::from_bytes(amount.to_be_bytes()).ok_or_else(|| {
        let en = "amounts above 7FFFFFFF are written as bytes, with `send`";
        Stop::Unable(Text::new(en, "大于 7FFFFFFF 的金额须用 send 直接写字节"))
    })
}

fn no_earlier(what: &str) -> Stop {
    Stop::Unable(Text::new(
        format!("there is no earlier {what} in this case"),
        format!("本用例中没有更早的 {what}"),
    ))
}

fn no_meaning(command: &str) -> Stop {
    Stop::Unable(Text::new(
        format!("this fault has no meaning in {command}"),
        format!("{command} 没有此种错误"),
    ))
}

/// Amount and terminal a MAC covers, and whether it covers another type.
fn altered(
    fault: MacFault,
    amount: PurseFen,
    terminal: TerminalId,
) -> Result<(PurseFen, TerminalId, bool), Stop> {
    let one = fen(1)?;
    let more = || amount.checked_add(one).or_else(|| amount.checked_sub(one)).unwrap_or(amount);
    let [a, b, c, d, e, f] = terminal.0;
    Ok(match fault {
        MacFault::OtherAmount => (more(), terminal, false),
        MacFault::OtherTerminal => (amount, TerminalId([a, b, c, d, e, f ^ 1]), false),
        MacFault::OtherType => (amount, terminal, true),
        _ => (amount, terminal, false),
    })
}

fn time(fault: MacFault, at: DateTime) -> DateTime {
    match fault {
        MacFault::OtherTime => at.plus_seconds(-1).unwrap_or(at),
        _ => at,
    }
}

fn spoilt(fault: MacFault, mac: Mac4) -> Mac4 {
    let Mac4([a, b, c, d]) = mac;
    match fault {
        MacFault::WrongBit => Mac4([a, b, c, d ^ 1]),
        MacFault::Zero => Mac4([0; 4]),
        _ => mac,
    }
}

const fn other(purse: Purse) -> Purse {
    match purse {
        Purse::Ed => Purse::Ep,
        Purse::Ep => Purse::Ed,
    }
}

const fn other_kind(kind: PurchaseKind) -> PurchaseKind {
    match kind {
        PurchaseKind::Purchase(purse) => PurchaseKind::Purchase(other(purse)),
        PurchaseKind::CashWithdraw => PurchaseKind::Purchase(Purse::Ed),
        PurchaseKind::Composite(purse) => PurchaseKind::Purchase(purse),
    }
}
