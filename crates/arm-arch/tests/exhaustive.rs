//! Small domains, asked from end to end: all encodings, all classes, all fault statuses, all modes.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    clippy::needless_range_loop,
    reason = "a test"
)]

use std::collections::BTreeMap;

use arm_arch::debug::DebugControls;
use arm_arch::exception::{
    self, Cause, EntryState, ExceptionLock, Kind, ReturnLimits, ReturnState, eret_within,
};
use arm_arch::fault::FaultStatus;
use arm_arch::feature::{CpuModel, Features, IdRegisters};
use arm_arch::iss::{self, DataAbort, Direction, InstructionAbort, Syndrome, SystemAccess};
use arm_arch::pstate::{PState, PStateMask};
use arm_arch::sysreg::{HcrEl2, SctlrEl1, SysRegId, TcrEl1};
use arm_arch::trap::{Controls, Extensions, Outcome, access, is_implementation_defined, rule_of};
use arm_arch::{EsrEl, ExceptionClass, ExceptionLevel, Level};

const LEVELS: [ExceptionLevel; 4] =
    [ExceptionLevel::El0, ExceptionLevel::El1, ExceptionLevel::El2, ExceptionLevel::El3];

/// Every class that the manual allocates, with the word its text has to have. Arm ARM, ESR_EL1.EC.
const CLASSES: &[(u8, &str)] = &[
    (0x00, "unknown"),
    (0x01, "WF"),
    (0x03, "MCR"),
    (0x04, "MCRR"),
    (0x05, "MCR"),
    (0x06, "LDC"),
    (0x07, "SIMD"),
    (0x08, "VMRS"),
    (0x09, "authentication"),
    (0x0a, "64-byte"),
    (0x0c, "MRRC"),
    (0x0d, "branch target"),
    (0x0e, "illegal"),
    (0x11, "SVC"),
    (0x12, "HVC"),
    (0x13, "SMC"),
    (0x14, "128"),
    (0x15, "SVC"),
    (0x16, "HVC"),
    (0x17, "SMC"),
    (0x18, "system"),
    (0x19, "SVE"),
    (0x1a, "ERET"),
    (0x1b, "TSTART"),
    (0x1c, "authentication"),
    (0x1d, "SME"),
    (0x1e, "granule"),
    (0x20, "instruction abort"),
    (0x21, "instruction abort"),
    (0x22, "PC alignment"),
    (0x24, "data abort"),
    (0x25, "data abort"),
    (0x26, "SP alignment"),
    (0x27, "memory"),
    (0x28, "floating"),
    (0x2c, "floating"),
    (0x2d, "control stack"),
    (0x2f, "SError"),
    (0x30, "breakpoint"),
    (0x31, "breakpoint"),
    (0x32, "step"),
    (0x33, "step"),
    (0x34, "watchpoint"),
    (0x35, "watchpoint"),
    (0x38, "BKPT"),
    (0x3a, "vector catch"),
    (0x3c, "BRK"),
    (0x3d, "profiling"),
];

#[test]
fn every_class_decodes_encodes_and_prints_with_either_il() {
    for ec in 0..64u8 {
        let listed = CLASSES.iter().find(|(class, _)| *class == ec);
        let class = ExceptionClass::from_bits(ec);
        assert_eq!(class.name().is_some(), listed.is_some(), "{ec:#x}");
        for il in [0, 1u64] {
            // Each bit of the ISS alone, none, all; and with all of ISS2.
            for iss in (0..25).map(|bit| 1 << bit).chain([0, 0x1ff_ffff]) {
                for high in [0, 0x00ff_ffff_0000_0000u64] {
                    let bits = high | u64::from(ec) << 26 | il << 25 | iss;
                    let esr = EsrEl::from_bits(bits);
                    assert_eq!((esr.into_bits(), esr.ec(), esr.il()), (bits, class, il == 1));
                    let syndrome = Syndrome::decode(esr);
                    let back = syndrome.encode().into_bits();
                    assert_eq!(back, u64::from(ec) << 26 | 1 << 25 | iss, "{bits:#x}: class and ISS, IL set");
                    // Every bit of ISS and ISS2 is in one field, or reserved.
                    let named = iss::fields(esr).fold(0u64, |sum, field| {
                        let mask = arm_arch::bits::mask(u32::from(field.high) + 1)
                            & !arm_arch::bits::mask(u32::from(field.low));
                        assert_eq!(sum & mask, 0, "{bits:#x}: {} overlaps", field.name);
                        sum | mask
                    });
                    let reserved = iss::reserved(esr);
                    assert_eq!(reserved & named, 0, "{bits:#x}");
                    assert_eq!(reserved | named & bits, bits & 0xff_ffff_01ff_ffff, "{bits:#x}");
                    let text = esr.to_string();
                    assert!(text.contains(&format!("{bits:x}")), "{text}");
                    if let Some((_, word)) = listed {
                        assert!(text.contains(word), "{ec:#x}: `{text}` lacks `{word}`");
                    }
                }
            }
        }
    }
}

