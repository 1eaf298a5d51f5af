//! `icc`: the virtual CPU interface of GICv3, over sequences of accesses by guest and hypervisor.
//!
//! From any state that a hypervisor can make, after any sequence:
//!
//! - registers that are not of this interface, and directions that they have not, are refused and change nothing; reads but
//!   for IAR change nothing;
//! - an acknowledgement is spurious and changes nothing, or the interrupt was the highest pending of its enabled group,
//!   above mask and running priority; then one list register goes from pending to active, one active priority is added,
//!   the running priority is that, and nothing of that priority or below is signalled;
//! - an EOI drops at most one active priority, the highest; it and DIR deactivate at most one list register, of that number,
//!   and tell of its physical interrupt exactly with HW; without a list register EOIcount goes up by one, modulo 32;
//! - lines: at most one, exactly if acknowledging that group is not spurious, and none with the interface off;
//! - the list registers of EISR, of ELRSR and those in use are all there are; maintenance needs a cause; what a hypervisor
//!   writes is sanitised once and for all, and what a guest writes needs no sanitising;
//! - an SGI goes to its sender and nobody else, to the others, or to those of a cluster.

use crate::bits::{bit, pick};
use crate::codec::{Codec, Input, arbitrary_input};
use arbitrary::{Arbitrary, Unstructured};
use arm_arch::SysRegId;
use arm_arch::gic::{
    Affinity, Deactivated, FIRST_LPI, Group, IDLE_PRIORITY, IchState, SPURIOUS, WriteEffect, is_special,
    sgi_targets,
};
use arm_arch::sysreg::{IchLr, LrState, MpidrEl1, names};

/// List registers.
const N: usize = 4;
type State = IchState<N>;

/// One access.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    what: u8,
    value: u32,
}

/// An input.
#[derive(Clone, Debug, Default)]
pub struct Case {
    hcr: u64,
    vmcr: u64,
    active: [u32; 2],
    lr: [u64; N],
    sgi: u64,
    affinities: [u64; 2],
    steps: Vec<Step>,
}

impl Input for Case {
    fn fields<C: Codec>(&mut self, codec: &mut C) {
        codec.word(&mut self.hcr);
        codec.word(&mut self.vmcr);
        self.active.iter_mut().for_each(|word| codec.half(word));
        self.lr.iter_mut().for_each(|word| codec.word(word));
        codec.word(&mut self.sgi);
        self.affinities.iter_mut().for_each(|word| codec.word(word));
        codec.rest(&mut self.steps, 64, |codec, step| {
            codec.byte(&mut step.what);
            codec.half(&mut step.value);
        });
    }
}
arbitrary_input!(Case);

/// Checks an input; returns whether it is worth keeping.
///
/// # Panics
///
/// On a finding.
#[must_use]
pub fn fuzz(input: &[u8]) -> bool {
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(input)) else { return false };
    case.check();
    input.len() > 64
}

/// Registers of the interface, and some that are not.
const REGISTERS: [SysRegId; 20] = [
    names::ICC_IAR0_EL1,
    names::ICC_IAR1_EL1,
    names::ICC_EOIR0_EL1,
    names::ICC_EOIR1_EL1,
    names::ICC_DIR_EL1,
    names::ICC_HPPIR0_EL1,
    names::ICC_HPPIR1_EL1,
    names::ICC_BPR0_EL1,
    names::ICC_BPR1_EL1,
    names::ICC_AP0R0_EL1,
    names::ICC_AP1R0_EL1,
    names::ICC_RPR_EL1,
    names::ICC_PMR_EL1,
    names::ICC_IGRPEN0_EL1,
    names::ICC_IGRPEN1_EL1,
    names::ICC_CTLR_EL1,
    names::ICC_SRE_EL1,
    names::ICC_SGI1R_EL1,
    names::ICC_AP0R1_EL1,
    names::SCTLR_EL1,
];

impl Case {
    /// Asserts everything.
    ///
    /// # Panics
    ///
    /// On a finding.
    pub fn check(&self) {
        let mut state = State {
            hcr: State::sanitised_hcr(self.hcr),
            vmcr: State::sanitised_vmcr(self.vmcr),
            ap0r0: self.active[0],
            ap1r0: self.active[1] & !self.active[0],
            lr: self.lr.map(State::sanitised_lr),
        };
        stands(&mut state);
        for step in &self.steps {
            self.step(&mut state, *step);
            stands(&mut state);
        }
        self.sgi();
    }

