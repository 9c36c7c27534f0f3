//! The commands of `cargo tessera` that work on the database, run as an operator runs them.

use std::process::{Command, Output};

use anyhow::{Context, Result};
use harness::{Database, Postgres};
use serde_json::Value;

/// Configures `cargo tessera` with these arguments, in an environment that names no database.
pub(super) fn tessera(arguments: &[&str]) -> Result<Command> {
    let tests = std::env::current_exe()?;
    let binary = tests.ancestors().nth(2).context("the tests are in target/debug/deps")?.join("tessera");
    let mut command = Command::new(binary);
    for variable in ["DATABASE_URL", "DIRECT_URL", "DATABASE_CA"] {
        command.env_remove(variable);
    }
    command.args(arguments);
    Ok(command)
}

pub(super) fn run(command: &mut Command) -> Result<Output> {
    command.output().context("`tessera` is missing: run `cargo build --workspace` first")
}

/// Runs `cargo tessera` on a database and returns its standard output, or an error with what it wrote to stderr.
fn stdout_of(database: &Database, arguments: &[&str]) -> Result<String> {
    let output = run(tessera(arguments)?.env("DATABASE_URL", database.url()))?;
    let error = String::from_utf8(output.stderr)?;
    anyhow::ensure!(output.status.success(), "{arguments:?}: {error}");
    Ok(String::from_utf8(output.stdout)?)
}

async fn database() -> Result<Database> {
    Postgres::plain().await?.empty_database().await
}

#[tokio::test]
async fn migrations_go_up_and_down_and_are_listed() -> Result<()> {
    let database = database().await?;
    let state = || -> Result<Value> {
        Ok(serde_json::from_str::<Value>(&stdout_of(&database, &["migrate", "status", "--json"])?)?[0]["state"]
            .take())
    };
    assert_eq!(state()?, "pending");
    assert!(stdout_of(&database, &["migrate", "up"])?.starts_with("Applied 0001_"));
    assert_eq!(state()?, "applied");
    assert_eq!(stdout_of(&database, &["migrate", "up"])?, "Nothing to apply\n");
    while stdout_of(&database, &["migrate", "down"])?.starts_with("Reverted ") {}
    assert_eq!(state()?, "pending");
    Ok(())
}

#[tokio::test]
async fn migrations_go_past_the_pooler() -> Result<()> {
    let database = database().await?;
    let mut command = tessera(&["migrate", "up"])?;
    command.env("DATABASE_URL", "postgres://u@127.0.0.1:1/pooled").env("DIRECT_URL", database.url());
    assert_eq!(run(&mut command)?.status.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_key_is_shown_once_and_kept_as_its_hash() -> Result<()> {
    let database = database().await?;
    stdout_of(&database, &["migrate", "up"])?;
    let create = ["keys", "create", "--owner", "alice", "--scope", "qr:read", "--scope", "qr:write"];
    let key = stdout_of(&database, &create)?;
    let key = key.trim();
    let client = database.client().await?;
    let sql = "SELECT hash = sha256(convert_to($1, 'UTF8')) AND length($1) = 47 FROM api_keys";
    let row = &client.query_typed(sql, &[(&key, tokio_postgres::types::Type::TEXT)]).await?[0];
    assert!(row.get::<_, bool>(0), "{key}");

    let list = stdout_of(&database, &["keys", "list", "--json"])?;
    assert!(!list.contains(key));
    let list: Value = serde_json::from_str(&list)?;
    assert_eq!(list[0]["prefix"], key[..12]);
    assert_eq!(list[0]["scopes"], serde_json::json!(["qr:read", "qr:write"]));
    assert_eq!(list[0]["state"], "active");
    Ok(())
}

#[tokio::test]
async fn a_revoked_key_stays_revoked_since_the_first_time() -> Result<()> {
    let database = database().await?;
    stdout_of(&database, &["migrate", "up"])?;
    let key = stdout_of(&database, &["keys", "create", "--owner", "alice", "--scope", "admin"])?;
    let revoked_at = || -> Result<Value> {
        let list: Value = serde_json::from_str(&stdout_of(&database, &["keys", "list", "--json"])?)?;
        assert_eq!(list[0]["state"], "revoked");
        Ok(list[0]["revokedAt"].clone())
    };
    stdout_of(&database, &["keys", "revoke", key.trim()])?;
    let first = revoked_at()?;
    stdout_of(&database, &["keys", "revoke", &key[..12]])?;
    assert_eq!(revoked_at()?, first);
    let mut other = tessera(&["keys", "revoke", "tsk_00000000"])?;
    assert_eq!(run(other.env("DATABASE_URL", database.url()))?.status.code(), Some(1));
    Ok(())
}

#[tokio::test]
async fn the_server_is_verified_against_the_given_authority() -> Result<()> {
    let postgres = Postgres::tls().await?;
    let database = postgres.empty_database().await?;
    let ca = postgres.ca_pem_path().context("a TLS cluster has an authority")?;
    let url = database.url().split('?').next().unwrap_or_default().to_owned() + "?sslmode=verify-ca";
    let status = |ca: Option<&std::path::Path>| -> Result<Output> {
        let mut command = tessera(&["migrate", "status"])?;
        command.env("DATABASE_URL", &url).envs(ca.map(|ca| ("DATABASE_CA", ca)));
        run(&mut command)
    };
    let trusted = status(Some(&ca))?;
    assert_eq!(trusted.status.code(), Some(0), "{}", String::from_utf8_lossy(&trusted.stderr));
    assert_eq!(status(None)?.status.code(), Some(1));
    Ok(())
}

#[test]
fn errors_are_one_line_that_names_the_variable_and_not_its_value() -> Result<()> {
    for (url, exit) in [
        (None, 1),
        (Some("hunter2"), 1),
        (Some("postgres://u:hunter2@127.0.0.1:1/hunter2"), 1),
        (Some("postgres://u:hunter2@nosuchhost.invalid/hunter2"), 1),
    ] {
        let mut command = tessera(&["keys", "list"])?;
        let output = run(command.envs(url.map(|url| ("DATABASE_URL", url))))?;
        let error = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(exit), "{error}");
        let last = error.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: DATABASE_URL"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    Ok(())
}

#[test]
fn a_misused_command_exits_with_2() -> Result<()> {
    for arguments in [
        &["keys", "create", "--owner", "a"][..],
        &["keys", "create", "--owner", "a", "--scope", "root"],
        &["migrate", "down", "--steps", "0"],
        &["nosuch"],
    ] {
        assert_eq!(run(&mut tessera(arguments)?)?.status.code(), Some(2), "{arguments:?}");
    }
    Ok(())
}
