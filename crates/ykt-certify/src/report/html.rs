//! The report as one HTML page: no script, nothing from elsewhere, light and dark, both languages in one file. What
//! is shown is chosen by radio buttons that the style sheet looks at.

use super::text::{Language, verdict_word};
use super::{CaseReport, Failure, Report, Verdict};
use crate::words::Text;
use std::fmt::{self, Write};
use ykt_base::Fen;

const STYLE: &str = include_str!("page.css");

/// The page.
#[must_use]
pub fn html(report: &Report) -> String {
    let mut out = String::new();
    // Writing into a string does not fail.
    let _ = page(&mut out, report);
    out
}

/// Text with the signs of HTML replaced.
struct Safe<'a>(&'a str);

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|sign| match sign {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            sign => f.write_char(sign),
        })
    }
}

/// A text in both languages, of which the page shows one.
struct Both<'a>(&'a str, &'a str);

impl<'a> From<&'a Text> for Both<'a> {
    fn from(text: &'a Text) -> Both<'a> {
        Both(&text.en, &text.zh)
    }
}

impl fmt::Display for Both<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<span lang=\"en\">{}</span><span lang=\"zh\">{}</span>", Safe(self.0), Safe(self.1))
    }
}

fn page(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(
        out,
        "<title>{} · {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>",
        Safe(&report.title.en),
        Safe(&report.at)
    )?;
    let languages = [("en", true, Both("English", "English")), ("zh", false, Both("中文", "中文"))];
    choice(out, "language", &languages)?;
    writeln!(out, "<h1>{}</h1>", Both::from(&report.title))?;
    let counts = report.counts();
    let (class, word) = match (report.is_conformant(), counts.failed) {
        (true, _) => ("passed", Both("Every case that applies has passed.", "适用的用例全部通过。")),
        (false, 0) => ("not-applicable", Both("No case applies to this card.", "没有适用于此卡的用例。")),
        (false, _) => ("failed", Both("The card does not conform.", "此卡不符合要求。")),
    };
    writeln!(out, "<p class=\"verdict {class}\">{word}</p>")?;
    facts(out, report)?;
    writeln!(out, "<h2>{}</h2>\n<table>", Both("Summary", "汇总"))?;
    for (class, word, count) in [
        ("passed", Both("passed", "通过"), counts.passed),
        ("failed", Both("failed", "不通过"), counts.failed),
        ("not-applicable", Both("not applicable", "不适用"), counts.not_applicable),
    ] {
        writeln!(out, "<tr><td class=\"{class}\">{word}</td><td class=\"n\">{count}</td></tr>")?;
    }
    writeln!(out, "</table>")?;
    money(out, report)?;
    features(out, report)?;
    writeln!(out, "<h2>{}</h2>", Both("Cases", "用例"))?;
    let is_bad = counts.failed > 0;
    choice(
        out,
        "show",
        &[
            ("all", !is_bad, Both("all", "全部")),
            ("only-failed", is_bad, Both("failed", "不通过")),
            ("only-passed", false, Both("passed", "通过")),
            ("only-none", false, Both("not applicable", "不适用")),
        ],
    )?;
    report.cases.iter().try_for_each(|case| self::case(out, case))?;
    writeln!(out, "</body>\n</html>")
}

fn facts(out: &mut String, report: &Report) -> fmt::Result {
    let plan = format!("{} {}", report.plan, report.plan_version);
    writeln!(out, "<dl>")?;
    for (name, value) in [
        (Both("plan", "测试方案"), Some(&plan)),
        (Both("time", "时间"), Some(&report.at)),
        (Both("card in", "卡片位置"), Some(&report.place)),
        (Both("card number", "卡号"), report.card.as_ref()),
        (Both("answer to reset", "复位应答"), Some(&report.atr)),
        (Both("program", "程序"), Some(&report.program)),
    ] {
        if let Some(value) = value {
            writeln!(out, "<dt>{name}</dt><dd>{}</dd>", Safe(value))?;
        }
    }
    writeln!(out, "</dl>")
}

