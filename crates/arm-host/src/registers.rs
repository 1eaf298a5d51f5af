//! Where each register of a vCPU lives: the one table of ownership.
//!
//! | home | registers | while loaded |
//! | --- | --- | --- |
//! | context | X0–X30, PC, PSTATE | in memory, but for the time in the guest |
//! | carried | EL1's and EL0's system registers, timers, breakpoints, ICH_*, VPIDR | on the CPU; CPACR_EL1 here if it traps |
//! | control | what the guest side decides about EL2: HCR, CPTR, … | here as written, on the CPU in its form |
//! | clock | the two counts | the CPU's count, less the VM's offset |
//! | limits | identification | the CPU's own |
//!
//! Encodings are those of MRS and MSR.

use arm_arch::SysRegId;
use arm_arch::sysreg::{
    CpacrEl1, IchVtr, IdAa64Dfr0, IdAa64Isar1, IdAa64Isar2, IdAa64Mmfr0, IdAa64Mmfr1, IdAa64Pfr0, IdAa64Pfr1,
    names,
};
use xarch_abi::{Bank, RegId};

/// Where a register lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// The program counter, in the context.
    Pc,
    /// The processor state, in the context.
    Status,
    /// A general register, in the context.
    General(u8),
    /// Vector register.
    Vector(u8),
    /// The register at this place of [`CARRIED`].
    Carried(usize),
    /// The physical count.
    PhysicalCount,
    /// The virtual count.
    VirtualCount,
    /// What the CPU says of itself.
    Limit(SysRegId),
}

/// Who changes a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The guest: the truth is on the CPU while it is loaded.
    Guest,
    /// The guest side: the truth is the value that was written.
    Control,
}

/// What a CPU must have for a register to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: Armv8.0-A with EL2 and a GICv3 has it.
    Nothing,
    /// FEAT_PAuth.
    PointerAuthentication,
    /// FEAT_HCX.
    ExtendedHypervisor,
    /// FEAT_FGT.
    FineGrainedTraps,
    /// FEAT_PMUv3.
    PerformanceMonitors,
    /// More list registers than this.
    ListRegister(u8),
    /// At least so many bits of preemption priority. GIC, `ICH_AP1R<n>_EL2`.
    PreemptionBits(u8),
    /// More breakpoints than this.
    Breakpoint(u8),
    /// More watchpoints than this.
    Watchpoint(u8),
}

/// A register that goes to the CPU and back with the vCPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried {
    pub(crate) register: SysRegId,
    pub(crate) bank: Bank,
    pub(crate) owner: Owner,
    pub(crate) needs: Needs,
}

const fn guest(register: SysRegId) -> Carried {
    Carried { register, bank: Bank::SYSTEM, owner: Owner::Guest, needs: Needs::Nothing }
}

const fn key(register: SysRegId) -> Carried {
    Carried { needs: Needs::PointerAuthentication, ..guest(register) }
}

const fn control(register: SysRegId) -> Carried {
    Carried { register, bank: Bank::CONTROL, owner: Owner::Control, needs: Needs::Nothing }
}

const fn fine_grained(register: SysRegId) -> Carried {
    Carried { needs: Needs::FineGrainedTraps, ..control(register) }
}

const fn interface(register: SysRegId, needs: Needs) -> Carried {
    Carried { register, bank: Bank::INTERRUPT, owner: Owner::Guest, needs }
}

const fn list(number: u8) -> Carried {
    #[expect(clippy::as_conversions, reason = "widening in a const function")]
    let register = names::ICH_LR0_EL2.into_bits().wrapping_add(number as u16);
    interface(SysRegId::from_bits(register), Needs::ListRegister(number))
}

