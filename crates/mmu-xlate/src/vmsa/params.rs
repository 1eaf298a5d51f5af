//! The parameters of a walk: what the registers say, read once.

use super::attr::{self, Attributes, Shareability};
use arm_arch::bits::{bit, field, mask};
use arm_arch::sysreg::{HcrEl2, SctlrEl1, TcrEl1, TtbrEl1};
use arm_arch::{FaultStatus, Granule, Level};

/// Hardware management of the access flag and dirty state. Arm ARM, ID_AA64MMFR1_EL1.HAFDBS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HardwareUpdates {
    /// Neither.
    None,
    /// The access flag.
    AccessFlag,
    /// The access flag and dirty state.
    DirtyState,
}

/// What the implementation has of the translation system, as its ID registers announce it.
///
/// A control bit of something that is not there is RES0, and reads as 0 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Implementation {
    /// Physical address bits, ID_AA64MMFR0_EL1.PARange: 32 to 52.
    pub pa_bits: u8,
    /// 4 KiB granule.
    pub granule_4k: bool,
    /// 16 KiB granule.
    pub granule_16k: bool,
    /// 64 KiB granule.
    pub granule_64k: bool,
    /// FEAT_TTST: small translation tables.
    pub ttst: bool,
    /// FEAT_LVA: 52-bit virtual addresses with the 64 KiB granule.
    pub lva: bool,
    /// FEAT_LPA: 52-bit physical addresses with the 64 KiB granule.
    pub lpa: bool,
    /// FEAT_LPA2: 52-bit addresses with the 4 KiB and 16 KiB granules.
    pub lpa2: bool,
    /// FEAT_HPDS: hierarchical permissions can be disabled.
    pub hpds: bool,
    /// FEAT_HAFDBS.
    pub hafdbs: HardwareUpdates,
    /// FEAT_PAN3: `SCTLR_EL1.EPAN`.
    pub pan3: bool,
    /// FEAT_E0PD.
    pub e0pd: bool,
    /// FEAT_PAuth: `TCR_EL1.TBID`.
    pub tbid: bool,
    /// FEAT_CMOW: `SCTLR_EL1.CMOW`.
    pub cmow: bool,
}

impl Implementation {
    /// Armv8.0 with all granules and 48-bit addresses.
    pub const ARMV8_0: Self = Self {
        pa_bits: 48,
        granule_4k: true,
        granule_16k: true,
        granule_64k: true,
        ttst: false,
        lva: false,
        lpa: false,
        lpa2: false,
        hpds: false,
        hafdbs: HardwareUpdates::None,
        pan3: false,
        e0pd: false,
        tbid: false,
        cmow: false,
    };

    /// Everything this version models, with 52-bit addresses.
    pub const ALL: Self = Self {
        pa_bits: 52,
        granule_4k: true,
        granule_16k: true,
        granule_64k: true,
        ttst: true,
        lva: true,
        lpa: true,
        lpa2: true,
        hpds: true,
        hafdbs: HardwareUpdates::DirtyState,
        pan3: true,
        e0pd: true,
        tbid: true,
        cmow: true,
    };

    const fn has(&self, granule: Granule) -> bool {
        match granule {
            Granule::Size4K => self.granule_4k,
            Granule::Size16K => self.granule_16k,
            Granule::Size64K => self.granule_64k,
        }
    }

    /// Returns the granule meant by a reserved or unimplemented TG encoding.
    ///
    /// CHOICE: the smallest implemented one (the architecture: some implemented granule).
    const fn smallest_granule(&self) -> Granule {
        if self.granule_4k {
            Granule::Size4K
        } else if self.granule_16k {
            Granule::Size16K
        } else {
            Granule::Size64K
        }
    }
}

/// The registers that stage 1 of the EL1&0 regime reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct El1Registers {
    /// `SCTLR_EL1`.
    pub sctlr: u64,
    /// `TCR_EL1`.
    pub tcr: u64,
    /// `TTBR0_EL1`.
    pub ttbr0: u64,
    /// `TTBR1_EL1`.
    pub ttbr1: u64,
    /// `MAIR_EL1`.
    pub mair: u64,
    /// `HCR_EL2` as it is effective; 0 without EL2.
    pub hcr: u64,
}

