//! The identity application (`systems.md` C1): data groups and signed object are ordinary files; what the card adds
//! is the proof that it is the one the issuer signed, by its own SM2 key pair.

use crate::answer::Outcome;
use crate::card::Card;
use crate::command::{CardCommand, Form};
use crate::image::CardKind;
use crate::memory::Memory;
use ykt_base::Rng;
use ykt_crypto::sm2::SignerId;
use ykt_purse::identity::InternalAuthenticate;
use ykt_purse::token::Purpose;

/// Its row of the command table.
pub(crate) const FORMS: &[Form] = &[Form {
    name: "INTERNAL AUTHENTICATE SM2",
    cla: 0x80,
    ins: 0x88,
    p1: None,
    kinds: &[CardKind::User],
    parse: |c| Ok(CardCommand::Identity(InternalAuthenticate::parse(c)?)),
}];

impl<M: Memory> Card<M> {
    /// # Errors
    /// Those of [`Card::signer`] for a key pair that authenticates.
    #[inline(never)]
    pub(crate) fn prove_card(&mut self, rng: &mut dyn Rng, command: InternalAuthenticate<'_>) -> Outcome {
        let signer = self.signer(command.key, Purpose::Authenticate)?;
        let signature = signer.private.sign(SignerId::DEFAULT, &[command.message], rng);
        self.session.spend_pin();
        self.answer(signature.as_bytes())
    }
}
