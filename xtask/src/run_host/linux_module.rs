//! `run-host linux-module`: a module for the packaged Linux 6.1, which runs Arm guests in the kernel of another machine.
//!
//! Kernel, headers and busybox come by the distribution's package client, without root; the library is built with the
//! distribution's compiler, the module with kbuild. QEMU boots the packaged kernel with an initramfs, in which the
//! module is loaded, used, misused and unloaded, and the kernel's log is read.

use crate::console::Console;
use crate::fetch::Apt;
use crate::panic_free::{stack_aarch64, stack_s390x, stack_x86_64};
use crate::{cross, demo, guest, shell};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: cargo xtask run-host linux-module [MACHINE]... [--fuzz SECONDS] [--guest] [--tree DIR]
       cargo xtask run-host linux-module [MACHINE]... --kit [--tree DIR]
       cargo xtask run-host linux-module MACHINE --linux | vmm OPTIONS
  MACHINE   x86-64, s390x, arm64; otherwise all that are possible here
  --fuzz    how long hostile calls go on (10)
  --guest   also run guests/transcript under the VMM, in the kernel and in a program, which takes building it
  --kit     the conformance kit instead, in the kernel, on the module's own functions
  --tree    a kernel 6.1 built by hand in DIR instead of the packaged one, such as one with PROVE_LOCKING and KASAN
  --linux   Debian's arm64 kernel to a shell, unattended, in the kernel of that machine
  vmm       boots a kernel there, with options of the VMM: --kernel FILE, --initrd FILE, and what the VMM takes beside
";

/// Longest silence of a machine that is at work.
const PATIENCE: Duration = Duration::from_secs(120);
/// The kernels that the module is for.
const RELEASE: &str = "6.1.";
const ENTRY: &str = "xarch_get_api";
const KIT_ENTRY: &str = "xarch_kit_run";
/// What a frame of the library's may take of a kernel's stack, which has 16 KiB.
const MOST_STACK: u64 = 4096;

/// A machine whose kernel takes the module.
struct Machine {
    name: &'static str,
    /// The distribution's name of its architecture, which is also that of the kernel's flavour.
    debian: &'static str,
    /// The kernel's own name.
    kernel: &'static str,
    /// Prefix of compilers and binary utilities.
    tools: &'static str,
    /// What programs are built for.
    program: &'static str,
    /// What the library is built for, and how, so that the kernel's loader takes the object.
    target: &'static str,
    flags: &'static str,
    /// The stack that an instruction of a disassembly takes.
    stack: fn(&str) -> Option<u64>,
    qemu: &'static [&'static str],
    /// What the kernel is told besides.
    options: &'static str,
    /// Packages of what is needed besides make.
    needs: &'static [(&'static str, &'static str)],
}

/// Code model, red zone and PLT: the loader of x86-64 knows no GOT, and puts modules into the upper 2 GiB.
const MACHINES: [Machine; 3] = [
    Machine {
        name: "x86-64",
        debian: "amd64",
        kernel: "x86",
        tools: "",
        program: "x86_64-unknown-linux-gnu",
        target: "x86_64-unknown-none",
        flags: "-Ccode-model=kernel -Crelocation-model=static -Cno-redzone=yes -Cforce-unwind-tables=no -Zplt=yes",
        stack: stack_x86_64,
        qemu: &["qemu-system-x86_64"],
        // On a host that is busy the timer of an emulated machine may come too late for its test.
        options: "console=ttyS0 no_timer_check",
        needs: &[("gcc", "gcc"), ("ld", "binutils"), ("qemu-system-x86_64", "qemu-system-x86")],
    },
    Machine {
        name: "s390x",
        debian: "s390x",
        kernel: "s390",
        tools: "s390x-linux-gnu-",
        program: "s390x-unknown-linux-gnu",
        target: "s390x-unknown-none-softfloat",
        flags: "-Crelocation-model=pic -Cforce-unwind-tables=no",
        stack: stack_s390x,
        qemu: &["qemu-system-s390x", "-M", "s390-ccw-virtio"],
        options: "console=ttyS0",
        needs: &[
            ("s390x-linux-gnu-gcc", "gcc-s390x-linux-gnu"),
            ("qemu-system-s390x", "qemu-system-misc or qemu-system-s390x"),
        ],
    },
    // The engine runs the guest here too: an Arm host with EL2 is bare-metal-arm64's.
    Machine {
        name: "arm64",
        debian: "arm64",
        kernel: "arm64",
        tools: "aarch64-linux-gnu-",
        program: "aarch64-unknown-linux-gnu",
        target: "aarch64-unknown-none-softfloat",
        flags: "-Crelocation-model=static -Cforce-unwind-tables=no",
        stack: stack_aarch64,
        qemu: &["qemu-system-aarch64", "-M", "virt", "-cpu", "max"],
        options: "console=ttyAMA0",
        needs: &[
            ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
            ("qemu-system-aarch64", "qemu-system-arm"),
        ],
    },
];

