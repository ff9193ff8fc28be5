//! Style sheet, script and sign, part of the binary. Their address carries a hash of the content, so browsers
//! may keep them for ever and still get a new one at once.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

const ASSETS: [Asset; 4] = [
    Asset { name: "app.css", kind: "text/css; charset=utf-8", content: include_str!("../assets/app.css") },
    Asset {
        name: "app.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("../assets/app.js"),
    },
    Asset { name: "sheet.css", kind: "text/css; charset=utf-8", content: ykt_vault::ceremony::SHEET_STYLE },
    Asset { name: "sign.svg", kind: "image/svg+xml", content: include_str!("../assets/sign.svg") },
];

/// The address of an asset: `/assets/app.css?v=…`.
#[must_use]
pub fn href(name: &str) -> String {
    let content = ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| asset.content);
    format!("/assets/{name}?v={:016x}", fingerprint(content))
}

/// FNV-1a: enough to tell one version from another.
fn fingerprint(content: &str) -> u64 {
    content
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Serves `/assets/{name}`.
pub(crate) async fn serve(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            asset.content,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Answers browsers that ask for an icon by themselves, as they do on pages that name none.
pub(crate) async fn icon() -> Redirect {
    Redirect::permanent(&href("sign.svg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The relative luminance of `#rrggbb` (WCAG 2.2, relative luminance).
    #[expect(clippy::float_arithmetic, reason = "the standard defines it so; it is light, not money")]
    fn luminance(hex: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[expect(clippy::float_arithmetic, reason = "the standard defines it so; it is light, not money")]
    fn contrast(one: &str, other: &str) -> f64 {
        let (a, b) = (luminance(one), luminance(other));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// Both themes' colours of a token.
    fn token(css: &str, name: &str) -> [String; 2] {
        let start = css.find(&format!("--{name}: light-dark(")).unwrap_or_else(|| panic!("--{name}"));
        let inside = css[start..].split_once('(').unwrap().1.split_once(')').unwrap().0;
        let (light, dark) = inside.split_once(", ").unwrap();
        [light.to_owned(), dark.to_owned()]
    }

    #[test]
    fn text_and_signs_have_the_contrast_of_wcag_2_2_aa() {
        let css = ASSETS[0].content;
        let mut pairs = vec![
            ("on-accent", "accent", 4.5),
            ("accent", "accent-ground", 4.5),
            ("good", "good-ground", 4.5),
            ("warn", "warn-ground", 4.5),
            ("bad", "bad-ground", 4.5),
            ("muted", "quiet-ground", 4.5),
            ("series-1", "surface", 3.0),
            ("line-strong", "surface", 3.0),
        ];
        for ground in ["ground", "surface", "raised", "hover"] {
            pairs.extend([("text", ground, 4.5), ("muted", ground, 4.5), ("accent", ground, 4.5)]);
        }
        for ground in ["accent-ground", "bad-ground", "warn-ground", "good-ground"] {
            pairs.push(("text", ground, 4.5));
        }
        for (text, ground, least) in pairs {
            for (theme, (one, other)) in
                ["light", "dark"].iter().zip(token(css, text).iter().zip(&token(css, ground)))
            {
                let found = contrast(one, other);
                assert!(found >= least, "{text} on {ground}, {theme}: {found:.2} < {least}");
            }
        }
    }

    #[test]
    fn nothing_comes_from_outside_and_the_script_stays_small() {
        for asset in &ASSETS {
            let content = asset.content.replace("http://www.w3.org/2000/svg", "");
            for outside in ["http://", "https://", "@import"] {
                assert!(!content.contains(outside), "{} names {outside}", asset.name);
            }
        }
        assert!(ASSETS[1].content.lines().count() <= 150);
    }

    #[test]
    fn another_content_has_another_address() {
        assert_ne!(fingerprint("a"), fingerprint("b"));
        assert!(href("app.css").starts_with("/assets/app.css?v="));
    }
}
