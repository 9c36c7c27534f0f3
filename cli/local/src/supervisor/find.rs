//! Finding the processes of a run.

use std::fs;
use std::process::Command;

use rustix::process::Pid;

use super::RUN_ID;

/// Every process that has this [`RUN_ID`] in its environment.
pub(super) fn processes_of(run_id: &str) -> Vec<Pid> {
    let variable = format!("{RUN_ID}={run_id}");
    if cfg!(target_os = "linux") { find_in_proc(&variable) } else { find_in_ps(&variable) }
}

fn find_in_proc(variable: &str) -> Vec<Pid> {
    let has_variable =
        |environment: Vec<u8>| environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|process| fs::read(process.path().join("environ")).is_ok_and(has_variable))
        .filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// Elsewhere (macOS), `ps -E` shows the environment behind the command.
fn find_in_ps(variable: &str) -> Vec<Pid> {
    let Ok(output) = Command::new("ps").args(["-A", "-E", "-ww", "-o", "pid=,command="]).output() else {
        return Vec::new();
    };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.split_whitespace().any(|word| word == variable))
        .filter_map(|line| Pid::from_raw(line.split_whitespace().next()?.parse().ok()?))
        .collect()
}
