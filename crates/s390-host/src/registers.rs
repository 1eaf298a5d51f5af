//! Where each register of a vCPU lives: the one table of ownership.
//!
//! | home | registers | while loaded |
//! | --- | --- | --- |
//! | control block | X0–X30, PC, PSTATE, SP_ELx, FPCR, FPSR, timer controls, CONTEXTIDR, ICH_* | in storage |
//! | save area | the other system registers of the published list | on the CPU, by SASR and EASR |
//! | shadow | ELR_EL1, SPSR_EL1, HCR, HCRX, VMPIDR: the driver's copy, set before SAE where it changed, read after | here |
//! | clock | the two counts | the VM's one clock, by PTFF |
//! | limits | identification | the block that QAAF filled |
//!
//! Encodings are those of Arm's MRS and MSR, which are also the register numbers of SASR and EASR.

use s390_arch::sae::SystemRegisterNumber;
use s390_arch::sae::block::field;
use xarch_abi::{Bank, RegId};

/// Where a register lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// A doubleword of the control block, at this offset.
    Block(u64),
    /// A word of the control block, at this offset.
    BlockWord(u64),
    /// A register that SASR and EASR reach.
    SaveArea(SystemRegisterNumber),
    /// The driver's own copy.
    Shadow(Shadow),
    /// A count of the VM's clock.
    Clock,
    /// Vector register.
    Vector(u8),
    /// What the machine offers, in the block of QAAF.
    Limit(SystemRegisterNumber),
}

/// Registers of which the driver keeps the truth between entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shadow {
    /// `ELR_EL1`.
    Elr,
    /// `SPSR_EL1`.
    Spsr,
    /// `HCR_EL2`.
    Hcr,
    /// `HCRX_EL2`.
    Hcrx,
    /// `VMPIDR_EL2`.
    Vmpidr,
}

impl Shadow {
    pub(crate) const ALL: [Self; 5] = [Self::Elr, Self::Spsr, Self::Hcr, Self::Hcrx, Self::Vmpidr];
    /// Those that the guest changes, so that they are read back after SAE.
    pub(crate) const GUEST_OWNED: [Self; 2] = [Self::Elr, Self::Spsr];

    pub(crate) const fn number(self) -> SystemRegisterNumber {
        SystemRegisterNumber(match self {
            Self::Elr => 0xc201,
            Self::Spsr => 0xc200,
            Self::Hcr => 0xe088,
            Self::Hcrx => 0xe092,
            Self::Vmpidr => 0xe005,
        })
    }

    /// Returns its place among [`ALL`](Self::ALL).
    pub(crate) const fn place(self) -> usize {
        match self {
            Self::Elr => 0,
            Self::Spsr => 1,
            Self::Hcr => 2,
            Self::Hcrx => 3,
            Self::Vmpidr => 4,
        }
    }
}

/// `OSLAR_EL1`: only written.
pub(crate) const OSLAR: SystemRegisterNumber = SystemRegisterNumber(0x8084);
/// `OSLSR_EL1`: only read.
pub(crate) const OSLSR: SystemRegisterNumber = SystemRegisterNumber(0x808c);