#[test]
fn every_fault_status_is_what_the_manual_lists() {
    use FaultStatus::*;
    use Level::{L0, L1, L2, L3, Minus1, Minus2};
    // Arm ARM, ESR_EL1, DFSC; IFSC has the same codes where they make sense. 0x22 is the debug exceptions' own.
    #[rustfmt::skip]
    const STATUSES: [Option<FaultStatus>; 64] = [
        // 00xxxx
        Some(AddressSize(L0)), Some(AddressSize(L1)), Some(AddressSize(L2)), Some(AddressSize(L3)),
        Some(Translation(L0)), Some(Translation(L1)), Some(Translation(L2)), Some(Translation(L3)),
        Some(AccessFlag(L0)), Some(AccessFlag(L1)), Some(AccessFlag(L2)), Some(AccessFlag(L3)),
        Some(Permission(L0)), Some(Permission(L1)), Some(Permission(L2)), Some(Permission(L3)),
        // 01xxxx
        Some(External), Some(TagCheck), Some(ExternalOnWalk(Minus2)), Some(ExternalOnWalk(Minus1)),
        Some(ExternalOnWalk(L0)), Some(ExternalOnWalk(L1)), Some(ExternalOnWalk(L2)), Some(ExternalOnWalk(L3)),
        Some(Parity), None, Some(ParityOnWalk(Minus2)), Some(ParityOnWalk(Minus1)),
        Some(ParityOnWalk(L0)), Some(ParityOnWalk(L1)), Some(ParityOnWalk(L2)), Some(ParityOnWalk(L3)),
        // 10xxxx
        None, Some(Alignment), Some(GranuleProtectionOnWalk(Minus2)), Some(GranuleProtectionOnWalk(Minus1)),
        Some(GranuleProtectionOnWalk(L0)), Some(GranuleProtectionOnWalk(L1)),
        Some(GranuleProtectionOnWalk(L2)), Some(GranuleProtectionOnWalk(L3)),
        Some(GranuleProtection), Some(AddressSize(Minus1)), Some(Translation(Minus2)), Some(Translation(Minus1)),
        Some(AddressSize(Minus2)), None, None, None,
        // 11xxxx
        Some(TlbConflict), Some(UnsupportedAtomicUpdate), None, None,
        Some(Lockdown), Some(UnsupportedExclusive), None, None,
        None, None, None, None, None, None, None, None,
    ];
    for (code, want) in (0u8..).zip(STATUSES) {
        assert_eq!(FaultStatus::decode(code), want, "{code:#08b}");
        // In both aborts, at either level, with text that tells a level from another.
        for ec in [0x20u64, 0x21, 0x24, 0x25] {
            let esr = EsrEl::from_bits(ec << 26 | 1 << 25 | u64::from(code));
            let status = match Syndrome::decode(esr) {
                Syndrome::InstructionAbort(_, iss) => iss.status(),
                Syndrome::DataAbort(_, iss) => iss.status(),
                other => panic!("{other:?}"),
            };
            assert_eq!(status, want, "{ec:#x} {code:#08b}");
            let text = esr.to_string();
            if let Some(level) = want.and_then(FaultStatus::level) {
                assert!(text.contains(&format!("level {}", level.number())), "{text}");
            }
        }
        if let Some(status) = want {
            assert_eq!(DataAbort::new().with_status(status).into_bits(), u32::from(code));
            assert_eq!(InstructionAbort::new().with_status(status).into_bits(), u32::from(code));
            assert_eq!(status.is_external(), (0x10..0x20).contains(&code) && code != 0x11, "{code:#08b}");
        }
    }
    let texts: std::collections::BTreeSet<String> = (0..64u64)
        .filter(|code| STATUSES[*code as usize].is_some())
        .map(|code| EsrEl::from_bits(0x25 << 26 | code).to_string())
        .map(|text| text.split_once(": ").map_or(text.clone(), |(_, after)| after.into()))
        .collect();
    assert_eq!(texts.len(), STATUSES.iter().flatten().count(), "each has a text of its own: {texts:?}");
}

