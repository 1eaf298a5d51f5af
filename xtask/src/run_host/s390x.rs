//! `run-host bare-metal-s390x`: a hypervisor on IBM Z, under `qemu-system-s390x`.

use super::arm64::property;
use crate::console::Console;
use crate::demo::{self, Machine};
use crate::{cross, guest, shell};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: cargo xtask run-host bare-metal-s390x [model | hw | library | kit | mistakes | hostile | transcript | linux | vmm OPTIONS]
                   a hypervisor on IBM Z, without Start Arm Execution and with it; the first five in turn:
    model          the model runs the guest, as the machine does not announce the facility
    hw             it does, and the facility's instructions run the guest: as program checks, which emulate them
    library        both ways, by the C library alone: the back end is its own
    kit            both ways, the conformance kit
    mistakes       program checks of the hypervisor itself are reported for what they are
    hostile        both ways, guests/hostile, which tries everything; and how guests end
    transcript     both give the same transcript of guests/transcript
    linux          Debian's arm64 kernel to a shell, unattended, by the facility's instructions
    vmm OPTIONS    boots a kernel, with options of the VMM: --kernel, --initrd, --cmdline, --cpus, --memory; and --model
";

/// Longest silence of a machine that is at work.
const PATIENCE: Duration = Duration::from_secs(120);
const QEMU: &str = "qemu-system-s390x";
const TARGET: &str = "s390x-unknown-none-softfloat";
const LINKER: &str = "ld.lld-22";
/// The assembler of the guest's machine, and what belongs to it.
const ARM: &str = "aarch64-linux-gnu-";

pub fn run(words: &[&str]) -> Result<(), String> {
    let part = match words {
        ["--help" | "-h", ..] => {
            print!("{USAGE}");
            return Ok(());
        }
        [] => None,
        [part @ ("model" | "hw" | "library" | "kit" | "hostile" | "mistakes" | "transcript")] => Some(*part),
        ["linux"] => return linux(),
        ["vmm", rest @ ..] => return vmm(rest),
        _ => return Err(format!("unknown: {}\n{USAGE}", words.join(" "))),
    };
    let host = Hypervisor::build()?;
    let asked = |name| part.is_none_or(|part| part == name);
    for (name, facility) in [("model", Facility::Absent), ("hw", Facility::Announced)] {
        if asked(name) {
            own_guest(&host, facility, By::Crates)?;
        }
    }
    if asked("library") {
        for facility in [Facility::Absent, Facility::Announced] {
            own_guest(&host, facility, By::Library)?;
        }
    }
    if asked("kit") {
        kits(&host)?;
    }
    if part == Some("hostile") {
        for facility in [Facility::Absent, Facility::Announced] {
            hostile(&host, facility)?;
        }
    }
    if asked("mistakes") {
        mistakes(&host)?;
    }
    if part == Some("transcript") {
        same_transcript()?;
    }
    Ok(())
}

/// Returns what keeps the hypervisor from running here.
pub fn missing() -> Option<String> {
    cross::compiler_missing().or_else(|| {
        let needs =
            [QEMU, LINKER, "aarch64-linux-gnu-as", "aarch64-linux-gnu-ld", "aarch64-linux-gnu-objcopy"];
        let missing: Vec<&str> = needs.into_iter().filter(|program| !shell::has(program)).collect();
        (!missing.is_empty()).then(|| format!("not installed: {} (scripts/setup-cross)", missing.join(", ")))
    })
}

fn directory() -> PathBuf {
    shell::target().join("bare-metal-s390x")
}

fn sources() -> PathBuf {
    shell::root().join("examples/bare-metal-s390x")
}

/// Whether the machine announces Start Arm Execution.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Facility {
    /// It says what it is.
    Absent,
    /// It does, and the hypervisor emulates the instructions.
    Announced,
}

/// Where things lie on the machine, as the hypervisor has it (its `layout.rs`).
const MANIFEST: u64 = 120 << 20;
const ROOM: u64 = 128 << 20;
const MIB: u64 = 1 << 20;
/// Where a guest sees its memory.
const GUEST_RAM: u64 = 0x4000_0000;

