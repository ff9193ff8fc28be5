//! What a holder does with a token (E3): insert it, choose application and purse, prove the PIN where the card asks
//! for it, then load, pay or read until the end.
//!
//! Load terminal and POS are those of every desk. They select the application themselves, which would undo what the
//! holder has chosen and proven; [`Visit`] stands between.

use super::screen::{self, Cancelled, Words, say};
use super::{Leave, Use, pin_is_blocked, pin_is_wrong};
use crate::desk;
use crate::machine::SystemClock;
use crate::slot::Slot;
use ykt_base::{CardChannel, ChannelError, Clock, Command, Fen, KeyIndex, Response, StatusWord};
use ykt_purse::command;
use ykt_purse::files::PublicData;
use ykt_purse::load::{InitializeForLoad, Load};
use ykt_purse::log::LogRecord;
use ykt_purse::purchase::{InitializeForPurchase, Purchase, PurchaseKind};
use ykt_purse::{Purse, PurseFen, TransactionType};
use ykt_terminal::card::{self, APPLICATIONS, Application, CardError};
use ykt_terminal::load::{LoadOutcome, LoadRequest};
use ykt_terminal::pos::{Money, Outcome, Pos, PosConfig, Receipt};
use ykt_terminal::store::{FileStore, MemoryStore, RecordStore};

/// Id of the holder's PIN.
const PIN_ID: u8 = 0;

/// What [`APPLICATIONS`] are called, one after the other.
const NAMES: [Words; APPLICATIONS.len()] = [
    Words("City card", "城市一卡通"),
    Words("City card, second", "城市一卡通（二）"),
    Words("T-Union", "交通联合"),
    Words("Deposit and purse", "电子存折与钱包"),
];

/// Runs the dialogue.
pub fn run(args: &Use) -> Result<(), Leave> {
    visit(args)?;
    say(Words("Ended. Take the token out", "已结束，请取出设备"));
    Ok(())
}

fn visit(args: &Use) -> Result<(), Leave> {
    let mut slot = insert(&args.token)?;
    let application = choose_application(&mut slot)?;
    let public = card::public_data(&mut slot, application.layout)?;
    check(&public)?;
    let purse = choose_purse(&mut slot)?;
    let mut visit = Visit { args, slot: Some(slot), application, purse, is_proven: false };
    let entries = [
        Words("Load, online", "联机圈存"),
        Words("Purchase, offline", "脱机消费"),
        Words("Balance", "查询余额"),
        Words("Log", "交易明细"),
    ];
    let entries = entries.map(|words| words.to_string());
    loop {
        match screen::choose(Words("What to do", "请选择业务"), &entries, Words("End", "结束"))? {
            None => return Ok(()),
            Some(0) => visit.load()?,
            Some(1) => visit.purchase()?,
            Some(2) => visit.balance()?,
            Some(_) => visit.log()?,
        }
    }
}

/// Opens the token; while it is not there the person is asked to insert it.
fn insert(token: &str) -> Result<Slot, Leave> {
    loop {
        match Slot::open(token) {
            Ok(slot) => {
                say(Words("Token inserted", "设备已插入"));
                return Ok(slot);
            }
            Err(error) => {
                say(format_args!("{error:#}"));
                screen::confirm(Words(
                    "Insert the token, then Enter (0 cancels)",
                    "请插入设备后按回车（0 取消）",
                ))?;
            }
        }
    }
}

/// SELECT by name; `None` when the token has no such application.
fn select(slot: &mut impl CardChannel, aid: &[u8]) -> Result<Option<StatusWord>, Leave> {
    let sw = slot.send(&command::select_name(aid))?.sw();
    Ok((sw != StatusWord::NOT_FOUND).then_some(sw))
}

