//! BER-TLV with tags of one or two bytes and lengths up to 65,535: FCI templates of SELECT answers.

/// One object: its tag and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Tag, one or two bytes as a number (`0x84`, `0x9F0C`).
    pub tag: u16,
    /// Value.
    pub value: &'a [u8],
}

/// Reads the object at the start of `bytes`; the rest comes back beside it. `None` when it is cut short,
/// its tag has more than two bytes, or its length is not in a form of one to three bytes.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<(Tlv<'_>, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (tag, rest) = if first & 0x1F == 0x1F {
        let (&second, rest) = rest.split_first()?;
        if second & 0x80 != 0 {
            return None;
        }
        (u16::from_be_bytes([first, second]), rest)
    } else {
        (u16::from(first), rest)
    };
    let (len, rest) = match rest {
        [len @ 0..=0x7F, rest @ ..] => (usize::from(*len), rest),
        [0x81, len, rest @ ..] => (usize::from(*len), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(len)?;
    Some((Tlv { tag, value }, rest))
}

/// The value of the first object tagged `tag` directly inside `bytes`.
#[must_use]
pub fn find(bytes: &[u8], tag: u16) -> Option<&[u8]> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (tlv, after) = read(rest)?;
        if tlv.tag == tag {
            return Some(tlv.value);
        }
        rest = after;
    }
    None
}

/// Writes one object into `out` and returns its length, or `None` when it does not fit.
#[must_use]
pub fn write(tag: u16, value: &[u8], out: &mut [u8]) -> Option<usize> {
    let at = write_head(tag, value.len(), out)?;
    let end = at.checked_add(value.len())?;
    out.get_mut(at..end)?.copy_from_slice(value);
    Some(end)
}

/// Longest [`write_head`]: two bytes of tag, three of length.
pub const HEAD_LEN_MAX: usize = 5;

/// Writes tag and length of an object whose value has `len` bytes into `out` and returns how many that are, or
/// `None` when they do not fit.
#[must_use]
pub fn write_head(tag: u16, len: usize, out: &mut [u8]) -> Option<usize> {
    let [high, low] = tag.to_be_bytes();
    let tag_bytes: &[u8] = if high == 0 { &[low] } else { &[high, low] };
    let [len_high, len_low] = u16::try_from(len).ok()?.to_be_bytes();
    let len_bytes: &[u8] = match (len_high, len_low) {
        (0, 0..=0x7F) => &[len_low],
        (0, _) => &[0x81, len_low],
        _ => &[0x82, len_high, len_low],
    };
    let mut at = 0usize;
    for part in [tag_bytes, len_bytes] {
        let end = at.checked_add(part.len())?;
        out.get_mut(at..end)?.copy_from_slice(part);
        at = end;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let mut inner = [0; 64];
        let len = write(0x9F0C, &[7; 30], &mut inner).unwrap();
        let mut outer = [0; 96];
        let all = write(0x6F, &inner[..len], &mut outer).unwrap();
        let template = find(&outer[..all], 0x6F).unwrap();
        assert_eq!(find(template, 0x9F0C), Some(&[7; 30][..]));
        assert_eq!(find(template, 0x84), None);
    }

    #[test]
    fn long_and_broken() {
        let mut out = [0; 300];
        assert_eq!(write(0x70, &[1; 200], &mut out), Some(203));
        assert_eq!(read(&out[..203]).unwrap().0.value.len(), 200);
        assert!(read(&out[..202]).is_none());
        assert!(read(&[0x9F]).is_none());
        assert!(write(0x70, &[1; 10], &mut [0; 11]).is_none());
    }
}
