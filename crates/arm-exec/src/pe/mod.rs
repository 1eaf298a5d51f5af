//! One processing element: its state, its caches, and the loop that runs it.
#![expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "generations, counters and addresses are modulo 2^n; indices are constants or masked"
)]

mod find;
mod forget;
mod settle;

use crate::abort::Abort;
use crate::block::{Block, Jump, Op, Store};
use crate::debug::{self, Debugging};
use crate::decode::{Context, Field, Function, Functions};
use crate::domain::{Domain, Mailbox, request};
use crate::env::{Environment, Event, Timer};
use crate::flow::{Boundary, Host, Keeper, TIMER_BLOCKS};
use crate::ram::{Confined, Map, MapMemory};
use crate::state::State;
use crate::system;
use arm_arch::debug::StepState;
use arm_arch::sysreg::{CntCtl, HcrEl2, IchHcr, MdscrEl1, SctlrEl1};
use arm_arch::{Ipa, Level};
use core::cell::Cell;
use forget::Fetched;
use mmu_xlate::vmsa::{El1Registers, Params};

/// Blocks that a call of `run` counts as, in the time between looks at the timers.
const ENTRY_BLOCKS: u32 = 64;
/// Entries of the table of indirect branches.
pub(crate) const JUMPS: usize = 4096;
/// The maps of reads: EL1, EL1 with PAN, EL0.
pub(crate) const READ: usize = 0;
/// The maps of writes, in the same order.
pub(crate) const WRITE: usize = 3;
/// The maps of instruction fetches: EL1, EL0.
pub(crate) const FETCH: usize = 6;
/// What the maps of reads and writes gave up last, in the same order.
pub(crate) const OLDER: usize = 8;
/// The map in which nothing ever is, for contexts that check every access.
const EMPTY: usize = 14;
/// The maps of stage 2, by intermediate physical address: what may be read, what may be written.
pub(crate) const STAGE2: [usize; 2] = [15, 16];
/// What those gave up last.
pub(crate) const OLDER_STAGE2: [usize; 2] = [17, 18];
const MAPS: usize = 19;

/// Memory that a PE works in, provided by the caller. Contents mean nothing to anyone else.
#[derive(Debug)]
pub struct Caches<'m> {
    /// Translations: [`Caches::MAPS`].
    pub maps: &'m mut [MapMemory],
    /// Decoded instructions: [`Caches::OPS`] is a good number, 4096 the least.
    pub ops: &'m mut [Op],
    /// Decoded blocks: [`Caches::BLOCKS`] is a good number, 256 the least.
    pub blocks: &'m mut [Block],
    /// Targets of indirect branches: [`Caches::JUMPS`].
    pub jumps: &'m mut [Jump],
    /// Functions of SIMD instructions: [`Caches::FUNCTIONS`] holds them all, 1 is the least.
    pub functions: &'m mut [Function],
}

impl Caches<'_> {
    /// Maps that a PE needs.
    pub const MAPS: usize = MAPS;
    /// Operations that hold the working set of a system (16 MiB).
    pub const OPS: usize = 1 << 20;
    /// Blocks that go with them.
    pub const BLOCKS: usize = 1 << 16;
    /// Entries of the table of indirect branches.
    pub const JUMPS: usize = JUMPS;
    /// Functions that there can be of SIMD instructions, and room for hashing them.
    pub const FUNCTIONS: usize = 4096;
}

/// What a PE did, counted since it was made. All counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Instructions executed.
    pub instructions: u64,
    /// Branches taken between blocks, that is blocks executed.
    pub blocks: u64,
    /// Accesses to memory by instructions (each looks up a translation).
    pub accesses: u64,
    /// Accesses that did not find their translation cached.
    pub misses: u64,
    /// Instruction addresses whose translation was not cached.
    pub fetch_misses: u64,
    /// Stage-1 walks.
    pub walks: u64,
    /// Questions to stage 2.
    pub stage2: u64,
    /// Blocks decoded.
    pub decoded: u64,
    /// Times that the decoded blocks were dropped for want of room.
    pub evictions: u64,
    /// Invalidations applied.
    pub invalidations: u64,
}

