//! Why a ceremony does not go on: what was wanted, what was found, and what to do next. Never a component.

use super::{CUSTODIANS_LEN_MAX, CUSTODIANS_LEN_MIN, ComponentError, NUMBER_LEN_MAX, TEXT_LEN_MAX};
use crate::{KeyAlgorithm, KeyRef, VaultError};
use thiserror::Error;
use ykt_base::hex::Hex;

/// Why a ceremony does not go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CeremonyError {
    /// Too few or too many custodians.
    #[error("a ceremony has {CUSTODIANS_LEN_MIN} to {CUSTODIANS_LEN_MAX} custodians, found {found}")]
    Custodians {
        /// How many were named.
        found: usize,
    },
    /// One person twice.
    #[error("{name} is named twice; every component needs a person of its own")]
    SamePerson {
        /// Sign-in name.
        name: String,
    },
    /// The conducting administrator among the custodians.
    #[error("{name} conducts the ceremony and cannot be a custodian in it; name another custodian")]
    AdministratorIsCustodian {
        /// Sign-in name.
        name: String,
    },
    /// A number that cannot be.
    #[error("a ceremony's number has 1 to {NUMBER_LEN_MAX} letters, digits and dashes, found {found:?}")]
    Number {
        /// What was given.
        found: String,
    },
    /// A text that cannot stand in one line of the protocol.
    #[error("{what} has 1 to {TEXT_LEN_MAX} signs in one line, found {found:?}")]
    Text {
        /// Which one.
        what: &'static str,
        /// What was given.
        found: String,
    },
    /// Shares that cannot be.
    #[error("of {of} shares, 2 to {of} can be needed, found {found}")]
    Shares {
        /// How many custodians there are.
        of: usize,
        /// How many shares were to be needed.
        found: u8,
    },
    /// Roots without a seed, of the wrong kind, twice, or too many.
    #[error("the {key} cannot be derived in this ceremony: {reason}")]
    Root {
        /// The key.
        key: KeyRef,
        /// Why not.
        reason: &'static str,
    },
    /// Keys of this kind have other algorithms.
    #[error("a {kind} key is one of {expected}, found {found}", kind = key.kind)]
    KindAlgorithm {
        /// The key.
        key: KeyRef,
        /// Names of the algorithms.
        expected: String,
        /// The one asked for.
        found: KeyAlgorithm,
    },
    /// No component can make such a key, or this one cannot be.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// A component for another algorithm.
    #[error("this ceremony makes a key for {expected}, the component is one for {found}")]
    Algorithm {
        /// The ceremony's.
        expected: KeyAlgorithm,
        /// The component's.
        found: KeyAlgorithm,
    },
    /// Somebody who is no custodian of it.
    #[error("{name} is no custodian of this ceremony; its custodians are {custodians}")]
    NotACustodian {
        /// Sign-in name.
        name: String,
        /// Who are.
        custodians: String,
    },
    /// A custodian who has given already.
    #[error("{name} has given a component already; to change it, abort the ceremony and begin again")]
    GivenAlready {
        /// Sign-in name.
        name: String,
    },
    /// A component that another custodian gave, too.
    #[error("this component was given by another custodian already; check that everybody has his own sheet")]
    SameComponent,
    /// A share's number that cannot be, or was there.
    #[error("share number {found} is not one of 1 to {CUSTODIANS_LEN_MAX}, or was given already")]
    ShareNumber {
        /// The number given.
        found: u8,
    },
    /// A component where shares are wanted, or the other way round.
    #[error("this ceremony takes {expected}")]
    WrongPart {
        /// What it takes.
        expected: &'static str,
    },
    /// Somebody has not given yet.
    #[error("not everybody has given a component yet; missing: {names}")]
    Missing {
        /// Sign-in names.
        names: String,
    },
    /// All components together are zero.
    #[error("the components add up to zero; begin again with other components")]
    ZeroKey,
    /// Combined, the components are another key.
    #[error(
        "the parts together give another key than the one wanted: expected KCV {expected}, found {found}; check the \
         sheets' ceremony numbers, and that enough shares were given",
        expected = Hex(expected), found = Hex(found)
    )]
    WrongKey {
        /// The KCV wanted.
        expected: [u8; 3],
        /// The KCV of what was given.
        found: [u8; 3],
    },
    /// Somebody else than the administrator.
    #[error("{name} does not conduct this ceremony; {administrator} does")]
    NotTheAdministrator {
        /// Sign-in name of who tried.
        name: String,
        /// Sign-in name of who may.
        administrator: String,
    },
    /// A drawn component or a recovery share is on no sheet and no card yet.
    #[error(
        "drawn components and recovery shares must be on a sheet or a card before the end; missing: {names}"
    )]
    SheetsOpen {
        /// Sign-in names.
        names: String,
    },
    /// A sheet that was given away already, or that there is none of.
    #[error("there is no sheet for {name} now: {reason}")]
    NoSheet {
        /// Sign-in name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// The ceremony has ended.
    #[error("the ceremony has ended")]
    Ended,
    /// The vault refuses.
    #[error("the vault refuses: {0}; what is done stays done, and finishing again goes on")]
    Vault(#[from] VaultError),
}
