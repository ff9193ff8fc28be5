//! Signed texts: what the centre gives out to be kept or carried, with its SM2 signature behind it.
//!
//! Lines of text, then three more: the SM3 digest of the text, the signer's public key (SubjectPublicKeyInfo, DER) and
//! the signature (DER) over the text, all in hex. OpenSSL verifies it without this program (`docs/keys.md`).

use crate::{Signer, VaultError};
use core::fmt;
use thiserror::Error;
use ykt_base::Rng;
use ykt_base::hex::{self, Hex};
use ykt_crypto::chain::sm3;
use ykt_crypto::sm2::{PublicKey, Signature, SignerId};

/// What stands before a public key of SM2 as SubjectPublicKeyInfo.
const KEY_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x81,
    0x1C, 0xCF, 0x55, 0x01, 0x82, 0x2D, 0x03, 0x42, 0x00,
];

/// A text with the centre's signature. `Display` is the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedText {
    text: String,
    signer: PublicKey,
    signature: Signature,
}

/// Why a file is no text that its signer has signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignedTextError {
    /// It is another sort of file.
    #[error("expected {expected:?} in the first line, found {found:?}; this is another sort of file")]
    Title {
        /// The first line of such files.
        expected: &'static str,
        /// Its first line, cut.
        found: String,
    },
    /// A line of the end is missing or unreadable.
    #[error("the line {name:?} behind the text is missing or cannot be read: expected {expected}")]
    Line {
        /// What it begins with.
        name: &'static str,
        /// What should follow.
        expected: &'static str,
    },
    /// The text is not the one of its digest.
    #[error("the file was altered: it states the SM3 digest {expected}, its text has {found}")]
    Digest {
        /// What the file states.
        expected: String,
        /// What its text has.
        found: String,
    },
    /// The signature is not this signer's over this text.
    #[error("the file was altered: its signature is not the signer's over this text")]
    Signature,
}

impl SignedText {
    /// Signs a text of whole lines.
    ///
    /// # Errors
    /// [`VaultError`] of the signer.
    pub fn sign(text: String, signer: &dyn Signer, rng: &mut dyn Rng) -> Result<SignedText, VaultError> {
        let signature = signer.sign(&[text.as_bytes()], rng)?;
        Ok(SignedText { text, signer: signer.public_key(), signature })
    }

    /// Reads a file whose first line is `title`, and checks digest and signature. Whether the signer is the right one
    /// is the reader's question: compare [`SignedText::signer`] with the centre's key.
    ///
    /// # Errors
    /// [`SignedTextError`].
    pub fn verify(title: &'static str, file: &str) -> Result<SignedText, SignedTextError> {
        let first = file.lines().next().unwrap_or_default();
        if first != title {
            let found = first.chars().take(title.len()).collect();
            return Err(SignedTextError::Title { expected: title, found });
        }
        let missing = |name, expected| SignedTextError::Line { name, expected };
        let end = file.rsplit_once("\ndigest: ");
        let (text, end) = end.ok_or_else(|| missing("digest: ", "64 hex digits"))?;
        let text = format!("{text}\n");
        let mut lines = end.split('\n');
        let expected = lines.next().unwrap_or_default();
        let found = digest(&text);
        if expected != found {
            return Err(SignedTextError::Digest { expected: expected.chars().take(64).collect(), found });
        }
        let mut line = |name: &'static str, expected| {
            let digits = lines.next().and_then(|line| line.strip_prefix(name));
            digits.and_then(bytes).ok_or_else(|| missing(name, expected))
        };
        let key = "an SM2 public key, DER in hex";
        let signer = line("signer: ", key)?;
        let signer =
            signer.strip_prefix(&KEY_HEAD).and_then(|point| PublicKey::from_bytes(point.try_into().ok()?));
        let signer = signer.ok_or_else(|| missing("signer: ", key))?;
        let signature = "an SM2 signature, DER in hex";
        let der = line("signature: ", signature)?;
        let signature = Signature::from_der(&der).ok_or_else(|| missing("signature: ", signature))?;
        let signed = SignedText { text, signer, signature };
        let is_right = signer.verify(SignerId::DEFAULT, &[signed.text.as_bytes()], &signature);
        // Whatever else stands in the file was signed by nobody.
        if is_right && signed.to_string() == file { Ok(signed) } else { Err(SignedTextError::Signature) }
    }

    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Who signed it.
    #[must_use]
    pub const fn signer(&self) -> PublicKey {
        self.signer
    }
}

