//! The mailboxes of `src/domain.rs`, with every order of two or three threads and every value that a load may
//! return, up to a bound of preemptions. The source is compiled into this file with the model checker's atomics,
//! a domain of three PEs and queues of two invalidations.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p arm-exec --release --test loom_domain`
//!
//! Under the model a PE keeps a translation, a flag of the cell's own shows whether the page behind it may be used,
//! and the page is a cell of which the checker sees unordered uses: whoever has waited for an invalidation writes the
//! page, which is a race with every PE that may still read it. The checker takes sequentially consistent accesses
//! as acquire and release only, and fences at their word: what passes relies on no more than that.
#![cfg(loom)]
#![allow(dead_code, reason = "the source is a part of a crate")]

#[path = "../src/domain.rs"]
mod domain;
#[path = "../src/sync.rs"]
mod sync;

use Patience::Endless;
use arm_arch::Va;
use domain::{Domain, Invalidation, request};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering, fence};
use loom::thread;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Explores a model of two threads with three preemptions, unless LOOM_MAX_PREEMPTIONS says otherwise.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    bounded(3, model);
}

/// Explores a model of three threads with two preemptions.
fn explore_three(model: impl Fn() + Send + Sync + 'static) {
    bounded(2, model);
}

fn bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(model);
}

/// How often a poster looks whether its invalidation is applied. The checker cannot follow two threads that look for
/// ever: models of three threads give up after some looks and then claim nothing. That waits end is the claim of the
/// models of two threads.
#[derive(Clone, Copy)]
enum Patience {
    Endless,
    Looks(u32),
}

const SOME: Patience = Patience::Looks(2);

impl Patience {
    /// Waits, calling what it is given between two looks; returns whether the wait ended.
    fn wait(mut self, wait: impl FnOnce(&mut dyn FnMut())) -> bool {
        struct GaveUp;
        let mut relax = || {
            if let Self::Looks(looks) = &mut self {
                *looks = looks.checked_sub(1).unwrap_or_else(|| resume_unwind(Box::new(GaveUp)));
            }
            thread::yield_now();
        };
        match catch_unwind(AssertUnwindSafe(|| wait(&mut relax))) {
            Ok(()) => true,
            Err(payload) if payload.is::<GaveUp>() => false,
            Err(payload) => resume_unwind(payload),
        }
    }
}

const OLD: u32 = 1;
const NEW: u32 = 2;

/// A page table entry and the page that it first leads to.
struct Mapping {
    va: Va,
    entry: AtomicU32,
    page: UnsafeCell<()>,
}

impl Mapping {
    fn new(va: u64) -> Self {
        Self { va: Va::new(va), entry: AtomicU32::new(OLD), page: UnsafeCell::new(()) }
    }

    fn what(&self) -> Invalidation {
        Invalidation::Address(self.va)
    }

    /// The entry leads elsewhere: a plain store of the guest, and the barrier before the invalidation.
    fn change(&self) {
        self.entry.store(NEW, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Uses the old page for something else.
    fn reuse(&self) {
        self.page.with_mut(|_| ());
    }
}

/// What the domain and a guest share.
struct Machine {
    domain: Domain,
    mappings: [Mapping; 2],
}

impl Machine {
    fn new() -> Arc<Self> {
        Arc::new(Self { domain: Domain::new(), mappings: [Mapping::new(0x1000), Mapping::new(0x2000)] })
    }

    /// Changes a mapping and takes its page, as the host does.
    fn replace(&self, mapping: usize, patience: Patience) {
        let mapping = &self.mappings[mapping];
        mapping.change();
        if patience.wait(|relax| self.domain.invalidate(mapping.what(), relax)) {
            mapping.reuse();
        }
    }
}

/// A PE as far as the mailbox is concerned: `Pe::run` without a guest.
struct Pe<'a> {
    machine: &'a Machine,
    mailbox: &'a domain::Mailbox,
    index: usize,
    translations: [Option<u32>; 2],
    event: bool,
    applied: u32,
}

impl<'a> Pe<'a> {
    fn new(machine: &'a Machine, index: usize) -> Self {
        let mailbox = machine.domain.join(index).unwrap();
        Self { machine, mailbox, index, translations: [None; 2], event: false, applied: 0 }
    }

    fn serve(&mut self) {
        self.event |= self.mailbox.take(request::EVENT);
        let (mappings, translations) = (&self.machine.mappings, &mut self.translations);
        let applied = &mut self.applied;
        self.mailbox.serve(|what| {
            *applied += 1;
            for (mapping, translation) in mappings.iter().zip(translations.iter_mut()) {
                if what == Invalidation::All || what == mapping.what() {
                    *translation = None;
                }
            }
        });
    }

