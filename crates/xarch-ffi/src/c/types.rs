//! What crosses the border: the structures and numbers of `include/xarch.h`, which is generated from this file.
//!
//! The text is written for readers of the header. A structure that may grow starts with its size; fields and entries
//! are only appended.

use core::ffi::{c_char, c_void};

/// Version of this header: the major number in the upper half, the minor number in the lower.
pub const XARCH_ABI: u32 = 0x0001_0000;

/// The call did what it says.
pub const XARCH_OK: i32 = 0;
/// Not permitted: the register is read-only.
pub const XARCH_E_PERM: i32 = -1;
/// There is no such thing: register, slot, vCPU, access that waits.
pub const XARCH_E_NOENT: i32 = -2;
/// The host failed: it refused an instruction, or its memory does not hold what was put there.
pub const XARCH_E_IO: i32 = -5;
/// Too big: a structure has content that this library does not know, or a list has no room.
pub const XARCH_E_2BIG: i32 = -7;
/// Not now: from `xarch_platform.device`, the answer comes later.
pub const XARCH_E_AGAIN: i32 = -11;
/// Memory that was given is used up, or too small to begin with.
pub const XARCH_E_NOMEM: i32 = -12;
/// In use: the vCPU runs, or the object still has users.
pub const XARCH_E_BUSY: i32 = -16;
/// It is there already: the vCPU exists, or the slot overlaps another.
pub const XARCH_E_EXIST: i32 = -17;
/// There is no device at the address.
pub const XARCH_E_NODEV: i32 = -19;
/// An argument is wrong: null, misaligned, out of range, a reserved field that is not 0.
pub const XARCH_E_INVAL: i32 = -22;
/// No room: all slots are in use.
pub const XARCH_E_NOSPC: i32 = -28;
/// An address lies outside the address space.
pub const XARCH_E_RANGE: i32 = -34;
/// This library, back end or host cannot do that.
pub const XARCH_E_NOTSUP: i32 = -95;

/// The platform may answer a device access later. Without it XARCH_E_AGAIN from `device` counts as
/// XARCH_E_NODEV.
pub const XARCH_FEATURE_DEVICE_LATER: u64 = 1;
#[cfg(feature = "next")]
/// The back end reports XARCH_EXIT_PREEMPTED, and the platform has `preempted`.
pub const XARCH_FEATURE_PREEMPTED: u64 = 2;

/// Registers: program counter (index 0) and processor status (index 1).
pub const XARCH_BANK_CORE: u16 = 0;
/// General registers, by the guest architecture's number.
pub const XARCH_BANK_GENERAL: u16 = 1;
/// Vector registers, 128 bits, by the guest architecture's number.
pub const XARCH_BANK_VECTOR: u16 = 2;
/// The guest's system registers, by the guest architecture's own encoding.
pub const XARCH_BANK_SYSTEM: u16 = 3;
/// Registers by which the guest is controlled. The core writes them; a back end only carries them.
pub const XARCH_BANK_CONTROL: u16 = 4;
/// The hypervisor's view of the virtual interrupt interface.
pub const XARCH_BANK_INTERRUPT: u16 = 5;
/// What the host can offer: identification registers before anything is hidden. Read-only.
pub const XARCH_BANK_HOST_LIMIT: u16 = 6;
/// State of the interrupt controller: of a vCPU's part with `vcpu_get_register`, of the part that all share with
/// `vm_get_register`. The index is the offset of the register in its frame, as the guest architecture has it; the value
/// is the state itself, without the side effects of an access by the guest.
pub const XARCH_BANK_CONTROLLER: u16 = 7;
/// Input lines of the interrupt controller, a bit each; the index is the number of the first of thirty-two, 0 for those
/// of one vCPU.
pub const XARCH_BANK_LINES: u16 = 8;
/// What a vCPU is besides its registers: XARCH_STATE_*.
pub const XARCH_BANK_STATE: u16 = 9;
#[cfg(feature = "next")]
/// What the core has counted for this vCPU. Index 0: exits of kind XARCH_EXIT_PREEMPTED.
pub const XARCH_BANK_STATISTICS: u16 = 10;

/// Index in XARCH_BANK_STATE: 1 if the vCPU is on, 0 if it waits for another one to start it.
pub const XARCH_STATE_POWER: u32 = 0;
/// Index in XARCH_BANK_STATE: an asynchronous error that the guest has not taken yet, bit 63 and the guest
/// architecture's syndrome; 0 if there is none.
pub const XARCH_STATE_ERROR: u32 = 1;

