//! CONSTRAINED UNPREDICTABLE encodings: any of several behaviours is right, so none is compared.
//! Should-be bits are [`super::announced::classify`]'s matter.

use super::table::Row;

/// Returns why the word is CONSTRAINED UNPREDICTABLE, if it is. Arm ARM, ConstrainUnpredictable in the
/// pseudocode of each instruction.
#[must_use]
pub fn reason(word: u32, row: &Row) -> Option<&'static str> {
    let rt = word & 31;
    let rn = word >> 5 & 31;
    let rt2 = word >> 10 & 31;
    let rs = word >> 16 & 31;
    let vector = word >> 26 & 1 == 1;
    let load = word >> 22 & 1 == 1;
    let base = |register| register == rn && rn != 31;
    match row.class() {
        "ldst_immpost" | "ldst_immpre" if !vector && base(rt) => Some("write-back to the transfer register"),
        "ldstpair_post" | "ldstpair_pre" if !vector && (base(rt) || base(rt2)) => {
            Some("write-back to a transfer register")
        }
        "ldstpair_off" | "ldstpair_post" | "ldstpair_pre" | "ldstnapair_offs" if load && rt == rt2 => {
            Some("pair load to one register")
        }
        "ldstexclp" if load && rt == rt2 => Some("pair load to one register"),
        "ldstexclp" if !load && (rs == rt || rs == rt2 || base(rs)) => Some("status register used twice"),
        "ldstexclr" if !load && (rs == rt || base(rs)) => Some("status register used twice"),
        _ => None,
    }
}
