//! `run-host bare-metal-arm64`: a hypervisor at EL2, under `qemu-system-aarch64`.

use super::s390x::{self, HOSTILE};
use super::transcript;
use crate::bench;
use crate::console::Console;
use crate::demo::{self, Machine};
use crate::{cross, guest, shell};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: cargo xtask run-host bare-metal-arm64 [linux | bench | kit | hostile | vmm OPTIONS]
                   a hypervisor at EL2: runs the guest that it carries, without FEAT_VHE and with it
    linux          Debian's arm64 kernel on two vCPUs to a shell, unattended, and a second guest beside it
    bench          the kernels of bench/guest inside it against the same ones outside, in instructions
    kit            the conformance kit on the real world switch, clause by clause
    hostile        guests/hostile beside the guest of the transcripts, which has to notice nothing; and how guests end
    vmm OPTIONS    boots a kernel, with options of the VMM: --kernel, --initrd, --cmdline, --cpus, --memory
";

/// Longest silence of a machine that is at work.
const PATIENCE: Duration = Duration::from_secs(120);
const QEMU: &str = "qemu-system-aarch64";
/// The one that is asked for instead.
static OTHER_QEMU: OnceLock<String> = OnceLock::new();
const TARGET: &str = "aarch64-unknown-none-softfloat";
/// CPUs of QEMU, and whether they have FEAT_VHE.
const CPUS: [(&str, bool); 2] = [("cortex-a57", false), ("max", true)];

/// Has another QEMU play the machine.
pub fn use_qemu(program: &str) {
    let _ = OTHER_QEMU.set(program.into());
}

/// Returns what plays the machine.
pub fn qemu() -> &'static str {
    OTHER_QEMU.get().map_or(QEMU, String::as_str)
}

pub fn run(words: &[&str]) -> Result<(), String> {
    match words.split_first() {
        Some((&("--help" | "-h"), _)) => {
            print!("{USAGE}");
            Ok(())
        }
        None => own_guest(),
        Some((&"linux", [])) => linux(),
        Some((&"bench", [])) => bench(),
        Some((&"kit", [])) => kit(),
        Some((&"hostile", [])) => hostile(),
        Some((&"vmm", rest)) => vmm(rest),
        Some(_) => Err(format!("unknown: {}\n{USAGE}", words.join(" "))),
    }
}

/// Returns what keeps the Arm hypervisor from running here.
pub fn missing() -> Option<String> {
    cross::compiler_missing().or_else(|| {
        let needs = [("aarch64-linux-gnu-ld", "gcc-aarch64-linux-gnu"), (QEMU, "qemu-system-arm")];
        let missing: Vec<&str> =
            needs.iter().filter(|(program, _)| !shell::has(program)).map(|&(_, p)| p).collect();
        (!missing.is_empty()).then(|| format!("not installed: {} (scripts/setup-cross)", missing.join(", ")))
    })
}

fn directory() -> PathBuf {
    shell::target().join("bare-metal-arm64")
}

/// Builds the hypervisor.
fn build() -> Result<PathBuf, String> {
    let mut build = shell::cargo();
    // The distribution's compiler, which has the sources of `core` and `alloc` beside it.
    build.env("RUSTC", "/usr/bin/rustc").env("RUSTDOC", "/usr/bin/rustdoc").env("RUSTC_BOOTSTRAP", "1");
    build.env("CARGO_TARGET_DIR", directory());
    build.env("CARGO_TARGET_AARCH64_UNKNOWN_NONE_SOFTFLOAT_LINKER", "aarch64-linux-gnu-ld");
    build.args(["build", "--release", "--target", TARGET, "--manifest-path"]);
    build.arg(shell::root().join("examples/bare-metal-arm64/Cargo.toml"));
    build.args(["-Zbuild-std=core,alloc,compiler_builtins"]);
    build.arg("-Zbuild-std-features=compiler-builtins-mem");
    shell::run(&mut build)?;
    Ok(directory().join(TARGET).join("release/bare-metal-arm64"))
}

