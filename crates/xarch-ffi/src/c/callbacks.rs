//! Calls of the embedder's functions.
//!
//! The claim of every call is the same. Whoever called `backend_create` promised (its `# Safety`) that each function of
//! the tables may be called with the context that came with them, on any thread, until the back end is destroyed, and
//! obeys the header; what holds these tables does not live longer than the back end. Pointers to structures are to
//! locals that live through the call.

use super::types::*;
use crate::status::Status;
use core::ffi::c_void;
use core::ptr::NonNull;
use xarch_abi::{Bank, RegId};

/// A pointer that means something to the embedder alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context(pub(super) *mut c_void);

// SAFETY: the library never looks at what it points to; the embedder was told that its functions are called with it on
// any thread.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

/// The size of a structure, as its first field says it.
pub(crate) const fn size<T>() -> u32 {
    #[expect(clippy::as_conversions, reason = "no structure of the header is near 2^32 bytes")]
    let size = size_of::<T>() as u32;
    size
}

/// The embedder's table and context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Embedder {
    pub(super) table: xarch_platform,
    pub(super) context: Context,
}

impl Embedder {
    pub(crate) const fn has_clock(&self) -> bool {
        self.table.clock.is_some()
    }

    /// Whether it has both or neither of those that are called around spin locks.
    pub(crate) const fn has_both_hooks(&self) -> bool {
        self.table.spin_enter.is_some() == self.table.spin_leave.is_some()
    }

    pub(crate) const fn spin_hooks(&self) -> Option<SpinHooks> {
        match (self.table.spin_enter, self.table.spin_leave) {
            (Some(enter), Some(leave)) => Some(SpinHooks { enter, leave, context: self.context }),
            _ => None,
        }
    }

    pub(crate) fn clock(&self) -> u64 {
        // SAFETY: see the module.
        self.table.clock.map_or(0, |clock| unsafe { clock(self.context.0) })
    }

    pub(crate) fn slot(&self, address: u64) -> Option<xarch_slot> {
        let slot = self.table.slot?;
        let mut found = xarch_slot { size: size::<xarch_slot>(), flags: 0, guest: 0, host: 0, bytes: 0 };
        // SAFETY: see the module.
        let status = unsafe { slot(self.context.0, address, &raw mut found) };
        (status == XARCH_OK).then_some(found)
    }

    /// Returns what the platform said; the value of a load is in `access` then.
    pub(crate) fn device(&self, vcpu: u32, access: &mut xarch_access) -> i32 {
        let Some(device) = self.table.device else { return XARCH_E_NODEV };
        // SAFETY: see the module.
        unsafe { device(self.context.0, vcpu, access) }
    }

    /// Kicks; returns whether the embedder does.
    pub(crate) fn kick(&self, vcpu: u32) -> bool {
        // SAFETY: see the module.
        self.table.kick.map(|kick| unsafe { kick(self.context.0, vcpu) }).is_some()
    }

    pub(crate) fn relax(&self, vcpu: u32) {
        if let Some(relax) = self.table.relax {
            // SAFETY: see the module.
            unsafe { relax(self.context.0, vcpu) }
        }
    }

    pub(crate) const fn traces(&self) -> bool {
        self.table.trace.is_some()
    }

    pub(crate) fn trace(&self, vcpu: u32, event: &xarch_trace) {
        if let Some(trace) = self.table.trace {
            // SAFETY: see the module.
            unsafe { trace(self.context.0, vcpu, event) }
        }
    }

    /// Reads guest memory; `None` if the embedder does not.
    pub(crate) fn read(&self, address: u64, into: &mut [u8]) -> Option<i32> {
        let read = self.table.read?;
        #[expect(clippy::as_conversions, reason = "usize has at most 64 bits wherever this compiles")]
        let bytes = into.len() as u64;
        // SAFETY: see the module; `into` is valid for writing its length.
        Some(unsafe { read(self.context.0, address, into.as_mut_ptr().cast(), bytes) })
    }

    #[cfg(feature = "next")]
    pub(crate) fn preempted(&self, vcpu: u32) {
        if let Some(preempted) = self.table.preempted {
            // SAFETY: see the module.
            unsafe { preempted(self.context.0, vcpu) }
        }
    }
}

