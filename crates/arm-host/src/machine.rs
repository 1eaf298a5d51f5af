//! What this crate needs of the machine: one CPU's instructions, what reaches all CPUs, and memory for tables.
//!
//! `hw` implements these with the real instructions; the tests play the machine.

use crate::control::Form;
use arm_arch::SysRegId;
pub use guest_map::OutsideMemory;
use xarch_abi::HostPa;

/// Number of a CPU of the host, from 0; what the embedder calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuNumber(pub u16);

/// CPUs that one host can have.
pub const MAX_CPUS: usize = 64;

/// An interrupt of the host, by its INTID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intid(pub u32);

/// What made the CPU leave the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exception {
    /// A synchronous exception: ESR_EL2 says which.
    Synchronous,
    /// An interrupt of the host is pending.
    Interrupt,
    /// A fast interrupt of the host is pending.
    FastInterrupt,
    /// An SError.
    SError,
}

/// What changes hands at every entry and exit. The layout is known to the assembly of `hw`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Context {
    /// X0 to X30.
    pub general: [u64; 31],
    /// The guest's PC: ELR_EL2.
    pub pc: u64,
    /// The guest's PSTATE: SPSR_EL2.
    pub pstate: u64,
    /// ESR_EL2, after an exit.
    pub esr: u64,
    /// FAR_EL2, after an exit.
    pub far: u64,
    /// HPFAR_EL2, after an exit.
    pub hpfar: u64,
}

/// The address space of a VM as the CPU is told it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressSpace {
    /// VTTBR_EL2: VMID and first table.
    pub vttbr: u64,
    /// VTCR_EL2: shape of the tables.
    pub vtcr: u64,
}

/// One CPU of the host, at EL2, and the instructions that only it can execute.
pub trait Cpu {
    /// Returns which CPU this is.
    fn number(&self) -> CpuNumber;

    /// Returns the form in which this CPU takes its control registers.
    fn form(&self) -> Form;

    /// Runs the guest until something ends it.
    fn enter(&mut self, context: &mut Context) -> Exception;

    /// Reads a register of the guest, or of EL2, that is on this CPU; one that there is not reads as zero.
    fn read(&mut self, register: SysRegId) -> u64;

    /// Writes a register of the guest, or of EL2, on this CPU; one that there is not ignores it.
    fn write(&mut self, register: SysRegId, value: u64);

    /// Stores V0 to V31.
    fn store_vectors(&mut self, vectors: &mut [u128; 32]);

    /// Loads V0 to V31.
    fn load_vectors(&mut self, vectors: &[u128; 32]);

    /// Returns the address space that EL1 and EL0 have, and the offset between its two counts.
    fn address_space(&mut self) -> (AddressSpace, u64);

    /// Makes the address space the one of EL1 and EL0, with `offset` between its two counts.
    fn set_address_space(&mut self, space: AddressSpace, offset: u64);

    /// Drops what this CPU, alone, caches of the address space it has.
    fn drop_cached(&mut self);

    /// Translates by stage 1 of the guest that is on this CPU; `None` if it faults.
    fn stage_1(&mut self, virtual_address: u64) -> Option<u64>;

    /// Takes an interrupt that is pending for this CPU: it is active then, and others can follow once its
    /// priority was dropped.
    fn acknowledge(&mut self) -> Option<Intid>;

    /// Lets other interrupts of the same priority come.
    fn drop_priority(&mut self, interrupt: Intid);

    /// Lets the same interrupt come again.
    fn deactivate(&mut self, interrupt: Intid);

    /// Hands the embedder an interrupt that is none of this crate's. It is active meanwhile.
    fn handle(&mut self, interrupt: Intid);
}

/// What a translation that goes away covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The leaf that translates this guest-physical address.
    Address(u64),
    /// Everything of the address space.
    All,
}

/// What reaches every CPU of the host.
pub trait HostControl: Sync {
    /// Makes stores to tables visible, and everything that any CPU caches of `scope` unused. Returns when nobody
    /// uses it any more: the middle of break-before-make.
    fn invalidate(&self, space: AddressSpace, scope: Scope);

    /// Makes memory hold, for an observer without caches, what this CPU sees there, and instructions fetched
    /// from it new: before a guest, whose caches are off at first, gets it.
    fn make_coherent(&self, start: HostPa, bytes: u64);

    /// Makes a CPU leave the guest that it runs.
    fn kick(&self, cpu: CpuNumber);
}

impl<T: HostControl + ?Sized> HostControl for &T {
    fn invalidate(&self, space: AddressSpace, scope: Scope) {
        (**self).invalidate(space, scope);
    }

    fn make_coherent(&self, start: HostPa, bytes: u64) {
        (**self).make_coherent(start, bytes);
    }

    fn kick(&self, cpu: CpuNumber) {
        (**self).kick(cpu);
    }
}

/// Host memory as far as translation tables need it: doublewords in the CPU's number form, each atomic.
pub trait TableStorage: Sync {
    /// Loads the aligned doubleword at an address.
    ///
    /// # Errors
    /// If there is no memory.
    fn load(&self, at: HostPa) -> Result<u64, OutsideMemory>;

    /// Stores the aligned doubleword at an address.
    ///
    /// # Errors
    /// If there is no memory.
    fn store(&self, at: HostPa, value: u64) -> Result<(), OutsideMemory>;
}

impl<T: TableStorage + ?Sized> TableStorage for &T {
    fn load(&self, at: HostPa) -> Result<u64, OutsideMemory> {
        (**self).load(at)
    }

    fn store(&self, at: HostPa, value: u64) -> Result<(), OutsideMemory> {
        (**self).store(at, value)
    }
}
