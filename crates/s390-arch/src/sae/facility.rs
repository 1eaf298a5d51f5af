//! What the SAE facility does, as traits: the real instructions implement them, and so does a
//! model of them.
//!
//! [`Facility`] is what one host CPU can do: it is held by the thread that runs a vCPU there.
//! [`HostControl`] is what any CPU may do to all of them while they run. The driver is generic over
//! both, so the same code drives the machine and the model.
//!
//! Source: instruction descriptions of the Linux series "KVM: s390: Introduce arm64 KVM"; there is
//! no public architecture document. What the series leaves open is said at the item.

use crate::addr::Absolute;

/// Register number of SASR and EASR, their I2 field:
/// Op0 \[15:14\], Op1 \[13:11\], CRn \[10:7\], CRm \[6:3\], Op2 \[2:0\], counted from the right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemRegisterNumber(pub u16);

impl core::fmt::Debug for SystemRegisterNumber {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let n = self.0;
        write!(
            f,
            "SystemRegisterNumber(S{}_{}_C{}_C{}_{})",
            n >> 14,
            (n >> 11) & 7,
            (n >> 7) & 15,
            (n >> 3) & 15,
            n & 7
        )
    }
}

/// M4 of SASR and EASR: where the register is. A 4-bit field, so a type of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum M4 {
    /// 0: the registers that LASRM loaded on this CPU.
    Loaded,
    /// 8: the save area in storage, while it is not loaded anywhere.
    SaveArea,
}

impl M4 {
    /// Decodes the four bits; `None` for values whose meaning nobody has said.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::Loaded),
            8 => Some(Self::SaveArea),
            _ => None,
        }
    }

    /// Returns the four bits as they stand in the instruction.
    #[must_use]
    pub const fn into_bits(self) -> u8 {
        match self {
            Self::Loaded => 0,
            Self::SaveArea => 8,
        }
    }
}

/// The instruction ended with a program interruption; the code is what the machine stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Program-interruption code, PoP ch. 6.
    pub code: crate::pgm::ProgramCode,
}

impl core::fmt::Display for Rejected {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "instruction ended by program interruption {:?}", self.code)
    }
}

impl core::error::Error for Rejected {}

/// One host CPU that has the facility.
///
/// A value of this type is used by one thread at a time, the one that runs on that CPU. Storage is
/// addressed absolutely throughout: where the real instruction takes a logical address, the
/// implementation translates.
pub trait Facility {
    /// `SAE`, opcode B9A5: runs the guest of the control block at `block` until an interception is
    /// recorded in it. The save area that the block designates must be the one that
    /// [`lasrm`](Self::lasrm) loaded on this CPU. The vector registers of this CPU are the guest's.
    fn sae(&mut self, block: Absolute);

    /// `LASRM`, opcode B9A6: makes the registers of the save area at `area` current on this CPU.
    ///
    /// # Errors
    /// [`Rejected`] if the area is not one; what the machine does then is not known.
    fn lasrm(&mut self, area: Absolute) -> Result<(), Rejected>;

    /// `STIASRM`, opcode B9A7: writes the loaded registers back to `area` and invalidates them here.
    ///
    /// # Errors
    /// [`Rejected`] if that area is not the one loaded here.
    fn stiasrm(&mut self, area: Absolute) -> Result<(), Rejected>;

    /// `SASR`, opcode ED..99: sets a system register.
    ///
    /// # Errors
    /// [`Rejected`] if the register is unknown or the area is not where `m4` says.
    fn sasr(
        &mut self,
        area: Absolute,
        register: SystemRegisterNumber,
        m4: M4,
        value: u64,
    ) -> Result<(), Rejected>;

    /// `EASR`, opcode ED..9B: extracts a system register.
    ///
    /// # Errors
    /// [`Rejected`] if the register is unknown or the area is not where `m4` says.
    fn easr(&mut self, area: Absolute, register: SystemRegisterNumber, m4: M4) -> Result<u64, Rejected>;

    /// `QAAF`, opcode B9AD, with general register 0 = `gr0`; the 4 KiB result goes to `result`.
    ///
    /// # Errors
    /// [`Rejected`] if the function or the facility is not there.
    fn qaaf(&mut self, gr0: u64, result: Absolute) -> Result<(), Rejected>;

