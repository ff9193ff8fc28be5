//! The report of the demo: the table of the days, refusals by cause, bills, and the proof. Every line depends on
//! the seed and the size only.

use crate::books::Books;
use crate::courier::Damage;
use crate::plan::Scale;
use crate::proof::Proof;
use crate::tally::{Count, Tally};
use comfy_table::{Cell, CellAlignment, Table, presets};
use std::fmt;
use ykt_base::Fen;

/// Everything the report shows.
pub struct Sheet<'a> {
    /// Size and seed.
    pub scale: &'a Scale,
    /// The street's table.
    pub tally: &'a Tally,
    /// What the courier did to the files.
    pub damage: &'a Damage,
    /// The company's books.
    pub books: &'a Books,
    /// The proof.
    pub proof: &'a Proof,
}

/// A table whose columns from `numbers_from` on hold numbers.
struct Grid {
    table: Table,
    numbers_from: usize,
}

impl Grid {
    fn new(header: &[&str], numbers_from: usize) -> Grid {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let mut grid = Grid { table, numbers_from };
        let cells = grid.cells(header.iter().map(|text| (*text).to_owned()));
        grid.table.set_header(cells);
        grid
    }

    fn cells(&self, texts: impl Iterator<Item = String>) -> Vec<Cell> {
        texts
            .enumerate()
            .map(|(column, text)| {
                let alignment =
                    if column < self.numbers_from { CellAlignment::Left } else { CellAlignment::Right };
                Cell::new(text).set_alignment(alignment)
            })
            .collect()
    }

    fn row<const N: usize>(&mut self, texts: [String; N]) {
        let cells = self.cells(texts.into_iter());
        self.table.add_row(cells);
    }

    fn count(&mut self, text: &str, count: &Count) {
        self.row([text.to_owned(), grouped(count.count.into()), count.amount.to_string()]);
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table.lines().try_for_each(|line| writeln!(f, " {}", line.trim_end()))
    }
}

/// A number with its thousands grouped.
fn grouped(number: u64) -> String {
    let yuan = i64::try_from(number).ok().and_then(|n| Fen::new(n).checked_mul(100)).unwrap_or_default();
    yuan.to_string().trim_end_matches(".00").to_owned()
}

fn heading(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    writeln!(f, "\n{text}")
}

impl fmt::Display for Sheet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = self.scale;
        writeln!(
            f,
            "Yikatong 一卡通 demo: {} cards, {} terminals, {} merchants, {} day(s) from {}, seed {}",
            grouped(size(scale.cards)),
            grouped(size(scale.terminals)),
            grouped(size(scale.merchants)),
            scale.days,
            scale.first_day,
            scale.seed
        )?;
        writeln!(f, "Amounts in yuan. All keys are demonstration keys.")?;
        self.street(f)?;
        self.faults(f)?;
        self.days(f)?;
        self.causes(f)?;
        self.bills(f)?;
        self.payments(f)?;
        self.balances(f)?;
        self.proof(f)
    }
}

