//! Small guests, built here: an Image of A64 words with a serial port, exception vectors that tell what they saw,
//! and power-off by PSCI.
//!
//! ```text
//!   0x4000_0000  header ─ kit: start, puts, hex, report
//!   0x4000_0800  vectors: X26 := number of the vector, to the handler
//!   0x4000_1000  the test's own code, its strings, its data
//! ```
//!
//! X18 to X30 belong to the kit; the test's code has X0 to X17. The kit uses no stack.

pub mod a64;

use a64::*;
use std::collections::HashMap;

/// Where an Image without a text offset is loaded.
pub const BASE: u64 = 0x4000_0000;
/// Registers of the kit: where to go on after an exception (0 for the next instruction) and after EL0.
pub const RESUME: u32 = 19;
const AFTER: u32 = 18;
const UART: u32 = 27;
const ARGUMENT: u32 = 28;

pub const PL011: u64 = 0x0900_0000;
pub const PL031: u64 = 0x0901_0000;
pub const GICD: u64 = 0x0800_0000;
pub const GICR: u64 = 0x080a_0000;

/// SCTLR_EL1 without anything enabled, and with MMU and caches.
pub const SCTLR_OFF: u64 = 0x30d0_0800;
pub const SCTLR_ON: u64 = SCTLR_OFF | 0x1005;
/// 39 bits of TTBR0 in 4 KiB pages, cacheable, TTBR1 off, 40 bits of output.
pub const TCR: u64 = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 32;
/// Attribute 0 is Device-nGnRnE, 1 Normal write-back.
pub const MAIR: u64 = 0xff00;

/// Descriptor bits of stage 1. Arm ARM, "Translation table descriptor formats".
const TABLE: u64 = 3;
const PAGE: u64 = 3;
const BLOCK: u64 = 1;
const DEVICE: u64 = 1 << 10 | 1 << 53 | 1 << 54;
const KERNEL: u64 = 1 << 10 | 3 << 8 | 1 << 2 | 1 << 54;
const USER: u64 = 1 << 10 | 3 << 8 | 1 << 2 | 1 << 6 | 1 << 53;
const USER_DEVICE: u64 = DEVICE | 1 << 6;

type Word = Box<dyn Fn(i64) -> u32>;
type Bytes = Box<dyn Fn(&dyn Fn(&str) -> u64) -> Vec<u8>>;

struct Data {
    label: String,
    align: usize,
    bytes: usize,
    make: Bytes,
}

/// A guest under construction.
pub struct Program {
    words: Vec<u32>,
    labels: HashMap<String, usize>,
    fixups: Vec<(usize, String, Word)>,
    data: Vec<Data>,
    names: usize,
    user: usize,
}

impl Program {
    /// Starts a program with the kit before it; exceptions are reported in the transcript.
    pub fn new() -> Self {
        Self::with_handler("report")
    }

    /// Starts a program whose exceptions go to a label of its own, with the vector's number in X26.
    pub fn with_handler(handler: &'static str) -> Self {
        let mut program = Self {
            words: Vec::new(),
            labels: HashMap::new(),
            fixups: Vec::new(),
            data: Vec::new(),
            names: 0,
            user: 0,
        };
        program.to("start", b);
        program.words.resize(16, 0);
        program.kit();
        assert!(program.words.len() <= 0x200, "the kit reaches the vectors");
        program.words.resize(0x200, 0);
        program.label("vectors");
        for vector in 0..16 {
            program.words.resize(0x200 + vector * 32, 0);
            program.op(movz(26, vector as u32, 0));
            program.to(handler, b);
        }
        program.words.resize(0x400, 0);
        program.label("start");
        program.cpu_start();
        program
    }

    /// What every CPU does first.
    pub fn cpu_start(&mut self) {
        self.set(UART, PL011);
        self.op(movz(RESUME, 0, 0));
        self.to("vectors", |o| adr(25, o));
        self.op(msr(VBAR_EL1, 25));
        self.set(25, 3 << 20);
        self.ops(&[msr(CPACR_EL1, 25), ISB]);
    }

