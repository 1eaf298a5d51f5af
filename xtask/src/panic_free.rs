//! `cargo xtask check panic-free`: what the whole static library is made of.
//!
//! The library is linked as a kernel links it: after link-time optimisation, partially, with everything that its one
//! entry symbol does not reach thrown away. What is left must not name a panic, an allocator or text formatting, and
//! no entry may use much stack: frames are read out of the instructions, calls out of instructions and relocations.

use crate::{cross, shell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

const USAGE: &str = "\
usage: cargo xtask check panic-free [--target x86_64|s390x|aarch64] [--calls NAME] [--object FILE]
  --target   only this one; otherwise all that can be built here
  --calls    print what the functions whose name contains NAME call, with their stack
  --object   look at this object, which was linked before
";

const ENTRY: &str = "xarch_get_api";
/// Stack that an entry may use, callbacks aside: half of the smallest kernel stack in use.
const STACK_LIMIT: u64 = 4096;

/// Functions, by how their names begin, that a call through a pointer reaches only in some others, by how their names
/// begin. All other functions whose address is taken count as reached by each call through a pointer.
///
/// What SIMD instructions do is in functions that the decoder keeps in a table of their own type, and only the engine's
/// loop calls what it finds there. What the engine asks its environment is asked by nobody outside of it. How 128 bits
/// are accessed is chosen by `portable_atomic` for itself.
const REACHED_FROM: &[(&str, &[&str])] = &[
    ("arm_exec::simd::", ENGINE_LOOP),
    ("arm_exec::fp::", ENGINE_LOOP),
    ("core::ops::function::FnOnce::call_once", ENGINE_LOOP),
    // One kind of loads and stores each.
    ("arm_exec::memory::", ENGINE_MEMORY),
    ("<arm_exec::flow::Keeper", &["arm_exec::"]),
];
const ENGINE_MEMORY: &[&str] = &["arm_exec::exec::", "arm_exec::memory::<impl arm_exec::pe::Pe>::memory"];
const ENGINE_LOOP: &[&str] = &["arm_exec::exec::", "arm_exec::pe::Pe::"];

/// What must not be there. `core::panicking` is where every panic of Rust's own begins.
const FORBIDDEN: &[(&str, &str)] = &[
    ("core::panicking::", "a panic"),
    ("core::result::unwrap_failed", "a panic"),
    ("core::option::unwrap_failed", "a panic"),
    ("core::option::expect_failed", "a panic"),
    ("core::slice::index::slice_", "a panic"),
    ("core::str::slice_error_fail", "a panic"),
    ("core::cell::panic_", "a panic"),
    ("rust_begin_unwind", "a panic"),
    ("__rust_alloc", "the allocator"),
    ("__rust_dealloc", "the allocator"),
    ("alloc::", "the allocator"),
    ("core::fmt::", "text formatting"),
];

/// What the linker may leave to the host. Rust takes the first four everywhere; the rest is the compiler's own.
const HOST: &[&str] = &["memcpy", "memmove", "memset", "memcmp", "bcmp"];

/// One machine to look at.
struct Target {
    name: &'static str,
    triple: &'static str,
    /// Prefix of the binary utilities.
    tools: &'static str,
    /// What a call itself takes.
    call: u64,
    /// What an instruction takes.
    stack: fn(&str) -> Option<u64>,
    /// What an instruction gives back.
    given_back: fn(&str) -> Option<u64>,
    /// Whether an instruction neither branches nor calls.
    is_plain: fn(&str) -> bool,
}

impl Target {
    fn is_native(&self) -> bool {
        cfg!(target_arch = "x86_64") && self.tools.is_empty()
    }
}

const TARGETS: [Target; 3] = [
    Target {
        name: "x86_64",
        triple: "x86_64-unknown-linux-gnu",
        tools: "",
        call: 8,
        stack: stack_x86_64,
        given_back: |_| None,
        is_plain: |_| false,
    },
    Target {
        name: "s390x",
        triple: "s390x-unknown-none-softfloat",
        tools: "s390x-linux-gnu-",
        call: 0,
        stack: stack_s390x,
        given_back: given_back_s390x,
        is_plain: is_plain_s390x,
    },
    Target {
        name: "aarch64",
        triple: "aarch64-unknown-none-softfloat",
        tools: "aarch64-linux-gnu-",
        call: 0,
        stack: stack_aarch64,
        given_back: |_| None,
        is_plain: |_| false,
    },
];

pub fn run(arguments: &[String]) -> Result<(), String> {
    let (mut only, mut calls, mut object) = (None, None, None);
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match (word, words.next()) {
            ("--target", Some(name)) if TARGETS.iter().any(|target| target.name == name) => only = Some(name),
            ("--calls", Some(name)) => calls = Some(name),
            ("--object", Some(file)) => object = Some(PathBuf::from(file)),
            _ => return Err(format!("unknown options\n{USAGE}")),
        }
    }
    let mut failed = Vec::new();
    let mut table = Vec::new();
    for target in TARGETS.iter().filter(|target| only.is_none_or(|only| only == target.name)) {
        match missing(target) {
            Some(reason) => println!("{}: SKIPPED: {reason}", target.name),
            None => {
                let (object, library) = match &object {
                    Some(object) => (object.clone(), None),
                    None => {
                        let library = build(target)?;
                        (link(target, &library)?, Some(library))
                    }
                };
                let (mut line, broken) = check(target, &object, calls)?;
                failed.extend(broken);
                if let Some(library) = library {
                    line.extend(run_host(target, &library)?);
                }
                table.push(line);
            }
        }
    }
    println!("\n{}", COLUMNS.map(|title| format!("{title:>14}")).concat());
    for line in &table {
        println!("{}", line.iter().map(|cell| format!("{cell:>14}")).collect::<String>());
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// Builds the library for this machine, as it is looked at.
pub fn native_library() -> Result<PathBuf, String> {
    let target = TARGETS.iter().find(|target| target.name == std::env::consts::ARCH && target.is_native());
    build(target.ok_or("the library in C is measured on x86-64 only")?)
}

/// The targets, by name, with what keeps each from being looked at here.
pub fn targets() -> impl Iterator<Item = (&'static str, Option<String>)> {
    TARGETS.iter().map(|target| (target.name, missing(target)))
}

/// What keeps a target from being looked at here.
fn missing(target: &Target) -> Option<String> {
    if target.tools.is_empty() && !target.is_native() {
        return Some("measured on x86-64 only".into());
    }
    let tool = |name: &str| format!("{}{name}", target.tools);
    let tools: Vec<String> =
        ["ld", "nm", "objdump", "objcopy", "size"].map(tool).into_iter().filter(|t| !shell::has(t)).collect();
    if !tools.is_empty() {
        return Some(format!("not installed: {} (scripts/setup-cross)", tools.join(", ")));
    }
    if target.is_native() { None } else { cross::compiler_missing() }
}

/// What the table has of each target; the last three in bytes, for a back end in software and one vCPU with 64 KiB of
/// decoded code.
const COLUMNS: [&str; 7] = ["", "text", "rodata", "deepest stack", "back end", "VM", "vCPU"];

/// Looks at an object; returns the first cells of its line and what is broken.
fn check(target: &Target, object: &Path, calls: Option<&str>) -> Result<(Vec<String>, Vec<String>), String> {
    let program = Program::read(target, object)?;
    if let Some(name) = calls {
        program.print_calls(name);
    }
    let mut failed = program.forbidden();
    let entries = program.entries();
    if entries.len() < 20 {
        failed.push(format!("{}: only {} entries found in the table", target.name, entries.len()));
    }
    let mut stacks: Vec<(Stack, &str)> =
        entries.iter().map(|entry| (program.stack(entry), entry.as_str())).collect();
    stacks.sort_by_key(|(stack, _)| std::cmp::Reverse(stack.bytes));
    let sections = sections(target, object)?;
    println!("{}: text {} bytes, rodata {}, data {}", target.name, sections[0], sections[1], sections[2]);
    println!("{}: left to the host: {}", target.name, program.undefined.join(" "));
    for (stack, entry) in &stacks {
        let (bytes, note) = (stack.bytes, stack.note());
        let over = if bytes > STACK_LIMIT { ", OVER THE LIMIT" } else { "" };
        println!("{}: {bytes:>6} bytes of stack{note} in {}{over}", target.name, short(entry));
        if bytes > STACK_LIMIT || stack.recursive.is_some() {
            let step = |(bytes, name): &(u64, String)| format!("    {bytes:>6} {}", short(name));
            let path: Vec<String> =
                stack.path.iter().filter(|step| step.0 >= 64).take(20).map(step).collect();
            failed.push(format!(
                "{}: {} uses {bytes} bytes of stack{}, more than {STACK_LIMIT}:\n{}",
                target.name,
                short(entry),
                stack.note(),
                path.join("\n")
            ));
        }
    }
    for name in program.undefined.iter().filter(|name| !HOST.contains(&name.as_str())) {
        failed.push(format!("{}: {name} is not defined", target.name));
    }
    println!("{}: {}", target.name, if failed.is_empty() { "holds" } else { "BROKEN" });
    let deepest = stacks.first().map_or(0, |(stack, _)| stack.bytes);
    let numbers = [sections[0], sections[1], deepest].map(|number| number.to_string());
    Ok(([target.name.to_string()].into_iter().chain(numbers).collect(), failed))
}

/// Builds the static library with link-time optimisation.
fn build(target: &Target) -> Result<PathBuf, String> {
    let directory = shell::target().join("panic-free");
    let native = target.tools.is_empty();
    let mut cargo = shell::cargo();
    if !native {
        // The distribution's compiler brings its sources, of which `core` is built.
        cargo.env("RUSTC", "/usr/bin/rustc");
    }
    // The older names say where a function is written down, which the newer ones leave out.
    cargo.env("RUSTC_BOOTSTRAP", "1");
    cargo.env("RUSTFLAGS", "-Zunstable-options -Csymbol-mangling-version=legacy");
    cargo.env("CARGO_TARGET_DIR", &directory);
    // In increments the compiler sees less at a time: other frames, other figures.
    cargo.env("CARGO_INCREMENTAL", "0");
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "fat").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    cargo.env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    cargo.args(["rustc", "-p", "xarch-ffi", "--release", "--lib", "--crate-type", "staticlib"]);
    cargo.args(["--target", target.triple]);
    if !native {
        cargo.args(["-Zbuild-std=core,compiler_builtins"]);
    }
    shell::run(cargo.args(["--", "--cfg", "xarch_static_library"]))?;
    Ok(directory.join(target.triple).join("release/libxarch_ffi.a"))
}

/// Runs the host in C that the tests have, with this library: what was looked at is also what works. Returns the sizes
/// that it reports.
fn run_host(target: &Target, library: &Path) -> Result<Vec<String>, String> {
    let compiler = if target.tools.is_empty() { "cc".into() } else { format!("{}gcc", target.tools) };
    let emulator = format!("qemu-{}", target.name);
    let foreign = !target.tools.is_empty();
    for program in [Some(&compiler), foreign.then_some(&emulator)].into_iter().flatten() {
        if !shell::has(program) {
            println!("{}: host in C SKIPPED: {program} is not installed (scripts/setup-cross)", target.name);
            return Ok(Vec::new());
        }
    }
    let root = shell::root();
    let program = library.with_file_name("host");
    let mut cc = Command::new(&compiler);
    cc.args(["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-D_POSIX_C_SOURCE=200809L", "-I"]);
    cc.arg(root.join("include")).arg(root.join("crates/xarch-ffi/tests/c/host.c"));
    shell::run(cc.arg(library).arg("-o").arg(&program))?;
    let mut run = Command::new(if foreign { Path::new(&emulator) } else { &program });
    if foreign {
        run.args(["-L", &format!("/usr/{}", target.tools.trim_end_matches('-'))]).arg(&program);
    }
    let said = shell::output(&mut run)?;
    println!("{}", said.trim_end());
    let sizes = said.lines().find_map(|line| line.strip_prefix("bytes: ")).unwrap_or("");
    Ok(sizes.split(", ").filter_map(|size| size.split(' ').next_back()).map(String::from).collect())
}

/// Links it partially: what the entry does not reach is gone.
fn link(target: &Target, library: &Path) -> Result<PathBuf, String> {
    let linked = library.with_extension("linked.o");
    let object = library.with_extension("o");
    let tool = |name: &str| Command::new(format!("{}{name}", target.tools));
    shell::run(
        tool("ld").args(["-r", "--gc-sections", "-u", ENTRY, "-e", ENTRY, "-o"]).arg(&linked).arg(library),
    )?;
    // The compiler's own form of the code is in there too, and confuses the tools.
    shell::run(
        tool("objcopy")
            .args(["-R", ".llvmbc", "-R", ".llvmcmd", "-R", ".eh_frame"])
            .arg(&linked)
            .arg(&object),
    )?;
    Ok(object)
}

/// Bytes of text, of read-only data, and of other data.
fn sections(target: &Target, object: &Path) -> Result<[u64; 3], String> {
    let text = shell::output(Command::new(format!("{}size", target.tools)).args(["-A", "-d"]).arg(object))?;
    let mut sums = [0; 3];
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(Ok(bytes))) = (words.next(), words.next().map(str::parse::<u64>)) else {
            continue;
        };
        let which = if name.starts_with(".text") {
            0
        } else if name.starts_with(".rodata") || name.starts_with(".data.rel.ro") {
            1
        } else if name.starts_with(".data") || name.starts_with(".bss") {
            2
        } else {
            continue;
        };
        sums[which] += bytes;
    }
    Ok(sums)
}

