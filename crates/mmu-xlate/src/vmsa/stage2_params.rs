//! The parameters of stage 2: what the registers say, read once.

use super::attr::Shareability;
use super::geometry::{Quick, Range, Shape, tg0};
use super::implementation::Implementation;
use super::params::Effective;
use super::perm::Permissions;
use super::registers::{Registers, Space};
use super::stage2;
use arm_arch::Granule;
use arm_arch::bits::{trunc32, trunc64, zext8};
use arm_arch::sysreg::{SctlrEl1, VstcrEl2, VtcrEl2, VttbrEl2};

/// What a stage 2 walk goes by. Holding one means that no register is read again. Arm ARM, S2TTWParams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage2 {
    /// The tables of the security state's own addresses, and in Secure state those of Non-secure ones.
    pub(super) tables: [Tables; 2],
    /// The short way to a table of stage 1: as of the first, to what may be read.
    pub(super) quick_to_tables: Quick,
    /// The security state.
    pub(super) state: Space,
    /// Descriptors are big-endian (`SCTLR_EL2.EE`).
    pub(super) big_endian: bool,
    /// `HCR_EL2.PTW`: stage 1 tables in Device memory fault.
    pub(super) ptw: bool,
    /// `HCR_EL2.FWB`.
    pub(super) fwb: bool,
    /// `HCR_EL2.CD`.
    pub(super) cd: bool,
    /// `HCR_EL2.ID`.
    pub(super) id: bool,
    /// `HCRX_EL2.CMOW`.
    pub(super) cmow: bool,
    /// FEAT_XNX.
    pub(super) xnx: bool,
    /// The direct permissions of each leaf: by S2AP in bits 1:0, XN in bits 3:2.
    pub(super) direct: [Permissions; 16],
    /// What of the permissions of stage 1 each leaf leaves.
    pub(super) held: [Permissions; 16],
    /// How to know at once a leaf that leaves the memory type of stage 1 as it is: these bits are those of
    /// [`Self::transparent`].
    pub(super) transparent_mask: u64,
    /// See [`Self::transparent_mask`]; what never matches where the cache controls have a say.
    pub(super) transparent: u64,
    /// FEAT_XS.
    pub(super) xs: bool,
    /// FEAT_MTE_PERM.
    pub(super) mte_perm: bool,
    /// `VTCR_EL2.HA`, effective.
    pub(super) ha: bool,
    /// `VTCR_EL2.HD`, effective.
    pub(super) hd: bool,
    /// Permissions are indirect.
    pub(super) pie: bool,
    /// Permissions have an overlay.
    pub(super) poe: bool,
    /// `S2PIR_EL2`.
    pub(super) pir: u64,
    /// `S2POR_EL1`.
    pub(super) por: u64,
    /// `VTCR_EL2.AssuredOnly`.
    pub(super) assured_only: bool,
    /// `VTCR_EL2.TL0`.
    pub(super) tl0: bool,
    /// `VTCR_EL2.TL1`.
    pub(super) tl1: bool,
    /// `VTTBR_EL2.VMID`.
    pub(super) vmid: u16,
}

/// The tables of one intermediate address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tables {
    pub(super) range: Range,
    /// Where the tables lie.
    pub(super) walk_space: Space,
    /// Where they lead.
    pub(super) output_space: Space,
}

