//! From instruction words to operations.
//!
//! Everything that is not UNDEFINED is recognised here once, exactly: every field that the
//! architecture reserves is looked at (Arm ARM C4.1). What is common becomes an operation of its own,
//! often for two instructions together; what is rare keeps its word and is taken apart when executed.
#![expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a numeric kernel: fields are masked, positions in the block are bounded by its size"
)]

use crate::block::{Code, MAX_INSTRUCTIONS, MAX_OPS, Op, Operation};
use crate::memory::Word;
use crate::ram::PagePtr;
use crate::simd::{self, SimdOp};
use crate::state::{DISCARD, SP, ZERO};

/// Slot for a value between two operations of one instruction.
const TEMPORARY: u8 = 34;

/// What decoding depends on besides the words. The bits are the number that blocks are kept under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context(pub(crate) u32);

impl Context {
    /// EL0, not EL1.
    pub(crate) const EL0: u32 = 1;
    /// FP and SIMD instructions trap.
    pub(crate) const FP_TRAP: u32 = 2;
    /// The alignment of SP is checked.
    pub(crate) const CHECK_SP: u32 = 4;

    const fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }
}

/// A function that executes SIMD instructions, known by its place in a table of the caller's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Function(Option<SimdOp>);

/// Where functions of SIMD instructions are kept, so that an operation can name one by number.
#[derive(Debug)]
pub(crate) struct Functions<'m>(&'m mut [Function]);

impl<'m> Functions<'m> {
    pub(crate) fn new(memory: &'m mut [Function]) -> Self {
        memory.fill(Function(None));
        Self(memory)
    }

    /// Returns the function of that number.
    #[inline(always)]
    pub(crate) fn get(&self, number: usize) -> Option<SimdOp> {
        self.0.get(number)?.0
    }

    /// Returns the number of a function, remembering it; a number that names none when there is no
    /// place left.
    fn number(&mut self, function: SimdOp) -> usize {
        let length = self.0.len();
        let first = address(function).wrapping_mul(0x9e37_79b1) >> 8;
        for step in 0..length {
            let number = first.wrapping_add(step) % length;
            match &mut self.0[number].0 {
                free @ None => {
                    *free = Some(function);
                    return number;
                }
                Some(known) if address(*known) == address(function) => return number,
                Some(_) => {}
            }
        }
        length
    }
}

fn address(function: SimdOp) -> usize {
    match function {
        SimdOp::Data(f) => f as usize,
        SimdOp::Flags(f) => f as usize,
    }
}

/// Whether decoding goes on after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Go {
    On,
    End,
}

/// A block in the making.
pub(crate) struct Decoder<'a, 'f> {
    /// Where it goes: `MAX_OPS` operations, the head first.
    ops: &'a [Op],
    functions: &'a mut Functions<'f>,
    used: usize,
    pc: u64,
    context: Context,
    /// Instructions so far, with the one being decoded.
    instructions: u8,
    accesses: u8,
    /// SP is known to be a multiple of 16.
    sp_checked: bool,
    /// The last operation is this instruction's or may not be joined with the next.
    fence: usize,
    /// Branches, and where they go.
    branches: [(u16, u64); MAX_INSTRUCTIONS + 1],
    branch_count: usize,
}

impl<'a, 'f> Decoder<'a, 'f> {
    /// Starts a block at a virtual address.
    pub(crate) fn new(
        ops: &'a [Op],
        functions: &'a mut Functions<'f>,
        pc: u64,
        context: Context,
    ) -> Option<Self> {
        let head = ops.get(..MAX_OPS)?.first()?;
        head.set(Operation { code: Code::Head, imm: pc, off: page_index(pc), ..Operation::default() });
        Some(Self {
            ops,
            functions,
            used: 1,
            pc,
            context,
            instructions: 0,
            accesses: 0,
            sp_checked: false,
            fence: 1,
            branches: [(0, 0); MAX_INSTRUCTIONS + 1],
            branch_count: 0,
        })
    }

    /// Decodes from a page until the block ends, or `limit` instructions; returns the operations
    /// used. `known` says where the block of an address in the same page starts, if there is one.
    pub(crate) fn decode(
        mut self,
        page: PagePtr<'_>,
        limit: usize,
        first: u32,
        known: impl Fn(u64) -> Option<u32>,
    ) -> usize {
        let start = self.pc;
        let limit = limit.min(MAX_INSTRUCTIONS);
        loop {
            self.instructions += 1;
            let word = page.load32((self.pc & 0xfff) as usize);
            let go = self.instruction(Word(word));
            self.pc = self.pc.wrapping_add(4);
            if go == Go::End {
                break;
            }
            if usize::from(self.instructions) >= limit || self.pc & 0xfff == 0 {
                self.branch(Code::Goto, self.pc, Operation::default());
                break;
            }
        }
        for n in 0..self.branch_count {
            let (at, target) = self.branches[n];
            let branch = &self.ops[usize::from(at)];
            let op = branch.get();
            let same_page = (target ^ start) & !0xfff == 0;
            let link = match known(target) {
                Some(known) if same_page && limit > 1 => known,
                _ if target == start && limit > 1 => first,
                _ => {
                    let stub = Operation {
                        code: Code::Stub,
                        off: (self.used - usize::from(at)) as u16,
                        imm: target,
                        a: (target >> 55) as u8 & 1,
                        // In the same page the branch itself is made to name the target.
                        b: u8::from(same_page),
                        ..Operation::default()
                    };
                    self.ops[self.used].set(stub);
                    self.used += 1;
                    first + self.used as u32 - 2
                }
            };
            branch.set(Operation { imm: op.imm & !0xffff_ffff | u64::from(link), ..op });
        }
        self.used
    }

