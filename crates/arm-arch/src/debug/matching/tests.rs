use super::*;
use crate::sysreg::MdscrEl1;

const UNIT: DebugUnit = DebugUnit {
    context_aware: 2,
    ranges: false,
    linked_addresses: false,
    el2_contexts: true,
    aarch32_el0: false,
    address_top: 48,
    has_el2: true,
    has_el3: true,
    secure_el2: false,
};
/// MDE and KDE; debug exceptions go to EL2, so that EL0 and EL1 generate them.
const ON: DebugControls = DebugControls {
    mdscr: MdscrEl1::from_bits(0xa000),
    os_lock: false,
    route_to_el2: true,
    ..DebugControls::OFF
};
const EL0: PState = PState::from_bits(0);
const EL1: PState = PState::from_bits(5);
const EL2: PState = PState::from_bits(9);
const PC: u64 = 0xffff_8000_0801_0004;

const fn matcher(breakpoints: &[Breakpoint], pstate: PState) -> Matcher<'_> {
    let hcr = HcrEl2::from_bits(1 << 31);
    let context = Context { contextidr_el1: 0x1234, contextidr_el2: 0x5678, vmid: 9, vmid16: true, hcr };
    Matcher { unit: UNIT, controls: ON, pstate, context, breakpoints }
}

const fn breakpoint(control: u64, value: u64) -> Breakpoint {
    Breakpoint { control: DbgbcrEl1::from_bits(control), value }
}

#[test]
fn hmc_ssc_and_pmc_choose_the_levels() {
    // Arm ARM, AArch64.StateMatch: EL0, EL1, EL2, EL3 in Non-secure state, no Secure EL2.
    const CASES: &[(u64, u64, u64, [bool; 4])] = &[
        (0, 0b00, 0b01, [false, true, false, false]),
        (0, 0b00, 0b10, [true, false, false, false]),
        (0, 0b00, 0b11, [true, true, false, false]),
        (0, 0b01, 0b01, [false, true, false, false]),
        (0, 0b01, 0b10, [true, false, false, false]),
        (0, 0b01, 0b11, [true, true, false, false]),
        (0, 0b10, 0b01, [false, false, false, false]),
        (0, 0b10, 0b11, [false, false, false, false]),
        (1, 0b00, 0b01, [false, true, true, true]),
        (1, 0b00, 0b11, [true, true, true, true]),
        (1, 0b01, 0b01, [false, true, true, false]),
        (1, 0b01, 0b11, [true, true, true, false]),
        (1, 0b10, 0b00, [false, false, false, true]),
        (1, 0b10, 0b01, [false, false, false, true]),
        (1, 0b10, 0b11, [false, false, false, true]),
        (1, 0b11, 0b00, [false, false, true, false]),
        // Reserved.
        (0, 0b00, 0b00, [false; 4]),
        (1, 0b00, 0b00, [false; 4]),
        (1, 0b00, 0b10, [false; 4]),
        (1, 0b01, 0b10, [false; 4]),
        (1, 0b10, 0b10, [false; 4]),
        (1, 0b11, 0b10, [false; 4]),
        (0, 0b11, 0b10, [false; 4]),
    ];
    for (hmc, ssc, pmc, want) in CASES {
        for (mode, want) in [0x0, 0x5, 0x9, 0xd].into_iter().zip(want) {
            let m = matcher(&[], PState::from_bits(mode));
            let state =
                StateControl { hmc: *hmc == 1, ssc: bits::low8(*ssc), pxc: bits::low8(*pmc), linked: None };
            assert_eq!(
                m.state_matches(state, false, Asker::Breakpoint),
                *want,
                "{hmc} {ssc:#b} {pmc:#b} mode {mode:#x}"
            );
        }
    }
}