impl Statistics {
    const NONE: Self = Self {
        instructions: 0,
        blocks: 0,
        accesses: 0,
        misses: 0,
        fetch_misses: 0,
        walks: 0,
        stage2: 0,
        decoded: 0,
        evictions: 0,
        invalidations: 0,
    };
}

/// Translations of Device memory that are remembered.
pub(crate) const DEVICES: usize = 16;

/// A remembered stage-1 translation of a page of Device memory, for aligned accesses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Device {
    /// The virtual page, with the kind of access in the low bits; 0 for none.
    pub(crate) key: u64,
    /// The intermediate physical page.
    pub(crate) ipa: u64,
}

impl Device {
    const NONE: Self = Self { key: 0, ipa: 0 };
}

/// The registers of the timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Timers([u64; 4]);

/// What the trap of FP and SIMD depends on: CPACR_EL1, CPTR_EL2, HCR_EL2, the Exception level.
type FpControls = (u64, u64, u64, u8);

/// One processing element.
#[derive(Debug)]
pub struct Pe<'m> {
    /// The architectural state; the caller may read and change it whenever `run` is not running.
    pub state: State,
    pub(crate) statistics: Statistics,
    /// What `system` derives from registers.
    pub(crate) derived: system::Derived,
    pub(crate) debugging: Debugging,
    /// Generation and context of the two halves of the address space: what links and remembered jumps are true for.
    pub(crate) keys: [u32; 2],
    /// The map of the current context's reads.
    pub(crate) reads: Map<'m>,
    /// The map of the current context's writes.
    pub(crate) writes: Map<'m>,
    pub(crate) store: Store<'m>,
    jumps: Confined<'m, [Cell<Jump>; JUMPS]>,
    pub(crate) mailbox: &'m Mailbox,
    pub(crate) functions: Functions<'m>,
    pub(crate) maps: [Map<'m>; MAPS],
    /// The access that failed, until it is reported.
    pub(crate) abort: Option<Abort>,
    /// What the registers of stage 1 mean, as of the last `synchronise`; `None` before the first.
    pub(crate) params: Option<Params>,
    /// Classes of addresses that are mapped by more than a page: by 2 MiB for up to that, by 1 GiB.
    pub(crate) large: [u64; 2],
    /// Translations of the upper half that are not global are in the maps.
    pub(crate) high_not_global: bool,
    pub(crate) fetched: Fetched,
    pub(crate) devices: [Device; DEVICES],
    /// Registers of stage 1 that the maps were filled for, and that `params` has.
    mapped_for: El1Registers,
    generations: [u32; 2],
    context: Context,
    /// Whether FP and SIMD trap, and what that was derived from.
    fp_trap: (Option<FpControls>, bool),
    /// Whether a register that is only storage traps, and the HCR_EL2 that was derived from.
    storage_traps: (Option<u64>, bool),
    /// Blocks until the next look at the timers.
    until_timers: u32,
    /// The timers as they were when `run` returned.
    timers: Timers,
    shared: &'m Domain,
    index: usize,
    /// Something was broadcast that nobody has waited for.
    broadcast: bool,
    /// The stub that waits for the block at `state.pc`.
    link: Option<usize>,
}

/// A place in a domain, with caches that are large enough: what a PE is made of.
#[derive(Debug)]
pub struct Seat<'m> {
    maps: [Map<'m>; MAPS],
    store: Store<'m>,
    jumps: Confined<'m, [Cell<Jump>; JUMPS]>,
    functions: Functions<'m>,
    mailbox: &'m Mailbox,
    shared: &'m Domain,
    index: usize,
}

