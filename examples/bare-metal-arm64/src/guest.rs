//! One guest: its VM on both sides of the contract, its devices, and how it ended.

use crate::console::FIRST_IS_OVER;
use crate::devices::Bus;
use crate::hw;
use crate::layout::{self, GUEST_RAM, GUEST_UART_SPI, KICK};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use arm_arch::feature::{CpuModel, models::MODELS};
use arm_host::hw::{Control, Physical};
use arm_host::{Config, CpuNumber, HostControl, Interrupts, Tables};
use core::sync::atomic::{AtomicBool, Ordering};
use spin::Mutex;
use vcpu_core::{Line, Spi};
use xarch_abi::{
    Backend, DeviceAccess, DeviceAnswer, GuestPa, GuestRange, HostPa, Platform, Slot, StopReason, Unreadable,
    VcpuIndex, Writable,
};

/// vCPUs that a guest can have.
pub const VCPUS: usize = 8;

/// Bits of a guest-physical address, as the VMM's device tree has it.
const ADDRESS_BITS: u8 = 40;

/// What the loader says of a guest.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Where its memory lies on the host.
    pub memory: HostPa,
    /// How much it has.
    pub bytes: u64,
    /// Where it starts, as it sees addresses.
    pub entry: u64,
    /// Where its device tree lies, as it sees addresses.
    pub device_tree: u64,
    /// How many vCPUs it has.
    pub vcpus: u16,
    /// The CPU of the first one; the others follow.
    pub first_cpu: u16,
    /// Models that what the guest is told of the CPU is to be below, a bit for each of [`MODELS`].
    pub models: u64,
}

/// The host side of a guest.
pub type HostVm = arm_host::Vm<Control<'static>, Physical, Mutex<Tables>>;
/// The guest side.
pub type CoreVm = vcpu_core::Vm<VCPUS>;

/// One guest.
#[derive(Debug)]
pub struct Guest {
    pub number: usize,
    pub description: Description,
    pub core: CoreVm,
    pub host: HostVm,
    slot: Slot,
    bus: Mutex<Bus>,
    /// vCPUs that have to look, though they wait.
    kicked: [AtomicBool; VCPUS],
    end: Mutex<Option<StopReason>>,
}

impl Guest {
    /// Builds guest `number`, on the first CPU.
    pub fn new(number: usize, description: Description) -> Result<Self, String> {
        let text = |error: &dyn core::fmt::Display| error.to_string();
        let core =
            vcpu_core::Config { address_bits: ADDRESS_BITS, ..vcpu_core::Config::new(description.vcpus) };
        let core = CoreVm::new(core).map_err(|error| text(&error))?;
        let (memory, storage) = hw::table_memory(number);
        let config = Config {
            address_bits: ADDRESS_BITS,
            vcpus: description.vcpus,
            vmid: number as u8 + 1,
            storage,
            interrupts: Interrupts { kick: KICK, ..Interrupts::default() },
        };
        let mut cpu = hw::cpu(0, |_| {});
        let host = HostVm::new(&mut cpu, hw::control(), memory, config).map_err(|error| text(&error))?;
        let guest = GuestRange::new(GuestPa::new(GUEST_RAM), description.bytes).ok_or("no memory")?;
        let slot = Slot { guest, host: description.memory, writable: Writable::Yes };
        host.add_slot(&slot).map_err(|error| text(&error))?;
        Ok(Self {
            number,
            description,
            core,
            host,
            slot,
            bus: Mutex::new(Bus::new(number)),
            kicked: [const { AtomicBool::new(false) }; VCPUS],
            end: Mutex::new(None),
        })
    }

    /// Returns the CPU that runs a vCPU.
    pub const fn cpu_of(&self, vcpu: VcpuIndex) -> u16 {
        self.description.first_cpu + vcpu.0
    }

    /// Returns what the guest is to be told of the CPU, `None` for all that it has.
    pub fn model(&self) -> Option<CpuModel> {
        let asked = (0..).zip(MODELS).filter(|(number, _)| self.description.models >> *number & 1 != 0);
        asked.map(|(_, named)| named.model).reduce(|below, model| below.meet(&model))
    }

