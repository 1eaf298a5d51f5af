/* The interrupt controller and the timers, first by asking (everything masked), then by being interrupted. */
#include "transcript.h"

#define SGI_BASE (GICR + 0x10000)
#define ICC(encoding) MRS(encoding)
#define PMR S3_0_C4_C6_0
#define IAR0 S3_0_C12_C8_0
#define EOIR0 S3_0_C12_C8_1
#define HPPIR0 S3_0_C12_C8_2
#define BPR0 S3_0_C12_C8_3
#define AP0R0 S3_0_C12_C8_4
#define AP1R0 S3_0_C12_C9_0
#define DIR S3_0_C12_C11_1
#define RPR S3_0_C12_C11_3
#define SGI1R S3_0_C12_C11_5
#define ASGI1R S3_0_C12_C11_6
#define SGI0R S3_0_C12_C11_7
#define IAR1 S3_0_C12_C12_0
#define EOIR1 S3_0_C12_C12_1
#define HPPIR1 S3_0_C12_C12_2
#define BPR1 S3_0_C12_C12_3
#define CTLR S3_0_C12_C12_4
#define SRE S3_0_C12_C12_5
#define IGRPEN0 S3_0_C12_C12_6
#define IGRPEN1 S3_0_C12_C12_7
#define READ(name) MRS(name)
#define WRITE(name, value) MSR(name, value)
#define UART_SPI 33

void interface_on(void);
void interface_on(void)
{
    WRITE(SRE, 7); WRITE(PMR, 0xff); WRITE(BPR0, 0); WRITE(BPR1, 0); WRITE(CTLR, 0);
    WRITE(IGRPEN0, 1); WRITE(IGRPEN1, 1);
}

static void on(void)
{
    w32(GICD, 0x13);            /* ARE, both groups */
    w32(GICR + 0x14, 0);        /* awake */
    for (int i = 0; i < 100000 && r32(GICR + 0x14) & 4; i++) { }
    w32(SGI_BASE + 0x80, 0xffffffff);       /* Group 1 */
    w32(SGI_BASE + 0x180, 0xffffffff);
    w32(SGI_BASE + 0x280, 0xffffffff);
    w32(SGI_BASE + 0x380, 0xffffffff);
    for (u64 i = 0; i < 32; i += 4) w32(SGI_BASE + 0x400 + i, 0x80808080);
    w32(SGI_BASE + 0x100, 0xffff);          /* the SGIs */
    interface_on();
}

static void state(const char *label)
{
    put(label); put(": pend="); hex(r32(SGI_BASE + 0x200)); put(" act="); hex(r32(SGI_BASE + 0x300));
    put(" hppir="); hex(READ(HPPIR1)); put(" rpr="); hex(READ(RPR)); put(" isr="); hex(MRS(isr_el1)); putch('\n');
}