/// What a walk of one translation regime goes by. Holding one means that no register is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Stage 1 translates; otherwise [`Self::flat_data`] and [`Self::flat_fetch`] hold.
    pub(super) on: bool,
    /// By VA bit 55.
    pub(super) ranges: [Range; 2],
    /// The attribute bytes, cache controls and kind of access applied: \[data, fetch\].
    pub(super) mair: [u64; 2],
    /// Descriptors are big-endian.
    pub(super) big_endian: bool,
    /// `SCTLR_ELx.WXN`.
    pub(super) wxn: bool,
    /// `SCTLR_ELx.EPAN`.
    pub(super) epan: bool,
    /// `SCTLR_ELx.CMOW`.
    pub(super) cmow: bool,
    /// `HCR_EL2.{NV,NV1}` is {1,1}.
    pub(super) nv1: bool,
    /// `TCR_ELx.HA`, effective.
    pub(super) ha: bool,
    /// `TCR_ELx.HD`, effective.
    pub(super) hd: bool,
    /// Physical address bits.
    pub(super) pa_bits: u32,
    /// Data accesses with stage 1 off.
    pub(super) flat_data: Attributes,
    /// Instruction fetches with stage 1 off.
    pub(super) flat_fetch: Attributes,
}

/// How a descriptor spells an output address beyond 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressForm {
    /// Not at all.
    Bits48,
    /// 64 KiB granule with FEAT_LPA: bits 15:12 are OA\[51:48\].
    Lpa,
    /// `TCR_ELx.DS`: bits 49:48 are OA\[49:48\], bits 9:8 are OA\[51:50\].
    Lpa2,
}

/// One half of the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// Every walk ends in this: TxSZ out of range, EPD, or a table base beyond the output size.
    pub(super) fault: Option<FaultStatus>,
    /// Input address bits, 64 − TxSZ.
    pub(super) iasize: u32,
    /// Top bits that are not looked at, 0 or 8: \[data, fetch\].
    pub(super) ignored: [u32; 2],
    /// EL0 has no access (`TCR_ELx.E0PD`).
    pub(super) e0pd: bool,
    /// Address of the first table.
    pub(super) base: u64,
    /// Level of the first table.
    pub(super) start: Level,
    /// Levels below it.
    pub(super) remaining: u32,
    /// Address bits of a table descriptor, as far as they are in place.
    pub(super) table_address: u64,
    /// Lowest input address bit that the first table resolves.
    pub(super) first_shift: u32,
    /// Index bits of the first table.
    pub(super) first_mask: u64,
    /// The granule.
    pub(super) granule: Granule,
    /// Address form of descriptors.
    pub(super) form: AddressForm,
    /// Address bits beyond the output size.
    pub(super) beyond: u64,
    /// Levels above 3 at which a block is allowed, a bit for each level number.
    pub(super) blocks: u8,
    /// Bits of table descriptors that count for permissions; 0 with `TCR_ELx.HPD`.
    pub(super) hierarchy: u64,
    /// Shareability where the descriptor has no SH field (`TCR_ELx.DS`).
    pub(super) sh: Shareability,
}

impl Params {
    /// Reads the parameters of stage 1 of the EL1&0 regime. Arm ARM, AArch64.GetS1TTWParams.
    #[must_use]
    pub fn el1(registers: &El1Registers, implementation: &Implementation) -> Self {
        let sctlr = SctlrEl1::from_bits(registers.sctlr);
        let hcr = HcrEl2::from_bits(registers.hcr);
        let tcr = effective_tcr(TcrEl1::from_bits(registers.tcr), implementation);
        let (flat_data, flat_fetch) = if hcr.dc() {
            (Attributes::DEFAULT_CACHEABLE, Attributes::DEFAULT_CACHEABLE)
        } else if sctlr.i() {
            (Attributes::DEVICE_NGNRNE, Attributes::FETCH_CACHED)
        } else {
            (Attributes::DEVICE_NGNRNE, Attributes::FETCH_UNCACHED)
        };
        Self {
            on: sctlr.m() && !hcr.dc() && !hcr.tge(),
            ranges: [
                Range::of(&Half::low(tcr, registers.ttbr0), tcr, implementation),
                Range::of(&Half::high(tcr, registers.ttbr1), tcr, implementation),
            ],
            mair: [attr::data(registers.mair, sctlr.c()), attr::fetch(registers.mair, sctlr.i())],
            big_endian: sctlr.ee(),
            wxn: sctlr.wxn(),
            epan: implementation.pan3 && sctlr.epan(),
            cmow: implementation.cmow && sctlr.cmow(),
            nv1: hcr.nv() && hcr.nv1(),
            ha: tcr.ha(),
            hd: tcr.ha() && tcr.hd(),
            pa_bits: u32::from(implementation.pa_bits),
            flat_data,
            flat_fetch,
        }
    }