    /// Whether the vCPU was kicked since it last asked.
    pub fn take_kick(&self, vcpu: VcpuIndex) -> bool {
        self.kicked.get(usize::from(vcpu.0)).is_some_and(|kicked| kicked.swap(false, Ordering::SeqCst))
    }

    /// Types a byte.
    pub fn type_in(&self, byte: u8) {
        let line = self.bus.lock().type_in(byte);
        self.drive(line);
    }

    fn drive(&self, high: bool) {
        if let Some(spi) = Spi::new(GUEST_UART_SPI) {
            self.core.set_spi_level(spi, if high { Line::High } else { Line::Low }, self);
        }
    }

    /// Ends the guest; the first reason stands.
    pub fn stop(&self, reason: StopReason) {
        self.end.lock().get_or_insert(reason);
        if self.number == 0 {
            FIRST_IS_OVER.store(true, Ordering::SeqCst);
        }
        (0..self.description.vcpus).for_each(|vcpu| self.kick(VcpuIndex(vcpu)));
    }

    /// Says what the guest's console still keeps.
    pub fn flush(&self) {
        self.bus.lock().flush();
    }

    /// Returns how the guest ended, if it has.
    pub fn end(&self) -> Option<StopReason> {
        *self.end.lock()
    }
}

impl Platform for Guest {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        self.slot.guest.contains(address).then_some(self.slot)
    }

    fn read_memory(&self, address: GuestPa, into: &mut [u8]) -> Result<(), Unreadable> {
        let unreadable = Unreadable(address);
        let offset = address.offset_from(self.slot.guest.start()).ok_or(unreadable)?;
        if offset.checked_add(into.len() as u64).is_none_or(|end| end > self.slot.guest.bytes()) {
            let first = self.slot.guest.last().checked_add(1).filter(|_| self.slot.guest.contains(address));
            return Err(first.map_or(unreadable, Unreadable));
        }
        hw::read_guest_memory(self.slot.host.checked_add(offset).ok_or(unreadable)?, into);
        Ok(())
    }

    fn device(&self, _vcpu: VcpuIndex, access: &DeviceAccess) -> Option<DeviceAnswer> {
        let (answer, line) = self.bus.lock().access(access);
        self.drive(line);
        Some(answer)
    }

    fn kick(&self, vcpu: VcpuIndex) {
        if let Some(kicked) = self.kicked.get(usize::from(vcpu.0)) {
            kicked.store(true, Ordering::SeqCst);
        }
        self.host.request_exit(vcpu);
        // Where it is not loaded, its CPU may be asleep.
        hw::control().kick(CpuNumber(self.cpu_of(vcpu)));
    }
}

/// Returns the guests that the loader describes; the one that this program carries, if there is none. That one is
/// also meant by a guest whose entry is 0.
pub fn descriptions() -> Vec<Description> {
    let count = if hw::manifest(0) == layout::MAGIC { hw::manifest(1) as usize } else { 0 };
    let described = (0..count.min(layout::GUESTS)).map(|guest| {
        let word = |index: usize| hw::manifest(2 + guest * 7 + index);
        Description {
            memory: HostPa::new(word(0)),
            bytes: word(1),
            entry: word(2),
            device_tree: word(3),
            vcpus: word(4) as u16,
            first_cpu: word(5) as u16,
            models: word(6),
        }
    });
    let mut described: Vec<_> = described.collect();
    if described.is_empty() {
        let (memory, bytes) = layout::OWN_GUEST;
        let entry = 0;
        described.push(Description {
            memory,
            bytes,
            entry,
            device_tree: 0,
            vcpus: 1,
            first_cpu: 0,
            models: 0,
        });
    }
    for description in described.iter_mut().filter(|description| description.entry == 0) {
        hw::copy_own_guest(description.memory);
        description.entry = GUEST_RAM;
    }
    described
}
