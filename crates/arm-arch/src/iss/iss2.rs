//! ISS2: what a syndrome says above bit 31.

use bitfield_struct::bitfield;

/// ISS2 of a data abort, `ESR_ELx` \[55:32\]; an instruction abort has AssuredOnly, Overlay, DirtyBit and HDBSSF of it,
/// a watchpoint GCS, a granule protection check GCS and HDBSSF. Arm ARM, ESR_EL1, ISS2.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct Iss2 {
    /// Xs, \[36:32\]: the register of ST64BV or ST64BV0 that holds the status. FEAT_LS64.
    #[bits(5)]
    pub xs: u8,
    /// DirtyBit, \[37\]: a permission fault due to dirty state. FEAT_S1PIE, FEAT_S2PIE.
    pub dirty_bit: bool,
    /// Overlay, \[38\]: a permission fault due to an overlay. FEAT_S1POE, FEAT_S2POE.
    pub overlay: bool,
    /// AssuredOnly, \[39\]: a stage 2 fault due to AssuredOnly. FEAT_THE.
    pub assured_only: bool,
    /// GCS, \[40\]: an access of the guarded control stack. FEAT_GCS.
    pub gcs: bool,
    /// TagAccess, \[41\]: NoTagAccess; the access needed an allocation tag. FEAT_MTE_PERM.
    pub tag_access: bool,
    /// TnD, \[42\]: an access of an allocation tag, not of data. FEAT_MTE_CANONICAL_TAGS.
    pub tnd: bool,
    /// HDBSSF, \[43\]: the dirty state structure could not be written. FEAT_HDBSS.
    pub hdbssf: bool,
    #[bits(20)]
    __: u32,
}
const _: () = assert!(Iss2::HDBSSF_OFFSET == 11);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esr::EsrEl;

    #[test]
    fn bits_are_those_of_the_register_less_32() {
        let esr = EsrEl::from_bits(0x0000_0163_9200_000f);
        let iss2 = Iss2::from_bits(esr.iss2());
        assert_eq!(iss2, Iss2::from_bits(0x163));
        assert_eq!((iss2.xs(), iss2.dirty_bit(), iss2.overlay(), iss2.gcs()), (3, true, true, true));
        assert!(!iss2.assured_only() && !iss2.tag_access() && !iss2.tnd() && !iss2.hdbssf());
        let other = Iss2::from_bits(0xe80);
        assert!(other.hdbssf() && other.tnd() && other.tag_access() && other.assured_only() && !other.gcs());
        assert_eq!(esr.with_iss2(Iss2::new().with_tnd(true).into_bits()).into_bits(), 0x0000_0400_9200_000f);
    }
}