/// What a vCPU takes along beside breakpoints and watchpoints, in the order in which it is put on a CPU: controls first,
/// compare values before the timers that they belong to.
const LISTED: [Carried; 81] = [
    control(names::HCR_EL2),
    Carried { needs: Needs::ExtendedHypervisor, ..control(names::HCRX_EL2) },
    control(names::CPTR_EL2),
    control(names::MDCR_EL2),
    Carried { needs: Needs::PerformanceMonitors, ..control(names::PMUSERENR_EL0) },
    fine_grained(names::HFGRTR_EL2),
    fine_grained(names::HFGWTR_EL2),
    fine_grained(names::HFGITR_EL2),
    fine_grained(names::HDFGRTR_EL2),
    fine_grained(names::HDFGWTR_EL2),
    control(names::CNTHCTL_EL2),
    control(names::ICC_SRE_EL2),
    control(names::VMPIDR_EL2),
    // What MIDR_EL1 reads at EL1.
    Carried { owner: Owner::Control, bank: Bank::SYSTEM, ..control(names::VPIDR_EL2) },
    guest(names::SCTLR_EL1),
    guest(names::ACTLR_EL1),
    guest(names::CPACR_EL1),
    guest(names::TTBR0_EL1),
    guest(names::TTBR1_EL1),
    guest(names::TCR_EL1),
    guest(names::SPSR_EL1),
    guest(names::ELR_EL1),
    guest(names::SP_EL0),
    guest(names::SP_EL1),
    guest(names::AFSR0_EL1),
    guest(names::AFSR1_EL1),
    guest(names::ESR_EL1),
    guest(names::FAR_EL1),
    guest(names::PAR_EL1),
    guest(names::MAIR_EL1),
    guest(names::AMAIR_EL1),
    guest(names::VBAR_EL1),
    guest(names::CONTEXTIDR_EL1),
    guest(names::TPIDR_EL1),
    guest(names::TPIDR_EL0),
    guest(names::TPIDRRO_EL0),
    guest(names::CNTKCTL_EL1),
    guest(names::FPCR),
    guest(names::FPSR),
    guest(names::MDSCR_EL1),
    // The OS lock, of which OSLAR_EL1 is the way to write.
    guest(names::OSLSR_EL1),
    key(names::APIAKEYLO_EL1),
    key(names::APIAKEYHI_EL1),
    key(names::APIBKEYLO_EL1),
    key(names::APIBKEYHI_EL1),
    key(names::APDAKEYLO_EL1),
    key(names::APDAKEYHI_EL1),
    key(names::APDBKEYLO_EL1),
    key(names::APDBKEYHI_EL1),
    key(names::APGAKEYLO_EL1),
    key(names::APGAKEYHI_EL1),
    guest(names::CNTP_CVAL_EL0),
    guest(names::CNTP_CTL_EL0),
    guest(names::CNTV_CVAL_EL0),
    guest(names::CNTV_CTL_EL0),
    interface(names::ICH_VMCR_EL2, Needs::Nothing),
    interface(names::ICH_AP0R0_EL2, Needs::Nothing),
    interface(names::ICH_AP0R1_EL2, Needs::PreemptionBits(6)),
    interface(names::ICH_AP0R2_EL2, Needs::PreemptionBits(7)),
    interface(names::ICH_AP0R3_EL2, Needs::PreemptionBits(7)),
    interface(names::ICH_AP1R0_EL2, Needs::Nothing),
    interface(names::ICH_AP1R1_EL2, Needs::PreemptionBits(6)),
    interface(names::ICH_AP1R2_EL2, Needs::PreemptionBits(7)),
    interface(names::ICH_AP1R3_EL2, Needs::PreemptionBits(7)),
    list(0),
    list(1),
    list(2),
    list(3),
    list(4),
    list(5),
    list(6),
    list(7),
    list(8),
    list(9),
    list(10),
    list(11),
    list(12),
    list(13),
    list(14),
    list(15),
    interface(names::ICH_HCR_EL2, Needs::Nothing),
];

/// Breakpoints, and watchpoints, that a CPU has at most.
const DEBUG: usize = 16;

