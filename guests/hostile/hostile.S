// A guest that does what no guest should: writes to every register, executes every system instruction, calls firmware
// with anything, stores where it has no memory, and walks tables that are none. It says what it is at, and turns off.
//
// EL1 with the MMU off, position-independent, at the start of its RAM (0x40000000, 64 MiB of it). It uses no stack.
// X28 UART, X27 its start, X26 exceptions, X25 where to go on after a fetch that faults, X18 a random number; X9 and X10 are
// the handler's.
    .equ CODE,  0x8000            // instructions made here, from the start on
    .equ TABLE, 0xc000            // a table of noise
    .equ OWN,   0xd000            // a table that maps the first 2 GiB where they are
    .equ DATA,  0xe000            // a page of nothing
    .equ NOP,   0xd503201f
    .equ RET,   0xd65f03c0

    .macro say label
    adr  x0, \label
    bl   say
    .endm
    .macro random
    eor  x18, x18, x18, lsl #13
    eor  x18, x18, x18, lsr #7
    eor  x18, x18, x18, lsl #17
    .endm

    .text
    .globl _start
_start:
    msr  daifset, #15
    mov  x28, #0x09000000
    adr  x27, _start
    mov  x26, #0
    mov  x18, #0x1234
    movk x18, #0x9e37, lsl #32
    adr  x0, vectors
    msr  vbar_el1, x0
    isb
    say  t_here

    // Every register, op0 2 and 3: read, all ones, zeros. Every system instruction, op0 1, with an address.
    mov  x1, #0
    mov  x22, #1
    bl   registers
    mov  x1, #-1
    mov  x22, #0
    bl   registers
    mov  x1, #0
    mov  x22, #0
    bl   registers
    say  t_registers
    mov  x22, #0
    mov  x3, #DATA
    add  x1, x27, x3
    mov  x20, #0x4000
    mov  x21, #0x8000
    bl   instructions
    mov  x22, #1
    mov  x20, #0x4000
    bl   instructions
    mov  x1, #-1
    mov  x22, #0
    mov  x20, #0x4000
    bl   instructions
    // As many sets and ways as an address has room for.
    mov  x3, #0
1:  lsl  x4, x3, #4
    dc   isw, x4
    dc   csw, x4
    dc   cisw, x4
    add  x3, x3, #1
    cmp  x3, #0x1000
    b.ne 1b
    say  t_instructions

    // Firmware: functions of PSCI that do not end the CPU or the machine, with nonsense; and anything else.
    mov  x20, #0
1:  mov  x3, #1
    lsl  x3, x3, x20
    mov  x4, #0x5306              // 1, 2, 8, 9, 12, 14
    movk x4, #0x0024, lsl #16     // 18, 21
    tst  x3, x4
    b.ne 2f
    mov  x21, #0x84000000
    orr  x21, x21, x20
    bl   call
    orr  x21, x21, #0x40000000
    bl   call
2:  add  x20, x20, #1
    cmp  x20, #32
    b.ne 1b
    mov  x20, #512
3:  random
    // Neither PSCI's: bits 31 and 29 to 24 of those are 0x84 and 0xc4.
    and  x21, x18, #0xffffffff
    ubfx x3, x21, #24, #6
    cmp  x3, #4
    b.eq 4f
    bl   call
4:  subs x20, x20, #1
    b.ne 3b
    say  t_firmware

    // The interrupt controller's frames, by every size; and what a device's register is not meant for.
    mov  x3, #0x08000000
    mov  x4, #0x10000
    bl   frame
    mov  x3, #0x080a0000
    mov  x4, #0x40000
    bl   frame
    mov  x3, #0x09010000
    mov  x4, #0x1000
    bl   frame
    say  t_devices

    // Addresses: each bit, what comes before memory, and behind it.
    mov  x20, #12
1:  mov  x3, #1
    lsl  x3, x3, x20
    cmp  x20, #30                 // that is its memory
    b.eq 2f
    bl   touch
    orr  x3, x3, #0x40000000
    cmp  x20, #26
    b.lo 2f
    bl   touch
2:  add  x20, x20, #1
    cmp  x20, #56
    b.ne 1b
    mov  x3, #0x3ffff000
    bl   touch
    mov  x20, #0x44000000         // what is behind its memory
3:  mov  x3, x20
    bl   touch
    add  x20, x20, #0x200000
    mov  x4, #0x70000000
    cmp  x20, x4
    b.lo 3b
    say  t_addresses

    // Stage 1: its own 2 GiB by TTBR0, and by TTBR1 whatever there is.
    mov  x3, #TABLE
    add  x3, x3, x27
    mov  x4, #512
