//! A back end on plain memory: an interpreter of RV64I at user level, everything else of which traps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;
use xarch_abi::{
    AccessCause, AccessSize, Age, Backend, BackendVcpu, Bank, Direction, Entry, Exit, Guest, GuestPa,
    GuestRange, MemoryAccess, Outcome, Platform, RegId, RegisterError, Registers, Slot, StopReason, TimerSet,
    TraceEvent, Trap, VcpuIndex, Writable, drive,
};

use super::asm;

pub const PAGE: u64 = 4096;
pub const ADDRESS_BITS: u8 = 40;
/// `misa` of RV64I. Privileged Architecture, "Machine ISA Register".
pub const RV64I: u64 = 2 << 62 | 1 << 8;
/// Nanoseconds of a tick of `time`.
pub const TICK: u64 = 100;

/// Causes. Privileged Architecture, "Machine Cause Register".
pub const ILLEGAL: u64 = 2;
pub const ECALL_FROM_U: u64 = 8;
const FETCH_PAGE_FAULT: u64 = 12;
const LOAD_PAGE_FAULT: u64 = 13;
const STORE_PAGE_FAULT: u64 = 15;

/// Why a service was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum ToyError {
    Unaligned,
    OutOfRange,
    Overlap,
    NoSuchSlot,
}

impl std::fmt::Display for ToyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for ToyError {}

/// Host memory, whose first byte has address 0.
#[derive(Debug)]
pub struct Memory(Vec<AtomicU64>);

impl Memory {
    pub fn new(bytes: u64) -> Self {
        Self((0..bytes / 8).map(|_| AtomicU64::new(0)).collect())
    }

    pub fn load(&self, at: u64, bytes: u64) -> u64 {
        let word = self.0[(at / 8) as usize].load(SeqCst) >> (8 * (at % 8));
        if bytes == 8 { word } else { word & ((1 << (8 * bytes)) - 1) }
    }

    pub fn store(&self, at: u64, bytes: u64, value: u64) {
        let word = &self.0[(at / 8) as usize];
        if bytes == 8 {
            return word.store(value, SeqCst);
        }
        let (shift, mask) = (8 * (at % 8), (1 << (8 * bytes)) - 1);
        let put = |old: u64| Some(old & !(mask << shift) | (value & mask) << shift);
        let _ = word.fetch_update(SeqCst, SeqCst, put);
    }
}

#[derive(Clone, Copy, Debug)]
struct Page {
    host: u64,
    writable: bool,
    /// The next store is to be logged first.
    protected: bool,
    young: bool,
}

#[derive(Debug, Default)]
struct Tables {
    slots: Vec<Slot>,
    pages: BTreeMap<u64, Page>,
    dirty: BTreeSet<u64>,
}

/// One VM.
#[derive(Debug)]
pub struct ToyVm {
    pub memory: Memory,
    tables: Mutex<Tables>,
    /// Who wants the tables: harts let them go first.
    wanted: AtomicUsize,
    requests: Vec<AtomicBool>,
    started: Instant,
    /// Of stores of two bytes one arrives: for hosts that are to be broken.
    pub cuts_halves: bool,
}

impl ToyVm {
    pub fn new(vcpus: u16, bytes: u64) -> Self {
        Self {
            memory: Memory::new(bytes),
            tables: Mutex::default(),
            wanted: AtomicUsize::new(0),
            requests: (0..vcpus).map(|_| AtomicBool::new(false)).collect(),
            started: Instant::now(),
            cuts_halves: false,
        }
    }

    fn ticks(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64 / TICK
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.wanted.fetch_add(1, SeqCst);
        let tables = self.tables.lock().unwrap();
        self.wanted.fetch_sub(1, SeqCst);
        tables
    }

    fn check(&self, range: GuestRange) -> Result<(), ToyError> {
        if (range.start().value() | range.bytes()) % PAGE != 0 {
            return Err(ToyError::Unaligned);
        }
        if range.last().value() >> ADDRESS_BITS != 0 { Err(ToyError::OutOfRange) } else { Ok(()) }
    }
}

