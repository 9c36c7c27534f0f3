//! The settings, checked before anything is fetched or built, and what the functions are told of them.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use anyhow::{Context, Result, bail};
use shared::config::{ConfigError, Environment};
use shared::webhook::source_cache::SourceCache;
use tessera_postgres::{DatabaseConfig, TrustStore};

use super::Options;
use super::database::Database;

/// Refuses what cannot work or what the functions would refuse. The error names the option or the variable.
pub(super) fn check(options: &Options, environment: &Environment) -> Result<()> {
    refuse_taken_port(options.port)?;
    if options.ephemeral && Database::is_given(environment) {
        bail!("--ephemeral makes a database of its own: unset DATABASE_URL");
    }
    check_environment(environment)
}

fn refuse_taken_port(port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) => Err(error).with_context(|| {
            format!("port {port} is taken, perhaps by another `cargo dev`: stop that, or choose a --port")
        }),
    }
}

fn check_environment(environment: &Environment) -> Result<()> {
    if Database::is_given(environment) {
        check_databases(environment)?;
    }
    check_base_url(environment)?;
    environment.log_level()?;
    environment.log_format()?;
    environment.connects_at_init()?;
    environment.worker()?;
    SourceCache::from_environment(environment)?;
    Ok(())
}

/// A connection string that is in a secret is read when it is used.
fn check_databases(environment: &Environment) -> Result<()> {
    let trust = TrustStore::prepare();
    let used = [Some(environment.database()?), Some(environment.direct_database()?), environment.replica()];
    for config in used.iter().flatten() {
        check_database(config, &trust)?;
    }
    Ok(())
}

fn check_database(config: &DatabaseConfig, trust: &TrustStore) -> Result<()> {
    let Some(text) = config.source.given() else { return Ok(()) };
    let url = config.parse(text)?;
    trust.connector(&url, config.authorities.as_deref()).context(config.variable)?;
    Ok(())
}

/// Refuses a `PUBLIC_BASE_URL` that is malformed. `cargo dev` has a default for one that is missing.
fn check_base_url(environment: &Environment) -> Result<(), ConfigError> {
    match environment.public_base_url() {
        Ok(_) | Err(ConfigError::Missing(_)) => Ok(()),
        Err(error) => Err(error),
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

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD_URL: (&str, &str) = ("DATABASE_URL", "postgres://u:hunter2@127.0.0.1/d?sslmode=disable");

    #[test]
    fn nothing_need_be_set() {
        check_environment(&Environment::default()).unwrap();
        check_environment(&Environment::from([GOOD_URL, ("PUBLIC_BASE_URL", "")])).unwrap();
    }

    #[test]
    fn a_broken_setting_is_named_and_not_shown() {
        for (name, broken) in [
            ("DATABASE_URL", "mysql://u:hunter2@h/d"),
            ("DIRECT_URL", "hunter2"),
            ("DATABASE_READ_URL", "postgres://u:hunter2@h:port/d"),
            ("PUBLIC_BASE_URL", "hunter2"),
            ("WEBHOOK_SOURCES", r#"{"a": "hunter2"}"#),
            ("WORKER_CONCURRENCY", "hunter2"),
            ("RETENTION_JOB_DAYS", "hunter2"),
            ("TESSERA_CONNECT", "hunter2"),
            ("TESSERA_LOG", "hunter2"),
            ("TESSERA_LOG_FORMAT", "hunter2"),
        ] {
            let error = check_environment(&Environment::from([GOOD_URL, (name, broken)])).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.starts_with(&format!("{name}: ")) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_database_of_our_own_needs_nothing_that_is_said_of_another() {
        check_environment(&Environment::from([("DATABASE_READ_URL", "hunter2")])).unwrap();
    }
}
