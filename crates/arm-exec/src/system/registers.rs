//! System registers by id: what a read returns, what a write does.
//!
//! Whether an access is allowed is decided before, by `arm_arch::trap`; here every register of the PE
//! is just there. Registers of extensions that are not announced are not: they are UNDEFINED.

use super::gate::Derived;
use super::{gic, identification, interrupt, pstate, timer};
use crate::state::{Flags, Mode, State, SysRegs};
use arm_arch::bits::{bit, field, sign_extend};
use arm_arch::debug::{DbgbcrEl1, DbgwcrEl1};
use arm_arch::sysreg::names;
use arm_arch::sysreg::{
    CntkctlEl1, CpacrEl1, CsselrEl1, DbgclaimEl1, FpEnable, Fpcr, Fpsr, HcrEl2, MdccintEl1, MdscrEl1,
    OslarEl1, OslsrEl1, SctlrEl1, TcrEl1, VbarEl1,
};
use arm_arch::{EsrEl, ExceptionClass, PState, SysRegId};

/// What a write changes beyond the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing that decoding, translation or interrupts depend on.
    None,
    /// PSTATE, traps, pending interrupts, translation or controls of decoding.
    Context,
    /// The condition of a timer.
    Timers,
}

/// Writable bits of `SCTLR_EL1`.
///
/// AArch32 and mixed endianness are not announced, so CP15BEN, EE and E0E are RES0.
const SCTLR_WRITABLE: u64 = SctlrEl1::new()
    .with_m(true)
    .with_a(true)
    .with_c(true)
    .with_sa(true)
    .with_sa0(true)
    .with_uma(true)
    .with_i(true)
    .with_dze(true)
    .with_uct(true)
    .with_ntwi(true)
    .with_ntwe(true)
    .with_wxn(true)
    .with_span(true)
    .with_uci(true)
    .with_dssbs(true)
    .into_bits();
/// RES1 bits of `SCTLR_EL1`: all but SPAN, which FEAT_PAN gives a meaning.
const SCTLR_RES1: u64 = SctlrEl1::RES1.with_span(false).into_bits();
/// Writable bits of `TCR_EL1`: what Armv8.0 has, AS among it.
const TCR_WRITABLE: u64 = TcrEl1::new()
    .with_t0sz(0x3f)
    .with_epd0(true)
    .with_irgn0(3)
    .with_orgn0(3)
    .with_sh0(3)
    .with_tg0(3)
    .with_t1sz(0x3f)
    .with_a1(true)
    .with_epd1(true)
    .with_irgn1(3)
    .with_orgn1(3)
    .with_sh1(3)
    .with_tg1(3)
    .with_ips(7)
    .with_as(true)
    .with_tbi0(true)
    .with_tbi1(true)
    .into_bits();

macro_rules! stored {
    ($($name:ident $field:ident $([$at:literal])? & $mask:expr, $effect:ident;)*) => {
        /// Reads a register that is what was last written to it.
        fn stored(sys: &SysRegs, id: SysRegId) -> Option<u64> {
            match id {
                $(names::$name => Some(sys.$field $([$at])?),)*
                _ => None,
            }
        }

        /// Writes a register that keeps what is written to it, RES0 bits aside.
        fn store(sys: &mut SysRegs, id: SysRegId, value: u64) -> Option<Effect> {
            match id {
                $(names::$name => {
                    sys.$field $([$at])? = value & $mask;
                    Some(Effect::$effect)
                })*
                _ => None,
            }
        }
    };
}

/// Bits of `SPSR_EL1`: those of this PE's PSTATE, and M\[4\], so that a bad mode is found by ERET.
const SPSR: u64 = identification::PSTATE.present().into_bits() | 0x1f;
/// Bits of `DBGBCR<n>_EL1` without what is newer than Armv8.0.
const BREAKPOINT_CONTROL: u64 = DbgbcrEl1::new()
    .with_e(true)
    .with_pmc(3)
    .with_bas(0xf)
    .with_hmc(true)
    .with_ssc(3)
    .with_lbn(0xf)
    .with_bt(0xf)
    .into_bits();
