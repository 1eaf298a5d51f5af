// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * KVM's register ids and the library's, one into the other.
 *
 * Group 0x10 counts 32-bit words of what KVM calls its core registers: X0 to X30, SP_EL0, PC, PSTATE, SP_EL1, ELR_EL1,
 * five SPSRs of which four are AArch32's and not here, V0 to V31, FPSR, FPCR. Group 0x13 has the encodings of the Arm
 * manual. Registers that are in the first are only listed there.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "module.h"

#define ID_ARM64	0x6000000000000000ULL
#define ID_U32		0x0020000000000000ULL
#define ID_U64		0x0030000000000000ULL
#define ID_U128		0x0040000000000000ULL
#define ID_SIZE		0x00f0000000000000ULL
#define ID_GROUP	0x00000000ffff0000ULL
#define ID_INDEX	0x000000000000ffffULL

#define GROUP_CORE	0x0010
#define GROUP_SYSTEM	0x0013
/* This project's own: the library's banks that KVM has no group for. */
#define GROUP_BANK	0x00f0
#define BANKS		10

#define SYSTEM(op0, op1, crn, crm, op2)                                                            \
	XARCH_REG(XARCH_BANK_SYSTEM, (op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))

#define CNTVCT		SYSTEM(3, 3, 14, 0, 2)
#define CNTV_CVAL	SYSTEM(3, 3, 14, 3, 2)

/* Registers of group 0x10 that are neither general nor vector registers. */
static const struct {
	u16 index;
	u64 size;
	u64 library;
} core[] = {
	{ 62, ID_U64, SYSTEM(3, 0, 4, 1, 0) },		/* SP_EL0 */
	{ 64, ID_U64, XARCH_REG(XARCH_BANK_CORE, 0) },	/* PC */
	{ 66, ID_U64, XARCH_REG(XARCH_BANK_CORE, 1) },	/* PSTATE */
	{ 68, ID_U64, SYSTEM(3, 4, 4, 1, 0) },		/* SP_EL1 */
	{ 70, ID_U64, SYSTEM(3, 0, 4, 0, 1) },		/* ELR_EL1 */
	{ 72, ID_U64, SYSTEM(3, 0, 4, 0, 0) },		/* SPSR_EL1 */
	{ 212, ID_U32, SYSTEM(3, 3, 4, 4, 1) },		/* FPSR */
	{ 213, ID_U32, SYSTEM(3, 3, 4, 4, 0) },		/* FPCR */
};

#define VECTORS		84

/* The library's id of a register of group 0x10. */
static bool xarch_from_core(u16 index, u64 size, u64 *library)
{
	unsigned int at;

	if (index < 2 * 31 && !(index % 2)) {
		*library = XARCH_REG(XARCH_BANK_GENERAL, index / 2);
		return size == ID_U64;
	}
	if (index >= VECTORS && index < VECTORS + 4 * 32 && !(index % 4)) {
		*library = XARCH_REG(XARCH_BANK_VECTOR, (index - VECTORS) / 4);
		return size == ID_U128;
	}
	for (at = 0; at < ARRAY_SIZE(core); at++) {
		if (core[at].index == index) {
			*library = core[at].library;
			return size == core[at].size;
		}
	}
	return false;
}

static u64 xarch_exchange_timer(u64 library)
{
	return library == CNTVCT ? CNTV_CVAL : library == CNTV_CVAL ? CNTVCT : library;
}

static bool xarch_is_extra_bank(u32 bank)
{
	return bank == XARCH_BANK_INTERRUPT || (bank > XARCH_BANK_HOST_LIMIT && bank < BANKS);
}

/* Offsets in the interrupt controller's frames, which go beyond 16 bits, are counted in words. */
static u32 xarch_words(u32 bank)
{
	return bank == XARCH_BANK_CONTROLLER ? sizeof(u32) : 1;
}

