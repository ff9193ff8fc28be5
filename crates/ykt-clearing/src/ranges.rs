//! Covered counters as run-length ranges: which transactions of a card, or of a PSAM, are accepted.
//!
//! A card that never misses a record has one range however long it lives, so the book of a card stays small
//! for ever; each gap costs one range more.

/// Numbers that are covered, as sorted ranges with at least one number missing between two of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranges(Vec<(u32, u32)>);

/// Bytes of one range in its stored form: first and last, big-endian.
const RANGE_LEN: usize = 8;

impl Ranges {
    /// Whether `number` is covered.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        self.before(number).is_some_and(|at| self.0.get(at).is_some_and(|(_, last)| number <= *last))
    }

    /// Covers `number`; answers whether it was not covered before.
    pub fn insert(&mut self, number: u32) -> bool {
        let left = self.before(number);
        let left_last = left.and_then(|at| self.0.get(at)).map(|(_, last)| *last);
        if left_last.is_some_and(|last| number <= last) {
            return false;
        }
        let right = left.map_or(0, |at| at.saturating_add(1));
        let joins_left = left_last.is_some_and(|last| last.checked_add(1) == Some(number));
        let joins_right = self.0.get(right).is_some_and(|(first, _)| number.checked_add(1) == Some(*first));
        match (joins_left, joins_right, left) {
            (true, true, Some(at)) => {
                let (_, last) = self.0.remove(right);
                if let Some(range) = self.0.get_mut(at) {
                    range.1 = last;
                }
            }
            (true, false, Some(at)) => {
                if let Some(range) = self.0.get_mut(at) {
                    range.1 = number;
                }
            }
            (_, true, _) => {
                if let Some(range) = self.0.get_mut(right) {
                    range.0 = number;
                }
            }
            _ => self.0.insert(right, (number, number)),
        }
        true
    }

    /// Covers every number up to `last`.
    #[must_use]
    pub fn up_to(last: u32) -> Ranges {
        Ranges(vec![(0, last)])
    }

    /// How many numbers are covered.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, (first, last)| {
            let len = u64::from(last.saturating_sub(*first)).saturating_add(1);
            sum.saturating_add(len)
        })
    }

    /// The ranges, first and last number of each.
    #[must_use]
    pub fn as_slice(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len().saturating_mul(RANGE_LEN));
        for (first, last) in &self.0 {
            out.extend_from_slice(&first.to_be_bytes());
            out.extend_from_slice(&last.to_be_bytes());
        }
        out
    }

    /// From the stored form, or `None` when it is none: cut, or its ranges touch or are out of order.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Ranges> {
        let (ranges, rest) = bytes.as_chunks::<RANGE_LEN>();
        let mut out = Vec::with_capacity(ranges.len());
        let mut free_from = Some(0u32);
        for [a, b, c, d, e, f, g, h] in ranges {
            let (first, last) = (u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h]));
            if first > last || free_from.is_none_or(|free| first < free) {
                return None;
            }
            out.push((first, last));
            free_from = last.checked_add(2);
        }
        rest.is_empty().then_some(Ranges(out))
    }

    /// Index of the last range that begins at or before `number`.
    fn before(&self, number: u32) -> Option<usize> {
        self.0.partition_point(|(first, _)| *first <= number).checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn ranges_grow_and_join() {
        let mut ranges = Ranges::default();
        for number in [5, 7, 6, 0, u32::MAX] {
            assert!(ranges.insert(number));
            assert!(!ranges.insert(number));
        }
        assert_eq!(ranges.as_slice(), [(0, 0), (5, 7), (u32::MAX, u32::MAX)]);
        assert_eq!(ranges.count(), 5);
        assert!(ranges.contains(6) && !ranges.contains(4) && !ranges.contains(8));
    }

    #[test]
    fn broken_forms_are_refused() {
        for bytes in
            [&[0u8; 7][..], &[0, 0, 0, 2, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2]]
        {
            assert_eq!(Ranges::from_bytes(bytes), None);
        }
    }

    proptest! {
        #[test]
        fn a_set_of_numbers_in_any_order(numbers in proptest::collection::vec(0u32..60, 0..80)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(ranges.insert(number), set.insert(number));
            }
            for number in 0..62 {
                prop_assert_eq!(ranges.contains(number), set.contains(&number));
            }
            prop_assert_eq!(ranges.count(), set.len() as u64);
            prop_assert_eq!(Ranges::from_bytes(&ranges.to_bytes()), Some(ranges));
        }
    }
}
