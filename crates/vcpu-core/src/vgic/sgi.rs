//! Software-generated interrupts: a write of `ICC_SGI0R_EL1` or `ICC_SGI1R_EL1`.

use super::{Gic, bit};
use crate::state::{VcpuSet, affinity_of};
use arm_arch::gic::{Group, sgi_targets};
use arm_arch::sysreg::IccSgi;
use xarch_abi::VcpuIndex;

impl<const N: usize> Gic<N> {
    /// Makes the SGI pending on every vCPU that the value names and that has it in `group`: with one Security
    /// state the register chooses the group. Returns who has to look. GIC, ICC_SGI1R_EL1.
    pub(crate) fn generate_sgi(&mut self, sender: VcpuIndex, value: IccSgi, group: Group) -> VcpuSet {
        let (intid, targets) = sgi_targets(value);
        let bit = bit(u32::from(intid));
        let mut concerned = VcpuSet::EMPTY;
        for vcpu in (0..self.vcpus).map(VcpuIndex) {
            let hit = targets.reaches(affinity_of(sender), affinity_of(vcpu));
            let Some(private) = self.private_mut(vcpu).filter(|_| hit) else { continue };
            let in_group1 = private.bank.group1 & bit != 0;
            if in_group1 == (group == Group::One) {
                private.bank.latch |= bit;
                concerned = concerned.with(vcpu);
            }
        }
        concerned
    }
}