fn choose_application(slot: &mut Slot) -> Result<&'static Application, Leave> {
    let mut found = Vec::new();
    for (application, name) in APPLICATIONS.iter().zip(NAMES) {
        if select(slot, application.aid)?.is_some() {
            found.push((application, name));
        }
    }
    if found.is_empty() {
        say(Words("Declined: no purse application on this token", "拒绝：设备上没有钱包应用"));
        return Err(Leave::Declined);
    }
    let entries: Vec<String> = found
        .iter()
        .map(|(application, name)| format!("{name}  {}", ykt_base::hex::Hex(application.aid)))
        .collect();
    let chosen = screen::choose(Words("Application", "请选择应用"), &entries, Words("Cancel", "取消"))?;
    let (application, _) = *chosen.and_then(|at| found.get(at)).ok_or(Cancelled)?;
    // The last one found is selected now, not the chosen one.
    match select(slot, application.aid)? {
        Some(StatusWord::OK) => Ok(application),
        _ => {
            say(Words("Declined: the application is locked", "拒绝：应用已锁定"));
            Err(Leave::Declined)
        }
    }
}

/// Validity: enabled by its issuer, begun, not expired.
fn check(public: &PublicData) -> Result<(), Leave> {
    let PublicData { asn, start, expiry, .. } = public;
    say(format_args!("Card / 卡号 {asn}, valid / 有效期 {start} - {expiry}"));
    if public.usable_on(SystemClock.now().date) {
        return Ok(());
    }
    say(if public.is_enabled() {
        Words("Declined: the card is not valid today", "拒绝：卡片不在有效期内")
    } else {
        Words("Declined: the card is not enabled", "拒绝：卡片未启用")
    });
    Err(Leave::Declined)
}

const fn purse_name(purse: Purse) -> Words {
    match purse {
        Purse::Ep => Words("Electronic purse (EP)", "电子钱包"),
        Purse::Ed => Words("Electronic deposit (ED)", "电子存折"),
    }
}

/// A purse that answers, or asks for the PIN, is there.
fn choose_purse(slot: &mut Slot) -> Result<Purse, Leave> {
    let mut found = Vec::new();
    for purse in [Purse::Ep, Purse::Ed] {
        if matches!(slot.send(&command::balance(purse))?.sw(), StatusWord::OK | StatusWord::SECURITY_STATUS) {
            found.push(purse);
        }
    }
    let entries: Vec<String> = found.iter().map(|purse| purse_name(*purse).to_string()).collect();
    let chosen = screen::choose(Words("Purse", "请选择钱包"), &entries, Words("Cancel", "取消"))?;
    Ok(*chosen.and_then(|at| found.get(at)).ok_or(Cancelled)?)
}

/// The token while its holder is at it.
struct Visit<'a> {
    args: &'a Use,
    /// `None` while it is pulled out.
    slot: Option<Slot>,
    application: &'static Application,
    purse: Purse,
    /// The PIN was right; a token that was pulled out asks for it again.
    is_proven: bool,
}

/// The token as a terminal sees it: the chosen application is its only one. It is selected, and a second SELECT would
/// take the proven PIN away, so SELECT is answered here.
impl CardChannel for Visit<'_> {
    fn transmit(&mut self, bytes: &[u8]) -> Result<Response, ChannelError> {
        match Command::parse(bytes) {
            Ok(Command { cla: 0x00, ins: 0xA4, p1: 0x04, data, .. }) => {
                let is_chosen = data == self.application.aid;
                Ok(Response::status(if is_chosen { StatusWord::OK } else { StatusWord::NOT_FOUND }))
            }
            _ => self.slot.as_mut().ok_or(ChannelError::NoCard)?.transmit(bytes),
        }
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        self.slot.as_mut().ok_or(ChannelError::NoCard)?.reset()
    }
}