bool xarch_from_kvm(u64 id, u64 *library)
{
	u16 group = (id & ID_GROUP) >> 16, index = id & ID_INDEX;
	u64 size = id & ID_SIZE;

	if ((id & ~(ID_SIZE | ID_GROUP | ID_INDEX)) != ID_ARM64)
		return false;
	if (group == GROUP_CORE)
		return xarch_from_core(index, size, library);
	if (size != ID_U64)
		return false;
	if (group == GROUP_SYSTEM) {
		*library = xarch_exchange_timer(XARCH_REG(XARCH_BANK_SYSTEM, index));
		return true;
	}
	if (group < GROUP_BANK || !xarch_is_extra_bank(group - GROUP_BANK))
		return false;
	*library = XARCH_REG(group - GROUP_BANK, xarch_words(group - GROUP_BANK) * index);
	return true;
}

/* 0 where KVM's ids have no room for it. */
u64 xarch_to_kvm(u64 library)
{
	u32 bank = library >> 32, index = (u32)library / xarch_words(bank);
	unsigned int at;

	if (index > ID_INDEX || (u32)library % xarch_words(bank))
		return 0;
	if (bank == XARCH_BANK_GENERAL)
		return ID_ARM64 | ID_U64 | GROUP_CORE << 16 | index * 2;
	if (bank == XARCH_BANK_VECTOR)
		return ID_ARM64 | ID_U128 | GROUP_CORE << 16 | (VECTORS + index * 4);
	for (at = 0; at < ARRAY_SIZE(core); at++)
		if (core[at].library == library)
			return ID_ARM64 | core[at].size | GROUP_CORE << 16 | core[at].index;
	if (bank == XARCH_BANK_SYSTEM)
		return ID_ARM64 | ID_U64 | GROUP_SYSTEM << 16 | (xarch_exchange_timer(library) & ID_INDEX);
	if (xarch_is_extra_bank(bank))
		return ID_ARM64 | ID_U64 | (u64)(GROUP_BANK + bank) << 16 | index;
	return 0;
}

/* Numbers as they lie in user memory: the library's two halves, in the host's order. */
union xarch_value {
	u32 word;
	u64 number;
	u64 halves[2];
};

static void xarch_exchange_halves(union xarch_value *value)
{
	if (IS_ENABLED(CONFIG_CPU_BIG_ENDIAN))
		swap(value->halves[0], value->halves[1]);
}

/* Registers of a vCPU, or, where that is null, those that the vCPUs of the VM share. */
struct xarch_owner {
	struct xarch_vm_file *vm;
	struct xarch_vcpu_file *vcpu;
};

static int xarch_library_get(const struct xarch_owner *owner, u64 library, u64 *got)
{
	int error = xarch_enter_library(owner->vm);

	if (error)
		return error;
	error = owner->vcpu ? xarch_api->vcpu_get_register(owner->vcpu->vcpu, library, got) :
			      xarch_api->vm_get_register(owner->vm->vm, library, got);
	xarch_leave_library(owner->vm);
	return error;
}

static int xarch_library_set(const struct xarch_owner *owner, u64 library, const u64 *set)
{
	int error;

	if (owner->vcpu) {
		error = xarch_enter_library(owner->vm);
		if (error)
			return error;
		error = xarch_api->vcpu_set_register(owner->vcpu->vcpu, library, set);
		xarch_leave_library(owner->vm);
		return error;
	}
	/* What is shared changes only while nobody runs. */
	error = xarch_stop_guests(owner->vm);
	if (error)
		return error;
	preempt_disable();
	error = xarch_api->vm_set_register(owner->vm->vm, library, set);
	preempt_enable();
	up_write(&owner->vm->running);
	return error;
}

static int xarch_library_list(const struct xarch_owner *owner, u64 *ids, u32 *count)
{
	int error = xarch_enter_library(owner->vm);

	if (error)
		return error;
	error = owner->vcpu ? xarch_api->vcpu_list_registers(owner->vcpu->vcpu, ids, count) :
			      xarch_api->vm_list_registers(owner->vm->vm, ids, count);
	xarch_leave_library(owner->vm);
	return error;
}

