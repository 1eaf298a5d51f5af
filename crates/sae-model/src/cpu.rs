//! One CPU of the machine: the instructions of the facility.

use crate::block::{Block, doublewords};
use crate::config::{Config, HostStores, LimitForm, Mischief, PastLimit, TimerForm};
use crate::identification;
use crate::machine::{Clock, Machine, Reported};
use crate::registers::{Inert, OSLAR, SAVED, for_each, register, steers_translation};
use crate::stage2::{HostFault, World};
use arm_arch::sysreg::{CntCtl, HcrEl2, OslarEl1, OslsrEl1, names};
use arm_arch::timer::Timer as Comparator;
use arm_arch::{Mode, PState, Pa};
use arm_exec::state::{State, SysRegs};
use arm_exec::{Environment, Event, Invalidation, Pe, Timer};
use core::cell::Cell;
use s390_arch::dat::Asce;
use s390_arch::pgm::ProgramCode;
use s390_arch::sae::{
    BLOCK_BYTES, Facility, HostAccess, Interception, InterceptionCode, M4, QaafFunction, Rejected,
    SystemRegisterNumber, TimerReason, Trap, ValidityReason, block::field, ptff::PtffFunction, save_area,
};
use s390_arch::{Absolute, AbsoluteStorage};

/// Blocks that the engine runs before it looks up; requests are seen much earlier.
const BUDGET: u32 = 1 << 24;

/// What one CPU did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// SAE executed.
    pub entries: u64,
    /// Walks of the host's DAT tables for the guest.
    pub dat_walks: u64,
    /// What the engine did.
    pub engine: arm_exec::Statistics,
}

/// What translations that the engine keeps were formed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Formed {
    block: Absolute,
    asce: u64,
    origin: u64,
    last: u64,
}

/// The save area whose registers are on the CPU.
#[derive(Clone, Copy, Debug)]
struct LoadedArea<'a> {
    at: Absolute,
    area: Block<'a>,
}

/// One CPU. Used by one thread.
#[derive(Debug)]
pub struct Cpu<'a, K> {
    machine: &'a Machine<'a, K>,
    number: u16,
    pe: Pe<'a>,
    inert: Inert,
    /// Between LASRM and STIASRM.
    loaded: Option<LoadedArea<'a>>,
    formed: Option<Formed>,
    last_code: InterceptionCode,
    entries: u64,
    dat_walks: u64,
}

const SPECIFICATION: Rejected = Rejected { code: ProgramCode::SPECIFICATION };
const ADDRESSING: Rejected = Rejected { code: ProgramCode::ADDRESSING };

/// VALID of a save area, in the doubleword that holds format and status.
const VALID: u64 = 1;
const OSLSR: SystemRegisterNumber = SystemRegisterNumber(names::OSLSR_EL1.into_bits());
/// PTFF-QAF, query available functions. PoP ch. 10, PERFORM TIMING FACILITY FUNCTION.
const PTFF_QUERY: u8 = 0;

impl<'a, K: Clock> Cpu<'a, K> {
    #[inline(always)]
    pub(crate) const fn new(machine: &'a Machine<'a, K>, pe: Pe<'a>, number: u16) -> Self {
        Self {
            machine,
            number,
            pe,
            inert: Inert::NONE,
            loaded: None,
            formed: None,
            last_code: InterceptionCode::SPURIOUS,
            entries: 0,
            dat_walks: 0,
        }
    }