/// The linked library, as its disassembly shows it.
#[derive(Default)]
struct Program {
    target: &'static str,
    functions: BTreeMap<String, Function>,
    /// Functions whose address is in read-only data, by the object that holds it.
    in_data: BTreeMap<String, BTreeSet<String>>,
    undefined: Vec<String>,
}

#[derive(Default)]
struct Function {
    frame: u64,
    /// Stack on top of that which is given back before anything else is called.
    passing: u64,
    calls: BTreeSet<String>,
    /// Functions whose address it takes.
    takes: BTreeSet<String>,
    /// It calls through a pointer.
    indirect: bool,
}

/// What one entry needs.
struct Stack {
    bytes: u64,
    /// The deepest way.
    path: Vec<(u64, String)>,
    /// A function that calls itself, if one does.
    recursive: Option<String>,
}

impl Stack {
    fn note(&self) -> String {
        self.recursive.as_ref().map_or_else(String::new, |name| format!(", {} is recursive", short(name)))
    }
}

impl Program {
    fn read(target: &Target, object: &Path) -> Result<Self, String> {
        let objdump = |arguments: &[&str]| {
            let mut objdump = Command::new(format!("{}objdump", target.tools));
            shell::output(objdump.args(arguments).arg(object))
        };
        let name = TARGETS.iter().find(|known| known.name == target.name).map_or("", |known| known.name);
        let mut program = Self { target: name, ..Self::default() };
        program.read_code(&objdump(&["-dr", "--no-show-raw-insn", "-w"])?, target);
        program.read_data(&objdump(&["-r", "-w"])?);
        let nm = shell::output(Command::new(format!("{}nm", target.tools)).arg("-u").arg(object))?;
        program.undefined =
            nm.lines().filter_map(|line| line.split_whitespace().nth(1)).map(String::from).collect();
        Ok(program)
    }

