//! Load, purchase, cash withdrawal and composite purchase: the bench plays terminal, PSAM and load host at once, with
//! the MACs they would make or with wrong ones, and books what the card answers.

use super::books::Done;
use super::faults::{Kind, Opened, Session, Terms, faulty_mac, fen};
use super::{ANSWER, BALANCE, Bench, Finding, OFFLINE, ONLINE, Stop, Usage, agree, same};
use crate::action::{KeyName, MacFault, Transaction};
use crate::plan::LogCounter;
use crate::template::Masked;
use crate::words::{Text, Words};
use ykt_base::hex::Hex;
use ykt_base::{CardCounter, KeyIndex, KeyVersion, Mac4, Random4, StatusWord, TerminalSeq};
use ykt_crypto::{CardKey, SessionKey};
use ykt_purse::grey::{GreyLock, OnlineUnlock, UnlockOffer};
use ykt_purse::load::{self, CreditForLoad, InitializeForLoad, Load, LoadAnswer};
use ykt_purse::log::LogRecord;
use ykt_purse::overdraft::UpdateAnswer;
use ykt_purse::prove::Proof;
use ykt_purse::purchase::{
    self, DebitAnswer, DebitForPurchase, InitializeForPurchase, Purchase, PurchaseAnswer, PurchaseKind,
};
use ykt_purse::unload::Unload;
use ykt_purse::{Algorithm, OverdraftLimit, Purse, PurseFen, TransactionType};

pub(super) const LENGTH: (&str, &str) = ("answer to INITIALIZE", "初始化响应");
pub(super) const MAC1: (&str, &str) = ("MAC1 of the card", "卡片 MAC1");
pub(super) const MAC2: (&str, &str) = ("MAC2 of the card", "卡片 MAC2");
pub(super) const MAC3: (&str, &str) = ("MAC3 of the card", "卡片 MAC3");
pub(super) const TAC: (&str, &str) = ("TAC", "TAC");

