//! The settings, checked before anything is fetched or built, and what the functions are told of them.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Options;
use super::database::Database;

/// Refuses what cannot work.
pub(super) fn check(options: &Options) -> Result<()> {
    refuse_taken_port(options.port)?;
    if options.ephemeral && Database::is_given() {
        bail!("--ephemeral makes a database of its own: unset DATABASE_URL");
    }
    Ok(())
}

fn refuse_taken_port(port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) => Err(error).with_context(|| {
            format!("port {port} is taken, perhaps by another `cargo dev`: stop that, or choose a --port")
        }),
    }
}

/// Tells the functions where the database is and who they are. What is set already is left as it is, except for what
/// would lead away from a database of our own.
pub(super) fn set_for_functions(command: &mut Command, database: &Database, base: &str) {
    for (name, value) in [
        ("PUBLIC_BASE_URL", base),
        ("ANONYMOUS_OWNER", "anonymous"),
        ("TESSERA_LOG_FORMAT", "pretty"),
        // What is being developed beside Tessera.
        ("WORKER_ALLOW_LOOPBACK", "true"),
    ] {
        // An empty one counts as not set.
        if env::var(name).is_ok_and(|value| !value.trim().is_empty()) {
            continue;
        }
        command.env(name, value);
    }
    if let Database::Private(cluster) = database {
        command.env("DATABASE_URL", &cluster.url);
        for name in ["DATABASE_SECRET_ARN", "DATABASE_READ_URL", "DATABASE_READ_SECRET_ARN", "DATABASE_CA"] {
            command.env_remove(name);
        }
    }
}
