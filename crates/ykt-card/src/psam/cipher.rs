//! DELIVERY KEY and CIPHER DATA (`epurse.md` 7.4): the PSAM derives a card's key and computes with it; the key
//! itself never comes out. What may be computed follows the type of the key delivered.

use crate::answer::{Outcome, answer, done};
use crate::card::Card;
use crate::memory::Memory;
use crate::security::KeyName;
use crate::session::Pending;
use ykt_base::{Command, KeyVersion, StatusWord};
use ykt_crypto::CardKey;
use ykt_purse::psam::{CardFactors, SamKeyType, SamUsage};

/// Most bytes CIPHER DATA takes at once (7.4).
const DATA_LEN_MAX: usize = 0x30;
/// Every block is made of these.
const BLOCK_LEN_MIN: usize = 8;

/// The key DELIVERY KEY left behind, until the next one, another application, or reset.
pub(crate) struct Delivered {
    material: CardKey,
    kind: SamKeyType,
}

/// DELIVERY KEY (密钥分散): `80 1A usage version Lc factors`. A key without levels below it takes no factors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeliverKey {
    usage: SamUsage,
    version: KeyVersion,
    factors: Option<CardFactors>,
}

impl DeliverKey {
    /// # Errors
    /// 6A86 for a usage that is none, 6700 when there are not as many factors as its levels.
    pub(crate) fn parse(command: &Command<'_>) -> Result<DeliverKey, StatusWord> {
        let usage = SamUsage::from_code(command.p1).ok_or(StatusWord::WRONG_P1P2)?;
        let factors = match command.data {
            [] => None,
            factors => Some(CardFactors::from_bytes(factors).ok_or(StatusWord::WRONG_LENGTH)?),
        };
        let levels = factors.map_or(0, |factors| factors.levels());
        if levels != usize::from(usage.levels()) {
            return Err(StatusWord::WRONG_LENGTH);
        }
        Ok(DeliverKey { usage, version: KeyVersion(command.p2), factors })
    }
}

/// What CIPHER DATA does with its blocks: P1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CipherMode {
    /// 00 and 02: encipher each block. Blocks do not depend on each other, so it is the same whether more follow.
    Encipher,
    /// 05: MAC of everything; the first block is the IV.
    Mac,
    /// 07: begin a MAC; the first block is the IV.
    MacFirst,
    /// 03: go on with it.
    MacNext,
    /// 01: end it.
    MacLast,
}

/// CIPHER DATA (数据加密): `80 FA mode 00`, whole blocks; whoever wants a MAC pads.
#[derive(Clone, Copy)]
pub(crate) struct CipherData<'a> {
    mode: CipherMode,
    data: &'a [u8],
}

impl<'a> CipherData<'a> {
    /// # Errors
    /// 6A86 for another mode, 6700 for no blocks, parts of blocks, or more than 30h bytes.
    pub(crate) fn parse(command: &Command<'a>) -> Result<CipherData<'a>, StatusWord> {
        let mode = match (command.p1, command.p2) {
            (0x00 | 0x02, 0x00) => CipherMode::Encipher,
            (0x05, 0x00) => CipherMode::Mac,
            (0x07, 0x00) => CipherMode::MacFirst,
            (0x03, 0x00) => CipherMode::MacNext,
            (0x01, 0x00) => CipherMode::MacLast,
            _ => return Err(StatusWord::WRONG_P1P2),
        };
        let data = command.data;
        if data.is_empty() || !data.len().is_multiple_of(BLOCK_LEN_MIN) || data.len() > DATA_LEN_MAX {
            return Err(StatusWord::WRONG_LENGTH);
        }
        Ok(CipherData { mode, data })
    }

    /// Length of the answer.
    pub(crate) const fn answer_len(&self) -> usize {
        match self.mode {
            CipherMode::Encipher => self.data.len(),
            CipherMode::Mac | CipherMode::MacLast => 4,
            CipherMode::MacFirst | CipherMode::MacNext => 0,
        }
    }
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6985 for a key that is not for delivering, 6A88 without one of this usage and version, 6983 locked, 9403
    /// single DES, which gives no keys below it.
    pub(crate) fn deliver_key(&mut self, command: DeliverKey) -> Outcome {
        self.session.delivered = None;
        let kind = command.usage.kind();
        if matches!(kind, SamKeyType::Master | SamKeyType::Maintenance | SamKeyType::Purchase) {
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
    pub(crate) fn cipher_data(&mut self, command: CipherData<'_>, pending: Option<Pending>) -> Outcome {
        let Delivered { material, kind } = self.session.delivered.as_ref().ok_or(StatusWord::CONDITIONS)?;
        let CipherData { mode, data } = command;
        let allowed = match mode {
            CipherMode::Encipher => may_encipher(*kind),
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
            (CipherMode::Encipher, _) => {
                let mut out = [0; DATA_LEN_MAX];
                let out = out.get_mut(..data.len()).ok_or(StatusWord::WRONG_LENGTH)?;
                out.copy_from_slice(data);
                material.encrypt_blocks(out);
                return answer(out);
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
            _ => answer(material.end_mac(&mac).as_bytes()),
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
