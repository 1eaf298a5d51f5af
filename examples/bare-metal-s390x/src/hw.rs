//! The machine: a CPU of IBM Z in supervisor state. Everything unsafe of this program is here.
//!
//! # Sources
//! PoP ch. 3 (assigned storage locations), ch. 4 (control registers, SIGP, TOD clock), ch. 6 (interruptions), ch. 10
//! (SERVC is not in it; its use here is that of Linux and of QEMU's firmware).

use crate::layout::{self, HEAP, LINEAR, STACK_BYTES, STACKS};
use crate::space::Space;
use alloc::boxed::Box;
use arm_exec::{Page, Ram};
use core::alloc::{GlobalAlloc, Layout};
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicUsize, Ordering};
use s390_arch::cr::Cr0;
use s390_arch::pgm::{ProgramCode, Teid};
use s390_arch::{Absolute, Real};
use s390_host::hw::{Hw, HwControl};

global_asm!(include_str!("start.S"));

unsafe extern "C" {
    static __text_start: u8;
    static __text_end: u8;
    static __stacks: u8;
    static __image_end: u8;
    fn restart_entry();
    fn program_entry();
    fn external_entry();
    fn unexpected_entry();
    fn dat_on();
}

/// What an interruption found: the registers, and the PSW to go on with.
#[derive(Debug)]
#[repr(C)]
pub struct Frame {
    pub general: [u64; 16],
    pub mask: u64,
    pub address: u64,
}

/// Addresses of this program, each with its end.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    pub text: (u64, u64),
    pub stacks: u64,
    pub end: u64,
}

/// Returns where this program lies.
pub fn image() -> Image {
    let address = |at: *const u8| at.expose_provenance() as u64;
    Image {
        text: (address(&raw const __text_start), address(&raw const __text_end)),
        stacks: address(&raw const __stacks),
        end: address(&raw const __image_end),
    }
}

/// Fields of a prefix area. PoP ch. 3, "Assigned Storage Locations"; from 0x200 on they are ours.
mod low {
    pub const PROGRAM_LENGTH: u64 = 0x8c;
    pub const PROGRAM_CODE: u64 = 0x8e;
    pub const DATA_CODE: u64 = 0x90;
    pub const TEID: u64 = 0xa8;
    pub const BREAKING: u64 = 0x110;
    /// New PSWs: restart, external, supervisor call, program, machine check, I/O.
    pub const NEW: [u64; 6] = [0x1a0, 0x1b0, 0x1c0, 0x1d0, 0x1e0, 0x1f0];
    pub const EMULATION_STACK: u64 = 0x288;
    pub const REPORT_STACK: u64 = 0x2a8;
    pub const STACK: u64 = 0x2b0;
    pub const CPU: u64 = 0x2b8;
}

/// PSW mask of this program: 64-bit mode, and whether DAT is on. Every interruption is disabled.
const fn mask(dat: bool) -> u64 {
    if dat { 0x0400_0001_8000_0000 } else { 0x0000_0001_8000_0000 }
}
/// EX, external interruptions.
pub const EXTERNAL: u64 = 1 << 56;

/// Reads a doubleword. Where nothing is mapped, that ends in a report.
fn load(at: u64) -> u64 {
    let value;
    // SAFETY: a load changes nothing; from where there is nothing it is a program check, which is reported.
    unsafe { asm!("lg {}, 0({})", out(reg) value, in(reg_addr) at, options(nostack, readonly)) };
    value
}

/// Writes a doubleword.
///
/// # Safety
/// Whatever lies there may change.
unsafe fn store(at: u64, value: u64) {
    // SAFETY: the caller vouches for it.
    unsafe { asm!("stg {}, 0({})", in(reg) value, in(reg_addr) at, options(nostack)) };
}

