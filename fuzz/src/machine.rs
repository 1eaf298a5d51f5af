//! An Arm machine as translation sees it: registers, what is implemented, an access.

use crate::bits::{bit, pick};
use crate::codec::Codec;
use mmu_xlate::vmsa::{
    Access, AccessKind, HardwareUpdates, Implementation, Privilege, Regime, Registers, Stage1Registers, Tags,
};

/// All regimes.
pub const REGIMES: [Regime; 4] = [Regime::El1And0, Regime::El2And0, Regime::El2, Regime::El3];
/// All kinds of access.
pub const KINDS: [AccessKind; 12] = [
    AccessKind::Read,
    AccessKind::Write,
    AccessKind::Fetch,
    AccessKind::Atomic,
    AccessKind::Invalidate,
    AccessKind::Clean,
    AccessKind::CleanInvalidate,
    AccessKind::AtRead,
    AccessKind::AtWrite,
    AccessKind::AtAddress,
    AccessKind::GcsRead,
    AccessKind::GcsWrite,
];
const PA_BITS: [u8; 8] = [52, 48, 56, 44, 42, 40, 36, 32];
const HAFDBS: [HardwareUpdates; 4] = [
    HardwareUpdates::TableAccessFlag,
    HardwareUpdates::DirtyState,
    HardwareUpdates::AccessFlag,
    HardwareUpdates::None,
];

/// A machine.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Which regime is asked, of [`REGIMES`].
    pub regime: u8,
    /// What is missing of [`Implementation::ALL`], or there beyond it, bit by bit.
    pub toggles: u64,
    /// Of the physical address, and of hardware updates.
    pub sizes: u8,
    /// The registers of the regime that is asked; others hold the same.
    pub own: Stage1Registers,
    /// `SCTLR_EL2`, where EL2 is not asked.
    pub sctlr_el2: u64,
    /// All but the `el` of it.
    pub shared: Registers,
}

/// Goes over the registers of a level.
pub fn stage1<C: Codec>(codec: &mut C, own: &mut Stage1Registers) {
    codec.word(&mut own.sctlr);
    codec.word(&mut own.tcr);
    codec.word(&mut own.tcr2);
    codec.wide(&mut own.ttbr0);
    codec.wide(&mut own.ttbr1);
    codec.word(&mut own.mair);
    codec.word(&mut own.mair2);
    codec.word(&mut own.pir);
    codec.word(&mut own.pire0);
    codec.word(&mut own.por);
}

/// The switches of an implementation. New ones go to the end, so that old inputs keep their meaning.
fn switches(implementation: &mut Implementation) -> [&mut bool; 38] {
    let Implementation {
        el2,
        el3,
        granule_4k,
        granule_16k,
        granule_64k,
        ttst,
        lva,
        lva3,
        lpa,
        lpa2,
        d128,
        hpds,
        vhe,
        sel2,
        rme,
        nv,
        pan3,
        e0pd,
        nfd,
        tbid,
        mtx,
        mte_perm,
        cmow,
        xnx,
        fwb,
        xs,
        tcr2,
        s1pie,
        s2pie,
        s1poe,
        s2poe,
        aie,
        the,
        fgt,
        pan2,
        ats1a,
        mte2,
        mte_canonical_tags,
        ..
    } = implementation;
    [
        el2,
        el3,
        granule_4k,
        granule_16k,
        granule_64k,
        ttst,
        lva,
        lva3,
        lpa,
        lpa2,
        d128,
        hpds,
        vhe,
        sel2,
        rme,
        nv,
        pan3,
        e0pd,
        nfd,
        tbid,
        mtx,
        mte_perm,
        cmow,
        xnx,
        fwb,
        xs,
        tcr2,
        s1pie,
        s2pie,
        s1poe,
        s2poe,
        aie,
        the,
        fgt,
        pan2,
        ats1a,
        mte2,
        mte_canonical_tags,
    ]
}

