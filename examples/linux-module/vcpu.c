// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * A vCPU's descriptor. The guest runs in the thread of whoever calls XARCH_RUN, in slices: a timer asks the library to
 * come back, then signals and the scheduler have their turn. There is no thread of the module's own.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#ifdef CONFIG_S390
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#endif

#include "module.h"

/*
 * Length of a slice: how long the kernel waits at most before this CPU does something else for a thread that asks, since
 * preemption is disabled in it. A kernel for real time gets a quarter of it.
 */
#define XARCH_SLICE_NS	(IS_ENABLED(CONFIG_PREEMPT_RT) ? 250000 : 1000000)

/* How soon hardware is interrupted again that has not left its guest: it may not have entered it yet. */
#define XARCH_AGAIN_NS	100000

/* Makes a vCPU look at its state again. Any context, also from the library and from interrupts. */
void xarch_vcpu_kick(struct xarch_vcpu_file *vcpu)
{
	struct task_struct *runner;

	atomic_set_release(&vcpu->kicked, 1);
	xarch_api->request_exit(vcpu->vm->backend, vcpu->index);
	if (xarch_on_hardware()) {
		/* Any interrupt makes it leave its guest; if this one comes too early, the end of the slice does. */
		rcu_read_lock();
		runner = READ_ONCE(vcpu->runner);
		if (runner)
			kick_process(runner);
		rcu_read_unlock();
	}
	rcuwait_wake_up(&vcpu->sleeper);
}

static enum hrtimer_restart xarch_slice_over(struct hrtimer *timer)
{
	struct xarch_vcpu_file *vcpu = container_of(timer, struct xarch_vcpu_file, slice);

	xarch_api->request_exit(vcpu->vm->backend, vcpu->index);
	if (!xarch_on_hardware())
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, ns_to_ktime(XARCH_AGAIN_NS));
	return HRTIMER_RESTART;
}

/*
 * Hardware leaves the guest's vector registers in the machine's while the guest runs, where interrupts may want them: the
 * kernel has to know that they are in use, and that the process's own are in memory. The library needs none for itself.
 */
#ifdef CONFIG_S390
static int xarch_run_on_hardware(struct xarch_vcpu_file *vcpu, struct xarch_outcome *outcome)
{
	struct kernel_fpu state;
	int error;

	kernel_fpu_begin(&state, KERNEL_FPC | KERNEL_VXR);
	error = xarch_api->vcpu_run(vcpu->vcpu, outcome);
	kernel_fpu_end(&state, KERNEL_FPC | KERNEL_VXR);
	return error;
}
#else
static int xarch_run_on_hardware(struct xarch_vcpu_file *vcpu, struct xarch_outcome *outcome)
{
	return -EOPNOTSUPP;
}
#endif

/* One slice: the library runs the guest, the memory of the VM does not change, and the timer ends it. */
int xarch_slice(struct xarch_vcpu_file *vcpu, struct xarch_outcome *outcome)
{
	u64 start;
	int error;

	error = xarch_enter_library(vcpu->vm);
	if (error)
		return error;
	hrtimer_start(&vcpu->slice, ns_to_ktime(XARCH_SLICE_NS), HRTIMER_MODE_REL_PINNED_HARD);
	WRITE_ONCE(vcpu->runner, current);
	start = ktime_get_ns();
	error = xarch_on_hardware() ? xarch_run_on_hardware(vcpu, outcome) : xarch_api->vcpu_run(vcpu->vcpu, outcome);
	vcpu->counters.run_ns += ktime_get_ns() - start;
	WRITE_ONCE(vcpu->runner, NULL);
	hrtimer_cancel(&vcpu->slice);
	xarch_leave_library(vcpu->vm);
	vcpu->counters.slices++;
	return error;
}

