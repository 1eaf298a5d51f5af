//! The SIE state description, 512 bytes. Linux s390 `kvm_s390_sie_block`; PoP for what its fields hold.
//!
//! General registers 0 to 13, access, floating-point and vector registers are not in it: SIE shares them with the host.

use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// One state description, format 2, on a 512-byte boundary.
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StateDescription {
    /// State and intervention requests, updated atomically; see [`super::CpuFlags`].
    pub cpuflags: U32,
    /// Guest prefix, bits 1-19 of it; instruction-blocking control level, bits 20-31.
    pub prefix_ibc: U32,
    /// Reserved.
    pub _008: [u8; 4],
    /// Left to software; in Linux bit 31 says that SIE is executing.
    pub prog0c: U32,
    /// Protected guest: handle of the CPU.
    pub pv_cpu_handle: U64,
    /// Protected guest: handle of the configuration.
    pub pv_config_handle: U64,
    /// Left to software; in Linux nonzero keeps SIE from being entered.
    pub prog20: U32,
    /// Reserved.
    pub _024: [u8; 4],
    /// Guest CPU timer.
    pub cputm: U64,
    /// Guest clock comparator.
    pub ckc: U64,
    /// Added to the host TOD clock it gives the guest one.
    pub epoch: U64,
    /// SVC interception: byte 0 `80` all, `40` `20` `10` the number in byte 1, 2, 3.
    pub svcc: [u8; 4],
    /// LCTL interception: bit n for control register n.
    pub lctl: U16,
    /// Guest CPU address.
    pub icpua: U16,
    /// Interception controls, see [`super::InterceptionControls`].
    pub ictl: U32,
    /// Execution controls, see [`super::ExecutionControlsA`].
    pub eca: U32,
    /// Interception code, see [`super::InterceptionCode`].
    pub icptcode: u8,
    /// Interception status, see [`super::InterceptionStatus`].
    pub icptstatus: u8,
    /// Host CPU of the last run; `FFFF` forces a purge of the guest TLB.
    pub ihcpu: U16,
    /// Reserved.
    pub _054: u8,
    /// Protected guest: interruption to inject.
    pub iictl: u8,
    /// Instruction parameter A: bytes 0-1 of the instruction.
    pub ipa: U16,
    /// Instruction parameter B: bytes 2-5; on validity, the reason in bits 0-15.
    pub ipb: U32,
    /// System-control-area origin, high word.
    pub scaoh: U32,
    /// `20`: branch-prediction blocking.
    pub fpf: u8,
    /// Execution controls, see [`super::ExecutionControlsB`].
    pub ecb: u8,
    /// Execution controls, see [`super::ExecutionControlsB2`].
    pub ecb2: u8,
    /// Execution controls, see [`super::ExecutionControlsB3`].
    pub ecb3: u8,
    /// System-control-area origin, low word.
    pub scaol: U32,
    /// State-description format of protected guests.
    pub sdf: u8,
    /// Epoch index, facility 139.
    pub epdx: u8,
    /// Control-program name code.
    pub cpnc: u8,
    /// Reserved.
    pub _06b: u8,
    /// TOD programmable register.
    pub todpr: U32,
    /// Guest-interruption-state-area designation.
    pub gd: U32,
    /// Reserved.
    pub _074: [u8; 12],
    /// Main-storage origin; the low 20 bits count as zeros.
    pub mso: U64,
    /// Main-storage limit, last block inclusive; the low 20 bits count as ones.
    pub msl: U64,
    /// Guest PSW: mask, address.
    pub gpsw: [U64; 2],
    /// Guest general register 14.
    pub gg14: U64,
    /// Guest general register 15.
    pub gg15: U64,
    /// Reserved.
    pub _0b0: [u8; 8],
    /// Hypervisor id.
    pub hpid: u8,
    /// Reserved.
    pub _0b9: [u8; 7],
    /// External-interruption parameters; with the next two, the machine-check code.
    pub eiparams: U32,
    /// CPU address of an external interruption.
    pub extcpuaddr: U16,
    /// External-interruption code.
    pub eic: U16,
    /// Reserved.
    pub _0c8: [u8; 4],
    /// Instruction length of a program interruption, in bits `6`.
    pub pgmilc: U16,
    /// Program-interruption code.
    pub iprcc: U16,
    /// Data-exception code; with the next three, a failing-storage address.
    pub dxc: U32,
    /// Monitor class.
    pub mcn: U16,
    /// PER code.
    pub perc: u8,
    /// PER addressing and translation mode.
    pub peratmid: u8,
    /// PER address.
    pub peraddr: U64,
    /// Exception access id.
    pub eai: u8,
    /// PER access id.
    pub peraid: u8,
    /// Operand access id.
    pub oai: u8,
    /// Architectural-mode id.
    pub armid: u8,
    /// Reserved.
    pub _0e4: [u8; 4],
    /// TEID or monitor code; on an I/O interruption, subchannel id, number, parameter.
    pub tecmc: U64,
    /// I/O-interruption identification word.
    pub io_word: U32,
    /// Reserved.
    pub _0f4: [u8; 8],
    /// Crypto-control-block origin and format.
    pub crycbd: U32,
    /// Guest control registers.
    pub gcr: [U64; 16],
    /// Breaking-event address; protected guest: secure data area.
    pub gbea: U64,
    /// Reserved.
    pub _188: [u8; 8],
    /// State-description-extension origin; size in the low four bits.
    pub sdnxo: U64,
    /// Reserved.
    pub _198: [u8; 8],
    /// Facility-list designation.
    pub fac: U32,
    /// Reserved.
    pub _1a4: [u8; 20],
    /// Block-release list of collaborative memory management.
    pub cbrlo: U64,
    /// Reserved.
    pub _1c0: [u8; 8],
    /// Execution controls, see [`super::ExecutionControlsD`].
    pub ecd: U32,
    /// Reserved.
    pub _1cc: [u8; 18],
    /// Program parameter; not aligned.
    pub pp: U64,
    /// Reserved.
    pub _1e6: [u8; 2],
    /// Interception transaction diagnostic block.
    pub itdba: U64,
    /// Runtime-instrumentation control block.
    pub riccbd: U64,
    /// Guest vector-register save area.
    pub gvrd: U64,
}

