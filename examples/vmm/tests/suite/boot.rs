//! Guests that behave.

use crate::guest::{BASE, GICD, PL011, PL031, Program, a64::*, numbers};
use crate::session::{Session, TemporaryFile, boot};
use std::io::{Read, Write};

#[test]
fn a_guest_says_hello_and_powers_off() {
    let mut guest = Program::new();
    guest.say("hello\n");
    guest.power_off();
    assert_eq!(boot(&guest.image(), &[]).out, "hello\n");
}

/// The boot protocol: X0 the device tree at a multiple of 8 bytes, X1 to X3 zero, EL1, MMU off, interrupts masked.
#[test]
fn the_machine_starts_as_the_boot_protocol_says() {
    let mut guest = Program::new();
    for register in 0..4 {
        guest.print(register);
    }
    guest.op(ldr_w(0, 0, 0));
    for register in [encoding(3, 0, 4, 2, 2), DAIF, SCTLR_EL1] {
        guest.op(mrs(1, register));
        guest.print(1);
    }
    guest.print(0);
    guest.op(ldr_w(1, 12, 0));
    guest.power_off();
    // The kit leaves X0 to X17 as they came.
    let out = boot(&guest.image(), &[]).out;
    let values = numbers(&out);
    assert_eq!(values[0] % 8, 0);
    assert!((BASE..BASE + (64 << 20)).contains(&values[0]), "{out}");
    assert_eq!(values[1..4], [0; 3]);
    assert_eq!(values[4..6], [4, 0x3c0]);
    assert_eq!(values[6] & 0x1005, 0);
    // d00dfeed as a little-endian guest loads it.
    assert_eq!(values[7], 0xedfe_0dd0);
}

/// What is typed arrives, and nothing of it is lost; Ctrl-A Ctrl-A is Ctrl-A.
#[test]
fn a_guest_reads_what_is_typed() {
    let mut guest = Program::new();
    // UART on, receiver on.
    guest.set(2, PL011);
    guest.set(1, 0x301);
    guest.op(str_w(1, 2, 0x30));
    guest.say("ready\n");
    guest.label("wait");
    guest.ops(&[ldr_w(3, 2, 0x18), ubfx(3, 3, 4, 1)]);
    guest.to("wait", |o| cbnz(3, o));
    guest.op(ldr_w(4, 2, 0));
    guest.op(cmp_i(4, u32::from(b'!')));
    guest.to("end", |o| b_cond(EQ, o));
    // Echo, one further.
    guest.ops(&[add_i(4, 4, 1), str_w(4, 2, 0)]);
    guest.to("wait", b);
    guest.label("end");
    guest.power_off();
    let mut session = Session::boot(&guest.image(), &[]);
    session.expect("ready\n");
    let long = "HAL".repeat(1000);
    session.send(long.as_bytes()).send(b"\x01\x01!");
    let finished = session.finish();
    assert_eq!(finished.expect_code(0).out, format!("ready\n{}\x02", "IBM".repeat(1000)));
}

/// A guest whose input has ended goes on.
#[test]
fn the_end_of_input_is_not_the_end_of_the_guest() {
    let mut guest = Program::new();
    guest.say("ready\n");
    guest.interrupts(0);
    guest.op(daif_clear(2));
    guest.write(CNTV_TVAL_EL0, 300_000_000);
    guest.write(CNTV_CTL_EL0, 1);
    guest.op(WFI);
    guest.power_off();
    let mut session = Session::boot(&guest.image(), &[]);
    session.expect("ready\n").close_input();
    let finished = session.finish();
    assert!(finished.expect_code(0).out.contains("i 000000000000001b"), "{}", finished.out);
}

