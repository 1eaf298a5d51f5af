//! Accesses to guest-physical memory that no RAM answers for: faults, the interrupt controller, devices.
//!
//! What a device access needs comes from the syndrome (ISV), where it is valid; [`steps`](crate::steps) looks at the
//! instruction where it is not. Cache maintenance is skipped.

use crate::inject::{Injection, byte_order, read_general, write_general};
use crate::state::{Shared, Vcpu};
use crate::vgic::Frame;
use arm_arch::addr::{Ipa, Level};
use arm_arch::fault::FaultStatus;
use arm_arch::iss::{ByteOrder, DataAbort, Direction, MmioAccess, Syndrome};
use arm_arch::{EsrEl, iss};
use mmu_xlate::vmsa::AccessKind;
use xarch_abi::{
    AccessCause, AccessSize, CompletionError, DeviceAccess, DeviceAnswer, DeviceOperation, GuestPa, Lock,
    MemoryAccess, Next, Platform, RegisterError, Registers, StopReason, Token,
};

/// A device access that was not answered yet. The instruction counts as not executed until it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outstanding {
    pub access: DeviceAccess,
    pub token: Token,
    part: Part,
    /// For the abort, if there is no device.
    iss: DataAbort,
    far: u64,
}

/// What an access is of its instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// All of it, as the syndrome describes it.
    Whole(MmioAccess, ByteOrder),
    /// The next of the vCPU's `steps`.
    Step,
}

const fn size_of(size: iss::AccessSize) -> AccessSize {
    match size {
        iss::AccessSize::Byte => AccessSize::Byte,
        iss::AccessSize::Half => AccessSize::Half,
        iss::AccessSize::Word => AccessSize::Word,
        iss::AccessSize::Double => AccessSize::Double,
    }
}

