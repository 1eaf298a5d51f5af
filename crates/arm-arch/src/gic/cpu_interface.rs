//! Acknowledge, priority drop, deactivation, and what is signalled. GIC ch. 4 and 6.

use super::{
    FIRST_LPI, Group, IDLE_PRIORITY, IchState, PREEMPTION_BITS, PRIORITY_BITS, SPURIOUS, is_special,
};
use crate::bits;
use crate::exception::VirtualLines;
use crate::sysreg::{IchLr, LrState};

/// The bits of a priority that are implemented.
const PRIORITY_MASK: u8 = (0xff_u16 << (8 - PRIORITY_BITS)).to_le_bytes()[0];
/// What an active priorities bit counts: 1 << (8 − PREbits).
const PREEMPTION_SHIFT: u32 = 8 - PREEMPTION_BITS;
/// The smallest binary point of Group 0; that of Group 1 is one more.
const MIN_BPR0: u8 = 2;
const _: () = assert!(PREEMPTION_BITS == 5 && PRIORITY_BITS == 5, "MIN_BPR0 is 7 − PREbits");

/// The physical interrupt to deactivate along with a virtual one: pINTID of a list register with HW.
/// GIC, ICH_LR\<n\>_EL2.pINTID.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deactivated {
    /// The physical interrupt; `None` if there is none to deactivate.
    pub physical: Option<u32>,
}

impl Deactivated {
    /// No physical interrupt is to be deactivated. GIC, `ICH_LR<n>_EL2`.HW.
    pub const NONE: Self = Self { physical: None };
}

impl<const N: usize> IchState<N> {
    /// Acknowledges the highest-priority pending interrupt if it is in `group` and can preempt: it becomes active and
    /// its priority the running one. Returns its number, or 1023. GIC, ICV_IAR0_EL1, ICV_IAR1_EL1.
    ///
    /// A list register that holds an LPI becomes active too, and is freed by EOI whatever the mode.
    pub fn acknowledge(&mut self, group: Group) -> u32 {
        let Some((at, lr)) = self.candidate() else { return SPURIOUS };
        if group_of(lr) != group || !self.can_preempt(lr) {
            return SPURIOUS;
        }
        // A number that is not one is handed out once and not made active. GIC, VirtualReadIAR1.
        let special = is_special(lr.vintid());
        if let Some(slot) = self.lr.get_mut(at) {
            *slot = lr.with_state(if special { LrState::Inactive } else { LrState::Active });
        }
        if !special {
            let priority = priority_of(lr) & self.preemption_mask(group);
            let bit = 1u32.wrapping_shl(u32::from(priority) >> PREEMPTION_SHIFT);
            match group {
                Group::Zero => self.ap0r0 |= bit,
                Group::One => self.ap1r0 |= bit,
            }
        }
        lr.vintid()
    }

    /// Returns the number of the highest-priority pending interrupt if it is in `group`, masked or not, or 1023.
    /// GIC, ICV_HPPIR0_EL1, ICV_HPPIR1_EL1.
    #[must_use]
    pub fn highest_pending(&self, group: Group) -> u32 {
        match self.candidate() {
            Some((_, lr)) if group_of(lr) == group => lr.vintid(),
            Some(_) | None => SPURIOUS,
        }
    }

    /// Drops the running priority and, unless EOImode splits the two, deactivates. GIC, ICV_EOIR0_EL1.
    ///
    /// CHOICE, where the manual says UNPREDICTABLE: with no active priority nothing happens; the drop takes the
    /// highest priority of both groups; a list register whose group or priority does not match stays as it is.
    pub fn end_of_interrupt(&mut self, group: Group, intid: u32) -> Deactivated {
        if is_special(intid) {
            return Deactivated::NONE;
        }
        let Some(dropped) = self.drop_priority() else { return Deactivated::NONE };
        let lpi = intid >= FIRST_LPI;
        let split = self.vmcr.veoim();
        let Some((at, lr)) = self.active(intid) else {
            if !split && !lpi {
                self.count_eoi();
            }
            return Deactivated::NONE;
        };
        let matches = group_of(lr) == group && priority_of(lr) & self.preemption_mask(group) == dropped;
        if matches && (!split || lpi) { self.deactivate_at(at, lr) } else { Deactivated::NONE }
    }

