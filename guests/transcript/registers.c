/* System registers, as many as EL1 may read. The list comes out of the project's register data at build time. */
#include "transcript.h"

/* What a register asks of the guest's model, or of this program. */
enum gate { ALWAYS, TIME, CHANNEL, PAN, UAO, DIT, SSBS, TCO, RNG, RAS, ECV, BREAKPOINT, WATCHPOINT };
struct row { u16 encoding; u8 gate, number; };
#define REGISTER(encoding, gate, number, name) { encoding, gate, number },
static const struct row ROWS[] = {
#include "registers.inc"
};
#undef REGISTER
#define REGISTER(encoding, gate, number, name) name "\0"
static const char NAMES[] =
#include "registers.inc"
    ;

static u32 code[8] __attribute__((aligned(64)));

static int is_there(const struct row *row)
{
    u64 pfr0 = MRS(id_aa64pfr0_el1), pfr1 = MRS(id_aa64pfr1_el1), dfr0 = MRS(id_aa64dfr0_el1);
    switch ((enum gate)row->gate) {
    case PAN: return id_field(MRS(id_aa64mmfr1_el1), 20) != 0;
    case UAO: return id_field(MRS(S3_0_C0_C7_2), 4) != 0;
    case DIT: return id_field(pfr0, 48) != 0;
    case SSBS: return id_field(pfr1, 4) > 1;
    case TCO: return id_field(pfr1, 8) != 0;
    case RNG: return id_field(MRS(id_aa64isar0_el1), 60) != 0;
    case RAS: return id_field(pfr0, 28) != 0;
    case ECV: return id_field(MRS(id_aa64mmfr0_el1), 60) != 0;
    case BREAKPOINT: return row->number <= id_field(dfr0, 12);
    case WATCHPOINT: return row->number <= id_field(dfr0, 20);
    case ALWAYS: case TIME: case CHANNEL: return 1;
    }
    return 0;
}

static void set_code(u32 word)
{
    code[0] = word;
    code[1] = 0xd65f03c0;       /* RET */
    sync_code(code, 8);
}

void registers(void)
{
    const char *name = NAMES;
    for (unsigned i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        const struct row *row = &ROWS[i];
        const char *label = name;
        while (*name++) { }
        /* What the model does not announce, and nothing can hide where the hardware has it, is no business of ours. */
        if (!is_there(row)) { put("sysreg."); put(label); put(": not announced\n"); continue; }
        set_code(0xd5200000 | (u32)row->encoding << 5);
        u64 trapped = attempt(code, 0, 0, 0);
        if (row->gate == TIME || row->gate == RNG || row->gate == CHANNEL) putch('~');
        put("sysreg."); put(label); put(": ");
        if (!trapped) hex(self()->x[0]);
        else if (self()->esr == 0x2000000) put("undefined");
        else describe_trap(self(), code);
        putch('\n');
    }
}
