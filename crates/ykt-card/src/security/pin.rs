//! VERIFY, CHANGE PIN, RELOAD PIN and PIN UNBLOCK (`epurse.md` 2): the holder proves and changes the PIN, the issuer
//! gives a new one or new tries.
//!
//! The keys of reload and unblock are those of the PIN's id; the ones of id 0 serve PINs without their own.

use super::keys::{Check, CountedKey, KeyName, KeySlot, PIN_FIELD_LEN, key};
use super::messaging::Secured;
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::memory::{Memory, ShortBatch};
use crate::session::Challenge;
use subtle::ConstantTimeEq;
use ykt_base::{Command, KeyIndex, StatusWord};
use ykt_crypto::macs_equal;
use ykt_crypto::sm::Text;
use ykt_purse::pin::{self, ChangePin, ReloadPin, UnblockForm};
use ykt_purse::write_key::{KeyLayout, KeyUsage, Pin};

/// The PIN that PIN UNBLOCK means where P2 does not say which.
const COMMON_PIN: KeyIndex = KeyIndex(0);

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
        match command.data.len() {
            2..=6 | 8 => {}
            _ => return Err(StatusWord::WRONG_LENGTH),
        }
        let pin = filled(command.data).ok_or(StatusWord::WRONG_LENGTH)?;
        Ok(Verify { id: KeyIndex(command.p2), pin })
    }
}

/// PIN UNBLOCK (解锁口令): `84 24 00 P2`, PIN as a cryptogram, MAC.
#[derive(Clone, Copy)]
pub(crate) struct UnblockPin<'a> {
    p2: u8,
    secured: Secured<'a>,
}

impl<'a> UnblockPin<'a> {
    /// # Errors
    /// 6A86, 6700, 6987.
    pub(crate) fn parse(command: &Command<'a>) -> Result<UnblockPin<'a>, StatusWord> {
        match command.p1 {
            0x00 => Ok(UnblockPin { p2: command.p2, secured: Secured::split_enciphered(command)? }),
            _ => Err(StatusWord::WRONG_P1P2),
        }
    }

    /// What P2 means to an application of this layout.
    ///
    /// # Errors
    /// 6A86 when it means nothing.
    const fn form(&self, layout: KeyLayout) -> Result<UnblockForm, StatusWord> {
        match (layout, self.p2) {
            (KeyLayout::Fmcos, id) => Ok(UnblockForm::SetById(KeyIndex(id))),
            (_, 0x00) => Ok(UnblockForm::Reset),
            (_, 0x01) => Ok(UnblockForm::ResetAndSet),
            _ => Err(StatusWord::WRONG_P1P2),
        }
    }
}

impl<M: Memory> Card<M> {
    /// A wrong PIN takes back what a right one gave.
    ///
    /// # Errors
    /// 6A88 without such a PIN, 6983 when it is blocked, 6982 when it may not be used, 63Cx when it is another one.
    #[inline(never)]
    pub(crate) fn verify(&mut self, command: Verify) -> Outcome {
        let slot = self.usable_pin(command.id)?;
        self.session.drop_application_state();
        let concluded = self.conclude(&slot, self.compare(&slot, &command.pin))?;
        self.session.pin_was_verified();
        Ok(concluded)
    }

    /// Errors cost tries and rights as those of VERIFY; a success gives no right.
    ///
    /// # Errors
    /// As [`Card::verify`].
    #[inline(never)]
    pub(crate) fn change_pin(&mut self, command: &ChangePin) -> Outcome {
        let slot = self.usable_pin(command.id)?;
        let old = filled(command.old.as_bytes()).ok_or(StatusWord::WRONG_DATA)?;
        let outcome = self.compare(&slot, &old);
        let key = CountedKey::of_slot(&self.store, &slot);
        let mut batch = ShortBatch::new();
        key.put_checked(&mut batch, outcome)?;
        if outcome == Check::Wrong {
            self.session.drop_application_state();
            self.store.commit(&batch)?;
            return Err(StatusWord::tries_left(key.tries_after(outcome)));
        }
        slot.put_pin(&mut batch, &command.new)?;
        self.store.commit(&batch)?;
        done()
    }