    /// Deactivates an interrupt whose priority was dropped before; does nothing when EOImode is 0, nor to an LPI,
    /// which has no active state. GIC, ICV_DIR_EL1.
    pub fn deactivate(&mut self, intid: u32) -> Deactivated {
        if is_special(intid) || intid >= FIRST_LPI || !self.vmcr.veoim() {
            return Deactivated::NONE;
        }
        match self.active(intid) {
            Some((at, lr)) => self.deactivate_at(at, lr),
            None => {
                self.count_eoi();
                Deactivated::NONE
            }
        }
    }

    /// Returns the running priority: that of the lowest active priorities bit, or 0xff. GIC, ICV_RPR_EL1.
    #[must_use]
    pub fn running_priority(&self) -> u8 {
        let active = self.ap0r0 | self.ap1r0;
        if active == 0 { IDLE_PRIORITY } else { priority_of_bit(active.trailing_zeros()) }
    }

    /// Returns the lines to the processing element. GIC, "Virtual interrupts: the virtual CPU interface".
    #[must_use]
    pub fn lines(&self) -> VirtualLines {
        match self.candidate() {
            Some((_, lr)) if self.can_preempt(lr) => match group_of(lr) {
                Group::Zero => VirtualLines { irq: false, fiq: true },
                Group::One => VirtualLines { irq: true, fiq: false },
            },
            Some(_) | None => VirtualLines::default(),
        }
    }

    /// Returns the binary point of a group as its register reads. GIC, ICV_BPR0_EL1, ICV_BPR1_EL1.
    #[must_use]
    pub fn binary_point(&self, group: Group) -> u8 {
        match group {
            Group::Zero => self.vmcr.vbpr0().max(MIN_BPR0),
            Group::One if self.vmcr.vcbpr() => self.binary_point(Group::Zero).saturating_add(1).min(7),
            Group::One => self.vmcr.vbpr1().max(MIN_BPR0.saturating_add(1)),
        }
    }

    /// Writes the binary point of a group: below the minimum it becomes the minimum; with CBPR that of Group 1 is
    /// not writable. GIC, ICV_BPR0_EL1, ICV_BPR1_EL1.
    pub fn set_binary_point(&mut self, group: Group, value: u8) {
        let value = value & 7;
        match group {
            Group::Zero => self.vmcr.set_vbpr0(value.max(MIN_BPR0)),
            Group::One if self.vmcr.vcbpr() => {}
            Group::One => self.vmcr.set_vbpr1(value.max(MIN_BPR0.saturating_add(1))),
        }
    }

    /// Returns the priority mask. GIC, ICV_PMR_EL1.
    #[must_use]
    pub fn priority_mask(&self) -> u8 {
        self.vmcr.vpmr() & PRIORITY_MASK
    }

    /// Writes the priority mask; bits that are not implemented stay 0. GIC, ICV_PMR_EL1.
    pub fn set_priority_mask(&mut self, value: u8) {
        self.vmcr.set_vpmr(value & PRIORITY_MASK);
    }

    /// Whether a group is enabled. GIC, ICV_IGRPEN0_EL1.
    #[must_use]
    pub fn is_enabled(&self, group: Group) -> bool {
        match group {
            Group::Zero => self.vmcr.veng0(),
            Group::One => self.vmcr.veng1(),
        }
    }

    /// The highest-priority pending list register of an enabled group; of equal ones the first (CHOICE). One that is
    /// also active does not count.
    fn candidate(&self) -> Option<(usize, IchLr)> {
        let pending = |lr: &IchLr| lr.state() == LrState::Pending && self.is_enabled(group_of(*lr));
        let all = self.lr.iter().copied().enumerate();
        all.filter(|(_, lr)| pending(lr)).min_by_key(|(_, lr)| priority_of(*lr))
    }

    /// Whether an interrupt is above mask and running priority, and the interface is on.
    fn can_preempt(&self, lr: IchLr) -> bool {
        let priority = priority_of(lr);
        if !self.hcr.en() || priority >= self.priority_mask() {
            return false;
        }
        let running = self.running_priority();
        let mask = self.preemption_mask(group_of(lr));
        running == IDLE_PRIORITY || priority & mask < running & mask
    }

