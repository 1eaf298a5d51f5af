//! What an exit means: one match, without a catch-all, so that a new kind breaks the build here.

use crate::inject::{Injection, read_general};
use crate::smccc::Conduit;
use crate::state::{Shared, Vcpu, VcpuSet};
use arm_arch::EsrEl;
use arm_arch::fault::FaultStatus;
use arm_arch::iss::{Syndrome, WaitKind, Wfx};
use xarch_abi::{
    CompletionError, DeviceAnswer, Exit, Guest, Lock, MemoryAccess, Next, Platform, RegId, RegisterError,
    Registers, StopReason, Token, Trap,
};

/// A register that should be there and is not ends the vCPU, with the register's name.
fn or_stop(next: Result<Next, RegisterError>) -> Next {
    match next {
        Ok(next) => next,
        Err(error) => Next::Stop(StopReason::Register(error)),
    }
}

impl<const N: usize, L: Lock<Shared<N>>> Guest for Vcpu<'_, N, L> {
    #[inline]
    fn before_entry<R: Registers, P: Platform>(&mut self, registers: &mut R, platform: &P) -> Next {
        if self.is_ready(registers) { Next::Resume } else { self.prepare_all(registers, platform) }
    }

    // A back end that names the kind of exit keeps no more than that kind needs.
    #[inline(always)]
    fn on_exit<R: Registers, P: Platform>(&mut self, registers: &mut R, platform: &P, exit: Exit) -> Next {
        match &exit {
            // Timers are sampled before every entry anyway.
            Exit::Spurious | Exit::Timer(_) => Next::Resume,
            Exit::Trap(trap) if self.read_identification(registers, trap.syndrome) => Next::Resume,
            Exit::Trap(trap) => self.decide_trap(registers, platform, trap),
            Exit::Access(access) => self.decide_access(registers, platform, access),
            Exit::Maintenance => {
                self.lists.refill = true;
                Next::Resume
            }
            Exit::Stop => Next::Stop(StopReason::Host),
            Exit::Invalid(state) => Next::Stop(StopReason::Invalid(*state)),
            Exit::Unknown(code) => Next::Stop(StopReason::Unknown(*code)),
        }
    }

    fn before_observe<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        if !self.running {
            // A start that was asked for shows as done: the request itself is not state.
            self.start_if_asked(registers)?;
        }
        self.apply(registers)?;
        self.fold_lists(registers)
    }

    fn complete<R: Registers>(
        &mut self,
        registers: &mut R,
        token: Token,
        answer: DeviceAnswer,
    ) -> Result<(), CompletionError> {
        self.take_answer(registers, token, answer)
    }

    fn get<R: Registers>(&mut self, registers: &mut R, id: RegId) -> Result<u64, RegisterError> {
        self.user_get(registers, id)
    }

    fn set<R: Registers>(&mut self, registers: &mut R, id: RegId, value: u64) -> Result<(), RegisterError> {
        self.user_set(registers, id, value)
    }

    fn reset<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        // Whoever starts later was reset before.
        self.vm.begin_identity(registers)?;
        self.reset_registers(registers)?;
        // The first vCPU boots the machine; the others wait for CPU_ON.
        self.running = false;
        if self.index.0 == 0 {
            self.power_on();
        }
        Ok(())
    }
}

