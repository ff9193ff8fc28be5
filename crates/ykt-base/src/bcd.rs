//! Packed decimal (BCD): two digits a byte, as dates and times travel on the card.

/// The number in packed decimal bytes, or `None` when a nibble is above nine or it does not fit.
#[must_use]
pub fn to_number(bytes: &[u8]) -> Option<u64> {
    bytes.iter().try_fold(0u64, |number, byte| {
        let (high, low) = (byte >> 4, byte & 0x0F);
        if high > 9 || low > 9 {
            return None;
        }
        number.checked_mul(100)?.checked_add(u64::from(high).checked_mul(10)?)?.checked_add(u64::from(low))
    })
}

/// `number` in `N` packed decimal bytes, or `None` when it needs more digits.
#[must_use]
pub fn from_number<const N: usize>(number: u64) -> Option<[u8; N]> {
    let mut out = [0; N];
    let mut rest = number;
    for byte in out.iter_mut().rev() {
        let pair = u8::try_from(rest.checked_rem(100)?).ok()?;
        *byte = pair.checked_div(10)? << 4 | pair.checked_rem(10)?;
        rest = rest.checked_div(100)?;
    }
    (rest == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        assert_eq!(to_number(&[0x20, 0x24, 0x01, 0x31]), Some(20_240_131));
        assert_eq!(from_number::<4>(20_240_131), Some([0x20, 0x24, 0x01, 0x31]));
        assert_eq!(from_number::<1>(100), None);
        assert_eq!(to_number(&[0x1A]), None);
    }
}