static void registers_of_it(void)
{
    static const u16 DISTRIBUTOR[] = { 0, 4, 8, 0xc, 0x10, 0x80, 0x84, 0x100, 0x104, 0x200, 0x300, 0x400, 0x420, 0x800, 0xc00,
        0xc08, 0xd00, 0xe00, 0xf00, 0xffe8, 0xffe0, 0xfff0, 0xfff4, 0xfff8, 0xfffc };
    static const u32 REDISTRIBUTOR[] = { 0, 4, 8, 0xc, 0x10, 0x14, 0x70, 0x78, 0xffe8, 0xffe0, 0x10080, 0x10100, 0x10180, 0x10200, 0x10280,
        0x10300, 0x10380, 0x10400, 0x1041c, 0x10c00, 0x10c04, 0x10d00, 0x10e00 };
    for (unsigned i = 0; i < sizeof DISTRIBUTOR / sizeof DISTRIBUTOR[0]; i++) {
        put("gicd."); hex(DISTRIBUTOR[i]); value("", r32(GICD + DISTRIBUTOR[i]));
    }
    for (unsigned i = 0; i < sizeof REDISTRIBUTOR / sizeof REDISTRIBUTOR[0]; i++) {
        put("gicr."); hex(REDISTRIBUTOR[i]); value("", r32(GICR + REDISTRIBUTOR[i]));
    }
    value("gicr.typer.64", r64(GICR + 8));
    /* What sticks: SPIs 40 and on, and this CPU's own. */
    w32(GICD + 0x84, 0xa5a5a5a5); value("gicd.igroupr1.w", r32(GICD + 0x84));
    w32(GICD + 0x84, 0xffffffff);
    w32(GICD + 0x104, 0xff00); value("gicd.isenabler1.w", r32(GICD + 0x104));
    w32(GICD + 0x184, 0x5500); value("gicd.icenabler1.w", r32(GICD + 0x184));
    w32(GICD + 0x184, 0xffffffff); value("gicd.isenabler1.off", r32(GICD + 0x104));
    w32(GICD + 0x428, 0xfedcba98); value("gicd.ipriorityr10.w", r32(GICD + 0x428));
    w8(GICD + 0x429, 0x47); value("gicd.ipriorityr10.byte", r32(GICD + 0x428));
    value("gicd.ipriorityr41.byte", r8(GICD + 0x429));
    w32(GICD + 0xc08, 0xaaaaaaaa); value("gicd.icfgr2.w", r32(GICD + 0xc08));
    w32(GICD + 0xc08, 0x88888888); value("gicd.icfgr2.mixed", r32(GICD + 0xc08));
    w32(GICD + 0xc08, 0); value("gicd.icfgr2.0", r32(GICD + 0xc08));
    w64(GICD + 0x6000 + 8 * 40, 0x80000000); value("gicd.irouter40.irm", r64(GICD + 0x6000 + 8 * 40));
    w64(GICD + 0x6000 + 8 * 40, 0xff00ffffffull); value("gicd.irouter40.ones", r64(GICD + 0x6000 + 8 * 40));
    w64(GICD + 0x6000 + 8 * 40, 0); value("gicd.irouter40.0", r64(GICD + 0x6000 + 8 * 40));
    w32(GICD + 0x100, 0xffffffff); value("gicd.isenabler0.w", r32(GICD + 0x100));
    w32(SGI_BASE + 0x100, 0xffffffff); value("gicr.isenabler0.w", r32(SGI_BASE + 0x100));
    w32(SGI_BASE + 0x180, 0xffff0000); value("gicr.icenabler0.w", r32(SGI_BASE + 0x100));
    w32(SGI_BASE + 0xc00, 0xffffffff); value("gicr.icfgr0.w", r32(SGI_BASE + 0xc00));
    for (u64 v = 0; v < 8; v++) {
        WRITE(BPR0, v); WRITE(BPR1, v);
        put("icc.bpr."); hex(v); value2("", READ(BPR0), READ(BPR1));
    }
    WRITE(BPR0, 0); WRITE(BPR1, 0);
    for (u64 v = 0xff; v; v >>= 1) { WRITE(PMR, v); put("icc.pmr."); hex(v); value("", READ(PMR)); }
    WRITE(CTLR, 3); value("icc.ctlr.3", READ(CTLR));
    value2("icc.bpr.cbpr", READ(BPR0), READ(BPR1));
    WRITE(CTLR, ~0ull); value("icc.ctlr.ones", READ(CTLR)); WRITE(CTLR, 0); value("icc.ctlr.0", READ(CTLR));
    WRITE(SRE, 0); value("icc.sre.0", READ(SRE)); WRITE(SRE, 7);
    WRITE(IGRPEN1, 0); value("icc.igrpen1.0", READ(IGRPEN1)); WRITE(IGRPEN1, ~0ull); value("icc.igrpen1.ones", READ(IGRPEN1));
    WRITE(PMR, 0xff);
}

static void send(u64 intid) { WRITE(SGI1R, intid << 24 | 1); }
static void priority(u64 intid, u8 level) { w8(SGI_BASE + 0x400 + intid, level); }