    /// Returns what the CPU did so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics { entries: self.entries, dat_walks: self.dat_walks, engine: self.pe.statistics() }
    }

    /// Returns the block of 4 KiB at `at`.
    fn block(&self, at: Absolute) -> Result<Block<'a>, Rejected> {
        if !at.is_aligned(BLOCK_BYTES) {
            return Err(SPECIFICATION);
        }
        self.machine.ram.page(Pa::new(at.bits())).and_then(Block::new).ok_or(ADDRESSING)
    }

    /// Returns the save area at `at`, if it is one that SASR, EASR and LASRM take.
    fn valid_area(&self, at: Absolute) -> Result<Block<'a>, Rejected> {
        let area = self.block(at)?;
        let header = area.load(save_area::field::SAF);
        // saf is 0, sas has VALID.
        if header >> 56 == 0 && header & VALID != 0 { Ok(area) } else { Err(SPECIFICATION) }
    }

    /// Returns whether the registers of the save area at `at` are on this CPU.
    #[inline]
    fn has_loaded(&self, at: Absolute) -> bool {
        self.loaded.is_some_and(|loaded| loaded.at == at)
    }

    fn set_loaded(&mut self, number: SystemRegisterNumber, value: u64) -> Result<(), Rejected> {
        if number == OSLAR {
            self.pe.state.sys.oslsr_el1 = with_os_lock(self.pe.state.sys.oslsr_el1, value);
            return Ok(());
        }
        let register = register(&mut self.pe.state.sys, &mut self.inert, number).ok_or(SPECIFICATION)?;
        let changed = *register != value;
        *register = value;
        if changed && steers_translation(number) {
            self.pe.invalidate(Invalidation::Translations);
        }
        Ok(())
    }

    /// Returns a save area with the offset of a register in it.
    fn in_area(&self, at: Absolute, number: SystemRegisterNumber) -> Result<(Block<'a>, u64), Rejected> {
        let index = SAVED.iter().position(|saved| *saved == number).ok_or(SPECIFICATION)?;
        let area = self.valid_area(at)?;
        doublewords(save_area::field::REGS).nth(index).map(|offset| (area, offset)).ok_or(SPECIFICATION)
    }

    /// Checks a control block and gathers the machine around the guest. What it keeps on the stack need not be there while
    /// the guest runs, where each call has 160 bytes of the ABI's own besides. Elsewhere there is room, and a call costs.
    #[cfg_attr(target_arch = "s390x", inline(never))]
    #[cfg_attr(not(target_arch = "s390x"), inline(always))]
    fn admit(&self, at: Absolute, block: Block<'_>) -> Result<(World<'a, K>, Formed), ValidityReason> {
        let storage = self.machine.storage();
        if block.load(field::SDF) >> 56 != 0 {
            return Err(ValidityReason::UNSUPP_FORMAT);
        }
        let named = Absolute::new(block.load(field::SAVE_AREA));
        match self.loaded {
            Some(LoadedArea { at: loaded, area }) if loaded == named => {
                if area.load(save_area::field::SAF) >> 56 != 0 {
                    return Err(ValidityReason::UNSUPP_FORMAT);
                }
                if area.load(save_area::field::SDO) != at.bits() {
                    return Err(ValidityReason::HOST_CONTROL);
                }
            }
            // Not the one whose registers are here; of a format that nothing is known of, that is said first.
            _ => {
                let header = storage.load_u64(named).map_err(|_| ValidityReason::HOST_CONTROL)?;
                let known = header >> 56 == 0;
                return Err(if known { ValidityReason::HOST_CONTROL } else { ValidityReason::UNSUPP_FORMAT });
            }
        }
        if block.load(field::IC) != 0 || block.load(field::EC) != 0 {
            return Err(ValidityReason::HOST_CONTROL);
        }
        if block.load(field::IRQ_CTL) >> 56 != 0 {
            return Err(ValidityReason::IRPTC);
        }
        if self.block(Absolute::new(block.load(field::SCAD))).is_err() {
            return Err(ValidityReason::SCA);
        }
        let (mso, msl) = (block.load(field::MSO), block.load(field::MSL));
        let (origin, last) = window(&self.machine.config, mso, msl)?;
        if !state_is_valid(block.load(field::PSTATE)) || register_is_invalid(&self.pe.state.sys) {
            return Err(ValidityReason::INVAL_SYSREG);
        }
        let asce = block.load(field::HBASCE);
        // A real-space designation, or a table that is not there, cannot map a guest.
        let designation = Asce::from_bits(asce);
        if designation.r() || storage.load(designation.table()).is_err() {
            return Err(ValidityReason::HOST_CONTROL);
        }
        let world = World {
            machine: self.machine,
            asce: designation,
            origin,
            last,
            clock_offset: block.load(field::GPTO),
            walks: Cell::new(0),
        };
        Ok((world, Formed { block: at, asce, origin, last }))
    }

    /// Runs the guest until there is something to report.
    fn execute(&mut self, world: &World<'a, K>) -> Ended {
        let held = || self.machine.config.timer == TimerForm::Level;
        if held() && outputs(&self.pe.state.sys, world.counter()) != TimerReason::new() {
            let event = self.pe.run(world, 1);
            let due = outputs(&self.pe.state.sys, world.counter());
            if !matches!(event, Event::Budget) {
                return Ended::Event(event);
            }
            if due != TimerReason::new() {
                return Ended::Timers(due);
            }
        }
        loop {
            let event = self.pe.run(world, BUDGET);
            if !matches!(event, Event::Budget) {
                return Ended::Event(event);
            }
        }
    }

    /// Reports how SAE ended. Each kind by itself, so that of most words of the data it is known that they are zero.
    /// Not part of what runs the guest, as `admit`.
    #[cfg_attr(target_arch = "s390x", inline(never))]
    #[cfg_attr(not(target_arch = "s390x"), inline(always))]
    fn report(&mut self, block: Block<'_>, ended: Ended) {
        match ended {
            Ended::Event(Event::Budget | Event::ExitRequest) => self.put(block, Interception::Spurious),
            Ended::Timers(due) => self.put(block, Interception::Timer(due)),
            Ended::Event(Event::Trap { esr, far }) => self.put(block, Interception::Trap(Trap { esr, far })),
            Ended::Event(Event::Timer(timer)) => self.put(block, Interception::Timer(timer_reason(timer))),
            Ended::Event(Event::Maintenance) => self.put(block, Interception::Maintenance),
            Ended::Event(Event::Stage2 { fault, esr, far, ipa: _, s1_walk_level }) => {
                let gltl = s1_walk_level.and_then(|level| u8::try_from(level.number()).ok()).unwrap_or(0);
                self.put(block, self.host_access(fault, esr, far, gltl));
            }
        }
    }

    fn host_access(&self, fault: HostFault, esr: u64, far: u64, gltl: u8) -> Interception {
        let (pic, teid, past_limit) = match fault {
            HostFault::Translation { pic, teid } => (pic, teid, false),
            HostFault::PastLimit { teid } => (ProgramCode::ADDRESSING, teid, true),
        };
        let access = HostAccess { esr, pic, teid, far, vaddr: far, suppl: 0, gltl };
        match (past_limit, self.machine.config.past_limit) {
            (true, PastLimit::GuestAddressSize) => Interception::GuestAddressSize(access),
            (true, PastLimit::HostAccess) | (false, _) => Interception::HostAccess(access),
        }
    }

    /// Misbehaves, if it is asked to; `None` for good behaviour.
    fn misbehave(&self, block: Block<'_>) -> Option<()> {
        match self.machine.config.misbehaviour?(self.entries)? {
            Mischief::Nothing => {}
            Mischief::Stale => block.record_code(self.last_code),
            Mischief::Spurious => block.record(InterceptionCode::SPURIOUS, &[0; 8]),
            Mischief::Validity(reason) => {
                let (code, data) = Interception::Validity(reason).encode();
                block.record(code, &data);
            }
            Mischief::Code(code) => block.record(code, &[u64::MAX; 8]),
        }
        Some(())
    }

    /// Runs the guest that a block describes; the guest's state, but not the report, is in the block then.
    fn run_block(&mut self, at: Absolute, block: Block<'_>) -> Result<Ended, ValidityReason> {
        let (world, formed) = self.admit(at, block)?;
        block.load_state(&mut self.pe.state);
        if matches!(self.machine.config.host_stores, HostStores::AtEntry) {
            self.pe.invalidate(Invalidation::Code);
        }
        if self.formed != Some(formed) {
            self.pe.invalidate(Invalidation::Translations);
            self.formed = Some(formed);
        }
        self.machine.enter(self.number, at);
        self.pe.announce();
        let ended = if self.machine.is_to_leave(at) {
            self.pe.withdraw();
            Ended::Event(Event::ExitRequest)
        } else {
            self.execute(&world)
        };
        let reported = match ended {
            Ended::Event(Event::Budget | Event::ExitRequest) => Reported::Request,
            Ended::Timers(_) | Ended::Event(_) => Reported::Other,
        };
        self.machine.leave(self.number, at, reported);
        self.dat_walks = self.dat_walks.wrapping_add(world.walks.get());
        block.store_state(&mut self.pe.state);
        Ok(ended)
    }

    /// Puts a report into the block; inline, as the caller knows its kind.
    #[inline(always)]
    fn put(&mut self, block: Block<'_>, interception: Interception) {
        let (code, data) = interception.encode();
        block.record(code, &data);
        self.last_code = code;
    }
}