/// The hypervisor, for other commands.
pub struct Hypervisor(PathBuf);

impl Hypervisor {
    pub fn build() -> Result<Self, String> {
        build().map(Self)
    }

    /// Returns the machine with the guest that every host runs, which is told of a CPU that is below these models.
    pub fn transcript(&self, image: &Path, cpu: &str, below: &str) -> Result<Command, String> {
        machine(&self.0, cpu, &[transcript(image, below)?])
    }
}

/// Returns the guest that every host runs, below these models.
fn transcript(image: &Path, below: &str) -> Result<Guest, String> {
    let models = models(below)?;
    Ok(Guest { vcpus: 2, models, ..Guest::alone(image, GUEST_RAM + 0x8_0000) })
}

/// Returns the bits of models joined by `+`, as the hypervisor's manifest has them: in the order of the table, then
/// what the engine has.
fn models(below: &str) -> Result<u64, String> {
    let path = shell::root().join("data/cpu_models.tsv");
    let table = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut names: Vec<&str> = table.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    names.dedup();
    names.push("max-modelled");
    let bit = |name: &str| {
        let at = names.iter().position(|known| *known == name);
        at.map(|at| 1 << at).ok_or_else(|| format!("no CPU model is called {name}"))
    };
    below.split('+').try_fold(0, |bits, name| Ok(bits | bit(name)?))
}

/// One guest, as the hypervisor's manifest describes it.
struct Guest {
    /// Where its memory lies on the machine, and how much it has.
    memory: (u64, u64),
    /// Files in its memory: guest-physical address.
    files: Vec<(PathBuf, u64)>,
    /// 0 is the guest that the hypervisor carries.
    entry: u64,
    device_tree: u64,
    vcpus: u64,
    first_cpu: u64,
    /// Models that what it is told of the CPU is below, a bit for each in the order of `data/cpu_models.tsv`.
    models: u64,
}

impl Guest {
    /// Returns a guest of one vCPU on the first CPU, which is no more than a file.
    fn alone(image: &Path, entry: u64) -> Self {
        Self {
            memory: (HOST_ROOM, 64 * MIB),
            files: vec![(image.into(), entry)],
            entry,
            device_tree: 0,
            vcpus: 1,
            first_cpu: 0,
            models: 0,
        }
    }
}

/// Where a guest sees its memory.
const GUEST_RAM: u64 = 0x4000_0000;
/// Where the machine has room for the memory of guests.
const HOST_ROOM: u64 = 0x5000_0000;
/// Where the hypervisor looks for the manifest.
const MANIFEST: u64 = 0x4700_0000;
const MIB: u64 = 1 << 20;

/// Returns the machine with the hypervisor on it, and these guests.
fn machine(hypervisor: &Path, cpu: &str, guests: &[Guest]) -> Result<Command, String> {
    let mut qemu = Command::new(qemu());
    qemu.args(["-M", "virt,virtualization=on,gic-version=3", "-cpu", cpu, "-nographic", "-nic", "none"]);
    qemu.args(["-no-reboot", "-semihosting-config", "enable=on,target=native"]);
    let cpus = guests.iter().map(|guest| guest.first_cpu + guest.vcpus).max().unwrap_or(1);
    let end = guests.iter().map(|guest| guest.memory.0 + guest.memory.1).max().unwrap_or(HOST_ROOM);
    qemu.args(["-smp", &cpus.to_string(), "-m", &((end - GUEST_RAM).div_ceil(MIB)).to_string()]);
    qemu.arg("-kernel").arg(hypervisor);
    if guests.is_empty() {
        return Ok(qemu);
    }
    let mut words = vec![u64::from_le_bytes(*b"XARCHGST"), guests.len() as u64];
    for guest in guests {
        let Guest { memory: (start, bytes), entry, device_tree, vcpus, first_cpu, models, .. } = *guest;
        words.extend([start, bytes, entry, device_tree, vcpus, first_cpu, models]);
        for (file, address) in &guest.files {
            loader(&mut qemu, file, start + (address - GUEST_RAM));
        }
    }
    let manifest = directory().join(format!("manifest-{cpu}-{}", guests.len()));
    let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    std::fs::write(&manifest, bytes).map_err(|e| format!("{}: {e}", manifest.display()))?;
    loader(&mut qemu, &manifest, MANIFEST);
    Ok(qemu)
}

