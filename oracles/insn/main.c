// Instruction oracle, C part: walks the cases of the input image and writes the results. README.md has the formats.
typedef unsigned long u64;
typedef unsigned int u32;
#define IN_BASE     0x60000000UL
#define OUT_BASE    0xA0000000UL
#define MAGIC_IN    0x314e4953584eUL
#define MAGIC_OUT   0x3154554f584eUL
#define HEADER_W    16
#define STATE_W     108
#define WINDOW_W    64
#define CASE_W      (STATE_W + WINDOW_W + 5)    /* state, window, number of code words, code words in pairs */
#define RESULT_W    (STATE_W + 1 + WINDOW_W + 1)/* state, ESR_EL3, window, digest of the rest of the data pages */
#define CODE        0x48000000UL
#define CODE_BYTES  0x400000UL
#define FILLER      0xD4000043U                 /* smc #2 */
#define DATA        0x50000000UL
#define DATA_W      1024                        /* two pages */
#define WINDOW      (DATA + 0xf00)

extern void enter(volatile u64 *in, volatile u64 *out);
static char out_name[] = "results.bin";

static u64 semihosting(u64 op, void *arg)
{
    register u64 x0 __asm__("x0") = op;
    register void *x1 __asm__("x1") = arg;
    __asm__ volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
    return x0;
}
#define W(r, v) __asm__ volatile("msr " #r ", %0" :: "r"((u64)(v)) : "memory")

static void section(volatile u64 *h)
{
    W(sctlr_el1, h[2]);
    W(tcr_el1, h[3]);
    W(mair_el1, h[4]);
    W(ttbr0_el1, h[5]);
    W(vbar_el1, h[6]);
    W(cpacr_el1, h[7]);
    __asm__ volatile("dsb sy; isb; tlbi alle1; dsb sy; isb");
}

/* What a case wrote outside the window, as one number; the pages are zero again afterwards. */
static u64 digest_and_clear(volatile u64 *data)
{
    u64 sum = 0;
    for (u64 i = 0; i < DATA_W; i++) {
        u64 v = data[i];
        if (v && (i < 0x1e0 || i >= 0x1e0 + WINDOW_W)) {
            sum = (sum ^ v ^ i) * 0x9E3779B97F4A7C15UL;
            data[i] = 0;
        }
    }
    return sum;
}

static volatile u64 *one(volatile u64 *p, volatile u64 *o)
{
    volatile u64 *window = (volatile u64 *)WINDOW;
    volatile u32 *slot = (volatile u32 *)p[34];
    u64 words = p[STATE_W + WINDOW_W];
    volatile u32 *code = (volatile u32 *)&p[STATE_W + WINDOW_W + 1];
    for (int k = 0; k < WINDOW_W; k++) window[k] = p[STATE_W + k];
    for (u64 k = 0; k < words; k++) slot[k] = code[k];
    __asm__ volatile("dsb sy; ic iallu; dsb sy; isb");
    enter(p, o);
    for (u64 k = 0; k < words; k++) slot[k] = FILLER;
    for (int k = 0; k < WINDOW_W; k++) o[STATE_W + 1 + k] = window[k];
    o[STATE_W + 1 + WINDOW_W] = digest_and_clear((volatile u64 *)DATA);
    return o + RESULT_W;
}

void main(void)
{
    volatile u64 *p = (volatile u64 *)IN_BASE, *o = (volatile u64 *)OUT_BASE;
    for (u64 a = CODE; a < CODE + CODE_BYTES; a += 8) *(volatile u64 *)a = (u64)FILLER << 32 | FILLER;
    for (u64 a = DATA; a < DATA + 0x4000; a += 8) *(volatile u64 *)a = 0;
    W(scr_el3, 0x431 | 1 << 12 | 1 << 13);      /* NS, RES1, RW, TWI, TWE; HVC stays UNDEFINED */
    W(hcr_el2, 1UL << 31);                      /* RW */
    W(cptr_el2, 0x33ff & ~(1 << 8) & ~(1 << 12) & ~(1 << 10));  /* no traps */
    o[0] = MAGIC_OUT;
    o += 2;
    u64 total = 0;
    while (p[0] == MAGIC_IN && p[1]) {
        u64 n = p[1];
        section(p);
        p += HEADER_W;
        for (u64 i = 0; i < n; i++, p += CASE_W) o = one(p, o);
        total += n;
    }
    ((volatile u64 *)OUT_BASE)[1] = total;
    static u64 a[4];
    a[0] = (u64)out_name; a[1] = 5; a[2] = sizeof(out_name) - 1;
    u64 fd = semihosting(0x01, a);
    a[0] = fd; a[1] = OUT_BASE; a[2] = (u64)o - OUT_BASE;
    semihosting(0x05, a);
    a[0] = fd; semihosting(0x02, a);
    static u64 ex[2] = { 0x20026, 0 };
    semihosting(0x18, ex);
}
