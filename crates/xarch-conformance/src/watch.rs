//! What back end and guest side say to each other, watched.

use crate::bench::Bench;
use crate::report::{Checked, broken};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use xarch_abi::{
    CompletionError, DeviceAnswer, Exit, Guest, Next, Platform, RegId, RegisterError, Registers, StopReason,
    Token, TraceEvent,
};

/// Exits of one run after which it is not going anywhere.
const FUSE: u64 = 200_000;

/// Registers of which it is noted what they were when the guest side was last heard.
const NOTED: [RegId; 6] =
    [RegId::PC, RegId::STATUS, RegId::general(1), RegId::general(2), RegId::general(3), RegId::general(10)];

/// Where a run stands between back end and guest side.
mod phase {
    /// `before_entry` is owed.
    pub const OWED: u64 = 0;
    /// The guest side said that the guest may be entered.
    pub const ALLOWED: u64 = 1;
    /// The guest side said something else.
    pub const REFUSED: u64 = 2;
    /// A page was mapped after the guest side had allowed an entry: it has to be asked again.
    pub const MAPPED: u64 = 3;
}

/// What was seen of the order in which things are to happen. One vCPU at a time.
#[derive(Debug, Default)]
pub(crate) struct Order {
    phase: AtomicU64,
    exits: AtomicU64,
    pub(crate) entries: AtomicU64,
    /// The program counter with which the guest side let the guest be entered first, since somebody made this 0.
    pub(crate) entered_at: AtomicU64,
    /// Exits that came in a wrong phase: one more than the phase of the first one, or 0.
    misplaced: AtomicU64,
    /// Registers when the guest side was last heard; whether they are to be the same at the next entry.
    noted: [AtomicU64; NOTED.len()],
    is_noted: AtomicU64,
    /// The first register that somebody changed: its place and 1, old and new value.
    changed: [AtomicU64; 3],
    /// A fingerprint of what the trace owes, 0 if nothing.
    traced: AtomicU64,
    untraced: AtomicU64,
}

/// A number made of how a value shows itself, never 0.
fn fingerprint(value: &impl fmt::Debug) -> u64 {
    struct Hash(u64);
    impl fmt::Write for Hash {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for byte in text.bytes() {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            Ok(())
        }
    }
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    let _ = fmt::write(&mut hash, format_args!("{value:?}"));
    hash.0 | 1
}

fn set_once(place: &AtomicU64, value: u64) -> bool {
    place.compare_exchange(0, value, SeqCst, SeqCst).is_ok()
}

impl Order {
    pub(crate) fn enter_run(&self) {
        self.phase.store(phase::OWED, SeqCst);
        self.exits.store(0, SeqCst);
        self.is_noted.store(0, SeqCst);
        self.traced.store(0, SeqCst);
    }

    pub(crate) fn trace(&self, event: &TraceEvent) {
        match event {
            TraceEvent::Mapped(_) => {
                let _ = self.phase.compare_exchange(phase::ALLOWED, phase::MAPPED, SeqCst, SeqCst);
            }
            TraceEvent::Exit(exit, next) => {
                let is_it = self.traced.swap(0, SeqCst) == fingerprint(&(exit, next));
                self.untraced.fetch_add(u64::from(!is_it), SeqCst);
            }
        }
    }

    fn note(&self, registers: &mut impl Registers) {
        for (id, place) in NOTED.into_iter().zip(&self.noted) {
            place.store(registers.read(id).unwrap_or(0), SeqCst);
        }
        self.is_noted.store(1, SeqCst);
    }

    fn compare(&self, registers: &mut impl Registers) {
        if self.is_noted.swap(0, SeqCst) == 0 {
            return;
        }
        for ((id, place), number) in NOTED.into_iter().zip(&self.noted).zip(1..) {
            let (old, new) = (place.load(SeqCst), registers.read(id).unwrap_or(0));
            let [which, from, to] = &self.changed;
            if old != new && set_once(which, number) {
                from.store(old, SeqCst);
                to.store(new, SeqCst);
            }
        }
    }

    /// Notes what the guest side said; a decision to enter has to be followed by an entry.
    fn asked(&self, next: &Next) {
        self.entries.fetch_add(1, SeqCst);
        self.untraced.fetch_add(u64::from(self.traced.swap(0, SeqCst) != 0), SeqCst);
        let allowed = matches!(next, Next::Resume);
        self.phase.store(if allowed { phase::ALLOWED } else { phase::REFUSED }, SeqCst);
    }

