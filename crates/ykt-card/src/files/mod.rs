//! Files (`epurse.md` 2, 3.1): the tree of MF, DFs and EFs, and the commands that make, choose, read and write
//! them.

mod binary;
mod create;
mod record;
mod select;
mod tree;

pub(crate) use record::{append, identified_record, record};
pub use tree::{BlockState, DF_HEADER_LEN, FILE_HEADER_LEN};
pub(crate) use tree::{
    Directory, Entry, File, FileId, FileKind, Sfi, applications, binary_file, entries, file, file_by_sfi,
    master,
};

use crate::answer::{GET_RESPONSE, Outcome};
use crate::card::Card;
use crate::command::{CardCommand, Form, Parse};
use crate::image::CardKind;
use crate::memory::Memory;
use crate::session::Carried;
use binary::{ReadBinary, UpdateBinary};
use create::NewEntry;
use record::{AppendRecord, ReadRecord, UpdateRecord};
use select::Select;
use ykt_base::{Command, StatusWord};

/// Commands on files.
pub(crate) enum FileCommand<'a> {
    Select(Select<'a>),
    ReadBinary(ReadBinary<'a>),
    UpdateBinary(UpdateBinary<'a>),
    ReadRecord(ReadRecord<'a>),
    UpdateRecord(UpdateRecord<'a>),
    AppendRecord(AppendRecord<'a>),
    CreateFile(NewEntry<'a>),
    EraseDirectory,
    /// A GET RESPONSE that no answer waits for: one that does is fetched before commands are told apart.
    GetResponse,
}

const fn form(name: &'static str, cla: u8, ins: u8, parse: Parse) -> Form {
    Form { name, cla, ins, p1: None, kinds: &CardKind::ALL, parse }
}

/// Their rows of the command table.
pub(crate) const FORMS: &[Form] = &[
    form("SELECT", 0x00, 0xA4, |c| Ok(FileCommand::Select(Select::parse(c)?).into())),
    form("READ BINARY", 0x00, 0xB0, |c| Ok(FileCommand::ReadBinary(ReadBinary::parse(c)?).into())),
    form("READ BINARY", 0x04, 0xB0, |c| Ok(FileCommand::ReadBinary(ReadBinary::parse(c)?).into())),
    form("UPDATE BINARY", 0x00, 0xD6, |c| Ok(FileCommand::UpdateBinary(UpdateBinary::parse(c)?).into())),
    form("UPDATE BINARY", 0x04, 0xD6, |c| Ok(FileCommand::UpdateBinary(UpdateBinary::parse(c)?).into())),
    form("UPDATE BINARY", 0x84, 0xD6, |c| Ok(FileCommand::UpdateBinary(UpdateBinary::parse(c)?).into())),
    form("READ RECORD", 0x00, 0xB2, |c| Ok(FileCommand::ReadRecord(ReadRecord::parse(c)?).into())),
    form("READ RECORD", 0x04, 0xB2, |c| Ok(FileCommand::ReadRecord(ReadRecord::parse(c)?).into())),
    form("UPDATE RECORD", 0x00, 0xDC, |c| Ok(FileCommand::UpdateRecord(UpdateRecord::parse(c)?).into())),
    form("UPDATE RECORD", 0x04, 0xDC, |c| Ok(FileCommand::UpdateRecord(UpdateRecord::parse(c)?).into())),
    form("UPDATE RECORD", 0x84, 0xDC, |c| Ok(FileCommand::UpdateRecord(UpdateRecord::parse(c)?).into())),
    form("APPEND RECORD", 0x00, 0xE2, |c| Ok(FileCommand::AppendRecord(AppendRecord::parse(c)?).into())),
    form("APPEND RECORD", 0x04, 0xE2, |c| Ok(FileCommand::AppendRecord(AppendRecord::parse(c)?).into())),
    form("APPEND RECORD", 0x84, 0xE2, |c| Ok(FileCommand::AppendRecord(AppendRecord::parse(c)?).into())),
    form("GET RESPONSE", GET_RESPONSE.0, GET_RESPONSE.1, |c| {
        nothing_but_its_header(c)?;
        Ok(FileCommand::GetResponse.into())
    }),
    form("CREATE FILE", 0x80, 0xE0, |c| Ok(FileCommand::CreateFile(NewEntry::parse(c)?).into())),
    form("ERASE DF", 0x80, 0x0E, |c| {
        nothing_but_its_header(c)?;
        Ok(FileCommand::EraseDirectory.into())
    }),
];

/// # Errors
/// 6A86 for another P1 P2 than 00 00, 6700 with data.
pub(crate) const fn nothing_but_its_header(command: &Command<'_>) -> Result<(), StatusWord> {
    match (command.p1, command.p2, command.data) {
        (0x00, 0x00, []) => Ok(()),
        (0x00, 0x00, _) => Err(StatusWord::WRONG_LENGTH),
        _ => Err(StatusWord::WRONG_P1P2),
    }
}

impl<'a> From<FileCommand<'a>> for CardCommand<'a> {
    fn from(command: FileCommand<'a>) -> CardCommand<'a> {
        CardCommand::Files(command)
    }
}

impl FileCommand<'_> {
    /// Length of the answer when the command alone decides it.
    pub(crate) const fn answer_len(&self) -> Option<usize> {
        match self {
            FileCommand::Select(_)
            | FileCommand::ReadBinary(_)
            | FileCommand::ReadRecord(_)
            | FileCommand::GetResponse => None,
            FileCommand::UpdateBinary(_)
            | FileCommand::UpdateRecord(_)
            | FileCommand::AppendRecord(_)
            | FileCommand::CreateFile(_)
            | FileCommand::EraseDirectory => Some(0),
        }
    }
}

impl<M: Memory> Card<M> {
    #[inline(never)]
    pub(crate) fn execute_files(&mut self, command: FileCommand<'_>, carried: &mut Carried) -> Outcome {
        let challenge = carried.challenge;
        match command {
            FileCommand::Select(select) => self.select(select),
            FileCommand::ReadBinary(read) => self.read_binary(read, challenge),
            FileCommand::UpdateBinary(update) => self.update_binary(update, challenge),
            FileCommand::ReadRecord(read) => self.read_record(read, challenge),
            FileCommand::UpdateRecord(update) => self.update_record(update, challenge),
            FileCommand::AppendRecord(add) => self.append_record(add, challenge),
            FileCommand::CreateFile(new) => self.create_file(new),
            FileCommand::EraseDirectory => self.erase_directory(),
            FileCommand::GetResponse => Err(StatusWord::CONDITIONS),
        }
    }
}
