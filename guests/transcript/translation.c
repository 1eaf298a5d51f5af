/* Stage 1 of translation: every granule that there is, every level and kind of fault, permissions, address spaces,
 * invalidation. The world is an identity map of RAM and devices in blocks; the tests have the other half of TTBR0's. */
#include "transcript.h"

#define VALID 1ull
#define TABLE 3ull
#define PAGE 3ull
#define BLOCK 1ull
#define AF (1ull << 10)
#define NG (1ull << 11)
#define ISH (3ull << 8)
#define AP(n) ((u64)(n) << 6)
#define PXN (1ull << 53)
#define UXN (1ull << 54)
#define NORMAL 0ull
#define DEVICE (1ull << 2)
#define MAIR 0x04440000ffull    /* 0: Normal, 1: Device-nGnRnE, 2: none, 3: Normal Non-cacheable, 4: Device-nGnRE */
#define IPS 2ull                /* 40 bits, which every host has */

struct space { u64 root; int granule, bits; };
static u64 next = TABLES;

static u64 allocate(int granule)
{
    u64 bytes = 1ull << granule, at = (next + bytes - 1) & ~(bytes - 1);
    next = at + bytes;
    for (u64 i = 0; i < bytes; i += 8) w64(at + i, 0);
    return at;
}
static int shift_of(const struct space *space, int level) { return space->granule + (space->granule - 3) * (3 - level); }
static int start_of(const struct space *space) { return 3 - (space->bits - 1 - space->granule) / (space->granule - 3); }

static void entry(u64 at, u64 value) { w64(at, value); __asm__ volatile("dc civac, %0\n dsb sy" :: "r"(at) : "memory"); }
static void invalidate(void) { __asm__ volatile("dsb sy\n tlbi vmalle1\n dsb sy\n isb" ::: "memory"); }

/* Where the descriptor of an address at this level lies, with tables above it as needed. */
static u64 slot(const struct space *space, u64 va, int level)
{
    u64 table = space->root, index_mask = (1ull << (space->granule - 3)) - 1;
    va &= (1ull << space->bits) - 1;
    for (int l = start_of(space);; l++) {
        u64 at = table + 8 * (va >> shift_of(space, l) & index_mask);
        if (l == level) return at;
        if (!(r64(at) & 1)) entry(at, allocate(space->granule) | TABLE);
        table = r64(at) & 0xffffffffffffull & ~((1ull << space->granule) - 1);
    }
}

static struct space made(int granule, int bits)
{
    struct space space = { 0, granule, bits };
    space.root = allocate(granule);
    u64 size = 1ull << shift_of(&space, 2);
    for (u64 a = 0; a < 0x80000000; a += size)
        entry(slot(&space, a, 2), a | BLOCK | AF | (a < 0x40000000 ? DEVICE | PXN | UXN : NORMAL | ISH));
    return space;
}

static u64 tcr_of(const struct space *space)
{
    u64 tg0 = space->granule == 12 ? 0 : space->granule == 14 ? 2 : 1;
    return IPS << 32 | 1ull << 23 | 3ull << 12 | 1ull << 10 | 1ull << 8 | tg0 << 14 | (u64)(64 - space->bits);
}

static void on(const struct space *space, u64 tcr)
{
    MSR(mair_el1, MAIR);
    MSR(tcr_el1, tcr_of(space) | tcr);
    MSR(ttbr0_el1, space->root);
    MSR(ttbr1_el1, space->root);
    invalidate();
    MSR(sctlr_el1, MRS(sctlr_el1) | 0x1005);
}
static void off(void)
{
    MSR(sctlr_el1, MRS(sctlr_el1) & ~0x1005ull);
    invalidate();
}

static struct space plain;
void mmu_on(void);
void mmu_off(void);
void mmu_on(void)
{
    if (!plain.root) plain = made(12, 48);
    on(&plain, 0);
}
void mmu_off(void) { off(); }