/// Fills in a prefix area: where interruptions go, and which stacks this CPU has.
///
/// # Safety
/// `area` is a prefix area that no CPU uses yet, or this CPU's own.
unsafe fn prepare_prefix(area: u64, cpu: usize) {
    let entries: [(unsafe extern "C" fn(), bool); 6] = [
        (restart_entry, false),
        (external_entry, true),
        (unexpected_entry, true),
        (program_entry, true),
        (unexpected_entry, true),
        (unexpected_entry, true),
    ];
    // What a stack begins with is for a callee of nobody.
    let stacks = image().stacks + cpu as u64 * STACKS * STACK_BYTES;
    let top = |number: u64| stacks + number * STACK_BYTES - 160;
    let words = [
        (low::STACK, top(1)),
        (low::EMULATION_STACK, top(2)),
        (low::REPORT_STACK, top(3)),
        (low::CPU, cpu as u64),
    ];
    for (at, (entry, dat)) in low::NEW.into_iter().zip(entries) {
        // SAFETY: the caller's promise; these are the PSWs that the machine loads.
        unsafe { store(area + at, mask(dat)) };
        // SAFETY: as above.
        unsafe { store(area + at + 8, entry as usize as u64) };
    }
    for (at, value) in words {
        // SAFETY: as above; words that start.S knows.
        unsafe { store(area + at, value) };
    }
}

/// Turns this program's address space on, for the CPU that this runs on: the first one, or another.
pub fn enter_address_space(space: Space, first: bool) {
    let asce = space.asce();
    let cr0 = Cr0::new()
        .with_initially_one(true)
        .with_lap(true)
        .with_edat(space.features().large_frames)
        .with_iep(space.features().protect_execution)
        .with_afp(true)
        .with_vector(true)
        .with_external_call(true)
        .with_clock_comparator(true)
        // Of the service processor's, one CPU hears.
        .with_service_signal(first);
    let registers = [cr0.into_bits(), asce, asce, asce];
    set_comparator(None);
    // SAFETY: control registers 0, 1, 7 and 13, of which the last two are never used: the address space is the primary
    // one. A `Space` maps this program where it lies; `dat_on` changes R1 and one bit of the PSW.
    unsafe {
        asm!(
            "lctlg %c0, %c1, 0({at})",
            "lctlg %c7, %c7, 16({at})",
            "lctlg %c13, %c13, 24({at})",
            "ptlb",
            "brasl %r14, {on}",
            at = in(reg_addr) registers.as_ptr(),
            on = sym dat_on,
            out("r1") _, out("r14") _,
        );
    }
}

/// Returns whether the machine has facility `number`. PoP ch. 4, "Facility Indications".
pub fn has_facility(number: usize) -> bool {
    let mut list = [0_u64; 4];
    // SAFETY: STFLE stores as many doublewords as R0 says, plus one.
    unsafe {
        asm!(".insn s, 0xb2b00000, 0({})", in(reg_addr) list.as_mut_ptr(), inout("r0") 3_u64 => _, options(nostack));
    }
    list.get(number / 64).is_some_and(|word| word << (number % 64) >> 63 != 0)
}

/// The number of the CPU that this runs on.
pub fn this_cpu() -> usize {
    load(low::CPU) as usize
}

/// What the last program interruption stored.
#[derive(Clone, Copy, Debug)]
pub struct ProgramCheck {
    pub code: ProgramCode,
    /// Bytes of the instruction.
    pub length: u64,
    pub data_code: u32,
    pub teid: Teid,
    /// Where the last branch was taken.
    pub breaking: u64,
}

/// Returns what the last program interruption on this CPU stored.
pub fn program_check() -> ProgramCheck {
    let word = load(low::PROGRAM_LENGTH & !7);
    debug_assert!(low::PROGRAM_LENGTH & 7 == 4 && low::PROGRAM_CODE & 7 == 6);
    ProgramCheck {
        code: ProgramCode(word as u16),
        length: word >> 16 & 7,
        data_code: (load(low::DATA_CODE) >> 32) as u32,
        teid: Teid::from_bits(load(low::TEID)),
        breaking: load(low::BREAKING),
    }
}

/// Returns six bytes from an address on.
pub fn instruction(at: u64) -> [u8; 6] {
    let mut bytes = [0; 6];
    for (byte, at) in bytes.iter_mut().zip(at..) {
        *byte = (load(at & !7) >> (56 - 8 * (at & 7))) as u8;
    }
    bytes
}

/// Returns what an address is in absolute storage, by the tables in use; `None` where nothing is mapped.
pub fn absolute(logical: u64) -> Option<Absolute> {
    let (real, cc): (u64, u64);
    // SAFETY: LRAG asks for a translation; condition code 0 says that there is one.
    unsafe {
        asm!("lrag {real}, 0({at})", "ipm {cc}", real = out(reg) real, at = in(reg_addr) logical, cc = out(reg) cc,
             options(nostack));
    }
    // Prefixing does not change what this program gives to guests.
    (cc >> 28 & 3 == 0 && Real::new(real).bits() >= 0x2000).then(|| Absolute::new(real))
}