impl Sheet<'_> {
    fn street(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = self.tally;
        heading(f, "THE STREET 当日交易")?;
        let mut grid = Grid::new(&["", "count", "amount"], 1);
        grid.count("loads at the first attempt 圈存", &tally.loads);
        grid.count("loads finished after a break 中断后完成", &tally.loads_resumed);
        grid.count("loads given back 退款", &tally.loads_given_back);
        grid.count("loads refused 拒绝", &tally.loads_refused);
        grid.count("purchases at the first attempt 消费", &tally.purchases);
        grid.count("purchases recovered from a pulled card 拔卡恢复", &tally.purchases_recovered);
        grid.count("purchases charged anew after a pull 拔卡重扣", &tally.purchases_repeated);
        grid.count("cards pulled and gone 拔卡离开", &tally.walked_away);
        for (reason, count) in &tally.declined {
            grid.count(&format!("declined: {reason}"), count);
        }
        write!(f, "{grid}")
    }

    fn faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tally, damage) = (self.tally, self.damage);
        heading(f, "WHAT WENT WRONG ON PURPOSE 注入的故障")?;
        let mut grid = Grid::new(&["", "times", "settled at once"], 1);
        for (pull, pulled) in &tally.pulls {
            let text = format!("card pulled, purchase: {}", pull.text());
            grid.row([text, pulled.times.to_string(), pulled.settled.to_string()]);
        }
        for (fault, pulled) in &tally.breaks {
            let text = format!("load broken: {}", fault.text());
            grid.row([text, pulled.times.to_string(), pulled.settled.to_string()]);
        }
        for (text, times) in [
            ("power cut inside a memory write 写入时断电", tally.torn_writes),
            ("cards reported lost 挂失", tally.losses),
            ("files sent twice under one name 重名文件", damage.repeated_names),
            ("files sent twice under two names 重复内容", damage.repeated_contents),
            ("files cut off, then sent whole 残缺文件", damage.broken_files),
            ("files sent a day late 迟到文件", damage.late_files),
            ("records sent twice 重复记录", damage.repeated_records),
            ("records with a changed TAC 错误TAC", damage.wrong_tacs),
            ("records of unknown cards 未知卡", damage.unknown_cards),
        ] {
            grid.row([text.to_owned(), times.to_string(), String::new()]);
        }
        write!(f, "{grid}")
    }

    fn days(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        heading(f, "CLEARING DAYS 清分日")?;
        let header = [
            "day",
            "state",
            "files",
            "repeated",
            "broken",
            "records",
            "amount",
            "confirmed",
            "refused",
            "adjusted",
        ];
        let mut grid = Grid::new(&header, 2);
        for day in &self.books.days {
            grid.row([
                day.day.to_string(),
                day.phase.to_string(),
                day.files.to_string(),
                day.repeated_files.to_string(),
                day.broken_files.to_string(),
                grouped(day.records.count.into()),
                day.records.amount.to_string(),
                day.confirmed.amount.to_string(),
                day.refused.amount.to_string(),
                day.adjusted.amount.to_string(),
            ]);
        }
        write!(f, "{grid}")
    }

    fn causes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        heading(f, "RECORDS THAT WERE NOT SIMPLY ACCEPTED, BY CAUSE 拒付与挂起原因")?;
        let mut grid = Grid::new(&["step", "code", "cause", "became", "count", "amount"], 4);
        for row in &self.books.causes {
            grid.row([
                row.cause.step().to_owned(),
                row.cause.code().to_owned(),
                row.cause.text().to_owned(),
                row.state.to_string(),
                row.sum.count.to_string(),
                row.sum.amount.to_string(),
            ]);
        }
        write!(f, "{grid}")
    }

    fn bills(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        heading(f, "BILLS 结算账单")?;
        let header =
            ["day", "merchant", "name", "payment", "records", "gross", "refused", "commission", "net"];
        let mut grid = Grid::new(&header, 4);
        let mut totals = [Fen::ZERO; 4];
        let mut records = 0u64;
        for (bill, name) in &self.books.bills {
            let count = bill.confirmed.count.saturating_add(bill.adjusted.count);
            let money = [bill.gross(), bill.refused.amount, bill.commission, bill.net];
            records = records.saturating_add(count.into());
            for (total, amount) in totals.iter_mut().zip(money) {
                *total = total.checked_add(amount).unwrap_or(*total);
            }
            let [gross, refused, commission, net] = money.map(|amount| amount.to_string());
            let (day, merchant) = (bill.day.to_string(), bill.merchant.to_string());
            let state = bill.state.to_string();
            grid.row([
                day,
                merchant,
                name.clone(),
                state,
                grouped(count.into()),
                gross,
                refused,
                commission,
                net,
            ]);
        }
        let [gross, refused, commission, net] = totals.map(|amount| amount.to_string());
        let blank = String::new;
        grid.row([
            "total 合计".to_owned(),
            blank(),
            blank(),
            blank(),
            grouped(records),
            gross,
            refused,
            commission,
            net,
        ]);
        write!(f, "{grid}")
    }

    fn payments(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        heading(f, "TRANSFER FILES 付款文件")?;
        let mut grid = Grid::new(&["file", "payment", "count", "amount"], 2);
        for (name, state, count) in &self.books.payments {
            grid.row([
                name.clone(),
                state.to_string(),
                grouped(count.count.into()),
                count.amount.to_string(),
            ]);
        }
        write!(f, "{grid}")
    }

    fn balances(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        heading(f, "TRIAL BALANCE 试算平衡表 (debit +, credit -)")?;
        let mut grid = Grid::new(&["subject", "name", "debit", "credit", "balance"], 2);
        for line in &self.books.balances {
            grid.row([
                line.subject.code.to_owned(),
                format!("{} {}", line.subject.name_en, line.subject.name_zh),
                line.debit.to_string(),
                line.credit.to_string(),
                line.balance.to_string(),
            ]);
        }
        write!(f, "{grid}")
    }

    fn proof(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proof = self.proof;
        let verdict = |holds: bool| if holds { "ok" } else { "DIFFERS 不符" };
        let shown = |amount: Option<Fen>| amount.map_or_else(|| "overflow".to_owned(), |fen| fen.to_string());
        heading(f, "PROOF FROM THREE BOOKS 三账核对")?;
        let cards = &proof.cards;
        let mut grid = Grid::new(&["1. cards against ledger 卡账核对", "count", "amount", ""], 1);
        let mut line = |text: &str, count: String, amount: String, verdict: &str| {
            grid.row([text.to_owned(), count, amount, verdict.to_owned()]);
        };
        line(
            "balances read from the cards 卡内余额",
            grouped(cards.cards.into()),
            cards.balances.to_string(),
            "",
        );
        for (cause, count) in &cards.outstanding {
            line(&format!("+ {cause}"), grouped(count.count.into()), count.amount.to_string(), "");
        }
        line("= what the ledger should owe 应有负债", String::new(), shown(cards.expected()), "");
        line("purse liability, ledger 2001 账面负债", String::new(), cards.liability.to_string(), "");
        let difference = cards.difference();
        line("difference 差额", String::new(), shown(difference), verdict(difference == Some(Fen::ZERO)));
        write!(f, "{grid}")?;

        let mut grid =
            Grid::new(&["2. bank against ledger 银行核对", "movements", "statement", "ledger", ""], 1);
        for bank in &proof.bank {
            grid.row([
                format!("{} account {}", bank.account, bank.bank_account),
                grouped(size(bank.movements)),
                bank.statement.to_string(),
                bank.ledger.to_string(),
                verdict(bank.statement == bank.ledger).to_owned(),
            ]);
        }
        write!(f, "\n{grid}")?;

        let legs = &proof.legs;
        let mut grid = Grid::new(&["3. ledger against itself 总账自核", "count", "amount", ""], 1);
        grid.row([
            "sum of all legs of all entries 借贷合计".to_owned(),
            grouped(legs.entries),
            legs.sum.to_string(),
            verdict(legs.sum.is_zero()).to_owned(),
        ]);
        grid.row([
            "hash chain and balances recomputed 哈希链与余额重算".to_owned(),
            grouped(legs.entries),
            String::new(),
            verdict(legs.fault.is_none()).to_owned(),
        ]);
        grid.row([
            "load orders neither credited nor given back 未决圈存".to_owned(),
            grouped(proof.open_orders.count.into()),
            proof.open_orders.amount.to_string(),
            String::new(),
        ]);
        write!(f, "\n{grid}")?;

        let reserve = &proof.reserve;
        let mut grid = Grid::new(&["4. reserve for the holders 备付金核对", "amount", ""], 1);
        for (text, amount) in [
            ("reserve, tills, receivables less payables 备付金资产", reserve.cover),
            ("owed to holders: purses, orders, deposits 客户负债", reserve.owed),
            ("income of the last day, swept tomorrow 待划收入", reserve.unswept),
        ] {
            grid.row([text.to_owned(), amount.to_string(), String::new()]);
        }
        let difference = reserve.difference();
        let holds = verdict(difference == Some(Fen::ZERO)).to_owned();
        grid.row(["difference 差额".to_owned(), shown(difference), holds]);
        write!(f, "\n{grid}")?;
        if let Some(fault) = &legs.fault {
            writeln!(f, " {fault}")?;
        }
        if proof.holds() {
            writeln!(f, "\nNot a fen was lost. 分文不差。")
        } else {
            writeln!(f, "\nTHE BOOKS DO NOT AGREE. 账目不符。")
        }
    }
}

fn size(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
