//! Blocking (锁定, `epurse.md` 2): the issuer takes an application or the whole card out of use. Proof is a MAC under the
//! application's maintenance key (应用维护, line protection of id 0), whose right of use is not asked for: no holder may
//! keep the issuer from it.
//!
//! | state | commands |
//! |---|---|
//! | temporary | SELECT answers its FCI with 6283; reading, GET CHALLENGE, GET HARD INFO and the block commands go on; other commands on files, keys and PINs answer 6985, those of applications 6A81 |
//! | permanent | everything answers 9303, except GET HARD INFO and a SELECT of something else |
//! | card blocked | everything answers 6A81, except GET HARD INFO |
//!
//! Wrong MACs of APPLICATION UNBLOCK are counted for themselves: the third in a row blocks for good.

use super::SecurityCommand;
use super::keys::{Check, CountedKey, KeyName, key};
use super::messaging::Secured;
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::command::CardCommand;
use crate::files::{BlockState, FileCommand};
use crate::image::{CARD_STATE_AT, KeyNaming};
use crate::memory::{Memory, ShortBatch};
use crate::session::Challenge;
use ykt_base::{Command, KeyIndex, StatusWord};
use ykt_crypto::macs_equal;
use ykt_purse::block::BlockTerm;
use ykt_purse::psam::SamKeyType;
use ykt_purse::write_key::KeyUsage;

/// Wrong unblocks in a row that block for good.
const FAILED_UNBLOCKS_MAX: u8 = 3;
const CARD_BLOCKED: u8 = 0x01;

