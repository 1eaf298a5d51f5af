//! The machine: QEMU's "virt" with GICv3. Everything unsafe of this program is here.

use crate::layout::{HEAP_BYTES, MANIFEST, OWN_GUEST};
use arm_host::hw::{Control, HardwareCpu, Physical};
use arm_host::{CpuNumber, Intid};
use core::alloc::{GlobalAlloc, Layout};
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use xarch_abi::HostPa;

global_asm!(include_str!("start.S"));
global_asm!(include_str!("guest.S"));

unsafe extern "C" {
    static secondary_start: u8;
    static guest_image: u8;
    static guest_image_end: u8;
}

/// Registers of a device, 32 bits each.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    base: usize,
    bytes: usize,
}

/// The serial port.
pub const UART: Device = Device { base: 0x0900_0000, bytes: 0x1000 };
/// The distributor.
pub const GICD: Device = Device { base: 0x0800_0000, bytes: 0x1_0000 };

/// Returns the redistributor of a CPU: its two frames.
pub const fn redistributor(cpu: u16) -> Device {
    Device { base: 0x080a_0000 + 0x2_0000 * cpu as usize, bytes: 0x2_0000 }
}

impl Device {
    fn at(self, offset: usize) -> *mut u32 {
        assert!(offset < self.bytes && offset % 4 == 0, "no such register");
        core::ptr::with_exposed_provenance_mut(self.base + offset)
    }

    /// Reads a register.
    pub fn read(self, offset: usize) -> u32 {
        // SAFETY: the constants above are devices of the machine, mapped as Device memory at that address.
        unsafe { self.at(offset).read_volatile() }
    }

    /// Writes a register.
    pub fn write(self, offset: usize, value: u32) {
        // SAFETY: as above; none of these devices reaches memory.
        unsafe { self.at(offset).write_volatile(value) }
    }

    /// Writes a register of 64 bits.
    pub fn write_double(self, offset: usize, value: u64) {
        // SAFETY: as above, with both words inside.
        unsafe { self.at(offset).cast::<u64>().write_volatile(value) }
    }
}

/// Turns on the CPU interface of the GIC: Group 1, everything let through, priority drop apart from deactivation.
pub fn enable_cpu_interface() {
    // SAFETY: registers of EL2 and of the physical CPU interface; interrupts stay masked in PSTATE.
    unsafe {
        asm!(
            "msr S3_4_C12_C9_5, {sre}",
            "isb",
            "msr S3_0_C4_C6_0, {all}",
            "msr S3_0_C12_C12_4, {eoi_mode}",
            "msr S3_0_C12_C12_7, {on}",
            "isb",
            sre = in(reg) 0xf_u64,
            all = in(reg) 0xff_u64,
            eoi_mode = in(reg) 2_u64,
            on = in(reg) 1_u64,
        );
    }
}

/// Returns the physical count.
pub fn count() -> u64 {
    let count: u64;
    // SAFETY: reads a counter.
    unsafe { asm!("isb", "mrs {}, cntpct_el0", out(reg) count) };
    count
}

/// Returns how much the count grows in a second.
pub fn frequency() -> u64 {
    let frequency: u64;
    // SAFETY: reads a register that firmware has set.
    unsafe { asm!("mrs {}, cntfrq_el0", out(reg) frequency) };
    frequency
}

/// Arms the physical timer of EL2, or stops it.
pub fn set_timer(at: Option<u64>) {
    let control = u64::from(at.is_some());
    // SAFETY: a timer of EL2 that nobody else uses; its interrupt is masked here and taken by polling.
    unsafe {
        asm!("msr cnthp_cval_el2, {}", "msr cnthp_ctl_el2, {}", "isb", in(reg) at.unwrap_or(0), in(reg) control);
    }
}

/// Has `list!` applied to registers that a guest's run uses and whose names mean the same with FEAT_VHE and without:
/// name, and a value that no guest gives it. By encoding: FPCR, FPSR; ICH_VMCR_EL2, ICH_AP1R0_EL2, ICH_LR0_EL2,
/// ICH_HCR_EL2.
macro_rules! for_own_registers {
    ($list:ident) => {
        $list! {
            "vttbr_el2", 0x5a_0000_4321_0000; "vtcr_el2", 0x8002_3554; "cntvoff_el2", 0x1234_5678_9abc;
            "cnthctl_el2", 0x50; "mdcr_el2", 0x600; "vpidr_el2", 0x4321_8765; "vmpidr_el2", 0x8076_5432;
            "tpidr_el0", 0x1111_2222; "tpidrro_el0", 0x3333_4444; "tpidr_el1", 0x5555_6666;
            "sp_el0", 0x7777_0000; "sp_el1", 0x8888_0000; "par_el1", 0x1234_5000; "mdscr_el1", 0x1000;
            "dbgbvr0_el1", 0x4_5670; "dbgbcr0_el1", 0x1e6; "dbgwvr0_el1", 0x7_6540; "dbgwcr0_el1", 0x1ff6;
            "S3_3_C4_C4_0", 0x80_0000; "S3_3_C4_C4_1", 0x800_0009;
            "S3_4_C12_C11_7", 0x5000_0002; "S3_4_C12_C9_0", 0x40; "S3_4_C12_C12_0", 0x1066_0000_0000_0123;
            "S3_4_C12_C11_0", 0
        }
    };
}

