/* Normal memory: exclusives, atomics where they are announced, unaligned accesses, code that changes, DC ZVA. Runs with
 * the MMU on, 4 KiB granule. */
#include "transcript.h"

#define AT_SCRATCH(name, text) CODE(name, text)
AT_SCRATCH(ex_plain, "1: ldxr x9, [x0]\n add x9, x9, x1\n stxr w10, x9, [x0]\n cbnz w10, 1b\n ldr x0, [x0]");
AT_SCRATCH(ex_byte, "1: ldxrb w9, [x0]\n add x9, x9, x1\n stlxrb w10, w9, [x0]\n cbnz w10, 1b\n ldr x0, [x0]");
AT_SCRATCH(ex_half, "1: ldaxrh w9, [x0]\n add x9, x9, x1\n stxrh w10, w9, [x0]\n cbnz w10, 1b\n ldr x0, [x0]");
AT_SCRATCH(ex_word, "1: ldaxr w9, [x0]\n add x9, x9, x1\n stlxr w10, w9, [x0]\n cbnz w10, 1b\n ldr x0, [x0]");
AT_SCRATCH(ex_pair, "1: ldxp x9, x11, [x0]\n add x9, x9, x1\n stxp w10, x9, x11, [x0]\n cbnz w10, 1b\n ldr x0, [x0]");
AT_SCRATCH(ex_alone, "clrex\n stxr w9, x1, [x0]\n ldr x1, [x0]\n orr x0, x1, x9, lsl #60");
AT_SCRATCH(ex_cleared, "ldxr x9, [x0]\n clrex\n stxr w9, x1, [x0]\n ldr x1, [x0]\n orr x0, x1, x9, lsl #60");
AT_SCRATCH(ex_after_svc, "ldxr x9, [x0]\n svc #0");
AT_SCRATCH(ex_other_value, "ldxr x9, [x0]\n stxr w10, x1, [x0]\n stxr w11, x9, [x0]\n ldr x0, [x0]\n orr x0, x0, x11, lsl #60\n orr x0, x0, x10, lsl #61");
AT_SCRATCH(ex_unaligned, "add x0, x0, #1\n ldxr x9, [x0]");
AT_SCRATCH(ex_unaligned_store, "add x9, x0, #4\n ldxr x10, [x0]\n stxr w11, x10, [x9]");
AT_SCRATCH(ex_unaligned_pair, "add x0, x0, #8\n ldxp x9, x10, [x0]");
AT_SCRATCH(un_load, "ldr x0, [x0, x1]");
AT_SCRATCH(un_pair, "add x0, x0, x1\n ldp x0, x1, [x0]\n eor x0, x0, x1");
AT_SCRATCH(un_quad, "ldr q0, [x0, x1]\n fmov x0, d0\n fmov x1, v0.d[1]\n eor x0, x0, x1");
AT_SCRATCH(un_store, "str x1, [x0, #3]\n ldr x0, [x0]");
AT_SCRATCH(un_acquire, "add x0, x0, #1\n ldar w0, [x0]");
AT_SCRATCH(un_release, "add x0, x0, #2\n stlr w1, [x0]");
AT_SCRATCH(zva, "dc zva, x0\n ldr x0, [x0]");
AT_SCRATCH(lse_add, ".arch_extension lse\n ldadd x1, x9, [x0]\n ldr x10, [x0]\n eor x0, x9, x10, ror #8");
AT_SCRATCH(lse_swp, ".arch_extension lse\n swpal w1, w9, [x0]\n ldr x10, [x0]\n eor x0, x9, x10, ror #8");
AT_SCRATCH(lse_cas, ".arch_extension lse\n ldr x9, [x0]\n casal x9, x1, [x0]\n ldr x10, [x0]\n eor x0, x9, x10, ror #8");
AT_SCRATCH(lse_cas_no, ".arch_extension lse\n mov x9, #5\n cas x9, x1, [x0]\n ldr x10, [x0]\n eor x0, x9, x10, ror #8");
AT_SCRATCH(lse_casp, ".arch_extension lse\n ldp x2, x3, [x0]\n mov x4, x1\n mvn x5, x1\n caspal x2, x3, x4, x5, [x0]\n ldp x4, x5, [x0]\n eor x0, x4, x5, ror #8");
AT_SCRATCH(lse_smax, ".arch_extension lse\n ldsmaxb w1, w9, [x0]\n ldr x10, [x0]\n eor x0, x9, x10, ror #8");
AT_SCRATCH(lse_umin, ".arch_extension lse\n lduminh w1, w9, [x0]\n ldr x10, [x0]\n eor x0, x9, x10, ror #8");
AT_SCRATCH(lse_clr, ".arch_extension lse\n ldclrl x1, x9, [x0]\n ldr x10, [x0]\n eor x0, x9, x10, ror #8");
AT_SCRATCH(lse_unaligned, ".arch_extension lse\n add x0, x0, #4\n ldadd x1, x9, [x0]");
AT_SCRATCH(crc, ".arch_extension crc\n crc32x w0, w0, x1\n crc32cb w0, w0, w1");
AT_SCRATCH(aes, ".arch_extension crypto\n fmov d0, x0\n fmov v0.d[1], x1\n fmov d1, x1\n aese v0.16b, v1.16b\n aesmc v0.16b, v0.16b\n fmov x0, d0");
AT_SCRATCH(sha256, ".arch_extension crypto\n fmov d0, x0\n fmov d1, x1\n fmov v1.d[1], x0\n sha256h q0, q1, v1.4s\n fmov x0, d0");
AT_SCRATCH(pmull, ".arch_extension crypto\n fmov d0, x0\n fmov d1, x1\n pmull v0.1q, v0.1d, v1.1d\n fmov x0, d0");
__asm__(".arch armv8-a");

