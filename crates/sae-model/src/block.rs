//! The control block as the machine sees it: guest state in and out, and the report.

use crate::storage::Storage;
use arm_exec::state::{Flags, Mode, SP, State};
use s390_arch::sae::InterceptionCode;
use s390_arch::sae::block::field;
use s390_arch::{Absolute, AbsoluteStorage, OutsideStorage};

/// A control block in storage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'m> {
    storage: Storage<'m>,
    at: Absolute,
}

/// PSTATE fields in the form of SPSR_EL1, by bit. Arm ARM, SPSR_EL1.
mod pstate {
    pub(super) const SP: u64 = 1;
    pub(super) const EL: u64 = 0xc;
    pub(super) const DAIF: u64 = 0x3c0;
    pub(super) const SSBS: u64 = 1 << 12;
    pub(super) const IL: u64 = 1 << 20;
    pub(super) const SS: u64 = 1 << 21;
    pub(super) const PAN: u64 = 1 << 22;
    pub(super) const UAO: u64 = 1 << 23;
    pub(super) const DIT: u64 = 1 << 24;
}

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
        $place = $self.load($field)?
    };
}

macro_rules! store {
    ($self:ident, $field:expr, $place:expr) => {
        $self.store($field, $place)?
    };
}

impl<'m> Block<'m> {
    pub(crate) const fn new(storage: Storage<'m>, at: Absolute) -> Self {
        Self { storage, at }
    }

    pub(crate) const fn at(&self) -> Absolute {
        self.at
    }

    fn address(&self, offset: u64) -> Result<Absolute, OutsideStorage> {
        self.at.checked_add(offset).ok_or(OutsideStorage(self.at))
    }

    /// Loads the doubleword that begins at `offset`.
    #[inline]
    pub(crate) fn load(&self, offset: u64) -> Result<u64, OutsideStorage> {
        self.storage.load_u64(self.address(offset)?)
    }

    #[inline]
    fn store(&self, offset: u64, value: u64) -> Result<(), OutsideStorage> {
        self.storage.store_u64(self.address(offset)?, value)
    }

    /// Records why SAE ends. The code comes last.
    pub(crate) fn record(&self, code: InterceptionCode, data: &[u64; 8]) -> Result<(), OutsideStorage> {
        let mut offset = field::ICPTD;
        for word in data {
            self.store(offset, *word)?;
            offset = offset.wrapping_add(8);
        }
        self.storage.write_bytes(self.address(field::ICPTR)?, &[code.0])
    }

    /// Takes the guest state that lives in the block into the PE.
    pub(crate) fn load_state(&self, state: &mut State) -> Result<(), OutsideStorage> {
        doublewords!(self, state, load);
        for (n, x) in (0_u8..31).zip(&mut state.x) {
            *x = self.load(field::gpr(n).unwrap_or(field::GPR))?;
        }
        for (n, lr) in (0_u8..).zip(&mut state.sys.ich_lr_el2) {
            *lr = self.load(field::ich_lr(n).unwrap_or(field::ICH_LR))?;
        }
        // Two words in one doubleword: the physical timer's is the upper.
        let controls = self.load(field::CNTP_CTL)?;
        state.sys.cntp_ctl_el0 = controls >> 32;
        state.sys.cntv_ctl_el0 = controls & 0xffff_ffff;
        state.fp.fpcr = low_word(self.load(field::FPCR)?);
        state.fp.fpsr = low_word(self.load(field::FPSR)?);
        set_pstate(state, self.load(field::PSTATE)?);
        state.x[usize::from(SP)] = *bank(state);
        // Coming from EL2 is an exception return: it clears the local monitor. Arm ARM, AArch64.ExceptionReturn.
        state.monitor.open = false;
        Ok(())
    }

    /// Puts the guest state back into the block.
    pub(crate) fn store_state(&self, state: &mut State) -> Result<(), OutsideStorage> {
        *bank(state) = state.x[usize::from(SP)];
        doublewords!(self, state, store);
        for (n, x) in (0_u8..31).zip(&state.x) {
            self.store(field::gpr(n).unwrap_or(field::GPR), *x)?;
        }
        for (n, lr) in (0_u8..).zip(&state.sys.ich_lr_el2) {
            self.store(field::ich_lr(n).unwrap_or(field::ICH_LR), *lr)?;
        }
        let controls = (state.sys.cntp_ctl_el0 << 32) | (state.sys.cntv_ctl_el0 & 0xffff_ffff);
        self.store(field::CNTP_CTL, controls)?;
        self.store(field::FPCR, u64::from(state.fp.fpcr))?;
        self.store(field::FPSR, u64::from(state.fp.fpsr))?;
        self.store(field::PSTATE, get_pstate(state))
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

fn get_pstate(state: &State) -> u64 {
    let on = |state: bool, bit: u64| if state { bit } else { 0 };
    let mode = &state.mode;
    let level = if mode.el == 0 { 0 } else { 0x4 | on(mode.sp_elx, pstate::SP) };
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
