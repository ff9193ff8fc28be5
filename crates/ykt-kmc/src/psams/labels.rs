//! Labels for finished PSAMs: what a label printer or a sheet of paper needs for each.

use super::{BatchError, PsamFilter, PsamKey, PsamState, keys_of, store};
use ykt_base::hex::Hex;
use ykt_base::{Date, PsamSerial, TerminalId};
use ykt_store::{PAGE_ROWS_MAX, Paging, Tx};

/// One label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Serial number.
    pub serial: PsamSerial,
    /// Terminal id.
    pub terminal: TerminalId,
    /// Batch.
    pub batch: String,
    /// What the batch has on every label.
    pub text: String,
    /// Last day of use.
    pub expiry: Date,
    /// Keys with their check values.
    pub keys: Vec<PsamKey>,
}

/// Labels of the produced PSAMs of a batch, in order.
///
/// # Errors
/// [`BatchError::Unknown`].
pub fn labels(tx: &Tx, id: &str) -> Result<Vec<Label>, BatchError> {
    let batch = store::batch(tx, id)?;
    let filter =
        PsamFilter { batch: Some(id.to_owned()), state: Some(PsamState::Produced), ..PsamFilter::default() };
    let mut labels = Vec::new();
    for no in 1.. {
        let page = store::list(tx, &filter, Paging::new(no, PAGE_ROWS_MAX))?;
        if page.rows.is_empty() {
            break;
        }
        for psam in page.rows {
            labels.push(Label {
                serial: psam.serial,
                terminal: psam.terminal,
                batch: id.to_owned(),
                text: batch.new.label.clone(),
                expiry: batch.new.expiry,
                keys: keys_of(tx, &psam.serial)?,
            });
        }
    }
    Ok(labels)
}

/// The same for a label printer: CSV with a head line, lines ended by CR LF (RFC 4180).
#[must_use]
pub fn labels_csv(labels: &[Label]) -> String {
    let mut out = String::from("serial,terminal,batch,label,expiry,check values\r\n");
    for label in labels {
        let kcvs: Vec<String> = label.keys.iter().map(kcv).collect();
        let Label { serial, terminal, batch, text, expiry, .. } = label;
        // It may be opened in a spreadsheet: there a text is no formula.
        let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        let text = format!("{guard}{}", text.replace('"', "\"\""));
        out.push_str(&format!("{serial},{terminal},{batch},\"{text}\",{expiry},{}\r\n", kcvs.join(" ")));
    }
    out
}

/// Usage and check value of a key, such as `42:8CA64D`.
fn kcv(key: &PsamKey) -> String {
    let kcv = key.kcv.map_or_else(|| "-".to_owned(), |kcv| Hex(&kcv).to_string());
    format!("{:02X}:{kcv}", key.usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_no_formula() {
        let label = |text: &str| Label {
            serial: "00002144000000000101".parse().unwrap(),
            terminal: "214400000101".parse().unwrap(),
            batch: "P-7".to_owned(),
            text: text.to_owned(),
            expiry: Date::new(2036, 1, 1).unwrap(),
            keys: Vec::new(),
        };
        for (text, field) in [
            ("City, \"1\"", "\"City, \"\"1\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("@x", "\"'@x\""),
            ("-", "\"'-\""),
        ] {
            let csv = labels_csv(&[label(text)]);
            assert!(csv.contains(&format!(",{field},")), "{csv}");
        }
    }
}
