//! Draws cases: a regime with its registers, tables along the paths of a few addresses, and queries for them.

use super::ask::{Memory, Trace};
use super::case::{Case, NON_SECURE_TABLES, PROGRAM, Query, REGISTER_WORDS, STAGE_2_TABLES, register as r};
use super::geometry::{Geometry, ones};
use super::tables::{Builder, Purpose, SPREAD, Stage};
use crate::rng::Rng;
use arm_arch::Va;
use arm_arch::sysreg::{Tcr2, VtcrEl2};
use mmu_xlate::vmsa::{Access, AccessKind, Implementation, Privilege, Regime, Translation, Translator};
use std::collections::BTreeMap;

/// Which regimes are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Those of EL1 and EL2 in Non-secure state.
    NonSecure,
    /// Those of EL1 and EL2 in Secure state, stage 2 of Secure and of Non-secure addresses among them.
    Secure,
    /// That of EL3.
    El3,
}

impl World {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 3] =
        [("non-secure", Self::NonSecure), ("secure", Self::Secure), ("el3", Self::El3)];
}

/// Which translation a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// EL1&0 alone.
    El1,
    /// EL1&0 over stage 2.
    TwoStage,
    /// Stage 2 alone.
    Stage2,
    /// EL2&0.
    El2Host,
    /// EL2.
    El2,
}

/// Positions in `AtOperation::ALL`.
const EL1: &[u8] = &[0, 1, 2, 3, 4, 5, 6];
const EL2: &[u8] = &[7, 8, 9];
const EL3: &[u8] = &[10, 11, 12];
const BOTH: &[u8] = &[13, 14, 15, 16];

const MAIR: [u64; 24] = [
    0x00, 0x04, 0x08, 0x0c, 0x44, 0x44, 0xff, 0xff, 0xff, 0xbb, 0xaa, 0xee, 0x77, 0x33, 0xf4, 0x4f, 0x1c,
    0xc9, 0x94, 0x57, 0x40, 0xa0, 0x01, 0x0d,
];

/// Returns case `number` of a sequence, alike on every machine.
#[must_use]
pub fn case(world: World, seed: u64, number: u64) -> Case {
    let rng = &mut Rng::item(seed, number);
    if world == World::El3 {
        return el3(rng);
    }
    let kind = match rng.below(100) {
        0..=20 => Kind::El1,
        21..=58 => Kind::TwoStage,
        59..=72 => Kind::Stage2,
        73..=87 => Kind::El2Host,
        _ => Kind::El2,
    };
    let mut words = [0; REGISTER_WORDS];
    words[r::SCR_EL3] = 0x530 | 1 | 1 << 16 | 1 << 17 | 1 << 18 | 0x1ff << 38;
    words[r::HCR_EL2] = 1 << 31;
    words[r::HCRX_EL2] = if rng.percent(97) { 1 << 14 } else { 0 };
    words[r::SCTLR_EL1] = 0x30d0_0800;
    words[r::SCTLR_EL2] = 0x30c5_0830;
    words[r::VTCR_EL2] = 1 << 31;
    words[r::PAN] = rng.below(2);
    let second = matches!(kind, Kind::TwoStage | Kind::Stage2).then(|| stage_2(rng, &mut words));
    let mut builder =
        Builder { memory: BTreeMap::new(), first: None, second, non_secure: None, spaces: false };
    if world == World::Secure {
        secure(rng, &mut words, &mut builder);
    }
    let halves = match kind {
        Kind::Stage2 => {
            words[r::SCTLR_EL1] |= rng.word() & (1 << 2 | 1 << 12);
            words[r::HCR_EL2] |= if rng.percent(30) { 1 << 12 } else { 0 };
            Vec::new()
        }
        Kind::El1 | Kind::TwoStage | Kind::El2Host => two_ranges(rng, &mut words, kind, &builder),
        Kind::El2 => one_range(rng, &mut words, &builder),
    };
    let operations: Vec<u8> = match kind {
        Kind::El1 => [EL1, EL1, BOTH].concat(),
        Kind::TwoStage => [BOTH, BOTH, BOTH, BOTH, EL1].concat(),
        Kind::Stage2 => [BOTH, BOTH, EL1].concat(),
        Kind::El2Host if words[r::HCR_EL2] >> 27 & 1 == 1 => [EL1, EL2, EL2, BOTH].concat(),
        Kind::El2Host | Kind::El2 => EL2.to_vec(),
    };
    rare(rng, &mut words);
    let queries = queries(rng, &mut builder, &halves, &operations);
    Case { registers: words, memory: builder.memory, queries }
}

