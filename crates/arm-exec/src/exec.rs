//! The executor: one loop, one `match`.
//!
//! Everything that is not short is a call to a cold function, so that the loop's own state (the next
//! operation, the element itself, what is counted) stays in host registers. Registers of the guest
//! are read and written by slots below 64, which the mask proves to the compiler.
#![expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a numeric kernel: arithmetic is the guest's, modulo 2^n; indices are masked to the length of what they index"
)]

use crate::block::{Code, Op};
use crate::decode::Field;
use crate::flow::{Flow, Host};
use crate::pe::{JUMPS, Pe};
use crate::state::{Flags, SP};
use arm_arch::PState;
use core::cell::Cell;

/// Why the executor left its loop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// Between two blocks: the blocks allowed are used up, or somebody wants something. `state.pc` is
    /// the next instruction.
    Boundary,
    /// At a branch whose target is not known yet: the stub.
    Unlinked(usize),
    /// After an indirect branch to an address that is not remembered: `state.pc`.
    Indirect,
    /// An instruction could not access memory: its operation. The abort is kept in the element.
    Abort(usize),
    /// The stack pointer is not aligned: the operation.
    SpAlignment(usize),
    /// A system instruction did this; `state.pc` is its address, or as [`Flow`] says.
    System(Flow),
    /// FP and SIMD are trapped: the operation.
    FpTrap(usize),
    /// Not an instruction: the operation.
    Undefined(usize),
}

/// For each condition the set of NZCV values (as a bit number) that fulfil it. Arm ARM,
/// ConditionHolds.
const CONDITIONS: [u16; 16] = {
    let mut table = [0_u16; 16];
    let mut nzcv = 0;
    while nzcv < 16 {
        let (n, z, c, v) = (nzcv & 8 != 0, nzcv & 4 != 0, nzcv & 2 != 0, nzcv & 1 != 0);
        let holds = [z, c, n, v, c && !z, n == v, n == v && !z, true];
        let mut condition = 0;
        while condition < 16 {
            // 0b1111 is "always" as well.
            if holds[condition >> 1] != (condition & 1 == 1 && condition != 15) {
                table[condition] |= 1 << nzcv;
            }
            condition += 1;
        }
        nzcv += 1;
    }
    table
};

impl Flags {
    /// Whether a condition holds. Arm ARM, ConditionHolds.
    #[inline(always)]
    pub(crate) fn hold(&self, condition: u8) -> bool {
        let nzcv = (self.n >> 63) << 3 | u64::from(self.z == 0) << 2 | (self.c & 1) << 1 | self.v >> 63;
        CONDITIONS[usize::from(condition & 15)] >> nzcv & 1 != 0
    }

    /// Returns the flags and the result of an addition with carry. Arm ARM, AddWithCarry.
    #[inline(always)]
    pub(crate) const fn add64(a: u64, b: u64, carry: u64) -> (Self, u64) {
        let sum = a as u128 + b as u128 + carry as u128;
        let result = sum as u64;
        (Self { n: result, z: result, c: (sum >> 64) as u64, v: (a ^ result) & (b ^ result) }, result)
    }

    /// As [`add64`](Self::add64) for 32 bits.
    #[inline(always)]
    pub(crate) const fn add32(a: u64, b: u64, carry: u64) -> (Self, u64) {
        let sum = (a as u32 as u64) + (b as u32 as u64) + carry;
        let result = sum as u32 as u64;
        (Self { n: result << 32, z: result, c: sum >> 32, v: ((a ^ result) & (b ^ result)) << 32 }, result)
    }

    #[inline(always)]
    const fn sub64(a: u64, b: u64) -> (Self, u64) {
        let result = a.wrapping_sub(b);
        (Self { n: result, z: result, c: (a >= b) as u64, v: (a ^ b) & (a ^ result) }, result)
    }

    #[inline(always)]
    const fn sub32(a: u64, b: u64) -> (Self, u64) {
        let result = (a as u32).wrapping_sub(b as u32) as u64;
        (
            Self {
                n: result << 32,
                z: result,
                c: (a as u32 >= b as u32) as u64,
                v: ((a ^ b) & (a ^ result)) << 32,
            },
            result,
        )
    }

    #[inline(always)]
    const fn logic64(result: u64) -> Self {
        Self { n: result, z: result, c: 0, v: 0 }
    }

    #[inline(always)]
    const fn logic32(result: u64) -> Self {
        Self { n: result << 32, z: result, c: 0, v: 0 }
    }
}

