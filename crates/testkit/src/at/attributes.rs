//! What PAR_EL1 says of a location's memory type, by the architecture and by QEMU: one reading of Arm ARM,
//! "Memory region attributes", with the places where QEMU departs from it.

use super::differences::Difference as D;
use super::differences::Set;

/// What the attributes of a mapping follow from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs {
    /// The byte of MAIR, or what stands for it with stage 1 off.
    pub byte: u8,
    /// SH of stage 1.
    pub sh: u8,
    /// `SCTLR_ELx.C`; true with stage 1 off.
    pub cached: bool,
    /// Stage 2, where it is asked.
    pub second: Option<Second>,
}

/// The part of stage 2.
#[derive(Clone, Copy, Debug)]
pub struct Second {
    /// MemAttr.
    pub memory: u8,
    /// SH.
    pub sh: u8,
    /// FnXS.
    pub no_xs: bool,
    /// `HCR_EL2.FWB`.
    pub fwb: bool,
    /// `HCR_EL2.CD`.
    pub uncached: bool,
}

/// Returns ATTR and SH of PAR_EL1.
#[must_use]
pub fn attributes(inputs: &Inputs, set: Set) -> (u8, u8) {
    let mut byte = if set.has(D::ReservedMair) { inputs.byte } else { canonical(inputs.byte) };
    let xs = xs(byte);
    if !inputs.cached && !is_device(byte) && !set.has(D::CacheControls) {
        byte = if xs { 0x44 } else { 0x40 };
    }
    let sh = if inputs.sh == 1 && !set.has(D::ReservedShareability) { 0 } else { inputs.sh };
    let Some(second) = &inputs.second else {
        return (byte, effective(byte, sh));
    };
    let sh = if set.has(D::ShareabilityOfStage1) { sh } else { effective(byte, sh) };
    let (plain, forced) =
        if second.fwb { forced(byte, second, set) } else { (met(byte, second, set), false) };
    let xs = xs && !second.no_xs && !forced;
    let mut result = plain;
    if second.uncached && !is_device(result) && !set.has(D::CacheControls) {
        result = 0x44;
    }
    if !set.has(D::Xs) {
        result = match (result, xs) {
            (byte, xs) if is_device(byte) => byte & 0xc | u8::from(!xs),
            (0x44 | 0x40, true) => 0x44,
            (0x44 | 0x40, false) => 0x40,
            (0xa0 | 0xaa, false) => 0xa0,
            (0xa0, true) => 0xaa,
            (byte, _) => byte,
        };
    }
    let sh2 = if second.sh == 1 && !set.has(D::ReservedShareability) { 0 } else { second.sh };
    let both = match (sh, sh2) {
        (2, _) | (_, 2) => 2,
        (3, _) | (_, 3) => 3,
        _ => 0,
    };
    (result, effective(result, both))
}

const fn is_device(byte: u8) -> bool {
    byte & 0xf0 == 0
}

/// Every UNPREDICTABLE byte is Device-nGnRnE; tags are not there.
const fn canonical(byte: u8) -> u8 {
    match byte {
        0xf0 => 0xff,
        0x40 | 0xa0 => byte,
        _ if byte & 0xf0 == 0 && byte & 2 != 0 => 0,
        _ if byte & 0xf0 != 0 && byte & 0xf == 0 => 0,
        _ => byte,
    }
}

const fn xs(byte: u8) -> bool {
    if is_device(byte) {
        return byte & 1 == 0;
    }
    !(matches!(byte, 0x40 | 0xa0) || is_write_back(byte >> 4) && is_write_back(byte))
}

const fn is_write_back(nibble: u8) -> bool {
    matches!(nibble & 0xf, 5..=7 | 12..=15)
}

/// Device and Non-cacheable memory is Outer Shareable.
const fn effective(byte: u8, sh: u8) -> u8 {
    if is_device(byte) || byte == 0x44 || byte == 0x40 { 2 } else { sh }
}

