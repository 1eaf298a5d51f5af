//! The distributor's own registers, `GICD_*`; those with a piece for each interrupt are in [`super::frame`].
//! GIC ch. 12, "The GIC Distributor register map".

use super::{Affinity, FIRST_SPI, is_special};
use bitfield_struct::bitfield;

/// Size of the distributor's frame. GIC, "GIC memory-mapped register access".
pub const FRAME_BYTES: u32 = 0x1_0000;

/// Offset of [`GicdCtlr`]. GIC, GICD_CTLR.
pub const CTLR: u32 = 0x0000;
/// Offset of [`GicdTyper`]. GIC, GICD_TYPER.
pub const TYPER: u32 = 0x0004;
/// Offset of [`super::frame::GicIidr`]. GIC, GICD_IIDR.
pub const IIDR: u32 = 0x0008;
/// Offset of [`GicdSpi`] that makes pending. GIC, GICD_SETSPI_NSR.
pub const SETSPI_NSR: u32 = 0x0040;
/// Offset of [`GicdSpi`] that makes not pending. GIC, GICD_CLRSPI_NSR.
pub const CLRSPI_NSR: u32 = 0x0048;

/// `GICD_CTLR`, Distributor Control Register, in its form for one Security state. GIC, GICD_CTLR.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct GicdCtlr {
    /// EnableGrp0, \[0\]: Group 0 is forwarded.
    pub enable_grp0: bool,
    /// EnableGrp1, \[1\]: Group 1 is forwarded.
    pub enable_grp1: bool,
    #[bits(2)]
    __: u8,
    /// ARE, \[4\]: affinity routing is on.
    pub are: bool,
    __: bool,
    /// DS, \[6\]: there is one Security state.
    pub ds: bool,
    /// E1NWF, \[7\]: 1 of N wake-up is on.
    pub e1nwf: bool,
    /// nASSGIreq, \[8\]: SGIs of virtual processing elements have no active state. GICv4.1.
    pub nassgireq: bool,
    #[bits(22)]
    __: u32,
    /// RWP, \[31\]: a write is still taking effect.
    pub rwp: bool,
}
const _: () = assert!(GicdCtlr::NASSGIREQ_OFFSET == 8 && GicdCtlr::RWP_OFFSET == 31);

/// `GICD_TYPER`, Interrupt Controller Type Register. GIC, GICD_TYPER.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct GicdTyper {
    /// ITLinesNumber, \[4:0\]: banks of thirty-two SPIs.
    #[bits(5)]
    pub it_lines_number: u8,
    /// CPUNumber, \[7:5\]: elements without affinity routing, less one.
    #[bits(3)]
    pub cpu_number: u8,
    /// ESPI, \[8\]: there are extended SPIs.
    pub espi: bool,
    /// NMI, \[9\]: there is superpriority. FEAT_GICv3_NMI.
    pub nmi: bool,
    /// SecurityExtn, \[10\]: there are two Security states.
    pub security_extn: bool,
    /// num_LPIs, \[15:11\]: log2 of the LPIs, less one; 0: as IDbits says.
    #[bits(5)]
    pub num_lpis: u8,
    /// MBIS, \[16\]: messages make SPIs pending.
    pub mbis: bool,
    /// LPIS, \[17\]: there are LPIs.
    pub lpis: bool,
    /// DVIS, \[18\]: virtual LPIs are injected directly. GICv4.
    pub dvis: bool,
    /// IDbits, \[23:19\]: bits of an interrupt number, less one.
    #[bits(5)]
    pub idbits: u8,
    /// A3V, \[24\]: affinity level 3 may be non-zero.
    pub a3v: bool,
    /// No1N, \[25\]: there is no 1 of N routing.
    pub no1n: bool,
    /// RSS, \[26\]: SGIs reach Aff0 up to 255.
    pub rss: bool,
    /// ESPI_range, \[31:27\]: banks of thirty-two extended SPIs, less one.
    #[bits(5)]
    pub espi_range: u8,
}
const _: () = assert!(GicdTyper::MBIS_OFFSET == 16 && GicdTyper::ESPI_RANGE_OFFSET == 27);

/// `GICD_SETSPI_NSR` and `GICD_CLRSPI_NSR`: a message about an SPI. GIC, GICD_SETSPI_NSR.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct GicdSpi {
    /// INTID, \[12:0\]: the SPI.
    #[bits(13)]
    pub intid: u16,
    #[bits(19)]
    __: u32,
}
const _: () = assert!(GicdSpi::INTID_BITS == 13);

