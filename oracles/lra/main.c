// Address translation oracle of z/Architecture, C part: for each case loads CR0 and CR1, stores table entries, asks its
// queries by LRAG, and clears the entries again. README.md has the formats.
typedef unsigned long u64;
#define IN_BASE     0x10000000UL
#define OUT_BASE    0x30000000UL
#define MAGIC_IN    0x4c5241494e000000UL
#define MAGIC_OUT   0x4c52414f55540000UL

extern volatile u64 interruption;

static u64 *facilities(u64 *out)
{
    static u64 list[4] __attribute__((aligned(8)));
    register u64 last __asm__("0") = 3;
    __asm__ volatile(".insn s,0xb2b00000,%0" : "=Q"(*(u64(*)[4])list), "+d"(last) :: "cc", "memory");  /* STFLE */
    for (int i = 0; i < 4; i++)
        *out++ = list[i];
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
    o = facilities(o);
    for (; cases; cases--) {
        u64 writes = *p & 0xffffffff, queries = *p >> 32;
        u64 control[2] = { p[1], p[2] };
        const u64 *entries = p + 3;
        p = entries + 2 * writes;
        for (u64 i = 0; i < writes; i++)
            *(volatile u64 *)entries[2 * i] = entries[2 * i + 1];
        __asm__ volatile("lctlg %%c0, %%c1, %0; ptlb" :: "Q"(control) : "memory");
        for (; queries; queries--, p++) {
            u64 result = 0, cc;
            interruption = 0;
            __asm__ volatile("lrag %0, 0(%2)\n ipm %1\n" : "+d"(result), "=d"(cc) : "a"(*p) : "cc", "memory");
            *o++ = result;
            *o++ = (cc >> 28 & 3) | interruption << 8;
        }
        for (u64 i = 0; i < writes; i++)
            *(volatile u64 *)entries[2 * i] = 0;
    }
}