fn loader(qemu: &mut Command, file: &Path, address: u64) {
    let file = file.display();
    qemu.args(["-device", &format!("loader,file={file},addr={address:#x},force-raw=on")]);
}

/// What the guest that the hypervisor carries says when all is well.
const CLAIMS: [&str; 9] = [
    "guest: here",
    "guest: firmware is there",
    "guest: there is no EL2",
    "guest: a device keeps its register",
    "guest: where nothing is, an abort",
    "guest: 16 MiB of memory",
    "guest: ten timer interrupts",
    "guest: sixteen interrupts at once",
    "guest: floating point survives",
];

fn own_guest() -> Result<(), String> {
    let hypervisor = build()?;
    for (cpu, vhe) in CPUS {
        let mut console = Console::start(&mut machine(&hypervisor, cpu, &[])?, PATIENCE, true)?;
        let form = format!("EL2 {} FEAT_VHE", if vhe { "with" } else { "without" });
        for claim in [form.as_str()].into_iter().chain(CLAIMS) {
            console.expect(claim, |text| text.find(claim).map(|at| at + claim.len()))?;
        }
        ended(&mut console, 1)?;
        // QEMU has four list registers: the rest came by way of the maintenance interrupt.
        if console.text().contains(" interrupts, 0 of them maintenance") {
            return Err(console.failure("no maintenance interrupt"));
        }
    }
    Ok(())
}

/// What the loader leaves where the manifest is for guests.
const KIT: &[u8; 8] = b"XARCHKIT";

/// Runs the conformance kit instead of guests; its exit status says whether a clause is broken. Leaves what was said.
pub fn kit() -> Result<(), String> {
    let hypervisor = build()?;
    let manifest = directory().join("manifest-kit");
    std::fs::write(&manifest, KIT).map_err(|e| format!("{}: {e}", manifest.display()))?;
    for (cpu, vhe) in CPUS {
        let mut machine = machine(&hypervisor, cpu, &[])?;
        loader(machine.args(["-smp", "2"]), &manifest, MANIFEST);
        let start = Instant::now();
        let mut console = Console::start(&mut machine, PATIENCE, true)?;
        // The host's clauses, and the platform's.
        for summary in [" 0 broken, 0 not applicable"; 2] {
            console.expect(summary, |text| text.find(summary).map(|at| at + summary.len()))?;
        }
        let status = console.end(PATIENCE)?;
        if !status.success() {
            return Err(console.failure(&format!("-cpu {cpu}: the hypervisor's exit status: {status}")));
        }
        let form = if vhe { "with" } else { "without" };
        println!("bare-metal-arm64 {form} FEAT_VHE: {:.1} s", start.elapsed().as_secs_f64());
        super::kit::leave(&format!("bare-metal-arm64, {form} FEAT_VHE"), console.text())?;
    }
    Ok(())
}

/// Runs the guest of the transcripts on two vCPUs, and then once more with a guest beside it, on the CPU of the first one,
/// that tries everything. Both have to come to their end, and the first one has to have noticed nothing.
fn hostile() -> Result<(), String> {
    let hypervisor = Hypervisor::build()?;
    let victim = guest::transcript_image()?;
    let image =
        s390x::assemble(&shell::root().join("guests/hostile/hostile.S"), &directory().join("hostile"))?;
    for (cpu, vhe) in CPUS {
        let mut texts = Vec::new();
        let start = Instant::now();
        for beside in [false, true] {
            let mut guests = vec![transcript(&victim, "armv8.0")?];
            if beside {
                let memory = (HOST_ROOM + 64 * MIB, 64 * MIB);
                guests.push(Guest { memory, ..Guest::alone(&image, GUEST_RAM) });
            }
            let mut console = Console::start(&mut machine(&hypervisor.0, cpu, &guests)?, PATIENCE, false)?;
            // As long as something is said, it is at work.
            let last = format!("xarch: guest {} ended: ", guests.len() - 1);
            console.expect(&last, |text| text.find(&last).map(|at| at + last.len()))?;
            ended(&mut console, guests.len())?;
            let missing = HOSTILE.iter().find(|claim| !console.text().contains(&format!("[1] {claim}")));
            if let (true, Some(claim)) = (beside, missing) {
                return Err(console.failure(&format!("the guest beside did not say: {claim}")));
            }
            texts.push(transcript::inner(console.text())?);
        }
        // Which of two timers comes first is a matter of time where a CPU has more to do.
        let is_told = |line: &(usize, &str)| !line.1.starts_with("timer.") || !line.1.contains("-then-");
        let [alone, beside] = [0, 1].map(|at: usize| {
            let lines = transcript::lines(&texts[at]);
            lines.into_iter().filter(is_told).collect::<Vec<_>>()
        });
        if let Some((alone, beside)) = alone.iter().zip(&beside).find(|(alone, beside)| alone != beside) {
            return Err(format!("alone:  {}\nbeside: {}", alone.1, beside.1));
        }
        if alone.len() != beside.len() {
            return Err(format!("{} lines alone, {} beside a hostile guest", alone.len(), beside.len()));
        }
        let form = if vhe { "with" } else { "without" };
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "bare-metal-arm64 {form} FEAT_VHE: {} lines, the same beside a hostile guest; {seconds:.1} s",
            alone.len()
        );
    }
    // The exit status is the guest's.
    for (function, end, status) in ENDS {
        let image = s390x::firmware_call(function, &directory().join("end"))?;
        let guest = Guest::alone(&image, GUEST_RAM);
        let mut console = Console::start(&mut machine(&hypervisor.0, "max", &[guest])?, PATIENCE, false)?;
        let code = console.end(PATIENCE)?.code();
        if code != Some(status) || !console.text().contains(&format!("guest 0 ended: Some({end})")) {
            return Err(console.failure(&format!("{end} ends with {code:?}, not {status}")));
        }
        println!("bare-metal-arm64: {end}: exit status {status}");
    }
    Ok(())
}

/// Functions of PSCI that end a guest, what the hypervisor says then, and its exit status.
const ENDS: [(u16, &str, i32); 2] = [(8, "PowerOff", 0), (9, "Reset", 4)];

/// Waits for the machine's end; each guest has to have turned itself off.
fn ended(console: &mut Console, guests: usize) -> Result<(), String> {
    let status = console.end(PATIENCE)?;
    if !status.success() {
        return Err(console.failure(&format!("the hypervisor's exit status: {status}")));
    }
    let ends = console.text().matches("ended: Some(PowerOff)").count();
    if ends == guests {
        Ok(())
    } else {
        Err(console.failure(&format!("{ends} of {guests} guests turned off")))
    }
}

