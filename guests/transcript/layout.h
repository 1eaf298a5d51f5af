/* What C and assembly both know of struct cpu (transcript.h asserts it). */
#define CPU_X          0        /* X0 to X30, then SP */
#define CPU_ESR        256      /* ESR, ELR, FAR, SPSR, DAIF */
#define CPU_VECTOR     296
#define CPU_RECOVER    304
#define CPU_STACK_END  16384
#define CPU_STACK1_END 24576    /* of exceptions */
#define CPU_STACK0_END 28672    /* of EL0 */
#define CPU_BYTES      28672
