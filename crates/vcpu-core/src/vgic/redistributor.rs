//! A redistributor's registers, `GICR_*`: the RD frame and, 64 KiB on, the SGI frame. GIC ch. 12.11.

use super::distributor::IIDR_VALUE;
use super::frame::{self, Register};
use super::{Gic, PRIVATE_EDGES, bit};
use crate::state::{VcpuSet, affinity_of};
use arm_arch::bits;
use xarch_abi::{AccessSize, VcpuIndex};

const SGI_FRAME: u32 = 0x1_0000;
const IIDR: u32 = 0x0004;
const TYPER: u32 = 0x0008;
const WAKER: u32 = 0x0014;
/// `GICR_WAKER`.ProcessorSleep.
const PROCESSOR_SLEEP: u32 = 1 << 1;
/// `GICR_WAKER`.ChildrenAsleep.
const CHILDREN_ASLEEP: u32 = 1 << 2;

impl<const N: usize> Gic<N> {
    pub(super) fn read_redistributor(&self, vcpu: VcpuIndex, offset: u32, size: AccessSize) -> u64 {
        let Some(private) = self.private(vcpu) else { return 0 };
        if offset < SGI_FRAME {
            return self.read_rd(vcpu, private.asleep, offset, size);
        }
        match frame::decode(offset & 0xffff, size) {
            Some(Register::Bits(field, 0)) => u64::from(private.bank.read(field)),
            Some(Register::Config(0, half)) => u64::from(private.bank.read_config(half)),
            Some(Register::Priority(first)) if first < 32 => private.bank.read_priority(first, size.bytes()),
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
                private.asleep = word & PROCESSOR_SLEEP != 0;
            }
            0
        } else {
            match frame::decode(offset & 0xffff, size) {
                Some(Register::Bits(field, 0)) => private.bank.write(field, word, u32::MAX),
                // ICFGR0 is read-only: SGIs are edges.
                Some(Register::Config(0, 1)) => private.bank.write_config(1, word),
                Some(Register::Priority(first)) if first < 32 => {
                    private.bank.write_priority(first, size.bytes(), value)
                }
                Some(_) | None => 0,
            }
        };
        if touched == 0 { VcpuSet::EMPTY } else { VcpuSet::one(vcpu) }
    }

    fn read_rd(&self, vcpu: VcpuIndex, asleep: bool, offset: u32, size: AccessSize) -> u64 {
        if let TYPER..=0xf = offset {
            return frame::part(self.redistributor_type(vcpu), offset, size).unwrap_or(0);
        }
        if size != AccessSize::Word {
            return 0;
        }
        u64::from(match offset {
            IIDR => IIDR_VALUE,
            WAKER if asleep => PROCESSOR_SLEEP | CHILDREN_ASLEEP,
            offset if offset == frame::PIDR2.0 => frame::PIDR2.1,
            _ => 0,
        })
    }

    /// `GICR_TYPER`: affinity, number, and whether it is the last one. No LPIs.
    fn redistributor_type(&self, vcpu: VcpuIndex) -> u64 {
        let affinity = affinity_of(vcpu);
        let last = u64::from(vcpu.0.wrapping_add(1) == self.vcpus);
        u64::from(u32::from_be_bytes([affinity.aff3, affinity.aff2, affinity.aff1, affinity.aff0])) << 32
            | u64::from(vcpu.0) << 8
            | last << 4
    }
}

const _: () = assert!(PRIVATE_EDGES == bit(16) - 1);