/// Reads a doubleword of an instruction's operand.
pub fn operand(at: u64) -> u64 {
    load(at)
}

/// Writes a doubleword of an instruction's operand.
///
/// # Safety
/// The instruction that is emulated may write there.
unsafe fn set_operand(at: u64, value: u64) {
    // SAFETY: the caller's promise.
    unsafe { store(at, value) }
}

/// Writes the result of an instruction that this program executed, and which names the place: [`Hw`] does.
pub fn finish_operand(at: u64, value: u64) {
    // SAFETY: STBEAR and PTFF store where their executor says, which is bound by what it promised when it executed them.
    unsafe { set_operand(at, value) }
}

/// Returns the time-of-day clock: 4096 for each microsecond.
pub fn clock() -> u64 {
    let mut now = 0_u64;
    // SAFETY: STCKF stores the clock.
    unsafe { asm!("stckf 0({})", in(reg_addr) &raw mut now, options(nostack)) };
    now
}

/// The time-of-day clock at the start of 1970.
const UNIX_EPOCH: u64 = 0x7d91_048b_ca00_0000;

/// Returns a count that grows [`frequency`] times in a second, from the start of 1970 on.
pub fn count() -> u64 {
    clock().wrapping_sub(UNIX_EPOCH)
}

/// Returns how much the count grows in a second.
pub const fn frequency() -> u64 {
    4_096_000_000
}

/// Arms the clock comparator, or stops it.
pub fn set_comparator(at: Option<u64>) {
    let at = at.unwrap_or(u64::MAX);
    // SAFETY: nobody else uses the comparator.
    unsafe { asm!("sckc 0({})", in(reg_addr) &raw const at, options(nostack)) };
}

/// Enables external interruptions.
pub fn enable() {
    let mut old = 0_u8;
    // SAFETY: their handler leaves everything but the lowcore as it was.
    unsafe { asm!("stosm 0({}), 1", in(reg_addr) &raw mut old, options(nostack)) };
}

/// Disables them.
pub fn disable() {
    let mut old = 0_u8;
    // SAFETY: changes one bit of the PSW.
    unsafe { asm!("stnsm 0({}), 0xfe", in(reg_addr) &raw mut old, options(nostack)) };
}

/// Waits for an external interruption, and takes it. They are disabled before and after.
pub fn wait() {
    let mut psw = [mask(true) | EXTERNAL | 1 << 49, 0];
    // SAFETY: the wait ends at the label, where the handler has cleared the wait bit; enabled, so disable again.
    unsafe {
        asm!(
            "larl {label}, 2f",
            "stg {label}, 8({psw})",
            "lpswe 0({psw})",
            "2:",
            label = out(reg_addr) _,
            psw = in(reg_addr) psw.as_mut_ptr(),
            options(nostack)
        );
    }
    disable();
}

/// Executes SIGP; returns the condition code.
fn signal(cpu: usize, order: u64, parameter: u64) -> u64 {
    let mut cc: u64;
    loop {
        // SAFETY: the orders below change other CPUs as their callers say.
        unsafe {
            asm!("sigp %r1, {cpu}, 0({order})", "ipm {cc}", cpu = in(reg) cpu as u64, order = in(reg_addr) order,
                 cc = out(reg) cc, inout("r1") parameter => _, options(nostack));
        }
        cc = cc >> 28 & 3;
        if cc != 2 || order == EXTERNAL_CALL {
            return cc;
        }
    }
}

const EXTERNAL_CALL: u64 = 0x02;
const STOP: u64 = 0x05;
const RESTART: u64 = 0x06;
const INITIAL_RESET: u64 = 0x0b;
const SET_PREFIX: u64 = 0x0d;

/// Makes another CPU look. If a call is pending there already, it will.
pub fn call(cpu: usize) {
    signal(cpu, EXTERNAL_CALL, 0);
}

/// A CPU's first two pages, as it sees storage. PoP ch. 3, "Prefixing".
#[repr(C, align(8192))]
struct PrefixArea([u8; 8192]);

