//! The control words of the state description, bit by bit. Linux s390 `kvm_host_types.h`; names in SA22-7095.

use bitfield_struct::bitfield;

/// CPU flags, offset 0: state of the guest CPU, and requests to leave it.
#[bitfield(u32, order = Msb)]
#[derive(PartialEq, Eq)]
pub struct CpuFlags {
    /// 0: the guest CPU is stopped; left to software.
    pub stopped: bool,
    #[bits(2)]
    __: u8,
    /// 3: the guest CPU waits.
    pub wait: bool,
    /// 4: an external call is pending.
    pub ecall_pend: bool,
    /// 5: stop request: leave with code 0x28.
    pub stop_int: bool,
    /// 6: I/O request: leave with code 0x18 once I/O is enabled.
    pub io_int: bool,
    /// 7: external request: leave with code 0x10 once enabled.
    pub ext_int: bool,
    /// 8: loaded on a CPU.
    pub running: bool,
    /// 9: state retained.
    pub retained: bool,
    #[bits(4)]
    __: u8,
    /// 14: expedited timer subset.
    pub timing_sub: bool,
    /// 15: expedited run subset.
    pub sie_sub: bool,
    /// 16: region relocation.
    pub rrf: bool,
    /// 17: interpreted-SIE mode, V.
    pub slsv: bool,
    /// 18: interpreted-SIE mode, R.
    pub slsr: bool,
    __: bool,
    /// 20: z/Architecture guest.
    pub zarch: bool,
    __: bool,
    /// 22: keyless subset: the first storage-key instruction intercepts with 0x5C.
    pub kss: bool,
    /// 23: multiple-controlled-data-space guest.
    pub mcds: bool,
    /// 24: guest storage-limit suppression.
    pub sm: bool,
    /// 25: interlock-and-broadcast suppression.
    pub ibs: bool,
    __: bool,
    /// 27: guest EDAT-2.
    pub ged2: bool,
    /// 28: G.
    pub g: bool,
    /// 29: guest EDAT-1.
    pub ged: bool,
    /// 30: J.
    pub j: bool,
    /// 31: guest-PER enhancement.
    pub per: bool,
}
const _: () = assert!(
    CpuFlags::STOPPED_OFFSET == 31 && CpuFlags::WAIT_OFFSET == 28 && CpuFlags::ECALL_PEND_OFFSET == 27
);
const _: () = assert!(
    CpuFlags::STOP_INT_OFFSET == 26 && CpuFlags::IO_INT_OFFSET == 25 && CpuFlags::EXT_INT_OFFSET == 24
);
const _: () = assert!(
    CpuFlags::RUNNING_OFFSET == 23 && CpuFlags::RETAINED_OFFSET == 22 && CpuFlags::TIMING_SUB_OFFSET == 17
);
const _: () =
    assert!(CpuFlags::SIE_SUB_OFFSET == 16 && CpuFlags::RRF_OFFSET == 15 && CpuFlags::SLSV_OFFSET == 14);
const _: () =
    assert!(CpuFlags::SLSR_OFFSET == 13 && CpuFlags::ZARCH_OFFSET == 11 && CpuFlags::KSS_OFFSET == 9);
const _: () = assert!(CpuFlags::MCDS_OFFSET == 8 && CpuFlags::SM_OFFSET == 7 && CpuFlags::IBS_OFFSET == 6);
const _: () = assert!(CpuFlags::GED2_OFFSET == 4 && CpuFlags::G_OFFSET == 3 && CpuFlags::GED_OFFSET == 2);
const _: () = assert!(CpuFlags::J_OFFSET == 1 && CpuFlags::PER_OFFSET == 0);

