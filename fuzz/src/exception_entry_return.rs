//! `exception_entry_return`: taking exceptions, returning from them, and who takes what.
//!
//! For any state, cause and control registers:
//!
//! - an exception goes to a level that is not below the one it comes from and not EL0, into one of the sixteen vectors, with
//!   everything masked, on the level's own stack, with IL and SS clear; it reports what its cause says, and saves what was;
//! - returning from there restores the state, but for SS, unless a return to that level is illegal (EL1 under TGE, EL1
//!   recorded as EL2 under NV); and through a second exception in between too;
//! - a return is illegal exactly if [`illegal`] says so by the manual's list; then level, stack and state stay, IL is set,
//!   flags and masks are the saved ones; if legal, the state is the saved one, as far as it exists;
//! - what limits a return makes more of them illegal, and no other;
//! - nothing is routed below the level it comes from, to EL0, to EL2 where it is not enabled, or to EL3 where there is none;
//!   a masked interrupt is not taken, and one that is taken pends; a virtual one is taken at EL1 and EL0 only, and wakes.

use crate::bits::{bit, pick};
use crate::codec::{Codec, Input, arbitrary_input};
use arbitrary::{Arbitrary, Unstructured};
use arm_arch::debug::{DebugControls, Security};
use arm_arch::exception::{
    Cause, EntryState, ExceptionLock, InterruptRoute, Kind, PhysicalLines, ReturnLimits, ReturnState, Route,
    Routing, ScrEl3, Synchronous, VirtualLines, enter, eret, eret_within, is_illegal_return,
    physical_interrupt, virtual_interrupt, wakes_from_wfi,
};
use arm_arch::iss::{DataAbort, Origin, SError, Wfx};
use arm_arch::pstate::PStateMask;
use arm_arch::sysreg::{HcrEl2, HcrxEl2, MdcrEl2, MdscrEl1, SctlrEl1, TcrEl1};
use arm_arch::{ExceptionLevel, PState};

const LEVELS: [ExceptionLevel; 4] =
    [ExceptionLevel::El1, ExceptionLevel::El2, ExceptionLevel::El3, ExceptionLevel::El0];

/// An input.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// Bits 1:0: the target. 4:2: the cause. 5: EL2. 6: EL3. 7: EXLOCKEN.
    kind: u8,
    /// Bits 2:0: interrupt lines. 3: superpriority. 4: OS lock. 5: debug goes to EL2. 7:6: where from, in the routing.
    lines: u8,
    words: [u64; 13],
}

impl Input for Case {
    fn fields<C: Codec>(&mut self, codec: &mut C) {
        codec.byte(&mut self.kind);
        codec.byte(&mut self.lines);
        self.words.iter_mut().for_each(|word| codec.word(word));
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
    input.len() > 16
}

/// The modes of AArch64.
const MODES: [u64; 7] = [0, 4, 5, 8, 9, 12, 13];

impl Case {
    fn mask(&self) -> PStateMask {
        PStateMask::ARMV8_0.with(PState::from_bits(self.words[2]))
    }

    /// Returns a state that a processing element can be in.
    fn state(&self, bits: u64) -> PState {
        let mode = pick(&MODES, (bits & 0xff) as u8);
        self.mask().apply(PState::from_bits(bits & !0x1f | mode))
    }

    fn cause(&self) -> Cause {
        let pc = self.words[4];
        match self.kind >> 2 & 7 {
            0 => Cause::svc(pc as u16, pc),
            1 => Cause::irq(pc),
            2 => Cause::fiq(pc),
            3 => Cause::serror(SError::from_bits(self.words[5] as u32 & 0x1ff_ffff), pc),
            4 => Cause::data_abort(
                Origin::Lower,
                DataAbort::from_bits(self.words[5] as u32 & 0x1ff_ffff),
                self.words[6],
                pc,
            ),
            5 => Cause::wfx(Wfx::from_bits(self.words[5] as u32 & 0x1ff_ffff), pc),
            6 => Cause::undefined(pc),
            _ => Cause::pc_alignment(pc),
        }
    }

    fn hcr(&self) -> HcrEl2 {
        HcrEl2::from_bits(self.words[7])
    }

    fn entry(&self, pstate: PState) -> EntryState {
        let (vbar, sctlr) = (self.words[8], SctlrEl1::from_bits(self.words[9]));
        EntryState { pstate, vbar, sctlr, hcr: self.hcr(), mask: self.mask() }
    }

    fn debug(&self) -> DebugControls {
        let flag = |at| bit(self.lines.into(), at);
        let security = match (bit(self.words[10], 60), bit(self.words[10], 61)) {
            (false, _) => Security::NonSecure,
            (true, false) => Security::Secure,
            (true, true) => Security::SecureClosed,
        };
        let mdscr = MdscrEl1::from_bits(self.words[10]);
        DebugControls { mdscr, os_lock: flag(4), route_to_el2: flag(5), security }
    }

