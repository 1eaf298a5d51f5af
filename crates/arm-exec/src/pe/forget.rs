//! What is derived from registers and tables, and when it is forgotten.

use super::{DEVICES, Device, EMPTY, OLDER_STAGE2, Pe, READ, STAGE2, WRITE, half};
use crate::decode::Context;
use crate::domain::{Invalidation, request};
use crate::flow::Host;
use crate::ram::Map;
use crate::state::SP;
use crate::system;
use arm_arch::sysreg::SctlrEl1;
use mmu_xlate::vmsa::{El1Registers, Params};

/// Pages whose instruction address was translated since the generation of their half began: which of
/// 4096 classes by page number, for each half of the address space.
#[derive(Clone, Debug)]
pub(crate) struct Fetched(pub(super) [[u64; 64]; 2]);

impl Fetched {
    pub(crate) fn note(&mut self, va: u64) {
        self.0[half(va)][(va >> 18) as usize & 63] |= 1 << (va >> 12 & 63);
    }

    fn has(&self, va: u64) -> bool {
        self.0[half(va)][(va >> 18) as usize & 63] >> (va >> 12 & 63) & 1 != 0
    }
}
impl<'m> Pe<'m> {
    /// Begins a new generation of translations of instruction addresses in one half.
    fn new_generation(&mut self, half: usize) {
        self.generations[half] += 1;
        self.fetched.0[half] = [0; 64];
        if self.generations[half] >= 1 << 24 {
            self.generations[half] = 1;
            self.drop_blocks();
        }
        self.renew_keys();
    }

    pub(super) fn renew_keys(&mut self) {
        self.keys = self.generations.map(|generation| generation << 8 | self.context.0);
    }
    /// Brings what is derived from registers up to date with them.
    pub(crate) fn synchronise(&mut self) {
        let registers = self.translation_registers();
        if registers != self.mapped_for {
            let old = core::mem::replace(&mut self.mapped_for, registers);
            self.translation_changed(&old, &registers);
            self.params = None;
        }
        if self.params.is_none() {
            self.read_registers(&registers);
        }
        let (sctlr, el0) = (SctlrEl1::from_bits(registers.sctlr), self.state.mode.el == 0);
        let misaligned = self.state.x[usize::from(SP)] & 15 != 0;
        let check_sp = misaligned && if el0 { sctlr.sa0() } else { sctlr.sa() };
        let fp_trap = self.has_fp_trap();
        let traps = self.storage_traps();
        let context = if el0 { Context::EL0 } else { 0 }
            | if traps { Context::TRAPS } else { 0 }
            | if check_sp { Context::CHECK_SP } else { 0 }
            | if fp_trap { Context::FP_TRAP } else { 0 };
        if self.context.0 != context {
            self.context = Context(context);
            self.renew_keys();
        }
        // Watchpoints, SCTLR_EL1.A, or big-endian data: every access is looked at.
        self.debugging.follow(&self.state);
        let big_endian = if el0 { sctlr.e0e() } else { sctlr.ee() };
        let strict = self.debugging.watching || sctlr.a() || big_endian;
        let regime = if el0 { 2 } else { usize::from(self.state.mode.pan) };
        let [reads, writes] = if strict { [EMPTY; 2] } else { [READ + regime, WRITE + regime] };
        (self.reads, self.writes) = (self.maps[reads], self.maps[writes]);
    }

    /// Works out what the registers of stage 1 mean: here, where the stack is not deep yet, as it takes much of it.
    #[inline(never)]
    fn read_registers(&mut self, registers: &El1Registers) {
        self.params = Some(Params::el1(registers, &system::TRANSLATION));
    }

    fn storage_traps(&mut self) -> bool {
        let hcr = Some(self.state.sys.hcr_el2);
        if self.storage_traps.0 != hcr {
            self.storage_traps = (hcr, system::storage_traps(&self.state));
        }
        self.storage_traps.1
    }

    fn has_fp_trap(&mut self) -> bool {
        let sys = &self.state.sys;
        let controls = Some((sys.cpacr_el1, sys.cptr_el2, sys.hcr_el2, self.state.mode.el));
        if self.fp_trap.0 != controls {
            self.fp_trap = (controls, system::fp_trap(&self.state).is_some());
        }
        self.fp_trap.1
    }

