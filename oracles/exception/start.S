// Exception oracle, assembly part: EL3 enters a case by ERET, and records what is found at the next exception to EL3.
    .arch armv8-a
    .section .text.start,"ax"
    .global _start
_start:
    ldr     x1, =stack_top
    mov     sp, x1
    ldr     x0, =vectors3
    msr     vbar_el3, x0
    msr     cptr_el3, xzr
    isb
    bl      main
1:  wfi
    b       1b

// enter(case): PSTATE from word 0, PC from word 1, X0 to X3 from words 2 to 5; returns at the next exception to EL3.
    .global enter
enter:
    stp     x19, x20, [sp, #-96]!
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    sub     sp, sp, #16                     // a case at EL3 may store here
    ldp     x1, x2, [x0]
    msr     spsr_el3, x1
    msr     elr_el3, x2
    ldp     x2, x3, [x0, #32]
    ldp     x0, x1, [x0, #16]
    clrex
    isb
    eret

    .macro special bit, reg
    tbz     x3, #\bit, .Lskip\@
    mrs     x2, \reg
    orr     x1, x1, x2
.Lskip\@:
    .endm

    .balign 0x800
vectors3:
    .set    offset, 0
    .rept   16
    .balign 0x80
    stp     x0, x1, [sp, #-32]!
    mov     x0, #offset
    b       back
    .set    offset, offset + 0x80
    .endr
    .balign 0x80
back:                                       // nothing here changes a flag
    stp     x2, x3, [sp, #16]
    ldr     x3, =specials
    ldr     x3, [x3]
    mrs     x1, nzcv
    mrs     x2, daif
    orr     x1, x1, x2
    mrs     x2, currentel
    orr     x1, x1, x2
    mrs     x2, spsel
    orr     x1, x1, x2
    special 0, S3_0_C4_C2_3                 // PAN
    special 1, S3_0_C4_C2_4                 // UAO
    special 2, S3_3_C4_C2_5                 // DIT
    special 3, S3_3_C4_C2_6                 // SSBS
    special 4, S3_3_C4_C2_7                 // TCO
    special 5, S3_0_C4_C3_0                 // ALLINT
    ldr     x2, =landed
    stp     x0, x1, [x2]
    ldp     x0, x1, [sp]
    stp     x0, x1, [x2, #16]
    add     sp, sp, #48
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     x19, x20, [sp], #96
    ret

    .section .bss
    .balign 4096
    .space  65536
stack_top:
