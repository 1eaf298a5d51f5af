// Reader of identification registers, assembly part: a stack, vectors that end the run, and the ID space one
// register after the other.
    .arch armv8-a
    .section .text.start,"ax"
    .global _start
_start:
    ldr     x1, =stack_top
    mov     sp, x1
    ldr     x0, =vectors
    msr     vbar_el3, x0
    isb
    bl      main
    b       .

// read_space(out): op0 = 3, op1 = 0, CRn = 0, CRm from 0 to 7, op2 from 0 to 7. CRm = 0 has MIDR (0), MPIDR (5) and
// REVIDR (6) only; the others of CRm = 0 are left alone.
    .global read_space
read_space:
    .irp    op2, 0, 5, 6
    mrs     x1, S3_0_C0_C0_\op2
    str     x1, [x0, #8*\op2]
    .endr
    .irp    crm, 1, 2, 3, 4, 5, 6, 7
    .irp    op2, 0, 1, 2, 3, 4, 5, 6, 7
    mrs     x1, S3_0_C0_C\crm\()_\op2
    str     x1, [x0, #64*\crm + 8*\op2]
    .endr
    .endr
    ret

    .balign 0x800
vectors:
    .rept 16
    .balign 0x80
    mov     x0, #0x18                       // semihosting SYS_EXIT, internal error
    ldr     x1, =bad_exit
    hlt     #0xf000
    .endr

    .section .data
    .balign 16
bad_exit: .quad 0x20023, 1
    .section .bss
    .balign 16
    .space  16384
stack_top:
