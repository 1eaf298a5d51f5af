//! Breakpoints and watchpoints of a case, as the reference takes them.

use super::quirks::{FEW_CONTEXTS, FIRST_RUN, NO_SMALL_MASK, STATE_BY_BITS};
use super::*;

impl Pe<'_> {
    /// Breakpoints and watchpoints, rewritten so that they match as those of the reference do.
    pub(super) fn debug_units(&self, el: ExceptionLevel) -> (Vec<Breakpoint>, Vec<Watched>) {
        let mut breakpoints = self.breakpoints.clone();
        let mut watchpoints = self.watchpoints.clone();
        for Breakpoint { control, .. } in &mut breakpoints {
            if self.has_quirk(STATE_BY_BITS) && is_odd(control.hmc(), control.ssc(), control.pmc()) {
                let on = control.e() && by_bits(control.hmc(), control.ssc(), control.pmc(), el);
                *control = control.with_e(on).with_hmc(true).with_ssc(1).with_pmc(3);
            }
            if self.has_quirk(FEW_CONTEXTS) {
                match control.bt() {
                    0b0010 | 0b0110 | 0b1000 | 0b1010 | 0b1100 | 0b1110 => *control = control.with_e(false),
                    1 if self.links(control.lbn(), self.pstate.el()) => *control = control.with_bt(0),
                    1 => *control = control.with_e(false),
                    _ => {}
                }
            }
        }
        for Watched { control, .. } in &mut watchpoints {
            if self.has_quirk(STATE_BY_BITS) && is_odd(control.hmc(), control.ssc(), control.pac()) {
                let on = control.e() && by_bits(control.hmc(), control.ssc(), control.pac(), el);
                *control = control.with_e(on).with_hmc(true).with_ssc(1).with_pac(3);
            }
            if self.has_quirk(FEW_CONTEXTS) && control.wt() {
                let on = control.e() && self.links(control.lbn(), self.pstate.el());
                *control = control.with_wt(false).with_e(on);
            }
            if self.has_quirk(NO_SMALL_MASK) && matches!(control.mask(), 1 | 2) {
                *control = control.with_e(false);
            }
            if self.has_quirk(FIRST_RUN) {
                let bas = control.bas();
                let first = bas.trailing_zeros();
                let run = bas.checked_shr(first).map_or(0, u8::trailing_ones);
                *control = control.with_bas((((1u16 << run) - 1) << first.min(8)) as u8);
            }
        }
        (breakpoints, watchpoints)
    }

    /// Whether the reference finds the context that something links to.
    fn links(&self, number: u8, el: ExceptionLevel) -> bool {
        let first = self.breakpoints.len() - self.machine.unit.context_aware;
        let Some(Breakpoint { control, value }) = self.breakpoints.get(usize::from(number)) else {
            return false;
        };
        if usize::from(number) < first || !control.e() {
            return false;
        }
        let w = &self.case.words;
        let (id1, id2) = (w[word::CONTEXTIDR_EL1] as u32, w[word::CONTEXTIDR_EL2] as u32);
        let id = match (control.bt(), el) {
            (0b0011, ExceptionLevel::El0) if self.is_host() => id2,
            (0b0011, EL2) if self.hcr().e2h() => id2,
            (0b0011, EL2 | EL3) => return false,
            (0b0011 | 0b0111, _) => id1,
            (0b1101, _) => id2,
            _ => return false,
        };
        id == *value as u32
    }

    pub(super) fn matcher<'b>(&'b self, breakpoints: &'b [Breakpoint]) -> Matcher<'b> {
        let w = &self.case.words;
        let vmid16 = w[word::VTCR] >> 19 & 1 == 1 && self.machine.has(Feature::VMID16);
        Matcher {
            unit: self.machine.unit,
            controls: self.debug,
            pstate: self.pstate,
            context: Context {
                contextidr_el1: w[word::CONTEXTIDR_EL1] as u32,
                contextidr_el2: w[word::CONTEXTIDR_EL2] as u32,
                vmid: (w[word::VTTBR] >> 48) as u16,
                vmid16,
                hcr: self.hcr(),
            },
            breakpoints,
        }
    }
}

/// Whether a combination of HMC, SSC and PMC or PAC is reserved or asks for Secure state by SSC = 11.
/// Arm ARM, CheckValidStateMatch.
fn is_odd(hmc: bool, ssc: u8, pxc: u8) -> bool {
    match (hmc, ssc, pxc) {
        (false, 3, _) | (true, 0, 0 | 2) | (true, 1, 2) | (true, 2 | 3, 2) => true,
        (false, _, 0) => true,
        // Reserved without Secure EL2.
        (true, 1, 0) | (true, 3, 1 | 3) => true,
        _ => false,
    }
}

/// How the reference takes them in Non-secure state.
fn by_bits(hmc: bool, ssc: u8, pxc: u8, el: ExceptionLevel) -> bool {
    let level = match el {
        ExceptionLevel::El0 => pxc & 2 != 0,
        ExceptionLevel::El1 => pxc & 1 != 0,
        ExceptionLevel::El2 | ExceptionLevel::El3 => hmc,
    };
    level && ssc != 2
}
