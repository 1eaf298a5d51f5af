//! The SAE control block: state description of one Arm vCPU. SAE control block (Linux s390 arm64 KVM series).
//!
//! Multi-byte fields are big-endian, those that hold Arm registers too. A host or a model reaches a block that
//! lies in absolute storage field by field through the offsets in [`field`]; [`ControlBlock`] is the same layout
//! as a value, and the two are asserted equal.

use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// One state description, 4 KiB on a 4 KiB boundary in absolute storage.
///
/// Field docs say who writes: H the host, G the guest and the host, O the facility.
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ControlBlock {
    /// Reserved, zero.
    pub _000: [u8; 0x80],
    /// Interception code (O); the host stores zero before each SAE.
    pub icptr: u8,
    /// Reserved.
    pub _081: [u8; 7],
    /// System-control-area designation (H); meaning inferred. CHOICE: equal values make one VM.
    pub scad: U64,
    /// Reserved; the Linux series' comment for this place is 0x20 off.
    pub _090: [u8; 0x80],
    /// CNTP_CTL_EL0 (G).
    pub cntp_ctl: U32,
    /// CNTV_CTL_EL0 (G).
    pub cntv_ctl: U32,
    /// Interruption control (H); bits not published.
    pub irq_ctl: u8,
    /// Reserved.
    pub _119: [u8; 7],
    /// ICH_HCR_EL2 (G).
    pub ich_hcr_el2: U64,
    /// ICH_VMCR_EL2 (G).
    pub ich_vmcr_el2: U64,
    /// ICH_AP0R0_EL2 (G).
    pub ich_ap0r0_el2: U64,
    /// ICH_AP1R0_EL2 (G).
    pub ich_ap1r0_el2: U64,
    /// Reserved; inferred: room for further active-priority registers.
    pub _140: [U64; 2],
    /// ICH_LR0_EL2 to ICH_LR3_EL2 (G).
    pub ich_lr_el2: [U64; 4],
    /// Reserved; inferred: room for further list registers.
    pub _170: [U64; 4],
    /// Reserved.
    pub _190: [U64; 12],
    /// CONTEXTIDR_EL1 (G).
    pub contextidr_el1: U64,
    /// Not used by the Linux series; meaning not published.
    pub wip: U32,
    /// Reserved.
    pub _1fc: [u8; 4],
    /// State-description format (H); only 0 is defined.
    pub sdf: u8,
    /// Reserved.
    pub _201: [u8; 7],
    /// Main-storage origin (H).
    pub mso: U64,
    /// Main-storage limit (H); whether it is inclusive is not published.
    pub msl: U64,
    /// ASCE of the host's tables (H): what translates guest-physical addresses.
    pub hbasce: U64,
    /// Reserved.
    pub _220: [u8; 8],
    /// Guest physical time offset (H), from PTFF QAGTO.
    pub gpto: U64,
    /// Interception controls (H); inferred, bits not published.
    pub ic: U64,
    /// Execution controls (H); inferred, bits not published.
    pub ec: U64,
    /// Absolute address of the save area (H).
    pub save_area: U64,
    /// Reserved.
    pub _248: [U64; 7],
    /// Reserved.
    pub _280: [u8; 6],
    /// Inferred: address of the CPU that ran this block last.
    pub lrcpua: U16,
    /// PSTATE (G), in the format of an SPSR.
    pub pstate: U64,
    /// PC (G).
    pub pc: U64,
    /// SP_EL0 (G).
    pub sp_el0: U64,
    /// SP_EL1 (G).
    pub sp_el1: U64,
    /// Reserved.
    pub _2a8: [u8; 8],
    /// FPCR (G).
    pub fpcr: U64,
    /// FPSR (G).
    pub fpsr: U64,
    /// SVE predicates P0 to P15 (G), 16 bits each: the vector length is 128 bits.
    pub sve_pregs: [U16; 16],
    /// SVE first-fault register (G).
    pub sve_ffr: U16,
    /// Reserved.
    pub _2e2: [u8; 6],
    /// Reserved.
    pub _2e8: [U64; 3],
    /// X0 to X30 (G).
    pub gpr: [U64; 31],
    /// Reserved: the place that register 31 would have.
    pub _3f8: [u8; 8],
    /// Interception data (O): raw, see [`super::Interception`] for what each code makes of it.
    pub icptd: [U64; 8],
    /// Reserved.
    pub _440: [U64; 376],
}

