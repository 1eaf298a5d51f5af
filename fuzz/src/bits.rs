//! Numbers from bytes that a fuzzer chose.

/// Returns ones in the low bits, at most 64.
#[must_use]
pub fn mask(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// Returns one of a list.
#[must_use]
pub fn pick<T: Copy>(from: &[T], by: u8) -> T {
    from[usize::from(by) % from.len()]
}

/// Returns a bit.
#[must_use]
pub fn bit(word: u64, at: u32) -> bool {
    word >> at & 1 != 0
}

/// Mixes the bits of a number: SplitMix64's last step.
#[must_use]
pub fn mix(seed: u64) -> u64 {
    let a = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ a >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ b >> 31
}
