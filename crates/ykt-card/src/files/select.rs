//! SELECT (选择, `epurse.md` 2, 6.1): which directory or EF the commands that follow mean.

use super::tree::{
    BlockState, Directory, Entry, FileId, FileKind, applications, entries, file_by_sfi, master,
};
use crate::answer::{Outcome, done};
use crate::card::Card;
use crate::command::Wanted;
use crate::memory::Memory;
use ykt_base::apdu::RESPONSE_DATA_LEN_MAX;
use ykt_base::{Command, Response, StatusWord, tlv};
use ykt_purse::create::{SecurityStates, Structure};

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
        let mut fci = [0; RESPONSE_DATA_LEN_MAX];
        let name = full_name(&directory, asked);
        let len = self.fci(&directory, name, &mut fci).ok_or(StatusWord::NO_DIAGNOSIS)?;
        wanted.exact(len)?;
        self.session.enter(directory);
        Response::new(fci.get(..len).unwrap_or_default(), sw).ok_or(StatusWord::NO_DIAGNOSIS)
    }

    /// FCI (6.1): `6F { 84 name, A5 { 88 dir } }` of the MF, `6F { 84 name, A5 { 9F08 version, 9F0C info } }` of a
    /// DF; its length.
    fn fci(
        &self,
        directory: &Directory,
        name: &[u8],
        out: &mut [u8; RESPONSE_DATA_LEN_MAX],
    ) -> Option<usize> {
        let mut proprietary = [0; RESPONSE_DATA_LEN_MAX];
        let proprietary_len = if directory.is_master() {
            tlv::write(0x88, &[DIR_SFI], &mut proprietary)?
        } else {
            let len = tlv::write(0x9F08, &[APPLICATION_VERSION], &mut proprietary)?;
            let mut info = [0; INFO_LEN_MAX];
            let info = self.shown_info(directory, &mut info);
            match info {
                [] => len,
                info => tlv::write(0x9F0C, info, proprietary.get_mut(len..)?)?.checked_add(len)?,
            }
        };
        let mut template = [0; RESPONSE_DATA_LEN_MAX];
        let name_len = tlv::write(0x84, name, &mut template)?;
        let rest = tlv::write(0xA5, proprietary.get(..proprietary_len)?, template.get_mut(name_len..)?)?;
        tlv::write(0x6F, template.get(..name_len.checked_add(rest)?)?, out)
    }

    /// The EF that CREATE FILE named for the FCI, when everybody who just selected may read it.
    fn shown_info<'o>(&self, directory: &Directory, out: &'o mut [u8; INFO_LEN_MAX]) -> &'o [u8] {
        let states = SecurityStates { mf: self.session.states().mf, df: 0 };
        let file = directory.info.and_then(|sfi| file_by_sfi(&self.store, directory, sfi));
        let shown = file.filter(|file| {
            matches!(file.kind, FileKind::Data(Structure::Binary { .. }))
                && file.is_readable_plainly()
                && file.read.allows(states)
        });
        match shown.and_then(|file| Some((file.body, out.get_mut(..file.len)?))) {
            Some((body, place)) => {
                self.store.read_into(body, place);
                place
            }
            None => &[],
        }
    }
}

/// The name of a directory for who asks for one that begins with `asked`: the MF has two.
fn full_name<'d>(directory: &'d Directory, asked: &[u8]) -> &'d [u8] {
    match directory.is_master() {
        true if !asked.is_empty() && PPSE_NAME.starts_with(asked) => PPSE_NAME,
        true => PSE_NAME,
        false => directory.name(),
    }
}
