//! Exclusives, ordered accesses and atomics. Arm ARM, "Loads and Stores".

use super::{Manner, Place, Word, sign_extend, truncate};
use crate::flow::Host;
use crate::pe::Pe;
use crate::ram::{acquire_fence, full_fence, release_fence};
use crate::state::Monitor;
use core::sync::atomic::Ordering::SeqCst;
use mmu_xlate::vmsa::AccessKind;

impl<'m> Pe<'m> {
    /// The place for an aligned access of one piece.
    fn aligned(&mut self, env: &dyn Host<'m>, va: u64, kind: AccessKind, bytes: usize) -> Option<Place<'m>> {
        Some(self.places(env, va, bytes, Manner::ordered(kind, bytes))?.0)
    }

    /// Swaps a value of `bytes` between the guest's byte order and little-endian.
    fn ordered(&self, value: u128, bytes: usize) -> u128 {
        if self.big_endian() { value.swap_bytes() >> (128 - 8 * bytes) } else { value }
    }

    /// LDXR, STXR, LDAR, STLR, CAS and their pairs. Arm ARM, "Load/store exclusive".
    ///
    /// Each in a function of its own, and what it does at its place in another: what one keeps on the stack is not there
    /// while another looks for its page, nor are values while their page is looked for.
    #[inline(never)]
    pub(super) fn exclusive_or_ordered(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        match (w.bit(23), w.bit(22), w.bit(21)) {
            (true, _, true) => self.compare_and_swap(env, w),
            (false, _, true) if !w.bit(31) => self.compare_and_swap_pair(env, w),
            (true, true, false) => self.load_acquire(env, w),
            (true, false, false) => self.store_release(env, w),
            (false, true, _) => self.load_exclusive(env, w),
            (false, false, _) => self.store_exclusive(env, w),
        }
    }

    /// LDAR, LDLAR, and LDAPR of the atomic operations.
    #[inline(never)]
    pub(super) fn load_acquire(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let (va, size) = (self.base(w), w.size());
        let value = self.load(env, va, size, Manner::ordered(AccessKind::Read, size))?;
        acquire_fence();
        self.set_general(w.rt(), value);
        Some(())
    }

    /// STLR, STLLR.
    #[inline(never)]
    fn store_release(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let (va, size) = (self.base(w), w.size());
        release_fence();
        self.store(env, va, size, self.general(w.rt()), Manner::ordered(AccessKind::Write, size))?;
        full_fence();
        Some(())
    }

    #[inline(never)]
    fn load_exclusive(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let (va, bytes) = (self.base(w), w.exclusive_bytes());
        let place = self.aligned(env, va, AccessKind::Read, bytes)?;
        self.watch(place, w, va);
        Some(())
    }

    /// Loads, and opens the monitor.
    #[inline(never)]
    fn watch(&mut self, place: Place<'m>, w: Word, va: u64) {
        let (size, bytes) = (w.size(), w.exclusive_bytes());
        let value = match bytes {
            16 => u128::from_le(place.page.atomic128(place.offset).load(SeqCst)),
            _ => u128::from(place.load(bytes)),
        };
        if w.bit(15) {
            acquire_fence();
        }
        self.state.monitor = Monitor { open: true, address: va, bytes: bytes as u8, value };
        if w.bit(21) {
            let (first, second) = self.halves(value, size);
            self.set_general(w.rt(), first);
            self.set_general(w.rt2(), second);
        } else {
            self.set_general(w.rt(), self.ordered(value, size) as u64);
        }
    }

    #[inline(never)]
    fn store_exclusive(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let (va, bytes) = (self.base(w), w.exclusive_bytes());
        let monitor = &self.state.monitor;
        // CHOICE: aborts are detected after the check of the local monitor, so a store that fails
        // there never aborts. Arm ARM, AArch64.ExclusiveMonitorsPass.
        let mut place = None;
        if monitor.open && monitor.address == va && usize::from(monitor.bytes) == bytes {
            // Where it aborts, the instruction did not happen: its monitor is as it was.
            place = Some(self.aligned(env, va, AccessKind::Write, bytes)?);
        }
        self.close(place, w);
        Some(())
    }

    /// Closes the monitor, and stores if memory holds what it saw.
    #[inline(never)]
    fn close(&mut self, place: Option<Place<'m>>, w: Word) {
        let size = w.size();
        let monitor = core::mem::take(&mut self.state.monitor);
        let stored = place.is_some_and(|place| {
            let value = if w.bit(21) {
                self.join(self.general(w.rt()), self.general(w.rt2()), size)
            } else {
                self.ordered(u128::from(truncate(self.general(w.rt()), size)), size)
            };
            place.replace(w.exclusive_bytes(), monitor.value, value) == monitor.value
        });
        self.set_general(w.rm(), u64::from(!stored));
    }

    /// Takes two registers of `size` bytes from what memory holds, little-endian.
    fn halves(&self, value: u128, size: usize) -> (u64, u64) {
        let low = self.ordered(u128::from(truncate(value as u64, size)), size) as u64;
        let high = self.ordered(u128::from(truncate((value >> (8 * size)) as u64, size)), size) as u64;
        (low, high)
    }

    fn join(&self, first: u64, second: u64, size: usize) -> u128 {
        let low = self.ordered(u128::from(truncate(first, size)), size);
        let high = self.ordered(u128::from(truncate(second, size)), size);
        low | high << (8 * size)
    }

    #[inline(never)]
    fn compare_and_swap(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let place = self.aligned(env, self.base(w), AccessKind::Atomic, w.size())?;
        self.swap(place, w);
        Some(())
    }

    #[inline(never)]
    fn swap(&mut self, place: Place<'m>, w: Word) {
        let size = w.size();
        let expected = self.ordered(u128::from(truncate(self.general(w.rm()), size)), size);
        let new = self.ordered(u128::from(truncate(self.general(w.rt()), size)), size);
        let seen = place.replace(size, expected, new);
        self.set_general(w.rm(), self.ordered(seen, size) as u64);
    }

    #[inline(never)]
    fn compare_and_swap_pair(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let bytes = 8 << w.field(30, 30);
        let place = self.aligned(env, self.base(w), AccessKind::Atomic, bytes)?;
        self.swap_pair(place, w);
        Some(())
    }

    #[inline(never)]
    fn swap_pair(&mut self, place: Place<'m>, w: Word) {
        let size = 4 << w.field(30, 30);
        let expected = self.join(self.general(w.rm()), self.general(w.rm() + 1), size);
        let new = self.join(self.general(w.rt()), self.general(w.rt() + 1), size);
        let seen = place.replace(2 * size, expected, new);
        let (first, second) = self.halves(seen, size);
        self.set_general(w.rm(), first);
        self.set_general(w.rm() + 1, second);
    }

    /// LD<op> and SWP. Arm ARM, "Atomic memory operations".
    #[inline(never)]
    pub(super) fn atomic(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let place = self.aligned(env, self.base(w), AccessKind::Atomic, w.size())?;
        self.modify(place, w);
        Some(())
    }

    #[inline(never)]
    fn modify(&mut self, place: Place<'m>, w: Word) {
        let size = w.size();
        let operand = truncate(self.general(w.rm()), size);
        let swap = w.bit(15);
        let operation = w.field(14, 12);
        let signed = |value| sign_extend(value, size) as i64;
        let big_endian = self.big_endian();
        let order = |value: u128| {
            if big_endian { (value.swap_bytes() >> (128 - 8 * size)) as u64 } else { value as u64 }
        };
        let seen = place.update(size, |memory| {
            let old = order(memory);
            let new = match operation {
                _ if swap => operand,
                0 => old.wrapping_add(operand),
                1 => old & !operand,
                2 => old ^ operand,
                3 => old | operand,
                4 => {
                    if signed(old) > signed(operand) {
                        old
                    } else {
                        operand
                    }
                }
                5 => {
                    if signed(old) < signed(operand) {
                        old
                    } else {
                        operand
                    }
                }
                6 => old.max(operand),
                _ => old.min(operand),
            };
            Some(u128::from(order(u128::from(truncate(new, size)))))
        });
        let old = self.ordered(seen, size) as u64;
        self.set_general(w.rt(), old);
    }
}
