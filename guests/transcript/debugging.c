/* Debug exceptions at EL0: software step over what hardware and what a hypervisor executes, breakpoints, watchpoints. */
#include "transcript.h"

#define MDE (1ull << 15)
#define KDE (1ull << 13)
#define SS 1ull
#define SPSR_SS (1ull << 21)

CODE(s_plain, "nop\n add x0, x0, #1\n cbz xzr, 1f\n nop\n1: nop\n svc #0xe0");
CODE(s_svc, "nop\n svc #0x11\n nop");
CODE(s_undefined, "nop\n udf #0\n nop");
CODE(s_abort, "nop\n ldr x1, [x0]\n nop\n svc #0xe0");
CODE(s_exclusive, "ldxr x1, [x0]\n nop\n svc #0xe0");
CODE(s_branch_self, "1: b 1b");
CODE(b_code, "nop\n nop\n nop\n nop\n svc #0xe0");
CODE(w_load, "ldr x1, [x0]\n svc #0xe0");
CODE(w_store, "str x1, [x0]\n svc #0xe0");
CODE(w_byte, "strb w1, [x0, #3]\n svc #0xe0");
CODE(w_pair, "ldp x1, x2, [x0, #-8]\n svc #0xe0");
CODE(k_step, "msr daifclr, #8\n nop\n mrs x0, id_aa64pfr0_el1\n ldr w1, [x1]\n mov x0, #1\n msr daifset, #8");
CODE(k_break, "msr daifclr, #8\n nop\n nop\n msr daifset, #8");

/* Notes each step and goes on with the next, until something else happens. */
static u64 stepped(struct cpu *cpu)
{
    u64 class = cpu->esr >> 26 & 63;
    if (class != 0x32 && class != 0x33) return 0;
    if (cpu->logged < 32) { cpu->log[2 * cpu->logged] = cpu->elr; cpu->log[2 * cpu->logged + 1] = cpu->esr; }
    cpu->logged++;
    if (cpu->logged >= 12) return 0;
    cpu->spsr |= SPSR_SS;
    return 1;
}

static const void *code;
static u64 argument;
static u64 go(u64 spsr) { enter_el0((u64)code, argument, 0x77, spsr); return 0; }

static void at_el0(const char *label, const void *what, u64 x0, u64 spsr)
{
    struct cpu *cpu = self();
    code = what; argument = x0; cpu->logged = 0;
    u64 ended = attempt((const void *)go, spsr, 0, 0);
    put(label); put(": ");
    for (u64 i = 0; i < cpu->logged && i < 32; i++) {
        putch('+'); hex(cpu->log[2 * i] - (u64)what); putch('/'); hex(cpu->log[2 * i + 1]); putch(' ');
    }
    if (ended) describe_trap(cpu, what);
    putch('\n');
    cpu->logged = 0;
}

static void stepping(void)
{
    struct cpu *cpu = self();
    cpu->handler = stepped;
    MSR(mdscr_el1, SS);
    at_el0("step.plain", s_plain, 0, 0x3c0 | SPSR_SS);
    at_el0("step.plain.ss-0", s_plain, 0, 0x3c0);
    at_el0("step.svc", s_svc, 0, 0x3c0 | SPSR_SS);
    at_el0("step.undefined", s_undefined, 0, 0x3c0 | SPSR_SS);
    at_el0("step.abort", s_abort, NOTHING, 0x3c0 | SPSR_SS);
    at_el0("step.load", s_abort, SCRATCH, 0x3c0 | SPSR_SS);
    at_el0("step.mmio", s_abort, UART + 0x30, 0x3c0 | SPSR_SS);
    at_el0("step.exclusive", s_exclusive, SCRATCH, 0x3c0 | SPSR_SS);
    at_el0("step.branch-to-self", s_branch_self, 0, 0x3c0 | SPSR_SS);
    /* At EL1: from where PSTATE.D is cleared, one step before each instruction; two of them leave for the hypervisor. */
    MSR(mdscr_el1, SS | KDE);
    cpu->logged = 0;
    u64 ended = attempt(k_step, 0, UART + 0x30, 0);
    put("step.el1: ");
    for (u64 i = 0; i < cpu->logged && i < 32; i++) {
        putch('+'); hex(cpu->log[2 * i] - (u64)k_step); putch('/'); hex(cpu->log[2 * i + 1]); putch(' ');
    }
    if (ended) describe_trap(cpu, k_step); else hex(cpu->x[0]);
    putch('\n');
    MSR(mdscr_el1, 0);
    cpu->handler = 0;
    cpu->logged = 0;
}

static void breakpoints(void)
{
    /* BCR: E, PMC 10 (EL0), BAS 1111. */
    MSR(dbgbvr0_el1, (u64)b_code + 8);
    MSR(dbgbcr0_el1, 1 | 2 << 1 | 0xf << 5);
    at_el0("break.mde-0", b_code, 0, 0x3c0);
    MSR(mdscr_el1, MDE);
    at_el0("break.el0", b_code, 0, 0x3c0);
    MSR(dbgbcr0_el1, 1 | 1 << 1 | 0xf << 5);
    at_el0("break.pmc-el1", b_code, 0, 0x3c0);
    MSR(dbgbcr0_el1, 0);
    at_el0("break.disabled", b_code, 0, 0x3c0);
    /* At EL1, with KDE. */
    MSR(dbgbvr0_el1, (u64)k_break + 8);
    MSR(dbgbcr0_el1, 1 | 1 << 1 | 0xf << 5);
    probe("break.el1.kde-0", k_break, 0, 0);
    MSR(mdscr_el1, MDE | KDE);
    probe("break.el1", k_break, 0, 0);
    MSR(dbgbcr0_el1, 0);
    /* Linked to a context: the last breakpoint compares CONTEXTIDR_EL1. */
    value("break.bvr", MRS(dbgbvr0_el1));
    MSR(mdscr_el1, 0);
}

static void watchpoints(void)
{
    MSR(mdscr_el1, MDE);
    MSR(dbgwvr0_el1, SCRATCH + 0x100);
    /* WCR: E, PAC 10 (EL0), LSC, BAS. */
    for (u64 lsc = 1; lsc < 4; lsc++) {
        MSR(dbgwcr0_el1, 1 | 2 << 1 | lsc << 3 | 0xffull << 5);
        put("watch."); dec(lsc); at_el0(".load", w_load, SCRATCH + 0x100, 0x3c0);
        put("watch."); dec(lsc); at_el0(".store", w_store, SCRATCH + 0x100, 0x3c0);
        put("watch."); dec(lsc); at_el0(".before", w_store, SCRATCH + 0xf8, 0x3c0);
        put("watch."); dec(lsc); at_el0(".after", w_store, SCRATCH + 0x108, 0x3c0);
    }
    MSR(dbgwcr0_el1, 1 | 2 << 1 | 3 << 3 | 0x08ull << 5);
    at_el0("watch.byte-3.byte", w_byte, SCRATCH + 0x100, 0x3c0);
    at_el0("watch.byte-3.other-byte", w_byte, SCRATCH + 0x101, 0x3c0);
    MSR(dbgwcr0_el1, 1 | 1 << 1 | 3 << 3 | 0xffull << 5);
    at_el0("watch.el1-only", w_load, SCRATCH + 0x100, 0x3c0);
    MSR(dbgwcr0_el1, 0);
    MSR(mdscr_el1, 0);
}

void debugging(void)
{
    MSR(S2_0_C1_C0_4, 0);       /* OSLAR_EL1 */
    MSR(S2_0_C1_C3_4, 0);       /* OSDLR_EL1 */
    stepping();
    breakpoints();
    watchpoints();
}
