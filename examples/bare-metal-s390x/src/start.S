// Entry of the first CPU (from the loader) and of others (restart, by SIGP), in 64-bit mode with DAT off; and of
// interruptions, with DAT on. Storage that interruptions use, in each CPU's prefix area (real addresses):
//   200 registers at a program interruption    300 registers at an external interruption
//   280 an instruction is being emulated       390 PSW to return to from one
//   281 a report is being made                 2a8 stack for reports
//   288 stack for emulation                    2b0 stack of the program
//   290 PSW to return to from an emulation     2b8 the CPU's number
// A frame is 160 bytes for the callee, sixteen registers and a PSW.
    .section .text.start, "ax"
    .globl _start
_start:
    larl  %r15, __stacks + 0x42000 - 160
    brasl %r14, rust_boot
    j     .

    .globl restart_entry
restart_entry:
    lg    %r15, 0x2b0
    lg    %r2, 0x2b8
    brasl %r14, rust_secondary
    j     .

// Turns DAT on.
    .globl dat_on
dat_on:
    larl  %r1, 1f
    lpswe 0(%r1)
2:  br    %r14
    .balign 8
1:  .quad 0x0400000180000000, 2b

    .globl program_entry
program_entry:
    stmg  %r0, %r15, 0x200
    llgh  %r1, 0x8e
    nill  %r1, 0xff7f             // without a PER event
    chi   %r1, 1
    jne   report
    cli   0x280, 0
    jne   report
    mvi   0x280, 1
    lg    %r15, 0x288
    aghi  %r15, -304
    mvc   160(128, %r15), 0x200
    mvc   288(16, %r15), 0x150
    la    %r2, 160(%r15)
    brasl %r14, rust_operation
    mvi   0x280, 0
    mvc   0x290(16), 288(%r15)
    lmg   %r0, %r15, 160(%r15)
    lpswe 0x290

report:
    cli   0x281, 0
    jne   dead
    mvi   0x281, 1
    lg    %r15, 0x2a8
    aghi  %r15, -304
    mvc   160(128, %r15), 0x200
    mvc   288(16, %r15), 0x150
    la    %r2, 160(%r15)
    brasl %r14, rust_program_check
dead:
    larl  %r1, 3f
    lpswe 0(%r1)
    .balign 8
3:  .quad 0x0002000180000000, 0xdead

    .globl external_entry
external_entry:
    stmg  %r0, %r15, 0x300
    aghi  %r15, -304
    mvc   160(128, %r15), 0x300
    mvc   288(16, %r15), 0x130
    llgh  %r2, 0x86
    llgf  %r3, 0x80
    brasl %r14, rust_external
    ni    289(%r15), 0xfd         // whoever waited goes on
    mvc   0x390(16), 288(%r15)
    lmg   %r0, %r15, 160(%r15)
    lpswe 0x390

// Interruptions that nothing here asks for: machine check, supervisor call, I/O.
    .globl unexpected_entry
unexpected_entry:
    stmg  %r0, %r15, 0x200
    mvi   0x281, 1
    lg    %r15, 0x2a8
    aghi  %r15, -304
    brasl %r14, rust_unexpected
    j     dead
