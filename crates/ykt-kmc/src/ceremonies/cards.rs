//! Component cards (分量卡): a sheet's content on a card behind the custodian's PIN, and back.
//!
//! The control keys of such a card are drawn for it alone and forgotten with the vault they were made in: nobody writes
//! to it again, the centre included. A card whose PIN is blocked is lost; its sheet is not.

use thiserror::Error;
use ykt_base::{Asn8, CardChannel, Date, Rng};
use ykt_crypto::Key16;
use ykt_issue::{CardData, ComponentData, IssueError, Profile, Progress, personalise_card};
use ykt_purse::component_card::{Label, Part};
use ykt_purse::write_key::Pin;
use ykt_terminal::component_card::{ComponentCard, ComponentCardError};
use ykt_vault::ceremony::{Component, ComponentError, Sheet, SheetKind};
use ykt_vault::{
    ImportedKey, KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, KeyValue, Levels, Origin,
    SoftVault, VaultError,
};

/// Name of the profile.
pub const PROFILE: &str = "component-card";
/// Last day a component card states; its component does not expire.
const LAST_DAY: u32 = 20_991_231;
/// The keys of the card, made for it alone.
const CONTROL: [KeyKind; 3] =
    [KeyKind::CardMaster, KeyKind::ApplicationMaster, KeyKind::ApplicationMaintenance];

/// Why a component card was not written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The card was not made.
    #[error("the component card was not made; it is not usable, take another blank one")]
    Issue(#[from] IssueError),
    /// The keys of the card were not made.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The sheet does not fit a card.
    #[error("the sheet does not fit a component card: its number, or the date, cannot be")]
    Sheet,
}

/// Why a component card was not read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The card did not give its component.
    #[error(transparent)]
    Card(#[from] ComponentCardError),
    /// What it gave is no component.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// Its algorithm is not known.
    #[error("the component card is for an algorithm that this program does not know: number {found}")]
    Algorithm {
        /// Its number.
        found: u8,
    },
}

/// What a component card gave.
pub struct CardPart {
    /// What everybody may read of it.
    pub label: Label,
    /// The component or recovery share.
    pub component: Component,
    /// KCV of the key.
    pub combined: [u8; 3],
}

/// Writes a sheet's content to the blank card in `channel`, whose transport key is the factory's.
///
/// # Errors
/// [`WriteError`]; the card is not usable then.
pub fn write(
    channel: &mut (impl CardChannel + ?Sized),
    transport: &Key16,
    sheet: &Sheet,
    pin: Pin,
    (rng, today): (&mut dyn Rng, Date),
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), WriteError> {
    let needed = match sheet.kind() {
        SheetKind::Component => 0,
        SheetKind::Share { needed } => needed,
    };
    let component = sheet.component();
    let (kcv, combined) = (component.kcv(), sheet.combined_kcv());
    let label = Label::new(sheet.number(), sheet.position(), sheet.of(), needed);
    let part = Part::new(component.algorithm().code(), component.expose(), kcv, combined);
    let (label, part) = label.zip(part).ok_or(WriteError::Sheet)?;
    let profile = Profile::named(PROFILE).ok_or(WriteError::Sheet)?;
    let last = Date::from_number(LAST_DAY).ok_or(WriteError::Sheet)?;
    let mut data = CardData::of_city(Asn8(rng_bytes(rng)), [0; 2], today, last, pin);
    data.component = Some(ComponentData { label, part });
    let vault = own_keys(transport, rng)?;
    personalise_card(channel, &vault, &profile, &data, progress)?;
    Ok(())
}

/// Reads the component card in `channel` with its custodian's PIN.
///
/// # Errors
/// [`ReadError`]: the wrong PIN with the tries left, another kind of card, or a component that does not fit its KCV.
pub fn read(channel: impl CardChannel, pin: &Pin) -> Result<CardPart, ReadError> {
    let mut card = ComponentCard::open(channel).map_err(ComponentCardError::from)?;
    let label = card.label().map_err(ComponentCardError::from)?;
    let part = card.read(pin)?;
    let found = part.algorithm;
    let algorithm = KeyAlgorithm::from_code(found).ok_or(ReadError::Algorithm { found })?;
    let component = Component::from_bytes(algorithm, part.component())?;
    let (expected, found) = (part.kcv, component.kcv());
    if expected != found {
        return Err(ComponentError::WrongKcv { expected, found }.into());
    }
    Ok(CardPart { label, component, combined: part.combined })
}

/// A vault with the factory's transport key and keys for this card alone.
fn own_keys(transport: &Key16, rng: &mut dyn Rng) -> Result<SoftVault, VaultError> {
    let vault = SoftVault::empty(Levels::nation_city_card(), Origin::Demo);
    let place = KeyPlace::root(KeyRef::new(KeyKind::CardTransport, 1, 1));
    let value = KeyValue::Tdes(transport.clone());
    vault.import(ImportedKey { place, state: KeyState::Active, value, kcv: None })?;
    for kind in CONTROL {
        let place = KeyPlace::root(KeyRef::new(kind, 1, 1));
        vault.generate(place, KeyAlgorithm::Tdes, rng)?;
        vault.change_state(&place, KeyState::Active)?;
    }
    Ok(vault)
}

fn rng_bytes(rng: &mut dyn Rng) -> [u8; 8] {
    let mut bytes = [0; 8];
    rng.fill(&mut bytes);
    bytes
}
