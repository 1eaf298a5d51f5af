//! Fine-grained traps: one bit for each register or instruction. FEAT_FGT, FEAT_FGT2.

mod rows;

use super::{Controls, Decision, system_access};
use crate::bits;
use crate::el::ExceptionLevel;
use crate::feature::Features;
use crate::iss::{Direction, Immediate, Syndrome, SystemAccess};
use crate::pstate::PState;
use crate::sysreg::{HcrxEl2, SysRegId};
use rows::ROWS;

/// The fine-grained trap registers, all of EL2. They count while SCR_EL3.FGTEn (FGTEn2) is 1 or there is no EL3;
/// otherwise use [`FineGrained::OPEN`].
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

/// The registers that share a layout.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum FineGroup {
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

/// HFGITR_EL2.SVC_EL0.
const SVC_EL0: u32 = 52;
/// HFGITR_EL2.SVC_EL1.
const SVC_EL1: u32 = 53;
/// HFGITR_EL2.ERET.
const ERET: u32 = 51;

impl FineGrained {
    /// Nothing traps: 0 where 1 traps, and 1 in the fields whose names begin with "n".
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
    /// HCRX_EL2.FGTnXS takes them out. Not in the table: the trace unit's registers, branch records, and what
    /// `data/sysregs.tsv` does not know.
    #[must_use]
    pub fn traps(&self, id: SysRegId, direction: Direction, hcrx: HcrxEl2) -> bool {
        let is_nxs = id.op0() == 1 && id.crn() == 9;
        if is_nxs && hcrx.fgtnxs() {
            return false;
        }
        let id = if is_nxs { SysRegId::new(1, id.op1(), 8, id.crm(), id.op2()) } else { id };
        let row = ROWS.binary_search_by_key(&id.into_bits(), |(id, ..)| *id).ok().and_then(|at| ROWS.get(at));
        row.is_some_and(|(_, group, bit, allowed)| {
            let (value, inverted) = self.of(*group, direction);
            allowed.includes(direction) && bits::bit(value ^ inverted, u32::from(*bit))
        })
    }
}

/// Decides as [`system_access`] does, and then asks the fine-grained traps: they come after what EL1 and the other
/// controls of EL2 say, and not while EL2 hosts EL0. Arm ARM D24.2, HFGRTR_EL2.
pub fn system_access_fine(
    access: SystemAccess,
    pstate: PState,
    controls: &Controls,
    fine: &FineGrained,
    hcrx: HcrxEl2,
    features: &Features,
) -> Decision {
    let coarse = system_access(access, pstate, controls, features);
    let hosted = controls.is_host() && pstate.el() == ExceptionLevel::El0;
    let guest = pstate.el() <= ExceptionLevel::El1 && !hosted;
    match coarse {
        Decision::Allowed if guest && fine.traps(access.id, access.direction, hcrx) => {
            Decision::TrapEl2(Syndrome::SystemAccess(access))
        }
        Decision::Allowed | Decision::Undefined | Decision::TrapEl1(_) | Decision::TrapEl2(_) => coarse,
    }
}

/// Decides about SVC: HFGITR_EL2.SVC_EL0 and SVC_EL1 take it to EL2, with the syndrome it has anyway.
/// `Decision::Allowed` is the exception that SVC generates.
pub fn svc(imm16: u16, el: ExceptionLevel, controls: &Controls, fine: &FineGrained) -> Decision {
    let traps = match el {
        ExceptionLevel::El0 => !controls.is_host() && bits::bit(fine.hfgitr, SVC_EL0),
        ExceptionLevel::El1 => bits::bit(fine.hfgitr, SVC_EL1),
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
        ExceptionLevel::El1 if controls.hcr.nv() || bits::bit(fine.hfgitr, ERET) => {
            Decision::TrapEl2(Syndrome::Eret(iss))
        }
        ExceptionLevel::El1 | ExceptionLevel::El2 | ExceptionLevel::El3 => Decision::Allowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::model::MAX_MODELLED;
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
    fn fine_traps_come_last_and_spare_a_hosts_el0() {
        let features = Features::of(&MAX_MODELLED);
        let all = FineGrained { hfgrtr: !OPEN.hfgrtr, ..OPEN };
        let read = SystemAccess { id: names::TPIDR_EL0, rt: 1, direction: Direction::Read };
        let decide = |mode, hcr, fine: &FineGrained| {
            let controls = Controls { hcr: HcrEl2::from_bits(hcr), ..Controls::default() };
            system_access_fine(read, PState::from_bits(mode), &controls, fine, PLAIN, &features)
        };
        let trapped = Decision::TrapEl2(Syndrome::SystemAccess(read));
        assert_eq!(decide(0, 0, &OPEN), Decision::Allowed);
        assert_eq!((decide(0, 0, &all), decide(5, 0, &all)), (trapped, trapped));
        assert_eq!(decide(0, 1 << 27 | 1 << 34, &all), Decision::Allowed, "E2H and TGE");
        assert_eq!(decide(9, 0, &all), Decision::Allowed, "EL2");
        let undefined = SystemAccess { id: names::SCTLR_EL1, ..read };
        let controls = Controls::default();
        let got = system_access_fine(undefined, PState::from_bits(0), &controls, &all, PLAIN, &features);
        assert_eq!(got, Decision::Undefined, "UNDEFINED comes first");
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
