//! Why the simulation stops, gathered from every room it lives in.

use crate::books::BooksError;
use crate::company::CompanyError;
use crate::factory::FactoryError;
use crate::gateway::GatewayError;
use crate::proof::ReadError;
use crate::street::StreetError;
use std::path::PathBuf;
use ykt_clearing::{CloseError, FolderError, ReceiveError};
use ykt_files::FileError;
use ykt_ledger::PostError;
use ykt_office::RegisterError;
use ykt_pay::PayError;
use ykt_store::StoreError;
use ykt_terminal::batch::BatchError;
use ykt_terminal::blacklist::BlacklistTooLong;
use ykt_terminal::host::OrderIdError;
use ykt_terminal::pos::PosError;
use ykt_vault::SealError;

/// Why the simulation stops. Money that does not add up is no such reason: the proof says that.
#[derive(Debug, thiserror::Error)]
pub enum CityError {
    /// The directory is not empty.
    #[error("data directory {}: it is not empty; name a new one, or remove it first", .0.display())]
    NotEmpty(PathBuf),
    /// The directory cannot be used.
    #[error("data directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// More terminals of one merchant than a day has file numbers.
    #[error(
        "{terminals} terminals for {merchants} merchants: a merchant can have at most {most} in this city"
    )]
    TooDense {
        /// Terminals asked for.
        terminals: usize,
        /// Merchants asked for.
        merchants: usize,
        /// Terminals that one merchant can have.
        most: usize,
    },
    /// The company could not do its work.
    #[error(transparent)]
    Company(#[from] CompanyError),
    /// The factory could not make a card.
    #[error(transparent)]
    Factory(#[from] FactoryError),
    /// A card or terminal is out of order.
    #[error(transparent)]
    Street(#[from] StreetError),
    /// A terminal is out of order.
    #[error(transparent)]
    Pos(#[from] PosError),
    /// A batch cannot be written.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Clearing did not take a file.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// A folder failed.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A day could not be closed.
    #[error(transparent)]
    Close(#[from] CloseError),
    /// The night's work on bank and channel could not be done.
    #[error(transparent)]
    Books(#[from] BooksError),
    /// The gateway refused.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// An order could not be given back.
    #[error(transparent)]
    Pay(#[from] PayError),
    /// A register refused.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The ledger refused.
    #[error(transparent)]
    Post(#[from] PostError),
    /// The black list is too long for a terminal.
    #[error(transparent)]
    Blacklist(#[from] BlacklistTooLong),
    /// An order id is none.
    #[error(transparent)]
    OrderId(#[from] OrderIdError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A card could not be read for the proof.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The vault could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A date left the calendar.
    #[error("the simulated days leave the calendar")]
    Calendar,
}