pub fn run(words: &[&str]) -> Result<(), String> {
    match words {
        [name, "--linux"] => return find(name)?.linux(),
        [name, "vmm", options @ ..] => return find(name)?.exec_vmm(options),
        _ => {}
    }
    let (mut machines, mut plan, mut kit) = (Vec::new(), Plan { fuzz: 10, guest: false, tree: None }, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--help" | "-h" => {
                print!("{USAGE}");
                return Ok(());
            }
            "--fuzz" => {
                let seconds = words.next().and_then(|text| text.parse().ok());
                plan.fuzz = seconds.ok_or_else(|| format!("--fuzz needs a number of seconds\n{USAGE}"))?;
            }
            "--guest" => plan.guest = true,
            "--kit" => kit = true,
            "--tree" => {
                let directory = words.next().ok_or_else(|| format!("--tree needs a directory\n{USAGE}"))?;
                plan.tree = Some(PathBuf::from(directory));
            }
            name => machines.push(find(name)?),
        }
    }
    if machines.is_empty() {
        machines.extend(&MACHINES);
    }
    if plan.tree.is_some() && machines.len() != 1 {
        return Err(format!("--tree is for one machine, which has to be named\n{USAGE}"));
    }
    for machine in machines {
        match machine.missing() {
            Some(missing) => println!("linux-module {}: SKIPPED: {missing}", machine.name),
            None if kit => {
                if let Err(reason) = machine.run_kit(plan.tree.as_deref())? {
                    super::kit::leave(
                        &kit_column(machine.name),
                        &format!("{}{reason}", super::kit::SKIPPED),
                    )?;
                    println!("linux-module {}: SKIPPED: {reason}", machine.name);
                }
            }
            None => machine.run(&plan)?,
        }
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static Machine, String> {
    let found = MACHINES.iter().find(|machine| machine.name == name);
    found.ok_or_else(|| format!("unknown: {name}\n{USAGE}"))
}

/// Returns what keeps the module from being built and run here.
pub fn missing() -> Option<String> {
    cross::compiler_missing()
        .or_else(|| {
            let needs = ["make", "apt-get", "apt-cache", "dpkg-deb"];
            let missing: Vec<&str> = needs.into_iter().filter(|program| !shell::has(program)).collect();
            (!missing.is_empty()).then(|| format!("not installed: {}", missing.join(", ")))
        })
        .or_else(|| {
            let missing: Option<Vec<String>> = MACHINES.iter().map(Machine::missing).collect();
            missing.map(|missing| missing.join("; "))
        })
}

/// The machines of which every run of all checks runs the kit.
pub const KIT_ALWAYS: [&str; 2] = ["x86-64", "s390x"];

/// The machines on which the kit can be run, each with what keeps it from being.
pub fn kit_machines() -> impl Iterator<Item = (&'static str, Option<String>)> {
    MACHINES.iter().map(|machine| (machine.name, machine.missing()))
}

/// What the kit's column for a machine is called.
pub fn kit_column(machine: &str) -> String {
    format!("linux-module, {machine}")
}

/// Runs the conformance kit in a kernel, and leaves what was said. The inner error is why it could not.
pub fn kit(machine: &str) -> Result<Result<(), String>, String> {
    find(machine)?.run_kit(None)
}

/// What is linked: its package, the symbols that are seen, and where the module is built.
struct Form {
    package: &'static str,
    entries: &'static [&'static str],
    directory: &'static str,
    is_kit: bool,
}

const MODULE: Form = Form { package: "xarch-ffi", entries: &[ENTRY], directory: "module", is_kit: false };
/// The same module and library, with the kit in both.
const KIT: Form =
    Form { package: "linux-module-kit", entries: &[ENTRY, KIT_ENTRY], directory: "module-kit", is_kit: true };

/// What is done with the module.
struct Plan {
    /// Seconds of hostile calls.
    fuzz: u32,
    /// Whether the VMM runs a guest.
    guest: bool,
    /// A kernel that is not the packaged one.
    tree: Option<PathBuf>,
}

/// A kernel, and what runs in it.
struct Kernel {
    /// With its flavour.
    release: String,
    image: PathBuf,
    /// What modules are built in.
    headers: PathBuf,
    busybox: PathBuf,
}

impl Machine {
    fn missing(&self) -> Option<String> {
        let missing: Vec<&str> =
            self.needs.iter().filter(|(program, _)| !shell::has(program)).map(|&(_, p)| p).collect();
        (!missing.is_empty()).then(|| format!("not installed: {} (scripts/setup-cross)", missing.join(", ")))
    }

    fn directory(&self) -> PathBuf {
        shell::target().join("linux-module").join(self.name)
    }

    fn tool(&self, name: &str) -> Command {
        Command::new(format!("{}{name}", self.tools))
    }

