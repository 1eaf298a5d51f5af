//! `cargo xtask oracle a64`: words, `arm_arch::a64` against GNU objdump and LLVM.
//!
//! Words are drawn evenly from the groups of the decode tree, with random operands, some with one bit of the pattern
//! flipped, and from all words. Both tools say whether a word is allocated; where they agree, the decoder has to,
//! unless one of the reasons in [`reason`] holds. What LLVM prints for a load or store is compared with what
//! `access::decode` says about it, register by register; all that it prints, with the decoder's text.

use crate::shell;
use arm_arch::a64::access::{self, Access, Atomic, Offset, Operation, Registers, Transfer};
use arm_arch::a64::decode::{Instruction, decode};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const USAGE: &str = "\
usage: cargo xtask oracle a64 [OPTIONS]
  --words N      how many (default 1000000)
  --seed S       0x... or decimal (default 1)
  --store FILE   write words, what the tools agree on and operands of loads and stores to FILE
  --texts FILE   write words and how LLVM prints them to FILE
  --show N       report at most N unexplained differences (default 20)
";

/// Words per run of the tools.
const BATCH: usize = 250_000;

/// What the tools say of a word.
#[derive(Clone)]
pub struct Verdict {
    pub word: u32,
    /// Its address for LLVM, which prints where a branch goes and not how far.
    at: u64,
    pub gnu: bool,
    pub llvm: bool,
    /// As GNU objdump prints it.
    pub gnu_text: String,
    /// As LLVM prints it, without aliases and remarks.
    pub text: String,
}

impl std::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = |known| if known { "allocated" } else { "unallocated" };
        write!(f, "{:#010x}: GNU {}, LLVM {} `{}`", self.word, said(self.gnu), said(self.llvm), self.text)
    }
}

pub fn run(arguments: &[String]) -> Result<(), String> {
    let (mut words, mut seed, mut show) = (1_000_000usize, 1u64, 20usize);
    let (mut store, mut texts) = (None, None);
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        if name == "--help" {
            print!("{USAGE}");
            return Ok(());
        }
        let value = rest.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
        match name.as_str() {
            "--words" => words = number(value)? as usize,
            "--seed" => seed = number(value)?,
            "--show" => show = number(value)? as usize,
            "--store" => store = Some(value.clone()),
            "--texts" => texts = Some(value.clone()),
            _ => return Err(format!("unknown option {name}\n{USAGE}")),
        }
    }
    let directory = shell::target().join("oracle");
    fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let llvm = ["llvm-objdump-22", "llvm-objdump"].into_iter().find(|p| shell::has(p));
    let llvm = llvm.ok_or("llvm-objdump is missing: package llvm-22 or llvm")?;
    let mut source = Words::new(seed);
    let mut tally = Tally::default();
    let mut stored = String::from("word\tallocated\toperands\n");
    let mut printed = String::from("word\ttext\n");
    let mut left = words;
    while left > 0 {
        let batch: Vec<u32> = (0..left.min(BATCH)).map(|_| source.next_word()).collect();
        left -= batch.len();
        for verdict in ask(&batch, llvm, &directory)? {
            tally.add(&verdict, show);
            if store.is_some() {
                stored += &line(&verdict);
            }
            if texts.is_some() {
                printed += &text_line(&verdict);
            }
        }
    }
    if let Some(file) = store {
        fs::write(&file, stored).map_err(|e| format!("{file}: {e}"))?;
    }
    if let Some(file) = texts {
        fs::write(&file, printed).map_err(|e| format!("{file}: {e}"))?;
    }
    tally.report(words, seed)
}

/// Returns the line of a sample: the word, whether it is allocated for both tools (`+`, `-`) or they differ or may be
/// differed from (`?`), and the operands of a load or store as LLVM prints them.
fn line(verdict: &Verdict) -> String {
    let ours = decode(verdict.word);
    let agreed =
        verdict.gnu == verdict.llvm && (ours.is_some() == verdict.llvm || reason(verdict, ours).is_none());
    let allocated = match (agreed, verdict.llvm) {
        (false, _) => '?',
        (true, true) => '+',
        (true, false) => '-',
    };
    let compared = access_difference(verdict) == Ok(true);
    let scaled = access::decode(verdict.word).is_some_and(|access| is_printed_scaled(verdict, access));
    let operands = verdict.text.split_once(' ').map_or("", |(_, operands)| operands);
    let operands = if compared && !scaled { theirs(operands) } else { String::new() };
    format!("{:08x}\t{allocated}\t{}\n", verdict.word, operands.trim())
}

