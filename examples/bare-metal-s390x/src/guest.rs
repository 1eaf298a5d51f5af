//! The guest: its VM on both sides of the contract, its devices, and how it ended.

use crate::devices::Bus;
use crate::layout::{self, CPUS, GUEST_RAM, GUEST_ROM, GUEST_UART_SPI, ROM, TABLES};
use crate::library::Library;
use crate::model::Machine;
use crate::{emulate, hw, kick_block, leave};
use alloc::string::{String, ToString};
use core::sync::atomic::{AtomicBool, Ordering};
use s390_arch::sae::{Facility, HostControl};
use s390_arch::{Absolute, AbsoluteStorage};
use s390_host::hw::HwControl;
use s390_host::{Config, LimitForm, Tables};
use sae_model::Storage;
use spin::{Mutex, Once};
use vcpu_core::{Line, Spi};
use xarch_abi::{
    Age, Backend, DeviceAccess, DeviceAnswer, GuestPa, GuestRange, HostPa, Platform, Slot, StopReason,
    Unreadable, VcpuIndex, Writable,
};

/// vCPUs that a guest can have: one for each CPU.
pub const VCPUS: usize = CPUS;

/// Bits of a guest-physical address, as the VMM's device tree has it.
pub const ADDRESS_BITS: u8 = 40;

/// What the loader asks for.
#[derive(Clone, Copy, Debug)]
pub struct Manifest {
    /// Whether the machine is to announce the facility, which it then emulates.
    pub announce: bool,
    /// A mistake to be made instead of running a guest.
    pub mistake: u64,
    /// Where the guest's memory lies, and how much it has.
    pub memory: (u64, u64),
    /// Where it starts, as it sees addresses.
    pub entry: u64,
    /// Where its device tree lies, as it sees addresses.
    pub device_tree: u64,
    /// How many vCPUs it has.
    pub vcpus: u16,
    /// Whether its memory is to be looked after while it runs.
    pub services: bool,
    /// Whether it runs by way of the C library.
    pub library: bool,
    /// Whether the conformance kit is to run instead of a guest.
    pub kit: bool,
}

/// What the manifest starts with.
const MAGIC: [u8; 8] = *b"XARCHGST";

impl Manifest {
    /// Reads what the loader has put down.
    pub fn read(storage: &Storage<'_>) -> Option<Self> {
        let word = |number: u64| storage.load_u64(Absolute::new(layout::MANIFEST + number * 8)).ok();
        (word(0)? == u64::from_be_bytes(MAGIC)).then_some(())?;
        Some(Self {
            announce: word(1)? != 0,
            mistake: word(2)?,
            memory: (word(3)?, word(4)?),
            entry: word(5)?,
            device_tree: word(6)?,
            vcpus: word(7)? as u16,
            services: word(8)? != 0,
            library: word(9)? == 1,
            kit: word(9)? == 2,
        })
    }
}

/// What reaches all CPUs: the model's, or the machine's.
#[derive(Debug)]
pub enum Control {
    Model(&'static Machine),
    /// Where instructions are emulated, the CPU that has them is a model, and has its own copies of what it found in
    /// tables: it drops them along with the real CPU.
    Machine(HwControl<fn(Absolute)>),
}

impl Control {
    fn each(&self, operation: impl Fn(&dyn HostControl)) {
        match self {
            Self::Model(machine) => operation(machine),
            Self::Machine(machine) => {
                operation(machine);
                if let Some(emulated) = emulate::machine() {
                    operation(&emulated);
                }
            }
        }
    }
}

impl HostControl for Control {
    fn ipte(&self, page_table: Absolute, address: u64, asce: u64) {
        self.each(|control| control.ipte(page_table, address, asce));
    }

    fn idte(&self, entry: Absolute, address: u64, asce: u64) {
        self.each(|control| control.idte(entry, address, asce));
    }

    fn idte_asce(&self, asce: u64) {
        self.each(|control| control.idte_asce(asce));
    }

