//! The list of cards that a terminal must refuse (黑名单), as it sits in the terminal: sorted, searched by halves.

use ykt_base::Asn8;

/// A blacklist of one version (`clearing.md` 11).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blacklist {
    version: u32,
    cards: Vec<Asn8>,
}

/// More cards than a terminal's memory holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "blacklist version {version} has {found} cards, a terminal holds at most {limit}: send the newest entries"
)]
pub struct BlacklistTooLong {
    /// Version of the list.
    pub version: u32,
    /// Cards in it.
    pub found: usize,
    /// [`Blacklist::CARDS_LEN_MAX`].
    pub limit: usize,
}

impl Blacklist {
    /// Most cards that a terminal keeps.
    pub const CARDS_LEN_MAX: usize = 100_000;

    /// The list of `version`; order and repetitions of `cards` do not matter.
    ///
    /// # Errors
    /// [`BlacklistTooLong`] above [`Blacklist::CARDS_LEN_MAX`] cards.
    pub fn new(version: u32, cards: impl IntoIterator<Item = Asn8>) -> Result<Blacklist, BlacklistTooLong> {
        let mut cards: Vec<Asn8> = cards.into_iter().collect();
        cards.sort_unstable();
        cards.dedup();
        if cards.len() > Blacklist::CARDS_LEN_MAX {
            return Err(BlacklistTooLong { version, found: cards.len(), limit: Blacklist::CARDS_LEN_MAX });
        }
        Ok(Blacklist { version, cards })
    }

    /// Version of the list; 0 before the first one came.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether the card is listed.
    #[must_use]
    pub fn lists(&self, card: &Asn8) -> bool {
        self.cards.binary_search(card).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_listed_whatever_the_order() {
        let card = |last| Asn8([0, 0, 0, 0, 0, 0, 0, last]);
        let list = Blacklist::new(7, [card(9), card(1), card(5), card(1)]).unwrap();
        assert_eq!(list.version(), 7);
        assert!(list.lists(&card(1)) && list.lists(&card(9)) && !list.lists(&card(2)));
        assert!(!Blacklist::default().lists(&card(1)));
    }

    #[test]
    fn refuses_more_than_it_holds() {
        let cards = (0..=Blacklist::CARDS_LEN_MAX).map(|n| Asn8((n as u64).to_be_bytes()));
        assert_eq!(Blacklist::new(3, cards).unwrap_err().found, Blacklist::CARDS_LEN_MAX + 1);
    }
}
