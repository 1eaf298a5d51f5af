// SPDX-License-Identifier: Apache-2.0 OR MIT
// A guest whose every line depends on all that came before: general and vector registers, memory, pending interrupts,
// a timer that runs, and a second vCPU that sleeps. tests/save.c takes it apart in the middle and puts it together again.
//
//   X20 UART   X21 distributor   X22 this vCPU's redistributor   X23 shared memory   X24 ticks   X25 line   X26 a sequence
	.equ	LINES, 24
	.equ	SGI, 5
	.equ	SPI, 40

	.globl	_start
_start:
	adr	x0, vectors
	msr	vbar_el1, x0
	mov	x0, #3 << 20
	msr	cpacr_el1, x0
	isb
	mov	x20, #0x09000000
	mov	x21, #0x08000000
	movz	x22, #0x080a, lsl #16
	adr	x23, shared
	mov	x24, #0
	mov	x25, #0
	movz	x26, #0x7c15
	movk	x26, #0x9e37, lsl #48
	dup	v8.2d, x26
	mov	w0, #0x13
	str	w0, [x21]			// GICD_CTLR
	mov	w0, #-1
	str	w0, [x21, #0x84]		// GICD_IGROUPR1
	mov	w0, #0x60
	strb	w0, [x21, #0x400 + SPI]
	add	x1, x21, #0x6000
	str	xzr, [x1, #8 * SPI]		// GICD_IROUTER
	mov	w0, #2 << 16
	str	w0, [x21, #0xc08]		// GICD_ICFGR2: by edge
	mov	w0, #1 << (SPI - 32)
	str	w0, [x21, #0x104]		// GICD_ISENABLER1
	bl	interface
	// Higher than the SPI, which so stays pending, and lower than the timer.
	mov	x0, #0x50
	msr	s3_0_c4_c6_0, x0		// ICC_PMR_EL1
	mov	w0, #1 << (SPI - 32)
	str	w0, [x21, #0x204]		// GICD_ISPENDR1
	movz	w0, #0xc400, lsl #16		// CPU_ON
	movk	w0, #3
	mov	x1, #1
	adr	x2, second
	mov	x3, #0
	hvc	#0

line:	add	x25, x25, #1
	// 5 ms, of which some are computed away.
	mrs	x0, cntfrq_el0
	mov	x1, #200
	udiv	x0, x0, x1
	msr	cntv_tval_el0, x0
	mov	x0, #1
	msr	cntv_ctl_el0, x0
	mov	x0, #1000
1:	bl	sequence
	dup	v9.2d, x26
	add	v8.2d, v8.2d, v9.2d
	eor	v8.16b, v8.16b, v9.16b
	subs	x0, x0, #1
	b.ne	1b
	// With interrupts masked: one that comes before WFI ends it.
2:	cmp	x24, x25
	b.eq	5f
	wfi
	msr	daifclr, #2
	isb
	msr	daifset, #2
	b	2b
5:
	cmp	x25, #LINES / 2
	b.ne	3f
	mov	x0, #0xff
	msr	s3_0_c4_c6_0, x0
	msr	daifclr, #2
	isb
	msr	daifset, #2
	// The other vCPU adds its own.
3:	mov	x0, #2
	movk	x0, #SGI << 8, lsl #16
	msr	s3_0_c12_c11_5, x0		// ICC_SGI1R_EL1
	isb
4:	yield
	ldr	x0, [x23, #8]
	cmp	x0, x25
	b.ne	4b
	mov	x0, x25
	bl	number
	mov	x0, x26
	bl	number
	umov	x0, v8.d[0]
	bl	number
	umov	x0, v8.d[1]
	bl	number
	ldr	x0, [x23, #16]			// the other's sequence
	bl	number
	ldr	x0, [x23, #24]			// the SPI, once it was taken
	bl	number
	ldr	w0, [x21, #0x204]
	bl	number
	mov	w0, #'\n'
	strb	w0, [x20]
	cmp	x25, #LINES
	b.ne	line
	movz	w0, #0x8400, lsl #16		// SYSTEM_OFF
	movk	w0, #8
	hvc	#0
	b	.

// Adds to the sequence: Knuth's multiplier.
sequence:
	movz	x1, #0x7f2d
	movk	x1, #0x4c95, lsl #16
	movk	x1, #0xf42d, lsl #32
	movk	x1, #0x5851, lsl #48
	mul	x26, x26, x1
	add	x26, x26, #1
	ret

// Prints X0 and a space.
number:	mov	x1, #60
1:	lsr	x2, x0, x1
	and	x2, x2, #15
	add	x3, x2, #'0'
	add	x4, x2, #'a' - 10
	cmp	x2, #10
	csel	x3, x3, x4, lo
	strb	w3, [x20]
	subs	x1, x1, #4
	b.pl	1b
	mov	w3, #' '
	strb	w3, [x20]
	ret

// Turns this vCPU's part of the interrupt controller on: the timer and an SGI.
interface:
	str	wzr, [x22, #0x14]		// GICR_WAKER
	add	x1, x22, #0x10000
	mov	w0, #-1
	str	w0, [x1, #0x80]			// GICR_IGROUPR0
	mov	w0, #0x20
	strb	w0, [x1, #0x400 + 27]
	strb	w0, [x1, #0x400 + SGI]
	mov	w0, #1 << SGI
	movk	w0, #1 << (27 - 16), lsl #16
	str	w0, [x1, #0x100]		// GICR_ISENABLER0
	mov	x0, #7
	msr	s3_0_c12_c12_5, x0		// ICC_SRE_EL1
	isb
	mov	x0, #0xff
	msr	s3_0_c4_c6_0, x0
	mov	x0, #1
	msr	s3_0_c12_c12_7, x0		// ICC_IGRPEN1_EL1
	isb
	ret

second:	adr	x0, vectors
	msr	vbar_el1, x0
	movz	x22, #0x080c, lsl #16
	adr	x23, shared
	mov	x26, #0x55
	bl	interface
	msr	daifclr, #2
1:	wfi
	b	1b

	.balign	2048
vectors:
	.space	0x280
	mrs	x9, s3_0_c12_c12_0		// ICC_IAR1_EL1
	cmp	x9, #27
	b.eq	1f
	cmp	x9, #SGI
	b.eq	2f
	cmp	x9, #SPI
	b.ne	4f
	str	x9, [x23, #24]
	b	3f
1:	msr	cntv_ctl_el0, xzr
	isb
	add	x24, x24, #1
	b	3f
	// Of the second vCPU alone, which has nothing else to do.
2:	bl	sequence
	str	x26, [x23, #16]
	ldr	x10, [x23, #8]
	add	x10, x10, #1
	dmb	sy
	str	x10, [x23, #8]
3:	msr	s3_0_c12_c12_1, x9		// ICC_EOIR1_EL1
	isb
4:	eret
	.balign	2048
shared:	.space	64
