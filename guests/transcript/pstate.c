/* PSTATE: what its accessors show, and which bits an exception saves and sets. */
#include "transcript.h"

CODE(read_currentel, "mrs x0, currentel");
CODE(read_spsel, "mrs x0, spsel");
CODE(spsel_0, "msr spsel, #0\n mrs x0, spsel\n msr spsel, #1");
CODE(daif_each, "msr daif, x0\n mrs x0, daif\n msr daifset, #0xf");
CODE(daif_clear, "msr daifclr, #0xf\n mrs x0, daif\n msr daifset, #0xf");
CODE(daif_set_8, "msr daifclr, #0xf\n msr daifset, #8\n mrs x0, daif\n msr daifset, #0xf");
CODE(flags, "msr nzcv, x0\n mrs x0, nzcv");
CODE(add_flags, "adds x9, x0, x1\n mrs x0, nzcv");
CODE(sub_flags, "subs x9, x0, x1\n mrs x0, nzcv");
CODE(add_flags_w, "adds w9, w0, w1\n mrs x0, nzcv");
CODE(ands_flags, "ands x9, x0, x1\n mrs x0, nzcv");
CODE(ccmp_flags, "cmp x0, x1\n ccmp x0, #3, #5, eq\n mrs x0, nzcv");
CODE(svc_with, "msr daif, x0\n svc #2");
CODE(svc_with_flags, "msr nzcv, x0\n svc #2");

void pstate(void)
{
    probe("pstate.currentel", read_currentel, 0, 0);
    probe("pstate.spsel", read_spsel, 0, 0);
    probe("pstate.spsel-0", spsel_0, 0, 0);
    for (u64 i = 0; i < 16; i++) { put("pstate.daif-"); hex(i); probe("", daif_each, i << 6, 0); }
    probe("pstate.daif.ones", daif_each, ~0ull, 0);
    probe("pstate.daifclr", daif_clear, 0, 0);
    probe("pstate.daifset-8", daif_set_8, 0, 0);
    for (u64 i = 0; i < 16; i++) { put("pstate.nzcv-"); hex(i); probe("", flags, i << 28 | 0xfffffff, 0); }
    for (u64 i = 0; i < 16; i++) { put("pstate.spsr.daif-"); hex(i); probe("", svc_with, i << 6, 0); }
    for (u64 i = 0; i < 16; i += 5) { put("pstate.spsr.nzcv-"); hex(i); probe("", svc_with_flags, i << 28, 0); }
    static const u64 OPERANDS[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, ~0ull };
    for (unsigned a = 0; a < 8; a++)
        for (unsigned b = 0; b < 8; b += 3) {
            u64 x = OPERANDS[a], y = OPERANDS[b];
            put("pstate.flags."); hex(x); putch('.'); hex(y); put(": ");
            const char *codes[] = { add_flags, sub_flags, add_flags_w, ands_flags, ccmp_flags };
            for (unsigned i = 0; i < 5; i++) { attempt(codes[i], x, y, 0); hex(self()->x[0] >> 28); }
            putch('\n');
        }
}
