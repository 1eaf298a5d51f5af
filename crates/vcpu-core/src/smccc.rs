//! Firmware calls: which function an HVC or SMC asks for. SMC Calling Convention, DEN0028.

use crate::inject::{read_general, write_general};
use crate::state::{Shared, Vcpu};
use arm_arch::bits;
use xarch_abi::{Lock, Next, Platform, RegId, RegisterError, Registers};

/// What is known about a speculation weakness.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Weakness {
    /// Nothing: the guest is told that there is no such function, and does what it thinks right.
    #[default]
    Unknown,
    /// The guest need do nothing.
    Absent,
}

/// What the host is known to be free of, by the number of the workaround.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Speculation {
    /// `SMCCC_ARCH_WORKAROUND_1`: branch target injection.
    pub workaround_1: Weakness,
    /// `SMCCC_ARCH_WORKAROUND_2`: speculative store bypass.
    pub workaround_2: Weakness,
    /// `SMCCC_ARCH_WORKAROUND_3`: branch history injection.
    pub workaround_3: Weakness,
}

impl Speculation {
    /// Nothing is known.
    pub(crate) const UNKNOWN: Self = Self {
        workaround_1: Weakness::Unknown,
        workaround_2: Weakness::Unknown,
        workaround_3: Weakness::Unknown,
    };
}

/// How the guest called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Conduit {
    /// HVC: the program counter is behind it already.
    Hvc,
    /// SMC, trapped: the program counter is at it.
    Smc,
}

/// Width of a call's arguments and results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Width {
    Smc32,
    Smc64,
}

/// A function identifier, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Function {
    pub width: Width,
    pub owner: u8,
    pub number: u16,
}

impl Function {
    /// Decodes W0; `None` for yielding calls and identifiers with bits that must be zero. Bit 16, the hint
    /// about live SVE state, does not count.
    pub const fn decode(id: u32) -> Option<Self> {
        let id = bits::zext32(id);
        if !bits::bit(id, 31) || bits::field(id, 23, 17) != 0 {
            return None;
        }
        let width = if bits::bit(id, 30) { Width::Smc64 } else { Width::Smc32 };
        Some(Self { width, owner: bits::low8(bits::field(id, 29, 24)), number: bits::low16(id) })
    }
}

/// Result of an unknown function, −1.
pub(crate) const NOT_SUPPORTED: u64 = u64::MAX;
const VERSION_1_1: u64 = 0x1_0001;

const OWNER_ARCH: u8 = 0;
pub(crate) const OWNER_STANDARD_SECURE: u8 = 4;

const SMCCC_VERSION: u16 = 0x0000;
const ARCH_FEATURES: u16 = 0x0001;
const ARCH_WORKAROUND_1: u16 = 0x8000;
const ARCH_WORKAROUND_2: u16 = 0x7fff;
const ARCH_WORKAROUND_3: u16 = 0x3fff;

/// What a call comes to.
pub(crate) enum Reply {
    /// X0.
    Value(u64),
    /// X0, and then something other than going on.
    ValueThen(u64, Next),
    /// No return.
    Never(Next),
}

impl<const N: usize, L: Lock<Shared<N>>> Vcpu<'_, N, L> {
    /// Answers a call. An immediate other than 0 is no call by this convention.
    pub(crate) fn firmware_call<R: Registers, P: Platform>(
        &mut self,
        registers: &mut R,
        platform: &P,
        conduit: Conduit,
        immediate: u16,
    ) -> Result<Next, RegisterError> {
        if conduit == Conduit::Smc {
            self.skip_instruction();
        }
        let id = bits::trunc32(registers.read(RegId::general(0))?);
        let reply = match Function::decode(id).filter(|_| immediate == 0) {
            Some(Function { owner: OWNER_ARCH, width: Width::Smc32, number }) => {
                Reply::Value(self.architecture_call(registers, number)?)
            }
            Some(function) if function.owner == OWNER_STANDARD_SECURE => {
                self.psci_call(registers, platform, function)?
            }
            Some(_) | None => Reply::Value(NOT_SUPPORTED),
        };
        match reply {
            Reply::Value(value) => write_general(registers, 0, value).map(|()| Next::Resume),
            Reply::ValueThen(value, next) => write_general(registers, 0, value).map(|()| next),
            Reply::Never(next) => Ok(next),
        }
    }

    fn architecture_call<R: Registers>(&self, registers: &mut R, number: u16) -> Result<u64, RegisterError> {
        Ok(match number {
            SMCCC_VERSION => VERSION_1_1,
            ARCH_FEATURES => self.features_of(bits::trunc32(read_general(registers, 1)?)),
            // A call of a workaround that is not needed does nothing.
            ARCH_WORKAROUND_1 | ARCH_WORKAROUND_2 | ARCH_WORKAROUND_3
                if self.workaround(number) == Weakness::Absent =>
            {
                0
            }
            _ => NOT_SUPPORTED,
        })
    }

    /// `SMCCC_ARCH_FEATURES`: 0 is supported; 1 (−2 for workaround 2) says that no call is needed.
    fn features_of(&self, id: u32) -> u64 {
        const NOT_REQUIRED: u64 = 1;
        const NOT_REQUIRED_2: u64 = u64::MAX - 1;
        match Function::decode(id) {
            Some(Function { owner: OWNER_ARCH, width: Width::Smc32, number }) => match number {
                SMCCC_VERSION | ARCH_FEATURES => 0,
                ARCH_WORKAROUND_1 | ARCH_WORKAROUND_3 if self.workaround(number) == Weakness::Absent => {
                    NOT_REQUIRED
                }
                ARCH_WORKAROUND_2 if self.workaround(number) == Weakness::Absent => NOT_REQUIRED_2,
                _ => NOT_SUPPORTED,
            },
            Some(_) | None => NOT_SUPPORTED,
        }
    }

    fn workaround(&self, number: u16) -> Weakness {
        let speculation = self.vm.config().speculation;
        match number {
            ARCH_WORKAROUND_1 => speculation.workaround_1,
            ARCH_WORKAROUND_2 => speculation.workaround_2,
            ARCH_WORKAROUND_3 => speculation.workaround_3,
            _ => Weakness::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_identifiers_decode_as_the_convention_says() {
        type Case = (&'static str, u32, Option<(Width, u8, u16)>);
        const CASES: &[Case] = &[
            ("SMCCC_VERSION", 0x8000_0000, Some((Width::Smc32, 0, 0))),
            ("PSCI_VERSION", 0x8400_0000, Some((Width::Smc32, 4, 0))),
            ("CPU_ON, 64 bits", 0xc400_0003, Some((Width::Smc64, 4, 3))),
            ("with the SVE hint", 0x8401_0008, Some((Width::Smc32, 4, 8))),
            ("KVM features", 0x8600_0000, Some((Width::Smc32, 6, 0))),
            ("a yielding call", 0x0400_0000, None),
            ("bit 17 set", 0x8402_0000, None),
        ];
        for (name, id, want) in CASES {
            let got = Function::decode(*id).map(|function| (function.width, function.owner, function.number));
            assert_eq!(got, *want, "{name}");
        }
    }
}
