//! Why SIE ended. Linux s390 `kvm_host_types.h` and interception handling; names in SA22-7095.

use crate::open::open_code;
use bitfield_struct::bitfield;

open_code! {
    /// Interception code, `icptcode`: always a multiple of four.
    pub struct InterceptionCode(u8) {
        /// A host interruption or a fault in the host's tables ended SIE.
        NONE = 0x00, "none";
        /// Instruction, stored in `ipa` and `ipb`.
        INSTRUCTION = 0x04, "instruction";
        /// Program interruption of the guest.
        PROGRAM = 0x08, "program interruption";
        /// Both.
        INSTRUCTION_AND_PROGRAM = 0x0c, "instruction and program interruption";
        /// External request.
        EXTERNAL_REQUEST = 0x10, "external request";
        /// External interruption.
        EXTERNAL_INTERRUPTION = 0x14, "external interruption";
        /// I/O request.
        IO_REQUEST = 0x18, "I/O request";
        /// Wait state.
        WAIT = 0x1c, "wait state";
        /// Validity, see [`ValidityReason`].
        VALIDITY = 0x20, "validity";
        /// Stop request.
        STOP_REQUEST = 0x28, "stop request";
        /// Operation exception, instruction stored.
        OPERATION_EXCEPTION = 0x2c, "operation exception";
        /// Partial execution, instruction stored.
        PARTIAL_EXECUTION = 0x38, "partial execution";
        /// I/O interruption.
        IO_INTERRUPTION = 0x3c, "I/O interruption";
        /// I/O instruction, stored.
        IO_INSTRUCTION = 0x40, "I/O instruction";
        /// Expedited run subset.
        EXPEDITED_RUN = 0x44, "expedited run subset";
        /// Expedited timing subset.
        EXPEDITED_TIMING = 0x48, "expedited timing subset";
        /// Keyless subset: a storage-key instruction.
        KEYLESS_SUBSET = 0x5c, "keyless subset";
        /// Machine-check request.
        MACHINE_CHECK_REQUEST = 0x60, "machine-check request";
        /// Interruption enabled, of a protected guest.
        INTERRUPTION_ENABLE = 0x64, "interruption enable";
        /// Instruction of a protected guest.
        PV_INSTRUCTION = 0x68, "protected instruction";
        /// Notification by a protected guest.
        PV_NOTIFICATION = 0x6c, "protected notification";
        /// The prefix area of a protected guest is not secure.
        PV_PREFIX = 0x70, "protected prefix not secure";
    }
}

impl InterceptionCode {
    /// Returns whether `ipa` and `ipb` hold the instruction.
    #[must_use]
    pub const fn has_instruction(self) -> bool {
        matches!(
            self,
            Self::INSTRUCTION
                | Self::INSTRUCTION_AND_PROGRAM
                | Self::OPERATION_EXCEPTION
                | Self::PARTIAL_EXECUTION
                | Self::IO_INSTRUCTION
                | Self::PV_INSTRUCTION
                | Self::PV_NOTIFICATION
        )
    }
}

