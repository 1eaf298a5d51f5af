//! Loads, stores and atomics that a hypervisor may have to finish itself. Arm ARM, "Loads and stores".
//!
//! A data abort from stage 2 says what was accessed only for plain loads and stores of one general-purpose register
//! without write-back (ESR_ELx.ISS.ISV). For all others the instruction has to be looked at. [`decode`] turns its
//! word into an [`Access`] with table look-ups alone; what some accesses need and others do not, like the offset, is
//! computed when asked for.
//!
//! Holding an [`Access`] means that the word is allocated to that form in some version of the architecture. It does
//! not mean that the guest's features contain it: a word that reached memory was executed, so the processing element
//! has it. Encodings that are CONSTRAINED UNPREDICTABLE only for their register numbers (write-back to the
//! transferred register, pairs that load one register twice) are answered as if they were not; see
//! [`Access::is_unpredictable`].
//!
//! ```
//! use arm_arch::a64::access::{Address, Offset, Operation, decode};
//!
//! let access = decode(0xa8c1_0be1).unwrap(); // ldp x1, x2, [sp], #16
//! assert_eq!(access.operation(), Operation::Load);
//! assert_eq!((access.rt(), access.rt2(), access.rn()), (1, Some(2), 31));
//! assert_eq!(access.offset(), Offset::PostIndexed(16));
//! assert_eq!(access.bytes(), 16);
//! assert!(decode(0x8b02_0020).is_none()); // add x0, x1, x2
//! ```

mod table;

use crate::bits;

/// What is done with memory. Arm ARM, "Loads and stores".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Memory to registers.
    Load,
    /// Registers to memory.
    Store,
    /// Memory to registers, and the exclusive monitor is set.
    LoadExclusive,
    /// Registers to memory if the monitor is still set; Rs receives 0 or 1.
    StoreExclusive,
    /// Memory to Rt, and memory changed by Rs.
    Atomic(Atomic),
    /// A hint: nothing is transferred, nothing faults.
    Prefetch,
    /// A block of zeroes, aligned to its size (`DC ZVA`); the size is DCZID_EL0.BS.
    ZeroBlock,
    /// Cache maintenance by virtual address: nothing is transferred.
    Maintenance,
    /// Nothing that should be emulated on a device.
    Refused(Refusal),
}

/// What an atomic operation makes of the value in memory. Arm ARM, MemAtomicOp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Atomic {
    /// Memory plus Rs.
    Add,
    /// Memory without the bits of Rs.
    Clear,
    /// Exclusive or.
    Xor,
    /// Or.
    Set,
    /// The greater of signed numbers.
    SignedMax,
    /// The lesser of signed numbers.
    SignedMin,
    /// The greater of unsigned numbers.
    UnsignedMax,
    /// The lesser of unsigned numbers.
    UnsignedMin,
    /// Rs.
    Swap,
    /// Rt, if memory equals Rs; Rs receives what memory held.
    CompareAndSwap,
}

/// Why an access should not be emulated: no device of a hypervisor does what these do.
/// Arm ARM, LD64B, LDFADD, CPYP, STG, RCWCAS, GCSSTR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Single accesses of 64 bytes (FEAT_LS64: LD64B, ST64B, ST64BV).
    Bytes64,
    /// Atomics on floating-point numbers (FEAT_LSFE).
    FloatAtomic,
    /// Memory copy and set, which continue by registers (FEAT_MOPS).
    CopyOrSet,
    /// Allocation tags (FEAT_MTE).
    Tags,
    /// Read-check-write of translation tables (FEAT_THE).
    CheckedTranslation,
    /// Stores to a guarded control stack (FEAT_GCS).
    GuardedStack,
}

/// Between what registers and memory data goes, and how it changes on its way. Arm ARM, "Loads and stores".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transfer {
    /// General-purpose registers; loads extend with zeroes to 64 bits.
    General,
    /// General-purpose registers; loads extend the sign to 32 bits, and zeroes above.
    Signed32,
    /// General-purpose registers; loads extend the sign to 64 bits.
    Signed64,
    /// The low end of SIMD registers; loads clear the rest.
    Simd,
    /// Whole SIMD vectors, one after the other; the access size is that of an element.
    Vectors,
    /// Whole SIMD vectors, element by element of each register in turn.
    Interleaved,
    /// One lane of each SIMD register; loads leave the others.
    Lane,
    /// One element for each SIMD register, loaded to all of its lanes.
    Replicated,
}

/// How the address is made. Arm ARM, "Load/Store addressing modes".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Address {
    /// Rn.
    Base,
    /// Rn plus an unsigned multiple of the size.
    Scaled12,
    /// Rn plus a signed number of bytes.
    Signed9,
    /// The same, written back to Rn.
    Pre9,
    /// Rn, which then receives the sum.
    Post9,
    /// Rn plus a signed multiple of the size.
    Scaled7,
    /// The same, written back to Rn.
    Pre7,
    /// Rn, which then receives the sum.
    Post7,
    /// Rn minus the bytes stored, written back to Rn.
    PreSize,
    /// Rn, which then receives the sum with the bytes loaded.
    PostSize,
    /// Rn plus Rm, extended and shifted.
    Extended,
    /// The address of the instruction plus a signed number of words.
    Literal,
    /// Rn, which then receives the sum with Rm, or with the bytes accessed where Rm is 31.
    PostStructure,
    /// Rn, authenticated, plus a signed multiple of 8 (FEAT_PAuth).
    Authenticated,
    /// The same, written back to Rn.
    AuthenticatedPre,
    /// Rt: the address of a system instruction.
    Target,
}

/// Which registers are transferred, apart from Rs. Arm ARM, "Loads and stores".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Registers {
    /// None.
    Zero,
    /// Rt.
    One,
    /// Rt, and Rt2 in \[14:10\].
    Pair,
    /// Rt, and Rt2 in \[20:16\].
    PairHigh,
    /// Rt and the next.
    Consecutive2,
    /// Rt and the next two.
    Consecutive3,
    /// Rt and the next three.
    Consecutive4,
}

/// What is added to the base, and when. [`Access::offset`]. Arm ARM, "Load/Store addressing modes".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offset {
    /// Address is base plus this; the base stays.
    Immediate(i64),
    /// Address is base plus this, and the base receives it.
    PreIndexed(i64),
    /// Address is the base, which then receives the sum.
    PostIndexed(i64),
    /// Address is the base, which then receives the sum with this register.
    PostIndexedBy(u8),
    /// Address is base plus this register, extended and shifted.
    Register {
        /// Rm.
        rm: u8,
        /// How it is extended to 64 bits.
        extend: Extend,
        /// Left shift, in bits.
        shift: u8,
    },
    /// Address is that of the instruction plus this.
    Literal(i64),
}

/// How an offset register becomes 64 bits. Arm ARM, `ExtendReg`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extend {
    /// The low 32 bits, with zeroes.
    Uxtw,
    /// All 64.
    Lsl,
    /// The low 32 bits, with their sign.
    Sxtw,
    /// All 64.
    Sxtx,
}

impl Extend {
    /// Returns the register's value extended, and shifted left by `shift` bits. Arm ARM, ExtendReg.
    #[must_use]
    pub fn apply(self, value: u64, shift: u8) -> u64 {
        let extended = match self {
            Self::Uxtw => value & 0xffff_ffff,
            Self::Sxtw => bits::sign_extend(value, 32),
            Self::Lsl | Self::Sxtx => value,
        };
        extended.wrapping_shl(shift.into())
    }
}

/// One row of the table: what all words of one encoding have in common.
#[derive(PartialEq, Eq, Debug)]
#[repr(align(8))]
pub(crate) struct Form {
    operation: Operation,
    size_log2: u8,
    transfer: Transfer,
    address: Address,
    attributes: u8,
    registers: Registers,
}

const fn form(
    operation: Operation,
    size_log2: u8,
    transfer: Transfer,
    address: Address,
    attributes: u8,
    registers: Registers,
) -> Form {
    Form { operation, size_log2, transfer, address, attributes, registers }
}

/// A load, store or atomic. Arm ARM, "Loads and stores".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    word: u32,
    form: &'static Form,
}

/// Returns what a word accesses, or `None` where it is no access, an SVE or SME one, or unallocated.
/// Arm ARM, "Loads and stores"; ESR_EL2.ISV.
///
/// SVE and SME accesses are not decoded: they never report a valid syndrome, and transfer more than a device takes.
#[must_use]
#[inline]
pub fn decode(word: u32) -> Option<Access> {
    let key = *table::KEYS.get(index(word >> 21))?;
    let selected = bits::low16(key.into()) & bits::low16(word.into());
    let start = bits::low16(u64::from(key >> 16));
    let entry = *table::SLOTS.get(usize::from(start).wrapping_add(usize::from(selected >> 10)))?;
    match table::FORMS.get(usize::from(entry)) {
        Some(form) => Some(Access { word, form }),
        None if entry == table::NOTHING => None,
        None => decode_further(word, entry),
    }
}