/// A block command: all carry nothing but a MAC.
#[derive(Clone, Copy)]
pub(crate) enum Block<'a> {
    /// `84 1E 00 term`.
    Application(BlockTerm, Secured<'a>),
    /// `84 18 00 00`.
    ApplicationUnblock(Secured<'a>),
    /// `84 16 00 00`.
    Card(Secured<'a>),
}

impl<'a> Block<'a> {
    /// APPLICATION BLOCK (应用锁定).
    ///
    /// # Errors
    /// 6A86, 6700, 6987; so for the others.
    pub(crate) fn parse_application(command: &Command<'a>) -> Result<Block<'a>, StatusWord> {
        let term = BlockTerm::from_p2(command.p2)?;
        Ok(Block::Application(term, mac_alone(command)?))
    }

    /// APPLICATION UNBLOCK (应用解锁).
    pub(crate) fn parse_application_unblock(command: &Command<'a>) -> Result<Block<'a>, StatusWord> {
        Ok(Block::ApplicationUnblock(without_p2(command)?))
    }

    /// CARD BLOCK (卡锁定).
    pub(crate) fn parse_card(command: &Command<'a>) -> Result<Block<'a>, StatusWord> {
        Ok(Block::Card(without_p2(command)?))
    }
}

fn without_p2<'a>(command: &Command<'a>) -> Result<Secured<'a>, StatusWord> {
    if command.p2 == 0 { mac_alone(command) } else { Err(StatusWord::WRONG_P1P2) }
}

fn mac_alone<'a>(command: &Command<'a>) -> Result<Secured<'a>, StatusWord> {
    if command.p1 != 0 {
        return Err(StatusWord::WRONG_P1P2);
    }
    let secured = Secured::split(command)?;
    if secured.body.is_empty() { Ok(secured) } else { Err(StatusWord::WRONG_LENGTH) }
}

impl<M: Memory> Card<M> {
    /// Whether the card is blocked for all commands but GET HARD INFO.
    pub(crate) fn is_blocked(&self) -> bool {
        self.store.read(CARD_STATE_AT) != [0]
    }

    /// # Errors
    /// 6A81, 6985 or 9303 for a command that a blocked application does not take.
    pub(crate) fn admit(&self, command: &CardCommand<'_>) -> Result<(), StatusWord> {
        match (self.session.directory.block, command) {
            (_, CardCommand::Security(SecurityCommand::HardInfo)) => Ok(()),
            (BlockState::Free, _) | (_, CardCommand::Files(FileCommand::Select(_))) => Ok(()),
            (BlockState::Permanent, _) => Err(StatusWord::PERMANENTLY_LOCKED),
            (
                BlockState::Temporary,
                CardCommand::Files(FileCommand::ReadBinary(_) | FileCommand::ReadRecord(_))
                | CardCommand::Security(SecurityCommand::GetChallenge(_) | SecurityCommand::Block(_)),
            ) => Ok(()),
            (BlockState::Temporary, CardCommand::Files(_) | CardCommand::Security(_)) => {
                Err(StatusWord::CONDITIONS)
            }
            (BlockState::Temporary, _) => Err(StatusWord::NOT_SUPPORTED),
        }
    }

    /// # Errors
    /// 6985 in the MF, or where nothing is to unblock; 6A88 without a maintenance key; 6983, 6984, 6988; 9303 when
    /// the third unblock in a row failed.
    #[inline(never)]
    pub(crate) fn block(&mut self, command: Block<'_>, challenge: Option<Challenge>) -> Outcome {
        match command {
            Block::Application(term, secured) => self.block_application(term, &secured, challenge),
            Block::ApplicationUnblock(secured) => self.unblock_application(&secured, challenge),
            Block::Card(secured) => {
                let key = self.maintenance_key()?;
                let mut batch = ShortBatch::new();
                self.believe(&secured, &key, challenge, &mut batch)?;
                batch.write(CARD_STATE_AT, &[&[CARD_BLOCKED]])?;
                self.store.commit(&batch)?;
                done()
            }
        }
    }

    #[inline(never)]
    fn block_application(
        &mut self,
        term: BlockTerm,
        secured: &Secured<'_>,
        challenge: Option<Challenge>,
    ) -> Outcome {
        let at = self.session.directory.block_at().ok_or(StatusWord::CONDITIONS)?;
        let key = self.maintenance_key()?;
        let mut batch = ShortBatch::new();
        self.believe(secured, &key, challenge, &mut batch)?;
        let state = match term {
            BlockTerm::Temporary => BlockState::Temporary,
            BlockTerm::Permanent => BlockState::Permanent,
        };
        batch.write(at, &[&[state.to_byte(), 0]])?;
        self.store.commit(&batch)?;
        self.session.drop_application_state();
        self.session.directory.block = state;
        done()
    }

    #[inline(never)]
    fn unblock_application(&mut self, secured: &Secured<'_>, challenge: Option<Challenge>) -> Outcome {
        let directory = self.session.directory;
        let at = directory.block_at().filter(|_| directory.block == BlockState::Temporary);
        let at = at.ok_or(StatusWord::CONDITIONS)?;
        let key = self.maintenance_key()?;
        let Challenge(iv) = challenge.ok_or(StatusWord::NO_CHALLENGE)?;
        let right = macs_equal(&secured.expected_mac(&key, iv), &secured.mac);
        let [_, failed] = self.store.read(at);
        let (state, failed, answer) = match (Check::of(right), failed.saturating_add(1)) {
            (Check::Right, _) => (BlockState::Free, 0, done()),
            (Check::Wrong, FAILED_UNBLOCKS_MAX..) => {
                (BlockState::Permanent, FAILED_UNBLOCKS_MAX, Err(StatusWord::PERMANENTLY_LOCKED))
            }
            (Check::Wrong, failed) => (BlockState::Temporary, failed, Err(StatusWord::MAC_WRONG)),
        };
        let mut batch = ShortBatch::new();
        batch.write(at, &[&[state.to_byte(), failed]])?;
        self.store.commit(&batch)?;
        self.session.directory.block = state;
        answer
    }

    /// The maintenance key of the current directory, whatever its right of use.
    fn maintenance_key(&self) -> Result<CountedKey, StatusWord> {
        let name = match self.factory.kind.key_naming() {
            KeyNaming::ById => KeyName::User(KeyUsage::LineProtection, KeyIndex(0)),
            KeyNaming::ByUsage => KeyName::SamOwn(SamKeyType::Maintenance),
        };
        let slot = key(&self.store, &self.session.directory, name).ok_or(StatusWord::KEY_NOT_FOUND)?;
        Ok(CountedKey::of_slot(&self.store, &slot))
    }
}
