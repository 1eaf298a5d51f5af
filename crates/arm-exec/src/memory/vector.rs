//! Loads and stores of SIMD&FP registers.

use super::{Manner, Word, truncate};
use crate::block::Operation;
use crate::flow::Host;
use crate::pe::Pe;
use mmu_xlate::vmsa::AccessKind;

impl<'m> Pe<'m> {
    /// Loads a quadword as SIMD loads do.
    fn load_quad(&mut self, env: &dyn Host<'m>, va: u64) -> Option<u128> {
        let high = va.wrapping_add(8);
        if let (Some(low), Some(high)) = (self.reads.load64(va), self.reads.load64(high)) {
            return Some(u128::from(low) | u128::from(high) << 64);
        }
        let manner = Manner { alignment: 16, ..Manner::plain(AccessKind::Read, 16) };
        // Each half is checked with the alignment of the whole.
        let low = self.load(env, va, 8, manner)?;
        let high = self.load(env, high, 8, Manner { alignment: 8, ..manner })?;
        Some(if self.big_endian() {
            u128::from(high) | u128::from(low) << 64
        } else {
            u128::from(low) | u128::from(high) << 64
        })
    }

    fn store_quad(&mut self, env: &dyn Host<'m>, va: u64, value: u128) -> Option<()> {
        let at_high = va.wrapping_add(8);
        let (low, high) = (value as u64, (value >> 64) as u64);
        if self.writes.store64(va, low).is_some() && self.writes.store64(at_high, high).is_some() {
            return Some(());
        }
        let manner = Manner { alignment: 16, ..Manner::plain(AccessKind::Write, 16) };
        let (low, high) = if self.big_endian() { (high, low) } else { (low, high) };
        self.store(env, va, 8, low, manner)?;
        self.store(env, at_high, 8, high, Manner { alignment: 8, ..manner })
    }

    /// LDR and LDP of quadwords: `d` registers, `a` and `c`.
    #[inline(never)]
    pub(crate) fn load_vectors(&mut self, env: &dyn Host<'m>, va: u64, op: Operation) -> Option<()> {
        let first = self.load_quad(env, va)?;
        if op.d == 2 {
            let second = self.load_quad(env, va.wrapping_add(16))?;
            self.state.fp.v[usize::from(op.a & 31)] = first;
            self.state.fp.v[usize::from(op.c & 31)] = second;
        } else {
            self.state.fp.v[usize::from(op.a & 31)] = first;
        }
        Some(())
    }

    /// STR and STP of quadwords: `d` registers, `a` and `c`.
    #[inline(never)]
    pub(crate) fn store_vectors(&mut self, env: &dyn Host<'m>, va: u64, op: Operation) -> Option<()> {
        self.store_quad(env, va, self.state.fp.v[usize::from(op.a & 31)])?;
        if op.d == 2 {
            self.store_quad(env, va.wrapping_add(16), self.state.fp.v[usize::from(op.c & 31)])?;
        }
        Some(())
    }
    /// LDR and STR of B and H registers with an immediate or a register offset.
    #[inline(never)]
    pub(super) fn narrow_vector(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let bytes = 1_usize << w.field(31, 30);
        let base = self.base(w);
        let (va, writeback) = if w.bit(24) {
            (base.wrapping_add(u64::from(w.field(21, 10)) * bytes as u64), None)
        } else if w.bit(21) {
            let m = self.general(w.rm());
            let index = match w.field(15, 13) {
                2 => u64::from(m as u32),
                6 => m as i32 as u64,
                _ => m,
            };
            let shift = if w.bit(12) { w.field(31, 30) } else { 0 };
            (base.wrapping_add(index << shift), None)
        } else {
            let indexed = base.wrapping_add(w.signed(20, 12));
            match w.field(11, 10) {
                0 => (indexed, None),
                1 => (base, Some(indexed)),
                _ => (indexed, Some(indexed)),
            }
        };
        if w.bit(22) {
            let value = self.load(env, va, bytes, Manner::plain(AccessKind::Read, bytes))?;
            self.state.fp.v[w.rt()] = value.into();
        } else {
            let value = self.state.fp.v[w.rt()] as u64;
            self.store(env, va, bytes, value, Manner::plain(AccessKind::Write, bytes))?;
        }
        if let Some(base) = writeback {
            self.set_base(w, base);
        }
        Some(())
    }
    /// LD1 to LD4, ST1 to ST4, of whole registers. Arm ARM, "Advanced SIMD load/store multiple structures".
    #[inline(never)]
    pub(super) fn multiple_structures(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let (repeats, elements_each) = match w.field(15, 12) {
            0b0000 => (1, 4),
            0b0010 => (4, 1),
            0b0100 => (1, 3),
            0b0110 => (3, 1),
            0b0111 => (1, 1),
            0b1000 => (1, 2),
            _ => (2, 1),
        };
        let size = 1_usize << w.field(11, 10);
        let width = if w.bit(30) { 16 } else { 8 };
        // A 64-bit form clears the upper half of what it loads.
        let mut loaded = [[0; 2]; 4];
        let base = self.base(w);
        let mut va = base;
        for repeat in 0..repeats {
            for at in (0..width).step_by(size) {
                for structure in 0..elements_each {
                    self.element(env, w, va, (size, at), repeat + structure, &mut loaded)?;
                    va = va.wrapping_add(size as u64);
                }
            }
        }
        self.finish_structures(w, va.wrapping_sub(base), &loaded, repeats * elements_each);
        Some(())
    }