    fn read_code(&mut self, text: &str, target: &Target) {
        let mut current = String::new();
        let mut before = Before::default();
        // What the last instruction but plain ones took.
        let mut taken = None;
        for line in text.lines() {
            if let Some(name) = line.strip_suffix(">:").and_then(|l| l.split_once('<')).map(|(_, n)| n) {
                current = name.to_string();
                self.functions.entry(current.clone()).or_default().frame = target.call;
                before = Before::default();
                taken = None;
                continue;
            }
            let Some(function) = self.functions.get_mut(&current) else { continue };
            let Some((_, rest)) = line.split_once(":\t").or_else(|| line.split_once(": ")) else { continue };
            if line.contains("R_") && rest.trim_start().starts_with("R_") {
                function.relocation(&current, rest, before.last());
                continue;
            }
            // A relocation may stand behind its instruction in the same line.
            let (code, relocation) = match rest.find("R_") {
                Some(at) => (&rest[..at], Some(&rest[at..])),
                None => (rest, None),
            };
            let code = code.split_once(": ").filter(|_| relocation.is_some()).map_or(code, |(c, _)| c).trim();
            if let Some(bytes) = (target.stack)(code) {
                function.frame += bytes;
                taken = Some(bytes);
            } else if let Some(bytes) = taken.filter(|bytes| (target.given_back)(code) == Some(*bytes)) {
                function.frame -= bytes;
                function.passing = function.passing.max(bytes);
                taken = None;
            } else if !(target.is_plain)(code) {
                taken = None;
            }
            // A call by way of the table of addresses names whom it calls.
            let named = relocation.is_some_and(|relocation| relocation.contains("GOT"));
            function.indirect |= is_indirect(code) && !named && !before.is_switch(code);
            before.note(code);
            // Every function has a section of its own: what leaves it has a relocation.
            if let Some(relocation) = relocation {
                function.relocation(&current, relocation, code);
            }
        }
    }