    /// Builds everything, and tries it.
    fn run(&self, plan: &Plan) -> Result<(), String> {
        let kernel = match self.kernel(plan.tree.as_deref()) {
            Ok(kernel) => kernel,
            Err(reason) if plan.tree.is_some() => return Err(reason),
            // Without the network there is no kernel to try it on.
            Err(reason) => {
                println!("linux-module {}: SKIPPED: {reason}", self.name);
                return Ok(());
            }
        };
        let module = self.module(&kernel, &MODULE)?;
        let mut files = vec![self.program("check")?, self.program("fuzz")?];
        match super::s390x::assemble(
            &shell::root().join("examples/linux-module/tests/kept.S"),
            &self.directory().join("kept"),
        ) {
            Ok(image) => files.extend([self.program("save")?, image]),
            Err(error) if guest::missing().is_some() => {
                println!("linux-module: keeping a VM SKIPPED: {error}")
            }
            Err(error) => return Err(error),
        }
        if plan.guest {
            files.extend([self.vmm()?, guest::transcript_image()?]);
        }
        let initramfs = self.initramfs(&kernel, &module, &files, plan)?;
        let steps: Vec<_> =
            STEPS.into_iter().filter(|(step, _)| plan.guest || !step.starts_with("guest")).collect();
        self.boot(&kernel, &initramfs, &steps).map(drop)
    }

    /// Builds the module with the kit in it, and loads it.
    fn run_kit(&self, tree: Option<&Path>) -> Result<Result<(), String>, String> {
        let kernel = match self.kernel(tree) {
            Ok(kernel) => kernel,
            Err(reason) if tree.is_some() => return Err(reason),
            Err(reason) => return Ok(Err(reason)),
        };
        let module = self.module(&kernel, &KIT)?;
        let initramfs = self.archive("kit-initramfs", &kernel, &module, &[], KIT_INIT)?;
        let console = self.boot(&kernel, &initramfs, &KIT_STEPS)?;
        let text = console.text();
        super::kit::leave(&kit_column(self.name), text)?;
        if text.contains("xarch_kit: the end, 0 broken") {
            Ok(Ok(()))
        } else {
            Err(console.failure("clauses are broken"))
        }
    }

    /// Returns the packaged kernel, or that of a tree, with the packaged busybox.
    fn kernel(&self, tree: Option<&Path>) -> Result<Kernel, String> {
        let (root, release) = self.packages()?;
        let busybox = ["bin/busybox", "usr/bin/busybox"].map(|path| root.join(path));
        let busybox = busybox.into_iter().find(|path| path.is_file()).ok_or("the package has no busybox")?;
        let Some(tree) = tree else {
            return Ok(Kernel {
                image: root.join(format!("boot/vmlinuz-{release}")),
                headers: root.join(format!("usr/src/linux-headers-{release}")),
                release,
                busybox,
            });
        };
        let tree = tree.canonicalize().map_err(|e| format!("{}: {e}", tree.display()))?;
        let ask =
            |what| shell::output(self.make(&tree).args(["-s", what])).map(|said| said.trim().to_string());
        let (release, image) = (ask("kernelrelease")?, tree.join(ask("image_name")?));
        if !image.is_file() {
            return Err(format!("{} is missing: the kernel is not built", image.display()));
        }
        Ok(Kernel { release, image, headers: tree, busybox })
    }

    /// The kernel's own build, of a tree or its headers.
    fn make(&self, tree: &Path) -> Command {
        let mut make = Command::new("make");
        make.arg("-C").arg(tree);
        make.arg(format!("ARCH={}", self.kernel)).arg(format!("CROSS_COMPILE={}", self.tools));
        make
    }

