//! Controls and the features behind them: each question is asked twice, with the feature and without it (or with and without what else
//! the rule depends on), and the answers differ. Arm ARM: a control of a feature that is not implemented is RES0.
#![cfg(feature = "vmsa")]
#![allow(
    missing_docs,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use arm_arch::{ExceptionLevel, Va};
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{
    Access, AccessKind, AtContext, AtExecution, AtOperation, HardwareUpdates, Implementation, Located,
    Mapping, Privilege, Recorder, Regime, Registers, Rule, Shareability, Space, Stage1Registers, Step, Tags,
    Translation, Translator, execute_at,
};
use std::collections::BTreeMap;

use Space::{NonSecure, Realm, Secure};

/// Descriptors by space and address; all others are 0.
struct Spaces(BTreeMap<(u8, u64), u64>);

impl TableMemory<Located> for Spaces {
    type Error = ();

    fn load(&self, at: Located) -> Result<Option<[u8; 8]>, ()> {
        Ok(Some(self.0.get(&(at.space as u8, at.pa.bits())).copied().unwrap_or(0).to_le_bytes()))
    }
}

/// What must come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// The address, its space, the attribute byte.
    Out(u64, Space, u8),
    /// The stage, ISS and ISS2.
    Fault(u8, u32, u32),
}

use Want::{Fault, Out};

/// A machine and what is asked of it.
#[derive(Clone)]
struct Ask {
    regime: Regime,
    has: Implementation,
    registers: Registers,
    entries: Vec<(Space, u64, u64)>,
    va: u64,
    access: Access,
}

impl Ask {
    fn memory(&self) -> Spaces {
        Spaces(self.entries.iter().map(|(space, at, value)| ((*space as u8, *at), *value)).collect())
    }

    fn translation(&self, recorder: &mut impl Recorder) -> Translation<Located> {
        let translator = Translator::new(self.regime, &self.registers, &self.has);
        let found = translator.translate(Va::new(self.va), self.access, &self.memory(), recorder);
        found.expect("memory works")
    }

    fn mapping(&self) -> Mapping<Located> {
        match self.translation(&mut ()) {
            Translation::Mapped(mapping) => mapping,
            Translation::Fault(fault) => panic!("{fault:?}"),
        }
    }

    fn answer(&self) -> Want {
        match self.translation(&mut ()) {
            Translation::Mapped(it) => Out(it.output.pa.bits(), it.output.space, it.attributes.byte()),
            Translation::Fault(it) => Fault(it.stage as u8 + 1, it.iss(self.access), it.iss2(self.access)),
        }
    }

    /// The same with a change of registers.
    fn set(mut self, change: impl Fn(&mut Registers)) -> Self {
        change(&mut self.registers);
        self
    }