/// The modes of AArch64: M, level, and whether the stack is the level's own. Arm ARM, SPSR_EL1.M.
const MODES: &[(u64, usize, bool)] = &[
    (0b0000, 0, false),
    (0b0100, 1, false),
    (0b0101, 1, true),
    (0b1000, 2, false),
    (0b1001, 2, true),
    (0b1100, 3, false),
    (0b1101, 3, true),
];

/// AArch32 User.
const USER32: u64 = 0b1_0000;

#[test]
fn every_mode_is_entered_from_and_saved_as_it_was() {
    const VBAR: u64 = 0x4000_0800;
    let mask = PStateMask::ARMV8_0.with(PState::new().with_nrw(true));
    let mut taken = 0;
    for (m, from, own_stack) in MODES.iter().copied().chain([(USER32, 0, false)]) {
        for target in 1..=3usize {
            for (kind, column) in
                [(Kind::Sync, 0), (Kind::Irq, 0x80), (Kind::Fiq, 0x100), (Kind::SError, 0x180)]
            {
                let state = EntryState {
                    pstate: PState::from_bits(m | 0x8030_0000),
                    vbar: VBAR,
                    sctlr: SctlrEl1::new().with_span(true),
                    hcr: HcrEl2::new().with_rw(true),
                    mask,
                };
                let entered = exception::enter(&Cause { kind, ..Cause::irq(0x1000) }, LEVELS[target], &state);
                // An exception is never taken to a lower level.
                let to = target.max(from);
                let row = match (to == from, own_stack) {
                    (true, false) => 0,
                    (true, true) => 0x200,
                    // EL1 is AArch64 for EL2, EL2 for EL3.
                    (false, _) if m == USER32 && to == 1 => 0x600,
                    (false, _) => 0x400,
                };
                assert_eq!(entered.target, LEVELS[to], "{m:#b} to EL{target}");
                assert_eq!(entered.pc, VBAR + row + column, "{m:#b} to EL{target} {kind:?}");
                assert_eq!(entered.spsr.into_bits(), m | 0x8030_0000, "{m:#b}");
                let handler = [0, 0b0101, 0b1001, 0b1101][to];
                assert_eq!(entered.pstate.into_bits(), 0x8000_03c0 | handler, "{m:#b} to EL{target}");
                taken += 1;
            }
        }
    }
    assert_eq!(taken, 8 * 3 * 4);
}

#[test]
fn every_m_is_returned_to_or_illegal_as_the_manual_says() {
    let (mut legal, mut asked) = (0, 0);
    // From EL1 to EL3; TGE; EL2 enabled; whether EL0 has AArch32.
    for from in 1..=3usize {
        for flags in 0..8 {
            let (tge, el2, aarch32) = (flags & 1 != 0, flags & 2 != 0 || from == 2, flags & 4 != 0);
            for m in 0..32u64 {
                let target = match MODES.iter().find(|(mode, ..)| *mode == m) {
                    Some((_, level, _)) => Some(*level),
                    None if m == USER32 && aarch32 => Some(0),
                    None => None,
                };
                // HCR_EL2 is 0 where there is no EL2.
                let hcr = HcrEl2::new().with_tge(tge && el2);
                let want =
                    target.filter(|to| *to <= from && (el2 || *to != 2) && (*to != 1 || !(tge && el2)));
                let own = 0b0001 | (from as u64) << 2;
                let state = ReturnState {
                    pstate: PState::from_bits(0x3c0 | own),
                    spsr: PState::from_bits(0x4000_0000 | m),
                    elr: 0x8000,
                    hcr,
                    tcr: TcrEl1::new(),
                    debug: DebugControls::OFF,
                    mask: PStateMask::ARMV8_0.with(PState::new().with_nrw(aarch32)),
                };
                let limits = ReturnLimits { is_el2_enabled: el2, lock: ExceptionLock::Disabled };
                let back = eret_within(&state, limits);
                let case = format!("EL{from} {m:#07b} TGE {tge} EL2 {el2} AArch32 {aarch32}");
                let pstate = if want.is_some() { 0x4000_0000 | m } else { 0x4010_0000 | own };
                assert_eq!((back.illegal, back.pstate.into_bits()), (want.is_none(), pstate), "{case}");
                assert_eq!(back.pc, 0x8000, "{case}");
                legal += u32::from(want.is_some());
                asked += 1;
            }
        }
    }
    assert_eq!((asked, legal), (3 * 8 * 32, 24 + 36 + 48));
}