static long xarch_get(const struct xarch_owner *owner, u64 id, u64 library, void __user *user)
{
	union xarch_value value = { .halves = { 0 } };
	u64 got[2] = { 0 };
	int error = xarch_library_get(owner, library, got);

	if (error)
		return error;
	switch (id & ID_SIZE) {
	case ID_U32:
		value.word = got[0];
		return copy_to_user(user, &value, sizeof(u32)) ? -EFAULT : 0;
	case ID_U64:
		return copy_to_user(user, got, sizeof(u64)) ? -EFAULT : 0;
	default:
		memcpy(value.halves, got, sizeof(got));
		xarch_exchange_halves(&value);
		return copy_to_user(user, &value, sizeof(got)) ? -EFAULT : 0;
	}
}

static long xarch_set(const struct xarch_owner *owner, u64 id, u64 library, const void __user *user)
{
	union xarch_value value = { .halves = { 0 } };
	u64 set[2] = { 0 };

	switch (id & ID_SIZE) {
	case ID_U32:
		if (copy_from_user(&value, user, sizeof(u32)))
			return -EFAULT;
		set[0] = value.word;
		break;
	case ID_U64:
		if (copy_from_user(set, user, sizeof(u64)))
			return -EFAULT;
		break;
	default:
		if (copy_from_user(&value, user, sizeof(value)))
			return -EFAULT;
		xarch_exchange_halves(&value);
		memcpy(set, value.halves, sizeof(set));
	}
	return xarch_library_set(owner, library, set);
}

static long xarch_owner_reg(const struct xarch_owner *owner, const struct xarch_one_reg *reg, bool set)
{
	void __user *user = (void __user *)(unsigned long)reg->address;
	u64 library;

	if (reg->address != (unsigned long)reg->address)
		return -EFAULT;
	if (!xarch_from_kvm(reg->id, &library))
		return -ENOENT;
	return set ? xarch_set(owner, reg->id, library, user) : xarch_get(owner, reg->id, library, user);
}

long xarch_one_reg(struct xarch_vcpu_file *vcpu, const struct xarch_one_reg *reg, bool set)
{
	return xarch_owner_reg(&(struct xarch_owner){ vcpu->vm, vcpu }, reg, set);
}

long xarch_vm_reg(struct xarch_vm_file *vm, const struct xarch_one_reg *reg, bool set)
{
	return xarch_owner_reg(&(struct xarch_owner){ vm, NULL }, reg, set);
}

/* More than any guest architecture of the library lists; if not, the call says E2BIG and how many. */
#define XARCH_MOST_IDS	4096

static u32 xarch_translate_ids(u64 *ids, u32 count)
{
	u32 at, kept = 0;

	for (at = 0; at < count; at++) {
		u64 id = xarch_to_kvm(ids[at]);

		if (id)
			ids[kept++] = id;
	}
	return kept;
}

static long xarch_owner_list(const struct xarch_owner *owner, struct xarch_reg_list __user *list)
{
	u32 count = XARCH_MOST_IDS;
	u64 room, all;
	u64 *ids;
	long error;

	if (get_user(room, &list->count))
		return -EFAULT;
	ids = kvmalloc_array(XARCH_MOST_IDS, sizeof(*ids), GFP_KERNEL_ACCOUNT);
	if (!ids)
		return -ENOMEM;
	error = xarch_library_list(owner, ids, &count);
	if (!error) {
		all = xarch_translate_ids(ids, count);
		if (put_user(all, &list->count))
			error = -EFAULT;
		else if (all > room)
			error = -E2BIG;
		else if (copy_to_user(list->ids, ids, all * sizeof(*ids)))
			error = -EFAULT;
	}
	kvfree(ids);
	return error;
}

long xarch_reg_list(struct xarch_vcpu_file *vcpu, struct xarch_reg_list __user *list)
{
	return xarch_owner_list(&(struct xarch_owner){ vcpu->vm, vcpu }, list);
}

long xarch_vm_reg_list(struct xarch_vm_file *vm, struct xarch_reg_list __user *list)
{
	return xarch_owner_list(&(struct xarch_owner){ vm, NULL }, list);
}