    fn kit(&mut self) {
        // The string at X28.
        self.label("puts");
        self.op(ldrb_next(24, ARGUMENT));
        self.to("puts-end", |o| cbz(24, o));
        self.op(str_w(24, UART, 0));
        self.to("puts", b);
        self.label("puts-end");
        self.op(ret());
        // X28 in 16 digits.
        self.label("hex");
        self.op(movz(23, 16, 0));
        self.label("digit");
        self.ops(&[lsr(24, ARGUMENT, 60), lsl(ARGUMENT, ARGUMENT, 4), cmp_i(24, 10), add_i(24, 24, 0x30)]);
        self.to("decimal", |o| b_cond(LO, o));
        self.op(add_i(24, 24, 0x27));
        self.label("decimal");
        self.ops(&[str_w(24, UART, 0), sub_i(23, 23, 1)]);
        self.to("digit", |o| cbnz(23, o));
        self.op(ret());
        self.report();
    }

    /// Tells of an exception: `! vector ESR ELR FAR`, and goes on at X19 or at the next instruction; an interrupt:
    /// `i INTID`, with both timers masked. An SVC from EL0 is the way back from there.
    fn report(&mut self) {
        self.label("report");
        self.ops(&[mrs(20, ESR_EL1), mrs(21, ELR_EL1), mrs(22, FAR_EL1)]);
        self.ops(&[ubfx(24, 26, 0, 2), cmp_i(24, 1)]);
        self.to("report-irq", |o| b_cond(EQ, o));
        self.ops(&[ubfx(24, 20, 26, 6), cmp_i(24, 0x15)]);
        self.to("report-print", |o| b_cond(NE, o));
        self.op(lsr(24, 26, 3));
        self.to("report-print", |o| cbz(24, o));
        self.op(movz(25, 0x3c5, 0));
        self.ops(&[msr(ELR_EL1, AFTER), msr(SPSR_EL1, 25), ERET]);
        self.label("report-print");
        self.say("!");
        for register in [26, 20, 21, 22] {
            self.say(" ");
            self.op(mov(ARGUMENT, register));
            self.to("hex", bl);
        }
        self.say("\n");
        // An SVC has its return address behind it already.
        self.ops(&[mov(24, 21), ubfx(25, 20, 26, 6), cmp_i(25, 0x15)]);
        self.to("report-behind", |o| b_cond(EQ, o));
        self.op(add_i(24, 21, 4));
        self.label("report-behind");
        self.to("report-next", |o| cbz(RESUME, o));
        self.op(mov(24, RESUME));
        self.label("report-next");
        self.ops(&[msr(ELR_EL1, 24), ERET]);
        self.label("report-irq");
        self.ops(&[movz(25, 2, 0), msr(CNTV_CTL_EL0, 25), msr(CNTP_CTL_EL0, 25), ISB]);
        self.ops(&[mrs(20, ICC_IAR1_EL1), msr(ICC_EOIR1_EL1, 20)]);
        self.say("i ");
        self.op(mov(ARGUMENT, 20));
        self.to("hex", bl);
        self.say("\n");
        self.op(ERET);
    }

    /// Names this place.
    pub fn label(&mut self, name: &str) {
        let at = self.words.len() * 4;
        assert!(self.labels.insert(name.into(), at).is_none(), "{name} is there already");
    }

    /// Makes up a label.
    pub fn fresh(&mut self) -> String {
        self.names += 1;
        format!("fresh {}", self.names)
    }

    /// Adds an instruction.
    pub fn op(&mut self, word: u32) {
        self.words.push(word);
    }

    /// Adds instructions.
    pub fn ops(&mut self, words: &[u32]) {
        self.words.extend(words);
    }

    /// Adds an instruction that refers to a label.
    pub fn to(&mut self, label: &str, instruction: impl Fn(i64) -> u32 + 'static) {
        self.fixups.push((self.words.len(), label.into(), Box::new(instruction)));
        self.words.push(0);
    }

    /// Puts a number into a register.
    pub fn set(&mut self, register: u32, value: u64) {
        let part = |half: u32| (value >> (16 * half)) as u32 & 0xffff;
        self.op(movz(register, part(0), 0));
        for half in 1..4 {
            if part(half) != 0 {
                self.op(movk(register, part(half), half));
            }
        }
    }

    /// Puts a number into a system register, by way of X17.
    pub fn write(&mut self, register: u32, value: u64) {
        self.set(17, value);
        self.op(msr(register, 17));
    }