impl Stage2 {
    /// Reads the parameters of stage 2; `None` where the EL1&0 regime has none: without EL2, or with
    /// `HCR_EL2.VM` and `DC` 0. Arm ARM, AArch64.GetS2TTWParams.
    #[must_use]
    pub fn new(registers: &Registers, implementation: &Implementation) -> Option<Self> {
        let effective = Effective::of(registers, implementation);
        if !effective.el2 || !(effective.hcr.vm() || effective.hcr.dc()) {
            return None;
        }
        let vtcr = effective_vtcr(VtcrEl2::from_bits(registers.vtcr_el2), implementation);
        let vstcr = VstcrEl2::from_bits(registers.vstcr_el2);
        let pie = vtcr.s2pie() || vtcr.d128();
        let state = effective.state;
        let big_endian = SctlrEl1::from_bits(registers.el2.sctlr).ee();
        let plain = state == Space::NonSecure
            && !(pie || big_endian || effective.hcr.ptw() || implementation.mte_perm)
            && !(vtcr.tl0() || vtcr.tl1() || vtcr.assured_only());
        let dirty = vtcr.ha() && vtcr.hd();
        let uncached = effective.hcr.cd() || effective.hcr.id();
        let (transparent_mask, transparent) =
            stage2::transparent(effective.hcr.fwb(), implementation.xs, uncached);
        let tables = tables(registers, vtcr, vstcr, state, implementation)
            .map(|tables| Tables { range: tables.range.quickened(plain, dirty, 0), ..tables });
        let [own, _] = &tables;
        Some(Self {
            quick_to_tables: own.range.quick_way.with(stage2::READABLE),
            tables,
            state,
            big_endian,
            ptw: effective.hcr.ptw(),
            fwb: effective.hcr.fwb(),
            cd: effective.hcr.cd(),
            id: effective.hcr.id(),
            cmow: implementation.cmow && effective.hcrx.cmow(),
            xnx: implementation.xnx,
            direct: stage2::directs(implementation.xnx),
            held: stage2::directs(implementation.xnx)
                .map(|direct| stage2::with_gcs(direct).union(Permissions::UNDER_PAN)),
            transparent_mask,
            transparent,
            xs: implementation.xs,
            mte_perm: implementation.mte_perm,
            ha: vtcr.ha(),
            hd: dirty,
            pie,
            // S2POE counts with indirect permissions only. Arm ARM, VTCR_EL2.S2POE.
            poe: pie && vtcr.s2poe(),
            pir: registers.s2pir_el2,
            por: registers.s2por_el1,
            assured_only: vtcr.assured_only(),
            tl0: vtcr.tl0(),
            tl1: vtcr.tl1(),
            vmid: vmid(registers.vttbr_el2, vtcr),
        })
    }

    /// Whether descriptors have 128 bits.
    #[must_use]
    pub const fn is_wide(&self) -> bool {
        let [own, _] = &self.tables;
        own.range.d128
    }

    /// Returns the tables for addresses of a space.
    #[inline]
    pub(super) const fn tables(&self, space: Space) -> &Tables {
        let [own, non_secure] = &self.tables;
        match (self.state, space) {
            (Space::Secure, Space::NonSecure) => non_secure,
            _ => own,
        }
    }
}

/// Returns the VMID; 8 bits unless `VTCR_EL2.VS`.
const fn vmid(vttbr: u128, vtcr: VtcrEl2) -> u16 {
    let vmid = VttbrEl2::from_bits(trunc64(vttbr)).vmid();
    if vtcr.vs() { vmid } else { vmid & 0xff }
}

/// Returns `VTCR_EL2` with the controls of missing features clear.
const fn effective_vtcr(vtcr: VtcrEl2, implementation: &Implementation) -> VtcrEl2 {
    vtcr.with_ha(vtcr.ha() && implementation.has_access_flag())
        .with_hd(vtcr.hd() && implementation.has_dirty_state())
        .with_haft(vtcr.haft() && implementation.has_haft())
        .with_ds(vtcr.ds() && implementation.lpa2)
        .with_d128(vtcr.d128() && implementation.d128)
        .with_s2pie(vtcr.s2pie() && implementation.s2pie)
        .with_s2poe(vtcr.s2poe() && implementation.s2poe)
        .with_assured_only(vtcr.assured_only() && implementation.the)
        .with_tl0(vtcr.tl0() && implementation.the)
        .with_tl1(vtcr.tl1() && implementation.the)
}

