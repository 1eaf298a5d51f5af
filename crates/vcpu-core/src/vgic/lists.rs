//! List registers: which interrupts go in, and what comes back. GIC ch. 6, "Virtual interrupt handling".

use super::{Bank, Gic, bit, each};
use crate::state::VcpuSet;
use arm_arch::bits;
use arm_arch::gic::FIRST_SPI;
use arm_arch::sysreg::{IchLr, LrState};
use xarch_abi::VcpuIndex;

/// The most list registers a CPU interface has.
pub(crate) const LIST_REGISTERS: usize = 16;

/// List register values, unused ones zero.
pub(crate) type Listed = [IchLr; LIST_REGISTERS];

/// An interrupt that wants a list register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub intid: u32,
    pub priority: u8,
    pub group1: bool,
    pub edge: bool,
    pub pending: bool,
    pub active: bool,
    /// It is pending again, but was routed away: its end has to give it to the new target.
    pub moved: bool,
}

impl Candidate {
    /// The list register for it. A level asks for maintenance when it ends, so that the line is looked at
    /// again; while it is active it cannot be pending too, or that would come too late.
    fn list_register(&self) -> IchLr {
        let pending = self.pending && !self.moved && (self.edge || !self.active);
        let state = match (pending, self.active) {
            (true, true) => LrState::PendingActive,
            (false, true) => LrState::Active,
            (true, false) => LrState::Pending,
            (false, false) => LrState::Inactive,
        };
        let register = IchLr::new().with_vintid(self.intid).with_priority(self.priority);
        register.with_group(self.group1).with_state(state).with_eoi(!self.edge || self.moved)
    }
}

/// The best candidates so far, best first.
struct Best {
    entries: [Option<Candidate>; LIST_REGISTERS],
    limit: usize,
    offered: usize,
}

impl Best {
    const fn new(limit: usize) -> Self {
        Self { entries: [None; LIST_REGISTERS], limit, offered: 0 }
    }

    /// Keeps the candidate if it is among the best: by priority, then by number.
    fn offer(&mut self, candidate: Candidate) {
        self.offered = self.offered.saturating_add(1);
        let mut carried = Some(candidate);
        for entry in self.entries.iter_mut().take(self.limit) {
            let better = match (&carried, &entry) {
                (Some(new), Some(old)) => (new.priority, new.intid) < (old.priority, old.intid),
                (new, _) => new.is_some(),
            };
            if better {
                core::mem::swap(entry, &mut carried);
            }
        }
    }

    fn chosen(&self, limit: usize) -> impl Iterator<Item = Candidate> + '_ {
        self.entries.iter().take(limit).filter_map(|entry| *entry)
    }
}

/// What went into the list registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filled {
    /// The registers' values.
    pub registers: Listed,
    /// Pending interrupts were left out.
    pub pending_left: bool,
    /// Active interrupts were left out.
    pub active_left: bool,
}

impl Filled {
    pub(crate) const NOTHING: Self =
        Self { registers: [IchLr::new(); LIST_REGISTERS], pending_left: false, active_left: false };
}

/// What came back from one list register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fold {
    /// The value it was filled with.
    pub written: IchLr,
    /// The value it has now.
    pub read: IchLr,
}

impl<const N: usize> Gic<N> {
    /// Goes through every interrupt that wants a list register of the vCPU.
    pub(super) fn candidates(&self, vcpu: VcpuIndex, mut found: impl FnMut(Candidate)) {
        let Some(private) = self.private(vcpu) else { return };
        let wanted = |bank: &Bank| {
            let pending = bank.pending() & bank.enabled & self.enabled_groups(bank) & !bank.listed;
            (pending, bank.active & !bank.listed)
        };
        let (pending, active) = wanted(&private.bank);
        each(pending | active).for_each(|number| found(candidate(&private.bank, number, number, pending)));
        for (index, bank) in self.spis.iter().enumerate() {
            let (pending, active) = wanted(bank);
            for number in each(pending | active) {
                let Some(route) = self.route(index, number) else { continue };
                // What software made active without anyone acknowledging it belongs to its target.
                let is_active = active & bit(number) != 0;
                let mine = route.holder.filter(|_| is_active).or(route.target);
                if mine == Some(vcpu) {
                    let intid = spi_intid(index, number);
                    let moved = is_active && pending & bit(number) != 0 && route.target != Some(vcpu);
                    found(Candidate { moved, ..candidate(bank, intid, number, pending) });
                }
            }
        }
    }

    /// Chooses what goes into `count` list registers, all unused in `filled` before. Everything must have been folded before.
    ///
    /// Active interrupts go first, as their end has to find them; but where something is pending, one
    /// register is kept for it, as otherwise it could not preempt.
    #[inline(never)]
    pub(crate) fn fill(&mut self, vcpu: VcpuIndex, count: usize, filled: &mut Filled) {
        let count = count.min(LIST_REGISTERS);
        let mut active = Best::new(count);
        let mut pending = Best::new(count);
        self.candidates(vcpu, |candidate| {
            if candidate.active { active.offer(candidate) } else { pending.offer(candidate) }
        });
        let for_active = if pending.offered > 0 {
            active.offered.min(count.saturating_sub(1))
        } else {
            active.offered.min(count)
        };
        let for_pending = pending.offered.min(count.saturating_sub(for_active));
        let chosen = active.chosen(for_active).chain(pending.chosen(for_pending));
        for (register, candidate) in filled.registers.iter_mut().zip(chosen) {
            *register = candidate.list_register();
            self.take(vcpu, *register);
        }
        filled.pending_left = pending.offered > for_pending;
        filled.active_left = active.offered > for_active;
    }

