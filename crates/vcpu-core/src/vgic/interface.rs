//! The vCPU's side of the list registers: carries them between the distributor and the hardware.

use super::lists::{Filled, Fold, LIST_REGISTERS, Listed};
use super::{Gic, Interface};
use crate::state::{Lists, Shared, Vcpu, VcpuSet};
use arm_arch::sysreg::{IchHcr, IchLr, IchVmcr, IchVtr, LrState, SysRegId, names};
use xarch_abi::{Lock, RegId, RegisterError, Registers, VcpuIndex};

const fn interrupt(id: SysRegId) -> RegId {
    RegId::interrupt(id.into_bits())
}

/// Names list register `number`: sixteen in a row.
fn list_register(number: usize) -> RegId {
    let number = u16::try_from(number & (LIST_REGISTERS - 1)).unwrap_or(0);
    RegId::interrupt(names::ICH_LR0_EL2.into_bits().wrapping_add(number))
}

const _: () = assert!(names::ICH_LR15_EL2.into_bits() - names::ICH_LR0_EL2.into_bits() == 15);

/// What the list registers and the count of ends say, read before the lock is taken.
struct Gathered {
    /// What they were filled with, and what they hold now.
    written: Listed,
    read: Listed,
    used: usize,
    ended: u8,
}

impl Gathered {
    const NOTHING: Self = Self {
        written: [IchLr::new(); LIST_REGISTERS],
        read: [IchLr::new(); LIST_REGISTERS],
        used: 0,
        ended: 0,
    };

    fn folds(&self) -> impl Iterator<Item = Fold> {
        let both = self.written.iter().zip(&self.read).take(self.used);
        both.map(|(written, read)| Fold { written: *written, read: *read })
    }
}