/// Starts another CPU in `rust_secondary`; whether there is one.
pub fn start_cpu(cpu: usize) -> bool {
    let area: *mut PrefixArea = Box::leak(Box::new(PrefixArea([0; 8192])));
    let area = area.expose_provenance() as u64;
    // SAFETY: the area is new.
    unsafe { prepare_prefix(area, cpu) };
    signal(cpu, INITIAL_RESET, 0) == 0 && signal(cpu, SET_PREFIX, area) == 0 && signal(cpu, RESTART, 0) == 0
}

/// Ends the program: QEMU's exit status is 0 if `status` is, or else 1. A CPU that waits for nothing ends the machine
/// when no other runs; at address FFF that counts as a good end.
pub fn exit(status: u64) -> ! {
    (0..layout::CPUS).filter(|cpu| *cpu != this_cpu()).for_each(|cpu| {
        signal(cpu, STOP, 0);
    });
    let address = if status == 0 { 0xfff } else { status << 12 };
    let psw = [0x0002_0001_8000_0000, address];
    // SAFETY: a PSW that waits with every interruption disabled.
    unsafe { asm!("lpswe 0({})", in(reg_addr) psw.as_ptr(), options(noreturn)) }
}

/// One page for the service processor.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Sccb(pub [u8; 4096]);

/// Has the service processor do something; its answer is in the block. `None` if there is no service processor.
pub fn service_call(command: u32, block: &mut Sccb) -> Option<u16> {
    let at = block.0.as_mut_ptr();
    loop {
        let cc: u64;
        // SAFETY: the block is a page, at its real address, and nobody else's until the answer is there.
        unsafe {
            asm!(".insn rre, 0xb2200000, {command}, {at}", "ipm {cc}", command = in(reg) u64::from(command),
                 at = in(reg) at, cc = out(reg) cc, options(nostack));
        }
        match cc >> 28 & 3 {
            0 => break,
            // Busy.
            2 => core::hint::spin_loop(),
            _ => return None,
        }
    }
    loop {
        // SAFETY: as above; the answer's code is not 0.
        let answer = unsafe { at.add(6).cast::<u16>().read_volatile() };
        if answer != 0 {
            return Some(answer);
        }
        core::hint::spin_loop();
    }
}

/// The vector registers.
pub fn vectors() -> [u128; 32] {
    let mut vectors = [0; 32];
    // SAFETY: stores 32 registers of 16 bytes. Nothing that is compiled here uses them.
    unsafe {
        asm!(".byte 0xe7, 0x0f, 0x10, 0x00, 0x00, 0x3e", ".byte 0xe7, 0x0f, 0x11, 0x00, 0x0c, 0x3e",
             in("r1") vectors.as_mut_ptr(), options(nostack));
    }
    vectors
}

/// Sets the vector registers.
pub fn set_vectors(vectors: &[u128; 32]) {
    // SAFETY: this program is compiled without floating point and vectors: no value of the compiler's is in them.
    unsafe {
        asm!(".byte 0xe7, 0x0f, 0x10, 0x00, 0x00, 0x36", ".byte 0xe7, 0x0f, 0x11, 0x00, 0x0c, 0x36",
             in("r1") vectors.as_ptr(), options(nostack));
    }
}

/// Access registers and floating-point-control register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Others {
    pub access: [u32; 16],
    pub control: u32,
}

/// Returns access registers and floating-point-control register.
pub fn others() -> Others {
    let mut others = Others::default();
    // SAFETY: stores 17 words.
    unsafe {
        asm!("stam %a0, %a15, 0({0})", "stfpc 64({0})", in(reg_addr) &raw mut others, options(nostack))
    };
    others
}

/// Sets them.
pub fn set_others(others: &Others) {
    // SAFETY: neither means anything to this program: it is in primary-space mode, without floating point.
    unsafe {
        asm!("lam %a0, %a15, 0({0})", "lfpc 64({0})", in(reg_addr) &raw const *others, options(nostack))
    };
}

/// What is in the registers that guests use and this program does not, while it does not care.
#[derive(Debug)]
pub struct Kept {
    vectors: [u128; 32],
    others: Others,
}