    fn read_data(&mut self, text: &str) {
        let mut section = String::new();
        for line in text.lines() {
            if let Some(name) =
                line.strip_prefix("RELOCATION RECORDS FOR [").and_then(|l| l.strip_suffix("]:"))
            {
                section = name.to_string();
            } else if section.starts_with(".data") || section.starts_with(".rodata") {
                // What is behind the start of a function is a place to jump to, not a function.
                let target = line.split_whitespace().nth(2).unwrap_or("");
                let symbol = symbol_of(target);
                let is_start = !target.contains("+0x");
                if is_start && self.functions.contains_key(&symbol) {
                    self.in_data.entry(section.clone()).or_default().insert(symbol);
                }
            }
        }
    }

    /// What is there and must not be, each with who brought it in.
    fn forbidden(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (name, what) in self.functions.keys().chain(&self.undefined).filter_map(|name| {
            let plain = demangle(name);
            let (_, what) = FORBIDDEN.iter().find(|(start, _)| plain.starts_with(start))?;
            Some((name, *what))
        }) {
            let callers: Vec<&String> = self
                .functions
                .iter()
                .filter(|(_, function)| function.calls.contains(name) || function.takes.contains(name))
                .map(|(caller, _)| caller)
                .collect();
            for caller in callers {
                if !FORBIDDEN.iter().any(|(start, _)| demangle(caller).starts_with(start)) {
                    found.push(format!("{}: {what}: {} from {}", self.target, short(name), short(caller)));
                }
            }
        }
        found
    }

