//! From a seed and a number to a [`Case`].

use super::announced::{Class, classify, is_announced};
use super::case::{Case, Peer, State};
use super::env::{self, Env};
use super::memory_form::{self, MemoryForm, Offset};
use super::table::{Row, Table};
use super::{system, unpredictable, values};
use crate::rng::Rng;
use std::sync::OnceLock;

/// Cases that share an environment.
pub const SECTION: u64 = 512;

/// A stream of cases, optionally of one kind only.
#[derive(Clone, Debug)]
pub struct Generator {
    seed: u64,
    only: Option<Vec<&'static Row>>,
}

impl Generator {
    /// Cases of everything.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, only: None }
    }

    /// Cases of the announced variants whose group and name, `group/name`, contain `pattern`.
    ///
    /// # Errors
    ///
    /// When no variant does.
    pub fn only(seed: u64, pattern: &str) -> Result<Self, String> {
        let named = |row: &Row| format!("{}/{}", row.group, row.name).contains(pattern);
        let rows: Vec<_> =
            Table::shared().rows().iter().filter(|row| named(row) && can_be_picked(row)).collect();
        if rows.is_empty() {
            return Err(format!("no announced instruction variant contains '{pattern}'"));
        }
        Ok(Self { seed, only: Some(rows) })
    }

    /// Returns case `number`.
    #[must_use]
    pub fn case(&self, number: u64) -> Case {
        let mut rng = Rng::item(self.seed, number);
        loop {
            if let Some(case) = self.attempt(&mut rng, number) {
                return case;
            }
        }
    }

    fn attempt(&self, rng: &mut Rng, number: u64) -> Option<Case> {
        let pc = env::CODE + 0x10_0000 + 4 * rng.below(0x4_0000);
        let mut case = Case {
            number,
            env: Env::of_section(number / SECTION),
            peer: Peer::Max,
            state: values::state(rng, pc),
            window: values::window(rng),
            code: Vec::new(),
        };
        case.code = match &self.only {
            Some(rows) => one_of(rows, rng),
            None => match rng.below(100) {
                0..=5 => vec![rng.half()],
                6..=9 => one_of(later_rows(), rng),
                10..=14 => vec![system::random(rng)],
                15..=16 => exclusive_pair(rng),
                17..=29 => sequence(rng),
                _ => vec![random_of(pick_row(rng), rng)],
            },
        };
        let last = case.code.len() - 1;
        for &word in &case.code {
            match classify(word) {
                Class::Announced(row) if unpredictable::reason(word, row).is_none() => {}
                Class::Undefined(_) if last == 0 => case.peer = Peer::Undefined,
                _ => return None,
            }
        }
        if case.peer != Peer::Undefined {
            let word = case.code[last];
            aim(rng, &mut case, word)?;
        }
        if system::is_dc_zva(case.code[last]) {
            case.peer = Peer::NeoverseN1;
            // That machine has no DIT.
            case.state.0[super::case::word::PSTATE] &= !(1 << 24);
        }
        Some(case)
    }
}

fn can_be_picked(row: &Row) -> bool {
    let by_system = matches!(row.class(), "systemmove" | "systeminstrs" | "pstate" | "hints");
    is_announced(row) && !by_system && !matches!(row.mnemonic(), "HVC" | "SMC")
}

/// The announced variants by group.
fn groups() -> &'static [Vec<&'static Row>] {
    static GROUPS: OnceLock<Vec<Vec<&'static Row>>> = OnceLock::new();
    GROUPS.get_or_init(|| {
        let mut groups: Vec<Vec<&'static Row>> = Vec::new();
        for row in Table::shared().rows().iter().filter(|row| can_be_picked(row) || row.class() == "hints") {
            match groups.iter_mut().find(|group| group[0].group == row.group) {
                Some(group) => group.push(row),
                None => groups.push(vec![row]),
            }
        }
        groups
    })
}

