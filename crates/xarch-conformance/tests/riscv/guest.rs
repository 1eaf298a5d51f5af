//! A guest side: machine mode of RV64I, trapped and emulated, with a CLINT's timer and a finisher that turns the
//! machine off. RISC-V Privileged Architecture, "Machine-Level ISA"; the two devices are where SiFive put them.

use super::asm;
use super::machine::{ECALL_FROM_U, ILLEGAL, RV64I, TICK};
use xarch_abi::{
    AccessCause, AccessSize, Bank, CompletionError, Deadline, DeviceAccess, DeviceAnswer, DeviceOperation,
    Direction, Exit, Guest, GuestPa, MemoryAccess, Next, Platform, RegId, RegisterError, Registers,
    StopReason, Token, Trap, VcpuIndex,
};

pub const FINISHER: u64 = 0x0010_0000;
pub const FINISHER_PASS: u64 = 0x5555;
pub const MTIMECMP: u64 = 0x0200_4000;
pub const MTIME: u64 = 0x0200_bff8;

const MSTATUS_MIE: u64 = 1 << 3;
const MSTATUS_MPIE: u64 = 1 << 7;
/// There is one mode: MPP reads as machine mode.
const MSTATUS_MPP: u64 = 3 << 11;
const TIMER_INTERRUPT: u64 = 7;
const ECALL_FROM_M: u64 = 11;
const LOAD_ACCESS_FAULT: u64 = 5;
const STORE_ACCESS_FAULT: u64 = 7;
const FETCH_ACCESS_FAULT: u64 = 1;

/// What has to happen to the program counter before the guest runs or is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pending {
    #[default]
    None,
    Skip,
    Return,
    Exception {
        cause: u64,
        value: u64,
    },
}

/// A device access that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    access: DeviceAccess,
    token: Token,
    instruction: u32,
}

/// One hart in machine mode.
#[derive(Debug, Default)]
pub struct Hart {
    index: u16,
    mstatus: u64,
    mie: u64,
    mtip: bool,
    mtvec: u64,
    mscratch: u64,
    mepc: u64,
    mcause: u64,
    mtval: u64,
    mtimecmp: u64,
    pending: Pending,
    waiting: Option<Waiting>,
    tokens: u32,
}

/// An exit that cannot be emulated without this register.
type Done = Result<Next, RegisterError>;

impl Hart {
    pub fn new(index: VcpuIndex) -> Self {
        Self { index: index.0, ..Self::default() }
    }

    fn mip(&self) -> u64 {
        u64::from(self.mtip) << TIMER_INTERRUPT
    }

    /// Reads a CSR, `None` if there is none of that number.
    fn csr<R: Registers>(&self, registers: &mut R, number: u16) -> Result<Option<u64>, RegisterError> {
        Ok(Some(match number {
            asm::MSTATUS => self.mstatus | MSTATUS_MPP,
            asm::MISA => RV64I,
            asm::MIE => self.mie,
            asm::MTVEC => self.mtvec,
            asm::MSCRATCH => self.mscratch,
            asm::MEPC => self.mepc,
            asm::MCAUSE => self.mcause,
            asm::MTVAL => self.mtval,
            asm::MIP => self.mip(),
            asm::TIME => registers.read(RegId::system(asm::TIME))?,
            asm::MVENDORID => 0,
            asm::MHARTID => u64::from(self.index),
            _ => return Ok(None),
        }))
    }

    fn set_csr(&mut self, number: u16, value: u64) {
        match number {
            asm::MSTATUS => self.mstatus = value & (MSTATUS_MIE | MSTATUS_MPIE),
            asm::MIE => self.mie = value & 1 << TIMER_INTERRUPT,
            asm::MTVEC => self.mtvec = value & !2,
            asm::MSCRATCH => self.mscratch = value,
            asm::MEPC => self.mepc = value & !3,
            asm::MCAUSE => self.mcause = value,
            asm::MTVAL => self.mtval = value,
            _ => {}
        }
    }