/// For hosts that are to be broken.
impl ToyVm {
    /// Returns the slot that holds an address.
    pub fn slot_of(&self, address: GuestPa) -> Option<Slot> {
        self.tables().slots.iter().find(|slot| slot.guest.contains(address)).copied()
    }

    /// Lets stores to the pages of a range go by unlogged.
    pub fn unprotect(&self, range: GuestRange) {
        self.tables().pages.range_mut(pages(range)).for_each(|(_, page)| page.protected = false);
    }

    /// Forgets a slot and leaves its pages mapped.
    pub fn forget_slot(&self, range: GuestRange) -> Result<(), ToyError> {
        self.check(range)?;
        let mut tables = self.tables();
        let place = tables.slots.iter().position(|slot| slot.guest == range).ok_or(ToyError::NoSuchSlot)?;
        tables.slots.remove(place);
        Ok(())
    }
}

fn pages(range: GuestRange) -> std::ops::RangeInclusive<u64> {
    range.start().value() / PAGE..=range.last().value() / PAGE
}

impl Backend for ToyVm {
    type Error = ToyError;

    fn add_slot(&self, slot: &Slot) -> Result<(), ToyError> {
        self.check(slot.guest)?;
        if slot.host.value() % PAGE != 0 {
            return Err(ToyError::Unaligned);
        }
        let mut tables = self.tables();
        if tables.slots.iter().any(|other| other.guest.overlaps(slot.guest)) {
            return Err(ToyError::Overlap);
        }
        tables.slots.push(*slot);
        Ok(())
    }

    fn remove_slot(&self, range: GuestRange) -> Result<(), ToyError> {
        self.check(range)?;
        let mut tables = self.tables();
        let place = tables.slots.iter().position(|slot| slot.guest == range).ok_or(ToyError::NoSuchSlot)?;
        tables.slots.remove(place);
        tables.pages.retain(|page, _| !pages(range).contains(page));
        tables.dirty.retain(|page| !pages(range).contains(page));
        Ok(())
    }

    fn unmap(&self, range: GuestRange) -> Result<(), ToyError> {
        self.check(range)?;
        self.tables().pages.retain(|page, _| !pages(range).contains(page));
        Ok(())
    }

    fn protect(&self, range: GuestRange) -> Result<(), ToyError> {
        self.check(range)?;
        self.tables().pages.range_mut(pages(range)).for_each(|(_, page)| page.protected = true);
        Ok(())
    }

    fn collect_dirty<F: FnMut(GuestPa)>(&self, range: GuestRange, report: F) -> Result<(), ToyError> {
        self.check(range)?;
        let dirty: Vec<u64> = {
            let mut tables = self.tables();
            let dirty: Vec<u64> = tables.dirty.range(pages(range)).copied().collect();
            for page in &dirty {
                tables.dirty.remove(page);
                if let Some(page) = tables.pages.get_mut(page) {
                    page.protected = true;
                }
            }
            dirty
        };
        dirty.into_iter().map(|page| GuestPa::new(page * PAGE)).for_each(report);
        Ok(())
    }

    fn age(&self, range: GuestRange) -> Result<Age, ToyError> {
        self.check(range)?;
        let mut age = Age::Old;
        for (_, page) in self.tables().pages.range_mut(pages(range)) {
            if std::mem::take(&mut page.young) {
                age = Age::Young;
            }
        }
        Ok(age)
    }

    fn request_exit(&self, vcpu: VcpuIndex) {
        if let Some(request) = self.requests.get(usize::from(vcpu.0)) {
            request.store(true, SeqCst);
        }
    }
}

/// What ends a few instructions.
enum Event {
    None,
    Trap { cause: u64, instruction: u32 },
    Fault { cause: u64, address: u64, bytes: u64, instruction: u32 },
}

