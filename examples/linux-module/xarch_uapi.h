/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * xarch_uapi.h - what /dev/xarch and its file descriptors understand.
 *
 * Shaped like the arm64 KVM interface, so that whoever knows one finds his way about the other; numbers and structures
 * are this project's own.
 *
 *      /dev/xarch           version, what is there, XARCH_CREATE_VM      -> a VM's descriptor
 *      a VM's descriptor    memory, interrupt lines, XARCH_CREATE_VCPU   -> a vCPU's descriptor
 *      a vCPU's descriptor  XARCH_VCPU_INIT, registers, XARCH_RUN; mmap at offset 0 is struct xarch_run
 *
 * Only the process that made a VM may use its descriptors: its memory is what the guest gets. Another one gets EIO.
 * A vCPU's descriptor keeps its VM. Everything is in the host's byte order, except the bytes of an MMIO access.
 *
 * Memory. XARCH_SET_REGION pins the pages that lie behind a region at that moment, for as long as the VM has the region;
 * they count against RLIMIT_MEMLOCK. The first vCPU freezes which pages the VM has: from then on pages stay until the
 * VM ends, and regions can be taken away, put back, moved and made read-only, all of it while vCPUs run, but new ones
 * have to lie in user memory that was there at that moment (EBUSY otherwise).
 */
#ifndef XARCH_UAPI_H
#define XARCH_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* What XARCH_GET_API_VERSION returns: a program that sees another number must not go on. */
#define XARCH_UAPI_VERSION	1

#define XARCH_IOCTL		0xb9

/* /dev/xarch. Each returns what it is asked for. */
#define XARCH_GET_API_VERSION	_IO(XARCH_IOCTL, 0x00)
#define XARCH_CHECK_EXTENSION	_IO(XARCH_IOCTL, 0x01)
#define XARCH_GET_RUN_BYTES	_IO(XARCH_IOCTL, 0x02)
#define XARCH_CREATE_VM		_IOW(XARCH_IOCTL, 0x03, struct xarch_create_vm)

/* A VM. */
#define XARCH_SET_REGION	_IOW(XARCH_IOCTL, 0x10, struct xarch_region)
#define XARCH_CREATE_VCPU	_IO(XARCH_IOCTL, 0x11)
#define XARCH_PREFERRED_TARGET	_IOR(XARCH_IOCTL, 0x12, struct xarch_vcpu_init)
/* Ends XARCH_RUN of the vCPU of that number with EINTR, or its next one: from any thread, without a signal. */
#define XARCH_INTERRUPT_VCPU	_IO(XARCH_IOCTL, 0x14)
#define XARCH_IRQ_LINE		_IOW(XARCH_IOCTL, 0x13, struct xarch_irq_line)

/*
 * A vCPU. While one call is under way every other one on it gets EBUSY. The three for registers are a VM's too, once it
 * has a vCPU: there they are about what all vCPUs share.
 */
#define XARCH_VCPU_INIT		_IOW(XARCH_IOCTL, 0x20, struct xarch_vcpu_init)
#define XARCH_RUN		_IO(XARCH_IOCTL, 0x21)
#define XARCH_GET_ONE_REG	_IOW(XARCH_IOCTL, 0x22, struct xarch_one_reg)
#define XARCH_SET_ONE_REG	_IOW(XARCH_IOCTL, 0x23, struct xarch_one_reg)
#define XARCH_GET_REG_LIST	_IOWR(XARCH_IOCTL, 0x24, struct xarch_reg_list)
/* Statistics of a vCPU, for who wants to know what it costs. */
#define XARCH_GET_COUNTERS	_IOR(XARCH_IOCTL, 0x25, struct xarch_counters)

/* Arguments of XARCH_CHECK_EXTENSION; what is not known is 0. */
#define XARCH_CAP_VCPUS		1	/* the most vCPUs of a VM */
#define XARCH_CAP_REGIONS	2	/* the most regions of a VM */
#define XARCH_CAP_ADDRESS_BITS	3	/* the most bits of a guest-physical address */
#define XARCH_CAP_HARDWARE	4	/* 1: the guest runs on hardware; 0: on a model of it, in the kernel */
#define XARCH_CAP_FACILITY	5	/* 1: this machine has the facility; 0: it has not */

struct xarch_create_vm {
	__u32 vcpus;		/* 1 to XARCH_CAP_VCPUS */
	__u32 address_bits;	/* 32 to XARCH_CAP_ADDRESS_BITS; 0: 40 */
	__u64 flags;		/* 0 */
};

#define XARCH_REGION_READ_ONLY	1

/* Memory of the guest. Replaces the region of that number; bytes 0 takes it away. */
struct xarch_region {
	__u32 region;		/* 0 to XARCH_CAP_REGIONS - 1 */
	__u32 flags;		/* XARCH_REGION_READ_ONLY or 0 */
	__u64 guest_address;	/* all three are multiples of 4096 */
	__u64 bytes;
	__u64 user_address;	/* writable, whatever the flags; private or shared memory of the caller */
};

