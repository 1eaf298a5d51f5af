/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What /dev/xarch promises, asked of it: each line of output is a claim that held. Ends with "check: all claims hold"
 * and status 0, or with the first one that does not and status 1.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>

#include "../xarch_uapi.h"

#define RAM		UINT64_C(0x40000000)
#define RAM_BYTES	(4UL << 20)
#define DEVICE		UINT64_C(0x9000000)
#define SIZE_U64	UINT64_C(0x6030000000000000)
#define X(n)		(SIZE_U64 | 0x100000 | 2 * (n))
#define PC		(SIZE_U64 | 0x100000 | 64)
#define V(n)		(UINT64_C(0x6040000000000000) | 0x100000 | (84 + 4 * (n)))
#define FPSR		(UINT64_C(0x6020000000000000) | 0x100000 | 212)
#define SYSTEM(op0, op1, n, m, op2)                                                                \
	(SIZE_U64 | 0x130000 | (op0) << 14 | (op1) << 11 | (n) << 7 | (m) << 3 | (op2))

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("check: %s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__,        \
			       #condition, errno);                                                 \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)
#define FAILS(call, error) CHECK((errno = 0, (call) < 0) && errno == (error))
#define CLAIM(text) puts("check: " text)

/* Guests: instructions from the Arm manual, assembled by hand. */
static const uint32_t hello[] = {
	0xd2a12001, /* mov  x1, #0x9000000	the device */
	0x52800de0, /* mov  w0, #'o' */
	0x39000020, /* strb w0, [x1] */
	0xb9400422, /* ldr  w2, [x1, #4] */
	0xd2a80004, /* mov  x4, #0x40000000 */
	0xf2820004, /* movk x4, #0x1000 */
	0xb9000082, /* str  w2, [x4] */
	0xd53800a3, /* mrs  x3, mpidr_el1 */
	0xf9000483, /* str  x3, [x4, #8] */
	0xd2a00605, /* mov  x5, #0x300000	CPACR_EL1.FPEN */
	0xd5181045, /* msr  cpacr_el1, x5 */
	0xd5033fdf, /* isb */
	0x4e040c47, /* dup  v7.4s, w2 */
	0x52b08000, /* mov  w0, #0x84000000 */
	0x72800100, /* movk w0, #8		PSCI SYSTEM_OFF */
	0xd4000002, /* hvc  #0 */
	0x14000000, /* b    . */
};
static const uint32_t spin[] = { 0x14000000 /* b . */ };
static const uint32_t sleep_for_ever[] = { 0xd503207f /* wfi */, 0x17ffffff /* b -4 */ };
/* Counts in memory until it is stopped. */
static const uint32_t count[] = {
	0xd2a80004, /* mov  x4, #0x40000000 */
	0xf2820004, /* movk x4, #0x1000 */
	0x91000400, /* add  x0, x0, #1 */
	0xf9000080, /* str  x0, [x4] */
	0x17fffffe, /* b    -8 */
};
/* Touches what is no memory. */
static const uint32_t touch[] = {
	0xd2a18001, /* mov  x1, #0xc000000 */
	0xf9400020, /* ldr  x0, [x1] */
	0x14000000, /* b    . */
};

static int device;
static uint8_t *ram;
static struct xarch_run *run;

static void load(const uint32_t *code, size_t bytes)
{
	for (size_t n = 0; n < bytes / 4; n++) {
		uint32_t word = htole32(code[n]);

		memcpy(ram + 4 * n, &word, 4);
	}
}

static int one(int vcpu, unsigned long command, uint64_t id, void *value)
{
	struct xarch_one_reg reg = { id, (uintptr_t)value };

	return ioctl(vcpu, command, &reg);
}

static uint64_t get(int vcpu, uint64_t id)
{
	uint64_t value = 0;

	CHECK(!one(vcpu, XARCH_GET_ONE_REG, id, &value));
	return value;
}

static void set(int vcpu, uint64_t id, uint64_t value)
{
	CHECK(!one(vcpu, XARCH_SET_ONE_REG, id, &value));
}

static int make_vm(void)
{
	struct xarch_create_vm config = { .vcpus = 1 };
	struct xarch_region region = { 0, 0, RAM, RAM_BYTES, (uintptr_t)ram };
	int vm = ioctl(device, XARCH_CREATE_VM, &config);

	CHECK(vm >= 0 && !ioctl(vm, XARCH_SET_REGION, &region));
	return vm;
}

static int make_vcpu(int vm)
{
	struct xarch_vcpu_init init;
	int vcpu = ioctl(vm, XARCH_CREATE_VCPU, 0);

	CHECK(vcpu >= 0 && !ioctl(vm, XARCH_PREFERRED_TARGET, &init));
	FAILS(ioctl(vcpu, XARCH_RUN, 0), ENOEXEC);
	CHECK(!ioctl(vcpu, XARCH_VCPU_INIT, &init));
	run = mmap(NULL, ioctl(device, XARCH_GET_RUN_BYTES, 0), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	CHECK(run != MAP_FAILED);
	set(vcpu, PC, RAM);
	return vcpu;
}

static void drop(int vm, int vcpu)
{
	munmap(run, getpagesize());
	CHECK(!close(vm) && !close(vcpu));
}

static void device_and_power_off(void)
{
	int vm = make_vm(), vcpu;
	uint64_t value[2] = { 0 }, other[2] = { 0 };
	uint32_t word = htole32(0xc0ffee);

	load(hello, sizeof(hello));
	vcpu = make_vcpu(vm);
	CHECK(!ioctl(vcpu, XARCH_RUN, 0) && run->exit_reason == XARCH_EXIT_REASON_MMIO);
	CHECK(run->mmio.address == DEVICE && run->mmio.bytes == 1 && run->mmio.is_write);
	CHECK(run->mmio.data[0] == 'o');
	CHECK(!ioctl(vcpu, XARCH_RUN, 0) && run->exit_reason == XARCH_EXIT_REASON_MMIO);
	CHECK(run->mmio.address == DEVICE + 4 && run->mmio.bytes == 4 && !run->mmio.is_write);
	memcpy(run->mmio.data, &word, 4);
	CHECK(!ioctl(vcpu, XARCH_RUN, 0) && run->exit_reason == XARCH_EXIT_REASON_SYSTEM_EVENT);
	CHECK(run->system_event.type == XARCH_SYSTEM_EVENT_SHUTDOWN);
	CHECK(!memcmp(ram + 0x1000, "\xee\xff\xc0\0", 4));
	/* MPIDR_EL1 of vCPU 0: bit 31 is RES1. */
	CHECK(!memcmp(ram + 0x1008, "\0\0\0\x80\0\0\0\0", 8));
	CHECK(get(vcpu, X(2)) == 0xc0ffee && get(vcpu, X(4)) == RAM + 0x1000);
	CLAIM("a device in user space is asked, its answer arrives, and the machine is turned off");
	/* 128 bits lie in memory as a number of the host does. */
	CHECK(!one(vcpu, XARCH_GET_ONE_REG, V(7), value));
	CHECK(value[0] == UINT64_C(0x00c0ffee00c0ffee) && value[1] == value[0]);
	value[BYTE_ORDER == BIG_ENDIAN ? 0 : 1] = 5;
	CHECK(!one(vcpu, XARCH_SET_ONE_REG, V(7), value) && !one(vcpu, XARCH_GET_ONE_REG, V(7), other));
	CHECK(!memcmp(value, other, sizeof(value)));
	CLAIM("vector registers have 128 bits");
	FAILS(ioctl(vcpu, XARCH_RUN, 0), ENOEXEC);
	drop(vm, vcpu);
}

static void registers(void)
{
	int vm = make_vm(), vcpu = make_vcpu(vm);
	struct xarch_reg_list *list = calloc(1, 8 + 4096 * 8);
	uint32_t words[2] = { 0, 77 };
	uint64_t value[2];

	list->count = 1;
	FAILS(ioctl(vcpu, XARCH_GET_REG_LIST, list), E2BIG);
	CHECK(list->count > 100 && list->count <= 4096);
	CHECK(!ioctl(vcpu, XARCH_GET_REG_LIST, list));
	for (uint64_t n = 0; n < list->count; n++)
		CHECK(!one(vcpu, XARCH_GET_ONE_REG, list->ids[n], value));
	for (uint64_t n = 0; n < list->count; n++)
		for (uint64_t m = 0; m < n; m++)
			CHECK(list->ids[n] != list->ids[m]);
	CLAIM("every register of the list is there, once");
	CHECK(!one(vcpu, XARCH_GET_ONE_REG, FPSR, words) && words[1] == 77);
	CLAIM("registers of 32 bits are 32 bits of memory");
	/* TCR_EL1, and MIDR_EL1, which the guest is shown as it is. */
	set(vcpu, SYSTEM(3, 0, 2, 0, 2), 0x1234);
	CHECK(get(vcpu, SYSTEM(3, 0, 2, 0, 2)) == 0x1234);
	/* The virtual timer: as in KVM its comparator has the counter's encoding, and the other way round. */
	set(vcpu, SYSTEM(3, 3, 14, 0, 2), UINT64_C(0x123456789abc));
	CHECK(get(vcpu, SYSTEM(3, 3, 14, 0, 2)) == UINT64_C(0x123456789abc));
	CHECK(get(vcpu, SYSTEM(3, 3, 14, 3, 2)) != UINT64_C(0x123456789abc));
	CLAIM("the comparator of the virtual timer has KVM's id");
	FAILS(one(vcpu, XARCH_GET_ONE_REG, X(1) + 1, value), ENOENT);
	FAILS(one(vcpu, XARCH_GET_ONE_REG, X(1) & ~UINT64_C(0x0010000000000000), value), ENOENT);
	FAILS(one(vcpu, XARCH_GET_ONE_REG, 0, value), ENOENT);
	FAILS(one(vcpu, XARCH_GET_ONE_REG, ~UINT64_C(0), value), ENOENT);
	/* HCR_EL2 is how the guest is held: nobody's but the core's. */
	FAILS(one(vcpu, XARCH_SET_ONE_REG, SIZE_U64 | 0xf40000 | 0xe088, value), ENOENT);
	FAILS(one(vcpu, XARCH_GET_ONE_REG, X(1), NULL), EFAULT);
	FAILS(one(vcpu, XARCH_SET_ONE_REG, X(1), (void *)-8), EFAULT);
	CLAIM("what is no register is said");
	free(list);
	drop(vm, vcpu);
}

struct runner {
	pthread_t thread;
	int vcpu, result, error;
	volatile int running;
};

static void *run_it(void *argument)
{
	struct runner *runner = argument;

	runner->running = 1;
	runner->result = ioctl(runner->vcpu, XARCH_RUN, 0);
	runner->error = errno;
	return NULL;
}

static void start(struct runner *runner, int vcpu)
{
	*runner = (struct runner){ .vcpu = vcpu };
	CHECK(!pthread_create(&runner->thread, NULL, run_it, runner));
	while (!runner->running)
		usleep(1000);
	usleep(50000);
}

static void nothing(int signal)
{
	(void)signal;
}

static void leaving(const uint32_t *code, size_t bytes)
{
	int vm = make_vm(), vcpu = make_vcpu(vm);
	struct runner runner;
	uint64_t value;

	load(code, bytes);
	start(&runner, vcpu);
	FAILS(ioctl(vcpu, XARCH_RUN, 0), EBUSY);
	FAILS(one(vcpu, XARCH_GET_ONE_REG, X(0), &value), EBUSY);
	CHECK(!pthread_kill(runner.thread, SIGUSR1) && !pthread_join(runner.thread, NULL));
	CHECK(runner.result < 0 && runner.error == EINTR && run->exit_reason == XARCH_EXIT_REASON_INTR);
	CHECK(get(vcpu, PC) >= RAM && get(vcpu, PC) < RAM + 16);
	start(&runner, vcpu);
	CHECK(!ioctl(vm, XARCH_INTERRUPT_VCPU, 0) && !pthread_join(runner.thread, NULL));
	CHECK(runner.result < 0 && runner.error == EINTR);
	/* One that comes early ends the next run; so does the word in the page. */
	CHECK(!ioctl(vm, XARCH_INTERRUPT_VCPU, 0));
	FAILS(ioctl(vcpu, XARCH_RUN, 0), EINTR);
	run->immediate_exit = 1;
	FAILS(ioctl(vcpu, XARCH_RUN, 0), EINTR);
	drop(vm, vcpu);
}

struct asked {
	int vcpu;
	volatile unsigned int returned;
};

/* Until the end of the program. */
static void *run_again(void *argument)
{
	struct asked *asked = argument;

	for (;;) {
		CHECK(ioctl(asked->vcpu, XARCH_RUN, 0) < 0 && errno == EINTR);
		asked->returned++;
	}
}

/* The moment at which a run begins to wait for something else is the one at which a request is easily lost. */
static void requests(void)
{
	static struct asked asked;
	pthread_t thread;
	int vm = make_vm();

	asked.vcpu = make_vcpu(vm);
	load(sleep_for_ever, sizeof(sleep_for_ever));
	CHECK(!pthread_create(&thread, NULL, run_again, &asked));
	for (unsigned int n = 1; n <= 4000; n++) {
		time_t end = time(NULL) + 15;

		for (volatile unsigned int pause = n % 64 * 16; pause; pause--)
			;
		CHECK(!ioctl(vm, XARCH_INTERRUPT_VCPU, 0));
		while (asked.returned != n)
			CHECK(time(NULL) < end);
	}
	CLAIM("no request to leave is lost, whenever it comes");
}

static void fatal_signal(void)
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (!child) {
		/* This process has memory of its own, so it makes a VM of its own. */
		int vm = make_vm(), vcpu = make_vcpu(vm);

		load(spin, sizeof(spin));
		ioctl(vcpu, XARCH_RUN, 0);
		_exit(1);
	}
	usleep(300000);
	CHECK(!kill(child, SIGKILL) && waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CLAIM("a process whose guest runs can be killed");
}

static void regions(void)
{
	struct xarch_region region = { 0, 0, RAM, RAM_BYTES, (uintptr_t)ram }, wish;
	uint8_t *more = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int vm = make_vm(), vcpu;
	struct runner runner;
	uint64_t before, after;

	wish = region;
	wish.region = 1;
	FAILS(ioctl(vm, XARCH_SET_REGION, &wish), EEXIST);
	wish.region = 1000;
	FAILS(ioctl(vm, XARCH_SET_REGION, &wish), EINVAL);
	wish.region = 1;
	wish.guest_address = 1;
	FAILS(ioctl(vm, XARCH_SET_REGION, &wish), EINVAL);
	wish.guest_address = UINT64_C(1) << 40;
	FAILS(ioctl(vm, XARCH_SET_REGION, &wish), ERANGE);
	wish.guest_address = -UINT64_C(4096);
	FAILS(ioctl(vm, XARCH_SET_REGION, &wish), ERANGE);
	wish.guest_address = 0x80000000;
	wish.user_address = UINT64_C(1) << 63;
	FAILS(ioctl(vm, XARCH_SET_REGION, &wish), EFAULT);
	wish.user_address = 0x10000;
	FAILS(ioctl(vm, XARCH_SET_REGION, &wish), EFAULT);
	/* More than the machine has, of which the kernel is not to make lists; more than anything has. */
	wish.guest_address = UINT64_C(1) << 32;
	wish.bytes = UINT64_C(1) << 39;
	FAILS(ioctl(vm, XARCH_SET_REGION, &wish), ENOMEM);
	wish.guest_address = 0;
	wish.bytes = UINT64_C(1) << 40;
	FAILS(ioctl(vm, XARCH_SET_REGION, &wish), EINVAL);
	wish.bytes = 0;
	FAILS(ioctl(vm, XARCH_SET_REGION, &wish), ENOENT);
	FAILS(ioctl(vm, XARCH_IRQ_LINE, &(struct xarch_irq_line){ 1 << 24 | 33, 1 }), ENXIO);
	CLAIM("regions that cannot be are refused");

	load(count, sizeof(count));
	vcpu = make_vcpu(vm);
	wish = (struct xarch_region){ 1, 0, 0x80000000, 1 << 20, (uintptr_t)more };
	FAILS(ioctl(vm, XARCH_SET_REGION, &wish), EBUSY);
	/* A second view of memory that the VM has, while the guest runs: again and again. */
	start(&runner, vcpu);
	for (int n = 0; n < 200; n++) {
		wish = (struct xarch_region){ 2, n & 1, 0x80000000, 1 << 20, (uintptr_t)ram + (1 << 20) };
		CHECK(!ioctl(vm, XARCH_SET_REGION, &wish));
		wish.bytes = 0;
		CHECK(!ioctl(vm, XARCH_SET_REGION, &wish));
	}
	memcpy(&before, ram + 0x1000, 8);
	usleep(100000);
	memcpy(&after, ram + 0x1000, 8);
	CHECK(le64toh(after) > le64toh(before));
	CLAIM("regions change while the guest runs");
	/* The guest's own memory goes: it stops counting; what it fetches is no memory, and it is told. */
	wish = region;
	wish.bytes = 0;
	CHECK(!ioctl(vm, XARCH_SET_REGION, &wish));
	memcpy(&before, ram + 0x1000, 8);
	usleep(50000);
	memcpy(&after, ram + 0x1000, 8);
	CHECK(before == after);
	CLAIM("memory that is taken away is not the guest's any more");
	CHECK(!ioctl(vm, XARCH_SET_REGION, &region));
	CHECK(!ioctl(vm, XARCH_INTERRUPT_VCPU, 0) && !pthread_join(runner.thread, NULL));
	drop(vm, vcpu);
	munmap(more, 1 << 20);
}

static void nothing_there(void)
{
	int vm = make_vm(), vcpu = make_vcpu(vm);

	load(touch, sizeof(touch));
	set(vcpu, SYSTEM(3, 0, 12, 0, 0), RAM + 0x10000); /* VBAR_EL1 */
	CHECK(!ioctl(vcpu, XARCH_RUN, 0) && run->exit_reason == XARCH_EXIT_REASON_MMIO);
	run->mmio.absent = 1;
	run->immediate_exit = 1;
	FAILS(ioctl(vcpu, XARCH_RUN, 0), EINTR);
	/* Current EL with SP_ELx, synchronous; ESR_EL1: data abort from EL1, external; FAR_EL1. */
	CHECK(get(vcpu, PC) == RAM + 0x10200);
	CHECK(get(vcpu, SYSTEM(3, 0, 5, 2, 0)) >> 26 == 0x25 && (get(vcpu, SYSTEM(3, 0, 5, 2, 0)) & 0x3f) == 0x10);
	CHECK(get(vcpu, SYSTEM(3, 0, 6, 0, 0)) == 0xc000000);
	CLAIM("where nothing is, the guest takes an external abort");
	drop(vm, vcpu);
}

static void lifetimes(void)
{
	int vm = make_vm(), vcpu = make_vcpu(vm);
	pid_t child;
	int status;

	FAILS(ioctl(vm, XARCH_CREATE_VCPU, 0), EEXIST);
	FAILS(ioctl(vm, XARCH_CREATE_VCPU, 1), EINVAL);
	FAILS(ioctl(vm, XARCH_CREATE_VCPU, -1UL), EINVAL);
	child = fork();
	if (!child)
		_exit(ioctl(vcpu, XARCH_RUN, 0) < 0 && errno == EIO && ioctl(vm, XARCH_CREATE_VCPU, 0) < 0 &&
		      errno == EIO ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CLAIM("another process cannot use a VM");
	load(hello, sizeof(hello));
	CHECK(!close(vm));
	CHECK(!ioctl(vcpu, XARCH_RUN, 0) && run->exit_reason == XARCH_EXIT_REASON_MMIO);
	CHECK(!close(vcpu));
	/* The mapping keeps it still. */
	CHECK(run->mmio.address == DEVICE);
	CHECK(!munmap(run, getpagesize()));
	CLAIM("a vCPU keeps its VM, and its page keeps both");
}

static void memory_limit(void)
{
	struct rlimit old, low = { 1 << 20, 1 << 20 };
	struct xarch_create_vm config = { .vcpus = 1 };
	struct xarch_region region = { 0, 0, RAM, RAM_BYTES, (uintptr_t)ram };
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (!child) {
		int vm;

		vm = ioctl(device, XARCH_CREATE_VM, &config);
		if (vm < 0 || getrlimit(RLIMIT_MEMLOCK, &old) || setrlimit(RLIMIT_MEMLOCK, &low) || setuid(65534))
			_exit(2);
		/* Without privilege the limit counts. */
		_exit(ioctl(vm, XARCH_SET_REGION, &region) < 0 && errno == ENOMEM ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CLAIM("pinned memory counts against the limit");
}

/* How fast the guest computes, for who wants to know: `count` has three instructions a round. */
static void speed(void)
{
	int vm = make_vm(), vcpu = make_vcpu(vm);
	struct xarch_counters counters;
	struct runner runner;
	uint64_t rounds;

	load(count, sizeof(count));
	start(&runner, vcpu);
	sleep(2);
	CHECK(!ioctl(vm, XARCH_INTERRUPT_VCPU, 0) && !pthread_join(runner.thread, NULL));
	CHECK(!ioctl(vcpu, XARCH_GET_COUNTERS, &counters));
	rounds = get(vcpu, X(0));
	CHECK(counters.runs == 1 && counters.slices > 1 && rounds > 0);
	printf("check: %llu million instructions a second, %llu us a slice\n",
	       (unsigned long long)(3000 * rounds / (counters.run_ns ?: 1)),
	       (unsigned long long)(counters.run_ns / counters.slices / 1000));
	drop(vm, vcpu);
}

int main(void)
{
	struct xarch_create_vm config = { 0 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = nothing }, NULL);
	device = open("/dev/xarch", O_RDWR | O_CLOEXEC);
	CHECK(device >= 0);
	CHECK(ioctl(device, XARCH_GET_API_VERSION, 0) == XARCH_UAPI_VERSION);
	CHECK(ioctl(device, XARCH_CHECK_EXTENSION, XARCH_CAP_VCPUS) >= 1);
	CHECK(ioctl(device, XARCH_CHECK_EXTENSION, 12345) == 0);
	FAILS(ioctl(device, 0xae00, 0), ENOTTY);
	FAILS(ioctl(device, XARCH_CREATE_VM, &config), EINVAL);
	FAILS(ioctl(device, XARCH_CREATE_VM, NULL), EFAULT);
	config.vcpus = 1000;
	FAILS(ioctl(device, XARCH_CREATE_VM, &config), EINVAL);
	printf("check: the guest runs on %s, the facility is %s\n",
	       ioctl(device, XARCH_CHECK_EXTENSION, XARCH_CAP_HARDWARE) ? "hardware" : "a model",
	       ioctl(device, XARCH_CHECK_EXTENSION, XARCH_CAP_FACILITY) ? "here" : "not here");
	ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(ram != MAP_FAILED);

	device_and_power_off();
	registers();
	leaving(spin, sizeof(spin));
	CLAIM("a guest that computes is left by signal and by request, and is busy meanwhile");
	leaving(sleep_for_ever, sizeof(sleep_for_ever));
	CLAIM("so is one that waits");
	requests();
	fatal_signal();
	regions();
	nothing_there();
	lifetimes();
	memory_limit();
	speed();
	puts("check: all claims hold");
	return 0;
}