/* Sleeps until a kick, the deadline or a signal. */
void xarch_wait(struct xarch_vcpu_file *vcpu, u64 nanoseconds)
{
	ktime_t start = ktime_get(), expires;
	ktime_t *deadline = NULL;

	if (nanoseconds != XARCH_NO_DEADLINE) {
		expires = ktime_add_safe(start, min_t(u64, nanoseconds, KTIME_MAX));
		deadline = &expires;
	}
	vcpu->counters.waits++;
	prepare_to_rcuwait(&vcpu->sleeper);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (atomic_read_acquire(&vcpu->kicked) || signal_pending(current))
			break;
		if (!schedule_hrtimeout(deadline, HRTIMER_MODE_ABS))
			break;
	}
	finish_rcuwait(&vcpu->sleeper);
	vcpu->counters.wait_ns += ktime_to_ns(ktime_sub(ktime_get(), start));
}

static long xarch_exit_device(struct xarch_vcpu_file *vcpu, const struct xarch_outcome *outcome)
{
	struct xarch_run *run = vcpu->run;
	__le64 data = cpu_to_le64(outcome->operation == XARCH_WRITE ? outcome->value : 0);

	vcpu->waiting = true;
	vcpu->load = outcome->operation != XARCH_WRITE;
	vcpu->token = outcome->token;
	vcpu->counters.devices++;
	run->mmio.address = outcome->address;
	memcpy(run->mmio.data, &data, sizeof(data));
	run->mmio.bytes = outcome->bytes;
	run->mmio.is_write = !vcpu->load;
	run->mmio.absent = 0;
	run->exit_reason = XARCH_EXIT_REASON_MMIO;
	return 0;
}

static long xarch_exit_stopped(struct xarch_vcpu_file *vcpu, const struct xarch_outcome *outcome)
{
	static const u32 events[] = {
		[XARCH_STOP_POWER_OFF] = XARCH_SYSTEM_EVENT_SHUTDOWN,
		[XARCH_STOP_RESET] = XARCH_SYSTEM_EVENT_RESET,
		[XARCH_STOP_SUSPEND] = XARCH_SYSTEM_EVENT_SUSPEND,
	};
	struct xarch_run *run = vcpu->run;

	/* The library does not run it any further before it is reset. */
	vcpu->failed = true;
	if (outcome->reason < ARRAY_SIZE(events)) {
		run->system_event.type = events[outcome->reason];
		run->system_event.reserved = 0;
		run->exit_reason = XARCH_EXIT_REASON_SYSTEM_EVENT;
		return 0;
	}
	run->failed.reason = outcome->reason;
	run->failed.code = outcome->code;
	run->failed.address = outcome->address;
	run->failed.value = outcome->value;
	run->failed.syndrome = outcome->syndrome;
	run->exit_reason = XARCH_EXIT_REASON_FAILED;
	return 0;
}

/* Brings the answer to the access that the last run ended with. */
static int xarch_complete(struct xarch_vcpu_file *vcpu)
{
	__le64 data;
	bool absent;
	int error;

	if (!vcpu->waiting)
		return 0;
	/* The page is the caller's to write at any time: each field is read once. */
	memcpy(&data, vcpu->run->mmio.data, sizeof(data));
	absent = READ_ONCE(vcpu->run->mmio.absent);
	error = xarch_enter_library(vcpu->vm);
	if (error)
		return error;
	error = xarch_api->vcpu_complete(vcpu->vcpu, vcpu->token, absent ? XARCH_E_NODEV : XARCH_OK,
					 vcpu->load ? le64_to_cpu(data) : 0);
	xarch_leave_library(vcpu->vm);
	vcpu->waiting = false;
	/* Whoever wrote registers meanwhile may have done away with the access. */
	return error == XARCH_E_NOENT ? 0 : error;
}