/// Boots a kernel under the hypervisor with options of the VMM; does not come back where it succeeds.
fn vmm(words: &[&str]) -> Result<(), String> {
    let value = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1).copied()
    };
    let number = |name: &str, or: u64| match value(name) {
        Some(text) => text.parse::<u64>().map_err(|e| format!("{name} {text}: {e}")),
        None => Ok(or),
    };
    let cpus = number("--cpus", 1)?;
    let boot = Boot {
        kernel: value("--kernel").ok_or("--kernel FILE is missing")?.into(),
        initrd: value("--initrd").ok_or("--initrd FILE is missing")?.into(),
        cmdline: value("--cmdline").unwrap_or(demo::CMDLINE),
        cpus,
        memory: number("--memory", 512)? * MIB,
    };
    let hypervisor = build()?;
    let Machine::Ours(program) = Machine::ours()? else { return Err("no VMM".into()) };
    let mut guests = vec![boot.guest(&program, HOST_ROOM, 0)?];
    let end = HOST_ROOM + boot.memory;
    if let Some(cmdline) = value("--beside") {
        // The same kernel once more, on the CPU of the first one's last vCPU; and the guest that the hypervisor carries.
        let second = Boot { cmdline, cpus: 1, ..boot };
        guests.push(second.guest(&program, end, cpus - 1)?);
        let memory = (end + second.memory, 64 * MIB);
        guests.push(Guest {
            memory,
            files: Vec::new(),
            entry: 0,
            device_tree: 0,
            vcpus: 1,
            first_cpu: 0,
            models: 0,
        });
    }
    let mut qemu = machine(&hypervisor, value("--host-cpu").unwrap_or("max"), &guests)?;
    println!("$ {}", shell::line(&qemu));
    Err(format!("{QEMU}: {}", qemu.exec()))
}

/// A kernel to boot.
struct Boot<'a> {
    kernel: PathBuf,
    initrd: PathBuf,
    cmdline: &'a str,
    cpus: u64,
    memory: u64,
}

impl Boot<'_> {
    /// Returns the guest that boots it. The device tree is the VMM's: the guest's machine is the same, whoever plays it.
    fn guest(&self, vmm: &Path, start: u64, first_cpu: u64) -> Result<Guest, String> {
        let tree = directory().join(format!("guest-{start:x}.dtb"));
        let mut dump = Command::new(vmm);
        dump.arg("--kernel").arg(&self.kernel).arg("--initrd").arg(&self.initrd);
        dump.args(["--cpus", &self.cpus.to_string(), "--memory", &(self.memory / MIB).to_string()]);
        shell::run(dump.args(["--cmdline", self.cmdline]).arg("--dump-dtb").arg(&tree))?;
        let read = |path: &Path| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
        let blob = read(&tree)?;
        let property = |name| property(&blob, name).ok_or_else(|| format!("the device tree has no {name}"));
        let (initrd, end) = (property("linux,initrd-start")?, property("linux,initrd-end")?);
        let header = read(&self.kernel)?;
        let offset = header.get(8..16).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
        let entry = GUEST_RAM + offset.ok_or("the kernel is too short")?;
        let device_tree = end.next_multiple_of(2 * MIB);
        Ok(Guest {
            memory: (start, self.memory),
            files: vec![(self.kernel.clone(), entry), (self.initrd.clone(), initrd), (tree, device_tree)],
            entry,
            device_tree,
            vcpus: self.cpus,
            first_cpu,
            models: 0,
        })
    }
}

/// Returns a property of 64 bits of a device tree. Devicetree Specification ch. 5, "Flattened Devicetree Format".
pub fn property(blob: &[u8], name: &str) -> Option<u64> {
    let word = |at: usize| Some(u32::from_be_bytes(blob.get(at..at + 4)?.try_into().ok()?) as usize);
    let (structure, strings) = (word(8)?, word(12)?);
    let mut at = structure;
    loop {
        match word(at)? {
            // FDT_BEGIN_NODE: a name, padded.
            1 => {
                let length = blob.get(at + 4..)?.iter().position(|byte| *byte == 0)?;
                at += (4 + length + 1).next_multiple_of(4);
            }
            // FDT_PROP: length, offset of the name, value, padded.
            3 => {
                let (length, called) = (word(at + 4)?, strings + word(at + 8)?);
                let value = blob.get(at + 12..at + 12 + length)?;
                let rest = blob.get(called..)?;
                if rest.starts_with(name.as_bytes()) && rest.get(name.len()) == Some(&0) {
                    return Some(u64::from_be_bytes(value.try_into().ok()?));
                }
                at += (12 + length).next_multiple_of(4);
            }
            // FDT_END_NODE, FDT_NOP.
            2 | 4 => at += 4,
            _ => return None,
        }
    }
}

