//! The clauses of the contract, and the check of each.

use crate::checks::{callbacks, devices, dirty, entry, kicks, memory, platform, race, registers, time};
use crate::platform::Embedder;
use crate::report::Checked;
use crate::stage::Stage;
use core::fmt;

/// Who has to keep a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The back end: VM and vCPU.
    Backend,
    /// The guest side.
    Guest,
    /// The embedder.
    Platform,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backend => "back end",
            Self::Guest => "guest side",
            Self::Platform => "platform",
        })
    }
}

/// One sentence of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Clause {
    /// Its name, which does not change.
    pub name: &'static str,
    /// Who owes it.
    pub owed_by: Party,
    /// What it says.
    pub text: &'static str,
    pub(crate) check: Check,
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.text)
    }
}

/// How a clause is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Check {
    OfHost(fn(&Stage<'_>) -> Checked),
    OfPlatform(fn(&dyn Embedder) -> Checked),
}

macro_rules! clauses {
    ($($name:literal $party:ident $kind:ident $check:path: $text:literal)*) => {
        /// All clauses that can be checked, in the order in which they are.
        pub const CLAUSES: [Clause; [$($name),*].len()] = [
            $(Clause { name: $name, owed_by: Party::$party, text: $text, check: Check::$kind($check) }),*
        ];
    };
}

clauses! {
    "register-holds" Backend OfHost registers::holds:
        "a register that takes every value reads as it was written, whatever is in the others"
    "register-unknown" Backend OfHost registers::unknown:
        "an id that the host does not have is the error Unknown with that id, read or written, narrow or wide"
    "register-read-only" Backend OfHost registers::read_only:
        "a write of what the host offers is the error ReadOnly, and it goes on reading the same"
    "register-error-changes-nothing" Backend OfHost registers::error_changes_nothing:
        "an access that ends with an error leaves every register as it was"
    "register-wide-is-whole" Backend OfHost registers::wide_is_whole:
        "a wide register keeps all of its 128 bits, and a narrow one reads wide with zeros above"
    "register-is-not-cut" Backend OfHost registers::is_not_cut:
        "an access too narrow for the value is the error Wide, not a part of the value"
    "register-has-its-vcpu" Backend OfHost registers::has_its_vcpu:
        "a register of one vCPU is not that of another"
    "register-is-the-same-inside" Backend OfHost registers::is_the_same_inside:
        "callbacks of a run see what was written before it, and after it one sees what they wrote"
    "memory-is-the-slots" Backend OfHost memory::is_the_slots:
        "the guest loads what lies in its slots, and what it stores of any size lies there"
    "memory-ends-with-its-slot" Backend OfHost memory::ends_with_its_slot:
        "the first and the last byte of a slot are memory, the bytes before and behind are not"
    "access-has-its-address" Backend OfHost memory::access_has_its_address:
        "an access outside memory is reported once, with its exact address, and its direction, size and cause or none"
    "read-only-slot-takes-no-store" Backend OfHost memory::read_only:
        "a read-only slot can be loaded from; a store is an access outside memory and stores nothing"
    "slot-is-refused-whole" Backend OfHost memory::slot_is_refused_whole:
        "a slot that is misaligned, overlaps or is out of range is refused, and nothing of it is there"
    "range-is-checked" Backend OfHost memory::range_is_checked:
        "services refuse ranges that are misaligned or out of range, and take those that end with the address space"
    "hole-has-nothing" Backend OfHost memory::hole_has_nothing:
        "services take ranges without slots, which are old and clean"
    "removed-slot-is-gone" Backend OfHost memory::removed_is_gone:
        "when remove_slot returns the range is no memory, and what is put there next is what the guest sees"
    "unmap-keeps-memory" Backend OfHost memory::unmap_keeps_memory:
        "unmap loses nothing that was stored; touching the range maps it anew"
    "dirty-names-what-was-stored-to" Backend OfHost dirty::names_stored:
        "collect_dirty names every page that was stored to, the first and last of a slot included"
    "dirty-names-nothing-else" Backend OfHost dirty::names_nothing_else:
        "after protect, collect_dirty names pages that were stored to and no others, by the address of their start"
    "dirty-is-named-once" Backend OfHost dirty::named_once:
        "a page that was named is named again only after another store, and always then"
    "dirty-stays-outside-the-range" Backend OfHost dirty::stays_outside:
        "what is not asked about stays in the log"
    "dirty-outlives-unmap" Backend OfHost dirty::outlives_unmap:
        "unmap and protect lose nothing of the log"
    "age-tells-what-was-touched" Backend OfHost dirty::age_tells:
        "a range of which the guest touched a page by load or store is young, then old until it is touched again"
    "age-stays-outside-the-range" Backend OfHost dirty::age_stays_outside:
        "pages that are not asked about stay young"
    "before-entry-before-every-entry" Backend OfHost entry::asked:
        "before_entry is called before each entry, also after a fault that the back end resolved itself"
    "enters-only-on-resume" Backend OfHost entry::obeyed:
        "unless before_entry says Resume the guest is not entered"
    "decision-is-the-outcome" Backend OfHost entry::decision_is_outcome:
        "a run ends with what the guest side decided, unchanged"
    "injects-nothing" Backend OfHost entry::injects_nothing:
        "between an exit and the next entry only the guest side changes registers"
    "trap-is-reported-once" Backend OfHost entry::trap_once:
        "each trap reaches the guest side once, and the guest goes on behind it"
    "decision-is-traced" Backend OfHost entry::traced:
        "each exit and what was decided about it is traced once, before the next entry"
    "observe-applies-once" Guest OfHost entry::observe_once:
        "before_observe applies what is pending; the next entry does not apply it again"
    "device-answer-at-once" Backend OfHost devices::at_once:
        "what a device answers at once is what the guest loads, and a store reaches it whole, each once"
    "device-answer-later" Backend OfHost devices::later:
        "an access that is not answered at once ends the run with its token; the answer is what the guest loads"
    "device-is-offered-again" Guest OfHost devices::offered_again:
        "a run without the answer enters no guest and offers the same access with the same token"
    "device-answer-has-its-token" Guest OfHost devices::token:
        "an answer with a token that nothing waits for is the error NotWaiting and changes nothing"
    "device-answer-fits" Guest OfHost devices::fits:
        "an answer of the wrong kind is the error Mismatch and the access goes on waiting"
    "kick-is-sticky" Backend OfHost kicks::sticky:
        "a request_exit before entry ends the next run, before the guest has done anything"
    "kick-is-used-up" Backend OfHost kicks::used_up:
        "a request_exit ends one run, and the one after it goes on where the guest was"
    "kick-has-its-vcpu" Backend OfHost kicks::has_its_vcpu:
        "a request_exit for another vCPU, or for one that does not exist, ends no run of this one"
    "kick-from-a-callback" Backend OfHost kicks::from_a_callback:
        "a request_exit from the guest side ends the run before the next entry"
    "kick-ends-an-entry" Backend OfHost kicks::ends_an_entry:
        "a request_exit from another thread makes a guest that does not exit by itself leave"
    "kick-is-never-lost" Backend OfHost kicks::never_lost:
        "of many requests, each sent when the last has ended a run, every one ends a run"
    "timer-ends-an-entry" Backend OfHost time::ends_an_entry:
        "a timer that comes due while the guest runs is reported, not long after and not before"
    "wait-has-its-deadline" Guest OfHost time::has_its_deadline:
        "a guest that waits for its timer ends the run with the time until then, and not later"
    "wait-without-a-timer" Guest OfHost time::without_a_timer:
        "a guest that waits with no timer armed ends the run without a deadline"
    "wait-ends" Guest OfHost time::ends:
        "a run after a wait enters the guest behind it"
    "callback-without-a-lock" Backend OfHost callbacks::without_a_lock:
        "while slot, device, trace, before_entry, on_exit or report run, other threads can use every service"
    "callback-may-call-back" Backend OfHost callbacks::may_call_back:
        "slot, device, trace, before_entry, on_exit and report may use every service"
    "unmap-while-it-runs" Backend OfHost race::unmap:
        "unmap and protect under a guest that stores lose none of its stores"
    "dirty-while-it-runs" Backend OfHost race::dirty:
        "a store after collect_dirty is in the next log, whenever it comes"
    "remove-while-it-runs" Backend OfHost race::remove:
        "when remove_slot returns, no store of a guest that runs reaches the memory any more"
    "slot-holds-its-address" Platform OfPlatform platform::slot_holds:
        "slot names a slot that holds the address, and the same one for each of its bytes"
    "slot-is-aligned" Platform OfPlatform platform::slot_is_aligned:
        "slots begin and end at pages, for the guest and on the host"
    "slot-is-nowhere-else" Platform OfPlatform platform::nowhere_else:
        "slot names none for an address that is no memory"
    "read-memory-reads-slots" Platform OfPlatform platform::reads_slots:
        "read_memory brings the bytes that lie in the slots, of any length and alignment"
    "read-memory-names-the-hole" Platform OfPlatform platform::names_the_hole:
        "read_memory that comes to an address without memory names the first such address"
    "device-answers-in-kind" Platform OfPlatform platform::in_kind:
        "a device answers a read with a value, and a write with Done; where none is, both with Absent, or later"
    "kick-ends-a-wait" Platform OfPlatform platform::ends_a_wait:
        "a kick from another thread ends a wait without a deadline"
    "kick-before-a-wait" Platform OfPlatform platform::before_a_wait:
        "a kick that comes before the wait ends it at once"
    "kick-ends-the-entry" Platform OfPlatform platform::requests_exit:
        "a kick makes the back end leave the guest: a request_exit comes of it"
}

impl Clause {
    /// Returns the clause of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<&'static Self> {
        CLAUSES.iter().find(|clause| clause.name == name)
    }
}
