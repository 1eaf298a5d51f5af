//! A redistributor's own registers, `GICR_*`; those with a piece for each interrupt are in [`super::frame`], counted from
//! the SGI frame. GIC ch. 12, "The GIC Redistributor register map".

use super::Affinity;
use bitfield_struct::bitfield;

/// Where the SGI frame begins: the RD frame is before it. GIC, "GIC Redistributor register map".
pub const SGI_FRAME: u32 = 0x1_0000;
/// Size of a redistributor without virtual LPIs: RD frame and SGI frame. GIC, "GIC memory-mapped register access".
pub const BYTES: u32 = 0x2_0000;

/// Offset of [`super::frame::GicIidr`]. GIC, GICR_IIDR.
pub const IIDR: u32 = 0x0004;
/// Offset of [`GicrTyper`]. GIC, GICR_TYPER.
pub const TYPER: u32 = 0x0008;
/// Offset of [`GicrWaker`]. GIC, GICR_WAKER.
pub const WAKER: u32 = 0x0014;

/// `GICR_TYPER`, Redistributor Type Register. GIC, GICR_TYPER.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct GicrTyper {
    /// PLPIS, \[0\]: there are physical LPIs.
    pub plpis: bool,
    /// VLPIS, \[1\]: there are virtual LPIs. GICv4.
    pub vlpis: bool,
    /// Dirty, \[2\]: GICR_VPENDBASER.Dirty exists. GICv4.
    pub dirty: bool,
    /// DirectLPI, \[3\]: LPIs are made pending by writes of registers.
    pub direct_lpi: bool,
    /// Last, \[4\]: the last of a run of redistributors.
    pub last: bool,
    /// DPGS, \[5\]: elements can be left out of 1 of N routing.
    pub dpgs: bool,
    /// MPAM, \[6\]: partitions exist. FEAT_MPAM.
    pub mpam: bool,
    /// RVPEID, \[7\]: virtual elements are known by number. GICv4.1.
    pub rvpeid: bool,
    /// Processor_Number, \[23:8\]: a number that tells the element, unlike any other's.
    pub processor_number: u16,
    /// CommonLPIAff, \[25:24\]: affinity levels that share a configuration of LPIs.
    #[bits(2)]
    pub common_lpi_aff: u8,
    /// VSGI, \[26\]: SGIs of virtual elements are injected directly. GICv4.1.
    pub vsgi: bool,
    /// PPInum, \[31:27\]: extended PPIs: 0 none, 1 to 1087, 2 to 1119.
    #[bits(5)]
    pub ppi_num: u8,
    /// Affinity_Value, \[39:32\]: affinity level 0.
    pub aff0: u8,
    /// Affinity_Value, \[47:40\]: affinity level 1.
    pub aff1: u8,
    /// Affinity_Value, \[55:48\]: affinity level 2.
    pub aff2: u8,
    /// Affinity_Value, \[63:56\]: affinity level 3.
    pub aff3: u8,
}
const _: () = assert!(GicrTyper::PROCESSOR_NUMBER_OFFSET == 8 && GicrTyper::AFF0_OFFSET == 32);

impl GicrTyper {
    /// Returns the register with the element's affinity. GIC, GICR_TYPER.Affinity_Value.
    #[must_use]
    pub const fn with_affinity(self, of: Affinity) -> Self {
        self.with_aff3(of.aff3).with_aff2(of.aff2).with_aff1(of.aff1).with_aff0(of.aff0)
    }
}

/// `GICR_WAKER`, Redistributor Wake Register. GIC, GICR_WAKER.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct GicrWaker {
    /// \[0\]: IMPLEMENTATION DEFINED.
    pub imp_def: bool,
    /// ProcessorSleep, \[1\]: the element sleeps or is about to: interrupts wake it and are held back.
    pub processor_sleep: bool,
    /// ChildrenAsleep, \[2\]: the interface to the element is quiet; read-only.
    pub children_asleep: bool,
    #[bits(28)]
    __: u32,
    /// \[31\]: IMPLEMENTATION DEFINED.
    pub imp_def_high: bool,
}
const _: () = assert!(GicrWaker::IMP_DEF_HIGH_OFFSET == 31);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        // The fourth and last element of the second cluster: no LPIs.
        let typer = GicrTyper::from_bits(0x0000_0103_0000_0710);
        assert!(typer.last() && !typer.plpis() && !typer.vlpis() && !typer.direct_lpi() && !typer.dpgs());
        assert_eq!(typer.processor_number(), 7);
        assert_eq!((typer.aff3(), typer.aff2(), typer.aff1(), typer.aff0()), (0, 0, 1, 3));
        let affinity = Affinity { aff3: 4, aff2: 3, aff1: 2, aff0: 1 };
        assert_eq!(GicrTyper::new().with_affinity(affinity).into_bits(), 0x0403_0201_0000_0000);
        // The rest of it.
        let typer = GicrTyper::from_bits(0x1600_00ef);
        assert!(typer.plpis() && typer.vlpis() && typer.dirty() && typer.direct_lpi() && !typer.last());
        assert!(typer.dpgs() && typer.mpam() && typer.rvpeid() && typer.vsgi());
        assert_eq!((typer.common_lpi_aff(), typer.ppi_num(), typer.processor_number()), (2, 2, 0));

        let waker = GicrWaker::from_bits(6);
        assert!(waker.processor_sleep() && waker.children_asleep() && !waker.imp_def());
        let waker = GicrWaker::from_bits(0x8000_0001);
        assert!(
            waker.imp_def() && waker.imp_def_high() && !waker.processor_sleep() && !waker.children_asleep()
        );
    }
}