fn tables(
    registers: &Registers,
    vtcr: VtcrEl2,
    vstcr: VstcrEl2,
    state: Space,
    implementation: &Implementation,
) -> [Tables; 2] {
    let non_secure = Control { txsz: vtcr.t0sz(), sl0: vtcr.sl0(), sl2: vtcr.sl2(), tg0: vtcr.tg0() };
    let range = |control: Control, ttbr| control.range(vtcr, ttbr, implementation);
    if state != Space::Secure {
        let tables =
            Tables { range: range(non_secure, registers.vttbr_el2), walk_space: state, output_space: state };
        return [tables, tables];
    }
    let secure = Control { txsz: vstcr.t0sz(), sl0: vstcr.sl0(), sl2: vstcr.sl2(), tg0: vstcr.tg0() };
    let space = |ns| if ns { Space::NonSecure } else { Space::Secure };
    // SA behaves as 1 with SW 1; NSW with SW 1; NSA with any of the others. Arm ARM, VSTCR_EL2.SA,
    // VTCR_EL2.NSW, VTCR_EL2.NSA.
    let sw = vstcr.sw();
    let sa = vstcr.sa() || sw;
    let nsw = vtcr.nsw() || sw;
    let nsa = vtcr.nsa() || sa || nsw;
    [
        Tables {
            range: range(secure, registers.vsttbr_el2.into()),
            walk_space: space(sw),
            output_space: space(sa),
        },
        Tables {
            range: range(non_secure, registers.vttbr_el2),
            walk_space: space(nsw),
            output_space: space(nsa),
        },
    ]
}

/// What VTCR_EL2 and VSTCR_EL2 have each for themselves.
#[derive(Clone, Copy)]
struct Control {
    txsz: u8,
    sl0: u8,
    sl2: bool,
    tg0: u8,
}

impl Control {
    fn range(self, vtcr: VtcrEl2, ttbr: u128, implementation: &Implementation) -> Range {
        let granule = implementation.granule(tg0(self.tg0));
        let d128 = vtcr.d128();
        let shape = Shape {
            implementation,
            granule,
            ds: vtcr.ds() && !d128 && granule != Granule::Size64K,
            d128,
            txsz: self.txsz,
            ps: vtcr.ps(),
            ttbr,
        };
        let depth = if d128 {
            shape.natural_depth().checked_sub(shape.skipped())
        } else {
            self.depth(&shape).filter(|depth| is_consistent(&shape, *depth))
        };
        let valid = shape.is_valid_at_stage_2() && depth.is_some();
        let range = shape.range(depth.unwrap_or(0), valid, vtcr.haft() && vtcr.ha());
        Range { sh: Shareability::decode(zext8(vtcr.sh0())), ..range }
    }

    /// Returns the levels below the first, as SL0 and SL2 say; `None` where they say nothing valid.
    /// Arm ARM, AArch64.S2StartLevel, AArch64.S2InvalidSL.
    fn depth(self, shape: &Shape<'_>) -> Option<u32> {
        let sl = trunc32(zext8(self.sl0));
        let pa_bits = shape.implementation.pa_bits;
        match (shape.granule, sl) {
            (Granule::Size4K, 0) if self.sl2 && shape.ds => Some(4),
            (Granule::Size4K, _) if self.sl2 && shape.ds => None,
            (Granule::Size4K, 3) => shape.implementation.ttst.then_some(0),
            (Granule::Size4K, 2) => (pa_bits >= 44).then_some(3),
            (Granule::Size4K, _) => sl.checked_add(1),
            (Granule::Size16K, 3) => shape.ds.then_some(3),
            (Granule::Size16K, 2) => (pa_bits >= 42).then_some(2),
            (Granule::Size64K, 3) => None,
            (Granule::Size64K, 2) => (pa_bits >= 44).then_some(2),
            (Granule::Size16K | Granule::Size64K, _) => Some(sl),
        }
    }
}

/// Whether the input size fits the start level: at least one index bit of the first table, at most
/// sixteen tables concatenated. Arm ARM, AArch64.S2InconsistentSL.
fn is_consistent(shape: &Shape<'_>, depth: u32) -> bool {
    let stride = shape.stride();
    let least = stride.wrapping_mul(depth).wrapping_add(shape.granule.bits()).wrapping_add(1);
    let most = least.wrapping_add(stride).wrapping_add(3);
    (least..=most).contains(&shape.iasize())
}
