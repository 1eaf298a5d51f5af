/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A VM that is kept and goes on in another one: runs the guest of kept.S to its end, then once more, and takes it apart on
 * the way as xarch_uapi.h says, each time into a VM of its own. Both have to say the same. Ends with "save: ..., the same"
 * and status 0.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../xarch_uapi.h"

#define RAM		UINT64_C(0x40000000)
#define RAM_BYTES	(1UL << 20)
#define UART		UINT64_C(0x9000000)
#define PC		UINT64_C(0x6030000000100040)
#define ID_SIZE(id)	((size_t)1 << ((id) >> 52 & 15))
#define VCPUS		2
#define MOST		4096
/* Seconds without a character. */
#define PATIENCE	15

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("save: %s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__,         \
			       #condition, errno);                                                 \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* What is kept of a vCPU, or of what all of them share. */
struct kept {
	uint64_t count;
	uint64_t ids[MOST];
	uint8_t values[MOST][16];
};

struct machine {
	uint8_t *ram;
	int vm, vcpu[VCPUS];
	struct xarch_run *run[VCPUS];
	/* Everybody leaves: at this many characters, or by request. */
	size_t until;
	volatile int stop, ended;
	/* How late the second vCPU is, in microseconds: what others want of it meanwhile has to be kept. */
	unsigned int late;
};

struct runner {
	pthread_t thread;
	struct machine *machine;
	int index;
};

static int device;
static struct kept kept[VCPUS + 1];
static char said[1 << 16];
static size_t length;

static void make(struct machine *machine)
{
	struct xarch_create_vm config = { .vcpus = VCPUS };
	struct xarch_region region = { .guest_address = RAM, .bytes = RAM_BYTES };

	memset(machine, 0, sizeof(*machine));
	machine->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(machine->ram != MAP_FAILED);
	machine->vm = ioctl(device, XARCH_CREATE_VM, &config);
	CHECK(machine->vm >= 0);
	region.user_address = (uintptr_t)machine->ram;
	CHECK(!ioctl(machine->vm, XARCH_SET_REGION, &region));
	for (int n = 0; n < VCPUS; n++) {
		struct xarch_vcpu_init init;

		machine->vcpu[n] = ioctl(machine->vm, XARCH_CREATE_VCPU, n);
		CHECK(machine->vcpu[n] >= 0);
		CHECK(!ioctl(machine->vm, XARCH_PREFERRED_TARGET, &init));
		CHECK(!ioctl(machine->vcpu[n], XARCH_VCPU_INIT, &init));
		machine->run[n] = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, machine->vcpu[n], 0);
		CHECK(machine->run[n] != MAP_FAILED);
	}
}

static void drop(struct machine *machine)
{
	for (int n = 0; n < VCPUS; n++)
		CHECK(!munmap(machine->run[n], getpagesize()) && !close(machine->vcpu[n]));
	CHECK(!close(machine->vm) && !munmap(machine->ram, RAM_BYTES));
}

static void everybody_leaves(struct machine *machine)
{
	machine->stop = 1;
	for (int n = 0; n < VCPUS; n++)
		CHECK(!ioctl(machine->vm, XARCH_INTERRUPT_VCPU, n));
}

static void *run(void *argument)
{
	struct runner *runner = argument;
	struct machine *machine = runner->machine;
	struct xarch_run *page = machine->run[runner->index];

	if (runner->index)
		usleep(machine->late);
	for (;;) {
		/* An access that was answered is completed, and nothing else done. */
		page->immediate_exit = machine->stop;
		if (ioctl(machine->vcpu[runner->index], XARCH_RUN, 0)) {
			CHECK(errno == EINTR);
			if (page->immediate_exit)
				return NULL;
			continue;
		}
		if (page->exit_reason == XARCH_EXIT_REASON_SYSTEM_EVENT) {
			CHECK(page->system_event.type == XARCH_SYSTEM_EVENT_SHUTDOWN);
			machine->ended = 1;
			everybody_leaves(machine);
			return NULL;
		}
		CHECK(page->exit_reason == XARCH_EXIT_REASON_MMIO && page->mmio.is_write && page->mmio.address == UART);
		CHECK(length < sizeof(said));
		said[length++] = page->mmio.data[0];
		if (length == machine->until)
			everybody_leaves(machine);
	}
}

static void get(int file, struct kept *kept);

/* What state a guest is in that does not go on: vCPUs are asked to leave, which they do whatever the guest does. */
static void tell(struct machine *machine)
{
	everybody_leaves(machine);
	sleep(2);
	for (int n = 0; n < VCPUS; n++) {
		get(machine->vcpu[n], &kept[n]);
		for (uint64_t at = 0; at < kept[n].count; at++) {
			uint64_t value;

			memcpy(&value, kept[n].values[at], sizeof(value));
			if (value)
				printf("save: vCPU %d: %#llx is %#llx\n", n, (unsigned long long)kept[n].ids[at],
				       (unsigned long long)value);
		}
	}
}