    /// Fetches and unpacks kernel, headers and busybox, or takes those that are there. Returns where they are, and the
    /// kernel's release.
    fn packages(&self) -> Result<(PathBuf, String), String> {
        let root = self.directory().join("packages");
        let marker = root.join("release");
        if let Ok(release) = std::fs::read_to_string(&marker) {
            return Ok((root, release));
        }
        let _ = std::fs::remove_dir_all(&root);
        create(&root)?;
        // Where the package client's messages go.
        create(&shell::target().join("demo"))?;
        let apt = Apt::new(self.directory().join("apt"))?.with_architecture(self.debian);
        apt.update(|apt| self.release(apt).map(|_| ()))?;
        let release = self.release(&apt)?;
        let (number, _) = release.rsplit_once('-').unwrap_or((&release, ""));
        let packages = [
            format!("linux-image-{release}:{}", self.debian),
            format!("linux-headers-{release}:{}", self.debian),
            format!("linux-headers-{number}-common"),
            "linux-kbuild-6.1".into(),
            format!("busybox-static:{}", self.debian),
        ];
        for package in packages {
            let archive = apt.download(&package, 0)?;
            shell::run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&root))?;
            let _ = std::fs::remove_file(&archive);
        }
        // Modules are most of it, and none is needed.
        for rest in ["lib/modules", "usr/lib/modules", "usr/share"] {
            let _ = std::fs::remove_dir_all(root.join(rest));
        }
        // The headers are to be found where they are, not below /usr/src.
        let common = root.join(format!("usr/src/linux-headers-{number}-common/Makefile"));
        write(
            &root.join(format!("usr/src/linux-headers-{release}/Makefile")),
            &format!("include {}\n", common.display()),
        )?;
        write(&marker, &release)?;
        Ok((root, release))
    }

    /// The newest kernel of the release that has headers.
    fn release(&self, apt: &Apt) -> Result<String, String> {
        let number = |release: &str| release.split('-').nth(1).and_then(|n| n.parse::<u32>().ok());
        let mut releases: Vec<String> = apt
            .names(&format!("linux-headers-{RELEASE}"))?
            .into_iter()
            .filter_map(|name| name.strip_prefix("linux-headers-").map(String::from))
            .filter(|release| release.ends_with(&format!("-{}", self.debian)) && number(release).is_some())
            .collect();
        releases.sort_by_key(|release| std::cmp::Reverse(number(release)));
        let both = |release: &&String| {
            ["image", "headers"].iter().all(|part| {
                apt.version_of(&format!("linux-{part}-{release}:{}", self.debian), RELEASE).is_ok()
            })
        };
        let found = releases.iter().find(both).cloned();
        found.ok_or_else(|| {
            format!("no package source of this machine has a kernel {RELEASE}x for {}", self.debian)
        })
    }

    /// Builds the module.
    fn module(&self, kernel: &Kernel, form: &Form) -> Result<PathBuf, String> {
        let object = self.object(form)?;
        let directory = self.directory().join(form.directory);
        create(&directory)?;
        let sources = shell::root().join("examples/linux-module");
        for file in files(&sources)?.into_iter().chain([shell::root().join("include/xarch.h")]) {
            copy(&file, &directory.join(file.file_name().unwrap_or_default()))?;
        }
        copy(&object, &directory.join("core.o_shipped"))?;
        // modpost asks how each object was made.
        write(&directory.join(".core.o.cmd"), "")?;
        let mut make = self.make(&kernel.headers);
        make.args(form.is_kit.then_some("XARCH_KIT=y"));
        shell::run(make.arg(format!("M={}", directory.display())).arg("modules"))?;
        let module = directory.join("xarch.ko");
        let size = shell::output(self.tool("size").arg("-B").arg(&module))?;
        let size = size.lines().nth(1).unwrap_or_default().split_whitespace().take(3).collect::<Vec<_>>();
        println!("linux-module {}: text, data, bss of the module: {}", self.name, size.join(", "));
        Ok(module)
    }

    /// Builds the library, and links it as one object of which the entries are seen.
    fn object(&self, form: &Form) -> Result<PathBuf, String> {
        let directory = shell::target().join("linux-module/library");
        let mut cargo = shell::cargo();
        // The distribution's compiler brings its sources, of which `core` is built with the kernel's options.
        cargo.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", &directory);
        cargo.env("CARGO_PROFILE_RELEASE_LTO", "fat").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
        cargo.env("CARGO_PROFILE_RELEASE_DEBUG", "0").env("RUSTFLAGS", self.flags);
        // What is built in pieces goes over the stack where it would be made in place.
        cargo.env("CARGO_INCREMENTAL", "0");
        cargo.args(["rustc", "-p", form.package, "--release", "--lib", "--crate-type", "staticlib"]);
        cargo.args(["--target", self.target, "-Zbuild-std=core,compiler_builtins"]);
        shell::run(cargo.args(["--", "--cfg", "xarch_static_library"]))?;
        let name = format!("release/lib{}.a", form.package.replace('-', "_"));
        let library = directory.join(self.target).join(name);
        let (linked, object) = (library.with_extension("linked.o"), library.with_extension("o"));
        let mut ld = self.tool("ld");
        ld.args(["-r", "-S", "--gc-sections", "-e", ENTRY]);
        for entry in form.entries {
            ld.args(["-u", entry]);
        }
        shell::run(ld.arg("-o").arg(&linked).arg(&library))?;
        let mut objcopy = self.tool("objcopy");
        for section in [".llvmbc", ".llvmcmd", ".eh_frame", ".rela.eh_frame", ".comment"] {
            objcopy.args(["-R", section]);
        }
        // What the compiler's own library defines is not for the kernel's code.
        objcopy.args(form.entries.iter().map(|entry| format!("--keep-global-symbol={entry}")));
        shell::run(objcopy.arg(&linked).arg(&object))?;
        let text = shell::output(self.tool("objdump").arg("-d").arg(&object))?;
        self.check_registers(&object, &text)?;
        // The kit has a stack of its own, and says what it used of it.
        if !form.is_kit {
            self.check_frames(&object, &text)?;
        }
        Ok(object)
    }

    /// Fails if a function takes more than a kernel's stack may lend to all of them; `check panic-free` adds them up.
    fn check_frames(&self, object: &Path, text: &str) -> Result<(), String> {
        let mut function = "";
        for line in text.lines() {
            if let Some((_, name)) = line.strip_suffix(">:").and_then(|line| line.split_once('<')) {
                function = name;
            }
            let code = line.split('\t').nth(2).unwrap_or("");
            if let Some(bytes) = (self.stack)(code).filter(|&bytes| bytes > MOST_STACK) {
                return Err(format!("{}: {function} takes {bytes} bytes of stack: {code}", object.display()));
            }
        }
        Ok(())
    }

    /// Fails if the object uses registers that belong to whoever was interrupted: the kernel does not save them.
    fn check_registers(&self, object: &Path, text: &str) -> Result<(), String> {
        let found = match self.kernel {
            "s390" => code(text).into_iter().find_map(|(name, bytes)| {
                let at = uses_float_s390(&bytes)?;
                Some(format!("{name} {at:#x}: {:02x?}", bytes.get(at..at + 6).unwrap_or_default()))
            }),
            "arm64" => text.lines().find(|line| uses_float_arm64(line)).map(|line| line.trim().to_string()),
            _ => text.lines().find(|line| uses_float_x86(line)).map(|line| line.trim().to_string()),
        };
        match found {
            Some(place) => Err(format!("{}: floating point in the kernel: {place}", object.display())),
            None => Ok(()),
        }
    }

    /// Builds a program in C that needs nothing of the machine it runs on.
    fn program(&self, name: &str) -> Result<PathBuf, String> {
        let program = self.directory().join(name);
        let mut cc = self.tool("gcc");
        cc.args(["-static", "-O1", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"])
            .arg(&program);
        shell::run(cc.arg(shell::root().join(format!("examples/linux-module/tests/{name}.c"))))?;
        Ok(program)
    }

    /// Builds the VMM, likewise.
    fn vmm(&self) -> Result<PathBuf, String> {
        let directory = shell::target().join("linux-module/vmm");
        let mut cargo = shell::cargo();
        cargo.env("CARGO_TARGET_DIR", &directory).env("RUSTFLAGS", "-Ctarget-feature=+crt-static");
        cargo.args(["build", "--release", "--package", "vmm", "--target", self.program]);
        if !self.tools.is_empty() {
            // The distribution's compiler can build `std` for any target.
            cargo.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
            let variable = self.program.to_uppercase().replace('-', "_");
            cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), format!("{}gcc", self.tools));
            cargo.arg("-Zbuild-std=std,panic_abort");
        }
        shell::run(&mut cargo)?;
        Ok(directory.join(self.program).join("release/vmm"))
    }

    /// Debian's kernel under the VMM in the kernel of this machine, checked as the demo's smoke boot is.
    fn linux(&self) -> Result<(), String> {
        // How long building takes is nobody's patience.
        self.module(&self.kernel(None)?, &MODULE)?;
        self.vmm()?;
        let own = std::env::current_exe().map_err(|e| e.to_string())?;
        let line = format!("{} run-host linux-module {} vmm", own.display(), self.name);
        let options = demo::Options {
            rest: super::s390x::ROOM_FOR_INITRD.map(String::from).into(),
            ..Default::default()
        };
        demo::smoke(&demo::Machine::Other(line), &options.images()?, &options, true).map(|_| ())
    }

    /// Boots a guest under the VMM with these options; does not come back where it succeeds. The machine's exit status is
    /// 0 where the VMM's is.
    fn exec_vmm(&self, words: &[&str]) -> Result<(), String> {
        let kernel = self.kernel(None)?;
        let (mut options, mut files) = (String::new(), Vec::new());
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            let word = match *word {
                "--kernel" => {
                    files.push(("kernel".to_string(), PathBuf::from(value()?)));
                    "--kernel /kernel"
                }
                "--initrd" => {
                    let file = super::s390x::unpacked(Path::new(value()?), &self.directory())?;
                    files.push(("initrd".to_string(), file));
                    "--initrd /initrd"
                }
                other => &format!("'{}'", other.replace('\'', "'\\''")),
            };
            options.push_str(word);
            options.push(' ');
        }
        files.push(("vmm".into(), self.vmm()?));
        let init = VMM_INIT.replace("OPTIONS", options.trim());
        let initramfs =
            self.archive("vmm-initramfs", &kernel, &self.module(&kernel, &MODULE)?, &files, &init)?;
        let size = std::fs::metadata(&initramfs).map_err(|e| format!("{}: {e}", initramfs.display()))?.len();
        // The archive, what it is unpacked to, and the guest's memory, which is pinned.
        let mut qemu = self.qemu(&kernel, &initramfs, 1792 + 2 * (size >> 20), "quiet");
        if self.name == "x86-64" {
            qemu.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]);
        }
        println!("$ {}", shell::line(&qemu));
        Err(format!("{}: {}", self.qemu.join(" "), qemu.exec()))
    }

    /// Returns the machine with its kernel.
    fn qemu(&self, kernel: &Kernel, initramfs: &Path, mib: u64, options: &str) -> Command {
        let (program, machine) = self.qemu.split_first().unwrap_or((&"false", &[]));
        let mut qemu = Command::new(program);
        qemu.args(machine).args([
            "-m",
            &mib.to_string(),
            "-smp",
            "2",
            "-nographic",
            "-no-reboot",
            "-nic",
            "none",
        ]);
        qemu.arg("-kernel").arg(&kernel.image);
        qemu.arg("-initrd").arg(initramfs);
        qemu.arg("-append").arg(format!("{} panic=-1 oops=panic {options}", self.options));
        qemu
    }

    fn initramfs(
        &self,
        kernel: &Kernel,
        module: &Path,
        files: &[PathBuf],
        plan: &Plan,
    ) -> Result<PathBuf, String> {
        let named = |file: &PathBuf| {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, file.clone())
        };
        let files: Vec<(String, PathBuf)> = files.iter().map(named).collect();
        let init = INIT.replace("FUZZ", &plan.fuzz.to_string());
        self.archive("initramfs", kernel, module, &files, &init)
    }

    /// Makes an initramfs: the module, files by their names, and what is run first.
    fn archive(
        &self,
        name: &str,
        kernel: &Kernel,
        module: &Path,
        files: &[(String, PathBuf)],
        init: &str,
    ) -> Result<PathBuf, String> {
        let mut archive = Archive::default();
        for directory in ["bin", "dev", "proc", "sys"] {
            archive.add(directory, 0o04_0755, &[]);
        }
        archive.add("bin/busybox", 0o10_0755, &read(&kernel.busybox)?);
        archive.add("xarch.ko", 0o10_0644, &read(module)?);
        for (name, file) in files {
            archive.add(name, 0o10_0755, &read(file)?);
        }
        archive.add("init", 0o10_0755, init.as_bytes());
        let file = self.directory().join(name);
        write_bytes(&file, &archive.end())?;
        Ok(file)
    }

    /// Boots the kernel, follows what is said, and reads the kernel's log.
    fn boot(&self, kernel: &Kernel, initramfs: &Path, steps: &[(&str, &str)]) -> Result<Console, String> {
        let mut qemu = self.qemu(kernel, initramfs, 1024, "loglevel=8");
        let start = Instant::now();
        let mut console = Console::start(&mut qemu, PATIENCE, true)?;
        let mut seconds = Vec::new();
        for (step, line) in steps {
            console.expect(step, |text| text.find(*line).map(|at| at + line.len()))?;
            seconds.push(format!("{step} {:.1}", start.elapsed().as_secs_f64()));
        }
        console.end(PATIENCE)?;
        let log = console.text();
        let own = log.find("test: started").and_then(|at| log.get(at..)).unwrap_or(log);
        if let Some(line) = own.lines().find(|line| TROUBLE.iter().any(|word| line.contains(word))) {
            return Err(console.failure(&format!("the kernel complains: {line}")));
        }
        println!("linux-module {}: {}: seconds: {}", self.name, kernel.release, seconds.join(", "));
        Ok(console)
    }
}

