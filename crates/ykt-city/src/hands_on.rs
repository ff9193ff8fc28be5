//! What the city leaves for people who want to go on with it: users who can sign in, the sealed vault, a card
//! and a PSAM that are registered and have not been used, and a token for a load terminal.
//!
//! Everything here is known to the whole world and marked as demonstration; a production configuration refuses
//! the vault and the password.

use crate::city::{City, PARTNERS};
use crate::company::{self, BANK_NAME, CompanyError, RESERVE_ACCOUNT};
use crate::factory::{Factory, FactoryError};
use std::path::{Path, PathBuf};
use ykt_base::{Date, DateTime, KeyVersion, PosNo, Rng};
use ykt_clearing::Tray;
use ykt_office::people::{
    DEMO_PASSWORD, FirstPassword, NewUser, Password, People, PeopleError, Role, SignInRules,
};
use ykt_office::terminals::{self, NewTerminal, Pair, TerminalEvent};
use ykt_office::{Act, RegisterError, cards};
use ykt_store::{Store, StoreError};
use ykt_terminal::transport::image::{FileMemory, ImageError};
use ykt_vault::{Hardness, SealError, Unlock};

/// Passphrase of the demo's sealed vault.
pub const DEMO_PASSPHRASE: &str = "linjiang demo vault";
/// Bearer token of the demo's load terminal.
pub const DEMO_TOKEN: &str = "demo-load-terminal-2144-0001";
/// The demo's users: sign-in name, full name, role.
pub const USERS: [(&str, &str, Role); 9] = [
    ("operator", "Lin Xiaoyun 林晓云", Role::Operator),
    ("finance", "Jiang Wenbo 江文博", Role::Finance),
    ("auditor", "Shen Mingyuan 沈明远", Role::Auditor),
    ("security", "Qin Yufei 秦羽飞", Role::Security),
    ("custodian1", "Gu Qingyi 顾清怡", Role::Custodian),
    ("custodian2", "Bai Ruchuan 白如川", Role::Custodian),
    ("custodian3", "Tang Zhiyuan 唐致远", Role::Custodian),
    ("keys1", "Song Anlan 宋安澜", Role::KeyAdministrator),
    ("keys2", "He Jingshu 何敬书", Role::KeyAdministrator),
];

/// Why something could not be left.
#[derive(Debug, thiserror::Error)]
pub enum HandsOnError {
    /// A user could not be added.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// A register refused.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// A number does not fit.
    #[error(transparent)]
    Company(#[from] CompanyError),
    /// The factory could not make card or PSAM.
    #[error(transparent)]
    Factory(#[from] FactoryError),
    /// A card file could not be written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The vault could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Adds the demo's users.
///
/// # Errors
/// [`HandsOnError`] when one cannot be added.
pub fn add_users(store: &Store, rng: &mut dyn Rng, at: DateTime) -> Result<(), HandsOnError> {
    let people = People::new(store.clone(), SignInRules::default(), rng).map_err(PeopleError::from)?;
    let act = Act::of_system("founding", at);
    for (place, (name, full_name, role)) in USERS.into_iter().enumerate() {
        let number = format!("LJ-{:04}", place.saturating_add(1)).parse();
        let user = NewUser {
            name: name.to_owned(),
            full_name: full_name.to_owned(),
            role,
            staff_number: number.ok(),
            first_password: FirstPassword::MayStay,
        };
        people.add(&user, &Password::new(DEMO_PASSWORD.to_owned()), rng, &act)?;
    }
    Ok(())
}

/// Files that were left in the data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// A city card, registered and empty.
    pub card: PathBuf,
    /// A PSAM, registered as a terminal of the first merchant.
    pub psam: PathBuf,
    /// Number of the POS the PSAM is registered in.
    pub pos: PosNo,
    /// Where its merchant's batch files are handed in.
    pub upload: PathBuf,
    /// Configuration for `ykt serve`.
    pub config: PathBuf,
}

/// Leaves vault, configuration, card and PSAM in the data directory `dir` of a city that has lived its days.
///
/// # Errors
/// [`HandsOnError`] naming what could not be left.
pub fn leave(city: &City, dir: &Path, rng: &mut dyn Rng, at: DateTime) -> Result<Left, HandsOnError> {
    let unlock = Unlock::passphrase(DEMO_PASSPHRASE);
    city.vault().seal(&dir.join("vault.sealed"), &unlock, Hardness::STANDARD, rng)?;
    write(&dir.join("vault.passphrase"), &format!("{DEMO_PASSPHRASE}\n"))?;
    write(&dir.join("api.tokens"), &format!("demo-terminal loads {DEMO_TOKEN}\n"))?;
    let config = dir.join("ykt.toml");
    write(&config, &configuration(dir))?;
    register(city, at)?;
    let scale = city.scale();
    let factory = Factory::new(&**city.vault(), founding_day(city)?, scale.seed);
    let card = dir.join("hands-on.card");
    factory.card_in(FileMemory::create(&card, ykt_card::IMAGE_LEN_DEMO)?, scale.cards)?;
    let psam = dir.join("hands-on.psam");
    factory.psam_in(FileMemory::create(&psam, ykt_card::IMAGE_LEN_DEMO)?, scale.terminals)?;
    let merchant = company::merchant_code(0)?;
    let upload = dir.join(PARTNERS).join(merchant.as_str()).join(Tray::Upload.name());
    Ok(Left { card, psam, pos: company::pos_number(scale.terminals)?, upload, config })
}

/// The card and the terminal enter the registers under the numbers that follow the city's own.
fn register(city: &City, at: DateTime) -> Result<(), HandsOnError> {
    let (card, terminal) = (city.scale().cards, city.scale().terminals);
    let act = Act::of_system("hands-on", at);
    let new = company::new_card(card, founding_day(city)?, KeyVersion(1))?;
    let pos = company::pos_number(terminal)?;
    let merchant = company::merchant_code(0)?;
    let pair = Pair {
        pos,
        terminal_id: company::terminal_id(terminal)?,
        psam_serial: company::psam_serial(terminal)?,
        from: at,
        until: None,
    };
    city.store().write(|tx| {
        cards::register(tx, &[new], &act)?;
        cards::issue(tx, &[new.asn], &act)?;
        terminals::register(tx, &NewTerminal { pos, merchant }, &act)?;
        terminals::pair(tx, &pair, &act)?;
        terminals::change(tx, &pos, TerminalEvent::Start, &act)?;
        Ok(())
    })
}

fn founding_day(city: &City) -> Result<Date, CompanyError> {
    city.scale().founding_day().ok_or(CompanyError::Range("founding day"))
}

fn configuration(dir: &Path) -> String {
    let path = |name: &str| format!("{:?}", dir.join(name).to_string_lossy());
    format!(
        "# The demo city: start it with `ykt serve --config {}`.\n\
         environment = \"demo\"\n\
         data = {:?}\n\n\
         [vault]\n\
         passphrase_file = {}\n\n\
         [api]\n\
         tokens_file = {}\n\n\
         [clearing]\n\
         payer_account = {RESERVE_ACCOUNT:?}\n\
         payer_bank = {BANK_NAME:?}\n",
        dir.join("ykt.toml").display(),
        dir.to_string_lossy(),
        path("vault.passphrase"),
        path("api.tokens"),
    )
}

fn write(path: &Path, text: &str) -> Result<(), HandsOnError> {
    std::fs::write(path, text).map_err(|source| HandsOnError::File { path: path.to_owned(), source })
}
