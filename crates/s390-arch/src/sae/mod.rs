//! Start Arm Execution: the blocks, codes and encodings of the facility that runs AArch64 guests.
//!
//! There is no public architecture document. Everything here is taken from how the Linux s390 arm64 KVM
//! series uses the facility; what that use does not show is marked inferred.
//!
//! ```text
//!   control block, 4 KiB            save area, 4 KiB
//!  ┌────────────────────────┐      ┌───────────────────────┐
//!  │ 080 icptr              │◀─sdo─│ 000 saf sas sdo       │
//!  │ 110 timers, ICH_*      │      │ 020 system registers, │
//!  │ 200 mso msl hbasce gpto│      │     opaque: SASR and  │
//!  │ 240 save_area ─────────┼─────▶│     EASR only         │
//!  │ 288 PSTATE PC SP FP X  │      └───────────────────────┘
//!  │ 400 interception data  │
//!  └────────────────────────┘
//! ```

pub mod block;
pub mod facility;
pub mod interception;
pub mod opcode;
pub mod ptff;
pub mod qaaf;
pub mod save_area;

pub use block::ControlBlock;
pub use facility::{Facility, HostControl, M4, Rejected, SystemRegisterNumber};
pub use interception::{HostAccess, Interception, InterceptionCode, TimerReason, Trap, ValidityReason};
pub use qaaf::{QaafFunction, QmcBase, QmcBlock, QmcIndex};
pub use save_area::SaveArea;

/// Size and alignment of a control block, of a save area and of a QAAF result.
pub const BLOCK_BYTES: u64 = 0x1000;