    /// Prints a string.
    pub fn say(&mut self, text: &str) {
        let label = self.fresh();
        self.to(&label, |o| adr(ARGUMENT, o));
        self.to("puts", bl);
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.data(&label, 1, bytes);
    }

    /// Prints a register and ends the line.
    pub fn print(&mut self, register: u32) {
        self.op(mov(ARGUMENT, register));
        self.to("hex", bl);
        self.say("\n");
    }

    /// Calls a function of the firmware.
    pub fn call(&mut self, id: u64, arguments: [u64; 3]) {
        self.set(0, id);
        for (register, argument) in (1..).zip(arguments) {
            self.set(register, argument);
        }
        self.op(hvc(0));
    }

    /// Turns the machine off.
    pub fn power_off(&mut self) {
        self.call(0x8400_0008, [0; 3]);
        self.hang();
    }

    /// Stays here.
    pub fn hang(&mut self) {
        self.op(b(0));
    }

    /// After an exception, goes on at a label (`None`: at the next instruction).
    pub fn resume_at(&mut self, label: Option<&str>) {
        match label {
            Some(label) => self.to(label, |o| adr(RESUME, o)),
            None => self.op(movz(RESUME, 0, 0)),
        }
    }

    /// Runs code at a label at EL0, interrupts masked, until it executes an SVC.
    pub fn at_el0(&mut self, label: &str) {
        let after = self.fresh();
        self.to(&after, |o| adr(AFTER, o));
        self.to(label, |o| adr(17, o));
        self.ops(&[msr(ELR_EL1, 17), movz(17, 0x3c0, 0), msr(SPSR_EL1, 17), ERET]);
        self.label(&after);
    }

    /// Repeats what `body` adds `times` times, counting in a register.
    pub fn repeat(&mut self, register: u32, times: u64, body: impl FnOnce(&mut Self)) {
        let label = self.fresh();
        self.set(register, times);
        self.label(&label);
        body(self);
        self.op(sub_i(register, register, 1));
        self.to(&label, move |o| cbnz(register, o));
    }

    /// Makes interrupts of the virtual and physical timers (PPI 27 and 30) arrive at this CPU, number `cpu`.
    pub fn interrupts(&mut self, cpu: u64) {
        let frame = GICR + cpu * 0x2_0000;
        // GICD_CTLR: ARE, group 1. GICR_WAKER: awake. IGROUPR0, ISENABLER0 of the SGI frame.
        let timers = 1 << 27 | 1 << 30;
        for (address, value) in [
            (GICD, 0x12),
            (frame + 0x14, 0),
            (frame + 0x1_0080, 0xffff_ffff),
            (frame + 0x1_0100, timers | 0xffff),
        ] {
            self.set(16, address);
            self.set(17, value);
            self.op(str_w(17, 16, 0));
        }
        self.write(ICC_SRE_EL1, 7);
        self.op(ISB);
        self.write(ICC_PMR_EL1, 0xff);
        self.write(ICC_IGRPEN1_EL1, 1);
        self.op(ISB);
    }

    /// Adds data behind the code.
    pub fn data(&mut self, label: &str, align: usize, bytes: Vec<u8>) {
        self.data.push(Data {
            label: label.into(),
            align,
            bytes: bytes.len(),
            make: Box::new(move |_| bytes.clone()),
        });
    }

    /// Adds data that EL0 can read, write and execute once the MMU is on: whole pages.
    pub fn user_data(&mut self, label: &str, mut bytes: Vec<u8>) {
        bytes.resize(bytes.len().next_multiple_of(4096), 0);
        self.user += bytes.len();
        self.data.push(Data {
            label: label.into(),
            align: 4096,
            bytes: bytes.len(),
            make: Box::new(move |_| bytes.clone()),
        });
        let end = format!("{label} end");
        self.data.push(Data { label: end, align: 1, bytes: 0, make: Box::new(|_| Vec::new()) });
    }

    /// Adds a doubleword that holds the address of a label: for what is out of reach of ADR.
    pub fn address_data(&mut self, label: &str, of: &'static str) {
        self.data.push(Data {
            label: label.into(),
            align: 8,
            bytes: 8,
            make: Box::new(move |address| address(of).to_le_bytes().to_vec()),
        });
    }

