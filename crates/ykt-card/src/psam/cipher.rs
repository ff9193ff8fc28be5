//! DELIVERY KEY and CIPHER DATA (`epurse.md` 7.4): the PSAM derives a card's key and computes with it; the key
//! itself never comes out. What may be computed follows the type of the key delivered.

use crate::answer::{Outcome, answer, done};
use crate::card::Card;
use crate::memory::Memory;
use crate::security::KeyName;
use ykt_base::apdu::RESPONSE_DATA_LEN_MAX;
use ykt_base::{Command, KeyVersion, StatusWord};
use ykt_crypto::CardKey;
use ykt_purse::psam::{CardFactors, SamKeyType, SamUsage};

/// The key DELIVERY KEY left behind, until the next one, another application, or reset.
pub(crate) struct Delivered {
    material: CardKey,
    kind: SamKeyType,
}

/// DELIVERY KEY (密钥分散): `80 1A usage version Lc factors`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeliverKey {
    usage: SamUsage,
    version: KeyVersion,
    factors: CardFactors,
}

impl DeliverKey {
    /// # Errors
    /// 6A86 for a usage that is none, 6700 when there are not as many factors as its levels.
    pub(crate) fn parse(command: &Command<'_>) -> Result<DeliverKey, StatusWord> {
        let usage = SamUsage::from_code(command.p1).ok_or(StatusWord::WRONG_P1P2)?;
        let factors = CardFactors::from_bytes(command.data).ok_or(StatusWord::WRONG_LENGTH)?;
        if factors.levels() != usize::from(usage.levels()) {
            return Err(StatusWord::WRONG_LENGTH);
        }
        Ok(DeliverKey { usage, version: KeyVersion(command.p2), factors })
    }
}

/// CIPHER DATA (数据加密): `80 FA mode 00`, whole blocks.
#[derive(Clone, Copy)]
pub(crate) enum CipherData<'a> {
    /// 00: encipher block by block.
    Encrypt(&'a [[u8; 8]]),
    /// 05: MAC in one command; the first block is the IV, the caller pads.
    Mac([u8; 8], &'a [[u8; 8]]),
}

impl<'a> CipherData<'a> {
    /// # Errors
    /// 6A86 for another mode, 6700 for data that are not whole blocks or too few.
    pub(crate) fn parse(command: &Command<'a>) -> Result<CipherData<'a>, StatusWord> {
        let (blocks, rest) = command.data.as_chunks::<8>();
        let whole = rest.is_empty();
        match (command.p1, command.p2, blocks) {
            (0x00, 0x00, [_, ..]) if whole => Ok(CipherData::Encrypt(blocks)),
            (0x05, 0x00, [iv, blocks @ ..]) if whole && !blocks.is_empty() => {
                Ok(CipherData::Mac(*iv, blocks))
            }
            (0x00 | 0x05, 0x00, _) => Err(StatusWord::WRONG_LENGTH),
            _ => Err(StatusWord::WRONG_P1P2),
        }
    }

    /// Length of the answer.
    pub(crate) const fn answer_len(&self) -> usize {
        match self {
            CipherData::Encrypt(blocks) => blocks.len().saturating_mul(8),
            CipherData::Mac(..) => 4,
        }
    }
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6985 for a key that is not for delivering, 6A88 without one of this usage and version, 6983 locked, 9403
    /// of another algorithm than 3DES.
    pub(crate) fn deliver_key(&mut self, command: DeliverKey) -> Outcome {
        self.session.delivered = None;
        let kind = command.usage.kind();
        if matches!(kind, SamKeyType::Master | SamKeyType::Maintenance | SamKeyType::Purchase) {
            return Err(StatusWord::CONDITIONS);
        }
        let name = KeyName::SamWorking(command.usage, command.version);
        let slot = self.usable_key(name, StatusWord::KEY_NOT_FOUND)?;
        let above = slot.material(&self.store);
        if matches!(above, CardKey::Des(_)) {
            return Err(StatusWord::KEY_INDEX);
        }
        let derived = command.factors.derive(&above);
        let material = match kind {
            SamKeyType::PinReload => derived.tac_key().into(),
            _ => derived,
        };
        self.session.delivered = Some(Delivered { material, kind });
        done()
    }

    /// # Errors
    /// 6985 without a delivered key, or when its type does not allow the mode.
    pub(crate) fn cipher_data(&self, command: CipherData<'_>) -> Outcome {
        let Delivered { material, kind } = self.session.delivered.as_ref().ok_or(StatusWord::CONDITIONS)?;
        match command {
            CipherData::Encrypt(blocks) if may_encipher(*kind) => {
                let mut out = [0; RESPONSE_DATA_LEN_MAX];
                let blocks = blocks.as_flattened();
                let out = out.get_mut(..blocks.len()).ok_or(StatusWord::WRONG_LENGTH)?;
                out.copy_from_slice(blocks);
                material.encrypt_blocks(out);
                answer(out)
            }
            CipherData::Mac(iv, blocks) if may_mac(*kind) => {
                let mut mac = material.begin_mac(&iv).ok_or(StatusWord::WRONG_LENGTH)?;
                material.continue_mac(&mut mac, blocks.as_flattened());
                answer(material.end_mac(&mac).as_bytes())
            }
            CipherData::Encrypt(_) | CipherData::Mac(..) => Err(StatusWord::CONDITIONS),
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
