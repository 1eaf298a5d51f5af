/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The smallest whole host: one vCPU on a back end in software, a device at 0x9000000, and a guest of
 * 22 instructions. It knows xarch.h and nothing else of the library.
 */
#include "xarch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RAM		UINT64_C(0x40000000)
#define RAM_BYTES	UINT64_C(0x200000)
#define TABLE_BYTES	UINT64_C(0x200000)
#define DEVICE		UINT64_C(0x9000000)
#define RESULTS		UINT64_C(0x1000)
#define POWER		XARCH_REG(XARCH_BANK_STATE, XARCH_STATE_POWER)
#define ERROR		XARCH_REG(XARCH_BANK_STATE, XARCH_STATE_ERROR)

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);             \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static const uint32_t guest[] = {
	0xd2a12001, /* mov  x1, #0x9000000	the device */
	0x52800de0, /* mov  w0, #'o' */
	0x39000020, /* strb w0, [x1] */
	0x52800d60, /* mov  w0, #'k' */
	0x39000020, /* strb w0, [x1] */
	0xb9400422, /* ldr  w2, [x1, #4]	answered later */
	0xd2a80004, /* mov  x4, #0x40000000 */
	0xf2820004, /* movk x4, #0x1000 */
	0xb9000082, /* str  w2, [x4] */
	0xd53800a3, /* mrs  x3, mpidr_el1 */
	0xf9000483, /* str  x3, [x4, #8] */
	0x52b08000, /* mov  w0, #0x84000000	PSCI_VERSION */
	0xd4000002, /* hvc  #0 */
	0xf9000880, /* str  x0, [x4, #16] */
	0xd2a00605, /* mov  x5, #0x300000	CPACR_EL1.FPEN */
	0xd5181045, /* msr  cpacr_el1, x5 */
	0xd5033fdf, /* isb */
	0x4e040c47, /* dup  v7.4s, w2 */
	0x52b08000, /* mov  w0, #0x84000000 */
	0x72800100, /* movk w0, #8		PSCI SYSTEM_OFF */
	0xd4000002, /* hvc  #0 */
	0x14000000, /* b    . */
};

struct host {
	const struct xarch_api *api;
	unsigned char *ram;
	struct xarch_backend *backend;
	struct xarch_vcpu *vcpu;
	char written[8];
	unsigned int writes, kicks, exits, maps;
	/* How deep inside spin_enter, and how often. */
	unsigned int spinning, spins;
};

static void host_spin_enter(void *context)
{
	struct host *host = context;

	CHECK(host->spinning == 0);
	host->spinning++;
	host->spins++;
}

static void host_spin_leave(void *context)
{
	struct host *host = context;

	CHECK(host->spinning == 1);
	host->spinning--;
}