    fn emit(&mut self, op: Operation) {
        if let Some(cell) = self.ops.get(self.used) {
            cell.set(Operation { off: page_index(self.pc), ..op });
            self.used += 1;
        }
    }

    /// Emits a branch whose low half of the immediate becomes the link.
    fn branch(&mut self, code: Code, target: u64, op: Operation) {
        self.branches[self.branch_count.min(MAX_INSTRUCTIONS)] = (self.used as u16, target);
        self.branch_count = (self.branch_count + 1).min(MAX_INSTRUCTIONS + 1);
        self.emit(Operation { code, d: self.instructions, e: self.accesses, ..op });
    }

    /// The last operation, if the next may be joined with it.
    fn last(&self) -> Option<Operation> {
        (self.used > self.fence).then(|| self.ops[self.used - 1].get())
    }

    /// Replaces the last operation.
    fn join(&mut self, op: Operation) {
        self.used -= 1;
        self.emit(op);
    }

    fn simple(&mut self, code: Code, a: u8, b: u8, imm: u64) -> Go {
        self.emit(Operation { code, a, b, imm, ..Operation::default() });
        Go::On
    }

    fn three(&mut self, code: Code, a: u8, b: u8, c: u8, d: u8) -> Go {
        self.emit(Operation { code, a, b, c, d, ..Operation::default() });
        Go::On
    }

    fn word(&mut self, code: Code, w: Word) -> Go {
        self.emit(Operation {
            code,
            imm: w.0.into(),
            d: self.instructions,
            e: self.accesses,
            ..Operation::default()
        });
        Go::On
    }

    /// An operation that the executor leaves its loop with.
    fn end(&mut self, code: Code, w: Word) -> Go {
        self.word(code, w);
        Go::End
    }

    fn undefined(&mut self, w: Word) -> Go {
        self.end(Code::Undefined, w)
    }

    fn rare(&mut self, w: Word) -> Go {
        self.word(Code::Rare, w)
    }

    /// Arm ARM C4.1, "Main encoding table".
    fn instruction(&mut self, w: Word) -> Go {
        match w.field(28, 25) {
            0b1000 | 0b1001 => self.immediate(w),
            0b1010 | 0b1011 => self.control(w),
            0b0100 | 0b0110 | 0b1100 | 0b1110 => self.load_store(w),
            0b0101 | 0b1101 => self.register(w),
            0b0111 | 0b1111 => self.simd(w),
            _ => self.undefined(w),
        }
    }

    /// "Data Processing -- Immediate".
    fn immediate(&mut self, w: Word) -> Go {
        match w.field(25, 23) {
            0b000 | 0b001 => self.pc_relative(w),
            0b010 => self.add_immediate(w),
            0b100 => self.logical_immediate(w),
            0b101 => self.move_wide(w),
            0b110 => self.bitfield(w),
            0b111 => self.extract(w),
            _ => self.undefined(w),
        }
    }

    fn pc_relative(&mut self, w: Word) -> Go {
        let imm = w.signed(23, 5) << 2 | u64::from(w.field(30, 29));
        let value =
            if w.bit(31) { (self.pc & !0xfff).wrapping_add(imm << 12) } else { self.pc.wrapping_add(imm) };
        self.simple(Code::MovI, destination(w.rt()), ZERO, value)
    }

    fn add_immediate(&mut self, w: Word) -> Go {
        let imm = u64::from(w.field(21, 10)) << if w.bit(22) { 12 } else { 0 };
        let n = with_sp(w.rn());
        let (wide, subtract) = (w.bit(31), w.bit(30));
        if w.bit(29) {
            // Adding k sets the flags as subtracting -k does, unless k is 0.
            let (code, imm) = match (subtract || imm != 0, wide) {
                (false, false) => (Code::AddsI32, 0),
                (false, true) => (Code::AddsI64, 0),
                (true, false) => (Code::SubsI32, imm),
                (true, true) => (Code::SubsI64, imm),
            };
            let imm = if subtract { imm } else { imm.wrapping_neg() };
            return self.simple(code, destination(w.rt()), n, imm);
        }
        let d = with_sp(w.rt());
        let addend = if subtract { imm.wrapping_neg() } else { imm };
        if d == SP && (n != SP || imm & 15 != 0 || !wide) {
            self.sp_checked = false;
        }
        if imm == 0 {
            return self.simple(if wide { Code::Mov64 } else { Code::Mov32 }, d, n, 0);
        }
        if let Some(last) = self.last() {
            // ADRP and ADD.
            if wide && last.code == Code::MovI && last.a == n && d == n && n != SP {
                self.join(Operation { imm: last.imm.wrapping_add(addend), ..last });
                return Go::On;
            }
        }
        self.simple(if wide { Code::AddI64 } else { Code::AddI32 }, d, n, addend)
    }