/// Interception controls, `ictl`.
#[bitfield(u32, order = Msb)]
#[derive(PartialEq, Eq)]
pub struct InterceptionControls {
    /// 0: operation exceptions.
    pub operation: bool,
    /// 1: privileged-operation exceptions.
    pub privileged: bool,
    /// 2: all program interruptions.
    pub program: bool,
    __: bool,
    /// 4: TS with condition code 1.
    pub ts: bool,
    /// 5: CS with condition code 1.
    pub cs: bool,
    /// 6: CDS with condition code 1.
    pub cds: bool,
    /// 7: IPTE, CSP.
    pub ipte_csp: bool,
    __: bool,
    /// 9: LPSW, LPSWE.
    pub lpsw: bool,
    /// 10: PTLB, PALB.
    pub ptlb: bool,
    /// 11: SSM.
    pub ssm: bool,
    /// 12: BSA.
    pub bsa: bool,
    /// 13: STCTL, STCTG.
    pub stctl: bool,
    /// 14: STNSM.
    pub stnsm: bool,
    /// 15: STOSM.
    pub stosm: bool,
    /// 16: STCK.
    pub stck: bool,
    /// 17: ISKE.
    pub iske: bool,
    /// 18: SSKE.
    pub sske: bool,
    /// 19: RRBE.
    pub rrbe: bool,
    /// 20: PC.
    pub pc: bool,
    /// 21: PT.
    pub pt: bool,
    /// 22: TPROT.
    pub tprot: bool,
    /// 23: LASP.
    pub lasp: bool,
    __: bool,
    /// 25: SPT, STPT.
    pub spt: bool,
    /// 26: SCKC, STCKC.
    pub sckc: bool,
    __: bool,
    /// 28: PR.
    pub pr: bool,
    /// 29: BAKR.
    pub bakr: bool,
    /// 30: PGIN, PGOUT.
    pub pgin: bool,
    __: bool,
}
const _: () = assert!(
    InterceptionControls::OPERATION_OFFSET == 31
        && InterceptionControls::PRIVILEGED_OFFSET == 30
        && InterceptionControls::PROGRAM_OFFSET == 29
);
const _: () = assert!(
    InterceptionControls::TS_OFFSET == 27
        && InterceptionControls::CS_OFFSET == 26
        && InterceptionControls::CDS_OFFSET == 25
);
const _: () = assert!(
    InterceptionControls::IPTE_CSP_OFFSET == 24
        && InterceptionControls::LPSW_OFFSET == 22
        && InterceptionControls::PTLB_OFFSET == 21
);
const _: () = assert!(
    InterceptionControls::SSM_OFFSET == 20
        && InterceptionControls::BSA_OFFSET == 19
        && InterceptionControls::STCTL_OFFSET == 18
);
const _: () = assert!(
    InterceptionControls::STNSM_OFFSET == 17
        && InterceptionControls::STOSM_OFFSET == 16
        && InterceptionControls::STCK_OFFSET == 15
);
const _: () = assert!(
    InterceptionControls::ISKE_OFFSET == 14
        && InterceptionControls::SSKE_OFFSET == 13
        && InterceptionControls::RRBE_OFFSET == 12
);
const _: () = assert!(
    InterceptionControls::PC_OFFSET == 11
        && InterceptionControls::PT_OFFSET == 10
        && InterceptionControls::TPROT_OFFSET == 9
);
const _: () = assert!(
    InterceptionControls::LASP_OFFSET == 8
        && InterceptionControls::SPT_OFFSET == 6
        && InterceptionControls::SCKC_OFFSET == 5
);
const _: () = assert!(
    InterceptionControls::PR_OFFSET == 3
        && InterceptionControls::BAKR_OFFSET == 2
        && InterceptionControls::PGIN_OFFSET == 1
);

