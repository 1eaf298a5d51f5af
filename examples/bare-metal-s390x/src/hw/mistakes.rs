//! Mistakes of this program, one for each way in which an instruction can end badly here; each is reported.

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
