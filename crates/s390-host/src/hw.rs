//! The facility of the machine itself: an instruction, or a short sequence of them, for each operation.
//!
//! The only unsafe code of the crate. Nobody outside IBM has the facility: what follows is what the Linux series does, as
//! far as it shows. That it assembles to the documented bytes is checked. `examples/bare-metal-s390x` runs it on a CPU in
//! supervisor state with DAT on, where the facility's instructions are program checks that `sae-model` emulates, and
//! which spoil every register that SAE may spoil; IPTE, IDTE and CSP are the CPU's there. That a machine with the
//! facility takes it as the model does, nobody can check.
//!
//! Only in supervisor state: IPTE, IDTE and CSP are privileged, and so is, as far as one can tell, SAE.
//!
//! # Sources
//! Encodings are those of [`s390_arch::sae::opcode`]. What SAE clobbers: Linux s390 arm64 KVM series, the stub around
//! SAE. PoP ch. 7 (STAM, LAM, STFPC, LFPC, PTFF), ch. 10 (IPTE, IDTE, CSP, LBEAR, STBEAR), ch. 21 (VLM, VSTM).

use core::arch::asm;
use core::marker::PhantomData;
use s390_arch::Absolute;
use s390_arch::pgm::ProgramCode;
use s390_arch::sae::opcode::{Gpr, Rie, Rre};
use s390_arch::sae::{Facility, HostControl, M4, Rejected, SystemRegisterNumber};

/// The CPU that the current thread runs on.
///
/// Holding one means that its maker vouched for what [`Hw::new`] asks. It stays on its thread.
#[derive(Debug)]
pub struct Hw {
    /// What is to be added to an absolute address to reach it with DAT as it is.
    logical_offset: u64,
    /// The guest's vector registers while SAE does not run: in between, they are the compiler's and the host's.
    vectors: [u128; 32],
    stays: PhantomData<*mut ()>,
}

impl Hw {
    /// Makes the current CPU's facility.
    ///
    /// # Safety
    /// While the value exists:
    /// - the CPU has the facility, is in supervisor state, and absolute storage is mapped one to one from
    ///   `logical_offset` on, readable and writable;
    /// - the absolute addresses that its methods are given are those of control blocks, save areas and QAAF results of
    ///   4 KiB that belong to the caller, and the tables that a control block designates map only storage that guests
    ///   may access;
    /// - from [`lasrm`](Facility::lasrm) to [`stiasrm`](Facility::stiasrm) the thread stays on its CPU, or the embedder
    ///   executes the pair when it moves;
    /// - program interruptions are the embedder's: none is expected, none is caught here.
    #[must_use]
    pub const unsafe fn new(logical_offset: u64) -> Self {
        Self { logical_offset, vectors: [0; 32], stays: PhantomData }
    }

    const fn logical(&self, at: Absolute) -> u64 {
        at.bits().wrapping_add(self.logical_offset)
    }
}

/// What one CPU does to all: see [`HostControl`].
#[derive(Clone, Copy, Debug)]
pub struct HwControl<K> {
    logical_offset: u64,
    kick: K,
}

impl<K: Fn(Absolute) + Sync> HwControl<K> {
    /// Makes the operations on all CPUs. `kick` makes the CPU that executes SAE with a control block leave it, with an
    /// external call for instance.
    ///
    /// CHOICE: the sources show no way to end SAE from another CPU; any host interruption does. An interruption that is
    /// taken before SAE starts does not end it: the embedder keeps it pending, by disabling interruptions between the
    /// driver's last look at its own request and SAE, or brings the vCPU's thread around once more.
    ///
    /// # Safety
    /// As for [`Hw::new`]; and the addresses of tables are those of the tables in use, in storage that prefixing leaves
    /// alone.
    #[must_use]
    pub const unsafe fn new(logical_offset: u64, kick: K) -> Self {
        Self { logical_offset, kick }
    }
}

const R2: Gpr = gpr(2);
const R3: Gpr = gpr(3);

#[expect(clippy::panic, reason = "evaluated at compile time")]
const fn gpr(number: u8) -> Gpr {
    match Gpr::new(number) {
        Some(gpr) => gpr,
        None => panic!("there are sixteen general registers"),
    }
}