CODE(t_load, "ldr w0, [x0]");
CODE(t_store, "str w1, [x0]\n mov x0, #1");
CODE(t_fetch, "mov x9, x30\n adr x30, 1f\n ret x0\n1: mov x30, x9");
CODE(t_ldtr, "ldtr w0, [x0]");
CODE(t_sttr, "sttr w1, [x0]\n mov x0, #1");
CODE(t_pair, "ldp x0, x1, [x0]\n eor x0, x0, x1");
CODE(t_unaligned, "ldr w0, [x0, #1]");
CODE(t_double, "ldr x0, [x0]");
CODE(t_double_store, "str x1, [x0]\n mov x0, #1");
CODE(t_exclusive, "ldxr w9, [x0]\n stxr w10, w1, [x0]\n mov x0, x10");
CODE(t_swp, ".arch_extension lse\n swp w1, w0, [x0]");
__asm__(".arch armv8-a");
CODE(t_zva, "dc zva, x0\n mov x0, #1");
CODE(t_cvac, "dc cvac, x0\n mov x0, #1");
CODE(t_civac, "dc civac, x0\n mov x0, #1");
CODE(t_ivac, "dc ivac, x0\n mov x0, #1");
CODE(t_ivau, "ic ivau, x0\n mov x0, #1");
CODE(t_prfm, "prfm pldl1keep, [x0]\n mov x0, #1");
/* NS is UNKNOWN and \[10\] IMPLEMENTATION DEFINED where the translation succeeded. Arm ARM, PAR_EL1. */
#define PAR " mrs x0, par_el1\n tbnz x0, #0, 1f\n and x0, x0, #~0x600\n1:"
CODE(at_1r, "at s1e1r, x0\n isb\n" PAR);
CODE(at_1w, "at s1e1w, x0\n isb\n" PAR);
CODE(at_0r, "at s1e0r, x0\n isb\n" PAR);
CODE(at_0w, "at s1e0w, x0\n isb\n" PAR);
CODE(t_load0, "ldr w0, [x0]\n svc #0xe0");
CODE(t_store0, "str w1, [x0]\n mov x0, #1\n svc #0xe0");
CODE(t_fetch0, "adr x30, 1f\n ret x0\n1: svc #0xe0");
CODE(t_civac0, "dc civac, x0\n mov x0, #1\n svc #0xe0");
CODE(t_cvau0, "dc cvau, x0\n mov x0, #1\n svc #0xe0");
CODE(t_ivau0, "ic ivau, x0\n mov x0, #1\n svc #0xe0");
CODE(t_zva0, "dc zva, x0\n mov x0, #1\n svc #0xe0");

static char prefix[64];
static void named(const char *what) { put(prefix); put(what); }
static int append(int at, const char *text) { while (*text) prefix[at++] = *text++; prefix[at] = 0; return at; }

/* What stands at SCRATCH, as data and as code. */
static void fill(u64 at)
{
    w32(at, 0xd2800cc0);        /* MOV X0, #0x66 */
    w32(at + 4, 0xd65f03c0);    /* RET */
    for (u64 more = 8; more < 64; more += 8) w64(at + more, 0x0123456789abcdef * more);
    sync_code((void *)at, 64);
}

static void from_el1(u64 va)
{
    named(".el1"); probe(".load", t_load, va, 0);
    named(".el1"); probe(".store", t_store, va + 32, 1);
    named(".el1"); probe(".fetch", t_fetch, va, 0);
}
static void from_el0(u64 va)
{
    named(".el0"); probe_el0(".load", t_load0, va, 0);
    named(".el0"); probe_el0(".store", t_store0, va + 32, 1);
    named(".el0"); probe_el0(".fetch", t_fetch0, va, 0);
}
static void asked(u64 va)
{
    named(".at"); probe(".s1e1r", at_1r, va, 0);
    named(".at"); probe(".s1e1w", at_1w, va, 0);
    named(".at"); probe(".s1e0r", at_0r, va, 0);
    named(".at"); probe(".s1e0w", at_0w, va, 0);
}
static void all(u64 va) { from_el1(va); from_el0(va); asked(va); }

static void with(const struct space *space, const char *label, int level, u64 descriptor, u64 va)
{
    u64 at = slot(space, va, level);
    const char *granule = space->granule == 12 ? "mmu.4k" : space->granule == 14 ? "mmu.16k" : "mmu.64k";
    int end = append(append(0, granule), ".l0.");
    prefix[end - 2] = (char)('0' + level);
    append(end, label);
    entry(at, descriptor);
    invalidate();
    all(va);
    entry(at, 0);
    invalidate();
}