/// Looks at fields that the table does not: \[20:16\] where a form fixes it, and system instructions.
fn decode_further(word: u32, entry: u16) -> Option<Access> {
    if entry == table::SYSTEM {
        return system(word);
    }
    let list = table::ALTERNATIVES.get(usize::from(entry.wrapping_sub(0x8000)))?;
    let rs = field(word, 16);
    let &(_, form) = list.iter().find(|(rule, _)| match rule {
        32 => true,
        33 => word & 0x1_0001 == 0,
        34 => rs != 31 && field(word, 0) != 31,
        value => *value == u32::from(rs),
    })?;
    Some(Access { word, form: table::FORMS.get(usize::from(form))? })
}

/// Instructions by virtual address. Arm ARM, DC ZVA, DC CVAC and the others.
fn system(word: u32) -> Option<Access> {
    const fn target(operation: Operation) -> Form {
        form(operation, 0, Transfer::General, Address::Target, 0, Registers::Zero)
    }
    static ZERO_BLOCK: Form = target(Operation::ZeroBlock);
    static TAGS: Form = target(Operation::Refused(Refusal::Tags));
    static MAINTENANCE: Form = target(Operation::Maintenance);
    let form = match word & 0xffff_ffe0 {
        0xd50b_7420 => &ZERO_BLOCK,
        // DC GVA, GZVA, IGVAC, IGDVAC; CGVAC, CGDVAC, CGVAP, CGDVAP, CGVADP, CGDVADP, CIGVAC, CIGDVAC.
        0xd50b_7460 | 0xd50b_7480 | 0xd508_7660 | 0xd508_76a0 | 0xd50b_7a60 | 0xd50b_7aa0 | 0xd50b_7c60
        | 0xd50b_7ca0 | 0xd50b_7d60 | 0xd50b_7da0 | 0xd50b_7e60 | 0xd50b_7ea0 => &TAGS,
        // IC IVAU; DC IVAC, CVAC, CVAU, CVAP, CVADP, CIVAC.
        0xd50b_7520 | 0xd508_7620 | 0xd50b_7a20 | 0xd50b_7b20 | 0xd50b_7c20 | 0xd50b_7d20 | 0xd50b_7e20 => {
            &MAINTENANCE
        }
        _ => return None,
    };
    Some(Access { word, form })
}