/// Operand bytes of an instruction that is known by its encoding only; the registers are those of the encoding.
macro_rules! instruction {
    ($code:expr; 4, $($operands:tt)*) => {
        asm!(
            ".byte {b0}, {b1}, {b2}, {b3}",
            b0 = const $code[0], b1 = const $code[1], b2 = const $code[2], b3 = const $code[3],
            $($operands)*
        )
    };
    ($code:expr; 6, $($operands:tt)*) => {
        asm!(
            ".byte {b0}, {b1}, {b2}, {b3}, {b4}, {b5}",
            b0 = const $code[0], b1 = const $code[1], b2 = const $code[2],
            b3 = const $code[3], b4 = const $code[4], b5 = const $code[5],
            $($operands)*
        )
    };
}

const SAE: [u8; 4] = Rre::Sae.encode(R2);
const LASRM: [u8; 4] = Rre::Lasrm.encode(R2);
const STIASRM: [u8; 4] = Rre::Stiasrm.encode(R2);
const QAAF: [u8; 4] = Rre::Qaaf.encode(R2);
/// IPTE R1 = 2 (page-table origin), R2 = 3 (address); no range, all CPUs.
const IPTE: [u8; 4] = [0xb2, 0x21, 0x00, 0x23];
/// IDTE R1 = 2 (designation of the table), R3 = 0 (none), R2 = 3 (address); all CPUs.
const IDTE: [u8; 4] = [0xb9, 0x8e, 0x00, 0x23];
/// IDTE R1 = 0, R3 = 2 (ASCE), R2 = 3 (clearing by ASCE).
const IDTE_ASCE: [u8; 4] = [0xb9, 0x8e, 0x20, 0x03];
/// CSP R1 = 4 (compared, replacement in 5), R2 = 6 (address and purge).
const CSP: [u8; 4] = [0xb2, 0x50, 0x00, 0x46];

/// One SASR and one EASR for a register and a place: the number is an immediate.
struct Instance<const NUMBER: u16, const LOADED: bool>;

impl<const NUMBER: u16, const LOADED: bool> Instance<NUMBER, LOADED> {
    const M4: M4 = if LOADED { M4::Loaded } else { M4::SaveArea };
    const SASR: [u8; 6] = Rie::Sasr.encode(R2, R3, SystemRegisterNumber(NUMBER), Self::M4);
    const EASR: [u8; 6] = Rie::Easr.encode(R2, R3, SystemRegisterNumber(NUMBER), Self::M4);

    /// # Safety
    /// `area` is the logical address of a save area that is where `LOADED` says; it and its control block are the
    /// caller's.
    unsafe fn set(area: u64, value: u64) {
        // SAFETY: the caller vouches for the area. The instruction changes storage at most there and at the control
        // block, which the compiler has to assume, and no register.
        unsafe { instruction!(Self::SASR; 6, in("r2") value, in("r3") area, options(nostack)) }
    }

    /// # Safety
    /// As for [`set`](Self::set).
    unsafe fn extract(area: u64) -> u64 {
        let value;
        // SAFETY: as for `set`; the result comes in R1.
        unsafe { instruction!(Self::EASR; 6, lateout("r2") value, in("r3") area, options(nostack)) }
        value
    }
}

macro_rules! registers {
    ($($number:literal)*) => {
        /// Every register that the sources give to SASR or EASR.
        const NUMBERS: &[u16] = &[$($number),*];

        /// # Safety
        /// As for [`Instance::set`].
        unsafe fn set(area: u64, number: SystemRegisterNumber, m4: M4, value: u64) -> Result<(), Rejected> {
            match (number.0, m4) {
                // SAFETY: the caller's promise is the callee's.
                $(($number, M4::Loaded) => unsafe { Instance::<$number, true>::set(area, value) },
                // SAFETY: the caller's promise is the callee's.
                ($number, M4::SaveArea) => unsafe { Instance::<$number, false>::set(area, value) },)*
                _ => return Err(UNKNOWN),
            }
            Ok(())
        }

        /// # Safety
        /// As for [`Instance::set`].
        unsafe fn extract(area: u64, number: SystemRegisterNumber, m4: M4) -> Result<u64, Rejected> {
            Ok(match (number.0, m4) {
                // SAFETY: the caller's promise is the callee's.
                $(($number, M4::Loaded) => unsafe { Instance::<$number, true>::extract(area) },
                // SAFETY: the caller's promise is the callee's.
                ($number, M4::SaveArea) => unsafe { Instance::<$number, false>::extract(area) },)*
                _ => return Err(UNKNOWN),
            })
        }
    };
}