impl<const N: usize, L: Lock<Shared<N>>> Vcpu<'_, N, L> {
    pub(crate) fn memory_access<R: Registers, P: Platform>(
        &mut self,
        registers: &mut R,
        platform: &P,
        access: &MemoryAccess,
    ) -> Result<Next, RegisterError> {
        let far = access.trap.fault_address;
        match Syndrome::decode(EsrEl::from_bits(access.trap.syndrome)) {
            Syndrome::InstructionAbort(_, iss) => {
                let kind = iss.s1ptw().then_some(AccessKind::Fetch);
                let status = self.fault_status(registers, platform, access, kind)?;
                let status = status.unwrap_or(FaultStatus::External);
                self.inject(Injection::Instruction { status, far });
                Ok(Next::Resume)
            }
            Syndrome::DataAbort(_, iss) => self.data_access(registers, platform, access, iss),
            Syndrome::Wfx(_)
            | Syndrome::FpAccess(_)
            | Syndrome::Svc(_)
            | Syndrome::Hvc(_)
            | Syndrome::Smc(_)
            | Syndrome::SystemAccess(_)
            | Syndrome::Eret(_)
            | Syndrome::FpException(_)
            | Syndrome::SError(_)
            | Syndrome::Breakpoint(..)
            | Syndrome::Step(..)
            | Syndrome::Watchpoint(..)
            | Syndrome::Brk(_)
            | Syndrome::Other(..) => Ok(Next::Stop(StopReason::Unhandled(access.trap))),
        }
    }

    fn data_access<R: Registers, P: Platform>(
        &mut self,
        registers: &mut R,
        platform: &P,
        access: &MemoryAccess,
        iss: DataAbort,
    ) -> Result<Next, RegisterError> {
        let far = access.trap.fault_address;
        let kind = if iss.wnr() { AccessKind::Write } else { AccessKind::Read };
        let kind = iss.s1ptw().then_some(kind);
        if let Some(status) = self.fault_status(registers, platform, access, kind)? {
            self.inject(Injection::Data { status, iss, far });
            return Ok(Next::Resume);
        }
        if iss.cm() {
            self.skip_instruction();
            return Ok(Next::Resume);
        }
        let Some(transfer) = iss.transfer() else {
            return match self.steps(registers, platform, access, iss)? {
                Ok(steps) => {
                    self.steps = Some(steps);
                    self.go_on(registers)
                }
                Err(status) => {
                    self.inject(Injection::Data { status, iss, far });
                    Ok(Next::Resume)
                }
            };
        };
        let direction = if iss.wnr() { Direction::Write } else { Direction::Read };
        let mmio = MmioAccess { address: Ipa::new(access.address.value()), direction, transfer };
        let order = byte_order(registers)?;
        let operation = match direction {
            Direction::Write => {
                DeviceOperation::Write(mmio.stored(read_general(registers, transfer.register)?, order))
            }
            Direction::Read => DeviceOperation::Read,
        };
        let access = DeviceAccess { address: access.address, size: size_of(transfer.size), operation };
        if let Some(frame) = self.controller_frame(access.address) {
            let value = self.controller_access(registers, frame, &access)?;
            if operation == DeviceOperation::Read {
                load(registers, &mmio, order, value)?;
            }
            self.skip_instruction();
            return Ok(Next::Resume);
        }
        Ok(self.ask(access, Part::Whole(mmio, order), iss, far))
    }

    /// The fault that such an access is whatever the instruction: beyond the address space, or a table walk that
    /// found no memory, for an access of kind `walk`. `None` if it depends.
    fn fault_status<R: Registers, P: Platform>(
        &self,
        registers: &mut R,
        platform: &P,
        access: &MemoryAccess,
        walk: Option<AccessKind>,
    ) -> Result<Option<FaultStatus>, RegisterError> {
        Ok(match (access.cause, walk) {
            (AccessCause::OutOfRange, _) => Some(FaultStatus::AddressSize(Level::L0)),
            (AccessCause::NoSlot | AccessCause::ReadOnlySlot, Some(kind)) => {
                let level = match access.walk_level.and_then(Level::from_number) {
                    Some(level) => level,
                    None => self.walk_level(registers, platform, access.trap.fault_address, kind)?,
                };
                Some(FaultStatus::ExternalOnWalk(level))
            }
            (AccessCause::NoSlot | AccessCause::ReadOnlySlot, None) => None,
        })
    }

    fn controller_frame(&self, address: GuestPa) -> Option<Frame> {
        self.vm.config().gic.frame(address, self.vm.config().vcpus)
    }

    /// Answers an access to the interrupt controller at once; a store's value is of no interest.
    fn controller_access<R: Registers>(
        &mut self,
        registers: &mut R,
        frame: Frame,
        access: &DeviceAccess,
    ) -> Result<u64, RegisterError> {
        self.fold_lists(registers)?;
        let (value, concerned) =
            self.vm.with(|shared| shared.gic.access(frame, access.size, access.operation));
        self.concern(concerned);
        Ok(value)
    }

    /// Has the platform asked.
    fn ask(&mut self, access: DeviceAccess, part: Part, iss: DataAbort, far: u64) -> Next {
        let token = Token(self.next_token);
        self.next_token = self.next_token.wrapping_add(1);
        self.outstanding = Some(Outstanding { access, token, part, iss, far });
        Next::Device(access, token)
    }

    /// Goes on with the steps of an instruction, up to its end or to one that the platform has to answer.
    fn go_on<R: Registers>(&mut self, registers: &mut R) -> Result<Next, RegisterError> {
        while let Some(mut steps) = self.steps {
            let Some(access) = steps.next() else {
                steps.finish(registers)?;
                self.steps = None;
                self.skip_instruction();
                break;
            };
            let Some(frame) = self.controller_frame(access.address) else {
                let (iss, far) = steps.fault();
                return Ok(self.ask(access, Part::Step, iss, far));
            };
            let value = self.controller_access(registers, frame, &access)?;
            steps.answer(value);
            self.steps = Some(steps);
        }
        Ok(Next::Resume)
    }

    /// Takes what the platform answered to the next step, and goes on.
    fn take_step<R: Registers>(&mut self, registers: &mut R, value: u64) -> Result<(), RegisterError> {
        if let Some(steps) = &mut self.steps {
            steps.answer(value);
        }
        self.outstanding = None;
        // Another access for the platform is offered before the next entry.
        self.go_on(registers).map(|_| ())
    }

    /// Takes a device's answer.
    pub(crate) fn take_answer<R: Registers>(
        &mut self,
        registers: &mut R,
        token: Token,
        answer: DeviceAnswer,
    ) -> Result<(), CompletionError> {
        let outstanding = match &self.outstanding {
            Some(outstanding) if outstanding.token == token => *outstanding,
            Some(_) | None => return Err(CompletionError::NotWaiting(token)),
        };
        match (answer, outstanding.access.operation) {
            (DeviceAnswer::Value(value), DeviceOperation::Read) => {
                let value = outstanding.access.size.truncate(value);
                match outstanding.part {
                    Part::Whole(mmio, order) => {
                        load(registers, &mmio, order, value).map_err(CompletionError::Register)?;
                        self.skip_instruction();
                    }
                    Part::Step => {
                        return self.take_step(registers, value).map_err(CompletionError::Register);
                    }
                }
            }
            (DeviceAnswer::Done, DeviceOperation::Write(_)) => match outstanding.part {
                Part::Whole(..) => self.skip_instruction(),
                Part::Step => return self.take_step(registers, 0).map_err(CompletionError::Register),
            },
            (DeviceAnswer::Absent, DeviceOperation::Read | DeviceOperation::Write(_)) => {
                let (iss, far) = (outstanding.iss, outstanding.far);
                self.steps = None;
                self.inject(Injection::Data { status: FaultStatus::External, iss, far });
            }
            (DeviceAnswer::Value(_), DeviceOperation::Write(_))
            | (DeviceAnswer::Done, DeviceOperation::Read) => {
                return Err(CompletionError::Mismatch(token));
            }
        }
        self.outstanding = None;
        Ok(())
    }
}

/// Puts what was loaded into the register, in the guest's byte order and extended as the instruction says.
fn load<R: Registers>(
    registers: &mut R,
    mmio: &MmioAccess,
    order: ByteOrder,
    value: u64,
) -> Result<(), RegisterError> {
    write_general(registers, mmio.transfer.register, mmio.loaded(value, order))
}
