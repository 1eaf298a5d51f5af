# Address translation oracle of z/Architecture, assembly part: entry with DAT off, and a program-interruption handler that
# notes the code and goes on. Linked at 0x20000: at 0x10480 a loader may put its command line.
    .section .text.start,"ax"
    .globl _start
_start:
    larl    %r15, stack_top - 160
    larl    %r1, program_new
    mvc     0x1d0(16), 0(%r1)
    brasl   %r14, main
    larl    %r1, done
    lpswe   0(%r1)
interrupted:
    stg     %r1, 0x1200
    stg     %r2, 0x1208
    larl    %r1, interruption
    llgh    %r2, 0x8e
    oill    %r2, 0x4000             # so that code 0 is seen too
    stg     %r2, 0(%r1)
    lg      %r2, 0x1208
    lg      %r1, 0x1200
    lpswe   0x150
    .section .data
    .balign 16
program_new:
    .quad   0x0000000180000000, interrupted
done:
    .quad   0x0002000180000000, 0xfff   # disabled wait with this address: status 0
    .globl interruption
interruption:
    .quad   0
    .section .bss
    .balign 4096
    .space  32768
stack_top:
