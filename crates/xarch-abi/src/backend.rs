//! The host side: how a guest is entered and its memory mapped.

use crate::addr::{GuestPa, GuestRange};
use crate::exit::{Exit, Next, Outcome, StopReason, VcpuIndex};
use crate::guest::Guest;
use crate::platform::{Platform, Slot, TraceEvent};
use crate::reg::Registers;

/// Bytes of a page, unless a back end says otherwise.
pub const PAGE_BYTES: u64 = 4096;

/// Whether pages were touched since they were last asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Age {
    /// None was.
    Old,
    /// At least one was.
    Young,
}

/// The memory and control half of a back end: one VM on one host.
///
/// Every call may come from any thread while vCPUs run. The table operations are synchronous: when
/// one returns, no vCPU uses what it took away.
pub trait Backend: Sync {
    /// Why a memory operation failed.
    type Error: core::error::Error;

    /// Returns the bytes of a page, a power of two: what this back end counts guest memory in. Slots, on both sides, and the
    /// ranges of all services begin and end with a page; what was stored to is named page by page, by its first address.
    ///
    /// It need not be what the hardware maps by. Where that is smaller, a page stands for all of it; where it is larger,
    /// the back end says so here, and does not report or protect less than it was asked to.
    fn page_bytes(&self) -> u64 {
        PAGE_BYTES
    }

    /// Makes the slot's range memory. Pages are mapped when they are first touched.
    ///
    /// # Errors
    /// If the slot is not page-aligned, lies outside the VM's address space or overlaps another, or
    /// the host has no memory for tables. Nothing has changed then.
    fn add_slot(&self, slot: &Slot) -> Result<(), Self::Error>;

    /// Makes the range of a slot no memory: the whole slot, as it was added. What is on record about its pages, stores and
    /// age, is forgotten. Cannot run out of anything.
    ///
    /// # Errors
    /// If the range is not page-aligned or lies outside the VM's address space, or is not exactly that of a slot. Nothing
    /// has changed then.
    fn remove_slot(&self, range: GuestRange) -> Result<(), Self::Error>;

    /// Takes every mapping of the range away; touching it maps it anew.
    ///
    /// # Errors
    /// If the range is not page-aligned or lies outside the VM's address space. What of it is in no slot is passed over.
    fn unmap(&self, range: GuestRange) -> Result<(), Self::Error>;

    /// Makes the range read-only until the next store to each page, which is then logged dirty.
    ///
    /// # Errors
    /// As [`unmap`](Self::unmap), and if the host has no memory to split a large frame.
    fn protect(&self, range: GuestRange) -> Result<(), Self::Error>;

    /// Reports every page of the range that was stored to since the last call, and protects it
    /// again. A page is reported before a later store to it can go unlogged.
    ///
    /// # Errors
    /// As [`protect`](Self::protect).
    fn collect_dirty<F: FnMut(GuestPa)>(&self, range: GuestRange, report: F) -> Result<(), Self::Error>;

    /// Says whether any page of the range was touched since the last call, and makes all old. A load, a store, a fetch and
    /// a walk of the guest's own tables touch a page; one that is not mapped is old, so that [`unmap`](Self::unmap) may
    /// lose a touch. The log of stores is not affected.
    ///
    /// # Errors
    /// As [`unmap`](Self::unmap).
    fn age(&self, range: GuestRange) -> Result<Age, Self::Error>;

    /// Makes the vCPU leave the guest and [`run`](BackendVcpu::run) return
    /// [`Outcome::Interrupted`]. Any thread, any time; sticky if raised before entry.
    ///
    /// One that comes before another has ended a run is the same request. A run that ends for another reason leaves it to
    /// the next one. Nothing happens for a vCPU that does not exist. A vCPU that waits is in no run: waking its thread is
    /// the platform's part ([`Platform::kick`]).
    fn request_exit(&self, vcpu: VcpuIndex);
}

/// The vCPU half of a back end. One thread at a time.
pub trait BackendVcpu: Registers {
    /// Runs the guest until the embedder is needed.
    ///
    /// The loop is: [`Guest::before_entry`]; enter; turn what the hardware reported into an [`Exit`], resolving memory
    /// faults inside slots on the way; [`Guest::on_exit`]; [`Next::obey`]. [`drive`] is that loop.
    fn run<G: Guest, P: Platform>(&mut self, guest: &mut G, platform: &P) -> Outcome;
}

/// What a back end does of a run itself, one entry at a time: [`drive`] does the rest.
pub trait Entry: Registers {
    /// Returns which vCPU of its VM this is.
    fn index(&self) -> VcpuIndex;

    /// Returns whether [`Backend::request_exit`] was called since this was asked last.
    fn take_exit_request(&mut self) -> bool;

    /// Enters the guest, and says why it left; `None` where the guest side is not concerned, as with a fault in a slot
    /// that is resolved.
    ///
    /// # Errors
    /// Why the run cannot go on.
    fn enter<P: Platform>(&mut self, platform: &P) -> Result<Option<Exit>, StopReason>;
}

/// Runs the guest until the embedder is needed: what [`BackendVcpu::run`] promises, for a back end that has [`Entry`].
#[inline]
pub fn drive<E: Entry, G: Guest, P: Platform>(vcpu: &mut E, guest: &mut G, platform: &P) -> Outcome {
    let index = vcpu.index();
    loop {
        if vcpu.take_exit_request() {
            return Outcome::Interrupted;
        }
        let mut next = guest.before_entry(vcpu, platform);
        if matches!(next, Next::Resume) {
            let exit = match vcpu.enter(platform) {
                Ok(Some(exit)) => exit,
                Ok(None) => continue,
                Err(reason) => return Outcome::Stopped(reason),
            };
            next = guest.on_exit(vcpu, platform, exit);
            platform.trace(index, TraceEvent::Exit(exit, next));
        }
        if let Some(outcome) = next.obey(index, vcpu, guest, platform) {
            return outcome;
        }
    }
}