    /// The functions in the table of entries, and the entry symbol itself.
    fn entries(&self) -> Vec<String> {
        let table = self.in_data.values().find(|functions| functions.iter().any(|f| f.contains("vcpu_run")));
        let thunk = |name: &&String| demangle(name).starts_with("xarch_ffi::c::thunks::");
        let entries = table.into_iter().flatten().filter(thunk).cloned();
        entries.chain([ENTRY.to_string()]).collect()
    }

    /// Functions that a call through a pointer may reach inside the library: all whose address is taken anywhere,
    /// apart from the entries, which nobody inside calls.
    fn pointed_to(&self) -> BTreeSet<&String> {
        let entries = self.entries();
        let taken = self.functions.values().flat_map(|function| &function.takes);
        let all = self.in_data.values().flatten().chain(taken);
        all.filter(|name| !entries.contains(name) && self.functions.contains_key(*name)).collect()
    }

    fn stack(&self, entry: &str) -> Stack {
        let pointed_to = self.pointed_to();
        let mut known = HashMap::new();
        let mut recursive = None;
        let bytes = self.depth(entry, &pointed_to, &mut known, &mut Vec::new(), &mut recursive);
        let mut path = Vec::new();
        let mut at = Some(entry.to_string());
        while let Some(name) = at {
            if path.iter().any(|(_, seen)| *seen == name) {
                break;
            }
            path.push((self.functions.get(&name).map_or(0, |function| function.frame), name.clone()));
            at = known.get(&name).and_then(|(_, next): &(u64, Option<String>)| next.clone());
        }
        Stack { bytes, path, recursive }
    }

    fn depth(
        &self,
        name: &str,
        pointed_to: &BTreeSet<&String>,
        known: &mut HashMap<String, (u64, Option<String>)>,
        open: &mut Vec<String>,
        recursive: &mut Option<String>,
    ) -> u64 {
        if let Some((bytes, _)) = known.get(name) {
            return *bytes;
        }
        let Some(function) = self.functions.get(name) else { return 0 };
        if open.iter().any(|open| open == name) {
            // A way back through a pointer is one that the analysis cannot rule out, not one that there is.
            if open.last().and_then(|last| self.functions.get(last)).is_some_and(|f| f.calls.contains(name)) {
                *recursive = Some(name.to_string());
            }
            return 0;
        }
        open.push(name.to_string());
        let mut callees: BTreeSet<&String> = function.calls.iter().collect();
        if function.indirect {
            callees.extend(pointed_to.iter().filter(|callee| may_reach(name, callee)));
        }
        let mut deepest = (0, None);
        for callee in callees {
            let bytes = self.depth(callee, pointed_to, known, open, recursive);
            if bytes > deepest.0 {
                deepest = (bytes, Some(callee.clone()));
            }
        }
        open.pop();
        let bytes = function.frame + deepest.0.max(function.passing);
        known.insert(name.to_string(), (bytes, deepest.1));
        bytes
    }

    fn print_calls(&self, part: &str) {
        for (name, function) in self.functions.iter().filter(|(name, _)| demangle(name).contains(part)) {
            let pointer = if function.indirect { ", calls through a pointer" } else { "" };
            println!("{}: {} bytes{pointer}", demangle(name), function.frame);
            for callee in &function.calls {
                println!("    {}", demangle(callee));
            }
        }
    }
}

/// Whether a call through a pointer in one function may be of another: see [`REACHED_FROM`].
fn may_reach(caller: &str, callee: &str) -> bool {
    let (caller, callee) = (demangle(caller), demangle(callee));
    let rule = REACHED_FROM.iter().find(|(start, _)| callee.starts_with(start));
    rule.is_none_or(|(_, callers)| callers.iter().any(|start| caller.starts_with(start)))
}

