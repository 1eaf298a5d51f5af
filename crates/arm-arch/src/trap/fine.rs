//! Fine-grained traps: one bit for each register or instruction. FEAT_FGT, FEAT_FGT2. Arm ARM, HFGRTR_EL2
//! and the registers beside it.

use super::rules::Row;
use super::{Controls, Decision};
use crate::bits;
use crate::el::ExceptionLevel;
use crate::iss::{Direction, Immediate, Syndrome};
use crate::sysreg::{HcrxEl2, HfgitrEl2, SysRegId};

/// The fine-grained trap registers, all of EL2. Their bits are data, of which [`FineBit`] has the number. Whether they
/// count is for [`super::Extensions::fine`]. Arm ARM, HFGRTR_EL2 and the registers beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FineGrained {
    /// `HFGRTR_EL2`: reads of registers.
    pub hfgrtr: u64,
    /// `HFGWTR_EL2`: writes of registers.
    pub hfgwtr: u64,
    /// `HFGITR_EL2`: instructions.
    pub hfgitr: u64,
    /// `HDFGRTR_EL2`: reads of debug, trace and performance registers.
    pub hdfgrtr: u64,
    /// `HDFGWTR_EL2`: writes of them.
    pub hdfgwtr: u64,
    /// `HAFGRTR_EL2`: reads of activity monitors.
    pub hafgrtr: u64,
    /// `HFGRTR2_EL2`.
    pub hfgrtr2: u64,
    /// `HFGWTR2_EL2`.
    pub hfgwtr2: u64,
    /// `HFGITR2_EL2`.
    pub hfgitr2: u64,
    /// `HDFGRTR2_EL2`.
    pub hdfgrtr2: u64,
    /// `HDFGWTR2_EL2`.
    pub hdfgwtr2: u64,
}

/// The registers that share a layout. Arm ARM, HFGRTR_EL2 and the registers beside it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FineGroup {
    /// HFGRTR and HFGWTR.
    Register,
    /// HFGRTR2 and HFGWTR2.
    Register2,
    /// HFGITR.
    Instruction,
    /// HFGITR2.
    Instruction2,
    /// HDFGRTR and HDFGWTR.
    Debug,
    /// HDFGRTR2 and HDFGWTR2.
    Debug2,
    /// HAFGRTR.
    Activity,
}

/// A bit of the fine-grained trap registers. Arm ARM, HFGRTR_EL2 and the registers beside it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FineBit {
    /// The registers it is in.
    pub group: FineGroup,
    /// Its number.
    pub bit: u8,
    /// Whether the register for reads has it; one register is for both directions of instructions.
    pub reads: bool,
    /// Whether the register for writes has it.
    pub writes: bool,
}

impl FineBit {
    /// Returns the bit that a register or instruction has; `None` if it has none.
    /// `data/fgt_fields.tsv`, `data/fgt_registers.tsv`.
    #[must_use]
    pub fn of(id: SysRegId) -> Option<Self> {
        let fine = bits::zext16(Row::of(id)?.fine);
        let group = match bits::field(fine, 10, 8) {
            1 => FineGroup::Register,
            2 => FineGroup::Register2,
            3 => FineGroup::Instruction,
            4 => FineGroup::Instruction2,
            5 => FineGroup::Debug,
            6 => FineGroup::Debug2,
            7 => FineGroup::Activity,
            _ => return None,
        };
        let bit = bits::low8(bits::field(fine, 5, 0));
        Some(Self { group, bit, reads: bits::bit(fine, 6), writes: bits::bit(fine, 7) })
    }

    const fn includes(self, direction: Direction) -> bool {
        match direction {
            Direction::Read => self.reads,
            Direction::Write => self.writes,
        }
    }
}

impl FineGrained {
    /// Nothing traps: 0 where 1 traps, and 1 in the fields whose names begin with "n".
    /// Arm ARM, HFGRTR_EL2 and the registers beside it.
    pub const OPEN: Self = Self {
        hfgrtr: 0xfff4_0000_0000_0000,
        hfgwtr: 0xfff4_0000_0000_0000,
        hfgitr: 0x0f80_0000_0000_0000,
        hdfgrtr: 0x7800_0000_0000_0000,
        hdfgwtr: 0x7000_0000_0000_0000,
        hafgrtr: 0,
        hfgrtr2: 0x70_ffff_ffff,
        hfgwtr2: 0x70_ffff_ffff,
        hfgitr2: 0x2,
        hdfgrtr2: 0x01ff_ffff,
        hdfgwtr2: 0x01ff_ffff,
    };

    /// All bits 0, which traps what the fields are about whose names begin with "n".
    /// Arm ARM, HFGRTR_EL2 and the registers beside it.
    pub const ZERO: Self = Self {
        hfgrtr: 0,
        hfgwtr: 0,
        hfgitr: 0,
        hdfgrtr: 0,
        hdfgwtr: 0,
        hafgrtr: 0,
        hfgrtr2: 0,
        hfgwtr2: 0,
        hfgitr2: 0,
        hdfgrtr2: 0,
        hdfgwtr2: 0,
    };

