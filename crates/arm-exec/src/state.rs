//! The architectural state of one processing element, in the form the engine works on.
//!
//! Everything here is a plain value. The general registers have spare slots so that the executor
//! never asks whether a register number means ZR or SP: the decoder turns the number into a [`Slot`].

use arm_arch::PState;
use arm_arch::sysreg::SctlrEl1;

/// Index into the register file: 0–30 are X0–X30, then the three special slots. Always below 64.
pub type Slot = u8;

/// Slot that always reads as zero (ZR as a source).
pub const ZERO: Slot = 31;
/// Slot of the stack pointer in use.
pub const SP: Slot = 32;
/// Slot whose value nobody reads (ZR as a destination).
pub const DISCARD: Slot = 33;

/// NZCV, kept as operands of the comparison that reads them rather than as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// N is the sign bit (63) of this value.
    pub n: u64,
    /// Z is set when this value is zero.
    pub z: u64,
    /// C, 0 or 1.
    pub c: u64,
    /// V is the sign bit (63) of this value.
    pub v: u64,
}

/// Where PSTATE has the flags.
const N: u32 = PState::new().with_n(true).into_bits().trailing_zeros();
const Z: u32 = PState::new().with_z(true).into_bits().trailing_zeros();
const C: u32 = PState::new().with_c(true).into_bits().trailing_zeros();
const V: u32 = PState::new().with_v(true).into_bits().trailing_zeros();

impl Flags {
    /// Returns the flags whose NZCV bits are `bits` \[31:28\], as in PSTATE and the NZCV register.
    #[inline]
    #[must_use]
    pub const fn from_nzcv(bits: u64) -> Self {
        Self { n: (bits >> N) << 63, z: ((bits >> Z) & 1) ^ 1, c: (bits >> C) & 1, v: (bits >> V) << 63 }
    }

    /// Returns NZCV at bits \[31:28\].
    #[inline]
    #[must_use]
    pub const fn nzcv(self) -> u64 {
        let z = if self.z == 0 { 1 << Z } else { 0 };
        ((self.n >> 63) << N) | z | ((self.c & 1) << C) | ((self.v >> 63) << V)
    }
}

/// The SIMD&FP registers with their control and status.
#[derive(Clone, Debug)]
pub struct FpState {
    /// V0–V31; the value of a register is the integer whose bit 0 is bit 0 of element 0.
    pub v: [u128; 32],
    /// FPCR, RES0 bits clear.
    pub fpcr: u32,
    /// FPSR, RES0 bits clear.
    pub fpsr: u32,
}

/// PSTATE without NZCV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Current Exception level, 0 or 1.
    pub el: u8,
    /// PSTATE.SP: the stack pointer in use is SP_EL1 (only at EL1).
    pub sp_elx: bool,
    /// D, A, I, F at bits 9:6 as in SPSR.
    pub daif: u64,
    /// PSTATE.PAN.
    pub pan: bool,
    /// PSTATE.UAO.
    pub uao: bool,
    /// PSTATE.DIT.
    pub dit: bool,
    /// PSTATE.SSBS.
    pub ssbs: bool,
    /// PSTATE.IL.
    pub il: bool,
    /// PSTATE.SS.
    pub ss: bool,
}

