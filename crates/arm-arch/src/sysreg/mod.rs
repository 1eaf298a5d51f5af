//! System registers: their names, their encodings, and typed views of those that code reads by field.
//! Arm ARM, the register of each name.

pub mod control;
pub mod debug;
pub mod el3;
pub mod exception;
pub mod fine;
mod fp;
pub mod gcs;
pub mod gic;
mod id;
pub mod id_aa64;
pub mod identification;
pub mod instructions;
pub mod mpam;
pub mod names;
pub mod profiling;
pub mod regime;
#[cfg(feature = "tables")]
pub mod register;
#[cfg(feature = "tables")]
mod table;
pub mod timer;
pub mod translation;
pub mod user;

pub use control::{CpacrEl1, CptrEl2, CptrEl2Classic, FpEnable, HcrEl2, HcrxEl2, Sctlr2, SctlrEl1};
pub use debug::{DbgclaimEl1, MdccintEl1, MdcrEl2, MdscrEl1, OslarEl1, OslsrEl1};
pub use el3::{CptrEl3, MdcrEl3, ScrEl3};
pub use exception::{HpfarEl2, IsrEl1, VbarEl1};
pub use fine::HfgitrEl2;
pub use fp::{Fpcr, Fpsr};
pub use gcs::{GcscrEl1, Gcscre0El1};
pub use gic::{IccCtlr, IccIntid, IccSgi, IccSre, IchHcr, IchLr, IchMisr, IchVmcr, IchVtr, LrState};
pub use id::SysRegId;
pub use id_aa64::{
    IdAa64Dfr0, IdAa64Isar0, IdAa64Isar1, IdAa64Isar2, IdAa64Mmfr0, IdAa64Mmfr1, IdAa64Mmfr2, IdAa64Pfr0,
    IdAa64Pfr1, physical_address_bits, physical_address_code,
};
pub use identification::{ClidrEl1, CsselrEl1, CtrEl0, DczidEl0, MidrEl1, MpidrEl1};
pub use mpam::{Mpam2El2, Mpam3El3, MpamhcrEl2, MpamidrEl1};
pub use profiling::{Event, EventClass, Mss2, Pmbsr, Pmscr, Trbsr, Trfcr};
pub use regime::{GpccrEl3, Tcr2, TcrEl2, TcrEl3, VstcrEl2, VtcrEl2};
#[cfg(feature = "tables")]
pub use register::Register;
pub use timer::{CntCtl, CnthctlEl2, CnthctlEl2Classic, CntkctlEl1};
pub use translation::{MairEl1, ParFault, ParSuccess, TcrEl1, TtbrEl1, VttbrEl2};
pub use user::{AmuserenrEl0, PmuserenrEl0};
