// Translation oracle, C part: for each case loads the registers of all regimes, stores descriptors, asks
// its queries by AT, and clears the descriptors again. README.md has the formats.
typedef unsigned long u64;
#define IN_BASE     0x60000000UL
#define OUT_BASE    0xA0000000UL
#define MAGIC_IN    0x314e49544158UL
#define MAGIC_OUT   0x3154554f544158UL

extern volatile u64 syndrome;
static char out_name[] = "results.bin";

static u64 semihosting(u64 op, void *arg)
{
    register u64 x0 __asm__("x0") = op;
    register void *x1 __asm__("x1") = arg;
    __asm__ volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
    return x0;
}

/* In the order of a case's words. A register that the CPU lacks is UNDEFINED; the vectors skip its instruction. */
#define REGISTERS(X) \
    X(0, S3_6_C1_C1_0)      /* SCR_EL3 */ \
    X(1, S3_4_C1_C1_0)      /* HCR_EL2 */ \
    X(2, S3_4_C1_C2_2)      /* HCRX_EL2 */ \
    X(3, S3_0_C1_C0_0)      /* SCTLR_EL1 */ \
    X(4, S3_0_C2_C0_2)      /* TCR_EL1 */ \
    X(5, S3_0_C2_C0_3)      /* TCR2_EL1 */ \
    X(6, S3_0_C2_C0_0)      /* TTBR0_EL1 */ \
    X(7, S3_0_C2_C0_1)      /* TTBR1_EL1 */ \
    X(8, S3_0_C10_C2_0)     /* MAIR_EL1 */ \
    X(9, S3_0_C10_C2_1)     /* MAIR2_EL1 */ \
    X(10, S3_0_C10_C2_3)    /* PIR_EL1 */ \
    X(11, S3_0_C10_C2_2)    /* PIRE0_EL1 */ \
    X(12, S3_4_C1_C0_0)     /* SCTLR_EL2 */ \
    X(13, S3_4_C2_C0_2)     /* TCR_EL2 */ \
    X(14, S3_4_C2_C0_3)     /* TCR2_EL2 */ \
    X(15, S3_4_C2_C0_0)     /* TTBR0_EL2 */ \
    X(16, S3_4_C2_C0_1)     /* TTBR1_EL2 */ \
    X(17, S3_4_C10_C2_0)    /* MAIR_EL2 */ \
    X(18, S3_4_C10_C1_1)    /* MAIR2_EL2 */ \
    X(19, S3_4_C10_C2_3)    /* PIR_EL2 */ \
    X(20, S3_4_C10_C2_2)    /* PIRE0_EL2 */ \
    X(21, S3_4_C2_C1_2)     /* VTCR_EL2 */ \
    X(22, S3_4_C2_C1_0)     /* VTTBR_EL2 */ \
    X(23, S3_4_C2_C6_2)     /* VSTCR_EL2 */ \
    X(24, S3_4_C2_C6_0)     /* VSTTBR_EL2 */ \
    X(25, S3_4_C10_C2_5)    /* S2PIR_EL2 */
#define PAN_WORD 26
#define SCTLR_EL3_WORD 27
#define REGISTER_WORDS 33

/* Those of the program's own regime, in which nothing is translated but while it asks. SCTLR_EL3 is not among them. */
#define REGISTERS_EL3(X) \
    X(28, S3_6_C2_C0_2)     /* TCR_EL3 */ \
    X(29, S3_6_C2_C0_0)     /* TTBR0_EL3 */ \
    X(30, S3_6_C10_C2_0)    /* MAIR_EL3 */ \
    X(31, S3_6_C10_C1_1)    /* MAIR2_EL3 */ \
    X(32, S3_6_C10_C2_3)    /* PIR_EL3 */

/* start.S: AT with SCTLR_EL3 as given, and PAR_EL1 after it. */
extern u64 at_s1e3r(u64 address, u64 sctlr), at_s1e3w(u64 address, u64 sctlr), at_s1e3a(u64 address, u64 sctlr);

