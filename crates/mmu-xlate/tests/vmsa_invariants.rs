//! What must hold of any walk, whatever its tables say: the two formats of descriptors agree where both can say the same, what
//! takes rights away gives none, and no load leaves the tables that the registers name.
#![cfg(feature = "vmsa")]
#![allow(
    missing_docs,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test"
)]

use arm_arch::{Pa, Va};
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{
    Access, AccessKind, HardwareUpdates, Implementation, Mapping, Privilege, Recorder, Regime, Registers,
    Stage1Registers, Step, TableCache, Translation, Translator,
};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let a = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let b = (a ^ a >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        b ^ b >> 31
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
}

/// Doublewords by address; all others are 0.
#[derive(Clone, Default)]
struct Words(BTreeMap<u64, u64>);

impl TableMemory<Pa> for Words {
    type Error = Infallible;

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, Infallible> {
        Ok(Some(self.0.get(&at.bits()).copied().unwrap_or(0).to_le_bytes()))
    }
}

/// SCR_EL3: NS, TCR2En. HCRX_EL2: TCR2En.
const SCR: u64 = 1 << 43 | 1;
const HCRX: u64 = 1 << 14;
const KINDS: [AccessKind; 8] = [
    AccessKind::Read,
    AccessKind::Write,
    AccessKind::Atomic,
    AccessKind::Fetch,
    AccessKind::CleanInvalidate,
    AccessKind::AtWrite,
    AccessKind::GcsRead,
    AccessKind::GcsWrite,
];

/// What a leaf of both formats says.
#[derive(Clone, Copy, Debug)]
struct Page {
    valid: bool,
    attribute: u64,
    not_dirty: u64,
    sh: u64,
    flag: u64,
    not_global: u64,
    output: u64,
    guarded: u64,
    permission: u64,
    overlay: u64,
}

impl Page {
    fn random(random: &mut Random) -> Self {
        Self {
            valid: !random.one_in(16),
            attribute: random.below(16),
            not_dirty: random.below(2),
            sh: random.pick(&[0, 2, 3]),
            flag: u64::from(!random.one_in(8)),
            not_global: random.below(2),
            output: random.below(1 << 36) << 12,
            guarded: random.below(2),
            permission: random.below(16),
            overlay: random.below(8),
        }
    }

    /// Bits 11:7 and 47:12, which both formats share.
    fn common(&self) -> u64 {
        u64::from(self.valid)
            | self.not_dirty << 7
            | self.sh << 8
            | self.flag << 10
            | self.not_global << 11
            | self.output
    }

    /// The form of 64 bits with indirect permissions and AIE: AttrIndx\[2:0\] in 4:2, \[3\] in 59; PIIndex in 54, 53, 51, 6; GP in
    /// 50; POIndex in 62:60. Arm ARM, "Translation table descriptor formats".
    fn narrow(&self) -> u64 {
        let index = self.permission;
        let scattered =
            (index & 1) << 6 | (index >> 1 & 1) << 51 | (index >> 2 & 1) << 53 | (index >> 3 & 1) << 54;
        let attribute = (self.attribute & 7) << 2 | (self.attribute >> 3) << 59;
        self.common()
            | u64::from(self.valid) << 1
            | attribute
            | scattered
            | self.guarded << 50
            | self.overlay << 60
    }

    /// The form of 128 bits: AttrIndx in 5:2; GP in 113, PIIndex in 118:115, POIndex in 124:121.
    /// Arm ARM, "Translation table descriptor formats".
    fn wide(&self) -> [u64; 2] {
        [self.common() | self.attribute << 2, self.guarded << 49 | self.permission << 51 | self.overlay << 57]
    }
}

/// A translation, with of an update what changes.
fn told(found: Translation<Pa>) -> (Translation<Pa>, Option<u64>) {
    match found {
        Translation::Mapped(it) => {
            let changed = it.update.map(|update| update.old ^ update.new);
            (Translation::Mapped(Mapping { update: None, ..it }), changed)
        }
        fault @ Translation::Fault(_) => (fault, None),
    }
}

