//! Exclusives, ordered accesses and atomics. Arm ARM C4.1.88.

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

    /// LDXR, STXR, LDAR, STLR, CAS and their pairs. Arm ARM C4.1.88, "Load/store exclusive".
    #[inline(never)]
    pub(super) fn exclusive_or_ordered(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let size = 1_usize << w.field(31, 30);
        match (w.bit(23), w.bit(22), w.bit(21)) {
            (true, _, true) => self.compare_and_swap(env, w, size),
            (false, _, true) if size < 4 => self.compare_and_swap_pair(env, w, 4 << w.field(30, 30)),
            (true, true, false) => {
                let va = self.base(w);
                let value = self.load(env, va, size, Manner::ordered(AccessKind::Read, size))?;
                acquire_fence();
                self.set_general(w.rt(), value);
                Some(())
            }
            (true, false, false) => {
                let va = self.base(w);
                release_fence();
                self.store(env, va, size, self.general(w.rt()), Manner::ordered(AccessKind::Write, size))?;
                full_fence();
                Some(())
            }
            (false, true, pair) => self.load_exclusive(env, w, size, pair),
            (false, false, pair) => self.store_exclusive(env, w, size, pair),
        }
    }

    fn load_exclusive(&mut self, env: &dyn Host<'m>, w: Word, size: usize, pair: bool) -> Option<()> {
        let bytes = size << u32::from(pair);
        let va = self.base(w);
        let place = self.aligned(env, va, AccessKind::Read, bytes)?;
        let value = match bytes {
            16 => u128::from_le(place.page.atomic128(place.offset).load(SeqCst)),
            _ => u128::from(place.load(bytes)),
        };
        if w.bit(15) {
            acquire_fence();
        }
        self.state.monitor = Monitor { open: true, address: va, bytes: bytes as u8, value };
        if pair {
            let (first, second) = self.halves(value, size);
            self.set_general(w.rt(), first);
            self.set_general(w.rt2(), second);
        } else {
            self.set_general(w.rt(), self.ordered(value, size) as u64);
        }
        Some(())
    }

    fn store_exclusive(&mut self, env: &dyn Host<'m>, w: Word, size: usize, pair: bool) -> Option<()> {
        let bytes = size << u32::from(pair);
        let va = self.base(w);
        let monitor = core::mem::take(&mut self.state.monitor);
        // CHOICE: aborts are detected after the check of the local monitor, so a store that fails
        // there never aborts. Arm ARM B2.12.5.
        let mut stored = false;
        if monitor.open && monitor.address == va && usize::from(monitor.bytes) == bytes {
            let value = if pair {
                self.join(self.general(w.rt()), self.general(w.rt2()), size)
            } else {
                self.ordered(u128::from(truncate(self.general(w.rt()), size)), size)
            };
            let Some(place) = self.aligned(env, va, AccessKind::Write, bytes) else {
                // The instruction did not happen: its monitor is as it was.
                self.state.monitor = monitor;
                return None;
            };
            let seen = place.update(bytes, |old| (old == monitor.value).then_some(value));
            stored = seen == monitor.value;
        }
        self.set_general(w.rm(), u64::from(!stored));
        Some(())
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

    fn compare_and_swap(&mut self, env: &dyn Host<'m>, w: Word, size: usize) -> Option<()> {
        let va = self.base(w);
        let place = self.aligned(env, va, AccessKind::Atomic, size)?;
        let expected = self.ordered(u128::from(truncate(self.general(w.rm()), size)), size);
        let new = self.ordered(u128::from(truncate(self.general(w.rt()), size)), size);
        let seen = place.update(size, |old| (old == expected).then_some(new));
        self.set_general(w.rm(), self.ordered(seen, size) as u64);
        Some(())
    }

    fn compare_and_swap_pair(&mut self, env: &dyn Host<'m>, w: Word, size: usize) -> Option<()> {
        let va = self.base(w);
        let place = self.aligned(env, va, AccessKind::Atomic, 2 * size)?;
        let expected = self.join(self.general(w.rm()), self.general(w.rm() + 1), size);
        let new = self.join(self.general(w.rt()), self.general(w.rt() + 1), size);
        let seen = place.update(2 * size, |old| (old == expected).then_some(new));
        let (first, second) = self.halves(seen, size);
        self.set_general(w.rm(), first);
        self.set_general(w.rm() + 1, second);
        Some(())
    }

    /// LD<op>, SWP and LDAPR. Arm ARM C4.1.88, "Atomic memory operations".
    #[inline(never)]
    pub(super) fn atomic(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let size = 1_usize << w.field(31, 30);
        let va = self.base(w);
        if w.bit(15) && w.field(14, 12) == 4 {
            let value = self.load(env, va, size, Manner::ordered(AccessKind::Read, size))?;
            acquire_fence();
            self.set_general(w.rt(), value);
            return Some(());
        }
        let place = self.aligned(env, va, AccessKind::Atomic, size)?;
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
        Some(())
    }
}
