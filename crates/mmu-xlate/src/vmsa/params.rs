//! The parameters of stage 1: what the registers say, read once.

use super::attr::{self, Attributes, Shareability};
use super::geometry::{Range, Shape, tg0, tg1};
use super::implementation::Implementation;
use super::perm::{self, Permissions};
use super::registers::{El1Registers, Regime, Registers, Space, Stage1Registers};
use super::rule::Rule;
use arm_arch::bits::{bit, mask, trunc64};
use arm_arch::sysreg::{HcrEl2, HcrxEl2, ScrEl3, SctlrEl1, Tcr2, TcrEl1, TcrEl2, TcrEl3, TtbrEl1};
use arm_arch::{FaultStatus, Granule, Level};

/// What a stage 1 walk of one translation regime goes by. Holding one means that no register is read
/// again. Arm ARM, S1TTWParams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Stage 1 translates; otherwise [`Self::flat_data`] and [`Self::flat_fetch`] hold.
    pub(super) on: bool,
    /// By VA bit 55; both alike where there is one range.
    pub(super) ranges: [Range; 2],
    /// What the bits above the upper range are: ones, or zeros where there is one range.
    pub(super) high_sign: u64,
    /// The attribute bytes of MAIR, cache controls and kind of access applied: \[data, fetch\].
    pub(super) mair: [u64; 2],
    /// The same of MAIR2; `None` without `TCR2_ELx.AIE`.
    pub(super) mair2: Option<[u64; 2]>,
    /// The attributes of each byte of MAIR with each SH, for the short way: \[data, fetch\].
    pub(super) attributes: [[Attributes; 32]; 2],
    /// The direct permissions of each leaf: by AP\[1\], AP\[2\], PXN and UXN from bit 0 on.
    pub(super) direct: [Permissions; 16],
    /// Descriptors are big-endian.
    pub(super) big_endian: bool,
    /// `SCTLR_ELx.WXN`.
    pub(super) wxn: bool,
    /// `SCTLR_ELx.EPAN`.
    pub(super) epan: bool,
    /// `SCTLR_ELx.CMOW`.
    pub(super) cmow: bool,
    /// EL0 has permissions of its own.
    pub(super) unprivileged: bool,
    /// `HCR_EL2.{NV,NV1}` is {1,1}.
    pub(super) nv1: bool,
    /// `TCR_ELx.HA`, effective.
    pub(super) ha: bool,
    /// `TCR_ELx.HD`, effective.
    pub(super) hd: bool,
    /// Permissions need more than the direct tables: indirection, overlays, address spaces.
    pub(super) extended: bool,
    /// Permissions are indirect (`TCR2_ELx.PIE`, or D128).
    pub(super) pie: bool,
    /// Privileged permissions have an overlay.
    pub(super) poe: bool,
    /// Permissions of EL0 have an overlay.
    pub(super) e0poe: bool,
    /// Bit 52 is Protected (`TCR2_ELx.PnCH`).
    pub(super) pnch: bool,
    /// `SCR_EL3.SIF`, or its like in Root and Realm: no execution from other spaces.
    pub(super) sif: bool,
    /// `PIR_ELx`.
    pub(super) pir: u64,
    /// `PIRE0_ELx`.
    pub(super) pire0: u64,
    /// `POR_ELx`.
    pub(super) por: u64,
    /// `POR_EL0`.
    pub(super) por_el0: u64,
    /// The address space of tables and output, as far as descriptors do not say otherwise.
    pub(super) space: Space,
    /// The regime.
    pub(super) regime: Regime,
    /// Physical address bits.
    pub(super) pa_bits: u32,
    /// Data accesses with stage 1 off.
    pub(super) flat_data: Attributes,
    /// Instruction fetches with stage 1 off.
    pub(super) flat_fetch: Attributes,
}

impl Params {
    /// Reads the parameters of stage 1 of the EL1&0 regime from the registers of Armv8.0.
    #[must_use]
    pub fn el1(registers: &El1Registers, implementation: &Implementation) -> Self {
        // The registers of the other regimes, which are many, need not be there.
        let effective = Effective::with([El1Registers::SCR_EL3, registers.hcr, 0], implementation);
        Self::of(Regime::El1And0, &Stage1Registers::from(registers), 0, &effective, implementation)
    }

    /// Reads the parameters of stage 1. Arm ARM, AArch64.GetS1TTWParams.
    #[must_use]
    pub fn new(regime: Regime, registers: &Registers, implementation: &Implementation) -> Self {
        let own = match regime {
            Regime::El1And0 => &registers.el1,
            Regime::El2And0 | Regime::El2 => &registers.el2,
            Regime::El3 => &registers.el3,
        };
        let effective = Effective::of(registers, implementation);
        Self::of(regime, own, registers.por_el0, &effective, implementation)
    }

