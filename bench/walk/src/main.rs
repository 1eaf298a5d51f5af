//! What other crates take to find where a page is: the peers of `cargo xtask bench walk`, which asks this program.
//!
//! ```text
//! bench-walk NAME time PAGES     nanoseconds of a lookup, the least of many rounds
//! bench-walk NAME count QUERIES  so many lookups and nothing else, to be counted
//! ```
//!
//! `page-walker` follows stage 1 tables of a guest or of anybody in memory that the caller reads for it; its walk of a range
//! that is one address is the lookup. Of a descriptor it looks at bits 1:0. Its own format of four levels has three in this
//! release, so that the format is given to it here.
//!
//! `aarch64-paging` makes tables and follows its own, through pointers; its walk of a range that is one page is the lookup. Of
//! a descriptor it looks at bits 1:0.
//!
//! Neither checks that memory is where a table is said to be (`aarch64-paging`), sizes of input and output addresses, access
//! flag, permissions, or contiguous groups; neither reports attributes in effect, or a fault; neither knows stage 2. The
//! addresses, and with `page-walker` the tables, are those of `bench_walk`; each depends on the last answer, as there.

use aarch64_paging::descriptor::El1Attributes;
use aarch64_paging::idmap::IdMap;
use aarch64_paging::paging::{El1And0, MemoryRegion};
use page_walker::PageFormat;
use page_walker::level::PageLevel;
use page_walker::walker::{PageWalker, PteType};
use std::hint::black_box;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

/// One page for each address, as `bench_walk` has them.
fn addresses(count: u64) -> Vec<u64> {
    let spread = |n: u64| {
        let n = (n * 2_654_435_761) & 0xfff;
        (n & 3) << 39 | (n >> 2 & 3) << 30 | (n >> 4 & 7) << 21 | (((n >> 7) * 16) & 0x1ff) << 12
    };
    (0..count).map(spread).collect()
}

const ADDRESS: u64 = 0xffff_ffff_f000;
const FRAMES: u64 = 0x1000_0000;
const ROOT: u64 = 0x10_0000;

/// Tables of four levels for the addresses, from [`ROOT`] on.
fn tables(addresses: &[u64]) -> Vec<u64> {
    let mut ram = vec![0u64; 1 << 20];
    let mut next = ROOT + 0x1000;
    for (n, va) in addresses.iter().enumerate() {
        let mut table = ROOT;
        for shift in [39, 30, 21] {
            let at = (table >> 3 | va >> shift & 0x1ff) as usize;
            if ram[at] == 0 {
                ram[at] = next | 3;
                next += 0x1000;
            }
            table = ram[at] & ADDRESS;
        }
        ram[(table >> 3 | va >> 12 & 0x1ff) as usize] = (FRAMES + ((n as u64) << 12)) | 0x703;
    }
    ram
}

/// What `page-walker` calls back, and what it found.
struct Lookup<'a> {
    ram: &'a [u64],
    found: Option<u64>,
}

impl PageWalker<u64, ()> for Lookup<'_> {
    #[inline]
    fn read_pte(&self, at: u64) -> Result<u64, ()> {
        self.ram.get((at >> 3) as usize).copied().ok_or(())
    }

    #[inline]
    fn handle_pte(&mut self, kind: PteType, _: Range<usize>, entry: &u64) -> Result<(), ()> {
        if kind.is_page() {
            self.found = Some(entry & ADDRESS);
        }
        Ok(())
    }

    #[inline]
    fn handle_pte_hole(&mut self, _: usize, _: Range<usize>, _: &u64) -> Result<(), ()> {
        Err(())
    }
}

/// Four levels of 4 KiB granule, the last first.
const LEVELS: [PageLevel<u64>; 4] = {
    const fn level(shift_bits: usize, kind: u64, block: u64) -> PageLevel<u64> {
        PageLevel {
            shift_bits,
            va_bits: 9,
            present_bit: (kind, kind),
            huge_page_bit: (block, 0),
            page_table_mask: 0,
        }
    }
    [level(12, 3, 0), level(21, 1, 2), level(30, 1, 2), level(39, 3, 0)]
};

/// Asks `count` times, each address after the answer to the last.
fn repeat(addresses: &[u64], count: u64, mut ask: impl FnMut(u64) -> Option<u64>) -> u64 {
    let (mut last, mut sum) = (0, 0u64);
    for n in 0..count {
        let va = addresses[n as usize & (addresses.len() - 1)] | black_box(last) & 0xfff;
        last = ask(va).expect("every address is mapped");
        sum = sum.wrapping_add(last);
    }
    sum
}

#[inline(never)]
fn nothing(va: u64) -> Option<u64> {
    black_box(Some(va & ADDRESS))
}

#[inline(never)]
fn page_walker(format: &PageFormat<'_, u64>, ram: &[u64], va: u64) -> Option<u64> {
    let mut lookup = Lookup { ram, found: None };
    format.walk(ROOT, va as usize..va as usize, &mut lookup).ok()?;
    lookup.found
}

#[inline(never)]
fn aarch64_paging(map: &IdMap<El1And0>, va: u64) -> Option<u64> {
    let mut found = None;
    let page = MemoryRegion::new(va as usize, va as usize + 1);
    map.walk_range(&page, &mut |_, entry, _| {
        found = entry.is_valid().then(|| entry.output_address().0 as u64);
        Ok(())
    })
    .ok()?;
    found
}

/// Returns the loop of a name over so many pages.
fn looked_up(name: &str, pages: u64) -> Option<Box<dyn Fn(u64) -> u64>> {
    let addresses = addresses(pages);
    match name {
        "loop" => Some(Box::new(move |count| repeat(&addresses, count, nothing))),
        "page-walker" => {
            let ram = tables(&addresses);
            Some(Box::new(move |count| {
                let format = PageFormat { levels: &LEVELS, physical_mask: ADDRESS };
                repeat(&addresses, count, |va| page_walker(&format, &ram, va))
            }))
        }
        "aarch64-paging" => {
            let mut map = IdMap::with_asid(0, 0, El1And0);
            let page = El1Attributes::VALID | El1Attributes::ACCESSED;
            for va in &addresses {
                let region = MemoryRegion::new(*va as usize, *va as usize + 0x1000);
                map.map_range(&region, page).expect("there is room");
            }
            Some(Box::new(move |count| repeat(&addresses, count, |va| aarch64_paging(&map, va))))
        }
        _ => None,
    }
}

fn main() -> ExitCode {
    const COUNT: u64 = 20_000;
    const ROUNDS: usize = 60;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [name, what, number] = arguments[..] else {
        eprintln!("bench-walk: NAME time PAGES | NAME count QUERIES");
        return ExitCode::from(2);
    };
    let (Ok(number), true) = (number.parse::<u64>(), ["time", "count"].contains(&what)) else {
        eprintln!("bench-walk: {what} {number}: neither time PAGES nor count QUERIES");
        return ExitCode::from(2);
    };
    let pages = if what == "time" { number } else { 16 };
    let Some(run) = pages.is_power_of_two().then(|| looked_up(name, pages)).flatten() else {
        eprintln!("bench-walk: {name}, {pages} pages: no such lookup, or not a power of two");
        return ExitCode::from(2);
    };
    if what == "count" {
        black_box(run(number));
        return ExitCode::SUCCESS;
    }
    let round = |_| {
        let start = Instant::now();
        black_box(run(COUNT));
        start.elapsed().as_secs_f64() * 1e9 / COUNT as f64
    };
    println!("{}", (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min));
    ExitCode::SUCCESS
}
