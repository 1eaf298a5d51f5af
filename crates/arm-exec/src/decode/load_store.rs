//! Arm ARM, "Loads and Stores".

use super::{Context, Decoder, Go, TEMPORARY, destination, with_sp};
use crate::block::{Code, Operation};
use crate::memory::Word;
use crate::state::{SP, ZERO};

impl Decoder<'_, '_> {
    /// "Loads and Stores".
    pub(super) fn load_store(&mut self, w: Word) -> Go {
        if w.bit(26) && self.context.has(Context::FP_TRAP) && self.is_vector_access(w) {
            return self.end(Code::FpTrap, w);
        }
        self.access(w)
    }

    fn access(&mut self, w: Word) -> Go {
        match (w.field(29, 28), w.bit(26), w.field(24, 23)) {
            (0b00, false, 0b00 | 0b01) => self.exclusive(w),
            (0b00, true, 0b00 | 0b01) => self.multiple_structures(w),
            (0b00, true, _) => self.single_structure(w),
            (0b01, _, 0b00 | 0b01) => self.literal(w),
            (0b10, _, _) => self.pair(w),
            (0b11, _, 0b10 | 0b11) => self.unsigned_offset(w),
            (0b11, _, _) => self.other_offset(w),
            _ => self.undefined(w),
        }
    }

    /// Whether an encoding with V = 1 is allocated at all: UNDEFINED comes before the trap.
    fn is_vector_access(&mut self, w: Word) -> bool {
        // Decoded once more, as if there was no trap, and taken back.
        let (used, accesses, fence, context) = (self.used, self.accesses, self.fence, self.context);
        self.context = Context(context.0 & !Context::FP_TRAP);
        let allocated = self.access(w) == Go::On;
        (self.used, self.accesses, self.fence, self.context) = (used, accesses, fence, context);
        // Whether it is allocated or not, the block ends here.
        self.sp_written = false;
        allocated
    }

    /// Emits the check of SP's alignment where it is due.
    fn check_base(&mut self, base: u8) {
        if base == SP && self.context.has(Context::CHECK_SP) && !self.sp_checked {
            self.three(Code::CheckSp, 0, 0, 0, 0);
            self.sp_checked = true;
        }
    }

    /// A load or store that keeps its word, after the check of its base.
    fn memory(&mut self, w: Word) -> Go {
        self.check_base(with_sp(w.rn()));
        self.accesses += 1;
        // It may write SP back.
        if w.rn() == 31 {
            self.sp_is_written();
        }
        self.word(Code::Memory, w)
    }

    /// "Load/store exclusive", ordered, compare and swap.
    fn exclusive(&mut self, w: Word) -> Go {
        let size = w.field(31, 30);
        let allocated = match (w.bit(23), w.bit(21)) {
            (false, false) => true,
            (false, true) if size >= 2 => true,
            // CASP.
            (false, true) => w.rt2() == 31 && w.rm() & 1 == 0 && w.rt() & 1 == 0,
            // LDAR, STLR; LDLAR and STLLR are FEAT_LOR's.
            (true, false) => w.bit(15),
            // CAS.
            (true, true) => w.rt2() == 31,
        };
        // "Load/store exclusive" has bit 24 clear.
        if allocated && !w.bit(24) { self.memory(w) } else { self.undefined(w) }
    }

    fn multiple_structures(&mut self, w: Word) -> Go {
        let post = w.bit(23);
        let opcode = w.field(15, 12);
        let one = matches!(opcode, 0b0010 | 0b0110 | 0b0111 | 0b1010);
        let many = matches!(opcode, 0b0000 | 0b0100 | 0b1000) && w.field(11, 10) <= 2 + w.field(30, 30);
        let fixed = !w.bit(31) && !w.bit(21) && (post || w.field(20, 16) == 0);
        if fixed && (one || many) { self.memory(w) } else { self.undefined(w) }
    }

