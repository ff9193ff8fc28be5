//! Texts from people, as they are kept.

/// The text in one line: a record of the log, a line at a terminal, a field of a file. Signs that end a line, steer a
/// terminal or turn the direction of what follows become spaces, so that nobody's reason looks like another record or
/// covers the sentence that a second person is asked to approve.
#[must_use]
pub fn one_line(text: &str) -> String {
    let steers = |sign: char| {
        sign.is_control()
            || matches!(sign, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|sign| if steers(sign) { ' ' } else { sign }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_what_can_be_seen_is_kept() {
        for (text, kept) in [
            ("second generation, 第二代 – 2026", "second generation, 第二代 – 2026"),
            ("a\r\n2026-11-22 keys2 approved", "a  2026-11-22 keys2 approved"),
            ("\u{1b}[2K\u{1b}[1Aretire", " [2K [1Aretire"),
            ("\u{9b}2K\u{7f}\u{0}\t", " 2K   "),
            ("\u{202e}eriter\u{2069}\u{2028}", " eriter  "),
        ] {
            assert_eq!(one_line(text), kept);
        }
    }
}
