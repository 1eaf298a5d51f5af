// Virtual interrupt interface oracle, C part: walks the cases of the input image and writes the results. README.md
// has the formats.
typedef unsigned long u64;
typedef unsigned int u32;
#define IN_BASE     0x60000000UL
#define OUT_BASE    0x80000000UL
#define MAGIC_IN    0x314e49434756UL
#define MAGIC_OUT   0x3154554f4756UL
#define RD_SGI      0x080B0000UL                /* GICR of CPU 0, SGI frame */
#define ISPENDR0    (*(volatile u32 *)(RD_SGI + 0x200))
#define ISACTIVER0  (*(volatile u32 *)(RD_SGI + 0x300))
#define ICACTIVER0  (*(volatile u32 *)(RD_SGI + 0x380))

#define R(r) ({ u64 v_; __asm__ volatile("isb; mrs %0, " #r : "=r"(v_) :: "memory"); v_; })
#define W(r, v) __asm__ volatile("msr " #r ", %0; isb" :: "r"((u64)(v)) : "memory")
#define ICH_AP0R0   S3_4_C12_C8_0
#define ICH_AP1R0   S3_4_C12_C9_0
#define ICH_HCR     S3_4_C12_C11_0
#define ICH_VTR     S3_4_C12_C11_1
#define ICH_MISR    S3_4_C12_C11_2
#define ICH_EISR    S3_4_C12_C11_3
#define ICH_ELRSR   S3_4_C12_C11_5
#define ICH_VMCR    S3_4_C12_C11_7
#define ICH_LR0     S3_4_C12_C12_0
#define ICH_LR1     S3_4_C12_C12_1
#define ICH_LR2     S3_4_C12_C12_2
#define ICH_LR3     S3_4_C12_C12_3
#define RR(r) R(r)
#define WW(r, v) W(r, v)

extern u64 guest(u64 code, u64 value, u64 *isr);
static char out_name[] = "results.bin";

static u64 semihosting(u64 op, void *arg)
{
    register u64 x0 __asm__("x0") = op;
    register void *x1 __asm__("x1") = arg;
    __asm__ volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
    return x0;
}

/* Codes from 32: the hypervisor's own writes. */
static void hyp_write(u64 code, u64 v)
{
    switch (code) {
    case 32: WW(ICH_HCR, v); break;
    case 33: WW(ICH_VMCR, v); break;
    case 34: WW(ICH_AP0R0, v); break;
    case 35: WW(ICH_AP1R0, v); break;
    case 36: WW(ICH_LR0, v); break;
    case 37: WW(ICH_LR1, v); break;
    case 38: WW(ICH_LR2, v); break;
    case 39: WW(ICH_LR3, v); break;
    }
}

static volatile u64 *interface(volatile u64 *p, volatile u64 *o, u64 ops)
{
    u64 isr, last = 1023;
    ICACTIVER0 = 0xffffffff;
    for (u64 code = 32; code < 40; code++) hyp_write(code, p[code - 32]);
    ISACTIVER0 = p[8];
    p += 9;
    for (u64 i = 0; i < ops; i++, p += 2, o += 15) {
        u64 code = p[0], value = p[1], got = 0;
        if (value == ~0UL) value = last;            /* what was last acknowledged */
        if (code < 32) {
            got = guest(code, value, &isr);
        } else {
            hyp_write(code, value);
            guest(0, 0, &isr);
        }
        if (code == 1 || code == 2) last = got;
        o[0] = got; o[1] = isr & 0x1c0;
        o[2] = RR(ICH_HCR); o[3] = RR(ICH_VMCR); o[4] = RR(ICH_AP0R0); o[5] = RR(ICH_AP1R0);
        o[6] = RR(ICH_LR0); o[7] = RR(ICH_LR1); o[8] = RR(ICH_LR2); o[9] = RR(ICH_LR3);
        o[10] = RR(ICH_MISR); o[11] = RR(ICH_EISR); o[12] = RR(ICH_ELRSR);
        o[13] = ISACTIVER0; o[14] = ISPENDR0 >> 25 & 1;
    }
    hyp_write(32, 0);
    return o;
}

#define COUNT(t)    ((t) ? R(cntvct_el0) : R(cntpct_el0))
#define LINE(t)     (ISPENDR0 >> ((t) ? 27 : 30) & 1)
static u64 timer_access(u64 t, u64 op, u64 value)
{
    switch (op) {
    case 0: if (t) W(cntv_ctl_el0, value); else W(cntp_ctl_el0, value); break;
    case 1: value += COUNT(t);                      /* fall through: relative to now */
    case 2: if (t) W(cntv_cval_el0, value); else W(cntp_cval_el0, value); break;
    case 3: if (t) W(cntv_tval_el0, value); else W(cntp_tval_el0, value); break;
    case 4: return t ? R(cntv_ctl_el0) : R(cntp_ctl_el0);
    case 5: return t ? R(cntv_cval_el0) : R(cntp_cval_el0);
    case 6: return t ? R(cntv_tval_el0) : R(cntp_tval_el0);
    case 7: { u64 end = COUNT(t) + value; while ((long)(COUNT(t) - end) < 0) {} break; }
    }
    return value;
}

static volatile u64 *timers(volatile u64 *p, volatile u64 *o, u64 ops)
{
    W(cntv_ctl_el0, 0); W(cntv_cval_el0, 0); W(cntp_ctl_el0, 0); W(cntp_cval_el0, 0);
    W(cntvoff_el2, p[0]);
    p += 9;
    for (u64 i = 0; i < ops; i++, p += 2, o += 15) {
        u64 code = p[0] - 64, t = code >> 3;
        o[1] = COUNT(t);
        o[0] = timer_access(t, code & 7, p[1]);
        o[2] = COUNT(t);
        o[3] = LINE(t);
        o[4] = COUNT(t);
        o[5] = t ? R(cntv_cval_el0) : R(cntp_cval_el0);
        o[6] = R(cntpct_el0); o[7] = R(cntvct_el0); o[8] = R(cntpct_el0);
        for (int k = 9; k < 15; k++) o[k] = 0;
    }
    W(cntv_ctl_el0, 0); W(cntp_ctl_el0, 0); W(cntvoff_el2, 0);
    return o;
}

void main(void)
{
    volatile u64 *p = (volatile u64 *)IN_BASE, *o = (volatile u64 *)OUT_BASE;
    u64 cases = p[0] == MAGIC_IN ? p[1] : 0;
    o[0] = MAGIC_OUT; o[1] = cases; o[2] = RR(ICH_VTR);
    o += 3; p += 2;
    for (u64 i = 0; i < cases; i++) {
        u64 ops = p[0] & 0xff, kind = p[0] >> 8;
        o = kind ? timers(p + 1, o, ops) : interface(p + 1, o, ops);
        p += 10 + 2 * ops;
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
