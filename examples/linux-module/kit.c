// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * The conformance kit's hands in the kernel: what a VMM does by ioctls, done here by the functions behind them, with
 * structures in memory of the process that loads the module, by threads that have borrowed it.
 *
 * What the library offers and the module does not (unmap, protect, the dirty log, age) is asked of the module's back end
 * as the module asks: with preemption disabled. What the library asks the module goes by the module's own table.
 */
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/unaligned.h>

#include "kit.h"
#include "module.h"

/* Memory that slots are made of, and behind it a page for structures. */
#define KIT_MEMORY	(4UL << 20)
/* A region of all of it, before the first vCPU: it pins everything. No clause has slots there. */
#define KIT_WHOLE	(XARCH_REGIONS - 1)
#define KIT_WHOLE_AT	(1ULL << 38)

static struct mm_struct *kit_mm;
static unsigned long kit_user;
/* The structures of calls about VMs; those about a vCPU have places of their own. */
static DEFINE_MUTEX(kit_call_lock);
/* What a guest that waits ended its run with. */
static struct xarch_outcome kit_waits[XARCH_VCPUS];
static u32 kit_requests;

static unsigned long kit_place(unsigned int number)
{
	return kit_user + KIT_MEMORY + number * 256;
}

static long kit_vm_call(struct xarch_vm_file *vm, unsigned int command, const void *from, size_t bytes)
{
	long result = -EFAULT;

	mutex_lock(&kit_call_lock);
	if (!copy_to_user((void __user *)kit_place(0), from, bytes))
		result = xarch_vm_call(vm, command, kit_place(0));
	mutex_unlock(&kit_call_lock);
	return result;
}

static long kit_vcpu_call(struct xarch_vcpu_file *vcpu, unsigned int command, const void *from, size_t bytes)
{
	unsigned long place = kit_place(1 + vcpu->index);

	if (copy_to_user((void __user *)place, from, bytes))
		return -EFAULT;
	return xarch_vcpu_call(vcpu, command, place);
}

static long kit_region(struct xarch_vm_file *vm, u32 number, u64 guest, u64 bytes, u64 place, u32 flags)
{
	const struct xarch_region region = {
		.region = number,
		.flags = flags,
		.guest_address = guest,
		.bytes = bytes,
		.user_address = kit_user + place,
	};

	return kit_vm_call(vm, XARCH_SET_REGION, &region, sizeof(region));
}

static int kit_open_vcpu(struct xarch_vm_file *vm, unsigned long index)
{
	struct xarch_vcpu_file *vcpu = xarch_vcpu_new(vm, index);

	if (IS_ERR(vcpu))
		return PTR_ERR(vcpu);
	smp_store_release(&vm->vcpu[index], vcpu);
	return 0;
}

static void *kit_vm_create(u32 vcpus)
{
	const struct xarch_create_vm config = { .vcpus = vcpus, .address_bits = 40 };
	struct xarch_vm_file *vm = xarch_vm_new(&config);
	long error;
	u32 index;

	if (IS_ERR(vm))
		return NULL;
	error = kit_region(vm, KIT_WHOLE, KIT_WHOLE_AT, KIT_MEMORY, 0, 0);
	for (index = 0; !error && index < vcpus; index++)
		error = xarch_create_vcpu(vm, index, kit_open_vcpu);
	if (!error)
		error = kit_region(vm, KIT_WHOLE, KIT_WHOLE_AT, 0, 0, 0);
	if (!error)
		return vm;
	pr_err("xarch_kit: no VM: error %ld\n", error);
	xarch_vm_put(vm);
	return NULL;
}

static void kit_vm_destroy(void *vm)
{
	xarch_vm_put(vm);
}

static s32 kit_add_slot(void *of, u64 guest, u64 bytes, u64 place, u32 read_only)
{
	struct xarch_vm_file *vm = of;
	unsigned int number;

	for (number = 0; number < XARCH_REGIONS; number++)
		if (!READ_ONCE(vm->region[number].bytes))
			return kit_region(vm, number, guest, bytes, place, read_only ? XARCH_REGION_READ_ONLY : 0);
	return -ENOSPC;
}