impl StateDescription {
    /// Returns a state description of zeros.
    #[must_use]
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }

    /// Returns the machine-check-interruption code, an overlay of the external parameters.
    #[must_use]
    pub const fn mcic(&self) -> u64 {
        let [p0, p1, p2, p3] = self.eiparams.to_bytes();
        let [a0, a1] = self.extcpuaddr.to_bytes();
        let [c0, c1] = self.eic.to_bytes();
        u64::from_be_bytes([p0, p1, p2, p3, a0, a1, c0, c1])
    }

    /// Returns the failing-storage address, an overlay of the data-exception code and what follows it.
    #[must_use]
    pub const fn failing_storage_address(&self) -> u64 {
        let [d0, d1, d2, d3] = self.dxc.to_bytes();
        let [m0, m1] = self.mcn.to_bytes();
        u64::from_be_bytes([d0, d1, d2, d3, m0, m1, self.perc, self.peratmid])
    }
}

/// Declares the offset of each field and asserts that it is where [`StateDescription`] has it.
macro_rules! fields {
    ($( $(#[$doc:meta])* $constant:ident = $offset:literal, $field:ident; )+) => {
        /// Byte offsets of the fields from the start of the state description.
        pub mod field {
            $( $(#[$doc])* pub const $constant: u64 = $offset; )+
        }
        $( const _: () = assert!(core::mem::offset_of!(StateDescription, $field) == $offset); )+
    };
}

fields! {
    /// State and intervention requests, updated atomically, 4 bytes.
    CPUFLAGS = 0x000, cpuflags;
    /// Guest prefix, bits 1-19 of it, 4 bytes.
    PREFIX_IBC = 0x004, prefix_ibc;
    /// Left to software, 4 bytes.
    PROG0C = 0x00c, prog0c;
    /// Protected guest, 8 bytes.
    PV_CPU_HANDLE = 0x010, pv_cpu_handle;
    /// Protected guest, 8 bytes.
    PV_CONFIG_HANDLE = 0x018, pv_config_handle;
    /// Left to software, 4 bytes.
    PROG20 = 0x020, prog20;
    /// Guest CPU timer, 8 bytes.
    CPUTM = 0x028, cputm;
    /// Guest clock comparator, 8 bytes.
    CKC = 0x030, ckc;
    /// Added to the host TOD clock it gives the guest one, 8 bytes.
    EPOCH = 0x038, epoch;
    /// SVC interception, 4 bytes.
    SVCC = 0x040, svcc;
    /// LCTL interception, 2 bytes.
    LCTL = 0x044, lctl;
    /// Guest CPU address, 2 bytes.
    ICPUA = 0x046, icpua;
    /// Interception controls, 4 bytes.
    ICTL = 0x048, ictl;
    /// Execution controls, 4 bytes.
    ECA = 0x04c, eca;
    /// Interception code, 1 byte.
    ICPTCODE = 0x050, icptcode;
    /// Interception status, 1 byte.
    ICPTSTATUS = 0x051, icptstatus;
    /// Host CPU of the last run, 2 bytes.
    IHCPU = 0x052, ihcpu;
    /// Protected guest, 1 byte.
    IICTL = 0x055, iictl;
    /// Instruction parameter A, 2 bytes.
    IPA = 0x056, ipa;
    /// Instruction parameter B, 4 bytes.
    IPB = 0x058, ipb;
    /// System-control-area origin, high word, 4 bytes.
    SCAOH = 0x05c, scaoh;
    /// `20`, 1 byte.
    FPF = 0x060, fpf;
    /// Execution controls, 1 byte.
    ECB = 0x061, ecb;
    /// Execution controls, 1 byte.
    ECB2 = 0x062, ecb2;
    /// Execution controls, 1 byte.
    ECB3 = 0x063, ecb3;
    /// System-control-area origin, low word, 4 bytes.
    SCAOL = 0x064, scaol;
    /// State-description format of protected guests, 1 byte.
    SDF = 0x068, sdf;
    /// Epoch index, facility 139, 1 byte.
    EPDX = 0x069, epdx;
    /// Control-program name code, 1 byte.
    CPNC = 0x06a, cpnc;
    /// TOD programmable register, 4 bytes.
    TODPR = 0x06c, todpr;
    /// Guest-interruption-state-area designation, 4 bytes.
    GD = 0x070, gd;
    /// Main-storage origin, 8 bytes.
    MSO = 0x080, mso;
    /// Main-storage limit, last block inclusive, 8 bytes.
    MSL = 0x088, msl;
    /// Guest PSW, 16 bytes.
    GPSW = 0x090, gpsw;
    /// Guest general register 14, 8 bytes.
    GG14 = 0x0a0, gg14;
    /// Guest general register 15, 8 bytes.
    GG15 = 0x0a8, gg15;
    /// Hypervisor id, 1 byte.
    HPID = 0x0b8, hpid;
    /// External-interruption parameters, 4 bytes.
    EIPARAMS = 0x0c0, eiparams;
    /// CPU address of an external interruption, 2 bytes.
    EXTCPUADDR = 0x0c4, extcpuaddr;
    /// External-interruption code, 2 bytes.
    EIC = 0x0c6, eic;
    /// Instruction length of a program interruption, in bits `6`, 2 bytes.
    PGMILC = 0x0cc, pgmilc;
    /// Program-interruption code, 2 bytes.
    IPRCC = 0x0ce, iprcc;
    /// Data-exception code, 4 bytes.
    DXC = 0x0d0, dxc;
    /// Monitor class, 2 bytes.
    MCN = 0x0d4, mcn;
    /// PER code, 1 byte.
    PERC = 0x0d6, perc;
    /// PER addressing and translation mode, 1 byte.
    PERATMID = 0x0d7, peratmid;
    /// PER address, 8 bytes.
    PERADDR = 0x0d8, peraddr;
    /// Exception access id, 1 byte.
    EAI = 0x0e0, eai;
    /// PER access id, 1 byte.
    PERAID = 0x0e1, peraid;
    /// Operand access id, 1 byte.
    OAI = 0x0e2, oai;
    /// Architectural-mode id, 1 byte.
    ARMID = 0x0e3, armid;
    /// TEID or monitor code, 8 bytes.
    TECMC = 0x0e8, tecmc;
    /// I/O-interruption identification word, 4 bytes.
    IO_WORD = 0x0f0, io_word;
    /// Crypto-control-block origin and format, 4 bytes.
    CRYCBD = 0x0fc, crycbd;
    /// Guest control registers, 128 bytes.
    GCR = 0x100, gcr;
    /// Breaking-event address, 8 bytes.
    GBEA = 0x180, gbea;
    /// State-description-extension origin, 8 bytes.
    SDNXO = 0x190, sdnxo;
    /// Facility-list designation, 4 bytes.
    FAC = 0x1a0, fac;
    /// Block-release list of collaborative memory management, 8 bytes.
    CBRLO = 0x1b8, cbrlo;
    /// Execution controls, 4 bytes.
    ECD = 0x1c8, ecd;
    /// Program parameter, 8 bytes.
    PP = 0x1de, pp;
    /// Interception transaction diagnostic block, 8 bytes.
    ITDBA = 0x1e8, itdba;
    /// Runtime-instrumentation control block, 8 bytes.
    RICCBD = 0x1f0, riccbd;
    /// Guest vector-register save area, 8 bytes.
    GVRD = 0x1f8, gvrd;
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<StateDescription>() == 0x200);
    assert!(offset_of!(StateDescription, _008) == 0x008);
    assert!(offset_of!(StateDescription, _024) == 0x024);
    assert!(offset_of!(StateDescription, _054) == 0x054);
    assert!(offset_of!(StateDescription, _06b) == 0x06b);
    assert!(offset_of!(StateDescription, _074) == 0x074);
    assert!(offset_of!(StateDescription, _0b0) == 0x0b0);
    assert!(offset_of!(StateDescription, _0b9) == 0x0b9);
    assert!(offset_of!(StateDescription, _0c8) == 0x0c8);
    assert!(offset_of!(StateDescription, _0e4) == 0x0e4);
    assert!(offset_of!(StateDescription, _0f4) == 0x0f4);
    assert!(offset_of!(StateDescription, _188) == 0x188);
    assert!(offset_of!(StateDescription, _198) == 0x198);
    assert!(offset_of!(StateDescription, _1a4) == 0x1a4);
    assert!(offset_of!(StateDescription, _1c0) == 0x1c0);
    assert!(offset_of!(StateDescription, _1cc) == 0x1cc);
    assert!(offset_of!(StateDescription, _1e6) == 0x1e6);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlays_take_the_bytes_of_the_fields_they_cover() {
        let mut bytes = [0_u8; 0x200];
        bytes[0xc0..0xc8].copy_from_slice(&0x0123_4567_89ab_cdef_u64.to_be_bytes());
        bytes[0xd0..0xd8].copy_from_slice(&0xfedc_ba98_7654_3210_u64.to_be_bytes());
        bytes[0x1de..0x1e6].copy_from_slice(&0x1122_3344_5566_7788_u64.to_be_bytes());
        let block = StateDescription::read_from_bytes(&bytes).unwrap();
        assert_eq!(block.mcic(), 0x0123_4567_89ab_cdef);
        assert_eq!((block.eic.get(), block.extcpuaddr.get()), (0xcdef, 0x89ab));
        assert_eq!(block.failing_storage_address(), 0xfedc_ba98_7654_3210);
        assert_eq!(block.pp.get(), 0x1122_3344_5566_7788);
    }

    #[test]
    fn interruption_parameters_are_an_image_of_the_lowcore() {
        // Each lies 0x40 above its place in the prefix area.
        for (offset, lowcore) in [
            (field::EIPARAMS, 0x80),
            (field::EIC, 0x86),
            (field::PGMILC, 0x8c),
            (field::IPRCC, 0x8e),
            (field::DXC, 0x90),
            (field::PERADDR, 0x98),
            (field::EAI, 0xa0),
            (field::TECMC, 0xa8),
            (field::IO_WORD, 0xb0),
        ] {
            assert_eq!(offset, lowcore + 0x40);
        }
    }
}