impl Kept {
    /// Fills them with something that depends on `seed`.
    pub fn set(seed: u64) -> Self {
        let word = |n: u64| (seed ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let vectors =
            core::array::from_fn(|n| u128::from(word(n as u64)) << 64 | u128::from(word(!(n as u64))));
        // Flags and rounding of the control register.
        let others = Others {
            access: core::array::from_fn(|n| word(n as u64 + 99) as u32),
            control: word(7) as u32 & 0x00f8_0003,
        };
        set_vectors(&vectors);
        set_others(&others);
        Self { vectors, others }
    }

    /// Whether they are still what they were filled with.
    pub fn are_kept(&self) -> bool {
        vectors() == self.vectors && others() == self.others
    }
}

/// Takes this CPU for `s390-host`.
pub fn facility() -> Hw {
    // SAFETY: asked for only where the machine announces the facility. Absolute storage is at `LINEAR`; blocks and tables
    // are the driver's, in storage that is given to nobody else; every thread stays on its CPU; program interruptions
    // are reported.
    unsafe { Hw::new(LINEAR) }
}

/// What reaches all CPUs.
pub fn control(kick: fn(Absolute)) -> HwControl<fn(Absolute)> {
    // SAFETY: as for `facility`; the tables lie above every prefix area.
    unsafe { HwControl::new(LINEAR, kick) }
}

/// Returns absolute storage as the driver and the model see it: `bytes` of it, at [`LINEAR`].
pub fn storage(bytes: u64) -> Ram<'static> {
    let start = core::ptr::with_exposed_provenance::<Page>(LINEAR as usize);
    // SAFETY: the address space has storage there, and below `TABLES` a page of zeros that is read-only, so that all of it
    // can be read; nothing else is reached by these addresses. Its bytes are only accessed as atomics.
    let pages = unsafe { core::slice::from_raw_parts(start, (bytes >> 12) as usize) };
    Ram::new(pages)
}

/// Lends a job to another CPU, for as long as `until` takes: it returns only when nobody has the job any more.
pub fn lend<'a>(
    job: &'a mut (dyn FnMut() + Send + 'a),
    until: impl FnOnce(&'static mut (dyn FnMut() + Send)),
) {
    // SAFETY: the types differ in their lifetimes alone; `until` has the one user return the job in time, as it promises.
    // This program does not unwind.
    until(unsafe {
        core::mem::transmute::<&'a mut (dyn FnMut() + Send + 'a), &'static mut (dyn FnMut() + Send)>(job)
    });
}

/// Memory that is handed out once and never taken back.
struct Heap {
    next: AtomicUsize,
}

#[global_allocator]
static MEMORY: Heap = Heap { next: AtomicUsize::new(HEAP.0 as usize) };