    /// # Errors
    /// 6A88 without PIN or key, 6983 when the key is locked, 6982 when it may not be used, 9302 for a wrong MAC,
    /// which costs the key a try.
    #[inline(never)]
    pub(crate) fn reload_pin(&mut self, command: &ReloadPin) -> Outcome {
        let slot = self.pin_slot(command.id)?;
        let key = self.key_of_pin(KeyUsage::PinReload, command.id)?;
        let expected = pin::reload_mac(&key.material.tac_key(), &command.new);
        let outcome = Check::of(macs_equal(&expected, &command.mac));
        let mut batch = ShortBatch::new();
        key.put_checked(&mut batch, outcome)?;
        if outcome == Check::Right {
            slot.put_pin(&mut batch, &command.new)?;
        }
        self.store.commit(&batch)?;
        match outcome {
            Check::Right => done(),
            Check::Wrong => Err(StatusWord::TRANSACTION_MAC_WRONG),
        }
    }

    /// # Errors
    /// 6A86, 6A88 without PIN or key, 6982, 6983, 6984, 6988, 6A80 for a cryptogram of no PIN.
    #[inline(never)]
    pub(crate) fn unblock_pin(&mut self, command: &UnblockPin<'_>, challenge: Option<Challenge>) -> Outcome {
        let switches = self.session.directory.switches;
        let form = command.form(switches.key_layout)?;
        let id = match form {
            UnblockForm::Reset | UnblockForm::ResetAndSet => COMMON_PIN,
            UnblockForm::SetById(id) => id,
        };
        let slot = self.pin_slot(id)?;
        let key = self.key_of_pin(KeyUsage::PinUnblock, id)?;
        let (mut text, mut batch) = (Text::new(), ShortBatch::new());
        self.believe(&command.secured, &key, challenge, &mut batch)?;
        command.secured.decipher(&key, switches.padding(), &mut text)?;
        let carried = Pin::from_bytes(&text).ok_or(StatusWord::WRONG_DATA)?;
        match form {
            UnblockForm::Reset => slot.put_full_tries(&mut batch)?,
            UnblockForm::ResetAndSet | UnblockForm::SetById(_) => {
                slot.put_pin(&mut batch, &carried)?;
            }
        }
        self.store.commit(&batch)?;
        done()
    }

    fn compare(&self, slot: &KeySlot, pin: &[u8; PIN_FIELD_LEN]) -> Check {
        Check::of(slot.pin(&self.store).ct_eq(pin))
    }

    fn usable_pin(&self, id: KeyIndex) -> Result<KeySlot, StatusWord> {
        self.usable_key(KeyName::User(KeyUsage::Pin, id), StatusWord::KEY_NOT_FOUND)
    }

    /// A PIN the issuer sets, blocked or not.
    fn pin_slot(&self, id: KeyIndex) -> Result<KeySlot, StatusWord> {
        let name = KeyName::User(KeyUsage::Pin, id);
        key(&self.store, &self.session.directory, name).ok_or(StatusWord::KEY_NOT_FOUND)
    }

    fn key_of_pin(&self, usage: KeyUsage, id: KeyIndex) -> Result<CountedKey, StatusWord> {
        let slot = match self.usable_key(KeyName::User(usage, id), StatusWord::KEY_NOT_FOUND) {
            Err(StatusWord::KEY_NOT_FOUND) => {
                self.usable_key(KeyName::User(usage, COMMON_PIN), StatusWord::KEY_NOT_FOUND)
            }
            found => found,
        }?;
        Ok(CountedKey::of_slot(&self.store, &slot))
    }
}

/// A PIN's bytes as a slot keeps them; `None` for too many.
fn filled(pin: &[u8]) -> Option<[u8; PIN_FIELD_LEN]> {
    let mut field = [0xFF; PIN_FIELD_LEN];
    field.get_mut(..pin.len())?.copy_from_slice(pin);
    Some(field)
}
