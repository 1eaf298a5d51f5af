//! System instructions: which of them a case may hold, and which encodings are UNDEFINED.

use super::announced::Class;
use super::table::Row;
use crate::rng::Rng;
use std::collections::HashSet;
use std::sync::OnceLock;

/// op0, op1, CRn, CRm, op2.
type Encoding = [u32; 5];

/// Registers whose value is part of a case's state: read and written.
const READ_WRITE: &[Encoding] = &[
    [3, 3, 4, 2, 0],  // NZCV
    [3, 3, 4, 2, 1],  // DAIF
    [3, 3, 4, 2, 5],  // DIT
    [3, 3, 4, 2, 6],  // SSBS
    [3, 3, 4, 4, 0],  // FPCR
    [3, 3, 4, 4, 1],  // FPSR
    [3, 0, 4, 0, 0],  // SPSR_EL1
    [3, 0, 4, 0, 1],  // ELR_EL1
    [3, 0, 4, 1, 0],  // SP_EL0
    [3, 0, 4, 2, 0],  // SPSel
    [3, 0, 4, 2, 2],  // CurrentEL
    [3, 0, 4, 2, 3],  // PAN
    [3, 0, 4, 2, 4],  // UAO
    [3, 0, 5, 2, 0],  // ESR_EL1
    [3, 0, 6, 0, 0],  // FAR_EL1
    [3, 3, 13, 0, 2], // TPIDR_EL0
    [3, 3, 13, 0, 3], // TPIDRRO_EL0
    [3, 0, 13, 0, 4], // TPIDR_EL1
];

/// Registers of the environment: read only.
const READ: &[Encoding] = &[
    [3, 0, 1, 0, 0],  // SCTLR_EL1
    [3, 0, 1, 0, 2],  // CPACR_EL1
    [3, 0, 2, 0, 0],  // TTBR0_EL1
    [3, 0, 2, 0, 2],  // TCR_EL1
    [3, 0, 10, 2, 0], // MAIR_EL1
    [3, 0, 12, 0, 0], // VBAR_EL1
];

/// SYS instructions that take an address.
const BY_ADDRESS: &[Encoding] = &[
    [1, 3, 7, 4, 1],  // DC ZVA
    [1, 3, 7, 5, 1],  // IC IVAU
    [1, 3, 7, 10, 1], // DC CVAC
    [1, 3, 7, 11, 1], // DC CVAU
    [1, 3, 7, 12, 1], // DC CVAP
    [1, 3, 7, 14, 1], // DC CIVAC
    [1, 0, 7, 6, 1],  // DC IVAC
];

/// SYS instructions that take no address, or one that need not be mapped.
const PLAIN: &[Encoding] = &[
    [1, 0, 7, 1, 0], // IC IALLUIS
    [1, 0, 7, 5, 0], // IC IALLU
    [1, 0, 8, 3, 0], // TLBI VMALLE1IS
    [1, 0, 8, 7, 0], // TLBI VMALLE1
    [1, 0, 8, 7, 1], // TLBI VAE1
    [1, 0, 8, 7, 2], // TLBI ASIDE1
    [1, 0, 8, 7, 3], // TLBI VAAE1
];

/// Fields of `MSR (immediate)` that are announced: op1, op2.
const PSTATE_FIELDS: &[[u32; 2]] = &[
    [0, 3], // UAO
    [0, 4], // PAN
    [0, 5], // SPSel
    [3, 1], // SSBS
    [3, 2], // DIT
    [3, 6], // DAIFSet
    [3, 7], // DAIFClr
];

fn encoding(word: u32) -> Encoding {
    [word >> 19 & 3, word >> 16 & 7, word >> 12 & 15, word >> 8 & 15, word >> 5 & 7]
}

fn assemble([op0, op1, crn, crm, op2]: Encoding, read: bool, rt: u32) -> u32 {
    0xD500_0000 | u32::from(read) << 21 | op0 << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5 | rt
}

