#include "transcript.h"
void interrupts(void) {}
void timers(void) {}
void waiting(void) {}
