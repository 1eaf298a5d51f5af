// Instruction oracle, assembly part: an EL3 monitor that loads a whole state, enters EL1 or EL0 with it, and stores
// the state found at the next exception to EL3. Layout of the state: README.md, "State words".
    .arch armv8.2-a
    .equ SP_EL0_W, 31
    .equ SP_EL1_W, 32
    .equ PSTATE_W, 33
    .equ PC_W, 34
    .equ FPCR_W, 35
    .equ FPSR_W, 36
    .equ TPIDR_EL0_W, 37
    .equ TPIDRRO_EL0_W, 38
    .equ TPIDR_EL1_W, 39
    .equ ESR_EL1_W, 40
    .equ ELR_EL1_W, 41
    .equ FAR_EL1_W, 42
    .equ SPSR_EL1_W, 43
    .equ V_W, 44
    .equ ESR_EL3_W, 108

    .section .text.start,"ax"
    .global _start
_start:
    ldr     x1, =stack_top
    mov     sp, x1
    ldr     x0, =vectors3
    msr     vbar_el3, x0
    msr     cptr_el3, xzr                   // no trap of FP
    isb
    bl      main
1:  wfi
    b       1b

    .macro move_vectors op, base
    \op     q0, q1, [\base], #32
    \op     q2, q3, [\base], #32
    \op     q4, q5, [\base], #32
    \op     q6, q7, [\base], #32
    \op     q8, q9, [\base], #32
    \op     q10, q11, [\base], #32
    \op     q12, q13, [\base], #32
    \op     q14, q15, [\base], #32
    \op     q16, q17, [\base], #32
    \op     q18, q19, [\base], #32
    \op     q20, q21, [\base], #32
    \op     q22, q23, [\base], #32
    \op     q24, q25, [\base], #32
    \op     q26, q27, [\base], #32
    \op     q28, q29, [\base], #32
    \op     q30, q31, [\base]
    .endm

    // X2..X30 to or from the state at \base
    .macro move_general op2, op1, base
    \op2    x2, x3, [\base, #2*8]
    \op2    x4, x5, [\base, #4*8]
    \op2    x6, x7, [\base, #6*8]
    \op2    x8, x9, [\base, #8*8]
    \op2    x10, x11, [\base, #10*8]
    \op2    x12, x13, [\base, #12*8]
    \op2    x14, x15, [\base, #14*8]
    \op2    x16, x17, [\base, #16*8]
    \op2    x18, x19, [\base, #18*8]
    \op2    x20, x21, [\base, #20*8]
    \op2    x22, x23, [\base, #22*8]
    \op2    x24, x25, [\base, #24*8]
    \op2    x26, x27, [\base, #26*8]
    \op2    x28, x29, [\base, #28*8]
    \op1    x30, [\base, #30*8]
    .endm

    .macro write_register name, word
    ldr     x2, [x0, #\word*8]
    msr     \name, x2
    .endm
    .macro read_register name, word
    mrs     x2, \name
    str     x2, [x0, #\word*8]
    .endm

// enter(in, out): x0 = state to load, x1 = where to store the state after
    .global enter
enter:
    stp     x19, x20, [sp, #-112]!
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    str     x1, [sp, #96]
    write_register sp_el0, SP_EL0_W
    write_register sp_el1, SP_EL1_W
    write_register spsr_el3, PSTATE_W
    write_register elr_el3, PC_W
    write_register fpcr, FPCR_W
    write_register fpsr, FPSR_W
    write_register tpidr_el0, TPIDR_EL0_W
    write_register tpidrro_el0, TPIDRRO_EL0_W
    write_register tpidr_el1, TPIDR_EL1_W
    write_register esr_el1, ESR_EL1_W
    write_register elr_el1, ELR_EL1_W
    write_register far_el1, FAR_EL1_W
    write_register spsr_el1, SPSR_EL1_W
    add     x1, x0, #V_W*8
    move_vectors ldp, x1
    move_general ldp, ldr, x0
    ldp     x0, x1, [x0]
    clrex
    isb
    eret

    .balign 0x800
vectors3:
    .rept 8                                 // from EL3 itself: a defect of the monitor
    .balign 0x80
    b       bad
    .endr
    .rept 4                                 // from a lower EL in AArch64 state
    .balign 0x80
    b       back
    .endr
    .rept 4
    .balign 0x80
    b       bad
    .endr
    .balign 0x80
back:
    msr     tpidr_el3, x0
    ldr     x0, [sp, #96]
    move_general stp, str, x0
    mrs     x2, tpidr_el3
    stp     x2, x1, [x0]
    read_register sp_el0, SP_EL0_W
    read_register sp_el1, SP_EL1_W
    read_register spsr_el3, PSTATE_W
    read_register elr_el3, PC_W
    read_register fpcr, FPCR_W
    read_register fpsr, FPSR_W
    read_register tpidr_el0, TPIDR_EL0_W
    read_register tpidrro_el0, TPIDRRO_EL0_W
    read_register tpidr_el1, TPIDR_EL1_W
    read_register esr_el1, ESR_EL1_W
    read_register elr_el1, ELR_EL1_W
    read_register far_el1, FAR_EL1_W
    read_register spsr_el1, SPSR_EL1_W
    read_register esr_el3, ESR_EL3_W
    add     x1, x0, #V_W*8
    move_vectors stp, x1
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     x19, x20, [sp], #112
    ret
bad:
    mov     x0, #0x18                       // semihosting SYS_EXIT, internal error
    ldr     x1, =bad_exit
    hlt     #0xf000
    b       .

    .section .data
    .balign 16
bad_exit: .quad 0x20023, 1
    .section .bss
    .balign 4096
    .space  65536
stack_top:
