// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * /dev/xarch: Arm guests on whatever this kernel runs on, through xarch.h alone.
 *
 * Loading the module asks the library for its entries and picks a back end: hardware where the facility is announced and
 * the library agrees, otherwise software. No instruction of the facility is attempted to find out.
 */
#include <linux/capability.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "module.h"

const struct xarch_api *xarch_api __ro_after_init;
struct xarch_backend_info xarch_backend_info __ro_after_init;
static bool xarch_facility __ro_after_init;

static long xarch_create_vm(const struct xarch_create_vm __user *from)
{
	struct xarch_create_vm config;

	if (copy_from_user(&config, from, sizeof(config)))
		return -EFAULT;
	return xarch_vm_open(&config);
}

static long xarch_check_extension(unsigned long which)
{
	switch (which) {
	case XARCH_CAP_VCPUS:
		return min_t(u32, xarch_backend_info.vcpus, XARCH_VCPUS);
	case XARCH_CAP_REGIONS:
		return XARCH_REGIONS;
	case XARCH_CAP_ADDRESS_BITS:
		return 48;
	case XARCH_CAP_HARDWARE:
		return xarch_on_hardware();
	case XARCH_CAP_FACILITY:
		return xarch_facility;
	default:
		return 0;
	}
}

static long xarch_device_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	switch (command) {
	case XARCH_GET_API_VERSION:
		return argument ? -EINVAL : XARCH_UAPI_VERSION;
	case XARCH_CHECK_EXTENSION:
		return xarch_check_extension(argument);
	case XARCH_GET_RUN_BYTES:
		return argument ? -EINVAL : PAGE_SIZE;
	case XARCH_CREATE_VM:
		return xarch_create_vm((void __user *)argument);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations xarch_device_operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = xarch_device_ioctl,
	.llseek = noop_llseek,
};

/* Whoever may open it may pin memory and burn time: root, unless the administrator says otherwise. */
static struct miscdevice xarch_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "xarch",
	.fops = &xarch_device_operations,
	.mode = 0600,
};

/*
 * Picks the back end: for the machine's own facility where that is announced and the library agrees, else the first one
 * in software.
 */
static int __init xarch_pick_backend(void)
{
	u32 index;

	xarch_backend_info.size = sizeof(xarch_backend_info);
	if (xarch_is_announced() && xarch_api->backend_info(XARCH_BACKEND_ANNOUNCED, &xarch_backend_info) == XARCH_OK) {
		xarch_facility = true;
		return 0;
	}
	for (index = 0; xarch_api->backend_info(index, &xarch_backend_info) == XARCH_OK; index++)
		if (xarch_backend_info.flags & XARCH_BACKEND_SOFTWARE)
			return 0;
	return -ENODEV;
}

static int __init xarch_init(void)
{
	int error;

	xarch_api = xarch_get_api(XARCH_ABI >> 16);
	if (!xarch_api || !XARCH_HAS(xarch_api, vcpu_list_registers)) {
		pr_err("xarch: the library lacks version %u.%u\n", XARCH_ABI >> 16, XARCH_ABI & 0xffff);
		return -ENOPKG;
	}
	error = xarch_pick_backend();
	if (error)
		return error;
	error = misc_register(&xarch_device);
	if (error)
		return error;
	pr_info("xarch: library %u.%u, back end %.32s (%s), facility %s\n", xarch_api->abi >> 16,
		xarch_api->abi & 0xffff, xarch_backend_info.name,
		xarch_on_hardware() ? "hardware" : "software",
		xarch_facility ? "present" : "absent");
	xarch_kit();
	return 0;
}

static void __exit xarch_exit(void)
{
	misc_deregister(&xarch_device);
}

module_init(xarch_init);
module_exit(xarch_exit);

/*
 * The sources, the library's among them, are offered under MIT or Apache-2.0, at the recipient's choice. A module uses
 * the kernel's GPL-only interfaces, so what is loaded is a work under the GPL; MIT allows that, and Apache-2.0 (against
 * GPL-2.0) would not. Hence the one of the two that fits, in the kernel's words for it.
 */
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Arm guests on foreign hosts");
MODULE_AUTHOR("The xarch authors");
