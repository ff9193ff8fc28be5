//! The custodian's half of a component card ([`ykt_purse::component_card`]): the label for everybody, the component after
//! the PIN. The card counts wrong PINs.

use crate::card::{CardError, PinError, Step, demand_plain, verify_pin};
use ykt_base::CardChannel;
use ykt_purse::command::{read_binary, select_name};
use ykt_purse::component_card::{LABEL_LEN, LABEL_SFI, Label, NAME, PART_LEN, PART_SFI, PIN_ID, Part};
use ykt_purse::write_key::Pin;

/// A component card with its application selected.
pub struct ComponentCard<C> {
    channel: C,
}

/// Why a component card is not read.
#[derive(Debug, thiserror::Error)]
pub enum ComponentCardError {
    /// A command failed: 6A82 to SELECT is another kind of card.
    #[error("the component card does not serve; check that it is one, and that it sits in the reader")]
    Step(#[from] CardError),
    /// The custodian's PIN was not verified.
    #[error(transparent)]
    Pin(#[from] PinError),
}

impl<C: CardChannel> ComponentCard<C> {
    /// Selects the application.
    ///
    /// # Errors
    /// [`CardError`]; 6A82 is another kind of card.
    pub fn open(mut channel: C) -> Result<ComponentCard<C>, CardError> {
        demand_plain(&mut channel, Step::SelectComponentCard, &select_name(&NAME), |_| Some(()))?;
        Ok(ComponentCard { channel })
    }

    /// What everybody may read: ceremony, number, how many.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn label(&mut self) -> Result<Label, CardError> {
        let read = read_binary(LABEL_SFI, 0, len(LABEL_LEN));
        demand_plain(&mut self.channel, Step::ReadComponent, &read, Label::from_bytes)
    }

    /// The component, after the custodian's PIN.
    ///
    /// # Errors
    /// [`ComponentCardError::Pin`] with the tries left, or a command failed.
    pub fn read(&mut self, pin: &Pin) -> Result<Part, ComponentCardError> {
        verify_pin(&mut self.channel, PIN_ID, pin)?;
        let read = read_binary(PART_SFI, 0, len(PART_LEN));
        Ok(demand_plain(&mut self.channel, Step::ReadComponent, &read, Part::from_bytes)?)
    }
}

/// A length of a file of at most 40 bytes.
fn len(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}
