//! The registers that rule an operation and record what it met.

use arm_arch::bits::trunc32;
use arm_arch::sysreg;

/// `FPRounding`: the modes of FPCR.RMode, and the two only instructions ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To nearest, ties to even (RN).
    TieEven,
    /// Towards plus infinity (RP).
    PosInf,
    /// Towards minus infinity (RM).
    NegInf,
    /// Towards zero (RZ).
    Zero,
    /// To nearest, ties away from zero: FCVTA*, FRINTA.
    TieAway,
    /// Von Neumann rounding, an inexact result is made odd: FCVTXN.
    Odd,
}

/// `FPCR`, Floating-point Control Register, as far as arithmetic reads it. Arm ARM, FPCR.
///
/// Trap enables are RES0: no announced feature lets software set them. 32 bits wide, as the engine holds it; the layout is
/// [`arm_arch::sysreg::Fpcr`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fpcr(pub u32);

impl Fpcr {
    /// FZ16, \[19\]: flush half-precision subnormals, conversions excepted. RES0 without `FEAT_FP16`.
    pub const FZ16: u32 = trunc32(sysreg::Fpcr::new().with_fz16(true).into_bits());
    /// RMode, \[23:22\]: rounding mode.
    pub const RMODE: u32 = trunc32(sysreg::Fpcr::new().with_rmode(3).into_bits());
    /// FZ, \[24\]: flush single- and double-precision subnormals to zero.
    pub const FZ: u32 = trunc32(sysreg::Fpcr::new().with_fz(true).into_bits());
    /// DN, \[25\]: NaN results are the default NaN.
    pub const DN: u32 = trunc32(sysreg::Fpcr::new().with_dn(true).into_bits());
    /// AHP, \[26\]: half precision is Arm's alternative format, in conversions.
    pub const AHP: u32 = trunc32(sysreg::Fpcr::new().with_ahp(true).into_bits());

    /// Returns the rounding mode, RMode. `FPDecodeRounding`.
    #[inline]
    #[must_use]
    pub const fn rmode(self) -> Rounding {
        match (self.0 & Self::RMODE) >> Self::RMODE.trailing_zeros() {
            0 => Rounding::TieEven,
            1 => Rounding::PosInf,
            2 => Rounding::NegInf,
            _ => Rounding::Zero,
        }
    }

    /// Whether FZ16 is set.
    #[inline]
    #[must_use]
    pub const fn fz16(self) -> bool {
        self.0 & Self::FZ16 != 0
    }

    /// Whether FZ is set.
    #[inline]
    #[must_use]
    pub const fn fz(self) -> bool {
        self.0 & Self::FZ != 0
    }

    /// Whether DN is set.
    #[inline]
    #[must_use]
    pub const fn dn(self) -> bool {
        self.0 & Self::DN != 0
    }

    /// Whether AHP is set.
    #[inline]
    #[must_use]
    pub const fn ahp(self) -> bool {
        self.0 & Self::AHP != 0
    }

    /// Whether finite arithmetic is IEEE 754's default: to nearest even, nothing flushed.
    #[inline]
    pub(super) const fn is_plain(self) -> bool {
        self.0 & (Self::RMODE | Self::FZ) == 0
    }
}

/// `FPSR`, Floating-point Status Register. Arm ARM, FPSR.
///
/// Arithmetic only sets cumulative bits; all other bits (QC among them) are carried along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fpsr(pub u32);

impl Fpsr {
    /// IOC, \[0\]: invalid operation.
    pub const IOC: u32 = trunc32(sysreg::Fpsr::new().with_ioc(true).into_bits());
    /// DZC, \[1\]: division by zero.
    pub const DZC: u32 = trunc32(sysreg::Fpsr::new().with_dzc(true).into_bits());
    /// OFC, \[2\]: overflow.
    pub const OFC: u32 = trunc32(sysreg::Fpsr::new().with_ofc(true).into_bits());
    /// UFC, \[3\]: underflow.
    pub const UFC: u32 = trunc32(sysreg::Fpsr::new().with_ufc(true).into_bits());
    /// IXC, \[4\]: inexact.
    pub const IXC: u32 = trunc32(sysreg::Fpsr::new().with_ixc(true).into_bits());
    /// IDC, \[7\]: a subnormal operand was flushed to zero.
    pub const IDC: u32 = trunc32(sysreg::Fpsr::new().with_idc(true).into_bits());
    /// QC, \[27\]: an Advanced SIMD integer operation saturated; set by the engine, never here.
    pub const QC: u32 = trunc32(sysreg::Fpsr::new().with_qc(true).into_bits());
}

/// What an operation reads (FPCR) and what it adds to (FPSR).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Env {
    /// Control.
    pub fpcr: Fpcr,
    /// Cumulative status.
    pub fpsr: Fpsr,
}

impl Env {
    /// Makes an environment of the two registers' values.
    #[inline]
    #[must_use]
    pub const fn new(fpcr: u32, fpsr: u32) -> Self {
        Self { fpcr: Fpcr(fpcr), fpsr: Fpsr(fpsr) }
    }

    /// `FPProcessException`, with traps disabled: notes it in FPSR.
    #[inline]
    pub(super) const fn raise(&mut self, exceptions: u32) {
        self.fpsr.0 |= exceptions;
    }

    #[inline]
    pub(super) const fn is_set(&self, exception: u32) -> bool {
        self.fpsr.0 & exception != 0
    }
}
