//! Virtual SErrors: errors that the hypervisor reports to the guest asynchronously.

use crate::inject::control;
use crate::state::{Shared, Vcpu};
use crate::sysreg::optional;
use arm_arch::iss::{SError, VsesrEl2};
use arm_arch::sysreg::{HcrEl2, names};
use xarch_abi::{Lock, RegisterError, Registers};

impl<const N: usize, L: Lock<Shared<N>>> Vcpu<'_, N, L> {
    /// Makes a virtual SError pending with this syndrome, or takes back one that is.
    ///
    /// The element takes it to EL1 as soon as PSTATE.A lets it, and reports the syndrome in `ESR_EL1`; without
    /// FEAT_RAS what it reports is IMPLEMENTATION DEFINED. It ends a WFI. What is pending is state of the vCPU that
    /// no register id of the guest names: who saves it asks [`serror`](Self::serror) too. A reset takes it back.
    /// On the vCPU's own thread. Arm ARM, HCR_EL2.VSE and VSESR_EL2.
    ///
    /// # Errors
    /// [`RegisterError`] from the registers.
    pub fn set_serror<R: Registers>(
        &mut self,
        registers: &mut R,
        error: Option<SError>,
    ) -> Result<(), RegisterError> {
        if let Some(error) = error {
            let syndrome = VsesrEl2::of(error).into_bits();
            // A host without FEAT_RAS has no such register.
            optional(registers.write(control(names::VSESR_EL2), syndrome))?;
        }
        let hcr = HcrEl2::from_bits(registers.read(control(names::HCR_EL2))?);
        registers.write(control(names::HCR_EL2), hcr.with_vse(error.is_some()).into_bits())
    }

    /// Returns the syndrome of the virtual SError that is pending: set and not taken yet. From a host without
    /// `VSESR_EL2` it is 0.
    ///
    /// # Errors
    /// [`RegisterError`] from the registers.
    pub fn serror<R: Registers>(&mut self, registers: &mut R) -> Result<Option<SError>, RegisterError> {
        let hcr = HcrEl2::from_bits(registers.read(control(names::HCR_EL2))?);
        if !hcr.vse() {
            return Ok(None);
        }
        let syndrome = optional(registers.read(control(names::VSESR_EL2)))?.unwrap_or(0);
        Ok(Some(VsesrEl2::from_bits(syndrome).error()))
    }
}
