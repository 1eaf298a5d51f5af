/* Entry, exception vectors and the two ways out of C: attempt() and el0().
 *
 * An arm64 Image (Linux, Documentation/arch/arm64/booting.rst): whatever boots Linux boots this, with the MMU off,
 * at 0x40080000, at EL1. X0, the device tree, is not looked at. */
#include "layout.h"

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
0:  msr  daifset, #0xf
    ldr  x1, =__bss_start
    ldr  x2, =__bss_end
1:  cmp  x1, x2
    b.hs 2f
    stp  xzr, xzr, [x1], #16
    b    1b
2:  ldr  x1, =cpus
    ldr  x2, =main
    b    begin

/* A vCPU that CPU_ON started; X0 is its struct cpu. */
    .globl second_entry
second_entry:
    msr  daifset, #0xf
    mov  x1, x0
    ldr  x2, =second_main

begin:
    msr  tpidr_el1, x1
    add  x3, x1, #CPU_STACK_END
    mov  sp, x3
    ldr  x3, =vectors
    msr  vbar_el1, x3
    msr  tpidrro_el0, xzr
    msr  spsel, #1
    ldr  x3, =0x30d00998            /* SCTLR_EL1: RES1 of Armv8.0 without AArch32 at EL0, SA0, SA */
    msr  sctlr_el1, x3
    mov  x3, #(3 << 20)
    msr  cpacr_el1, x3
    isb
    mov  x0, x1
    blr  x2
    mov  w0, #0x0008
    movk w0, #0x8400, lsl #16       /* PSCI SYSTEM_OFF */
    hvc  #0
3:  wfi
    b    3b

/* u64 attempt(code, a0, a1, a2): calls code; 0 if it came back, 1 if an exception ended it. Either way the struct cpu
 * has X0 or the whole record. */
    .globl attempt
attempt:
    stp  x29, x30, [sp, #-128]!
    stp  x27, x28, [sp, #16]
    stp  x25, x26, [sp, #32]
    stp  x23, x24, [sp, #48]
    stp  x21, x22, [sp, #64]
    stp  x19, x20, [sp, #80]
    mrs  x9, tpidr_el1
    ldr  x10, [x9, #CPU_RECOVER]
    str  x10, [sp, #96]
    mov  x10, sp
    str  x10, [x9, #CPU_RECOVER]
    mov  x9, x0
    mov  x0, x1
    mov  x1, x2
    mov  x2, x3
    msr  nzcv, xzr
    adr  x30, 1f
    ret  x9                         /* no BLR: it would leave its mark in PSTATE.BTYPE, announced or not */
1:
    mrs  x9, tpidr_el1
    str  x0, [x9, #CPU_X]
    mov  x0, #0
    b    5f
/* From an exception: SP_EL1 is whatever the code left. */
4:  mrs  x9, tpidr_el1
    ldr  x10, [x9, #CPU_RECOVER]
    mov  sp, x10
    mov  x0, #1
5:  ldr  x10, [sp, #96]
    str  x10, [x9, #CPU_RECOVER]
    ldp  x19, x20, [sp, #80]
    ldp  x21, x22, [sp, #64]
    ldp  x23, x24, [sp, #48]
    ldp  x25, x26, [sp, #32]
    ldp  x27, x28, [sp, #16]
    ldp  x29, x30, [sp], #128
    ret

/* enter_el0(code, a0, a1, spsr): to be attempted, for it does not come back. SP_EL0 is a stack of its own. */
    .globl enter_el0
enter_el0:
    msr  elr_el1, x0
    msr  spsr_el1, x3
    mrs  x9, tpidr_el1
    add  x9, x9, #CPU_STACK0_END
    msr  sp_el0, x9
    mov  x0, x1
    mov  x1, x2
    mov  x2, #0
    mov  x3, #0
    mov  x9, #0
    eret

    .balign 2048
vectors:
    .set offset, 0
    .rept 16
    .balign 128
    msr  tpidrro_el0, x0
    mrs  x0, tpidr_el1
    str  x1, [x0, #(CPU_X + 8)]
    mov  x1, #offset
    b    entry
    .set offset, offset + 0x80
    .endr
    .balign 128
entry:
    str  x1, [x0, #CPU_VECTOR]
    mrs  x1, tpidrro_el0
    str  x1, [x0, #CPU_X]
    msr  tpidrro_el0, xzr
    stp  x2, x3, [x0, #(CPU_X + 16)]
    stp  x4, x5, [x0, #(CPU_X + 32)]
    stp  x6, x7, [x0, #(CPU_X + 48)]
    stp  x8, x9, [x0, #(CPU_X + 64)]
    stp  x10, x11, [x0, #(CPU_X + 80)]
    stp  x12, x13, [x0, #(CPU_X + 96)]
    stp  x14, x15, [x0, #(CPU_X + 112)]
    stp  x16, x17, [x0, #(CPU_X + 128)]
    stp  x18, x19, [x0, #(CPU_X + 144)]
    stp  x20, x21, [x0, #(CPU_X + 160)]
    stp  x22, x23, [x0, #(CPU_X + 176)]
    stp  x24, x25, [x0, #(CPU_X + 192)]
    stp  x26, x27, [x0, #(CPU_X + 208)]
    stp  x28, x29, [x0, #(CPU_X + 224)]
    mov  x2, sp
    stp  x30, x2, [x0, #(CPU_X + 240)]
    mrs  x1, esr_el1
    mrs  x2, elr_el1
    mrs  x3, far_el1
    mrs  x4, spsr_el1
    stp  x1, x2, [x0, #CPU_ESR]
    stp  x3, x4, [x0, #(CPU_ESR + 16)]
    mrs  x1, daif
    str  x1, [x0, #(CPU_ESR + 32)]
    add  x1, x0, #CPU_STACK1_END
    mov  sp, x1
    mov  x19, x0
    bl   exception
    cbz  x0, 4b
    /* Back, as the record says. */
    mov  x0, x19
    ldp  x1, x2, [x0, #(CPU_ESR + 8)]
    msr  elr_el1, x1
    ldr  x2, [x0, #(CPU_ESR + 24)]
    msr  spsr_el1, x2
    ldr  x2, [x0, #(CPU_X + 248)]
    mov  sp, x2
    ldp  x2, x3, [x0, #(CPU_X + 16)]
    ldp  x4, x5, [x0, #(CPU_X + 32)]
    ldp  x6, x7, [x0, #(CPU_X + 48)]
    ldp  x8, x9, [x0, #(CPU_X + 64)]
    ldp  x10, x11, [x0, #(CPU_X + 80)]
    ldp  x12, x13, [x0, #(CPU_X + 96)]
    ldp  x14, x15, [x0, #(CPU_X + 112)]
    ldp  x16, x17, [x0, #(CPU_X + 128)]
    ldp  x18, x19, [x0, #(CPU_X + 144)]
    ldp  x20, x21, [x0, #(CPU_X + 160)]
    ldp  x22, x23, [x0, #(CPU_X + 176)]
    ldp  x24, x25, [x0, #(CPU_X + 192)]
    ldp  x26, x27, [x0, #(CPU_X + 208)]
    ldp  x28, x29, [x0, #(CPU_X + 224)]
    ldr  x30, [x0, #(CPU_X + 240)]
    ldp  x0, x1, [x0, #CPU_X]
    eret
