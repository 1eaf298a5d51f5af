/* EL0: what it may do, what it may not, and what EL1 allows it. */
#include "transcript.h"

#define EL0(name, text) CODE(name, text "\n svc #0xe0")
EL0(el0_nothing, "nop");
EL0(el0_svc, "svc #0x77");
EL0(el0_brk, "brk #0x123");
EL0(el0_hvc, "hvc #0");
EL0(el0_smc, "smc #0");
EL0(el0_udf, "udf #1");
EL0(el0_hlt, "hlt #0");
EL0(el0_eret, "eret");
EL0(el0_sp, "mov x0, sp\n and x0, x0, #15");
EL0(el0_daif, "mrs x0, daif");
EL0(el0_daifset, "msr daifset, #0xf\n mov x0, #1");
EL0(el0_spsel, "msr spsel, #1");
EL0(el0_nzcv, "mov w0, #0xf0000000\n msr nzcv, x0\n mrs x0, nzcv");
EL0(el0_currentel, "mrs x0, currentel");
EL0(el0_midr, "mrs x0, midr_el1");
EL0(el0_id, "mrs x0, id_aa64pfr0_el1");
EL0(el0_mpidr, "mrs x0, mpidr_el1");
EL0(el0_sctlr, "mrs x0, sctlr_el1");
EL0(el0_hcr, "mrs x0, hcr_el2");
EL0(el0_ctr, "mrs x0, ctr_el0");
EL0(el0_dczid, "mrs x0, dczid_el0");
EL0(el0_tpidrro, "mrs x0, tpidrro_el0");
EL0(el0_tpidrro_w, "msr tpidrro_el0, x0");
EL0(el0_tpidr, "msr tpidr_el0, x0\n mrs x0, tpidr_el0");
EL0(el0_fpcr, "mrs x0, fpcr");
EL0(el0_fmov, "fmov d0, x0\n fmov x0, d0");
EL0(el0_cntfrq_w, "msr cntfrq_el0, x0");
EL0(el0_cntvct, "mrs x0, cntvct_el0\n mov x0, #1");
EL0(el0_cntpct, "mrs x0, cntpct_el0\n mov x0, #1");
EL0(el0_cntfrq, "mrs x0, cntfrq_el0\n mov x0, #1");
EL0(el0_cntv_ctl, "mrs x0, cntv_ctl_el0");
EL0(el0_cntv_tval, "mrs x0, cntv_tval_el0\n mov x0, #1");
EL0(el0_cntp_cval, "mrs x0, cntp_cval_el0");
EL0(el0_pmccntr, "mrs x0, pmccntr_el0");
EL0(el0_pmuserenr, "mrs x0, pmuserenr_el0");
EL0(el0_wfi, "wfi\n mov x0, #1");
EL0(el0_wfe, "sevl\n wfe\n mov x0, #1");
EL0(el0_yield, "yield\n mov x0, #1");
EL0(el0_cvau, "dc cvau, x0\n mov x0, #1");
EL0(el0_civac, "dc civac, x0\n mov x0, #1");
EL0(el0_ivac, "dc ivac, x0\n mov x0, #1");
EL0(el0_ivau, "ic ivau, x0\n mov x0, #1");
EL0(el0_iallu, "ic iallu");
EL0(el0_tlbi, "tlbi vmalle1");
EL0(el0_at, "at s1e0r, x0");
EL0(el0_isw, "dc isw, x0");
EL0(el0_load, "ldr x0, [x0]");
EL0(el0_store, "str x1, [x0]");
EL0(el0_load_user, "ldtr x0, [x0]");
EL0(el0_branch, "ret x0");
EL0(el0_misaligned_sp, "sub sp, sp, #8\n ldr x0, [sp]");
EL0(el0_icc, "mrs x0, S3_0_C4_C6_0");
EL0(el0_impdef, "mrs x0, S3_3_C15_C0_0");
EL0(el0_sys_impdef, "sys #3, c15, c0, #0, x0");
EL0(el0_dcc, "mrs x0, mdccsr_el0");