impl<'m> Seat<'m> {
    /// Takes the place number `index` of a domain. `None` where a part of `caches` is too small or the domain has no such
    /// number.
    #[must_use]
    pub fn new(caches: Caches<'m>, shared: &'m Domain, index: usize) -> Option<Self> {
        let mut memories = caches.maps.iter_mut();
        let mut maps = [None; MAPS];
        for map in &mut maps {
            *map = Some(Map::new(memories.next()?));
        }
        let empty = maps[EMPTY]?;
        let maps = maps.map(|map| map.unwrap_or(empty));
        let jumps: &mut [Jump; JUMPS] = caches.jumps.first_chunk_mut()?;
        jumps.fill(Jump::default());
        if caches.functions.is_empty() {
            return None;
        }
        Some(Self {
            maps,
            store: Store::new(caches.ops, caches.blocks)?,
            jumps: Confined::array(jumps)?,
            functions: Functions::new(caches.functions),
            mailbox: shared.join(index)?,
            shared,
            index,
        })
    }
}

/// Virtual exceptions that HCR_EL2 makes pending.
const PENDING: u64 = HcrEl2::new().with_vf(true).with_vi(true).with_vse(true).into_bits();
/// Debug exceptions that MDSCR_EL1 enables.
const DEBUGGING: u64 = MdscrEl1::new().with_mde(true).with_ss(true).into_bits();
/// Causes of the maintenance interrupt that ICH_HCR_EL2 enables.
const MAINTENANCE: u64 = IchHcr::new()
    .with_uie(true)
    .with_lrenpie(true)
    .with_npie(true)
    .with_vgrp0eie(true)
    .with_vgrp0die(true)
    .with_vgrp1eie(true)
    .with_vgrp1die(true)
    .into_bits();
const _: () = assert!(PENDING == 0x1c0 && DEBUGGING == 0x8001 && MAINTENANCE == 0xfe);

/// Registers of stage 1 before the first `synchronise`.
const NO_REGISTERS: El1Registers = El1Registers { sctlr: 0, tcr: 0, ttbr0: 0, ttbr1: 0, mair: 0, hcr: 0 };

/// Which half of the address space.
const fn half(va: u64) -> usize {
    (va >> 55) as usize & 1
}

/// Why [`Pe::run`] returns, before the fault of the environment is put in.
enum Exit {
    Budget,
    Request,
    Trap { esr: u64, far: u64 },
    Stage2 { esr: u64, far: u64, ipa: Ipa, level: Option<Level> },
    Timer(Timer),
    Maintenance,
}

impl<'m> Pe<'m> {
    /// Makes the PE number `index` of a domain, in the state of a reset, with empty caches. `None`
    /// where a part of `caches` is too small or the domain has no such number.
    #[must_use]
    pub fn new(caches: Caches<'m>, shared: &'m Domain, index: usize) -> Option<Self> {
        Seat::new(caches, shared, index).map(Self::at)
    }

    /// Makes the PE of a seat. Inline: where a caller writes it into a place at once, nothing of it, which is large, goes
    /// over the stack.
    #[inline(always)]
    #[must_use]
    pub fn at(seat: Seat<'m>) -> Self {
        Self {
            state: State::reset(),
            statistics: Statistics::NONE,
            derived: system::Derived::new(),
            debugging: Debugging::new(),
            keys: [0; 2],
            reads: seat.maps[EMPTY],
            writes: seat.maps[EMPTY],
            store: seat.store,
            jumps: seat.jumps,
            mailbox: seat.mailbox,
            functions: seat.functions,
            maps: seat.maps,
            abort: None,
            params: None,
            large: [0; 2],
            high_not_global: false,
            fetched: Fetched([[0; 64]; 2]),
            devices: [Device::NONE; DEVICES],
            mapped_for: NO_REGISTERS,
            // Generation 0 is never current: what is zero is true for nothing.
            generations: [1; 2],
            context: Context(0),
            fp_trap: (None, false),
            storage_traps: (None, false),
            until_timers: 0,
            timers: Timers([0; 4]),
            shared: seat.shared,
            index: seat.index,
            broadcast: false,
            link: None,
        }
    }

