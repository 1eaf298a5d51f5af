//! `PSTATE` in the format of `SPSR_ELx`, and the mode it names. Arm ARM, ProcState, SPSR_EL1.

use crate::el::{ExceptionLevel, StackPointer};
use bitfield_struct::bitfield;

/// `PSTATE` of an AArch64 processing element, laid out as `SPSR_ELx`. Arm ARM, SPSR_EL1.
///
/// The fields that only an AArch32 state has (Q, IT, GE, E, T) are not modelled; their bits survive
/// in the raw value.
#[bitfield(u64)]
#[derive(PartialEq, Eq, Hash)]
pub struct PState {
    /// M\[3:0\], \[3:0\]: exception level and stack pointer; see [`Mode`].
    #[bits(4)]
    pub m: u8,
    /// M\[4\], \[4\]: nRW, the state is AArch32.
    pub nrw: bool,
    __: bool,
    /// F, \[6\]: FIQs are masked.
    pub f: bool,
    /// I, \[7\]: IRQs are masked.
    pub i: bool,
    /// A, \[8\]: SErrors are masked.
    pub a: bool,
    /// D, \[9\]: debug exceptions are masked.
    pub d: bool,
    /// BTYPE, \[11:10\]: branch type of the last indirect branch. FEAT_BTI.
    #[bits(2)]
    pub btype: u8,
    /// SSBS, \[12\]: speculative store bypass is allowed. FEAT_SSBS.
    pub ssbs: bool,
    /// ALLINT, \[13\]: all interrupts are masked, superpriority or not. FEAT_NMI.
    pub allint: bool,
    /// BTYPE2, \[14\]: third bit of the branch type. FEAT_PAuth_LR.
    pub btype2: bool,
    #[bits(5)]
    __: u8,
    /// IL, \[20\]: illegal execution state.
    pub il: bool,
    /// SS, \[21\]: software step, "active-not-pending" while set.
    pub ss: bool,
    /// PAN, \[22\]: privileged access never. FEAT_PAN.
    pub pan: bool,
    /// UAO, \[23\]: user access override. FEAT_UAO.
    pub uao: bool,
    /// DIT, \[24\]: data-independent timing. FEAT_DIT.
    pub dit: bool,
    /// TCO, \[25\]: tag check override. FEAT_MTE.
    pub tco: bool,
    #[bits(2)]
    __: u8,
    /// V, \[28\]: overflow.
    pub v: bool,
    /// C, \[29\]: carry.
    pub c: bool,
    /// Z, \[30\]: zero.
    pub z: bool,
    /// N, \[31\]: negative.
    pub n: bool,
    /// PM, \[32\]: profiling exception mask. FEAT_EBEP.
    pub pm: bool,
    /// PPEND, \[33\]: profiling exception pending. FEAT_SEBEP.
    pub ppend: bool,
    /// EXLOCK, \[34\]: exception return state lock. FEAT_GCS.
    pub exlock: bool,
    /// PACM, \[35\]: signing and authentication have the PC as second modifier. FEAT_PAuth_LR.
    pub pacm: bool,
    /// UINJ, \[36\]: inject an undefined instruction exception. FEAT_UINJ.
    pub uinj: bool,
    #[bits(27)]
    __: u32,
}

const _: () = assert!(PState::IL_OFFSET == 20 && PState::N_OFFSET == 31 && PState::UINJ_OFFSET == 36);

impl PState {
    /// D, A, I and F set: every maskable exception is masked. Arm ARM, DAIF.
    pub const DAIF: u64 = 0x3c0;
    /// N, Z, C and V. Arm ARM, NZCV.
    pub const NZCV: u64 = 0xf000_0000;
    /// PSTATE after a reset into EL1: EL1h, everything masked, and 0 where the manual says UNKNOWN
    /// (CHOICE: a guest starts the same way every time). Arm ARM, AArch64.TakeReset.
    pub const RESET_EL1: Self = Self::from_bits(0x3c5);

    /// Returns the AArch64 mode; `None` for AArch32 and reserved encodings. Arm ARM, SPSR_EL1.M.
    #[must_use]
    pub const fn mode(self) -> Option<Mode> {
        if self.nrw() { None } else { Mode::decode(self.m()) }
    }

    /// Returns this state in another mode, of AArch64. Arm ARM, SPSR_EL1.M.
    #[must_use]
    pub const fn with_mode(self, mode: Mode) -> Self {
        self.with_m(mode.encode()).with_nrw(false)
    }

