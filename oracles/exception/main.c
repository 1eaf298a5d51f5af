// Exception oracle, C part: walks the cases of the input image and writes the results. README.md has the formats.
typedef unsigned long u64;
typedef unsigned int u32;
#define IN_BASE     0x60000000UL
#define OUT_BASE    0x80000000UL
#define MAGIC_IN    0x314e49435845UL
#define MAGIC_OUT   0x3154554f5845UL
#define CASE_W      80
#define RECORD_W    18
#define CODE        0x48000000UL                /* all zero: UDF #0 */
#define VECTORS     0x49000000UL
#define TABLES      32
#define DATA        0x50000000UL
#define ESCAPE      0xD53B9C1FU                 /* mrs xzr, pmcr_el0: below EL3 trapped by MDCR_EL3.TPM */
#define GICD(o)     (*(volatile u32 *)(0x08000000UL + (o)))
#define GICR(o)     (*(volatile u32 *)(0x080A0000UL + (o)))
#define SGI(o)      (*(volatile u32 *)(0x080B0000UL + (o)))
#define GROUP0      (1u << 20)
#define GROUP1      (1u << 21)

#define R_(r) ({ u64 v_; __asm__ volatile("mrs %0, " #r : "=r"(v_) :: "memory"); v_; })
#define W_(r, v) __asm__ volatile("msr " #r ", %0" :: "r"((u64)(v)) : "memory")
#define R(r) R_(r)
#define W(r, v) W_(r, v)
#define HCRX_EL2    S3_4_C1_C2_2
#define VSESR_EL2   S3_4_C5_C2_3
#define GCSCR_EL1   S3_0_C2_C5_0
#define GCSCR_EL2   S3_4_C2_C5_0
#define ALLINT      S3_0_C4_C3_0
#define SCTLR_EL3_RES1 0x30c50830UL

extern void enter(volatile u64 *state);
u64 specials;                                   /* which registers `back` reads */
u64 landed[4];                                  /* vector, PSTATE as read, X0, X1 */
static u64 has_hcx, has_ras, has_gcs, has_nmi, has_gic_nmi, has_lock;
static char out_name[] = "results.bin";

static u64 semihosting(u64 op, void *arg)
{
    register u64 x0 __asm__("x0") = op;
    register void *x1 __asm__("x1") = arg;
    __asm__ volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
    return x0;
}

