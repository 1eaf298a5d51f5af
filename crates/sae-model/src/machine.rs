//! The machine: storage, clock, CPUs, and what one CPU may do to all.

use crate::config::Config;
use crate::cpu::Cpu;
use crate::storage::Storage;
use arm_arch::Pa;
use arm_exec::{Caches, Domain, Invalidation, MAX_PES, Pe, Ram, Seat};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use s390_arch::dat::{PageEntry, SegmentEntry};
use s390_arch::sae::HostControl;
use s390_arch::{Absolute, AbsoluteStorage};

/// The time-of-day clock, as the model counts it.
pub trait Clock: Sync {
    /// Returns the nanoseconds since some fixed moment: the rate of the guest's counters, whose frequency is
    /// 1 GHz (CNTFRQ_EL0 of the SAE sources).
    fn nanoseconds(&self) -> u64;

    /// Passes time while one CPU waits for another to drop a translation. A host with threads may yield.
    fn relax(&self) {
        core::hint::spin_loop();
    }
}

impl<F: Fn() -> u64 + Sync> Clock for F {
    fn nanoseconds(&self) -> u64 {
        self()
    }
}

/// Exit requests that can wait for their block's next SAE: as many blocks as four VMs of the largest kind have. A
/// request beyond that ends an SAE that runs, but not one that is yet to start.
const REQUESTS: usize = 4 * MAX_PES;

/// Looks at another CPU before asking the embedder to let it run.
const SPINS: u32 = 128;

/// Whether an SAE told the host of a request to end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    Request,
    Other,
}

/// A machine that has the facility. Shared by the threads that play its CPUs.
#[derive(Debug)]
pub struct Machine<'m, K> {
    pub(crate) ram: Ram<'m>,
    pub(crate) clock: K,
    pub(crate) config: Config,
    pub(crate) domain: Domain,
    /// The control block in SAE on each CPU, 0 for none.
    running: [AtomicU64; MAX_PES],
    /// Blocks whose next SAE ends at once; 0 is free.
    requests: [AtomicU64; REQUESTS],
    waiting: AtomicUsize,
}

impl<'m, K: Clock> Machine<'m, K> {
    /// Builds a machine over the caller's memory.
    #[must_use]
    pub const fn new(ram: Ram<'m>, clock: K, config: Config) -> Self {
        Self {
            ram,
            clock,
            config,
            domain: Domain::new(),
            running: [const { AtomicU64::new(0) }; MAX_PES],
            requests: [const { AtomicU64::new(0) }; REQUESTS],
            waiting: AtomicUsize::new(0),
        }
    }

