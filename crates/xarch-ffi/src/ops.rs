//! A back end of the embedder: registers and entering through its table, the loop here.

use crate::c::callbacks::{Context, Frame, Ops, size};
use crate::c::*;
use crate::convert;
use crate::objects::{BackendObject, CoreVcpu, VCPUS};
use crate::status::Status;
use core::sync::atomic::{AtomicBool, Ordering};
use xarch_abi::{
    Exit, Guest as _, Next, Outcome, Platform as _, RegId, RegisterError, Registers, TraceEvent, VcpuIndex,
};

/// What its vCPUs share.
#[derive(Debug)]
pub(crate) struct OpsHost {
    table: Ops,
    requests: [AtomicBool; VCPUS],
}

impl OpsHost {
    pub(crate) const fn new(table: Ops) -> Self {
        Self { table, requests: [const { AtomicBool::new(false) }; VCPUS] }
    }

    pub(crate) const fn table(&self) -> &Ops {
        &self.table
    }

    pub(crate) fn request_exit(&self, vcpu: VcpuIndex) {
        if let Some(flag) = self.requests.get(usize::from(vcpu.0)) {
            flag.store(true, Ordering::Release);
            self.table.request_exit(u32::from(vcpu.0));
        }
    }
}

/// One of them.
#[derive(Debug)]
pub(crate) struct OpsVcpu {
    host: &'static OpsHost,
    context: Context,
    index: VcpuIndex,
    /// Its own one of the host's.
    request: &'static AtomicBool,
    /// Registers that need no call.
    frame: Option<Frame>,
    #[cfg(feature = "next")]
    preempted: u64,
}

impl Registers for OpsVcpu {
    #[inline(always)]
    fn read(&mut self, id: RegId) -> Result<u64, RegisterError> {
        match self.frame.as_ref().and_then(|frame| frame.load(id)) {
            Some(value) => Ok(value),
            None => self.read_called(id),
        }
    }

    #[inline(always)]
    fn write(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        let stored = self.frame.as_mut().is_some_and(|frame| frame.store(id, value));
        if stored { Ok(()) } else { self.write_called(id, value) }
    }

    fn read_wide(&mut self, id: RegId) -> Result<u128, RegisterError> {
        if let Some(value) = self.frame.as_ref().and_then(|frame| frame.load(id)) {
            return Ok(u128::from(value));
        }
        match self.host.table.read(self.context, convert::id(id)) {
            Ok(value) => Ok(convert::whole(value)),
            Err(error) => Err(convert::register_error(id, 0, error)),
        }
    }

    fn write_wide(&mut self, id: RegId, value: u128) -> Result<(), RegisterError> {
        let [low, high] = convert::halves(value);
        if self.frame.as_ref().is_some_and(|frame| frame.load(id).is_some()) {
            return if high == 0 { self.write(id, low) } else { Err(RegisterError::Wide(id)) };
        }
        match self.host.table.write(self.context, convert::id(id), [low, high]) {
            XARCH_OK => Ok(()),
            error => Err(convert::register_error(id, low, error)),
        }
    }
}

impl OpsVcpu {
    pub(crate) fn new(host: &'static OpsHost, context: Context, index: VcpuIndex) -> Result<Self, Status> {
        let request = host.requests.get(usize::from(index.0)).ok_or(Status(XARCH_E_NOENT))?;
        Ok(Self {
            host,
            context,
            index,
            request,
            frame: host.table.frame(context)?,
            #[cfg(feature = "next")]
            preempted: 0,
        })
    }

    #[inline(never)]
    fn read_called(&mut self, id: RegId) -> Result<u64, RegisterError> {
        match self.host.table.read(self.context, convert::id(id)) {
            Ok([value, 0]) => Ok(value),
            Ok(_) => Err(RegisterError::Wide(id)),
            Err(error) => Err(convert::register_error(id, 0, error)),
        }
    }

