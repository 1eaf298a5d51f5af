//! The machine's own instructions: the world switch, the guest's registers, TLBI, and the GIC's CPU interface.
//!
//! Everything unsafe of this crate is here. What it rests on is said once, by who makes a [`Cpu`], a [`Control`] or a
//! [`Physical`]: that this is EL2, that memory lies at EL2 where it lies physically, and who owns what.

use crate::control::Form;
use crate::machine::{
    AddressSpace, Context, CpuNumber, Exception, HostControl, Intid, OutsideMemory, Scope, TableStorage,
};
use arm_arch::SysRegId;
use arm_arch::sysreg::{CtrEl0, HcrEl2, IccIntid, IccSgi, MpidrEl1, OslarEl1, OslsrEl1, names};
use core::arch::{asm, global_asm};
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};
use xarch_abi::HostPa;

// In: X0 is the context. Out: X0 is the kind of exception, 0 to 3 as the vectors of a lower level lie.
//
// Frame on the host's stack: X19 to X30, then DAIF, VBAR_EL2 and TPIDR_EL2 of the embedder. While the guest runs,
// TPIDR_EL2 holds the context and SP_EL2 the end of that frame.
global_asm!(
    ".pushsection .text.arm_host, \"ax\"",
    ".balign 4",
    "arm_host_enter:",
    "    stp  x29, x30, [sp, #-96]!",
    "    stp  x27, x28, [sp, #16]",
    "    stp  x25, x26, [sp, #32]",
    "    stp  x23, x24, [sp, #48]",
    "    stp  x21, x22, [sp, #64]",
    "    stp  x19, x20, [sp, #80]",
    "    mrs  x1, daif",
    "    str  x1, [sp, #-16]!",
    "    mrs  x1, vbar_el2",
    "    mrs  x2, tpidr_el2",
    "    stp  x1, x2, [sp, #-16]!",
    "    adr  x1, arm_host_vectors",
    "    msr  vbar_el2, x1",
    "    msr  tpidr_el2, x0",
    "    ldp  x1, x2, [x0, #{pc}]",
    "    msr  elr_el2, x1",
    "    msr  spsr_el2, x2",
    "    ldp  x2, x3, [x0, #16]",
    "    ldp  x4, x5, [x0, #32]",
    "    ldp  x6, x7, [x0, #48]",
    "    ldp  x8, x9, [x0, #64]",
    "    ldp  x10, x11, [x0, #80]",
    "    ldp  x12, x13, [x0, #96]",
    "    ldp  x14, x15, [x0, #112]",
    "    ldp  x16, x17, [x0, #128]",
    "    ldp  x18, x19, [x0, #144]",
    "    ldp  x20, x21, [x0, #160]",
    "    ldp  x22, x23, [x0, #176]",
    "    ldp  x24, x25, [x0, #192]",
    "    ldp  x26, x27, [x0, #208]",
    "    ldp  x28, x29, [x0, #224]",
    "    ldr  x30, [x0, #240]",
    "    ldp  x0, x1, [x0]",
    "    eret",
    // No speculation past the return.
    "    dsb  nsh",
    "    isb",
    "arm_host_leave:",
    "    mrs  x0, tpidr_el2",
    "    stp  x2, x3, [x0, #16]",
    "    stp  x4, x5, [x0, #32]",
    "    stp  x6, x7, [x0, #48]",
    "    stp  x8, x9, [x0, #64]",
    "    stp  x10, x11, [x0, #80]",
    "    stp  x12, x13, [x0, #96]",
    "    stp  x14, x15, [x0, #112]",
    "    stp  x16, x17, [x0, #128]",
    "    stp  x18, x19, [x0, #144]",
    "    stp  x20, x21, [x0, #160]",
    "    stp  x22, x23, [x0, #176]",
    "    stp  x24, x25, [x0, #192]",
    "    stp  x26, x27, [x0, #208]",
    "    stp  x28, x29, [x0, #224]",
    "    str  x30, [x0, #240]",
    "    ldp  x2, x3, [sp], #16",
    "    stp  x2, x3, [x0]",
    "    mrs  x2, elr_el2",
    "    mrs  x3, spsr_el2",
    "    stp  x2, x3, [x0, #{pc}]",
    "    mrs  x2, esr_el2",
    "    mrs  x3, far_el2",
    "    stp  x2, x3, [x0, #{esr}]",
    "    mrs  x2, hpfar_el2",
    "    str  x2, [x0, #{hpfar}]",
    "    ldp  x2, x3, [sp], #16",
    "    msr  vbar_el2, x2",
    "    msr  tpidr_el2, x3",
    // An exception masks everything.
    "    ldr  x2, [sp], #16",
    "    msr  daif, x2",
    "    mov  x0, x1",
    "    ldp  x19, x20, [sp, #80]",
    "    ldp  x21, x22, [sp, #64]",
    "    ldp  x23, x24, [sp, #48]",
    "    ldp  x25, x26, [sp, #32]",
    "    ldp  x27, x28, [sp, #16]",
    "    ldp  x29, x30, [sp], #96",
    "    isb",
    "    ret",
    ".balign 2048",
    "arm_host_vectors:",
    // From EL2 itself: a mistake of the host, for the embedder's vector at the same offset.
    ".rept 8",
    ".balign 128",
    "1:  ldr  x0, [sp]",
    "    add  x0, x0, #(1b - arm_host_vectors)",
    "    br   x0",
    ".endr",
    ".irp kind, 0, 1, 2, 3",
    ".balign 128",
    "    stp  x0, x1, [sp, #-16]!",
    "    mov  x1, #\\kind",
    "    b    arm_host_leave",
    ".endr",
    // From AArch32, which no guest of ours has: HCR_EL2.RW is 1 and EL0 in AArch32 is not announced.
    ".irp kind, 0, 1, 2, 3",
    ".balign 128",
    "    stp  x0, x1, [sp, #-16]!",
    "    mov  x1, #\\kind",
    "    b    arm_host_leave",
    ".endr",
    ".popsection",
    pc = const offset_of!(Context, pc),
    esr = const offset_of!(Context, esr),
    hpfar = const offset_of!(Context, hpfar),
);