    fn logical_immediate(&mut self, w: Word) -> Go {
        let wide = w.bit(31);
        let Some(imm) = bit_mask(w.bit(22), w.field(15, 10), w.field(21, 16), wide) else {
            return self.undefined(w);
        };
        let n = w.rn() as u8;
        let opc = w.field(30, 29);
        if opc == 3 {
            return self.simple(
                if wide { Code::AndsI64 } else { Code::AndsI32 },
                destination(w.rt()),
                n,
                imm,
            );
        }
        let d = with_sp(w.rt());
        if d == SP {
            self.sp_checked = false;
        }
        let code = match (opc, wide) {
            (0, _) => Code::AndI,
            (1, _) if n == ZERO => return self.simple(Code::MovI, d, ZERO, imm),
            (1, true) => Code::OrrI64,
            (1, false) => Code::OrrI32,
            (_, true) => Code::EorI64,
            (_, false) => Code::EorI32,
        };
        self.simple(code, d, n, imm)
    }

    fn move_wide(&mut self, w: Word) -> Go {
        let (wide, hw) = (w.bit(31), w.field(22, 21));
        if w.field(30, 29) == 1 || !wide && hw >= 2 {
            return self.undefined(w);
        }
        let shift = 16 * hw;
        let imm = u64::from(w.field(20, 5)) << shift;
        let d = destination(w.rt());
        let keep = if wide { u64::MAX } else { 0xffff_ffff };
        match w.field(30, 29) {
            0 => self.simple(Code::MovI, d, ZERO, !imm & keep),
            2 => self.simple(Code::MovI, d, ZERO, imm),
            _ => {
                if let Some(last) = self.last() {
                    if last.code == Code::MovI && last.a == d {
                        let value = last.imm & !(0xffff << shift) | imm;
                        self.join(Operation { imm: value & keep, ..last });
                        return Go::On;
                    }
                }
                let code = if wide { Code::Movk64 } else { Code::Movk32 };
                self.emit(Operation {
                    code,
                    a: d,
                    b: w.rt() as u8,
                    d: shift as u8,
                    imm,
                    ..Operation::default()
                });
                Go::On
            }
        }
    }

    fn bitfield(&mut self, w: Word) -> Go {
        let wide = w.bit(31);
        let (r, s) = (w.field(21, 16), w.field(15, 10));
        if w.field(30, 29) == 3 || wide != w.bit(22) || !wide && (r | s) >= 32 {
            return self.undefined(w);
        }
        let (d, n) = (destination(w.rt()), w.rn() as u8);
        let size = if wide { 64 } else { 32 };
        // The field: `width` bits from `from` of the source to `to` of the destination.
        let (width, from, to) = if s >= r { (s - r + 1, r, 0) } else { (s + 1, 0, size - r) };
        let ones = u64::MAX >> (64 - width);
        match w.field(30, 29) {
            0 if wide && r == 0 && s == 31 => self.three(Code::Sxtw, d, n, 0, 0),
            0 => {
                let code = if wide { Code::Sbf64 } else { Code::Sbf32 };
                self.three(code, d, n, (64 - from - width) as u8, (64 - width - to) as u8)
            }
            1 => {
                let code = if wide { Code::Bfm64 } else { Code::Bfm32 };
                let rotate = (64 + from - to) & 63;
                // The old value is read from where it is kept; nothing is kept of ZR.
                self.emit(Operation {
                    code,
                    a: d,
                    b: n,
                    d: rotate as u8,
                    imm: ones << to,
                    ..Operation::default()
                });
                Go::On
            }
            _ if s >= r => {
                self.emit(Operation {
                    code: Code::Ubfx,
                    a: d,
                    b: n,
                    d: from as u8,
                    imm: ones,
                    ..Operation::default()
                });
                Go::On
            }
            _ => {
                self.emit(Operation {
                    code: Code::Ubfiz,
                    a: d,
                    b: n,
                    d: to as u8,
                    imm: ones,
                    ..Operation::default()
                });
                Go::On
            }
        }
    }

    fn extract(&mut self, w: Word) -> Go {
        let (wide, s) = (w.bit(31), w.field(15, 10));
        if w.field(30, 29) != 0 || w.bit(21) || wide != w.bit(22) || !wide && s >= 32 {
            return self.undefined(w);
        }
        let code = match (w.rn() == w.rm(), wide) {
            (true, true) => Code::Ror64,
            (true, false) => Code::Ror32,
            (false, true) => Code::Extr64,
            (false, false) => Code::Extr32,
        };
        self.three(code, destination(w.rt()), w.rn() as u8, w.rm() as u8, s as u8)
    }

