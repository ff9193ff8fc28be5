//! Closed lists that are kept as numbers: a list, its numbers and its words in one place.

/// An enum with a number in the tables and a word for people, and the way back from the number.
macro_rules! numbered {
    (
        $(#[$doc:meta])+ $name:ident {
            $($(#[$variant_doc:meta])+ $variant:ident = $number:literal, $text:literal;)+
        }
    ) => {
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])+ $variant,)+
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// Number in the tables.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self {
                    $($name::$variant => $number,)+
                }
            }

            /// From that number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<$name> {
                match number {
                    $($number => Some($name::$variant),)+
                    _ => None,
                }
            }

            /// In a few words of English.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }
        }

        $crate::numbered::kept_as_number!($name);
    };
}

/// How a type with `number`, `from_number` and `text` is kept and shown.
macro_rules! kept_as_number {
    ($name:ident) => {
        impl From<$name> for ykt_store::Value<'_> {
            fn from(value: $name) -> Self {
                value.number().into()
            }
        }

        impl ykt_store::Column<'_> for $name {
            const EXPECTED: &'static str = concat!("the number of a ", stringify!($name));
            fn from_value(value: ykt_store::Value<'_>) -> Option<$name> {
                u8::from_value(value).and_then($name::from_number)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.text())
            }
        }
    };
}

pub(crate) use {kept_as_number, numbered};