// SAFETY: pieces do not overlap, are aligned, and lie in memory that lives for ever and is given to nobody else.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            let end = next.checked_next_multiple_of(layout.align())?.checked_add(layout.size())?;
            (end <= (HEAP.0 + HEAP.1) as usize).then_some(end)
        });
        match taken {
            Ok(next) => core::ptr::with_exposed_provenance_mut(next.next_multiple_of(layout.align())),
            Err(_) => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

/// The library of `xarch.h`, by its table alone, as a host in C calls it. Numbers that are not 0 come back as errors.
pub mod table {
    use crate::library::{self, PLATFORM_VERSION};
    use alloc::alloc::{Layout, alloc_zeroed};
    use core::ffi::c_void;
    use core::ptr::{null, null_mut};
    use xarch_ffi::*;

    /// A status that is not XARCH_OK.
    type Result<T> = core::result::Result<T, i32>;

    fn done(status: i32) -> Result<()> {
        if status == XARCH_OK { Ok(()) } else { Err(status) }
    }

    const fn size<T>() -> u32 {
        size_of::<T>() as u32
    }

    /// Returns the table.
    pub fn api() -> Option<&'static xarch_api> {
        // SAFETY: null, or a table that is there for as long as the program.
        unsafe { xarch_get_api(XARCH_ABI >> 16).as_ref() }
    }

    /// Describes a back end.
    pub fn backend_info(index: u32) -> Result<xarch_backend_info> {
        // SAFETY: numbers, all of them.
        let mut info: xarch_backend_info = unsafe { core::mem::zeroed() };
        info.size = size::<xarch_backend_info>();
        let api = api().ok_or(XARCH_E_NOTSUP)?;
        // SAFETY: the structure has the size that it says.
        done(unsafe { (api.backend_info)(index, &raw mut info) })?;
        Ok(info)
    }

    /// Memory for an object, for ever.
    fn memory(layout: xarch_layout) -> Result<*mut c_void> {
        let layout = Layout::from_size_align(layout.size as usize, layout.align as usize);
        let layout = layout.map_err(|_| XARCH_E_INVAL)?;
        // SAFETY: no object is empty.
        let memory = unsafe { alloc_zeroed(layout) };
        if memory.is_null() { Err(XARCH_E_NOMEM) } else { Ok(memory.cast()) }
    }

    extern "C" fn slot(_: *mut c_void, address: u64, to: *mut xarch_slot) -> i32 {
        let Some(found) = library::slot(address) else { return XARCH_E_NOENT };
        // SAFETY: the library's own structure, which says how long it is: longer than the fields of this version.
        unsafe { to.write(xarch_slot { size: (*to).size, ..found }) };
        XARCH_OK
    }

    extern "C" fn device(_: *mut c_void, vcpu: u32, access: *mut xarch_access) -> i32 {
        // SAFETY: as above.
        library::device(vcpu, unsafe { &mut *access })
    }

    extern "C" fn kick(_: *mut c_void, vcpu: u32) {
        library::kick(vcpu);
    }

    extern "C" fn clock(_: *mut c_void) -> u64 {
        crate::model::nanoseconds()
    }

    static PLATFORM: xarch_platform = xarch_platform {
        size: size::<xarch_platform>(),
        abi: PLATFORM_VERSION,
        clock: Some(clock),
        slot: Some(slot),
        device: Some(device),
        kick: Some(kick),
        relax: None,
        trace: None,
        read: None,
        spin_enter: None,
        spin_leave: None,
    };

    /// A back end and its VM.
    #[derive(Debug)]
    pub struct Machine {
        api: &'static xarch_api,
        backend: *mut xarch_backend,
        vm: *mut xarch_vm,
    }

    // SAFETY: what points to them is given to entries alone, and those say which thread may call them: any for a VM.
    unsafe impl Send for Machine {}
    // SAFETY: as above.
    unsafe impl Sync for Machine {}

    impl Machine {
        /// Makes both, in memory that is mapped from `start` on, of which the first `table_bytes` are for tables.
        pub fn new(
            info: &xarch_backend_info,
            vcpus: u32,
            start: u64,
            bytes: u64,
            table_bytes: u64,
        ) -> Result<Self> {
            let api = api().ok_or(XARCH_E_NOTSUP)?;
            let config = xarch_backend_config {
                size: size::<xarch_backend_config>(),
                abi: XARCH_ABI,
                kind: info.kind,
                vcpus,
                address_bits: 40,
                flags: 0,
                platform: &raw const PLATFORM,
                context: null_mut(),
                ops: null(),
                storage: core::ptr::with_exposed_provenance_mut(start as usize),
                storage_bytes: bytes,
                table_bytes,
                code_bytes: 4 << 20,
            };
            let (mut layout, mut backend, mut vm) = (xarch_layout::default(), null_mut(), null_mut());
            // SAFETY: of all of these: structures have the sizes that they say, memory is as long as was asked for and
            // nobody else's, and objects are never destroyed. The storage is mapped for ever, and its tables are the
            // library's.
            done(unsafe { (api.backend_layout)(&raw const config, &raw mut layout) })?;
            let room = memory(layout)?;
            // SAFETY: as above.
            done(unsafe { (api.backend_create)(&raw const config, room, layout.size, &raw mut backend) })?;
            let config = xarch_vm_config {
                size: size::<xarch_vm_config>(),
                abi: XARCH_ABI,
                guest: info.guest,
                vcpus,
                features: 0,
                frames: [0; 4],
            };
            // SAFETY: as above.
            done(unsafe { (api.vm_layout)(&raw const config, &raw mut layout) })?;
            let room = memory(layout)?;
            // SAFETY: as above.
            done(unsafe { (api.vm_create)(backend, &raw const config, room, layout.size, &raw mut vm) })?;
            Ok(Self { api, backend, vm })
        }

        pub fn add_slot(&self, slot: &xarch_slot) -> Result<()> {
            // SAFETY: as in `new`.
            done(unsafe { (self.api.add_slot)(self.backend, slot) })
        }

        pub fn request_exit(&self, vcpu: u32) -> Result<()> {
            // SAFETY: as in `new`.
            done(unsafe { (self.api.request_exit)(self.backend, vcpu) })
        }

        pub fn set_irq(&self, irq: &xarch_irq) -> Result<()> {
            // SAFETY: as in `new`.
            done(unsafe { (self.api.vm_set_irq)(self.vm, irq) })
        }

        pub fn unmap(&self, guest: u64, bytes: u64) -> Result<()> {
            // SAFETY: as in `new`.
            done(unsafe { (self.api.unmap)(self.backend, guest, bytes) })
        }

        pub fn protect(&self, guest: u64, bytes: u64) -> Result<()> {
            // SAFETY: as in `new`.
            done(unsafe { (self.api.protect)(self.backend, guest, bytes) })
        }

        /// Whether the range is young.
        pub fn age(&self, guest: u64, bytes: u64) -> Result<bool> {
            // SAFETY: as in `new`.
            match unsafe { (self.api.age)(self.backend, guest, bytes) } {
                young @ 0..=1 => Ok(young == 1),
                status => Err(status),
            }
        }

        /// Returns how many pages are dirty.
        pub fn count_dirty(&self, guest: u64, bytes: u64) -> Result<u64> {
            extern "C" fn count(pages: *mut c_void, _: u64) {
                // SAFETY: the count below, which nobody else has.
                unsafe { *pages.cast::<u64>() += 1 };
            }
            let mut pages = 0_u64;
            let argument = (&raw mut pages).cast();
            // SAFETY: as in `new`; the function gets what it wants.
            done(unsafe { (self.api.collect_dirty)(self.backend, guest, bytes, Some(count), argument) })?;
            Ok(pages)
        }

        /// Makes a vCPU in its reset state, which starts at `boot` if that is there.
        pub fn vcpu(&self, index: u32, boot: Option<(u64, [u64; 4])>) -> Result<Vcpu> {
            let (mut layout, mut vcpu) = (xarch_layout::default(), null_mut());
            // SAFETY: as in `new`.
            done(unsafe { (self.api.vcpu_layout)(self.vm, &raw mut layout) })?;
            let room = memory(layout)?;
            // SAFETY: as in `new`.
            let made = unsafe {
                (self.api.vcpu_create)(self.vm, index, null_mut(), room, layout.size, &raw mut vcpu)
            };
            done(made)?;
            // SAFETY: as in `new`.
            done(unsafe { (self.api.vcpu_reset)(vcpu) })?;
            if let Some((entry, arguments)) = boot {
                // SAFETY: as in `new`.
                done(unsafe { (self.api.vcpu_boot)(vcpu, entry, arguments.as_ptr()) })?;
            }
            Ok(Vcpu { api: self.api, vcpu })
        }
    }

    /// A vCPU. It stays on its thread.
    #[derive(Debug)]
    pub struct Vcpu {
        api: &'static xarch_api,
        vcpu: *mut xarch_vcpu,
    }

    impl Vcpu {
        /// Runs the guest until this program is needed.
        pub fn run(&mut self) -> Result<xarch_outcome> {
            let mut outcome = xarch_outcome {
                size: size::<xarch_outcome>(),
                kind: 0,
                reason: 0,
                code: 0,
                address: 0,
                value: 0,
                syndrome: 0,
                deadline_counter: 0,
                deadline_ns: 0,
                token: 0,
                bytes: 0,
                operation: 0,
                reserved: [0; 2],
            };
            // SAFETY: as in `Machine::new`.
            done(unsafe { (self.api.vcpu_run)(self.vcpu, &raw mut outcome) })?;
            Ok(outcome)
        }
    }
}

