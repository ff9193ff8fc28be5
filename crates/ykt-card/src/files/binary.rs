//! READ BINARY and UPDATE BINARY (读二进制, 写二进制; `epurse.md` 2), plain and under secure messaging.

use super::tree::{File, Sfi, file_by_sfi};
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::command::Wanted;
use crate::memory::{Batch, Memory};
use crate::security::{Content, MessageClass, Secured, protect};
use crate::session::Challenge;
use ykt_base::{Command, StatusWord};
use ykt_crypto::sm::Text;

/// The EF a command means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The current one.
    Current,
    /// The one of a short id, which becomes the current one.
    Short(Sfi),
}

/// Target and offset: P1 and P2.
fn place(command: &Command<'_>) -> Result<(Target, usize), StatusWord> {
    let (p1, p2) = (command.p1, command.p2);
    match p1 >> 5 {
        0b100 => {
            let sfi = Sfi::new(p1 & 0x1F).ok_or(StatusWord::WRONG_P1P2)?;
            Ok((Target::Short(sfi), usize::from(p2)))
        }
        0b101..=0b111 => Err(StatusWord::WRONG_P1P2),
        _ => Ok((Target::Current, usize::from(u16::from_be_bytes([p1, p2])))),
    }
}

/// READ BINARY.
#[derive(Clone, Copy)]
pub(crate) struct ReadBinary<'a> {
    target: Target,
    offset: usize,
    secured: Option<Secured<'a>>,
    wanted: Wanted,
}

impl<'a> ReadBinary<'a> {
    /// Reads `00 B0` and `04 B0`.
    ///
    /// # Errors
    /// 6A86, 6700, 6987.
    pub(crate) fn parse(command: &Command<'a>) -> Result<ReadBinary<'a>, StatusWord> {
        let (target, offset) = place(command)?;
        let secured = MessageClass::of(command).of_read(command)?;
        Ok(ReadBinary { target, offset, secured, wanted: Wanted(command.le) })
    }
}

/// UPDATE BINARY.
#[derive(Clone, Copy)]
pub(crate) struct UpdateBinary<'a> {
    target: Target,
    offset: usize,
    content: Content<'a>,
}

impl<'a> UpdateBinary<'a> {
    /// Reads `00 D6`, `04 D6` and `84 D6`.
    ///
    /// # Errors
    /// 6A86, 6700, 6987.
    pub(crate) fn parse(command: &Command<'a>) -> Result<UpdateBinary<'a>, StatusWord> {
        let (target, offset) = place(command)?;
        Ok(UpdateBinary { target, offset, content: MessageClass::of(command).of_write(command)? })
    }
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6986, 6A82, 6981, 6982, 6B00, 6Cxx, and those of secure messaging.
    #[inline(never)]
    pub(crate) fn read_binary(&mut self, read: ReadBinary<'_>, challenge: Option<Challenge>) -> Outcome {
        let file = self.file_of(read.target)?;
        if !file.is_binary() {
            return Err(StatusWord::WRONG_FILE_TYPE);
        }
        self.session.require(file.read)?;
        let there = file.len.checked_sub(read.offset).filter(|there| *there > 0);
        let there = there.ok_or(StatusWord::WRONG_OFFSET)?;
        let there = match read.secured {
            Some(_) => there.min(self.line_protection(file.access.read_key_id())?.plain_len_max()),
            None => there,
        };
        let len = read.wanted.up_to(there)?;
        self.answer_from(&file, file.body.saturating_add(read.offset), len, read.secured, challenge)
    }

    /// # Errors
    /// 6986, 6A82, 6981, 6982, 6B00, 6A84, and those of secure messaging.
    #[inline(never)]
    pub(crate) fn update_binary(
        &mut self,
        update: UpdateBinary<'_>,
        challenge: Option<Challenge>,
    ) -> Outcome {
        let file = self.file_of(update.target)?;
        if !file.is_binary() {
            return Err(StatusWord::WRONG_FILE_TYPE);
        }
        self.session.require(file.write)?;
        if update.offset >= file.len {
            return Err(StatusWord::WRONG_OFFSET);
        }
        let (mut text, mut batch) = (Text::new(), Batch::new());
        let data = self.accept(&file, update.content, challenge, (&mut text, &mut batch))?;
        if file.len.saturating_sub(update.offset) < data.len() {
            return Err(StatusWord::NO_SPACE);
        }
        batch.write(file.body.saturating_add(update.offset), &[data])?;
        self.store.commit(&batch)?;
        self.session.file = Some(file);
        done()
    }

    /// The EF a command means.
    ///
    /// # Errors
    /// 6986 without a current EF, 6A82 when there is none of the short id.
    pub(crate) fn file_of(&self, target: Target) -> Result<File, StatusWord> {
        match target {
            Target::Current => self.session.file.ok_or(StatusWord::NO_CURRENT_FILE),
            Target::Short(sfi) => {
                file_by_sfi(&self.store, &self.session.directory, sfi).ok_or(StatusWord::NOT_FOUND)
            }
        }
    }

    /// Answers `len` bytes at `at` of a file whose right to read is given: in clear, or protected the way the
    /// file is. The file becomes the current one.
    #[inline(never)]
    pub(crate) fn answer_from(
        &mut self,
        file: &File,
        at: usize,
        len: usize,
        secured: Option<Secured<'_>>,
        challenge: Option<Challenge>,
    ) -> Outcome {
        match secured {
            None if !file.is_readable_plainly() => return Err(StatusWord::MAC_MISSING),
            None => self.answer_stored(at, len)?,
            Some(secured) => {
                let key = self.line_protection(file.access.read_key_id())?;
                let iv = self.believe_alone(&secured, &key, challenge)?;
                let sw = self.answer_stored(at, len)?;
                let padding = self.session.directory.switches.padding();
                protect(&mut self.session.answer, &key, file.protection, padding, iv)?;
                sw
            }
        };
        self.session.file = Some(*file);
        done()
    }
}
