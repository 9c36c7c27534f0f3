//! A running process that a [`Supervisor`](crate::Supervisor) has started.

use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use crate::command;

/// Where what a process prints goes.
#[derive(Debug)]
pub enum Output {
    /// It goes where the output of this process goes.
    Inherited,
    /// It is collected in [`Process::lines`], standard output and standard error in the order they were written.
    Collected,
    /// It is written to this file.
    File(File),
}

impl Output {
    fn connect(self, command: &mut Command) -> Result<Option<PipeReader>> {
        match self {
            Self::Inherited => Ok(None),
            Self::Collected => {
                let (reader, writer) = std::io::pipe()?;
                command.stdout(writer.try_clone()?).stderr(writer);
                Ok(Some(reader))
            }
            Self::File(file) => {
                command.stdout(file.try_clone()?).stderr(file);
                Ok(None)
            }
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or(Signal::KILL.as_raw())),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status: {code}"),
            Self::Signal(signal) => write!(f, "signal: {signal}"),
        }
    }
}

/// The lines a process has printed so far.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn push(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Collects until the last process that could write has gone.
    fn collect(&self, output: PipeReader) {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            self.push(String::from_utf8_lossy(&line).into_owned());
        }
    }
}

/// A running process. Its supervisor stops it after the end of this program, if nobody does before.
#[derive(Debug)]
pub struct Process {
    /// The command line, for messages.
    line: String,
    pid: Pid,
    started: Instant,
    lines: Lines,
    exit: watch::Receiver<Option<Exit>>,
    waiter: Option<JoinHandle<()>>,
    kill_on_drop: bool,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command, output: Output) -> Result<Self> {
        let output = output.connect(command)?;
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("{} could not be started", command.get_program().to_string_lossy()))?;
        // The command has the pipe's writing end, too, whose closing ends the collection.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process has an id")?;
        let lines = Lines::default();
        let (ended, exit) = watch::channel(None);
        let collected = lines.clone();
        let waiter = std::thread::spawn(move || {
            if let Some(output) = output {
                collected.collect(output);
            }
            ended.send_replace(Some(wait_for(child)));
        });
        let line = command::line(command);
        Ok(Self { line, pid, started, lines, exit, waiter: Some(waiter), kill_on_drop: false })
    }

    /// Kills the process when this value is dropped, instead of leaving that to the supervisor.
    #[must_use]
    pub fn kill_on_drop(mut self) -> Self {
        self.kill_on_drop = true;
        self
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The time just before the program was executed.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// What it has printed so far, if that is [`Output::Collected`].
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.all()
    }

    /// Sends it a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if self.exit().is_none() {
            kill_process(self.pid, signal)
                .with_context(|| format!("cannot send {signal:?} to {:?}", self.pid))?;
        }
        Ok(())
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits for its end.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + 'static {
        let mut exit = self.exit.clone();
        async move {
            match exit.wait_for(Option::is_some).await.map(|exit| *exit) {
                Ok(Some(exit)) => exit,
                _ => Exit::Signal(Signal::KILL.as_raw()),
            }
        }
    }

    /// Blocks until its end, which the caller has brought about.
    pub fn wait(mut self) {
        self.join();
    }

    /// Blocks until its end; an error, with what was collected, when it does not succeed.
    pub fn wait_for_success(mut self) -> Result<()> {
        self.join();
        let exit = self.exit().context("it has been waited for")?;
        let said = self.lines().join("\n");
        let separator = if said.is_empty() { "" } else { "\n" };
        ensure!(exit == Exit::Code(0), "`{}` failed: {exit}{separator}{said}", self.line);
        Ok(())
    }

    fn join(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            let _ = waiter.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.kill_on_drop {
            let _ = self.signal(Signal::KILL);
        }
    }
}

fn wait_for(mut child: Child) -> Exit {
    child.wait().map_or(Exit::Signal(Signal::KILL.as_raw()), Exit::from)
}
