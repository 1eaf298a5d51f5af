//! What the kit needs of a host under test: how to make a VM, a vCPU and its memory, and programs for its guest.

use crate::bench::Bench;
use crate::program::{Cannot, Code, Step};
use crate::text::Text;
use crate::watch::Watched;
use xarch_abi::{
    Age, Backend, BackendVcpu, CompletionError, DeviceAnswer, Guest, GuestPa, GuestRange, HostPa, Outcome,
    RegId, RegisterError, Registers, Slot, Token, VcpuIndex,
};

/// Bytes of host memory that slots are made of, from [`Facts::memory`] on.
pub const MEMORY_BYTES: u64 = 4 << 20;
/// Bytes of guest-physical addresses in which slots are made, from [`Facts::ram`] on.
pub const RAM_BYTES: u64 = 16 << 20;

/// Order of the bytes of a number in guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// The first byte is the least significant.
    Little,
    /// The first byte is the most significant.
    Big,
}

/// Whether the kit stands between back end and guest side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestSide {
    /// It sees and changes what they say to each other: [`Pair`].
    Watched,
    /// It sees what the platform sees: the two come as one piece.
    Hidden,
}

/// What is so about a host, its guest architecture, and the machine that the tests run on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Bytes of a page: what ranges are aligned to and the dirty log counts. At most 64 KiB.
    pub page_bytes: u64,
    /// Bits of a guest-physical address.
    pub address_bits: u8,
    /// vCPUs that a VM can have at least.
    pub vcpus: u16,
    /// Byte order of the guest.
    pub order: ByteOrder,
    /// Start of [`RAM_BYTES`] of guest-physical addresses where slots may be, aligned to 2 MiB.
    pub ram: GuestPa,
    /// Start of [`MEMORY_BYTES`] of host memory of which slots can be made, aligned to 2 MiB.
    pub memory: HostPa,
    /// A page of guest-physical addresses that the guest can reach, where no slot is, and which the guest side leaves to
    /// the platform's devices.
    pub device: GuestPa,
    /// Registers that take every value of 64 bits.
    pub plain: &'a [RegId],
    /// Registers that take every value of 128 bits.
    pub wide: &'a [RegId],
    /// Registers that can be read and not written.
    pub read_only: &'a [RegId],
    /// Registers that the host does not have, beside those in banks and beyond indices that nobody has.
    pub unknown: &'a [RegId],
    /// Nanoseconds after which something is held never to happen. Seconds, unless the clock is the guest's.
    pub patience: u64,
    /// How often something is tried that depends on who comes first.
    pub rounds: u32,
}

/// A host under test, and the machine around it.
pub trait Host: Sync {
    /// Says what is so about it.
    fn facts(&self) -> Facts<'_>;

    /// Appends a step of a guest program to its code, which is going to be at [`Facts::ram`]. A little stack and
    /// registers are the program's own.
    ///
    /// # Errors
    /// [`Cannot`] if the guest architecture has no such thing; what needs it is not checked then.
    fn assemble(&self, step: &Step, code: &mut Code) -> Result<(), Cannot>;

    /// Makes a fresh VM with that many vCPUs and no memory slots, shows it to `then` once, and takes it apart.
    fn with_vm(&self, vcpus: u16, then: &mut dyn FnMut(&dyn Vm));

    /// Returns the time in nanoseconds since some fixed moment.
    fn nanoseconds(&self) -> u64;

    /// Waits a little: another thread may run.
    fn relax(&self) {
        core::hint::spin_loop();
    }

    /// Returns whether a run asks the platform that it is given for slots. By default it does; a host that keeps the only
    /// table of slots itself has nobody to ask.
    fn asks_for_slots(&self) -> bool {
        true
    }

    /// Runs both at once, each on a thread or CPU of its own, and returns [`Threads::Two`] when both have ended. By
    /// default there is one thread, and nothing is run.
    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        let _ = (first, second);
        Threads::One
    }
}

/// Whether two things can run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// They cannot, and nothing was run.
    One,
    /// Both were run.
    Two,
}

/// A VM on the host.
pub trait Vm: Sync {
    /// Returns its memory and control services: a [`Backend`] is one.
    fn services(&self) -> &dyn Services;

    /// Makes vCPU `index` on this thread, with its guest side reset and ready to start at `entry` at the highest level
    /// that the guest has, with interrupts masked and without translation. Shows it to `then` once and takes it apart.
    fn with_vcpu(&self, index: VcpuIndex, entry: GuestPa, then: &mut dyn FnMut(&mut dyn Cpu));

    /// Reads host memory of which slots are made. Aligned doublewords are read in one go.
    fn load(&self, from: HostPa, into: &mut [u8]);

    /// Writes host memory of which slots are made. Aligned doublewords are written in one go.
    fn store(&self, to: HostPa, bytes: &[u8]);
}

