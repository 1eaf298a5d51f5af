//! VMSAv8-64: stage 1 of the EL1&0 translation regime.
//!
//! A walk has three acts: [`Params`] reads registers, [`walk()`] follows descriptors, permissions are
//! judged against the [`Access`]. The result is a [`Translation`]; an error is the memory's alone.
//!
//! Modelled: the 4, 16 and 64 KiB granules, FEAT_TTST, FEAT_LVA, FEAT_LPA and FEAT_LPA2 as far as
//! stage 1 has them, hierarchical permissions and FEAT_HPDS, FEAT_PAN, FEAT_PAN3, WXN, FEAT_E0PD,
//! TBI and TBID, EPD, the contiguous hint, FEAT_HAFDBS (reported, not written), big-endian tables,
//! stage 1 off, `HCR_EL2.DC`, FEAT_XS attributes, NV1. Not modelled yet: the other regimes, stage 2, FEAT_HAFT,
//! FEAT_S1PIE, FEAT_S1POE, FEAT_AIE, FEAT_THE, FEAT_D128, FEAT_GCS, NFD, MTX.
//!
//! ```
//! use arm_arch::{Ipa, Va};
//! use mmu_xlate::TableMemory;
//! use mmu_xlate::vmsa::{Access, AccessKind, El1Registers, Implementation, Params, Privilege, Translation, walk};
//!
//! /// One table at 0x1000 whose first entry maps 1 GiB at 0x4000_0000.
//! struct Table;
//!
//! impl TableMemory<Ipa> for Table {
//!     type Error = core::convert::Infallible;
//!     fn load(&self, at: Ipa) -> Result<Option<[u8; 8]>, Self::Error> {
//!         Ok(Some(if at == Ipa::new(0x1000) { 0x4000_0705u64 } else { 0 }.to_le_bytes()))
//!     }
//! }
//!
//! let registers = El1Registers { sctlr: 0x1005, tcr: 0x19, ttbr0: 0x1000, mair: 0xff00, ..Default::default() };
//! let params = Params::el1(&registers, &Implementation::ARMV8_0);
//! let read = Access::new(AccessKind::Read, Privilege::Privileged);
//! let Ok(Translation::Mapped(mapping)) = walk(&params, Va::new(0x1234_5678), read, &Table) else { panic!() };
//! assert_eq!(mapping.output, Ipa::new(0x5234_5678));
//! assert_eq!(mapping.attributes.byte(), 0xff);
//! ```

mod attr;
mod params;
mod perm;
mod walk;

pub use attr::{Attributes, Cacheability, DeviceType, MemoryType, Shareability};
pub use params::{El1Registers, HardwareUpdates, Implementation, Params};
pub use perm::{Access, AccessKind, Permissions, Privilege};
pub use walk::{Fault, Mapping, OutputAddress, Stage, Translation, Update, walk};
