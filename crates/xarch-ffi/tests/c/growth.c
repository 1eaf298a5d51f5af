/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A host with a back end of its own, compiled as a program of version 1.0 or, with NEW_HOST, as one
 * of the version after it. It is linked with a library of either version and told which by its
 * argument, so that it can check how the two get on. The back end is an interpreter of the seven
 * instructions of its guest. With FRAME it keeps some registers in a frame.
 */
#include "next.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef NEW_HOST
#define HOST_IS_NEW	1
#else
#define HOST_IS_NEW	0
#endif

#define CODE		UINT64_C(0x40000000)
#define DEVICE		UINT64_C(0x9000000)
/* Instructions after which the host takes the CPU away. */
#define SLICE		3

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);             \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static const uint32_t guest[] = {
	0x52b08000, /* mov  w0, #0x84000000	PSCI_VERSION */
	0xd4000002, /* hvc  #0 */
	0xd2a12001, /* mov  x1, #0x9000000	the device */
	0xb9000020, /* str  w0, [x1] */
	0xd53800a2, /* mrs  x2, mpidr_el1 */
	0xb9000022, /* str  w2, [x1] */
	0xd5380403, /* mrs  x3, id_aa64pfr0_el1 */
	0x52b08000, /* mov  w0, #0x84000000 */
	0x72800100, /* movk w0, #8		PSCI SYSTEM_OFF */
	0xd4000002, /* hvc  #0 */
};

struct cpu {
	struct {
		uint64_t id, value[2];
	} registers[512];
	unsigned int count;
	/* The feature was agreed; or the back end reports the new kind without having asked. */
	int preempts, rude;
	unsigned int steps, lost, called;
	uint64_t stored[4];
	unsigned int stores;
	struct xarch_frame frame;
};

/* Where a register lies in the frame, null if it does not. */
static uint64_t *in_frame(struct cpu *cpu, uint64_t id)
{
#ifdef FRAME
	uint32_t index = (uint32_t)id;

	switch (id >> 32) {
	case XARCH_BANK_GENERAL:
		return &cpu->frame.general[index];
	case XARCH_BANK_CORE:
		return index ? &cpu->frame.status : &cpu->frame.pc;
	case XARCH_BANK_SYSTEM:
		if (index == 0xdf19) /* the virtual timer's control */
			return &cpu->frame.timers[0];
		if (index == 0xdf11)
			return &cpu->frame.timers[1];
	}
#endif
	(void)cpu;
	(void)id;
	return NULL;
}

static struct xarch_frame *cpu_frame(void *vcpu)
{
	struct cpu *cpu = vcpu;

	cpu->frame.size = sizeof(cpu->frame);
#ifdef FRAME
	return &cpu->frame;
#else
	return NULL;
#endif
}

static uint64_t *reg(struct cpu *cpu, uint64_t id)
{
	if (in_frame(cpu, id))
		return in_frame(cpu, id);
	for (unsigned int n = 0; n < cpu->count; n++)
		if (cpu->registers[n].id == id)
			return cpu->registers[n].value;
	CHECK(cpu->count < 512);
	cpu->registers[cpu->count].id = id;
	return cpu->registers[cpu->count++].value;
}

static int32_t cpu_read(void *vcpu, uint64_t id, uint64_t *value)
{
	if (id >> 32 > XARCH_BANK_HOST_LIMIT)
		return XARCH_E_NOENT;
	CHECK(!in_frame(vcpu, id));
	memcpy(value, reg(vcpu, id), 16);
	return XARCH_OK;
}

static int32_t cpu_write(void *vcpu, uint64_t id, const uint64_t *value)
{
	if (id >> 32 >= XARCH_BANK_HOST_LIMIT)
		return id >> 32 == XARCH_BANK_HOST_LIMIT ? XARCH_E_PERM : XARCH_E_NOENT;
	CHECK(!in_frame(vcpu, id));
	memcpy(reg(vcpu, id), value, 16);
	return XARCH_OK;
}

