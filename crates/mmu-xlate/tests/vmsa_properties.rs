//! What holds for every walk, over random registers and tables from fixed seeds: it ends, it reads only
//! descriptors, the same question has the same answer, a probe and an updating walk agree, updates touch
//! the access flag and dirty state alone and settle, and what a mapping says is permitted is.
#![cfg(feature = "vmsa")]
#![allow(
    missing_docs,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test"
)]

use arm_arch::{FaultStatus, Pa, Va};
use mmu_xlate::vmsa::{
    Access, AccessKind, HardwareUpdates, Implementation, Mapping, Permissions, Privilege, Recorder, Regime,
    Registers, Stage, Stage1Registers, Step, TableCache, Translation, Translator, walk,
};
use mmu_xlate::{Swap, TableMemory, TableUpdate};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;

const CASES: u64 = 60_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Keeps each bit of `mask` with one chance in four.
    fn some_of(&mut self, mask: u64) -> u64 {
        mask & self.next() & self.next()
    }
}

const fn mix(seed: u64) -> u64 {
    let a = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ a >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ b >> 31
}

/// Memory full of descriptors: what an address holds is a function of it, until it is written.
#[derive(Clone)]
struct Memory {
    seed: u64,
    big_endian: bool,
    wide: bool,
    written: RefCell<BTreeMap<u64, u64>>,
    loads: Cell<u32>,
}

impl Memory {
    /// A doubleword that often is a table or leaf with a small address.
    fn natural(&self, at: u64) -> u64 {
        let random = mix(self.seed ^ at);
        if self.wide && at & 8 != 0 {
            // The upper half of a 128-bit descriptor: few tables skip levels.
            let skl = if random & 7 == 0 { (random >> 8 & 3) << 45 } else { 0 };
            return random & !(3 << 45) | skl;
        }
        let kind = match random >> 32 & 15 {
            0 => 0,
            1..=2 => 1,
            _ => 3,
        };
        let flag = if random >> 36 & 3 == 0 { 0 } else { 1 << 10 };
        let address = random >> 16 & 0xffff << 16;
        let upper = mix(random) & 0xfff8_0000_0000_0000 & mix(random + 1);
        upper | address | random & 0xbfc | flag | kind
    }

    fn value(&self, at: u64) -> u64 {
        let natural = self.natural(at);
        let natural = if self.big_endian { natural.swap_bytes() } else { natural };
        self.written.borrow().get(&at).copied().unwrap_or(natural)
    }
}

impl TableMemory<Pa> for Memory {
    type Error = Infallible;

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, Infallible> {
        assert_eq!(at.bits() & 7, 0, "descriptors are aligned");
        self.loads.set(self.loads.get() + 1);
        Ok(Some(self.value(at.bits()).to_le_bytes()))
    }
}

impl TableUpdate<Pa> for Memory {
    fn compare_exchange(&self, at: Pa, old: [u8; 8], new: [u8; 8]) -> Result<Swap, Infallible> {
        assert_eq!(self.value(at.bits()).to_le_bytes(), old, "what was read is expected");
        let order =
            |bytes| if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) };
        assert_eq!((order(old) ^ order(new)) & !0x480, 0, "access flag and dirty state alone change");
        self.written.borrow_mut().insert(at.bits(), u64::from_le_bytes(new));
        Ok(Swap::Done)
    }

    fn compare_exchange_pair(
        &self,
        at: Pa,
        old: [[u8; 8]; 2],
        new: [[u8; 8]; 2],
    ) -> Result<Swap, Infallible> {
        for (half, (old, new)) in old.into_iter().zip(new).enumerate() {
            if old != new {
                let Ok(_) = self.compare_exchange(Pa::new(at.bits() + 8 * half as u64), old, new);
            }
        }
        Ok(Swap::Done)
    }
}

fn stage1(random: &mut Random, two_ranges: bool) -> Stage1Registers {
    let txsz = random.pick(&[16, 16, 20, 25, 25, 28, 33, 12, 39, 45, 9]);
    let tcr = if two_ranges {
        let other = random.pick(&[16, 25, 33]);
        let granules = random.pick(&[2 << 30, 1 << 30 | 2 << 14, 3 << 30 | 1 << 14]);
        txsz | other << 16
            | granules
            | random.pick(&[0, 2, 5, 6]) << 32
            | random.some_of(0x09f8_07e0_0000_3f00)
    } else {
        txsz | random.below(3) << 14
            | random.pick(&[0, 2, 5, 6]) << 16
            | random.some_of(0x3_2170_3f00)
            | 0x8080_0000
    };
    let updates = random.pick(&[0, 1, 3, 3]) << if two_ranges { 39 } else { 21 };
    Stage1Registers {
        sctlr: if random.one_in(8) { 0 } else { 0x1005 } | random.some_of(1 << 19 | 1 << 57 | 1 << 32),
        tcr: tcr | updates,
        tcr2: if random.one_in(2) { random.some_of(0xc83f) } else { 0 },
        ttbr0: u128::from(random.next() & 0x7fff_f000),
        ttbr1: u128::from(random.next() & 0x7fff_f000),
        mair: if random.one_in(3) { random.next() } else { 0xff44_0400_ffbb_77f4 },
        mair2: random.next(),
        pir: random.next(),
        pire0: random.next(),
        por: random.next() | 0x7777_0000_7777_0000,
    }
}