/// Bits of `DBGWCR<n>_EL1` without what is newer than Armv8.0.
const WATCHPOINT_CONTROL: u64 = DbgwcrEl1::new()
    .with_e(true)
    .with_pac(3)
    .with_lsc(3)
    .with_bas(0xff)
    .with_hmc(true)
    .with_ssc(3)
    .with_lbn(0xf)
    .with_wt(true)
    .with_mask(0x1f)
    .into_bits();
/// Bits of `MDSCR_EL1`. CHOICE: those of the external debug interface, which is not modelled, are RES0.
const MDSCR: u64 = MdscrEl1::new().with_ss(true).with_tdcc(true).with_kde(true).with_mde(true).into_bits();
const MDCCINT: u64 = MdccintEl1::new().with_rx(true).with_tx(true).into_bits();
/// Bits of `CNTKCTL_EL1` without FEAT_ECV.
const CNTKCTL: u64 = CntkctlEl1::new()
    .with_el0pcten(true)
    .with_el0vcten(true)
    .with_evnten(true)
    .with_evntdir(true)
    .with_evnti(0xf)
    .with_el0vten(true)
    .with_el0pten(true)
    .into_bits();
/// Bits of `CSSELR_EL1` without FEAT_MTE2.
const CSSELR: u64 = CsselrEl1::new().with_ind(true).with_level(7).into_bits();
/// Bits of `CPACR_EL1` without SVE, SME and trace.
const CPACR: u64 = CpacrEl1::new().with_fpen(FpEnable::All).into_bits();
/// Where vectors may be: in any 2 KiB.
const VECTORS: u64 = VbarEl1::new().with_vba(0x1f_ffff_ffff_ffff).into_bits();
/// `ESR_EL1` without ISS2, of which no exception that is modelled has any.
const SYNDROME: u64 = EsrEl::of(ExceptionClass::from_bits(u8::MAX), u32::MAX).into_bits();
/// Registers of 32 bits: CONTEXTIDR_EL1.PROCID and CNTFRQ_EL0.ClockFreq are all there is in theirs.
const WORD: u64 = 0xffff_ffff;

stored! {
    ACTLR_EL1 actlr_el1 & 0, None;
    CPACR_EL1 cpacr_el1 & CPACR, Context;
    AMAIR_EL1 amair_el1 & 0, None;
    CONTEXTIDR_EL1 contextidr_el1 & WORD, None;
    VBAR_EL1 vbar_el1 & VECTORS, None;
    ELR_EL1 elr_el1 & u64::MAX, None;
    SPSR_EL1 spsr_el1 & SPSR, None;
    ESR_EL1 esr_el1 & SYNDROME, None;
    FAR_EL1 far_el1 & u64::MAX, None;
    AFSR0_EL1 afsr0_el1 & 0, None;
    AFSR1_EL1 afsr1_el1 & 0, None;
    PAR_EL1 par_el1 & u64::MAX, None;
    TPIDR_EL0 tpidr_el0 & u64::MAX, None;
    TPIDRRO_EL0 tpidrro_el0 & u64::MAX, None;
    TPIDR_EL1 tpidr_el1 & u64::MAX, None;
    CSSELR_EL1 csselr_el1 & CSSELR, None;
    MDSCR_EL1 mdscr_el1 & MDSCR, Context;
    MDCCINT_EL1 mdccint_el1 & MDCCINT, None;
    OSDLR_EL1 osdlr_el1 & 0, None;
    // Bits 1:0 are RES0 of an address and part of a context: CHOICE: they are kept, and do not count in an address.
    DBGBVR0_EL1 dbgbvr_el1[0] & u64::MAX, Context;
    DBGBVR1_EL1 dbgbvr_el1[1] & u64::MAX, Context;
    DBGBCR0_EL1 dbgbcr_el1[0] & BREAKPOINT_CONTROL, Context;
    DBGBCR1_EL1 dbgbcr_el1[1] & BREAKPOINT_CONTROL, Context;
    DBGWVR0_EL1 dbgwvr_el1[0] & !3, Context;
    DBGWVR1_EL1 dbgwvr_el1[1] & !3, Context;
    DBGWCR0_EL1 dbgwcr_el1[0] & WATCHPOINT_CONTROL, Context;
    DBGWCR1_EL1 dbgwcr_el1[1] & WATCHPOINT_CONTROL, Context;
    CNTKCTL_EL1 cntkctl_el1 & CNTKCTL, Context;
    CNTFRQ_EL0 cntfrq_el0 & WORD, None;
}