/// Makes a list of encodings, and the question whether a number is one of them as a match on constants.
macro_rules! encodings {
    ($(#[$docs:meta])* $list:ident, $is:ident: $($number:literal)*) => {
        $(#[$docs])*
        #[cfg_attr(not(any(target_arch = "s390x", test)), expect(dead_code, reason = "asked by the probe of the machine"))]
        const $list: [u16; [$($number),*].len()] = [$($number),*];

        const fn $is(number: u16) -> bool {
            matches!(number, $($number)|*)
        }
    };
}

// Numbers, not names: to this back end an id is opaque, and it knows no architecture of guests; the series lists them so.
encodings! {
    /// System registers of the guest that the series reaches by SASR and EASR. OSLAR_EL1 is only
    /// written and OSLSR_EL1 only read.
    SAVE_AREA, is_in_save_area:
    0x8012 // MDSCR_EL1
    0x8084 // OSLAR_EL1
    0x808c // OSLSR_EL1
    0xc000 // MIDR_EL1
    0xc080 // SCTLR_EL1
    0xc081 // ACTLR_EL1
    0xc082 // CPACR_EL1
    0xc090 // ZCR_EL1
    0xc100 // TTBR0_EL1
    0xc101 // TTBR1_EL1
    0xc102 // TCR_EL1
    0xc108 // APIAKEYLO_EL1
    0xc109 // APIAKEYHI_EL1
    0xc10a // APIBKEYLO_EL1
    0xc10b // APIBKEYHI_EL1
    0xc110 // APDAKEYLO_EL1
    0xc111 // APDAKEYHI_EL1
    0xc112 // APDBKEYLO_EL1
    0xc113 // APDBKEYHI_EL1
    0xc118 // APGAKEYLO_EL1
    0xc119 // APGAKEYHI_EL1
    0xc288 // AFSR0_EL1
    0xc289 // AFSR1_EL1
    0xc290 // ESR_EL1
    0xc300 // FAR_EL1
    0xc3a0 // PAR_EL1
    0xc510 // MAIR_EL1
    0xc600 // VBAR_EL1
    0xc609 // DISR_EL1
    0xc684 // TPIDR_EL1
    0xc687 // SCXTNUM_EL1
    0xc708 // CNTKCTL_EL1
    0xde82 // TPIDR_EL0
    0xde83 // TPIDRRO_EL0
    0xde87 // SCXTNUM_EL0
    0xdf00 // CNTFRQ_EL0
    0xdf12 // CNTP_CVAL_EL0
    0xdf1a // CNTV_CVAL_EL0
}

encodings! {
    /// Registers of the hypervisor's level that SASR and EASR reach, without the shadowed ones.
    CONTROL, is_control:
    0xe089 // MDCR_EL2
    0xe08a // CPTR_EL2
    0xe08c // HFGRTR_EL2
    0xe08d // HFGWTR_EL2
    0xe08e // HFGITR_EL2
    0xe18c // HDFGRTR_EL2
    0xe18d // HDFGWTR_EL2
    0xe293 // VSESR_EL2
    0xe64d // ICC_SRE_EL2
    0xe708 // CNTHCTL_EL2
}

/// Everything that the driver gives to SASR and EASR.
#[cfg(target_arch = "s390x")]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated at compile time")]
pub(crate) const SASR_AND_EASR: [SystemRegisterNumber; SAVE_AREA.len() + CONTROL.len() + Shadow::ALL.len()] = {
    let mut all = [SystemRegisterNumber(0); SAVE_AREA.len() + CONTROL.len() + Shadow::ALL.len()];
    let mut next = 0;
    while next < all.len() {
        let (saved, control) = (SAVE_AREA.len(), SAVE_AREA.len() + CONTROL.len());
        all[next] = if next < saved {
            SystemRegisterNumber(SAVE_AREA[next])
        } else if next < control {
            SystemRegisterNumber(CONTROL[next - saved])
        } else {
            Shadow::ALL[next - control].number()
        };
        next += 1;
    }
    all
};

/// Returns where the register lives, `None` if this host has no such register. Matches on constants throughout, so
/// that nothing is left of it for a register that is named where it is used.
#[inline(always)]
pub(crate) fn home(id: RegId) -> Option<Home> {
    if let Some(offset) = in_block(id) {
        return Some(offset);
    }
    let number = u16::try_from(id.index).ok();
    match id.bank {
        Bank::VECTOR if id.index < 32 => Some(Home::Vector(u8::try_from(id.index).ok()?)),
        Bank::SYSTEM => system(number?),
        Bank::CONTROL => control(number?),
        Bank::HOST_LIMIT => Some(Home::Limit(SystemRegisterNumber(number?))),
        _ => None,
    }
}

/// Returns the place of a register in the control block, `None` if it lives elsewhere.
#[inline(always)]
fn in_block(id: RegId) -> Option<Home> {
    Some(Home::Block(match (id.bank, id.index) {
        (Bank::CORE, _) if id == RegId::PC => field::PC,
        (Bank::CORE, _) if id == RegId::STATUS => field::PSTATE,
        (Bank::GENERAL, index) => field::gpr(u8::try_from(index).ok()?)?,
        (Bank::SYSTEM, 0xdf11) => return Some(Home::BlockWord(field::CNTP_CTL)),
        (Bank::SYSTEM, 0xdf19) => return Some(Home::BlockWord(field::CNTV_CTL)),
        (Bank::SYSTEM, 0xc208) => field::SP_EL0,
        (Bank::SYSTEM, 0xe208) => field::SP_EL1,
        (Bank::SYSTEM, 0xc681) => field::CONTEXTIDR_EL1,
        (Bank::SYSTEM, 0xda20) => field::FPCR,
        (Bank::SYSTEM, 0xda21) => field::FPSR,
        (Bank::INTERRUPT, 0xe640) => field::ICH_AP0R0,
        (Bank::INTERRUPT, 0xe648) => field::ICH_AP1R0,
        (Bank::INTERRUPT, 0xe658) => field::ICH_HCR,
        (Bank::INTERRUPT, 0xe65f) => field::ICH_VMCR,
        (Bank::INTERRUPT, index @ 0xe660..=0xe663) => field::ich_lr(u8::try_from(index & 3).ok()?)?,
        _ => return None,
    }))
}

#[inline(always)]
fn system(number: u16) -> Option<Home> {
    Some(match number {
        0xc201 => Home::Shadow(Shadow::Elr),
        0xc200 => Home::Shadow(Shadow::Spsr),
        // CNTPCT_EL0 and CNTVCT_EL0: one clock, one offset.
        0xdf01 | 0xdf02 => Home::Clock,
        other if is_in_save_area(other) => Home::SaveArea(SystemRegisterNumber(other)),
        _ => return None,
    })
}

#[inline(always)]
fn control(number: u16) -> Option<Home> {
    Some(match number {
        0xe088 => Home::Shadow(Shadow::Hcr),
        0xe092 => Home::Shadow(Shadow::Hcrx),
        0xe005 => Home::Shadow(Shadow::Vmpidr),
        other if is_control(other) => Home::SaveArea(SystemRegisterNumber(other)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_of_the_block_are_at_their_offsets() {
        for (id, offset) in [
            (RegId::PC, 0x290),
            (RegId::STATUS, 0x288),
            (RegId::general(0), 0x300),
            (RegId::general(30), 0x3f0),
            (RegId::system(0xc208), 0x298),    // S3_0_C4_C1_0
            (RegId::system(0xe208), 0x2a0),    // S3_4_C4_C1_0
            (RegId::system(0xc681), 0x1f0),    // S3_0_C13_C0_1
            (RegId::interrupt(0xe658), 0x120), // S3_4_C12_C11_0
            (RegId::interrupt(0xe663), 0x168), // S3_4_C12_C12_3
        ] {
            assert_eq!(home(id), Some(Home::Block(offset)), "{id:?}");
        }
        assert_eq!(home(RegId::system(0xdf19)), Some(Home::BlockWord(0x114)));
    }

    #[test]
    fn unknown_registers_have_no_home() {
        for id in [
            RegId::general(31),
            RegId::vector(32),
            RegId { bank: Bank::CORE, index: 2 },
            RegId { bank: Bank(99), index: 0 },
            RegId { bank: Bank::SYSTEM, index: 0x1_c080 },
            RegId::system(0xe601), // RVBAR_EL2
            RegId::control(0xc080),
            RegId::control(0xc201),
            RegId::interrupt(0xe664),
        ] {
            assert_eq!(home(id), None, "{id:?}");
        }
    }

    #[test]
    fn the_published_list_is_sorted_and_whole() {
        assert!(SAVE_AREA.is_sorted() && CONTROL.is_sorted());
        // 40 guest registers are published, of which ELR and SPSR are shadowed.
        assert_eq!(SAVE_AREA.len() + 2, 40);
        // 13 of the hypervisor's, of which HCR, HCRX and VMPIDR are shadowed.
        assert_eq!(CONTROL.len() + 3, 13);
        for (place, shadow) in Shadow::ALL.into_iter().enumerate() {
            assert_eq!(shadow.place(), place, "{shadow:?}");
            let number = shadow.number().0;
            let id = if Shadow::GUEST_OWNED.contains(&shadow) {
                RegId::system(number)
            } else {
                RegId::control(number)
            };
            assert_eq!(home(id), Some(Home::Shadow(shadow)));
        }
    }
}
