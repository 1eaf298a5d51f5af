//! One Arm vCPU and its VM: trap and emulate, injection, interrupts, timers, PSCI, state
#![no_std]
#![forbid(unsafe_code)]
