//! GET CHALLENGE, EXTERNAL and INTERNAL AUTHENTICATE (`epurse.md` 2): who proves a key to the card reaches the state
//! that key leads to; and the card proves a key of its own.

use super::keys::{Check, CountedKey, KeyName, KeySlot};
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::command::Wanted;
use crate::image::KeyNaming;
use crate::memory::{Memory, ShortBatch};
use crate::session::Challenge;
use subtle::ConstantTimeEq;
use ykt_base::{Command, KeyIndex, Rng, StatusWord};
use ykt_crypto::CardKey;
use ykt_purse::psam::SamKeyType;
use ykt_purse::write_key::KeyUsage;

/// Bytes the card answers in INTERNAL AUTHENTICATE, as many as it was given.
pub(crate) const AUTHENTICATION_LEN: usize = 8;

/// Length of a GET CHALLENGE answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChallengeLength {
    Four,
    Eight,
}

impl ChallengeLength {
    /// Reads P1, P2 and Le of `00 84`; absent or 00 asks for eight bytes.
    pub(crate) fn parse(command: &Command<'_>) -> Result<ChallengeLength, StatusWord> {
        if (command.p1, command.p2) != (0, 0) {
            return Err(StatusWord::WRONG_P1P2);
        }
        if !command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH);
        }
        match command.le {
            Some(4) => Ok(ChallengeLength::Four),
            le => Wanted(le).exact(8).map(|()| ChallengeLength::Eight),
        }
    }
}

/// EXTERNAL AUTHENTICATE (外部认证): `00 82 00 id 08 cryptogram`.
#[derive(Clone, Copy)]
pub(crate) struct ExternalAuthenticate {
    id: KeyIndex,
    cryptogram: [u8; 8],
}

impl ExternalAuthenticate {
    pub(crate) fn parse(command: &Command<'_>) -> Result<ExternalAuthenticate, StatusWord> {
        if command.p1 != 0 {
            return Err(StatusWord::WRONG_P1P2);
        }
        let cryptogram = command.data.try_into().map_err(|_| StatusWord::WRONG_LENGTH)?;
        Ok(ExternalAuthenticate { id: KeyIndex(command.p2), cryptogram })
    }
}

/// INTERNAL AUTHENTICATE (内部认证): `00 88 00 id 08 data`.
#[derive(Clone, Copy)]
pub(crate) struct InternalAuthenticate {
    id: KeyIndex,
    data: [u8; AUTHENTICATION_LEN],
}

impl InternalAuthenticate {
    pub(crate) fn parse(command: &Command<'_>) -> Result<InternalAuthenticate, StatusWord> {
        if command.p1 != 0 {
            return Err(StatusWord::WRONG_P1P2);
        }
        let data = command.data.try_into().map_err(|_| StatusWord::WRONG_LENGTH)?;
        Ok(InternalAuthenticate { id: KeyIndex(command.p2), data })
    }
}

impl<M: Memory> Card<M> {
    #[inline(never)]
    pub(crate) fn give_challenge(&mut self, rng: &mut dyn Rng, len: ChallengeLength) -> Outcome {
        let mut challenge = [0; 8];
        let given = match len {
            ChallengeLength::Four => &mut challenge[..4],
            ChallengeLength::Eight => &mut challenge[..],
        };
        rng.fill(given);
        let given = self.answer(given);
        self.session.challenge = Some(Challenge(challenge));
        given
    }

    #[inline(never)]
    pub(crate) fn external_authenticate(
        &mut self,
        command: ExternalAuthenticate,
        challenge: Option<Challenge>,
    ) -> Outcome {
        let name = match self.factory.kind.key_naming() {
            KeyNaming::ById => KeyName::User(KeyUsage::ExternalAuthentication, command.id),
            KeyNaming::ByUsage => KeyName::SamOwn(match command.id {
                KeyIndex(0) => SamKeyType::Master,
                KeyIndex(1) => SamKeyType::Maintenance,
                _ => return Err(StatusWord::KEY_NOT_FOUND),
            }),
        };
        let slot = self.usable_key(name, StatusWord::KEY_NOT_FOUND)?;
        let Challenge(challenge) = challenge.ok_or(StatusWord::CONDITIONS)?;
        let expected = slot.material(&self.store).authenticate(challenge);
        self.conclude(&slot, Check::of(expected.ct_eq(&command.cryptogram)))
    }

    /// The card proves a key of usage 34. Keys that make TACs have that usage too: a single-DES one is refused, since
    /// its answers would make TACs; the right of use keeps others out.
    ///
    /// # Errors
    /// 6A88 without such a key, 6983, 6982, 9403 for a single-DES key.
    #[inline(never)]
    pub(crate) fn internal_authenticate(&mut self, command: InternalAuthenticate) -> Outcome {
        let name = KeyName::User(KeyUsage::InternalTac, command.id);
        let slot = self.usable_key(name, StatusWord::KEY_NOT_FOUND)?;
        match slot.material(&self.store) {
            CardKey::Des(_) => Err(StatusWord::KEY_INDEX),
            key => self.answer(&key.authenticate(command.data)),
        }
    }

    /// Counts the try, then answers; the state is reached only when the count is stored.
    #[inline(never)]
    pub(super) fn conclude(&mut self, slot: &KeySlot, outcome: Check) -> Outcome {
        let key = CountedKey::of_slot(&self.store, slot);
        let mut batch = ShortBatch::new();
        key.put_checked(&mut batch, outcome)?;
        self.store.commit(&batch)?;
        match outcome {
            Check::Right => {
                self.session.reach(slot.attributes.leads_to);
                done()
            }
            Check::Wrong => Err(StatusWord::tries_left(key.tries_after(outcome))),
        }
    }
}