    fn step(&self, state: &mut State, step: Step) {
        let before = *state;
        let id = pick(&REGISTERS, step.what & 0x1f);
        let value = step.value;
        match step.what >> 5 {
            // The hypervisor fills a list register.
            0 | 1 => {
                let slot = usize::from(step.what) % N;
                let lr = IchLr::from_bits(self.lr[slot] ^ u64::from(value) << 32 ^ u64::from(value & 0x3ff));
                state.lr[slot] = State::sanitised_lr(lr.into_bits());
            }
            2 => state.hcr = State::sanitised_hcr(value.into()),
            3 | 4 => {
                let read = state.read(id);
                if !matches!(id, names::ICC_IAR0_EL1 | names::ICC_IAR1_EL1) {
                    assert_eq!(*state, before, "a read of {id:?} changes something");
                }
                match id {
                    names::ICC_IAR0_EL1 => acknowledged(&before, state, Group::Zero, read),
                    names::ICC_IAR1_EL1 => acknowledged(&before, state, Group::One, read),
                    names::ICC_RPR_EL1 => assert_eq!(read, Some(state.running_priority().into())),
                    _ => {}
                }
            }
            _ => {
                // Numbers that are in list registers, now and then.
                let number =
                    if bit(value.into(), 31) { value } else { state.lr[(value & 3) as usize].vintid() };
                let ends = matches!(id, names::ICC_EOIR0_EL1 | names::ICC_EOIR1_EL1 | names::ICC_DIR_EL1);
                let effect = state.write(id, if ends { number.into() } else { value.into() });
                match (id, effect) {
                    (_, None) => assert_eq!(*state, before, "{id:?} is refused, and changes something"),
                    (names::ICC_EOIR0_EL1 | names::ICC_EOIR1_EL1 | names::ICC_DIR_EL1, Some(effect)) => {
                        ended(&before, state, id, number & 0xff_ffff, effect);
                    }
                    (_, Some(effect)) => {
                        assert_eq!((effect, state.lr), (WriteEffect::None, before.lr), "{id:?}");
                    }
                }
            }
        }
    }

    fn sgi(&self) {
        let [sender, candidate] =
            self.affinities.map(|mpidr| Affinity::from_mpidr(MpidrEl1::from_bits(mpidr)));
        assert_eq!(Affinity::from_mpidr(sender.into_mpidr()), sender);
        let value = arm_arch::sysreg::IccSgi::from_bits(self.sgi);
        let (intid, targets) = sgi_targets(value);
        assert_eq!(u64::from(intid), self.sgi >> 24 & 15);
        let reaches = targets.reaches(sender, candidate);
        if bit(self.sgi, 40) {
            assert_eq!(reaches, sender != candidate, "IRM: all but the sender");
        } else {
            let mpidr = candidate.into_mpidr().into_bits();
            let cluster = (mpidr >> 32 & 0xff, mpidr >> 16 & 0xff, mpidr >> 8 & 0xff);
            let named = (self.sgi >> 48 & 0xff, self.sgi >> 32 & 0xff, self.sgi >> 16 & 0xff);
            let range = self.sgi >> 44 & 15;
            let own = mpidr & 0xff;
            let want = cluster == named && own >> 4 == range && bit(self.sgi, (own & 15) as u32);
            assert_eq!(reaches, want, "{targets:?} {candidate:?}");
        }
    }
}

/// What holds of every state.
fn stands(state: &mut State) {
    let lines = state.lines();
    assert!(!(lines.irq && lines.fiq));
    for (group, line) in [(Group::Zero, lines.fiq), (Group::One, lines.irq)] {
        let mut copy = *state;
        let pending = copy.highest_pending(group);
        let number = copy.acknowledge(group);
        assert!(!line || number == pending, "{group:?} is signalled, {pending} pends, and {number} is given");
        assert_eq!(line, copy != *state, "{group:?}: {number}, line {line}");
        assert!(line || number == SPURIOUS);
    }
    assert!(state.hcr.en() || !lines.irq && !lines.fiq);
    let used = (0..)
        .zip(state.lr)
        .fold(0u32, |bits, (at, lr): (u32, IchLr)| bits | u32::from(lr.state() != LrState::Inactive) << at);
    let (eisr, elrsr) = (state.eisr(), state.elrsr());
    assert_eq!((eisr & elrsr, (eisr | elrsr) & used, eisr | elrsr | used), (0, 0, 0xf));
    let misr = state.misr();
    assert_eq!(misr.eoi(), eisr != 0);
    assert_eq!(state.is_maintenance_due(), state.hcr.en() && misr.into_bits() != 0);
    assert_eq!(State::sanitised_vmcr(state.vmcr.into_bits()), state.vmcr);
    assert_eq!(State::sanitised_hcr(state.hcr.into_bits()), state.hcr);
    assert!(state.lr.iter().all(|lr| State::sanitised_lr(lr.into_bits()) == *lr));
    let running = state.running_priority();
    assert_eq!(running == IDLE_PRIORITY, state.ap0r0 | state.ap1r0 == 0);
    let [zero, one] = [Group::Zero, Group::One].map(|group| state.binary_point(group));
    assert!((2..=7).contains(&zero) && (3..=7).contains(&one));
}

