//! The machine: a CPU of IBM Z in supervisor state. Everything unsafe of this program is here, in [`table`], which calls the
//! C library, and in [`mistakes`].
//!
//! # Sources
//! PoP ch. 3 (assigned storage locations), ch. 4 (control registers, SIGP, TOD clock), ch. 6 (interruptions), ch. 10
//! (SERVC is not in it; its use here is that of Linux and of QEMU's firmware).

pub mod mistakes;
pub mod table;

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