/// Nothing that the guest did: a host interrupt, a request to leave.
pub const XARCH_EXIT_SPURIOUS: u32 = 0;
/// The guest did something that the core has to finish: `syndrome`, `fault_address`.
pub const XARCH_EXIT_TRAP: u32 = 1;
/// The guest touched memory that no RAM answers for: `address`, `direction`, `cause`, `size_log2`,
/// `walk_level`, `syndrome`, `fault_address`.
pub const XARCH_EXIT_ACCESS: u32 = 2;
/// Timers came due: `code` has a bit for each, bit 0 the virtual one, bit 1 the physical one.
pub const XARCH_EXIT_TIMER: u32 = 3;
/// The virtual interrupt interface wants attention.
pub const XARCH_EXIT_MAINTENANCE: u32 = 4;
/// The host wants this vCPU to stop.
pub const XARCH_EXIT_STOP: u32 = 5;
/// The hardware refused the state it was given: `code` is the host's reason.
pub const XARCH_EXIT_INVALID: u32 = 6;
/// The host reported something that the back end does not know: `code`.
pub const XARCH_EXIT_UNKNOWN: u32 = 7;
#[cfg(feature = "next")]
/// The host took the CPU away. Only where XARCH_FEATURE_PREEMPTED was agreed.
pub const XARCH_EXIT_PREEMPTED: u32 = 8;

/// A load.
pub const XARCH_READ: u8 = 0;
/// A store.
pub const XARCH_WRITE: u8 = 1;
/// An instruction fetch.
pub const XARCH_FETCH: u8 = 2;
/// The host did not say.
pub const XARCH_DIRECTION_UNKNOWN: u8 = 255;

/// No slot holds the address.
pub const XARCH_CAUSE_NO_SLOT: u8 = 0;
/// A store to a read-only slot.
pub const XARCH_CAUSE_READ_ONLY: u8 = 1;
/// The address lies beyond the guest-physical address space.
pub const XARCH_CAUSE_OUT_OF_RANGE: u8 = 2;

/// `size_log2` where the host does not know the size of an access.
pub const XARCH_SIZE_UNKNOWN: u8 = 255;
/// `walk_level` where the host does not know the level of a table walk: the core then walks the tables itself.
pub const XARCH_WALK_LEVEL_UNKNOWN: i8 = 127;

/// The platform answers a device access later, by `vcpu_complete`: `token`, `address`, `value`, `bytes`,
/// `operation`.
pub const XARCH_OUTCOME_DEVICE: u32 = 0;
/// Nothing to do until a kick or the deadline: `deadline_counter`, `deadline_ns`.
pub const XARCH_OUTCOME_WAIT: u32 = 1;
/// `request_exit` ended the run.
pub const XARCH_OUTCOME_INTERRUPTED: u32 = 2;
/// The vCPU does not go on: `reason`, and what that says.
pub const XARCH_OUTCOME_STOPPED: u32 = 3;

/// `deadline_ns` where no timer is armed.
pub const XARCH_NO_DEADLINE: u64 = !0;

/// The guest turned the machine off.
pub const XARCH_STOP_POWER_OFF: u32 = 0;
/// The guest asked for a reset of the machine.
pub const XARCH_STOP_RESET: u32 = 1;
/// The guest suspended the machine to memory.
pub const XARCH_STOP_SUSPEND: u32 = 2;
/// The hardware refused the vCPU's state: `code` is the host's reason.
pub const XARCH_STOP_INVALID: u32 = 3;
/// The host reported something that nobody knows: `code`, with bit 31 set if it is the kind of exit itself that the
/// library does not know.
pub const XARCH_STOP_UNKNOWN: u32 = 4;
/// A register that the core relies on could not be accessed: `value` is its id, `code` the negated status.
pub const XARCH_STOP_REGISTER: u32 = 5;
/// The host could not provide memory for `address`.
pub const XARCH_STOP_MEMORY: u32 = 6;
/// The core does not know what to do with a trap: `syndrome`, `address` (the fault address).
pub const XARCH_STOP_UNHANDLED: u32 = 7;
/// The host wants the vCPU stopped, or failed: `code` is what `enter` returned, negated, 0 if it was not that.
pub const XARCH_STOP_HOST: u32 = 8;