static void refill(void)
{
    for (u64 i = 0; i < 512; i += 8) w64(SCRATCH + i, 0x0102030405060708 * (i + 1));
}

static void each(const char *label, const char *code, u64 argument)
{
    refill();
    probe(label, code, SCRATCH, argument);
}

static void exclusives(void)
{
    each("mem.exclusive.x", ex_plain, 5); each("mem.exclusive.b", ex_byte, 0xff); each("mem.exclusive.h", ex_half, 0xffff);
    each("mem.exclusive.w", ex_word, 0xffffffff); each("mem.exclusive.pair", ex_pair, 7);
    each("mem.exclusive.store-alone", ex_alone, 9); each("mem.exclusive.clrex", ex_cleared, 9);
    each("mem.exclusive.svc", ex_after_svc, 0);
    /* The exception's return to here was no ERET, so that the monitor may still hold: CLREX, as after any exception. */
    __asm__ volatile("clrex" ::: "memory");
    each("mem.exclusive.twice", ex_other_value, 3);
    each("mem.exclusive.unaligned", ex_unaligned, 0); each("mem.exclusive.unaligned-store", ex_unaligned_store, 0);
    each("mem.exclusive.unaligned-pair", ex_unaligned_pair, 0);
}

static void announced(void)
{
    u64 isar0 = MRS(id_aa64isar0_el1);
    if (id_field(isar0, 20) > 1) {
        each("mem.lse.add", lse_add, 5); each("mem.lse.swp", lse_swp, 5); each("mem.lse.cas", lse_cas, 5);
        each("mem.lse.cas-no", lse_cas_no, 6); each("mem.lse.casp", lse_casp, 5); each("mem.lse.smax", lse_smax, 0x85);
        each("mem.lse.umin", lse_umin, 3); each("mem.lse.clr", lse_clr, 0xff00ff00ff00ff00);
        each("mem.lse.unaligned", lse_unaligned, 1);
    } else put("mem.lse: not announced\n");
    if (id_field(isar0, 16)) probe("isa.crc32", crc, 0x12345678, 0x9abcdef012345678); else put("isa.crc32: not announced\n");
    if (id_field(isar0, 4)) probe("isa.aes", aes, 0x12345678, 0x9abcdef012345678); else put("isa.aes: not announced\n");
    if (id_field(isar0, 4) > 1) probe("isa.pmull", pmull, 0x12345678, 0x9abcdef012345678); else put("isa.pmull: not announced\n");
    if (id_field(isar0, 12)) probe("isa.sha256", sha256, 0x12345678, 0x9abcdef012345678); else put("isa.sha256: not announced\n");
}