impl Machine {
    /// Goes over the fields.
    pub fn fields<C: Codec>(&mut self, codec: &mut C) {
        codec.byte(&mut self.regime);
        codec.byte(&mut self.sizes);
        codec.word(&mut self.toggles);
        stage1(codec, &mut self.own);
        codec.word(&mut self.sctlr_el2);
        let shared = &mut self.shared;
        for register in [
            &mut shared.por_el0,
            &mut shared.hcr_el2,
            &mut shared.hcrx_el2,
            &mut shared.hfgitr_el2,
            &mut shared.scr_el3,
            &mut shared.vtcr_el2,
            &mut shared.vstcr_el2,
            &mut shared.vsttbr_el2,
            &mut shared.s2pir_el2,
            &mut shared.s2por_el1,
        ] {
            codec.word(register);
        }
        codec.wide(&mut shared.vttbr_el2);
    }

    /// Makes the machine of a case that is known, for a regime.
    #[must_use]
    pub fn of(regime: Regime, registers: &Registers, wanted: &Implementation) -> Self {
        let place = |found: Option<usize>| found.and_then(|at| u8::try_from(at).ok()).unwrap_or(0);
        let mut base = Implementation::ALL;
        let mut copy = *wanted;
        let mut toggles = 0;
        for (at, (ours, theirs)) in switches(&mut base).into_iter().zip(switches(&mut copy)).enumerate() {
            toggles |= u64::from(*ours != *theirs) << at;
        }
        let own = match regime {
            Regime::El1And0 => registers.el1,
            Regime::El2And0 | Regime::El2 => registers.el2,
            Regime::El3 => registers.el3,
        };
        Self {
            regime: place(REGIMES.iter().position(|one| *one == regime)),
            toggles,
            sizes: place(PA_BITS.iter().position(|bits| *bits == wanted.pa_bits))
                | place(HAFDBS.iter().position(|one| *one == wanted.hafdbs)) << 3,
            own,
            sctlr_el2: registers.el2.sctlr,
            shared: *registers,
        }
    }

    /// Returns the regime that is asked.
    #[must_use]
    pub fn regime(&self) -> Regime {
        pick(&REGIMES, self.regime & 3)
    }

    /// Returns what is implemented.
    #[must_use]
    pub fn implementation(&self) -> Implementation {
        let mut all = Implementation::ALL;
        for (at, switch) in (0..).zip(switches(&mut all)) {
            *switch ^= bit(self.toggles, at);
        }
        // A machine has a granule.
        all.granule_4k |= !(all.granule_16k || all.granule_64k);
        all.pa_bits = pick(&PA_BITS, self.sizes & 7);
        all.hafdbs = pick(&HAFDBS, self.sizes >> 3 & 3);
        all
    }

    /// Returns the registers.
    #[must_use]
    pub fn registers(&self) -> Registers {
        let mut el2 = self.own;
        if matches!(self.regime(), Regime::El1And0 | Regime::El3) {
            el2.sctlr = self.sctlr_el2;
        }
        Registers { el1: self.own, el2, el3: self.own, ..self.shared }
    }
}

/// An access.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    kind: u8,
    flags: u8,
}

impl Asked {
    /// Goes over the fields.
    pub fn fields<C: Codec>(&mut self, codec: &mut C) {
        codec.byte(&mut self.kind);
        codec.byte(&mut self.flags);
    }

    /// Makes that of an access.
    #[must_use]
    pub fn of(access: Access) -> Self {
        let kind = KINDS.iter().position(|kind| *kind == access.kind).and_then(|at| u8::try_from(at).ok());
        let tags = match access.tags {
            Tags::Unchecked => 0,
            Tags::Checked => 1,
            Tags::Transferred => 2,
        };
        let flags = u8::from(access.privilege == Privilege::Unprivileged)
            | u8::from(access.pan) << 1
            | u8::from(!access.aligned) << 2
            | u8::from(access.non_fault) << 3
            | tags << 4;
        Self { kind: kind.unwrap_or(0), flags }
    }

    /// Returns the access; one level of privilege where the regime has one.
    #[must_use]
    pub fn access(&self, regime: Regime) -> Access {
        let flag = |at| bit(self.flags.into(), at);
        let unprivileged = flag(0) && regime.has_unprivileged();
        let tags =
            pick(&[Tags::Unchecked, Tags::Checked, Tags::Transferred, Tags::Unchecked], self.flags >> 4 & 3);
        let privilege = if unprivileged { Privilege::Unprivileged } else { Privilege::Privileged };
        let access = Access::new(pick(&KINDS, self.kind), privilege).with_pan(flag(1)).with_tags(tags);
        let access = if flag(2) { access.unaligned() } else { access };
        if flag(3) { access.non_fault() } else { access }
    }
}
