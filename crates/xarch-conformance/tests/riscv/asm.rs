//! RV64I in 32-bit words. RISC-V Unprivileged ISA, "RV32/64G Instruction Set Listings"; CSR numbers from the
//! Privileged Architecture, "CSR Listing".

pub const MRET: u32 = 0x3020_0073;
pub const WFI: u32 = 0x1050_0073;
pub const ECALL: u32 = 0x0000_0073;

pub const MSTATUS: u16 = 0x300;
pub const MISA: u16 = 0x301;
pub const MIE: u16 = 0x304;
pub const MTVEC: u16 = 0x305;
pub const MSCRATCH: u16 = 0x340;
pub const MEPC: u16 = 0x341;
pub const MCAUSE: u16 = 0x342;
pub const MTVAL: u16 = 0x343;
pub const MIP: u16 = 0x344;
pub const STIMECMP: u16 = 0x14d;
pub const TIME: u16 = 0xc01;
pub const MVENDORID: u16 = 0xf11;
pub const MHARTID: u16 = 0xf14;

const fn i_type(opcode: u32, rd: u32, funct3: u32, rs1: u32, imm: i32) -> u32 {
    (imm as u32) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode
}

const fn s_type(funct3: u32, rs1: u32, rs2: u32, imm: i32) -> u32 {
    let imm = imm as u32;
    (imm >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (imm & 31) << 7 | 0x23
}

const fn b_type(funct3: u32, rs1: u32, rs2: u32, bytes: i32) -> u32 {
    let imm = bytes as u32;
    (imm >> 12 & 1) << 31
        | (imm >> 5 & 0x3f) << 25
        | rs2 << 20
        | rs1 << 15
        | funct3 << 12
        | (imm >> 1 & 15) << 8
        | (imm >> 11 & 1) << 7
        | 0x63
}

pub const fn addi(rd: u32, rs1: u32, imm: i32) -> u32 {
    i_type(0x13, rd, 0, rs1, imm)
}

pub const fn ori(rd: u32, rs1: u32, imm: i32) -> u32 {
    i_type(0x13, rd, 6, rs1, imm)
}

pub const fn slli(rd: u32, rs1: u32, shift: u32) -> u32 {
    i_type(0x13, rd, 1, rs1, shift as i32)
}

pub const fn add(rd: u32, rs1: u32, rs2: u32) -> u32 {
    rs2 << 20 | rs1 << 15 | rd << 7 | 0x33
}

/// `LB`, `LH`, `LW`, `LD`, and with 4 added those that extend with zeros.
pub const fn load(funct3: u32, rd: u32, rs1: u32, imm: i32) -> u32 {
    i_type(0x03, rd, funct3, rs1, imm)
}

/// `SB`, `SH`, `SW`, `SD`.
pub const fn store(funct3: u32, rs2: u32, rs1: u32, imm: i32) -> u32 {
    s_type(funct3, rs1, rs2, imm)
}

pub const fn bne(rs1: u32, rs2: u32, bytes: i32) -> u32 {
    b_type(1, rs1, rs2, bytes)
}

/// `CSRRS rd, csr, x0`.
pub const fn csrr(rd: u32, csr: u16) -> u32 {
    i_type(0x73, rd, 2, 0, csr as i32)
}

/// `CSRRW x0, csr, rs1`.
pub const fn csrw(csr: u16, rs1: u32) -> u32 {
    i_type(0x73, 0, 1, rs1, csr as i32)
}

/// Loads a value: eleven instructions.
pub fn li(rd: u32, value: u64) -> [u32; 11] {
    let part = |shift: u32| (value >> shift & 0x7ff) as i32;
    let mut words = [addi(rd, 0, (value >> 55) as i32); 11];
    for (n, pair) in words[1..].chunks_exact_mut(2).enumerate() {
        pair.copy_from_slice(&[slli(rd, rd, 11), ori(rd, rd, part(44 - 11 * n as u32))]);
    }
    words
}

#[test]
fn words_are_those_of_the_book() {
    for (name, word, want) in [
        ("nop", addi(0, 0, 0), 0x0000_0013),
        ("li a0, 1", addi(10, 0, 1), 0x0010_0513),
        ("addi sp, sp, -16", addi(2, 2, -16), 0xff01_0113),
        ("add a0, a0, a1", add(10, 10, 11), 0x00b5_0533),
        ("sd ra, 8(sp)", store(3, 1, 2, 8), 0x0011_3423),
        ("ld ra, 8(sp)", load(3, 1, 2, 8), 0x0081_3083),
        ("lw a5, -20(s0)", load(2, 15, 8, -20), 0xfec4_2783),
        ("sw a5, -20(s0)", store(2, 15, 8, -20), 0xfef4_2623),
        ("slli a5, a5, 1", slli(15, 15, 1), 0x0017_9793),
        ("csrr a0, mhartid", csrr(10, MHARTID), 0xf140_2573),
        ("csrw mtvec, t0", csrw(MTVEC, 5), 0x3052_9073),
        ("bnez a5, -4", bne(15, 0, -4), 0xfe07_9ee3),
    ] {
        assert_eq!(word, want, "{name}");
    }
}
