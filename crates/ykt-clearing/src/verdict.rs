//! Why a record is not simply accepted, and what became of it: causes of the validation chain (`clearing.md` 3)
//! and states. A record without a verdict of its own in a judged day is accepted; that is the rule, and rules
//! take no space.

use ykt_files::RefuseCause;

macro_rules! causes {
    ($($(#[$doc:meta])+ $name:ident = $number:literal, $step:literal, $code:literal, $ss:ident, $text:literal;)+) => {
        /// Why a record was not simply accepted. `V16` (cancelled card), `V18` (expired card) and `V19` (rules of
        /// the operator's own) are not judged here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Cause {
            $($(#[$doc])+ $name,)+
        }

        impl Cause {
            /// Every cause, in the order of the chain.
            pub const ALL: &'static [Cause] = &[$(Cause::$name,)+];

            /// Number in the database.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self {
                    $(Cause::$name => $number,)+
                }
            }

            /// Step of the chain, `V01` to `V17`.
            #[must_use]
            pub const fn step(self) -> &'static str {
                match self {
                    $(Cause::$name => $step,)+
                }
            }

            /// Our code, `E01` and so on.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Cause::$name => $code,)+
                }
            }

            /// Cause in the answer to the merchant when the record arrives (`clearing.md` 2.1).
            #[must_use]
            pub const fn answer(self) -> RefuseCause {
                match self {
                    $(Cause::$name => RefuseCause::$ss,)+
                }
            }

            /// In a few words of English.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Cause::$name => $text,)+
                }
            }
        }
    };
}

causes! {
    /// A field of the line is not what its layout says.
    Illegal = 1, "V01", "E02", Illegal, "illegal field";
    /// The same record stands in the file before.
    DuplicateInFile = 2, "V02", "E03", Duplicate, "duplicate inside the file";
    /// The same record came in another file and is accepted.
    DuplicateInHistory = 3, "V03", "E03", Duplicate, "duplicate of an accepted record";
    /// No pair with that PSAM is registered for that time.
    PsamUnknown = 4, "V04", "E08", Other, "PSAM unknown or not in use";
    /// No such terminal is registered for the merchant.
    TerminalUnknown = 5, "V05", "E09", Other, "terminal unknown";
    /// POS and PSAM were not a pair at that time.
    PairMismatch = 6, "V06", "E0A", Other, "POS and PSAM no pair at that time";
    /// The merchant has no contract, neither on the day of the purchase nor on the clearing day.
    NoContract = 7, "V07", "E0B", Other, "no settlement unit";
    /// No such card is registered.
    CardUnknown = 8, "V08", "E0C", Other, "card unknown";
    /// A test card: kept apart, never settled.
    TestCard = 9, "V09", "E06t", Test, "test card";
    /// The TAC does not fit the record.
    TacWrong = 10, "V10", "E01", Tac, "TAC wrong";
    /// The vault has no TAC key of the card's version, so the TAC is neither right nor wrong.
    KeyVersionUnknown = 11, "V10", "E0K", Other, "TAC key version unknown";
    /// The debit was not confirmed; the card's next records tell.
    Grey = 12, "V11", "E04", Grey, "grey: debit not confirmed";
    /// The card's next records do not agree with the grey record's balances.
    GreyDisagrees = 13, "V11", "E04", Grey, "grey: balances do not agree";
    /// The purchase is too old, or in the future.
    Overdue = 14, "V12", "E05", Overdue, "overdue, or in the future";
    /// The amount is nothing, above the single limit, or above the balance before.
    AmountSuspicious = 15, "V13", "E07", Other, "amount suspicious";
    /// Another record with a right TAC has the same card counter or the same PSAM sequence.
    Conflict = 16, "V03", "E31", Other, "conflict: same key, other content";
    /// The TAC is right, but its card counter was booked from a grey record that the card's next records proved.
    GreyBooked = 18, "V03", "E31", Other, "conflict: counter booked from a grey record";
    /// The card was lost: who bears the purchase depends on the list.
    LostCard = 17, "V17", "E22", Other, "lost card";
}

impl Cause {
    /// The cause of a number in the database.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Cause> {
        Cause::ALL.iter().copied().find(|cause| cause.number() == number)
    }

    /// Whether a record parked for this cause is judged again every day, because what was missing may have been
    /// registered since.
    #[must_use]
    pub const fn is_judged_again(self) -> bool {
        matches!(
            self,
            Cause::PsamUnknown
                | Cause::TerminalUnknown
                | Cause::PairMismatch
                | Cause::NoContract
                | Cause::CardUnknown
                | Cause::KeyVersionUnknown
        )
    }

    /// Cause in the answer to the merchant when a parked record is refused for good on a later day.
    #[must_use]
    pub const fn answer_again(self) -> RefuseCause {
        match self.answer() {
            RefuseCause::Illegal => RefuseCause::IllegalAgain,
            RefuseCause::Duplicate => RefuseCause::DuplicateAgain,
            RefuseCause::Grey => RefuseCause::GreyAgain,
            _ => RefuseCause::AdjustmentRefused,
        }
    }
}

impl From<Cause> for ykt_store::Value<'_> {
    fn from(cause: Cause) -> Self {
        cause.number().into()
    }
}

impl ykt_store::Column<'_> for Cause {
    const EXPECTED: &'static str = "the number of a cause";
    fn from_value(value: ykt_store::Value<'_>) -> Option<Cause> {
        u8::from_value(value).and_then(Cause::from_number)
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.text())
    }
}

ykt_store::coded! {
    /// What became of a record that has a verdict of its own.
    State {
        /// Refused for good; the merchant bears it.
        Refused = 1, "refused";
        /// Waiting: for the card's next record, for a registration, or for people.
        Parked = 2, "parked";
        /// Of a test card: kept apart.
        Test = 3, "test";
        /// Accepted after it was parked, or grey and proven on the day it came.
        Accepted = 4, "accepted";
        /// Accepted for the merchant; the operator bears it and the purse is not charged.
        OperatorBears = 5, "operator bears";
        /// A grey record that debited nothing.
        Void = 6, "void";
    }
}

impl State {
    /// Whether the merchant is paid for the record.
    #[must_use]
    pub const fn is_paid(self) -> bool {
        matches!(self, State::Accepted | State::OperatorBears)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `clearing.md` 2.1: V01 02; V02, V03 03; V09 06; V10 01; V11 04; V12 05; others 90.
    #[test]
    fn answers_follow_the_table() {
        for cause in Cause::ALL {
            let expected = match (cause.step(), cause) {
                (_, Cause::Conflict | Cause::GreyBooked | Cause::KeyVersionUnknown) => RefuseCause::Other,
                ("V01", _) => RefuseCause::Illegal,
                ("V02" | "V03", _) => RefuseCause::Duplicate,
                ("V09", _) => RefuseCause::Test,
                ("V10", _) => RefuseCause::Tac,
                ("V11", _) => RefuseCause::Grey,
                ("V12", _) => RefuseCause::Overdue,
                _ => RefuseCause::Other,
            };
            assert_eq!(cause.answer(), expected, "{}", cause.text());
            assert_eq!(Cause::from_number(cause.number()), Some(*cause));
        }
        assert_eq!(Cause::from_number(0), None);
    }
}
