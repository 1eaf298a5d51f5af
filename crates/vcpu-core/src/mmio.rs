//! Accesses to guest-physical memory that no RAM answers for: faults, the interrupt controller, devices.
//!
//! What a device access needs comes from the syndrome (ISV). Where it is not valid (pairs, write-back, SIMD and
//! exclusive forms), the guest receives a synchronous external abort; cache maintenance is skipped.

use crate::inject::{Injection, byte_order, read_general, write_general};
use crate::state::{Shared, Vcpu};
use crate::vgic::Frame;
use arm_arch::addr::{Ipa, Level};
use arm_arch::fault::FaultStatus;
use arm_arch::iss::{ByteOrder, DataAbort, Direction, MmioAccess, Syndrome};
use arm_arch::{EsrEl, iss};
use xarch_abi::{
    AccessCause, AccessSize, CompletionError, DeviceAccess, DeviceAnswer, DeviceOperation, Lock,
    MemoryAccess, Next, RegisterError, Registers, StopReason, Token,
};

/// A device access that was not answered yet. The instruction counts as not executed until it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outstanding {
    pub access: DeviceAccess,
    pub token: Token,
    mmio: MmioAccess,
    order: ByteOrder,
    /// For the abort, if there is no device.
    iss: DataAbort,
    far: u64,
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
    pub(crate) fn memory_access<R: Registers>(
        &mut self,
        registers: &mut R,
        access: &MemoryAccess,
    ) -> Result<Next, RegisterError> {
        let far = access.trap.fault_address;
        match Syndrome::decode(EsrEl::from_bits(access.trap.syndrome)) {
            Syndrome::InstructionAbort(_, iss) => {
                let status = fault_status(access, iss.s1ptw()).unwrap_or(FaultStatus::External);
                self.inject(Injection::Instruction { status, far });
                Ok(Next::Resume)
            }
            Syndrome::DataAbort(_, iss) => self.data_access(registers, access, iss),
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

    fn data_access<R: Registers>(
        &mut self,
        registers: &mut R,
        access: &MemoryAccess,
        iss: DataAbort,
    ) -> Result<Next, RegisterError> {
        let far = access.trap.fault_address;
        if let Some(status) = fault_status(access, iss.s1ptw()) {
            self.inject(Injection::Data { status, iss, far });
            return Ok(Next::Resume);
        }
        if iss.cm() {
            self.skip_instruction();
            return Ok(Next::Resume);
        }
        let Some(transfer) = iss.transfer() else {
            self.inject(Injection::Data { status: FaultStatus::External, iss, far });
            return Ok(Next::Resume);
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
        let token = Token(self.next_token);
        let outstanding = Outstanding { access, token, mmio, order, iss, far };
        match self.vm.config().gic.frame(access.address, self.vm.config().vcpus) {
            Some(frame) => self.controller_access(registers, frame, &outstanding),
            None => {
                self.next_token = self.next_token.wrapping_add(1);
                self.outstanding = Some(outstanding);
                Ok(Next::Device(access, token))
            }
        }
    }

    /// Answers an access to the interrupt controller at once.
    fn controller_access<R: Registers>(
        &mut self,
        registers: &mut R,
        frame: Frame,
        outstanding: &Outstanding,
    ) -> Result<Next, RegisterError> {
        self.fold_lists(registers)?;
        let DeviceAccess { size, operation, .. } = outstanding.access;
        let (value, concerned) = self.vm.with(|shared| shared.gic.access(frame, size, operation));
        self.concern(concerned);
        if operation == DeviceOperation::Read {
            load(registers, outstanding, value)?;
        }
        self.skip_instruction();
        Ok(Next::Resume)
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
                load(registers, &outstanding, value).map_err(CompletionError::Register)?;
                self.skip_instruction();
            }
            (DeviceAnswer::Done, DeviceOperation::Write(_)) => self.skip_instruction(),
            (DeviceAnswer::Absent, DeviceOperation::Read | DeviceOperation::Write(_)) => {
                let (iss, far) = (outstanding.iss, outstanding.far);
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
fn load<R: Registers>(registers: &mut R, outstanding: &Outstanding, value: u64) -> Result<(), RegisterError> {
    let Outstanding { mmio, order, access, .. } = outstanding;
    write_general(registers, mmio.transfer.register, mmio.loaded(access.size.truncate(value), *order))
}

/// The fault that such an access is whatever the instruction: beyond the address space, or a table walk that
/// found no memory. `None` if it depends.
fn fault_status(access: &MemoryAccess, s1ptw: bool) -> Option<FaultStatus> {
    match access.cause {
        AccessCause::OutOfRange => Some(FaultStatus::AddressSize(Level::L0)),
        AccessCause::NoSlot | AccessCause::ReadOnlySlot if s1ptw => {
            let level = Level::from_number(i8::from_ne_bytes([access.walk_level])).unwrap_or(Level::L3);
            Some(FaultStatus::ExternalOnWalk(level))
        }
        AccessCause::NoSlot | AccessCause::ReadOnlySlot => None,
    }
}
