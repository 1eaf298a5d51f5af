//! A person's terminal: raw while the machine runs, itself again on every way out.

use crate::guest::{PL011, Program, a64::*};
use crate::session::{Heard, LIMIT, TemporaryFile};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OutputModes, Termios, tcgetattr};
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write, stdin};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A terminal without a person: what they would see is heard, what they would type is written.
struct Terminal {
    person: File,
    /// The side of programs, open as long as the test, as a shell has it.
    program: File,
    seen: Arc<Heard>,
    before: String,
}

impl Terminal {
    fn new() -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
        let program = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let person = File::from(person);
        let seen = Heard::to(person.try_clone().unwrap());
        let before = state(&tcgetattr(&program).unwrap());
        Self { person, program, seen, before }
    }

    /// Starts a program on it, with standard error apart.
    fn start(&self, program: &str, arguments: &[&str]) -> Child {
        let side = || Stdio::from(self.program.try_clone().unwrap());
        let mut command = Command::new(program);
        command.args(arguments).stdin(side()).stdout(side()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    }

    fn termios(&self) -> Termios {
        tcgetattr(&self.program).unwrap()
    }

    fn is_raw(&self) -> bool {
        let modes = self.termios();
        !modes
            .local_modes
            .intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN)
            && !modes.output_modes.contains(OutputModes::OPOST)
    }

    #[track_caller]
    fn expect(&self, text: &str) {
        assert!(self.seen.wait(LIMIT, |seen| seen.contains(text)), "no {text:?} in {:?}", self.seen.text());
    }

    fn send(&self, bytes: &[u8]) {
        (&self.person).write_all(bytes).unwrap();
    }

    #[track_caller]
    fn expect_restored(&self) {
        assert_eq!(state(&self.termios()), self.before);
    }
}

/// Everything that a terminal's modes are, to compare.
fn state(modes: &Termios) -> String {
    format!("{modes:?}")
}