/// One hart.
#[derive(Debug)]
pub struct ToyVcpu<'vm> {
    vm: &'vm ToyVm,
    index: VcpuIndex,
    x: [u64; 32],
    pc: u64,
    status: u64,
    vectors: [u128; 32],
    timer: u64,
    /// The timer was reported since it was set.
    rang: bool,
}

impl<'vm> ToyVcpu<'vm> {
    pub fn new(vm: &'vm ToyVm, index: VcpuIndex) -> Self {
        Self { vm, index, x: [0; 32], pc: 0, status: 0, vectors: [0; 32], timer: u64::MAX, rang: false }
    }

    fn place(&mut self, id: RegId) -> Option<&mut u64> {
        Some(match (id.bank, id.index) {
            (Bank::CORE, 0) => &mut self.pc,
            (Bank::CORE, 1) => &mut self.status,
            (Bank::GENERAL, 1..=31) => &mut self.x[id.index as usize],
            (Bank::CONTROL, index) if index == u32::from(asm::STIMECMP) => &mut self.timer,
            _ => return None,
        })
    }

    /// Finds the page of an access, or says which fault it is.
    fn page(tables: &mut Tables, address: u64, cause: u64) -> Option<u64> {
        let page = tables.pages.get_mut(&(address / PAGE))?;
        if cause == STORE_PAGE_FAULT && (page.protected || !page.writable) {
            return None;
        }
        page.young = true;
        Some(page.host + address % PAGE)
    }

    /// Runs a few instructions while nobody changes the tables.
    fn some_instructions(&mut self) -> Event {
        while self.vm.wanted.load(SeqCst) != 0 {
            std::thread::yield_now();
        }
        let vm = self.vm;
        let tables = &mut *vm.tables.lock().unwrap();
        for _ in 0..64 {
            let pc = self.pc;
            let fault =
                |cause, address, bytes, instruction| Event::Fault { cause, address, bytes, instruction };
            let Some(at) = Self::page(tables, pc, FETCH_PAGE_FAULT) else {
                return fault(FETCH_PAGE_FAULT, pc, 4, 0);
            };
            let word = vm.memory.load(at, 4) as u32;
            let (rd, rs1, rs2) = (word >> 7 & 31, word >> 15 & 31, word >> 20 & 31);
            let funct3 = word >> 12 & 7;
            let [a, b] = [rs1, rs2].map(|n| self.x[n as usize]);
            let imm_i = (word as i32 >> 20) as i64 as u64;
            let mut next = pc.wrapping_add(4);
            let result = match word & 0x7f {
                0x03 => {
                    let (address, bytes) = (a.wrapping_add(imm_i), 1 << (funct3 & 3));
                    let Some(at) = Self::page(tables, address, LOAD_PAGE_FAULT) else {
                        return fault(LOAD_PAGE_FAULT, address, bytes, word);
                    };
                    loaded(funct3, vm.memory.load(at, bytes))
                }
                0x23 => {
                    let imm = (word as i32 >> 25 << 5) as u32 | rd;
                    let (address, bytes) = (a.wrapping_add(imm as i32 as i64 as u64), 1 << (funct3 & 3));
                    let Some(at) = Self::page(tables, address, STORE_PAGE_FAULT) else {
                        return fault(STORE_PAGE_FAULT, address, bytes, word);
                    };
                    let arrives = if vm.cuts_halves && bytes == 2 { 1 } else { bytes };
                    vm.memory.store(at, arrives, b);
                    self.pc = next;
                    continue;
                }
                0x63 => {
                    let imm = (word as i32 >> 31 << 12) as u32
                        | (word >> 7 & 1) << 11
                        | (word >> 25 & 0x3f) << 5
                        | (word >> 8 & 15) << 1;
                    if taken(funct3, a, b) {
                        next = pc.wrapping_add(imm as i32 as i64 as u64);
                    }
                    self.pc = next;
                    continue;
                }
                0x13 => operate(funct3, word >> 30 & 1 == 1 && funct3 == 5, a, imm_i),
                0x33 => operate(funct3, word >> 30 & 1 == 1, a, b),
                0x1b => operate_word(funct3, word >> 30 & 1 == 1 && funct3 == 5, a, imm_i),
                0x3b => operate_word(funct3, word >> 30 & 1 == 1, a, b),
                0x37 => (word & 0xffff_f000) as i32 as i64 as u64,
                0x17 => pc.wrapping_add((word & 0xffff_f000) as i32 as i64 as u64),
                0x6f => {
                    let imm = (word as i32 >> 31 << 20) as u32
                        | (word & 0xff000)
                        | (word >> 20 & 1) << 11
                        | (word >> 21 & 0x3ff) << 1;
                    std::mem::replace(&mut next, pc.wrapping_add(imm as i32 as i64 as u64))
                }
                0x67 => std::mem::replace(&mut next, a.wrapping_add(imm_i) & !1),
                0x0f => self.x[rd as usize],
                0x73 if word == asm::ECALL => return Event::Trap { cause: ECALL_FROM_U, instruction: word },
                _ => return Event::Trap { cause: ILLEGAL, instruction: word },
            };
            if rd != 0 {
                self.x[rd as usize] = result;
            }
            self.pc = next;
        }
        Event::None
    }

