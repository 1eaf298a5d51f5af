/* Entry: an arm64 Image (kernel.org, arm64 boot protocol), so that whatever boots Linux boots this, at
 * 0x40080000 with the MMU off. Builds a stage-1 table with 4 KiB granule: 4 KiB pages for the first 32 MiB of
 * RAM (so that walker and TLB see real 4-level walks), a device block for the UART; turns the MMU and the caches
 * on, unmasks interrupts, and calls guest_main. */
#define RAM   0x40000000
#define UART  0x09000000
    .section .text.start, "ax"
    .globl _start
_start:
    b    0f                         /* code0 */
    .long 0                         /* code1 */
    .quad 0x80000                   /* text_offset */
    .quad __image_end - _start      /* image_size */
    .quad 2                         /* flags: little-endian, 4 KiB pages, at the base of RAM */
    .quad 0, 0, 0
    .ascii "ARM\x64"
    .long 0
0:  mrs  x0, CurrentEL
    lsr  x0, x0, #2
    cmp  x0, #2
    b.ne 1f
    /* entered at EL2: drop to EL1 */
    mov  x0, #(1 << 31)
    msr  hcr_el2, x0
    mov  x0, #3
    msr  cnthctl_el2, x0
    msr  cntvoff_el2, xzr
    mov  x0, #0x3c5
    msr  spsr_el2, x0
    adr  x0, 1f
    msr  elr_el2, x0
    eret
1:  ldr  x0, =__stack_top
    mov  sp, x0
    mov  x0, #(3 << 20)
    msr  cpacr_el1, x0
    ldr  x0, =vectors
    msr  vbar_el1, x0
    isb
    /* clear bss */
    ldr  x0, =__bss_start
    ldr  x1, =__bss_end
2:  cmp  x0, x1
    b.hs 3f
    stp  xzr, xzr, [x0], #16
    b    2b
3:  /* L0[0] -> L1 ; L1[0] -> L2dev ; L1[1] -> L2ram ; L2ram[0..15] -> L3 */
    ldr  x0, =pt_l0
    ldr  x1, =pt_l1
    orr  x2, x1, #3
    str  x2, [x0]
    ldr  x2, =pt_l2dev
    orr  x3, x2, #3
    str  x3, [x1, #0]
    ldr  x4, =pt_l2ram
    orr  x3, x4, #3
    str  x3, [x1, #8]
    /* device block 0x09000000: L2 index 72, attr index 0, AF, XN */
    ldr  x3, =(UART | (1 << 10) | (3 << 53) | 1)
    str  x3, [x2, #(72 * 8)]
#ifdef TICKS
    /* and one for the interrupt controller: 0x08000000 and what follows */
    ldr  x3, =(0x08000000 | (1 << 10) | (3 << 53) | 1)
    str  x3, [x2, #(64 * 8)]
#endif
    /* L2ram[i] -> pt_l3 + i*4096 */
    ldr  x5, =pt_l3
    mov  x6, #0
4:  add  x7, x5, x6, lsl #12
    orr  x7, x7, #3
    str  x7, [x4, x6, lsl #3]
    add  x6, x6, #1
    cmp  x6, #16
    b.ne 4b
    /* 8192 pages, attr index 1 (normal WB), inner shareable, AF */
    mov  x6, #0
    ldr  x8, =(RAM | (1 << 10) | (3 << 8) | (1 << 2) | 3)
5:  add  x7, x8, x6, lsl #12
    str  x7, [x5, x6, lsl #3]
    add  x6, x6, #1
    cmp  x6, #8192
    b.ne 5b
    ldr  x0, =0xff00            /* MAIR: attr0 device-nGnRnE, attr1 normal WB */
    msr  mair_el1, x0
    ldr  x0, =((2 << 32) | (1 << 23) | (3 << 12) | (1 << 10) | (1 << 8) | 16)
    msr  tcr_el1, x0            /* T0SZ=16 (48 bit), 4K, IPS=40 bit, EPD1 */
    ldr  x0, =pt_l0
    msr  ttbr0_el1, x0
    dsb  ish
    tlbi vmalle1
    dsb  ish
    isb
    mrs  x0, sctlr_el1
    mov  x1, #0x1005            /* I, C, M */
    orr  x0, x0, x1
    msr  sctlr_el1, x0
    isb
    msr  daifclr, #0xf
    bl   guest_main
    /* PSCI SYSTEM_OFF by HVC (virt without EL2 uses hvc) */
    ldr  x0, =0x84000008
    hvc  #0
6:  wfi
    b    6b

    .balign 2048
vectors:
#ifdef TICKS
    .rept 5
    .balign 128
    b    fault
    .endr
    .balign 128
    b    tick                   /* IRQ from this level, with SP_EL1 */
    .rept 10
    .balign 128
    b    fault
    .endr
tick:
    stp  x0, x1, [sp, #-16]!
    mrs  x0, S3_0_C12_C12_0     /* ICC_IAR1_EL1 */
    ldr  x1, =tick_period
    ldr  x1, [x1]
    msr  cntv_tval_el0, x1
    msr  S3_0_C12_C12_1, x0     /* ICC_EOIR1_EL1 */
    ldr  x0, =ticks
    ldr  x1, [x0]
    add  x1, x1, #1
    str  x1, [x0]
    ldp  x0, x1, [sp], #16
    eret
#else
    .rept 16
    .balign 128
    b    fault
    .endr
#endif
fault:
    mrs  x0, esr_el1
    mrs  x1, elr_el1
    mrs  x2, far_el1
    bl   guest_fault
7:  wfi
    b    7b

    .section .bss.pt, "aw", %nobits
    .balign 4096
pt_l0:    .space 4096
pt_l1:    .space 4096
pt_l2dev: .space 4096
pt_l2ram: .space 4096
pt_l3:    .space 16 * 4096