/// How SAE ended.
#[derive(Clone, Copy, Debug)]
enum Ended {
    /// The outputs of these timers are held, and SAE reports levels.
    Timers(TimerReason),
    /// As the engine says, or would have said of a request that was there before the guest ran.
    Event(Event<HostFault>),
}

/// Returns origin and last address of guest storage, counted from the origin.
fn window(config: &Config, origin: u64, limit: u64) -> Result<(u64, u64), ValidityReason> {
    if origin & 0xf_ffff != 0 {
        return Err(ValidityReason::MSO_ALIGN);
    }
    let last = match config.limit {
        LimitForm::LastBlock => limit | 0xf_ffff,
        LimitForm::Size if limit & 0xf_ffff != 0 => return Err(ValidityReason::MSLA),
        LimitForm::Size => limit.checked_sub(1).ok_or(ValidityReason::MSLA)?,
    };
    // The largest guest-physical address that the announced PARange has.
    if last >> 48 != 0 {
        return Err(ValidityReason::MGPAS);
    }
    let last = last.checked_sub(origin).ok_or(ValidityReason::MSO_BOUNDS)?;
    Ok((origin, last))
}

/// Returns the timers whose output is high.
fn outputs(sys: &SysRegs, count: u64) -> TimerReason {
    let on = |ctl, cval| Comparator { ctl: CntCtl::from_bits(ctl), cval };
    TimerReason::new()
        .with_virtual_timer(on(sys.cntv_ctl_el0, sys.cntv_cval_el0).output(count))
        .with_physical(on(sys.cntp_ctl_el0, sys.cntp_cval_el0).output(count))
}

