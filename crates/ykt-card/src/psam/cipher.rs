//! DELIVERY KEY and CIPHER DATA (`epurse.md` 7.4): the PSAM derives a card's key and computes with it; the key
//! itself never comes out. What may be computed follows the type of the key delivered.

use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::memory::Memory;
use crate::security::KeyName;
use crate::session::Pending;
use ykt_base::StatusWord;
use ykt_crypto::CardKey;
use ykt_purse::psam::{SamKeyType, SamUsage};
use ykt_purse::psam_cipher::{CipherData, CipherMode, DeliverKey};

/// The key DELIVERY KEY left behind, until the next one, another application, or reset.
pub(crate) struct Delivered {
    material: CardKey,
    kind: SamKeyType,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6985 for a key that is not for delivering, 6A88 without one of this usage and version, 6983 locked, 9403
    /// single DES, which gives no keys below it.
    #[inline(never)]
    pub(crate) fn deliver_key(&mut self, command: DeliverKey) -> Outcome {
        self.session.delivered = None;
        let kind = command.usage.kind();
        let has_own_command = command.usage == SamUsage::AUTHENTICATION_CODE
            || matches!(
                kind,
                SamKeyType::Master | SamKeyType::Maintenance | SamKeyType::Purchase | SamKeyType::M1Sectors
            );
        if has_own_command {
            return Err(StatusWord::CONDITIONS);
        }
        let name = KeyName::SamWorking(command.usage, command.version);
        let slot = self.usable_key(name, StatusWord::KEY_NOT_FOUND)?;
        let above = slot.material(&self.store);
        let delivered = match (command.factors, &above) {
            (Some(_), CardKey::Des(_)) => return Err(StatusWord::KEY_INDEX),
            (Some(factors), _) => factors.derive(&above),
            (None, _) => above,
        };
        let material = match kind {
            SamKeyType::PinReload => delivered.tac_key().into(),
            _ => delivered,
        };
        self.session.delivered = Some(Delivered { material, kind });
        done()
    }

    /// # Errors
    /// 6985 without a delivered key, when its type does not allow the mode, or for a part of a MAC that was not
    /// begun by the command before; 6700 for blocks of another length than its algorithm's.
    #[inline(never)]
    pub(crate) fn cipher_data(&mut self, command: CipherData<'_>, pending: Option<Pending>) -> Outcome {
        let Delivered { material, kind } = self.session.delivered.as_ref().ok_or(StatusWord::CONDITIONS)?;
        let CipherData { mode, data } = command;
        let allowed = match mode {
            CipherMode::Encipher | CipherMode::EncipherMore => may_encipher(*kind),
            CipherMode::Mac | CipherMode::MacFirst | CipherMode::MacNext | CipherMode::MacLast => {
                may_mac(*kind)
            }
        };
        if !allowed {
            return Err(StatusWord::CONDITIONS);
        }
        if !data.len().is_multiple_of(material.block_len()) {
            return Err(StatusWord::WRONG_LENGTH);
        }
        let (mut mac, blocks) = match (mode, pending) {
            (CipherMode::Encipher | CipherMode::EncipherMore, _) => {
                self.session.answer.push(data).ok_or(StatusWord::WRONG_LENGTH)?;
                material.encrypt_blocks(self.session.answer.as_mut_bytes());
                return done();
            }
            (CipherMode::Mac | CipherMode::MacFirst, _) => {
                let (iv, blocks) =
                    data.split_at_checked(material.block_len()).ok_or(StatusWord::WRONG_LENGTH)?;
                if blocks.is_empty() {
                    return Err(StatusWord::WRONG_LENGTH);
                }
                (material.begin_mac(iv).ok_or(StatusWord::WRONG_LENGTH)?, blocks)
            }
            (CipherMode::MacNext | CipherMode::MacLast, Some(Pending::SamMac(mac))) => (mac, data),
            (CipherMode::MacNext | CipherMode::MacLast, _) => return Err(StatusWord::CONDITIONS),
        };
        material.continue_mac(&mut mac, blocks);
        match mode {
            CipherMode::MacFirst | CipherMode::MacNext => {
                self.session.pending = Some(Pending::SamMac(mac));
                done()
            }
            _ => self.answer(material.end_mac(&mac).as_bytes()),
        }
    }
}

/// Encipherment and the keys whose commands carry cryptograms (PIN unblock, application maintenance).
const fn may_encipher(kind: SamKeyType) -> bool {
    matches!(
        kind,
        SamKeyType::PinUnblock
            | SamKeyType::CardMaintenance
            | SamKeyType::Encipher
            | SamKeyType::MacAndEncipher
    )
}

const fn may_mac(kind: SamKeyType) -> bool {
    matches!(
        kind,
        SamKeyType::PinUnblock
            | SamKeyType::PinReload
            | SamKeyType::CardMaintenance
            | SamKeyType::Mac
            | SamKeyType::MacAndEncipher
    )
}