const _: () = assert!(offset_of!(Context, general) == 0);
const _: () = assert!(offset_of!(Context, pstate) == offset_of!(Context, pc) + 8);
const _: () = assert!(offset_of!(Context, far) == offset_of!(Context, esr) + 8);

unsafe extern "C" {
    /// Runs the guest of a context.
    fn arm_host_enter(context: *mut Context) -> u64;
}

// V0 to V31 at X0. The crate itself is built without floating point.
global_asm!(
    ".pushsection .text.arm_host, \"ax\"",
    ".arch_extension fp",
    ".arch_extension simd",
    "arm_host_store_vectors:",
    "    stp  q0, q1, [x0, #0]",
    "    stp  q2, q3, [x0, #32]",
    "    stp  q4, q5, [x0, #64]",
    "    stp  q6, q7, [x0, #96]",
    "    stp  q8, q9, [x0, #128]",
    "    stp  q10, q11, [x0, #160]",
    "    stp  q12, q13, [x0, #192]",
    "    stp  q14, q15, [x0, #224]",
    "    stp  q16, q17, [x0, #256]",
    "    stp  q18, q19, [x0, #288]",
    "    stp  q20, q21, [x0, #320]",
    "    stp  q22, q23, [x0, #352]",
    "    stp  q24, q25, [x0, #384]",
    "    stp  q26, q27, [x0, #416]",
    "    stp  q28, q29, [x0, #448]",
    "    stp  q30, q31, [x0, #480]",
    "    ret",
    "arm_host_load_vectors:",
    "    ldp  q0, q1, [x0, #0]",
    "    ldp  q2, q3, [x0, #32]",
    "    ldp  q4, q5, [x0, #64]",
    "    ldp  q6, q7, [x0, #96]",
    "    ldp  q8, q9, [x0, #128]",
    "    ldp  q10, q11, [x0, #160]",
    "    ldp  q12, q13, [x0, #192]",
    "    ldp  q14, q15, [x0, #224]",
    "    ldp  q16, q17, [x0, #256]",
    "    ldp  q18, q19, [x0, #288]",
    "    ldp  q20, q21, [x0, #320]",
    "    ldp  q22, q23, [x0, #352]",
    "    ldp  q24, q25, [x0, #384]",
    "    ldp  q26, q27, [x0, #416]",
    "    ldp  q28, q29, [x0, #448]",
    "    ldp  q30, q31, [x0, #480]",
    "    ret",
    ".popsection",
);