impl Function {
    fn relocation(&mut self, own: &str, relocation: &str, instruction: &str) {
        let Some(symbol) = relocation.split_whitespace().nth(1).map(symbol_of) else { return };
        let jumps = ["call", "jmp", "j", "bl", "b", "brasl", "jg", "b.", "cb"];
        let mnemonic = instruction.split_whitespace().next().unwrap_or("");
        if jumps.iter().any(|jump| mnemonic == *jump || (jump.len() > 1 && mnemonic.starts_with(jump))) {
            // A jump to a place of its own takes no stack, however far it is.
            if symbol != own || ["call", "callq", "brasl", "bl"].contains(&mnemonic) {
                self.calls.insert(symbol);
            }
        } else {
            self.takes.insert(symbol);
        }
    }
}

/// The name in a relocation, without what is added to it.
fn symbol_of(text: &str) -> String {
    let end = text.rfind(['+', '-']).filter(|at| text[at + 1..].starts_with("0x")).unwrap_or(text.len());
    let name = text[..end].split("@").next().unwrap_or("");
    // Functions have sections of their own name.
    let Some(name) = name.strip_prefix(".text.") else { return name.to_string() };
    name.strip_prefix("unlikely.").unwrap_or(name).to_string()
}

/// A call, or a jump that may be one, whose target is in a register or in memory.
fn is_indirect(code: &str) -> bool {
    let mut words = code.split_whitespace();
    let (Some(mnemonic), operands) = (words.next(), words.next().unwrap_or("")) else { return false };
    match mnemonic {
        "call" | "callq" | "jmp" | "jmpq" => operands.starts_with('*'),
        "blr" | "br" => operands.starts_with('x') || operands.starts_with("%r1,") || operands == "%r1",
        "basr" => !operands.ends_with("%r0"),
        _ => false,
    }
}

/// The last instructions of a function.
#[derive(Default)]
struct Before<'a>([&'a str; 6]);

impl<'a> Before<'a> {
    fn note(&mut self, code: &'a str) {
        self.0.rotate_left(1);
        self.0[5] = code;
    }

    fn last(&self) -> &'a str {
        self.0[5]
    }

    /// Whether a jump goes by a table of the function's own places: an entry of it was read just before, which is no
    /// whole address.
    fn is_switch(&self, code: &str) -> bool {
        const LOADS: [&str; 6] = ["movslq", "ldrsw", "ldrh", "ldrb", "lgf", "agf"];
        let mnemonic = |code: &str| code.split_whitespace().next().unwrap_or("").to_string();
        ["jmp", "br"].contains(&mnemonic(code).as_str())
            && self.0.iter().any(|code| LOADS.contains(&mnemonic(code).as_str()))
    }
}

/// Stack that an x86-64 instruction takes.
pub fn stack_x86_64(code: &str) -> Option<u64> {
    let (mnemonic, operands) = code.split_once(char::is_whitespace)?;
    let operands = operands.trim();
    match mnemonic {
        "push" | "pushq" => Some(8),
        "sub" | "subq" => {
            let operands = operands.strip_prefix('$')?;
            match operands.strip_suffix(",%r11") {
                // A probed frame, of which %r11 becomes the end: less than a page is other arithmetic.
                Some(bytes) => immediate(bytes).filter(|bytes| *bytes >= 0x1000),
                None => immediate(operands.strip_suffix(",%rsp")?),
            }
        }
        "add" | "addq" => {
            let bytes = immediate(operands.strip_prefix('$')?.strip_suffix(",%rsp")?)?;
            // Subtracting by adding what is negative.
            (bytes > 1 << 63).then(|| bytes.wrapping_neg())
        }
        // A probed frame: the loop takes pages down to here.
        "lea" => immediate(operands.strip_prefix('-')?.strip_suffix("(%rsp),%r11")?),
        _ => None,
    }
}

/// Stack that an s390x instruction takes.
pub fn stack_s390x(code: &str) -> Option<u64> {
    let (mnemonic, operands) = code.split_once(char::is_whitespace)?;
    let operands = operands.trim();
    match mnemonic {
        "aghi" | "agfi" => operands.strip_prefix("%r15,-")?.parse().ok(),
        "slgfi" => operands.strip_prefix("%r15,")?.parse().ok(),
        "lay" | "la" => operands.strip_prefix("%r15,-")?.strip_suffix("(%r15)")?.parse().ok(),
        _ => None,
    }
}