impl Visit<'_> {
    /// Brings a token that was pulled out back to where it was.
    fn insert_again(&mut self) -> Result<(), Leave> {
        self.slot = None;
        say(Words("The token was pulled out", "设备已被拔出"));
        screen::confirm(Words("Insert it again, then Enter (0 cancels)", "请重新插入后按回车（0 取消）"))?;
        let mut slot = insert(&self.args.token)?;
        let Some(StatusWord::OK) = select(&mut slot, self.application.aid)? else {
            return Err(Leave::Declined);
        };
        self.slot = Some(slot);
        if std::mem::take(&mut self.is_proven) && !self.prove()? {
            return Err(Leave::Cancelled);
        }
        Ok(())
    }

    /// Lets the person prove the PIN; `false` when they would rather not.
    fn prove(&mut self) -> Result<bool, Leave> {
        loop {
            let Some(pin) = screen::pin()? else { return Ok(false) };
            let sw = self.send(&command::verify(PIN_ID, &pin))?.sw();
            match sw.0 {
                0x9000 => {
                    self.is_proven = true;
                    return Ok(true);
                }
                0x63C1..=0x63CF => pin_is_wrong(sw.0.to_be_bytes()[1] & 0x0F),
                0x63C0 | 0x6983 => return Err(pin_is_blocked()),
                _ => {
                    say(format_args!("The token refuses the PIN / 设备拒绝密码: {sw}"));
                    return Ok(false);
                }
            }
        }
    }

    /// Whether the card goes on to serve a command, after its PIN where it asks for that.
    fn admits(&mut self, command: &[u8]) -> Result<bool, Leave> {
        loop {
            match self.transmit(command) {
                Err(ChannelError::NoCard | ChannelError::Removed) => self.insert_again()?,
                answer => match answer?.sw() {
                    StatusWord::SECURITY_STATUS => return self.prove(),
                    StatusWord::BLOCKED => return Err(pin_is_blocked()),
                    // Whatever else it says, it says again to the terminal, which knows what that means.
                    _ => return Ok(true),
                },
            }
        }
    }

    /// An amount that a purse can hold.
    fn amount(&self) -> Result<Option<(Fen, PurseFen)>, Leave> {
        let Some(amount) = screen::amount(Words("Amount in yuan (0 goes back)", "金额（元，0 返回）"))?
        else {
            return Ok(None);
        };
        let Ok(purse) = PurseFen::try_from(amount) else {
            say(Words("More than a purse can hold", "超出钱包上限"));
            return Ok(None);
        };
        Ok(Some((amount, purse)))
    }

    fn load(&mut self) -> Result<(), Leave> {
        let Visit { args, purse, .. } = *self;
        if !args.desk.has_host() {
            say(Words("No host: start with --host or --keys", "没有圈存主机：请用 --host 或 --keys 启动"));
            return Ok(());
        }
        let Some((amount, in_purse)) = self.amount()? else { return Ok(()) };
        let terminal = args.desk.terminal(purse);
        let load = Load { purse, amount: in_purse, terminal: terminal.terminal };
        let probe = InitializeForLoad { key_index: terminal.key_index, load };
        if !self.admits(&probe.to_apdu())? {
            return Ok(());
        }
        let now = SystemClock.now();
        let order = desk::new_order(now)?;
        args.desk.with_host(self, purse, |visit, host| {
            let request = LoadRequest { order: &order, amount, channel: &args.desk.channel };
            let mut outcome = terminal.load(visit, host, &request, now)?;
            while let LoadOutcome::Cut { at } = &outcome {
                say(format_args!("order {order}: {at}"));
                visit.insert_again()?;
                outcome = terminal.resume(visit, host, &order, amount)?;
            }
            match outcome {
                LoadOutcome::Loaded { balance } => {
                    say(format_args!("Loaded / 圈存成功 {amount}, balance / 余额 {balance}"));
                }
                LoadOutcome::NotLoaded { reason, payment } => {
                    say(format_args!("Not loaded / 圈存失败: {reason}; payment / 款项: {payment}"));
                }
                LoadOutcome::Cut { .. } => {}
            }
            Ok(())
        })
    }

    fn purchase(&mut self) -> Result<(), Leave> {
        let Visit { args, purse, .. } = *self;
        let Some(psam) = &args.psam else {
            say(Words("No PSAM: start with --psam", "没有 PSAM：请用 --psam 启动"));
            return Ok(());
        };
        let Some((amount, in_purse)) = self.amount()? else { return Ok(()) };
        let config = PosConfig { amount_max: args.amount_max, purse, ..args.place.config() };
        if amount > config.amount_max {
            say(format_args!("At most / 单笔上限 {}", config.amount_max));
            return Ok(());
        }
        let psam = Slot::open(psam)?;
        match &args.records {
            Some(_) if purse == Purse::Ed => {
                say(Words("The journal is for the purse (EP) only", "流水文件只用于电子钱包"));
                Ok(())
            }
            Some(path) => self.charge(Pos::open(config, psam, FileStore::open(path)?)?, amount, in_purse),
            None => self.charge(Pos::open(config, psam, MemoryStore::default())?, amount, in_purse),
        }
    }

    fn charge<P: CardChannel, S: RecordStore>(
        &mut self,
        mut pos: Pos<P, S>,
        amount: Fen,
        in_purse: PurseFen,
    ) -> Result<(), Leave> {
        let (kind, terminal) = (PurchaseKind::Purchase(self.purse), pos.psam().terminal());
        let purchase = Purchase { kind, amount: in_purse, terminal };
        let key_index: KeyIndex = pos.psam().application().key_index;
        if !self.admits(&InitializeForPurchase { key_index, purchase }.to_apdu())? {
            return Ok(());
        }
        loop {
            match pos.purchase(self, amount, SystemClock.now())? {
                Outcome::Paid(receipt) => say(Paid("Paid / 消费成功", receipt)),
                Outcome::Recovered(receipt) => {
                    say(Paid("Paid before it was pulled out / 拔出前已消费", receipt));
                }
                Outcome::Declined(refusal) => say(format_args!("Declined / 拒绝: {refusal}")),
                Outcome::TryAgain { step, money } => {
                    let money = match money {
                        Money::Unmoved => Words("nothing was charged", "未扣款"),
                        Money::MayHaveMoved => Words("it may have paid", "可能已扣款"),
                    };
                    say(format_args!("{step}: {money}"));
                    self.insert_again()?;
                    continue;
                }
            }
            return Ok(());
        }
    }

    fn balance(&mut self) -> Result<(), Leave> {
        if let Some(balance) = self.read(|visit| card::balance_of(visit, visit.purse))? {
            say(format_args!("{}: {balance}", purse_name(self.purse)));
        }
        Ok(())
    }

    fn log(&mut self) -> Result<(), Leave> {
        let Some(log) = self.read(card::log)? else { return Ok(()) };
        if log.is_empty() {
            say(Words("No transactions", "没有交易"));
        }
        for record in log {
            let LogRecord { at, transaction, amount, counter, terminal, .. } = record;
            let name = transaction_name(transaction);
            say(format_args!("{at}  {name}  {amount}  counter / 序号 {counter}, terminal / 终端 {terminal}"));
        }
        Ok(())
    }

    /// Reads something, after the PIN where the card asks for it.
    fn read<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, CardError>,
    ) -> Result<Option<T>, Leave> {
        let mut is_asked = false;
        loop {
            match read(self) {
                Ok(value) => return Ok(Some(value)),
                Err(CardError::Refused { sw: StatusWord::SECURITY_STATUS, .. }) if !is_asked => {
                    is_asked = true;
                    if !self.prove()? {
                        return Ok(None);
                    }
                }
                Err(CardError::Silent { cause: ChannelError::NoCard | ChannelError::Removed, .. }) => {
                    self.insert_again()?;
                }
                Err(error) => {
                    say(format_args!("Declined / 拒绝: {error}"));
                    return Ok(None);
                }
            }
        }
    }
}

