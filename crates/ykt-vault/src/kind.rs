//! What keys are for (密钥种类, `keys-and-ca.md` 1), and how each kind finds its way down to one card.

use crate::value::KeyAlgorithm;
use core::fmt;
use ykt_purse::key_card::IssueKind;
use ykt_purse::write_key::KeyUsage;

/// How a kind of key is diversified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Down the levels of the vault to one user card.
    Card,
    /// One level, by the serial number of the PSAM or key card (its last eight bytes).
    Sam,
    /// Not at all: one value for every card of a batch or scheme.
    Shared,
    /// Not at all: a key pair, which signs.
    Pair,
}

macro_rules! kinds {
    ($($(#[$doc:meta])+ $name:ident = $code:literal, $text:literal, $scheme:ident, $usage:expr;)+) => {
        /// What a key is for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum KeyKind {
            $($(#[$doc])+ $name,)+
        }

        impl KeyKind {
            /// Every kind.
            pub const ALL: &'static [KeyKind] = &[$(KeyKind::$name,)+];

            /// Name in key files and lists.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(KeyKind::$name => $text,)+ }
            }

            /// Number in sealed files; never changes.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(KeyKind::$name => $code,)+ }
            }

            /// How it is diversified.
            #[must_use]
            pub const fn scheme(self) -> Scheme {
                match self { $(KeyKind::$name => Scheme::$scheme,)+ }
            }

            /// What it is on a user card: P2 of WRITE KEY. `None` for keys that no user card holds.
            #[must_use]
            pub const fn card_usage(self) -> Option<KeyUsage> {
                match self { $(KeyKind::$name => $usage,)+ }
            }
        }
    };
}

kinds! {
    /// Card master key CCK (卡片主控).
    CardMaster = 1, "card-master", Card, Some(KeyUsage::ExternalAuthentication);
    /// Card maintenance key (卡片维护).
    CardMaintenance = 2, "card-maintenance", Card, Some(KeyUsage::LineProtection);
    /// Application master key (应用主控).
    ApplicationMaster = 3, "application-master", Card, Some(KeyUsage::ExternalAuthentication);
    /// Application maintenance key DAMK (应用维护).
    ApplicationMaintenance = 4, "application-maintenance", Card, Some(KeyUsage::LineProtection);
    /// Purchase key DPK (消费); in a PSAM as its working key.
    Purchase = 5, "purchase", Card, Some(KeyUsage::Purchase);
    /// Load key DLK (圈存).
    Load = 6, "load", Card, Some(KeyUsage::Load);
    /// Unload key DULK (圈提).
    Unload = 7, "unload", Card, Some(KeyUsage::Unload);
    /// Overdraft limit key DUK (透支).
    Overdraft = 8, "overdraft", Card, Some(KeyUsage::Overdraft);
    /// TAC key DTK.
    Tac = 9, "tac", Card, Some(KeyUsage::InternalTac);
    /// PIN unblock key DPUK (PIN 解锁).
    PinUnblock = 10, "pin-unblock", Card, Some(KeyUsage::PinUnblock);
    /// PIN reload key DRPK (PIN 重装).
    PinReload = 11, "pin-reload", Card, Some(KeyUsage::PinReload);
    /// Internal authentication key (内部认证).
    InternalAuthentication = 12, "internal-authentication", Card, Some(KeyUsage::InternalTac);
    /// External authentication key (外部认证).
    ExternalAuthentication = 13, "external-authentication", Card, Some(KeyUsage::ExternalAuthentication);
    /// Transport key of blank user cards (传输密钥).
    CardTransport = 14, "card-transport", Shared, None;
    /// Transport key of blank PSAMs.
    SamTransport = 15, "psam-transport", Shared, None;
    /// The centre's initialisation key of PSAMs: between transport and master (`keys-and-ca.md` 5, step 1).
    SamInitialisation = 16, "psam-initialisation", Shared, None;
    /// PSAM master key (PSAM 主控).
    SamMaster = 17, "psam-master", Sam, None;
    /// PSAM maintenance key (PSAM 维护).
    SamMaintenance = 18, "psam-maintenance", Sam, None;
    /// Master key of the PSAM's application.
    SamApplicationMaster = 19, "psam-application-master", Sam, None;
    /// Maintenance key of the PSAM's application.
    SamApplicationMaintenance = 20, "psam-application-maintenance", Sam, None;
    /// Online grey unlock key DUGK (联机解扣).
    GreyUnlock = 21, "grey-unlock", Card, Some(KeyUsage::GreyUnlock);
    /// Key of authentication codes (安全认证码): the code stands on the card, its key in PSAMs only.
    AuthenticationCode = 22, "authentication-code", Shared, None;
    /// Ticket issue key (电子票据写入).
    TicketIssue = 23, "ticket-issue", Card, Some(KeyUsage::TicketIssue);
    /// Ticket redemption key (电子票据核销).
    TicketRedeem = 24, "ticket-redeem", Card, Some(KeyUsage::TicketRedeem);
    /// TAC key of tickets.
    TicketTac = 25, "ticket-tac", Card, Some(KeyUsage::InternalTac);
    /// A bank's key on its card in the SIM (银行卡); its card number is the bank's reference.
    BankCard = 26, "bank-card", Card, Some(KeyUsage::BankCard);
    /// Transport key of blank key cards.
    KeyCardTransport = 27, "key-card-transport", Shared, None;
    /// Key card master key (母卡主控).
    KeyCardMaster = 28, "key-card-master", Sam, None;
    /// Master key of the key card's application.
    KeyCardApplicationMaster = 29, "key-card-application-master", Sam, None;
    /// Maintenance key of the key card's application.
    KeyCardApplicationMaintenance = 30, "key-card-application-maintenance", Sam, None;
    /// The key that unblocks the PIN of a key card's operator.
    KeyCardPinUnblock = 31, "key-card-pin-unblock", Sam, None;
    /// The key PINs of cards are made from (PIN 密钥).
    Pin = 32, "pin", Card, None;
    /// Enciphers recharges by short message, KIc (短信充值).
    SmsKic = 33, "sms-kic", Card, None;
    /// Signs recharges by short message, KID.
    SmsKid = 34, "sms-kid", Card, None;
    /// Key A of the sectors of M1 cards.
    M1SectorA = 35, "m1-sector-a", Card, None;
    /// Key B of the sectors of M1 cards.
    M1SectorB = 36, "m1-sector-b", Card, None;
    /// A bank card's application cryptograms (AC).
    BankAc = 37, "bank-ac", Card, None;
    /// A bank card's script MACs.
    BankMac = 38, "bank-mac", Card, None;
    /// A bank card's enciphered script data.
    BankEnc = 39, "bank-enc", Card, None;
    /// The seed roots are derived from (种子).
    Seed = 40, "seed", Shared, None;
    /// Keys leave one vault for another under it.
    KeyTransport = 41, "key-transport", Shared, None;
    /// Signs checkpoints of the audit log and protocols of ceremonies.
    Signing = 42, "signing", Pair, None;
}

impl KeyKind {
    /// What it is on a key card (`keys-and-ca.md` 4). `None` for keys that no key card carries.
    #[must_use]
    pub const fn issue_kind(self) -> Option<IssueKind> {
        match (self, self.card_usage()) {
            (KeyKind::CardTransport, _) => Some(IssueKind::Transport),
            (KeyKind::CardMaster, _) => Some(IssueKind::CardMaster),
            (KeyKind::CardMaintenance, _) => Some(IssueKind::CardMaintenance),
            (KeyKind::ApplicationMaster, _) => Some(IssueKind::ApplicationMaster),
            (_, Some(usage)) => Some(IssueKind::Application(usage)),
            (_, None) => None,
        }
    }

    /// What a key of this kind may compute with, the usual first. Cards know 3DES and SM4.
    #[must_use]
    pub const fn algorithms(self) -> &'static [KeyAlgorithm] {
        match self {
            KeyKind::KeyTransport => &[KeyAlgorithm::Aes256, KeyAlgorithm::Tdes, KeyAlgorithm::Sm4],
            KeyKind::Signing => &[KeyAlgorithm::Sm2],
            _ => &[KeyAlgorithm::Tdes, KeyAlgorithm::Sm4],
        }
    }

    /// Whether it is the transport key of blank cards: their maker's, so that it is imported and never made here.
    #[must_use]
    pub const fn is_of_blanks(self) -> bool {
        matches!(self, KeyKind::CardTransport | KeyKind::SamTransport | KeyKind::KeyCardTransport)
    }

    /// Whether it serves the key centre alone: it makes no command and no MAC, and goes to no card. Whoever had
    /// blocks enciphered under a seed would have roots.
    #[must_use]
    pub const fn is_of_centre(self) -> bool {
        matches!(self, KeyKind::Seed | KeyKind::KeyTransport | KeyKind::Signing)
    }

    /// The kind of a name, or `None`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<KeyKind> {
        KeyKind::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The kind of a number in a sealed file, or `None`.
    #[must_use]
    pub fn from_code(code: u8) -> Option<KeyKind> {
        KeyKind::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where keys come from: never mix a demonstration's with a city's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Made from a seed or printed in a document: worth nothing.
    Demo,
    /// Made from real randomness, or brought in by a ceremony.
    Production,
}

impl Origin {
    /// Name in key files and lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Origin::Demo => "demo",
            Origin::Production => "production",
        }
    }

    /// The origin of a name, or `None`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Origin> {
        [Origin::Demo, Origin::Production].into_iter().find(|origin| origin.name() == name)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A key's life (`keys-and-ca.md` 1): generated → active → retired → (active | destroyed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// Made or brought in, not in use yet.
    Generated,
    /// In use: written to cards, signs and checks.
    Active,
    /// Signs and checks for cards that hold it; written to no card any more.
    Retired,
    /// Gone; only its record is left.
    Destroyed,
}

