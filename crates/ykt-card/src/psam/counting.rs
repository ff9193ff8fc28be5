//! What a PSAM counts in its application (`epurse.md` 7.1): its transaction sequence, and wrong MAC2 in a row.
//!
//! The sequence stands in 0018. Where the application has an 0019 that can hold it, it stands there, and 0018 shows
//! how many MAC2 in a row were wrong: the other layout that is in use. What locks a key is its own error counter.

use crate::card::Card;
use crate::files::{File, binary_file, master};
use crate::memory::{Memory, ShortBatch};
use crate::security::{Check, CountedKey, KeyName, KeySlot};
use ykt_base::{KeyVersion, Mac4, StatusWord, TerminalId, TerminalSeq};
use ykt_crypto::{CardKey, macs_equal};
use ykt_purse::files::{SAM_SEQUENCE_SFI, TERMINAL_ID_SFI};
use ykt_purse::psam::{CardFactors, SamKeyType, SamUsage};

/// Short id of the sequence where 0018 counts failures.
const SECOND_SEQUENCE_SFI: u8 = 0x19;

/// A signature about to be made: the card's key, and who signs.
pub(super) struct Signing {
    pub(super) slot: KeySlot,
    /// The card's purchase key.
    pub(super) key: CardKey,
    pub(super) terminal: TerminalId,
    pub(super) sequence: TerminalSeq,
    sequence_at: usize,
}

/// A MAC2 that has not come yet.
pub(crate) struct ExpectedMac2 {
    pub(super) mac2: Mac4,
    pub(super) slot: KeySlot,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6A88 no purchase key of this version and number of levels, 6983 key locked, 9403 other algorithm, 6985 no
    /// authentication code shown where one is asked for, no terminal id or sequence file.
    pub(super) fn begin_signing(
        &self,
        factors: &CardFactors,
        version: KeyVersion,
        algorithm: u8,
    ) -> Result<Signing, StatusWord> {
        let levels = u8::try_from(factors.levels()).map_err(|_| StatusWord::KEY_NOT_FOUND)?;
        let usage = SamUsage::new(levels, SamKeyType::Purchase).ok_or(StatusWord::KEY_NOT_FOUND)?;
        let slot = self.usable_key(KeyName::SamWorking(usage, version), StatusWord::KEY_NOT_FOUND)?;
        let above = slot.material(&self.store);
        if algorithm != slot.attributes.algorithm || matches!(above, CardKey::Des(_)) {
            return Err(StatusWord::KEY_INDEX);
        }
        self.require_genuine(&factors.card())?;
        let master = master(&self.store, &self.factory);
        let terminal = binary_file(&self.store, &master, TERMINAL_ID_SFI, TerminalId::LEN);
        let terminal = terminal.ok_or(StatusWord::CONDITIONS)?;
        let file = self.second_sequence().or_else(|| self.in_application(SAM_SEQUENCE_SFI, SEQUENCE_LEN));
        let sequence_at = file.ok_or(StatusWord::CONDITIONS)?.body;
        Ok(Signing {
            key: factors.derive(&above),
            slot,
            terminal: TerminalId(self.store.read(terminal.body)),
            sequence: TerminalSeq::from_bytes(self.store.read(sequence_at)),
            sequence_at,
        })
    }

    /// Takes sequence numbers: the next one given is `next`.
    pub(super) fn move_sequence(&mut self, signing: &Signing, next: TerminalSeq) -> Result<(), StatusWord> {
        let mut batch = ShortBatch::new();
        batch.write(signing.sequence_at, &[&next.to_bytes()])?;
        Ok(self.store.commit(&batch)?)
    }

    /// Compares MAC2, and counts.
    ///
    /// # Errors
    /// 9302 when it is wrong: a try of the key is gone. 6581.
    pub(super) fn check_mac2(&mut self, expected: &ExpectedMac2, mac2: Mac4) -> Result<(), StatusWord> {
        let key = CountedKey::of_slot(&self.store, &expected.slot);
        let outcome = Check::of(macs_equal(&expected.mac2, &mac2));
        let mut batch = ShortBatch::new();
        key.put_checked(&mut batch, outcome)?;
        if self.second_sequence().is_some()
            && let Some(failures) = self.in_application(SAM_SEQUENCE_SFI, 1)
        {
            let [count] = self.store.read(failures.body);
            let count = match outcome {
                Check::Right => 0,
                Check::Wrong => u8::saturating_add(count, 1),
            };
            batch.write(failures.body, &[&[count]])?;
        }
        self.store.commit(&batch)?;
        match outcome {
            Check::Right => Ok(()),
            Check::Wrong => Err(StatusWord::TRANSACTION_MAC_WRONG),
        }
    }

    fn second_sequence(&self) -> Option<File> {
        self.in_application(SECOND_SEQUENCE_SFI, SEQUENCE_LEN)
    }

    fn in_application(&self, sfi: u8, len: usize) -> Option<File> {
        binary_file(&self.store, &self.session.directory, sfi, len)
    }
}

const SEQUENCE_LEN: usize = size_of::<TerminalSeq>();