    /// Returns the machine's absolute storage.
    #[must_use]
    pub const fn storage(&self) -> Storage<'m> {
        Storage::new(self.ram)
    }

    /// Returns the machine's clock.
    #[must_use]
    pub const fn clock(&self) -> &K {
        &self.clock
    }

    /// Makes CPU `number`, with caches in the caller's memory; `None` if there is no such CPU or the memory is
    /// too small. Each number is to be used once at a time.
    #[must_use]
    pub fn cpu<'a>(&'a self, number: u16, caches: Caches<'a>) -> Option<Cpu<'a, K>> {
        self.seat(number, caches).map(|seat| Cpu::new(self, Pe::at(seat), number))
    }

    /// As [`cpu`](Self::cpu), in memory of the caller: it is large, and nothing of it goes over the stack.
    pub fn cpu_at<'p, 'a>(
        &'a self,
        place: &'p mut MaybeUninit<Cpu<'a, K>>,
        number: u16,
        caches: Caches<'a>,
    ) -> Option<&'p mut Cpu<'a, K>> {
        let seat = self.seat(number, caches)?;
        Some(place.write(Cpu::new(self, Pe::at(seat), number)))
    }

    fn seat<'a>(&'a self, number: u16, caches: Caches<'a>) -> Option<Seat<'a>> {
        let place = usize::from(number);
        if place < MAX_PES { Seat::new(caches, &self.domain, place) } else { None }
    }

    /// Notes that a CPU enters SAE with a block. The CPU announces its PE next, which is a fence, and then asks
    /// [`is_to_leave`](Self::is_to_leave).
    pub(crate) fn enter(&self, cpu: u16, block: Absolute) {
        self.set_running(cpu, block.bits(), Ordering::Relaxed);
    }

    /// Returns whether an exit was requested for a block, and uses the request up. After the fence: a request that does
    /// not see the block running is seen here.
    pub(crate) fn is_to_leave(&self, block: Absolute) -> bool {
        self.waiting.load(Ordering::SeqCst) != 0 && self.take_request(block)
    }

    /// Notes that a CPU has left SAE. A request is used up only by an SAE that reports it; any other end keeps it for
    /// the next SAE with the block.
    pub(crate) fn leave(&self, cpu: u16, block: Absolute, reported: Reported) {
        // Whoever still sees the block running makes the next SAE end at most.
        self.set_running(cpu, 0, Ordering::Release);
        // The PE's own request may have come for this block only: the next one has its own in the list.
        self.domain.cancel_exit(usize::from(cpu));
        if matches!(reported, Reported::Request) && self.waiting.load(Ordering::SeqCst) != 0 {
            self.take_request(block);
        }
    }

    fn set_running(&self, cpu: u16, block: u64, order: Ordering) {
        if let Some(running) = self.running.get(usize::from(cpu)) {
            running.store(block, order);
        }
    }

    fn take_request(&self, block: Absolute) -> bool {
        let mut taken = false;
        for request in &self.requests {
            if request.compare_exchange(block.bits(), 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                self.waiting.fetch_sub(1, Ordering::SeqCst);
                taken = true;
            }
        }
        taken
    }

    fn put_request(&self, block: Absolute) {
        if self.requests.iter().any(|request| request.load(Ordering::SeqCst) == block.bits()) {
            return;
        }
        for request in &self.requests {
            if request.compare_exchange(0, block.bits(), Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }

    fn forget(&self, what: Invalidation) {
        let mut spins = 0;
        self.domain.invalidate(what, || {
            if spins < SPINS {
                spins = spins.wrapping_add(1);
                core::hint::spin_loop();
            } else {
                self.clock.relax();
            }
        });
    }

    /// Sets bits of a table entry; returns the entry as it was.
    fn set_bits(&self, at: Absolute, bits: u64) -> Option<u64> {
        let storage = self.storage();
        let mut old = storage.load(at).ok()?;
        loop {
            let new = (u64::from_be_bytes(old) | bits).to_be_bytes();
            match storage.compare_and_swap(at, old, new).ok()? {
                Ok(()) => return Some(u64::from_be_bytes(old)),
                Err(found) => old = found,
            }
        }
    }
}

/// Invalid bit of a page-table entry (53) and of the others (58). PoP ch. 3, "Translation Tables".
const PAGE_INVALID: u64 = PageEntry::new().with_i(true).into_bits();
const TABLE_INVALID: u64 = SegmentEntry::new().with_i(true).into_bits();

impl<K: Clock> HostControl for Machine<'_, K> {
    fn ipte(&self, page_table: Absolute, address: u64, _asce: u64) {
        let index = (address >> 12) & 0xff;
        let entry = page_table.bits().wrapping_add(index << 3);
        if let Some(old) = self.set_bits(Absolute::new(entry), PAGE_INVALID) {
            // Whatever leads to the frame goes, by whichever entry it was formed.
            self.forget(Invalidation::Page(Pa::new(old & !0xfff)));
        }
    }

    fn idte(&self, entry: Absolute, _address: u64, _asce: u64) {
        if self.set_bits(entry, TABLE_INVALID).is_some() {
            // As for a page: what was decoded from frames behind the entry goes too; the engine drops all of it.
            self.forget(Invalidation::All);
        }
    }

    fn idte_asce(&self, _asce: u64) {
        // The engine keeps translations by virtual address, not by ASCE: all of them go. Decoded instructions go by
        // absolute page and stay.
        self.forget(Invalidation::Translations);
    }

    fn ptlb(&self) {
        self.forget(Invalidation::Translations);
    }

    fn request_exit(&self, block: Absolute) {
        self.put_request(block);
        // With the fence between `enter` and `is_to_leave`: this sees the block running, or that one the request.
        fence(Ordering::SeqCst);
        for (cpu, running) in self.running.iter().enumerate() {
            if running.load(Ordering::SeqCst) == block.bits() {
                self.domain.request_exit(cpu);
            }
        }
    }
}
