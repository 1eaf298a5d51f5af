/* Reader of identification registers, C part: prints each that is not zero as "S3_0_C0_C4_0 value". */
typedef unsigned long u64;

extern void read_space(u64 *out);
static u64 space[64];
static char line[64];
static u64 good_exit[2] = { 0x20026, 0 };

static void semihosting(u64 op, void *arg)
{
    register u64 x0 __asm__("x0") = op;
    register void *x1 __asm__("x1") = arg;
    __asm__ volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
}

static char *text(char *at, const char *from)
{
    while (*from) *at++ = *from++;
    return at;
}

static char *hex(char *at, u64 value)
{
    at = text(at, "0x");
    for (int shift = 60; shift >= 0; shift -= 4) *at++ = "0123456789abcdef"[value >> shift & 15];
    return at;
}

static void print(const char *name, u64 value)
{
    char *at = text(line, name);
    *at++ = ' ';
    at = hex(at, value);
    *at++ = '\n';
    *at = 0;
    semihosting(0x04, line);                    /* SYS_WRITE0 */
}

#define READ(name) ({ u64 v; __asm__ volatile("mrs %0, " name : "=r"(v)); v; })

static u64 ccsidr(u64 cache)
{
    __asm__ volatile("msr csselr_el1, %0; isb" :: "r"(cache));
    return READ("ccsidr_el1");
}

void main(void)
{
    char name[] = "S3_0_C0_Cm_n";
    read_space(space);
    for (int k = 0; k < 64; k++) {
        if (!space[k] || k == 5 || k == 6) continue;   /* MPIDR_EL1 belongs to an element; REVIDR_EL1 is below */
        name[9] = (char)('0' + k / 8);
        name[11] = (char)('0' + k % 8);
        print(name, space[k]);
    }
    u64 clidr = READ("clidr_el1");
    print("S3_0_C0_C0_6", READ("revidr_el1"));
    print("S3_1_C0_C0_7", READ("S3_1_C0_C0_7"));        /* AIDR_EL1 */
    print("S3_1_C0_C0_1", clidr);
    print("S3_3_C0_C0_1", READ("ctr_el0"));
    print("S3_3_C0_C0_7", READ("dczid_el0"));
    print("CCSIDR.L1D", ccsidr(0));
    print("CCSIDR.L1I", ccsidr(1));
    if ((clidr >> 3 & 7) >= 2) print("CCSIDR.L2", ccsidr(2));
    semihosting(0x18, good_exit);
}
