// Virtual interrupt interface oracle, assembly part: EL2 set-up, and single accesses made at EL1, where the ICC
// registers are those of the virtual interface. The order of the accesses is that of `Op` in testkit's gic module.
    .arch armv8.2-a+nopauth
    .section .text.start,"ax"
    .global _start
_start:
    ldr     x1, =stack_top
    mov     sp, x1
    ldr     x0, =vectors2
    msr     vbar_el2, x0
    ldr     x0, =vectors1
    msr     vbar_el1, x0
    mov     x0, #0x0800
    movk    x0, #0x30d0, lsl #16
    msr     sctlr_el1, x0
    mov     x0, #0x18                       // FMO, IMO
    orr     x0, x0, #1 << 31                // RW
    msr     hcr_el2, x0
    mov     x0, #0xf
    msr     S3_4_C12_C9_5, x0               // ICC_SRE_EL2: Enable, DIB, DFB, SRE
    mov     x0, #3
    msr     cnthctl_el2, x0
    isb
    bl      main
1:  wfi
    b       1b

// guest(code, value, isr): does one access at EL1, returns its result, stores ISR_EL1 as EL1 sees it after.
    .global guest
guest:
    stp     x19, x20, [sp, #-112]!
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    str     x2, [sp, #96]
    ldr     x3, =accesses
    add     x3, x3, x0, lsl #3
    msr     elr_el2, x3
    mov     x3, #0x3c5                      // EL1h, all masked
    msr     spsr_el2, x3
    mov     x0, x1
    isb
    eret

    .macro read reg
    mrs     x0, \reg
    b       done
    .endm
    .macro write reg
    msr     \reg, x0
    b       done
    .endm
accesses:
    b       done                            // 0: nothing
    nop
    read    S3_0_C12_C8_0                   // 1: ICC_IAR0_EL1
    read    S3_0_C12_C12_0                  // 2: ICC_IAR1_EL1
    read    S3_0_C12_C8_2                   // 3: ICC_HPPIR0_EL1
    read    S3_0_C12_C12_2                  // 4: ICC_HPPIR1_EL1
    read    S3_0_C12_C8_3                   // 5: ICC_BPR0_EL1
    read    S3_0_C12_C12_3                  // 6: ICC_BPR1_EL1
    read    S3_0_C12_C8_4                   // 7: ICC_AP0R0_EL1
    read    S3_0_C12_C9_0                   // 8: ICC_AP1R0_EL1
    read    S3_0_C12_C11_3                  // 9: ICC_RPR_EL1
    read    S3_0_C4_C6_0                    // 10: ICC_PMR_EL1
    read    S3_0_C12_C12_6                  // 11: ICC_IGRPEN0_EL1
    read    S3_0_C12_C12_7                  // 12: ICC_IGRPEN1_EL1
    read    S3_0_C12_C12_4                  // 13: ICC_CTLR_EL1
    read    S3_0_C12_C12_5                  // 14: ICC_SRE_EL1
    write   S3_0_C12_C8_1                   // 15: ICC_EOIR0_EL1
    write   S3_0_C12_C12_1                  // 16: ICC_EOIR1_EL1
    write   S3_0_C12_C11_1                  // 17: ICC_DIR_EL1
    write   S3_0_C12_C8_3                   // 18: ICC_BPR0_EL1
    write   S3_0_C12_C12_3                  // 19: ICC_BPR1_EL1
    write   S3_0_C12_C8_4                   // 20: ICC_AP0R0_EL1
    write   S3_0_C12_C9_0                   // 21: ICC_AP1R0_EL1
    write   S3_0_C4_C6_0                    // 22: ICC_PMR_EL1
    write   S3_0_C12_C12_6                  // 23: ICC_IGRPEN0_EL1
    write   S3_0_C12_C12_7                  // 24: ICC_IGRPEN1_EL1
    write   S3_0_C12_C12_4                  // 25: ICC_CTLR_EL1
    write   S3_0_C12_C12_5                  // 26: ICC_SRE_EL1
done:
    isb
    mrs     x1, isr_el1
    hvc     #0

    .balign 0x800
vectors1:                                   // EL1: the access was UNDEFINED
    .rept 16
    .balign 0x80
    mov     x0, #-1
    mrs     x1, isr_el1
    hvc     #0
    .endr

    .balign 0x800
vectors2:
    .rept 8
    .balign 0x80
    b       bad
    .endr
    .balign 0x80
    b       back                            // synchronous, from EL1
    .rept 7
    .balign 0x80
    b       bad
    .endr
    .balign 0x80
back:
    mrs     x3, esr_el2
    lsr     x3, x3, #26
    cmp     x3, #0x16
    b.ne    bad
    ldr     x2, [sp, #96]
    str     x1, [x2]
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