#[test]
fn an_address_matches_at_the_levels_asked_for() {
    const KERNEL: u64 = 0x1e3;
    let cases: &[(&str, u64, u64, PState, u64, bool)] = &[
        ("the address", KERNEL, PC, EL1, PC, true),
        ("disabled", KERNEL & !1, PC, EL1, PC, false),
        ("another level", KERNEL, PC, EL0, PC, false),
        ("the next instruction", KERNEL, PC, EL1, PC + 4, false),
        ("bits [1:0] do not count", KERNEL, PC | 3, EL1, PC, true),
        ("bits above the address do not count", KERNEL, PC ^ 0xff << 56, EL1, PC, true),
        ("bit 48 counts", KERNEL, PC ^ 1 << 48, EL1, PC, false),
        ("a mask without FEAT_BWE does not count", KERNEL | 12 << 24, PC & !0xfff, EL1, PC, false),
        ("mismatch is reserved", KERNEL | 4 << 20, PC, EL1, PC + 4, false),
    ];
    for (name, control, value, pstate, pc, want) in cases {
        let breakpoints = [breakpoint(*control, *value)];
        let got = matcher(&breakpoints, *pstate).breakpoint(*pc);
        assert_eq!(got, want.then_some(0), "{name}");
    }
}

#[test]
fn ranges_match_and_mismatch() {
    const LOW: u64 = PC & !0xfff;
    const RANGE: u64 = 0x1e3 | 12 << 24;
    const OTHER: u64 = 0x1e3 | 12 << 24 | 4 << 20;
    const HOLE: u64 = 0x1e3 | 4 << 24 | 4 << 20;
    // Arm ARM, AArch64.BreakpointMatch: matches are or-ed, mismatches and-ed, both and-ed.
    type Case = (&'static str, &'static [(u64, u64)], &'static [(u64, Option<usize>)]);
    let cases: &[Case] = &[
        (
            "a range",
            &[(RANGE, LOW)],
            &[(LOW - 4, None), (LOW, Some(0)), (LOW | 0xffc, Some(0)), (LOW + 0x1000, None)],
        ),
        ("masked bits of the value do not count", &[(RANGE, PC)], &[(LOW, Some(0))]),
        ("MASK 2 is reserved", &[(0x1e3 | 2 << 24, PC)], &[(PC, Some(0)), (PC + 4, None)]),
        (
            "outside a range",
            &[(OTHER, LOW)],
            &[(LOW - 4, Some(0)), (LOW, None), (LOW | 0xffc, None), (LOW + 0x1000, Some(0))],
        ),
        ("one address cannot be mismatched alone", &[(0x1e3 | 4 << 20, PC)], &[(PC, None), (PC + 4, None)]),
        (
            "outside two ranges",
            &[(OTHER, LOW), (OTHER, LOW + 0x1000)],
            &[(LOW, None), (LOW + 0x1000, None), (LOW + 0x2000, Some(0))],
        ),
        (
            "in a range but for a hole",
            &[(RANGE, LOW), (HOLE, LOW + 0x20)],
            &[
                (LOW + 0x1c, Some(0)),
                (LOW + 0x20, None),
                (LOW + 0x2c, None),
                (LOW + 0x30, Some(0)),
                (LOW + 0x1000, None),
            ],
        ),
        (
            "either of two ranges",
            &[(RANGE, LOW + 0x1000), (RANGE, LOW)],
            &[(LOW, Some(1)), (LOW + 0x1000, Some(0))],
        ),
    ];
    for (name, set, want) in cases {
        let mut all = [breakpoint(0, 0); 2];
        for (slot, (control, value)) in all.iter_mut().zip(*set) {
            *slot = breakpoint(*control, *value);
        }
        let mut m = matcher(&all, EL1);
        m.unit.ranges = true;
        for (pc, want) in *want {
            assert_eq!(m.breakpoint(*pc), *want, "{name}: {pc:#x}");
        }
    }
}

#[test]
fn bas_names_the_halfword_where_el0_can_be_aarch32() {
    for (bas, want) in [(0xf, true), (0x3, true), (0xc, false), (0x0, false)] {
        let breakpoints = [breakpoint(0x3 | bas << 5, PC)];
        let mut m = matcher(&breakpoints, EL1);
        assert_eq!(m.breakpoint(PC), Some(0), "without AArch32 BAS is RES1");
        m.unit.aarch32_el0 = true;
        assert_eq!(m.breakpoint(PC).is_some(), want, "{bas:#x}");
    }
}

#[test]
fn a_secure_el2_allocates_more_states() {
    // HMC, SSC, PMC: EL0, EL1, EL2 in Non-secure state. Arm ARM, CheckValidStateMatch.
    const CASES: &[(u64, u64, u64, [bool; 3])] = &[
        (0, 0b11, 0b00, [false, false, false]),
        (0, 0b11, 0b01, [false, false, false]),
        (0, 0b11, 0b11, [false, false, false]),
        (1, 0b01, 0b00, [false, false, true]),
        (1, 0b11, 0b00, [false, false, true]),
        (1, 0b11, 0b01, [false, true, true]),
        (1, 0b11, 0b11, [true, true, true]),
        (0, 0b11, 0b10, [false; 3]),
        (1, 0b00, 0b00, [false; 3]),
        (1, 0b01, 0b10, [false; 3]),
    ];
    for (hmc, ssc, pmc, want) in CASES {
        let breakpoints = [breakpoint(0x1e1 | pmc << 1 | hmc << 13 | ssc << 14, PC)];
        for (mode, want) in [0x0, 0x5, 0x9].into_iter().zip(want) {
            let mut m = matcher(&breakpoints, PState::from_bits(mode));
            m.unit.secure_el2 = true;
            assert_eq!(m.breakpoint(PC).is_some(), *want, "{hmc} {ssc:#b} {pmc:#b} mode {mode:#x}");
        }
    }
}

#[test]
fn ssc_chooses_the_security_state() {
    // HMC, SSC, PMC 11; EL1 in Non-secure and in Secure state, without and with a Secure EL2, at which EL0 to EL2
    // then generate. Arm ARM, AArch64.StateMatch.
    const CASES: &[(u64, u64, bool, bool)] = &[
        (0, 0b00, true, true),
        (1, 0b00, true, true),
        (0, 0b01, true, false),
        (1, 0b01, true, false),
        (0, 0b10, false, true),
        (1, 0b10, false, true),
    ];
    let closed = DebugControls { security: Security::SecureClosed, ..ON };
    for (hmc, ssc, non_secure, secure) in CASES {
        let breakpoints = [breakpoint(0x1e7 | hmc << 13 | ssc << 14, PC)];
        for secure_el2 in [false, true] {
            let mut m = matcher(&breakpoints, EL1);
            m.unit.secure_el2 = secure_el2;
            assert_eq!(m.breakpoint(PC).is_some(), *non_secure, "{hmc} {ssc:#b}, Non-secure");
            m.controls.security = Security::Secure;
            assert_eq!(m.breakpoint(PC).is_some(), *secure, "{hmc} {ssc:#b}, Secure");
            assert_eq!(Matcher { controls: closed, ..m }.breakpoint(PC), None, "SDD is 1");
        }
    }
    // SSC 11 with HMC 0 is Secure state alone, and has to be allocated by FEAT_SEL2.
    let breakpoints = [breakpoint(0x1e7 | 0b11 << 14, PC)];
    let mut m = matcher(&breakpoints, EL1);
    m.unit.secure_el2 = true;
    assert_eq!(m.breakpoint(PC), None);
    m.controls.security = Security::Secure;
    assert_eq!(m.breakpoint(PC), Some(0));
    m.unit.secure_el2 = false;
    assert_eq!(m.breakpoint(PC), None, "reserved");
}

#[test]
fn secure_contexts_of_el2_need_a_secure_el2() {
    // Unlinked, CONTEXTIDR_EL2 (BT 1100) and VMID (BT 1000).
    for (bt, value) in [(0b1100, 0x5678 << 32), (0b1000, 9 << 32)] {
        let breakpoints = [breakpoint(0x1e7 | bt << 20, value)];
        for (security, secure_el2, want) in [
            (Security::NonSecure, false, true),
            (Security::Secure, false, false),
            (Security::Secure, true, true),
        ] {
            let mut m = matcher(&breakpoints, EL1);
            m.unit.secure_el2 = secure_el2;
            m.controls.security = security;
            assert_eq!(m.breakpoint(PC).is_some(), want, "BT {bt:#b}, {security:?}");
        }
    }
}

#[test]
fn every_type_is_allocated_where_the_manual_says() {
    // Arm ARM, AArch64.ReservedBreakpointType, all 32 values of BT2 and BT: always, if context-aware with
    // CONTEXTIDR_EL1 or VMID, if context-aware with CONTEXTIDR_EL2, with FEAT_BWE, with FEAT_ABLE, never.
    const WANT: &[u8; 32] = b"aaccbbeecccceeeeaarraarrrrrrrrrr";
    for (bits, want) in (0..32u64).zip(WANT) {
        let breakpoints = [breakpoint(bits >> 4 << 3 | (bits & 15) << 20, 0)];
        let reserved = |change: fn(&mut DebugUnit)| {
            let mut m = matcher(&breakpoints, EL1);
            m.unit = DebugUnit { context_aware: 1, ranges: true, linked_addresses: true, ..UNIT };
            change(&mut m.unit);
            m.is_reserved_type(0, breakpoint(bits >> 4 << 3 | (bits & 15) << 20, 0).control)
        };
        assert_eq!(reserved(|_| ()), *want == b'r', "{bits:#07b}, everything there");
        let contexts = reserved(|unit| unit.context_aware = 0);
        assert_eq!(contexts, matches!(want, b'c' | b'e' | b'r'), "{bits:#07b}, not context-aware");
        let plain = reserved(|unit| unit.el2_contexts = false);
        assert_eq!(plain, matches!(want, b'e' | b'r'), "{bits:#07b}, no CONTEXTIDR_EL2");
        let single = reserved(|unit| unit.ranges = false);
        assert_eq!(single, matches!(want, b'b' | b'r'), "{bits:#07b}, no FEAT_BWE");
    }
}

#[test]
fn a_watchpoint_links_to_an_address_with_bt2() {
    const RANGE: u64 = 0x1e1 | 1 << 3 | 12 << 24;
    let watched =
        [Watched { control: DbgwcrEl1::from_bits(0xf | 0xff << 5 | 1 << 20 | 1 << 16), value: 0x1000 }];
    let context = breakpoint(0x1e1 | 0b0011 << 20, 0x1234);
    let wrong = breakpoint(0x1e1 | 0b0011 << 20, 0x1235);
    // Breakpoint 0, breakpoint 1 that the watchpoint links to, whether it matches in the range and beyond.
    let cases: &[(&str, Breakpoint, Breakpoint, bool, bool)] = &[
        ("in the range", context, breakpoint(RANGE, PC), true, false),
        ("outside of it", context, breakpoint(RANGE | 4 << 20, PC), false, true),
        ("linked in turn to a context", context, breakpoint(RANGE | 1 << 20, PC), true, false),
        ("to another context", wrong, breakpoint(RANGE | 1 << 20, PC), false, false),
        ("mismatch, linked to a context", context, breakpoint(RANGE | 5 << 20, PC), false, true),
        ("an address without BT2", context, breakpoint(RANGE & !8, PC), false, false),
        ("disabled", context, breakpoint(RANGE & !1, PC), false, false),
        ("a context with BT2 is reserved", context, breakpoint(RANGE | 3 << 20, 0x1234), false, false),
    ];
    for (name, first, second, inside, outside) in cases {
        let breakpoints = [*first, *second];
        let mut m = matcher(&breakpoints, EL1);
        m.unit = DebugUnit { ranges: true, linked_addresses: true, ..UNIT };
        let hits = |pc| m.watchpoint(&watched, DataAccess { pc, ..load(0x1000, 8) }).is_some();
        assert_eq!((hits(PC), hits(PC + 0x1000)), (*inside, *outside), "{name}");
        assert_eq!(m.breakpoint(PC), None, "{name}: a breakpoint for links is none by itself");
    }
    // Without FEAT_ABLE BT2 does not count, and a breakpoint cannot link to an address.
    let breakpoints = [context, breakpoint(RANGE, PC)];
    let mut m = matcher(&breakpoints, EL1);
    m.unit.ranges = true;
    assert_eq!(m.watchpoint(&watched, DataAccess { pc: PC, ..load(0x1000, 8) }), None);
    let breakpoints = [breakpoint(0x1e3 | 1 << 20 | 1 << 16, PC), breakpoint(RANGE, PC)];
    let mut m = matcher(&breakpoints, EL1);
    m.unit = DebugUnit { ranges: true, linked_addresses: true, ..UNIT };
    assert_eq!(m.breakpoint(PC), None);
}

#[test]
fn nothing_matches_while_debug_exceptions_are_off() {
    let breakpoints = [breakpoint(0x1e3, PC)];
    for (name, mdscr, os_lock, want) in
        [("MDE", 0x8000, false, Some(0)), ("no MDE", 0x2000, false, None), ("OS lock", 0x8000, true, None)]
    {
        let mut m = matcher(&breakpoints, EL1);
        m.controls = DebugControls { mdscr: MdscrEl1::from_bits(mdscr), os_lock, ..ON };
        assert_eq!(m.breakpoint(PC), want, "{name}");
    }
    let mut m = matcher(&breakpoints, EL1);
    m.controls.route_to_el2 = false;
    assert_eq!(m.breakpoint(PC), Some(0), "EL1 with KDE");
    m.pstate = PState::from_bits(0x205);
    assert_eq!(m.breakpoint(PC), None, "PSTATE.D");
}

#[test]
fn contexts_match_by_type() {
    const ID1: u64 = 0x1234;
    const VMID: u64 = 9 << 32;
    const ID2: u64 = 0x5678 << 32;
    // Type, value, whether it matches at EL1.
    const CASES: &[(u64, u64, bool)] = &[
        (0b0010, ID1, true),
        (0b0010, ID1 ^ 1, false),
        (0b0110, ID1, true),
        (0b1000, VMID, true),
        (0b1000, VMID ^ 1 << 40, false),
        (0b1010, VMID | ID1, true),
        (0b1010, VMID, false),
        (0b1100, ID2, true),
        (0b1100, ID2 ^ 1 << 32, false),
        (0b1110, ID2 | ID1, true),
        (0b1110, ID2, false),
    ];
    for (bt, value, want) in CASES {
        let control = 0x21e7 | bt << 20; // HMC 1, SSC 00, PMC 11: every level
        let breakpoints = [breakpoint(control, *value)];
        assert_eq!(matcher(&breakpoints, EL1).breakpoint(PC), want.then_some(0), "{bt:#06b}");
        let linked = [breakpoint(control | 1 << 20, *value)];
        assert_eq!(matcher(&linked, EL1).breakpoint(PC), None, "{bt:#06b}, linked: not by itself");
    }
    // Without FEAT_VMID16 in use, 8 bits of the VMID count, in the register and in the breakpoint. Arm ARM,
    // AArch64.BreakpointValueMatch.
    for (vmid16, vmid, value, want) in [
        (true, 0x109, 0x109 << 32, true),
        (true, 0x109, 0x009 << 32, false),
        (true, 0x009, 0x109 << 32, false),
        (false, 0x109, 0x009 << 32, true),
        (false, 0x009, 0x109 << 32, true),
        (false, 0x009, 0x008 << 32, false),
    ] {
        let breakpoints = [breakpoint(0x21e7 | 0b1000 << 20, value)];
        let mut m = matcher(&breakpoints, EL1);
        (m.context.vmid, m.context.vmid16) = (vmid, vmid16);
        assert_eq!(m.breakpoint(PC).is_some(), want, "{vmid16} {vmid:#x} {value:#x}");
    }
    // Which level each type is for: at EL2 without E2H only CONTEXTIDR_EL2, at a host's EL2 also in place of
    // CONTEXTIDR_EL1, at EL3 none.
    let levels = [EL0, EL1, EL2, PState::from_bits(0xd)];
    for (bt, value, plain, host) in [
        (0b0010, ID1, [true, true, false, false], [false, true, false, false]),
        (0b0010, 0x5678, [false; 4], [true, false, true, false]),
        (0b0110, ID1, [true, true, false, false], [false, true, false, false]),
        (0b1000, VMID, [true, true, false, false], [false, true, false, false]),
        (0b1100, ID2, [true, true, true, false], [true, true, true, false]),
        (0b1110, ID2 | ID1, [true, true, false, false], [false, true, false, false]),
    ] {
        for (e2h, want) in [(false, plain), (true, host)] {
            for (pstate, want) in levels.into_iter().zip(want) {
                let breakpoints = [];
                let mut m = matcher(&breakpoints, pstate);
                m.context.hcr = m.context.hcr.with_e2h(e2h).with_tge(e2h);
                let got = m.context_matches(bits::low8(bt), value);
                assert_eq!(got, want, "{bt:#06b} {value:#x}, host {e2h}, {pstate:?}");
            }
        }
    }
    // EL3 has no EL2 context, also where a Secure EL2 is enabled.
    for (pstate, want) in [(EL1, true), (EL2, true), (PState::from_bits(0xd), false)] {
        let breakpoints = [];
        let mut m = matcher(&breakpoints, pstate);
        (m.unit.secure_el2, m.controls.security) = (true, Security::Secure);
        assert_eq!(m.context_matches(0b1100, ID2), want, "{pstate:?}");
    }
    let plain = [breakpoint(0x21e7 | 0b0110 << 20, ID1)];
    let mut m = matcher(&plain, EL0);
    assert_eq!(m.breakpoint(PC), Some(0));
    m.context.hcr = m.context.hcr.with_e2h(true).with_tge(true);
    assert_eq!(m.breakpoint(PC), None, "EL0 of the host has CONTEXTIDR_EL2");
    let either = [breakpoint(0x21e7 | 0b0010 << 20, 0x5678)];
    m.breakpoints = &either;
    assert_eq!(m.breakpoint(PC), Some(0), "type 001x takes the one in use");
}

#[test]
fn a_link_needs_a_linked_context_in_a_breakpoint_that_can_have_one() {
    let address = breakpoint(0x1e7 | 0b0001 << 20 | 2 << 16, PC);
    let context = breakpoint(0x1e7 | 0b0011 << 20, 0x1234);
    let off = breakpoint(0, 0);
    let good = [address, off, context];
    assert_eq!(matcher(&good, EL1).breakpoint(PC), Some(0));
    assert_eq!(matcher(&good, EL1).breakpoint(PC + 4), None, "the address still counts");
    let cases: &[(&str, [Breakpoint; 3])] = &[
        ("another context", [address, off, breakpoint(0x1e7 | 0b0011 << 20, 0x1235)]),
        ("an unlinked context", [breakpoint(0x1e7 | 0b0001 << 20 | 1 << 16, PC), off, context]),
        ("an address", [address, off, address]),
        ("disabled", [address, off, breakpoint(0x1e6 | 0b0011 << 20, 0x1234)]),
        ("none there", [breakpoint(0x1e7 | 0b0001 << 20 | 9 << 16, PC), off, context]),
    ];
    for (name, breakpoints) in cases {
        assert_eq!(matcher(breakpoints, EL1).breakpoint(PC), None, "{name}");
    }
    let mut m = matcher(&good, EL1);
    m.unit.context_aware = 0;
    assert_eq!(m.breakpoint(PC), None, "not context-aware");
}

const fn load(address: u64, bytes: u64) -> DataAccess {
    DataAccess { address, bytes, is_load: true, is_store: false, is_unprivileged: false, pc: PC }
}

#[test]
fn a_watchpoint_matches_the_bytes_it_selects() {
    const W: u64 = 0x1000;
    const ALL: u64 = 0x1fff & !0x18 | 0x8; // E, PAC 11, loads, BAS ff
    // Control, value, access, the address it reports.
    let cases: &[(&str, u64, u64, DataAccess, Option<u64>)] = &[
        ("doubleword, first byte", ALL, W, load(W, 1), Some(W)),
        ("doubleword, last byte", ALL, W, load(W + 7, 1), Some(W + 7)),
        ("before", ALL, W, load(W - 1, 1), None),
        ("behind", ALL, W, load(W + 8, 1), None),
        ("reaching into it", ALL, W, load(W - 4, 8), Some(W)),
        ("all around it", ALL, W, load(W - 16, 64), Some(W)),
        ("byte 2 only: hit", 0xf | 4 << 5, W, load(W + 2, 1), Some(W + 2)),
        ("byte 2 only: beside", 0xf | 4 << 5, W, load(W + 3, 1), None),
        ("byte 2 only: within", 0xf | 4 << 5, W, load(W, 4), Some(W + 2)),
        ("word at 4: BAS [3:0]", 0xf | 0xf << 5, W + 4, load(W + 4, 4), Some(W + 4)),
        ("word at 4: BAS [7:4] do not exist", 0xf | 0xf0 << 5, W + 4, load(W, 16), None),
        ("masked: first", ALL | 12 << 24, W, load(W, 8), Some(W)),
        ("masked: last", ALL | 12 << 24, W, load(W + 0xfff, 1), Some(W + 0xfff)),
        ("masked: beyond", ALL | 12 << 24, W, load(W + 0x1000, 1), None),
        ("masked: reaching into it", ALL | 12 << 24, W, load(W - 4, 8), Some(W)),
        ("masked: all around it", ALL | 3 << 24, W, load(W - 8, 64), Some(W)),
        ("mask 2 is reserved", ALL | 2 << 24, W, load(W + 8, 1), None),
        ("no byte selected", 0xf, W, load(W, 8), None),
        ("no byte accessed", ALL, W, load(W, 0), None),
        ("a tag does not count", ALL, W, load(W | 0xab << 56, 1), Some(W | 0xab << 56)),
    ];
    for (name, control, value, access, want) in cases {
        let watched = [Watched { control: DbgwcrEl1::from_bits(*control), value: *value }];
        let got = matcher(&[], EL1).watchpoint(&watched, *access);
        assert_eq!(got, want.map(|address| (0, address)), "{name}");
    }
}

#[test]
fn loads_stores_and_privilege_are_told_apart() {
    let at = |lsc: u64, pac: u64| {
        [Watched { control: DbgwcrEl1::from_bits(1 | pac << 1 | lsc << 3 | 0xff << 5), value: 0x1000 }]
    };
    let store = DataAccess { is_load: false, is_store: true, ..load(0x1000, 8) };
    let both = DataAccess { is_store: true, ..load(0x1000, 8) };
    let user = DataAccess { is_unprivileged: true, ..load(0x1000, 8) };
    let hits = |lsc, pac, access| matcher(&[], EL1).watchpoint(&at(lsc, pac), access).is_some();
    assert!(hits(1, 3, load(0x1000, 8)) && !hits(2, 3, load(0x1000, 8)) && !hits(0, 3, load(0x1000, 8)));
    assert!(hits(2, 3, store) && !hits(1, 3, store) && hits(3, 3, store));
    assert!(hits(1, 3, both) && hits(2, 3, both));
    assert!(hits(1, 2, user) && !hits(1, 1, user), "LDTR counts as EL0");
    assert!(!hits(1, 2, load(0x1000, 8)) && hits(1, 1, load(0x1000, 8)));
    // At EL2, with HMC for it and debug exceptions within it: LDTR is that of EL0, and not of EL2.
    let at_el2 = |hmc: u64, pac: u64, access| {
        let control = 1 | pac << 1 | 1 << 3 | 0xff << 5 | hmc << 13;
        let watched = [Watched { control: DbgwcrEl1::from_bits(control), value: 0x1000 }];
        matcher(&[], EL2).watchpoint(&watched, access).is_some()
    };
    assert!(at_el2(1, 1, load(0x1000, 8)) && !at_el2(1, 1, user), "HMC 1, PAC 01: EL1 and above");
    assert!(at_el2(0, 2, user) && !at_el2(0, 2, load(0x1000, 8)), "HMC 0, PAC 10: EL0");
}

#[test]
fn a_linked_watchpoint_needs_its_context() {
    let context = [breakpoint(0x1e7 | 0b0011 << 20, 0x1234)];
    let watched = [Watched { control: DbgwcrEl1::from_bits(0xf | 0xff << 5 | 1 << 20), value: 0x1000 }];
    let mut m = matcher(&context, EL1);
    assert_eq!(m.watchpoint(&watched, load(0x1000, 8)), Some((0, 0x1000)));
    m.context.contextidr_el1 = 0;
    assert_eq!(m.watchpoint(&watched, load(0x1000, 8)), None);
    m.pstate = EL2;
    assert_eq!(m.watchpoint(&watched, load(0x1000, 8)), None, "EL2 needs KDE at EL2 and HMC");
}
