//! What a PSAM computes with a key it delivered itself (`epurse.md` 7.4).

use super::Worked;
use ykt_base::apdu::COMMAND_LEN_MAX;
use ykt_crypto::CardKey;
use ykt_purse::psam::SamKeyType;
use ykt_purse::psam_cipher::{CipherData, CipherMode, DeliverKey, mac_blocks};

/// What CIPHER DATA is asked for.
pub(crate) enum SamTask<'a> {
    /// Whole blocks, to be enciphered.
    Encipher(&'a [u8]),
    /// A MAC over data; the IV is a challenge of up to 8 bytes, none for zeros.
    Mac {
        /// The challenge.
        challenge: &'a [u8],
        /// The data, not padded.
        data: &'a [u8],
    },
}

/// DELIVERY KEY of `root`, then CIPHER DATA in one command; `None` when the data do not fit one.
pub(crate) fn delivered(root: &CardKey, deliver: &DeliverKey, task: &SamTask<'_>) -> Option<Worked> {
    let mut worked = Worked::default();
    worked.push("delivery_apdu", &deliver.to_apdu(), "80 1A usage version: factors, card first");
    let derived = deliver.factors.map_or_else(|| root.clone(), |factors| factors.derive(root));
    worked.push("derived", derived.expose(), "diversified by the factors, the last one first");
    let key = match deliver.usage.kind() {
        SamKeyType::PinReload => {
            let key = derived.tac_key();
            worked.push("xored_key", key.expose(), "type 4: left half XOR right half");
            key.into()
        }
        _ => derived,
    };
    let mut out = [0; COMMAND_LEN_MAX];
    match *task {
        SamTask::Encipher(data) => {
            let command = CipherData { mode: CipherMode::Encipher, data }.to_command();
            CipherData::parse(&command).ok().filter(|_| data.len().is_multiple_of(key.block_len()))?;
            worked.push("cipher_apdu", command.encode(&mut out), "80 FA 00 00: blocks");
            let mut enciphered = data.to_vec();
            key.encrypt_blocks(&mut enciphered);
            worked.push("response", &enciphered, "each block enciphered (ECB)");
        }
        SamTask::Mac { challenge, data } => {
            let blocks = mac_blocks(&key, challenge, &[data])?;
            let command = CipherData { mode: CipherMode::Mac, data: &blocks }.to_command();
            worked.push(
                "cipher_apdu",
                command.encode(&mut out),
                "80 FA 05 00: IV, data, 80, 00 to whole blocks",
            );
            let (iv, rest) = blocks.split_at_checked(key.block_len())?;
            let mut mac = key.begin_mac(iv)?;
            key.continue_mac(&mut mac, rest);
            worked.push("response", &key.end_mac(&mac).0, "MAC of the blocks after the IV, leftmost 4 bytes");
        }
    }
    Some(worked)
}