    /// Forgets the translations that a change of registers makes wrong.
    ///
    /// CHOICE: everything that may have changed goes at once; the architecture lets stale ones stay
    /// until a TLBI.
    fn translation_changed(&mut self, old: &El1Registers, new: &El1Registers) {
        let same_controls =
            (old.sctlr, old.tcr, old.mair, old.hcr) == (new.sctlr, new.tcr, new.mair, new.hcr);
        // TTBR.ASID and CnP.
        const BASE: u64 = 0x0000_ffff_ffff_fffe;
        if !same_controls || (old.ttbr1 ^ new.ttbr1) & BASE != 0 {
            self.statistics.invalidations += 1;
            self.forget(|_| false);
        } else {
            self.invalidate(Invalidation::NonGlobal);
        }
    }
    pub(super) fn serve(&mut self) {
        if self.mailbox.take(request::EVENT) {
            self.state.event = true;
        }
        let mailbox = self.mailbox;
        mailbox.serve(|what| self.invalidate(what));
    }

    /// Forgets every translation and every decoded instruction, as a reset does.
    pub fn flush_all(&mut self) {
        self.invalidate(Invalidation::All);
    }

    /// Forgets what is named, on this PE only.
    pub fn invalidate(&mut self, what: Invalidation) {
        self.statistics.invalidations += 1;
        match what {
            Invalidation::All => {
                self.forget(|_| false);
                self.forget_stage2();
                self.drop_blocks();
            }
            Invalidation::Translations => {
                self.forget(|_| false);
                self.forget_stage2();
            }
            Invalidation::NonGlobal => {
                let keep_high = !self.high_not_global;
                self.forget(|va| keep_high && half(va) == 1);
            }
            Invalidation::Address(va) => self.invalidate_address(va.bits()),
            Invalidation::Page(page) => {
                let page = page.bits() & !0xfff;
                for map in self.maps {
                    map.retain(|_, absolute| absolute.bits() != page);
                }
                self.store.remove_page(page);
                self.new_generation(0);
                self.new_generation(1);
            }
            Invalidation::CodePage(page) => {
                if self.store.remove_page(page.bits() & !0xfff) {
                    self.new_generation(0);
                    self.new_generation(1);
                }
            }
            Invalidation::Code => self.drop_blocks(),
        }
    }

    /// Forgets the translations of halves that are not kept: `keep` is asked for an address of each.
    fn forget(&mut self, keep: impl Fn(u64) -> bool) {
        let kept = [keep(0), keep(1 << 55)];
        self.devices = [Device::default(); DEVICES];
        for map in self.stage1() {
            if kept == [false; 2] {
                map.clear();
            } else {
                map.retain(|va, _| kept[half(va)]);
            }
        }
        for (half, kept) in kept.into_iter().enumerate() {
            if !kept {
                self.new_generation(half);
            }
        }
        if kept == [false; 2] {
            self.large = [0; 2];
        }
        if !kept[1] {
            self.high_not_global = false;
        }
    }

    fn forget_stage2(&mut self) {
        let ([reads, writes], [older_reads, older_writes]) = (STAGE2, OLDER_STAGE2);
        // One by one: a panic for an index that cannot be is compiled where they come out of an iterator.
        for map in [self.maps[reads], self.maps[writes], self.maps[older_reads], self.maps[older_writes]] {
            map.clear();
        }
    }

    /// The maps by virtual address.
    fn stage1(&self) -> impl Iterator<Item = Map<'m>> + use<'m> {
        self.maps.into_iter().take(EMPTY)
    }

    /// TLBI by address: the page, and where the address may be part of something larger, that.
    fn invalidate_address(&mut self, va: u64) {
        self.devices = [Device::default(); DEVICES];
        if self.large[1] >> (va >> 30 & 63) & 1 != 0 {
            return self.forget(|_| false);
        }
        if self.large[0] >> (va >> 21 & 63) & 1 != 0 {
            for map in self.stage1() {
                map.retain(|mapped, _| (mapped ^ va) << 8 >> 29 != 0);
            }
            return self.new_generation(half(va));
        }
        for map in self.stage1() {
            map.remove(va);
        }
        if self.fetched.has(va) {
            self.new_generation(half(va));
        }
    }

    /// Queues a request at the other PEs of the domain (TLBI and IC of the inner-shareable kind);
    /// complete it with [`complete`](Self::complete).
    pub(crate) fn broadcast(&mut self, what: Invalidation) {
        self.shared.post(Some(self.index), what);
        self.broadcast = true;
    }

    /// Waits until what was broadcast has no effect on any PE (DSB). Returns whether this PE may have served
    /// others meanwhile: then the block that it is in may be one that is not to be executed any more.
    pub(crate) fn complete(&mut self, env: &dyn Host<'m>) -> bool {
        let waits = core::mem::take(&mut self.broadcast);
        if waits {
            let (shared, index) = (self.shared, self.index);
            shared.wait(Some(index), || {
                self.serve();
                env.relax();
            });
        }
        waits
    }

    /// Sends an event to every PE of the domain, this one included (SEV).
    pub(crate) fn send_event(&mut self) {
        self.state.event = true;
        self.shared.send_event();
    }
}
