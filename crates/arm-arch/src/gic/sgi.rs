//! Software generated interrupts: whom a write of `ICC_SGI1R_EL1` reaches. GIC, ICC_SGI1R_EL1.

use crate::bits;
use crate::sysreg::{IccSgi, MpidrEl1};

/// The affinity that names a processing element, in four levels. Arm ARM, MPIDR_EL1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Affinity {
    /// Level 3.
    pub aff3: u8,
    /// Level 2.
    pub aff2: u8,
    /// Level 1.
    pub aff1: u8,
    /// Level 0.
    pub aff0: u8,
}

impl Affinity {
    /// Takes the affinity, Aff3 to Aff0, out of `MPIDR_EL1`. Arm ARM, MPIDR_EL1.
    #[must_use]
    pub const fn from_mpidr(mpidr: MpidrEl1) -> Self {
        Self { aff3: mpidr.aff3(), aff2: mpidr.aff2(), aff1: mpidr.aff1(), aff0: mpidr.aff0() }
    }

    /// Returns the bits of `MPIDR_EL1` that name the element: \[39:32\] and \[23:0\]. Arm ARM, MPIDR_EL1.
    #[must_use]
    pub const fn into_mpidr(self) -> MpidrEl1 {
        MpidrEl1::new().with_aff3(self.aff3).with_aff2(self.aff2).with_aff1(self.aff1).with_aff0(self.aff0)
    }
}

/// Whom an SGI goes to. GIC, ICC_SGI1R_EL1.IRM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SgiTargets {
    /// All elements but the sender.
    AllButSelf,
    /// Some of the sixteen elements that share levels 3 to 1 and the high half of level 0.
    List {
        /// The affinity of the element that bit 0 stands for.
        first: Affinity,
        /// One bit for each element.
        list: u16,
    },
}

impl SgiTargets {
    /// Whether the element at `candidate` is reached by a write of the element at `sender`. GIC, ICC_SGI1R_EL1.
    #[must_use]
    pub fn reaches(self, sender: Affinity, candidate: Affinity) -> bool {
        match self {
            Self::AllButSelf => sender != candidate,
            Self::List { first, list } => {
                let at = Affinity { aff0: candidate.aff0 & 0xf0, ..candidate };
                at == first && bits::bit(u64::from(list), u32::from(candidate.aff0 & 0xf))
            }
        }
    }
}

/// Decodes a write of `ICC_SGI0R_EL1`, `ICC_SGI1R_EL1` or `ICC_ASGI1R_EL1`: the SGI's number and its targets.
/// GIC, ICC_SGI1R_EL1.
#[must_use]
pub fn sgi_targets(value: IccSgi) -> (u8, SgiTargets) {
    let targets = if value.irm() {
        SgiTargets::AllButSelf
    } else {
        let aff0 = bits::low8(u64::from(value.rs()).wrapping_shl(4));
        let first = Affinity { aff3: value.aff3(), aff2: value.aff2(), aff1: value.aff1(), aff0 };
        SgiTargets::List { first, list: value.target_list() }
    };
    (value.intid(), targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(aff3: u8, aff2: u8, aff1: u8, aff0: u8) -> Affinity {
        Affinity { aff3, aff2, aff1, aff0 }
    }

    #[test]
    fn a_list_reaches_its_bits_in_its_cluster_only() {
        // Aff 0.0.1.*, RS 0, bits 0 and 3, SGI 5.
        let (intid, targets) = sgi_targets(IccSgi::from_bits(0x0501_0009));
        assert_eq!(intid, 5);
        let sender = at(0, 0, 1, 0);
        let cases = [
            ("bit 0, the sender itself", at(0, 0, 1, 0), true),
            ("bit 1", at(0, 0, 1, 1), false),
            ("bit 3", at(0, 0, 1, 3), true),
            ("bit 3 of the next sixteen", at(0, 0, 1, 19), false),
            ("another cluster", at(0, 0, 0, 3), false),
            ("another level 2", at(0, 1, 1, 3), false),
            ("another level 3", at(1, 0, 1, 3), false),
        ];
        for (name, candidate, want) in cases {
            assert_eq!(targets.reaches(sender, candidate), want, "{name}");
        }
        let (_, second) = sgi_targets(IccSgi::from_bits(0x0501_0008 | 1 << 44));
        assert!(second.reaches(sender, at(0, 0, 1, 19)) && !second.reaches(sender, at(0, 0, 1, 3)), "RS = 1");
    }

    #[test]
    fn irm_reaches_all_but_the_sender() {
        let (intid, targets) = sgi_targets(IccSgi::from_bits(1 << 40 | 0x0f00_0001));
        assert_eq!((intid, targets), (15, SgiTargets::AllButSelf));
        assert!(!targets.reaches(at(0, 0, 0, 0), at(0, 0, 0, 0)));
        assert!(targets.reaches(at(0, 0, 0, 0), at(9, 9, 9, 9)));
    }

    #[test]
    fn affinity_is_four_bytes_of_mpidr() {
        let mpidr = MpidrEl1::from_bits(0x0000_0012_8003_0201);
        assert_eq!(Affinity::from_mpidr(mpidr), at(0x12, 3, 2, 1));
        assert_eq!(at(0x12, 3, 2, 1).into_mpidr().into_bits(), 0x0000_0012_0003_0201);
    }
}
