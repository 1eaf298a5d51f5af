//! Accesses to memory that the maps do not answer, and the instructions that are not a plain load or
//! store.
#![expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a numeric kernel: arithmetic is the guest's, modulo 2^n; indices are masked to the length of what they index"
)]

use crate::abort::{Abort, Cause};
use crate::block::Operation;
use crate::env::{Stage2Access, Stage2Page};
use crate::flow::Host;
use crate::pe::{DEVICES, Device, FETCH, Pe, READ, STAGE2, WRITE};
use crate::ram::{Map, PagePtr, acquire_fence, full_fence, release_fence};
use crate::state::{Monitor, SP};
use arm_arch::{FaultStatus, Ipa, Level, Pa, Va};
use core::cell::Cell;
use core::sync::atomic::Ordering::SeqCst;
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{
    self, Access, AccessKind, El1Registers, Fault, Mapping, Params, Permissions, Privilege, Translation,
};

/// SCTLR_EL1.A.
const SCTLR_A: u64 = 1 << 1;

/// Stage-1 tables, read through stage 2.
struct Tables<'a, 'm> {
    env: &'a dyn Host<'m>,
    /// Pages that may be read, by intermediate physical address.
    map: Map<'m>,
    loads: Cell<u32>,
    questions: Cell<u64>,
}

impl<'m> TableMemory<Ipa> for Tables<'_, 'm> {
    /// The descriptor's address, where stage 2 refused it.
    type Error = Ipa;

    fn load(&self, at: Ipa) -> Result<Option<[u8; 8]>, Ipa> {
        let page = match self.map.page(at.bits()) {
            Some((page, _)) => page,
            None => {
                self.questions.set(self.questions.get() + 1);
                let found = self.env.stage2(at, Stage2Access::Walk).ok_or(at)?;
                self.map.insert(at.bits(), found.page, found.absolute);
                found.page
            }
        };
        self.loads.set(self.loads.get() + 1);
        let descriptor = page.atomic64((at.bits() & 0xff8) as usize).load(SeqCst);
        Ok(Some(descriptor.to_ne_bytes()))
    }
}

/// The page that an access reaches, and where it lies in the page.
#[derive(Clone, Copy, Debug)]
struct Place<'m> {
    page: PagePtr<'m>,
    offset: usize,
}

