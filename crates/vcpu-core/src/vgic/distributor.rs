//! The distributor's registers, `GICD_*`. GIC ch. 12.9.

use super::frame::{self, Register};
use super::{Gic, Line, ROUTER_AFFINITY, ROUTER_ANY, SPI_BANKS, Spi};
use crate::state::VcpuSet;
use arm_arch::bits;
use xarch_abi::AccessSize;

const CTLR: u32 = 0x0000;
const TYPER: u32 = 0x0004;
const IIDR: u32 = 0x0008;
const SETSPI_NSR: u32 = 0x0040;
const CLRSPI_NSR: u32 = 0x0048;
const IROUTER: core::ops::RangeInclusive<u32> = 0x6100..=0x68ff;

/// `GICD_CTLR`: DS and ARE are read-as-one; RWP never shows, as writes take effect at once.
const CTLR_FIXED: u32 = 1 << 6 | 1 << 4;
/// `GICD_CTLR`: EnableGrp1 and EnableGrp0.
const CTLR_GROUPS: u32 = 0b11;
/// `GICD_TYPER`: ITLinesNumber 8 (INTIDs to 287), MBIS, IDbits 9 (ten bits), A3V; no RSS, LPIS or No1N.
const TYPER_VALUE: u32 = 1 << 24 | 9 << 19 | 1 << 16 | 8;
/// `GICD_IIDR` and `GICR_IIDR`: ProductID 'x', no JEP106 code (CHOICE: software looks here for errata only).
pub(super) const IIDR_VALUE: u32 = 0x7800_0000;

impl<const N: usize> Gic<N> {
    pub(super) fn read_distributor(&self, offset: u32, size: AccessSize) -> u64 {
        if IROUTER.contains(&offset) {
            let router = self.router(offset).unwrap_or(0);
            return frame::part(router, offset, size).unwrap_or(0);
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
        if IROUTER.contains(&offset) {
            return self.write_router(offset, size, value);
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
            CTLR => CTLR_FIXED | self.groups,
            TYPER => TYPER_VALUE,
            IIDR => IIDR_VALUE,
            offset if offset == frame::PIDR2.0 => frame::PIDR2.1,
            _ => 0,
        }
    }

    fn write_control(&mut self, offset: u32, value: u32) -> VcpuSet {
        match offset {
            CTLR => {
                let before = core::mem::replace(&mut self.groups, value & CTLR_GROUPS);
                if before == self.groups { VcpuSet::EMPTY } else { VcpuSet::first_of(self.vcpus) }
            }
            SETSPI_NSR => Spi::new(value & 0x3ff).map_or(VcpuSet::EMPTY, |spi| self.message(spi, Line::High)),
            CLRSPI_NSR => Spi::new(value & 0x3ff).map_or(VcpuSet::EMPTY, |spi| self.message(spi, Line::Low)),
            _ => VcpuSet::EMPTY,
        }
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

    fn router(&self, offset: u32) -> Option<u64> {
        let (bank, number) = routed(offset)?;
        Some(self.route(bank, number)?.router)
    }

    fn write_router(&mut self, offset: u32, size: AccessSize, value: u64) -> VcpuSet {
        let Some((bank, number)) = routed(offset) else { return VcpuSet::EMPTY };
        let Some(route) = self.route_mut(bank, number) else { return VcpuSet::EMPTY };
        let Some(value) = frame::with_part(route.router, offset, size, value) else {
            return VcpuSet::EMPTY;
        };
        route.router = value & (ROUTER_ANY | ROUTER_AFFINITY);
        self.retarget(bank, number)
    }
}

fn spi_index(bank: u32) -> Option<usize> {
    let index = bits::index(u64::from(bank.checked_sub(1)?));
    (index < SPI_BANKS).then_some(index)
}

/// Returns bank and number of the SPI whose `GICD_IROUTER` is at `offset`.
fn routed(offset: u32) -> Option<(usize, u32)> {
    let intid = offset.checked_sub(0x6000)? >> 3;
    Some((spi_index(intid >> 5)?, intid & 31))
}
