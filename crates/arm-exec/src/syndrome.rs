//! What ESR holds for the exceptions that the engine itself finds.

use crate::abort::Abort;
use crate::memory::Word;
use arm_arch::iss::{DataAbort, InstructionAbort};
use arm_arch::{EsrEl, ExceptionClass, bits};
use mmu_xlate::vmsa::{AccessKind, Fault};

/// An UNDEFINED instruction.
pub(crate) const UNDEFINED: u64 = EsrEl::of(ExceptionClass::UNKNOWN, 0).into_bits();
/// The program counter is not a multiple of four.
pub(crate) const PC_ALIGNMENT: u64 = EsrEl::of(ExceptionClass::PC_ALIGNMENT, 0).into_bits();
/// The stack pointer is not a multiple of sixteen.
pub(crate) const SP_ALIGNMENT: u64 = EsrEl::of(ExceptionClass::SP_ALIGNMENT, 0).into_bits();

/// DFSC and IFSC of a translation fault, level 0.
const TRANSLATION_LEVEL_0: u8 = 0b00_0100;

/// A stage-1 abort, taken to EL1.
pub(crate) fn stage1(abort: &Abort, fault: &Fault, el0: bool) -> u64 {
    let class = match (abort.access.is_fetch(), el0) {
        (true, true) => ExceptionClass::INSTRUCTION_ABORT_LOWER,
        (true, false) => ExceptionClass::INSTRUCTION_ABORT_SAME,
        (false, true) => ExceptionClass::DATA_ABORT_LOWER,
        (false, false) => ExceptionClass::DATA_ABORT_SAME,
    };
    EsrEl::of(class, fault.iss(abort.access)).into_bits()
}

/// A stage-2 abort, taken to EL2, with the fault status of a translation fault at level 0. `word` is
/// the instruction whose access it is, for a valid instruction syndrome.
pub(crate) fn stage2(abort: &Abort, word: Option<u32>, s1ptw: bool) -> u64 {
    if abort.access.is_fetch() {
        let iss = InstructionAbort::new().with_ifsc(TRANSLATION_LEVEL_0).with_s1ptw(s1ptw);
        return EsrEl::of(ExceptionClass::INSTRUCTION_ABORT_LOWER, iss.into_bits()).into_bits();
    }
    let transfer = word.and_then(|word| transfer(Word(word))).unwrap_or_default();
    let iss = transfer
        .with_dfsc(TRANSLATION_LEVEL_0)
        .with_s1ptw(s1ptw)
        .with_wnr(abort.access.kind != AccessKind::Read)
        .with_cm(abort.access.is_maintenance());
    EsrEl::of(ExceptionClass::DATA_ABORT_LOWER, iss.into_bits()).into_bits()
}

/// ISV, SAS, SSE, SRT, SF and AR of a load or store of one general register without writeback; `None`
/// for everything else. Arm ARM, ESR_EL2, "ISS encoding for an exception from a Data Abort".
fn transfer(w: Word) -> Option<DataAbort> {
    let ordered = match w.field(29, 24) {
        // Unsigned offset; unscaled, unprivileged and register offset.
        0x39 => false,
        0x38 if !w.bit(21) && !w.bit(10) => false,
        0x38 if w.bit(21) && w.field(11, 10) == 2 => false,
        // LDAPR.
        0x38 if w.bit(21) && w.field(15, 10) == 0b110000 => true,
        // LDAR, STLR.
        0x08 if w.bit(23) && !w.bit(21) => true,
        _ => return None,
    };
    let size = bits::low8(w.field(31, 30).into());
    let (sign, wide) = match (ordered, w.field(23, 22)) {
        (false, 2) => (true, true),
        (false, 3) => (true, false),
        _ => (false, size == 3),
    };
    let iss = DataAbort::new().with_isv(true).with_sas(size).with_sse(sign).with_sf(wide).with_ar(ordered);
    Some(iss.with_srt(bits::low8(w.field(4, 0).into())))
}