/// The slot takes loads and fetches; a store is an access outside RAM.
pub const XARCH_SLOT_READ_ONLY: u32 = 1;

/// A line shared by all vCPUs, by the guest architecture's number.
pub const XARCH_IRQ_SHARED: u32 = 0;
/// A line of one vCPU, by the guest architecture's number.
pub const XARCH_IRQ_PRIVATE: u32 = 1;

/// Lowers the line.
pub const XARCH_IRQ_LOW: u32 = 0;
/// Raises the line.
pub const XARCH_IRQ_HIGH: u32 = 1;
/// Raises and lowers a shared line: one edge.
pub const XARCH_IRQ_PULSE: u32 = 2;
/// Makes a shared interrupt pending as a message does, whatever its line.
pub const XARCH_IRQ_MESSAGE: u32 = 3;

/// The back end is `xarch_backend_config.ops`, that is the caller's. Every other kind is the library's own
/// and found with `backend_info`.
pub const XARCH_BACKEND_OPS: u32 = 0;

/// The hardware is played by software: guest memory lies in `storage`, and `memory` holds decoded code.
pub const XARCH_BACKEND_SOFTWARE: u32 = 1;

/// Added to the `index` of `backend_info`: of back ends for hardware that the machine announces to supervisors, where the
/// library cannot look. The caller has looked, and the hardware is announced; then the library looks at the rest.
pub const XARCH_BACKEND_ANNOUNCED: u32 = 0x4000_0000;

/// An exit reached the core: `exit_kind`, `decision`, `syndrome`, `address` (the fault address).
pub const XARCH_TRACE_EXIT: u32 = 0;
/// A guest page was mapped: `address`.
pub const XARCH_TRACE_MAPPED: u32 = 1;

/// `xarch_trace.decision`: the guest goes on.
pub const XARCH_DECISION_RESUME: u32 = 0;
/// `xarch_trace.decision`: a device is asked.
pub const XARCH_DECISION_DEVICE: u32 = 1;
/// `xarch_trace.decision`: the vCPU waits.
pub const XARCH_DECISION_WAIT: u32 = 2;
/// `xarch_trace.decision`: the vCPU stops.
pub const XARCH_DECISION_STOP: u32 = 3;

/// One host to which guests can be given. Opaque: memory of the caller between `backend_create` and
/// `backend_destroy`.
#[derive(Debug)]
pub struct xarch_backend(());

/// One virtual machine. Opaque, as xarch_backend.
#[derive(Debug)]
pub struct xarch_vm(());

/// One virtual CPU. Opaque, as xarch_backend.
#[derive(Debug)]
pub struct xarch_vcpu(());

/// A guest architecture that the library knows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xarch_guest_info {
    /// Size of this structure, set by the caller.
    pub size: u32,
    /// Its number, for xarch_vm_config.guest. Never used again for another.
    pub id: u32,
    /// Its name, lower case, ended by a zero byte.
    pub name: [c_char; 32],
    /// The most vCPUs of a VM.
    pub vcpus: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

/// A back end that the library has on this machine.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xarch_backend_info {
    /// Size of this structure, set by the caller.
    pub size: u32,
    /// Its number, for xarch_backend_config.kind. Never used again for another.
    pub kind: u32,
    /// Its name, lower case, ended by a zero byte.
    pub name: [c_char; 32],
    /// The guest architecture it runs.
    pub guest: u32,
    /// XARCH_BACKEND_SOFTWARE.
    pub flags: u32,
    /// The most vCPUs of a VM.
    pub vcpus: u32,
    /// Bytes of a page, a power of two: slots, on both sides, and the ranges of all services begin and end at
    /// multiples of it, and `collect_dirty` names pages by their first address. A back end of the caller's own counts
    /// in pages of its own choice: the library hands ranges on as they are.
    pub page_bytes: u32,
}

/// Memory that an object needs. Never grows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct xarch_layout {
    /// Bytes.
    pub size: u64,
    /// Its start is a multiple of this, a power of two of at most 4096.
    pub align: u64,
}

