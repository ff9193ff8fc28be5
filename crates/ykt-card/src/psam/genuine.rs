//! The authentication code (安全认证码, `epurse.md` 2, 7.4; [`ykt_purse::auth_code`]): where the application holds the key
//! of such codes, it signs for a card only after its code was shown.

use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::memory::{Memory, ShortBatch};
use crate::security::{Check, CountedKey, KeyName, key_file, key_slots};
use ykt_base::{Asn8, StatusWord};
use ykt_purse::auth_code::AuthenticationCode;
use ykt_purse::psam::SamUsage;

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6A88 no key of this version, 6983 key locked, 9302 not genuine (a try of the key is gone), 6581.
    #[inline(never)]
    pub(crate) fn check_authentication_code(&mut self, code: AuthenticationCode) -> Outcome {
        self.session.genuine = None;
        let name = KeyName::SamWorking(SamUsage::AUTHENTICATION_CODE, code.version);
        let slot = self.usable_key(name, StatusWord::KEY_NOT_FOUND)?;
        let key = CountedKey::of_slot(&self.store, &slot);
        let outcome = Check::of(code.is_genuine(&key.material));
        let mut batch = ShortBatch::new();
        key.put_checked(&mut batch, outcome)?;
        self.store.commit(&batch)?;
        match outcome {
            Check::Right => {
                self.session.genuine = Some(code);
                done()
            }
            Check::Wrong => Err(StatusWord::TRANSACTION_MAC_WRONG),
        }
    }

    /// # Errors
    /// 6985 when the application asks for codes, and this card's was not shown last.
    pub(super) fn require_genuine(&self, card: &Asn8) -> Result<(), StatusWord> {
        let asks = key_file(&self.store, &self.session.directory).is_some_and(|file| {
            key_slots(&self.store, &file).any(|slot| slot.usage == SamUsage::AUTHENTICATION_CODE.code())
        });
        let is_shown = self.session.genuine.as_ref().is_some_and(|code| code.is_of(card));
        if is_shown || !asks { Ok(()) } else { Err(StatusWord::CONDITIONS) }
    }
}
