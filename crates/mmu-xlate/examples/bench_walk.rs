//! How fast the walkers are: each against a raw chain of the same dependent loads, measured in the same run, on tables
//! that are hot in the cache.
//!
//! ```text
//! cargo run --release -p mmu-xlate --example bench_walk                 the table
//! cargo run --release -p mmu-xlate --example bench_walk -- --json FILE  the same as a JSON list, too
//! cargo run --release -p mmu-xlate --example bench_walk -- --no-count   without instruction counts
//! ```
//!
//! `--peers PROGRAM` names the program of `bench/walk`, which has the lookups of other crates; `cargo xtask bench walk`
//! builds it. What those do not check, it says.
//!
//! A chain is what nobody can do without: index, mask, load, level by level, and the offset at the end; nothing is
//! checked but that memory is there, by the same `load` as the walk's. The address of the next query depends on the
//! answer of the last, so that what is measured is how long an answer takes. Instruction counts are those of
//! `valgrind --tool=callgrind`, where it is installed: the difference between two runs that differ in the number of
//! queries, over that number; the loop around the walk is in them, and `loop` says what it costs.
#![allow(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program that measures"
)]

use arm_arch::{Pa, Va};
use mmu_xlate::TableMemory;
use mmu_xlate::dat::{self, Features};
use mmu_xlate::vmsa::{
    Access, AccessKind, El1Registers, Implementation, Params, Privilege, Regime, Registers, Stage1Registers,
    TableCache, Translation, Translator, walk,
};
use s390_arch::addr::Absolute;
use s390_arch::dat::{Asce, Virtual};
use std::convert::Infallible;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Doublewords from address 0 on.
struct Ram(Vec<u64>);

impl Ram {
    #[inline]
    fn bytes(&self, at: u64) -> Option<[u8; 8]> {
        self.0.get((at >> 3) as usize).map(|word| word.to_ne_bytes())
    }

    fn set(&mut self, at: u64, bytes: [u8; 8]) {
        self.0[(at >> 3) as usize] = u64::from_ne_bytes(bytes);
    }
}

impl TableMemory<Pa> for Ram {
    type Error = Infallible;

    #[inline]
    fn load(&self, at: Pa) -> Result<Option<[u8; 8]>, Infallible> {
        Ok(self.bytes(at.bits()))
    }
}

impl TableMemory<Absolute> for Ram {
    type Error = Infallible;

    #[inline]
    fn load(&self, at: Absolute) -> Result<Option<[u8; 8]>, Infallible> {
        Ok(self.bytes(at.bits()))
    }
}

const READ: Access = Access::new(AccessKind::Read, Privilege::Privileged);
/// Address bits of a 4 KiB table descriptor.
const ADDRESS: u64 = 0xffff_ffff_f000;
/// Where the pages lie: nobody goes there.
const FRAMES: u64 = 0x1000_0000;

/// How many pages are asked for: few, whose entries are all in the first-level cache, or so many that those of the last
/// level are in the second, as they are where a TLB misses often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pages {
    Few,
    Many,
}

impl Pages {
    const fn count(self) -> usize {
        match self {
            Self::Few => 16,
            Self::Many => 4096,
        }
    }
}

/// One page for each address, spread over the index bits of all levels, in no order that a prefetcher would guess.
fn addresses(pages: Pages) -> Vec<u64> {
    let spread = |n: u64| {
        let n = (n * 2_654_435_761) & 0xfff;
        (n & 3) << 39 | (n >> 2 & 3) << 30 | (n >> 4 & 7) << 21 | (((n >> 7) * 16) & 0x1ff) << 12
    };
    (0..pages.count() as u64).map(spread).collect()
}

/// Tables of 4 KiB granule, made as they are needed.
struct Builder {
    ram: Ram,
    next: u64,
}

impl Builder {
    fn new() -> Self {
        Self { ram: Ram(vec![0; 1 << 20]), next: 0x10_0000 }
    }

    fn table(&mut self) -> u64 {
        let at = self.next;
        self.next += 0x1000;
        at
    }

    fn entry(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.ram.bytes(at).expect("within memory"))
    }

    /// Maps a page by four levels; where tables go `located` says (for stage 1 behind stage 2: themselves).
    fn map(&mut self, root: u64, va: u64, leaf: u64) {
        let mut table = root;
        for shift in [39, 30, 21] {
            let at = table | (va >> shift & 0x1ff) << 3;
            if self.entry(at) == 0 {
                let next = self.table();
                self.ram.set(at, (next | 3).to_le_bytes());
            }
            table = self.entry(at) & ADDRESS;
        }
        self.ram.set(table | (va >> 12 & 0x1ff) << 3, leaf.to_le_bytes());
    }
}

