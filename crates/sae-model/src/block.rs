//! The control block as the machine sees it: guest state in and out, and the report.

use arm_exec::PagePtr;
use arm_exec::state::{Flags, Mode, SP, State};
use core::sync::atomic::{AtomicU64, Ordering};
use s390_arch::sae::InterceptionCode;
use s390_arch::sae::block::field;

/// A control block or save area in storage: one page, so that nothing in it can be out of reach.
///
/// Only the thread that plays the CPU touches it during an instruction of the facility, so plain accesses do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'m>(&'m [AtomicU64; DOUBLEWORDS]);

const DOUBLEWORDS: usize = 512;

/// Doubleword fields and the guest state that they hold.
macro_rules! doublewords {
    ($self:ident, $state:ident, $direction:ident) => {
        $direction!($self, field::CONTEXTIDR_EL1, $state.sys.contextidr_el1);
        $direction!($self, field::ICH_HCR, $state.sys.ich_hcr_el2);
        $direction!($self, field::ICH_VMCR, $state.sys.ich_vmcr_el2);
        $direction!($self, field::ICH_AP0R0, $state.sys.ich_ap0r0_el2);
        $direction!($self, field::ICH_AP1R0, $state.sys.ich_ap1r0_el2);
        $direction!($self, field::PC, $state.pc);
        $direction!($self, field::SP_EL0, $state.sp_bank[0]);
        $direction!($self, field::SP_EL1, $state.sp_bank[1]);
    };
}

macro_rules! load {
    ($self:ident, $field:expr, $place:expr) => {
        $place = $self.load($field)
    };
}

macro_rules! store {
    ($self:ident, $field:expr, $place:expr) => {
        $self.store($field, $place)
    };
}

/// Returns the offsets of consecutive doublewords from `first`.
pub(crate) fn doublewords(first: u64) -> impl Iterator<Item = u64> {
    (0..).map(move |n: u64| first.wrapping_add(n << 3))
}

/// The index of the doubleword at `offset`; offsets count modulo the block.
#[expect(clippy::as_conversions, reason = "an offset into a page, on hosts of any width")]
const fn index(offset: u64) -> usize {
    (offset >> 3) as usize % DOUBLEWORDS
}

impl<'m> Block<'m> {
    /// Takes a page; `None` never, as a page has that many doublewords.
    pub(crate) fn new(page: PagePtr<'m>) -> Option<Self> {
        page.doublewords(0).map(Self)
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "the index is less than the length")]
    fn doubleword(self, offset: u64) -> &'m AtomicU64 {
        &self.0[index(offset)]
    }

    /// Loads the big-endian doubleword at `offset`.
    #[inline(always)]
    pub(crate) fn load(self, offset: u64) -> u64 {
        u64::from_be(self.doubleword(offset).load(Ordering::Relaxed))
    }

    /// Stores the big-endian doubleword at `offset`.
    #[inline(always)]
    pub(crate) fn store(self, offset: u64, value: u64) {
        self.doubleword(offset).store(value.to_be(), Ordering::Relaxed);
    }

    /// The `N` doublewords from `offset` on.
    #[inline(always)]
    fn many<const N: usize>(self, offset: u64) -> Option<&'m [AtomicU64; N]> {
        self.0.get(index(offset)..)?.first_chunk()
    }

    /// Loads big-endian doublewords in a row.
    #[inline]
    fn load_many<const N: usize>(self, offset: u64, into: &mut [u64; N]) {
        if let Some(words) = self.many::<N>(offset) {
            for (value, word) in into.iter_mut().zip(words) {
                *value = u64::from_be(word.load(Ordering::Relaxed));
            }
        }
    }

    /// Stores big-endian doublewords in a row.
    #[inline]
    fn store_many<const N: usize>(self, offset: u64, values: &[u64; N]) {
        if let Some(words) = self.many::<N>(offset) {
            for (value, word) in values.iter().zip(words) {
                word.store(value.to_be(), Ordering::Relaxed);
            }
        }
    }

    /// Fills the block with zeros.
    pub(crate) fn clear(self) {
        doublewords(0).take(512).for_each(|offset| self.store(offset, 0));
    }

    /// Records why SAE ends. The code comes last.
    #[inline]
    pub(crate) fn record(self, code: InterceptionCode, data: &[u64; 8]) {
        self.store_many(field::ICPTD, data);
        self.record_code(code);
    }

    /// Records a code and leaves the data as it is.
    #[inline]
    pub(crate) fn record_code(self, code: InterceptionCode) {
        // icptr is byte 0 of its doubleword; the others are reserved, and stay.
        let [_, reserved @ ..] = self.load(field::ICPTR).to_be_bytes();
        let [a, b, c, d, e, f, g] = reserved;
        self.store(field::ICPTR, u64::from_be_bytes([code.0, a, b, c, d, e, f, g]));
    }

    /// Takes the guest state that lives in the block into the PE.
    pub(crate) fn load_state(self, state: &mut State) {
        doublewords!(self, state, load);
        if let Some(x) = state.x.first_chunk_mut::<31>() {
            self.load_many(field::GPR, x);
        }
        self.load_many(field::ICH_LR, &mut state.sys.ich_lr_el2);
        // Two words in one doubleword: the physical timer's is the upper.
        let controls = self.load(field::CNTP_CTL);
        state.sys.cntp_ctl_el0 = controls >> 32;
        state.sys.cntv_ctl_el0 = controls & 0xffff_ffff;
        state.fp.fpcr = low_word(self.load(field::FPCR));
        state.fp.fpsr = low_word(self.load(field::FPSR));
        set_pstate(state, self.load(field::PSTATE));
        let sp = *bank(state);
        if let Some(in_use) = state.x.get_mut(usize::from(SP)) {
            *in_use = sp;
        }
        // Coming from EL2 is an exception return: it clears the local monitor. Arm ARM, AArch64.ExceptionReturn.
        state.monitor.open = false;
    }

    /// Puts the guest state back into the block.
    pub(crate) fn store_state(self, state: &mut State) {
        if let Some(sp) = state.x.get(usize::from(SP)).copied() {
            *bank(state) = sp;
        }
        doublewords!(self, state, store);
        if let Some(x) = state.x.first_chunk::<31>() {
            self.store_many(field::GPR, x);
        }
        self.store_many(field::ICH_LR, &state.sys.ich_lr_el2);
        self.store(field::CNTP_CTL, (state.sys.cntp_ctl_el0 << 32) | (state.sys.cntv_ctl_el0 & 0xffff_ffff));
        self.store(field::FPCR, u64::from(state.fp.fpcr));
        self.store(field::FPSR, u64::from(state.fp.fpsr));
        self.store(field::PSTATE, get_pstate(state));
    }
}