static void one(void)
{
    state("sgi.idle");
    send(3); state("sgi.sent");
    send(3); state("sgi.sent-twice");
    value("sgi.iar", READ(IAR1)); state("sgi.active");
    send(3); state("sgi.active+pending");
    value("sgi.iar.same-active", READ(IAR1));
    WRITE(EOIR1, 3); state("sgi.eoi");
    value("sgi.iar.again", READ(IAR1)); WRITE(EOIR1, 3); state("sgi.done");
    value("sgi.iar.nothing", READ(IAR1));
    WRITE(EOIR1, 1023); WRITE(EOIR1, 9); state("sgi.eoi.of-none");
    w32(SGI_BASE + 0x200, 1 << 5); state("sgi.ispendr");
    w32(SGI_BASE + 0x280, 1 << 5); state("sgi.icpendr");
    w32(SGI_BASE + 0x300, 1 << 6); state("sgi.isactiver");
    send(6); state("sgi.isactiver+sent");
    w32(SGI_BASE + 0x380, 1 << 6); state("sgi.icactiver");
    value("sgi.iar.6", READ(IAR1)); WRITE(EOIR1, 6);
    w32(SGI_BASE + 0x180, 1 << 4); send(4); state("sgi.disabled");
    w32(SGI_BASE + 0x100, 1 << 4); state("sgi.enabled");
    value("sgi.iar.4", READ(IAR1)); WRITE(EOIR1, 4);
    WRITE(SGI1R, 7ull << 24 | 1 << 15); state("sgi.to-nobody");
    WRITE(SGI1R, 7ull << 24 | 1ull << 16 | 1); state("sgi.to-aff1-1");
    WRITE(SGI1R, 7ull << 24 | 1ull << 44 | 1); state("sgi.to-range-1");
    WRITE(SGI0R, 7ull << 24 | 1); state("sgi.group-0-of-group-1");
    WRITE(ASGI1R, 7ull << 24 | 1); state("sgi.asgi");
}

static void several(void)
{
    static const u8 PRIORITIES[] = { 0x80, 0x40, 0xc0, 0x40, 0x88, 0x84, 0xf8, 0x00 };
    for (u64 i = 0; i < 8; i++) { priority(8 + i, PRIORITIES[i]); send(8 + i); }
    value2("prio.set", r32(SGI_BASE + 0x408), r32(SGI_BASE + 0x40c));
    for (u64 i = 0; i < 8; i++) {
        u64 id = READ(IAR1);
        put("prio.order."); hex(i); put(": "); hex(id); put(" rpr="); hex(READ(RPR)); put(" ap="); hex(READ(AP1R0)); putch('\n');
        if (id < 1020) WRITE(EOIR1, id);
    }
    /* Preemption: who may interrupt whom, at each binary point. */
    for (u64 bpr = 0; bpr < 8; bpr++) {
        WRITE(BPR1, bpr);
        for (u64 high = 0; high < 2; high++) {
            priority(1, 0x80); priority(2, high ? 0x70 : 0x78);
            send(1); u64 first = READ(IAR1); send(2); u64 second = READ(IAR1);
            put("prio.preempt."); hex(bpr); putch('.'); hex(high); put(": "); hex(first); putch(' '); hex(second);
            put(" rpr="); hex(READ(RPR)); put(" ap="); hex(READ(AP1R0));
            if (second < 1020) WRITE(EOIR1, second);
            WRITE(EOIR1, first);
            u64 last = READ(IAR1);
            putch(' '); hex(last); putch('\n');
            if (last < 1020) WRITE(EOIR1, last);
        }
    }
    WRITE(BPR1, 0);
    priority(1, 0x80);
    for (u64 pmr = 0x78; pmr <= 0x90; pmr += 8) {
        WRITE(PMR, pmr); send(1);
        put("prio.pmr."); hex(pmr); put(": "); hex(READ(HPPIR1)); put(" isr="); hex(MRS(isr_el1)); putch(' ');
        u64 id = READ(IAR1); hex(id); putch('\n');
        if (id < 1020) WRITE(EOIR1, id);
        WRITE(PMR, 0xff);
        id = READ(IAR1);
        if (id < 1020) WRITE(EOIR1, id);
    }
    WRITE(IGRPEN1, 0); send(1); state("prio.group-off"); value("prio.group-off.iar", READ(IAR1));
    WRITE(IGRPEN1, 1); state("prio.group-on"); value("prio.group-on.iar", READ(IAR1)); WRITE(EOIR1, 1);
    w32(GICD, 0x11); send(1); state("prio.gicd-off"); w32(GICD, 0x13); state("prio.gicd-on");
    value("prio.gicd-on.iar", READ(IAR1)); WRITE(EOIR1, 1);
}

