//! The virtual CPU interface of GICv3: what the ICC registers do to the ICH registers, as pure arithmetic.
//! GIC, "Virtual interrupts: the virtual CPU interface".
//!
//! [`distributor`], [`redistributor`] and [`frame`] have the layouts of the memory-mapped registers.
//!
//! A guest's `ICC_*` accesses act on [`IchState`] as the manual's `ICV_*` registers do; the hypervisor fills list
//! registers and reads what became of them. Modelled: system register access, five bits of priority and of
//! preemption, Group 0 and Group 1, both EOI modes, maintenance conditions. Not modelled: direct injection (GICv4)
//! and superpriority (FEAT_GICv3_NMI).
//!
//! ```
//! use arm_arch::gic::{Group, IchState};
//! use arm_arch::sysreg::{IchHcr, IchLr, IchVmcr, LrState};
//!
//! let mut ich = IchState::<4> {
//!     hcr: IchHcr::new().with_en(true),
//!     vmcr: IchVmcr::new().with_vpmr(0xf0).with_veng1(true),
//!     ..IchState::default()
//! };
//! let timer = IchLr::new().with_vintid(27).with_group(true).with_priority(0xa0);
//! ich.lr[0] = timer.with_state(LrState::Pending);
//! assert!(ich.lines().irq);
//! assert_eq!(ich.acknowledge(Group::One), 27);
//! assert_eq!(ich.running_priority(), 0xa0);
//! let _ = ich.end_of_interrupt(Group::One, 27);
//! assert_eq!(ich.lr[0].state(), LrState::Inactive);
//! ```

mod cpu_interface;
pub mod distributor;
pub mod frame;
mod maintenance;
pub mod redistributor;
mod registers;
mod sgi;

pub use cpu_interface::Deactivated;
pub use registers::WriteEffect;
pub use sgi::{Affinity, SgiTargets, sgi_targets};

use crate::sysreg::{IchHcr, IchLr, IchVmcr, IchVtr};

/// Bits of priority that are implemented, PRIbits. CHOICE: as many as common cores have. GIC, ICH_VTR_EL2.PRIbits.
pub const PRIORITY_BITS: u32 = 5;
/// Bits of priority that decide about preemption, PREbits. GIC, ICH_VTR_EL2.PREbits.
pub const PREEMPTION_BITS: u32 = 5;
/// The number that acknowledging nothing gives. GIC, "Special INTIDs".
pub const SPURIOUS: u32 = 1023;
/// The lowest number of a PPI; below it are SGIs. GIC, "INTIDs".
pub const FIRST_PPI: u32 = 16;
/// The lowest number of an SPI. GIC, "INTIDs".
pub const FIRST_SPI: u32 = 32;
/// The lowest number of an LPI. GIC, "INTIDs".
pub const FIRST_LPI: u32 = 8192;
/// The running priority when nothing is active. GIC, ICV_RPR_EL1.
pub const IDLE_PRIORITY: u8 = 0xff;

/// Whether a number stands for no interrupt: 1020 to 1023. GIC, "Special INTIDs".
#[must_use]
pub const fn is_special(intid: u32) -> bool {
    matches!(intid, 1020..=1023)
}

/// An interrupt group, as the virtual CPU interface knows them. GIC, "Interrupt grouping".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Group {
    /// Group 0, signalled as FIQ.
    Zero,
    /// Group 1, signalled as IRQ.
    One,
}

/// The hypervisor's registers of one virtual CPU interface with `N` list registers. GIC, ICH_* registers.
///
/// With five bits of preemption there is one active priorities register for each group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IchState<const N: usize = 4> {
    /// `ICH_HCR_EL2`.
    pub hcr: IchHcr,
    /// `ICH_VMCR_EL2`.
    pub vmcr: IchVmcr,
    /// `ICH_AP0R0_EL2`.
    pub ap0r0: u32,
    /// `ICH_AP1R0_EL2`.
    pub ap1r0: u32,
    /// `ICH_LR<n>_EL2`.
    pub lr: [IchLr; N],
}

impl<const N: usize> Default for IchState<N> {
    fn default() -> Self {
        Self { hcr: IchHcr::new(), vmcr: Self::RESET_VMCR, ap0r0: 0, ap1r0: 0, lr: [IchLr::new(); N] }
    }
}

impl<const N: usize> IchState<N> {
    /// `ICH_VMCR_EL2` after a reset: groups disabled, all masked, the smallest binary points, and 1 in VFIQEn, as only
    /// the system register interface exists. GIC, ICH_VMCR_EL2.
    pub const RESET_VMCR: IchVmcr = IchVmcr::from_bits(0x004c_0008);

    /// Returns `ICH_VTR_EL2`: N list registers, five bits of priority and preemption, 24-bit numbers, affinity level 3,
    /// no direct injection, TDIR. GIC, ICH_VTR_EL2.
    #[must_use]
    pub fn vtr() -> IchVtr {
        let list_regs = u8::try_from(N.saturating_sub(1)).unwrap_or(u8::MAX).min(31);
        IchVtr::new()
            .with_list_regs(list_regs)
            .with_tds(true)
            .with_nv4(true)
            .with_a3v(true)
            .with_idbits(1)
            .with_prebits(4)
            .with_pribits(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vtr_of_four_list_registers_is_this_literal() {
        // PRIbits 4, PREbits 4, IDbits 1, A3V, nV4, TDS, ListRegs 3.
        assert_eq!(IchState::<4>::vtr().into_bits(), 0x90b8_0003);
        assert_eq!(IchState::<16>::vtr().list_regs(), 15);
    }

    #[test]
    fn only_1020_to_1023_are_special() {
        for (intid, want) in [(1019, false), (1020, true), (1023, true), (1024, false), (8192, false)] {
            assert_eq!(is_special(intid), want, "{intid}");
        }
    }
}