impl<const N: usize, L: Lock<Shared<N>>> Vcpu<'_, N, L> {
    /// Puts the virtual CPU interface into its reset state.
    pub(crate) fn reset_interface<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        self.fold_lists(registers)?;
        let vtr = RegId::host_limit(names::ICH_VTR_EL2.into_bits());
        let vtr = IchVtr::from_bits(registers.read(vtr)?);
        let count = usize::from(vtr.list_regs()).saturating_add(1).min(LIST_REGISTERS);
        for number in 0..count {
            registers.write(list_register(number), 0)?;
        }
        for number in 0..active_priority_registers(vtr) {
            for first in [names::ICH_AP0R0_EL2, names::ICH_AP1R0_EL2] {
                registers.write(RegId::interrupt(first.into_bits().wrapping_add(number)), 0)?;
            }
        }
        registers.write(interrupt(names::ICH_VMCR_EL2), reset_vmcr(vtr).into_bits())?;
        let control = IchHcr::new().with_en(true).into_bits();
        registers.write(interrupt(names::ICH_HCR_EL2), control)?;
        self.lists = Lists { count, control, ..Lists::empty() };
        Ok(())
    }

    /// Gives what is in the list registers back to the distributor, so that its state is the whole truth.
    pub(crate) fn fold_lists<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        if self.lists.loaded { self.fold_loaded(registers) } else { Ok(()) }
    }

    #[inline(never)]
    fn fold_loaded<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        let mut gathered = Gathered::NOTHING;
        self.gather(registers, &mut gathered)?;
        let index = self.index;
        let concerned = self.vm.with(|shared| fold(&mut shared.gic, index, &gathered));
        self.lists.loaded = false;
        self.lists.refill = true;
        self.concern(concerned);
        Ok(())
    }

    /// Makes the list registers hold what they should before an entry. Takes the lock only if someone said
    /// that something changed, or a list register became free that may be needed.
    pub(crate) fn refresh_lists<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        let attention = self.vm.take_attention(self.index);
        if !(attention || self.lists.refill || self.is_any_ended(registers)?) {
            return Ok(());
        }
        self.refill(registers)
    }

    /// Most entries: whether no list register is in use, and nobody said that this should change.
    #[inline]
    pub(crate) fn has_lists_ready(&self) -> bool {
        self.lists.used == 0 && !self.lists.refill && !self.vm.has_attention(self.index)
    }

    #[inline(never)]
    fn refill<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        // In place: what is large is on the stack once.
        let (mut gathered, mut filled) = (Gathered::NOTHING, Filled::NOTHING);
        let loaded = self.lists.loaded;
        if loaded {
            self.gather(registers, &mut gathered)?;
        }
        let (index, count, lines) = (self.index, self.lists.count, self.lines);
        let concerned = self.vm.with(|shared| {
            shared.tell(&mut self.told);
            // Whoever restored the controller restored what a vCPU said of its timers before: this one knows better.
            lines.put(&mut shared.gic, index);
            let concerned = if loaded { fold(&mut shared.gic, index, &gathered) } else { VcpuSet::EMPTY };
            shared.gic.fill(index, count, &mut filled);
            concerned
        });
        self.write_lists(registers, &filled)?;
        self.concern(concerned);
        self.lists.refill = false;
        Ok(())
    }

    /// Returns what the CPU interface lets through.
    pub(crate) fn interface<R: Registers>(&self, registers: &mut R) -> Result<Interface, RegisterError> {
        let vmcr = IchVmcr::from_bits(registers.read(interrupt(names::ICH_VMCR_EL2))?);
        Ok(Interface { priority_mask: vmcr.vpmr(), group0: vmcr.veng0(), group1: vmcr.veng1() })
    }

    fn is_any_ended<R: Registers>(&self, registers: &mut R) -> Result<bool, RegisterError> {
        for (number, written) in self.lists.registers.iter().enumerate().take(self.lists.used) {
            let read = IchLr::from_bits(registers.read(list_register(number))?);
            if read.state() == LrState::Inactive && (written.eoi() || self.lists.overflow) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn gather<R: Registers>(
        &mut self,
        registers: &mut R,
        gathered: &mut Gathered,
    ) -> Result<(), RegisterError> {
        gathered.written = self.lists.registers;
        gathered.used = self.lists.used;
        for (number, read) in gathered.read.iter_mut().enumerate().take(self.lists.used) {
            *read = IchLr::from_bits(registers.read(list_register(number))?);
        }
        // They hold now what was read.
        for (held, read) in self.lists.registers.iter_mut().zip(&gathered.read).take(self.lists.used) {
            *held = *read;
        }
        if self.lists.active_left {
            let control = registers.read(interrupt(names::ICH_HCR_EL2))?;
            gathered.ended = IchHcr::from_bits(control).eoicount();
            // The count is taken: make sure that it is written back as 0.
            self.lists.control = control;
        }
        Ok(())
    }

    fn write_lists<R: Registers>(&mut self, registers: &mut R, filled: &Filled) -> Result<(), RegisterError> {
        let pairs = filled.registers.iter().zip(&self.lists.registers);
        for (number, (new, old)) in pairs.enumerate().take(self.lists.count) {
            if new != old {
                registers.write(list_register(number), new.into_bits())?;
            }
        }
        let control = IchHcr::new()
            .with_en(true)
            .with_npie(filled.pending_left)
            .with_lrenpie(filled.active_left)
            .into_bits();
        if control != self.lists.control {
            registers.write(interrupt(names::ICH_HCR_EL2), control)?;
        }
        let used = used(&filled.registers);
        self.lists = Lists {
            count: self.lists.count,
            used,
            registers: filled.registers,
            control,
            loaded: used > 0 || filled.active_left,
            refill: false,
            overflow: filled.pending_left || filled.active_left,
            active_left: filled.active_left,
        };
        Ok(())
    }
}

/// Gives everything back; returns other vCPUs that have to look.
fn fold<const N: usize>(gic: &mut Gic<N>, vcpu: VcpuIndex, gathered: &Gathered) -> VcpuSet {
    let concerned = gathered.folds().fold(VcpuSet::EMPTY, |set, one| set.union(gic.fold(vcpu, one)));
    concerned.union(gic.end_unlisted(vcpu, gathered.ended))
}

/// List registers are filled from the first on.
fn used(registers: &Listed) -> usize {
    registers.iter().take_while(|register| register.state() != LrState::Inactive).count()
}

/// With five bits of preemption or fewer there is one register for each group, with six two, with seven four.
/// GIC, `ICH_AP1R<n>_EL2`.
fn active_priority_registers(vtr: IchVtr) -> u16 {
    match vtr.prebits() {
        0..=4 => 1,
        5 => 2,
        _ => 4,
    }
}

/// `ICH_VMCR_EL2` after a reset: all masked, both groups off, the smallest binary points, and VFIQEn, which is
/// RES1 where only the system register interface exists. GIC, ICC_BPR0_EL1, ICC_BPR1_EL1.
fn reset_vmcr(vtr: IchVtr) -> IchVmcr {
    let smallest = 6u8.saturating_sub(vtr.prebits());
    IchVmcr::new().with_vfiqen(true).with_vbpr0(smallest).with_vbpr1(smallest.saturating_add(1) & 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arm_arch::gic::IchState;

    #[test]
    fn five_bits_of_preemption_give_the_architectures_reset_value() {
        assert_eq!(reset_vmcr(IchState::<4>::vtr()), IchState::<4>::RESET_VMCR);
        assert_eq!(reset_vmcr(IchState::<4>::vtr()).into_bits(), 0x004c_0008);
        assert_eq!(active_priority_registers(IchVtr::new().with_prebits(6)), 4);
    }

    #[test]
    fn list_registers_have_these_encodings() {
        assert_eq!(list_register(0), RegId::interrupt(0xe660));
        assert_eq!(list_register(15), RegId::interrupt(0xe66f));
    }
}
