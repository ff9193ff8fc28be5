//! The body of a form that carries a file (multipart/form-data, RFC 7578), read into the same fields as any other form.
//! Our own pages send it, and they send text: a file that was chosen comes before what was pasted under its name, so it
//! is the one that is found.

/// The boundary between the parts, when the body has any.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    let value = value.trim_matches('"');
    (!value.is_empty()).then_some(value)
}

/// Names and values, in their order. A file that was not chosen is left out; what is no part is nothing.
pub(super) fn fields(body: &[u8], boundary: &str) -> Vec<(String, String)> {
    let mark = format!("--{boundary}");
    let mut out = Vec::new();
    let mut rest = after(body, mark.as_bytes());
    while let Some(here) = rest.filter(|here| !here.starts_with(b"--")) {
        // The line end before the next boundary belongs to the boundary.
        let Some(end) = find(here, format!("\r\n{mark}").as_bytes()) else { break };
        let (part, next) = here.split_at(end);
        out.extend(field(part));
        rest = after(next, mark.as_bytes());
    }
    out
}

fn field(part: &[u8]) -> Option<(String, String)> {
    let end = find(part, b"\r\n\r\n")?;
    let (head, value) = part.split_at(end);
    let value = value.get(4..)?;
    let head = std::str::from_utf8(head).ok()?;
    let is_disposition = |line: &&str| line.to_ascii_lowercase().starts_with("content-disposition:");
    let line = head.split("\r\n").find(is_disposition)?;
    let parameter = |name: &str| {
        let (_, rest) = line.split_once(&format!("; {name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    if parameter("filename").is_some() && value.is_empty() {
        return None;
    }
    Some((parameter("name")?.to_owned(), String::from_utf8_lossy(value).into_owned()))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn after<'t>(text: &'t [u8], what: &[u8]) -> Option<&'t [u8]> {
    text.get(find(text, what)?.saturating_add(what.len())..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(parts: &[(&str, &str)]) -> Vec<u8> {
        let part = |(head, value): &(&str, &str)| {
            format!("--x-1\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
        };
        (parts.iter().map(part).collect::<String>() + "--x-1--\r\n").into_bytes()
    }

    #[test]
    fn a_file_comes_before_what_was_pasted() {
        assert_eq!(boundary("multipart/form-data; boundary=x-1"), Some("x-1"));
        assert_eq!(boundary("Multipart/Form-Data; charset=utf-8; boundary=\"x-1\""), Some("x-1"));
        for other in
            ["application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary="]
        {
            assert_eq!(boundary(other), None);
        }
        let chosen = "name=\"text\"; filename=\"keys.txt\"";
        let all = [("name=\"csrf\"", "c"), (chosen, "a\r\nb\n--x\r\n"), ("name=\"text\"", "")];
        let expected = [("csrf", "c"), ("text", "a\r\nb\n--x\r\n"), ("text", "")];
        let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(fields(&body(&all), "x-1"), owned(&expected));
        let none = [(chosen, ""), ("name=\"text\"", "pasted 粘贴")];
        assert_eq!(fields(&body(&none), "x-1"), owned(&[("text", "pasted 粘贴")]));
    }

    #[test]
    fn what_is_cut_or_none_at_all_is_no_field() {
        let whole = body(&[("name=\"a\"", "1"), ("name=\"b\"", "2")]);
        for len in 0..whole.len() {
            let found = fields(&whole[..len], "x-1");
            assert!(found.len() <= 2 && found.iter().all(|(name, _)| name == "a" || name == "b"), "{len}");
        }
        assert_eq!(fields(b"csrf=c&a=1", "x-1"), []);
        assert_eq!(fields(b"--x-1\r\nContent-Type: text/plain\r\n\r\nv\r\n--x-1--", "x-1"), []);
    }
}
