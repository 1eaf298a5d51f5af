//! The embedder: who owns memory, devices, threads and the clock.

use crate::addr::{GuestPa, GuestRange, HostPa};
use crate::exit::{DeviceAccess, DeviceAnswer, Exit, Next, VcpuIndex};

/// One range of guest memory and where it lies on the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// The guest-physical range, in whole pages: see [`Backend::page_bytes`](crate::Backend::page_bytes).
    pub guest: GuestRange,
    /// Where its first byte lies, page-aligned.
    pub host: HostPa,
    /// Whether the guest may store to it.
    pub writable: Writable,
}

/// Whether a slot takes stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writable {
    /// Loads, stores and fetches.
    Yes,
    /// Loads and fetches; a store is an access outside RAM.
    No,
}

/// Guest memory that cannot be read: from here on no slot holds it, or the platform does not give it away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreadable(pub GuestPa);

/// What the platform may want to see of a vCPU's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TraceEvent {
    /// An exit reached the guest side, which decided this.
    Exit(Exit, Next),
    /// A guest page was mapped.
    Mapped(GuestPa),
}

/// What the embedder provides.
///
/// Called from vCPU threads, without locks held, possibly from several at once.
pub trait Platform {
    /// Returns the slot that holds `address`.
    fn slot(&self, address: GuestPa) -> Option<Slot>;

    /// Copies guest memory out, for the guest side to look at an instruction or at the guest's own tables. An aligned
    /// doubleword is read in one go, as the vCPUs' accesses are.
    ///
    /// By default nothing can be read; what depends on it then takes the exception that hardware takes where nothing
    /// answers.
    ///
    /// # Errors
    /// [`Unreadable`] names the first address without memory; `into` is then unspecified.
    fn read_memory(&self, address: GuestPa, into: &mut [u8]) -> Result<(), Unreadable> {
        let _ = into;
        Err(Unreadable(address))
    }

    /// Accesses a device. `None` means that the answer comes later, by token; the run then returns
    /// to the embedder.
    fn device(&self, vcpu: VcpuIndex, access: &DeviceAccess) -> Option<DeviceAnswer>;

    /// Makes a vCPU look at its state again: ends its wait, or its entry. Sticky: a kick that comes
    /// before the wait ends it at once.
    fn kick(&self, vcpu: VcpuIndex);

    /// A vCPU spins on something that another one has to do: a good moment to run that one instead.
    /// Does nothing by default.
    fn relax(&self, vcpu: VcpuIndex) {
        let _ = vcpu;
    }

    /// Sees an event. Absent by default.
    fn trace(&self, vcpu: VcpuIndex, event: TraceEvent) {
        let _ = (vcpu, event);
    }
}
