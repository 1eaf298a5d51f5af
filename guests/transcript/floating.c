/* Floating point and SIMD: results with FPSR, in the rounding modes. The operations are those of Armv8.0. */
#include "transcript.h"

#define TWO_D(name, op) CODE(f_##name, "msr fpsr, xzr\n fmov d0, x0\n fmov d1, x1\n fmov d2, x2\n" op "\n fmov x0, d0\n mrs x1, fpsr")
#define TWO_S(name, op) CODE(f_##name, "msr fpsr, xzr\n fmov s0, w0\n fmov s1, w1\n fmov s2, w2\n" op "\n fmov w0, s0\n mrs x1, fpsr")
#define VECTOR(name, op) CODE(v_##name, "msr fpsr, xzr\n fmov d0, x0\n fmov v0.d[1], x1\n fmov d1, x1\n fmov v1.d[1], x0\n" op "\n fmov x0, d0\n fmov x2, v0.d[1]\n eor x0, x0, x2, ror #1\n mrs x1, fpsr")


TWO_D(add, "fadd d0, d0, d1"); TWO_D(sub, "fsub d0, d0, d1"); TWO_D(mul, "fmul d0, d0, d1");
TWO_D(div, "fdiv d0, d0, d1"); TWO_D(max, "fmax d0, d0, d1"); TWO_D(maxnm, "fmaxnm d0, d0, d1");
TWO_D(min, "fmin d0, d0, d1"); TWO_D(sqrt, "fsqrt d0, d0"); TWO_D(madd, "fmadd d0, d0, d1, d2");
TWO_D(nmsub, "fnmsub d0, d0, d1, d2"); TWO_D(cvt_s, "fcvt s0, d0"); TWO_D(cvt_h, "fcvt h0, d0");
TWO_D(rinta, "frinta d0, d0"); TWO_D(rintx, "frintx d0, d0"); TWO_D(rinti, "frinti d0, d0");
TWO_D(cvtzs, "fcvtzs x9, d0\n fmov d0, x9"); TWO_D(cvtzu, "fcvtzu w9, d0\n fmov d0, x9");
TWO_D(cvtns, "fcvtns x9, d0\n fmov d0, x9"); TWO_D(scvtf, "scvtf d0, x0"); TWO_D(ucvtf, "ucvtf d0, x0");
TWO_D(recpe, "frecpe d0, d0"); TWO_D(rsqrte, "frsqrte d0, d0"); TWO_D(recps, "frecps d0, d0, d1");
TWO_D(mulx, "fmulx d0, d0, d1"); TWO_D(cmp, "fcmp d0, d1\n mrs x9, nzcv\n fmov d0, x9");
TWO_D(cmpe, "fcmpe d0, d1\n mrs x9, nzcv\n fmov d0, x9"); TWO_D(abd, "fabd d0, d0, d1");
TWO_S(add_s, "fadd s0, s0, s1"); TWO_S(mul_s, "fmul s0, s0, s1"); TWO_S(div_s, "fdiv s0, s0, s1");
TWO_S(madd_s, "fmadd s0, s0, s1, s2"); TWO_S(cvt_d, "fcvt d0, s0\n fmov x9, d0\n eor x9, x9, x9, lsr #32\n fmov d0, x9");
TWO_S(cvt_h_s, "fcvt h0, s0"); TWO_S(from_h, "fcvt s0, h0"); TWO_S(scvtf_s, "scvtf s0, w0");
TWO_S(rsqrts_s, "frsqrts s0, s0, s1");

