//! Accesses that reach something else than their name says: `_EL12` and `_EL02` names, EL1 names at an EL2 with E2H,
//! and under nested virtualization memory in place of registers. Arm ARM, HCR_EL2.E2H and HCR_EL2.NV2.
//!
//! Which encodings have an alias or an offset is data: `tests/trap_table.rs` compares it with `data/sysregs.tsv`, whose
//! offsets are those of Arm's model v9.4-A (the later ones are those of the registers' access pseudocode), and what NV
//! traps with the ordered conditions of the v8.5 model.

use crate::sysreg::{HcrEl2, SysRegId, names};

/// Where an access at EL1 goes under nested virtualization. Arm ARM, HCR_EL2.NV, HCR_EL2.NV2.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Nested {
    /// FEAT_NV and FEAT_NV2 do not concern it.
    Direct,
    /// To the 64 bits at this offset from VNCR_EL2.BADDR; a 128-bit access to the 128 bits.
    Memory(u16),
    /// To this register of EL1.
    Register(SysRegId),
    /// To EL2, with EC 0x18.
    Trap,
}

/// Returns what HCR_EL2.{NV, NV1, NV2} make of an access by EL1, with EL2 enabled. Arm ARM, HCR_EL2.NV, NV1 and NV2.
/// PMBSR_EL1 and TRBSR_EL1 as if exceptions of their buffers were enabled; [`super::access`] looks.
///
/// What NV makes accessible is UNDEFINED to EL1 otherwise: [`Nested::Direct`] says nothing about that. CHOICE: NV1 and
/// NV2 without NV do nothing.
pub fn nested(id: SysRegId, hcr: HcrEl2) -> Nested {
    if !hcr.nv() {
        return Nested::Direct;
    }
    let memory = |id| if hcr.nv2() { vncr_offset(id) } else { None };
    if let Some(plain) = without_alias(id) {
        // {NV1} = 0: the guest's hypervisor uses E2H, and these names are its guest's registers.
        return match memory(plain) {
            Some(offset) if !hcr.nv1() => Nested::Memory(offset),
            Some(_) | None => Nested::Trap,
        };
    }
    if has_alias(id) {
        return match memory(id) {
            Some(offset) if hcr.nv1() => Nested::Memory(offset),
            Some(_) | None if hcr.nv1() && is_trapped_by_nv1(id) => Nested::Trap,
            Some(_) | None => Nested::Direct,
        };
    }
    if let Some(offset) = memory(id) {
        return Nested::Memory(offset);
    }
    match id {
        names::SPSR_EL2 if hcr.nv2() => Nested::Register(names::SPSR_EL1),
        names::ELR_EL2 if hcr.nv2() => Nested::Register(names::ELR_EL1),
        names::ESR_EL2 if hcr.nv2() => Nested::Register(names::ESR_EL1),
        names::FAR_EL2 if hcr.nv2() => Nested::Register(names::FAR_EL1),
        names::TFSR_EL2 if hcr.nv2() => Nested::Register(names::TFSR_EL1),
        _ if matches!(id.op0(), 1..=3) && id.op1() == 4 => Nested::Trap,
        _ => Nested::Direct,
    }
}

/// The registers of exception entry, which a hypervisor without E2H has apart from its guest's. HCR_EL2.NV1.
fn is_trapped_by_nv1(id: SysRegId) -> bool {
    matches!(id, names::VBAR_EL1 | names::ELR_EL1 | names::SPSR_EL1)
}

/// Returns the offset from VNCR_EL2.BADDR of a register that FEAT_NV2 keeps in memory.
/// Arm ARM, VNCR_EL2; `data/sysregs.tsv`, vncr_off.
#[must_use]
pub fn vncr_offset(id: SysRegId) -> Option<u16> {
    let at = VNCR.binary_search_by_key(&id.into_bits(), |(id, _)| *id).ok()?;
    VNCR.get(at).map(|(_, offset)| *offset)
}

/// Returns the register that an `_EL12` or `_EL02` name stands for, at EL2 with E2H.
/// Arm ARM, HCR_EL2.E2H; `data/sysregs.tsv`, alias_of.
#[must_use]
pub fn without_alias(id: SysRegId) -> Option<SysRegId> {
    let at = ALIASES.binary_search_by_key(&id.into_bits(), |(alias, _)| *alias).ok()?;
    ALIASES.get(at).map(|(_, plain)| SysRegId::from_bits(*plain))
}

