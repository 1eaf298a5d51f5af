//! Builds tables along the paths of the addresses that are asked, so that walks get somewhere.

use super::case::{MEMORY_END, NON_SECURE_TABLES, PROGRAM, STAGE_1_TABLES, STAGE_2_TABLES};
use super::geometry::{Geometry, ones};
use crate::rng::Rng;
use std::collections::BTreeMap;

const ACCESS_FLAG: u64 = 1 << 10;
const CONTIGUOUS: u64 = 1 << 52;
/// Binary logarithm of how far tables of one stage are apart: a machine's memory is touched no wider.
pub const SPREAD: u32 = 25;

/// Tables of one stage.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// Their shape.
    pub geometry: Geometry,
    /// Address of the first, in the output space of the stage.
    pub base: u64,
    /// Descriptors are big-endian.
    pub big_endian: bool,
    /// Permissions are indirect.
    pub pie: bool,
    /// `HCR_EL2.FWB`.
    pub fwb: bool,
}

/// How a path ends, and where.
#[derive(Clone, Copy, Debug)]
struct Plan {
    end: End,
    level: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Leaf,
    Invalid,
    /// A table or leaf beyond the output size.
    Out,
    /// A leaf without access flag.
    Unaccessed,
    /// A table where there is no memory.
    Nowhere,
    /// Any bits.
    Noise,
}

/// Which stage a path belongs to, and how it should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Stage 1 of the address asked.
    First,
    /// Stage 2 of it.
    Second,
    /// Stage 2 of a table of stage 1.
    OfTable,
}

/// Memory being filled.
#[derive(Debug)]
pub struct Builder {
    /// Doublewords as a little-endian load sees them.
    pub memory: BTreeMap<u64, u64>,
    /// Stage 1, unless it is off.
    pub first: Option<Stage>,
    /// Stage 2, where there is one.
    pub second: Option<Stage>,
    /// In Secure state, stage 2 of Non-secure addresses; `second` is that of Secure ones.
    pub non_secure: Option<Stage>,
    /// Tables and leaves of stage 1 say in which space they lead.
    pub spaces: bool,
}

/// Output address of a path, and whether it is Non-secure.
type Output = (u64, bool);

impl Builder {
    /// Makes sure that there is something on the way of an address.
    pub fn path(&mut self, rng: &mut Rng, va: u64) {
        let output = match self.first {
            Some(stage) => self.descend(rng, &stage, va, Purpose::First),
            None => Some((va, false)),
        };
        let Some((ipa, non_secure)) = output else { return };
        if let Some(stage) = self.stage_2(non_secure) {
            self.descend(rng, &stage, ipa, Purpose::Second);
        }
    }

    /// Returns stage 2 for addresses of a space.
    fn stage_2(&self, non_secure: bool) -> Option<Stage> {
        if non_secure { self.non_secure } else { self.second }
    }

    /// Returns the bits of input that stage 2 takes of either space.
    fn second_input(&self) -> Option<u32> {
        let input = self.second?.geometry.input;
        Some(self.non_secure.map_or(input, |other| other.geometry.input.min(input)))
    }

    /// Maps the page at [`PROGRAM`] to itself, for execution, with nothing that could be taken in two ways.
    pub fn map_program(&mut self, rng: &mut Rng, stage: &Stage) {
        let shape = &stage.geometry;
        let blocks: Vec<i32> =
            (shape.start..=3).filter(|&level| level == 3 || shape.has_block(level)).collect();
        let end = *rng.pick(&blocks);
        let mut table = stage.base;
        for level in shape.start..=end {
            let low = shape.shift(level);
            let next = self.table(rng, stage, Purpose::First);
            // Read-only, for a direct leaf; the first of the indirect permissions otherwise.
            let read_only = if stage.pie { 0 } else { 1 << 7 };
            let kind = if level == 3 { 3 } else { 1 };
            let entry = if level == end {
                shape.encode(PROGRAM & !ones(low)) | ACCESS_FLAG | read_only | kind
            } else {
                shape.encode(next) | 3
            };
            let ordered = if stage.big_endian { entry.swap_bytes() } else { entry };
            self.memory.insert(table + shape.offset(level, PROGRAM), ordered);
            table = next;
        }
    }

