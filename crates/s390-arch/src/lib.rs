//! What z/Architecture and the sources of Start Arm Execution define, as types.
//!
//! Modelled: PSW and addressing modes, the control registers that translation needs, ASCE and table entries with
//! EDAT-1, EDAT-2 and instruction-execution protection, program interruptions and the TEID, storage keys, the SIE
//! state description, the SAE control block, save area, QAAF result, encodings and interceptions. As traits: what the
//! SAE facility does ([`sae::Facility`], [`sae::HostControl`]) and host absolute storage ([`AbsoluteStorage`]).
//! Not modelled: instructions other than those of SAE, I/O, the system control area of SIE, protected guests beyond
//! their codes. Layouts only: the walk is in `mmu-xlate`, what to do about an interception in `s390-host`.
//!
//! ```text
//!   host                                        storage (Absolute, big-endian)
//!   ────────────────────────────────            ──────────────────────────────────────
//!   Facility: LASRM ── SAE ── STIASRM  ────────▶ sae::ControlBlock ──▶ sae::SaveArea
//!        ▲                                        │ hbasce
//!        │ Interception::decode                   ▼
//!        └── icptr, icptd                        dat: Asce ▶ Region* ▶ Segment* ▶ PageEntry
//! ```
//!
//! Bits are numbered from the left, as z/Architecture does. Unknown codes are values, never errors:
//!
//! ```
//! use s390_arch::pgm::{AccessException, ProgramCode};
//! use s390_arch::sae::{Interception, InterceptionCode};
//!
//! // A store to a page that the host's tables lack, as it lies in the control block at 0x080 and 0x400.
//! let icptd = [0x9200_0047, 0x0011, 0x4123_5400, 0xffff_8000_0123_5678, 0, 0, 0, 0];
//! let Interception::HostAccess(access) = Interception::decode(InterceptionCode(0x02), &icptd) else { panic!() };
//! assert_eq!(AccessException::decode(access.pic), Some(AccessException::PageTranslation));
//! assert_eq!(access.pic, ProgramCode::PAGE_TRANSLATION);
//! assert_eq!(access.teid.address(), 0x4123_5000);
//!
//! assert_eq!(
//!     Interception::decode(InterceptionCode(0x7f), &icptd),
//!     Interception::Unknown(InterceptionCode(0x7f)),
//! );
//! ```
//!
//! # Sources
//!
//! - "PoP": IBM, z/Architecture Principles of Operation, SA22-7832; cited by chapter and section, as facts known in
//!   general and compared with the definitions in Linux, QEMU and Hercules.
//! - "SAE control block (Linux s390 arm64 KVM series)": the posted series "KVM: s390: Introduce arm64 KVM" and its
//!   follow-up "KVM: arm64 on s390 System Register Handling". No architecture document of SAE is public; what is read
//!   out of the driver's use is marked inferred, and choices are marked `CHOICE:`.
//! - SIE: the Linux definition of the s390 state description; names of fields also in IBM SA22-7095.
//! - Arm registers held by SAE blocks: Arm ARM, DDI 0487, under the register's name.
#![no_std]
#![forbid(unsafe_code)]

pub mod addr;
pub mod cr;
pub mod dat;
mod open;
pub mod pgm;
pub mod psw;
pub mod sae;
pub mod sie;
pub mod skey;
pub mod storage;

pub use addr::{Absolute, FrameSize, Prefix, Real};
pub use dat::{Asce, Virtual};
pub use pgm::{ProgramCode, Teid};
pub use storage::{AbsoluteStorage, Frame, OutsideStorage};
