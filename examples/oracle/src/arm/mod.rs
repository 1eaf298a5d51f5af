//! Questions about Arm.

pub mod attribute;
pub mod cpu;
pub mod esr;
pub mod par;
pub mod pte;
pub mod sysreg;
pub mod translate;
mod view;

use arm_arch::FaultStatus;

/// Says what six bits of fault status are.
pub fn code_text(code: u8) -> String {
    FaultStatus::decode(code).map_or_else(|| "reserved".into(), |status| status.to_string())
}