/// The loads of a four-level walk, and nothing more.
#[inline]
fn chain(ram: &Ram, root: u64, va: u64) -> Option<u64> {
    let mut table = root;
    for shift in [39, 30, 21, 12] {
        table = u64::from_le_bytes(ram.bytes(table | (va >> shift & 0x1ff) << 3)?) & ADDRESS;
    }
    Some(table | va & 0xfff)
}

/// The 24 loads of a two-stage walk, and nothing more.
#[inline(never)]
fn chain_of_chains(ram: &Ram, (root1, root2): (u64, u64), va: u64) -> Option<u64> {
    let mut table = root1;
    for shift in [39, 30, 21, 12] {
        let at = chain(ram, root2, table | (va >> shift & 0x1ff) << 3)?;
        table = u64::from_le_bytes(ram.bytes(at)?) & ADDRESS;
    }
    chain(ram, root2, table | va & 0xfff)
}

/// The five loads of DAT: 11 index bits four times, then 8.
#[inline(never)]
fn dat_chain(ram: &Ram, origin: u64, va: u64) -> Option<u64> {
    let mut table = origin;
    for shift in [53, 42, 31, 20] {
        let entry = u64::from_be_bytes(ram.bytes((table & ADDRESS) + ((va >> shift & 0x7ff) << 3))?);
        table = entry;
    }
    let entry = u64::from_be_bytes(ram.bytes((table & !0x7ff) + ((va >> 12 & 0xff) << 3))?);
    Some(entry & !0xfff | va & 0xfff)
}

/// What is measured.
struct Machine {
    ram: Ram,
    root1: u64,
    root2: u64,
    nested_root: u64,
    asce: Asce,
    addresses: Vec<u64>,
}

impl Machine {
    fn new(pages: Pages) -> Self {
        let mut build = Builder::new();
        let addresses = addresses(pages);
        let root1 = build.table();
        for (n, va) in addresses.iter().enumerate() {
            // AF, Inner Shareable, AttrIndx 0, a page.
            build.map(root1, *va, (FRAMES + ((n as u64) << 12)) | 0x703);
        }
        // Stage 1 as the guest has it, its tables at the same numbers as intermediate addresses, then stage 2 that maps
        // the tables and all frames to themselves page by page: S2AP, MemAttr Write-Back, Inner Shareable, AF.
        let nested_root = root1;
        let root2 = build.table();
        let frames = FRAMES..FRAMES + ((pages.count() as u64) << 12);
        for page in (0x10_0000..root2).step_by(0x1000).chain(frames.step_by(0x1000)) {
            build.map(root2, page, page | 0x7ff);
        }
        let asce = Self::dat(&mut build, &addresses);
        Self { ram: build.ram, root1, root2, nested_root, asce, addresses }
    }

    /// Five levels of DAT for the same addresses.
    fn dat(build: &mut Builder, addresses: &[u64]) -> Asce {
        build.next = build.next.next_multiple_of(0x4000);
        let region = |build: &mut Builder| {
            let at = build.next;
            build.next += 0x4000;
            at
        };
        let root = region(build);
        let load = |build: &Builder, at| u64::from_be_bytes(build.ram.bytes(at).expect("within memory"));
        for (n, va) in addresses.iter().enumerate() {
            let mut table = root;
            // Region-first (TT 11, length 3) down to the segment table.
            for (shift, tt) in [(53, 0xf), (42, 0xb), (31, 0x7)] {
                let at = table + ((va >> shift & 0x7ff) << 3);
                if load(build, at) == 0 {
                    let next = region(build);
                    build.ram.set(at, (next | tt).to_be_bytes());
                }
                table = load(build, at) & ADDRESS;
            }
            let at = table + ((va >> 20 & 0x7ff) << 3);
            if load(build, at) == 0 {
                let next = region(build);
                build.ram.set(at, next.to_be_bytes());
            }
            let pages = load(build, at) & !0x7ff;
            let frame = FRAMES + ((n as u64) << 12);
            build.ram.set(pages + ((va >> 12 & 0xff) << 3), frame.to_be_bytes());
        }
        Asce::from_bits(root | 0xf)
    }

