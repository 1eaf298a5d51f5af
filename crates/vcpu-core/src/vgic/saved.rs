//! State of the interrupt controller for saving and restoring, by the offsets of its registers.
//!
//! What differs from an access of the guest: a write sets exactly the value (`ISPENDR` is the latch alone,
//! `ISENABLER` and `ISACTIVER` clear what is 0), and the input lines are registers of their own.

use super::distributor::groups;
use super::frame::{self, Field, Register};
use super::lists::spi_of;
use super::redistributor::waker;
use super::{Bank, Gic, SPI_BANKS};
use crate::state::{Shared, Vcpu, VcpuSet, Vm};
use arm_arch::bits;
use arm_arch::gic::distributor::{CTLR, GicdCtlr, GicdIrouter};
use arm_arch::gic::redistributor::{GicrWaker, SGI_FRAME, WAKER};
use xarch_abi::{AccessSize, Lock, RegId, VcpuIndex};

/// A piece of the interrupt controller's state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GicRegister {
    /// The register of the distributor at this offset: 64 bits for `GICD_IROUTER`, 32 for others.
    Distributor(u32),
    /// The register of a redistributor at this offset of its two frames, 32 bits.
    Redistributor(VcpuIndex, u32),
    /// Input lines of thirty-two SPIs, from this INTID.
    SpiLines(u32),
    /// Input lines of a vCPU's PPIs, bit by INTID.
    PpiLines(VcpuIndex),
}

impl GicRegister {
    /// Returns the piece that a register id names when `vcpu` is asked for it, or the VM: banks
    /// [`CONTROLLER`](xarch_abi::Bank::CONTROLLER) and [`LINES`](xarch_abi::Bank::LINES).
    #[must_use]
    pub fn from_id(id: RegId, vcpu: Option<VcpuIndex>) -> Option<Self> {
        match (id.bank, vcpu) {
            (xarch_abi::Bank::CONTROLLER, None) => Some(Self::Distributor(id.index)),
            (xarch_abi::Bank::CONTROLLER, Some(vcpu)) => Some(Self::Redistributor(vcpu, id.index)),
            (xarch_abi::Bank::LINES, None) => Some(Self::SpiLines(id.index)),
            (xarch_abi::Bank::LINES, Some(vcpu)) if id.index == 0 => Some(Self::PpiLines(vcpu)),
            _ => None,
        }
    }

    /// Returns the id by which [`vcpu`](Self::vcpu), or the VM, knows the piece.
    #[must_use]
    pub const fn id(self) -> RegId {
        match self {
            Self::Distributor(index) | Self::Redistributor(_, index) => {
                RegId { bank: xarch_abi::Bank::CONTROLLER, index }
            }
            Self::SpiLines(index) => RegId { bank: xarch_abi::Bank::LINES, index },
            Self::PpiLines(_) => RegId { bank: xarch_abi::Bank::LINES, index: 0 },
        }
    }

    /// Returns the vCPU whose part the piece is of; `None` for what all share.
    #[must_use]
    pub const fn vcpu(self) -> Option<VcpuIndex> {
        match self {
            Self::Distributor(_) | Self::SpiLines(_) => None,
            Self::Redistributor(vcpu, _) | Self::PpiLines(vcpu) => Some(vcpu),
        }
    }
}

/// There is no such piece of state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoGicRegister(pub GicRegister);

impl core::fmt::Display for NoGicRegister {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the interrupt controller has no {:x?}", self.0)
    }
}

impl core::error::Error for NoGicRegister {}

/// The registers of a bank of thirty-two that hold state; the others of each pair hold the same.
const ONE_BIT: [Field; 4] = [Field::Group, Field::SetEnable, Field::SetPending, Field::SetActive];

