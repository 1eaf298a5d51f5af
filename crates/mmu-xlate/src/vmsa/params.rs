//! The parameters of a walk: what the registers say, read once.

use super::attr::{Attributes, Shareability};
use arm_arch::bits::{bit, field, low8, mask};
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
    /// The attribute bytes.
    pub(super) mair: u64,
    /// Descriptors are big-endian.
    pub(super) big_endian: bool,
    /// Data accesses are cached (`SCTLR_ELx.C`).
    pub(super) data_cached: bool,
    /// Instruction fetches are cached (`SCTLR_ELx.I`).
    pub(super) fetch_cached: bool,
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
        let El1Registers { sctlr, hcr, mair, .. } = *registers;
        let tcr = effective_tcr(registers.tcr, implementation);
        // HCR_EL2.{DC,TGE}: stage 1 behaves as off.
        let default_cacheable = bit(hcr, 12);
        let fetch_cached = bit(sctlr, 12);
        Self {
            on: bit(sctlr, 0) && !default_cacheable && !bit(hcr, 27),
            ranges: [
                Range::low(tcr, registers.ttbr0, implementation),
                Range::high(tcr, registers.ttbr1, implementation),
            ],
            mair,
            big_endian: bit(sctlr, 25),
            data_cached: bit(sctlr, 2),
            fetch_cached,
            wxn: bit(sctlr, 19),
            epan: implementation.pan3 && bit(sctlr, 57),
            cmow: implementation.cmow && bit(sctlr, 32),
            nv1: bit(hcr, 42) && bit(hcr, 43),
            ha: bit(tcr, 39),
            hd: bit(tcr, 39) && bit(tcr, 40),
            pa_bits: u32::from(implementation.pa_bits),
            flat_data: if default_cacheable {
                Attributes::DEFAULT_CACHEABLE
            } else {
                Attributes::DEVICE_NGNRNE
            },
            flat_fetch: if default_cacheable {
                Attributes::DEFAULT_CACHEABLE
            } else if fetch_cached {
                Attributes::FETCH_CACHED
            } else {
                Attributes::FETCH_UNCACHED
            },
        }
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
}

/// Returns `TCR_EL1` with the controls of missing features clear.
const fn effective_tcr(tcr: u64, implementation: &Implementation) -> u64 {
    let mut clear = 0;
    if matches!(implementation.hafdbs, HardwareUpdates::None) {
        clear |= 1 << 39;
    }
    if !matches!(implementation.hafdbs, HardwareUpdates::DirtyState) {
        clear |= 1 << 40;
    }
    if !implementation.hpds {
        clear |= 3 << 41;
    }
    if !implementation.tbid {
        clear |= 3 << 51;
    }
    if !implementation.e0pd {
        clear |= 3 << 55;
    }
    if !implementation.lpa2 {
        clear |= 1 << 59;
    }
    tcr & !clear
}

/// The fields of TCR that belong to one half, brought to one shape.
struct Half {
    txsz: u64,
    epd: bool,
    sh: u64,
    granule: Option<Granule>,
    tbi: bool,
    hpd: bool,
    tbid: bool,
    e0pd: bool,
}

impl Range {
    /// Reads the half of VA bit 55 = 0.
    fn low(tcr: u64, ttbr: u64, implementation: &Implementation) -> Self {
        let half = Half {
            txsz: field(tcr, 5, 0),
            epd: bit(tcr, 7),
            sh: field(tcr, 13, 12),
            granule: match field(tcr, 15, 14) {
                0 => Some(Granule::Size4K),
                1 => Some(Granule::Size64K),
                2 => Some(Granule::Size16K),
                _ => None,
            },
            tbi: bit(tcr, 37),
            hpd: bit(tcr, 41),
            tbid: bit(tcr, 51),
            e0pd: bit(tcr, 55),
        };
        Self::of(&half, tcr, ttbr, implementation)
    }

    /// Reads the half of VA bit 55 = 1.
    fn high(tcr: u64, ttbr: u64, implementation: &Implementation) -> Self {
        let half = Half {
            txsz: field(tcr, 21, 16),
            epd: bit(tcr, 23),
            sh: field(tcr, 29, 28),
            granule: match field(tcr, 31, 30) {
                1 => Some(Granule::Size16K),
                2 => Some(Granule::Size4K),
                3 => Some(Granule::Size64K),
                _ => None,
            },
            tbi: bit(tcr, 38),
            hpd: bit(tcr, 42),
            tbid: bit(tcr, 52),
            e0pd: bit(tcr, 56),
        };
        Self::of(&half, tcr, ttbr, implementation)
    }

    fn of(half: &Half, tcr: u64, ttbr: u64, implementation: &Implementation) -> Self {
        let granule = match half.granule {
            Some(granule) if implementation.has(granule) => granule,
            Some(_) | None => implementation.smallest_granule(),
        };
        let ds = bit(tcr, 59) && granule != Granule::Size64K;
        let iasize = 64u32.saturating_sub(u32::from(low8(half.txsz)));
        let stride = granule.bits().wrapping_sub(3);
        let start = s1_start_level(granule, iasize);
        let first_shift = granule.bits().wrapping_add(stride.wrapping_mul(start.remaining()));
        let output = output_size(field(tcr, 34, 32), granule, implementation);
        let beyond = !mask(output);
        let first_bits = iasize.saturating_sub(first_shift);
        let base = table_base(ttbr, granule, ds, first_bits, field(tcr, 34, 32), implementation);
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
            sh: Shareability::decode(half.sh),
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
const fn txsz_is_valid(txsz: u64, granule: Granule, ds: bool, implementation: &Implementation) -> bool {
    let largest = match granule {
        _ if !implementation.ttst => 39,
        Granule::Size4K | Granule::Size16K => 48,
        Granule::Size64K => 47,
    };
    let wide = ds || matches!(granule, Granule::Size64K) && implementation.lva;
    txsz <= largest && txsz >= if wide { 12 } else { 16 }
}

/// Returns the output address bits. Arm ARM, AArch64.PhysicalAddressSize.
fn output_size(ips: u64, granule: Granule, implementation: &Implementation) -> u32 {
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
    ttbr: u64,
    granule: Granule,
    ds: bool,
    first_bits: u32,
    ips: u64,
    implementation: &Implementation,
) -> u64 {
    let wide = ds || granule == Granule::Size64K && implementation.lpa && ips >= 6;
    let size_log2 = first_bits.wrapping_add(3).max(if wide { 6 } else { 0 });
    let low = ttbr & mask(48) & !mask(size_log2);
    if wide { low | field(ttbr, 5, 2) << 48 } else { low & !1 }
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