    fn stage1(&self) -> Params {
        let registers = El1Registers {
            sctlr: 0x1005,
            tcr: 0x2_8010_0010,
            ttbr0: self.root1,
            mair: 0xff,
            ..El1Registers::default()
        };
        Params::el1(&registers, &Implementation::ALL)
    }

    fn both(&self) -> Translator {
        let el1 = Stage1Registers {
            sctlr: 0x1005,
            tcr: 0x2_8010_0010,
            ttbr0: self.nested_root.into(),
            mair: 0xff,
            ..Stage1Registers::default()
        };
        // VTCR_EL2: 48 bits from level 0 (T0SZ 16, SL0 2), PS 48 bits.
        let registers = Registers {
            el1,
            scr_el3: 1,
            hcr_el2: 1,
            vtcr_el2: 0x8005_0090,
            vttbr_el2: self.root2.into(),
            ..Registers::default()
        };
        Translator::new(Regime::El1And0, &registers, &Implementation::ALL)
    }

    /// Asks `count` times, each address after the answer to the last.
    #[inline]
    fn repeat(&self, count: u64, mut ask: impl FnMut(u64) -> Option<u64>) -> u64 {
        let (mut last, mut sum) = (0, 0u64);
        for n in 0..count {
            // The offset of all addresses is 0, which the compiler does not know.
            let va = self.addresses[n as usize & (self.addresses.len() - 1)] | black_box(last) & 0xfff;
            last = ask(va).expect("every address is mapped");
            sum = sum.wrapping_add(last);
        }
        sum
    }

    fn run(&self, what: What, count: u64) -> u64 {
        let ram = &self.ram;
        match what {
            What::Loop => self.repeat(count, nothing),
            What::Chain => self.repeat(count, |va| plain_chain(ram, self.root1, va)),
            What::Stage1 => {
                let params = self.stage1();
                self.repeat(count, |va| stage_1(&params, ram, va))
            }
            What::Chain24 => {
                let roots = (self.nested_root, self.root2);
                self.repeat(count, |va| chain_of_chains(ram, roots, va))
            }
            What::TwoStages => {
                let translator = self.both();
                self.repeat(count, |va| two_stages(&translator, ram, va))
            }
            What::TwoStagesCached => {
                let translator = self.both();
                let mut cache = TableCache::<256>::new();
                self.repeat(count, |va| two_stages_cached(&translator, ram, &mut cache, va))
            }
            What::DatChain => self.repeat(count, |va| dat_chain(ram, self.asce.into_bits(), va)),
            What::Dat => self.repeat(count, |va| dat_walk(self.asce, ram, va)),
        }
    }
}

// Each is a function of its own, as it is where a TLB misses, so that the loop does not become a part of it.

/// What a TLB does with an answer: all of it is stored, and the access goes on to the address.
#[inline(always)]
fn filled<T>(address: u64, entry: &T) -> Option<u64> {
    black_box(entry);
    Some(address)
}

#[inline(never)]
fn nothing(va: u64) -> Option<u64> {
    black_box(Some(va & ADDRESS))
}

#[inline(never)]
fn plain_chain(ram: &Ram, root: u64, va: u64) -> Option<u64> {
    chain(ram, root, va)
}

#[inline(never)]
fn stage_1(params: &Params, ram: &Ram, va: u64) -> Option<u64> {
    match &walk::<Pa, _>(params, Va::new(va), READ, ram) {
        Ok(Translation::Mapped(it)) => filled(it.output.bits(), it),
        Ok(Translation::Fault(_)) | Err(_) => None,
    }
}

#[inline(never)]
fn two_stages(translator: &Translator, ram: &Ram, va: u64) -> Option<u64> {
    match &translator.translate::<Pa, _, _>(Va::new(va), READ, ram, &mut ()) {
        Ok(Translation::Mapped(it)) => filled(it.output.bits(), it),
        Ok(Translation::Fault(_)) | Err(_) => None,
    }
}

#[inline(never)]
fn two_stages_cached(
    translator: &Translator,
    ram: &Ram,
    cache: &mut TableCache<256>,
    va: u64,
) -> Option<u64> {
    match &translator.translate_cached::<Pa, _, _, 256>(Va::new(va), READ, ram, &mut (), cache) {
        Ok(Translation::Mapped(it)) => filled(it.output.bits(), it),
        Ok(Translation::Fault(_)) | Err(_) => None,
    }
}