unsafe extern "C" {
    /// Stores V0 to V31.
    fn arm_host_store_vectors(vectors: *mut [u128; 32]);
    /// Loads V0 to V31.
    fn arm_host_load_vectors(vectors: *const [u128; 32]);
}

macro_rules! mrs {
    ($name:expr) => {{
        let value: u64;
        // SAFETY: reading the register has no effect that the compiler knows of. It exists: callers ask for what
        // the CPU's identification announces.
        unsafe { asm!(concat!("mrs {}, ", $name), out(reg) value, options(nostack, preserves_flags)) };
        value
    }};
}

macro_rules! msr {
    ($name:expr, $value:expr) => {
        // SAFETY: the registers written here govern EL1 and EL0, or are those of EL2 that say so; none changes how
        // this program's own memory is translated. It exists, as above.
        unsafe { asm!(concat!("msr ", $name, ", {}"), in(reg) $value, options(nostack, preserves_flags)) }
    };
}

macro_rules! registers {
    (
        redirected { $($redirected:ident = $classic:literal or $vhe:literal,)* }
        plain { $($plain:ident = $name:literal,)* }
        read_only { $($fixed:ident = $fixed_name:literal,)* }
    ) => {
        fn read_register(form: Form, register: SysRegId) -> u64 {
            match (register, form) {
                $((names::$redirected, Form::Classic) => mrs!($classic),)*
                $((names::$redirected, Form::Vhe) => mrs!($vhe),)*
                $((names::$plain, _) => mrs!($name),)*
                $((names::$fixed, _) => mrs!($fixed_name),)*
                _ => 0,
            }
        }

        fn write_register(form: Form, register: SysRegId, value: u64) {
            match (register, form) {
                $((names::$redirected, Form::Classic) => msr!($classic, value),)*
                $((names::$redirected, Form::Vhe) => msr!($vhe, value),)*
                $((names::$plain, _) => msr!($name, value),)*
                _ => {}
            }
        }
    };
}

