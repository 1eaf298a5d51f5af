//! `arm-exec` as an [`InsnEngine`].

use super::case::{Case, InsnEngine, Raw, State, Stop, WINDOW_WORDS, word};
use super::env::{self, Env};
use crate::caches::{CacheMemory, Capacity};
use arm_arch::{EsrEl, Ipa, Pa, Syndrome};
use arm_exec::ram::{PAGE_BYTES, Page};
use arm_exec::state::{Flags, Mode, Monitor, SP};
use arm_exec::{Caches, Domain, Environment, Event, Invalidation, Pe, Ram, Stage2Access, Stage2Page};

/// Blocks after which a case is taken to loop: it has at most two, and the vector.
const BLOCKS: u32 = 16;

/// The pieces of memory: guest physical address and pages, one after the other in absolute storage.
const PIECES: [(u64, u64); 3] = [(env::IMAGE, 16), (env::CODE, env::CODE_BYTES >> 12), (env::DATA, 4)];

/// Returns the absolute address of a guest physical one.
fn absolute(address: u64) -> Option<Pa> {
    let mut start = 0;
    for (at, pages) in PIECES {
        if (at..at + (pages << 12)).contains(&address) {
            return Some(Pa::new(start + (address - at)));
        }
        start += pages << 12;
    }
    None
}

/// Absolute storage; stage 2 allows everything where there is storage.
struct Machine {
    ram: Ram<'static>,
}

impl Environment<'static> for Machine {
    type Fault = ();

    fn stage2(&self, ipa: Ipa, _: Stage2Access) -> Result<Stage2Page<'static>, ()> {
        let at = absolute(ipa.bits() & !0xfff).ok_or(())?;
        let page = self.ram.page(at).ok_or(())?;
        Ok(Stage2Page { page, absolute: at, writable: true, executable: true })
    }

    fn counter(&self) -> u64 {
        0
    }
}

impl Machine {
    fn write(&self, address: u64, bytes: &[u8]) {
        absolute(address).and_then(|at| self.ram.write(at, bytes)).expect("an address of the environment");
    }

    fn word(&self, address: u64) -> u64 {
        let bytes =
            absolute(address).and_then(|at| self.ram.load8(at)).expect("an address of the environment");
        u64::from_le_bytes(bytes)
    }
}

/// One PE of `arm-exec` with the memory of the oracle.
#[derive(Debug)]
pub struct ArmExec {
    pe: Pe<'static>,
    machine: Machine,
    env: Option<Env>,
}

impl core::fmt::Debug for Machine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Machine")
    }
}

fn leak<T: Default>(count: usize) -> &'static mut [T] {
    let mut list = Vec::new();
    list.resize_with(count, T::default);
    list.leak()
}

impl Default for ArmExec {
    fn default() -> Self {
        Self::new()
    }
}

impl ArmExec {
    /// Makes the PE. Its memory is never given back: a process makes one.
    #[must_use]
    pub fn new() -> Self {
        let pages = PIECES.iter().map(|(_, pages)| pages).sum::<u64>() as usize;
        let machine = Machine { ram: Ram::new(leak::<Page>(pages)) };
        let filler: Vec<u8> = env::FILLER.to_le_bytes().repeat(PAGE_BYTES / 4);
        for page in 0..env::CODE_BYTES >> 12 {
            machine.write(env::CODE + (page << 12), &filler);
        }
        machine.write(env::IMAGE, &env::image());
        let caches =
            CacheMemory::new(Capacity { ops: 1 << 14, blocks: 1 << 10, functions: Caches::FUNCTIONS });
        let domain: &'static Domain = Box::leak(Box::new(Domain::new()));
        let pe = Pe::new(caches.leak(), domain, 0).expect("the caches are large enough");
        Self { pe, machine, env: None }
    }

    /// Puts words where the case's code lies, and tells the PE.
    fn place(&mut self, pc: u64, code: impl Iterator<Item = u32>) {
        let mut at = pc;
        for word in code {
            self.machine.write(at, &word.to_le_bytes());
            at += 4;
        }
        for page in [pc, at - 4] {
            self.pe.invalidate(Invalidation::CodePage(
                absolute(page & !0xfff).expect("code lies in the code region"),
            ));
        }
    }