    /// Notes that an interrupt is now in a list register.
    fn take(&mut self, vcpu: VcpuIndex, register: IchLr) {
        let Some((bank, bit)) = self.locate(vcpu, register.vintid()) else { return };
        bank.listed |= bit;
        if is_pending(register) {
            bank.in_flight |= bit;
            bank.latch &= !(bit & bank.edge);
        }
        self.set_holder(register.vintid(), Some(vcpu));
    }

    /// Takes back what is in one list register. Returns other vCPUs that now have to look.
    pub(crate) fn fold(&mut self, vcpu: VcpuIndex, fold: Fold) -> VcpuSet {
        let intid = fold.written.vintid();
        let Some((bank, bit)) = self.locate(vcpu, intid) else { return VcpuSet::EMPTY };
        if bank.listed & bit == 0 {
            // The controller was reset meanwhile: what is in the list register is history.
            return VcpuSet::EMPTY;
        }
        let pending = is_pending(fold.read) && fold.read.vintid() == intid;
        let active = fold.read.state().is_active() && fold.read.vintid() == intid;
        if bank.edge & bit != 0 {
            bank.latch |= if pending { bit & bank.in_flight } else { 0 };
        } else if is_pending(fold.written) && !pending {
            bank.latch &= !bit;
        }
        if bank.active_written & bit == 0 {
            bank.active = if active { bank.active | bit } else { bank.active & !bit };
        }
        for state in [&mut bank.listed, &mut bank.in_flight, &mut bank.active_written] {
            *state &= !bit;
        }
        let still_active = bank.active & bit != 0;
        self.set_holder(intid, still_active.then_some(vcpu));
        self.elsewhere(vcpu, intid)
    }

    /// Ends `count` active interrupts that were in no list register, highest priority first: EOIs of theirs
    /// were only counted. GIC, ICH_HCR_EL2.EOIcount.
    // What it keeps on the stack is not there while list registers are filled.
    #[inline(never)]
    pub(crate) fn end_unlisted(&mut self, vcpu: VcpuIndex, count: u8) -> VcpuSet {
        let mut best = Best::new(LIST_REGISTERS);
        self.candidates(vcpu, |candidate| {
            if candidate.active {
                best.offer(candidate);
            }
        });
        let mut concerned = VcpuSet::EMPTY;
        for candidate in best.chosen(usize::from(count)) {
            if let Some((bank, bit)) = self.locate(vcpu, candidate.intid) {
                bank.active &= !bit;
            }
            self.set_holder(candidate.intid, None);
            concerned = concerned.union(self.elsewhere(vcpu, candidate.intid));
        }
        concerned
    }

    /// The target of an SPI that is pending and not this vCPU's any more.
    fn elsewhere(&self, vcpu: VcpuIndex, intid: u32) -> VcpuSet {
        let Some((index, number)) = spi_of(intid) else { return VcpuSet::EMPTY };
        let pending = self.spis.get(index).is_some_and(|bank| bank.pending() & bit(number) != 0);
        match self.route(index, number).and_then(|route| route.target).filter(|target| *target != vcpu) {
            Some(target) if pending => VcpuSet::one(target),
            _ => VcpuSet::EMPTY,
        }
    }

    fn locate(&mut self, vcpu: VcpuIndex, intid: u32) -> Option<(&mut Bank, u32)> {
        let bank = match spi_of(intid) {
            Some((index, _)) => self.spis.get_mut(index)?,
            None if intid < FIRST_SPI => &mut self.private_mut(vcpu)?.bank,
            None => return None,
        };
        Some((bank, bit(intid)))
    }

    fn set_holder(&mut self, intid: u32, holder: Option<VcpuIndex>) {
        if let Some(route) = spi_of(intid).and_then(|(index, number)| self.route_mut(index, number)) {
            route.holder = holder;
        }
    }
}

fn candidate(bank: &Bank, intid: u32, number: u32, pending: u32) -> Candidate {
    let bit = bit(number);
    Candidate {
        intid,
        priority: bank.priority_of(number),
        group1: bank.group1 & bit != 0,
        edge: bank.edge & bit != 0,
        pending: pending & bit != 0,
        active: bank.active & bit != 0,
        moved: false,
    }
}

/// Returns bank and number of an SPI; whether the controller has it, the bank says.
pub(super) fn spi_of(intid: u32) -> Option<(usize, u32)> {
    let spi = intid.checked_sub(FIRST_SPI)?;
    Some((bits::index(u64::from(spi >> 5)), spi & 31))
}

fn spi_intid(bank: usize, number: u32) -> u32 {
    u32::try_from(bank).unwrap_or(0).wrapping_add(1).wrapping_mul(32).wrapping_add(number)
}

fn is_pending(register: IchLr) -> bool {
    matches!(register.state(), LrState::Pending | LrState::PendingActive)
}