// Names by encoding, so that no assembler is too old for them. With FEAT_VHE in use, EL2 reaches EL1's own registers by
// other encodings (op1 is 5): those of EL1 mean EL2's. Arm ARM, HCR_EL2.E2H.
registers! {
    redirected {
        SCTLR_EL1 = "S3_0_C1_C0_0" or "S3_5_C1_C0_0",
        CPACR_EL1 = "S3_0_C1_C0_2" or "S3_5_C1_C0_2",
        TTBR0_EL1 = "S3_0_C2_C0_0" or "S3_5_C2_C0_0",
        TTBR1_EL1 = "S3_0_C2_C0_1" or "S3_5_C2_C0_1",
        TCR_EL1 = "S3_0_C2_C0_2" or "S3_5_C2_C0_2",
        SPSR_EL1 = "S3_0_C4_C0_0" or "S3_5_C4_C0_0",
        ELR_EL1 = "S3_0_C4_C0_1" or "S3_5_C4_C0_1",
        AFSR0_EL1 = "S3_0_C5_C1_0" or "S3_5_C5_C1_0",
        AFSR1_EL1 = "S3_0_C5_C1_1" or "S3_5_C5_C1_1",
        ESR_EL1 = "S3_0_C5_C2_0" or "S3_5_C5_C2_0",
        FAR_EL1 = "S3_0_C6_C0_0" or "S3_5_C6_C0_0",
        MAIR_EL1 = "S3_0_C10_C2_0" or "S3_5_C10_C2_0",
        AMAIR_EL1 = "S3_0_C10_C3_0" or "S3_5_C10_C3_0",
        VBAR_EL1 = "S3_0_C12_C0_0" or "S3_5_C12_C0_0",
        CONTEXTIDR_EL1 = "S3_0_C13_C0_1" or "S3_5_C13_C0_1",
        CNTKCTL_EL1 = "S3_0_C14_C1_0" or "S3_5_C14_C1_0",
        CNTP_CTL_EL0 = "S3_3_C14_C2_1" or "S3_5_C14_C2_1",
        CNTP_CVAL_EL0 = "S3_3_C14_C2_2" or "S3_5_C14_C2_2",
        CNTV_CTL_EL0 = "S3_3_C14_C3_1" or "S3_5_C14_C3_1",
        CNTV_CVAL_EL0 = "S3_3_C14_C3_2" or "S3_5_C14_C3_2",
    }
    plain {
        ACTLR_EL1 = "S3_0_C1_C0_1",
        SP_EL0 = "S3_0_C4_C1_0",
        SP_EL1 = "S3_4_C4_C1_0",
        PAR_EL1 = "S3_0_C7_C4_0",
        TPIDR_EL1 = "S3_0_C13_C0_4",
        TPIDR_EL0 = "S3_3_C13_C0_2",
        TPIDRRO_EL0 = "S3_3_C13_C0_3",
        FPCR = "S3_3_C4_C4_0",
        FPSR = "S3_3_C4_C4_1",
        MDSCR_EL1 = "S2_0_C0_C2_2",
        APIAKEYLO_EL1 = "S3_0_C2_C1_0",
        APIAKEYHI_EL1 = "S3_0_C2_C1_1",
        APIBKEYLO_EL1 = "S3_0_C2_C1_2",
        APIBKEYHI_EL1 = "S3_0_C2_C1_3",
        APDAKEYLO_EL1 = "S3_0_C2_C2_0",
        APDAKEYHI_EL1 = "S3_0_C2_C2_1",
        APDBKEYLO_EL1 = "S3_0_C2_C2_2",
        APDBKEYHI_EL1 = "S3_0_C2_C2_3",
        APGAKEYLO_EL1 = "S3_0_C2_C3_0",
        APGAKEYHI_EL1 = "S3_0_C2_C3_1",
        ICH_AP0R0_EL2 = "S3_4_C12_C8_0",
        ICH_AP0R1_EL2 = "S3_4_C12_C8_1",
        ICH_AP0R2_EL2 = "S3_4_C12_C8_2",
        ICH_AP0R3_EL2 = "S3_4_C12_C8_3",
        ICH_AP1R0_EL2 = "S3_4_C12_C9_0",
        ICH_AP1R1_EL2 = "S3_4_C12_C9_1",
        ICH_AP1R2_EL2 = "S3_4_C12_C9_2",
        ICH_AP1R3_EL2 = "S3_4_C12_C9_3",
        ICH_HCR_EL2 = "S3_4_C12_C11_0",
        ICH_VMCR_EL2 = "S3_4_C12_C11_7",
        ICH_LR0_EL2 = "S3_4_C12_C12_0",
        ICH_LR1_EL2 = "S3_4_C12_C12_1",
        ICH_LR2_EL2 = "S3_4_C12_C12_2",
        ICH_LR3_EL2 = "S3_4_C12_C12_3",
        ICH_LR4_EL2 = "S3_4_C12_C12_4",
        ICH_LR5_EL2 = "S3_4_C12_C12_5",
        ICH_LR6_EL2 = "S3_4_C12_C12_6",
        ICH_LR7_EL2 = "S3_4_C12_C12_7",
        ICH_LR8_EL2 = "S3_4_C12_C13_0",
        ICH_LR9_EL2 = "S3_4_C12_C13_1",
        ICH_LR10_EL2 = "S3_4_C12_C13_2",
        ICH_LR11_EL2 = "S3_4_C12_C13_3",
        ICH_LR12_EL2 = "S3_4_C12_C13_4",
        ICH_LR13_EL2 = "S3_4_C12_C13_5",
        ICH_LR14_EL2 = "S3_4_C12_C13_6",
        ICH_LR15_EL2 = "S3_4_C12_C13_7",
        HCR_EL2 = "S3_4_C1_C1_0",
        HCRX_EL2 = "S3_4_C1_C2_2",
        CPTR_EL2 = "S3_4_C1_C1_2",
        MDCR_EL2 = "S3_4_C1_C1_1",
        PMUSERENR_EL0 = "S3_3_C9_C14_0",
        HFGRTR_EL2 = "S3_4_C1_C1_4",
        HFGWTR_EL2 = "S3_4_C1_C1_5",
        HFGITR_EL2 = "S3_4_C1_C1_6",
        HDFGRTR_EL2 = "S3_4_C3_C1_4",
        HDFGWTR_EL2 = "S3_4_C3_C1_5",
        CNTHCTL_EL2 = "S3_4_C14_C1_0",
        ICC_SRE_EL2 = "S3_4_C12_C9_5",
        VMPIDR_EL2 = "S3_4_C0_C0_5",
        VPIDR_EL2 = "S3_4_C0_C0_0",
        DBGBVR0_EL1 = "S2_0_C0_C0_4",
        DBGBCR0_EL1 = "S2_0_C0_C0_5",
        DBGWVR0_EL1 = "S2_0_C0_C0_6",
        DBGWCR0_EL1 = "S2_0_C0_C0_7",
        DBGBVR1_EL1 = "S2_0_C0_C1_4",
        DBGBCR1_EL1 = "S2_0_C0_C1_5",
        DBGWVR1_EL1 = "S2_0_C0_C1_6",
        DBGWCR1_EL1 = "S2_0_C0_C1_7",
        DBGBVR2_EL1 = "S2_0_C0_C2_4",
        DBGBCR2_EL1 = "S2_0_C0_C2_5",
        DBGWVR2_EL1 = "S2_0_C0_C2_6",
        DBGWCR2_EL1 = "S2_0_C0_C2_7",
        DBGBVR3_EL1 = "S2_0_C0_C3_4",
        DBGBCR3_EL1 = "S2_0_C0_C3_5",
        DBGWVR3_EL1 = "S2_0_C0_C3_6",
        DBGWCR3_EL1 = "S2_0_C0_C3_7",
        DBGBVR4_EL1 = "S2_0_C0_C4_4",
        DBGBCR4_EL1 = "S2_0_C0_C4_5",
        DBGWVR4_EL1 = "S2_0_C0_C4_6",
        DBGWCR4_EL1 = "S2_0_C0_C4_7",
        DBGBVR5_EL1 = "S2_0_C0_C5_4",
        DBGBCR5_EL1 = "S2_0_C0_C5_5",
        DBGWVR5_EL1 = "S2_0_C0_C5_6",
        DBGWCR5_EL1 = "S2_0_C0_C5_7",
        DBGBVR6_EL1 = "S2_0_C0_C6_4",
        DBGBCR6_EL1 = "S2_0_C0_C6_5",
        DBGWVR6_EL1 = "S2_0_C0_C6_6",
        DBGWCR6_EL1 = "S2_0_C0_C6_7",
        DBGBVR7_EL1 = "S2_0_C0_C7_4",
        DBGBCR7_EL1 = "S2_0_C0_C7_5",
        DBGWVR7_EL1 = "S2_0_C0_C7_6",
        DBGWCR7_EL1 = "S2_0_C0_C7_7",
        DBGBVR8_EL1 = "S2_0_C0_C8_4",
        DBGBCR8_EL1 = "S2_0_C0_C8_5",
        DBGWVR8_EL1 = "S2_0_C0_C8_6",
        DBGWCR8_EL1 = "S2_0_C0_C8_7",
        DBGBVR9_EL1 = "S2_0_C0_C9_4",
        DBGBCR9_EL1 = "S2_0_C0_C9_5",
        DBGWVR9_EL1 = "S2_0_C0_C9_6",
        DBGWCR9_EL1 = "S2_0_C0_C9_7",
        DBGBVR10_EL1 = "S2_0_C0_C10_4",
        DBGBCR10_EL1 = "S2_0_C0_C10_5",
        DBGWVR10_EL1 = "S2_0_C0_C10_6",
        DBGWCR10_EL1 = "S2_0_C0_C10_7",
        DBGBVR11_EL1 = "S2_0_C0_C11_4",
        DBGBCR11_EL1 = "S2_0_C0_C11_5",
        DBGWVR11_EL1 = "S2_0_C0_C11_6",
        DBGWCR11_EL1 = "S2_0_C0_C11_7",
        DBGBVR12_EL1 = "S2_0_C0_C12_4",
        DBGBCR12_EL1 = "S2_0_C0_C12_5",
        DBGWVR12_EL1 = "S2_0_C0_C12_6",
        DBGWCR12_EL1 = "S2_0_C0_C12_7",
        DBGBVR13_EL1 = "S2_0_C0_C13_4",
        DBGBCR13_EL1 = "S2_0_C0_C13_5",
        DBGWVR13_EL1 = "S2_0_C0_C13_6",
        DBGWCR13_EL1 = "S2_0_C0_C13_7",
        DBGBVR14_EL1 = "S2_0_C0_C14_4",
        DBGBCR14_EL1 = "S2_0_C0_C14_5",
        DBGWVR14_EL1 = "S2_0_C0_C14_6",
        DBGWCR14_EL1 = "S2_0_C0_C14_7",
        DBGBVR15_EL1 = "S2_0_C0_C15_4",
        DBGBCR15_EL1 = "S2_0_C0_C15_5",
        DBGWVR15_EL1 = "S2_0_C0_C15_6",
        DBGWCR15_EL1 = "S2_0_C0_C15_7",
    }
    read_only {
        MIDR_EL1 = "S3_0_C0_C0_0",
        REVIDR_EL1 = "S3_0_C0_C0_6",
        AIDR_EL1 = "S3_1_C0_C0_7",
        OSLSR_EL1 = "S2_0_C1_C1_4",
        CTR_EL0 = "S3_3_C0_C0_1",
        DCZID_EL0 = "S3_3_C0_C0_7",
        ID_AA64PFR0_EL1 = "S3_0_C0_C4_0",
        ID_AA64PFR1_EL1 = "S3_0_C0_C4_1",
        ID_AA64DFR0_EL1 = "S3_0_C0_C5_0",
        ID_AA64ISAR0_EL1 = "S3_0_C0_C6_0",
        ID_AA64ISAR1_EL1 = "S3_0_C0_C6_1",
        ID_AA64ISAR2_EL1 = "S3_0_C0_C6_2",
        ID_AA64MMFR0_EL1 = "S3_0_C0_C7_0",
        ID_AA64MMFR1_EL1 = "S3_0_C0_C7_1",
        ID_AA64MMFR2_EL1 = "S3_0_C0_C7_2",
        ICH_VTR_EL2 = "S3_4_C12_C11_1",
        CNTFRQ_EL0 = "S3_3_C14_C0_0",
        CNTPCT_EL0 = "S3_3_C14_C0_1",
    }
}

