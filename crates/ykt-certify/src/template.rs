//! Bytes as a plan writes them: commands with names in them, answers with places left open.
//!
//! ```text
//! 80 50 01 02 ( 01 00000064 {terminal} ) 0F      a command: {name} is a value, ( … ) puts the length before it
//! {balance} ???? 00 00 00 [version:1] *          an answer: ? is any digit, [name:len] keeps bytes, * is any rest
//! ```

use std::collections::BTreeMap;
use std::fmt;
use ykt_base::apdu::COMMAND_LEN_MAX;
use ykt_base::hex::Hex;

/// A value that a command can name.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether reports must not show them.
    pub secrecy: Secrecy,
}

/// As a report shows it.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.secrecy {
            Secrecy::Open => fmt::Display::fmt(&Hex(&self.bytes), f),
            Secrecy::Secret => f.write_str("**"),
        }
    }
}

/// Whether a report shows bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// It does.
    Open,
    /// It shows `**` in their place: a PIN, a key.
    Secret,
}

/// What names mean while a case runs.
pub type Values = BTreeMap<String, Value>;

/// A command, or what it is made of; shows as hex with `**` for secret bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Masked {
    bytes: Vec<u8>,
    hidden: Vec<bool>,
}

impl Masked {
    /// Bytes that all may be shown.
    #[must_use]
    pub fn open(bytes: &[u8]) -> Masked {
        let mut masked = Masked::default();
        masked.push(bytes, Secrecy::Open);
        masked
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8], secrecy: Secrecy) {
        self.bytes.extend_from_slice(bytes);
        self.hidden.resize(self.bytes.len(), secrecy == Secrecy::Secret);
    }

    /// Appends what another holds.
    pub fn append(&mut self, other: &Masked) {
        self.bytes.extend_from_slice(&other.bytes);
        self.hidden.extend_from_slice(&other.hidden);
    }

    /// The bytes for the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// As it shows: secret bytes stay hidden.
impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes
            .iter()
            .zip(&self.hidden)
            .try_for_each(|(byte, hidden)| if *hidden { f.write_str("**") } else { write!(f, "{byte:02X}") })
    }
}

/// Bytes with names in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    Name(String),
    /// What stands in brackets, behind one byte that states its length.
    Counted(Vec<Piece>),
}

impl Template {
    /// No bytes.
    #[must_use]
    pub const fn empty() -> Template {
        Template(Vec::new())
    }

    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut signs = Signs::of(text);
        let pieces = pieces(&mut signs)?;
        match signs.next() {
            None => Ok(Template(pieces)),
            Some(sign) => Err(signs.unexpected(sign)),
        }
    }

    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        names(&self.0).into_iter()
    }

    /// The bytes, with every name replaced by its value.
    ///
    /// # Errors
    /// A name without a value, or a bracket of more than 255 bytes.
    pub fn fill(&self, values: &Values) -> Result<Masked, String> {
        let filled = fill(&self.0, values)?;
        if filled.bytes.len() > COMMAND_LEN_MAX {
            return Err(format!("{} bytes are more than a command has", filled.bytes.len()));
        }
        Ok(filled)
    }
}

fn names(pieces: &[Piece]) -> Vec<&str> {
    let of = |piece| match piece {
        &Piece::Bytes(_) => Vec::new(),
        Piece::Name(name) => vec![name.as_str()],
        Piece::Counted(inner) => names(inner),
    };
    pieces.iter().flat_map(of).collect()
}

fn fill(pieces: &[Piece], values: &Values) -> Result<Masked, String> {
    let mut out = Masked::default();
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => out.push(bytes, Secrecy::Open),
            Piece::Name(name) => {
                let value = values.get(name).ok_or_else(|| unknown(name))?;
                out.push(&value.bytes, value.secrecy);
            }
            Piece::Counted(inner) => {
                let inner = fill(inner, values)?;
                let len = u8::try_from(inner.bytes.len());
                out.push(&[len.map_err(|_| "more than 255 bytes in brackets".to_owned())?], Secrecy::Open);
                out.append(&inner);
            }
        }
    }
    Ok(out)
}