/// Called by start.S on the first CPU, with DAT off.
#[unsafe(no_mangle)]
extern "C" fn rust_boot() -> ! {
    // SAFETY: the prefix of the first CPU is 0.
    unsafe { prepare_prefix(0, 0) };
    crate::start()
}

/// Called by start.S on another CPU, with DAT off.
#[unsafe(no_mangle)]
extern "C" fn rust_secondary(cpu: u64) -> ! {
    crate::start_secondary(cpu as usize)
}

/// Called by start.S on an operation exception.
#[unsafe(no_mangle)]
extern "C" fn rust_operation(frame: &mut Frame) {
    crate::emulate::operation(frame);
}

/// Called by start.S on every other program interruption.
#[unsafe(no_mangle)]
extern "C" fn rust_program_check(frame: &Frame) -> ! {
    crate::report::program_check(frame, program_check())
}

/// Called by start.S on an external interruption, which are disabled meanwhile.
#[unsafe(no_mangle)]
extern "C" fn rust_external(code: u64, parameter: u64) {
    crate::external(code as u16, parameter as u32);
}

/// Called by start.S on an interruption that nothing asks for.
#[unsafe(no_mangle)]
extern "C" fn rust_unexpected() -> ! {
    crate::fail(format_args!("an interruption that nothing asks for"))
}

