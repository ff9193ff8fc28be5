//! Which versions of the list, as terminals hold them, name a card.
//!
//! A list that is longer than a terminal can hold is cut to its newest entries. So a card is named from the
//! version that puts it on the list until the list drops it or enough newer entries push it beyond the cut, and
//! again when entries before it go. All that is told by one replay of the changes.

use super::{ListChange, ListOp, ListVersion};
use std::collections::{BTreeMap, BTreeSet};
use ykt_base::Asn8;

/// Versions from the first up to, and without, the second; open to the end while the card is still named.
type Span = (ListVersion, Option<ListVersion>);

/// For each card the versions that name it, as they are cut for terminals.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// By card, oldest span first.
    spans: BTreeMap<Asn8, Vec<Span>>,
}

impl Named {
    /// Whether a terminal that holds `version` of the list finds the card in it.
    pub(crate) fn names(&self, asn: &Asn8, version: ListVersion) -> bool {
        let spans = self.spans.get(asn).map_or(&[][..], Vec::as_slice);
        let begun = spans.partition_point(|(from, _)| *from <= version);
        let last = begun.checked_sub(1).and_then(|at| spans.get(at));
        last.is_some_and(|(_, until)| until.is_none_or(|until| version < until))
    }

    fn appears(&mut self, asn: Asn8, version: ListVersion) {
        self.spans.entry(asn).or_default().push((version, None));
    }

    fn disappears(&mut self, asn: &Asn8, version: ListVersion) {
        if let Some((_, until)) = self.spans.get_mut(asn).and_then(|spans| spans.last_mut()) {
            *until = Some(version);
        }
    }
}

/// The list while its changes are replayed: its newest entries, which terminals hold, and those beyond the cut.
pub(crate) struct Replay {
    entries_max: usize,
    newest: BTreeSet<(ListVersion, Asn8)>,
    older: BTreeSet<(ListVersion, Asn8)>,
    /// The version of each card's entry.
    entries: BTreeMap<Asn8, ListVersion>,
    named: Named,
}

impl Replay {
    /// The empty list, for terminals that hold `entries_max` cards.
    pub(crate) fn new(entries_max: usize) -> Replay {
        Replay {
            entries_max,
            newest: BTreeSet::new(),
            older: BTreeSet::new(),
            entries: BTreeMap::new(),
            named: Named::default(),
        }
    }

    /// Makes the next version.
    pub(crate) fn apply(&mut self, change: &ListChange) {
        let ListChange { version, asn, op, .. } = *change;
        let before = match op {
            ListOp::Add(_) => self.entries.insert(asn, version),
            ListOp::Delete => self.entries.remove(&asn),
        };
        let was_held = before.is_some_and(|before| self.newest.remove(&(before, asn)));
        if let Some(before) = before.filter(|_| !was_held) {
            self.older.remove(&(before, asn));
        }
        match op {
            ListOp::Add(_) => {
                self.newest.insert((version, asn));
                if !was_held {
                    self.named.appears(asn, version);
                }
            }
            ListOp::Delete if was_held => self.named.disappears(&asn, version),
            ListOp::Delete => {}
        }
        while self.newest.len() > self.entries_max {
            let Some(cut) = self.newest.pop_first() else { break };
            self.older.insert(cut);
            self.named.disappears(&cut.1, version);
        }
        while self.newest.len() < self.entries_max {
            let Some(back) = self.older.pop_last() else { break };
            self.newest.insert(back);
            self.named.appears(back.1, version);
        }
    }

    /// What the changes so far told.
    pub(crate) fn finish(self) -> Named {
        self.named
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blacklist::ListKind;
    use ykt_base::DateTime;

    const CARDS: u64 = 7;

    fn card(no: u64) -> Asn8 {
        Asn8(no.to_be_bytes())
    }

    /// What a terminal holds: the list sorted by its entries' versions, newest first, and cut.
    fn held(list: &BTreeMap<Asn8, ListVersion>, entries_max: usize) -> BTreeSet<Asn8> {
        let mut newest: Vec<_> = list.iter().map(|(asn, version)| (*version, *asn)).collect();
        newest.sort_unstable_by(|one, other| other.cmp(one));
        newest.into_iter().take(entries_max).map(|(_, asn)| asn).collect()
    }

    #[test]
    fn a_replay_names_at_every_version_what_a_terminal_would_hold() {
        for entries_max in 0..=8_usize {
            let (mut replay, mut list) = (Replay::new(entries_max), BTreeMap::new());
            let mut lists = vec![held(&list, entries_max)];
            let mut no = 1_u64;
            for version in (1..=400).map(ListVersion) {
                no = no.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let asn = card((no >> 33) % CARDS);
                let delete = (no >> 40).is_multiple_of(3);
                let op = if delete { ListOp::Delete } else { ListOp::Add(ListKind::Lost) };
                match op {
                    ListOp::Add(_) => list.insert(asn, version),
                    ListOp::Delete => list.remove(&asn),
                };
                let at = DateTime::start_of("20260302".parse().unwrap());
                replay.apply(&ListChange { version, asn, op, at });
                lists.push(held(&list, entries_max));
            }
            let named = replay.finish();
            for (version, held) in (0..).map(ListVersion).zip(&lists) {
                for asn in (0..CARDS).map(card) {
                    assert_eq!(named.names(&asn, version), held.contains(&asn), "{entries_max} {version:?}");
                }
            }
        }
    }
}