/// Whether a register has an `_EL12` or `_EL02` name.
fn has_alias(id: SysRegId) -> bool {
    ALIASES.iter().any(|(_, plain)| *plain == id.into_bits())
}

/// Returns the register that a name of EL1 or EL0 reaches at EL2 with HCR_EL2.E2H = 1: that of EL2, where there is one,
/// else itself. Arm ARM, HCR_EL2.E2H. PMBSR_EL1 and TRBSR_EL1 as in [`nested`].
#[must_use]
pub fn hosted(id: SysRegId) -> SysRegId {
    match id {
        names::SCTLR_EL1 => names::SCTLR_EL2,
        names::SCTLR2_EL1 => names::SCTLR2_EL2,
        names::ACTLR_EL1 => names::ACTLR_EL2,
        names::CPACR_EL1 => names::CPTR_EL2,
        names::ZCR_EL1 => names::ZCR_EL2,
        names::SMCR_EL1 => names::SMCR_EL2,
        names::TRFCR_EL1 => names::TRFCR_EL2,
        names::TTBR0_EL1 => names::TTBR0_EL2,
        names::TTBR1_EL1 => names::TTBR1_EL2,
        names::TCR_EL1 => names::TCR_EL2,
        names::TCR2_EL1 => names::TCR2_EL2,
        names::PIR_EL1 => names::PIR_EL2,
        names::PIRE0_EL1 => names::PIRE0_EL2,
        names::POR_EL1 => names::POR_EL2,
        names::SPSR_EL1 => names::SPSR_EL2,
        names::ELR_EL1 => names::ELR_EL2,
        names::AFSR0_EL1 => names::AFSR0_EL2,
        names::AFSR1_EL1 => names::AFSR1_EL2,
        names::ESR_EL1 => names::ESR_EL2,
        names::FAR_EL1 => names::FAR_EL2,
        names::TFSR_EL1 => names::TFSR_EL2,
        names::MAIR_EL1 => names::MAIR_EL2,
        names::MAIR2_EL1 => names::MAIR2_EL2,
        names::AMAIR_EL1 => names::AMAIR_EL2,
        names::AMAIR2_EL1 => names::AMAIR2_EL2,
        names::VBAR_EL1 => names::VBAR_EL2,
        names::CONTEXTIDR_EL1 => names::CONTEXTIDR_EL2,
        names::SCXTNUM_EL1 => names::SCXTNUM_EL2,
        names::GCSCR_EL1 => names::GCSCR_EL2,
        names::GCSPR_EL1 => names::GCSPR_EL2,
        names::PMSCR_EL1 => names::PMSCR_EL2,
        names::BRBCR_EL1 => names::BRBCR_EL2,
        names::MPAM1_EL1 => names::MPAM2_EL2,
        names::CNTKCTL_EL1 => names::CNTHCTL_EL2,
        names::CNTP_TVAL_EL0 => names::CNTHP_TVAL_EL2,
        names::CNTP_CTL_EL0 => names::CNTHP_CTL_EL2,
        names::CNTP_CVAL_EL0 => names::CNTHP_CVAL_EL2,
        names::CNTV_TVAL_EL0 => names::CNTHV_TVAL_EL2,
        names::CNTV_CTL_EL0 => names::CNTHV_CTL_EL2,
        names::CNTV_CVAL_EL0 => names::CNTHV_CVAL_EL2,
        names::SPMACCESSR_EL1 => names::SPMACCESSR_EL2,
        names::TRCITECR_EL1 => names::TRCITECR_EL2,
        names::SCTLRMASK_EL1 => names::SCTLRMASK_EL2,
        names::ACTLRMASK_EL1 => names::ACTLRMASK_EL2,
        names::CPACRMASK_EL1 => names::CPTRMASK_EL2,
        names::SCTLR2MASK_EL1 => names::SCTLR2MASK_EL2,
        names::TCRMASK_EL1 => names::TCRMASK_EL2,
        names::TCR2MASK_EL1 => names::TCR2MASK_EL2,
        names::PFAR_EL1 => names::PFAR_EL2,
        names::PMBSR_EL1 => names::PMBSR_EL2,
        names::TRBSR_EL1 => names::TRBSR_EL2,
        names::MPAMBW1_EL1 => names::MPAMBW2_EL2,
        other => other,
    }
}

