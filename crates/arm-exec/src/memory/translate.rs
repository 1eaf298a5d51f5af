//! From virtual addresses to pages: the maps, and what fills them.

use super::Place;
use crate::abort::{Abort, Cause};
use crate::env::{Stage2Access, Stage2Page};
use crate::flow::Host;
use crate::pe::{DEVICES, Device, FETCH, OLDER, OLDER_STAGE2, Pe, READ, STAGE2, WRITE};
use crate::ram::{Map, PagePtr};
use arm_arch::{FaultStatus, Ipa, Level, Pa, Va};
use core::cell::Cell;
use core::sync::atomic::Ordering::SeqCst;
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{
    self, Access, AccessKind, El1Registers, Fault, Mapping, Permissions, Privilege, Translation,
};

/// A map, and another for what it gave up: of two pages with one place the one that was not asked for last is there.
#[derive(Clone, Copy)]
struct Ways<'m> {
    newer: Map<'m>,
    older: Map<'m>,
}

impl<'m> Ways<'m> {
    /// Returns a page that either has; it is in the newer one from then on.
    fn page(self, at: u64) -> Option<(PagePtr<'m>, Pa)> {
        if let Some(found) = self.newer.page(at) {
            return Some(found);
        }
        let (page, absolute) = self.older.page(at)?;
        self.insert(at, page, absolute);
        Some((page, absolute))
    }

    fn insert(self, at: u64, page: PagePtr<'m>, absolute: Pa) {
        self.newer.give_way(at, self.older);
        self.newer.insert(at, page, absolute);
    }
}

/// Descriptors that one translation has at most: levels -1 to 3.
const DESCRIPTORS: usize = 5;
/// Pages that one translation asks stage 2 for, before the instruction starts again: more than it needs where nobody
/// changes its tables meanwhile.
const QUESTIONS: usize = 32;

/// Stage-1 tables, as far as it is known where their pages are. A walk ends at the first that is not, and begins again
/// once stage 2 was asked: so no more than one of the two walks is on the stack.
struct Tables<'m> {
    /// Pages that may be read, by intermediate physical address.
    map: Ways<'m>,
    /// What was asked for last: in the map each may have given way to the next.
    asked: [Option<(u64, PagePtr<'m>)>; DESCRIPTORS],
    loads: Cell<usize>,
}

impl<'m> Tables<'m> {
    /// Returns a page that was asked for.
    #[cold]
    fn page(&self, at: u64) -> Option<PagePtr<'m>> {
        self.asked.iter().flatten().find(|(page, _)| *page == at & !0xfff).map(|(_, page)| *page)
    }

    fn insert(&mut self, turn: usize, at: u64, found: &Stage2Page<'m>) {
        self.map.insert(at, found.page, found.absolute);
        self.asked[turn % DESCRIPTORS] = Some((at & !0xfff, found.page));
    }
}

impl TableMemory<Ipa> for Tables<'_> {
    /// The descriptor's address, where it is not known which page that is.
    type Error = Ipa;

    fn load(&self, at: Ipa) -> Result<Option<[u8; 8]>, Ipa> {
        let page = match self.map.page(at.bits()) {
            Some((page, _)) => page,
            None => self.page(at.bits()).ok_or(at)?,
        };
        self.loads.set(self.loads.get() + 1);
        let descriptor = page.atomic64((at.bits() & 0xff8) as usize).load(SeqCst);
        Ok(Some(descriptor.to_ne_bytes()))
    }
}