static void modes(void)
{
    WRITE(CTLR, 2);             /* EOImode */
    send(2); value("eoimode.iar", READ(IAR1)); state("eoimode.active");
    WRITE(EOIR1, 2); state("eoimode.dropped");
    send(2); state("eoimode.dropped+sent"); value("eoimode.iar.dropped", READ(IAR1));
    WRITE(DIR, 2); state("eoimode.deactivated");
    value("eoimode.iar.again", READ(IAR1)); WRITE(EOIR1, 2); WRITE(DIR, 2); state("eoimode.done");
    WRITE(CTLR, 0);
    send(2); value("dir.without-eoimode.iar", READ(IAR1)); WRITE(DIR, 2); state("dir.without-eoimode"); WRITE(EOIR1, 2);
    /* Group 0. */
    w32(SGI_BASE + 0x80, ~(1u << 5));
    WRITE(SGI0R, 5ull << 24 | 1);
    value("group0.hppir0", READ(HPPIR0)); value("group0.hppir1", READ(HPPIR1)); value("group0.isr", MRS(isr_el1));
    value("group0.iar1", READ(IAR1)); value("group0.iar0", READ(IAR0)); value2("group0.ap", READ(AP0R0), READ(AP1R0));
    WRITE(EOIR0, 5); state("group0.done");
    WRITE(SGI1R, 5ull << 24 | 1); state("group0.by-sgi1r");
    u64 id = READ(IAR0); if (id < 1020) WRITE(EOIR0, id);
    w32(SGI_BASE + 0x80, 0xffffffff);
}

static void spi_state(const char *label)
{
    put(label); put(": pend="); hex(r32(GICD + 0x204)); put(" act="); hex(r32(GICD + 0x304));
    put(" hppir="); hex(READ(HPPIR1)); put(" isr="); hex(MRS(isr_el1)); putch('\n');
}