    /// "Branches, Exception Generating and System instructions".
    fn control(&mut self, w: Word) -> Go {
        match w.field(31, 29) {
            0b000 | 0b100 => {
                let target = self.pc.wrapping_add(w.signed(25, 0) << 2);
                if !w.bit(31) {
                    self.branch(Code::Goto, target, Operation::default());
                    return Go::End;
                }
                self.branch(Code::Bl, target, Operation::default());
                // The operation after it carries the return address.
                let imm = self.pc.wrapping_add(4);
                self.emit(Operation { code: Code::Undefined, imm, ..Operation::default() });
                Go::End
            }
            0b001 | 0b101 if w.bit(25) => {
                let number = w.field(31, 31) << 5 | w.field(23, 19);
                let code = if w.bit(24) { Code::Tbnz } else { Code::Tbz };
                let target = self.pc.wrapping_add(w.signed(18, 5) << 2);
                self.branch(
                    code,
                    target,
                    Operation { b: w.rt() as u8, c: number as u8, ..Operation::default() },
                );
                self.fence = self.used;
                Go::On
            }
            0b001 | 0b101 => {
                let code = match (w.bit(31), w.bit(24)) {
                    (false, false) => Code::Cbz32,
                    (false, true) => Code::Cbnz32,
                    (true, false) => Code::Cbz64,
                    (true, true) => Code::Cbnz64,
                };
                let target = self.pc.wrapping_add(w.signed(23, 5) << 2);
                self.branch(code, target, Operation { b: w.rt() as u8, ..Operation::default() });
                self.fence = self.used;
                Go::On
            }
            0b010 if w.field(25, 24) == 0 && !w.bit(4) => self.conditional_branch(w),
            0b110 if w.field(25, 24) == 0 => {
                self.system_word(w);
                Go::End
            }
            0b110 if w.field(25, 22) == 0b0100 => self.system(w),
            0b110 if w.bit(25) => self.indirect_branch(w),
            _ => self.undefined(w),
        }
    }

    fn conditional_branch(&mut self, w: Word) -> Go {
        let condition = w.field(3, 0);
        let target = self.pc.wrapping_add(w.signed(23, 5) << 2);
        if condition >= 14 {
            self.branch(Code::Goto, target, Operation::default());
            return Go::End;
        }
        let joined = self.last().and_then(|last| Some((last, joined(last, condition)?)));
        if let Some((last, code)) = joined {
            self.used -= 1;
            let joined = Operation { code, imm: last.imm << 32, ..last };
            let step = self.last().and_then(|before| stepped(before, joined));
            if step.is_some() {
                self.used -= 1;
            }
            let joined = step.unwrap_or(joined);
            self.branch(joined.code, target, joined);
        } else {
            const PLAIN: [Code; 14] = [
                Code::Beq,
                Code::Bne,
                Code::Bcs,
                Code::Bcc,
                Code::Bmi,
                Code::Bpl,
                Code::Bvs,
                Code::Bvc,
                Code::Bhi,
                Code::Bls,
                Code::Bge,
                Code::Blt,
                Code::Bgt,
                Code::Ble,
            ];
            self.branch(PLAIN[condition as usize % 14], target, Operation::default());
        }
        self.fence = self.used;
        Go::On
    }

    fn indirect_branch(&mut self, w: Word) -> Go {
        let (opc, n) = (w.field(24, 21), w.rn());
        if w.field(20, 16) != 0b11111 || w.field(15, 10) != 0 || w.field(4, 0) != 0 {
            return self.undefined(w);
        }
        let (d, e) = (self.instructions, self.accesses);
        match opc {
            0b0000 | 0b0010 => {
                self.emit(Operation { code: Code::Br, a: DISCARD, b: n as u8, d, e, ..Operation::default() });
                Go::End
            }
            0b0001 => {
                let imm = self.pc.wrapping_add(4);
                self.emit(Operation { code: Code::Blr, a: 30, b: n as u8, d, e, imm, ..Operation::default() });
                Go::End
            }
            0b0100 | 0b0101 if n == 31 => {
                self.system_word(w);
                Go::End
            }
            _ => self.undefined(w),
        }
    }

    /// The system space, whose meaning is the business of `system`, apart from what is both frequent
    /// and simple.
    fn system(&mut self, w: Word) -> Go {
        let rt = w.rt();
        let el1 = !self.context.has(Context::EL0);
        match w.0 & !0x1f {
            // Hints without effect: NOP, and what was not announced. WFE, WFI, SEV, SEVL, YIELD stay.
            0xd503_2000..=0xd503_2fff if rt == 31 && !(0xd503_2020..0xd503_20c0).contains(&w.0) => Go::On,
            // DMB.
            0xd503_30a0..=0xd503_3fff if rt == 31 && w.field(7, 5) == 5 => self.word(Code::Fence, w),
            // MRS, MSR (register) of what has no effects.
            code if el1 && field_of(code).is_some() => self.field(w, field_of(code)),
            code @ 0xd53b_d040 if field_of(code).is_some() => self.field(w, field_of(code)),
            // MRS DAIF, MSR DAIF.
            0xd53b_4220 if el1 => self.simple(Code::MrsDaif, destination(rt), 0, 0),
            0xd51b_4220 if el1 => self.followed(Code::MsrDaif, rt as u8, 0),
            // MSR DAIFSet, DAIFClr.
            0xd503_40c0..=0xd503_4fdf if el1 && rt == 31 && w.field(7, 5) == 6 => {
                self.simple(Code::DaifSet, 0, 0, u64::from(w.field(11, 8)) << 6)
            }
            0xd503_40e0..=0xd503_4fff if el1 && rt == 31 && w.field(7, 5) == 7 => {
                self.followed(Code::DaifClr, 0, u64::from(w.field(11, 8)) << 6)
            }
            // DC ZVA: tried on the map first, then as any other.
            0xd50b_7420 => {
                self.simple(Code::DcZva, 0, rt as u8, 0);
                self.system_word(w);
                Go::On
            }
            _ => {
                self.system_word(w);
                Go::On
            }
        }
    }

