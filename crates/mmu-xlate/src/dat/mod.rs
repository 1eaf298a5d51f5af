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
//! ADDRESS, the storage window of SIE. Not modelled: translation-lookaside buffers, PER, guarded storage, secure
//! storage. Reference and change recording is reported, not done.

mod lra;
mod params;
mod prot;
mod sie;
mod walk;

pub use lra::{LoadRealAddress, load_real_address};
pub use params::{Access, AccessList, Facilities, Features, Params, Request, Space};
pub use sie::{OriginAboveLimit, StorageWindow};
pub use walk::{
    AccessControl, Cause, Entry, Fault, Leaf, Mapping, Place, Recording, StorageKeys, Target, Translation,
    walk, walk_asce,
};