static s32 kit_remove_slot(void *of, u64 guest, u64 bytes)
{
	struct xarch_vm_file *vm = of;
	unsigned int number;

	for (number = 0; number < XARCH_REGIONS; number++) {
		const struct xarch_memory_region *region = &vm->region[number];

		if (region->bytes == bytes && region->guest == guest)
			return kit_region(vm, number, guest, 0, 0, 0);
	}
	return -ENOENT;
}

static s32 kit_unmap(void *of, u64 guest, u64 bytes)
{
	struct xarch_vm_file *vm = of;
	s32 result;

	preempt_disable();
	result = xarch_api->unmap(vm->backend, guest, bytes);
	preempt_enable();
	return result;
}

static s32 kit_protect(void *of, u64 guest, u64 bytes)
{
	struct xarch_vm_file *vm = of;
	s32 result;

	preempt_disable();
	result = xarch_api->protect(vm->backend, guest, bytes);
	preempt_enable();
	return result;
}

static s32 kit_age(void *of, u64 guest, u64 bytes)
{
	struct xarch_vm_file *vm = of;
	s32 result;

	preempt_disable();
	result = xarch_api->age(vm->backend, guest, bytes);
	preempt_enable();
	return result;
}

struct kit_log {
	u64 guest;
	unsigned long pages;
	unsigned long *named;
};

static void kit_note(void *argument, uint64_t page)
{
	struct kit_log *log = argument;
	u64 number = (page - log->guest) >> PAGE_SHIFT;

	if (!WARN_ON_ONCE(page < log->guest || number >= log->pages))
		__set_bit(number, log->named);
}

/* As a log is taken that goes to user space: noted in a bitmap, and told when nothing is disabled any more. */
static s32 kit_collect_dirty(void *of, u64 guest, u64 bytes, void (*report)(void *argument, u64 page), void *argument)
{
	struct xarch_vm_file *vm = of;
	struct kit_log log = { .guest = guest, .pages = min_t(u64, bytes >> PAGE_SHIFT, 1UL << 20) + 1 };
	unsigned long number;
	s32 result;

	log.named = bitmap_zalloc(log.pages, GFP_KERNEL);
	if (!log.named)
		return -ENOMEM;
	preempt_disable();
	result = xarch_api->collect_dirty(vm->backend, guest, bytes, kit_note, &log);
	preempt_enable();
	for_each_set_bit(number, log.named, log.pages)
		report(argument, guest + ((u64)number << PAGE_SHIFT));
	bitmap_free(log.named);
	return result;
}

static void kit_interrupt(void *vm, u32 vcpu)
{
	xarch_vm_call(vm, XARCH_INTERRUPT_VCPU, vcpu);
}

/* What XARCH_GET_ONE_REG and XARCH_SET_ONE_REG are given, and where the value is. */
static long kit_one_reg(struct xarch_vcpu_file *vcpu, u64 id, struct xarch_one_reg *reg)
{
	u64 back;

	reg->id = xarch_to_kvm(id);
	reg->address = kit_place(1 + vcpu->index) + 128;
	/* An id that means another register, or none, is none of these. */
	return reg->id && xarch_from_kvm(reg->id, &back) && back == id ? 0 : -ENOENT;
}

static bool kit_is_wide(const struct xarch_one_reg *reg)
{
	return ((reg->id >> 52) & 0xf) == 4;
}

/* In memory a register is a number of its size, in the host's order. */
static s32 kit_get_register(void *of, u32 index, u64 id, u64 *value)
{
	struct xarch_vcpu_file *vcpu = ((struct xarch_vm_file *)of)->vcpu[index];
	struct xarch_one_reg reg;
	u64 there[2] = { 0 };
	long error = kit_one_reg(vcpu, id, &reg);

	if (!error)
		error = kit_vcpu_call(vcpu, XARCH_GET_ONE_REG, &reg, sizeof(reg));
	if (!error && copy_from_user(there, (void __user *)reg.address, kit_is_wide(&reg) ? 16 : 8))
		error = -EFAULT;
	if (kit_is_wide(&reg) && IS_ENABLED(CONFIG_CPU_BIG_ENDIAN))
		swap(there[0], there[1]);
	value[0] = there[0];
	value[1] = there[1];
	return error;
}