/// 44 bits are four levels with tables of 512 entries and with tables of 256: 43:39, 38:30, 29:21, 20:12, and 43:36, 35:28, 27:20,
/// 19:12.
#[test]
fn descriptors_of_64_and_of_128_bits_that_say_the_same_translate_alike() {
    let (mut mapped, mut faults) = (0, BTreeSet::new());
    for seed in 0..40_000 {
        let mut random = Random(seed << 20);
        let page = Page::random(&mut random);
        let high = random.one_in(2);
        let va = random.below(1 << 44);
        // Which table is missing; most often none.
        let missing = random.below(24);
        let (mut narrow, mut wide) = (Words::default(), Words::default());
        for level in 0..4_u64 {
            let (at9, at8) = (va >> (39 - 9 * level) & 0x1ff, va >> (36 - 8 * level) & 0xff);
            let (table, next) = (0x10_0000 + (level << 12), 0x10_0000 + ((level + 1) << 12));
            let (low, pair) = match level {
                _ if level == missing => (0, [0, 0]),
                3 => (page.narrow(), page.wide()),
                _ => (next | 3, [next | 1, 0]),
            };
            let _ = narrow.0.insert(table | at9 << 3, low);
            let _ = wide.0.insert(table | at8 << 4, pair[0]);
            let _ = wide.0.insert(table | at8 << 4 | 8, pair[1]);
        }
        // T0SZ, T1SZ 20, 4 KiB both, IPS 48 bits; HA, HD, TBI at random. PIE, AIE; POE, E0POE at random.
        let tcr = 20 | 20 << 16 | 2 << 30 | 5 << 32 | random.pick(&[0, 1, 3]) << 39 | random.below(4) << 37;
        let tcr2 = 1 << 1 | 1 << 4 | random.below(4) << 2;
        let el1 = Stage1Registers {
            sctlr: 0x1005 | random.below(2) << 19 | random.below(2) << 57,
            tcr,
            tcr2,
            ttbr0: if high { 0 } else { 0x10_0000 },
            ttbr1: if high { 0x10_0000 } else { 0 },
            mair: random.pick(&[0xff44_0c04_bbf4_a400, 0xffff_ffff_ffff_ffff]),
            mair2: 0x0044_ffbb_ff00_44ff,
            pir: random.next(),
            pire0: random.next(),
            por: random.next(),
        };
        let with = |d128: u64| Registers {
            el1: Stage1Registers { tcr2: el1.tcr2 | d128 << 5, ..el1 },
            scr_el3: SCR,
            hcrx_el2: HCRX,
            por_el0: 0x7654_3210_7777_7777,
            ..Registers::default()
        };
        // As many output address bits with either: 128-bit descriptors have no IPS to be less.
        let has = Implementation { pa_bits: 48, hafdbs: HardwareUpdates::DirtyState, ..Implementation::ALL };
        let va = Va::new(if high { va | !0 << 44 } else { va });
        let privilege = random.pick(&[Privilege::Privileged, Privilege::Unprivileged]);
        let access = Access::new(random.pick(&KINDS), privilege).with_pan(random.one_in(3));
        let translate = |registers: &Registers, memory: &Words| {
            let translator = Translator::new(Regime::El1And0, registers, &has);
            let Ok(found) = translator.translate::<Pa, _, _>(va, access, memory, &mut ());
            told(found)
        };
        let (one, other) = (translate(&with(0), &narrow), translate(&with(1), &wide));
        assert_eq!(one, other, "seed {seed}: {page:x?} {access:?}");
        match one.0 {
            Translation::Mapped(it) => {
                assert_eq!(it.output.bits() & !0xfff, page.output, "seed {seed}");
                mapped += 1;
            }
            Translation::Fault(it) => {
                let _ = faults.insert(format!("{:?}", it.status));
            }
        }
    }
    println!("{mapped} mapped; {faults:?}");
    assert!(mapped > 5_000, "{mapped}");
    // Of each level Translation, of the last Access flag and Permission.
    assert_eq!(faults.len(), 6, "{faults:?}");
}

/// A change of registers, and of the entries of stage 1 and of stage 2.
type Change = fn(&mut Registers, &mut [u64; 4]);

/// What takes rights away, one thing each.
const LESS: &[(&str, Change)] = &[
    ("WXN", |registers, _| registers.el1.sctlr |= 1 << 19),
    ("PXN", |_, entries| entries[2] |= 1 << 53),
    ("UXN", |_, entries| entries[2] |= 1 << 54),
    ("PXNTable", |_, entries| entries[0] |= 1 << 59),
    ("UXNTable", |_, entries| entries[1] |= 1 << 60),
    ("stage 2 without read", |_, entries| entries[3] &= !(1 << 6)),
    ("stage 2 without write", |_, entries| entries[3] &= !(1 << 7)),
    ("stage 2 without execution", |_, entries| entries[3] = entries[3] & !(3 << 53) | 2 << 53),
    ("E0PD0", |registers, _| registers.el1.tcr |= 1 << 55),
    ("EPD0", |registers, _| registers.el1.tcr |= 1 << 7),
    ("POE of nothing", |registers, _| {
        registers.el1.tcr2 |= 1 << 3;
        registers.el1.por = 0;
    }),
];

