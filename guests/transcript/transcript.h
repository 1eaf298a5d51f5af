/* What the parts of the guest share. */
#include <stddef.h>
#include <stdint.h>
#include "layout.h"
typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;

/* A CPU, its last exception, its stacks. */
struct cpu {
    u64 x[31], sp;
    u64 esr, elr, far, spsr, daif, vector;
    u64 recover;
    u64 (*handler)(struct cpu *);   /* asked first about an exception: 1 goes back, 0 ends the attempt */
    u64 number;
    u64 log[64], logged;            /* what handlers note for the one that prints */
    u8 stacks[] __attribute__((aligned(16)));
};
union cpu_memory { struct cpu cpu; u8 bytes[CPU_BYTES]; };
_Static_assert(offsetof(struct cpu, esr) == CPU_ESR && offsetof(struct cpu, vector) == CPU_VECTOR, "layout.h");
_Static_assert(offsetof(struct cpu, recover) == CPU_RECOVER && offsetof(struct cpu, sp) == 248, "layout.h");
extern union cpu_memory cpus[2];

static inline struct cpu *self(void) { struct cpu *c; __asm__ volatile("mrs %0, tpidr_el1" : "=r"(c)); return c; }
u64 attempt(const void *code, u64 a0, u64 a1, u64 a2);
void enter_el0(u64 code, u64 a0, u64 a1, u64 spsr);

/* Code to be attempted: its first instruction is at its name. */
#define CODE(name, text) \
    __asm__(".pushsection .text\n.balign 4\n.globl " #name "\n" #name ":\n" text "\nret\n.popsection\n"); \
    extern const char name[]

#define MRS(name) ({ u64 v_; __asm__ volatile("mrs %0, " #name : "=r"(v_) :: "memory"); v_; })
#define MSR(name, value) __asm__ volatile("msr " #name ", %0\n isb" :: "r"((u64)(value)) : "memory")
#define ISB() __asm__ volatile("isb" ::: "memory")
#define DSB() __asm__ volatile("dsb sy" ::: "memory")

/* Printing. A line that begins with ~ may differ from run to run. */
void put(const char *text);
void putch(char c);
void hex(u64 value);            /* as short as it is */
void hexn(u64 value, int digits);
void dec(u64 value);
void value(const char *label, u64 number);
void value2(const char *label, u64 a, u64 b);
/* label: what happened when the code ran with these arguments */
void probe(const char *label, const void *code, u64 a0, u64 a1);
void probe3(const char *label, const void *code, u64 a0, u64 a1, u64 a2);
/* the same at EL0, ended by an SVC */
void probe_el0(const char *label, const void *code, u64 a0, u64 a1);
void describe_trap(const struct cpu *cpu, const void *code);

void *memset(void *d, int c, size_t n);
void sync_code(void *at, size_t bytes);
u64 id_field(u64 value, int shift);

static inline u32 r32(u64 a) { u32 v; __asm__ volatile("ldr %w0, [%1]" : "=r"(v) : "r"(a) : "memory"); return v; }
static inline void w32(u64 a, u32 v) { __asm__ volatile("str %w0, [%1]" :: "r"(v), "r"(a) : "memory"); }
static inline u8 r8(u64 a) { u32 v; __asm__ volatile("ldrb %w0, [%1]" : "=r"(v) : "r"(a) : "memory"); return (u8)v; }
static inline void w8(u64 a, u8 v) { __asm__ volatile("strb %w0, [%1]" :: "r"((u32)v), "r"(a) : "memory"); }
static inline u64 r64(u64 a) { u64 v; __asm__ volatile("ldr %0, [%1]" : "=r"(v) : "r"(a) : "memory"); return v; }
static inline void w64(u64 a, u64 v) { __asm__ volatile("str %0, [%1]" :: "r"(v), "r"(a) : "memory"); }

/* RAM that belongs to tests: what lies behind the image up to the first 8 MiB. */
#define SCRATCH 0x40200000ull
#define TABLES  0x40300000ull
#define UART    0x09000000ull
#define RTC     0x09010000ull
#define GICD    0x08000000ull
#define GICR    0x080a0000ull
#define NOTHING 0x0a800000ull   /* no host has a device there */

void registers(void);
void exceptions(void);
void unprivileged(void);
void pstate(void);
void floating(void);
void memory(void);
void devices(void);
void translation(void);
void firmware(void);
void interrupts(void);
void timers(void);
void waiting(void);
void debugging(void);
void second(void);
