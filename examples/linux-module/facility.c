// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * Whether this machine announces Arm execution, as far as can be found out without trying.
 *
 * The sources ask a bit of the boot CPU's entry in what the service element says about the machine ("AEF"), and two
 * subfunctions of PTFF. The service call is not a module's to make; a kernel that knows the bit shows it as hardware
 * capability 23 to every process, also to the one that loads this module. With a kernel that does not know it a machine
 * counts as one without. PTFF is asked by the library, once it is told that the facility is announced.
 */
#include <linux/auxvec.h>

#include "module.h"

#ifdef CONFIG_S390

#define XARCH_HWCAP_SAE			23

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

bool __init xarch_is_announced(void)
{
	return xarch_capabilities() & 1UL << XARCH_HWCAP_SAE;
}

#else

bool __init xarch_is_announced(void)
{
	return false;
}

#endif
