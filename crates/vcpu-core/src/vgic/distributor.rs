//! The distributor's registers, `GICD_*`. GIC ch. 12.9.

use super::frame::{self, Register};
use super::lists::spi_of;
use super::{Gic, Line, SPI_BANKS, Spi};
use crate::state::VcpuSet;
use arm_arch::bits;
use arm_arch::gic::distributor::{
    CLRSPI_NSR, CTLR, GicdCtlr, GicdIrouter, GicdSpi, GicdTyper, IIDR, SETSPI_NSR, TYPER,
};
use arm_arch::gic::frame::GicIidr;
use xarch_abi::AccessSize;

/// `GICD_CTLR`: DS and ARE are read-as-one; RWP never shows, as writes take effect at once.
const CTLR_FIXED: GicdCtlr = GicdCtlr::new().with_ds(true).with_are(true);
/// `GICD_TYPER`: ITLinesNumber 8 (INTIDs to 287), MBIS, IDbits 9 (ten bits), A3V; no RSS, LPIS or No1N.
const TYPER_VALUE: GicdTyper =
    GicdTyper::new().with_it_lines_number(8).with_mbis(true).with_idbits(9).with_a3v(true);
/// `GICD_IIDR` and `GICR_IIDR`: ProductID 'x', no JEP106 code (CHOICE: software looks here for errata only).
pub(super) const IIDR_VALUE: GicIidr = GicIidr::new().with_product_id(b'x');

const _: () = assert!(CTLR_FIXED.into_bits() == 0x50 && TYPER_VALUE.into_bits() == 0x0149_0008);
const _: () = assert!(IIDR_VALUE.into_bits() == 0x7800_0000);
const _: () = assert!(SPI_BANKS == 8, "ITLinesNumber");

/// `GICD_CTLR` of which groups are forwarded: what there is to write of it.
pub(super) const fn groups(control: GicdCtlr) -> GicdCtlr {
    GicdCtlr::new().with_enable_grp0(control.enable_grp0()).with_enable_grp1(control.enable_grp1())
}

impl<const N: usize> Gic<N> {
    pub(super) fn read_distributor(&self, offset: u32, size: AccessSize) -> u64 {
        if let Some(intid) = GicdIrouter::intid(offset) {
            let router = self.router(intid).unwrap_or_default();
            return frame::part(router.into_bits(), offset, size).unwrap_or(0);
        }
        match frame::decode(offset, size) {
            Some(Register::Bits(field, bank)) => {
                self.spi_bank(bank).map_or(0, |state| u64::from(state.read(field)))
            }
            Some(Register::Config(bank, half)) => {
                self.spi_bank(bank).map_or(0, |state| u64::from(state.read_config(half)))
            }
            Some(Register::Priority(first)) => {
                self.spi_bank(first >> 5).map_or(0, |state| state.read_priority(first & 31, size.bytes()))
            }
            None if size == AccessSize::Word => u64::from(self.read_control(offset)),
            None => 0,
        }
    }

    pub(super) fn write_distributor(&mut self, offset: u32, size: AccessSize, value: u64) -> VcpuSet {
        if let Some(intid) = GicdIrouter::intid(offset) {
            return self.write_router(intid, offset, size, value);
        }
        let word = bits::trunc32(value);
        match frame::decode(offset, size) {
            Some(Register::Bits(field, bank)) => {
                self.write_spi_bank(bank, |state| state.write(field, word, u32::MAX))
            }
            Some(Register::Config(bank, half)) => {
                self.write_spi_bank(bank, |state| state.write_config(half, word))
            }
            Some(Register::Priority(first)) => {
                self.write_spi_bank(first >> 5, |state| state.write_priority(first & 31, size.bytes(), value))
            }
            None if size == AccessSize::Word => self.write_control(offset, word),
            None => VcpuSet::EMPTY,
        }
    }

    fn read_control(&self, offset: u32) -> u32 {
        match offset {
            CTLR => CTLR_FIXED.into_bits() | self.groups.into_bits(),
            TYPER => TYPER_VALUE.into_bits(),
            IIDR => IIDR_VALUE.into_bits(),
            frame::PIDR2 => frame::PIDR2_VALUE,
            _ => 0,
        }
    }

    fn write_control(&mut self, offset: u32, value: u32) -> VcpuSet {
        match offset {
            CTLR => {
                let before = core::mem::replace(&mut self.groups, groups(GicdCtlr::from_bits(value)));
                if before == self.groups { VcpuSet::EMPTY } else { VcpuSet::first_of(self.vcpus) }
            }
            SETSPI_NSR => self.message_about(GicdSpi::from_bits(value), Line::High),
            CLRSPI_NSR => self.message_about(GicdSpi::from_bits(value), Line::Low),
            _ => VcpuSet::EMPTY,
        }
    }

    fn message_about(&mut self, message: GicdSpi, line: Line) -> VcpuSet {
        Spi::new(u32::from(message.intid())).map_or(VcpuSet::EMPTY, |spi| self.message(spi, line))
    }

    /// Bank 0 belongs to the redistributors and reads as zero here, as affinity routing is on.
    fn spi_bank(&self, bank: u32) -> Option<&super::Bank> {
        self.spis.get(spi_index(bank)?)
    }

    fn write_spi_bank(&mut self, bank: u32, write: impl FnOnce(&mut super::Bank) -> u32) -> VcpuSet {
        let Some(index) = spi_index(bank) else { return VcpuSet::EMPTY };
        match self.spis.get_mut(index).map(write) {
            Some(touched) => self.concerned(index, touched),
            None => VcpuSet::EMPTY,
        }
    }

    fn router(&self, intid: u32) -> Option<GicdIrouter> {
        let (bank, number) = spi_of(intid)?;
        Some(self.route(bank, number)?.router)
    }

    fn write_router(&mut self, intid: u32, offset: u32, size: AccessSize, value: u64) -> VcpuSet {
        let Some((bank, number)) = spi_of(intid) else { return VcpuSet::EMPTY };
        let Some(route) = self.route_mut(bank, number) else { return VcpuSet::EMPTY };
        let Some(value) = frame::with_part(route.router.into_bits(), offset, size, value) else {
            return VcpuSet::EMPTY;
        };
        route.router = GicdIrouter::from_bits(value).sanitised();
        self.retarget(bank, number)
    }
}

fn spi_index(bank: u32) -> Option<usize> {
    let index = bits::index(u64::from(bank.checked_sub(1)?));
    (index < SPI_BANKS).then_some(index)
}