/// Returns which of read, write and fetch, by EL1, by EL1 under PAN, by EL0, in this order, are permitted.
fn permitted(registers: &Registers, memory: &Words, va: u64) -> [bool; 9] {
    let translator = Translator::new(Regime::El1And0, registers, &Implementation::ALL);
    let kinds = [AccessKind::Read, AccessKind::Write, AccessKind::Fetch];
    std::array::from_fn(|n| {
        let privilege = if n < 6 { Privilege::Privileged } else { Privilege::Unprivileged };
        let access = Access::new(kinds[n % 3], privilege).with_pan(n / 3 == 1);
        let Ok(found) = translator.translate::<Pa, _, _>(Va::new(va), access, memory, &mut ());
        matches!(found, Translation::Mapped(_))
    })
}

#[test]
fn what_takes_rights_away_gives_none() {
    let mut taken = BTreeMap::new();
    for seed in 0..9_000 {
        let mut random = Random(seed << 20);
        // Stage 1, 39 bits: two tables and a page at 0x10_0000, with AP, XN, APTable, XNTable at random; stage 2, 40 bits, one
        // block of 1 GiB to itself, with S2AP and XN at random.
        let some = |random: &mut Random, mask| mask & random.next() & random.next();
        let mut entries = [
            0x10_1003 | some(&mut random, 0xf << 59),
            0x10_2003 | some(&mut random, 0xf << 59),
            0x20_0403 | random.below(4) << 6 | some(&mut random, 3 << 53),
            0x43d | random.pick(&[3, 3, 1, 2]) << 6 | some(&mut random, 3 << 53),
        ];
        let el1 = Stage1Registers {
            // EPAN is 0: where it is 1 PAN closes what EL0 may execute, and so UXN opens it.
            sctlr: 0x1005 | some(&mut random, 1 << 19),
            tcr: 0x5_8019_0019,
            ttbr0: 0x10_0000,
            mair: 0xff,
            ..Stage1Registers::default()
        };
        let mut registers = Registers {
            el1,
            scr_el3: SCR,
            hcrx_el2: HCRX,
            hcr_el2: 1,
            vtcr_el2: 0x8002_0058,
            vttbr_el2: 0x3000_0000,
            ..Registers::default()
        };
        let memory = |entries: &[u64; 4]| {
            let at = [0x10_0000, 0x10_1008, 0x10_2018, 0x3000_0000];
            Words(at.into_iter().zip(*entries).collect())
        };
        let va = 0x20_3000;
        let before = permitted(&registers, &memory(&entries), va);
        // PAN takes from EL1 alone, and gives nothing.
        for kind in 0..3 {
            assert!(before[kind] || !before[3 + kind], "seed {seed}: PAN, {before:?}");
            *taken.entry("PAN").or_insert(0) += u32::from(before[kind] && !before[3 + kind]);
        }
        // Without stage 2 there is all that there is with it.
        let alone = Registers { hcr_el2: 0, ..registers };
        let open = permitted(&alone, &memory(&entries), va);
        for (of_both, of_one) in before.into_iter().zip(open) {
            assert!(of_one || !of_both, "seed {seed}: stage 2, {open:?}, {before:?}");
            *taken.entry("stage 2").or_insert(0) += u32::from(of_one && !of_both);
        }
        // One thing after the other, in any order.
        let (mut was, first) = (before, random.below(LESS.len() as u64) as usize);
        for n in 0..3 {
            let (name, change) = LESS[(first + 4 * n) % LESS.len()];
            change(&mut registers, &mut entries);
            let now = permitted(&registers, &memory(&entries), va);
            for (now, was) in now.into_iter().zip(was) {
                assert!(was || !now, "seed {seed}: {name}");
                *taken.entry(name).or_insert(0) += u32::from(was && !now);
            }
            was = now;
        }
    }
    println!("{taken:?}");
    assert_eq!(taken.len(), LESS.len() + 2);
    assert!(taken.values().all(|times| *times > 30), "each takes something away: {taken:?}");
}

/// Tables, and nothing where no table is: a load from there is a finding.
struct Fenced<'a> {
    words: &'a Words,
    /// Page of each table, and what is asked of bits 11:3 there.
    tables: &'a BTreeMap<u64, BTreeSet<u64>>,
}