    #[inline(never)]
    fn write_called(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        match self.host.table.write(self.context, convert::id(id), [value, 0]) {
            XARCH_OK => Ok(()),
            error => Err(convert::register_error(id, value, error)),
        }
    }

    /// Runs until the embedder is needed; the error is what `enter` returned.
    // What it keeps on the stack need not be there while the library's own engine runs.
    #[inline(never)]
    pub(crate) fn run_or_fail(
        &mut self,
        guest: &mut CoreVcpu,
        backend: &'static BackendObject,
    ) -> Result<Outcome, i32> {
        loop {
            if self.request.load(Ordering::Relaxed) && self.request.swap(false, Ordering::AcqRel) {
                return Ok(Outcome::Interrupted);
            }
            let mut next = guest.before_entry(self, backend);
            if matches!(next, Next::Resume) {
                let exit = self.enter()?;
                // What is frequent goes to the guest side without a detour: of a kind that is named here its decision
                // keeps no more than that kind needs.
                next = match exit.kind {
                    XARCH_EXIT_SPURIOUS => self.ask(guest, backend, Exit::Spurious),
                    XARCH_EXIT_TRAP => self.ask(guest, backend, Exit::Trap(convert::trap(&exit))),
                    XARCH_EXIT_ACCESS => match convert::memory_access(&exit) {
                        Some(access) => self.ask(guest, backend, Exit::Access(access)),
                        None => self.ask(guest, backend, convert::unknown(&exit)),
                    },
                    #[cfg(feature = "next")]
                    XARCH_EXIT_PREEMPTED if backend.has_agreed(XARCH_FEATURE_PREEMPTED) => {
                        match self.note_preempted(backend) {
                            Some(outcome) => return Ok(outcome),
                            None => Next::Resume,
                        }
                    }
                    _ => self.ask(guest, backend, convert::exit(&exit)),
                };
            }
            if matches!(next, Next::Resume) {
                continue;
            }
            if let Some(outcome) = next.obey(self.index, self, guest, backend) {
                return Ok(outcome);
            }
        }
    }

    /// Has the guest side decide.
    #[inline(always)]
    fn ask(&mut self, guest: &mut CoreVcpu, backend: &BackendObject, exit: Exit) -> Next {
        let next = guest.on_exit(self, backend, exit);
        // Asked first: the event is a copy of both.
        if backend.embedder.traces() {
            self.trace(backend, exit, next);
        }
        next
    }

    #[cold]
    #[inline(never)]
    fn trace(&self, backend: &BackendObject, exit: Exit, next: Next) {
        backend.trace(self.index, TraceEvent::Exit(exit, next));
    }

    #[inline(always)]
    fn enter(&self) -> Result<xarch_exit, i32> {
        let mut exit = xarch_exit {
            size: size::<xarch_exit>(),
            kind: XARCH_EXIT_SPURIOUS,
            syndrome: 0,
            fault_address: 0,
            address: 0,
            code: 0,
            direction: XARCH_DIRECTION_UNKNOWN,
            cause: 0,
            size_log2: XARCH_SIZE_UNKNOWN,
            walk_level: XARCH_WALK_LEVEL_UNKNOWN,
        };
        match self.host.table.enter(self.context, &mut exit) {
            XARCH_OK => Ok(exit),
            error => Err(error),
        }
    }

    #[cfg(feature = "next")]
    pub(crate) const fn preempted(&self) -> u64 {
        self.preempted
    }

    #[cfg(feature = "next")]
    fn note_preempted(&mut self, backend: &BackendObject) -> Option<Outcome> {
        self.preempted = self.preempted.wrapping_add(1);
        backend.embedder.preempted(u32::from(self.index.0));
        let limit = backend.preempted_limit.load(Ordering::Relaxed);
        self.preempted.checked_rem(limit).filter(|rest| *rest == 0).map(|_| Outcome::Interrupted)
    }
}
