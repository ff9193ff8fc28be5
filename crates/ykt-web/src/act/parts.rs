//! The body of a form that carries a file (multipart/form-data, RFC 7578), read into the same fields as any other form.
//! Our own pages send it, and they send text: a file that was chosen comes before what was pasted under its name, so it
//! is the one that is found.

use axum::body::Body;
use axum::extract::multipart::MultipartError;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, header};

/// Names and values, in their order; a file that was not chosen is left out. None when the form carries no file.
///
/// # Errors
/// What is wrong with a body that is cut, or not what its header says.
pub(super) async fn read(
    headers: &HeaderMap,
    body: &[u8],
) -> Option<Result<Vec<(String, String)>, MultipartError>> {
    let kind = headers.get(header::CONTENT_TYPE)?;
    let mut request = Request::new(Body::from(body.to_vec()));
    request.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    // Refused for its type alone: any other form.
    let parts = Multipart::from_request(request, &()).await.ok()?;
    Some(fields(parts).await)
}

async fn fields(mut parts: Multipart) -> Result<Vec<(String, String)>, MultipartError> {
    let mut fields = Vec::new();
    while let Some(part) = parts.next_field().await? {
        let Some(name) = part.name().map(str::to_owned) else { continue };
        let is_file = part.file_name().is_some();
        let value = part.bytes().await?;
        if !(is_file && value.is_empty()) {
            fields.push((name, String::from_utf8_lossy(&value).into_owned()));
        }
    }
    Ok(fields)
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

    async fn read_as(kind: &str, body: &[u8]) -> Option<Result<Vec<(String, String)>, MultipartError>> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        read(&headers, body).await
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const KIND: &str = "multipart/form-data; boundary=x-1";

    #[tokio::test]
    async fn a_file_comes_before_what_was_pasted() {
        let chosen = "name=\"text\"; filename=\"keys.txt\"";
        let all = [("name=\"csrf\"", "c"), (chosen, "a\r\nb\n--x\r\n"), ("name=\"text\"", "")];
        let read = read_as(KIND, &body(&all)).await.unwrap().unwrap();
        assert_eq!(read, owned(&[("csrf", "c"), ("text", "a\r\nb\n--x\r\n"), ("text", "")]));
        let none = [(chosen, ""), ("name=\"text\"", "pasted 粘贴")];
        let read = read_as(KIND, &body(&none)).await.unwrap().unwrap();
        assert_eq!(read, owned(&[("text", "pasted 粘贴")]));
    }

    #[tokio::test]
    async fn what_is_cut_is_refused_and_another_form_is_none() {
        let whole = body(&[("name=\"a\"", "1"), ("name=\"b\"", "2")]);
        for len in 0..whole.len() - 4 {
            assert!(read_as(KIND, &whole[..len]).await.unwrap().is_err(), "{len}");
        }
        assert!(read_as("application/x-www-form-urlencoded", b"csrf=c&a=1").await.is_none());
        assert!(read(&HeaderMap::new(), b"csrf=c&a=1").await.is_none());
    }
}
