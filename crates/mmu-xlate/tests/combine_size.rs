//! For how many bytes an answer holds: no more than leaf, frame, origin and limit of storage let it. PoP ch. 3, large frames;
//! SAE control block, main-storage origin and limit.
#![cfg(all(feature = "vmsa", feature = "dat"))]
#![allow(missing_docs, clippy::panic, reason = "a test")]

use arm_arch::{Ipa, Va};
use mmu_xlate::TableMemory;
use mmu_xlate::combine::{Combined, HostTables, walk};
use mmu_xlate::dat::Features;
use mmu_xlate::vmsa::{Access, AccessKind, El1Registers, Implementation, Params, Privilege};
use s390_arch::addr::Absolute;
use s390_arch::dat::Asce;
use std::convert::Infallible;

/// A region-third table at 0x1_0000 with frames of 2 GiB, as they lie, in its first two entries.
struct Storage;

impl TableMemory<Absolute> for Storage {
    type Error = Infallible;

    fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, Infallible> {
        let entry: u64 = match at.bits() {
            0x1_0000 => 0x404,
            0x1_0008 => 0x8000_0404,
            _ => 0x20,
        };
        Ok(Some(entry.to_be_bytes()))
    }
}

#[test]
fn an_answer_holds_for_no_more_than_origin_and_limit_let_it() {
    // Stage 1 is off: the frame alone would be 31.
    let stage1 = Params::el1(&El1Registers::default(), &Implementation::ARMV8_0);
    let cases = [
        ("neither", 0, 0xffff_ffff, 0x1234_5678, 31),
        ("limit at the end of a frame", 0, 0x7fff_ffff, 0x1234_5678, 31),
        ("origin in the middle of a frame", 0x10_0000, 0xffff_ffff, 0x1234_5678, 20),
        ("limit within, far", 0, 0x1fff_ffff, 0x1234_5678, 29),
        ("limit within, near", 0, 0x1234_7fff, 0x1234_5678, 15),
        ("limit within, in the last part", 0, 0x1234_7fff, 0x1234_7678, 15),
        ("last page", 0, 0x1234_5fff, 0x1234_5678, 13),
        ("last page, odd", 0, 0x1234_4fff, 0x1234_4678, 12),
    ];
    for (name, origin, last, va, want) in cases {
        let host = HostTables {
            asce: Asce::from_bits(0x1_0007),
            origin,
            last: Ipa::new(last),
            features: Features::ALL,
        };
        let access = Access::new(AccessKind::Read, Privilege::Privileged);
        let found = walk(&stage1, &host, Va::new(va), access, &Storage);
        let Ok(Combined::Mapped(found)) = found else { panic!("{name}: {found:x?}") };
        assert_eq!(found.absolute, Absolute::new(va + origin), "{name}");
        assert_eq!(found.size_log2, want, "{name}");
    }
}
