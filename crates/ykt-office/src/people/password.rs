//! Passwords: what is strong enough (`toll.md` P-02, D-01), and their Argon2id hashes.
//!
//! A [`Password`] shows nothing of itself and is wiped when it goes out of scope.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use std::fmt;
use ykt_base::Rng;
use zeroize::Zeroizing;

/// Fewest characters of a password.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Most bytes of a password, so that nobody makes the hash of a novel.
pub const PASSWORD_LEN_MAX: usize = 256;
/// Earlier passwords that may not come back.
pub const PASSWORD_HISTORY: u32 = 5;
/// The password of every user of a demonstration: known to the whole world, refused in production
/// ([`People::with_demo_password`](super::People::with_demo_password)).
pub const DEMO_PASSWORD: &str = "Linjiang-2144";
/// Random bytes in each hash.
const SALT_LEN: usize = 16;

/// A password as typed in.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes what was typed.
    #[must_use]
    pub fn new(typed: String) -> Password {
        Password(Zeroizing::new(typed))
    }
}

impl From<&str> for Password {
    fn from(typed: &str) -> Password {
        Password::new(typed.to_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// Why a password is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Too few characters.
    #[error("a password has at least {PASSWORD_CHARS_MIN} characters, found {found}")]
    TooShort {
        /// Characters there.
        found: usize,
    },
    /// Too many bytes.
    #[error("a password has at most {PASSWORD_LEN_MAX} bytes, found {found}")]
    TooLong {
        /// Bytes there.
        found: usize,
    },
    /// A class of characters is missing.
    #[error("a password has upper-case and lower-case letters, digits and other signs; it has no {missing}")]
    ClassMissing {
        /// The class without a character.
        missing: &'static str,
    },
    /// The sign-in name is inside.
    #[error("a password does not contain the sign-in name")]
    ContainsName,
    /// It was one of the last five.
    #[error("a password differs from the last {PASSWORD_HISTORY}")]
    UsedBefore,
}

/// Whether `password` is strong enough for the user `name`; its history is not looked at.
///
/// # Errors
/// [`WeakPassword`] naming the first rule it breaks.
pub fn check_strength(password: &Password, name: &str) -> Result<(), WeakPassword> {
    let text = password.0.as_str();
    let chars = text.chars().count();
    if chars < PASSWORD_CHARS_MIN {
        return Err(WeakPassword::TooShort { found: chars });
    }
    if text.len() > PASSWORD_LEN_MAX {
        return Err(WeakPassword::TooLong { found: text.len() });
    }
    type Class = (&'static str, fn(char) -> bool);
    let classes: [Class; 4] = [
        ("upper-case letter", char::is_uppercase),
        ("lower-case letter", char::is_lowercase),
        ("digit", |sign| sign.is_ascii_digit()),
        ("other sign", |sign| !sign.is_alphanumeric() && !sign.is_control()),
    ];
    for (missing, belongs) in classes {
        if !text.chars().any(belongs) {
            return Err(WeakPassword::ClassMissing { missing });
        }
    }
    let lower = Zeroizing::new(text.to_lowercase());
    if lower.contains(&name.to_lowercase()) {
        return Err(WeakPassword::ContainsName);
    }
    Ok(())
}

/// What one hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub passes: u32,
}

impl HashCost {
    /// For people: 19 MiB, two passes (about 20 ms on one core).
    pub const ORDINARY: HashCost = HashCost { memory_kib: 19 * 1024, passes: 2 };
    /// For tests and throw-away worlds: as little as the algorithm allows.
    pub const LEAST: HashCost = HashCost { memory_kib: 8, passes: 1 };
}

/// The hash of a password could not be made: the cost is outside what Argon2 allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Argon2id with {} KiB and {} passes: {source}", cost.memory_kib, cost.passes)]
pub struct HashError {
    cost: HashCost,
    source: HashFault,
}

/// What Argon2 said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum HashFault {
    #[error("{0}")]
    Cost(argon2::Error),
    #[error("{0}")]
    Hash(argon2::password_hash::Error),
}

/// The Argon2id hash of `password` with a fresh salt, as a PHC string that carries its cost.
///
/// # Errors
/// [`HashError`] when the cost is outside what Argon2 allows.
pub(crate) fn hash(password: &Password, cost: HashCost, rng: &mut dyn Rng) -> Result<String, HashError> {
    let failed = |source| HashError { cost, source };
    let params =
        Params::new(cost.memory_kib, cost.passes, 1, None).map_err(|error| failed(HashFault::Cost(error)))?;
    let mut salt = [0; SALT_LEN];
    rng.fill(&mut salt);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password.0.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| failed(HashFault::Hash(error)))
}

/// Whether `password` is the one `hash` was made of. Takes the time the hash states, in constant manner.
pub(crate) fn matches(password: &Password, hash: &str) -> bool {
    password.0.len() <= PASSWORD_LEN_MAX
        && Argon2::default().verify_password(password.0.as_bytes(), hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up; good enough for salts in a test.
    struct Count(u8);
    impl Rng for Count {
        fn fill(&mut self, out: &mut [u8]) {
            for byte in out {
                *byte = self.0;
                self.0 = self.0.wrapping_add(1);
            }
        }
    }

    #[test]
    fn every_rule_has_a_password_that_breaks_only_it() {
        let check = |text: &str| check_strength(&Password::from(text), "Wang");
        assert_eq!(check("Abcdef1!"), Ok(()));
        assert_eq!(check("北京Abc1!x"), Ok(()), "eight characters of any script");
        assert_eq!(check("Abcde1!"), Err(WeakPassword::TooShort { found: 7 }));
        assert_eq!(check(&"Ab1!".repeat(65)), Err(WeakPassword::TooLong { found: 260 }));
        for (text, missing) in [
            ("abcdef1!", "upper-case letter"),
            ("ABCDEF1!", "lower-case letter"),
            ("Abcdefg!", "digit"),
            ("Abcdefg1", "other sign"),
        ] {
            assert_eq!(check(text), Err(WeakPassword::ClassMissing { missing }));
        }
        assert_eq!(check("1!wANGxyz"), Err(WeakPassword::ContainsName));
    }

    #[test]
    fn a_hash_matches_its_password_only_and_hides_it() {
        let password = Password::from("Abcdef1!");
        let mut rng = Count(0);
        let first = hash(&password, HashCost::LEAST, &mut rng).unwrap();
        let second = hash(&password, HashCost::LEAST, &mut rng).unwrap();
        assert_ne!(first, second, "salted");
        assert!(first.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert!(matches(&password, &first) && matches(&password, &second));
        assert!(!matches(&Password::from("Abcdef1?"), &first));
        assert!(!matches(&password, "no hash"));
        assert_eq!(format!("{password:?}"), "Password");
        let error = hash(&password, HashCost { memory_kib: 1, passes: 1 }, &mut rng).unwrap_err();
        assert!(error.to_string().starts_with("Argon2id with 1 KiB and 1 passes"), "{error}");
    }
}