/// Goes through the offsets of bank `bank`, but for `IROUTER`.
fn offsets(bank: u32) -> impl Iterator<Item = u32> {
    let first = bank.wrapping_mul(32);
    let priorities = (0..32).step_by(4).map(move |number| Register::Priority(first.wrapping_add(number)));
    let one_bit = ONE_BIT.into_iter().map(move |field| Register::Bits(field, bank));
    let config = (0..2).map(move |half| Register::Config(bank, half));
    one_bit.chain(priorities).chain(config).map(Register::offset)
}

impl Bank {
    fn saved(&self, register: Register) -> Option<u64> {
        Some(match register {
            Register::Bits(Field::SetPending, _) => u64::from(self.latch | (self.in_flight & self.edge)),
            Register::Bits(field @ (Field::Group | Field::SetEnable | Field::SetActive), _) => {
                u64::from(self.read(field))
            }
            Register::Bits(Field::ClearEnable | Field::ClearPending | Field::ClearActive, _) => return None,
            Register::Priority(first) => self.read_priority(first & 31, 4),
            Register::Config(_, half) => u64::from(self.read_config(half)),
        })
    }

    fn restore(&mut self, register: Register, value: u64) -> Option<()> {
        let word = bits::trunc32(value);
        match register {
            Register::Bits(Field::Group, _) => self.group1 = word,
            Register::Bits(Field::SetEnable, _) => self.enabled = word,
            Register::Bits(Field::SetPending, _) => self.latch = word,
            Register::Bits(Field::SetActive, _) => self.active = word,
            Register::Bits(Field::ClearEnable | Field::ClearPending | Field::ClearActive, _) => return None,
            Register::Priority(first) => {
                self.write_priority(first & 31, 4, value);
            }
            Register::Config(_, half) => {
                self.write_config(half, word);
            }
        }
        Some(())
    }
}

/// Bank and register at an offset of the distributor or of an SGI frame.
fn banked(offset: u32) -> Option<(u32, Register)> {
    let register = frame::decode(offset, AccessSize::Word)?;
    let bank = match register {
        Register::Bits(_, bank) | Register::Config(bank, _) => bank,
        Register::Priority(first) => first >> 5,
    };
    Some((bank, register))
}

fn spi_bank(bank: u32) -> Option<usize> {
    let index = bits::index(u64::from(bank.checked_sub(1)?));
    (index < SPI_BANKS).then_some(index)
}

/// Bank and number of the SPI whose `GICD_IROUTER` is at `offset`.
fn routed(offset: u32) -> Option<(usize, u32)> {
    GicdIrouter::intid(offset).filter(|_| offset & 7 == 0).and_then(spi_of)
}

/// Bank of thirty-two SPIs from this INTID.
fn line_bank(intid: u32) -> Option<usize> {
    spi_bank(intid >> 5).filter(|_| intid & 31 == 0)
}

impl<const N: usize> Gic<N> {
    fn saved(&self, register: GicRegister) -> Option<u64> {
        match register {
            GicRegister::Distributor(CTLR) => Some(u64::from(self.groups.into_bits())),
            GicRegister::Distributor(offset) => match routed(offset) {
                Some((bank, number)) => Some(self.route(bank, number)?.router.into_bits()),
                None => {
                    let (bank, register) = banked(offset)?;
                    self.spis.get(spi_bank(bank)?)?.saved(register)
                }
            },
            GicRegister::Redistributor(vcpu, WAKER) => {
                Some(u64::from(waker(self.private(vcpu)?.asleep).into_bits()))
            }
            GicRegister::Redistributor(vcpu, offset) => {
                let (bank, register) = banked(offset.checked_sub(SGI_FRAME)?)?;
                self.private(vcpu)?.bank.saved(register).filter(|_| bank == 0)
            }
            GicRegister::SpiLines(intid) => Some(u64::from(self.spis.get(line_bank(intid)?)?.line)),
            GicRegister::PpiLines(vcpu) => Some(u64::from(self.private(vcpu)?.bank.line)),
        }
    }