static void shared(void)
{
    w32(GICD + 0x84, 0xffffffff);
    w8(GICD + 0x400 + 40, 0x60); w8(GICD + 0x400 + UART_SPI, 0x60);
    w64(GICD + 0x6000 + 8 * 40, 0); w64(GICD + 0x6000 + 8 * UART_SPI, 0);
    w32(GICD + 0x104, 1 << 8);
    w32(GICD + 0xc08, 2 << 16); value("spi.edge.icfgr", r32(GICD + 0xc08));
    w32(GICD + 0x204, 1 << 8); spi_state("spi.edge.pending");
    value("spi.edge.iar", READ(IAR1)); spi_state("spi.edge.active");
    w32(GICD + 0x204, 1 << 8); spi_state("spi.edge.both"); WRITE(EOIR1, 40); spi_state("spi.edge.eoi");
    value("spi.edge.iar.again", READ(IAR1)); WRITE(EOIR1, 40); spi_state("spi.edge.done");
    w32(GICD + 0xc08, 0);
    w32(GICD + 0x204, 1 << 8); spi_state("spi.level.pending");
    w32(GICD + 0x284, 1 << 8); spi_state("spi.level.cleared");
    w32(GICD + 0x304, 1 << 8); spi_state("spi.level.activated"); w32(GICD + 0x384, 1 << 8); spi_state("spi.level.deactivated");
    w64(GICD + 0x6000 + 8 * 40, 0x700); w32(GICD + 0x204, 1 << 8); spi_state("spi.routed-to-nobody");
    w64(GICD + 0x6000 + 8 * 40, 0); spi_state("spi.routed-here");
    u64 id = READ(IAR1); value("spi.routed-here.iar", id); if (id < 1020) WRITE(EOIR1, id);
    w32(GICD + 0x184, 1 << 8);
    /* The serial port: its transmit interrupt is high while it is enabled, for the FIFO is always empty. */
    w32(GICD + 0x104, 2);
    spi_state("uart.idle");
    w32(UART + 0x30, 0x301);
    w32(UART + 0x38, 1 << 5); spi_state("uart.enabled"); value("uart.ris", r32(UART + 0x3c) & 0x20); value("uart.mis", r32(UART + 0x40));
    id = READ(IAR1); value("uart.iar", id); spi_state("uart.active");
    w32(UART + 0x38, 0); spi_state("uart.low");
    if (id < 1020) WRITE(EOIR1, id);
    spi_state("uart.eoi");
    w32(UART + 0x38, 1 << 5); id = READ(IAR1); if (id < 1020) WRITE(EOIR1, id); spi_state("uart.eoi.still-high");
    w32(UART + 0x38, 0); spi_state("uart.end");
    w32(GICD + 0x184, 2);
}

/* Interrupts that are taken: the handler notes vector, number and running priority. */
static u64 noted(struct cpu *cpu)
{
    u64 kind = cpu->vector >> 7 & 3;
    if (kind == 0) return 0;
    u64 id = kind == 2 ? READ(IAR0) : READ(IAR1);
    if (cpu->logged < 64) cpu->log[cpu->logged++] = cpu->vector << 32 | READ(RPR) << 16 | id;
    if (id == 27) MSR(cntv_ctl_el0, 2);
    if (id == 30) MSR(cntp_ctl_el0, 2);
    if (id == UART_SPI) w32(UART + 0x38, 0);
    if (id < 1020) { if (kind == 2) WRITE(EOIR0, id); else WRITE(EOIR1, id); }
    return 1;
}

static void taken(const char *label)
{
    struct cpu *cpu = self();
    put(label); putch(':');
    for (u64 i = 0; i < cpu->logged; i++) {
        putch(' '); hex(cpu->log[i] >> 32); putch('/'); dec(cpu->log[i] & 0xffff); putch('/'); hex(cpu->log[i] >> 16 & 0xff);
    }
    putch('\n');
    cpu->logged = 0;
}

static void unmask(u64 bits) { __asm__ volatile("msr daif, %0\n isb" :: "r"(0x3c0 & ~bits) : "memory"); }
static void mask(void) { __asm__ volatile("msr daifset, #0xf\n isb" ::: "memory"); }
static u64 now(void) { u64 v; __asm__ volatile("isb\n mrs %0, cntvct_el0" : "=r"(v) :: "memory"); return v; }
static u64 wait_for(u64 count)
{
    u64 end = now() + MRS(cntfrq_el0) * 2;
    while (*(volatile u64 *)&self()->logged < count) if (now() > end) return 0;
    return 1;
}

CODE(i_el0, "1: sub x0, x0, #1\n cbnz x0, 1b\n svc #0xe0");