/// Without FWB: the weaker of both.
fn met(byte: u8, second: &Second, set: Set) -> u8 {
    let nibble = |own: u8, two: u8| {
        let two = match two & 3 {
            _ if second.memory == 4 && set.has(D::ReservedMemAttr) => 3,
            0 if set.has(D::ReservedMemAttr) => 3,
            0 => 1,
            two => two,
        };
        match (own, two) {
            (4, _) | (_, 1) => 4,
            (0..=3 | 8..=11, _) | (_, 3) => own,
            _ if set.has(D::Transient) => 8 | own & 3,
            _ => own & !4,
        }
    };
    // With XS 0, the second nibble of Normal memory is 0.
    let whole = match byte {
        0x40 if !set.has(D::Xs) => 0x44,
        0xa0 if !set.has(D::Xs) => 0xaa,
        byte => byte,
    };
    if second.memory & 0xc == 0 {
        let kind = second.memory << 2;
        if is_device(byte) && !set.has(D::Xs) {
            return kind.min(byte & 0xc);
        }
        if is_device(byte) || set.has(D::DeviceOverNormal) {
            return stricter(byte & 0xf, kind);
        }
        return kind;
    }
    if is_device(byte) {
        let inner = match second.memory & 3 {
            _ if second.uncached => 4,
            _ if second.memory == 4 && set.has(D::ReservedMemAttr) => 0xf,
            0 if set.has(D::ReservedMemAttr) => 3,
            0 | 1 => 4,
            2 => 0xb,
            _ => 0xf,
        };
        let own = if set.has(D::Xs) { byte & 0xf } else { byte & 0xc };
        // What is none of the four types counts as the last of them.
        return stricter(own, if set.has(D::DeviceOverNormal) { inner } else { 0xf });
    }
    nibble(whole >> 4, second.memory >> 2) << 4 | nibble(whole & 0xf, second.memory)
}

/// Returns the strictest Device type that one of two nibbles names.
fn stricter(one: u8, two: u8) -> u8 {
    [0, 4, 8].into_iter().find(|&kind| one == kind || two == kind).unwrap_or(0xc)
}

/// With FWB; and whether the location is forced to be Write-Back.
fn forced(byte: u8, second: &Second, set: Set) -> (u8, bool) {
    let wb = |nibble: u8| if matches!(nibble, 4) || nibble == 0 && set.has(D::Xs) { 0xf } else { nibble | 4 };
    let whole = match byte {
        0x40 if !set.has(D::Xs) => 0x44,
        0xa0 if !set.has(D::Xs) => 0xaa,
        byte => byte,
    };
    match second.memory & 7 {
        _ if second.memory >= 14 && set.has(D::ReservedMemAttr) => (byte, false),
        _ if second.memory >= 8 && set.has(D::ReservedMemAttr) => (0, false),
        kind @ 0..=3 if is_device(byte) && !set.has(D::ForcedDevice) => ((kind << 2).min(byte & 0xc), false),
        kind @ 0..=3 => (kind << 2, false),
        6 if is_device(byte) => (0xff, true),
        6 => (wb(whole >> 4) << 4 | wb(whole & 0xf), true),
        7 => (byte, false),
        4 if set.has(D::ReservedMemAttr) => (0, false),
        _ if is_device(byte) => (byte, false),
        _ => (0x44, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NORMAL: Inputs = Inputs { byte: 0xff, sh: 3, cached: true, second: None };
    const WRITE_BACK: Second = Second { memory: 0xf, sh: 0, no_xs: false, fwb: false, uncached: false };

    fn over(byte: u8, second: Second) -> Inputs {
        Inputs { byte, second: Some(second), ..NORMAL }
    }

    /// The examples of `docs/differences.md`: by the architecture, and by QEMU.
    #[test]
    fn each_difference_of_attributes_shows() {
        let device = Second { memory: 3, ..WRITE_BACK };
        let cases = [
            (D::CacheControls, Inputs { cached: false, ..NORMAL }, (0x40, 2), (0xff, 3)),
            (D::Xs, over(0x04, Second { no_xs: true, ..WRITE_BACK }), (0x05, 2), (0x04, 2)),
            (D::DeviceOverNormal, over(0xb4, device), (0x0c, 2), (0x04, 2)),
            (D::ForcedDevice, over(0, Second { memory: 1, fwb: true, ..WRITE_BACK }), (0, 2), (4, 2)),
            (D::Transient, over(0x77, Second { memory: 0xa, ..WRITE_BACK }), (0x33, 3), (0xbb, 3)),
            (
                D::ShareabilityOfStage1,
                over(0x44, Second { memory: 6, fwb: true, ..WRITE_BACK }),
                (0xff, 2),
                (0xff, 3),
            ),
            (D::ReservedShareability, Inputs { sh: 1, ..NORMAL }, (0xff, 0), (0xff, 1)),
            (D::ReservedMair, Inputs { byte: 0x90, ..NORMAL }, (0, 2), (0x90, 3)),
        ];
        for (difference, inputs, architecture, qemu) in cases {
            assert_eq!(attributes(&inputs, Set::default()), architecture, "{difference:?}");
            assert_eq!(attributes(&inputs, Set::default().with(difference)), qemu, "{difference:?}");
        }
    }
}
