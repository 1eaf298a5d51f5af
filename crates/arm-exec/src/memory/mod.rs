//! Accesses to memory that the maps do not answer, and the instructions that are not a plain load or
//! store.
#![expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a numeric kernel: arithmetic is the guest's, modulo 2^n; indices are masked to the length of what they index"
)]

mod atomic;
mod translate;
mod vector;

use crate::abort::{Abort, Cause};
use crate::flow::Host;
use crate::pe::Pe;
use crate::ram::PagePtr;
use crate::state::SP;
use arm_arch::FaultStatus;
use arm_arch::sysreg::SctlrEl1;
use core::sync::atomic::Ordering::SeqCst;
use mmu_xlate::vmsa::{Access, AccessKind, Fault};

/// The page that an access reaches, and where it lies in the page.
#[derive(Clone, Copy, Debug)]
struct Place<'m> {
    page: PagePtr<'m>,
    offset: usize,
}

impl Place<'_> {
    pub(super) fn load(self, bytes: usize) -> u64 {
        match bytes {
            1 => self.page.load8(self.offset).into(),
            2 => self.page.load16(self.offset).into(),
            4 => self.page.load32(self.offset).into(),
            _ => self.page.load64(self.offset),
        }
    }

    pub(super) fn store(self, bytes: usize, value: u64) {
        match bytes {
            1 => self.page.store8(self.offset, value as u8),
            2 => self.page.store16(self.offset, value as u16),
            4 => self.page.store32(self.offset, value as u32),
            _ => self.page.store64(self.offset, value),
        }
    }

    /// Replaces the value at an aligned place by what `new` makes of it, atomically; `None` leaves it.
    /// Returns the old value. Values are little-endian.
    pub(super) fn update(self, bytes: usize, mut new: impl FnMut(u128) -> Option<u128>) -> u128 {
        macro_rules! update {
            ($atomic:ident, $ty:ty) => {{
                let cell = self.page.$atomic(self.offset);
                let seen = cell.fetch_update(SeqCst, SeqCst, |old| {
                    new(<$ty>::from_le(old).into()).map(|new| (new as $ty).to_le())
                });
                match seen {
                    Ok(old) | Err(old) => <$ty>::from_le(old).into(),
                }
            }};
        }
        match bytes {
            1 => update!(atomic8, u8),
            2 => update!(atomic16, u16),
            4 => update!(atomic32, u32),
            8 => update!(atomic64, u64),
            _ => update!(atomic128, u128),
        }
    }

    /// Replaces the value at an aligned place by `new` if it is `expected`, atomically. Returns the old value. Values are
    /// little-endian.
    #[inline(never)]
    pub(super) fn replace(self, bytes: usize, expected: u128, new: u128) -> u128 {
        self.update(bytes, |old| (old == expected).then_some(new))
    }
}

/// How an access differs from a plain one.
#[derive(Clone, Copy, Debug)]
struct Manner {
    kind: AccessKind,
    /// Bytes that the address must be a multiple of where alignment matters.
    alignment: usize,
    /// Alignment matters always: exclusives, atomics, load-acquire, store-release.
    aligned: bool,
    /// Permissions of EL0 (LDTR, STTR).
    unprivileged: bool,
}

impl Manner {
    const fn plain(kind: AccessKind, bytes: usize) -> Self {
        Self { kind, alignment: bytes, aligned: false, unprivileged: false }
    }

    const fn ordered(kind: AccessKind, bytes: usize) -> Self {
        Self { kind, alignment: bytes, aligned: true, unprivileged: false }
    }
}
impl<'m> Pe<'m> {
    fn fail_alignment<T>(&mut self, va: u64, access: Access) -> Option<T> {
        // An atomic faults on its read.
        let write = matches!(access.kind, AccessKind::Write);
        let fault = Fault::stage_1(FaultStatus::Alignment, write);
        self.abort = Some(Abort { va, access, cause: Cause::Stage1(fault) });
        None
    }

