//! Device accesses that no syndrome describes: finished from the instruction's word, piece by piece.
//!
//! Pairs, write-back and SIMD forms abort with ISV = 0. The word is read as the guest would fetch it, and each
//! register becomes one device access, or two of 8 bytes. Registers change only when every piece is answered: until
//! then the instruction counts as not executed.
//!
//! Not finished, because a device access is no such thing: exclusives and atomics, which the guest is told with the
//! status for it; SIMD structures, DC ZVA, tags, authenticated pointers, and accesses that only partly touch the
//! page of the fault, which are external aborts.

use crate::inject::{read_general, system, write_general};
use crate::state::{Shared, Vcpu};
use arm_arch::a64::access::{self, Access, Offset, Operation, Transfer};
use arm_arch::addr::{Ipa, Level, Va};
use arm_arch::fault::FaultStatus;
use arm_arch::iss::{ByteOrder, DataAbort};
use arm_arch::pstate::PState;
use arm_arch::sysreg::names;
use arm_arch::{ExceptionLevel, StackPointer, bits};
use core::convert::Infallible;
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{self, AccessKind, El1Registers, Implementation, Params, Privilege, Translation};
use xarch_abi::{
    AccessSize, DeviceAccess, DeviceOperation, GuestPa, Lock, MemoryAccess, Platform, RegId, RegisterError,
    Registers,
};

/// Bytes of a page, which is as far as one fault tells where the guest-physical memory lies.
const PAGE: u64 = 4096;

/// One load or store on its way to a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Steps {
    access: Access,
    /// Where its first byte lies.
    first: GuestPa,
    order: ByteOrder,
    done: u8,
    /// The bytes of each piece, as numbers whose lowest byte lies at the lowest address.
    data: [u64; 4],
    /// The base register and what it receives at the end.
    writeback: Option<(RegId, u64)>,
    /// For the abort, if there is no device.
    iss: DataAbort,
    far: u64,
}

/// Guest memory as the guest's own tables need it.
struct Tables<'p, P>(&'p P);

impl<P: Platform> TableMemory<Ipa> for Tables<'_, P> {
    type Error = Infallible;

    fn load(&self, at: Ipa) -> Result<Option<[u8; 8]>, Infallible> {
        let mut entry = [0; 8];
        Ok(self.0.read_memory(GuestPa::new(at.bits()), &mut entry).ok().map(|()| entry))
    }
}