fn unknown(name: &str) -> String {
    format!("`{{{name}}}` has no value here")
}

/// What an answer must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    places: Vec<Place>,
    /// Whether more may follow.
    is_open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// One byte: high and low digit, `None` for any.
    Digits(Option<u8>, Option<u8>),
    Name(String),
    Capture(String, usize),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let mut signs = Signs::of(text);
        let mut pattern = Pattern { places: Vec::new(), is_open: false };
        while let Some(sign) = signs.next() {
            if pattern.is_open {
                return Err(signs.unexpected(sign));
            }
            match sign {
                '*' => pattern.is_open = true,
                '{' => pattern.places.push(Place::Name(signs.until('}')?)),
                '[' => {
                    let inner = signs.until(']')?;
                    let capture = inner
                        .split_once(':')
                        .and_then(|(name, len)| Some(Place::Capture(name.to_owned(), len.parse().ok()?)));
                    pattern
                        .places
                        .push(capture.ok_or_else(|| format!("expected [name:len], found [{inner}]"))?);
                }
                first => {
                    let second = signs.next().ok_or("a digit is missing at the end")?;
                    let digit = |sign| match sign {
                        '?' => Ok(None),
                        sign => hex_digit(sign).map(Some).ok_or_else(|| signs.unexpected(sign)),
                    };
                    pattern.places.push(Place::Digits(digit(first)?, digit(second)?));
                }
            }
        }
        Ok(pattern)
    }

    /// The names it compares with.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.iter().filter_map(|place| match place {
            Place::Name(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The names it gives a value.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.places.iter().filter_map(|place| match place {
            Place::Capture(name, _) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether `data` are so; what it keeps of them goes into `values`.
    ///
    /// # Errors
    /// A name without a value.
    pub fn matches(&self, data: &[u8], values: &mut Values) -> Result<bool, String> {
        let mut rest = data;
        // What is kept has a value for the rest of the pattern, and for the case when all of it fits.
        let mut known = values.clone();
        for place in &self.places {
            let len = match place {
                Place::Digits(..) => 1,
                Place::Name(name) => known.get(name).ok_or_else(|| unknown(name))?.bytes.len(),
                Place::Capture(_, len) => *len,
            };
            let Some((here, behind)) = rest.split_at_checked(len) else { return Ok(false) };
            rest = behind;
            let fits = match place {
                Place::Digits(high, low) => here.iter().all(|byte| {
                    high.is_none_or(|high| byte >> 4 == high) && low.is_none_or(|low| byte & 0x0F == low)
                }),
                Place::Name(name) => known.get(name).is_some_and(|value| value.bytes == here),
                Place::Capture(name, _) => {
                    let value = Value { bytes: here.to_vec(), secrecy: Secrecy::Open };
                    known.insert(name.clone(), value);
                    true
                }
            };
            if !fits {
                return Ok(false);
            }
        }
        if !rest.is_empty() && !self.is_open {
            return Ok(false);
        }
        *values = known;
        Ok(true)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |digit: &Option<u8>| digit.map_or_else(|| "?".to_owned(), |digit| format!("{digit:X}"));
        for place in &self.places {
            match place {
                Place::Digits(high, low) => write!(f, "{}{}", digit(high), digit(low))?,
                Place::Name(name) => write!(f, "{{{name}}}")?,
                Place::Capture(name, len) => write!(f, "[{name}:{len}]")?,
            }
        }
        f.write_str(if self.is_open { "*" } else { "" })
    }
}

fn hex_digit(sign: char) -> Option<u8> {
    sign.to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The signs of a text, blanks left out.
struct Signs<'a> {
    rest: std::iter::Peekable<std::str::CharIndices<'a>>,
    at: usize,
}

impl<'a> Signs<'a> {
    fn of(text: &'a str) -> Signs<'a> {
        Signs { rest: text.char_indices().peekable(), at: 0 }
    }

    fn next(&mut self) -> Option<char> {
        let (at, sign) = self.rest.by_ref().find(|(_, sign)| !sign.is_whitespace())?;
        self.at = at;
        Some(sign)
    }

    fn peek(&mut self) -> Option<char> {
        while self.rest.next_if(|(_, sign)| sign.is_whitespace()).is_some() {}
        self.rest.peek().map(|(_, sign)| *sign)
    }

    fn until(&mut self, end: char) -> Result<String, String> {
        let mut word = String::new();
        loop {
            match self.next() {
                Some(sign) if sign == end => return Ok(word),
                Some(sign) => word.push(sign),
                None => return Err(format!("`{end}` is missing at the end")),
            }
        }
    }

    fn unexpected(&self, sign: char) -> String {
        format!(
            "`{sign}` at character {} is no hex digit and no part of a template",
            self.at.saturating_add(1)
        )
    }
}

fn pieces(signs: &mut Signs<'_>) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    while let Some(sign) = signs.peek().filter(|sign| *sign != ')') {
        signs.next();
        match sign {
            '{' => pieces.push(Piece::Name(signs.until('}')?)),
            '(' => {
                pieces.push(Piece::Counted(self::pieces(signs)?));
                if signs.next() != Some(')') {
                    return Err("`)` is missing at the end".to_owned());
                }
            }
            high => {
                let low = signs.next().ok_or("a digit is missing at the end")?;
                let digit = |sign| hex_digit(sign).ok_or_else(|| signs.unexpected(sign));
                let byte = digit(high)? << 4 | digit(low)?;
                match pieces.last_mut() {
                    Some(Piece::Bytes(bytes)) => bytes.push(byte),
                    _ => pieces.push(Piece::Bytes(vec![byte])),
                }
            }
        }
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let value = |bytes: &[u8], secrecy| Value { bytes: bytes.to_vec(), secrecy };
        [("pin", value(&[0x12, 0x34], Secrecy::Secret)), ("kid", value(&[1], Secrecy::Open))]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    #[test]
    fn a_template_is_filled_and_hides_what_is_secret() {
        let template = Template::parse("80 5E 01 {kid} ({pin} FF {pin}) 00").unwrap();
        let filled = template.fill(&values()).unwrap();
        assert_eq!(filled.as_bytes(), [0x80, 0x5E, 1, 1, 5, 0x12, 0x34, 0xFF, 0x12, 0x34, 0]);
        assert_eq!(filled.to_string(), "805E010105****FF****00");
        assert_eq!(template.names().collect::<Vec<_>>(), ["kid", "pin", "pin"]);
        assert!(Template::parse("{x}").unwrap().fill(&values()).unwrap_err().contains("{x}"));
    }

    #[test]
    fn what_is_no_template_says_so() {
        for (text, why) in [
            ("0", "digit is missing"),
            ("0G", "`G` at character 2"),
            ("(00", "`)`"),
            ("00)", "`)`"),
            ("{a", "`}`"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(Pattern::parse("[a]").unwrap_err().contains("[name:len]"));
        assert!(Pattern::parse("* 00").is_err());
    }

    #[test]
    fn a_pattern_compares_and_keeps() {
        let mut values = values();
        let mut fits =
            |pattern: &str, data: &[u8]| Pattern::parse(pattern).unwrap().matches(data, &mut values).unwrap();
        assert!(fits("00 ?1 F?", &[0, 0x21, 0xF0]));
        assert!(!fits("00 ?1", &[0, 0x22]));
        assert!(!fits("00", &[0, 0]) && !fits("00 00", &[0]) && fits("00*", &[0, 1, 2]) && fits("", &[]));
        assert!(fits("{kid} [seq:2]", &[1, 7, 8]) && !fits("{kid}", &[2]));
        assert!(fits("[twice:1] {twice}", &[5, 5]) && !fits("[twice:1] {twice}", &[5, 6]));
        assert!(fits("{seq}", &[7, 8]), "what was kept has a value");
        assert_eq!(Pattern::parse("0? {kid} [a:2] *").unwrap().to_string(), "0?{kid}[a:2]*");
    }
}
