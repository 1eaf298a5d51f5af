//! Runs a bare-metal image on one PE with flat stage 2 and prints what it writes to its UART.
//!
//! `cargo run --release -p arm-exec --example kernels -- guest.elf`: an ELF file for a machine with RAM at
//! 1 GiB and a PL011 at 0x0900_0000. HVC with PSCI SYSTEM_OFF ends it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "an example: what goes wrong ends it"
)]

use arm_arch::iss::DataAbort;
use arm_arch::{EsrEl, ExceptionClass, Ipa, Pa};
use arm_exec::ram::MapMemory;
use arm_exec::{
    Block, Caches, Domain, Environment, Event, Function, Jump, Op, Page, Pe, Ram, Stage2Access, Stage2Page,
};
use std::io::Write;
use std::time::Instant;

const BASE: u64 = 0x4000_0000;
const BYTES: u64 = 128 << 20;

struct Flat<'m> {
    ram: Ram<'m>,
    start: Instant,
}

impl<'m> Environment<'m> for Flat<'m> {
    type Fault = ();

    fn stage2(&self, ipa: Ipa, _access: Stage2Access) -> Result<Stage2Page<'m>, ()> {
        let absolute = Pa::new((ipa.bits() & !0xfff).wrapping_sub(BASE));
        let page = self.ram.page(absolute).ok_or(())?;
        Ok(Stage2Page { page, absolute, writable: true, executable: true })
    }

    fn counter(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64 / 16
    }
}

fn load(ram: Ram<'_>, elf: &[u8]) -> u64 {
    let word = |at: usize| u64::from_le_bytes(elf[at..at + 8].try_into().unwrap());
    let headers = word(32) as usize;
    let count = u16::from_le_bytes(elf[56..58].try_into().unwrap()) as usize;
    for header in (0..count).map(|n| headers + n * 56).filter(|&h| elf[h] == 1) {
        let (offset, at, bytes) = (word(header + 8) as usize, word(header + 24), word(header + 32) as usize);
        ram.write(Pa::new(at - BASE), &elf[offset..offset + bytes]).unwrap();
    }
    word(24)
}

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let pages: Vec<Page> = (0..BYTES / 4096).map(|_| Page::zeroed()).collect();
    let ram = Ram::new(&pages);
    let entry = load(ram, &std::fs::read(path).unwrap());

    let mut maps: Vec<MapMemory> = (0..Caches::MAPS).map(|_| MapMemory::default()).collect();
    let mut ops = vec![Op::default(); Caches::OPS];
    let mut blocks = vec![Block::default(); Caches::BLOCKS];
    let mut jumps = vec![Jump::default(); Caches::JUMPS];
    let mut functions = vec![Function::default(); Caches::FUNCTIONS];
    let caches = Caches {
        maps: &mut maps,
        ops: &mut ops,
        blocks: &mut blocks,
        jumps: &mut jumps,
        functions: &mut functions,
    };
    let domain = Domain::new();
    let mut pe = Pe::new(caches, &domain, 0).unwrap();
    let env = Flat { ram, start: Instant::now() };
    pe.state.pc = entry;
    pe.state.sys.cntfrq_el0 = 62_500_000;
    let mut line = Vec::new();
    let mut mark = (Instant::now(), 0);
    loop {
        match pe.run(&env, 1 << 20) {
            Event::Budget | Event::Timer(_) | Event::ExitRequest | Event::Maintenance => {}
            Event::Stage2 { esr, ipa, .. }
                if ipa.bits() >> 12 == 0x9000 && DataAbort::from_bits(esr as u32).isv() =>
            {
                let iss = DataAbort::from_bits(esr as u32);
                let rt = usize::from(iss.srt());
                if iss.wnr() {
                    let byte = if rt == 31 { 0 } else { pe.state.x[rt] as u8 };
                    line.push(byte);
                    if byte == b'\n' {
                        let (now, count) = (Instant::now(), pe.statistics().instructions);
                        let mips = (count - mark.1) as f64 / (now - mark.0).as_secs_f64() / 1e6;
                        mark = (now, count);
                        std::io::stdout().write_all(&line).unwrap();
                        println!("    {mips:.0} MIPS since the line before");
                        line.clear();
                    }
                } else if rt != 31 {
                    pe.state.x[rt] = 0;
                }
                pe.state.pc += 4;
            }
            Event::Stage2 { esr, far, ipa, .. } => panic!("stage 2: {esr:#x} {far:#x} {ipa}"),
            Event::Trap { esr, .. } if EsrEl::from_bits(esr).ec() == ExceptionClass::HVC64 => {
                if pe.state.x[0] == 0x8400_0008 {
                    break;
                }
                pe.state.x[0] = 0x1_0001;
            }
            Event::Trap { esr, far } => panic!("trap: {esr:#x} {far:#x} at {:#x}", pe.state.pc),
        }
    }
    println!("{:?}", pe.statistics());
}
