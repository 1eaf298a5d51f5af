//! How tables are laid out: the generator's own reading of Arm ARM, "Translation process" and
//! "Translation table descriptor formats", to build what a walk will find.

/// One stage's tables.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// Binary logarithm of the granule.
    pub granule: u32,
    /// 52-bit addresses in descriptors of the 4 and 16 KiB granules.
    pub ds: bool,
    /// Input address bits.
    pub input: u32,
    /// Level of the first table.
    pub start: i32,
    /// Output address bits.
    pub output: u32,
}

impl Geometry {
    /// Index bits of a level.
    #[must_use]
    pub const fn stride(&self) -> u32 {
        self.granule - 3
    }

    /// Returns the lowest input bit that a level resolves.
    #[must_use]
    pub const fn shift(&self, level: i32) -> u32 {
        self.granule + self.stride() * (3 - level) as u32
    }

    /// Returns where in its table the descriptor for an address lies.
    #[must_use]
    pub const fn offset(&self, level: i32, address: u64) -> u64 {
        let top = if level == self.start { self.input } else { self.shift(level) + self.stride() };
        let bits = top.saturating_sub(self.shift(level));
        (address >> self.shift(level) & ones(bits)) << 3
    }

    /// Returns the binary logarithm of the first table, no less than 64 bytes.
    #[must_use]
    pub const fn first_table(&self) -> u32 {
        let size = self.input.saturating_sub(self.shift(self.start)) + 3;
        if size < 6 { 6 } else { size }
    }

    /// Returns the bits of a descriptor that hold address bits 51:48, with these bits in place.
    #[must_use]
    pub const fn high(&self, address: u64) -> u64 {
        if self.granule == 16 {
            (address >> 48 & 0xf) << 12
        } else if self.ds {
            address & 3 << 48 | (address >> 50 & 3) << 8
        } else {
            0
        }
    }

    /// Returns an address as a descriptor holds it.
    #[must_use]
    pub const fn encode(&self, address: u64) -> u64 {
        address & ones(48) & !ones(self.granule) | self.high(address)
    }

    /// Returns the address that a descriptor holds, bits below `low` clear.
    #[must_use]
    pub const fn decode(&self, entry: u64, low: u32) -> u64 {
        let plain = entry & ones(48) & !ones(low);
        if self.granule == 16 {
            plain | (entry >> 12 & 0xf) << 48
        } else if self.ds {
            plain | entry & 3 << 48 | (entry >> 8 & 3) << 50
        } else {
            plain
        }
    }

    /// Whether a block may stand at a level.
    #[must_use]
    pub const fn has_block(&self, level: i32) -> bool {
        match (self.granule, level) {
            (_, 2) | (12 | 16, 1) => true,
            (12, 0) | (14, 1) => self.ds,
            _ => false,
        }
    }

    /// Returns the binary logarithm of entries in a contiguous group; 0 where there is none.
    #[must_use]
    pub const fn contiguous(&self, level: i32) -> u32 {
        match (self.granule, level) {
            (12, 1..=3) => 4,
            (14, 3) => 7,
            (14, 2) | (16, 2 | 3) => 5,
            _ => 0,
        }
    }
}

/// Returns so many ones.
#[must_use]
pub const fn ones(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

#[cfg(test)]
mod tests {
    use super::Geometry;

    const PAGES_4K: Geometry = Geometry { granule: 12, ds: false, input: 39, start: 1, output: 48 };

    /// With a 39-bit input the first of three tables resolves bits 38:30.
    /// Arm ARM, "VMSAv8-64 translation using the 4KB granule".
    #[test]
    fn an_address_splits_into_indices() {
        let address = 0x41_4080_5678;
        let offsets = [1, 2, 3].map(|level| PAGES_4K.offset(level, address));
        assert_eq!(offsets, [0x105 * 8, 4 * 8, 5 * 8]);
        assert_eq!(PAGES_4K.first_table(), 12);
    }

    #[test]
    fn a_base_is_aligned_to_64_bytes_at_least() {
        let small = Geometry { input: 31, ..PAGES_4K };
        assert_eq!((small.shift(1), small.first_table()), (30, 6));
    }

    #[test]
    fn addresses_of_52_bits_fold_into_descriptors() {
        let large = Geometry { granule: 16, ds: false, input: 48, start: 1, output: 52 };
        assert_eq!(large.encode(0xa_1234_5678_0000), 0x1234_5678_a000);
        assert_eq!(large.decode(0x1234_5678_a000, 16), 0xa_1234_5678_0000);
        let ds = Geometry { ds: true, ..PAGES_4K };
        assert_eq!(ds.encode(0xe_0000_0000_1000), 0x0002_0000_0000_1300);
        assert_eq!(ds.decode(0x0002_0000_0000_1300, 12), 0xe_0000_0000_1000);
    }
}
