//! Values of the contract and the header's structures, one into the other. Numbers that are not known stay numbers.

use crate::c::callbacks::size;
use crate::c::*;
use crate::status::Status;
use xarch_abi::{
    AccessCause, AccessSize, Bank, DeviceAccess, DeviceAnswer, DeviceOperation, Direction, Exit, GuestPa,
    GuestRange, HostPa, InvalidState, MemoryAccess, Next, Outcome, RegId, RegisterError, Slot, StopReason,
    TimerSet, TraceEvent, Trap, VcpuIndex, Writable,
};

/// Returns the register that C names.
pub(crate) fn register(id: u64) -> Option<RegId> {
    let bank = u16::try_from(id >> 32).ok()?;
    let index = u32::try_from(id & 0xffff_ffff).ok()?;
    Some(RegId { bank: Bank(bank), index })
}

/// Returns C's name of a register.
pub(crate) fn id(register: RegId) -> u64 {
    u64::from(register.bank.0) << 32 | u64::from(register.index)
}

pub(crate) fn register_error(id: RegId, value: u64, status: i32) -> RegisterError {
    match status {
        XARCH_E_NOENT => RegisterError::Unknown(id),
        XARCH_E_PERM => RegisterError::ReadOnly(id),
        XARCH_E_INVAL => RegisterError::Value(id, value),
        other => RegisterError::Host(id, other.unsigned_abs()),
    }
}

pub(crate) fn halves(value: u128) -> [u64; 2] {
    #[expect(clippy::as_conversions, reason = "the low half is meant")]
    [value as u64, (value >> 64) as u64]
}