    /// The bits of a priority that decide about preemption: above the binary point. GIC, VirtualPREBits.
    fn preemption_mask(&self, group: Group) -> u8 {
        let point = match group {
            Group::One if !self.vmcr.vcbpr() => self.binary_point(Group::One),
            Group::Zero | Group::One => self.binary_point(Group::Zero).saturating_add(1),
        };
        bits::low8(0xff_u64.wrapping_shl(u32::from(point)))
    }

    /// Clears the lowest active priorities bit of both groups and returns its priority; Group 0 first.
    fn drop_priority(&mut self) -> Option<u8> {
        let active = self.ap0r0 | self.ap1r0;
        if active == 0 {
            return None;
        }
        let at = active.trailing_zeros();
        let bit = 1u32.wrapping_shl(at);
        if self.ap0r0 & bit != 0 {
            self.ap0r0 &= !bit;
        } else {
            self.ap1r0 &= !bit;
        }
        Some(priority_of_bit(at))
    }

    /// The list register in which an interrupt is active.
    fn active(&self, intid: u32) -> Option<(usize, IchLr)> {
        let all = self.lr.iter().copied().enumerate();
        all.into_iter().find(|(_, lr)| lr.state().is_active() && lr.vintid() == intid)
    }

    fn deactivate_at(&mut self, at: usize, lr: IchLr) -> Deactivated {
        let state = match lr.state() {
            LrState::PendingActive => LrState::Pending,
            LrState::Inactive | LrState::Pending | LrState::Active => LrState::Inactive,
        };
        if let Some(slot) = self.lr.get_mut(at) {
            *slot = lr.with_state(state);
        }
        Deactivated { physical: lr.hw().then(|| u32::from(lr.pintid())) }
    }

    /// Counts an EOI of an interrupt in no list register, modulo 32. GIC, ICH_HCR_EL2.EOIcount.
    fn count_eoi(&mut self) {
        self.hcr.set_eoicount(self.hcr.eoicount().wrapping_add(1) & 31);
    }
}

fn group_of(lr: IchLr) -> Group {
    if lr.group() { Group::One } else { Group::Zero }
}

fn priority_of(lr: IchLr) -> u8 {
    lr.priority() & PRIORITY_MASK
}