    /// The same for another access.
    fn by(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// The same at another address.
    fn at(mut self, va: u64) -> Self {
        self.va = va;
        self
    }

    /// The same with these descriptors.
    fn with(mut self, entries: &[(Space, u64, u64)]) -> Self {
        self.entries = entries.to_vec();
        self
    }
}

const READ: Access = Access::new(AccessKind::Read, Privilege::Privileged);
const WRITE: Access = Access::new(AccessKind::Write, Privilege::Privileged);
const FETCH: Access = Access::new(AccessKind::Fetch, Privilege::Privileged);
const USER: Access = Access::new(AccessKind::Read, Privilege::Unprivileged);
const ALL: Implementation = Implementation::ALL;
/// SCR_EL3.NS and TCR2En; HCRX_EL2.TCR2En.
const SCR: u64 = 1 << 43 | 1;
const HCRX: u64 = 1 << 14;
const VM: u64 = 1;
const TGE: u64 = 1 << 27;
const E2H: u64 = 1 << 34;
/// T0SZ and T1SZ 25, TG1 4 KiB, IPS 40 bits.
const TCR: u64 = 0x2_8019_0019;
/// TCR2_ELx: PnCH, PIE, E0POE, POE, AIE, D128, HAFT, DisCH0.
const PNCH: u64 = 1;
const PIE: u64 = 1 << 1;
const E0POE: u64 = 1 << 2;
const POE: u64 = 1 << 3;
const AIE: u64 = 1 << 4;
const D128: u64 = 1 << 5;
const HAFT: u64 = 1 << 11;
const DISCH0: u64 = 1 << 14;
/// AF, AP 0b00, AttrIndx 0: a block of 1 GiB.
const BLOCK: u64 = 0x8000_0401;
/// S2AP 0b11, MemAttr 0b1111, AF, block.
const S2_BLOCK: u64 = 0x4fd;

fn el1_registers() -> Stage1Registers {
    Stage1Registers { sctlr: 0x1005, tcr: TCR, ttbr0: 0x5000_0000, mair: 0xff, ..Stage1Registers::default() }
}

/// Stage 1 of EL1&0: one block at the first entry of level 1.
fn one(leaf: u64) -> Ask {
    let registers = Registers { el1: el1_registers(), scr_el3: SCR, hcrx_el2: HCRX, ..Registers::default() };
    let entries = vec![(NonSecure, 0x5000_0000, leaf)];
    Ask { regime: Regime::El1And0, has: ALL, registers, entries, va: 0x123, access: READ }
}

/// The same with FEAT_MTE_CANONICAL_TAGS, which is not of [`Implementation::ALL`].
fn with_canonical_tags(mut ask: Ask) -> Ask {
    ask.has.mte_canonical_tags = true;
    ask
}

/// Stage 2 behind stage 1 that is off: T0SZ 24, SL0 1, PS 40 bits; the address is in entry 1 of level 1.
fn two(leaf: u64) -> Ask {
    let registers = Registers {
        scr_el3: SCR,
        hcrx_el2: HCRX,
        hcr_el2: VM,
        vtcr_el2: 0x8002_0058,
        vttbr_el2: 0x4000_0000,
        ..Registers::default()
    };
    let entries = vec![(NonSecure, 0x4000_0008, leaf)];
    Ask { regime: Regime::El1And0, has: ALL, registers, entries, va: 0x4000_1234, access: READ }
}

/// Both: stage 2 maps the table of stage 1 to itself.
fn both() -> Ask {
    let identity = 0x4000_0000 | S2_BLOCK;
    let output = 0x1_0000_0000 | S2_BLOCK;
    two(0).set(|registers| registers.el1 = el1_registers()).at(0x123).with(&[
        (NonSecure, 0x4000_0008, identity),
        (NonSecure, 0x5000_0000, BLOCK),
        (NonSecure, 0x4000_0010, output),
    ])
}

/// VTCR_EL2 with these fields in place of T0SZ, SL0, TG0, PS.
fn vtcr(t0sz: u64, sl0: u64, tg0: u64, ps: u64, more: u64) -> impl Fn(&mut Registers) {
    let value = 1 << 31 | ps << 16 | tg0 << 14 | sl0 << 6 | t0sz | more;
    move |registers| registers.vtcr_el2 = value
}

/// Name, citation, the question, what is missing, the answers with and without it.
type Row = (&'static str, &'static str, Ask, fn(&mut Ask), Want, Want);

#[track_caller]
fn check(rows: &[Row]) {
    for (name, cite, ask, change, with, without) in rows {
        assert_ne!(with, without, "{name}: shows nothing");
        assert_eq!(ask.answer(), *with, "{name} ({cite}), with");
        let mut other = ask.clone();
        change(&mut other);
        assert_eq!(other.answer(), *without, "{name} ({cite}), without");
    }
}

#[test]
fn stage_1_controls_do_nothing_without_their_features() {
    let out = Out(0x8000_0123, NonSecure, 0xff);
    let tcr2 = |ask: Ask, bits: u64| ask.set(move |registers| registers.el1.tcr2 |= bits);
    let tcr = |ask: Ask, bits: u64| ask.set(move |registers| registers.el1.tcr |= bits);
    let sctlr = |ask: Ask, bit: u32| ask.set(move |registers| registers.el1.sctlr |= 1 << bit);
    let clean = Access::new(AccessKind::CleanInvalidate, Privilege::Unprivileged);
    let user_fetch = Access::new(AccessKind::Fetch, Privilege::Unprivileged);
    const TAGGED: u64 = 0x0100_0000_0000_0123;
    let rows: &[Row] = &[
        // AP 0b11: EL0 reads. DFSC 0b001101, CM, WnR.
        (
            "CMOW",
            "SCTLR_EL1.CMOW, FEAT_CMOW",
            sctlr(one(BLOCK | 0xc0), 32).by(clean),
            |ask| ask.has.cmow = false,
            Fault(1, 0x14d, 0),
            out,
        ),
        // UXN 0 and no data access at EL0.
        (
            "EPAN",
            "SCTLR_EL1.EPAN, FEAT_PAN3",
            sctlr(one(BLOCK), 57).by(READ.with_pan(true)),
            |ask| ask.has.pan3 = false,
            Fault(1, 0x0d, 0),
            out,
        ),
        (
            "PIE, with PIR_EL1 0",
            "TCR2_EL1.PIE, FEAT_S1PIE",
            tcr2(one(BLOCK), PIE),
            |ask| ask.has.s1pie = false,
            Fault(1, 0x0d, 0),
            out,
        ),
        (
            "POE, with POR_EL1 0",
            "TCR2_EL1.POE, FEAT_S1POE",
            tcr2(one(BLOCK), POE),
            |ask| ask.has.s1poe = false,
            Fault(1, 0x0d, 1 << 6),
            out,
        ),
        (
            "E0POE, with POR_EL0 0",
            "TCR2_EL1.E0POE, FEAT_S1POE",
            tcr2(one(BLOCK | 0x40), E0POE).by(USER),
            |ask| ask.has.s1poe = false,
            Fault(1, 0x0d, 1 << 6),
            out,
        ),
        // Bit 59: AttrIndx[3].
        (
            "AIE",
            "TCR2_EL1.AIE, FEAT_AIE",
            tcr2(one(BLOCK | 1 << 59), AIE).set(|registers| registers.el1.mair2 = 0x44),
            |ask| ask.has.aie = false,
            Out(0x8000_0123, NonSecure, 0x44),
            out,
        ),
        // Contiguous at level 1 of 4 KiB: 16 blocks, IA[33:30] is kept. With PnCH the bit is Protected.
        (
            "PnCH",
            "TCR2_EL1.PnCH, FEAT_THE",
            tcr2(one(0), PNCH).at(0x4000_0123).with(&[(NonSecure, 0x5000_0008, 1 << 52 | 0x401)]),
            |ask| ask.has.the = false,
            Out(0x123, NonSecure, 0xff),
            Out(0x4000_0123, NonSecure, 0xff),
        ),
        // (39 - 1 - 12) / 8 = 3: from level 0. The block's SKL is 0, so that it is a table, and the next is empty.
        (
            "D128",
            "TCR2_EL1.D128, FEAT_D128",
            tcr2(one(BLOCK), D128),
            |ask| ask.has.d128 = false,
            Fault(1, 0x05, 0),
            out,
        ),
        (
            "TCR2_EL1",
            "FEAT_TCR2",
            tcr2(one(BLOCK), POE),
            |ask| ask.has.tcr2 = false,
            Fault(1, 0x0d, 1 << 6),
            out,
        ),
        (
            "TCR2En",
            "SCR_EL3.TCR2En",
            tcr2(one(BLOCK), POE),
            |ask| ask.registers.scr_el3 = 1,
            Fault(1, 0x0d, 1 << 6),
            out,
        ),
        (
            "TCR2En of EL2",
            "HCRX_EL2.TCR2En",
            tcr2(one(BLOCK), POE),
            |ask| ask.registers.hcrx_el2 = 0,
            Fault(1, 0x0d, 1 << 6),
            out,
        ),
        // DBM and AP[2].
        (
            "HD",
            "TCR_EL1.HD, FEAT_HAFDBS",
            tcr(one(1 << 51 | BLOCK | 0x80), 3 << 39).by(WRITE),
            |ask| ask.has.hafdbs = HardwareUpdates::AccessFlag,
            out,
            Fault(1, 0x4d, 0),
        ),
        (
            "TBID",
            "TCR_EL1.TBID0, FEAT_PAuth",
            tcr(one(BLOCK), 1 << 37 | 1 << 51).at(TAGGED).by(FETCH),
            |ask| ask.has.tbid = false,
            Fault(1, 0x04, 0),
            out,
        ),
        (
            "NFD",
            "TCR_EL1.NFD0, FEAT_SVE",
            tcr(one(BLOCK | 0x40), 1 << 53).by(USER.non_fault()),
            |ask| ask.has.nfd = false,
            Fault(1, 0x04, 0),
            out,
        ),
        (
            "MTX",
            "TCR_EL1.MTX0, FEAT_MTE_NO_ADDRESS_TAGS, FEAT_MTE_CANONICAL_TAGS",
            tcr(one(BLOCK), 1 << 60).at(TAGGED),
            |ask| (ask.has.mtx, ask.has.mte_canonical_tags) = (false, false),
            out,
            Fault(1, 0x04, 0),
        ),
        (
            "MTX is about data addresses",
            "TCR_EL1.MTX0",
            tcr(one(BLOCK), 1 << 60).at(TAGGED),
            |ask| ask.access = FETCH,
            out,
            Fault(1, 0x04, 0),
        ),
        // STG to memory that has no tags but canonical ones: TnD is bit 10 of ISS2.
        (
            "canonical tags",
            "FEAT_MTE_CANONICAL_TAGS, ISS2.TnD",
            with_canonical_tags(tcr(one(BLOCK), 1 << 60).by(WRITE.with_tags(Tags::Transferred))),
            |ask| ask.has.mte_canonical_tags = false,
            Fault(1, 0x4d, 1 << 10),
            out,
        ),
        (
            "canonical tags, beside an overlay",
            "FEAT_MTE_CANONICAL_TAGS, ISS2.TnD",
            with_canonical_tags(
                tcr2(tcr(one(BLOCK), 1 << 60), POE)
                    .set(|registers| registers.el1.por = 7)
                    .by(WRITE.with_tags(Tags::Transferred)),
            ),
            |ask| ask.has.mte_canonical_tags = false,
            Fault(1, 0x4d, 1 << 10),
            out,
        ),
        // PXN is bit 54 then; UXN, which it else is, is for EL0.
        (
            "NV1",
            "HCR_EL2.NV1, FEAT_NV",
            one(1 << 54 | BLOCK).set(|registers| registers.hcr_el2 = 3 << 42).by(FETCH),
            |ask| ask.has.nv = false,
            Fault(1, 0x0d, 0),
            out,
        ),
        // No overlay for EL0, whose one right there is to execute.
        (
            "E0POE under NV1",
            "HCR_EL2.NV1, TCR2_EL1.E0POE",
            tcr2(one(BLOCK), E0POE).set(|registers| registers.hcr_el2 = 3 << 42).by(user_fetch),
            |ask| ask.registers.hcr_el2 = 0,
            out,
            Fault(1, 0x0d, 1 << 6),
        ),
    ];
    check(rows);
}

#[test]
fn wxn_and_overlays_take_what_the_other_leaves() {
    // SCTLR_EL1.WXN, POE; AP 0b00: writable and executable by EL1. POR_EL1 field 0: bit 0 read, 1 execute, 2 write.
    let asked = |por, access| {
        let ask = one(BLOCK).by(access);
        ask.set(move |registers| {
            registers.el1.sctlr |= 1 << 19;
            registers.el1.tcr2 |= POE;
            registers.el1.por = por;
        })
    };
    let out = Out(0x8000_0123, NonSecure, 0xff);
    let overlay = |iss| Fault(1, iss, 1 << 6);
    // Arm ARM, AArch64.S1ComputePermissions: the overlay's execution takes its writing, else WXN the base's execution.
    for (por, fetch, write) in [
        (0b0111, out, overlay(0x4d)),
        (0b0101, overlay(0x0d), out),
        (0b0011, out, overlay(0x4d)),
        (0b0001, overlay(0x0d), overlay(0x4d)),
    ] {
        assert_eq!(asked(por, FETCH).answer(), fetch, "POR_EL1 {por:#b}, a fetch");
        assert_eq!(asked(por, WRITE).answer(), write, "POR_EL1 {por:#b}, a store");
    }
    // What the overlay does not execute is not executed by the base either.
    let permissions = |por| asked(por, READ).mapping().permissions;
    assert!(!permissions(0b0101).contains(mmu_xlate::vmsa::Permissions::PRIV_EXECUTE));
    assert!(permissions(0b0111).contains(mmu_xlate::vmsa::Permissions::PRIV_EXECUTE));
}

#[test]
fn hypervisor_controls_need_their_features_and_their_state() {
    let fault = |iss| Fault(2, iss, 0);
    // Stage 1 is off under TGE, and would lead elsewhere.
    let host = |hcr: u64| {
        let ask =
            two(0).set(|registers| registers.el1 = el1_registers()).with(&[(NonSecure, 0x5000_0008, BLOCK)]);
        ask.set(move |registers| registers.hcr_el2 = hcr)
    };
    let secure = Registers {
        scr_el3: 1 << 18,
        hcr_el2: VM,
        vtcr_el2: 0x8002_0058,
        vstcr_el2: 0x8000_0058,
        vsttbr_el2: 0x4000_0000,
        ..Registers::default()
    };
    let rows: &[Row] = &[
        (
            "E2H, without which TGE leaves VM",
            "HCR_EL2.E2H, FEAT_VHE",
            host(VM | E2H | TGE),
            |ask| ask.has.vhe = false,
            Out(0x4000_1234, NonSecure, 0),
            fault(0x05),
        ),
        // DC: Normal Write-Back, and stage 2, which maps nothing.
        (
            "DC is 0 under {E2H,TGE} = {1,1}",
            "HCR_EL2.DC",
            host(1 << 12 | E2H | TGE),
            |ask| ask.registers.hcr_el2 = 1 << 12,
            Out(0x4000_1234, NonSecure, 0),
            fault(0x05),
        ),
        (
            "EEL2",
            "SCR_EL3.EEL2, FEAT_SEL2",
            two(0).set(move |registers| *registers = secure),
            |ask| ask.has.sel2 = false,
            fault(0x05),
            Out(0x4000_1234, Secure, 0),
        ),
        // MemAttr 0b0110: with FWB Write-Back whatever stage 1 says; without, Device stays.
        (
            "FWB",
            "HCR_EL2.FWB, FEAT_S2FWB",
            two(0x1_0000_04d9).set(|registers| registers.hcr_el2 |= 1 << 46),
            |ask| ask.has.fwb = false,
            Out(0x1_0000_1234, NonSecure, 0xff),
            Out(0x1_0000_1234, NonSecure, 0),
        ),
        // SH0 0b11 as OA[51:50] with DS.
        (
            "DS",
            "VTCR_EL2.DS, FEAT_LPA2",
            two(0x1_0000_0300 | S2_BLOCK).set(|registers| registers.vtcr_el2 |= 1 << 32),
            |ask| ask.has.lpa2 = false,
            fault(0x01),
            Out(0x1_0000_1234, NonSecure, 0),
        ),
        // From level 0, (40 - 1 - 12) / 8 = 3; entry 0 is at 0x4000_0000 and 0.
        (
            "D128",
            "VTCR_EL2.D128, FEAT_D128",
            two(0x1_0000_0000 | S2_BLOCK).set(|registers| registers.vtcr_el2 |= 1 << 38),
            |ask| ask.has.d128 = false,
            fault(0x04),
            Out(0x1_0000_1234, NonSecure, 0),
        ),
        (
            "S2PIE, with S2PIR_EL2 0",
            "VTCR_EL2.S2PIE, FEAT_S2PIE",
            two(0x1_0000_0000 | S2_BLOCK).set(|registers| registers.vtcr_el2 |= 1 << 36),
            |ask| ask.has.s2pie = false,
            fault(0x0d),
            Out(0x1_0000_1234, NonSecure, 0),
        ),
        (
            "S2POE, with S2POR_EL1 0",
            "VTCR_EL2.S2POE, FEAT_S2POE",
            two(0x1_0000_0000 | S2_BLOCK).set(|registers| {
                registers.vtcr_el2 |= 3 << 36;
                registers.s2pir_el2 = 0xcccc_cccc_cccc_cccc;
            }),
            |ask| ask.has.s2poe = false,
            Fault(2, 0x0d, 1 << 6),
            Out(0x1_0000_1234, NonSecure, 0),
        ),
        (
            "S2POE counts with S2PIE only",
            "VTCR_EL2.S2POE",
            two(0x1_0000_0000 | S2_BLOCK).set(|registers| {
                registers.vtcr_el2 |= 3 << 36;
                registers.s2pir_el2 = 0xcccc_cccc_cccc_cccc;
            }),
            |ask| ask.registers.vtcr_el2 &= !(1 << 36),
            Fault(2, 0x0d, 1 << 6),
            Out(0x1_0000_1234, NonSecure, 0),
        ),
        // Bit 58, with stage 1 off not assured. ISS2.AssuredOnly.
        (
            "AssuredOnly",
            "VTCR_EL2.AssuredOnly, FEAT_THE",
            two(1 << 58 | 0x1_0000_0000 | S2_BLOCK).set(|registers| registers.vtcr_el2 |= 1 << 34),
            |ask| ask.has.the = false,
            Fault(2, 0x0d, 1 << 7),
            Out(0x1_0000_1234, NonSecure, 0),
        ),
        // The table's page has no TL0 mark: S1PTW, TopLevel is ISS[21].
        (
            "TL0",
            "VTCR_EL2.TL0, FEAT_THE",
            both().set(|registers| registers.vtcr_el2 |= 1 << 41),
            |ask| ask.has.the = false,
            fault(1 << 21 | 0x8d),
            Out(0x1_0000_0123, NonSecure, 0xff),
        ),
        (
            "TL1, for the upper range",
            "VTCR_EL2.TL1, FEAT_THE",
            both()
                .set(|registers| {
                    registers.vtcr_el2 |= 1 << 35;
                    registers.el1.ttbr1 = 0x5000_0000;
                })
                .at(0xffff_ff80_0000_0123),
            |ask| ask.has.the = false,
            fault(1 << 21 | 0x8d),
            Out(0x1_0000_0123, NonSecure, 0xff),
        ),
        (
            "HA",
            "VTCR_EL2.HA, FEAT_HAFDBS",
            two(0x1_0000_00fd).set(|registers| registers.vtcr_el2 |= 1 << 21),
            |ask| ask.has.hafdbs = HardwareUpdates::None,
            Out(0x1_0000_1234, NonSecure, 0),
            fault(0x09),
        ),
        // DBM, S2AP 0b01.
        (
            "HD",
            "VTCR_EL2.HD, FEAT_HAFDBS",
            two(1 << 51 | 0x1_0000_047d).set(|registers| registers.vtcr_el2 |= 3 << 21).by(WRITE),
            |ask| ask.has.hafdbs = HardwareUpdates::AccessFlag,
            Out(0x1_0000_1234, NonSecure, 0),
            fault(0x4d),
        ),
        // FnXS, bit 11. Device of both stages; XS 0 is bit 0 of the byte. MemAttr 0b0000.
        (
            "FnXS",
            "D8.6.6, FEAT_XS",
            two(0x1_0000_0cc1),
            |ask| ask.has.xs = false,
            Out(0x1_0000_1234, NonSecure, 1),
            Out(0x1_0000_1234, NonSecure, 0),
        ),
        // FWB, MemAttr 0b0110: what is forced to be Write-Back has XS 0, which its byte says by itself; Non-cacheable, 0b0101,
        // has XS 1 as stage 1's Device has, until FnXS.
        (
            "FnXS with FWB",
            "D8.6.6, FEAT_XS",
            two(0x1_0000_0cc1).set(|registers| registers.hcr_el2 |= 1 << 46),
            |ask| ask.has.xs = false,
            Out(0x1_0000_1234, NonSecure, 1),
            Out(0x1_0000_1234, NonSecure, 0),
        ),
    ];
    check(rows);
}

#[test]
fn sizes_and_start_levels_need_their_features() {
    let one = |tcr: u64, entries: &[(Space, u64, u64)], va| {
        one(0).set(move |registers| registers.el1.tcr = tcr).with(entries).at(va)
    };
    const IPS48: u64 = 5 << 32;
    const IPS52: u64 = 6 << 32;
    const TG_64K: u64 = 1 << 14;
    let wide = |regime, t0sz: u64, tg0: u64| {
        let mut ask = two(0);
        ask.regime = regime;
        ask.set(move |registers| {
            registers.hcr_el2 = 0;
            let own = Stage1Registers { sctlr: 0x1005, ttbr0: 0x5000_0000, ..Stage1Registers::default() };
            registers.el1 = Stage1Registers { tcr: IPS52 | tg0 << 14 | t0sz, tcr2: D128, ..own };
            // TCR_EL3: PS [18:16], D128 [38].
            registers.el3 = Stage1Registers { tcr: 1 << 38 | 6 << 16 | tg0 << 14 | t0sz, ..own };
        })
        .at(0x123)
    };
    let rows: &[Row] = &[
        // 52 bits of input, from level 1, whose first entry is 0: Translation fault there, or at once.
        (
            "64 KiB, T0SZ 12",
            "TCR_EL1.T0SZ, FEAT_LVA",
            one(12 | TG_64K | IPS48, &[], 0x123),
            |ask| ask.has.lva = false,
            Fault(1, 0x05, 0),
            Fault(1, 0x04, 0),
        ),
        // A block of 4 TiB at level 1: entry 1, IA[41:0] kept.
        (
            "64 KiB, a block at level 1",
            "D8.3.1, FEAT_LPA, 52-bit addresses",
            one(16 | TG_64K | IPS48, &[(NonSecure, 0x5000_0008, 1 << 43 | 0x401)], 1 << 42 | 0x1234),
            |ask| ask.has.pa_bits = 48,
            Out(1 << 43 | 0x1234, NonSecure, 0xff),
            Fault(1, 0x05, 0),
        ),
        // VTCR_EL2: T0SZ 39, SL0 3: 25 bits from level 3, entry 1.
        (
            "stage 2 from level 3",
            "VTCR_EL2.SL0, FEAT_TTST",
            two(0).set(vtcr(39, 3, 0, 2, 0)).at(0x1234).with(&[(NonSecure, 0x4000_0008, 0x8000_14ff)]),
            |ask| ask.has.ttst = false,
            Out(0x8000_1234, NonSecure, 0),
            Fault(2, 0x04, 0),
        ),
        // SL0 2: from level 0 with 40 bits; entry 0, then entry 1.
        (
            "stage 2 of 4 KiB from level 0",
            "AArch64.S2InvalidSL, 44-bit addresses",
            two(0).set(vtcr(24, 2, 0, 2, 0)).with(&[
                (NonSecure, 0x4000_0000, 0x4000_1003),
                (NonSecure, 0x4000_1008, 0x1_0000_0000 | S2_BLOCK),
            ]),
            |ask| ask.has.pa_bits = 42,
            Out(0x1_0000_1234, NonSecure, 0),
            Fault(2, 0x04, 0),
        ),
        // 16 KiB, SL0 2: from level 1 with 37 bits (T0SZ 27); entry 0, then IA[35:25], entry 1, 32 MiB.
        (
            "stage 2 of 16 KiB from level 1",
            "AArch64.S2InvalidSL, 42-bit addresses",
            two(0).set(vtcr(27, 2, 2, 2, 0)).at(0x200_1234).with(&[
                (NonSecure, 0x4000_0000, 0x4000_4003),
                (NonSecure, 0x4000_4008, 0x8200_0000 | S2_BLOCK),
            ]),
            |ask| ask.has.pa_bits = 40,
            Out(0x8200_1234, NonSecure, 0),
            Fault(2, 0x04, 0),
        ),
        // 64 KiB, SL0 2: from level 1 with 43 bits (T0SZ 21); the first entry is 0.
        (
            "stage 2 of 64 KiB from level 1",
            "AArch64.S2InvalidSL, 44-bit addresses",
            two(0).set(vtcr(21, 2, 1, 2, 0)).at(0x1234),
            |ask| ask.has.pa_bits = 43,
            Fault(2, 0x05, 0),
            Fault(2, 0x04, 0),
        ),
        // 16 KiB, SL0 3: from level 0 with 48 bits and DS; entry 0, then IA[46:36], entry 1, 64 GiB.
        (
            "stage 2 of 16 KiB from level 0",
            "AArch64.S2InvalidSL, FEAT_LPA2",
            two(0).set(vtcr(16, 3, 2, 5, 1 << 32)).at(0x10_0000_1234).with(&[
                (NonSecure, 0x4000_0000, 0x4000_4003),
                (NonSecure, 0x4000_4008, 0x20_0000_0000 | S2_BLOCK),
            ]),
            |ask| ask.has.lpa2 = false,
            Out(0x20_0000_1234, NonSecure, 0),
            Fault(2, 0x04, 0),
        ),
        // T0SZ 12, from level 1, whose first entry is 0.
        (
            "stage 2 of 64 KiB with 52 bits",
            "AArch64.S2MinTxSZ, FEAT_LPA",
            two(0).set(vtcr(12, 2, 1, 6, 0)).at(0x1234),
            |ask| ask.has.lpa = false,
            Fault(2, 0x05, 0),
            Fault(2, 0x04, 0),
        ),
        // 49 bits from level 0, with DS; the table of level 1 is empty.
        (
            "stage 2 of 4 KiB with 49 bits",
            "AArch64.S2MinTxSZ, FEAT_LPA2",
            two(0).set(vtcr(15, 2, 0, 6, 1 << 32)).at(0x1234).with(&[(NonSecure, 0x4000_0000, 0x4000_1003)]),
            |ask| ask.has.lpa2 = false,
            Fault(2, 0x05, 0),
            Fault(2, 0x04, 0),
        ),
        // 55 bits: (55 - 1 - 12) / 8 = 5 levels above the last, level -2: DFSC 0b101010; 56 are too many for two ranges.
        (
            "D128 with 55 bits, and with 56",
            "TCR_EL1.T0SZ, FEAT_LVA3",
            wide(Regime::El1And0, 9, 0),
            |ask| ask.registers.el1.tcr -= 1,
            Fault(1, 0x2a, 0),
            Fault(1, 0x04, 0),
        ),
        (
            "D128 with 56 bits, and with 57, in one range",
            "TCR_EL3.T0SZ, FEAT_LVA3",
            wide(Regime::El3, 8, 0),
            |ask| ask.registers.el3.tcr -= 1,
            Fault(1, 0x2a, 0),
            Fault(1, 0x04, 0),
        ),
        // 16 KiB, 55 bits, SKL 3: from level 2 by IA[54:24], a table of 2^35 bytes. IA[53] alone: 1 << 29, times 16, is
        // 0x2_0000_0000: within 40 bits, where the descriptor is 0, and beyond 32.
        (
            "a first table that reaches beyond the output size",
            "TTBR0_EL1.SKL, TCR_EL1.IPS, DFSC 0b000000",
            wide(Regime::El1And0, 9, 2).at(1 << 53).set(|registers| {
                registers.el1.ttbr0 = 3 << 1;
                registers.el1.tcr = 2 << 32 | 2 << 14 | 9;
            }),
            |ask| ask.registers.el1.tcr &= !(7 << 32),
            Fault(1, 0x06, 0),
            Fault(1, 0x00, 0),
        ),
        // SKL 3 in the first of five levels, which would lead to level 3: 16 KiB, (55 - 1 - 14) / 10 = 4, level -1.
        (
            "SKL 3 is of 4 KiB alone",
            "VMSAv9-128 table descriptors, SKL",
            wide(Regime::El1And0, 9, 0)
                .with(&[(NonSecure, 0x5000_0000, 1), (NonSecure, 0x5000_0008, 3 << 45)]),
            |ask| ask.registers.el1.tcr |= 2 << 14,
            Fault(1, 0x06, 0),
            Fault(1, 0x2b, 0),
        ),
    ];
    check(rows);
}

#[test]
fn wide_descriptors_have_their_own_rules() {
    // 4 KiB, T0SZ 28: 36 bits, (36 - 1 - 12) / 8 = 2: from level 1, IA[35:28]. SKL (110:109) 2: a leaf of 2^28 bytes. Field 0 of
    // PIR_EL1: 0b0101, read and write.
    let wide = |t0sz: u64, entries: &[(Space, u64, u64)]| {
        one(0).with(entries).set(move |registers| {
            registers.el1.tcr = 2 << 32 | t0sz;
            registers.el1.tcr2 = D128;
            registers.el1.pir = 5;
        })
    };
    let leaf = |skl: u64, more: u64| skl << 45 | more;
    const CONTIGUOUS: u64 = 1 << 47;
    let first = [(NonSecure, 0x5000_0010, 0x401), (NonSecure, 0x5000_0018, leaf(2, CONTIGUOUS))];
    // A table (SKL 0) with and without DisCH, bit 112; IA[27:20], entry 1, SKL 1.
    let below = |disch: u64| {
        [
            (NonSecure, 0x5000_0000, 0x5000_1001),
            (NonSecure, 0x5000_0008, disch),
            (NonSecure, 0x5000_1010, 0x401),
            (NonSecure, 0x5000_1018, leaf(1, CONTIGUOUS)),
        ]
    };
    // SH 0b11, which TCR_EL1.SH0 (0) must not replace.
    let shared = [(NonSecure, 0x5000_0000, 0x701), (NonSecure, 0x5000_0008, leaf(2, 0))];
    let of = |at| Out(at, NonSecure, 0xff);
    let rows: &[Row] = &[
        // Four of them: IA[29:28] is kept.
        (
            "DisCH0, for the first table",
            "TCR2_EL1.DisCH0",
            wide(28, &first).at(0x1000_0123),
            |ask| ask.registers.el1.tcr2 |= DISCH0,
            of(0x1000_0123),
            of(0x123),
        ),
        // Sixteen: IA[23:20].
        (
            "DisCH of the last table",
            "VMSAv9-128 table descriptors, DisCH",
            wide(28, &below(0)).at(0x10_0123),
            |ask| ask.entries[1].2 = 1 << 48,
            of(0x10_0123),
            of(0x123),
        ),
        (
            "DisCH0 is not for the second table",
            "TCR2_EL1.DisCH0",
            wide(28, &below(0)).set(|registers| registers.el1.tcr2 |= DISCH0).at(0x10_0123),
            |ask| ask.entries[1].2 = 1 << 48,
            of(0x10_0123),
            of(0x123),
        ),
        // AP[2:1] 0b00 would let EL1 read.
        (
            "permissions are indirect",
            "TCR2_EL1.D128: PIE is 1",
            wide(28, &shared),
            |ask| ask.registers.el1.pir = 0,
            of(0x123),
            Fault(1, 0x0d, 0),
        ),
    ];
    check(rows);
    let ds = wide(28, &shared).set(|registers| registers.el1.tcr |= 1 << 59);
    assert_eq!(ds.mapping().attributes.shareability(), Shareability::InnerShareable, "DS is ignored");
    // Stage 2, T0SZ 24: (40 - 1 - 12) / 8 = 3, from level 0; SKL 3: a leaf of 2^36 bytes. MemAttr 0b1111; S2AP is not looked at.
    let second = two(0)
        .set(|registers| {
            registers.vtcr_el2 |= 1 << 38;
            registers.s2pir_el2 = 0xc;
        })
        .with(&[(NonSecure, 0x4000_0000, 0x43d), (NonSecure, 0x4000_0008, leaf(3, 0))]);
    assert_eq!(second.answer(), Out(0x4000_1234, NonSecure, 0), "VTCR_EL2.D128: S2PIE is 1");
    // EL2 with E2H 0 has neither 128-bit descriptors nor EL0.
    let mut el2 = one(0).with(&[(NonSecure, 0x4000_0000, BLOCK)]);
    el2.regime = Regime::El2;
    let el2 = el2.set(|registers| {
        registers.el2 = Stage1Registers {
            sctlr: 0x1005,
            tcr: 0x8082_0019,
            tcr2: D128 | E0POE,
            ttbr0: 0x4000_0000,
            mair: 0xff,
            ..Stage1Registers::default()
        };
    });
    assert_eq!(el2.answer(), of(0x8000_0123), "TCR2_EL2.D128 with E2H 0");
}

#[test]
fn spaces_follow_state_regime_and_controls() {
    // SCR_EL3: NSE (bit 62) and NS: Realm state.
    const REALM: u64 = 1 << 62 | SCR;
    let of = |at, space, attr| Out(at, space, attr);
    let realm = |ask: Ask, entries: &[(Space, u64, u64)]| {
        let ask = ask.with(entries).set(|registers| registers.scr_el3 = REALM);
        let mut ask = ask;
        ask.has.rme = true;
        ask
    };
    let mut el2 = realm(one(0), &[(Realm, 0x4000_0000, BLOCK | 1 << 5)]);
    el2.regime = Regime::El2;
    el2.registers.el2 = Stage1Registers {
        sctlr: 0x1005,
        tcr: 0x8082_0019,
        ttbr0: 0x4000_0000,
        mair: 0xff,
        ..Stage1Registers::default()
    };
    // Secure: VSTCR_EL2.SW (29) moves Secure tables to Non-secure space; SA and NSW behave as 1 then. NS, bit 5 of the leaf.
    let secure = two(0)
        .set(|registers| {
            *registers = Registers {
                el1: el1_registers(),
                scr_el3: 1 << 18,
                hcr_el2: VM,
                vtcr_el2: 0x8002_0058,
                vttbr_el2: 0x4001_0000,
                vstcr_el2: 0xa000_0058,
                vsttbr_el2: 0x4000_0000,
                ..Registers::default()
            };
        })
        .at(0x123)
        .with(&[
            (NonSecure, 0x4000_0008, 0x4000_0000 | S2_BLOCK),
            (NonSecure, 0x5000_0000, BLOCK | 1 << 5),
            (NonSecure, 0x4001_0010, 0x1_0000_0000 | S2_BLOCK),
        ]);
    let rows: &[Row] = &[
        (
            "NS of Realm EL2",
            "D8.3, NS",
            el2,
            |ask| ask.entries[0].2 &= !(1 << 5),
            of(0x8000_0123, NonSecure, 0xff),
            of(0x8000_0123, Realm, 0xff),
        ),
        // Bit 55.
        (
            "NS of Realm stage 2",
            "stage 2 leaf descriptors, NS",
            realm(two(0), &[(Realm, 0x4000_0008, 1 << 55 | 0x1_0000_0000 | S2_BLOCK)]),
            |ask| ask.entries[0].2 &= !(1 << 55),
            of(0x1_0000_1234, NonSecure, 0),
            of(0x1_0000_1234, Realm, 0),
        ),
        (
            "NSW behaves as 1 with SW",
            "VTCR_EL2.NSW, VSTCR_EL2.SW",
            secure,
            // Now the table of stage 1 is Secure's, and the one of the Non-secure address too.
            |ask| ask.registers.vstcr_el2 &= !(1 << 29),
            of(0x1_0000_0123, NonSecure, 0xff),
            Fault(2, 0x85, 0),
        ),
    ];
    check(rows);
    // EL1 of Realm state has no NS: its output is Realm's whatever bit 5 is.
    let el1 = realm(one(0), &[(Realm, 0x5000_0000, BLOCK | 1 << 5)]);
    assert_eq!(el1.answer(), of(0x8000_0123, Realm, 0xff));
    // Secure EL1&0 with a table that is Non-secure (NSTable): what it maps is of the ASID, nG or not.
    // Arm ARM, AArch64.S1NextWalkStateLeaf.
    let table = |bits: u64| {
        let entries = [
            (Secure, 0x5000_0000, bits | 0x6000_0003),
            (NonSecure, 0x6000_0000, 0x8000_0401),
            (Secure, 0x6000_0000, 0x8000_0401),
        ];
        one(0).with(&entries).set(|registers| registers.scr_el3 = 0).mapping()
    };
    assert!(table(1 << 63).not_global && !table(0).not_global);
    assert_eq!((table(1 << 63).space, table(0).space), (NonSecure, Secure));
}

#[test]
fn walks_of_stage_1_are_accesses_of_their_own() {
    // The table's page without AF: also for DC CIVAC, which needs none of its own. DFSC 0b001001, S1PTW, WnR, CM.
    let clean = Access::new(AccessKind::CleanInvalidate, Privilege::Privileged);
    let mut ask = both().by(clean);
    assert_eq!(ask.answer(), Out(0x1_0000_0123, NonSecure, 0xff));
    ask.entries[0].2 &= !(1 << 10);
    assert_eq!(ask.answer(), Fault(2, 0x1c9, 0));
    // No S2AP for it: WnR is that of the access. Arm ARM, AArch64.S2CheckPermissions.
    for (access, iss) in [(READ, 0x8d), (WRITE, 0xcd)] {
        let mut ask = both().by(access);
        ask.entries[0].2 &= !(3 << 6);
        assert_eq!(ask.answer(), Fault(2, iss, 0), "{access:?}");
    }
}

/// What a walk decides.
#[derive(Default)]
struct Decided(Vec<Rule>);

impl Recorder for Decided {
    fn record(&mut self, step: Step) {
        if let Step::Decided { rule, .. } = step {
            self.0.push(rule);
        }
    }
}

#[test]
fn the_flag_of_tables_is_set_for_accesses_where_haft_is_implemented() {
    let sets = |ask: &Ask| {
        let mut decided = Decided::default();
        let _ = ask.translation(&mut decided);
        decided.0.contains(&Rule::TableAccessFlagSet)
    };
    // TCR2_EL1.HAFT, TCR_EL1.HA; a table without AF.
    let first = one(0)
        .with(&[(NonSecure, 0x5000_0000, 0x5000_1003), (NonSecure, 0x5000_1000, 0x8000_0401)])
        .set(|registers| {
            registers.el1.tcr |= 1 << 39;
            registers.el1.tcr2 |= HAFT;
        });
    // VTCR_EL2.HAFT, HA.
    let second = two(0)
        .with(&[(NonSecure, 0x4000_0008, 0x4000_1003), (NonSecure, 0x4000_1000, 0x8000_0000 | S2_BLOCK)])
        .set(|registers| registers.vtcr_el2 |= 1 << 44 | 1 << 21);
    for ask in [first, second] {
        assert!(sets(&ask));
        let mut without = ask.clone();
        without.has.hafdbs = HardwareUpdates::DirtyState;
        assert!(!sets(&without), "FEAT_HAFT");
        let at = ask.clone().by(Access::new(AccessKind::AtRead, Privilege::Privileged));
        assert!(!sets(&at), "AT writes nothing");
    }
}

#[test]
fn a_group_is_contiguous_where_both_stages_say_so() {
    // Stage 1: contiguous blocks at level 1, or not; stage 2 likewise.
    let ask = |first: bool, second: bool| {
        let mut ask = both();
        ask.entries[1].2 |= u64::from(first) << 52;
        ask.entries[2].2 |= u64::from(second) << 52;
        // The group of 16 GiB keeps IA[33:30] of the input, 0: the table entry is where stage 2 maps 0.
        ask.entries.push((NonSecure, 0x4000_0000, (u64::from(second) << 52 | 0x1_0000_0000) | S2_BLOCK));
        ask.mapping().contiguous
    };
    assert_eq!(
        [ask(false, false), ask(true, false), ask(false, true), ask(true, true)],
        [false, false, false, true]
    );
}

#[test]
fn at_is_trapped_by_features_that_are_there() {
    use ExceptionLevel::{El0, El1, El2, El3};
    let run = |operation, el, change: &dyn Fn(&mut Ask)| {
        let mut ask = one(BLOCK);
        change(&mut ask);
        let context = AtContext { el, pan: false };
        execute_at(
            (operation, 3),
            Va::new(0x123),
            context,
            (&ask.registers, &ask.has),
            &ask.memory(),
            &mut (),
        )
        .expect("memory works")
    };
    // HFGITR_EL2.ATS1E1R (12) counts with SCR_EL3.FGTEn (27) and FEAT_FGT.
    let fine = |scr: u64, fgt: bool| {
        run(AtOperation::S1E1R, El1, &move |ask: &mut Ask| {
            ask.registers.hfgitr_el2 = 1 << 12;
            ask.registers.scr_el3 |= scr;
            ask.has.fgt = fgt;
        })
    };
    assert!(matches!(fine(1 << 27, true), AtExecution::Trapped { target: El2, .. }));
    assert!(matches!(fine(0, true), AtExecution::Par(_)), "SCR_EL3.FGTEn 0");
    assert!(matches!(fine(1 << 27, false), AtExecution::Par(_)), "without FEAT_FGT");
    // HCR_EL2.NV (42): AT S1E2R of a hypervisor at EL1.
    let nested = |nv: bool| {
        run(AtOperation::S1E2R, El1, &move |ask: &mut Ask| {
            ask.registers.hcr_el2 = 1 << 42;
            ask.has.nv = nv;
        })
    };
    assert!(matches!(nested(true), AtExecution::Trapped { target: El2, .. }));
    assert_eq!(nested(false), AtExecution::Undefined { target: El1 }, "without FEAT_NV");
    // At EL0 it is UNDEFINED, which under TGE goes to EL2.
    let user = |hcr: u64| run(AtOperation::S1E1R, El0, &move |ask: &mut Ask| ask.registers.hcr_el2 = hcr);
    assert_eq!(user(0), AtExecution::Undefined { target: El1 });
    assert_eq!(user(TGE), AtExecution::Undefined { target: El2 });
    // SCR_EL3.EA (3) with EL3 and without: an external abort on the walk.
    struct Nowhere;
    impl TableMemory<Located> for Nowhere {
        type Error = ();
        fn load(&self, _: Located) -> Result<Option<[u8; 8]>, ()> {
            Ok(None)
        }
    }
    for (el3, want) in [(true, El3), (false, El1)] {
        let mut ask = one(BLOCK);
        ask.has.el3 = el3;
        ask.registers.scr_el3 |= 1 << 3;
        let context = AtContext { el: El1, pan: false };
        let machine = (&ask.registers, &ask.has);
        let got = execute_at((AtOperation::S1E1R, 3), Va::new(0x123), context, machine, &Nowhere, &mut ());
        assert!(matches!(got, Ok(AtExecution::Abort { target, .. }) if target == want), "EL3 {el3}: {got:?}");
    }
}
