//! Every command of `cargo tessera` finds the database as the functions do.

use std::process::{Command, Output};

use anyhow::{Context, Result};
use harness::{Database, Postgres, SecretsManager};
use serde_json::json;

/// Says nothing of a database yet.
fn tessera(arguments: &[&str]) -> Result<Command> {
    let tests = std::env::current_exe()?;
    let binary = tests.ancestors().nth(2).context("the tests are in target/debug/deps")?.join("tessera");
    let mut command = Command::new(binary);
    for variable in
        ["DATABASE_URL", "DATABASE_SECRET_ARN", "DIRECT_URL", "DIRECT_URL_SECRET_ARN", "DATABASE_CA"]
    {
        command.env_remove(variable);
    }
    command.args(arguments);
    Ok(command)
}

async fn run(mut command: Command) -> Result<Output> {
    tokio::task::spawn_blocking(move || command.output())
        .await?
        .context("`tessera` is missing: run `cargo build --workspace` first")
}

/// A secret of this database's own that holds `text`, and the variables that lead to it.
async fn secret(
    database: &Database,
    kind: &str,
    text: &str,
) -> Result<(String, [(&'static str, String); 4])> {
    let secrets = SecretsManager::shared().await?;
    let name = format!("{}/{}/{kind}", database.postgres().address().port(), database.name);
    secrets.put(&name, text).await?;
    let variables = [
        ("AWS_ENDPOINT_URL", format!("http://{}", secrets.address())),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
    ];
    Ok((name, variables))
}

const COMMANDS: [&[&str]; 4] =
    [&["keys", "list"], &["jobs", "list"], &["alerts", "list"], &["migrate", "status"]];

#[tokio::test]
async fn every_command_reads_the_secret_of_the_database() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let text = json!({"DATABASE_URL": database.url()}).to_string();
    let (name, variables) = secret(&database, "pooled", &text).await?;
    for arguments in COMMANDS {
        let mut command = tessera(arguments)?;
        command.envs(variables.clone()).env("DATABASE_SECRET_ARN", &name);
        let output = run(command).await?;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

#[tokio::test]
async fn migrations_read_the_secret_of_the_way_past_the_pooler() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    let (name, variables) = secret(&database, "direct", &database.url()).await?;
    let mut command = tessera(&["migrate", "up"])?;
    command.envs(variables).env("DIRECT_URL_SECRET_ARN", &name);
    command.env("DATABASE_URL", "postgres://u@127.0.0.1:1/pooled");
    let output = run(command).await?;
    assert!(output.stdout.starts_with(b"Applied 0001_"), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_is_named_and_not_shown() -> Result<()> {
    let database = Postgres::plain().await?.empty_database().await?;
    let (name, variables) = secret(&database, "broken", r#"{"password": "hunter2"}"#).await?;
    for (arn, problem) in [(&*name, "without a usable `host`"), ("nosuchsecret", "did not give the secret")] {
        let mut command = tessera(&["keys", "list"])?;
        command.envs(variables.clone()).env("DATABASE_SECRET_ARN", arn);
        let output = run(command).await?;
        let error = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.starts_with("error: DATABASE_SECRET_ARN: ") && error.contains(problem), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn what_of_the_url_is_not_obeyed_is_a_warning() -> Result<()> {
    let postgres = Postgres::plain().await?;
    let database = postgres.database().await?;
    let url = database.url().split('?').next().unwrap_or_default().to_owned();
    let mut command = tessera(&["keys", "list"])?;
    command.env("DATABASE_URL", url + "?sslmode=disable&nosuchparameter=hunter2");
    let output = run(command).await?;
    let error = String::from_utf8(output.stderr)?;
    assert!(output.status.success(), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with("warning: DATABASE_URL: "), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    Ok(())
}