/// System registers that the PE holds, by name; widths as the architecture gives them.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "each field is the register of its name")]
pub struct SysRegs {
    // EL1&0 control and translation.
    pub sctlr_el1: u64,
    pub actlr_el1: u64,
    pub cpacr_el1: u64,
    pub ttbr0_el1: u64,
    pub ttbr1_el1: u64,
    pub tcr_el1: u64,
    pub mair_el1: u64,
    pub amair_el1: u64,
    pub contextidr_el1: u64,
    pub vbar_el1: u64,
    // Exceptions.
    pub elr_el1: u64,
    pub spsr_el1: u64,
    pub esr_el1: u64,
    pub far_el1: u64,
    pub afsr0_el1: u64,
    pub afsr1_el1: u64,
    pub par_el1: u64,
    pub disr_el1: u64,
    // Thread and identification.
    pub tpidr_el0: u64,
    pub tpidrro_el0: u64,
    pub tpidr_el1: u64,
    pub csselr_el1: u64,
    pub midr_el1: u64,
    // Debug.
    pub mdscr_el1: u64,
    pub oslsr_el1: u64,
    pub osdlr_el1: u64,
    pub mdccint_el1: u64,
    pub dbgbvr_el1: [u64; 2],
    pub dbgbcr_el1: [u64; 2],
    pub dbgwvr_el1: [u64; 2],
    pub dbgwcr_el1: [u64; 2],
    pub dbgclaim_el1: u64,
    // Timers.
    pub cntkctl_el1: u64,
    pub cntfrq_el0: u64,
    pub cntp_ctl_el0: u64,
    pub cntp_cval_el0: u64,
    pub cntv_ctl_el0: u64,
    pub cntv_cval_el0: u64,
    // What the host side set.
    pub hcr_el2: u64,
    pub hcrx_el2: u64,
    pub cptr_el2: u64,
    pub mdcr_el2: u64,
    pub cnthctl_el2: u64,
    pub vmpidr_el2: u64,
    pub vsesr_el2: u64,
    pub icc_sre_el2: u64,
    // Virtual CPU interface.
    pub ich_hcr_el2: u64,
    pub ich_vmcr_el2: u64,
    pub ich_ap0r0_el2: u64,
    pub ich_ap1r0_el2: u64,
    pub ich_lr_el2: [u64; 4],
    pub ich_misr_el2: u64,
}

/// Local exclusive monitor: address, size and value of the last load-exclusive.
///
/// CHOICE: a store-exclusive succeeds when the location still holds the value that was loaded
/// (compare-and-swap), the implementation freedom that software engines use.
/// Arm ARM, "Synchronization and semaphores".
#[derive(Clone, Copy, Debug, Default)]
pub struct Monitor {
    /// A load-exclusive is outstanding.
    pub open: bool,
    /// Virtual address of the load.
    pub address: u64,
    /// Bytes: 1, 2, 4, 8 or 16.
    pub bytes: u8,
    /// What was loaded.
    pub value: u128,
}

/// The state of one PE.
#[derive(Clone, Debug)]
pub struct State {
    /// The register file by [`Slot`]: X0–X30, then [`ZERO`], [`SP`], [`DISCARD`].
    pub x: [u64; 64],
    /// The program counter.
    pub pc: u64,
    /// NZCV.
    pub flags: Flags,
    /// PSTATE without NZCV.
    pub mode: Mode,
    /// The stack pointers not in use: \[0\] SP_EL0, \[1\] SP_EL1. The one in use is `x[SP]`.
    pub sp_bank: [u64; 2],
    /// SIMD&FP.
    pub fp: FpState,
    /// System registers.
    pub sys: SysRegs,
    /// The local exclusive monitor.
    pub monitor: Monitor,
    /// The event register (WFE, SEV).
    pub event: bool,
}

impl State {
    /// Returns the state after a warm reset to EL1: PSTATE as for EL1h with D, A, I and F masked,
    /// SCTLR_EL1 at its RES1 bits, everything that the reset leaves UNKNOWN zero. Arm ARM,
    /// AArch64.TakeReset.
    // It is large: inline it is made where it is to lie.
    #[inline(always)]
    #[must_use]
    pub fn reset() -> Self {
        Self {
            x: [0; 64],
            pc: 0,
            flags: Flags::from_nzcv(0),
            mode: Mode {
                el: 1,
                sp_elx: true,
                daif: PState::DAIF,
                pan: false,
                uao: false,
                dit: false,
                ssbs: false,
                il: false,
                ss: false,
            },
            sp_bank: [0; 2],
            fp: FpState { v: [0; 32], fpcr: 0, fpsr: 0 },
            sys: SysRegs { sctlr_el1: SctlrEl1::RES1.into_bits(), ..SysRegs::default() },
            monitor: Monitor::default(),
            event: false,
        }
    }
}