impl Place<'_> {
    fn load(self, bytes: usize) -> u64 {
        match bytes {
            1 => self.page.load8(self.offset).into(),
            2 => self.page.load16(self.offset).into(),
            4 => self.page.load32(self.offset).into(),
            _ => self.page.load64(self.offset),
        }
    }

    fn store(self, bytes: usize, value: u64) {
        match bytes {
            1 => self.page.store8(self.offset, value as u8),
            2 => self.page.store16(self.offset, value as u16),
            4 => self.page.store32(self.offset, value as u32),
            _ => self.page.store64(self.offset, value),
        }
    }

    /// Replaces the value at an aligned place by what `new` makes of it, atomically; `None` leaves it.
    /// Returns the old value. Values are little-endian.
    fn update(self, bytes: usize, mut new: impl FnMut(u128) -> Option<u128>) -> u128 {
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
    /// Returns the registers that stage 1 reads.
    pub(crate) fn translation_registers(&self) -> El1Registers {
        let sys = &self.state.sys;
        El1Registers {
            sctlr: sys.sctlr_el1,
            tcr: sys.tcr_el1,
            ttbr0: sys.ttbr0_el1,
            ttbr1: sys.ttbr1_el1,
            mair: sys.mair_el1,
            hcr: sys.hcr_el2,
        }
    }

    fn params(&mut self) -> Params {
        let registers = self.translation_registers();
        if self.params.0 != registers {
            self.params = (registers, Params::el1(&registers, &crate::system::TRANSLATION));
        }
        self.params.1
    }

    fn access(&self, kind: AccessKind, unprivileged: bool) -> Access {
        let mode = &self.state.mode;
        let as_el0 = mode.el == 0 || unprivileged && !mode.uao;
        let privilege = if as_el0 { Privilege::Unprivileged } else { Privilege::Privileged };
        Access::new(kind, privilege).with_pan(mode.pan)
    }

    /// Translates through both stages, without the maps of stage 1.
    fn resolve(
        &mut self,
        env: &dyn Host<'m>,
        va: u64,
        access: Access,
    ) -> Result<(Mapping<Ipa>, Stage2Page<'m>), Abort> {
        let mapping = self.walk(env, va, access)?;
        self.finish(env, va, access, mapping)
    }

    /// As `resolve`; remembers a page of Device memory at `keep`.
    fn resolve_keeping(
        &mut self,
        env: &dyn Host<'m>,
        va: u64,
        access: Access,
        keep: (usize, u64),
    ) -> Result<(Mapping<Ipa>, Stage2Page<'m>), Abort> {
        let mapping = self.walk(env, va, access)?;
        if mapping.attributes.is_device() && mapping.update.is_none() {
            let (slot, key) = keep;
            self.devices[slot] = Device { key, ipa: mapping.output.bits() & !0xfff };
        }
        self.finish(env, va, access, mapping)
    }

    fn walk(&mut self, env: &dyn Host<'m>, va: u64, access: Access) -> Result<Mapping<Ipa>, Abort> {
        let params = self.params();
        let map = self.maps[STAGE2[0]];
        let tables = Tables { env, map, loads: Cell::new(0), questions: Cell::new(0) };
        let walked = vmsa::walk(&params, Va::new(va), access, &tables);
        self.statistics.walks = self.statistics.walks.wrapping_add(1);
        self.statistics.stage2 = self.statistics.stage2.wrapping_add(tables.questions.get());
        let abort = |cause| Abort { va, access, cause };
        match walked {
            Ok(Translation::Mapped(mapping)) => Ok(mapping),
            Ok(Translation::Fault(fault)) => Err(abort(Cause::Stage1(fault))),
            Err(ipa) => {
                let walk_level = Some(self.walk_level(va, tables.loads.get()));
                Err(abort(Cause::Stage2 { ipa, walk_level }))
            }
        }
    }

    fn finish(
        &mut self,
        env: &dyn Host<'m>,
        va: u64,
        access: Access,
        mapping: Mapping<Ipa>,
    ) -> Result<(Mapping<Ipa>, Stage2Page<'m>), Abort> {
        match self.stage2(env, mapping.output, access) {
            Some(page) => Ok((mapping, page)),
            None => {
                let cause = Cause::Stage2 { ipa: mapping.output, walk_level: None };
                Err(Abort { va, access, cause })
            }
        }
    }

    /// Finds the page of an intermediate physical address, by the maps or by asking.
    fn stage2(&mut self, env: &dyn Host<'m>, ipa: Ipa, access: Access) -> Option<Stage2Page<'m>> {
        let [reads, writes] = STAGE2.map(|map| self.maps[map]);
        let question = match access.kind {
            AccessKind::Fetch => Stage2Access::Fetch,
            AccessKind::Write | AccessKind::Atomic | AccessKind::Invalidate => Stage2Access::Write,
            AccessKind::Read
            | AccessKind::Clean
            | AccessKind::CleanInvalidate
            | AccessKind::AtRead
            | AccessKind::AtWrite => Stage2Access::Read,
        };
        let known = match question {
            Stage2Access::Read | Stage2Access::Walk => reads.page(ipa.bits()),
            Stage2Access::Write => writes.page(ipa.bits()),
            Stage2Access::Fetch => None,
        };
        if let Some((page, absolute)) = known {
            let writable = writes.page(ipa.bits()).is_some();
            return Some(Stage2Page { page, absolute, writable, executable: false });
        }
        self.statistics.stage2 = self.statistics.stage2.wrapping_add(1);
        let found = env.stage2(ipa, question)?;
        if question != Stage2Access::Fetch {
            reads.insert(ipa.bits(), found.page, found.absolute);
            if found.writable {
                writes.insert(ipa.bits(), found.page, found.absolute);
            }
        }
        Some(found)
    }

    /// The level of the descriptor that a walk loads after `loads` others.
    fn walk_level(&self, va: u64, loads: u32) -> Level {
        let tcr = self.state.sys.tcr_el1;
        let txsz = if va >> 55 & 1 == 0 { tcr & 63 } else { tcr >> 16 & 63 };
        let granule = self.params.1.granule(Va::new(va)).bits();
        let above = (64 - txsz as u32).saturating_sub(1 + granule) / (granule - 3);
        match (3_u32.saturating_sub(above) + loads, above) {
            (0, 4) => Level::Minus1,
            (0, _) => Level::L0,
            (1, _) => Level::L1,
            (2, _) => Level::L2,
            _ => Level::L3,
        }
    }

    /// Returns the index of the map pair for accesses of this kind: EL1, EL1 with PAN, EL0.
    fn regime(&self, access: Access) -> usize {
        match (access.privilege, access.pan) {
            (Privilege::Unprivileged, _) => 2,
            (Privilege::Privileged, true) => 1,
            (Privilege::Privileged, false) => 0,
        }
    }

    /// Finds the page for an access that does not leave it, by the maps or a walk; on failure keeps
    /// the abort.
    fn place(&mut self, env: &dyn Host<'m>, va: u64, access: Access) -> Option<Place<'m>> {
        let regime = self.regime(access);
        let offset = (va & 0xfff) as usize;
        let map = match access.kind {
            AccessKind::Read => READ + regime,
            _ => WRITE + regime,
        };
        if let Some((page, _)) = self.maps[map].page(va) {
            return Some(Place { page, offset });
        }
        self.statistics.misses = self.statistics.misses.wrapping_add(1);
        // A page, the map, and never 0.
        let key = va & !0xfff | (map + 1) as u64;
        let slot = (va >> 12) as usize % DEVICES;
        if self.devices[slot].key == key && access.aligned {
            let ipa = Ipa::new(self.devices[slot].ipa | va & 0xfff);
            let Some(page) = self.stage2(env, ipa, access) else {
                self.abort = Some(Abort { va, access, cause: Cause::Stage2 { ipa, walk_level: None } });
                return None;
            };
            return Some(Place { page: page.page, offset });
        }
        match self.resolve_keeping(env, va, access, (slot, key)) {
            Ok((mapping, page)) => {
                self.fill(va, access, &mapping, &page);
                Some(Place { page: page.page, offset })
            }
            Err(abort) => {
                self.abort = Some(abort);
                None
            }
        }
    }

    /// Remembers a translation of Normal memory for reads and writes, as far as it allows them.
    /// Device memory is never in the maps: its alignment rule is checked by each walk.
    fn fill(&mut self, va: u64, access: Access, mapping: &Mapping<Ipa>, page: &Stage2Page<'m>) {
        if mapping.attributes.is_device() || mapping.update.is_some() {
            return;
        }
        let held = mapping.permissions.with_pan(access.pan);
        let (read, write) = match access.privilege {
            Privilege::Privileged => (Permissions::PRIV_READ, Permissions::PRIV_WRITE),
            Privilege::Unprivileged => (Permissions::USER_READ, Permissions::USER_WRITE),
        };
        let regime = self.regime(access);
        if held.contains(read) {
            self.maps[READ + regime].insert(va, page.page, page.absolute);
        }
        if held.contains(write) && page.writable {
            self.maps[WRITE + regime].insert(va, page.page, page.absolute);
        }
        self.note_size(va, mapping);
    }

    /// Remembers that a translation is part of a larger one, which one TLBI by address drops whole.
    fn note_size(&mut self, va: u64, mapping: &Mapping<Ipa>) {
        match mapping.size_log2 {
            _ if mapping.level.is_none() => {}
            0..=12 => {}
            13..=21 => self.large[0] |= 1 << (va >> 21 & 63),
            _ => self.large[1] |= 1 << (va >> 30 & 63),
        }
        if mapping.not_global && va >> 55 & 1 == 1 {
            self.high_not_global = true;
        }
    }

    /// Translates an instruction address; on failure keeps the abort.
    pub(crate) fn fetch(&mut self, env: &dyn Host<'m>, va: u64) -> Option<(PagePtr<'m>, Pa)> {
        let map = self.maps[FETCH + usize::from(self.state.mode.el == 0)];
        if let Some(found) = map.page(va) {
            return Some(found);
        }
        self.statistics.fetch_misses = self.statistics.fetch_misses.wrapping_add(1);
        let access = self.access(AccessKind::Fetch, false);
        match self.resolve(env, va, access) {
            Ok((mapping, page)) => {
                map.insert(va, page.page, page.absolute);
                self.note_size(va, &mapping);
                self.fetched.note(va);
                Some((page.page, page.absolute))
            }
            Err(abort) => {
                self.abort = Some(abort);
                None
            }
        }
    }

    /// Translates an address with permission checks (DC ZVA, IC IVAU, AT); returns the page and the
    /// offset into it.
    pub(crate) fn translate(
        &mut self,
        env: &dyn Host<'m>,
        va: u64,
        access: Access,
    ) -> Result<(Stage2Page<'m>, usize), Abort> {
        let offset = (va & 0xfff) as usize;
        // What may be read or written may be cleaned; the maps hold Normal memory only.
        let map = match access.kind {
            AccessKind::Read | AccessKind::Clean | AccessKind::CleanInvalidate => Some(READ),
            AccessKind::Write | AccessKind::Invalidate => Some(WRITE),
            AccessKind::Atomic | AccessKind::Fetch | AccessKind::AtRead | AccessKind::AtWrite => None,
        };
        if let Some((page, absolute)) = map.and_then(|map| self.maps[map + self.regime(access)].page(va)) {
            return Ok((Stage2Page { page, absolute, writable: false, executable: false }, offset));
        }
        let (mapping, page) = self.resolve(env, va, access)?;
        self.fill(va, access, &mapping, &page);
        Ok((page, offset))
    }

    fn fail_alignment<T>(&mut self, va: u64, access: Access) -> Option<T> {
        // An atomic faults on its read.
        let write = matches!(access.kind, AccessKind::Write);
        let fault = Fault { status: FaultStatus::Alignment, stage: vmsa::Stage::One, s1ptw: false, write };
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
            if manner.aligned || self.state.sys.sctlr_el1 & SCTLR_A != 0 {
                return self.fail_alignment(va, access);
            }
            access = access.unaligned();
        }
        let first = self.place(env, va, access)?;
        if first.offset + bytes <= 4096 {
            return Some((first, None));
        }
        let second = self.place(env, (va | 0xfff).wrapping_add(1), access)?;
        Some((first, Some(second)))
    }

    fn big_endian(&self) -> bool {
        // SCTLR_EL1.E0E, EE.
        let bit = if self.state.mode.el == 0 { 24 } else { 25 };
        self.state.sys.sctlr_el1 >> bit & 1 != 0
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

    /// Executes an instruction that is not a plain load or store; the decoder has checked that it is
    /// one of them. On failure the abort is kept.
    #[inline(never)]
    pub(crate) fn memory(&mut self, env: &dyn Host<'m>, word: u32) -> Option<()> {
        let w = Word(word);
        match (w.field(29, 28), w.bit(26)) {
            (0, false) => self.exclusive_or_ordered(env, w),
            (0, true) => self.structures(env, w),
            (2, _) => self.pair(env, w),
            (_, true) => self.narrow_vector(env, w),
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

    /// LDR and STR of B and H registers with an immediate or a register offset.
    fn narrow_vector(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
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

    /// The place for an aligned access of one piece.
    fn aligned(&mut self, env: &dyn Host<'m>, va: u64, kind: AccessKind, bytes: usize) -> Option<Place<'m>> {
        Some(self.places(env, va, bytes, Manner::ordered(kind, bytes))?.0)
    }

    /// Swaps a value of `bytes` between the guest's byte order and little-endian.
    fn ordered(&self, value: u128, bytes: usize) -> u128 {
        if self.big_endian() { value.swap_bytes() >> (128 - 8 * bytes) } else { value }
    }

    /// LDXR, STXR, LDAR, STLR, CAS and their pairs. Arm ARM C4.1.88, "Load/store exclusive".
    fn exclusive_or_ordered(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
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
    fn atomic(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
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

    /// LD1 to LD4, ST1 to ST4, LD1R to LD4R. Arm ARM C4.1.88, "Advanced SIMD load/store".
    fn structures(&mut self, env: &dyn Host<'m>, w: Word) -> Option<()> {
        let base = self.base(w);
        let bytes = if w.bit(24) {
            self.single_structure(env, w, base)?
        } else {
            self.multiple_structures(env, w, base)?
        };
        if w.bit(23) {
            let step = if w.rm() == 31 { bytes } else { self.general(w.rm()) };
            self.set_base(w, base.wrapping_add(step));
        }
        Some(())
    }

    fn multiple_structures(&mut self, env: &dyn Host<'m>, w: Word, base: u64) -> Option<u64> {
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
        let mut registers = self.four_registers(w);
        let load = w.bit(22);
        if load {
            // A 64-bit form clears the upper half of what it writes.
            registers = [0; 4];
        }
        let mut va = base;
        for repeat in 0..repeats {
            for element in 0..width / size {
                for structure in 0..elements_each {
                    let register = &mut registers[(repeat + structure) & 3];
                    self.element(env, va, size, element, register, load)?;
                    va = va.wrapping_add(size as u64);
                }
            }
        }
        if load {
            self.set_registers(w, &registers, repeats * elements_each);
        }
        Some(va.wrapping_sub(base))
    }

    fn single_structure(&mut self, env: &dyn Host<'m>, w: Word, base: u64) -> Option<u64> {
        let scale = w.field(15, 14);
        let count = ((w.field(13, 13) << 1 | w.field(21, 21)) + 1) as usize;
        let mut registers = self.four_registers(w);
        let load = w.bit(22);
        let mut va = base;
        if scale == 3 {
            let size = 1_usize << w.field(11, 10);
            let width = if w.bit(30) { 16 } else { 8 };
            for register in registers.iter_mut().take(count) {
                let mut one = 0;
                self.element(env, va, size, 0, &mut one, true)?;
                *register = (0..width / size).fold(0, |all, n| all | one << (8 * size * n));
                va = va.wrapping_add(size as u64);
            }
            self.set_registers(w, &registers, count);
            return Some(va.wrapping_sub(base));
        }
        let index = w.field(30, 30) << 3 | w.field(12, 12) << 2 | w.field(11, 10);
        let (size, element) = match (scale, w.field(11, 10)) {
            (0, _) => (1, index),
            (1, _) => (2, index >> 1),
            (_, 0) => (4, index >> 2),
            _ => (8, index >> 3),
        };
        for register in registers.iter_mut().take(count) {
            self.element(env, va, size, element as usize, register, load)?;
            va = va.wrapping_add(size as u64);
        }
        if load {
            self.set_registers(w, &registers, count);
        }
        Some(va.wrapping_sub(base))
    }

    /// Loads into, or stores, one element of a register.
    fn element(
        &mut self,
        env: &dyn Host<'m>,
        va: u64,
        size: usize,
        element: usize,
        register: &mut u128,
        load: bool,
    ) -> Option<()> {
        let shift = 8 * size * element;
        if !load {
            let value = truncate((*register >> shift) as u64, size);
            return self.store(env, va, size, value, Manner::plain(AccessKind::Write, size));
        }
        let value = self.load(env, va, size, Manner::plain(AccessKind::Read, size))?;
        let ones = u128::from(truncate(u64::MAX, size));
        *register = *register & !(ones << shift) | u128::from(value) << shift;
        Some(())
    }

    fn four_registers(&self, w: Word) -> [u128; 4] {
        core::array::from_fn(|n| self.state.fp.v[(w.rt() + n) & 31])
    }

    fn set_registers(&mut self, w: Word, registers: &[u128; 4], count: usize) {
        for (n, value) in registers.iter().enumerate().take(count) {
            self.state.fp.v[(w.rt() + n) & 31] = *value;
        }
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