    /// LD1 to LD4 and ST1 to ST4 of one lane, LD1R to LD4R. Arm ARM, "Advanced SIMD load/store single structure".
    #[inline(never)]
    pub(super) fn single_structure(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let scale = w.field(15, 14);
        let count = ((w.field(13, 13) << 1 | w.field(21, 21)) + 1) as usize;
        let index = w.field(30, 30) << 3 | w.field(12, 12) << 2 | w.field(11, 10);
        let replicate = scale == 3;
        let (size, element) = match (scale, w.field(11, 10)) {
            (3, size) => (1 << size, 0),
            (0, _) => (1, index),
            (1, _) => (2, index >> 1),
            (_, 0) => (4, index >> 2),
            _ => (8, index >> 3),
        };
        let mut loaded = [[0; 2]; 4];
        let base = self.base(w);
        let mut va = base;
        for number in 0..count {
            if !replicate {
                loaded[number & 3] = self.halves_of(w, number);
            }
            self.element(env, w, va, (size, size * element as usize), number, &mut loaded)?;
            if replicate {
                // A one in each lane.
                let low = loaded[number & 3][0].wrapping_mul(u64::MAX / truncate(u64::MAX, size));
                loaded[number & 3] = [low, if w.bit(30) { low } else { 0 }];
            }
            va = va.wrapping_add(size as u64);
        }
        self.finish_structures(w, va.wrapping_sub(base), &loaded, count);
        Some(())
    }

    /// Loads, or stores, the element at byte `at` of the register that is `number` places after the first. What is loaded
    /// is kept aside: where a later element faults, no register has changed.
    #[inline(always)]
    fn element(
        &mut self,
        env: &dyn Host<'m>,
        w: Word,
        va: u64,
        (size, at): (usize, usize),
        number: usize,
        loaded: &mut [[u64; 2]; 4],
    ) -> Option<()> {
        let (half, shift) = (at >> 3 & 1, 8 * (at & 7));
        if !w.bit(22) {
            let value = truncate(self.halves_of(w, number)[half] >> shift, size);
            return self.store(env, va, size, value, Manner::plain(AccessKind::Write, size));
        }
        let value = self.load(env, va, size, Manner::plain(AccessKind::Read, size))?;
        let into = &mut loaded[number & 3][half];
        *into = *into & !(truncate(u64::MAX, size) << shift) | value << shift;
        Some(())
    }

    /// Writes back what was loaded, and the base register.
    #[inline(always)]
    fn finish_structures(&mut self, w: Word, bytes: u64, loaded: &[[u64; 2]; 4], count: usize) {
        if w.bit(22) {
            for (number, [low, high]) in loaded.iter().enumerate().take(count) {
                self.state.fp.v[(w.rt() + number) & 31] = u128::from(*low) | u128::from(*high) << 64;
            }
        }
        if w.bit(23) {
            let step = if w.rm() == 31 { bytes } else { self.general(w.rm()) };
            self.set_base(w, self.base(w).wrapping_add(step));
        }
    }

    /// Returns the register that is `number` places after the first, in halves.
    #[inline(always)]
    fn halves_of(&self, w: Word, number: usize) -> [u64; 2] {
        let value = self.state.fp.v[(w.rt() + number) & 31];
        [value as u64, (value >> 64) as u64]
    }
}
