//! Versions of the architecture.
//! Arm ARM, "Armv8-A architecture extensions", "Armv9-A architecture extensions".

use core::fmt;

/// A version of the A-profile architecture.
/// Arm ARM, "Armv8-A architecture extensions", "Armv9-A architecture extensions".
///
/// Not ordered as numbers: Armv9.0 includes Armv8.5, and Armv8.9 does not include Armv9.0. See
/// [`Version::includes`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Version {
    V8_0,
    V8_1,
    V8_2,
    V8_3,
    V8_4,
    V8_5,
    V8_6,
    V8_7,
    V8_8,
    V8_9,
    V9_0,
    V9_1,
    V9_2,
    V9_3,
    V9_4,
    V9_5,
    V9_6,
}

impl Version {
    /// All of them, the newest first; no version includes one that stands before it.
    /// Arm ARM, "Armv8-A architecture extensions", "Armv9-A architecture extensions".
    pub const NEWEST_FIRST: [Self; 17] = {
        use Version::*;
        [V9_6, V9_5, V9_4, V9_3, V9_2, V9_1, V9_0, V8_9, V8_8, V8_7, V8_6, V8_5, V8_4, V8_3, V8_2, V8_1, V8_0]
    };

    const fn parts(self) -> (u8, u8) {
        match self {
            Self::V8_0 => (8, 0),
            Self::V8_1 => (8, 1),
            Self::V8_2 => (8, 2),
            Self::V8_3 => (8, 3),
            Self::V8_4 => (8, 4),
            Self::V8_5 => (8, 5),
            Self::V8_6 => (8, 6),
            Self::V8_7 => (8, 7),
            Self::V8_8 => (8, 8),
            Self::V8_9 => (8, 9),
            Self::V9_0 => (9, 0),
            Self::V9_1 => (9, 1),
            Self::V9_2 => (9, 2),
            Self::V9_3 => (9, 3),
            Self::V9_4 => (9, 4),
            Self::V9_5 => (9, 5),
            Self::V9_6 => (9, 6),
        }
    }

    /// Whether what complies with this version complies with the other one too. Armv9.n includes Armv8.(n+5), as far as
    /// that exists. Arm ARM, "The Armv9.0 architecture extension" and those after it.
    #[must_use]
    pub const fn includes(self, other: Self) -> bool {
        let ((major, minor), (wanted_major, wanted)) = (self.parts(), other.parts());
        match (major, wanted_major) {
            (9, 8) => minor.saturating_add(5) >= wanted,
            (8, 9) => false,
            _ => minor >= wanted,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.parts();
        write!(f, "Armv{major}.{minor}-A")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::Version::*;
    use super::*;
    use std::string::ToString;

    #[test]
    fn armv9_includes_the_armv8_of_its_year() {
        const CASES: &[(Version, Version, bool)] = &[
            (V8_0, V8_0, true),
            (V8_4, V8_3, true),
            (V8_3, V8_4, false),
            (V9_0, V8_5, true),
            (V9_0, V8_6, false),
            (V9_4, V8_9, true),
            (V9_3, V8_9, false),
            (V9_6, V8_9, true),
            (V8_9, V9_0, false),
            (V9_2, V9_1, true),
        ];
        for (version, other, want) in CASES {
            assert_eq!(version.includes(*other), *want, "{version} and {other}");
        }
        assert_eq!(V9_2.to_string(), "Armv9.2-A");
    }

    #[test]
    fn newest_first_is_a_list_of_all_in_which_nothing_includes_what_stands_before() {
        for (at, version) in Version::NEWEST_FIRST.iter().enumerate() {
            for before in Version::NEWEST_FIRST.iter().take(at) {
                assert!(!version.includes(*before), "{version} after {before}");
            }
        }
    }
}
