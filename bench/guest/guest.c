/* Bare-metal side: PL011 output, generic timer, run every kernel SAMPLES times. */
#include "kernels.h"
#ifndef SAMPLES
#define SAMPLES 3
#endif
static volatile uint32_t *const uart = (volatile uint32_t *)0x09000000;
static void putch(char c) { while (uart[6] & (1u << 5)) ; uart[0] = (uint8_t)c; }
static void put(const char *s) { while (*s) putch(*s++); }
static void puthex(uint64_t v) { for (int i = 60; i >= 0; i -= 4) putch("0123456789abcdef"[(v >> i) & 15]); }
static void putdec(uint64_t v) { char b[21]; int i = 20; b[i] = 0; do { b[--i] = (char)('0' + v % 10); v /= 10; } while (v); put(b + i); }
static uint64_t now(void) { uint64_t v; __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(v) :: "memory"); return v; }
static uint64_t freq(void) { uint64_t v; __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(v)); return v; }

void guest_fault(uint64_t esr, uint64_t elr, uint64_t far)
{ put("FAULT esr="); puthex(esr); put(" elr="); puthex(elr); put(" far="); puthex(far); put("\n"); }

/* gcc may emit calls to these even with -ffreestanding */
void *memset(void *d, int c, size_t n) { volatile char *p = d; while (n--) *p++ = (char)c; return d; }
void *memcpy(void *d, const void *s, size_t n) { char *a = d; const char *b = s; for (size_t i = 0; i < n; i++) ((volatile char *)a)[i] = b[i]; return d; }

/* trap-path kernels: only meaningful in a guest. Each op leaves the guest on a
 * hypervisor (hvc: PSCI_VERSION; mmio: PL011 flag register read) or takes an
 * exception inside it (not here). */
static uint64_t t_hvc(uint64_t n)
{
    uint64_t acc = 0;
    while (n--) {
        register uint64_t x0 __asm__("x0") = 0x84000000u;
        __asm__ volatile("hvc #0" : "+r"(x0) :: "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10",
                         "x11", "x12", "x13", "x14", "x15", "x16", "x17", "memory");
        acc += x0;
    }
    return acc;
}
static uint64_t t_mmio(uint64_t n) { uint64_t a = 0; while (n--) a += uart[6] & (1u << 5); return a; }
static uint64_t t_sysreg(uint64_t n)
{   uint64_t a = 0, v; while (n--) { __asm__ volatile("mrs %0, midr_el1" : "=r"(v)); a += v != 0; } return a; }
static uint64_t t_tlbi(uint64_t n)
{   while (n--) __asm__ volatile("dsb ish; tlbi vaae1is, %0; dsb ish; isb" :: "r"(0x40400ull) : "memory"); return 0; }

/* the chase kernel again, after rounds of use + TLBI: an engine that resizes its
 * software TLB at a flush (QEMU does) reaches its grown state this way */
static uint64_t t_chase_grown(uint64_t n)
{
    const kernel_t *c = 0;
    for (unsigned i = 0; i < kernel_count; i++) if (kernels[i].name[0] == 'c') c = &kernels[i];
    for (int r = 0; r < 8; r++) {
        c->run(50000);
        __asm__ volatile("dsb ish; tlbi vmalle1; dsb ish; isb" ::: "memory");
    }
    return c->run(n);
}

static void run(const kernel_t *k)
{
    uint64_t best = ~0ull, t[SAMPLES], sum = 0;
    for (int s = 0; s < SAMPLES; s++) {
        uint64_t a = now(); sum = k->run(k->iters); t[s] = now() - a;
        if (t[s] < best) best = t[s];
    }
    for (int i = 1; i < SAMPLES; i++) for (int j = i; j > 0 && t[j] < t[j - 1]; j--) { uint64_t x = t[j]; t[j] = t[j - 1]; t[j - 1] = x; }
    uint64_t f = freq();
    put("RESULT "); put(k->name); put(" iters="); putdec(k->iters);
    put(" median_us="); putdec(t[SAMPLES / 2] * 1000000 / f);
    put(" min_us="); putdec(best * 1000000 / f);
    put(" max_us="); putdec(t[SAMPLES - 1] * 1000000 / f);
    put(" sum="); puthex(sum); put("\n");
}
static const kernel_t traps[] = {
    { "trap-hvc", t_hvc, 1000000 }, { "trap-mmio", t_mmio, 1000000 },
    { "chase-grown", t_chase_grown, 10000000 },
    { "sysreg-id", t_sysreg, 1000000 }, { "tlbi", t_tlbi, 100000 },
};
#ifdef TICKS
/* The virtual timer interrupts TICKS times in a second, as that of a kernel does. */
volatile uint64_t ticks, tick_period;
static void start_ticks(void)
{
    volatile uint32_t *const distributor = (volatile uint32_t *)0x08000000;
    volatile uint32_t *const redistributor = (volatile uint32_t *)0x080a0000;
    distributor[0] = 0x12;                      /* affinity routing, Group 1 */
    redistributor[0x14 / 4] = 0;                /* awake */
    while (redistributor[0x14 / 4] & 4) ;
    redistributor[(0x10000 + 0x80) / 4] = 1u << 27;
    redistributor[(0x10000 + 0x100) / 4] = 1u << 27;
    tick_period = freq() / TICKS;
    __asm__ volatile("msr S3_0_C12_C12_5, %0; isb" :: "r"(7ull));       /* ICC_SRE_EL1 */
    __asm__ volatile("msr S3_0_C4_C6_0, %0" :: "r"(0xf0ull));           /* ICC_PMR_EL1 */
    __asm__ volatile("msr S3_0_C12_C12_7, %0; isb" :: "r"(1ull));       /* ICC_IGRPEN1_EL1 */
    __asm__ volatile("msr cntv_tval_el0, %0; msr cntv_ctl_el0, %1; isb" :: "r"(tick_period), "r"(1ull));
}
#endif
void guest_main(void)
{
    put("bench-guest: start\n");
#ifdef TICKS
    start_ticks();
#endif
#ifndef TRAPS_ONLY
    for (unsigned i = 0; i < kernel_count; i++) run(&kernels[i]);
#endif
    for (unsigned i = 0; i < sizeof traps / sizeof traps[0]; i++) run(&traps[i]);
#ifdef TICKS
    put("bench-guest: ticks "); putdec(ticks); put("\n");
    if (!ticks) { put("FAULT: none\n"); return; }
#endif
    put("bench-guest: done\n");
}