    /// The boundary between two blocks; returns whether to leave.
    fn boundary(&mut self) -> bool {
        if self.mailbox.requests() == 0 {
            return false;
        }
        self.serve();
        self.mailbox.take(request::EXIT)
    }

    /// A block: a load through each translation, walking where there is none.
    fn block(&mut self) {
        for (mapping, translation) in self.machine.mappings.iter().zip(&mut self.translations) {
            let entry = *translation.get_or_insert_with(|| mapping.entry.load(Ordering::Relaxed));
            if entry == OLD {
                mapping.page.with(|_| ());
            }
        }
    }

    /// Runs some blocks; returns whether an exit was requested.
    fn run(&mut self, blocks: usize) -> bool {
        self.mailbox.enter();
        let mut requested = false;
        for _ in 0..blocks {
            requested = self.boundary();
            if requested {
                break;
            }
            self.block();
        }
        self.mailbox.leave();
        requested
    }

    /// TLBI and DSB of a guest for a mapping that it changes, then another use of the page.
    fn replace(&mut self, mapping: usize, patience: Patience) {
        let (domain, index) = (&self.machine.domain, Some(self.index));
        let changed = &self.machine.mappings[mapping];
        changed.change();
        self.translations[mapping] = None;
        domain.post(index, changed.what());
        fence(Ordering::SeqCst);
        let done = patience.wait(|relax| {
            domain.wait(index, || {
                self.serve();
                relax();
            });
        });
        if done {
            changed.reuse();
        }
    }
}

/// Starts a PE on a thread of its own, which enters `times` times for two blocks each.
fn guest(machine: &Arc<Machine>, index: usize, times: usize) -> thread::JoinHandle<()> {
    let machine = Arc::clone(machine);
    thread::spawn(move || {
        let mut pe = Pe::new(&machine, index);
        for _ in 0..times {
            let _ = pe.run(2);
        }
    })
}

#[test]
fn an_invalidation_is_applied_before_its_wait_ends() {
    explore(|| {
        let machine = Machine::new();
        let pe = guest(&machine, 0, 1);
        machine.replace(0, Endless);
        pe.join().unwrap();
    });
}

/// A host with a flag of its own for what runs, and requests of its own: one of the two sees the other.
#[test]
fn entering_orders_a_flag_before_it_with_a_request_after_it() {
    explore(|| {
        let machine = Machine::new();
        let flags = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let (host, seen) = (Arc::clone(&machine), Arc::clone(&flags));
        let pe = thread::spawn(move || {
            let mailbox = host.domain.join(0).unwrap();
            seen[0].store(1, Ordering::Relaxed);
            mailbox.enter();
            let requested = seen[1].load(Ordering::Relaxed);
            mailbox.leave();
            requested
        });
        flags[1].store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let running = flags[0].load(Ordering::Relaxed);
        assert!(running + pe.join().unwrap() != 0, "neither saw the other");
    });
}

/// A PE that stays, and looks only when its mailbox says so.
#[test]
fn a_ticket_that_is_not_acknowledged_leaves_its_request() {
    for posts in [1, 3] {
        explore(move || {
            let machine = Machine::new();
            let mut pe = Pe::new(&machine, 0);
            pe.mailbox.enter();
            let poster = {
                let machine = Arc::clone(&machine);
                thread::spawn(move || {
                    for n in 0..posts {
                        machine.domain.post(None, Invalidation::Address(Va::new(0x1000 << n)));
                    }
                })
            };
            pe.boundary();
            poster.join().unwrap();
            pe.boundary();
            machine.domain.wait(None, || panic!("waits for a ticket that nobody is going to serve"));
        });
    }
}

#[test]
fn a_pe_that_leaves_and_enters_misses_nothing() {
    explore(|| {
        let machine = Machine::new();
        let pe = guest(&machine, 0, 2);
        machine.replace(0, Endless);
        pe.join().unwrap();
    });
}

#[test]
fn two_pes_both_forget() {
    explore_three(|| {
        let machine = Machine::new();
        let pes = [guest(&machine, 0, 1), guest(&machine, 1, 1)];
        machine.replace(0, Endless);
        pes.into_iter().for_each(|pe| pe.join().unwrap());
    });
}

#[test]
fn two_posters_each_get_what_they_wait_for() {
    explore_three(|| {
        let machine = Machine::new();
        let pe = guest(&machine, 0, 1);
        let other = Arc::clone(&machine);
        let poster = thread::spawn(move || other.replace(1, SOME));
        machine.replace(0, SOME);
        poster.join().unwrap();
        pe.join().unwrap();
    });
}

/// Two that invalidate the same thing share a place in the queue: each has its own page to write, so that neither
/// may return on the other's account.
#[test]
fn a_duplicate_is_applied_for_both_posters() {
    explore_three(|| {
        let machine = Machine::new();
        let pages = Arc::new([UnsafeCell::new(()), UnsafeCell::new(())]);
        let entries = Arc::new([AtomicU32::new(OLD), AtomicU32::new(OLD)]);
        let what = Invalidation::Address(Va::new(0x1000));
        let replace = move |machine: &Machine, entry: &AtomicU32, page: &UnsafeCell<()>| {
            entry.store(NEW, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if SOME.wait(|relax| machine.domain.invalidate(what, relax)) {
                page.with_mut(|_| ());
            }
        };
        let pe = thread::spawn({
            let (machine, pages, entries) = (Arc::clone(&machine), Arc::clone(&pages), Arc::clone(&entries));
            move || {
                let mailbox = machine.domain.join(0).unwrap();
                let mut held = None;
                mailbox.enter();
                for _ in 0..2 {
                    if mailbox.requests() != 0 {
                        mailbox.serve(|_| held = None);
                    }
                    let held = *held
                        .get_or_insert_with(|| [0, 1].map(|n: usize| entries[n].load(Ordering::Relaxed)));
                    for (page, _) in pages.iter().zip(held).filter(|(_, held)| *held == OLD) {
                        page.with(|_| ());
                    }
                }
                mailbox.leave();
            }
        });
        let poster = thread::spawn({
            let (machine, pages, entries) = (Arc::clone(&machine), Arc::clone(&pages), Arc::clone(&entries));
            move || replace(&machine, &entries[1], &pages[1])
        });
        replace(&machine, &entries[0], &pages[0]);
        poster.join().unwrap();
        pe.join().unwrap();
    });
}

/// The PE takes the first of two equal requests away just when the second poster has seen it: the second is posted
/// again, as the PE may have walked by the old entry once more.
#[test]
fn a_duplicate_that_is_taken_away_meanwhile_is_posted_again() {
    explore(|| {
        let machine = Machine::new();
        let _ = machine.domain.join(0).unwrap();
        machine.domain.post(None, machine.mappings[0].what());
        let other = Arc::clone(&machine);
        let pe = thread::spawn(move || {
            let mut pe = Pe::new(&other, 0);
            pe.mailbox.enter();
            for _ in 0..2 {
                thread::yield_now();
                let _ = pe.boundary();
                pe.block();
            }
            pe.mailbox.leave();
        });
        thread::yield_now();
        machine.replace(0, Endless);
        pe.join().unwrap();
    });
}

/// A PE runs that has `translations` from before, and a queue that was filled meanwhile: the invalidation overflows
/// it, or finds a place that the PE has just freed.
fn overflow(translations: [Option<u32>; 2], blocks: usize) {
    let machine = Machine::new();
    let _ = machine.domain.join(0).unwrap();
    for va in [0x7000, 0x8000] {
        machine.domain.post(None, Invalidation::Address(Va::new(va)));
    }
    let other = Arc::clone(&machine);
    let pe = thread::spawn(move || {
        let mut pe = Pe::new(&other, 0);
        pe.translations = translations;
        let _ = pe.run(blocks);
    });
    machine.replace(0, Endless);
    pe.join().unwrap();
}

#[test]
fn an_invalidation_that_finds_the_queue_full_is_applied() {
    explore(|| overflow([None; 2], 3));
}

/// A PE that counted tickets after it had taken the request bits would acknowledge an overflow whose bit it has not
/// seen, and go on with what it holds.
#[test]
fn an_overflow_posted_while_the_pe_serves_is_not_acknowledged_unapplied() {
    explore(|| overflow([Some(OLD); 2], 2));
}

/// The two PEs wait for each other: no order of them gets stuck, which the checker reports as too many branches.
#[test]
fn pes_that_invalidate_at_each_other_both_get_on() {
    explore_three(|| {
        let machine = Machine::new();
        let poster = |index: usize| {
            let machine = Arc::clone(&machine);
            thread::spawn(move || {
                let mut pe = Pe::new(&machine, index);
                pe.mailbox.enter();
                let _ = pe.boundary();
                pe.block();
                pe.replace(index, Endless);
                let _ = pe.boundary();
                pe.block();
                pe.mailbox.leave();
            })
        };
        let pes = [poster(0), poster(1)];
        pes.into_iter().for_each(|pe| pe.join().unwrap());
    });
}

#[test]
fn a_pe_that_waits_serves_the_host() {
    explore_three(|| {
        let machine = Machine::new();
        let _ = machine.domain.join(0).unwrap();
        let other = Arc::clone(&machine);
        let bystander = thread::spawn(move || {
            // Running, and never looks until the other has waited: the host is served by the one that waits.
            let mut pe = Pe::new(&other, 0);
            pe.mailbox.enter();
            pe.block();
            let _ = pe.boundary();
            pe.mailbox.leave();
        });
        let other = Arc::clone(&machine);
        let poster = thread::spawn(move || {
            let mut pe = Pe::new(&other, 1);
            pe.mailbox.enter();
            let _ = pe.boundary();
            pe.block();
            pe.replace(0, SOME);
            pe.block();
            pe.mailbox.leave();
        });
        machine.replace(1, SOME);
        poster.join().unwrap();
        bystander.join().unwrap();
    });
}

#[test]
fn an_exit_request_is_answered_once_before_during_or_after_a_run() {
    explore(|| {
        let machine = Machine::new();
        let other = Arc::clone(&machine);
        let pe = thread::spawn(move || {
            let mut pe = Pe::new(&other, 0);
            let mut answers = u32::from(pe.run(1));
            // Runs until it is asked to leave: that ends, whenever the request came.
            pe.mailbox.enter();
            while answers == 0 {
                answers += u32::from(pe.boundary());
                thread::yield_now();
            }
            pe.mailbox.leave();
            answers + u32::from(pe.run(2))
        });
        machine.domain.request_exit(0);
        assert_eq!(pe.join().unwrap(), 1);
    });
}

/// What the requester wrote before is seen by whoever answers the request.
#[test]
fn an_exit_request_brings_what_was_written_before_it() {
    explore(|| {
        let machine = Machine::new();
        let other = Arc::clone(&machine);
        let pe = thread::spawn(move || {
            let mut pe = Pe::new(&other, 0);
            pe.translations = [Some(NEW); 2];
            if pe.run(2) {
                other.mappings[0].page.with(|_| ());
            }
        });
        machine.mappings[0].reuse();
        machine.domain.request_exit(0);
        pe.join().unwrap();
    });
}

/// A request is answered or taken back, and nothing else in its word is: the event and the invalidation arrive.
#[test]
fn a_request_taken_back_takes_nothing_else_back() {
    explore(|| {
        let machine = Machine::new();
        let other = Arc::clone(&machine);
        let pe = thread::spawn(move || {
            let mut pe = Pe::new(&other, 0);
            let _ = pe.run(2);
            pe.event
        });
        machine.domain.request_exit(0);
        machine.domain.send_event();
        machine.domain.cancel_exit(0);
        machine.replace(0, Endless);
        let event = pe.join().unwrap();
        let mut pe = Pe::new(&machine, 0);
        assert!(!pe.run(1), "the request outlived its cancellation");
        assert!(event != pe.event, "the event was seen {} times", u32::from(event) * 2);
    });
}

#[test]
fn a_cancellation_does_not_take_a_later_request() {
    explore(|| {
        let machine = Machine::new();
        machine.domain.request_exit(0);
        let other = Arc::clone(&machine);
        let host = thread::spawn(move || {
            other.domain.cancel_exit(0);
            other.domain.request_exit(0);
        });
        let mut pe = Pe::new(&machine, 0);
        let first = pe.run(1);
        host.join().unwrap();
        assert!(pe.run(1) || first, "the later request was lost");
        assert!(!pe.run(1), "more answers than requests");
    });
}

/// SEV after a store, WFE before a load: the waiter is woken, and then sees the store.
#[test]
fn an_event_is_not_lost() {
    explore(|| {
        let machine = Machine::new();
        let other = Arc::clone(&machine);
        let waiter = thread::spawn(move || {
            let mut pe = Pe::new(&other, 0);
            pe.mailbox.enter();
            while !pe.event {
                let _ = pe.boundary();
                thread::yield_now();
            }
            pe.mailbox.leave();
            assert_eq!(other.mappings[0].entry.load(Ordering::Relaxed), NEW);
        });
        machine.mappings[0].entry.store(NEW, Ordering::Relaxed);
        machine.domain.send_event();
        waiter.join().unwrap();
    });
}
