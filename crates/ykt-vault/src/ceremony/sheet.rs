//! The seed code sheet (种子码单): one printed page for one custodian, with his component or recovery share.
//!
//! A page of HTML with a print layout for A4 that asks for nothing from outside. It folds twice, so that the code lies
//! inside under a pattern that shows through no window and copies badly; seals and signatures go over the edge. The
//! text is wiped with its owner: write it to a file of its owner's only, or to a printer.

use super::component::Component;
use super::{Person, Plan};
use crate::KeyRef;
use core::fmt::{self, Display, Write};
use ykt_base::DateTime;
use ykt_base::hex::Hex;
use zeroize::Zeroizing;

/// The style of a sheet, for those who serve it beside the page.
pub const SHEET_STYLE: &str = include_str!("sheet.css");
/// More than a sheet takes: its text never moves in memory, so that no copy is left behind.
const SHEET_LEN_MAX: usize = 32 << 10;

/// What a sheet holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SheetKind {
    /// A component: all of them are needed.
    Component,
    /// A recovery share: any so many give the key back.
    Share {
        /// How many are needed.
        needed: u8,
    },
}

/// Where a sheet's style stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SheetStyle<'a> {
    /// In the page: for files and printers.
    Inside,
    /// At this address: for a server that allows no style in its pages.
    At(&'a str),
}

/// A sheet that is about to be printed, or to be written to a component card. No `Debug`, wiped when dropped.
pub struct Sheet {
    number: String,
    place: String,
    began_at: DateTime,
    key: KeyRef,
    administrator: Person,
    custodian: Person,
    position: u8,
    of: usize,
    kind: SheetKind,
    component: Component,
    combined: [u8; 3],
}

impl Sheet {
    pub(super) fn new(
        plan: &Plan,
        began_at: DateTime,
        kind: SheetKind,
        (place, custodian): (usize, Person),
        component: Component,
        combined: [u8; 3],
    ) -> Sheet {
        Sheet {
            number: plan.number.clone(),
            place: plan.place.clone(),
            began_at,
            key: plan.key,
            administrator: plan.administrator.clone(),
            custodian,
            position: u8::try_from(place.saturating_add(1)).unwrap_or(u8::MAX),
            of: plan.custodians.len(),
            kind,
            component,
            combined,
        }
    }

    /// Number of the ceremony.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Whose it is.
    #[must_use]
    pub const fn custodian(&self) -> &Person {
        &self.custodian
    }

    /// The custodian's number from 1; a share's number, too.
    #[must_use]
    pub const fn position(&self) -> u8 {
        self.position
    }

    /// How many custodians there are; as many shares.
    #[must_use]
    pub fn of(&self) -> u8 {
        u8::try_from(self.of).unwrap_or(u8::MAX)
    }

    /// What it holds.
    #[must_use]
    pub const fn kind(&self) -> SheetKind {
        self.kind
    }

    /// The component or share itself.
    #[must_use]
    pub const fn component(&self) -> &Component {
        &self.component
    }

    /// KCV of the key.
    #[must_use]
    pub const fn combined_kcv(&self) -> [u8; 3] {
        self.combined
    }

    /// The page.
    #[must_use]
    pub fn html(&self, style: SheetStyle<'_>) -> Zeroizing<String> {
        let mut page = Zeroizing::new(String::with_capacity(SHEET_LEN_MAX));
        // Writing to a string cannot fail.
        let _ = self.write(&mut page, style);
        page
    }

