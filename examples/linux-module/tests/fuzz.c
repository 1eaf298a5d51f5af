/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * fuzz SECONDS [SEED]: calls on /dev/xarch and its descriptors with arguments that are wrong, right, and almost right,
 * from several threads at once on the same VMs. What is asked for is that each returns within seconds, which is looked at
 * while it runs, and that the kernel survives: whoever runs this looks at its log. Prints how many calls there were and
 * how many of them succeeded: a run in which one kind of call never does tests less than it seems to, and fails.
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

#define RAM_BYTES	(2UL << 20)
#define THREADS		4
#define VMS		3
#define VCPUS		2
#define MOST_VCPUS	8
/* Seconds that a call may take, on an emulated machine that is busy with others. */
#define PATIENCE	15

struct machine {
	int vm, vcpu[VCPUS];
	struct xarch_run *run[VCPUS];
};

enum call {
	CREATE_VM, SET_REGION, CREATE_VCPU, TARGET, IRQ_LINE, INTERRUPT, INIT, RUN, GET_REG, SET_REG, LIST, COUNTERS,
	MAP, CLOSE, WILD, CALLS
};
static const char *const names[CALLS] = {
	"CREATE_VM", "SET_REGION", "CREATE_VCPU", "PREFERRED_TARGET", "IRQ_LINE", "INTERRUPT_VCPU", "VCPU_INIT", "RUN",
	"GET_ONE_REG", "SET_ONE_REG", "GET_REG_LIST", "GET_COUNTERS", "mmap", "close", "wild"
};

static struct machine machines[VMS];
static pthread_rwlock_t alive = PTHREAD_RWLOCK_INITIALIZER;
static uint64_t ids[4096], id_count;
static unsigned long calls[CALLS], good[CALLS];
static uint8_t *ram;
static int device;
static uint64_t first_seed;
static time_t end;
static volatile int done;

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* xorshift64*: the same seed, the same arguments in each thread. */
static __thread uint64_t state;

