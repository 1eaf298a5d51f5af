// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * Whether this machine can start Arm execution, as far as can be found out without trying.
 *
 * The sources ask three things: a bit of the boot CPU's entry in what the service element says about the machine
 * ("AEF"), and subfunctions 0x10 and 0x11 of PTFF. The service call is not a module's to make; a kernel that knows the
 * bit shows it as hardware capability 23 to every process, also to the one that loads this module. With a kernel that
 * does not know it a machine counts as one without. PTFF's query is there since long before (facility 28).
 */
#include <linux/auxvec.h>

#include "module.h"

#ifdef CONFIG_S390

#include <asm/facility.h>
#include <asm/timex.h>

#define XARCH_HWCAP_SAE			23
#define XARCH_PTFF_FACILITY		28
#define XARCH_PTFF_GUEST_OFFSET		0x10
#define XARCH_PTFF_GUEST_TIME		0x11

/* What the kernel told the current process about the machine. */
static unsigned long xarch_capabilities(void)
{
	const unsigned long *at, *end;

	if (!current->mm)
		return 0;
	end = current->mm->saved_auxv + ARRAY_SIZE(current->mm->saved_auxv) - 1;
	for (at = current->mm->saved_auxv; at < end && at[0] != AT_NULL; at += 2)
		if (at[0] == AT_HWCAP)
			return at[1];
	return 0;
}

/* Subfunction 0 of PTFF: a bit for each of 128 subfunctions, counted from the left. */
static bool xarch_has_ptff(const u8 *mask, unsigned int function)
{
	return mask[function / 8] & (0x80 >> (function % 8));
}

bool __init xarch_find_facility(void)
{
	u8 mask[16] __aligned(8) = { 0 };

	if (!(xarch_capabilities() & 1UL << XARCH_HWCAP_SAE) || !test_facility(XARCH_PTFF_FACILITY))
		return false;
	ptff(mask, sizeof(mask), PTFF_QAF);
	return xarch_has_ptff(mask, XARCH_PTFF_GUEST_OFFSET) && xarch_has_ptff(mask, XARCH_PTFF_GUEST_TIME);
}

#else

bool __init xarch_find_facility(void)
{
	return false;
}

#endif