    fn single_structure(&mut self, w: Word) -> Go {
        let post = w.bit(23);
        let (scale, s, size) = (w.field(15, 14), w.bit(12), w.field(11, 10));
        let allocated = match scale {
            0 => true,
            1 => size & 1 == 0,
            2 => size == 0 || size == 1 && !s,
            _ => w.bit(22) && !s,
        };
        let fixed = !w.bit(31) && (post || w.field(20, 16) == 0);
        if fixed && allocated { self.memory(w) } else { self.undefined(w) }
    }

    fn literal(&mut self, w: Word) -> Go {
        if w.field(24, 24) != 0 {
            return self.undefined(w);
        }
        // Bits 24:23 are 0 and the top of the offset.
        let at = self.pc.wrapping_add(w.signed(23, 5) << 2);
        let t = w.rt() as u8;
        let code = match (w.field(31, 30), w.bit(26)) {
            (0, false) => Code::Ldrw,
            (1, false) => Code::Ldrx,
            (2, false) => Code::Ldrsw,
            // PRFM.
            (_, false) => return Go::On,
            (0, true) => Code::LdrS,
            (1, true) => Code::LdrD,
            (2, true) => Code::LdrQ,
            (_, true) => return self.undefined(w),
        };
        let a = if w.bit(26) { t } else { destination(w.rt()) };
        self.accesses += 1;
        self.emit(Operation { code, a, b: ZERO, d: 1, imm: at, ..Operation::default() });
        Go::On
    }

    fn pair(&mut self, w: Word) -> Go {
        let (opc, simd, load) = (w.field(31, 30), w.bit(26), w.bit(22));
        let mode = w.field(24, 23);
        if opc == 3 || !simd && opc == 1 && (!load || mode == 0) {
            return self.undefined(w);
        }
        let code = match (opc, simd, load) {
            (0, false, true) => Code::Ldp32,
            (0, false, false) => Code::Stp32,
            (2, false, true) => Code::Ldp64,
            (2, false, false) => Code::Stp64,
            (1, true, true) => Code::LdpD,
            (1, true, false) => Code::StpD,
            (2, true, true) => Code::LdpQ,
            (2, true, false) => Code::StpQ,
            // LDPSW, and pairs of S registers.
            _ => {
                self.accesses += 1;
                return self.memory(w);
            }
        };
        let scale = if simd { 2 + opc } else { 2 + (opc >> 1) };
        let imm = w.signed(21, 15) << scale;
        let base = with_sp(w.rn());
        let register = |n: usize| if simd || !load { n as u8 } else { destination(n) };
        let (a, c) = (register(w.rt()), register(w.rt2()));
        self.check_base(base);
        self.accesses += 2;
        let op = Operation { code, a, b: base, c, d: 2, imm, ..Operation::default() };
        let step = |imm| Operation { code: Code::AddI64, a: base, b: base, imm, ..Operation::default() };
        if mode & 1 != 0 && base == SP && imm & 15 != 0 {
            self.sp_is_written();
        }
        // CHOICE: a load that also writes its base back leaves the address there. Arm ARM, LDP,
        // CONSTRAINED UNPREDICTABLE.
        if load && !simd && mode & 1 != 0 && (a == base || c == base) {
            self.emit(Operation { code: Code::AddI64, a: TEMPORARY, b: base, imm, ..Operation::default() });
            self.emit(Operation { imm: if mode == 1 { 0 } else { imm }, ..op });
            return self.simple(Code::Mov64, base, TEMPORARY, 0);
        }
        match (mode, code) {
            (0 | 2, _) => self.emit(op),
            (1, Code::Ldp64) => self.emit(Operation { code: Code::LdpPost64, ..op }),
            (3, Code::Stp64) => self.emit(Operation { code: Code::StpPre64, ..op }),
            (1, _) => {
                self.emit(Operation { imm: 0, ..op });
                self.emit(step(imm));
            }
            _ => {
                self.emit(op);
                self.emit(step(imm));
            }
        }
        Go::On
    }