impl sae_model::Clock for Embedder {
    fn nanoseconds(&self) -> u64 {
        self.clock()
    }
}

/// What the embedder wants to be called around a spin lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpinHooks {
    enter: unsafe extern "C" fn(*mut c_void),
    leave: unsafe extern "C" fn(*mut c_void),
    context: Context,
}

impl SpinHooks {
    pub(crate) fn enter(&self) {
        // SAFETY: see the module; what holds a lock does not live longer than the back end.
        unsafe { (self.enter)(self.context.0) }
    }

    pub(crate) fn leave(&self) {
        // SAFETY: as `enter`.
        unsafe { (self.leave)(self.context.0) }
    }
}

/// A back end of the embedder. What it cannot do without was looked for once, when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ops {
    enter: unsafe extern "C" fn(*mut c_void, *mut xarch_exit) -> i32,
    read: unsafe extern "C" fn(*mut c_void, u64, *mut u64) -> i32,
    write: unsafe extern "C" fn(*mut c_void, u64, *const u64) -> i32,
    table: xarch_backend_ops,
    context: Context,
}

/// Registers of one vCPU in memory of the embedder.
#[derive(Debug)]
pub(crate) struct Frame(NonNull<xarch_frame>);

// SAFETY: the frame goes with its vCPU, which one thread at a time uses, whichever it is.
unsafe impl Send for Frame {}
// SAFETY: nothing is reached by a shared reference but by whoever uses the vCPU alone.
unsafe impl Sync for Frame {}

impl Frame {
    /// Whether the register is in the frame, and where. Inline: of a register that the caller names nothing is left but its
    /// place.
    #[inline(always)]
    #[expect(clippy::as_conversions, reason = "a small number")]
    fn place(&self, id: RegId) -> Option<*mut u64> {
        let frame = self.0.as_ptr();
        // SAFETY: the frame has all fields: `Ops::frame` has looked.
        unsafe {
            Some(match (id.bank, id.index) {
                (Bank::GENERAL, number @ 0..32) => {
                    (&raw mut (*frame).general).cast::<u64>().wrapping_add(number as usize)
                }
                (Bank::CORE, 0) => &raw mut (*frame).pc,
                (Bank::CORE, 1) => &raw mut (*frame).status,
                (Bank::SYSTEM, VIRTUAL_TIMER) => (&raw mut (*frame).timers).cast::<u64>(),
                (Bank::SYSTEM, PHYSICAL_TIMER) => (&raw mut (*frame).timers).cast::<u64>().wrapping_add(1),
                _ => return None,
            })
        }
    }

    /// Reads a register, if it is here.
    #[inline(always)]
    pub(crate) fn load(&self, id: RegId) -> Option<u64> {
        // SAFETY: inside the frame, which is valid until the vCPU is destroyed and which the embedder leaves alone while the
        // library uses the vCPU.
        self.place(id).map(|at| unsafe { at.read() })
    }

    /// Writes a register, if it is here; returns whether.
    #[inline(always)]
    pub(crate) fn store(&mut self, id: RegId, value: u64) -> bool {
        // SAFETY: as `load`.
        self.place(id).map(|at| unsafe { at.write(value) }).is_some()
    }
}

/// Encodings of `CNTV_CTL_EL0` and `CNTP_CTL_EL0`.
#[expect(clippy::as_conversions, reason = "widening in constants")]
const VIRTUAL_TIMER: u32 = arm_arch::sysreg::names::CNTV_CTL_EL0.into_bits() as u32;
#[expect(clippy::as_conversions, reason = "as above")]
const PHYSICAL_TIMER: u32 = arm_arch::sysreg::names::CNTP_CTL_EL0.into_bits() as u32;

type Ranged = Option<unsafe extern "C" fn(*mut c_void, u64, u64) -> i32>;

impl Ops {
    /// Takes a table; `None` if a function is missing for which there is no fallback.
    pub(super) const fn new(table: xarch_backend_ops, context: Context) -> Option<Self> {
        match (table.enter, table.read, table.write) {
            (Some(enter), Some(read), Some(write)) => Some(Self { enter, read, write, table, context }),
            _ => None,
        }
    }