fn money(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "<h2>{}</h2>\n<table>", Both("What the run cost the card", "测试对卡片的影响"))?;
    writeln!(
        out,
        "<tr><td>{}</td><td class=\"n\">{}</td><td></td></tr>",
        Both("transactions done (so far its counters moved)", "完成的交易笔数（交易序号随之增加）"),
        report.transactions
    )?;
    for line in &report.money {
        let after = line.after.map_or_else(|| "?".to_owned(), |fen| Fen::new(fen).to_string());
        writeln!(
            out,
            "<tr><td>{} {}</td><td class=\"n\">{}</td><td class=\"n\">{after}</td></tr>",
            line.purse,
            Both("balance before and after", "测试前后余额"),
            Fen::new(line.before)
        )?;
    }
    writeln!(out, "</table>")
}

fn features(out: &mut String, report: &Report) -> fmt::Result {
    if report.features.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>{}</h2>\n<dl>", Both("What the card can do", "卡片功能"))?;
    for (word, wanted) in [(Both("yes", "有"), true), (Both("no", "无"), false)] {
        writeln!(out, "<dt>{word}</dt>\n<dd><ul>")?;
        for feature in report.features.iter().filter(|feature| feature.is_there == wanted) {
            writeln!(out, "<li>{}</li>", Both::from(&feature.title))?;
        }
        writeln!(out, "</ul></dd>")?;
    }
    writeln!(out, "</dl>")
}

/// Radio buttons of one choice; the first that is marked holds.
fn choice(out: &mut String, group: &str, options: &[(&str, bool, Both<'_>)]) -> fmt::Result {
    writeln!(out, "<fieldset>")?;
    for (id, is_marked, word) in options {
        let mark = if *is_marked { " checked" } else { "" };
        writeln!(out, "<label><input type=\"radio\" name=\"{group}\" id=\"{id}\"{mark}> {word}</label>")?;
    }
    writeln!(out, "</fieldset>")
}

fn case(out: &mut String, case: &CaseReport) -> fmt::Result {
    let class = match case.verdict {
        Verdict::Passed => "passed",
        Verdict::Failed(_) => "failed",
        Verdict::NotApplicable { .. } => "not-applicable",
    };
    let word =
        Both(verdict_word(&case.verdict, Language::English), verdict_word(&case.verdict, Language::Chinese));
    writeln!(out, "<article class=\"is-{class}\" id=\"{}\">", Safe(&case.id))?;
    writeln!(
        out,
        "<header><b class=\"{class}\">{word}</b><code>{}</code><span class=\"clause\">{}</span></header>",
        Safe(&case.id),
        Safe(&case.clause)
    )?;
    writeln!(out, "<p>{}</p>", Both::from(&case.purpose))?;
    match &case.verdict {
        Verdict::Passed => {}
        Verdict::NotApplicable { reason } => writeln!(out, "<p class=\"clause\">{}</p>", Both::from(reason))?,
        Verdict::Failed(failure) => {
            self::failure(out, failure)?;
            dialogue(out, case)?;
        }
    }
    writeln!(out, "</article>")
}

fn failure(out: &mut String, failure: &Failure) -> fmt::Result {
    let Failure { number, step, finding, .. } = failure;
    writeln!(
        out,
        "<table>\n<tr><th>{}</th><td><code>{number}: {}</code></td></tr>",
        Both("step", "步骤"),
        Safe(step)
    )?;
    writeln!(
        out,
        "<tr><th>{}</th><td>{}</td></tr>",
        Both("looked at", "检查项"),
        Both::from(&finding.subject)
    )?;
    for (name, value) in
        [(Both("expected", "期望"), &finding.expected), (Both("found", "实际"), &finding.found)]
    {
        writeln!(out, "<tr><th>{name}</th><td><code>{}</code></td></tr>", Safe(value))?;
    }
    writeln!(out, "</table>")
}

fn dialogue(out: &mut String, case: &CaseReport) -> fmt::Result {
    writeln!(out, "<details open><summary>{}</summary>\n<pre>", Both("dialogue", "交互过程"))?;
    for exchange in &case.dialogue {
        writeln!(out, "{}", Safe(&exchange.title))?;
        if !exchange.command.is_empty() {
            let answer = exchange.answer.as_deref().unwrap_or("–");
            writeln!(out, "  &gt; {}\n  &lt; {}", Safe(&exchange.command), Safe(answer))?;
        }
    }
    writeln!(out, "</pre></details>")
}