/// Classifies a word of the groups `systemmove`, `systeminstrs` and `pstate`.
pub(super) fn classify(word: u32, row: &'static Row) -> Class {
    let name = encoding(word);
    let read = word >> 21 & 1 == 1;
    match row.class() {
        "pstate" => match row.mnemonic() {
            "CFINV" => Class::Announced(row),
            "MSR" if PSTATE_FIELDS.contains(&[name[1], name[4]]) => Class::Announced(row),
            _ => Class::Undefined(Some(row)),
        },
        "systemmove" if READ_WRITE.contains(&name) || (READ.contains(&name) && read) => Class::Announced(row),
        "systemmove" if is_undefined(name) => Class::Undefined(Some(row)),
        "systeminstrs" if !read && BY_ADDRESS.contains(&name) => Class::Announced(row),
        "systeminstrs" if !read && PLAIN.contains(&name) && word & 31 == 31 => Class::Announced(row),
        _ => Class::Unasked("system state outside a case"),
    }
}

/// Is true for what no register has at EL1 or below: encodings without a name, outside the spaces that
/// are IMPLEMENTATION DEFINED or read as zero; and registers of EL2, EL3 and VHE.
fn is_undefined(name: Encoding) -> bool {
    let [op0, op1, crn, crm, _] = name;
    if op0 != 3 || crn == 11 || crn == 15 {
        return false;
    }
    // The space of the ID registers reads as zero where it has no name.
    let identification = op1 == 0 && crn == 0 && (1..=7).contains(&crm);
    // Debug communication and performance monitors: op0 = 3, CRn = 9 and 14 hold indexed families.
    let families = crn == 9 || crn == 14;
    matches!(op1, 4..=6) || (!identification && !families && !named().contains(&name))
}

/// Every encoding that `data/sysregs.tsv` names.
fn named() -> &'static HashSet<Encoding> {
    static NAMED: OnceLock<HashSet<Encoding>> = OnceLock::new();
    NAMED.get_or_init(|| {
        let rows = include_str!("../../../../data/sysregs.tsv").lines().skip(1);
        rows.map(|line| {
            let mut numbers = line.split('\t').skip(1).map(|text| text.parse().unwrap());
            std::array::from_fn(|_| numbers.next().unwrap())
        })
        .collect()
    })
}

/// Returns whether the word is `DC ZVA`.
#[must_use]
pub fn is_dc_zva(word: u32) -> bool {
    word & 0xFFFF_FFE0 == 0xD50B_7420
}

/// Returns whether the word is a SYS instruction that takes an address in Rt.
#[must_use]
pub fn takes_address(word: u32) -> bool {
    word & 0xFFF8_0000 == 0xD508_0000 && BY_ADDRESS.contains(&encoding(word))
}

/// Returns a random system instruction.
pub fn random(rng: &mut Rng) -> u32 {
    let rt = rng.half() & 31;
    match rng.below(20) {
        0..=6 => assemble(*rng.pick(READ_WRITE), false, rt),
        7..=9 => assemble(*rng.pick(READ_WRITE), true, rt),
        10 => assemble(*rng.pick(READ), rng.percent(80), rt),
        11 | 12 => assemble(*rng.pick(BY_ADDRESS), false, rt),
        13 => assemble(BY_ADDRESS[0], false, rt),
        14 => assemble(*rng.pick(PLAIN), false, 31),
        15 => 0xD500_401F | (rng.half() & 0x7_0FE0),
        16 | 17 => {
            let [op1, op2] = *rng.pick(PSTATE_FIELDS);
            0xD500_401F | op1 << 16 | op2 << 5 | (rng.half() & 0xF00)
        }
        _ => assemble(
            [3, rng.half() & 7, rng.half() & 15, rng.half() & 15, rng.half() & 7],
            rng.percent(50),
            rt,
        ),
    }
}
