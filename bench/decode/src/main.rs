//! Loops over instruction words, to be counted or timed: `bench-decode LOOP FILE [ROUNDS]`.
//!
//! Prints how many words the loop took for instructions, and nanoseconds a word: the best of several rounds. The loops
//! differ in what they call only; `empty` calls nothing, and is what the others are measured against.

use arm_arch::a64::{access, decode};
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

#[inline(never)]
fn loop_empty(words: &[u32]) -> u64 {
    let mut count = 0;
    for &word in words {
        count += u64::from(black_box(word) & 1);
    }
    count
}

#[inline(never)]
fn loop_access(words: &[u32]) -> u64 {
    let mut count = 0;
    for &word in words {
        if let Some(access) = access::decode(black_box(word)) {
            black_box(&access);
            count += 1;
        }
    }
    count
}

#[inline(never)]
fn loop_complete(words: &[u32]) -> u64 {
    let mut count = 0;
    for &word in words {
        if let Some(instruction) = decode::decode(black_box(word)) {
            black_box(&instruction);
            count += 1;
        }
    }
    count
}

#[inline(never)]
fn loop_disarm64(words: &[u32]) -> u64 {
    let mut count = 0;
    for &word in words {
        if let Some(opcode) = disarm64::decoder::decode(black_box(word)) {
            black_box(&opcode);
            count += 1;
        }
    }
    count
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, file, rounds) = match &arguments[..] {
        [name, file] => (name, file, 1),
        [name, file, rounds] => (name, file, rounds.parse().unwrap_or(1)),
        _ => return ExitCode::from(2),
    };
    let body = match name.as_str() {
        "empty" => loop_empty,
        "access" => loop_access,
        "complete" => loop_complete,
        "disarm64" => loop_disarm64,
        _ => return ExitCode::from(2),
    };
    let Ok(bytes) = std::fs::read(file) else { return ExitCode::FAILURE };
    let words: Vec<u32> =
        bytes.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
    let mut best = f64::INFINITY;
    let mut count = 0;
    for _ in 0..rounds {
        let start = Instant::now();
        count = body(&words);
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{count} {:.4}", best * 1e9 / words.len() as f64);
    ExitCode::SUCCESS
}
