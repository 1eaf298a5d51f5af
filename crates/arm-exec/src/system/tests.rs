//! Instructions by their words, in and out.

extern crate std;

use super::{Derived, execute, registers, storage_traps};
use crate::domain::Domain;
use crate::env::{Stage2Access, Stage2Page};
use crate::flow::{Flow, Host};
use crate::pe::{Caches, Pe};
use crate::ram::{Page, Ram};
use crate::state::State;
use arm_arch::iss::{Direction, SystemAccess};
use arm_arch::sysreg::names;
use arm_arch::trap::Decision;
use arm_arch::{Ipa, PState, Pa, SysRegId};
use std::vec::Vec;

/// A machine of a few pages from 0 on; stage 2 maps them one to one.
struct Machine<'m> {
    ram: Ram<'m>,
}

impl<'m> Host<'m> for Machine<'m> {
    fn stage2(&self, ipa: Ipa, _: Stage2Access) -> Option<Stage2Page<'m>> {
        let absolute = Pa::new(ipa.bits() & !0xfff);
        let page = self.ram.page(absolute)?;
        Some(Stage2Page { page, absolute, writable: true, executable: true })
    }

    fn counter(&self) -> u64 {
        1000
    }

    fn relax(&self) {}
}

/// A PE and its machine.
struct Bench<'m> {
    pe: Pe<'m>,
    machine: Machine<'m>,
}

impl Bench<'_> {
    fn execute(&mut self, word: u32) -> Seen {
        // As the engine does before it runs anything.
        self.pe.synchronise();
        seen(execute(&mut self.pe, &self.machine, word))
    }
}