fn registers(random: &mut Random, regime: Regime) -> Registers {
    let two_ranges = regime.has_unprivileged();
    let vtcr = 0x8000_0000
        | random.pick(&[24, 16, 25, 28, 33])
        | random.below(4) << 6
        | random.pick(&[0, 0, 1, 2]) << 14
        | random.below(7) << 16
        | random.some_of(0x123f_0060_0000)
        | if random.one_in(4) { 1 << 38 } else { 0 }
        | random.pick(&[0, 1, 3, 3]) << 21;
    let hcr = if random.one_in(3) { 0 } else { 1 } | random.some_of(1 << 46 | 1 << 2 | 1 << 32 | 1 << 33);
    Registers {
        el1: stage1(random, true),
        el2: stage1(random, two_ranges),
        el3: stage1(random, false),
        por_el0: random.next() | 0x0000_7777_0000_7777,
        hcr_el2: hcr | if regime == Regime::El2And0 { 1 << 34 } else { 0 },
        hcrx_el2: 0x4000 | random.some_of(0x200),
        scr_el3: 1 | 1 << 43,
        vtcr_el2: vtcr,
        vttbr_el2: u128::from(random.next() & 0x7fff_0000),
        s2pir_el2: random.next() | 0xcccc_0000_cccc_0000,
        s2por_el1: random.next() | 0xcccc_cccc_0000_0000,
        ..Registers::default()
    }
}

fn implementation(random: &mut Random) -> Implementation {
    if random.one_in(4) {
        return Implementation::ARMV8_0;
    }
    Implementation {
        pa_bits: random.pick(&[40, 48, 52, 56]),
        hafdbs: random.pick(&[
            HardwareUpdates::None,
            HardwareUpdates::AccessFlag,
            HardwareUpdates::DirtyState,
            HardwareUpdates::TableAccessFlag,
        ]),
        ..Implementation::ALL
    }
}

const KINDS: [AccessKind; 9] = [
    AccessKind::Read,
    AccessKind::Write,
    AccessKind::Atomic,
    AccessKind::Fetch,
    AccessKind::Invalidate,
    AccessKind::Clean,
    AccessKind::CleanInvalidate,
    AccessKind::GcsRead,
    AccessKind::GcsWrite,
];

struct Case {
    translator: Translator,
    memory: Memory,
    va: Va,
    access: Access,
}

fn case(seed: u64) -> Case {
    let mut random = Random(mix(seed));
    let random = &mut random;
    let regime =
        random.pick(&[Regime::El1And0, Regime::El1And0, Regime::El1And0, Regime::El2And0, Regime::El2]);
    let registers = registers(random, regime);
    let translator = Translator::new(regime, &registers, &implementation(random));
    let wide = translator.stage1.is_wide() || translator.stage2.is_some_and(|stage2| stage2.is_wide());
    let memory = Memory {
        seed: random.next(),
        big_endian: false,
        wide,
        written: RefCell::default(),
        loads: Cell::new(0),
    };
    let tcr = match regime {
        Regime::El1And0 => registers.el1.tcr,
        Regime::El2And0 | Regime::El2 | Regime::El3 => registers.el2.tcr,
    };
    // Small addresses, so that stage 2 can map them too where stage 1 is off.
    let low = random.next() >> (tcr & 63).max(random.pick(&[8, 28, 36]));
    let high = !(random.next() >> (tcr >> 16 & 63));
    let va = if regime.has_unprivileged() && random.one_in(3) { high } else { low };
    let privilege = random.pick(&[Privilege::Privileged, Privilege::Unprivileged]);
    let privilege = if regime.has_unprivileged() { privilege } else { Privilege::Privileged };
    let access = Access::new(random.pick(&KINDS), privilege).with_pan(random.one_in(4));
    Case { translator, memory, va: Va::new(va & !0xf), access }
}

fn probe(case: &Case, access: Access) -> Translation<Pa> {
    let Ok(answer) = case.translator.translate(case.va, access, &case.memory, &mut ());
    answer
}

