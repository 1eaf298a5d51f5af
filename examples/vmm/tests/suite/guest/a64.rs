//! Single A64 instructions as words, so that the tests need no cross compiler. Arm ARM ch. C4 and C6.
//!
//! Registers are plain numbers; 31 is XZR or SP as the instruction has it. Offsets are in bytes.

/// The register that reads as zero.
pub const ZR: u32 = 31;
/// The stack pointer, where an instruction takes it.
pub const SP: u32 = 31;

/// A system register or instruction, as op0:op1:CRn:CRm:op2.
pub const fn encoding(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

macro_rules! registers {
    ($($name:ident $op0:literal $op1:literal $crn:literal $crm:literal $op2:literal;)*) => {
        $(pub const $name: u32 = encoding($op0, $op1, $crn, $crm, $op2);)*
    };
}

registers! {
    MDSCR_EL1 2 0 0 2 2;
    MIDR_EL1 3 0 0 0 0;
    MPIDR_EL1 3 0 0 0 5;
    ID_AA64PFR0_EL1 3 0 0 4 0;
    SCTLR_EL1 3 0 1 0 0;
    CPACR_EL1 3 0 1 0 2;
    TTBR0_EL1 3 0 2 0 0;
    TTBR1_EL1 3 0 2 0 1;
    TCR_EL1 3 0 2 0 2;
    SPSR_EL1 3 0 4 0 0;
    ELR_EL1 3 0 4 0 1;
    SP_EL0 3 0 4 1 0;
    SPSEL 3 0 4 2 0;
    DAIF 3 3 4 2 1;
    ICC_PMR_EL1 3 0 4 6 0;
    ESR_EL1 3 0 5 2 0;
    FAR_EL1 3 0 6 0 0;
    MAIR_EL1 3 0 10 2 0;
    VBAR_EL1 3 0 12 0 0;
    ICC_IAR1_EL1 3 0 12 12 0;
    ICC_EOIR1_EL1 3 0 12 12 1;
    ICC_SRE_EL1 3 0 12 12 5;
    ICC_IGRPEN1_EL1 3 0 12 12 7;
    ICC_SGI1R_EL1 3 0 12 11 5;
    TPIDR_EL1 3 0 13 0 4;
    CNTKCTL_EL1 3 0 14 1 0;
    CNTFRQ_EL0 3 3 14 0 0;
    CNTVCT_EL0 3 3 14 0 2;
    CNTP_TVAL_EL0 3 3 14 2 0;
    CNTP_CTL_EL0 3 3 14 2 1;
    CNTP_CVAL_EL0 3 3 14 2 2;
    CNTV_TVAL_EL0 3 3 14 3 0;
    CNTV_CTL_EL0 3 3 14 3 1;
    CNTV_CVAL_EL0 3 3 14 3 2;
    DC_ZVA 1 3 7 4 1;
    DC_CVAU 1 3 7 11 1;
    DC_CIVAC 1 3 7 14 1;
    IC_IVAU 1 3 7 5 1;
    IC_IALLU 1 0 7 5 0;
    TLBI_VMALLE1 1 0 8 7 0;
    AT_S1E1R 1 0 7 8 0;
}

/// `movz x, #value, lsl #16*half`
pub const fn movz(d: u32, value: u32, half: u32) -> u32 {
    0xd280_0000 | half << 21 | (value & 0xffff) << 5 | d
}
/// `movk x, #value, lsl #16*half`
pub const fn movk(d: u32, value: u32, half: u32) -> u32 {
    0xf280_0000 | half << 21 | (value & 0xffff) << 5 | d
}
/// `movn x, #value`
pub const fn movn(d: u32, value: u32) -> u32 {
    0x9280_0000 | (value & 0xffff) << 5 | d
}
/// `mov x, x`
pub const fn mov(d: u32, m: u32) -> u32 {
    orr(d, ZR, m)
}
/// `add x, x, #value`
pub const fn add_i(d: u32, n: u32, value: u32) -> u32 {
    0x9100_0000 | (value & 0xfff) << 10 | n << 5 | d
}
/// `sub x, x, #value`
pub const fn sub_i(d: u32, n: u32, value: u32) -> u32 {
    0xd100_0000 | (value & 0xfff) << 10 | n << 5 | d
}
/// `subs x, x, #value`
pub const fn subs_i(d: u32, n: u32, value: u32) -> u32 {
    0xf100_0000 | (value & 0xfff) << 10 | n << 5 | d
}
/// `cmp x, #value`
pub const fn cmp_i(n: u32, value: u32) -> u32 {
    subs_i(ZR, n, value)
}
/// `add x, x, x`
pub const fn add(d: u32, n: u32, m: u32) -> u32 {
    0x8b00_0000 | m << 16 | n << 5 | d
}
/// `sub x, x, x`
pub const fn sub(d: u32, n: u32, m: u32) -> u32 {
    0xcb00_0000 | m << 16 | n << 5 | d
}
/// `cmp x, x`
pub const fn cmp(n: u32, m: u32) -> u32 {
    0xeb00_0000 | m << 16 | n << 5 | ZR
}
/// `and x, x, x`
pub const fn and(d: u32, n: u32, m: u32) -> u32 {
    0x8a00_0000 | m << 16 | n << 5 | d
}
/// `orr x, x, x`
pub const fn orr(d: u32, n: u32, m: u32) -> u32 {
    0xaa00_0000 | m << 16 | n << 5 | d
}
/// `ubfx x, x, #low, #bits`
pub const fn ubfx(d: u32, n: u32, low: u32, bits: u32) -> u32 {
    0xd340_0000 | low << 16 | (low + bits - 1) << 10 | n << 5 | d
}
/// `lsl x, x, #by`
pub const fn lsl(d: u32, n: u32, by: u32) -> u32 {
    0xd340_0000 | ((64 - by) % 64) << 16 | (63 - by) << 10 | n << 5 | d
}
/// `lsr x, x, #by`
pub const fn lsr(d: u32, n: u32, by: u32) -> u32 {
    ubfx(d, n, by, 64 - by)
}

/// Loads and stores with an immediate, scaled by the size of the access.
const fn scaled(opcode: u32, log2: u32, t: u32, n: u32, offset: u32) -> u32 {
    opcode | ((offset >> log2) & 0xfff) << 10 | n << 5 | t
}
/// `ldr x, [x, #offset]`
pub const fn ldr(t: u32, n: u32, offset: u32) -> u32 {
    scaled(0xf940_0000, 3, t, n, offset)
}
/// `str x, [x, #offset]`
pub const fn str(t: u32, n: u32, offset: u32) -> u32 {
    scaled(0xf900_0000, 3, t, n, offset)
}
/// `ldr w, [x, #offset]`
pub const fn ldr_w(t: u32, n: u32, offset: u32) -> u32 {
    scaled(0xb940_0000, 2, t, n, offset)
}
/// `str w, [x, #offset]`
pub const fn str_w(t: u32, n: u32, offset: u32) -> u32 {
    scaled(0xb900_0000, 2, t, n, offset)
}
/// `ldrh w, [x, #offset]`
pub const fn ldrh(t: u32, n: u32, offset: u32) -> u32 {
    scaled(0x7940_0000, 1, t, n, offset)
}
/// `strh w, [x, #offset]`
pub const fn strh(t: u32, n: u32, offset: u32) -> u32 {
    scaled(0x7900_0000, 1, t, n, offset)
}
/// `ldrb w, [x, #offset]`
pub const fn ldrb(t: u32, n: u32, offset: u32) -> u32 {
    scaled(0x3940_0000, 0, t, n, offset)
}
/// `strb w, [x, #offset]`
pub const fn strb(t: u32, n: u32, offset: u32) -> u32 {
    scaled(0x3900_0000, 0, t, n, offset)
}
/// `ldrb w, [x], #1`
pub const fn ldrb_next(t: u32, n: u32) -> u32 {
    0x3840_1400 | n << 5 | t
}
/// `ldr x, [x], #8`
pub const fn ldr_next(t: u32, n: u32) -> u32 {
    0xf840_8400 | n << 5 | t
}
/// `str x, [x], #8`
pub const fn str_next(t: u32, n: u32) -> u32 {
    0xf800_8400 | n << 5 | t
}
/// `ldxr x, [x]`
pub const fn ldxr(t: u32, n: u32) -> u32 {
    0xc85f_7c00 | n << 5 | t
}
/// `stxr w, x, [x]`
pub const fn stxr(s: u32, t: u32, n: u32) -> u32 {
    0xc800_7c00 | s << 16 | n << 5 | t
}
/// `ldadd x, x, [x]`
pub const fn ldadd(s: u32, t: u32, n: u32) -> u32 {
    0xf820_0000 | s << 16 | n << 5 | t
}

const fn branch(offset: i64, bits: u32, shift: u32) -> u32 {
    let words = (offset >> 2) as u32;
    (words & ((1 << bits) - 1)) << shift
}
/// `b .+offset`
pub const fn b(offset: i64) -> u32 {
    0x1400_0000 | branch(offset, 26, 0)
}
/// `bl .+offset`
pub const fn bl(offset: i64) -> u32 {
    0x9400_0000 | branch(offset, 26, 0)
}
/// `br x`
pub const fn br(n: u32) -> u32 {
    0xd61f_0000 | n << 5
}
/// `ret`
pub const fn ret() -> u32 {
    0xd65f_03c0
}
/// `cbz x, .+offset`
pub const fn cbz(t: u32, offset: i64) -> u32 {
    0xb400_0000 | branch(offset, 19, 5) | t
}
/// `cbnz x, .+offset`
pub const fn cbnz(t: u32, offset: i64) -> u32 {
    0xb500_0000 | branch(offset, 19, 5) | t
}
/// `b.cond .+offset`
pub const fn b_cond(condition: u32, offset: i64) -> u32 {
    0x5400_0000 | branch(offset, 19, 5) | condition
}
/// Conditions: equal, not equal, unsigned lower.
pub const EQ: u32 = 0;
pub const NE: u32 = 1;
pub const LO: u32 = 3;
/// `adr x, .+offset`, within 1 MiB.
pub const fn adr(d: u32, offset: i64) -> u32 {
    let offset = offset as u32 & 0x1f_ffff;
    0x1000_0000 | (offset & 3) << 29 | (offset >> 2) << 5 | d
}

/// `mrs x, register`
pub const fn mrs(t: u32, register: u32) -> u32 {
    0xd520_0000 | register << 5 | t
}
/// `msr register, x`, and `sys` with an argument.
pub const fn msr(register: u32, t: u32) -> u32 {
    0xd500_0000 | register << 5 | t
}
/// `msr daifset, #bits`
pub const fn daif_set(bits: u32) -> u32 {
    0xd503_40df | bits << 8
}
/// `msr daifclr, #bits`
pub const fn daif_clear(bits: u32) -> u32 {
    0xd503_40ff | bits << 8
}
/// `hvc #immediate`
pub const fn hvc(immediate: u32) -> u32 {
    0xd400_0002 | immediate << 5
}
/// `svc #immediate`
pub const fn svc(immediate: u32) -> u32 {
    0xd400_0001 | immediate << 5
}
/// `smc #immediate`
pub const fn smc(immediate: u32) -> u32 {
    0xd400_0003 | immediate << 5
}
/// `brk #immediate`
pub const fn brk(immediate: u32) -> u32 {
    0xd420_0000 | immediate << 5
}
pub const ERET: u32 = 0xd69f_03e0;
pub const WFI: u32 = 0xd503_207f;
pub const WFE: u32 = 0xd503_205f;
pub const ISB: u32 = 0xd503_3fdf;
/// `dsb sy`
pub const DSB: u32 = 0xd503_3f9f;
pub const NOP: u32 = 0xd503_201f;

/// Every function against a word of GNU as 2.40, with the text it was given.
#[test]
fn words_are_those_of_an_assembler() {
    let cases: &[(&str, u32, u32)] = &[
        ("movz x3, #0x1234, lsl #16", 0xd2a2_4683, movz(3, 0x1234, 1)),
        ("movk x3, #0x5678, lsl #48", 0xf2ea_cf03, movk(3, 0x5678, 3)),
        ("movn x3, #0", 0x9280_0003, movn(3, 0)),
        ("add x1, x2, #0xabc", 0x912a_f041, add_i(1, 2, 0xabc)),
        ("sub sp, x2, #16", 0xd100_405f, sub_i(SP, 2, 16)),
        ("subs xzr, x2, #16", 0xf100_405f, cmp_i(2, 16)),
        ("add x1, x2, x3", 0x8b03_0041, add(1, 2, 3)),
        ("sub x1, x2, x3", 0xcb03_0041, sub(1, 2, 3)),
        ("subs xzr, x2, x3", 0xeb03_005f, cmp(2, 3)),
        ("and x1, x2, x3", 0x8a03_0041, and(1, 2, 3)),
        ("orr x1, x2, x3", 0xaa03_0041, orr(1, 2, 3)),
        ("ubfx x1, x2, #4, #8", 0xd344_2c41, ubfx(1, 2, 4, 8)),
        ("lsl x1, x2, #13", 0xd373_c841, lsl(1, 2, 13)),
        ("lsr x1, x2, #60", 0xd37c_fc41, lsr(1, 2, 60)),
        ("ldr x1, [x2, #8]", 0xf940_0441, ldr(1, 2, 8)),
        ("str x1, [x2, #8]", 0xf900_0441, str(1, 2, 8)),
        ("ldr w1, [x2, #4]", 0xb940_0441, ldr_w(1, 2, 4)),
        ("str w1, [x2, #4]", 0xb900_0441, str_w(1, 2, 4)),
        ("ldrh w1, [x2, #2]", 0x7940_0441, ldrh(1, 2, 2)),
        ("strh w1, [x2, #2]", 0x7900_0441, strh(1, 2, 2)),
        ("ldrb w1, [x2, #1]", 0x3940_0441, ldrb(1, 2, 1)),
        ("strb w1, [x2, #1]", 0x3900_0441, strb(1, 2, 1)),
        ("ldrb w1, [x2], #1", 0x3840_1441, ldrb_next(1, 2)),
        ("ldr x1, [x2], #8", 0xf840_8441, ldr_next(1, 2)),
        ("str x1, [x2], #8", 0xf800_8441, str_next(1, 2)),
        ("ldxr x1, [x2]", 0xc85f_7c41, ldxr(1, 2)),
        ("stxr w3, x1, [x2]", 0xc803_7c41, stxr(3, 1, 2)),
        ("ldadd x1, x3, [x2]", 0xf821_0043, ldadd(1, 3, 2)),
        ("b .+8", 0x1400_0002, b(8)),
        ("bl .+8", 0x9400_0002, bl(8)),
        ("br x5", 0xd61f_00a0, br(5)),
        ("ret", 0xd65f_03c0, ret()),
        ("cbz x1, .+8", 0xb400_0041, cbz(1, 8)),
        ("cbnz x1, .+8", 0xb500_0041, cbnz(1, 8)),
        ("b.eq .+8", 0x5400_0040, b_cond(EQ, 8)),
        ("b.ne .-8", 0x54ff_ffc1, b_cond(NE, -8)),
        ("b.lo .-8", 0x54ff_ffc3, b_cond(LO, -8)),
        ("adr x1, .+20", 0x1000_00a1, adr(1, 20)),
        ("mrs x1, midr_el1", 0xd538_0001, mrs(1, MIDR_EL1)),
        ("msr sctlr_el1, x1", 0xd518_1001, msr(SCTLR_EL1, 1)),
        ("ic iallu", 0xd508_751f, msr(IC_IALLU, ZR)),
        ("tlbi vmalle1", 0xd508_871f, msr(TLBI_VMALLE1, ZR)),
        ("dc zva, x1", 0xd50b_7421, msr(DC_ZVA, 1)),
        ("dc cvau, x1", 0xd50b_7b21, msr(DC_CVAU, 1)),
        ("dc civac, x1", 0xd50b_7e21, msr(DC_CIVAC, 1)),
        ("ic ivau, x1", 0xd50b_7521, msr(IC_IVAU, 1)),
        ("at s1e1r, x1", 0xd508_7801, msr(AT_S1E1R, 1)),
        ("msr daifset, #15", 0xd503_4fdf, daif_set(15)),
        ("msr daifclr, #2", 0xd503_42ff, daif_clear(2)),
        ("hvc #0", 0xd400_0002, hvc(0)),
        ("svc #0x123", 0xd400_2461, svc(0x123)),
        ("smc #0", 0xd400_0003, smc(0)),
        ("brk #1", 0xd420_0020, brk(1)),
    ];
    for (text, want, got) in cases {
        assert_eq!(got, want, "{text}: {got:#010x}, not {want:#010x}");
    }
}
