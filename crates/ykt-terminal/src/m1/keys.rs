//! Where a terminal has the keys of M1 cards from: a trait with a software leaf and a PSAM leaf.

use super::book::Operation;
use crate::card::{CardError, Step, demand};
use ykt_base::{CardChannel, KeyVersion, Mac4};
use ykt_m1::key::{AuthCode, Identity};
use ykt_m1::layout::Directory;
use ykt_m1::tac::{M1Terms, tac};
use ykt_m1::{KeyKind, M1Layout, M1Masters, Sector, SectorKey};
use ykt_purse::psam_m1::{DeriveM1Keys, KEYS};

/// Id of the monthly pass's key.
const MONTHLY_ID: u8 = 0x07;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum M1KeyError {
    /// This terminal may not do what needs the key.
    #[error(
        "this terminal has no {kind} of sector {sector}: it can take money from cards, but not load them"
    )]
    NotHeld {
        /// Which key.
        kind: KeyKind,
        /// Of which sector.
        sector: Sector,
    },
    /// The PSAM does not give it.
    #[error("the PSAM does not give the keys of M1 cards: check that it sits in its slot and knows 80FC")]
    Psam(#[from] CardError),
}

/// Keys of the cards that are shown.
pub trait M1Keys {
    /// The card's key of a sector.
    ///
    /// # Errors
    /// [`M1KeyError`].
    fn sector_key(&mut self, card: &Identity, sector: Sector, kind: KeyKind)
    -> Result<SectorKey, M1KeyError>;

    /// The authentication code that the card must carry; `None` where only its keys prove the card.
    ///
    /// # Errors
    /// [`M1KeyError`].
    fn auth_code(&mut self, card: &Identity) -> Result<Option<AuthCode>, M1KeyError>;

    /// The terminal's TAC over a transaction; `None` where it makes none.
    ///
    /// # Errors
    /// [`M1KeyError`].
    fn tac(
        &mut self,
        card: &Identity,
        operation: Operation,
        count: u16,
        terms: &M1Terms,
    ) -> Result<Option<Mac4>, M1KeyError>;
}

/// Keys made in this process from a city's master keys.
#[derive(Clone)]
pub struct SoftKeys {
    /// The master keys.
    pub masters: M1Masters,
    /// Whose ids and inputs they are used with.
    pub layout: M1Layout,
}

impl M1Keys for SoftKeys {
    fn sector_key(
        &mut self,
        card: &Identity,
        sector: Sector,
        kind: KeyKind,
    ) -> Result<SectorKey, M1KeyError> {
        Ok(self.masters.sector_key(card, sector, kind, &self.layout))
    }

    fn auth_code(&mut self, card: &Identity) -> Result<Option<AuthCode>, M1KeyError> {
        Ok(Some(self.masters.auth_code(card, self.layout.auth_code)))
    }

    fn tac(
        &mut self,
        card: &Identity,
        operation: Operation,
        count: u16,
        terms: &M1Terms,
    ) -> Result<Option<Mac4>, M1KeyError> {
        let key = self.masters.tac_key(card);
        Ok(Some(match operation {
            Operation::Purchase => tac(&key, &terms.purchase_input(card.serial)),
            Operation::Load => tac(&key, &terms.load_input(count)),
        }))
    }
}

/// Keys A from a PSAM that knows `80 FC` (`epurse.md` 7.4). Keys B are in no PSAM for purchases, so this terminal loads
/// no cards; and it makes no TACs.
pub struct PsamKeys<C> {
    psam: C,
    version: KeyVersion,
    layout: M1Layout,
    /// Keys of the card asked for last.
    known: Option<(Identity, [SectorKey; KEYS])>,
}

impl<C: CardChannel> PsamKeys<C> {
    /// Keys from the PSAM behind `psam`, its application selected, under its key of this version.
    pub fn new(psam: C, version: KeyVersion, layout: M1Layout) -> PsamKeys<C> {
        PsamKeys { psam, version, layout, known: None }
    }

    /// Ids of the three keys that are asked for: purse, records, and what the public information has of its own;
    /// where that is the purse's, the monthly pass, as the published command asks.
    fn ids(&self) -> [u8; KEYS] {
        let id = |sector: Sector| self.layout.key_a_ids[sector.index()].unwrap_or(Directory::UNUSED);
        let [purse, records, public] = [Sector::PURSE, Sector::RECORDS[0], Sector::PUBLIC].map(id);
        [purse, records, if public == purse { MONTHLY_ID } else { public }]
    }

