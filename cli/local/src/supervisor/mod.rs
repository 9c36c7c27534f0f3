//! Stops whatever a program has started, however that program ends.
//!
//! Everything is started through a [`Supervisor`], which has a second process: [`serve`]. That one stops everything as
//! soon as its standard input ends, which the kernel brings about after Ctrl-C, after an error, after a panic and after
//! `kill -9` alike. So there is one way to clean up, and it does not depend on the first process being alive.
//!
//! Processes are found by [`RUN_ID`] in their environment, which what they start inherits. Process groups would not do:
//! `cargo lambda watch` gives every function a session of its own.

mod find;
mod serve;
mod shutdown;

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail};

use crate::process::{Output, Process};
pub use serve::serve;

/// The environment variable that names the run a process belongs to.
pub const RUN_ID: &str = "TESSERA_RUN_ID";

/// Starts processes, and has them stopped after the end of this one.
#[derive(Debug)]
pub struct Supervisor {
    run_id: String,
    process: Mutex<Child>,
    /// None once everything is being stopped: nothing may be started from then on.
    input: Mutex<Option<ChildStdin>>,
}

impl Supervisor {
    /// Starts the supervisor process, by a command that calls [`serve`].
    pub fn start(command: &mut Command) -> Result<Self> {
        // A process group of its own: Ctrl-C in the terminal must not reach it. What supervises us must not stop it.
        command.stdin(Stdio::piped()).process_group(0).env_remove(RUN_ID);
        let mut process = command.spawn().with_context(|| {
            format!("the supervisor could not be started ({})", command.get_program().to_string_lossy())
        })?;
        let input = process.stdin.take();
        let run_id = format!("{}-{}", std::process::id(), process.id());
        let supervisor = Self { run_id, process: Mutex::new(process), input: Mutex::new(input) };
        supervisor.send("run", &supervisor.run_id)?;
        Ok(supervisor)
    }

    /// Starts a process in a group of its own, without standard input.
    ///
    /// It is stopped by SIGTERM, and by SIGKILL if that does not help.
    pub fn spawn(&self, command: &mut Command, output: Output) -> Result<Process> {
        self.spawn_as(&self.run_id, command, output)
    }

    /// Starts a PostgreSQL server, which is stopped after everything else, and by its own signals.
    pub fn spawn_server(&self, command: &mut Command, output: Output) -> Result<Process> {
        self.spawn_as(&server_id(&self.run_id), command, output)
    }

    fn spawn_as(&self, run_id: &str, command: &mut Command, output: Output) -> Result<Process> {
        // Held while the process starts, so that none starts unseen while others are being stopped.
        let input = self.input();
        if input.is_none() {
            bail!("stopping");
        }
        Process::spawn(command.env(RUN_ID, run_id).stdin(Stdio::null()).process_group(0), output)
    }

    /// Runs a process to its end. An error, with what was collected of its output, when it does not succeed.
    pub fn run(&self, command: &mut Command, output: Output) -> Result<()> {
        self.spawn(command, output)?.wait_for_success()
    }

    /// Has this process stopped before the others, which it may stop itself.
    pub fn stop_first(&self, process: &Process) -> Result<()> {
        self.send("first", &process.pid().as_raw_nonzero().to_string())
    }

    /// Has a directory removed after everything has stopped.
    pub fn remove_at_end(&self, directory: &Path) -> Result<()> {
        self.send("directory", &directory.display().to_string())
    }

    fn input(&self) -> MutexGuard<'_, Option<ChildStdin>> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, kind: &str, value: &str) -> Result<()> {
        let mut input = self.input();
        let Some(input) = input.as_mut() else { bail!("stopping") };
        writeln!(input, "{kind}\t{value}").context("the supervisor has gone")
    }

    /// Stops everything and returns when it has gone.
    pub fn stop(&self) -> Result<()> {
        self.input().take();
        let status = self.process.lock().unwrap_or_else(PoisonError::into_inner).wait()?;
        if !status.success() {
            bail!("not everything could be stopped: {status}");
        }
        Ok(())
    }
}

/// The [`RUN_ID`] that PostgreSQL carries. Only the server's first process shows it: the others write over their
/// environment, and go when the first one goes.
fn server_id(run_id: &str) -> String {
    format!("{run_id}.server")
}