    fn restore(&mut self, register: GicRegister, value: u64) -> Option<()> {
        match register {
            GicRegister::Distributor(CTLR) => {
                self.groups = groups(GicdCtlr::from_bits(bits::trunc32(value)));
            }
            GicRegister::Distributor(offset) => match routed(offset) {
                Some((bank, number)) => {
                    self.route_mut(bank, number)?.router = GicdIrouter::from_bits(value).sanitised();
                    self.retarget(bank, number);
                }
                None => {
                    let (bank, register) = banked(offset)?;
                    self.spis.get_mut(spi_bank(bank)?)?.restore(register, value)?;
                }
            },
            GicRegister::Redistributor(vcpu, WAKER) => {
                self.private_mut(vcpu)?.asleep = GicrWaker::from_bits(bits::trunc32(value)).processor_sleep();
            }
            GicRegister::Redistributor(vcpu, offset) => {
                let (bank, register) = banked(offset.checked_sub(SGI_FRAME)?)?;
                let private = self.private_mut(vcpu).filter(|_| bank == 0)?;
                private.bank.restore(register, value)?;
            }
            GicRegister::SpiLines(intid) => {
                self.spis.get_mut(line_bank(intid)?)?.line = bits::trunc32(value);
            }
            GicRegister::PpiLines(vcpu) => self.private_mut(vcpu)?.bank.line = bits::trunc32(value),
        }
        Some(())
    }
}

/// Goes through the pieces of state of one vCPU's redistributor.
fn private(vcpu: VcpuIndex) -> impl Iterator<Item = GicRegister> {
    let offsets = offsets(0).map(|offset| SGI_FRAME.wrapping_add(offset));
    let registers = core::iter::once(WAKER).chain(offsets);
    let registers = registers.map(move |offset| GicRegister::Redistributor(vcpu, offset));
    registers.chain(core::iter::once(GicRegister::PpiLines(vcpu)))
}

impl<const N: usize, L: Lock<Shared<N>>> Vcpu<'_, N, L> {
    /// Names every piece of the state of this vCPU's part of the interrupt controller, in the order in which it is to
    /// be restored. [`Vm::for_each_gic_register`] names them too.
    pub fn for_each_gic_register(&self, found: impl FnMut(GicRegister)) {
        private(self.index()).for_each(found);
    }
}

impl<const N: usize, L: Lock<Shared<N>>> Vm<N, L> {
    /// Names every piece of the interrupt controller's state, in the order in which it is to be restored.
    pub fn for_each_gic_register(&self, mut found: impl FnMut(GicRegister)) {
        found(GicRegister::Distributor(CTLR));
        for bank in 1..=u32::try_from(SPI_BANKS).unwrap_or(0) {
            let first = bank.wrapping_mul(32);
            let routers =
                (first..first.wrapping_add(32)).map(|intid| GicdIrouter::OFFSET.wrapping_add(intid << 3));
            routers.chain(offsets(bank)).map(GicRegister::Distributor).for_each(&mut found);
            found(GicRegister::SpiLines(first));
        }
        for vcpu in (0..self.config().vcpus).map(VcpuIndex) {
            private(vcpu).for_each(&mut found);
        }
    }

    /// Reads a piece of the interrupt controller's state. All vCPUs must have been stopped and
    /// [observed](xarch_abi::Guest::before_observe).
    ///
    /// # Errors
    /// If there is no such piece.
    pub fn gic_register(&self, register: GicRegister) -> Result<u64, NoGicRegister> {
        self.with(|shared| shared.gic.saved(register)).ok_or(NoGicRegister(register))
    }

    /// Sets a piece of the interrupt controller's state. No vCPU may be running.
    ///
    /// # Errors
    /// If there is no such piece.
    pub fn set_gic_register(&self, register: GicRegister, value: u64) -> Result<(), NoGicRegister> {
        self.with(|shared| shared.gic.restore(register, value)).ok_or(NoGicRegister(register))?;
        self.mark(VcpuSet::first_of(self.config().vcpus));
        Ok(())
    }
}
