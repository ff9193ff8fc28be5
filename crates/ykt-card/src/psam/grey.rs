//! Grey lock on the PSAM's side (`epurse.md` 7.6): INIT SAM GREY LOCK signs, CERTIFY SAM GREY LOCK checks MAC2, and
//! CALCULATE GMAC vouches once for the amount. In between the PSAM serves other cards; it keeps one certified lock,
//! until the next one, another application, or reset: a lock it has forgotten is ended online.
//!
//! The sequence moves by two: a debit carries the number after its lock's, and no other transaction may have that one.

use super::counting::ExpectedMac2;
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::memory::Memory;
use crate::purse::draw;
use crate::session::Pending;
use ykt_base::{Asn8, CardCounter, Rng, StatusWord};
use ykt_crypto::SessionKey;
use ykt_purse::psam_grey::{
    CalculateGmac, CertifySamGreyLock, GMAC_ANSWER_LEN, InitSamGreyLock, SamLockAnswer,
};
use ykt_purse::{Purse, grey};

/// A lock whose MAC2 has not come yet.
pub(crate) struct PendingSamLock {
    expected: ExpectedMac2,
    lock: SamLock,
}

/// A lock that a card has proven: what vouching for its amount needs.
pub(crate) struct SamLock {
    card: Asn8,
    purse: Purse,
    counter: CardCounter,
    session: SessionKey,
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// As INIT SAM FOR PURCHASE: 6A88, 6983, 9403, 6985, 9402, 6581.
    #[inline(never)]
    pub(crate) fn init_sam_grey_lock(&mut self, rng: &mut dyn Rng, command: InitSamGreyLock) -> Outcome {
        let signing = self.begin_signing(&command.factors, command.key_version, command.algorithm)?;
        let InitSamGreyLock { random, counter, balance, purse, at, factors, .. } = command;
        let sequence = signing.sequence;
        let next = sequence.next().and_then(|debit| debit.next()).ok_or(StatusWord::COUNTER_AT_MAXIMUM)?;
        let terminal_random = draw(rng);
        let session = grey::session_key(&signing.key, random, counter, sequence, terminal_random);
        let mac1 = grey::mac1(&session, &command.lock(signing.terminal), at);
        self.move_sequence(&signing, next)?;
        self.session.sam_lock = None;
        let expected = ExpectedMac2 { mac2: grey::mac2(&session, balance, counter), slot: signing.slot };
        let lock = SamLock { card: factors.card(), purse, counter, session };
        self.session.pending = Some(Pending::SamLock(PendingSamLock { expected, lock }));
        self.answer(&SamLockAnswer { sequence, terminal_random, mac1 }.to_bytes())
    }

    /// # Errors
    /// 6901 without its INIT, 9302 wrong MAC2 (a try of the key is gone), 6581.
    #[inline(never)]
    pub(crate) fn certify_sam_grey_lock(
        &mut self,
        command: CertifySamGreyLock,
        pending: Option<Pending>,
    ) -> Outcome {
        let Some(Pending::SamLock(PendingSamLock { expected, lock })) = pending else {
            return Err(StatusWord::NOT_INITIALIZED);
        };
        self.check_mac2(&expected, command.mac2)?;
        self.session.sam_lock = Some(lock);
        done()
    }

    /// # Errors
    /// 6985 without a certified lock of this card, purse and counter.
    #[inline(never)]
    pub(crate) fn calculate_gmac(&mut self, command: CalculateGmac) -> Outcome {
        let is_it = |lock: &mut SamLock| {
            (lock.card, lock.purse, lock.counter) == (command.card, command.purse, command.counter)
        };
        let lock = self.session.sam_lock.take_if(is_it).ok_or(StatusWord::CONDITIONS)?;
        let mut given = [0; GMAC_ANSWER_LEN];
        given[..4].copy_from_slice(grey::gmac(&lock.session, command.amount).as_bytes());
        self.answer(&given)
    }
}
