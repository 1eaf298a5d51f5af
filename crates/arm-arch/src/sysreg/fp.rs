//! Control and status of floating point. Arm ARM, FPCR, FPSR.

use bitfield_struct::bitfield;

/// `FPCR`, Floating-point Control Register. Arm ARM, FPCR.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Fpcr {
    /// FIZ, \[0\]: subnormal operands of single and double precision are zero. FEAT_AFP.
    pub fiz: bool,
    /// AH, \[1\]: alternate handling. FEAT_AFP.
    pub ah: bool,
    /// NEP, \[2\]: scalar operations keep the other elements. FEAT_AFP.
    pub nep: bool,
    #[bits(5)]
    __: u8,
    /// IOE, \[8\]: invalid operation traps.
    pub ioe: bool,
    /// DZE, \[9\]: division by zero traps.
    pub dze: bool,
    /// OFE, \[10\]: overflow traps.
    pub ofe: bool,
    /// UFE, \[11\]: underflow traps.
    pub ufe: bool,
    /// IXE, \[12\]: inexactness traps.
    pub ixe: bool,
    /// EBF, \[13\]: BFloat16 dot products as of FEAT_EBF16.
    pub ebf: bool,
    __: bool,
    /// IDE, \[15\]: a subnormal operand traps.
    pub ide: bool,
    /// Len, \[18:16\]: of AArch32; no function in AArch64.
    #[bits(3)]
    pub length: u8,
    /// FZ16, \[19\]: subnormals of half precision are flushed. FEAT_FP16.
    pub fz16: bool,
    /// Stride, \[21:20\]: of AArch32; no function in AArch64.
    #[bits(2)]
    pub stride: u8,
    /// RMode, \[23:22\]: rounding: to nearest, up, down, to zero.
    #[bits(2)]
    pub rmode: u8,
    /// FZ, \[24\]: subnormals of single and double precision are flushed.
    pub fz: bool,
    /// DN, \[25\]: NaN results are the default NaN.
    pub dn: bool,
    /// AHP, \[26\]: half precision has Arm's alternative format.
    pub ahp: bool,
    #[bits(37)]
    __: u64,
}
const _: () = assert!(Fpcr::RMODE_OFFSET == 22 && Fpcr::AHP_OFFSET == 26);

/// `FPSR`, Floating-point Status Register. Arm ARM, FPSR.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Fpsr {
    /// IOC, \[0\]: invalid operation.
    pub ioc: bool,
    /// DZC, \[1\]: division by zero.
    pub dzc: bool,
    /// OFC, \[2\]: overflow.
    pub ofc: bool,
    /// UFC, \[3\]: underflow.
    pub ufc: bool,
    /// IXC, \[4\]: inexact.
    pub ixc: bool,
    #[bits(2)]
    __: u8,
    /// IDC, \[7\]: a subnormal operand was flushed.
    pub idc: bool,
    #[bits(19)]
    __: u32,
    /// QC, \[27\]: an integer operation saturated.
    pub qc: bool,
    /// V, \[28\]: of AArch32.
    pub v: bool,
    /// C, \[29\]: of AArch32.
    pub c: bool,
    /// Z, \[30\]: of AArch32.
    pub z: bool,
    /// N, \[31\]: of AArch32.
    pub n: bool,
    __: u32,
}
const _: () = assert!(Fpsr::IDC_OFFSET == 7 && Fpsr::QC_OFFSET == 27);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        // Flush to zero, default NaN, towards zero; then alternative half precision, down, half precision flushed.
        let fpcr = Fpcr::from_bits(0x03c0_0000);
        assert_eq!(
            (fpcr.rmode(), fpcr.fz(), fpcr.dn(), fpcr.ahp(), fpcr.fz16()),
            (3, true, true, false, false)
        );
        let fpcr = Fpcr::from_bits(0x0488_0000);
        assert_eq!(
            (fpcr.rmode(), fpcr.fz(), fpcr.dn(), fpcr.ahp(), fpcr.fz16()),
            (2, false, false, true, true)
        );
        let traps = Fpcr::from_bits(0x9f00);
        assert!(traps.ioe() && traps.dze() && traps.ofe() && traps.ufe() && traps.ixe() && traps.ide());
        let newer = Fpcr::from_bits(0x2007);
        assert!(newer.fiz() && newer.ah() && newer.nep() && newer.ebf() && !newer.ide() && !newer.ioe());
        assert_eq!((Fpcr::from_bits(0x35_0000).length(), Fpcr::from_bits(0x35_0000).stride()), (5, 3));

        let fpsr = Fpsr::from_bits(0x0800_0091);
        assert!(
            fpsr.ioc() && fpsr.ixc() && fpsr.idc() && fpsr.qc() && !fpsr.dzc() && !fpsr.ofc() && !fpsr.ufc()
        );
        let fpsr = Fpsr::from_bits(0xa000_000e);
        assert!(fpsr.dzc() && fpsr.ofc() && fpsr.ufc() && fpsr.n() && fpsr.c() && !fpsr.z() && !fpsr.v());
    }
}