/* The faults and answers of one level. */
static void level(const struct space *space, int l, int leaf)
{
    u64 size = 1ull << shift_of(space, l), high = 1ull << (space->bits - 1);
    u64 leaf_type = l == 3 ? PAGE : BLOCK, base = SCRATCH & ~(size - 1), va = high + (SCRATCH & (size - 1));
    u64 good = leaf_type | AF | ISH | NORMAL | AP(1);
    with(space, "invalid", l, 0, va);
    with(space, "invalid-bits", l, 0xfffffffffffffffe, va);
    with(space, "reserved-type", l, l == 3 ? SCRATCH | BLOCK | AF : leaf ? 0x2 : SCRATCH | BLOCK | AF, va);
    if (l < 3) {
        with(space, "table-past-ips", l, 1ull << 41 | TABLE, va);
        with(space, "table-nowhere", l, (NOTHING & ~0xffffull) | TABLE, va);
    }
    if (!leaf) return;
    with(space, "good", l, base | good, va);
    with(space, "no-af", l, base | (good & ~AF), va);
    with(space, "read-only", l, base | good | AP(2), va);
    with(space, "past-ips", l, (base & (size - 1 + size)) | 1ull << 41 | good, va);
    with(space, "no-af+read-only", l, base | (good & ~AF) | AP(2), va);
}

static void permissions(const struct space *space)
{
    u64 va = 1ull << (space->bits - 1);
    for (unsigned ap = 0; ap < 4; ap++)
        for (unsigned xn = 0; xn < 4; xn++) {
            char label[] = "ap-0.xn-0";
            label[3] = (char)('0' + ap); label[8] = (char)('0' + xn);
            with(space, label, 3, SCRATCH | PAGE | AF | ISH | AP(ap) | (u64)xn << 53, va);
        }
    /* The tables above take rights away. */
    u64 at = slot(space, va, 2), before = r64(at);
    for (unsigned bits = 0; bits < 16; bits++) {
        char label[] = "hierarchical-0";
        label[13] = "0123456789abcdef"[bits];
        entry(at, before | (u64)bits << 59);
        with(space, label, 3, SCRATCH | PAGE | AF | ISH | AP(1), va);
    }
    entry(at, before);
}

/* One mapping, looked at by everything that is no plain access. */
static void special(const struct space *space, const char *label, u64 descriptor)
{
    static const struct { const char *name; const char *code; } each[] = {
        { ".ldtr", t_ldtr }, { ".sttr", t_sttr }, { ".ldp", t_pair }, { ".unaligned", t_unaligned },
        { ".exclusive", t_exclusive }, { ".dc-zva", t_zva }, { ".dc-cvac", t_cvac }, { ".dc-civac", t_civac },
        { ".dc-ivac", t_ivac }, { ".ic-ivau", t_ivau }, { ".prfm", t_prfm },
    };
    static const struct { const char *name; const char *code; } user[] = {
        { ".dc-civac", t_civac0 }, { ".dc-cvau", t_cvau0 }, { ".ic-ivau", t_ivau0 }, { ".dc-zva", t_zva0 },
    };
    u64 va = 1ull << (space->bits - 1), at = slot(space, va, 3);
    append(append(0, "mmu.special."), label);
    fill(SCRATCH);
    entry(at, descriptor);
    invalidate();
    for (unsigned i = 0; i < sizeof each / sizeof each[0]; i++) { named(""); probe(each[i].name, each[i].code, va, 0); }
    if (id_field(MRS(id_aa64isar0_el1), 20) > 1) { named(""); probe(".swp", t_swp, va, 1); }
    MSR(sctlr_el1, MRS(sctlr_el1) | 1 << 26 | 1 << 14);
    for (unsigned i = 0; i < sizeof user / sizeof user[0]; i++) { named(".el0"); probe_el0(user[i].name, user[i].code, va, 0); }
    MSR(sctlr_el1, MRS(sctlr_el1) & ~(1ull << 26 | 1ull << 14));
    entry(at, 0);
    invalidate();
}

