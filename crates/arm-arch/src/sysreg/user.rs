//! Which counters EL0 may use, of performance monitors and of activity monitors. Arm ARM, PMUSERENR_EL0.

use bitfield_struct::bitfield;

/// `PMUSERENR_EL0`, Performance Monitors User Enable Register. Arm ARM, PMUSERENR_EL0.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct PmuserenrEl0 {
    /// EN, \[0\]: EL0 may use all registers of performance monitors.
    pub en: bool,
    /// SW, \[1\]: EL0 may write PMSWINC_EL0.
    pub sw: bool,
    /// CR, \[2\]: EL0 may read the cycle counter.
    pub cr: bool,
    /// ER, \[3\]: EL0 may read event counters, and select one.
    pub er: bool,
    /// UEN, \[4\]: EL0 may use counters as PMUACR_EL1 says. FEAT_PMUv3p9.
    pub uen: bool,
    /// IR, \[5\]: EL0 may read the instruction counter. FEAT_PMUv3_ICNTR.
    pub ir: bool,
    /// TID, \[6\]: reads of PMCEIDn_EL0 at EL0 trap. FEAT_PMUv3p9.
    pub tid: bool,
    #[bits(57)]
    __: u64,
}
const _: () = assert!(PmuserenrEl0::TID_OFFSET == 6);

/// `AMUSERENR_EL0`, Activity Monitors User Enable Register. Arm ARM, AMUSERENR_EL0.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct AmuserenrEl0 {
    /// EN, \[0\]: EL0 may read activity monitors.
    pub en: bool,
    #[bits(63)]
    __: u64,
}
const _: () = assert!(AmuserenrEl0::EN_OFFSET == 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        // Linux, with counters for EL0: ER, CR; then the cycle counter only, through UEN.
        let linux = PmuserenrEl0::from_bits(0xc);
        assert!(linux.er() && linux.cr() && !linux.en() && !linux.sw() && !linux.uen() && !linux.ir());
        let newer = PmuserenrEl0::from_bits(0x71);
        assert!(newer.uen() && newer.ir() && newer.tid() && newer.en() && !newer.er());
        assert!(PmuserenrEl0::from_bits(2).sw());
        assert!(AmuserenrEl0::from_bits(1).en() && !AmuserenrEl0::from_bits(2).en());
    }
}