/// Execution controls, `eca`.
#[bitfield(u32, order = Msb)]
#[derive(PartialEq, Eq)]
pub struct ExecutionControlsA {
    /// 0: conditional external interception.
    pub cei: bool,
    /// 1: intervention bypass.
    pub ib: bool,
    /// 2: wait-state assist.
    pub wait_assist: bool,
    /// 3: SIGP interpretation.
    pub sigpi: bool,
    /// 4: alert monitoring.
    pub alert: bool,
    /// 5: I/O assist.
    pub io_assist: bool,
    __: bool,
    /// 7: MVPG interpretation.
    pub mvpgi: bool,
    #[bits(2)]
    __: u8,
    /// 10: adapter-interruption virtualization.
    pub aiv: bool,
    #[bits(3)]
    __: u8,
    /// 14: vector facility for the guest.
    pub vx: bool,
    #[bits(3)]
    __: u8,
    /// 18: guest protection exceptions are intercepted.
    pub protexci: bool,
    #[bits(9)]
    __: u16,
    /// 28: AP instructions are interpreted.
    pub apie: bool,
    #[bits(2)]
    __: u8,
    /// 31: shared IPTE interlock.
    pub sii: bool,
}
const _: () = assert!(
    ExecutionControlsA::CEI_OFFSET == 31
        && ExecutionControlsA::IB_OFFSET == 30
        && ExecutionControlsA::WAIT_ASSIST_OFFSET == 29
);
const _: () = assert!(
    ExecutionControlsA::SIGPI_OFFSET == 28
        && ExecutionControlsA::ALERT_OFFSET == 27
        && ExecutionControlsA::IO_ASSIST_OFFSET == 26
);
const _: () = assert!(
    ExecutionControlsA::MVPGI_OFFSET == 24
        && ExecutionControlsA::AIV_OFFSET == 21
        && ExecutionControlsA::VX_OFFSET == 17
);
const _: () = assert!(
    ExecutionControlsA::PROTEXCI_OFFSET == 13
        && ExecutionControlsA::APIE_OFFSET == 3
        && ExecutionControlsA::SII_OFFSET == 0
);

/// Execution controls, `ecb`.
#[bitfield(u8, order = Msb)]
#[derive(PartialEq, Eq)]
pub struct ExecutionControlsB {
    __: bool,
    /// 1: guarded storage.
    pub gs: bool,
    __: bool,
    /// 3: transactional execution.
    pub te: bool,
    /// 4: specification-exception interpretation.
    pub speci: bool,
    /// 5: sense-running-status interpretation.
    pub srsi: bool,
    /// 6: host protection interruption.
    pub hostprotint: bool,
    /// 7: PTF is interpreted.
    pub ptf: bool,
}
const _: () = assert!(
    ExecutionControlsB::GS_OFFSET == 6
        && ExecutionControlsB::TE_OFFSET == 4
        && ExecutionControlsB::SPECI_OFFSET == 3
);
const _: () = assert!(
    ExecutionControlsB::SRSI_OFFSET == 2
        && ExecutionControlsB::HOSTPROTINT_OFFSET == 1
        && ExecutionControlsB::PTF_OFFSET == 0
);

/// Execution controls, `ecb2`.
#[bitfield(u8, order = Msb)]
#[derive(PartialEq, Eq)]
pub struct ExecutionControlsB2 {
    /// 0: ESSA is interpreted.
    pub cmma: bool,
    __: bool,
    /// 2: instruction-execution protection for the guest.
    pub iep: bool,
    __: bool,
    /// 4: PFMF is interpreted.
    pub pfmfi: bool,
    /// 5: the system control area is an extended one.
    pub esca: bool,
    /// 6: zPCI loads and stores are interpreted.
    pub zpci_lsi: bool,
    __: bool,
}
const _: () = assert!(
    ExecutionControlsB2::CMMA_OFFSET == 7
        && ExecutionControlsB2::IEP_OFFSET == 5
        && ExecutionControlsB2::PFMFI_OFFSET == 3
);
const _: () = assert!(ExecutionControlsB2::ESCA_OFFSET == 2 && ExecutionControlsB2::ZPCI_LSI_OFFSET == 1);

/// Execution controls, `ecb3`.
#[bitfield(u8, order = Msb)]
#[derive(PartialEq, Eq)]
pub struct ExecutionControlsB3 {
    #[bits(2)]
    __: u8,
    /// 2: adapter-interruption-suppression interpretation.
    pub aisi: bool,
    /// 3: a second control of the same; how they differ is not in the sources.
    pub aisii: bool,
    /// 4: DEA key wrapping.
    pub dea: bool,
    /// 5: AES key wrapping.
    pub aes: bool,
    __: bool,
    /// 7: runtime instrumentation.
    pub ri: bool,
}
const _: () = assert!(
    ExecutionControlsB3::AISI_OFFSET == 5
        && ExecutionControlsB3::AISII_OFFSET == 4
        && ExecutionControlsB3::DEA_OFFSET == 3
);
const _: () = assert!(ExecutionControlsB3::AES_OFFSET == 2 && ExecutionControlsB3::RI_OFFSET == 0);