    fn ptlb(&self) {
        self.each(|control| control.ptlb());
    }

    fn request_exit(&self, block: Absolute) {
        match self {
            Self::Model(machine) => machine.request_exit(block),
            Self::Machine(machine) => machine.request_exit(block),
        }
    }
}

/// The host side of a guest.
pub type HostVm = s390_host::Vm<Control, Storage<'static>, Mutex<Tables>>;
/// The guest side.
pub type CoreVm = vcpu_core::Vm<VCPUS>;

/// Both sides of the contract.
#[derive(Debug)]
pub struct Own {
    pub core: CoreVm,
    pub host: HostVm,
}

/// What runs the guest.
#[derive(Debug)]
pub enum Sides {
    /// The crates, put together by this program.
    Own(Own),
    /// The C library.
    Library(Library),
}

/// The guest.
#[derive(Debug)]
pub struct Guest {
    pub manifest: Manifest,
    sides: Once<Sides>,
    storage: Storage<'static>,
    slots: [Slot; 2],
    bus: Mutex<Bus>,
    /// vCPUs that have to look, though they wait.
    kicked: [AtomicBool; VCPUS],
    end: Mutex<Option<StopReason>>,
}

impl Own {
    /// Puts the crates together, with `facility` being the CPU that this runs on.
    pub fn new<F: Facility>(guest: &Guest, facility: &mut F, control: Control) -> Result<Self, String> {
        let text = |error: &dyn core::fmt::Display| error.to_string();
        let vcpus = guest.manifest.vcpus;
        let core = vcpu_core::Config { address_bits: ADDRESS_BITS, ..vcpu_core::Config::new(vcpus) };
        let core = CoreVm::new(core).map_err(|error| text(&error))?;
        let config = Config {
            address_bits: ADDRESS_BITS,
            vcpus,
            storage: TABLES,
            limit: LimitForm::default(),
            qmc_base: s390_arch::sae::QmcBase::default(),
        };
        let host = HostVm::new(facility, control, guest.storage, config).map_err(|error| text(&error))?;
        for slot in guest.slots() {
            host.add_slot(slot).map_err(|error| text(&error))?;
        }
        Ok(Self { core, host })
    }
}

impl Guest {
    /// Lays the guest's memory out. Nothing runs it yet.
    pub fn new(manifest: Manifest, storage: Storage<'static>) -> Result<Self, String> {
        let slot = |guest, (start, bytes), writable| {
            let guest = GuestRange::new(GuestPa::new(guest), bytes)?;
            Some(Slot { guest, host: HostPa::new(start), writable })
        };
        if manifest.memory.0 < layout::OWN_END {
            return Err("the guest's memory is this program's".into());
        }
        let rom = slot(GUEST_ROM, ROM, Writable::No).ok_or("no ROM")?;
        let ram = slot(GUEST_RAM, manifest.memory, Writable::Yes).ok_or("no memory")?;
        let written = storage.write_bytes(Absolute::new(ROM.0), b"read-only memory");
        written.map_err(|error| error.to_string())?;
        Ok(Self {
            manifest,
            sides: Once::new(),
            storage,
            slots: [rom, ram],
            bus: Mutex::new(Bus::new(0)),
            kicked: [const { AtomicBool::new(false) }; VCPUS],
            end: Mutex::new(None),
        })
    }

    /// Says what runs it.
    pub fn set_sides(&self, sides: Sides) {
        self.sides.call_once(|| sides);
    }

    /// Returns what runs it.
    pub fn sides(&self) -> Option<&Sides> {
        self.sides.get()
    }

    /// Returns its memory.
    pub const fn slots(&self) -> &[Slot; 2] {
        &self.slots
    }

    /// Returns the control block of a vCPU, if this program knows it.
    pub fn control_block(&self, vcpu: VcpuIndex) -> Option<Absolute> {
        match self.sides()? {
            Sides::Own(own) => own.host.control_block(vcpu),
            Sides::Library(_) => None,
        }
    }