/* An access that ends in the next page, which is not as good. */
static void crossing(const struct space *space)
{
    u64 va = 1ull << (space->bits - 1), page = 1ull << space->granule;
    entry(slot(space, va, 3), SCRATCH | PAGE | AF | ISH | AP(1));
    entry(slot(space, va + page, 3), 0);
    invalidate();
    probe("mmu.crossing.load.invalid", t_double, va + page - 4, 0);
    probe("mmu.crossing.store.invalid", t_double_store, va + page - 3, 0);
    probe("mmu.crossing.ldp.invalid", t_pair, va + page - 8, 0);
    entry(slot(space, va + page, 3), (SCRATCH + page) | PAGE | AF | ISH | AP(2));
    invalidate();
    probe("mmu.crossing.load.read-only", t_double, va + page - 4, 0);
    probe("mmu.crossing.store.read-only", t_double_store, va + page - 3, 0);
    value("mmu.crossing.kept", r64(SCRATCH + page - 8));
    entry(slot(space, va + page, 3), (SCRATCH + 3 * page) | PAGE | AF | ISH | AP(1));
    invalidate();
    w64(SCRATCH + page - 8, 0x1122334455667788); w64(SCRATCH + 3 * page, 0x99aabbccddeeff00);
    probe("mmu.crossing.load.good", t_double, va + page - 4, 0);
    probe("mmu.crossing.store.good", t_double_store, va + page - 3, 0xa1a2a3a4a5a6a7a8);
    value2("mmu.crossing.stored", r64(SCRATCH + page - 8), r64(SCRATCH + 3 * page));
    entry(slot(space, va, 3), 0); entry(slot(space, va + page, 3), 0);
    invalidate();
}

/* TLB maintenance: what was invalidated is seen to be new. */
static void maintained(const struct space *space)
{
    u64 va = 1ull << (space->bits - 1), at = slot(space, va, 3), page = va >> 12;
    w32(SCRATCH + 0x10000, 0x1111); w32(SCRATCH + 0x20000, 0x2222);
    u64 one = (SCRATCH + 0x10000) | PAGE | AF | ISH | AP(1), two = (SCRATCH + 0x20000) | PAGE | AF | ISH | AP(1);
    for (unsigned how = 0; how < 6; how++) {
        entry(at, one); invalidate();
        put("mmu.tlbi."); dec(how); probe(".before", t_load, va, 0);
        entry(at, 0);
        switch (how) {
        case 0: __asm__ volatile("dsb sy\n tlbi vmalle1\n dsb sy\n isb" ::: "memory"); break;
        case 1: __asm__ volatile("dsb sy\n tlbi vmalle1is\n dsb sy\n isb" ::: "memory"); break;
        case 2: __asm__ volatile("dsb sy\n tlbi vaae1, %0\n dsb sy\n isb" :: "r"(page) : "memory"); break;
        case 3: __asm__ volatile("dsb sy\n tlbi vaale1is, %0\n dsb sy\n isb" :: "r"(page) : "memory"); break;
        case 4: __asm__ volatile("dsb sy\n tlbi vae1, %0\n dsb sy\n isb" :: "r"(page) : "memory"); break;
        default: __asm__ volatile("dsb sy\n tlbi vale1is, %0\n dsb sy\n isb" :: "r"(page) : "memory"); break;
        }
        put("mmu.tlbi."); dec(how); probe(".broken", t_load, va, 0);
        entry(at, two); ISB();
        put("mmu.tlbi."); dec(how); probe(".made", t_load, va, 0);
    }
    /* Two address spaces: not global pages of the same address. */
    struct space other = made(space->granule, space->bits);
    entry(at, one | NG);
    entry(slot(&other, va, 3), two | NG);
    invalidate();
    for (u64 turn = 0; turn < 4; turn++) {
        MSR(ttbr0_el1, (turn & 1 ? other.root : space->root) | (turn & 1 ? 7ull : 5ull) << 48);
        put("mmu.asid."); dec(turn); probe("", t_load, va, 0);
    }
    __asm__ volatile("dsb sy\n tlbi aside1, %0\n dsb sy\n isb" :: "r"(7ull << 48) : "memory");
    MSR(ttbr0_el1, other.root | 7ull << 48);
    probe("mmu.asid.again", t_load, va, 0);
    MSR(ttbr0_el1, space->root);
    entry(at, 0);
    invalidate();
}

