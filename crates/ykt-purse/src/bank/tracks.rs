//! Magnetic tracks (磁道数据): as a bank card keeps them, and sealed for the bank.

use crate::wire::Reader;
use core::fmt;
use ykt_base::Mac4;
use ykt_crypto::CardKey;
use ykt_crypto::sm::{Bytes, Padding, Text};

/// Most digits of track 2.
pub const TRACK2_DIGITS_MAX: usize = 37;
/// Most digits of track 3.
pub const TRACK3_DIGITS_MAX: usize = 104;
/// Most bytes of a track file's content: two length bytes and both tracks, two digits a byte.
pub const TRACKS_LEN_MAX: usize = 73;

/// Answer to ReadMC as the terminal passes it on: the cryptogram and MAC2.
#[derive(Clone)]
pub struct SealedTracks {
    /// The tracks, enciphered for the bank.
    pub cryptogram: Text,
    /// The card's proof to the bank.
    pub mac2: Mac4,
}

impl SealedTracks {
    /// Splits the answer, or `None` when it has no room for a cryptogram.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<SealedTracks> {
        let (cryptogram, mac2) = bytes.split_last_chunk()?;
        let cryptogram = Text::from_parts(&[cryptogram]).filter(|text| !text.is_empty())?;
        Some(SealedTracks { cryptogram, mac2: Mac4(*mac2) })
    }
}

/// Magnetic tracks (磁道数据) as a bank card keeps them: length of track 2 in digits (1), its digits, the same of
/// track 3. Two digits stand in a byte, the separator `=` as D, an odd end filled with F. No `Debug`: this is what
/// nobody but the bank reads.
#[derive(Clone)]
pub struct Tracks(Bytes<TRACKS_LEN_MAX>);

impl Tracks {
    /// The tracks of digits and separators; track 3 may be empty. `None` for another character, no track 2, or
    /// too many digits.
    #[must_use]
    pub fn from_digits(track2: &str, track3: &str) -> Option<Tracks> {
        let mut out = Bytes::new();
        for (track, most) in [(track2, TRACK2_DIGITS_MAX), (track3, TRACK3_DIGITS_MAX)] {
            let len = u8::try_from(track.len()).ok().filter(|_| track.len() <= most)?;
            out.push(&[len])?;
            for pair in track.as_bytes().chunks(2) {
                let high = nibble(*pair.first()?)?;
                let low = pair.get(1).map_or(Some(0x0F), |digit| nibble(*digit))?;
                out.push(&[high << 4 | low])?;
            }
        }
        (!track2.is_empty()).then_some(Tracks(out))
    }

    /// The tracks at the beginning of a track file; what stands after them is left alone. `None` when there are
    /// none.
    #[must_use]
    pub fn of_file(file: &[u8]) -> Option<Tracks> {
        let mut fields = Reader(file);
        for most in [TRACK2_DIGITS_MAX, TRACK3_DIGITS_MAX] {
            let digits = usize::from(fields.byte()?);
            let (_, rest) = fields.0.split_at_checked(digits.div_ceil(2)).filter(|_| digits <= most)?;
            fields.0 = rest;
        }
        let len = file.len().checked_sub(fields.0.len())?;
        let is_there = file.first().is_some_and(|digits| *digits > 0);
        Bytes::from_parts(&[file.get(..len)?]).filter(|_| is_there).map(Tracks)
    }

    /// The bytes of the file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Enciphers them for the bank.
    #[must_use]
    pub fn seal(&self, key: &CardKey) -> Option<Text> {
        let mut sealed = Text::new();
        self.seal_into(key, &mut sealed)?;
        Some(sealed)
    }

    /// As [`Tracks::seal`], into `out`, whose content is replaced.
    #[must_use]
    pub fn seal_into<const MAX: usize>(&self, key: &CardKey, out: &mut Bytes<MAX>) -> Option<()> {
        out.clear();
        out.push(&self.0)?;
        key.encipher_in_place(Padding::Always, out)
    }

    /// What the bank does: opens the cryptogram. `None` when these are no tracks under this key.
    #[must_use]
    pub fn open(key: &CardKey, cryptogram: &[u8]) -> Option<Tracks> {
        let plain = key.decipher(Padding::Always, cryptogram)?;
        Tracks::of_file(&plain).filter(|tracks| tracks.0.len() == plain.len())
    }
}

fn nibble(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character & 0x0F),
        b'=' => Some(0x0D),
        _ => None,
    }
}

impl fmt::Debug for SealedTracks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedTracks({} bytes)", self.cryptogram.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACK2: &str = "6222020200012345678=2912220";
    const TRACK3: &str = "996222020200012345678==1561560000000000000003000000114000010000=";

    #[test]
    fn tracks_are_digits_of_bounded_length() {
        let whole = Tracks::from_digits(TRACK2, TRACK3).unwrap();
        let file = [whole.as_bytes(), &[0xFF; 9]].concat();
        assert_eq!(Tracks::of_file(&file).unwrap().as_bytes(), whole.as_bytes());
        for len in 0..whole.as_bytes().len() {
            assert!(Tracks::of_file(&file[..len]).is_none(), "{len} bytes");
        }
        let most = Tracks::from_digits(
            &TRACK2.repeat(2)[..TRACK2_DIGITS_MAX],
            &TRACK3.repeat(2)[..TRACK3_DIGITS_MAX],
        );
        assert_eq!(most.unwrap().as_bytes().len(), TRACKS_LEN_MAX);
        for (track2, track3) in
            [("", "1"), ("12a", ""), ("1", "x"), (&*TRACK2.repeat(2), ""), ("1", &*TRACK3.repeat(2))]
        {
            assert!(Tracks::from_digits(track2, track3).is_none());
        }
        assert!(Tracks::of_file(&[0; 80]).is_none());
    }
}