static int32_t cpu_enter(void *vcpu, struct xarch_exit *why)
{
	struct cpu *cpu = vcpu;

	CHECK(why->size >= sizeof(*why) && why->kind == XARCH_EXIT_SPURIOUS && !why->code);
	for (;;) {
		uint64_t *pc = reg(cpu, XARCH_REG(XARCH_BANK_CORE, 0));
		uint64_t index = (pc[0] - CODE) / 4;
		uint32_t word, rt;
		uint64_t *x;

		CHECK(pc[0] >= CODE && index < sizeof(guest) / sizeof(guest[0]));
		if (++cpu->steps % SLICE == 0) {
			cpu->lost++;
			if (cpu->preempts || cpu->rude)
				why->kind = NEXT_EXIT_PREEMPTED;
			return XARCH_OK;
		}
		word = guest[index];
		rt = word & 31;
		x = reg(cpu, XARCH_REG(XARCH_BANK_GENERAL, rt));
		if ((word & 0x7f800000) == 0x52800000) { /* MOVZ */
			x[0] = (uint64_t)(word >> 5 & 0xffff) << 16 * (word >> 21 & 3);
		} else if ((word & 0x7f800000) == 0x72800000) { /* MOVK, lowest part */
			x[0] = (x[0] & ~UINT64_C(0xffff)) | (word >> 5 & 0xffff);
		} else if ((word & 0xffe0001f) == 0xd4000002) { /* HVC: goes on behind it */
			pc[0] += 4;
			why->kind = XARCH_EXIT_TRAP;
			why->syndrome = UINT64_C(0x5a000000) | (word >> 5 & 0xffff);
			return XARCH_OK;
		} else if ((word & 0xfff00000) == 0xd5300000) { /* MRS */
			if ((word & 0xffffffe0) == 0xd53800a0) { /* MPIDR_EL1 does not trap */
				x[0] = reg(cpu, XARCH_REG(XARCH_BANK_CONTROL, 0xe005))[0];
			} else {
				uint32_t op0 = 2 | (word >> 19 & 1), op1 = word >> 16 & 7;
				uint32_t crn = word >> 12 & 15, crm = word >> 8 & 15, op2 = word >> 5 & 7;

				why->kind = XARCH_EXIT_TRAP;
				why->syndrome = UINT64_C(0x62000001) | op0 << 20 | op2 << 17 | op1 << 14 |
						 crn << 10 | rt << 5 | crm << 1;
				return XARCH_OK;
			}
		} else { /* STR Wt, [Xn] */
			uint64_t *base = reg(cpu, XARCH_REG(XARCH_BANK_GENERAL, word >> 5 & 31));

			CHECK((word & 0xfffffc00) == 0xb9000000);
			why->kind = XARCH_EXIT_ACCESS;
			why->syndrome = UINT64_C(0x93800047) | rt << 16;
			why->fault_address = why->address = base[0];
			why->direction = XARCH_WRITE;
			why->cause = XARCH_CAUSE_NO_SLOT;
			why->size_log2 = XARCH_SIZE_UNKNOWN;
			return XARCH_OK;
		}
		pc[0] += 4;
	}
}

static int32_t device(void *context, uint32_t vcpu, struct xarch_access *access)
{
	struct cpu *cpu = context;

	CHECK(vcpu == 0 && access->address == DEVICE && access->bytes == 4 && cpu->stores < 4);
	CHECK(access->operation == XARCH_WRITE);
	cpu->stored[cpu->stores++] = access->value;
	return XARCH_OK;
}

#if HOST_IS_NEW
static void preempted(void *context, uint32_t vcpu)
{
	struct cpu *cpu = context;

	CHECK(vcpu == 0);
	cpu->called++;
}
#endif

static void *memory(const struct xarch_layout *layout)
{
	void *memory = aligned_alloc(4096, (layout->size + 4095) / 4096 * 4096);

	CHECK(memory && layout->align <= 4096);
	return memory;
}

