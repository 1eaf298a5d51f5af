/* Exceptions that need no translation: generated, undefined, illegal, misaligned, external; traps of EL1's own. */
#include "transcript.h"

CODE(svc_1234, "svc #0x1234");
CODE(brk_5a5a, "brk #0x5a5a");
CODE(hlt_1, "hlt #1");
CODE(udf_0, "udf #0");
CODE(unallocated, ".word 0x00100000");
CODE(drps, ".word 0xd6bf03e0");
CODE(hvc_1, "mov x0, #0x55\n hvc #1");
CODE(mrs_hcr, "mrs x0, hcr_el2");
CODE(mrs_scr, "mrs x0, S3_6_C1_C1_0");
CODE(mrs_spsr_el12, "mrs x0, S3_5_C4_C0_0");
CODE(msr_midr, "msr S3_0_C0_C0_0, x0");
CODE(msr_id, "msr S3_0_C0_C4_0, x0");
CODE(mrs_id_hole, "mrs x0, S3_0_C0_C4_7");
CODE(mrs_id_last, "mrs x0, S3_0_C0_C7_7");
CODE(mrs_id_beyond, "mrs x0, S3_0_C0_C8_0");
CODE(mrs_impdef, "mrs x0, S3_0_C11_C0_0");
CODE(mrs_impdef_15, "mrs x0, S3_0_C15_C0_0");
CODE(sys_impdef, "sys #0, c11, c0, #0, x0");
CODE(mrs_unallocated, "mrs x0, S3_0_C13_C7_7");
CODE(mrs_oslar, "mrs x0, S2_0_C1_C0_4");
CODE(msr_oslsr, "msr S2_0_C1_C1_4, x0");
CODE(mrs_sgi1r, "mrs x0, S3_0_C12_C11_5");
CODE(msr_iar1, "msr S3_0_C12_C12_0, x0");
CODE(mrs_eoir1, "mrs x0, S3_0_C12_C12_1");
CODE(msr_rpr, "msr S3_0_C12_C11_3, x0");
CODE(tlbi_e2, "tlbi alle2");
CODE(tlbi_e3, "tlbi alle3");
CODE(at_s1e2, "at s1e2r, x0");
CODE(at_s12e1, "at s12e1r, x0");
CODE(tlbi_s12, "tlbi vmalls12e1");
CODE(dc_isw, "dc isw, xzr");
CODE(dc_csw, "dc csw, xzr");
CODE(dc_cisw, "dc cisw, xzr");
CODE(msr_csselr, "msr csselr_el1, x0\n isb\n mrs x0, csselr_el1");
CODE(msr_actlr, "msr actlr_el1, x0\n isb\n mrs x0, actlr_el1");
CODE(msr_afsr0, "msr afsr0_el1, x0\n isb\n mrs x0, afsr0_el1");
CODE(msr_tpidr, "msr tpidr_el0, x0\n isb\n mrs x0, tpidr_el0");
CODE(msr_contextidr, "msr contextidr_el1, x0\n isb\n mrs x0, contextidr_el1");
CODE(msr_amair, "msr amair_el1, x0\n isb\n mrs x0, amair_el1");
CODE(msr_vbar, "mrs x9, vbar_el1\n msr vbar_el1, x0\n isb\n mrs x0, vbar_el1\n msr vbar_el1, x9\n isb");
CODE(msr_tcr, "mrs x9, tcr_el1\n msr tcr_el1, x0\n isb\n mrs x0, tcr_el1\n msr tcr_el1, x9\n isb");
CODE(msr_cpacr, "mrs x9, cpacr_el1\n msr cpacr_el1, x0\n isb\n mrs x0, cpacr_el1\n msr cpacr_el1, x9\n isb");
CODE(msr_cntkctl, "msr cntkctl_el1, x0\n isb\n mrs x0, cntkctl_el1\n msr cntkctl_el1, xzr");
CODE(msr_elr_spsr, "msr elr_el1, x0\n msr spsr_el1, x1\n mrs x0, elr_el1\n mrs x1, spsr_el1\n add x0, x0, x1");
CODE(msr_fpcr, "msr fpcr, x0\n mrs x0, fpcr\n msr fpcr, xzr");
CODE(msr_fpsr, "msr fpsr, x0\n mrs x0, fpsr\n msr fpsr, xzr");
CODE(msr_par, "msr par_el1, x0\n isb\n mrs x0, par_el1");
CODE(msr_mdscr, "msr mdscr_el1, x0\n isb\n mrs x0, mdscr_el1\n msr mdscr_el1, xzr\n isb");
CODE(msr_dbgclaim, "msr S2_0_C7_C8_6, x0\n isb\n mrs x0, S2_0_C7_C9_6");
CODE(os_lock, "msr S2_0_C1_C0_4, x0\n isb\n mrs x0, S2_0_C1_C1_4");
CODE(branch_2, "add x9, x0, #2\n ret x9");
CODE(branch_1, "add x9, x0, #1\n ret x9");
CODE(branch_to, "mov x30, x1\n ret x0");
CODE(sp_misaligned, "mov x9, sp\n sub sp, sp, #8\n ldr x0, [sp]\n mov sp, x9");
CODE(sp_misaligned_push, "mov x9, sp\n sub sp, sp, #8\n stp x0, x1, [sp, #-16]!\n mov sp, x9");
CODE(sp_misaligned_arith, "mov x9, sp\n sub sp, sp, #8\n mov x0, sp\n mov sp, x9\n and x0, x0, #15");
CODE(on_sp0_svc, "msr spsel, #0\n svc #7");
CODE(on_sp0_undef, "msr spsel, #0\n udf #0");
CODE(on_sp0_abort, "msr spsel, #0\n ldr x0, [x0]");
CODE(load_w, "ldr w0, [x0]");
CODE(load_x, "ldr x0, [x0]");
CODE(load_b, "ldrb w0, [x0]");
CODE(load_sb, "ldrsb x0, [x0]");
CODE(load_pair, "ldp x0, x1, [x0]");
CODE(load_post, "mov x9, x0\n ldr x0, [x9], #8");
CODE(load_q, "ldr q0, [x0]");
CODE(load_acquire, "ldar x0, [x0]");
CODE(load_exclusive, "ldxr x0, [x0]");
CODE(store_w, "str w1, [x0]");
CODE(store_pair, "stp x1, x1, [x0]");
CODE(store_release, "stlr x1, [x0]");
CODE(prefetch, "prfm pldl1keep, [x0]\n mov x0, #1");
CODE(clean_va, "dc cvac, x0\n mov x0, #1");
CODE(clean_inval_va, "dc civac, x0\n mov x0, #1");
CODE(inval_va, "dc ivac, x0\n mov x0, #1");
CODE(zero_va, "dc zva, x0\n mov x0, #1");
CODE(inval_ic, "ic ivau, x0\n mov x0, #1");
CODE(flags_kept, "mov x9, #0xa0000000\n msr nzcv, x9\n mrs x0, midr_el1\n mrs x0, id_aa64pfr0_el1\n mrs x0, nzcv");
CODE(flags_in_spsr, "mov x9, #0x60000000\n msr nzcv, x9\n svc #1");
CODE(fp_move, "fmov d0, x0");
CODE(fp_load, "ldr d0, [x0]");
CODE(fp_status, "mrs x0, fpsr");
CODE(illegal_el2, "mov x9, #0x3c9\n msr spsr_el1, x9\n adr x9, 1f\n msr elr_el1, x9\n eret\n1: nop");
CODE(illegal_el3, "mov x9, #0x3cd\n msr spsr_el1, x9\n adr x9, 1f\n msr elr_el1, x9\n eret\n1: nop");
CODE(illegal_reserved, "mov x9, #0x3c6\n msr spsr_el1, x9\n adr x9, 1f\n msr elr_el1, x9\n eret\n1: nop");
CODE(illegal_el0h, "mov x9, #0x3c1\n msr spsr_el1, x9\n adr x9, 1f\n msr elr_el1, x9\n eret\n1: nop");
CODE(return_il, "mov x9, #0x3c5\n movk x9, #0x10, lsl #16\n msr spsr_el1, x9\n adr x9, 1f\n msr elr_el1, x9\n eret\n1: nop");
CODE(return_el1t, "mov x9, #0x3c4\n msr spsr_el1, x9\n adr x9, 1f\n msr elr_el1, x9\n eret\n1: svc #3");
CODE(return_flags, "movz x9, #0xf000, lsl #16\n movk x9, #0x3c5\n msr spsr_el1, x9\n adr x9, 1f\n msr elr_el1, x9\n eret\n1: mrs x0, nzcv");
CODE(return_daif, "mov x9, #0x3c5\n sub x9, x9, #0x200\n msr spsr_el1, x9\n adr x9, 1f\n msr elr_el1, x9\n eret\n1: mrs x0, daif\n msr daifset, #0xf");

