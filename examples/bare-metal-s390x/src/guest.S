// A guest that does to its host what a guest can do: it reads and writes where there is memory, where there is none,
// where it may not, and past the end; it calls firmware, reads registers that trap, waits and is interrupted. EL1, no
// MMU, position-independent, at the start of its RAM. It says what it has checked on its UART; then it turns off.
    .globl _start
_start:
    mov  x28, #0x09000000         // UART
    adr  x27, _start
    adr  x0, 90f
    bl   80f
    adr  x0, 20f
    msr  vbar_el1, x0

    // PSCI_VERSION is 1.1 or later, below 2.
    mov  w0, #0x84000000
    hvc  #0
    mov  w1, #0x10001
    cmp  w0, w1
    b.lo 70f
    lsr  w0, w0, #16
    cmp  w0, #1
    b.ne 70f
    adr  x0, 91f
    bl   80f

    // A register that traps: the guest has no EL2.
    mrs  x0, id_aa64pfr0_el1
    ubfx x0, x0, #8, #4
    cbnz x0, 70f
    adr  x0, 92f
    bl   80f

    // A device: UARTIBRD keeps 16 bits of what is written, and UARTPeriphID0 is a PL011's.
    mov  w1, #0x5a5a
    movk w1, #0xf00d, lsl #16
    str  w1, [x28, #0x24]
    ldr  w2, [x28, #0x24]
    mov  w1, #0x5a5a
    cmp  w1, w2
    b.ne 70f
    ldrh w2, [x28, #0xfe0]
    cmp  w2, #0x11
    b.ne 70f
    adr  x0, 93f
    bl   80f

    // Byte order: the host is big-endian, the guest is not.
    adr  x3, 30f
    ldrb w2, [x3]
    cmp  w2, #0x88
    b.ne 70f
    ldrb w2, [x3, #7]
    cmp  w2, #0x11
    b.ne 70f
    adr  x0, 94f
    bl   80f

    // Where there is nothing, an external abort: the handler counts it in X26 and goes past it.
    mov  x26, #0
    mov  x1, #0x0a000000
    ldr  w2, [x1]
    str  w2, [x1]
    cmp  x26, #2
    b.ne 70f
    adr  x0, 95f
    bl   80f

    // Memory that is only read: it holds something, a store is an abort and changes nothing.
    mov  x26, #0
    mov  x1, #0x8000
    str  x1, [x1]
    ldr  x2, [x1]
    cmp  x26, #1
    b.ne 70f
    cbnz x2, 70f
    mov  x1, #0
    ldr  x2, [x1]                 // "read-onl"
    mov  x3, #0x6572
    movk x3, #0x6461, lsl #16
    movk x3, #0x6f2d, lsl #32
    movk x3, #0x6c6e, lsl #48
    cmp  x2, x3
    b.ne 70f
    adr  x0, 96f
    bl   80f

    // Past the last address: an abort.
    mov  x26, #0
    mov  x1, #(1 << 41)
    ldr  x2, [x1]
    cmp  x26, #1
    b.ne 70f
    // And a fetch from there, which the handler counts and returns from by X24.
    adr  x24, 1f
    br   x1
1:  cmp  x26, #2
    b.ne 70f
    adr  x0, 97f
    bl   80f

    // Memory: one word in each page of 16 MiB, and all of them are kept; loads come first in every other page.
    mov  x1, #0x1000000
    add  x1, x1, x27
    mov  x2, #0
1:  add  x3, x1, x2, lsl #12
    tbz  x2, #0, 2f
    ldr  x4, [x3, #8]
2:  str  x3, [x3, #8]
    add  x2, x2, #1
    cmp  x2, #4096
    b.ne 1b
    mov  x2, #0
2:  add  x3, x1, x2, lsl #12
    ldr  x4, [x3, #8]
    cmp  x3, x4
    b.ne 70f
    add  x2, x2, #1
    cmp  x2, #4096
    b.ne 2b
    adr  x0, 98f
    bl   80f

    // The virtual timer: ten interrupts, a WFI for each. GICD_CTLR, the redistributor awake, PPI 27 enabled.
    mov  x1, #0x08000000
    mov  w2, #0x12
    str  w2, [x1]
    mov  x1, #0x080a0000
    str  wzr, [x1, #0x14]
    add  x1, x1, #0x10000
    mov  w2, #(1 << 27)
    str  w2, [x1, #0x80]
    str  w2, [x1, #0x100]
    mov  x0, #7
    msr  S3_0_C12_C12_5, x0       // ICC_SRE_EL1
    isb
    mov  x0, #0xf0
    msr  S3_0_C4_C6_0, x0         // ICC_PMR_EL1
    mov  x0, #1
    msr  S3_0_C12_C12_7, x0       // ICC_IGRPEN1_EL1
    isb
    mov  x26, #0
    mov  x25, #10
3:  mov  x24, x26
    mrs  x0, cntfrq_el0
    lsr  x0, x0, #8
    mrs  x23, cntvct_el0
    add  x23, x23, x0
    msr  cntv_cval_el0, x23
    mov  x0, #1
    msr  cntv_ctl_el0, x0
    isb
4:  msr  daifset, #2
    cmp  x26, x24
    b.ne 5f
    wfi
    msr  daifclr, #2
    isb
    b    4b
5:  msr  daifclr, #2
    // A store to another page each time: whoever logs them has to see it.
    mov  x0, #0x1000000
    add  x0, x0, x27
    add  x0, x0, x25, lsl #12
    str  x25, [x0]
    // Not before its time.
    mrs  x0, cntvct_el0
    cmp  x0, x23
    b.lo 70f
    subs x25, x25, #1
    b.ne 3b
    cmp  x26, #10
    b.ne 70f
    adr  x0, 99f
    bl   80f

    // The same without WFI: the interrupt ends a loop.
    mov  x26, #0
    mrs  x0, cntfrq_el0
    lsr  x0, x0, #6
    msr  cntv_tval_el0, x0
    mov  x0, #1
    msr  cntv_ctl_el0, x0
6:  cbz  x26, 6b
    adr  x0, 100f
    bl   80f

    // What is typed is an interrupt, which ends a loop: SPI 33, in group 1, for this CPU; the port on, and it may interrupt.
    mov  x1, #0x08000000
    mov  w2, #2
    str  w2, [x1, #0x84]
    str  w2, [x1, #0x104]
    add  x1, x1, #0x6000
    str  xzr, [x1, #0x108]
    mov  w2, #0x10
    str  w2, [x28, #0x38]
    mov  w2, #0x301
    str  w2, [x28, #0x30]
    mov  x26, #0
    mov  w19, #0
    adr  x0, 106f
    bl   80f
6:  cbz  x26, 6b
    cmp  w19, #'x'
    b.ne 70f
    str  wzr, [x28, #0x38]
    adr  x0, 107f
    bl   80f

    // Floating point registers keep their values over exits.
    mov  x0, #(3 << 20)
    msr  cpacr_el1, x0
    isb
    .arch_extension fp
    fmov d0, #2.5
    fmov d31, #-1.5
    mov  w0, #0x84000000
    hvc  #0
    fadd d0, d0, d31
    fmov d1, #1.0
    fcmp d0, d1
    b.ne 70f
    adr  x0, 101f
    bl   80f

    // A second CPU, if there is one: CPU_ON with the context in X0.
    mov  w0, #0x3
    movk w0, #0xc400, lsl #16
    mov  x1, #1
    adr  x2, 50f
    adr  x3, 40f
    hvc  #0
    cbnz w0, 79f
    adr  x21, 40f
7:  ldar x1, [x21]
    cbz  x1, 7b
    adr  x0, 103f
    bl   80f

    // Both add to one number.
    add  x22, x21, #8
    mov  x2, #10000
    bl   60f
8:  ldar x1, [x22]
    mov  x2, #20000
    cmp  x1, x2
    b.lo 8b
    b.ne 70f
    adr  x0, 104f
    bl   80f

    // SGI 1 to the other CPU, which answers with one to this one: a WFI for each.
    mov  x1, #0x080b0000
    mov  w2, #2
    str  w2, [x1, #0x80]
    str  w2, [x1, #0x100]
    mov  x25, #100
    mov  x26, #0
9:  mov  x24, x26
    mov  x0, #(1 << 24)
    orr  x0, x0, #2
    msr  S3_0_C12_C11_5, x0       // ICC_SGI1R_EL1: INTID 1, to Aff0 1
    isb
10: msr  daifset, #2
    cmp  x26, x24
    b.ne 11f
    wfi
    msr  daifclr, #2
    isb
    b    10b
11: msr  daifclr, #2
    subs x25, x25, #1
    b.ne 9b
    adr  x0, 105f
    bl   80f

    // The other CPU now loops, and nothing it does leaves the guest: the end has to reach it there.
    add  x22, x21, #16
    mov  x0, #1
    stlr x0, [x22]
    add  x22, x21, #24
12: ldar x1, [x22]
    cbz  x1, 12b
79: mov  w0, #0x84000000
    movk w0, #8                   // SYSTEM_OFF
    hvc  #0
    b    70f

    // Something was not as it should be: no SYSTEM_OFF, but a reset, which the hypervisor takes for a failure.
70: adr  x0, 102f
    bl   80f
    mov  w0, #0x84000000
    movk w0, #9                   // SYSTEM_RESET
    hvc  #0
    b    .

80: ldrb w1, [x0], #1
    cbz  w1, 81f
    strb w1, [x28]
    b    80b
81: ret

    // Adds 1 to the number at X22, X2 times.
60: ldxr x3, [x22]
    add  x3, x3, #1
    stxr w4, x3, [x22]
    cbnz w4, 60b
    subs x2, x2, #1
    b.ne 60b
    ret

    // The second CPU, X0 is where both keep what they share.
50: mov  x21, x0
    mov  x28, #0x09000000
    adr  x0, 20f
    msr  vbar_el1, x0
    mov  x1, #0x080c0000
    str  wzr, [x1, #0x14]
    add  x1, x1, #0x10000
    mov  w2, #2
    str  w2, [x1, #0x80]
    str  w2, [x1, #0x100]
    mov  x0, #7
    msr  S3_0_C12_C12_5, x0
    isb
    mov  x0, #0xf0
    msr  S3_0_C4_C6_0, x0
    mov  x0, #1
    msr  S3_0_C12_C12_7, x0
    isb
    mov  x0, #1
    stlr x0, [x21]
    add  x22, x21, #8
    mov  x2, #10000
    bl   60b
    mov  x26, #0
    mov  x25, #100
51: mov  x24, x26
52: msr  daifset, #2
    cmp  x26, x24
    b.ne 53f
    wfi
    msr  daifclr, #2
    isb
    b    52b
53: add  x24, x24, #1
    msr  daifclr, #2
    mov  x0, #1
    movk x0, #0x100, lsl #16      // INTID 1, to Aff0 0
    msr  S3_0_C12_C11_5, x0
    isb
    subs x25, x25, #1
    b.ne 52b
    add  x22, x21, #16
54: ldar x1, [x22]
    cbz  x1, 54b
    add  x22, x21, #24
    stlr x1, [x22]
55: b    55b

    .balign 8
    // Shared: the second CPU is here, the number, go and loop, it loops.
40: .quad 0, 0, 0, 0
30: .quad 0x1122334455667788

    .balign 2048
20: .balign 0x200
    // Synchronous, from this level with SP_EL1.
    . = 20b + 0x200
    add  x26, x26, #1
    mrs  x0, esr_el1
    lsr  x0, x0, #26
    mrs  x20, elr_el1
    add  x20, x20, #4
    cmp  x0, #0x25                // of data
    b.eq 21f
    cmp  x0, #0x21                // of an instruction
    b.ne 70b
    mov  x20, x24
21: msr  elr_el1, x20
    eret
    . = 20b + 0x280
    mrs  x0, S3_0_C12_C12_0       // ICC_IAR1_EL1
    add  x26, x26, #1
    cmp  x0, #1
    b.eq 22f
    cmp  x0, #33
    b.eq 23f
    cmp  x0, #27
    b.ne 70b
    msr  cntv_ctl_el0, xzr
22: msr  S3_0_C12_C12_1, x0       // ICC_EOIR1_EL1
    isb
    eret
23: ldr  w19, [x28]
    mov  w20, #0x7ff
    str  w20, [x28, #0x44]
    b    22b
    . = 20b + 0x400

90: .asciz "guest: here\n"
91: .asciz "guest: firmware is there\n"
92: .asciz "guest: there is no EL2\n"
93: .asciz "guest: a device keeps its register\n"
94: .asciz "guest: little-endian\n"
95: .asciz "guest: where nothing is, an abort\n"
96: .asciz "guest: read-only memory stays as it is\n"
97: .asciz "guest: past the last address, an abort\n"
98: .asciz "guest: 16 MiB of memory\n"
99: .asciz "guest: ten timer interrupts, none too early\n"
100: .asciz "guest: an interrupt ends a loop\n"
101: .asciz "guest: floating point survives\n"
103: .asciz "guest: a second CPU is here\n"
104: .asciz "guest: both count, and nothing is lost\n"
105: .asciz "guest: a hundred interrupts to and fro\n"
106: .asciz "guest: type x\n"
107: .asciz "guest: what is typed arrives\n"
102: .asciz "guest: FAILED\n"
