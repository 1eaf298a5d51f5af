/* Printing, exceptions, and the order of the parts. */
#include "transcript.h"

union cpu_memory cpus[2] __attribute__((aligned(4096)));

void putch(char c) { w32(UART, (u8)c); }
void put(const char *text) { while (*text) putch(*text++); }
void hexn(u64 value, int digits) { while (digits--) putch("0123456789abcdef"[(value >> (4 * digits)) & 15]); }
void hex(u64 value)
{
    int digits = 1;
    while (digits < 16 && value >> (4 * digits)) digits++;
    hexn(value, digits);
}
void dec(u64 value)
{
    char text[21];
    int at = 20;
    text[at] = 0;
    do text[--at] = (char)('0' + value % 10); while (value /= 10);
    put(text + at);
}
void value(const char *label, u64 number) { put(label); put(": "); hex(number); putch('\n'); }
void value2(const char *label, u64 a, u64 b) { put(label); put(": "); hex(a); putch(' '); hex(b); putch('\n'); }

void *memset(void *d, int c, size_t n) { volatile u8 *p = d; while (n--) *p++ = (u8)c; return d; }
void *memcpy(void *d, const void *s, size_t n)
{
    volatile u8 *a = d; const u8 *b = s;
    while (n--) *a++ = *b++;
    return d;
}

void sync_code(void *at, size_t bytes)
{
    for (u64 a = (u64)at & ~15ull; a < (u64)at + bytes; a += 16) {
        __asm__ volatile("dc cvau, %0" :: "r"(a) : "memory");
        __asm__ volatile("dsb ish\n ic ivau, %0" :: "r"(a) : "memory");
    }
    __asm__ volatile("dsb ish\n isb" ::: "memory");
}
u64 id_field(u64 value, int shift) { return value >> shift & 15; }

u64 exception(struct cpu *cpu);
u64 exception(struct cpu *cpu)
{
    if (cpu->handler && cpu->handler(cpu)) return 1;
    if (cpu->recover) return 0;
    put("transcript: nobody expects this: "); describe_trap(cpu, 0); putch('\n');
    for (;;) __asm__ volatile("movz w0, #0x8400, lsl #16\n movk w0, #8\n hvc #0\n wfi" ::: "x0", "memory");
}

/* Whether FAR_EL1 says something of an exception of this class: aborts, PC alignment, watchpoints. */
static int has_far(u64 class)
{
    return class == 0x20 || class == 0x21 || class == 0x22 || class == 0x24 || class == 0x25
        || class == 0x34 || class == 0x35;
}

static const char *const KINDS[] = { "sync", "irq", "fiq", "serror" };
static const char *const FROM[] = { "el1t", "el1h", "el0", "el0a32" };

void describe_trap(const struct cpu *cpu, const void *code)
{
    u64 esr = cpu->esr, offset = cpu->elr - (u64)code;
    put(FROM[cpu->vector >> 9 & 3]); putch('.'); put(KINDS[cpu->vector >> 7 & 3]);
    if ((cpu->vector >> 7 & 3) == 0 || (cpu->vector >> 7 & 3) == 3) {
        put(" ec="); hexn(esr >> 26 & 63, 2); put(" il="); dec(esr >> 25 & 1); put(" iss="); hexn(esr & 0x1ffffff, 7);
        if (esr >> 32) { put(" iss2="); hex(esr >> 32); }
        if (has_far(esr >> 26 & 63)) { put(" far="); hex(cpu->far); }
    }
    put(" elr=");
    if (offset < 4096) { putch('+'); hex(offset); } else hex(cpu->elr);
    put(" spsr="); hex(cpu->spsr); put(" daif="); hex(cpu->daif >> 6);
}

void probe3(const char *label, const void *code, u64 a0, u64 a1, u64 a2)
{
    u64 trapped = attempt(code, a0, a1, a2);
    put(label); put(": ");
    if (trapped) describe_trap(self(), code);
    else { put("ok "); hex(self()->x[0]); }
    putch('\n');
}
void probe(const char *label, const void *code, u64 a0, u64 a1) { probe3(label, code, a0, a1, 0); }

/* attempt() has room for three arguments; SPSR is the fourth. */
static const void *el0_code;
static u64 el0_arguments[2];
static u64 go_el0(u64 spsr) { enter_el0((u64)el0_code, el0_arguments[0], el0_arguments[1], spsr); return 0; }

void probe_el0(const char *label, const void *code, u64 a0, u64 a1)
{
    struct cpu *cpu = self();
    el0_code = code; el0_arguments[0] = a0; el0_arguments[1] = a1;
    u64 trapped = attempt((const void *)go_el0, 0x3c0, 0, 0);
    put(label); put(": ");
    if (!trapped) put("came back");
    else if (cpu->esr >> 26 == 0x15 && (cpu->esr & 0xffff) == 0xe0) { put("ok "); hex(cpu->x[0]); }
    else describe_trap(cpu, code);
    putch('\n');
}

void main(struct cpu *cpu);
void main(struct cpu *cpu)
{
    cpu->number = 0;
    put("transcript: start\n");
    registers();
    exceptions();
    unprivileged();
    pstate();
    floating();
    memory();
    devices();
    firmware();
    interrupts();
    timers();
    waiting();
    debugging();
    translation();
    second();
    put("transcript: end\n");
}
