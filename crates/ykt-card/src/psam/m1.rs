//! Keys of M1 sectors (`epurse.md` 7.4, 8.5): what a reader needs of a key that stays in the PSAM.

use crate::answer::Outcome;
use crate::card::Card;
use crate::memory::Memory;
use crate::security::KeyName;
use ykt_base::StatusWord;
use ykt_crypto::CardKey;
use ykt_purse::psam::SamUsage;
use ykt_purse::psam_m1::DeriveM1Keys;

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6A88 no key of this version, 6983 locked, 9403 of another algorithm than 3DES, which M1 cards have.
    #[inline(never)]
    pub(crate) fn derive_m1_keys(&mut self, command: DeriveM1Keys) -> Outcome {
        let name = KeyName::SamWorking(SamUsage::M1_SECTORS, command.version);
        let slot = self.usable_key(name, StatusWord::KEY_NOT_FOUND)?;
        match slot.material(&self.store) {
            above @ CardKey::Tdes(_) => self.answer(&command.keys(&above)),
            CardKey::Des(_) | CardKey::Sm4(_) => Err(StatusWord::KEY_INDEX),
        }
    }
}