/// Reads a register; `None` where there is none, or none that can be read. A read of ICC_IAR
/// acknowledges, which is a change of context: see [`read_changes_context`].
pub(super) fn read(
    state: &mut State,
    derived: &mut Derived,
    id: SysRegId,
    count: impl FnOnce() -> u64,
) -> Option<u64> {
    let sys = &state.sys;
    if let Some(value) = stored(sys, id).or_else(|| identification::read(id, sys.csselr_el1)) {
        return Some(value);
    }
    Some(match id {
        names::SCTLR_EL1 => sys.sctlr_el1,
        names::TTBR0_EL1 => sys.ttbr0_el1,
        names::TTBR1_EL1 => sys.ttbr1_el1,
        names::TCR_EL1 => sys.tcr_el1,
        names::MAIR_EL1 => sys.mair_el1,
        names::MIDR_EL1 => sys.midr_el1,
        names::MPIDR_EL1 => sys.vmpidr_el2,
        names::DCZID_EL0 => identification::dczid(zva_is_permitted(state)),
        names::ISR_EL1 => interrupt::isr(state, derived),
        _ => {
            return special(state, id)
                .or_else(|| debug(state, id))
                .or_else(|| timer::read(state, id, count))
                .or_else(|| gic::read(state, id));
        }
    })
}

/// Whether a read has an effect on what interrupts are pending.
pub(super) const fn read_changes_context(id: SysRegId) -> bool {
    matches!(id, names::ICC_IAR0_EL1 | names::ICC_IAR1_EL1)
}

/// Whether DC ZVA is not prohibited at the current level, as `DCZID_EL0.DZP` reports it.
fn zva_is_permitted(state: &State) -> bool {
    let hcr = HcrEl2::from_bits(state.sys.hcr_el2);
    !hcr.tdz() && (state.mode.el != 0 || SctlrEl1::from_bits(state.sys.sctlr_el1).dze())
}

/// Reads parts of PSTATE and other state that is not stored as a register.
fn special(state: &State, id: SysRegId) -> Option<u64> {
    let now = pstate::pstate(state);
    Some(match id {
        names::CURRENT_EL => pstate::el(state).current_el(),
        names::SP_SEL => u64::from(state.mode.sp_elx),
        names::DAIF => now.daif(),
        names::NZCV => now.nzcv(),
        names::PAN => PState::new().with_pan(now.pan()).into_bits(),
        names::UAO => PState::new().with_uao(now.uao()).into_bits(),
        names::DIT => PState::new().with_dit(now.dit()).into_bits(),
        names::SSBS => PState::new().with_ssbs(now.ssbs()).into_bits(),
        names::FPCR => u64::from(state.fp.fpcr),
        names::FPSR => u64::from(state.fp.fpsr),
        // Not while it is in use; that access is UNDEFINED.
        names::SP_EL0 => {
            let [sp_el0, _] = state.sp_bank;
            sp_el0
        }
        _ => return None,
    })
}