fn isb() {
    // SAFETY: an instruction barrier.
    unsafe { asm!("isb", options(nostack, preserves_flags)) }
}

/// The CPU that executes this, at EL2.
#[derive(Debug)]
pub struct HardwareCpu<F> {
    number: CpuNumber,
    form: Form,
    handle: F,
}

impl<F: FnMut(Intid)> HardwareCpu<F> {
    /// Takes the CPU. `handle` is given interrupts that are not this crate's.
    ///
    /// # Safety
    /// This runs at EL2, on the CPU that is meant, and stays there; nobody else enters guests on it meanwhile. HCR_EL2
    /// routes interrupts here (IMO and FMO, or TGE), they are masked at EL2, ICC_SRE_EL2 enables the system registers of the GIC, and
    /// ICC_CTLR_EL1.EOImode is 1. HCR_EL2.E2H is what it remains.
    #[must_use]
    pub unsafe fn new(number: CpuNumber, handle: F) -> Self {
        let e2h = HcrEl2::from_bits(mrs!("hcr_el2")).e2h();
        Self { number, form: if e2h { Form::Vhe } else { Form::Classic }, handle }
    }
}

impl<F: FnMut(Intid)> crate::machine::Cpu for HardwareCpu<F> {
    fn number(&self) -> CpuNumber {
        self.number
    }