#define XARCH_TARGET_GENERIC	5

/* Bits of features[0], those of KVM's VCPU_INIT. A vCPU other than 0 is always off until the guest turns it on. */
#define XARCH_VCPU_POWER_OFF	0
#define XARCH_VCPU_PSCI		2

/* Makes the vCPU one of this target and puts it into its reset state; again, and it is reset again. */
struct xarch_vcpu_init {
	__u32 target;		/* XARCH_TARGET_GENERIC */
	__u32 features[7];
};

/*
 * KVM's register ids: architecture 0x60.., size in bits 55 to 52 (2: 32 bits, 3: 64, 4: 128), then the group:
 * 0x10 core (the index counts 32-bit words), 0x13 system (op0, op1, CRn, CRm, op2). As there, the ids of
 * the virtual timer's counter and its comparator are exchanged. This project has groups of its own:
 *
 *      0xf5    the virtual interrupt interface, by the encoding of the ICH_* register       with KVM: CPU_SYSREGS
 *      0xf7    the interrupt controller, by a quarter of the register's offset: of a vCPU in the redistributor's
 *              two frames, of a VM in the distributor's                        with KVM: REDIST_REGS, DIST_REGS
 *      0xf8    input lines, a bit each: of a vCPU its private ones, of a VM the shared ones that begin with the
 *              interrupt that is the index                                                with KVM: LEVEL_INFO
 *      0xf9    the rest of a vCPU: 0 whether it is on, 1 an SError that the guest has not taken yet
 *
 * Their values are states, without what reading and writing them in the guest does beside. To keep a VM: end every
 * XARCH_RUN (immediate_exit, which completes an access first), read every vCPU's registers in the order of its list, then
 * the VM's. To go on with it: make a VM with the same memory and as many vCPUs, XARCH_VCPU_INIT each, write every vCPU's
 * registers in that order, then the VM's.
 */
struct xarch_one_reg {
	__u64 id;
	__u64 address;		/* of the value, in user memory, as many bytes as the id says */
};

/* count is the room in ids and becomes their number; E2BIG if there is no room. */
struct xarch_reg_list {
	__u64 count;
	__u64 ids[];
};

#define XARCH_IRQ_TYPE_SHIFT	24
#define XARCH_IRQ_VCPU_SHIFT	16
#define XARCH_IRQ_TYPE_SPI	1
#define XARCH_IRQ_TYPE_PPI	2

/* Drives a line: type, vCPU (for a PPI) and number, as the guest counts interrupts, and its level. */
struct xarch_irq_line {
	__u32 irq;
	__u32 level;
};

struct xarch_counters {
	__u64 runs;		/* XARCH_RUN */
	__u64 slices;		/* entries into the library */
	__u64 waits;		/* times that the guest waited */
	__u64 devices;		/* MMIO exits */
	__u64 run_ns;		/* time inside the library */
	__u64 wait_ns;		/* time asleep because the guest waited */
};

/* Why XARCH_RUN returned 0, or EINTR (XARCH_EXIT_REASON_INTR). */
#define XARCH_EXIT_REASON_UNKNOWN	0
#define XARCH_EXIT_REASON_MMIO		1
#define XARCH_EXIT_REASON_SYSTEM_EVENT	2
#define XARCH_EXIT_REASON_INTR		3
#define XARCH_EXIT_REASON_FAILED	4	/* the vCPU cannot go on */

#define XARCH_SYSTEM_EVENT_SHUTDOWN	1
#define XARCH_SYSTEM_EVENT_RESET	2
#define XARCH_SYSTEM_EVENT_SUSPEND	3

/* The page that a vCPU's descriptor maps. The kernel writes it before XARCH_RUN returns and reads it when it is called. */
struct xarch_run {
	__u8 immediate_exit;	/* in: not 0: XARCH_RUN returns EINTR before it enters the guest */
	__u8 reserved[3];
	__u32 exit_reason;	/* out */
	union {
		/* The guest touched what is no memory. The next XARCH_RUN completes the access. */
		struct {
			__u64 address;
			__u8 data[8];	/* in guest memory order; of a load for the caller to set */
			__u32 bytes;	/* 1, 2, 4, 8 */
			__u8 is_write;
			__u8 absent;	/* in: 1: nothing is there; the guest gets an external abort */
			__u8 reserved[2];
		} mmio;
		struct {
			__u32 type;
			__u32 reserved;
		} system_event;
		/* Reasons are those of xarch.h, XARCH_STOP_*. */
		struct {
			__u32 reason;
			__u32 code;
			__u64 address;
			__u64 value;
			__u64 syndrome;
		} failed;
		__u8 room[256];
	};
};

#endif /* XARCH_UAPI_H */