/// Reads a debug register that is not stored. CHOICE: no debugger is attached: the communications
/// channel is empty, and authentication reports nothing.
fn debug(state: &State, id: SysRegId) -> Option<u64> {
    Some(match id {
        names::OSLSR_EL1 => {
            let lock = OslsrEl1::from_bits(state.sys.oslsr_el1).oslk();
            OslsrEl1::new().with_oslm_1(true).with_oslk(lock).into_bits()
        }
        names::DBGCLAIMSET_EL1 => DbgclaimEl1::new().with_claim(u8::MAX).into_bits(),
        names::DBGCLAIMCLR_EL1 => state.sys.dbgclaim_el1,
        names::MDRAR_EL1
        | names::MDCCSR_EL0
        | names::DBGDTR_EL0
        | names::DBGDTRRX_EL0
        | names::OSDTRRX_EL1
        | names::OSDTRTX_EL1
        | names::OSECCR_EL1
        | names::DBGPRCR_EL1
        | names::DBGAUTHSTATUS_EL1 => 0,
        _ => return None,
    })
}

/// Writes a register; `None` where there is none, or none that can be written.
pub(super) fn write(
    state: &mut State,
    derived: &mut Derived,
    id: SysRegId,
    value: u64,
    count: impl FnOnce() -> u64,
) -> Option<Effect> {
    if let Some(effect) = store(&mut state.sys, id, value) {
        return Some(effect);
    }
    translation(&mut state.sys, id, value)
        .or_else(|| write_special(state, derived, id, value))
        .or_else(|| write_debug(state, id, value))
        .or_else(|| timer::write(state, id, value, count))
        .or_else(|| gic::write(state, id, value))
}

/// Writes a register that translation depends on; the engine compares these and drops what does not
/// hold any more.
fn translation(sys: &mut SysRegs, id: SysRegId, value: u64) -> Option<Effect> {
    match id {
        names::SCTLR_EL1 => sys.sctlr_el1 = value & SCTLR_WRITABLE | SCTLR_RES1,
        names::TCR_EL1 => sys.tcr_el1 = value & TCR_WRITABLE,
        names::MAIR_EL1 => sys.mair_el1 = value,
        // Bit 0, CnP, is RES0 without FEAT_TTCNP.
        names::TTBR0_EL1 => sys.ttbr0_el1 = value & !1,
        names::TTBR1_EL1 => sys.ttbr1_el1 = value & !1,
        _ => return None,
    }
    Some(Effect::Context)
}

/// Writes parts of PSTATE and other state that is not stored as a register.
fn write_special(state: &mut State, derived: &mut Derived, id: SysRegId, value: u64) -> Option<Effect> {
    let mode = state.mode;
    let new = match id {
        names::SP_SEL => Mode { sp_elx: bit(value, 0), ..mode },
        names::DAIF => return Some(write_masks(state, derived, PState::from_bits(value).daif())),
        names::PAN => Mode { pan: PState::from_bits(value).pan(), ..mode },
        names::UAO => Mode { uao: PState::from_bits(value).uao(), ..mode },
        names::DIT => Mode { dit: PState::from_bits(value).dit(), ..mode },
        names::SSBS => Mode { ssbs: PState::from_bits(value).ssbs(), ..mode },
        _ => return write_other(state, id, value),
    };
    pstate::set_mode(state, new);
    Some(Effect::Context)
}

/// Writes D, A, I and F. Where nothing becomes due by it, nobody else needs to know.
fn write_masks(state: &mut State, derived: &mut Derived, daif: u64) -> Effect {
    state.mode.daif = daif;
    if interrupt::is_due(state, derived) { Effect::Context } else { Effect::None }
}

fn write_other(state: &mut State, id: SysRegId, value: u64) -> Option<Effect> {
    match id {
        names::NZCV => state.flags = Flags::from_nzcv(value),
        names::FPCR => state.fp.fpcr = arm_arch::bits::trunc32(value & FPCR),
        names::FPSR => state.fp.fpsr = arm_arch::bits::trunc32(value & FPSR),
        names::SP_EL0 => {
            let [sp_el0, _] = &mut state.sp_bank;
            *sp_el0 = value;
        }
        _ => return None,
    }
    Some(if matches!(id, names::FPCR) { Effect::Context } else { Effect::None })
}