static void delivered(void)
{
    struct cpu *cpu = self();
    cpu->handler = noted;
    cpu->logged = 0;
    send(1); unmask(0x80); wait_for(1); mask(); taken("irq.sgi");
    unmask(0x80); send(2); wait_for(1); mask(); taken("irq.sgi.unmasked");
    priority(4, 0x90); priority(5, 0x20); priority(6, 0x50);
    send(4); send(5); send(6); unmask(0x80); wait_for(3); mask(); taken("irq.three");
    send(1); unmask(0x40); taken("irq.masked"); mask(); value("irq.masked.isr", MRS(isr_el1));
    unmask(0x80); wait_for(1); mask(); taken("irq.unmasked");
    w32(SGI_BASE + 0x80, ~(1u << 5)); WRITE(SGI0R, 5ull << 24 | 1); unmask(0x80); taken("fiq.masked"); unmask(0x40); wait_for(1); mask();
    taken("fiq.sgi");
    w32(SGI_BASE + 0x80, 0xffffffff);
    /* From EL0, and with the other stack pointer. */
    send(1); attempt((const void *)enter_el0, (u64)i_el0, 3, 0); taken("irq.el0.spsr-unset");
    u64 id = READ(IAR1); if (id < 1020) WRITE(EOIR1, id);
    w32(UART + 0x30, 0x301); w8(GICD + 0x400 + UART_SPI, 0x60); w32(GICD + 0x104, 2);
    unmask(0x80); w32(UART + 0x38, 1 << 5); wait_for(1); mask(); taken("irq.uart");
    w32(UART + 0x38, 0); w32(GICD + 0x184, 2);
    cpu->handler = 0;
}

static u64 el0_with(u64 spsr) { enter_el0((u64)i_el0, 100, 0, spsr); return 0; }
static void delivered_at_el0(void)
{
    struct cpu *cpu = self();
    cpu->handler = noted;
    send(1); attempt((const void *)el0_with, 0x340, 0, 0); taken("irq.el0");
    send(1); attempt((const void *)el0_with, 0x3c0, 0, 0); taken("irq.el0.masked");
    unmask(0x80); wait_for(1); mask(); taken("irq.el0.later");
    __asm__ volatile("msr spsel, #0\n mov sp, %0" :: "r"((u64)cpu + CPU_STACK0_END) : "memory");
    __asm__ volatile("msr spsel, #1" ::: "memory");
    cpu->handler = 0;
}

void interrupts(void)
{
    on();
    registers_of_it();
    on();
    one();
    several();
    for (u64 i = 0; i < 16; i++) priority(i, 0x80);
    modes();
    shared();
    delivered();
    for (u64 i = 0; i < 16; i++) priority(i, 0x80);
    delivered_at_el0();
}

static void timer_state(const char *label)
{
    put(label); put(": "); hex(MRS(cntv_ctl_el0)); putch(' '); hex(MRS(cntp_ctl_el0));
    put(" pend="); hex(r32(SGI_BASE + 0x200) & 0xffff0000); put(" isr="); hex(MRS(isr_el1)); putch('\n');
}