/// Widens an index; a value that does not fit an address finds no entry.
#[inline]
fn index(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Returns the register number at `low`.
#[inline]
fn field(word: u32, low: u32) -> u8 {
    bits::low8(u64::from(word.wrapping_shr(low) & 31))
}

/// Returns `width` bits at `low` as a signed number.
fn signed(word: u32, low: u32, width: u32) -> i64 {
    bits::signed(bits::sign_extend(u64::from(word.wrapping_shr(low)), width))
}

impl Access {
    /// Returns the instruction word.
    #[must_use]
    pub const fn word(self) -> u32 {
        self.word
    }

    /// Returns what is done with memory. Arm ARM, "Loads and stores".
    #[must_use]
    pub const fn operation(self) -> Operation {
        self.form.operation
    }

    /// Returns how data goes between registers and memory. Arm ARM, "Loads and stores".
    #[must_use]
    pub const fn transfer(self) -> Transfer {
        self.form.transfer
    }

    /// Returns how the address is made. Arm ARM, "Load/Store addressing modes".
    #[must_use]
    pub const fn address(self) -> Address {
        self.form.address
    }

    /// Returns which registers are transferred, apart from Rs. Arm ARM, "Loads and stores".
    #[must_use]
    pub const fn registers(self) -> Registers {
        self.form.registers
    }

    /// Returns how many registers are transferred, apart from Rs: 0 to 4. Arm ARM, "Loads and stores".
    #[must_use]
    pub const fn register_count(self) -> u8 {
        match self.form.registers {
            Registers::Zero => 0,
            Registers::One => 1,
            Registers::Pair | Registers::PairHigh | Registers::Consecutive2 => 2,
            Registers::Consecutive3 => 3,
            Registers::Consecutive4 => 4,
        }
    }

    /// Returns the base 2 logarithm of the bytes of one register or element: 0 to 4.
    /// Arm ARM, LDR (immediate), size; LD1 (single structure), scale.
    #[must_use]
    pub const fn size_log2(self) -> u8 {
        self.form.size_log2
    }

    /// Returns how many bytes of memory are touched; 0 where the word does not say it, as for `DC ZVA`, or nothing is
    /// transferred. Arm ARM, "Loads and stores".
    #[must_use]
    pub fn bytes(self) -> u8 {
        let unit = match self.form.transfer {
            Transfer::Vectors | Transfer::Interleaved => self.vector_bytes(),
            Transfer::General
            | Transfer::Signed32
            | Transfer::Signed64
            | Transfer::Simd
            | Transfer::Lane
            | Transfer::Replicated => 1u8.wrapping_shl(self.form.size_log2.into()),
        };
        unit.wrapping_mul(self.register_count())
    }

    /// Returns the bytes of the vectors of a SIMD structure, by Q: 8 or 16.
    /// Arm ARM, LD1 (multiple structures), Q.
    #[must_use]
    pub const fn vector_bytes(self) -> u8 {
        if self.word & (1 << 30) == 0 { 8 } else { 16 }
    }

    /// Returns the lane of a [`Transfer::Lane`], counted in elements of the access size; of no meaning for another.
    /// Arm ARM, LD1 (single structure), Q:S:size.
    #[must_use]
    pub fn lane(self) -> u8 {
        // Q:S:size, of which the bits below the element's size are 0 or select the size.
        let bytes = bits::low8(u64::from((self.word >> 27 & 8) | (self.word >> 10 & 7)));
        bytes.wrapping_shr(self.form.size_log2.into())
    }

    /// Returns Rt: the first register transferred. 31 is ZR for general-purpose registers. Arm ARM, "Register names".
    #[must_use]
    #[inline]
    pub fn rt(self) -> u8 {
        field(self.word, 0)
    }

    /// Returns the second register of a pair, or of two consecutive ones; `None` for any other number of registers.
    /// Arm ARM, LDP, Rt2; CASP; LD2 (multiple structures).
    #[must_use]
    #[inline]
    pub fn rt2(self) -> Option<u8> {
        match self.form.registers {
            Registers::Pair => Some(field(self.word, 10)),
            Registers::PairHigh => Some(field(self.word, 16)),
            Registers::Consecutive2 => Some(self.rt().wrapping_add(1) & 31),
            Registers::Zero | Registers::One | Registers::Consecutive3 | Registers::Consecutive4 => None,
        }
    }

    /// Returns Rn: the base. 31 is SP. Literals and system instructions have none; see [`Access::address`].
    /// Arm ARM, "Register names".
    #[must_use]
    #[inline]
    pub fn rn(self) -> u8 {
        field(self.word, 5)
    }

    /// Returns Rs: the operand of an atomic, or the status of an exclusive store. Arm ARM, LDADD, STXR, Rs.
    ///
    /// With 128-bit swaps and atomics (`SWPP`, `LDCLRP`, `LDSETP`) Rt and Rt2 are both operand and result: `None`.
    #[must_use]
    pub fn rs(self) -> Option<u8> {
        match self.form.operation {
            Operation::StoreExclusive => Some(field(self.word, 16)),
            Operation::Atomic(_) if self.form.registers != Registers::PairHigh => Some(field(self.word, 16)),
            Operation::Atomic(_)
            | Operation::Load
            | Operation::Store
            | Operation::LoadExclusive
            | Operation::Prefetch
            | Operation::ZeroBlock
            | Operation::Maintenance
            | Operation::Refused(_) => None,
        }
    }

    /// Returns what is added to the base, and whether the base changes. Arm ARM, "Load/Store addressing modes".
    #[must_use]
    pub fn offset(self) -> Offset {
        let word = self.word;
        let scale = self.form.size_log2.into();
        let scaled = |offset: i64| offset.wrapping_shl(scale);
        match self.form.address {
            Address::Base | Address::Target => Offset::Immediate(0),
            Address::Scaled12 => Offset::Immediate(scaled((word >> 10 & 0xfff).into())),
            Address::Signed9 => Offset::Immediate(signed(word, 12, 9)),
            Address::Pre9 => Offset::PreIndexed(signed(word, 12, 9)),
            Address::Post9 => Offset::PostIndexed(signed(word, 12, 9)),
            Address::Scaled7 => Offset::Immediate(scaled(signed(word, 15, 7))),
            Address::Pre7 => Offset::PreIndexed(scaled(signed(word, 15, 7))),
            Address::Post7 => Offset::PostIndexed(scaled(signed(word, 15, 7))),
            Address::PreSize => Offset::PreIndexed(i64::from(self.bytes()).wrapping_neg()),
            Address::PostSize => Offset::PostIndexed(self.bytes().into()),
            Address::Extended => Offset::Register {
                rm: field(word, 16),
                extend: match word >> 13 & 7 {
                    2 => Extend::Uxtw,
                    6 => Extend::Sxtw,
                    7 => Extend::Sxtx,
                    _ => Extend::Lsl,
                },
                shift: if word & (1 << 12) == 0 { 0 } else { self.form.size_log2 },
            },
            Address::Literal => Offset::Literal(signed(word, 5, 19).wrapping_mul(4)),
            Address::PostStructure => match field(word, 16) {
                31 => Offset::PostIndexed(self.bytes().into()),
                rm => Offset::PostIndexedBy(rm),
            },
            Address::Authenticated => Offset::Immediate(self.authenticated_offset()),
            Address::AuthenticatedPre => Offset::PreIndexed(self.authenticated_offset()),
        }
    }

    /// S:imm9, times 8. Arm ARM, LDRAA.
    fn authenticated_offset(self) -> i64 {
        signed((self.word >> 13 & 0x200) | (self.word >> 12 & 0x1ff), 0, 10).wrapping_mul(8)
    }

    /// Is true if Rn receives a new value. Arm ARM, "Load/Store addressing modes".
    #[must_use]
    pub const fn has_writeback(self) -> bool {
        match self.form.address {
            Address::Pre9
            | Address::Post9
            | Address::Pre7
            | Address::Post7
            | Address::PreSize
            | Address::PostSize
            | Address::PostStructure
            | Address::AuthenticatedPre => true,
            Address::Base
            | Address::Scaled12
            | Address::Signed9
            | Address::Scaled7
            | Address::Extended
            | Address::Literal
            | Address::Authenticated
            | Address::Target => false,
        }
    }

    /// Is true if the read is a Load-Acquire, in the RCsc or the RCpc sense.
    /// Arm ARM, "Load-Acquire, Load-AcquirePC, and Store-Release".
    #[must_use]
    pub const fn is_acquire(self) -> bool {
        self.form.attributes & 3 != 0
    }

    /// Is true if the read is a Load-AcquirePC (FEAT_LRCPC): may be seen before an earlier Store-Release.
    /// Arm ARM, "Load-Acquire, Load-AcquirePC, and Store-Release".
    #[must_use]
    pub const fn is_acquire_pc(self) -> bool {
        self.form.attributes & 2 != 0
    }

    /// Is true if the write is a Store-Release. Arm ARM, "Load-Acquire, Load-AcquirePC, and Store-Release".
    #[must_use]
    pub const fn is_release(self) -> bool {
        self.form.attributes & 4 != 0
    }

    /// Is true if the ordering is limited to the LORegion (FEAT_LOR). Arm ARM, LDLAR, STLLR.
    #[must_use]
    pub const fn is_limited(self) -> bool {
        self.form.attributes & 8 != 0
    }

    /// Is true if the access is made as EL0 would (LDTR and its like, FEAT_LSUI). Arm ARM, LDTR, STTR.
    #[must_use]
    pub const fn is_unprivileged(self) -> bool {
        self.form.attributes & 16 != 0
    }

    /// Is true if the data is not expected to be needed soon. Arm ARM, "Load/Store non-temporal Pair".
    #[must_use]
    pub const fn is_non_temporal(self) -> bool {
        self.form.attributes & 32 != 0
    }

    /// Is true if memory is read; never of what is refused. Arm ARM, ESR_EL2.WnR.
    #[must_use]
    pub const fn is_read(self) -> bool {
        matches!(self.form.operation, Operation::Load | Operation::LoadExclusive | Operation::Atomic(_))
    }

    /// Is true if memory may be written; never of what is refused. Arm ARM, ESR_EL2.WnR.
    #[must_use]
    pub const fn is_write(self) -> bool {
        matches!(
            self.form.operation,
            Operation::Store | Operation::StoreExclusive | Operation::Atomic(_) | Operation::ZeroBlock
        )
    }

    /// Is true for register numbers whose use together is CONSTRAINED UNPREDICTABLE: a base written back that is
    /// transferred too, two loads of one register, a status that is data or base. Arm ARM, LDR (immediate), LDP, STXR.
    #[must_use]
    pub fn is_unpredictable(self) -> bool {
        let general =
            matches!(self.form.transfer, Transfer::General | Transfer::Signed32 | Transfer::Signed64);
        let (rt, rn) = (self.rt(), self.rn());
        let second = self.rt2();
        let loads = matches!(self.form.operation, Operation::Load | Operation::LoadExclusive);
        let transfers = |register| rt == register || second == Some(register);
        let writes_base = general && self.has_writeback() && rn != 31 && transfers(rn);
        let loads_twice = loads && second == Some(rt);
        let status = match (self.form.operation, self.rs()) {
            (Operation::StoreExclusive, Some(rs)) => transfers(rs) || (rs == rn && rn != 31),
            _ => false,
        };
        writes_base || loads_twice || status
    }
}

#[cfg(test)]
mod tests;
