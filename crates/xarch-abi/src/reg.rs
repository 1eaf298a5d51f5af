//! Guest registers by number.

use core::fmt;

/// A group of registers. Open: a bank that a side does not know is an error value, never a guess.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bank(pub u16);

impl Bank {
    /// Program counter ([`RegId::PC`]) and processor status ([`RegId::STATUS`]).
    pub const CORE: Self = Self(0);
    /// General registers; the index is the guest architecture's register number.
    pub const GENERAL: Self = Self(1);
    /// Vector registers, 128 bits; the index is the guest architecture's register number.
    pub const VECTOR: Self = Self(2);
    /// The guest's system registers; the index is the guest architecture's own encoding.
    pub const SYSTEM: Self = Self(3);
    /// Registers by which the hypervisor controls the guest, in the guest architecture's own
    /// encoding. The guest side writes them; a back end only carries them.
    pub const CONTROL: Self = Self(4);
    /// The hypervisor's view of the virtual interrupt interface, in the guest architecture's own
    /// encoding.
    pub const INTERRUPT: Self = Self(5);
    /// What the host can offer: identification registers before anything is hidden from the guest,
    /// in the guest architecture's own encoding. Read-only.
    pub const HOST_LIMIT: Self = Self(6);
    /// The interrupt controller's own state, for saving and restoring: asked of a vCPU the part that is its alone, asked
    /// of the machine the part that all share. The index is the guest architecture's offset of the register in its
    /// frame; a value is the state itself, without the side effects of an access by the guest.
    pub const CONTROLLER: Self = Self(7);
    /// Input lines of the interrupt controller, thirty-two in a register; the index is the number of the first. Asked
    /// of a vCPU or of the machine, as [`CONTROLLER`](Self::CONTROLLER).
    pub const LINES: Self = Self(8);
    /// What a vCPU is besides its registers: [`RegId::POWER`], [`RegId::ERROR`].
    pub const STATE: Self = Self(9);
}

impl fmt::Debug for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::CORE => f.write_str("core"),
            Self::GENERAL => f.write_str("general"),
            Self::VECTOR => f.write_str("vector"),
            Self::SYSTEM => f.write_str("system"),
            Self::CONTROL => f.write_str("control"),
            Self::INTERRUPT => f.write_str("interrupt"),
            Self::HOST_LIMIT => f.write_str("host-limit"),
            Self::CONTROLLER => f.write_str("controller"),
            Self::LINES => f.write_str("lines"),
            Self::STATE => f.write_str("state"),
            Self(other) => write!(f, "bank-{other}"),
        }
    }
}

/// The name of a register: its bank and its number there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegId {
    /// The bank.
    pub bank: Bank,
    /// The number in the bank.
    pub index: u32,
}

#[expect(clippy::as_conversions, reason = "widening in const functions, where From cannot be called")]
impl RegId {
    /// The address of the next instruction.
    pub const PC: Self = Self { bank: Bank::CORE, index: 0 };
    /// The processor status, in the form in which the guest architecture saves it.
    pub const STATUS: Self = Self { bank: Bank::CORE, index: 1 };
    /// 1 if the vCPU is on, 0 if it waits for another one to start it.
    pub const POWER: Self = Self { bank: Bank::STATE, index: 0 };
    /// An asynchronous error that the guest has not taken yet: bit 63 and the guest architecture's syndrome; 0 if there
    /// is none.
    pub const ERROR: Self = Self { bank: Bank::STATE, index: 1 };

    /// Returns general register `number`.
    #[must_use]
    pub const fn general(number: u8) -> Self {
        Self { bank: Bank::GENERAL, index: number as u32 }
    }

    /// Returns vector register `number`.
    #[must_use]
    pub const fn vector(number: u8) -> Self {
        Self { bank: Bank::VECTOR, index: number as u32 }
    }

    /// Returns the system register with the guest architecture's encoding `encoding`.
    #[must_use]
    pub const fn system(encoding: u16) -> Self {
        Self { bank: Bank::SYSTEM, index: encoding as u32 }
    }

    /// Returns the control register with the guest architecture's encoding `encoding`.
    #[must_use]
    pub const fn control(encoding: u16) -> Self {
        Self { bank: Bank::CONTROL, index: encoding as u32 }
    }

    /// Returns the interrupt-interface register with the guest architecture's encoding `encoding`.
    #[must_use]
    pub const fn interrupt(encoding: u16) -> Self {
        Self { bank: Bank::INTERRUPT, index: encoding as u32 }
    }

    /// Returns what the host offers of the identification register with encoding `encoding`.
    #[must_use]
    pub const fn host_limit(encoding: u16) -> Self {
        Self { bank: Bank::HOST_LIMIT, index: encoding as u32 }
    }
}

impl fmt::Debug for RegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{:#x}", self.bank, self.index)
    }
}

/// Why a register could not be accessed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegisterError {
    /// This side does not know the register.
    Unknown(RegId),
    /// The register can be read but not written.
    ReadOnly(RegId),
    /// The register does not take that value.
    Value(RegId, u64),
    /// The register is wider than 64 bits: use the wide access.
    Wide(RegId),
    /// The host refused; the code is the host's.
    Host(RegId, u32),
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(f, "register {id:?} is unknown"),
            Self::ReadOnly(id) => write!(f, "register {id:?} is read-only"),
            Self::Value(id, value) => write!(f, "register {id:?} does not take {value:#x}"),
            Self::Wide(id) => write!(f, "register {id:?} is wider than 64 bits"),
            Self::Host(id, code) => write!(f, "the host refused register {id:?} with code {code:#x}"),
        }
    }
}

impl core::error::Error for RegisterError {}

/// The registers of one vCPU, wherever they are at the moment.
///
/// Reading takes `&mut self` because a host may have to execute an instruction for it.
pub trait Registers {
    /// Reads a register of up to 64 bits.
    ///
    /// # Errors
    /// [`RegisterError`] says why not; the register is unchanged.
    fn read(&mut self, id: RegId) -> Result<u64, RegisterError>;

    /// Writes a register of up to 64 bits.
    ///
    /// # Errors
    /// [`RegisterError`] says why not; the register is unchanged.
    fn write(&mut self, id: RegId, value: u64) -> Result<(), RegisterError>;

    /// Reads a register of up to 128 bits.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_wide(&mut self, id: RegId) -> Result<u128, RegisterError> {
        self.read(id).map(u128::from)
    }

    /// Writes a register of up to 128 bits.
    ///
    /// # Errors
    /// As [`write`](Self::write); [`RegisterError::Wide`] where the value does not fit.
    fn write_wide(&mut self, id: RegId, value: u128) -> Result<(), RegisterError> {
        match u64::try_from(value) {
            Ok(value) => self.write(id, value),
            Err(_) => Err(RegisterError::Wide(id)),
        }
    }
}
