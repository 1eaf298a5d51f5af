/* PSCI and SMCCC: what firmware says, by HVC. */
#include "transcript.h"

/* x0..x3 in and out; x4 to x17 must be kept (SMCCC 1.1). */
CODE(hvc_call, "mov x3, #0\n mov x9, x2\n mov x4, #4\n mov x17, #17\n hvc #0\n"
     " cmp x4, #4\n b.ne 1f\n cmp x17, #17\n b.ne 1f\n ret\n1: mov x0, #0xbad");
CODE(smc_call, "mov x3, #0\n smc #0");
CODE(hvc_four, "mov x3, #0\n hvc #0\n eor x0, x0, x1, ror #16\n eor x0, x0, x2, ror #32\n eor x0, x0, x3, ror #48");

static void call(const char *label, u64 function, u64 a1, u64 a2) { probe3(label, hvc_call, function, a1, a2); }

void firmware(void)
{
    call("psci.version", 0x84000000, 0, 0);
    call("psci.version.high-bits", 0xffffffff84000000, 0, 0);
    call("psci.migrate-info-type", 0x84000006, 0, 0);
    call("smccc.version", 0x80000000, 0, 0);
    for (u64 n = 0; n < 24; n++) {
        put("psci.features."); hex(0x84000000 + n); call("", 0x8400000a, 0x84000000 + n, 0);
        put("psci.features."); hex(0xc4000000 + n); call("", 0x8400000a, 0xc4000000 + n, 0);
    }
    call("psci.features.smccc-version", 0x8400000a, 0x80000000, 0);
    call("psci.features.nonsense", 0x8400000a, 0x12345678, 0);
    call("psci.affinity-info.0.level-0", 0xc4000004, 0, 0);
    call("psci.affinity-info.0.level-1", 0xc4000004, 0, 1);
    call("psci.affinity-info.0.level-3", 0xc4000004, 0, 3);
    call("psci.affinity-info.0.level-4", 0xc4000004, 0, 4);
    call("psci.affinity-info.32", 0x84000004, 0, 0);
    call("psci.affinity-info.none", 0xc4000004, 0x700, 0);
    call("psci.affinity-info.reserved-bits", 0xc4000004, 0xff000000, 0);
    call("psci.cpu-on.self", 0xc4000003, 0, 0x40080000);
    call("psci.cpu-on.none", 0xc4000003, 0x700, 0x40080000);
    call("psci.cpu-on.reserved-bits", 0xc4000003, 0x80000000, 0x40080000);
    call("psci.cpu-on-32.none", 0x84000003, 0x700, 0x40080000);
    call("psci.migrate", 0x84000005, 0, 0);
    call("psci.migrate-info-up-cpu", 0x84000007, 0, 0);
    call("psci.cpu-freeze", 0x8400000b, 0, 0);
    call("psci.node-hw-state", 0xc400000d, 0, 0);
    call("psci.set-suspend-mode", 0x8400000f, 0, 0);
    call("psci.stat-count", 0xc4000011, 0, 0);
    call("psci.mem-protect", 0x84000013, 0, 0);
    call("psci.unassigned", 0x8400001f, 0, 0);
    for (u64 f = 0x80000001; f < 0x80000004; f++) { put("smccc.arch."); hex(f); call("", f, 0x80000000, 0); }
    static const u64 ARCH[] = { 0x80000000, 0x80000001, 0x80000002, 0x80000004, 0x80008000, 0x80007fff, 0x80003fff,
                                0x84000000, 0xc4000003, 0x80001234 };
    for (unsigned i = 0; i < sizeof ARCH / sizeof ARCH[0]; i++) {
        put("smccc.arch-features."); hex(ARCH[i]); call("", 0x80000001, ARCH[i], 0);
    }
    static const u64 OTHERS[] = { 0, 1, 0x04000000, 0x80008000, 0x80007fff, 0x80003fff, 0x81000000, 0x82000000,
                                  0x8300ff00, 0x8400ff00, 0x8400ff01, 0x8500ff00, 0x8600ff00, 0x8600ff01, 0x8600ff03,
                                  0x86000000, 0x86000001, 0xc6000000, 0xc5000020, 0xc5000021, 0x84000050, 0x84000051,
                                  0xb2000000, 0xbf000000, 0xffffffff };
    for (unsigned i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        put("smccc.call."); hex(OTHERS[i]); call("", OTHERS[i], 0, 0);
    }
    probe("smccc.hvc.uid", hvc_four, 0x8600ff01, 0);
    probe("smccc.smc.psci-version", smc_call, 0x84000000, 0);
    probe("smccc.smc.unknown", smc_call, 0x8400001f, 0);
}