    /// The one place that moves the program counter.
    fn apply<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        let pc = registers.read(RegId::PC)?;
        match self.pending {
            Pending::None => return Ok(()),
            Pending::Skip => registers.write(RegId::PC, pc.wrapping_add(4))?,
            Pending::Return => {
                registers.write(RegId::PC, self.mepc)?;
                let mie = if self.mstatus & MSTATUS_MPIE != 0 { MSTATUS_MIE } else { 0 };
                self.mstatus = mie | MSTATUS_MPIE;
            }
            Pending::Exception { cause, value } => {
                let vectored = self.mtvec & 1 != 0 && cause >> 63 != 0;
                let offset = if vectored { cause << 2 } else { 0 };
                registers.write(RegId::PC, (self.mtvec & !3).wrapping_add(offset))?;
                (self.mepc, self.mcause, self.mtval) = (pc, cause, value);
                self.mstatus = if self.mstatus & MSTATUS_MIE != 0 { MSTATUS_MPIE } else { 0 };
            }
        }
        self.pending = Pending::None;
        Ok(())
    }

    fn sample_timer<R: Registers>(&mut self, registers: &mut R) -> Result<u64, RegisterError> {
        let now = registers.read(RegId::system(asm::TIME))?;
        self.mtip = now >= self.mtimecmp;
        Ok(now)
    }

    fn prepare<R: Registers>(&mut self, registers: &mut R) -> Done {
        if let Some(Waiting { access, token, .. }) = self.waiting {
            return Ok(Next::Device(access, token));
        }
        self.apply(registers)?;
        self.sample_timer(registers)?;
        if self.mstatus & MSTATUS_MIE != 0 && self.mip() & self.mie != 0 {
            self.pending = Pending::Exception { cause: 1 << 63 | TIMER_INTERRUPT, value: 0 };
            self.apply(registers)?;
        }
        Ok(Next::Resume)
    }

    fn trap<R: Registers>(&mut self, registers: &mut R, trap: Trap) -> Done {
        let instruction = trap.fault_address as u32;
        match (trap.syndrome, instruction) {
            (ECALL_FROM_U, _) => self.pending = Pending::Exception { cause: ECALL_FROM_M, value: 0 },
            (ILLEGAL, asm::MRET) => self.pending = Pending::Return,
            (ILLEGAL, asm::WFI) => return self.wait(registers),
            (ILLEGAL, word) if word & 0x7f == 0x73 && word >> 12 & 3 != 0 => {
                self.access_csr(registers, word)?
            }
            (cause, word) => self.pending = Pending::Exception { cause, value: u64::from(word) },
        }
        Ok(Next::Resume)
    }

    fn access_csr<R: Registers>(&mut self, registers: &mut R, word: u32) -> Result<(), RegisterError> {
        let (number, rd, rs1) = ((word >> 20) as u16, (word >> 7 & 31) as u8, (word >> 15 & 31) as u8);
        let illegal = Pending::Exception { cause: ILLEGAL, value: u64::from(word) };
        let operand = match (word >> 14 & 1, rs1) {
            (1, imm) => u64::from(imm),
            (_, 0) => 0,
            (_, n) => registers.read(RegId::general(n))?,
        };
        let Some(old) = self.csr(registers, number)? else {
            self.pending = illegal;
            return Ok(());
        };
        let new = match word >> 12 & 3 {
            1 => Some(operand),
            2 => Some(old | operand).filter(|_| rs1 != 0),
            _ => Some(old & !operand).filter(|_| rs1 != 0),
        };
        if let Some(new) = new {
            // CSRs whose number begins with two ones cannot be written.
            if number >> 10 == 3 {
                self.pending = illegal;
                return Ok(());
            }
            self.set_csr(number, new);
        }
        if rd != 0 {
            registers.write(RegId::general(rd), old)?;
        }
        self.pending = Pending::Skip;
        Ok(())
    }

    /// Waits for an interrupt that is enabled; that all of them are masked does not count.
    fn wait<R: Registers>(&mut self, registers: &mut R) -> Done {
        self.pending = Pending::Skip;
        let now = self.sample_timer(registers)?;
        if self.mip() & self.mie != 0 {
            return Ok(Next::Resume);
        }
        let is_armed = self.mie >> TIMER_INTERRUPT & 1 != 0 && self.mtimecmp != u64::MAX;
        let deadline = is_armed.then(|| Deadline {
            counter: self.mtimecmp,
            nanoseconds: self.mtimecmp.saturating_sub(now).saturating_mul(TICK),
        });
        Ok(Next::Wait { deadline })
    }

    fn access<R: Registers>(&mut self, registers: &mut R, access: &MemoryAccess) -> Done {
        let (address, word) = (access.address.value(), (access.trap.syndrome >> 32) as u32);
        let fault = |cause| Pending::Exception { cause, value: access.trap.fault_address };
        if access.cause == AccessCause::OutOfRange || access.direction == Direction::Fetch {
            self.pending = match access.direction {
                Direction::Write => fault(STORE_ACCESS_FAULT),
                Direction::Fetch => fault(FETCH_ACCESS_FAULT),
                Direction::Read | Direction::Unknown => fault(LOAD_ACCESS_FAULT),
            };
            return Ok(Next::Resume);
        }
        let size = AccessSize::from_log2((word >> 12 & 3) as u8).unwrap_or(AccessSize::Double);
        let is_store = word & 0x7f == 0x23;
        let value = match (is_store, word >> 20 & 31) {
            (true, n @ 1..) => size.truncate(registers.read(RegId::general(n as u8))?),
            _ => 0,
        };
        match (address, is_store) {
            (FINISHER, true) if value == FINISHER_PASS => return Ok(Next::Stop(StopReason::PowerOff)),
            (MTIMECMP, true) => {
                self.mtimecmp = value;
                registers.write(RegId::control(asm::STIMECMP), value)?;
                self.pending = Pending::Skip;
            }
            (MTIMECMP, false) => self.loaded(registers, word, self.mtimecmp)?,
            (MTIME, false) => {
                let now = self.sample_timer(registers)?;
                self.loaded(registers, word, now)?;
            }
            _ => {
                let operation = if is_store { DeviceOperation::Write(value) } else { DeviceOperation::Read };
                let access = DeviceAccess { address: GuestPa::new(address), size, operation };
                self.tokens = self.tokens.wrapping_add(1);
                let token = Token(self.tokens);
                self.waiting = Some(Waiting { access, token, instruction: word });
                return Ok(Next::Device(access, token));
            }
        }
        Ok(Next::Resume)
    }

    /// Finishes a load.
    fn loaded<R: Registers>(
        &mut self,
        registers: &mut R,
        word: u32,
        value: u64,
    ) -> Result<(), RegisterError> {
        let value = match word >> 12 & 7 {
            0 => value as i8 as i64 as u64,
            1 => value as i16 as i64 as u64,
            2 => value as i32 as i64 as u64,
            4 => value & 0xff,
            5 => value & 0xffff,
            6 => value & 0xffff_ffff,
            _ => value,
        };
        let rd = (word >> 7 & 31) as u8;
        if rd != 0 {
            registers.write(RegId::general(rd), value)?;
        }
        self.pending = Pending::Skip;
        Ok(())
    }
}

