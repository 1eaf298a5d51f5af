//! Which instructions the announced features contain: Armv8.0-A base, FP and AdvSIMD without FP16,
//! CRC32, LSE, RDM, AES, PMULL, SHA1, SHA256, PAN, UAO, DPB, LRCPC, DotProd, DIT, FlagM, SSBS.
//!
//! By name, from the manual's list of features per instruction: the table has no feature column.

use super::table::{Decoded, Row, Table};

/// What is to be expected of a word.
#[derive(Clone, Copy, Debug)]
pub enum Class {
    /// An instruction of the announced set, or an unallocated encoding within one: the reference decides.
    Announced(&'static Row),
    /// Outside the announced set: UNDEFINED.
    Undefined(Option<&'static Row>),
    /// Not compared, and why.
    Unasked(&'static str),
}

/// Classifies a word by encoding alone; system instructions are [`super::system`]'s matter.
#[must_use]
pub fn classify(word: u32) -> Class {
    let row = match Table::shared().decode_strictly(word) {
        Decoded::Row(row) => row,
        Decoded::ShouldBe(_) => return Class::Unasked("should-be bits are not as they should be"),
        Decoded::Nothing => return Class::Undefined(None),
    };
    match row.mnemonic() {
        "HVC" => return Class::Unasked("HVC leaves the guest"),
        "SMC" => return Class::Unasked("SMC ends a case"),
        "HLT" if word >> 5 & 0xffff == 0xf000 => {
            return Class::Unasked("HLT #0xf000 is semihosting in the reference");
        }
        _ => {}
    }
    if matches!(row.class(), "systemmove" | "systeminstrs" | "pstate") {
        return super::system::classify(word, row);
    }
    if is_announced(row) && !is_unallocated_shift(word, row) {
        Class::Announced(row)
    } else {
        Class::Undefined(Some(row))
    }
}

/// Is true for shifts whose immh selects no element: 0000, which for vectors is the space of modified
/// immediates, and 001x with the fixed-point conversions, which is FP16.
fn is_unallocated_shift(word: u32, row: &Row) -> bool {
    let immh = word >> 19 & 15;
    let converts = matches!(row.mnemonic(), "SCVTF" | "UCVTF" | "FCVTZS" | "FCVTZU");
    matches!(row.class(), "asimdshf" | "asisdshf") && (immh == 0 || (converts && immh >> 1 == 1))
}

/// Returns whether the announced features contain the variant.
#[must_use]
pub fn is_announced(row: &Row) -> bool {
    match row.group.split('/').next() {
        Some("control") => control(row),
        Some("dpimm") => !matches!(row.class(), "addsub_immtags" | "dp_1src_imm" | "minmax_imm"),
        Some("dpreg") => register(row),
        Some("ldst") => load_store(row),
        Some("simd_dp") => simd(row),
        _ => false,
    }
}

fn control(row: &Row) -> bool {
    match row.class() {
        "barriers" => !matches!(row.name.as_str(), "SB_only_barriers" | "DSB_BOn_barriers"),
        "branch_imm" | "compbranch" | "testbranch" | "hints" => true,
        "condbranch" => row.mnemonic() == "B",
        "branch_reg" => matches!(row.mnemonic(), "BR" | "BLR" | "RET" | "ERET" | "DRPS"),
        "exception" => !matches!(row.mnemonic(), "FLT" | "TENTER"),
        _ => false,
    }
}

fn register(row: &Row) -> bool {
    let name = row.mnemonic();
    match row.class() {
        "dp_1src" => matches!(name, "RBIT" | "REV16" | "REV32" | "REV" | "CLZ" | "CLS"),
        "dp_2src" => {
            matches!(name, "UDIV" | "SDIV" | "LSLV" | "LSRV" | "ASRV" | "RORV") || name.starts_with("CRC32")
        }
        "dp_3src" => !name.ends_with("PT"),
        "addsub_pt" => false,
        _ => true,
    }
}

fn load_store(row: &Row) -> bool {
    const ATOMIC: &[&str] =
        &["LDADD", "LDCLR", "LDEOR", "LDSET", "LDSMAX", "LDSMIN", "LDUMAX", "LDUMIN", "SWP", "LDAPR"];
    let name = row.mnemonic();
    match row.class() {
        "asisdlse" | "asisdlsep" | "asisdlsop" | "comswap" | "comswappr" | "ldstexclp" | "ldstexclr"
        | "ldst_immpost" | "ldst_immpre" | "ldst_pos" | "ldst_regoff" | "ldst_unpriv" | "ldst_unscaled"
        | "loadlit" => true,
        "asisdlso" => !matches!(name, "STL1" | "LDAP1"),
        "ldstnapair_offs" | "ldstpair_off" | "ldstpair_post" | "ldstpair_pre" => {
            !matches!(name, "STGP" | "STTP" | "LDTP" | "STTNP" | "LDTNP")
        }
        "ldstord" => !name.starts_with("STLLR") && !name.starts_with("LDLAR"),
        "memop" => ATOMIC.iter().any(|prefix| name.starts_with(prefix)),
        _ => false,
    }
}

fn simd(row: &Row) -> bool {
    const LATER: &[&str] = &[
        "FDOT", "SUDOT", "USDOT", "BF", "FMLAL", "FMLSL", "FCMLA", "FCADD", "FRINT32", "FRINT64", "F1CVTL",
        "F2CVTL", "FAMAX", "FAMIN", "FSCALE", "LUTI", "FJCVTZS", "FCMTL", "FMAXINM", "FMININM", "FMAXMG",
        "FMINMG", "SMMLA", "UMMLA", "USMMLA", "FMMLA",
    ];
    let name = row.mnemonic();
    let class = row.class();
    if LATER.iter().any(|prefix| name.starts_with(prefix)) {
        return false;
    }
    match class {
        "asimdmiscfp16" | "asimdsamefp16" | "asisdmiscfp16" | "asisdsamefp16" | "crypto3_imm2"
        | "crypto3_imm6" | "crypto4" | "cryptosha512_2" | "cryptosha512_3" => false,
        "asimdsame2" => matches!(name, "SDOT" | "UDOT" | "SQRDMLAH" | "SQRDMLSH"),
        "asimdall" | "asimdelem" | "asimdimm" | "asisdelem" | "asisdpair" => {
            !row.name.ends_with("_H") && !row.name.ends_with("_H_h")
        }
        "float2fix" | "float2int" => !row.name.contains("sisd") && !row.name.contains('H'),
        "floatccmp" | "floatcmp" | "floatdp2" | "floatdp3" | "floatimm" | "floatsel" => {
            !row.name.contains("_H_") && !row.name.contains("_HZ_")
        }
        "floatdp1" => !row.name.contains("_H_"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, classify};

    /// Words as GNU as assembles them for the feature named.
    #[test]
    fn the_line_between_announced_and_later_features() {
        const CASES: &[(u32, bool, &str)] = &[
            (0x1E22_2820, true, "fadd s0, s1, s2"),
            (0x1EE2_2820, false, "fadd h0, h1, h2: FP16"),
            (0x1EE2_4020, true, "fcvt s0, h1: base"),
            (0x4E40_1420, false, "fadd v0.8h, v1.8h, v0.8h: FP16"),
            (0x4E80_9420, true, "sdot v0.4s, v1.16b, v0.16b: DotProd"),
            (0x4E80_A420, false, "smmla: I8MM"),
            (0xF8A0_0020, true, "ldadda x0, x0, [x1]: LSE"),
            (0xF8BF_C020, true, "ldapr x0, [x1]: LRCPC"),
            (0xD940_0020, false, "ldapur x0, [x1]: LRCPC2"),
            (0xC8DF_7C20, false, "ldlar x0, [x1]: LOR"),
            (0xBA00_0420, true, "rmif x1, #0, #0: FlagM"),
            (0xD500_403F, false, "xaflag: FlagM2"),
            (0xD500_401F, true, "cfinv: FlagM"),
            (0xD503_30FF, false, "sb"),
            (0x1E7E_0020, false, "fjcvtzs w0, d1"),
            (0xDAC1_0020, false, "pacia x0, x1"),
            (0xD503_233F, true, "paciasp: a hint"),
            (0x4EE0_E020, true, "pmull2 v0.1q, v1.2d, v0.2d"),
            (0xCE20_8020, false, "sha512h"),
            (0x5E00_4020, true, "sha256h q0, q1, v0.4s"),
            (0x0420_0000, false, "add z0.b, ...: SVE"),
            (0x0F10_E420, false, "scvtf v0.4h, v1.4h, #16: FP16"),
            (0x0F20_E420, true, "scvtf v0.2s, v1.2s, #32"),
        ];
        for &(word, announced, what) in CASES {
            assert_eq!(matches!(classify(word), Class::Announced(_)), announced, "{word:#010x} {what}");
        }
    }
}