    /// Which operation a single register's load or store is, with immediate offset.
    fn single(w: Word) -> Single {
        use Code::*;
        match (w.bit(26), w.field(31, 30), w.field(23, 22)) {
            (false, 0, 0) => Single::Op(Strb),
            (false, 1, 0) => Single::Op(Strh),
            (false, 2, 0) => Single::Op(Strw),
            (false, _, 0) => Single::Op(Strx),
            (false, 0, 1) => Single::Op(Ldrb),
            (false, 1, 1) => Single::Op(Ldrh),
            (false, 2, 1) => Single::Op(Ldrw),
            (false, _, 1) => Single::Op(Ldrx),
            (false, 0, 2) => Single::Op(Ldrsb64),
            (false, 1, 2) => Single::Op(Ldrsh64),
            (false, 2, 2) => Single::Op(Ldrsw),
            (false, _, 2) => Single::Prefetch,
            (false, 0, _) => Single::Op(Ldrsb32),
            (false, 1, _) => Single::Op(Ldrsh32),
            (false, _, _) => Single::Undefined,
            (true, 0, 2) => Single::Op(StrQ),
            (true, 0, 3) => Single::Op(LdrQ),
            (true, 2, 0) => Single::Op(StrS),
            (true, 2, 1) => Single::Op(LdrS),
            (true, 3, 0) => Single::Op(StrD),
            (true, 3, 1) => Single::Op(LdrD),
            (true, 0 | 1, 0 | 1) => Single::Word,
            (true, _, _) => Single::Undefined,
        }
    }

    fn unsigned_offset(&mut self, w: Word) -> Go {
        let code = match Self::single(w) {
            Single::Op(code) => code,
            Single::Word => return self.memory(w),
            Single::Prefetch => return Go::On,
            Single::Undefined => return self.undefined(w),
        };
        let scale = scale(w);
        let base = with_sp(w.rn());
        self.check_base(base);
        self.accesses += 1;
        let (a, imm) = (transfer(w), u64::from(w.field(21, 10)) << scale);
        self.emit(Operation { code, a, b: base, d: 1, imm, ..Operation::default() });
        Go::On
    }

    /// Unscaled, indexed, unprivileged, register offset, and atomics.
    fn other_offset(&mut self, w: Word) -> Go {
        let form = w.field(11, 10);
        if w.bit(21) {
            return match form {
                0 => self.atomic(w),
                2 => self.register_offset(w),
                _ => self.undefined(w),
            };
        }
        let code = match Self::single(w) {
            Single::Op(code) => code,
            Single::Word if form != 2 => return self.memory(w),
            Single::Prefetch if form == 0 => return Go::On,
            _ => return self.undefined(w),
        };
        if form == 2 {
            return if w.bit(26) { self.undefined(w) } else { self.memory(w) };
        }
        let base = with_sp(w.rn());
        let imm = w.signed(20, 12);
        let (a, load) = (transfer(w), w.field(23, 22) != 0);
        self.check_base(base);
        self.accesses += 1;
        if form != 0 && base == SP && imm & 15 != 0 {
            self.sp_is_written();
        }
        let op = Operation { code, a, b: base, d: 1, imm, ..Operation::default() };
        // CHOICE: as for pairs, the written-back address wins over the loaded value.
        if form != 0 && load && !w.bit(26) && a == base {
            self.emit(Operation { code: Code::AddI64, a: TEMPORARY, b: base, imm, ..Operation::default() });
            self.emit(Operation { imm: if form == 1 { 0 } else { imm }, ..op });
            return self.simple(Code::Mov64, base, TEMPORARY, 0);
        }
        let step = Operation { code: Code::AddI64, a: base, b: base, imm, ..Operation::default() };
        match (form, code) {
            (0, _) => self.emit(op),
            (1, Code::Ldrb) => self.emit(Operation { code: Code::LdrbPost, ..op }),
            (1, Code::Ldrw) => self.emit(Operation { code: Code::LdrwPost, ..op }),
            (1, Code::Ldrx) => self.emit(Operation { code: Code::LdrxPost, ..op }),
            (1, Code::Strb) => self.emit(Operation { code: Code::StrbPost, ..op }),
            (1, Code::Strw) => self.emit(Operation { code: Code::StrwPost, ..op }),
            (1, Code::Strx) => self.emit(Operation { code: Code::StrxPost, ..op }),
            (1, _) => {
                self.emit(Operation { imm: 0, ..op });
                self.emit(step);
            }
            _ => {
                self.emit(op);
                self.emit(step);
            }
        }
        Go::On
    }