/// The priority that an active priorities bit stands for.
fn priority_of_bit(at: u32) -> u8 {
    bits::low8(u64::from(at).wrapping_shl(PREEMPTION_SHIFT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysreg::{IchHcr, IchVmcr};

    const G1: u64 = 1 << 60;
    const PENDING: u64 = 1 << 62;
    const ACTIVE: u64 = 2 << 62;
    const HW: u64 = 1 << 61;

    const fn lr(state_and_flags: u64, priority: u64, intid: u64) -> IchLr {
        IchLr::from_bits(state_and_flags | priority << 48 | intid)
    }

    /// Interface on, both groups enabled, mask open, smallest binary points.
    fn ich(lrs: &[IchLr]) -> IchState<4> {
        let mut state = IchState {
            hcr: IchHcr::from_bits(1),
            vmcr: IchVmcr::from_bits(0xf84c_000b),
            ap0r0: 0,
            ap1r0: 0,
            lr: [IchLr::new(); 4],
        };
        for (slot, lr) in state.lr.iter_mut().zip(lrs) {
            *slot = *lr;
        }
        state
    }

    #[test]
    fn acknowledge_activates_and_eoi_frees() {
        let mut ich = ich(&[lr(G1 | PENDING, 0xa0, 27)]);
        assert_eq!(ich.lines(), VirtualLines { irq: true, fiq: false });
        assert_eq!(ich.highest_pending(Group::One), 27);
        assert_eq!(ich.acknowledge(Group::Zero), 1023, "the interrupt is in the other group");
        assert_eq!(ich.acknowledge(Group::One), 27);
        assert_eq!((ich.ap0r0, ich.ap1r0), (0, 1 << 20), "priority 0xa0 is bit 20");
        assert_eq!(ich.running_priority(), 0xa0);
        assert_eq!(ich.lr[0].into_bits(), (G1 | ACTIVE) | 0xa0 << 48 | 27);
        assert_eq!(ich.acknowledge(Group::One), 1023);
        assert_eq!(ich.end_of_interrupt(Group::One, 27), Deactivated::NONE);
        assert_eq!((ich.ap1r0, ich.running_priority()), (0, 0xff));
        assert_eq!(ich.lr[0].state(), LrState::Inactive);
    }

    #[test]
    fn what_is_signalled_depends_on_enable_mask_and_running_priority() {
        let one = [lr(G1 | PENDING, 0xa0, 40)];
        let base = ich(&one);
        let irq = VirtualLines { irq: true, fiq: false };
        let none = VirtualLines::default();
        let with_vmcr = |vmcr: u64| IchState { vmcr: IchVmcr::from_bits(vmcr), ..base };
        let cases: &[(&str, IchState<4>, VirtualLines)] = &[
            ("all open", base, irq),
            ("interface off", IchState { hcr: IchHcr::new(), ..base }, none),
            ("Group 1 off", with_vmcr(0xf84c_0009), none),
            ("mask equal to the priority", with_vmcr(0xa04c_000b), none),
            ("mask one step above", with_vmcr(0xa84c_000b), irq),
            ("the same priority is running", IchState { ap1r0: 1 << 20, ..base }, none),
            ("a lower priority is running", IchState { ap1r0: 1 << 21, ..base }, irq),
            ("a lower priority of the other group", IchState { ap0r0: 1 << 21, ..base }, irq),
            ("a higher priority of the other group", IchState { ap0r0: 1 << 19, ..base }, none),
            // VBPR1 = 6: only priority[7:6] counts, so 0xa0 does not preempt 0xb0.
            ("same group priority", IchState { ap1r0: 1 << 22, ..with_vmcr(0xf858_000b) }, none),
            ("lower group priority", IchState { ap1r0: 1 << 24, ..with_vmcr(0xf858_000b) }, irq),
            ("Group 0", ich(&[lr(PENDING, 0xa0, 40)]), VirtualLines { irq: false, fiq: true }),
            ("only active", ich(&[lr(G1 | ACTIVE, 0xa0, 40)]), none),
            ("pending and active", ich(&[lr(G1 | PENDING | ACTIVE, 0xa0, 40)]), none),
        ];
        for (name, state, want) in cases {
            assert_eq!(state.lines(), *want, "{name}");
        }
    }

    #[test]
    fn the_lowest_number_of_priority_wins_and_the_first_of_equals() {
        let mut state = ich(&[
            lr(G1 | PENDING, 0xa0, 40),
            lr(G1 | PENDING, 0x80, 41),
            lr(G1 | PENDING, 0x80, 42),
            lr(PENDING, 0x60, 43),
        ]);
        assert_eq!(state.lines(), VirtualLines { irq: false, fiq: true });
        assert_eq!(state.acknowledge(Group::One), 1023, "Group 0 has the highest priority");
        state.vmcr.set_veng0(false);
        assert_eq!(state.acknowledge(Group::One), 41);
        assert_eq!(state.acknowledge(Group::One), 1023, "42 has the priority that runs");
        let _ = state.end_of_interrupt(Group::One, 41);
        assert_eq!(state.acknowledge(Group::One), 42);
        // The low three bits of a priority are not implemented.
        let equal = ich(&[lr(G1 | PENDING, 0x87, 50), lr(G1 | PENDING, 0x80, 51)]);
        assert_eq!(equal.highest_pending(Group::One), 50);
    }

    #[test]
    fn nested_interrupts_drop_in_reverse_order() {
        let mut state = ich(&[lr(G1 | PENDING, 0xa0, 40)]);
        assert_eq!(state.acknowledge(Group::One), 40);
        state.lr[1] = lr(G1 | PENDING, 0x40, 41);
        assert_eq!(state.acknowledge(Group::One), 41);
        assert_eq!((state.ap1r0, state.running_priority()), (1 << 20 | 1 << 8, 0x40));
        let _ = state.end_of_interrupt(Group::One, 41);
        assert_eq!(state.running_priority(), 0xa0);
        let _ = state.end_of_interrupt(Group::One, 40);
        assert_eq!(state.running_priority(), 0xff);
        assert!(state.lr.iter().all(|lr| lr.state() == LrState::Inactive));
    }

    #[test]
    fn split_eoi_drops_first_and_deactivates_later() {
        let mut state = ich(&[lr(G1 | PENDING | HW, 0xa0, 40).with_pintid(30)]);
        state.vmcr.set_veoim(true);
        assert_eq!(state.acknowledge(Group::One), 40);
        assert_eq!(state.end_of_interrupt(Group::One, 40), Deactivated::NONE);
        assert_eq!((state.running_priority(), state.lr[0].state()), (0xff, LrState::Active));
        assert_eq!(state.deactivate(40), Deactivated { physical: Some(30) });
        assert_eq!(state.lr[0].state(), LrState::Inactive);
        state.vmcr.set_veoim(false);
        state.lr[0] = lr(G1 | ACTIVE, 0xa0, 40);
        let _ = state.deactivate(40);
        assert_eq!(state.lr[0].state(), LrState::Active, "DIR does nothing when EOImode is 0");
    }

    #[test]
    fn deactivation_leaves_an_interrupt_that_came_again_pending() {
        let mut state = ich(&[lr(G1 | PENDING | ACTIVE, 0xa0, 40)]);
        state.ap1r0 = 1 << 20;
        let _ = state.end_of_interrupt(Group::One, 40);
        assert_eq!(state.lr[0].state(), LrState::Pending);
    }

    #[test]
    fn an_eoi_without_list_register_is_counted_unless_it_is_an_lpi() {
        const CASES: &[(&str, bool, u32, u8)] = &[
            ("SPI, EOImode 0", false, 40, 1),
            ("SPI, EOImode 1", true, 40, 0),
            ("LPI, EOImode 0", false, 8192, 0),
            ("special", false, 1023, 0),
        ];
        for (name, split, intid, want) in CASES {
            let mut state = ich(&[]);
            state.ap1r0 = 1 << 20;
            state.vmcr.set_veoim(*split);
            let _ = state.end_of_interrupt(Group::One, *intid);
            assert_eq!(state.hcr.eoicount(), *want, "{name}");
        }
        let mut state = ich(&[]);
        state.vmcr.set_veoim(true);
        let _ = state.deactivate(8191);
        let _ = state.deactivate(8192);
        assert_eq!(state.hcr.eoicount(), 1, "DIR counts, but no LPI");
        state.hcr.set_eoicount(31);
        let _ = state.deactivate(40);
        assert_eq!(state.hcr.eoicount(), 0, "five bits");
        let mut idle = ich(&[lr(G1 | ACTIVE, 0xa0, 40)]);
        let _ = idle.end_of_interrupt(Group::One, 40);
        assert_eq!((idle.lr[0].state(), idle.hcr.eoicount()), (LrState::Active, 0), "no active priority");
    }

    #[test]
    fn an_lpi_is_freed_by_eoi_in_both_modes() {
        let mut state = ich(&[lr(G1 | PENDING, 0xa0, 8200)]);
        state.vmcr.set_veoim(true);
        assert_eq!(state.acknowledge(Group::One), 8200);
        let _ = state.deactivate(8200);
        assert_eq!(state.lr[0].state(), LrState::Active, "DIR is not for LPIs");
        let _ = state.end_of_interrupt(Group::One, 8200);
        assert_eq!(state.lr[0].state(), LrState::Inactive);
    }

    #[test]
    fn an_eoi_of_the_wrong_group_or_priority_drops_but_does_not_deactivate() {
        let mut state = ich(&[lr(G1 | PENDING, 0xa0, 40)]);
        let _ = state.acknowledge(Group::One);
        let _ = state.end_of_interrupt(Group::Zero, 40);
        assert_eq!((state.running_priority(), state.lr[0].state()), (0xff, LrState::Active));
    }

    #[test]
    fn binary_points_have_minima_and_may_be_common() {
        let mut state = ich(&[]);
        state.set_binary_point(Group::Zero, 0);
        state.set_binary_point(Group::One, 0);
        assert_eq!((state.binary_point(Group::Zero), state.binary_point(Group::One)), (2, 3));
        state.set_binary_point(Group::Zero, 7);
        state.set_binary_point(Group::One, 12);
        assert_eq!((state.binary_point(Group::Zero), state.binary_point(Group::One)), (7, 4));
        state.vmcr.set_vcbpr(true);
        assert_eq!(state.binary_point(Group::One), 7, "BPR0 + 1, saturating");
        state.set_binary_point(Group::One, 5);
        assert_eq!(state.vmcr.vbpr1(), 4, "not writable while common");
        state.set_binary_point(Group::Zero, 3);
        assert_eq!(state.binary_point(Group::One), 4);
    }

    #[test]
    fn only_five_bits_of_the_mask_exist() {
        let mut state = ich(&[]);
        state.set_priority_mask(0xff);
        assert_eq!(state.priority_mask(), 0xf8);
        state.set_priority_mask(0x07);
        assert_eq!(state.priority_mask(), 0);
    }

    #[test]
    fn a_special_number_is_handed_out_once_and_not_made_active() {
        let mut state = ich(&[lr(G1 | PENDING, 0xa0, 1021)]);
        assert_eq!(state.acknowledge(Group::One), 1021);
        assert_eq!((state.lr[0].state(), state.ap1r0), (LrState::Inactive, 0));
    }

    #[test]
    fn the_binary_point_says_which_bits_of_a_priority_are_the_group_priority() {
        // VBPR0, VBPR1, VCBPR, group, priority, and the active priorities bit that it sets, whose number is the running
        // priority shifted right by three. GIC, "Priority grouping": with five bits of preemption BPR0 is at least 2 and
        // BPR1 at least 3.
        type Case = (&'static str, u32, u32, bool, Group, u64, u32);
        const CASES: &[Case] = &[
            ("Group 1, smallest", 2, 3, false, Group::One, 0xa8, 0xa8),
            ("Group 1, below the smallest counts as it", 0, 0, false, Group::One, 0xa8, 0xa8),
            ("Group 1, bits 7:4", 2, 4, false, Group::One, 0xa8, 0xa0),
            ("Group 1, bits 7:6", 2, 6, false, Group::One, 0xb8, 0x80),
            ("Group 1, bit 7", 2, 7, false, Group::One, 0xf0, 0x80),
            ("Group 1 does not use BPR0", 6, 3, false, Group::One, 0xa8, 0xa8),
            ("Group 0, smallest", 2, 3, false, Group::Zero, 0xa8, 0xa8),
            ("Group 0, below the smallest counts as it", 0, 0, false, Group::Zero, 0xa8, 0xa8),
            ("Group 0, bits 7:4", 3, 3, false, Group::Zero, 0xa8, 0xa0),
            ("Group 0, bits 7:5", 4, 3, false, Group::Zero, 0xb8, 0xa0),
            ("Group 0, bit 7", 6, 3, false, Group::Zero, 0xf0, 0x80),
            ("Group 0, none", 7, 3, false, Group::Zero, 0xf0, 0x00),
            ("common, bits 7:5", 4, 3, true, Group::One, 0xb8, 0xa0),
            ("common, none", 7, 3, true, Group::One, 0xf0, 0x00),
            ("common, Group 0", 4, 7, true, Group::Zero, 0xb8, 0xa0),
        ];
        for (name, vbpr0, vbpr1, common, group, priority, running) in CASES {
            let flag = if *group == Group::One { G1 } else { 0 };
            let mut state = ich(&[lr(flag | PENDING, *priority, 40)]);
            let vmcr = 0xf800_000b | vbpr0 << 21 | vbpr1 << 18 | u32::from(*common) << 4;
            state.vmcr = IchVmcr::from_bits(vmcr.into());
            assert_eq!(state.acknowledge(*group), 40, "{name}");
            let bits = match group {
                Group::Zero => [1 << (running >> 3), 0],
                Group::One => [0, 1 << (running >> 3)],
            };
            assert_eq!([state.ap0r0, state.ap1r0], bits, "{name}");
            assert_eq!(u32::from(state.running_priority()), *running, "{name}");
            // One of the same group priority does not preempt it, and the end of it finds its list register.
            state.lr[1] = lr(flag | PENDING, u64::from(*running), 41);
            assert_eq!(state.lines(), VirtualLines::default(), "{name}");
            assert_eq!(state.end_of_interrupt(*group, 40), Deactivated::NONE, "{name}");
            assert_eq!((state.lr[0].state(), state.running_priority()), (LrState::Inactive, 0xff), "{name}");
        }
    }

    #[test]
    fn what_reads_as_binary_point_and_mask_is_what_counts() {
        // Values below the minimum, and bits of the mask that do not exist, as a hypervisor may leave them.
        let mut state = ich(&[lr(G1 | PENDING, 0xf8, 40)]);
        state.vmcr = IchVmcr::from_bits(0xff00_000b);
        assert_eq!((state.binary_point(Group::Zero), state.binary_point(Group::One)), (2, 3));
        assert_eq!((state.priority_mask(), state.lines()), (0xf8, VirtualLines::default()));
        state.set_binary_point(Group::Zero, 0xff);
        state.set_binary_point(Group::One, 0xff);
        assert_eq!((state.binary_point(Group::Zero), state.binary_point(Group::One)), (7, 7), "three bits");
    }

    #[test]
    fn nothing_preempts_without_group_priorities_but_idle_takes_all() {
        // VBPR0 = 7: no bit of a priority of Group 0 counts.
        let mut state = ich(&[lr(PENDING, 0xa0, 40), lr(PENDING, 0x20, 41)]);
        state.vmcr.set_vbpr0(7);
        assert_eq!(state.lines(), VirtualLines { irq: false, fiq: true });
        assert_eq!(state.acknowledge(Group::Zero), 41);
        assert_eq!((state.ap0r0, state.lines()), (1, VirtualLines::default()));
        let _ = state.end_of_interrupt(Group::Zero, 41);
        assert_eq!(state.acknowledge(Group::Zero), 40);
    }

    #[test]
    fn an_end_drops_one_priority_and_finds_the_active_list_register() {
        let mut both = ich(&[]);
        (both.ap0r0, both.ap1r0) = (1 << 20, 1 << 20);
        let _ = both.end_of_interrupt(Group::One, 40);
        assert_eq!((both.ap0r0, both.ap1r0), (0, 1 << 20), "of equal priorities that of Group 0");
        let _ = both.end_of_interrupt(Group::One, 40);
        assert_eq!((both.ap0r0, both.ap1r0), (0, 0));

        // What an earlier interrupt of the same number left behind, and one that is pending again, are not active.
        for other in [0, PENDING] {
            let mut state = ich(&[lr(G1 | other, 0xa0, 40), lr(G1 | ACTIVE, 0xa0, 40)]);
            state.ap1r0 = 1 << 20;
            let _ = state.end_of_interrupt(Group::One, 40);
            let states = [state.lr[0].state(), state.lr[1].state()];
            assert_eq!(states, [lr(other, 0, 0).state(), LrState::Inactive]);
            assert_eq!(state.hcr.eoicount(), 0);
        }
        let mut pending = ich(&[lr(G1 | PENDING, 0xa0, 40)]);
        pending.ap1r0 = 1 << 20;
        let _ = pending.end_of_interrupt(Group::One, 40);
        assert_eq!(
            (pending.lr[0].state(), pending.hcr.eoicount()),
            (LrState::Pending, 1),
            "not active: counted"
        );

        // The priority that runs is another's: it drops, and the list register stays.
        let mut state = ich(&[lr(G1 | ACTIVE, 0xa0, 40)]);
        state.ap1r0 = 1 << 8;
        let _ = state.end_of_interrupt(Group::One, 40);
        assert_eq!((state.ap1r0, state.lr[0].state(), state.hcr.eoicount()), (0, LrState::Active, 0));
    }

    #[test]
    fn special_numbers_and_lpis_are_not_deactivated() {
        for intid in [1020, 1021, 1022, 1023, 8192] {
            let mut state = ich(&[lr(G1 | ACTIVE, 0xa0, intid)]);
            state.vmcr.set_veoim(true);
            assert_eq!(state.deactivate(u32::try_from(intid).unwrap()), Deactivated::NONE);
            assert_eq!((state.lr[0].state(), state.hcr.eoicount()), (LrState::Active, 0), "{intid}");
        }
        // The last before them and the first behind them are counted.
        for intid in [1019, 1024] {
            let mut state = ich(&[]);
            state.vmcr.set_veoim(true);
            let _ = state.deactivate(intid);
            assert_eq!(state.hcr.eoicount(), 1, "{intid}");
        }
    }
}