VECTOR(sqadd, "sqadd v0.16b, v0.16b, v1.16b"); VECTOR(uqsub, "uqsub v0.8h, v0.8h, v1.8h");
VECTOR(sqdmulh, "sqdmulh v0.4s, v0.4s, v1.4s"); VECTOR(mul, "mul v0.8h, v0.8h, v1.8h");
VECTOR(pmul, "pmul v0.16b, v0.16b, v1.16b"); VECTOR(tbl, "tbl v0.16b, {v0.16b, v1.16b}, v1.16b");
VECTOR(zip, "zip1 v0.8h, v0.8h, v1.8h"); VECTOR(uzp, "uzp2 v0.4s, v0.4s, v1.4s"); VECTOR(ext, "ext v0.16b, v0.16b, v1.16b, #5");
VECTOR(addv, "addv h0, v0.8h"); VECTOR(smaxv, "smaxv b0, v0.16b"); VECTOR(fadd, "fadd v0.4s, v0.4s, v1.4s");
VECTOR(fmla, "fmla v0.2d, v1.2d, v1.2d"); VECTOR(fcvtn, "fcvtn v0.2s, v0.2d"); VECTOR(fcvtzs, "fcvtzs v0.4s, v0.4s");
VECTOR(sshl, "sshl v0.8h, v0.8h, v1.8h"); VECTOR(srshl, "srshl v0.2d, v0.2d, v1.2d"); VECTOR(cnt, "cnt v0.16b, v0.16b");
VECTOR(rev, "rev64 v0.8h, v0.8h"); VECTOR(umull, "umull v0.4s, v0.4h, v1.4h"); VECTOR(sqxtn, "sqxtn v0.8b, v0.8h");
VECTOR(faddp, "faddp v0.4s, v0.4s, v1.4s"); VECTOR(urecpe, "urecpe v0.4s, v0.4s"); VECTOR(fmaxnmv, "fmaxnmv s0, v0.4s");
VECTOR(shl, "sli v0.2d, v1.2d, #13"); VECTOR(bsl, "bsl v0.16b, v1.16b, v0.16b"); VECTOR(fcmge, "fcmge v0.2d, v0.2d, v1.2d");
VECTOR(sqrshrun, "sqrshrun v0.8b, v0.8h, #3"); VECTOR(suqadd, "suqadd v0.4s, v1.4s"); VECTOR(cls, "cls v0.4s, v0.4s");

struct op { const char *name; const char *code; };
#define OP(name) { #name, f_##name }
static const struct op DOUBLE[] = {
    OP(add), OP(sub), OP(mul), OP(div), OP(max), OP(maxnm), OP(min), OP(sqrt), OP(madd), OP(nmsub), OP(cvt_s), OP(cvt_h),
    OP(rinta), OP(rintx), OP(rinti), OP(cvtzs), OP(cvtzu), OP(cvtns), OP(scvtf), OP(ucvtf), OP(recpe), OP(rsqrte),
    OP(recps), OP(mulx), OP(cmp), OP(cmpe), OP(abd),
};
static const struct op SINGLE[] = {
    OP(add_s), OP(mul_s), OP(div_s), OP(madd_s), OP(cvt_d), OP(cvt_h_s), OP(from_h), OP(scvtf_s), OP(rsqrts_s),
};
#undef OP
#define OP(name) { #name, v_##name }
static const struct op VECTORS[] = {
    OP(sqadd), OP(uqsub), OP(sqdmulh), OP(mul), OP(pmul), OP(tbl), OP(zip), OP(uzp), OP(ext), OP(addv), OP(smaxv),
    OP(fadd), OP(fmla), OP(fcvtn), OP(fcvtzs), OP(sshl), OP(srshl), OP(cnt), OP(rev), OP(umull), OP(sqxtn), OP(faddp),
    OP(urecpe), OP(fmaxnmv), OP(shl), OP(bsl), OP(fcmge), OP(sqrshrun), OP(suqadd), OP(cls),
};

/* One, a third, two, pi, the largest, the smallest normal, denormals, zeros, infinities, a quiet and a signalling NaN. */
static const u64 DOUBLES[] = {
    0x3ff0000000000000, 0x3fd5555555555555, 0xc000000000000000, 0x400921fb54442d18, 0x7fefffffffffffff,
    0x0010000000000000, 0x000fffffffffffff, 0x8000000000000001, 0, 0x8000000000000000, 0x7ff0000000000000,
    0x7ff8000000001234, 0xfff4000000005678, 0x43e0000000000000, 0x3fe0000000000000,
};
static const u32 SINGLES[] = {
    0x3f800000, 0x3eaaaaab, 0xc0490fdb, 0x7f7fffff, 0x00800000, 0x007fffff, 0x80000000, 0xff800000, 0x7fc01234, 0x7fa05678, 0x4f000000,
};
static const u64 LANES[] = {
    0x0123456789abcdef, 0x7fff8000807f0001, 0x3f800000bf000000, 0x8000000080000000, 0xfedcba9876543210, 0x7fc00001ff800000,
};

