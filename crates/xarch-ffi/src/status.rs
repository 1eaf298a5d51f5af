//! What an entry returns, and how the crates' errors become that.

use crate::c::*;
use s390_host::{HostError, MapError};
use xarch_abi::{CompletionError, RegisterError};

/// One of `XARCH_E_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(pub i32);

/// Returns what C is told.
pub(crate) fn code<E: Into<Status>>(result: Result<(), E>) -> i32 {
    match result {
        Ok(()) => XARCH_OK,
        Err(error) => error.into().0,
    }
}

impl From<MapError> for Status {
    fn from(error: MapError) -> Self {
        Self(match error {
            MapError::Unaligned(_) | MapError::OwnMemory(_) => XARCH_E_INVAL,
            MapError::OutOfRange(_) | MapError::HostRange(_) => XARCH_E_RANGE,
            MapError::Overlap(_) => XARCH_E_EXIST,
            MapError::NoSuchSlot(_) => XARCH_E_NOENT,
            MapError::TooManySlots => XARCH_E_NOSPC,
            MapError::NoTables => XARCH_E_NOMEM,
            MapError::Outside(_) => XARCH_E_IO,
        })
    }
}

impl From<HostError> for Status {
    fn from(error: HostError) -> Self {
        match error {
            HostError::AddressBits(_) | HostError::Vcpus(_) => Self(XARCH_E_INVAL),
            HostError::NoSuchVcpu(_) => Self(XARCH_E_NOENT),
            HostError::VcpuExists(_) => Self(XARCH_E_EXIST),
            HostError::TooSmall(_) => Self(XARCH_E_NOMEM),
            HostError::Map(error) => error.into(),
            HostError::NoGuestTime | HostError::NoFormat => Self(XARCH_E_NOTSUP),
            HostError::Storage(_) | HostError::Rejected(_) | HostError::WrongQmcBase(_) => Self(XARCH_E_IO),
        }
    }
}

impl From<RegisterError> for Status {
    fn from(error: RegisterError) -> Self {
        Self(match error {
            RegisterError::Unknown(_) => XARCH_E_NOENT,
            RegisterError::ReadOnly(_) => XARCH_E_PERM,
            RegisterError::Value(..) | RegisterError::Wide(_) => XARCH_E_INVAL,
            RegisterError::Host(..) => XARCH_E_IO,
        })
    }
}

impl From<vcpu_core::NoGicRegister> for Status {
    fn from(_: vcpu_core::NoGicRegister) -> Self {
        Self(XARCH_E_NOENT)
    }
}

impl From<CompletionError> for Status {
    fn from(error: CompletionError) -> Self {
        match error {
            CompletionError::NotWaiting(_) => Self(XARCH_E_NOENT),
            CompletionError::Mismatch(_) => Self(XARCH_E_INVAL),
            CompletionError::Register(error) => error.into(),
        }
    }
}