int main(int argc, char **argv)
{
	const struct xarch_api *api = xarch_get_api(XARCH_ABI >> 16);
	int core_is_new = argc > 1 && !strcmp(argv[1], "new");
	int rude = argc > 2 && !strcmp(argv[2], "rude");
	int both = HOST_IS_NEW && core_is_new;
	static struct cpu cpu;
	struct xarch_backend_ops ops = {
		.size = sizeof(ops),
		.abi = XARCH_ABI,
		.enter = cpu_enter,
			.frame = cpu_frame,
		.read = cpu_read,
		.write = cpu_write,
	};
#if HOST_IS_NEW
	struct next_platform platform = { .preempted = preempted };
	struct next_vm_config config = { .preempted_limit = 2 };
	struct xarch_platform *base = &platform.base;
	struct xarch_vm_config *vm_config = &config.base;
	const uint64_t known = XARCH_FEATURE_DEVICE_LATER | NEXT_FEATURE_PREEMPTED;
	const uint32_t abi = NEXT_ABI;
#else
	struct xarch_platform platform = { 0 }, *base = &platform;
	struct xarch_vm_config config = { 0 }, *vm_config = &config;
	const uint64_t known = XARCH_FEATURE_DEVICE_LATER;
	const uint32_t abi = XARCH_ABI;
#endif
	struct xarch_backend_config backend_config = {
		.size = sizeof(backend_config),
		.abi = abi,
		.kind = XARCH_BACKEND_OPS,
		.vcpus = 1,
		.address_bits = 40,
		.platform = base,
		.context = &cpu,
		.ops = &ops,
	};
	struct xarch_guest_info info = { .size = sizeof(info) };
	struct xarch_outcome outcome = { .size = sizeof(outcome) };
	struct xarch_layout layout;
	struct xarch_backend *backend;
	struct xarch_vm *vm;
	struct xarch_vcpu *vcpu;
	uint64_t features, value[2];
	const uint64_t arguments[4] = { 0 };
	unsigned int interrupted = 0;
	unsigned long long bytes[3];

	CHECK(api && (api->abi > XARCH_ABI) == core_is_new);
	CHECK(!!(api->features & NEXT_FEATURE_PREEMPTED) == core_is_new);
	CHECK(api->guest_info(0, &info) == XARCH_OK);

	base->size = sizeof(platform);
	base->abi = abi;
	base->device = device;
	/* A longer table is no mistake: what the library does not know, it does not call. */
	CHECK(api->backend_layout(&backend_config, &layout) == XARCH_OK);
	bytes[0] = layout.size;
	CHECK(api->backend_create(&backend_config, memory(&layout), layout.size, &backend) == XARCH_OK);

	vm_config->size = sizeof(config);
	vm_config->abi = abi;
	vm_config->guest = info.id;
	vm_config->vcpus = 1;
	vm_config->features = known;
#if HOST_IS_NEW
	if (!core_is_new) {
		/* A setting that cannot be followed is refused; the host does without it. */
		CHECK(api->vm_layout(vm_config, &layout) == XARCH_E_2BIG);
		config.preempted_limit = 0;
	}
#endif
	CHECK(api->vm_layout(vm_config, &layout) == XARCH_OK);
	bytes[1] = layout.size;
	CHECK(api->vm_create(backend, vm_config, memory(&layout), layout.size, &vm) == XARCH_OK);
	CHECK(api->vm_features(vm, &features) == XARCH_OK);
	CHECK(features == (both ? known : XARCH_FEATURE_DEVICE_LATER));
	cpu.preempts = HOST_IS_NEW && (features & NEXT_FEATURE_PREEMPTED);
	cpu.rude = rude;

	CHECK(api->vcpu_layout(vm, &layout) == XARCH_OK);
	bytes[2] = layout.size;
	CHECK(api->vcpu_create(vm, 0, &cpu, memory(&layout), layout.size, &vcpu) == XARCH_OK);
	/* What the hardware offers: ID_AA64PFR0_EL1 with EL0 and EL1 in AArch64 only. */
	reg(&cpu, XARCH_REG(XARCH_BANK_HOST_LIMIT, 0xc020))[0] = 0x11;
	CHECK(api->vcpu_reset(vcpu) == XARCH_OK);
	CHECK(api->vcpu_boot(vcpu, CODE, arguments) == XARCH_OK);
	do {
		CHECK(api->vcpu_run(vcpu, &outcome) == XARCH_OK);
		interrupted += outcome.kind == XARCH_OUTCOME_INTERRUPTED;
	} while (outcome.kind == XARCH_OUTCOME_INTERRUPTED);
	CHECK(outcome.kind == XARCH_OUTCOME_STOPPED);
	if (rude && !both) {
		/* A kind that was not agreed stops the vCPU, and says which it was. */
		CHECK(outcome.reason == XARCH_STOP_UNKNOWN);
		CHECK(outcome.code == (0x80000000u | NEXT_EXIT_PREEMPTED));
		printf("%s host, %s core: refused\n", HOST_IS_NEW ? "new" : "old", argv[1]);
		return 0;
	}
	CHECK(outcome.reason == XARCH_STOP_POWER_OFF);
	CHECK(cpu.stores == 2 && cpu.stored[0] == 0x10001 && cpu.stored[1] == 0x80000000);
	CHECK((reg(&cpu, XARCH_REG(XARCH_BANK_GENERAL, 3))[0] & 0xffff) == 0x11);
	CHECK(cpu.lost > 2);
	CHECK(cpu.called == (both ? cpu.lost : 0));
	CHECK(interrupted == (both ? cpu.lost / 2 : 0));
	if (both) {
		CHECK(api->vcpu_get_register(vcpu, XARCH_REG(NEXT_BANK_STATISTICS, 0), value) == XARCH_OK);
		CHECK(value[0] == cpu.lost && value[1] == 0);
	} else if (!core_is_new) {
		CHECK(api->vcpu_get_register(vcpu, XARCH_REG(NEXT_BANK_STATISTICS, 0), value) ==
		      XARCH_E_NOENT);
	}
	CHECK(api->add_slot(backend, &(struct xarch_slot){ sizeof(struct xarch_slot), 0, CODE, 0, 4096 }) ==
	      XARCH_E_NOTSUP);
	CHECK(api->vcpu_destroy(vcpu) == XARCH_OK && api->vm_destroy(vm) == XARCH_OK);
	CHECK(api->backend_destroy(backend) == XARCH_OK);
	printf("%s host, %s core: guest ended, %u of %u losses told\n", HOST_IS_NEW ? "new" : "old",
	       argv[1], cpu.called, cpu.lost);
	printf("bytes: back end %llu, VM %llu, vCPU %llu\n", bytes[0], bytes[1], bytes[2]);
	return 0;
}
