//! The platform of a check: memory slots, a device, and eyes on what the host does.

use crate::watch::Order;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use xarch_abi::{
    DeviceAccess, DeviceAnswer, DeviceOperation, Exit, GuestPa, GuestRange, HostPa, Next, Platform,
    Registers, Slot, TraceEvent, VcpuIndex, Writable,
};

const SLOTS: usize = 8;

/// One slot, which one thread changes while others look.
#[derive(Debug, Default)]
struct Entry {
    /// Odd while it changes.
    generation: AtomicU64,
    guest: AtomicU64,
    /// 0: there is none.
    bytes: AtomicU64,
    host: AtomicU64,
    read_only: AtomicU64,
}

impl Entry {
    fn set(&self, slot: Option<&Slot>) {
        self.generation.fetch_add(1, SeqCst);
        let (guest, bytes, host, read_only) = slot.map_or((0, 0, 0, 0), |slot| {
            let read_only = u64::from(slot.writable == Writable::No);
            (slot.guest.start().value(), slot.guest.bytes(), slot.host.value(), read_only)
        });
        self.guest.store(guest, SeqCst);
        self.bytes.store(bytes, SeqCst);
        self.host.store(host, SeqCst);
        self.read_only.store(read_only, SeqCst);
        self.generation.fetch_add(1, SeqCst);
    }

    fn slot(&self) -> Option<Slot> {
        loop {
            let before = self.generation.load(SeqCst);
            let (guest, bytes) = (self.guest.load(SeqCst), self.bytes.load(SeqCst));
            let (host, read_only) = (self.host.load(SeqCst), self.read_only.load(SeqCst));
            if before & 1 == 0 && before == self.generation.load(SeqCst) {
                let guest = GuestRange::new(GuestPa::new(guest), bytes)?;
                let writable = if read_only == 0 { Writable::Yes } else { Writable::No };
                return Some(Slot { guest, host: HostPa::new(host), writable });
            }
            core::hint::spin_loop();
        }
    }
}

type OnDevice<'a> = &'a (dyn Fn(&DeviceAccess) -> Option<DeviceAnswer> + Sync);
type OnSlot<'a> = &'a (dyn Fn(GuestPa) + Sync);
type OnTrace<'a> = &'a (dyn Fn(&TraceEvent) + Sync);
type OnEntry<'a> = &'a (dyn Fn(&mut dyn Registers) -> Option<Next> + Sync);
type OnExit<'a> = &'a (dyn Fn(&mut dyn Registers, &Exit, Next) -> Option<Next> + Sync);

/// The platform that a host under test is given.
///
/// Loads from its device get 0 and stores are taken, unless a check has other ideas.
#[derive(Default)]
pub struct Bench<'a> {
    slots: [Entry; SLOTS],
    on_device: Option<OnDevice<'a>>,
    on_slot: Option<OnSlot<'a>>,
    on_trace: Option<OnTrace<'a>>,
    pub(crate) on_entry: Option<OnEntry<'a>>,
    pub(crate) on_exit: Option<OnExit<'a>>,
    pub(crate) order: Order,
}

impl fmt::Debug for Bench<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench")
            .field("slots", &self.slots)
            .field("order", &self.order)
            .finish_non_exhaustive()
    }
}

impl<'a> Bench<'a> {
    pub(crate) fn on_device(self, on_device: OnDevice<'a>) -> Self {
        Self { on_device: Some(on_device), ..self }
    }

    pub(crate) fn on_slot(self, on_slot: OnSlot<'a>) -> Self {
        Self { on_slot: Some(on_slot), ..self }
    }

    pub(crate) fn on_trace(self, on_trace: OnTrace<'a>) -> Self {
        Self { on_trace: Some(on_trace), ..self }
    }

    pub(crate) fn on_entry(self, on_entry: OnEntry<'a>) -> Self {
        Self { on_entry: Some(on_entry), ..self }
    }

    pub(crate) fn on_exit(self, on_exit: OnExit<'a>) -> Self {
        Self { on_exit: Some(on_exit), ..self }
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.slots.iter().filter_map(Entry::slot)
    }

    /// Names a slot from now on.
    pub(crate) fn name(&self, slot: &Slot) {
        if let Some(free) = self.slots.iter().find(|entry| entry.slot().is_none()) {
            free.set(Some(slot));
        }
    }

    /// Names the slot of that range no longer.
    pub(crate) fn forget(&self, range: GuestRange) {
        let named = |entry: &&Entry| entry.slot().is_some_and(|slot| slot.guest == range);
        if let Some(entry) = self.slots.iter().find(named) {
            entry.set(None);
        }
    }

    /// Notes that a run begins: what was seen of the last one says nothing about it.
    pub(crate) fn enter_run(&self) {
        self.order.enter_run();
    }
}

impl Platform for Bench<'_> {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        if let Some(on_slot) = self.on_slot {
            on_slot(address);
        }
        self.slots().find(|slot| slot.guest.contains(address))
    }

    fn device(&self, _vcpu: VcpuIndex, access: &DeviceAccess) -> Option<DeviceAnswer> {
        match (self.on_device, access.operation) {
            (Some(on_device), _) => on_device(access),
            (None, DeviceOperation::Read) => Some(DeviceAnswer::Value(0)),
            (None, DeviceOperation::Write(_)) => Some(DeviceAnswer::Done),
        }
    }

    /// Does nothing: who waits here looks again by itself.
    fn kick(&self, _vcpu: VcpuIndex) {}

    fn trace(&self, _vcpu: VcpuIndex, event: TraceEvent) {
        self.order.trace(&event);
        if let Some(on_trace) = self.on_trace {
            on_trace(&event);
        }
    }
}
