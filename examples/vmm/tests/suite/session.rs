//! The program as a child of the test, with a limit on everything.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a machine with nothing but this to do, many times over.
pub const LIMIT: Duration = Duration::from_secs(120);

/// What a stream said so far, and whether it ended.
#[derive(Default)]
pub struct Heard {
    state: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Heard {
    /// Listens to a stream until it ends.
    pub fn to(mut stream: impl Read + Send + 'static) -> Arc<Self> {
        let heard = Arc::new(Self::default());
        let writer = Arc::clone(&heard);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let read = stream.read(&mut buffer).unwrap_or(0);
                let mut state = writer.state.lock().unwrap();
                state.0.extend(&buffer[..read]);
                state.1 |= read == 0;
                writer.changed.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        heard
    }

    /// Waits until `done`, the stream's end or the limit; returns whether it was the first.
    pub fn wait(&self, limit: Duration, done: impl Fn(&str) -> bool) -> bool {
        let end = Instant::now() + limit;
        let mut state = self.state.lock().unwrap();
        loop {
            if done(&String::from_utf8_lossy(&state.0)) {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if state.1 || left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits for the end.
    pub fn end(&self, limit: Duration) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_timeout_while(state, limit, |state| !state.1).unwrap());
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.state.lock().unwrap().0).into_owned()
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit status; `None` after a signal.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Finished {
    /// Panics unless the program ended with this status, and quietly.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }
}

/// A run of the program.
pub struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    kernel: Option<TemporaryFile>,
    pub out: Arc<Heard>,
    pub err: Arc<Heard>,
}

impl Session {
    /// Starts the program with pipes for its streams.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vmm"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdin = child.stdin.take();
        let out = Heard::to(child.stdout.take().unwrap());
        let err = Heard::to(child.stderr.take().unwrap());
        Self { child, stdin, kernel: None, out, err }
    }

    /// Starts the program with a guest in 64 MiB.
    pub fn boot(image: &[u8], more: &[&str]) -> Self {
        let file = TemporaryFile::new(image);
        let mut arguments = vec!["--kernel", file.name(), "--memory", "64"];
        arguments.extend(more);
        let mut session = Self::start(&arguments);
        session.kernel = Some(file);
        session
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the guest has said this.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> &mut Self {
        if !self.out.wait(LIMIT, |heard| heard.contains(text)) {
            let _ = self.child.kill();
            panic!("no {text:?}\nstdout:\n{}\nstderr:\n{}", self.out.text(), self.err.text());
        }
        self
    }

    /// Types something.
    pub fn send(&mut self, bytes: &[u8]) -> &mut Self {
        // A program that has ended does not read; how it ended is what the test looks at.
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(bytes).and_then(|()| stdin.flush());
        }
        self
    }

    /// Ends standard input.
    pub fn close_input(&mut self) -> &mut Self {
        self.stdin = None;
        self
    }

    /// Lets the guest run for a while, for those that say nothing.
    pub fn linger(&mut self) -> &mut Self {
        thread::sleep(Duration::from_millis(300));
        self
    }

    /// Types Ctrl-A X, and waits for the end.
    #[track_caller]
    pub fn quit(mut self) -> Finished {
        self.send(b"\x01x");
        self.finish_within(Duration::from_secs(30))
    }

    /// Sends a signal, and waits for the end.
    #[track_caller]
    pub fn signal_and_finish(self, signal: Signal) -> Finished {
        self.signal(signal);
        self.finish_within(Duration::from_secs(30))
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the program runs");
    }

    #[track_caller]
    pub fn finish(self) -> Finished {
        self.finish_within(LIMIT)
    }

    /// Waits for the end.
    #[track_caller]
    pub fn finish_within(mut self, limit: Duration) -> Finished {
        let end = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > end {
                let _ = self.child.kill();
                panic!("does not end\nstdout:\n{}\nstderr:\n{}", self.out.text(), self.err.text());
            }
            thread::sleep(Duration::from_millis(5));
        };
        self.out.end(Duration::from_secs(5));
        self.err.end(Duration::from_secs(5));
        Finished { code: status.code(), out: self.out.text(), err: self.err.text() }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program to its end.
#[track_caller]
pub fn run(arguments: &[&str]) -> Finished {
    Session::start(arguments).finish()
}

/// Runs a guest until it powers off.
#[track_caller]
pub fn boot(image: &[u8], more: &[&str]) -> Finished {
    let finished = Session::boot(image, more).finish();
    finished.expect_code(0);
    finished
}

/// A file that goes with the value.
pub struct TemporaryFile(PathBuf);

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl TemporaryFile {
    pub fn new(bytes: &[u8]) -> Self {
        let name = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, bytes).expect("the target directory takes files");
        Self(path)
    }

    pub fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // For looking at what a test gave to the program.
        if std::env::var_os("VMM_TESTS_KEEP_FILES").is_none() {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}