static void illegal(void)
{
    probe("exc.illegal.el2h", illegal_el2, 0, 0);
    probe("exc.illegal.el3h", illegal_el3, 0, 0);
    probe("exc.illegal.reserved", illegal_reserved, 0, 0);
    probe("exc.illegal.el0h", illegal_el0h, 0, 0);
    probe("exc.illegal.spsr-il", return_il, 0, 0);
    probe("exc.eret.el1t", return_el1t, 0, 0);
    probe("exc.eret.flags", return_flags, 0, 0);
    probe("exc.eret.daif", return_daif, 0, 0);
}

static void aborts(void)
{
    struct { const char *label; const char *code; } each[] = {
        { "load-w", load_w }, { "load-x", load_x }, { "load-b", load_b }, { "load-sb", load_sb },
        { "load-pair", load_pair }, { "load-post", load_post }, { "load-q", load_q },
        { "load-acquire", load_acquire }, { "load-exclusive", load_exclusive }, { "store-w", store_w },
        { "store-pair", store_pair }, { "store-release", store_release }, { "prfm", prefetch },
        { "dc-cvac", clean_va }, { "dc-civac", clean_inval_va }, { "dc-ivac", inval_va }, { "dc-zva", zero_va },
        { "ic-ivau", inval_ic },
    };
    for (unsigned i = 0; i < sizeof each / sizeof each[0]; i++) {
        put("exc.nothing."); probe(each[i].label, each[i].code, NOTHING, 0);
    }
    probe("exc.nothing.fetch", branch_to, NOTHING, 0);
    probe("exc.nothing.past-ram.load", load_w, 0x4000000000ull, 0);
    probe("exc.nothing.past-ram.store", store_w, 0x4000000000ull, 0);
    probe("exc.nothing.past-ram.fetch", branch_to, 0x4000000000ull, 0);
    probe("exc.nothing.past-pa.load", load_w, 1ull << 52, 0);
    probe("exc.nothing.past-pa.fetch", branch_to, 1ull << 52, 0);
    probe("exc.nothing.0.load", load_w, 0x0a000000, 0);
    probe("exc.flat.unaligned.load-w", load_w, SCRATCH + 1, 0);
    probe("exc.flat.unaligned.load-pair", load_pair, SCRATCH + 4, 0);
    probe("exc.flat.unaligned.store-w", store_w, SCRATCH + 2, 0);
    probe("exc.flat.unaligned.load-exclusive", load_exclusive, SCRATCH + 4, 0);
    probe("exc.flat.unaligned.load-acquire", load_acquire, SCRATCH + 4, 0);
    probe("exc.flat.unaligned.store-release", store_release, SCRATCH + 1, 0);
    probe("exc.flat.unaligned.load-q", load_q, SCRATCH + 8, 0);
    probe("exc.flat.dc-zva", zero_va, SCRATCH, 0);
}