/// Draws queries, and builds what is on their way.
fn queries(rng: &mut Rng, builder: &mut Builder, halves: &[Stage], operations: &[u8]) -> Vec<Query> {
    let second = builder.second;
    let mut queries = Vec::new();
    let mut before: Option<u64> = None;
    for _ in 0..5 {
        let (stage, va) = address(rng, halves, second.as_ref(), before);
        before = Some(va);
        builder.first = stage;
        builder.path(rng, va);
        for _ in 0..rng.below(3) + 2 {
            let page = if rng.percent(30) { rng.word() & 0xfff } else { 0 };
            queries.push(Query { operation: *rng.pick(operations), va: va ^ page });
        }
    }
    queries
}

/// Makes the state Secure, in which stage 2 has tables for either space.
fn secure(rng: &mut Rng, words: &mut [u64; REGISTER_WORDS], builder: &mut Builder) {
    words[r::SCR_EL3] &= !1;
    if rng.percent(5) {
        words[r::SCR_EL3] ^= 1 << 18;
    }
    builder.spaces = true;
    let Some(mut non_secure) = builder.second else { return };
    // NSW, NSA.
    words[r::VTCR_EL2] |= flag(rng, 25, 29) | flag(rng, 30, 30);
    let vtcr = words[r::VTCR_EL2];
    non_secure.base |= NON_SECURE_TABLES;
    words[r::VTTBR_EL2] |= NON_SECURE_TABLES;
    let vtcr = VtcrEl2::from_bits(vtcr);
    let (ds, ps) = (vtcr.ds(), vtcr.ps());
    let granule = granule(rng);
    let own = second_half(rng, granule, ds, non_secure.geometry.output);
    let base = own.base(rng);
    // SW, SA.
    let vstcr = 1 << 31 | own.t0sz | own.sl0 << 6 | tg0(granule) << 14 | own.sl2 << 33;
    words[r::VSTCR_EL2] = vstcr | flag(rng, 20, 29) | flag(rng, 25, 30);
    let wide = own.shape.ds || granule == 16 && ps == 6;
    words[r::VSTTBR_EL2] = ttbr(rng, &own.shape, base, wide) & ones(48);
    let secure = Stage { geometry: own.shape, base, ..non_secure };
    builder.second = Some(secure);
    builder.non_secure = Some(non_secure);
}

/// Draws a case for the regime of EL3. The program runs there: its own page is mapped, and where that does not
/// come out well, as when a register is not what was built for, the stage is off.
fn el3(rng: &mut Rng) -> Case {
    let mut words = [0; REGISTER_WORDS];
    words[r::SCR_EL3] = 0x530 | 1 << 18 | 0x1ff << 38 | rng.below(2) | flag(rng, 50, 9);
    words[r::HCR_EL2] = 1 << 31;
    words[r::SCTLR_EL3] = 0x30c5_0830;
    let mut builder =
        Builder { memory: BTreeMap::new(), first: None, second: None, non_secure: None, spaces: true };
    let mut drawn;
    let halves = loop {
        drawn = [0; REGISTER_WORDS];
        let halves = one_range(rng, &mut drawn, &builder);
        let input = halves.first().map_or(0, |stage| stage.geometry.input);
        if input > 30 && drawn[r::TCR_EL2] & 0x3f == 64 - u64::from(input) {
            break halves;
        }
    };
    words[r::SCTLR_EL3] |= drawn[r::SCTLR_EL2];
    // PIE and AIE stand in TCR_EL3 itself.
    words[r::TCR_EL3] = drawn[r::TCR_EL2] | (drawn[r::TCR2_EL2] & 2) << 34 | (drawn[r::TCR2_EL2] & 16) << 33;
    words[r::TTBR0_EL3] = drawn[r::TTBR0_EL2];
    words[r::MAIR_EL3] = drawn[r::MAIR_EL2];
    words[r::MAIR2_EL3] = drawn[r::MAIR2_EL2];
    // The first permission is read and execute.
    words[r::PIR_EL3] = drawn[r::PIR_EL2] & !0xf | 0b1010;
    halves.iter().for_each(|stage| builder.map_program(rng, stage));
    let queries = queries(rng, &mut builder, &halves, EL3);
    let mut case = Case { registers: words, memory: builder.memory, queries };
    if !runs_the_program(&case) {
        case.registers[r::SCTLR_EL3] &= !1;
    }
    case
}