/// Returns the level of a descriptor after `loads` others, the first of which was at `first`.
fn level_of(first: Level, loads: usize) -> Option<Level> {
    Level::ALL.into_iter().filter(|level| *level >= first).nth(loads)
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

    pub(super) fn access(&self, kind: AccessKind, unprivileged: bool) -> Access {
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

    /// Translates through stage 1.
    pub(crate) fn walk(
        &mut self,
        env: &dyn Host<'m>,
        va: u64,
        access: Access,
    ) -> Result<Mapping<Ipa>, Abort> {
        let [map, _] = self.stage2_maps();
        let mut tables = Tables { map, asked: [None; DESCRIPTORS], loads: Cell::new(0) };
        let abort = |cause| Abort { va, access, cause };
        let Some(params) = &self.params else {
            // Nobody translates before `synchronise`.
            let fault = Fault::stage_1(FaultStatus::Translation(Level::L0), false);
            return Err(abort(Cause::Stage1(fault)));
        };
        self.statistics.walks = self.statistics.walks.wrapping_add(1);
        for turn in 0..QUESTIONS {
            let ipa = match vmsa::walk(params, Va::new(va), access, &tables) {
                Ok(Translation::Mapped(mapping)) => return Ok(mapping),
                Ok(Translation::Fault(fault)) => return Err(abort(Cause::Stage1(fault))),
                Err(ipa) => ipa,
            };
            self.statistics.stage2 = self.statistics.stage2.wrapping_add(1);
            let Some(found) = env.stage2(ipa, Stage2Access::Walk) else {
                // The short way looks at descriptors that the long one looks at again: only the latter's count.
                tables.loads.set(0);
                let _ = vmsa::walk_in_full(params, Va::new(va), access, &tables);
                let walk_level = level_of(params.start_level(Va::new(va)), tables.loads.get());
                return Err(abort(Cause::Stage2 { ipa, walk_level }));
            };
            tables.insert(turn, ipa.bits(), &found);
        }
        Err(abort(Cause::Changing))
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
        let [reads, writes] = self.stage2_maps();
        let question = match access.kind {
            AccessKind::Fetch => Stage2Access::Fetch,
            AccessKind::Write | AccessKind::Atomic | AccessKind::Invalidate | AccessKind::GcsWrite => {
                Stage2Access::Write
            }
            AccessKind::Read
            | AccessKind::GcsRead
            | AccessKind::Clean
            | AccessKind::CleanInvalidate
            | AccessKind::AtRead
            | AccessKind::AtWrite
            | AccessKind::AtAddress => Stage2Access::Read,
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

    /// Returns a map of reads or writes with what it gave up.
    fn ways(&self, map: usize) -> Ways<'m> {
        Ways { newer: self.maps[map], older: self.maps[OLDER + map] }
    }

    /// Returns the maps of stage 2 with what they gave up.
    fn stage2_maps(&self) -> [Ways<'m>; 2] {
        let [reads, writes] = STAGE2;
        let [older_reads, older_writes] = OLDER_STAGE2;
        [(reads, older_reads), (writes, older_writes)]
            .map(|(newer, older)| Ways { newer: self.maps[newer], older: self.maps[older] })
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
    pub(super) fn place(&mut self, env: &dyn Host<'m>, va: u64, access: Access) -> Option<Place<'m>> {
        let regime = self.regime(access);
        let offset = (va & 0xfff) as usize;
        let map = match access.kind {
            AccessKind::Read => READ + regime,
            _ => WRITE + regime,
        };
        if let Some((page, _)) = self.ways(map).page(va) {
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
        // What the walk returns is large: it is used where it lies.
        let mapping = match self.walk(env, va, access) {
            Ok(mapping) => mapping,
            Err(abort) => {
                self.abort = Some(abort);
                return None;
            }
        };
        if mapping.attributes.is_device() && mapping.update.is_none() {
            self.devices[slot] = Device { key, ipa: mapping.output.bits() & !0xfff };
        }
        let Some(page) = self.stage2(env, mapping.output, access) else {
            let cause = Cause::Stage2 { ipa: mapping.output, walk_level: None };
            self.abort = Some(Abort { va, access, cause });
            return None;
        };
        self.fill(va, access, &mapping, &page);
        Some(Place { page: page.page, offset })
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
            self.ways(READ + regime).insert(va, page.page, page.absolute);
        }
        if held.contains(write) && page.writable {
            self.ways(WRITE + regime).insert(va, page.page, page.absolute);
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
        let mapping = match self.walk(env, va, access) {
            Ok(mapping) => mapping,
            Err(abort) => {
                self.abort = Some(abort);
                return None;
            }
        };
        let Some(page) = self.stage2(env, mapping.output, access) else {
            let cause = Cause::Stage2 { ipa: mapping.output, walk_level: None };
            self.abort = Some(Abort { va, access, cause });
            return None;
        };
        map.insert(va, page.page, page.absolute);
        self.note_size(va, &mapping);
        self.fetched.note(va);
        Some((page.page, page.absolute))
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
            AccessKind::Atomic
            | AccessKind::Fetch
            | AccessKind::AtRead
            | AccessKind::AtWrite
            | AccessKind::AtAddress
            | AccessKind::GcsRead
            | AccessKind::GcsWrite => None,
        };
        if let Some((page, absolute)) = map.and_then(|map| self.ways(map + self.regime(access)).page(va)) {
            return Ok((Stage2Page { page, absolute, writable: false, executable: false }, offset));
        }
        let (mapping, page) = self.resolve(env, va, access)?;
        // Maintenance is judged by less than a load or store is, the Access flag for one: it opens nothing to them.
        if matches!(access.kind, AccessKind::Read | AccessKind::Write) {
            self.fill(va, access, &mapping, &page);
        }
        Ok((page, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_load_is_one_level_below() {
        assert_eq!(level_of(Level::L0, 0), Some(Level::L0));
        assert_eq!(level_of(Level::L1, 2), Some(Level::L3));
        assert_eq!(level_of(Level::L3, 1), None);
    }
}