/// What is to be seen, in this order.
const STEPS: [(&str, &str); 8] = [
    ("init", "test: started"),
    ("loaded", "xarch: library "),
    // No machine here has the facility, so that it must not have been looked for any further.
    ("model chosen", "back end sae-model (software), facility absent"),
    ("checked", "check: all claims hold"),
    ("guest in the kernel", "transcript: end"),
    ("guest in the program", "test: the same transcript"),
    ("misused", "and the kernel is there"),
    ("unloaded", "test: unloaded"),
];

/// With the kit.
const KIT_STEPS: [(&str, &str); 4] = [
    ("init", "test: started"),
    ("loaded", "xarch: library "),
    ("kit", "xarch_kit: the end, "),
    ("unloaded", "test: unloaded"),
];

/// What a kernel says when something is wrong with it.
const TROUBLE: [&str; 15] = [
    "WARNING:",
    "BUG:",
    "Oops",
    "Call Trace",
    "stack overflow",
    "stack guard page",
    "general protection",
    "Bad page",
    "scheduling while atomic",
    "soft lockup",
    "hard LOCKUP",
    "detected stall",
    "blocked for more than",
    "Kernel panic",
    // Where the kernel looks for memory that nobody has an address of.
    "unreferenced object",
];

const INIT: &str = "\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo test: started
insmod /xarch.ko || poweroff -f
/check || poweroff -f
if [ -e /kept.bin ]; then /save /kept.bin || poweroff -f; fi
# A guest with MMU, timers, interrupts and two vCPUs, in the kernel and in a program.
if [ -x /vmm ]; then
    guest='--kernel /transcript.bin --memory 64 --cpus 2'
    # What is said goes to files; that it goes on has to be seen.
    touch /kernel.txt /program.txt
    (last=0; while sleep 10; do
        size=$(cat /kernel.txt /program.txt | wc -c)
        [ $size -gt $last ] && echo test: $size bytes of transcripts
        last=$size
    done) &
    /vmm --accel device=/dev/xarch --stats $guest </dev/null >/kernel.txt || poweroff -f
    tail -n 1 /kernel.txt
    /vmm --accel model $guest </dev/null >/program.txt || poweroff -f
    kill $!
    # What a line says that begins with ~ may differ from run to run.
    for host in kernel program; do grep -v '^~' /$host.txt >/$host; done
    cmp /kernel /program && echo test: the same transcript || diff /kernel /program
