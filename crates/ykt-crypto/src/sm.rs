//! Secure messaging (安全报文, `epurse.md` 2.1): challenge to IV, enciphered data, and commands that carry them.
//!
//! The sender (terminal, host) builds with [`plain_with_mac`] and [`enciphered_with_mac`]; the receiver (card)
//! checks with [`CardKey::smac`] and opens with [`CardKey::decipher`]. Blocks are those of the key: eight bytes, or
//! 16 of SM4.

use crate::card_key::CardKey;
use ykt_base::apdu::COMMAND_LEN_MAX;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Longest data field: Lc is one byte.
const DATA_LEN_MAX: usize = 255;
/// Length of the MAC at the end of a data field.
const MAC_LEN: usize = 4;
/// Longest cryptogram in a command: whole blocks of eight beside the MAC in 255 bytes; 240 in blocks of 16.
pub const CRYPTOGRAM_LEN_MAX: usize = 248;
/// Longest plain text of a cryptogram: its length byte and at least one byte of padding beside it; eight less in
/// blocks of 16.
pub const PLAIN_LEN_MAX: usize = 246;

/// Whether 80 00.. is also appended when LD || data already fills whole blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// Always append (FMCOS habit; the platform's default, `epurse.md` 0).
    #[default]
    Always,
    /// Append only when blocks are not full (the PBOC text).
    IfNeeded,
}

/// Bytes of bounded length without a heap; wiped when dropped, since they may hold a key or a PIN.
#[derive(Clone)]
pub struct Bytes<const MAX: usize> {
    /// Zeros behind `len`.
    bytes: [u8; MAX],
    len: usize,
}

/// Cryptogram or its plain text.
pub type Text = Bytes<CRYPTOGRAM_LEN_MAX>;
/// A whole command.
pub type CommandBytes = Bytes<COMMAND_LEN_MAX>;

impl<const MAX: usize> Bytes<MAX> {
    /// No bytes.
    #[must_use]
    pub const fn new() -> Bytes<MAX> {
        Bytes { bytes: [0; MAX], len: 0 }
    }

    /// The concatenated `parts`, or `None` when they are longer than `MAX`.
    #[must_use]
    pub fn from_parts(parts: &[&[u8]]) -> Option<Bytes<MAX>> {
        let mut out = Bytes::new();
        parts.iter().try_for_each(|part| out.push(part))?;
        Some(out)
    }

    /// `len` zero bytes, to be filled; `None` above `MAX`.
    #[must_use]
    pub fn zeros(len: usize) -> Option<Bytes<MAX>> {
        (len <= MAX).then_some(Bytes { bytes: [0; MAX], len })
    }

    /// Appends; `None`, and nothing appended, when it does not fit.
    #[must_use]
    pub fn push(&mut self, part: &[u8]) -> Option<()> {
        let end = self.len.checked_add(part.len())?;
        self.bytes.get_mut(self.len..end)?.copy_from_slice(part);
        self.len = end;
        Some(())
    }

