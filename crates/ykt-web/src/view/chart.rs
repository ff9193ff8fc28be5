//! Charts as SVG made on the server: whole numbers only, every bar a link to the records it stands for, readable
//! without colour (one series a chart, values and names beside the bars).

use crate::view::cell::grouped;
use std::fmt::Write;

/// A bar of the day's chart: one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hour {
    /// 0 to 23.
    pub hour: u8,
    /// How many records.
    pub count: i64,
    /// The records of this hour.
    pub href: String,
    /// Said by the tooltip and to screen readers.
    pub words: String,
}

/// A bar with a name, drawn lying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What it stands for.
    pub label: String,
    /// Its length.
    pub size: i64,
    /// The value beside it.
    pub value: String,
    /// A second line under the value.
    pub note: String,
    /// The records behind it.
    pub href: String,
}

/// Height of the plot of the day's chart, pixels.
const PLOT_HEIGHT: i64 = 168;
/// Room above the plot for the highest mark's label, pixels.
const TOP: i64 = 16;
/// Room under the plot for the hours, pixels.
const FOOT: i64 = 24;
/// Room at the left for the marks, per mille of the width.
const LEFT_PERMILLE: i64 = 60;

/// The day by hour. Positions across are per cent, so the chart fits any width without scaling its letters.
#[must_use]
pub fn hours(hours: &[Hour], title: &str) -> String {
    let high = hours.iter().map(|hour| hour.count).max().unwrap_or(0);
    let step = mark_step(high);
    let top = step * marks_needed(high, step);
    let y = |value: i64| TOP + PLOT_HEIGHT - PLOT_HEIGHT * value / top.max(1);
    let height = TOP + PLOT_HEIGHT + FOOT;
    let mut out = format!(
        "<svg class=\"chart\" width=\"100%\" height=\"{height}\" role=\"group\" aria-label=\"{}\">",
        escape(title)
    );
    let mut mark = 0;
    while mark <= top && step > 0 {
        let (line, left) = (y(mark), percent(LEFT_PERMILLE));
        let _ = write!(
            out,
            "<line class=\"axis\" x1=\"{left}\" x2=\"100%\" y1=\"{line}.5\" y2=\"{line}.5\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            percent(LEFT_PERMILLE - 10),
            line + 4,
            grouped(mark)
        );
        mark += step;
    }
    let slot = (1_000 - LEFT_PERMILLE) / 24;
    for hour in hours {
        let left = LEFT_PERMILLE + slot * i64::from(hour.hour) + slot / 8;
        let width = percent(slot * 3 / 4);
        let x = percent(left);
        let base = y(0);
        let _ = write!(
            out,
            "<a href=\"{}\" aria-label=\"{}\"><title>{}</title>\
             <rect class=\"reach\" x=\"{x}\" width=\"{width}\" y=\"{TOP}\" height=\"{PLOT_HEIGHT}\"/>",
            escape(&hour.href),
            escape(&hour.words),
            escape(&hour.words)
        );
        if hour.count > 0 {
            // A bar that stands for something is never thinner than a pixel.
            let top = y(hour.count).min(base - 1);
            let height = base - top;
            let _ = write!(
                out,
                "<rect class=\"s1\" x=\"{x}\" width=\"{width}\" y=\"{top}\" height=\"{height}\"/>"
            );
        }
        out.push_str("</a>");
        let odd = if hour.hour.is_multiple_of(3) { "" } else { " class=\"hour-odd\"" };
        let _ = write!(
            out,
            "<text{odd} x=\"{}\" y=\"{}\" text-anchor=\"middle\" aria-hidden=\"true\">{:02}</text>",
            percent(left + slot * 3 / 8),
            TOP + PLOT_HEIGHT + 16,
            hour.hour
        );
    }
    out.push_str("</svg>");
    out
}

/// Lying bars, each a row of label, bar and value.
#[must_use]
pub fn bars(bars: &[Bar]) -> String {
    let high = bars.iter().map(|bar| bar.size).max().unwrap_or(0).max(1);
    let mut out = String::from("<div class=\"bars\">");
    for bar in bars {
        let permille = (bar.size.saturating_mul(1_000) / high).max(i64::from(bar.size > 0) * 4);
        let note =
            if bar.note.is_empty() { String::new() } else { format!("<small>{}</small>", escape(&bar.note)) };
        let _ = write!(
            out,
            "<a href=\"{}\"><span class=\"label\" title=\"{label}\">{label}</span>\
             <svg aria-hidden=\"true\" class=\"chart\"><rect class=\"s1\" width=\"{}\" height=\"14\" rx=\"2\"/></svg>\
             <span class=\"value\">{}{note}</span></a>",
            escape(&bar.href),
            percent(permille),
            escape(&bar.value),
            label = escape(&bar.label),
        );
    }
    out.push_str("</div>");
    out
}

/// `123` per mille as `12.3%`.
fn percent(permille: i64) -> String {
    format!("{}.{}%", permille / 10, permille % 10)
}

/// A round distance between marks so that there are at most five.
fn mark_step(high: i64) -> i64 {
    let mut step = 1;
    loop {
        for factor in [1, 2, 5] {
            if marks_needed(high, step * factor) <= 4 {
                return step * factor;
            }
        }
        step *= 10;
    }
}

fn marks_needed(high: i64, step: i64) -> i64 {
    ((high + step - 1) / step).max(1)
}

/// Text inside markup.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round() {
        for (high, step) in [(0, 1), (3, 1), (7, 2), (20, 5), (37, 10), (1_234, 500), (8_001, 5_000)] {
            assert_eq!(mark_step(high), step, "{high}");
        }
    }

    #[test]
    fn every_bar_is_a_link_with_words_and_markup_is_escaped() {
        let hour = Hour { hour: 8, count: 10, href: "/records?a=1&b=2".into(), words: "<8>".into() };
        let svg = hours(&[hour], "day");
        assert!(svg.contains("href=\"/records?a=1&amp;b=2\" aria-label=\"&lt;8&gt;\""));
        assert!(svg.contains("class=\"s1\""));
        assert!(!svg.contains("style="), "the content security policy allows no inline style");
    }

    #[test]
    fn a_small_bar_is_still_seen() {
        let bar = |size: i64| Bar {
            label: "x".into(),
            size,
            value: String::new(),
            note: String::new(),
            href: String::new(),
        };
        let html = bars(&[bar(1_000_000), bar(1), bar(0)]);
        assert!(html.contains("width=\"100.0%\"") && html.contains("width=\"0.4%\""));
        assert!(html.contains("width=\"0.0%\""));
    }
}