fi
/fuzz FUZZ || poweroff -f
# Whoever has a descriptor keeps the module.
sh -c 'exec 3<>/dev/xarch; rmmod xarch 2>/dev/null && echo test: unloaded under a user' && poweroff -f
rmmod xarch || poweroff -f
# Memory that nobody has an address of any more, where the kernel looks for it.
if mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null && [ -e /sys/kernel/debug/kmemleak ]; then
    for i in 1 2; do echo scan >/sys/kernel/debug/kmemleak; sleep 6; done
    cat /sys/kernel/debug/kmemleak
fi
echo test: unloaded
sync
poweroff -f
";

const KIT_INIT: &str = "\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
echo test: started
insmod /xarch.ko || poweroff -f
rmmod xarch && echo test: unloaded
sync
poweroff -f
";

/// Ends the machine with status 0 if the VMM's is 0. The device is QEMU's isa-debug-exit; where there is none, a panic.
const VMM_INIT: &str = "\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
insmod /xarch.ko && /vmm --accel device=/dev/xarch OPTIONS && poweroff -f
printf '\\001' | dd of=/dev/port bs=1 seek=244 2>/dev/null
echo c >/proc/sysrq-trigger
";

/// Whether a line of a disassembly for x86-64 uses a register of floating point or vectors.
fn uses_float_x86(line: &str) -> bool {
    // Address, bytes, instruction.
    let Some(instruction) = line.split('\t').nth(2) else { return false };
    let operands = instruction.split_once(char::is_whitespace).map_or("", |(_, operands)| operands);
    // What stands between angle brackets is the name of a function.
    let operands = operands.split('<').next().unwrap_or("");
    ["%xmm", "%ymm", "%zmm", "%mm", "%st"].iter().any(|name| operands.contains(name))
}

