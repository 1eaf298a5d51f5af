//! Act three: protection. PoP ch. 3, "Protection".

use super::params::{Access, AccessList, Features, Params, Request};
use super::walk::{AccessControl, Mapping};
use s390_arch::pgm::ProtectionCause;
use s390_arch::skey::StorageKey;

/// Last byte of the effective addresses that fetch-protection override opens.
const FPO_LAST: u64 = 2047;

/// Judges low-address protection, which looks at the effective address before anything is translated.
/// PoP ch. 3, "Low-Address Protection".
pub(super) fn low_address(params: &Params, address: u64, access: Access) -> Option<ProtectionCause> {
    // Bytes 0-511 and 4096-4607.
    let is_low = address & !0x11ff == 0;
    let applies = params.lap && is_low && !params.is_private();
    (applies && access == Access::Store).then_some(ProtectionCause::LowAddress)
}

/// Judges what table entries and the access list say. PoP ch. 3, "Access-List-Controlled Protection",
/// "DAT Protection", "Instruction-Execution Protection".
#[inline]
pub(super) fn tables(
    features: Features,
    access_list: AccessList,
    mapping: &Mapping,
    access: Access,
) -> Option<ProtectionCause> {
    match access {
        Access::Fetch => None,
        Access::Store if access_list == AccessList::FetchOnly => Some(ProtectionCause::AccessList),
        Access::Store => mapping.dat_protected.then_some(ProtectionCause::Dat),
        Access::InstructionFetch => {
            (mapping.instruction_protected && features.iep).then_some(ProtectionCause::InstructionExecution)
        }
    }
}

/// Judges key-controlled protection. PoP ch. 3, "Key-Controlled Protection".
pub(super) fn key(
    params: &Params,
    address: u64,
    request: &Request,
    mapping: &Mapping,
    key: StorageKey,
) -> Option<ProtectionCause> {
    let control = mapping.access_control.unwrap_or(AccessControl { acc: key.acc(), f: key.f() });
    let own = request.key.into_bits();
    let is_fetch = request.access != Access::Store;
    let allowed = own == 0
        || own == control.acc
        || (is_fetch && !control.f)
        || (is_fetch && params.fpo && is_below_2_kib(address, request.bytes) && !params.is_private())
        || (params.spo && control.acc == 9);
    (!allowed).then_some(ProtectionCause::Key)
}

/// Returns whether all bytes of an operand's part lie at effective addresses 0 to 2047.
fn is_below_2_kib(address: u64, bytes: u16) -> bool {
    let last = address.checked_add(u64::from(bytes.saturating_sub(1)));
    last.is_some_and(|last| last <= FPO_LAST)
}
