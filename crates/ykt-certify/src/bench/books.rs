//! What the bench knows of the card: whose it is, and what its purses must hold after everything that was answered.

use ykt_base::{Asn8, CardCounter, IssuerFactor, Mac4, PsamSerial, Random4, TerminalId, TerminalSeq};
use ykt_purse::files::{SamApplicationData, SamCardData};
use ykt_purse::grey::LockStage;
use ykt_purse::log::LogRecord;
use ykt_purse::prove::Proof;
use ykt_purse::purchase::PurchaseAnswer;
use ykt_purse::{OverdraftLimit, Purse, PurseFen, TransactionType};
use ykt_vault::{CardKeyRef, KeyAddress, KeyRef, Scheme};

/// Whose card it is: the numbers its keys are diversified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    asn: Asn8,
    factor: IssuerFactor,
    serial: PsamSerial,
    terminal: TerminalId,
}

impl Holder {
    /// A card whose numbers are not known.
    #[must_use]
    pub const fn unknown() -> Holder {
        Holder {
            asn: Asn8([0; 8]),
            factor: IssuerFactor([0; 8]),
            serial: PsamSerial([0; 10]),
            terminal: TerminalId([0; 6]),
        }
    }

    /// A user card with this EF 0015; `None` when it is too short.
    #[must_use]
    pub fn of_card(public: &[u8], place: crate::plan::FactorPlace) -> Option<Holder> {
        let asn = public.get(12..20)?.try_into().ok().map(Asn8)?;
        let factor = match place {
            crate::plan::FactorPlace::City => {
                ykt_purse::files::city_factor(public.get(2..4)?.try_into().ok()?)
            }
            crate::plan::FactorPlace::Issuer => IssuerFactor(public.get(..8)?.try_into().ok()?),
        };
        Some(Holder { asn, factor, ..Holder::unknown() })
    }

    /// A PSAM with these files, asked about the card `asn`.
    #[must_use]
    pub fn of_sam(
        card: &SamCardData,
        application: &SamApplicationData,
        terminal: TerminalId,
        asn: [u8; 8],
    ) -> Holder {
        Holder { asn: Asn8(asn), factor: application.issuer, serial: card.serial, terminal }
    }

    /// The key as this card holds it.
    #[must_use]
    pub fn address(&self, key: KeyRef) -> KeyAddress {
        match key.kind.scheme() {
            Scheme::Card => KeyAddress::Card(CardKeyRef { key, factor: self.factor, asn: self.asn }),
            Scheme::Sam => KeyAddress::Sam { key, serial: self.serial },
            Scheme::Shared | Scheme::Pair => KeyAddress::Shared(key),
        }
    }

    /// Card number.
    #[must_use]
    pub const fn asn(&self) -> &[u8; 8] {
        self.asn.as_bytes()
    }

    pub(crate) const fn card(&self) -> Asn8 {
        self.asn
    }

    pub(crate) const fn factor(&self) -> IssuerFactor {
        self.factor
    }

    pub(crate) const fn terminal(&self) -> TerminalId {
        self.terminal
    }
}

/// A transaction the card has finished in this case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    pub(super) transaction: TransactionType,
    /// The counter its MACs used.
    pub(super) used: CardCounter,
    pub(super) record: LogRecord,
    /// Whether the overdraft limit in the record is known.
    pub(super) is_limit_known: bool,
    pub(super) proof: Proof,
}

/// A grey lock the card has taken in this case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lock {
    pub(super) answer: PurchaseAnswer,
    pub(super) sequence: TerminalSeq,
    pub(super) terminal_random: Random4,
    pub(super) stage: LockStage,
    /// GTAC of the lock, TAC of the debit.
    pub(super) mac: Mac4,
}

/// One purse: what is known of it.
#[derive(Debug, Clone, Default)]
pub(super) struct PurseBooks {
    pub(super) balance: Option<PurseFen>,
    pub(super) online: Option<CardCounter>,
    pub(super) offline: Option<CardCounter>,
    pub(super) overdraft: Option<OverdraftLimit>,
    /// The grey lock of this case.
    pub(super) lock: Option<Lock>,
    /// Newest last.
    pub(super) done: Vec<Done>,
}

/// Both purses.
#[derive(Debug, Clone, Default)]
pub(super) struct Books {
    ed: PurseBooks,
    ep: PurseBooks,
}

impl Books {
    pub(super) fn of(&mut self, purse: Purse) -> &mut PurseBooks {
        match purse {
            Purse::Ed => &mut self.ed,
            Purse::Ep => &mut self.ep,
        }
    }
}

/// A PSAM: what is known of it.
#[derive(Default)]
pub(super) struct SamBooks {
    /// The sequence it gives next.
    pub(super) next: Option<TerminalSeq>,
    /// The MAC2 that the purchase or lock it signed last must get.
    pub(super) mac2: Option<Mac4>,
    /// Session of the grey lock it signed last.
    pub(super) lock: Option<ykt_crypto::SessionKey>,
    /// The key it was made to deliver.
    pub(super) delivered: Option<ykt_crypto::CardKey>,
}
