//! The Start Arm Execution facility in software: control blocks, save areas and DAT tables in, interceptions out
#![no_std]
#![forbid(unsafe_code)]