    /// Reads the parameters from the registers of the regime and the controls above it.
    fn of(
        regime: Regime,
        own: &Stage1Registers,
        por_el0: u64,
        effective: &Effective,
        implementation: &Implementation,
    ) -> Self {
        let sctlr = SctlrEl1::from_bits(own.sctlr);
        let control = Control::of(regime, own, effective, implementation);
        let guest = regime == Regime::El1And0;
        let dc = guest && effective.hcr.dc();
        let (wxn, epan) = (sctlr.wxn(), implementation.pan3 && sctlr.epan());
        let (flat_data, flat_fetch) = if dc && effective.hcr.dct() && implementation.mte2 {
            (Attributes::DEFAULT_TAGGED, Attributes::DEFAULT_TAGGED)
        } else if dc {
            (Attributes::DEFAULT_CACHEABLE, Attributes::DEFAULT_CACHEABLE)
        } else if sctlr.i() {
            (Attributes::DEVICE_NGNRNE, Attributes::FETCH_CACHED)
        } else {
            (Attributes::DEVICE_NGNRNE, Attributes::FETCH_UNCACHED)
        };
        let nv1 = guest && effective.hcr.nv() && effective.hcr.nv1();
        let pie = control.tcr2.pie() || control.tcr2.d128();
        let unprivileged = regime.has_unprivileged();
        let poe = control.tcr2.poe();
        let e0poe = control.tcr2.e0poe() && unprivileged && !nv1;
        let space = effective.space(regime, implementation);
        let mair = |value| {
            let value = attr::known(value, implementation.mte2);
            [attr::data(value, sctlr.c()), attr::fetch(value, sctlr.i())]
        };
        let secure = space == Space::Secure;
        let canonical = implementation.mte_canonical_tags && (control.low.mtx || control.high.mtx);
        let on = sctlr.m() && !(guest && (dc || effective.hcr.tge()));
        let extended = pie || poe || e0poe || nv1 || !unprivileged || canonical || space != Space::NonSecure;
        let range = |half: &Half| {
            let range = control.range(half, on, secure, implementation);
            let plain =
                !(range.special || extended || sctlr.ee() || control.tcr2.pnch() || control.tcr2.aie());
            range.quickened(plain, control.ha && control.hd, control.asid)
        };
        Self {
            on,
            ranges: [range(&control.low), range(&control.high)],
            high_sign: if unprivileged { u64::MAX } else { 0 },
            mair: mair(own.mair),
            attributes: mair(own.mair).map(Attributes::all),
            direct: perm::directs(wxn, epan),
            mair2: control.tcr2.aie().then(|| mair(own.mair2)),
            big_endian: sctlr.ee(),
            wxn,
            epan,
            cmow: implementation.cmow && sctlr.cmow(),
            unprivileged,
            nv1,
            ha: control.ha,
            hd: control.ha && control.hd,
            extended,
            pie,
            poe,
            e0poe,
            pnch: control.tcr2.pnch(),
            sif: match space {
                Space::NonSecure => false,
                Space::Secure => effective.sif,
                Space::Root => true,
                Space::Realm => regime != Regime::El1And0,
            },
            pir: own.pir,
            pire0: own.pire0,
            por: own.por,
            por_el0,
            space,
            regime,
            pa_bits: u32::from(implementation.pa_bits),
            flat_data,
            flat_fetch,
        }
    }

    /// Whether stage 1 translates at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Returns the regime.
    #[must_use]
    pub const fn regime(&self) -> Regime {
        self.regime
    }

