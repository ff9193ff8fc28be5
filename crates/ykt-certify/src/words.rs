//! What a case says in words: texts in two languages, and the status words it accepts.

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use std::fmt;
use ykt_base::StatusWord;

/// A text in English and Chinese.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

impl Text {
    /// The text of these two.
    #[must_use]
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Text {
        Text { en: en.into(), zh: zh.into() }
    }
}

/// The status words a step accepts: `"9000"`, `"63C?"`, `["6901", "6985"]`, or `"refused"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<Word>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Digits that `mask` covers are those of `value`.
    Digits { value: u16, mask: u16 },
    /// Any error of ISO 7816 (64xx to 6Fxx) or of the purse (93xx, 94xx).
    Refused,
}

impl Words {
    /// 9000 only.
    #[must_use]
    pub fn ok() -> Words {
        Words(vec![Word::Digits { value: 0x9000, mask: 0xFFFF }])
    }

    /// Every status word: the caller looks at it.
    #[must_use]
    pub fn any() -> Words {
        Words(vec![Word::Digits { value: 0, mask: 0 }])
    }

    /// Whether `sw` is one of them.
    #[must_use]
    pub fn accept(&self, sw: StatusWord) -> bool {
        self.0.iter().any(|word| match word {
            Word::Digits { value, mask } => sw.0 & mask == *value,
            Word::Refused => matches!(sw.0 >> 8, 0x63..=0x6F | 0x93 | 0x94),
        })
    }

    fn parse(text: &str) -> Result<Word, String> {
        if text == "refused" {
            return Ok(Word::Refused);
        }
        let digits: Vec<char> = text.chars().collect();
        let mut word = (0u16, 0u16);
        for digit in &digits {
            let (value, mask) = match (digit, digit.to_digit(16)) {
                ('?', _) => (0, 0),
                (_, Some(value)) => (u16::try_from(value).unwrap_or(0), 0xF),
                _ => return Err(expected(text)),
            };
            word = (word.0 << 4 | value, word.1 << 4 | mask);
        }
        if digits.len() == 4 { Ok(Word::Digits { value: word.0, mask: word.1 }) } else { Err(expected(text)) }
    }
}

fn expected(text: &str) -> String {
    format!("expected a status word of four digits (? for any) or \"refused\", found {text:?}")
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" / ")?;
            }
            match word {
                Word::Digits { value, mask: 0xFFFF } => write!(f, "{}", StatusWord(*value))?,
                Word::Digits { value, mask } => {
                    for shift in [12, 8, 4, 0] {
                        match mask >> shift & 0xF {
                            0 => f.write_str("?")?,
                            _ => write!(f, "{:X}", value >> shift & 0xF)?,
                        }
                    }
                }
                Word::Refused => f.write_str("refused")?,
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Words, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a status word or a list of them")]
        enum Written {
            One(String),
            More(Vec<String>),
        }
        let words = match Written::deserialize(from)? {
            Written::One(word) => vec![word],
            Written::More(words) => words,
        };
        let words: Result<Vec<Word>, String> = words.iter().map(|word| Words::parse(word)).collect();
        let words = words.map_err(D::Error::custom)?;
        if words.is_empty() {
            Err(D::Error::custom("an empty list of status words"))
        } else {
            Ok(Words(words))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Words, String> {
        #[derive(Deserialize)]
        struct Step {
            sw: Words,
        }
        toml::from_str::<Step>(&format!("sw = {text}")).map(|step| step.sw).map_err(|error| error.to_string())
    }

    #[test]
    fn exact_open_and_several() {
        let accepted = |text: &str, sw| words(text).unwrap().accept(StatusWord(sw));
        assert!(accepted("'9000'", 0x9000) && !accepted("'9000'", 0x9001));
        assert!(accepted("'63C?'", 0x63C2) && !accepted("'63C?'", 0x6983));
        assert!(accepted("['6901', '6985']", 0x6985) && !accepted("['6901', '6985']", 0x6982));
        assert!(accepted("'refused'", 0x9302) && accepted("'refused'", 0x6D00));
        assert!(!accepted("'refused'", 0x9000) && !accepted("'refused'", 0x6283));
        assert_eq!(words("['63C?', '9302']").unwrap().to_string(), "63C? / 9302 (transaction MAC wrong)");
        assert!(words("'900'").unwrap_err().contains("four digits"));
        assert!(words("[]").is_err() && words("5").is_err());
    }
}