static uint64_t host_clock(void *context)
{
	struct timespec now;

	(void)context;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int32_t host_slot(void *context, uint64_t address, struct xarch_slot *slot)
{
	CHECK(((struct host *)context)->spinning == 0);
	if (address < RAM || address - RAM >= RAM_BYTES)
		return XARCH_E_NOENT;
	slot->guest = RAM;
	slot->host = TABLE_BYTES;
	slot->bytes = RAM_BYTES;
	return XARCH_OK;
}

static int32_t host_device(void *context, uint32_t vcpu, struct xarch_access *access)
{
	struct host *host = context;
	struct xarch_outcome outcome = { .size = sizeof(outcome) };
	uint64_t value[2];

	CHECK(vcpu == 0 && host->spinning == 0);
	/* The vCPU is in use; what may be called from any context may be called from here. */
	CHECK(host->api->vcpu_get_register(host->vcpu, XARCH_REG(XARCH_BANK_CORE, 0), value) == XARCH_E_BUSY);
	CHECK(host->api->vcpu_run(host->vcpu, &outcome) == XARCH_E_BUSY);
	CHECK(host->api->vcpu_destroy(host->vcpu) == XARCH_E_BUSY);
	CHECK(host->api->backend_destroy(host->backend) == XARCH_E_BUSY);
	CHECK(host->api->request_exit(host->backend, 1) == XARCH_E_NOENT);
	if (access->address == DEVICE && access->operation == XARCH_WRITE) {
		CHECK(access->bytes == 1 && host->writes < 7);
		host->written[host->writes++] = (char)access->value;
		return XARCH_OK;
	}
	return access->address == DEVICE + 4 ? XARCH_E_AGAIN : XARCH_E_NODEV;
}

static void host_kick(void *context, uint32_t vcpu)
{
	struct host *host = context;

	host->kicks++;
	CHECK(host->spinning == 0);
	CHECK(host->api->request_exit(host->backend, vcpu) == XARCH_OK);
}

static void host_trace(void *context, uint32_t vcpu, const struct xarch_trace *event)
{
	struct host *host = context;

	CHECK(vcpu == 0 && event->size >= sizeof(*event) && host->spinning == 0);
	if (event->kind == XARCH_TRACE_EXIT)
		host->exits++;
	else if (event->kind == XARCH_TRACE_MAPPED)
		host->maps++;
}

static void note_dirty(void *argument, uint64_t page)
{
	uint64_t *pages = argument;

	CHECK(page >= RAM && page < RAM + RAM_BYTES && (page & 0xfff) == 0);
	pages[0]++;
	pages[1] = page;
}

/* What the guest stored, which is little-endian as its memory is. */
static uint64_t result(const struct host *host, unsigned int index)
{
	uint64_t value = 0;

	for (int byte = 7; byte >= 0; byte--)
		value = value << 8 | host->ram[RESULTS + 8 * index + (unsigned int)byte];
	return value;
}

static void *memory(const struct xarch_layout *layout)
{
	uint64_t align = layout->align < sizeof(void *) ? sizeof(void *) : layout->align;
	void *memory = aligned_alloc(align, (layout->size + align - 1) / align * align);

	CHECK(memory);
	/* Nothing may depend on what was there. */
	memset(memory, 0xa5, layout->size);
	return memory;
}

int main(void)
{
	const struct xarch_api *api = xarch_get_api(XARCH_ABI >> 16);
	struct host host = { 0 };
	struct xarch_backend_info info = { .size = sizeof(info) };
	struct xarch_outcome outcome = { .size = sizeof(outcome) };
	struct xarch_layout layout;
	struct xarch_vm *vm, *second;
	struct xarch_vcpu *vcpu, *twin;
	void *vcpu_memory, *vm_memory, *backend_memory;
	unsigned char *storage;
	uint64_t value[2], features, bytes[3], dirty[2] = { 0, 0 };
	static uint64_t ids[512], saved[512];
	uint32_t count = 0, owned = 0;
	/* No structure and no number can lie there. */
	void *odd = (char *)ids + 1;

	CHECK(api && api->size >= sizeof(*api) && api->abi >> 16 == XARCH_ABI >> 16);
	CHECK(!xarch_get_api(0) && !xarch_get_api((XARCH_ABI >> 16) + 1));
	host.api = api;

	/* A back end in software, by what it can do. */
	for (uint32_t index = 0; !(info.flags & XARCH_BACKEND_SOFTWARE); index++)
		CHECK(api->backend_info(index, &info) == XARCH_OK);
	CHECK(memchr(info.name, 0, sizeof(info.name)));

	storage = aligned_alloc(4096, TABLE_BYTES + RAM_BYTES);
	CHECK(storage);
	memset(storage, 0, TABLE_BYTES + RAM_BYTES);
	host.ram = storage + TABLE_BYTES;
	for (unsigned int n = 0; n < sizeof(guest) / sizeof(guest[0]); n++)
		for (unsigned int byte = 0; byte < 4; byte++)
			host.ram[4 * n + byte] = (unsigned char)(guest[n] >> (8 * byte));

	{
		struct xarch_platform platform = {
			.size = sizeof(platform),
			.abi = XARCH_ABI,
			.clock = host_clock,
			.slot = host_slot,
			.device = host_device,
			.kick = host_kick,
			.trace = host_trace,
			.spin_enter = host_spin_enter,
		};
		/* Without what it takes to enter a guest. */
		struct xarch_backend_ops ops = { .size = sizeof(ops), .abi = XARCH_ABI };
		struct xarch_backend_config config = {
			.size = sizeof(config),
			.abi = XARCH_ABI,
			.kind = info.kind,
			.vcpus = 1,
			.address_bits = 40,
			.platform = &platform,
			.context = &host,
			.storage = storage,
			.storage_bytes = TABLE_BYTES + RAM_BYTES,
			.table_bytes = TABLE_BYTES,
			.code_bytes = 65536,
		};

		/* A back end of the caller's has to be one. */
		config.kind = XARCH_BACKEND_OPS;
		config.storage = NULL;
		CHECK(api->backend_layout(&config, &layout) == XARCH_E_INVAL);
		config.ops = &ops;
		CHECK(api->backend_layout(&config, &layout) == XARCH_E_INVAL);
		config.ops = NULL;
		config.kind = info.kind;
		config.storage = storage;
		/* Of a pair, both or none. */
		CHECK(api->backend_layout(&config, &layout) == XARCH_E_INVAL);
		platform.spin_leave = host_spin_leave;
		config.vcpus = info.vcpus + 1;
		CHECK(api->backend_layout(&config, &layout) == XARCH_E_INVAL);
		config.vcpus = info.vcpus;
		CHECK(info.vcpus >= 64 && api->backend_layout(&config, &layout) == XARCH_OK);
		config.vcpus = 1;
		CHECK(api->backend_layout(&config, &layout) == XARCH_OK);
		bytes[0] = layout.size;
		backend_memory = memory(&layout);
		CHECK(api->backend_create(&config, backend_memory, layout.size - 1, &host.backend) ==
		      XARCH_E_NOMEM);
		CHECK(api->backend_create(&config, (char *)backend_memory + 1, layout.size,
					  &host.backend) == XARCH_E_INVAL);
		CHECK(api->backend_create(&config, backend_memory, layout.size, &host.backend) ==
		      XARCH_OK);
		/* The library has copied what it needs. */
		memset(&platform, 0, sizeof(platform));
		memset(&config, 0, sizeof(config));
	}
	{
		struct xarch_slot slot = { sizeof(slot), 0, RAM, TABLE_BYTES, RAM_BYTES };

		CHECK(api->add_slot(host.backend, &slot) == XARCH_OK);
		CHECK(api->add_slot(host.backend, &slot) == XARCH_E_EXIST);
		slot.guest = RAM + RAM_BYTES + 1;
		CHECK(api->add_slot(host.backend, &slot) == XARCH_E_INVAL);
		slot.guest = UINT64_C(1) << 40;
		CHECK(api->add_slot(host.backend, &slot) == XARCH_E_RANGE);
	}
	{
		struct xarch_vm_config config = {
			.size = sizeof(config),
			.abi = XARCH_ABI,
			.guest = info.guest,
			.vcpus = 1,
			/* One that is there and one that will never be. */
			.features = XARCH_FEATURE_DEVICE_LATER | UINT64_C(1) << 63,
		};

		CHECK(api->vm_layout(&config, &layout) == XARCH_OK);
		bytes[1] = layout.size;
		vm_memory = memory(&layout);
		CHECK(api->vm_create(host.backend, &config, vm_memory, layout.size, &vm) == XARCH_OK);
		CHECK(api->vm_create(host.backend, &config, vm_memory, layout.size, &second) ==
		      XARCH_E_BUSY);
	}
	CHECK(api->vm_features(vm, &features) == XARCH_OK);
	CHECK(features == XARCH_FEATURE_DEVICE_LATER);

	CHECK(api->vcpu_layout(vm, &layout) == XARCH_OK);
	bytes[2] = layout.size;
	vcpu_memory = memory(&layout);
	CHECK(api->vcpu_create(vm, 1, NULL, vcpu_memory, layout.size, &vcpu) == XARCH_E_NOENT);
	CHECK(api->vcpu_create(vm, 0, NULL, vcpu_memory, layout.size, &vcpu) == XARCH_OK);
	CHECK(api->vcpu_create(vm, 0, NULL, vcpu_memory, layout.size, &twin) == XARCH_E_EXIST);
	CHECK(api->vm_destroy(vm) == XARCH_E_BUSY && api->backend_destroy(host.backend) == XARCH_E_BUSY);
	host.vcpu = vcpu;
	CHECK(api->vcpu_run(vcpu, NULL) == XARCH_E_INVAL && api->vcpu_run(NULL, &outcome) == XARCH_E_INVAL);
	CHECK(api->vcpu_boot(vcpu, RAM, NULL) == XARCH_E_INVAL && api->add_slot(NULL, NULL) == XARCH_E_INVAL);
	CHECK(api->vm_features(vm, NULL) == XARCH_E_INVAL && api->vm_features(vm, odd) == XARCH_E_INVAL);
	CHECK(api->vcpu_layout(vm, odd) == XARCH_E_INVAL && api->vcpu_layout(odd, &layout) == XARCH_E_INVAL);
	CHECK(api->vcpu_create(vm, 0, NULL, vcpu_memory, layout.size, odd) == XARCH_E_INVAL);
	CHECK(api->vcpu_run(vcpu, odd) == XARCH_E_INVAL && api->vcpu_boot(vcpu, RAM, odd) == XARCH_E_INVAL);
	CHECK(api->vcpu_set_register(vcpu, 0, odd) == XARCH_E_INVAL);
	CHECK(api->vcpu_list_registers(vcpu, odd, &count) == XARCH_E_INVAL);
	CHECK(api->vcpu_list_registers(vcpu, ids, odd) == XARCH_E_INVAL);
	outcome.size = 8;
	CHECK(api->vcpu_run(vcpu, &outcome) == XARCH_E_INVAL);
	outcome.size = 0x80000000;
	CHECK(api->vcpu_run(vcpu, &outcome) == XARCH_E_2BIG);
	outcome.size = sizeof(outcome);
	CHECK(api->vcpu_reset(vcpu) == XARCH_OK);
	CHECK(api->vcpu_boot(vcpu, RAM, (const uint64_t[4]){ 7, 0, 0, 0 }) == XARCH_OK);
	CHECK(api->vcpu_get_register(vcpu, XARCH_REG(XARCH_BANK_GENERAL, 0), value) == XARCH_OK);
	CHECK(value[0] == 7 && value[1] == 0);

	/* A request that comes before the run ends it at once. */
	CHECK(api->request_exit(host.backend, 0) == XARCH_OK);
	CHECK(api->vcpu_run(vcpu, &outcome) == XARCH_OK);
	CHECK(outcome.kind == XARCH_OUTCOME_INTERRUPTED && host.writes == 0);

	/* Two stores to the device, then a load that it does not answer yet. */
	CHECK(api->vcpu_run(vcpu, &outcome) == XARCH_OK);
	CHECK(outcome.kind == XARCH_OUTCOME_DEVICE && outcome.operation == XARCH_READ);
	CHECK(outcome.address == DEVICE + 4 && outcome.bytes == 4);
	CHECK(!strcmp(host.written, "ok"));
	CHECK(api->vcpu_complete(vcpu, outcome.token + 1, XARCH_OK, 0) == XARCH_E_NOENT);
	CHECK(api->vcpu_complete(vcpu, outcome.token, XARCH_OK, 0xc0ffee) == XARCH_OK);
	CHECK(api->vcpu_complete(vcpu, outcome.token, XARCH_OK, 0) == XARCH_E_NOENT);

	CHECK(api->protect(host.backend, RAM, RAM_BYTES) == XARCH_OK);
	CHECK(api->vcpu_run(vcpu, &outcome) == XARCH_OK);
	CHECK(outcome.kind == XARCH_OUTCOME_STOPPED && outcome.reason == XARCH_STOP_POWER_OFF);
	CHECK(result(&host, 0) == 0xc0ffee);
	CHECK(result(&host, 1) == 0x80000000); /* vCPU 0; bit 31 is RES1 */
	CHECK(result(&host, 2) == 0x10001);    /* PSCI 1.1 */
	CHECK(host.exits > 0 && host.maps > 0);
	CHECK(api->collect_dirty(host.backend, RAM, RAM_BYTES, note_dirty, dirty) == XARCH_OK);
	CHECK(dirty[0] == 1 && dirty[1] == RAM + RESULTS);
	CHECK(api->age(host.backend, RAM, RAM_BYTES) == 1);
	CHECK(api->age(host.backend, RAM, RAM_BYTES) == 0);

	/* State, by id: 128 bits too; what is not there is said. */
	CHECK(api->vcpu_get_register(vcpu, XARCH_REG(XARCH_BANK_VECTOR, 7), value) == XARCH_OK);
	CHECK(value[0] == UINT64_C(0x00c0ffee00c0ffee) && value[1] == value[0]);
	value[1] = 5;
	CHECK(api->vcpu_set_register(vcpu, XARCH_REG(XARCH_BANK_VECTOR, 7), value) == XARCH_OK);
	value[1] = 0;
	CHECK(api->vcpu_get_register(vcpu, XARCH_REG(XARCH_BANK_VECTOR, 7), value) == XARCH_OK);
	CHECK(value[1] == 5);
	CHECK(api->vcpu_get_register(vcpu, XARCH_REG(0x7fff, 0), value) == XARCH_E_NOENT);
	CHECK(api->vcpu_get_register(vcpu, UINT64_C(1) << 48, value) == XARCH_E_NOENT);
	count = 1;
	CHECK(api->vcpu_list_registers(vcpu, ids, &count) == XARCH_E_2BIG);
	CHECK(count > 100 && count <= 512);
	CHECK(api->vcpu_list_registers(vcpu, ids, &count) == XARCH_OK);
	for (uint32_t n = 0; n < count; n++) {
		CHECK(api->vcpu_get_register(vcpu, ids[n], value) == XARCH_OK);
		CHECK(api->vcpu_set_register(vcpu, ids[n], value) == XARCH_OK);
		owned += ids[n] >> 32 == XARCH_BANK_CONTROLLER || ids[n] >> 32 == XARCH_BANK_LINES;
	}
	CHECK(owned > 10);

	/* What is no register of the guest's: power, and an error on its way. */
	CHECK(api->vcpu_get_register(vcpu, POWER, value) == XARCH_OK && value[0] == 1);
	CHECK(api->vcpu_set_register(vcpu, POWER, (const uint64_t[2]){ 2 }) == XARCH_E_INVAL);
	CHECK(api->vcpu_set_register(vcpu, POWER, (const uint64_t[2]){ 0 }) == XARCH_OK);
	CHECK(api->vcpu_run(vcpu, &outcome) == XARCH_OK && outcome.kind == XARCH_OUTCOME_WAIT);
	CHECK(outcome.deadline_ns == XARCH_NO_DEADLINE);
	CHECK(api->vcpu_get_register(vcpu, POWER, value) == XARCH_OK && value[0] == 0);
	CHECK(api->vcpu_get_register(vcpu, ERROR, value) == XARCH_OK && value[0] == 0);
	value[0] = 1;
	CHECK(api->vcpu_set_register(vcpu, ERROR, value) == XARCH_E_INVAL);
	value[0] = UINT64_C(1) << 63 | 0x2a;
	CHECK(api->vcpu_set_register(vcpu, ERROR, value) == XARCH_OK);
	CHECK(api->vcpu_get_register(vcpu, ERROR, value) == XARCH_OK);
	CHECK(value[0] >> 63 == 1);
	value[0] = 0;
	CHECK(api->vcpu_set_register(vcpu, ERROR, value) == XARCH_OK);
	CHECK(api->vcpu_get_register(vcpu, ERROR, value) == XARCH_OK && value[0] == 0);

	{
		struct xarch_irq irq = { sizeof(irq), XARCH_IRQ_SHARED, XARCH_IRQ_HIGH, 33, 0, 0 };

		CHECK(api->vm_set_irq(vm, &irq) == XARCH_OK);
		/* Lines of interrupts 32 to 63. */
		CHECK(api->vm_get_register(vm, XARCH_REG(XARCH_BANK_LINES, 32), value) == XARCH_OK);
		CHECK(value[0] == 2 && value[1] == 0);
		irq.number = 5000;
		CHECK(api->vm_set_irq(vm, &irq) == XARCH_E_NOENT);
		irq.number = 33;
		irq.action = 77;
		CHECK(api->vm_set_irq(vm, &irq) == XARCH_E_NOTSUP);
		irq.action = XARCH_IRQ_PULSE;
		irq.kind = XARCH_IRQ_PRIVATE;
		irq.number = 20;
		CHECK(api->vm_set_irq(vm, &irq) == XARCH_E_INVAL);
		irq.size = 4;
		CHECK(api->vm_set_irq(vm, &irq) == XARCH_E_INVAL);
	}
	/* What all vCPUs share has a list of its own. */
	count = 0;
	CHECK(api->vm_list_registers(vm, NULL, &count) == XARCH_E_2BIG && count <= 512);
	CHECK(api->vm_list_registers(vm, ids, &count) == XARCH_OK && count > 256);
	for (uint32_t n = 0; n < count; n++) {
		CHECK(api->vm_get_register(vm, ids[n], value) == XARCH_OK);
		CHECK(api->vm_set_register(vm, ids[n], value) == XARCH_OK);
		saved[n] = value[0];
	}
	/* The register at offset 0x420 has the priorities of interrupts 32 to 35, five bits each. */
	value[0] = 0x60a04080;
	CHECK(api->vm_set_register(vm, XARCH_REG(XARCH_BANK_CONTROLLER, 0x420), value) == XARCH_OK);
	CHECK(api->vm_get_register(vm, XARCH_REG(XARCH_BANK_CONTROLLER, 0x420), value) == XARCH_OK);
	CHECK(value[0] == 0x60a04080);
	for (uint32_t n = 0; n < count; n++) {
		value[0] = saved[n];
		CHECK(api->vm_set_register(vm, ids[n], value) == XARCH_OK);
	}
	CHECK(api->vm_get_register(vm, XARCH_REG(XARCH_BANK_CONTROLLER, 0x420), value) == XARCH_OK);
	CHECK(value[0] == 0);
	CHECK(api->vm_get_register(vm, XARCH_REG(XARCH_BANK_CONTROLLER, 1), value) == XARCH_E_NOENT);
	CHECK(api->vm_get_register(vm, XARCH_REG(XARCH_BANK_GENERAL, 0), value) == XARCH_E_NOENT);
	value[1] = 1;
	CHECK(api->vm_set_register(vm, XARCH_REG(XARCH_BANK_LINES, 32), value) == XARCH_E_INVAL);
	CHECK(host.spins > 0 && host.spinning == 0);

	CHECK(api->remove_slot(host.backend, RAM, 4096) == XARCH_E_NOENT);
	CHECK(api->unmap(host.backend, RAM, RAM_BYTES) == XARCH_OK);
	CHECK(api->remove_slot(host.backend, RAM, RAM_BYTES) == XARCH_OK);
	CHECK(api->vcpu_destroy(vcpu) == XARCH_OK);
	CHECK(api->vcpu_create(vm, 0, NULL, vcpu_memory, layout.size, &vcpu) == XARCH_OK);
	CHECK(api->vcpu_destroy(vcpu) == XARCH_OK);
	CHECK(api->vm_destroy(vm) == XARCH_OK && api->backend_destroy(host.backend) == XARCH_OK);

	printf("guest ended: device got \"%s\", %u exits\n", host.written, host.exits);
	printf("bytes: back end %llu, VM %llu, vCPU %llu\n", (unsigned long long)bytes[0],
	       (unsigned long long)bytes[1], (unsigned long long)bytes[2]);
	free(vcpu_memory);
	free(vm_memory);
	free(backend_memory);
	free(storage);
	return 0;
}