/// What a mapping without its report of updates is.
fn settled(translation: Translation<Pa>) -> Translation<Pa> {
    match translation {
        Translation::Mapped(mapping) => Translation::Mapped(Mapping { update: None, ..mapping }),
        fault @ Translation::Fault(_) => fault,
    }
}

#[test]
fn every_walk_ends_and_answers_alike_each_time() {
    let (mut leaves, mut stage2_faults) = (0, 0);
    for seed in 0..CASES {
        let case = case(seed);
        let first = probe(&case, case.access);
        // At most six levels of stage 1, each behind six of stage 2, with two loads where wide, and the
        // output; an updated leaf is looked for once more.
        assert!(case.memory.loads.get() <= 2 * (6 * (1 + 6) + 6 + 7 * 6), "seed {seed}");
        assert_eq!(first, probe(&case, case.access), "seed {seed}");
        assert!(case.memory.written.borrow().is_empty(), "seed {seed}: a probe writes");
        match first {
            Translation::Mapped(_) => leaves += 1,
            Translation::Fault(fault) => stage2_faults += usize::from(fault.stage == Stage::Two),
        }
    }
    println!("{CASES} walks, {leaves} reach memory, {stage2_faults} end in stage 2");
    assert!(leaves > 6_000 && stage2_faults > 3_000, "the generator is useful: {leaves}, {stage2_faults}");
}

#[test]
fn an_updating_walk_agrees_with_a_probe_and_settles() {
    let mut updated = 0;
    for seed in 0..CASES {
        let case = case(seed);
        let probed = settled(probe(&case, case.access));
        let Ok(first) = case.translator.translate_updating(case.va, case.access, &case.memory, &mut ());
        // Random tables may contain themselves: a write then changes what the walk goes by.
        let written = case.memory.written.borrow().clone();
        if written.is_empty() {
            assert_eq!(probed, first, "seed {seed}");
            continue;
        }
        updated += 1;
        let Ok(second) = case.translator.translate_updating(case.va, case.access, &case.memory, &mut ());
        if case.memory.written.borrow().clone() == written {
            let Ok(third) = case.translator.translate_updating(case.va, case.access, &case.memory, &mut ());
            assert_eq!((second, &written), (third, &*case.memory.written.borrow()), "seed {seed}");
        }
        if let (Translation::Mapped(first), Translation::Mapped(second)) = (first, second) {
            assert_eq!((first.output, first.attributes), (second.output, second.attributes), "seed {seed}");
            assert_eq!(*case.memory.written.borrow(), written, "seed {seed}: a second walk writes");
        }
    }
    println!("{updated} walks update tables");
    assert!(updated > 1_000, "{updated} updates");
}

#[test]
fn what_a_mapping_says_is_permitted_is() {
    let mut asked = 0;
    for seed in 0..CASES {
        let case = case(seed);
        let Translation::Mapped(mapping) = probe(&case, case.access) else { continue };
        let user = [
            (AccessKind::Read, Permissions::USER_READ),
            (AccessKind::Write, Permissions::USER_WRITE),
            (AccessKind::Fetch, Permissions::USER_EXECUTE),
        ];
        let privileged = [
            (AccessKind::Read, Permissions::PRIV_READ),
            (AccessKind::Write, Permissions::PRIV_WRITE),
            (AccessKind::Fetch, Permissions::PRIV_EXECUTE),
        ];
        let kinds = match case.access.privilege {
            Privilege::Unprivileged => user,
            Privilege::Privileged => privileged,
        };
        for (kind, permission) in kinds {
            // TBI may differ for fetches, a write to a clean page needs another answer, and maintenance
            // goes on where an access stops at a clear access flag.
            if kind == AccessKind::Fetch || kind == AccessKind::Write && mapping.clean {
                continue;
            }
            if matches!(case.access.kind, AccessKind::Fetch) || case.access.is_maintenance() {
                continue;
            }
            asked += 1;
            let access = Access::new(kind, case.access.privilege);
            match probe(&case, access) {
                Translation::Mapped(other) => {
                    assert!(mapping.permissions.contains(permission), "seed {seed} {kind:?}");
                    assert_eq!(other.output, mapping.output, "seed {seed} {kind:?}");
                }
                Translation::Fault(fault) => {
                    let permitted = mapping.permissions.contains(permission);
                    assert!(!permitted, "seed {seed} {kind:?} {fault:x?} {mapping:x?}");
                    assert!(matches!(fault.status, FaultStatus::Permission(_)), "seed {seed} {fault:x?}");
                }
            }
        }
    }
    println!("{asked} permissions asked");
    assert!(asked > 5_000, "{asked}");
}

/// The same memory, whose descriptors mostly have been used, may be read and stand alone.
struct Tame(Memory);