static s32 kit_set_register(void *of, u32 index, u64 id, const u64 *value)
{
	struct xarch_vcpu_file *vcpu = ((struct xarch_vm_file *)of)->vcpu[index];
	struct xarch_one_reg reg;
	u64 there[2] = { value[0], value[1] };
	long error = kit_one_reg(vcpu, id, &reg);

	if (error)
		return error;
	if (!kit_is_wide(&reg)) {
		/* The id says that there are 64 bits: more cannot be said. */
		if (value[1])
			return -E2BIG;
	} else if (IS_ENABLED(CONFIG_CPU_BIG_ENDIAN)) {
		swap(there[0], there[1]);
	}
	if (copy_to_user((void __user *)reg.address, there, kit_is_wide(&reg) ? 16 : 8))
		return -EFAULT;
	return kit_vcpu_call(vcpu, XARCH_SET_ONE_REG, &reg, sizeof(reg));
}

static s32 kit_start(void *of, u32 index, u64 entry)
{
	const struct xarch_vcpu_init init = {
		.target = XARCH_TARGET_GENERIC,
		.features[0] = 1 << XARCH_VCPU_PSCI,
	};
	const u64 at[2] = { entry, 0 };
	struct xarch_vm_file *vm = of;
	long error;

	if (index >= vm->vcpus || !vm->vcpu[index])
		return -ENOENT;
	error = kit_vcpu_call(vm->vcpu[index], XARCH_VCPU_INIT, &init, sizeof(init));
	return error ?: kit_set_register(vm, index, XARCH_REG(XARCH_BANK_CORE, 0), at);
}

bool xarch_kit_waits(struct xarch_vcpu_file *vcpu, const struct xarch_outcome *outcome)
{
	kit_waits[vcpu->index] = *outcome;
	return true;
}

static void kit_mmio(const struct xarch_vcpu_file *vcpu, struct xarch_kit_exit *exit)
{
	__le64 data;

	memcpy(&data, vcpu->run->mmio.data, sizeof(data));
	exit->kind = XARCH_KIT_DEVICE;
	exit->address = vcpu->run->mmio.address;
	exit->bytes = vcpu->run->mmio.bytes;
	exit->is_write = vcpu->run->mmio.is_write;
	exit->value = le64_to_cpu(data);
	exit->token = vcpu->token;
}

static void kit_run(void *of, u32 index, struct xarch_kit_exit *exit)
{
	struct xarch_vcpu_file *vcpu = ((struct xarch_vm_file *)of)->vcpu[index];
	long result;

	/* An access that waits and has no answer: what is in the page is none. */
	vcpu->waiting = false;
	result = xarch_vcpu_call(vcpu, XARCH_RUN, 0);
	exit->kind = XARCH_KIT_FAILED;
	exit->token = -result;
	if (result == -EINTR) {
		exit->kind = XARCH_KIT_INTERRUPTED;
	} else if (result == -EAGAIN) {
		exit->kind = XARCH_KIT_WAIT;
		exit->counter = kit_waits[index].deadline_counter;
		exit->nanoseconds = kit_waits[index].deadline_ns;
	} else if (!result && vcpu->run->exit_reason == XARCH_EXIT_REASON_MMIO) {
		kit_mmio(vcpu, exit);
	} else if (!result && vcpu->run->exit_reason == XARCH_EXIT_REASON_SYSTEM_EVENT) {
		if (vcpu->run->system_event.type == XARCH_SYSTEM_EVENT_SHUTDOWN)
			exit->kind = XARCH_KIT_POWER_OFF;
		exit->token = vcpu->run->system_event.type;
	} else if (!result) {
		exit->token = 1000 + vcpu->run->failed.reason;
	}
}

