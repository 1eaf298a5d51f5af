//! z/Architecture dynamic address translation: control registers and storage in, an address or a program
//! interruption out. PoP ch. 3.
//!
//! ```text
//!  Params ── LAP ──▶ tables ──▶ prefix ──▶ access list, P, IEP ──▶ storage there? ──▶ key ──▶ Mapping
//!            0x04    0x05 0x10 0x11 0x12              0x04             0x05          0x04
//!                    0x38 0x39 0x3A 0x3B
//! ```
//!
//! Modelled: all designation types and table lengths, real space, EDAT-1 and EDAT-2 frames, DAT protection,
//! instruction-execution protection, common segments and regions, private space, low-address protection, keys with
//! ACC and F of large frames, fetch- and storage-protection override, prefixing, access registers, TEID, LOAD REAL
//! ADDRESS, TEST PROTECTION, the storage window of SIE. Not modelled: translation-lookaside buffers, PER, guarded storage, secure
//! storage. Reference and change recording is reported, not done.
//!
//! What a host's tables make of a guest-physical address:
//!
//! ```
//! use core::convert::Infallible;
//! use mmu_xlate::TableMemory;
//! use mmu_xlate::dat::{Access, Features, Translation, walk_asce};
//! use s390_arch::pgm::ProgramCode;
//! use s390_arch::{Absolute, Asce, Virtual};
//!
//! struct Tables;
//! impl TableMemory<Absolute> for Tables {
//!     type Error = Infallible;
//!     fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, Infallible> {
//!         let entry: u64 = match at.bits() {
//!             0x13_0918 => 0x14_0000,  // segment table: a page table
//!             0x14_0228 => 0x234_5200, // page table: a frame, DAT protection
//!             _ => 0x20,
//!         };
//!         Ok(Some(entry.to_be_bytes()))
//!     }
//! }
//!
//! let asce = Asce::from_bits(0x13_0003);
//! let at = Virtual::from_bits(0x1234_5678);
//! let Ok(Translation::Mapped(mapping)) = walk_asce(asce, at, Access::Fetch, Features::ALL, &Tables) else { panic!() };
//! assert_eq!(mapping.absolute, Absolute::new(0x234_5678));
//!
//! let Ok(Translation::Fault(fault)) = walk_asce(asce, at, Access::Store, Features::ALL, &Tables) else { panic!() };
//! assert_eq!(fault.pic(), ProgramCode::PROTECTION);
//! assert_eq!(fault.teid.map(u64::from), Some(0x1234_5404));
//! ```

mod art;
mod lra;
mod params;
mod prot;
mod quick;
mod sie;
mod tprot;
mod walk;

pub use art::{AccessRegisterTranslation, BaseRegister, access_register};
pub use lra::{LoadRealAddress, load_real_address};
pub use params::{Access, AccessList, Facilities, Features, Params, Request, Space};
pub use sie::{OriginAboveLimit, StorageWindow};
pub use tprot::{TestProtection, test_protection};
pub use walk::{
    AccessControl, Cause, Entry, Fault, Leaf, Mapping, Place, Recording, StorageKeys, Target, Translation,
    walk, walk_asce,
};