/// What this program has in registers that guests use too.
#[derive(Debug, PartialEq, Eq)]
pub struct Own {
    registers: [u64; 24],
    vectors: [u128; 32],
    hcr: u64,
    daif: u64,
    cptr: u64,
}

impl Own {
    /// Fills the registers with something, which depends on `seed` where any value will do, and returns what they
    /// then hold. From here on floating point is trapped.
    pub fn set(seed: u64) -> Self {
        let vectors = core::array::from_fn(|n| u128::from(seed ^ n as u64) << 64 | 0x1357_9bdf);
        set_cptr(false);
        macro_rules! write {
            ($($name:literal, $value:expr);*) => {
                // SAFETY: none of these means anything to EL2: stage 2 and traps are for EL1 and EL0, nothing is debugged,
                // and the list register is that of no pending interrupt. Nothing here is compiled to use vectors.
                $(unsafe { asm!(concat!("msr ", $name, ", {}"), in(reg) $value as u64) };)*
            };
        }
        for_own_registers!(write);
        move_vectors((&raw const vectors).cast_mut(), true);
        let own = Self::read();
        set_cptr(true);
        // What EL1 owns has its own encodings with FEAT_VHE; of it, the tests of `arm-host` tell.
        Self { cptr: cptr(), ..own }
    }

    /// Checks that they are what they were.
    ///
    /// # Errors
    /// With the first one that is not.
    pub fn is_as_before(&self) -> Result<(), &'static str> {
        macro_rules! names {
            ($($name:literal, $value:expr);*) => { [$($name),*] };
        }
        let cptr = cptr();
        set_cptr(false);
        let now = Self { cptr, ..Self::read() };
        for (name, (is, was)) in
            for_own_registers!(names).iter().zip(now.registers.iter().zip(&self.registers))
        {
            if is != was {
                return Err(name);
            }
        }
        match now {
            Self { hcr, .. } if hcr != self.hcr => Err("hcr_el2"),
            Self { daif, .. } if daif != self.daif => Err("daif"),
            Self { cptr, .. } if cptr != self.cptr => Err("cptr_el2"),
            Self { vectors, .. } if vectors != self.vectors => Err("vectors"),
            _ => Ok(()),
        }
    }

    fn read() -> Self {
        let mut vectors = [0; 32];
        move_vectors(&mut vectors, false);
        let (hcr, daif): (u64, u64);
        // SAFETY: reads registers.
        unsafe { asm!("mrs {}, hcr_el2", "mrs {}, daif", out(reg) hcr, out(reg) daif) };
        macro_rules! read {
            ($($name:literal, $value:expr);*) => {
                [$({
                    let value: u64;
                    // SAFETY: reads a register.
                    unsafe { asm!(concat!("mrs {}, ", $name), out(reg) value) };
                    value
                }),*]
            };
        }
        Self { registers: for_own_registers!(read), vectors, hcr, daif, cptr: 0 }
    }
}

/// Stores V0 to V31, or loads them.
fn move_vectors(vectors: *mut [u128; 32], load: bool) {
    macro_rules! pairs {
        ($what:literal) => {
            // SAFETY: 512 bytes that the caller has; nothing here is compiled to use vectors.
            unsafe {
                asm!(
                    ".arch_extension fp", ".arch_extension simd",
                    concat!($what, " q0, q1, [{0}]"), concat!($what, " q2, q3, [{0}, #32]"),
                    concat!($what, " q4, q5, [{0}, #64]"), concat!($what, " q6, q7, [{0}, #96]"),
                    concat!($what, " q8, q9, [{0}, #128]"), concat!($what, " q10, q11, [{0}, #160]"),
                    concat!($what, " q12, q13, [{0}, #192]"), concat!($what, " q14, q15, [{0}, #224]"),
                    concat!($what, " q16, q17, [{0}, #256]"), concat!($what, " q18, q19, [{0}, #288]"),
                    concat!($what, " q20, q21, [{0}, #320]"), concat!($what, " q22, q23, [{0}, #352]"),
                    concat!($what, " q24, q25, [{0}, #384]"), concat!($what, " q26, q27, [{0}, #416]"),
                    concat!($what, " q28, q29, [{0}, #448]"), concat!($what, " q30, q31, [{0}, #480]"),
                    in(reg) vectors
                )
            }
        };
    }
    if load { pairs!("ldp") } else { pairs!("stp") }
}

