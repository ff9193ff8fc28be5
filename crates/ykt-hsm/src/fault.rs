//! What can go wrong between the vault and its token, and what that means to whoever asked.

use cryptoki::error::{Error, RvError};
use ykt_vault::{Health, VaultError};

/// Name of this backend in messages.
pub(crate) const BACKEND: &str = "pkcs11";

/// What an [`Outage::Empty`] says.
const EMPTY: &str = "the token holds no vault";

/// Why a piece of work with the token failed. Public in name only: the backend has to name it.
pub enum Fault {
    /// The vault's rules, or what it was asked.
    Vault(VaultError),
    /// The token.
    Token(Error),
}

impl From<VaultError> for Fault {
    fn from(error: VaultError) -> Fault {
        Fault::Vault(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Token(error)
    }
}

impl Fault {
    /// What to tell whoever asked.
    pub(crate) fn into_vault_error(self) -> VaultError {
        match self {
            Fault::Vault(error) => error,
            Fault::Token(error) => unavailable(error.to_string()),
        }
    }

    /// Whether sessions and handles are worth nothing any more, so that a new connection may help.
    pub(crate) fn is_lost_connection(&self) -> bool {
        use RvError::{
            CryptokiNotInitialized, DeviceError, DeviceRemoved, GeneralError, KeyHandleInvalid,
            ObjectHandleInvalid, SessionClosed, SessionHandleInvalid, SlotIdInvalid, TokenNotPresent,
            TokenNotRecognized, UserNotLoggedIn,
        };
        let Fault::Token(Error::Pkcs11(code, _)) = self else { return false };
        matches!(
            code,
            CryptokiNotInitialized
                | DeviceError
                | DeviceRemoved
                | GeneralError
                | KeyHandleInvalid
                | ObjectHandleInvalid
                | SessionClosed
                | SessionHandleInvalid
                | SlotIdInvalid
                | TokenNotPresent
                | TokenNotRecognized
                | UserNotLoggedIn
        )
    }
}

/// Why there is no connection with the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outage {
    /// It is not there, or its module is not.
    Gone(String),
    /// It is there and lets nobody in: its PIN.
    Locked(String),
    /// It is there, and no vault was made in it.
    Empty,
}

impl Outage {
    pub(crate) fn health(&self) -> Health {
        match self {
            Outage::Gone(reason) => Health::Gone { reason: reason.clone() },
            Outage::Locked(_) => Health::Locked,
            Outage::Empty => Health::Gone { reason: EMPTY.to_owned() },
        }
    }
}

/// What is wrong with a token that has just been opened is what keeps it from being one.
impl From<Fault> for Outage {
    fn from(fault: Fault) -> Outage {
        Outage::Gone(match fault {
            Fault::Token(error) => error.to_string(),
            Fault::Vault(VaultError::Unavailable { reason, .. }) => reason,
            Fault::Vault(error) => error.to_string(),
        })
    }
}

/// A locked token is named with its reason, too: what helps is in the reason.
impl From<Outage> for VaultError {
    fn from(outage: Outage) -> VaultError {
        unavailable(match outage {
            Outage::Gone(reason) | Outage::Locked(reason) => reason,
            Outage::Empty => EMPTY.to_owned(),
        })
    }
}

pub(crate) fn unavailable(reason: String) -> VaultError {
    VaultError::Unavailable { backend: BACKEND.to_owned(), reason }
}