    fn form(&self) -> Form {
        self.form
    }

    fn enter(&mut self, context: &mut Context) -> Exception {
        // SAFETY: the assembly keeps to the calling convention; the context is ours alone while it runs. What the
        // guest does, it does at EL1 within stage 2 and the traps of HCR_EL2: memory that the embedder gave it.
        match unsafe { arm_host_enter(context) } {
            0 => Exception::Synchronous,
            1 => Exception::Interrupt,
            2 => Exception::FastInterrupt,
            _ => Exception::SError,
        }
    }

    fn read(&mut self, register: SysRegId) -> u64 {
        read_register(self.form, register)
    }

    fn write(&mut self, register: SysRegId, value: u64) {
        match register {
            // OSLSR_EL1.OSLK is what OSLAR_EL1.OSLK writes.
            names::OSLSR_EL1 => {
                let lock = OslarEl1::new().with_oslk(OslsrEl1::from_bits(value).oslk());
                msr!("S2_0_C1_C0_4", lock.into_bits());
            }
            // The next instruction may be one that it traps.
            names::CPTR_EL2 => {
                write_register(self.form, register, value);
                isb();
            }
            _ => write_register(self.form, register, value),
        }
    }

    fn store_vectors(&mut self, vectors: &mut [u128; 32]) {
        // SAFETY: the array has 512 bytes. The driver has CPTR_EL2 let floating point through.
        unsafe { arm_host_store_vectors(vectors) }
    }