static void written(void)
{
    u64 ones = ~0ull;
    probe("sysreg-w.CSSELR.1", msr_csselr, 1, 0);
    probe("sysreg-w.CSSELR.ones", msr_csselr, ones, 0);
    probe("sysreg-w.CSSELR.0", msr_csselr, 0, 0);
    probe("sysreg-w.ACTLR", msr_actlr, ones, 0);
    probe("sysreg-w.AFSR0", msr_afsr0, 0, 0);
    probe("sysreg-w.TPIDR_EL0", msr_tpidr, 0x123456789abcdef0, 0);
    probe("sysreg-w.CONTEXTIDR", msr_contextidr, 0x12345678, 0);
    probe("sysreg-w.CONTEXTIDR.0", msr_contextidr, 0, 0);
    probe("sysreg-w.AMAIR", msr_amair, 0, 0);
    probe("sysreg-w.VBAR", msr_vbar, 0x123456789800, 0);
    probe("sysreg-w.TCR.0", msr_tcr, 0, 0);
    probe("sysreg-w.TCR.pattern", msr_tcr, 0x2b5193519, 0);
    probe("sysreg-w.CPACR.fpen", msr_cpacr, 3 << 20, 0);
    probe("sysreg-w.CPACR.fpen-1", msr_cpacr, 1 << 20, 0);
    probe("sysreg-w.CNTKCTL", msr_cntkctl, 0x3ff, 0);
    probe("sysreg-w.ELR+SPSR", msr_elr_spsr, 0x123456789abcdef0, 0x600003c5);
    probe("sysreg-w.FPCR.0", msr_fpcr, 0, 0);
    probe("sysreg-w.FPCR.modes", msr_fpcr, 0x07c00000, 0);
    probe("sysreg-w.FPCR.traps", msr_fpcr, 0x9f00, 0);
    probe("sysreg-w.FPSR", msr_fpsr, 0x0800009f, 0);
    probe("sysreg-w.PAR", msr_par, 0x123456789000, 0);
    probe("sysreg-w.MDSCR", msr_mdscr, 0x8000, 0);
    probe("sysreg-w.OSLAR.1", os_lock, 1, 0);
    probe("sysreg-w.OSLAR.0", os_lock, 0, 0);
    probe("sysreg-w.DBGCLAIM", msr_dbgclaim, 0, 0);
}

