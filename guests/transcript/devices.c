/* Device accesses: every size, with and without a syndrome, with write-back, to the serial port and the interrupt
 * controller. UARTIBRD keeps 16 bits, UARTFBRD 6, and the identification registers nothing at all (QEMU's model
 * keeps 32 of each, which is why nothing wider is stored but for one line). */
#include "transcript.h"

#define IBRD (UART + 0x24)
#define FBRD (UART + 0x28)

CODE(d_ldrb, "ldrb w0, [x0]"); CODE(d_ldrh, "ldrh w0, [x0]"); CODE(d_ldr, "ldr w0, [x0]"); CODE(d_ldrx, "ldr x0, [x0]");
CODE(d_ldrsb_w, "ldrsb w0, [x0]"); CODE(d_ldrsb_x, "ldrsb x0, [x0]"); CODE(d_ldrsh_w, "ldrsh w0, [x0]");
CODE(d_ldrsh_x, "ldrsh x0, [x0]"); CODE(d_ldrsw, "ldrsw x0, [x0]"); CODE(d_ldur, "add x0, x0, #1\n ldur w0, [x0, #-1]");
CODE(d_ldtr, "ldtr w0, [x0]"); CODE(d_ldar, "ldar w0, [x0]"); CODE(d_ldarb, "ldarb w0, [x0]");
CODE(d_ldr_reg, "mov x9, #4\n sub x10, x0, #16\n ldr w0, [x10, x9, lsl #2]");
CODE(d_ldr_xzr, "ldr wzr, [x0]\n mov x0, #7"); CODE(d_ldrx_xzr, "ldr xzr, [x0]\n mov x0, #7");
CODE(d_ldr_post, "mov x9, x0\n ldr w0, [x9], #4\n mov x10, #0\n and x9, x9, #0xfff\n orr x0, x0, x9, lsl #32");
CODE(d_ldr_pre, "sub x9, x0, #4\n ldr w0, [x9, #4]!\n and x9, x9, #0xfff\n orr x0, x0, x9, lsl #32");
CODE(d_ldrsh_post, "mov x9, x0\n ldrsh x0, [x9], #-4\n and x9, x9, #0xfff\n eor x0, x0, x9, lsl #32");
CODE(d_ldp, "ldp w0, w1, [x0]\n orr x0, x0, x1, lsl #32");
CODE(d_ldpx, "ldp x0, x1, [x0]\n eor x0, x0, x1, ror #16");
CODE(d_ldpsw, "ldpsw x0, x1, [x0]\n eor x0, x0, x1, ror #16");
CODE(d_ldp_post, "mov x9, x0\n ldp w0, w1, [x9], #8\n orr x0, x0, x1, lsl #32\n and x9, x9, #0xfff\n eor x0, x0, x9, ror #8");
CODE(d_ldp_pre, "sub x9, x0, #8\n ldp w0, w1, [x9, #8]!\n orr x0, x0, x1, lsl #32\n and x9, x9, #0xfff\n eor x0, x0, x9, ror #8");
CODE(d_ldnp, "ldnp w0, w1, [x0]\n orr x0, x0, x1, lsl #32");
CODE(d_ldr_s, "movi v0.16b, #0xff\n ldr s0, [x0]\n fmov x0, d0"); CODE(d_ldr_d, "ldr d0, [x0]\n fmov x0, d0");
CODE(d_ldr_q, "ldr q0, [x0]\n fmov x0, d0\n fmov x1, v0.d[1]\n eor x0, x0, x1, ror #16");
CODE(d_ldr_b, "movi v0.16b, #0xff\n ldr b0, [x0]\n fmov x0, d0"); CODE(d_ldr_h, "movi v0.16b, #0xff\n ldr h0, [x0]\n fmov x0, d0");
CODE(d_ldp_s, "ldp s0, s1, [x0]\n fmov x0, d0\n fmov x1, d1\n orr x0, x0, x1, lsl #32");
CODE(d_prfm, "prfm pldl1keep, [x0]\n mov x0, #7");

/* All stores of 8 bytes go to UARTILPR and UARTIBRD, the others to UARTIBRD and UARTFBRD. */
#define BACK "\n mov x9, #0\n ldr w0, [x2]\n ldr w9, [x2, #4]\n orr x0, x0, x9, lsl #32"
CODE(d_strb, "mov x2, x0\n strb w1, [x0]" BACK); CODE(d_strh, "mov x2, x0\n strh w1, [x0]" BACK);
CODE(d_str, "mov x2, x0\n str w1, [x0]" BACK); CODE(d_strx, "mov x2, x0\n str x1, [x0]" BACK);
CODE(d_str_zr, "mov x2, x0\n str wzr, [x0]" BACK); CODE(d_stlr, "mov x2, x0\n stlr w1, [x0]" BACK);
CODE(d_sttr, "mov x2, x0\n sttr w1, [x0]" BACK);
CODE(d_str_post, "mov x2, x0\n str w1, [x0], #12\n and x10, x0, #0xff" BACK "\n eor x0, x0, x10, ror #8");
CODE(d_str_pre, "mov x2, x0\n sub x0, x0, #12\n str w1, [x0, #12]!\n and x10, x0, #0xff" BACK "\n eor x0, x0, x10, ror #8");
CODE(d_stp, "mov x2, x0\n mvn w3, w1\n stp w1, w3, [x0]" BACK);
CODE(d_stp_post, "mov x2, x0\n mvn w3, w1\n stp w1, w3, [x0], #16\n and x10, x0, #0xff" BACK "\n eor x0, x0, x10, ror #8");
CODE(d_stnp, "mov x2, x0\n mvn w3, w1\n stnp w1, w3, [x0]" BACK);
CODE(d_str_s, "mov x2, x0\n fmov s0, w1\n str s0, [x0]" BACK); CODE(d_str_d, "mov x2, x0\n fmov d0, x1\n str d0, [x0]" BACK);
CODE(d_stp_s, "mov x2, x0\n fmov s0, w1\n mvn w9, w1\n fmov s1, w9\n stp s0, s1, [x0]" BACK);

