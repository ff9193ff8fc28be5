//! The report for a terminal, in one of two languages.

use super::{Failure, Report, Stage, Verdict};
use crate::words::Text;
use std::fmt::Write;
use ykt_base::Fen;

/// Language of a text report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese.
    Chinese,
}

impl Language {
    /// The half of a text in this language.
    #[must_use]
    pub fn of(self, text: &Text) -> &str {
        self.pick(&text.en, &text.zh)
    }

    const fn pick<'a>(self, en: &'a str, zh: &'a str) -> &'a str {
        match self {
            Language::English => en,
            Language::Chinese => zh,
        }
    }
}

/// The verdict in a word.
#[must_use]
pub const fn verdict_word(verdict: &Verdict, language: Language) -> &'static str {
    match verdict {
        Verdict::Passed => language.pick("passed", "通过"),
        Verdict::Failed(_) => language.pick("FAILED", "不通过"),
        Verdict::NotApplicable { .. } => language.pick("not applicable", "不适用"),
    }
}

/// The report: what failed with its dialogue, why cases were not applicable, the sums, the money.
#[must_use]
pub fn text(report: &Report, language: Language) -> String {
    let mut out = String::new();
    // Writing into a string does not fail.
    let _ = write_text(&mut out, report, language);
    out
}

fn write_text(out: &mut String, report: &Report, language: Language) -> std::fmt::Result {
    let pick = |en, zh| language.pick(en, zh);
    writeln!(out, "{} ({} {})", language.of(&report.title), report.plan, report.plan_version)?;
    writeln!(out, "{} · {} · ATR {}", report.at, report.place, report.atr)?;
    if let Some(card) = &report.card {
        writeln!(out, "{} {card}", pick("card", "卡号"))?;
    }
    for case in &report.cases {
        if let Verdict::Failed(failure) = &case.verdict {
            writeln!(out, "\n{}  {}  ({})", verdict_word(&case.verdict, language), case.id, case.clause)?;
            writeln!(out, "  {}", language.of(&case.purpose))?;
            write_failure(out, failure, language)?;
            for exchange in &case.dialogue {
                if exchange.command.is_empty() {
                    writeln!(out, "    {}", exchange.title)?;
                    continue;
                }
                writeln!(out, "    {:<28} > {}", exchange.title, exchange.command)?;
                let answer = exchange.answer.as_deref().unwrap_or(pick("no answer", "无应答"));
                writeln!(out, "    {:<28} < {answer}", "")?;
            }
            writeln!(out)?;
        }
    }
    write_not_applicable(out, report, language)?;
    let counts = report.counts();
    writeln!(
        out,
        "{} {} · {} {} · {} {}",
        pick("passed", "通过"),
        counts.passed,
        pick("failed", "不通过"),
        counts.failed,
        pick("not applicable", "不适用"),
        counts.not_applicable
    )?;
    writeln!(
        out,
        "{} {}",
        pick("transactions the card has done:", "卡片完成的交易笔数："),
        report.transactions
    )?;
    for line in &report.money {
        let (before, after) = (pick("before", "测试前"), pick("after", "测试后"));
        let balance = pick("balance", "余额");
        writeln!(
            out,
            "{} {balance}: {before} {} · {after} {}",
            line.purse,
            Fen::new(line.before),
            line.after.map_or_else(|| "?".to_owned(), |fen| Fen::new(fen).to_string()),
        )?;
    }
    Ok(())
}

/// The cases that say nothing about this card, by reason.
fn write_not_applicable(out: &mut String, report: &Report, language: Language) -> std::fmt::Result {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for case in &report.cases {
        let Verdict::NotApplicable { reason } = &case.verdict else { continue };
        let reason = language.of(reason);
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, ids)) => ids.push(&case.id),
            None => reasons.push((reason, vec![&case.id])),
        }
    }
    for (reason, ids) in reasons {
        let word = language.pick("not applicable", "不适用");
        writeln!(out, "{word}  {} ({reason}): {}", ids.len(), ids.join(", "))?;
    }
    Ok(())
}

fn write_failure(out: &mut String, failure: &Failure, language: Language) -> std::fmt::Result {
    let Failure { stage, number, step, finding, .. } = failure;
    writeln!(out, "  {} {number}: {step}", stage_word(*stage, language))?;
    let (expected, found) = (language.pick("expected", "期望"), language.pick("found", "实际"));
    let subject = language.of(&finding.subject);
    writeln!(out, "  {subject}: {expected} {}, {found} {}", finding.expected, finding.found)
}

const fn stage_word(stage: Stage, language: Language) -> &'static str {
    match stage {
        Stage::Setup => language.pick("setup", "准备"),
        Stage::Steps => language.pick("step", "步骤"),
        Stage::Cleanup => language.pick("cleanup", "清理"),
    }
}
