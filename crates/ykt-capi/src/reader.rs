//! The issuing interface in Rust: an open reader, and one method for each named function.

use std::path::{Path, PathBuf};
use ykt_base::{CardChannel, ChannelError, Command, Response, StatusWord};
use ykt_card::{Card, PowerOnError};
use ykt_purse::{command, hard_info};
use ykt_terminal::transport::image::{FileMemory, ImageError};
use ykt_terminal::transport::in_process::{InProcess, SystemRng};

/// Instruction bytes of the issuing commands (`epurse.md` 2, 3).
const SELECT: u8 = 0xA4;
const READ_BINARY: u8 = 0xB0;
const READ_RECORD: u8 = 0xB2;
const GET_RESPONSE: u8 = 0xC0;
const WRITE_KEY: u8 = 0xD4;
const UPDATE_BINARY: u8 = 0xD6;
const UPDATE_RECORD: u8 = 0xDC;
const CREATE_FILE: u8 = 0xE0;
/// Le that leaves the length to the card.
const LE_ANY: Option<u16> = Some(256);

/// The class of a command that may come protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class(pub u8);

/// What a card answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Data of the answer.
    pub data: Vec<u8>,
    /// Status word.
    pub sw: StatusWord,
}

/// Why a reader cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The text names no way to a card.
    #[error(
        "`{found}` names no card: expected image:FILE, or pcsc:READER (its number or a part of its name)"
    )]
    Place {
        /// The text.
        found: String,
    },
    /// The image file cannot be opened.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image is no card.
    #[error("{path}: {source}")]
    Card {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PowerOnError,
    },
    /// There is no such reader, or it does not work.
    #[cfg(feature = "pcsc")]
    #[error(transparent)]
    Reader(#[from] ykt_terminal::transport::pcsc::ReaderError),
    /// This library was built without PC/SC.
    #[error("`{found}`: this build has no PC/SC; build with the feature `pcsc`")]
    NoPcsc {
        /// The text.
        found: String,
    },
}

/// An open reader with a card in it.
pub struct Reader {
    channel: Box<dyn CardChannel + Send>,
}

impl Reader {
    /// A reader over any way to a card.
    #[must_use]
    pub fn over(channel: Box<dyn CardChannel + Send>) -> Reader {
        Reader { channel }
    }

    /// opencomm: opens `image:FILE`, a card image of this house, or `pcsc:READER`, the number or a part of the name
    /// of a reader of this machine.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(place: &str) -> Result<Reader, OpenError> {
        if let Some(path) = place.strip_prefix("image:").map(Path::new) {
            let fault = |source| OpenError::Card { path: path.to_owned(), source };
            let card = Card::power_on(FileMemory::open(path)?).map_err(fault)?;
            return Ok(Reader::over(Box::new(InProcess::new(card, SystemRng))));
        }
        match place.strip_prefix("pcsc:") {
            #[cfg(feature = "pcsc")]
            Some(reader) => {
                let channel = ykt_terminal::transport::pcsc::ReaderChannel::open(reader)?;
                Ok(Reader::over(Box::new(channel)))
            }
            #[cfg(not(feature = "pcsc"))]
            Some(_) => Err(OpenError::NoPcsc { found: place.to_owned() }),
            None => Err(OpenError::Place { found: place.to_owned() }),
        }
    }

    /// WriteHardInfo: `84 F4 00 00` with the cryptogram and MAC of a preset.
    ///
    /// # Errors
    /// [`ChannelError`], as every function of a reader.
    pub fn write_hard_info(&mut self, data: &[u8]) -> Result<Answer, ChannelError> {
        let [cla, ins] = hard_info::WRITE;
        self.send(&Command::write(cla, ins, 0, 0, data, None))
    }

    /// GetHardInfo: `80 F6 00 00`; the answer is [`hard_info::HardInfo`].
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn hard_info(&mut self) -> Result<Answer, ChannelError> {
        let [cla, ins] = hard_info::READ;
        self.send(&Command::read(cla, ins, 0, 0, LE_ANY))
    }

    /// CreateFile: `80 E0 FID` with type, size and rights.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn create_file(&mut self, fid: u16, data: &[u8]) -> Result<Answer, ChannelError> {
        let [p1, p2] = fid.to_be_bytes();
        self.send(&Command::write(0x80, CREATE_FILE, p1, p2, data, None))
    }

    /// WriteKey: `84 D4 P1 P2` with cryptogram and MAC, or `80 D4` where the card lets a key in in clear.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn write_key(&mut self, class: Class, p1: u8, p2: u8, data: &[u8]) -> Result<Answer, ChannelError> {
        self.send(&Command::write(class.0, WRITE_KEY, p1, p2, data, None))
    }

    /// GetChallenge: `00 84 00 00`, 4 or 8 bytes.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn challenge(&mut self, len: command::ChallengeLen) -> Result<Answer, ChannelError> {
        self.send(&command::challenge(len))
    }

    /// GetResponse: `00 C0 00 00`, what a status word 61xx said is waiting.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn response(&mut self, len: u8) -> Result<Answer, ChannelError> {
        let le = if len == 0 { LE_ANY } else { Some(len.into()) };
        self.send(&Command::read(0x00, GET_RESPONSE, 0, 0, le))
    }

    /// External_Authentication: `00 82 00 KEY` with the enciphered challenge.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn external_authentication(&mut self, key: u8, cryptogram: &[u8; 8]) -> Result<Answer, ChannelError> {
        self.send(&command::external_authenticate(key, cryptogram))
    }

    /// SelectFile: `00 A4 P1 P2` with a name or an FID.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn select_file(&mut self, p1: u8, p2: u8, file: &[u8]) -> Result<Answer, ChannelError> {
        self.send(&Command::write(0x00, SELECT, p1, p2, file, LE_ANY))
    }

    /// ReadRecord: `00 B2 RECORD P2`, or `04 B2` with a MAC.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn read_record(
        &mut self,
        class: Class,
        record: u8,
        p2: u8,
        mac: &[u8],
    ) -> Result<Answer, ChannelError> {
        self.send(&Command::write(class.0, READ_RECORD, record, p2, mac, LE_ANY))
    }

    /// ReadBinary: `00 B0 P1 P2`, `len` bytes or, with 0, to the end of the file; `04 B0` with a MAC.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn read_binary(
        &mut self,
        class: Class,
        (p1, p2): (u8, u8),
        len: u8,
        mac: &[u8],
    ) -> Result<Answer, ChannelError> {
        let le = if len == 0 { LE_ANY } else { Some(len.into()) };
        self.send(&Command::write(class.0, READ_BINARY, p1, p2, mac, le))
    }

    /// UpdateBinary: `00 D6 P1 P2` in clear, `04 D6` with a MAC, `84 D6` enciphered with a MAC.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn update_binary(
        &mut self,
        class: Class,
        p1: u8,
        p2: u8,
        data: &[u8],
    ) -> Result<Answer, ChannelError> {
        self.send(&Command::write(class.0, UPDATE_BINARY, p1, p2, data, None))
    }

    /// UpdateRecord: `00 DC RECORD P2` in clear, `04 DC` with a MAC, `84 DC` enciphered with a MAC.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn update_record(
        &mut self,
        class: Class,
        record: u8,
        p2: u8,
        data: &[u8],
    ) -> Result<Answer, ChannelError> {
        self.send(&Command::write(class.0, UPDATE_RECORD, record, p2, data, None))
    }

    fn send(&mut self, command: &Command<'_>) -> Result<Answer, ChannelError> {
        self.channel
            .send(command)
            .map(|response: Response| Answer { data: response.data().to_vec(), sw: response.sw() })
    }
}