    fn field(&mut self, w: Word, field: Option<Field>) -> Go {
        let number = field.map_or(0, |field| field as u64);
        let code = if w.bit(21) { Code::MrsField } else { Code::MsrField };
        let a = if w.bit(21) { destination(w.rt()) } else { w.rt() as u8 };
        self.simple(code, a, 0, number)
    }

    /// Emits an operation that may leave the executor's loop, and after it its address.
    fn followed(&mut self, code: Code, b: u8, imm: u64) -> Go {
        self.emit(Operation { code, b, imm, d: self.instructions, e: self.accesses, ..Operation::default() });
        self.emit(Operation { code: Code::Undefined, imm: self.pc, ..Operation::default() });
        self.fence = self.used;
        Go::On
    }

    /// Emits a system instruction, and after it an operation that carries its address.
    fn system_word(&mut self, w: Word) {
        self.sp_checked = false;
        self.word(Code::System, w);
        self.emit(Operation { code: Code::Undefined, imm: self.pc, ..Operation::default() });
        self.fence = self.used;
    }

    /// "Data Processing -- Register".
    fn register(&mut self, w: Word) -> Go {
        match (w.bit(28), w.field(24, 21)) {
            (false, op) if op & 0b1000 == 0 => self.logical_shifted(w),
            (false, op) if op & 1 == 0 => self.add_shifted(w),
            (false, _) => self.add_extended(w),
            (true, 0b0000) => self.carry_or_flags(w),
            (true, 0b0010) => self.conditional_compare(w),
            (true, 0b0100) => self.conditional_select(w),
            (true, 0b0110) if w.bit(30) => self.one_source(w),
            (true, 0b0110) => self.two_source(w),
            (true, op) if op & 0b1000 != 0 => self.three_source(w),
            _ => self.undefined(w),
        }
    }

    /// Emits what puts a shifted register into the temporary slot; returns the slot to use.
    fn shifted(&mut self, m: u8, kind: u32, amount: u32, wide: bool) -> u8 {
        if amount == 0 {
            return m;
        }
        let size = if wide { 64 } else { 32 };
        let ones = u64::MAX >> (64 - size + amount);
        let op = match kind {
            0 => Operation { code: Code::Ubfiz, d: amount as u8, imm: ones, ..Operation::default() },
            1 => Operation { code: Code::Ubfx, d: amount as u8, imm: ones, ..Operation::default() },
            2 => {
                let code = if wide { Code::Sbf64 } else { Code::Sbf32 };
                let up = 64 - size;
                Operation { code, c: up as u8, d: (up + amount) as u8, ..Operation::default() }
            }
            _ => {
                let code = if wide { Code::Ror64 } else { Code::Ror32 };
                Operation { code, d: amount as u8, ..Operation::default() }
            }
        };
        self.emit(Operation { a: TEMPORARY, b: m, ..op });
        TEMPORARY
    }

    fn logical_shifted(&mut self, w: Word) -> Go {
        let (wide, kind, amount) = (w.bit(31), w.field(23, 22), w.field(15, 10));
        if !wide && amount >= 32 {
            return self.undefined(w);
        }
        let (opc, invert) = (w.field(30, 29), w.bit(21));
        let (d, n, m) = (destination(w.rt()), w.rn() as u8, w.rm() as u8);
        if opc == 1 && !invert && n == ZERO && amount == 0 {
            return self.simple(if wide { Code::Mov64 } else { Code::Mov32 }, d, m, 0);
        }
        if !invert && amount != 0 && opc != 3 {
            use Code::*;
            let code = match (opc, kind, wide) {
                (0, 0, true) => Some(AndLsl64),
                (0, 0, false) => Some(AndLsl32),
                (0, 1, true) => Some(AndLsr64),
                (0, 1, false) => Some(AndLsr32),
                (1, 0, true) => Some(OrrLsl64),
                (1, 0, false) => Some(OrrLsl32),
                (1, 1, true) => Some(OrrLsr64),
                (1, 1, false) => Some(OrrLsr32),
                (2, 0, true) => Some(EorLsl64),
                (2, 0, false) => Some(EorLsl32),
                (2, 1, true) => Some(EorLsr64),
                (2, 1, false) => Some(EorLsr32),
                (2, 3, true) => Some(EorRor64),
                (2, 3, false) => Some(EorRor32),
                _ => None,
            };
            if let Some(code) = code {
                return self.three(code, d, n, m, amount as u8);
            }
        }
        let mut m = self.shifted(m, kind, amount, wide);
        if opc == 3 && invert {
            self.three(Code::OrnR64, TEMPORARY, ZERO, m, 0);
            m = TEMPORARY;
        }
        let code = match (opc, invert, wide) {
            (0, false, true) => Code::AndR64,
            (0, false, false) => Code::AndR32,
            (0, true, true) => Code::BicR64,
            (0, true, false) => Code::BicR32,
            (1, false, true) => Code::OrrR64,
            (1, false, false) => Code::OrrR32,
            (1, true, true) => Code::OrnR64,
            (1, true, false) => Code::OrnR32,
            (2, false, true) => Code::EorR64,
            (2, false, false) => Code::EorR32,
            (2, true, true) => Code::EonR64,
            (2, true, false) => Code::EonR32,
            (_, _, true) => Code::AndsR64,
            (_, _, false) => Code::AndsR32,
        };
        self.three(code, d, n, m, 0)
    }