pub(crate) fn whole([low, high]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

pub(crate) fn range(guest: u64, bytes: u64) -> Result<GuestRange, Status> {
    GuestRange::new(GuestPa::new(guest), bytes).ok_or(Status(XARCH_E_INVAL))
}

/// Returns a vCPU's number, if there are more.
pub(crate) fn index(vcpu: u32, vcpus: u16) -> Result<VcpuIndex, Status> {
    let index = u16::try_from(vcpu).ok().filter(|index| *index < vcpus);
    index.map(VcpuIndex).ok_or(Status(XARCH_E_NOENT))
}

/// Returns a slot as the back ends know it, if it is one.
pub(crate) fn slot(slot: &xarch_slot) -> Option<Slot> {
    let writable = match slot.flags {
        0 => Writable::Yes,
        XARCH_SLOT_READ_ONLY => Writable::No,
        _ => return None,
    };
    let guest = GuestRange::new(GuestPa::new(slot.guest), slot.bytes)?;
    Some(Slot { guest, host: HostPa::new(slot.host), writable })
}

fn bytes(size: AccessSize) -> u8 {
    match size {
        AccessSize::Byte => 1,
        AccessSize::Half => 2,
        AccessSize::Word => 4,
        AccessSize::Double => 8,
    }
}

const fn operation(operation: DeviceOperation) -> (u8, u64) {
    match operation {
        DeviceOperation::Read => (XARCH_READ, 0),
        DeviceOperation::Write(value) => (XARCH_WRITE, value),
    }
}

pub(crate) fn access(access: &DeviceAccess) -> xarch_access {
    let (operation, value) = operation(access.operation);
    xarch_access {
        size: size::<xarch_access>(),
        bytes: u32::from(bytes(access.size)),
        address: access.address.value(),
        value,
        operation,
        reserved: [0; 7],
    }
}

pub(crate) const fn answer(status: i32, value: u64, operation: DeviceOperation) -> DeviceAnswer {
    match (status, operation) {
        (XARCH_OK, DeviceOperation::Read) => DeviceAnswer::Value(value),
        (XARCH_OK, DeviceOperation::Write(_)) => DeviceAnswer::Done,
        _ => DeviceAnswer::Absent,
    }
}

/// Marks the code of an exit whose kind is not known.
const UNKNOWN_KIND: u32 = 0x8000_0000;

/// What a back end of the embedder reported, in the contract's terms.
pub(crate) fn exit(exit: &xarch_exit) -> Exit {
    match exit.kind {
        XARCH_EXIT_SPURIOUS => Exit::Spurious,
        XARCH_EXIT_TRAP => Exit::Trap(trap(exit)),
        XARCH_EXIT_ACCESS => memory_access(exit).map_or(unknown(exit), Exit::Access),
        XARCH_EXIT_TIMER => Exit::Timer(TimerSet(exit.code)),
        XARCH_EXIT_MAINTENANCE => Exit::Maintenance,
        XARCH_EXIT_STOP => Exit::Stop,
        XARCH_EXIT_INVALID => Exit::Invalid(InvalidState {
            reason: u16::try_from(exit.code).unwrap_or(u16::MAX),
            text: "the embedder's back end refused the state",
        }),
        XARCH_EXIT_UNKNOWN => Exit::Unknown(exit.code),
        _ => unknown(exit),
    }
}

/// An exit that says something that this version does not know.
pub(crate) const fn unknown(exit: &xarch_exit) -> Exit {
    Exit::Unknown(UNKNOWN_KIND | exit.kind)
}

/// What XARCH_EXIT_ACCESS says; `None` if its cause is not known.
#[inline(always)]
pub(crate) fn memory_access(exit: &xarch_exit) -> Option<MemoryAccess> {
    Some(MemoryAccess {
        address: GuestPa::new(exit.address),
        size: AccessSize::from_log2(exit.size_log2),
        direction: direction(exit.direction),
        cause: cause(exit.cause)?,
        trap: trap(exit),
        walk_level: Some(exit.walk_level).filter(|level| *level != XARCH_WALK_LEVEL_UNKNOWN),
    })
}

pub(crate) const fn trap(exit: &xarch_exit) -> Trap {
    Trap { syndrome: exit.syndrome, fault_address: exit.fault_address }
}

const fn direction(direction: u8) -> Direction {
    match direction {
        XARCH_READ => Direction::Read,
        XARCH_WRITE => Direction::Write,
        XARCH_FETCH => Direction::Fetch,
        _ => Direction::Unknown,
    }
}

const fn cause(cause: u8) -> Option<AccessCause> {
    match cause {
        XARCH_CAUSE_NO_SLOT => Some(AccessCause::NoSlot),
        XARCH_CAUSE_READ_ONLY => Some(AccessCause::ReadOnlySlot),
        XARCH_CAUSE_OUT_OF_RANGE => Some(AccessCause::OutOfRange),
        _ => None,
    }
}

const fn none(kind: u32) -> xarch_outcome {
    xarch_outcome {
        size: size::<xarch_outcome>(),
        kind,
        reason: 0,
        code: 0,
        address: 0,
        value: 0,
        syndrome: 0,
        deadline_counter: 0,
        deadline_ns: 0,
        token: 0,
        bytes: 0,
        operation: 0,
        reserved: [0; 2],
    }
}

pub(crate) fn outcome(outcome: &Outcome) -> xarch_outcome {
    match outcome {
        Outcome::Device(access, token) => {
            let (operation, value) = operation(access.operation);
            xarch_outcome {
                address: access.address.value(),
                value,
                token: token.0,
                bytes: bytes(access.size),
                operation,
                ..none(XARCH_OUTCOME_DEVICE)
            }
        }
        Outcome::Wait { deadline } => xarch_outcome {
            deadline_counter: deadline.map_or(0, |deadline| deadline.counter),
            deadline_ns: deadline.map_or(XARCH_NO_DEADLINE, |deadline| deadline.nanoseconds),
            ..none(XARCH_OUTCOME_WAIT)
        },
        Outcome::Interrupted => none(XARCH_OUTCOME_INTERRUPTED),
        Outcome::Stopped(reason) => stopped(reason),
    }
}

/// The outcome of a run that the embedder's `enter` ended.
pub(crate) const fn failed(error: i32) -> xarch_outcome {
    xarch_outcome { reason: XARCH_STOP_HOST, code: error.unsigned_abs(), ..none(XARCH_OUTCOME_STOPPED) }
}

fn stopped(reason: &StopReason) -> xarch_outcome {
    let stop = |reason| xarch_outcome { reason, ..none(XARCH_OUTCOME_STOPPED) };
    match *reason {
        StopReason::PowerOff => stop(XARCH_STOP_POWER_OFF),
        StopReason::Reset => stop(XARCH_STOP_RESET),
        StopReason::Suspend => stop(XARCH_STOP_SUSPEND),
        StopReason::Invalid(state) => {
            xarch_outcome { code: u32::from(state.reason), ..stop(XARCH_STOP_INVALID) }
        }
        StopReason::Unknown(code) => xarch_outcome { code, ..stop(XARCH_STOP_UNKNOWN) },
        StopReason::Register(error) => {
            let (register, status) = match error {
                RegisterError::Unknown(register)
                | RegisterError::ReadOnly(register)
                | RegisterError::Value(register, _)
                | RegisterError::Wide(register)
                | RegisterError::Host(register, _) => (register, Status::from(error)),
            };
            let code = status.0.unsigned_abs();
            xarch_outcome { value: id(register), code, ..stop(XARCH_STOP_REGISTER) }
        }
        StopReason::Memory(address) => xarch_outcome { address: address.value(), ..stop(XARCH_STOP_MEMORY) },
        StopReason::Unhandled(trap) => xarch_outcome {
            syndrome: trap.syndrome,
            address: trap.fault_address,
            ..stop(XARCH_STOP_UNHANDLED)
        },
        StopReason::Host => stop(XARCH_STOP_HOST),
    }
}

pub(crate) fn trace(event: &TraceEvent) -> xarch_trace {
    let none = xarch_trace {
        size: size::<xarch_trace>(),
        kind: XARCH_TRACE_EXIT,
        exit_kind: 0,
        decision: 0,
        syndrome: 0,
        address: 0,
    };
    match event {
        TraceEvent::Mapped(address) => {
            xarch_trace { kind: XARCH_TRACE_MAPPED, address: address.value(), ..none }
        }
        TraceEvent::Exit(exit, next) => {
            let decision = match next {
                Next::Resume => XARCH_DECISION_RESUME,
                Next::Device(..) => XARCH_DECISION_DEVICE,
                Next::Wait { .. } => XARCH_DECISION_WAIT,
                Next::Stop(_) => XARCH_DECISION_STOP,
            };
            let (exit_kind, trap) = match exit {
                Exit::Spurious => (XARCH_EXIT_SPURIOUS, None),
                Exit::Trap(trap) => (XARCH_EXIT_TRAP, Some(trap)),
                Exit::Access(access) => (XARCH_EXIT_ACCESS, Some(&access.trap)),
                Exit::Timer(_) => (XARCH_EXIT_TIMER, None),
                Exit::Maintenance => (XARCH_EXIT_MAINTENANCE, None),
                Exit::Stop => (XARCH_EXIT_STOP, None),
                Exit::Invalid(_) => (XARCH_EXIT_INVALID, None),
                Exit::Unknown(_) => (XARCH_EXIT_UNKNOWN, None),
            };
            let (syndrome, address) = trap.map_or((0, 0), |trap| (trap.syndrome, trap.fault_address));
            xarch_trace { exit_kind, decision, syndrome, address, ..none }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{exit, id, register, register_error, slot};
    use crate::c::*;
    use xarch_abi::{AccessCause, AccessSize, Direction, Exit, RegId, RegisterError};

    const EXIT: xarch_exit = xarch_exit {
        size: 40,
        kind: XARCH_EXIT_ACCESS,
        syndrome: 1,
        fault_address: 2,
        address: 3,
        code: 0,
        direction: XARCH_WRITE,
        cause: XARCH_CAUSE_READ_ONLY,
        size_log2: 2,
        walk_level: 1,
    };

    #[test]
    fn an_access_is_carried_over_whole() {
        let Exit::Access(access) = exit(&EXIT) else { panic!("an access") };
        assert_eq!((access.trap.syndrome, access.trap.fault_address, access.address.value()), (1, 2, 3));
        assert_eq!((access.size, access.direction), (Some(AccessSize::Word), Direction::Write));
        assert_eq!((access.cause, access.walk_level), (AccessCause::ReadOnlySlot, Some(1)));
    }

    #[test]
    fn numbers_of_a_later_version_stay_numbers() {
        let unknown = |reported| exit(&reported);
        assert_eq!(unknown(xarch_exit { kind: 99, ..EXIT }), Exit::Unknown(0x8000_0063));
        assert_eq!(unknown(xarch_exit { cause: 9, ..EXIT }), Exit::Unknown(0x8000_0002));
        let vague = xarch_exit { direction: 77, size_log2: 4, walk_level: XARCH_WALK_LEVEL_UNKNOWN, ..EXIT };
        let Exit::Access(access) = unknown(vague) else { panic!("an access") };
        assert_eq!((access.direction, access.size, access.walk_level), (Direction::Unknown, None, None));
        assert_eq!(register(1 << 48), None);
        assert_eq!(register(0x0003_0000_c020), Some(RegId::system(0xc020)));
        assert_eq!(id(RegId::vector(7)), 0x0002_0000_0007);
        let error = register_error(RegId::PC, 5, -71);
        assert_eq!(error, RegisterError::Host(RegId::PC, 71));
    }

    #[test]
    fn a_slot_that_is_none_is_refused() {
        let good = xarch_slot { size: 32, flags: 0, guest: 0x1000, host: 0, bytes: 0x1000 };
        assert!(slot(&good).is_some());
        assert!(slot(&xarch_slot { flags: 2, ..good }).is_none());
        assert!(slot(&xarch_slot { bytes: 0, ..good }).is_none());
        assert!(slot(&xarch_slot { guest: u64::MAX, ..good }).is_none());
    }
}
