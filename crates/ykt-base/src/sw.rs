//! Status words (状态字): the two bytes that end every card answer (`epurse.md` 5).

use core::fmt;

/// SW1 SW2 of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusWord(pub u16);

macro_rules! status_words {
    ($($(#[$doc:meta])+ $name:ident = $value:literal, $text:literal;)+) => {
        impl StatusWord {
            $($(#[$doc])+ pub const $name: StatusWord = StatusWord($value);)+

            /// What the word means, in a few words of English; a class name for words with a count inside.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self.0 {
                    $($value => $text,)+
                    0x6100..=0x61FF => "data waiting",
                    0x63C0..=0x63CF => "wrong, tries left in the last digit",
                    0x6C00..=0x6CFF => "wrong Le, exact length in the last byte",
                    _ => "unknown status word",
                }
            }
        }
    };
}

status_words! {
    /// Done.
    OK = 0x9000, "ok";
    /// Selected file or application is locked.
    SELECTED_LOCKED = 0x6283, "selected application is locked";
    /// What was to be verified is wrong.
    VERIFICATION_FAILED = 0x6300, "verification failed";
    /// Nothing was changed.
    STATE_UNCHANGED = 0x6400, "state unchanged";
    /// The memory did not take a write.
    MEMORY_FAILURE = 0x6581, "memory failure";
    /// Lc does not fit the command.
    WRONG_LENGTH = 0x6700, "wrong length";
    /// A follow-up without its INITIALIZE, or after it was lost.
    NOT_INITIALIZED = 0x6901, "no transaction initialised";
    /// The file is of another type.
    WRONG_FILE_TYPE = 0x6981, "wrong file type";
    /// A right or PIN is missing.
    SECURITY_STATUS = 0x6982, "security status not satisfied";
    /// The key or PIN has no tries left.
    BLOCKED = 0x6983, "key or PIN blocked";
    /// No challenge was asked for by the command before.
    NO_CHALLENGE = 0x6984, "no challenge";
    /// Conditions of use are not met.
    CONDITIONS = 0x6985, "conditions of use not satisfied";
    /// No elementary file is selected.
    NO_CURRENT_FILE = 0x6986, "no current file";
    /// The secure-messaging MAC is not there.
    MAC_MISSING = 0x6987, "secure messaging MAC missing";
    /// The secure-messaging MAC is wrong.
    MAC_WRONG = 0x6988, "secure messaging MAC wrong";
    /// The data field is wrong.
    WRONG_DATA = 0x6A80, "wrong data";
    /// Function not supported, or application or card blocked.
    NOT_SUPPORTED = 0x6A81, "not supported, or blocked";
    /// No such file or application.
    NOT_FOUND = 0x6A82, "file or application not found";
    /// No such record.
    RECORD_NOT_FOUND = 0x6A83, "record not found";
    /// The memory or the file is full.
    NO_SPACE = 0x6A84, "not enough space";
    /// P1 or P2 is wrong.
    WRONG_P1P2 = 0x6A86, "wrong P1 or P2";
    /// No such key.
    KEY_NOT_FOUND = 0x6A88, "key not found";
    /// Offset is past the end of the file.
    WRONG_OFFSET = 0x6B00, "offset past the end";
    /// Unknown instruction.
    UNKNOWN_INS = 0x6D00, "unknown instruction";
    /// Unknown class.
    UNKNOWN_CLA = 0x6E00, "unknown class";
    /// No diagnosis.
    NO_DIAGNOSIS = 0x6F00, "no diagnosis";
    /// A transaction MAC is wrong.
    TRANSACTION_MAC_WRONG = 0x9302, "transaction MAC wrong";
    /// The application is locked for good.
    PERMANENTLY_LOCKED = 0x9303, "application permanently locked";
    /// The balance is too small.
    INSUFFICIENT_FUNDS = 0x9401, "insufficient funds";
    /// The transaction counter is used up.
    COUNTER_AT_MAXIMUM = 0x9402, "transaction counter at maximum";
    /// The card has no key of that index.
    KEY_INDEX = 0x9403, "key index not supported";
    /// The proof asked for is not there.
    PROOF_NOT_AVAILABLE = 0x9406, "proof not available";
    /// The purse is grey-locked.
    GREY_LOCKED = 0x9408, "purse is grey-locked";
}

impl StatusWord {
    /// Wrong PIN or cryptogram with `left` tries left (0..=15): 63Cx.
    #[must_use]
    pub fn tries_left(left: u8) -> StatusWord {
        StatusWord(0x63C0 | u16::from(left & 0x0F))
    }

    /// `len` bytes wait for GET RESPONSE (0: 256): 61xx.
    #[must_use]
    pub fn data_waiting(len: u8) -> StatusWord {
        StatusWord(0x6100 | u16::from(len))
    }

    /// Wrong Le; the exact length is `exact`: 6Cxx.
    #[must_use]
    pub fn exact_length(exact: u8) -> StatusWord {
        StatusWord(0x6C00 | u16::from(exact))
    }

    /// Whether this is 9000.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == 0x9000
    }

    /// The two bytes on the wire.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X} ({})", self.0, self.meaning())
    }
}

impl fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}