/// Whether a line of a disassembly for AArch64 uses a register of floating point or vectors.
fn uses_float_arm64(line: &str) -> bool {
    let mut columns = line.split('\t').skip(2);
    let (Some(mnemonic), Some(operands)) = (columns.next(), columns.next()) else { return false };
    // The address of a branch may look like a register: it is hexadecimal.
    if mnemonic.starts_with("b.")
        || ["b", "bl", "cbz", "cbnz", "tbz", "tbnz", "adr", "adrp"].contains(&mnemonic)
    {
        return false;
    }
    let operands = operands.split(['<', '/']).next().unwrap_or("");
    operands.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        let number = word.strip_prefix(['b', 'h', 's', 'd', 'q', 'v']);
        number.is_some_and(|number| number.parse::<u8>().is_ok_and(|number| number < 32))
    })
}

/// The bytes of each function of a disassembly, by its name.
fn code(disassembly: &str) -> Vec<(String, Vec<u8>)> {
    let mut functions: Vec<(String, Vec<u8>)> = Vec::new();
    for line in disassembly.lines() {
        if let Some((_, name)) = line.strip_suffix(">:").and_then(|line| line.split_once('<')) {
            functions.push((name.into(), Vec::new()));
        }
        if let (Some((_, bytes)), Some(bytes_of)) = (line.split_once(":\t"), functions.last_mut()) {
            let bytes = bytes.split('\t').next().unwrap_or_default().split_whitespace();
            bytes_of.1.extend(bytes.map_while(|byte| u8::from_str_radix(byte, 16).ok()));
        }
    }
    functions
}

/// Where a function of s390x uses a register of floating point or vectors. The disassembler does not know the facility's
/// instructions and goes astray behind them; lengths are in the first two bits of each. PoP ch. 5, "Instruction Formats";
/// ch. 9, 18 to 24 for the operation codes.
fn uses_float_s390(code: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(first) = code.get(at) {
        let length = match first >> 6 {
            0 => 2,
            3 => 6,
            _ => 4,
        };
        let last = code.get(at + length - 1).copied().unwrap_or_default();
        let float = match (first, last) {
            // Around Start Arm Execution all registers are kept, by VLM and VSTM, and the module tells the kernel first.
            (0xe7, 0x36 | 0x3e) => false,
            // EASR and SASR.
            (0xed, 0x99 | 0x9b) => false,
            (0x20..=0x3f | 0x60 | 0x67..=0x70 | 0x78..=0x7f | 0xb3 | 0xe6 | 0xe7 | 0xed, _) => true,
            _ => false,
        };
        if float {
            return Some(at);
        }
        at += length;
    }
    None
}