static long xarch_run_vcpu(struct xarch_vcpu_file *vcpu)
{
	struct xarch_outcome outcome = { .size = sizeof(outcome) };
	int error;

	if (!vcpu->initialised || vcpu->failed)
		return -ENOEXEC;
	vcpu->counters.runs++;
	error = xarch_complete(vcpu);
	if (error)
		return error;
	for (;;) {
		might_sleep();
		/*
		 * Lowered before anybody looks, at requests here or at the guest's state in the library: what is raised
		 * later ends the slice or the wait. Read too, so that what was raised with it is seen.
		 */
		atomic_xchg(&vcpu->kicked, 0);
		if (signal_pending(current) || READ_ONCE(vcpu->run->immediate_exit) ||
		    (atomic_read(&vcpu->interrupted) && atomic_xchg(&vcpu->interrupted, 0))) {
			vcpu->run->exit_reason = XARCH_EXIT_REASON_INTR;
			return -EINTR;
		}
		cond_resched();
		error = xarch_slice(vcpu, &outcome);
		if (error)
			return error;
		switch (outcome.kind) {
		case XARCH_OUTCOME_INTERRUPTED:
			break;
		case XARCH_OUTCOME_WAIT:
			if (xarch_kit_waits(vcpu, &outcome))
				return -EAGAIN;
			xarch_wait(vcpu, outcome.deadline_ns);
			break;
		case XARCH_OUTCOME_DEVICE:
			return xarch_exit_device(vcpu, &outcome);
		case XARCH_OUTCOME_STOPPED:
			return xarch_exit_stopped(vcpu, &outcome);
		default:
			/* Not agreed, so it cannot come. */
			return -EIO;
		}
	}
}

static long xarch_init_vcpu(struct xarch_vcpu_file *vcpu, const struct xarch_vcpu_init *init)
{
	u32 known = 1 << XARCH_VCPU_PSCI | (vcpu->index ? 1 << XARCH_VCPU_POWER_OFF : 0);
	unsigned int index;
	int error;

	if (init->target != XARCH_TARGET_GENERIC || init->features[0] & ~known)
		return -EINVAL;
	for (index = 1; index < ARRAY_SIZE(init->features); index++)
		if (init->features[index])
			return -EINVAL;
	error = xarch_enter_library(vcpu->vm);
	if (error)
		return error;
	error = xarch_api->vcpu_reset(vcpu->vcpu);
	xarch_leave_library(vcpu->vm);
	if (error)
		return error;
	vcpu->initialised = true;
	vcpu->failed = vcpu->waiting = false;
	return 0;
}

static long xarch_vcpu_command(struct xarch_vcpu_file *vcpu, unsigned int command, unsigned long argument)
{
	void __user *user = (void __user *)argument;
	union {
		struct xarch_vcpu_init init;
		struct xarch_one_reg reg;
	} in;

	switch (command) {
	case XARCH_VCPU_INIT:
		if (copy_from_user(&in.init, user, sizeof(in.init)))
			return -EFAULT;
		return xarch_init_vcpu(vcpu, &in.init);
	case XARCH_RUN:
		return argument ? -EINVAL : xarch_run_vcpu(vcpu);
	case XARCH_GET_ONE_REG:
	case XARCH_SET_ONE_REG:
		if (!vcpu->initialised)
			return -ENOEXEC;
		if (copy_from_user(&in.reg, user, sizeof(in.reg)))
			return -EFAULT;
		return xarch_one_reg(vcpu, &in.reg, command == XARCH_SET_ONE_REG);
	case XARCH_GET_REG_LIST:
		return vcpu->initialised ? xarch_reg_list(vcpu, user) : -ENOEXEC;
	case XARCH_GET_COUNTERS:
		return copy_to_user(user, &vcpu->counters, sizeof(vcpu->counters)) ? -EFAULT : 0;
	default:
		return -ENOTTY;
	}
}

long xarch_vcpu_call(struct xarch_vcpu_file *vcpu, unsigned int command, unsigned long argument)
{
	long result;

	if (vcpu->vm->mm != current->mm)
		return -EIO;
	if (!mutex_trylock(&vcpu->lock))
		return -EBUSY;
	result = xarch_vcpu_command(vcpu, command, argument);
	mutex_unlock(&vcpu->lock);
	return result;
}