    fn back(&self, pstate: PState, spsr: PState, elr: u64) -> ReturnState {
        let tcr = TcrEl1::new();
        ReturnState { pstate, spsr, elr, hcr: self.hcr(), tcr, debug: DebugControls::OFF, mask: self.mask() }
    }

    /// Asserts everything.
    ///
    /// # Panics
    ///
    /// On a finding.
    pub fn check(&self) {
        self.there_and_back();
        self.any_return();
        self.routing();
        self.interrupts();
    }

    fn there_and_back(&self) {
        let old = self.state(self.words[0]);
        let cause = self.cause();
        let taken = enter(&cause, pick(&LEVELS, self.kind & 3), &self.entry(old));
        assert!(taken.target >= old.el() && taken.target >= ExceptionLevel::El1, "{taken:?} from {old:?}");
        let offset = taken.pc.wrapping_sub(self.words[8] & !0x7ff);
        assert!(offset < 0x800 && offset & 0x7f == 0, "{taken:?}");
        assert_eq!(offset < 0x400, old.el() == taken.target, "{taken:?} from {old:?}");
        let column = match cause.kind {
            Kind::Sync => 0,
            Kind::Irq => 1,
            Kind::Fiq => 2,
            Kind::SError => 3,
        };
        assert_eq!(offset >> 7 & 3, column);
        let new = taken.pstate;
        assert_eq!((new.el(), new.m() & 1, new.daif()), (taken.target, 1, PState::DAIF), "{new:?}");
        assert!(!new.il() && !new.ss() && !new.nrw() && new.btype() == 0, "{new:?}");
        assert_eq!(self.mask().apply(new), new, "bits that are not there");
        assert_eq!(new.nzcv(), old.nzcv());
        assert!(new.pan() || !old.pan());
        assert_eq!((taken.elr, taken.esr, taken.far), (cause.preferred_return, cause.syndrome, cause.far));
        let nested = taken.spsr != old;
        if nested {
            assert!(
                self.hcr().nv() && old.el() == ExceptionLevel::El1 && taken.target == ExceptionLevel::El1
            );
            assert_eq!(taken.spsr.with_m(old.m()), old, "NV changes the mode only");
        }
        let back = eret(&self.back(new, taken.spsr, taken.elr));
        let forbidden = old.el() == ExceptionLevel::El1 && self.hcr().tge() || nested;
        assert_eq!(back.illegal, forbidden, "{taken:?} from {old:?}");
        assert_eq!(back.pc, taken.elr);
        if !back.illegal {
            assert_eq!(back.pstate, old.with_ss(false), "there and back");
        }
        // A second exception, in the handler.
        let second = enter(&cause, taken.target, &self.entry(new));
        if second.spsr == new && !(new.el() == ExceptionLevel::El1 && self.hcr().tge()) {
            let back = eret(&self.back(second.pstate, second.spsr, second.elr));
            assert_eq!((back.pstate, back.illegal), (new, false), "through a second exception");
        }
    }

    fn any_return(&self) {
        let (now, spsr) = (self.state(self.words[0]), PState::from_bits(self.words[1]));
        let state = ReturnState { debug: self.debug(), ..self.back(now, spsr, self.words[3]) };
        let back = eret(&state);
        let want = illegal(now, self.words[1], self.hcr(), self.mask());
        assert_eq!((is_illegal_return(&state), back.illegal), (want, want), "{spsr:?} from {now:?}");
        let saved = self.mask().apply(spsr);
        if back.illegal {
            assert_eq!((back.pstate.m(), back.pstate.nrw(), back.pstate.il()), (now.m(), now.nrw(), true));
            assert_eq!((back.pstate.nzcv(), back.pstate.daif()), (saved.nzcv(), saved.daif()));
        } else {
            assert!(back.pstate.el() <= now.el());
            let ss = back.pstate.ss();
            assert_eq!(back.pstate.with_nrw(false), saved.with_m(spsr.m()).with_nrw(false).with_ss(ss));
            assert!(!ss || spsr.ss() && self.debug().mdscr.ss() && !self.debug().os_lock);
        }
        let lock = if bit(self.kind.into(), 7) { ExceptionLock::Enabled } else { ExceptionLock::Disabled };
        let limits = ReturnLimits { is_el2_enabled: bit(self.kind.into(), 5), lock };
        let within = eret_within(&state, limits);
        assert!(within.illegal || !back.illegal, "limits permit");
        if limits.forbid(now, spsr) {
            assert!(within.illegal);
        } else {
            assert_eq!(within, back);
        }
    }