/// Whether the program's page is mapped to itself at EL3, and may be executed.
fn runs_the_program(case: &Case) -> bool {
    let translator = Translator::new(Regime::El3, &case.typed(), &Implementation::ALL);
    let access = Access::new(AccessKind::Fetch, Privilege::Privileged);
    let memory = Memory { words: &case.memory };
    let found = translator.translate(Va::new(PROGRAM), access, &memory, &mut Trace::default());
    matches!(found, Ok(Translation::Mapped(mapping)) if mapping.output.bits() == PROGRAM)
}

/// Controls that change the whole answer, seldom.
fn rare(rng: &mut Rng, words: &mut [u64; REGISTER_WORDS]) {
    let mut flip = |rng: &mut Rng, percent: u64, register: usize, mask: u64| {
        if rng.percent(percent) {
            words[register] ^= mask;
        }
    };
    // DC, CD, ID, VM, {NV, NV1}, TGE.
    flip(rng, 1, r::HCR_EL2, 1 << 12);
    flip(rng, 3, r::HCR_EL2, 1 << 32);
    flip(rng, 1, r::HCR_EL2, 1 << 33);
    flip(rng, 2, r::HCR_EL2, 1 << 42 | 1 << 43);
    // Tables of stage 1 lie where they are by VM: both together lead nowhere.
    if rng.percent(50) {
        flip(rng, 2, r::HCR_EL2, 1);
    } else {
        flip(rng, 2, r::HCR_EL2, 1 << 27);
    }
}

/// Draws an address for one of the ranges; near the one before, often.
fn address(
    rng: &mut Rng,
    halves: &[Stage],
    second: Option<&Stage>,
    before: Option<u64>,
) -> (Option<Stage>, u64) {
    let (stage, high, input) = match halves {
        [] => (None, false, second.map_or(48, |stage| stage.geometry.input)),
        [one] => (Some(*one), false, one.geometry.input),
        [low, high, ..] => {
            let upper = rng.percent(40);
            let stage = if upper { high } else { low };
            (Some(*stage), upper, stage.geometry.input)
        }
    };
    let mut va = rng.word();
    if let Some(before) = before.filter(|_| rng.percent(40)) {
        let keep = *rng.pick(&[12, 16, 21, 25, 30, 36, 39]);
        va = before & !ones(keep) | va & ones(keep);
    }
    va &= ones(input);
    if high {
        va |= !ones(input);
    }
    match rng.below(100) {
        0..=1 => va ^= 1 << rng.below(64),
        // What TBI ignores, where it is on.
        2..=9 => va ^= rng.word() & 0xff << 56,
        _ => {}
    }
    (stage, va)
}

/// The fields that TCR_EL1, and TCR_EL2 in both shapes, have in common.
struct Half {
    shape: Geometry,
    txsz: u64,
}