    /// The controls that direct permissions depend on: WXN, EPAN.
    #[inline]
    pub(super) const fn permission_controls(&self) -> u8 {
        let wxn = if self.wxn { 1 } else { 0 };
        if self.epan { wxn | 2 } else { wxn }
    }

    /// Whether stage 1 translates at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Returns the granule of the half of the address space that `va` bit 55 names.
    #[must_use]
    pub const fn granule(&self, va: arm_arch::Va) -> Granule {
        let [low, high] = &self.ranges;
        if bit(va.bits(), 55) { high.granule } else { low.granule }
    }

    /// Returns the level of the first descriptor that a walk for `va` loads. Each further load is one
    /// level below: a memory that counts its loads knows the level of the one that it could not do.
    #[must_use]
    pub const fn start_level(&self, va: arm_arch::Va) -> Level {
        let [low, high] = &self.ranges;
        if bit(va.bits(), 55) { high.start } else { low.start }
    }
}

/// Returns `TCR_EL1` with the controls of missing features clear.
const fn effective_tcr(tcr: TcrEl1, implementation: &Implementation) -> TcrEl1 {
    let Implementation { hpds, tbid, e0pd, lpa2, .. } = *implementation;
    let ha = !matches!(implementation.hafdbs, HardwareUpdates::None);
    let hd = matches!(implementation.hafdbs, HardwareUpdates::DirtyState);
    tcr.with_ha(tcr.ha() && ha)
        .with_hd(tcr.hd() && hd)
        .with_hpd0(tcr.hpd0() && hpds)
        .with_hpd1(tcr.hpd1() && hpds)
        .with_tbid0(tcr.tbid0() && tbid)
        .with_tbid1(tcr.tbid1() && tbid)
        .with_e0pd0(tcr.e0pd0() && e0pd)
        .with_e0pd1(tcr.e0pd1() && e0pd)
        .with_ds(tcr.ds() && lpa2)
}

/// The fields that belong to one half of the address space, brought to one shape.
struct Half {
    ttbr: TtbrEl1,
    txsz: u8,
    epd: bool,
    sh: u8,
    granule: Option<Granule>,
    tbi: bool,
    hpd: bool,
    tbid: bool,
    e0pd: bool,
}

impl Half {
    /// Reads the half of VA bit 55 = 0.
    const fn low(tcr: TcrEl1, ttbr: u64) -> Self {
        Self {
            ttbr: TtbrEl1::from_bits(ttbr),
            txsz: tcr.t0sz(),
            epd: tcr.epd0(),
            sh: tcr.sh0(),
            granule: match tcr.tg0() {
                0 => Some(Granule::Size4K),
                1 => Some(Granule::Size64K),
                2 => Some(Granule::Size16K),
                _ => None,
            },
            tbi: tcr.tbi0(),
            hpd: tcr.hpd0(),
            tbid: tcr.tbid0(),
            e0pd: tcr.e0pd0(),
        }
    }

    /// Reads the half of VA bit 55 = 1.
    const fn high(tcr: TcrEl1, ttbr: u64) -> Self {
        Self {
            ttbr: TtbrEl1::from_bits(ttbr),
            txsz: tcr.t1sz(),
            epd: tcr.epd1(),
            sh: tcr.sh1(),
            granule: match tcr.tg1() {
                1 => Some(Granule::Size16K),
                2 => Some(Granule::Size4K),
                3 => Some(Granule::Size64K),
                _ => None,
            },
            tbi: tcr.tbi1(),
            hpd: tcr.hpd1(),
            tbid: tcr.tbid1(),
            e0pd: tcr.e0pd1(),
        }
    }
}

