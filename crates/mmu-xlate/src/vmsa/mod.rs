//! VMSAv8-64 and VMSAv9-128: registers and memory in, a translation or a fault out.
//!
//! A walk has three acts: [`Params`] and [`Stage2`] read registers, a loop follows descriptors, permissions are
//! judged against the [`Access`]. The result is a [`Translation`]; an error is the memory's alone. [`walk()`] is
//! stage 1 over whatever lies behind its tables, [`Translator`] both stages, [`execute_at`] the AT instructions, from
//! their encoding to PAR_EL1 or the exception. What a TLB must forget is [`Tlbi::removes`].
//!
//! A [`Recorder`] hears each [`Step`]: descriptors, what their fields mean, and the [`Rule`] that decides, with its
//! citation. Where nobody listens, walks that meet nothing unusual go a short way that gives the same answers; a
//! [`TableCache`] of the caller's keeps what stage 2 says about the tables of stage 1.
//!
//! Modelled: the EL1&0, EL2&0, EL2 and EL3 regimes, stage 2 of both security states, stage 2 of stage 1 tables; the
//! three granules, FEAT_TTST, LVA, LVA3, LPA, LPA2, D128 with SKL; direct, indirect and overlaid permissions
//! (FEAT_S1PIE, S2PIE, S1POE, S2POE, PAN, PAN3, E0PD, HPDS, XNX, GCS, THE), access flag and dirty state with their
//! updates (FEAT_HAFDBS, HAFT), attributes with FEAT_AIE, S2FWB, XS and
//! MTE2, the right to access tags (FEAT_MTE_PERM, MTE_CANONICAL_TAGS), big-endian tables; the
//! granule protection check (FEAT_RME) beside a walk or, by [`Guarded`], of all that it accesses. Not modelled: AArch32, allocation tags
//! themselves, FEAT_MEC, FEAT_BBM's nT (it never faults), TLB conflicts.

mod at;
mod at_execute;
mod attr;
mod cache;
mod choices;
mod descend;
mod describe;
mod explain;
mod fault;
mod fields;
mod format;
mod geometry;
mod gpc;
mod implementation;
mod indirect;
mod mapping;
mod params;
mod perm;
mod quick;
mod registers;
mod rule;
mod source;
mod stage1;
mod stage2;
mod stage2_params;
mod tlbi;
mod translate;

pub use at::{AtContext, AtOperation, AtOutcome, at};
pub use at_execute::{AtExecution, execute_at};
pub use attr::{Attributes, Cacheability, DeviceType, MemoryType, Shareability};
pub use cache::TableCache;
pub use choices::{CHOICES, Choice};
pub use describe::{DescriptorFormat, HighAddress};
pub use explain::{DescriptorKind, Field, Recorder, Step};
pub use fault::{Fault, Qualifiers, Stage};
pub use gpc::{
    GranuleCheck, GranuleEntry, GranuleExtent, GranuleFault, GranuleLevel, GranuleProtection, GranuleReason,
    GranuleRefusal, GranuleRegisters, GranuleReport, Guarded, RoutesDenials,
};
pub use implementation::{HardwareUpdates, Implementation};
pub use mapping::{Located, Mapping, OutputAddress, Translation, Update};
pub use params::Params;
pub use perm::{Access, AccessKind, Permissions, Privilege, Tags};
pub use registers::{El1Registers, Regime, Registers, Space, Stage1Registers};
pub use rule::Rule;
pub use stage1::{walk, walk_in_full, walk_recorded, walk_updating};
pub use stage2_params::Stage2;
pub use tlbi::{Cached, CachedEntry, Shared, Tlbi, TlbiContext};
pub use translate::Translator;