/// Bits of `FPCR` that exist without FEAT_FP16, FEAT_AFP and trapped exceptions: AHP, DN, FZ, RMode.
const FPCR: u64 = Fpcr::new().with_ahp(true).with_dn(true).with_fz(true).with_rmode(3).into_bits();
/// Bits of `FPSR` in AArch64.
const FPSR: u64 = Fpsr::new()
    .with_qc(true)
    .with_idc(true)
    .with_ixc(true)
    .with_ufc(true)
    .with_ofc(true)
    .with_dzc(true)
    .with_ioc(true)
    .into_bits();

/// Writes a debug register that is not stored.
fn write_debug(state: &mut State, id: SysRegId, value: u64) -> Option<Effect> {
    let sys = &mut state.sys;
    match id {
        names::OSLAR_EL1 => {
            sys.oslsr_el1 = OslsrEl1::new().with_oslk(OslarEl1::from_bits(value).oslk()).into_bits();
            return Some(Effect::Context);
        }
        names::DBGCLAIMSET_EL1 => sys.dbgclaim_el1 |= u64::from(DbgclaimEl1::from_bits(value).claim()),
        names::DBGCLAIMCLR_EL1 => sys.dbgclaim_el1 &= !value,
        names::DBGDTR_EL0
        | names::DBGDTRTX_EL0
        | names::OSDTRRX_EL1
        | names::OSDTRTX_EL1
        | names::OSECCR_EL1
        | names::DBGPRCR_EL1 => {}
        _ => return None,
    }
    Some(Effect::None)
}

/// Writes PSTATE by MSR (immediate): op1, CRm and op2 of the encoding; `None` where there is no such
/// field. Arm ARM, MSR (immediate).
pub(super) fn write_immediate(state: &mut State, derived: &mut Derived, id: SysRegId) -> Option<Effect> {
    let on = id.crm() & 1 == 1;
    let mode = state.mode;
    let masks = u64::from(id.crm()) << 6;
    let new = match (id.op1(), id.op2()) {
        (0, 3) => Mode { uao: on, ..mode },
        (0, 4) => Mode { pan: on, ..mode },
        (0, 5) => Mode { sp_elx: on, ..mode },
        (3, 1) => Mode { ssbs: on, ..mode },
        (3, 2) => Mode { dit: on, ..mode },
        // Masking makes nothing due.
        (3, 6) => {
            state.mode.daif |= masks;
            return Some(Effect::None);
        }
        (3, 7) => return Some(write_masks(state, derived, mode.daif & !masks)),
        _ => return None,
    };
    pstate::set_mode(state, new);
    Some(Effect::Context)
}