/// Runs `with` on a PE at `pc` 0x8000 in the state of a reset, with a machine of eight pages.
fn on_pe<R>(with: impl FnOnce(&mut Bench<'_>) -> R) -> R {
    let pages: Vec<Page> = (0..8).map(|_| Page::zeroed()).collect();
    let domain = Domain::new();
    let (mut maps, mut ops, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
    let (mut jumps, mut functions) = (Vec::new(), Vec::new());
    maps.resize_with(Caches::MAPS, Default::default);
    ops.resize_with(4096, Default::default);
    blocks.resize_with(256, Default::default);
    jumps.resize_with(Caches::JUMPS, Default::default);
    functions.resize_with(1, Default::default);
    let caches = Caches {
        maps: &mut maps,
        ops: &mut ops,
        blocks: &mut blocks,
        jumps: &mut jumps,
        functions: &mut functions,
    };
    let mut pe = Pe::new(caches, &domain, 0).expect("the caches are large enough");
    pe.state.pc = 0x8000;
    with(&mut Bench { pe, machine: Machine { ram: Ram::new(&pages) } })
}

/// What an instruction word does from a prepared state.
fn run(prepare: impl FnOnce(&mut State), word: u32) -> (Seen, State) {
    on_pe(|bench| {
        prepare(&mut bench.pe.state);
        let flow = bench.execute(word);
        (flow, bench.pe.state.clone())
    })
}

fn at_el0(state: &mut State) {
    super::pstate::set_pstate(state, PState::from_bits(0));
}

/// The parts of a flow that tests compare.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Next,
    Context,
    Timers,
    Jump,
    Undefined,
    Exception(u64),
    Trap(u64, u64),
    Abort,
}

fn seen(flow: Flow) -> Seen {
    match flow {
        Flow::Next => Seen::Next,
        Flow::Context => Seen::Context,
        Flow::Timers => Seen::Timers,
        Flow::Jump => Seen::Jump,
        Flow::Undefined => Seen::Undefined,
        Flow::Exception(esr) => Seen::Exception(esr),
        Flow::Trap(esr, far) => Seen::Trap(esr, far),
        Flow::Abort(_) => Seen::Abort,
    }
}

const TWI: u64 = 1 << 13;
const TWE: u64 = 1 << 14;
const TSC: u64 = 1 << 19;
const TVM: u64 = 1 << 26;
const TID3: u64 = 1 << 18;

#[test]
fn instructions_at_el1_do_what_the_manual_says() {
    let cases: &[(&str, u64, u32, Seen, u64)] = &[
        ("svc #7", 0, 0xd400_00e1, Seen::Exception(0x5600_0007), 0x8004),
        ("hvc #0", 0, 0xd400_0002, Seen::Trap(0x5a00_0000, 0), 0x8004),
        ("hvc #1 with HCD", 1 << 29, 0xd400_0022, Seen::Undefined, 0x8000),
        ("smc #1 with TSC", TSC, 0xd400_0023, Seen::Trap(0x5e00_0001, 0), 0x8000),
        ("smc #1 without EL3", 0, 0xd400_0023, Seen::Undefined, 0x8000),
        ("brk #0x800", 0, 0xd421_0000, Seen::Exception(0xf200_0800), 0x8000),
        ("hlt #0", 0, 0xd440_0000, Seen::Undefined, 0x8000),
        ("dcps1", 0, 0xd4a0_0001, Seen::Undefined, 0x8000),
        ("tcancel", 0, 0xd460_0000, Seen::Undefined, 0x8000),
        ("drps", 0, 0xd6bf_03e0, Seen::Undefined, 0x8000),
        ("eretaa", 0, 0xd69f_0bff, Seen::Undefined, 0x8000),
        ("nop", 0, 0xd503_201f, Seen::Next, 0x8000),
        ("yield", 0, 0xd503_203f, Seen::Next, 0x8000),
        ("wfi", 0, 0xd503_207f, Seen::Next, 0x8000),
        ("wfi with TWI", TWI, 0xd503_207f, Seen::Trap(0x07e0_0000, 0), 0x8000),
        ("wfi with TWI, vIRQ pending", TWI | 0x90, 0xd503_207f, Seen::Next, 0x8000),
        ("wfe with TWE", TWE, 0xd503_205f, Seen::Trap(0x07e0_0001, 0), 0x8000),
        ("esb", 0, 0xd503_221f, Seen::Next, 0x8000),
        ("csdb", 0, 0xd503_229f, Seen::Next, 0x8000),
        ("paciasp", 0, 0xd503_233f, Seen::Next, 0x8000),
        ("bti c", 0, 0xd503_245f, Seen::Next, 0x8000),
        ("an unallocated hint", 0, 0xd503_2fff, Seen::Next, 0x8000),
        ("clrex", 0, 0xd503_3f5f, Seen::Next, 0x8000),
        ("dmb ish", 0, 0xd503_3bbf, Seen::Next, 0x8000),
        ("dsb sy", 0, 0xd503_3f9f, Seen::Next, 0x8000),
        ("isb", 0, 0xd503_3fdf, Seen::Next, 0x8000),
        ("sb is not announced", 0, 0xd503_30ff, Seen::Undefined, 0x8000),
        ("dsb nXS is not announced", 0, 0xd503_323f, Seen::Undefined, 0x8000),
        ("wfet is not announced", 0, 0xd503_1000, Seen::Undefined, 0x8000),
        ("msr daifset, #2", 0, 0xd503_42df, Seen::Next, 0x8000),
        ("msr tco, #1 is not announced", 0, 0xd503_419f, Seen::Undefined, 0x8000),
        ("cfinv", 0, 0xd500_401f, Seen::Next, 0x8000),
        ("xaflag is not announced", 0, 0xd500_403f, Seen::Undefined, 0x8000),
        ("msr sctlr_el1, x0", 0, 0xd518_1000, Seen::Context, 0x8000),
        ("msr sctlr_el1, x0 with TVM", TVM, 0xd518_1000, Seen::Trap(0x6230_0400, 0), 0x8000),
        ("mrs x5, id_aa64pfr0_el1 with TID3", TID3, 0xd538_0405, Seen::Trap(0x6230_00a9, 0), 0x8000),
        ("mrs x0, hcr_el2", 0, 0xd53c_1100, Seen::Undefined, 0x8000),
        ("mrs x0, pmcr_el0 is not announced", 0, 0xd53b_9c00, Seen::Undefined, 0x8000),
        ("msr midr_el1, x0", 0, 0xd518_0000, Seen::Undefined, 0x8000),
        ("msr cntfrq_el0, x0: read-only below EL2", 0, 0xd51b_e000, Seen::Undefined, 0x8000),
        ("msr cntvct_el0, x0", 0, 0xd51b_e040, Seen::Undefined, 0x8000),
        ("msr mpidr_el1, x0", 0, 0xd518_00a0, Seen::Undefined, 0x8000),
        ("msr isr_el1, x0", 0, 0xd518_c100, Seen::Undefined, 0x8000),
        ("msr currentel, x0", 0, 0xd518_4240, Seen::Undefined, 0x8000),
        ("mrs x0, oslar_el1: write-only", 0, 0xd530_1080, Seen::Undefined, 0x8000),
        ("mrs x0, icc_eoir1_el1: write-only", 0, 0xd538_cc20, Seen::Undefined, 0x8000),
        ("msr icc_iar1_el1, x0: read-only", 0, 0xd518_cc00, Seen::Undefined, 0x8000),
        ("msr contextidr_el1, x0", 0, 0xd518_d020, Seen::Next, 0x8000),
        ("tlbi vmalle1is", 0, 0xd508_831f, Seen::Context, 0x8000),
        ("tlbi vmalle1is with TTLB", 1 << 25, 0xd508_831f, Seen::Trap(0x6210_23e6, 0), 0x8000),
        ("tlbi alle2", 0, 0xd50c_871f, Seen::Undefined, 0x8000),
        ("dc isw with TSW", 1 << 22, 0xd508_7640, Seen::Trap(0x6214_1c0c, 0), 0x8000),
        ("msr cntv_ctl_el0, x0", 0, 0xd51b_e320, Seen::Timers, 0x8000),
        ("msr icc_sgi1r_el1, x0", 0x38, 0xd518_cba0, Seen::Trap(0x623a_3016, 0), 0x8000),
        ("S3_0_C15_C0_0 is nobody's", 0, 0xd538_f000, Seen::Undefined, 0x8000),
        ("S3_0_C15_C0_0 with TIDCP", 1 << 20, 0xd538_f000, Seen::Trap(0x6230_3c01, 0), 0x8000),
    ];
    for (name, hcr, word, want, pc) in cases {
        let (flow, state) = run(|state| state.sys.hcr_el2 = *hcr, *word);
        assert_eq!((&flow, state.pc), (want, *pc), "{name}");
    }
}

#[test]
fn el0_needs_the_gates_of_sctlr_and_cntkctl() {
    const UCT: u64 = 1 << 15;
    const UMA: u64 = 1 << 9;
    const NTWI: u64 = 1 << 16;
    let cases: &[(&str, u64, u64, u32, Seen)] = &[
        ("svc #0", 0, 0, 0xd400_0001, Seen::Exception(0x5600_0000)),
        ("hvc #0", 0, 0, 0xd400_0002, Seen::Undefined),
        ("smc #0", 0, 0, 0xd400_0003, Seen::Undefined),
        ("eret", 0, 0, 0xd69f_03e0, Seen::Undefined),
        ("mrs x0, sctlr_el1", 0, 0, 0xd538_1000, Seen::Undefined),
        ("mrs x0, midr_el1", 0, 0, 0xd538_0000, Seen::Undefined),
        ("mrs x0, tpidr_el0", 0, 0, 0xd53b_d040, Seen::Next),
        ("mrs x0, tpidrro_el0", 0, 0, 0xd53b_d060, Seen::Next),
        ("msr tpidrro_el0, x0", 0, 0, 0xd51b_d060, Seen::Undefined),
        ("mrs x0, ctr_el0", 0, 0, 0xd53b_0020, Seen::Exception(0x6232_c001)),
        ("mrs x0, ctr_el0 with UCT", UCT, 0, 0xd53b_0020, Seen::Next),
        ("mrs x0, dczid_el0", 0, 0, 0xd53b_00e0, Seen::Next),
        ("mrs x0, cntvct_el0", 0, 0, 0xd53b_e040, Seen::Exception(0x6234_f801)),
        ("mrs x0, cntvct_el0 with EL0VCTEN", 0, 2, 0xd53b_e040, Seen::Next),
        ("mrs x0, cntfrq_el0", 0, 0, 0xd53b_e000, Seen::Exception(0x6230_f801)),
        ("mrs x0, cntfrq_el0 with EL0PCTEN", 0, 1, 0xd53b_e000, Seen::Next),
        ("mrs x0, daif", 0, 0, 0xd53b_4220, Seen::Exception(0x6232_d005)),
        ("mrs x0, daif with UMA", UMA, 0, 0xd53b_4220, Seen::Next),
        ("msr daifset, #2", 0, 0, 0xd503_42df, Seen::Exception(0x620c_d3e4)),
        ("msr daifset, #2 with UMA", UMA, 0, 0xd503_42df, Seen::Next),
        ("msr pan, #1", 0, 0, 0xd500_419f, Seen::Undefined),
        ("ic ivau, x0", 0, 0, 0xd50b_7520, Seen::Exception(0x6212_dc0a)),
        ("dc zva, x0", 0, 0, 0xd50b_7420, Seen::Exception(0x6212_dc08)),
        ("tlbi vmalle1", 0, 0, 0xd508_871f, Seen::Undefined),
        ("dc ivac, x0", 0, 0, 0xd508_7620, Seen::Undefined),
        ("wfi", 0, 0, 0xd503_207f, Seen::Exception(0x07e0_0000)),
        ("wfi with nTWI", NTWI, 0, 0xd503_207f, Seen::Next),
        ("mrs x0, nzcv", 0, 0, 0xd53b_4200, Seen::Next),
        ("mrs x0, currentel", 0, 0, 0xd538_4240, Seen::Undefined),
    ];
    for (name, sctlr, cntkctl, word, want) in cases {
        let prepare = |state: &mut State| {
            at_el0(state);
            state.sys.sctlr_el1 |= sctlr;
            state.sys.cntkctl_el1 = *cntkctl;
            // EL2 lets counters and timers through.
            state.sys.cnthctl_el2 = 3;
        };
        let (flow, _) = run(prepare, *word);
        assert_eq!(&flow, want, "{name}");
    }
}

#[test]
fn reads_arrive_in_the_register() {
    let cases: &[(&str, u32, u64)] = &[
        ("mrs x0, currentel", 0xd538_4240, 4),
        ("mrs x0, daif", 0xd53b_4220, 0x3c0),
        ("mrs x0, spsel", 0xd538_4200, 1),
        ("mrs x0, cntvct_el0", 0xd53b_e040, 1000),
        ("mrs x0, mpidr_el1", 0xd538_00a0, 0x8000_0003),
        ("mrs x0, id_aa64mmfr1_el1", 0xd538_0720, 0x10_0000),
    ];
    for (name, word, want) in cases {
        let (flow, state) = run(|state| state.sys.vmpidr_el2 = 0x8000_0003, *word);
        assert_eq!((flow, state.x[0]), (Seen::Next, *want), "{name}");
    }
    let (_, state) = run(|state| state.x[31] = 0, 0xd538_425f);
    assert_eq!(state.x[31], 0, "mrs xzr, currentel");
}

#[test]
fn wfe_uses_up_the_event() {
    on_pe(|bench| {
        bench.pe.state.sys.hcr_el2 = TWE;
        assert_eq!(bench.execute(0xd503_20bf), Seen::Next, "sevl");
        assert_eq!(bench.execute(0xd503_205f), Seen::Next, "wfe");
        assert_eq!(bench.execute(0xd503_205f), Seen::Trap(0x07e0_0001, 0), "wfe again");
        assert_eq!(bench.execute(0xd503_209f), Seen::Next, "sev");
        assert_eq!(bench.execute(0xd503_205f), Seen::Next, "wfe");
    });
}

#[test]
fn dc_zva_zeroes_its_block_and_refuses_devices() {
    on_pe(|bench| {
        let ram = bench.machine.ram;
        bench.pe.state.x[0] = 0x4567;
        // Stage 1 off: all memory is Device.
        assert_eq!(bench.execute(0xd50b_7420), Seen::Abort);
        // One block of 1 GiB at level 1, Normal Write-Back.
        ram.store8(Pa::new(0x1000), 0x0000_0000_0000_0705_u64.to_le_bytes()).expect("within memory");
        bench.pe.state.sys.tcr_el1 = 0x19;
        bench.pe.state.sys.ttbr0_el1 = 0x1000;
        bench.pe.state.sys.mair_el1 = 0xff00;
        bench.pe.state.sys.sctlr_el1 |= 0x1005;
        for at in (0x4538..0x4588).step_by(8) {
            ram.store8(Pa::new(at), [0xa5; 8]).expect("within memory");
        }
        assert_eq!(bench.execute(0xd50b_7420), Seen::Next, "dc zva, x0");
        let zeroed: Vec<u64> =
            (0x4538..0x4588).step_by(8).filter(|at| ram.load8(Pa::new(*at)) == Some([0; 8])).collect();
        assert_eq!((zeroed.first(), zeroed.last(), zeroed.len()), (Some(&0x4540), Some(&0x4578), 8));
        assert_eq!(bench.execute(0xd50b_7e20), Seen::Next, "dc civac, x0");
        assert_eq!(bench.execute(0xd50b_7520), Seen::Context, "ic ivau, x0");
        bench.pe.state.x[0] = 0x8000_0000;
        assert_eq!(bench.execute(0xd50b_7e20), Seen::Abort, "dc civac where nothing is mapped");
    });
}

#[test]
fn eret_jumps() {
    let prepare = |state: &mut State| {
        state.sys.elr_el1 = 0x40_0000;
        state.sys.spsr_el1 = 0;
    };
    let (flow, state) = run(prepare, 0xd69f_03e0);
    assert_eq!((flow, state.pc, state.mode.el), (Seen::Jump, 0x40_0000, 0));
}

#[test]
fn debug_exceptions_go_to_el2_where_mdcr_says_so() {
    let (flow, state) = run(|state| state.sys.mdcr_el2 = 1 << 8, 0xd421_0000);
    assert_eq!((flow, state.pc), (Seen::Trap(0xf200_0800, 0), 0x8000));
}

#[test]
fn floating_point_traps_to_the_level_that_disabled_it() {
    use crate::flow::FpTrap;
    let mut state = State::reset();
    let mut trap = |cpacr, cptr, el0: bool| {
        state.sys.cpacr_el1 = cpacr;
        state.sys.cptr_el2 = cptr;
        super::pstate::set_pstate(&mut state, PState::from_bits(if el0 { 0 } else { 0x3c5 }));
        super::fp_trap(&state)
    };
    assert_eq!(trap(0, 0, false), Some((FpTrap::El1, 0x1fe0_0000)));
    assert_eq!(trap(1 << 20, 0, false), None);
    assert_eq!(trap(1 << 20, 0, true), Some((FpTrap::El1, 0x1fe0_0000)));
    assert_eq!(trap(3 << 20, 0, true), None);
    assert_eq!(trap(3 << 20, 1 << 10, false), Some((FpTrap::El2, 0x1fe0_0000)));
    assert_eq!(trap(0, 1 << 10, false), Some((FpTrap::El1, 0x1fe0_0000)), "EL1 first");
}

#[test]
fn at_fills_par() {
    on_pe(|bench| {
        let ram = bench.machine.ram;
        // Stage 1 off: Device-nGnRnE, the address itself.
        bench.pe.state.x[0] = 0x4567;
        assert_eq!(bench.execute(0xd508_7800), Seen::Next, "at s1e1r, x0");
        assert_eq!(bench.pe.state.sys.par_el1, 0x4900);
        // 4 KiB granule, 39 bits: level 1 at 0x1000, level 2 at 0x2000, level 3 at 0x3000.
        bench.pe.state.sys.tcr_el1 = 0x19;
        bench.pe.state.sys.ttbr0_el1 = 0x1000;
        bench.pe.state.sys.mair_el1 = 0xff;
        bench.pe.state.sys.sctlr_el1 |= 0x1005;
        for (at, entry) in [(0x1000, 0x2003_u64), (0x2000, 0x3003), (0x3020, 0x0060_0000_0000_5783)] {
            ram.store8(Pa::new(at), entry.to_le_bytes()).expect("within memory");
        }
        assert_eq!(bench.execute(0xd508_7800), Seen::Next);
        assert_eq!(bench.pe.state.sys.par_el1, 0xff00_0000_0000_5980);
        assert_eq!(bench.execute(0xd508_7820), Seen::Next, "at s1e1w: read-only");
        assert_eq!(bench.pe.state.sys.par_el1, 0x81f);
        assert_eq!(bench.execute(0xd508_7840), Seen::Next, "at s1e0r: no access");
        assert_eq!(bench.pe.state.sys.par_el1, 0x81f);
        bench.pe.state.x[0] = 0x5000;
        assert_eq!(bench.execute(0xd508_7800), Seen::Next, "nothing at level 3");
        assert_eq!(bench.pe.state.sys.par_el1, 0x80f);
        // A table that stage 2 does not map.
        ram.store8(Pa::new(0x2000), 0x0010_0003_u64.to_le_bytes()).expect("within memory");
        assert_eq!(bench.execute(0xd508_7800), Seen::Abort);
    });
}

/// Every encoding of the spaces of system registers: what `arm_arch` allows EL1 of an element like this one is there,
/// and nothing else.
#[test]
fn the_registers_that_are_there_are_those_that_the_model_allows() {
    // Allowed without a register behind them: answered by the hypervisor always.
    const ELSEWHERE: &[SysRegId] = &[names::ICC_SGI0R_EL1, names::ICC_SGI1R_EL1, names::ICC_ASGI1R_EL1];
    let mut state = State::reset();
    state.sys.cptr_el2 = 3 << 20;
    state.sys.cpacr_el1 = 3 << 20;
    state.sys.cnthctl_el2 = 3 << 10;
    state.sys.icc_sre_el2 = 0xf;
    state.sys.hcr_el2 = 1 << 34 | 1 << 31;
    let mut seen = 0;
    for bits in 0x8000..=u16::MAX {
        let id = SysRegId::from_bits(bits);
        for direction in [Direction::Read, Direction::Write] {
            let mut derived = Derived::new();
            let allowed = derived.system_access(&state, SystemAccess { id, rt: 0, direction });
            let mut after = state.clone();
            let there = match direction {
                Direction::Read => registers::read(&mut after, &mut derived, id, || 0).is_some(),
                Direction::Write => registers::write(&mut after, &mut derived, id, 0, || 0).is_some(),
            };
            if !ELSEWHERE.contains(&id) && allowed == Decision::Allowed {
                assert!(there, "{direction:?} {id} is allowed and does not exist");
                seen += 1;
            }
        }
    }
    assert!(seen > 200, "{seen}");
}

#[test]
fn what_is_only_storage_traps_by_hcr() {
    let traps = |hcr| {
        let mut state = State::reset();
        state.sys.hcr_el2 = hcr;
        storage_traps(&state)
    };
    // TVM is about writes of ESR_EL1 and FAR_EL1, which are no operations of their own; TRVM is about reads.
    for (name, hcr, want) in [("none", 0, false), ("TVM", 1 << 26, false), ("TRVM", 1 << 30, true)] {
        assert_eq!(traps(hcr), want, "{name}");
    }
}
