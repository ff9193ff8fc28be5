//! Addresses: whatever a page shows is in its address, so an address can be sent to a colleague.

use std::fmt::Write;

/// `path?name=value&…` with everything encoded that must be.
#[must_use]
pub fn with_query<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = path.to_owned();
    let mut sign = '?';
    for (name, value) in pairs {
        out.push(sign);
        encode_into(&mut out, name);
        out.push('=');
        encode_into(&mut out, value);
        sign = '&';
    }
    out
}

/// One part of a path, encoded.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut out = String::new();
    encode_into(&mut out, text);
    out
}

fn encode_into(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b',' | b':' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

/// The name-value pairs of a query string.
#[must_use]
pub fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|piece| !piece.is_empty())
        .map(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let rest = bytes.clone();
                let digits: Option<Vec<u8>> = rest
                    .take(2)
                    .map(|d| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok()))
                    .collect();
                match digits.as_deref() {
                    Some([high, low]) => {
                        out.push(high << 4 | low);
                        bytes.next();
                        bytes.next();
                    }
                    _ => out.push(b'%'),
                }
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `back` when it is a path of ours, else the start page: nobody is sent elsewhere by a crafted link.
#[must_use]
pub fn local(back: &str) -> &str {
    let ours = back.starts_with('/')
        && !back.starts_with("//")
        && !back.contains('\\')
        && !back.chars().any(char::is_control);
    if ours { back } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let url = with_query("/records", [("card", "1700 0101"), ("名", "a&b=c%")]);
        assert_eq!(url, "/records?card=1700%200101&%E5%90%8D=a%26b%3Dc%25");
        assert_eq!(
            pairs("card=1700+0101&%E5%90%8D=a%26b%3Dc%25&x&bad=%4"),
            [("card", "1700 0101"), ("名", "a&b=c%"), ("x", ""), ("bad", "%4")]
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
    }

    #[test]
    fn only_paths_of_ours_are_followed() {
        assert_eq!(local("/cards?x=1"), "/cards?x=1");
        for bad in ["//evil.example", "https://evil.example", "/\\evil", "cards", "/a\r\nb", ""] {
            assert_eq!(local(bad), "/", "{bad:?}");
        }
    }
}
