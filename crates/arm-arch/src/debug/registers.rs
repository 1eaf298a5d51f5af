//! `DBGBCR<n>_EL1` and `DBGWCR<n>_EL1`, and what of `MDCR_EL3` debug and profiling depend on.

use bitfield_struct::bitfield;

/// `DBGBCR<n>_EL1`, Debug Breakpoint Control Register. Arm ARM, `DBGBCR<n>_EL1`.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct DbgbcrEl1 {
    /// E, \[0\]: the breakpoint is enabled.
    pub e: bool,
    /// PMC, \[2:1\]: with HMC and SSC: at which levels.
    #[bits(2)]
    pub pmc: u8,
    /// BT2, \[3\]: more of the type. FEAT_ABLE.
    pub bt2: bool,
    __: bool,
    /// BAS, \[8:5\]: which bytes of the word; RES1 without AArch32.
    #[bits(4)]
    pub bas: u8,
    #[bits(4)]
    __: u8,
    /// HMC, \[13\]: higher mode control.
    pub hmc: bool,
    /// SSC, \[15:14\]: security state control.
    #[bits(2)]
    pub ssc: u8,
    /// LBN, \[19:16\]: the breakpoint linked to.
    #[bits(4)]
    pub lbn: u8,
    /// BT, \[23:20\]: type.
    #[bits(4)]
    pub bt: u8,
    /// MASK, \[28:24\]: how many low bits of the address do not count; 1 and 2 are reserved. FEAT_BWE.
    #[bits(5)]
    pub mask: u8,
    /// SSCE, \[29\]: more of SSC. FEAT_RME.
    pub ssce: bool,
    /// LBNX, \[31:30\]: more of LBN. FEAT_Debugv8p9.
    #[bits(2)]
    pub lbnx: u8,
    __: u32,
}
const _: () = assert!(DbgbcrEl1::BT_OFFSET == 20 && DbgbcrEl1::LBNX_OFFSET == 30);

/// `DBGBVR<n>_EL1` of a context breakpoint; CONTEXTIDR_EL2 takes the whole upper half. Arm ARM, `DBGBVR<n>_EL1`.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct DbgbvrContext {
    /// ContextID, \[31:0\]: a value of CONTEXTIDR_EL1, or of a host's CONTEXTIDR_EL2.
    pub context_id: u32,
    /// VMID, \[47:32\]: a virtual machine identifier.
    pub vmid: u16,
    /// \[63:48\]: with VMID, ContextID2.
    pub high: u16,
}
const _: () = assert!(DbgbvrContext::VMID_OFFSET == 32);

impl DbgbvrContext {
    /// Returns ContextID2, \[63:32\]: a value of CONTEXTIDR_EL2. Arm ARM, `DBGBVR<n>_EL1`.
    #[must_use]
    pub const fn context_id2(self) -> u32 {
        crate::bits::high32(self.into_bits())
    }
}

/// `DBGWCR<n>_EL1`, Debug Watchpoint Control Register. Arm ARM, `DBGWCR<n>_EL1`.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct DbgwcrEl1 {
    /// E, \[0\]: the watchpoint is enabled.
    pub e: bool,
    /// PAC, \[2:1\]: with HMC and SSC: at which levels.
    #[bits(2)]
    pub pac: u8,
    /// LSC, \[4:3\]: bit 0 loads, bit 1 stores.
    #[bits(2)]
    pub lsc: u8,
    /// BAS, \[12:5\]: which bytes of the doubleword, or of the word.
    pub bas: u8,
    /// HMC, \[13\]: higher mode control.
    pub hmc: bool,
    /// SSC, \[15:14\]: security state control.
    #[bits(2)]
    pub ssc: u8,
    /// LBN, \[19:16\]: the breakpoint linked to.
    #[bits(4)]
    pub lbn: u8,
    /// WT, \[20\]: the watchpoint is linked.
    pub wt: bool,
    #[bits(3)]
    __: u8,
    /// MASK, \[28:24\]: how many low bits of the address do not count; 1 and 2 are reserved.
    #[bits(5)]
    pub mask: u8,
    /// SSCE, \[29\]: more of SSC. FEAT_RME.
    pub ssce: bool,
    /// LBNX, \[31:30\]: more of LBN. FEAT_Debugv8p9.
    #[bits(2)]
    pub lbnx: u8,
    __: u32,
}
const _: () = assert!(DbgwcrEl1::WT_OFFSET == 20 && DbgwcrEl1::LBNX_OFFSET == 30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_decode_as_the_manual_numbers_them() {
        // A hardware breakpoint as debuggers set it for EL0: enabled, PMC 10, BAS 1111.
        let user = DbgbcrEl1::from_bits(0x1e5);
        assert_eq!((user.e(), user.pmc(), user.bas(), user.hmc(), user.ssc()), (true, 2, 0xf, false, 0));
        let linked = DbgbcrEl1::from_bits(0x0015_0000 | 1 << 13 | 3 << 14 | 2 << 30);
        assert_eq!(
            (linked.bt(), linked.lbn(), linked.hmc(), linked.ssc(), linked.lbnx()),
            (1, 5, true, 3, 2)
        );
        let context = DbgbvrContext::from_bits(0x1234_0042_0000_5678);
        assert_eq!((context.context_id(), context.vmid(), context.high()), (0x5678, 0x42, 0x1234));
        assert_eq!(context.context_id2(), 0x1234_0042);
        // Four bytes, loads and stores, EL0.
        let watch = DbgwcrEl1::from_bits(0x1fd);
        assert_eq!((watch.e(), watch.pac(), watch.lsc(), watch.bas(), watch.mask()), (true, 2, 3, 0x0f, 0));
        let range = DbgwcrEl1::from_bits(0x0c10_1fe7 | 1 << 14);
        assert_eq!((range.mask(), range.wt(), range.bas(), range.lsc(), range.ssc()), (12, true, 0xff, 0, 1));
    }
}