/// Mistakes of this program, one for each way in which an instruction can end badly here; each is reported.
pub mod mistakes {
    use super::{asm, load, mask, store};

    /// No instruction.
    pub fn operation() {
        // SAFETY: ends in a report, as all of these do.
        unsafe { asm!(".byte 0, 0") }
    }

    /// A privileged instruction, in problem state.
    pub fn privileged() {
        let mut psw = [mask(true) | 1 << 48, 0_u64];
        // SAFETY: as above: the instruction after the PSW was loaded is not for it.
        unsafe {
            asm!("larl %r1, 2f", "stg %r1, 8({psw})", "lpswe 0({psw})", "2: ptlb", psw = in(reg_addr) psw.as_mut_ptr(),
                 out("r1") _);
        }
    }

    /// EX of an EX.
    pub fn execute() {
        // SAFETY: as above.
        unsafe { asm!("larl %r1, 2f", "2: ex %r0, 0(%r1)", out("r1") _) }
    }

    /// A store to this program's text.
    pub fn store_to_text() {
        // SAFETY: as above: text is mapped for reading.
        unsafe { store(super::image().text.0 + 0x40, 0) }
    }

    /// A store to low addresses.
    pub fn store_low() {
        // SAFETY: as above: CR0 protects them.
        unsafe { store(0x10, 0) }
    }

    /// A jump to data.
    pub fn jump_to_data() {
        let code = [0x07fe_07fe_07fe_07fe_u64];
        // SAFETY: as above, where the machine protects execution; elsewhere the data is a return.
        unsafe { asm!("basr %r14, {}", in(reg_addr) code.as_ptr(), out("r14") _) }
    }

    /// A load from beyond the machine's storage, by its real address.
    pub fn beyond_storage() {
        // SAFETY: as above.
        unsafe { asm!(".insn rre, 0xb9050000, {}, {}", out(reg) _, in(reg) 1_u64 << 40) }
    }

    /// An operand that is not aligned.
    pub fn alignment() {
        let words = [0_u64; 4];
        // SAFETY: as above.
        unsafe {
            asm!("cdsg %r0, %r4, 4({})", in(reg_addr) words.as_ptr(), out("r0") _, out("r1") _, out("r4") _)
        }
    }

    /// COMPARE AND TRAP.
    pub fn data() {
        // SAFETY: as above.
        unsafe { asm!("cgit {}, 0, 8", in(reg) 0_u64) }
    }

    /// A division by zero.
    pub fn divide() {
        // SAFETY: as above.
        unsafe { asm!("dsgr %r0, {}", in(reg) 0_u64, inout("r1") 1_u64 => _, out("r0") _) }
    }

    /// A load from where there is no segment, no region, and no address space.
    pub fn load_from(at: u64) {
        load(at);
    }

    /// SAE, with the address of a block that is none.
    pub fn sae() {
        // SAFETY: as above, where the facility is not there; elsewhere the block is outside storage, and nothing happens.
        unsafe { asm!(".byte 0xb9, 0xa5, 0x00, 0x20", in("r2") u64::MAX - 0xfff) }
    }

    /// SASR of a register that no source names, to an area that is none.
    pub fn sasr() {
        // SAFETY: as above.
        unsafe {
            asm!(".byte 0xed, 0x20, 0x30, 0x00, 0x18, 0x99", in("r2") 0_u64, in("r3") super::LINEAR + (112 << 20))
        }
    }

    /// Calls itself until there is no stack.
    #[expect(unconditional_recursion, reason = "that is the point")]
    pub fn overflow(depth: u64) -> u64 {
        let kept = core::hint::black_box([depth; 64]);
        overflow(depth + 1) + kept.iter().sum::<u64>()
    }
}