/// One range of guest memory and where it lies on the host.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xarch_slot {
    /// Size of this structure, set by whoever provides it.
    pub size: u32,
    /// XARCH_SLOT_READ_ONLY or 0.
    pub flags: u32,
    /// Guest-physical address of the first byte, a multiple of the back end's page_bytes.
    pub guest: u64,
    /// Where that byte lies, as the back end addresses memory: an offset into `storage` for the library's own, whatever
    /// the caller's own back end takes otherwise. A multiple of the back end's page_bytes.
    pub host: u64,
    /// Length in bytes, a multiple of the back end's page_bytes, not 0.
    pub bytes: u64,
}

/// One access to a device.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xarch_access {
    /// Size of this structure, set by the library.
    pub size: u32,
    /// 1, 2, 4 or 8.
    pub bytes: u32,
    /// Guest-physical address of the first byte.
    pub address: u64,
    /// The value as a number of the host; byte 0 of the access is the least significant one. Of a store, with zeros
    /// above; of a load it is for the platform to set, and what it sets above is ignored.
    pub value: u64,
    /// XARCH_READ or XARCH_WRITE.
    pub operation: u8,
    /// Reserved, 0.
    pub reserved: [u8; 7],
}

/// What an observer may see.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xarch_trace {
    /// Size of this structure, set by the library.
    pub size: u32,
    /// XARCH_TRACE_*. Kinds may be added: ignore those that you do not know.
    pub kind: u32,
    /// XARCH_EXIT_*.
    pub exit_kind: u32,
    /// XARCH_DECISION_*.
    pub decision: u32,
    /// What the hardware said about the exit.
    pub syndrome: u64,
    /// The address that goes with it.
    pub address: u64,
}

/// The embedder: who owns memory, devices, threads and the clock. The library copies the table.
///
/// Every callback gets `context` as it stands in xarch_backend_config. They are called on the thread that called
/// the library, with no lock of the library held, for different vCPUs possibly at once. Each says its context:
///
///   inside   from within an entry: may sleep where whoever called that may, and may call every entry
///            whose context is any or spin.
///   leaf     must not sleep and must not call the library; may come on any thread.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xarch_platform {
    /// Size of this structure, set by the caller.
    pub size: u32,
    /// XARCH_ABI of the header that the caller was compiled with.
    pub abi: u32,
    /// Returns the time since some fixed moment; never goes back, the same on all CPUs. Called often: it must be cheap.
    /// Ownership: nothing changes hands.
    /// Units: nanoseconds.
    /// Context: leaf.
    /// Errors: none; it cannot fail.
    ///
    /// Null: refused where XARCH_BACKEND_SOFTWARE, not needed otherwise.
    pub clock: Option<unsafe extern "C" fn(context: *mut c_void) -> u64>,
    /// Finds the slot that holds a guest-physical address.
    /// Ownership: `slot` is the library's, to be filled, and gone when it returns.
    /// Units: bytes.
    /// Context: inside.
    /// Errors: XARCH_E_NOENT where no slot is.
    ///
    /// Null: no address is memory.
    pub slot: Option<unsafe extern "C" fn(context: *mut c_void, address: u64, slot: *mut xarch_slot) -> i32>,
    /// Accesses a device: `access.value` holds what a load got.
    /// Ownership: `access` is the library's, and gone when it returns.
    /// Units: bytes; `vcpu` counts from 0, here and below.
    /// Context: inside.
    /// Errors: XARCH_E_AGAIN if the answer comes later: `vcpu_run` returns XARCH_OUTCOME_DEVICE and the vCPU stays where it
    /// is until `vcpu_complete`. Anything else: there is no device, and the guest sees that.
    ///
    /// Null: there are no devices.
    pub device:
        Option<unsafe extern "C" fn(context: *mut c_void, vcpu: u32, access: *mut xarch_access) -> i32>,
    /// Makes a vCPU look at its state again: ends its wait, and calls `request_exit` for it. A kick that comes before
    /// the wait ends it at once.
    /// Ownership: nothing changes hands.
    /// Units: `vcpu` counts from 0.
    /// Context: inside; also of `vm_set_irq`, whose callers may not sleep.
    /// Errors: none; it cannot fail.
    ///
    /// Null: the library calls `request_exit`; whoever waits has to look at what woke it.
    pub kick: Option<unsafe extern "C" fn(context: *mut c_void, vcpu: u32)>,
    /// The vCPU spins on something that another one has to do: a good moment to run that one instead.
    /// Ownership: nothing changes hands.
    /// Units: `vcpu` counts from 0.
    /// Context: inside.
    /// Errors: none; it cannot fail.
    ///
    /// Null: nothing happens.
    pub relax: Option<unsafe extern "C" fn(context: *mut c_void, vcpu: u32)>,
    /// Sees an event.
    /// Ownership: `event` is the library's, and gone when it returns.
    /// Units: those of xarch_trace.
    /// Context: inside.
    /// Errors: none; it cannot fail.
    ///
    /// Null: nobody looks.
    pub trace: Option<unsafe extern "C" fn(context: *mut c_void, vcpu: u32, event: *const xarch_trace)>,
    /// Copies guest memory out, for the core to look at an instruction or at the guest's own tables. Aligned
    /// doublewords are read in one go.
    /// Ownership: `into` is the library's, to be filled, and gone when it returns.
    /// Units: bytes.
    /// Context: inside.
    /// Errors: XARCH_E_NOENT if there is no memory at a part of it.
    ///
    /// Null: the library looks itself where the back end is its own; otherwise what depends on it takes the exception
    /// that hardware takes where nothing answers.
    pub read: Option<
        unsafe extern "C" fn(context: *mut c_void, address: u64, into: *mut c_void, bytes: u64) -> i32,
    >,
    /// The thread is about to take a spin lock of the library. Until `spin_leave` it calls nothing of the embedder, and
    /// others may wait for it: a host that can take the CPU away from a thread should not do so now. Calls come in
    /// pairs and do not nest.
    /// Ownership: nothing changes hands.
    /// Units: none.
    /// Context: leaf.
    /// Errors: none; it cannot fail.
    ///
    /// Null: nothing happens. Refused if only one of the two is.
    pub spin_enter: Option<unsafe extern "C" fn(context: *mut c_void)>,
    /// The thread has given the lock back.
    /// Ownership, units, context, errors: as `spin_enter`.
    pub spin_leave: Option<unsafe extern "C" fn(context: *mut c_void)>,
    #[cfg(feature = "next")]
    /// The core has noticed that the vCPU lost its CPU. Called only where XARCH_FEATURE_PREEMPTED was agreed.
    ///
    /// Null: nothing happens.
    pub preempted: Option<unsafe extern "C" fn(context: *mut c_void, vcpu: u32)>,
}