#[expect(clippy::as_conversions, reason = "FPCR and FPSR are 32-bit registers in 64-bit fields")]
const fn low_word(value: u64) -> u32 {
    value as u32
}

/// The bank of the stack pointer in use.
const fn bank(state: &mut State) -> &mut u64 {
    let [el0, el1] = &mut state.sp_bank;
    if state.mode.el != 0 && state.mode.sp_elx { el1 } else { el0 }
}

/// PSTATE fields in the form of SPSR_EL1, each a number: this is done twice an entry. Arm ARM, SPSR_EL1.
mod pstate {
    use arm_arch::{Mode, PState};

    const NONE: PState = PState::new();
    pub(super) const EL: u64 = NONE.with_mode(Mode::El3t).into_bits();
    pub(super) const EL1T: u64 = NONE.with_mode(Mode::El1t).into_bits();
    pub(super) const SP: u64 = NONE.with_mode(Mode::El1h).into_bits() ^ EL1T;
    pub(super) const DAIF: u64 = NONE.with_d(true).with_a(true).with_i(true).with_f(true).into_bits();
    pub(super) const SSBS: u64 = NONE.with_ssbs(true).into_bits();
    pub(super) const IL: u64 = NONE.with_il(true).into_bits();
    pub(super) const SS: u64 = NONE.with_ss(true).into_bits();
    pub(super) const PAN: u64 = NONE.with_pan(true).into_bits();
    pub(super) const UAO: u64 = NONE.with_uao(true).into_bits();
    pub(super) const DIT: u64 = NONE.with_dit(true).into_bits();
}

/// Takes PSTATE.
fn set_pstate(state: &mut State, bits: u64) {
    state.flags = Flags::from_nzcv(bits);
    state.mode = Mode {
        el: if bits & pstate::EL == 0 { 0 } else { 1 },
        sp_elx: bits & pstate::SP != 0,
        daif: bits & pstate::DAIF,
        pan: bits & pstate::PAN != 0,
        uao: bits & pstate::UAO != 0,
        dit: bits & pstate::DIT != 0,
        ssbs: bits & pstate::SSBS != 0,
        il: bits & pstate::IL != 0,
        ss: bits & pstate::SS != 0,
    };
}