/// Everything that a vCPU takes along.
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "evaluated at compile time"
)]
pub(crate) const CARRIED: [Carried; LISTED.len() + 4 * DEBUG] = {
    let mut all = [LISTED[0]; LISTED.len() + 4 * DEBUG];
    let mut place = 0;
    while place < all.len() {
        all[place] = if place < LISTED.len() {
            LISTED[place]
        } else {
            // DBGBVR<n>_EL1, DBGBCR<n>_EL1, DBGWVR<n>_EL1, DBGWCR<n>_EL1: op2 4 to 7.
            let number = ((place - LISTED.len()) / 4) as u8;
            let op2 = 4 + ((place - LISTED.len()) % 4) as u8;
            let needs = if op2 < 6 { Needs::Breakpoint(number) } else { Needs::Watchpoint(number) };
            Carried { needs, ..guest(SysRegId::new(2, 0, 0, number, op2)) }
        };
        place += 1;
    }
    all
};

/// Encodings of [`CARRIED`] in order, each with its place there.
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "evaluated at compile time"
)]
const PLACES: [(u16, usize); CARRIED.len()] = {
    let mut sorted = [(0, 0); CARRIED.len()];
    let mut count = 0;
    while count < sorted.len() {
        let new = (CARRIED[count].register.into_bits(), count);
        let mut at = count;
        while at > 0 && sorted[at - 1].0 > new.0 {
            sorted[at] = sorted[at - 1];
            at -= 1;
        }
        sorted[at] = new;
        count += 1;
    }
    sorted
};

/// Identification that a CPU has.
const LIMITS: [SysRegId; 16] = [
    names::MIDR_EL1,
    names::REVIDR_EL1,
    names::AIDR_EL1,
    names::CTR_EL0,
    names::DCZID_EL0,
    names::ID_AA64PFR0_EL1,
    names::ID_AA64PFR1_EL1,
    names::ID_AA64DFR0_EL1,
    names::ID_AA64ISAR0_EL1,
    names::ID_AA64ISAR1_EL1,
    names::ID_AA64ISAR2_EL1,
    names::ID_AA64MMFR0_EL1,
    names::ID_AA64MMFR1_EL1,
    names::ID_AA64MMFR2_EL1,
    names::ICH_VTR_EL2,
    names::CNTFRQ_EL0,
];

/// Returns where the register lives, `None` if this host has no such register.
pub(crate) fn home(id: RegId) -> Option<Home> {
    match id.bank {
        Bank::CORE if id == RegId::PC => Some(Home::Pc),
        Bank::CORE if id == RegId::STATUS => Some(Home::Status),
        Bank::GENERAL => Some(Home::General(below(id.index, 31)?)),
        Bank::VECTOR => Some(Home::Vector(below(id.index, 32)?)),
        Bank::SYSTEM | Bank::CONTROL | Bank::INTERRUPT => {
            let register = SysRegId::from_bits(u16::try_from(id.index).ok()?);
            match (id.bank, register) {
                (Bank::SYSTEM, names::CNTPCT_EL0) => Some(Home::PhysicalCount),
                (Bank::SYSTEM, names::CNTVCT_EL0) => Some(Home::VirtualCount),
                (Bank::SYSTEM, names::MIDR_EL1) => place(Bank::SYSTEM, names::VPIDR_EL2).map(Home::Carried),
                (Bank::SYSTEM, names::VPIDR_EL2) => None,
                (bank, register) => place(bank, register).map(Home::Carried),
            }
        }
        Bank::HOST_LIMIT => {
            let register = SysRegId::from_bits(u16::try_from(id.index).ok()?);
            LIMITS.contains(&register).then_some(Home::Limit(register))
        }
        _ => None,
    }
}

fn below(index: u32, limit: u8) -> Option<u8> {
    u8::try_from(index).ok().filter(|number| *number < limit)
}

fn place(bank: Bank, register: SysRegId) -> Option<usize> {
    let found = PLACES.binary_search_by_key(&register.into_bits(), |(encoding, _)| *encoding).ok()?;
    let (_, place) = *PLACES.get(found)?;
    CARRIED.get(place).filter(|carried| carried.bank == bank).map(|_| place)
}

