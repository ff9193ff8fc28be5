//! Where a terminal has the keys of M1 cards from: a trait with a software leaf and a PSAM leaf.

use super::book::Operation;
use crate::card::{CardError, Step, demand};
use ykt_base::{CardChannel, Mac4};
use ykt_m1::key::{AuthCode, Identity};
use ykt_m1::tac::{M1Terms, tac};
use ykt_m1::{KeyKind, M1Layout, M1Masters, Sector, SectorKey};

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

/// Keys A from a PSAM that knows `80 FC` (`epurse.md` 7.4): purse and public information, records, monthly pass. Its
/// cards have the ids of [`ykt_m1::layout::KEY_A_IDS_PSAM`]. Keys B are in no PSAM for purchases, so this terminal
/// loads no cards, and it makes no TACs.
pub struct PsamKeys<C> {
    psam: C,
    /// Keys of the card asked for last.
    known: Option<(Identity, [SectorKey; 3])>,
}

impl<C: CardChannel> PsamKeys<C> {
    /// Keys from the PSAM behind `psam`, its application selected.
    pub fn new(psam: C) -> PsamKeys<C> {
        PsamKeys { psam, known: None }
    }

    /// Keys A of purse, records and monthly pass.
    fn keys(&mut self, card: &Identity) -> Result<&[SectorKey; 3], CardError> {
        let keys = match self.known.take() {
            Some((known, keys)) if known == *card => keys,
            _ => {
                let [_, _, serial @ ..] = card.serial;
                let header = [0x80, 0xFC, 0x01, 0x01, 0x0F];
                let fields: [&[u8]; 6] =
                    [&header, &card.city, &card.uid.0, &serial, &card.auth_code.0, &[0x02, 0x03, 0x07]];
                demand(&mut self.psam, Step::M1Keys, &fields.concat(), |answer| {
                    let (keys, rest) = answer.as_chunks::<{ SectorKey::LEN }>();
                    let keys = <[_; 3]>::try_from(keys).ok().filter(|_| rest.is_empty())?;
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
        let [purse, records, monthly] = self.keys(card)?;
        match (kind, sector.number()) {
            (KeyKind::A, 2 | 6) => Ok(purse.clone()),
            (KeyKind::A, 3..=5) => Ok(records.clone()),
            (KeyKind::A, 7 | 8) => Ok(monthly.clone()),
            _ => Err(M1KeyError::NotHeld { kind, sector }),
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
    use ykt_base::{ChannelError, Response, StatusWord};
    use ykt_m1::Uid;

    /// A PSAM that knows one card.
    struct Psam(Vec<Vec<u8>>);

    impl CardChannel for Psam {
        fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
            self.0.push(command.to_vec());
            let keys: Vec<u8> = (0..18).collect();
            Ok(Response::new(&keys, StatusWord::OK).unwrap())
        }

        fn reset(&mut self) -> Result<(), ChannelError> {
            Ok(())
        }
    }

    #[test]
    fn a_psam_is_asked_once_for_each_card() {
        let card = Identity {
            uid: Uid([0x1A, 0x2B, 0x3C, 0x4D]),
            city: [0x21, 0x44],
            industry: [0, 0],
            serial: [0, 0, 0, 1],
            auth_code: AuthCode([0xAC, 0x12, 0xAC, 0x34]),
        };
        let mut keys = PsamKeys::new(Psam(Vec::new()));
        let mut key = |card: &Identity, sector| {
            keys.sector_key(card, sector, KeyKind::A)
                .map(|key| key.expose()[0])
                .map_err(|error| error.to_string())
        };
        assert_eq!(key(&card, Sector::PURSE), Ok(0));
        assert_eq!(key(&card, Sector::PUBLIC), Ok(0));
        assert_eq!(key(&card, Sector::RECORDS[2]), Ok(6));
        assert!(key(&card, Sector::ISSUE).is_err());
        let other = Identity { uid: Uid([0; 4]), ..card };
        assert_eq!(key(&other, Sector::new(8).unwrap()), Ok(12));
        assert!(keys.sector_key(&card, Sector::PURSE, KeyKind::B).is_err());
        let asked: Vec<String> =
            keys.psam.0.iter().map(|bytes| ykt_base::hex::Hex(bytes).to_string()).collect();
        assert_eq!(asked[0], "80FC01010F21441A2B3C4D0001AC12AC34020307");
        assert_eq!(asked.len(), 3, "once for each card that comes");
    }
}