open_code! {
    /// Validity-interception reason, bits 0-15 of `ipb`.
    pub struct ValidityReason(u16) {
        /// Invalid mode or combination of modes.
        MODE = 0x0001, "invalid mode";
        /// Invalid architecture mode.
        ARCHITECTURE_MODE = 0x0002, "invalid architecture mode";
        /// S/370 mode not installed.
        S370 = 0x0003, "S/370 not installed";
        /// Region relocation not installed.
        REGION_RELOCATION = 0x0006, "region relocation not installed";
        /// Interpreted SIE not installed.
        INTERPRETED_SIE = 0x0007, "interpreted SIE not installed";
        /// Guest prefix outside guest storage.
        PREFIX_OUTSIDE = 0x0010, "prefix outside guest storage";
        /// The system control area lies in the host's prefix area.
        SCA_PREFIX = 0x0011, "SCA in host prefix";
        /// Formats of the crypto control blocks do not fit.
        CRYCB_FORMAT = 0x0022, "CRYCB formats incompatible";
        /// State description inside guest storage.
        BLOCK_OVERLAP = 0x0030, "state description in guest storage";
        /// System control area inside guest storage.
        SCA_OVERLAP = 0x0031, "SCA in guest storage";
        /// AP block inside guest storage.
        AP_OVERLAP = 0x0032, "AP block in guest storage";
        /// System control area at an invalid host address.
        SCA_ADDRESS = 0x0034, "SCA address";
        /// Crypto control block at an invalid host address.
        CRYCB_ADDRESS = 0x0035, "CRYCB address";
        /// Access exception on the guest's prefix pages.
        PREFIX_ACCESS = 0x0037, "prefix access exception";
        /// System control area below 8 KiB.
        SCA_LOW = 0x0038, "SCA below 8 KiB";
        /// Crypto control block needed and absent.
        CRYCB_ZERO = 0x0039, "CRYCB absent";
        /// PGSTE at an invalid address.
        PGSTE_ADDRESS = 0x003a, "PGSTE address";
        /// System control area crosses a 4 KiB boundary.
        SCA_CROSSES = 0x003b, "SCA crosses a page";
        /// Crypto control block crosses a 4 KiB boundary.
        CRYCB_CROSSES = 0x003c, "CRYCB crosses a page";
        /// Main-storage limit above the highest supported address.
        MSL_HIGH = 0x003d, "MSL too high";
        /// Main-storage origin above limit.
        MSO_ABOVE_MSL = 0x0041, "MSO above MSL";
        /// The same, found when accessing the prefix.
        MSO_ABOVE_MSL_PREFIX = 0x0042, "MSO above MSL, at prefix";
        /// Runtime-instrumentation block invalid.
        RI_BLOCK = 0x0043, "runtime-instrumentation block";
        /// Runtime-instrumentation mode invalid; a guest can provoke it.
        RI_MODE = 0x0044, "runtime-instrumentation mode";
        /// A zone contains the host's prefix.
        ZONE_PREFIX = 0x0046, "host prefix in zone";
        /// A preferred guest contains the host's prefix.
        PREFERRED_PREFIX = 0x0050, "host prefix in preferred guest";
        /// A preferred guest's main-storage origin is not zero.
        PREFERRED_MSO = 0x0051, "MSO of preferred guest";
        /// Transaction diagnostic block at an invalid address.
        ITDB_ADDRESS = 0x0080, "ITDB address";
        /// A problem of dynamic relocation; which of three reasons is which is inferred.
        DYNAMIC_RELOCATION = 0x1001, "dynamic relocation";
        /// A problem of the zone number (inferred, as above).
        ZONE_NUMBER = 0x1005, "zone number";
        /// Another problem of the zone number (inferred, as above).
        ZONE_NUMBER_2 = 0x1006, "zone number";
        /// Facility list not accessible.
        FACILITY_LIST = 0x1090, "facility list";
        /// State-description-extension origin invalid.
        SDNX_ORIGIN = 0x10b0, "SDNX origin";
        /// State-description-extension size not from 6 to 12.
        SDNX_SIZE = 0x10b1, "SDNX size";
        /// State-description extension not aligned to its size.
        SDNX_ALIGNMENT = 0x10b2, "SDNX alignment";
        /// Vector save area invalid.
        VECTOR_SAVE_AREA = 0x1310, "vector save area";
    }
}

/// Interception status, `icptstatus`.
#[bitfield(u8, order = Msb)]
#[derive(PartialEq, Eq)]
pub struct InterceptionStatus {
    /// 0: format 2.
    pub format2: bool,
    /// 1-2: length of the EXECUTE, in halfwords.
    #[bits(2)]
    pub execute_halfwords: u8,
    #[bits(3)]
    __: u8,
    /// 6: instruction-fetch PER event.
    pub fetch_per: bool,
    /// 7: the instruction was the target of an EXECUTE.
    pub executed: bool,
}
const _: () = assert!(InterceptionStatus::EXECUTE_HALFWORDS_OFFSET == 5);
const _: () = assert!(InterceptionStatus::FETCH_PER_OFFSET == 1 && InterceptionStatus::EXECUTED_OFFSET == 0);

/// Returns by how many bytes the PSW stands behind an intercepted instruction: to retry it is to go back so far.
///
/// The two top bits of the operation code give the length; of an executed instruction it is that of the EXECUTE.
#[must_use]
pub const fn instruction_bytes(ipa: u16, status: InterceptionStatus) -> u8 {
    if status.executed() {
        return match status.execute_halfwords() {
            0 => 4,
            halfwords => halfwords << 1,
        };
    }
    match ipa >> 14 {
        0 => 2,
        1 | 2 => 4,
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_code_is_a_multiple_of_four() {
        assert!(InterceptionCode::NAMED.iter().all(|code| code.0 & 3 == 0));
        assert!(InterceptionCode(0x04).has_instruction() && !InterceptionCode(0x1c).has_instruction());
    }

    #[test]
    fn length_comes_from_the_opcode_or_from_execute() {
        let plain = InterceptionStatus::new();
        for (ipa, status, bytes) in [
            (0x0a01, plain, 2),
            (0x8300, plain, 4),
            (0x4400, plain, 4),
            (0xb2b4, plain, 4),
            (0xb2b4, InterceptionStatus::from_bits(0x80), 4),
            (0xe500, plain, 6),
            (0x0a01, InterceptionStatus::from_bits(0x01), 4),
            (0x0a01, InterceptionStatus::from_bits(0x41), 4),
            (0x0a01, InterceptionStatus::from_bits(0x61), 6),
        ] {
            assert_eq!(instruction_bytes(ipa, status), bytes, "{ipa:#x} {status:?}");
        }
    }
}