    /// Follows what is there, adds what is not; returns the output address where the path ends in a leaf.
    fn descend(&mut self, rng: &mut Rng, stage: &Stage, input: u64, purpose: Purpose) -> Option<Output> {
        let shape = &stage.geometry;
        let input = input & ones(shape.input);
        let plan = plan(rng, shape, purpose);
        let mut table = stage.base;
        let mut non_secure = false;
        for level in shape.start..=3 {
            let at = table + shape.offset(level, input);
            let at = match (purpose, self.stage_2(non_secure)) {
                (Purpose::First, Some(second)) => self.descend(rng, &second, at, Purpose::OfTable)?.0,
                _ => at,
            };
            if !(STAGE_1_TABLES..MEMORY_END).contains(&at) || at % 8 != 0 {
                return None;
            }
            let ordered = |value: u64| if stage.big_endian { value.swap_bytes() } else { value };
            let entry = match self.memory.get(&at) {
                Some(&entry) => ordered(entry),
                None => {
                    let entry = self.entry(rng, stage, plan, level, input, purpose);
                    self.memory.insert(at, ordered(entry));
                    entry
                }
            };
            let spaces = self.spaces && purpose == Purpose::First;
            match entry & 3 {
                3 if level < 3 => {
                    table = shape.decode(entry, shape.granule);
                    non_secure |= spaces && entry >> 63 == 1;
                }
                3 | 1 if level == 3 || shape.has_block(level) => {
                    let low = shape.shift(level);
                    non_secure |= spaces && entry >> 5 & 1 == 1;
                    return Some((shape.decode(entry, low) | input & ones(low), non_secure));
                }
                _ => return None,
            }
        }
        None
    }

    fn entry(
        &self,
        rng: &mut Rng,
        stage: &Stage,
        plan: Plan,
        level: i32,
        input: u64,
        purpose: Purpose,
    ) -> u64 {
        let shape = &stage.geometry;
        if level < plan.level {
            return self.table_bits(rng, shape, purpose) | shape.encode(self.table(rng, stage, purpose)) | 3;
        }
        let beyond = |rng: &mut Rng| {
            let top = if shape.granule == 16 || shape.ds { 52 } else { 48 };
            match top {
                _ if shape.output >= top => 0,
                52 if shape.output < 48 && rng.percent(50) => {
                    1 << (shape.output + rng.below(48 - u64::from(shape.output)) as u32)
                }
                _ => 1 << (shape.output + rng.below(u64::from(top - shape.output)) as u32),
            }
        };
        match plan.end {
            End::Invalid => match rng.below(3) {
                0 => 0,
                1 => rng.word() & !1,
                _ if level == 3 || !shape.has_block(level) => rng.word() & !2 | 1,
                _ => 2,
            },
            End::Noise => {
                let entry = rng.word();
                // Not to where the program and the devices are.
                if entry & 3 == 3 { entry | 1 << 47 } else { entry }
            }
            End::Nowhere if level < 3 => {
                let address = (1 << 32 | rng.word()) & ones(shape.output.clamp(33, 48));
                self.table_bits(rng, shape, purpose) | shape.encode(address | 1 << 32) | 3
            }
            End::Out if level < 3 && (rng.percent(50) || !shape.has_block(level)) => {
                let address = self.table(rng, stage, purpose) | beyond(rng);
                self.table_bits(rng, shape, purpose) | shape.encode(address) | 3
            }
            End::Leaf | End::Out | End::Unaccessed | End::Nowhere => {
                let mut address = self.output(rng, stage, level, purpose);
                if plan.end == End::Out {
                    address |= beyond(rng);
                }
                let flag = if plan.end == End::Unaccessed { 0 } else { ACCESS_FLAG };
                self.leaf(rng, stage, level, (address, input), purpose)
                    | flag
                    | if level == 3 { 3 } else { 1 }
            }
        }
    }

    /// Draws where the next table lies.
    fn table(&self, rng: &mut Rng, stage: &Stage, purpose: Purpose) -> u64 {
        let place = self.place(rng, stage.geometry.granule, stage.geometry.output, purpose);
        if purpose == Purpose::First { place } else { place | stage.base & NON_SECURE_TABLES }
    }

    /// Draws an aligned place for a table: for stage 2 in its part of memory, for stage 1 in the other one, or where
    /// stage 2 can lead there.
    pub fn place(&self, rng: &mut Rng, align: u32, limit: u32, purpose: Purpose) -> u64 {
        let within = rng.word() & ones(SPREAD) & !ones(align);
        match (purpose, self.second_input()) {
            (Purpose::First, Some(input)) => {
                let limit = input.min(limit).min(52);
                if limit <= 32 {
                    return if limit == 32 { STAGE_1_TABLES | within } else { within & ones(limit) };
                }
                let above = rng.word() & ones(limit);
                let above = if rng.percent(60) { above & !ones(42) } else { above & !ones(32) };
                STAGE_1_TABLES | above | within
            }
            (Purpose::First, None) => STAGE_1_TABLES | within,
            (Purpose::Second | Purpose::OfTable, _) => STAGE_2_TABLES | within,
        }
    }

    /// Draws an output address.
    fn output(&self, rng: &mut Rng, stage: &Stage, level: i32, purpose: Purpose) -> u64 {
        let shape = &stage.geometry;
        let low = shape.shift(level);
        let limit = match (purpose, self.second_input()) {
            (Purpose::First, Some(input)) if !rng.percent(2) => shape.output.min(input),
            _ => shape.output,
        };
        let address = match purpose {
            // The descriptor at `input` must come to lie in memory.
            Purpose::OfTable if low < SPREAD => STAGE_1_TABLES | rng.word() & ones(SPREAD),
            Purpose::OfTable if low <= 30 => STAGE_1_TABLES,
            Purpose::OfTable => 0,
            Purpose::First | Purpose::Second => rng.word() & ones(limit),
        };
        if rng.percent(99) { address & !ones(low) } else { address & !ones(shape.granule) }
    }