/// Why a guest stopped running, as a back end reports it. Fields that the kind does not name are 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xarch_exit {
    /// Size of this structure, set by the library, which also sets `direction`, `size_log2` and `walk_level` to
    /// unknown and everything else to 0.
    pub size: u32,
    /// XARCH_EXIT_*. One that the library does not know stops the vCPU with XARCH_STOP_UNKNOWN.
    pub kind: u32,
    /// What the hardware says about it. Only the core knows what it means.
    pub syndrome: u64,
    /// The guest-virtual address that goes with it.
    pub fault_address: u64,
    /// XARCH_EXIT_ACCESS: the guest-physical address of the access, not of a table walk.
    pub address: u64,
    /// A number whose meaning depends on the kind.
    pub code: u32,
    /// XARCH_READ, XARCH_WRITE, XARCH_FETCH, XARCH_DIRECTION_UNKNOWN.
    pub direction: u8,
    /// XARCH_CAUSE_*.
    pub cause: u8,
    /// Binary logarithm of the bytes of the access, 0 to 3, or XARCH_SIZE_UNKNOWN.
    pub size_log2: u8,
    /// Level of the guest's own table walk, as the guest architecture numbers it, where the syndrome says that the
    /// access was one; or XARCH_WALK_LEVEL_UNKNOWN.
    pub walk_level: i8,
}

/// The registers of a vCPU that the core wants at nearly every exit, where the back end keeps them while it is not inside
/// `enter`: reaching them there takes no call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xarch_frame {
    /// Size of this structure, set by the back end.
    pub size: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// XARCH_BANK_CORE, index 0.
    pub pc: u64,
    /// XARCH_BANK_CORE, index 1.
    pub status: u64,
    /// XARCH_BANK_GENERAL, by number; those that the guest architecture does not have are not touched.
    pub general: [u64; 32],
    /// The registers of XARCH_BANK_SYSTEM that turn the guest's timers on: of the one on the virtual count, then of the
    /// one on the physical count.
    pub timers: [u64; 2],
}

