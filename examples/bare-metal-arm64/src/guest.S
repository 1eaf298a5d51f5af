// The guest that the hypervisor carries for when it is given none: EL1, no MMU, position-independent, at the start of
// its RAM, X0 is the device tree (none). It checks what it is told and says so on its UART; then it turns off.
    .pushsection .rodata.guest, "a"
    .balign 4096
    .globl guest_image
guest_image:
    mov  x28, #0x09000000         // UART
    adr  x27, guest_image
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

    // A register that traps: the guest has no EL2, whatever the host has.
    mrs  x0, id_aa64pfr0_el1
    ubfx x0, x0, #8, #4
    cbnz x0, 70f
    adr  x0, 92f
    bl   80f

    // A device: UARTIBRD keeps 16 bits of what is written.
    mov  w1, #0x5a5a
    movk w1, #0xf00d, lsl #16
    str  w1, [x28, #0x24]
    ldr  w2, [x28, #0x24]
    mov  w1, #0x5a5a
    cmp  w1, w2
    b.ne 70f
    ldrh w2, [x28, #0x24]
    cmp  w1, w2
    b.ne 70f
    adr  x0, 93f
    bl   80f

    // Where there is nothing, an external abort: the handler counts it in X26 and goes past it.
    mov  x26, #0
    mov  x1, #0x0a000000
    ldr  w2, [x1]
    cmp  x26, #1
    b.ne 70f
    adr  x0, 94f
    bl   80f

    // Memory: one word in each of the pages from 16 to 31 MiB, and all of them are kept.
    mov  x1, #0x1000000
    add  x1, x1, x27
    mov  x2, #0
1:  add  x3, x1, x2, lsl #12
    str  x3, [x3, #8]
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
    adr  x0, 95f
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
    msr  cntv_tval_el0, x0
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
    subs x25, x25, #1
    b.ne 3b
    cmp  x26, #10
    b.ne 70f
    adr  x0, 96f
    bl   80f

    // Sixteen software-generated interrupts at once, more than there are list registers: each comes, lowest number first.
    mov  x1, #0x080b0000
    mov  w2, #0xffff
    str  w2, [x1, #0x80]          // GICR_IGROUPR0
    mov  w3, #(1 << 27)
    orr  w2, w2, w3
    str  w2, [x1, #0x80]
    str  w2, [x1, #0x100]         // GICR_ISENABLER0
    msr  daifset, #2
    mov  x23, #15
6:  lsl  x0, x23, #24             // INTID
    orr  x0, x0, #1               // to this CPU
    msr  S3_0_C12_C11_5, x0       // ICC_SGI1R_EL1
    subs x23, x23, #1
    b.pl 6b
    isb
    mov  x23, #0                  // the next one
    msr  daifclr, #2
    isb
    mrs  x24, cntvct_el0
    mrs  x25, cntfrq_el0
    add  x24, x24, x25, lsl #2    // four seconds
7:  cmp  x23, #16
    b.eq 8f
    mrs  x25, cntvct_el0
    cmp  x25, x24
    b.lo 7b
    b    70f
8:  adr  x0, 99f
    bl   80f

    // The count goes on while floating point registers keep their values over exits.
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
    adr  x0, 97f
    bl   80f
    mov  w0, #0x84000000
    movk w0, #8                   // SYSTEM_OFF
    hvc  #0
    b    70f

    // Something was not as it should be: no SYSTEM_OFF, but a reset, which the hypervisor takes for a failure.
70: adr  x0, 98f
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

    .balign 2048
20: .balign 0x200
    // Synchronous, from this level with SP_EL1.
    . = 20b + 0x200
    add  x26, x26, #1
    mrs  x0, esr_el1
    lsr  x0, x0, #26
    cmp  x0, #0x25
    b.ne 70b
    mrs  x0, elr_el1
    add  x0, x0, #4
    msr  elr_el1, x0
    eret
    . = 20b + 0x280
    mrs  x0, S3_0_C12_C12_0       // ICC_IAR1_EL1
    cmp  x0, #16
    b.hs 21f
    cmp  x0, x23
    b.ne 70b
    add  x23, x23, #1
    msr  S3_0_C12_C12_1, x0       // ICC_EOIR1_EL1
    isb
    eret
21: cmp  x0, #27
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
94: .asciz "guest: where nothing is, an abort\n"
95: .asciz "guest: 16 MiB of memory\n"
96: .asciz "guest: ten timer interrupts\n"
97: .asciz "guest: floating point survives\n"
98: .asciz "guest: FAILED\n"
99: .asciz "guest: sixteen interrupts at once\n"
    .balign 4096
    .globl guest_image_end
guest_image_end:
    .popsection
