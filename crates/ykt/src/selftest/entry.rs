//! Entries of a vector file: a JSON list of `{name, inputs, outputs}`, values as hex digits.

use anyhow::{Context, bail};
use serde_json::{Map, Value};
use ykt_base::hex;

/// Inputs that are themselves results: compared when the rule makes them, never needed.
const INTERMEDIATES: [&str; 9] = [
    "session_input",
    "mac1_input",
    "mac2_input",
    "mac3_input",
    "gmac_input",
    "tac_input",
    "mac_key",
    "derived",
    "ld",
];

/// One entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    inputs: Map<String, Value>,
    outputs: Map<String, Value>,
}

/// Why an entry cannot be worked.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no rule for it.
    Unknown,
    /// An input is missing or wrong; says which and how.
    Input(String),
}

/// Reads the entries of a file.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Entry>> {
    let list: Value = serde_json::from_str(text).context("it is not JSON")?;
    let Value::Array(list) = list else { bail!("expected a JSON list of entries, found {}", kind(&list)) };
    let numbered = list.into_iter().enumerate();
    numbered.map(|(at, value)| read(value).with_context(|| format!("entry {at} (from 0)"))).collect()
}

fn read(value: Value) -> anyhow::Result<Entry> {
    let Value::Object(mut fields) = value else { bail!("expected an object, found {}", kind(&value)) };
    let name = match fields.remove("name") {
        Some(Value::String(name)) => name,
        other => bail!("name: expected a text, found {}", other.as_ref().map_or("nothing", kind)),
    };
    let mut map = |field: &str| match fields.remove(field) {
        Some(Value::Object(map)) => Ok(map),
        other => {
            bail!("{name:?}, {field}: expected an object, found {}", other.as_ref().map_or("nothing", kind))
        }
    };
    let (inputs, outputs) = (map("inputs")?, map("outputs")?);
    Ok(Entry { name, inputs, outputs })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// An input is not there.
pub(super) fn missing(field: &str) -> Trouble {
    Trouble::Input(format!("input {field} is missing"))
}

fn unread(side: &str, field: &str, value: &Value) -> Trouble {
    Trouble::Input(format!("{side} {field}: expected a text or a number, found {}", kind(value)))
}

impl Entry {
    /// The family: what stands before the `/` of the name.
    pub(super) fn family(&self) -> String {
        self.name.split('/').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// What stands behind the `/`.
    pub(super) fn rest(&self) -> &str {
        self.name.split_once('/').map_or("", |(_, rest)| rest.trim())
    }

    /// # Errors
    /// When there is no output, or one that is neither text nor number: nothing a rule could be held against.
    pub(super) fn check_outputs(&self) -> Result<(), Trouble> {
        if self.outputs.is_empty() {
            return Err(Trouble::Input("outputs: expected at least one, found none".to_owned()));
        }
        match self.outputs.iter().find(|(_, value)| scalar(value).is_none()) {
            None => Ok(()),
            Some((field, value)) => Err(unread("output", field, value)),
        }
    }

    /// Fields and values a rule must give; notes are none.
    pub(super) fn expected_outputs(&self) -> impl Iterator<Item = (&str, String)> {
        let fields = self.outputs.iter().filter(|(field, _)| !field.ends_with("note"));
        fields.filter_map(|(field, value)| Some((field.as_str(), scalar(value)?)))
    }

    /// Inputs that a rule makes on its way. A number (a length) is compared as one byte of hex digits.
    pub(super) fn given_intermediates(&self) -> impl Iterator<Item = (&str, String)> {
        let fields = self.inputs.iter().filter(|(field, _)| INTERMEDIATES.contains(&field.as_str()));
        fields.filter_map(|(field, value)| {
            let text = match value.as_u64() {
                Some(number) => format!("{number:02X}"),
                None => scalar(value)?,
            };
            Some((field.as_str(), text))
        })
    }

    /// Whether the entry has this input.
    pub(super) fn has(&self, field: &str) -> bool {
        self.inputs.contains_key(field)
    }

    /// Whether the entry wants this output.
    pub(super) fn wants(&self, field: &str) -> bool {
        self.outputs.contains_key(field)
    }

    /// The first of these inputs that is there.
    pub(super) fn first_of<'a>(&self, fields: &[&'a str]) -> Option<&'a str> {
        fields.iter().copied().find(|field| self.has(field))
    }

    /// Names of inputs that begin with `prefix`, in order.
    pub(super) fn inputs_named(&self, prefix: &str) -> Vec<&str> {
        let mut names: Vec<_> =
            self.inputs.keys().map(String::as_str).filter(|name| name.starts_with(prefix)).collect();
        names.sort_unstable();
        names
    }

    /// An input as text.
    pub(super) fn text(&self, field: &str) -> Result<String, Trouble> {
        let value = self.inputs.get(field).ok_or_else(|| missing(field))?;
        scalar(value).ok_or_else(|| unread("input", field, value))
    }

    /// An input as a value that is read from its text.
    pub(super) fn read<T, E: std::fmt::Display>(
        &self,
        field: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Trouble> {
        read(&self.text(field)?).map_err(|error| Trouble::Input(format!("input {field}: {error}")))
    }

    /// An input of `N` bytes.
    pub(super) fn array<const N: usize>(&self, field: &str) -> Result<[u8; N], Trouble> {
        self.read(field, hex::decode)
    }

    /// An input of one byte, or this when it is not there.
    pub(super) fn byte_or(&self, field: &str, otherwise: u8) -> Result<u8, Trouble> {
        if self.has(field) { self.array::<1>(field).map(|[byte]| byte) } else { Ok(otherwise) }
    }

    /// An input of any number of bytes.
    pub(super) fn bytes(&self, field: &str) -> Result<Vec<u8>, Trouble> {
        self.read(field, |text| {
            let mut bytes = vec![0; text.len().div_ceil(2)];
            hex::decode_into(text, &mut bytes).map(|()| bytes)
        })
    }
}
