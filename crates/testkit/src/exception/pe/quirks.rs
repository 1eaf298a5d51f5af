//! Ways in which the reference differs.

/// Ways in which the reference differs; a set of them.
pub type Quirks = u32;

/// One way in which the reference differs.
#[derive(Clone, Copy, Debug)]
pub struct Quirk {
    /// Its bit.
    pub bit: Quirks,
    /// Its row in `docs/differences-exceptions.md`, and what it is.
    pub name: &'static str,
}

/// An illegal return keeps PAN.
pub(super) const KEEPS_PAN: Quirks = 1;
/// FAR becomes 0 with a breakpoint.
pub(super) const CLEARS_FAR: Quirks = 1 << 1;
/// Of virtual interrupts IRQ comes first.
pub(super) const IRQ_FIRST: Quirks = 1 << 2;

/// Taking an exception clears the flags.
pub(super) const CLEARS_FLAGS: Quirks = 1 << 3;

/// Taking an exception clears DIT.
pub(super) const CLEARS_DIT: Quirks = 1 << 4;

/// The OS lock does not keep debug exceptions off.
pub(super) const NO_OS_LOCK: Quirks = 1 << 5;
/// UMA is looked for in SCTLR_EL2 for the host's EL0.
pub(super) const HOST_UMA: Quirks = 1 << 6;
/// ERET that is itself a branch target clears BTYPE after the return.
pub(super) const CLEARS_BTYPE: Quirks = 1 << 7;
/// SP is not checked for alignment.
pub(super) const NO_SP_CHECK: Quirks = 1 << 8;

/// PSTATE.EXLOCK is always 0.
pub(super) const NO_EXLOCK: Quirks = 1 << 9;
/// A PC alignment fault comes before a pending software step.
pub(super) const PC_BEFORE_STEP: Quirks = 1 << 10;
/// Illegal state comes before an instruction abort.
pub(super) const ILLEGAL_BEFORE_ABORT: Quirks = 1 << 11;
/// The syndrome of a trapped MSR (immediate) has op1 and op2 exchanged.
pub(super) const SWAPS_OPS: Quirks = 1 << 12;
/// HVC of Secure EL1 reaches EL2 without a Secure EL2.
pub(super) const SECURE_HVC: Quirks = 1 << 13;
/// An illegal return does not load SS.
pub(super) const KEEPS_SS: Quirks = 1 << 14;
/// A stepped instruction is followed by the step exception whatever it did to PSTATE, with ISV.
pub(super) const STEPS_ANYWAY: Quirks = 1 << 15;
/// Reserved combinations of HMC, SSC and PMC or PAC, and SSC = 11, are taken bit by bit.
pub(super) const STATE_BY_BITS: Quirks = 1 << 16;
/// Contexts: unlinked ones never match, of linked ones only CONTEXTIDR, at any level.
pub(super) const FEW_CONTEXTS: Quirks = 1 << 17;
/// A watchpoint with MASK 1 or 2 is disabled.
pub(super) const NO_SMALL_MASK: Quirks = 1 << 18;
/// Of BAS of a watchpoint only the first run of ones counts.
pub(super) const FIRST_RUN: Quirks = 1 << 19;
/// HVC of EL3 goes down to EL2. QEMU 7.2.
pub(super) const DOWN_BY_HVC: Quirks = 1 << 20;
/// An illegal return keeps the top byte of the address.
pub(super) const KEEPS_TAG: Quirks = 1 << 21;

/// Those that nearly every case shows.
pub const COMMON: Quirks = CLEARS_FLAGS | CLEARS_DIT | NO_EXLOCK;

/// All of them.
pub const QUIRKS: &[Quirk] = &[
    Quirk { bit: KEEPS_PAN, name: "illegal return keeps PAN" },
    Quirk { bit: CLEARS_FAR, name: "FAR is 0 after a breakpoint" },
    Quirk { bit: IRQ_FIRST, name: "virtual IRQ before virtual FIQ" },
    Quirk { bit: CLEARS_FLAGS, name: "N, Z, C and V become 0 with an exception" },
    Quirk { bit: CLEARS_DIT, name: "DIT becomes 0 with an exception" },
    Quirk { bit: NO_OS_LOCK, name: "the OS lock has no effect" },
    Quirk { bit: NO_EXLOCK, name: "EXLOCK is always 0" },
    Quirk { bit: PC_BEFORE_STEP, name: "PC alignment before a pending step" },
    Quirk { bit: ILLEGAL_BEFORE_ABORT, name: "illegal state before an instruction abort" },
    Quirk { bit: SWAPS_OPS, name: "op1 and op2 exchanged in a syndrome" },
    Quirk { bit: SECURE_HVC, name: "HVC from Secure EL1 without Secure EL2" },
    Quirk { bit: DOWN_BY_HVC, name: "HVC from EL3 goes to EL2" },
    Quirk { bit: KEEPS_TAG, name: "illegal return keeps the top byte" },
    Quirk { bit: KEEPS_SS, name: "illegal return does not load SS" },
    Quirk { bit: STEPS_ANYWAY, name: "step exception after an instruction that ends stepping" },
    Quirk { bit: STATE_BY_BITS, name: "HMC, SSC, PMC and PAC bit by bit" },
    Quirk { bit: FEW_CONTEXTS, name: "few contexts" },
    Quirk { bit: NO_SMALL_MASK, name: "no watchpoint with MASK 1 or 2" },
    Quirk { bit: FIRST_RUN, name: "only the first run of BAS" },
    Quirk { bit: HOST_UMA, name: "SCTLR_EL2 has UMA" },
    Quirk { bit: CLEARS_BTYPE, name: "ERET with BTYPE clears the BTYPE returned to" },
    Quirk { bit: NO_SP_CHECK, name: "SP is not checked for alignment" },
];
