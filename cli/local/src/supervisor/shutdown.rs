//! Stopping processes, and removing what they wrote.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use rustix::process::{Pid, Signal, kill_process};

use super::find::processes_of;

/// How long processes get to end after a signal, and a directory to become removable.
const PATIENCE: Duration = Duration::from_secs(5);

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Stops `first`, which may take others along, then everything else.
pub(super) fn stop_processes(run_id: &str, first: Option<Pid>) {
    if let Some(first) = first.filter(|pid| processes_of(run_id).contains(pid)) {
        send(Signal::TERM, &[first]);
        wait_until_gone(run_id);
    }
    signal_all(run_id, Signal::TERM);
    signal_all(run_id, Signal::KILL);
}

/// Stops PostgreSQL servers by the fast shutdown, then the immediate one, then by killing them
/// (<https://www.postgresql.org/docs/current/server-shutdown.html>).
pub(super) fn stop_servers(run_id: &str) {
    signal_all(run_id, Signal::INT);
    signal_all(run_id, Signal::QUIT);
    signal_all(run_id, Signal::KILL);
}

fn signal_all(run_id: &str, signal: Signal) {
    send(signal, &processes_of(run_id));
    wait_until_gone(run_id);
}

fn send(signal: Signal, processes: &[Pid]) {
    for pid in processes {
        // Whoever has gone by itself in the meantime needs no signal. One that is frozen takes none until it goes on.
        let _ = kill_process(*pid, signal);
        let _ = kill_process(*pid, Signal::CONT);
    }
}

fn wait_until_gone(run_id: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !processes_of(run_id).is_empty() && Instant::now() < deadline {
        thread::sleep(POLL_INTERVAL);
    }
}

/// Removes a directory, if it is there. The last processes of a server that was killed may still write to it.
pub(super) fn remove_directory(directory: &Path) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match fs::remove_dir_all(directory) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !directory.exists() => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => thread::sleep(POLL_INTERVAL),
        }
    }
}