/// Lets floating point be trapped, or not.
fn set_cptr(trap: bool) {
    let value: u64 = match (has_vhe(), trap) {
        (true, true) => 0,
        (true, false) => 3 << 20,
        (false, true) => 0x37ff,
        (false, false) => 0x33ff,
    };
    // SAFETY: this program does not use floating point but where it says so.
    unsafe { asm!("msr cptr_el2, {}", "isb", in(reg) value) }
}

fn cptr() -> u64 {
    let value: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, cptr_el2", out(reg) value) };
    value
}

/// Whether this program uses FEAT_VHE.
pub fn has_vhe() -> bool {
    let hcr: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, hcr_el2", out(reg) hcr) };
    arm_arch::sysreg::HcrEl2::from_bits(hcr).e2h()
}

/// Returns the number of the CPU that this runs on.
pub fn this_cpu() -> usize {
    let mpidr: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, mpidr_el1", out(reg) mpidr) };
    mpidr & 0xff
}

/// Waits until an interrupt is pending.
pub fn wait() {
    // SAFETY: a hint.
    unsafe { asm!("dsb sy", "wfi") }
}

/// Starts another CPU in `rust_secondary`.
pub fn start_cpu(cpu: u16) -> bool {
    const CPU_ON: u64 = 0xc400_0003;
    let entry = (&raw const secondary_start).expose_provenance();
    let mut status = CPU_ON;
    // SAFETY: a firmware call. The entry point sets up what Rust code needs, on a stack of that CPU's own.
    unsafe {
        asm!("smc #0", inout("x0") status, inout("x1") u64::from(cpu) => _, inout("x2") entry => _,
             inout("x3") u64::from(cpu) => _, clobber_abi("C"));
    }
    status == 0
}

/// Ends the program; QEMU's exit status is `status`. Semihosting, SYS_EXIT with ADP_Stopped_ApplicationExit.
pub fn exit(status: u64) -> ! {
    let block = [0x2_0026_u64, status];
    loop {
        // SAFETY: the block lives while the call reads it, and the call does not come back.
        unsafe { asm!("hlt #0xf000", in("x0") 0x18_u64, in("x1") block.as_ptr()) }
    }
}

/// Takes this CPU for `arm-host`.
pub fn cpu<F: FnMut(Intid)>(number: u16, handle: F) -> HardwareCpu<F> {
    // SAFETY: start.S set HCR_EL2 up, interrupts are never unmasked here, and each CPU sets up its CPU interface before
    // it comes here. A CPU's loop enters one guest at a time.
    unsafe { HardwareCpu::new(CpuNumber(number), handle) }
}

/// MPIDR_EL1 of the machine's CPUs.
static AFFINITIES: [u64; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

/// What reaches all CPUs.
pub fn control() -> Control<'static> {
    // SAFETY: this program runs at EL2, where all memory lies at its physical address.
    unsafe { Control::new(&AFFINITIES, crate::layout::KICK) }
}

/// Memory for the tables of guest `number`.
pub fn table_memory(number: usize) -> (Physical, (HostPa, u64)) {
    let (start, bytes) = crate::layout::tables(number);
    // SAFETY: the layout gives this memory to nobody else, and each guest's to it alone.
    (unsafe { Physical::new(start, bytes) }, (start, bytes))
}

/// Copies the guest that this program carries to the start of a guest's memory.
pub fn copy_own_guest(to: HostPa) {
    let image = &raw const guest_image;
    let bytes = (&raw const guest_image_end).addr() - image.addr();
    let to = core::ptr::with_exposed_provenance_mut::<u8>(to.value() as usize);
    // SAFETY: source and size are the image's; the destination is a guest's memory, which nobody uses yet.
    unsafe { core::ptr::copy_nonoverlapping(image, to, bytes) }
}

/// Copies bytes out of the memory of a guest; an aligned doubleword in one go.
///
/// # Panics
/// Where there is no memory for guests: the caller asks for what a slot has.
pub fn read_guest_memory(from: HostPa, into: &mut [u8]) {
    if let (Some(word), Ok(into)) = (guest_word(from), <&mut [u8; 8]>::try_from(&mut *into)) {
        *into = word.load(Ordering::Relaxed).to_le_bytes();
        return;
    }
    for (at, byte) in (from.value()..).zip(into) {
        // SAFETY: see `guest_byte`. Each byte is what it was at some time.
        *byte = unsafe { guest_byte(at).read_volatile() };
    }
}

