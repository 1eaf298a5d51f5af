//! Guarded control stacks: what switches them on. FEAT_GCS. Arm ARM, GCSCR_EL1.

use bitfield_struct::bitfield;

/// `GCSCR_EL1`, Guarded Control Stack Control (EL1); those of EL2 and EL3 have its layout. Arm ARM, GCSCR_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct GcscrEl1 {
    /// PCRSEL, \[0\]: return addresses are kept.
    pub pcrsel: bool,
    #[bits(4)]
    __: u8,
    /// RVCHKEN, \[5\]: returns are checked.
    pub rvchken: bool,
    /// EXLOCKEN, \[6\]: ELR and SPSR of an exception are locked.
    pub exlocken: bool,
    __: bool,
    /// PUSHMEn, \[8\]: GCSPUSHM executes.
    pub pushmen: bool,
    /// STREn, \[9\]: GCSSTR and GCSSTTR execute.
    pub stren: bool,
    #[bits(54)]
    __: u64,
}
const _: () = assert!(GcscrEl1::STREN_OFFSET == 9);

/// `GCSCRE0_EL1`, Guarded Control Stack Control (EL0). Arm ARM, GCSCRE0_EL1.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Gcscre0El1 {
    /// PCRSEL, \[0\]: return addresses are kept.
    pub pcrsel: bool,
    #[bits(4)]
    __: u8,
    /// RVCHKEN, \[5\]: returns are checked.
    pub rvchken: bool,
    #[bits(2)]
    __: u8,
    /// PUSHMEn, \[8\]: GCSPUSHM executes.
    pub pushmen: bool,
    /// STREn, \[9\]: GCSSTR and GCSSTTR execute.
    pub stren: bool,
    /// nTR, \[10\]: reads of GCSPR_EL0 at EL0 do not trap.
    pub ntr: bool,
    #[bits(53)]
    __: u64,
}
const _: () = assert!(Gcscre0El1::NTR_OFFSET == 10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        let gcscr = GcscrEl1::from_bits(0x61);
        assert!(gcscr.pcrsel() && gcscr.rvchken() && gcscr.exlocken() && !gcscr.pushmen() && !gcscr.stren());
        let gcscr = GcscrEl1::from_bits(0x300);
        assert!(gcscr.pushmen() && gcscr.stren() && !gcscr.exlocken());
        let user = Gcscre0El1::from_bits(0x621);
        assert!(user.pcrsel() && user.rvchken() && user.stren() && user.ntr() && !user.pushmen());
        assert!(!Gcscre0El1::from_bits(0x300).ntr());
    }
}
