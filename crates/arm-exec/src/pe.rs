//! One processing element: its state, its caches, and the loop that runs it.

use crate::abort::{Abort, Cause};
use crate::block::{Block, Jump, Op};
use crate::domain::{Domain, Invalidation};
use crate::env::{Environment, Event, Stage2Page};
use crate::flow::Host;
use crate::ram::MapMemory;
use crate::state::State;
use arm_arch::Ipa;
use mmu_xlate::vmsa::Access;

/// Memory that a PE works in, provided by the caller. Contents mean nothing to anyone else.
#[derive(Debug)]
pub struct Caches<'m> {
    /// Translations; at least [`Caches::MAPS`].
    pub maps: &'m mut [MapMemory],
    /// Decoded instructions; [`Caches::OPS`] is a good number, 4096 the least.
    pub ops: &'m mut [Op],
    /// Decoded blocks; [`Caches::BLOCKS`] is a good number, 256 the least.
    pub blocks: &'m mut [Block],
    /// Targets of indirect branches; at least [`Caches::JUMPS`].
    pub jumps: &'m mut [Jump],
}

impl Caches<'_> {
    /// Maps that a PE needs.
    pub const MAPS: usize = 8;
    /// Operations that hold the working set of a system (16 MiB).
    pub const OPS: usize = 1 << 20;
    /// Blocks that go with them.
    pub const BLOCKS: usize = 1 << 17;
    /// Entries that the table of indirect branches has.
    pub const JUMPS: usize = 4096;
}

/// What a PE did, counted since it was made. All counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Instructions executed.
    pub instructions: u64,
    /// Branches taken between blocks, that is blocks executed.
    pub blocks: u64,
    /// Accesses to memory by instructions (each looks up a translation).
    pub accesses: u64,
    /// Accesses that did not find their translation cached.
    pub misses: u64,
    /// Instruction addresses whose translation was not cached.
    pub fetch_misses: u64,
    /// Stage-1 walks.
    pub walks: u64,
    /// Questions to stage 2.
    pub stage2: u64,
    /// Blocks decoded.
    pub decoded: u64,
    /// Times that the decoded blocks were dropped for want of room.
    pub evictions: u64,
    /// Invalidations applied.
    pub invalidations: u64,
}

/// One processing element.
#[derive(Debug)]
pub struct Pe<'m> {
    /// The architectural state; the caller may read and change it whenever `run` is not running.
    pub state: State,
    statistics: Statistics,
    shared: &'m Domain,
    index: usize,
    caches: Caches<'m>,
}

impl<'m> Pe<'m> {
    /// Makes the PE number `index` of a domain, in the state of a reset, with empty caches. `None`
    /// where a part of `caches` is too small or the domain has no such number.
    #[must_use]
    pub fn new(caches: Caches<'m>, shared: &'m Domain, index: usize) -> Option<Self> {
        shared.join(index)?;
        Some(Self { state: State::reset(), statistics: Statistics::default(), shared, index, caches })
    }

    /// Runs until something happens, for at most `blocks` blocks.
    pub fn run<E: Environment<'m>>(&mut self, _env: &E, _blocks: u32) -> Event<E::Fault> {
        Event::Budget
    }

    /// Runs one instruction, or takes one interrupt: [`Event::Budget`] where it went as usual.
    pub fn step<E: Environment<'m>>(&mut self, _env: &E) -> Event<E::Fault> {
        Event::Budget
    }

    /// Forgets every translation and every decoded instruction, as a reset does.
    pub fn flush_all(&mut self) {
        self.invalidate(Invalidation::All);
    }

    /// Forgets what is named, on this PE only.
    pub fn invalidate(&mut self, _what: Invalidation) {}

    /// Queues a request at the other PEs of the domain (TLBI and IC of the inner-shareable kind);
    /// complete it with [`complete`](Self::complete).
    pub(crate) fn broadcast(&mut self, _what: Invalidation) {}

    /// Waits until what was broadcast has no effect on any PE (DSB).
    pub(crate) fn complete(&mut self, _env: &dyn Host<'m>) {}

    /// Sends an event to every PE of the domain, this one included (SEV).
    pub(crate) fn send_event(&mut self) {
        self.state.event = true;
        self.shared.send_event();
    }

    /// Translates an address with permission checks (DC ZVA, IC IVAU, AT); returns the page and the
    /// offset into it.
    pub(crate) fn translate(
        &mut self,
        _env: &dyn Host<'m>,
        _va: u64,
        _access: Access,
    ) -> Result<(Stage2Page<'m>, usize), Abort> {
        Err(Abort { va: _va, access: _access, cause: Cause::Stage2 { ipa: Ipa::new(0), walk_level: None } })
    }

    /// Returns what the PE did so far.
    #[must_use]
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }
}