    /// The three keys of a card.
    fn keys(&mut self, card: &Identity) -> Result<&[SectorKey; KEYS], CardError> {
        let keys = match self.known.take() {
            Some((known, keys)) if known == *card => keys,
            _ => {
                let [_, _, serial @ ..] = card.serial;
                let derive = DeriveM1Keys {
                    version: self.version,
                    city: card.city,
                    uid: card.uid.0,
                    serial,
                    auth_code: card.auth_code.0,
                    key_ids: self.ids(),
                };
                demand(&mut self.psam, Step::M1Keys, &derive.to_apdu(), |answer| {
                    let (keys, rest) = answer.as_chunks::<{ SectorKey::LEN }>();
                    let keys = <[_; KEYS]>::try_from(keys).ok().filter(|_| rest.is_empty())?;
                    Some(keys.map(SectorKey::from_bytes))
                })?
            }
        };
        Ok(&self.known.insert((*card, keys)).1)
    }
}

impl<C: CardChannel> M1Keys for PsamKeys<C> {
    fn sector_key(
        &mut self,
        card: &Identity,
        sector: Sector,
        kind: KeyKind,
    ) -> Result<SectorKey, M1KeyError> {
        let id = self.layout.key_a_ids[sector.index()];
        let place = self.ids().iter().position(|known| Some(*known) == id);
        match place.filter(|_| kind == KeyKind::A) {
            Some(place) => Ok(self.keys(card)?[place].clone()),
            None => Err(M1KeyError::NotHeld { kind, sector }),
        }
    }

    fn auth_code(&mut self, _: &Identity) -> Result<Option<AuthCode>, M1KeyError> {
        Ok(None)
    }

    fn tac(&mut self, _: &Identity, _: Operation, _: u16, _: &M1Terms) -> Result<Option<Mac4>, M1KeyError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ykt_base::{ChannelError, Command, Response, StatusWord};
    use ykt_crypto::{CardKey, Key16};
    use ykt_m1::Uid;

    fn above() -> Key16 {
        Key16::from_bytes([0x11; 16])
    }

    /// A PSAM that counts how often it is asked.
    struct Psam(usize);

    impl CardChannel for Psam {
        fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
            self.0 += 1;
            let derive = DeriveM1Keys::parse(&Command::parse(command).unwrap()).unwrap();
            Ok(Response::new(&derive.keys(&CardKey::Tdes(above())), StatusWord::OK).unwrap())
        }

        fn reset(&mut self) -> Result<(), ChannelError> {
            Ok(())
        }
    }

    /// PSAM and software give the same keys, and the PSAM is asked once for each card that comes.
    #[test]
    fn a_psam_gives_the_keys_that_cards_are_made_with() {
        let masters = M1Masters { sector_a: above(), sector_b: above(), auth_code: above(), tac: above() };
        let card = Identity {
            uid: Uid([0x1A, 0x2B, 0x3C, 0x4D]),
            city: [0x21, 0x44],
            industry: [0, 0],
            serial: [0, 0, 0, 1],
            auth_code: AuthCode([0xAC, 0x12, 0xAC, 0x34]),
        };
        for (_, layout) in M1Layout::NAMED {
            let mut keys = PsamKeys::new(Psam(0), KeyVersion(1), layout);
            let other = Identity { uid: Uid([0; 4]), ..card };
            for card in [&card, &other] {
                for sector in [Sector::PURSE, Sector::RECORDS[0], Sector::RECORDS[2], Sector::PUBLIC] {
                    let found = keys.sector_key(card, sector, KeyKind::A).unwrap();
                    assert!(found == masters.sector_key(card, sector, KeyKind::A, &layout), "{sector}");
                }
            }
            assert_eq!(keys.psam.0, 2);
            let refused = keys.sector_key(&card, Sector::PURSE, KeyKind::B);
            assert!(matches!(refused, Err(M1KeyError::NotHeld { .. })));
            assert!(keys.sector_key(&card, Sector::DIRECTORY, KeyKind::A).is_err());
        }
    }
}
