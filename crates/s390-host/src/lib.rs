//! The back end for IBM Z: drives the Start Arm Execution facility through its control blocks and DAT tables
#![no_std]
#![forbid(unsafe_code)]