impl<const N: usize, L: Lock<Shared<N>>> Vcpu<'_, N, L> {
    /// Begins an access that aborted without a syndrome; the inner `Err` is what the guest is told instead.
    #[inline(never)]
    pub(crate) fn steps<R: Registers, P: Platform>(
        &self,
        registers: &mut R,
        platform: &P,
        fault: &MemoryAccess,
        iss: DataAbort,
    ) -> Result<Result<Steps, FaultStatus>, RegisterError> {
        let pc = registers.read(RegId::PC)?;
        let Some(word) = self.instruction(registers, platform, pc)? else {
            return Ok(Err(FaultStatus::External));
        };
        Self::begin(registers, fault, iss, (pc, word))
    }

    /// Begins the access of an instruction. Not part of its caller: what it keeps on the stack is not there while the
    /// instruction is looked for.
    #[inline(never)]
    fn begin<R: Registers>(
        registers: &mut R,
        fault: &MemoryAccess,
        iss: DataAbort,
        (pc, word): (u64, u32),
    ) -> Result<Result<Steps, FaultStatus>, RegisterError> {
        let far = fault.trap.fault_address;
        let access = match access::decode(word) {
            Some(access) if is_transfer(access) && access.is_write() == iss.wnr() => access,
            Some(access) if is_exclusive(access) => return Ok(Err(FaultStatus::UnsupportedExclusive)),
            Some(_) | None => return Ok(Err(FaultStatus::External)),
        };
        let base = base_register(registers, access.rn())?;
        let (address, writeback) = match access.offset() {
            Offset::Immediate(offset) => (registers.read(base)?.wrapping_add_signed(offset), None),
            Offset::PreIndexed(offset) => {
                let address = registers.read(base)?.wrapping_add_signed(offset);
                (address, Some((base, address)))
            }
            Offset::PostIndexed(offset) => {
                let address = registers.read(base)?;
                (address, Some((base, address.wrapping_add_signed(offset))))
            }
            Offset::Register { rm, extend, shift } => {
                let offset = extend.apply(read_general(registers, rm)?, shift);
                (registers.read(base)?.wrapping_add(offset), None)
            }
            Offset::Literal(offset) => (pc.wrapping_add_signed(offset), None),
            Offset::PostIndexedBy(_) => return Ok(Err(FaultStatus::External)),
        };
        // The top byte may be a tag. Where the first byte did not fault, part of the access is elsewhere.
        let is_first = (address ^ far) << 8 == 0;
        let fits = (far & (PAGE - 1)).saturating_add(access.bytes().into()) <= PAGE;
        if !is_first || !fits {
            return Ok(Err(FaultStatus::External));
        }
        let order = crate::inject::byte_order(registers)?;
        let mut steps =
            Steps { access, first: fault.address, order, done: 0, data: [0; 4], writeback, iss, far };
        if access.is_write() {
            for (number, register) in (0_u8..).zip(steps.registers()) {
                steps.put(number, read_register(registers, access, register)?);
            }
        }
        Ok(Ok(steps))
    }

    /// Reads the instruction at the PC as the guest fetched it; `None` where that is no longer possible.
    fn instruction<R: Registers, P: Platform>(
        &self,
        registers: &mut R,
        platform: &P,
        pc: u64,
    ) -> Result<Option<u32>, RegisterError> {
        let walked = self.translate(registers, platform, pc, AccessKind::Fetch)?;
        let Some(Translation::Mapped(mapping)) = walked else { return Ok(None) };
        let mut word = [0; 4];
        let read = platform.read_memory(GuestPa::new(mapping.output.bits()), &mut word);
        // Instructions are little-endian whatever data is. Arm ARM, "Instruction endianness".
        Ok(read.ok().map(|()| u32::from_le_bytes(word)))
    }

    /// Returns at which level the walk for an access at `address` finds no memory; the host did not say.
    ///
    /// The tables may have changed since, or the platform may not give them away: then 3. CHOICE: the likely one.
    #[inline(never)]
    pub(crate) fn walk_level<R: Registers, P: Platform>(
        &self,
        registers: &mut R,
        platform: &P,
        address: u64,
        kind: AccessKind,
    ) -> Result<Level, RegisterError> {
        Ok(match self.translate(registers, platform, address, kind)? {
            Some(Translation::Fault(vmsa::Fault { status: FaultStatus::ExternalOnWalk(level), .. })) => level,
            Some(_) | None => Level::L3,
        })
    }

    /// Translates a virtual address by the guest's own tables, as the running level would; `None` before the guest
    /// has a model.
    fn translate<R: Registers, P: Platform>(
        &self,
        registers: &mut R,
        platform: &P,
        address: u64,
        kind: AccessKind,
    ) -> Result<Option<Translation<Ipa>>, RegisterError> {
        if !self.told.is_known() {
            return Ok(None);
        }
        let state = El1Registers {
            sctlr: registers.read(system(names::SCTLR_EL1))?,
            tcr: registers.read(system(names::TCR_EL1))?,
            ttbr0: registers.read(system(names::TTBR0_EL1))?,
            ttbr1: registers.read(system(names::TTBR1_EL1))?,
            mair: registers.read(system(names::MAIR_EL1))?,
            hcr: crate::sysreg::HCR.into_bits(),
        };
        let params = Params::el1(&state, &Implementation::of(&self.told.model));
        let privilege = match PState::from_bits(registers.read(RegId::STATUS)?).el() {
            ExceptionLevel::El0 => Privilege::Unprivileged,
            ExceptionLevel::El1 | ExceptionLevel::El2 | ExceptionLevel::El3 => Privilege::Privileged,
        };
        let access = vmsa::Access::new(kind, privilege);
        let Ok(translation) = vmsa::walk::<Ipa, _>(&params, Va::new(address), access, &Tables(platform));
        Ok(Some(translation))
    }
}

/// Whether each register goes to or comes from memory by itself.
fn is_transfer(access: Access) -> bool {
    let moves = matches!(access.operation(), Operation::Load | Operation::Store);
    let whole = matches!(
        access.transfer(),
        Transfer::General | Transfer::Signed32 | Transfer::Signed64 | Transfer::Simd
    );
    let named = matches!(
        access.registers(),
        access::Registers::One | access::Registers::Pair | access::Registers::PairHigh
    );
    let computed = !matches!(
        access.address(),
        access::Address::Authenticated | access::Address::AuthenticatedPre | access::Address::Target
    );
    moves && whole && named && computed && !access.is_unpredictable()
}

fn is_exclusive(access: Access) -> bool {
    matches!(access.operation(), Operation::LoadExclusive | Operation::StoreExclusive | Operation::Atomic(_))
}

/// Names Xn, or the stack pointer in use for 31.
fn base_register<R: Registers>(registers: &mut R, number: u8) -> Result<RegId, RegisterError> {
    if number < 31 {
        return Ok(RegId::general(number));
    }
    // EL0 has no other than SP_EL0, and M says so.
    Ok(system(match PState::from_bits(registers.read(RegId::STATUS)?).stack_pointer() {
        StackPointer::SpEl0 => names::SP_EL0,
        StackPointer::SpElx => names::SP_EL1,
    }))
}