/// The hypervisor, and the guest that goes with it.
struct Hypervisor {
    program: PathBuf,
    guest: PathBuf,
}

impl Hypervisor {
    fn build() -> Result<Self, String> {
        let mut build = shell::cargo();
        // The distribution's compiler, which has the sources of `core` and `alloc` beside it.
        build.env("RUSTC", "/usr/bin/rustc").env("RUSTDOC", "/usr/bin/rustdoc").env("RUSTC_BOOTSTRAP", "1");
        build.env("CARGO_TARGET_DIR", directory());
        build.env("CARGO_TARGET_S390X_UNKNOWN_NONE_SOFTFLOAT_LINKER", LINKER);
        build.env(
            "CARGO_TARGET_S390X_UNKNOWN_NONE_SOFTFLOAT_RUSTFLAGS",
            "-Clinker-flavor=ld.lld -Crelocation-model=static",
        );
        build.args(["build", "--release", "--target", TARGET, "--manifest-path"]);
        build.arg(sources().join("Cargo.toml"));
        build.args(["-Zbuild-std=core,alloc,compiler_builtins"]);
        build.arg("-Zbuild-std-features=compiler-builtins-mem");
        shell::run(&mut build)?;
        Ok(Self {
            program: directory().join(TARGET).join("release/bare-metal-s390x"),
            guest: assemble(&sources().join("src/guest.S"), &directory().join("guest"))?,
        })
    }

    /// Returns the machine with the hypervisor on it, and a guest that is `order`'s.
    fn machine(&self, order: &Order<'_>) -> Result<Command, String> {
        let mut qemu = Command::new(QEMU);
        let storage = ((ROOM + order.bytes) / MIB).to_string();
        qemu.args(["-M", "s390-ccw-virtio", "-cpu", "max", "-nographic", "-no-reboot", "-nic", "none"]);
        // A CPU that waits for nothing is a failure, unless it says that it is none.
        qemu.args(["-action", "panic=exit-failure", "-m", &storage, "-smp", &order.vcpus.to_string()]);
        qemu.arg("-kernel").arg(&self.program);
        let announced = u64::from(order.facility == Facility::Announced);
        let words = [
            u64::from_be_bytes(*b"XARCHGST"),
            announced,
            order.mistake,
            ROOM,
            order.bytes,
            order.entry,
            order.device_tree,
            order.vcpus,
            u64::from(order.services),
            order.by as u64,
        ];
        let manifest = directory().join(format!("manifest-{announced}-{}", order.mistake));
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_be_bytes).collect();
        std::fs::write(&manifest, bytes).map_err(|e| format!("{}: {e}", manifest.display()))?;
        loader(&mut qemu, &manifest, MANIFEST);
        for (file, address) in order.files {
            loader(&mut qemu, file, ROOM + (address - GUEST_RAM));
        }
        Ok(qemu)
    }
}

/// What the hypervisor is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// The crates, by their traits.
    Crates = 0,
    /// The C library, by its table.
    Library,
    /// The crates, for the conformance kit.
    Kit,
}

/// What the hypervisor is to do, as its manifest says it.
struct Order<'a> {
    facility: Facility,
    mistake: u64,
    /// The guest's memory.
    bytes: u64,
    entry: u64,
    device_tree: u64,
    vcpus: u64,
    /// Whether its memory is protected, collected, aged and unmapped while it runs.
    services: bool,
    by: By,
    /// Files in its memory: guest-physical address.
    files: &'a [(PathBuf, u64)],
}

fn loader(qemu: &mut Command, file: &Path, address: u64) {
    let file = file.display();
    qemu.args(["-device", &format!("loader,file={file},addr={address:#x},force-raw=on")]);
}

/// Assembles a guest into an image for the start of its memory, in files of that name.
pub fn assemble(source: &Path, name: &Path) -> Result<PathBuf, String> {
    let file = |extension| name.with_extension(extension);
    let tool = |name: &str| Command::new(format!("{ARM}{name}"));
    shell::run(tool("as").arg(source).arg("-o").arg(file("o")))?;
    let start = format!("-Ttext={GUEST_RAM:#x}");
    shell::run(tool("ld").arg(start).arg(file("o")).arg("-o").arg(file("elf")))?;
    shell::run(tool("objcopy").args(["-O", "binary"]).arg(file("elf")).arg(file("bin")))?;
    Ok(file("bin"))
}