fn resetting(function: u64) -> Vec<u8> {
    let mut guest = Program::new();
    guest.say("boot ");
    // Memory is as the loader leaves it: nothing of the machine before is there.
    guest.set(2, BASE + (48 << 20));
    guest.op(ldr(0, 2, 0));
    guest.op(movn(1, 0));
    guest.op(str(1, 2, 0));
    guest.to("mark", |o| adr(3, o));
    guest.ops(&[ldr(4, 3, 0), add(0, 0, 4), str(1, 3, 0)]);
    guest.print(0);
    guest.call(function, [0; 3]);
    guest.hang();
    guest.data("mark", 8, vec![0; 8]);
    guest.image()
}

#[test]
fn a_reset_starts_the_machine_again() {
    // SYSTEM_RESET, SYSTEM_RESET2 of type 0.
    for function in [0x8400_0009, 0xc400_0012] {
        for arguments in [&[][..], &["--cpus", "4"]] {
            let mut session = Session::boot(&resetting(function), arguments);
            let first = "boot 0000000000000000\n";
            session.expect(&first.repeat(4));
            let finished = session.quit();
            finished.expect_code(0);
            // Nothing but fresh starts, the last of which may be cut off.
            let rest = finished.out.replace(first, "");
            assert!(first.starts_with(&rest), "{}", finished.out);
        }
    }
}

/// All CPUs ask for it at the same time: each start is one start.
#[test]
fn resets_by_all_cpus_at_once_start_the_machine_again() {
    let mut guest = Program::new();
    for cpu in 1..4 {
        guest.set(0, 0xc400_0003);
        guest.set(1, cpu);
        guest.to("all", |o| adr(2, o));
        guest.ops(&[movz(3, 0, 0), hvc(0)]);
    }
    guest.say("boot\n");
    guest.label("all");
    // Wait for each other.
    guest.to("there", |o| adr(4, o));
    guest.ops(&[movz(6, 1, 0), ldadd(6, 7, 4)]);
    guest.label("wait");
    guest.ops(&[ldr(5, 4, 0), cmp_i(5, 4)]);
    guest.to("wait", |o| b_cond(NE, o));
    guest.call(0x8400_0009, [0; 3]);
    guest.hang();
    guest.data("there", 8, vec![0; 8]);
    let mut session = Session::boot(&guest.image(), &["--cpus", "4"]);
    session.expect(&"boot\n".repeat(20));
    let finished = session.quit();
    finished.expect_code(0);
    let rest = finished.out.replace("boot\n", "");
    assert!("boot\n".starts_with(&rest), "{}", finished.out);
}

#[test]
fn a_reset_ends_the_program_if_asked_to() {
    let finished = boot(&resetting(0x8400_0009), &["--no-reboot"]);
    assert_eq!(finished.out, "boot 0000000000000000\n");
}

/// The RAM disk is where the device tree says, to its last byte.
#[test]
fn the_initial_ram_disk_arrives_whole() {
    let disk: Vec<u8> = (0..100_000_u32).flat_map(|word| word.to_le_bytes()).collect();
    let disk = TemporaryFile::new(&disk);
    let mut guest = Program::new();
    // 64 MiB of memory: the disk is 32 MiB from its start.
    guest.set(2, BASE + (32 << 20));
    guest.op(movz(0, 0, 0));
    guest.repeat(3, 100_000, |guest| guest.ops(&[ldr_w(1, 2, 0), add_i(2, 2, 4), add(0, 0, 1)]));
    guest.print(0);
    guest.power_off();
    let out = boot(&guest.image(), &["--initrd", disk.name()]).out;
    assert_eq!(numbers(&out), [100_000 * 99_999 / 2]);
}

/// `--trace` tells of each exit, on standard error.
#[test]
fn exits_are_traced_on_demand() {
    let mut guest = Program::new();
    guest.set(0, 0x8400_0000);
    guest.op(hvc(0));
    guest.power_off();
    let finished = boot(&guest.image(), &["--trace"]);
    assert_eq!(finished.out, "");
    let calls = finished.err.lines().filter(|line| line.contains("syndrome: 5a000000")).count();
    assert_eq!(calls, 2, "{}", finished.err);
}

