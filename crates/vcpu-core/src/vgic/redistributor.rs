//! A redistributor's registers, `GICR_*`: the RD frame and, 64 KiB on, the SGI frame. GIC ch. 12.11.

use super::distributor::IIDR_VALUE;
use super::frame::{self, Register};
use super::{Gic, PRIVATE_EDGES, bit};
use crate::state::{VcpuSet, affinity_of};
use arm_arch::bits;
use arm_arch::gic::redistributor::{GicrTyper, GicrWaker, IIDR, SGI_FRAME, TYPER, WAKER};
use arm_arch::gic::{FIRST_PPI, FIRST_SPI};
use xarch_abi::{AccessSize, VcpuIndex};

impl<const N: usize> Gic<N> {
    pub(super) fn read_redistributor(&self, vcpu: VcpuIndex, offset: u32, size: AccessSize) -> u64 {
        let Some(private) = self.private(vcpu) else { return 0 };
        if offset < SGI_FRAME {
            return self.read_rd(vcpu, private.asleep, offset, size);
        }
        match frame::decode(offset.wrapping_sub(SGI_FRAME), size) {
            Some(Register::Bits(field, 0)) => u64::from(private.bank.read(field)),
            Some(Register::Config(0, half)) => u64::from(private.bank.read_config(half)),
            Some(Register::Priority(first)) if first < FIRST_SPI => {
                private.bank.read_priority(first, size.bytes())
            }
            Some(_) | None => 0,
        }
    }

    pub(super) fn write_redistributor(
        &mut self,
        vcpu: VcpuIndex,
        offset: u32,
        size: AccessSize,
        value: u64,
    ) -> VcpuSet {
        let Some(private) = self.private_mut(vcpu) else { return VcpuSet::EMPTY };
        let word = bits::trunc32(value);
        let touched = if offset < SGI_FRAME {
            if offset == WAKER && size == AccessSize::Word {
                private.asleep = GicrWaker::from_bits(word).processor_sleep();
            }
            0
        } else {
            match frame::decode(offset.wrapping_sub(SGI_FRAME), size) {
                Some(Register::Bits(field, 0)) => private.bank.write(field, word, u32::MAX),
                // ICFGR0 is read-only: SGIs are edges.
                Some(Register::Config(0, 1)) => private.bank.write_config(1, word),
                Some(Register::Priority(first)) if first < FIRST_SPI => {
                    private.bank.write_priority(first, size.bytes(), value)
                }
                Some(_) | None => 0,
            }
        };
        if touched == 0 { VcpuSet::EMPTY } else { VcpuSet::one(vcpu) }
    }

    fn read_rd(&self, vcpu: VcpuIndex, asleep: bool, offset: u32, size: AccessSize) -> u64 {
        if offset & !7 == TYPER {
            return frame::part(self.redistributor_type(vcpu), offset, size).unwrap_or(0);
        }
        if size != AccessSize::Word {
            return 0;
        }
        u64::from(match offset {
            IIDR => IIDR_VALUE.into_bits(),
            WAKER => waker(asleep).with_children_asleep(asleep).into_bits(),
            frame::PIDR2 => frame::PIDR2_VALUE,
            _ => 0,
        })
    }

    /// `GICR_TYPER`: affinity, number, and whether it is the last one. No LPIs.
    fn redistributor_type(&self, vcpu: VcpuIndex) -> u64 {
        GicrTyper::new()
            .with_affinity(affinity_of(vcpu))
            .with_processor_number(vcpu.0)
            .with_last(vcpu.0.wrapping_add(1) == self.vcpus)
            .into_bits()
    }
}

/// `GICR_WAKER`, what there is to write of it.
pub(super) const fn waker(asleep: bool) -> GicrWaker {
    GicrWaker::new().with_processor_sleep(asleep)
}

const _: () = assert!(PRIVATE_EDGES == bit(FIRST_PPI) - 1);