void timers(void)
{
    struct cpu *cpu = self();
    u64 second = MRS(cntfrq_el0);
    w32(SGI_BASE + 0x100, 1 << 27 | 1 << 30);
    MSR(cntv_ctl_el0, 0); MSR(cntp_ctl_el0, 0);
    timer_state("timer.off");
    value("timer.frequency-is-set", second != 0);
    u64 a = now(), b = now(), c = MRS(cntpct_el0), d = MRS(cntpct_el0);
    value2("timer.monotonic", a <= b, c <= d);
    /* Not ~0: QEMU 7.2 adds CNTVOFF_EL2 to it, wraps, and then does nothing but raise that timer. */
    MSR(cntv_cval_el0, 1ull << 62); MSR(cntv_ctl_el0, 1); timer_state("timer.v.never");
    MSR(cntv_cval_el0, 0); timer_state("timer.v.past");
    MSR(cntv_ctl_el0, 3); timer_state("timer.v.masked");
    MSR(cntv_ctl_el0, 2); timer_state("timer.v.disabled+masked");
    MSR(cntv_ctl_el0, ~0ull); timer_state("timer.v.ones");
    MSR(cntv_ctl_el0, 0); timer_state("timer.v.disabled");
    MSR(cntp_cval_el0, 1ull << 62); MSR(cntp_ctl_el0, 1); timer_state("timer.p.never");
    MSR(cntp_cval_el0, 0); timer_state("timer.p.past");
    MSR(cntp_ctl_el0, 3); timer_state("timer.p.masked");
    MSR(cntp_ctl_el0, 0); timer_state("timer.p.disabled");
    MSR(cntv_tval_el0, 0xffffffff); MSR(cntv_ctl_el0, 1); timer_state("timer.v.tval-minus-1");
    MSR(cntv_tval_el0, 0x7fffffff); timer_state("timer.v.tval-long");
    value("timer.v.tval-reads-less", MRS(cntv_tval_el0) <= 0x7fffffff);
    value("timer.v.cval-is-ahead", MRS(cntv_cval_el0) > now());
    MSR(cntv_tval_el0, 0x80000000); value("timer.v.tval-negative.cval-is-behind", MRS(cntv_cval_el0) < now() || MRS(cntv_cval_el0) >> 63);
    MSR(cntv_ctl_el0, 0);
    MSR(cntv_cval_el0, 0x123456789abcdef0); value("timer.v.cval", MRS(cntv_cval_el0));
    MSR(cntp_cval_el0, 0xfedcba9876543210); value("timer.p.cval", MRS(cntp_cval_el0));
    /* Taken, in the order of the deadlines; the earlier one has the better priority, for a host may be late for both. */
    priority(27, 0x80); priority(30, 0x40);
    cpu->handler = noted; cpu->logged = 0;
    a = now();
    MSR(cntv_cval_el0, a + second / 50); MSR(cntp_cval_el0, MRS(cntpct_el0) + second / 100);
    MSR(cntv_ctl_el0, 1); MSR(cntp_ctl_el0, 1);
    unmask(0x80); wait_for(2); mask(); taken("timer.p-then-v");
    value("timer.not-early", now() >= a + second / 50);
    priority(27, 0x40); priority(30, 0x80);
    a = now();
    MSR(cntv_cval_el0, a + second / 100); MSR(cntp_cval_el0, MRS(cntpct_el0) + second / 50);
    MSR(cntv_ctl_el0, 1); MSR(cntp_ctl_el0, 1);
    unmask(0x80); wait_for(2); mask(); taken("timer.v-then-p");
    for (u64 i = 0; i < 5; i++) { MSR(cntv_tval_el0, second / 500); MSR(cntv_ctl_el0, 1); unmask(0x80); wait_for(i + 1); mask(); }
    taken("timer.five");
    cpu->handler = 0;
    timer_state("timer.end");
}

void waiting(void)
{
    struct cpu *cpu = self();
    u64 second = MRS(cntfrq_el0);
    cpu->logged = 0;
    send(1); __asm__ volatile("wfi" ::: "memory"); value("wfi.pending-and-masked", READ(HPPIR1));
    u64 id = READ(IAR1); if (id < 1020) WRITE(EOIR1, id);
    u64 a = now();
    MSR(cntv_cval_el0, a + second / 100); MSR(cntv_ctl_el0, 1);
    while (!(MRS(isr_el1) & 0x80) && now() < a + 2 * second) __asm__ volatile("wfi" ::: "memory");
    value("wfi.timer.masked.not-early", now() >= a + second / 100); value("wfi.timer.masked.isr", MRS(isr_el1));
    MSR(cntv_ctl_el0, 2);
    cpu->handler = noted;
    a = now();
    MSR(cntv_cval_el0, a + second / 100); MSR(cntv_ctl_el0, 1);
    unmask(0x80);
    while (!*(volatile u64 *)&cpu->logged && now() < a + 2 * second) __asm__ volatile("wfi" ::: "memory");
    mask();
    taken("wfi.timer.taken");
    cpu->handler = 0;
    __asm__ volatile("sevl\n wfe" ::: "memory"); put("wfe.sevl: back\n");
    __asm__ volatile("sev\n wfe" ::: "memory"); put("wfe.sev: back\n");
    __asm__ volatile("yield\n nop\n sev\n sevl\n isb" ::: "memory"); put("hints: back\n");
}