/// Ends the program, and returns its status and standard error.
#[track_caller]
fn wait(mut child: Child) -> (Option<i32>, String) {
    let err = Heard::to(child.stderr.take().unwrap());
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            err.end(Duration::from_secs(5));
            return (status.code(), err.text());
        }
        if Instant::now() > end {
            let _ = child.kill();
            panic!("does not end: {}", err.text());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Echoes what is typed in brackets, powers off at "q" and resets at "r".
fn echo() -> TemporaryFile {
    let mut guest = Program::new();
    guest.set(2, PL011);
    guest.set(1, 0x301);
    guest.op(str_w(1, 2, 0x30));
    guest.say("ready\r\n");
    guest.label("wait");
    guest.ops(&[ldr_w(3, 2, 0x18), ubfx(3, 3, 4, 1)]);
    guest.to("wait", |o| cbnz(3, o));
    guest.op(ldr_w(4, 2, 0));
    guest.say("[");
    guest.print(4);
    guest.op(cmp_i(4, u32::from(b'r')));
    guest.to("reset", |o| b_cond(EQ, o));
    guest.op(cmp_i(4, u32::from(b'q')));
    guest.to("wait", |o| b_cond(NE, o));
    guest.power_off();
    guest.label("reset");
    guest.call(0x8400_0009, [0; 3]);
    TemporaryFile::new(&guest.image())
}

fn boot(terminal: &Terminal, kernel: &TemporaryFile) -> Child {
    let child = terminal.start(env!("CARGO_BIN_EXE_vmm"), &["--kernel", kernel.name(), "--memory", "64"]);
    terminal.expect("ready\r\n");
    assert!(terminal.is_raw(), "{:?}", terminal.termios());
    child
}

#[test]
fn power_off_restores_the_terminal() {
    let (terminal, kernel) = (Terminal::new(), echo());
    let child = boot(&terminal, &kernel);
    terminal.send(b"q");
    assert_eq!(wait(child), (Some(0), String::new()));
    terminal.expect_restored();
}

#[test]
fn ctrl_a_x_quits_and_restores_the_terminal() {
    let (terminal, kernel) = (Terminal::new(), echo());
    let child = boot(&terminal, &kernel);
    // Over two reads; an X alone is the guest's.
    terminal.send(b"x");
    terminal.expect("[0000000000000078");
    terminal.send(b"\x01");
    thread::sleep(Duration::from_millis(100));
    terminal.send(b"x");
    assert_eq!(wait(child).0, Some(0));
    terminal.expect_restored();
}

#[test]
fn signals_restore_the_terminal() {
    for signal in [
        Signal::TERM,
        Signal::INT,
        Signal::HUP,
        Signal::QUIT,
        Signal::ALARM,
        Signal::VTALARM,
        Signal::USR1,
        Signal::USR2,
    ] {
        let (terminal, kernel) = (Terminal::new(), echo());
        let child = boot(&terminal, &kernel);
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(wait(child).0, Some(0), "{signal:?}");
        terminal.expect_restored();
    }
}

/// A program that is stopped gives the terminal back, and takes it when it goes on.
#[test]
fn a_stopped_program_gives_the_terminal_back_until_it_goes_on() {
    let (terminal, kernel) = (Terminal::new(), echo());
    let child = boot(&terminal, &kernel);
    let process = Pid::from_child(&child);
    for _ in 0..2 {
        kill_process(process, Signal::TSTP).unwrap();
        let end = Instant::now() + LIMIT;
        while state(&terminal.termios()) != terminal.before {
            assert!(Instant::now() < end, "the terminal stays raw");
            thread::sleep(Duration::from_millis(5));
        }
        // It has said so before it stops.
        thread::sleep(Duration::from_millis(100));
        kill_process(process, Signal::CONT).unwrap();
        while !terminal.is_raw() {
            assert!(Instant::now() < end, "the terminal does not become raw again");
            thread::sleep(Duration::from_millis(5));
        }
    }
    terminal.send(b"q");
    assert_eq!(wait(child).0, Some(0));
    terminal.expect_restored();
}

#[test]
fn a_reset_keeps_the_terminal_raw() {
    let (terminal, kernel) = (Terminal::new(), echo());
    let child = boot(&terminal, &kernel);
    terminal.send(b"r");
    assert!(terminal.seen.wait(LIMIT, |seen| seen.matches("ready\r\n").count() == 2));
    assert!(terminal.is_raw());
    terminal.send(b"q");
    assert_eq!(wait(child).0, Some(0));
    terminal.expect_restored();
}

#[test]
fn wrong_input_leaves_the_terminal_alone() {
    let terminal = Terminal::new();
    let child = terminal.start(env!("CARGO_BIN_EXE_vmm"), &["--kernel", "/nonexistent"]);
    assert_eq!(wait(child).0, Some(2));
    terminal.expect_restored();
}

/// Keys that a terminal would take for itself belong to the guest.
#[test]
fn control_keys_reach_the_guest() {
    let (terminal, kernel) = (Terminal::new(), echo());
    let child = boot(&terminal, &kernel);
    for key in [3, 4, 13, 17, 19, 26, 28, 127] {
        terminal.send(&[key]);
        terminal.expect(&format!("[{key:016x}"));
    }
    terminal.send(b"\x01\x01");
    terminal.expect("[0000000000000001");
    terminal.send(b"q");
    assert_eq!(wait(child).0, Some(0));
    // Nothing of it is echoed by the terminal itself.
    assert!(!terminal.seen.text().contains('\x03'));
}

#[test]
fn ctrl_a_h_helps() {
    let (terminal, kernel) = (Terminal::new(), echo());
    let child = boot(&terminal, &kernel);
    terminal.send(b"\x01hq");
    let (code, err) = wait(child);
    assert_eq!(code, Some(0));
    assert!(err.contains("Ctrl-A X quits"), "{err}");
}

/// Much typed at once, by a script or a clipboard, arrives in order.
#[test]
fn a_long_paste_arrives_whole() {
    let (terminal, kernel) = (Terminal::new(), echo());
    let child = boot(&terminal, &kernel);
    let paste: Vec<u8> = (0..3000_u32).map(|index| b'A' + (index % 16) as u8).collect();
    terminal.send(&paste);
    terminal.send(b"q");
    assert_eq!(wait(child).0, Some(0));
    let seen = terminal.seen.text();
    let wants: String = paste.iter().chain(b"q").map(|byte| format!("[{byte:016x}")).collect();
    assert_eq!(seen.replace(['\r', '\n'], ""), format!("ready{wants}"));
}

/// The child of the next test: a program that panics while the terminal is raw, and never comes to unwind its guard.
#[test]
#[ignore = "the next test runs it on a terminal of its own"]
fn panics_on_a_terminal() {
    if std::env::var_os("VMM_TESTS_PANIC").is_none() || !stdin().is_terminal() {
        return;
    }
    std::mem::forget(vmm::console::RawTerminal::enter());
    let raw = !tcgetattr(stdin()).unwrap().local_modes.contains(LocalModes::ICANON);
    panic!("raw: {raw}");
}

#[test]
fn a_panic_restores_the_terminal() {
    let terminal = Terminal::new();
    let own = std::env::current_exe().unwrap();
    let side = || Stdio::from(terminal.program.try_clone().unwrap());
    let child = Command::new(own)
        .args([
            "--ignored",
            "--exact",
            "terminal::panics_on_a_terminal",
            "--nocapture",
            "--test-threads",
            "1",
        ])
        .env("VMM_TESTS_PANIC", "1")
        .stdin(side())
        .stdout(side())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (code, err) = wait(child);
    assert!(err.contains("raw: true"), "{err}");
    assert_eq!(code, Some(101));
    terminal.expect_restored();
}