fn read_register<R: Registers>(registers: &mut R, access: Access, number: u8) -> Result<u128, RegisterError> {
    match access.transfer() {
        Transfer::Simd => registers.read_wide(RegId::vector(number)),
        Transfer::General
        | Transfer::Signed32
        | Transfer::Signed64
        | Transfer::Vectors
        | Transfer::Interleaved
        | Transfer::Lane
        | Transfer::Replicated => read_general(registers, number).map(u128::from),
    }
}

impl Steps {
    /// Bytes of one register's value: 1 to 16.
    fn unit(&self) -> u8 {
        1_u8.wrapping_shl(self.access.size_log2().into())
    }

    /// Bytes of one device access, and how many of them a register takes.
    const fn piece(&self) -> (AccessSize, u8) {
        match self.access.size_log2() {
            0 => (AccessSize::Byte, 1),
            1 => (AccessSize::Half, 1),
            2 => (AccessSize::Word, 1),
            3 => (AccessSize::Double, 1),
            _ => (AccessSize::Double, 2),
        }
    }

    fn pieces(&self) -> u8 {
        self.access.register_count().wrapping_mul(self.piece().1)
    }

    fn registers(&self) -> impl Iterator<Item = u8> + use<> {
        [Some(self.access.rt()), self.access.rt2()].into_iter().flatten()
    }

    /// Turns the value of a register into the number whose lowest byte lies at the lowest address, or back.
    fn in_order(&self, value: u128) -> u128 {
        let unused = u32::from(16_u8.saturating_sub(self.unit())) << 3;
        match self.order {
            ByteOrder::Little => value,
            ByteOrder::Big => value.swap_bytes().wrapping_shr(unused),
        }
    }

    /// Sets what register `number` of the instruction stores.
    fn put(&mut self, number: u8, value: u128) {
        let memory = self.in_order(value);
        let (_, each) = self.piece();
        let first = usize::from(number.wrapping_mul(each));
        let halves = [bits::trunc64(memory), bits::trunc64(memory >> 64)];
        for (place, half) in self.data.iter_mut().skip(first).zip(halves).take(each.into()) {
            *place = half;
        }
    }

    /// Returns what register `number` of the instruction loads.
    fn take(&self, number: u8) -> u128 {
        let (_, each) = self.piece();
        let first = usize::from(number.wrapping_mul(each));
        let mut halves = self.data.iter().skip(first).take(each.into()).copied().map(u128::from);
        let memory = halves.next().unwrap_or(0) | halves.next().unwrap_or(0) << 64;
        self.in_order(memory)
    }

    /// Returns the next device access, `None` once all are done.
    pub(crate) fn next(&self) -> Option<DeviceAccess> {
        if self.done >= self.pieces() {
            return None;
        }
        let (size, _) = self.piece();
        let address = self.first.checked_add(size.bytes().wrapping_mul(self.done.into()))?;
        let operation = if self.access.is_write() {
            DeviceOperation::Write(size.truncate(self.data.get(usize::from(self.done)).copied()?))
        } else {
            DeviceOperation::Read
        };
        Some(DeviceAccess { address, size, operation })
    }

    /// Takes the answer to the next device access; a store's is of no interest.
    pub(crate) fn answer(&mut self, value: u64) {
        let (size, _) = self.piece();
        if !self.access.is_write() {
            if let Some(place) = self.data.get_mut(usize::from(self.done)) {
                *place = size.truncate(value);
            }
        }
        self.done = self.done.wrapping_add(1);
    }

    /// What the guest is told if nothing answers the next device access: syndrome and fault address.
    pub(crate) fn fault(&self) -> (DataAbort, u64) {
        let (size, _) = self.piece();
        (self.iss, self.far.wrapping_add(size.bytes().wrapping_mul(self.done.into())))
    }

    /// Changes the registers, once every piece is done.
    pub(crate) fn finish<R: Registers>(&self, registers: &mut R) -> Result<(), RegisterError> {
        if !self.access.is_write() {
            for (number, register) in (0_u8..).zip(self.registers()) {
                self.load(registers, register, self.take(number))?;
            }
        }
        match self.writeback {
            Some((base, value)) => registers.write(base, value),
            None => Ok(()),
        }
    }

    fn load<R: Registers>(&self, registers: &mut R, number: u8, value: u128) -> Result<(), RegisterError> {
        let (low, width) = (bits::trunc64(value), u32::from(self.unit()) << 3);
        let value = match self.access.transfer() {
            Transfer::Simd => return registers.write_wide(RegId::vector(number), value),
            Transfer::Signed32 => bits::sign_extend(low, width) & 0xffff_ffff,
            Transfer::Signed64 => bits::sign_extend(low, width),
            Transfer::General
            | Transfer::Vectors
            | Transfer::Interleaved
            | Transfer::Lane
            | Transfer::Replicated => low,
        };
        write_general(registers, number, value)
    }
}
