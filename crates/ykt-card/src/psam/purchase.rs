//! INIT SAM FOR PURCHASE gives sequence and MAC1, CREDIT SAM checks MAC2 (`epurse.md` 7.4). A purchase that never
//! reaches CREDIT SAM costs a sequence number and nothing else.

use crate::answer::{Outcome, answer, done};
use crate::card::Card;
use crate::files::{Directory, File, FileKind, Sfi, file_by_sfi, master};
use crate::memory::{Batch, Memory};
use crate::security::{Check, CountedKey, KeyName, KeySlot};
use crate::session::Pending;
use ykt_base::{Mac4, StatusWord, TerminalId, TerminalSeq};
use ykt_crypto::{CardKey, macs_equal};
use ykt_purse::create::Structure;
use ykt_purse::files::{SAM_SEQUENCE_SFI, TERMINAL_ID_SFI};
use ykt_purse::psam::{CreditSam, InitSamForPurchase, SamAnswer, SamKeyType, SamUsage};
use ykt_purse::purchase;

/// A purchase whose MAC2 has not come yet.
pub(crate) struct PendingSamPurchase {
    mac2: Mac4,
    slot: KeySlot,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6A88 no purchase key of this version and number of levels, 6983 key locked, 9403 other algorithm, 6985 no
    /// terminal id or sequence file, 9402 sequence used up, 6581.
    pub(crate) fn init_sam_for_purchase(&mut self, command: InitSamForPurchase) -> Outcome {
        let slot = self.sam_purchase_key(&command)?;
        if command.algorithm != slot.attributes.algorithm {
            return Err(StatusWord::KEY_INDEX);
        }
        let above = slot.material(&self.store);
        if matches!(above, CardKey::Des(_)) {
            return Err(StatusWord::KEY_INDEX);
        }
        let master = master(&self.store, &self.factory);
        let terminal = self.bytes_of(&master, TERMINAL_ID_SFI, TerminalId::LEN)?;
        let sequence_file =
            self.bytes_of(&self.session.directory, SAM_SEQUENCE_SFI, size_of::<TerminalSeq>())?;
        let sequence = TerminalSeq::from_bytes(self.store.read(sequence_file.body));
        let next = sequence.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;

        let purchase = command.purchase(TerminalId(self.store.read(terminal.body)));
        let dpk = command.factors.derive(&above);
        let session = purchase::session_key(&dpk, command.random, command.counter, sequence);
        let given = SamAnswer { sequence, mac1: purchase::mac1(&session, &purchase, command.at) };
        let mut batch = Batch::new();
        batch.write(sequence_file.body, &[&next.to_bytes()])?;
        self.store.commit(&batch)?;
        let mac2 = purchase::mac2(&session, command.amount);
        self.session.pending = Some(Pending::SamPurchase(PendingSamPurchase { mac2, slot }));
        answer(&given.to_bytes())
    }

    /// # Errors
    /// 6901 without its INIT SAM, 9302 wrong MAC2 (a try of the key is gone), 6581.
    pub(crate) fn credit_sam(&mut self, command: CreditSam, pending: Option<Pending>) -> Outcome {
        let Some(Pending::SamPurchase(PendingSamPurchase { mac2, slot })) = pending else {
            return Err(StatusWord::NOT_INITIALIZED);
        };
        let key = CountedKey::of_slot(&self.store, &slot);
        let outcome = Check::of(macs_equal(&mac2, &command.mac2));
        self.store.commit(&key.checked(outcome)?)?;
        match outcome {
            Check::Right => done(),
            Check::Wrong => Err(StatusWord::TRANSACTION_MAC_WRONG),
        }
    }

    fn sam_purchase_key(&self, command: &InitSamForPurchase) -> Result<KeySlot, StatusWord> {
        let levels = u8::try_from(command.factors.levels()).map_err(|_| StatusWord::KEY_NOT_FOUND)?;
        let usage = SamUsage::new(levels, SamKeyType::Purchase).ok_or(StatusWord::KEY_NOT_FOUND)?;
        let name = KeyName::SamWorking(usage, command.key_version);
        self.usable_key(name, StatusWord::KEY_NOT_FOUND)
    }

    /// A binary file of at least `len` bytes.
    ///
    /// # Errors
    /// 6985 without one.
    fn bytes_of(&self, directory: &Directory, sfi: u8, len: usize) -> Result<File, StatusWord> {
        Sfi::new(sfi)
            .and_then(|sfi| file_by_sfi(&self.store, directory, sfi))
            .filter(|file| matches!(file.kind, FileKind::Data(Structure::Binary { .. })) && file.len >= len)
            .ok_or(StatusWord::CONDITIONS)
    }
}
