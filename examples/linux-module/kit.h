/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What kit.c gives to the conformance kit (kit/src), which is its only user and has the same structures. Errors are
 * negative; pointers without a type are VMs, of vm_create.
 */
#ifndef XARCH_KIT_H
#define XARCH_KIT_H

#include <linux/types.h>

enum {
	XARCH_KIT_DEVICE,
	XARCH_KIT_WAIT,
	XARCH_KIT_INTERRUPTED,
	XARCH_KIT_POWER_OFF,
	/* token says what. */
	XARCH_KIT_FAILED,
};

struct xarch_kit_exit {
	u32 kind;
	u32 bytes;
	u64 address;
	u64 value;
	u32 token;
	u32 is_write;
	u64 counter;
	u64 nanoseconds;
};

struct xarch_kit_slot {
	u64 guest;
	u64 bytes;
	u64 host;
	u64 read_only;
};

struct xarch_kit_functions {
	void *(*vm_create)(u32 vcpus);
	void (*vm_destroy)(void *vm);
	s32 (*add_slot)(void *vm, u64 guest, u64 bytes, u64 place, u32 read_only);
	s32 (*remove_slot)(void *vm, u64 guest, u64 bytes);
	s32 (*unmap)(void *vm, u64 guest, u64 bytes);
	s32 (*protect)(void *vm, u64 guest, u64 bytes);
	s32 (*collect_dirty)(void *vm, u64 guest, u64 bytes, void (*report)(void *argument, u64 page), void *argument);
	s32 (*age)(void *vm, u64 guest, u64 bytes);
	void (*interrupt)(void *vm, u32 vcpu);
	s32 (*start)(void *vm, u32 vcpu, u64 entry);
	void (*run)(void *vm, u32 vcpu, struct xarch_kit_exit *exit);
	s32 (*complete)(void *vm, u32 vcpu, u32 token, u64 value, u32 absent);
	/* Two numbers, the lower half first. */
	s32 (*get_register)(void *vm, u32 vcpu, u64 id, u64 *value);
	s32 (*set_register)(void *vm, u32 vcpu, u64 id, const u64 *value);
	void (*load)(void *vm, u64 place, void *into, u64 bytes);
	void (*store)(void *vm, u64 place, const void *from, u64 bytes);
	/* What the library asks the module. */
	s32 (*slot)(void *vm, u64 address, struct xarch_kit_slot *slot);
	s32 (*device)(void *vm, u32 vcpu, u64 address, u32 bytes, u32 is_write, u64 value);
	void (*kick)(void *vm, u32 vcpu);
	/* Waits at most that long; returns whether it was kicked. */
	s32 (*wait)(void *vm, u32 vcpu, u64 nanoseconds);
	/* Runs the guest until it waits; returns how many runs have ended before, because they were asked to. */
	u32 (*exit_requests)(void *vm, u32 vcpu);
	u64 (*clock)(void);
	void (*relax)(void);
	/* Runs both at once, the first one on this thread. */
	s32 (*both)(void (*first)(void *), void *of_first, void (*second)(void *), void *of_second);
	void (*log)(const char *text, u64 bytes);
};

/* The kit: returns how many clauses are broken. */
u32 xarch_kit_run(const struct xarch_kit_functions *functions);

#endif /* XARCH_KIT_H */
