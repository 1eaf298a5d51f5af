/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the core does between an exit and the next entry, through the C table: exit KIND COUNT
 * [ROUNDS]. The twin of src/main.rs: the same exits, the same registers, in the same places. With
 * `called` behind the kind the registers have no frame and go by read and write.
 */
#include "xarch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CODE		UINT64_C(0x40000000)
#define DEVICE		UINT64_C(0x9000000)
#define VIRTUAL_TIMER	0xdf19
#define PHYSICAL_TIMER	0xdf11
#define SYSTEM_CONTROL	0xc080
#define MOST		512

struct machine {
	struct xarch_frame frame;
	/* Which byte order a device access has is asked of it. */
	uint64_t system_control;
	/* Registers that are not in the frame, in the order in which they were first written. */
	struct {
		uint64_t id, value[2];
	} others[MOST];
	unsigned int count;
	/* What is reported, in turn, and how often still. */
	struct xarch_exit exits[8];
	unsigned int kinds, next;
	uint64_t left;
};

static int use_frame = 1;

static uint64_t *place(struct machine *machine, uint64_t id)
{
	uint32_t index = (uint32_t)id;

	switch (id >> 32) {
	case XARCH_BANK_GENERAL:
		return &machine->frame.general[index & 31];
	case XARCH_BANK_CORE:
		return index ? &machine->frame.status : &machine->frame.pc;
	case XARCH_BANK_SYSTEM:
		if (index == VIRTUAL_TIMER)
			return &machine->frame.timers[0];
		if (index == PHYSICAL_TIMER)
			return &machine->frame.timers[1];
		if (index == SYSTEM_CONTROL)
			return &machine->system_control;
	}
	return NULL;
}

static int32_t machine_read(void *vcpu, uint64_t id, uint64_t *value)
{
	struct machine *machine = vcpu;
	uint64_t *at = place(machine, id);

	value[1] = 0;
	if (at) {
		value[0] = *at;
		return XARCH_OK;
	}
	if (id >> 32 > XARCH_BANK_HOST_LIMIT)
		return XARCH_E_NOENT;
	for (unsigned int n = 0; n < machine->count; n++)
		if (machine->others[n].id == id) {
			memcpy(value, machine->others[n].value, sizeof(machine->others[n].value));
			return XARCH_OK;
		}
	value[0] = id >> 32 == XARCH_BANK_HOST_LIMIT ? 0x1111 : 0;
	return XARCH_OK;
}

static int32_t machine_write(void *vcpu, uint64_t id, const uint64_t *value)
{
	struct machine *machine = vcpu;
	uint64_t *at = place(machine, id);
	unsigned int n;

	if (at) {
		*at = value[0];
		return XARCH_OK;
	}
	for (n = 0; n < machine->count; n++)
		if (machine->others[n].id == id)
			break;
	if (n == MOST)
		return XARCH_E_IO;
	machine->count += n == machine->count;
	machine->others[n].id = id;
	memcpy(machine->others[n].value, value, sizeof(machine->others[n].value));
	return XARCH_OK;
}

static struct xarch_frame *machine_frame(void *vcpu)
{
	struct machine *machine = vcpu;

	machine->frame.size = sizeof(machine->frame);
	return use_frame ? &machine->frame : NULL;
}

static int32_t machine_enter(void *vcpu, struct xarch_exit *why)
{
	struct machine *machine = vcpu;
	const struct xarch_exit *exit = &machine->exits[machine->next];

	if (machine->left-- == 0) {
		why->kind = XARCH_EXIT_STOP;
		return XARCH_OK;
	}
	machine->next = machine->next + 1 == machine->kinds ? 0 : machine->next + 1;
	machine->frame.pc = CODE;
	/* PSCI_VERSION: the answer goes where the question was. */
	machine->frame.general[0] = 0x84000000;
	*why = *exit;
	return XARCH_OK;
}

static int32_t device(void *context, uint32_t vcpu, struct xarch_access *access)
{
	(void)context;
	(void)vcpu;
	access->value = access->address;
	return XARCH_OK;
}

static void *memory(const struct xarch_layout *layout)
{
	void *memory = aligned_alloc(4096, (layout->size + 4095) / 4096 * 4096);

	if (!memory)
		exit(1);
	return memory;
}

/* What callgrind counts. */
__attribute__((noinline)) static int run_loop(const struct xarch_api *api, struct xarch_vcpu *vcpu)
{
	struct xarch_outcome outcome = { .size = sizeof(outcome) };

	return api->vcpu_run(vcpu, &outcome) == XARCH_OK && outcome.kind == XARCH_OUTCOME_STOPPED &&
	       outcome.reason == XARCH_STOP_HOST;
}