    /// Returns these with the registers of FEAT_FGT of another.
    pub(super) const fn with_first_of(self, other: &Self) -> Self {
        Self {
            hfgrtr2: self.hfgrtr2,
            hfgwtr2: self.hfgwtr2,
            hfgitr2: self.hfgitr2,
            hdfgrtr2: self.hdfgrtr2,
            hdfgwtr2: self.hdfgwtr2,
            ..*other
        }
    }

    /// Returns these with the registers of FEAT_FGT2 of another.
    pub(super) const fn with_second_of(self, other: &Self) -> Self {
        other.with_first_of(&self)
    }

    /// The two registers of a group, and which bits trap while 0.
    const fn of(&self, group: FineGroup, direction: Direction) -> (u64, u64) {
        const OPEN: FineGrained = FineGrained::OPEN;
        match (group, direction) {
            (FineGroup::Register, Direction::Read) => (self.hfgrtr, OPEN.hfgrtr),
            (FineGroup::Register, Direction::Write) => (self.hfgwtr, OPEN.hfgwtr),
            (FineGroup::Register2, Direction::Read) => (self.hfgrtr2, OPEN.hfgrtr2),
            (FineGroup::Register2, Direction::Write) => (self.hfgwtr2, OPEN.hfgwtr2),
            (FineGroup::Instruction, _) => (self.hfgitr, OPEN.hfgitr),
            (FineGroup::Instruction2, _) => (self.hfgitr2, OPEN.hfgitr2),
            (FineGroup::Debug, Direction::Read) => (self.hdfgrtr, OPEN.hdfgrtr),
            (FineGroup::Debug, Direction::Write) => (self.hdfgwtr, OPEN.hdfgwtr),
            (FineGroup::Debug2, Direction::Read) => (self.hdfgrtr2, OPEN.hdfgrtr2),
            (FineGroup::Debug2, Direction::Write) => (self.hdfgwtr2, OPEN.hdfgwtr2),
            (FineGroup::Activity, _) => (self.hafgrtr, OPEN.hafgrtr),
        }
    }

    /// Whether an access has a bit, and it traps. The nXS forms of TLBI have the bits of the plain ones, unless
    /// HCRX_EL2.FGTnXS takes them out. Arm ARM, HFGRTR_EL2 and the registers beside it; HCRX_EL2.FGTnXS.
    #[must_use]
    pub fn traps(&self, id: SysRegId, direction: Direction, hcrx: HcrxEl2) -> bool {
        let is_nxs = id.op0() == 1 && id.crn() == 9;
        if is_nxs && hcrx.fgtnxs() {
            return false;
        }
        let id = if is_nxs { SysRegId::new(1, id.op1(), 8, id.crm(), id.op2()) } else { id };
        FineBit::of(id).is_some_and(|fine| {
            let (value, inverted) = self.of(fine.group, direction);
            fine.includes(direction) && bits::bit(value ^ inverted, u32::from(fine.bit))
        })
    }
}

/// Decides about SVC: HFGITR_EL2.SVC_EL0 and SVC_EL1 take it to EL2, with the syndrome it has anyway.
/// `Decision::Allowed` is the exception that SVC generates. Arm ARM, AArch64.CheckForSVCTrap.
pub fn svc(imm16: u16, el: ExceptionLevel, controls: &Controls, fine: &FineGrained) -> Decision {
    let hfgitr = HfgitrEl2::from_bits(fine.hfgitr);
    let traps = match el {
        ExceptionLevel::El0 => !controls.is_host() && hfgitr.svc_el0(),
        ExceptionLevel::El1 => hfgitr.svc_el1(),
        ExceptionLevel::El2 | ExceptionLevel::El3 => false,
    };
    if traps {
        Decision::TrapEl2(Syndrome::Svc(Immediate::new().with_imm16(imm16)))
    } else {
        Decision::Allowed
    }
}