/// Debian's kernel on two vCPUs, checked as the demo's smoke boot is. Beside it, sharing its CPUs, the same kernel with
/// one vCPU, which turns itself off at the end of its boot, and the guest that the hypervisor carries.
fn linux() -> Result<(), String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    for (cpu, _) in CPUS {
        let line = format!("{} run-host bare-metal-arm64 vmm --host-cpu {cpu}", own.display());
        let rest = ["--cpus", "2", "--beside", BESIDE].map(String::from).into();
        let options = demo::Options { rest, ..Default::default() };
        // The exit status of the hypervisor says that every guest turned itself off.
        demo::smoke(&Machine::Other(line), &options.images()?, &options, true)?;
    }
    Ok(())
}

/// Command line of the kernel beside the first one.
const BESIDE: &str = "console=ttyAMA0 panic=-1 rdinit=/sbin/poweroff -- -f";

/// Kernels that compute; the others are exits.
const COMPUTE: [&str; 9] =
    ["xorshift", "sieve", "sha256", "matmul", "fp", "stream", "chase", "icall", "branchy"];
/// What a kernel may cost at most inside: "near native".
const NEAR_NATIVE: f64 = 0.97;
/// Time is instructions.
const COUNTED: [&str; 2] = ["-icount", "shift=0,align=off,sleep=off"];

fn bench() -> Result<(), String> {
    let hypervisor = build()?;
    // The same image outside and inside: its tables have pages of 4 KiB, and its timer interrupts 250 times in a second.
    let guest = bench::Guest::build("ticks", &["-DSAMPLES=1", "-DTICKS=250"])?;
    let entry = GUEST_RAM + 0x8_0000;
    let outside = bench::measure(&mut guest.qemu(&COUNTED))?;
    let mut slow = Vec::new();
    for (cpu, vhe) in CPUS {
        let inside = Guest {
            memory: (HOST_ROOM, 128 * MIB),
            files: vec![(guest.image().into(), entry)],
            entry,
            device_tree: 0,
            vcpus: 1,
            first_cpu: 0,
            models: 0,
        };
        let inside = bench::measure(machine(&hypervisor, cpu, &[inside])?.args(COUNTED))?;
        println!(
            "bare-metal-arm64 {} FEAT_VHE, guest time under -icount, outside : inside",
            if vhe { "with" } else { "without" }
        );
        for (name, native) in &outside {
            let ours = inside.get(name).ok_or_else(|| format!("{name} did not run inside"))?;
            let computes = COMPUTE.contains(&name.as_str());
            if computes && ours.sum != native.sum {
                return Err(format!("{name}: checksum {} inside, {} outside", ours.sum, native.sum));
            }
            let ratio = native.microseconds / ours.microseconds;
            println!(
                "{name:>12} {:>12.0} us {:>12.0} us {ratio:>8.4}",
                native.microseconds, ours.microseconds
            );
            if computes && ratio < NEAR_NATIVE {
                slow.push(format!("{name} {ratio:.4}"));
            }
        }
    }
    if slow.is_empty() { Ok(()) } else { Err(format!("below {NEAR_NATIVE}: {}", slow.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::property;

    #[test]
    fn a_property_is_found_by_its_name() {
        let word = |word: u32| word.to_be_bytes();
        let mut blob = Vec::new();
        for value in [0xd00d_feed_u32, 0, 16, 16 + 48] {
            blob.extend(word(value));
        }
        // Node "ab", property "x" of 64 bits, end; then the strings.
        blob.extend(word(1));
        blob.extend(*b"ab\0\0");
        blob.extend([word(3), word(8), word(2)].concat());
        blob.extend(5_u64.to_be_bytes());
        blob.extend([word(4), word(2), word(9), word(0), word(0)].concat());
        blob.extend(*b"y\0x\0");
        assert_eq!(property(&blob, "x"), Some(5));
        assert_eq!(property(&blob, "y"), None);
    }
}
