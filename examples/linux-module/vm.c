// SPDX-License-Identifier: Apache-2.0 OR MIT
/* A VM's descriptor, and the platform that the library asks. */
#include <linux/anon_inodes.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "module.h"

void *xarch_object_memory(const struct xarch_layout *layout)
{
	/* At least a page, and page-aligned, which is the most that the library asks for. */
	if (!layout->size || layout->align > PAGE_SIZE)
		return NULL;
	return __vmalloc(layout->size, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
}

static void xarch_vm_free(struct kref *users)
{
	struct xarch_vm_file *vm = container_of(users, struct xarch_vm_file, users);
	unsigned int index;

	for (index = 0; index < XARCH_VCPUS; index++)
		if (vm->vcpu[index])
			xarch_vcpu_free(vm->vcpu[index]);
	/* Nobody else is here: these cannot fail, and if they do the memory must stay. */
	if (vm->vm && WARN_ON_ONCE(xarch_api->vm_destroy(vm->vm)))
		return;
	if (vm->backend && WARN_ON_ONCE(xarch_api->backend_destroy(vm->backend)))
		return;
	vfree(vm->vm_memory);
	vfree(vm->backend_memory);
	xarch_release_memory(vm);
	mmdrop(vm->mm);
	kfree(vm);
}

void xarch_vm_get(struct xarch_vm_file *vm)
{
	kref_get(&vm->users);
}

void xarch_vm_put(struct xarch_vm_file *vm)
{
	kref_put(&vm->users, xarch_vm_free);
}

int xarch_enter_library(struct xarch_vm_file *vm)
{
	if (down_read_killable(&vm->running))
		return -EINTR;
	preempt_disable();
	return 0;
}

void xarch_leave_library(struct xarch_vm_file *vm)
{
	preempt_enable();
	up_read(&vm->running);
}

/* The library's questions. All come from within xarch_api calls, with preemption disabled: none may sleep. */

static uint64_t xarch_clock(void *context)
{
	return ktime_get_ns();
}

static int32_t xarch_slot(void *context, uint64_t address, struct xarch_slot *slot)
{
	return xarch_find_slot(context, address, slot);
}

/* Devices are the VMM's: XARCH_RUN returns and the next one brings the answer. */
static int32_t xarch_device_access(void *context, uint32_t vcpu, struct xarch_access *access)
{
	return XARCH_E_AGAIN;
}

static void xarch_kick(void *context, uint32_t index)
{
	struct xarch_vm_file *vm = context;
	struct xarch_vcpu_file *vcpu = index < XARCH_VCPUS ? smp_load_acquire(&vm->vcpu[index]) : NULL;

	if (vcpu)
		xarch_vcpu_kick(vcpu);
}

const struct xarch_platform xarch_platform = {
	.size = sizeof(xarch_platform),
	.abi = XARCH_ABI,
	.clock = xarch_clock,
	.slot = xarch_slot,
	.device = xarch_device_access,
	.kick = xarch_kick,
};

static int xarch_make_backend(struct xarch_vm_file *vm)
{
	const struct xarch_backend_config config = {
		.size = sizeof(config),
		.abi = XARCH_ABI,
		.kind = xarch_backend_info.kind,
		.vcpus = vm->vcpus,
		.address_bits = vm->address_bits,
		.platform = &xarch_platform,
		.context = vm,
		.storage = vm->window,
		.storage_bytes = (u64)vm->window_pages << PAGE_SHIFT,
		.table_bytes = (u64)vm->table_pages << PAGE_SHIFT,
		.code_bytes = 4 << 20,
	};
	struct xarch_layout layout;
	int error = xarch_api->backend_layout(&config, &layout);

	if (error)
		return error;
	vm->backend_memory = xarch_object_memory(&layout);
	if (!vm->backend_memory)
		return -ENOMEM;
	preempt_disable();
	error = xarch_api->backend_create(&config, vm->backend_memory, layout.size, &vm->backend);
	preempt_enable();
	return error;
}

static int xarch_make_vm(struct xarch_vm_file *vm, struct xarch_vm **made)
{
	const struct xarch_vm_config config = {
		.size = sizeof(config),
		.abi = XARCH_ABI,
		.guest = xarch_backend_info.guest,
		.vcpus = vm->vcpus,
		.features = XARCH_FEATURE_DEVICE_LATER,
	};
	struct xarch_layout layout;
	uint64_t features = 0;
	int error = xarch_api->vm_layout(&config, &layout);

	if (error)
		return error;
	vm->vm_memory = xarch_object_memory(&layout);
	if (!vm->vm_memory)
		return -ENOMEM;
	preempt_disable();
	error = xarch_api->vm_create(vm->backend, &config, vm->vm_memory, layout.size, made);
	preempt_enable();
	if (error)
		return error;
	/* Devices in user space need it. */
	error = xarch_api->vm_features(*made, &features);
	if (!error && !(features & XARCH_FEATURE_DEVICE_LATER))
		error = -EOPNOTSUPP;
	if (error)
		xarch_api->vm_destroy(*made);
	return error;
}

/*
 * Makes what the library has of the VM, of the memory that it has at this moment. With vm->lock held.
 */
static int xarch_vm_start(struct xarch_vm_file *vm)
{
	struct xarch_vm *made;
	int error;

	if (vm->vm)
		return 0;
	error = xarch_freeze(vm);
	if (error)
		return error;
	error = xarch_make_backend(vm);
	if (!error)
		error = xarch_make_vm(vm, &made);
	if (!error) {
		error = xarch_add_regions(vm);
		if (error)
			xarch_api->vm_destroy(made);
	}
	if (error) {
		if (vm->backend)
			xarch_api->backend_destroy(vm->backend);
		vm->backend = NULL;
		vfree(vm->vm_memory);
		vfree(vm->backend_memory);
		vm->vm_memory = vm->backend_memory = NULL;
		xarch_thaw(vm);
		return error;
	}
	smp_store_release(&vm->vm, made);
	return 0;
}

long xarch_create_vcpu(struct xarch_vm_file *vm, unsigned long index,
		       int (*open)(struct xarch_vm_file *vm, unsigned long index))
{
	long result;

	if (index >= vm->vcpus)
		return -EINVAL;
	index = array_index_nospec(index, XARCH_VCPUS);
	if (mutex_lock_killable(&vm->lock))
		return -EINTR;
	if (vm->vcpu[index])
		result = -EEXIST;
	else
		result = xarch_vm_start(vm);
	if (!result)
		result = open(vm, index);
	mutex_unlock(&vm->lock);
	return result;
}

static long xarch_irq_line(struct xarch_vm_file *vm, const struct xarch_irq_line *line)
{
	struct xarch_vm *made = smp_load_acquire(&vm->vm);
	struct xarch_irq irq = {
		.size = sizeof(irq),
		.action = line->level ? XARCH_IRQ_HIGH : XARCH_IRQ_LOW,
		.number = line->irq & 0xffff,
		.vcpu = (line->irq >> XARCH_IRQ_VCPU_SHIFT) & 0xff,
	};
	long result;

	if (!made)
		return -ENXIO;
	switch (line->irq >> XARCH_IRQ_TYPE_SHIFT) {
	case XARCH_IRQ_TYPE_SPI:
		irq.kind = XARCH_IRQ_SHARED;
		break;
	case XARCH_IRQ_TYPE_PPI:
		irq.kind = XARCH_IRQ_PRIVATE;
		break;
	default:
		return -EINVAL;
	}
	preempt_disable();
	result = xarch_api->vm_set_irq(made, &irq);
	preempt_enable();
	return result;
}

/* Ends XARCH_RUN of a vCPU, or the next one, as a signal would. */
static long xarch_interrupt_vcpu(struct xarch_vm_file *vm, unsigned long index)
{
	struct xarch_vcpu_file *vcpu;

	if (index >= XARCH_VCPUS)
		return -ENXIO;
	vcpu = smp_load_acquire(&vm->vcpu[array_index_nospec(index, XARCH_VCPUS)]);
	if (!vcpu)
		return -ENXIO;
	atomic_set(&vcpu->interrupted, 1);
	xarch_vcpu_kick(vcpu);
	return 0;
}

long xarch_vm_call(struct xarch_vm_file *vm, unsigned int command, unsigned long argument)
{
	static const struct xarch_vcpu_init preferred = {
		.target = XARCH_TARGET_GENERIC,
		.features[0] = 1 << XARCH_VCPU_PSCI,
	};
	void __user *user = (void __user *)argument;
	union {
		struct xarch_region region;
		struct xarch_irq_line line;
		struct xarch_one_reg reg;
	} in;

	if (vm->mm != current->mm)
		return -EIO;
	switch (command) {
	case XARCH_SET_REGION:
		if (copy_from_user(&in.region, user, sizeof(in.region)))
			return -EFAULT;
		return xarch_set_region(vm, &in.region);
	case XARCH_CREATE_VCPU:
		return xarch_create_vcpu(vm, argument, xarch_vcpu_open);
	case XARCH_PREFERRED_TARGET:
		return copy_to_user(user, &preferred, sizeof(preferred)) ? -EFAULT : 0;
	case XARCH_IRQ_LINE:
		if (copy_from_user(&in.line, user, sizeof(in.line)))
			return -EFAULT;
		return xarch_irq_line(vm, &in.line);
	case XARCH_INTERRUPT_VCPU:
		return xarch_interrupt_vcpu(vm, argument);
	case XARCH_GET_ONE_REG:
	case XARCH_SET_ONE_REG:
		if (!smp_load_acquire(&vm->vm))
			return -ENXIO;
		if (copy_from_user(&in.reg, user, sizeof(in.reg)))
			return -EFAULT;
		return xarch_vm_reg(vm, &in.reg, command == XARCH_SET_ONE_REG);
	case XARCH_GET_REG_LIST:
		return smp_load_acquire(&vm->vm) ? xarch_vm_reg_list(vm, user) : -ENXIO;
	default:
		return -ENOTTY;
	}
}

static long xarch_vm_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	return xarch_vm_call(file->private_data, command, argument);
}

