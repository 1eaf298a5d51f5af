//! The contract between a guest architecture, a host that can run it, and the program that embeds both.
//!
//! Three parties, because three kinds of people write them:
//!
//! ```text
//!     Guest  ──────────▶  xarch-abi  ◀──────────  Backend, BackendVcpu
//!     what an exit means      ▲       how a guest is entered, its memory mapped
//!                             │
//!                          Platform   memory slots, devices, threads, wake-ups
//! ```
//!
//! A back end owns the loop, of which [`drive`] is the common form: it asks the [`Guest`] before each entry, enters,
//! reports the [`Exit`] and obeys [`Next`]. What a syndrome means is the guest side's business; how a page gets mapped is
//! the back end's. Registers go by [`RegId`]: a bank, and in most banks the guest architecture's own
//! encoding, so that neither the contract nor a back end changes when that architecture grows.
//!
//! The crate depends on nothing, names no architecture, allocates nothing and has no unsafe code.
//! Users in Rust monomorphise: nothing on the way of an exit is `dyn`.
//!
//! ```
//! use xarch_abi::{GuestPa, GuestRange};
//!
//! let ram = GuestRange::new(GuestPa::new(0x4000_0000), 0x1000).unwrap();
//! assert!(ram.contains(GuestPa::new(0x4000_0fff)));
//! assert!(!ram.contains(GuestPa::new(0x4000_1000)));
//! assert_eq!(GuestRange::new(GuestPa::new(u64::MAX), 2), None);
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod addr;
mod backend;
mod exit;
mod guest;
mod lock;
mod platform;
mod reg;

pub use addr::{GuestPa, GuestRange, HostPa};
pub use backend::{Age, Backend, BackendVcpu, Entry, PAGE_BYTES, drive};
pub use exit::{
    AccessCause, AccessSize, Deadline, DeviceAccess, DeviceAnswer, DeviceOperation, Direction, Exit,
    InvalidState, MemoryAccess, Next, Outcome, StopReason, TimerSet, Token, Trap, VcpuIndex,
};
pub use guest::{CompletionError, Guest};
pub use lock::Lock;
pub use platform::{Platform, Slot, TraceEvent, Unreadable, Writable};
pub use reg::{Bank, RegId, RegisterError, Registers};
