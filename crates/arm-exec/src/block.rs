//! Decoded instructions, the blocks they form, and where they are kept.
//!
//! A block starts where a branch, an exception or the run loop arrives, and goes on through branches
//! that are not taken until an unconditional one, an instruction after which decoding may depend on
//! something else, the end of the page, or [`MAX_INSTRUCTIONS`]. In the array of operations it is
//!
//! ```text
//!   Head  op op … branch op … end  stub stub …
//!         └ start of the block      └ one for each branch whose target is not decoded yet
//! ```
//!
//! A branch names the operation to go on with: first its stub, which leaves the loop, so that the
//! target is found or decoded and the branch is made to name that. Targets in the same page are named
//! for good: they disappear together with the branch. To others goes the stub, which becomes an
//! [`Code::Cross`]: it holds the generation of translations for which it is true.
#![expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "positions are bounded by the length of what they index, which is below 2^32"
)]

use crate::ram::Confined;
use crate::state::Slot;
use core::cell::Cell;

/// Instructions that a block may have.
pub(crate) const MAX_INSTRUCTIONS: usize = 64;
/// Operations that a block may have, with head and stubs.
pub(crate) const MAX_OPS: usize = 512;

/// What an operation does. Operands are named as in [`Op`]; `64` and `32` are operand sizes, `I` an
/// immediate, `R` a register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
#[rustfmt::skip]
pub(crate) enum Code {
    /// Start of a block: `imm` is its virtual address. Never executed.
    #[default]
    Head,
    // Ends and branches: imm[31:0] is the operation to go on with, d and e count instructions and accesses.
    Stub, Cross, Goto, Bl, Br, Blr,
    Beq, Bne, Bcs, Bcc, Bmi, Bpl, Bvs, Bvc, Bhi, Bls, Bge, Blt, Bgt, Ble,
    Cbz64, Cbnz64, Cbz32, Cbnz32, Tbz, Tbnz,
    // Comparison (also with a result) and branch in one; imm[63:32] is the immediate.
    SubsI64Eq, SubsI64Ne, SubsI64Cs, SubsI64Cc, SubsI64Hi, SubsI64Ls, SubsI64Ge, SubsI64Lt, SubsI64Gt, SubsI64Le,
    SubsI32Eq, SubsI32Ne, SubsI32Cs, SubsI32Cc, SubsI32Hi, SubsI32Ls, SubsI32Ge, SubsI32Lt, SubsI32Gt, SubsI32Le,
    SubsR64Eq, SubsR64Ne, SubsR64Cs, SubsR64Cc, SubsR64Hi, SubsR64Ls, SubsR64Ge, SubsR64Lt, SubsR64Gt, SubsR64Le,
    SubsR32Eq, SubsR32Ne, SubsR32Cs, SubsR32Cc, SubsR32Hi, SubsR32Ls, SubsR32Ge, SubsR32Lt, SubsR32Gt, SubsR32Le,
    AndsI64Eq, AndsI64Ne, AndsI32Eq, AndsI32Ne, AndsR64Eq, AndsR64Ne, AndsR32Eq, AndsR32Ne,
    // The end of a loop: `a` plus `c`, compared with the immediate or `b`.
    StepI64Ne, StepI32Ne, StepR64Ne, StepR32Ne,
    // Arithmetic and logic.
    MovI, Mov64, Mov32, Movk64, Movk32,
    AddI64, AddI32, AndI, OrrI64, OrrI32, EorI64, EorI32,
    SubsI64, SubsI32, AddsI64, AddsI32, AndsI64, AndsI32,
    AddR64, AddR32, AddLsl64, AddLsl32, AddLsr64, AddLsr32,
    SubR64, SubR32, SubLsl64, SubLsl32, SubLsr64, SubLsr32,
    AndR64, AndR32, AndLsl64, AndLsl32, AndLsr64, AndLsr32,
    OrrR64, OrrR32, OrrLsl64, OrrLsl32, OrrLsr64, OrrLsr32,
    EorR64, EorR32, EorLsl64, EorLsl32, EorLsr64, EorLsr32, EorRor64, EorRor32,
    BicR64, BicR32, OrnR64, OrnR32, EonR64, EonR32,
    AddUxtw, AddSxtw,
    SubsR64, SubsR32, AddsR64, AddsR32, AndsR64, AndsR32,
    Ubfx, Ubfiz, Sbf64, Sbf32, Bfm64, Bfm32, Ror64, Ror32, Extr64, Extr32, Sxtw,
    Lslv64, Lslv32, Lsrv64, Lsrv32, Asrv64, Asrv32,
    Mul64, Mul32, Madd64, Madd32, Msub64, Msub32, Smaddl, Umaddl, Umulh,
    Udiv64, Udiv32, Sdiv64, Sdiv32, Clz64, Clz32, Rev64, Rev32,
    Csel64, Csel32, Csinc64, Csinc32, Csinv64, Csinv32, Csneg64, Csneg32,
    Ccmp,
    // Loads and stores: `a` from or to `b` plus immediate, or plus (`c` and `imm`) shifted by `d`.
    Ldrb, Ldrh, Ldrw, Ldrx, Ldrsb64, Ldrsb32, Ldrsh64, Ldrsh32, Ldrsw, Strb, Strh, Strw, Strx,
    LdrbR, LdrhR, LdrwR, LdrxR, Ldrsb64R, Ldrsb32R, Ldrsh64R, Ldrsh32R, LdrswR, StrbR, StrhR, StrwR, StrxR,
    LdrbPost, LdrwPost, LdrxPost, StrbPost, StrwPost, StrxPost,
    Ldp64, Ldp32, Stp64, Stp32, LdpPost64, StpPre64,
    LdrS, LdrD, LdrQ, StrS, StrD, StrQ, LdpQ, StpQ, LdpD, StpD,
    // The rest: `imm[31:0]` is the instruction.
    CheckSp, SpWritten, Fence, Rare, Memory, SimdData, SimdFlags, System, FpTrap, Undefined,
    // System instructions that are frequent and simple. Those that may leave the loop are followed by their address.
    MrsField, MsrField, MrsDaif, DaifSet, DaifClr, MsrDaif, DcZva,
}

