//! The levels between a root key and a card, as data (`epurse.md` 1.3): nation → city → card in the demo city,
//! nation → province → city → card elsewhere.

use crate::kind::{KeyKind, Scheme};
use thiserror::Error;
use ykt_base::{Asn8, IssuerFactor};
use ykt_purse::files::city_factor;

/// Most levels, root and card included. A PSAM applies at most three factors, so the working keys it gets stand at most
/// three levels above the cards.
pub const LEVELS_MAX: usize = 8;
/// Longest name of a level in bytes.
pub const LEVEL_NAME_LEN_MAX: usize = 32;

/// What the key of the level above is diversified with to give this level's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factor {
    /// Nothing: the root.
    Root,
    /// One value for every card, such as the province's.
    Fixed(IssuerFactor),
    /// The issuer factor each card carries: its city, or its issuer id.
    Issuer,
    /// The card number.
    Card,
}

/// How a code becomes the eight bytes of a factor: the standards leave it to issuers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorPadding {
    /// City code of two bytes || FF || 00×5 (construction ministry).
    City,
    /// Code left-aligned, the rest filled.
    Left {
        /// What fills it.
        fill: u8,
    },
    /// Code right-aligned, what is before it filled.
    Right {
        /// What fills it.
        fill: u8,
    },
    /// Eight bytes as they are (issuer id).
    Whole,
}

impl FactorPadding {
    /// Code left-aligned, filled up with FF (province; recommended for new levels).
    pub const FILLED: FactorPadding = FactorPadding::Left { fill: 0xFF };

    /// The factor of a code, or `None` when the code has not the length this padding wants.
    #[must_use]
    pub fn factor(self, code: &[u8]) -> Option<IssuerFactor> {
        match self {
            FactorPadding::City => code.try_into().ok().map(city_factor),
            FactorPadding::Whole => code.try_into().ok().map(IssuerFactor),
            FactorPadding::Left { fill } | FactorPadding::Right { fill } => {
                let mut factor = [fill; 8];
                let free = factor.len().checked_sub(code.len()).filter(|_| !code.is_empty())?;
                let from = if matches!(self, FactorPadding::Right { .. }) { free } else { 0 };
                factor.iter_mut().skip(from).zip(code).for_each(|(byte, of_code)| *byte = *of_code);
                Some(IssuerFactor(factor))
            }
        }
    }
}

/// One level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Name, as lists and key files show it.
    pub name: String,
    /// How its keys come from the level above.
    pub factor: Factor,
}

/// Why levels are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LevelsError {
    /// Fewer than a root and a card, or too many.
    #[error("expected 2 to {LEVELS_MAX} levels, found {found}")]
    Count {
        /// How many there are.
        found: usize,
    },
    /// The first must be the root and no other.
    #[error("level {name:?}: only the first level has no factor, and it must have none")]
    Root {
        /// Its name.
        name: String,
    },
    /// The last must be the card and no other.
    #[error("level {name:?}: only the last level has the card number as factor, and it must have it")]
    Card {
        /// Its name.
        name: String,
    },
    /// Two levels of one factor or one name.
    #[error("level {name:?}: its name or its issuer factor is that of another level")]
    Twice {
        /// Its name.
        name: String,
    },
    /// A name that is empty or too long.
    #[error("level {name:?}: a name has 1 to {LEVEL_NAME_LEN_MAX} bytes")]
    Name {
        /// The name.
        name: String,
    },
}

/// The levels of a vault, root first, card last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels(Vec<Level>);

impl Levels {
    /// Checks and takes the levels.
    ///
    /// # Errors
    /// [`LevelsError`] naming the level.
    pub fn new(levels: Vec<Level>) -> Result<Levels, LevelsError> {
        if !(2..=LEVELS_MAX).contains(&levels.len()) {
            return Err(LevelsError::Count { found: levels.len() });
        }
        let last = levels.len().saturating_sub(1);
        for (at, level) in levels.iter().enumerate() {
            let name = level.name.clone();
            if (level.factor == Factor::Root) != (at == 0) {
                return Err(LevelsError::Root { name });
            }
            if (level.factor == Factor::Card) != (at == last) {
                return Err(LevelsError::Card { name });
            }
            if name.is_empty() || name.len() > LEVEL_NAME_LEN_MAX {
                return Err(LevelsError::Name { name });
            }
            let twice = |other: &Level| {
                other.name == name || (level.factor == Factor::Issuer && other.factor == Factor::Issuer)
            };
            if levels.iter().take(at).any(twice) {
                return Err(LevelsError::Twice { name });
            }
        }
        Ok(Levels(levels))
    }

    /// Nation → city → card, as the demo city has them.
    #[must_use]
    pub fn nation_city_card() -> Levels {
        let level = |name: &str, factor| Level { name: name.to_owned(), factor };
        Levels(vec![
            level("nation", Factor::Root),
            level("city", Factor::Issuer),
            level("card", Factor::Card),
        ])
    }