    /// `PTFF`, opcode 0104, function `code` with a parameter block of two doublewords: input in
    /// the first, output in the second.
    ///
    /// # Errors
    /// [`Rejected`] if the function is not installed.
    fn ptff(&mut self, code: u8, parameters: &mut [u64; 2]) -> Result<(), Rejected>;

    /// Loads this CPU's vector registers, which are the guest's V registers while SAE runs.
    /// Element 0 is the rightmost of each value, as in Arm's numbering.
    fn load_vectors(&mut self, vectors: &[u128; 32]);

    /// Stores this CPU's vector registers.
    fn store_vectors(&mut self, vectors: &mut [u128; 32]);
}

/// The CPU that is borrowed is the CPU.
impl<F: Facility + ?Sized> Facility for &mut F {
    #[inline]
    fn sae(&mut self, block: Absolute) {
        F::sae(self, block);
    }

    #[inline]
    fn lasrm(&mut self, area: Absolute) -> Result<(), Rejected> {
        F::lasrm(self, area)
    }

    #[inline]
    fn stiasrm(&mut self, area: Absolute) -> Result<(), Rejected> {
        F::stiasrm(self, area)
    }

    #[inline]
    fn sasr(
        &mut self,
        area: Absolute,
        register: SystemRegisterNumber,
        m4: M4,
        value: u64,
    ) -> Result<(), Rejected> {
        F::sasr(self, area, register, m4, value)
    }

    #[inline]
    fn easr(&mut self, area: Absolute, register: SystemRegisterNumber, m4: M4) -> Result<u64, Rejected> {
        F::easr(self, area, register, m4)
    }

    #[inline]
    fn qaaf(&mut self, gr0: u64, result: Absolute) -> Result<(), Rejected> {
        F::qaaf(self, gr0, result)
    }

    #[inline]
    fn ptff(&mut self, code: u8, parameters: &mut [u64; 2]) -> Result<(), Rejected> {
        F::ptff(self, code, parameters)
    }

    #[inline]
    fn load_vectors(&mut self, vectors: &[u128; 32]) {
        F::load_vectors(self, vectors);
    }

    #[inline]
    fn store_vectors(&mut self, vectors: &mut [u128; 32]) {
        F::store_vectors(self, vectors);
    }
}

/// What a host does to all CPUs while guests may be running on them.
///
/// The table operations are synchronous: when they return, no CPU uses the old entry any more, and
/// every store that used it is in storage (PoP ch. 10, INVALIDATE PAGE TABLE ENTRY, INVALIDATE DAT
/// TABLE ENTRY, PURGE TLB).
pub trait HostControl: Sync {
    /// `IPTE`: sets the invalid bit of the page-table entry for `address` in the page table at
    /// `page_table` (2 KiB aligned) and purges what was formed from it under `asce`.
    fn ipte(&self, page_table: Absolute, address: u64, asce: u64);

    /// `IDTE`, invalidation-and-clearing: sets the invalid bit of the region- or segment-table
    /// entry at `entry` and purges what was formed from it for `address` under `asce`.
    fn idte(&self, entry: Absolute, address: u64, asce: u64);

    /// `IDTE`, clearing by ASCE: purges everything formed under `asce`.
    fn idte_asce(&self, asce: u64);

    /// `PTLB`, on every CPU.
    fn ptlb(&self);

    /// Asks the CPU that executes SAE with the control block at `block` to leave with an
    /// interception of code 0. Sticky: if none executes it now, the next SAE with it ends at once.
    ///
    /// CHOICE: the sources show no way to end SAE from another CPU. SIE ends for an external call
    /// or the stop bit; a host interruption ends either. `hw` sends an external call.
    fn request_exit(&self, block: Absolute);
}

impl<H: HostControl + ?Sized> HostControl for &H {
    fn ipte(&self, page_table: Absolute, address: u64, asce: u64) {
        (**self).ipte(page_table, address, asce);
    }
    fn idte(&self, entry: Absolute, address: u64, asce: u64) {
        (**self).idte(entry, address, asce);
    }
    fn idte_asce(&self, asce: u64) {
        (**self).idte_asce(asce);
    }
    fn ptlb(&self) {
        (**self).ptlb();
    }
    fn request_exit(&self, block: Absolute) {
        (**self).request_exit(block);
    }
}