/// An archive as the kernel unpacks it: cpio in its new ASCII form. Linux, "initramfs buffer format".
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let links = 1;
        let fields = [
            self.entries,
            mode,
            0,
            0,
            links,
            0,
            u32::try_from(content.len()).unwrap_or(u32::MAX),
            0,
            0,
            0,
            0,
            u32::try_from(name.len() + 1).unwrap_or(u32::MAX),
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn end(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = directory.read_dir().map_err(|e| format!("{}: {e}", directory.display()))?;
    Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect())
}

fn create(directory: &Path) -> Result<(), String> {
    std::fs::create_dir_all(directory).map_err(|e| format!("{}: {e}", directory.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    std::fs::copy(from, to).map(|_| ()).map_err(|e| format!("{} to {}: {e}", from.display(), to.display()))
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    write_bytes(file, text.as_bytes())
}

fn write_bytes(file: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(file, bytes).map_err(|e| format!("{}: {e}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::{Archive, code, uses_float_arm64, uses_float_s390, uses_float_x86};

    #[test]
    fn registers_of_floating_point_are_found_and_names_like_them_are_not() {
        for (line, found) in [
            ("  10:\t0f 28 07\tmovaps %xmm0,(%rdi)", true),
            ("  10:\tdb 6f 08\tfldt   0x8(%rsp),%st", true),
            ("  10:\te8 0b 00 00 00\tcall   20 <convert_%xmm_like>", false),
            ("  10:\t48 89 07\tmov    %rax,(%rdi)", false),
        ] {
            assert_eq!(uses_float_x86(line), found, "{line}");
        }
        for (line, found) in [
            ("   0:\t3dc00020 \tldr\tq0, [x1]", true),
            ("   4:\t4ea11c20 \tmov\tv0.16b, v1.16b", true),
            ("   8:\t9e660000 \tfmov\tx0, d0", true),
            ("   c:\tb4000640 \tcbz\tx0, d4 <name>", false),
            ("  10:\t54000620 \tb.eq\td4 <name_of_d0>  // b.none", false),
            ("  14:\tf9400020 \tldr\tx0, [x1]", false),
            ("  18:\td53b4400 \tmrs\tx0, fpcr", false),
        ] {
            assert_eq!(uses_float_arm64(line), found, "{line}");
        }
    }

    #[test]
    fn registers_of_floating_point_of_s390x_are_found_behind_instructions_that_nobody_knows() {
        const CASES: &[(&str, &[u8], Option<usize>)] = &[
            ("LD", &[0x68, 0x00, 0xf0, 0xa0], Some(0)),
            ("LG, then VL", &[0xe3, 0x10, 0xf0, 0xa0, 0, 0x04, 0xe7, 0, 0x10, 0, 0x08, 0x06], Some(6)),
            ("VSTM", &[0xe7, 0x0f, 0xf0, 0x60, 0x00, 0x3e], None),
            ("SASR of which the end looks like LER", &[0xed, 0x20, 0x30, 0x00, 0x38, 0x99], None),
            ("SASR, LDR", &[0xed, 0x20, 0x30, 0x00, 0x38, 0x99, 0x28, 0x24], Some(6)),
            ("ADB", &[0xed, 0x00, 0xf0, 0xa0, 0x00, 0x1a], Some(0)),
            ("LGDR", &[0xb3, 0xcd, 0x00, 0x20], Some(0)),
            ("SAE, BR", &[0xb9, 0xa5, 0x00, 0x20, 0x07, 0xfe], None),
        ];
        for (name, code, found) in CASES {
            assert_eq!(uses_float_s390(code), *found, "{name}");
        }
    }

    #[test]
    fn functions_of_a_disassembly_have_their_bytes() {
        let text = "Disassembly of section .text:\n\n0000 <first>:\n   0:\t07 fe       \tbr\t%r14\n\n0010 <second>:\n\
                    \x20 10:\te3 10 f0 a0 00 04 \tlg\t%r1,160(%r15)\n  16:\t07 fe    \tbr\t%r14\n";
        let functions = [("first", vec![7, 0xfe]), ("second", vec![0xe3, 0x10, 0xf0, 0xa0, 0, 4, 7, 0xfe])];
        assert_eq!(code(text), functions.map(|(name, bytes)| (name.to_string(), bytes)));
    }

    #[test]
    fn an_archive_has_names_and_contents_at_multiples_of_four() {
        let mut archive = Archive::default();
        archive.add("a", 0o10_0644, b"xyz");
        let bytes = archive.end();
        assert_eq!(&bytes[..14], b"07070100000001");
        // A header of 110 bytes, then the name with its zero.
        assert_eq!(&bytes[110..116], b"a\0xyz\0");
        assert_eq!(&bytes[116..122], b"070701");
        assert_eq!(bytes.len() % 4, 0);
    }
}
