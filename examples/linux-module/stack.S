/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * int xarch_call_on_stack(int (*function)(void *), void *argument, void *top)
 *
 * Calls a function on another stack. The caller has disabled interrupts: nothing but the function itself uses it.
 */
#include <linux/linkage.h>

#if defined(CONFIG_X86_64)
#include <asm/nospec-branch.h>

SYM_FUNC_START(xarch_call_on_stack)
	pushq	%rbp
	movq	%rsp, %rbp
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsp
	CALL_NOSPEC rax
	movq	%rbp, %rsp
	popq	%rbp
	RET
SYM_FUNC_END(xarch_call_on_stack)

#elif defined(CONFIG_S390)

ENTRY(xarch_call_on_stack)
	stmg	%r6,%r15,48(%r15)
	lgr	%r11,%r15
	lgr	%r1,%r2
	lgr	%r2,%r3
	lgr	%r15,%r4
	aghi	%r15,-160
	xc	0(8,%r15),0(%r15)
	basr	%r14,%r1
	lgr	%r15,%r11
	lmg	%r6,%r15,48(%r15)
	br	%r14
ENDPROC(xarch_call_on_stack)

#elif defined(CONFIG_ARM64)

SYM_FUNC_START(xarch_call_on_stack)
	stp	x29, x30, [sp, #-16]!
	mov	x29, sp
	mov	x9, x0
	mov	x0, x1
	mov	sp, x2
	blr	x9
	mov	sp, x29
	ldp	x29, x30, [sp], #16
	ret
SYM_FUNC_END(xarch_call_on_stack)

#else
#error "no way to change stacks on this machine"
#endif

	.section .note.GNU-stack,"",%progbits
