//! What a PE asks of the machine around it, and why it stops running.

use crate::ram::PagePtr;
use arm_arch::{Ipa, Level, Pa};

/// What an access through stage 2 is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage2Access {
    /// A load.
    Read,
    /// A store, or both (atomic instructions).
    Write,
    /// An instruction fetch.
    Fetch,
    /// The load of a stage-1 descriptor.
    Walk,
}

/// A page as stage 2 maps it.
#[derive(Clone, Copy, Debug)]
pub struct Stage2Page<'m> {
    /// The page.
    pub page: PagePtr<'m>,
    /// Absolute address of the page, a multiple of 4096: what invalidations by page name.
    pub absolute: Pa,
    /// Stores are allowed.
    pub writable: bool,
    /// Instruction fetches are allowed.
    pub executable: bool,
}

/// What a PE asks of the machine around it.
pub trait Environment<'m> {
    /// Why a page is not to be had, kept by the engine and returned in [`Event::Stage2`].
    type Fault: Copy;

    /// Translates the page of an intermediate physical address. A page that is there but does not
    /// allow `access` is a fault. What it returns may be cached, for both kinds of load and, if it is
    /// writable, for stores, until the [`Domain`](crate::Domain) is told otherwise.
    ///
    /// # Errors
    /// The fault, where the access is not allowed or nothing is mapped.
    fn stage2(&self, ipa: Ipa, access: Stage2Access) -> Result<Stage2Page<'m>, Self::Fault>;

    /// Returns the physical count; the virtual count is the same (the offset is the host's).
    fn counter(&self) -> u64;

    /// Passes time while the PE waits for another one to drop a translation. A host with threads may
    /// yield here.
    fn relax(&self) {
        core::hint::spin_loop();
    }
}

/// Which of the two timers of EL1&0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// CNTV.
    Virtual,
    /// CNTP.
    Physical,
}

/// Why [`Pe::run`](crate::Pe::run) returned. The state of the PE is whole and lies between two
/// instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Event<F> {
    /// The number of blocks given to `run` is used up.
    Budget,
    /// Somebody called [`Domain::request_exit`](crate::Domain::request_exit).
    ExitRequest,
    /// An exception to EL2. PC is its preferred return address.
    Trap {
        /// What ESR_EL2 would hold.
        esr: u64,
        /// What FAR_EL2 would hold; 0 where the exception sets none.
        far: u64,
    },
    /// Stage 2 refused an access, or one of the loads of a stage-1 walk. PC is the instruction.
    Stage2 {
        /// What [`Environment::stage2`] said.
        fault: F,
        /// What ESR_EL2 would hold, with the fault status code left as translation fault, level 0:
        /// the level is the caller's, whose tables they are.
        esr: u64,
        /// What FAR_EL2 would hold.
        far: u64,
        /// The address that stage 2 was given.
        ipa: Ipa,
        /// The stage-1 level whose descriptor was being loaded; `None` for the access itself.
        s1_walk_level: Option<Level>,
    },
    /// The condition of a timer became true.
    Timer(Timer),
    /// A maintenance interrupt of the virtual CPU interface is pending.
    Maintenance,
}