    #[inline(always)]
    pub(crate) fn enter(&self, vcpu: Context, exit: &mut xarch_exit) -> i32 {
        // SAFETY: see the module; `vcpu` is what came with `vcpu_create`, for which the same was promised.
        unsafe { (self.enter)(vcpu.0, exit) }
    }

    #[inline]
    pub(crate) fn read(&self, vcpu: Context, id: u64) -> Result<[u64; 2], i32> {
        let mut value = [0; 2];
        // SAFETY: as `enter`.
        match unsafe { (self.read)(vcpu.0, id, value.as_mut_ptr()) } {
            XARCH_OK => Ok(value),
            error => Err(error),
        }
    }

    #[inline]
    pub(crate) fn write(&self, vcpu: Context, id: u64, value: [u64; 2]) -> i32 {
        // SAFETY: as `enter`.
        unsafe { (self.write)(vcpu.0, id, value.as_ptr()) }
    }

    /// Asks where the vCPU's frame is; the error is for one that is no frame.
    pub(crate) fn frame(&self, vcpu: Context) -> Result<Option<Frame>, Status> {
        // SAFETY: as `enter`.
        let at = self.table.frame.map_or(core::ptr::null_mut(), |frame| unsafe { frame(vcpu.0) });
        let Some(frame) = NonNull::new(at) else { return Ok(None) };
        // SAFETY: not null; the embedder was told to return a frame, which starts with its size.
        if !at.is_aligned() || unsafe { at.cast::<u32>().read() } < size::<xarch_frame>() {
            return Err(Status(XARCH_E_INVAL));
        }
        Ok(Some(Frame(frame)))
    }

    pub(crate) fn request_exit(&self, vcpu: u32) {
        if let Some(request_exit) = self.table.request_exit {
            // SAFETY: see the module.
            unsafe { request_exit(self.context.0, vcpu) }
        }
    }

    pub(crate) fn add_slot(&self, slot: &xarch_slot) -> Result<(), Status> {
        // SAFETY: see the module.
        let add_slot = self.table.add_slot.map(|add_slot| unsafe { add_slot(self.context.0, slot) });
        said(add_slot).map(|_| ())
    }

    pub(crate) fn remove_slot(&self, guest: u64, bytes: u64) -> Result<(), Status> {
        self.ranged(self.table.remove_slot, guest, bytes).map(|_| ())
    }

    pub(crate) fn unmap(&self, guest: u64, bytes: u64) -> Result<(), Status> {
        self.ranged(self.table.unmap, guest, bytes).map(|_| ())
    }

    pub(crate) fn protect(&self, guest: u64, bytes: u64) -> Result<(), Status> {
        self.ranged(self.table.protect, guest, bytes).map(|_| ())
    }

    pub(crate) fn age(&self, guest: u64, bytes: u64) -> Result<i32, Status> {
        self.ranged(self.table.age, guest, bytes)
    }

    pub(crate) fn collect_dirty(&self, guest: u64, bytes: u64, report: Report) -> Result<(), Status> {
        let collected = self.table.collect_dirty.map(|collect| {
            // SAFETY: see the module; `report` came from the caller for this purpose.
            unsafe { collect(self.context.0, guest, bytes, Some(report.function), report.argument) }
        });
        said(collected).map(|_| ())
    }

    fn ranged(&self, function: Ranged, guest: u64, bytes: u64) -> Result<i32, Status> {
        // SAFETY: see the module.
        said(function.map(|function| unsafe { function(self.context.0, guest, bytes) }))
    }
}

/// What a function of the embedder said; one that is not there cannot.
fn said(status: Option<i32>) -> Result<i32, Status> {
    match status {
        None => Err(Status(XARCH_E_NOTSUP)),
        Some(error @ ..0) => Err(Status(error)),
        Some(value) => Ok(value),
    }
}

/// Who is told of dirty pages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(super) function: unsafe extern "C" fn(*mut c_void, u64),
    pub(super) argument: *mut c_void,
}

impl Report {
    pub(crate) fn page(&self, page: u64) {
        // SAFETY: the caller of `collect_dirty` gave function and argument to be called together until it returns.
        unsafe { (self.function)(self.argument, page) }
    }
}