    /// Notes an exit; returns whether it is one too many.
    fn exited(&self) -> bool {
        let phase = self.phase.swap(phase::OWED, SeqCst);
        if phase != phase::ALLOWED {
            set_once(&self.misplaced, phase.saturating_add(1));
        }
        self.exits.fetch_add(1, SeqCst) >= FUSE
    }

    /// Says whether every exit was of an entry that the guest side had been asked about.
    pub(crate) fn is_kept(&self) -> Checked {
        match self.misplaced.load(SeqCst).checked_sub(1) {
            None => Ok(()),
            Some(phase::OWED) => broken!("two exits were reported without a before_entry between them"),
            Some(phase::MAPPED) => {
                broken!("the guest was entered again after a page was mapped, without before_entry")
            }
            Some(_) => Ok(()),
        }
    }

    /// Says whether the guest was entered only where the guest side had said so.
    pub(crate) fn is_obeyed(&self) -> Checked {
        if self.misplaced.load(SeqCst).checked_sub(1) == Some(phase::REFUSED) {
            broken!("an exit was reported after before_entry had not answered Resume");
        }
        Ok(())
    }

    /// Says whether nobody but the guest side changed registers between an exit and the next entry.
    pub(crate) fn is_untouched(&self) -> Checked {
        let [which, from, to] = &self.changed;
        let place = which.load(SeqCst).checked_sub(1).and_then(|place| usize::try_from(place).ok());
        if let Some(id) = place.and_then(|place| NOTED.get(place)) {
            let (from, to) = (from.load(SeqCst), to.load(SeqCst));
            broken!(
                "{id:?} was {from:#x} when the guest side had decided, and {to:#x} at the next before_entry"
            );
        }
        Ok(())
    }

    /// Says whether each decision was traced, once, before the next entry.
    pub(crate) fn is_traced(&self) -> Checked {
        match self.untraced.load(SeqCst) {
            0 => Ok(()),
            count => broken!("{count} decisions were not traced, or traced as something else"),
        }
    }
}

/// A guest side between which and the back end the kit stands.
#[derive(Debug)]
pub(crate) struct Watched<'a, 'b, G> {
    guest: &'a mut G,
    bench: &'a Bench<'b>,
}

impl<'a, 'b, G: Guest> Watched<'a, 'b, G> {
    pub(crate) fn new(guest: &'a mut G, bench: &'a Bench<'b>) -> Self {
        Self { guest, bench }
    }
}

impl<G: Guest> Guest for Watched<'_, '_, G> {
    fn before_entry<R: Registers, P: Platform>(&mut self, registers: &mut R, platform: &P) -> Next {
        let order = &self.bench.order;
        order.compare(registers);
        let ours = self.bench.on_entry.and_then(|on_entry| on_entry(registers));
        let next = ours.unwrap_or_else(|| self.guest.before_entry(registers, platform));
        order.asked(&next);
        if matches!(next, Next::Resume) {
            set_once(&order.entered_at, registers.read(RegId::PC).unwrap_or(0));
        } else {
            order.note(registers);
        }
        next
    }

    fn on_exit<R: Registers, P: Platform>(&mut self, registers: &mut R, platform: &P, exit: Exit) -> Next {
        let order = &self.bench.order;
        let is_too_many = order.exited();
        let theirs = self.guest.on_exit(registers, platform, exit);
        let ours = self.bench.on_exit.and_then(|on_exit| on_exit(registers, &exit, theirs));
        let next = if is_too_many { Next::Stop(StopReason::Host) } else { ours.unwrap_or(theirs) };
        order.note(registers);
        order.traced.store(fingerprint(&(exit, next)), SeqCst);
        next
    }

    fn before_observe<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        self.guest.before_observe(registers)
    }

    fn complete<R: Registers>(
        &mut self,
        registers: &mut R,
        token: Token,
        answer: DeviceAnswer,
    ) -> Result<(), CompletionError> {
        let completed = self.guest.complete(registers, token, answer);
        self.bench.order.note(registers);
        completed
    }

    fn get<R: Registers>(&mut self, registers: &mut R, id: RegId) -> Result<u64, RegisterError> {
        self.guest.get(registers, id)
    }

    fn set<R: Registers>(&mut self, registers: &mut R, id: RegId, value: u64) -> Result<(), RegisterError> {
        self.guest.set(registers, id, value)
    }

    fn reset<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        self.guest.reset(registers)
    }
}
