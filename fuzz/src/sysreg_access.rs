//! `sysreg_access`: what happens to MSR, MRS, SYS and SYSL.
//!
//! For any encoding, direction, level, features and control registers:
//!
//! - there is an answer, the same each time, that can be written as text;
//! - who traps exists and is not below who executes; the syndrome is that of this access, or of the unit that is off;
//! - memory is reached from EL1 under NV2 only, at an offset within the page, and by what has one; another register only
//!   where NV2 or E2H say so, and it has a row too;
//! - without nested virtualization, EL3 and extensions the part for a guest says the same;
//! - fine-grained traps take away only: with all of them open everything is permitted that is permitted with any;
//! - the 128-bit form is UNDEFINED, trapped with the class of its own, or reaches what has one;
//! - an exception that is made of it is taken by EL1 or EL2, by EL2 with TGE, and reports what was decided.

use crate::bits::{bit, pick};
use crate::codec::{Codec, Input, arbitrary_input};
use crate::id_write::{self, Changes};
use arbitrary::{Arbitrary, Unstructured};
use arm_arch::feature::{Feature, Features};
use arm_arch::iss::{Direction, Other, Syndrome, SystemAccess, SystemAccess128, WaitKind};
use arm_arch::sysreg::{CntkctlEl1, CpacrEl1, HcrEl2, HcrxEl2, IchHcr, MdcrEl2, MdscrEl1, SctlrEl1};
use arm_arch::trap::{
    Controls, Decision, El3, Extensions, FineGrained, Outcome, access, access_128, fp_access, hosted, nested,
    rule_of, rule_of_pair, smc, system_access, vncr_offset, wait, without_alias,
};
use arm_arch::{ExceptionLevel, PState, SysRegId};

/// An input.
#[derive(Clone, Debug, Default)]
pub struct Case {
    id: [u8; 2],
    /// Bits 4:0: Rt. 5: a read. 7:6: what of the extensions there is.
    access: u8,
    /// PSTATE.M.
    mode: u8,
    /// Features.
    model: u8,
    /// [`Controls`].
    controls: [u64; 10],
    /// [`Extensions`] and the fine-grained traps.
    extensions: [u64; 24],
    changes: Changes,
}

impl Input for Case {
    fn fields<C: Codec>(&mut self, codec: &mut C) {
        self.id.iter_mut().for_each(|byte| codec.byte(byte));
        codec.byte(&mut self.access);
        codec.byte(&mut self.mode);
        codec.byte(&mut self.model);
        self.controls.iter_mut().for_each(|word| codec.word(word));
        self.extensions.iter_mut().for_each(|word| codec.word(word));
        self.changes.fields(codec);
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
    input.len() > 60
}

impl Case {
    /// Makes a seed.
    #[must_use]
    pub fn of(id: SysRegId, read: bool, el: u8, model: u8) -> Self {
        Self {
            id: id.into_bits().to_le_bytes(),
            access: u8::from(read) << 5 | 3,
            mode: el,
            model,
            ..Self::default()
        }
    }

    fn controls(&self) -> Controls {
        let [hcr, cptr, mdcr, cnthctl, ich_hcr, icc_sre_el2, sctlr, cpacr, cntkctl, mdscr] = self.controls;
        Controls {
            hcr: HcrEl2::from_bits(hcr),
            cptr,
            mdcr: MdcrEl2::from_bits(mdcr),
            cnthctl,
            ich_hcr: IchHcr::from_bits(ich_hcr),
            icc_sre_el2,
            sctlr: SctlrEl1::from_bits(sctlr),
            cpacr: CpacrEl1::from_bits(cpacr),
            cntkctl: CntkctlEl1::from_bits(cntkctl),
            mdscr: MdscrEl1::from_bits(mdscr),
        }
    }

    fn extensions(&self) -> Extensions {
        let word = |at: usize| self.extensions[at];
        if bit(self.access.into(), 6) {
            return Extensions::NEUTRAL;
        }
        let fine = FineGrained {
            hfgrtr: word(0),
            hfgwtr: word(1),
            hfgitr: word(2),
            hdfgrtr: word(3),
            hdfgwtr: word(4),
            hafgrtr: word(5),
            hfgrtr2: word(6),
            hfgwtr2: word(7),
            hfgitr2: word(8),
            hdfgrtr2: word(9),
            hdfgwtr2: word(10),
        };
        let el3 = El3 { scr: word(11), mdcr: word(12), cptr: word(13), mpam3: word(14), icc_sre: word(15) };
        Extensions {
            hcrx: HcrxEl2::from_bits(word(16)),
            fine,
            mpam2: word(17),
            mpamhcr: word(18),
            mpamidr: word(19),
            pmuserenr: word(20),
            amuserenr: word(21),
            gcscre0: word(22),
            sctlr_el2: SctlrEl1::from_bits(word(23)),
            el3: (!bit(self.access.into(), 7)).then_some(el3),
            ..Extensions::NEUTRAL
        }
    }