    fn load_vectors(&mut self, vectors: &[u128; 32]) {
        // SAFETY: the array has 512 bytes; what the embedder keeps in these registers was stored before.
        unsafe { arm_host_load_vectors(vectors) }
    }

    fn address_space(&mut self) -> (AddressSpace, u64) {
        (AddressSpace { vttbr: mrs!("vttbr_el2"), vtcr: mrs!("vtcr_el2") }, mrs!("cntvoff_el2"))
    }

    fn set_address_space(&mut self, space: AddressSpace, offset: u64) {
        msr!("vttbr_el2", space.vttbr);
        msr!("vtcr_el2", space.vtcr);
        msr!("cntvoff_el2", offset);
        isb();
    }

    fn drop_cached(&mut self) {
        // SAFETY: invalidation of caches changes nothing that a correct program can see.
        unsafe { asm!("tlbi vmalle1", "ic iallu", "dsb nsh", "isb", options(nostack, preserves_flags)) }
    }

    fn stage_1(&mut self, virtual_address: u64) -> Option<u64> {
        /// PAR_EL1.F.
        const FAILED: u64 = 1;
        /// PAR_EL1.PA.
        const PA: u64 = 0xf_ffff_ffff_f000;
        let kept = mrs!("par_el1");
        // SAFETY: a translation on behalf of EL1: it changes PAR_EL1 alone, which is put back.
        unsafe { asm!("at s1e1r, {}", "isb", in(reg) virtual_address, options(nostack, preserves_flags)) };
        let result = mrs!("par_el1");
        msr!("par_el1", kept);
        (result & FAILED == 0).then_some(result & PA)
    }

    fn acknowledge(&mut self) -> Option<Intid> {
        // ICC_IAR1_EL1; 1020 and up are special: there is none.
        let interrupt = IccIntid::from_bits(mrs!("S3_0_C12_C12_0")).intid();
        // SAFETY: a barrier: what the device did before its interrupt is seen after it.
        unsafe { asm!("dsb sy", options(nostack, preserves_flags)) };
        Some(interrupt).filter(|interrupt| !(1020..1024).contains(interrupt)).map(Intid)
    }

    fn drop_priority(&mut self, interrupt: Intid) {
        // ICC_EOIR1_EL1.
        msr!("S3_0_C12_C12_1", u64::from(interrupt.0));
    }

    fn deactivate(&mut self, interrupt: Intid) {
        // ICC_DIR_EL1.
        msr!("S3_0_C12_C11_1", u64::from(interrupt.0));
        isb();
    }

    fn handle(&mut self, interrupt: Intid) {
        (self.handle)(interrupt);
    }
}

/// What reaches all CPUs: TLBI of the Inner Shareable domain, and software-generated interrupts.
#[derive(Clone, Copy, Debug)]
pub struct Control<'a> {
    affinities: &'a [u64],
    kick: Intid,
}

impl<'a> Control<'a> {
    /// Takes the MPIDR_EL1 of each CPU, by its number, and the SGI that kicks.
    ///
    /// # Safety
    /// This runs at EL2. Tables and guest memory named to this crate lie at EL2 where they lie physically.
    #[must_use]
    pub const unsafe fn new(affinities: &'a [u64], kick: Intid) -> Self {
        Self { affinities, kick }
    }
}