static void describe(struct machine *machine, const char *kind)
{
	/* op0, op2, op1, CRn, CRm of what is read, where the syndrome has them. */
	static const struct {
		unsigned int crm, op2;
	} read[] = { { 4, 0 }, { 7, 0 }, { 6, 0 }, { 5, 0 }, { 6, 1 }, { 7, 2 } };
	struct xarch_exit exit = {
		.size = sizeof(exit),
		.direction = XARCH_DIRECTION_UNKNOWN,
		.size_log2 = XARCH_SIZE_UNKNOWN,
		.walk_level = XARCH_WALK_LEVEL_UNKNOWN,
	};

	machine->kinds = 1;
	if (!strcmp(kind, "id")) {
		machine->kinds = sizeof(read) / sizeof(read[0]);
		exit.kind = XARCH_EXIT_TRAP;
		for (unsigned int n = 0; n < machine->kinds; n++) {
			exit.syndrome = UINT64_C(0x62300061) | (uint64_t)read[n].op2 << 17 |
					(uint64_t)read[n].crm << 1;
			machine->exits[n] = exit;
		}
		return;
	}
	if (!strcmp(kind, "psci")) {
		exit.kind = XARCH_EXIT_TRAP;
		exit.syndrome = 0x5a000000;
	} else if (!strcmp(kind, "mmio")) {
		exit.kind = XARCH_EXIT_ACCESS;
		exit.cause = XARCH_CAUSE_NO_SLOT;
		exit.direction = XARCH_READ;
		exit.syndrome = 0x93838007;
		exit.address = exit.fault_address = DEVICE;
	} else if (strcmp(kind, "spurious")) {
		fprintf(stderr, "id, psci, mmio or spurious\n");
		_Exit(2);
	}
	machine->exits[0] = exit;
}

int main(int argc, char **argv)
{
	const struct xarch_api *api = xarch_get_api(XARCH_ABI >> 16);
	static struct machine machine;
	const char *kind = argc > 1 ? argv[1] : "";
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	unsigned int rounds = argc > 3 ? (unsigned int)atoi(argv[3]) : 1;
	struct xarch_platform platform = { .size = sizeof(platform), .abi = XARCH_ABI, .device = device };
	struct xarch_backend_ops ops = {
		.size = sizeof(ops),
		.abi = XARCH_ABI,
		.enter = machine_enter,
		.read = machine_read,
		.write = machine_write,
		.frame = machine_frame,
	};
	struct xarch_backend_config config = {
		.size = sizeof(config),
		.abi = XARCH_ABI,
		.kind = XARCH_BACKEND_OPS,
		.vcpus = 1,
		.address_bits = 40,
		.platform = &platform,
		.ops = &ops,
	};
	struct xarch_vm_config vm_config = { .size = sizeof(vm_config), .abi = XARCH_ABI, .vcpus = 1 };
	struct xarch_guest_info guest = { .size = sizeof(guest) };
	struct xarch_backend *backend;
	struct xarch_vm *vm;
	struct xarch_vcpu *vcpu;
	struct xarch_layout layout;
	double best = 1e30;

	use_frame = !(argc > 4 && !strcmp(argv[4], "called"));
	if (!api || api->guest_info(0, &guest))
		return 1;
	vm_config.guest = guest.id;
	if (api->backend_layout(&config, &layout) ||
	    api->backend_create(&config, memory(&layout), layout.size, &backend) ||
	    api->vm_layout(&vm_config, &layout) ||
	    api->vm_create(backend, &vm_config, memory(&layout), layout.size, &vm) ||
	    api->vcpu_layout(vm, &layout) ||
	    api->vcpu_create(vm, 0, &machine, memory(&layout), layout.size, &vcpu) ||
	    api->vcpu_reset(vcpu) || api->vcpu_boot(vcpu, CODE, (const uint64_t[4]){ 0 }))
		return 1;
	describe(&machine, kind);
	for (unsigned int round = 0; round < rounds; round++) {
		struct timespec from, to;
		double took;

		machine.left = count;
		clock_gettime(CLOCK_MONOTONIC, &from);
		if (!run_loop(api, vcpu))
			return 1;
		clock_gettime(CLOCK_MONOTONIC, &to);
		took = ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) /
		       (double)count;
		best = took < best ? took : best;
	}
	printf("%s %.3f ns %llu\n", kind, best, (unsigned long long)machine.frame.general[3]);
	return 0;
}
