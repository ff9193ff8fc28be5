//! What every chip of the house says of itself, whatever it is to become: before a PSAM is made of it, and before
//! anything is done to a key card.

use ykt_base::{CardChannel, ChannelError, StatusWord};
use ykt_purse::hard_info::HardInfo;

/// Name of the command, for messages.
pub(crate) const HARD_INFO: &str = "GET HARD INFO";
/// It as it is sent, with its Le: the 22 bytes of the answer.
const COMMAND: [u8; 5] = [0x80, 0xF6, 0x00, 0x00, 0x16];

/// A chip did not say what it is.
pub(crate) enum NoHardInfo {
    /// It gave no answer.
    Silent(ChannelError),
    /// It answered something else.
    Answer {
        /// Bytes that came.
        len: usize,
        /// The status word.
        sw: StatusWord,
    },
}

/// Switches the chip on anew and asks what it is.
pub(crate) fn hard_info(channel: &mut (impl CardChannel + ?Sized)) -> Result<HardInfo, NoHardInfo> {
    channel.reset().map_err(NoHardInfo::Silent)?;
    let answer = channel.transmit(&COMMAND).map_err(NoHardInfo::Silent)?;
    let info = HardInfo::from_bytes(answer.data()).filter(|_| answer.sw().is_ok());
    info.ok_or_else(|| NoHardInfo::Answer { len: answer.data().len(), sw: answer.sw() })
}