    /// Finds the places for an access: one, or two where it crosses into another page.
    fn places(
        &mut self,
        env: &dyn Host<'m>,
        va: u64,
        bytes: usize,
        manner: Manner,
    ) -> Option<(Place<'m>, Option<Place<'m>>)> {
        let mut access = self.access(manner.kind, manner.unprivileged);
        if va & (manner.alignment as u64 - 1) != 0 {
            if manner.aligned || SctlrEl1::from_bits(self.state.sys.sctlr_el1).a() {
                return self.fail_alignment(va, access);
            }
            access = access.unaligned();
        }
        let mut found = [None; 2];
        let pages = if (va & 0xfff) as usize + bytes <= 4096 { 1 } else { 2 };
        // One call for both, which becomes part of this function: each call more is deeper stack.
        for (at, place) in [va, (va | 0xfff).wrapping_add(1)].into_iter().zip(&mut found).take(pages) {
            *place = Some(self.place(env, at, access)?);
        }
        let [first, second] = found;
        match self.watched(va, bytes, access) {
            Ok(()) => Some((first?, second)),
            Err(abort) => {
                self.abort = Some(abort);
                None
            }
        }
    }

    fn big_endian(&self) -> bool {
        let sctlr = SctlrEl1::from_bits(self.state.sys.sctlr_el1);
        if self.state.mode.el == 0 { sctlr.e0e() } else { sctlr.ee() }
    }

    /// Loads up to eight bytes.
    fn load(&mut self, env: &dyn Host<'m>, va: u64, bytes: usize, manner: Manner) -> Option<u64> {
        let (first, second) = self.places(env, va, bytes, manner)?;
        let value = match second {
            None => first.load(bytes),
            Some(second) => {
                let split = 4096 - first.offset;
                let mut value = 0;
                for n in 0..bytes {
                    let byte = if n < split {
                        first.page.load8(first.offset + n)
                    } else {
                        second.page.load8(n - split)
                    };
                    value |= u64::from(byte) << (8 * n);
                }
                value
            }
        };
        Some(if self.big_endian() { value.swap_bytes() >> (64 - 8 * bytes) } else { value })
    }

    /// Stores up to eight bytes; nothing is stored where a part cannot be.
    fn store(&mut self, env: &dyn Host<'m>, va: u64, bytes: usize, value: u64, manner: Manner) -> Option<()> {
        let (first, second) = self.places(env, va, bytes, manner)?;
        let value = if self.big_endian() { value.swap_bytes() >> (64 - 8 * bytes) } else { value };
        match second {
            None => first.store(bytes, value),
            Some(second) => {
                let split = 4096 - first.offset;
                for n in 0..bytes {
                    let byte = (value >> (8 * n)) as u8;
                    if n < split {
                        first.page.store8(first.offset + n, byte);
                    } else {
                        second.page.store8(n - split, byte);
                    }
                }
            }
        }
        Some(())
    }

    /// A plain load that the map did not answer; on failure the abort is kept.
    #[cold]
    #[inline(never)]
    pub(crate) fn load_slow(&mut self, env: &dyn Host<'m>, va: u64, bytes: usize) -> Option<u64> {
        self.load(env, va, bytes, Manner::plain(AccessKind::Read, bytes))
    }

    /// A plain store that the map did not answer; on failure the abort is kept.
    #[cold]
    #[inline(never)]
    pub(crate) fn store_slow(&mut self, env: &dyn Host<'m>, va: u64, bytes: usize, value: u64) -> Option<()> {
        self.store(env, va, bytes, value, Manner::plain(AccessKind::Write, bytes))
    }
    /// Executes an instruction that is not a plain load or store; the decoder has checked that it is
    /// one of them. On failure the abort is kept.
    // What each kind keeps on the stack is in a function of its own: it is never there together.
    #[inline(never)]
    pub(crate) fn memory(&mut self, env: &dyn Host<'m>, word: u32) -> Option<()> {
        let w = Word(word);
        match (w.field(29, 28), w.bit(26)) {
            (0, false) => self.exclusive_or_ordered(env, w),
            (0, true) if w.bit(24) => self.single_structure(env, w),
            (0, true) => self.multiple_structures(env, w),
            (2, _) => self.pair(env, w),
            (_, true) => self.narrow_vector(env, w),
            (_, false) if w.field(11, 10) == 0 && w.bit(15) && w.field(14, 12) == 4 => {
                self.load_acquire(env, w)
            }
            (_, false) if w.field(11, 10) == 0 => self.atomic(env, w),
            (_, false) => self.unprivileged(env, w),
        }
    }