/// A service of a back end that was refused: why.
#[derive(Clone, Copy, Debug)]
pub struct Refused(pub Text<96>);

/// The services of a [`Backend`] without its types. Every back end has them; a table of functions can be given them.
pub trait Services: Sync {
    /// As [`Backend::add_slot`].
    ///
    /// # Errors
    /// [`Refused`] says why.
    fn add_slot(&self, slot: &Slot) -> Result<(), Refused>;
    /// As [`Backend::remove_slot`].
    ///
    /// # Errors
    /// [`Refused`] says why.
    fn remove_slot(&self, range: GuestRange) -> Result<(), Refused>;
    /// As [`Backend::unmap`].
    ///
    /// # Errors
    /// [`Refused`] says why.
    fn unmap(&self, range: GuestRange) -> Result<(), Refused>;
    /// As [`Backend::protect`].
    ///
    /// # Errors
    /// [`Refused`] says why.
    fn protect(&self, range: GuestRange) -> Result<(), Refused>;
    /// As [`Backend::collect_dirty`].
    ///
    /// # Errors
    /// [`Refused`] says why.
    fn collect_dirty(&self, range: GuestRange, report: &mut dyn FnMut(GuestPa)) -> Result<(), Refused>;
    /// As [`Backend::age`].
    ///
    /// # Errors
    /// [`Refused`] says why.
    fn age(&self, range: GuestRange) -> Result<Age, Refused>;
    /// As [`Backend::request_exit`].
    fn request_exit(&self, vcpu: VcpuIndex);
}

fn said<T>(result: Result<T, impl core::error::Error>) -> Result<T, Refused> {
    result.map_err(|error| Refused(Text::new(format_args!("{error}"))))
}

impl<B: Backend> Services for B {
    fn add_slot(&self, slot: &Slot) -> Result<(), Refused> {
        said(Backend::add_slot(self, slot))
    }
    fn remove_slot(&self, range: GuestRange) -> Result<(), Refused> {
        said(Backend::remove_slot(self, range))
    }
    fn unmap(&self, range: GuestRange) -> Result<(), Refused> {
        said(Backend::unmap(self, range))
    }
    fn protect(&self, range: GuestRange) -> Result<(), Refused> {
        said(Backend::protect(self, range))
    }
    fn collect_dirty(&self, range: GuestRange, report: &mut dyn FnMut(GuestPa)) -> Result<(), Refused> {
        said(Backend::collect_dirty(self, range, report))
    }
    fn age(&self, range: GuestRange) -> Result<Age, Refused> {
        said(Backend::age(self, range))
    }
    fn request_exit(&self, vcpu: VcpuIndex) {
        Backend::request_exit(self, vcpu);
    }
}

/// One vCPU with its guest side. [`Pair`] makes one of any two; a table of functions can be given one.
pub trait Cpu {
    /// Runs the guest until the embedder, which `bench` is, is needed.
    fn run(&mut self, bench: &Bench<'_>) -> Outcome;
    /// Returns the registers as they are between runs.
    fn registers(&mut self) -> &mut dyn Registers;
    /// As [`Guest::before_observe`].
    ///
    /// # Errors
    /// As there.
    fn before_observe(&mut self) -> Result<(), RegisterError>;
    /// As [`Guest::complete`].
    ///
    /// # Errors
    /// As there.
    fn complete(&mut self, token: Token, answer: DeviceAnswer) -> Result<(), CompletionError>;
    /// Says whether the kit stands between back end and guest side.
    fn guest_side(&self) -> GuestSide;
}

/// A back end's vCPU and a guest side.
#[derive(Debug)]
pub struct Pair<'a, V, G> {
    vcpu: &'a mut V,
    guest: &'a mut G,
}

impl<'a, V: BackendVcpu, G: Guest> Pair<'a, V, G> {
    /// Puts the two together.
    pub fn new(vcpu: &'a mut V, guest: &'a mut G) -> Self {
        Self { vcpu, guest }
    }
}

impl<V: BackendVcpu, G: Guest> Cpu for Pair<'_, V, G> {
    fn run(&mut self, bench: &Bench<'_>) -> Outcome {
        bench.enter_run();
        self.vcpu.run(&mut Watched::new(self.guest, bench), bench)
    }

    fn registers(&mut self) -> &mut dyn Registers {
        self.vcpu
    }

    fn before_observe(&mut self) -> Result<(), RegisterError> {
        self.guest.before_observe(self.vcpu)
    }

    fn complete(&mut self, token: Token, answer: DeviceAnswer) -> Result<(), CompletionError> {
        self.guest.complete(self.vcpu, token, answer)
    }

    fn guest_side(&self) -> GuestSide {
        GuestSide::Watched
    }
}
