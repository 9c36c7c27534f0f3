//! Leaves nothing behind.
//!
//! Whatever [`crate::dev`] starts is noted with a second process, the keeper, which stops it all as soon as its
//! standard input ends. That is so after Ctrl-C, after an error in the middle of the start, after a panic, and
//! after `kill -9`: there is one way to clean up, and it does not depend on this process being alive.
//!
//! `cargo lambda watch` gives every function a session of its own, so a process group is not enough to find them:
//! what we start carries [`MARK`] in its environment, and so does everything that it starts in turn.

use std::{
    fs,
    io::{BufRead, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::command;

/// Names the run a process belongs to.
pub const MARK: &str = "TESSERA_DEV_RUN";

/// The first argument of the keeper process.
pub const ARGUMENT: &str = "keeper";

/// How long a process gets to leave after a signal.
const PATIENCE: Duration = Duration::from_secs(5);

/// This process's end of the line to the keeper.
#[derive(Debug)]
pub struct Keeper {
    run: String,
    child: Mutex<Child>,
    /// None once everything is being stopped: nothing may be started from then on.
    line: Mutex<Option<ChildStdin>>,
}

impl Keeper {
    /// Starts the keeper process.
    pub fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            // Its own group: Ctrl-C in the terminal must not reach it.
            .process_group(0)
            .spawn()
            .context("the process that cleans up could not be started")?;
        let line = child.stdin.take();
        let run = format!("{}-{}", std::process::id(), child.id());
        let keeper = Self { run, child: Mutex::new(child), line: Mutex::new(line) };
        keeper.note("run", &keeper.run)?;
        Ok(keeper)
    }

    /// Starts a process that the keeper will stop, in a group of its own and without standard input.
    pub fn spawn(&self, command: &mut Command) -> Result<Child> {
        self.spawn_marked(command, &self.run)
    }

    /// Starts a PostgreSQL server, which the keeper will stop after everything else, as a server is stopped.
    pub fn spawn_server(&self, command: &mut Command) -> Result<Child> {
        self.spawn_marked(command, &server_of(&self.run))
    }

    fn spawn_marked(&self, command: &mut Command, mark: &str) -> Result<Child> {
        // Held while the process starts, so that none starts unseen while the keeper looks for them.
        let line = self.line();
        if line.is_none() {
            bail!("stopping");
        }
        let program = command.get_program().to_string_lossy().into_owned();
        command
            .env(MARK, mark)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("{program} could not be started"))
    }

    /// Runs a process to its end. An error when it does not succeed.
    pub fn run(&self, command: &mut Command) -> Result<()> {
        let status = self.spawn(command)?.wait()?;
        if !status.success() {
            bail!("`{}` failed: {status}", command::line(command));
        }
        Ok(())
    }

    /// Has `cargo lambda watch` stopped first, and gently: it takes its functions along.
    pub fn note_watch(&self, watch: &Child) -> Result<()> {
        self.note("watch", &watch.id().to_string())
    }

    /// Has a directory removed, after everything has stopped.
    pub fn note_directory(&self, directory: &Path) -> Result<()> {
        self.note("directory", &directory.display().to_string())
    }

    fn line(&self) -> MutexGuard<'_, Option<ChildStdin>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, kind: &str, what: &str) -> Result<()> {
        let mut line = self.line();
        let Some(line) = line.as_mut() else { bail!("stopping") };
        writeln!(line, "{kind}\t{what}").context("the process that cleans up has gone")
    }

    /// Stops everything and returns when it has gone.
    pub fn stop(&self) -> Result<()> {
        self.line().take();
        let status = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait()?;
        if !status.success() {
            bail!("not everything could be stopped: {status}");
        }
        Ok(())
    }
}

/// The value of [`MARK`] that PostgreSQL carries. Only the server's first process shows it: the others write over
/// their environment, and go when the first one goes.
fn server_of(run: &str) -> String {
    format!("{run}.server")
}

/// The keeper process: waits for the end of its standard input, then stops what was noted.
pub fn run() -> Result<()> {
    let mut run = None;
    let mut watch = None;
    let mut directories = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once('\t') {
            Some(("run", token)) => run = Some(token.to_owned()),
            Some(("watch", pid)) => watch = Pid::from_raw(pid.parse()?),
            Some(("directory", path)) => directories.push(PathBuf::from(path)),
            _ => bail!("a line that is not understood: {line}"),
        }
    }
    if let Some(run) = run {
        stop_processes(&run, watch);
        stop_servers(&server_of(&run));
    }
    for directory in directories {
        if let Err(error) = fs::remove_dir_all(&directory)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error).with_context(|| format!("{} could not be removed", directory.display()));
        }
    }
    Ok(())
}

/// First `cargo lambda watch` is asked, then everybody, then nobody is asked any more.
fn stop_processes(mark: &str, watch: Option<Pid>) {
    if let Some(watch) = watch.filter(|pid| marked(mark).contains(pid)) {
        // Whoever has gone by itself in the meantime needs no signal, here and below.
        let _ = kill_process(watch, Signal::TERM);
        wait_until_gone(mark);
    }
    signal(mark, Signal::TERM);
    signal(mark, Signal::KILL);
}

/// PostgreSQL's fast shutdown, its immediate one, and the end
/// (<https://www.postgresql.org/docs/current/server-shutdown.html>).
fn stop_servers(mark: &str) {
    signal(mark, Signal::INT);
    signal(mark, Signal::QUIT);
    signal(mark, Signal::KILL);
}

fn signal(mark: &str, signal: Signal) {
    for pid in marked(mark) {
        let _ = kill_process(pid, signal);
    }
    wait_until_gone(mark);
}

fn wait_until_gone(mark: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !marked(mark).is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50));
    }
}

/// Every process with this mark in its environment.
fn marked(mark: &str) -> Vec<Pid> {
    if cfg!(target_os = "linux") { marked_in_proc(mark) } else { marked_in_ps(mark) }
}

fn marked_in_proc(mark: &str) -> Vec<Pid> {
    let variable = format!("{MARK}={mark}");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_marked =
        |environment: Vec<u8>| environment.split(|byte| *byte == 0).any(|v| v == variable.as_bytes());
    processes
        .filter(|process| fs::read(process.path().join("environ")).is_ok_and(is_marked))
        .filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// Elsewhere (macOS), `ps -E` shows the environment behind the command.
fn marked_in_ps(mark: &str) -> Vec<Pid> {
    let variable = format!("{MARK}={mark}");
    let Ok(output) = Command::new("ps").args(["-A", "-E", "-ww", "-o", "pid=,command="]).output() else {
        return Vec::new();
    };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.split_whitespace().any(|word| word == variable))
        .filter_map(|line| Pid::from_raw(line.split_whitespace().next()?.parse().ok()?))
        .collect()
}