/// Copies bytes into the memory of a guest; an aligned doubleword in one go.
///
/// # Panics
/// As [`read_guest_memory`].
pub fn write_guest_memory(to: HostPa, bytes: &[u8]) {
    if let (Some(word), Ok(bytes)) = (guest_word(to), <[u8; 8]>::try_from(bytes)) {
        word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        return;
    }
    for (at, byte) in (to.value()..).zip(bytes) {
        // SAFETY: see `guest_byte`.
        unsafe { guest_byte(at).write_volatile(*byte) };
    }
}

/// Returns where a byte of a guest's memory lies: at its physical address, and all memory from the first guest's on is
/// guests'. They may store meanwhile, and nothing of this program lies there.
fn guest_byte(at: u64) -> *mut u8 {
    assert!(at >= OWN_GUEST.0.value(), "the program's own memory is no guest's");
    core::ptr::with_exposed_provenance_mut(at as usize)
}

/// Returns a doubleword of a guest's memory, if it is aligned.
fn guest_word(at: HostPa) -> Option<&'static AtomicU64> {
    let aligned = at.value() % 8 == 0;
    // SAFETY: aligned memory that is there for ever, accessed by atomics and volatile bytes; see `guest_byte`.
    aligned.then(|| unsafe { AtomicU64::from_ptr(guest_byte(at.value()).cast()) })
}

/// What the first CPU has another one do: a `&mut (dyn FnMut() + Send)` on its stack; null for nothing.
static ERRAND: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Runs both at once, the first one on the CPU that serves, and comes back when both have ended.
pub fn at_once(there: &mut (dyn FnMut() + Send), here: &mut (dyn FnMut() + Send)) {
    let mut there = there;
    ERRAND.store((&raw mut there).cast(), Ordering::Release);
    here();
    while !ERRAND.load(Ordering::Acquire).is_null() {
        core::hint::spin_loop();
    }
}

/// The life of a CPU that does what [`at_once`] says.
pub fn serve() -> ! {
    loop {
        let errand = ERRAND.load(Ordering::Acquire).cast::<&mut (dyn FnMut() + Send)>();
        if errand.is_null() {
            core::hint::spin_loop();
            continue;
        }
        // SAFETY: who left it waits until it is taken away below, and uses it no more.
        let errand = unsafe { &mut *errand };
        errand();
        ERRAND.store(core::ptr::null_mut(), Ordering::Release);
    }
}

/// Reads a word of the manifest.
pub fn manifest(index: usize) -> u64 {
    assert!(index < 512, "the manifest is a page");
    let at = core::ptr::with_exposed_provenance::<u64>(MANIFEST + index * 8);
    // SAFETY: memory that only the loader writes, before this program starts.
    unsafe { at.read_volatile() }
}

/// Memory that is handed out once and never taken back: devices grow their queues a few times.
struct Heap {
    next: AtomicUsize,
}

#[repr(align(4096))]
struct HeapMemory(core::cell::UnsafeCell<[u8; HEAP_BYTES]>);

// SAFETY: only the allocator touches it, which gives each byte out once.
unsafe impl Sync for HeapMemory {}

static HEAP_MEMORY: HeapMemory = HeapMemory(core::cell::UnsafeCell::new([0; HEAP_BYTES]));

#[global_allocator]
static HEAP: Heap = Heap { next: AtomicUsize::new(0) };

// SAFETY: pieces do not overlap, are aligned, and lie in memory that lives for ever.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = HEAP_MEMORY.0.get().cast::<u8>();
        let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            let end = next.checked_next_multiple_of(layout.align())?.checked_add(layout.size())?;
            (end <= HEAP_BYTES).then_some(end)
        });
        match taken {
            // SAFETY: the piece ends inside the memory, which is aligned to 4096; no type here needs more.
            Ok(next) => unsafe { start.add(next.next_multiple_of(layout.align())) },
            Err(_) => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

/// Called by start.S on the first CPU.
#[unsafe(no_mangle)]
extern "C" fn rust_main() {
    crate::main();
}

/// Called by start.S on the other CPUs.
#[unsafe(no_mangle)]
extern "C" fn rust_secondary(cpu: u64) {
    crate::run_cpu(cpu as u16);
}

/// Called by start.S on an exception from EL2 itself.
#[unsafe(no_mangle)]
extern "C" fn rust_crash(vector: u64, esr: u64, elr: u64, far: u64) {
    crate::crash(vector, esr, elr, far);
}
