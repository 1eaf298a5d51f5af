//! Start Interpretive Execution: the state description that runs s390 guests, the elder twin of SAE.
//!
//! Sources: the Linux state description (`kvm_host_types.h` of s390), and the names of SA22-7095
//! (interpretive execution). The system control area is not modelled.

pub mod block;
pub mod control;
pub mod interception;

pub use block::StateDescription;
pub use control::{
    CpuFlags, ExecutionControlsA, ExecutionControlsB, ExecutionControlsB2, ExecutionControlsB3,
    ExecutionControlsD, InterceptionControls,
};
pub use interception::{InterceptionCode, InterceptionStatus, ValidityReason, instruction_bytes};

/// Size and alignment of a state description.
pub const BLOCK_BYTES: u64 = 0x200;
