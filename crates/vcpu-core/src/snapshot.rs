//! The list of registers that make up a vCPU.

use crate::inject::system;
use crate::state::{Shared, Vcpu};
use arm_arch::sysreg::{SysRegId, names};
use xarch_abi::{Guest, Lock, RegId, RegisterError, Registers};

/// System registers with state that the guest can see. A host may lack some.
const SYSTEM: &[SysRegId] = &[
    names::MDSCR_EL1,
    names::SCTLR_EL1,
    names::ACTLR_EL1,
    names::CPACR_EL1,
    names::TTBR0_EL1,
    names::TTBR1_EL1,
    names::TCR_EL1,
    names::APIAKEYLO_EL1,
    names::APIAKEYHI_EL1,
    names::APIBKEYLO_EL1,
    names::APIBKEYHI_EL1,
    names::APDAKEYLO_EL1,
    names::APDAKEYHI_EL1,
    names::APDBKEYLO_EL1,
    names::APDBKEYHI_EL1,
    names::APGAKEYLO_EL1,
    names::APGAKEYHI_EL1,
    names::SPSR_EL1,
    names::ELR_EL1,
    names::SP_EL0,
    names::SP_EL1,
    names::AFSR0_EL1,
    names::AFSR1_EL1,
    names::ESR_EL1,
    names::FAR_EL1,
    names::PAR_EL1,
    names::MAIR_EL1,
    names::AMAIR_EL1,
    names::VBAR_EL1,
    names::DISR_EL1,
    names::CONTEXTIDR_EL1,
    names::TPIDR_EL1,
    names::TPIDR_EL0,
    names::TPIDRRO_EL0,
    names::SCXTNUM_EL1,
    names::SCXTNUM_EL0,
    names::CSSELR_EL1,
    names::FPCR,
    names::FPSR,
    names::CNTKCTL_EL1,
    names::CNTVCT_EL0,
    names::CNTP_CTL_EL0,
    names::CNTP_CVAL_EL0,
    names::CNTV_CTL_EL0,
    names::CNTV_CVAL_EL0,
];

/// Registers of the virtual CPU interface; list registers are not among them, as they are folded into the
/// distributor before anyone looks.
const INTERRUPT: &[SysRegId] = &[names::ICH_VMCR_EL2, names::ICH_AP0R0_EL2, names::ICH_AP1R0_EL2];

impl<const N: usize, L: Lock<Shared<N>>> Vcpu<'_, N, L> {
    /// Names the breakpoints and watchpoints that the guest is told it has: `DBGBVR<n>_EL1`, `DBGBCR<n>_EL1`,
    /// `DBGWVR<n>_EL1`, `DBGWCR<n>_EL1`.
    fn debug_registers(&self) -> impl Iterator<Item = SysRegId> + use<N, L> {
        let counts = self.vm.with(|shared| {
            let features = shared.identity.as_ref().map(|identity| *identity.features());
            features.map_or((0, 0), |features| (features.breakpoints(), features.watchpoints()))
        });
        let of = |count, first: u8| {
            let both = move |number| [0, 1].map(move |second| SysRegId::new(2, 0, 0, number, first | second));
            (0..count).flat_map(both)
        };
        of(counts.0, 4).chain(of(counts.1, 6))
    }

    /// Names every register of this vCPU whose value has to be kept to continue it elsewhere: X0–X30, PC,
    /// STATUS, V0–V31 (128 bits), system registers, identification, the CPU interface. Call
    /// [`before_observe`](Guest::before_observe) first. The interrupt controller's frames belong to the VM.
    ///
    /// # Errors
    /// [`RegisterError`] if the host fails to read a register that it has.
    pub fn for_each_register<R: Registers>(
        &mut self,
        registers: &mut R,
        mut found: impl FnMut(RegId),
    ) -> Result<(), RegisterError> {
        (0..31).map(RegId::general).for_each(&mut found);
        (0..32).map(RegId::vector).for_each(&mut found);
        [RegId::PC, RegId::STATUS].into_iter().for_each(&mut found);
        crate::identity::listed().map(system).for_each(&mut found);
        // What the guest's model has not, `get` does not show.
        let system = SYSTEM.iter().copied().chain(self.debug_registers()).map(system);
        let interrupt = INTERRUPT.iter().map(|id| RegId::interrupt(id.into_bits()));
        for id in system.chain(interrupt) {
            if crate::sysreg::optional(self.get(registers, id))?.is_some() {
                found(id);
            }
        }
        Ok(())
    }
}