/// Execution controls, `ecd`.
#[bitfield(u32, order = Msb)]
#[derive(PartialEq, Eq)]
pub struct ExecutionControlsD {
    #[bits(2)]
    __: u8,
    /// 2: host register management for vector and guarded storage.
    pub hostregmgmt: bool,
    __: bool,
    /// 4: multiple-epoch facility.
    pub mef: bool,
    __: bool,
    /// 6: etoken facility.
    pub etokenf: bool,
    #[bits(3)]
    __: u8,
    /// 10: ECC.
    pub ecc: bool,
    #[bits(6)]
    __: u8,
    /// 17: HMAC.
    pub hmac: bool,
    #[bits(14)]
    __: u16,
}
const _: () = assert!(
    ExecutionControlsD::HOSTREGMGMT_OFFSET == 29
        && ExecutionControlsD::MEF_OFFSET == 27
        && ExecutionControlsD::ETOKENF_OFFSET == 25
);
const _: () = assert!(ExecutionControlsD::ECC_OFFSET == 21 && ExecutionControlsD::HMAC_OFFSET == 14);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_words_have_the_masks_that_linux_uses() {
        for (bits, mask) in [
            (CpuFlags::new().with_stopped(true).into_bits(), 0x8000_0000),
            (CpuFlags::new().with_stop_int(true).into_bits(), 0x0400_0000),
            (CpuFlags::new().with_running(true).into_bits(), 0x0080_0000),
            (CpuFlags::new().with_timing_sub(true).into_bits(), 0x0002_0000),
            (CpuFlags::new().with_rrf(true).into_bits(), 0x8000),
            (CpuFlags::new().with_zarch(true).into_bits(), 0x800),
            (CpuFlags::new().with_kss(true).into_bits(), 0x200),
            (CpuFlags::new().with_ged2(true).into_bits(), 0x10),
            (InterceptionControls::new().with_operation(true).into_bits(), 0x8000_0000),
            (InterceptionControls::new().with_program(true).into_bits(), 0x2000_0000),
            (InterceptionControls::new().with_lpsw(true).into_bits(), 0x0040_0000),
            (InterceptionControls::new().with_stctl(true).into_bits(), 0x0004_0000),
            (InterceptionControls::new().with_iske(true).into_bits(), 0x4000),
            (InterceptionControls::new().with_sske(true).into_bits(), 0x2000),
            (InterceptionControls::new().with_rrbe(true).into_bits(), 0x1000),
            (InterceptionControls::new().with_tprot(true).into_bits(), 0x0200),
            (ExecutionControlsA::new().with_cei(true).into_bits(), 0x8000_0000),
            (ExecutionControlsA::new().with_sigpi(true).into_bits(), 0x1000_0000),
            (ExecutionControlsA::new().with_mvpgi(true).into_bits(), 0x0100_0000),
            (ExecutionControlsA::new().with_aiv(true).into_bits(), 0x0020_0000),
            (ExecutionControlsA::new().with_vx(true).into_bits(), 0x0002_0000),
            (ExecutionControlsA::new().with_protexci(true).into_bits(), 0x2000),
            (ExecutionControlsA::new().with_apie(true).into_bits(), 8),
            (ExecutionControlsA::new().with_sii(true).into_bits(), 1),
            (ExecutionControlsB::new().with_gs(true).into_bits().into(), 0x40),
            (ExecutionControlsB::new().with_hostprotint(true).into_bits().into(), 0x02),
            (ExecutionControlsB2::new().with_iep(true).into_bits().into(), 0x20),
            (ExecutionControlsB2::new().with_esca(true).into_bits().into(), 0x04),
            (ExecutionControlsB3::new().with_aes(true).into_bits().into(), 0x04),
            (ExecutionControlsB3::new().with_ri(true).into_bits().into(), 0x01),
            (ExecutionControlsD::new().with_hostregmgmt(true).into_bits(), 0x2000_0000),
            (ExecutionControlsD::new().with_mef(true).into_bits(), 0x0800_0000),
            (ExecutionControlsD::new().with_etokenf(true).into_bits(), 0x0200_0000),
            (ExecutionControlsD::new().with_ecc(true).into_bits(), 0x0020_0000),
            (ExecutionControlsD::new().with_hmac(true).into_bits(), 0x4000),
        ] {
            assert_eq!(bits, mask, "{mask:#x}");
        }
    }
}
