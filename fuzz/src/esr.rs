//! `esr`: syndromes, PAR_EL1, and what a load or store to a device was.
//!
//! For any value of a register:
//!
//! - every syndrome decodes; encoding gives class and ISS back, with IL 1 and ISS2 0, and decoding that the same syndrome;
//! - fields lie within the register and do not overlap, their values are the register's, and what is in none is reserved;
//! - the text of everything can be written, and is not empty;
//! - statuses, abort syndromes with their transfers, SError in `ESR`, `VSESR_EL2` and `DISR_EL1`, system accesses, and
//!   `PAR_EL1` decode to what they were made of; a transfer is there exactly with ISV;
//! - a device access has a size of 1 to 8 bytes, keeps the page offset of FAR and the page of HPFAR, and what a register
//!   gets back of what it stored is the same bytes, in both byte orders.

use crate::bits::mask;
use crate::codec::{Codec, Input, arbitrary_input};
use arbitrary::{Arbitrary, Unstructured};
use arm_arch::iss::{
    ByteOrder, DataAbort, Direction, Disr, InstructionAbort, MmioAccess, Par, SError, Syndrome, SystemAccess,
    VsesrEl2, fields, reserved,
};
use arm_arch::{EsrEl, ExceptionClass, FaultStatus, SysRegId};
use std::fmt::{Display, Write};

/// An input.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// `ESR_ELx`.
    pub esr: u64,
    /// `FAR_ELx`.
    pub far: u64,
    /// `HPFAR_EL2`.
    pub hpfar: u64,
    /// `PAR_EL1`.
    pub par: u64,
    /// A register of the guest.
    pub data: u64,
}

impl Input for Case {
    fn fields<C: Codec>(&mut self, codec: &mut C) {
        for word in [&mut self.esr, &mut self.far, &mut self.hpfar, &mut self.par, &mut self.data] {
            codec.word(word);
        }
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
    input.len() >= 8
}

impl Case {
    /// Asserts everything.
    ///
    /// # Panics
    ///
    /// On a finding.
    pub fn check(&self) {
        let esr = EsrEl::from_bits(self.esr);
        assert_eq!(esr.into_bits(), self.esr);
        let syndrome = Syndrome::decode(esr);
        let encoded = syndrome.encode();
        assert_eq!(encoded, EsrEl::of(esr.ec(), esr.iss()), "{syndrome:?}");
        assert_eq!(encoded.into_bits(), self.esr & 0xfdff_ffff | 1 << 25, "{syndrome:?}");
        assert_eq!(Syndrome::decode(encoded), syndrome);
        written(&esr);
        written(&syndrome);
        layout(esr);
        self.statuses();
        self.aborts();
        self.par();
        self.device(esr);
    }

    fn statuses(&self) {
        for code in 0..64 {
            if let Some(status) = FaultStatus::decode(code) {
                assert_eq!(status.encode(), code);
                written(&status);
            }
        }
        let access = SystemAccess {
            id: SysRegId::from_bits(self.data as u16),
            rt: (self.data >> 16) as u8 & 31,
            direction: if self.data >> 21 & 1 == 0 { Direction::Read } else { Direction::Write },
        };
        assert_eq!(SystemAccess::decode(access.encode()), access);
        let esr = EsrEl::of(ExceptionClass::SYSTEM_ACCESS, access.encode());
        assert_eq!(Syndrome::decode(esr), Syndrome::SystemAccess(access));
        let error = SError::from_bits(self.esr as u32 & 0x1ff_ffff);
        let vsesr = VsesrEl2::of(error);
        assert_eq!(vsesr.error(), error);
        assert_eq!(Syndrome::decode(vsesr.syndrome()), Syndrome::SError(error));
        assert_eq!(vsesr.deferred().error(), Some(error));
        // IESB is not of a physical one.
        let kept = if error.ids() { error } else { error.with_iesb(false) };
        assert_eq!(Disr::deferred(error).error(), Some(kept));
        assert_eq!(Disr::from_bits(self.data).error().is_some(), self.data >> 31 & 1 == 1);
    }

    fn aborts(&self) {
        let iss = self.esr as u32 & 0x1ff_ffff;
        let (data, instruction) = (DataAbort::from_bits(iss), InstructionAbort::from_bits(iss));
        assert_eq!(data.status(), FaultStatus::decode(iss as u8 & 0x3f));
        assert_eq!(instruction.status(), data.status());
        assert_eq!(data.transfer().is_some(), iss >> 24 & 1 == 1);
        if let Some(transfer) = data.transfer() {
            assert_eq!(data.with_transfer(transfer), data);
            let once = transfer.loaded(self.data);
            assert_eq!(transfer.loaded(transfer.stored(once)), once, "{transfer:?}");
            assert_eq!(transfer.stored(self.data), self.data & mask(transfer.size.bits()), "{transfer:?}");
        }
        if let Some(status) = data.status() {
            assert_eq!(data.with_status(status), data);
            assert_eq!(instruction.with_status(status), instruction);
        }
    }

    fn par(&self) {
        let par = Par::decode(self.par);
        assert_eq!(par.encode(), self.par);
        written(&par);
        match par {
            Par::Success(_) => {
                let address = par.address(self.far as u16).map(arm_arch::Pa::bits);
                assert_eq!(address, Some(self.par & mask(52) & !0xfff | self.far & 0xfff));
                assert_eq!((self.par & 1, par.status()), (0, None));
            }
            Par::Fault(_) => {
                assert_eq!((self.par & 1, par.address(0)), (1, None));
                assert_eq!(par.status(), FaultStatus::decode((self.par >> 1) as u8 & 0x3f));
            }
        }
    }

    fn device(&self, esr: EsrEl) {
        let Some(access) = MmioAccess::decode(esr, self.far, self.hpfar) else { return };
        let Syndrome::DataAbort(_, abort) = Syndrome::decode(esr) else { panic!("{access:?} of {esr:?}") };
        let Some(transfer) = abort.transfer() else { panic!("{access:?} without ISV") };
        assert_eq!(access.address.bits() & 0xfff, self.far & 0xfff);
        assert_eq!(access.address.bits() >> 12, self.hpfar >> 4 & mask(44));
        let bits = transfer.size.bits();
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let stored = access.stored(self.data, order);
            assert_eq!(stored & !mask(bits), 0, "{access:?}");
            let loaded = access.loaded(stored, order);
            // A register of 32 bits keeps that much.
            let kept = mask(if transfer.wide { bits } else { bits.min(32) });
            assert_eq!(loaded & kept, self.data & kept, "{access:?} {order:?}");
        }
    }
}

/// Fields of a syndrome and what is in none.
fn layout(esr: EsrEl) {
    let mut seen = 0;
    for field in fields(esr) {
        let shown = format!("{field:?}");
        assert!(!shown.is_empty());
        let own = mask(u32::from(field.high + 1 - field.low)) << field.low;
        assert_eq!(seen & own, 0, "{field:?} of {esr:?}");
        assert_eq!(field.value << field.low, esr.into_bits() & own, "{field:?}");
        seen |= own;
    }
    assert_eq!(reserved(esr) & seen, 0, "{esr:?}");
}

fn written(value: &impl Display) {
    let mut text = String::new();
    assert!(write!(text, "{value}").is_ok() && !text.is_empty());
}
