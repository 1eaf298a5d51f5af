/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the module's files know of each other.
 *
 * Locks, outer before inner:
 *
 *   vcpu->lock   mutex; whoever uses the vCPU. Only ever tried: who does not get it gets EBUSY.
 *   vm->lock     mutex; making vCPUs, changing regions.
 *   vm->running  semaphore; held for reading around each slice of a guest, for writing while regions change. So no
 *                guest of the VM runs while its memory changes, and the platform's slot callback needs no lock.
 *
 * The kernel's mmap_lock comes inside the first two (pinning, copying); the page's mmap takes none of ours.
 *
 * The library's own locks spin. Whoever is inside the library has preemption disabled, so that a holder is never waited
 * for by somebody who keeps it from running; an entry into a guest is bounded by a timer (vcpu.c).
 */
#ifndef XARCH_MODULE_H
#define XARCH_MODULE_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcuwait.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/types.h>

#include "xarch.h"
#include "xarch_uapi.h"

#define XARCH_REGIONS	32
/* The library's own limit is asked at run time; this is how many we keep track of. */
#define XARCH_VCPUS	8

/* User memory that is pinned. */
struct xarch_area {
	struct list_head list;
	unsigned long user;
	unsigned long pages;
	/* Regions in it; 0 and the VM not frozen: it goes. */
	unsigned int users;
	/* Where it lies in the window, once there is one. */
	u64 offset;
	struct page **page;
};

struct xarch_memory_region {
	/* 0: there is none. */
	u64 bytes;
	u64 guest;
	u64 user;
	u32 flags;
	struct xarch_area *area;
};

struct xarch_vcpu_file;

struct xarch_vm_file {
	struct kref users;
	struct mm_struct *mm;
	u32 vcpus, address_bits;

	struct mutex lock;
	struct rw_semaphore running;
	struct list_head areas;
	struct xarch_memory_region region[XARCH_REGIONS];
	/* Pages charged to mm. */
	unsigned long charged;

	/* Tables and areas, one behind the other, as the library sees them. Null: the VM is not frozen. */
	void *window;
	struct page **window_page;
	unsigned long window_pages, table_pages;

	void *backend_memory, *vm_memory;
	struct xarch_backend *backend;
	/* Published last, read without a lock. */
	struct xarch_vm *vm;
	struct xarch_vcpu_file *vcpu[XARCH_VCPUS];
};

struct xarch_vcpu_file {
	struct xarch_vm_file *vm;
	u32 index;
	struct mutex lock;
	void *memory;
	struct xarch_vcpu *vcpu;
	struct xarch_run *run;

	bool initialised, failed;
	/* An MMIO access that waits for its answer. */
	bool waiting, load;
	u32 token;

	/* Raised by kicks, from any context; lowered by who runs the vCPU. */
	atomic_t kicked;
	/* Raised by XARCH_INTERRUPT_VCPU; lowered by the run that it ends. */
	atomic_t interrupted;
	struct rcuwait sleeper;
	/* Who is in a slice, for kicks: tasks outlive a grace period. */
	struct task_struct *runner;
	struct hrtimer slice;
	struct xarch_counters counters;
};

/* The library, and the back end that this machine gets. */
extern const struct xarch_api *xarch_api;
extern struct xarch_backend_info xarch_backend_info;

/* Whether guests run on the machine itself. */
static inline bool xarch_on_hardware(void)
{
	return !(xarch_backend_info.flags & XARCH_BACKEND_SOFTWARE);
}

/* vm.c */
extern const struct xarch_platform xarch_platform;
struct xarch_vm_file *xarch_vm_new(const struct xarch_create_vm *config);
int xarch_vm_open(const struct xarch_create_vm *config);
/* What an ioctl on a VM's descriptor does, for the process that made the VM. */
long xarch_vm_call(struct xarch_vm_file *vm, unsigned int command, unsigned long argument);
/* Makes a vCPU by `open`, which is called with vm->lock held, on a VM that is started if it was not. */
long xarch_create_vcpu(struct xarch_vm_file *vm, unsigned long index,
		       int (*open)(struct xarch_vm_file *vm, unsigned long index));
void xarch_vm_get(struct xarch_vm_file *vm);
void xarch_vm_put(struct xarch_vm_file *vm);
void *xarch_object_memory(const struct xarch_layout *layout);

/*
 * Around every call into the library that is about one vCPU: memory does not change, and nothing else runs on this CPU.
 * An error if the caller was killed.
 */
int xarch_enter_library(struct xarch_vm_file *vm);
void xarch_leave_library(struct xarch_vm_file *vm);

/* memory.c */
long xarch_set_region(struct xarch_vm_file *vm, const struct xarch_region *wish);
int xarch_freeze(struct xarch_vm_file *vm);
void xarch_thaw(struct xarch_vm_file *vm);
void xarch_release_memory(struct xarch_vm_file *vm);
int xarch_add_regions(struct xarch_vm_file *vm);
int xarch_stop_guests(struct xarch_vm_file *vm);
int xarch_find_slot(struct xarch_vm_file *vm, u64 address, struct xarch_slot *slot);

/* vcpu.c */
struct xarch_vcpu_file *xarch_vcpu_new(struct xarch_vm_file *vm, unsigned long index);
/* What an ioctl on a vCPU's descriptor does. */
long xarch_vcpu_call(struct xarch_vcpu_file *vcpu, unsigned int command, unsigned long argument);
int xarch_slice(struct xarch_vcpu_file *vcpu, struct xarch_outcome *outcome);
void xarch_wait(struct xarch_vcpu_file *vcpu, u64 nanoseconds);
int xarch_vcpu_open(struct xarch_vm_file *vm, unsigned long index);
void xarch_vcpu_free(struct xarch_vcpu_file *vcpu);
void xarch_vcpu_kick(struct xarch_vcpu_file *vcpu);

/* registers.c */
bool xarch_from_kvm(u64 id, u64 *library);
u64 xarch_to_kvm(u64 library);
long xarch_one_reg(struct xarch_vcpu_file *vcpu, const struct xarch_one_reg *reg, bool set);
long xarch_reg_list(struct xarch_vcpu_file *vcpu, struct xarch_reg_list __user *list);
/* For a VM that has had a vCPU. */
long xarch_vm_reg(struct xarch_vm_file *vm, const struct xarch_one_reg *reg, bool set);
long xarch_vm_reg_list(struct xarch_vm_file *vm, struct xarch_reg_list __user *list);

/* facility.c; for the thread that loads the module */
bool xarch_is_announced(void);

/* kit.c: only where the module is built with XARCH_KIT=y, to be checked when it is loaded */
#ifdef XARCH_KIT
void xarch_kit(void);
/* Whether a guest that waits ends XARCH_RUN, with EAGAIN: the kit waits itself. */
bool xarch_kit_waits(struct xarch_vcpu_file *vcpu, const struct xarch_outcome *outcome);
#else
static inline void xarch_kit(void)
{
}

static inline bool xarch_kit_waits(struct xarch_vcpu_file *vcpu, const struct xarch_outcome *outcome)
{
	return false;
}
#endif

#endif /* XARCH_MODULE_H */