/// Stack that an s390x instruction gives back. At the end of a function it is LMG that does.
fn given_back_s390x(code: &str) -> Option<u64> {
    code.strip_prefix("aghi")?.trim().strip_prefix("%r15,")?.parse().ok()
}

/// Whether an s390x instruction is one of those around SAE: loads, stores, and SAE itself, which the assembler has no
/// name for. What they need beside the frame is there for them alone.
fn is_plain_s390x(code: &str) -> bool {
    const PLAIN: [&str; 14] = [
        "stg", "lg", "lgr", "lghi", "stbear", "lbear", "stfpc", "lfpc", "stam", "lam", "vstm", "vlm",
        ".long", "la",
    ];
    code.split_whitespace().next().is_some_and(|mnemonic| PLAIN.contains(&mnemonic))
}

/// Stack that an AArch64 instruction takes.
pub fn stack_aarch64(code: &str) -> Option<u64> {
    let (mnemonic, operands) = code.split_once(char::is_whitespace)?;
    let operands = operands.split("//").next()?.trim();
    match mnemonic {
        "sub" => {
            let amount = operands.strip_prefix("sp, sp, #")?;
            match amount.split_once(", lsl #") {
                Some((amount, shift)) => Some(immediate(amount)? << immediate(shift)?),
                None => immediate(amount),
            }
        }
        "stp" | "str" => {
            let (_, amount) = operands.split_once("[sp, #-")?;
            amount.strip_suffix("]!")?.parse().ok()
        }
        _ => None,
    }
}