    fn add_shifted(&mut self, w: Word) -> Go {
        let (wide, kind, amount) = (w.bit(31), w.field(23, 22), w.field(15, 10));
        if kind == 3 || !wide && amount >= 32 {
            return self.undefined(w);
        }
        let (d, n, m) = (destination(w.rt()), w.rn() as u8, w.rm() as u8);
        let (subtract, flags) = (w.bit(30), w.bit(29));
        if amount != 0 && !flags {
            use Code::*;
            let code = match (subtract, kind, wide) {
                (false, 0, true) => Some(AddLsl64),
                (false, 0, false) => Some(AddLsl32),
                (false, 1, true) => Some(AddLsr64),
                (false, 1, false) => Some(AddLsr32),
                (true, 0, true) => Some(SubLsl64),
                (true, 0, false) => Some(SubLsl32),
                (true, 1, true) => Some(SubLsr64),
                (true, 1, false) => Some(SubLsr32),
                _ => None,
            };
            if let Some(code) = code {
                return self.three(code, d, n, m, amount as u8);
            }
        }
        let m = self.shifted(m, kind, amount, wide);
        self.three(add_code(subtract, flags, wide), d, n, m, 0)
    }

    fn add_extended(&mut self, w: Word) -> Go {
        let (wide, option, amount) = (w.bit(31), w.field(15, 13), w.field(12, 10));
        if w.field(23, 22) != 0 || amount > 4 {
            return self.undefined(w);
        }
        let (subtract, flags) = (w.bit(30), w.bit(29));
        let d = if flags { destination(w.rt()) } else { with_sp(w.rt()) };
        let (n, m) = (with_sp(w.rn()), w.rm() as u8);
        if d == SP {
            self.sp_checked = false;
        }
        if wide && !subtract && !flags && (option == 2 || option == 6) {
            let code = if option == 2 { Code::AddUxtw } else { Code::AddSxtw };
            return self.three(code, d, n, m, amount as u8);
        }
        // The extended register, shifted. In 32-bit forms only the low half matters.
        let bits = 8 << (option & 3);
        let m = if option & 4 == 0 {
            let imm = u64::MAX >> (64 - bits);
            let op = Operation {
                code: Code::Ubfiz,
                a: TEMPORARY,
                b: m,
                d: amount as u8,
                imm,
                ..Operation::default()
            };
            self.emit(op);
            TEMPORARY
        } else {
            let up = 64 - bits;
            // Sign-extended, then shifted: the first shift is undone but for the amount.
            if up >= amount {
                self.three(Code::Sbf64, TEMPORARY, m, up as u8, (up - amount) as u8);
            } else {
                self.emit(Operation {
                    code: Code::Ubfiz,
                    a: TEMPORARY,
                    b: m,
                    d: amount as u8,
                    imm: u64::MAX,
                    ..Operation::default()
                });
            }
            TEMPORARY
        };
        self.three(add_code(subtract, flags, wide), d, n, m, 0)
    }

    /// ADC, SBC, RMIF, SETF8, SETF16.
    fn carry_or_flags(&mut self, w: Word) -> Go {
        let valid = match w.field(15, 10) {
            0 => true,
            // RMIF: the rotation takes bits 20:15.
            op if op & 0b1_1111 == 0b00001 => w.field(31, 29) == 0b101 && !w.bit(4),
            // SETF8, SETF16.
            0b000010 | 0b010010 => {
                w.field(31, 29) == 0b001 && w.field(20, 16) == 0 && !w.bit(15) && w.field(4, 0) == 0b01101
            }
            _ => false,
        };
        if valid { self.rare(w) } else { self.undefined(w) }
    }

    fn conditional_compare(&mut self, w: Word) -> Go {
        if !w.bit(29) || w.bit(10) || w.bit(4) {
            return self.undefined(w);
        }
        let immediate = w.bit(11);
        self.emit(Operation {
            code: Code::Ccmp,
            a: w.field(3, 0) as u8,
            b: w.rn() as u8,
            c: if immediate { ZERO } else { w.rm() as u8 },
            d: w.field(15, 12) as u8,
            e: w.field(31, 30) as u8,
            imm: if immediate { w.rm() as u64 } else { 0 },
            ..Operation::default()
        });
        Go::On
    }

    fn conditional_select(&mut self, w: Word) -> Go {
        if w.bit(29) || w.bit(11) {
            return self.undefined(w);
        }
        let code = match (w.bit(30), w.bit(10), w.bit(31)) {
            (false, false, true) => Code::Csel64,
            (false, false, false) => Code::Csel32,
            (false, true, true) => Code::Csinc64,
            (false, true, false) => Code::Csinc32,
            (true, false, true) => Code::Csinv64,
            (true, false, false) => Code::Csinv32,
            (true, true, true) => Code::Csneg64,
            (true, true, false) => Code::Csneg32,
        };
        self.three(code, destination(w.rt()), w.rn() as u8, w.rm() as u8, w.field(15, 12) as u8)
    }