/// Decides about ERET, ERETAA and ERETAB: UNDEFINED at EL0, trapped from EL1 by HCR_EL2.NV or HFGITR_EL2.ERET.
/// Arm ARM, ERET.
pub fn eret(iss: crate::iss::Eret, el: ExceptionLevel, controls: &Controls, fine: &FineGrained) -> Decision {
    match el {
        ExceptionLevel::El0 => Decision::Undefined,
        ExceptionLevel::El1 if controls.hcr.nv() || HfgitrEl2::from_bits(fine.hfgitr).eret() => {
            Decision::TrapEl2(Syndrome::Eret(iss))
        }
        ExceptionLevel::El1 | ExceptionLevel::El2 | ExceptionLevel::El3 => Decision::Allowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iss::Eret;
    use crate::sysreg::{HcrEl2, instructions as ins, names};

    const OPEN: FineGrained = FineGrained::OPEN;
    const PLAIN: HcrxEl2 = HcrxEl2::new();

    #[test]
    fn each_bit_traps_its_register_and_direction() {
        use Direction::{Read, Write};
        let cases: &[(&str, FineGrained, SysRegId, Direction, bool)] = &[
            ("open", OPEN, names::SCTLR_EL1, Read, false),
            (
                "HFGRTR.SCTLR_EL1",
                FineGrained { hfgrtr: OPEN.hfgrtr | 1 << 29, ..OPEN },
                names::SCTLR_EL1,
                Read,
                true,
            ),
            (
                "for reads",
                FineGrained { hfgrtr: OPEN.hfgrtr | 1 << 29, ..OPEN },
                names::SCTLR_EL1,
                Write,
                false,
            ),
            (
                "HFGWTR.AFSR0_EL1",
                FineGrained { hfgwtr: OPEN.hfgwtr | 1, ..OPEN },
                names::AFSR0_EL1,
                Write,
                true,
            ),
            ("another bit", FineGrained { hfgwtr: OPEN.hfgwtr | 1, ..OPEN }, names::AFSR1_EL1, Write, false),
            (
                "nPOR_EL1 is 0",
                FineGrained { hfgrtr: OPEN.hfgrtr & !(1 << 60), ..OPEN },
                names::POR_EL1,
                Read,
                true,
            ),
            (
                "branch records",
                FineGrained { hdfgrtr: OPEN.hdfgrtr & !(1 << 61), ..OPEN },
                names::BRBSRC31_EL1,
                Read,
                true,
            ),
            (
                "trace",
                FineGrained { hdfgwtr: OPEN.hdfgwtr | 1 << 33, ..OPEN },
                names::TRCCONFIGR,
                Write,
                true,
            ),
            ("a family", FineGrained { hdfgrtr: 1 | OPEN.hdfgrtr, ..OPEN }, names::DBGBCR15_EL1, Read, true),
            ("no register of traps", FineGrained { hfgrtr: u64::MAX, ..OPEN }, names::HCR_EL2, Read, false),
            ("ICIALLUIS", FineGrained { hfgitr: OPEN.hfgitr | 1, ..OPEN }, ins::IC_IALLUIS, Write, true),
        ];
        for (name, fine, id, direction, want) in cases {
            assert_eq!(fine.traps(*id, *direction, PLAIN), *want, "{name}");
        }
    }

    #[test]
    fn the_nxs_forms_have_the_bits_of_the_plain_ones_unless_taken_out() {
        let all = FineGrained { hfgitr: u64::MAX, ..OPEN };
        let nxs = SysRegId::new(1, 0, 9, 7, 1);
        assert!(all.traps(ins::TLBI_VAE1, Direction::Write, PLAIN));
        assert!(all.traps(nxs, Direction::Write, PLAIN));
        assert!(!all.traps(nxs, Direction::Write, PLAIN.with_fgtnxs(true)));
        assert!(all.traps(ins::TLBI_VAE1, Direction::Write, PLAIN.with_fgtnxs(true)));
    }

    #[test]
    fn svc_and_eret_have_bits_of_their_own() {
        let plain = Controls::default();
        let host = Controls { hcr: HcrEl2::from_bits(1 << 27 | 1 << 34), ..plain };
        let fine = |bit| FineGrained { hfgitr: OPEN.hfgitr | 1u64 << bit, ..OPEN };
        let is_trapped = |decision| matches!(decision, Decision::TrapEl2(_));
        let (el0, el1) = (ExceptionLevel::El0, ExceptionLevel::El1);
        for (bit, at_el0, at_el1) in [(51, false, false), (52, true, false), (53, false, true)] {
            assert_eq!(is_trapped(svc(0, el0, &plain, &fine(bit))), at_el0, "bit {bit}");
            assert_eq!(is_trapped(svc(0, el1, &plain, &fine(bit))), at_el1, "bit {bit}");
        }
        assert!(!is_trapped(svc(0, el0, &host, &fine(52))), "the host's EL0");
        let aa = Eret::new().with_authenticated(true);
        assert_eq!(eret(aa, el0, &plain, &OPEN), Decision::Undefined);
        assert_eq!(eret(aa, el1, &plain, &OPEN), Decision::Allowed);
        assert_eq!(eret(aa, el1, &plain, &fine(51)), Decision::TrapEl2(Syndrome::Eret(aa)));
        let nv = Controls { hcr: HcrEl2::from_bits(1 << 42), ..plain };
        assert_eq!(eret(aa, el1, &nv, &OPEN), Decision::TrapEl2(Syndrome::Eret(aa)));
    }
}
