//! The conformance kit's guest programs in A64, for any host that runs AArch64 guests under `vcpu-core`.

// The file beside this one, by way of whoever includes both.
use super::a64::*;
use xarch_abi::{AccessSize, RegId};
use xarch_conformance::{Cannot, Code, Step};

/// Interrupt controller frames of `vcpu_core::GicConfig`'s default.
const GICD: u64 = 0x0800_0000;
const GICR: u64 = 0x080a_0000;

const CNTVCT_EL0: u16 = 0xdf02;
const CNTV_CVAL_EL0: u16 = 0xdf1a;
const CNTV_CTL_EL0: u16 = 0xdf19;
const ICC_PMR_EL1: u16 = 0xc230;
const ICC_IGRPEN1_EL1: u16 = 0xc667;
const ID_AA64MMFR0_EL1: u16 = 0xc038;
/// The virtual timer's PPI, INTID 27.
const VIRTUAL_TIMER: u64 = 1 << 27;
const SYSTEM_OFF: u64 = 0x8400_0008;

/// Registers of which every bit holds: X0 to X30, SP_EL0, SP_EL1, TPIDR_EL1, TPIDR_EL0, FAR_EL1.
pub const PLAIN: [RegId; 36] = {
    let mut ids = [RegId::general(0); 36];
    let mut n = 0;
    while n < 31 {
        ids[n] = RegId::general(n as u8);
        n += 1;
    }
    ids[31] = RegId::system(0xc208);
    ids[32] = RegId::system(0xe208);
    ids[33] = RegId::system(0xc684);
    ids[34] = RegId::system(0xde82);
    ids[35] = RegId::system(0xc300);
    ids
};
pub const WIDE: [RegId; 4] = [RegId::vector(0), RegId::vector(1), RegId::vector(16), RegId::vector(31)];
/// MIDR_EL1 and ID_AA64MMFR0_EL1 of the host.
pub const READ_ONLY: [RegId; 2] = [RegId::host_limit(0xc000), RegId::host_limit(0xc038)];
/// No such general or vector register; RVBAR_EL2; a guest's register that is no control.
pub const UNKNOWN: [RegId; 4] =
    [RegId::general(31), RegId::vector(32), RegId::system(0xe601), RegId::control(0xc080)];

/// Loads a value: four instructions.
fn mov64(rd: u32, value: u64) -> [u32; 4] {
    let [a, b, c] = mov(rd, value & 0xffff_ffff_ffff);
    [a, b, c, 0xf2e0_0000 | ((value >> 48) as u32) << 5 | rd]
}

/// `STRB`, `STRH`, `STR Wt`, `STR Xt`, with offset 0.
fn store(size: AccessSize, rt: u32, rn: u32) -> u32 {
    0x3900_0000 | size.bytes().trailing_zeros() << 30 | rn << 5 | rt
}

/// `LDRB`, `LDRH`, `LDR Wt`, `LDR Xt`, with offset 0.
fn load(size: AccessSize, rt: u32, rn: u32) -> u32 {
    store(size, rt, rn) | 1 << 22
}

/// Writes a word of the interrupt controller.
fn poke(code: &mut Code, at: u64, value: u64) {
    code.words(&mov64(1, at));
    code.words(&mov64(2, value));
    code.words(&[store(AccessSize::Word, 2, 1)]);
}

/// Puts a step into A64; a nanosecond has `frequency` / 10^9 ticks.
pub fn assemble(step: &Step, code: &mut Code, frequency: u64) -> Result<(), Cannot> {
    match *step {
        Step::Store { at, value, size } => {
            code.words(&mov64(1, at.value()));
            code.words(&mov64(2, value));
            code.words(&[store(size, 2, 1)]);
        }
        Step::Copy { from, to, size } => {
            code.words(&mov64(1, from.value()));
            code.words(&[load(size, 2, 1)]);
            code.words(&mov64(1, to.value()));
            code.words(&[str(2, 1, 0)]);
        }
        Step::Count { counter, flag, total, limit } => {
            code.words(&mov64(5, counter.value()));
            code.words(&mov64(6, flag.value()));
            code.words(&mov64(7, limit));
            code.words(&mov64(8, 0));
            code.words(&[
                ldr(9, 5, 0),
                add_imm(9, 9, 1),
                str(9, 5, 0),
                add_imm(8, 8, 1),
                ldr(9, 6, 0),
                cbnz(9, 3),
                cmp(8, 7),
                b_lo(-7),
            ]);
            code.words(&mov64(5, total.value()));
            code.words(&[str(8, 5, 0)]);
        }
        Step::Trap => code.words(&[mrs(0, ID_AA64MMFR0_EL1)]),
        Step::Timer { nanoseconds } => {
            // Distributor on, redistributor awake, the PPI in group 1 and enabled; the CPU interface on. DAIF stays.
            poke(code, GICD, 0x12);
            poke(code, GICR + 0x14, 0);
            poke(code, GICR + 0x1_0080, VIRTUAL_TIMER);
            poke(code, GICR + 0x1_0100, VIRTUAL_TIMER);
            code.words(&mov64(1, 0xf0));
            code.words(&[msr(ICC_PMR_EL1, 1)]);
            code.words(&mov64(1, 1));
            code.words(&[msr(ICC_IGRPEN1_EL1, 1)]);
            let ticks = u128::from(nanoseconds) * u128::from(frequency) / 1_000_000_000;
            code.words(&mov64(2, ticks as u64));
            code.words(&[mrs(3, CNTVCT_EL0), add(3, 3, 2), msr(CNTV_CVAL_EL0, 3), msr(CNTV_CTL_EL0, 1), ISB]);
        }
        Step::Wait => code.words(&[WFI]),
        Step::PowerOff => {
            code.words(&mov64(0, SYSTEM_OFF));
            code.words(&[hvc(0)]);
        }
    }
    Ok(())
}