static void undefined(void)
{
    struct { const char *label; const char *code; } each[] = {
        { "svc", svc_1234 }, { "brk", brk_5a5a }, { "hlt", hlt_1 }, { "udf", udf_0 },
        { "unallocated", unallocated }, { "drps", drps }, { "hvc-1", hvc_1 },
        { "mrs-hcr_el2", mrs_hcr }, { "mrs-scr_el3", mrs_scr }, { "mrs-spsr_el12", mrs_spsr_el12 },
        { "msr-midr", msr_midr }, { "msr-id", msr_id }, { "mrs-id-hole", mrs_id_hole },
        { "mrs-id-last", mrs_id_last }, { "mrs-id-beyond", mrs_id_beyond }, { "mrs-impdef", mrs_impdef },
        { "mrs-impdef-15", mrs_impdef_15 }, { "sys-impdef", sys_impdef }, { "mrs-unallocated", mrs_unallocated },
        { "mrs-oslar", mrs_oslar }, { "msr-oslsr", msr_oslsr }, { "mrs-sgi1r", mrs_sgi1r },
        { "msr-iar1", msr_iar1 }, { "mrs-eoir1", mrs_eoir1 }, { "msr-rpr", msr_rpr }, { "tlbi-alle2", tlbi_e2 },
        { "tlbi-alle3", tlbi_e3 }, { "at-s1e2r", at_s1e2 }, { "at-s12e1r", at_s12e1 },
        { "tlbi-vmalls12e1", tlbi_s12 }, { "dc-isw", dc_isw }, { "dc-csw", dc_csw }, { "dc-cisw", dc_cisw },
        { "flags-kept", flags_kept }, { "flags-in-spsr", flags_in_spsr },
        { "sp-misaligned-arith", sp_misaligned_arith },
        { "sp-misaligned", sp_misaligned }, { "sp-misaligned-push", sp_misaligned_push },
        { "el1t.svc", on_sp0_svc }, { "el1t.udf", on_sp0_undef }, { "el1t.abort", on_sp0_abort },
    };
    for (unsigned i = 0; i < sizeof each / sizeof each[0]; i++) {
        put("exc."); probe(each[i].label, each[i].code, NOTHING, 0);
    }
    probe("exc.pc-misaligned-2", branch_2, (u64)branch_2, 0);
    probe("exc.pc-misaligned-1", branch_1, (u64)branch_1, 0);
}

static void floating_trapped(void)
{
    u64 cpacr = MRS(cpacr_el1);
    for (u64 fpen = 0; fpen < 4; fpen++) {
        MSR(cpacr_el1, fpen << 20);
        put("exc.fpen-"); dec(fpen); put(".el1."); probe("fmov", fp_move, 0, 0);
        put("exc.fpen-"); dec(fpen); put(".el1."); probe("ldr", fp_load, SCRATCH, 0);
        put("exc.fpen-"); dec(fpen); put(".el1."); probe("fpsr", fp_status, 0, 0);
    }
    MSR(cpacr_el1, cpacr);
}

void exceptions(void)
{
    undefined();
    written();
    illegal();
    aborts();
    floating_trapped();
}