    /// Whether descriptors of the half that `va` bit 55 names have 128 bits.
    #[must_use]
    pub const fn is_wide(&self) -> bool {
        let [low, _] = &self.ranges;
        low.d128
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

/// Controls above all regimes, as they are effective. Asked by both stages.
pub(super) struct Effective {
    pub(super) hcr: HcrEl2,
    pub(super) hcrx: HcrxEl2,
    /// The security state of EL2 and below.
    pub(super) state: Space,
    /// EL2 is implemented and enabled in that state.
    pub(super) el2: bool,
    /// `SCR_EL3.SIF`.
    pub(super) sif: bool,
    /// `TCR2_EL1` and `TCR2_EL2` count.
    tcr2: [bool; 2],
}

impl Effective {
    pub(super) fn of(registers: &Registers, implementation: &Implementation) -> Self {
        Self::with([registers.scr_el3, registers.hcr_el2, registers.hcrx_el2], implementation)
    }

    /// Takes `SCR_EL3`, `HCR_EL2` and `HCRX_EL2`.
    fn with([scr, hcr, hcrx]: [u64; 3], implementation: &Implementation) -> Self {
        let scr = ScrEl3::from_bits(scr);
        let state = match (scr.nse() && implementation.rme, scr.ns()) {
            _ if !implementation.el3 => Space::NonSecure,
            (false, false) => Space::Secure,
            (_, true) if !(scr.nse() && implementation.rme) => Space::NonSecure,
            _ => Space::Realm,
        };
        let el2 = implementation.el2 && (state != Space::Secure || implementation.sel2 && scr.eel2());
        let raw = HcrEl2::from_bits(if el2 { hcr } else { 0 });
        let e2h = raw.e2h() && implementation.vhe;
        let host = e2h && raw.tge();
        // With {E2H,TGE} = {1,1} VM and DC behave as 0. Arm ARM, HCR_EL2.
        let hcr = raw
            .with_e2h(e2h)
            .with_vm(raw.vm() && !host)
            .with_dc(raw.dc() && !host)
            .with_nv(raw.nv() && implementation.nv)
            .with_nv1(raw.nv1() && implementation.nv)
            .with_fwb(raw.fwb() && implementation.fwb);
        let hcrx = HcrxEl2::from_bits(if el2 { hcrx } else { 0 });
        let by_el3 = implementation.tcr2 && (!implementation.el3 || scr.tcr2en());
        let by_el2 = !el2 || host || hcrx.tcr2en();
        Self { hcr, hcrx, state, el2, sif: scr.sif(), tcr2: [by_el3 && by_el2, by_el3] }
    }

    /// Returns the address space of a regime.
    fn space(&self, regime: Regime, implementation: &Implementation) -> Space {
        match regime {
            Regime::El3 if implementation.rme => Space::Root,
            Regime::El3 => Space::Secure,
            Regime::El1And0 | Regime::El2And0 | Regime::El2 => self.state,
        }
    }

    /// Returns `TCR2_ELx` as far as it and the features behind it are effective. Arm ARM, TCR2_EL1.
    fn tcr2(&self, regime: Regime, own: &Stage1Registers, implementation: &Implementation) -> Tcr2 {
        let [el1, el2] = self.tcr2;
        let raw = match regime {
            Regime::El1And0 if el1 => Tcr2::from_bits(own.tcr2),
            Regime::El2And0 if el2 => Tcr2::from_bits(own.tcr2),
            // The regime has no 128-bit descriptors, and no EL0.
            Regime::El2 if el2 => Tcr2::from_bits(own.tcr2).with_d128(false).with_e0poe(false),
            Regime::El1And0 | Regime::El2And0 | Regime::El2 => Tcr2::new(),
            Regime::El3 => {
                let tcr = TcrEl3::from_bits(own.tcr);
                Tcr2::new()
                    .with_pnch(tcr.pnch())
                    .with_pie(tcr.pie())
                    .with_poe(tcr.poe())
                    .with_aie(tcr.aie())
                    .with_d128(tcr.d128())
                    .with_haft(tcr.haft())
                    .with_disch0(tcr.disch0())
            }
        };
        raw.with_pnch(raw.pnch() && implementation.the)
            .with_pie(raw.pie() && implementation.s1pie)
            .with_poe(raw.poe() && implementation.s1poe)
            .with_e0poe(raw.e0poe() && implementation.s1poe)
            .with_aie(raw.aie() && implementation.aie)
            .with_d128(raw.d128() && implementation.d128)
            .with_haft(raw.haft() && implementation.has_haft())
    }
}

/// The control registers of a regime brought to one shape, features that are missing taken out.
struct Control {
    ips: u8,
    ds: bool,
    ha: bool,
    hd: bool,
    tcr2: Tcr2,
    two_ranges: bool,
    /// The current ASID; 0 where there is none.
    asid: u16,
    low: Half,
    high: Half,
}

/// The fields that belong to one range of addresses.
#[derive(Clone, Copy)]
struct Half {
    ttbr: u128,
    txsz: u8,
    epd: bool,
    sh: u8,
    granule: Option<Granule>,
    tbi: bool,
    hpd: bool,
    tbid: bool,
    nfd: bool,
    e0pd: bool,
    mtx: bool,
    disch: bool,
}

impl Control {
    fn of(
        regime: Regime,
        own: &Stage1Registers,
        effective: &Effective,
        implementation: &Implementation,
    ) -> Self {
        let tcr2 = effective.tcr2(regime, own, implementation);
        let raw = match regime {
            Regime::El1And0 | Regime::El2And0 => Self::double(TcrEl1::from_bits(own.tcr), own, tcr2),
            Regime::El2 | Regime::El3 => Self::single(TcrEl2::from_bits(own.tcr), own, tcr2),
        };
        Self {
            ds: raw.ds && implementation.lpa2,
            ha: raw.ha && implementation.has_access_flag(),
            hd: raw.hd && implementation.has_dirty_state(),
            low: raw.low.implemented(implementation),
            high: raw.high.implemented(implementation),
            ..raw
        }
    }

    /// Reads the form with two ranges.
    const fn double(tcr: TcrEl1, own: &Stage1Registers, tcr2: Tcr2) -> Self {
        let asid = TtbrEl1::from_bits(trunc64(if tcr.a1() { own.ttbr1 } else { own.ttbr0 })).asid();
        Self {
            ips: tcr.ips(),
            ds: tcr.ds(),
            ha: tcr.ha(),
            hd: tcr.hd(),
            tcr2,
            two_ranges: true,
            asid: if tcr.r#as() { asid } else { asid & 0xff },
            low: Half {
                ttbr: own.ttbr0,
                txsz: tcr.t0sz(),
                epd: tcr.epd0(),
                sh: tcr.sh0(),
                granule: tg0(tcr.tg0()),
                tbi: tcr.tbi0(),
                hpd: tcr.hpd0(),
                tbid: tcr.tbid0(),
                nfd: tcr.nfd0(),
                e0pd: tcr.e0pd0(),
                mtx: tcr.mtx0(),
                disch: tcr2.disch0(),
            },
            high: Half {
                ttbr: own.ttbr1,
                txsz: tcr.t1sz(),
                epd: tcr.epd1(),
                sh: tcr.sh1(),
                granule: tg1(tcr.tg1()),
                tbi: tcr.tbi1(),
                hpd: tcr.hpd1(),
                tbid: tcr.tbid1(),
                nfd: tcr.nfd1(),
                e0pd: tcr.e0pd1(),
                mtx: tcr.mtx1(),
                disch: tcr2.disch1(),
            },
        }
    }

    /// Reads the form with one range; TCR_EL3 has the same fields in the same places.
    const fn single(tcr: TcrEl2, own: &Stage1Registers, tcr2: Tcr2) -> Self {
        let half = Half {
            ttbr: own.ttbr0,
            txsz: tcr.t0sz(),
            epd: false,
            sh: tcr.sh0(),
            granule: tg0(tcr.tg0()),
            tbi: tcr.tbi(),
            hpd: tcr.hpd(),
            tbid: tcr.tbid(),
            nfd: false,
            e0pd: false,
            mtx: tcr.mtx(),
            disch: tcr2.disch0(),
        };
        Self {
            ips: tcr.ps(),
            ds: tcr.ds(),
            ha: tcr.ha(),
            hd: tcr.hd(),
            tcr2,
            two_ranges: false,
            asid: 0,
            low: half,
            high: half,
        }
    }

    fn range(&self, half: &Half, on: bool, secure: bool, implementation: &Implementation) -> Range {
        let granule = implementation.granule(half.granule);
        let d128 = self.tcr2.d128();
        let shape = Shape {
            implementation,
            granule,
            ds: self.ds && !d128 && granule != Granule::Size64K,
            d128,
            txsz: half.txsz,
            ps: self.ips,
            ttbr: half.ttbr,
        };
        let depth = shape.natural_depth().checked_sub(shape.skipped());
        let valid = shape.is_valid_at_stage_1(self.two_ranges) && depth.is_some();
        let haft = self.tcr2.haft() && self.ha;
        let range = shape.range(depth.unwrap_or(0), valid, haft);
        let (fault, why) = if half.epd {
            (Some(FaultStatus::Translation(Level::L0)), Rule::WalksDisabled)
        } else {
            (range.fault, range.why)
        };
        let ignored @ [data, fetch] =
            [if half.tbi { 8 } else { 0 }, if half.tbi && !half.tbid { 8 } else { 0 }];
        let seen = |ignored: u32| !mask(range.iasize) & u64::MAX.wrapping_shr(ignored);
        let tag = if half.mtx { 0xf << 56 } else { 0 };
        Range {
            fault,
            why,
            special: !on || fault.is_some() || half.e0pd || half.nfd || d128,
            ignored,
            checked: [seen(data) & !tag, seen(fetch)],
            e0pd: half.e0pd,
            nfd: half.nfd,
            hierarchy: if half.hpd || self.tcr2.pie() { 0 } else { 0b1111 << 59 },
            ns_table: if secure { 1 << 63 } else { 0 },
            discontiguous: if d128 { half.disch } else { self.tcr2.pnch() },
            sh: Shareability::decode(u64::from(half.sh)),
            canonical_tags: half.mtx && implementation.mte_canonical_tags,
            ..range
        }
    }
}

impl Half {
    /// Returns the half with the controls of missing features clear.
    const fn implemented(self, implementation: &Implementation) -> Self {
        Self {
            hpd: self.hpd && implementation.hpds,
            tbid: self.tbid && implementation.tbid,
            nfd: self.nfd && implementation.nfd,
            e0pd: self.e0pd && implementation.e0pd,
            mtx: self.mtx && (implementation.mtx || implementation.mte_canonical_tags),
            ..self
        }
    }
}
