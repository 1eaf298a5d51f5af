//! The person's terminal: raw while the machine runs, itself again on every way out.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGVTALRM};
use std::io::{IsTerminal, stdin, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// The state of the terminal before it was made raw, while it is raw.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// A signal that ends programs has come.
static SIGNALLED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
/// The signal that stops programs until they are continued has come.
static STOPPED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Returns whether a signal asks the program to end.
pub fn is_signalled() -> bool {
    SIGNALLED.load(Ordering::SeqCst)
}

/// Makes signals that would end the program ask for the end instead.
fn catch_signals() {
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGALRM, SIGVTALRM, SIGUSR1, SIGUSR2] {
        // Without the handler the signal ends the program as it always did.
        let _ = signal_hook::flag::register(signal, Arc::clone(&SIGNALLED));
    }
    let _ = signal_hook::flag::register(SIGTSTP, Arc::clone(&STOPPED));
}

/// Stops the program where that was asked for, with the terminal as it was before, and makes it raw again afterwards.
pub fn stop_if_asked() {
    if STOPPED.swap(false, Ordering::SeqCst) {
        let was_raw = is_raw();
        restore();
        // All threads stop, this one first; what comes next is after SIGCONT.
        let _ = signal_hook::low_level::emulate_default_handler(SIGTSTP);
        if was_raw {
            make_raw();
        }
    }
}

/// Makes standard input raw if it is a terminal.
fn make_raw() {
    if let Ok(before) = tcgetattr(stdin()) {
        let mut raw = before.clone();
        raw.make_raw();
        // Output still goes through the terminal's own line discipline: the guest sends CR LF.
        if tcsetattr(stdin(), OptionalActions::Now, &raw).is_ok() {
            *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        }
    }
}

/// The terminal in raw mode; dropping it restores the terminal.
#[derive(Debug)]
pub struct RawTerminal(());

impl RawTerminal {
    /// Makes standard input raw if it is a terminal, and arranges that panics restore it and that signals only ask
    /// for the end ([`is_signalled`]). To be called once in a program.
    #[must_use]
    pub fn enter() -> Self {
        catch_signals();
        if stdin().is_terminal() {
            make_raw();
            let hook = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                hook(info);
            }));
        }
        Self(())
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Returns whether the terminal is raw, so that lines have to end with CR LF.
#[must_use]
pub fn is_raw() -> bool {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// Puts the terminal back.
pub fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        // If the terminal is gone there is nothing to restore.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
}

/// What a person typed, after the escape character is dealt with.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// Bytes for the guest.
    Bytes(Vec<u8>),
    /// Ctrl-A X.
    Quit,
    /// Ctrl-A H.
    Help,
}

/// Ctrl-A.
const ESCAPE: u8 = 1;

/// Finds Ctrl-A sequences in what is typed.
#[derive(Debug, Default)]
pub struct Keys {
    escaped: bool,
}

impl Keys {
    /// Splits what was typed; a sequence may be spread over calls.
    pub fn split(&mut self, typed: &[u8]) -> Vec<Typed> {
        let mut out = Vec::new();
        let mut bytes = Vec::new();
        for &byte in typed {
            match (std::mem::take(&mut self.escaped), byte) {
                (false, ESCAPE) => self.escaped = true,
                (true, b'x' | b'X') => {
                    out.extend(flush(&mut bytes));
                    out.push(Typed::Quit);
                }
                (true, b'h' | b'H' | b'?') => {
                    out.extend(flush(&mut bytes));
                    out.push(Typed::Help);
                }
                (_, byte) => bytes.push(byte),
            }
        }
        out.extend(flush(&mut bytes));
        out
    }
}

fn flush(bytes: &mut Vec<u8>) -> Option<Typed> {
    (!bytes.is_empty()).then(|| Typed::Bytes(std::mem::take(bytes)))
}

/// Reads what a person types; lives as long as the program, whatever the machine does.
#[derive(Debug, Default)]
pub struct Typist {
    /// Takes out what is meant for the program.
    pub keys: Keys,
    /// Typed when no machine was there to take it.
    pub early: Vec<u8>,
    ended: bool,
}

impl Typist {
    /// Waits a moment for something on standard input, and returns what came.
    pub fn read<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        if self.ended {
            std::thread::sleep(MOMENT);
            return None;
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(MOMENT.subsec_nanos()) };
        let input = stdin();
        if !matches!(poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&timeout)), Ok(1..)) {
            return None;
        }
        // Past std's buffer, whose content poll would not tell of.
        match rustix::io::read(&input, &mut *buffer) {
            Err(rustix::io::Errno::INTR) => None,
            Ok(0) | Err(_) => {
                self.ended = true;
                None
            }
            Ok(n) => buffer.get(..n),
        }
    }
}

/// How long the end of the machine may go unnoticed.
const MOMENT: Duration = Duration::from_millis(50);

/// Writes a byte of the guest's to standard output. A reader that is gone does not stop the guest; one that does not read
/// stops it, until `is_over`.
pub fn write(byte: u8, is_over: impl Fn() -> bool) {
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(MOMENT.subsec_nanos()) };
    let out = stdout();
    loop {
        match poll(&mut [PollFd::new(&out, PollFlags::OUT)], Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            // Past std's buffer, which would take the byte and wait later.
            Ok(_) | Err(_) => match rustix::io::write(&out, &[byte]) {
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Ok(_) | Err(_) => return,
            },
        }
        if is_over() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_escape_character_is_found_across_reads() {
        let mut keys = Keys::default();
        assert_eq!(keys.split(b"ls\n"), [Typed::Bytes(b"ls\n".to_vec())]);
        assert_eq!(keys.split(b"a\x01"), [Typed::Bytes(b"a".to_vec())]);
        assert_eq!(keys.split(b"xb"), [Typed::Quit, Typed::Bytes(b"b".to_vec())]);
        assert_eq!(keys.split(b"\x01\x01"), [Typed::Bytes(vec![1])]);
        assert_eq!(keys.split(b"\x01h"), [Typed::Help]);
    }
}
