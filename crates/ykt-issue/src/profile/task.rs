//! What a number of a profile stands for, and which command that is: what the two who never meet, the line with the card
//! and the centre with the keys, must know alike.

use super::{Action, BLOCK_LEN, Content, NewContent, Preset, Profile, Spot, Step};
use ykt_purse::command;
use ykt_purse::create::{Protection, Switches};

/// File id of the MF, whose commands follow the preset's switches.
const MASTER_FILE: [u8; 2] = [0x3F, 0x00];

/// What is done at one number of a profile.
#[derive(Clone, Copy)]
pub(crate) enum Task<'a> {
    Preset(&'a Preset),
    Step(&'a Step),
}

impl<'a> Task<'a> {
    pub(crate) fn title(self) -> &'a str {
        match self {
            Task::Preset(_) => "preset of the operator",
            Task::Step(step) => &step.title,
        }
    }
}

impl Profile {
    /// What is done at this number, from 1, the preset counted.
    pub(crate) fn task(&self, number: usize) -> Option<Task<'_>> {
        let at = number.checked_sub(1)?;
        match (&self.preset, at) {
            (Some(preset), 0) => Some(Task::Preset(preset)),
            (Some(_), _) => self.steps.get(at.checked_sub(1)?).map(Task::Step),
            (None, _) => self.steps.get(at).map(Task::Step),
        }
    }

    /// Where the commands of this number differ from the default: by the directory selected before it.
    pub(crate) fn switches_at(&self, number: usize) -> Switches {
        let before = number.saturating_sub(1).saturating_sub(usize::from(self.preset.is_some()));
        let selected = self.steps.iter().take(before).rev().find_map(|step| match step.action {
            Action::Select { fid } => Some(fid),
            _ => None,
        });
        self.switches_of(selected.unwrap_or(MASTER_FILE))
    }
}

impl Action {
    /// Whether its command is made by the one who has the keys.
    #[must_use]
    pub fn needs_key(&self) -> bool {
        match self {
            Action::WriteKey(_)
            | Action::WritePin { .. }
            | Action::WriteSamKey { .. }
            | Action::WriteKeyCardKey { .. }
            | Action::WriteOperatorPin { .. }
            | Action::Authenticate { .. } => true,
            Action::Write(new) => new.key.is_some() || new.content == Content::AuthenticationCode,
            Action::Select { .. }
            | Action::CreateApplication(_)
            | Action::Create(_)
            | Action::GenerateKeyPair { .. } => false,
        }
    }
}

impl NewContent {
    /// CLA INS P1 P2 of the command that writes it, or this block of it, from 0, to the selected file. `None` for a
    /// block of a record, or behind the end of any file.
    pub(crate) fn header(&self, block: Option<u16>) -> Option<[u8; 4]> {
        let [_, low] = self.fid;
        let sfi = low & 0x1F;
        let class = match (self.key, self.protection) {
            (None, _) => command::PLAIN,
            (Some(_), Protection::EncipheredMac) => command::ENCIPHERED_WITH_MAC,
            (Some(_), Protection::Plain | Protection::Mac) => command::WITH_MAC,
        };
        match (self.spot, block) {
            (Spot::Record(place), None) => Some(command::update_record_header(class, place, sfi)),
            (Spot::Append, None) => Some(command::append_record_header(class, sfi)),
            (Spot::Start, None) => Some(command::update_binary_header(class, sfi, 0)),
            (Spot::Start, Some(block)) => {
                let offset = block.checked_mul(u16::try_from(BLOCK_LEN).ok()?)?;
                let [high, low] = offset.to_be_bytes();
                // P1 with bit 8 set would name a file instead.
                (high < 0x80).then_some([class, 0xD6, high, low])
            }
            (Spot::Record(_) | Spot::Append, Some(_)) => None,
        }
    }
}