    /// Does what [`run`](Self::run) does first: who posts an invalidation from now on waits for this PE. It ends with a
    /// sequentially consistent fence, which orders what the caller stored before with what it loads after.
    /// To be followed by `run` or [`withdraw`](Self::withdraw), at once.
    #[inline]
    pub fn announce(&mut self) {
        self.mailbox.enter();
    }

    /// Takes [`announce`](Self::announce) back, where nothing is run after all.
    #[inline]
    pub fn withdraw(&mut self) {
        self.mailbox.leave();
    }

    /// Runs until something happens, for at most `blocks` blocks.
    pub fn run<E: Environment<'m>>(&mut self, env: &E, blocks: u32) -> Event<E::Fault> {
        self.enter(env, blocks, false)
    }

    /// Runs one instruction, or takes one interrupt: [`Event::Budget`] where it went as usual.
    pub fn step<E: Environment<'m>>(&mut self, env: &E) -> Event<E::Fault> {
        self.enter(env, 1, true)
    }

    fn enter<E: Environment<'m>>(&mut self, env: &E, blocks: u32, single: bool) -> Event<E::Fault> {
        let keeper = Keeper { env, fault: Cell::new(None) };
        self.mailbox.enter();
        // Timers that the caller has set are looked at now, others when it is time; running itself counts.
        if self.timers != self.timer_registers() {
            self.until_timers = 0;
        }
        self.until_timers = self.until_timers.saturating_sub(ENTRY_BLOCKS);
        let exit = self.work(&keeper, blocks, single);
        self.timers = self.timer_registers();
        self.mailbox.leave();
        match exit {
            Exit::Budget => Event::Budget,
            Exit::Request => Event::ExitRequest,
            Exit::Trap { esr, far } => Event::Trap { esr, far },
            Exit::Timer(timer) => Event::Timer(timer),
            Exit::Maintenance => Event::Maintenance,
            Exit::Stage2 { esr, far, ipa, level } => match keeper.fault.take() {
                Some(fault) => Event::Stage2 { fault, esr, far, ipa, s1_walk_level: level },
                // The keeper has a fault whenever an access was refused.
                None => Event::Budget,
            },
        }
    }

    /// The loop around the executor. Not generic, so that it is compiled once.
    fn work(&mut self, env: &dyn Host<'m>, blocks: u32, single: bool) -> Exit {
        let mut left = blocks;
        // A stub waits for the block at the PC that it left with: the caller may have changed PC since.
        self.link = None;
        let mut changed = true;
        loop {
            if self.mailbox.requests() != 0 {
                self.serve();
                if self.mailbox.take(request::EXIT) {
                    return Exit::Request;
                }
            }
            if self.until_timers == 0 {
                self.until_timers = TIMER_BLOCKS;
                if let Some(timer) = self.look_at_timers(env) {
                    return Exit::Timer(timer);
                }
            }
            if left == 0 {
                return Exit::Budget;
            }
            if changed {
                let pc = self.state.pc;
                if !self.is_calm() {
                    match system::interrupts(self) {
                        Boundary::Continue => {}
                        Boundary::Maintenance => return Exit::Maintenance,
                        Boundary::Step(esr) => return Exit::Trap { esr, far: 0 },
                    }
                }
                self.synchronise();
                if single && self.state.pc != pc {
                    return Exit::Budget;
                }
            }
            let stepping = changed && self.is_stepping();
            let breaking = self.debugging.breaking;
            let alone = single || stepping || breaking && debug::is_near(&self.state);
            let start = match self.find(env, alone) {
                Ok(start) => start,
                Err(None) => {
                    changed = true;
                    left -= 1;
                    continue;
                }
                Err(Some(exit)) => return exit,
            };
            if let Some(esr) = if breaking { debug::breakpoint(&self.state) } else { None } {
                left -= 1;
                changed = true;
                match self.debug_exception(esr, None) {
                    Some(exit) => return exit,
                    None => continue,
                }
            }
            let word = if stepping { self.faulting_word() } else { None };
            let given = if alone || breaking { 0 } else { left.min(self.until_timers) - 1 };
            let mut fuel = given;
            let stop = self.execute(env, start, &mut fuel);
            let spent = given - fuel + 1;
            left -= spent;
            self.until_timers = self.until_timers.saturating_sub(spent);
            self.statistics.blocks += u64::from(spent);
            changed = match self.settle(stop, alone) {
                Ok(context) => context,
                Err(exit) => return exit,
            };
            if stepping {
                // The instruction is done: the next one is preceded by the step exception.
                self.state.mode.ss = false;
                self.debugging.note_step(&self.state, word);
                changed = true;
            }
        }
    }

    /// Returns the remembered targets of indirect branches.
    #[inline(always)]
    pub(crate) fn jumps(&self) -> &'m [Cell<Jump>; JUMPS] {
        self.jumps.get()
    }

    /// Whether an instruction is to be stepped by the guest's software step.
    fn is_stepping(&self) -> bool {
        MdscrEl1::from_bits(self.state.sys.mdscr_el1).ss()
            && system::step_state(&self.state) == StepState::ActiveNotPending
    }

    fn timer_registers(&self) -> Timers {
        let sys = &self.state.sys;
        Timers([sys.cntv_ctl_el0, sys.cntv_cval_el0, sys.cntp_ctl_el0, sys.cntp_cval_el0])
    }

    /// Returns the timer whose condition has become true. The clock is read only if one can.
    #[inline(never)]
    fn look_at_timers(&mut self, env: &dyn Host<'m>) -> Option<Timer> {
        let sys = &self.state.sys;
        // ENABLE and not IMASK.
        let armed = |ctl| {
            let ctl = CntCtl::from_bits(ctl);
            ctl.enable() && !ctl.imask()
        };
        let count = if armed(sys.cntv_ctl_el0) || armed(sys.cntp_ctl_el0) { env.counter() } else { 0 };
        system::timers(self, count)
    }

    /// Whether nothing is pending that a mask alone could hold back: no virtual interrupt, no debug exception.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        let sys = &self.state.sys;
        let [a, b, c, d] = sys.ich_lr_el2;
        (a | b | c | d | sys.hcr_el2 & PENDING | sys.mdscr_el1 & DEBUGGING) == 0
    }

    /// Whether `system::interrupts` would find nothing to do.
    fn is_calm(&self) -> bool {
        let sys = &self.state.sys;
        self.is_quiet() && !self.state.mode.il && sys.ich_hcr_el2 & MAINTENANCE == 0 && sys.ich_misr_el2 == 0
    }

    /// Returns a system register that is only storage.
    #[inline]
    pub(crate) fn field(&mut self, field: Field) -> &mut u64 {
        let sys = &mut self.state.sys;
        match field {
            Field::SpEl0 => &mut self.state.sp_bank[0],
            Field::TpidrEl1 => &mut sys.tpidr_el1,
            Field::TpidrEl0 => &mut sys.tpidr_el0,
            Field::TpidrroEl0 => &mut sys.tpidrro_el0,
            Field::ElrEl1 => &mut sys.elr_el1,
            Field::SpsrEl1 => &mut sys.spsr_el1,
            Field::EsrEl1 => &mut sys.esr_el1,
            Field::FarEl1 => &mut sys.far_el1,
        }
    }

    /// DC ZVA where it is not trapped and the page is in the map; returns whether it was done.
    pub(crate) fn zero(&mut self, va: u64) -> bool {
        let sctlr = SctlrEl1::from_bits(self.state.sys.sctlr_el1);
        if HcrEl2::from_bits(self.state.sys.hcr_el2).tdz() || self.state.mode.el == 0 && !sctlr.dze() {
            return false;
        }
        let Some((page, _)) = self.writes.page(va) else { return false };
        let start = (va & 0xfc0) as usize;
        for at in (start..start + 64).step_by(8) {
            page.store64(at, 0);
        }
        true
    }

    /// Returns what the PE did so far.
    #[must_use]
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }
}