/// Draws one range's size and start.
fn half(rng: &mut Rng, granule: u32, ds: bool, output: u32) -> Half {
    let ds = ds && granule != 16;
    let largest = if ds || granule == 16 { 52 } else { 48 };
    let smallest = if granule == 16 { 17 } else { 16 };
    let stride = granule - 3;
    let deepest = u64::from((largest - 1 - granule) / stride);
    let least = granule + stride * rng.below(deepest + 1) as u32 + 1;
    let most = (least + stride - 1).min(largest);
    let input = (least + rng.below(u64::from(most + 1 - least)) as u32).max(smallest);
    let start = 3 - ((input - 1 - granule) / stride) as i32;
    let txsz = if rng.percent(1) { rng.below(64) } else { 64 - u64::from(input) };
    Half { shape: Geometry { granule, ds, input, start, output }, txsz }
}

fn output_size(rng: &mut Rng) -> (u64, u32) {
    *rng.pick(&[(5, 48), (5, 48), (6, 52), (6, 52), (2, 40), (2, 40), (0, 32), (1, 36), (3, 42), (4, 44)])
}

fn granule(rng: &mut Rng) -> u32 {
    *rng.pick(&[12, 12, 14, 16])
}

fn attributes(rng: &mut Rng) -> u64 {
    let mut bytes = 0;
    for _ in 0..8 {
        bytes = bytes << 8 | if rng.percent(1) { rng.word() & 0xff } else { *rng.pick(&MAIR) };
    }
    bytes
}

/// Draws indirect permissions that mostly permit.
fn indirection(rng: &mut Rng, plain: &[u64]) -> u64 {
    let mut nibbles = 0;
    for _ in 0..16 {
        nibbles = nibbles << 4 | if rng.percent(35) { rng.below(16) } else { *rng.pick(plain) };
    }
    nibbles
}

/// SH, ORGN and IRGN of one range.
fn walk_attributes(rng: &mut Rng) -> u64 {
    let sh = if rng.percent(2) { 1 } else { *rng.pick(&[0, 2, 3]) };
    sh << 4 | rng.below(16)
}

fn flag(rng: &mut Rng, percent: u64, bit: u32) -> u64 {
    u64::from(rng.percent(percent)) << bit
}

/// Draws SCTLR, with the stage on: C, I, WXN, SPAN, EE, EPAN.
fn sctlr(rng: &mut Rng) -> u64 {
    flag(rng, 97, 0)
        | flag(rng, 95, 2)
        | flag(rng, 50, 12)
        | flag(rng, 20, 19)
        | flag(rng, 10, 25)
        | flag(rng, 30, 57)
}

fn tg0(granule: u32) -> u64 {
    match granule {
        12 => 0,
        14 => 2,
        _ => 1,
    }
}

fn tg1(granule: u32) -> u64 {
    match granule {
        12 => 2,
        14 => 1,
        _ => 3,
    }
}

/// Returns TTBR for a table: the ASID and the bits below the table are not looked at.
fn ttbr(rng: &mut Rng, shape: &Geometry, base: u64, wide: bool) -> u64 {
    let mut value = base & ones(48) | (rng.word() & 0xff) << 48 | rng.below(2);
    if wide {
        value |= (base >> 48 & 0xf) << 2;
    } else if rng.percent(5) {
        value |= rng.word() & ones(shape.first_table().min(12)) & !1;
    }
    if rng.percent(1) {
        // Beyond the output size, or another table.
        value ^= 1 << (rng.below(16) + 32);
    }
    value
}

/// Draws TCR2: PIE, AIE.
fn tcr2(rng: &mut Rng) -> u64 {
    flag(rng, 22, 1) | flag(rng, 15, 4)
}

