//! SELECT (选择, `epurse.md` 2, 6.1): which directory or EF the commands that follow mean.

use super::tree::{BlockState, Directory, Entry, File, FileId, applications, entries, file_by_sfi, master};
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::command::Wanted;
use crate::memory::Memory;
use ykt_base::apdu::RESPONSE_DATA_LEN_MAX;
use ykt_base::{Command, StatusWord, tlv};
use ykt_crypto::sm::Bytes;
use ykt_purse::create::SecurityStates;

/// Name of the MF where applications are listed: the PSE.
const PSE_NAME: &[u8] = b"1PAY.SYS.DDF01";
/// Its name for contactless terminals: the PPSE.
const PPSE_NAME: &[u8] = b"2PAY.SYS.DDF01";
/// Short id of the directory file the MF's FCI points to.
const DIR_SFI: u8 = 0x01;
/// Application version in the FCI (tag 9F08).
const APPLICATION_VERSION: u8 = 0x02;
/// Longest EF shown in an FCI: the rest of the FCI fits beside it.
const INFO_LEN_MAX: usize = 200;

/// SELECT.
#[derive(Clone, Copy)]
pub(crate) struct Select<'a> {
    target: Target<'a>,
    wanted: Wanted,
}

#[derive(Clone, Copy)]
enum Target<'a> {
    /// The MF.
    Master,
    /// A DF or EF by id.
    Id(FileId),
    /// An EF by id.
    ElementaryId(FileId),
    /// The first directory of a name, or of a name that begins like this.
    FirstName(&'a [u8]),
    /// The next such directory after the current one.
    NextName(&'a [u8]),
}

impl<'a> Select<'a> {
    /// Reads `00 A4`.
    ///
    /// # Errors
    /// 6A86, 6700.
    pub(crate) fn parse(command: &Command<'a>) -> Result<Select<'a>, StatusWord> {
        let target = match (command.p1, command.p2) {
            (0x00, 0x00) if command.data.is_empty() => Target::Master,
            (0x00 | 0x02, 0x00) => {
                let id = FileId(command.data.try_into().map_err(|_| StatusWord::WRONG_LENGTH)?);
                match command.p1 {
                    0x00 if id == FileId::MF => Target::Master,
                    0x00 => Target::Id(id),
                    _ => Target::ElementaryId(id),
                }
            }
            (0x04, 0x00 | 0x02) => match (command.data.len(), command.p2) {
                (5..=16, 0x00) => Target::FirstName(command.data),
                (5..=16, _) => Target::NextName(command.data),
                _ => return Err(StatusWord::WRONG_LENGTH),
            },
            _ => return Err(StatusWord::WRONG_P1P2),
        };
        Ok(Select { target, wanted: Wanted(command.le) })
    }
}

impl<M: Memory> Card<M> {
    /// Selects. When nothing is found, Le is wrong, or what is found is blocked for good, what was selected stays
    /// selected.
    ///
    /// # Errors
    /// 6A82, 6Cxx, 9303.
    #[inline(never)]
    pub(crate) fn select(&mut self, select: Select<'_>) -> Outcome {
        let master = master(&self.store, &self.factory);
        let current = self.session.directory;
        let found = match select.target {
            Target::Master => Some(Entry::Directory(master)),
            Target::Id(id) => entries(&self.store, &current)
                .find(|entry| entry.id() == id)
                .or_else(|| applications(&self.store, &master).find(|df| df.id == id).map(Entry::Directory)),
            Target::ElementaryId(id) => entries(&self.store, &current)
                .find(|entry| entry.id() == id && matches!(entry, Entry::File(_))),
            Target::FirstName(name) => self.named(&master, name).next().map(Entry::Directory),
            Target::NextName(name) => {
                let mut named = self.named(&master, name);
                named.find(|directory| directory.id == current.id);
                named.next().map(Entry::Directory)
            }
        };
        match found.ok_or(StatusWord::NOT_FOUND)? {
            Entry::Directory(directory) => {
                let name = match select.target {
                    Target::FirstName(name) | Target::NextName(name) => name,
                    _ => &[],
                };
                self.enter(directory, name, select.wanted)
            }
            Entry::File(_) if current.block == BlockState::Permanent => Err(StatusWord::PERMANENTLY_LOCKED),
            Entry::File(file) => {
                select.wanted.exact(0)?;
                self.session.file = Some(file);
                done()
            }
        }
    }

    fn named<'s>(&'s self, master: &'s Directory, name: &'s [u8]) -> impl Iterator<Item = Directory> + 's {
        core::iter::once(*master)
            .chain(applications(&self.store, master))
            .filter(move |directory| full_name(directory, name).starts_with(name))
    }

    #[inline(never)]
    fn enter(&mut self, directory: Directory, asked: &[u8], wanted: Wanted) -> Outcome {
        let sw = match directory.block {
            BlockState::Free => StatusWord::OK,
            BlockState::Temporary => StatusWord::SELECTED_LOCKED,
            BlockState::Permanent => return Err(StatusWord::PERMANENTLY_LOCKED),
        };
        self.answer_fci(&directory, full_name(&directory, asked)).ok_or(StatusWord::NO_DIAGNOSIS)?;
        wanted.exact(self.session.answer.len())?;
        self.session.enter(directory);
        Ok(sw)
    }

    /// FCI (6.1): `6F { 84 name, A5 { 88 dir } }` of the MF, `6F { 84 name, A5 { 9F08 version, 9F0C info } }` of a
    /// DF. It grows from the inside, in the one place answers have.
    fn answer_fci(&mut self, directory: &Directory, name: &[u8]) -> Option<()> {
        let info = self.shown_info(directory);
        let out = &mut self.session.answer;
        push_object(out, 0x84, name)?;
        let proprietary = out.len();
        if directory.is_master() {
            push_object(out, 0x88, &[DIR_SFI])?;
        } else {
            push_object(out, 0x9F08, &[APPLICATION_VERSION])?;
        }
        if let Some(file) = info {
            let from = out.len();
            out.resize(from.checked_add(file.len)?)?;
            self.store.read_into(file.body, out.as_mut_bytes().get_mut(from..)?);
            enclose(out, from, 0x9F0C)?;
        }
        enclose(out, proprietary, 0xA5)?;
        enclose(out, 0, 0x6F)
    }

    /// The EF that CREATE FILE named for the FCI, when everybody who just selected may read it.
    fn shown_info(&self, directory: &Directory) -> Option<File> {
        let states = SecurityStates { mf: self.session.states().mf, df: 0 };
        let file = directory.info.and_then(|sfi| file_by_sfi(&self.store, directory, sfi))?;
        let is_shown = !directory.is_master()
            && file.is_binary()
            && (1..=INFO_LEN_MAX).contains(&file.len)
            && file.is_readable_plainly()
            && file.read.allows(states);
        is_shown.then_some(file)
    }
}

/// Adds an object.
fn push_object(out: &mut Bytes<RESPONSE_DATA_LEN_MAX>, tag: u16, value: &[u8]) -> Option<()> {
    let from = out.len();
    out.push(value)?;
    enclose(out, from, tag)
}

/// Makes what stands from `from` on the value of one object.
fn enclose(out: &mut Bytes<RESPONSE_DATA_LEN_MAX>, from: usize, tag: u16) -> Option<()> {
    let mut head = [0; tlv::HEAD_LEN_MAX];
    let head_len = tlv::write_head(tag, out.len().checked_sub(from)?, &mut head)?;
    out.push(head.get(..head_len)?)?;
    out.as_mut_bytes().get_mut(from..)?.rotate_right(head_len);
    Some(())
}

/// The name of a directory for who asks for one that begins with `asked`: the MF has two.
fn full_name<'d>(directory: &'d Directory, asked: &[u8]) -> &'d [u8] {
    match directory.is_master() {
        true if !asked.is_empty() && PPSE_NAME.starts_with(asked) => PPSE_NAME,
        true => PSE_NAME,
        false => directory.name(),
    }
}
