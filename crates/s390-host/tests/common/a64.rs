//! Encodings of the instructions that the tests' guests are made of. Arm ARM, the page of each instruction.

pub const WFI: u32 = 0xd503_207f;
pub const ISB: u32 = 0xd503_3fdf;

pub const fn hvc(imm: u16) -> u32 {
    0xd400_0002 | (imm as u32) << 5
}

/// Loads a value of up to 48 bits: three instructions.
pub fn mov(rd: u32, value: u64) -> [u32; 3] {
    assert!(value >> 48 == 0);
    let part = |n: u32| ((value >> (16 * n)) & 0xffff) as u32;
    [0xd280_0000 | part(0) << 5 | rd, 0xf2a0_0000 | part(1) << 5 | rd, 0xf2c0_0000 | part(2) << 5 | rd]
}

pub const fn ldr(rt: u32, rn: u32, offset: u32) -> u32 {
    0xf940_0000 | (offset / 8) << 10 | rn << 5 | rt
}

pub const fn str(rt: u32, rn: u32, offset: u32) -> u32 {
    0xf900_0000 | (offset / 8) << 10 | rn << 5 | rt
}

pub const fn ldrb(rt: u32, rn: u32, offset: u32) -> u32 {
    0x3940_0000 | offset << 10 | rn << 5 | rt
}

/// `STR Xt, [Xn, Xm]`.
pub const fn str_indexed(rt: u32, rn: u32, rm: u32) -> u32 {
    0xf820_6800 | rm << 16 | rn << 5 | rt
}

pub const fn add(rd: u32, rn: u32, rm: u32) -> u32 {
    0x8b00_0000 | rm << 16 | rn << 5 | rd
}

pub const fn add_imm(rd: u32, rn: u32, imm: u32) -> u32 {
    0x9100_0000 | imm << 10 | rn << 5 | rd
}

/// `ADD Xd, Xn, #imm, LSL #12`.
pub const fn add_pages(rd: u32, rn: u32, imm: u32) -> u32 {
    0x9140_0000 | imm << 10 | rn << 5 | rd
}

pub const fn sub_imm(rd: u32, rn: u32, imm: u32) -> u32 {
    0xd100_0000 | imm << 10 | rn << 5 | rd
}

pub const fn and(rd: u32, rn: u32, rm: u32) -> u32 {
    0x8a00_0000 | rm << 16 | rn << 5 | rd
}

pub const fn lsr(rd: u32, rn: u32, shift: u32) -> u32 {
    0xd340_fc00 | shift << 16 | rn << 5 | rd
}

pub const fn madd(rd: u32, rn: u32, rm: u32, ra: u32) -> u32 {
    0x9b00_0000 | rm << 16 | ra << 10 | rn << 5 | rd
}

pub const fn cmp(rn: u32, rm: u32) -> u32 {
    0xeb00_001f | rm << 16 | rn << 5
}

/// Branches by a number of instructions.
pub const fn b(words: i32) -> u32 {
    0x1400_0000 | (words as u32 & 0x03ff_ffff)
}

pub const fn b_lo(words: i32) -> u32 {
    0x5400_0003 | (words as u32 & 0x7_ffff) << 5
}

pub const fn cbnz(rt: u32, words: i32) -> u32 {
    0xb500_0000 | (words as u32 & 0x7_ffff) << 5 | rt
}

pub const fn br(rn: u32) -> u32 {
    0xd61f_0000 | rn << 5
}

pub const fn mrs(rt: u32, register: u16) -> u32 {
    0xd520_0000 | (register as u32) << 5 | rt
}

pub const fn msr(register: u16, rt: u32) -> u32 {
    0xd500_0000 | (register as u32) << 5 | rt
}

/// `MSR DAIFClr, #imm`.
pub const fn daif_clear(imm: u32) -> u32 {
    0xd503_40ff | imm << 8
}

/// `MOV Vd.D[0], Xn` and `MOV Xd, Vn.D[1]`.
pub const fn to_vector(vd: u32, rn: u32, index: u32) -> u32 {
    0x4e08_1c00 | index << 20 | rn << 5 | vd
}

pub const fn from_vector(rd: u32, vn: u32, index: u32) -> u32 {
    0x4e08_3c00 | index << 20 | vn << 5 | rd
}
