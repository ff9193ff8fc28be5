//! The second factor: one-time codes of an authenticator (TOTP, RFC 6238: HMAC-SHA-1, six digits, 30 seconds, which
//! is what every authenticator understands).
//!
//! A code is good for its own step and one step to either side, and each step is accepted once: the last one used is
//! kept. The secret is shown once, at the enrolment. It must be known to be checked, so it is kept as it is, in the
//! database, under the file rights of the data directory; who reads it still has no password, and passwords are
//! kept as hashes only.

use super::NAME_LEN_MAX;
use std::fmt;
use std::str::FromStr;
use totp_rs::{Algorithm, Builder, Secret};
use ykt_base::{DateTime, Rng};
use zeroize::{Zeroize, Zeroizing};

/// Length of a secret in bytes: that of the hash, as RFC 4226 recommends.
pub(super) const SECRET_LEN: usize = 20;
/// Digits of a code.
pub const CODE_LEN: usize = 6;
/// Seconds a code is shown.
pub const CODE_STEP_S: u64 = 30;
/// A code of so many steps ago or ahead is taken: clocks differ, people type.
const STEPS_ASIDE_MAX: u16 = 1;
/// Who issued the code, as authenticators show it.
const ISSUER: &str = "Yikatong";

/// A one-time code as typed in. Shows nothing of itself.
pub struct Code(Zeroizing<String>);

/// The text is no one-time code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a one-time code has {CODE_LEN} digits")]
pub struct CodeError;

impl FromStr for Code {
    type Err = CodeError;
    /// Spaces, which some authenticators show, do not matter.
    fn from_str(text: &str) -> Result<Code, CodeError> {
        let digits: Zeroizing<String> = Zeroizing::new(text.chars().filter(|sign| *sign != ' ').collect());
        let fits = digits.len() == CODE_LEN && digits.bytes().all(|sign| sign.is_ascii_digit());
        if fits { Ok(Code(digits)) } else { Err(CodeError) }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

/// The secret of an authenticator. No `Debug`, wiped when it goes.
pub(crate) struct FactorSecret(Zeroizing<[u8; SECRET_LEN]>);

impl FactorSecret {
    pub(super) fn new(rng: &mut dyn Rng) -> FactorSecret {
        let mut bytes = Zeroizing::new([0; SECRET_LEN]);
        rng.fill(bytes.as_mut());
        FactorSecret(bytes)
    }

    pub(super) fn from_bytes(bytes: [u8; SECRET_LEN]) -> FactorSecret {
        FactorSecret(Zeroizing::new(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8; SECRET_LEN] {
        &self.0
    }

    /// The step of the code within the window around `now`, or `None` for any other code. `utc_offset_s` is how far
    /// the house's clock is ahead of the one authenticators count by.
    pub(super) fn step_of(&self, code: &Code, now: DateTime, utc_offset_s: i64) -> Option<u64> {
        let seconds = u64::try_from(now.second_number().checked_sub(utc_offset_s)?).ok()?;
        let totp = Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(u8::try_from(CODE_LEN).ok()?)
            .with_step_duration(CODE_STEP_S)
            .with_skew(STEPS_ASIDE_MAX)
            .with_secret(self.0.to_vec())
            .build()
            .ok()?;
        totp.check(&code.0, seconds)
    }
}

/// What somebody who enrols an authenticator is shown, once. No `Debug`, wiped when it goes.
pub struct Enrolment {
    secret: Zeroizing<String>,
    uri: Zeroizing<String>,
}

impl Enrolment {
    pub(super) fn new(secret: &FactorSecret, name: &str) -> Enrolment {
        debug_assert!(name.len() <= NAME_LEN_MAX, "a sign-in name needs no escaping in the address");
        let secret = Zeroizing::new(Secret::from(secret.as_bytes().to_vec()).to_base32());
        let uri = format!(
            "otpauth://totp/{ISSUER}:{name}?secret={}&issuer={ISSUER}&algorithm=SHA1&digits={CODE_LEN}&period={CODE_STEP_S}",
            *secret
        );
        Enrolment { secret, uri: Zeroizing::new(uri) }
    }

    /// The secret in base32, to be typed in.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The address that an authenticator reads as a QR code.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }
}

impl Drop for Enrolment {
    fn drop(&mut self) {
        self.secret.zeroize();
        self.uri.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, the SHA-1 column; its codes have eight digits, ours are their last six.
    const RFC_SECRET: &[u8; SECRET_LEN] = b"12345678901234567890";
    const RFC_CODES: [(i64, &str); 5] = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
    ];

    #[test]
    fn codes_are_those_of_the_standard_by_the_clock_of_the_city() {
        let secret = FactorSecret::from_bytes(*RFC_SECRET);
        let utc_offset_s = 8 * 3_600;
        for (seconds, code) in RFC_CODES {
            let local = DateTime::from_second_number(seconds + utc_offset_s).unwrap();
            let step = secret.step_of(&code.parse().unwrap(), local, utc_offset_s);
            assert_eq!(step, Some(u64::try_from(seconds / 30).unwrap()), "{code}");
        }
    }

    #[test]
    fn a_code_is_good_for_one_step_to_either_side() {
        let secret = FactorSecret::from_bytes(*RFC_SECRET);
        let code: Code = "005924".parse().unwrap();
        let begin = 1_234_567_890;
        for (aside, found) in [(-31, false), (-30, true), (0, true), (29, true), (59, true), (60, false)] {
            let now = DateTime::from_second_number(begin + aside).unwrap();
            assert_eq!(secret.step_of(&code, now, 0).is_some(), found, "{aside} s");
        }
        let before_time = DateTime::from_second_number(0).unwrap();
        assert_eq!(secret.step_of(&code, before_time, 1), None);
    }

    #[test]
    fn a_code_has_six_digits_and_hides_them() {
        assert!("12 34 56".parse::<Code>().is_ok());
        for text in ["", "12345", "1234567", "12345a", "１２３４５６"] {
            assert!(text.parse::<Code>().is_err(), "{text}");
        }
        let code: Code = "123456".parse().unwrap();
        assert_eq!(format!("{code:?}"), "Code");
    }

    #[test]
    fn an_enrolment_is_what_authenticators_read() {
        let shown = Enrolment::new(&FactorSecret::from_bytes(*RFC_SECRET), "keys1");
        assert_eq!(shown.secret(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            shown.uri(),
            "otpauth://totp/Yikatong:keys1?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Yikatong&algorithm=SHA1\
             &digits=6&period=30"
        );
    }
}