static uint64_t any(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t below(uint64_t limit)
{
	return any() % limit;
}

/* Numbers at which things break. */
static uint64_t odd(void)
{
	static const uint64_t edges[] = {
		0, 1, 2, 7, 8, 31, 32, 33, 4095, 4096, 0x10000, 0x40000000, 0x7fffffff, 0x80000000, 0xffffffff,
		UINT64_C(0x100000000), UINT64_C(0xffffffffff), UINT64_C(1) << 40, UINT64_C(1) << 47,
		UINT64_C(0x00007ffffffff000), UINT64_C(0xffff800000000000), UINT64_C(1) << 63, -UINT64_C(4096), -UINT64_C(1)
	};
	uint64_t edge = edges[below(sizeof(edges) / sizeof(edges[0]))];

	switch (below(4)) {
	case 0: return any();
	case 1: return edge + below(3) - 1;
	case 2: return any() >> below(64);
	default: return edge;
	}
}

/* Mostly what is right, now and then what is not. */
static uint64_t mostly(uint64_t right)
{
	return below(8) ? right : odd();
}

static void *somewhere(void *right)
{
	switch (below(12)) {
	case 0: return NULL;
	case 1: return (void *)(uintptr_t)odd();
	case 2: return ram + RAM_BYTES - 4;	/* over the end of a mapping */
	default: return right;
	}
}

/* What a thread is doing: which call, since when. */
struct place {
	pid_t task;
	const char *volatile call;
	volatile time_t since;
};

static struct place places[THREADS + 1];
static __thread struct place *place;

static void begin(enum call call)
{
	if (!place)
		return;
	place->since = seconds();
	__atomic_store_n(&place->call, names[call], __ATOMIC_RELEASE);
}

static long end_of(enum call call, long result)
{
	if (place)
		place->call = NULL;
	__atomic_fetch_add(&calls[call], 1, __ATOMIC_RELAXED);
	if (result >= 0)
		__atomic_fetch_add(&good[call], 1, __ATOMIC_RELAXED);
	return result;
}

/* The call's arguments are evaluated in between. */
#define note(call, what) (begin(call), end_of(call, (what)))

static void set_region(struct machine *machine)
{
	uint64_t offset = below(4) * 0x10000;
	struct xarch_region region = {
		.region = mostly(below(4)),
		.flags = mostly(below(2)),
		.guest_address = mostly(0x40000000 + below(4) * RAM_BYTES),
		.bytes = mostly(below(3) ? RAM_BYTES / 2 : 0),
		.user_address = mostly((uintptr_t)ram + offset),
	};

	note(SET_REGION, ioctl(machine->vm, XARCH_SET_REGION, somewhere(&region)));
}

static void irq_line(struct machine *machine)
{
	struct xarch_irq_line line = { mostly((1 + below(2)) << 24 | below(VCPUS) << 16 | (16 + below(80))), odd() & 1 };

	note(IRQ_LINE, ioctl(machine->vm, XARCH_IRQ_LINE, somewhere(&line)));
}

static void one_reg(struct machine *machine, int vcpu)
{
	uint64_t value[2] = { odd(), odd() };
	struct xarch_one_reg reg = {
		mostly(id_count ? ids[below(id_count)] : 0), mostly((uintptr_t)somewhere(value))
	};
	int set = below(2), shared = !below(6);

	if (shared)
		reg.id = mostly(UINT64_C(0x6030000000f70000) | (below(2) ? below(0x100) : below(0x2000)));
	/* A bit of a right id is a wrong one, or another. */
	if (!below(6))
		reg.id ^= UINT64_C(1) << below(64);
	/* Most wrong addresses are the kernel's to refuse; those of this process's own code must not be written. */
	if (!set && reg.address != (uintptr_t)value && reg.address && reg.address < UINT64_C(1) << 47)
		reg.address = (uintptr_t)value;
	note(set ? SET_REG : GET_REG,
	     ioctl(shared ? machine->vm : machine->vcpu[vcpu], set ? XARCH_SET_ONE_REG : XARCH_GET_ONE_REG, somewhere(&reg)));
}

static void reg_list(struct machine *machine, int vcpu)
{
	struct {
		uint64_t count;
		uint64_t ids[4096];
	} *list = malloc(sizeof(*list));

	list->count = mostly(4096);
	if (list->count > 4096)
		list->count = -UINT64_C(1) >> below(4);
	if (!below(6))
		note(LIST, ioctl(machine->vm, XARCH_GET_REG_LIST, below(8) ? (void *)list : NULL));
	else if (!note(LIST, ioctl(machine->vcpu[vcpu], XARCH_GET_REG_LIST, below(8) ? (void *)list : NULL)) && !id_count) {
		memcpy(ids, list->ids, sizeof(ids));
		__atomic_store_n(&id_count, list->count, __ATOMIC_RELEASE);
	}
	free(list);
}

static void init(struct machine *machine, int vcpu)
{
	struct xarch_vcpu_init init = { 0 };

	note(TARGET, ioctl(machine->vm, XARCH_PREFERRED_TARGET, &init));
	init.target = mostly(init.target);
	init.features[0] = mostly(init.features[0]);
	init.features[below(7)] ^= below(8) ? 0 : odd();
	note(INIT, ioctl(machine->vcpu[vcpu], XARCH_VCPU_INIT, somewhere(&init)));
}

/* The guest's code is whatever is in its memory; the page says whatever it says. */
static void run(struct machine *machine, int vcpu)
{
	struct xarch_run *page = machine->run[vcpu];

	for (int n = 0; n < 16; n++)
		((uint32_t *)ram)[below(RAM_BYTES / 4)] = any();
	if (page) {
		uint8_t *byte = (uint8_t *)page + below(64);

		if (below(2))
			*byte = any();
		/* Or it would hardly ever come back. */
		page->immediate_exit = !below(3);
	}
	if (below(2)) {
		uint64_t pc = 0x40000000 + below(RAM_BYTES / 4) * 4;
		struct xarch_one_reg reg = { UINT64_C(0x6030000000100040), (uintptr_t)&pc };

		note(SET_REG, ioctl(machine->vcpu[vcpu], XARCH_SET_ONE_REG, &reg));
	}
	/* What was interrupted has run. */
	begin(RUN);
	if (ioctl(machine->vcpu[vcpu], XARCH_RUN, mostly(0)) < 0 && errno != EINTR)
		end_of(RUN, -1);
	else
		end_of(RUN, 0);
	note(INTERRUPT, ioctl(machine->vm, XARCH_INTERRUPT_VCPU, mostly(vcpu)));
}

static void create_vcpu(struct machine *machine, int vcpu)
{
	int made = note(CREATE_VCPU, ioctl(machine->vm, XARCH_CREATE_VCPU, mostly(vcpu)));

	if (made < 0)
		return;
	/* One that came for a number of its own, or again. */
	if (!__sync_bool_compare_and_swap(&machine->vcpu[vcpu], -1, made))
		close(made);
}

static void map(struct machine *machine, int vcpu)
{
	void *page;

	begin(MAP);
	page = mmap(NULL, mostly(getpagesize()) & 0xffffff, PROT_READ | PROT_WRITE, below(8) ? MAP_SHARED : MAP_PRIVATE,
		    machine->vcpu[vcpu], below(8) ? 0 : (off_t)(odd() & ~0xfffUL));
	end_of(MAP, page == MAP_FAILED ? -1 : 0);
	if (page != MAP_FAILED && !__sync_bool_compare_and_swap(&machine->run[vcpu], NULL, page))
		munmap(page, getpagesize());
}

/* A code that is nearly one of ours, on any of the descriptors. */
static void wild(struct machine *machine, int vcpu)
{
	/* Room for what the longest answer, a list of registers, brings: it is this program that says how much may come. */
	static __thread uint64_t argument[1 + 4096];
	int files[] = { device, machine->vm, machine->vcpu[vcpu] };
	unsigned long code = XARCH_IOCTL << 8 | below(0x28) | below(4) << 30 | below(64) << 16;

	for (size_t n = 0; n < 64; n++)
		argument[n] = odd();
	/* The one call that would take memory to write from these numbers. */
	if ((code & 0xff) == 0x22 || (code & 0xff) == 0x21 || (code & 0xff) == 0x03 || (code & 0xff) == 0x11)
		return;
	note(WILD, ioctl(files[below(3)], below(8) ? code : any(), below(2) ? (uintptr_t)argument : odd() | 1UL << 63));
}

static void make(struct machine *machine)
{
	struct xarch_create_vm config = { mostly(VCPUS), mostly(below(2) * 40), mostly(0) };

	memset(machine, -1, sizeof(*machine));
	memset(machine->run, 0, sizeof(machine->run));
	machine->vm = note(CREATE_VM, ioctl(device, XARCH_CREATE_VM, somewhere(&config)));
	/* Some have memory before the first call can freeze them without. */
	if (machine->vm >= 0 && below(4)) {
		struct xarch_region region = { 0, 0, 0x40000000, RAM_BYTES, (uintptr_t)ram };

		note(SET_REGION, ioctl(machine->vm, XARCH_SET_REGION, &region));
	}
}

static void drop(struct machine *machine)
{
	for (int vcpu = 0; vcpu < VCPUS; vcpu++) {
		if (machine->run[vcpu] && below(2))
			munmap(machine->run[vcpu], getpagesize());
		if (machine->vcpu[vcpu] >= 0)
			note(CLOSE, close(machine->vcpu[vcpu]));
		if (machine->run[vcpu])
			munmap(machine->run[vcpu], getpagesize());
	}
	if (machine->vm >= 0)
		note(CLOSE, close(machine->vm));
}

static void step(struct machine *machine)
{
	int vcpu = below(VCPUS);

	switch (below(16)) {
	case 0: case 1: set_region(machine); break;
	case 2: create_vcpu(machine, vcpu); break;
	case 3: init(machine, vcpu); break;
	case 4: irq_line(machine); break;
	case 5: reg_list(machine, vcpu); break;
	case 6: map(machine, vcpu); break;
	case 7: case 8: wild(machine, vcpu); break;
	case 9: {
		struct xarch_counters counters;

		note(COUNTERS, ioctl(machine->vcpu[vcpu], XARCH_GET_COUNTERS, somewhere(&counters)));
		break;
	}
	case 10: case 11: case 12: one_reg(machine, vcpu); break;
	default: run(machine, vcpu);
	}
}

static void *thread(void *argument)
{
	uintptr_t number = (uintptr_t)argument;

	place = &places[number];
	place->task = gettid();
	state = first_seed * THREADS + number + 1;
	while (seconds() < end) {
		struct machine *machine = &machines[below(VMS)];

		if (below(400)) {
			pthread_rwlock_rdlock(&alive);
			step(machine);
			pthread_rwlock_unlock(&alive);
		} else {
			/* Descriptors are not closed under somebody's feet: their numbers would be others' files. */
			pthread_rwlock_wrlock(&alive);
			drop(machine);
			make(machine);
			pthread_rwlock_unlock(&alive);
		}
	}
	return NULL;
}

/* Whoever waits in a guest is called back, so that the end comes. */
static void *caller(void *argument)
{
	place = &places[THREADS];
	place->task = gettid();
	while (!done) {
		for (int vm = 0; vm < VMS; vm++)
			for (int vcpu = 0; vcpu < MOST_VCPUS; vcpu++) {
				place->since = seconds();
				place->call = "INTERRUPT_VCPU of all";
				ioctl(machines[vm].vm, XARCH_INTERRUPT_VCPU, vcpu);
				place->call = NULL;
			}
		usleep(2000);
	}
	return argument;
}

static void show(const struct place *what, const char *file)
{
	char name[64], text[4096];
	ssize_t bytes;
	int from;

	snprintf(name, sizeof(name), "/proc/self/task/%d/%s", (int)what->task, file);
	from = open(name, O_RDONLY);
	bytes = from < 0 ? -1 : read(from, text, sizeof(text) - 1);
	printf("fuzz: %s: %.*s\n", file, bytes < 0 ? 0 : (int)bytes, text);
	close(from);
}

/* Fails if a call goes on for longer than anything here may take, and says what the kernel knows of it. */
static void watch(void)
{
	for (int n = 0; n <= THREADS; n++) {
		const char *call = __atomic_load_n(&places[n].call, __ATOMIC_ACQUIRE);
		long time = seconds() - places[n].since;

		if (!call || time <= PATIENCE || call != places[n].call)
			continue;
		printf("fuzz: %s has not returned for %ld s\n", call, time);
		show(&places[n], "syscall");
		show(&places[n], "stat");
		show(&places[n], "stack");
		fflush(stdout);
		n = open("/proc/sysrq-trigger", O_WRONLY);
		if (write(n, "l", 1) == 1 && write(n, "w", 1) == 1)
			sleep(2);
		_exit(1);
	}
}

static void join(pthread_t thread)
{
	while (pthread_tryjoin_np(thread, NULL)) {
		watch();
		usleep(100000);
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS + 1];
	unsigned long all = 0;
	int status = 0;

	first_seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	device = open("/dev/xarch", O_RDWR | O_CLOEXEC);
	ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (device < 0 || ram == MAP_FAILED) {
		perror("fuzz");
		return 1;
	}
	state = first_seed;
	end = seconds() + (argc > 1 ? atoi(argv[1]) : 10);
	for (int n = 0; n < VMS; n++)
		make(&machines[n]);
	for (int n = 0; n < THREADS; n++)
		pthread_create(&threads[n], NULL, thread, (void *)(uintptr_t)n);
	pthread_create(&threads[THREADS], NULL, caller, NULL);
	for (int n = 0; n < THREADS; n++)
		join(threads[n]);
	done = 1;
	join(threads[THREADS]);
	for (int n = 0; n < VMS; n++)
		drop(&machines[n]);
	printf("fuzz: seed %llu:", (unsigned long long)first_seed);
	for (int n = 0; n < CALLS; n++) {
		printf(" %s %lu/%lu", names[n], good[n], calls[n]);
		all += calls[n];
		if (!good[n] && n != WILD)
			status = 1;
	}
	printf("\nfuzz: %lu calls, %s\n", all, status ? "of which one kind never succeeded" : "and the kernel is there");
	return status;
}