/// A transaction that INITIALIZE has begun, with what the card answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Begun {
    Load(Load, LoadAnswer),
    Purchase(Purchase, PurchaseAnswer),
    Unload(Unload, LoadAnswer),
    Update(UpdateAnswer),
    Lock(GreyLock, PurchaseAnswer),
    Unlock(OnlineUnlock, UnlockOffer),
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
        let kind = match transaction {
            Transaction::Load => {
                let load = Load { purse, amount, terminal };
                return self.initialize_load(&InitializeForLoad { key_index, load }, sw);
            }
            Transaction::Unload => return self.initialize_unload(key_index, Unload { amount, terminal }, sw),
            Transaction::Overdraft => return self.initialize_update(key_index, sw),
            Transaction::GreyLock => {
                return self.initialize_lock(key_index, GreyLock { purse, terminal }, sw);
            }
            Transaction::GreyUnlock => return self.initialize_unlock(key_index, purse, sw),
            Transaction::Purchase => PurchaseKind::Purchase(purse),
            Transaction::Cash => PurchaseKind::CashWithdraw,
            Transaction::Composite => PurchaseKind::Composite,
        };
        let purchase = Purchase { kind, amount, terminal };
        self.initialize_purchase(&InitializeForPurchase { key_index, purchase }, sw)
    }

    fn initialize_load(&mut self, init: &InitializeForLoad, sw: &Words) -> Result<StatusWord, Stop> {
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
        let dlk = self.transaction_key(KeyName::Dlk, answer.key_version, answer.algorithm)?;
        let session = load::session_key(&dlk, answer.random, answer.counter);
        same(MAC1, load::mac1(&session, &load, answer.balance), answer.mac1)?;
        self.begun.push(Begun::Load(load, answer));
        Ok(response.sw())
    }

    fn initialize_purchase(&mut self, init: &InitializeForPurchase, sw: &Words) -> Result<StatusWord, Stop> {
        let purchase = init.purchase;
        let command = Masked::open(&init.to_apdu());
        let Some(answer) = self.opened("INITIALIZE FOR PURCHASE", command, purchase.kind.purse(), sw)? else {
            return Ok(self.last_sw);
        };
        self.begun.push(Begun::Purchase(purchase, answer));
        Ok(StatusWord::OK)
    }

    /// Sends an INITIALIZE that is answered as that of a purchase is; `None` when it is refused as expected.
    pub(super) fn opened(
        &mut self,
        title: &str,
        command: Masked,
        purse: Purse,
        sw: &Words,
    ) -> Result<Option<PurchaseAnswer>, Stop> {
        let response = self.demand(title, command, sw)?;
        if !response.sw().is_ok() {
            return Ok(None);
        }
        let answer = PurchaseAnswer::from_bytes(response.data());
        let answer = answer.ok_or_else(|| Finding::new(LENGTH, "15 bytes", Hex(response.data())))?;
        let books = self.books.of(purse);
        agree(BALANCE, &mut books.balance, answer.balance)?;
        agree(OFFLINE, &mut books.offline, answer.counter)?;
        books.overdraft = Some(answer.overdraft);
        Ok(Some(answer))
    }

    /// What this case has begun of a kind: newest, and the one before.
    pub(super) fn latest<T>(&self, pick: impl Fn(&Begun) -> Option<T>) -> (Option<T>, Option<T>) {
        let mut begun = self.begun.iter().rev().filter_map(pick);
        (begun.next(), begun.next())
    }

    /// CREDIT FOR LOAD of the load begun last; without one, of a load that nobody began.
    pub(super) fn credit(&mut self, fault: MacFault, sw: &Words) -> Result<StatusWord, Stop> {
        let (newest, old) = self.latest(|begun| match begun {
            Begun::Load(load, answer) => Some((*load, *answer)),
            _ => None,
        });
        let (load, answer) = newest.unwrap_or_else(|| self.no_load());
        let at = self.desk.at;
        let opened = Opened {
            key: KeyName::Dlk,
            initialize: "INITIALIZE FOR LOAD",
            now: answer.into(),
            old: old.map(|(_, answer)| answer.into()),
        };
        let session = |session| self.host_session(&opened, session);
        let terms = Terms { amount: load.amount, terminal: load.terminal, at, kind: Kind::Right };
        let mac2 = faulty_mac(fault, terms, session, |session, terms| {
            let purse = if terms.kind == Kind::Right { load.purse } else { other(load.purse) };
            let load = Load { purse, amount: terms.amount, terminal: terms.terminal };
            load::mac2(session, &load, terms.at)
        })?;
        let command = Masked::open(&CreditForLoad { at, mac2 }.to_apdu());
        let usage = Usage::from(newest.is_some() && fault == MacFault::None && sw.accept(StatusWord::OK));
        let response = self.prove("CREDIT FOR LOAD", command, sw, KeyName::Dlk, usage)?;
        if response.sw().is_ok() {
            let balance = answer.balance.checked_add(load.amount);
            let balance = balance.ok_or_else(|| Finding::new(BALANCE, "at most 7FFFFFFF", "more"))?;
            let tac = load::tac(&self.tac_key(answer.algorithm)?, &load, balance, answer.counter, at);
            same(TAC, Hex(tac.as_bytes()).to_string(), Hex(response.data()).to_string())?;
            let books = self.books.of(load.purse);
            (books.balance, books.online) = (Some(balance), answer.counter.next());
            let kind = load.transaction_type();
            self.book(load.purse, kind, answer.counter, load.amount, Proof::of_tac(tac));
        }
        Ok(response.sw())
    }

    /// DEBIT of the purchase begun last; without one, of a purchase that nobody began.
    pub(super) fn debit(&mut self, fault: MacFault, sw: &Words) -> Result<StatusWord, Stop> {
        let (newest, old) = self.latest(|begun| match begun {
            Begun::Purchase(purchase, answer) => Some((*purchase, *answer)),
            _ => None,
        });
        let (purchase, answer) = newest.unwrap_or_else(|| self.no_purchase());
        let (sequence, at) = (self.next_sequence(), self.desk.at);
        let opened = Opened {
            key: KeyName::Dpk,
            initialize: "INITIALIZE FOR PURCHASE",
            now: answer.into(),
            old: old.map(|(_, answer)| answer.into()),
        };
        let session = |session| {
            self.terminal_session(&opened, sequence, session, |key, offer, sequence| {
                purchase::session_key(key, offer.random, offer.counter, sequence)
            })
        };
        let right = session(Session::Right)?;
        let terms = Terms { amount: purchase.amount, terminal: purchase.terminal, at, kind: Kind::Right };
        let mac1 = faulty_mac(fault, terms, session, |session, terms| {
            let kind = if terms.kind == Kind::Right { purchase.kind } else { other_kind(purchase.kind) };
            let purchase = Purchase { kind, amount: terms.amount, terminal: terms.terminal };
            purchase::mac1(session, &purchase, terms.at)
        })?;
        let command = Masked::open(&DebitForPurchase { sequence, at, mac1 }.to_apdu());
        let usage = Usage::from(newest.is_some() && fault == MacFault::None && sw.accept(StatusWord::OK));
        let response = self.prove("DEBIT FOR PURCHASE", command, sw, KeyName::Dpk, usage)?;
        if response.sw().is_ok() {
            let balance = answer.balance.checked_sub(purchase.amount);
            let balance = balance.ok_or_else(|| Finding::new(BALANCE, "not below zero", "below zero"))?;
            let tac = purchase::tac(&self.tac_key(answer.algorithm)?, &purchase, sequence, at);
            let mac2 = purchase::mac2(&right, purchase.amount);
            let given = DebitAnswer::from_bytes(response.data())
                .ok_or_else(|| Finding::new(ANSWER, "TAC and MAC2, 8 bytes", Hex(response.data())))?;
            same(TAC, tac, given.tac)?;
            same(MAC2, mac2, given.mac2)?;
            let purse = purchase.kind.purse();
            let books = self.books.of(purse);
            (books.balance, books.offline) = (Some(balance), answer.counter.next());
            let kind = purchase.kind.transaction_type();
            self.book(purse, kind, answer.counter, purchase.amount, Proof { mac2, tac });
        }
        Ok(response.sw())
    }

    /// The sequence that the bench's terminal gives its next transaction.
    pub(super) fn next_sequence(&mut self) -> TerminalSeq {
        self.sequence = self.sequence.saturating_add(1);
        TerminalSeq(self.sequence)
    }

    /// Books a transaction that the card has finished.
    pub(super) fn book(
        &mut self,
        purse: Purse,
        transaction: TransactionType,
        used: CardCounter,
        amount: PurseFen,
        proof: Proof,
    ) {
        let settings = self.desk.settings;
        let counter = match settings.log_counter {
            LogCounter::After => used.next().unwrap_or(used),
            LogCounter::Used => used,
        };
        let (terminal, at) = (settings.terminal, self.desk.at);
        let books = self.books.of(purse);
        let limit = match purse {
            Purse::Ed => books.overdraft,
            Purse::Ep => Some(OverdraftLimit::NONE),
        };
        let overdraft = limit.unwrap_or(OverdraftLimit::NONE);
        let record = LogRecord { counter, overdraft, amount, transaction, terminal, at };
        books.done.push(Done { transaction, used, record, is_limit_known: limit.is_some(), proof });
    }

    /// The key of a transaction, in the version and algorithm the card states.
    pub(super) fn transaction_key(
        &self,
        name: KeyName,
        version: KeyVersion,
        algorithm: u8,
    ) -> Result<CardKey, Stop> {
        if algorithm == Algorithm::Sm4.code() {
            let zh = "此卡使用 SM4 密钥，密钥文件只有 3DES 密钥";
            return Err(Stop::Unable(Text::new("the card has an SM4 key, the key file 3DES keys only", zh)));
        }
        let settings = self.desk.settings;
        let index = name.index(settings);
        self.key(name, index, version.0).or_else(|_| self.key(name, index, settings.version))
    }

    pub(super) fn tac_key(&self, algorithm: u8) -> Result<SessionKey, Stop> {
        let version = KeyVersion(self.desk.settings.version);
        self.transaction_key(KeyName::Dtk, version, algorithm).map(|key| key.tac_key())
    }

    /// A load that no INITIALIZE began, for a follow-up alone.
    fn no_load(&self) -> (Load, LoadAnswer) {
        let settings = self.desk.settings;
        let load = Load { purse: settings.purse, amount: PurseFen::ZERO, terminal: settings.terminal };
        (load, self.no_load_answer())
    }

    /// What a card would have answered that was not asked.
    pub(super) fn no_load_answer(&self) -> LoadAnswer {
        LoadAnswer {
            balance: PurseFen::ZERO,
            counter: CardCounter(0),
            key_version: KeyVersion(self.desk.settings.version),
            algorithm: 0,
            random: Random4([0; 4]),
            mac1: Mac4([0; 4]),
        }
    }

    /// A purchase that no INITIALIZE began, for a follow-up alone.
    fn no_purchase(&self) -> (Purchase, PurchaseAnswer) {
        let settings = self.desk.settings;
        let kind = PurchaseKind::Purchase(settings.purse);
        let purchase = Purchase { kind, amount: PurseFen::ZERO, terminal: settings.terminal };
        (purchase, self.no_purchase_answer())
    }

    /// What a card would have answered that was not asked.
    pub(super) fn no_purchase_answer(&self) -> PurchaseAnswer {
        PurchaseAnswer {
            balance: PurseFen::ZERO,
            counter: CardCounter(0),
            overdraft: OverdraftLimit::NONE,
            key_version: KeyVersion(self.desk.settings.version),
            algorithm: 0,
            random: Random4([0; 4]),
        }
    }
}

/// The other purse: where a MAC is to cover another type.
pub(super) const fn other(purse: Purse) -> Purse {
    match purse {
        Purse::Ed => Purse::Ep,
        Purse::Ep => Purse::Ed,
    }
}

const fn other_kind(kind: PurchaseKind) -> PurchaseKind {
    match kind {
        PurchaseKind::Purchase(purse) => PurchaseKind::Purchase(other(purse)),
        PurchaseKind::CashWithdraw => PurchaseKind::Purchase(Purse::Ed),
        PurchaseKind::Composite => PurchaseKind::Purchase(Purse::Ep),
    }
}