/// Index into the register file of a [`State`](crate::state::State). A type of its own, so that the
/// compiler knows it is below 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
#[rustfmt::skip]
pub(crate) enum Reg {
    #[default]
    R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11, R12, R13, R14, R15, R16, R17, R18, R19, R20, R21, R22, R23, R24, R25, R26, R27, R28, R29, R30, R31, R32, R33, R34, R35, R36, R37, R38, R39, R40, R41, R42, R43, R44, R45, R46, R47, R48, R49, R50, R51, R52, R53, R54, R55, R56, R57, R58, R59, R60, R61, R62, R63,
}

impl Reg {
    #[rustfmt::skip]
    const ALL: [Self; 64] = {
        use Reg::*;
        [R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11, R12, R13, R14, R15, R16, R17, R18, R19, R20, R21, R22, R23, R24, R25, R26, R27, R28, R29, R30, R31, R32, R33, R34, R35, R36, R37, R38, R39, R40, R41, R42, R43, R44, R45, R46, R47, R48, R49, R50, R51, R52, R53, R54, R55, R56, R57, R58, R59, R60, R61, R62, R63]
    };

    /// Makes it of a slot.
    #[inline]
    pub(crate) const fn new(slot: Slot) -> Self {
        Self::ALL[(slot & 63) as usize]
    }

    /// Returns the index.
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// One decoded operation as the decoder makes it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Operation {
    /// What it does.
    pub(crate) code: Code,
    /// Destination, or the register loaded or stored.
    pub(crate) a: Slot,
    /// First source or base.
    pub(crate) b: Slot,
    /// Second source or index.
    pub(crate) c: Slot,
    /// Shift, condition, third source; for branches the instructions executed when it is taken.
    pub(crate) d: u8,
    /// For branches the accesses to memory done when it is taken.
    pub(crate) e: u8,
    /// Which instruction of the page it belongs to; for stubs the distance from their branch.
    pub(crate) off: u16,
    /// Immediate.
    pub(crate) imm: u64,
}

/// One decoded operation as the executor reads it: 16 bytes, each field loaded only where it is used.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct Op {
    pub(crate) code: Cell<Code>,
    pub(crate) a: Cell<Reg>,
    pub(crate) b: Cell<Reg>,
    pub(crate) c: Cell<Reg>,
    pub(crate) d: Cell<u8>,
    pub(crate) e: Cell<u8>,
    pub(crate) off: Cell<u16>,
    pub(crate) imm: Cell<u64>,
}

const _: () = assert!(core::mem::size_of::<Op>() == 16);

impl Op {
    pub(crate) fn set(&self, new: Operation) {
        let Operation { code, a, b, c, d, e, off, imm } = new;
        self.code.set(code);
        self.a.set(Reg::new(a));
        self.b.set(Reg::new(b));
        self.c.set(Reg::new(c));
        self.d.set(d);
        self.e.set(e);
        self.off.set(off);
        self.imm.set(imm);
    }

    pub(crate) fn get(&self) -> Operation {
        Operation {
            code: self.code.get(),
            a: self.a.get() as Slot,
            b: self.b.get() as Slot,
            c: self.c.get() as Slot,
            d: self.d.get(),
            e: self.e.get(),
            off: self.off.get(),
            imm: self.imm.get(),
        }
    }
}

/// One block: what it was decoded from and for, and where it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Block {
    /// Virtual address.
    va: u64,
    /// Absolute address of the page.
    page: u64,
    /// First block of the bucket whose number is this block's own: the table's other half.
    bucket: u32,
    /// Next block of the bucket this block is in.
    next: u32,
    /// Its first operation.
    start: u32,
    /// What else decoding depended on.
    context: u32,
}

/// A remembered target of an indirect branch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Jump {
    /// Virtual address.
    pub(crate) va: u64,
    /// First operation of the block there.
    pub(crate) start: u32,
    /// The generation and context for which it is true.
    pub(crate) key: u32,
}