    fn one_source(&mut self, w: Word) -> Go {
        if w.bit(29) || w.field(20, 16) != 0 {
            return self.undefined(w);
        }
        let (d, n) = (destination(w.rt()), w.rn() as u8);
        match (w.field(15, 10), w.bit(31)) {
            // RBIT, REV16, CLS, REV32.
            (0b000000 | 0b000001 | 0b000101, _) | (0b000010, true) => self.rare(w),
            (0b000010, false) => self.three(Code::Rev32, d, n, 0, 0),
            (0b000011, true) => self.three(Code::Rev64, d, n, 0, 0),
            (0b000100, true) => self.three(Code::Clz64, d, n, 0, 0),
            (0b000100, false) => self.three(Code::Clz32, d, n, 0, 0),
            _ => self.undefined(w),
        }
    }

    fn two_source(&mut self, w: Word) -> Go {
        if w.bit(29) {
            return self.undefined(w);
        }
        let code = match (w.field(15, 10), w.bit(31)) {
            (0b000010, true) => Code::Udiv64,
            (0b000010, false) => Code::Udiv32,
            (0b000011, true) => Code::Sdiv64,
            (0b000011, false) => Code::Sdiv32,
            (0b001000, true) => Code::Lslv64,
            (0b001000, false) => Code::Lslv32,
            (0b001001, true) => Code::Lsrv64,
            (0b001001, false) => Code::Lsrv32,
            (0b001010, true) => Code::Asrv64,
            (0b001010, false) => Code::Asrv32,
            // RORV; CRC32, whose doubleword forms are the 64-bit ones.
            (0b001011, _)
            | (0b010011 | 0b010111, true)
            | (0b010000..=0b010010 | 0b010100..=0b010110, false) => {
                return self.rare(w);
            }
            _ => return self.undefined(w),
        };
        self.three(code, destination(w.rt()), w.rn() as u8, w.rm() as u8, 0)
    }

    fn three_source(&mut self, w: Word) -> Go {
        if w.field(30, 29) != 0 {
            return self.undefined(w);
        }
        let (d, n, m, a) = (destination(w.rt()), w.rn() as u8, w.rm() as u8, w.rt2() as u8);
        let code = match (w.field(23, 21), w.bit(15), w.bit(31)) {
            (0, false, true) if a == ZERO => Code::Mul64,
            (0, false, false) if a == ZERO => Code::Mul32,
            (0, false, true) => Code::Madd64,
            (0, false, false) => Code::Madd32,
            (0, true, true) => Code::Msub64,
            (0, true, false) => Code::Msub32,
            (1, false, true) => Code::Smaddl,
            (5, false, true) => Code::Umaddl,
            (6, false, true) => Code::Umulh,
            // SMSUBL, UMSUBL, SMULH.
            (1 | 5, true, true) | (2, false, true) => return self.rare(w),
            _ => return self.undefined(w),
        };
        self.three(code, d, n, m, a)
    }

    /// "Data Processing -- Scalar Floating-Point and Advanced SIMD".
    fn simd(&mut self, w: Word) -> Go {
        let Some(function) = simd::decode(w.0) else { return self.undefined(w) };
        if self.context.has(Context::FP_TRAP) {
            return self.end(Code::FpTrap, w);
        }
        let number = self.functions.number(function);
        let code = match function {
            SimdOp::Data(_) => Code::SimdData,
            SimdOp::Flags(_) => Code::SimdFlags,
        };
        self.emit(Operation { code, imm: u64::from(w.0) | (number as u64) << 32, ..Operation::default() });
        Go::On
    }