fn immediate(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Undoes Rust's mangling, without the hash.
fn demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// A name for reading.
fn short(name: &str) -> String {
    demangle(name).trim_start_matches("xarch_ffi::c::thunks::").to_string()
}

#[cfg(test)]
mod tests {
    use super::{
        Before, Program, TARGETS, demangle, is_indirect, may_reach, stack_aarch64, stack_s390x, stack_x86_64,
        symbol_of,
    };

    #[test]
    fn frames_are_read_from_instructions() {
        for (code, want) in [
            ("sub    $0x1a8,%rsp", Some(0x1a8)),
            ("push   %rbx", Some(8)),
            ("lea    -0x3000(%rsp),%r11", Some(0x3000)),
            ("sub    $0x8a30,%r11", Some(0x8a30)),
            ("sub    $0x8,%r11", None),
            ("add    $0x1a8,%rsp", None),
            ("sub    $0x10,%rax", None),
            ("lea    -0x2000(%rsp),%rax", None),
            ("ret", None),
        ] {
            assert_eq!(stack_x86_64(code), want, "{code}");
        }
        assert_eq!(stack_s390x("aghi\t%r15,-416"), Some(416));
        assert_eq!(stack_s390x("lay\t%r15,-8192(%r15)"), Some(8192));
        assert_eq!(stack_s390x("slgfi\t%r15,40960"), Some(40960));
        assert_eq!(stack_s390x("aghi\t%r15,416"), None);
        assert_eq!(stack_aarch64("sub\tsp, sp, #0x1, lsl #12"), Some(4096));
        assert_eq!(stack_aarch64("stp\tx29, x30, [sp, #-96]!"), Some(96));
        assert_eq!(stack_aarch64("stp\tx29, x30, [sp, #96]"), None);
    }

    /// As objdump prints it for s390x, around an instruction that it does not know.
    const AROUND: &str = "0000000000000000 <_ZN1a1bE>:
   0:\taghi\t%r15,-560
   4:\taghi\t%r15,-608
   8:\tvstm\t%v0,%v15,96(%r15)
   e:\t.long\t0xb9a50020
  12:\taghi\t%r15,608
";

    #[test]
    fn stack_that_is_given_back_at_once_is_not_below_a_call() {
        const CALL: &str = "  16:\tbrasl\t%r14,0 <_ZN1a1bE>\t18: R_390_PLT32DBL\t_ZN1c1dE+0x2\n";
        const CALLED: &str = "0000000000000000 <_ZN1c1dE>:\n   0:\taghi\t%r15,-160\n";
        const FRAME: &str = "0000000000000000 <_ZN1a1bE>:\n   0:\taghi\t%r15,-560\n";
        const LATE: &str = "  1c:\taghi\t%r15,-608\n  20:\tlgr\t%r2,%r3\n";
        const GIVEN_BACK: &str = "  2c:\taghi\t%r15,608\n";
        let stack = |parts: &[&str]| {
            let mut program = Program { target: "test", ..Program::default() };
            program.read_code(&parts.concat(), &TARGETS[1]);
            program.stack("_ZN1a1bE").bytes
        };
        assert_eq!(stack(&[AROUND]), 560 + 608);
        assert_eq!(stack(&[AROUND, CALL, CALLED]), 560 + 608, "what is called takes less than that");
        assert_eq!(stack(&[AROUND, CALL, &CALLED.replace("-160", "-616")]), 560 + 616);
        assert_eq!(stack(&[FRAME, LATE, CALL, GIVEN_BACK, CALLED]), 560 + 608 + 160, "a call between");
    }

    #[test]
    fn calls_are_told_from_pointers() {
        assert!(is_indirect("call   *0x18(%rax)") && is_indirect("blr\tx8") && is_indirect("basr\t%r14,%r1"));
        assert!(!is_indirect("call   1234 <x>") && !is_indirect("bl\t0 <x>"));
        let mut before = Before::default();
        assert!(!before.is_switch("jmp    *%rax"));
        before.note("movslq (%rcx,%rax,4),%rax");
        before.note("add    %rcx,%rax");
        assert!(before.is_switch("jmp    *%rax") && !before.is_switch("call   *%rax"));
        assert_eq!(symbol_of("_ZN4core3fmtE-0x4"), "_ZN4core3fmtE");
        assert_eq!(symbol_of(".text._ZN1aE+0x7fff"), "_ZN1aE");
        assert_eq!(symbol_of(".text.unlikely._RNvC1a1b-0x4"), "_RNvC1a1b");
    }

    #[test]
    fn names_are_readable() {
        let name = "_ZN8arm_exec2pe4find34_$LT$impl$u20$arm_exec..pe..Pe$GT$6decode17h7e49a5a9ae1b9b5dE";
        assert_eq!(demangle(name), "arm_exec::pe::find::<impl arm_exec::pe::Pe>::decode");
        let name = "_RNvNtCsgEmfK2I1SDS_4core9panicking18panic_bounds_check";
        assert_eq!(demangle(name), "core::panicking::panic_bounds_check");
    }

    #[test]
    fn a_loop_is_no_recursion_and_a_call_is() {
        for (line, want) in [
            ("jgne\t0 <_ZN1a1bE>\t2: R_390_PC32DBL\t_ZN1a1bE+0x1a", None),
            ("brasl\t%r14,0 <_ZN1a1bE>\t2: R_390_PLT32DBL\t_ZN1a1bE+0x2", Some("_ZN1a1bE")),
        ] {
            let mut program = Program { target: "test", ..Program::default() };
            program.read_code(&format!("0000000000000000 <_ZN1a1bE>:\n   0:\t{line}\n"), &TARGETS[1]);
            assert_eq!(program.stack("_ZN1a1bE").recursive.as_deref(), want, "{line}");
        }
    }

    #[test]
    fn a_pointer_reaches_what_its_kind_reaches() {
        let simd = "_ZN8arm_exec4simd3add17h0123456789abcdefE";
        let engine = "_ZN8arm_exec4exec34_$LT$impl$u20$arm_exec..pe..Pe$GT$7execute17h0123456789abcdefE";
        let keeper = "_ZN72_$LT$arm_exec..flow..Keeper$LT$E$GT$$u20$as$u20$arm_exec..flow..Host$GT$7counter17h0123456789abcdefE";
        let thunk = "_ZN9xarch_ffi1c6thunks8vcpu_run17h0123456789abcdefE";
        assert!(may_reach(engine, simd) && may_reach(engine, keeper) && may_reach(thunk, engine));
        assert!(!may_reach(thunk, simd) && !may_reach(keeper, keeper) && !may_reach(keeper, simd));
    }

    /// As objdump prints it for x86-64, of a library that panics.
    const PANICS: &str = "0000000000000000 <_ZN1a1b17h0123456789abcdefE>:
   0:\tpush   %rax
   1:\tcall   6 <_ZN1a1b17h0123456789abcdefE+0x6>
\t\t\t2: R_X86_64_PLT32\t_ZN4core9panicking9panic_fmt17h0123456789abcdefE-0x4
0000000000000000 <_ZN4core9panicking9panic_fmt17h0123456789abcdefE>:
   0:\tjmp    0 <_ZN4core9panicking9panic_fmt17h0123456789abcdefE>
";

    #[test]
    fn a_panic_is_reported_with_who_brought_it() {
        let mut program = Program { target: "test", ..Program::default() };
        program.read_code(PANICS, &TARGETS[0]);
        assert_eq!(program.forbidden(), ["test: a panic: core::panicking::panic_fmt from a::b"]);
        // A return address each, and the register.
        assert_eq!(program.stack("_ZN1a1b17h0123456789abcdefE").bytes, 24);
    }
}