static int xarch_vm_release(struct inode *inode, struct file *file)
{
	xarch_vm_put(file->private_data);
	return 0;
}

static const struct file_operations xarch_vm_operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = xarch_vm_ioctl,
	.release = xarch_vm_release,
	.llseek = noop_llseek,
};

struct xarch_vm_file *xarch_vm_new(const struct xarch_create_vm *config)
{
	u32 address_bits = config->address_bits ?: 40;
	struct xarch_vm_file *vm;

	if (config->flags || !config->vcpus || config->vcpus > min_t(u32, xarch_backend_info.vcpus, XARCH_VCPUS) ||
	    address_bits < 32 || address_bits > 48)
		return ERR_PTR(-EINVAL);
	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return ERR_PTR(-ENOMEM);
	kref_init(&vm->users);
	vm->mm = current->mm;
	mmgrab(vm->mm);
	vm->vcpus = config->vcpus;
	vm->address_bits = address_bits;
	mutex_init(&vm->lock);
	init_rwsem(&vm->running);
	INIT_LIST_HEAD(&vm->areas);
	return vm;
}

int xarch_vm_open(const struct xarch_create_vm *config)
{
	struct xarch_vm_file *vm = xarch_vm_new(config);
	int fd;

	if (IS_ERR(vm))
		return PTR_ERR(vm);
	fd = anon_inode_getfd("xarch-vm", &xarch_vm_operations, vm, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		xarch_vm_put(vm);
	return fd;
}
