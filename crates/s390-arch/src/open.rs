//! The one way this crate writes codes of which new ones may appear: a newtype with constants.

/// Declares a newtype over an integer whose named values are constants and whose other values are legal.
macro_rules! open_code {
    (
        $(#[$doc:meta])*
        pub struct $name:ident($repr:ty) {
            $( $(#[$value_doc:meta])* $value_name:ident = $value:literal, $text:literal; )+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub $repr);

        impl $name {
            $( $(#[$value_doc])* pub const $value_name: Self = Self($value); )+

            /// Every value that has a name, in ascending order.
            pub const NAMED: &'static [Self] = &[ $( Self::$value_name ),+ ];

            /// Returns the name of the value in the sources, where it has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $( $value => Some($text), )+
                    _ => None,
                }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x} {})"), self.0, self.name().unwrap_or("?"))
            }
        }
    };
}

pub(crate) use open_code;