    /// "Loads and Stores".
    fn load_store(&mut self, w: Word) -> Go {
        if w.bit(26) && self.context.has(Context::FP_TRAP) && self.is_vector_access(w) {
            return self.end(Code::FpTrap, w);
        }
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
        let (used, accesses, fence, sp_checked, context) =
            (self.used, self.accesses, self.fence, self.sp_checked, self.context);
        self.context = Context(context.0 & !Context::FP_TRAP);
        let allocated = self.load_store(w) == Go::On;
        (self.used, self.accesses, self.fence, self.sp_checked, self.context) =
            (used, accesses, fence, sp_checked, context);
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
            self.sp_checked = false;
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
            self.sp_checked = false;
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
            self.sp_checked = false;
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

/// A system register that is storage and nothing else, and is not trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Field {
    SpEl0,
    TpidrEl1,
    TpidrEl0,
    TpidrroEl0,
    ElrEl1,
    SpsrEl1,
    EsrEl1,
    FarEl1,
}

impl Field {
    /// Returns the register of a number.
    #[inline(always)]
    pub(crate) const fn from_number(number: u64) -> Self {
        match number & 7 {
            0 => Self::SpEl0,
            1 => Self::TpidrEl1,
            2 => Self::TpidrEl0,
            3 => Self::TpidrroEl0,
            4 => Self::ElrEl1,
            5 => Self::SpsrEl1,
            6 => Self::EsrEl1,
            _ => Self::FarEl1,
        }
    }
}

/// Which register an MRS or MSR without its transfer register names.
const fn field_of(word: u32) -> Option<Field> {
    Some(match word {
        0xd538_4100 | 0xd518_4100 => Field::SpEl0,
        0xd538_d080 | 0xd518_d080 => Field::TpidrEl1,
        0xd53b_d040 | 0xd51b_d040 => Field::TpidrEl0,
        0xd53b_d060 => Field::TpidrroEl0,
        0xd538_4020 | 0xd518_4020 => Field::ElrEl1,
        // A write of SPSR_EL1 keeps some bits and not others.
        0xd538_4000 => Field::SpsrEl1,
        0xd538_5200 => Field::EsrEl1,
        0xd538_6000 => Field::FarEl1,
        _ => return None,
    })
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

const fn destination(n: usize) -> u8 {
    if n == 31 { DISCARD } else { n as u8 }
}

const fn with_sp(n: usize) -> u8 {
    if n == 31 { SP } else { n as u8 }
}

fn page_index(pc: u64) -> u16 {
    (pc >> 2 & 0x3ff) as u16
}

const fn add_code(subtract: bool, flags: bool, wide: bool) -> Code {
    match (subtract, flags, wide) {
        (false, false, true) => Code::AddR64,
        (false, false, false) => Code::AddR32,
        (false, true, true) => Code::AddsR64,
        (false, true, false) => Code::AddsR32,
        (true, false, true) => Code::SubR64,
        (true, false, false) => Code::SubR32,
        (true, true, true) => Code::SubsR64,
        (true, true, false) => Code::SubsR32,
    }
}

/// The operation that is a comparison and a conditional branch in one.
fn joined(last: Operation, condition: u32) -> Option<Code> {
    use Code::*;
    // Conditions by number: EQ, NE, CS, CC, HI, LS, GE, LT, GT, LE.
    let position = match condition {
        0..=3 => condition,
        8..=13 => condition - 4,
        _ => return None,
    } as usize;
    const SUBTRACT: [[Code; 10]; 4] = [
        [
            SubsI64Eq, SubsI64Ne, SubsI64Cs, SubsI64Cc, SubsI64Hi, SubsI64Ls, SubsI64Ge, SubsI64Lt,
            SubsI64Gt, SubsI64Le,
        ],
        [
            SubsI32Eq, SubsI32Ne, SubsI32Cs, SubsI32Cc, SubsI32Hi, SubsI32Ls, SubsI32Ge, SubsI32Lt,
            SubsI32Gt, SubsI32Le,
        ],
        [
            SubsR64Eq, SubsR64Ne, SubsR64Cs, SubsR64Cc, SubsR64Hi, SubsR64Ls, SubsR64Ge, SubsR64Lt,
            SubsR64Gt, SubsR64Le,
        ],
        [
            SubsR32Eq, SubsR32Ne, SubsR32Cs, SubsR32Cc, SubsR32Hi, SubsR32Ls, SubsR32Ge, SubsR32Lt,
            SubsR32Gt, SubsR32Le,
        ],
    ];
    const TEST: [[Code; 2]; 4] =
        [[AndsI64Eq, AndsI64Ne], [AndsI32Eq, AndsI32Ne], [AndsR64Eq, AndsR64Ne], [AndsR32Eq, AndsR32Ne]];
    match last.code {
        SubsI64 => Some(SUBTRACT[0][position]),
        SubsI32 => Some(SUBTRACT[1][position]),
        SubsR64 => Some(SUBTRACT[2][position]),
        SubsR32 => Some(SUBTRACT[3][position]),
        // Masks that are not their own low half, sign-extended, do not fit beside the link.
        AndsI64 if last.imm as i32 as u64 == last.imm => Some(*TEST[0].get(position)?),
        AndsI32 => Some(*TEST[1].get(position)?),
        AndsR64 => Some(*TEST[2].get(position)?),
        AndsR32 => Some(*TEST[3].get(position)?),
        _ => None,
    }
}

/// The operation that is a comparison and branch with the step of its register before it.
fn stepped(before: Operation, compare: Operation) -> Option<Operation> {
    let code = match (before.code, compare.code) {
        (Code::AddI64, Code::SubsI64Ne) => Code::StepI64Ne,
        (Code::AddI32, Code::SubsI32Ne) => Code::StepI32Ne,
        (Code::AddI64, Code::SubsR64Ne) => Code::StepR64Ne,
        (Code::AddI32, Code::SubsR32Ne) => Code::StepR32Ne,
        _ => return None,
    };
    let register = before.a;
    let small = before.imm.wrapping_add(32);
    let other = if code == Code::StepR64Ne || code == Code::StepR32Ne { compare.c } else { ZERO };
    let fits = before.b == register && compare.b == register && compare.a == DISCARD && small < 64;
    // The stepped register on both sides, or SP, is left alone.
    if !fits || other == register || register == SP {
        return None;
    }
    Some(Operation { code, a: register, b: other, c: small as u8, ..compare })
}

/// Returns the mask of a logical immediate; `None` where it is reserved. Arm ARM, DecodeBitMasks.
pub(crate) fn bit_mask(n: bool, imms: u32, immr: u32, wide: bool) -> Option<u64> {
    let combined = u32::from(n) << 6 | !imms & 63;
    let length = combined.checked_ilog2()?;
    if length == 0 || n && !wide {
        return None;
    }
    let size = 1_u32 << length;
    let levels = size - 1;
    let (s, r) = (imms & levels, immr & levels);
    if s == levels {
        return None;
    }
    let ones = u64::MAX >> (63 - s);
    let element = if r == 0 {
        ones
    } else {
        let keep = u64::MAX >> (64 - size);
        (ones >> r | ones << (size - r)) & keep
    };
    let mut mask = element;
    let mut width = size;
    while width < 64 {
        mask |= mask << width;
        width *= 2;
    }
    Some(if wide { mask } else { mask & 0xffff_ffff })
}