    /// Asserts everything.
    ///
    /// # Panics
    ///
    /// On a finding.
    pub fn check(&self) {
        let direction = if bit(self.access.into(), 5) { Direction::Read } else { Direction::Write };
        let id = SysRegId::from_bits(u16::from_le_bytes(self.id));
        let asked = SystemAccess { id, rt: self.access & 31, direction };
        let (controls, ext) = (self.controls(), self.extensions());
        let features = Features::of(id_write::model(self.model, &self.changes).sanitised().ids());
        let mode = pick(&[0, 4, 5, 8, 9, 12, 13], self.mode);
        let pstate = PState::from_bits(mode);
        let el = pstate.el();
        if el == ExceptionLevel::El3 && ext.el3.is_none() {
            return;
        }
        let outcome = access(asked, pstate, &controls, &ext, &features);
        assert_eq!(
            access(asked, pstate, &controls, &ext, &features),
            outcome,
            "the same question, another answer"
        );
        assert!(!outcome.to_string().is_empty());
        assert!(outcome.level() == 0 || outcome.level() >= el.number().max(1), "{outcome:?} from {el:?}");
        assert!(outcome.level() != 3 || ext.el3.is_some(), "{outcome:?} without EL3");
        match outcome {
            Outcome::TrapEl1(syndrome) | Outcome::TrapEl2(syndrome) | Outcome::TrapEl3(syndrome) => {
                match syndrome {
                    Syndrome::SystemAccess(told) => assert_eq!(told, asked),
                    Syndrome::FpAccess(_) | Syndrome::Other(Other::SveAccess | Other::SmeAccess(_)) => {}
                    other => panic!("{other:?} for {asked:?}"),
                }
            }
            Outcome::Memory(offset) => {
                let hcr = controls.hcr;
                assert!(el == ExceptionLevel::El1 && hcr.nv() && hcr.nv2() && features.has(Feature::NV2));
                assert!(offset < 0x1000 && offset % 8 == 0, "{offset:#x}");
                assert!(
                    [Some(id), without_alias(id)]
                        .into_iter()
                        .flatten()
                        .any(|id| vncr_offset(id) == Some(offset))
                );
            }
            Outcome::Register(reached) if reached != id => {
                let by_e2h = el >= ExceptionLevel::El2 && controls.hcr.e2h();
                let named = without_alias(id) == Some(reached) || hosted(id) == reached;
                let by_nv2 = el == ExceptionLevel::El1 && controls.hcr.nv() && controls.hcr.nv2();
                assert!(by_e2h && named || by_nv2, "{id} reaches {reached} at {el:?}");
            }
            Outcome::Register(_) => {
                assert!(rule_of(id, &features).is_some(), "{id} is reached, and has no row")
            }
            Outcome::Undefined => {}
        }
        self.guest(asked, pstate, &controls, &features);
        if let Outcome::Register(_) | Outcome::Memory(_) = outcome {
            let open = Extensions { fine: FineGrained::OPEN, ..ext };
            assert_eq!(
                access(asked, pstate, &controls, &open, &features),
                outcome,
                "open fine-grained traps trap"
            );
        }
        self.pair(asked, pstate, &controls, &ext, &features);
        let _ = nested(id, controls.hcr);
        for decision in [
            fp_access(el, &controls),
            smc(self.access.into(), el, &controls),
            wait(pick(&[WaitKind::Wfi, WaitKind::Wfe], self.mode >> 4), None, el, &controls),
        ] {
            decided(decision, el, &controls);
        }
    }

    /// The 128-bit form: EC 0x14 with the access in the ISS, or what the 64-bit form reaches.
    fn pair(
        &self,
        asked: SystemAccess,
        pstate: PState,
        controls: &Controls,
        ext: &Extensions,
        features: &Features,
    ) {
        let wide = SystemAccess128::of(asked.id, asked.rt, asked.direction);
        let outcome = access_128(wide, pstate, controls, ext, features);
        assert!(!outcome.to_string().is_empty());
        match outcome {
            Outcome::TrapEl1(syndrome) | Outcome::TrapEl2(syndrome) | Outcome::TrapEl3(syndrome) => {
                assert_eq!(syndrome, Syndrome::Other(Other::SystemAccess128(wide)));
                assert!(outcome.level() >= pstate.el().number().max(1));
            }
            Outcome::Register(_) | Outcome::Memory(_) => {
                let plain = without_alias(asked.id).unwrap_or(asked.id);
                assert!(rule_of_pair(plain).is_some(), "{} has a 128-bit form and no row", asked.id);
            }
            Outcome::Undefined => {}
        }
    }

    /// The part for a guest.
    fn guest(&self, asked: SystemAccess, pstate: PState, controls: &Controls, features: &Features) {
        if pstate.el() >= ExceptionLevel::El2 {
            return;
        }
        let decision = system_access(asked, pstate, controls, features);
        assert!(!decision.to_string().is_empty());
        let plain = Controls { hcr: controls.hcr.with_nv(false), ..*controls };
        let outcome = access(asked, pstate, &plain, &Extensions::NEUTRAL, features);
        assert_eq!(system_access(asked, pstate, &plain, features), Decision::from(outcome), "{asked:?}");
        decided(decision, pstate.el(), controls);
    }
}

/// The exception that is made of a decision.
fn decided(decision: Decision, el: ExceptionLevel, controls: &Controls) {
    let made = decision.cause(controls, 0x1000);
    assert_eq!(made.is_none(), decision == Decision::Allowed);
    let Some((cause, target)) = made else { return };
    assert!(
        target == ExceptionLevel::El2 || target == ExceptionLevel::El1 && !controls.hcr.tge(),
        "{decision:?} from {el:?}"
    );
    assert!(cause.preferred_return == 0x1000 && cause.syndrome.is_some());
    match decision {
        Decision::TrapEl1(syndrome) | Decision::TrapEl2(syndrome) => {
            assert_eq!(cause.syndrome, Some(syndrome.encode()));
        }
        Decision::Undefined => assert_eq!(cause.syndrome.map(|esr| esr.into_bits() >> 26), Some(0)),
        Decision::Allowed => {}
    }
}
