//! Processes that end with the test process, however that one ends.
//!
//! Rust drops no statics, and nothing is dropped after `kill -9`. So each server runs under a small shell that
//! holds the read end of a pipe: when the write end closes, which the kernel does for a dead process too, the
//! shell stops the server.

use std::io::{BufRead as _, BufReader};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

/// `$1` is the signal that stops the server; the rest is its command line. The first line on stdout is the
/// server's process id. SIGCONT follows the signal for a server that a test has frozen.
const SCRIPT: &str = r#"
signal=$1; shift
exec 3<&0 </dev/null
sh -c 'echo $$; exec "$@"' server "$@" 3<&- &
server=$!
(read -r _ <&3; kill -s "$signal" "$server"; kill -s CONT "$server") 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"#;

/// A command line to give to [`Guarded::spawn`] once arguments and environment are added; `signal` is what the
/// program is stopped with when the test process is gone.
pub(crate) fn guarded_command(signal: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "guard", signal]).arg(program);
    command
}

/// How a guarded process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// A shell reports a process that died of a signal as 128 and the signal's number.
    fn from_shell(code: Option<i32>) -> Self {
        match code {
            Some(code) if code > 128 => Self::Signal(code - 128),
            Some(code) => Self::Code(code),
            None => Self::Signal(Signal::KILL.as_raw()),
        }
    }
}

/// The lines a process has printed so far.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// A copy of all lines.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn push(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// A running process that is stopped when this is dropped, and when the test process dies.
#[derive(Debug)]
pub(crate) struct Guarded {
    pid: Pid,
    /// Just before the program was executed.
    pub(crate) started: Instant,
    pub(crate) lines: Lines,
    exit: watch::Receiver<Option<Exit>>,
    pipe: Option<ChildStdin>,
    thread: Option<JoinHandle<()>>,
}

impl Guarded {
    /// Starts `command`, made by [`guarded_command`]. Its output is collected in [`Guarded::lines`]; a `stderr`
    /// that the caller wants elsewhere goes to `errors`.
    pub(crate) fn spawn(mut command: Command, errors: Option<Stdio>) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let (reader, writer) = std::io::pipe()?;
        let errors = match errors {
            Some(errors) => errors,
            None => writer.try_clone()?.into(),
        };
        // A process group of its own: Ctrl-C must reach the tests alone, or the guard dies before its server.
        command.stdin(Stdio::piped()).stdout(writer).stderr(errors).process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        drop(command);
        let pipe = child.stdin.take();

        let mut output = BufReader::new(reader);
        let mut first = String::new();
        output.read_line(&mut first)?;
        let started = Instant::now();
        let pid = first
            .trim()
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .context("the guard did not report its server")?;

        let lines = Lines::default();
        let (ended, exit) = watch::channel(None);
        let collected = lines.clone();
        let thread = std::thread::spawn(move || {
            for line in output.split(b'\n').map_while(Result::ok) {
                collected.push(String::from_utf8_lossy(&line).into_owned());
            }
            let code = child.wait().ok().and_then(|status| status.code());
            ended.send_replace(Some(Exit::from_shell(code)));
        });
        Ok(Self { pid, started, lines, exit, pipe, thread: Some(thread) })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal to the process itself, not to its guard.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        if self.exit.borrow().is_none() {
            kill_process(self.pid, signal)
                .with_context(|| format!("cannot send {signal:?} to {:?}", self.pid))?;
        }
        Ok(())
    }

    /// How it ended, if it has.
    pub(crate) fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Blocks until its end, which the caller has brought about.
    pub(crate) fn wait(mut self) {
        drop(self.pipe.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// Waits for its end.
    pub(crate) fn exited(&self) -> impl Future<Output = Exit> + Send + 'static {
        let mut exit = self.exit.clone();
        async move {
            match exit.wait_for(Option::is_some).await.map(|exit| *exit) {
                Ok(Some(exit)) => exit,
                _ => Exit::Signal(Signal::KILL.as_raw()),
            }
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.pipe.take());
    }
}