static void join(struct machine *machine, pthread_t thread)
{
	time_t since = time(NULL);
	size_t before = length;

	while (pthread_tryjoin_np(thread, NULL)) {
		usleep(1000);
		if (length != before) {
			before = length;
			since = time(NULL);
		}
		if (time(NULL) - since > PATIENCE) {
			printf("save: nothing said for %d s after %zu characters\n", PATIENCE, length);
			tell(machine);
			exit(1);
		}
	}
}

/* Runs all vCPUs until the guest has ended or said so much, or so many microseconds. */
static int run_all(struct machine *machine, size_t until, unsigned int microseconds)
{
	struct runner runners[VCPUS];

	machine->until = until;
	machine->stop = 0;
	for (int n = 0; n < VCPUS; n++) {
		runners[n] = (struct runner){ .machine = machine, .index = n };
		CHECK(!pthread_create(&runners[n].thread, NULL, run, &runners[n]));
	}
	if (microseconds) {
		usleep(microseconds);
		everybody_leaves(machine);
	}
	for (int n = 0; n < VCPUS; n++)
		join(machine, runners[n].thread);
	return machine->ended;
}

static void get(int file, struct kept *kept)
{
	kept->count = MOST;
	CHECK(!ioctl(file, XARCH_GET_REG_LIST, kept));
	for (uint64_t n = 0; n < kept->count; n++) {
		struct xarch_one_reg reg = { kept->ids[n], (uintptr_t)kept->values[n] };

		CHECK(ID_SIZE(reg.id) <= sizeof(kept->values[n]));
		if (ioctl(file, XARCH_GET_ONE_REG, &reg)) {
			printf("save: %#llx cannot be read\n", (unsigned long long)reg.id);
			CHECK(0);
		}
	}
}

static void set(int file, struct kept *kept)
{
	for (uint64_t n = 0; n < kept->count; n++) {
		struct xarch_one_reg reg = { kept->ids[n], (uintptr_t)kept->values[n] };

		if (ioctl(file, XARCH_SET_ONE_REG, &reg)) {
			printf("save: %#llx cannot be written\n", (unsigned long long)reg.id);
			CHECK(0);
		}
	}
}

/* Replaces a machine by another with the same state. */
static void move(struct machine *machine)
{
	struct machine other;

	for (int n = 0; n < VCPUS; n++)
		get(machine->vcpu[n], &kept[n]);
	get(machine->vm, &kept[VCPUS]);
	make(&other);
	memcpy(other.ram, machine->ram, RAM_BYTES);
	drop(machine);
	for (int n = 0; n < VCPUS; n++)
		set(other.vcpu[n], &kept[n]);
	set(other.vm, &kept[VCPUS]);
	*machine = other;
}

static void load(struct machine *machine, const char *name)
{
	struct xarch_one_reg reg = { PC, (uintptr_t)&(uint64_t){ RAM } };
	int file = open(name, O_RDONLY);

	CHECK(file >= 0 && read(file, machine->ram, RAM_BYTES) > 1024 && !close(file));
	CHECK(!ioctl(machine->vcpu[0], XARCH_SET_ONE_REG, &reg));
}

int main(int argc, char **argv)
{
	static char whole[sizeof(said)];
	struct machine machine;
	unsigned int moves = 0;
	size_t all;

	CHECK(argc == 2);
	setvbuf(stdout, NULL, _IOLBF, 0);
	device = open("/dev/xarch", O_RDWR | O_CLOEXEC);
	CHECK(device >= 0);
	make(&machine);
	CHECK(ioctl(machine.vm, XARCH_GET_ONE_REG, &(struct xarch_one_reg){ PC, (uintptr_t)whole }) < 0 && errno == ENOENT);
	load(&machine, argv[1]);
	CHECK(run_all(&machine, 0, 0));
	drop(&machine);
	memcpy(whole, said, sizeof(whole));
	all = length;
	CHECK(all > 2000);
	length = 0;
	make(&machine);
	load(&machine, argv[1]);
	/* In the middle of lines, and at moments that have nothing to do with what is said. */
	machine.late = 14000;
	while (!run_all(&machine, moves % 2 ? length + 1 + all / 9 : 0, moves % 2 ? 0 : 7000)) {
		moves++;
		move(&machine);
		machine.late = moves % 4 ? 0 : 14000;
	}
	drop(&machine);
	if (length != all || memcmp(whole, said, all)) {
		printf("save: after %u moves not the same:\n%.*s---\n%.*s", moves, (int)all, whole, (int)length, said);
		return 1;
	}
	CHECK(moves >= 8);
	printf("save: a guest that went through %u VMs has said what it says in one: %zu characters, %llu+%llu registers\n",
	       moves + 1, all, (unsigned long long)kept[0].count, (unsigned long long)kept[VCPUS].count);
	return 0;
}
