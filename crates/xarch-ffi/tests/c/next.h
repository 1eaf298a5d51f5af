/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a header of the next minor version might add: an exit kind with its feature, a callback, a
 * bank of registers, a field. As additions have to be, each is at the end of what was there.
 */
#ifndef NEXT_H
#define NEXT_H

#include "xarch.h"

#define NEXT_ABI		(XARCH_ABI + 1)
#define NEXT_FEATURE_PREEMPTED	2
#define NEXT_EXIT_PREEMPTED	8
#define NEXT_BANK_STATISTICS	10

struct next_platform {
	struct xarch_platform base;
	void (*preempted)(void *context, uint32_t vcpu);
};

struct next_vm_config {
	struct xarch_vm_config base;
	uint64_t preempted_limit;
};

#endif