    /// Cuts off, or fills up with zeros, to `len` bytes; `None`, and nothing changed, above `MAX`.
    #[must_use]
    pub fn resize(&mut self, len: usize) -> Option<()> {
        self.truncate(len);
        self.len = Some(len).filter(|len| *len <= MAX)?;
        Some(())
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Keeps the first `len` bytes and wipes the rest.
    pub fn truncate(&mut self, len: usize) {
        self.as_mut_bytes().get_mut(len..).unwrap_or_default().zeroize();
        self.len = self.len.min(len);
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The bytes, to be changed in place.
    pub fn as_mut_bytes(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<const MAX: usize> Drop for Bytes<MAX> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<const MAX: usize> ZeroizeOnDrop for Bytes<MAX> {}

impl<const MAX: usize> Default for Bytes<MAX> {
    fn default() -> Self {
        Bytes::new()
    }
}

impl<const MAX: usize> core::ops::Deref for Bytes<MAX> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// IV of a challenge of 4 bytes: challenge || 00000000.
#[must_use]
pub const fn iv_from_challenge4(challenge: [u8; 4]) -> [u8; 8] {
    let [a, b, c, d] = challenge;
    [a, b, c, d, 0, 0, 0, 0]
}

/// IV of a challenge of 8 bytes: the challenge itself.
#[must_use]
pub const fn iv_from_challenge8(challenge: [u8; 8]) -> [u8; 8] {
    challenge
}

/// IV of a challenge of 4 or 8 bytes, or `None` for another length.
#[must_use]
pub fn iv_from_challenge(challenge: &[u8]) -> Option<[u8; 8]> {
    if let Ok(challenge) = <[u8; 4]>::try_from(challenge) {
        return Some(iv_from_challenge4(challenge));
    }
    challenge.try_into().ok().map(iv_from_challenge8)
}

/// Appends 80, then 00.. to whole blocks; with [`Padding::IfNeeded`] full blocks stay as they are. `None` when it
/// gets too long.
fn pad<const MAX: usize>(text: &mut Bytes<MAX>, padding: Padding, block: usize) -> Option<()> {
    if padding == Padding::IfNeeded && text.len().is_multiple_of(block) {
        return Some(());
    }
    text.push(&[0x80])?;
    while !text.len().is_multiple_of(block) {
        text.push(&[0])?;
    }
    Some(())
}

/// Whether `rest`, what stands behind LD and data, is the padding that [`pad`] appends there.
fn is_padding(rest: &[u8], padding: Padding, block: usize) -> bool {
    match rest.split_first() {
        None => padding == Padding::IfNeeded,
        Some((first, zeros)) => *first == 0x80 && zeros.len() < block && zeros.iter().all(|byte| *byte == 0),
    }
}

impl CardKey {
    /// What is enciphered: LD || data, padded; LD is the length of the data. `None` when the data are longer than
    /// [`PLAIN_LEN_MAX`], or their blocks than [`CRYPTOGRAM_LEN_MAX`].
    #[must_use]
    pub fn plain_text(&self, padding: Padding, data: &[&[u8]]) -> Option<Text> {
        let len = data.iter().try_fold(0usize, |len, part| len.checked_add(part.len()))?;
        let ld = u8::try_from(len).ok().filter(|_| len <= PLAIN_LEN_MAX)?;
        let mut text = Text::from_parts(&[&[ld]])?;
        data.iter().try_for_each(|part| text.push(part))?;
        pad(&mut text, padding, self.block_len())?;
        Some(text)
    }

    /// Enciphers LD || data || padding block by block (ECB). `None` when it is too long for a command.
    #[must_use]
    pub fn encipher(&self, padding: Padding, data: &[&[u8]]) -> Option<Text> {
        let mut text = Text::new();
        data.iter().try_for_each(|part| text.push(part))?;
        self.encipher_in_place(padding, &mut text)?;
        Some(text)
    }

    /// As [`CardKey::encipher`], in the place of the data. `None` when it is too long for an answer or a command;
    /// then the data are spoiled.
    #[must_use]
    pub fn encipher_in_place<const MAX: usize>(&self, padding: Padding, data: &mut Bytes<MAX>) -> Option<()> {
        let ld = u8::try_from(data.len()).ok().filter(|_| data.len() <= PLAIN_LEN_MAX)?;
        data.push(&[0])?;
        let text = data.as_mut_bytes();
        text.rotate_right(1);
        *text.first_mut()? = ld;
        pad(data, padding, self.block_len())?;
        self.encrypt_blocks(data.as_mut_bytes());
        (data.len() <= CRYPTOGRAM_LEN_MAX).then_some(())
    }

    /// Opens a cryptogram and returns its data, or `None` when its length is not one of whole blocks, LD is wrong,
    /// or the padding is not the one asked for.
    #[must_use]
    pub fn decipher(&self, padding: Padding, cryptogram: &[u8]) -> Option<Text> {
        let mut text = Text::new();
        self.decipher_into(padding, cryptogram, &mut text)?;
        Some(text)
    }

    /// As [`CardKey::decipher`], into `text`, whose content is replaced.
    #[must_use]
    pub fn decipher_into(&self, padding: Padding, cryptogram: &[u8], text: &mut Text) -> Option<()> {
        text.clear();
        let block = self.block_len();
        if cryptogram.is_empty() || !cryptogram.len().is_multiple_of(block) {
            return None;
        }
        text.push(cryptogram)?;
        self.decrypt_blocks(text.as_mut_bytes());
        let (ld, rest) = text.as_bytes().split_first()?;
        let len = usize::from(*ld);
        let (data, rest) = rest.split_at_checked(len)?;
        let is_whole = data.len().checked_add(1)?.is_multiple_of(block);
        if !is_padding(rest, padding, block) || (padding == Padding::IfNeeded && is_whole && !rest.is_empty())
        {
            return None;
        }
        text.as_mut_bytes().rotate_left(1);
        text.truncate(len);
        Some(())
    }
}

/// A command with data in clear and a MAC (class x4): header, Lc, data, MAC. `header` is CLA INS P1 P2; the MAC
/// covers header, Lc (which counts the MAC) and data. `None` when data and MAC exceed 255 bytes.
#[must_use]
pub fn plain_with_mac(key: &CardKey, iv: [u8; 8], header: [u8; 4], data: &[u8]) -> Option<CommandBytes> {
    let len = data.len().checked_add(MAC_LEN).filter(|len| *len <= DATA_LEN_MAX)?;
    let mut command = CommandBytes::from_parts(&[&header, &[u8::try_from(len).ok()?], data])?;
    let mac = key.smac(iv, &[&command]);
    command.push(&mac.0)?;
    Some(command)
}

/// A command with enciphered data and a MAC (class 84): header, Lc, cryptogram, MAC. `None` when the data are
/// too long.
#[must_use]
pub fn enciphered_with_mac(
    key: &CardKey,
    padding: Padding,
    iv: [u8; 8],
    header: [u8; 4],
    data: &[&[u8]],
) -> Option<CommandBytes> {
    let mut command = CommandBytes::new();
    data.iter().try_for_each(|part| command.push(part))?;
    key.encipher_in_place(padding, &mut command)?;
    let len = command.len().checked_add(MAC_LEN)?;
    let [cla, ins, p1, p2] = header;
    let head = [cla, ins, p1, p2, u8::try_from(len).ok()?];
    command.push(&head)?;
    command.as_mut_bytes().rotate_right(head.len());
    let mac = key.smac(iv, &[&command]);
    command.push(&mac.0)?;
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Key8, Key16};
    use hex_literal::hex;

    const KEY: [u8; 16] = hex!("90E74C623C02DE7D760FF6F83FFEFC8C");
    const IV: [u8; 8] = hex!("A1B2C3D400000000");

    #[test]
    fn vectors_update_binary_with_mac() {
        let key = CardKey::Tdes(Key16::from_bytes(KEY));
        let data = hex!("0102030405060708090A");
        let header = hex!("04D69500");
        let command = plain_with_mac(&key, IV, header, &data).unwrap();
        assert_eq!(command.as_bytes(), hex!("04D695000E0102030405060708090AF4704FF4"));
        let iv = iv_from_challenge(&hex!("A1B2C3D4E5F60718")).unwrap();
        let command = plain_with_mac(&key, iv, header, &data).unwrap();
        assert_eq!(command.as_bytes(), hex!("04D695000E0102030405060708090A6EFA9EE7"));
        let single = CardKey::Des(Key8::from_bytes(hex!("90E74C623C02DE7D")));
        let command = plain_with_mac(&single, IV, header, &data[..5]).unwrap();
        assert_eq!(command.as_bytes(), hex!("04D695000901020304050951E6B0"));
    }

    #[test]
    fn vectors_update_binary_enciphered() {
        let key = CardKey::Tdes(Key16::from_bytes(KEY));
        let data = hex!("11223344556677");
        for (padding, want) in [
            (Padding::Always, &hex!("84D6961014794CC9158F5E2798B85542DA56C59E1C473C8A31")[..]),
            (Padding::IfNeeded, &hex!("84D696100C794CC9158F5E27980BC113CC")[..]),
        ] {
            let command = enciphered_with_mac(&key, padding, IV, hex!("84D69610"), &[&data]).unwrap();
            assert_eq!(command.as_bytes(), want);
            let cryptogram = &want[5..want.len() - 4];
            assert_eq!(key.decipher(padding, cryptogram).unwrap().as_bytes(), data);
        }
    }

    #[test]
    fn vector_application_block_has_only_a_mac() {
        let command =
            plain_with_mac(&CardKey::Tdes(Key16::from_bytes(KEY)), IV, hex!("841E0000"), &[]).unwrap();
        assert_eq!(command.as_bytes(), hex!("841E00000473C9504F"));
    }

    #[test]
    fn every_length_comes_back() {
        let data = [0x80; PLAIN_LEN_MAX + 1];
        for (key, len_max) in [
            (CardKey::Tdes(Key16::from_bytes(KEY)), PLAIN_LEN_MAX),
            (CardKey::Sm4(Key16::from_bytes(KEY)), PLAIN_LEN_MAX - 8),
        ] {
            for len in 0..=len_max {
                for padding in [Padding::Always, Padding::IfNeeded] {
                    let sealed = key.encipher(padding, &[&data[..len]]).unwrap();
                    assert_eq!(key.decipher(padding, &sealed).unwrap().as_bytes(), &data[..len]);
                }
            }
            assert!(key.encipher(Padding::Always, &[&data[..=len_max]]).is_none());
        }
        let key = CardKey::Tdes(Key16::from_bytes(KEY));
        assert!(plain_with_mac(&key, IV, [4, 0xD6, 0, 0], &[0; 252]).is_none());
    }

    #[test]
    fn broken_cryptograms_are_refused() {
        let key = CardKey::Tdes(Key16::from_bytes(KEY));
        let sealed = key.encipher(Padding::Always, &[&[1, 2, 3]]).unwrap();
        assert!(key.decipher(Padding::Always, &[]).is_none());
        assert!(key.decipher(Padding::Always, &sealed[..7]).is_none());
        for bit in 0..64 {
            let mut changed = [0; 8];
            changed.copy_from_slice(&sealed);
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(key.decipher(Padding::Always, &changed).is_none(), "bit {bit}");
        }
        let full = key.encipher(Padding::IfNeeded, &[&[7; 7]]).unwrap();
        assert!(key.decipher(Padding::Always, &full).is_none());
        assert_eq!(iv_from_challenge(&[0; 5]), None);
    }
}