static const struct { const char *label; const char *code; } ALWAYS[] = {
    { "nothing", el0_nothing }, { "svc", el0_svc }, { "brk", el0_brk }, { "hvc", el0_hvc }, { "smc", el0_smc },
    { "udf", el0_udf }, { "hlt", el0_hlt }, { "eret", el0_eret }, { "sp", el0_sp }, { "spsel", el0_spsel },
    { "nzcv", el0_nzcv }, { "currentel", el0_currentel }, { "midr", el0_midr }, { "id_aa64pfr0", el0_id },
    { "mpidr", el0_mpidr }, { "sctlr", el0_sctlr }, { "hcr_el2", el0_hcr }, { "tpidrro", el0_tpidrro },
    { "tpidrro-w", el0_tpidrro_w }, { "tpidr", el0_tpidr }, { "fpcr", el0_fpcr }, { "fmov", el0_fmov },
    { "cntfrq-w", el0_cntfrq_w }, { "pmccntr", el0_pmccntr }, { "pmuserenr", el0_pmuserenr },
    { "yield", el0_yield }, { "dc-ivac", el0_ivac }, { "ic-iallu", el0_iallu }, { "tlbi", el0_tlbi },
    { "at", el0_at }, { "dc-isw", el0_isw }, { "load", el0_load }, { "store", el0_store },
    { "ldtr", el0_load_user }, { "sp-misaligned", el0_misaligned_sp }, { "icc_pmr", el0_icc },
    { "impdef", el0_impdef }, { "sys-impdef", el0_sys_impdef }, { "mdccsr", el0_dcc },
};

static void under(const char *with, u64 sctlr)
{
    static const struct { const char *label; const char *code; } each[] = {
        { "daif", el0_daif }, { "daifset", el0_daifset }, { "ctr", el0_ctr }, { "dczid", el0_dczid },
        { "dc-cvau", el0_cvau }, { "dc-civac", el0_civac }, { "ic-ivau", el0_ivau }, { "wfe", el0_wfe },
    };
    u64 before = MRS(sctlr_el1);
    MSR(sctlr_el1, before | sctlr);
    for (unsigned i = 0; i < sizeof each / sizeof each[0]; i++) {
        put("el0."); put(with); putch('.'); probe_el0(each[i].label, each[i].code, SCRATCH, 0);
    }
    MSR(sctlr_el1, before);
}

static void counters(u64 kctl)
{
    static const struct { const char *label; const char *code; } each[] = {
        { "cntfrq", el0_cntfrq }, { "cntvct", el0_cntvct }, { "cntpct", el0_cntpct }, { "cntv_ctl", el0_cntv_ctl },
        { "cntv_tval", el0_cntv_tval }, { "cntp_cval", el0_cntp_cval },
    };
    MSR(cntkctl_el1, kctl);
    for (unsigned i = 0; i < sizeof each / sizeof each[0]; i++) {
        put("el0.cntkctl-"); hex(kctl); putch('.'); probe_el0(each[i].label, each[i].code, 0, 0);
    }
    MSR(cntkctl_el1, 0);
}

void unprivileged(void)
{
    for (unsigned i = 0; i < sizeof ALWAYS / sizeof ALWAYS[0]; i++) {
        put("el0."); probe_el0(ALWAYS[i].label, ALWAYS[i].code, SCRATCH, 0x5a);
    }
    probe_el0("el0.nothing.load", el0_load, NOTHING, 0);
    probe_el0("el0.nothing.store", el0_store, NOTHING, 0);
    probe_el0("el0.nothing.fetch", el0_branch, NOTHING, 0);
    probe_el0("el0.unaligned.load", el0_load, SCRATCH + 1, 0);
    probe_el0("el0.pc-misaligned", el0_branch, SCRATCH + 2, 0);
    under("plain", 0);
    under("uma", 1 << 9);
    under("uct", 1 << 15);
    under("uci", 1 << 26);
    under("ntwe", 1 << 18);
    MSR(sctlr_el1, MRS(sctlr_el1) & ~(1ull << 16));
    probe_el0("el0.ntwi-0.wfi", el0_wfi, 0, 0);
    MSR(sctlr_el1, MRS(sctlr_el1) & ~(1ull << 18));
    probe_el0("el0.ntwe-0.wfe-after-sevl", el0_wfe, 0, 0);
    for (unsigned i = 0; i < 5; i++) counters((const u64[]){ 0, 1, 2, 0x100, 0x200 }[i]);
}
