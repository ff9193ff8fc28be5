//! The factory: blank chips become city cards and PSAMs, by commands only. Who makes the commands that need a key is
//! said by the caller: the vault itself, or the key management centre ([`crate::workshop`]).

use crate::company::{self, CITY_CODE, CompanyError};
use crate::hand::{CardMemory, HeldCard};
use crate::rng::SeededRng;
use ykt_base::Date;
use ykt_card::{Blank, BlankError, Card, Memory, PowerOnError};
use ykt_crypto::Key16;
use ykt_issue::{CardData, CommandMaker, IssueError, KeyDownload, Profile, PsamData, Subject};
use ykt_kmc::download::{KeepError, Refusal};
use ykt_purse::write_key::Pin;
use ykt_terminal::transport::in_process::InProcess;
use ykt_vault::{DEMO_TRANSPORT_KEY, Vault};

/// PIN of the demo's cards.
const DEMO_PIN: &str = "123456";

/// Why a card or PSAM cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum FactoryError {
    /// The chip does not take the blank image.
    #[error(transparent)]
    Blank(#[from] BlankError),
    /// The chip does not start.
    #[error(transparent)]
    PowerOn(#[from] PowerOnError),
    /// A command of the personalisation went wrong.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// A number does not fit.
    #[error(transparent)]
    Number(#[from] CompanyError),
    /// The key management centre could not take in line, right or batch.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// The key management centre refused a call of the line.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The key management centre opened other cards than the line has, or did not take an ending.
    #[error("key download opened {found} of {expected} cards")]
    Opened {
        /// Cards of the line.
        expected: usize,
        /// Cards opened or ended.
        found: usize,
    },
    /// The demo PIN is none.
    #[error("the demo PIN is not a PIN")]
    Pin,
}

/// The line with its keys and profiles.
pub struct Factory<'a> {
    vault: &'a dyn Vault,
    card_profile: Profile,
    psam_profile: Profile,
    first_day: Date,
    expiry: Date,
    seed: u64,
}

impl<'a> Factory<'a> {
    /// A line that makes cards valid from `first_day` on.
    #[must_use]
    pub fn new(vault: &'a dyn Vault, first_day: Date, seed: u64) -> Factory<'a> {
        Factory {
            vault,
            card_profile: Profile::city_cpu(),
            psam_profile: Profile::psam(),
            first_day,
            expiry: company::card_expiry(first_day),
            seed,
        }
    }

    /// Makes user card `index`, in a citizen's hand.
    ///
    /// # Errors
    /// [`FactoryError`] naming the step that went wrong.
    pub fn card(&self, index: usize) -> Result<HeldCard, FactoryError> {
        self.hold_card(index, &mut self.maker(&self.card_subject(index)?, &self.card_profile))
    }

    /// As [`Factory::card`], with keys that are downloaded.
    ///
    /// # Errors
    /// [`FactoryError`] naming the step that went wrong.
    pub fn hold_card(&self, index: usize, keys: &mut dyn KeyDownload) -> Result<HeldCard, FactoryError> {
        let card = self.card_with(CardMemory::new(), index, keys)?;
        Ok(HeldCard::new(card, SeededRng::stream(self.seed, &format!("card {index}"))))
    }

    /// Makes the PSAM of terminal `index`, and leaves it powered in its slot.
    ///
    /// # Errors
    /// [`FactoryError`] naming the step that went wrong.
    pub fn psam(&self, index: usize) -> Result<HeldCard, FactoryError> {
        self.hold_psam(index, &mut self.maker(&self.psam_subject(index)?, &self.psam_profile))
    }

    /// As [`Factory::psam`], with keys that are downloaded.
    ///
    /// # Errors
    /// [`FactoryError`] naming the step that went wrong.
    pub fn hold_psam(&self, index: usize, keys: &mut dyn KeyDownload) -> Result<HeldCard, FactoryError> {
        let psam = self.psam_with(CardMemory::new(), index, keys)?;
        let mut held = HeldCard::new(psam, SeededRng::stream(self.seed, &format!("psam {index}")));
        held.present(None)?;
        Ok(held)
    }

    /// Makes user card `index` of a chip with `memory`.
    ///
    /// # Errors
    /// [`FactoryError`] naming the step that went wrong.
    pub fn card_in<M: Memory>(&self, memory: M, index: usize) -> Result<Card<M>, FactoryError> {
        self.card_with(memory, index, &mut self.maker(&self.card_subject(index)?, &self.card_profile))
    }

    fn card_with<M: Memory>(
        &self,
        memory: M,
        index: usize,
        keys: &mut dyn KeyDownload,
    ) -> Result<Card<M>, FactoryError> {
        let asn = company::card_number(index)?;
        let transport = Key16::from_bytes(DEMO_TRANSPORT_KEY);
        let blank = Card::blank(memory, &Blank::user_card(asn.0, &transport))?;
        let mut line = InProcess::new(blank, SeededRng::stream(self.seed, &format!("chip {index}")));
        let data = self.card_data(index)?;
        ykt_issue::personalise_card_with(&mut line, keys, &self.card_profile, &data, &mut |_| {})?;
        Ok(Card::power_on(line.into_memory())?)
    }

    /// Makes the PSAM of terminal `index` of a chip with `memory`.
    ///
    /// # Errors
    /// [`FactoryError`] naming the step that went wrong.
    pub fn psam_in<M: Memory>(&self, memory: M, index: usize) -> Result<Card<M>, FactoryError> {
        self.psam_with(memory, index, &mut self.maker(&self.psam_subject(index)?, &self.psam_profile))
    }

    fn psam_with<M: Memory>(
        &self,
        memory: M,
        index: usize,
        keys: &mut dyn KeyDownload,
    ) -> Result<Card<M>, FactoryError> {
        let serial = company::psam_serial(index)?;
        let transport = Key16::from_bytes(DEMO_TRANSPORT_KEY);
        let [_, _, chip @ ..] = serial.0;
        let blank = Card::blank(memory, &Blank::psam(chip, &transport))?;
        let mut line = InProcess::new(blank, SeededRng::stream(self.seed, &format!("sam chip {index}")));
        let data = self.psam_data(index)?;
        ykt_issue::personalise_psam_with(&mut line, keys, &self.psam_profile, &data, &mut |_| {})?;
        Ok(Card::power_on(line.into_memory())?)
    }

    fn card_data(&self, index: usize) -> Result<CardData, FactoryError> {
        let pin = Pin::from_digits(DEMO_PIN).ok_or(FactoryError::Pin)?;
        Ok(CardData::of_city(company::card_number(index)?, CITY_CODE, self.first_day, self.expiry, pin))
    }

    fn psam_data(&self, index: usize) -> Result<PsamData, FactoryError> {
        let (serial, terminal) = (company::psam_serial(index)?, company::terminal_id(index)?);
        Ok(PsamData::of_city(serial, terminal, CITY_CODE, self.first_day, self.expiry))
    }

    /// What the centre must know of user card `index`.
    ///
    /// # Errors
    /// [`FactoryError::Number`] when there is no such number.
    pub fn card_subject(&self, index: usize) -> Result<Subject, FactoryError> {
        Ok(self.card_data(index)?.subject(self.card_profile.layout))
    }

    /// What the centre must know of PSAM `index`.
    ///
    /// # Errors
    /// [`FactoryError::Number`] when there is no such number.
    pub fn psam_subject(&self, index: usize) -> Result<Subject, FactoryError> {
        Ok(self.psam_data(index)?.subject())
    }

    /// The vault as the one who makes the commands.
    const fn maker<'s>(&'s self, subject: &'s Subject, profile: &'s Profile) -> CommandMaker<'s> {
        CommandMaker { vault: self.vault, profile, subject }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::street::{Purchase, Street};
    use ykt_base::{DateTime, Fen, Time};
    use ykt_files::Industry;
    use ykt_terminal::pos::{Pos, PosConfig};
    use ykt_terminal::store::MemoryStore;
    use ykt_vault::{Levels, Origin, SoftVault};

    #[test]
    fn a_card_from_the_line_can_be_read_and_declines_what_it_has_not() {
        let mut rng = SeededRng::stream(1, "keys");
        let vault = SoftVault::generate(Levels::nation_city_card(), &mut rng, Origin::Demo);
        let first_day: Date = "20260302".parse().unwrap();
        let factory = Factory::new(&vault, first_day, 1);
        let mut card = factory.card(0).unwrap();
        let reading = crate::proof::read_card(&mut card).unwrap();
        assert_eq!((reading.asn, reading.balance), (company::card_number(0).unwrap(), Fen::ZERO));
        let config = PosConfig::new(
            company::merchant_code(0).unwrap(),
            company::pos_number(0).unwrap(),
            Industry::BUS,
        );
        let mut pos = Pos::open(config, factory.psam(0).unwrap(), MemoryStore::default()).unwrap();
        let mut street = Street::new(1);
        let at = DateTime { date: first_day, time: Time::new(8, 0, 0).unwrap() };
        let errand = Purchase { amount: Fen::new(200), fault: None, comes_back: true, at };
        street.purchase(0, &mut card, &mut pos, errand).unwrap();
        assert_eq!(street.tally.declined.values().map(|count| count.count).sum::<u32>(), 1);
    }
}
