//! Helpers for the workspace's tests: slow literal transcriptions, vector readers, instruction oracles
#![forbid(unsafe_code)]