impl TableMemory<Pa> for Tame {
    type Error = Infallible;

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, Infallible> {
        let value = self.0.natural(at.bits());
        self.0.loads.set(self.0.loads.get() + 1);
        let tame = if mix(value) & 15 == 0 { value } else { (value | 0x441) & !(1 << 52) };
        Ok(Some(tame.to_le_bytes()))
    }
}

/// Listens, so that no walk takes the short way.
struct Listener;

impl Recorder for Listener {
    fn record(&mut self, _: Step) {}
}

#[test]
fn the_short_way_says_what_the_full_walk_says() {
    let (mut short, mut both) = (0, 0);
    for seed in 0..CASES {
        let mut random = Random(seed << 20);
        // 4 KiB, 39 or 48 bits, 48 out; HA, HD, HPD0, EPAN, WXN, FWB, CD at random.
        let size = random.pick(&[16, 25]);
        let el1 = Stage1Registers {
            sctlr: 0x1005 | random.some_of(1 << 19 | 1 << 57),
            tcr: 0x5_8000_0000 | size << 16 | size | random.some_of(3 << 39 | 3 << 41),
            ttbr0: 0x4000_0000,
            ttbr1: 0x5000_0000,
            mair: random.pick(&[0xff, 0xff44_04bb_f4a0_0c40]),
            ..Stage1Registers::default()
        };
        let nested = random.one_in(2);
        let registers = Registers {
            el1,
            scr_el3: 1,
            hcr_el2: u64::from(nested) | random.some_of(1 << 46 | 1 << 32),
            vtcr_el2: random.pick(&[0x8005_0090, 0x8005_0059]) | random.some_of(3 << 21),
            vttbr_el2: 0x6000_0000,
            ..Registers::default()
        };
        let implementation = Implementation { xnx: random.one_in(2), ..Implementation::ALL };
        let translator = Translator::new(Regime::El1And0, &registers, &implementation);
        let privilege = random.pick(&[Privilege::Privileged, Privilege::Unprivileged]);
        let access = Access::new(random.pick(&KINDS), privilege).with_pan(random.one_in(4));
        let below = random.next() >> if size == 16 { 16 } else { 25 };
        let va = Va::new(if random.one_in(2) { below } else { !below });
        let memory = Tame(Memory {
            seed: random.next(),
            big_endian: false,
            wide: false,
            written: RefCell::default(),
            loads: Cell::new(0),
        });
        let Ok(quick) = translator.translate::<Pa, _, _>(va, access, &memory, &mut ());
        let quick_loads = memory.0.loads.replace(0);
        let Ok(full) = translator.translate::<Pa, _, _>(va, access, &memory, &mut Listener);
        let full_loads = memory.0.loads.get();
        assert_eq!(quick, full, "seed {seed}");
        let mut cache = TableCache::<16>::new();
        // Empty, then with what there is to find.
        for time in 0..2 {
            let Ok(cached) =
                translator.translate_cached::<Pa, _, _, 16>(va, access, &memory, &mut (), &mut cache);
            assert_eq!(cached, full, "seed {seed}, by cache, {time}");
        }
        // Who gives up on the short way loads more.
        if matches!(full, Translation::Mapped(_)) && quick_loads == full_loads {
            short += 1;
            both += usize::from(nested);
        }
    }
    println!("{short} of {CASES} walks took the short way, {both} of them in two stages");
    assert!(short > 10_000 && both > 1_000, "{short}, {both}");
}

#[test]
fn without_stage_2_the_walk_of_stage_1_says_the_same() {
    for seed in 0..CASES {
        let case = case(seed);
        if case.translator.stage2.is_some() {
            continue;
        }
        let Ok(alone) = walk::<Pa, _>(&case.translator.stage1, case.va, case.access, &case.memory);
        assert_eq!(settled(alone), settled(probe(&case, case.access)), "seed {seed}");
    }
}

#[test]
fn the_order_of_bytes_changes_nothing_else() {
    for seed in 0..CASES / 4 {
        let case = case(seed);
        if case.memory.wide {
            continue;
        }
        let little = settled(probe(&case, case.access));
        let mut random = Random(mix(seed));
        let regime =
            random.pick(&[Regime::El1And0, Regime::El1And0, Regime::El1And0, Regime::El2And0, Regime::El2]);
        let mut registers = registers(&mut random, regime);
        for own in [&mut registers.el1, &mut registers.el2] {
            own.sctlr |= 1 << 25;
        }
        let translator = Translator::new(regime, &registers, &implementation(&mut random));
        let memory = Memory { big_endian: true, ..case.memory.clone() };
        let Ok(big) = translator.translate(case.va, case.access, &memory, &mut ());
        assert_eq!(settled(big), little, "seed {seed}");
    }
}