    /// Runs the guest until something happens; `None` is what this side has dealt with.
    fn execute<P: Platform>(&mut self, platform: &P) -> Option<Exit> {
        loop {
            if self.vm.requests[usize::from(self.index.0)].load(SeqCst) {
                return Some(Exit::Spurious);
            }
            if !self.rang && self.vm.ticks() >= self.timer {
                self.rang = true;
                return Some(Exit::Timer(TimerSet::VIRTUAL));
            }
            match self.some_instructions() {
                Event::None => {}
                Event::Trap { cause, instruction } => {
                    let trap = Trap { syndrome: cause, fault_address: u64::from(instruction) };
                    return Some(Exit::Trap(trap));
                }
                Event::Fault { cause, address, bytes, instruction } => {
                    return self.fault(platform, cause, address, bytes, instruction).map(Exit::Access);
                }
            }
        }
    }

    fn fault<P: Platform>(
        &self,
        platform: &P,
        cause: u64,
        address: u64,
        bytes: u64,
        instruction: u32,
    ) -> Option<MemoryAccess> {
        let at = GuestPa::new(address);
        let why = if address >> ADDRESS_BITS != 0 {
            AccessCause::OutOfRange
        } else {
            match platform.slot(at) {
                None => AccessCause::NoSlot,
                Some(slot) => match self.resolve(at, &slot, cause == STORE_PAGE_FAULT) {
                    Some(why) => why,
                    None => {
                        platform.trace(self.index, TraceEvent::Mapped(at));
                        return None;
                    }
                },
            }
        };
        Some(MemoryAccess {
            address: at,
            size: AccessSize::from_log2(bytes.trailing_zeros() as u8),
            direction: match cause {
                STORE_PAGE_FAULT => Direction::Write,
                LOAD_PAGE_FAULT => Direction::Read,
                _ => Direction::Fetch,
            },
            cause: why,
            trap: Trap { syndrome: cause | u64::from(instruction) << 32, fault_address: address },
            walk_level: Default::default(),
        })
    }

    fn resolve(&self, at: GuestPa, slot: &Slot, is_store: bool) -> Option<AccessCause> {
        let tables = &mut *self.vm.tables();
        if !tables.slots.contains(slot) {
            return Some(AccessCause::NoSlot);
        }
        let writable = slot.writable == Writable::Yes;
        if is_store && !writable {
            return Some(AccessCause::ReadOnlySlot);
        }
        let number = at.value() / PAGE;
        let host = slot.host.value() + number * PAGE - slot.guest.start().value();
        if is_store {
            tables.dirty.insert(number);
        }
        tables.pages.insert(number, Page { host, writable, protected: !is_store, young: true });
        None
    }
}