impl fmt::Display for SignedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        writeln!(f, "digest: {}", digest(&self.text))?;
        writeln!(f, "signer: {}{}", Hex(&KEY_HEAD), Hex(self.signer.as_bytes()))?;
        writeln!(f, "signature: {}", Hex(self.signature.to_der().as_bytes()))
    }
}

fn digest(text: &str) -> String {
    Hex(&sm3(&[text.as_bytes()]).0).to_string()
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; digits.len().div_ceil(2)];
    hex::decode_into(digits, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, Levels, Origin, SoftVault,
    };
    use std::process::{Command, Output};
    use std::sync::Arc;

    const TITLE: &str = "A text, format 1";
    const TEXT: &str = "A text, format 1\nnumber: 7\nplace: 上海\n";

    pub(crate) struct Fixed;

    impl Rng for Fixed {
        fn fill(&mut self, out: &mut [u8]) {
            out.iter_mut().zip(7..).for_each(|(byte, number)| *byte = number);
        }
    }

    fn signer() -> Arc<dyn Signer> {
        let vault = Arc::new(SoftVault::empty(Levels::nation_city_card(), Origin::Demo));
        let place = KeyPlace::root(KeyRef::new(KeyKind::Signing, 1, 1));
        vault.generate(place, KeyAlgorithm::Sm2, &mut Fixed).unwrap();
        vault.change_state(&place, KeyState::Active).unwrap();
        vault.signer(place.key).ok().unwrap()
    }

    fn file() -> String {
        SignedText::sign(TEXT.to_owned(), &*signer(), &mut Fixed).unwrap().to_string()
    }

    #[test]
    fn a_signed_text_comes_back() {
        let signed = SignedText::verify(TITLE, &file()).unwrap();
        assert_eq!((signed.text(), signed.signer()), (TEXT, signer().public_key()));
        assert_eq!(signed.to_string(), file());
    }

    /// The commands of `docs/keys.md`, as they stand there.
    fn openssl(file: &str) -> Output {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("protocol.txt"), file).unwrap();
        let document = include_str!("../../../docs/keys.md");
        let blocks = document.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
        let of_protocols = |block: &&str| block.contains("pkeyutl -verify") && block.contains("protocol.txt");
        let commands = blocks.filter(of_protocols).collect::<String>();
        Command::new("sh").args(["-ec", &commands]).current_dir(folder.path()).output().unwrap()
    }

    #[test]
    fn openssl_verifies_it_by_the_documented_commands() {
        let judged = openssl(&file());
        assert!(judged.status.success(), "{judged:?}");
        let digest = digest(TEXT).to_lowercase();
        assert!(String::from_utf8(judged.stdout).unwrap().contains(&digest));
        assert!(!openssl(&file().replace("number: 7", "number: 8")).status.success());
    }

    /// Every changed sign of the file is found, and so is what is added or left out.
    #[test]
    fn every_change_is_found() {
        let file = file();
        for (at, sign) in file.char_indices() {
            let mut altered = file.clone();
            altered.replace_range(at..at + sign.len_utf8(), if sign == '1' { "2" } else { "1" });
            assert!(SignedText::verify(TITLE, &altered).is_err(), "at {at}");
            assert!(SignedText::verify(TITLE, &file[..at]).is_err(), "cut at {at}");
        }
        let refused = |altered: &str| SignedText::verify(TITLE, altered).unwrap_err().to_string();
        assert!(
            refused(&file.replace("number: 7", "number: 8")).contains("altered: it states the SM3 digest")
        );
        assert!(refused(&format!("{file}more\n")).contains("signature is not the signer's"));
        assert!(refused("something else\n").contains("first line"));
        assert!(refused(TEXT).contains("\"digest: \""));
        let other = file.replace("number: 7", "number: 8");
        let mended = other.replace(&digest(TEXT), &digest(&TEXT.replace('7', "8")));
        assert!(refused(&mended).contains("signature is not the signer's"));
    }
}