#define ROW(m) \
    o[0] = R(S3_0_C0_C##m##_0); o[1] = R(S3_0_C0_C##m##_1); o[2] = R(S3_0_C0_C##m##_2); o[3] = R(S3_0_C0_C##m##_3); \
    o[4] = R(S3_0_C0_C##m##_4); o[5] = R(S3_0_C0_C##m##_5); o[6] = R(S3_0_C0_C##m##_6); o[7] = R(S3_0_C0_C##m##_7); o += 8;

static volatile u64 *identify(volatile u64 *o)
{
    volatile u64 *id = o;
    ROW(4) ROW(5) ROW(6) ROW(7)
    u64 pfr0 = id[0], pfr1 = id[1], dfr0 = id[8], mmfr1 = id[25], mmfr2 = id[26];
    has_ras = (pfr0 >> 28 & 15) != 0;
    has_gcs = (pfr1 >> 44 & 15) != 0;
    has_nmi = (pfr1 >> 36 & 15) != 0;
    has_hcx = (mmfr1 >> 40 & 15) != 0;
    has_lock = (dfr0 >> 36 & 15) == 0;
    specials = (mmfr1 >> 20 & 15) != 0;
    specials |= (u64)((mmfr2 >> 4 & 15) != 0) << 1;
    specials |= (u64)((pfr0 >> 48 & 15) != 0) << 2;
    specials |= (u64)((pfr1 >> 4 & 15) > 1) << 3;
    specials |= (u64)((pfr1 >> 8 & 15) != 0) << 4;
    specials |= has_nmi << 5;
    o[0] = has_gic_nmi = has_nmi && (GICD(4) >> 9 & 1);
    return o + 1;
}

static void set_up(void)
{
    for (u64 a = VECTORS; a < VECTORS + TABLES * 0x800; a += 0x80) *(volatile u32 *)a = ESCAPE;
    W(S3_6_C12_C12_5, 0xf);                     /* ICC_SRE_EL3 */
    __asm__ volatile("isb");
    GICD(0) = 0x30;
    GICD(0) = 0x37;
    GICR(0x14) &= ~2u;
    SGI(0x80) = GROUP1;                         /* IGROUPR0 */
    SGI(0xd00) = 0;                             /* IGRPMODR0 */
    SGI(0x100) = GROUP0 | GROUP1;               /* ISENABLER0 */
    W(S3_0_C4_C6_0, 0xff);                      /* ICC_PMR_EL1 */
    W(S3_0_C12_C12_6, 1);                       /* ICC_IGRPEN0_EL1 */
    W(S3_6_C12_C12_7, 3);                       /* ICC_IGRPEN1_EL3 */
    if (has_nmi) W(ALLINT, 1UL << 13);
}

#define DEBUG_PAIR(n, i) W(dbgbvr##n##_el1, p[48 + 2 * n + 1]); W(dbgbcr##n##_el1, p[48 + 2 * n]);
#define WATCH_PAIR(n, i) W(dbgwvr##n##_el1, p[60 + 2 * n + 1]); W(dbgwcr##n##_el1, p[60 + 2 * n]);

static void load(volatile u64 *p)
{
    W(scr_el3, p[6]);
    __asm__ volatile("isb");
    if (has_hcx) W(HCRX_EL2, p[8]);
    W(hcr_el2, p[7]);
    W(mdcr_el3, 1 << 6 | p[9]);                 /* TPM */
    W(mdcr_el2, p[10]);
    W(mdscr_el1, p[11]);
    W(sctlr_el1, p[12]);
    W(sctlr_el2, p[13]);
    W(tcr_el1, p[15]);
    W(tcr_el2, p[16]);
    W(vttbr_el2, p[17]);
    W(vtcr_el2, p[18]);
    W(contextidr_el1, p[19]);
    W(S3_4_C13_C0_1, p[20]);                    /* CONTEXTIDR_EL2 */
    W(oslar_el1, p[21]);
    if (has_lock) W(osdlr_el1, p[22]);
    if (has_ras) W(VSESR_EL2, p[23]);
    W(vbar_el1, p[24]);
    W(vbar_el2, p[25]);
    W(spsr_el1, p[26]); W(elr_el1, p[27]); W(esr_el1, p[28]); W(far_el1, p[29]);
    W(spsr_el2, p[30]); W(elr_el2, p[31]); W(esr_el2, p[32]); W(far_el2, p[33]);
    W(esr_el3, p[34]); W(far_el3, p[35]);
    W(sp_el0, p[36]); W(sp_el1, p[37]); W(S3_6_C4_C1_0, p[38]);
    if (has_gcs) { W(GCSCR_EL1, p[39]); W(GCSCR_EL2, p[40]); }
    DEBUG_PAIR(0, 0) DEBUG_PAIR(1, 0) DEBUG_PAIR(2, 0) DEBUG_PAIR(3, 0) DEBUG_PAIR(4, 0) DEBUG_PAIR(5, 0)
    WATCH_PAIR(0, 0) WATCH_PAIR(1, 0) WATCH_PAIR(2, 0) WATCH_PAIR(3, 0)
    if (has_gic_nmi) SGI(0xf80) = p[41] & 4 ? GROUP1 : 0;
    SGI(0x200) = (p[41] & 1 ? GROUP0 : 0) | (p[41] & 2 ? GROUP1 : 0);
    __asm__ volatile("dsb sy; ic iallu; tlbi alle1; tlbi alle2; tlbi alle3; dsb sy; isb");
    W(sctlr_el3, SCTLR_EL3_RES1 | p[14]);
    __asm__ volatile("isb");
}

/* What an illegal return from EL3 keeps, the same for every case. */
static void settle(void)
{
    if (specials & 1) W(S3_0_C4_C2_3, 0);       /* PAN */
    if (specials & 2) W(S3_0_C4_C2_4, 0);       /* UAO */
    if (specials & 4) W(S3_3_C4_C2_5, 0);       /* DIT */
    if (specials & 8) W(S3_3_C4_C2_6, 0);       /* SSBS */
    if (specials & 16) W(S3_3_C4_C2_7, 0);      /* TCO */
    if (specials & 32) W(ALLINT, 1UL << 13);
}

static void unload(void)
{
    W(sctlr_el3, SCTLR_EL3_RES1);
    __asm__ volatile("isb");
    SGI(0x280) = GROUP0 | GROUP1;               /* ICPENDR0 */
}

static void one(volatile u64 *p, volatile u64 *o)
{
    volatile u32 *code = (volatile u32 *)p[42];
    volatile u64 *data = (volatile u64 *)DATA;
    for (int k = 0; k < 4; k++) code[k] = p[43 + k / 2] >> 32 * (k % 2);
    for (int k = 0; k < 16; k++) data[k] = 0;
    load(p);
    settle();
    enter(p);
    unload();
    for (int k = 0; k < 4; k++) { code[k] = 0; o[k] = landed[k]; }
    o[4] = R(elr_el3); o[5] = R(spsr_el3); o[6] = R(esr_el3); o[7] = R(far_el3);
    o[8] = R(elr_el2); o[9] = R(spsr_el2); o[10] = R(esr_el2); o[11] = R(far_el2);
    o[12] = R(elr_el1); o[13] = R(spsr_el1); o[14] = R(esr_el1); o[15] = R(far_el1);
    o[16] = R(hcr_el2); o[17] = R(oslsr_el1);
}

void main(void)
{
    volatile u64 *p = (volatile u64 *)IN_BASE, *o = (volatile u64 *)OUT_BASE;
    u64 n = p[0] == MAGIC_IN ? p[1] : 0;
    o[0] = MAGIC_OUT; o[1] = n;
    o = identify(o + 2);
    set_up();
    p += 2;
    for (u64 i = 0; i < n; i++, p += CASE_W, o += RECORD_W) one(p, o);
    static u64 a[4];
    a[0] = (u64)out_name; a[1] = 5; a[2] = sizeof(out_name) - 1;
    u64 fd = semihosting(0x01, a);
    a[0] = fd; a[1] = OUT_BASE; a[2] = (u64)o - OUT_BASE;
    semihosting(0x05, a);
    a[0] = fd; semihosting(0x02, a);
    static u64 ex[2] = { 0x20026, 0 };
    semihosting(0x18, ex);
}
