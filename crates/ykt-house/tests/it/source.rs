//! Just enough of Rust's lexis to tell code from comments and from texts: a rule about code must not trip over a
//! sentence, and a rule about SQL must look into texts only.

/// A Rust file taken apart. Lines keep their numbers.
#[derive(Clone)]
pub struct Source {
    /// The code; what was comment or inside quotes is blank.
    pub code: String,
    /// Line (from 1) and content of each text in quotes.
    pub texts: Vec<(usize, String)>,
}

impl Source {
    /// Takes `rust` apart.
    pub fn parse(rust: &str) -> Source {
        let mut lexer =
            Lexer { rest: rust, line: 1, code: String::with_capacity(rust.len()), texts: Vec::new() };
        while !lexer.rest.is_empty() {
            lexer.step();
        }
        Source { code: lexer.code, texts: lexer.texts }
    }

    /// The same without its unit tests, which stand last in a file.
    pub fn without_tests(mut self) -> Source {
        let mut at = 0;
        let mut tests_at = None;
        for line in self.code.split_inclusive('\n') {
            let next = self.code[at + line.len()..].trim_start();
            if line.trim() == "#[cfg(test)]" && (next.starts_with("mod ") || next.starts_with("pub mod ")) {
                tests_at = Some(at);
                break;
            }
            at += line.len();
        }
        if let Some(at) = tests_at {
            let lines = self.code[..at].matches('\n').count();
            self.code.truncate(at);
            self.texts.retain(|(line, _)| *line <= lines);
        }
        self
    }

    /// Line numbers (from 1) and lines of the code.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    code: String,
    texts: Vec<(usize, String)>,
}

impl<'a> Lexer<'a> {
    fn step(&mut self) {
        let rest = self.rest;
        if rest.starts_with("//") {
            self.blank(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.blank(comment_len(rest));
        } else if let Some((open, close)) = self.raw_text() {
            self.text(open, &close);
        } else if rest.starts_with('"') {
            self.text(1, "\"");
        } else if let Some(len) = character_len(rest) {
            self.blank(len);
        } else {
            let len = rest.chars().next().map_or(1, char::len_utf8);
            self.keep(len);
        }
    }

    /// Length of the opening and the closing of `r"`, `r#"`, `br##"` and so on, when one starts here.
    fn raw_text(&self) -> Option<(usize, String)> {
        if self.code.chars().next_back().is_some_and(is_word) {
            return None;
        }
        let after = self.rest.strip_prefix("br").or_else(|| self.rest.strip_prefix('r'))?;
        let hashes = after.len() - after.trim_start_matches('#').len();
        after[hashes..].starts_with('"').then(|| {
            let open = self.rest.len() - after.len() + hashes + 1;
            (open, format!("\"{}", "#".repeat(hashes)))
        })
    }

    fn text(&mut self, open: usize, close: &str) {
        let line = self.line;
        self.keep(open);
        let len = if close == "\"" && open == 1 {
            escaped_len(self.rest)
        } else {
            self.rest.find(close).unwrap_or(self.rest.len())
        };
        self.texts.push((line, self.rest[..len].to_owned()));
        self.blank(len);
        self.keep(close.len().min(self.rest.len()));
    }

    fn keep(&mut self, len: usize) {
        let (here, rest) = self.rest.split_at(len);
        self.code.push_str(here);
        self.line += here.matches('\n').count();
        self.rest = rest;
    }

    fn blank(&mut self, len: usize) {
        let (here, rest) = self.rest.split_at(len);
        self.code.extend(here.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.line += here.matches('\n').count();
        self.rest = rest;
    }
}

/// Whether a character is part of a name.
pub fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether `word` stands in `line` as a word of its own.
pub fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_word);
        let after = line[at + word.len()..].chars().next().is_some_and(is_word);
        !before && !after
    })
}

fn comment_len(rest: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

fn escaped_len(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in rest.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    rest.len()
}

/// Length of the character literal that starts here; a lifetime is none.
fn character_len(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('\'')?;
    let inner =
        if after.starts_with('\\') { after[2..].find('\'')? + 2 } else { after.chars().next()?.len_utf8() };
    after[inner..].starts_with('\'').then_some(inner + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comments_and_texts_are_told_apart() {
        let source = Source::parse(concat!(
            "let a: &'static str = \"SELECT \\\" x\"; // f64 here\n",
            "let b = r#\"FROM \"y\"\"#; /* f64 /* nested */ */ let c = '\"'; let d = b'\\'';\n",
            "fn e<'a>(x: &'a str) -> f64 {}\n",
        ));
        assert_eq!(source.texts, [(1, "SELECT \\\" x".to_owned()), (2, "FROM \"y\"".to_owned())]);
        let floats: Vec<usize> =
            source.lines().filter(|(_, line)| has_word(line, "f64")).map(|(line, _)| line).collect();
        assert_eq!(floats, [3], "{}", source.code);
    }

    #[test]
    fn tests_are_cut_off() {
        let source =
            Source::parse("fn a() {}\n#[cfg(test)]\nextern crate std;\n#[cfg(test)]\nmod tests { \"x\" }\n");
        assert!(source.without_tests().texts.is_empty());
        let kept = Source::parse("fn a() { \"x\" }\n#[cfg(test)]\nfn b() {}\n").without_tests();
        assert!(kept.code.contains("fn b") && kept.texts.len() == 1);
    }

    #[test]
    fn words_have_borders() {
        assert!(has_word("x: f64,", "f64"));
        assert!(!has_word("of64bit", "f64"));
    }
}