CODE(d_ldr_sp, "mov x9, sp\n mov sp, x0\n ldr w0, [sp], #16\n mov x10, sp\n mov sp, x9\n and x10, x10, #0xff\n eor x0, x0, x10, ror #8");

struct row { const char *name; const char *code; };
#define ROW(name) { #name, d_##name }
static const struct row LOADS[] = {
    ROW(ldrb), ROW(ldrh), ROW(ldr), ROW(ldrx), ROW(ldrsb_w), ROW(ldrsb_x), ROW(ldrsh_w), ROW(ldrsh_x), ROW(ldrsw),
    ROW(ldur), ROW(ldtr), ROW(ldar), ROW(ldarb), ROW(ldr_reg), ROW(ldr_xzr), ROW(ldrx_xzr), ROW(ldr_post), ROW(ldr_pre),
    ROW(ldrsh_post), ROW(ldp), ROW(ldpx), ROW(ldpsw), ROW(ldp_post), ROW(ldp_pre), ROW(ldnp), ROW(ldr_s), ROW(ldr_d),
    ROW(ldr_q), ROW(ldr_b), ROW(ldr_h), ROW(ldp_s), ROW(prfm),
};
static const struct row STORES[] = {
    ROW(strb), ROW(strh), ROW(str), ROW(strx), ROW(str_zr), ROW(stlr), ROW(sttr), ROW(str_post), ROW(str_pre), ROW(stp),
    ROW(stp_post), ROW(stnp), ROW(str_s), ROW(str_d), ROW(stp_s),
};

static void loads(const char *where, u64 at)
{
    for (unsigned i = 0; i < sizeof LOADS / sizeof LOADS[0]; i++) {
        put("mmio."); put(where); putch('.'); probe(LOADS[i].name, LOADS[i].code, at, 0);
    }
}

void devices(void)
{
    w32(IBRD, 0x8bad);
    w32(FBRD, 0x3f);
    value("mmio.uart.ibrd", r32(IBRD));
    value("mmio.uart.fbrd", r32(FBRD));
    /* 8-byte aligned for the wide ones: UARTILPR is at 0x20, which holds nothing. */
    loads("uart-20", UART + 0x20);
    w32(IBRD, 0x8bad);
    loads("uart-ids", UART + 0xfe0);
    loads("gicd", GICD + 0x420);
    for (unsigned i = 0; i < sizeof STORES / sizeof STORES[0]; i++) {
        w32(IBRD, 0x1111); w32(FBRD, 0x22);
        u64 at = STORES[i].code == d_strx || STORES[i].code == d_str_d ? UART + 0x20 : IBRD;
        put("mmio.uart-24."); probe(STORES[i].name, STORES[i].code, at, 0x876543a5c3e1);
        value("mmio.after.ibrd", r32(IBRD));
    }
    w32(IBRD, 0x8bad);
    probe("mmio.misaligned.ldrx", d_ldrx, IBRD, 0);
    probe("mmio.misaligned.strx", d_strx, IBRD, 0x1234);
    probe("mmio.misaligned.ldr_q", d_ldr_q, GICD + 0x428, 0);
    w32(IBRD, 0x8bad);
    probe("mmio.uart.load-from-sp", d_ldr_sp, UART + 0x30, 0);
    for (u64 byte = 0; byte < 4; byte++) { put("mmio.uart.byte-"); hex(byte); probe("", d_ldrb, UART + 0x30 + byte, 0); }
    probe("mmio.uart.half-2", d_ldrh, UART + 0x32, 0);
    for (u64 at = 0xfe0; at < 0x1000; at += 4) { put("mmio.uart."); hex(at); probe("", d_ldr, UART + at, 0); }
    for (u64 at = 0xfe0; at < 0x1000; at += 4) { put("mmio.rtc."); hex(at); probe("", d_ldr, RTC + at, 0); }
    probe("mmio.uart.fr", d_ldr, UART + 0x18, 0);
    probe("mmio.uart.rsr", d_ldr, UART + 0x04, 0);
    probe("mmio.uart.cr", d_ldr, UART + 0x30, 0);
    probe("mmio.uart.lcr", d_ldr, UART + 0x2c, 0);
    probe("mmio.uart.ifls", d_ldr, UART + 0x34, 0);
    probe("mmio.uart.imsc", d_ldr, UART + 0x38, 0);
    /* A read-only register keeps what it is. */
    w32(UART + 0xfe0, 0xffffffff);
    probe("mmio.uart.id-after-store", d_ldr, UART + 0xfe0, 0);
}