impl Range {
    fn of(half: &Half, tcr: TcrEl1, implementation: &Implementation) -> Self {
        let granule = match half.granule {
            Some(granule) if implementation.has(granule) => granule,
            Some(_) | None => implementation.smallest_granule(),
        };
        let ds = tcr.ds() && granule != Granule::Size64K;
        let iasize = 64u32.saturating_sub(u32::from(half.txsz));
        let stride = granule.bits().wrapping_sub(3);
        let start = s1_start_level(granule, iasize);
        let first_shift = granule.bits().wrapping_add(stride.wrapping_mul(start.remaining()));
        let output = output_size(tcr.ips(), granule, implementation);
        let beyond = !mask(output);
        let first_bits = iasize.saturating_sub(first_shift);
        let base = table_base(half.ttbr, granule, ds, first_bits, tcr.ips(), implementation);
        let fault = if half.epd || !txsz_is_valid(half.txsz, granule, ds, implementation) {
            Some(FaultStatus::Translation(Level::L0))
        } else if base & beyond != 0 {
            Some(FaultStatus::AddressSize(Level::L0))
        } else {
            None
        };
        Self {
            fault,
            iasize,
            ignored: [if half.tbi { 8 } else { 0 }, if half.tbi && !half.tbid { 8 } else { 0 }],
            e0pd: half.e0pd,
            base,
            start,
            remaining: start.remaining(),
            table_address: mask(48) & !granule.offset_mask(),
            first_shift,
            first_mask: mask(first_bits),
            granule,
            form: match granule {
                Granule::Size64K if implementation.lpa => AddressForm::Lpa,
                Granule::Size4K | Granule::Size16K if ds => AddressForm::Lpa2,
                Granule::Size4K | Granule::Size16K | Granule::Size64K => AddressForm::Bits48,
            },
            beyond,
            blocks: block_levels(granule, ds, implementation),
            hierarchy: if half.hpd { 0 } else { 0b1111 << 59 },
            sh: Shareability::decode(u64::from(half.sh)),
        }
    }
}

/// Returns the level of the first table. Arm ARM, AArch64.S1StartLevel.
const fn s1_start_level(granule: Granule, iasize: u32) -> Level {
    let stride = granule.bits().wrapping_sub(3);
    let above = iasize.saturating_sub(1).saturating_sub(granule.bits());
    match above.checked_div(stride) {
        Some(0) | None => Level::L3,
        Some(1) => Level::L2,
        Some(2) => Level::L1,
        Some(3) => Level::L0,
        Some(_) => Level::Minus1,
    }
}

/// Whether TxSZ is within its limits. Arm ARM, AArch64.S1TxSZFaults.
///
/// CHOICE: out of range is a fault, never a clamp to the limit.
const fn txsz_is_valid(txsz: u8, granule: Granule, ds: bool, implementation: &Implementation) -> bool {
    let largest = match granule {
        _ if !implementation.ttst => 39,
        Granule::Size4K | Granule::Size16K => 48,
        Granule::Size64K => 47,
    };
    let wide = ds || matches!(granule, Granule::Size64K) && implementation.lva;
    txsz <= largest && txsz >= if wide { 12 } else { 16 }
}

/// Returns the output address bits. Arm ARM, AArch64.PhysicalAddressSize.
fn output_size(ips: u8, granule: Granule, implementation: &Implementation) -> u32 {
    let wanted = match ips {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        5 => 48,
        _ => 52,
    };
    let wide = match granule {
        Granule::Size64K => implementation.lpa,
        Granule::Size4K | Granule::Size16K => implementation.lpa2,
    };
    wanted.min(if wide { 52 } else { 48 }).min(u32::from(implementation.pa_bits))
}

/// Returns the address of the first table: the low bits below its size are not looked at. Arm ARM,
/// TTBR0_EL1.BADDR, AArch64.S1TTBaseAddress.
fn table_base(
    ttbr: TtbrEl1,
    granule: Granule,
    ds: bool,
    first_bits: u32,
    ips: u8,
    implementation: &Implementation,
) -> u64 {
    let wide = ds || granule == Granule::Size64K && implementation.lpa && ips >= 6;
    let size_log2 = first_bits.wrapping_add(3).max(if wide { 6 } else { 0 });
    let low = ttbr.base() & !mask(size_log2);
    // In the wide form bits 5:2 are address bits 51:48.
    if wide { low | field(ttbr.into_bits(), 5, 2) << 48 } else { low }
}

/// Returns the levels at which blocks are allowed, a bit for each. Arm ARM, AArch64.BlocknTFaults and
/// D8.3.1.
const fn block_levels(granule: Granule, ds: bool, implementation: &Implementation) -> u8 {
    match granule {
        Granule::Size4K if ds => 0b111,
        Granule::Size4K => 0b110,
        Granule::Size16K if ds => 0b110,
        Granule::Size16K => 0b100,
        Granule::Size64K if implementation.lpa && implementation.pa_bits >= 52 => 0b110,
        Granule::Size64K => 0b100,
    }
}