    fn base(&self, w: Word) -> u64 {
        self.state.x[if w.rn() == 31 { usize::from(SP) } else { w.rn() }]
    }

    fn general(&self, n: usize) -> u64 {
        if n == 31 { 0 } else { self.state.x[n & 31] }
    }

    fn set_general(&mut self, n: usize, value: u64) {
        if n != 31 {
            self.state.x[n & 31] = value;
        }
    }
    /// LDTR, STTR and their sizes.
    #[inline(never)]
    fn unprivileged(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let va = self.base(w).wrapping_add(w.signed(20, 12));
        let bytes = 1 << w.field(31, 30);
        let opc = w.field(23, 22);
        let kind = if opc == 0 { AccessKind::Write } else { AccessKind::Read };
        let manner = Manner { unprivileged: true, ..Manner::plain(kind, bytes) };
        if opc == 0 {
            return self.store(env, va, bytes, self.general(w.rt()), manner);
        }
        let value = self.load(env, va, bytes, manner)?;
        let value = match opc {
            1 => value,
            2 => sign_extend(value, bytes),
            _ => u64::from(sign_extend(value, bytes) as u32),
        };
        self.set_general(w.rt(), value);
        Some(())
    }

    /// LDPSW, and LDP and STP of S registers.
    #[inline(never)]
    fn pair(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let simd = w.bit(26);
        let offset = w.signed(21, 15).wrapping_shl(2);
        let base = self.base(w);
        let indexed = base.wrapping_add(offset);
        let va = if w.field(24, 23) == 1 { base } else { indexed };
        let next = va.wrapping_add(4);
        if w.bit(22) {
            let manner = Manner::plain(AccessKind::Read, 4);
            let first = self.load(env, va, 4, manner)?;
            let second = self.load(env, next, 4, manner)?;
            if simd {
                self.state.fp.v[w.rt()] = first.into();
                self.state.fp.v[w.rt2()] = second.into();
            } else {
                self.set_general(w.rt(), sign_extend(first, 4));
                self.set_general(w.rt2(), sign_extend(second, 4));
            }
        } else {
            let manner = Manner::plain(AccessKind::Write, 4);
            self.store(env, va, 4, self.state.fp.v[w.rt()] as u32 as u64, manner)?;
            self.store(env, next, 4, self.state.fp.v[w.rt2()] as u32 as u64, manner)?;
        }
        if w.bit(23) {
            self.set_base(w, indexed);
        }
        Some(())
    }
    fn set_base(&mut self, w: Word, value: u64) {
        self.state.x[if w.rn() == 31 { usize::from(SP) } else { w.rn() }] = value;
    }
}

/// An instruction word and its usual fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word(pub(crate) u32);

impl Word {
    pub(crate) const fn field(self, hi: u32, lo: u32) -> u32 {
        self.0 >> lo & (u32::MAX >> (31 - (hi - lo)))
    }

    pub(crate) const fn bit(self, at: u32) -> bool {
        self.0 >> at & 1 != 0
    }

    /// A signed field.
    pub(crate) const fn signed(self, hi: u32, lo: u32) -> u64 {
        ((self.0 << (31 - hi)) as i32 >> (31 - hi + lo)) as i64 as u64
    }

    /// Bytes of a register of an exclusive, ordered or atomic access.
    pub(crate) const fn size(self) -> usize {
        1 << self.field(31, 30)
    }

    /// Bytes of an exclusive access.
    pub(crate) const fn exclusive_bytes(self) -> usize {
        self.size() << self.field(21, 21)
    }

    pub(crate) const fn rt(self) -> usize {
        self.field(4, 0) as usize
    }

    pub(crate) const fn rn(self) -> usize {
        self.field(9, 5) as usize
    }

    pub(crate) const fn rt2(self) -> usize {
        self.field(14, 10) as usize
    }

    pub(crate) const fn rm(self) -> usize {
        self.field(20, 16) as usize
    }
}
const fn truncate(value: u64, bytes: usize) -> u64 {
    if bytes >= 8 { value } else { value & ((1 << (8 * bytes)) - 1) }
}

const fn sign_extend(value: u64, bytes: usize) -> u64 {
    let shift = 64 - 8 * bytes as u32;
    ((value << shift) as i64 >> shift) as u64
}