/// A back end of the caller's own. The library copies the table.
///
/// `context` is that of xarch_backend_config, `vcpu` is what `vcpu_create` was given as context. Calls for one
/// vCPU come from one thread at a time, with no lock of the library held. Contexts are those of
/// xarch_platform.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xarch_backend_ops {
    /// Size of this structure, set by the caller.
    pub size: u32,
    /// XARCH_ABI of the header that the caller was compiled with.
    pub abi: u32,
    /// Runs the guest until something happens that the back end cannot deal with itself. Faults on memory inside slots
    /// are its own business.
    /// Ownership: `exit` is the library's, to be filled, and gone when it returns.
    /// Units: those of xarch_exit.
    /// Context: inside.
    /// Errors: whatever it returns beside XARCH_OK stops the vCPU with XARCH_STOP_HOST.
    pub enter: Option<unsafe extern "C" fn(vcpu: *mut c_void, exit: *mut xarch_exit) -> i32>,
    /// Reads a register.
    /// Ownership: `value` is the library's, two numbers to be filled, and gone when it returns.
    /// Units: `id` is an XARCH_REG; of the numbers the first has bits 63 to 0.
    /// Context: inside.
    /// Errors: XARCH_E_NOENT for an id that it does not know, which the core can often do without; XARCH_E_IO.
    pub read: Option<unsafe extern "C" fn(vcpu: *mut c_void, id: u64, value: *mut u64) -> i32>,
    /// Writes a register.
    /// Ownership, units, context: as `read`.
    /// Errors: as `read`, and XARCH_E_PERM for one that is read-only, XARCH_E_INVAL for a value that it cannot take.
    pub write: Option<unsafe extern "C" fn(vcpu: *mut c_void, id: u64, value: *const u64) -> i32>,
    /// Makes `enter` for that vCPU return, or the next one if it is not inside.
    /// Ownership: nothing changes hands.
    /// Units: `vcpu` counts from 0.
    /// Context: leaf, also from interrupts.
    /// Errors: none; a vCPU that is not there is passed over.
    ///
    /// Null: an exit request is seen when `enter` returns for another reason.
    pub request_exit: Option<unsafe extern "C" fn(context: *mut c_void, vcpu: u32)>,
    /// As the entry of xarch_api by the same name.
    ///
    /// Null: that entry returns XARCH_E_NOTSUP.
    pub add_slot: Option<unsafe extern "C" fn(context: *mut c_void, slot: *const xarch_slot) -> i32>,
    /// As the entry of xarch_api by the same name.
    ///
    /// Null: that entry returns XARCH_E_NOTSUP.
    pub remove_slot: Option<unsafe extern "C" fn(context: *mut c_void, guest: u64, bytes: u64) -> i32>,
    /// As the entry of xarch_api by the same name.
    ///
    /// Null: that entry returns XARCH_E_NOTSUP.
    pub unmap: Option<unsafe extern "C" fn(context: *mut c_void, guest: u64, bytes: u64) -> i32>,
    /// As the entry of xarch_api by the same name.
    ///
    /// Null: that entry returns XARCH_E_NOTSUP.
    pub protect: Option<unsafe extern "C" fn(context: *mut c_void, guest: u64, bytes: u64) -> i32>,
    /// As the entry of xarch_api by the same name.
    ///
    /// Null: that entry returns XARCH_E_NOTSUP.
    pub collect_dirty: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            guest: u64,
            bytes: u64,
            report: Option<unsafe extern "C" fn(argument: *mut c_void, page: u64)>,
            argument: *mut c_void,
        ) -> i32,
    >,
    /// As the entry of xarch_api by the same name.
    ///
    /// Null: that entry returns XARCH_E_NOTSUP.
    pub age: Option<unsafe extern "C" fn(context: *mut c_void, guest: u64, bytes: u64) -> i32>,
    /// Returns where some registers of the vCPU lie, or null. Called once. Whatever the back end does outside `enter`, it
    /// finds and leaves the registers there, and `read` and `write` are not called for them.
    /// Ownership: the frame is the back end's, and valid until `vcpu_destroy`.
    /// Units: those of xarch_frame.
    /// Context: inside, of `vcpu_create`.
    /// Errors: none; null says that there is no frame.
    ///
    /// Null: all registers go by `read` and `write`.
    pub frame: Option<unsafe extern "C" fn(vcpu: *mut c_void) -> *mut xarch_frame>,
}