fn two_ranges(rng: &mut Rng, words: &mut [u64; REGISTER_WORDS], kind: Kind, builder: &Builder) -> Vec<Stage> {
    let ds = rng.percent(35);
    let (ips, output) = output_size(rng);
    let granules = [granule(rng), granule(rng)];
    let [low, high] = granules.map(|granule| half(rng, granule, ds, output));
    let mut tcr = low.txsz | walk_attributes(rng) << 8 | tg0(low.shape.granule) << 14;
    tcr |= high.txsz << 16 | walk_attributes(rng) << 24 | tg1(high.shape.granule) << 30;
    tcr |= ips << 32 | u64::from(ds) << 59 | rng.below(2) << 36 | rng.below(2) << 22;
    // EPD, TBI, HA, HD, HPD, TBID, E0PD.
    tcr |= flag(rng, 1, 7) | flag(rng, 1, 23) | flag(rng, 30, 37) | flag(rng, 30, 38);
    tcr |= flag(rng, 35, 39) | flag(rng, 35, 40) | flag(rng, 15, 41) | flag(rng, 15, 42);
    tcr |= flag(rng, 20, 51) | flag(rng, 20, 52) | flag(rng, 3, 55) | flag(rng, 3, 56);
    let control = sctlr(rng);
    let tcr2 = tcr2(rng);
    let bases =
        [&low, &high].map(|half| builder.place(rng, half.shape.first_table(), output, Purpose::First));
    let wide = |shape: &Geometry| shape.ds || shape.granule == 16 && ips == 6;
    let registers = [
        ttbr(rng, &low.shape, bases[0], wide(&low.shape)),
        ttbr(rng, &high.shape, bases[1], wide(&high.shape)),
    ];
    let pir = [0; 2].map(|_| indirection(rng, &[5, 7, 12, 14, 5, 7, 1, 8]));
    let mair = [0; 2].map(|_| attributes(rng));
    let pie = Tcr2::from_bits(tcr2).pie() && words[r::HCRX_EL2] != 0;
    if kind == Kind::El2Host {
        words[r::HCR_EL2] |= 1 << 34 | flag(rng, 50, 27);
        words[r::SCTLR_EL2] |= control;
        words[r::TCR_EL2] = tcr;
        words[r::TCR2_EL2] = tcr2;
        [words[r::TTBR0_EL2], words[r::TTBR1_EL2]] = registers;
        [words[r::PIR_EL2], words[r::PIRE0_EL2]] = pir;
        [words[r::MAIR_EL2], words[r::MAIR2_EL2]] = mair;
    } else {
        words[r::HCR_EL2] |= flag(rng, 15, 34);
        words[r::SCTLR_EL1] |= control;
        words[r::TCR_EL1] = tcr;
        words[r::TCR2_EL1] = tcr2;
        [words[r::TTBR0_EL1], words[r::TTBR1_EL1]] = registers;
        [words[r::PIR_EL1], words[r::PIRE0_EL1]] = pir;
        [words[r::MAIR_EL1], words[r::MAIR2_EL1]] = mair;
    }
    let big_endian = control >> 25 & 1 == 1;
    [low, high]
        .iter()
        .zip(bases)
        .map(|(half, base)| Stage { geometry: half.shape, base, big_endian, pie, fwb: false })
        .collect()
}

fn one_range(rng: &mut Rng, words: &mut [u64; REGISTER_WORDS], builder: &Builder) -> Vec<Stage> {
    let ds = rng.percent(35);
    let (ps, output) = output_size(rng);
    let granule = granule(rng);
    let half = half(rng, granule, ds, output);
    let shape = half.shape;
    let mut tcr = 1 << 31 | 1 << 23 | half.txsz | walk_attributes(rng) << 8 | tg0(granule) << 14 | ps << 16;
    // TBI, HA, HD, HPD, TBID, DS.
    tcr |= flag(rng, 30, 20) | flag(rng, 35, 21) | flag(rng, 35, 22) | flag(rng, 15, 24) | flag(rng, 20, 29);
    tcr |= u64::from(ds) << 32;
    let base = builder.place(rng, shape.first_table(), output, Purpose::First);
    let control = sctlr(rng);
    words[r::SCTLR_EL2] |= control;
    words[r::TCR_EL2] = tcr;
    words[r::TCR2_EL2] = tcr2(rng);
    words[r::TTBR0_EL2] = ttbr(rng, &shape, base, shape.ds || granule == 16 && ps == 6);
    words[r::PIR_EL2] = indirection(rng, &[5, 7, 12, 14, 5, 7, 1, 8]);
    words[r::PIRE0_EL2] = rng.word();
    words[r::MAIR_EL2] = attributes(rng);
    words[r::MAIR2_EL2] = attributes(rng);
    let pie = words[r::TCR2_EL2] & 2 != 0;
    vec![Stage { geometry: shape, base, big_endian: control >> 25 & 1 == 1, pie, fwb: false }]
}