/// The clock counts the seconds since 1970, and takes another time.
#[test]
fn the_clock_tells_the_time() {
    let seconds = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut guest = Program::new();
    guest.set(2, PL031);
    guest.op(ldr_w(1, 2, 0));
    guest.print(1);
    guest.set(1, 1_000_000);
    guest.ops(&[str_w(1, 2, 8), ldr_w(1, 2, 0)]);
    guest.print(1);
    guest.power_off();
    let before = seconds();
    let values = numbers(&boot(&guest.image(), &[]).out);
    assert!((before..=seconds()).contains(&values[0]), "{values:?}");
    assert!((1_000_000..1_000_100).contains(&values[1]), "{values:?}");
}

/// The alarm wakes a guest that waits, by interrupt 34, when the counter has come to the match register.
#[test]
fn an_alarm_interrupts_a_waiting_guest() {
    let mut guest = Program::with_handler("alarm");
    guest.interrupts(0);
    // GICD: SPI 34 in group 1, enabled. RTC: not masked, now, in two seconds.
    for (address, value) in [
        (GICD + 0x84, 4),
        (GICD + 0x104, 4),
        (PL031 + 0x10, 1),
        (PL031 + 0x08, 1_000_000),
        (PL031 + 0x04, 1_000_002),
    ] {
        guest.set(2, address);
        guest.set(1, value);
        guest.op(str_w(1, 2, 0));
    }
    guest.op(daif_clear(2));
    guest.label("sleep");
    guest.op(WFI);
    guest.to("sleep", b);
    guest.label("alarm");
    guest.op(mrs(4, ICC_IAR1_EL1));
    guest.print(4);
    guest.set(2, PL031);
    guest.ops(&[ldr_w(1, 2, 0), movz(3, 1, 0), str_w(3, 2, 0x1c), ldr_w(5, 2, 0x18)]);
    guest.print(1);
    guest.print(5);
    guest.power_off();
    let values = numbers(&boot(&guest.image(), &[]).out);
    assert_eq!((values[0], values[2]), (34, 0), "{values:?}");
    assert!((1_000_002..1_000_100).contains(&values[1]), "{values:?}");
}

/// A key wakes a guest that waits, by interrupt 33; reading the character lowers the line.
#[test]
fn a_key_interrupts_a_waiting_guest() {
    let mut guest = Program::with_handler("key");
    guest.interrupts(0);
    // GICD: SPI 33 in group 1, enabled. UART: receiver on, interrupts of RX and RT.
    for (address, value) in [
        (GICD + 0x84, 2),
        (GICD + 0x104, 2),
        (PL011 + 0x2c, 0x70),
        (PL011 + 0x30, 0x301),
        (PL011 + 0x38, 0x50),
    ] {
        guest.set(2, address);
        guest.set(1, value);
        guest.op(str_w(1, 2, 0));
    }
    guest.say("ready\n");
    guest.op(daif_clear(2));
    guest.label("sleep");
    guest.op(WFI);
    guest.to("sleep", b);
    guest.label("key");
    guest.op(mrs(4, ICC_IAR1_EL1));
    guest.print(4);
    guest.op(ldr_w(5, 27, 0));
    guest.print(5);
    guest.ops(&[msr(ICC_EOIR1_EL1, 4), cmp_i(5, u32::from(b'q'))]);
    guest.to("off", |o| b_cond(EQ, o));
    guest.op(ERET);
    guest.label("off");
    guest.power_off();
    let mut session = Session::boot(&guest.image(), &[]);
    session.expect("ready\n").linger();
    session.send(b"a").expect("0000000000000061");
    session.linger().send(b"q");
    assert_eq!(numbers(&session.finish().expect_code(0).out), [33, 0x61, 33, 0x71]);
}