registers! {
    0x8012 0x8084 0x808c 0xc000 0xc080 0xc081 0xc082 0xc090 0xc100 0xc101 0xc102 0xc108 0xc109 0xc10a 0xc10b
    0xc110 0xc111 0xc112 0xc113 0xc118 0xc119 0xc200 0xc201 0xc288 0xc289 0xc290 0xc300 0xc3a0 0xc510 0xc600
    0xc609 0xc684 0xc687 0xc708 0xde82 0xde83 0xde87 0xdf00 0xdf12 0xdf1a
    0xe005 0xe088 0xe089 0xe08a 0xe08c 0xe08d 0xe08e 0xe092 0xe18c 0xe18d 0xe293 0xe64d 0xe708
}

// Whatever the driver asks for has its instance.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated at compile time")]
const _: () = {
    let mut asked = 0;
    while asked < crate::registers::SASR_AND_EASR.len() {
        let mut at = 0;
        while NUMBERS[at] != crate::registers::SASR_AND_EASR[asked].0 {
            at += 1;
        }
        asked += 1;
    }
};

/// The machine would recognise a program interruption, which nobody catches: the register is refused instead.
const UNKNOWN: Rejected = Rejected { code: ProgramCode::SPECIFICATION };

/// Bytes of stack that the sequence around SAE takes.
const FRAME: i16 = 608;

impl Facility for Hw {
    fn sae(&mut self, block: Absolute) {
        let vectors = self.vectors.as_mut_ptr();
        // SAFETY: `new` vouches for the block; `vectors` has room for 32 registers of 16 bytes. SAE clobbers general
        // registers 0 to 13, access registers, the vector registers (they are the guest's) and the breaking-event
        // address: R11 and everything that is not a general register is saved below the stack pointer and put back,
        // the others are declared. Registers 0 to 5 are cleared against speculation with guest values.
        unsafe {
            asm!(
                "aghi %r15, -{frame}",
                "stg %r11, 0(%r15)",
                "stg %r3, 8(%r15)",
                ".insn s, 0xb2010000, 16(%r15)", // STBEAR
                "stfpc 24(%r15)",
                "stam %a0, %a15, 32(%r15)",
                ".byte 0xe7, 0x0f, 0xf0, 0x60, 0x00, 0x3e", // VSTM V0-V15 to 96(%r15)
                ".byte 0xe7, 0x0f, 0xf1, 0x60, 0x0c, 0x3e", // VSTM V16-V31 to 352(%r15)
                ".byte 0xe7, 0x0f, 0x30, 0x00, 0x00, 0x36", // VLM V0-V15 from 0(%r3)
                ".byte 0xe7, 0x0f, 0x31, 0x00, 0x0c, 0x36", // VLM V16-V31 from 256(%r3)
                ".byte {b0}, {b1}, {b2}, {b3}",             // SAE %r2
                "lg %r3, 8(%r15)",
                ".byte 0xe7, 0x0f, 0x30, 0x00, 0x00, 0x3e", // VSTM V0-V15 to 0(%r3)
                ".byte 0xe7, 0x0f, 0x31, 0x00, 0x0c, 0x3e", // VSTM V16-V31 to 256(%r3)
                ".byte 0xe7, 0x0f, 0xf0, 0x60, 0x00, 0x36", // VLM V0-V15 from 96(%r15)
                ".byte 0xe7, 0x0f, 0xf1, 0x60, 0x0c, 0x36", // VLM V16-V31 from 352(%r15)
                "lam %a0, %a15, 32(%r15)",
                "lfpc 24(%r15)",
                ".insn s, 0xb2000000, 16(%r15)", // LBEAR
                "lg %r11, 0(%r15)",
                "lghi %r0, 0",
                "lghi %r1, 0",
                "lghi %r2, 0",
                "lghi %r3, 0",
                "lghi %r4, 0",
                "lghi %r5, 0",
                "aghi %r15, {frame}",
                frame = const FRAME,
                b0 = const SAE[0], b1 = const SAE[1], b2 = const SAE[2], b3 = const SAE[3],
                inout("r2") block.bits() => _,
                inout("r3") vectors => _,
                out("r0") _, out("r1") _, out("r4") _, out("r5") _, out("r6") _, out("r7") _, out("r8") _,
                out("r9") _, out("r10") _, out("r12") _, out("r13") _,
            );
        }
    }

    fn lasrm(&mut self, area: Absolute) -> Result<(), Rejected> {
        // SAFETY: `new` vouches for the area; no register changes.
        unsafe { instruction!(LASRM; 4, in("r2") self.logical(area), options(nostack)) }
        Ok(())
    }

    fn stiasrm(&mut self, area: Absolute) -> Result<(), Rejected> {
        // SAFETY: as for LASRM.
        unsafe { instruction!(STIASRM; 4, in("r2") self.logical(area), options(nostack)) }
        Ok(())
    }