/// What a purchase leaves on the screen.
struct Paid(&'static str, Receipt);

impl std::fmt::Display for Paid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Paid(how, Receipt { record, balance }) = self;
        let (amount, serial) = (record.debit.amount, record.debit.serial.number());
        write!(f, "{how} {amount}, balance / 余额 {balance}; ")?;
        write!(f, "record / 流水 {serial}, terminal / 终端 {}", record.debit.terminal)
    }
}

const fn transaction_name(transaction: TransactionType) -> Words {
    match transaction {
        TransactionType::EdLoad | TransactionType::EpLoad => Words("load", "圈存"),
        TransactionType::EdUnload => Words("unload", "圈提"),
        TransactionType::EdCashWithdraw => Words("cash", "取现"),
        TransactionType::EdPurchase | TransactionType::EpPurchase => Words("purchase", "消费"),
        TransactionType::EdOverdraftUpdate => Words("overdraft limit", "修改透支限额"),
        TransactionType::CreditPurchase => Words("credit purchase", "信用消费"),
        TransactionType::CompositePurchase => Words("composite purchase", "复合消费"),
        TransactionType::EdGreyLock | TransactionType::EpGreyLock => Words("grey lock", "灰锁"),
        TransactionType::EdDebitForUnlock | TransactionType::EpDebitForUnlock => {
            Words("debit for unlock", "解扣")
        }
        TransactionType::EpGreyUnlock | TransactionType::EdGreyUnlock => Words("online unlock", "联机解扣"),
    }
}
