//! GET CHALLENGE, EXTERNAL AUTHENTICATE and VERIFY (`epurse.md` 2): who proves a key or a PIN reaches the state
//! that key leads to.

use super::keys::{Check, CountedKey, KeyName, KeySlot, PIN_FIELD_LEN};
use crate::answer::{Outcome, answer, done};
use crate::card::Card;
use crate::command::Wanted;
use crate::image::KeyNaming;
use crate::memory::Memory;
use crate::session::Challenge;
use subtle::ConstantTimeEq;
use ykt_base::{Command, KeyIndex, Rng, StatusWord};
use ykt_purse::psam::SamKeyType;
use ykt_purse::write_key::KeyUsage;

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

/// VERIFY (校验口令): `00 20 00 id Lc PIN`. The PIN is filled with FF, so that its digits count and its length
/// does not.
#[derive(Clone, Copy)]
pub(crate) struct Verify {
    id: KeyIndex,
    pin: [u8; PIN_FIELD_LEN],
}

impl Verify {
    pub(crate) fn parse(command: &Command<'_>) -> Result<Verify, StatusWord> {
        if command.p1 != 0 {
            return Err(StatusWord::WRONG_P1P2);
        }
        let mut pin = [0xFF; PIN_FIELD_LEN];
        match (command.data.len(), pin.get_mut(..command.data.len())) {
            (2..=6 | 8, Some(place)) => place.copy_from_slice(command.data),
            _ => return Err(StatusWord::WRONG_LENGTH),
        }
        Ok(Verify { id: KeyIndex(command.p2), pin })
    }
}

impl<M: Memory> Card<M> {
    pub(crate) fn give_challenge(&mut self, rng: &mut dyn Rng, len: ChallengeLength) -> Outcome {
        let mut challenge = [0; 8];
        let given = match len {
            ChallengeLength::Four => &mut challenge[..4],
            ChallengeLength::Eight => &mut challenge[..],
        };
        rng.fill(given);
        let given = answer(given);
        self.session.challenge = Some(Challenge(challenge));
        given
    }

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
        let key = CountedKey::of_slot(&self.store, &slot);
        let expected = key.material.authenticate(challenge);
        self.conclude(&slot, &key, Check::of(expected.ct_eq(&command.cryptogram)))
    }

    /// A wrong PIN takes back what a right one gave.
    pub(crate) fn verify(&mut self, command: Verify) -> Outcome {
        let slot = self.usable_key(KeyName::User(KeyUsage::Pin, command.id), StatusWord::KEY_NOT_FOUND)?;
        let key = CountedKey::of_slot(&self.store, &slot);
        let outcome = Check::of(slot.pin(&self.store).ct_eq(&command.pin));
        self.session.drop_application_state();
        let concluded = self.conclude(&slot, &key, outcome)?;
        self.session.pin_was_verified();
        Ok(concluded)
    }

    /// Counts the try, then answers; the state is reached only when the count is stored.
    fn conclude(&mut self, slot: &KeySlot, key: &CountedKey, outcome: Check) -> Outcome {
        self.store.commit(&key.checked(outcome)?)?;
        match outcome {
            Check::Right => {
                self.session.reach(slot.attributes.leads_to);
                done()
            }
            Check::Wrong => Err(StatusWord::tries_left(key.tries_after(outcome))),
        }
    }
}
