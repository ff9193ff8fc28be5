//! WRITE and GET HARD INFO (硬件信息): the operator presets a chip before its first file, and anybody may see who a card
//! is and how far its life has gone.
//!
//! The life of a card is what it holds, not a byte of its own: blank without files, initialised with some,
//! personalised when an application has keys, locked when the card is blocked.

use super::keys::{CountedKey, key_file, key_slots};
use super::messaging::Secured;
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::files::{Directory, applications, master};
use crate::image::{TRANSPORT_TRIES, TRANSPORT_TRIES_AT, rewritten_header};
use crate::memory::{Batch, Memory};
use crate::session::Challenge;
use ykt_base::{Command, StatusWord};
use ykt_crypto::sm::{Padding, Text};
use ykt_purse::hard_info::{HardInfo, LifeCycle, Preset};
use ykt_purse::write_key::ErrorCounter;

/// WRITE HARD INFO: `84 F4 00 00`, cryptogram and MAC under the transport key.
#[derive(Clone, Copy)]
pub(crate) struct WriteHardInfo<'a>(Secured<'a>);

impl<'a> WriteHardInfo<'a> {
    /// # Errors
    /// 6A86, 6700, 6987.
    pub(crate) fn parse(command: &Command<'a>) -> Result<WriteHardInfo<'a>, StatusWord> {
        match (command.p1, command.p2) {
            (0x00, 0x00) => Ok(WriteHardInfo(Secured::split_enciphered(command)?)),
            _ => Err(StatusWord::WRONG_P1P2),
        }
    }
}

impl<M: Memory> Card<M> {
    /// How far the life of the card has gone.
    #[must_use]
    pub fn life_cycle(&self) -> LifeCycle {
        let mf = master(&self.store, &self.factory);
        let has_keys = |df: Directory| {
            let file = key_file(&self.store, &df);
            file.is_some_and(|file| key_slots(&self.store, &file).next().is_some())
        };
        if self.is_blocked() {
            LifeCycle::Locked
        } else if mf.used(&self.store) == 0 {
            LifeCycle::Blank
        } else if applications(&self.store, &mf).any(has_keys) {
            LifeCycle::Personalised
        } else {
            LifeCycle::Initialised
        }
    }

    /// GET HARD INFO. It is answered in every state, also by a blocked card.
    #[inline(never)]
    pub(crate) fn hard_info(&mut self) -> Outcome {
        let mf = master(&self.store, &self.factory);
        let free = mf.room().saturating_sub(mf.used(&self.store));
        let two_bytes = |len| u16::try_from(len).unwrap_or(u16::MAX);
        let [tries] = self.store.read(TRANSPORT_TRIES_AT);
        let info = HardInfo {
            serial: self.factory.serial,
            operator: self.factory.operator,
            system: self.factory.system(),
            kind: self.factory.kind.to_byte(),
            life_cycle: self.life_cycle(),
            memory_len: two_bytes(self.store.memory().len()),
            free_len: two_bytes(free),
            transport_tries: ErrorCounter(tries),
            mf_create: self.factory.mf_create,
            mf_switches: self.factory.mf_switches,
        };
        self.answer(&info.to_bytes())
    }

    /// Presets a card that is still blank; the transport key it brings has all tries. The card then is as after a
    /// reset.
    ///
    /// # Errors
    /// 6985 when the card is not blank, 6983, 6984, 6988, 6A80 for a preset that is none or of another card system.
    #[inline(never)]
    pub(crate) fn write_hard_info(
        &mut self,
        command: WriteHardInfo<'_>,
        challenge: Option<Challenge>,
    ) -> Outcome {
        if self.life_cycle() != LifeCycle::Blank {
            return Err(StatusWord::CONDITIONS);
        }
        let WriteHardInfo(secured) = command;
        let key = CountedKey::transport(&self.store);
        let mut plain = Text::new();
        let mut batch: Batch = Batch::new();
        self.believe(&secured, &key, challenge, &mut batch)?;
        secured.decipher(&key, Padding::Always, &mut plain)?;
        let preset = Preset::parse(&plain).filter(|preset| preset.system == self.factory.system());
        let header = rewritten_header(self.store.memory(), &preset.ok_or(StatusWord::WRONG_DATA)?);
        batch.write(TRANSPORT_TRIES_AT, &[&[TRANSPORT_TRIES]])?;
        batch.write(0, &[&header])?;
        self.store.commit(&batch)?;
        self.restart();
        done()
    }
}