    fn register_offset(&mut self, w: Word) -> Go {
        let option = w.field(15, 13);
        let single = Self::single(w);
        if option & 2 == 0 {
            return self.undefined(w);
        }
        let code = match single {
            Single::Op(code) => code,
            Single::Word => return self.memory(w),
            Single::Prefetch => return Go::On,
            Single::Undefined => return self.undefined(w),
        };
        let base = with_sp(w.rn());
        self.check_base(base);
        self.accesses += 1;
        let shift = if w.bit(12) { scale(w) as u8 } else { 0 };
        let mut index = w.rm() as u8;
        let mut mask = u64::MAX;
        match option {
            2 => mask = 0xffff_ffff,
            6 => {
                self.three(Code::Sxtw, TEMPORARY, index, 0, 0);
                index = TEMPORARY;
            }
            _ => {}
        }
        let a = transfer(w);
        use Code::*;
        let indexed = match code {
            Ldrb => LdrbR,
            Ldrh => LdrhR,
            Ldrw => LdrwR,
            Ldrx => LdrxR,
            Ldrsb64 => Ldrsb64R,
            Ldrsb32 => Ldrsb32R,
            Ldrsh64 => Ldrsh64R,
            Ldrsh32 => Ldrsh32R,
            Ldrsw => LdrswR,
            Strb => StrbR,
            Strh => StrhR,
            Strw => StrwR,
            Strx => StrxR,
            vector => {
                self.emit(Operation {
                    code: Ubfiz,
                    a: TEMPORARY,
                    b: index,
                    d: shift,
                    imm: mask,
                    ..Operation::default()
                });
                self.three(AddR64, TEMPORARY, base, TEMPORARY, 0);
                self.emit(Operation { code: vector, a, b: TEMPORARY, d: 1, ..Operation::default() });
                return Go::On;
            }
        };
        self.emit(Operation {
            code: indexed,
            a,
            b: base,
            c: index,
            d: shift,
            imm: mask,
            ..Operation::default()
        });
        Go::On
    }

    /// LSE atomics and LDAPR.
    fn atomic(&mut self, w: Word) -> Go {
        let allocated = match (w.bit(15), w.field(14, 12)) {
            (false, _) | (true, 0) => true,
            // LDAPR.
            (true, 4) => w.rm() == 31 && w.bit(23) && !w.bit(22),
            _ => false,
        };
        if allocated && !w.bit(26) { self.memory(w) } else { self.undefined(w) }
    }
}

/// What a single register's load or store becomes.
#[derive(Clone, Copy, Debug)]
enum Single {
    /// An operation.
    Op(Code),
    /// It keeps its word.
    Word,
    /// Nothing.
    Prefetch,
    /// It is not allocated.
    Undefined,
}

/// The logarithm of the size of a single register's transfer.
fn scale(w: Word) -> u32 {
    if w.bit(26) && w.bit(23) { 4 } else { w.field(31, 30) }
}

/// The slot that a single register's load or store transfers.
fn transfer(w: Word) -> u8 {
    if w.bit(26) || w.field(23, 22) == 0 { w.rt() as u8 } else { destination(w.rt()) }
}
