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
    mov  w0, #0x84000000
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

    .balign 8
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
    cmp  x0, #27
    b.ne 70b
    add  x26, x26, #1
    msr  cntv_ctl_el0, xzr
    msr  S3_0_C12_C12_1, x0       // ICC_EOIR1_EL1
    isb
    eret
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
102: .asciz "guest: FAILED\n"