/// What an acknowledgement may change.
fn acknowledged(before: &State, after: &State, group: Group, read: Option<u64>) {
    let Some(number) = read.and_then(|read| u32::try_from(read).ok()) else { panic!("IAR is readable") };
    let changed: Vec<(IchLr, IchLr)> =
        before.lr.into_iter().zip(after.lr).filter(|(before, after)| before != after).collect();
    let Some((was, is)) = changed.first() else {
        assert_eq!((number, after), (SPURIOUS, before));
        return;
    };
    assert_eq!(changed.len(), 1);
    assert_eq!((was.state(), was.vintid()), (LrState::Pending, number));
    assert!(before.hcr.en() && before.is_enabled(group) && was.group() == (group == Group::One));
    let priority = was.priority() & 0xf8;
    assert!(priority < before.priority_mask() && priority < before.running_priority(), "{priority:#x}");
    let higher = |lr: &IchLr| {
        let enabled = before.is_enabled(if lr.group() { Group::One } else { Group::Zero });
        lr.state() == LrState::Pending && enabled && lr.priority() & 0xf8 < priority
    };
    assert!(!before.lr.iter().any(higher), "something of higher priority pends");
    assert_eq!((before.hcr, before.vmcr), (after.hcr, after.vmcr));
    let added = (after.ap0r0 | after.ap1r0).count_ones() - (before.ap0r0 | before.ap1r0).count_ones();
    if is_special(number) {
        assert_eq!((is.state(), added), (LrState::Inactive, 0));
        return;
    }
    assert_eq!((is.state(), added), (LrState::Active, 1));
    assert_eq!(is.with_state(LrState::Pending), *was);
    let running = after.running_priority();
    assert!(running <= priority && running < before.running_priority(), "{running:#x} of {priority:#x}");
    // Nothing preempts but what is above the new running priority.
    for group in [Group::Zero, Group::One] {
        let mut copy = *after;
        copy.acknowledge(group);
        assert!(
            copy == *after
                || copy.running_priority() < running
                || copy.ap0r0 == after.ap0r0 && copy.ap1r0 == after.ap1r0
        );
    }
}

/// What EOIR and DIR may change.
fn ended(before: &State, after: &State, id: SysRegId, number: u32, effect: WriteEffect) {
    let drops = id != names::ICC_DIR_EL1;
    let (was, is) = (before.ap0r0 | before.ap1r0, after.ap0r0 | after.ap1r0);
    let dropped = before.ap0r0.count_ones() + before.ap1r0.count_ones()
        - after.ap0r0.count_ones()
        - after.ap1r0.count_ones();
    assert_eq!(dropped, u32::from(drops && was != 0 && !is_special(number)));
    assert!(dropped == 0 || (was & !is == 1 << was.trailing_zeros() || was == is), "the highest priority");
    let changed: Vec<(IchLr, IchLr)> =
        before.lr.into_iter().zip(after.lr).filter(|(before, after)| before != after).collect();
    assert!(changed.len() <= 1);
    let mut physical = None;
    for (was, is) in &changed {
        assert_eq!(was.vintid(), number);
        let freed = match was.state() {
            LrState::Active => LrState::Inactive,
            LrState::PendingActive => LrState::Pending,
            other => panic!("{other:?} is deactivated"),
        };
        assert_eq!((is.state(), was.with_state(freed)), (freed, *is));
        let lpi = number >= FIRST_LPI;
        assert!(drops && (!before.vmcr.veoim() || lpi) || !drops && before.vmcr.veoim() && !lpi);
        physical = was.hw().then(|| u32::from(was.pintid()));
    }
    let told = match effect {
        WriteEffect::None => None,
        WriteEffect::Deactivate(Deactivated { physical }) => physical,
    };
    assert_eq!(told, physical);
    let counted = after.hcr.eoicount().wrapping_sub(before.hcr.eoicount()) & 31;
    let listed = before.lr.iter().any(|lr| lr.state().is_active() && lr.vintid() == number);
    assert!(counted <= 1 && (counted == 0 || !listed && changed.is_empty()));
    assert_eq!(after.hcr.with_eoicount(0), before.hcr.with_eoicount(0));
    assert_eq!(after.vmcr, before.vmcr);
}