#[inline(never)]
fn dat_walk(asce: Asce, ram: &Ram, va: u64) -> Option<u64> {
    match &dat::walk_asce(asce, Virtual::from_bits(va), dat::Access::Fetch, Features::ALL, ram) {
        Ok(dat::Translation::Mapped(it)) => filled(it.absolute.bits(), it),
        Ok(dat::Translation::Fault(_)) | Err(_) => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Loop,
    Chain,
    Stage1,
    Chain24,
    TwoStages,
    TwoStagesCached,
    DatChain,
    Dat,
}

const WHAT: &[(&str, What)] = &[
    ("loop", What::Loop),
    ("chain-4", What::Chain),
    ("stage-1", What::Stage1),
    ("chain-24", What::Chain24),
    ("two-stages", What::TwoStages),
    ("two-stages-cached", What::TwoStagesCached),
    ("chain-dat-5", What::DatChain),
    ("dat", What::Dat),
];

fn name(what: What) -> &'static str {
    WHAT.iter().find(|(_, it)| *it == what).map_or("", |(name, _)| name)
}

/// Who is compared with whom, and what is aimed at: the ratio of times, and instructions for each.
const PAIRS: &[(What, What, f64, Option<u64>)] = &[
    (What::Stage1, What::Chain, 1.25, Some(130)),
    (What::TwoStages, What::Chain24, 1.3, Some(500)),
    (What::TwoStagesCached, What::Chain24, 0.6, None),
    (What::Dat, What::DatChain, 1.25, None),
];

/// Returns nanoseconds for each query of both: the least of many short rounds, taken in turn so that whatever else the
/// machine does meets both alike.
fn times(machine: &Machine, what: What, peer: What) -> (f64, f64) {
    const COUNT: u64 = 20_000;
    const ROUNDS: usize = 60;
    let mut least = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        for (least, what) in least.iter_mut().zip([what, peer]) {
            let start = Instant::now();
            black_box(machine.run(what, COUNT));
            *least = least.min(start.elapsed().as_secs_f64() * 1e9 / COUNT as f64);
        }
    }
    (least[0], least[1])
}

