//! Chinese and English from one catalogue, `assets/i18n.toml`: each key carries both texts side by side.
//!
//! The file is part of the binary. Tests hold it to its promise: every key that a page uses exists, every key
//! that exists is used, and both languages name the same parameters.

use crate::view::cell::grouped;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A language of the consoles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    /// Simplified Chinese.
    Zh,
    /// English.
    #[default]
    En,
}

/// Both texts of one key, `[zh, en]`.
type Pair = [String; 2];

static CATALOGUE: LazyLock<BTreeMap<String, Pair>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the catalogue is part of the binary and a test reads it")]
    parse(include_str!("../assets/i18n.toml")).expect("assets/i18n.toml is a catalogue")
});

fn parse(text: &str) -> Result<BTreeMap<String, Pair>, toml::de::Error> {
    let sections: BTreeMap<String, BTreeMap<String, Pair>> = toml::from_str(text)?;
    Ok(sections
        .into_iter()
        .flat_map(|(section, keys)| {
            keys.into_iter().map(move |(key, pair)| (format!("{section}.{key}"), pair))
        })
        .collect())
}

impl Lang {
    /// Both languages, in the order of the catalogue.
    pub const ALL: [Lang; 2] = [Lang::Zh, Lang::En];

    /// The language of a `?lang=` parameter or cookie.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Lang> {
        Lang::ALL.into_iter().find(|lang| lang.code() == code)
    }

    /// The first language of an `Accept-Language` header that we speak. Browsers list them by preference.
    #[must_use]
    pub fn accepted(header: &str) -> Option<Lang> {
        header.split(',').find_map(|range| {
            let tag = range.split(';').next()?.trim();
            let primary = tag.split('-').next()?;
            Lang::ALL.into_iter().find(|lang| lang.code().eq_ignore_ascii_case(primary))
        })
    }

    /// `zh` or `en`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Lang::Zh => "zh",
            Lang::En => "en",
        }
    }

    /// The tag of the `lang` attribute.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Lang::Zh => "zh-CN",
            Lang::En => "en",
        }
    }

    /// The language's own name.
    #[must_use]
    pub const fn own_name(self) -> &'static str {
        match self {
            Lang::Zh => "中文",
            Lang::En => "English",
        }
    }

    /// The other language, offered in the top bar.
    #[must_use]
    pub const fn other(self) -> Lang {
        match self {
            Lang::Zh => Lang::En,
            Lang::En => Lang::Zh,
        }
    }

    /// The text of `key`, when the catalogue has it.
    #[must_use]
    pub fn find(self, key: &str) -> Option<&'static str> {
        let [zh, en] = CATALOGUE.get(key)?;
        Some(match self {
            Lang::Zh => zh,
            Lang::En => en,
        })
    }

    /// The text of `key`; the key itself when a code from below has no text yet, so that nothing goes dark.
    #[must_use]
    pub fn t(self, key: &str) -> &str {
        self.find(key).unwrap_or(key)
    }

    /// The text of `key` with `{name}` places filled.
    #[must_use]
    pub fn fill(self, key: &str, places: &[(&str, &str)]) -> String {
        places
            .iter()
            .fold(self.t(key).to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// The text of `key` with its place `{count}` filled; for one thing that of `key_one`, where a language needs it.
    #[must_use]
    pub fn counted(self, key: &str, count: impl TryInto<i64>) -> String {
        let count = count.try_into().unwrap_or(i64::MAX);
        let one = (count == 1).then(|| self.find(&format!("{key}_one"))).flatten();
        one.unwrap_or_else(|| self.t(key)).replace("{count}", &grouped(count))
    }

    /// Of two texts of a register entry, the one in this language; the other when it is empty.
    #[must_use]
    pub fn pick<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Lang::Zh if !zh.is_empty() => zh,
            Lang::En if !en.is_empty() => en,
            Lang::Zh => en,
            Lang::En => zh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// Sections whose keys are looked up by a code from the database, such as `verdict.E01`.
    const BY_CODE: [&str; 42] = [
        "action",
        "bill-state",
        "campaign-state",
        "card-progress",
        "cause",
        "ceremony-purpose",
        "ceremony-state",
        "channel",
        "clause",
        "day",
        "event",
        "file",
        "industry",
        "key-act",
        "key-difference",
        "key-event",
        "key-family",
        "key-kind",
        "key-level",
        "key-source",
        "key-state",
        "kind",
        "level",
        "load",
        "payment-state",
        "phase",
        "request-state",
        "role",
        "state",
        "download-state",
        "line-kind",
        "line-state",
        "right-state",
        "step",
        "subject",
        "summary",
        "vault-condition",
        "vault-health",
        "vault-origin",
        "vault-side",
        "vault-way",
        "verdict",
    ];

    fn sources(dir: &str, ending: &str) -> String {
        let mut out = String::new();
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                out += &sources(path.to_str().unwrap(), ending);
            } else if path.extension().is_some_and(|e| e == ending) {
                out += &std::fs::read_to_string(path).unwrap();
            }
        }
        out
    }

    /// Every quoted `section.key` of a section that the catalogue has.
    fn keys_in(text: &str) -> BTreeSet<String> {
        let sections: BTreeSet<&str> = CATALOGUE.keys().filter_map(|k| k.split('.').next()).collect();
        text.split('"')
            .filter(|piece| {
                piece.split_once('.').is_some_and(|(section, key)| {
                    sections.contains(section)
                        && key != "html"
                        && !key.is_empty()
                        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
                })
            })
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn every_key_used_exists_and_every_key_is_used() {
        let used = keys_in(&(sources("src", "rs") + &sources("templates", "html")));
        let there: BTreeSet<String> = CATALOGUE.keys().cloned().collect();
        let missing: Vec<_> = used.difference(&there).collect();
        assert!(missing.is_empty(), "used but not in the catalogue: {missing:?}");
        let idle: Vec<_> = there
            .difference(&used)
            .filter(|key| !key.ends_with("_one"))
            .filter(|key| !BY_CODE.iter().any(|section| key.starts_with(&format!("{section}."))))
            .collect();
        assert!(idle.is_empty(), "in the catalogue but never used: {idle:?}");
    }

    #[test]
    fn both_languages_are_complete_and_name_the_same_places() {
        fn places(text: &str) -> BTreeSet<&str> {
            text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
        }
        for (key, [zh, en]) in CATALOGUE.iter() {
            assert!(!zh.trim().is_empty() && !en.trim().is_empty(), "{key} lacks a text");
            assert_eq!(places(zh), places(en), "{key}");
            assert!(!en.chars().any(|c| ('\u{4e00}'..'\u{9fff}').contains(&c)), "{key}: Chinese in English");
        }
    }

    #[test]
    fn the_browser_chooses_until_the_user_does() {
        assert_eq!(Lang::accepted("fr;q=0.9, zh-CN, en;q=0.8"), Some(Lang::Zh));
        assert_eq!(Lang::accepted("en-GB,en;q=0.9"), Some(Lang::En));
        assert_eq!(Lang::accepted("fr"), None);
        assert_eq!(Lang::from_code("zh"), Some(Lang::Zh));
        assert_eq!(Lang::from_code("xx"), None);
    }

    #[test]
    fn places_are_filled() {
        assert_eq!(Lang::En.counted("bill.records", 1), "1 record");
        assert_eq!(Lang::En.counted("bill.records", 1_234), "1,234 records");
        assert_eq!(Lang::Zh.counted("bill.records", 1), "1 笔");
        assert_eq!(Lang::Zh.pick("甲", ""), "甲");
        assert_eq!(Lang::En.pick("甲", ""), "甲");
        assert_eq!(Lang::En.t("none.such"), "none.such");
    }
}
