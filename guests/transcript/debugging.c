#include "transcript.h"
void debugging(void) {}
