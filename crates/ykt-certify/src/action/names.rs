//! The words of steps: transactions, purses, keys, and what can be wrong on purpose. Each is a closed list.

use crate::plan::Settings;
use serde::Deserialize;
use ykt_purse::Purse;
use ykt_vault::KeyKind;

/// A transaction of a purse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transaction {
    /// Load (圈存).
    Load,
    /// Purchase (消费).
    Purchase,
    /// Cash withdrawal (取现).
    Cash,
    /// Composite purchase (复合应用消费).
    Composite,
    /// Unload (圈提) of a deposit.
    Unload,
    /// Overdraft limit (修改透支限额) of a deposit.
    Overdraft,
    /// Grey lock (灰锁).
    GreyLock,
    /// Online unlock (联机解扣) of a grey lock.
    GreyUnlock,
}

/// A purse as plans name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum PurseName {
    /// Electronic deposit (电子存折).
    #[serde(rename = "ED")]
    Ed,
    /// Electronic purse (电子钱包).
    #[serde(rename = "EP")]
    Ep,
}

impl From<PurseName> for Purse {
    fn from(name: PurseName) -> Purse {
        match name {
            PurseName::Ed => Purse::Ed,
            PurseName::Ep => Purse::Ep,
        }
    }
}

/// A counter of a purse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CounterName {
    /// Counts loads and what the host takes part in.
    Online,
    /// Counts purchases.
    Offline,
}

/// Which PIN is shown to the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PinChoice {
    /// The right one.
    #[default]
    Right,
    /// One that differs in a digit.
    Wrong,
    /// The one a case changes to.
    Other,
}

/// What is wrong with a MAC or cryptogram that proves a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofFault {
    /// Nothing.
    #[default]
    None,
    /// A bit of it is turned over.
    WrongBit,
    /// No challenge was asked for.
    NoChallenge,
    /// It answers the challenge before the last one.
    OldChallenge,
}

/// What is wrong with the MAC of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MacFault {
    /// Nothing.
    #[default]
    None,
    /// A bit of it is turned over.
    WrongBit,
    /// Computed over another amount.
    OtherAmount,
    /// Computed over another terminal.
    OtherTerminal,
    /// Computed over another transaction type.
    OtherType,
    /// Computed over another time than the command states.
    OtherTime,
    /// Computed with the session of the INITIALIZE before the last.
    OldSession,
    /// Computed under another key.
    OtherKey,
    /// Computed under another terminal sequence than the command states.
    OtherSequence,
    /// All zeros.
    Zero,
}

/// What is wrong with a command under secure messaging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecureFault {
    /// Nothing.
    #[default]
    None,
    /// A bit of the MAC is turned over.
    WrongBit,
    /// The MAC is not there.
    NoMac,
    /// No challenge was asked for.
    NoChallenge,
    /// The MAC answers the challenge before the last one.
    OldChallenge,
    /// The MAC covers other data.
    OtherData,
    /// The MAC covers another P2.
    OtherHeader,
    /// The length byte before the data is one too large; the MAC is right.
    WrongLd,
    /// The padding is not 80 00..; the MAC is right.
    WrongPadding,
}

/// Which counter GET TRANSACTION PROVE names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofCounter {
    /// The value after the transaction.
    #[default]
    After,
    /// The value its MACs used.
    Used,
    /// The value before the one its MACs used.
    Before,
    /// A value far away.
    Other,
}

/// What GET LOCK PROOF does beside answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockProofForm {
    /// Nothing.
    #[default]
    Read,
    /// The TAC of a debit counts as read.
    Acknowledge,
}

impl From<LockProofForm> for ykt_purse::grey::LockProofForm {
    fn from(form: LockProofForm) -> ykt_purse::grey::LockProofForm {
        match form {
            LockProofForm::Read => ykt_purse::grey::LockProofForm::Read,
            LockProofForm::Acknowledge => ykt_purse::grey::LockProofForm::Acknowledge,
        }
    }
}

/// What CIPHER DATA computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CipherMode {
    /// Enciphers block by block.
    Encrypt,
    /// A MAC in one command.
    Mac,
}

macro_rules! keys {
    ($($(#[$doc:meta])+ $name:ident = $text:literal, $kind:expr;)+) => {
        /// A key, or the PIN, by the name card engineers give it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        #[serde(rename_all = "UPPERCASE")]
        pub enum KeyName {
            $($(#[$doc])+ $name,)+
        }

        impl KeyName {
            /// Every name.
            pub const ALL: &'static [KeyName] = &[$(KeyName::$name,)+];

            /// The name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(KeyName::$name => $text,)+ }
            }

            /// Its kind in a key file; `None` for the PIN.
            #[must_use]
            pub const fn kind(self) -> Option<KeyKind> {
                match self { $(KeyName::$name => $kind,)+ }
            }
        }
    };
}

keys! {
    /// Card master key (卡片主控).
    Cck = "CCK", Some(KeyKind::CardMaster);
    /// Card maintenance key (卡片维护).
    Cmk = "CMK", Some(KeyKind::CardMaintenance);
    /// Application master key (应用主控).
    Ack = "ACK", Some(KeyKind::ApplicationMaster);
    /// Application maintenance key (应用维护).
    Damk = "DAMK", Some(KeyKind::ApplicationMaintenance);
    /// Purchase key (消费).
    Dpk = "DPK", Some(KeyKind::Purchase);
    /// Load key (圈存).
    Dlk = "DLK", Some(KeyKind::Load);
    /// TAC key.
    Dtk = "DTK", Some(KeyKind::Tac);
    /// Unload key (圈提).
    Dulk = "DULK", Some(KeyKind::Unload);
    /// Overdraft limit key (透支限额).
    Duk = "DUK", Some(KeyKind::Overdraft);
    /// Online grey unlock key (联机解扣).
    Dugk = "DUGK", Some(KeyKind::GreyUnlock);
    /// PIN unblock key (解锁).
    Dpuk = "DPUK", Some(KeyKind::PinUnblock);
    /// PIN reload key (重装).
    Drpk = "DRPK", Some(KeyKind::PinReload);
    /// Internal authentication key (内部认证).
    Diak = "DIAK", Some(KeyKind::InternalAuthentication);
    /// External authentication key (外部认证).
    Deak = "DEAK", Some(KeyKind::ExternalAuthentication);
    /// PSAM master key (PSAM 主控).
    Smk = "SMK", Some(KeyKind::SamMaster);
    /// PSAM maintenance key (PSAM 维护).
    Smmk = "SMMK", Some(KeyKind::SamMaintenance);
    /// Master key of the PSAM's application.
    Sak = "SAK", Some(KeyKind::SamApplicationMaster);
    /// Maintenance key of the PSAM's application.
    Samk = "SAMK", Some(KeyKind::SamApplicationMaintenance);
    /// The holder's PIN.
    Pin = "PIN", None;
}

impl KeyName {
    /// Its index in the key file: transaction keys have the index that commands name, the others 1.
    #[must_use]
    pub const fn index(self, settings: &Settings) -> u8 {
        match self {
            KeyName::Dpk | KeyName::Dlk | KeyName::Dtk | KeyName::Dulk | KeyName::Duk | KeyName::Dugk => {
                settings.index
            }
            _ => 1,
        }
    }
}