static void unaligned(void)
{
    for (u64 offset = 0; offset < 16; offset++) {
        put("mem.unaligned.load-"); hex(offset); each("", un_load, offset);
        put("mem.unaligned.pair-"); hex(offset); each("", un_pair, offset);
        put("mem.unaligned.quad-"); hex(offset); each("", un_quad, offset);
    }
    each("mem.unaligned.store", un_store, 0x8877665544332211);
    each("mem.unaligned.ldar", un_acquire, 0); each("mem.unaligned.stlr", un_release, 0);
    u64 sctlr = MRS(sctlr_el1);
    MSR(sctlr_el1, sctlr | 2);
    each("mem.sctlr-a.load-1", un_load, 1); each("mem.sctlr-a.load-8", un_load, 8); each("mem.sctlr-a.pair-4", un_pair, 4);
    each("mem.sctlr-a.quad-8", un_quad, 8); each("mem.sctlr-a.store-3", un_store, 0);
    MSR(sctlr_el1, sctlr);
}

static u32 changing[16] __attribute__((aligned(64)));

static void changed_code(void)
{
    changing[1] = 0xd65f03c0;
    for (u32 i = 0; i < 8; i++) {
        changing[0] = 0xd2800000 | (i * 0x111) << 5;    /* MOV X0, #imm16 */
        sync_code(changing, sizeof changing);
        put("mem.code."); hex(i); probe("", changing, 0, 0);
    }
    changing[0] = 0xd4000001 | 0x55 << 5;               /* SVC */
    sync_code(changing, sizeof changing);
    probe("mem.code.svc", changing, 0, 0);
    changing[0] = 0;                                    /* UDF */
    sync_code(changing, sizeof changing);
    probe("mem.code.udf", changing, 0, 0);
    changing[0] = 0x14000002;                           /* B past the next one */
    changing[2] = 0xd2800f60; changing[3] = 0xd65f03c0;
    __asm__ volatile("dc cvau, %0\n dsb ish\n ic iallu\n dsb ish\n isb" :: "r"(changing) : "memory");
    probe("mem.code.iallu", changing, 0, 0);
}

static void zeroed(void)
{
    u64 dczid = MRS(dczid_el0);
    if (dczid & 0x10) { put("mem.zva: prohibited\n"); return; }
    u64 bytes = 4ull << (dczid & 15);
    for (u64 offset = 0; offset < bytes; offset += 13) {
        refill();
        u64 trapped = attempt(zva, SCRATCH + bytes + offset, 0, 0), zeros = 0;
        for (u64 i = 0; i < 4 * bytes && i < 512; i++) zeros += r8(SCRATCH + i) == 0;
        put("mem.zva."); hex(offset); put(trapped ? ": trapped " : ": "); dec(zeros); putch(' ');
        hex(r64(SCRATCH + bytes - 8)); putch(' '); hex(r64(SCRATCH + bytes)); putch(' ');
        hex(r64(SCRATCH + 2 * bytes - 8)); putch(' '); hex(r64(SCRATCH + 2 * bytes)); putch('\n');
    }
}

void mmu_on(void);
void mmu_off(void);

void memory(void)
{
    mmu_on();
    exclusives();
    announced();
    unaligned();
    changed_code();
    zeroed();
    mmu_off();
}