/// Returns PSTATE.
fn get_pstate(state: &State) -> u64 {
    let on = |state: bool, bit: u64| if state { bit } else { 0 };
    let mode = &state.mode;
    let level = if mode.el == 0 { 0 } else { pstate::EL1T | on(mode.sp_elx, pstate::SP) };
    state.flags.nzcv()
        | level
        | (mode.daif & pstate::DAIF)
        | on(mode.pan, pstate::PAN)
        | on(mode.uao, pstate::UAO)
        | on(mode.dit, pstate::DIT)
        | on(mode.ssbs, pstate::SSBS)
        | on(mode.il, pstate::IL)
        | on(mode.ss, pstate::SS)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use arm_arch::Pa;
    use arm_exec::{Page, Ram};
    use s390_arch::sae::ControlBlock;
    use std::vec;
    use zerocopy::{FromBytes, IntoBytes};

    fn with_block(test: impl Fn(Block<'_>, Ram<'_>)) {
        let pages = vec![Page::zeroed()];
        let ram = Ram::new(&pages);
        test(Block::new(ram.page(Pa::new(0)).unwrap()).unwrap(), ram);
    }

    fn layout(ram: Ram<'_>) -> ControlBlock {
        let mut bytes = [0; 0x1000];
        ram.read(Pa::new(0), &mut bytes).unwrap();
        ControlBlock::read_from_bytes(&bytes).unwrap()
    }

    #[test]
    fn guest_state_comes_from_the_fields_of_the_layout_and_goes_back_there() {
        with_block(|block, ram| {
            let mut want = ControlBlock::zeroed();
            for (n, x) in (0_u64..).zip(&mut want.gpr) {
                x.set(0x0101_0101_0000_0000 | n);
            }
            for (n, lr) in (0_u64..).zip(&mut want.ich_lr_el2) {
                lr.set(0x5000_0000_0000_0000 | n);
            }
            want.pc.set(0x4000_1234);
            want.pstate.set(0x0000_0000_a1d0_13c5);
            want.sp_el0.set(11);
            want.sp_el1.set(12);
            want.fpcr.set(0x0300_0000);
            want.fpsr.set(0x0800_009f);
            want.contextidr_el1.set(13);
            want.ich_hcr_el2.set(14);
            want.ich_vmcr_el2.set(15);
            want.ich_ap0r0_el2.set(16);
            want.ich_ap1r0_el2.set(17);
            want.cntp_ctl.set(3);
            want.cntv_ctl.set(1);
            ram.write(Pa::new(0), want.as_bytes()).unwrap();

            let mut state = State::reset();
            block.load_state(&mut state);
            assert_eq!((state.x[0], state.x[30]), (0x0101_0101_0000_0000, 0x0101_0101_0000_001e));
            assert_eq!((state.pc, state.x[usize::from(SP)]), (0x4000_1234, 12));
            assert_eq!((state.mode.el, state.mode.sp_elx, state.mode.daif), (1, true, 0x3c0));
            assert!(state.mode.pan && state.mode.dit && state.mode.ssbs && state.mode.il && state.mode.uao);
            assert!(!state.mode.ss);
            assert_eq!(state.flags.nzcv(), 0xa000_0000);
            assert_eq!((state.fp.fpcr, state.fp.fpsr), (0x0300_0000, 0x0800_009f));
            assert_eq!((state.sys.cntp_ctl_el0, state.sys.cntv_ctl_el0), (3, 1));
            assert_eq!(state.sys.ich_lr_el2[3], 0x5000_0000_0000_0003);

            ram.write(Pa::new(0), ControlBlock::zeroed().as_bytes()).unwrap();
            block.store_state(&mut state);
            assert_eq!(layout(ram), want);
        });
    }

    #[test]
    fn the_stack_pointer_is_that_of_the_level_and_of_spsel() {
        // PSTATE.M: EL0t, EL1t, EL1h.
        for (pstate, want) in [(0b0000, 1), (0b0100, 1), (0b0101, 2)] {
            with_block(|block, ram| {
                let mut layout_in = ControlBlock::zeroed();
                layout_in.pstate.set(pstate);
                layout_in.sp_el0.set(1);
                layout_in.sp_el1.set(2);
                ram.write(Pa::new(0), layout_in.as_bytes()).unwrap();
                let mut state = State::reset();
                block.load_state(&mut state);
                assert_eq!(state.x[usize::from(SP)], want, "PSTATE.M {pstate:#b}");
                state.x[usize::from(SP)] = 99;
                block.store_state(&mut state);
                let back = layout(ram);
                assert_eq!(back.pstate.get(), pstate);
                let banks = (back.sp_el0.get(), back.sp_el1.get());
                assert_eq!(banks, if want == 1 { (99, 2) } else { (1, 99) }, "PSTATE.M {pstate:#b}");
            });
        }
    }

    #[test]
    fn a_report_is_the_code_and_eight_doublewords() {
        with_block(|block, ram| {
            block.record(InterceptionCode::TRAP, &[1, 2, 3, 4, 5, 6, 7, 8]);
            let report = layout(ram);
            assert_eq!(report.icptr, 3);
            assert_eq!(report.icptd.map(|word| word.get()), [1, 2, 3, 4, 5, 6, 7, 8]);
            block.record_code(InterceptionCode::STOP);
            assert_eq!((layout(ram).icptr, layout(ram).icptd[7].get()), (7, 8));
        });
    }
}