/// Returns the instructions of a program, its start included.
fn counted(program: &str, arguments: &[&str]) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", program])
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find(|line| line.contains("Collected"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

/// Returns the instructions of one query, where `collected` says those of many and the program's start.
fn instructions(collected: impl Fn(u64) -> Option<u64>) -> Option<f64> {
    const FEW: u64 = 2_000;
    const MANY: u64 = 12_000;
    let (few, many) = (collected(FEW)?, collected(MANY)?);
    Some((many.checked_sub(few)?) as f64 / (MANY - FEW) as f64)
}

/// Returns the instructions of one query of ours without the loop around it.
fn net(what: What) -> Option<f64> {
    let me = std::env::current_exe().ok()?;
    let me = me.to_str()?;
    let ours =
        |what| instructions(|count| counted(me, &["--only", name(what), "--queries", &count.to_string()]));
    Some(ours(what)? - ours(What::Loop)?)
}

/// Other crates, which the program of `bench/walk` asks.
const PEERS: [&str; 2] = ["page-walker", "aarch64-paging"];

/// What we have that compares with them.
const AGAINST_PEERS: What = What::Stage1;

/// Returns the rows of other crates: times for so many pages, and instructions.
fn peers(program: &str, machines: &[(Pages, &Machine)], count: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for peer in PEERS {
        for (pages, machine) in machines {
            let (value, _) = times(machine, AGAINST_PEERS, What::Loop);
            let asked = Command::new(program).args([peer, "time", &pages.count().to_string()]).output();
            let text = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            let Ok(Ok(peer_value)) = text.map(|text| text.trim().parse::<f64>()) else {
                eprintln!("{program} does not run: no peers");
                return rows;
            };
            let name = format!("{}, {} pages", name(AGAINST_PEERS), pages.count());
            rows.push(Row::of_peer(name, value, "ns", peer, peer_value));
        }
        let theirs = |who| instructions(|count| counted(program, &[who, "count", &count.to_string()]));
        if let (true, Some(value), Some(peer_value)) = (count, net(AGAINST_PEERS), theirs(peer)) {
            let Some(around) = theirs("loop") else { return rows };
            let name = name(AGAINST_PEERS).into();
            rows.push(Row::of_peer(name, value, "instructions", peer, peer_value - around));
        }
    }
    rows
}

struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    peer: String,
    peer_value: f64,
    ratio: f64,
    goal: String,
}

impl Row {
    fn of_peer(name: String, value: f64, unit: &'static str, peer: &str, peer_value: f64) -> Self {
        let (peer, goal) = (peer.into(), String::new());
        Self { name, value, unit, peer, peer_value, ratio: value / peer_value, goal }
    }

    fn json(&self) -> String {
        let Self { name, value, unit, peer, peer_value, ratio, goal } = self;
        format!(
            "  {{\"name\":\"{name}\",\"value\":{value:.2},\"unit\":\"{unit}\",\"peer\":\"{peer}\",\
             \"peer_value\":{peer_value:.2},\"ratio\":{ratio:.3},\"goal\":\"{goal}\"}}"
        )
    }
}

fn rows(machines: &[(Pages, &Machine)], count: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for (pages, machine) in machines {
        for (what, peer, ratio, _) in PAIRS {
            let (value, peer_value) = times(machine, *what, *peer);
            let name = format!("{}, {} pages", name(*what), pages.count());
            let peer = self::name(*peer).into();
            let goal = format!("ratio <= {ratio}");
            rows.push(Row { name, value, unit: "ns", peer, peer_value, ratio: value / peer_value, goal });
        }
    }
    if !count {
        return rows;
    }
    for (what, peer, _, goal) in PAIRS {
        let (Some(value), Some(peer_value)) = (net(*what), net(*peer)) else {
            eprintln!("valgrind is not installed or does not run: no instruction counts");
            return rows;
        };
        let (name, peer) = (name(*what).into(), name(*peer).into());
        let goal = goal.map_or(String::new(), |goal| format!("<= {goal}"));
        let unit = "instructions";
        rows.push(Row { name, value, unit, peer, peer_value, ratio: value / peer_value, goal });
    }
    rows
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut json, mut count, mut only, mut queries) = (None, true, None, 1_000);
    let mut peers_are = None;
    while let Some(argument) = arguments.next() {
        if argument == "--no-count" {
            count = false;
            continue;
        }
        let value = arguments.next();
        let what = |name: &str| WHAT.iter().find(|(it, _)| *it == name).map(|(_, what)| *what);
        let number = value.as_deref().and_then(|number| number.parse().ok());
        match (argument.as_str(), value.as_deref(), value.as_deref().and_then(what), number) {
            ("--json", Some(file), ..) => json = Some(file.to_string()),
            ("--peers", Some(program), ..) => peers_are = Some(program.to_string()),
            ("--only", _, Some(what), _) => only = Some(what),
            ("--queries", _, _, Some(number)) => queries = number,
            ("--json" | "--only" | "--queries" | "--peers", ..) => {
                eprintln!("bench_walk: {argument} {}: no such value", value.unwrap_or_default());
                return ExitCode::from(2);
            }
            _ => {
                eprintln!("bench_walk: {argument}: not an option; --json FILE, --no-count");
                return ExitCode::from(2);
            }
        }
    }
    let few = Machine::new(Pages::Few);
    if let Some(what) = only {
        black_box(few.run(what, queries));
        return ExitCode::SUCCESS;
    }
    let many = Machine::new(Pages::Many);
    for (one, other, ..) in PAIRS {
        assert_eq!(
            many.run(*one, 9_999),
            many.run(*other, 9_999),
            "{one:?} and {other:?} arrive at the same frames"
        );
    }
    let machines = [(Pages::Few, &few), (Pages::Many, &many)];
    let mut rows = rows(&machines, count);
    if let Some(program) = peers_are {
        rows.extend(peers(&program, &machines, count));
    }
    println!(
        "{:<30} {:>9} {:<12}  {:<14} {:>9}  {:>6}  goal",
        "name", "value", "unit", "peer", "value", "ratio"
    );
    for Row { name, value, unit, peer, peer_value, ratio, goal } in &rows {
        println!("{name:<30} {value:>9.2} {unit:<12}  {peer:<14} {peer_value:>9.2}  {ratio:>6.3}  {goal}");
    }
    if let Some(file) = json {
        let rows: Vec<String> = rows.iter().map(Row::json).collect();
        if let Err(error) = std::fs::write(&file, format!("[\n{}\n]\n", rows.join(",\n"))) {
            eprintln!("bench_walk: {file}: {error}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
