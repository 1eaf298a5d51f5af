//! From instruction words to operations.
//!
//! Everything that is not UNDEFINED is recognised here once, exactly: every field that the
//! architecture reserves is looked at (Arm ARM, "A64 instruction set encoding"). What is common becomes an
//! operation of its own, often for two instructions together; what is rare keeps its word and is taken apart when
//! executed.
#![expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a numeric kernel: fields are masked, positions in the block are bounded by its size"
)]

mod control;
mod functions;
mod immediate;
mod load_store;
mod register;

use crate::block::{Code, MAX_INSTRUCTIONS, MAX_OPS, Op, Operation};
use crate::memory::Word;
use crate::ram::PagePtr;
use crate::simd::{self, SimdOp};
use crate::state::{DISCARD, SP};
pub(crate) use control::Field;
pub use functions::Function;
pub(crate) use functions::Functions;

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
    /// SP is not a multiple of 16, and that matters: every use of it as a base is checked. Without
    /// this bit a block checks SP where it is written instead.
    pub(crate) const CHECK_SP: u32 = 4;
    /// An access to one of the registers that are only storage traps: none of them has an operation of its own.
    pub(crate) const TRAPS: u32 = 8;

    const fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }
}
/// Whether decoding goes on after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Go {
    On,
    End,
}

/// Branches of a block, and where they go. The caller has them, so that they are on the stack once, however the decoder
/// is handed on.
pub(crate) type Branches = [(u16, u64); MAX_INSTRUCTIONS + 1];

/// What [`Branches`] are before the first.
pub(crate) const NO_BRANCHES: Branches = [(0, 0); MAX_INSTRUCTIONS + 1];

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
    /// The instruction may have made SP something else.
    sp_written: bool,
    /// The last operation is this instruction's or may not be joined with the next.
    fence: usize,
    branches: &'a mut Branches,
    branch_count: usize,
}

impl<'a, 'f> Decoder<'a, 'f> {
    /// Starts a block at a virtual address.
    pub(crate) fn new(
        ops: &'a [Op],
        functions: &'a mut Functions<'f>,
        branches: &'a mut Branches,
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
            sp_written: false,
            fence: 1,
            branches,
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
            if core::mem::take(&mut self.sp_written) && !self.context.has(Context::CHECK_SP) {
                self.followed(Code::SpWritten, 0, 0);
            }
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
            let Some(&(at, target)) = self.branches.get(n) else { break };
            let Some(branch) = self.ops.get(usize::from(at)) else { break };
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
                    if let Some(op) = self.ops.get(self.used) {
                        op.set(stub);
                        self.used += 1;
                    }
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
        if let Some(branch) = self.branches.get_mut(self.branch_count) {
            *branch = (self.used as u16, target);
            self.branch_count += 1;
        }
        self.emit(Operation { code, d: self.instructions, e: self.accesses, ..op });
    }

    /// The last operation, if the next may be joined with it.
    fn last(&self) -> Option<Operation> {
        if self.used <= self.fence {
            return None;
        }
        self.ops.get(self.used - 1).map(Op::get)
    }

    /// Replaces the last operation.
    fn join(&mut self, op: Operation) {
        self.used -= 1;
        self.emit(op);
    }

    /// The instruction may leave SP anything.
    fn sp_is_written(&mut self) {
        self.sp_checked = false;
        self.sp_written = true;
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

    /// Arm ARM, "A64 instruction set encoding", its first table.
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