/// Returns the virtual address in the operand of a TLBI by address: bits 43:0 are VA\[55:12\].
pub(super) const fn tlbi_address(operand: u64) -> u64 {
    sign_extend(field(operand, 43, 0) << 12, 56)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arm_arch::sysreg::TtbrEl1;

    fn read(state: &mut State, id: SysRegId, count: u64) -> Option<u64> {
        super::read(state, &mut Derived::new(), id, || count)
    }

    fn write(state: &mut State, id: SysRegId, value: u64, count: u64) -> Option<Effect> {
        super::write(state, &mut Derived::new(), id, value, || count)
    }

    fn state() -> State {
        let mut state = State::reset();
        state.sp_bank = [0x1000, 0];
        state
    }

    #[test]
    fn registers_keep_their_bits_and_no_others() {
        const ALL: u64 = u64::MAX;
        const CASES: &[(&str, SysRegId, u64, u64)] = &[
            ("SCTLR", names::SCTLR_EL1, ALL, 0x0000_1000_34dd_db9f),
            ("SCTLR RES1", names::SCTLR_EL1, 0, 0x3050_0980),
            ("CPACR", names::CPACR_EL1, ALL, 0x30_0000),
            ("TCR", names::TCR_EL1, ALL, 0x77_ffff_ffbf),
            ("TTBR0", names::TTBR0_EL1, ALL, !1),
            ("MAIR", names::MAIR_EL1, 0x0004_0044_00ff_0c08, 0x0004_0044_00ff_0c08),
            ("VBAR", names::VBAR_EL1, ALL, !0x7ff),
            ("SPSR", names::SPSR_EL1, ALL, 0xf1f0_13df),
            ("CONTEXTIDR", names::CONTEXTIDR_EL1, ALL, 0xffff_ffff),
            ("AMAIR", names::AMAIR_EL1, ALL, 0),
            ("NZCV", names::NZCV, ALL, 0xf000_0000),
            ("DAIF", names::DAIF, ALL, 0x3c0),
            ("PAN", names::PAN, ALL, 1 << 22),
            ("UAO", names::UAO, ALL, 1 << 23),
            ("DIT", names::DIT, ALL, 1 << 24),
            ("SSBS", names::SSBS, ALL, 1 << 12),
            ("FPCR", names::FPCR, ALL, 0x07c0_0000),
            ("FPSR", names::FPSR, ALL, 0x0800_009f),
            ("SP_EL0", names::SP_EL0, ALL, ALL),
            ("MDSCR", names::MDSCR_EL1, ALL, 0xb001),
            ("CSSELR", names::CSSELR_EL1, ALL, 0xf),
            ("DBGBVR, a context", names::DBGBVR1_EL1, 0x1237, 0x1237),
            ("DBGWVR", names::DBGWVR0_EL1, ALL, !3),
            ("CNTKCTL", names::CNTKCTL_EL1, ALL, 0x3ff),
        ];
        for (name, id, value, want) in CASES {
            let mut state = state();
            assert!(write(&mut state, *id, *value, 0).is_some(), "{name}");
            assert_eq!(read(&mut state, *id, 0), Some(*want), "{name}");
        }
    }

    #[test]
    fn what_is_not_announced_is_not_there() {
        let absent = [
            names::SCTLR_EL2,
            names::TCR2_EL1,
            names::PMCR_EL0,
            names::ZCR_EL1,
            names::APIAKEYLO_EL1,
            names::RNDR,
            names::DISR_EL1,
            names::LORC_EL1,
            names::RVBAR_EL1,
            names::SP_EL1,
            names::TCO,
            names::ALLINT,
        ];
        for id in absent {
            assert_eq!(read(&mut state(), id, 0), None, "{id}");
            assert_eq!(write(&mut state(), id, 0, 0), None, "{id}");
        }
        assert_eq!(write(&mut state(), names::MIDR_EL1, 0, 0), None, "read-only");
        assert_eq!(read(&mut state(), names::OSLAR_EL1, 0), None, "write-only");
    }

    #[test]
    fn spsel_chooses_the_stack_pointer() {
        let mut state = state();
        assert_eq!(read(&mut state, names::SP_EL0, 0), Some(0x1000));
        assert_eq!(write(&mut state, names::SP_SEL, 0, 0), Some(Effect::Context));
        assert_eq!(state.x[32], 0x1000);
    }

    #[test]
    fn what_is_written_is_what_the_features_leave() {
        let derived = Derived::new();
        let features = derived.features();
        for value in [0, u64::MAX, 0x5555_5555_5555_5555, 0xaaaa_aaaa_aaaa_aaaa] {
            let mut state = state();
            let mut kept = |id| {
                write(&mut state, id, value, 0).expect("a register");
                read(&mut state, id, 0).expect("the same register")
            };
            let sctlr = SctlrEl1::from_bits(value).sanitised(features).into_bits();
            assert_eq!(kept(names::SCTLR_EL1), sctlr);
            assert_eq!(kept(names::TCR_EL1), TcrEl1::from_bits(value).sanitised(features).into_bits());
            assert_eq!(kept(names::TTBR0_EL1), TtbrEl1::from_bits(value).sanitised(features).into_bits());
            assert_eq!(kept(names::CPACR_EL1), CpacrEl1::from_bits(value).sanitised(features).into_bits());
            assert_eq!(
                kept(names::CNTKCTL_EL1),
                CntkctlEl1::from_bits(value).sanitised(features).into_bits()
            );
        }
        assert_eq!(identification::PSTATE, features.pstate_mask());
    }

    #[test]
    fn immediates_write_pstate() {
        let mut state = state();
        let mut derived = Derived::new();
        let id = |op1, crm, op2| SysRegId::new(0, op1, 4, crm, op2);
        for (name, id, effect, want) in [
            ("DAIFClr #2", id(3, 2, 7), Effect::None, 0x345),
            ("DAIFSet #2", id(3, 2, 6), Effect::None, 0x3c5),
            ("PAN #1", id(0, 1, 4), Effect::Context, 0x0040_03c5),
            ("UAO #1", id(0, 1, 3), Effect::Context, 0x00c0_03c5),
            ("DIT #1", id(3, 1, 2), Effect::Context, 0x01c0_03c5),
            ("SSBS #1", id(3, 1, 1), Effect::Context, 0x01c0_13c5),
            ("PAN #0", id(0, 0, 4), Effect::Context, 0x0180_13c5),
            ("SPSel #0", id(0, 0, 5), Effect::Context, 0x0180_13c4),
        ] {
            assert_eq!(write_immediate(&mut state, &mut derived, id), Some(effect), "{name}");
            assert_eq!(pstate::pstate(&state).into_bits(), want, "{name}");
        }
        assert_eq!(write_immediate(&mut state, &mut derived, id(3, 0, 4)), None, "TCO");
        assert_eq!(write_immediate(&mut state, &mut derived, id(1, 1, 0)), None, "ALLINT");
        // With an interrupt pending, opening the mask is for everyone to know.
        state.sys.hcr_el2 = 0x90;
        assert_eq!(write_immediate(&mut state, &mut derived, id(3, 2, 7)), Some(Effect::Context));
        assert_eq!(write_immediate(&mut state, &mut derived, id(3, 2, 6)), Some(Effect::None));
    }

    #[test]
    fn the_os_lock_is_set_and_read_through_two_registers() {
        let mut state = state();
        for (value, want) in [(1, 0xa), (0, 0x8)] {
            assert_eq!(write(&mut state, names::OSLAR_EL1, value, 0), Some(Effect::Context));
            assert_eq!(read(&mut state, names::OSLSR_EL1, 0), Some(want));
        }
    }

    #[test]
    fn claim_tags_are_set_and_cleared_by_ones() {
        let mut state = state();
        write(&mut state, names::DBGCLAIMSET_EL1, 0x1f5, 0);
        write(&mut state, names::DBGCLAIMCLR_EL1, 0x81, 0);
        assert_eq!(read(&mut state, names::DBGCLAIMCLR_EL1, 0), Some(0x74));
        assert_eq!(read(&mut state, names::DBGCLAIMSET_EL1, 0), Some(0xff));
    }

    #[test]
    fn dczid_tells_whether_dc_zva_is_permitted_here() {
        let mut state = state();
        assert_eq!(read(&mut state, names::DCZID_EL0, 0), Some(4));
        pstate::set_pstate(&mut state, PState::from_bits(0));
        assert_eq!(read(&mut state, names::DCZID_EL0, 0), Some(0x14));
        state.sys.sctlr_el1 |= 1 << 14;
        assert_eq!(read(&mut state, names::DCZID_EL0, 0), Some(4));
        state.sys.hcr_el2 = 1 << 28;
        assert_eq!(read(&mut state, names::DCZID_EL0, 0), Some(0x14));
    }

    #[test]
    fn the_operand_of_tlbi_names_a_page() {
        assert_eq!(tlbi_address(0x0012_0000_0040_1234), 0x0000_0004_0123_4000);
        assert_eq!(tlbi_address(0x0012_0fff_ffff_ffff), 0xffff_ffff_ffff_f000);
    }
}