fn or_stop(next: Done) -> Next {
    next.unwrap_or_else(|error| Next::Stop(StopReason::Register(error)))
}

impl Guest for Hart {
    fn before_entry<R: Registers, P: Platform>(&mut self, registers: &mut R, _: &P) -> Next {
        or_stop(self.prepare(registers))
    }

    fn on_exit<R: Registers, P: Platform>(&mut self, registers: &mut R, _: &P, exit: Exit) -> Next {
        match exit {
            Exit::Spurious | Exit::Timer(_) | Exit::Maintenance => Next::Resume,
            Exit::Trap(trap) => or_stop(self.trap(registers, trap)),
            Exit::Access(access) => or_stop(self.access(registers, &access)),
            Exit::Stop => Next::Stop(StopReason::Host),
            Exit::Invalid(state) => Next::Stop(StopReason::Invalid(state)),
            Exit::Unknown(code) => Next::Stop(StopReason::Unknown(code)),
        }
    }

    fn before_observe<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        self.apply(registers)
    }

    fn complete<R: Registers>(
        &mut self,
        registers: &mut R,
        token: Token,
        answer: DeviceAnswer,
    ) -> Result<(), CompletionError> {
        let waiting = self.waiting.filter(|waiting| waiting.token == token);
        let Waiting { access, instruction, .. } = waiting.ok_or(CompletionError::NotWaiting(token))?;
        match (answer, access.operation) {
            (DeviceAnswer::Value(value), DeviceOperation::Read) => {
                self.loaded(registers, instruction, value).map_err(CompletionError::Register)?;
            }
            (DeviceAnswer::Done, DeviceOperation::Write(_)) => self.pending = Pending::Skip,
            (DeviceAnswer::Absent, operation) => {
                let is_read = operation == DeviceOperation::Read;
                let cause = if is_read { LOAD_ACCESS_FAULT } else { STORE_ACCESS_FAULT };
                self.pending = Pending::Exception { cause, value: access.address.value() };
            }
            (DeviceAnswer::Value(_) | DeviceAnswer::Done, _) => return Err(CompletionError::Mismatch(token)),
        }
        self.waiting = None;
        Ok(())
    }

    fn get<R: Registers>(&mut self, registers: &mut R, id: RegId) -> Result<u64, RegisterError> {
        match (id.bank, u16::try_from(id.index)) {
            (Bank::SYSTEM, Ok(number)) => self.csr(registers, number)?.ok_or(RegisterError::Unknown(id)),
            _ => registers.read(id),
        }
    }

    fn set<R: Registers>(&mut self, registers: &mut R, id: RegId, value: u64) -> Result<(), RegisterError> {
        match (id.bank, u16::try_from(id.index)) {
            (Bank::SYSTEM, Ok(number)) => {
                self.csr(registers, number)?.ok_or(RegisterError::Unknown(id))?;
                self.set_csr(number, value);
                Ok(())
            }
            _ => registers.write(id, value),
        }
    }

    fn reset<R: Registers>(&mut self, registers: &mut R) -> Result<(), RegisterError> {
        *self = Self { index: self.index, mtimecmp: u64::MAX, ..Self::default() };
        registers.write(RegId::control(asm::STIMECMP), u64::MAX)?;
        registers.write(RegId::STATUS, 0)
    }
}
