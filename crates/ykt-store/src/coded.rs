//! Closed sets of values that are stored as small numbers: states, kinds, verdicts.

/// An enum whose variants have a stored code and a word for people, and that goes into statements and comes
/// out of rows by its code.
///
/// ```
/// ykt_store::coded! {
///     /// State of a lamp.
///     Lamp {
///         /// Dark.
///         Off = 0, "off";
///         /// Bright.
///         On = 7, "on";
///     }
/// }
/// assert_eq!((Lamp::On.code(), Lamp::On.name()), (7, "on"));
/// assert_eq!(Lamp::from_code(7), Some(Lamp::On));
/// assert_eq!(Lamp::from_code(1), None);
/// assert_eq!(Lamp::ALL, [Lamp::Off, Lamp::On]);
/// assert_eq!(ykt_store::Value::from(Lamp::On), ykt_store::Value::Integer(7));
/// ```
#[macro_export]
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

        impl ::core::convert::From<$name> for $crate::Value<'_> {
            fn from(value: $name) -> Self {
                value.code().into()
            }
        }

        impl $crate::Column<'_> for $name {
            const EXPECTED: &'static str = concat!("the code of a ", stringify!($name));
            fn from_value(value: $crate::Value<'_>) -> Option<$name> {
                <u8 as $crate::Column<'_>>::from_value(value).and_then($name::from_code)
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}
