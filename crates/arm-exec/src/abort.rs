//! Accesses that did not happen.

use arm_arch::{Ipa, Level};
use mmu_xlate::vmsa::{Access, Fault};

/// Why an access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Stage 1 says no, or the alignment rules do.
    Stage1(Fault),
    /// Stage 2 says no; the fault itself is with the environment's keeper.
    Stage2 {
        /// What stage 2 was asked for.
        ipa: Ipa,
        /// The stage-1 level whose descriptor was being loaded.
        walk_level: Option<Level>,
    },
    /// A watchpoint: its ESR.
    Debug(u64),
    /// Nothing says no: the tables of stage 1 changed again and again while they were read.
    Changing,
}

/// An access that did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abort {
    /// The lowest virtual address that failed.
    pub(crate) va: u64,
    /// What was attempted.
    pub(crate) access: Access,
    /// Why it failed.
    pub(crate) cause: Cause,
}