    /// Nation → province (one for all cards) → city → card.
    #[must_use]
    pub fn nation_province_city_card(province: IssuerFactor) -> Levels {
        let Levels(mut levels) = Levels::nation_city_card();
        levels.insert(1, Level { name: "province".to_owned(), factor: Factor::Fixed(province) });
        Levels(levels)
    }

    /// The levels, root first.
    #[must_use]
    pub fn as_slice(&self) -> &[Level] {
        &self.0
    }

    /// Position of the level of this name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<u8> {
        self.0.iter().position(|level| level.name == name).and_then(|at| u8::try_from(at).ok())
    }

    /// Position of the card level.
    #[must_use]
    pub fn card(&self) -> u8 {
        u8::try_from(self.0.len().saturating_sub(1)).unwrap_or(u8::MAX)
    }

    /// Position of the finished keys of a kind.
    #[must_use]
    pub fn deepest(&self, kind: KeyKind) -> u8 {
        match kind.scheme() {
            Scheme::Card => self.card(),
            Scheme::Sam => 1,
            Scheme::Shared | Scheme::Pair => 0,
        }
    }

    /// Name of a level, as keys of this kind have it.
    #[must_use]
    pub fn name_at(&self, kind: KeyKind, level: u8) -> String {
        match (kind.scheme(), level) {
            (Scheme::Sam, 1..) => "psam".to_owned(),
            _ => self.0.get(usize::from(level)).map_or_else(String::new, |at| at.name.clone()),
        }
    }

    /// The factors below position `from` down to position `to`, in the order they are applied.
    pub(crate) fn factors(
        &self,
        from: u8,
        to: u8,
        issuer: IssuerFactor,
        card: Asn8,
    ) -> impl Iterator<Item = [u8; 8]> {
        let (from, to) = (usize::from(from).saturating_add(1), usize::from(to).saturating_add(1));
        let levels = self.0.get(from..to).unwrap_or_default();
        levels.iter().filter_map(move |level| match level.factor {
            Factor::Root => None,
            Factor::Fixed(factor) => Some(factor.0),
            Factor::Issuer => Some(issuer.0),
            Factor::Card => Some(card.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn level(name: &str, factor: Factor) -> Level {
        Level { name: name.to_owned(), factor }
    }

    #[test]
    fn order_is_checked() {
        let good = Levels::nation_province_city_card(IssuerFactor(hex!("3100FFFFFFFFFFFF")));
        assert_eq!(Levels::new(good.as_slice().to_vec()), Ok(good.clone()));
        assert_eq!((good.card(), good.position("city"), good.position("town")), (3, Some(2), None));
        let refused = |levels: Vec<Level>| Levels::new(levels).unwrap_err().to_string();
        assert!(refused(vec![level("nation", Factor::Root)]).contains("2 to 8"));
        let (root, card) = (level("nation", Factor::Root), level("card", Factor::Card));
        assert!(refused(vec![card.clone(), root.clone()]).contains("first level"));
        assert!(refused(vec![root.clone(), level("city", Factor::Issuer)]).contains("last level"));
        assert!(refused(vec![root.clone(), card.clone(), card.clone()]).contains("last level"));
        let city = level("city", Factor::Issuer);
        let bank = level("bank", Factor::Issuer);
        assert!(refused(vec![root.clone(), city, bank, card.clone()]).contains("bank"));
        assert!(refused(vec![level("", Factor::Root), card]).contains("1 to 32"));
    }

    #[test]
    fn codes_become_factors() {
        assert_eq!(FactorPadding::City.factor(&[0x21, 0x44]).unwrap().0, hex!("2144FF0000000000"));
        assert_eq!(FactorPadding::FILLED.factor(&[0x31, 0]).unwrap().0, hex!("3100FFFFFFFFFFFF"));
        let right = FactorPadding::Right { fill: 0 };
        assert_eq!(right.factor(&[0x31, 2, 3]).unwrap().0, hex!("0000000000310203"));
        assert_eq!(FactorPadding::Left { fill: 0x20 }.factor(b"JS").unwrap().0, *b"JS      ");
        assert_eq!(right.factor(&[5; 8]).unwrap().0, [5; 8]);
        assert_eq!((right.factor(&[5; 9]), right.factor(&[])), (None, None));
        assert_eq!(FactorPadding::Whole.factor(&[7; 8]).unwrap().0, [7; 8]);
        assert_eq!(FactorPadding::City.factor(&[1]), None);
        assert_eq!(FactorPadding::FILLED.factor(&[1; 9]), None);
        assert_eq!(FactorPadding::FILLED.factor(&[]), None);
        assert_eq!(FactorPadding::Whole.factor(&[1; 7]), None);
    }
}