    fn write(&self, page: &mut String, style: SheetStyle<'_>) -> fmt::Result {
        let (zh, en) = match self.kind {
            SheetKind::Component => ("种子码单", "Seed code sheet"),
            SheetKind::Share { .. } => ("种子恢复份额", "Recovery share of the seed"),
        };
        let number = Text(&self.number);
        writeln!(page, "<!doctype html>\n<html lang=\"zh\">\n<head>\n<meta charset=\"utf-8\">")?;
        writeln!(page, "<title>{number}-{}</title>", self.position)?;
        match style {
            SheetStyle::Inside => writeln!(page, "<style>\n{SHEET_STYLE}</style>")?,
            SheetStyle::At(address) => {
                writeln!(page, "<link rel=\"stylesheet\" href=\"{}\">", Text(address))?
            }
        }
        writeln!(page, "</head>\n<body>\n<section class=\"outer\">\n<h1>{zh}<small>{en}</small></h1>\n<dl>")?;
        let of = format_args!("{} / {}", self.position, self.of);
        let algorithm = self.component.algorithm();
        let entries: [(&str, &dyn Display); 8] = [
            ("仪式编号 Ceremony", &number),
            ("份号 Number", &of),
            ("保管人 Custodian", &Text(&self.custodian.full_name)),
            ("登录名 Sign-in name", &Text(&self.custodian.name)),
            ("地点 Place", &Text(&self.place)),
            ("日期 Date", &self.began_at.date),
            ("密钥 Key", &self.key),
            ("算法 Algorithm", &algorithm),
        ];
        for (name, value) in entries {
            writeln!(page, "<dt>{name}</dt><dd>{value}</dd>")?;
        }
        writeln!(page, "</dl>\n<ol class=\"rules\">")?;
        for rule in RULES {
            writeln!(page, "<li>{rule}</li>")?;
        }
        if let SheetKind::Share { needed } = self.kind {
            let of = self.of;
            writeln!(
                page,
                "<li>任意 {needed} 份（共 {of} 份）可恢复种子。 Any {needed} of {of} shares give the seed back.</li>"
            )?;
        }
        writeln!(
            page,
            "</ol>\n</section>\n<p class=\"fold\">第一折 · 向内折 &nbsp; First fold, inwards</p>"
        )?;
        self.secret(page)?;
        writeln!(
            page,
            "<p class=\"fold\">第二折 · 盖住上面的代码 &nbsp; Second fold, over the code above</p>"
        )?;
        writeln!(
            page,
            "<section class=\"flap\">\n<div class=\"seal\">封签跨边粘贴<br>Seal over the edge<br><br>封签号 Seal no.</div>"
        )?;
        let checked = "核对：逐行校验值、分量 KCV 与屏幕一致。 Checked: check value of each line and KCV as on the screen.";
        writeln!(page, "<p>{checked}</p>\n<div class=\"sign\">")?;
        let lines: [(&str, &str); 4] = [
            ("保管人签字 Custodian", &self.custodian.full_name),
            ("主持人签字 Administrator", &self.administrator.full_name),
            ("见证人签字 Witness", ""),
            ("日期时间 Date and time", ""),
        ];
        for (title, name) in lines {
            writeln!(page, "<section><div></div><p>{title} {}</p></section>", Text(name))?;
        }
        writeln!(page, "</div>\n</section>\n</body>\n</html>")
    }

    /// The part that lies inside when the sheet is folded.
    fn secret(&self, page: &mut String) -> fmt::Result {
        writeln!(page, "<section class=\"secret\">")?;
        pattern(page, &self.number)?;
        let title = match self.kind {
            SheetKind::Component => "分量 Component",
            SheetKind::Share { .. } => "份额 Share",
        };
        writeln!(page, "<h2>{title} {} / {}</h2>\n<table class=\"code\">", self.position, self.of)?;
        writeln!(
            page,
            "<thead><tr><th>行 Line</th><th colspan=\"4\">代码 Code (0-9 A-F)</th><th>校验 Check</th></tr></thead>"
        )?;
        for (line, groups) in (1..).zip(self.component.lines()) {
            let _: u32 = line;
            let [a, b, c, d, check] = &*groups;
            writeln!(
                page,
                "<tr><th>{line}</th><td>{a}</td><td>{b}</td><td>{c}</td><td>{d}</td><td class=\"check\">{check}</td></tr>"
            )?;
        }
        let (kcv, combined) = (self.component.kcv(), self.combined);
        writeln!(
            page,
            "</table>\n<p class=\"values\"><span>{title} KCV <b class=\"kcv\">{}</b></span>",
            Hex(&kcv)
        )?;
        writeln!(
            page,
            "<span>合成 Combined KCV <b class=\"kcv\">{}</b></span></p>\n</section>",
            Hex(&combined)
        )
    }
}

/// What a custodian does with his sheet.
const RULES: [&str; 4] = [
    "本页只供保管人本人查看；不得拍照、复印、录入任何其他设备。 For the custodian's eyes only; no photo, no copy, no other device.",
    "逐行核对后立即沿折线内折，粘贴编号封签，三方跨边签字。 Check line by line, fold inwards, put the numbered seal on, sign over the edge.",
    "与其他码单分开存放；启封须登记原因、时间和封签号。 Kept apart from the other sheets; opening it is recorded with reason, time and seal number.",
    "封签破损即视为泄露：报告密钥管理员并重新举行仪式。 A broken seal counts as disclosure: report it, and hold a new ceremony.",
];

/// Waves in two directions with the ceremony's number between them, as on an envelope for PINs.
fn pattern(page: &mut String, number: &str) -> fmt::Result {
    writeln!(page, "<svg viewBox=\"0 0 180 96\" preserveAspectRatio=\"none\" aria-hidden=\"true\">")?;
    for y in (0..=100_u32).step_by(2) {
        writeln!(page, "<path d=\"M-4 {y}q3 -3 6 0{}\"/>", "t6 0".repeat(31))?;
        writeln!(page, "<path d=\"M-1 {y}q4 3.5 8 0{}\"/>", "t8 0".repeat(23))?;
    }
    let words = format!("{} ", Text(number)).repeat(18);
    for y in (3..=96_u32).step_by(6) {
        writeln!(page, "<text x=\"0\" y=\"{y}\">{words}</text>")?;
    }
    writeln!(page, "</svg>")
}

/// Text as HTML.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
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