impl<const N: usize, L: Lock<Shared<N>>> Vcpu<'_, N, L> {
    /// Most entries: whether nothing has to be done before this one, an instruction to go past aside, which is done. What
    /// it cannot do it leaves as it was.
    #[inline]
    fn is_ready<R: Registers>(&mut self, registers: &mut R) -> bool {
        self.running
            && self.outstanding.is_none()
            && self.owed == VcpuSet::EMPTY
            && self.vm.has_started()
            && self.has_lists_ready()
            && self.is_without_timers(registers)
            && self.is_past(registers)
    }

    /// Not part of the loop of a back end, as `decide_trap`.
    #[inline(never)]
    fn prepare_all<R: Registers, P: Platform>(&mut self, registers: &mut R, platform: &P) -> Next {
        let next = or_stop(self.prepare(registers));
        self.kick_owed(platform);
        next
    }

    fn prepare<R: Registers>(&mut self, registers: &mut R) -> Result<Next, RegisterError> {
        if let Some(outstanding) = &self.outstanding {
            return Ok(Next::Device(outstanding.access, outstanding.token));
        }
        if !self.running && !self.start_if_asked(registers)? {
            return Ok(Next::Wait { deadline: None });
        }
        self.vm.note_start();
        self.apply(registers)?;
        let _ = self.sample_timers(registers)?;
        self.refresh_lists(registers)?;
        Ok(Next::Resume)
    }

    /// Not part of the loop of a back end: what it keeps on the stack need not be there while the guest runs. Nor what
    /// one kind of exits keeps, while another is decided.
    #[inline(never)]
    fn decide_trap<R: Registers, P: Platform>(
        &mut self,
        registers: &mut R,
        platform: &P,
        trap: &Trap,
    ) -> Next {
        let next = or_stop(self.trap(registers, platform, *trap));
        self.kick_owed(platform);
        next
    }

    #[inline(never)]
    fn decide_access<R: Registers, P: Platform>(
        &mut self,
        registers: &mut R,
        platform: &P,
        access: &MemoryAccess,
    ) -> Next {
        let next = or_stop(self.memory_access(registers, platform, access));
        self.kick_owed(platform);
        next
    }

    fn trap<R: Registers, P: Platform>(
        &mut self,
        registers: &mut R,
        platform: &P,
        trap: Trap,
    ) -> Result<Next, RegisterError> {
        let (syndrome, far) = (EsrEl::from_bits(trap.syndrome), trap.fault_address);
        match Syndrome::decode(syndrome) {
            Syndrome::Wfx(iss) => return self.wait(registers, platform, iss),
            Syndrome::Hvc(iss) => return self.firmware_call(registers, platform, Conduit::Hvc, iss.imm16()),
            Syndrome::Smc(iss) => return self.firmware_call(registers, platform, Conduit::Smc, iss.imm16()),
            Syndrome::SystemAccess(access) => return self.system_access(registers, access),
            Syndrome::FpAccess(_) => self.inject(Injection::FpAccess),
            // The host could not resolve it: to the guest, nothing answered there.
            Syndrome::InstructionAbort(..) => {
                self.inject(Injection::Instruction { status: FaultStatus::External, far });
            }
            Syndrome::DataAbort(_, iss) => {
                self.inject(Injection::Data { status: FaultStatus::External, iss, far });
            }
            // Nothing that could trap so is announced to the guest; SVC and BRK are not routed here, and debug
            // exceptions neither.
            Syndrome::Svc(_)
            | Syndrome::Eret(_)
            | Syndrome::FpException(_)
            | Syndrome::SError(_)
            | Syndrome::Breakpoint(..)
            | Syndrome::Step(..)
            | Syndrome::Watchpoint(..)
            | Syndrome::Brk(_)
            | Syndrome::Other(..) => self.inject(Injection::Undefined),
        }
        Ok(Next::Resume)
    }

    /// WFI waits for an interrupt, WFE only yields: the event that it waits for is not known here, and it may
    /// return early.
    fn wait<R: Registers, P: Platform>(
        &mut self,
        registers: &mut R,
        platform: &P,
        iss: Wfx,
    ) -> Result<Next, RegisterError> {
        self.skip_instruction();
        match iss.ti() {
            WaitKind::Wfe | WaitKind::Wfet => {
                platform.relax(self.index);
                Ok(Next::Resume)
            }
            WaitKind::Wfi => self.wait_for_interrupt(registers, None),
            WaitKind::Wfit if iss.rv() => {
                let timeout = read_general(registers, iss.rn())?;
                self.wait_for_interrupt(registers, Some(timeout))
            }
            WaitKind::Wfit => Ok(Next::Resume),
        }
    }

    /// Waits, unless an interrupt is pending: its mask in PSTATE does not count. The deadline is that of the
    /// first timer to come due, or the virtual count `timeout`. Arm ARM, "Wait for Interrupt mechanism".
    pub(crate) fn wait_for_interrupt<R: Registers>(
        &mut self,
        registers: &mut R,
        timeout: Option<u64>,
    ) -> Result<Next, RegisterError> {
        let mut deadline = self.sample_timers(registers)?;
        self.fold_lists(registers)?;
        let interface = self.interface(registers)?;
        let index = self.index;
        if self.vm.with(|shared| shared.gic.has_pending(index, interface)) {
            return Ok(Next::Resume);
        }
        if let Some(timeout) = timeout {
            deadline = Some(self.with_timeout(registers, deadline, timeout)?);
        }
        Ok(Next::Wait { deadline })
    }
}