/// CPACR_EL1.ZEN, \[17:16\].
const CPACR_ZEN: u64 = CpacrEl1::new().with_zen(3).into_bits();
/// CPACR_EL1.SMEN, \[25:24\].
const CPACR_SMEN: u64 = CpacrEl1::new().with_smen(3).into_bits();

/// What a CPU has of what not every CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Equipment {
    pub(crate) pointer_authentication: bool,
    pub(crate) extended_hypervisor: bool,
    pub(crate) fine_grained_traps: bool,
    /// Fields of CPACR_EL1 that say who may use vectors and matrices: ZEN and SMEN, where there are any.
    pub(crate) vector_access: u64,
    pub(crate) vtr: IchVtr,
    pub(crate) debug: IdAa64Dfr0,
}

impl Equipment {
    /// Asks a CPU by its identification registers.
    pub(crate) fn ask(mut limit: impl FnMut(SysRegId) -> u64) -> Self {
        let one = IdAa64Isar1::from_bits(limit(names::ID_AA64ISAR1_EL1));
        let two = IdAa64Isar2::from_bits(limit(names::ID_AA64ISAR2_EL1));
        let pauth = one.apa() | one.api() | one.gpa() | one.gpi() | two.apa3() | two.gpa3();
        let sve = IdAa64Pfr0::from_bits(limit(names::ID_AA64PFR0_EL1)).sve() != 0;
        let sme = IdAa64Pfr1::from_bits(limit(names::ID_AA64PFR1_EL1)).sme() != 0;
        Self {
            pointer_authentication: pauth != 0,
            extended_hypervisor: IdAa64Mmfr1::from_bits(limit(names::ID_AA64MMFR1_EL1)).hcx() != 0,
            fine_grained_traps: IdAa64Mmfr0::from_bits(limit(names::ID_AA64MMFR0_EL1)).fgt() != 0,
            vector_access: if sve { CPACR_ZEN } else { 0 } | if sme { CPACR_SMEN } else { 0 },
            vtr: IchVtr::from_bits(limit(names::ICH_VTR_EL2)),
            debug: IdAa64Dfr0::from_bits(limit(names::ID_AA64DFR0_EL1)),
        }
    }

