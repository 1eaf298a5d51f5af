// Translation oracle, assembly part: entry at EL3 with the MMU off, vectors that note an exception and go on, and AT of
// the program's own regime. That and the vectors lie in one page, which a case maps to itself.
    .set    SCTLR_OFF, 0x30c50830

    .section .text.start,"ax"
    .global _start
_start:
    ldr     x1, =stack_top
    mov     sp, x1
    ldr     x0, =vectors
    msr     vbar_el3, x0
    isb
    bl      main
1:  wfi
    b       1b

    .section .page,"ax"
    .balign 0x1000
vectors:
    .rept   4
    .balign 0x80
    b       lost
    .endr
    .balign 0x80
    b       noted                           // current EL with SP_EL3, synchronous
    .rept   11
    .balign 0x80
    b       lost
    .endr

// Ends translation, if there is any, before there is an access. Notes the syndrome, with bit 63 so that class 0 is seen too,
// and skips the instruction.
    .balign 0x80
noted:
    msr     tpidr_el3, x0
    movz    x0, #(SCTLR_OFF & 0xffff)
    movk    x0, #(SCTLR_OFF >> 16), lsl #16
    msr     sctlr_el3, x0
    isb
    mrs     x0, tpidr_el3
    stp     x0, x1, [sp, #-16]!
    mrs     x0, esr_el3
    orr     x0, x0, #(1 << 63)
    adrp    x1, syndrome
    add     x1, x1, :lo12:syndrome
    str     x0, [x1]
    mrs     x0, elr_el3
    add     x0, x0, #4
    msr     elr_el3, x0
    ldp     x0, x1, [sp], #16
    eret

// Nothing else can happen: ends with an error.
lost:
    movz    x0, #(SCTLR_OFF & 0xffff)
    movk    x0, #(SCTLR_OFF >> 16), lsl #16
    msr     sctlr_el3, x0
    isb
    mov     x0, #0x18                       // SYS_EXIT
    adrp    x1, failure
    add     x1, x1, :lo12:failure
    hlt     #0xf000
    b       .

// x0: address, x1: SCTLR_EL3 for the time of the instruction. Returns PAR_EL1.
    .macro  at_el3 name, operation
    .global \name
\name:
    msr     sctlr_el3, x1
    isb
    sys     \operation, x0
    b       asked
    .endm

    at_el3  at_s1e3r, "#6, c7, c8, #0"
    at_el3  at_s1e3w, "#6, c7, c8, #1"
    at_el3  at_s1e3a, "#6, c7, c9, #2"
asked:
    movz    x1, #(SCTLR_OFF & 0xffff)
    movk    x1, #(SCTLR_OFF >> 16), lsl #16
    msr     sctlr_el3, x1
    isb
    mrs     x0, par_el1
    ret

    .section .data
    .balign 16
failure:
    .quad   0x20023, 1
    .global syndrome
syndrome:
    .quad   0
    .section .bss
    .balign 4096
    .space  65536
stack_top:
