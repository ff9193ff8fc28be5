//! GET DATA: the authentication code (安全认证码, `epurse.md` 2) that the issuer wrote on the card, for the PSAM to check.

use crate::answer::Outcome;
use crate::card::Card;
use crate::files::binary_file;
use crate::memory::Memory;
use ykt_base::StatusWord;
use ykt_purse::auth_code::CODE_LEN;
use ykt_purse::files::AUTHENTICATION_CODE_SFI;

impl<M: Memory> Card<M> {
    /// Answers the file of the code.
    ///
    /// # Errors
    /// 6A88 without one, 6982 without the right to read it, 6987 when it is not read in clear.
    #[inline(never)]
    pub(super) fn authentication_code(&mut self) -> Outcome {
        let file = binary_file(&self.store, &self.session.directory, AUTHENTICATION_CODE_SFI, CODE_LEN)
            .ok_or(StatusWord::KEY_NOT_FOUND)?;
        self.session.require(file.read)?;
        if !file.is_readable_plainly() {
            return Err(StatusWord::MAC_MISSING);
        }
        self.answer_stored(file.body, CODE_LEN)
    }
}