/// Encoding and offset, ascending.
#[rustfmt::skip]
const VNCR: &[(u16, u16)] = &[
    (0x8012, 0x158), (0x84eb, 0x8e8), (0x8c80, 0x8e0), (0xc080, 0x110), (0xc081, 0x118), (0xc082, 0x100),
    (0xc083, 0x278), (0xc090, 0x1e0), (0xc091, 0x880), (0xc093, 0x888), (0xc096, 0x1f0), (0xc0a0, 0x318),
    (0xc0a1, 0x340), (0xc0a2, 0x320), (0xc0a3, 0x328), (0xc100, 0x200), (0xc101, 0x210), (0xc102, 0x120),
    (0xc103, 0x270), (0xc128, 0x8d0), (0xc129, 0x8c0), (0xc13a, 0x330), (0xc13b, 0x338), (0xc200, 0x160),
    (0xc201, 0x230), (0xc288, 0x128), (0xc289, 0x130), (0xc290, 0x138), (0xc2b0, 0x190), (0xc300, 0x220),
    (0xc305, 0x2d0), (0xc4c8, 0x828), (0xc4ca, 0x838), (0xc4cb, 0x840), (0xc4cd, 0x830), (0xc4ce, 0x848),
    (0xc4d0, 0x800), (0xc4d1, 0x810), (0xc4d3, 0x820), (0xc4db, 0x860), (0xc510, 0x140), (0xc511, 0x280), (0xc512, 0x290),
    (0xc513, 0x2a0), (0xc514, 0x2a8), (0xc515, 0x2b8), (0xc518, 0x148), (0xc519, 0x288), (0xc528, 0x900),
    (0xc600, 0x250), (0xc681, 0x108), (0xc687, 0x188), (0xdf11, 0x180), (0xdf12, 0x178), (0xdf19, 0x170),
    (0xdf1a, 0x168), (0xe000, 0x088), (0xe005, 0x050), (0xe088, 0x078), (0xe08b, 0x080), (0xe08c, 0x1b8),
    (0xe08d, 0x1c0), (0xe08e, 0x1c8), (0xe092, 0x0a0), (0xe095, 0x1f8), (0xe108, 0x020), (0xe10a, 0x040),
    (0xe110, 0x0b0), (0xe188, 0x1a0), (0xe189, 0x1b0), (0xe18a, 0x2c0), (0xe18b, 0x2c8), (0xe18c, 0x1d0),
    (0xe18d, 0x1d8), (0xe18e, 0x1e8), (0xe18f, 0x310), (0xe208, 0x240), (0xe293, 0x508), (0xe512, 0x298),
    (0xe515, 0x2b0), (0xe520, 0x930), (0xe521, 0x938), (0xe530, 0x940), (0xe531, 0x948), (0xe532, 0x950),
    (0xe533, 0x958), (0xe534, 0x960), (0xe535, 0x968), (0xe536, 0x970), (0xe537, 0x978), (0xe609, 0x500),
    (0xe640, 0x480), (0xe641, 0x488), (0xe642, 0x490), (0xe643, 0x498), (0xe648, 0x4a0), (0xe649, 0x4a8),
    (0xe64a, 0x4b0), (0xe64b, 0x4b8), (0xe658, 0x4c0), (0xe65f, 0x4c8), (0xe660, 0x400), (0xe661, 0x408),
    (0xe662, 0x410), (0xe663, 0x418), (0xe664, 0x420), (0xe665, 0x428), (0xe666, 0x430), (0xe667, 0x438),
    (0xe668, 0x440), (0xe669, 0x448), (0xe66a, 0x450), (0xe66b, 0x458), (0xe66c, 0x460), (0xe66d, 0x468),
    (0xe66e, 0x470), (0xe66f, 0x478), (0xe682, 0x090), (0xe703, 0x060),
];