static u64 fpcr, out[2];
/* Sets FPCR around the operation and keeps both results. */
CODE(around, "stp x29, x30, [sp, #-32]!\n str x19, [sp, #16]\n mov x19, x3\n msr fpcr, x4\n blr x5\n msr fpcr, xzr\n"
     " stp x0, x1, [x19]\n ldr x19, [sp, #16]\n ldp x29, x30, [sp], #32");

static void apply(const struct op *op, u64 a, u64 b, u64 c)
{
    register u64 x0 __asm__("x0") = a;
    register u64 x1 __asm__("x1") = b;
    register u64 x2 __asm__("x2") = c;
    register u64 x3 __asm__("x3") = (u64)out;
    register u64 x4 __asm__("x4") = fpcr;
    register u64 x5 __asm__("x5") = (u64)op->code;
    __asm__ volatile("bl around" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5)
                     :: "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x30", "cc", "memory");
}

/* All operands with all, folded into one number for each first operand, so that a line says which. */
static u64 fold(u64 sum, u64 next) { return ((sum << 7) | (sum >> 57)) * 0x100000001b3 ^ next; }

static void sweep(const struct op *op, const u64 *operands, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        u64 sum = 0, flags = 0;
        for (unsigned j = 0; j < count; j++) {
            apply(op, operands[i], operands[j], operands[(i + j) % count]);
            sum = fold(sum, out[0]);
            flags = fold(flags, out[1]);
        }
        putch(' '); hex(sum); putch('/'); hexn(flags, 4);
    }
    putch('\n');
}

static void sweep_single(const struct op *op)
{
    u64 operands[sizeof SINGLES / sizeof SINGLES[0]];
    for (unsigned i = 0; i < sizeof SINGLES / sizeof SINGLES[0]; i++) operands[i] = SINGLES[i];
    sweep(op, operands, sizeof SINGLES / sizeof SINGLES[0]);
}

static const struct { const char *name; u64 fpcr; } MODES[] = {
    { "rn", 0 }, { "rp", 1 << 22 }, { "rm", 2 << 22 }, { "rz", 3 << 22 }, { "fz", 1 << 24 }, { "dn", 1 << 25 },
    { "ahp", 1 << 26 },
};

void floating(void)
{
    /* The plain ones in full, so that a difference names its operands. */
    static const struct op add = { "add", f_add }, div = { "div", f_div };
    for (unsigned i = 0; i < 15; i++)
        for (unsigned j = 0; j < 15; j += 2) {
            put("fp.value."); hex(DOUBLES[i]); putch('.'); hex(DOUBLES[j]); putch(':');
            apply(&add, DOUBLES[i], DOUBLES[j], 0); putch(' '); hex(out[0]); putch('/'); hex(out[1]);
            apply(&div, DOUBLES[i], DOUBLES[j], 0); putch(' '); hex(out[0]); putch('/'); hex(out[1]);
            putch('\n');
        }
    for (unsigned m = 0; m < sizeof MODES / sizeof MODES[0]; m++) {
        fpcr = MODES[m].fpcr;
        for (unsigned i = 0; i < sizeof DOUBLE / sizeof DOUBLE[0]; i++) {
            put("fp."); put(MODES[m].name); put(".d."); put(DOUBLE[i].name); putch(':');
            sweep(&DOUBLE[i], DOUBLES, sizeof DOUBLES / sizeof DOUBLES[0]);
        }
        for (unsigned i = 0; i < sizeof SINGLE / sizeof SINGLE[0]; i++) {
            put("fp."); put(MODES[m].name); put(".s."); put(SINGLE[i].name); putch(':');
            sweep_single(&SINGLE[i]);
        }
    }
    fpcr = 0;
    for (unsigned i = 0; i < sizeof VECTORS / sizeof VECTORS[0]; i++) {
        put("simd."); put(VECTORS[i].name); putch(':');
        sweep(&VECTORS[i], LANES, sizeof LANES / sizeof LANES[0]);
    }
}
