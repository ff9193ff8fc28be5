//! INIT SAM FOR PURCHASE gives sequence and MAC1, CREDIT SAM checks MAC2 (`epurse.md` 7.4). A purchase that never
//! reaches CREDIT SAM costs a sequence number and nothing else.

use super::counting::ExpectedMac2;
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::memory::Memory;
use crate::session::Pending;
use ykt_base::StatusWord;
use ykt_purse::psam::{CreditSam, InitSamForPurchase, SamAnswer};
use ykt_purse::purchase;

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6A88 no purchase key of this version and number of levels, 6983 key locked, 9403 other algorithm, 6985 no
    /// terminal id or sequence file, 9402 sequence used up, 6581.
    #[inline(never)]
    pub(crate) fn init_sam_for_purchase(&mut self, command: InitSamForPurchase) -> Outcome {
        let signing = self.begin_signing(&command.factors, command.key_version, command.algorithm)?;
        let sequence = signing.sequence;
        let next = sequence.next().ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        let session = purchase::session_key(&signing.key, command.random, command.counter, sequence);
        let mac1 = purchase::mac1(&session, &command.purchase(signing.terminal), command.at);
        self.move_sequence(&signing, next)?;
        let mac2 = purchase::mac2(&session, command.amount);
        self.session.pending = Some(Pending::SamPurchase(ExpectedMac2 { mac2, slot: signing.slot }));
        self.answer(&SamAnswer { sequence, mac1 }.to_bytes())
    }

    /// # Errors
    /// 6901 without its INIT SAM, 9302 wrong MAC2 (a try of the key is gone), 6581.
    #[inline(never)]
    pub(crate) fn credit_sam(&mut self, command: CreditSam, pending: Option<Pending>) -> Outcome {
        let Some(Pending::SamPurchase(expected)) = pending else {
            return Err(StatusWord::NOT_INITIALIZED);
        };
        self.check_mac2(&expected, command.mac2)?;
        done()
    }
}
