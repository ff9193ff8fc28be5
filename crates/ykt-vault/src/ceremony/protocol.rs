//! The protocol of a ceremony (仪式记录): who, when, where, with what, each step with its KCVs. One canonical text,
//! which the centre signs ([`SignedText`]). No component ever stands in it.

use super::{Plan, Purpose};
use crate::signed::{SignedText, SignedTextError};
use crate::{Signer, VaultError, VaultStatus};
use core::fmt::Display;
use ykt_base::hex::Hex;
use ykt_base::{DateTime, Rng};

/// First line of the text.
const TITLE: &str = "Yikatong key ceremony protocol, format 1";

/// The text of a protocol, not signed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol(String);

impl Protocol {
    pub(super) fn of(
        plan: &Plan,
        steps: &[(DateTime, String)],
        software: &str,
        vault: &VaultStatus,
    ) -> Protocol {
        let mut lines = vec![TITLE.to_owned()];
        let mut line = |name: &str, value: &dyn Display| lines.push(format!("{name}: {value}"));
        line("number", &plan.number);
        line("place", &plan.place);
        line("purpose", &plan.purpose.name());
        line("key", &format_args!("{}, {}", plan.key, plan.algorithm));
        if let Purpose::Import { kcv } | Purpose::Recovery { kcv } = &plan.purpose {
            line("expected KCV", &Hex(kcv));
        }
        line("software", &software);
        line("vault", &format_args!("{} {}, {} keys", vault.backend, vault.version, vault.origin));
        line("administrator", &plan.administrator);
        for (number, person) in (1_u32..).zip(&plan.custodians) {
            line(&format!("custodian {number}"), person);
        }
        for (number, (at, step)) in (1_u32..).zip(steps) {
            line(&format!("step {number}"), &format_args!("{at} {step}"));
        }
        lines.push(String::new());
        Protocol(lines.join("\n"))
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Signs it.
    ///
    /// # Errors
    /// [`VaultError`] of the signer.
    pub fn sign(self, signer: &dyn Signer, rng: &mut dyn Rng) -> Result<SignedText, VaultError> {
        SignedText::sign(self.0, signer, rng)
    }

    /// Reads the file of a signed protocol and checks digest and signature.
    ///
    /// # Errors
    /// [`SignedTextError`].
    pub fn verify(file: &str) -> Result<SignedText, SignedTextError> {
        SignedText::verify(TITLE, file)
    }
}
