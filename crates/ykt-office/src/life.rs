//! State machines as tables: a state, what may happen in it, and the state after.
//!
//! Cards and terminals live by such tables (`clearing.md` 10). An illegal step is refused with the state, the
//! step, and what would be allowed, so that the person at the desk knows what to do instead.

use std::fmt;

/// A state or an event that people read about.
pub(crate) trait Named: Copy + PartialEq + 'static {
    /// The word for it.
    fn word(self) -> &'static str;
}

/// One row: in the first state, when the event happens, the state is the second.
pub(crate) type Row<S, E> = (S, E, S);

/// A step that the state does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IllegalStep {
    /// What was to happen.
    pub event: &'static str,
    /// The state it was to happen in.
    pub from: &'static str,
    /// What may happen in that state; empty in a final state.
    pub allowed: Vec<&'static str>,
}

impl fmt::Display for IllegalStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not possible in state \"{}\"; ", self.event, self.from)?;
        if self.allowed.is_empty() {
            f.write_str("that state is final")
        } else {
            write!(f, "possible there: {}", self.allowed.join(", "))
        }
    }
}

impl std::error::Error for IllegalStep {}

/// The state after `event`.
pub(crate) fn after<S: Named, E: Named>(table: &[Row<S, E>], from: S, event: E) -> Result<S, IllegalStep> {
    let row = table.iter().find(|(state, what, _)| *state == from && *what == event);
    row.map(|(_, _, to)| *to).ok_or_else(|| IllegalStep {
        event: event.word(),
        from: from.word(),
        allowed: allowed(table, from).map(Named::word).collect(),
    })
}

/// What may happen in state `from`.
pub(crate) fn allowed<S: Named, E: Named>(table: &[Row<S, E>], from: S) -> impl Iterator<Item = E> {
    table.iter().filter(move |(state, _, _)| *state == from).map(|(_, event, _)| *event)
}

/// An enum with a stored number, a name for people, and the way back from both.
macro_rules! coded {
    (
        $(#[$doc:meta])+ $name:ident {
            $($(#[$variant_doc:meta])+ $variant:ident = $code:literal, $text:literal;)+
        }
    ) => {
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])+ $variant,)+
        }

        impl $name {
            /// All of them, in the order of their codes.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The code in files and in the database.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $($name::$variant => $code,)+
                }
            }

            /// From its code.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<$name> {
                match code {
                    $($code => Some($name::$variant),)+
                    _ => None,
                }
            }

            /// The word for it, in English, as messages and logs show it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }
        }

        impl From<$name> for ykt_store::Value<'_> {
            fn from(value: $name) -> Self {
                value.code().into()
            }
        }

        impl ykt_store::Column<'_> for $name {
            const EXPECTED: &'static str = concat!("the code of a ", stringify!($name));
            fn from_value(value: ykt_store::Value<'_>) -> Option<$name> {
                u8::from_value(value).and_then($name::from_code)
            }
        }

        impl $crate::life::Named for $name {
            fn word(self) -> &'static str {
                self.name()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}
pub(crate) use coded;