/// The variants that nothing announces.
fn later_rows() -> &'static [&'static Row] {
    static ROWS: OnceLock<Vec<&'static Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let later = |row: &&Row| matches!(classify(row.value), Class::Undefined(_));
        Table::shared().rows().iter().filter(later).collect()
    })
}

/// Half by group, so that small groups are not lost; half by variant, so that large ones are covered.
fn pick_row(rng: &mut Rng) -> &'static Row {
    if rng.percent(50) {
        let group = rng.pick(groups());
        group[rng.below(group.len() as u64) as usize]
    } else {
        let total: usize = groups().iter().map(Vec::len).sum();
        let index = rng.below(total as u64) as usize;
        groups().iter().flatten().nth(index).unwrap()
    }
}

/// A single word of one of these variants.
fn one_of(rows: &[&'static Row], rng: &mut Rng) -> Vec<u32> {
    let row = *rng.pick(rows);
    vec![random_of(row, rng)]
}

/// A word of a variant: random fields, should-be bits as they should be.
fn random_of(row: &Row, rng: &mut Rng) -> u32 {
    let mut word = row.value | (rng.half() & !row.mask);
    // Shift amounts and element sizes are leading ones: give small ones their share.
    if matches!(row.class(), "asimdshf" | "asisdshf") {
        word = word & !(0x7f << 16) | (rng.half() & 0x7f) >> rng.below(4) << 16 | row.value;
    }
    // Registers that coincide.
    if rng.percent(15) {
        let rn = word >> 5 & 31;
        let to = *rng.pick(&[0, 16, 10]);
        let moved = word & !(31 << to) | rn << to;
        if row.matches(moved) {
            word = moved;
        }
    }
    word
}

/// A load-exclusive and the store-exclusive that completes it.
fn exclusive_pair(rng: &mut Rng) -> Vec<u32> {
    let mut registers: Vec<u32> = (0..31).collect();
    let mut take = || registers.swap_remove(rng.below(registers.len() as u64) as usize);
    let (rn, rs, rt, rt2) = (take(), take(), take(), take());
    let rn = if rng.percent(10) { 31 } else { rn };
    let order = (rng.half() & 1) << 15;
    let size = rng.half() & 3;
    let (stored, stored2) =
        if rng.percent(70) { (take_other(rng, &[rn, rs]), take_other(rng, &[rn, rs])) } else { (rt, rt2) };
    if rng.percent(30) {
        let size = 2 | size & 1;
        return vec![
            0x087f_0000 | size << 30 | order | rt2 << 10 | rn << 5 | rt,
            0x0820_0000 | size << 30 | order | rs << 16 | stored2 << 10 | rn << 5 | stored,
        ];
    }
    let load = 0x085f_7c00 | size << 30 | order | rn << 5 | rt;
    let store = 0x0800_7c00 | size << 30 | order | rs << 16 | rn << 5 | stored;
    if rng.percent(15) { vec![load, 0xD503_305F, store] } else { vec![load, store] }
}

fn take_other(rng: &mut Rng, not: &[u32]) -> u32 {
    loop {
        let register = rng.half() & 31;
        if !not.contains(&register) {
            return register;
        }
    }
}

/// Straight-line data processing, at the end perhaps a branch or an access: what an engine may fuse.
fn sequence(rng: &mut Rng) -> Vec<u32> {
    let length = 2 + rng.below(7);
    let mut code: Vec<u32> = Vec::new();
    // Few registers, so that results are used.
    let few: [u32; 4] = std::array::from_fn(|_| rng.half() & 31);
    let vectors = rng.percent(35);
    while (code.len() as u64) < length {
        let last = code.len() as u64 + 1 == length;
        let row = pick_row(rng);
        let fits = match row.group.split('/').next() {
            Some("dpimm" | "dpreg") => true,
            Some("simd_dp") => vectors,
            Some("ldst") => last && !row.class().starts_with("ldstexcl"),
            Some("control") => {
                last && matches!(row.class(), "branch_imm" | "compbranch" | "testbranch" | "condbranch")
            }
            _ => false,
        };
        if !fits {
            continue;
        }
        let mut word = random_of(row, rng);
        for low in [0, 5, 16] {
            let moved = word & !(31 << low) | rng.pick(&few) << low;
            if rng.percent(70)
                && row.matches(moved)
                && row.fields.iter().any(|f| f.low == low && f.high == low + 4)
            {
                word = moved;
            }
        }
        code.push(word);
    }
    code
}

/// Makes the last instruction meaningful: an access gets an address, a branch a target. `None`: not usable.
fn aim(rng: &mut Rng, case: &mut Case, word: u32) -> Option<()> {
    let Class::Announced(row) = classify(word) else { return Some(()) };
    match row.class() {
        "branch_imm" => away(case, i64::from(((word << 6) as i32) >> 4)),
        "compbranch" | "condbranch" => away(case, i64::from(((word << 8) as i32) >> 11 & !3)),
        "testbranch" => away(case, i64::from(((word << 13) as i32) >> 16 & !3)),
        "branch_reg" => {
            aim_branch(rng, case, word >> 5 & 31);
            let returns_here = row.mnemonic() == "ERET"
                && (case.pc()..case.end()).contains(&case.state.0[super::case::word::ELR_EL1]);
            (!returns_here).then_some(())
        }
        _ => {
            if let Some(form) = memory_form::of(word, row) {
                aim_access(rng, case, word, row, form);
            } else if system::takes_address(word) {
                let target =
                    if rng.percent(85) { env::WINDOW + rng.below(256) } else { env::PAGE_B + rng.below(256) };
                // Faults of cache maintenance are not modelled by the reference: page B only at EL1.
                let target =
                    if case.state.el() == 0 && !system::is_dc_zva(word) { env::WINDOW } else { target };
                if word & 31 == 31 && !system::is_dc_zva(word) {
                    return None;
                }
                // PAN has no effect on them (Arm ARM, PSTATE.PAN); the reference thinks it has.
                if !system::is_dc_zva(word) {
                    case.state.0[super::case::word::PSTATE] &= !(1 << 22);
                }
                if word & 31 != 31 {
                    case.state.0[(word & 31) as usize] = target;
                }
            }
            Some(())
        }
    }
}

/// A direct branch must not come back into the case: it would never end.
fn away(case: &Case, offset: i64) -> Option<()> {
    let from = case.end() - 4;
    let to = from.wrapping_add_signed(offset);
    (!(case.pc()..case.end()).contains(&to)).then_some(())
}

fn aim_branch(rng: &mut Rng, case: &mut Case, rn: u32) {
    let code = env::CODE + (rng.below(env::CODE_BYTES) & !3);
    let code = if (case.pc()..case.end()).contains(&code) { env::CODE } else { code };
    let target = match rng.below(10) {
        0 => code | rng.below(4),
        1 => env::DATA + (rng.below(env::DATA_BYTES) & !3),
        2 => env::UNMAPPED,
        3 => code | 0xff << 56,
        _ => code,
    };
    if rn != 31 {
        case.state.0[rn as usize] = target;
    }
}

fn aim_access(rng: &mut Rng, case: &mut Case, word: u32, row: &Row, form: MemoryForm) {
    let store_exclusive = row.class().starts_with("ldstexcl") && word >> 22 & 1 == 0;
    if store_exclusive && case.code.len() == 1 {
        // Alone it fails, and whether it then faults is IMPLEMENTATION DEFINED: let it not.
        let address = env::WINDOW + rng.below(8) * 16;
        set_base(case, form, address);
        return;
    }
    let address = target(rng, &case.state, form, row.class().starts_with("ldstexcl"));
    set_base(case, form, address);
}

fn target(rng: &mut Rng, state: &State, form: MemoryForm, exclusive: bool) -> u64 {
    let room = 256 - form.bytes;
    let in_page_a = env::WINDOW + rng.below(room + 1);
    let in_page_b = env::PAGE_B + rng.below(room + 1);
    let across = env::PAGE_B - 1 - rng.below(form.bytes.max(2) - 1);
    let mapped = if state.el() == 1 && rng.percent(30) { in_page_b } else { in_page_a };
    let address = match rng.below(100) {
        0..=5 if !exclusive => across,
        6..=8 => env::UNMAPPED + rng.below(4096 - form.bytes),
        9..=11 => env::PAGE_C + rng.below(4096 - form.bytes),
        12 => env::UNMAPPED - rng.below(form.bytes),
        13 => rng.word(),
        14..=15 => in_page_b,
        _ => mapped,
    };
    let aligned = match rng.below(100) {
        0..=69 => form.alignment,
        70..=84 => form.bytes.next_power_of_two().min(16),
        _ => 1,
    };
    // An access across pages is meant to be just that.
    if (env::PAGE_B - form.bytes..env::PAGE_B).contains(&address) {
        address
    } else {
        address & !(aligned - 1)
    }
}

fn set_base(case: &mut Case, form: MemoryForm, address: u64) {
    let alone = case.code.len() == 1;
    let state = &mut case.state;
    let base = state.base(form.rn);
    let value = match form.offset {
        Offset::Immediate(offset) => address.wrapping_sub(offset as u64),
        Offset::Register { rm, option, shift } => {
            if rm == form.rn {
                return;
            }
            let register = if rm == 31 { 0 } else { small(state, rm) };
            address.wrapping_sub(memory_form::extend(register, option, shift))
        }
    };
    // A stack pointer is aligned most of the time, or its check hides the access.
    state.0[base] = if form.rn == 31 && (value % 64 != 1 || !alone) { value & !15 } else { value };
}

/// Makes an index register small, now and then, and returns it.
fn small(state: &mut State, rm: u32) -> u64 {
    let value = &mut state.0[rm as usize];
    if *value & 3 != 0 {
        *value = ((*value as i64) << 52 >> 52) as u64 ^ (*value & 0xffff_ffff_0000_0000 & (*value << 60));
    }
    *value
}

#[cfg(test)]
mod tests {
    use super::{Generator, SECTION};
    use crate::insn::case::Peer;
    use crate::insn::env::Env;

    #[test]
    fn a_case_depends_on_its_seed_and_number_only() {
        let generator = Generator::new(7);
        let again = Generator::new(7);
        let (a, b) = (generator.case(1234), again.case(1234));
        assert_eq!((a.code, a.state, a.window), (b.code, b.state, b.window));
        assert_ne!(generator.case(1235).state, a.state);
    }

    #[test]
    fn a_section_shares_an_environment() {
        let generator = Generator::new(3);
        assert_eq!(generator.case(7 * SECTION).env, Env::BigEndian);
        assert_eq!(generator.case(8 * SECTION - 1).env, Env::BigEndian);
        assert_eq!(generator.case(8 * SECTION).env, Env::Plain);
    }

    /// This one came up as an ERET whose ELR_EL1 was its own address: it returned to itself for ever.
    #[test]
    fn no_case_returns_to_itself() {
        let case = Generator::new(20_261_123).case(800_538);
        let elr = case.state.0[crate::insn::case::word::ELR_EL1];
        assert!(case.code != [0xd69f_03e0] || !(case.pc()..case.end()).contains(&elr), "{case:?}");
    }

    #[test]
    fn every_kind_of_case_occurs() {
        let generator = Generator::new(1);
        let cases: Vec<_> = (0..2000).map(|n| generator.case(n)).collect();
        let count = |what: &dyn Fn(&super::Case) -> bool| cases.iter().filter(|case| what(case)).count();
        assert!(count(&|case| case.peer == Peer::Undefined) > 100);
        assert!(count(&|case| case.peer == Peer::NeoverseN1) > 5);
        assert!(count(&|case| case.code.len() > 2) > 100);
        assert!(count(&|case| case.state.el() == 0) > 400);
    }
}