/// What a back end is to be.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xarch_backend_config {
    /// Size of this structure, set by the caller.
    pub size: u32,
    /// XARCH_ABI of the header that the caller was compiled with.
    pub abi: u32,
    /// XARCH_BACKEND_OPS, or a kind from `backend_info`.
    pub kind: u32,
    /// vCPUs, 1 to xarch_backend_info.vcpus.
    pub vcpus: u32,
    /// Bits of a guest-physical address. The one truth about the size of the address space.
    pub address_bits: u32,
    /// Reserved, 0.
    pub flags: u32,
    /// The platform.
    pub platform: *const xarch_platform,
    /// What the platform's callbacks, and the back end's own, get.
    pub context: *mut c_void,
    /// XARCH_BACKEND_OPS: the back end, otherwise null.
    pub ops: *const xarch_backend_ops,
    /// A back end of the library's own: host memory in which tables and all guest memory lie; page-aligned, and mapped as
    /// it is until `backend_destroy`. The library owns it until then; the caller may read and write what slots name,
    /// with accesses that do not tear, as a device would. Without XARCH_BACKEND_SOFTWARE the first `table_bytes` of it
    /// lie in a row on the machine; the rest may be pages from anywhere. XARCH_BACKEND_OPS: null.
    pub storage: *mut c_void,
    /// Length of `storage` in bytes, a multiple of the back end's page_bytes.
    pub storage_bytes: u64,
    /// How much of it, from the start, is for tables: 4 MiB and 1/256 of guest memory are plenty. Slots lie
    /// above.
    pub table_bytes: u64,
    /// XARCH_BACKEND_SOFTWARE: bytes of decoded code kept for each vCPU; more is faster, up to 16 MiB. 0: 1 MiB.
    pub code_bytes: u64,
}

/// What a VM is to be.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xarch_vm_config {
    /// Size of this structure, set by the caller.
    pub size: u32,
    /// XARCH_ABI of the header that the caller was compiled with.
    pub abi: u32,
    /// The guest architecture, from `guest_info`.
    pub guest: u32,
    /// vCPUs, 1 to what the back end was made for.
    pub vcpus: u32,
    /// XARCH_FEATURE_*: what the caller knows how to deal with. Bits that the library does not know are no error: see
    /// `vm_features`.
    pub features: u64,
    /// Where the frames of the interrupt controller lie, in the order in which the guest architecture counts them.
    /// All 0: where that architecture usually has them.
    pub frames: [u64; 4],
    #[cfg(feature = "next")]
    /// Losses of the CPU after which the vCPU is interrupted for the host to look at; 0: never.
    pub preempted_limit: u64,
}

/// What to do with an interrupt line.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xarch_irq {
    /// Size of this structure, set by the caller.
    pub size: u32,
    /// XARCH_IRQ_SHARED, XARCH_IRQ_PRIVATE.
    pub kind: u32,
    /// XARCH_IRQ_LOW, XARCH_IRQ_HIGH, XARCH_IRQ_PULSE, XARCH_IRQ_MESSAGE.
    pub action: u32,
    /// The interrupt, as the guest architecture numbers it for software.
    pub number: u32,
    /// XARCH_IRQ_PRIVATE: whose. Otherwise 0.
    pub vcpu: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

/// Why `vcpu_run` returned. Fields that the kind does not name are 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xarch_outcome {
    /// Size of this structure, set by the caller.
    pub size: u32,
    /// XARCH_OUTCOME_*. Kinds are only added together with a feature, so one that was not agreed does not come.
    pub kind: u32,
    /// XARCH_STOP_*. Reasons may be added: treat those that you do not know as XARCH_STOP_UNKNOWN.
    pub reason: u32,
    /// A number whose meaning depends on the reason.
    pub code: u32,
    /// Guest-physical address of a device access, or what the reason says.
    pub address: u64,
    /// Value of a store to a device, or what the reason says.
    pub value: u64,
    /// What the hardware said, for XARCH_STOP_UNHANDLED.
    pub syndrome: u64,
    /// The guest's counter at the deadline.
    pub deadline_counter: u64,
    /// Nanoseconds from now to the deadline, or XARCH_NO_DEADLINE.
    pub deadline_ns: u64,
    /// Names the device access for `vcpu_complete`.
    pub token: u32,
    /// Bytes of the device access.
    pub bytes: u8,
    /// XARCH_READ or XARCH_WRITE.
    pub operation: u8,
    /// Reserved, 0.
    pub reserved: [u8; 2],
}