/// `GICD_IROUTER<n>`, Interrupt Routing Registers. GIC, `GICD_IROUTER<n>`.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct GicdIrouter {
    /// Aff0, \[7:0\]: affinity level 0.
    pub aff0: u8,
    /// Aff1, \[15:8\]: affinity level 1.
    pub aff1: u8,
    /// Aff2, \[23:16\]: affinity level 2.
    pub aff2: u8,
    #[bits(7)]
    __: u8,
    /// Interrupt_Routing_Mode, \[31\]: to any element that takes part, affinity aside.
    pub interrupt_routing_mode: bool,
    /// Aff3, \[39:32\]: affinity level 3.
    pub aff3: u8,
    #[bits(24)]
    __: u32,
}
const _: () = assert!(GicdIrouter::AFF3_OFFSET == 32);

impl GicdIrouter {
    /// Offset at which that of interrupt 0 would be; the first there is belongs to the first SPI.
    /// GIC, `GICD_IROUTER<n>`.
    pub const OFFSET: u32 = 0x6000;

    /// Returns the interrupt whose register the byte at `offset` is part of. GIC, `GICD_IROUTER<n>`.
    #[must_use]
    pub const fn intid(offset: u32) -> Option<u32> {
        match offset.checked_sub(Self::OFFSET) {
            Some(bytes) => match bytes >> 3 {
                intid @ FIRST_SPI..=1023 if !is_special(intid) => Some(intid),
                _ => None,
            },
            None => None,
        }
    }

    /// Returns the affinity that the register names; without meaning while `interrupt_routing_mode` is set.
    /// GIC, `GICD_IROUTER<n>`.
    #[must_use]
    pub const fn affinity(self) -> Affinity {
        Affinity { aff3: self.aff3(), aff2: self.aff2(), aff1: self.aff1(), aff0: self.aff0() }
    }

    /// Returns the register without its reserved bits. GIC, `GICD_IROUTER<n>`.
    #[must_use]
    pub const fn sanitised(self) -> Self {
        let to = self.affinity();
        Self::new()
            .with_aff0(to.aff0)
            .with_aff1(to.aff1)
            .with_aff2(to.aff2)
            .with_aff3(to.aff3)
            .with_interrupt_routing_mode(self.interrupt_routing_mode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        let control = GicdCtlr::from_bits(0x8000_0052);
        assert!(control.rwp() && control.ds() && control.are() && control.enable_grp1());
        assert!(!control.enable_grp0() && !control.e1nwf() && !control.nassgireq());
        let control = GicdCtlr::from_bits(0x181);
        assert!(control.enable_grp0() && control.e1nwf() && control.nassgireq() && !control.enable_grp1());

        // 288 interrupts, messages, numbers of ten bits, affinity level 3.
        let typer = GicdTyper::from_bits(0x0149_0008);
        assert_eq!((typer.it_lines_number(), typer.idbits(), typer.num_lpis()), (8, 9, 0));
        assert!(typer.mbis() && typer.a3v() && !typer.lpis() && !typer.rss() && !typer.no1n());
        // The rest of it.
        let typer = GicdTyper::from_bits(0x1e06_7fe0);
        assert_eq!((typer.espi_range(), typer.num_lpis(), typer.cpu_number()), (3, 15, 7));
        assert!(typer.rss() && typer.no1n() && typer.dvis() && typer.lpis());
        assert!(typer.security_extn() && typer.nmi() && typer.espi() && !typer.mbis() && !typer.a3v());

        assert_eq!(GicdSpi::from_bits(0xffff_e021).intid(), 33);
        assert_eq!(GicdSpi::from_bits(0x1421).intid(), 0x1421);
    }

    #[test]
    fn a_route_is_an_affinity_or_any() {
        let route = GicdIrouter::from_bits(0x0000_0004_0003_0201);
        assert_eq!(route.affinity(), Affinity { aff3: 4, aff2: 3, aff1: 2, aff0: 1 });
        assert!(!route.interrupt_routing_mode());
        assert!(GicdIrouter::from_bits(0x8000_0000).interrupt_routing_mode());
        assert_eq!(GicdIrouter::from_bits(u64::MAX).sanitised().into_bits(), 0x0000_00ff_80ff_ffff);
    }

    #[test]
    fn routes_are_of_spis() {
        const CASES: &[(&str, u32, Option<u32>)] = &[
            ("where those of PPIs would be", 0x60ff, None),
            ("the first SPI", 0x6100, Some(32)),
            ("its upper half", 0x6104, Some(32)),
            ("the second", 0x6108, Some(33)),
            ("the last", 0x7fd8, Some(1019)),
            ("a special number", 0x7fe0, None),
            ("extended SPIs have their own", 0x8000, None),
            ("below", 0x5fff, None),
        ];
        for (name, offset, want) in CASES {
            assert_eq!(GicdIrouter::intid(*offset), *want, "{name}");
        }
    }
}