    fn table(&mut self, label: &str, entry: impl Fn(&dyn Fn(&str) -> u64, u64) -> u64 + 'static) {
        self.data.push(Data {
            label: label.into(),
            align: 4096,
            bytes: 4096,
            make: Box::new(move |address| {
                (0..512).flat_map(|index| entry(address, index).to_le_bytes()).collect()
            }),
        });
    }

    /// Turns the MMU on with an identity map: devices, the program for EL1, `user` data and 0x4020_0000 to
    /// 0x43ff_ffff also for EL0, the RTC too.
    pub fn mmu_on(&mut self, user: Option<&'static str>) {
        self.table("l1", |address, index| match index {
            0 => address("l2 devices") | TABLE,
            1 => address("l2 ram") | TABLE,
            _ => 0,
        });
        self.table("l2 devices", |address, index| match index {
            64 => GICD | DEVICE | BLOCK,
            72 => address("l3 devices") | TABLE,
            _ => 0,
        });
        self.table("l3 devices", |_, index| match index {
            0 => PL011 | DEVICE | PAGE,
            16 => PL031 | USER_DEVICE | PAGE,
            _ => 0,
        });
        self.table("l2 ram", |address, index| match index {
            0 => address("l3 ram") | TABLE,
            1..=31 => (BASE + (index << 21)) | USER | BLOCK,
            _ => 0,
        });
        self.table("l3 ram", move |address, index| {
            let page = BASE + (index << 12);
            let range = user.map(|user| address(user)..address(&format!("{user} end")));
            let attributes = if range.is_some_and(|range| range.contains(&page)) { USER } else { KERNEL };
            page | attributes | PAGE
        });
        self.to("l1", |o| adr(17, o));
        self.op(msr(TTBR0_EL1, 17));
        self.write(TCR_EL1, TCR);
        self.write(MAIR_EL1, MAIR);
        self.ops(&[ISB, msr(TLBI_VMALLE1, ZR), DSB, ISB]);
        self.write(SCTLR_EL1, SCTLR_ON);
        self.op(ISB);
    }

    /// Returns the address of a label, known once everything before it is there.
    pub fn address(&self, label: &str) -> u64 {
        BASE + self.labels[label] as u64
    }

    /// Finishes the Image.
    pub fn image(mut self) -> Vec<u8> {
        let mut end = self.words.len() * 4;
        for data in &self.data {
            end = end.next_multiple_of(data.align);
            assert!(self.labels.insert(data.label.clone(), end).is_none(), "{} is there already", data.label);
            end += data.bytes;
        }
        let labels = &self.labels;
        let find = |label: &str| *labels.get(label).unwrap_or_else(|| panic!("no label {label}"));
        for (at, label, instruction) in &self.fixups {
            self.words[*at] = instruction(find(label) as i64 - (*at * 4) as i64);
        }
        let mut image: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        for data in &self.data {
            image.resize(find(&data.label), 0);
            image.extend((data.make)(&|label| BASE + find(label) as u64));
        }
        let bytes = image.len() as u64 + 0x1_0000;
        image[16..24].copy_from_slice(&bytes.to_le_bytes());
        // Little-endian, 4 KiB pages, anywhere in memory.
        image[24..32].copy_from_slice(&0xa_u64.to_le_bytes());
        image[56..60].copy_from_slice(b"ARM\x64");
        image
    }
}

/// An exception as the kit reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    pub vector: u64,
    pub esr: u64,
    pub elr: u64,
    pub far: u64,
}

/// Finds the exceptions in a transcript.
pub fn taken(transcript: &str) -> Vec<Taken> {
    let lines = transcript.lines().filter_map(|line| line.strip_prefix("! "));
    let number =
        |text: &str| u64::from_str_radix(text, 16).unwrap_or_else(|_| panic!("{text}: not a number"));
    let fields = lines.map(|line| line.split(' ').map(number).collect::<Vec<u64>>());
    fields.map(|f| Taken { vector: f[0], esr: f[1], elr: f[2], far: f[3] }).collect()
}

/// Finds the numbers that stand alone on a line.
pub fn numbers(transcript: &str) -> Vec<u64> {
    let lines = transcript.lines().filter(|line| line.len() == 16);
    lines.filter_map(|line| u64::from_str_radix(line, 16).ok()).collect()
}