/// Where operations and blocks are kept: both are handed out in order, and when either is used up
/// everything is dropped.
#[derive(Debug)]
pub(crate) struct Store<'m> {
    ops: Confined<'m, [Op]>,
    blocks: Confined<'m, [Cell<Block>]>,
    used_ops: usize,
    used_blocks: usize,
}

const NONE: u32 = u32::MAX;
/// Buckets that the blocks of one page are spread over.
const SPREAD: usize = 16;

impl<'m> Store<'m> {
    /// Takes the caller's memory; `None` where it is too small.
    pub(crate) fn new(ops: &'m mut [Op], blocks: &'m mut [Block]) -> Option<Self> {
        if ops.len() < 8 * MAX_OPS || ops.len() >= NONE as usize || blocks.len() < 256 {
            return None;
        }
        let mut store =
            Self { ops: Confined::new(ops), blocks: Confined::cells(blocks), used_ops: 0, used_blocks: 0 };
        store.clear();
        Some(store)
    }

    /// Returns the operations.
    #[inline(always)]
    pub(crate) fn ops(&self) -> &'m [Op] {
        self.ops.get()
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        (self.used_ops, self.used_blocks) = (0, 0);
        for block in self.blocks.get() {
            block.set(Block { bucket: NONE, next: NONE, ..Block::default() });
        }
    }

    /// Whether there is room for another block.
    pub(crate) fn has_room(&self) -> bool {
        self.ops.get().len() - self.used_ops >= MAX_OPS && self.used_blocks < self.blocks.get().len()
    }

    /// The first operation that is free: where the next block's head goes.
    pub(crate) fn free(&self) -> usize {
        self.used_ops
    }

    fn bucket(&self, page: u64, va: u64) -> Option<&'m Cell<Block>> {
        let number = (page >> 12).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let number = (number as usize & !(SPREAD - 1)) + ((va >> 8) as usize & (SPREAD - 1));
        let blocks = self.blocks.get();
        blocks.get(number.checked_rem(blocks.len())?)
    }

    /// Returns the first operation of the block decoded from `page` for `va` in `context`.
    pub(crate) fn find(&self, page: u64, va: u64, context: u32) -> Option<u32> {
        let mut at = self.bucket(page, va)?.get().bucket;
        while let Some(block) = self.blocks.get().get(at as usize) {
            let block = block.get();
            if block.va == va && block.page == page && block.context == context {
                return Some(block.start);
            }
            at = block.next;
        }
        None
    }

    /// Adds the block whose operations lie from `free` to `end`.
    pub(crate) fn add(&mut self, page: u64, va: u64, context: u32, end: usize) -> u32 {
        let start = (self.used_ops + 1) as u32;
        let number = self.used_blocks;
        if let (Some(bucket), Some(block)) = (self.bucket(page, va), self.blocks.get().get(number)) {
            let next = bucket.get().bucket;
            block.set(Block { va, page, next, start, context, ..block.get() });
            bucket.set(Block { bucket: number as u32, ..bucket.get() });
        }
        self.used_ops = end;
        self.used_blocks += 1;
        start
    }

    /// Forgets the blocks decoded from a page; returns whether there were any. Their operations stay
    /// where they are until everything is dropped.
    pub(crate) fn remove_page(&mut self, page: u64) -> bool {
        let mut found = false;
        for spread in 0..SPREAD {
            let Some(bucket) = self.bucket(page, (spread as u64) << 8) else { break };
            let mut before = None::<&Cell<Block>>;
            let mut at = bucket.get().bucket;
            while let Some(block) = self.blocks.get().get(at as usize) {
                let this = block.get();
                if this.page == page {
                    found = true;
                    match before {
                        Some(before) => before.set(Block { next: this.next, ..before.get() }),
                        None => bucket.set(Block { bucket: this.next, ..bucket.get() }),
                    }
                } else {
                    before = Some(block);
                }
                at = this.next;
            }
        }
        found
    }

    /// Returns the virtual address of the instruction that an operation belongs to.
    pub(crate) fn address(&self, op: usize) -> u64 {
        let off = self.ops().get(op).map_or(0, |op| op.off.get());
        (self.head(op) & !0xfff) | (u64::from(off) << 2)
    }

    /// Returns the virtual address of the block that holds an operation.
    pub(crate) fn head(&self, op: usize) -> u64 {
        let before = self.ops().get(..=op).unwrap_or_default();
        before.iter().rev().find(|op| op.code.get() == Code::Head).map_or(0, |head| head.imm.get())
    }

    /// Returns the virtual address that a branch with this link goes to.
    pub(crate) fn destination(&self, link: u32) -> u64 {
        let at = link as usize;
        let block = |start: usize| self.ops().get(start.wrapping_sub(1)).map_or(0, |head| head.imm.get());
        match self.ops().get(at).map(Op::get) {
            Some(Operation { code: Code::Stub, imm, .. }) => imm,
            Some(Operation { code: Code::Cross, imm, .. }) => block(imm as u32 as usize),
            _ => block(at),
        }
    }
}
