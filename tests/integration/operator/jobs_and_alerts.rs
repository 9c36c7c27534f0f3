//! `cargo tessera jobs` and `cargo tessera alerts`, after deliveries that failed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use harness::{Database, Postgres};
use serde_json::{Value, json};

use crate::webhook::sender::{account, send, sources, webhook};
use crate::worker::delivery::{run, worker};
use crate::worker::endpoint::{Behaviour, Endpoint};

/// Runs `cargo tessera` with these arguments, and returns what it prints.
pub(crate) async fn tessera(database: &Database, arguments: &[&str]) -> Result<String> {
    let tests = std::env::current_exe()?;
    let program =
        tests.ancestors().nth(2).map(|profile| profile.join("tessera")).context("no target directory")?;
    ensure!(
        Path::new(&program).is_file(),
        "{} is missing: run `cargo build --workspace` first",
        program.display()
    );
    let mut command = Command::new(program);
    command.args(arguments).env("DATABASE_URL", database.url());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{arguments:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

async fn tessera_json(database: &Database, arguments: &[&str]) -> Result<Value> {
    Ok(serde_json::from_str(&tessera(database, arguments).await?)?)
}

/// Leaves one dead job of each of two sources.
async fn two_dead_jobs(database: &Database, endpoint: &Endpoint) -> Result<harness::Lambda> {
    let sources = sources(&json!({"forwardUrl": endpoint.url}));
    let webhook = webhook(database.url(), sources.clone()).start().await?;
    let worker = worker(database.url(), sources).start().await?;
    send(&webhook, "evt_1", &account("evt_1", "a", "active", "2026-01-01T00:00:00Z")).await?;
    crate::webhook::sender::github(&webhook, "d-1", b"{}").send().await?;
    run(&worker).await?;
    Ok(worker)
}

#[tokio::test]
async fn dead_jobs_are_listed_shown_and_redriven() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let endpoint =
        Endpoint::start(|_| Behaviour::With(410, "x-a", String::new(), "no such hook".to_owned())).await?;
    let worker = two_dead_jobs(&database, &endpoint).await?;

    let listed = tessera(&database, &["jobs", "list"]).await?;
    assert!(listed.starts_with("JOB  SOURCE    EVENT  TYPE"), "{listed}");
    assert!(listed.contains("dead") && listed.contains("1 of 5") && listed.contains("gone 410"), "{listed}");
    let list =
        tessera_json(&database, &["jobs", "list", "--source", "github", "--state", "dead", "--json"]).await?;
    assert_eq!((list.as_array().map(Vec::len), &list[0]["eventId"]), (Some(1), &json!("d-1")));
    let id = list[0]["id"].to_string();
    let shown = tessera(&database, &["jobs", "show", &id]).await?;
    assert!(shown.contains("answerHead   no such hook"), "{shown}");
    assert_eq!(tessera(&database, &["jobs", "show", &id, "--payload"]).await?, "{}");
    assert!(tessera(&database, &["jobs", "show", "999"]).await.is_err());
    assert!(tessera(&database, &["jobs", "redrive"]).await.is_err(), "all must be asked for");

    endpoint.behave(|_| Behaviour::Answer(200));
    assert_eq!(tessera(&database, &["jobs", "redrive", &id]).await?, "Redriven: 1\n");
    assert!(tessera(&database, &["jobs", "redrive", &id]).await.is_err(), "it is not dead any more");
    assert_eq!(tessera(&database, &["jobs", "redrive", "--source", "standard"]).await?, "Redriven: 1\n");
    assert_eq!(tessera(&database, &["jobs", "redrive", "--all"]).await?, "Redriven: 0\n");
    assert_eq!(run(&worker).await?["delivered"], 2);
    let done = tessera_json(&database, &["jobs", "list", "--state", "done", "--json"]).await?;
    assert_eq!((&done[0]["attempt"], &done[0]["outcome"]), (&json!(2), &json!("delivered")));
    Ok(())
}

#[tokio::test]
async fn alerts_count_up_and_are_closed_by_success_or_by_hand() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let endpoint = Endpoint::start(|_| Behaviour::Answer(410)).await?;
    let worker = two_dead_jobs(&database, &endpoint).await?;
    let nonsense = "INSERT INTO alerts (code, source) VALUES ('event_failed', 'slack')";
    database.client().await?.batch_execute(nonsense).await?;
    let open = || tessera_json(&database, &["alerts", "list", "--json"]);
    assert_eq!(open().await?.as_array().map(Vec::len), Some(3), "one nonsense, two dead");
    tessera(&database, &["jobs", "redrive", "--source", "standard"]).await?;
    run(&worker).await?;
    let alerts = open().await?;
    let of_standard = alerts.as_array().into_iter().flatten().find(|alert| alert["source"] == "standard");
    assert_eq!(of_standard.map(|alert| &alert["count"]), Some(&json!(2)), "the same one again");

    endpoint.behave(|_| Behaviour::Answer(200));
    tessera(&database, &["jobs", "redrive", "--source", "standard"]).await?;
    run(&worker).await?;
    assert_eq!(open().await?.as_array().map(Vec::len), Some(2), "delivered, so closed");
    let listed = tessera(&database, &["alerts", "list", "--all"]).await?;
    assert!(listed.contains("event_failed") && listed.contains("resolved"), "{listed}");
    let id = open().await?[0]["id"].to_string();
    assert_eq!(tessera(&database, &["alerts", "resolve", &id]).await?, "Resolved: 1\n");
    assert!(tessera(&database, &["alerts", "resolve", &id]).await.is_err());
    assert_eq!(tessera(&database, &["alerts", "resolve", "--all"]).await?, "Resolved: 1\n");
    assert_eq!(open().await?, json!([]));
    Ok(())
}
