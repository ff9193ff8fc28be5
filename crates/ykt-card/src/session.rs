//! What the card knows only while it has power: what is selected, which states were reached, the challenge it
//! gave, and the transaction it has begun.

use crate::bank::PendingBank;
use crate::files::{Directory, File};
use crate::psam::{Delivered, ExpectedMac2, PendingSamLock, SamLock};
use crate::purse::{CappCache, PendingTransaction};
use crate::ticket::PendingTicket;
use crate::token::PendingDigest;
use ykt_base::StatusWord;
use ykt_base::apdu::RESPONSE_DATA_LEN_MAX;
use ykt_crypto::mac::MacState;
use ykt_crypto::sm::Bytes;
use ykt_purse::auth_code::AuthenticationCode;
use ykt_purse::create::{Access, SecurityStates};
use ykt_purse::token::PinPolicy;

/// A challenge (随机数), 4-byte ones filled with zeros: IV of secure messaging and block of EXTERNAL AUTHENTICATE.
/// It serves the very next command only.
#[derive(Clone, Copy)]
pub(crate) struct Challenge(pub(crate) [u8; 8]);

/// A transaction between its INITIALIZE and its follow-up.
pub(crate) enum Pending {
    Purse(PendingTransaction),
    SamPurchase(ExpectedMac2),
    SamLock(PendingSamLock),
    /// A MAC of CIPHER DATA that waits for more blocks.
    SamMac(MacState),
    Ticket(PendingTicket),
    Bank(PendingBank),
    /// A message that is hashed block by block.
    Digest(PendingDigest),
}

/// What the command before left for this one. It is taken from the session before the command is even read, so
/// no command but the right follow-up can keep it alive.
pub(crate) struct Carried {
    pub(crate) challenge: Option<Challenge>,
    pub(crate) pending: Option<Pending>,
}

/// Volatile state.
pub(crate) struct Session {
    pub(crate) directory: Directory,
    /// The current EF.
    pub(crate) file: Option<File>,
    mf_state: u8,
    df_state: u8,
    pin_verified: bool,
    /// No signature was made since the PIN was verified.
    pin_unspent: bool,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) pending: Option<Pending>,
    /// Records of the composite purchase that is pending, if one is.
    pub(crate) capp_cache: CappCache,
    /// Data of the answer: the one place where they are, until the next command.
    pub(crate) answer: Bytes<RESPONSE_DATA_LEN_MAX>,
    /// The status word of an answer that waits for GET RESPONSE.
    pub(crate) waiting: Option<StatusWord>,
    /// PSAM: the key DELIVERY KEY derived.
    pub(crate) delivered: Option<Delivered>,
    /// PSAM: the grey lock it will vouch for.
    pub(crate) sam_lock: Option<SamLock>,
    /// PSAM: the authentication code that was shown last, when it was genuine.
    pub(crate) genuine: Option<AuthenticationCode>,
}

impl Session {
    /// After power-on or reset: the MF is selected, nothing is proven.
    pub(crate) const fn new(master: Directory) -> Session {
        Session {
            directory: master,
            file: None,
            mf_state: 0,
            df_state: 0,
            pin_verified: false,
            pin_unspent: false,
            challenge: None,
            pending: None,
            answer: Bytes::new(),
            waiting: None,
            capp_cache: CappCache::new(),
            delivered: None,
            sam_lock: None,
            genuine: None,
        }
    }

    /// Takes what was meant for the next command only.
    pub(crate) const fn carried(&mut self) -> Carried {
        Carried { challenge: self.challenge.take(), pending: self.pending.take() }
    }

    /// Enters a directory. The state of the MF stays; that of the application left behind is gone.
    pub(crate) fn enter(&mut self, directory: Directory) {
        self.directory = directory;
        self.file = None;
        self.drop_application_state();
        self.delivered = None;
        self.sam_lock = None;
        self.genuine = None;
    }

    /// The application's state falls back to 0 and its PIN counts as not verified.
    pub(crate) const fn drop_application_state(&mut self) {
        self.df_state = 0;
        self.pin_verified = false;
    }

    /// The states rights are judged by.
    pub(crate) fn states(&self) -> SecurityStates {
        let df = if self.directory.is_master() { self.mf_state } else { self.df_state };
        SecurityStates { mf: self.mf_state, df }
    }

    /// An authentication in the current directory succeeded.
    pub(crate) fn reach(&mut self, state: u8) {
        let state = state & 0x0F;
        if self.directory.is_master() {
            self.mf_state = state;
        } else {
            self.df_state = state;
        }
    }

    /// The holder's PIN was verified in the current directory.
    pub(crate) const fn pin_was_verified(&mut self) {
        self.pin_verified = true;
        self.pin_unspent = true;
    }

    /// Whether the PIN was verified as often as a key pair wants it.
    pub(crate) const fn satisfies(&self, policy: PinPolicy) -> bool {
        match policy {
            PinPolicy::Never => true,
            PinPolicy::OncePerSession => self.pin_verified,
            PinPolicy::EachTime => self.pin_verified && self.pin_unspent,
        }
    }

    /// A signature was made: the next one that wants the PIN each time wants it again.
    pub(crate) const fn spend_pin(&mut self) {
        self.pin_unspent = false;
    }

    pub(crate) const fn is_pin_verified(&self) -> bool {
        self.pin_verified
    }

    /// # Errors
    /// 6982 when the right is not given in the states reached.
    pub(crate) fn require(&self, right: Access) -> Result<(), StatusWord> {
        if right.allows(self.states()) { Ok(()) } else { Err(StatusWord::SECURITY_STATUS) }
    }
}