impl ControlBlock {
    /// Returns a block of zeros, from which a host starts.
    #[must_use]
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }
}

/// How many list registers the block has room for in its published part.
pub const LIST_REGISTERS: u64 = 4;

/// Declares the offset of each field and asserts that it is where [`ControlBlock`] has it.
macro_rules! fields {
    ($( $(#[$doc:meta])* $constant:ident = $offset:literal, $field:ident: $bytes:literal; )+) => {
        /// Byte offsets of the fields from the start of the block.
        pub mod field {
            $( $(#[$doc])* pub const $constant: u64 = $offset; )+

            /// Returns the offset of X`n`; `None` for `n` above 30.
            #[must_use]
            pub const fn gpr(n: u8) -> Option<u64> {
                super::element(GPR, 8, 31, n)
            }

            /// Returns the offset of ICH_LR`n`_EL2; `None` for `n` above 3.
            #[must_use]
            pub const fn ich_lr(n: u8) -> Option<u64> {
                super::element(ICH_LR, 8, 4, n)
            }

            /// Returns the offset of doubleword `n` of the interception data; `None` for `n` above 7.
            #[must_use]
            pub const fn icptd(n: u8) -> Option<u64> {
                super::element(ICPTD, 8, 8, n)
            }

            /// Returns the offset of SVE predicate P`n`; `None` for `n` above 15.
            #[must_use]
            pub const fn sve_preg(n: u8) -> Option<u64> {
                super::element(SVE_PREGS, 2, 16, n)
            }
        }

        $(
            const _: () = {
                assert!(core::mem::offset_of!(ControlBlock, $field) == $offset);
                assert!(bytes_of(|block| &block.$field) == $bytes);
            };
        )+
    };
}

/// Returns the offset of element `n` of an array field, where `n` is less than its length.
const fn element(start: u64, bytes: u64, length: u8, n: u8) -> Option<u64> {
    if n >= length {
        return None;
    }
    let mut offset = start;
    let mut passed = 0_u8;
    while passed < n {
        offset = offset.wrapping_add(bytes);
        passed = passed.wrapping_add(1);
    }
    Some(offset)
}

/// Returns the size of what a field projection yields; only its type is used.
const fn bytes_of<T>(_: fn(&ControlBlock) -> &T) -> usize {
    size_of::<T>()
}

fields! {
    /// Interception code, 1 byte.
    ICPTR = 0x080, icptr: 1;
    /// System-control-area designation, 8 bytes.
    SCAD = 0x088, scad: 8;
    /// CNTP_CTL_EL0, 4 bytes; shares a doubleword with `CNTV_CTL`.
    CNTP_CTL = 0x110, cntp_ctl: 4;
    /// CNTV_CTL_EL0, 4 bytes.
    CNTV_CTL = 0x114, cntv_ctl: 4;
    /// Interruption control, 1 byte.
    IRQ_CTL = 0x118, irq_ctl: 1;
    /// ICH_HCR_EL2, 8 bytes.
    ICH_HCR = 0x120, ich_hcr_el2: 8;
    /// ICH_VMCR_EL2, 8 bytes.
    ICH_VMCR = 0x128, ich_vmcr_el2: 8;
    /// ICH_AP0R0_EL2, 8 bytes.
    ICH_AP0R0 = 0x130, ich_ap0r0_el2: 8;
    /// ICH_AP1R0_EL2, 8 bytes.
    ICH_AP1R0 = 0x138, ich_ap1r0_el2: 8;
    /// ICH_LR0_EL2, first of four of 8 bytes.
    ICH_LR = 0x150, ich_lr_el2: 32;
    /// CONTEXTIDR_EL1, 8 bytes.
    CONTEXTIDR_EL1 = 0x1f0, contextidr_el1: 8;
    /// Not published, 4 bytes.
    WIP = 0x1f8, wip: 4;
    /// State-description format, 1 byte.
    SDF = 0x200, sdf: 1;
    /// Main-storage origin, 8 bytes.
    MSO = 0x208, mso: 8;
    /// Main-storage limit, 8 bytes.
    MSL = 0x210, msl: 8;
    /// ASCE of the host's tables, 8 bytes.
    HBASCE = 0x218, hbasce: 8;
    /// Guest physical time offset, 8 bytes.
    GPTO = 0x228, gpto: 8;
    /// Interception controls, 8 bytes.
    IC = 0x230, ic: 8;
    /// Execution controls, 8 bytes.
    EC = 0x238, ec: 8;
    /// Address of the save area, 8 bytes.
    SAVE_AREA = 0x240, save_area: 8;
    /// Last-run CPU address, 2 bytes.
    LRCPUA = 0x286, lrcpua: 2;
    /// PSTATE, 8 bytes.
    PSTATE = 0x288, pstate: 8;
    /// PC, 8 bytes.
    PC = 0x290, pc: 8;
    /// SP_EL0, 8 bytes.
    SP_EL0 = 0x298, sp_el0: 8;
    /// SP_EL1, 8 bytes.
    SP_EL1 = 0x2a0, sp_el1: 8;
    /// FPCR, 8 bytes.
    FPCR = 0x2b0, fpcr: 8;
    /// FPSR, 8 bytes.
    FPSR = 0x2b8, fpsr: 8;
    /// SVE predicate P0, first of sixteen of 2 bytes.
    SVE_PREGS = 0x2c0, sve_pregs: 32;
    /// SVE first-fault register, 2 bytes.
    SVE_FFR = 0x2e0, sve_ffr: 2;
    /// X0, first of 31 of 8 bytes.
    GPR = 0x300, gpr: 248;
    /// Interception data, eight doublewords.
    ICPTD = 0x400, icptd: 64;
}

// The holes: a wrong length of one would be made good by another, so each is asserted too.
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<ControlBlock>() == 0x1000);
    assert!(offset_of!(ControlBlock, _000) == 0x000);
    assert!(offset_of!(ControlBlock, _081) == 0x081);
    assert!(offset_of!(ControlBlock, _090) == 0x090);
    assert!(offset_of!(ControlBlock, _119) == 0x119);
    assert!(offset_of!(ControlBlock, _140) == 0x140);
    assert!(offset_of!(ControlBlock, _170) == 0x170);
    assert!(offset_of!(ControlBlock, _190) == 0x190);
    assert!(offset_of!(ControlBlock, _1fc) == 0x1fc);
    assert!(offset_of!(ControlBlock, _201) == 0x201);
    assert!(offset_of!(ControlBlock, _220) == 0x220);
    assert!(offset_of!(ControlBlock, _248) == 0x248);
    assert!(offset_of!(ControlBlock, _280) == 0x280);
    assert!(offset_of!(ControlBlock, _2a8) == 0x2a8);
    assert!(offset_of!(ControlBlock, _2e2) == 0x2e2);
    assert!(offset_of!(ControlBlock, _2e8) == 0x2e8);
    assert!(offset_of!(ControlBlock, _3f8) == 0x3f8);
    assert!(offset_of!(ControlBlock, _440) == 0x440);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stop_at_the_end_of_their_array() {
        assert_eq!(field::gpr(0), Some(0x300));
        assert_eq!(field::gpr(30), Some(0x3f0));
        assert_eq!(field::gpr(31), None);
        assert_eq!(field::ich_lr(3), Some(0x168));
        assert_eq!(field::ich_lr(4), None);
        assert_eq!(field::icptd(7), Some(0x438));
        assert_eq!(field::icptd(8), None);
        assert_eq!(field::sve_preg(15), Some(0x2de));
        assert_eq!(field::sve_preg(16), None);
    }

    #[test]
    fn fields_are_big_endian_at_their_offsets_on_every_host() {
        let mut block = ControlBlock::zeroed();
        block.pc = U64::new(0x0123_4567_89ab_cdef);
        block.cntv_ctl = U32::new(1);
        let bytes = block.as_bytes();
        assert_eq!(bytes[0x290..0x298], [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]);
        assert_eq!(bytes[0x110..0x118], [0, 0, 0, 0, 0, 0, 0, 1]);
    }
}