/* By the page and a run that ends at once. Where nothing waits, or something else, it is the library that says so. */
static s32 kit_complete(void *of, u32 index, u32 token, u64 value, u32 absent)
{
	struct xarch_vm_file *vm = of;
	struct xarch_vcpu_file *vcpu = vm->vcpu[index];
	__le64 data = cpu_to_le64(value);
	long result;

	if (!vcpu->waiting || vcpu->token != token) {
		result = xarch_enter_library(vm);
		if (result)
			return result;
		result = xarch_api->vcpu_complete(vcpu->vcpu, token, absent ? XARCH_E_NODEV : XARCH_OK, value);
		xarch_leave_library(vm);
		return result;
	}
	/* The bytes of the access, and others that mean nothing. */
	memcpy(vcpu->run->mmio.data, &data, sizeof(data));
	vcpu->run->mmio.absent = absent;
	vcpu->run->immediate_exit = 1;
	result = xarch_vcpu_call(vcpu, XARCH_RUN, 0);
	vcpu->run->immediate_exit = 0;
	if (result != -EINTR || vcpu->waiting)
		return result < 0 && result != -EINTR ? result : -EIO;
	return 0;
}

/* The client's memory, by the mapping that the module has of it. */
static void *kit_address(const struct xarch_vm_file *vm, u64 place, u64 bytes)
{
	const struct xarch_area *area = list_first_entry(&vm->areas, struct xarch_area, list);

	if (WARN_ON_ONCE(place > KIT_MEMORY || bytes > KIT_MEMORY - place))
		place = 0;
	return vm->window + area->offset + place;
}

static void kit_load(void *of, u64 place, void *into, u64 bytes)
{
	const u64 *from = kit_address(of, place, bytes);

	if (bytes == sizeof(u64) && !(place % sizeof(u64)))
		put_unaligned(READ_ONCE(*from), (u64 *)into);
	else
		memcpy(into, from, bytes);
}

static void kit_store(void *of, u64 place, const void *from, u64 bytes)
{
	u64 *to = kit_address(of, place, bytes);

	if (bytes == sizeof(u64) && !(place % sizeof(u64)))
		WRITE_ONCE(*to, get_unaligned((const u64 *)from));
	else
		memcpy(to, from, bytes);
}

static s32 kit_slot(void *vm, u64 address, struct xarch_kit_slot *slot)
{
	struct xarch_slot found = { .size = sizeof(found) };
	s32 result = xarch_platform.slot(vm, address, &found);

	slot->guest = found.guest;
	slot->bytes = found.bytes;
	slot->host = found.host;
	slot->read_only = found.flags & XARCH_SLOT_READ_ONLY;
	return result;
}

static s32 kit_device(void *vm, u32 vcpu, u64 address, u32 bytes, u32 is_write, u64 value)
{
	struct xarch_access access = {
		.size = sizeof(access),
		.bytes = bytes,
		.address = address,
		.value = value,
		.operation = is_write ? XARCH_WRITE : XARCH_READ,
	};

	return xarch_platform.device(vm, vcpu, &access);
}

static void kit_kick(void *vm, u32 vcpu)
{
	xarch_platform.kick(vm, vcpu);
}

static s32 kit_wait(void *of, u32 index, u64 nanoseconds)
{
	struct xarch_vcpu_file *vcpu = ((struct xarch_vm_file *)of)->vcpu[index];

	xarch_wait(vcpu, nanoseconds);
	/* As the next turn of XARCH_RUN does. */
	return atomic_xchg(&vcpu->kicked, 0);
}

static u32 kit_exit_requests(void *of, u32 index)
{
	struct xarch_vcpu_file *vcpu = ((struct xarch_vm_file *)of)->vcpu[index];
	struct xarch_outcome outcome = { .size = sizeof(outcome) };

	while (!xarch_slice(vcpu, &outcome) && outcome.kind == XARCH_OUTCOME_INTERRUPTED)
		kit_requests++;
	return kit_requests;
}

static u64 kit_clock(void)
{
	return ktime_get_ns();
}

static void kit_relax(void)
{
	cond_resched();
	cpu_relax();
}

/* The most stack that a thread of the kit was seen to use. */
static unsigned long kit_stack;

#define KIT_FILL	0x6b69745f66726565UL