/// Encoding of an alias and of what it stands for, ascending.
#[rustfmt::skip]
const ALIASES: &[(u16, u16)] = &[
    (0xac80, 0x8c80), (0xaceb, 0x84eb), (0xe880, 0xc080), (0xe881, 0xc081), (0xe882, 0xc082),
    (0xe883, 0xc083), (0xe890, 0xc090), (0xe891, 0xc091), (0xe893, 0xc093), (0xe896, 0xc096),
    (0xe8a0, 0xc0a0), (0xe8a1, 0xc0a1), (0xe8a2, 0xc0a2), (0xe8a3, 0xc0a3), (0xe900, 0xc100),
    (0xe901, 0xc101), (0xe902, 0xc102), (0xe903, 0xc103), (0xe928, 0xc128), (0xe929, 0xc129),
    (0xe93a, 0xc13a), (0xe93b, 0xc13b), (0xea00, 0xc200), (0xea01, 0xc201), (0xea88, 0xc288),
    (0xea89, 0xc289), (0xea90, 0xc290), (0xeab0, 0xc2b0), (0xeb00, 0xc300), (0xeb05, 0xc305),
    (0xecc8, 0xc4c8), (0xecd3, 0xc4d3), (0xecdb, 0xc4db), (0xed10, 0xc510), (0xed11, 0xc511),
    (0xed12, 0xc512), (0xed13, 0xc513), (0xed14, 0xc514), (0xed18, 0xc518), (0xed19, 0xc519),
    (0xed28, 0xc528), (0xed2c, 0xc52c), (0xee00, 0xc600), (0xee81, 0xc681), (0xee87, 0xc687),
    (0xef08, 0xc708), (0xef10, 0xdf10), (0xef11, 0xdf11), (0xef12, 0xdf12), (0xef18, 0xdf18),
    (0xef19, 0xdf19), (0xef1a, 0xdf1a),
];

#[cfg(test)]
mod tests {
    use super::*;

    const NV: u64 = 1 << 42;
    const NV1: u64 = 1 << 43;
    const NV2: u64 = 1 << 45;

    #[test]
    fn nested_virtualization_redirects_or_traps() {
        use Nested::{Direct, Memory, Register, Trap};
        const CASES: &[(&str, SysRegId, u64, Nested)] = &[
            ("HCR_EL2, no NV", names::HCR_EL2, NV2, Direct),
            ("HCR_EL2, NV", names::HCR_EL2, NV, Trap),
            ("HCR_EL2, NV2", names::HCR_EL2, NV | NV2, Memory(0x78)),
            ("HCR_EL2, NV1 and NV2", names::HCR_EL2, NV | NV1 | NV2, Memory(0x78)),
            ("SCTLR_EL2 is not in memory", names::SCTLR_EL2, NV | NV2, Trap),
            ("ESR_EL2, NV2", names::ESR_EL2, NV | NV2, Register(names::ESR_EL1)),
            ("ESR_EL2, NV", names::ESR_EL2, NV, Trap),
            ("SCTLR_EL12, NV", names::SCTLR_EL12, NV, Trap),
            ("SCTLR_EL12, NV2", names::SCTLR_EL12, NV | NV2, Memory(0x110)),
            ("SCTLR_EL12, NV1 and NV2", names::SCTLR_EL12, NV | NV1 | NV2, Trap),
            ("SCTLR_EL1, NV2", names::SCTLR_EL1, NV | NV2, Direct),
            ("SCTLR_EL1, NV1 and NV2", names::SCTLR_EL1, NV | NV1 | NV2, Memory(0x110)),
            ("SCTLR_EL1, NV1", names::SCTLR_EL1, NV | NV1, Direct),
            ("VBAR_EL1, NV1", names::VBAR_EL1, NV | NV1, Trap),
            ("VBAR_EL1, NV1 and NV2", names::VBAR_EL1, NV | NV1 | NV2, Memory(0x250)),
            ("SP_EL1, NV2", names::SP_EL1, NV | NV2, Memory(0x240)),
            ("TPIDR_EL1", names::TPIDR_EL1, NV | NV1 | NV2, Direct),
        ];
        for (name, id, hcr, want) in CASES {
            assert_eq!(nested(*id, HcrEl2::from_bits(*hcr)), *want, "{name}");
        }
    }

    #[test]
    fn a_host_reaches_its_own_registers_by_the_names_of_el1() {
        assert_eq!(hosted(names::SCTLR_EL1), names::SCTLR_EL2);
        assert_eq!(hosted(names::CPACR_EL1), names::CPTR_EL2);
        assert_eq!(hosted(names::CNTV_CTL_EL0), names::CNTHV_CTL_EL2);
        assert_eq!(hosted(names::SP_EL0), names::SP_EL0);
        assert_eq!(without_alias(names::SCTLR_EL12), Some(names::SCTLR_EL1));
        assert_eq!(without_alias(names::CNTV_CTL_EL02), Some(names::CNTV_CTL_EL0));
        assert_eq!(without_alias(names::SCTLR_EL1), None);
    }
}