fn loaded(funct3: u32, value: u64) -> u64 {
    match funct3 {
        0 => value as i8 as i64 as u64,
        1 => value as i16 as i64 as u64,
        2 => value as i32 as i64 as u64,
        _ => value,
    }
}

fn taken(funct3: u32, a: u64, b: u64) -> bool {
    let is_less = match funct3 >> 1 {
        0 => return (a == b) != (funct3 & 1 == 1),
        2 => (a as i64) < b as i64,
        _ => a < b,
    };
    is_less != (funct3 & 1 == 1)
}

fn operate(funct3: u32, other: bool, a: u64, b: u64) -> u64 {
    match funct3 {
        0 if other => a.wrapping_sub(b),
        0 => a.wrapping_add(b),
        1 => a << (b & 63),
        2 => u64::from((a as i64) < b as i64),
        3 => u64::from(a < b),
        4 => a ^ b,
        5 if other => (a as i64 >> (b & 63)) as u64,
        5 => a >> (b & 63),
        6 => a | b,
        _ => a & b,
    }
}

fn operate_word(funct3: u32, other: bool, a: u64, b: u64) -> u64 {
    let (a, b) = (a as u32, b as u32);
    let result = match funct3 {
        0 if other => a.wrapping_sub(b),
        0 => a.wrapping_add(b),
        1 => a << (b & 31),
        _ if other => (a as i32 >> (b & 31)) as u32,
        _ => a >> (b & 31),
    };
    result as i32 as i64 as u64
}

impl Registers for ToyVcpu<'_> {
    fn read(&mut self, id: RegId) -> Result<u64, RegisterError> {
        match (id.bank, id.index) {
            (Bank::SYSTEM, index) if index == u32::from(asm::TIME) => Ok(self.vm.ticks()),
            (Bank::HOST_LIMIT, index) if index == u32::from(asm::MISA) => Ok(RV64I),
            (Bank::VECTOR, 0..=31) => Err(RegisterError::Wide(id)),
            _ => self.place(id).copied().ok_or(RegisterError::Unknown(id)),
        }
    }

    fn write(&mut self, id: RegId, value: u64) -> Result<(), RegisterError> {
        match (id.bank, id.index) {
            (Bank::SYSTEM, index) if index == u32::from(asm::TIME) => Err(RegisterError::ReadOnly(id)),
            (Bank::HOST_LIMIT, index) if index == u32::from(asm::MISA) => Err(RegisterError::ReadOnly(id)),
            (Bank::VECTOR, 0..=31) => Err(RegisterError::Wide(id)),
            _ => {
                *self.place(id).ok_or(RegisterError::Unknown(id))? = value;
                self.rang &= id.bank != Bank::CONTROL;
                Ok(())
            }
        }
    }

    fn read_wide(&mut self, id: RegId) -> Result<u128, RegisterError> {
        match (id.bank, id.index) {
            (Bank::VECTOR, index @ 0..=31) => Ok(self.vectors[index as usize]),
            _ => self.read(id).map(u128::from),
        }
    }

    fn write_wide(&mut self, id: RegId, value: u128) -> Result<(), RegisterError> {
        match (id.bank, id.index) {
            (Bank::VECTOR, index @ 0..=31) => self.vectors[index as usize] = value,
            _ => {
                self.read(id)?;
                self.write(id, u64::try_from(value).map_err(|_| RegisterError::Wide(id))?)?;
            }
        }
        Ok(())
    }
}

impl Entry for ToyVcpu<'_> {
    fn index(&self) -> VcpuIndex {
        self.index
    }

    fn take_exit_request(&mut self) -> bool {
        self.vm.requests[usize::from(self.index.0)].swap(false, SeqCst)
    }

    fn enter<P: Platform>(&mut self, platform: &P) -> Result<Option<Exit>, StopReason> {
        Ok(self.execute(platform))
    }
}

impl BackendVcpu for ToyVcpu<'_> {
    fn run<G: Guest, P: Platform>(&mut self, guest: &mut G, platform: &P) -> Outcome {
        drive(self, guest, platform)
    }
}