impl TableMemory<Pa> for Fenced<'_> {
    type Error = Infallible;

    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, Infallible> {
        let (page, index) = (at.bits() >> 12, at.bits() >> 3 & 0x1ff);
        let inside = self.tables.get(&page).is_some_and(|indices| indices.contains(&index));
        assert!(inside, "a load from {at}, which is no entry of a table on the way");
        self.words.load(at)
    }
}

/// Listens, so that no walk takes the short way.
struct Listener;

impl Recorder for Listener {
    fn record(&mut self, _: Step) {}
}

#[test]
fn no_load_leaves_the_tables_on_the_way() {
    let mut mapped = 0;
    for seed in 0..20_000 {
        let mut random = Random(seed << 20);
        let (mut words, mut tables) = (Words::default(), BTreeMap::<u64, BTreeSet<u64>>::new());
        // An entry for a 4 KiB table: mostly what a walk wants, else anything at all.
        let entry = |random: &mut Random, good: u64| match random.below(24) {
            0 => random.next(),
            1 => good & !1,
            2 => good ^ 1 << random.below(64),
            _ => good,
        };
        let va = random.below(1 << 39);
        // Stage 2 puts page P at P + 0x8000 in frames of 4 KiB: three levels from 0x4000, for each page on the way.
        let shifted = |page: u64| page + 0x8000;
        let first = [0x100, 0x101 + random.below(64), 0x180 + random.below(64)];
        let output = 0x1c0 + random.below(64);
        let mut asked: Vec<u64> = first.to_vec();
        asked.push(output);
        for page in &asked {
            for (level, table) in [0x4000, 0x4001, 0x4002].into_iter().enumerate() {
                let index = page << 12 >> (30 - 9 * level) & 0x1ff;
                let good = if level == 2 { shifted(*page) << 12 | 0x7ff } else { (table + 1) << 12 | 3 };
                let at = table << 12 | index << 3;
                let value = entry(&mut random, good);
                let value = *words.0.entry(at).or_insert(value);
                let _ = tables.entry(table).or_default().insert(index);
                // Another table, where it is one: anything, so not followed.
                let next = value >> 12 & 0xf_ffff_ffff;
                let astray = level < 2 && value & 3 == 3 && next != table + 1;
                let moved = level == 2 && next != shifted(*page);
                let block = level < 2 && value & 3 == 1;
                if astray || moved || block {
                    let _ = words.0.insert(at, good);
                }
            }
        }
        for (level, page) in first.into_iter().enumerate() {
            let index = va >> (30 - 9 * level) & 0x1ff;
            let next = if level == 2 { output } else { first[level + 1] };
            let good = next << 12 | if level == 2 { 0x703 } else { 3 };
            let value = entry(&mut random, good);
            // Neither a block, nor one of a group, which would lead elsewhere.
            let alone = (level == 2 || value & 3 != 1) && value & 1 << 52 == 0;
            let same = value >> 12 & 0xf_ffff_ffff == next && alone;
            let at = shifted(page) << 12 | index << 3;
            let _ = words.0.insert(at, if same || value & 1 == 0 { value } else { good });
            let _ = tables.entry(shifted(page)).or_default().insert(index);
        }
        let el1 = Stage1Registers {
            sctlr: 0x1005,
            tcr: 0x5_8019_0019 | random.below(4) << 39,
            ttbr0: 0x10_0000,
            mair: 0xff,
            ..Stage1Registers::default()
        };
        let registers = Registers {
            el1,
            scr_el3: SCR,
            hcr_el2: 1,
            vtcr_el2: 0x8005_0059 | random.below(4) << 21,
            vttbr_el2: 0x400_0000,
            ..Registers::default()
        };
        let translator = Translator::new(Regime::El1And0, &registers, &Implementation::ALL);
        let memory = Fenced { words: &words, tables: &tables };
        let access = Access::new(random.pick(&KINDS), Privilege::Privileged);
        let Ok(short) = translator.translate::<Pa, _, _>(Va::new(va), access, &memory, &mut ());
        let Ok(full) = translator.translate::<Pa, _, _>(Va::new(va), access, &memory, &mut Listener);
        assert_eq!(short, full, "seed {seed}");
        let mut cache = TableCache::<8>::new();
        for _ in 0..2 {
            let Ok(cached) =
                translator.translate_cached::<Pa, _, _, 8>(Va::new(va), access, &memory, &mut (), &mut cache);
            assert_eq!(cached, full, "seed {seed}");
        }
        mapped += u32::from(matches!(full, Translation::Mapped(_)));
    }
    println!("{mapped} mapped");
    assert!((5_000..20_000).contains(&mapped), "{mapped}");
}
