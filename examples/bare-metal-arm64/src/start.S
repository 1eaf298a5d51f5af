// Entry of the first CPU (from QEMU) and of the others (PSCI CPU_ON, X0 is the CPU's number), at EL2 with the MMU off.
    .pushsection .text.start, "ax"
    .globl _start
_start:
    mov  x19, xzr
    // Clear .bss, which the other CPUs find cleared.
    adrp x0, __bss_start
    adrp x1, __bss_end
0:  stp  xzr, xzr, [x0], #16
    cmp  x0, x1
    b.lo 0b
    b    1f

    .globl secondary_start
secondary_start:
    mov  x19, x0
1:  mrs  x0, CurrentEL
    cmp  x0, #(2 << 2)
    b.ne 9f
    // A stack of 128 KiB each, from the end down.
    adrp x0, __stacks_end
    sub  x0, x0, x19, lsl #17
    mov  sp, x0
    adr  x0, vectors
    msr  vbar_el2, x0

    // HCR_EL2: RW, AMO, IMO, FMO; E2H and TGE where there is FEAT_VHE, as a host has it that has programs of its own at EL0.
    mov  x20, #0x38
    orr  x20, x20, #(1 << 31)
    mrs  x0, id_aa64mmfr1_el1
    ubfx x21, x0, #8, #4
    cbz  x21, 2f
    orr  x20, x20, #(1 << 34)
    orr  x20, x20, #(1 << 27)
2:  msr  hcr_el2, x20
    isb
    // Floating point and SIMD are not trapped.
    mov  x0, #0x33ff
    mov  x1, #(3 << 20)
    cmp  x21, #0
    csel x0, x0, x1, eq
    msr  cptr_el2, x0
    msr  mdcr_el2, xzr
    msr  vttbr_el2, xzr

    // Stage 1 of EL2: what lies at an address is that address. 1 GiB of devices, then 510 GiB of memory.
    adrp x0, el2_table
    cbnz x19, 4f
    mov  x1, #0x401               // AF, block, attribute 0
    orr  x1, x1, #(1 << 54)       // never executed
    str  x1, [x0]
    mov  x2, #1
    mov  x1, #0x705               // AF, inner shareable, block, attribute 1
3:  add  x3, x1, x2, lsl #30
    str  x3, [x0, x2, lsl #3]
    add  x2, x2, #1
    cmp  x2, #511
    b.ne 3b
4:  msr  ttbr0_el2, x0
    mov  x1, #0xff00              // attribute 0 Device-nGnRnE, 1 Normal Write-Back
    msr  mair_el2, x1
    // 39 bits, Write-Back inner shareable walks, 4 KiB granule, 40 bits of output.
    mov  x1, #0x3519
    cbz  x21, 5f
    orr  x1, x1, #(2 << 32)       // the form of TCR_EL1: IPS, and no upper range (EPD1)
    orr  x1, x1, #(1 << 23)
    b    6f
5:  orr  x1, x1, #(2 << 16)       // PS, and what is RES1
    orr  x1, x1, #(1 << 31)
    orr  x1, x1, #(1 << 23)
6:  msr  tcr_el2, x1
    isb
    tlbi alle2
    dsb  sy
    ic   iallu
    dsb  sy
    isb
    // SCTLR_EL2: M, C, I, SA and what is RES1.
    ldr  x1, =0x30c5183d
    msr  sctlr_el2, x1
    isb
    mov  x0, x19
    cbnz x19, 7f
    bl   rust_main
7:  mov  x0, x19
    bl   rust_secondary
9:  wfi
    b    9b
    .ltorg

    .balign 2048
vectors:
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .balign 128
    mov  x0, #\number
    b    crash
    .endr
crash:
    mrs  x1, esr_el2
    mrs  x2, elr_el2
    mrs  x3, far_el2
    bl   rust_crash
    b    9b
    .popsection

    .pushsection .bss.el2_table, "aw", %nobits
    .balign 4096
el2_table:
    .space 4096
    .popsection