    /// Returns the exception level that M names, also in reserved encodings; AArch32 modes other
    /// than User count as EL1 (CHOICE: no AArch32 above EL0 is modelled). Arm ARM, SPSR_EL1.M.
    #[must_use]
    pub const fn el(self) -> ExceptionLevel {
        if self.nrw() {
            return if self.m() == 0 { ExceptionLevel::El0 } else { ExceptionLevel::El1 };
        }
        match self.m() >> 2 {
            0 => ExceptionLevel::El0,
            1 => ExceptionLevel::El1,
            2 => ExceptionLevel::El2,
            _ => ExceptionLevel::El3,
        }
    }

    /// Returns the stack pointer in use, M\[0\]. Arm ARM, SPSel.
    #[must_use]
    pub const fn stack_pointer(self) -> StackPointer {
        if self.m() & 1 == 0 { StackPointer::SpEl0 } else { StackPointer::SpElx }
    }

    /// Returns D, A, I and F in the positions of the register `DAIF`. Arm ARM, DAIF.
    #[must_use]
    pub const fn daif(self) -> u64 {
        self.into_bits() & Self::DAIF
    }

    /// Returns this state as SVC, HVC and SMC leave it for the exception that they take: the instruction counts as
    /// stepped, and PACM ends. Arm ARM, AArch64.CallSupervisor, SSAdvance.
    #[must_use]
    pub const fn calling(self) -> Self {
        self.with_ss(false).with_pacm(false)
    }

    /// Returns N, Z, C and V in the positions of the register `NZCV`. Arm ARM, NZCV.
    #[must_use]
    pub const fn nzcv(self) -> u64 {
        self.into_bits() & Self::NZCV
    }

    /// Returns this state with D, A, I and F from a value of the register `DAIF`; its other bits are ignored.
    /// Arm ARM, DAIF.
    #[must_use]
    pub const fn with_daif(self, value: u64) -> Self {
        Self::from_bits(self.into_bits() & !Self::DAIF | value & Self::DAIF)
    }

    /// Returns this state with N, Z, C and V from a value of the register `NZCV`; its other bits are ignored.
    /// Arm ARM, NZCV.
    #[must_use]
    pub const fn with_nzcv(self, value: u64) -> Self {
        Self::from_bits(self.into_bits() & !Self::NZCV | value & Self::NZCV)
    }
}

/// An AArch64 mode: level and stack pointer, as M\[3:0\] encodes them. Arm ARM, SPSR_EL1.M.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// EL0, which always uses `SP_EL0`.
    El0t,
    /// EL1 on `SP_EL0`.
    El1t,
    /// EL1 on `SP_EL1`.
    El1h,
    /// EL2 on `SP_EL0`.
    El2t,
    /// EL2 on `SP_EL2`.
    El2h,
    /// EL3 on `SP_EL0`.
    El3t,
    /// EL3 on `SP_EL3`.
    El3h,
}

impl Mode {
    /// Decodes M\[3:0\]; `None` where the encoding is reserved. Arm ARM, SPSR_EL1.M.
    #[must_use]
    pub const fn decode(m: u8) -> Option<Self> {
        Some(match m {
            0b0000 => Self::El0t,
            0b0100 => Self::El1t,
            0b0101 => Self::El1h,
            0b1000 => Self::El2t,
            0b1001 => Self::El2h,
            0b1100 => Self::El3t,
            0b1101 => Self::El3h,
            _ => return None,
        })
    }

    /// Returns M\[3:0\]. Arm ARM, SPSR_EL1.M.
    #[must_use]
    pub const fn encode(self) -> u8 {
        match self {
            Self::El0t => 0b0000,
            Self::El1t => 0b0100,
            Self::El1h => 0b0101,
            Self::El2t => 0b1000,
            Self::El2h => 0b1001,
            Self::El3t => 0b1100,
            Self::El3h => 0b1101,
        }
    }

    /// Returns the mode of `el` on its own stack pointer; `El0t` for EL0. Arm ARM, "Stack pointer registers".
    #[must_use]
    pub const fn handler(el: ExceptionLevel) -> Self {
        match el {
            ExceptionLevel::El0 => Self::El0t,
            ExceptionLevel::El1 => Self::El1h,
            ExceptionLevel::El2 => Self::El2h,
            ExceptionLevel::El3 => Self::El3h,
        }
    }