1:  random
    orr  x5, x18, #3
    str  x5, [x3], #8
    subs x4, x4, #1
    b.ne 1b
    mov  x4, #512
    mov  x5, #OWN
    add  x3, x27, x5
2:  str  xzr, [x3], #8
    subs x4, x4, #1
    b.ne 2b
    add  x3, x27, x5
    mov  x5, #0x401               // AF, block, attribute 0
    str  x5, [x3]
    mov  x5, #0x40000000
    movk x5, #0x705               // AF, inner shareable, attribute 1
    str  x5, [x3, #8]
    dsb  sy
    msr  ttbr0_el1, x3
    mov  x3, #0xff00
    msr  mair_el1, x3
    mov  x20, #0
3:  adr  x3, t_tables
    ldr  x4, [x3, x20, lsl #3]
    msr  ttbr1_el1, x4
    mov  x21, #16
4:  random
    // 39 bits by TTBR0, 40 bits of address; what TTBR1 is for, at random: now and then as it should be.
    mov  x5, #0x3519
    movk x5, #0x2, lsl #32
    mov  x6, #0xb5100000
    tst  x21, #1
    b.eq 5f
    and  x6, x18, #0xffff0000    // T1SZ, EPD1, shareability, granule
5:  orr  x5, x5, x6
    bic  x5, x5, #(1 << 22)       // A1
    msr  tcr_el1, x5
    isb
    tlbi vmalle1
    dsb  sy
    isb
    ldr  x5, sctlr_on
    msr  sctlr_el1, x5
    isb
    bl   touch_high
    ldr  x5, sctlr_off
    msr  sctlr_el1, x5
    isb
    subs x21, x21, #1
    b.ne 4b
    add  x20, x20, #1
    cmp  x20, #10
    b.ne 3b
    say  t_translation

    // It would not have come here without a thousand exceptions.
    cmp  x26, #1000
    b.lo 9f
    say  t_over
    mov  w0, #0x84000000
    movk w0, #8                   // SYSTEM_OFF
    hvc  #0
9:  say  t_failed
    mov  w0, #0x84000000
    movk w0, #9                   // SYSTEM_RESET
    hvc  #0
    b    .

// All registers, with X1; X22 is 1 for reading.
registers:
    mov  x17, x30
    mov  x20, #0x8000
    mov  x21, #0x10000
    bl   instructions
    msr  spsel, #1
    msr  daifset, #15
    isb
    ret  x17

// Instructions from X20 to X21 as MSR and SYS have them encoded, with X1; reading ones, into X2, if X22 is 1.
instructions:
    mov  x16, x30
1:  mov  x3, #CODE
    add  x3, x3, x27
    mov  x15, x3
    mov  x4, #0
2:  add  x5, x20, x4
    adr  x6, spared
3:  ldrh w7, [x6], #2
    cbz  w7, 4f
    cmp  w7, w5
    b.ne 3b
    ldr  w7, nop
    b    5f
4:  mov  w7, #0xd5000000
    orr  w7, w7, w5, lsl #5
    orr  w7, w7, w22, lsl #21
    mov  w8, #1
    add  w8, w8, w22
    orr  w7, w7, w8
5:  str  w7, [x3], #4
    add  x4, x4, #1
    cmp  x4, #128
    b.ne 2b
    ldr  w7, ret_code
    str  w7, [x3]
    mov  x4, x15
6:  dc   cvau, x4
    dsb  ish
    ic   ivau, x4
    add  x4, x4, #16
    cmp  x4, x3
    b.ls 6b
    dsb  ish
    isb
    // What the instructions change of this: X0 to X8 at most, flags, masks, the stack pointer.
    adr  x25, 7f
    blr  x15
7:  add  x20, x20, #128
    cmp  x20, x21
    b.ne 1b
    ret  x16

// HVC and SMC with X21 and nonsense.
call:
    mov  x17, x30
    mov  x24, #2
1:  mov  x0, x21
    mov  x1, #-1
    mov  x2, x18
    mvn  x3, x18
    mov  x4, #0x7fffffffffffffff
    mov  x5, x28
    mov  x6, #1
    mov  x7, #-2
    hvc  #0
    mov  x0, x21
    mov  x1, x18
    smc  #0
    mov  x0, x21
    hvc  #0xffff
    mov  x0, x21
    smc  #0xffff
    subs x24, x24, #1
    b.ne 1b
    ret  x17

// Registers from X3 on, of X4 bytes.
frame:
    add  x4, x3, x4
    sub  x4, x4, #32
    mov  x5, #-1
1:  ldr  w6, [x3]
    str  w5, [x3]
    str  wzr, [x3]
    ldrb w6, [x3]
    strb w5, [x3]
    ldrh w6, [x3, #2]
    strh w5, [x3, #2]
    ldp  x6, x7, [x3]
    stp  x5, x5, [x3]
    ldxr w6, [x3]
    stxr w6, w5, [x3]
    str  x18, [x3], #4
    add  x3, x3, #48
    cmp  x3, x4
    b.lo 1b
    ret

// Everything that can be done to an address, X3.
touch:
    mov  x17, x30
    ldr  x5, [x3]
    str  x18, [x3]
    ldrb w5, [x3, #7]
    strb w18, [x3, #7]
    ldp  x5, x6, [x3]
    stp  x18, x18, [x3]
    ldr  x5, [x3], #0
    ldxr x5, [x3]
    stxr w6, x18, [x3]
    stlr x18, [x3]
    ldar x5, [x3]
    dc   zva, x3
    dc   civac, x3
    dc   ivac, x3
    ic   ivau, x3
    at   s1e1w, x3
    prfm pldl1keep, [x3]
    adr  x25, 1f
    br   x3
1:  ret  x17

// As above, at addresses that TTBR1 is asked for.
touch_high:
    mov  x15, x30
    mov  x14, #12
1:  random
    mov  x3, #0xffff
    lsl  x3, x3, #48
    ubfx x4, x18, #3, #47
    orr  x3, x3, x4
    and  x3, x3, #~0xfff
    bl   touch
    subs x14, x14, #1
    b.ne 1b
    // The first and the last.
    mov  x3, #0xffff000000000000
    bl   touch
    mov  x3, #0xfffffffffffff000
    bl   touch
    ret  x15

say:
1:  ldrb w1, [x0], #1
    cbz  w1, 2f
    strb w1, [x28]
    b    1b
2:  ret

// Goes on behind the instruction, or where a fetch was tried.
synchronous:
    add  x26, x26, #1
    mrs  x9, esr_el1
    lsr  x9, x9, #26
    mrs  x10, elr_el1
    add  x10, x10, #4
    // Illegal state; fetch from a lower level and from this one; the program counter's alignment.
    cmp  x9, #0x0e
    b.eq 1f
    sub  x9, x9, #0x20
    cmp  x9, #2
    b.hi 2f
1:  mov  x10, x25
2:  msr  elr_el1, x10
masked:
    mrs  x9, spsr_el1
    orr  x9, x9, #0x3c0
    bic  x9, x9, #(1 << 21)       // SS
    bic  x9, x9, #(1 << 20)       // IL
    msr  spsr_el1, x9
    eret

    .balign 4
nop:      .word NOP
ret_code: .word RET
    .balign 8
sctlr_on:  .quad 0x30d01805
sctlr_off: .quad 0x30d00800
// What would end the guest itself: VBAR_EL1, SCTLR_EL1 and SCTLR2_EL1, MDSCR_EL1. And CNTV_CVAL_EL0: all ones hang
// QEMU 7.2 itself; inferred: with an offset between the counts the sum wraps, and its timer is due for ever.
spared:   .hword 0xc600, 0xc080, 0xc083, 0x8012, 0xdf1a, 0
    .balign 8
// Nothing, the distributor, the serial port, the program, noise, before memory, far behind it, the end of addresses.
t_tables: .quad 0, 0x08000000, 0x080a0000, 0x09000000, 0x40000000, 0x4000c000, 0x3ffff000, 0x7ffff000
          .quad 0xfffffffff000, 0xffffffffffffffff

    .balign 2048
vectors:
    .rept 4
    .balign 128
    b    synchronous
    .balign 128
    b    masked
    .balign 128
    b    masked
    .balign 128
    b    masked
    .endr

t_here:         .asciz "guest: hostile\n"
t_registers:    .asciz "guest: every register\n"
t_instructions: .asciz "guest: every system instruction\n"
t_firmware:     .asciz "guest: firmware with nonsense\n"
t_devices:      .asciz "guest: the interrupt controller upside down\n"
t_addresses:    .asciz "guest: addresses that are not its own\n"
t_translation:  .asciz "guest: tables that are none\n"
t_over:         .asciz "guest: that was all\n"
t_failed:       .asciz "guest: FAILED\n"
