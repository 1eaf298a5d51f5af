//! One CPU of the machine: the instructions of the facility.

use crate::block::Block;
use crate::config::{LimitForm, Mischief, PastLimit};
use crate::identification;
use crate::machine::{Clock, Machine};
use crate::registers::{OSLAR, OSLK, SAVED, register, steers_translation};
use crate::stage2::{HostFault, World};
use arm_exec::state::{State, SysRegs};
use arm_exec::{Event, Invalidation, Pe, Timer};
use core::cell::Cell;
use s390_arch::dat::Asce;
use s390_arch::pgm::ProgramCode;
use s390_arch::sae::{
    Facility, HostAccess, Interception, InterceptionCode, M4, QaafFunction, Rejected, SystemRegisterNumber,
    TimerReason, Trap, ValidityReason, block::field, ptff::PtffFunction, save_area,
};
use s390_arch::{Absolute, AbsoluteStorage, OutsideStorage};

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

/// One CPU. Used by one thread.
#[derive(Debug)]
pub struct Cpu<'a, K> {
    machine: &'a Machine<'a, K>,
    number: u16,
    pe: Pe<'a>,
    /// The save area whose registers are loaded here, between LASRM and STIASRM.
    loaded: Option<Absolute>,
    /// The control block of the last SAE here.
    last_block: Option<Absolute>,
    entries: u64,
    dat_walks: u64,
}

const OPERATION: Rejected = Rejected { code: ProgramCode::OPERATION };
const SPECIFICATION: Rejected = Rejected { code: ProgramCode::SPECIFICATION };
const ADDRESSING: Rejected = Rejected { code: ProgramCode::ADDRESSING };

impl<'a, K: Clock> Cpu<'a, K> {
    pub(crate) const fn new(machine: &'a Machine<'a, K>, pe: Pe<'a>, number: u16) -> Self {
        Self { machine, number, pe, loaded: None, last_block: None, entries: 0, dat_walks: 0 }
    }