    fn load(&mut self, case: &Case) {
        let from = &case.state.0;
        let state = &mut self.pe.state;
        state.x[..31].copy_from_slice(&from[..31]);
        let pstate = from[word::PSTATE];
        state.flags = Flags::from_nzcv(pstate);
        let bit = |n: u32| pstate >> n & 1 == 1;
        let el = case.state.el();
        state.mode = Mode {
            el: el as u8,
            sp_elx: el != 0 && bit(0),
            daif: pstate & 0x3c0,
            pan: bit(22),
            uao: bit(23),
            dit: bit(24),
            ssbs: bit(12),
            il: bit(20),
            ss: bit(21),
        };
        state.sp_bank = [from[word::SP_EL0], from[word::SP_EL1]];
        state.x[usize::from(SP)] = state.sp_bank[usize::from(state.mode.sp_elx)];
        state.pc = from[word::PC];
        state.fp.fpcr = from[word::FPCR] as u32;
        state.fp.fpsr = from[word::FPSR] as u32;
        for n in 0..32 {
            state.fp.v[n] = case.state.v(n);
        }
        let sys = &mut state.sys;
        sys.tpidr_el0 = from[word::TPIDR_EL0];
        sys.tpidrro_el0 = from[word::TPIDRRO_EL0];
        sys.tpidr_el1 = from[word::TPIDR_EL1];
        sys.esr_el1 = from[word::ESR_EL1];
        sys.elr_el1 = from[word::ELR_EL1];
        sys.far_el1 = from[word::FAR_EL1];
        sys.spsr_el1 = from[word::SPSR_EL1];
        sys.sctlr_el1 = case.env.sctlr_el1();
        sys.tcr_el1 = case.env.tcr_el1();
        sys.mair_el1 = case.env.mair_el1();
        sys.ttbr0_el1 = case.env.ttbr0_el1();
        sys.vbar_el1 = case.env.vbar_el1();
        sys.cpacr_el1 = case.env.cpacr_el1();
        // RW, TSC, TWE, TWI.
        sys.hcr_el2 = 1 << 31 | 1 << 19 | 1 << 14 | 1 << 13;
        state.monitor = Monitor::default();
        state.event = false;
    }

    fn save(&self) -> State {
        let mut to = State::zero();
        let state = &self.pe.state;
        to.0[..31].copy_from_slice(&state.x[..31]);
        let mode = &state.mode;
        let mut stacks = state.sp_bank;
        stacks[usize::from(mode.el != 0 && mode.sp_elx)] = state.x[usize::from(SP)];
        to.0[word::SP_EL0] = stacks[0];
        to.0[word::SP_EL1] = stacks[1];
        let flag = |set: bool, n: u32| u64::from(set) << n;
        to.0[word::PSTATE] = state.flags.nzcv()
            | u64::from(mode.el) << 2
            | flag(mode.el != 0 && mode.sp_elx, 0)
            | mode.daif
            | flag(mode.pan, 22)
            | flag(mode.uao, 23)
            | flag(mode.dit, 24)
            | flag(mode.ssbs, 12)
            | flag(mode.il, 20)
            | flag(mode.ss, 21);
        to.0[word::PC] = state.pc;
        to.0[word::FPCR] = u64::from(state.fp.fpcr);
        to.0[word::FPSR] = u64::from(state.fp.fpsr);
        for n in 0..32 {
            to.set_v(n, state.fp.v[n]);
        }
        let sys = &state.sys;
        to.0[word::TPIDR_EL0] = sys.tpidr_el0;
        to.0[word::TPIDRRO_EL0] = sys.tpidrro_el0;
        to.0[word::TPIDR_EL1] = sys.tpidr_el1;
        to.0[word::ESR_EL1] = sys.esr_el1;
        to.0[word::ELR_EL1] = sys.elr_el1;
        to.0[word::FAR_EL1] = sys.far_el1;
        to.0[word::SPSR_EL1] = sys.spsr_el1;
        to
    }

    fn stop(&mut self) -> Stop {
        let event = self.pe.run(&self.machine, BLOCKS);
        let syndrome = match event {
            Event::Trap { esr, .. } => Some(Syndrome::decode(EsrEl::from_bits(esr))),
            _ => None,
        };
        match syndrome {
            Some(Syndrome::Smc(iss)) => Stop::Smc(iss.imm16()),
            Some(Syndrome::Wfx(_)) => Stop::WaitFor,
            _ => Stop::Other(format!("{event:x?}")),
        }
    }
}

impl InsnEngine for ArmExec {
    fn run(&mut self, case: &Case) -> Raw {
        if self.env != Some(case.env) {
            self.pe.flush_all();
            self.env = Some(case.env);
        }
        for (address, value) in (env::WINDOW..).step_by(8).zip(case.window) {
            self.machine.write(address, &value.to_le_bytes());
        }
        self.place(case.pc(), case.code.iter().copied());
        self.load(case);
        let stop = self.stop();
        let state = self.save();
        self.place(case.pc(), case.code.iter().map(|_| env::FILLER));
        let window: [u64; WINDOW_WORDS] =
            std::array::from_fn(|n| self.machine.word(env::WINDOW + 8 * n as u64));
        let outside = env::digest(|n| self.machine.word(env::DATA + 8 * n as u64));
        if outside != 0 {
            self.machine.write(env::DATA, &[0; env::DATA_BYTES as usize]);
        }
        Raw { state, window, outside, stop }
    }
}