    fn sasr(
        &mut self,
        area: Absolute,
        register: SystemRegisterNumber,
        m4: M4,
        value: u64,
    ) -> Result<(), Rejected> {
        // SAFETY: `new` vouches for the area.
        unsafe { set(self.logical(area), register, m4, value) }
    }

    fn easr(&mut self, area: Absolute, register: SystemRegisterNumber, m4: M4) -> Result<u64, Rejected> {
        // SAFETY: `new` vouches for the area.
        unsafe { extract(self.logical(area), register, m4) }
    }

    fn qaaf(&mut self, gr0: u64, result: Absolute) -> Result<(), Rejected> {
        // SAFETY: `new` vouches for the block; the function is in R0, and no register changes.
        unsafe { instruction!(QAAF; 4, in("r0") gr0, in("r2") self.logical(result), options(nostack)) }
        Ok(())
    }

    fn ptff(&mut self, code: u8, parameters: &mut [u64; 2]) -> Result<(), Rejected> {
        let code_and_cc: u64;
        // SAFETY: functions 0, 0x10 and 0x11 store up to 16 bytes at the block; others that are known need no more. The
        // function is in R0, the block's address in R1. IPM puts the condition code at bits 34 and 35.
        unsafe {
            asm!(
                ".byte 0x01, 0x04", // PTFF
                "ipm %r0",
                inout("r0") u64::from(code) => code_and_cc,
                in("r1") parameters.as_mut_ptr(),
                options(nostack)
            );
        }
        // Condition code 3: the function is not there. PoP ch. 10, PERFORM TIMING FACILITY FUNCTION.
        if code_and_cc >> 28 & 3 == 0 { Ok(()) } else { Err(UNKNOWN) }
    }

    fn load_vectors(&mut self, vectors: &[u128; 32]) {
        self.vectors = *vectors;
    }

    fn store_vectors(&mut self, vectors: &mut [u128; 32]) {
        *vectors = self.vectors;
    }
}

/// Bits of an entry and of a designation that say which table it is: TT, DT.
const TABLE_TYPE: u64 = 0xc;
/// Bit 52 of the second operand of IDTE: clearing by ASCE.
const BY_ASCE: u64 = 0x800;
/// Region and segment tables are aligned to their size.
const TABLE_MASK: u64 = !0x3fff;

impl<K: Fn(Absolute) + Sync> HostControl for HwControl<K> {
    fn ipte(&self, page_table: Absolute, address: u64, _asce: u64) {
        // SAFETY: `new` vouches for the table. Without an ASCE the translations of every space that uses it go.
        unsafe {
            instruction!(IPTE; 4, in("r2") page_table.bits(), in("r3") address & !0xfff, options(nostack));
        }
    }

    fn idte(&self, entry: Absolute, address: u64, _asce: u64) {
        let at = core::ptr::with_exposed_provenance::<u64>(logical(entry, self.logical_offset));
        // SAFETY: `new` vouches for the mapping and for the entry, which is aligned and which others may read.
        let bits = unsafe { at.read_volatile() };
        let designation = entry.bits() & TABLE_MASK | bits & TABLE_TYPE;
        // SAFETY: as for IPTE; the designation is that of the table that holds the entry.
        unsafe {
            instruction!(IDTE; 4, in("r2") designation, in("r3") address & !0xfff, options(nostack));
        }
    }

    fn idte_asce(&self, asce: u64) {
        // SAFETY: purges translations; nothing else changes.
        unsafe { instruction!(IDTE_ASCE; 4, in("r2") asce, in("r3") BY_ASCE, options(nostack)) }
    }

    fn ptlb(&self) {
        // PTLB is for this CPU only; CSP with the purge bit is for all. It replaces 0 by 0.
        let mut word = 0_u32;
        // SAFETY: the word is aligned and ours; R4 is set to what was found.
        unsafe {
            instruction!(
                CSP; 4,
                inout("r4") 0_u64 => _,
                in("r5") 0_u64,
                in("r6") (&raw mut word).wrapping_byte_add(1),
                options(nostack)
            );
        }
    }

    fn request_exit(&self, block: Absolute) {
        (self.kick)(block);
    }
}

/// Returns an absolute address as the compiler's machine word; on s390x the two have the same width.
fn logical(at: Absolute, offset: u64) -> usize {
    usize::try_from(at.bits().wrapping_add(offset)).unwrap_or(usize::MAX)
}