    fn routing(&self) {
        let flag = |at| bit(self.kind.into(), at);
        let scr = flag(6).then(|| ScrEl3::from_bits(self.words[11]));
        let routing = Routing {
            hcr: self.hcr(),
            hcrx: HcrxEl2::from_bits(self.words[12]),
            mdcr: MdcrEl2::from_bits(self.words[10]),
            scr,
            has_el2: flag(5),
        };
        let pstate = self.state(self.words[0]);
        let el = pstate.el();
        // A level that is there, in a security state that has it.
        if el == ExceptionLevel::El3 && scr.is_none()
            || el == ExceptionLevel::El2 && !routing.is_el2_enabled()
        {
            return;
        }
        let exists = |target: ExceptionLevel, what: &dyn core::fmt::Debug| {
            assert!(target >= el && target != ExceptionLevel::El0, "{what:?} from {el:?} to {target:?}");
            assert!(
                target != ExceptionLevel::El2 || routing.is_el2_enabled(),
                "{what:?} to an EL2 that is off"
            );
            assert!(target != ExceptionLevel::El3 || scr.is_some(), "{what:?} to an EL3 that is not there");
        };
        for exception in [
            Synchronous::General,
            Synchronous::Hvc,
            Synchronous::Smc,
            Synchronous::SoftwareBreakpoint,
            Synchronous::Debug,
            Synchronous::External { is_stage2: false },
            Synchronous::GranuleProtection,
            Synchronous::MemoryCopy,
        ] {
            match routing.synchronous(exception, pstate) {
                Route::To(target) => exists(target, &exception),
                Route::Undefined => assert!(matches!(exception, Synchronous::Hvc | Synchronous::Smc)),
            }
        }
        // Stage 2 is there where EL2 is enabled.
        if routing.is_el2_enabled() {
            for exception in [Synchronous::Stage2, Synchronous::External { is_stage2: true }] {
                if let Route::To(target) = routing.synchronous(exception, pstate) {
                    exists(target, &exception);
                    assert!(target >= ExceptionLevel::El2);
                }
            }
        }
        for kind in [Kind::Irq, Kind::Fiq, Kind::SError] {
            match routing.interrupt(kind, el) {
                InterruptRoute::Maskable(target) | InterruptRoute::Unmaskable(target) => {
                    exists(target, &kind)
                }
                InterruptRoute::Pending => assert!(el >= ExceptionLevel::El2),
            }
        }
        let line = |at| bit(self.lines.into(), at);
        let lines = PhysicalLines { irq: line(0), fiq: line(1), serror: line(2), superpriority: line(3) };
        let sctlr = SctlrEl1::from_bits(self.words[9]);
        if let Some((kind, target)) = physical_interrupt(&routing, lines, pstate, |_| sctlr) {
            exists(target, &kind);
            let (pends, masked) = match kind {
                Kind::Irq => (lines.irq, pstate.i()),
                Kind::Fiq => (lines.fiq, pstate.f()),
                Kind::SError => (lines.serror, pstate.a()),
                Kind::Sync => panic!("a synchronous interrupt"),
            };
            let passes = target > el || lines.superpriority && sctlr.nmi();
            assert!(pends && (!masked || passes), "{kind:?} to {target:?} from {pstate:?}");
        }
    }

    fn interrupts(&self) {
        let pstate = self.state(self.words[0]);
        let lines = VirtualLines { irq: bit(self.lines.into(), 0), fiq: bit(self.lines.into(), 1) };
        let hcr = self.hcr();
        let taken = virtual_interrupt(hcr, lines, pstate);
        let Some(kind) = taken else { return };
        assert!(pstate.el() <= ExceptionLevel::El1 && wakes_from_wfi(hcr, lines) && !hcr.tge());
        let masked = match kind {
            Kind::Irq => pstate.i() || !hcr.imo(),
            Kind::Fiq => pstate.f() || !hcr.fmo(),
            Kind::SError => pstate.a() || !hcr.amo(),
            Kind::Sync => true,
        };
        assert!(!masked, "{kind:?} at {pstate:?}");
    }
}

/// Whether a return is illegal. Arm ARM, "Illegal exception returns from AArch64 state", the list of illegal return
/// events; of those that a level without AArch32 above EL0 can have.
fn illegal(now: PState, spsr: u64, hcr: HcrEl2, mask: PStateMask) -> bool {
    let (m, aarch32) = (spsr & 0xf, bit(spsr, 4));
    if aarch32 {
        return m != 0 || !mask.present().nrw();
    }
    // M[1] is reserved, and EL0 has one stack.
    if m & 2 != 0 || m == 1 {
        return true;
    }
    let target = m >> 2;
    let current = u64::from(now.el().number());
    target > current || target == 1 && hcr.tge()
}
