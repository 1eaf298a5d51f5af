//! One inner-shareable domain: what the PEs of a virtual machine, and the host, tell each other.
//!
//! Each PE has a mailbox: a word of requests, a few invalidations in full, and two counters. Whoever
//! invalidates writes the request, takes a ticket, and waits until the PE has served that ticket or
//! is not running; a PE that starts to run serves its mailbox first. A PE that waits for others serves
//! its own mailbox meanwhile, so two that invalidate at each other both get on.

use crate::sync::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, array, constructor, fence};
use arm_arch::{Pa, Va};

/// PEs that one domain can hold.
pub const MAX_PES: usize = if MODEL { 3 } else { 64 };

/// Invalidations that a mailbox holds in full.
const QUEUE: usize = if MODEL { 2 } else { 16 };

/// The models are of a domain that is small enough to explore.
const MODEL: bool = cfg!(all(loom, test));

/// Bits of a mailbox's request word.
pub(crate) mod request {
    /// Return from `run` (sticky).
    pub(crate) const EXIT: u32 = 1 << 0;
    /// Invalidations are queued.
    pub(crate) const INVALIDATE: u32 = 1 << 1;
    /// The queue overflowed: drop everything.
    pub(crate) const OVERFLOW: u32 = 1 << 2;
    /// An event was sent (SEV).
    pub(crate) const EVENT: u32 = 1 << 3;
}

/// What is to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// Every translation and every decoded instruction.
    All,
    /// Every translation of the guest.
    Translations,
    /// Translations that are not global: those of every ASID (CHOICE: ASIDs are not told apart, the
    /// engine keeps translations of the current one only).
    NonGlobal,
    /// Translations of the virtual address's page of 4 KiB, and of the block or page it is part of.
    Address(Va),
    /// Translations that lead to the page at an absolute address, and instructions decoded from it.
    Page(Pa),
    /// Instructions decoded from the page at an absolute address.
    CodePage(Pa),
    /// Every decoded instruction.
    Code,
}

impl Invalidation {
    const fn encode(self) -> u64 {
        match self {
            Self::All => 1,
            Self::Translations => 2,
            Self::NonGlobal => 3,
            Self::Address(va) => (va.bits() & !0xfff) | 4,
            Self::Page(pa) => (pa.bits() & !0xfff) | 5,
            Self::CodePage(pa) => (pa.bits() & !0xfff) | 6,
            Self::Code => 7,
        }
    }

    const fn decode(word: u64) -> Self {
        let page = word & !0xfff;
        match word & 0xfff {
            2 => Self::Translations,
            3 => Self::NonGlobal,
            4 => Self::Address(Va::new(page)),
            5 => Self::Page(Pa::new(page)),
            6 => Self::CodePage(Pa::new(page)),
            7 => Self::Code,
            _ => Self::All,
        }
    }
}

/// What others want of one PE.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Mailbox {
    request: AtomicU32,
    running: AtomicBool,
    posted: AtomicU64,
    served: AtomicU64,
    queue: [AtomicU64; QUEUE],
}

impl Mailbox {
    constructor! {
        new {
            Self {
                request: AtomicU32::new(0),
                running: AtomicBool::new(false),
                posted: AtomicU64::new(0),
                served: AtomicU64::new(0),
                queue: array![AtomicU64::new(0); QUEUE],
            }
        }
    }

    /// Returns the request word as it is, without order: for the check between blocks.
    #[inline(always)]
    pub(crate) fn requests(&self) -> u32 {
        self.request.load(Ordering::Relaxed)
    }

    /// The PE starts to run. What was posted before is seen by the next `serve`; who posts later
    /// sees the PE running.
    #[inline]
    pub(crate) fn enter(&self) {
        // Only this PE's thread stores here: it may have entered before, see `Pe::announce`.
        if self.running.load(Ordering::Relaxed) {
            return;
        }
        self.running.store(true, Ordering::Relaxed);
        // With the fence in `Domain::wait`: either the poster sees the PE running, or the PE's first look
        // at its requests, which is without order of its own, sees what was posted.
        fence(Ordering::SeqCst);
    }

    /// The PE stops running; it uses no translation until it enters again.
    #[inline]
    pub(crate) fn leave(&self) {
        self.running.store(false, Ordering::Release);
    }

    /// Takes the request for an exit or for an event, if there is one.
    #[inline]
    pub(crate) fn take(&self, bit: u32) -> bool {
        self.requests() & bit != 0 && self.request.fetch_and(!bit, Ordering::SeqCst) & bit != 0
    }

    /// Applies what is queued and acknowledges it.
    pub(crate) fn serve(&self, mut apply: impl FnMut(Invalidation)) {
        if self.request.load(Ordering::SeqCst) & (request::INVALIDATE | request::OVERFLOW) == 0 {
            return;
        }
        // Tickets before bits: who has counted a ticket has set its bits before, so that the bits of every
        // ticket acknowledged below are among those taken here or were taken earlier.
        let posted = self.posted.load(Ordering::SeqCst);
        let seen = self.request.fetch_and(!(request::INVALIDATE | request::OVERFLOW), Ordering::SeqCst);
        for slot in &self.queue {
            let word = slot.swap(0, Ordering::SeqCst);
            if word != 0 {
                apply(Invalidation::decode(word));
            }
        }
        if seen & request::OVERFLOW != 0 {
            apply(Invalidation::All);
        }
        self.served.store(posted, Ordering::SeqCst);
        // A ticket counted after the first look, whose bits are among those taken, is not acknowledged: come round
        // again. One counted later still sets its bits once more.
        if self.posted.load(Ordering::SeqCst) != posted {
            self.request.fetch_or(request::INVALIDATE, Ordering::SeqCst);
        }
    }