/// What the guest says when all is well, until it wants something typed.
const CLAIMS: [&str; 11] = [
    "guest: here",
    "guest: firmware is there",
    "guest: there is no EL2",
    "guest: a device keeps its register",
    "guest: little-endian",
    "guest: where nothing is, an abort",
    "guest: read-only memory stays as it is",
    "guest: past the last address, an abort",
    "guest: 16 MiB of memory",
    "guest: ten timer interrupts, none too early",
    "guest: an interrupt ends a loop",
];
/// What it says then.
const TYPED: [&str; 2] = ["guest: what is typed arrives", "guest: floating point survives"];
/// What two vCPUs say.
const TWO: [&str; 3] = [
    "guest: a second CPU is here",
    "guest: both count, and nothing is lost",
    "guest: a hundred interrupts to and fro",
];

/// The facility's instructions, as the hypervisor counts them; and two that come with it.
const INSTRUCTIONS: [&str; 9] =
    ["SAE", "LASRM", "STIASRM", "QAAF", "SASR", "EASR", "PTFF", "STBEAR", "LBEAR"];

/// Runs the guest that does what a guest can do, with one vCPU and with two, by the crates or by the library.
fn own_guest(host: &Hypervisor, facility: Facility, by: By) -> Result<(), String> {
    for vcpus in [1, 2] {
        let order = Order {
            facility,
            mistake: 0,
            bytes: 64 * MIB,
            entry: GUEST_RAM,
            device_tree: 0,
            vcpus,
            // What the library changes in tables under a guest that runs, the emulated instructions do not see.
            services: by == By::Crates || vcpus == 1,
            by,
            files: &[(host.guest.clone(), GUEST_RAM)],
        };
        let started = Instant::now();
        let mut console = Console::start(&mut host.machine(&order)?, PATIENCE, true)?;
        let how = match facility {
            Facility::Absent => "no Start Arm Execution (NotAnnounced): the model runs the guest",
            Facility::Announced => "Start Arm Execution is emulated",
        };
        let library = match (by, facility) {
            (By::Crates | By::Kit, _) => None,
            (By::Library, Facility::Absent) => Some("xarch: by way of the C library, back end sae-model"),
            (By::Library, Facility::Announced) => Some("xarch: by way of the C library, back end sae"),
        };
        expect_lines(&mut console, [how].into_iter().chain(library).chain(CLAIMS))?;
        expect_lines(&mut console, ["guest: type x"])?;
        console.send("x")?;
        let two = TWO.into_iter().filter(|_| vcpus == 2);
        expect_lines(&mut console, TYPED.into_iter().chain(two))?;
        ended(&mut console)?;
        counts(&console, &order)?;
        println!("run-host: {vcpus} vCPUs, {:.2} s", started.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Runs the conformance kit both ways, and leaves what was said.
pub fn kit() -> Result<(), String> {
    kits(&Hypervisor::build()?)
}

fn kits(host: &Hypervisor) -> Result<(), String> {
    for (how, facility) in [("model", Facility::Absent), ("instructions", Facility::Announced)] {
        super::kit::leave(&format!("bare-metal-s390x, {how}"), &one_kit(host, facility)?)?;
    }
    Ok(())
}

/// Runs the conformance kit. Every clause is applicable: there is another CPU.
fn one_kit(host: &Hypervisor, facility: Facility) -> Result<String, String> {
    let order = Order {
        facility,
        mistake: 0,
        bytes: 64 * MIB,
        entry: 0,
        device_tree: 0,
        vcpus: 2,
        services: false,
        by: By::Kit,
        files: &[],
    };
    let started = Instant::now();
    let mut console = Console::start(&mut host.machine(&order)?, PATIENCE, true)?;
    let summary = " 0 broken, 0 not applicable";
    // The host's clauses, and the platform's.
    expect_lines(&mut console, [summary; 2])?;
    let status = console.end(PATIENCE)?;
    if !status.success() {
        return Err(console.failure(&format!("the hypervisor's exit status: {status}")));
    }
    println!("run-host: the kit, {:.1} s", started.elapsed().as_secs_f64());
    Ok(console.text().into())
}

/// What guests/hostile says where nothing stops it.
pub const HOSTILE: [&str; 8] = [
    "guest: hostile",
    "guest: every register",
    "guest: every system instruction",
    "guest: firmware with nonsense",
    "guest: the interrupt controller upside down",
    "guest: addresses that are not its own",
    "guest: tables that are none",
    "guest: that was all",
];

/// Writes a guest that calls a function of its firmware and does nothing else.
pub fn firmware_call(function: u16, file: &Path) -> Result<PathBuf, String> {
    // MOVZ W0, #function; MOVK W0, #0x8400, LSL #16; HVC #0; B .
    let words = [0x5280_0000 | u32::from(function) << 5, 0x72b0_8000, 0xd400_0002, 0x1400_0000];
    let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    std::fs::write(file, bytes).map_err(|e| format!("{}: {e}", file.display()))?;
    Ok(file.into())
}

/// Runs the guest that tries everything, and guests that end in other ways than by turning off.
fn hostile(host: &Hypervisor, facility: Facility) -> Result<(), String> {
    let image = assemble(&shell::root().join("guests/hostile/hostile.S"), &directory().join("hostile"))?;
    let run = |image: PathBuf| {
        let order = Order {
            facility,
            mistake: 0,
            bytes: 64 * MIB,
            entry: GUEST_RAM,
            device_tree: 0,
            vcpus: 1,
            services: false,
            by: By::Crates,
            files: &[(image, GUEST_RAM)],
        };
        Console::start(&mut host.machine(&order)?, PATIENCE, true)
    };
    let started = Instant::now();
    let mut console = run(image)?;
    expect_lines(&mut console, HOSTILE)?;
    ended(&mut console)?;
    println!("run-host: a hostile guest, {:.1} s", started.elapsed().as_secs_f64());
    // QEMU's exit status is 0 or 1; the report says which end it was.
    for (function, end, status) in [(8, "PowerOff", 0), (9, "Reset", 1)] {
        let mut console = run(firmware_call(function, &directory().join("end"))?)?;
        let code = console.end(PATIENCE)?.code();
        if code != Some(status) || !console.text().contains(&format!("guest ended: Some({end})")) {
            return Err(console.failure(&format!("{end} ends with {code:?}, not {status}")));
        }
    }
    Ok(())
}

/// Checks what the hypervisor has counted.
fn counts(console: &Console, order: &Order<'_>) -> Result<(), String> {
    let text = console.text();
    let number = |before: &str| {
        let (_, rest) = text.split_once(before)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    for name in INSTRUCTIONS {
        match (order.facility, number(&format!("xarch: emulated {name}: "))) {
            (Facility::Absent, None) | (Facility::Announced, Some(1..)) => {}
            (_, count) => return Err(console.failure(&format!("{name} was executed {count:?} times"))),
        }
    }
    // The guest has stored to 4096 pages; how often it was asked about the same ones is a matter of time.
    if !order.services {
        return Ok(());
    }
    match (number("rounds: "), number("dirty_pages: "), number("young: ")) {
        (Some(4..), Some(4096..), Some(1..)) => Ok(()),
        counts => Err(console.failure(&format!("the guest's memory was looked after {counts:?} times"))),
    }
}

/// What the guest that every host runs says on this one: by the model, and by the facility's instructions.
pub fn transcripts() -> Result<[String; 2], String> {
    let host = Hypervisor::build()?;
    let files = [(guest::transcript_image()?, GUEST_RAM + 0x8_0000)];
    let run = |facility| -> Result<String, String> {
        let (bytes, entry) = (64 * MIB, GUEST_RAM + 0x8_0000);
        let order = Order {
            facility,
            mistake: 0,
            bytes,
            entry,
            device_tree: 0,
            vcpus: 2,
            services: false,
            by: By::Crates,
            files: &files,
        };
        let mut console = Console::start(&mut host.machine(&order)?, PATIENCE, false)?;
        ended(&mut console)?;
        let own = |line: &&str| !line.starts_with("xarch: ");
        Ok(console.text().lines().filter(own).map(|line| format!("{line}\n")).collect())
    };
    Ok([run(Facility::Absent)?, run(Facility::Announced)?])
}

/// Compares both transcripts, but for the lines that say of themselves that they differ from run to run.
fn same_transcript() -> Result<(), String> {
    let texts = transcripts()?;
    let [model, hw] = texts.each_ref().map(|text| {
        let lines = text.lines().filter(|line| !line.starts_with('~'));
        lines.collect::<Vec<_>>()
    });
    let different = model.iter().zip(&hw).find(|(model, hw)| model != hw);
    match different {
        Some((model, hw)) => Err(format!("the transcripts differ:\nmodel: {model}\nhw:    {hw}")),
        None if model.len() != hw.len() || model.len() < 1000 => {
            Err(format!("transcripts of {} and {} lines", model.len(), hw.len()))
        }
        None => {
            println!(
                "bare-metal-s390x: {} lines, the same by the model and by the instructions",
                model.len()
            );
            Ok(())
        }
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
    let (vcpus, bytes) = (number("--cpus", 1)?, number("--memory", 512)? * MIB);
    let kernel = PathBuf::from(value("--kernel").ok_or("--kernel FILE is missing")?);
    let initrd = Path::new(value("--initrd").ok_or("--initrd FILE is missing")?);
    let cmdline = value("--cmdline").unwrap_or(demo::CMDLINE);
    // It makes the directory, too.
    let host = Hypervisor::build()?;
    let initrd = unpacked(initrd, &directory())?;
    let Machine::Ours(program) = Machine::ours()? else { return Err("no VMM".into()) };
    // The device tree is the VMM's: the guest's machine is the same, whoever plays it.
    let tree = directory().join("guest.dtb");
    let mut dump = Command::new(program);
    dump.arg("--kernel").arg(&kernel).arg("--initrd").arg(&initrd);
    dump.args(["--cpus", &vcpus.to_string(), "--memory", &(bytes / MIB).to_string()]);
    shell::run(dump.args(["--cmdline", cmdline]).arg("--dump-dtb").arg(&tree))?;
    let blob = read(&tree)?;
    let property = |name| property(&blob, name).ok_or_else(|| format!("the device tree has no {name}"));
    let (start, end) = (property("linux,initrd-start")?, property("linux,initrd-end")?);
    let offset = read(&kernel)?.get(8..16).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    let entry = GUEST_RAM + offset.ok_or("the kernel is too short")?;
    let device_tree = end.next_multiple_of(2 * MIB);
    let facility = if words.contains(&"--model") { Facility::Absent } else { Facility::Announced };
    let files = [(kernel, entry), (initrd, start), (tree, device_tree)];
    let order = Order {
        facility,
        mistake: 0,
        bytes,
        entry,
        device_tree,
        vcpus,
        services: false,
        by: By::Crates,
        files: &files,
    };
    let mut qemu = host.machine(&order)?;
    println!("$ {}", shell::line(&qemu));
    Err(format!("{QEMU}: {}", qemu.exec()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// With an initrd that is not compressed, the guest's file system, which is half of its memory, needs more than usual.
pub const ROOM_FOR_INITRD: [&str; 2] = ["--memory", "768"];

/// Returns an initrd that is not compressed: an interpreter in an interpreter takes minutes to unpack one.
pub fn unpacked(initrd: &Path, directory: &Path) -> Result<PathBuf, String> {
    if !read(initrd)?.starts_with(&[0x1f, 0x8b]) {
        return Ok(initrd.into());
    }
    let to = directory.join("initrd");
    let create = |path: &Path| std::fs::File::create(path).map_err(|e| format!("{}: {e}", path.display()));
    shell::run(Command::new("gzip").arg("-dc").arg(initrd).stdout(create(&to)?))?;
    Ok(to)
}

/// Debian's kernel, checked as the demo's smoke boot is.
fn linux() -> Result<(), String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let line = format!("{} run-host bare-metal-s390x vmm", own.display());
    let options = demo::Options { rest: ROOM_FOR_INITRD.map(String::from).into(), ..Default::default() };
    demo::smoke(&Machine::Other(line), &options.images()?, &options, true).map(|_| ())
}

/// Waits for lines, one after the other, each a part of one.
fn expect_lines<'a>(console: &mut Console, lines: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    for line in lines {
        console.expect(line, |text| text.find(line).map(|at| at + line.len()))?;
    }
    Ok(())
}

/// Waits for the machine's end, which has to be a good one.
fn ended(console: &mut Console) -> Result<(), String> {
    let status = console.end(PATIENCE)?;
    if status.success() && console.text().contains("guest ended: Some(PowerOff)") {
        Ok(())
    } else {
        Err(console.failure(&format!("the hypervisor's exit status: {status}")))
    }
}

/// A mistake that the hypervisor makes on demand.
struct Mistake {
    number: u64,
    facility: Facility,
    /// Parts of the report's lines, in their order.
    report: &'static [&'static str],
}

const fn mistake(number: u64, report: &'static [&'static str]) -> Mistake {
    Mistake { number, facility: Facility::Absent, report }
}

/// Program-interruption codes: PoP ch. 6, "Program Interruption".
const MISTAKES: [Mistake; 18] = [
    mistake(
        1,
        &["program check 0x0001, operation, on CPU 0", "PSW 04", ", text + ", "instruction 0000", "R0 "],
    ),
    mistake(2, &["program check 0x0002, privileged operation, on CPU 0", "PSW 0401", "instruction b20d0000"]),
    mistake(3, &["program check 0x0003, execute, on CPU 0", "instruction 44001000"]),
    mistake(4, &["program check 0x0004, protection,", "Store at 0x20000, text + 0x0", "protection: Dat"]),
    mistake(5, &["program check 0x0004, protection,", "Store at 0x0, prefix area", "protection: LowAddress"]),
    mistake(6, &["program check 0x0004, protection,", "Fetch at ", "protection: InstructionExecution"]),
    mistake(7, &["program check 0x0005, addressing,", "instruction b905"]),
    mistake(8, &["program check 0x0006, specification,", "instruction eb04"]),
    mistake(9, &["program check 0x0007, data,", "instruction ec", "data-exception code 0xff"]),
    mistake(10, &["program check 0x0009, fixed-point divide,", "instruction b90d"]),
    mistake(
        11,
        &["program check 0x0010, segment translation,", "instruction e3", "Fetch at 0x70000000, nowhere"],
    ),
    mistake(12, &["program check 0x0011, page translation,", "Store at ", ", stacks + 0x0"]),
    mistake(13, &["program check 0x003b, region-third translation,", "Fetch at 0x180000000, nowhere"]),
    mistake(14, &["program check 0x0038, ASCE type,", "Fetch at 0x1000000000000000, nowhere"]),
    // Instructions of the facility: where it is not, and where it is and refuses what it is given.
    mistake(15, &["program check 0x0001, operation,", "instruction b9a50020 SAE"]),
    mistake(16, &["program check 0x0001, operation,", "instruction ed2030001899 SASR"]),
    Mistake {
        number: 16,
        facility: Facility::Announced,
        report: &["program check 0x0006, specification,", "instruction ed2030001899 SASR"],
    },
    mistake(17, &["panicked at src/trial.rs", "on purpose"]),
];

fn mistakes(host: &Hypervisor) -> Result<(), String> {
    for Mistake { number, facility, report } in MISTAKES {
        let order = Order {
            facility,
            mistake: number,
            bytes: MIB,
            entry: 0,
            device_tree: 0,
            vcpus: 1,
            services: false,
            by: By::Crates,
            files: &[],
        };
        let mut console = Console::start(&mut host.machine(&order)?, PATIENCE, false)?;
        expect_lines(&mut console, report.iter().copied())?;
        let status = console.end(PATIENCE)?;
        if status.success() {
            return Err(console.failure("a program check does not end well"));
        }
        println!("mistake {number}: {}", report.join(" ... "));
    }
    Ok(())
}