/// Rows of a table of the repository, by column name.
fn table(name: &str) -> Vec<BTreeMap<String, String>> {
    let path = format!("{}/../../data/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    lines.map(|row| header.iter().cloned().zip(row).collect()).collect()
}

/// Every encoding of the register table and of the table of system instructions, with what it permits: read, write,
/// lowest level.
fn allocated() -> BTreeMap<SysRegId, (bool, bool, usize)> {
    let mut all: BTreeMap<SysRegId, (bool, bool, usize)> = BTreeMap::new();
    for (name, is_register) in [("sysregs.tsv", true), ("sys_insns.tsv", false)] {
        for row in table(name) {
            let part = |column: &str| row[column].parse::<u8>().unwrap();
            let id = SysRegId::new(part("op0"), part("op1"), part("CRn"), part("CRm"), part("op2"));
            let (read, write) = if is_register {
                (row["access"].contains('R'), row["access"].contains('W'))
            } else {
                let reads = row["insn"].ends_with('L') || row["word_rt0"].starts_with("0xd52");
                (reads, !reads)
            };
            let level = row["min_el"]
                .bytes()
                .find_map(|c| c.checked_sub(b'0').filter(|n| *n < 4))
                .map_or(0, usize::from);
            let entry = all.entry(id).or_insert((false, false, level));
            *entry = (entry.0 | read, entry.1 | write, entry.2.min(level));
        }
    }
    all
}

/// A model with every field at its highest.
fn everything() -> Features {
    let mut ids = IdRegisters::default();
    for crm in 4..8 {
        for op2 in 0..8 {
            let _ = ids.set(SysRegId::new(3, 0, 0, crm, op2), 0x7777_7777_7777_7777);
        }
    }
    CpuModel::new(ids).features()
}

#[test]
fn every_encoding_is_permitted_only_where_the_tables_have_it() {
    let allocated = allocated();
    let features = everything();
    let open = Controls { hcr: HcrEl2::new().with_rw(true), ..Controls::default() };
    let (mut reached, mut undefined) = (0u32, 0u32);
    let mut strange = Vec::new();
    for id in (0..=u16::MAX).map(SysRegId::from_bits) {
        let listed = allocated.get(&id);
        let id_space = arm_arch::feature::is_id_space(id);
        let rule = rule_of(id, &features);
        // op0 = 0 is MSR (immediate), of which the tables have no row.
        if id.op0() != 0 && rule.is_some() && listed.is_none() && !id_space {
            strange.push(format!("{id}: a rule and no row"));
        }
        for (level, el) in (0..).zip(LEVELS) {
            for direction in [Direction::Read, Direction::Write] {
                let mode = [0, 5, 9, 13][level];
                let asked = SystemAccess { id, rt: 0, direction };
                let outcome = access(asked, PState::from_bits(mode), &open, &Extensions::NEUTRAL, &features);
                let is_read = direction == Direction::Read;
                let permitted = match listed {
                    Some((read, write, lowest)) => level >= *lowest && (if is_read { *read } else { *write }),
                    None => id_space && is_read && level >= 1 || id.op0() == 0 && !is_read,
                };
                // FEAT_IDST: identification registers read at EL0 are reported, not UNDEFINED.
                // Arm ARM, ID_AA64MMFR2_EL1.IDS.
                let identifies = id.op0() == 3 && id.op1() < 2 && id.crn() == 0 && is_read && level == 0;
                match outcome {
                    Outcome::Undefined => undefined += 1,
                    Outcome::TrapEl1(_) if identifies => undefined += 1,
                    _ if permitted || is_implementation_defined(id) => reached += 1,
                    _ => strange.push(format!("{id} {direction:?} at {el:?}: {outcome}")),
                }
            }
        }
    }
    assert!(strange.is_empty(), "{}: {:#?}", strange.len(), &strange[..strange.len().min(40)]);
    assert_eq!(reached + undefined, 65536 * 8);
    println!("{reached} reach something or are trapped, {undefined} are undefined");
    assert!(reached > 6000, "{reached}");
}