    /// Returns the exception level. Arm ARM, SPSR_EL1.M.
    #[must_use]
    pub const fn el(self) -> ExceptionLevel {
        match self {
            Self::El0t => ExceptionLevel::El0,
            Self::El1t | Self::El1h => ExceptionLevel::El1,
            Self::El2t | Self::El2h => ExceptionLevel::El2,
            Self::El3t | Self::El3h => ExceptionLevel::El3,
        }
    }

    /// Returns the stack pointer in use. Arm ARM, SPSel.
    #[must_use]
    pub const fn stack_pointer(self) -> StackPointer {
        match self {
            Self::El0t | Self::El1t | Self::El2t | Self::El3t => StackPointer::SpEl0,
            Self::El1h | Self::El2h | Self::El3h => StackPointer::SpElx,
        }
    }
}

/// Which bits of [`PState`] a processing element has: one set bit for each. Arm ARM, ProcState.
///
/// Exception entry and return leave out what is not there, so that a guest never finds a bit of a feature that is
/// not announced. `Features::pstate_mask` derives it from the ID registers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PStateMask(PState);

impl PStateMask {
    /// Armv8.0-A, AArch64 only: N, Z, C, V, SS, IL, D, A, I, F and M. Arm ARM, SPSR_EL1.
    pub const ARMV8_0: Self = Self(PState::from_bits(0xf030_03cf));

    /// Returns this mask with the set bits of `more` added. Arm ARM, ProcState.
    #[must_use]
    pub const fn with(self, more: PState) -> Self {
        Self(PState::from_bits(self.0.into_bits() | more.into_bits()))
    }

    /// Returns the bits as a state in which everything that exists is set: ask it `pan()`, `ssbs()` and so on.
    /// Arm ARM, ProcState.
    #[must_use]
    pub const fn present(self) -> PState {
        self.0
    }

    /// Returns `state` without what is not there. Arm ARM, ProcState.
    #[must_use]
    pub const fn apply(self, state: PState) -> PState {
        PState::from_bits(state.into_bits() & self.0.into_bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_where_the_manual_numbers_them() {
        const CASES: &[(&str, PState, u64)] = &[
            ("N", PState::new().with_n(true), 1 << 31),
            ("V", PState::new().with_v(true), 1 << 28),
            ("TCO", PState::new().with_tco(true), 1 << 25),
            ("DIT", PState::new().with_dit(true), 1 << 24),
            ("UAO", PState::new().with_uao(true), 1 << 23),
            ("PAN", PState::new().with_pan(true), 1 << 22),
            ("SS", PState::new().with_ss(true), 1 << 21),
            ("IL", PState::new().with_il(true), 1 << 20),
            ("ALLINT", PState::new().with_allint(true), 1 << 13),
            ("SSBS", PState::new().with_ssbs(true), 1 << 12),
            ("BTYPE", PState::new().with_btype(3), 3 << 10),
            ("D", PState::new().with_d(true), 1 << 9),
            ("A", PState::new().with_a(true), 1 << 8),
            ("I", PState::new().with_i(true), 1 << 7),
            ("F", PState::new().with_f(true), 1 << 6),
            ("EL1h", PState::new().with_mode(Mode::El1h), 5),
        ];
        for (name, state, want) in CASES {
            assert_eq!(state.into_bits(), *want, "{name}");
        }
        let linux_entry = PState::from_bits(0x3c5);
        assert_eq!(linux_entry.mode(), Some(Mode::El1h));
        assert_eq!(linux_entry.daif(), 0x3c0);
        assert_eq!(PState::from_bits(u64::MAX).into_bits(), u64::MAX, "no bit is lost");
        let called = PState::from_bits(u64::MAX).calling();
        assert_eq!(called.into_bits(), !(1 << 21 | 1 << 35), "SS and PACM");
    }

    #[test]
    fn seven_of_thirty_two_mode_encodings_are_aarch64_modes() {
        let valid: [u8; 7] = [0b0000, 0b0100, 0b0101, 0b1000, 0b1001, 0b1100, 0b1101];
        for m in 0..32u8 {
            let state = PState::from_bits(u64::from(m));
            assert_eq!(state.mode().is_some(), valid.contains(&m), "M = {m:#07b}");
            if let Some(mode) = state.mode() {
                assert_eq!(mode.encode(), m);
                assert_eq!(mode.el(), state.el());
                assert_eq!(mode.stack_pointer(), state.stack_pointer());
            }
        }
    }
}
