//! GET DATA: the authentication code (安全认证码, `epurse.md` 2) that the issuer wrote on the card, for the PSAM to check.

use crate::answer::Outcome;
use crate::card::Card;
use crate::files::{FileKind, Sfi, file_by_sfi};
use crate::memory::Memory;
use ykt_base::{Command, StatusWord};
use ykt_purse::auth_code::CODE_LEN;
use ykt_purse::create::Structure;
use ykt_purse::files::AUTHENTICATION_CODE_SFI;

/// `80 CA 00 00`.
pub(super) fn parse(command: &Command<'_>) -> Result<(), StatusWord> {
    if (command.p1, command.p2) != (0, 0) {
        return Err(StatusWord::WRONG_P1P2);
    }
    if command.data.is_empty() { Ok(()) } else { Err(StatusWord::WRONG_LENGTH) }
}

impl<M: Memory> Card<M> {
    /// Answers the file of the code.
    ///
    /// # Errors
    /// 6A88 without one, 6982 without the right to read it, 6987 when it is not read in clear.
    #[inline(never)]
    pub(super) fn authentication_code(&mut self) -> Outcome {
        let file = Sfi::new(AUTHENTICATION_CODE_SFI)
            .and_then(|sfi| file_by_sfi(&self.store, &self.session.directory, sfi))
            .filter(|file| {
                matches!(file.kind, FileKind::Data(Structure::Binary { .. })) && file.len >= CODE_LEN
            })
            .ok_or(StatusWord::KEY_NOT_FOUND)?;
        self.session.require(file.read)?;
        if !file.is_readable_plainly() {
            return Err(StatusWord::MAC_MISSING);
        }
        self.answer_stored(file.body, CODE_LEN)
    }
}