/// Clock ticks of processor time that a child has used; 100 a second on Linux.
fn processor_time(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // utime and stime are the fields 14 and 15; the name, field 2, ends with a parenthesis.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// WFI blocks the threads: a machine that waits costs next to nothing.
#[test]
fn a_waiting_machine_uses_no_processor() {
    let mut guest = Program::new();
    guest.say("ready\n");
    guest.label("sleep");
    guest.op(WFI);
    guest.to("sleep", b);
    let mut session = Session::boot(&guest.image(), &["--cpus", "4"]);
    session.expect("ready\n").linger();
    let Some(before) = processor_time(session.id()) else {
        println!("skipped: no /proc/PID/stat");
        return;
    };
    std::thread::sleep(std::time::Duration::from_secs(2));
    let used = processor_time(session.id()).unwrap() - before;
    session.quit().expect_code(0);
    assert!(used < 20, "{used} of 200 ticks");
}

/// A reader of the console that has gone does not stop the guest.
#[test]
fn a_closed_console_does_not_stop_the_guest() {
    let mut guest = Program::new();
    guest.repeat(8, 10_000, |guest| guest.ops(&[movz(1, 0x2e, 0), str_w(1, 27, 0)]));
    guest.power_off();
    let kernel = TemporaryFile::new(&guest.image());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_vmm"))
        .args(["--kernel", kernel.name(), "--memory", "64"])
        .stdin(std::process::Stdio::null())
        .stdout(writer)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let err = crate::session::Heard::to(child.stderr.take().unwrap());
    err.end(crate::session::LIMIT);
    assert_eq!((child.wait().unwrap().code(), err.text().as_str()), (Some(0), ""));
}

/// A reader of the console that does not read stops the guest, but not the person who ends it.
#[test]
fn a_console_that_nobody_reads_does_not_keep_the_program_from_ending() {
    let mut guest = Program::new();
    guest.say("now");
    guest.label("more");
    guest.ops(&[movz(1, 0x2e, 0), str_w(1, 27, 0)]);
    guest.to("more", b);
    let kernel = TemporaryFile::new(&guest.image());
    for way in [None, Some(rustix::process::Signal::TERM)] {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_vmm"))
            .args(["--kernel", kernel.name(), "--memory", "64", "--cpus", "2"])
            .stdin(std::process::Stdio::piped())
            .stdout(writer)
            .spawn()
            .unwrap();
        let mut said = [0; 3];
        reader.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"now");
        // Until the pipe is full.
        std::thread::sleep(std::time::Duration::from_secs(1));
        let mut keys = child.stdin.take().unwrap();
        match way {
            // What is typed before goes to the serial port, which a vCPU is at.
            None => {
                keys.write_all(b"abc").unwrap();
                std::thread::sleep(std::time::Duration::from_millis(200));
                keys.write_all(b"\x01x").unwrap();
            }
            Some(signal) => {
                rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
            }
        }
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while child.try_wait().unwrap().is_none() {
            if std::time::Instant::now() > end {
                child.kill().unwrap();
                panic!("does not end after {way:?}");
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(child.wait().unwrap().code(), Some(0), "{way:?}");
    }
}

/// KiB of memory that a program has from its host.
fn resident(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What the guest does not use the host need not have.
#[test]
fn memory_that_the_guest_does_not_touch_is_not_taken() {
    let mut guest = Program::new();
    guest.say("ready\n");
    guest.label("sleep");
    guest.op(WFI);
    guest.to("sleep", b);
    let kernel = TemporaryFile::new(&guest.image());
    let mut resident_kib = Vec::new();
    for memory in ["64", "2048"] {
        let mut session = Session::start(&["--kernel", kernel.name(), "--memory", memory]);
        session.expect("ready\n");
        resident_kib.extend(resident(session.id()));
        session.quit().expect_code(0);
    }
    let [small, large] = resident_kib[..] else {
        println!("skipped: no /proc/PID/status");
        return;
    };
    assert!(large < small + (64 << 10), "{small} KiB with 64 MiB of memory, {large} KiB with 2 GiB");
}