static void ranges(const struct space *space)
{
    u64 high = 1ull << (space->bits - 1);
    append(0, "mmu.off.past-pa"); all(1ull << space->bits);
    on(space, 0);
    append(0, "mmu.range.out-of-ttbr0"); all(1ull << space->bits);
    append(0, "mmu.range.middle"); all(0x00ff000000000000);
    append(0, "mmu.range.epd1"); all(0xffff000000000000);
    append(0, "mmu.range.below-ttbr1"); all(0xfffe000000000000);
    off();
    /* Tags: the top byte is ignored. */
    entry(slot(space, high, 3), SCRATCH | PAGE | AF | ISH | AP(1));
    on(space, 1ull << 37);
    append(0, "mmu.range.tagged"); all(high | 0xa5ull << 56);
    append(0, "mmu.range.tagged-invalid"); all((high + (1ull << 40)) | 0x5aull << 56);
    on(space, 0);
    append(0, "mmu.range.tag-without-tbi"); all(high | 0xa5ull << 56);
    entry(slot(space, high, 3), 0);
    /* TTBR1, T1SZ as T0SZ. */
    u64 tg1 = 2ull << 30;
    entry(slot(space, high, 3), SCRATCH | PAGE | AF | ISH | AP(1));
    on(space, tg1 | (u64)(64 - space->bits) << 16 | 3ull << 28 | 1ull << 26 | 1ull << 24);
    MSR(tcr_el1, MRS(tcr_el1) & ~(1ull << 23));
    invalidate();
    append(0, "mmu.range.ttbr1"); all(0xffff000000000000 | high);
    append(0, "mmu.range.ttbr1-invalid"); all(0xffff000000000000 | (high + (1ull << 40)));
    off();
    entry(slot(space, high, 3), 0);
    /* A first table where no address may be, and one where nothing is. */
    struct space small = made(12, 39);
    on(&small, 0);
    append(0, "mmu.range.39.invalid"); all(1ull << 38);
    append(0, "mmu.range.39.out"); all(1ull << 39);
    off();
}

/* What needs a feature. */
static void features(const struct space *space)
{
    u64 va = 1ull << (space->bits - 1), at = slot(space, va, 3), mmfr1 = MRS(id_aa64mmfr1_el1);
    on(space, 0);
    if (id_field(mmfr1, 20)) {
        entry(at, SCRATCH | PAGE | AF | ISH | AP(1)); invalidate();
        __asm__ volatile(".inst 0xd500419f\n isb" ::: "memory");      /* MSR PAN, #1 */
        append(0, "mmu.pan"); all(va);
        named(""); probe(".ldtr", t_ldtr, va, 0);
        __asm__ volatile(".inst 0xd500409f\n isb" ::: "memory");
    } else put("mmu.pan: not announced\n");
    if (id_field(mmfr1, 0)) {
        on(space, 1ull << 39);
        entry(at, SCRATCH | PAGE | ISH | AP(1)); invalidate();
        append(0, "mmu.ha"); all(va);
        value("mmu.ha.descriptor", r64(at));
    } else put("mmu.ha: not announced\n");
    if (id_field(mmfr1, 0) > 1) {
        on(space, 3ull << 39);
        entry(at, SCRATCH | PAGE | ISH | AP(3) | 1ull << 51); invalidate();
        append(0, "mmu.hd"); from_el1(va);
        value("mmu.hd.descriptor", r64(at));
    } else put("mmu.hd: not announced\n");
    off();
    entry(at, 0);
}

void translation(void)
{
    u64 mmfr0 = MRS(id_aa64mmfr0_el1);
    fill(SCRATCH);
    static const int GRANULES[] = { 12, 14, 16 };
    for (unsigned i = 0; i < 3; i++) {
        int granule = GRANULES[i];
        int there = granule == 12 ? id_field(mmfr0, 28) != 15 : granule == 14 ? id_field(mmfr0, 20) != 0 : id_field(mmfr0, 24) != 15;
        if (!there) { put("mmu."); dec(1ull << (granule - 10)); put("k: not announced\n"); continue; }
        struct space space = made(granule, 48);
        on(&space, 0);
        for (int l = start_of(&space); l <= 3; l++) level(&space, l, granule == 12 ? l > 0 : l > 1);
        if (granule == 12) {
            permissions(&space);
            special(&space, "normal", SCRATCH | PAGE | AF | ISH | AP(1));
            special(&space, "el1-only", SCRATCH | PAGE | AF | ISH);
            special(&space, "read-only", SCRATCH | PAGE | AF | ISH | AP(3));
            special(&space, "device", SCRATCH | PAGE | AF | DEVICE | AP(1) | PXN | UXN);
            special(&space, "invalid", 0);
            special(&space, "no-af", SCRATCH | PAGE | ISH | AP(1));
            special(&space, "nothing", NOTHING | PAGE | AF | DEVICE | AP(1));
            special(&space, "nothing-normal", NOTHING | PAGE | AF | ISH | AP(1));
            crossing(&space);
            maintained(&space);
        }
        off();
        if (granule == 12) { ranges(&space); features(&space); }
    }
}