fn stage_2(rng: &mut Rng, words: &mut [u64; REGISTER_WORDS]) -> Stage {
    let granule = granule(rng);
    let ds = rng.percent(45);
    let (ps, output) = output_size(rng);
    let own = second_half(rng, granule, ds, output);
    let geometry = own.shape;
    let mut vtcr =
        1 << 31 | own.t0sz | own.sl0 << 6 | walk_attributes(rng) << 8 | tg0(granule) << 14 | ps << 16;
    vtcr |= flag(rng, 35, 21) | flag(rng, 35, 22) | rng.below(2) << 19 | u64::from(ds) << 32 | own.sl2 << 33;
    let pie = rng.percent(20);
    vtcr |= u64::from(pie) << 36;
    let base = own.base(rng);
    words[r::VTCR_EL2] = vtcr;
    words[r::VTTBR_EL2] = ttbr(rng, &geometry, base, geometry.ds || granule == 16 && ps == 6);
    words[r::S2PIR_EL2] = indirection(rng, &[12, 13, 14, 15, 12, 15, 8, 2]);
    let big_endian = rng.percent(10);
    words[r::SCTLR_EL2] |= u64::from(big_endian) << 25;
    let fwb = rng.percent(25);
    // VM, PTW, FWB.
    words[r::HCR_EL2] |= 1 | flag(rng, 10, 2) | u64::from(fwb) << 46;
    Stage { geometry, base, big_endian, pie, fwb }
}

/// The fields that VTCR_EL2 and VSTCR_EL2 have each for themselves.
struct SecondHalf {
    shape: Geometry,
    t0sz: u64,
    sl0: u64,
    sl2: u64,
}

impl SecondHalf {
    /// Draws where the first table lies.
    fn base(&self, rng: &mut Rng) -> u64 {
        let align = self.shape.input.saturating_sub(self.shape.shift(self.shape.start)) + 3;
        STAGE_2_TABLES | rng.word() & ones(SPREAD) & !ones(align.max(6))
    }
}

/// Draws stage 2's size and start for one space.
fn second_half(rng: &mut Rng, granule: u32, ds: bool, output: u32) -> SecondHalf {
    let shape_ds = ds && granule != 16;
    let stride = granule - 3;
    let largest = if shape_ds || granule == 16 { 52 } else { 48 };
    let smallest = if granule == 16 { 17 } else { 16 };
    let start: i32 = match granule {
        12 if shape_ds => *rng.pick(&[-1, -1, 0, 0, 1, 2, 3]),
        12 => *rng.pick(&[0, 1, 2, 3]),
        14 if shape_ds => *rng.pick(&[0, 1, 2, 3]),
        _ => *rng.pick(&[1, 2, 3]),
    };
    // One index bit of the first table at least, sixteen tables at most.
    let least = stride * (3 - start) as u32 + granule + 1;
    let most = (least + stride + 3).min(largest);
    let input = least + rng.below(u64::from(most + 1 - least)) as u32;
    let input = input.max(smallest);
    let (sl2, sl0) = match (granule, start) {
        (12, -1) => (1, 0),
        (12, 3) => (0, 3),
        (12, level) => (0, 2 - level as u64),
        (_, level) => (0, 3 - level as u64),
    };
    let t0sz = if rng.percent(1) { rng.below(64) } else { 64 - u64::from(input) };
    let sl0 = if rng.percent(1) { rng.below(4) } else { sl0 };
    SecondHalf { shape: Geometry { granule, ds: shape_ds, input, start, output }, t0sz, sl0, sl2 }
}