/// Returns whether PSTATE is one of the guest's: AArch64 at EL0 or EL1.
const fn state_is_valid(pstate: u64) -> bool {
    matches!(PState::from_bits(pstate).mode(), Some(Mode::El0t | Mode::El1t | Mode::El1h))
}

/// Returns whether a loaded register has a value under which the guest cannot run: HCR_EL2.RW clear would make EL1
/// AArch32, HCR_EL2.TGE set would leave no EL1.
const fn register_is_invalid(sys: &SysRegs) -> bool {
    let hcr = HcrEl2::from_bits(sys.hcr_el2);
    !hcr.rw() || hcr.tge()
}

const fn timer_reason(timer: Timer) -> TimerReason {
    match timer {
        Timer::Virtual => TimerReason::new().with_virtual_timer(true),
        Timer::Physical => TimerReason::new().with_physical(true),
    }
}

const fn with_os_lock(oslsr: u64, oslar: u64) -> u64 {
    OslsrEl1::from_bits(oslsr).with_oslk(OslarEl1::from_bits(oslar).oslk()).into_bits()
}

impl<K: Clock> Facility for Cpu<'_, K> {
    fn sae(&mut self, at: Absolute) {
        self.entries = self.entries.wrapping_add(1);
        // A block that is misaligned or outside storage cannot hold a report about itself.
        let Ok(block) = self.block(at) else { return };
        if self.misbehave(block).is_some() {
            return;
        }
        match self.run_block(at, block) {
            Ok(ended) => self.report(block, ended),
            Err(reason) => self.put(block, Interception::Validity(reason)),
        }
    }

    fn lasrm(&mut self, area: Absolute) -> Result<(), Rejected> {
        if self.loaded.is_some() {
            return Err(SPECIFICATION);
        }
        let block = self.valid_area(area)?;
        let mut steered = false;
        let mut offsets = doublewords(save_area::field::REGS);
        for_each(&mut self.pe.state.sys, &mut self.inert, |number, register| {
            let value = offsets.next().map_or(0, |offset| block.load(offset));
            steered |= *register != value && steers_translation(number);
            *register = value;
        });
        block.store(save_area::field::SAF, block.load(save_area::field::SAF) & !VALID);
        if steered {
            self.pe.invalidate(Invalidation::Translations);
        }
        self.loaded = Some(LoadedArea { at: area, area: block });
        Ok(())
    }

    fn stiasrm(&mut self, area: Absolute) -> Result<(), Rejected> {
        if !self.has_loaded(area) {
            return Err(SPECIFICATION);
        }
        let block = self.block(area)?;
        store_registers(block, &mut self.pe.state.sys, &mut self.inert);
        block.store(save_area::field::SAF, block.load(save_area::field::SAF) | VALID);
        self.loaded = None;
        Ok(())
    }

    fn sasr(
        &mut self,
        area: Absolute,
        number: SystemRegisterNumber,
        m4: M4,
        value: u64,
    ) -> Result<(), Rejected> {
        match m4 {
            M4::Loaded if self.has_loaded(area) => self.set_loaded(number, value),
            M4::Loaded => Err(SPECIFICATION),
            M4::SaveArea => {
                let (block, offset) = self.in_area(area, if number == OSLAR { OSLSR } else { number })?;
                let value = if number == OSLAR { with_os_lock(block.load(offset), value) } else { value };
                block.store(offset, value);
                Ok(())
            }
        }
    }

    // Inline, as `register` is: the driver reads a few registers at every exit.
    #[inline(always)]
    fn easr(&mut self, area: Absolute, number: SystemRegisterNumber, m4: M4) -> Result<u64, Rejected> {
        match m4 {
            M4::Loaded if self.has_loaded(area) => {
                register(&mut self.pe.state.sys, &mut self.inert, number).copied().ok_or(SPECIFICATION)
            }
            M4::Loaded => Err(SPECIFICATION),
            M4::SaveArea => self.in_area(area, number).map(|(block, offset)| block.load(offset)),
        }
    }

    fn qaaf(&mut self, gr0: u64, result: Absolute) -> Result<(), Rejected> {
        let block = self.block(result)?;
        match QaafFunction::decode(gr0) {
            Some(QaafFunction::QueryModelCapabilities) => {
                identification::write_capabilities(block, self.machine.config.qmc_base);
                Ok(())
            }
            Some(QaafFunction::InitialSaveArea { format: 0 }) => {
                write_initial_area(block);
                Ok(())
            }
            Some(QaafFunction::InitialSaveArea { .. }) | None => Err(SPECIFICATION),
        }
    }

    fn ptff(&mut self, code: u8, parameters: &mut [u64; 2]) -> Result<(), Rejected> {
        if code == PTFF_QUERY {
            let installed = |code: u8| (1_u64 << 63).wrapping_shr(u32::from(code));
            let [offset, time] =
                [PtffFunction::QueryArmGuestTimeOffset, PtffFunction::QueryArmGuestPhysicalTime]
                    .map(|function| installed(function.code()));
            *parameters = [installed(PTFF_QUERY) | offset | time, 0];
            return Ok(());
        }
        let now = self.machine.clock.nanoseconds();
        let [input, output] = parameters;
        *output = match PtffFunction::decode(code).ok_or(SPECIFICATION)? {
            PtffFunction::QueryArmGuestTimeOffset => input.wrapping_sub(now),
            PtffFunction::QueryArmGuestPhysicalTime => input.wrapping_add(now),
        };
        Ok(())
    }

    fn load_vectors(&mut self, vectors: &[u128; 32]) {
        self.pe.state.fp.v = *vectors;
    }

    fn store_vectors(&mut self, vectors: &mut [u128; 32]) {
        *vectors = self.pe.state.fp.v;
    }
}

/// Stores the registers of a save area.
fn store_registers(area: Block<'_>, sys: &mut SysRegs, inert: &mut Inert) {
    let mut offsets = doublewords(save_area::field::REGS);
    for_each(sys, inert, |_, register| {
        if let Some(offset) = offsets.next() {
            area.store(offset, *register);
        }
    });
}

/// Writes a save area in the state of a reset: format 0, valid.
fn write_initial_area(area: Block<'_>) {
    let mut reset = State::reset().sys;
    reset.midr_el1 = identification::midr();
    reset.cntfrq_el0 = identification::CNTFRQ;
    // OSLM is 0b10: the lock is implemented. Arm ARM, OSLSR_EL1.
    reset.oslsr_el1 = OslsrEl1::new().with_oslm_1(true).into_bits();
    area.clear();
    area.store(save_area::field::SAF, VALID);
    store_registers(area, &mut reset, &mut Inert::NONE.clone());
}
