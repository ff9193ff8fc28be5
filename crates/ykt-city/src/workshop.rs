//! The company's own personalisation line: the city's cards and PSAMs are batches at the key management centre, opened
//! by right and quota, made with downloaded keys, and noted one by one, as a line outside would do it.

use crate::factory::{Factory, FactoryError};
use crate::hand::HeldCard;
use ykt_base::DateTime;
use ykt_issue::{CommandMaker, Subject};
use ykt_kmc::download::{
    CARDS_PER_CALL_MAX, Caller, Download, Ending, LineKind, NewLine, NewRight, OpenCall, RightTo, Wanted,
    fingerprint,
};
use ykt_office::Act;

/// Name of the line.
pub const LINE: &str = "factory";
/// Name of the batch of user cards.
pub const CARDS: &str = "cards-1";
/// Name of the batch of PSAMs.
pub const PSAMS: &str = "psams-1";

/// The line at work.
pub struct Workshop<'a> {
    download: &'a Download,
    factory: &'a Factory<'a>,
    at: DateTime,
}

/// How a card is made with the keys of the centre.
type Make = fn(&Factory<'_>, usize, &mut CommandMaker<'_>) -> Result<HeldCard, FactoryError>;

impl<'a> Workshop<'a> {
    /// Takes the line in. It works inside this process, so its certificate is one that nobody can show.
    ///
    /// # Errors
    /// [`FactoryError::Keep`].
    pub fn found(
        download: &'a Download,
        factory: &'a Factory<'a>,
        at: DateTime,
    ) -> Result<Workshop<'a>, FactoryError> {
        let certificate = fingerprint(b"the line in the process of the centre");
        let line = NewLine { name: LINE.to_owned(), kind: LineKind::Personalisation, certificate };
        download.add_line(&line, &Act::of_system("founding", at))?;
        Ok(Workshop { download, factory, at })
    }

    /// Makes so many user cards.
    ///
    /// # Errors
    /// [`FactoryError`] of the centre, or naming the step of a card that went wrong.
    pub fn cards(
        &self,
        count: usize,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<HeldCard>, FactoryError> {
        let subjects =
            (0..count).map(|index| self.factory.card_subject(index)).collect::<Result<Vec<_>, _>>()?;
        self.batch(CARDS, "city-cpu", &subjects, progress, |factory, index, keys| {
            factory.hold_card(index, keys)
        })
    }

    /// Makes so many PSAMs.
    ///
    /// # Errors
    /// As [`Workshop::cards`].
    pub fn psams(
        &self,
        count: usize,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<HeldCard>, FactoryError> {
        let subjects =
            (0..count).map(|index| self.factory.psam_subject(index)).collect::<Result<Vec<_>, _>>()?;
        self.batch(PSAMS, "psam", &subjects, progress, |factory, index, keys| factory.hold_psam(index, keys))
    }

    fn batch(
        &self,
        batch: &str,
        application: &str,
        subjects: &[Subject],
        progress: &mut dyn FnMut(usize),
        make: Make,
    ) -> Result<Vec<HeldCard>, FactoryError> {
        let act = Act::of_system("founding", self.at);
        self.download.make_batch(batch, application, subjects, &act)?;
        let right = NewRight {
            line: LINE.to_owned(),
            to: RightTo::cards(application, Some(batch)),
            quota: u32::try_from(subjects.len()).unwrap_or(u32::MAX),
            from: self.at.date,
            until: self.at.date,
        };
        self.download.give_right(&right, &act)?;
        let caller = Caller { line: LINE.to_owned(), from: "local".to_owned(), at: self.at };
        let mut made = Vec::with_capacity(subjects.len());
        while made.len() < subjects.len() {
            let call = OpenCall {
                operation: format!("{batch}.{}", made.len()),
                application: application.to_owned(),
                batch: Some(batch.to_owned()),
                cards: Wanted::Next(CARDS_PER_CALL_MAX),
            };
            let opened = self.download.open(&call, &caller)?.open;
            let mut endings = Vec::with_capacity(opened.len());
            for card in &opened {
                progress(made.len());
                let keys =
                    self.download.maker(card).filter(|_| subjects.get(made.len()) == Some(card.subject()));
                let mut keys = keys.ok_or_else(|| short(subjects, &made))?;
                made.push(make(self.factory, made.len(), &mut keys)?);
                endings.push((card.id(), Ending::Made));
            }
            if endings.is_empty() {
                return Err(short(subjects, &made));
            }
            let noted = self.download.finish(&endings, &caller)?;
            noted.into_iter().collect::<Result<(), _>>().map_err(|_| short(subjects, &made))?;
        }
        Ok(made)
    }
}

fn short(subjects: &[Subject], made: &[HeldCard]) -> FactoryError {
    FactoryError::Opened { expected: subjects.len(), found: made.len() }
}