impl<'m> Pe<'m> {
    /// Executes blocks from the one that starts at operation `start`, each branch taken costing one
    /// of `fuel`. Maps and context must be those of the state.
    #[inline(never)]
    pub(crate) fn execute(&mut self, env: &dyn Host<'m>, start: u32, fuel: &mut u32) -> Stop {
        let ops: &'m [Op] = self.store.ops();
        let jumps: &'m [Cell<crate::block::Jump>; JUMPS] = self.jumps();
        let mailbox = self.mailbox;
        let (reads, writes) = (self.reads, self.writes);
        let mut iter = ops.get(start as usize..).unwrap_or_default().iter();
        let mut counts = 0_u64;
        let mut left = *fuel;

        let stop = 'run: loop {
            // Leaves with the branch that was taken.
            let link = 'block: loop {
                let Some(op) = iter.next() else { break 'run Stop::Boundary };

                macro_rules! x {
                    ($slot:ident) => {
                        self.state.x[op.$slot.get().index()]
                    };
                }
                macro_rules! set {
                    ($value:expr) => {{
                        let value = $value;
                        self.state.x[op.a.get().index()] = value;
                    }};
                }
                macro_rules! set32 {
                    ($value:expr) => {{
                        let value = u64::from($value as u32);
                        self.state.x[op.a.get().index()] = value;
                    }};
                }
                macro_rules! here {
                    () => {
                        ops.len() - iter.len() - 1
                    };
                }
                macro_rules! taken {
                    () => {{
                        counts += u64::from(op.d.get()) | u64::from(op.e.get()) << 32;
                        break 'block op.imm.get() as u32;
                    }};
                }
                macro_rules! branch_if {
                    ($condition:expr) => {{
                        if $condition {
                            taken!();
                        }
                    }};
                }
                macro_rules! compare_branch {
                    ($flags:ident, $right:expr, $ty:ty, |$l:ident, $r:ident| $condition:expr) => {{
                        let (left, right) = (x!(b), $right);
                        let (flags, result) = Flags::$flags(left, right);
                        self.state.flags = flags;
                        set!(result);
                        let ($l, $r) = (left as $ty, right as $ty);
                        branch_if!($condition)
                    }};
                }
                macro_rules! test_branch {
                    ($flags:ident, $result:expr, $ty:ty, $zero:literal) => {{
                        let result = $result as $ty as u64;
                        self.state.flags = Flags::$flags(result);
                        set!(result);
                        branch_if!((result == 0) == $zero)
                    }};
                }
                macro_rules! load {
                    ($load:ident, $bytes:literal, $va:expr) => {{
                        let va = $va;
                        match reads.$load(va) {
                            Some(value) => u64::from(value),
                            None => match self.load_slow(env, va, $bytes) {
                                Some(value) => value,
                                None => break 'run Stop::Abort(here!()),
                            },
                        }
                    }};
                }
                macro_rules! store {
                    ($store:ident, $ty:ty, $bytes:literal, $va:expr, $value:expr) => {{
                        let (va, value) = ($va, $value);
                        if writes.$store(va, value as $ty).is_none()
                            && self.store_slow(env, va, $bytes, value as $ty as u64).is_none()
                        {
                            break 'run Stop::Abort(here!());
                        }
                    }};
                }
                macro_rules! wide_imm {
                    () => {
                        (op.imm.get() as i64 >> 32) as u64
                    };
                }
                macro_rules! step {
                    ($flags:ident, $set:ident, $right:expr) => {{
                        let step = (op.c.get() as u64).wrapping_sub(32);
                        let right = $right;
                        $set!(x!(a).wrapping_add(step));
                        let (flags, result) = Flags::$flags(x!(a), right);
                        self.state.flags = flags;
                        branch_if!(result != 0)
                    }};
                }
                macro_rules! near {
                    () => {
                        x!(b).wrapping_add(op.imm.get())
                    };
                }
                macro_rules! indexed {
                    () => {
                        x!(b).wrapping_add((x!(c) & op.imm.get()) << (op.d.get() & 7))
                    };
                }

                // Something may be due that the masks held back: the loop is left if so.
                macro_rules! unmasked {
                    () => {{
                        let Some(data) = iter.next() else { break 'run Stop::Boundary };
                        if !self.is_quiet() {
                            counts += u64::from(op.d.get()) | u64::from(op.e.get()) << 32;
                            self.state.pc = data.imm.get();
                            break 'run Stop::System(Flow::Context);
                        }
                    }};
                }

                match op.code.get() {
                    Code::Goto => taken!(),
                    Code::Bl => {
                        let Some(data) = iter.next() else { break 'run Stop::Boundary };
                        self.state.x[30] = data.imm.get();
                        taken!()
                    }
                    Code::Cross => {
                        if self.keys[op.a.get().index() & 1] == (op.imm.get() >> 32) as u32 {
                            iter = match ops.get(op.imm.get() as u32 as usize..) {
                                Some(rest) => rest.iter(),
                                None => break 'run Stop::Boundary,
                            };
                        } else {
                            break 'run Stop::Unlinked(here!());
                        }
                    }
                    Code::Stub => break 'run Stop::Unlinked(here!()),
                    Code::Br | Code::Blr => {
                        counts += u64::from(op.d.get()) | u64::from(op.e.get()) << 32;
                        let target = x!(b);
                        // BR and RET write the value to where nobody looks.
                        set!(op.imm.get());
                        let jump = jumps[(target >> 2) as usize & (JUMPS - 1)].get();
                        if jump.va == target && jump.key == self.keys[(target >> 55) as usize & 1] {
                            break 'block jump.start;
                        }
                        self.state.pc = target;
                        break 'run Stop::Indirect;
                    }
                    Code::Beq => branch_if!(self.state.flags.z == 0),
                    Code::Bne => branch_if!(self.state.flags.z != 0),
                    Code::Bcs => branch_if!(self.state.flags.c & 1 != 0),
                    Code::Bcc => branch_if!(self.state.flags.c & 1 == 0),
                    Code::Bmi => branch_if!((self.state.flags.n as i64) < 0),
                    Code::Bpl => branch_if!((self.state.flags.n as i64) >= 0),
                    Code::Bvs => branch_if!((self.state.flags.v as i64) < 0),
                    Code::Bvc => branch_if!((self.state.flags.v as i64) >= 0),
                    Code::Bhi => branch_if!(self.state.flags.c & 1 != 0 && self.state.flags.z != 0),
                    Code::Bls => branch_if!(self.state.flags.c & 1 == 0 || self.state.flags.z == 0),
                    Code::Bge => branch_if!(((self.state.flags.n ^ self.state.flags.v) as i64) >= 0),
                    Code::Blt => branch_if!(((self.state.flags.n ^ self.state.flags.v) as i64) < 0),
                    Code::Bgt => branch_if!(
                        ((self.state.flags.n ^ self.state.flags.v) as i64) >= 0 && self.state.flags.z != 0
                    ),
                    Code::Ble => {
                        branch_if!(
                            ((self.state.flags.n ^ self.state.flags.v) as i64) < 0 || self.state.flags.z == 0
                        )
                    }
                    Code::Cbz64 => branch_if!(x!(b) == 0),
                    Code::Cbnz64 => branch_if!(x!(b) != 0),
                    Code::Cbz32 => branch_if!(x!(b) as u32 == 0),
                    Code::Cbnz32 => branch_if!(x!(b) as u32 != 0),
                    Code::Tbz => branch_if!(x!(b) >> (op.c.get() as u8 & 63) & 1 == 0),
                    Code::Tbnz => branch_if!(x!(b) >> (op.c.get() as u8 & 63) & 1 != 0),

                    Code::SubsI64Eq => compare_branch!(sub64, wide_imm!(), u64, |l, r| l == r),
                    Code::SubsI64Ne => compare_branch!(sub64, wide_imm!(), u64, |l, r| l != r),
                    Code::SubsI64Cs => compare_branch!(sub64, wide_imm!(), u64, |l, r| l >= r),
                    Code::SubsI64Cc => compare_branch!(sub64, wide_imm!(), u64, |l, r| l < r),
                    Code::SubsI64Hi => compare_branch!(sub64, wide_imm!(), u64, |l, r| l > r),
                    Code::SubsI64Ls => compare_branch!(sub64, wide_imm!(), u64, |l, r| l <= r),
                    Code::SubsI64Ge => compare_branch!(sub64, wide_imm!(), i64, |l, r| l >= r),
                    Code::SubsI64Lt => compare_branch!(sub64, wide_imm!(), i64, |l, r| l < r),
                    Code::SubsI64Gt => compare_branch!(sub64, wide_imm!(), i64, |l, r| l > r),
                    Code::SubsI64Le => compare_branch!(sub64, wide_imm!(), i64, |l, r| l <= r),
                    Code::SubsI32Eq => compare_branch!(sub32, wide_imm!(), u32, |l, r| l == r),
                    Code::SubsI32Ne => compare_branch!(sub32, wide_imm!(), u32, |l, r| l != r),
                    Code::SubsI32Cs => compare_branch!(sub32, wide_imm!(), u32, |l, r| l >= r),
                    Code::SubsI32Cc => compare_branch!(sub32, wide_imm!(), u32, |l, r| l < r),
                    Code::SubsI32Hi => compare_branch!(sub32, wide_imm!(), u32, |l, r| l > r),
                    Code::SubsI32Ls => compare_branch!(sub32, wide_imm!(), u32, |l, r| l <= r),
                    Code::SubsI32Ge => compare_branch!(sub32, wide_imm!(), i32, |l, r| l >= r),
                    Code::SubsI32Lt => compare_branch!(sub32, wide_imm!(), i32, |l, r| l < r),
                    Code::SubsI32Gt => compare_branch!(sub32, wide_imm!(), i32, |l, r| l > r),
                    Code::SubsI32Le => compare_branch!(sub32, wide_imm!(), i32, |l, r| l <= r),
                    Code::SubsR64Eq => compare_branch!(sub64, x!(c), u64, |l, r| l == r),
                    Code::SubsR64Ne => compare_branch!(sub64, x!(c), u64, |l, r| l != r),
                    Code::SubsR64Cs => compare_branch!(sub64, x!(c), u64, |l, r| l >= r),
                    Code::SubsR64Cc => compare_branch!(sub64, x!(c), u64, |l, r| l < r),
                    Code::SubsR64Hi => compare_branch!(sub64, x!(c), u64, |l, r| l > r),
                    Code::SubsR64Ls => compare_branch!(sub64, x!(c), u64, |l, r| l <= r),
                    Code::SubsR64Ge => compare_branch!(sub64, x!(c), i64, |l, r| l >= r),
                    Code::SubsR64Lt => compare_branch!(sub64, x!(c), i64, |l, r| l < r),
                    Code::SubsR64Gt => compare_branch!(sub64, x!(c), i64, |l, r| l > r),
                    Code::SubsR64Le => compare_branch!(sub64, x!(c), i64, |l, r| l <= r),
                    Code::SubsR32Eq => compare_branch!(sub32, x!(c), u32, |l, r| l == r),
                    Code::SubsR32Ne => compare_branch!(sub32, x!(c), u32, |l, r| l != r),
                    Code::SubsR32Cs => compare_branch!(sub32, x!(c), u32, |l, r| l >= r),
                    Code::SubsR32Cc => compare_branch!(sub32, x!(c), u32, |l, r| l < r),
                    Code::SubsR32Hi => compare_branch!(sub32, x!(c), u32, |l, r| l > r),
                    Code::SubsR32Ls => compare_branch!(sub32, x!(c), u32, |l, r| l <= r),
                    Code::SubsR32Ge => compare_branch!(sub32, x!(c), i32, |l, r| l >= r),
                    Code::SubsR32Lt => compare_branch!(sub32, x!(c), i32, |l, r| l < r),
                    Code::SubsR32Gt => compare_branch!(sub32, x!(c), i32, |l, r| l > r),
                    Code::SubsR32Le => compare_branch!(sub32, x!(c), i32, |l, r| l <= r),
                    Code::AndsI64Eq => test_branch!(logic64, x!(b) & wide_imm!(), u64, true),
                    Code::AndsI64Ne => test_branch!(logic64, x!(b) & wide_imm!(), u64, false),
                    Code::AndsI32Eq => test_branch!(logic32, x!(b) & wide_imm!(), u32, true),
                    Code::AndsI32Ne => test_branch!(logic32, x!(b) & wide_imm!(), u32, false),
                    Code::AndsR64Eq => test_branch!(logic64, x!(b) & x!(c), u64, true),
                    Code::AndsR64Ne => test_branch!(logic64, x!(b) & x!(c), u64, false),
                    Code::AndsR32Eq => test_branch!(logic32, x!(b) & x!(c), u32, true),
                    Code::AndsR32Ne => test_branch!(logic32, x!(b) & x!(c), u32, false),

                    Code::StepI64Ne => step!(sub64, set, wide_imm!()),
                    Code::StepI32Ne => step!(sub32, set32, wide_imm!()),
                    Code::StepR64Ne => step!(sub64, set, x!(b)),
                    Code::StepR32Ne => step!(sub32, set32, x!(b)),

                    Code::MovI => set!(op.imm.get()),
                    Code::Mov64 => set!(x!(b)),
                    Code::Mov32 => set32!(x!(b)),
                    Code::Movk64 => set!(x!(b) & !(0xffff << (op.d.get() & 63)) | op.imm.get()),
                    Code::Movk32 => set32!(x!(b) & !(0xffff << (op.d.get() & 63)) | op.imm.get()),
                    Code::AddI64 => set!(x!(b).wrapping_add(op.imm.get())),
                    Code::AddI32 => set32!(x!(b).wrapping_add(op.imm.get())),
                    Code::AndI => set!(x!(b) & op.imm.get()),
                    Code::OrrI64 => set!(x!(b) | op.imm.get()),
                    Code::OrrI32 => set32!(x!(b) | op.imm.get()),
                    Code::EorI64 => set!(x!(b) ^ op.imm.get()),
                    Code::EorI32 => set32!(x!(b) ^ op.imm.get()),
                    Code::SubsI64 => {
                        let (flags, result) = Flags::sub64(x!(b), op.imm.get());
                        self.state.flags = flags;
                        set!(result);
                    }
                    Code::SubsI32 => {
                        let (flags, result) = Flags::sub32(x!(b), op.imm.get());
                        self.state.flags = flags;
                        set!(result);
                    }
                    Code::AddsI64 => {
                        let (flags, result) = Flags::add64(x!(b), op.imm.get(), 0);
                        self.state.flags = flags;
                        set!(result);
                    }
                    Code::AddsI32 => {
                        let (flags, result) = Flags::add32(x!(b), op.imm.get(), 0);
                        self.state.flags = flags;
                        set!(result);
                    }
                    Code::AndsI64 => {
                        let result = x!(b) & op.imm.get();
                        self.state.flags = Flags::logic64(result);
                        set!(result);
                    }
                    Code::AndsI32 => {
                        let result = x!(b) & op.imm.get();
                        self.state.flags = Flags::logic32(result);
                        set!(result);
                    }
                    Code::AddR64 => set!(x!(b).wrapping_add(x!(c))),
                    Code::AddR32 => set32!(x!(b).wrapping_add(x!(c))),
                    Code::AddLsl64 => set!(x!(b).wrapping_add(x!(c) << (op.d.get() & 63))),
                    Code::AddLsl32 => set32!(x!(b).wrapping_add(x!(c) << (op.d.get() & 31))),
                    Code::AddLsr64 => set!(x!(b).wrapping_add(x!(c) >> (op.d.get() & 63))),
                    Code::AddLsr32 => set32!((x!(b) as u32).wrapping_add(x!(c) as u32 >> (op.d.get() & 31))),
                    Code::SubR64 => set!(x!(b).wrapping_sub(x!(c))),
                    Code::SubR32 => set32!(x!(b).wrapping_sub(x!(c))),
                    Code::SubLsl64 => set!(x!(b).wrapping_sub(x!(c) << (op.d.get() & 63))),
                    Code::SubLsl32 => set32!(x!(b).wrapping_sub(x!(c) << (op.d.get() & 31))),
                    Code::SubLsr64 => set!(x!(b).wrapping_sub(x!(c) >> (op.d.get() & 63))),
                    Code::SubLsr32 => set32!((x!(b) as u32).wrapping_sub(x!(c) as u32 >> (op.d.get() & 31))),
                    Code::AndR64 => set!(x!(b) & x!(c)),
                    Code::AndR32 => set32!(x!(b) & x!(c)),
                    Code::AndLsl64 => set!(x!(b) & x!(c) << (op.d.get() & 63)),
                    Code::AndLsl32 => set32!(x!(b) & x!(c) << (op.d.get() & 31)),
                    Code::AndLsr64 => set!(x!(b) & x!(c) >> (op.d.get() & 63)),
                    Code::AndLsr32 => set32!(x!(b) as u32 & x!(c) as u32 >> (op.d.get() & 31)),
                    Code::OrrR64 => set!(x!(b) | x!(c)),
                    Code::OrrR32 => set32!(x!(b) | x!(c)),
                    Code::OrrLsl64 => set!(x!(b) | x!(c) << (op.d.get() & 63)),
                    Code::OrrLsl32 => set32!(x!(b) | x!(c) << (op.d.get() & 31)),
                    Code::OrrLsr64 => set!(x!(b) | x!(c) >> (op.d.get() & 63)),
                    Code::OrrLsr32 => set32!(x!(b) as u32 | x!(c) as u32 >> (op.d.get() & 31)),
                    Code::EorR64 => set!(x!(b) ^ x!(c)),
                    Code::EorR32 => set32!(x!(b) ^ x!(c)),
                    Code::EorLsl64 => set!(x!(b) ^ x!(c) << (op.d.get() & 63)),
                    Code::EorLsl32 => set32!(x!(b) ^ x!(c) << (op.d.get() & 31)),
                    Code::EorLsr64 => set!(x!(b) ^ x!(c) >> (op.d.get() & 63)),
                    Code::EorLsr32 => set32!(x!(b) as u32 ^ x!(c) as u32 >> (op.d.get() & 31)),
                    Code::EorRor64 => set!(x!(b) ^ x!(c).rotate_right(u32::from(op.d.get() & 63))),
                    Code::EorRor32 => {
                        set32!(x!(b) as u32 ^ (x!(c) as u32).rotate_right(u32::from(op.d.get() & 31)))
                    }
                    Code::BicR64 => set!(x!(b) & !x!(c)),
                    Code::BicR32 => set32!(x!(b) & !x!(c)),
                    Code::OrnR64 => set!(x!(b) | !x!(c)),
                    Code::OrnR32 => set32!(x!(b) | !x!(c)),
                    Code::EonR64 => set!(x!(b) ^ !x!(c)),
                    Code::EonR32 => set32!(x!(b) ^ !x!(c)),
                    Code::AddUxtw => set!(x!(b).wrapping_add(u64::from(x!(c) as u32) << (op.d.get() & 7))),
                    Code::AddSxtw => set!(x!(b).wrapping_add((x!(c) as i32 as u64) << (op.d.get() & 7))),
                    Code::SubsR64 => {
                        let (flags, result) = Flags::sub64(x!(b), x!(c));
                        self.state.flags = flags;
                        set!(result);
                    }
                    Code::SubsR32 => {
                        let (flags, result) = Flags::sub32(x!(b), x!(c));
                        self.state.flags = flags;
                        set!(result);
                    }
                    Code::AddsR64 => {
                        let (flags, result) = Flags::add64(x!(b), x!(c), 0);
                        self.state.flags = flags;
                        set!(result);
                    }
                    Code::AddsR32 => {
                        let (flags, result) = Flags::add32(x!(b), x!(c), 0);
                        self.state.flags = flags;
                        set!(result);
                    }
                    Code::AndsR64 => {
                        let result = x!(b) & x!(c);
                        self.state.flags = Flags::logic64(result);
                        set!(result);
                    }
                    Code::AndsR32 => {
                        let result = u64::from((x!(b) & x!(c)) as u32);
                        self.state.flags = Flags::logic32(result);
                        set!(result);
                    }
                    Code::Ubfx => set!(x!(b) >> (op.d.get() & 63) & op.imm.get()),
                    Code::Ubfiz => set!((x!(b) & op.imm.get()) << (op.d.get() & 63)),
                    Code::Sbf64 => {
                        set!(((x!(b) << (op.c.get() as u8 & 63)) as i64 >> (op.d.get() & 63)) as u64)
                    }
                    Code::Sbf32 => set32!((x!(b) << (op.c.get() as u8 & 63)) as i64 >> (op.d.get() & 63)),
                    Code::Bfm64 => {
                        set!(
                            x!(a) & !op.imm.get()
                                | x!(b).rotate_right(u32::from(op.d.get() & 63)) & op.imm.get()
                        )
                    }
                    Code::Bfm32 => {
                        set32!(
                            x!(a) & !op.imm.get()
                                | x!(b).rotate_right(u32::from(op.d.get() & 63)) & op.imm.get()
                        )
                    }
                    Code::Ror64 => set!(x!(b).rotate_right(u32::from(op.d.get() & 63))),
                    Code::Ror32 => set32!((x!(b) as u32).rotate_right(u32::from(op.d.get() & 31))),
                    Code::Extr64 => {
                        let both = u128::from(x!(b)) << 64 | u128::from(x!(c));
                        set!((both >> (op.d.get() & 63)) as u64);
                    }
                    Code::Extr32 => {
                        let both = x!(b) << 32 | u64::from(x!(c) as u32);
                        set32!(both >> (op.d.get() & 31));
                    }
                    Code::Sxtw => set!(x!(b) as i32 as u64),
                    Code::Lslv64 => set!(x!(b) << (x!(c) & 63)),
                    Code::Lslv32 => set32!((x!(b) as u32) << (x!(c) & 31)),
                    Code::Lsrv64 => set!(x!(b) >> (x!(c) & 63)),
                    Code::Lsrv32 => set32!(x!(b) as u32 >> (x!(c) & 31)),
                    Code::Asrv64 => set!((x!(b) as i64 >> (x!(c) & 63)) as u64),
                    Code::Asrv32 => set32!(x!(b) as i32 >> (x!(c) & 31)),
                    Code::Mul64 => set!(x!(b).wrapping_mul(x!(c))),
                    Code::Mul32 => set32!((x!(b) as u32).wrapping_mul(x!(c) as u32)),
                    Code::Madd64 => set!(
                        self.state.x[usize::from(op.d.get() & 63)].wrapping_add(x!(b).wrapping_mul(x!(c)))
                    ),
                    Code::Madd32 => set32!(
                        self.state.x[usize::from(op.d.get() & 63)].wrapping_add(x!(b).wrapping_mul(x!(c)))
                    ),
                    Code::Msub64 => set!(
                        self.state.x[usize::from(op.d.get() & 63)].wrapping_sub(x!(b).wrapping_mul(x!(c)))
                    ),
                    Code::Msub32 => set32!(
                        self.state.x[usize::from(op.d.get() & 63)].wrapping_sub(x!(b).wrapping_mul(x!(c)))
                    ),
                    Code::Smaddl => {
                        set!(
                            self.state.x[usize::from(op.d.get() & 63)]
                                .wrapping_add((x!(b) as i32 as u64).wrapping_mul(x!(c) as i32 as u64))
                        )
                    }
                    Code::Umaddl => {
                        set!(
                            self.state.x[usize::from(op.d.get() & 63)]
                                .wrapping_add(u64::from(x!(b) as u32).wrapping_mul(u64::from(x!(c) as u32)))
                        )
                    }
                    Code::Umulh => set!(((u128::from(x!(b)) * u128::from(x!(c))) >> 64) as u64),
                    Code::Udiv64 => set!(x!(b).checked_div(x!(c)).unwrap_or(0)),
                    Code::Udiv32 => set32!((x!(b) as u32).checked_div(x!(c) as u32).unwrap_or(0)),
                    Code::Sdiv64 => {
                        let divisor = x!(c) as i64;
                        set!(if divisor == 0 { 0 } else { (x!(b) as i64).wrapping_div(divisor) as u64 });
                    }
                    Code::Sdiv32 => {
                        let divisor = x!(c) as i32;
                        set32!(if divisor == 0 { 0 } else { (x!(b) as i32).wrapping_div(divisor) });
                    }
                    Code::Clz64 => set!(u64::from(x!(b).leading_zeros())),
                    Code::Clz32 => set32!((x!(b) as u32).leading_zeros()),
                    Code::Rev64 => set!(x!(b).swap_bytes()),
                    Code::Rev32 => set32!((x!(b) as u32).swap_bytes()),
                    Code::Csel64 => set!(if self.state.flags.hold(op.d.get()) { x!(b) } else { x!(c) }),
                    Code::Csel32 => set32!(if self.state.flags.hold(op.d.get()) { x!(b) } else { x!(c) }),
                    Code::Csinc64 => {
                        set!(if self.state.flags.hold(op.d.get()) { x!(b) } else { x!(c).wrapping_add(1) })
                    }
                    Code::Csinc32 => {
                        set32!(if self.state.flags.hold(op.d.get()) { x!(b) } else { x!(c).wrapping_add(1) })
                    }
                    Code::Csinv64 => set!(if self.state.flags.hold(op.d.get()) { x!(b) } else { !x!(c) }),
                    Code::Csinv32 => set32!(if self.state.flags.hold(op.d.get()) { x!(b) } else { !x!(c) }),
                    Code::Csneg64 => {
                        set!(if self.state.flags.hold(op.d.get()) { x!(b) } else { x!(c).wrapping_neg() })
                    }
                    Code::Csneg32 => {
                        set32!(if self.state.flags.hold(op.d.get()) { x!(b) } else { x!(c).wrapping_neg() })
                    }
                    Code::Ccmp => self.conditional_compare(op.get()),

                    Code::Ldrb => set!(load!(load8, 1, near!())),
                    Code::Ldrh => set!(load!(load16, 2, near!())),
                    Code::Ldrw => set!(load!(load32, 4, near!())),
                    Code::Ldrx => set!(load!(load64, 8, near!())),
                    Code::Ldrsb64 => set!(load!(load8, 1, near!()) as i8 as u64),
                    Code::Ldrsb32 => set32!(load!(load8, 1, near!()) as i8),
                    Code::Ldrsh64 => set!(load!(load16, 2, near!()) as i16 as u64),
                    Code::Ldrsh32 => set32!(load!(load16, 2, near!()) as i16),
                    Code::Ldrsw => set!(load!(load32, 4, near!()) as i32 as u64),
                    Code::Strb => store!(store8, u8, 1, near!(), x!(a)),
                    Code::Strh => store!(store16, u16, 2, near!(), x!(a)),
                    Code::Strw => store!(store32, u32, 4, near!(), x!(a)),
                    Code::Strx => store!(store64, u64, 8, near!(), x!(a)),
                    Code::LdrbR => set!(load!(load8, 1, indexed!())),
                    Code::LdrhR => set!(load!(load16, 2, indexed!())),
                    Code::LdrwR => set!(load!(load32, 4, indexed!())),
                    Code::LdrxR => set!(load!(load64, 8, indexed!())),
                    Code::Ldrsb64R => set!(load!(load8, 1, indexed!()) as i8 as u64),
                    Code::Ldrsb32R => set32!(load!(load8, 1, indexed!()) as i8),
                    Code::Ldrsh64R => set!(load!(load16, 2, indexed!()) as i16 as u64),
                    Code::Ldrsh32R => set32!(load!(load16, 2, indexed!()) as i16),
                    Code::LdrswR => set!(load!(load32, 4, indexed!()) as i32 as u64),
                    Code::StrbR => store!(store8, u8, 1, indexed!(), x!(a)),
                    Code::StrhR => store!(store16, u16, 2, indexed!(), x!(a)),
                    Code::StrwR => store!(store32, u32, 4, indexed!(), x!(a)),
                    Code::StrxR => store!(store64, u64, 8, indexed!(), x!(a)),
                    Code::LdrbPost => {
                        let value = load!(load8, 1, x!(b));
                        x!(b) = near!();
                        set!(value);
                    }
                    Code::LdrwPost => {
                        let value = load!(load32, 4, x!(b));
                        x!(b) = near!();
                        set!(value);
                    }
                    Code::LdrxPost => {
                        let value = load!(load64, 8, x!(b));
                        x!(b) = near!();
                        set!(value);
                    }
                    Code::StrbPost => {
                        store!(store8, u8, 1, x!(b), x!(a));
                        x!(b) = near!();
                    }
                    Code::StrwPost => {
                        store!(store32, u32, 4, x!(b), x!(a));
                        x!(b) = near!();
                    }
                    Code::StrxPost => {
                        store!(store64, u64, 8, x!(b), x!(a));
                        x!(b) = near!();
                    }
                    Code::Ldp64 => {
                        let at = near!();
                        let first = load!(load64, 8, at);
                        let second = load!(load64, 8, at.wrapping_add(8));
                        set!(first);
                        x!(c) = second;
                    }
                    Code::Ldp32 => {
                        let at = near!();
                        let first = load!(load32, 4, at);
                        let second = load!(load32, 4, at.wrapping_add(4));
                        set!(first);
                        x!(c) = second;
                    }
                    Code::Stp64 => {
                        let at = near!();
                        store!(store64, u64, 8, at, x!(a));
                        store!(store64, u64, 8, at.wrapping_add(8), x!(c));
                    }
                    Code::Stp32 => {
                        let at = near!();
                        store!(store32, u32, 4, at, x!(a));
                        store!(store32, u32, 4, at.wrapping_add(4), x!(c));
                    }
                    Code::LdpPost64 => {
                        let at = x!(b);
                        let first = load!(load64, 8, at);
                        let second = load!(load64, 8, at.wrapping_add(8));
                        x!(b) = near!();
                        set!(first);
                        x!(c) = second;
                    }
                    Code::StpPre64 => {
                        let at = near!();
                        store!(store64, u64, 8, at, x!(a));
                        store!(store64, u64, 8, at.wrapping_add(8), x!(c));
                        x!(b) = at;
                    }
                    Code::LdrS => {
                        let value = load!(load32, 4, near!());
                        self.state.fp.v[op.a.get().index() & 31] = u128::from(value);
                    }
                    Code::LdrD => {
                        let value = load!(load64, 8, near!());
                        self.state.fp.v[op.a.get().index() & 31] = u128::from(value);
                    }
                    Code::StrS => {
                        let value = self.state.fp.v[op.a.get().index() & 31];
                        store!(store32, u32, 4, near!(), value);
                    }
                    Code::StrD => {
                        let value = self.state.fp.v[op.a.get().index() & 31];
                        store!(store64, u64, 8, near!(), value);
                    }
                    Code::LdrQ => match self.load_vectors(env, near!(), op.get()) {
                        Some(()) => {}
                        None => break 'run Stop::Abort(here!()),
                    },
                    Code::LdpQ => match self.load_vectors(env, near!(), op.get()) {
                        Some(()) => {}
                        None => break 'run Stop::Abort(here!()),
                    },
                    Code::StrQ => match self.store_vectors(env, near!(), op.get()) {
                        Some(()) => {}
                        None => break 'run Stop::Abort(here!()),
                    },
                    Code::StpQ => match self.store_vectors(env, near!(), op.get()) {
                        Some(()) => {}
                        None => break 'run Stop::Abort(here!()),
                    },
                    Code::LdpD => {
                        let at = near!();
                        let first = load!(load64, 8, at);
                        let second = load!(load64, 8, at.wrapping_add(8));
                        self.state.fp.v[op.a.get().index() & 31] = u128::from(first);
                        self.state.fp.v[op.c.get().index() & 31] = u128::from(second);
                    }
                    Code::StpD => {
                        let at = near!();
                        let first = self.state.fp.v[op.a.get().index() & 31];
                        let second = self.state.fp.v[op.c.get().index() & 31];
                        store!(store64, u64, 8, at, first);
                        store!(store64, u64, 8, at.wrapping_add(8), second);
                    }

                    Code::CheckSp => {
                        if self.state.x[usize::from(SP)] & 15 != 0 {
                            break 'run Stop::SpAlignment(here!());
                        }
                    }
                    Code::SpWritten => {
                        let Some(data) = iter.next() else { break 'run Stop::Boundary };
                        // The context that checks is entered if SCTLR_EL1 wants it.
                        if self.state.x[usize::from(SP)] & 15 != 0 {
                            counts += u64::from(op.d.get()) | u64::from(op.e.get()) << 32;
                            self.state.pc = data.imm.get();
                            break 'run Stop::System(Flow::Context);
                        }
                    }
                    Code::Fence => crate::ram::full_fence(),
                    Code::MrsField => {
                        let field = Field::from_number(op.imm.get());
                        // SP_EL0 has no name while it is SP.
                        if field == Field::SpEl0 && !self.state.mode.sp_elx {
                            break 'run Stop::Undefined(here!());
                        }
                        set!(*self.field(field));
                    }
                    Code::MsrField => {
                        let field = Field::from_number(op.imm.get());
                        if field == Field::SpEl0 && !self.state.mode.sp_elx {
                            break 'run Stop::Undefined(here!());
                        }
                        let value = x!(a);
                        *self.field(field) = value;
                    }
                    Code::MrsDaif => set!(self.state.mode.daif),
                    // Masking more never makes anything due.
                    Code::DaifSet => self.state.mode.daif |= op.imm.get(),
                    Code::DaifClr => {
                        self.state.mode.daif &= !op.imm.get();
                        unmasked!();
                    }
                    Code::MsrDaif => {
                        self.state.mode.daif = x!(b) & PState::DAIF;
                        unmasked!();
                    }
                    Code::DcZva => {
                        if self.zero(x!(b)) {
                            // The general form and its address.
                            let _ = iter.nth(1);
                        }
                    }
                    Code::Rare => self.rare(op.imm.get() as u32),
                    Code::Memory => {
                        if self.memory(env, op.imm.get() as u32).is_none() {
                            break 'run Stop::Abort(here!());
                        }
                    }
                    Code::SimdData => self.simd_data(op.imm.get()),
                    Code::SimdFlags => self.simd_flags(op.imm.get()),
                    Code::System => {
                        let Some(data) = iter.next() else { break 'run Stop::Boundary };
                        self.state.pc = data.imm.get();
                        match crate::system::execute(self, env, op.imm.get() as u32) {
                            Flow::Next => {}
                            flow => {
                                counts += u64::from(op.d.get()) | u64::from(op.e.get()) << 32;
                                break 'run Stop::System(flow);
                            }
                        }
                    }
                    Code::FpTrap => break 'run Stop::FpTrap(here!()),
                    Code::Undefined | Code::Head => break 'run Stop::Undefined(here!()),
                }
            };
            if left == 0 || mailbox.requests() != 0 {
                self.state.pc = self.store.destination(link);
                break 'run Stop::Boundary;
            }
            left -= 1;
            iter = match ops.get(link as usize..) {
                Some(rest) => rest.iter(),
                None => break 'run Stop::Boundary,
            };
        };
        *fuel = left;
        self.statistics.instructions = self.statistics.instructions.wrapping_add(counts & 0xffff_ffff);
        self.statistics.accesses = self.statistics.accesses.wrapping_add(counts >> 32);
        stop
    }
}

#[cfg(test)]
mod tests {
    use crate::state::Flags;

    #[test]
    fn conditions_hold_for_their_flags() {
        // Condition, NZCV for which it holds, NZCV for which it does not.
        const CASES: &[(&str, u8, &[u64], &[u64])] = &[
            ("EQ", 0, &[0b0100, 0b1111], &[0b0000, 0b1011]),
            ("NE", 1, &[0b0000, 0b1011], &[0b0100]),
            ("CS", 2, &[0b0010], &[0b1101]),
            ("CC", 3, &[0b1101], &[0b0010]),
            ("MI", 4, &[0b1000], &[0b0111]),
            ("PL", 5, &[0b0111], &[0b1000]),
            ("VS", 6, &[0b0001], &[0b1110]),
            ("VC", 7, &[0b1110], &[0b0001]),
            ("HI", 8, &[0b0010, 0b1011], &[0b0110, 0b0000, 0b0100]),
            ("LS", 9, &[0b0110, 0b0000, 0b0100], &[0b0010]),
            ("GE", 10, &[0b0000, 0b1001, 0b1111], &[0b1000, 0b0001]),
            ("LT", 11, &[0b1000, 0b0001], &[0b0000, 0b1001]),
            ("GT", 12, &[0b0000, 0b1001], &[0b0100, 0b1101, 0b1000]),
            ("LE", 13, &[0b0100, 0b1101, 0b1000], &[0b0000, 0b1001]),
            ("AL", 14, &[0b0000, 0b1111], &[]),
            ("NV", 15, &[0b0000, 0b1111], &[]),
        ];
        for (name, condition, holds, fails) in CASES {
            for nzcv in *holds {
                assert!(Flags::from_nzcv(nzcv << 28).hold(*condition), "{name} {nzcv:#06b}");
            }
            for nzcv in *fails {
                assert!(!Flags::from_nzcv(nzcv << 28).hold(*condition), "{name} {nzcv:#06b}");
            }
        }
    }

    #[test]
    fn sums_and_differences_set_the_flags_of_the_manual() {
        // 64-bit operands, carry in; result, NZCV. Arm ARM, AddWithCarry.
        const MIN: u64 = 1 << 63;
        const CASES: &[(u64, u64, u64, u64, u64)] = &[
            (1, 1, 0, 2, 0b0000),
            (u64::MAX, 1, 0, 0, 0b0110),
            (MIN - 1, 1, 0, MIN, 0b1001),
            (MIN, MIN, 0, 0, 0b0111),
            (5, !5, 1, 0, 0b0110),
            (5, !6, 1, u64::MAX, 0b1000),
            (MIN, !1, 1, MIN - 1, 0b0011),
        ];
        for (left, right, carry, result, nzcv) in CASES {
            let (flags, sum) = Flags::add64(*left, *right, *carry);
            assert_eq!((sum, flags.nzcv() >> 28), (*result, *nzcv), "{left:#x} {right:#x}");
            if *carry == 1 {
                let (flags, difference) = Flags::sub64(*left, !right);
                assert_eq!((difference, flags.nzcv() >> 28), (*result, *nzcv), "{left:#x} {right:#x}");
            }
        }
        // 32 bits, with something above them.
        let (flags, sum) = Flags::add32(0xdead_beef_7fff_ffff, 0x1_0000_0001, 0);
        assert_eq!((sum, flags.nzcv() >> 28), (0x8000_0000, 0b1001));
        let (flags, difference) = Flags::sub32(0x1_0000_0000, 1);
        assert_eq!((difference, flags.nzcv() >> 28), (0xffff_ffff, 0b1000));
        let (flags, difference) = Flags::sub32(0xffff_ffff_8000_0000, 1);
        assert_eq!((difference, flags.nzcv() >> 28), (0x7fff_ffff, 0b0011));
    }
}