    /// Whether the CPU has what a register needs.
    pub(crate) const fn has(&self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing => true,
            Needs::PointerAuthentication => self.pointer_authentication,
            Needs::ExtendedHypervisor => self.extended_hypervisor,
            Needs::FineGrainedTraps => self.fine_grained_traps,
            // 15 is one of the implementation's own.
            Needs::PerformanceMonitors => !matches!(self.debug.pmuver(), 0 | 15),
            Needs::ListRegister(number) => self.vtr.list_regs() >= number,
            // PREbits is one less than the number.
            Needs::PreemptionBits(bits) => self.vtr.prebits() >= bits.saturating_sub(1),
            Needs::Breakpoint(number) => self.debug.brps() >= number,
            Needs::Watchpoint(number) => self.debug.wrps() >= number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_found_by_their_encoding() {
        const CASES: &[(&str, RegId, Option<SysRegId>)] = &[
            ("SCTLR_EL1", RegId::system(0xc080), Some(names::SCTLR_EL1)),
            ("CNTV_CTL_EL0", RegId::system(0xdf19), Some(names::CNTV_CTL_EL0)),
            ("SP_EL1", RegId::system(0xe208), Some(names::SP_EL1)),
            ("MIDR_EL1 is VPIDR_EL2", RegId::system(0xc000), Some(names::VPIDR_EL2)),
            ("VPIDR_EL2 is nobody's", RegId::system(0xe000), None),
            ("HCR_EL2", RegId::control(0xe088), Some(names::HCR_EL2)),
            ("HCR_EL2 is not the guest's", RegId::system(0xe088), None),
            ("ICH_LR15_EL2", RegId::interrupt(0xe66f), Some(names::ICH_LR15_EL2)),
            ("DBGWCR15_EL1", RegId::system(0x807f), Some(names::DBGWCR15_EL1)),
            ("OSLSR_EL1", RegId::system(0x808c), Some(names::OSLSR_EL1)),
            ("PMUSERENR_EL0", RegId::control(0xdcf0), Some(names::PMUSERENR_EL0)),
            ("PMUSERENR_EL0 is not the guest's", RegId::system(0xdcf0), None),
            ("HFGRTR_EL2", RegId::control(0xe08c), Some(names::HFGRTR_EL2)),
            ("DBGBVR0_EL1", RegId::system(0x8004), Some(names::DBGBVR0_EL1)),
            ("nothing", RegId::system(0xffff), None),
        ];
        for (name, id, want) in CASES {
            let got = match home(*id) {
                Some(Home::Carried(place)) => CARRIED.get(place).map(|carried| carried.register),
                _ => None,
            };
            assert_eq!(got, *want, "{name}");
        }
        assert_eq!(home(RegId::general(30)), Some(Home::General(30)));
        assert_eq!(home(RegId::general(31)), None);
        assert_eq!(home(RegId::host_limit(0xc038)), Some(Home::Limit(names::ID_AA64MMFR0_EL1)));
    }

    #[test]
    fn nothing_is_carried_twice() {
        for (index, one) in CARRIED.iter().enumerate() {
            assert!(CARRIED.iter().skip(index + 1).all(|other| other.register != one.register), "{one:?}");
        }
    }

    #[test]
    fn what_a_cpu_has_follows_from_its_identification() {
        // Cortex-A57 with a GIC of four list registers and five bits: 3 and 4.
        let old = Equipment::ask(|id| if id == names::ICH_VTR_EL2 { 4 << 29 | 4 << 26 | 3 } else { 0 });
        assert_eq!(old.vector_access, 0);
        assert!(old.has(Needs::Nothing) && old.has(Needs::ListRegister(3)));
        assert!(!old.has(Needs::ListRegister(4)) && !old.has(Needs::PreemptionBits(6)));
        assert!(!old.has(Needs::PointerAuthentication) && !old.has(Needs::ExtendedHypervisor));
        assert!(!old.has(Needs::FineGrainedTraps) && !old.has(Needs::PerformanceMonitors));
        // CTX_CMPs 1, WRPs 3, BRPs 5 of DFR0 at 28, 20, 12: six breakpoints, four watchpoints.
        let debug = Equipment::ask(|id| if id == names::ID_AA64DFR0_EL1 { 0x1030_5106 } else { 0 });
        assert!(debug.has(Needs::PerformanceMonitors));
        let others = Equipment::ask(|id| if id == names::ID_AA64DFR0_EL1 { 0xf06 } else { 0 });
        assert!(!others.has(Needs::PerformanceMonitors), "of the implementation's own form");
        assert!(debug.has(Needs::Breakpoint(5)) && debug.has(Needs::Watchpoint(3)));
        assert!(!debug.has(Needs::Breakpoint(6)) && !debug.has(Needs::Watchpoint(4)));
        // APA3, HCX, seven bits of preemption.
        let new = Equipment::ask(|id| match id {
            names::ID_AA64ISAR2_EL1 => 0x5000,
            names::ID_AA64MMFR1_EL1 => 1 << 40,
            names::ID_AA64MMFR0_EL1 => 1 << 56,
            names::ID_AA64PFR0_EL1 => 1 << 32,
            names::ID_AA64PFR1_EL1 => 1 << 24,
            names::ICH_VTR_EL2 => 6 << 29 | 6 << 26 | 15,
            _ => 0,
        });
        assert!(new.has(Needs::PointerAuthentication) && new.has(Needs::ExtendedHypervisor));
        assert!(new.has(Needs::FineGrainedTraps));
        assert_eq!(new.vector_access, 0x303_0000);
        assert!(new.has(Needs::ListRegister(15)) && new.has(Needs::PreemptionBits(7)));
    }
}