    /// Makes a vCPU leave the guest.
    pub fn request_exit(&self, vcpu: VcpuIndex) {
        match self.sides() {
            Some(Sides::Own(own)) => own.host.request_exit(vcpu),
            Some(Sides::Library(library)) => {
                library.request_exit(vcpu);
                leave(usize::from(vcpu.0));
            }
            None => {}
        }
    }

    /// Renders one of the services of memory, in turn: what it counted, of dirty pages and young ranges. Whatever they
    /// take from the guest's tables, it finds again.
    pub fn serve(&self, round: u64) -> Result<(u64, u64), String> {
        let ram = self.ram();
        let host = match self.sides() {
            Some(Sides::Own(own)) => &own.host,
            Some(Sides::Library(library)) => return library.serve(round, ram),
            None => return Ok((0, 0)),
        };
        let (mut dirty, mut young) = (0, 0);
        let done = match round % 4 {
            0 => host.collect_dirty(ram, |_| dirty += 1),
            1 => host.protect(ram),
            2 => host.age(ram).map(|age| young = u64::from(age == Age::Young)),
            _ => host.unmap(ram),
        };
        done.map_err(|error| error.to_string())?;
        Ok((dirty, young))
    }

    /// Whether the vCPU was kicked since it last asked.
    pub fn take_kick(&self, vcpu: VcpuIndex) -> bool {
        self.kicked.get(usize::from(vcpu.0)).is_some_and(|kicked| kicked.swap(false, Ordering::SeqCst))
    }

    /// Returns where its memory lies, as it sees addresses.
    pub const fn ram(&self) -> GuestRange {
        let [_, ram] = self.slots;
        ram.guest
    }

    /// Types a byte.
    pub fn type_in(&self, byte: u8) {
        let line = self.bus.lock().type_in(byte);
        self.drive(line);
    }

    fn drive(&self, high: bool) {
        match (self.sides(), Spi::new(GUEST_UART_SPI)) {
            (Some(Sides::Own(own)), Some(spi)) => {
                own.core.set_spi_level(spi, if high { Line::High } else { Line::Low }, self);
            }
            (Some(Sides::Library(library)), _) => library.drive(GUEST_UART_SPI, high),
            _ => {}
        }
    }

    /// Says what the guest's console still keeps.
    pub fn flush(&self) {
        self.bus.lock().flush();
    }

    /// Ends the guest; the first reason stands.
    pub fn stop(&self, reason: StopReason) {
        self.end.lock().get_or_insert(reason);
        (0..self.manifest.vcpus).for_each(|vcpu| self.kick(VcpuIndex(vcpu)));
    }

    /// Returns how the guest ended, if it has.
    pub fn end(&self) -> Option<StopReason> {
        *self.end.lock()
    }
}

impl Platform for Guest {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        self.slots.into_iter().find(|slot| slot.guest.contains(address))
    }

    fn read_memory(&self, address: GuestPa, into: &mut [u8]) -> Result<(), Unreadable> {
        let unreadable = Unreadable(address);
        let slot = self.slot(address).ok_or(unreadable)?;
        let offset = address.offset_from(slot.guest.start()).ok_or(unreadable)?;
        if offset.checked_add(into.len() as u64).is_none_or(|end| end > slot.guest.bytes()) {
            return Err(Unreadable(slot.guest.last().checked_add(1).unwrap_or(address)));
        }
        let at = slot.host.checked_add(offset).ok_or(unreadable)?;
        self.storage.read_bytes(Absolute::new(at.value()), into).map_err(|_| unreadable)
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
        self.request_exit(vcpu);
        // Where it is not loaded, its CPU may be asleep.
        if usize::from(vcpu.0) != hw::this_cpu() {
            hw::call(usize::from(vcpu.0));
        }
    }
}

/// Returns the machine's own control.
pub fn machine_control() -> Control {
    Control::Machine(hw::control(kick_block))
}