impl KeyState {
    /// Every state.
    pub const ALL: [KeyState; 4] =
        [KeyState::Generated, KeyState::Active, KeyState::Retired, KeyState::Destroyed];

    /// Name in lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            KeyState::Generated => "generated",
            KeyState::Active => "active",
            KeyState::Retired => "retired",
            KeyState::Destroyed => "destroyed",
        }
    }

    /// Number in sealed files; never changes.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            KeyState::Generated => 0,
            KeyState::Active => 1,
            KeyState::Retired => 2,
            KeyState::Destroyed => 3,
        }
    }

    /// Whether a key of this state may become one of `next`.
    #[must_use]
    pub const fn may_become(self, next: KeyState) -> bool {
        matches!(
            (self, next),
            (KeyState::Generated, KeyState::Active | KeyState::Destroyed)
                | (KeyState::Active, KeyState::Retired)
                | (KeyState::Retired, KeyState::Active | KeyState::Destroyed)
        )
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_numbers_are_unique_and_come_back() {
        let names: BTreeSet<_> = KeyKind::ALL.iter().map(|kind| kind.name()).collect();
        let codes: BTreeSet<_> = KeyKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!((names.len(), codes.len()), (KeyKind::ALL.len(), KeyKind::ALL.len()));
        for kind in KeyKind::ALL {
            assert_eq!(KeyKind::from_name(kind.name()), Some(*kind));
            assert_eq!(KeyKind::from_code(kind.code()), Some(*kind));
            assert!(kind.card_usage().is_none() || kind.scheme() == Scheme::Card);
            let signs = kind.algorithms() == [KeyAlgorithm::Sm2];
            assert_eq!(signs, kind.scheme() == Scheme::Pair, "{kind}");
        }
        assert_eq!(Origin::from_name("production"), Some(Origin::Production));
        assert_eq!(Origin::from_name("Production"), None);
    }

    #[test]
    fn nothing_comes_back_from_destruction() {
        for next in KeyState::ALL {
            assert!(!KeyState::Destroyed.may_become(next));
            assert!(!next.may_become(next));
        }
        assert!(KeyState::Retired.may_become(KeyState::Active));
        assert!(!KeyState::Active.may_become(KeyState::Destroyed), "retire first");
    }
}