    fn leaf(
        &self,
        rng: &mut Rng,
        stage: &Stage,
        level: i32,
        (address, input): (u64, u64),
        purpose: Purpose,
    ) -> u64 {
        let shape = &stage.geometry;
        let mut entry = if purpose == Purpose::First {
            self.stage_1_attributes(rng, stage)
        } else {
            stage_2_attributes(rng, stage, purpose)
        };
        if !shape.ds || shape.granule == 16 {
            let sh = if rng.percent(2) { 1 } else { *rng.pick(&[0, 2, 3]) };
            entry |= sh << 8;
        }
        if level < 3 && rng.percent(3) {
            entry |= 1 << 16;
        }
        entry |= (rng.word() & 0xf) << 55;
        let mut address = address;
        if rng.percent(8) {
            entry |= CONTIGUOUS;
            let bits = shape.contiguous(level);
            if rng.percent(80) {
                let low = shape.shift(level);
                let group = ones(bits) << low;
                address = address & !group | input & group;
            }
        }
        entry | shape.encode(address)
    }

    /// What a table descriptor holds beside the address.
    fn table_bits(&self, rng: &mut Rng, shape: &Geometry, purpose: Purpose) -> u64 {
        let mut bits = 0;
        if rng.percent(25) {
            // Ignored.
            bits |= rng.word() & 0x7f << 52;
            let low = if shape.granule == 16 { 0xffc } else { ones(shape.granule) & !3 };
            let address = if shape.ds && shape.granule != 16 { 0x300 } else { 0 };
            bits |= rng.word() & low & !address;
        }
        if purpose == Purpose::First && rng.percent(15) {
            bits |= rng.word() & 0xf << 59;
        }
        // NSTable, where there are spaces.
        if rng.percent(if self.spaces && purpose == Purpose::First { 8 } else { 2 }) {
            bits |= 1 << 63;
        }
        bits
    }

    fn stage_1_attributes(&self, rng: &mut Rng, stage: &Stage) -> u64 {
        let mut entry = (rng.word() & 7) << 2;
        if rng.percent(45) {
            // Readable and writable for all.
            entry |= 1 << 6;
        } else {
            entry |= rng.word() & 3 << 6;
        }
        if stage.pie && rng.percent(70) {
            entry &= !(1 << 7);
        }
        // nG, GP, DBM, PXN and UXN, bit 59.
        entry |= rng.word() & (1 << 11 | 1 << 50 | 1 << 51 | 3 << 53 | 1 << 59);
        if rng.percent(10) {
            entry |= rng.word() & 0xf << 60;
        }
        // NS, where there are spaces.
        if rng.percent(if self.spaces { 35 } else { 5 }) {
            entry |= 1 << 5;
        }
        entry
    }
}

fn plan(rng: &mut Rng, shape: &Geometry, purpose: Purpose) -> Plan {
    let die = rng.below(1000);
    let bad = match purpose {
        Purpose::First => 200,
        Purpose::Second => 270,
        Purpose::OfTable => 60,
    };
    let end = if die >= bad {
        End::Leaf
    } else {
        *rng.pick(&[
            End::Invalid,
            End::Invalid,
            End::Out,
            End::Out,
            End::Unaccessed,
            End::Unaccessed,
            End::Unaccessed,
            End::Nowhere,
            End::Noise,
        ])
    };
    let levels = (shape.start..=3).collect::<Vec<_>>();
    let leaf = end == End::Leaf || end == End::Unaccessed;
    let fits: Vec<i32> =
        levels.iter().copied().filter(|&level| !leaf || level == 3 || shape.has_block(level)).collect();
    // Deep tables are what most walks meet.
    let level = match leaf {
        true if rng.percent(35) => 3,
        true if shape.has_block(shape.start) && rng.percent(25) => shape.start,
        false if rng.percent(30) => shape.start,
        _ => *rng.pick(&fits),
    };
    Plan { end, level }
}

fn stage_2_attributes(rng: &mut Rng, stage: &Stage, purpose: Purpose) -> u64 {
    let plain: &[u64] = if stage.fwb {
        &[0, 1, 2, 3, 5, 6, 6, 7, 7]
    } else {
        &[0, 1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 15]
    };
    let memory = if rng.percent(2) { rng.below(16) } else { *rng.pick(plain) };
    let memory = if purpose == Purpose::OfTable && rng.percent(90) { 15 } else { memory };
    let favour = if purpose == Purpose::OfTable { 96 } else { 75 };
    let access = if rng.percent(favour) { 3 } else { rng.below(4) };
    let mut entry = memory << 2 | access << 6;
    entry |= rng.word() & (1 << 51 | 3 << 53);
    if rng.percent(20) {
        // FnXS.
        entry |= 1 << 11;
    }
    if rng.percent(10) {
        entry |= rng.word() & 0x1f << 59;
    }
    entry
}
