//! TEST PROTECTION: two walks whose outcome is a condition code. PoP ch. 10, "TEST PROTECTION".

use super::params::{Access, Params, Request};
use super::walk::{Fault, StorageKeys, Translation, walk};
use s390_arch::pgm::{AccessException, ProgramCode};
use s390_arch::skey::AccessKey;

/// What TEST PROTECTION ends with. PoP ch. 10, "TEST PROTECTION".
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TestProtection {
    /// Condition code 0: fetching and storing are permitted.
    FetchAndStore,
    /// Condition code 1: fetching is.
    Fetch,
    /// Condition code 2: neither is.
    Neither,
    /// Condition code 3: the address is not translated.
    NotTranslated,
    /// The instruction itself is interrupted: an addressing or translation-specification exception.
    Interrupted(AccessException),
}

impl TestProtection {
    /// Returns the condition code; `None` when interrupted.
    #[must_use]
    pub const fn condition_code(self) -> Option<u8> {
        match self {
            Self::FetchAndStore => Some(0),
            Self::Fetch => Some(1),
            Self::Neither => Some(2),
            Self::NotTranslated => Some(3),
            Self::Interrupted(_) => None,
        }
    }
}

/// Executes TEST PROTECTION for the location at an address, with an access key: that in bits 56-59 of the second operand. Every
/// kind of protection has a say; nothing is recorded. In access-register mode the access list was asked before
/// ([`super::access_register`]): what it refuses is condition code 3, too. PoP ch. 10, "TEST PROTECTION".
///
/// # Errors
///
/// Whatever the memory fails with.
pub fn test_protection<M: StorageKeys>(
    params: &Params,
    address: u64,
    key: AccessKey,
    mem: &M,
) -> Result<TestProtection, M::Error> {
    let ask = |access| walk(params, &Request { address, bytes: 1, access, key }, mem);
    let stored = match ask(Access::Store)? {
        Translation::Mapped(_) => return Ok(TestProtection::FetchAndStore),
        Translation::Fault(fault) => fault,
    };
    if !is_protection(&stored) {
        return Ok(untranslated(&stored));
    }
    // Low-address protection comes before translation, which a fetch gets to.
    Ok(match ask(Access::Fetch)? {
        Translation::Mapped(_) => TestProtection::Fetch,
        Translation::Fault(fault) if is_protection(&fault) => TestProtection::Neither,
        Translation::Fault(fault) => untranslated(&fault),
    })
}

fn is_protection(fault: &Fault) -> bool {
    fault.pic() == ProgramCode::PROTECTION
}

/// Returns how it ends where translation does not: exceptions that tell the address to be translated are a condition code.
const fn untranslated(fault: &Fault) -> TestProtection {
    if fault.exception.has_teid() {
        TestProtection::NotTranslated
    } else {
        TestProtection::Interrupted(fault.exception)
    }
}
