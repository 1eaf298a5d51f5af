//! Exception entry, exception return, and which interrupt is taken: pure functions over register values.
//! Arm ARM, AArch64.TakeException, AArch64.ExceptionReturn.
//!
//! The processing element enters its own exceptions with them, and a hypervisor injects with the same ones; neither
//! storage nor timing is known here. Entry to EL1, EL2 and EL3 from AArch64 is modelled; AArch32 only as the state
//! of a lower level that decides the vector.
//!
//! ```
//! use arm_arch::exception::{self, Cause, EntryState};
//! use arm_arch::pstate::{PState, PStateMask};
//! use arm_arch::sysreg::{HcrEl2, SctlrEl1};
//! use arm_arch::ExceptionLevel;
//!
//! let state = EntryState {
//!     pstate: PState::from_bits(0), // EL0
//!     vbar: 0xffff_8000_0801_0800,
//!     sctlr: SctlrEl1::new(),
//!     hcr: HcrEl2::new(),
//!     mask: PStateMask::ARMV8_0,
//! };
//! let taken = exception::enter(&Cause::svc(0, 0x40_1004), ExceptionLevel::El1, &state);
//! assert_eq!(taken.pc, 0xffff_8000_0801_0c00); // VBAR + 0x400: synchronous, from a lower level
//! assert_eq!(taken.elr, 0x40_1004);
//! assert_eq!(taken.esr.unwrap().into_bits(), 0x5600_0000);
//! ```

mod buffer;
mod cause;
mod entry;
mod interrupt;
mod priority;
mod profiling;
mod ret;
mod route;

pub use crate::sysreg::ScrEl3;
pub use buffer::{BufferControls, Recorded};
pub use cause::{Cause, Kind};
pub use entry::{Entered, EntryState, ExceptionLock, enter, vector_offset};
pub use interrupt::{
    PhysicalLines, VirtualLines, VirtualPriority, deferred_virtual_serror, is_masked, physical_interrupt,
    virtual_interrupt, virtual_interrupt_by_priority, wakes_from_wfi,
};
pub use priority::Priority;
pub use profiling::{PmecrEl1, Profiling, ProfilingControls, profiling};
pub use ret::{
    ReturnLimits, ReturnState, Returned, branch_address, branch_address_el2, branch_address_el3, eret,
    eret_within, is_illegal_return, is_pc_misaligned, is_sp_misaligned,
};
pub use route::{InterruptRoute, Route, Routing, Synchronous};