    /// Returns what the CPU did so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics { entries: self.entries, dat_walks: self.dat_walks, engine: self.pe.statistics() }
    }

    fn area_is_valid(&self, area: Absolute) -> Result<(), Rejected> {
        let storage = self.machine.storage();
        if !area.is_aligned(0x1000) {
            return Err(SPECIFICATION);
        }
        let mut header = [0; 8];
        storage.read_bytes(area, &mut header).map_err(|_| ADDRESSING)?;
        // saf is 0, sas has VALID.
        if header[0] == 0 && header[7] & 1 == 1 { Ok(()) } else { Err(SPECIFICATION) }
    }

    fn slot(area: Absolute, index: usize) -> Result<Absolute, Rejected> {
        let offset = u64::try_from(index).map_err(|_| SPECIFICATION)?.wrapping_mul(8);
        area.checked_add(save_area::field::REGS.wrapping_add(offset)).ok_or(ADDRESSING)
    }

    fn set_loaded(&mut self, number: SystemRegisterNumber, value: u64) -> Result<(), Rejected> {
        if number == OSLAR {
            self.pe.state.sys.oslsr_el1 = with_os_lock(self.pe.state.sys.oslsr_el1, value);
            return Ok(());
        }
        let register = register(&mut self.pe.state.sys, number).ok_or(SPECIFICATION)?;
        let changed = *register != value;
        *register = value;
        if changed && steers_translation(number) {
            self.pe.invalidate(Invalidation::Translations);
        }
        Ok(())
    }

    fn in_area(&self, area: Absolute, number: SystemRegisterNumber) -> Result<Absolute, Rejected> {
        let index = SAVED.iter().position(|saved| *saved == number).ok_or(SPECIFICATION)?;
        self.area_is_valid(area)?;
        Self::slot(area, index)
    }

    /// Checks a control block and gathers the machine around the guest.
    fn admit(&self, block: &Block<'_>) -> Result<World<'a, K>, ValidityReason> {
        let lost = |_: OutsideStorage| ValidityReason::HOST_CONTROL;
        let get = |offset| block.load(offset).map_err(lost);
        if get(field::SDF)? >> 56 != 0 {
            return Err(ValidityReason::UNSUPP_FORMAT);
        }
        let area = Absolute::new(get(field::SAVE_AREA)?);
        let saf = self.machine.storage().load_u64(area).map_err(lost)? >> 56;
        if saf != 0 {
            return Err(ValidityReason::UNSUPP_FORMAT);
        }
        let back = area.checked_add(save_area::field::SDO).ok_or(ValidityReason::HOST_CONTROL)?;
        let back = self.machine.storage().load_u64(back).map_err(lost)?;
        if self.loaded != Some(area) || back != block.at().bits() {
            return Err(ValidityReason::HOST_CONTROL);
        }
        // Controls of which no bit is known.
        if get(field::IC)? != 0 || get(field::EC)? != 0 {
            return Err(ValidityReason::HOST_CONTROL);
        }
        if get(field::IRQ_CTL)? >> 56 != 0 {
            return Err(ValidityReason::IRPTC);
        }
        let scad = Absolute::new(get(field::SCAD)?);
        if !scad.is_aligned(0x1000) || self.machine.storage().load(scad).is_err() {
            return Err(ValidityReason::SCA);
        }
        let (origin, last) = self.window(get(field::MSO)?, get(field::MSL)?)?;
        if !state_is_valid(get(field::PSTATE)?) || register_is_invalid(&self.pe.state.sys) {
            return Err(ValidityReason::INVAL_SYSREG);
        }
        let asce = get(field::HBASCE)?;
        // A real-space designation, or a table that is not there, cannot map a guest.
        if asce & REAL_SPACE != 0 || self.machine.storage().load(Absolute::new(asce & !0xfff)).is_err() {
            return Err(ValidityReason::HOST_CONTROL);
        }
        Ok(World {
            machine: self.machine,
            asce: Asce::from_bits(asce),
            origin,
            last,
            clock_offset: get(field::GPTO)?,
            walks: Cell::new(0),
        })
    }

    /// Returns origin and last address of guest storage.
    fn window(&self, origin: u64, limit: u64) -> Result<(u64, u64), ValidityReason> {
        if origin & 0xf_ffff != 0 {
            return Err(ValidityReason::MSO_ALIGN);
        }
        let last = match self.machine.config.limit {
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

    /// Runs the guest until there is something to report.
    fn execute(&mut self, world: &World<'a, K>) -> Interception {
        loop {
            return match self.pe.run(world, BUDGET) {
                Event::Budget => continue,
                Event::ExitRequest => Interception::Spurious,
                Event::Trap { esr, far } => Interception::Trap(Trap { esr, far }),
                Event::Timer(timer) => Interception::Timer(timer_reason(timer)),
                Event::Maintenance => Interception::Maintenance,
                Event::Stage2 { fault, esr, far, ipa: _, s1_walk_level } => {
                    let gltl = s1_walk_level.and_then(|level| u8::try_from(level).ok()).unwrap_or(0);
                    self.host_access(fault, esr, far, gltl)
                }
            };
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
    fn misbehave(&self, block: &Block<'_>) -> Option<()> {
        let mischief = self.machine.config.misbehaviour?(self.entries)?;
        let (code, data) = match mischief {
            Mischief::Nothing => return Some(()),
            Mischief::Spurious => (InterceptionCode::SPURIOUS, [0; 8]),
            Mischief::Validity(reason) => Interception::Validity(reason).encode(),
            Mischief::Code(code) => (code, [u64::MAX; 8]),
        };
        // A block outside storage has nothing to say.
        let _ = block.record(code, &data);
        Some(())
    }

    fn sae_checked(&mut self, block: &Block<'_>) -> Result<(), OutsideStorage> {
        let world = match self.admit(block) {
            Ok(world) => world,
            Err(reason) => {
                let (code, data) = Interception::Validity(reason).encode();
                return block.record(code, &data);
            }
        };
        block.load_state(&mut self.pe.state)?;
        if self.last_block != Some(block.at()) {
            self.pe.invalidate(Invalidation::Translations);
            self.last_block = Some(block.at());
        }
        let interception = if self.machine.enter(self.number, block.at()) {
            Interception::Spurious
        } else {
            self.execute(&world)
        };
        self.machine.leave(self.number, block.at());
        self.dat_walks = self.dat_walks.wrapping_add(world.walks.get());
        block.store_state(&mut self.pe.state)?;
        let (code, data) = interception.encode();
        block.record(code, &data)
    }
}

/// R of an ASCE, bit 58. PoP ch. 3, "Address-Space-Control Element".
const REAL_SPACE: u64 = 0x20;

/// Returns whether PSTATE is one of the guest's: AArch64 at EL0 or EL1.
const fn state_is_valid(pstate: u64) -> bool {
    matches!(pstate & 0x1f, 0b00000 | 0b00100 | 0b00101)
}

/// Returns whether a loaded register has a value under which the guest cannot run: HCR_EL2.RW clear would make EL1
/// AArch32, HCR_EL2.TGE set would leave no EL1.
const fn register_is_invalid(sys: &SysRegs) -> bool {
    sys.hcr_el2 & (1 << 31) == 0 || sys.hcr_el2 & (1 << 27) != 0
}

const fn timer_reason(timer: Timer) -> TimerReason {
    match timer {
        Timer::Virtual => TimerReason::new().with_virtual_timer(true),
        Timer::Physical => TimerReason::new().with_physical(true),
    }
}

const fn with_os_lock(oslsr: u64, oslar: u64) -> u64 {
    (oslsr & !OSLK) | ((oslar & 1) << 1)
}

impl<K: Clock> Facility for Cpu<'_, K> {
    fn sae(&mut self, block: Absolute) {
        let block = Block::new(self.machine.storage(), block);
        self.entries = self.entries.wrapping_add(1);
        if self.misbehave(&block).is_none() {
            // A block outside storage cannot hold a report about itself.
            let _ = self.sae_checked(&block);
        }
    }

    fn lasrm(&mut self, area: Absolute) -> Result<(), Rejected> {
        self.area_is_valid(area)?;
        let storage = self.machine.storage();
        for (index, number) in SAVED.iter().enumerate() {
            let value = storage.load_u64(Self::slot(area, index)?).map_err(|_| ADDRESSING)?;
            self.set_loaded(*number, value)?;
        }
        self.loaded = Some(area);
        Ok(())
    }

    fn stiasrm(&mut self, area: Absolute) -> Result<(), Rejected> {
        if self.loaded != Some(area) {
            return Err(SPECIFICATION);
        }
        let storage = self.machine.storage();
        for (index, number) in SAVED.iter().enumerate() {
            let value = register(&mut self.pe.state.sys, *number).copied().unwrap_or(0);
            storage.store_u64(Self::slot(area, index)?, value).map_err(|_| ADDRESSING)?;
        }
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
            M4::Loaded if self.loaded == Some(area) => self.set_loaded(number, value),
            M4::Loaded => Err(SPECIFICATION),
            M4::SaveArea if number == OSLAR => {
                let at = self.in_area(area, SystemRegisterNumber(0x808c))?;
                let storage = self.machine.storage();
                let old = storage.load_u64(at).map_err(|_| ADDRESSING)?;
                storage.store_u64(at, with_os_lock(old, value)).map_err(|_| ADDRESSING)
            }
            M4::SaveArea => {
                let at = self.in_area(area, number)?;
                self.machine.storage().store_u64(at, value).map_err(|_| ADDRESSING)
            }
        }
    }

    fn easr(&mut self, area: Absolute, number: SystemRegisterNumber, m4: M4) -> Result<u64, Rejected> {
        match m4 {
            M4::Loaded if self.loaded == Some(area) => {
                register(&mut self.pe.state.sys, number).copied().ok_or(SPECIFICATION)
            }
            M4::Loaded => Err(SPECIFICATION),
            M4::SaveArea => {
                let at = self.in_area(area, number)?;
                self.machine.storage().load_u64(at).map_err(|_| ADDRESSING)
            }
        }
    }

    fn qaaf(&mut self, gr0: u64, result: Absolute) -> Result<(), Rejected> {
        let storage = self.machine.storage();
        match QaafFunction::decode(gr0) {
            Some(QaafFunction::QueryModelCapabilities) => {
                identification::write_capabilities(&storage, self.machine.config.qmc_base, result)
                    .map_err(|_| ADDRESSING)
            }
            Some(QaafFunction::InitialSaveArea { format: 0 }) => {
                self.write_initial_area(result).map_err(|_| ADDRESSING)
            }
            Some(QaafFunction::InitialSaveArea { .. }) => Err(SPECIFICATION),
            None => Err(OPERATION),
        }
    }

    fn ptff(&mut self, code: u8, parameters: &mut [u64; 2]) -> Result<(), Rejected> {
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

impl<K: Clock> Cpu<'_, K> {
    /// Writes a save area in the state of a reset: format 0, valid.
    fn write_initial_area(&self, at: Absolute) -> Result<(), OutsideStorage> {
        let storage = self.machine.storage();
        let mut reset = State::reset().sys;
        reset.midr_el1 = identification::MIDR;
        reset.cntfrq_el0 = identification::CNTFRQ;
        // OSLSR_EL1.OSLM is 0b10: the lock is implemented. Arm ARM, OSLSR_EL1.
        reset.oslsr_el1 = 1 << 3;
        storage.write_bytes(at, &[0; 0x1000])?;
        storage.write_bytes(at, &[0, 0, 0, 0, 0, 0, 0, 1])?;
        for (index, number) in SAVED.iter().enumerate() {
            let value = register(&mut reset, *number).copied().unwrap_or(0);
            let slot = Self::slot(at, index).map_err(|_| OutsideStorage(at))?;
            storage.store_u64(slot, value)?;
        }
        Ok(())
    }
}
