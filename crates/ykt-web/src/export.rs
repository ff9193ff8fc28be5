//! A list as a file: the columns that are shown, in the order that is shown, all rows that pass the filter,
//! and the totals in the last line. CSV begins with a byte-order mark so that spreadsheets read Chinese.

use crate::i18n::Lang;
use crate::list::{Ask, Found, List, Look, Shape};
use crate::view::cell::Value;
use crate::view::table::chosen;
use rust_xlsxwriter::{Format, FormatAlign, Workbook, XlsxError};

/// The list as CSV, UTF-8 with byte-order mark, lines ended by CR LF (RFC 4180).
#[must_use]
pub fn csv<L: List>(ask: &Ask, found: &Found<L::Row>, look: Look) -> Vec<u8> {
    let columns = chosen(L::columns(), ask);
    let mut out = String::from("\u{feff}");
    line(&mut out, columns.iter().map(|column| look.lang.t(column.title).to_owned()));
    for row in &found.rows {
        line(&mut out, columns.iter().map(|column| (column.cell)(row, look).value.plain()));
    }
    if let Some(totals) = totals::<L>(ask, found, look.lang) {
        line(&mut out, totals.into_iter().map(|value| value.plain()));
    }
    out.into_bytes()
}

/// The list as a spreadsheet: amounts and counts are numbers, headings stay in sight.
///
/// # Errors
/// [`XlsxError`] when the sheet cannot be written.
pub fn xlsx<L: List>(ask: &Ask, found: &Found<L::Row>, look: Look) -> Result<Vec<u8>, XlsxError> {
    let columns = chosen(L::columns(), ask);
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    let name: String = look.lang.t(L::TITLE).chars().filter(|c| !"[]:*?/\\".contains(*c)).take(31).collect();
    sheet.set_name(name)?;
    let head = Format::new().set_bold().set_background_color("#EDEFF2");
    let head_right = head.clone().set_align(FormatAlign::Right);
    for (at, column) in (0u16..).zip(&columns) {
        let format = if column.shape.right() { &head_right } else { &head };
        sheet.write_string_with_format(0, at, look.lang.t(column.title), format)?;
        sheet.set_column_width(at, if column.shape == Shape::Long { 40 } else { 18 })?;
    }
    let plain = Format::new();
    let mut at_row = 0u32;
    for row in &found.rows {
        at_row += 1;
        for (at, column) in (0u16..).zip(&columns) {
            write(sheet, at_row, at, &(column.cell)(row, look).value, &plain)?;
        }
    }
    sheet.set_freeze_panes(1, 0)?;
    let last = u16::try_from(columns.len().saturating_sub(1)).unwrap_or(0);
    sheet.autofilter(0, 0, at_row, last)?;
    if let Some(totals) = totals::<L>(ask, found, look.lang) {
        let bold = Format::new().set_bold();
        for (at, value) in (0u16..).zip(&totals) {
            write(sheet, at_row + 1, at, value, &bold)?;
        }
    }
    book.save_to_buffer()
}

/// The last line: the word for total in the first column, then the totals under their columns.
fn totals<L: List>(ask: &Ask, found: &Found<L::Row>, lang: Lang) -> Option<Vec<Value>> {
    if found.totals.is_empty() {
        return None;
    }
    let columns = chosen(L::columns(), ask);
    let value = |key: &str| found.totals.iter().find(|(k, _)| *k == key).map(|(_, v)| v.clone());
    let mut line: Vec<Value> = columns.iter().map(|c| value(c.key).unwrap_or(Value::Nothing)).collect();
    if let Some(first) = line.first_mut().filter(|first| **first == Value::Nothing) {
        *first = Value::Text(lang.t("table.total").to_owned());
    }
    Some(line)
}

fn write(
    sheet: &mut rust_xlsxwriter::Worksheet,
    row: u32,
    column: u16,
    value: &Value,
    base: &Format,
) -> Result<(), XlsxError> {
    match value {
        Value::Nothing => {}
        Value::Amount(_) | Value::Number(_) | Value::Serial(_) => {
            // A spreadsheet knows no other number; the decimal text is read, so nothing is computed in it.
            let Ok(number) = value.plain().parse::<f64>() else { return Ok(()) };
            let picture = match value {
                Value::Amount(_) => "#,##0.00",
                Value::Serial(_) => "0",
                _ => "#,##0",
            };
            sheet.write_number_with_format(row, column, number, &base.clone().set_num_format(picture))?;
        }
        other => {
            sheet.write_string_with_format(row, column, other.plain(), base)?;
        }
    }
    Ok(())
}

fn line(out: &mut String, fields: impl Iterator<Item = String>) {
    for (at, field) in fields.enumerate() {
        if at > 0 {
            out.push(',');
        }
        // A field that begins like a formula gets an apostrophe: a merchant's name must not run in a spreadsheet.
        let formula = field.starts_with(['=', '@', '\t', '\r'])
            || (field.starts_with(['+', '-']) && field.parse::<f64>().is_err());
        let field = if formula { format!("'{field}") } else { field };
        if field.contains(['"', ',', '\n', '\r']) {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&field);
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_formulas_disarmed() {
        let mut out = String::new();
        let fields = ["a,b", "say \"hi\"", "=1+1", "-12.50", "-x", "圈存"];
        line(&mut out, fields.into_iter().map(str::to_owned));
        assert_eq!(out, "\"a,b\",\"say \"\"hi\"\"\",'=1+1,-12.50,'-x,圈存\r\n");
    }
}