/* By position in AtOperation::ALL, those of EL3 aside. */
#define OPERATIONS(X) \
    X(0, "#0, c7, c8, #0")      /* S1E1R */ \
    X(1, "#0, c7, c8, #1")      /* S1E1W */ \
    X(2, "#0, c7, c8, #2")      /* S1E0R */ \
    X(3, "#0, c7, c8, #3")      /* S1E0W */ \
    X(4, "#0, c7, c9, #0")      /* S1E1RP */ \
    X(5, "#0, c7, c9, #1")      /* S1E1WP */ \
    X(6, "#0, c7, c9, #2")      /* S1E1A */ \
    X(7, "#4, c7, c8, #0")      /* S1E2R */ \
    X(8, "#4, c7, c8, #1")      /* S1E2W */ \
    X(9, "#4, c7, c9, #2")      /* S1E2A */ \
    X(13, "#4, c7, c8, #4")     /* S12E1R */ \
    X(14, "#4, c7, c8, #5")     /* S12E1W */ \
    X(15, "#4, c7, c8, #6")     /* S12E0R */ \
    X(16, "#4, c7, c8, #7")     /* S12E0W */

static void set_registers(const u64 *values)
{
#define X(n, name) __asm__ volatile("msr " #name ", %0" :: "r"(values[n]) : "memory");
    REGISTERS(X)
    REGISTERS_EL3(X)
#undef X
    if (values[PAN_WORD])
        __asm__ volatile(".inst 0xd500419f");   /* msr pan, #1 */
    else
        __asm__ volatile(".inst 0xd500409f");   /* msr pan, #0 */
}

static u64 translate(u64 operation, u64 address, u64 sctlr_el3)
{
    u64 par;
    switch (operation) {
    case 10: return at_s1e3r(address, sctlr_el3);
    case 11: return at_s1e3w(address, sctlr_el3);
    case 12: return at_s1e3a(address, sctlr_el3);
#define X(n, sys) case n: __asm__ volatile("sys " sys ", %0" :: "r"(address) : "memory"); break;
    OPERATIONS(X)
#undef X
    }
    __asm__ volatile("isb; mrs %0, par_el1" : "=r"(par) :: "memory");
    return par;
}

/* ID_AA64PFR0 and 1, ID_AA64MMFR0 to 4, ID_AA64ISAR1 and 2. */
static u64 *identify(u64 *out)
{
#define X(name) __asm__ volatile("mrs %0, " #name : "=r"(*out)); out++;
    X(S3_0_C0_C4_0) X(S3_0_C0_C4_1)
    X(S3_0_C0_C7_0) X(S3_0_C0_C7_1) X(S3_0_C0_C7_2) X(S3_0_C0_C7_3) X(S3_0_C0_C7_4)
    X(S3_0_C0_C6_1) X(S3_0_C0_C6_2)
#undef X
    return out;
}

void main(void)
{
    const u64 *p = (const u64 *)IN_BASE;
    u64 *o = (u64 *)OUT_BASE;
    u64 cases = p[0] == MAGIC_IN ? p[1] : 0;
    p += 2;
    *o++ = MAGIC_OUT;
    *o++ = cases;
    o = identify(o);
    for (; cases; cases--) {
        u64 writes = *p & 0xffffffff, queries = *p >> 32;
        p++;
        const u64 *registers = p, *memory = p + REGISTER_WORDS;
        p = memory + 2 * writes;
        for (u64 i = 0; i < writes; i++)
            *(volatile u64 *)memory[2 * i] = memory[2 * i + 1];
        set_registers(registers);
        __asm__ volatile("dsb sy; isb; tlbi alle1; tlbi alle2; tlbi alle3; dsb sy; isb" ::: "memory");
        for (; queries; queries--, p += 2) {
            syndrome = 0;
            *o++ = translate(p[0], p[1], registers[SCTLR_EL3_WORD]);
            *o++ = syndrome;
        }
        for (u64 i = 0; i < writes; i++)
            *(volatile u64 *)memory[2 * i] = 0;
    }
    static u64 a[4];
    a[0] = (u64)out_name; a[1] = 5; a[2] = sizeof(out_name) - 1;
    u64 fd = semihosting(0x01, a);
    a[0] = fd; a[1] = OUT_BASE; a[2] = (u64)o - OUT_BASE;
    semihosting(0x05, a);
    a[0] = fd; semihosting(0x02, a);
    static u64 ex[2] = { 0x20026, 0 };
    semihosting(0x18, ex);
}