static unsigned long *kit_stack_end(void)
{
	/* Beside the word that the kernel itself looks at. */
	return end_of_stack(current) + 1;
}

/* Fills what of this thread's stack is free. What is interrupted meanwhile comes back to a stack that is as it was. */
static noinline void kit_fill_stack(void)
{
	volatile unsigned long *at = kit_stack_end();
	unsigned long here = (unsigned long)__builtin_frame_address(0) - 512;

	for (; (unsigned long)at < here; at++)
		*at = KIT_FILL;
}

static void kit_measure_stack(void)
{
	const volatile unsigned long *at = kit_stack_end();
	unsigned long end = (unsigned long)task_stack_page(current) + THREAD_SIZE;

	while ((unsigned long)at < end && *at == KIT_FILL)
		at++;
	kit_stack = max(kit_stack, end - (unsigned long)at);
}

struct kit_work {
	void (*work)(void *argument);
	void *argument;
	struct completion done;
};

static int kit_thread(void *of)
{
	struct kit_work *work = of;

	kthread_use_mm(kit_mm);
	kit_fill_stack();
	work->work(work->argument);
	kit_measure_stack();
	kthread_unuse_mm(kit_mm);
	complete(&work->done);
	return 0;
}

static int kit_start_thread(struct kit_work *work, const char *name)
{
	struct task_struct *thread;

	init_completion(&work->done);
	thread = kthread_run(kit_thread, work, "%s", name);
	return PTR_ERR_OR_ZERO(thread);
}

/* However long it takes; the kernel complains about tasks that wait for minutes and cannot be told to stop. */
static void kit_await(struct kit_work *work)
{
	while (wait_for_completion_interruptible(&work->done))
		cond_resched();
}

static s32 kit_both(void (*first)(void *), void *of_first, void (*second)(void *), void *of_second)
{
	struct kit_work other = { .work = second, .argument = of_second };
	int error = kit_start_thread(&other, "xarch-kit-2");

	if (error)
		return error;
	first(of_first);
	kit_await(&other);
	return 0;
}

static void kit_say(const char *text, u64 bytes)
{
	pr_info("xarch_kit: %.*s\n", (int)bytes, text);
}

static const struct xarch_kit_functions kit_functions = {
	.vm_create = kit_vm_create,
	.vm_destroy = kit_vm_destroy,
	.add_slot = kit_add_slot,
	.remove_slot = kit_remove_slot,
	.unmap = kit_unmap,
	.protect = kit_protect,
	.collect_dirty = kit_collect_dirty,
	.age = kit_age,
	.interrupt = kit_interrupt,
	.start = kit_start,
	.run = kit_run,
	.complete = kit_complete,
	.get_register = kit_get_register,
	.set_register = kit_set_register,
	.load = kit_load,
	.store = kit_store,
	.slot = kit_slot,
	.device = kit_device,
	.kick = kit_kick,
	.wait = kit_wait,
	.exit_requests = kit_exit_requests,
	.clock = kit_clock,
	.relax = kit_relax,
	.both = kit_both,
	.log = kit_say,
};

static void kit_all(void *broken)
{
	*(u32 *)broken = xarch_kit_run(&kit_functions);
}

/* Borrows memory of the process that loads the module, and lets the kit have it. */
void xarch_kit(void)
{
	u32 broken = 0;
	struct kit_work work = { .work = kit_all, .argument = &broken };
	u64 start = ktime_get_ns();

	kit_mm = current->mm;
	kit_user = vm_mmap(NULL, 0, KIT_MEMORY + PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (IS_ERR_VALUE(kit_user) || kit_start_thread(&work, "xarch-kit")) {
		pr_err("xarch_kit: it could not be run\n");
		return;
	}
	kit_await(&work);
	vm_munmap(kit_user, KIT_MEMORY + PAGE_SIZE);
	pr_info("xarch_kit: %lu of %lu bytes of stack, %llu ms\n", kit_stack, (unsigned long)THREAD_SIZE,
		div_u64(ktime_get_ns() - start, NSEC_PER_MSEC));
	pr_info("xarch_kit: the end, %u broken\n", broken);
}
