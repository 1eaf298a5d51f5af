//! What the kit needs of an embedder under test.

use crate::host::Threads;
use xarch_abi::{AccessSize, GuestPa, GuestRange, HostPa, Platform, VcpuIndex};

/// What is so about an embedder's machine.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Ranges of guest-physical addresses that are memory, whole slots or parts of them.
    pub memory: &'a [GuestRange],
    /// Addresses that are no memory.
    pub holes: &'a [GuestPa],
    /// Accesses that a device takes without harm, read and written.
    pub devices: &'a [(GuestPa, AccessSize)],
    /// An address at which there is no device.
    pub absent: Option<GuestPa>,
    /// The vCPU that is kicked.
    pub vcpu: VcpuIndex,
    /// Nanoseconds after which something is held never to happen.
    pub patience: u64,
}

/// How a wait came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// By a kick.
    Kicked,
    /// By the limit.
    TooLate,
}

/// An embedder under test: a [`Platform`], and how it waits.
pub trait Embedder: Sync {
    /// Says what is so about it.
    fn machine(&self) -> Machine<'_>;
    /// Returns the platform.
    fn platform(&self) -> &dyn Platform;
    /// Reads host memory that a slot names; `false` if nobody but the back end reaches it.
    fn load(&self, from: HostPa, into: &mut [u8]) -> bool;
    /// Waits as the thread of the vCPU does after a run that ended with a wait without a deadline, but at most that
    /// long. `None` if it cannot be tried.
    fn wait(&self, vcpu: VcpuIndex, nanoseconds: u64) -> Option<Woken>;
    /// Returns how often the platform has made the back end leave the guest by `request_exit`, `None` if that cannot be
    /// seen.
    fn exit_requests(&self, vcpu: VcpuIndex) -> Option<u64>;
    /// As [`Host::nanoseconds`](crate::Host::nanoseconds).
    fn nanoseconds(&self) -> u64;
    /// As [`Host::at_once`](crate::Host::at_once).
    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        let _ = (first, second);
        Threads::One
    }
}