/// Returns a word and LLVM's text for it, distances instead of addresses and lists instead of ranges; nothing where LLVM
/// knows no such instruction, or where there is a reason to write it in another way.
fn text_line(verdict: &Verdict) -> String {
    let Some(ours) = decode(verdict.word).filter(|_| verdict.llvm) else { return String::new() };
    match text(verdict, ours) {
        Text::Spelt(_) => String::new(),
        Text::Same | Text::NoSyntax | Text::Differs => {
            format!("{:08x}\t{}\n", verdict.word, spread(&relative(verdict, ours)))
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.replace('_', "").parse(),
    };
    parsed.map_err(|_| format!("'{text}' is not a number"))
}

/// A source of words, by group.
pub struct Words {
    state: u64,
    /// Mask and value of the rows of each group.
    groups: Vec<Vec<(u32, u32)>>,
}

impl Words {
    pub fn new(seed: u64) -> Self {
        let mut groups: BTreeMap<&str, Vec<(u32, u32)>> = BTreeMap::new();
        for row in testkit::insn::table::Table::shared().rows() {
            groups.entry(&row.group).or_default().push((row.mask, row.value));
        }
        Self { state: seed ^ 0x9e37_79b9_7f4a_7c15, groups: groups.into_values().collect() }
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn next_word(&mut self) -> u32 {
        let choice = self.random();
        let random = self.random() as u32;
        // One in sixteen from all words, else from a group.
        if choice & 15 == 0 {
            return random;
        }
        let group = &self.groups[(choice >> 8) as usize % self.groups.len()];
        let (mask, value) = group[(choice >> 24) as usize % group.len()];
        let word = random & !mask | value;
        // One in eight with a bit flipped.
        if choice >> 4 & 7 == 0 { word ^ 1 << (choice >> 40 & 31) } else { word }
    }
}

/// Asks both tools.
fn ask(words: &[u32], llvm: &str, directory: &Path) -> Result<Vec<Verdict>, String> {
    let text: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let (raw, object) = (directory.join("a64.bin"), directory.join("a64.o"));
    fs::write(&raw, &text).map_err(|e| format!("{}: {e}", raw.display()))?;
    fs::write(&object, elf(&text)).map_err(|e| format!("{}: {e}", object.display()))?;
    let gnu = shell::output(
        Command::new("aarch64-linux-gnu-objdump")
            .args(["-D", "-z", "-b", "binary", "-m", "aarch64", "-M", "no-aliases"])
            .arg(&raw),
    )?;
    let gnu: Vec<&str> = gnu
        .lines()
        .filter_map(|line| line.split_once(":\t")?.1.split_once('\t'))
        .map(|(_, text)| text)
        .collect();
    let out = shell::output(
        Command::new(llvm)
            .args([
                "-d",
                "-z",
                "--no-show-raw-insn",
                "--no-print-imm-hex",
                "--mattr=+all",
                "-M",
                "no-aliases",
            ])
            .arg(&object),
    )?;
    let texts: Vec<&str> = out
        .lines()
        .filter_map(|line| line.trim_start().split_once(':'))
        .filter(|(at, _)| !at.is_empty() && at.bytes().all(|b| b.is_ascii_hexdigit()))
        .map(|(_, text)| text.trim())
        .collect();
    if gnu.len() != words.len() || texts.len() != words.len() {
        return Err(format!(
            "{} words, {} lines of objdump, {} of LLVM",
            words.len(),
            gnu.len(),
            texts.len()
        ));
    }
    let tidy = |text: &str| {
        text.split(" //").next().unwrap_or(text).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let verdicts =
        words.iter().zip((0..).step_by(4)).zip(gnu).zip(texts).map(|(((&word, at), gnu_text), text)| {
            let gnu = !gnu_text.starts_with(".inst") && !gnu_text.contains("undefined");
            let llvm = !text.starts_with('<') && !text.starts_with('.');
            let text = if llvm { tidy(text) } else { String::new() };
            Verdict { word, at, gnu, llvm, gnu_text: tidy(gnu_text), text }
        });
    Ok(verdicts.collect())
}

/// An object file for AArch64 with one section of code.
fn elf(text: &[u8]) -> Vec<u8> {
    const NAMES: &[u8] = b"\0.text\0.shstrtab\0";
    let half = |v: u16| v.to_le_bytes().to_vec();
    let word = |v: u32| v.to_le_bytes().to_vec();
    let long = |v: usize| (v as u64).to_le_bytes().to_vec();
    let names_at = 64 + text.len();
    let sections_at = (names_at + NAMES.len()).next_multiple_of(8);
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for part in [
        half(1),
        half(183),
        word(1),
        long(0),
        long(0),
        long(sections_at),
        word(0),
        half(64),
        half(0),
        half(0),
        half(64),
        half(3),
        half(2),
    ] {
        file.extend(part);
    }
    file.extend(text);
    file.extend(NAMES);
    file.resize(sections_at, 0);
    // Name, type, flags, offset, size, alignment.
    for (name, kind, flags, at, size, align) in
        [(0, 0, 0, 0, 0, 0), (1, 1, 6, 64, text.len(), 4), (7, 3, 0, names_at, NAMES.len(), 1)]
    {
        let fields = [
            word(name),
            word(kind),
            long(flags),
            long(0),
            long(at),
            long(size),
            word(0),
            word(0),
            long(align),
        ];
        file.extend(fields.concat());
        file.extend(long(0));
    }
    file
}

/// Counts.
#[derive(Default)]
struct Tally {
    agreed: [u64; 2],
    /// Tools of two minds, and the decoder with LLVM.
    with_llvm: u64,
    /// The same with GNU objdump, by class and whether it is allocated, and an example.
    with_gnu: BTreeMap<(bool, &'static str), (u64, u32)>,
    reasons: BTreeMap<&'static str, (u64, String)>,
    accesses: u64,
    /// Texts that are the same, those of instructions without syntax, and those that differ for a reason.
    texts: u64,
    fields: u64,
    spelt: BTreeMap<&'static str, (u64, String)>,
    unexplained: u64,
}

impl Tally {
    fn add(&mut self, verdict: &Verdict, show: usize) {
        let ours = decode(verdict.word);
        if verdict.gnu != verdict.llvm {
            if ours.is_some() == verdict.llvm {
                self.with_llvm += 1;
            } else {
                let class = ours.map_or("", |i| i.class());
                self.with_gnu.entry((verdict.gnu, class)).or_insert((0, verdict.word)).0 += 1;
            }
        } else if ours.is_some() == verdict.llvm {
            self.agreed[usize::from(verdict.llvm)] += 1;
        } else if let Some(why) = reason(verdict, ours) {
            let entry = self.reasons.entry(why).or_insert_with(|| (0, format!("{:#010x}", verdict.word)));
            entry.0 += 1;
        } else {
            self.differs(show, &format!("{verdict:?}: decoded as {ours:?}"));
        }
        match access_difference(verdict) {
            Ok(compared) => self.accesses += u64::from(compared),
            Err(why) => self.differs(show, &format!("{verdict:?}: {why}")),
        }
        if let (Some(ours), true) = (ours, verdict.llvm) {
            match text(verdict, ours) {
                Text::Same => self.texts += 1,
                Text::NoSyntax => self.fields += 1,
                Text::Spelt(why) => {
                    let entry =
                        self.spelt.entry(why).or_insert_with(|| (0, format!("{:#010x}", verdict.word)));
                    entry.0 += 1;
                }
                Text::Differs => self.differs(show, &format!("{verdict:?}: text `{ours}`")),
            }
        }
    }

    fn differs(&mut self, show: usize, text: &str) {
        self.unexplained += 1;
        if self.unexplained <= show as u64 {
            println!("{text}");
        }
    }

    fn report(&self, words: usize, seed: u64) -> Result<(), String> {
        println!("{words} words, seed {seed:#x}");
        println!("{:>9} allocated for both tools and the decoder", self.agreed[1]);
        println!("{:>9} unallocated for all three", self.agreed[0]);
        println!("{:>9} where the tools differ: the decoder is with LLVM", self.with_llvm);
        for ((allocated, class), (count, example)) in &self.with_gnu {
            let what = if *allocated { "allocated" } else { "unallocated" };
            println!("{count:>9} with GNU objdump, {what} {class}, as {example:#010x}");
        }
        for (why, (count, example)) in &self.reasons {
            println!("{count:>9} {why}, as {example}");
        }
        println!("{:>9} loads and stores, operand by operand as LLVM prints them", self.accesses);
        println!("{:>9} texts, as LLVM prints them", self.texts);
        println!("{:>9} texts that are lists of fields", self.fields);
        for (why, (count, example)) in &self.spelt {
            println!("{count:>9} texts: {why}, as {example}");
        }
        match self.unexplained {
            0 => Ok(()),
            some => Err(format!("{some} differences without a reason")),
        }
    }
}

/// Mnemonics in `data/a64_insns.tsv` that neither binutils 2.40 nor LLVM 22 knows (there as of Armv9.7).
const NEWER: &[&str] = &[
    "CFLTGT",
    "CFLTLT",
    "CFLTHI",
    "CFLTLO",
    "CFLTEQ",
    "CFLTNE",
    "CFLTGE",
    "CFLTHS",
    "TFLTZ",
    "TFLTNZ",
    "FLT",
    "LDA64B",
    "STL64BV0",
    "STL64BV",
    "STL64B",
    "FCMTL",
    "FCMTLMG",
    "FMAXINM",
    "FMININM",
    "FMAXMG",
    "FMINMG",
    "FMAXMGINM",
    "FMINMGINM",
    "fmopab",
    "fmopat",
    "fmaxinmv",
    "fmininmv",
    "fmaxmginmv",
    "fminmginmv",
    "fmaxmgv",
    "fminmgv",
    "fmaxinm",
    "fmininm",
    "fmaxmginm",
    "fminmginm",
    "fmaxmg",
    "fminmg",
    "fcmtl",
    "fcmtlmg",
    "ldapro",
    "stlro",
];
/// The same for variants of mnemonics that are known.
const NEWER_VARIANTS: &[&str] = &["fdot_za16_zz8i_2xi", "fvdot_za16_zz8i_2xi"];

/// Returns why the decoder may differ from both tools.
pub fn reason(verdict: &Verdict, ours: Option<Instruction>) -> Option<&'static str> {
    let Some(ours) = ours else {
        let system = verdict.word & 0xffc0_0000 == 0xd500_0000;
        return (system && verdict.word >> 19 & 3 == 0)
            .then_some("MSR and MRS with op0 0, which both print, are no encodings");
    };
    if !ours.is_as_should_be() {
        return Some("should-be bits are not: CONSTRAINED UNPREDICTABLE, not unallocated");
    }
    if matches!(ours.class(), "memcms" | "memset_go") {
        return Some("MOPS with overlapping registers: CONSTRAINED UNPREDICTABLE, not unallocated");
    }
    let newer = NEWER.contains(&ours.mnemonic()) || NEWER_VARIANTS.contains(&ours.name());
    newer.then_some("newer than both tools")
}

/// How the decoder's text compares with LLVM's.
enum Text {
    Same,
    /// The instruction is printed as a list of fields.
    NoSyntax,
    /// Another way to write the same, for this reason.
    Spelt(&'static str),
    Differs,
}

fn text(verdict: &Verdict, ours: Instruction) -> Text {
    let (have, want) = (ours.to_string(), spread(&relative(verdict, ours)));
    if have == want {
        Text::Same
    } else if !ours.has_syntax() {
        Text::NoSyntax
    } else {
        spelling(&have, &want, &ours.mnemonic().to_lowercase()).map_or(Text::Differs, Text::Spelt)
    }
}

/// Replaces the target of a branch or literal by its distance.
fn relative(verdict: &Verdict, ours: Instruction) -> String {
    let text = verdict.text.split(" <").next().unwrap_or(&verdict.text);
    let Some((before, target)) = text.rsplit_once("0x") else { return text.into() };
    let Ok(target) = u64::from_str_radix(target, 16) else { return text.into() };
    let base = match ours.mnemonic() {
        "ADRP" => verdict.at & !0xfff,
        _ => verdict.at,
    };
    match before.strip_suffix('#') {
        Some(_) => text.into(),
        None => format!("{before}#{}", target.wrapping_sub(base).cast_signed()),
    }
}

/// Writes `z1.b - z3.b` as `z1.b, z2.b, z3.b`.
fn spread(text: &str) -> String {
    let Some((before, after)) = text.split_once(" - ") else { return text.into() };
    let end = after.find([' ', '}']).unwrap_or(after.len());
    let start = before.rfind([' ', '{']).map_or(0, |at| at + 1);
    let (first, last) = (&before[start..], after[..end].trim_end_matches(','));
    let suffix = first.find('.').map_or("", |at| &first[at..]);
    let number = |name: &str| name.split('.').next().and_then(|n| n.get(1..)?.parse::<u32>().ok());
    let (Some(from), Some(to)) = (number(first), number(last)) else { return text.into() };
    let kind = &first[..1];
    let count = if kind == "p" { 16 } else { 32 };
    let mut list = String::new();
    for step in 0..=(to + count - from) % count {
        let separator = if step == 0 { "" } else { ", " };
        list += &format!("{separator}{kind}{}{suffix}", (from + step) % count);
    }
    format!("{}{list}{}", &before[..start], spread(&after[end..]))
}

/// Returns why two texts stand for the same.
fn spelling(have: &str, want: &str, mnemonic: &str) -> Option<&'static str> {
    // Operands but for the one that names a system register.
    let others = |text: &str| {
        let lower = |part: &&str| !part.bytes().any(|b| b.is_ascii_uppercase());
        text.split([' ', ',']).filter(lower).collect::<Vec<_>>().join(" ")
    };
    let is_sys =
        have.starts_with(mnemonic) != want.starts_with(mnemonic) && matches!(mnemonic, "sys" | "sysp");
    // Without a register the named form ends with the name, the other with the zero register.
    let same_target = have.rsplit(' ').next() == want.rsplit(' ').next()
        || have.ends_with(", xzr") && want.split(' ').count() == 2;
    let is_move = ["mrs ", "msr ", "mrrs ", "msrr "].iter().any(|m| want.starts_with(m));
    if want
        .strip_suffix(']')
        .and_then(|w| w.rsplit_once(", lsl #"))
        .is_some_and(|(w, _)| have == format!("{w}]"))
    {
        Some("LLVM prints a shift where S is clear")
    } else if is_move && others(have) == others(want) {
        Some("a system register that only one of the two names")
    } else if mnemonic == "sysl" && !want.starts_with("sysl") || is_sys && same_target {
        Some("a system instruction that only one of the two names")
    } else if have.starts_with("bfc ") && want.starts_with("bfi ") {
        Some("LLVM writes BFC as BFI of the zero register, as before Armv8.2")
    } else if want.starts_with("hint #") && have.split(' ').next() == Some(mnemonic) {
        Some("LLVM without aliases writes hints by number")
    } else if want.starts_with("stshh #") && have.starts_with("hint #") {
        Some("a hint without a meaning, which LLVM takes for STSHH")
    } else {
        None
    }
}

/// Compares an access with LLVM's text; answers whether there was something to compare.
pub fn access_difference(verdict: &Verdict) -> Result<bool, String> {
    let Some(access) = access::decode(verdict.word) else {
        let missed = verdict.llvm && decode(verdict.word).is_some_and(|i| i.group().starts_with("ldst/"));
        return if missed { Err("not in the trap subset".into()) } else { Ok(false) };
    };
    let system = matches!(access.operation(), Operation::ZeroBlock | Operation::Maintenance);
    // RPRFM's first register is not transferred, and says how far to prefetch.
    if !verdict.llvm
        || system
        || verdict.text.starts_with("rprfm")
        || matches!(access.operation(), Operation::Refused(_))
    {
        return Ok(false);
    }
    let (mnemonic, operands) = verdict.text.split_once(' ').unwrap_or((&verdict.text, ""));
    let (want, have) = (theirs(operands), ours(access));
    if want != have && !is_printed_scaled(verdict, access) {
        return Err(format!("operands `{have}`, not `{want}`"));
    }
    let (want, have) = (size(mnemonic, operands, access), usize::from(access.size_log2()));
    if want.is_some_and(|want| want != have) {
        return Err(format!("size 2^{have}, not {want:?}"));
    }
    let sign = match access.transfer() {
        Transfer::Signed32 => Some('w'),
        Transfer::Signed64 => Some('x'),
        _ => None,
    };
    let signed = ["sb", "sh", "sw"].iter().any(|s| mnemonic.ends_with(s)) && mnemonic.starts_with("ld");
    if signed != sign.is_some() || (signed && operands.chars().next() != sign) {
        return Err(format!("sign extension {:?}", access.transfer()));
    }
    let order = [access.is_acquire(), access.is_release()];
    if order != ordering(mnemonic) {
        return Err(format!("acquire and release {order:?}"));
    }
    Ok(true)
}

/// LLVM 22 prints `lsl #n` with an offset register also where S is clear; GNU objdump does not.
fn is_printed_scaled(verdict: &Verdict, access: Access) -> bool {
    let unscaled = matches!(access.offset(), Offset::Register { extend: access::Extend::Lsl, shift: 0, .. });
    let shift = format!(", lsl #{}]", access.size_log2());
    unscaled
        && verdict.text.ends_with(&shift)
        && verdict.gnu
        && !verdict.gnu_text.contains("lsl")
        && theirs(&verdict.text.split_once(' ').map_or("", |(_, o)| o).replace(&shift, "]")) == ours(access)
}

/// Numbers of the registers before the bracket, then what is in and behind it, from LLVM's text.
fn theirs(text: &str) -> String {
    let (registers, address) = match text.find('[').filter(|&at| text[at..].contains(']')) {
        // A lane's bracket is not the address's.
        Some(_) => match text.rfind('[') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        },
        None => text.split_once(", ").unwrap_or((text, "")),
    };
    let mut numbers: Vec<String> = Vec::new();
    for word in registers.split([',', ' ', '{', '}', '[']).map(|w| w.split('.').next().unwrap_or(w)) {
        if let Some(number) = register(word) {
            numbers.push(number.to_string());
        }
    }
    format!("{} {}", numbers.join(" "), normal(address))
}

/// Returns the number of a register from its name.
fn register(name: &str) -> Option<u32> {
    match name {
        "xzr" | "wzr" | "sp" => Some(31),
        _ => name.strip_prefix(['x', 'w', 'v', 'b', 'h', 's', 'd', 'q'])?.parse().ok(),
    }
}

/// Writes an address without what is zero or says nothing.
fn normal(address: &str) -> String {
    let mut text = address.replace("sp", "x31").replace("xzr", "x31").replace("wzr", "w31");
    for nothing in [", #0]", ", lsl #0]"] {
        text = text.replace(nothing, "]");
    }
    // A literal: LLVM prints where it is, not how far.
    match text.find('[') {
        Some(_) => text,
        None => String::new(),
    }
}

/// The same from an access.
fn ours(access: Access) -> String {
    let mut numbers: Vec<String> = access.rs().map(|n| n.to_string()).into_iter().collect();
    let mut push = |n: u8| numbers.push((n & 31).to_string());
    if access.operation() == Operation::Atomic(Atomic::CompareAndSwap) && access.register_count() == 2 {
        push(access.rs().unwrap_or(0) + 1);
    }
    match access.registers() {
        Registers::Zero => {}
        Registers::One => push(access.rt()),
        Registers::Pair | Registers::PairHigh => {
            push(access.rt());
            push(access.rt2().unwrap_or(0));
        }
        Registers::Consecutive2 | Registers::Consecutive3 | Registers::Consecutive4 => {
            (0..access.register_count()).for_each(|n| push(access.rt() + n));
        }
    }
    let rn = access.rn();
    let address = match access.offset() {
        Offset::Immediate(by) => format!("[x{rn}, #{by}]"),
        Offset::PreIndexed(by) => format!("[x{rn}, #{by}]!"),
        Offset::PostIndexed(by) => format!("[x{rn}], #{by}"),
        Offset::PostIndexedBy(rm) => format!("[x{rn}], x{rm}"),
        Offset::Register { rm, extend, shift } => {
            let (bank, name) = match extend {
                access::Extend::Uxtw => ('w', ", uxtw"),
                access::Extend::Sxtw => ('w', ", sxtw"),
                access::Extend::Sxtx => ('x', ", sxtx"),
                access::Extend::Lsl => ('x', ", lsl"),
            };
            // A byte's shift by 0 is printed where the bit for it is set.
            let shifted = access.word() & (1 << 12) != 0;
            match (shifted, name) {
                (true, _) => format!("[x{rn}, {bank}{rm}{name} #{shift}]"),
                (false, ", lsl") => format!("[x{rn}, {bank}{rm}]"),
                (false, _) => format!("[x{rn}, {bank}{rm}{name}]"),
            }
        }
        Offset::Literal(_) => String::new(),
    };
    format!("{} {}", numbers.join(" "), normal(&address))
}

/// Returns the base 2 logarithm of the bytes of a register or element, as mnemonic and operands tell it.
fn size(mnemonic: &str, operands: &str, access: Access) -> Option<usize> {
    const UNITS: [char; 5] = ['b', 'h', 's', 'd', 'q'];
    match access.transfer() {
        Transfer::Vectors | Transfer::Interleaved | Transfer::Lane | Transfer::Replicated => {
            let unit = operands.split_once('.')?.1.chars().find(|c| c.is_ascii_alphabetic())?;
            UNITS.iter().position(|&u| u == unit)
        }
        Transfer::Simd => UNITS.iter().position(|&u| operands.starts_with(u)),
        Transfer::General | Transfer::Signed32 | Transfer::Signed64 => {
            if access.operation() == Operation::Prefetch {
                return None;
            }
            let narrow = |suffix: &str| mnemonic.ends_with(suffix) && mnemonic != "ldrab";
            if narrow("b") {
                Some(0)
            } else if narrow("h") {
                Some(1)
            } else if mnemonic.ends_with("sw") {
                Some(2)
            } else {
                // The data register is the last before the bracket; a status register may stand first.
                let before = operands.split('[').next()?;
                let mut registers = before.trim_end_matches([',', ' ']).rsplit(", ");
                let data = registers.find(|r| register(r).is_some())?;
                Some(if data.starts_with('x') { 3 } else { 2 })
            }
        }
    }
}

/// Returns whether the mnemonic is an acquire, and a release.
fn ordering(mnemonic: &str) -> [bool; 2] {
    let stem = mnemonic.trim_end_matches(['b', 'h']);
    let atomic = ["ldadd", "ldclr", "ldeor", "ldset", "ldsmax", "ldsmin", "ldumax", "ldumin", "swp", "cas"];
    let unprivileged = ["ldtadd", "ldtclr", "ldtset", "swpt", "cast", "caspt"];
    if let Some(rest) =
        unprivileged.iter().chain(&atomic).filter_map(|a| stem.strip_prefix(a)).min_by_key(|r| r.len())
    {
        let order = rest.trim_start_matches('p').trim_end_matches('t');
        return [order.contains('a'), order.contains('l')];
    }
    let acquire = ["ldar", "ldax", "ldapr", "ldapur", "ldlar", "ldap1", "ldiapp", "ldap", "ldapp", "ldatxr"];
    let release = ["stlr", "stlx", "stlur", "stllr", "stl1", "stilp", "stlp", "stltxr"];
    [acquire.iter().any(|a| mnemonic.starts_with(a)), release.iter().any(|r| mnemonic.starts_with(r))]
}
