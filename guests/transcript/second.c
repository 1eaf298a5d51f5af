/* A second vCPU, where there is one: on, off, and on again; interrupts and exclusives between the two. */
#include "transcript.h"

void second_entry(void);
void second_main(struct cpu *cpu);
void interface_on(void);
#define SGI1R S3_0_C12_C11_5
#define IAR1 S3_0_C12_C12_0
#define EOIR1 S3_0_C12_C12_1
#define OTHER_SGI_BASE (GICR + 0x30000)

static volatile u64 word, counter, seen[8];

static u64 call(u64 function, u64 a1, u64 a2, u64 a3)
{
    register u64 x0 __asm__("x0") = function;
    register u64 x1 __asm__("x1") = a1;
    register u64 x2 __asm__("x2") = a2;
    register u64 x3 __asm__("x3") = a3;
    __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) :: "memory");
    return x0;
}
static u64 now(void) { return MRS(cntvct_el0); }
static int reaches(volatile u64 *at, u64 wanted)
{
    u64 end = now() + 5 * MRS(cntfrq_el0);
    while (*at < wanted) if (now() > end) return 0;
    return 1;
}
static void add(u64 times)
{
    while (times--) {
        u64 v; u32 failed;
        do __asm__ volatile("ldaxr %0, [%2]\n add %0, %0, #1\n stlxr %w1, %0, [%2]" : "=&r"(v), "=&r"(failed) : "r"(&counter) : "memory");
        while (failed);
    }
}

void mmu_on(void);

void second_main(struct cpu *cpu)
{
    cpu->number = 1;
    seen[0] = MRS(mpidr_el1);
    seen[1] = MRS(currentel) | MRS(daif) << 8 | MRS(spsel) << 32;
    seen[2] = MRS(isr_el1);
    mmu_on();
    __asm__ volatile("dsb sy" ::: "memory");
    word = 1;
    reaches(&word, 2);
    add(20000);
    word = 3;
    /* An SGI from the first one, seen by asking. */
    w32(GICR + 0x20014, 0);
    w32(OTHER_SGI_BASE + 0x80, 0xffffffff); w32(OTHER_SGI_BASE + 0x100, 0xffff);
    interface_on();
    word = 4;
    u64 end = now() + 5 * MRS(cntfrq_el0);
    u64 id = 1023;
    while ((id = MRS(S3_0_C12_C12_0)) == 1023 && now() < end) { }
    seen[3] = id;
    MSR(S3_0_C12_C12_1, id);
    word = 5;
    reaches(&word, 6);
    seen[4] = call(0x84000000, 0, 0, 0);
    seen[5] = call(0xc4000003, 0, (u64)second_entry, 0);       /* the first one is on */
    word = 7;
    call(0x84000002, 0, 0, 0);      /* CPU_OFF */
    word = 8;
}

void second(void)
{
    u64 info = call(0xc4000004, 1, 0, 0);
    value("smp.affinity-info", info);
    if (info != 1) { put("smp: not there\n"); return; }
    mmu_on();
    for (u64 turn = 0; turn < 2; turn++) {
        word = 0; counter = 0;
        value("smp.cpu-on", call(0xc4000003, 1, (u64)second_entry, (u64)&cpus[1]));
        value("smp.runs", reaches(&word, 1));
        value("smp.affinity-info.on", call(0xc4000004, 1, 0, 0));
        value("smp.cpu-on.again", call(0xc4000003, 1, (u64)second_entry, 0));
        value("smp.mpidr", seen[0]); value("smp.state", seen[1]); value("smp.isr", seen[2]);
        word = 2;
        add(20000);
        value("smp.counted", reaches(&word, 4) ? counter : 0);
        MSR(S3_0_C12_C11_5, 9ull << 24 | 2);
        value("smp.sgi", reaches(&word, 5)); value("smp.sgi.id", seen[3]);
        word = 6;
        value("smp.firmware", reaches(&word, 7)); value2("smp.firmware.answers", seen[4], seen[5]);
        u64 end = now() + 5 * MRS(cntfrq_el0);
        while (call(0xc4000004, 1, 0, 0) != 1 && now() < end) { }
        value("smp.affinity-info.off", call(0xc4000004, 1, 0, 0));
        value("smp.word", word);
    }
}
