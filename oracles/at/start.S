// Translation oracle, assembly part: entry at EL3 with the MMU off, and vectors that note an exception and go on.
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

    .balign 0x800
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

// Notes the syndrome, with bit 63 so that class 0 is seen too, and skips the instruction.
    .balign 0x80
noted:
    stp     x0, x1, [sp, #-16]!
    mrs     x0, esr_el3
    orr     x0, x0, #(1 << 63)
    ldr     x1, =syndrome
    str     x0, [x1]
    mrs     x0, elr_el3
    add     x0, x0, #4
    msr     elr_el3, x0
    ldp     x0, x1, [sp], #16
    eret

// Nothing else can happen: ends with an error.
lost:
    mov     x0, #0x18                       // SYS_EXIT
    ldr     x1, =failure
    hlt     #0xf000
    b       .

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
