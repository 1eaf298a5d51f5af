//! The host side: how a guest is entered and its memory mapped.

use crate::addr::{GuestPa, GuestRange};
use crate::exit::{Outcome, VcpuIndex};
use crate::guest::Guest;
use crate::platform::{Platform, Slot};
use crate::reg::Registers;

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

    /// Makes the slot's range memory. Pages are mapped when they are first touched.
    ///
    /// # Errors
    /// If the slot is not page-aligned, lies outside the VM's address space or overlaps another, or
    /// the host has no memory for tables. Nothing has changed then.
    fn add_slot(&self, slot: &Slot) -> Result<(), Self::Error>;

    /// Makes the range no memory. Cannot run out of anything.
    ///
    /// # Errors
    /// If the range is not page-aligned or lies outside the VM's address space.
    fn remove_slot(&self, range: GuestRange) -> Result<(), Self::Error>;

    /// Takes every mapping of the range away; touching it maps it anew.
    ///
    /// # Errors
    /// As [`remove_slot`](Self::remove_slot).
    fn unmap(&self, range: GuestRange) -> Result<(), Self::Error>;

    /// Makes the range read-only until the next store to each page, which is then logged dirty.
    ///
    /// # Errors
    /// As [`remove_slot`](Self::remove_slot), and if the host has no memory to split a large frame.
    fn protect(&self, range: GuestRange) -> Result<(), Self::Error>;

    /// Reports every page of the range that was stored to since the last call, and protects it
    /// again. A page is reported before a later store to it can go unlogged.
    ///
    /// # Errors
    /// As [`protect`](Self::protect).
    fn collect_dirty<F: FnMut(GuestPa)>(&self, range: GuestRange, report: F) -> Result<(), Self::Error>;

    /// Says whether any page of the range was touched since the last call, and makes all old.
    ///
    /// # Errors
    /// As [`remove_slot`](Self::remove_slot).
    fn age(&self, range: GuestRange) -> Result<Age, Self::Error>;

    /// Makes the vCPU leave the guest and [`run`](BackendVcpu::run) return
    /// [`Outcome::Interrupted`]. Any thread, any time; sticky if raised before entry.
    fn request_exit(&self, vcpu: VcpuIndex);
}

/// The vCPU half of a back end. One thread at a time.
pub trait BackendVcpu: Registers {
    /// Runs the guest until the embedder is needed.
    ///
    /// The loop is: [`Guest::before_entry`]; enter; turn what the hardware reported into an
    /// [`Exit`](crate::exit::Exit), resolving memory faults inside slots on the way;
    /// [`Guest::on_exit`]; device accesses through [`Platform::device`].
    fn run<G: Guest, P: Platform>(&mut self, guest: &mut G, platform: &P) -> Outcome;
}
