//! Memory, and CPUs that keep every translation for as long as they are allowed to.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code"
)]
extern crate std;
use crate::machine::{AddressSpace, CpuNumber, HostControl, OutsideMemory, Scope, TableStorage};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec::Vec;
use xarch_abi::{HostPa, Lock};

/// Host memory from 0 on.
#[derive(Debug)]
pub(crate) struct Memory(Vec<AtomicU64>);

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        Self((0..bytes / 8).map(|_| AtomicU64::new(0x5a5a_5a5a_5a5a_5a5a)).collect())
    }

    fn word(&self, at: HostPa) -> Result<&AtomicU64, OutsideMemory> {
        let index = usize::try_from(at.value() / 8).ok().filter(|_| at.value() % 8 == 0);
        index.and_then(|index| self.0.get(index)).ok_or(OutsideMemory(at))
    }
}

impl TableStorage for Memory {
    fn load(&self, at: HostPa) -> Result<u64, OutsideMemory> {
        Ok(self.word(at)?.load(Ordering::SeqCst))
    }

    fn store(&self, at: HostPa, value: u64) -> Result<(), OutsideMemory> {
        self.word(at)?.store(value, Ordering::SeqCst);
        Ok(())
    }
}

/// What was asked of all CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Invalidate(u64, Scope),
    Coherent(u64, u64),
    Kick(u16),
}

/// Writes down what is asked of all CPUs.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<Vec<Call>>);

impl Calls {
    pub(crate) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn note(&self, call: Call) {
        self.0.lock().unwrap().push(call);
    }
}

impl HostControl for Calls {
    fn invalidate(&self, space: AddressSpace, scope: Scope) {
        self.note(Call::Invalidate(arm_arch::sysreg::VttbrEl2::from_bits(space.vttbr).vmid().into(), scope));
    }

    fn make_coherent(&self, start: HostPa, bytes: u64) {
        self.note(Call::Coherent(start.value(), bytes));
    }

    fn kick(&self, cpu: CpuNumber) {
        self.note(Call::Kick(cpu.0));
    }
}

/// The standard library's mutex as a lock.
#[derive(Debug)]
pub(crate) struct StdLock<T>(Mutex<T>);

impl<T: Send> Lock<T> for StdLock<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    fn with<R>(&self, section: impl FnOnce(&mut T) -> R) -> R {
        section(&mut self.0.lock().unwrap())
    }
}
