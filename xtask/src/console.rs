//! A machine with its console on pipes: wait for text, type, and know when nothing happens any more.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How much of the console's end a failure shows.
const TAIL: usize = 4000;

/// Where in a control sequence the output is.
#[derive(Clone, Copy)]
enum Escape {
    None,
    Started,
    Inside,
}

/// A running machine.
pub struct Console {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    /// Everything the console has said.
    text: String,
    /// How far `expect` has read.
    read: usize,
    /// Longest silence that is not a failure.
    patience: Duration,
    echo: bool,
    escape: Escape,
}

impl Console {
    /// Starts a machine. With `echo` its console is also shown.
    pub fn start(command: &mut Command, patience: Duration, echo: bool) -> Result<Self, String> {
        println!("$ {}", crate::shell::line(command));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().map_err(|e| format!("cannot run {name}: {e}"))?;
        let (send, output) = channel();
        let streams: [Option<Box<dyn Read + Send>>; 2] =
            [child.stdout.take().map(|s| Box::new(s) as _), child.stderr.take().map(|s| Box::new(s) as _)];
        for mut stream in streams.into_iter().flatten() {
            let send = send.clone();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    if send.send(buffer[..count].to_vec()).is_err() {
                        break;
                    }
                }
            });
        }
        let input = child.stdin.take();
        Ok(Self { child, input, output, text: String::new(), read: 0, patience, echo, escape: Escape::None })
    }

    /// Types text.
    pub fn send(&mut self, text: &str) -> Result<(), String> {
        let Some(input) = &mut self.input else { return Err("the console's input is closed".into()) };
        let sent = input.write_all(text.as_bytes()).and_then(|()| input.flush());
        sent.map_err(|e| self.failure(&format!("cannot type '{}': {e}", text.trim())))
    }

    /// Waits until the text from here on contains something for which `find` gives an end, and returns it.
    pub fn expect(&mut self, what: &str, find: impl Fn(&str) -> Option<usize>) -> Result<String, String> {
        let start = Instant::now();
        loop {
            if let Some(end) = find(&self.text[self.read..]) {
                let found = self.text[self.read..self.read + end].to_string();
                self.read += end;
                return Ok(found);
            }
            if start.elapsed() > 3 * self.patience {
                return Err(self.failure(&format!("still waiting for {what}, though there is output")));
            }
            self.more(what)?;
        }
    }

    /// Reads more output; fails on the machine's end and on silence.
    fn more(&mut self, what: &str) -> Result<(), String> {
        match self.output.recv_timeout(self.patience) {
            Ok(bytes) => {
                self.take(&bytes);
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => {
                let seconds = self.patience.as_secs();
                Err(self.failure(&format!("no output for {seconds} s while waiting for {what}")))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
                Err(self.failure(&format!("the machine ended ({status}) while waiting for {what}")))
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).replace('\r', "");
        if self.echo {
            print!("{text}");
            let _ = std::io::stdout().flush();
        }
        self.append(&text);
    }

    /// Keeps text without control sequences (`ESC [ ... letter`), which may come in pieces.
    fn append(&mut self, text: &str) {
        for c in text.chars() {
            self.escape = match (self.escape, c) {
                (Escape::None, '\x1b') => Escape::Started,
                (Escape::None, _) => {
                    self.text.push(c);
                    Escape::None
                }
                (Escape::Started, '[') => Escape::Inside,
                (Escape::Inside, '0'..='?' | ' '..='/') => Escape::Inside,
                (Escape::Started | Escape::Inside, _) => Escape::None,
            };
        }
    }

    /// Waits for the machine to end by itself.
    pub fn end(&mut self, limit: Duration) -> Result<ExitStatus, String> {
        let start = Instant::now();
        loop {
            if let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(20)) {
                self.take(&bytes);
            }
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(100)) {
                        self.take(&bytes);
                    }
                    return Ok(status);
                }
                Ok(None) if start.elapsed() < limit => {}
                Ok(None) => return Err(self.failure(&format!("still running after {} s", limit.as_secs()))),
                Err(e) => return Err(format!("waiting for the machine: {e}")),
            }
        }
    }

    /// Everything the console has said.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns a message with the end of the console.
    pub fn failure(&self, what: &str) -> String {
        let mut from = self.text.len().saturating_sub(TAIL);
        while !self.text.is_char_boundary(from) {
            from += 1;
        }
        format!(
            "{what}\n--- the console's end ---\n{}\n--- end of the console ---",
            self.text[from..].trim_end()
        )
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Has it ended already, this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