static long xarch_vcpu_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	return xarch_vcpu_call(file->private_data, command, argument);
}

static int xarch_vcpu_mmap(struct file *file, struct vm_area_struct *area)
{
	struct xarch_vcpu_file *vcpu = file->private_data;

	area->vm_flags |= VM_DONTEXPAND | VM_DONTDUMP;
	if (area->vm_pgoff || vma_pages(area) != 1 || !(area->vm_flags & VM_SHARED))
		return -EINVAL;
	return vm_insert_page(area, area->vm_start, virt_to_page(vcpu->run));
}

/* The VM goes with its last descriptor; what the library has of the vCPU goes then. */
static int xarch_vcpu_release(struct inode *inode, struct file *file)
{
	struct xarch_vcpu_file *vcpu = file->private_data;

	xarch_vm_put(vcpu->vm);
	return 0;
}

static const struct file_operations xarch_vcpu_operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = xarch_vcpu_ioctl,
	.mmap = xarch_vcpu_mmap,
	.release = xarch_vcpu_release,
	.llseek = noop_llseek,
};

/* Nobody else knows it any more. */
void xarch_vcpu_free(struct xarch_vcpu_file *vcpu)
{
	hrtimer_cancel(&vcpu->slice);
	if (vcpu->vcpu && WARN_ON_ONCE(xarch_api->vcpu_destroy(vcpu->vcpu)))
		return;
	vfree(vcpu->memory);
	free_page((unsigned long)vcpu->run);
	kfree(vcpu);
}

static int xarch_make_vcpu(struct xarch_vcpu_file *vcpu)
{
	struct xarch_layout layout;
	int error = xarch_api->vcpu_layout(vcpu->vm->vm, &layout);

	if (error)
		return error;
	vcpu->memory = xarch_object_memory(&layout);
	if (!vcpu->memory)
		return -ENOMEM;
	preempt_disable();
	error = xarch_api->vcpu_create(vcpu->vm->vm, vcpu->index, NULL, vcpu->memory, layout.size, &vcpu->vcpu);
	preempt_enable();
	return error;
}

/* Makes a vCPU. With vm->lock held. */
struct xarch_vcpu_file *xarch_vcpu_new(struct xarch_vm_file *vm, unsigned long index)
{
	struct xarch_vcpu_file *vcpu = kzalloc(sizeof(*vcpu), GFP_KERNEL_ACCOUNT);
	int result = -ENOMEM;

	if (!vcpu)
		return ERR_PTR(result);
	vcpu->vm = vm;
	vcpu->index = index;
	mutex_init(&vcpu->lock);
	rcuwait_init(&vcpu->sleeper);
	hrtimer_init(&vcpu->slice, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	vcpu->slice.function = xarch_slice_over;
	vcpu->run = (struct xarch_run *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->run)
		goto free;
	result = xarch_make_vcpu(vcpu);
	if (!result)
		return vcpu;
free:
	xarch_vcpu_free(vcpu);
	return ERR_PTR(result);
}

/* Makes a vCPU and returns its descriptor. With vm->lock held. */
int xarch_vcpu_open(struct xarch_vm_file *vm, unsigned long index)
{
	struct xarch_vcpu_file *vcpu = xarch_vcpu_new(vm, index);
	struct file *file;
	int result;

	if (IS_ERR(vcpu))
		return PTR_ERR(vcpu);
	result = get_unused_fd_flags(O_CLOEXEC);
	if (result < 0)
		goto free;
	file = anon_inode_getfile("xarch-vcpu", &xarch_vcpu_operations, vcpu, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(result);
		result = PTR_ERR(file);
		goto free;
	}
	xarch_vm_get(vm);
	/* From here on it can be kicked, and stays until the VM ends. */
	smp_store_release(&vm->vcpu[index], vcpu);
	fd_install(result, file);
	return result;

free:
	xarch_vcpu_free(vcpu);
	return result;
}