impl HostControl for Control<'_> {
    fn invalidate(&self, space: AddressSpace, scope: Scope) {
        let (had, hcr) = (mrs!("vttbr_el2"), HcrEl2::from_bits(mrs!("hcr_el2")));
        // TLBI goes by the VMID that is in force here, and means the host's own translations where TGE is set.
        if had != space.vttbr || hcr.tge() {
            msr!("vttbr_el2", space.vttbr);
            msr!("hcr_el2", hcr.with_tge(false).into_bits());
            isb();
        }
        match scope {
            // SAFETY: the tables were changed before; nobody relies on what is dropped. Arm ARM, TLBI: first stage 2,
            // then what stages 1 and 2 made together.
            Scope::Address(address) => unsafe {
                asm!(
                    "dsb ishst",
                    "tlbi ipas2e1is, {}",
                    "dsb ish",
                    "tlbi vmalle1is",
                    "dsb ish",
                    "isb",
                    in(reg) address >> 12,
                    options(nostack, preserves_flags)
                );
            },
            // SAFETY: as above.
            Scope::All => unsafe {
                asm!("dsb ishst", "tlbi vmalls12e1is", "dsb ish", "isb", options(nostack, preserves_flags));
            },
        }
        if had != space.vttbr || hcr.tge() {
            msr!("hcr_el2", hcr.into_bits());
            msr!("vttbr_el2", had);
            isb();
        }
    }

    fn make_coherent(&self, start: HostPa, bytes: u64) {
        let ctr = CtrEl0::from_bits(mrs!("ctr_el0"));
        let line = 4_u64.wrapping_shl(u32::from(ctr.dmin_line()));
        let end = start.value().saturating_add(bytes);
        let mut at = start.value();
        while at < end {
            // SAFETY: the memory is a slot's, which lies here; cleaning and invalidating keeps its content.
            unsafe { asm!("dc civac, {}", in(reg) at, options(nostack, preserves_flags)) };
            at = at.saturating_add(line);
        }
        // SAFETY: as above.
        unsafe { asm!("dsb ish", "ic ialluis", "dsb ish", "isb", options(nostack, preserves_flags)) }
    }

    fn kick(&self, cpu: CpuNumber) {
        let Some(mpidr) = self.affinities.get(usize::from(cpu.0)) else { return };
        let to = MpidrEl1::from_bits(*mpidr);
        let value = IccSgi::new()
            .with_target_list(1_u16.wrapping_shl(u32::from(to.aff0() & 15)))
            .with_aff1(to.aff1())
            .with_intid(arm_arch::bits::low8(u64::from(self.kick.0 & 15)))
            .with_aff2(to.aff2())
            .with_rs(to.aff0() >> 4)
            .with_aff3(to.aff3());
        // SAFETY: a barrier: what the other CPU is to see is there before the interrupt.
        unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
        msr!("S3_0_C12_C11_5", value.into_bits());
        isb();
    }
}

/// Physical memory that lies at EL2 where it lies physically.
#[derive(Clone, Copy, Debug)]
pub struct Physical {
    start: u64,
    bytes: u64,
}

impl Physical {
    /// Takes `bytes` bytes from `start` on.
    ///
    /// # Safety
    /// The memory is mapped at EL2 at its physical address, Normal and Inner Shareable, for as long as this lives, and
    /// nobody uses it but through this.
    #[must_use]
    pub const unsafe fn new(start: HostPa, bytes: u64) -> Self {
        Self { start: start.value(), bytes }
    }

    fn word(&self, at: HostPa) -> Result<&AtomicU64, OutsideMemory> {
        let offset = at.value().checked_sub(self.start).filter(|offset| offset & 7 == 0);
        let inside = offset.and_then(|offset| offset.checked_add(8)).is_some_and(|end| end <= self.bytes);
        let address = usize::try_from(at.value()).ok().filter(|_| inside).ok_or(OutsideMemory(at))?;
        // SAFETY: the address is aligned and in the memory that was taken, which is accessed by atomics alone.
        Ok(unsafe { AtomicU64::from_ptr(core::ptr::with_exposed_provenance_mut(address)) })
    }
}

impl TableStorage for Physical {
    fn load(&self, at: HostPa) -> Result<u64, OutsideMemory> {
        self.word(at).map(|word| word.load(Ordering::Relaxed))
    }

    fn store(&self, at: HostPa, value: u64) -> Result<(), OutsideMemory> {
        self.word(at)?.store(value, Ordering::Release);
        // SAFETY: a barrier: a walk that comes later finds the descriptor. Arm ARM, DSB, ISB.
        unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) };
        Ok(())
    }
}
