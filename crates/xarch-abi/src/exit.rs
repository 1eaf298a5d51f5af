//! Why a guest stopped running, and what to do about it.

use crate::addr::GuestPa;
use crate::guest::Guest;
use crate::platform::Platform;
use crate::reg::{RegisterError, Registers};

/// Number of a vCPU in its VM, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VcpuIndex(pub u16);

/// Which way an access goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Direction {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Fetch,
    /// The host did not say.
    Unknown,
}

/// Bytes moved by one device access.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum AccessSize {
    /// One byte.
    Byte,
    /// Two bytes.
    Half,
    /// Four bytes.
    Word,
    /// Eight bytes.
    Double,
}

impl AccessSize {
    /// Returns the size whose base-2 logarithm is `log2`, `None` above 3.
    #[must_use]
    pub const fn from_log2(log2: u8) -> Option<Self> {
        match log2 {
            0 => Some(Self::Byte),
            1 => Some(Self::Half),
            2 => Some(Self::Word),
            3 => Some(Self::Double),
            _ => None,
        }
    }

    /// Returns the number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Word => 4,
            Self::Double => 8,
        }
    }

    /// Returns `value` with everything above the access cleared.
    #[must_use]
    pub const fn truncate(self, value: u64) -> u64 {
        match self {
            Self::Byte => value & 0xff,
            Self::Half => value & 0xffff,
            Self::Word => value & 0xffff_ffff,
            Self::Double => value,
        }
    }
}

/// Why an access did not reach memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum AccessCause {
    /// No memory slot holds the address.
    NoSlot,
    /// A store to a read-only slot.
    ReadOnlySlot,
    /// The address lies beyond the guest-physical address space of the VM.
    OutOfRange,
}

/// The guest did something that the hypervisor has to finish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trap {
    /// What the hardware says about it. Only the guest side knows what it means.
    ///
    /// How its 64 bits are laid out belongs to the guest architecture, as the encodings of its registers do. Where that one
    /// reports a cause and the trapped instruction apart, the instruction's word has its place here: a back end hands it
    /// over where the hardware does, and the guest side else reads it from memory.
    pub syndrome: u64,
    /// The address that goes with it, where there is one.
    pub fault_address: u64,
}

/// The guest touched guest-physical memory that no RAM answers for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryAccess {
    /// Where. The offset in the page is that of the faulting access, not of a table walk.
    pub address: GuestPa,
    /// How many bytes, where the host knows.
    pub size: Option<AccessSize>,
    /// Which way, where the host knows.
    pub direction: Direction,
    /// Why no RAM answered.
    pub cause: AccessCause,
    /// What the hardware says about it, for the guest side.
    pub trap: Trap,
    /// Level of the guest's own table walk, as the guest architecture numbers it, where the syndrome says that the
    /// access was one. `None` where the host does not say: the guest side then finds out for itself.
    pub walk_level: Option<i8>,
}

/// Timers that came due, one bit each; the guest architecture numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TimerSet(pub u32);

impl TimerSet {
    /// The timer on the virtual count.
    pub const VIRTUAL: Self = Self(1);
    /// The timer on the physical count.
    pub const PHYSICAL: Self = Self(2);

    /// Returns whether every timer of `other` is in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The hardware refused to run the state it was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidState {
    /// The host's reason code.
    pub reason: u16,
    /// The reason in words, from the host side.
    pub text: &'static str,
}

/// What ended an entry. Closed: a new kind is a new version of the contract.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Nothing the guest did: a host interruption, an exit request.
    Spurious,
    /// A synchronous exception to the hypervisor.
    Trap(Trap),
    /// A memory access outside RAM.
    Access(MemoryAccess),
    /// Timers came due.
    Timer(TimerSet),
    /// The virtual interrupt interface wants attention.
    Maintenance,
    /// The host wants this vCPU to stop.
    Stop,
    /// The state cannot run.
    Invalid(InvalidState),
    /// The host reported something the back end does not know: the raw code.
    Unknown(u32),
}

/// One access to a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceAccess {
    /// Where.
    pub address: GuestPa,
    /// How many bytes.
    pub size: AccessSize,
    /// Load, or store with its value (bytes above the size are zero).
    pub operation: DeviceOperation,
}

/// What a device access does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceOperation {
    /// Asks for a value.
    Read,
    /// Brings a value, in the host's number form; byte 0 of the access is the least significant.
    Write(u64),
}

/// Names an unanswered device access of one vCPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token(pub u32);

/// What a device said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceAnswer {
    /// The value of a read; ignored bytes above the size may hold anything.
    Value(u64),
    /// A write was taken.
    Done,
    /// There is no device at the address.
    Absent,
}

/// When a waiting vCPU has to look again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline {
    /// The guest's counter at that moment.
    pub counter: u64,
    /// Nanoseconds from now until then.
    pub nanoseconds: u64,
}

/// Why a vCPU does not go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopReason {
    /// The guest turned the machine off.
    PowerOff,
    /// The guest asked for a reset of the machine.
    Reset,
    /// The guest suspended the machine to memory.
    Suspend,
    /// The hardware refused the vCPU's state.
    Invalid(InvalidState),
    /// The host reported a code that nobody knows.
    Unknown(u32),
    /// A register that this side relies on could not be accessed.
    Register(RegisterError),
    /// The host could not provide memory for the address.
    Memory(GuestPa),
    /// The guest side does not know what to do with this trap.
    Unhandled(Trap),
    /// The host wants the vCPU stopped.
    Host,
}

/// What the guest side decides about an exit, or about entering.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Enter the guest.
    Resume,
    /// Ask the platform's devices, then complete by token, then enter.
    Device(DeviceAccess, Token),
    /// Nothing to do until an interrupt, a kick, or the deadline.
    Wait {
        /// The earliest moment a timer needs the vCPU, if any is armed.
        deadline: Option<Deadline>,
    },
    /// Do not enter again.
    Stop(StopReason),
}

impl Next {
    /// Obeys the decision for `vcpu`, whose registers and guest side these are; `Some` ends the run. The platform's devices
    /// are asked here; what they answer at once is completed.
    #[inline]
    pub fn obey<R: Registers, G: Guest, P: Platform>(
        self,
        vcpu: VcpuIndex,
        registers: &mut R,
        guest: &mut G,
        platform: &P,
    ) -> Option<Outcome> {
        match self {
            Self::Resume => None,
            Self::Wait { deadline } => Some(Outcome::Wait { deadline }),
            Self::Stop(reason) => Some(Outcome::Stopped(reason)),
            Self::Device(access, token) => match platform.device(vcpu, &access) {
                None => Some(Outcome::Device(access, token)),
                // A platform that answers a read with Done or a write with a value has a bug of its own.
                Some(answer) => {
                    let completed = guest.complete(registers, token, answer);
                    completed.err().map(|_| Outcome::Stopped(StopReason::Host))
                }
            },
        }
    }
}

/// How [`run`](crate::backend::BackendVcpu::run) came back to the embedder.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The platform answers this access later, with [`Guest::complete`](crate::guest::Guest::complete).
    Device(DeviceAccess, Token),
    /// The vCPU has nothing to do until a kick or the deadline.
    Wait {
        /// The earliest moment a timer needs the vCPU, if any is armed.
        deadline: Option<Deadline>,
    },
    /// [`request_exit`](crate::backend::Backend::request_exit) ended the run.
    Interrupted,
    /// The vCPU does not go on.
    Stopped(StopReason),
}
