//! What can go wrong between the vault and its token, and what that means to whoever asked.

use cryptoki::context::Function;
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
            Fault::Token(error) => unavailable(in_words(&error)),
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
            Fault::Token(error) => in_words(&error),
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

/// What a token says, and what helps where we know it.
fn in_words(error: &Error) -> String {
    use Function::{DeriveKey, EncryptInit, GenerateKey, UnwrapKey, WrapKey};
    let Error::Pkcs11(code, function) = error else { return error.to_string() };
    let what_helps = match (code, function) {
        (RvError::MechanismInvalid | RvError::MechanismParamInvalid, function) => {
            let number = match function {
                DeriveKey => "derive",
                EncryptInit => "encrypt or encrypt_aes",
                GenerateKey => "generate or generate_aes",
                WrapKey | UnwrapKey => "wrap",
                _ => "a mechanism",
            };
            format!("set {number} in [vault.pkcs11.mechanisms] to the number this token has for it")
        }
        (RvError::DeviceMemory, _) => "the token is full: remove from it what is not the vault's".to_owned(),
        (RvError::TokenWriteProtected | RvError::SessionReadOnly, _) => {
            "the token takes no changes: lift its write protection".to_owned()
        }
        _ => return error.to_string(),
    };
    format!("{function:?}: {code:?}; {what_helps}")
}

pub(crate) fn unavailable(reason: String) -> VaultError {
    VaultError::Unavailable { backend: BACKEND.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where we know what helps, it is said beside what the token said.
    #[test]
    fn an_error_says_what_helps() {
        for (code, function, helps) in [
            (RvError::MechanismInvalid, Function::DeriveKey, "set derive in [vault.pkcs11.mechanisms]"),
            (RvError::MechanismParamInvalid, Function::EncryptInit, "set encrypt or encrypt_aes in"),
            (RvError::DeviceMemory, Function::CreateObject, "the token is full"),
            (RvError::TokenWriteProtected, Function::GenerateKey, "write protection"),
        ] {
            let fault = Fault::Token(Error::Pkcs11(code, function));
            assert!(!fault.is_lost_connection(), "nobody need connect anew");
            let said = fault.into_vault_error().to_string();
            assert!(said.contains(helps) && said.contains(&format!("{function:?}: {code:?}")), "{said}");
        }
    }
}