    fn post(&self, what: Invalidation) {
        let word = what.encode();
        let free = |slot: &AtomicU64| {
            let seen = slot.compare_exchange(0, word, Ordering::SeqCst, Ordering::SeqCst);
            // The same request twice is one request.
            seen.is_ok()
                || seen == Err(word)
                    && slot.compare_exchange(word, word, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        };
        let bits = match self.queue.iter().any(free) {
            true => request::INVALIDATE,
            false => request::OVERFLOW,
        };
        self.request.fetch_or(bits, Ordering::SeqCst);
        self.posted.fetch_add(1, Ordering::SeqCst);
        // Again: a PE that took the bit before the ticket was counted must come round once more.
        self.request.fetch_or(bits, Ordering::SeqCst);
    }

    /// Returns whether everything posted up to `ticket` has no effect on the PE any more.
    fn is_done(&self, ticket: u64) -> bool {
        !self.running.load(Ordering::SeqCst) || self.served.load(Ordering::SeqCst) >= ticket
    }
}

/// One inner-shareable domain: the PEs of one virtual machine. Lives in the caller's memory, is
/// shared by the threads that run its PEs and by whoever changes the tables under them.
#[derive(Debug)]
pub struct Domain {
    boxes: [Mailbox; MAX_PES],
    /// Mailboxes from 0 on that ever had a PE.
    joined: AtomicUsize,
}

impl Default for Domain {
    fn default() -> Self {
        Self::new()
    }
}

impl Domain {
    constructor! {
        /// Returns a domain in which no PE runs.
        #[must_use]
        pub new {
            Self { boxes: array![Mailbox::new(); MAX_PES], joined: AtomicUsize::new(0) }
        }
    }

    /// Returns the mailbox of a PE, which from now on is told of everything.
    pub(crate) fn join(&self, pe: usize) -> Option<&Mailbox> {
        let mailbox = self.boxes.get(pe)?;
        self.joined.fetch_max(pe.saturating_add(1), Ordering::SeqCst);
        Some(mailbox)
    }

    fn joined(&self) -> impl Iterator<Item = (usize, &Mailbox)> {
        self.boxes.iter().take(self.joined.load(Ordering::SeqCst)).enumerate()
    }

    /// Makes `run` of a PE return [`Event::ExitRequest`](crate::Event::ExitRequest), now or, if it is
    /// not running, at its next call. From any thread.
    pub fn request_exit(&self, pe: usize) {
        if let Some(mailbox) = self.boxes.get(pe) {
            mailbox.request.fetch_or(request::EXIT, Ordering::SeqCst);
        }
    }

    /// Takes back a request to exit that was not yet answered.
    #[inline]
    pub fn cancel_exit(&self, pe: usize) {
        if let Some(mailbox) = self.boxes.get(pe) {
            mailbox.take(request::EXIT);
        }
    }

    /// Sets the event register of every PE (SEV).
    pub fn send_event(&self) {
        for mailbox in &self.boxes {
            mailbox.request.fetch_or(request::EVENT, Ordering::SeqCst);
        }
    }

    /// Makes every PE forget, and returns when none uses any of it: synchronous, from any thread that
    /// does not run a PE of this domain itself. `relax` passes the time.
    pub fn invalidate(&self, what: Invalidation, relax: impl FnMut()) {
        self.post(None, what);
        self.wait(None, relax);
    }

    /// Makes every PE forget the page at an absolute address; see [`invalidate`](Self::invalidate).
    pub fn invalidate_page(&self, absolute: Pa, relax: impl FnMut()) {
        self.invalidate(Invalidation::Page(absolute), relax);
    }

    /// Makes every PE forget what stage 2 said about a range of intermediate physical addresses, or
    /// about any; see [`invalidate`](Self::invalidate).
    ///
    /// CHOICE: the engine caches both stages combined, by virtual address, so every range is all of
    /// it; decoded instructions are kept by absolute page and stay.
    pub fn invalidate_stage2(&self, relax: impl FnMut()) {
        self.invalidate(Invalidation::Translations, relax);
    }

    /// Queues a request at every PE but one.
    pub(crate) fn post(&self, except: Option<usize>, what: Invalidation) {
        for (pe, mailbox) in self.joined() {
            if Some(pe) != except {
                mailbox.post(what);
            }
        }
    }

    /// Waits until no PE but one can be using what was posted before.
    pub(crate) fn wait(&self, except: Option<usize>, mut relax: impl FnMut()) {
        // See `Mailbox::enter`.
        fence(Ordering::SeqCst);
        for (pe, mailbox) in self.joined() {
            if Some(pe) == except {
                continue;
            }
            let ticket = mailbox.posted.load(Ordering::SeqCst);
            while !mailbox.is_done(ticket) {
                relax();
            }
        }
    }
}
