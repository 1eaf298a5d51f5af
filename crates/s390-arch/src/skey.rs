//! Storage keys and access keys. PoP ch. 3, "Storage Key", "Key-Controlled Protection".

use bitfield_struct::bitfield;

/// The key of a 4 KiB block of absolute storage.
#[bitfield(u8, order = Msb)]
#[derive(PartialEq, Eq, Hash)]
pub struct StorageKey {
    /// ACC, 0-3: access-control bits.
    #[bits(4)]
    pub acc: u8,
    /// F, 4: fetches are protected too.
    pub f: bool,
    /// R, 5: the block was referred to.
    pub r: bool,
    /// C, 6: the block was changed.
    pub c: bool,
    __: bool,
}
const _: () = assert!(StorageKey::ACC_OFFSET == 4 && StorageKey::F_OFFSET == 3);
const _: () = assert!(StorageKey::R_OFFSET == 2 && StorageKey::C_OFFSET == 1);

/// The key that an access is made with: the PSW key, or one that an instruction supplies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AccessKey(u8);

impl AccessKey {
    /// The key that every access-control value admits.
    pub const ZERO: Self = Self(0);

    /// Makes an access key; `None` above 15.
    #[must_use]
    pub const fn new(key: u8) -> Option<Self> {
        if key < 16 { Some(Self(key)) } else { None }
    }

    /// Decodes the low four bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0xf)
    }

    /// Returns the key, 0 to 15.
    #[must_use]
    pub const fn into_bits(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_iske_shows_them() {
        let key = StorageKey::from_bits(0x96);
        assert_eq!((key.acc(), key.f(), key.r(), key.c()), (9, false, true, true));
        assert!(StorageKey::from_bits(0x08).f());
    }

    #[test]
    fn access_keys_have_four_bits() {
        assert_eq!(AccessKey::new(15).map(AccessKey::into_bits), Some(15));
        assert_eq!(AccessKey::new(16), None);
    }
}
