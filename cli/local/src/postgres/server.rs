//! Making a cluster and running its server.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Result;

use super::Installation;
use crate::process::{Output, Process};
use crate::supervisor::Supervisor;

impl Installation {
    /// Makes a cluster in the directory `data`, which is not there yet. `options` are those of `initdb`.
    pub fn initialise(&self, data: &Path, options: &[&str], supervisor: &Supervisor) -> Result<()> {
        let mut initdb = self.command("initdb")?;
        initdb.arg("--pgdata").arg(data).args(["--no-instructions", "--encoding=UTF8", "--no-locale"]);
        supervisor.run(initdb.args(options), Output::Collected)
    }

    /// Starts the server of the cluster in `data`. `settings`, as `name=value`, outrank those of its files.
    pub fn start_server(
        &self,
        data: &Path,
        settings: &[&str],
        log: File,
        supervisor: &Supervisor,
    ) -> Result<Process> {
        let mut postgres = self.command("postgres")?;
        postgres.arg("-D").arg(data);
        for setting in settings {
            postgres.args(["-c", setting]);
        }
        supervisor.spawn_server(&mut postgres, Output::File(log))
    }
}

/// Whether this server takes connections. `pg_ctl -w` looks at the same: a line of `postmaster.pid` tells how far the
/// server is.
#[must_use]
pub fn is_ready(data: &Path, server: &Process) -> bool {
    let status = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let lines: Vec<&str> = status.lines().map(str::trim).collect();
    let pid = server.pid().as_raw_nonzero().to_string();
    lines.first() == Some(&pid.as_str()) && lines.get(7) == Some(&"ready")
}
